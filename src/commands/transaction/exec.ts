/**
 * EXEC
 *
 * Runs the queued commands, one after the other and nothing in between. Time stands still meanwhile, and commands that
 * would block answer at once. The pipeline journals each command; as EXEC is one unit, they reach the log together.
 *
 * Each command is checked against the user's rights once more.
 *
 * Reply: array of the replies; null when a watched key changed. Errors: outside MULTI; EXECABORT when a command was
 * refused while it was queued.
 * Source: Valkey src/multi.c `execCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { deniedInExec, EXEC_WITHOUT_MULTI, EXECABORT } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { authorize } from '../acl/authorize.ts'
import { AccessContext, type CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag, discardTransaction, type Session, unwatchAll } from '../session.ts'

export const exec = defineCommand({
  name: 'exec',
  summary: 'Runs all commands of a transaction.',
  group: 'transactions',
  since: '1.2.0',
  complexity: 'The sum of the queued commands.',
  arity: 1,
  flags: CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.SkipSlowlog,
  categories: AclCategory.Transaction,
  handler: execHandler,
})

function execHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const session = ctx.session
  if ((session.flags & ClientFlag.Multi) === 0) throw EXEC_WITHOUT_MULTI
  meetExpiredWatchedKeys(session)
  // A refused command outranks a changed key (Valkey execCommand).
  if ((session.flags & ClientFlag.DirtyExec) !== 0) {
    discardTransaction(session)
    throw EXECABORT
  }
  if (session.watchDirty) {
    discardTransaction(session)
    reply.nilArray()
    return
  }
  unwatchAll(session)
  const mayBlock = ctx.mayBlock
  ctx.mayBlock = false
  const queue = session.queue
  reply.array(queue.length)
  const reader = queue.read()
  while (reader.next()) {
    const { command, args } = reader
    // Rights may have changed since the command was queued.
    const denial = session.user.isUnrestricted ? null : authorize(session.user, command, args)
    if (denial === null) ctx.server.call(session, command, args, reply)
    else {
      const error = deniedInExec(denial)
      ctx.server.access.denied(session, denial, AccessContext.Multi)
      ctx.server.errors.count(error.code)
      reply.error(error.text)
    }
  }
  ctx.mayBlock = mayBlock
  discardTransaction(session)
}

/** A watched key whose time is over has changed, though nothing has removed it yet. */
function meetExpiredWatchedKeys(session: Session): void {
  for (const { db, key } of session.watched) {
    db.findText(key)
    if (db.hasMetExpired) db.reapMet()
  }
}
