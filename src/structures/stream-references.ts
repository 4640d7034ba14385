/**
 * Entries of a stream and the consumer groups that still need them, for deleting with KEEPREF, DELREF and ACKED.
 *
 * An entry is referenced while a group has not read as far as it, or has it pending. Without groups nothing is. Source of
 * the rules: redis.io/commands/xdelex, redis.io/commands/xtrim (8.2).
 */
import { NO_POSITION } from './id-table.ts'
import { type Stream, TrimMode } from './stream.ts'
import { BlockWord } from './stream-block.ts'
import { StreamCursor } from './stream-cursor.ts'
import { StreamId } from './stream-id.ts'

/** What becomes of references to entries that are deleted. */
export const ReferencePolicy = {
  /** They stay: the entry is pending without being there. */
  Keep: 0,
  /** They go too. */
  Drop: 1,
  /** Only entries without references are deleted. */
  Acknowledged: 2,
} as const
export type ReferencePolicy = (typeof ReferencePolicy)[keyof typeof ReferencePolicy]

/** Down to a length, or (`minId` not null) up to an ID. */
export interface TrimGoal {
  readonly lengthMax: number
  readonly minId: StreamId | null
}

// Handlers are synchronous: one of each is enough for all streams.
const cursor = new StreamCursor()
const blockFirst = new StreamId()
const blockLast = new StreamId()

/** Whether a group has still to read an entry, or has it pending. O(g log n) for g groups. */
export function isReferenced(stream: Stream, id: StreamId): boolean {
  for (const group of stream.groups) {
    if (id.compare(group.lastId) > 0 || group.pending.find(id) !== NO_POSITION) return true
  }
  return false
}

/** Makes an entry pending nowhere. Returns in how many groups it was. */
export function dropReferences(stream: Stream, id: StreamId): number {
  let dropped = 0
  for (const group of stream.groups) if (group.pending.acknowledge(id)) dropped++
  return dropped
}

/**
 * As `Stream.trimByLength` and `trimByMinId`, looking at each entry: with ReferencePolicy.Acknowledged those that are
 * referenced stay, and later ones go in their place.
 *
 * @param limit entries to look at in whole blocks at most, 0: all
 * @param reached becomes the ID up to which entries went, where the goal is one
 * @returns how many were removed.
 */
export function trimWithReferences(
  stream: Stream,
  goal: TrimGoal,
  policy: ReferencePolicy,
  mode: number,
  limit: number,
  reached: StreamId,
): number {
  const { blocks } = stream
  const { lengthMax, minId } = goal
  if (minId !== null) reached.copy(minId)
  let removed = 0
  for (let block = blocks.first(); block !== NO_POSITION; block = blocks.ceiling(blockLast)) {
    if (minId === null && stream.length <= lengthMax) break
    blocks.readId(block, 0, blockFirst)
    if (policy === ReferencePolicy.Acknowledged && isUnread(stream, blockFirst)) break
    blocks.readId(block, BlockWord.LastId, blockLast)
    const live = blocks.word(block, BlockWord.Live)
    const isWhole = minId === null ? stream.length - live >= lengthMax : blockLast.compare(minId) < 0
    if ((limit > 0 && removed + live > limit) || (!isWhole && mode === TrimMode.Approximate)) {
      reached.copy(blockFirst)
      break
    }
    removed += trimBlock(stream, live, goal, policy)
    if (!isWhole || !blockLast.increment()) break
  }
  if (removed > 0) stream.updateFirstId()
  return removed
}

/** Whether some group has not read as far as an entry; then no later entry can go either. */
function isUnread(stream: Stream, id: StreamId): boolean {
  for (const group of stream.groups) if (id.compare(group.lastId) > 0) return true
  return false
}

/** Removes what may go of the block from `blockFirst` to `blockLast`, which has `live` entries. */
function trimBlock(stream: Stream, live: number, goal: TrimGoal, policy: ReferencePolicy): number {
  let removed = 0
  cursor.openForward(stream, blockFirst, blockLast, null)
  // With its last entry the block goes, and the cursor must not be asked again.
  for (let left = live; left > 0 && cursor.next(); left--) {
    if (goal.minId === null ? stream.length <= goal.lengthMax : cursor.id.compare(goal.minId) >= 0) break
    if (policy === ReferencePolicy.Acknowledged && isReferenced(stream, cursor.id)) continue
    if (policy === ReferencePolicy.Drop) dropReferences(stream, cursor.id)
    stream.deleteAt(cursor)
    removed++
  }
  return removed
}
