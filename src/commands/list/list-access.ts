/**
 * From a key to the view of its list, and back. Hot path.
 *
 * Handlers work on `ctx.list` (and `ctx.targetList`). After a change they call `storeList` (or `addList` for a new
 * key), because the block may have moved and the encoding may have changed.
 */
import { type Database, KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import { ListBig, ListEnd } from '../../structures/list.ts'
import type { ListView } from '../../structures/list-view.ts'
import type { CommandContext } from '../context.ts'

/** Opens the list in argument `i` for reading. Returns its row, NO_ROW when the key is missing. @throws WRONGTYPE */
export function readList(ctx: CommandContext, args: Args, i: number): number {
  const row = ctx.db.readKind(args, i, KindMask.List)
  if (row !== NO_ROW) openList(ctx.db, row, ctx.list)
  return row
}

/** Opens the list in argument `i` for writing. Returns its row, NO_ROW when the key is missing. @throws WRONGTYPE */
export function findList(ctx: CommandContext, args: Args, i: number, list: ListView): number {
  const db = ctx.db
  const row = db.findKind(args, i, KindMask.List)
  list.useSetting(ctx.keyspace.limits.listMaxListpackSize)
  if (row === NO_ROW) {
    list.openNone()
  } else {
    db.renewAccess(row)
    openList(db, row, list)
  }
  return row
}

/** Opens the list of a row. */
export function openList(db: Database, row: number, list: ListView): void {
  if (db.kind(row) === Kind.ListPacked) {
    list.openPacked(db.ref(row))
    return
  }
  const object = db.object(row)
  if (object instanceof ListBig) list.openBig(object)
  else throw new TypeError(`Cannot open a value of kind ${db.kind(row)} as a list`)
}

/** Writes back to its row what the view now holds, which must not be empty. */
export function storeList(db: Database, row: number, list: ListView): void {
  const isBig = db.kind(row) === Kind.ListBig
  if (list.big !== null) {
    if (!isBig) db.setObject(row, Kind.ListBig, list.big)
  } else if (isBig) {
    db.keyspace.dropObject(db.value(row))
    db.setValue(row, Kind.ListPacked, list.ref)
  } else {
    db.setRef(row, list.ref)
  }
}

/** Adds the list of the view as a new key, that of argument `i`. */
export function addList(ctx: CommandContext, args: Args, i: number, list: ListView): void {
  if (list.big === null) ctx.db.add(args, i, Kind.ListPacked, list.ref)
  else ctx.db.addObject(args, i, Kind.ListBig, list.big)
}

/**
 * Removes `count` elements from one end of the list of `ctx.list`, which is that of argument `i`, and announces it. The
 * key goes with its last element.
 */
export function dropElements(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  end: ListEnd,
  count: number,
): void {
  const list = ctx.list
  const isLast = count >= list.length()
  if (isLast) {
    ctx.db.remove(row)
  } else {
    list.drop(end, count)
    list.shrink()
    storeList(ctx.db, row, list)
  }
  ctx.changed(args, i, Notify.List, end === ListEnd.Head ? 'lpop' : 'rpop')
  if (count > 1) ctx.markDirty(count - 1)
  if (isLast) ctx.notify(args, i, Notify.Generic, 'del')
}

/** LEFT or RIGHT in argument `i`. @throws SYNTAX_ERROR */
export function listEnd(args: Args, i: number): ListEnd {
  if (args.is(i, 'LEFT')) return ListEnd.Head
  if (args.is(i, 'RIGHT')) return ListEnd.Tail
  throw SYNTAX_ERROR
}
