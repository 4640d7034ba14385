/**
 * CLIENT LIST [TYPE type | ID id ...], CLIENT INFO
 *
 * Reply: one line per client, ordered by ID. Errors: an unknown type, an invalid ID, syntax.
 * Source: Valkey src/networking.c `clientCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { INVALID_CLIENT_ID, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { clientInfo, clientType, clientTypeNamed } from './client-info.ts'

export const clientList = defineCommand({
  name: 'list',
  summary: 'Lists the connections.',
  group: 'connection',
  since: '2.4.0',
  complexity: 'O(N), N being the number of connections.',
  arity: -2,
  flags: CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale,
  categories: AclCategory.Connection,
  tips: ['nondeterministic_output'],
  handler: listHandler,
})

export const clientInfoCommand = defineCommand({
  name: 'info',
  summary: 'Returns what is known about this connection.',
  group: 'connection',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale,
  categories: AclCategory.Connection,
  tips: ['nondeterministic_output'],
  handler: (ctx, _args, reply) => reply.verbatim(`${clientInfo(ctx.session, ctx.now)}\n`, 'txt'),
})

function listHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let text = ''
  if (args.count === 4 && args.is(2, 'TYPE')) {
    const type = clientTypeNamed(args.text(3))
    for (const session of ctx.server.sessions()) {
      if (clientType(session) === type) text += `${clientInfo(session, ctx.now)}\n`
    }
  } else if (args.count > 3 && args.is(2, 'ID')) {
    for (let i = 3; i < args.count; i++) {
      const session = ctx.server.session(args.integer(i, INVALID_CLIENT_ID))
      if (session !== null) text += `${clientInfo(session, ctx.now)}\n`
    }
  } else if (args.count === 2) {
    for (const session of ctx.server.sessions()) text += `${clientInfo(session, ctx.now)}\n`
  } else throw SYNTAX_ERROR
  reply.verbatim(text, 'txt')
}
