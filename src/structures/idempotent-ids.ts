/**
 * What producers have added to a stream lately, for XADD with IDMP and IDMPAUTO: a second entry with the same producer
 * and idempotent ID is not added, and its producer is told the ID of the first. Hot path.
 *
 * An idempotent ID is forgotten when its entry's time is `durationSeconds` ago, or when its producer has `maxSize` newer
 * ones. Those whose time is over are removed when others come, a bounded number each time, and are absent before.
 *
 *     producers   Dict: name → row in producerRows
 *     records     Dict: producer's row (4 bytes) and idempotent ID → row in recordRows
 *     producer row    | block of the name | oldest record | newest record | count |
 *     record row      | block of the key | producer | previous | next | next of the producer | entry ID (4 words) |
 *
 * All records form a list in the order of arrival, which is that of their times; those of a producer form another, and only
 * its oldest is ever removed. A producer without records is forgotten. Source of the rules: redis.io/commands/xadd (8.6).
 */
import { type Arena, copyBytes, type Ref } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'
import { NO_POOL_ROW, RowPool } from './row-pool.ts'
import { StreamId } from './stream-id.ts'

const ProducerWord = { Name: 0, Oldest: 1, Newest: 2, Count: 3 } as const
const PRODUCER_STRIDE = 4
const RecordWord = { Key: 0, Producer: 1, Previous: 2, Next: 3, ProducerNext: 4, Id: 5 } as const
const RECORD_STRIDE = 9
const ID_WORDS = 4
/** Bytes of the producer's row in the key of a record. */
const PREFIX_BYTES = 4
/** Estimated bytes of the objects themselves. */
const OBJECT_BYTES = 1024
/** Records whose time is over that go when another one comes: more than one, so that they get fewer. */
const EXPIRED_PER_RECORD = 16
const SCRATCH_BYTES = 256
const SCRATCH_BYTES_MAX = 65536
const MS_PER_SECOND = 1000
const TWO_32 = 4294967296

/** What XCFGSET takes at most: how long idempotent IDs are remembered, and how many of one producer. */
export const DURATION_SECONDS_MAX = 86400
export const MAXSIZE_MAX = 10000

/** A producer and one of its idempotent IDs, as byte ranges. */
export class IdempotencyKey {
  producerBuffer: Uint8Array = Buffer.alloc(0)
  producerStart = 0
  producerLength = 0
  idBuffer: Uint8Array = Buffer.alloc(0)
  idStart = 0
  idLength = 0

  setProducer(buffer: Uint8Array, start: number, length: number): void {
    this.producerBuffer = buffer
    this.producerStart = start
    this.producerLength = length
  }

  setId(buffer: Uint8Array, start: number, length: number): void {
    this.idBuffer = buffer
    this.idStart = start
    this.idLength = length
  }
}

/** A record, for who writes them down. */
export interface IdempotentRecord {
  /** Byte strings. */
  readonly producer: string
  readonly idempotentId: string
  readonly id: StreamId
}

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

export class IdempotentIds {
  /** How long an idempotent ID is remembered, in seconds. */
  durationSeconds: number
  /** Idempotent IDs remembered of a producer at most. */
  maxSize: number
  /** Entries that were ever added with an idempotent ID, and duplicates that were not added. */
  added = 0
  duplicates = 0
  private readonly arena: Arena
  private readonly seed: number
  private readonly producers: Dict
  private readonly records: Dict
  private readonly producerRows: RowPool
  private readonly recordRows: RowPool
  private oldest: number = NO_POOL_ROW
  private newest: number = NO_POOL_ROW
  private bytes = 0

  /**
   * @param arena counts the bytes from here on, until `free`.
   * @param seed of the hash function
   */
  constructor(arena: Arena, seed: number, durationSeconds: number, maxSize: number) {
    this.arena = arena
    this.seed = seed
    this.durationSeconds = durationSeconds
    this.maxSize = maxSize
    this.producers = new Dict(arena, DictStride.Map, seed)
    this.records = new Dict(arena, DictStride.Map, seed)
    this.producerRows = new RowPool(arena, PRODUCER_STRIDE)
    this.recordRows = new RowPool(arena, RECORD_STRIDE)
    arena.outsideBytes += OBJECT_BYTES
  }

  /** Producers and idempotent IDs that are remembered, be their time over. */
  get producerCount(): number {
    return this.producers.size
  }

  get size(): number {
    return this.records.size
  }

  /** Puts the ID of the entry that was added under `key` into `id`. Returns false when none is remembered. */
  find(key: IdempotencyKey, nowMs: number, id: StreamId): boolean {
    const producer = this.producerOf(key)
    if (producer === NO_POOL_ROW) return false
    const row = this.recordOf(producer, key)
    if (row === NO_POOL_ROW || this.isOver(row, nowMs)) return false
    this.readId(row, id)
    return true
  }

  /** Remembers that the entry `id` was added under `key`; an older one of the same key is forgotten. */
  record(key: IdempotencyKey, id: StreamId, nowMs: number): void {
    this.removeExpired(nowMs, EXPIRED_PER_RECORD)
    // An older record of the key is here only if its time is over, or was where this one was made: so is that of all
    // before it, and what goes is always the oldest of its producer.
    while (this.has(key)) this.removeRecord(this.oldestOf(this.producerOf(key)))
    let producer = this.producerOf(key)
    if (producer !== NO_POOL_ROW && this.producerRows.word(producer, ProducerWord.Count) >= this.maxSize) {
      this.removeRecord(this.oldestOf(producer))
      producer = this.producerOf(key)
    }
    if (producer === NO_POOL_ROW) producer = this.addProducer(key)
    this.addRecord(producer, key, id)
  }

  /** Sets duration and size; what is remembered is forgotten when that changes one of them. */
  configure(durationSeconds: number, maxSize: number): void {
    if (durationSeconds === this.durationSeconds && maxSize === this.maxSize) return
    this.durationSeconds = durationSeconds
    this.maxSize = maxSize
    this.forgetAll()
  }

  /** Removes up to `limit` records whose time is over. */
  removeExpired(nowMs: number, limit: number): void {
    for (let left = limit; left > 0 && this.oldest !== NO_POOL_ROW; left--) {
      if (!this.isOver(this.oldest, nowMs)) return
      this.removeRecord(this.oldest)
    }
  }

  /** All records, the oldest first. They must not change meanwhile. */
  *entries(): Generator<IdempotentRecord, void, void> {
    for (let row = this.oldest; row !== NO_POOL_ROW; row = this.recordRows.word(row, RecordWord.Next)) {
      const id = new StreamId()
      this.readId(row, id)
      const producer = this.recordRows.word(row, RecordWord.Producer)
      yield {
        producer: this.textOf(this.producerRows.word(producer, ProducerWord.Name) >>> 0, 0),
        idempotentId: this.textOf(this.recordRows.word(row, RecordWord.Key) >>> 0, PREFIX_BYTES),
        id,
      }
    }
  }

  /** A copy with blocks of its own. */
  clone(): IdempotentIds {
    const copy = new IdempotentIds(this.arena, this.seed, this.durationSeconds, this.maxSize)
    const key = new IdempotencyKey()
    for (const { producer, idempotentId, id } of this.entries()) {
      key.setProducer(Buffer.from(producer, 'latin1'), 0, producer.length)
      key.setId(Buffer.from(idempotentId, 'latin1'), 0, idempotentId.length)
      // At this moment nothing is over: those whose time is go in the copy when they would here.
      copy.record(key, id, Number.NEGATIVE_INFINITY)
    }
    copy.added = this.added
    copy.duplicates = this.duplicates
    return copy
  }

  /** Gives all up. */
  free(): void {
    this.forgetAll()
    this.arena.outsideBytes -= OBJECT_BYTES
  }

  /** Forgets up to `limit` records. Returns whether none is left; `free` must follow then. */
  freeSome(limit: number): boolean {
    for (let left = limit; left > 0 && this.oldest !== NO_POOL_ROW; left--) this.removeRecord(this.oldest)
    return this.oldest === NO_POOL_ROW
  }

  /** Bytes and number of the arena blocks. */
  arenaBytes(): number {
    return this.bytes
  }

  arenaBlocks(): number {
    return this.producers.size + this.records.size
  }

  /** Bytes of the tables and of the object. */
  overheadBytes(): number {
    return (
      OBJECT_BYTES +
      this.producers.overheadBytes() +
      this.records.overheadBytes() +
      this.producerRows.overheadBytes() +
      this.recordRows.overheadBytes()
    )
  }

  private forgetAll(): void {
    this.producers.clear()
    this.records.clear()
    this.producerRows.clear()
    this.recordRows.clear()
    this.oldest = NO_POOL_ROW
    this.newest = NO_POOL_ROW
    this.bytes = 0
  }

  private producerOf(key: IdempotencyKey): number {
    const found = this.producers.find(key.producerBuffer, key.producerStart, key.producerLength)
    return found === NO_ROW ? NO_POOL_ROW : this.producers.value(found)
  }

  private recordOf(producer: number, key: IdempotencyKey): number {
    const found = this.records.find(keyBytes(producer, key), 0, PREFIX_BYTES + key.idLength)
    return found === NO_ROW ? NO_POOL_ROW : this.records.value(found)
  }

  private addProducer(key: IdempotencyKey): number {
    const rows = this.producerRows
    const row = rows.take()
    const at = this.producers.insert(key.producerBuffer, key.producerStart, key.producerLength)
    this.producers.setValue(at, row)
    const name = this.producers.keyRef(at)
    this.bytes += this.arena.capacity(name)
    rows.setWord(row, ProducerWord.Name, name)
    rows.setWord(row, ProducerWord.Oldest, NO_POOL_ROW)
    rows.setWord(row, ProducerWord.Newest, NO_POOL_ROW)
    rows.setWord(row, ProducerWord.Count, 0)
    return row
  }

  private addRecord(producer: number, key: IdempotencyKey, id: StreamId): void {
    const rows = this.recordRows
    const row = rows.take()
    const at = this.records.insert(keyBytes(producer, key), 0, PREFIX_BYTES + key.idLength)
    this.records.setValue(at, row)
    const ref = this.records.keyRef(at)
    this.bytes += this.arena.capacity(ref)
    rows.setWord(row, RecordWord.Key, ref)
    rows.setWord(row, RecordWord.Producer, producer)
    rows.setWord(row, RecordWord.Previous, this.newest)
    rows.setWord(row, RecordWord.Next, NO_POOL_ROW)
    rows.setWord(row, RecordWord.ProducerNext, NO_POOL_ROW)
    rows.setWord(row, RecordWord.Id, id.msHigh)
    rows.setWord(row, RecordWord.Id + 1, id.msLow)
    rows.setWord(row, RecordWord.Id + 2, id.seqHigh)
    rows.setWord(row, RecordWord.Id + 3, id.seqLow)
    if (this.newest === NO_POOL_ROW) this.oldest = row
    else rows.setWord(this.newest, RecordWord.Next, row)
    this.newest = row
    this.appendTo(producer, row)
    if (scratch.length > SCRATCH_BYTES_MAX) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  }

  /** Puts a record at the end of its producer's list. */
  private appendTo(producer: number, row: number): void {
    const rows = this.producerRows
    const last = rows.word(producer, ProducerWord.Newest)
    if (last === NO_POOL_ROW) rows.setWord(producer, ProducerWord.Oldest, row)
    else this.recordRows.setWord(last, RecordWord.ProducerNext, row)
    rows.setWord(producer, ProducerWord.Newest, row)
    rows.setWord(producer, ProducerWord.Count, rows.word(producer, ProducerWord.Count) + 1)
  }

  private has(key: IdempotencyKey): boolean {
    const producer = this.producerOf(key)
    return producer !== NO_POOL_ROW && this.recordOf(producer, key) !== NO_POOL_ROW
  }

  private oldestOf(producer: number): number {
    return this.producerRows.word(producer, ProducerWord.Oldest)
  }

  /** Removes the oldest record of a producer, and the producer if that was its last. */
  private removeRecord(row: number): void {
    const rows = this.recordRows
    const previous = rows.word(row, RecordWord.Previous)
    const next = rows.word(row, RecordWord.Next)
    if (previous === NO_POOL_ROW) this.oldest = next
    else rows.setWord(previous, RecordWord.Next, next)
    if (next === NO_POOL_ROW) this.newest = previous
    else rows.setWord(next, RecordWord.Previous, previous)
    this.removeFromProducer(rows.word(row, RecordWord.Producer), row)
    this.removeKey(this.records, rows.word(row, RecordWord.Key) >>> 0)
    rows.give(row)
  }

  private removeFromProducer(producer: number, row: number): void {
    const rows = this.producerRows
    const left = rows.word(producer, ProducerWord.Count) - 1
    if (left === 0) {
      this.removeKey(this.producers, rows.word(producer, ProducerWord.Name) >>> 0)
      rows.give(producer)
      return
    }
    rows.setWord(producer, ProducerWord.Count, left)
    rows.setWord(producer, ProducerWord.Oldest, this.recordRows.word(row, RecordWord.ProducerNext))
  }

  private removeKey(dict: Dict, ref: Ref): void {
    const { arena } = this
    this.bytes -= arena.capacity(ref)
    dict.remove(dict.find(arena.segment(ref), arena.offset(ref), arena.length(ref)))
  }

  private isOver(row: number, nowMs: number): boolean {
    const rows = this.recordRows
    const ms = (rows.word(row, RecordWord.Id) >>> 0) * TWO_32 + (rows.word(row, RecordWord.Id + 1) >>> 0)
    return ms + this.durationSeconds * MS_PER_SECOND <= nowMs
  }

  private readId(row: number, id: StreamId): void {
    const rows = this.recordRows
    id.msHigh = rows.word(row, RecordWord.Id)
    id.msLow = rows.word(row, RecordWord.Id + 1)
    id.seqHigh = rows.word(row, RecordWord.Id + 2)
    id.seqLow = rows.word(row, RecordWord.Id + ID_WORDS - 1)
  }

  private textOf(ref: Ref, skipped: number): string {
    const start = this.arena.offset(ref)
    return this.arena.segment(ref).latin1Slice(start + skipped, start + this.arena.length(ref))
  }
}

/** The key of a record in the scratch buffer. */
function keyBytes(producer: number, key: IdempotencyKey): Buffer {
  const length = PREFIX_BYTES + key.idLength
  if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(length)
  scratch.writeInt32LE(producer, 0)
  const { idBuffer, idStart, idLength } = key
  copyBytes(idBuffer, idStart, scratch, PREFIX_BYTES, idLength)
  return scratch
}
