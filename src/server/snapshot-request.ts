/** What snapshots of this server are written with: settings, and what their files say of where they come from. Cold. */
import { existingScriptRunner } from '../commands/scripting/script-runner.ts'
import { RdbFormat } from '../persistence/rdb/rdb-format.ts'
import type { SnapshotRequest } from '../persistence/snapshot/snapshot.ts'
import type { Server } from './server.ts'

/** A snapshot of all data as an RDB file that is a dump; whoever wants something else of it replaces that. */
export function rdbSnapshot(
  { config, keyspace, memory, ctx, replication }: Server,
  path: string,
): Omit<SnapshotRequest, 'done'> {
  return {
    path,
    format: new RdbFormat(keyspace.arena, config.number('rdb-version')),
    info: {
      nowMs: keyspace.now,
      usedMemory: memory.usedBytes,
      isAofBase: false,
      hasFieldTimes: keyspace.databases.some((db) => db.fieldExpires.size > 0),
      position: replication.position,
      functions: existingScriptRunner(ctx)?.functions.sources() ?? [],
    },
    compresses: config.bool('rdbcompression'),
    checksums: config.bool('rdbchecksum'),
    syncsPieces: config.bool('rdb-save-incremental-fsync'),
    keyDelayUs: config.number('rdb-key-save-delay'),
  }
}
