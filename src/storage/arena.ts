/**
 * The arena: all stored bytes, outside the V8 heap. Hot path.
 *
 * Memory is taken in segments of 16 MiB (see outside.ts). A block is addressed by a reference: an unsigned 32-bit number of 8-byte
 * units, so 24 GiB of small blocks can be addressed; 0 is no block. A block is
 *
 *     | length: u32 | payload: length bytes | slack up to the size class |
 *
 * Size classes go in 8-byte steps up to 264 B, then in eighths of a power of two. Each class has one free list, threaded through the first
 * word of the free blocks. The class follows from the length alone, so overwriting within a class happens in place.
 * Blocks over `LARGE_MIN_BYTES` get a buffer of their own; their references start at `LARGE_BASE`.
 *
 * Invariants: a block has exactly one owner, who frees it once. `liveBytes` and `liveBlocks` count what is not freed;
 * tests compare them with the sum over all structures.
 *
 * A payload is read as (segment(ref), offset(ref), length(ref)). Segments never move; a large block may move when it
 * is resized, so segment() is asked again after any allocation through the same reference.
 */
// The global of this name is looked up behind a getter each time.
import { Buffer } from 'node:buffer'
import { endianness } from 'node:os'
import { outsideMemory } from './outside.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const UNIT_BYTES = 8
const UNITS_PER_SEGMENT = SEGMENT_BYTES / UNIT_BYTES
const UNIT_MASK = UNITS_PER_SEGMENT - 1
const SEGMENT_SHIFT = 21
const HEADER_BYTES = 4
/** Up to this many bytes are compared in words, where those hold the bytes in the order in which they are read. */
const WORDS_COMPARED_MAX = endianness() === 'LE' ? 64 : -1
const STEP_CLASSES = 33
/** From here on there are so many classes up to twice the size. Half as many left 9 % of larger blocks empty. */
const EIGHTHS_FROM_BYTES = 256
const CLASSES_PER_DOUBLING = 8
/** What classes have beyond their round size: data of round sizes come with a header. */
const CLASS_EXTRA_BYTES = UNIT_BYTES

/** Blocks whose header and payload exceed this live in a buffer of their own, in bytes. */
export const LARGE_MIN_BYTES = 256 * 1024

/** References from here on are indices into the table of large blocks. */
const LARGE_BASE = 0xc0000000
/** A retired part of a segment is only worth carving again from this size on, in bytes. */
const REUSE_MIN_BYTES = 4096

const CLASS_BYTES = classSizes()
const CLASS_COUNT = CLASS_BYTES.length
const CLASS_OF_UNITS = classTable()

/** A reference to a block: unsigned 32 bits, in units of 8 bytes. */
export type Ref = number

/** No block. */
export const NO_REF: Ref = 0

export class Arena {
  private readonly segments: Buffer[] = []
  private readonly headers: Int32Array[] = []
  private readonly doubleViews: Float64Array[] = []
  private readonly large: (Buffer | null)[] = []
  private readonly largeFree: number[] = []
  /** First free block of each class, 0 if there is none. */
  private readonly freeHeads = new Uint32Array(CLASS_COUNT)
  private bump: Ref = 0
  private bumpEnd: Ref = 0
  /** Bytes of all blocks in use, by size class (capacity, not length). */
  liveBytes = 0
  /** Number of blocks in use. */
  liveBlocks = 0
  /** Bytes taken from the system: segments and large blocks. */
  reservedBytes = 0
  /**
   * Bytes outside of the segments that belong to the data: typed arrays of indexes and collections, and objects, as
   * estimated. Their owners keep it, so that `usedBytes` costs one addition.
   */
  outsideBytes = 0
  /** What `usedBytes` should not exceed: tables grow in smaller steps when it is near. Infinity: there is no limit. */
  limitBytes = Number.POSITIVE_INFINITY

  /** All that the data takes, in bytes. */
  get usedBytes(): number {
    return this.liveBytes + this.outsideBytes
  }

  /** Whether `bytes` more stay within the limit. */
  hasRoom(bytes: number): boolean {
    return this.liveBytes + this.outsideBytes + bytes <= this.limitBytes
  }

  /** The buffer that holds the payload of `ref`. */
  segment(ref: Ref): Buffer {
    return ref < LARGE_BASE ? this.segments[ref >>> SEGMENT_SHIFT]! : this.large[ref - LARGE_BASE]!
  }

  /** Where the payload of `ref` starts in its segment, in bytes. */
  offset(ref: Ref): number {
    return ref < LARGE_BASE ? ((ref & UNIT_MASK) << 3) + HEADER_BYTES : HEADER_BYTES
  }

  /** Payload length of `ref`, in bytes. */
  length(ref: Ref): number {
    if (ref < LARGE_BASE) return this.headers[ref >>> SEGMENT_SHIFT]![(ref & UNIT_MASK) << 1]!
    return this.large[ref - LARGE_BASE]!.readInt32LE(0)
  }

  /**
   * The segment of a small block as 32-bit words; the block starts at twice `unit(ref)`, with its length. For blocks
   * of numbers that are read in place; never for blocks over LARGE_MIN_BYTES.
   */
  words(ref: Ref): Int32Array {
    return this.headers[ref >>> SEGMENT_SHIFT]!
  }

  /** The segment of a small block as doubles; the block starts at `unit(ref)`, with its length in the first half. */
  doubles(ref: Ref): Float64Array {
    return this.doubleViews[ref >>> SEGMENT_SHIFT]!
  }

  /** Where a small block starts in its segment, in units of 8 bytes. */
  unit(ref: Ref): number {
    return ref & UNIT_MASK
  }

  /** Bytes that the block of `ref` takes: its size class. */
  capacity(ref: Ref): number {
    if (ref < LARGE_BASE) return CLASS_BYTES[CLASS_OF_UNITS[(this.length(ref) + HEADER_BYTES + 7) >>> 3]!]!
    return this.large[ref - LARGE_BASE]!.length
  }

  /**
   * Takes a block of `length` payload bytes, contents undefined.
   *
   * @throws RangeError when the system has no memory or all references are in use.
   */
  alloc(length: number): Ref {
    const total = length + HEADER_BYTES
    if (total > LARGE_MIN_BYTES) return this.allocLarge(length, total)
    const sizeClass = CLASS_OF_UNITS[(total + 7) >>> 3]!
    const bytes = CLASS_BYTES[sizeClass]!
    let ref = this.freeHeads[sizeClass]!
    let header: Int32Array
    if (ref !== NO_REF) {
      header = this.headers[ref >>> SEGMENT_SHIFT]!
      this.freeHeads[sizeClass] = header[(ref & UNIT_MASK) << 1]!
    } else {
      const units = bytes >>> 3
      if (this.bumpEnd - this.bump < units) this.refill(units)
      ref = this.bump
      this.bump = ref + units
      header = this.headers[ref >>> SEGMENT_SHIFT]!
    }
    header[(ref & UNIT_MASK) << 1] = length
    this.liveBytes += bytes
    this.liveBlocks++
    return ref
  }

  /** Gives the block back. The reference must not be used again. */
  free(ref: Ref): void {
    this.liveBlocks--
    if (ref >= LARGE_BASE) {
      this.freeLarge(ref)
      return
    }
    const header = this.headers[ref >>> SEGMENT_SHIFT]!
    const at = (ref & UNIT_MASK) << 1
    const sizeClass = CLASS_OF_UNITS[(header[at]! + HEADER_BYTES + 7) >>> 3]!
    header[at] = this.freeHeads[sizeClass]!
    this.freeHeads[sizeClass] = ref
    this.liveBytes -= CLASS_BYTES[sizeClass]!
  }

  /** Stores a copy of `source[start, start + length)` and returns its block. */
  store(source: Uint8Array, start: number, length: number): Ref {
    const ref = this.alloc(length)
    copyBytes(source, start, this.segment(ref), this.offset(ref), length)
    return ref
  }

  /** Stores a byte string (one char is one byte). */
  storeText(text: string): Ref {
    const ref = this.alloc(text.length)
    this.segment(ref).latin1Write(text, this.offset(ref), text.length)
    return ref
  }

  /**
   * Changes the payload length of a block and keeps its first bytes. The block stays where it is when the size class
   * does not change; else the old reference is invalid and the new one is returned.
   */
  resize(ref: Ref, length: number): Ref {
    const total = length + HEADER_BYTES
    if (ref >= LARGE_BASE) {
      const buffer = this.large[ref - LARGE_BASE]!
      // A large block shrinks in place until it is under half its buffer.
      if (total <= buffer.length && total > LARGE_MIN_BYTES && total * 2 > buffer.length) {
        buffer.writeInt32LE(length, 0)
        return ref
      }
    } else if (total <= LARGE_MIN_BYTES) {
      const header = this.headers[ref >>> SEGMENT_SHIFT]!
      const at = (ref & UNIT_MASK) << 1
      if (CLASS_OF_UNITS[(total + 7) >>> 3]! === CLASS_OF_UNITS[(header[at]! + HEADER_BYTES + 7) >>> 3]!) {
        header[at] = length
        return ref
      }
    }
    const oldLength = this.length(ref)
    // A growing large block gets a quarter more than asked, so that repeated appends copy O(n) bytes in all.
    const next =
      total > LARGE_MIN_BYTES && length > oldLength
        ? this.allocLarge(length, Math.max(total, Math.min(total + (total >>> 2), total + SEGMENT_BYTES)))
        : this.alloc(length)
    const keep = oldLength < length ? oldLength : length
    copyBytes(this.segment(ref), this.offset(ref), this.segment(next), this.offset(next), keep)
    this.free(ref)
    return next
  }

  /** Replaces the payload by a copy of `source[start, start + length)`. The source must not lie in this block. */
  overwrite(ref: Ref, source: Uint8Array, start: number, length: number): Ref {
    const total = length + HEADER_BYTES
    if (ref < LARGE_BASE && total <= LARGE_MIN_BYTES) {
      const header = this.headers[ref >>> SEGMENT_SHIFT]!
      const at = (ref & UNIT_MASK) << 1
      if (CLASS_OF_UNITS[(total + 7) >>> 3]! === CLASS_OF_UNITS[(header[at]! + HEADER_BYTES + 7) >>> 3]!) {
        header[at] = length
        copyBytes(source, start, this.segments[ref >>> SEGMENT_SHIFT]!, (at << 2) + HEADER_BYTES, length)
        return ref
      }
    }
    this.free(ref)
    return this.store(source, start, length)
  }

  /** The payload as a byte string. */
  text(ref: Ref): string {
    const at = this.offset(ref)
    return this.segment(ref).latin1Slice(at, at + this.length(ref))
  }

  /** Whether the payload of `ref` equals `source[start, start + length)`. */
  equals(ref: Ref, source: Uint8Array, start: number, length: number): boolean {
    if (ref < LARGE_BASE && length <= WORDS_COMPARED_MAX) return this.equalsWords(ref, source, start, length)
    if (this.length(ref) !== length) return false
    return equalBytes(this.segment(ref), this.offset(ref), source, start, length)
  }

  /** As `equals`, for a small block: a word of it at a time. */
  private equalsWords(ref: Ref, source: Uint8Array, start: number, length: number): boolean {
    const words = this.headers[ref >>> SEGMENT_SHIFT]!
    let at = (ref & UNIT_MASK) << 1
    if (words[at++] !== length) return false
    const end = start + length
    let from = start
    for (; from + 4 <= end; from += 4) {
      const word = source[from]! | (source[from + 1]! << 8) | (source[from + 2]! << 16) | (source[from + 3]! << 24)
      if (words[at++] !== word) return false
    }
    if (from === end) return true
    let rest = words[at]!
    for (; from < end; from++) {
      if ((rest & 0xff) !== source[from]) return false
      rest >>>= 8
    }
    return true
  }

  private allocLarge(length: number, capacity: number): Ref {
    if (length > 0x7fffffff) throw new RangeError(`Cannot store a block of ${length} bytes`)
    const buffer = Buffer.from(new ArrayBuffer((capacity + 7) & ~7))
    buffer.writeInt32LE(length, 0)
    const index = this.largeFree.pop() ?? this.large.length
    this.large[index] = buffer
    this.liveBytes += buffer.length
    this.reservedBytes += buffer.length
    this.liveBlocks++
    return LARGE_BASE + index
  }

  private freeLarge(ref: Ref): void {
    const index = ref - LARGE_BASE
    const buffer = this.large[index]!
    this.liveBytes -= buffer.length
    this.reservedBytes -= buffer.length
    this.large[index] = null
    this.largeFree.push(index)
    // Detaching gives the memory back at once instead of at the next collection.
    const backing = buffer.buffer
    if (backing instanceof ArrayBuffer) backing.transfer(0)
  }

  /** Finds room for a block of `units`: a big free block, or a new segment. */
  private refill(units: number): void {
    this.retire()
    const bytesMin = Math.max(units << 3, REUSE_MIN_BYTES)
    for (let sizeClass = CLASS_COUNT - 1; sizeClass >= 0 && CLASS_BYTES[sizeClass]! >= bytesMin; sizeClass--) {
      const ref = this.freeHeads[sizeClass]!
      if (ref === NO_REF) continue
      this.freeHeads[sizeClass] = this.headers[ref >>> SEGMENT_SHIFT]![(ref & UNIT_MASK) << 1]!
      this.bump = ref
      this.bumpEnd = ref + (CLASS_BYTES[sizeClass]! >>> 3)
      return
    }
    const index = this.segments.length
    if ((index + 1) * UNITS_PER_SEGMENT > LARGE_BASE) throw new RangeError('Cannot store more than 24 GiB')
    const backing = outsideMemory(SEGMENT_BYTES)
    this.segments.push(Buffer.from(backing))
    this.headers.push(new Int32Array(backing))
    this.doubleViews.push(new Float64Array(backing))
    this.reservedBytes += SEGMENT_BYTES
    // Unit 0 of the first segment stays unused: reference 0 means no block.
    this.bump = index === 0 ? 1 : index * UNITS_PER_SEGMENT
    this.bumpEnd = (index + 1) * UNITS_PER_SEGMENT
  }

  /** Puts what is left of the current run into the free lists, biggest classes first. */
  private retire(): void {
    let left = (this.bumpEnd - this.bump) << 3
    let sizeClass = CLASS_COUNT - 1
    while (left >= UNIT_BYTES) {
      while (CLASS_BYTES[sizeClass]! > left) sizeClass--
      const ref = this.bump
      this.headers[ref >>> SEGMENT_SHIFT]![(ref & UNIT_MASK) << 1] = this.freeHeads[sizeClass]!
      this.freeHeads[sizeClass] = ref
      this.bump += CLASS_BYTES[sizeClass]! >>> 3
      left -= CLASS_BYTES[sizeClass]!
    }
    this.bump = this.bumpEnd
  }
}

/** Copies bytes; short runs by a loop, which beats the call into the runtime up to about 48 bytes (measured). */
export function copyBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length <= 48) {
    for (let i = 0; i < length; i++) target[to + i] = source[from + i]!
    return
  }
  // Buffer.copy takes ranges: no view object is made. All callers pass Buffers or views of at most one batch.
  if (source instanceof Buffer) source.copy(target, to, from, from + length)
  else target.set(source.subarray(from, from + length), to)
}

/** Whether two byte ranges of the same length are equal. */
export function equalBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  if (length > 64) return Buffer.compare(a.subarray(aStart, aStart + length), b.subarray(bStart, bStart + length)) === 0
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false
  return true
}

function classSizes(): Int32Array {
  const sizes: number[] = [UNIT_BYTES]
  for (let step = 1; step <= STEP_CLASSES; step++) sizes.push(step * UNIT_BYTES)
  for (let power = EIGHTHS_FROM_BYTES; power < LARGE_MIN_BYTES; power *= 2) {
    for (let step = 1; step <= CLASSES_PER_DOUBLING; step++) {
      const bytes = power + (power / CLASSES_PER_DOUBLING) * step + CLASS_EXTRA_BYTES
      sizes.push(Math.min(LARGE_MIN_BYTES, bytes))
    }
  }
  return Int32Array.from(sizes)
}

function classTable(): Uint8Array {
  const table = new Uint8Array((LARGE_MIN_BYTES >>> 3) + 1).fill(1)
  for (let sizeClass = 2; sizeClass < CLASS_COUNT; sizeClass++) {
    table.fill(sizeClass, (CLASS_BYTES[sizeClass - 1]! >>> 3) + 1, (CLASS_BYTES[sizeClass]! >>> 3) + 1)
  }
  return table
}
