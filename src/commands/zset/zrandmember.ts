/**
 * ZRANDMEMBER key [count [WITHSCORES]]
 *
 * Returns random members of a sorted set: up to `count` different ones, or, for a negative count, that many which may
 * repeat.
 *
 * Reply: without count a bulk string or null; else an array, with WITHSCORES nested in RESP3. Errors, in this order: the
 * count; syntax; a count that is too large with scores; WRONGTYPE.
 * Source: Valkey src/t_zset.c `zrandmemberCommand`, `zrandmemberWithCountCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { OUT_OF_RANGE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import { randomIndex, sampleDistinct } from '../../structures/sampling.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { randomCount, repetitions } from '../random-count.ts'
import { beginMembers, pairShape, replyMember, Shape } from './reply-members.ts'
import { readZset } from './zset-access.ts'

export const zrandmember = defineCommand({
  name: 'zrandmember',
  summary: 'Returns random members of a sorted set.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: 'O(N) where N is the number of members returned.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: zrandmemberHandler,
})

/** Redis' LONG_MAX / 2: twice as many elements would not be a count. */
const COUNT_MAX_WITH_SCORES = 2 ** 62

const member = new Element()

function zrandmemberHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 2) {
    const zset = readZset(ctx, args, 1)
    const size = zset.size()
    if (size === 0) {
      reply.nil()
      return
    }
    zset.members.openForPicks(zset)
    replyPick(zset, randomIndex(size, ctx.random), Shape.Members, reply)
    return
  }
  const count = randomCount(args, 2)
  if (args.count > 4 || (args.count === 4 && !args.is(3, 'WITHSCORES'))) throw SYNTAX_ERROR
  const withScores = args.count === 4
  if (withScores && Math.abs(count) >= COUNT_MAX_WITH_SCORES) throw OUT_OF_RANGE
  const shape = withScores ? pairShape(reply) : Shape.Members
  const zset = readZset(ctx, args, 1)
  if (zset.size() === 0 || count === 0) reply.array(0)
  else if (count < 0) replyRepeated(ctx, zset, repetitions(count, reply), shape, reply)
  else replyDistinct(ctx, zset, count, shape, reply)
}

function replyRepeated(ctx: CommandContext, zset: ZsetView, count: number, shape: Shape, reply: ReplySink): void {
  const size = zset.size()
  beginMembers(reply, count, shape)
  zset.members.openForPicks(zset)
  for (let i = 0; i < count; i++) replyPick(zset, randomIndex(size, ctx.random), shape, reply)
}

function replyDistinct(ctx: CommandContext, zset: ZsetView, count: number, shape: Shape, reply: ReplySink): void {
  const size = zset.size()
  const shown = Math.min(count, size)
  beginMembers(reply, shown, shape)
  zset.members.openForPicks(zset)
  if (shown === size) {
    for (let index = 0; index < size; index++) replyPick(zset, index, shape, reply)
    return
  }
  const sample = sampleDistinct(size, shown, ctx.random)
  for (let i = 0; i < shown; i++) replyPick(zset, sample[i]!, shape, reply)
}

function replyPick(zset: ZsetView, index: number, shape: Shape, reply: ReplySink): void {
  zset.members.pick(index, member)
  replyMember(reply, member, zset.members.score, shape)
}
