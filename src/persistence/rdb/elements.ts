/**
 * Elements of collection objects as RDB holds them, and records that are written of them step by step. Hot path.
 *
 * A BigRecord has two sinks: what its walk delivers in its turn goes straight to the file's buffer, what comes early
 * because it is about to change is held in a buffer of its own until the next step.
 */
import { formatDouble } from '../../bytes/double.ts'
import { writeWord } from '../../bytes/words.ts'
import { type Arena, copyBytes, type Ref } from '../../storage/arena.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import { PackedCursor } from '../../storage/packed.ts'
import { HashDict } from '../../structures/hash.ts'
import type { Collection } from '../../structures/kind.ts'
import { PackedTimedHash } from '../../structures/packed-timed-hash.ts'
import type { StreamId } from '../../structures/stream-id.ts'
import type { CollectionWalk, ElementSink } from '../../structures/walk.ts'
import type { BigRecord } from '../snapshot-format.ts'
import { QuicklistContainer, RdbType } from './format.ts'
import { RecordBuffer } from './record-buffer.ts'
import { STREAM_ID_BYTES, writeStreamId } from './stream-record.ts'

/** Bytes of a listpack before its first entry, and of its end mark. */
const LISTPACK_HEADER_BYTES = 6
const LISTPACK_END = 0xff
/** What stands for the number of entries when there are more. */
const LISTPACK_COUNT_MAX = 0xffff
/** The greatest limit that `list-max-listpack-size` can set: whatever is larger stands alone. */
const PLAIN_MIN_BYTES = 64 * 1024
/** First byte of a packed string of 4096 bytes or more, whose length follows in four bytes. */
const LONG_STRING = 0xf0
const LONG_STRING_HEADER_BYTES = 5
const HELD_CAPACITY = 256
/** What stands for a score that has no digits. Valkey src/rdb.c rdbSaveDoubleValue. */
const ScoreText = { PositiveInfinity: 254, NegativeInfinity: 255 } as const

/** Writes the elements of one collection. */
export class RdbElements implements ElementSink {
  out: RecordBuffer
  private readonly arena: Arena
  private readonly type: number
  private readonly firstTime: number
  private readonly entry: PackedCursor

  /**
   * @param type of the value, which decides how scores, nodes and fields are written
   * @param firstTime earliest expire time of a field, of RdbType.HashMetadata
   */
  constructor(out: RecordBuffer, arena: Arena, type: number, firstTime: number) {
    this.out = out
    this.arena = arena
    this.type = type
    this.firstTime = firstTime
    this.entry = new PackedCursor(arena)
  }

  field(field: Ref, value: Ref, time: number): void {
    if (this.type === RdbType.HashMetadata) writeFieldTime(this.out, time, this.firstTime)
    this.out.stringRef(this.arena, field)
    this.out.stringRef(this.arena, value)
  }

  member(member: Ref): void {
    this.out.stringRef(this.arena, member)
  }

  scored(member: Ref, score: number): void {
    this.out.stringRef(this.arena, member)
    writeScore(this.out, score, this.type)
  }

  node(buffer: Buffer, start: number, end: number, count: number): void {
    const out = this.out
    if (this.type === RdbType.List) {
      const entry = this.entry
      entry.openBytes(buffer, start, end)
      while (entry.advance()) writeEntry(out, entry)
      return
    }
    if (count === 1 && end - start > PLAIN_MIN_BYTES && buffer[start] === LONG_STRING) {
      out.rdbLength(QuicklistContainer.Plain)
      out.string(buffer, start + LONG_STRING_HEADER_BYTES, buffer.readUInt32LE(start + 1))
      return
    }
    out.rdbLength(QuicklistContainer.Packed)
    writeListpack(out, buffer, start, end, count)
  }

  block(first: StreamId, buffer: Buffer, start: number, end: number): void {
    this.out.rdbLength(STREAM_ID_BYTES)
    writeStreamId(this.out, first)
    this.out.string(buffer, start, end - start)
  }
}

/** Writes a collection in steps. */
export class RdbBigRecord implements BigRecord {
  private readonly sink: RdbElements
  /** What came early, for the next step. */
  private readonly held = new RecordBuffer(HELD_CAPACITY)
  /** What is written behind the elements. */
  private readonly tail: RecordBuffer
  private readonly walk: CollectionWalk

  /** @param tail what is written behind the elements; the record's from now on. */
  constructor(arena: Arena, object: Collection, type: number, tail: RecordBuffer) {
    const firstTime = firstFieldTime(object)
    this.sink = new RdbElements(this.held, arena, type, firstTime)
    this.tail = tail
    this.walk = object.beginWalk(new RdbElements(this.held, arena, type, firstTime))
  }

  /** Elements, nodes or blocks, as the walk counts them. */
  get count(): number {
    return this.walk.count
  }

  get heldBytes(): number {
    return this.held.capacity + this.tail.capacity + this.walk.heldBytes
  }

  step(out: RecordBuffer, bytes: number): boolean {
    const held = this.held.length
    if (held > 0) {
      out.append(this.held)
      this.held.reset()
      if (held >= bytes) return false
    }
    this.sink.out = out
    if (!this.walk.step(this.sink, bytes - held)) return false
    out.append(this.tail)
    return true
  }

  keepRest(): void {
    // The walk is told of each change.
  }

  close(): void {
    this.walk.close()
  }
}

/** Earliest expire time of a field of a collection, in ms; NO_EXPIRE when there is none. */
export function firstFieldTime(object: Collection): number {
  if (object instanceof PackedTimedHash) return object.nextTime()
  return object instanceof HashDict ? (object.times?.nextTime() ?? NO_EXPIRE) : NO_EXPIRE
}

/** Writes a time before its field: 0 for none, else counted from the earliest one, which is 1. */
export function writeFieldTime(out: RecordBuffer, time: number, firstTime: number): void {
  out.rdbLength(time === NO_EXPIRE ? 0 : time - firstTime + 1)
}

/** Writes the entry that a cursor stands on as a string. */
export function writeEntry(out: RecordBuffer, entry: PackedCursor): void {
  if (entry.isInteger) out.stringInteger(entry.integer)
  else out.string(entry.buffer, entry.start, entry.length)
}

/** Writes entries as a string that is a listpack. */
export function writeListpack(out: RecordBuffer, buffer: Buffer, start: number, end: number, count: number): void {
  const total = LISTPACK_HEADER_BYTES + end - start + 1
  out.beginString(total)
  const bytes = out.bytes
  const at = out.length
  writeWord(bytes, at, total)
  const announced = count < LISTPACK_COUNT_MAX ? count : LISTPACK_COUNT_MAX
  bytes[at + 4] = announced
  bytes[at + 5] = announced >>> 8
  copyBytes(buffer, start, bytes, at + LISTPACK_HEADER_BYTES, end - start)
  bytes[at + total - 1] = LISTPACK_END
  out.length = at + total
}

/** Writes a score: eight bytes, or as text in the type before RdbType.Zset2. */
export function writeScore(out: RecordBuffer, score: number, type: number): void {
  if (type !== RdbType.Zset) {
    out.double(score)
    return
  }
  if (score === Number.POSITIVE_INFINITY) out.byte(ScoreText.PositiveInfinity)
  else if (score === Number.NEGATIVE_INFINITY) out.byte(ScoreText.NegativeInfinity)
  else {
    const text = formatDouble(score)
    out.byte(text.length)
    out.rawText(text)
  }
}
