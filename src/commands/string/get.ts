/**
 * GET key
 *
 * Returns the value of a string key.
 *
 * Reply: bulk string; null when the key is missing. Errors: WRONGTYPE.
 * Source: Valkey src/t_string.c `getCommand`. Hot path.
 */
import { type Database, KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'

export const get = defineCommand({
  name: 'get',
  summary: 'Returns the value of a string key.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RO', 'access'),
  handler: getHandler,
})

function getHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) reply.nil()
  else replyString(ctx.db, row, reply)
}

/** Replies the value of a string key at `row` as a bulk string. */
export function replyString(db: Database, row: number, reply: ReplySink): void {
  if (db.kind(row) === Kind.StringInteger) reply.bulkInteger(db.value(row))
  else reply.bulkRef(db.ref(row))
}
