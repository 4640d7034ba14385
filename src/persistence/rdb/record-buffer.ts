/**
 * RecordBuffer: growable bytes in which records of a snapshot are put together. Hot path.
 *
 * Strings are written as they are. Those worth compressing are marked, so that a RdbFinisher (finish.ts) can put their
 * compressed form in the place of the raw one later, in another thread. A mark is three numbers: where the string's
 * length starts, where its bytes start, and where they end. Small integers in decimal get RDB's integer encoding at
 * once.
 *
 * Appending may replace `bytes` and `marks` by larger ones. Both have memory of their own, so that `exchange` can hand
 * them to another thread without a copy.
 */
import { parseSafeInteger, writeInteger } from '../../bytes/integer.ts'
import { type Arena, copyBytes, type Ref } from '../../storage/arena.ts'
import { RDB_LENGTH_32, RDB_LENGTH_64, RdbEncoding, RdbLength } from './format.ts'

/** Shorter strings are not worth compressing. Valkey src/rdb.c rdbSaveRawString. */
export const COMPRESS_MIN_BYTES = 21
/**
 * Strings beyond this size are written raw: a file may be larger then, but no thread needs a second copy of them.
 */
const COMPRESS_MAX_BYTES = 64 * 1024 * 1024
/** Numbers of a mark. */
export const MARK_WORDS = 3
/** Marks and offsets are 32-bit integers. */
const CAPACITY_MAX = 0x7fffffff
const FIRST_CAPACITY = 4096
const FIRST_MARK_WORDS = 16 * MARK_WORDS
/** Memory that is taken anew after it was handed over is no larger, in bytes and in words of marks. */
const FRESH_CAPACITY_MAX = 1024 * 1024
const FRESH_MARK_WORDS_MAX = 64 * 1024 * MARK_WORDS
const TWO_32 = 4294967296
/** Bytes of a length, at most. */
const LENGTH_MAX_BYTES = 9
/** Decimal digits of 32-bit integers, with a sign. */
const INTEGER_TEXT_MAX_BYTES = 11
const SAFE_INTEGER_TEXT_BYTES = 17

const doubleBox = new Float64Array(1)
const doubleBytes = new Uint8Array(doubleBox.buffer)
const DIGITS = Buffer.allocUnsafeSlow(SAFE_INTEGER_TEXT_BYTES)

/** The memory of a RecordBuffer. */
export interface RecordMemory {
  readonly bytes: ArrayBuffer
  readonly marks: ArrayBuffer
}

export class RecordBuffer {
  bytes: Buffer<ArrayBuffer>
  /** Bytes in use. */
  length = 0
  marks: Int32Array<ArrayBuffer>
  markCount = 0

  /** @param capacity bytes that it has room for before it grows. */
  constructor(capacity: number = FIRST_CAPACITY) {
    this.bytes = Buffer.from(new ArrayBuffer(capacity))
    this.marks = new Int32Array(FIRST_MARK_WORDS)
  }

  /** Forgets all content. */
  reset(): void {
    this.length = 0
    this.markCount = 0
  }

  /** Bytes of memory that it takes. */
  get capacity(): number {
    return this.bytes.length + this.marks.byteLength
  }

  /**
   * Hands over the memory with all content, and is empty afterwards.
   *
   * @param replacement memory to use from then on; null: it takes some.
   */
  exchange(replacement: RecordMemory | null): RecordMemory {
    const old = { bytes: this.bytes.buffer, marks: this.marks.buffer }
    if (replacement === null) {
      this.bytes = Buffer.from(new ArrayBuffer(Math.min(this.bytes.length, FRESH_CAPACITY_MAX)))
      this.marks = new Int32Array(Math.min(this.marks.length, FRESH_MARK_WORDS_MAX))
    } else {
      this.bytes = Buffer.from(replacement.bytes)
      this.marks = new Int32Array(replacement.marks)
    }
    this.reset()
    return old
  }

  /**
   * Makes room for `bytes` more.
   *
   * @throws RangeError beyond 2 GiB.
   */
  reserve(bytes: number): void {
    if (this.length + bytes > this.bytes.length) this.grow(this.length + bytes)
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  /** Appends bytes as they are. */
  raw(source: Uint8Array, start: number, length: number): void {
    this.reserve(length)
    copyBytes(source, start, this.bytes, this.length, length)
    this.length += length
  }

  /** Appends a byte string as it is. */
  rawText(text: string): void {
    this.reserve(text.length)
    this.bytes.latin1Write(text, this.length, text.length)
    this.length += text.length
  }

  /** Appends the content of another buffer, with its marks. */
  append(other: RecordBuffer): void {
    const shift = this.length
    this.raw(other.bytes, 0, other.length)
    for (let i = 0; i < other.markCount; i++) {
      const at = i * MARK_WORDS
      this.mark(other.marks[at]! + shift, other.marks[at + 1]! + shift, other.marks[at + 2]! + shift)
    }
  }

  /** Four bytes, little endian. */
  uint32(value: number): void {
    this.reserve(4)
    const { bytes, length: at } = this
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
    this.length = at + 4
  }

  /** Four bytes, big endian. */
  uint32BigEndian(value: number): void {
    this.reserve(4)
    const { bytes, length: at } = this
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.length = at + 4
  }

  /** A safe integer as eight bytes, little endian. */
  int64(value: number): void {
    const high = Math.floor(value / TWO_32)
    this.uint32(value - high * TWO_32)
    this.uint32(high)
  }

  /** A double as eight bytes, little endian. */
  double(value: number): void {
    this.reserve(8)
    doubleBox[0] = value
    const bytes = this.bytes
    const at = this.length
    for (let i = 0; i < 8; i++) bytes[at + i] = doubleBytes[i]!
    this.length = at + 8
  }

  /** A length, or any other number from 0 to 2^53 - 1, as RDB encodes it. */
  rdbLength(value: number): void {
    this.reserve(LENGTH_MAX_BYTES)
    this.length = writeRdbLength(this.bytes, this.length, value)
  }

  /** An unsigned 64-bit number of two words as RDB encodes a length. */
  rdbLengthWords(high: number, low: number): void {
    if (high >= 0 && high < 0x200000) {
      this.rdbLength(high * TWO_32 + (low >>> 0))
      return
    }
    this.reserve(LENGTH_MAX_BYTES)
    const at = this.length
    this.bytes[at] = RDB_LENGTH_64
    this.bytes.writeInt32BE(high, at + 1)
    this.bytes.writeInt32BE(low, at + 5)
    this.length = at + LENGTH_MAX_BYTES
  }

  /** A string, as an integer if it is one of up to 32 bits; marked if it is worth compressing. */
  string(source: Uint8Array, start: number, length: number): void {
    if (length <= INTEGER_TEXT_MAX_BYTES && length > 0) {
      // Digits and the sign: most strings are told from integers by their first byte.
      const first = source[start]!
      if (first <= 57 && first >= 45 && this.tryInteger(parseSafeInteger(source, start, length))) return
    }
    this.beginString(length)
    const bytes = this.bytes
    const at = this.length
    if (length <= 48) for (let i = 0; i < length; i++) bytes[at + i] = source[start + i]!
    else copyBytes(source, start, bytes, at, length)
    this.length = at + length
  }

  /** A string that is the payload of a block. */
  stringRef(arena: Arena, ref: Ref): void {
    this.string(arena.segment(ref), arena.offset(ref), arena.length(ref))
  }

  /** A string that is given as a byte string. */
  stringText(text: string): void {
    const bytes = Buffer.from(text, 'latin1')
    this.string(bytes, 0, bytes.length)
  }

  /** A string that is the decimal text of a safe integer. */
  stringInteger(value: number): void {
    if (this.tryInteger(value)) return
    const length = writeInteger(DIGITS, 0, value)
    this.reserve(length + 1)
    this.bytes[this.length++] = length
    for (let i = 0; i < length; i++) this.bytes[this.length++] = DIGITS[i]!
  }

  /**
   * Begins a string of `length` bytes, which the caller appends at once, and makes room for them. The string is marked
   * if it is worth compressing.
   */
  beginString(length: number): void {
    const start = this.length
    this.reserve(length + LENGTH_MAX_BYTES)
    if (length < 64) {
      this.bytes[start] = length
      this.length = start + 1
      if (length < COMPRESS_MIN_BYTES) return
    } else {
      this.length = writeRdbLength(this.bytes, start, length)
      if (length > COMPRESS_MAX_BYTES) return
    }
    this.mark(start, this.length, this.length + length)
  }

  /** Begins a string of `length` bytes that the caller appends in any number of steps. It stays as it is. */
  beginLongString(length: number): void {
    this.rdbLength(length)
  }

  private tryInteger(value: number): boolean {
    if (!(value >= -2147483648 && value <= 2147483647)) return false
    this.reserve(5)
    const bytes = this.bytes
    const at = this.length
    const special = RdbLength.Encoded << 6
    bytes[at + 1] = value
    if (value >= -128 && value <= 127) {
      bytes[at] = special | RdbEncoding.Int8
      this.length = at + 2
      return true
    }
    bytes[at + 2] = value >> 8
    if (value >= -32768 && value <= 32767) {
      bytes[at] = special | RdbEncoding.Int16
      this.length = at + 3
      return true
    }
    bytes[at + 3] = value >> 16
    bytes[at + 4] = value >> 24
    bytes[at] = special | RdbEncoding.Int32
    this.length = at + 5
    return true
  }

  private mark(header: number, start: number, end: number): void {
    const at = this.markCount * MARK_WORDS
    if (at === this.marks.length) {
      const grown = new Int32Array(this.marks.length * 2)
      grown.set(this.marks)
      this.marks = grown
    }
    this.marks[at] = header
    this.marks[at + 1] = start
    this.marks[at + 2] = end
    this.markCount++
  }

  private grow(needed: number): void {
    if (needed > CAPACITY_MAX) throw new RangeError(`Cannot write a record of ${needed} bytes, ${CAPACITY_MAX} at most`)
    const capacity = Math.min(CAPACITY_MAX, Math.max(needed + (needed >>> 3), this.bytes.length * 2))
    const grown = Buffer.from(new ArrayBuffer(capacity))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}

/** Bytes of a length as RDB encodes it. */
export function rdbLengthBytes(value: number): number {
  if (value < 0x40) return 1
  if (value < 0x4000) return 2
  return value < TWO_32 ? 5 : LENGTH_MAX_BYTES
}

/** Writes a length as RDB encodes it. Returns the offset behind it. */
export function writeRdbLength(bytes: Buffer, at: number, value: number): number {
  if (value < 0x40) {
    bytes[at] = value
    return at + 1
  }
  if (value < 0x4000) {
    bytes[at] = (RdbLength.Bits14 << 6) | (value >>> 8)
    bytes[at + 1] = value
    return at + 2
  }
  if (value < TWO_32) {
    bytes[at] = RDB_LENGTH_32
    bytes.writeUInt32BE(value, at + 1)
    return at + 5
  }
  const high = Math.floor(value / TWO_32)
  bytes[at] = RDB_LENGTH_64
  bytes.writeUInt32BE(high, at + 1)
  bytes.writeUInt32BE(value - high * TWO_32, at + 5)
  return at + LENGTH_MAX_BYTES
}
