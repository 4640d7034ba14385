/**
 * RESET
 *
 * Makes the connection as new: no transaction, no subscriptions, no tracking, database 0, RESP2, logged out, no name, no modes. What
 * the client's library said about itself stays.
 *
 * Reply: RESET.
 * Source: Valkey src/networking.c `resetCommand`, `clearClientConnectionState`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag, discardTransaction } from '../session.ts'

/** Not ReplySkip: the reply that is skipped is this one. */
const MODES =
  ClientFlag.ReplyOff | ClientFlag.ReplySkipNext | ClientFlag.NoEvict | ClientFlag.NoTouch | ClientFlag.Authenticated

export const reset = defineCommand({
  name: 'reset',
  summary: 'Resets the connection to the state it had when it was new.',
  group: 'connection',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: 1,
  flags:
    CommandFlag.NoScript |
    CommandFlag.Loading |
    CommandFlag.Stale |
    CommandFlag.Fast |
    CommandFlag.NoAuth |
    CommandFlag.AllowBusy,
  categories: AclCategory.Connection,
  handler: resetHandler,
})

function resetHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const { session } = ctx
  ctx.server.stopMonitor(session)
  discardTransaction(session)
  ctx.channels.unsubscribeAll(session)
  ctx.server.tracking.disable(session)
  session.db = ctx.keyspace.databases[0]!
  session.respVersion = 2
  session.user = ctx.server.users.default
  session.name = ''
  session.flags &= ~MODES
  if (!ctx.server.needsAuthentication) session.flags |= ClientFlag.Authenticated
  reply.status('RESET')
}
