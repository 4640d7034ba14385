/**
 * WATCH key [key ...] and UNWATCH
 *
 * A watched key that changes, or expires, before EXEC makes it answer null. Keys are watched in the database that is
 * selected.
 *
 * Reply: OK. Errors: WATCH inside MULTI.
 * Source: Valkey src/multi.c `watchCommand`, `watchForKey`.
 */
import type { Database } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { WATCH_INSIDE_MULTI } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { ClientFlag, type Session, unwatchAll } from '../session.ts'

const FLAGS = CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast | CommandFlag.AllowBusy

export const watch = defineCommand({
  name: 'watch',
  summary: 'Watches keys: when one changes, the next transaction is not run.',
  group: 'transactions',
  since: '2.2.0',
  complexity: 'O(1) for every key.',
  arity: -2,
  flags: FLAGS,
  categories: AclCategory.Transaction,
  keys: [keyRange(1, -1, 1, 'RO')],
  handler: watchHandler,
})

export const unwatch = defineCommand({
  name: 'unwatch',
  summary: 'Lets go of all watched keys.',
  group: 'transactions',
  since: '2.2.0',
  complexity: 'O(1)',
  arity: 1,
  flags: FLAGS,
  categories: AclCategory.Transaction,
  handler: unwatchHandler,
})

/** Entries of the sets and maps of a watched key, in bytes: about. */
const WATCHED_KEY_BYTES = 256

function watchHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const session = ctx.session
  if ((session.flags & ClientFlag.Multi) !== 0) throw WATCH_INSIDE_MULTI
  // A transaction that will not run needs no more keys.
  if (!session.watchDirty) for (let i = 1; i < args.count; i++) watchKey(session, ctx.db, args.text(i))
  reply.ok()
}

function unwatchHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  unwatchAll(ctx.session)
  reply.ok()
}

function watchKey(session: Session, db: Database, key: string): void {
  // A key that is expired already counts as absent: its removal later must not look like a change.
  db.findText(key)
  if (db.hasMetExpired) db.reapMet()
  let watchers = db.watchers.get(key)
  if (watchers === undefined) {
    watchers = new Set()
    db.watchers.set(key, watchers)
  }
  if (watchers.has(session)) return
  watchers.add(session)
  session.watched.push({ db, key })
  session.watchedBytes += WATCHED_KEY_BYTES + key.length
}
