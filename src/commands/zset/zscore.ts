/**
 * ZSCORE key member
 * ZMSCORE key member [member ...]
 * ZCARD key
 *
 * Scores of members, and their number.
 *
 * Reply: ZSCORE the score or null; ZMSCORE an array of these; ZCARD an integer. Errors: WRONGTYPE.
 * Source: Valkey src/t_zset.c `zscoreCommand`, `zmscoreCommand`, `zcardCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readZset } from './zset-access.ts'

export const zscore = defineCommand({
  name: 'zscore',
  summary: 'Returns the score of a member of a sorted set.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => replyScore(readZset(ctx, args, 1), args, 2, reply),
})

export const zmscore = defineCommand({
  name: 'zmscore',
  summary: 'Returns the scores of members of a sorted set.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: 'O(N) where N is the number of members asked for.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: zmscoreHandler,
})

export const zcard = defineCommand({
  name: 'zcard',
  summary: 'Returns the number of members of a sorted set.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO'),
  handler: (ctx, args, reply) => reply.integer(readZset(ctx, args, 1).size()),
})

function zmscoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const zset = readZset(ctx, args, 1)
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) replyScore(zset, args, i, reply)
}

function replyScore(zset: ZsetView, args: Args, i: number, reply: ReplySink): void {
  const score = zset.scoreOf(args.buffer, args.start(i), args.length(i))
  if (Number.isNaN(score)) reply.nil()
  else reply.double(score)
}
