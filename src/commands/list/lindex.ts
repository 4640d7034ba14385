/**
 * LINDEX key index
 *
 * Returns the element at an index; negative ones count from the end.
 *
 * Reply: bulk string; null when the key is missing or the index out of range. Errors: WRONGTYPE; not an integer.
 * Source: Valkey 7.2 src/t_list.c `lindexCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readList } from './list-access.ts'

export const lindex = defineCommand({
  name: 'lindex',
  summary: 'Returns the element of a list at an index.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of nodes between the nearer end and the element; O(1) for both ends.',
  arity: 3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.List,
  keys: keyAt(1, 'RO', 'access'),
  handler: lindexHandler,
})

function lindexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  // The key is looked at before the index: a missing one is null whatever the index says.
  if (readList(ctx, args, 1) === NO_ROW) {
    reply.nil()
    return
  }
  const cursor = ctx.list.rewind()
  if (cursor.seek(args.integer(2))) reply.bulkEntry(cursor.entry)
  else reply.nil()
}
