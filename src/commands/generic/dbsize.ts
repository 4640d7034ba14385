/**
 * DBSIZE
 *
 * Reply: integer, the number of keys in the selected database; expired ones count until they are removed. Errors: none.
 * Source: Valkey src/db.c `dbsizeCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

export const dbsize = defineCommand({
  name: 'dbsize',
  summary: 'Returns the number of keys in the selected database.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 1,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  tips: ['request_policy:all_shards', 'response_policy:agg_sum'],
  handler: dbsizeHandler,
})

function dbsizeHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  reply.integer(ctx.db.size)
}
