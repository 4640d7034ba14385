/**
 * ZRANK key member [WITHSCORE]
 * ZREVRANK key member [WITHSCORE]
 *
 * The rank of a member from the lowest, or the highest, score on.
 *
 * Reply: integer, with WITHSCORE an array of rank and score; null (with WITHSCORE an array's) when it is absent.
 * Errors: wrong arity; syntax; WRONGTYPE.
 * Source: Valkey src/t_zset.c `zrankGenericCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import { type ReplyError, SYNTAX_ERROR, wrongArity } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_RANK } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { Direction } from './reply-members.ts'
import { readZset } from './zset-access.ts'

const WRONG_ARITY_ZRANK = wrongArity('zrank')
const WRONG_ARITY_ZREVRANK = wrongArity('zrevrank')

export const zrank = defineCommand({
  name: 'zrank',
  summary: 'Returns the rank of a member of a sorted set, counted from the lowest score.',
  group: 'sorted-set',
  since: '2.0.0',
  complexity: 'O(log(N)) where N is the number of members.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => replyRank(ctx, args, reply, Direction.Up, WRONG_ARITY_ZRANK),
})

export const zrevrank = defineCommand({
  name: 'zrevrank',
  summary: 'Returns the rank of a member of a sorted set, counted from the highest score.',
  group: 'sorted-set',
  since: '2.0.0',
  complexity: 'O(log(N)) where N is the number of members.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => replyRank(ctx, args, reply, Direction.Down, WRONG_ARITY_ZREVRANK),
})

function replyRank(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  direction: Direction,
  arityError: ReplyError,
): void {
  // The arity of the definition has no upper bound; Redis answers here.
  if (args.count > 4) throw arityError
  const withScore = args.count === 4
  if (withScore && !args.is(3, 'WITHSCORE')) throw SYNTAX_ERROR
  const zset = readZset(ctx, args, 1)
  const rank = zset.rank(args.buffer, args.start(2), args.length(2))
  if (rank === NO_RANK) {
    if (withScore) reply.nilArray()
    else reply.nil()
    return
  }
  if (withScore) reply.array(2)
  reply.integer(direction === Direction.Up ? rank : zset.size() - 1 - rank)
  if (withScore) reply.double(zset.score)
}
