/**
 * ROLE
 *
 * Reply: array of `master`, the replication offset, and for each replica that is online its address, its port and the
 * offset that it has acknowledged, as strings. On a replica: `slave`, address and port of the primary, the state of the
 * connection (none, connect, connecting, handshake, sync, connected), and the offset, -1 when there is no connection.
 * Source: Valkey 7.2 src/replication.c `roleCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { LinkState } from './following-control.ts'
import { replicaAddress } from './replica-address.ts'

/** Offset of a replica without its primary. */
const NO_OFFSET = -1

export const role = defineCommand({
  name: 'role',
  summary: 'Returns the role of the server in replication.',
  group: 'server',
  since: '2.8.12',
  complexity: 'O(N), N being the number of replicas.',
  arity: 1,
  flags: CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast,
  categories: AclCategory.Admin | AclCategory.Dangerous,
  handler: roleHandler,
})

function roleHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const { replication, following } = ctx.server
  const { primary, state } = following
  if (primary !== null) {
    reply.array(5)
    reply.bulkText('slave')
    reply.bulkText(primary.host)
    reply.integer(primary.port)
    reply.bulkText(state)
    reply.integer(state === LinkState.Connected ? replication.offset : NO_OFFSET)
    return
  }
  const online = replication.attached.filter(({ replica }) => replica.isOnline)
  reply.array(3)
  reply.bulkText('master')
  reply.integer(replication.offset)
  reply.array(online.length)
  for (const attached of online) {
    reply.array(3)
    reply.bulkText(replicaAddress(attached))
    reply.bulkText(String(attached.replica.listeningPort))
    reply.bulkText(String(attached.replica.ackOffset))
  }
}
