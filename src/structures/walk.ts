/**
 * Walks over big collections as they were when the walk began, while commands go on changing them.
 *
 * Snapshots are written between turns of the loop, in pieces. A walk delivers every element that the collection had at
 * `beginWalk`, once and with the content it had then, and copies the collection at no time:
 *
 *     hash, set, sorted set    walk-rows.ts     rows in any order; a row about to change goes to the early sink first
 *     list, stream             walk-blocks.ts   blocks in order; a block about to change is kept until it is its turn
 *
 * A collection has one walk at a time. Without one, a change pays for one comparison with null. Whoever adds a way to
 * change a collection has to tell its walk before the change; test/structures/walk-*.test.ts go through all of them.
 */
import type { Ref } from '../storage/arena.ts'
import type { StreamId } from './stream-id.ts'

/**
 * Takes the elements of a collection. Which functions are called follows from its kind. References and ranges are
 * valid until the function returns, which must not change the arena or any collection.
 */
export interface ElementSink {
  /** A field of a hash, its value, and its expire time in ms (NO_EXPIRE: none). */
  field(field: Ref, value: Ref, time: number): void
  /** A member of a set. */
  member(member: Ref): void
  /** A member of a sorted set. */
  scored(member: Ref, score: number): void
  /** A node of a list: `count` entries in the encoding of storage/packed.ts at `buffer[start, end)`. */
  node(buffer: Buffer, start: number, end: number, count: number): void
  /** A block of a stream as the listpack of RDB files, at `buffer[start, end)`; `first` is the ID it is filed under. */
  block(first: StreamId, buffer: Buffer, start: number, end: number): void
}

export interface CollectionWalk {
  /** How much the walk delivers in all: fields or members, nodes of a list, blocks of a stream. */
  readonly count: number
  /** Arena bytes that are kept for the walk alone: content that the collection no longer has. */
  readonly heldBytes: number
  /**
   * Delivers more elements, about `bytes` (over 0) of them. Returns true when nothing is left; the walk is closed then.
   */
  step(sink: ElementSink, bytes: number): boolean
  /** Ends the walk and gives back what it keeps. May be called again. */
  close(): void
}
