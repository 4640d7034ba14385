/**
 * ROLE
 *
 * Reply: array of `master`, the replication offset, and for each replica that is online its address, its port and the
 * offset that it has acknowledged, as strings.
 * Source: Valkey 7.2 src/replication.c `roleCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { replicaAddress } from './replica-address.ts'

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
  const { replication } = ctx.server
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
