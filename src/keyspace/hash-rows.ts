/** From the row of a key to the view of its hash, and back. Hot path. */
import { HashDict } from '../structures/hash.ts'
import type { HashView } from '../structures/hash-view.ts'
import { Kind } from '../structures/kind.ts'
import { PackedTimedHash } from '../structures/packed-timed-hash.ts'
import type { Database } from './database.ts'

/** Opens the hash of a row. Fields whose time is over are hidden, as a key is. */
export function openHash(db: Database, row: number, hash: HashView): void {
  const kind = db.kind(row)
  if (kind !== Kind.HashDict && kind !== Kind.HashTimed) {
    hash.openPacked(db.ref(row), kind)
    return
  }
  const object = db.object(row)
  if (object instanceof HashDict) {
    hash.openDict(object)
    if (object.times === null) return
  } else if (object instanceof PackedTimedHash) hash.openTimed(object)
  else throw new TypeError(`Cannot open a value of kind ${kind} as a hash`)
  if (!db.keyspace.findsExpired) hash.hideExpired(db.keyspace.now)
}

/** Writes back to its row what the view now holds. */
export function storeHash(db: Database, row: number, hash: HashView): void {
  const object = hash.object()
  if (object === null) {
    db.setValue(row, hash.kind, hash.ref)
    return
  }
  if (db.kind(row) !== hash.kind) db.becomeObject(row, hash.kind, object)
  if (hash.dict === null || hash.dict.times !== null) db.fieldTimesChanged(row)
}
