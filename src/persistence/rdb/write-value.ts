/**
 * Values as RDB files and DUMP payloads hold them, for the versions 6 to 11. Hot path.
 *
 * Packed blocks are copied as listpacks where the version has them. Older versions get the plain types, which every
 * reader turns into what its thresholds want. No reader is asked to keep more in one block than Redis would: a hash that
 * only we still keep in a block (Kind.HashWide) is written as the hashtable that it reports to be.
 *
 *     kind                  11                10                9, 8              7, 6
 *     string                String            String            String            String
 *     list                  ListQuicklist2    ListQuicklist2    List              List
 *     hash packed | other   HashListpack|Hash HashListpack|Hash Hash              Hash
 *     set packed | other    SetListpack|Set   Set               Set               Set
 *     set of integers       SetIntset         SetIntset         SetIntset         SetIntset
 *     zset packed | big     ZsetListpack|2    ZsetListpack|2    Zset2             Zset
 *     stream                StreamListpacks3  StreamListpacks2  StreamListpacks   (none)
 *
 * A hash that has fields with expire times is of type HashMetadata in all of them: who writes one says so by the version
 * FIELD_TIMES_VERSION, as readers of older ones could not read it.
 */
import { formatDouble, formatDouble17 } from '../../bytes/double.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Arena } from '../../storage/arena.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import {
  PACKED_HEADER_BYTES,
  PackedCursor,
  packedBytes,
  packedCount,
  packedEntryBytes,
  writePackedEntry,
} from '../../storage/packed.ts'
import type { HashDict } from '../../structures/hash.ts'
import { type Collection, isObjectKind, Kind } from '../../structures/kind.ts'
import { ListBig } from '../../structures/list.ts'
import { PackedTimedHash, readTime } from '../../structures/packed-timed-hash.ts'
import { entryScore } from '../../structures/packed-zset.ts'
import type { SetDict } from '../../structures/set.ts'
import type { SortedSet } from '../../structures/sorted-set.ts'
import { Stream } from '../../structures/stream.ts'
import { deliver } from '../deliver.ts'
import { SnapshotError } from '../snapshot-format.ts'
import {
  firstFieldTime,
  RdbBigRecord,
  RdbElements,
  writeEntry,
  writeFieldTime,
  writeListpack,
  writeScore,
} from './elements.ts'
import { QuicklistContainer, RdbType } from './format.ts'
import { RecordBuffer } from './record-buffer.ts'
import { writeStreamTail } from './stream-record.ts'

/** Versions that can be written. */
export const RDB_WRITE_VERSION_MIN = 6
export const RDB_WRITE_VERSION_MAX = 11

/** The first versions that have the newer types. */
const ZSET2_VERSION = 8
const STREAM_VERSION = 9
const LISTPACK_VERSION = 10
const SET_LISTPACK_VERSION = 11

const KIND_COUNT = 16
const NO_TYPE = -1
/** A packed score that is no integer is a string of this length. */
const NO_INTEGER = Number.NaN
const SCRATCH_CAPACITY = 4096

export class RdbValueWriter {
  private readonly arena: Arena
  private readonly version: number
  private readonly types: Int32Array
  private readonly entry: PackedCursor
  private readonly scratch = new RecordBuffer(SCRATCH_CAPACITY)

  /** @param version from RDB_WRITE_VERSION_MIN to RDB_WRITE_VERSION_MAX. */
  constructor(arena: Arena, version: number) {
    this.arena = arena
    this.version = version
    this.types = typesOf(version)
    this.entry = new PackedCursor(arena)
  }

  /** The type of the value of a row. @throws SnapshotError when the version has none for it. */
  typeOf(db: Database, row: number): number {
    const kind = db.kind(row)
    if (kind === Kind.HashTimed || kind === Kind.HashDict) return hashTypeOf(db.object(row))
    const type = this.types[kind]!
    if (type === NO_TYPE) {
      throw new SnapshotError(
        `Cannot write streams in RDB version ${this.version}: set rdb-version to ${STREAM_VERSION} or more`,
      )
    }
    return type
  }

  /** Writes the value of a row, without its type. */
  write(out: RecordBuffer, db: Database, row: number): void {
    const kind = db.kind(row)
    if (kind === Kind.StringBytes) out.stringRef(this.arena, db.ref(row))
    else if (kind === Kind.StringInteger) out.stringInteger(db.value(row))
    else if (isObjectKind(kind)) this.writeObject(out, db.object(row), this.typeOf(db, row))
    else this.writeBlock(out, db.ref(row), kind, this.types[kind]!)
  }

  /** Begins the value of a row that is a collection object, without its type. */
  begin(out: RecordBuffer, db: Database, row: number): RdbBigRecord {
    const object = db.object(row)
    const type = this.typeOf(db, row)
    const tail = new RecordBuffer(0)
    if (object instanceof Stream) writeStreamTail(tail, object, type)
    if (type === RdbType.HashMetadata) out.int64(firstFieldTime(object))
    const record = new RdbBigRecord(this.arena, object, type, tail)
    out.rdbLength(type === RdbType.List ? (object as ListBig).length : record.count)
    return record
  }

  private writeBlock(out: RecordBuffer, ref: number, kind: number, type: number): void {
    const arena = this.arena
    if (kind === Kind.SetIntset) {
      out.string(arena.segment(ref), arena.offset(ref), arena.length(ref))
      return
    }
    if (kind === Kind.ZsetPacked) {
      if (type === RdbType.ZsetListpack) this.writeZsetListpack(out, ref)
      else this.writeMembersWithScores(out, ref, type)
      return
    }
    const isListpack = type === RdbType.HashListpack || type === RdbType.SetListpack
    if (isListpack || type === RdbType.ListQuicklist2) {
      if (!isListpack) {
        out.rdbLength(1)
        out.rdbLength(QuicklistContainer.Packed)
      }
      this.copyListpack(out, ref)
      return
    }
    const count = packedCount(arena, ref)
    out.rdbLength(type === RdbType.Hash ? count >>> 1 : count)
    const entry = this.entry
    entry.open(ref)
    while (entry.advance()) writeEntry(out, entry)
  }

  private copyListpack(out: RecordBuffer, ref: number): void {
    const arena = this.arena
    const start = arena.offset(ref) + PACKED_HEADER_BYTES
    writeListpack(out, arena.segment(ref), start, start + packedBytes(arena, ref), packedCount(arena, ref))
  }

  private writeMembersWithScores(out: RecordBuffer, ref: number, type: number): void {
    const entry = this.entry
    out.rdbLength(packedCount(this.arena, ref) >>> 1)
    entry.open(ref)
    while (entry.advance()) {
      writeEntry(out, entry)
      entry.advance()
      writeScore(out, entryScore(entry), type)
    }
  }

  /** With as many digits as the Redis has that writes this version. */
  private scoreText(score: number): string {
    return this.version < SET_LISTPACK_VERSION ? formatDouble17(score) : formatDouble(score)
  }

  /** As a listpack; a block has scores that are no integers as eight bytes, a listpack as text. */
  private writeZsetListpack(out: RecordBuffer, ref: number): void {
    if (this.hasIntegerScores(ref)) {
      this.copyListpack(out, ref)
      return
    }
    const entry = this.entry
    const scratch = this.scratch
    scratch.reset()
    entry.open(ref)
    while (entry.advance()) {
      const memberAt = entry.position
      entry.advance()
      const scoreAt = entry.position
      const start = this.arena.offset(ref)
      if (entry.isInteger) {
        scratch.raw(entry.buffer, start + memberAt, entry.next - memberAt)
        continue
      }
      scratch.raw(entry.buffer, start + memberAt, scoreAt - memberAt)
      appendScoreText(scratch, this.scoreText(entryScore(entry)))
    }
    writeListpack(out, scratch.bytes, 0, scratch.length, packedCount(this.arena, ref))
  }

  private hasIntegerScores(ref: number): boolean {
    const entry = this.entry
    entry.open(ref)
    while (entry.advance()) {
      entry.advance()
      if (!entry.isInteger) return false
    }
    return true
  }

  private writeTimedHash(out: RecordBuffer, hash: PackedTimedHash, type: number): void {
    const { entry } = this
    const field = new PackedCursor(this.arena)
    const value = new PackedCursor(this.arena)
    entry.open(hash.ref)
    field.open(hash.ref)
    value.open(hash.ref)
    while (entry.advance()) {
      field.moveTo(entry.position)
      entry.advance()
      value.moveTo(entry.position)
      const time = readTime(entry)
      if (type === RdbType.HashMetadata) writeFieldTime(out, time, hash.nextTime())
      writeEntry(out, field)
      writeEntry(out, value)
    }
  }

  private writeObject(out: RecordBuffer, object: Collection, type: number): void {
    const firstTime = firstFieldTime(object)
    if (type === RdbType.HashMetadata) out.int64(firstTime)
    out.rdbLength(countOf(object, type))
    if (object instanceof PackedTimedHash) {
      this.writeTimedHash(out, object, type)
      return
    }
    deliver(object, this.arena, new RdbElements(out, this.arena, type, firstTime))
    if (object instanceof Stream) writeStreamTail(out, object, type)
  }
}

/** The type of a hash that is an object. */
function hashTypeOf(object: Collection): number {
  return firstFieldTime(object) === NO_EXPIRE ? RdbType.Hash : RdbType.HashMetadata
}

/** What a value begins with: its elements; a stream its blocks, and a list its nodes where the type has them. */
function countOf(object: Collection, type: number): number {
  if (object instanceof ListBig) return type === RdbType.List ? object.length : object.nodes.count
  if (object instanceof Stream) return object.blocks.size
  return (object as HashDict | PackedTimedHash | SetDict | SortedSet).size
}

/** Appends a score as an entry of a listpack. */
function appendScoreText(out: RecordBuffer, score: string): void {
  const text = Buffer.from(score, 'latin1')
  const bytes = packedEntryBytes(NO_INTEGER, text.length)
  out.reserve(bytes)
  writePackedEntry(out.bytes, out.length, NO_INTEGER, text, 0, text.length)
  out.length += bytes
}

/** The type of each kind in a version. */
function typesOf(version: number): Int32Array {
  const types = new Int32Array(KIND_COUNT).fill(NO_TYPE)
  const hasListpacks = version >= LISTPACK_VERSION
  const zset = version >= ZSET2_VERSION ? RdbType.Zset2 : RdbType.Zset
  types[Kind.StringBytes] = RdbType.String
  types[Kind.StringInteger] = RdbType.String
  types[Kind.ListPacked] = hasListpacks ? RdbType.ListQuicklist2 : RdbType.List
  types[Kind.ListBig] = hasListpacks ? RdbType.ListQuicklist2 : RdbType.List
  types[Kind.HashPacked] = hasListpacks ? RdbType.HashListpack : RdbType.Hash
  types[Kind.HashWide] = RdbType.Hash
  types[Kind.HashDict] = RdbType.Hash
  types[Kind.SetIntset] = RdbType.SetIntset
  types[Kind.SetPacked] = version >= SET_LISTPACK_VERSION ? RdbType.SetListpack : RdbType.Set
  types[Kind.SetDict] = RdbType.Set
  types[Kind.ZsetPacked] = hasListpacks ? RdbType.ZsetListpack : zset
  types[Kind.ZsetBig] = zset
  if (version >= SET_LISTPACK_VERSION) types[Kind.Stream] = RdbType.StreamListpacks3
  else if (hasListpacks) types[Kind.Stream] = RdbType.StreamListpacks2
  else if (version >= STREAM_VERSION) types[Kind.Stream] = RdbType.StreamListpacks
  return types
}
