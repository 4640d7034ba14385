/**
 * HINCRBY key field increment
 * HINCRBYFLOAT key field increment
 *
 * Add to the number in a field; a missing field counts as 0.
 *
 * Reply: HINCRBY the sum as an integer, exact over 64 bits; HINCRBYFLOAT the sum as a bulk string.
 * Errors, in this order: the increment is no number (or not finite); WRONGTYPE; the value is no number; overflow.
 * HINCRBYFLOAT is recorded as HSET with the sum, so that every replay has the same digits, and its expire time, which
 * HSET takes away, as HPEXPIREAT behind it. A field's expire time stays as it is.
 * Source: Valkey src/t_hash.c `hincrbyCommand`, `hincrbyfloatCommand`.
 */
import { parseInt64, parseSafeInteger, writeInteger } from '../../bytes/integer.ts'
import {
  addLongDoubles,
  formatLongDouble,
  isFiniteLongDouble,
  type LongDouble,
  longDoubleOf,
  parseLongDouble,
} from '../../bytes/long-double.ts'
import { storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import { type Args, addInt64 } from '../../resp/args.ts'
import {
  HASH_VALUE_NOT_A_FLOAT,
  HASH_VALUE_NOT_AN_INTEGER,
  INCR_NAN_OR_INFINITY,
  INCR_OVERFLOW,
  NOT_A_FLOAT,
  VALUE_NAN_OR_INFINITY,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { recordFieldTimes } from './field-arguments.ts'
import { addHash, findFields } from './hash-access.ts'

export const hincrby = defineCommand({
  name: 'hincrby',
  summary: 'Adds an integer to the integer in a field of a hash; a missing field counts as 0.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: hincrbyHandler,
})

export const hincrbyfloat = defineCommand({
  name: 'hincrbyfloat',
  summary: 'Adds a number to the number in a field of a hash; a missing field counts as 0.',
  group: 'hash',
  since: '2.6.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: hincrbyfloatHandler,
})

const value = new Element()
/** Text of a safe integer sum: a sign and 16 digits. */
const digits = Buffer.allocUnsafeSlow(17)

function hincrbyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const increment = args.safeInteger(3)
  const bigIncrement = Number.isNaN(increment) ? args.int64(3) : null
  const row = findFields(ctx, args, 1, 2, 3, 1)
  const isOld = ctx.hash.get(args.buffer, args.start(2), args.length(2), value)
  value.spell()
  if (bigIncrement === null) {
    const sum = increment + (isOld ? safeValue() : 0)
    if (Number.isSafeInteger(sum)) {
      storeNumber(ctx, args, row, isOld, digits, writeInteger(digits, 0, sum), 'hincrby')
      reply.integer(sum)
      return
    }
  }
  const old = isOld ? parseInt64(value.buffer, value.start, value.length) : 0n
  if (old === null) throw HASH_VALUE_NOT_AN_INTEGER
  const sum = addInt64(old, bigIncrement ?? BigInt(increment))
  if (sum === null) throw INCR_OVERFLOW
  const text = Buffer.from(sum.toString(), 'latin1')
  storeNumber(ctx, args, row, isOld, text, text.length, 'hincrby')
  reply.bigInteger(sum)
}

function hincrbyfloatHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const increment = parseLongDouble(args.text(3))
  if (increment === null) throw NOT_A_FLOAT
  if (!isFiniteLongDouble(increment)) throw VALUE_NAN_OR_INFINITY
  const row = findFields(ctx, args, 1, 2, 3, 1)
  const isOld = ctx.hash.get(args.buffer, args.start(2), args.length(2), value)
  const sum = isOld ? addLongDoubles(floatValue(), increment) : increment
  if (!isFiniteLongDouble(sum)) throw INCR_NAN_OR_INFINITY
  const text = formatLongDouble(sum)
  const time = ctx.hash.fieldTime(args.buffer, args.start(2), args.length(2))
  storeNumber(ctx, args, row, isOld, Buffer.from(text, 'latin1'), text.length, 'hincrbyfloat')
  reply.bulkText(text)
  const journal = ctx.journal
  journal.begin(ctx.db.index, 4)
  journal.text('HSET')
  journal.arg(args, 1)
  journal.arg(args, 2)
  journal.text(text)
  if (time > 0) recordFieldTimes(ctx, args, time, 2, 3)
}

/** The old value when it is a safe integer, else NaN. */
function safeValue(): number {
  return value.isInteger ? value.integer : parseSafeInteger(value.buffer, value.start, value.length)
}

function floatValue(): LongDouble {
  const number = value.isInteger ? longDoubleOf(value.integer) : parseLongDouble(value.text())
  if (number === null) throw HASH_VALUE_NOT_A_FLOAT
  return number
}

/** Makes the text the value of the field: in place of the value that was found, or as a new field. */
function storeNumber(
  ctx: CommandContext,
  args: Args,
  row: number,
  isOld: boolean,
  text: Buffer,
  length: number,
  event: string,
): void {
  const hash = ctx.hash
  const limits = ctx.keyspace.limits
  if (row === NO_ROW) hash.create()
  if (isOld) hash.replaceFound(text, 0, length, limits)
  else hash.set(args.buffer, args.start(2), args.length(2), text, 0, length, limits)
  if (row === NO_ROW) addHash(ctx, args, 1, hash)
  else storeHash(ctx.db, row, hash)
  ctx.changed(args, 1, Notify.Hash, event)
}
