/**
 * LREM key count element
 *
 * Removes elements that equal the given one: the first `count`, the last `-count`, or all for 0.
 *
 * Reply: integer, how many were removed. Errors: not an integer; WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `lremCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findList, storeList } from './list-access.ts'

export const lrem = defineCommand({
  name: 'lrem',
  summary: 'Removes elements of a list by their value. The key goes with the last element.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(N) where N is the length of the list.',
  arity: 4,
  flags: CommandFlag.Write,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'delete'),
  handler: lremHandler,
})

function lremHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const count = args.integer(2)
  const list = ctx.list
  const row = findList(ctx, args, 1, list)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  const length = list.length()
  const limit = count === 0 ? length : Math.min(Math.abs(count), length)
  const from = count < 0 ? ListEnd.Tail : ListEnd.Head
  const removed = list.removeEqual(from, limit, args.buffer, args.start(3), args.length(3))
  if (removed > 0) {
    if (removed < length) list.shrink()
    storeList(ctx.db, row, list)
    if (removed === length) ctx.db.remove(row)
    ctx.changed(args, 1, Notify.List, 'lrem')
    ctx.markDirty(removed - 1)
    if (removed === length) ctx.notify(args, 1, Notify.Generic, 'del')
  }
  reply.integer(removed)
}
