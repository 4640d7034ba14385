/**
 * TIME, LASTSAVE
 *
 * TIME tells the time at which the running turn (in a transaction or a script: the whole of it) began, in milliseconds'
 * resolution. LASTSAVE tells when a snapshot was last written; before the first one, as in Redis, when the server started.
 *
 * Reply: TIME: seconds and microseconds as two bulk strings; LASTSAVE: integer, seconds.
 * Source: Valkey src/server.c `timeCommand`, src/db.c `lastsaveCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'

const FLAGS = CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast

export const time = defineCommand({
  name: 'time',
  summary: 'Returns the time of the server.',
  group: 'server',
  since: '2.6.0',
  complexity: 'O(1)',
  arity: 1,
  flags: FLAGS,
  categories: 0,
  tips: ['nondeterministic_output'],
  handler: timeHandler,
})

function timeHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const seconds = Math.floor(ctx.now / 1000)
  reply.array(2)
  reply.bulkInteger(seconds)
  reply.bulkInteger((ctx.now - seconds * 1000) * 1000)
}
