/**
 * RANDOMKEY
 *
 * Reply: bulk string, the name of a key chosen at random; null when the database is empty. Errors: none.
 * Source: Valkey src/db.c `dbRandomKey`.
 */
import type { Database } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

/** How often another key is drawn when one is expired, before all are looked at in turn. */
const DRAWS_MAX = 100

export const randomkey = defineCommand({
  name: 'randomkey',
  summary: 'Returns the name of a key chosen at random.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 1,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Keyspace,
  tips: ['request_policy:all_shards', 'response_policy:special', 'nondeterministic_output'],
  handler: randomkeyHandler,
})

function randomkeyHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const row = randomLiveRow(ctx.db, ctx.random)
  if (row === NO_ROW) reply.nil()
  else reply.bulkRef(ctx.db.keys.keyRef(row))
}

function randomLiveRow(db: Database, random: () => number): number {
  const size = db.size
  if (size === 0) return NO_ROW
  let row = 0
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    row = Math.floor(random() * size)
    if (db.isLive(row)) return row
  }
  for (let i = 1; i < size; i++) {
    const next = (row + i) % size
    if (db.isLive(next)) return next
  }
  return NO_ROW
}
