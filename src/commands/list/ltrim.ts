/**
 * LTRIM key start stop
 *
 * Keeps the elements from one index to another, both included, and removes the others; an empty range removes the key.
 *
 * Reply: OK. Errors: not an integer; WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `ltrimCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findList, storeList } from './list-access.ts'

export const ltrim = defineCommand({
  name: 'ltrim',
  summary: 'Removes the elements of a list outside a range of indexes. The key goes with the last element.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of elements removed.',
  arity: 4,
  flags: CommandFlag.Write,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'delete'),
  handler: ltrimHandler,
})

function ltrimHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let start = args.integer(2)
  let stop = args.integer(3)
  const list = ctx.list
  const row = findList(ctx, args, 1, list)
  if (row === NO_ROW) {
    reply.ok()
    return
  }
  const length = list.length()
  if (start < 0) start = Math.max(0, start + length)
  if (stop < 0) stop += length
  stop = Math.min(stop, length - 1)
  const kept = Math.max(0, stop - start + 1)
  if (kept === 0) {
    ctx.db.remove(row)
  } else {
    list.drop(ListEnd.Head, start)
    list.drop(ListEnd.Tail, length - start - kept)
    list.shrink()
    storeList(ctx.db, row, list)
  }
  announce(ctx, args, length - kept)
  if (kept === 0) ctx.notify(args, 1, Notify.Generic, 'del')
  reply.ok()
}

/**
 * The event comes, and watchers become dirty, even when nothing was removed. Such a call counts as no change, so
 * that it is not recorded either.
 */
function announce(ctx: CommandContext, args: Args, removed: number): void {
  ctx.changed(args, 1, Notify.List, 'ltrim')
  ctx.markDirty(removed - 1)
}
