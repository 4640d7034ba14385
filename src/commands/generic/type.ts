/**
 * TYPE key
 *
 * Reply: status, the name of the type; `none` when the key is missing. Errors: none.
 * Source: Valkey src/db.c `typeCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { TYPE_OF_KIND } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'

export const type = defineCommand({
  name: 'type',
  summary: 'Returns the type of the value of a key.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RO'),
  handler: typeHandler,
})

function typeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.peek(args, 1)
  reply.status(row === NO_ROW ? 'none' : TYPE_OF_KIND[ctx.db.kind(row)]!)
}
