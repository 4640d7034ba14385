/**
 * PING [message], ECHO message, QUIT
 *
 * Reply: PING: PONG, or the message; in RESP2 a client with subscriptions gets an array in the form of a message, so that
 * it can tell it from others. ECHO: the message. QUIT: OK, then the connection is closed.
 * Source: Valkey src/server.c `pingCommand`, src/networking.c `quitCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { wrongArity } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'

export const ping = defineCommand({
  name: 'ping',
  summary: 'Answers, to show that the server is alive.',
  group: 'connection',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: -1,
  flags: CommandFlag.Fast,
  categories: AclCategory.Connection,
  tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
  handler: pingHandler,
})

export const echo = defineCommand({
  name: 'echo',
  summary: 'Returns the given string.',
  group: 'connection',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast,
  categories: AclCategory.Connection,
  handler: (_ctx, args, reply) => reply.bulk(args.buffer, args.start(1), args.length(1)),
})

export const quit = defineCommand({
  name: 'quit',
  summary: 'Closes the connection.',
  group: 'connection',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: -1,
  flags:
    CommandFlag.AllowBusy |
    CommandFlag.NoScript |
    CommandFlag.Loading |
    CommandFlag.Stale |
    CommandFlag.Fast |
    CommandFlag.NoAuth,
  categories: AclCategory.Connection,
  deprecated: { since: '7.2.0', replacedBy: 'just closing the connection' },
  handler: quitHandler,
})

function pingHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 2) throw wrongArity('ping')
  if (ctx.session.isSubscribed && reply.version === 2) {
    reply.array(2)
    reply.bulkText('pong')
    if (args.count === 1) reply.bulkText('')
    else reply.bulk(args.buffer, args.start(1), args.length(1))
  } else if (args.count === 1) reply.status('PONG')
  else reply.bulk(args.buffer, args.start(1), args.length(1))
}

function quitHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  reply.ok()
  ctx.session.flags |= ClientFlag.CloseAfterReply
}
