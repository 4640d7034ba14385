/**
 * Removal of equal entries from a range of packed entries, in place and in one pass. Shared by both forms of a list.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import type { Ref } from '../storage/arena.ts'
import type { PackedCursor } from '../storage/packed.ts'

const NO_POSITION = -1

export class EqualRemoval {
  private readonly cursor: PackedCursor
  /** How many entries the last call removed. */
  removed = 0
  /** Where the entries end after the last call, as a payload offset. */
  end = 0

  /** @param cursor used by the calls, free for others between them. */
  constructor(cursor: PackedCursor) {
    this.cursor = cursor
  }

  /** Whether an entry of the payload range [begin, end) equals `source[from, from + length)`. */
  finds(ref: Ref, begin: number, end: number, source: Uint8Array, from: number, length: number): boolean {
    this.cursor.openRange(ref, begin, end)
    return this.cursor.find(source, from, length, 1)
  }

  /** Removes the first `limit` entries equal to `source[from, from + length)` from the payload range [begin, end). */
  fromHead(
    ref: Ref,
    begin: number,
    end: number,
    limit: number,
    source: Uint8Array,
    from: number,
    length: number,
  ): void {
    this.cursor.openRange(ref, begin, end)
    this.compact(end, limit, source, from, length)
  }

  /** Removes the last `limit` equal entries. Looks no further than the last of them: queues are read at their tails. */
  fromTail(
    ref: Ref,
    begin: number,
    end: number,
    limit: number,
    source: Uint8Array,
    from: number,
    length: number,
  ): void {
    const cursor = this.cursor
    const wanted = parseSafeInteger(source, from, length)
    cursor.openRange(ref, begin, end)
    cursor.toEnd()
    let equal = 0
    let first = end
    while (equal < limit && cursor.retreat()) {
      const isEqual = cursor.isInteger ? cursor.integer === wanted : cursor.equals(source, from, length)
      if (!isEqual) continue
      equal++
      first = cursor.position
    }
    cursor.openRange(ref, first, end)
    this.compact(end, limit, source, from, length)
  }

  /** Closes the gaps of up to `limit` equal entries behind the cursor: each run between two of them moves once. */
  private compact(end: number, limit: number, source: Uint8Array, from: number, length: number): void {
    const cursor = this.cursor
    const buffer = cursor.buffer
    const base = cursor.arena.offset(cursor.ref)
    let write = NO_POSITION
    let keep = 0
    this.removed = 0
    while (this.removed < limit && cursor.find(source, from, length, 1)) {
      if (write === NO_POSITION) {
        write = cursor.position
      } else if (cursor.position > keep) {
        buffer.copyWithin(base + write, base + keep, base + cursor.position)
        write += cursor.position - keep
      }
      keep = cursor.next
      this.removed++
    }
    if (write === NO_POSITION) {
      this.end = end
      return
    }
    buffer.copyWithin(base + write, base + keep, base + end)
    this.end = write + end - keep
  }
}
