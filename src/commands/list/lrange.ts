/**
 * LRANGE key start stop
 *
 * Returns the elements from one index to another, both included; negative ones count from the end.
 *
 * Reply: array; empty when the key is missing or the range is. Errors: not an integer; WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `lrangeCommand`, `addListRangeReply`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readList } from './list-access.ts'

export const lrange = defineCommand({
  name: 'lrange',
  summary: 'Returns the elements of a list in a range of indexes.',
  group: 'list',
  since: '1.0.0',
  complexity:
    'O(S+N) where S is the number of nodes between the nearer end and the start, and N the elements returned.',
  arity: 4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.List,
  keys: keyAt(1, 'RO', 'access'),
  handler: lrangeHandler,
})

function lrangeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let start = args.integer(2)
  let stop = args.integer(3)
  if (readList(ctx, args, 1) === NO_ROW) {
    reply.array(0)
    return
  }
  const length = ctx.list.length()
  if (start < 0) start = Math.max(0, start + length)
  if (stop < 0) stop += length
  stop = Math.min(stop, length - 1)
  // A start behind the end is covered: stop is below it then.
  if (start > stop) {
    reply.array(0)
    return
  }
  const cursor = ctx.list.rewind()
  reply.array(stop - start + 1)
  cursor.seek(start)
  reply.bulkEntry(cursor.entry)
  for (let index = start; index < stop; index++) {
    cursor.advance()
    reply.bulkEntry(cursor.entry)
  }
}
