/**
 * CLIENT LIST [TYPE type | ID id ... | filter ... (see client-filter.ts)], CLIENT INFO
 *
 * Reply: one line per client, ordered by ID, or as the IDs are when they are all that is given. Errors: an unknown type, an
 * invalid ID, syntax.
 * Source: Valkey src/networking.c `clientCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { INVALID_CLIENT_ID } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { Caller, ClientFilter } from './client-filter.ts'
import { clientInfo } from './client-info.ts'

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
  if (args.count > 3 && args.is(2, 'ID') && areIds(args, 3)) {
    for (let i = 3; i < args.count; i++) {
      const session = ctx.server.session(args.integer(i, INVALID_CLIENT_ID))
      if (session !== null) text += `${clientInfo(session, ctx.now)}\n`
    }
  } else {
    const filter = new ClientFilter(ctx, args, 2, Caller.Included)
    for (const session of ctx.server.sessions()) {
      if (filter.matches(session)) text += `${clientInfo(session, ctx.now)}\n`
    }
  }
  reply.verbatim(text, 'txt')
}

/** Whether all that follows are IDs, the first one being meant as such whatever it is. */
function areIds(args: Args, first: number): boolean {
  for (let i = first + 1; i < args.count; i++) if (Number.isNaN(args.safeInteger(i))) return false
  return true
}
