/**
 * MONITOR
 *
 * Shows this connection every command that is executed from now on, administrative ones excepted.
 *
 * Reply: OK, then a line per command; nothing at all on a connection that is a monitor already.
 * Source: Valkey src/server.c `monitorCommand`, src/replication.c `replicationFeedMonitors`.
 */
import type { Args } from '../../resp/args.ts'
import { MONITOR_DENIED } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'

export const monitor = defineCommand({
  name: 'monitor',
  summary: 'Shows the commands that the server executes.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(1); O(N) for each command that is shown, N being the number of its arguments.',
  arity: 1,
  flags: CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale,
  categories: 0,
  handler: monitorHandler,
})

function monitorHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  if (!ctx.mayBlock) throw MONITOR_DENIED
  if ((ctx.session.flags & ClientFlag.Monitor) !== 0) return
  ctx.server.startMonitor(ctx.session)
  reply.ok()
}
