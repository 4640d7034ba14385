/**
 * REPLICAOF host port | NO ONE
 * SLAVEOF host port | NO ONE
 *
 * This server is a primary and cannot be anything else yet: NO ONE is answered with OK, all else with an error.
 *
 * Reply: OK. Errors: a connection of a replica; the port; that this server cannot be a replica.
 * Source: Valkey 7.2 src/replication.c `replicaofCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { INVALID_PRIMARY_PORT, REPLICAOF_BY_REPLICA, REPLICAOF_UNSUPPORTED } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
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
  if (args.is(1, 'NO') && args.is(2, 'ONE')) {
    reply.ok()
    return
  }
  if ((ctx.session.flags & ClientFlag.Replica) !== 0) throw REPLICAOF_BY_REPLICA
  args.integerIn(2, 0, PORT_MAX, INVALID_PRIMARY_PORT)
  throw REPLICAOF_UNSUPPORTED
}
