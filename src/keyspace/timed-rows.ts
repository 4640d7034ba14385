/**
 * Which keys of a database hold hashes with expire times of fields: the rows of `Database.fieldExpires`, a heap by the
 * earliest time of each hash. The place in it is kept with the hash, so a key without such times has no room for one.
 */
import type { Arena } from '../storage/arena.ts'
import type { Dict } from '../storage/dict.ts'
import type { ExpiringRows } from '../storage/expires.ts'
import { HashDict } from '../structures/hash.ts'
import type { TimedHash } from '../structures/hash-times.ts'
import { PackedTimedHash } from '../structures/packed-timed-hash.ts'
import type { Keyspace } from './keyspace.ts'

export class TimedRows implements ExpiringRows {
  readonly arena: Arena
  private readonly keyspace: Keyspace
  private readonly keys: Dict
  private readonly isHash: (row: number) => boolean

  /** @param isHash whether the value of a row is an object that may be a hash */
  constructor(keyspace: Keyspace, keys: Dict, isHash: (row: number) => boolean) {
    this.arena = keyspace.arena
    this.keyspace = keyspace
    this.keys = keys
    this.isHash = isHash
  }

  aux(row: number): number {
    return this.hash(row)?.heapAux ?? 0
  }

  setAux(row: number, aux: number): void {
    this.hash(row)!.heapAux = aux
  }

  /** What keeps the expire times of the hash at a row; null when it has none, or is something else. */
  hash(row: number): TimedHash | null {
    if (!this.isHash(row)) return null
    // A value that was freed has left no object.
    const object = this.keyspace.objectOrNull(this.keys.value(row))
    if (object instanceof PackedTimedHash) return object
    return object instanceof HashDict ? object.times : null
  }
}
