/**
 * From a key to the view of its hash, and back. Hot path.
 *
 * Handlers work on `ctx.hash`. After a change they call `storeHash` (or `addHash` for a new key), because the block may
 * have moved and the encoding may have changed.
 */
import { KindMask } from '../../keyspace/database.ts'
import { expireNamed, mayRemoveMet } from '../../keyspace/field-expiry.ts'
import { openHash, storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { HashView } from '../../structures/hash-view.ts'
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

/**
 * As `readHash`, for a command that names fields, in arguments `first` … `end - 1`: those whose time is over are removed.
 */
export function readFields(ctx: CommandContext, args: Args, i: number, first: number, end: number): HashView {
  const hash = readHash(ctx, args, i)
  if (mayRemoveMet(ctx.db, hash)) expireNamed(ctx.db, ctx.db.find(args, i), hash, args, first, end, 1)
  return hash
}

/** As `findHash`, for a command that names fields, in arguments `first`, `first + step` … before `end`; see `readFields`. */
export function findFields(
  ctx: CommandContext,
  args: Args,
  i: number,
  first: number,
  end: number,
  step: number,
): number {
  return removeNamedExpired(ctx, args, findHash(ctx, args, i), first, end, step)
}

/** Removes those of the fields in arguments `first`, `first + step` … of the open hash at `row` whose time is over. Returns its row, NO_ROW when nothing is left. */
export function removeNamedExpired(
  ctx: CommandContext,
  args: Args,
  row: number,
  first: number,
  end: number,
  step: number,
): number {
  const { db, hash } = ctx
  return hash.hidesFields && expireNamed(db, row, hash, args, first, end, step) ? NO_ROW : row
}

/**
 * Writes back a hash of which fields were removed, and announces it with `event`; with its last field the key goes.
 */
export function storeAfterRemoval(ctx: CommandContext, args: Args, i: number, row: number, event: string): void {
  const { db, hash } = ctx
  storeHash(db, row, hash)
  const isEmpty = hash.size() === 0
  if (isEmpty) db.remove(row)
  ctx.changed(args, i, Notify.Hash, event)
  if (isEmpty) ctx.notify(args, i, Notify.Generic, 'del')
}

/** Adds the hash of the view as a new key, that of argument `i`. */
export function addHash(ctx: CommandContext, args: Args, i: number, hash: HashView): void {
  const object = hash.object()
  if (object === null) ctx.db.add(args, i, hash.kind, hash.ref)
  else ctx.db.addObject(args, i, hash.kind, object)
}
