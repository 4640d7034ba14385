/**
 * LSET key index element
 *
 * Replaces the element at an index; negative ones count from the end.
 *
 * Reply: OK. Errors: no such key; WRONGTYPE; not an integer; index out of range.
 * Source: Valkey 7.2 src/t_list.c `lsetCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { INDEX_OUT_OF_RANGE, NO_SUCH_KEY } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findList, storeList } from './list-access.ts'

export const lset = defineCommand({
  name: 'lset',
  summary: 'Sets the element of a list at an index.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of nodes between the nearer end and the element; O(1) for both ends.',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'update'),
  handler: lsetHandler,
})

function lsetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const list = ctx.list
  const row = findList(ctx, args, 1, list)
  if (row === NO_ROW) throw NO_SUCH_KEY
  const index = args.integer(2)
  const length = list.length()
  const isInRange = index < length && index >= -length
  // As in Redis the encoding makes room for one more element, and does so before the index is looked at.
  list.expect(1, args.length(3))
  if (isInRange) {
    list.rewind().seek(index)
    list.replace(args.buffer, args.start(3), args.length(3))
    list.shrink()
  }
  storeList(ctx.db, row, list)
  if (!isInRange) throw INDEX_OUT_OF_RANGE
  ctx.changed(args, 1, Notify.List, 'lset')
  reply.ok()
}
