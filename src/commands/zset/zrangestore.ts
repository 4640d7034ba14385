/**
 * ZRANGESTORE destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
 *
 * Stores what ZRANGE would return, with its scores, in another key.
 *
 * Reply: how many members were stored; none deletes the destination. Errors: as ZRANGE.
 * Source: Valkey src/t_zset.c `zrangestoreCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { RangeBy } from './range.ts'
import { Direction } from './reply-members.ts'
import { OptionSet, ZrangeOptions } from './zrange-options.ts'
import { readZset, storeResult } from './zset-access.ts'

export const zrangestore = defineCommand({
  name: 'zrangestore',
  summary: 'Stores a range of members of a sorted set in a key.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: 'O(log(N)+M) where N is the number of members and M the number of members stored.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.SortedSet,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyRange(2, 0, 1, 'RO', 'access')],
  handler: zrangestoreHandler,
})

const options = new ZrangeOptions()
const member = new Element()

function zrangestoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  options.parse(args, 3, OptionSet.Zrangestore, RangeBy.Rank, Direction.Up)
  const source = readZset(ctx, args, 2)
  options.range.resolve(source, args)
  const { rank, count } = options.range
  storeResult(ctx, args, copyRanks(ctx, source, rank, count), 'zrangestore', reply)
}

/** A sorted set of its own, in `ctx.targetZset`, of `count` members from `rank` on. */
function copyRanks(ctx: CommandContext, source: ZsetView, rank: number, count: number): ZsetView {
  const limits = ctx.keyspace.limits
  const target = ctx.targetZset
  const cursor = source.members
  target.create(count, 0, limits)
  let more = count > 0 && cursor.open(source, rank, member)
  for (let left = count; more && left > 0; left--) {
    member.spell()
    target.put(member.buffer, member.start, member.length, cursor.score, 0, limits)
    more = cursor.next(member)
  }
  return target
}
