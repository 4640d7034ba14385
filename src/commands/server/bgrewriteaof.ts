/**
 * BGREWRITEAOF
 *
 * Begins to rewrite the append-only file in the background: a new base file of the data as they are now, and a new
 * incremental file. While a snapshot is written, or within MULTI, it is scheduled for when that is over.
 *
 * Reply: a status. Errors: a rewrite is under way; it cannot be begun (the log says why).
 * Source: Valkey 7.2 src/aof.c `bgrewriteaofCommand`.
 */
import { RewriteOutcome } from '../../persistence/append-only.ts'
import type { Args } from '../../resp/args.ts'
import { REWRITE_FAILED, REWRITE_IN_PROGRESS } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'

export const bgrewriteaof = defineCommand({
  name: 'bgrewriteaof',
  summary: 'Rewrites the append-only file in the background.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys.',
  arity: 1,
  flags: CommandFlag.NoAsyncLoading | CommandFlag.Admin | CommandFlag.NoScript,
  categories: 0,
  handler: bgrewriteaofHandler,
})

function bgrewriteaofHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const outcome = ctx.server.appendOnly.requestRewrite(!ctx.mayBlock)
  if (outcome === RewriteOutcome.AlreadyRunning) throw REWRITE_IN_PROGRESS
  if (outcome === RewriteOutcome.Failed) throw REWRITE_FAILED
  const isScheduled = outcome === RewriteOutcome.Scheduled
  reply.status(`Background append only file rewriting ${isScheduled ? 'scheduled' : 'started'}`)
}
