/**
 * ZREMRANGEBYRANK key start stop
 * ZREMRANGEBYSCORE key min max
 * ZREMRANGEBYLEX key min max
 *
 * Remove the members of a sorted set in a range of ranks, scores or byte strings. The key goes with its last member.
 *
 * Reply: how many members were removed. Errors: a malformed range; WRONGTYPE.
 * Source: Valkey src/t_zset.c `zremrangeGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { ZsetRange } from './range.ts'
import { Direction } from './reply-members.ts'
import { findZset, removeRanks } from './zset-access.ts'

const COMPLEXITY = 'O(log(N)+M) where N is the number of members and M the number of members removed.'

export const zremrangebyrank = defineCommand({
  name: 'zremrangebyrank',
  summary: 'Removes the members of a sorted set in a range of ranks. The key goes with the last member.',
  group: 'sorted-set',
  since: '2.0.0',
  complexity: COMPLEXITY,
  arity: 4,
  flags: CommandFlag.Write,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'delete'),
  handler: (ctx, args, reply) => {
    range.parseRanks(args, 2, Direction.Up)
    removeRange(ctx, args, reply, 'zremrangebyrank')
  },
})

export const zremrangebyscore = defineCommand({
  name: 'zremrangebyscore',
  summary: 'Removes the members of a sorted set in a range of scores. The key goes with the last member.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: COMPLEXITY,
  arity: 4,
  flags: CommandFlag.Write,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'delete'),
  handler: (ctx, args, reply) => {
    range.parseScores(args, 2, 3, Direction.Up)
    removeRange(ctx, args, reply, 'zremrangebyscore')
  },
})

export const zremrangebylex = defineCommand({
  name: 'zremrangebylex',
  summary:
    'Removes the members of a sorted set of equal scores in a range of byte strings. The key goes with the last member.',
  group: 'sorted-set',
  since: '2.8.9',
  complexity: COMPLEXITY,
  arity: 4,
  flags: CommandFlag.Write,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'delete'),
  handler: (ctx, args, reply) => {
    range.parseMembers(args, 2, 3, Direction.Up)
    removeRange(ctx, args, reply, 'zremrangebylex')
  },
})

const range = new ZsetRange()

function removeRange(ctx: CommandContext, args: Args, reply: ReplySink, event: string): void {
  const row = findZset(ctx, args, 1)
  range.resolve(ctx.zset, args)
  if (range.count > 0) removeRanks(ctx, args, 1, row, range.rank, range.count, event)
  reply.integer(range.count)
}
