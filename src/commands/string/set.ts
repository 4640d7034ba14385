/**
 * SET key value [NX | XX] [GET] [EX seconds | PX ms | EXAT s | PXAT ms | KEEPTTL] and its older relatives SETNX, SETEX, PSETEX.
 *
 * Reply: OK; null when NX or XX kept the value; with GET the old value or null. Errors: syntax, WRONGTYPE (with GET),
 * invalid expire time.
 * Source: Valkey src/t_string.c `setGenericCommand`, `parseExtendedStringArgumentsOrReply`. Hot path.
 */
import { type Database, KindMask } from '../../keyspace/database.ts'
import { Kind } from '../../keyspace/kind.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, invalidExpireTime } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyString } from './get.ts'

const Condition = { None: 0, IfAbsent: 1, IfPresent: 2 } as const
/** No expire time was given. */
const NO_TIME = -1
const TIME_MAX = 2 ** 63

/** Parsed options, reused by every call. */
const options = { condition: 0 as number, get: false, keepTtl: false, expireAt: NO_TIME as number }

export const set = defineCommand({
  name: 'set',
  summary: 'Sets the value of a key, whatever it held before, with options for existence and lifetime.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update', 'variable_flags'),
  handler: setHandler,
})

export const setnx = defineCommand({
  name: 'setnx',
  summary: 'Sets the value of a key only when the key does not exist.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'OW', 'insert'),
  deprecated: { since: '2.6.12', replacedBy: '`SET` with the `NX` argument' },
  handler: setnxHandler,
})

export const setex = defineCommand({
  name: 'setex',
  summary: 'Sets the value of a key and its lifetime in seconds.',
  group: 'string',
  since: '2.0.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: keyAt(1, 'OW', 'update'),
  deprecated: { since: '2.6.12', replacedBy: '`SET` with the `EX` argument' },
  handler: (ctx, args, reply) => setWithLifetime(ctx, args, reply, 1000, 'setex'),
})

export const psetex = defineCommand({
  name: 'psetex',
  summary: 'Sets the value of a key and its lifetime in milliseconds.',
  group: 'string',
  since: '2.6.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: keyAt(1, 'OW', 'update'),
  deprecated: { since: '2.6.12', replacedBy: '`SET` with the `PX` argument' },
  handler: (ctx, args, reply) => setWithLifetime(ctx, args, reply, 1, 'psetex'),
})

function setHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 3) {
    storeString(ctx, args, 1, 2, NO_TIME, 0)
    reply.ok()
    return
  }
  parseOptions(ctx, args)
  const db = ctx.db
  let row = db.find(args, 1)
  if (options.get) {
    if (row === NO_ROW) {
      ctx.keyspace.stats.misses++
      reply.nil()
    } else {
      // GET answers for strings only, and before the condition is looked at (since 7.0 NX and GET go together).
      if ((KindMask.String & (1 << db.kind(row))) === 0) throw WRONGTYPE
      ctx.keyspace.stats.hits++
      replyString(db, row, reply)
    }
  }
  if ((options.condition === Condition.IfAbsent && row !== NO_ROW) || (options.condition === Condition.IfPresent && row === NO_ROW)) {
    if (!options.get) reply.nil()
    return
  }
  const keepTtl = options.keepTtl ? 1 : 0
  const expireAt = options.expireAt
  const withGet = options.get
  if (expireAt !== NO_TIME && expireAt <= ctx.now && !ctx.session.isReplay) {
    // A time in the past deletes the key instead, and is recorded as that.
    row = db.find(args, 1)
    if (row !== NO_ROW) {
      db.remove(row)
      ctx.changed(args, 1, Notify.Generic, 'del')
      ctx.journal.begin(db.index, 2)
      ctx.journal.text('DEL')
      ctx.journal.arg(args, 1)
    }
    if (!withGet) reply.ok()
    return
  }
  storeString(ctx, args, 1, 2, expireAt, keepTtl)
  if (expireAt !== NO_TIME) recordSetWithTime(ctx, args, 2, expireAt)
  else if (withGet) recordPlainSet(ctx, args, keepTtl)
  if (!withGet) reply.ok()
}

function setnxHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (ctx.db.find(args, 1) !== NO_ROW) {
    reply.integer(0)
    return
  }
  storeString(ctx, args, 1, 2, NO_TIME, 0)
  reply.integer(1)
}

function setWithLifetime(ctx: CommandContext, args: Args, reply: ReplySink, unitMs: number, name: string): void {
  const expireAt = absoluteTime(ctx, args, 2, unitMs, name)
  storeString(ctx, args, 1, 3, expireAt, 0)
  recordSetWithTime(ctx, args, 3, expireAt)
  reply.ok()
}

/**
 * Stores argument `value` under the key in argument `key`, whatever the key held. `expireAt` in ms or NO_TIME;
 * `keepTtl` 1 leaves an expire time as it is. Announces the change.
 */
function storeString(ctx: CommandContext, args: Args, key: number, value: number, expireAt: number, keepTtl: number): void {
  const db = ctx.db
  const arena = db.arena
  const integer = args.safeInteger(value)
  let row = db.find(args, key)
  if (row === NO_ROW) {
    row = Number.isNaN(integer)
      ? db.add(args, key, Kind.StringBytes, arena.store(args.buffer, args.start(value), args.length(value)))
      : db.add(args, key, Kind.StringInteger, integer)
    if (expireAt !== NO_TIME) db.setExpire(row, expireAt)
    ctx.changed(args, key, Notify.String, 'set')
    if (expireAt !== NO_TIME) ctx.notify(args, key, Notify.Generic, 'expire')
    return
  }
  if (!Number.isNaN(integer)) {
    db.replaceValue(row, Kind.StringInteger, integer)
  } else if (db.kind(row) === Kind.StringBytes) {
    db.setRef(row, arena.overwrite(db.ref(row), args.buffer, args.start(value), args.length(value)))
  } else {
    db.replaceValue(row, Kind.StringBytes, arena.store(args.buffer, args.start(value), args.length(value)))
  }
  db.touch(row)
  if (expireAt !== NO_TIME) db.setExpire(row, expireAt)
  else if (keepTtl === 0) db.clearExpire(row)
  ctx.changed(args, key, Notify.String, 'set')
  if (expireAt !== NO_TIME) ctx.notify(args, key, Notify.Generic, 'expire')
}

function parseOptions(ctx: CommandContext, args: Args): void {
  options.condition = Condition.None
  options.get = false
  options.keepTtl = false
  options.expireAt = NO_TIME
  let timeArgument = 0
  let timeUnit = ''
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'NX') && options.condition !== Condition.IfPresent) options.condition = Condition.IfAbsent
    else if (args.is(i, 'XX') && options.condition !== Condition.IfAbsent) options.condition = Condition.IfPresent
    else if (args.is(i, 'GET')) options.get = true
    else if (args.is(i, 'KEEPTTL') && timeArgument === 0) options.keepTtl = true
    else {
      const unit = args.is(i, 'EX') ? 'EX' : args.is(i, 'PX') ? 'PX' : args.is(i, 'EXAT') ? 'EXAT' : args.is(i, 'PXAT') ? 'PXAT' : ''
      if (unit === '' || options.keepTtl || timeArgument !== 0 || i + 1 >= args.count) throw SYNTAX_ERROR
      timeUnit = unit
      timeArgument = ++i
    }
  }
  if (timeArgument === 0) return
  const unitMs = timeUnit.startsWith('E') ? 1000 : 1
  options.expireAt = timeUnit.endsWith('AT')
    ? pointInTime(args, timeArgument, unitMs, 'set')
    : absoluteTime(ctx, args, timeArgument, unitMs, 'set')
}

/** A lifetime in argument `i`, in units of `unitMs`, as a point in time. @throws invalid expire time */
export function absoluteTime(ctx: CommandContext, args: Args, i: number, unitMs: number, name: string): number {
  const time = pointInTime(args, i, unitMs, name) + ctx.now
  if (time >= TIME_MAX) throw invalidExpireTime(name)
  return time
}

/** A point in time in argument `i`, in ms. @throws invalid expire time when it is not positive or overflows */
export function pointInTime(args: Args, i: number, unitMs: number, name: string): number {
  const time = args.integer(i, NOT_AN_INTEGER) * unitMs
  if (time <= 0 || time >= TIME_MAX) throw invalidExpireTime(name)
  return time
}

function recordSetWithTime(ctx: CommandContext, args: Args, value: number, expireAt: number): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 5)
  journal.text('SET')
  journal.arg(args, 1)
  journal.arg(args, value)
  journal.text('PXAT')
  journal.integer(expireAt)
}

function recordPlainSet(ctx: CommandContext, args: Args, keepTtl: number): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, keepTtl === 1 ? 4 : 3)
  journal.text('SET')
  journal.arg(args, 1)
  journal.arg(args, 2)
  if (keepTtl === 1) journal.text('KEEPTTL')
}
