/**
 * SWAPDB index1 index2
 *
 * Exchanges the keys of two databases. Clients stay where they are: those that watch a key that either database has see
 * it changed, those blocked on a key may find it there now.
 *
 * Reply: OK. Errors: invalid first or second index; index out of range.
 * Source: Valkey src/db.c `swapdbCommand`, `dbSwapDatabases`.
 */
import type { Database } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { DB_INDEX_OUT_OF_RANGE, INVALID_FIRST_DB_INDEX, INVALID_SECOND_DB_INDEX } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

const INT_MAX = 2 ** 31 - 1
const INT_MIN = -(2 ** 31)

export const swapdb = defineCommand({
  name: 'swapdb',
  summary: 'Exchanges the keys of two databases.',
  group: 'server',
  since: '4.0.0',
  complexity: 'O(N), N being the number of keys of both databases that clients watch or are blocked on.',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace | AclCategory.Dangerous,
  handler: swapdbHandler,
})

function swapdbHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  // An index that is no C int is as invalid as one that is no number.
  const index1 = args.integerIn(1, INT_MIN, INT_MAX, INVALID_FIRST_DB_INDEX)
  const index2 = args.integerIn(2, INT_MIN, INT_MAX, INVALID_SECOND_DB_INDEX)
  const a = ctx.keyspace.databases[index1]
  const b = ctx.keyspace.databases[index2]
  if (a === undefined || b === undefined) throw DB_INDEX_OUT_OF_RANGE
  if (a !== b) {
    removeExpiredWatched(a, a, b)
    removeExpiredWatched(b, a, b)
    const isInEither = (key: string): boolean => a.findText(key) !== NO_ROW || b.findText(key) !== NO_ROW
    ctx.keyspace.touchedAll(a, isInEither)
    ctx.keyspace.touchedAll(b, isInEither)
    // Redis does not say so to clients that cache; theirs would be wrong from here on.
    ctx.keyspace.touchedEverything()
    a.swapContents(b)
  }
  ctx.keyspace.stats.changes++
  ctx.markDirty(1)
  reply.ok()
}

/**
 * Removes those keys of `a` and `b` that are watched in `watched` and expired. A watched key that was absent must not
 * look changed later because the exchange brought an expired one, whose removal is a change.
 */
function removeExpiredWatched(watched: Database, a: Database, b: Database): void {
  for (const key of watched.watchers.keys()) {
    for (const db of [a, b]) {
      db.findText(key)
      if (db.hasMetExpired) db.reapMet()
    }
  }
}
