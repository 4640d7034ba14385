/** Writes base files of the append-only log: as snapshots, of which there is one at a time. Cold. */
import { timestampLine } from '../persistence/aof-annotations.ts'
import { AofFormat } from '../persistence/aof-format.ts'
import type { BaseFormat, BaseWriter } from '../persistence/append-only.ts'
import { RdbFormat } from '../persistence/rdb/rdb-format.ts'
import type { RecordBuffer } from '../persistence/rdb/record-buffer.ts'
import type { SnapshotRequest } from '../persistence/snapshot/snapshot.ts'
import type { SnapshotFormat, SnapshotInfo } from '../persistence/snapshot-format.ts'
import type { Server } from './server.ts'
import { SnapshotPurpose, snapshotInfo } from './snapshot-info.ts'

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
    const { config } = this.server
    return {
      path,
      format: this.format(format),
      info: snapshotInfo(this.server, SnapshotPurpose.AofBase),
      compresses: format === 'rdb' && config.bool('rdbcompression'),
      checksums: format === 'rdb' ? config.bool('rdbchecksum') : null,
      syncsPieces: config.bool('aof-rewrite-incremental-fsync'),
      keyDelayUs: config.number('rdb-key-save-delay'),
    }
  }

  private format(format: BaseFormat): SnapshotFormat {
    const { config, keyspace } = this.server
    if (format === 'rdb') return new RdbFormat(keyspace.arena, config.number('rdb-version'))
    return config.bool('aof-timestamp-enabled') ? new StampedAofFormat(keyspace.arena) : new AofFormat(keyspace.arena)
  }
}
