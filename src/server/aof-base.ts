/** Writes base files of the append-only log: as snapshots, of which there is one at a time. Cold. */
import { timestampLine } from '../persistence/aof-annotations.ts'
import { AofFormat } from '../persistence/aof-format.ts'
import type { BaseFormat, BaseWriter } from '../persistence/append-only.ts'
import type { RecordBuffer } from '../persistence/rdb/record-buffer.ts'
import type { SnapshotRequest } from '../persistence/snapshot/snapshot.ts'
import type { SnapshotInfo } from '../persistence/snapshot-format.ts'
import type { Server } from './server.ts'
import { rdbSnapshot } from './snapshot-request.ts'

/** Begins with the time at which the file was written. */
class StampedAofFormat extends AofFormat {
  override header(out: RecordBuffer, info: SnapshotInfo): void {
    out.rawText(timestampLine(Math.floor(info.nowMs / 1000)).toString('latin1'))
    super.header(out, info)
  }
}

export class AofBaseWriter implements BaseWriter {
  private readonly server: Server

  constructor(server: Server) {
    this.server = server
  }

  get isActive(): boolean {
    return this.server.snapshots.isActive
  }

  begin(path: string, format: BaseFormat, done: (error: Error | null) => void): void {
    this.server.stats.snapshots++
    this.server.snapshots.begin({ ...this.request(path, format), done })
  }

  abort(): void {
    this.server.snapshots.abort()
  }

  writeNow(path: string, format: BaseFormat): void {
    this.server.snapshots.saveNow(this.request(path, format))
  }

  private request(path: string, format: BaseFormat): Omit<SnapshotRequest, 'done'> {
    const { config, keyspace } = this.server
    const dump = rdbSnapshot(this.server, path)
    const base = {
      ...dump,
      info: { ...dump.info, isAofBase: true },
      syncsPieces: config.bool('aof-rewrite-incremental-fsync'),
    }
    if (format === 'rdb') return base
    const Commands = config.bool('aof-timestamp-enabled') ? StampedAofFormat : AofFormat
    return { ...base, format: new Commands(keyspace.arena), compresses: false, checksums: null }
  }
}
