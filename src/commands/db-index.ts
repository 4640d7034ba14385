/** Arguments that name a database. Source: Valkey src/db.c `selectDb`, src/object.c `getIntFromObjectOrReply`. */
import type { Database } from '../keyspace/database.ts'
import type { Args } from '../resp/args.ts'
import { DB_INDEX_OUT_OF_RANGE, INT_OUT_OF_RANGE } from '../resp/errors.ts'
import type { CommandContext } from './context.ts'

const INT_MAX = 2 ** 31 - 1
const INT_MIN = -(2 ** 31)

/**
 * The database with the index in argument `i`.
 *
 * @throws NOT_AN_INTEGER, INT_OUT_OF_RANGE when no C int, DB_INDEX_OUT_OF_RANGE when there is no such database
 */
export function databaseAt(ctx: CommandContext, args: Args, i: number): Database {
  const index = args.integer(i)
  if (index < INT_MIN || index > INT_MAX) throw INT_OUT_OF_RANGE
  const db = ctx.keyspace.databases[index]
  if (db === undefined) throw DB_INDEX_OUT_OF_RANGE
  return db
}
