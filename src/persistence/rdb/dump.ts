/**
 * Payloads of DUMP: a value as in an RDB file, then the version (two bytes) and the checksum, both little endian. What a
 * stream has that its type does not hold stands between, as an AUX record: Redis does not look at what follows a value.
 * Source: Valkey 7.2 src/cluster.c createDumpPayload.
 */
import { CRC64_BYTES, Crc64 } from '../../bytes/crc64.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Arena } from '../../storage/arena.ts'
import { Kind } from '../../structures/kind.ts'
import { Stream } from '../../structures/stream.ts'
import { RdbFinisher } from './finish.ts'
import { FIELD_TIMES_VERSION, RdbType } from './format.ts'
import { RecordBuffer } from './record-buffer.ts'
import { writeStreamExtras } from './stream-extras.ts'
import { RdbValueWriter } from './write-value.ts'

const FIRST_BYTES = 4096
/** Longer buffers are given back after use. */
const KEEP_BYTES_MAX = 1024 * 1024
const VERSION_BYTES = 2

/** Makes payloads, one at a time. */
export class DumpWriter {
  readonly arena: Arena
  readonly version: number
  private readonly values: RdbValueWriter
  private records = new RecordBuffer(FIRST_BYTES)
  private readonly compressing = new RdbFinisher({ compresses: true, checksums: false })
  private readonly plain = new RdbFinisher({ compresses: false, checksums: false })
  private readonly crc = new Crc64()
  /** The payload is `bytes[0, length)` until the next one is made or `release` is called. */
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  length = 0

  /** @param version from RDB_WRITE_VERSION_MIN to RDB_WRITE_VERSION_MAX. */
  constructor(arena: Arena, version: number) {
    this.arena = arena
    this.version = version
    this.values = new RdbValueWriter(arena, version)
  }

  /**
   * Makes the payload of the value of a row.
   *
   * @throws SnapshotError when the version has no type for the value.
   */
  write(db: Database, row: number, compression: DumpCompression): void {
    const records = this.records
    records.reset()
    const type = this.values.typeOf(db, row)
    const version = type === RdbType.HashMetadata ? FIELD_TIMES_VERSION : this.version
    records.byte(type)
    this.values.write(records, db, row)
    if (db.kind(row) === Kind.Stream) {
      const stream = db.object(row)
      if (stream instanceof Stream) writeStreamExtras(records, stream)
    }
    const needed = records.length + VERSION_BYTES + CRC64_BYTES
    if (this.bytes.length < needed) this.bytes = Buffer.allocUnsafeSlow(needed)
    const finisher = compression === DumpCompression.Lzf ? this.compressing : this.plain
    finisher.finish(records.bytes, 0, records.length, records.marks, records.markCount, this.bytes)
    let at = finisher.outLength
    this.bytes[at++] = version
    this.bytes[at++] = version >>> 8
    this.crc.reset()
    this.crc.update(this.bytes, 0, at)
    this.crc.writeTo(this.bytes, at)
    this.length = at + CRC64_BYTES
  }

  /** Gives back what a large payload took. */
  release(): void {
    if (this.bytes.length > KEEP_BYTES_MAX) this.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
    if (this.records.capacity > KEEP_BYTES_MAX) this.records = new RecordBuffer(FIRST_BYTES)
    this.length = 0
  }
}

/** Whether strings of a payload are compressed (`rdbcompression`). */
export const DumpCompression = { None: 0, Lzf: 1 } as const
export type DumpCompression = (typeof DumpCompression)[keyof typeof DumpCompression]
