/**
 * From a key to the view of its sorted set, and back. Hot path.
 *
 * Handlers work on `ctx.zset`. After a change they call `storeZset` (or `addZset` for a new key), because the block may
 * have moved and the encoding may have changed.
 */
import { type Database, KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import { SortedSet } from '../../structures/sorted-set.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'

/** Opens the sorted set in argument `i` for reading; of size 0 when the key is missing. @throws WRONGTYPE */
export function readZset(ctx: CommandContext, args: Args, i: number): ZsetView {
  openZset(ctx.db, ctx.db.readKind(args, i, KindMask.Zset), ctx.zset)
  return ctx.zset
}

/** Opens the sorted set in argument `i` for writing. Returns its row, NO_ROW when it is missing. @throws WRONGTYPE */
export function findZset(ctx: CommandContext, args: Args, i: number): number {
  const db = ctx.db
  const row = db.findKind(args, i, KindMask.Zset)
  if (row !== NO_ROW) db.renewAccess(row)
  openZset(db, row, ctx.zset)
  return row
}

/** Opens the sorted set of a row; none for NO_ROW. */
export function openZset(db: Database, row: number, zset: ZsetView): void {
  if (row === NO_ROW) {
    zset.openNone()
    return
  }
  if (db.kind(row) === Kind.ZsetPacked) {
    zset.openPacked(db.ref(row))
    return
  }
  const object = db.object(row)
  if (object instanceof SortedSet) zset.openBig(object)
  else throw new TypeError(`Cannot open a value of kind ${db.kind(row)} as a sorted set`)
}

/** Writes back to its row what the view now holds. */
export function storeZset(db: Database, row: number, zset: ZsetView): void {
  if (zset.big === null) db.setRef(row, zset.ref)
  else if (db.kind(row) !== Kind.ZsetBig) db.setObject(row, Kind.ZsetBig, zset.big)
}

/** Adds the sorted set of the view as a new key, that of argument `i`. */
export function addZset(ctx: CommandContext, args: Args, i: number, zset: ZsetView): void {
  if (zset.big === null) ctx.db.add(args, i, Kind.ZsetPacked, zset.ref)
  else ctx.db.addObject(args, i, Kind.ZsetBig, zset.big)
}

/** Makes the sorted set of the view the value of the key in argument `i`, whatever that held, without an expire time. */
export function replaceByZset(ctx: CommandContext, args: Args, i: number, zset: ZsetView): void {
  const db = ctx.db
  const row = db.find(args, i)
  if (row === NO_ROW) {
    addZset(ctx, args, i, zset)
    return
  }
  db.freeValue(row)
  if (zset.big === null) db.setValue(row, Kind.ZsetPacked, zset.ref)
  else db.setObject(row, Kind.ZsetBig, zset.big)
  db.clearExpire(row)
  db.touch(row)
}

/**
 * Makes a result the value of the destination in argument `i` and replies its size; an empty result is freed and deletes
 * the destination.
 */
export function storeResult(
  ctx: CommandContext,
  args: Args,
  result: ZsetView,
  event: string,
  reply: ReplySink,
  i = 1,
): void {
  const size = result.size()
  if (size > 0) {
    replaceByZset(ctx, args, i, result)
    ctx.changed(args, i, Notify.Zset, event)
  } else {
    result.free()
    const row = ctx.db.find(args, i)
    if (row !== NO_ROW) {
      ctx.db.remove(row)
      ctx.changed(args, i, Notify.Generic, 'del')
    }
  }
  reply.integer(size)
}

/**
 * Stores the sorted set of `ctx.zset`, from which `count` members were removed, or deletes its key when none is left,
 * and announces the event, then `del`.
 */
export function finishRemoval(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  count: number,
  event: string,
): void {
  storeZset(ctx.db, row, ctx.zset)
  const isEmpty = ctx.zset.size() === 0
  if (isEmpty) ctx.db.remove(row)
  ctx.changed(args, i, Notify.Zset, event)
  if (count > 1) ctx.markDirty(count - 1)
  if (isEmpty) ctx.notify(args, i, Notify.Generic, 'del')
}

/** Removes `count` members from `rank` on of the sorted set of `ctx.zset`, and announces it. */
export function removeRanks(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  rank: number,
  count: number,
  event: string,
): void {
  const zset = ctx.zset
  if (count < zset.size()) {
    zset.removeRange(rank, count)
    storeZset(ctx.db, row, zset)
    ctx.changed(args, i, Notify.Zset, event)
  } else {
    ctx.db.remove(row)
    ctx.changed(args, i, Notify.Zset, event)
    ctx.notify(args, i, Notify.Generic, 'del')
  }
  if (count > 1) ctx.markDirty(count - 1)
}
