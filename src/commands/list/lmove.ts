/**
 * LMOVE source destination LEFT|RIGHT LEFT|RIGHT
 * RPOPLPUSH source destination
 *
 * Move an element from one end of a list to an end of another, or of the same one.
 *
 * Reply: bulk string, the element; null when the source is missing. Errors: syntax; WRONGTYPE of either key.
 * Source: Valkey 7.2 src/t_list.c `lmoveGenericCommand`, `lmoveHandlePush`. Hot path.
 */
import { writeInteger } from '../../bytes/integer.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { PackedCursor } from '../../storage/packed.ts'
import { ListEnd } from '../../structures/list.ts'
import type { ListView } from '../../structures/list-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, type KeySpec, keyRange } from '../define.ts'
import { addList, dropElements, findList, listEnd, storeList } from './list-access.ts'

/** Holds an integer as text, and an element while it is moved within its list. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** Keys of all commands that move an element. */
export const MOVE_KEYS: readonly KeySpec[] = [
  keyRange(1, 0, 1, 'RW', 'access', 'delete'),
  keyRange(2, 0, 1, 'RW', 'insert'),
]

export const lmove = defineCommand({
  name: 'lmove',
  summary: 'Moves an element from an end of a list to an end of another one and returns it.',
  group: 'list',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: 5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.List,
  keys: MOVE_KEYS,
  handler: lmoveHandler,
})

export const rpoplpush = defineCommand({
  name: 'rpoplpush',
  summary: 'Moves the last element of a list to the head of another one and returns it.',
  group: 'list',
  since: '1.2.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.List,
  keys: MOVE_KEYS,
  deprecated: { since: '6.2.0', replacedBy: '`LMOVE` with the `RIGHT` and `LEFT` arguments' },
  handler: (ctx, args, reply) => moveIfPresent(ctx, args, ListEnd.Tail, ListEnd.Head, reply),
})

function lmoveHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const from = listEnd(args, 3)
  moveIfPresent(ctx, args, from, listEnd(args, 4), reply)
}

function moveIfPresent(ctx: CommandContext, args: Args, from: ListEnd, to: ListEnd, reply: ReplySink): void {
  const row = findList(ctx, args, 1, ctx.list)
  if (row === NO_ROW) reply.nil()
  else moveElement(ctx, args, row, from, to, reply)
}

/**
 * Moves an element from the list of `ctx.list`, at `row`, which is that of argument 1, to that of argument 2, and
 * replies it.
 *
 * @throws WRONGTYPE of the destination, before anything changes
 */
export function moveElement(
  ctx: CommandContext,
  args: Args,
  row: number,
  from: ListEnd,
  to: ListEnd,
  reply: ReplySink,
): void {
  if (args.same(1, 2)) {
    rotate(ctx, args, row, from, to, reply)
    return
  }
  const target = ctx.targetList
  const targetRow = findList(ctx, args, 2, target)
  const entry = ctx.list.peek(from)
  reply.bulkEntry(entry)
  if (targetRow === NO_ROW) target.create()
  // Redis counts no bytes for an element that a quicklist holds as an integer (listTypeTryConversionAppend).
  target.expect(1, entry.isInteger && ctx.list.big !== null ? 0 : entry.textLength())
  pushEntry(target, to, entry)
  if (targetRow === NO_ROW) addList(ctx, args, 2, target)
  else storeList(ctx.db, targetRow, target)
  announcePush(ctx, args, to)
  // The new key may have moved rows.
  dropElements(ctx, args, 1, ctx.db.find(args, 1), from, 1)
}

/** Moves an element within its list: it is taken out first, as its bytes may move when room is made for it. */
function rotate(ctx: CommandContext, args: Args, row: number, from: ListEnd, to: ListEnd, reply: ReplySink): void {
  const list = ctx.list
  const entry = list.peek(from)
  reply.bulkEntry(entry)
  const length = entry.textLength()
  const bytes = length <= scratch.length ? scratch : Buffer.allocUnsafeSlow(length)
  entry.copyText(bytes, 0)
  const countedBytes = entry.isInteger && list.big !== null ? 0 : length
  list.drop(from, 1)
  list.expect(1, countedBytes)
  list.push(to, bytes, 0, length)
  list.shrink()
  storeList(ctx.db, row, list)
  announcePush(ctx, args, to)
  ctx.changed(args, 1, Notify.List, from === ListEnd.Head ? 'lpop' : 'rpop')
}

function pushEntry(target: ListView, to: ListEnd, entry: PackedCursor): void {
  if (entry.isInteger) target.push(to, scratch, 0, writeInteger(scratch, 0, entry.integer))
  else target.push(to, entry.buffer, entry.start, entry.length)
}

/** A move counts as one change, that of the source. */
function announcePush(ctx: CommandContext, args: Args, to: ListEnd): void {
  ctx.changed(args, 2, Notify.List, to === ListEnd.Head ? 'lpush' : 'rpush')
  ctx.markDirty(-1)
}
