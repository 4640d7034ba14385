/** The commands of replication. */
import type { CommandDefinition } from '../define.ts'
import { replconf } from './replconf.ts'
import { replicaof, slaveof } from './replicaof.ts'
import { role } from './role.ts'
import { psync, sync } from './sync.ts'
import { wait } from './wait.ts'

export const replicationCommands: readonly CommandDefinition[] = [psync, replconf, replicaof, role, slaveof, sync, wait]
