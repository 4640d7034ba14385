/**
 * SELECT index
 *
 * Selects the database of the connection.
 *
 * Reply: OK. Errors: integer; index out of range.
 * Source: Valkey src/db.c `selectCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { databaseAt } from '../db-index.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

export const select = defineCommand({
  name: 'select',
  summary: 'Selects the database of the connection.',
  group: 'connection',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast,
  categories: AclCategory.Connection,
  handler: selectHandler,
})

function selectHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = databaseAt(ctx, args, 1)
  ctx.session.db = db
  ctx.db = db
  reply.ok()
}
