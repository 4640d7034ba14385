/**
 * LMOVEM source destination LEFT|RIGHT LEFT|RIGHT [<COUNT | EXACTLY> count <OBO | BULK>]
 * BLMOVEM source destination LEFT|RIGHT LEFT|RIGHT timeout [<COUNT | EXACTLY> count <OBO | BULK>]
 *
 * Move elements from one end of a list to an end of another, or of the same one: up to `count` (one, when nothing is said), or
 * none if there are not EXACTLY so many. OBO moves them one by one, as so many LMOVE; BULK moves them as they lie. BLMOVEM
 * waits until there are enough, and is recorded as LMOVEM.
 *
 * Reply: array of the elements, as they follow each other in the destination. When there are too few: empty with COUNT, null
 * with EXACTLY, null when the time of BLMOVEM is over. Errors: syntax; the timeout; WRONGTYPE of the source, and of the
 * destination once there are elements.
 * Source: redis.io/commands/lmovem (8.10).
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { OUT_OF_RANGE_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { ListView } from '../../structures/list-view.ts'
import { deadlineInSeconds } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { addList, dropElements, findList, listEnd, storeList } from './list-access.ts'
import { MOVE_KEYS } from './lmove.ts'

export const lmovem = defineCommand({
  name: 'lmovem',
  summary: 'Moves elements from an end of a list to an end of another one and returns them.',
  group: 'list',
  since: '8.10.0',
  complexity: 'O(N) where N is the number of elements moved.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.List,
  keys: MOVE_KEYS,
  handler: lmovemHandler,
})

export const blmovem = defineCommand({
  name: 'blmovem',
  summary: 'Moves elements from an end of a list to an end of another one, waiting for them if needed.',
  group: 'list',
  since: '8.10.0',
  complexity: 'O(N) where N is the number of elements moved.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Blocking,
  categories: AclCategory.List,
  keys: MOVE_KEYS,
  handler: blmovemHandler,
})

/** The running call. */
const move = { from: ListEnd.Head as ListEnd, to: ListEnd.Head as ListEnd, count: 1, isExact: false, isBulk: false }

/** The elements that are being moved, in the order in which they are taken: their bytes, and where each begins. */
let bytes: Buffer = Buffer.allocUnsafeSlow(4096)
let starts = new Int32Array(64)
const KEPT_BYTES = 1024 * 1024

function lmovemHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseEnds(args)
  parseOptions(args, 5)
  const row = findEnough(ctx, args)
  if (row !== NO_ROW) moveElements(ctx, args, row, reply)
  else if (move.isExact) reply.nilArray()
  else reply.array(0)
}

function blmovemHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseEnds(args)
  const deadlineMs = deadlineInSeconds(args, 5, ctx.now)
  parseOptions(args, 6)
  const row = findEnough(ctx, args)
  if (row === NO_ROW) {
    if (ctx.mayBlock) ctx.server.waiting.block(ctx.session, args, 1, 1, BlockedOn.List, deadlineMs, false)
    else reply.nilArray()
    return
  }
  moveElements(ctx, args, row, reply)
  const { journal } = ctx
  journal.begin(ctx.db.index, args.count - 1)
  journal.text('LMOVEM')
  for (let i = 1; i < args.count; i++) if (i !== 5) journal.arg(args, i)
}

function parseEnds(args: Args): void {
  move.from = listEnd(args, 3)
  move.to = listEnd(args, 4)
}

/** Reads how many and in which order from argument `i` on. @throws SYNTAX_ERROR, OUT_OF_RANGE_POSITIVE */
function parseOptions(args: Args, i: number): void {
  move.count = 1
  move.isExact = false
  move.isBulk = false
  if (i === args.count) return
  if (args.count !== i + 3) throw SYNTAX_ERROR
  move.isExact = args.is(i, 'EXACTLY')
  if (!move.isExact && !args.is(i, 'COUNT')) throw SYNTAX_ERROR
  move.count = args.integerIn(i + 1, 1, Number.POSITIVE_INFINITY, OUT_OF_RANGE_POSITIVE)
  move.isBulk = args.is(i + 2, 'BULK')
  if (!move.isBulk && !args.is(i + 2, 'OBO')) throw SYNTAX_ERROR
}

/** The row of a source with enough elements, NO_ROW when there is none. @throws WRONGTYPE */
function findEnough(ctx: CommandContext, args: Args): number {
  const row = findList(ctx, args, 1, ctx.list)
  return row !== NO_ROW && move.isExact && ctx.list.length() < move.count ? NO_ROW : row
}

/** Moves elements of `ctx.list`, which is that of argument 1 at `row`. @throws WRONGTYPE of the destination */
function moveElements(ctx: CommandContext, args: Args, row: number, reply: ReplySink): void {
  const source = ctx.list
  const count = Math.min(move.count, source.length())
  if (args.same(1, 2)) {
    // One by one, each would go back to where it was.
    if (move.from === move.to) move.isBulk = true
    takeElements(source, count)
    source.drop(move.from, count)
    putElements(source, count)
    source.shrink()
    storeList(ctx.db, row, source)
    announcePush(ctx, args)
    ctx.changed(args, 1, Notify.List, move.from === ListEnd.Head ? 'lpop' : 'rpop')
    if (count > 1) ctx.markDirty(count - 1)
  } else {
    const target = ctx.targetList
    const targetRow = findList(ctx, args, 2, target)
    takeElements(source, count)
    if (targetRow === NO_ROW) target.create()
    putElements(target, count)
    if (targetRow === NO_ROW) addList(ctx, args, 2, target)
    else storeList(ctx.db, targetRow, target)
    announcePush(ctx, args)
    // The new key may have moved rows.
    dropElements(ctx, args, 1, ctx.db.find(args, 1), move.from, count)
  }
  replyElements(reply, count)
  if (bytes.length > KEPT_BYTES) bytes = Buffer.allocUnsafeSlow(KEPT_BYTES)
}

/** Copies elements from the end that they are taken from. */
function takeElements(list: ListView, count: number): void {
  if (starts.length <= count) starts = new Int32Array(count * 2)
  const cursor = list.rewind()
  if (move.from === ListEnd.Tail) cursor.toEnd()
  starts[0] = 0
  for (let n = 0; n < count; n++) {
    if (move.from === ListEnd.Head) cursor.advance()
    else cursor.retreat()
    const start = starts[n]!
    const end = start + cursor.entry.textLength()
    if (end > bytes.length) growBytes(start, end)
    cursor.entry.copyText(bytes, start)
    starts[n + 1] = end
  }
}

function growBytes(used: number, needed: number): void {
  const grown = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, needed))
  bytes.copy(grown, 0, 0, used)
  bytes = grown
}

/** Pushes the elements so that they lie as `replyElements` shows them. */
function putElements(list: ListView, count: number): void {
  list.expect(count, starts[count]!)
  for (let n = 0; n < count; n++) {
    const shown = move.to === ListEnd.Tail ? n : count - 1 - n
    const element = elementShown(shown, count)
    list.push(move.to, bytes, starts[element]!, starts[element + 1]! - starts[element]!)
  }
}

function replyElements(reply: ReplySink, count: number): void {
  reply.array(count)
  for (let n = 0; n < count; n++) {
    const element = elementShown(n, count)
    reply.bulk(bytes, starts[element]!, starts[element + 1]! - starts[element]!)
  }
}

/** Which of the elements, in the order in which they were taken, is number `n` in the destination. */
function elementShown(n: number, count: number): number {
  const isReversed = move.isBulk ? move.from === ListEnd.Tail : move.to === ListEnd.Head
  return isReversed ? count - 1 - n : n
}

/** A move counts as changes of the source. */
function announcePush(ctx: CommandContext, args: Args): void {
  ctx.changed(args, 2, Notify.List, move.to === ListEnd.Head ? 'lpush' : 'rpush')
  ctx.markDirty(-1)
}
