/**
 * FLUSHDB [ASYNC | SYNC]
 * FLUSHALL [ASYNC | SYNC]
 *
 * Removes all keys of the selected database, or of all. ASYNC leaves them to be freed between turns, SYNC only what takes
 * longer than a moment; which of the two it is when neither is given says `lazyfree-lazy-user-flush`. Recorded even when there was no key, which is no
 * change to save.
 *
 * Reply: OK. Errors: syntax.
 * Source: Valkey src/db.c `flushdbCommand`, `flushallCommand`, `signalFlushedDb`.
 */
import type { Database } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

export const flushdb = defineCommand({
  name: 'flushdb',
  summary: 'Removes all keys of the selected database.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys and of the elements in their values; ASYNC: O(1).',
  arity: -1,
  flags: CommandFlag.Write,
  categories: AclCategory.Keyspace | AclCategory.Dangerous,
  tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
  handler: flushdbHandler,
})

export const flushall = defineCommand({
  name: 'flushall',
  summary: 'Removes all keys of all databases.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys and of the elements in their values; ASYNC: O(1).',
  arity: -1,
  flags: CommandFlag.Write,
  categories: AclCategory.Keyspace | AclCategory.Dangerous,
  tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
  handler: flushallHandler,
})

function flushdbHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isAsync = isAsyncFlush(ctx, args)
  ctx.keyspace.touchedEverything()
  clearDatabase(ctx, ctx.db, isAsync)
  ctx.recordAnyway()
  reply.ok()
}

function flushallHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isAsync = isAsyncFlush(ctx, args)
  ctx.keyspace.touchedEverything()
  for (const db of ctx.keyspace.databases) clearDatabase(ctx, db, isAsync)
  // With save points the empty data are on disk afterwards, and nothing is left to save.
  ctx.server.saving.dataRemoved()
  ctx.recordAnyway()
  reply.ok()
}

/** @throws SYNTAX_ERROR */
function isAsyncFlush(ctx: CommandContext, args: Args): boolean {
  if (args.count === 1) return ctx.config.bool('lazyfree-lazy-user-flush')
  if (args.count === 2 && args.is(1, 'ASYNC')) return true
  if (args.count === 2 && args.is(1, 'SYNC')) return false
  throw SYNTAX_ERROR
}

function clearDatabase(ctx: CommandContext, db: Database, isAsync: boolean): void {
  ctx.keyspace.stats.changes += db.size
  ctx.keyspace.touchedAll(db, (key) => db.findText(key) !== NO_ROW)
  if (isAsync) db.clearLater()
  else db.clearSoon()
}
