/** What memory is used for: the figures of INFO memory, MEMORY STATS and MEMORY DOCTOR. */
import type { CommandContext } from '../context.ts'
import { existingScriptRunner } from '../scripting/script-runner.ts'

/** Tables of one database, in bytes. */
export interface DatabaseOverhead {
  readonly index: number
  readonly keys: number
  readonly expires: number
}

export interface MemoryOverview {
  readonly used: number
  readonly peak: number
  readonly startup: number
  readonly rss: number
  /** Taken from the system for data and buffers. */
  readonly reserved: number
  readonly backlog: number
  /** Buffers of replicas beyond the backlog, and their connections. */
  readonly replicas: number
  readonly clients: number
  readonly aofBuffer: number
  readonly scripts: number
  readonly functions: number
  readonly databases: readonly DatabaseOverhead[]
  readonly keyCount: number
  /** All but the data: tables, buffers, and what was there at the start. */
  readonly overhead: number
  readonly dataset: number
  /** Used, but not counted toward `maxmemory`. */
  readonly uncounted: number
}

/** Counts all of it anew. O(number of databases). */
export function memoryOverview(ctx: CommandContext): MemoryOverview {
  const { server, keyspace } = ctx
  const { memory, replication, clientMemory, appendOnly } = server
  memory.refresh(performance.now())
  const runner = existingScriptRunner(ctx)
  const databases = keyspace.databases
    .filter((db) => db.size > 0)
    .map((db) => ({ index: db.index, keys: db.keys.overheadBytes(), expires: db.expires.overheadBytes() }))
  const tables = databases.reduce((sum, db) => sum + db.keys + db.expires, 0)
  const backlog = replication.backlogBytes
  const uncounted = server.uncountedBytes
  const aofBuffer = appendOnly.bufferBytes
  const clients = clientMemory.totalBytes
  const overhead = Math.min(memory.usedBytes, memory.startupBytes + tables + clients + backlog + uncounted)
  return {
    used: memory.usedBytes,
    peak: memory.peakBytes,
    startup: memory.startupBytes,
    rss: memory.rssBytes,
    reserved: memory.reservedBytes,
    backlog,
    replicas: uncounted - aofBuffer,
    clients,
    aofBuffer,
    scripts: runner?.engine.memoryBytes ?? 0,
    functions: runner?.functions.memoryBytes ?? 0,
    databases,
    keyCount: keyspace.databases.reduce((sum, db) => sum + db.size, 0),
    overhead,
    dataset: memory.usedBytes - overhead,
    uncounted,
  }
}
