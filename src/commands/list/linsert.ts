/**
 * LINSERT key BEFORE|AFTER pivot element
 *
 * Inserts an element next to the first one that equals the pivot.
 *
 * Reply: integer, the length of the list; 0 when the key is missing, -1 without a pivot. Errors: syntax; WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `linsertCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findList, storeList } from './list-access.ts'

export const linsert = defineCommand({
  name: 'linsert',
  summary: 'Inserts an element before or after another one of a list.',
  group: 'list',
  since: '2.2.0',
  complexity: 'O(N) where N is the number of elements up to the pivot.',
  arity: 5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'insert'),
  handler: linsertHandler,
})

function linsertHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const side = args.is(2, 'AFTER') ? ListEnd.Tail : ListEnd.Head
  if (side === ListEnd.Head && !args.is(2, 'BEFORE')) throw SYNTAX_ERROR
  const list = ctx.list
  const row = findList(ctx, args, 1, list)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  // Redis makes room before it searches, so the encoding may change even without a pivot.
  list.expect(1, args.length(4))
  const isFound = list.rewind().find(args.buffer, args.start(3), args.length(3))
  if (isFound) list.insert(side, args.buffer, args.start(4), args.length(4))
  storeList(ctx.db, row, list)
  if (!isFound) {
    reply.integer(-1)
    return
  }
  ctx.changed(args, 1, Notify.List, 'linsert')
  reply.integer(list.length())
}
