/**
 * Packed blocks: a short sequence of byte strings and integers in one arena block. Hot path.
 *
 * Payload: count (u32, little endian), then the entries in the encoding of Redis' listpack (without its header and
 * end mark), so that DUMP and RDB are a copy:
 *
 *     0xxxxxxx            7-bit unsigned integer      110xxxxx +1      13-bit signed integer
 *     10xxxxxx            string up to 63 bytes       1110xxxx +1      string up to 4095 bytes
 *     0xf0 +4             string                      0xf1–0xf4        16, 24, 32, 64-bit signed integer
 *
 * each followed by its length, readable from behind (1 to 5 bytes, 7 bits each). Integers outside the safe range are
 * kept as strings. A block is changed only through the functions here, which may move it: they return the reference
 * to use from then on. `PackedCursor` is a reusable view; it is invalid after a change of the block.
 */
import { integerLength, parseSafeInteger, writeInteger } from '../bytes/integer.ts'
import { readWord, writeWord } from '../bytes/words.ts'
import { type Arena, copyBytes, equalBytes, NO_REF, type Ref } from './arena.ts'

/** Bytes before the first entry. */
export const PACKED_HEADER_BYTES = 4
/** No entry at this position. */
export const NO_ENTRY = -1

const TWO_32 = 4294967296
const ENTRY_BYTES = entryBytesTable()

/** Creates an empty block. */
export function createPacked(arena: Arena): Ref {
  const ref = arena.alloc(PACKED_HEADER_BYTES)
  const buffer = arena.segment(ref)
  const at = arena.offset(ref)
  buffer[at] = 0
  buffer[at + 1] = 0
  buffer[at + 2] = 0
  buffer[at + 3] = 0
  return ref
}

/** Number of entries. */
export function packedCount(arena: Arena, ref: Ref): number {
  return readWord(arena.segment(ref), arena.offset(ref))
}

/** Bytes of all entries, as a listpack would count them without header and end mark. */
export function packedBytes(arena: Arena, ref: Ref): number {
  return arena.length(ref) - PACKED_HEADER_BYTES
}

/**
 * A position in a packed block and the entry that lies there. Positions are byte offsets from the payload's start;
 * PACKED_HEADER_BYTES is the first entry. Reused: open() it again for each use.
 */
export class PackedCursor {
  readonly arena: Arena
  ref: Ref = 0
  /** Buffer of the block; strings lie at [start, start + length) in it. */
  buffer: Buffer
  private base = 0
  private begin = PACKED_HEADER_BYTES
  private end = 0
  /** Position of the current entry, NO_ENTRY when there is none. */
  position: number = NO_ENTRY
  /** Position behind the current entry. */
  next = 0
  isInteger = false
  /** Value of an integer entry. */
  integer = 0
  /** Where a string entry starts in `buffer`, and its length in bytes. */
  start = 0
  length = 0

  constructor(arena: Arena) {
    this.arena = arena
    this.buffer = EMPTY
  }

  /** Takes position before the first entry of `ref`. */
  open(ref: Ref): void {
    this.openRange(ref, PACKED_HEADER_BYTES, this.arena.length(ref))
  }

  /** As `open`, for a block that holds entries in the payload range [begin, end) and need not have a header. */
  openRange(ref: Ref, begin: number, end: number): void {
    this.ref = ref
    this.buffer = this.arena.segment(ref)
    this.base = this.arena.offset(ref)
    this.begin = begin
    this.end = end
    this.position = NO_ENTRY
    this.next = begin
  }

  /** As `open`, for entries at `buffer[start, end)`, which belong to no block; positions are offsets in the buffer. */
  openBytes(buffer: Buffer, start: number, end: number): void {
    this.ref = NO_REF
    this.buffer = buffer
    this.base = 0
    this.begin = start
    this.end = end
    this.position = NO_ENTRY
    this.next = start
  }

  /** Moves to the following entry. Returns false behind the last one. */
  advance(): boolean {
    if (this.next >= this.end) {
      this.position = NO_ENTRY
      return false
    }
    this.decode(this.next)
    return true
  }

  /** Skips the following entry without decoding its value. Returns false behind the last one. */
  skip(): boolean {
    if (this.next >= this.end) return false
    const at = this.base + this.next
    const encoded = encodedLength(this.buffer, at)
    this.next += encoded + backLengthBytes(encoded)
    return this.next < this.end
  }

  /** Moves to the entry before the current one, or to the last one from behind the end (see `openAtEnd`). */
  retreat(): boolean {
    const from = this.position === NO_ENTRY ? this.next : this.position
    if (from <= this.begin) {
      this.position = NO_ENTRY
      this.next = this.begin
      return false
    }
    this.decode(previousPosition(this.buffer, this.base, from))
    return true
  }

  /** Takes position behind the last entry of `ref`. */
  openAtEnd(ref: Ref): void {
    this.open(ref)
    this.next = this.end
  }

  /** Takes position behind the last entry of what is open. */
  toEnd(): void {
    this.position = NO_ENTRY
    this.next = this.end
  }

  /** Moves to the entry at `index`; a negative one counts from the end (-1 is the last). Returns false out of range. */
  seek(index: number): boolean {
    if (index >= 0) {
      this.next = this.begin
      while (index-- > 0) if (!this.skip()) return this.leave()
      return this.advance()
    }
    this.position = NO_ENTRY
    this.next = this.end
    while (index < 0) {
      if (!this.retreat()) return false
      index++
    }
    return true
  }

  /** Moves to the entry at a position that this cursor has reported since the last change. */
  moveTo(position: number): void {
    this.decode(position)
  }

  /**
   * Moves on to the next entry that has the bytes `source[start, start + length)`, looking at the following entry and
   * then at every `stride`-th one (2: the fields of field, value pairs). Returns false, behind the end, without one.
   */
  find(source: Uint8Array, start: number, length: number, stride: number): boolean {
    const wanted = parseSafeInteger(source, start, length)
    // Most keys are told from an entry by its header and last byte; the last byte of an empty entry is its header.
    const stringHeader = length < 64 ? 0x80 | length : -1
    const last = length === 0 ? 0x80 : source[start + length - 1]!
    const integerHeader = wanted >= 0 && wanted < 0x80 ? wanted | 0 : -1
    // Wider integers are told by their header and low byte. All of these are small integers to the compiler.
    const isInteger = integerHeader < 0 && !Number.isNaN(wanted)
    const wideHeader = isInteger ? wideIntegerHeader(wanted) : -1
    const low = isInteger ? (wanted - Math.floor(wanted / 256) * 256) | 0 : -1
    const isLong = length >= 64
    const buffer = this.buffer
    const base = this.base
    const end = base + this.end
    let at = base + this.next
    while (at < end) {
      const header = buffer[at]!
      if (header === stringHeader) {
        if (buffer[at + length] === last && equalBytes(buffer, at + 1, source, start, length))
          return this.found(at - base)
      } else if (header === integerHeader) {
        return this.found(at - base)
      } else if (header === wideHeader) {
        if (buffer[at + 1] === low) {
          this.decode(at - base)
          if (this.integer === wanted) return true
        }
      } else if (isLong && header >= 0xe0 && header <= 0xf0) {
        this.decode(at - base)
        if (this.length === length && equalBytes(buffer, this.start, source, start, length)) return true
      }
      for (let i = 0; i < stride && at < end; i++) {
        const bytes = ENTRY_BYTES[buffer[at]!]!
        at += bytes !== 0 ? bytes : wideEntryBytes(buffer, at)
      }
    }
    return this.leave()
  }

  /** Whether the current entry has the bytes `source[start, start + length)`. */
  equals(source: Uint8Array, start: number, length: number): boolean {
    if (this.isInteger) {
      if (integerLength(this.integer) !== length) return false
      return parseSafeInteger(source, start, length) === this.integer
    }
    if (this.length !== length) return false
    const buffer = this.buffer
    const at = this.start
    for (let i = 0; i < length; i++) if (buffer[at + i] !== source[start + i]) return false
    return true
  }

  /** The current entry as a byte string. */
  text(): string {
    if (this.isInteger) return String(this.integer)
    return this.buffer.latin1Slice(this.start, this.start + this.length)
  }

  /** Length of the current entry as text, in bytes. */
  textLength(): number {
    return this.isInteger ? integerLength(this.integer) : this.length
  }

  /** Copies the current entry as text to `target`. Returns the offset behind it. */
  copyText(target: Uint8Array, to: number): number {
    if (this.isInteger) return writeInteger(target, to, this.integer)
    copyBytes(this.buffer, this.start, target, to, this.length)
    return to + this.length
  }

  private found(position: number): boolean {
    this.decode(position)
    return true
  }

  private leave(): boolean {
    this.position = NO_ENTRY
    this.next = this.end
    return false
  }

  private decode(position: number): void {
    const buffer = this.buffer
    const at = this.base + position
    const first = buffer[at]!
    this.position = position
    if (first < 0x80) {
      this.isInteger = true
      this.integer = first
      this.next = position + 2
      return
    }
    if (first < 0xc0) {
      this.isInteger = false
      this.start = at + 1
      this.length = first & 0x3f
      this.next = position + this.length + 1 + backLengthBytes(this.length + 1)
      return
    }
    this.decodeLong(buffer, at, position, first)
  }

  private decodeLong(buffer: Buffer, at: number, position: number, first: number): void {
    this.isInteger = true
    if (first < 0xe0) {
      const value = ((first & 0x1f) << 8) | buffer[at + 1]!
      this.integer = value >= 4096 ? value - 8192 : value
      this.next = position + 3
      return
    }
    if (first < 0xf0) {
      this.isInteger = false
      this.start = at + 2
      this.length = ((first & 0x0f) << 8) | buffer[at + 1]!
      this.next = position + this.length + 2 + backLengthBytes(this.length + 2)
      return
    }
    switch (first) {
      case 0xf0:
        this.isInteger = false
        this.start = at + 5
        this.length = buffer.readUInt32LE(at + 1)
        this.next = position + this.length + 5 + backLengthBytes(this.length + 5)
        return
      case 0xf1:
        this.integer = buffer.readInt16LE(at + 1)
        this.next = position + 4
        return
      case 0xf2:
        this.integer = buffer.readIntLE(at + 1, 3)
        this.next = position + 5
        return
      case 0xf3:
        this.integer = buffer.readInt32LE(at + 1)
        this.next = position + 6
        return
      default:
        this.integer = buffer.readInt32LE(at + 5) * TWO_32 + buffer.readUInt32LE(at + 1)
        this.next = position + 10
    }
  }
}

/** Appends a byte string (stored as an integer when it is one). Returns the block's reference. */
export function packedAppend(arena: Arena, ref: Ref, source: Uint8Array, start: number, length: number): Ref {
  return packedInsert(arena, ref, arena.length(ref), source, start, length)
}

/** Appends an integer. */
export function packedAppendInteger(arena: Arena, ref: Ref, value: number): Ref {
  return packedInsertInteger(arena, ref, arena.length(ref), value)
}

/** Inserts a byte string before the entry at `position` (or at the end, the block's length). */
export function packedInsert(
  arena: Arena,
  ref: Ref,
  position: number,
  source: Uint8Array,
  start: number,
  length: number,
): Ref {
  const value = parseSafeInteger(source, start, length)
  if (!Number.isNaN(value)) return packedInsertInteger(arena, ref, position, value)
  const size = stringEntryBytes(length)
  ref = openGap(arena, ref, position, 0, size, 1)
  writeString(arena.segment(ref), arena.offset(ref) + position, source, start, length)
  return ref
}

/** Inserts an integer before the entry at `position` (or at the end, the block's length). */
export function packedInsertInteger(arena: Arena, ref: Ref, position: number, value: number): Ref {
  const size = integerEntryBytes(value)
  ref = openGap(arena, ref, position, 0, size + 1, 1)
  writeIntegerEntry(arena.segment(ref), arena.offset(ref) + position, value, size)
  return ref
}

/** Replaces the entry at `position` by a byte string. */
export function packedReplace(
  arena: Arena,
  ref: Ref,
  position: number,
  source: Uint8Array,
  start: number,
  length: number,
): Ref {
  const value = parseSafeInteger(source, start, length)
  if (!Number.isNaN(value)) return packedReplaceInteger(arena, ref, position, value)
  const size = stringEntryBytes(length)
  ref = openGap(arena, ref, position, entryBytesAt(arena, ref, position), size, 0)
  writeString(arena.segment(ref), arena.offset(ref) + position, source, start, length)
  return ref
}

/** Replaces the entry at `position` by an integer. */
export function packedReplaceInteger(arena: Arena, ref: Ref, position: number, value: number): Ref {
  const size = integerEntryBytes(value)
  ref = openGap(arena, ref, position, entryBytesAt(arena, ref, position), size + 1, 0)
  writeIntegerEntry(arena.segment(ref), arena.offset(ref) + position, value, size)
  return ref
}

/** Removes `count` entries from `position` on (they must exist). */
export function packedRemove(arena: Arena, ref: Ref, position: number, count: number): Ref {
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  let end = position
  for (let i = 0; i < count; i++) {
    const encoded = encodedLength(buffer, base + end)
    end += encoded + backLengthBytes(encoded)
  }
  return openGap(arena, ref, position, end - position, 0, -count)
}

/** Cuts a block off at a payload length where an entry ends; `count` entries are left. */
export function packedTruncate(arena: Arena, ref: Ref, length: number, count: number): Ref {
  ref = arena.resize(ref, length)
  arena.segment(ref).writeUInt32LE(count, arena.offset(ref))
  return ref
}

/**
 * Bytes of the entry for a value: `integer` when that is a number, else a byte string of `length` (integer is NaN, as
 * parseSafeInteger gives it).
 */
export function packedEntryBytes(integer: number, length: number): number {
  return Number.isNaN(integer) ? stringEntryBytes(length) : integerEntryBytes(integer) + 1
}

/** Writes the entry for a value (see packedEntryBytes) at an offset of `buffer`. */
export function writePackedEntry(
  buffer: Buffer,
  at: number,
  integer: number,
  source: Uint8Array,
  start: number,
  length: number,
): void {
  if (Number.isNaN(integer)) writeString(buffer, at, source, start, length)
  else writeIntegerEntry(buffer, at, integer, integerEntryBytes(integer))
}

/** Bytes of the entry that starts at an offset of `buffer`. */
export function packedBytesAt(buffer: Buffer, at: number): number {
  const encoded = encodedLength(buffer, at)
  return encoded + backLengthBytes(encoded)
}

/** Bytes of the entry that ends at an offset of `buffer`. */
export function packedBytesBefore(buffer: Buffer, at: number): number {
  return at - previousPosition(buffer, 0, at)
}

/** Bytes that a byte string takes as a packed entry at most (exactly, unless it is an integer). */
export function stringEntryBytes(length: number): number {
  const encoded = length < 64 ? length + 1 : length < 4096 ? length + 2 : length + 5
  return encoded + backLengthBytes(encoded)
}

/**
 * Puts `inserted` bytes in the place of `removed` bytes at `position` and adds `countDelta` to the count. The inserted
 * bytes are left for the caller to write: as many entries as `countDelta` says, or one entry in the place of another.
 */
export function openGap(
  arena: Arena,
  ref: Ref,
  position: number,
  removed: number,
  inserted: number,
  countDelta: number,
): Ref {
  const oldLength = arena.length(ref)
  const delta = inserted - removed
  const tail = oldLength - position - removed
  if (delta < 0 && tail > 0) {
    const base = arena.offset(ref)
    moveBytes(arena.segment(ref), base + position + inserted, base + position + removed, tail)
  }
  if (delta !== 0) ref = arena.resize(ref, oldLength + delta)
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  if (delta > 0 && tail > 0) {
    moveBytes(buffer, base + position + inserted, base + position + removed, tail)
  }
  if (countDelta !== 0) writeWord(buffer, base, readWord(buffer, base) + countDelta)
  return ref
}

/** Longer ranges are moved by the call into the runtime, which takes as long as the loop for so many. */
const LOOPED_BYTES_MAX = 96

/** Moves `length` bytes within a buffer; the ranges may overlap. */
function moveBytes(buffer: Buffer, to: number, from: number, length: number): void {
  if (length > LOOPED_BYTES_MAX) buffer.copyWithin(to, from, from + length)
  else if (to < from) for (let i = 0; i < length; i++) buffer[to + i] = buffer[from + i]!
  else for (let i = length - 1; i >= 0; i--) buffer[to + i] = buffer[from + i]!
}

function entryBytesAt(arena: Arena, ref: Ref, position: number): number {
  return packedBytesAt(arena.segment(ref), arena.offset(ref) + position)
}

/** Bytes of the whole entry at `at`, for a header that does not tell them. */
function wideEntryBytes(buffer: Buffer, at: number): number {
  const encoded = encodedLength(buffer, at)
  return encoded + backLengthBytes(encoded)
}

/** Bytes of the whole entry by its header, 0 where the length follows it. */
function entryBytesTable(): Uint8Array {
  const bytes = new Uint8Array(256)
  bytes.fill(2, 0, 0x80)
  for (let length = 0; length < 64; length++) bytes[0x80 | length] = length + 2
  bytes.fill(3, 0xc0, 0xe0)
  bytes.set([4, 5, 6, 10], 0xf1)
  return bytes
}

/** Bytes of header and value of the entry at `at` (without the length behind it). */
function encodedLength(buffer: Buffer, at: number): number {
  const first = buffer[at]!
  if (first < 0x80) return 1
  if (first < 0xc0) return 1 + (first & 0x3f)
  if (first < 0xe0) return 2
  if (first < 0xf0) return 2 + (((first & 0x0f) << 8) | buffer[at + 1]!)
  switch (first) {
    case 0xf0:
      return 5 + buffer.readUInt32LE(at + 1)
    case 0xf1:
      return 3
    case 0xf2:
      return 4
    case 0xf3:
      return 5
    default:
      return 9
  }
}

function backLengthBytes(encoded: number): number {
  if (encoded < 128) return 1
  if (encoded < 16383) return 2
  if (encoded < 2097151) return 3
  if (encoded < 268435455) return 4
  return 5
}

function writeBackLength(buffer: Buffer, at: number, encoded: number): void {
  const bytes = backLengthBytes(encoded)
  // The least significant seven bits come last; all bytes but the first carry the mark "more to the left".
  let value = encoded
  for (let i = bytes - 1; i >= 0; i--) {
    buffer[at + i] = (value & 127) | (i === 0 ? 0 : 128)
    value = Math.floor(value / 128)
  }
}

function previousPosition(buffer: Buffer, base: number, position: number): number {
  let at = base + position - 1
  let encoded = buffer[at]! & 127
  let scale = 128
  let bytes = 1
  while (buffer[at]! & 128) {
    at--
    encoded += (buffer[at]! & 127) * scale
    scale *= 128
    bytes++
  }
  return position - bytes - encoded
}

function writeString(buffer: Buffer, at: number, source: Uint8Array, start: number, length: number): void {
  let to = at
  if (length < 64) {
    buffer[to++] = 0x80 | length
  } else if (length < 4096) {
    buffer[to++] = 0xe0 | (length >>> 8)
    buffer[to++] = length
  } else {
    buffer[to++] = 0xf0
    buffer.writeUInt32LE(length, to)
    to += 4
  }
  copyBytes(source, start, buffer, to, length)
  writeBackLength(buffer, to + length, to + length - at)
}

/** The first byte of the entry of an integer that takes more than one. */
function wideIntegerHeader(value: number): number {
  const size = integerEntryBytes(value)
  return size === 2 ? 0xc0 | ((value >> 8) & 0x1f) : size === 9 ? 0xf4 : 0xf1 + size - 3
}

/** Bytes of header and value of an integer entry. */
function integerEntryBytes(value: number): number {
  if (value >= 0 && value <= 127) return 1
  if (value >= -4096 && value <= 4095) return 2
  if (value >= -32768 && value <= 32767) return 3
  if (value >= -8388608 && value <= 8388607) return 4
  if (value >= -2147483648 && value <= 2147483647) return 5
  return 9
}

function writeIntegerEntry(buffer: Buffer, at: number, value: number, size: number): void {
  switch (size) {
    case 1:
      buffer[at] = value
      break
    case 2:
      buffer[at] = 0xc0 | ((value >> 8) & 0x1f)
      buffer[at + 1] = value
      break
    case 3:
      buffer[at] = 0xf1
      buffer[at + 1] = value
      buffer[at + 2] = value >> 8
      break
    case 4:
      buffer[at] = 0xf2
      buffer.writeIntLE(value, at + 1, 3)
      break
    case 5:
      buffer[at] = 0xf3
      buffer.writeInt32LE(value, at + 1)
      break
    default: {
      buffer[at] = 0xf4
      const high = Math.floor(value / TWO_32)
      buffer.writeUInt32LE(value - high * TWO_32, at + 1)
      buffer.writeInt32LE(high, at + 5)
    }
  }
  buffer[at + size] = size
}

const EMPTY = Buffer.alloc(0)
