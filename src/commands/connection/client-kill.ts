/**
 * CLIENT KILL ip:port | filter … (see client-filter.ts)
 * CLIENT UNBLOCK id [TIMEOUT | ERROR]
 *
 * Reply: KILL: OK in the old form, else how many were closed (all filters must match); this connection is closed after
 * the reply. UNBLOCK: 1, or 0 when the client is not blocked. Errors: no such client (old form), syntax and values.
 * Source: Valkey src/networking.c `clientCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { NO_SUCH_CLIENT, subcommandSyntax, UNBLOCK_REASON } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'
import { Caller, ClientFilter } from './client-filter.ts'

const FLAGS = CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale

export const clientKill = defineCommand({
  name: 'kill',
  summary: 'Closes connections.',
  group: 'connection',
  since: '2.4.0',
  complexity: 'O(N), N being the number of connections.',
  arity: -3,
  flags: FLAGS,
  categories: AclCategory.Connection,
  handler: killHandler,
})

export const clientUnblock = defineCommand({
  name: 'unblock',
  summary: 'Wakes a client that waits in a blocking command.',
  group: 'connection',
  since: '5.0.0',
  complexity: 'O(K), K being the number of keys that the client waits for.',
  arity: -3,
  flags: FLAGS,
  categories: AclCategory.Connection,
  handler: unblockHandler,
})

function killHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 3) {
    killAddress(ctx, args.text(2))
    reply.ok()
    return
  }
  const filter = new ClientFilter(ctx, args, 2, Caller.Skipped)
  let killed = 0
  for (const session of [...ctx.server.sessions()]) {
    if (!filter.matches(session)) continue
    ctx.server.closeClient(session)
    killed++
  }
  reply.integer(killed)
}

/** The old form, which may close its own connection. @throws NO_SUCH_CLIENT */
function killAddress(ctx: CommandContext, address: string): void {
  const sessions = [...ctx.server.sessions()].filter((session) => session.address === address)
  if (sessions.length === 0) throw NO_SUCH_CLIENT
  for (const session of sessions) ctx.server.closeClient(session)
}

function unblockHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 4) throw subcommandSyntax(args.text(1), args.text(0))
  const withError = args.count === 4 && args.is(3, 'ERROR')
  if (args.count === 4 && !withError && !args.is(3, 'TIMEOUT')) throw UNBLOCK_REASON
  const session = ctx.server.session(args.integer(2))
  if (session === null || (session.flags & ClientFlag.Blocked) === 0) {
    reply.integer(0)
    return
  }
  ctx.server.waiting.unblock(session, withError)
  reply.integer(1)
}
