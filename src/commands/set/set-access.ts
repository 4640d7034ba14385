/**
 * From a key to the view of its set, and back. Hot path.
 *
 * Handlers work on `ctx.set`. After a change they call `storeSet` (or `addSet` for a new key), because the block may
 * have moved and the encoding may have changed.
 */
import { type Database, KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import { SetDict } from '../../structures/set.ts'
import type { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'

/** Opens the set in argument `i` for reading; of size 0 when the key is missing. @throws WRONGTYPE */
export function readSet(ctx: CommandContext, args: Args, i: number): SetView {
  openSet(ctx.db, ctx.db.readKind(args, i, KindMask.Set), ctx.set)
  return ctx.set
}

/** Opens the set in argument `i` for writing. Returns its row, NO_ROW when the key is missing. @throws WRONGTYPE */
export function findSet(ctx: CommandContext, args: Args, i: number): number {
  const row = ctx.db.findKind(args, i, KindMask.Set)
  if (row !== NO_ROW) ctx.db.renewAccess(row)
  openSet(ctx.db, row, ctx.set)
  return row
}

/** Opens the set of a row; none for NO_ROW. */
export function openSet(db: Database, row: number, set: SetView): void {
  if (row === NO_ROW) {
    set.openNone()
    return
  }
  const kind = db.kind(row)
  if (kind !== Kind.SetDict) {
    set.openBlock(kind, db.ref(row))
    return
  }
  const object = db.object(row)
  if (object instanceof SetDict) set.openDict(object)
  else throw new TypeError(`Cannot open a value of kind ${kind} as a set`)
}

/** Writes back to its row what the view now holds. */
export function storeSet(db: Database, row: number, set: SetView): void {
  if (set.dict === null) {
    if (db.kind(row) === Kind.SetDict) db.keyspace.dropObject(db.value(row))
    db.setValue(row, set.kind, set.ref)
  } else if (db.kind(row) !== Kind.SetDict) db.setObject(row, Kind.SetDict, set.dict)
}

/** Adds the set of the view as a new key, that of argument `i`. */
export function addSet(ctx: CommandContext, args: Args, i: number, set: SetView): void {
  if (set.dict === null) ctx.db.add(args, i, set.kind, set.ref)
  else ctx.db.addObject(args, i, Kind.SetDict, set.dict)
}

/** Makes the set of the view the value of the key in argument `i`, whatever that held, without an expire time. */
export function replaceBySet(ctx: CommandContext, args: Args, i: number, set: SetView): void {
  const db = ctx.db
  const row = db.find(args, i)
  if (row === NO_ROW) {
    addSet(ctx, args, i, set)
    return
  }
  db.freeValue(row)
  if (set.dict === null) db.setValue(row, set.kind, set.ref)
  else db.setObject(row, Kind.SetDict, set.dict)
  db.clearExpire(row)
  db.touch(row)
}

/**
 * Stores a set from which members were removed, or deletes its key when none is left, and announces the event, then
 * `del`.
 */
export function finishRemoval(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  set: SetView,
  event: string,
): void {
  storeSet(ctx.db, row, set)
  const isEmpty = set.size() === 0
  if (isEmpty) ctx.db.remove(row)
  ctx.changed(args, i, Notify.Set, event)
  if (isEmpty) ctx.notify(args, i, Notify.Generic, 'del')
}
