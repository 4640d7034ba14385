/**
 * Small sorted sets: member, score, member, score … in one packed block (Kind.ZsetPacked), ordered by score and then
 * by member bytes. Hot path.
 *
 * A score that is a safe integer is an integer entry; any other is a string entry of its eight bytes (float64, little
 * endian), so that no text is parsed. A function that changes the block may move it, and returns the reference to use
 * from then on. As in Redis' packed form, a score of -0 becomes 0.
 */
import { parseSafeInteger, writeInteger } from '../bytes/integer.ts'
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
  writePackedEntry,
} from '../storage/packed.ts'
import { compareRanges } from './score-order.ts'

/** No packed block of a sorted set grows beyond this, whatever the thresholds are. Valkey src/listpack.c. */
const PACKED_BYTES_MAX = 1024 * 1024 * 1024
const SCORE_BYTES = 8

/** When a sorted set stops being packed. The names are those of the directives. */
export interface ZsetLimits {
  /** Members that a packed sorted set may have. */
  readonly zsetMaxListpackEntries: number
  /** Bytes that a member of a packed sorted set may have. */
  readonly zsetMaxListpackValue: number
}

const scoreBox = new Float64Array(1)
const scoreBytes = new Uint8Array(scoreBox.buffer)
/** Text of an integer member: a sign and 16 digits at most. */
const DIGITS = Buffer.allocUnsafeSlow(17)

/** Number of members. */
export function packedZsetSize(arena: Arena, ref: Ref): number {
  return packedCount(arena, ref) >>> 1
}

/** The score that the cursor stands on. */
export function entryScore(cursor: PackedCursor): number {
  if (cursor.isInteger) return cursor.integer
  const { buffer, start } = cursor
  for (let i = 0; i < SCORE_BYTES; i++) scoreBytes[i] = buffer[start + i]!
  return scoreBox[0]!
}

/** Looks for a member. Returns its position with the cursor on its score, or NO_ENTRY. O(n). */
export function seekScore(cursor: PackedCursor, ref: Ref, member: Uint8Array, start: number, length: number): number {
  cursor.open(ref)
  if (!cursor.find(member, start, length, 2)) return NO_ENTRY
  const position = cursor.position
  cursor.advance()
  return position
}

/** Adds a member that is absent, at its place in the order. */
export function insertMember(
  cursor: PackedCursor,
  ref: Ref,
  member: Uint8Array,
  start: number,
  length: number,
  score: number,
): Ref {
  const arena = cursor.arena
  const position = placeOf(cursor, ref, member, start, length, score)
  const integer = parseSafeInteger(member, start, length)
  const integerScore = Number.isSafeInteger(score) ? score : Number.NaN
  const memberBytes = packedEntryBytes(integer, length)
  ref = openGap(arena, ref, position, 0, memberBytes + packedEntryBytes(integerScore, SCORE_BYTES), 2)
  const buffer = arena.segment(ref)
  const at = arena.offset(ref) + position
  writePackedEntry(buffer, at, integer, member, start, length)
  scoreBox[0] = score
  writePackedEntry(buffer, at + memberBytes, integerScore, scoreBytes, 0, SCORE_BYTES)
  return ref
}

/** Removes `count` members from the one at `position` on. */
export function removeMembers(arena: Arena, ref: Ref, position: number, count: number): Ref {
  return packedRemove(arena, ref, position, count * 2)
}

/** Whether the block may take a member of `length` bytes more. */
export function hasZsetRoom(arena: Arena, ref: Ref, length: number): boolean {
  return packedBytes(arena, ref) + length <= PACKED_BYTES_MAX
}

/** Orders the member that the cursor stands on against `source[start, start + length)`. */
export function compareEntry(cursor: PackedCursor, source: Uint8Array, start: number, length: number): number {
  if (!cursor.isInteger) return compareRanges(cursor.buffer, cursor.start, cursor.length, source, start, length)
  return compareRanges(DIGITS, 0, writeInteger(DIGITS, 0, cursor.integer), source, start, length)
}

/** The position at which a new member belongs. */
function placeOf(
  cursor: PackedCursor,
  ref: Ref,
  member: Uint8Array,
  start: number,
  length: number,
  score: number,
): number {
  const end = cursor.arena.length(ref)
  if (end === PACKED_HEADER_BYTES) return end
  // Rising scores are common, and among equal ones rising members: the last one is looked at first.
  cursor.openAtEnd(ref)
  cursor.retreat()
  const highest = entryScore(cursor)
  if (highest < score) return end
  if (highest === score) {
    cursor.retreat()
    if (compareEntry(cursor, member, start, length) < 0) return end
  }

  cursor.open(ref)
  for (;;) {
    const position = cursor.next
    if (position >= end) return end
    cursor.skip()
    cursor.advance()
    const other = entryScore(cursor)
    if (other > score) return position
    if (other === score) {
      cursor.moveTo(position)
      if (compareEntry(cursor, member, start, length) > 0) return position
      cursor.skip()
    }
  }
}
