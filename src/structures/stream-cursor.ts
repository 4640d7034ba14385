/**
 * A reusable view of a stream's entries, in either direction. Hot path.
 *
 *     cursor.openForward(stream, start, end, hint)
 *     while (cursor.next()) {
 *       … cursor.id …
 *       for (let i = 0; i < cursor.fieldCount; i++) {
 *         cursor.readField()  … cursor.isInteger, integer | buffer, start, length …
 *         cursor.readValue()  … likewise …
 *       }
 *     }
 *
 * Entries marked as deleted are passed over. The cursor is invalid after a change of the stream, but for
 * `Stream.deleteAt(cursor)`, which leaves it on the deleted entry. Fields and values of an entry may be left unread.
 *
 * The layout of a block is described in stream-block.ts. A SeekHint remembers where the last entry was found: IDs only have to
 * be compared from there on. Offsets in a block never change while the block exists.
 */
import { integerLength } from '../bytes/integer.ts'
import { packedBytesAt, packedBytesBefore } from '../storage/packed.ts'
import { NO_POSITION } from './id-table.ts'
import { type BlockSequence, BlockWord, EntryFlag, elementEnd } from './stream-block.ts'
import { highWord, StreamId } from './stream-id.ts'

const TWO_32 = 4294967296
/** High words in [-0x200000, 0x200000) belong to safe integers. */
const SAFE_HIGH_END = 0x200000
const INT64_TEXT_BYTES = 20
const EMPTY = Buffer.alloc(0)

/** Where an entry was found. Worth something while the stream has the same epoch. */
export class SeekHint {
  epoch = -1
  /** Offset of the entry in the payload of its block. */
  offset = 0
  readonly id: StreamId = new StreamId()
}

export class StreamCursor {
  /** ID of the current entry. */
  readonly id: StreamId = new StreamId()
  fieldCount = 0
  /** Position of the current entry's block in `stream.blocks`. */
  block: number = NO_POSITION
  /** Offset of the current entry in `blockBuffer`. */
  entryAt = 0
  blockBuffer: Buffer = EMPTY
  /** Whether the field or value read last is `integer`; else it is the bytes `buffer[start, start + length)`. */
  isInteger = false
  integer = 0
  buffer: Buffer = EMPTY
  start = 0
  length = 0

  private stream: BlockSequence | null = null
  private hint: SeekHint | null = null
  private isReverse = false
  /** Still before the first entry of the range. */
  private isSeeking = false
  private readonly from = new StreamId()
  private readonly to = new StreamId()
  private readonly master = new StreamId()
  private masterFieldCount = 0
  private base = 0
  /** Forward: offset of the next element to read. Reverse: end of the entry to read next. */
  private at = 0
  private entriesAt = 0
  private end = 0
  private fieldAt = 0
  private hasMasterFields = false
  /** Elements of the current entry that are not read yet, without its last one. */
  private unread = 0
  /** Words of the 64-bit integer read last that was not safe. */
  private int64High = 0
  private int64Low = 0
  private readonly digits: Buffer = Buffer.alloc(INT64_TEXT_BYTES)

  /** Takes position before the first entry in [from, to]. The hint, if any, is used and kept up to date. */
  openForward(stream: BlockSequence, from: StreamId, to: StreamId, hint: SeekHint | null): void {
    this.stream = stream
    this.hint = hint
    this.isReverse = false
    this.isSeeking = true
    this.from.copy(from)
    this.to.copy(to)
    this.unread = 0
    const floor = stream.blocks.floor(from)
    const block = floor === NO_POSITION ? stream.blocks.first() : floor
    this.enter(block)
    if (block === NO_POSITION) return
    this.at = this.entriesAt
    if (hint !== null && hint.epoch === stream.epoch) {
      if (stream.blocks.compareAt(block, hint.id) <= 0 && hint.id.compare(from) <= 0) this.at = this.base + hint.offset
    }
  }

  /** Takes position behind the last entry in [from, to], to go backwards. */
  openBackward(stream: BlockSequence, from: StreamId, to: StreamId): void {
    this.stream = stream
    this.hint = null
    this.isReverse = true
    this.isSeeking = true
    this.from.copy(from)
    this.to.copy(to)
    this.unread = 0
    this.enter(stream.blocks.floor(to))
    this.at = this.end
  }

  /** Moves to the following entry of the range (backwards: the one before). Returns false when there is none. */
  next(): boolean {
    if (this.block === NO_POSITION) return false
    return this.isReverse ? this.nextBackward() : this.nextForward()
  }

  /** Bytes of the entry's fields and values. Before the first one is read. */
  payloadBytes(): number {
    const { at, fieldAt, unread } = this
    let bytes = 0
    for (let i = 0; i < this.fieldCount; i++) {
      this.readField()
      bytes += this.elementBytes()
      this.readValue()
      bytes += this.elementBytes()
    }
    this.at = at
    this.fieldAt = fieldAt
    this.unread = unread
    return bytes
  }

  private elementBytes(): number {
    return this.isInteger ? integerLength(this.integer) : this.length
  }

  /** Reads the name of the following field of the entry. */
  readField(): void {
    if (this.hasMasterFields) {
      this.fieldAt = this.readElement(this.fieldAt)
      return
    }
    this.at = this.readElement(this.at)
    this.unread--
  }

  /** Reads the value of the field read last. */
  readValue(): void {
    this.at = this.readElement(this.at)
    this.unread--
  }

  /** The field or value read last, as a byte string. */
  text(): string {
    return this.isInteger ? String(this.integer) : this.buffer.latin1Slice(this.start, this.start + this.length)
  }

  private nextForward(): boolean {
    if (this.entryAt !== 0) this.leaveEntry()
    for (;;) {
      if (this.at >= this.end) {
        this.enter(this.stream!.blocks.next(this.block))
        if (this.block === NO_POSITION) return false
        this.at = this.entriesAt
      }
      const flags = this.readHeader(this.at)
      if (this.isSeeking && this.id.compare(this.from) < 0) {
        this.leaveEntry()
        continue
      }
      this.isSeeking = false
      if ((flags & EntryFlag.Deleted) !== 0) {
        this.leaveEntry()
        continue
      }
      if (this.id.compare(this.to) > 0) {
        this.close()
        return false
      }
      const hint = this.hint
      if (hint !== null) {
        hint.epoch = this.stream!.epoch
        hint.offset = this.entryAt - this.base
        hint.id.copy(this.id)
      }
      return true
    }
  }

  private nextBackward(): boolean {
    if (this.entryAt !== 0) this.at = this.entryAt
    for (;;) {
      if (this.at <= this.entriesAt) {
        this.enter(this.stream!.blocks.previous(this.block))
        if (this.block === NO_POSITION) return false
        this.at = this.end
      }
      const entryAt = this.entryStartBefore(this.at)
      const flags = this.readHeader(entryAt)
      if ((flags & EntryFlag.Deleted) !== 0 || (this.isSeeking && this.id.compare(this.to) > 0)) {
        this.at = entryAt
        continue
      }
      this.isSeeking = false
      if (this.id.compare(this.from) >= 0) return true
      this.close()
      return false
    }
  }

  private close(): void {
    this.block = NO_POSITION
  }

  private enter(block: number): void {
    this.block = block
    this.entryAt = 0
    if (block === NO_POSITION) return
    const stream = this.stream!
    const ref = stream.blocks.word(block, BlockWord.Ref) >>> 0
    this.blockBuffer = stream.arena.segment(ref)
    this.base = stream.arena.offset(ref)
    this.end = this.base + stream.blocks.word(block, BlockWord.Used)
    this.entriesAt = this.base + stream.blocks.word(block, BlockWord.EntriesAt)
    stream.blocks.readId(block, 0, this.master)
    this.readElement(this.base)
    this.masterFieldCount = this.integer
  }

  /** Moves `at` behind the current entry. */
  private leaveEntry(): void {
    const buffer = this.blockBuffer
    let at = this.at
    // One more than the unread values: the element count at the end of the entry.
    for (let left = this.unread; left >= 0; left--) at = elementEnd(buffer, at)
    this.at = at
    this.entryAt = 0
  }

  /** Start of the entry that ends at `at`. */
  private entryStartBefore(at: number): number {
    const buffer = this.blockBuffer
    at -= packedBytesBefore(buffer, at)
    this.readElement(at)
    for (let left = this.integer; left > 0; left--) {
      const last = buffer[at - 1]!
      at -= last < 0x80 ? last + 1 : packedBytesBefore(buffer, at)
    }
    return at
  }

  /** Reads flags, ID and number of fields of the entry at `entryAt`. Returns the flags. */
  private readHeader(entryAt: number): number {
    const buffer = this.blockBuffer
    this.entryAt = entryAt
    const flags = buffer[entryAt]!
    let at = entryAt + 2
    const master = this.master
    const id = this.id
    // Nearly all entries have small differences: seven bits in one byte.
    const ms = buffer[at]!
    const seq = buffer[at + 2]!
    if (ms < 0x80 && seq < 0x80) {
      addSmall(id, master, ms, seq)
      at += 4
    } else {
      at = this.readElement(at)
      addMs(id, master, this.highOfInteger(), this.lowOfInteger())
      at = this.readElement(at)
      addSeq(id, master, this.highOfInteger(), this.lowOfInteger())
    }
    this.hasMasterFields = (flags & EntryFlag.SameFields) !== 0
    if (this.hasMasterFields) {
      this.fieldCount = this.masterFieldCount
      this.unread = this.fieldCount
      this.fieldAt = elementEnd(buffer, this.base)
    } else {
      at = this.readElement(at)
      this.fieldCount = this.integer
      this.unread = this.fieldCount * 2
    }
    this.at = at
    return flags
  }

  private highOfInteger(): number {
    return this.isInteger ? highWord(this.integer) : this.int64High
  }

  private lowOfInteger(): number {
    return this.isInteger ? this.integer | 0 : this.int64Low
  }

  /** Reads the element at `at`. Returns the offset behind it. */
  private readElement(at: number): number {
    const buffer = this.blockBuffer
    const first = buffer[at]!
    if (first < 0x80) {
      this.isInteger = true
      this.integer = first
      return at + 2
    }
    if (first < 0xc0) {
      const length = first & 0x3f
      this.isInteger = false
      this.buffer = buffer
      this.start = at + 1
      this.length = length
      return at + length + 2
    }
    return this.readLongElement(buffer, at, first)
  }

  private readLongElement(buffer: Buffer, at: number, first: number): number {
    this.isInteger = true
    if (first < 0xe0) {
      const value = ((first & 0x1f) << 8) | buffer[at + 1]!
      this.integer = value >= 4096 ? value - 8192 : value
    } else if (first <= 0xf0) {
      this.isInteger = false
      this.buffer = buffer
      this.start = at + (first < 0xf0 ? 2 : 5)
      this.length = first < 0xf0 ? ((first & 0x0f) << 8) | buffer[at + 1]! : buffer.readUInt32LE(at + 1)
    } else if (first === 0xf1) {
      this.integer = buffer.readInt16LE(at + 1)
    } else if (first === 0xf2) {
      this.integer = buffer.readIntLE(at + 1, 3)
    } else if (first === 0xf3) {
      this.integer = buffer.readInt32LE(at + 1)
    } else {
      this.readInt64(buffer.readInt32LE(at + 5), buffer.readInt32LE(at + 1))
    }
    return at + packedBytesAt(buffer, at)
  }

  /** A 64-bit integer: a number when it is safe, else its text. */
  private readInt64(high: number, low: number): void {
    this.int64High = high
    this.int64Low = low
    if (high >= -SAFE_HIGH_END && high < SAFE_HIGH_END && !(high === -SAFE_HIGH_END && low === 0)) {
      this.integer = high * TWO_32 + (low >>> 0)
      return
    }
    const text = String((BigInt(high) << 32n) | BigInt(low >>> 0))
    this.isInteger = false
    this.buffer = this.digits
    this.start = 0
    this.length = this.digits.latin1Write(text, 0, text.length)
  }
}

function addSmall(id: StreamId, master: StreamId, ms: number, seq: number): void {
  const msLow = (master.msLow >>> 0) + ms
  id.msLow = msLow | 0
  id.msHigh = msLow >= TWO_32 ? (master.msHigh + 1) | 0 : master.msHigh
  const seqLow = (master.seqLow >>> 0) + seq
  id.seqLow = seqLow | 0
  id.seqHigh = seqLow >= TWO_32 ? (master.seqHigh + 1) | 0 : master.seqHigh
}

function addMs(id: StreamId, master: StreamId, high: number, low: number): void {
  const sum = (master.msLow >>> 0) + (low >>> 0)
  id.msLow = sum | 0
  id.msHigh = (master.msHigh + high + (sum >= TWO_32 ? 1 : 0)) | 0
}

function addSeq(id: StreamId, master: StreamId, high: number, low: number): void {
  const sum = (master.seqLow >>> 0) + (low >>> 0)
  id.seqLow = sum | 0
  id.seqHigh = (master.seqHigh + high + (sum >= TWO_32 ? 1 : 0)) | 0
}
