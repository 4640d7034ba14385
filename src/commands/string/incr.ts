/**
 * INCR key, DECR key, INCRBY key increment, DECRBY key decrement
 *
 * Adds to the integer that a string key holds; a missing key counts as 0. Exact over the whole signed 64-bit range: a
 * number in the key index while it is a safe integer, text beyond that.
 *
 * Reply: integer, the new value. Errors: integer (argument first for INCRBY and DECRBY); WRONGTYPE; overflow.
 * Source: Valkey src/t_string.c `incrDecrCommand`. Hot path: no object is made while numbers are safe integers.
 */
import { INT64_MIN, parseInt64, parseSafeInteger } from '../../bytes/integer.ts'
import { type Database, KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import { type Args, addInt64 } from '../../resp/args.ts'
import { DECR_OVERFLOW, INCR_OVERFLOW, NOT_AN_INTEGER } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { storeStringInteger, storeStringText } from './string-value.ts'

export const incr = defineCommand({
  name: 'incr',
  summary: 'Adds one to the integer value of a key, which counts as 0 when it is missing.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: (ctx, args, reply) => increment(ctx, args, reply, 1),
})

export const decr = defineCommand({
  name: 'decr',
  summary: 'Subtracts one from the integer value of a key, which counts as 0 when it is missing.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: (ctx, args, reply) => increment(ctx, args, reply, -1),
})

export const incrby = defineCommand({
  name: 'incrby',
  summary: 'Adds a number to the integer value of a key, which counts as 0 when it is missing.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: incrbyHandler,
})

export const decrby = defineCommand({
  name: 'decrby',
  summary: 'Subtracts a number from the integer value of a key, which counts as 0 when it is missing.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: decrbyHandler,
})

function incrbyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const by = args.safeInteger(2)
  if (Number.isNaN(by)) incrementBig(ctx, args, reply, args.int64(2))
  else increment(ctx, args, reply, by)
}

function decrbyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const by = args.safeInteger(2)
  if (!Number.isNaN(by)) {
    increment(ctx, args, reply, -by)
    return
  }
  const big = args.int64(2)
  // The least integer has no positive counterpart.
  if (big === INT64_MIN) throw DECR_OVERFLOW
  incrementBig(ctx, args, reply, -big)
}

function increment(ctx: CommandContext, args: Args, reply: ReplySink, by: number): void {
  const db = ctx.db
  const row = db.findKind(args, 1, KindMask.String)
  const value = (row === NO_ROW ? 0 : safeValue(db, row)) + by
  // NaN, for what is no safe integer, is not safe either.
  if (!Number.isSafeInteger(value)) {
    addBig(ctx, args, reply, row, BigInt(by))
    return
  }
  storeStringInteger(db, row, args, 1, value)
  ctx.changed(args, 1, Notify.String, 'incrby')
  reply.integer(value)
}

function incrementBig(ctx: CommandContext, args: Args, reply: ReplySink, by: bigint): void {
  addBig(ctx, args, reply, ctx.db.findKind(args, 1, KindMask.String), by)
}

/** @throws NOT_AN_INTEGER for the stored value, INCR_OVERFLOW */
function addBig(ctx: CommandContext, args: Args, reply: ReplySink, row: number, by: bigint): void {
  const db = ctx.db
  const sum = addInt64(row === NO_ROW ? 0n : bigValue(db, row), by)
  if (sum === null) throw INCR_OVERFLOW
  const value = Number(sum)
  if (Number.isSafeInteger(value)) {
    storeStringInteger(db, row, args, 1, value)
    reply.integer(value)
  } else {
    storeStringText(db, row, args, 1, String(sum))
    reply.bigInteger(sum)
  }
  ctx.changed(args, 1, Notify.String, 'incrby')
}

/** The value at `row`, NaN when it is no safe integer. */
function safeValue(db: Database, row: number): number {
  if (db.kind(row) === Kind.StringInteger) return db.value(row)
  const ref = db.ref(row)
  return parseSafeInteger(db.arena.segment(ref), db.arena.offset(ref), db.arena.length(ref))
}

function bigValue(db: Database, row: number): bigint {
  if (db.kind(row) === Kind.StringInteger) return BigInt(db.value(row))
  const ref = db.ref(row)
  const value = parseInt64(db.arena.segment(ref), db.arena.offset(ref), db.arena.length(ref))
  if (value === null) throw NOT_AN_INTEGER
  return value
}
