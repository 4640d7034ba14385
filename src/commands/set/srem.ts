/**
 * SREM key member [member ...]
 *
 * Removes members from a set, and the set with its last member.
 *
 * Reply: how many members were there. Errors: WRONGTYPE.
 * Source: Valkey src/t_set.c `sremCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findSet, finishRemoval } from './set-access.ts'

export const srem = defineCommand({
  name: 'srem',
  summary: 'Removes members from a set, and the set with its last member.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of members to remove.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RW', 'delete'),
  handler: sremHandler,
})

function sremHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findSet(ctx, args, 1)
  const set = ctx.set
  let removed = 0
  for (let i = 2; i < args.count && set.size() > 0; i++) {
    if (set.remove(args.buffer, args.start(i), args.length(i))) removed++
  }
  if (removed > 0) finishRemoval(ctx, args, 1, row, set, 'srem')
  reply.integer(removed)
}
