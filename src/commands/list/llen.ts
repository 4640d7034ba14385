/**
 * LLEN key
 *
 * Returns the length of a list.
 *
 * Reply: integer, 0 when the key is missing. Errors: WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `llenCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readList } from './list-access.ts'

export const llen = defineCommand({
  name: 'llen',
  summary: 'Returns the length of a list.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RO'),
  handler: llenHandler,
})

function llenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.integer(readList(ctx, args, 1) === NO_ROW ? 0 : ctx.list.length())
}
