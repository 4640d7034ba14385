/**
 * Small hashes: field, value, field, value … in one packed block (Kind.HashPacked). Hot path.
 *
 * Pairs are in the order in which their fields came. A function that changes the block may move it, and returns the
 * reference to use from then on.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import { writeWord } from '../bytes/words.ts'
import type { Arena, Ref } from '../storage/arena.ts'
import {
  NO_ENTRY,
  openGap,
  PACKED_HEADER_BYTES,
  type PackedCursor,
  packedBytes,
  packedCount,
  packedEntryBytes,
  packedRemove,
  packedReplace,
  writePackedEntry,
} from '../storage/packed.ts'

/** No packed block of a hash or set grows beyond this, whatever the thresholds are. Valkey src/listpack.c. */
export const PACKED_BYTES_MAX = 1024 * 1024 * 1024

/** Entries of a field, unless fields have expire times. */
export const PAIR_ENTRIES = 2
/** Byte strings that `packPairs` takes. */
export const PACKED_AT_ONCE_MAX = 32

/** What `packPairs` is given, as integers where they are. */
const integers = new Float64Array(PACKED_AT_ONCE_MAX)

/** When a hash stops being packed. The names are those of the directives. */
export interface HashLimits {
  /** Pairs that a packed hash may have. */
  readonly hashMaxListpackEntries: number
  /** Bytes that a field or value of a packed hash may have. */
  readonly hashMaxListpackValue: number
}

/** Number of pairs. */
export function packedHashSize(arena: Arena, ref: Ref): number {
  return packedCount(arena, ref) >>> 1
}

/**
 * Looks for a field in a block of so many entries a field. Returns its position with the cursor on its value, or
 * NO_ENTRY. O(n).
 */
export function seekField(
  cursor: PackedCursor,
  ref: Ref,
  entries: number,
  field: Uint8Array,
  start: number,
  length: number,
): number {
  cursor.open(ref)
  if (!cursor.find(field, start, length, entries)) return NO_ENTRY
  const position = cursor.position
  cursor.advance()
  return position
}

/** Adds a pair whose field is absent. */
export function appendPair(
  arena: Arena,
  ref: Ref,
  field: Uint8Array,
  fieldStart: number,
  fieldLength: number,
  value: Uint8Array,
  valueStart: number,
  valueLength: number,
): Ref {
  const fieldInteger = parseSafeInteger(field, fieldStart, fieldLength)
  const valueInteger = parseSafeInteger(value, valueStart, valueLength)
  const fieldBytes = packedEntryBytes(fieldInteger, fieldLength)
  const position = arena.length(ref)
  ref = openGap(arena, ref, position, 0, fieldBytes + packedEntryBytes(valueInteger, valueLength), PAIR_ENTRIES)
  const buffer = arena.segment(ref)
  const at = arena.offset(ref) + position
  writePackedEntry(buffer, at, fieldInteger, field, fieldStart, fieldLength)
  writePackedEntry(buffer, at + fieldBytes, valueInteger, value, valueStart, valueLength)
  return ref
}

/** Fields and values of a call, one behind the other: number i is `source[starts[i], starts[i] + lengths[i])`. */
export interface PairRanges {
  readonly source: Uint8Array
  readonly starts: Int32Array
  readonly lengths: Int32Array
  readonly first: number
  readonly end: number
}

/** Makes a block of up to PACKED_AT_ONCE_MAX byte strings. */
export function packPairs(arena: Arena, { source, starts, lengths, first, end }: PairRanges): Ref {
  let bytes = PACKED_HEADER_BYTES
  for (let i = first; i < end; i++) {
    const integer = parseSafeInteger(source, starts[i]!, lengths[i]!)
    integers[i - first] = integer
    bytes += packedEntryBytes(integer, lengths[i]!)
  }
  const ref = arena.alloc(bytes)
  const buffer = arena.segment(ref)
  let at = writeWord(buffer, arena.offset(ref), end - first)
  for (let i = first; i < end; i++) {
    const integer = integers[i - first]!
    writePackedEntry(buffer, at, integer, source, starts[i]!, lengths[i]!)
    at += packedEntryBytes(integer, lengths[i]!)
  }
  return ref
}

/** Replaces the value at the position where `seekField` left its cursor. */
export function replaceValue(
  arena: Arena,
  ref: Ref,
  position: number,
  value: Uint8Array,
  start: number,
  length: number,
): Ref {
  return packedReplace(arena, ref, position, value, start, length)
}

/** Removes the field at `position` with its value, and its time if there are three entries a field. */
export function removeField(arena: Arena, ref: Ref, position: number, entries: number): Ref {
  return packedRemove(arena, ref, position, entries)
}

/** Whether the block may take `bytes` more bytes of fields and values. */
export function hasPackedRoom(arena: Arena, ref: Ref, bytes: number): boolean {
  return packedBytes(arena, ref) + bytes <= PACKED_BYTES_MAX
}
