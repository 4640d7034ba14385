/**
 * CLIENT KILL ip:port | [ID id] [TYPE type] [USER name] [ADDR ip:port] [LADDR ip:port] [SKIPME yes|no] …
 * CLIENT UNBLOCK id [TIMEOUT | ERROR]
 *
 * Reply: KILL: OK in the old form, else how many were closed (all filters must match); this connection is closed after
 * the reply. UNBLOCK: 1, or 0 when the client is not blocked. Errors: no such client (old form), syntax and values.
 * Source: Valkey src/networking.c `clientCommand`.
 */
import type { Args } from '../../resp/args.ts'
import {
  CLIENT_ID_NOT_POSITIVE,
  NO_SUCH_CLIENT,
  noSuchUser,
  SYNTAX_ERROR,
  subcommandSyntax,
  UNBLOCK_REASON,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag, type Session } from '../session.ts'
import { type ClientType, clientType, clientTypeNamed } from './client-info.ts'

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

/** Which clients to close; null matches all. */
interface KillFilter {
  id: number | null
  type: ClientType | null
  user: string | null
  address: string | null
  localAddress: string | null
  skipsCaller: boolean
}

function killHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isOldForm = args.count === 3
  const filter = isOldForm ? addressFilter(args.text(2)) : parseFilter(ctx, args)
  let killed = 0
  for (const session of [...ctx.server.sessions()]) {
    if (!matches(filter, session) || (filter.skipsCaller && session === ctx.session)) continue
    ctx.server.closeClient(session)
    killed++
  }
  if (!isOldForm) reply.integer(killed)
  else if (killed === 0) throw NO_SUCH_CLIENT
  else reply.ok()
}

/** The old form may close its own connection. */
function addressFilter(address: string): KillFilter {
  return { id: null, type: null, user: null, address, localAddress: null, skipsCaller: false }
}

function parseFilter(ctx: CommandContext, args: Args): KillFilter {
  const filter: KillFilter = { id: null, type: null, user: null, address: null, localAddress: null, skipsCaller: true }
  for (let i = 2; i < args.count; i += 2) {
    if (i + 1 >= args.count) throw SYNTAX_ERROR
    const value = args.text(i + 1)
    if (args.is(i, 'ID')) {
      filter.id = args.integerIn(i + 1, 1, Number.POSITIVE_INFINITY, CLIENT_ID_NOT_POSITIVE)
    } else if (args.is(i, 'TYPE')) filter.type = clientTypeNamed(value)
    else if (args.is(i, 'ADDR')) filter.address = value
    else if (args.is(i, 'LADDR')) filter.localAddress = value
    else if (args.is(i, 'USER')) {
      if (ctx.server.users.find(value) === null) throw noSuchUser(value)
      filter.user = value
    } else if (args.is(i, 'SKIPME') && args.is(i + 1, 'YES')) filter.skipsCaller = true
    else if (args.is(i, 'SKIPME') && args.is(i + 1, 'NO')) filter.skipsCaller = false
    else throw SYNTAX_ERROR
  }
  return filter
}

function matches(filter: KillFilter, session: Session): boolean {
  return (
    (filter.id === null || filter.id === session.id) &&
    (filter.type === null || filter.type === clientType(session)) &&
    (filter.user === null || filter.user === session.user.name) &&
    (filter.address === null || filter.address === session.address) &&
    (filter.localAddress === null || filter.localAddress === session.localAddress)
  )
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
  ctx.server.unblock(session, withError)
  reply.integer(1)
}
