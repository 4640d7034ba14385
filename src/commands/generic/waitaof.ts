/**
 * WAITAOF numlocal numreplicas timeout
 *
 * Waits until the writes of this connection are synced to the append-only file here (numlocal 1) and on so many replicas;
 * timeout in ms, 0: for ever. Within MULTI it answers at once.
 *
 * Reply: array of two integers, on how many local files (0 or 1) and replicas they are synced, also when the time is over.
 * Errors: those of the numbers, in the order of the arguments; numlocal while the append-only file is off.
 * Source: Valkey 7.2 src/replication.c `waitaofCommand`.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import { AofState } from '../../persistence/append-only.ts'
import type { Args } from '../../resp/args.ts'
import {
  NUMLOCAL_OUT_OF_RANGE,
  OUT_OF_RANGE_POSITIVE,
  WAITAOF_ON_REPLICA,
  WAITAOF_WITHOUT_AOF,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { deadlineInMs } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

export const waitaof = defineCommand({
  name: 'waitaof',
  summary: 'Waits until the writes of the connection are synced to the append-only file.',
  group: 'generic',
  since: '7.2.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Connection,
  tips: ['request_policy:all_shards', 'response_policy:agg_min'],
  handler: waitaofHandler,
})

function waitaofHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const wantedLocal = args.integer(1)
  if (wantedLocal < 0 || wantedLocal > 1) throw NUMLOCAL_OUT_OF_RANGE
  const wantedReplicas = args.integer(2, OUT_OF_RANGE_POSITIVE)
  if (wantedReplicas < 0) throw OUT_OF_RANGE_POSITIVE
  const deadlineMs = deadlineInMs(args, 3, ctx.now)
  const { appendOnly, replication, following } = ctx.server
  if (following.primary !== null) throw WAITAOF_ON_REPLICA
  if (wantedLocal > 0 && appendOnly.state === AofState.Off) throw WAITAOF_WITHOUT_AOF
  // What is only for replicas has nothing to sync here: when it is handed out, it counts as synced.
  if (ctx.mayBlock) ctx.journal.drain()
  const local = appendOnly.syncedEffects >= ctx.session.lastEffect ? 1 : 0
  const replicas = replication.countWithSynced(ctx.session.lastEffect)
  if ((local >= wantedLocal && replicas >= wantedReplicas) || !ctx.mayBlock) {
    reply.array(2)
    reply.integer(local)
    reply.integer(replicas)
    return
  }
  replication.requestAcks()
  ctx.server.waiting.block(ctx.session, args, 0, 0, BlockedOn.Sync, deadlineMs, false)
}
