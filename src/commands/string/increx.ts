/**
 * INCREX key [BYFLOAT increment | BYINT increment] [LBOUND bound] [UBOUND bound] [SATURATE]
 *   [EX seconds | PX ms | EXAT s | PXAT ms | PERSIST] [ENX]
 *
 * Adds to the number that a string key holds, within bounds, and sets its lifetime; a missing key counts as 0. What would
 * leave the bounds changes nothing, or with SATURATE goes as far as the bound. ENX sets a lifetime only where there is
 * none. Recorded as the SET or DEL that it amounts to.
 *
 * Reply: array of the new value and the increment that was applied: integers, or doubles with BYFLOAT (bulk strings in
 * RESP2). Errors: syntax; ENX; increment; bounds; invalid expire time; WRONGTYPE; value.
 * Source: redis.io/commands/increx (Redis 8.8).
 */
import { INT64_MAX, INT64_MIN, parseInt64 } from '../../bytes/integer.ts'
import {
  addLongDoubles,
  formatLongDouble,
  isFiniteLongDouble,
  isLongDoubleBelow,
  type LongDouble,
  parseLongDouble,
  subtractLongDoubles,
} from '../../bytes/long-double.ts'
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import {
  APPLIED_INCREMENT_OVERFLOW,
  BOUNDS_REVERSED,
  ENX_WITHOUT_TIME,
  INCREMENT_INFINITE,
  INCREMENT_NOT_A_FLOAT,
  INCREMENT_NOT_AN_INTEGER,
  NOT_A_FLOAT,
  NOT_AN_INTEGER,
  SYNTAX_ERROR,
  VALUE_INFINITE,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { deleteKeyAsEffect } from '../delete-key.ts'
import { recordTime } from '../record-expire-time.ts'
import { ExpireOption, expireOptionAt, isPointInTime, timeOfOption } from './expire-option.ts'
import { showString, storeStringInteger, storeStringText } from './string-value.ts'

/** Where the options stand; 0: not given. */
interface IncrexOptions {
  byInt: number
  byFloat: number
  lowerBound: number
  upperBound: number
  time: number
  timeOption: ExpireOption
  saturate: boolean
  persist: boolean
  onlyWithoutTtl: boolean
}

export const increx = defineCommand({
  name: 'increx',
  summary: 'Adds to the number of a key within bounds and sets its lifetime.',
  group: 'string',
  since: '8.8.0',
  complexity: 'O(1)',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: increxHandler,
})

const stored = new Element()

function increxHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const options = parseOptions(args)
  if (options.byFloat === 0) incrementInteger(ctx, args, reply, options)
  else incrementFloat(ctx, args, reply, options)
}

/** @throws SYNTAX_ERROR, ENX_WITHOUT_TIME */
function parseOptions(args: Args): IncrexOptions {
  const options: IncrexOptions = {
    byInt: 0,
    byFloat: 0,
    lowerBound: 0,
    upperBound: 0,
    time: 0,
    timeOption: ExpireOption.None,
    saturate: false,
    persist: false,
    onlyWithoutTtl: false,
  }
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'SATURATE') && !options.saturate) options.saturate = true
    else if (args.is(i, 'ENX') && !options.onlyWithoutTtl && !options.persist) options.onlyWithoutTtl = true
    else if (args.is(i, 'PERSIST') && !options.persist && !options.onlyWithoutTtl && options.time === 0)
      options.persist = true
    else if (i + 1 < args.count && takesOperand(args, i, options)) i++
    else throw SYNTAX_ERROR
  }
  if (options.onlyWithoutTtl && options.time === 0) throw ENX_WITHOUT_TIME
  return options
}

/** Whether argument `i` is an option with an operand that may still be given; it is noted. */
function takesOperand(args: Args, i: number, options: IncrexOptions): boolean {
  const option = expireOptionAt(args, i)
  const hasIncrement = options.byInt !== 0 || options.byFloat !== 0
  if (args.is(i, 'BYINT') && !hasIncrement) options.byInt = i + 1
  else if (args.is(i, 'BYFLOAT') && !hasIncrement) options.byFloat = i + 1
  else if (args.is(i, 'LBOUND') && options.lowerBound === 0) options.lowerBound = i + 1
  else if (args.is(i, 'UBOUND') && options.upperBound === 0) options.upperBound = i + 1
  else if (option !== ExpireOption.None && options.time === 0 && !options.persist) {
    options.time = i + 1
    options.timeOption = option
  } else return false
  return true
}

function incrementInteger(ctx: CommandContext, args: Args, reply: ReplySink, options: IncrexOptions): void {
  const by = options.byInt === 0 ? 1n : args.int64(options.byInt, INCREMENT_NOT_AN_INTEGER)
  const lower = options.lowerBound === 0 ? INT64_MIN : args.int64(options.lowerBound)
  const upper = options.upperBound === 0 ? INT64_MAX : args.int64(options.upperBound)
  if (lower > upper) throw BOUNDS_REVERSED
  const expireAt = expireTimeOf(ctx, args, options)
  const { db } = ctx
  const row = db.findKind(args, 1, KindMask.String)
  const old = row === NO_ROW ? 0n : storedInteger(ctx, row)
  let value = old + by
  if (value < lower || value > upper) {
    if (!options.saturate) {
      reply.array(2)
      replyInt64(reply, old)
      reply.integer(0)
      return
    }
    value = value < lower ? lower : upper
    if (value - old > INT64_MAX || value - old < INT64_MIN) throw APPLIED_INCREMENT_OVERFLOW
  }
  reply.array(2)
  replyInt64(reply, value)
  replyInt64(reply, value - old)
  if (deletesInstead(ctx, args, row, options, expireAt)) return
  const number = Number(value)
  const newRow = Number.isSafeInteger(number)
    ? storeStringInteger(db, row, args, 1, number)
    : storeStringText(db, row, args, 1, String(value))
  finish(ctx, args, newRow, 'incrby', String(value), options, expireAt)
}

function incrementFloat(ctx: CommandContext, args: Args, reply: ReplySink, options: IncrexOptions): void {
  const by = parseLongDouble(args.text(options.byFloat))
  if (by === null) throw INCREMENT_NOT_A_FLOAT
  if (!isFiniteLongDouble(by)) throw INCREMENT_INFINITE
  const lower = options.lowerBound === 0 ? Number.NEGATIVE_INFINITY : boundOf(args, options.lowerBound)
  const upper = options.upperBound === 0 ? Number.POSITIVE_INFINITY : boundOf(args, options.upperBound)
  if (isLongDoubleBelow(upper, lower)) throw BOUNDS_REVERSED
  const expireAt = expireTimeOf(ctx, args, options)
  const row = ctx.db.findKind(args, 1, KindMask.String)
  const old = storedFloat(ctx, row)
  let value = addLongDoubles(old, by)
  const isBelow = isLongDoubleBelow(value, lower)
  // A sum that is infinite exceeds what the type holds, even where there is no bound.
  if (isBelow || isLongDoubleBelow(upper, value) || !isFiniteLongDouble(value)) {
    const bound = isBelow ? lower : upper
    if (!options.saturate || !isFiniteLongDouble(bound)) {
      reply.array(2)
      replyLongDouble(reply, old)
      replyLongDouble(reply, subtractLongDoubles(old, old))
      return
    }
    value = bound
  }
  const text = formatLongDouble(value)
  reply.array(2)
  replyLongDouble(reply, value)
  replyLongDouble(reply, subtractLongDoubles(value, old))
  if (deletesInstead(ctx, args, row, options, expireAt)) return
  const newRow = storeStringText(ctx.db, row, args, 1, text)
  finish(ctx, args, newRow, 'incrbyfloat', text, options, expireAt)
}

function boundOf(args: Args, i: number): LongDouble {
  const bound = parseLongDouble(args.text(i))
  if (bound === null) throw NOT_A_FLOAT
  return bound
}

/** The point in time of the options, null without one. @throws NOT_AN_INTEGER, or invalid expire time */
function expireTimeOf(ctx: CommandContext, args: Args, { time, timeOption }: IncrexOptions): number | null {
  return time === 0 ? null : timeOfOption(args, time, timeOption, ctx.now, 'increx')
}

function storedInteger(ctx: CommandContext, row: number): bigint {
  showString(ctx.db, row, stored)
  const value = parseInt64(stored.buffer, stored.start, stored.length)
  if (value === null) throw NOT_AN_INTEGER
  return value
}

function storedFloat(ctx: CommandContext, row: number): LongDouble {
  let text = '0'
  if (row !== NO_ROW) {
    showString(ctx.db, row, stored)
    text = stored.text()
  }
  const value = parseLongDouble(text)
  if (value === null) throw NOT_A_FLOAT
  if (!isFiniteLongDouble(value)) throw VALUE_INFINITE
  return value
}

/** A time that has passed deletes the key instead, unless ENX leaves the lifetime as it is. Returns whether it does. */
function deletesInstead(
  ctx: CommandContext,
  args: Args,
  row: number,
  options: IncrexOptions,
  expireAt: number | null,
): boolean {
  if (expireAt === null || !isPointInTime(options.timeOption) || expireAt > ctx.now) return false
  if (row === NO_ROW) return true
  if (options.onlyWithoutTtl && ctx.db.expireTime(row) >= 0) return false
  deleteKeyAsEffect(ctx, args, 1, row)
  return true
}

/** Sets the lifetime of the key at `row`, announces and records the change; `text` is the new value. */
function finish(
  ctx: CommandContext,
  args: Args,
  row: number,
  event: string,
  text: string,
  options: IncrexOptions,
  expireAt: number | null,
): void {
  const { db, journal } = ctx
  const setsTime = expireAt !== null && !(options.onlyWithoutTtl && db.expireTime(row) >= 0)
  ctx.changed(args, 1, Notify.String, event)
  if (setsTime) {
    db.setExpire(row, expireAt)
    ctx.notify(args, 1, Notify.Generic, 'expire')
  } else if (options.persist && db.clearExpire(row)) ctx.notify(args, 1, Notify.Generic, 'persist')
  journal.begin(db.index, setsTime ? 5 : options.persist ? 3 : 4)
  journal.text('SET')
  journal.arg(args, 1)
  journal.text(text)
  if (setsTime) {
    journal.text('PXAT')
    recordTime(journal, expireAt)
  } else if (!options.persist) journal.text('KEEPTTL')
}

function replyInt64(reply: ReplySink, value: bigint): void {
  const number = Number(value)
  if (Number.isSafeInteger(number)) reply.integer(number)
  else reply.bigInteger(value)
}

function replyLongDouble(reply: ReplySink, value: LongDouble): void {
  const text = formatLongDouble(value)
  if (reply.version >= 3) reply.double(Number(text))
  else reply.bulkText(text)
}
