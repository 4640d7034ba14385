/**
 * Small sets that are not all integers: the members in one packed block (Kind.SetPacked), in the order in which they
 * came. Hot path.
 *
 * A function that changes the block may move it, and returns the reference to use from then on.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { createPacked, type PackedCursor, packedAppendInteger } from '../storage/packed.ts'
import { intsetAt, intsetCount } from './intset.ts'

/** When a set changes its encoding. The names are those of the directives. */
export interface SetLimits {
  /** Members that an intset may have. */
  readonly setMaxIntsetEntries: number
  /** Members that a packed set may have. */
  readonly setMaxListpackEntries: number
  /** Bytes that a member of a packed set may have. */
  readonly setMaxListpackValue: number
}

/** Looks for a member and leaves the cursor on it. O(n). */
export function seekMember(cursor: PackedCursor, ref: Ref, member: Uint8Array, start: number, length: number): boolean {
  cursor.open(ref)
  return cursor.find(member, start, length, 1)
}

/** A packed set with the members of an intset, which stays as it is. */
export function packedFromIntset(arena: Arena, intset: Ref): Ref {
  const count = intsetCount(arena, intset)
  let ref = createPacked(arena)
  for (let index = 0; index < count; index++) ref = packedAppendInteger(arena, ref, intsetAt(arena, intset, index))
  return ref
}
