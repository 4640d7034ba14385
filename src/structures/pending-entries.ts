/**
 * The pending entries list (PEL) of a consumer group: what was delivered and not acknowledged yet. Hot path.
 *
 * One IdTable holds the entries of the group in the order of their IDs, with delivery time, delivery count and owner;
 * each consumer has an IdTable with just the IDs that it owns. Both change together, here and nowhere else: an ID is in
 * the table of exactly one consumer of the group, or, when it was released (XNACK), of none.
 *
 *     group row     | ID (4 words) | delivery time (float64, ms) | delivery count (float64) | consumer | – |
 *     consumer row  | ID (4 words) |
 *
 * A released entry is free for everybody, before all that are idle; of several, the one first that was released first. So
 * its row holds a time before all others, which grows from one to the next; to the outside its delivery time is 0.
 *
 * By delivery time the list is ordered chunk-wise: each chunk of the group's table knows a lower bound of its delivery
 * times, so that a search for idle entries skips the chunks in which all were delivered recently.
 */
import type { Arena } from '../storage/arena.ts'
import { IdTable, NO_POSITION } from './id-table.ts'
import { StreamId } from './stream-id.ts'

const GROUP_STRIDE = 10
const CONSUMER_STRIDE = 4
const TIME_WORD = 4
const COUNT_WORD = 6
const CONSUMER_WORD = 8

/** Consumer of an entry that was released. */
const NOBODY = -1
/** Time in the row of the entry that is released first. */
const RELEASED_FROM = -(2 ** 53)

/** Delivery count of an entry that is given up as hopeless: the greatest of 64 bits, 2^63 - 1, which no double holds. */
export const DELIVERIES_MAX = 2 ** 63
const DELIVERIES_MAX_TEXT = '9223372036854775807'

/** Active time of a consumer that never got an entry. */
export const NEVER_ACTIVE = -1

/** A consumer of a group. */
export class Consumer {
  /** Byte string. */
  readonly name: string
  /** Its number in the group, as the pending entries hold it. */
  readonly index: number
  /** When it last tried to read or claim, in ms. */
  seenTime: number
  /** When it last got an entry, in ms, or NEVER_ACTIVE. */
  activeTime: number = NEVER_ACTIVE
  /** The IDs it owns. Changed by PendingEntries only. */
  readonly pending: IdTable

  constructor(arena: Arena, name: string, index: number, now: number) {
    this.pending = new IdTable(arena, CONSUMER_STRIDE)
    this.name = name
    this.index = index
    this.seenTime = now
  }
}

/** An entry that nobody has asked for in a while. */
export interface IdleEntry {
  readonly id: StreamId
  /** When it was last delivered; before all times when it was released. */
  readonly timeMs: number
}

/** The delivery count after one more delivery. */
export function nextDelivery(count: number): number {
  return count >= Number.MAX_SAFE_INTEGER ? DELIVERIES_MAX : count + 1
}

/** A delivery count that was read: what doubles do not hold exactly is the greatest one. */
export function toDeliveries(count: number): number {
  return count > Number.MAX_SAFE_INTEGER ? DELIVERIES_MAX : count
}

/** A delivery count as decimal text. */
export function deliveriesText(count: number): string {
  return count === DELIVERIES_MAX ? DELIVERIES_MAX_TEXT : String(count)
}

export class PendingEntries {
  private readonly table: IdTable
  /** The group's consumers by their index; null where one was deleted. */
  private readonly consumers: (Consumer | null)[]
  /** Entries that belong to nobody. */
  private released = 0
  /** Entries that were ever released. */
  private releases = 0

  constructor(arena: Arena, consumers: (Consumer | null)[]) {
    this.table = new IdTable(arena, GROUP_STRIDE)
    this.consumers = consumers
  }

  get size(): number {
    return this.table.size
  }

  /** How many of them were released and belong to nobody. */
  get releasedCount(): number {
    return this.released
  }

  /** Position of an entry, NO_POSITION when it is not pending. Valid until an entry is added or removed. */
  find(id: StreamId): number {
    return this.table.find(id)
  }

  /** Position of the first entry whose ID is at least `id`, or NO_POSITION. */
  ceiling(id: StreamId): number {
    return this.table.ceiling(id)
  }

  first(): number {
    return this.table.first()
  }

  last(): number {
    return this.table.last()
  }

  next(position: number): number {
    return this.table.next(position)
  }

  readId(position: number, id: StreamId): void {
    this.table.readId(position, 0, id)
  }

  /** When the entry was last delivered, in ms; 0 when it was released. */
  deliveryTime(position: number): number {
    return this.isReleased(position) ? 0 : this.table.double(position, TIME_WORD)
  }

  deliveryCount(position: number): number {
    return this.table.double(position, COUNT_WORD)
  }

  /** Whose the entry is; null when it was released. */
  owner(position: number): Consumer | null {
    const index = this.table.word(position, CONSUMER_WORD)
    return index === NOBODY ? null : this.consumers[index]!
  }

  /** Whether the entry was released and nobody has taken it since. */
  isReleased(position: number): boolean {
    return this.table.word(position, CONSUMER_WORD) === NOBODY
  }

  /** Takes the entry at `position`, whose ID is `id`, from its consumer: it is nobody's, behind others that are. */
  release(position: number, id: StreamId, count: number): void {
    const owner = this.owner(position)
    if (owner !== null) {
      owner.pending.remove(owner.pending.find(id))
      this.released++
    }
    this.table.setWord(position, CONSUMER_WORD, NOBODY)
    this.setDelivery(position, RELEASED_FROM + this.releases++, count)
  }

  /** Adds an entry that is not pending as a released one. */
  addReleased(id: StreamId, count: number): void {
    const position = this.table.insert(id)
    this.released++
    this.table.setWord(position, CONSUMER_WORD, NOBODY)
    this.setDelivery(position, RELEASED_FROM + this.releases++, count)
  }

  /** The released entries in the order in which they were released. O(n) in the chunks that hold some. */
  releasedEntries(): IdleEntry[] {
    if (this.released === 0) return []
    return this.idlest(RELEASED_FROM + this.releases, 0, (id) => this.isReleased(this.find(id)))
  }

  setDelivery(position: number, timeMs: number, count: number): void {
    this.table.setDouble(position, TIME_WORD, timeMs)
    this.table.setDouble(position, COUNT_WORD, count)
    this.table.lowerTo(position, timeMs)
  }

  /** Adds an entry that is not pending. Returns its position. */
  add(id: StreamId, consumer: Consumer, timeMs: number, count: number): number {
    const position = this.table.insert(id)
    this.table.setWord(position, CONSUMER_WORD, consumer.index)
    this.setDelivery(position, timeMs, count)
    consumer.pending.insert(id)
    return position
  }

  /**
   * Records a delivery of an entry by XREADGROUP: pending for `consumer`, delivered once, now; taken from another
   * consumer if it was pending there, which is possible after XGROUP SETID. Returns its position.
   */
  deliver(id: StreamId, consumer: Consumer, nowMs: number): number {
    const last = this.table.last()
    if (last === NO_POSITION || this.table.compareAt(last, id) < 0) return this.add(id, consumer, nowMs, 1)
    const position = this.table.find(id)
    if (position === NO_POSITION) return this.add(id, consumer, nowMs, 1)
    this.assign(position, id, consumer)
    this.setDelivery(position, nowMs, 1)
    return position
  }

  /** Gives the entry at `position`, whose ID is `id`, to a consumer. */
  assign(position: number, id: StreamId, consumer: Consumer): void {
    const owner = this.owner(position)
    if (owner === consumer) return
    if (owner === null) this.released--
    else owner.pending.remove(owner.pending.find(id))
    consumer.pending.insert(id)
    this.table.setWord(position, CONSUMER_WORD, consumer.index)
  }

  /** Removes the entry at `position`, whose ID is `id`. */
  remove(position: number, id: StreamId): void {
    const owner = this.owner(position)
    if (owner === null) this.released--
    else owner.pending.remove(owner.pending.find(id))
    this.table.remove(position)
  }

  /** Removes an entry. Returns whether it was pending. O(log n). */
  acknowledge(id: StreamId): boolean {
    const position = this.table.find(id)
    if (position === NO_POSITION) return false
    this.remove(position, id)
    return true
  }

  /** Removes all entries of a consumer. O(m log n) for its m entries. */
  removeAllOf(consumer: Consumer, scratch: StreamId): void {
    const pending = consumer.pending
    for (let at = pending.first(); at !== NO_POSITION; at = pending.next(at)) {
      pending.readId(at, 0, scratch)
      this.table.remove(this.table.find(scratch))
    }
    pending.clear()
  }

  /**
   * The first entry from `position` on that was delivered at `timeMs` or before, or NO_POSITION. `position` may be
   * NO_POSITION. Chunks without such an entry are skipped.
   */
  nextDeliveredBy(position: number, timeMs: number): number {
    const table = this.table
    let at = position
    while (at !== NO_POSITION) {
      const following = table.nextChunk(at)
      if (table.lowerBound(at) <= timeMs) {
        const first = at
        for (; at !== NO_POSITION && at !== following; at = table.next(at)) {
          if (table.double(at, TIME_WORD) <= timeMs) return at
        }
        // The bound had promised more than there is from here on: it may be outdated.
        table.tightenBound(first, TIME_WORD)
      }
      at = following
    }
    return NO_POSITION
  }

  /**
   * Entries that were delivered at `timeMs` or before and are wanted, the longest ago first, `count` at most (0: all); those
   * delivered at once come in the order of their IDs. Chunks of the table are visited in the order of their bounds, as
   * long as they may hold something earlier than what was found.
   */
  idlest(timeMs: number, count: number, isWanted: (id: StreamId) => boolean): IdleEntry[] {
    const { table } = this
    const chunks: { readonly at: number; readonly bound: number }[] = []
    for (let at = table.first(); at !== NO_POSITION; at = table.nextChunk(at)) {
      if (table.lowerBound(at) <= timeMs) chunks.push({ at, bound: table.lowerBound(at) })
    }
    chunks.sort((a, b) => a.bound - b.bound)
    let found: IdleEntry[] = []
    for (const { at, bound } of chunks) {
      if (count > 0 && found.length >= count && found[count - 1]!.timeMs < bound) break
      this.collectIdle(at, timeMs, isWanted, found)
      if (count === 0) continue
      found.sort(compareIdle)
      found = found.slice(0, count)
    }
    return count === 0 ? found.sort(compareIdle) : found
  }

  /** When the first entry was delivered that was delivered after `timeMs`, or a bound of it; Infinity without one. */
  firstDeliveryAfter(timeMs: number): number {
    const { table } = this
    let first = Number.POSITIVE_INFINITY
    for (let at = table.first(); at !== NO_POSITION; at = table.nextChunk(at)) {
      const bound = table.lowerBound(at)
      if (bound > timeMs) first = Math.min(first, bound)
      else first = Math.min(first, this.firstInChunkAfter(at, timeMs))
    }
    return first
  }

  private firstInChunkAfter(start: number, timeMs: number): number {
    const { table } = this
    const following = table.nextChunk(start)
    let first = Number.POSITIVE_INFINITY
    for (let at = start; at !== NO_POSITION && at !== following; at = table.next(at)) {
      const delivered = table.double(at, TIME_WORD)
      if (delivered > timeMs && delivered < first) first = delivered
    }
    return first
  }

  private collectIdle(start: number, timeMs: number, isWanted: (id: StreamId) => boolean, found: IdleEntry[]): void {
    const { table } = this
    const following = table.nextChunk(start)
    for (let at = start; at !== NO_POSITION && at !== following; at = table.next(at)) {
      const delivered = table.double(at, TIME_WORD)
      if (delivered > timeMs) continue
      const id = new StreamId()
      table.readId(at, 0, id)
      if (isWanted(id)) found.push({ id, timeMs: delivered })
    }
    // It may have been lower than what is there.
    table.tightenBound(start, TIME_WORD)
  }

  /** Copies all entries into the empty list of another group whose consumers have the same indices. */
  copyTo(target: PendingEntries): void {
    target.table.copyFrom(this.table)
    target.released = this.released
    target.releases = this.releases
  }

  /** Gives up the list and those of the consumers. */
  free(): void {
    this.table.clear()
    for (const consumer of this.consumers) consumer?.pending.clear()
  }

  overheadBytes(): number {
    return this.table.overheadBytes()
  }
}

function compareIdle(a: IdleEntry, b: IdleEntry): number {
  return a.timeMs === b.timeMs ? a.id.compare(b.id) : a.timeMs - b.timeMs
}
