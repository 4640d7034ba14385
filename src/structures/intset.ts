/**
 * Intset: a sorted set of integers in one arena block (Kind.SetIntset). Hot path.
 *
 *     | width: u32 (2, 4 or 8) | count: u32 | count integers of width bytes, ascending, little endian |
 *
 * The same layout as in a Redis RDB file, so that DUMP and RDB are a copy. The width grows when a wider integer comes
 * and never shrinks. Members are safe integers; the callers keep others out. A function that changes the block may
 * move it, and returns the reference to use from then on.
 */
import { readWord } from '../bytes/words.ts'
import type { Arena, Ref } from '../storage/arena.ts'

/** Bytes before the first integer. */
export const INTSET_HEADER_BYTES = 8

const TWO_32 = 4294967296
const WIDTH_MIN = 2

/** Creates an empty intset. */
export function createIntset(arena: Arena): Ref {
  const ref = arena.alloc(INTSET_HEADER_BYTES)
  const buffer = arena.segment(ref)
  const at = arena.offset(ref)
  buffer.writeUInt32LE(WIDTH_MIN, at)
  buffer.writeUInt32LE(0, at + 4)
  return ref
}

/** Number of members. */
export function intsetCount(arena: Arena, ref: Ref): number {
  return arena.segment(ref).readUInt32LE(arena.offset(ref) + 4)
}

/** Bytes of each integer: 2, 4 or 8. */
export function intsetWidth(arena: Arena, ref: Ref): number {
  return arena.segment(ref)[arena.offset(ref)]!
}

/** The member at `index`, which must be in range; members are in ascending order. */
export function intsetAt(arena: Arena, ref: Ref, index: number): number {
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  return readAt(buffer, base, buffer[base]!, index)
}

/** The index of `value`, or, when it is absent, -1 - the index that it would get. O(log n). */
export function intsetSearch(arena: Arena, ref: Ref, value: number): number {
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  const width = buffer[base]!
  let low = 0
  let high = buffer.readUInt32LE(base + 4) - 1
  // Ascending inserts are common: look at the last one first.
  if (high >= 0 && value > readAt(buffer, base, width, high)) return -2 - high
  while (low <= high) {
    const middle = (low + high) >>> 1
    const found = readAt(buffer, base, width, middle)
    if (found === value) return middle
    if (found < value) low = middle + 1
    else high = middle - 1
  }
  return -1 - low
}

/** Inserts an absent value at the index that `intsetSearch` gave for it. O(n). */
export function intsetInsert(arena: Arena, ref: Ref, index: number, value: number): Ref {
  const wanted = widthOf(value)
  if (wanted > intsetWidth(arena, ref)) ref = widen(arena, ref, wanted)
  const width = intsetWidth(arena, ref)
  const end = arena.length(ref)
  ref = arena.resize(ref, end + width)
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  const at = INTSET_HEADER_BYTES + index * width
  if (at < end) buffer.copyWithin(base + at + width, base + at, base + end)
  writeAt(buffer, base, width, index, value)
  buffer.writeUInt32LE(buffer.readUInt32LE(base + 4) + 1, base + 4)
  return ref
}

/** Removes the member at `index`, which must be in range. O(n). */
export function intsetRemoveAt(arena: Arena, ref: Ref, index: number): Ref {
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  const width = buffer[base]!
  const end = arena.length(ref)
  const at = INTSET_HEADER_BYTES + index * width
  buffer.copyWithin(base + at, base + at + width, base + end)
  buffer.writeUInt32LE(buffer.readUInt32LE(base + 4) - 1, base + 4)
  return arena.resize(ref, end - width)
}

function widthOf(value: number): number {
  if (value >= -32768 && value <= 32767) return 2
  return value >= -2147483648 && value <= 2147483647 ? 4 : 8
}

/** Rewrites all members with a greater width, from the last to the first so that none is overwritten unread. */
function widen(arena: Arena, ref: Ref, width: number): Ref {
  const old = intsetWidth(arena, ref)
  const count = intsetCount(arena, ref)
  ref = arena.resize(ref, INTSET_HEADER_BYTES + count * width)
  const buffer = arena.segment(ref)
  const base = arena.offset(ref)
  for (let index = count - 1; index >= 0; index--) {
    writeAt(buffer, base, width, index, readAt(buffer, base, old, index))
  }
  buffer[base] = width
  return ref
}

function readAt(buffer: Buffer, base: number, width: number, index: number): number {
  const at = base + INTSET_HEADER_BYTES + index * width
  if (width === 2) return ((buffer[at]! | (buffer[at + 1]! << 8)) << 16) >> 16
  const low = readWord(buffer, at)
  if (width === 4) return low
  return readWord(buffer, at + 4) * TWO_32 + (low >>> 0)
}

function writeAt(buffer: Buffer, base: number, width: number, index: number, value: number): void {
  const at = base + INTSET_HEADER_BYTES + index * width
  if (width === 2) {
    buffer[at] = value
    buffer[at + 1] = value >> 8
  } else if (width === 4) {
    buffer.writeInt32LE(value, at)
  } else {
    const high = Math.floor(value / TWO_32)
    buffer.writeUInt32LE(value - high * TWO_32, at)
    buffer.writeInt32LE(high, at + 4)
  }
}
