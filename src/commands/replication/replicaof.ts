/**
 * REPLICAOF host port | NO ONE
 * SLAVEOF host port | NO ONE
 *
 * Makes this server a replica: it takes over the data and all writes of the primary. NO ONE makes it a primary with what
 * it has.
 *
 * Reply: OK, also when it is so already. Errors: the connection is that of a replica; the port.
 * Source: Valkey 7.2 src/replication.c `replicaofCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { INVALID_PRIMARY_PORT, REPLICAOF_BY_REPLICA } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { clientInfo } from '../connection/client-info.ts'
import type { CommandContext } from '../context.ts'
import { type CommandDefinition, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'

const PORT_MAX = 65_535

const DEFINITION: Omit<CommandDefinition, 'name' | 'since'> = {
  summary: 'Makes the server a replica of another, or a primary.',
  group: 'server',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.NoAsyncLoading | CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Stale,
  categories: 0,
  handler: replicaofHandler,
}

export const replicaof = defineCommand({ ...DEFINITION, name: 'replicaof', since: '5.0.0' })

export const slaveof = defineCommand({
  ...DEFINITION,
  name: 'slaveof',
  since: '1.0.0',
  deprecated: { since: '5.0.0', replacedBy: '`REPLICAOF`' },
})

function replicaofHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { following } = ctx.server
  if (args.is(1, 'NO') && args.is(2, 'ONE')) {
    if (following.unfollow())
      ctx.server.log.notice(`MASTER MODE enabled (user request from '${clientInfo(ctx.session, ctx.now)}')`)
    reply.ok()
    return
  }
  if ((ctx.session.flags & ClientFlag.Replica) !== 0) throw REPLICAOF_BY_REPLICA
  const port = args.integerIn(2, 0, PORT_MAX, INVALID_PRIMARY_PORT)
  const host = args.text(1)
  if (following.follow({ host, port })) {
    ctx.server.log.notice(`REPLICAOF ${host}:${port} enabled (user request from '${clientInfo(ctx.session, ctx.now)}')`)
    reply.ok()
  } else reply.status('OK Already connected to specified master')
}
