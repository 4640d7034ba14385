/**
 * RdbFormat: snapshots as RDB files, in the versions 6 to 11; in 12 while fields of hashes have expire times.
 *
 *     magic and version | AUX … | libraries | SELECTDB, RESIZEDB | records | … | EOF        the checksum: RdbFinisher
 *
 * Versions below 11 have no place for the active times of consumers, versions below 10 have none for libraries, below
 * 9 none for streams. Active times that differ from the seen times are kept in version 9 and 10 as an AUX field of our
 * own before the stream's record: AUX_ACTIVE_TIMES, whose value has 8 bytes (int64, little endian; -1: never) for each
 * consumer, in the order in which groups and consumers come in the record. Another one, AUX_STREAM_EXTRAS, holds what no
 * version has a place for. Redis passes over fields that it does not
 * know. What cannot be kept otherwise fails the snapshot: nothing is left out silently.
 * Source: Valkey 7.2 src/rdb.c rdbSaveRio.
 */
import { REDIS_VERSION } from '../../config/version.ts'
import { AccessKind } from '../../keyspace/access.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Arena } from '../../storage/arena.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import { Kind } from '../../structures/kind.ts'
import { Stream } from '../../structures/stream.ts'
import { LongStringRecord } from '../long-string.ts'
import { type BigRecord, SnapshotError, type SnapshotFormat, type SnapshotInfo } from '../snapshot-format.ts'
import { AUX_ACTIVE_TIMES, FIELD_TIMES_VERSION, RDB_MAGIC, RdbOpcode, RdbType } from './format.ts'
import { RecordBuffer } from './record-buffer.ts'
import { writeStreamExtras } from './stream-extras.ts'
import { hasActiveTimes, writeActiveTimes } from './stream-record.ts'
import { RdbValueWriter } from './write-value.ts'

const RESIZE_VERSION = 7
const FUNCTIONS_VERSION = 10
const ACCESS_VERSION = 9
const ARCHITECTURE_BITS = 64

export class RdbFormat implements SnapshotFormat {
  private readonly arena: Arena
  private readonly version: number
  private readonly values: RdbValueWriter
  /** Databases whose size is written. */
  private readonly sized = new Set<number>()

  /** @param version from RDB_WRITE_VERSION_MIN to RDB_WRITE_VERSION_MAX; what has no place in it decides otherwise. */
  constructor(arena: Arena, version: number) {
    this.arena = arena
    this.version = version
    this.values = new RdbValueWriter(arena, version)
  }

  header(out: RecordBuffer, info: SnapshotInfo): void {
    this.sized.clear()
    const version = info.hasFieldTimes ? FIELD_TIMES_VERSION : this.version
    out.rawText(RDB_MAGIC + String(version).padStart(4, '0'))
    writeAux(out, 'redis-ver', REDIS_VERSION)
    writeAux(out, 'redis-bits', String(ARCHITECTURE_BITS))
    writeAux(out, 'ctime', String(Math.floor(info.nowMs / 1000)))
    writeAux(out, 'used-mem', String(info.usedMemory))
    const position = info.position ?? null
    if (position !== null) {
      writeAux(out, 'repl-stream-db', String(position.db))
      writeAux(out, 'repl-id', position.id)
      writeAux(out, 'repl-offset', String(position.offset))
    }
    writeAux(out, 'aof-base', info.isAofBase ? '1' : '0')
    if (info.functions.length > 0 && this.version < FUNCTIONS_VERSION) {
      throw new SnapshotError(
        `Cannot write functions in RDB version ${this.version}: set rdb-version to ${FUNCTIONS_VERSION} or more`,
      )
    }
    for (const source of info.functions) {
      out.byte(RdbOpcode.Function2)
      out.stringText(source)
    }
  }

  database(out: RecordBuffer, index: number, keys: number, expires: number): void {
    out.byte(RdbOpcode.SelectDb)
    out.rdbLength(index)
    if (this.version < RESIZE_VERSION || this.sized.has(index)) return
    this.sized.add(index)
    out.byte(RdbOpcode.ResizeDb)
    out.rdbLength(keys)
    out.rdbLength(expires)
  }

  value(out: RecordBuffer, db: Database, row: number): void {
    this.writeHead(out, db, row)
    this.values.write(out, db, row)
  }

  big(out: RecordBuffer, db: Database, row: number): BigRecord {
    this.writeHead(out, db, row)
    if (db.kind(row) !== Kind.StringBytes) return this.values.begin(out, db, row)
    const ref = db.ref(row)
    out.beginLongString(this.arena.length(ref))
    return new LongStringRecord(this.arena, ref, new RecordBuffer(1))
  }

  footer(out: RecordBuffer): void {
    out.byte(RdbOpcode.Eof)
  }

  /** Writes what stands before the value. */
  private writeHead(out: RecordBuffer, db: Database, row: number): void {
    const type = this.values.typeOf(db, row)
    if (db.kind(row) === Kind.Stream) writeStreamAux(out, db, row, type)
    const expireMs = db.expireTime(row)
    if (expireMs !== NO_EXPIRE) {
      out.byte(RdbOpcode.ExpireTimeMs)
      out.int64(expireMs)
    }
    if (db.keyspace.access.isKept && this.version >= ACCESS_VERSION) writeAccess(out, db, row)
    out.byte(type)
    out.stringRef(this.arena, db.keys.keyRef(row))
  }
}

/** How the key was used, in the terms of the eviction policy in force. */
function writeAccess(out: RecordBuffer, db: Database, row: number): void {
  const { access, now } = db.keyspace
  if (access.kind === AccessKind.Frequency) {
    out.byte(RdbOpcode.Frequency)
    out.byte(access.frequency(db.access(row), now))
  } else {
    out.byte(RdbOpcode.Idle)
    out.rdbLength(db.idleSeconds(row))
  }
}

/** What a stream has for which its type has no place. */
function writeStreamAux(out: RecordBuffer, db: Database, row: number, type: number): void {
  const stream = db.object(row)
  if (!(stream instanceof Stream)) return
  writeStreamExtras(out, stream)
  if (type === RdbType.StreamListpacks3 || !hasActiveTimes(stream)) return
  out.byte(RdbOpcode.Aux)
  out.stringText(AUX_ACTIVE_TIMES)
  writeActiveTimes(out, stream)
}

function writeAux(out: RecordBuffer, name: string, value: string): void {
  out.byte(RdbOpcode.Aux)
  out.stringText(name)
  out.stringText(value)
}
