/**
 * SADD key member [member ...]
 *
 * Adds members to a set, creating it if needed.
 *
 * Reply: how many members are new. Errors: WRONGTYPE.
 * Source: Valkey src/t_set.c `saddCommand`. Hot path.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { addSet, findSet, storeSet } from './set-access.ts'

export const sadd = defineCommand({
  name: 'sadd',
  summary: 'Adds one or more members to a set, creating the set if needed.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(1) for each member.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RW', 'insert'),
  handler: saddHandler,
})

function saddHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findSet(ctx, args, 1)
  const set = ctx.set
  const limits = ctx.keyspace.limits
  const buffer = args.buffer
  if (row === NO_ROW) set.create(buffer, args.start(2), args.length(2), args.count - 2, limits)
  else set.expect(args.count - 2, limits)
  let added = 0
  for (let i = 2; i < args.count; i++) {
    if (set.add(buffer, args.start(i), args.length(i), limits)) added++
  }
  if (row === NO_ROW) addSet(ctx, args, 1, set)
  else storeSet(ctx.db, row, set)
  if (added > 0) ctx.changed(args, 1, Notify.Set, 'sadd')
  reply.integer(added)
}
