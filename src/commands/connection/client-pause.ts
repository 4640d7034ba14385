/**
 * CLIENT PAUSE timeout [WRITE | ALL], CLIENT UNPAUSE
 *
 * Commands of all clients, or only those that write or publish, wait until the time is over.
 *
 * Reply: OK. Errors: mode, timeout; the mode is looked at first.
 * Source: Valkey src/networking.c `clientCommand`, `pauseActions`.
 */
import type { Args } from '../../resp/args.ts'
import { PAUSE_MODE, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { deadlineInMs } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

const FLAGS = CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale

export const clientPause = defineCommand({
  name: 'pause',
  summary: 'Makes commands wait for some time.',
  group: 'connection',
  since: '3.0.0',
  complexity: 'O(1)',
  arity: -3,
  flags: FLAGS,
  categories: AclCategory.Connection,
  handler: pauseHandler,
})

export const clientUnpause = defineCommand({
  name: 'unpause',
  summary: 'Lets commands that wait because of CLIENT PAUSE go on.',
  group: 'connection',
  since: '6.2.0',
  complexity: 'O(N), N being the number of connections.',
  arity: 2,
  flags: FLAGS,
  categories: AclCategory.Connection,
  handler: unpauseHandler,
})

function pauseHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 4) throw subcommandSyntax(args.text(1), args.text(0))
  const writesOnly = args.count === 4 && args.is(3, 'WRITE')
  if (args.count === 4 && !writesOnly && !args.is(3, 'ALL')) throw PAUSE_MODE
  ctx.server.pause(deadlineInMs(args, 2, ctx.now), writesOnly)
  reply.ok()
}

function unpauseHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  ctx.server.unpause()
  reply.ok()
}
