/**
 * PackedTimedHash: a small hash whose fields may have expire times (Kind.HashTimed). Hot path: nothing but `nextTime`.
 *
 *     field, value, time, field, value, time …        time: ms since 1970 as an integer, 0: none
 *
 * The block has entries in threes; HashView reads and changes it as it does one of pairs. This object beside it owns the
 * block and knows the earliest time. A hash comes here with its first expire time and never goes back, as in Redis
 * (`listpackex`); above the thresholds it becomes a HashDict.
 */
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import { NO_EXPIRE } from '../storage/expires.ts'
import {
  createPacked,
  PackedCursor,
  packedAppend,
  packedAppendInteger,
  packedCount,
  packedReplaceInteger,
} from '../storage/packed.ts'
import type { TimedHash } from './hash-times.ts'
import type { Collection } from './kind.ts'
import type { CollectionWalk } from './walk.ts'

/** Entries of a field. */
export const TIMED_ENTRIES = 3
/** Estimated bytes of the object itself. */
const OBJECT_BYTES = 80
/** What stands in the block for no expire time. */
const NO_PACKED_TIME = 0

export class PackedTimedHash implements Collection, TimedHash {
  readonly arena: Arena
  ref: Ref
  heapAux = 0
  private next: number

  /**
   * @param ref a block of threes, which belongs to the hash from now on
   * @param next its earliest time (see `earliestTime`)
   */
  constructor(arena: Arena, ref: Ref, next: number) {
    this.arena = arena
    this.ref = ref
    this.next = next
  }

  nextTime(): number {
    return this.next
  }

  /** Number of fields. */
  get size(): number {
    return packedCount(this.arena, this.ref) / TIMED_ENTRIES
  }

  /**
   * A time in the block was `old` and is `time` now (NO_EXPIRE: none, or its field is gone): sees to it that the earliest
   * is known. O(n) if it was that one. The cursor is used.
   */
  timeChanged(old: number, time: number, cursor: PackedCursor): void {
    if (time !== NO_EXPIRE && (this.next === NO_EXPIRE || time <= this.next)) this.next = time
    else if (old !== NO_EXPIRE && old === this.next) this.next = earliestTime(cursor, this.ref)
  }

  /** A copy with a block of its own. */
  clone(): PackedTimedHash {
    const { arena, ref } = this
    const copy = arena.store(arena.segment(ref), arena.offset(ref), arena.length(ref))
    return new PackedTimedHash(arena, copy, this.next)
  }

  free(): void {
    if (this.ref !== NO_REF) this.arena.free(this.ref)
    this.ref = NO_REF
  }

  freeSome(): boolean {
    this.free()
    return true
  }

  beginWalk(): CollectionWalk {
    throw new Error('A packed hash is written at once')
  }

  arenaBytes(): number {
    return this.arena.capacity(this.ref)
  }

  arenaBlocks(): number {
    return 1
  }

  get objectBytes(): number {
    return OBJECT_BYTES
  }

  overheadBytes(): number {
    return OBJECT_BYTES
  }

  freeSteps(): number {
    return 1
  }
}

/** The earliest time in a block of threes; NO_EXPIRE when there is none. O(n) */
export function earliestTime(cursor: PackedCursor, ref: Ref): number {
  let earliest: number = NO_EXPIRE
  cursor.open(ref)
  while (cursor.advance()) {
    cursor.advance()
    const time = readTime(cursor)
    if (time !== NO_EXPIRE && (earliest === NO_EXPIRE || time < earliest)) earliest = time
  }
  return earliest
}

/** The time behind the value on which the cursor stands; NO_EXPIRE when there is none. The cursor stands on it then. */
export function readTime(cursor: PackedCursor): number {
  cursor.advance()
  return cursor.integer === NO_PACKED_TIME ? NO_EXPIRE : cursor.integer
}

/** Replaces the time at a position of the block. */
export function writeTime(arena: Arena, ref: Ref, position: number, time: number): Ref {
  return packedReplaceInteger(arena, ref, position, time === NO_EXPIRE ? NO_PACKED_TIME : time)
}

/** Adds the time of the field and value that were appended last. */
export function appendTime(arena: Arena, ref: Ref, time: number): Ref {
  return packedAppendInteger(arena, ref, time === NO_EXPIRE ? NO_PACKED_TIME : time)
}

/** A block of threes without times, of a block of pairs. */
export function packedWithTimes(arena: Arena, pairs: Ref): Ref {
  const cursor = new PackedCursor(arena)
  cursor.open(pairs)
  let ref = createPacked(arena)
  while (cursor.advance()) {
    ref = appendEntry(arena, ref, cursor)
    cursor.advance()
    ref = appendEntry(arena, ref, cursor)
    ref = appendTime(arena, ref, NO_EXPIRE)
  }
  return ref
}

function appendEntry(arena: Arena, ref: Ref, cursor: PackedCursor): Ref {
  if (cursor.isInteger) return packedAppendInteger(arena, ref, cursor.integer)
  return packedAppend(arena, ref, cursor.buffer, cursor.start, cursor.length)
}
