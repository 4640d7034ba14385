/**
 * WAIT numreplicas timeout
 *
 * Waits until so many replicas have executed the writes of this connection; timeout in ms, 0: for ever. Within MULTI and
 * scripts it answers at once.
 *
 * Reply: integer, how many replicas have, also when the time is over. Errors: this server is a replica; those of the numbers.
 * Source: Valkey 7.2 src/replication.c `waitCommand`, `processClientsWaitingReplicas`.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import type { Args } from '../../resp/args.ts'
import { WAIT_ON_REPLICA } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { deadlineInMs } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, defineCommand } from '../define.ts'

export const wait = defineCommand({
  name: 'wait',
  summary: 'Waits until replicas have executed the writes of the connection.',
  group: 'generic',
  since: '3.0.0',
  complexity: 'O(N), N being the number of replicas.',
  arity: 3,
  flags: 0,
  categories: AclCategory.Connection,
  tips: ['request_policy:all_shards', 'response_policy:agg_min'],
  handler: waitHandler,
})

function waitHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { replication, following } = ctx.server
  if (following.primary !== null) throw WAIT_ON_REPLICA
  const wanted = args.integer(1)
  const deadlineMs = deadlineInMs(args, 2, ctx.now)
  const count = replication.countWith(ctx.session.lastEffect)
  if (count >= wanted || !ctx.mayBlock) {
    reply.integer(count)
    return
  }
  replication.requestAcks()
  ctx.server.waiting.block(ctx.session, args, 0, 0, BlockedOn.Sync, deadlineMs, false)
}
