/**
 * SMOVE source destination member
 *
 * Moves a member from one set to another.
 *
 * Reply: 1, or 0 if the member is not in the source. Errors: WRONGTYPE of either key (but not when the source is
 * missing).
 * Source: Valkey src/t_set.c `smoveCommand`.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { addSet, findSet, finishRemoval, storeSet } from './set-access.ts'

export const smove = defineCommand({
  name: 'smove',
  summary: 'Moves a member from one set to another.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: [keyRange(1, 0, 1, 'RW', 'access', 'delete'), keyRange(2, 0, 1, 'RW', 'insert')],
  handler: smoveHandler,
})

function smoveHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findSet(ctx, args, 1)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  ctx.db.findKind(args, 2, KindMask.Set)
  const start = args.start(3)
  const length = args.length(3)
  if (args.same(1, 2)) {
    reply.integer(ctx.set.has(args.buffer, start, length) ? 1 : 0)
    return
  }
  if (!ctx.set.remove(args.buffer, start, length)) {
    reply.integer(0)
    return
  }
  finishRemoval(ctx, args, 1, row, ctx.set, 'srem')
  insert(ctx, args)
  reply.integer(1)
}

/** Adds the member to the destination. Its row is looked up only now: the source may have been removed. */
function insert(ctx: CommandContext, args: Args): void {
  const row = findSet(ctx, args, 2)
  const set = ctx.set
  const limits = ctx.keyspace.limits
  const start = args.start(3)
  const length = args.length(3)
  if (row === NO_ROW) set.create(args.buffer, start, length, 1, limits)
  const isNew = set.add(args.buffer, start, length, limits)
  if (row === NO_ROW) addSet(ctx, args, 2, set)
  else storeSet(ctx.db, row, set)
  if (isNew) ctx.changed(args, 2, Notify.Set, 'sadd')
}
