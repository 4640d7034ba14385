/**
 * RdbInput: the bytes of an RDB file or payload, and what all records are made of: lengths, numbers and strings. Hot path.
 *
 * A file is read through a window; whoever needs bytes in one piece calls `need` first. A string is shown where it lies
 * (RdbString) and stays readable while the window moves on: strings that are in use are copied out of it then.
 *
 *     file     ······|  consumed  at ▶ unread  end |······          window of 1 MiB, longer while a string is longer
 *                    base
 *
 * No length is trusted: before memory is taken, what is left of the source must be able to hold that much, or, for a
 * compressed string, to expand to it.
 */
import { Crc64 } from '../../bytes/crc64.ts'
import { parseSafeInteger, writeInteger } from '../../bytes/integer.ts'
import { lzfDecompress } from '../../bytes/lzf.ts'
import { type Arena, copyBytes, NO_REF, type Ref } from '../../storage/arena.ts'
import { RDB_LENGTH_32, RDB_LENGTH_64, RdbEncoding, RdbLength } from './format.ts'
import { RdbError } from './rdb-error.ts'
import type { ByteSource } from './rdb-source.ts'

const WINDOW_BYTES = 1024 * 1024
/** Scratch space and windows beyond this are given back after use. */
const KEEP_BYTES_MAX = 4 * 1024 * 1024
/** Longest string that a block can hold. */
const STRING_BYTES_MAX = 0x7fffffff - 8
/** What a compressed string may become unless longer strings are configured (`proto-max-bulk-len`). */
const UNCOMPRESSED_BYTES_MIN = 512 * 1024 * 1024
/** Three bytes of LZF stand for 264 at most. */
const LZF_RATIO_MAX = 88
/** Longest text of a 32-bit integer. */
const INTEGER_TEXT_BYTES = 11
/** A sign and the 16 digits of a safe integer. */
const SAFE_INTEGER_TEXT_BYTES = 17
const TWO_32 = 4294967296
const SAFE_HIGH_END = 0x200000
const EMPTY = Buffer.alloc(0)

/** A string that was read: `buffer[start, start + length)`, until the same object is read into again. */
export class RdbString {
  buffer: Buffer = EMPTY
  start = 0
  length = 0
  /** Where the string stands in the source, with its length before it. */
  offset = 0
  /** Whether it lies in the window, which is about to move on. */
  isInWindow = false
  private scratch: Buffer = EMPTY

  /** Makes room for `length` bytes of its own and shows them; they are the caller's to write. */
  own(length: number): Buffer {
    if (this.scratch.length < length) this.scratch = Buffer.allocUnsafeSlow(Math.max(length, 64))
    this.buffer = this.scratch
    this.start = 0
    this.length = length
    this.isInWindow = false
    return this.scratch
  }

  /** Moves the string out of the window. */
  keep(): void {
    const { buffer, start, length } = this
    copyBytes(buffer, start, this.own(length), 0, length)
  }

  /** Forgets the string. */
  release(): void {
    this.isInWindow = false
    this.buffer = EMPTY
    this.length = 0
    if (this.scratch.length > KEEP_BYTES_MAX) this.scratch = EMPTY
  }

  text(): string {
    return this.buffer.latin1Slice(this.start, this.start + this.length)
  }
}

export class RdbInput {
  buffer: Buffer = EMPTY
  /** Next byte in `buffer`; bytes up to it have been consumed. */
  at = 0
  /** Longest string that a compressed one may become, in bytes. */
  uncompressedBytesMax = UNCOMPRESSED_BYTES_MIN
  /** What `words` has read: an unsigned 64-bit number. */
  high = 0
  low = 0
  /** What `stringBlock` has read in place of a block. */
  integer = 0
  private end = 0
  private base = 0
  private source: ByteSource | null = null
  /** Bytes of the source that are not in the window yet. */
  private ahead = 0
  private readonly strings: RdbString[] = []
  private readonly crc = new Crc64()
  private crcFrom = 0
  private checksums = false

  /** Starts to read a source. */
  open(source: ByteSource, checksums: boolean): void {
    this.buffer = Buffer.allocUnsafeSlow(Math.min(source.size, WINDOW_BYTES))
    this.at = 0
    this.end = 0
    this.base = 0
    this.source = source
    this.ahead = source.size
    this.checksums = checksums
    this.crc.reset()
    this.crcFrom = 0
  }

  /** Starts to read `buffer[start, end)`. Offsets count from `start`. */
  openMemory(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer
    this.at = start
    this.end = end
    this.base = -start
    this.source = null
    this.ahead = 0
    this.checksums = false
  }

  /** Lets go of the buffer. */
  close(): void {
    this.buffer = EMPTY
    this.at = 0
    this.end = 0
    this.ahead = 0
    this.source = null
    for (const string of this.strings) string.release()
  }

  /** A string to be read into; it follows when the window moves. */
  newString(): RdbString {
    const string = new RdbString()
    this.strings.push(string)
    return string
  }

  /** Bytes consumed. */
  get offset(): number {
    return this.base + this.at
  }

  /** Bytes that are left. */
  get left(): number {
    return this.end - this.at + this.ahead
  }

  /** Makes sure that `buffer[at, at + bytes)` is there. @throws RdbError when the source ends before */
  need(bytes: number): void {
    if (this.end - this.at < bytes) this.refill(bytes)
  }

  byte(): number {
    if (this.at === this.end) this.refill(1)
    return this.buffer[this.at++]!
  }

  int32(): number {
    this.need(4)
    this.at += 4
    return this.buffer.readInt32LE(this.at - 4)
  }

  /** A signed 64-bit number; beyond 2^53 the nearest double. */
  int64(): number {
    this.need(8)
    this.at += 8
    return this.buffer.readInt32LE(this.at - 4) * TWO_32 + this.buffer.readUInt32LE(this.at - 8)
  }

  double(): number {
    this.need(8)
    this.at += 8
    return this.buffer.readDoubleLE(this.at - 8)
  }

  /** A length or a count. @throws RdbError when it is encoded or no safe integer */
  length(): number {
    const first = this.byte()
    if (first < 0x40) return first
    const length = this.longLength(first)
    if (length < 0) throw this.error('Expected a length, found an encoding')
    return length
  }

  /** How many elements follow, of which each takes at least `bytesMin`. */
  count(bytesMin: number): number {
    const count = this.length()
    if (count * bytesMin > this.left) throw this.error(`Expected ${count} elements in the ${this.left} bytes left`)
    return count
  }

  /** An unsigned 64-bit number in the encoding of lengths, into `high` and `low`. */
  words(): void {
    const first = this.byte()
    this.high = 0
    this.low = first
    if (first < 0x40) return
    if (first === RDB_LENGTH_64) {
      this.need(8)
      this.high = this.buffer.readInt32BE(this.at)
      this.low = this.buffer.readInt32BE(this.at + 4)
      this.at += 8
      return
    }
    const length = this.longLength(first)
    if (length < 0) throw this.error('Expected a number, found an encoding')
    this.low = length | 0
  }

  /** Reads a string. */
  string(into: RdbString): void {
    into.offset = this.offset
    const first = this.byte()
    const length = first < 0x40 ? first : this.longLength(first)
    if (length < 0) {
      this.encodedString(-1 - length, into)
      return
    }
    if (this.end - this.at < length) {
      this.checkString(length)
      into.isInWindow = false
      this.refill(length)
    }
    into.buffer = this.buffer
    into.start = this.at
    into.length = length
    into.isInWindow = true
    this.at += length
  }

  /**
   * Reads a string into a block of its own; the bytes go there directly, however many they are. A canonical safe integer
   * gets no block: then NO_REF is returned, and the number is in `integer`.
   */
  stringBlock(arena: Arena): Ref {
    const first = this.byte()
    const length = first < 0x40 ? first : this.longLength(first)
    if (length < 0) return this.encodedBlock(-1 - length, arena)
    if (this.end - this.at < length) return this.longBlock(length, arena)
    const at = this.at
    this.at = at + length
    if (length <= SAFE_INTEGER_TEXT_BYTES) {
      this.integer = parseSafeInteger(this.buffer, at, length)
      if (!Number.isNaN(this.integer)) return NO_REF
    }
    return arena.store(this.buffer, at, length)
  }

  /** Compares the eight bytes that follow with the checksum of all before. @throws RdbError */
  checkChecksum(): void {
    this.need(8)
    if (this.checksums) {
      this.crc.update(this.buffer, this.crcFrom, this.at)
      this.crcFrom = this.at
      const isAbsent = this.buffer.readUInt32LE(this.at) === 0 && this.buffer.readUInt32LE(this.at + 4) === 0
      if (!isAbsent && !this.crc.matches(this.buffer, this.at)) {
        const expected = Buffer.allocUnsafe(8)
        this.crc.writeTo(expected, 0)
        const found = this.buffer.toString('hex', this.at, this.at + 8)
        throw this.error(`CRC error: expected checksum ${expected.toString('hex')}, found ${found}`)
      }
    }
    this.at += 8
  }

  /** An error about what begins at the current offset. */
  error(problem: string): RdbError {
    return new RdbError(problem, this.offset)
  }

  /** The rest of a length whose first byte was read; -1 - encoding when it is the encoding of a string. */
  private longLength(first: number): number {
    if (first >>> 6 === RdbLength.Bits14) return ((first & 0x3f) << 8) | this.byte()
    if (first >>> 6 === RdbLength.Encoded) return -1 - (first & 0x3f)
    if (first === RDB_LENGTH_32) {
      this.need(4)
      this.at += 4
      return this.buffer.readUInt32BE(this.at - 4)
    }
    if (first !== RDB_LENGTH_64) throw this.error(`Expected a length, found the byte ${first}`)
    this.need(8)
    const high = this.buffer.readUInt32BE(this.at)
    const low = this.buffer.readUInt32BE(this.at + 4)
    this.at += 8
    if (high >= SAFE_HIGH_END) throw this.error('Expected a length below 2^53')
    return high * TWO_32 + low
  }

  private encodedString(encoding: number, into: RdbString): void {
    if (encoding === RdbEncoding.Lzf) {
      const compressed = this.compressedLength()
      const length = this.uncompressedLength(compressed)
      into.isInWindow = false
      this.need(compressed)
      this.decompress(compressed, into.own(length), 0, length)
      return
    }
    const value = this.encodedInteger(encoding)
    into.length = writeInteger(into.own(INTEGER_TEXT_BYTES), 0, value)
  }

  private encodedBlock(encoding: number, arena: Arena): Ref {
    if (encoding !== RdbEncoding.Lzf) {
      this.integer = this.encodedInteger(encoding)
      return NO_REF
    }
    const compressed = this.compressedLength()
    const length = this.uncompressedLength(compressed)
    this.need(compressed)
    const ref = arena.alloc(length)
    try {
      this.decompress(compressed, arena.segment(ref), arena.offset(ref), length)
    } catch (error) {
      arena.free(ref)
      throw error
    }
    return this.blockOrInteger(arena, ref)
  }

  /** A string that is not all in the window. */
  private longBlock(length: number, arena: Arena): Ref {
    this.checkString(length)
    const ref = arena.alloc(length)
    try {
      this.fill(arena.segment(ref), arena.offset(ref), length)
    } catch (error) {
      arena.free(ref)
      throw error
    }
    return this.blockOrInteger(arena, ref)
  }

  private blockOrInteger(arena: Arena, ref: Ref): Ref {
    this.integer = parseSafeInteger(arena.segment(ref), arena.offset(ref), arena.length(ref))
    if (Number.isNaN(this.integer)) return ref
    arena.free(ref)
    return NO_REF
  }

  private encodedInteger(encoding: number): number {
    if (encoding === RdbEncoding.Int8) return (this.byte() << 24) >> 24
    if (encoding === RdbEncoding.Int32) return this.int32()
    if (encoding !== RdbEncoding.Int16) throw this.error(`Expected an encoding of a string, found ${encoding}`)
    this.need(2)
    this.at += 2
    return this.buffer.readInt16LE(this.at - 2)
  }

  private compressedLength(): number {
    const length = this.length()
    if (length > this.left) throw this.error(`Expected ${length} compressed bytes, found ${this.left}`)
    return length
  }

  private uncompressedLength(compressed: number): number {
    const length = this.length()
    if (length > compressed * LZF_RATIO_MAX || length > this.uncompressedBytesMax || length === 0) {
      throw this.error(`Expected what ${compressed} compressed bytes can hold, found a length of ${length}`)
    }
    return length
  }

  private decompress(compressed: number, target: Buffer, at: number, length: number): void {
    if (!lzfDecompress(this.buffer, this.at, compressed, target, at, length)) {
      throw this.error(`Expected compressed data of ${length} bytes`)
    }
    this.at += compressed
  }

  private checkString(length: number): void {
    if (length > STRING_BYTES_MAX || length > this.left) {
      throw this.error(`Expected a string of ${length} bytes, found ${this.left} bytes`)
    }
  }

  /** Copies `length` bytes that are not all in the window to `target`. */
  private fill(target: Buffer, to: number, length: number): void {
    const inWindow = this.end - this.at
    copyBytes(this.buffer, this.at, target, to, inWindow)
    this.at = this.end
    if (length - inWindow < WINDOW_BYTES) {
      this.need(length - inWindow)
      copyBytes(this.buffer, this.at, target, to + inWindow, length - inWindow)
      this.at += length - inWindow
      return
    }
    this.consume()
    this.readFully(target, to + inWindow, length - inWindow)
    if (this.checksums) this.crc.update(target, to + inWindow, to + length)
    this.base += length - inWindow
  }

  /** Moves the window on so that it holds `bytes` unread bytes. */
  private refill(bytes: number): void {
    if (bytes > this.left) throw this.error(`Expected ${bytes} more bytes, found ${this.left}`)
    for (const string of this.strings) if (string.isInWindow) string.keep()
    const unread = this.end - this.at
    const before = this.buffer
    if (this.checksums) this.crc.update(before, this.crcFrom, this.at)
    if (bytes > before.length) this.buffer = Buffer.allocUnsafeSlow(bytes)
    else if (before.length > KEEP_BYTES_MAX) this.buffer = Buffer.allocUnsafeSlow(Math.max(bytes, WINDOW_BYTES))
    before.copy(this.buffer, 0, this.at, this.end)
    this.base += this.at
    this.at = 0
    this.end = unread
    this.crcFrom = 0
    const wanted = Math.min(this.ahead, this.buffer.length - unread)
    while (this.end < bytes) this.end += this.readInto(this.buffer, this.end, unread + wanted - this.end)
  }

  /** Makes the window empty, everything in it having been consumed. */
  private consume(): void {
    for (const string of this.strings) if (string.isInWindow) string.keep()
    if (this.checksums) this.crc.update(this.buffer, this.crcFrom, this.at)
    this.base += this.at
    this.at = 0
    this.end = 0
    this.crcFrom = 0
  }

  private readFully(target: Buffer, at: number, length: number): void {
    for (let read = 0; read < length; ) read += this.readInto(target, at + read, length - read)
  }

  private readInto(target: Buffer, at: number, length: number): number {
    const bytes = this.source!.read(target, at, length)
    if (bytes === 0) throw this.error(`Expected ${length} more bytes, found the end of the file`)
    this.ahead -= bytes
    return bytes
  }
}
