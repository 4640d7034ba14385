/**
 * PackedRun: the entries of a listpack, ziplist or zipmap, checked and in the encoding of storage/packed.ts.
 *
 * Every header, length and length readable from behind is checked before a byte that it points to is read. A listpack
 * whose entries are already as the packed blocks want them (all that Redis writes, but for integers beyond 2^53) is shown
 * where it lies; anything else is written anew into scratch space.
 *
 *     listpack  | bytes: u32 | count: u16 | entries | 0xff |
 *     ziplist   | bytes: u32 | offset of the last entry: u32 | count: u16 | entries | 0xff |
 *     zipmap    | count: u8 | length, field, length, unused: u8, value, unused bytes … | 0xff |
 *
 * Source: Valkey src/listpack.c, src/ziplist.c, src/zipmap.c (headers and `…ValidateIntegrity`).
 */
import { parseSafeInteger, writeInteger } from '../../bytes/integer.ts'
import { type Arena, copyBytes, equalBytes, type Ref } from '../../storage/arena.ts'
import { hashBytes } from '../../storage/dict.ts'
import { PACKED_HEADER_BYTES, packedBytesAt, packedEntryBytes, writePackedEntry } from '../../storage/packed.ts'
import { integerElementValue } from '../../structures/stream-block.ts'

const LISTPACK_HEADER_BYTES = 6
const ZIPLIST_HEADER_BYTES = 10
const END_MARK = 0xff
/** A count in a header that says: count yourself. */
const COUNT_UNKNOWN = 0xffff
/** In ziplists and zipmaps: the length follows in four bytes. */
const LONG_LENGTH = 254
const LP_LONG_STRING = 0xf0
const LP_INT64 = 0xf4
/** A sign and the 16 digits of a safe integer. */
const INTEGER_TEXT_BYTES = 17
const SCRATCH_BYTES_MIN = 1024
/** Longer scratch space is given back after use. */
const KEEP_BYTES_MAX = 1024 * 1024
const EMPTY = Buffer.alloc(0)
const DUPLICATE_SLOTS_MIN = 16

const LISTPACK_PROBLEM = 'expected a listpack'
const ZIPLIST_PROBLEM = 'expected a ziplist'
const ZIPMAP_PROBLEM = 'expected a zipmap'

export class PackedRun {
  /** The entries are `buffer[start, end)`. */
  buffer: Buffer = EMPTY
  start = 0
  end = 0
  count = 0
  /** Length of the longest field or value of a zipmap, in bytes. */
  longest = 0
  private scratch: Buffer = EMPTY
  private used = 0
  private slots = new Int32Array(DUPLICATE_SLOTS_MIN)

  /** Reads a listpack. Returns what is wrong with it, or null. */
  listpack(source: Buffer, start: number, length: number): string | null {
    const end = start + length - 1
    if (length < LISTPACK_HEADER_BYTES + 1 || source.readUInt32LE(start) !== length || source[end] !== END_MARK) {
      return `${LISTPACK_PROBLEM} of ${length} bytes`
    }
    let count = 0
    let isCanonical = true
    let at = start + LISTPACK_HEADER_BYTES
    while (at < end) {
      const bytes = listpackEntryBytes(source, at, end)
      if (bytes === 0) return `${LISTPACK_PROBLEM} of ${length} bytes, found a broken entry ${at - start} bytes in`
      if (isCanonical && !isCanonicalEntry(source, at)) isCanonical = false
      at += bytes
      count++
    }
    const announced = source.readUInt16LE(start + 4)
    if (announced !== COUNT_UNKNOWN && announced !== count) {
      return `${LISTPACK_PROBLEM} of ${announced} entries, found ${count}`
    }
    if (isCanonical) this.show(source, start + LISTPACK_HEADER_BYTES, end, count)
    else this.rewriteListpack(source, start + LISTPACK_HEADER_BYTES, end)
    return null
  }

  /** Reads a ziplist. Returns what is wrong with it, or null. */
  ziplist(source: Buffer, start: number, length: number): string | null {
    const end = start + length - 1
    if (length < ZIPLIST_HEADER_BYTES + 1 || source.readUInt32LE(start) !== length || source[end] !== END_MARK) {
      return `${ZIPLIST_PROBLEM} of ${length} bytes`
    }
    this.begin()
    let at = start + ZIPLIST_HEADER_BYTES
    let last = at
    let previousBytes = 0
    while (at < end) {
      const bytes = this.ziplistEntry(source, at, end, previousBytes)
      if (bytes === 0) return `${ZIPLIST_PROBLEM} of ${length} bytes, found a broken entry ${at - start} bytes in`
      last = at
      previousBytes = bytes
      at += bytes
    }
    const announced = source.readUInt16LE(start + 8)
    if (announced !== COUNT_UNKNOWN && announced !== this.count) {
      return `${ZIPLIST_PROBLEM} of ${announced} entries, found ${this.count}`
    }
    if (source.readUInt32LE(start + 4) !== last - start) return `${ZIPLIST_PROBLEM} that knows its last entry`
    this.finish()
    return null
  }

  /** Reads a zipmap: fields and values in turn. Returns what is wrong with it, or null. */
  zipmap(source: Buffer, start: number, length: number): string | null {
    const end = start + length - 1
    if (length < 3 || source[end] !== END_MARK) return `${ZIPMAP_PROBLEM} of ${length} bytes`
    this.begin()
    this.longest = 0
    let at = start + 1
    while (at < end) {
      for (let part = 0; part < 2; part++) {
        const header = source[at]! < LONG_LENGTH ? 1 : 5
        // The value is preceded by how many bytes are unused behind it.
        if (source[at]! > LONG_LENGTH || at + header + part > end) return `${ZIPMAP_PROBLEM} of ${length} bytes`
        const bytes = header === 1 ? source[at]! : source.readUInt32LE(at + 1)
        const unused = part === 1 ? source[at + header]! : 0
        const from = at + header + part
        if (from + bytes + unused > end) return `${ZIPMAP_PROBLEM} of ${length} bytes`
        this.append(source, from, bytes)
        this.longest = Math.max(this.longest, bytes)
        at = from + bytes + unused
      }
    }
    // An empty one is no zipmap: Redis never wrote it.
    if (this.count === 0 || (source[start]! < LONG_LENGTH && source[start]! * 2 !== this.count)) {
      return `${ZIPMAP_PROBLEM} of ${source[start]} fields, found ${this.count / 2}`
    }
    this.finish()
    return null
  }

  /** Begins a run that is written entry by entry, with `append` and `appendInteger`; `finish` ends it. */
  begin(): void {
    this.used = 0
    this.count = 0
    this.buffer = EMPTY
  }

  /** Adds a byte string, as an integer if it is one. It must not lie in this run. */
  append(source: Uint8Array, start: number, length: number): void {
    this.appendValue(parseSafeInteger(source, start, length), source, start, length)
  }

  appendInteger(value: number): void {
    this.appendValue(value, EMPTY, 0, 0)
  }

  /** Adds a byte string that stays one, whatever it reads. */
  appendBytes(source: Uint8Array, start: number, length: number): void {
    this.appendValue(Number.NaN, source, start, length)
  }

  /** Adds the entry `source[at, end)`, which is in canonical form. */
  copyEntry(source: Buffer, at: number, end: number): void {
    this.reserve(end - at)
    copyBytes(source, at, this.scratch, this.used, end - at)
    this.used += end - at
    this.count++
  }

  finish(): void {
    this.buffer = this.scratch
    this.start = 0
    this.end = this.used
  }

  /** The run as a packed block, which is the caller's. */
  toBlock(arena: Arena): Ref {
    const bytes = this.end - this.start
    const ref = arena.alloc(PACKED_HEADER_BYTES + bytes)
    const target = arena.segment(ref)
    const at = arena.offset(ref)
    target.writeUInt32LE(this.count, at)
    copyBytes(this.buffer, this.start, target, at + PACKED_HEADER_BYTES, bytes)
    return ref
  }

  /** Lets go of the buffer. */
  release(): void {
    this.buffer = EMPTY
    if (this.scratch.length > KEEP_BYTES_MAX) this.scratch = EMPTY
    if (this.slots.byteLength > KEEP_BYTES_MAX) this.slots = new Int32Array(DUPLICATE_SLOTS_MIN)
  }

  /**
   * Whether two of the entries 0, `stride`, 2 · `stride` … are equal. Equal values have equal bytes, as all entries are in
   * their canonical form. O(n).
   *
   * @param seed of the hash function; secret, so that nobody can choose colliding entries.
   */
  hasDuplicates(stride: number, seed: number): boolean {
    const { buffer, end } = this
    const slots = this.openSlots(Math.ceil(this.count / stride))
    const mask = slots - 1
    let at = this.start
    while (at < end) {
      const bytes = packedBytesAt(buffer, at)
      let slot = hashBytes(buffer, at, bytes, seed) & mask
      for (; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
        const other = this.slots[slot]! - 1
        if (packedBytesAt(buffer, other) === bytes && equalBytes(buffer, other, buffer, at, bytes)) return true
      }
      this.slots[slot] = at + 1
      at += bytes
      for (let skipped = 1; skipped < stride && at < end; skipped++) at += packedBytesAt(buffer, at)
    }
    return false
  }

  private openSlots(count: number): number {
    let slots = DUPLICATE_SLOTS_MIN
    while (slots < count * 2) slots *= 2
    if (this.slots.length < slots) this.slots = new Int32Array(slots)
    else this.slots.fill(0, 0, slots)
    return slots
  }

  private show(buffer: Buffer, start: number, end: number, count: number): void {
    this.buffer = buffer
    this.start = start
    this.end = end
    this.count = count
  }

  private rewriteListpack(source: Buffer, start: number, end: number): void {
    this.begin()
    for (let at = start; at < end; at += packedBytesAt(source, at)) this.appendListpackEntry(source, at)
    this.finish()
  }

  private appendListpackEntry(source: Buffer, at: number): void {
    const first = source[at]!
    if (first < 0x80) this.appendInteger(first)
    else if (first < 0xc0) this.append(source, at + 1, first & 0x3f)
    else if (first < 0xe0) this.appendInteger(((((first & 0x1f) << 8) | source[at + 1]!) << 19) >> 19)
    else if (first < LP_LONG_STRING) this.append(source, at + 2, ((first & 0x0f) << 8) | source[at + 1]!)
    else if (first === LP_LONG_STRING) this.append(source, at + 5, source.readUInt32LE(at + 1))
    else if (first === LP_INT64) this.appendInt64(source, at + 1)
    else this.appendInteger(source.readIntLE(at + 1, first - LP_LONG_STRING + 1))
  }

  /** Adds a 64-bit integer: as text when it is beyond the integers that are safe. */
  private appendInt64(source: Buffer, at: number): void {
    const value = source.readBigInt64LE(at)
    const integer = Number(value)
    if (Number.isSafeInteger(integer)) {
      this.appendInteger(integer)
      return
    }
    const text = Buffer.from(String(value), 'latin1')
    this.appendBytes(text, 0, text.length)
  }

  /** Adds the ziplist entry at `at`. Returns its bytes, 0 when it is broken. */
  private ziplistEntry(source: Buffer, at: number, end: number, previousBytes: number): number {
    const isLong = source[at]! === LONG_LENGTH
    const header = at + (isLong ? 5 : 1)
    if (source[at]! > LONG_LENGTH || header >= end) return 0
    if ((isLong ? source.readUInt32LE(at + 1) : source[at]!) !== previousBytes) return 0
    const encoding = source[header]!
    if (encoding >= 0xc0) return this.ziplistInteger(source, at, header, end)
    const size = encoding < 0x40 ? 1 : encoding < 0x80 ? 2 : 5
    // Of a length in four bytes the low bits of the first byte are unused, and zero.
    if (header + size > end || (size === 5 && encoding !== 0x80)) return 0
    let length = encoding & 0x3f
    if (size === 2) length = (length << 8) | source[header + 1]!
    else if (size === 5) length = source.readUInt32BE(header + 1)
    if (header + size + length > end) return 0
    this.append(source, header + size, length)
    return header + size + length - at
  }

  private ziplistInteger(source: Buffer, at: number, header: number, end: number): number {
    const encoding = source[header]!
    const size = ziplistIntegerBytes(encoding)
    if (size < 0 || header + 1 + size > end) return 0
    if (size === 0) this.appendInteger((encoding & 0x0f) - 1)
    else if (size === 8) this.appendInt64(source, header + 1)
    else this.appendInteger(source.readIntLE(header + 1, size))
    return header + 1 + size - at
  }

  private appendValue(integer: number, source: Uint8Array, start: number, length: number): void {
    const bytes = packedEntryBytes(integer, length)
    this.reserve(bytes)
    writePackedEntry(this.scratch, this.used, integer, source, start, length)
    this.used += bytes
    this.count++
  }

  private reserve(bytes: number): void {
    if (this.used + bytes <= this.scratch.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(SCRATCH_BYTES_MIN, this.used + bytes, this.scratch.length * 2))
    this.scratch.copy(grown, 0, 0, this.used)
    this.scratch = grown
  }
}

/** The bytes of an entry, also of one that is an integer. */
export class EntryText {
  buffer: Buffer = EMPTY
  start = 0
  length = 0
  readonly digits: Buffer = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
}

/** Walks the entries of a run, which must not change meanwhile. */
export class RunCursor {
  buffer: Buffer = EMPTY
  /** Where the current entry begins. */
  position = 0
  /** Where the following entry begins. */
  next = 0
  isInteger = false
  integer = 0
  /** Where a string entry starts in `buffer`, and its length in bytes. */
  start = 0
  length = 0
  private end = 0

  /** Takes position before the first entry. */
  open(run: PackedRun): void {
    this.buffer = run.buffer
    this.next = run.start
    this.end = run.end
  }

  /** Moves to the following entry. Returns false behind the last one. */
  advance(): boolean {
    if (this.next >= this.end) return false
    const { buffer, next: at } = this
    const first = buffer[at]!
    this.position = at
    this.next = at + packedBytesAt(buffer, at)
    this.isInteger = first < 0x80 || (first >= 0xc0 && first < 0xe0) || first > LP_LONG_STRING
    if (this.isInteger) {
      this.integer = integerElementValue(buffer, at)
      return true
    }
    const header = first < 0xc0 ? 1 : first < LP_LONG_STRING ? 2 : 5
    this.start = at + header
    if (header === 1) this.length = first & 0x3f
    else if (header === 2) this.length = ((first & 0x0f) << 8) | buffer[at + 1]!
    else this.length = buffer.readUInt32LE(at + 1)
    return true
  }

  /** Shows the current entry as bytes in `into`. */
  showText(into: EntryText): void {
    if (this.isInteger) {
      into.buffer = into.digits
      into.start = 0
      into.length = writeInteger(into.digits, 0, this.integer)
      return
    }
    into.buffer = this.buffer
    into.start = this.start
    into.length = this.length
  }
}

/** Bytes of the listpack entry at `at`; 0 when it is broken or does not end before `end`. */
function listpackEntryBytes(source: Buffer, at: number, end: number): number {
  const first = source[at]!
  if (first > LP_INT64) return 0
  // The bytes that say how long a string is must be there before they are read.
  if (first >= 0xe0 && at + (first === LP_LONG_STRING ? 5 : 2) > end) return 0
  const bytes = packedBytesAt(source, at)
  if (at + bytes > end) return 0
  if (bytes < 129) return source[at + bytes - 1] === bytes - 1 ? bytes : 0
  return hasLongBackLength(source, at, bytes) ? bytes : 0
}

/** Whether the last bytes of an entry of over 128 bytes say how long the part before them is. */
function hasLongBackLength(source: Buffer, at: number, bytes: number): boolean {
  const last = at + bytes - 1
  let count = 1
  while (count < 5 && (source[last - count + 1]! & 128) !== 0) count++
  let value = 0
  for (let i = count - 1; i >= 0; i--) value = value * 128 + (source[last - i]! & 127)
  return (source[last - count + 1]! & 128) === 0 && value + count === bytes
}

/** Whether a checked listpack entry is encoded as packed blocks want it: in the shortest form, integers as integers. */
function isCanonicalEntry(source: Buffer, at: number): boolean {
  const first = source[at]!
  if (first < 0x80) return true
  if (first < 0xc0) return Number.isNaN(parseSafeInteger(source, at + 1, first & 0x3f))
  if (first < 0xe0) return (first & 0x10) !== 0 || first > 0xc0 || source[at + 1]! > 127
  if (first < LP_LONG_STRING) return (((first & 0x0f) << 8) | source[at + 1]!) >= 64
  if (first === LP_LONG_STRING) return source.readUInt32LE(at + 1) >= 4096
  const size = first === LP_INT64 ? 8 : first - LP_LONG_STRING + 1
  if (size === 8) {
    const value = Number(source.readBigInt64LE(at + 1))
    return Number.isSafeInteger(value) && (value > 0x7fffffff || value < -0x80000000)
  }
  const value = source.readIntLE(at + 1, size)
  const limit = size === 2 ? 4096 : size === 3 ? 32768 : 8388608
  return value >= limit || value < -limit
}

/** Bytes of a ziplist integer behind its encoding, 0 when the encoding holds it, -1 when it is no encoding. */
function ziplistIntegerBytes(encoding: number): number {
  switch (encoding) {
    case 0xc0:
      return 2
    case 0xd0:
      return 4
    case 0xe0:
      return 8
    case 0xf0:
      return 3
    case 0xfe:
      return 1
    default:
      return encoding >= 0xf1 && encoding <= 0xfd ? 0 : -1
  }
}
