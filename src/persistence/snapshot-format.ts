/**
 * What a snapshot writes: the contract between the walk over the keyspace (snapshot/) and the formats of files, which
 * are RdbFormat (rdb/rdb-format.ts) and AofFormat (aof-format.ts).
 *
 *     header | database | value … | big: begin, step … step | database | value … | footer
 *
 * All functions append to a RecordBuffer. A format is used for one file at a time; `header` begins another one.
 * A value is written as it is at the call. A big one is written in steps between which commands go on changing it: its
 * BigRecord writes what it was when it began.
 */
import type { Database } from '../keyspace/database.ts'
import { HashDict } from '../structures/hash.ts'
import { type Collection, isObjectKind, Kind } from '../structures/kind.ts'
import { ListBig } from '../structures/list.ts'
import { PackedTimedHash } from '../structures/packed-timed-hash.ts'
import { SetDict } from '../structures/set.ts'
import { SortedSet } from '../structures/sorted-set.ts'
import { Stream } from '../structures/stream.ts'
import type { RecordBuffer } from './rdb/record-buffer.ts'

/** Elements (nodes of a list, blocks of a stream) from which on a collection is written in steps. */
const BIG_COUNT = 256
/** Bytes from which on a collection is written in steps. */
const BIG_BYTES = 64 * 1024
/** Bytes from which on a string is written in steps. It is not compressed then. */
const LONG_STRING_BYTES = 1024 * 1024

/** Where data stand in a history of replication. */
export interface StreamPosition {
  readonly id: string
  readonly offset: number
  /** The database that the stream goes on in, where it does not name one. */
  readonly db: number
}

/** What a file says about where it comes from. */
export interface SnapshotInfo {
  /** Time of the snapshot, in ms. */
  readonly nowMs: number
  /** Memory in use, in bytes. */
  readonly usedMemory: number
  /** Whether the file is the base of an append-only file. */
  readonly isAofBase: boolean
  /** Where the data stand in a history of replication; null or absent: in none. */
  readonly position?: StreamPosition | null
  /** Whether there are hashes that have fields with expire times. */
  readonly hasFieldTimes: boolean
  /** Source of each library of functions. */
  readonly functions: readonly string[]
}

export interface SnapshotFormat {
  /** Begins a file. @throws SnapshotError when the format cannot hold the functions. */
  header(out: RecordBuffer, info: SnapshotInfo): void
  /** The following values are of this database; may be called again for the same one. */
  database(out: RecordBuffer, index: number, keys: number, expires: number): void
  /** Writes a key with its value and expire time, whatever its size. @throws SnapshotError */
  value(out: RecordBuffer, db: Database, row: number): void
  /**
   * Begins a key that holds a collection object or a long string, with what stands before its elements or bytes. Nothing else may come behind that
   * before the record is whole. @throws SnapshotError
   */
  big(out: RecordBuffer, db: Database, row: number): BigRecord
  footer(out: RecordBuffer): void
}

/** A value that is written in steps. */
export interface BigRecord {
  /** Bytes in memory that are kept for the record alone. */
  readonly heldBytes: number
  /** Writes about `bytes` more. Returns true when the record is whole; it is closed then. */
  step(out: RecordBuffer, bytes: number): boolean
  /**
   * The value is about to change: keeps what is not written yet. Only long strings need to be told; collections tell
   * their walks themselves.
   */
  keepRest(): void
  /** Gives up. May be called again. */
  close(): void
}

/** What a format cannot write. It fails the snapshot and says what to do. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

/**
 * Whether a value is worth writing in steps: `big` makes objects for it, while a small collection is written faster
 * than a walk over it begins.
 */
export function isBigValue(db: Database, row: number): boolean {
  if (!isObjectKind(db.kind(row))) return isLongString(db, row)
  const object = db.object(row)
  if (object instanceof PackedTimedHash) return false
  // The sum of the bytes is only asked for where it takes a bounded time.
  return stepsOf(object) >= BIG_COUNT || object.arenaBytes() >= BIG_BYTES
}

/** Whether a value is a string that is worth copying in steps. */
export function isLongString(db: Database, row: number): boolean {
  return db.kind(row) === Kind.StringBytes && db.arena.length(db.ref(row)) >= LONG_STRING_BYTES
}

/** What a walk over a collection would count: elements, nodes or blocks. */
function stepsOf(object: Collection): number {
  if (object instanceof HashDict || object instanceof SetDict || object instanceof SortedSet) return object.size
  if (object instanceof ListBig) return object.nodes.count
  if (!(object instanceof Stream)) return 0
  let pending = 0
  for (const group of object.groups) pending += group.pending.size + group.consumers.length
  return object.blocks.size + pending
}
