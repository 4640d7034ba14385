/**
 * HELLO [protover [AUTH username password] [SETNAME clientname]]
 *
 * Reply: map of facts about server and connection, in the protocol that was asked for. Errors: NOPROTO, WRONGPASS, NOAUTH,
 * an invalid name, an unknown option. Options are read before anything changes.
 * Source: Valkey src/networking.c `helloCommand`.
 */
import { REDIS_VERSION } from '../../config/version.ts'
import type { Args } from '../../resp/args.ts'
import {
  HELLO_NOAUTH,
  helloOption,
  INVALID_CLIENT_NAME,
  NOPROTO,
  PROTOCOL_VERSION_NOT_INTEGER,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'
import { isClientAttribute } from './client-attribute.ts'
import { authenticate } from './credentials.ts'

const NO_ARGUMENT = -1

export const hello = defineCommand({
  name: 'hello',
  summary: 'Chooses the protocol version, and logs in and names the connection on the way.',
  group: 'connection',
  since: '6.0.0',
  complexity: 'O(1)',
  arity: -1,
  flags:
    CommandFlag.NoScript |
    CommandFlag.Loading |
    CommandFlag.Stale |
    CommandFlag.Fast |
    CommandFlag.NoAuth |
    CommandFlag.AllowBusy,
  categories: AclCategory.Connection,
  sensitiveArguments: helloSecrets,
  handler: helloHandler,
})

function helloHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { session, server } = ctx
  const version = args.count > 1 ? args.integer(1, PROTOCOL_VERSION_NOT_INTEGER) : session.respVersion
  if (version !== 2 && version !== 3) throw NOPROTO
  let userAt = NO_ARGUMENT
  let nameAt = NO_ARGUMENT
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'AUTH') && i + 2 < args.count) {
      userAt = i + 1
      i += 2
    } else if (args.is(i, 'SETNAME') && i + 1 < args.count) {
      nameAt = ++i
      if (!isClientAttribute(args.text(nameAt))) throw INVALID_CLIENT_NAME
    } else throw helloOption(args.text(i))
  }
  if (userAt !== NO_ARGUMENT) authenticate(ctx, args, args.text(userAt), userAt + 1)
  if (server.needsAuthentication && (session.flags & ClientFlag.Authenticated) === 0) throw HELLO_NOAUTH
  if (nameAt !== NO_ARGUMENT) session.name = args.text(nameAt)
  session.respVersion = version
  reply.version = version
  replyFacts(ctx, reply)
}

function replyFacts(ctx: CommandContext, reply: ReplySink): void {
  reply.map(7)
  reply.bulkText('server')
  // Clients compare this one with "redis"; INFO's server_name tells the truth.
  reply.bulkText('redis')
  reply.bulkText('version')
  reply.bulkText(REDIS_VERSION)
  reply.bulkText('proto')
  reply.integer(ctx.session.respVersion)
  reply.bulkText('id')
  reply.integer(ctx.session.id)
  reply.bulkText('mode')
  reply.bulkText('standalone')
  reply.bulkText('role')
  reply.bulkText('master')
  reply.bulkText('modules')
  reply.array(0)
}

/** User and password of AUTH; a wrong option ends the search as it ends the command. */
function helloSecrets(args: Args): number[] {
  const secrets: number[] = []
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'AUTH') && i + 2 < args.count) {
      secrets.push(i + 1, i + 2)
      i += 2
    } else if (args.is(i, 'SETNAME') && i + 1 < args.count) i++
    else break
  }
  return secrets
}
