/** Replies members of sorted sets, with or without their scores. Hot path. */
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import { replyElement } from '../reply-element.ts'

/** From which end members are counted and shown. */
export const Direction = { Up: 0, Down: 1 } as const
export type Direction = (typeof Direction)[keyof typeof Direction]

/** How members are shown: alone; member, score, member, score …; or an array for each pair. */
export const Shape = { Members: 0, Flat: 1, Pairs: 2 } as const
export type Shape = (typeof Shape)[keyof typeof Shape]

const member = new Element()

/** How WITHSCORES shows pairs: RESP3 nests them. */
export function pairShape(reply: ReplySink): Shape {
  return reply.version >= 3 ? Shape.Pairs : Shape.Flat
}

/** Starts the array of `count` members. */
export function beginMembers(reply: ReplySink, count: number, shape: Shape): void {
  reply.array(shape === Shape.Flat ? count * 2 : count)
}

/** Replies one member of that array. */
export function replyMember(reply: ReplySink, element: Element, score: number, shape: Shape): void {
  if (shape === Shape.Pairs) reply.array(2)
  replyElement(reply, element)
  if (shape !== Shape.Members) reply.double(score)
}

/** Replies an array of `count` members from `rank` on; going down, ranks get lower. They must exist. */
export function replyRanks(
  reply: ReplySink,
  zset: ZsetView,
  rank: number,
  count: number,
  direction: Direction,
  shape: Shape,
): void {
  beginMembers(reply, count, shape)
  if (count > 0) replyEach(reply, zset, rank, count, direction, shape)
}

/** As `replyRanks`, without the array around them. `count` must not be 0. */
export function replyEach(
  reply: ReplySink,
  zset: ZsetView,
  rank: number,
  count: number,
  direction: Direction,
  shape: Shape,
): void {
  const cursor = zset.members
  cursor.open(zset, rank, member)
  for (let left = count; ; ) {
    replyMember(reply, member, cursor.score, shape)
    if (--left === 0) return
    if (direction === Direction.Up) cursor.next(member)
    else cursor.previous(member)
  }
}
