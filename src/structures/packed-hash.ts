/**
 * Small hashes: field, value, field, value … in one packed block (Kind.HashPacked). Hot path.
 *
 * Pairs are in the order in which their fields came. A function that changes the block may move it, and returns the
 * reference to use from then on.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import {
  NO_ENTRY,
  type PackedCursor,
  packedAppend,
  packedBytes,
  packedCount,
  packedRemove,
  packedReplace,
} from '../storage/packed.ts'

/** No packed block of a hash or set grows beyond this, whatever the thresholds are. Valkey src/listpack.c. */
export const PACKED_BYTES_MAX = 1024 * 1024 * 1024

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
  ref = packedAppend(arena, ref, field, fieldStart, fieldLength)
  return packedAppend(arena, ref, value, valueStart, valueLength)
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
