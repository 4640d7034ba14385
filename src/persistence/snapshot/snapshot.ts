/**
 * Snapshots without a fork: the keyspace as it was when the snapshot began, written in slices between loop turns.
 *
 *     begin ──▶ each database gets marks, one bit a key
 *     slice ──▶ walks rows from the top down: key after key to the records, which a writer takes when they are many
 *     before a key changes ──▶ it is written first, wherever the walk is (beforeChange)
 *     end ──▶ the file is complete and synced; giving it its name is the caller's business
 *
 * A big value is written in pieces, as a task. A collection's walk keeps what changes in it meanwhile; a long string that
 * is about to change is copied to its end. Only one task is in the midst of the records; keys that change before it is
 * whole gather beside them, and collections that are about to change wait as tasks of their own. A key that is removed in
 * the midst of its task leaves its collection to the task.
 * A cleared database is handed over as it is: its keys are written like all others, then freed in slices too.
 *
 * Slices take about a third of the loop's time while there is other work, and never more than SLICE_MAX_MS at a time.
 */
import { type Files, SYSTEM_FILES } from '../../files/files.ts'
import { asError } from '../../files/thrown.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Keyspace, KeyspaceWalk } from '../../keyspace/keyspace.ts'
import { RowMarks } from '../../keyspace/row-marks.ts'
import { NO_REF, type Ref } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { Collection } from '../../structures/kind.ts'
import { RecordBuffer } from '../rdb/record-buffer.ts'
import { type BigRecord, isBigValue, isLongString, type SnapshotFormat, type SnapshotInfo } from '../snapshot-format.ts'
import type { SnapshotFileOptions } from './snapshot-file.ts'
import {
  DirectWriter,
  hasWriterThread,
  type SnapshotWriter,
  ThreadWriter,
  type WriterEvents,
} from './snapshot-writer.ts'

/** Shortest and longest slice, in ms. */
const SLICE_MIN_MS = 0.3
const SLICE_MAX_MS = 2
/** Time of a slice in relation to that of the turns since the last one. */
const SLICE_SHARE = 0.5
/** Keys between two looks at the clock. */
const KEYS_PER_LOOK = 64
/** Bytes of a collection that are written at once. */
const STEP_BYTES = 64 * 1024
/** Records are handed to the writer from this size on. */
const RECORDS_MIN_BYTES = 512 * 1024
/** Keys freed at once of a database that was cleared, and elements of a collection that was removed. */
const FREE_COUNT = 512

/** Room for what stands before the elements of a big value: most keys are short. */
const HEAD_CAPACITY = 128
/** A queue is not cut for fewer tasks that are no longer in it. */
const TAKEN_MIN = 64

const NO_KEY = Buffer.alloc(0)

/** A snapshot that was given up. */
export class SnapshotAbortedError extends Error {}

export interface SnapshotRequest {
  readonly format: SnapshotFormat
  /** What the head of the file says. */
  readonly info: SnapshotInfo
  /** Whether it holds the keys, or only what stands in the header. Default: yes. */
  readonly hasKeys?: boolean
  /** The file that is written. It is complete and synced when `done` is told so, and removed when it failed. */
  readonly path: string
  readonly compresses: boolean
  /** Whether the file ends with a checksum; null for a format that has no place for one. */
  readonly checksums: boolean | null
  readonly syncsPieces: boolean
  /** Pause after each key in microseconds, for tests; 0: none. Can be changed on the way (setKeyDelay). */
  readonly keyDelayUs: number
  /** Called once, in a later turn: null when the file is complete. */
  readonly done: (error: Error | null) => void
}

/** What INFO tells of the snapshot under way. */
export interface SnapshotStatus {
  readonly isActive: boolean
  /** How many keys there are in it, and how many are written. */
  readonly keysTotal: number
  readonly keysDone: number
  /** Memory that it holds for itself, in bytes. */
  readonly heldBytes: number
}

/** A collection on its way. */
interface BigTask {
  readonly marks: RowMarks
  /** The collection; null for a long string. */
  readonly object: Collection | null
  /** The key of a long string, and its block. It is not marked as done before it is whole, so that its change is told. */
  readonly key: Buffer
  readonly ref: Ref
  /** What stands before the elements. */
  readonly head: RecordBuffer
  readonly record: BigRecord
  /** Whether nobody else has the collection any more. */
  isOwned: boolean
}

/** Makes snapshots, one at a time. */
export class Snapshots implements SnapshotStatus {
  private readonly keyspace: Keyspace
  private readonly files: Files
  private readonly sliceDone: (startMs: number) => void
  private walk: SnapshotWalk | null = null
  /** Whether a snapshot has begun whose end is not told yet. */
  isActive: boolean = false

  /**
   * @param files other ones than the system's (of tests) stay in this thread
   * @param sliceDone told after each slice when it began, in ms of the monotonic clock
   */
  constructor(keyspace: Keyspace, files: Files, sliceDone: (startMs: number) => void = () => {}) {
    this.keyspace = keyspace
    this.files = files
    this.sliceDone = sliceDone
  }

  get keysTotal(): number {
    return this.isActive ? (this.walk?.keysTotal ?? 0) : 0
  }

  get keysDone(): number {
    return this.isActive ? (this.walk?.keysDone ?? 0) : 0
  }

  get heldBytes(): number {
    return this.isActive ? (this.walk?.heldBytes ?? 0) : 0
  }

  /** Begins a snapshot of this moment. There must be none under way. @throws what prevents it, such as no room for a thread */
  begin(request: SnapshotRequest): void {
    this.finishFreeing()
    // A snapshot can fail in the midst of a command, which is no moment to begin something else.
    const done = (error: Error | null): void => {
      setImmediate(() => {
        this.isActive = false
        request.done(error)
      })
    }
    const fileOptions: SnapshotFileOptions = {
      path: request.path,
      compresses: request.compresses,
      checksums: request.checksums,
      syncsPieces: request.syncsPieces,
    }
    const inThread = this.files === SYSTEM_FILES && hasWriterThread()
    const openWriter = (events: WriterEvents): SnapshotWriter =>
      inThread ? new ThreadWriter(fileOptions, events) : new DirectWriter(fileOptions, this.files, events)
    const walk = new SnapshotWalk(this.keyspace, { ...request, done }, openWriter, this.sliceDone)
    this.walk = walk
    this.isActive = true
    walk.start()
  }

  /** Writes a snapshot while everything else waits, the rest of one under way included. @throws what prevented it */
  saveNow(request: Omit<SnapshotRequest, 'done' | 'keyDelayUs'>): void {
    this.walk?.runToEnd()
    const outcome: { error: Error | null } = { error: null }
    const done = (error: Error | null): void => {
      outcome.error = error
    }
    const complete: SnapshotRequest = { ...request, keyDelayUs: 0, done }
    const openWriter = (events: WriterEvents): SnapshotWriter => new DirectWriter(request, this.files, events)
    new SnapshotWalk(this.keyspace, complete, openWriter, this.sliceDone).runToEnd()
    if (outcome.error !== null) throw outcome.error
  }

  /** Gives up the snapshot under way, if there is one; it is told so. */
  abort(): void {
    this.walk?.abort()
  }

  /** Changes the pause after each key of the snapshot under way; one that lasts ends. */
  setKeyDelay(delayUs: number): void {
    this.walk?.setKeyDelay(delayUs)
  }

  /** A cleared database of the last snapshot may not be freed yet: a new one cannot begin before. */
  private finishFreeing(): void {
    this.walk?.freeAll()
    this.walk = null
  }
}

class SnapshotWalk implements KeyspaceWalk, WriterEvents {
  private readonly keyspace: Keyspace
  private readonly request: SnapshotRequest
  private readonly format: SnapshotFormat
  private readonly writer: SnapshotWriter
  private readonly sliceDone: (startMs: number) => void
  private readonly parts: RowMarks[] = []
  private part = 0
  private records = new RecordBuffer()
  private recordsDb = -1
  /** Keys written while a collection is in the midst of the records; `besideFull` comes first. */
  private beside = new RecordBuffer()
  private besideFull: RecordBuffer[] = []
  private besideDb = -1
  private current: BigTask | null = null
  /** Tasks from `taken` on are still to begin. There may be as many as there are big values. */
  private waiting: BigTask[] = []
  private taken = 0
  /** All tasks, by what they write. */
  private readonly taskOfObject = new Map<Collection, BigTask>()
  private readonly taskOfString = new Map<Ref, BigTask>()
  /** Databases that were cleared: nobody else has them any more. */
  private readonly cleared: Database[] = []
  /** Collections whose keys were removed before they were written. */
  private readonly removed: Collection[] = []
  private isComplete: boolean = false
  private isTold: boolean = false
  private isScheduled: boolean = false
  private sliceEndMs = 0
  private keyDelayUs: number
  private delayedUntilMs = 0
  private timer: NodeJS.Timeout | null = null
  readonly keysTotal: number
  keysDone = 0
  ownedBytes = 0

  constructor(
    keyspace: Keyspace,
    request: SnapshotRequest,
    openWriter: (events: WriterEvents) => SnapshotWriter,
    sliceDone: (startMs: number) => void,
  ) {
    this.sliceDone = sliceDone
    this.keyspace = keyspace
    this.request = request
    this.format = request.format
    this.keyDelayUs = request.keyDelayUs
    // If that fails, nothing has begun.
    this.writer = openWriter(this)
    let keys = 0
    for (const db of keyspace.databases) {
      if (db.keys.size === 0 || request.hasKeys === false) continue
      db.marks = new RowMarks(db)
      this.parts.push(db.marks)
      keys += db.keys.size
    }
    this.keysTotal = keys
    keyspace.walk = this
    this.attempt(() => this.format.header(this.records, request.info))
  }

  get heldBytes(): number {
    let bytes = this.writer.heldBytes + this.records.capacity + this.beside.capacity
    for (const full of this.besideFull) bytes += full.capacity
    for (const task of this.tasks()) bytes += task.head.capacity + task.record.heldBytes
    for (const marks of this.parts) bytes += marks.bytes
    return bytes
  }

  start(): void {
    this.sliceEndMs = performance.now()
    this.schedule()
  }

  /** Everything in one go. */
  runToEnd(): void {
    while (!this.isTold && !this.isComplete) {
      this.attempt(this.step)
      this.handOver(RECORDS_MIN_BYTES)
    }
    // In this order: what is freed is not to be kept for anybody.
    this.removeMarks()
    this.freeAll()
  }

  // ---- what the keyspace tells ---------------------------------------------------------------------------------

  beforeChange(db: Database, row: number): void {
    this.attempt(() => {
      this.writeRow(db, row)
      if (db.marks === null || db.marks.isDone(row)) return
      // It is a long string, which cannot wait any longer.
      this.taskOfString.get(db.ref(row))?.record.keepRest()
      db.marks.setDone(row)
    })
    // The writer may be full, but one buffer for all that changes meanwhile would be copied again and again as it grows.
    this.handOver(RECORDS_MIN_BYTES)
  }

  takes(object: Collection): boolean {
    const task = this.taskOfObject.get(object)
    if (task === undefined) return false
    task.isOwned = true
    this.ownedBytes += object.arenaBytes() + object.overheadBytes()
    return true
  }

  detached(db: Database): void {
    const { arena, databases } = this.keyspace
    // Its keys are taken for as big as the others.
    const others = databases.reduce((keys, other) => keys + other.size, 0)
    if (db.size > 0) this.ownedBytes += ((arena.usedBytes - this.ownedBytes) * db.size) / (db.size + others)
    this.cleared.push(db)
  }

  account(): { bytes: number; blocks: number } {
    let bytes = 0
    let blocks = 0
    for (const db of this.cleared) {
      const sum = db.account()
      bytes += sum.bytes
      blocks += sum.blocks
    }
    for (const task of this.tasks()) {
      if (!task.isOwned || task.object === null) continue
      bytes += task.object.arenaBytes()
      blocks += task.object.arenaBlocks()
    }
    for (const object of this.removed) {
      bytes += object.arenaBytes()
      blocks += object.arenaBlocks()
    }
    return { bytes, blocks }
  }

  // ---- what the writer tells -----------------------------------------------------------------------------------

  drained(): void {
    this.schedule()
  }

  completed(): void {
    this.end(null)
  }

  failed(error: Error): void {
    this.end(error)
  }

  abort(): void {
    if (this.isTold) return
    this.writer.discard()
    this.end(new SnapshotAbortedError('Snapshot aborted'))
  }

  /** Frees what is left to be freed. */
  freeAll(): void {
    while (this.hasToFree) this.freeSome()
    if (this.timer !== null) clearTimeout(this.timer)
    if (this.keyspace.walk === this) this.keyspace.walk = null
  }

  /** The snapshot is over: nobody's changes matter any more. */
  private end(error: Error | null): void {
    if (this.isTold) return
    this.isTold = true
    for (const task of this.tasks()) this.endTask(task)
    this.current = null
    this.waiting = []
    this.taken = 0
    // What is left of them is of no use, and may be much.
    this.records = new RecordBuffer(0)
    this.beside = new RecordBuffer(0)
    this.besideFull = []
    this.removeMarks()
    this.endPause()
    this.schedule()
    this.writer.whenGone(() => this.request.done(error))
  }

  private removeMarks(): void {
    for (const marks of this.parts) if (marks.owner.marks === marks) marks.owner.marks = null
  }

  // ---- slices --------------------------------------------------------------------------------------------------

  private schedule(): void {
    if (this.isScheduled || this.timer !== null) return
    this.isScheduled = true
    setImmediate(this.slice)
  }

  private readonly slice = (): void => {
    this.isScheduled = false
    if (this.keyspace.walk !== this) return
    const begun = performance.now()
    const share = Math.min(SLICE_MAX_MS, Math.max(SLICE_MIN_MS, (begun - this.sliceEndMs) * SLICE_SHARE))
    const until = begun + share
    while (!this.isTold && !this.isComplete && !this.writer.isFull && performance.now() < until) {
      if (this.mustPause(begun)) return
      this.attempt(this.step)
      this.handOver(RECORDS_MIN_BYTES)
    }
    while (this.isTold && this.hasToFree && performance.now() < until) this.freeSome()
    this.sliceDone(begun)
    this.sliceEndMs = performance.now()
    if (this.isTold ? this.hasToFree : !this.isComplete && !this.writer.isFull) this.schedule()
    else if (this.isTold) this.freeAll()
  }

  setKeyDelay(delayUs: number): void {
    this.keyDelayUs = delayUs
    this.endPause()
    this.schedule()
  }

  private endPause(): void {
    this.delayedUntilMs = 0
    if (this.timer === null) return
    clearTimeout(this.timer)
    this.timer = null
  }

  /** Waits as `keyDelayUs` wants it. */
  private mustPause(now: number): boolean {
    if (this.delayedUntilMs <= now) return false
    this.timer = setTimeout(() => {
      this.timer = null
      this.schedule()
    }, this.delayedUntilMs - now)
    return true
  }

  /** One piece of work: a part of a collection, some keys, or the end of the records. */
  private readonly step = (): void => {
    const task = this.current
    if (task !== null) {
      if (!this.stepTask(task)) return
      this.endTask(task)
      this.current = null
      this.takeBeside()
      return
    }
    const next = this.takeWaiting()
    if (next !== null) {
      this.selectInRecords(next.marks)
      this.records.append(next.head)
      this.current = next
      return
    }
    this.walkKeys()
  }

  /** Writes some of a big value; what is freed on the way, because its key is gone, is owned no longer. */
  private stepTask(task: BigTask): boolean {
    const { arena } = this.keyspace
    const before = arena.usedBytes
    const isWhole = task.record.step(this.records, STEP_BYTES)
    if (task.isOwned) this.ownedBytes = Math.max(0, this.ownedBytes - (before - arena.usedBytes))
    return isWhole
  }

  private walkKeys(): void {
    let keys = this.keyDelayUs > 0 ? 1 : KEYS_PER_LOOK
    while (keys > 0) {
      const marks = this.parts[this.part]
      if (marks === undefined) {
        this.completeRecords()
        return
      }
      const db = marks.owner
      if (marks.cursor > db.keys.size) marks.cursor = db.keys.size
      while (keys > 0 && marks.cursor > 0) {
        const row = --marks.cursor
        if (marks.isDone(row)) continue
        keys--
        this.writeRow(db, row)
        // A big value comes first, so that few of them wait.
        if (this.waiting.length > this.taken) keys = 0
      }
      if (marks.cursor === 0) this.part++
    }
    if (this.keyDelayUs > 0) this.delayedUntilMs = performance.now() + this.keyDelayUs / 1000
  }

  /** Writes a key that is not done, or begins to. */
  private writeRow(db: Database, row: number): void {
    const marks = db.marks
    if (marks === null) return
    if (isBigValue(db, row)) {
      this.beginTask(db, marks, row)
      return
    }
    marks.setDone(row)
    this.keysDone++
    if (this.current === null) {
      this.selectInRecords(marks)
      this.format.value(this.records, db, row)
      return
    }
    if (this.besideDb !== marks.index) this.format.database(this.beside, marks.index, marks.size, marks.expiring)
    this.besideDb = marks.index
    this.format.value(this.beside, db, row)
    if (this.beside.length < RECORDS_MIN_BYTES) return
    this.besideFull.push(this.beside)
    this.beside = new RecordBuffer()
  }

  private beginTask(db: Database, marks: RowMarks, row: number): void {
    const isString = isLongString(db, row)
    const ref = isString ? db.ref(row) : NO_REF
    // A long string is met again when its row has moved.
    if (isString && this.taskOfString.has(ref)) return
    if (!isString) marks.setDone(row)
    this.keysDone++
    const head = new RecordBuffer(HEAD_CAPACITY)
    const record = this.format.big(head, db, row)
    const key = isString ? Buffer.from(db.keyText(row), 'latin1') : NO_KEY
    const object = isString ? null : db.object(row)
    const task: BigTask = { marks, object, key, ref, head, record, isOwned: false }
    this.waiting.push(task)
    if (object === null) this.taskOfString.set(ref, task)
    else this.taskOfObject.set(object, task)
  }

  private takeWaiting(): BigTask | null {
    const task = this.waiting[this.taken]
    if (task === undefined) return null
    this.taken++
    if (this.taken >= TAKEN_MIN && this.taken * 2 >= this.waiting.length) {
      this.waiting = this.waiting.slice(this.taken)
      this.taken = 0
    }
    return task
  }

  /** A long string is whole, or kept: its changes matter no more. */
  private markString({ marks, key }: BigTask): void {
    const { keys } = marks.owner
    const row = keys.find(key, 0, key.length)
    if (row !== NO_ROW && marks.owner.marks === marks) marks.setDone(row)
  }

  private selectInRecords(marks: RowMarks): void {
    if (this.recordsDb === marks.index) return
    this.recordsDb = marks.index
    this.format.database(this.records, marks.index, marks.size, marks.expiring)
  }

  private takeBeside(): void {
    if (this.besideDb === -1) return
    if (this.besideFull.length > 0) {
      this.handOver(1)
      for (const full of this.besideFull) if (!this.isTold) this.writer.write(full)
      this.besideFull = []
    }
    this.records.append(this.beside)
    this.recordsDb = this.besideDb
    this.beside.reset()
    this.besideDb = -1
  }

  private completeRecords(): void {
    this.format.footer(this.records)
    this.handOver(1)
    this.isComplete = true
    this.writer.complete()
  }

  private handOver(bytesMin: number): void {
    if (this.records.length >= bytesMin && !this.isTold) this.writer.write(this.records)
  }

  /** What cannot be written (memory, a format that has no place for it) fails the snapshot and nothing else. */
  private attempt(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.writer.discard()
      this.end(asError(error))
    }
  }

  private endTask(task: BigTask): void {
    task.record.close()
    if (task.object === null) {
      this.taskOfString.delete(task.ref)
      this.markString(task)
      return
    }
    this.taskOfObject.delete(task.object)
    if (task.isOwned) this.removed.push(task.object)
  }

  private get hasToFree(): boolean {
    return this.cleared.length > 0 || this.removed.length > 0
  }

  private freeSome(): void {
    const { arena } = this.keyspace
    const before = arena.usedBytes
    this.freeStep()
    this.ownedBytes = this.hasToFree ? Math.max(0, this.ownedBytes - (before - arena.usedBytes)) : 0
  }

  /** Frees a part of what nobody uses any more. */
  private freeStep(): void {
    const object = this.removed.at(-1)
    if (object !== undefined) {
      if (object.freeSome(FREE_COUNT)) this.removed.pop()
      return
    }
    const db = this.cleared.at(-1)
    if (db !== undefined && !db.freeSome(FREE_COUNT)) this.cleared.pop()
  }

  private tasks(): BigTask[] {
    const waiting = this.waiting.slice(this.taken)
    return this.current === null ? waiting : [this.current, ...waiting]
  }
}
