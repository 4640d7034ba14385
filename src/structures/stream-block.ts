/**
 * The layout of a stream's blocks and of the elements in them. Hot path.
 *
 * A block is Redis' stream node: the listpack of a node without its header, its end mark and its first two elements
 * (how many entries are there, and deleted), which live in the block's row so that offsets in the block never move.
 *
 *     block   | field count | field … | 0 | entry | entry | …         the fields are the block's master fields
 *     entry   | flags | ms - block ms | seq - block seq | [field count] | [field] value … | element count |
 *
 * With EntryFlag.SameFields an entry has the master fields, and only its values are stored. The element count (of the
 * entry, without itself) lets a reader go backwards. Elements are encoded as in storage/packed.ts, plus 64-bit
 * integers beyond the safe range, which Redis stores as integers too.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import { type Arena, copyBytes, equalBytes, NO_REF, type Ref } from '../storage/arena.ts'
import { packedBytesAt, packedEntryBytes, writePackedEntry } from '../storage/packed.ts'
import type { IdTable } from './id-table.ts'
import type { StreamId } from './stream-id.ts'

const TWO_32 = 4294967296
const SAFE_HIGH_END = 0x200000
/** First byte of an element that is a 64-bit integer. */
export const INT64_ELEMENT = 0xf4
const INT64_ELEMENT_BYTES = 10
/** Canonical integers with fewer digits are safe. */
const INT64_DIGITS_MIN = 16
const INT64_TEXT_MAX_BYTES = 20
/** Header and end mark of a listpack. */
const LISTPACK_FRAME_BYTES = 7
const SCRATCH_VALUES_MIN = 64
/** Longer scratch space is given back after use. */
const SCRATCH_VALUES_MAX = 65536
/** What stands for a 64-bit integer that no double holds, among the numbers of `EntryValues`. */
const UNSAFE_INTEGER = Number.POSITIVE_INFINITY

const EMPTY = Buffer.alloc(0)
const NO_INTEGERS = new Int32Array(0)

/** Flags of an entry. */
export const EntryFlag = { Deleted: 1, SameFields: 2 } as const

/** Words of a block's row in the stream's table, behind the ID of its first entry. */
export const BlockWord = {
  /** ID of its last entry, deleted or not (four words). */
  LastId: 4,
  Ref: 8,
  /** Entries that are not deleted. */
  Live: 9,
  Deleted: 10,
  /** Elements of the listpack. */
  Elements: 11,
  /** Offset of the first entry in the payload. */
  EntriesAt: 12,
  /** Payload bytes in use; the last block of a stream has room behind them. */
  Used: 13,
  /** For an open walk (walk-blocks.ts). */
  Ticket: 14,
} as const

/** Words of a block's row, an even number. */
export const BLOCK_STRIDE = 16

/** What a cursor needs of a stream. */
export interface BlockSequence {
  readonly arena: Arena
  readonly blocks: IdTable
  /** Changes when a block is removed: offsets that were kept are worth nothing then. */
  readonly epoch: number
}

/** Bytes of a block as a listpack, as Redis counts them. */
export function listpackBytes(payloadBytes: number, live: number, deleted: number): number {
  return LISTPACK_FRAME_BYTES + integerElementBytes(live) + integerElementBytes(deleted) + payloadBytes
}

/** What stands in the header of a listpack with more elements. */
export const ELEMENTS_UNKNOWN = 0xffff
export const LISTPACK_HEADER_BYTES = 6
export const LISTPACK_END_MARK = 0xff

/** A block and what its row says of it; see BlockWord. Reused. */
export class BlockImage {
  ref: Ref = NO_REF
  used = 0
  live = 0
  deleted = 0
  elements = 0

  listpackBytes(): number {
    return listpackBytes(this.used, this.live, this.deleted)
  }

  /** Writes the block as the listpack of RDB files at `at` (see stream-listpack.ts). Returns the offset behind it. */
  writeListpack(arena: Arena, target: Buffer, at: number): number {
    target.writeUInt32LE(this.listpackBytes(), at)
    target.writeUInt16LE(Math.min(this.elements, ELEMENTS_UNKNOWN), at + 4)
    at = writeIntegerElement(target, at + LISTPACK_HEADER_BYTES, this.live)
    at = writeIntegerElement(target, at, this.deleted)
    copyBytes(arena.segment(this.ref), arena.offset(this.ref), target, at, this.used)
    target[at + this.used] = LISTPACK_END_MARK
    return at + this.used + 1
  }
}

/** Offset behind the element at `at`. */
export function elementEnd(buffer: Buffer, at: number): number {
  const first = buffer[at]!
  if (first < 0x80) return at + 2
  if (first < 0xc0) return at + (first & 0x3f) + 2
  return at + packedBytesAt(buffer, at)
}

/** Whether the element at `at` has the bytes `source[start, start + length)`. */
export function elementEquals(buffer: Buffer, at: number, source: Uint8Array, start: number, length: number): boolean {
  const first = buffer[at]!
  if (first >= 0x80 && first < 0xc0) {
    return (first & 0x3f) === length && equalBytes(buffer, at + 1, source, start, length)
  }
  if (first >= 0xe0 && first <= 0xf0) {
    const skip = first === 0xf0 ? 5 : 2
    const size = first === 0xf0 ? buffer.readUInt32LE(at + 1) : ((first & 0x0f) << 8) | buffer[at + 1]!
    return size === length && equalBytes(buffer, at + skip, source, start, length)
  }
  // Integers are canonical: equal bytes are equal numbers.
  return integerElementEquals(buffer, at, source, start, length)
}

/** A 64-bit integer as two words, read from text. */
class Int64 {
  high = 0
  low = 0

  /** Reads a canonical int64. Returns false when the bytes are none. */
  parse(source: Uint8Array, start: number, length: number): boolean {
    const negative = source[start] === 45
    let at = negative ? start + 1 : start
    const end = start + length
    if (end - at < 1 || end - at > 19 || source[at] === 48) return false
    let high = 0
    let low = 0
    for (; at < end; at++) {
      const digit = source[at]! - 48
      if (digit < 0 || digit > 9) return false
      const scaled = low * 10 + digit
      const carry = Math.floor(scaled / TWO_32)
      low = scaled - carry * TWO_32
      high = high * 10 + carry
    }
    if (high > 0x80000000 || (high === 0x80000000 && (low > 0 || !negative))) return false
    if (negative) {
      low = low === 0 ? 0 : TWO_32 - low
      high = low === 0 ? -high : -high - 1
    }
    this.high = high | 0
    this.low = low | 0
    return true
  }
}

const int64 = new Int64()

/**
 * The fields and values of an entry that is being added, each parsed once: an integer, or NaN for a byte string.
 * One object is reused; it grows with the widest entry and shrinks again.
 */
export class EntryValues {
  private integers = new Float64Array(SCRATCH_VALUES_MIN)
  private source: Uint8Array = EMPTY
  private offsets: Int32Array = NO_INTEGERS
  private lengths: Int32Array = NO_INTEGERS
  private first = 0

  /** Takes the values `first`, `first + 1` … `count` of them. */
  open(source: Uint8Array, offsets: Int32Array, lengths: Int32Array, first: number, count: number): void {
    this.source = source
    this.offsets = offsets
    this.lengths = lengths
    this.first = first
    if (count > this.integers.length) this.integers = new Float64Array(Math.max(count, this.integers.length * 2))
  }

  /** Forgets the values. */
  close(): void {
    this.source = EMPTY
    this.offsets = NO_INTEGERS
    this.lengths = NO_INTEGERS
    if (this.integers.length > SCRATCH_VALUES_MAX) this.integers = new Float64Array(SCRATCH_VALUES_MIN)
  }

  /** Parses value `i` and returns the bytes of its element. */
  measure(i: number): number {
    const start = this.offsets[this.first + i]!
    const length = this.lengths[this.first + i]!
    const integer = parseSafeInteger(this.source, start, length)
    if (Number.isNaN(integer) && length >= INT64_DIGITS_MIN && length <= INT64_TEXT_MAX_BYTES) {
      if (int64.parse(this.source, start, length)) {
        this.integers[i] = UNSAFE_INTEGER
        return INT64_ELEMENT_BYTES
      }
    }
    this.integers[i] = integer
    return packedEntryBytes(integer, length)
  }

  /** Writes the element of value `i`, which was measured. Returns the offset behind it. */
  write(i: number, buffer: Buffer, at: number): number {
    const start = this.offsets[this.first + i]!
    const length = this.lengths[this.first + i]!
    const integer = this.integers[i]!
    if (integer === UNSAFE_INTEGER) {
      int64.parse(this.source, start, length)
      return writeInt64(buffer, at, int64.high, int64.low)
    }
    writePackedEntry(buffer, at, integer, this.source, start, length)
    return at + packedEntryBytes(integer, length)
  }

  /** Whether value `i` equals the element at `at`. */
  equals(i: number, buffer: Buffer, at: number): boolean {
    return elementEquals(buffer, at, this.source, this.offsets[this.first + i]!, this.lengths[this.first + i]!)
  }
}

/** Bytes of the element for an integer. */
export function integerElementBytes(value: number): number {
  if (value >= 0 && value < 0x80) return 2
  return packedEntryBytes(value, 0)
}

/** Writes the element of a safe integer. Returns the offset behind it. */
export function writeIntegerElement(buffer: Buffer, at: number, value: number): number {
  if (value >= 0 && value < 0x80) {
    buffer[at] = value
    buffer[at + 1] = 1
    return at + 2
  }
  writePackedEntry(buffer, at, value, EMPTY, 0, 0)
  return at + packedEntryBytes(value, 0)
}

/** The differences between an ID and the ID of its block, as int64 with wrap-around. */
export class IdDelta {
  private msHigh = 0
  private msLow = 0
  private seqHigh = 0
  private seqLow = 0
  /** Bytes of the two elements. */
  bytes = 0

  set(id: StreamId, master: StreamId): void {
    const msLow = (id.msLow >>> 0) - (master.msLow >>> 0)
    this.msLow = msLow | 0
    this.msHigh = (id.msHigh - master.msHigh - (msLow < 0 ? 1 : 0)) | 0
    const seqLow = (id.seqLow >>> 0) - (master.seqLow >>> 0)
    this.seqLow = seqLow | 0
    this.seqHigh = (id.seqHigh - master.seqHigh - (seqLow < 0 ? 1 : 0)) | 0
    this.bytes = wordsElementBytes(this.msHigh, this.msLow) + wordsElementBytes(this.seqHigh, this.seqLow)
  }

  /** Writes both elements. Returns the offset behind them. */
  write(buffer: Buffer, at: number): number {
    return writeWordsElement(buffer, writeWordsElement(buffer, at, this.msHigh, this.msLow), this.seqHigh, this.seqLow)
  }
}

function isSafe(high: number, low: number): boolean {
  return high >= -SAFE_HIGH_END && high < SAFE_HIGH_END && !(high === -SAFE_HIGH_END && low === 0)
}

function wordsElementBytes(high: number, low: number): number {
  if (high === 0 && low >= 0) return low < 0x80 ? 2 : low < 0x1000 ? 3 : packedEntryBytes(low, 0)
  return isSafe(high, low) ? packedEntryBytes(high * TWO_32 + (low >>> 0), 0) : INT64_ELEMENT_BYTES
}

function writeWordsElement(buffer: Buffer, at: number, high: number, low: number): number {
  if (high === 0 && low >= 0) return writeIntegerElement(buffer, at, low)
  return isSafe(high, low)
    ? writeIntegerElement(buffer, at, high * TWO_32 + (low >>> 0))
    : writeInt64(buffer, at, high, low)
}

function writeInt64(buffer: Buffer, at: number, high: number, low: number): number {
  buffer[at] = INT64_ELEMENT
  buffer.writeInt32LE(low, at + 1)
  buffer.writeInt32LE(high, at + 5)
  buffer[at + 9] = 9
  return at + INT64_ELEMENT_BYTES
}

function integerElementEquals(buffer: Buffer, at: number, source: Uint8Array, start: number, length: number): boolean {
  const integer = parseSafeInteger(source, start, length)
  if (!Number.isNaN(integer)) {
    return integerElementValue(buffer, at) === integer
  }
  if (buffer[at] !== INT64_ELEMENT || !int64.parse(source, start, length)) return false
  return buffer.readInt32LE(at + 1) === int64.low && buffer.readInt32LE(at + 5) === int64.high
}

/** The value of an integer element that is safe. */
export function integerElementValue(buffer: Buffer, at: number): number {
  const first = buffer[at]!
  if (first < 0x80) return first
  if (first < 0xe0) {
    const value = ((first & 0x1f) << 8) | buffer[at + 1]!
    return value >= 4096 ? value - 8192 : value
  }
  if (first === 0xf1) return buffer.readInt16LE(at + 1)
  if (first === 0xf2) return buffer.readIntLE(at + 1, 3)
  if (first === 0xf3) return buffer.readInt32LE(at + 1)
  return buffer.readInt32LE(at + 5) * TWO_32 + buffer.readUInt32LE(at + 1)
}
