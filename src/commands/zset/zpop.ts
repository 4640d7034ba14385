/**
 * ZPOPMIN key [count]
 * ZPOPMAX key [count]
 *
 * Remove and return the members of a sorted set with the lowest, or highest, scores.
 *
 * Reply: array of members and scores; with a count nested in RESP3. Empty when the key is missing. Errors: syntax; the
 * count; WRONGTYPE.
 * Source: Valkey src/t_zset.c `zpopMinMaxCommand`, `genericZpopCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import { OUT_OF_RANGE_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { beginMembers, Direction, pairShape, replyEach, Shape } from './reply-members.ts'
import { findZset, removeRanks } from './zset-access.ts'

const COMPLEXITY = 'O(log(N)*M) where N is the number of members and M the number of members popped.'

export const zpopmin = defineCommand({
  name: 'zpopmin',
  summary: 'Removes and returns the members of a sorted set with the lowest scores. The key goes with the last member.',
  group: 'sorted-set',
  since: '5.0.0',
  complexity: COMPLEXITY,
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: (ctx, args, reply) => zpopHandler(ctx, args, reply, Direction.Up),
})

export const zpopmax = defineCommand({
  name: 'zpopmax',
  summary:
    'Removes and returns the members of a sorted set with the highest scores. The key goes with the last member.',
  group: 'sorted-set',
  since: '5.0.0',
  complexity: COMPLEXITY,
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: (ctx, args, reply) => zpopHandler(ctx, args, reply, Direction.Down),
})

function zpopHandler(ctx: CommandContext, args: Args, reply: ReplySink, direction: Direction): void {
  if (args.count > 3) throw SYNTAX_ERROR
  const hasCount = args.count === 3
  const wanted = hasCount ? args.integerIn(2, 0, Number.POSITIVE_INFINITY, OUT_OF_RANGE_POSITIVE) : 1
  const row = findZset(ctx, args, 1)
  const count = Math.min(wanted, ctx.zset.size())
  const shape = hasCount ? pairShape(reply) : Shape.Flat
  beginMembers(reply, count, shape)
  if (count > 0) popMembers(ctx, args, 1, row, count, direction, shape, reply)
}

/**
 * Replies `count` members from one end of the sorted set of `ctx.zset`, which has that many and is that of argument `i`,
 * and removes them.
 */
export function popMembers(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  count: number,
  direction: Direction,
  shape: Shape,
  reply: ReplySink,
): void {
  const zset = ctx.zset
  const size = zset.size()
  if (direction === Direction.Up) {
    replyEach(reply, zset, 0, count, direction, shape)
    removeRanks(ctx, args, i, row, 0, count, 'zpopmin')
  } else {
    replyEach(reply, zset, size - 1, count, direction, shape)
    removeRanks(ctx, args, i, row, size - count, count, 'zpopmax')
  }
}

/** Records what a command popped as the ZPOPMIN or ZPOPMAX that it amounts to. `count` 0: without a count. */
export function recordPop(ctx: CommandContext, args: Args, i: number, direction: Direction, count: number): void {
  ctx.journal.begin(ctx.db.index, count === 0 ? 2 : 3)
  ctx.journal.text(direction === Direction.Up ? 'ZPOPMIN' : 'ZPOPMAX')
  ctx.journal.arg(args, i)
  if (count > 0) ctx.journal.integer(count)
}
