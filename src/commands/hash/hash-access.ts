/**
 * From a key to the view of its hash, and back. Hot path.
 *
 * Handlers work on `ctx.hash`. After a change they call `storeHash` (or `addHash` for a new key), because the block may
 * have moved and the encoding may have changed.
 */
import { type Database, KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { HashDict } from '../../structures/hash.ts'
import type { HashView } from '../../structures/hash-view.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'

/** Opens the hash in argument `i` for reading; of size 0 when the key is missing. @throws WRONGTYPE */
export function readHash(ctx: CommandContext, args: Args, i: number): HashView {
  const row = ctx.db.readKind(args, i, KindMask.Hash)
  if (row === NO_ROW) ctx.hash.openNone()
  else openHash(ctx.db, row, ctx.hash)
  return ctx.hash
}

/** Opens the hash in argument `i` for writing. Returns its row, NO_ROW when the key is missing. @throws WRONGTYPE */
export function findHash(ctx: CommandContext, args: Args, i: number): number {
  const row = ctx.db.findKind(args, i, KindMask.Hash)
  if (row === NO_ROW) ctx.hash.openNone()
  else {
    ctx.db.renewAccess(row)
    openHash(ctx.db, row, ctx.hash)
  }
  return row
}

/** Opens the hash of a row. */
export function openHash(db: Database, row: number, hash: HashView): void {
  const kind = db.kind(row)
  if (kind !== Kind.HashDict) {
    hash.openPacked(db.ref(row), kind)
    return
  }
  const object = db.object(row)
  if (object instanceof HashDict) hash.openDict(object)
  else throw new TypeError(`Cannot open a value of kind ${db.kind(row)} as a hash`)
}

/** Writes back to its row what the view now holds. */
export function storeHash(db: Database, row: number, hash: HashView): void {
  if (hash.dict === null) db.setValue(row, hash.kind, hash.ref)
  else if (db.kind(row) !== Kind.HashDict) db.setObject(row, Kind.HashDict, hash.dict)
}

/** Adds the hash of the view as a new key, that of argument `i`. */
export function addHash(ctx: CommandContext, args: Args, i: number, hash: HashView): void {
  if (hash.dict === null) ctx.db.add(args, i, hash.kind, hash.ref)
  else ctx.db.addObject(args, i, Kind.HashDict, hash.dict)
}
