/**
 * ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
 *
 * Members of a sorted set in a range of ranks, scores or members, and the older commands for one kind of range each:
 *
 *     ZREVRANGE key start stop [WITHSCORES]
 *     ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]    ZREVRANGEBYSCORE key max min …
 *     ZRANGEBYLEX key min max [LIMIT offset count]                   ZREVRANGEBYLEX key max min …
 *
 * Reply: array of members; with WITHSCORES of members and scores, nested in RESP3. Errors: syntax; options that exclude
 * each other; a malformed range; WRONGTYPE.
 * Source: Valkey src/t_zset.c `zrangeGenericCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { RangeBy } from './range.ts'
import { Direction, pairShape, replyRanks, Shape } from './reply-members.ts'
import { OptionSet, ZrangeOptions } from './zrange-options.ts'
import { readZset } from './zset-access.ts'

const COMPLEXITY = 'O(log(N)+M) where N is the number of members and M the number of members returned.'

export const zrange = defineCommand({
  name: 'zrange',
  summary: 'Returns the members of a sorted set in a range of ranks, scores or members.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => replyRange(ctx, args, reply, OptionSet.Zrange, RangeBy.Rank, Direction.Up),
})

export const zrevrange = defineCommand({
  name: 'zrevrange',
  summary: 'Returns the members of a sorted set in a range of ranks, from the highest score down.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: '`ZRANGE` with the `REV` argument' },
  handler: (ctx, args, reply) => replyRange(ctx, args, reply, OptionSet.Older, RangeBy.Rank, Direction.Down),
})

export const zrangebyscore = defineCommand({
  name: 'zrangebyscore',
  summary: 'Returns the members of a sorted set in a range of scores.',
  group: 'sorted-set',
  since: '1.0.5',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: '`ZRANGE` with the `BYSCORE` argument' },
  handler: (ctx, args, reply) => replyRange(ctx, args, reply, OptionSet.Older, RangeBy.Score, Direction.Up),
})

export const zrevrangebyscore = defineCommand({
  name: 'zrevrangebyscore',
  summary: 'Returns the members of a sorted set in a range of scores, from the highest score down.',
  group: 'sorted-set',
  since: '2.2.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: '`ZRANGE` with the `REV` and `BYSCORE` arguments' },
  handler: (ctx, args, reply) => replyRange(ctx, args, reply, OptionSet.Older, RangeBy.Score, Direction.Down),
})

export const zrangebylex = defineCommand({
  name: 'zrangebylex',
  summary: 'Returns the members of a sorted set of equal scores in a range of byte strings.',
  group: 'sorted-set',
  since: '2.8.9',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: '`ZRANGE` with the `BYLEX` argument' },
  handler: (ctx, args, reply) => replyRange(ctx, args, reply, OptionSet.Older, RangeBy.Member, Direction.Up),
})

export const zrevrangebylex = defineCommand({
  name: 'zrevrangebylex',
  summary: 'Returns the members of a sorted set of equal scores in a range of byte strings, from the last one down.',
  group: 'sorted-set',
  since: '2.8.9',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: '`ZRANGE` with the `REV` and `BYLEX` arguments' },
  handler: (ctx, args, reply) => replyRange(ctx, args, reply, OptionSet.Older, RangeBy.Member, Direction.Down),
})

const options = new ZrangeOptions()

function replyRange(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  set: OptionSet,
  by: RangeBy,
  direction: Direction,
): void {
  options.parse(args, 2, set, by, direction)
  const zset = readZset(ctx, args, 1)
  const range = options.range
  range.resolve(zset, args)
  const shape = options.withScores ? pairShape(reply) : Shape.Members
  replyRanks(reply, zset, range.firstShown, range.count, options.direction, shape)
}
