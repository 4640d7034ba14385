/**
 * SYNC
 * PSYNC replicationid offset
 *
 * Makes the connection that of a replica. PSYNC goes on where the replica stopped if this server has the same history
 * and what came since; else, and for SYNC, a snapshot is sent as a payload of known length, then the stream of effects.
 *
 * Reply: none by the command. `+CONTINUE id` and the missing bytes, or `+FULLRESYNC id offset` when the snapshot begins
 * (not after SYNC), newlines while it is written, `$length` and the payload.
 * Errors: this server is a replica without its primary; replies that are not sent yet; a filter without `capa eof`; an offset that is no integer.
 * Source: Valkey 7.2 src/replication.c `syncCommand`, `masterTryPartialResynchronization`.
 */
import { ReplicaCapability } from '../../replication/replica.ts'
import type { Args } from '../../resp/args.ts'
import {
  FILTER_NEEDS_EOF,
  NOMASTERLINK,
  PSYNC_FAILOVER_TO_PRIMARY,
  SYNC_WITH_PENDING_OUTPUT,
} from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'
import { LinkState } from './following-control.ts'

const FLAGS = CommandFlag.NoAsyncLoading | CommandFlag.Admin | CommandFlag.NoMulti | CommandFlag.NoScript

export const sync = defineCommand({
  name: 'sync',
  summary: 'Sends a snapshot, then the effects of all writes. For replicas.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys.',
  arity: 1,
  flags: FLAGS,
  categories: 0,
  handler: syncHandler,
})

export const psync = defineCommand({
  name: 'psync',
  summary: 'Sends the effects of all writes since an offset, or from a snapshot on. For replicas.',
  group: 'server',
  since: '2.8.0',
  complexity: 'O(N), N being the number of keys; O(1) when the offset is in the backlog.',
  arity: -3,
  flags: FLAGS,
  categories: 0,
  handler: psyncHandler,
})

function syncHandler(ctx: CommandContext): void {
  if (!mayBecomeReplica(ctx)) return
  refuseWithoutPrimary(ctx)
  refuseMixedOutput(ctx)
  ctx.server.replication.syncFully(ctx.session)
}

function psyncHandler(ctx: CommandContext, args: Args): void {
  if (!mayBecomeReplica(ctx)) return
  if (args.count > 3 && args.is(3, 'FAILOVER')) throw PSYNC_FAILOVER_TO_PRIMARY
  refuseWithoutPrimary(ctx)
  refuseMixedOutput(ctx)
  ctx.server.replication.sync(ctx.session, args.text(1), args.integer(2))
}

/** Without an answer: a replica would take one for a part of the stream. */
function mayBecomeReplica(ctx: CommandContext): boolean {
  return (ctx.session.flags & (ClientFlag.Replica | ClientFlag.Monitor)) === 0
}

/** A replica has something to give only while it is in step itself. */
function refuseWithoutPrimary(ctx: CommandContext): void {
  const { primary, state } = ctx.server.following
  if (primary !== null && state !== LinkState.Connected) throw NOMASTERLINK
}

function refuseMixedOutput(ctx: CommandContext): void {
  const { replication } = ctx.server
  if (replication.hasOutput(ctx.session)) throw SYNC_WITH_PENDING_OUTPUT
  const { content, capabilities } = replication.replicaOf(ctx.session)
  const isFiltered = !content.hasData || !content.hasFunctions
  if (isFiltered && (capabilities & ReplicaCapability.Eof) === 0) throw FILTER_NEEDS_EOF
}
