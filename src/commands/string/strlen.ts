/**
 * STRLEN key
 *
 * Reply: integer, the length of the string in bytes; 0 when the key is missing. Errors: WRONGTYPE.
 * Source: Valkey src/t_string.c `strlenCommand`. Hot path.
 */
import { integerLength } from '../../bytes/integer.ts'
import { type Database, KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'

export const strlen = defineCommand({
  name: 'strlen',
  summary: 'Returns the length of a string in bytes.',
  group: 'string',
  since: '2.2.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RO'),
  handler: strlenHandler,
})

function strlenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.readKind(args, 1, KindMask.String)
  reply.integer(row === NO_ROW ? 0 : stringLength(ctx.db, row))
}

/** Length of the string at `row`, in bytes. */
export function stringLength(db: Database, row: number): number {
  return db.kind(row) === Kind.StringInteger ? integerLength(db.value(row)) : db.arena.length(db.ref(row))
}
