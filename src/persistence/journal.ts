/**
 * The journal: effects of writes, as RESP commands, in order. Hot path.
 *
 * A handler's change is recorded by default as the command itself; a handler that is not deterministic, or whose call
 * says more than it did, writes its effect instead (`begin(db, argc)` and then argc values). Effects that belong
 * together (a transaction, a script, a command with several effects) form a unit, which is framed by MULTI and EXEC
 * when it holds more than one. SELECT is inserted where the database changes.
 *
 * The bytes gather in one buffer until `drain`, which the server calls once per loop turn before it sends replies.
 * Subscribers (append-only file, replicas) receive the bytes; while there is none, nothing is encoded. Nearly all effects
 * are for all of them. What is not (`narrow`) is noted as a range of the buffer, and left out of what the others receive.
 */
import { integerLength, writeInteger } from '../bytes/integer.ts'
import type { Args } from '../resp/args.ts'
import { type Arena, copyBytes, type Ref } from '../storage/arena.ts'

/**
 * Receives journal bytes, whole units only. The buffer is valid during the call, and the receiver may write into the
 * DRAIN_SLACK_BYTES behind them.
 */
export type JournalSubscriber = (buffer: Buffer, start: number, end: number) => void

/** Who is to receive an effect: bits. */
export const JournalTarget = { None: 0, Aof: 1 << 0, Replicas: 1 << 1, All: (1 << 0) | (1 << 1) } as const

interface Subscription {
  readonly subscriber: JournalSubscriber
  /** Bits of JournalTarget. */
  readonly target: number
}

/** Bytes that are not for all. */
interface NarrowRange {
  start: number
  end: number
  /** Bits of JournalTarget. */
  readonly targets: number
}

const FIRST_BYTES = 256 * 1024
const KEEP_BYTES_MAX = 4 * 1024 * 1024
const SLACK_BYTES = 64
/** Room behind the bytes that subscribers receive. */
export const DRAIN_SLACK_BYTES = SLACK_BYTES
const MULTI = Buffer.from('*1\r\n$5\r\nMULTI\r\n')
const EXEC = Buffer.from('*1\r\n$4\r\nEXEC\r\n')
const CR = 13
const LF = 10

/** How a replay of the log frees the value. */
export const DeletionVerb = { Del: 'DEL', Unlink: 'UNLINK' } as const
export type DeletionVerb = (typeof DeletionVerb)[keyof typeof DeletionVerb]

export class Journal {
  private readonly arena: Arena
  private readonly subscriptions: Subscription[] = []
  /** Bits of the targets that somebody listens for. */
  private listened: number = JournalTarget.None
  /** Bits of those that effects are for now. */
  private targets: number = JournalTarget.All
  private narrowRanges: NarrowRange[] = []
  /** Where the effects begin that `targets` holds for, and the database before, when it is not all. */
  private narrowStart = 0
  private narrowDb = -1
  private buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  private at = 0
  private selectedDb = -1
  private unitDepth = 0
  private unitStart = 0
  private unitEffects = 0
  /** False while nobody listens or while a log is replayed: effects are not encoded. */
  enabled: boolean = false
  /** Effects begun so far; the pipeline compares it to see whether a handler wrote its own. */
  effectCount = 0
  /** How many of them the bytes hold that subscribers have received. */
  drainedEffects = 0
  /** Units encoded since the last drain and bytes handed out in all. */
  totalBytes = 0

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** @param target the bit of JournalTarget whose effects it receives; All: those for anybody. */
  subscribe(subscriber: JournalSubscriber, target: number = JournalTarget.All): void {
    this.subscriptions.push({ subscriber, target })
    this.noteListeners()
    // The new subscriber knows of no SELECT.
    this.selectedDb = -1
  }

  unsubscribe(subscriber: JournalSubscriber): void {
    const index = this.subscriptions.findIndex((subscription) => subscription.subscriber === subscriber)
    if (index >= 0) this.subscriptions.splice(index, 1)
    this.noteListeners()
  }

  /** Whether somebody receives what is only for replicas. */
  get hasReplicas(): boolean {
    return (this.listened & JournalTarget.Replicas) !== 0
  }

  /**
   * Effects from here on are for those of `targets` only that they were for before. Returns what `widen` puts back.
   * Not while an effect is being written.
   */
  narrow(targets: number): number {
    const outer = this.targets
    this.retarget(outer & targets)
    return outer
  }

  /** Ends what `narrow` has begun. */
  widen(outer: number): void {
    this.retarget(outer)
  }

  /** Makes the next effect name its database, as the first one of a new file must. */
  forgetSelected(): void {
    this.selectedDb = -1
  }

  /** The database that the next effect belongs to if it does not name one; 0 when it will. */
  get streamDb(): number {
    return Math.max(0, this.selectedDb)
  }

  get pendingBytes(): number {
    return this.at
  }

  /** Starts a unit. Units nest; the outermost counts. */
  beginUnit(): void {
    if (this.unitDepth++ > 0) return
    this.unitStart = this.at
    this.unitEffects = 0
  }

  endUnit(): void {
    if (--this.unitDepth > 0 || this.unitEffects < 2) return
    this.raw(EXEC)
  }

  /** Records a command as it came. */
  command(db: number, args: Args): void {
    if (!this.enabled) return
    const count = args.count
    this.begin(db, count)
    for (let i = 0; i < count; i++) this.bytes(args.buffer, args.start(i), args.length(i))
  }

  /** Starts an effect of `argc` values, which must follow. */
  begin(db: number, argc: number): void {
    this.effectCount++
    if (!this.enabled) return
    if (this.unitDepth > 0 && ++this.unitEffects === 2) this.insertMulti()
    if (db !== this.selectedDb) this.select(db)
    this.header(42, argc)
  }

  /**
   * Records that the server has deleted a key: its time was over, or memory was short. Not an effect of the running
   * command.
   */
  deleted(db: number, key: Ref, verb: DeletionVerb): void {
    const effects = this.effectCount
    const outer = this.targets
    // Whatever a script wants for its own effects.
    if (outer !== JournalTarget.All) this.retarget(JournalTarget.All)
    this.begin(db, 2)
    this.text(verb)
    this.ref(key)
    this.effectCount = effects
    if (outer !== JournalTarget.All) this.retarget(outer)
  }

  /** As `deleted`, for a field of a hash. */
  fieldDeleted(db: number, key: Ref, field: Uint8Array, start: number, length: number): void {
    const effects = this.effectCount
    const outer = this.targets
    if (outer !== JournalTarget.All) this.retarget(JournalTarget.All)
    this.begin(db, 3)
    this.text('HDEL')
    this.ref(key)
    this.bytes(field, start, length)
    this.effectCount = effects
    if (outer !== JournalTarget.All) this.retarget(outer)
  }

  /** A byte string. */
  text(text: string): void {
    if (!this.enabled) return
    const length = text.length
    this.header(36, length)
    this.room(length)
    const buffer = this.buffer
    const at = this.at
    if (length <= 32) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, at, length)
    this.finish(at + length)
  }

  /** Argument `i` of a request. */
  arg(args: Args, i: number): void {
    this.bytes(args.buffer, args.start(i), args.length(i))
  }

  bytes(source: Uint8Array, start: number, length: number): void {
    if (!this.enabled) return
    this.header(36, length)
    this.room(length)
    copyBytes(source, start, this.buffer, this.at, length)
    this.finish(this.at + length)
  }

  /** The payload of an arena block. */
  ref(ref: Ref): void {
    this.bytes(this.arena.segment(ref), this.arena.offset(ref), this.arena.length(ref))
  }

  /** A safe integer. */
  integer(value: number): void {
    if (!this.enabled) return
    this.header(36, integerLength(value))
    this.room(0)
    this.finish(writeInteger(this.buffer, this.at, value))
  }

  /** Hands all bytes to the subscribers and starts afresh, except within a unit that has effects. */
  drain(): void {
    if (this.at === 0 || (this.unitDepth > 0 && this.unitEffects > 0)) return
    if (this.targets !== JournalTarget.All) return
    this.room(0)
    const end = this.at
    this.at = 0
    this.unitStart = 0
    this.totalBytes += end
    this.drainedEffects = this.effectCount
    this.handOut(this.buffer, end)
    if (this.buffer.length > KEEP_BYTES_MAX) this.buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  }

  /** Hands out what was recorded before the unit that is open; of that one nothing goes out before it is whole. */
  drainBeforeUnit(): void {
    if (this.unitDepth === 0 || this.unitEffects === 0) {
      this.drain()
      return
    }
    const end = this.unitStart
    if (end === 0) return
    this.totalBytes += end
    this.drainedEffects = this.effectCount - this.unitEffects
    // Behind these bytes lies the unit, so they are moved to where there is room.
    const handedOut = Buffer.allocUnsafeSlow(end + DRAIN_SLACK_BYTES)
    this.buffer.copy(handedOut, 0, 0, end)
    this.handOut(handedOut, end)
    this.buffer.copyWithin(0, end, this.at)
    this.at -= end
    this.narrowStart = Math.max(0, this.narrowStart - end)
    this.unitStart = 0
  }

  /** Gives each subscriber what is for it of the first `end` bytes; ranges behind them are moved to the front. */
  private handOut(bytes: Buffer, end: number): void {
    const ranges = this.narrowRanges
    if (ranges.length === 0) {
      for (const { subscriber } of this.subscriptions) subscriber(bytes, 0, end)
      return
    }
    for (const { subscriber, target } of this.subscriptions) {
      const own = withoutRanges(bytes, end, ranges, target)
      if (own.length > DRAIN_SLACK_BYTES) subscriber(own, 0, own.length - DRAIN_SLACK_BYTES)
    }
    this.narrowRanges = ranges.filter((range) => range.start >= end)
    for (const range of this.narrowRanges) {
      range.start -= end
      range.end -= end
    }
  }

  private noteListeners(): void {
    this.listened = JournalTarget.None
    for (const { target } of this.subscriptions) this.listened |= target
    this.enabled = (this.listened & this.targets) !== 0
  }

  /** Whether effects are for some of those who listen only. */
  private get isNarrowed(): boolean {
    return (this.listened & ~this.targets) !== 0
  }

  private retarget(targets: number): void {
    if (this.isNarrowed && this.at > this.narrowStart) {
      this.narrowRanges.push({ start: this.narrowStart, end: this.at, targets: this.targets })
      // A SELECT among them has not reached everybody.
      if (this.selectedDb !== this.narrowDb) this.selectedDb = -1
    }
    // While data are loaded nothing is recorded for anybody.
    const isSuspended = !this.enabled && (this.listened & this.targets) !== 0
    this.targets = targets
    this.narrowStart = this.at
    this.narrowDb = this.selectedDb
    this.enabled = !isSuspended && (this.listened & targets) !== 0
  }

  private select(db: number): void {
    // Redis names the database before the transaction, where all receive both.
    const isFirst = this.unitDepth > 0 && this.at === this.unitStart && !this.isNarrowed
    this.selectedDb = db
    this.header(42, 2)
    this.header(36, 6)
    this.room(8)
    this.finish(this.at + this.buffer.latin1Write('SELECT', this.at, 6))
    this.header(36, integerLength(db))
    this.finish(writeInteger(this.buffer, this.at, db))
    if (isFirst) this.unitStart = this.at
  }

  private insertMulti(): void {
    this.room(MULTI.length)
    this.buffer.copyWithin(this.unitStart + MULTI.length, this.unitStart, this.at)
    MULTI.copy(this.buffer, this.unitStart)
    this.at += MULTI.length
    if (this.narrowStart >= this.unitStart) this.narrowStart += MULTI.length
    for (const range of this.narrowRanges) {
      if (range.start < this.unitStart) continue
      range.start += MULTI.length
      range.end += MULTI.length
    }
  }

  private raw(bytes: Buffer): void {
    this.room(bytes.length)
    bytes.copy(this.buffer, this.at)
    this.at += bytes.length
  }

  private header(type: number, value: number): void {
    this.room(0)
    this.buffer[this.at] = type
    this.finish(writeInteger(this.buffer, this.at + 1, value))
  }

  private finish(at: number): void {
    this.buffer[at] = CR
    this.buffer[at + 1] = LF
    this.at = at + 2
  }

  private room(bytes: number): void {
    if (this.at + bytes + SLACK_BYTES <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes + SLACK_BYTES))
    this.buffer.copy(grown, 0, 0, this.at)
    this.buffer = grown
  }
}

/** A copy of the first `end` bytes without what is not for `target`, with room behind it. */
function withoutRanges(bytes: Buffer, end: number, ranges: readonly NarrowRange[], target: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end + DRAIN_SLACK_BYTES)
  let length = 0
  let at = 0
  for (const range of ranges) {
    if (range.start >= end) break
    if ((range.targets & target) !== 0) continue
    length += bytes.copy(copy, length, at, range.start)
    at = range.end
  }
  length += bytes.copy(copy, length, at, end)
  return copy.subarray(0, length + DRAIN_SLACK_BYTES)
}
