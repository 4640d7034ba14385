/**
 * ZREM key member [member ...]
 *
 * Removes members from a sorted set, which goes with its last member.
 *
 * Reply: how many members were removed. Errors: WRONGTYPE.
 * Source: Valkey src/t_zset.c `zremCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findZset, finishRemoval } from './zset-access.ts'

export const zrem = defineCommand({
  name: 'zrem',
  summary: 'Removes members from a sorted set. The key goes with the last member.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: 'O(M*log(N)) where N is the number of members of the sorted set and M the number of members given.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'delete'),
  handler: zremHandler,
})

function zremHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findZset(ctx, args, 1)
  const zset = ctx.zset
  let left = zset.size()
  let removed = 0
  for (let i = 2; i < args.count && left > 0; i++) {
    if (!zset.remove(args.buffer, args.start(i), args.length(i))) continue
    removed++
    left--
  }
  if (removed > 0) finishRemoval(ctx, args, 1, row, removed, 'zrem')
  reply.integer(removed)
}
