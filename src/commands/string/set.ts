/**
 * SET key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET] [EX seconds | PX ms | EXAT s |
 * PXAT ms | KEEPTTL] and its older relatives SETNX, SETEX, PSETEX and GETSET.
 *
 * Reply: OK; null when a condition kept the value; with GET the old value or null. Errors: syntax, WRONGTYPE (with GET or
 * a condition on the value), digest, invalid expire time.
 * Source: Valkey src/t_string.c `setGenericCommand`, `parseExtendedStringArgumentsOrReply`; redis.io/commands/set for the
 * conditions of Redis 8.4. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, type KeySpecFlag, keyAt, keyRange } from '../define.ts'
import { positiveExpireTime, TimeUnit } from '../expire-time.ts'
import { recordTime } from '../record-expire-time.ts'
import { ExpireOption, expireOptionAt, timeOfOption } from './expire-option.ts'
import { replyString } from './get.ts'
import { storeString } from './string-value.ts'
import { ValueCondition, valueConditionAt, valueConditionHolds } from './value-condition.ts'

const Condition = { None: 0, IfAbsent: 1, IfPresent: 2 } as const
/** What a SET does with the expire time that the key has. */
const SetTtl = { Drop: 0, Keep: 1 } as const
type SetTtl = (typeof SetTtl)[keyof typeof SetTtl]
/** No expire time was given. */
const NO_TIME = -1

/** Parsed options, reused by every call. */
const options = {
  condition: 0 as number,
  valueCondition: ValueCondition.None as ValueCondition,
  /** Which argument the value is compared with. */
  operand: 0,
  get: false,
  keepTtl: false,
  expireAt: NO_TIME as number,
}

export const set = defineCommand({
  name: 'set',
  summary: 'Sets the value of a key, whatever it held before, with options for existence and lifetime.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: [
    {
      ...keyRange(1, 0, 1, 'RW', 'access', 'update', 'variable_flags'),
      notes: 'Read (RW, access) only because of the `GET` argument and conditions on the value',
    },
  ],
  keyFlags: setKeyFlags,
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
  handler: (ctx, args, reply) => setWithLifetime(ctx, args, reply, TimeUnit.Seconds, 'setex'),
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
  handler: (ctx, args, reply) => setWithLifetime(ctx, args, reply, TimeUnit.Milliseconds, 'psetex'),
})

export const getset = defineCommand({
  name: 'getset',
  summary: 'Sets the value of a key and returns the one it had.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  deprecated: { since: '6.2.0', replacedBy: '`SET` with the `GET` argument' },
  handler: getsetHandler,
})

/** The old value counts as read only when GET or a condition asks for it. */
function setKeyFlags(args: Args): readonly KeySpecFlag[] {
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'GET') || valueConditionAt(args, i) !== ValueCondition.None) return ['RW', 'access', 'update']
  }
  return ['OW', 'update']
}

function setHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 3) {
    const db = ctx.db
    const row = db.find(args, 1)
    if (row !== NO_ROW) db.clearExpire(row)
    storeString(db, row, args, 1, 2)
    ctx.changed(args, 1, Notify.String, 'set')
    reply.ok()
    return
  }
  parseOptions(ctx, args)
  setWithOptions(ctx, args, reply)
}

function setWithOptions(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { condition, valueCondition, operand, get, keepTtl, expireAt } = options
  const db = ctx.db
  let row: number
  if (get) {
    // GET answers for strings only, and before the condition is looked at (since 7.0 NX and GET go together).
    row = db.readKind(args, 1, KindMask.String)
    if (row === NO_ROW) reply.nil()
    else replyString(db, row, reply)
  } else row = valueCondition === ValueCondition.None ? db.find(args, 1) : db.findKind(args, 1, KindMask.String)
  if ((condition === Condition.IfAbsent && row !== NO_ROW) || (condition === Condition.IfPresent && row === NO_ROW)) {
    if (!get) reply.nil()
    return
  }
  if (valueCondition !== ValueCondition.None && !valueConditionHolds(db, row, args, valueCondition, operand)) {
    if (!get) reply.nil()
    return
  }
  if (expireAt !== NO_TIME) {
    storeWithTime(ctx, row, args, 2, expireAt)
  } else {
    if (row !== NO_ROW && !keepTtl) db.clearExpire(row)
    storeString(db, row, args, 1, 2)
    ctx.changed(args, 1, Notify.String, 'set')
    if (get || valueCondition !== ValueCondition.None) recordPlainSet(ctx, args, keepTtl ? SetTtl.Keep : SetTtl.Drop)
  }
  if (!get) reply.ok()
}

function setnxHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (ctx.db.find(args, 1) !== NO_ROW) {
    reply.integer(0)
    return
  }
  storeString(ctx.db, NO_ROW, args, 1, 2)
  ctx.changed(args, 1, Notify.String, 'set')
  reply.integer(1)
}

function setWithLifetime(ctx: CommandContext, args: Args, reply: ReplySink, unitMs: number, name: string): void {
  const expireAt = positiveExpireTime(args, 2, unitMs, ctx.now, name)
  storeWithTime(ctx, ctx.db.find(args, 1), args, 3, expireAt)
  reply.ok()
}

function getsetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  const row = db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) reply.nil()
  else {
    replyString(db, row, reply)
    db.clearExpire(row)
  }
  storeString(db, row, args, 1, 2)
  ctx.changed(args, 1, Notify.String, 'set')
  recordPlainSet(ctx, args, SetTtl.Drop)
}

/** Stores argument `value` in the key of argument 1, which is at `row` or NO_ROW, until `expireAt`. */
function storeWithTime(ctx: CommandContext, row: number, args: Args, value: number, expireAt: number): void {
  const db = ctx.db
  db.setExpire(storeString(db, row, args, 1, value), expireAt)
  ctx.changed(args, 1, Notify.String, 'set')
  ctx.notify(args, 1, Notify.Generic, 'expire')
  recordSetWithTime(ctx, args, value, expireAt)
}

function parseOptions(ctx: CommandContext, args: Args): void {
  options.condition = Condition.None
  options.valueCondition = ValueCondition.None
  options.operand = 0
  options.get = false
  options.keepTtl = false
  options.expireAt = NO_TIME
  let timeArgument = 0
  let timeOption: ExpireOption = ExpireOption.None
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'NX') && takesCondition(Condition.IfAbsent)) options.condition = Condition.IfAbsent
    else if (args.is(i, 'XX') && takesCondition(Condition.IfPresent)) options.condition = Condition.IfPresent
    else if (takesValueCondition(args, i)) options.operand = ++i
    else if (args.is(i, 'GET')) options.get = true
    else if (args.is(i, 'KEEPTTL') && timeArgument === 0) options.keepTtl = true
    else {
      const option = expireOptionAt(args, i)
      // The same unit may come again, and the last time counts; two units exclude each other.
      const isTaken = options.keepTtl || (timeArgument !== 0 && option !== timeOption)
      if (option === ExpireOption.None || isTaken || i + 1 >= args.count) throw SYNTAX_ERROR
      timeOption = option
      timeArgument = ++i
    }
  }
  if (timeArgument !== 0) options.expireAt = timeOfOption(args, timeArgument, timeOption, ctx.now, 'set')
}

/** The same condition may come again; two exclude each other. */
function takesCondition(condition: number): boolean {
  const { condition: taken, valueCondition } = options
  return (taken === Condition.None || taken === condition) && valueCondition === ValueCondition.None
}

/** Whether argument `i` is a condition on the value, with its operand behind it; it is noted. */
function takesValueCondition(args: Args, i: number): boolean {
  const found = valueConditionAt(args, i)
  const { condition, valueCondition: taken } = options
  if (found === ValueCondition.None || i + 1 >= args.count || condition !== Condition.None) return false
  if (taken !== ValueCondition.None && taken !== found) return false
  options.valueCondition = found
  return true
}

function recordSetWithTime(ctx: CommandContext, args: Args, value: number, expireAt: number): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 5)
  journal.text('SET')
  journal.arg(args, 1)
  journal.arg(args, value)
  journal.text('PXAT')
  recordTime(journal, expireAt)
}

/** Records a SET without its GET and its condition. */
function recordPlainSet(ctx: CommandContext, args: Args, ttl: SetTtl): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, ttl === SetTtl.Keep ? 4 : 3)
  journal.text('SET')
  journal.arg(args, 1)
  journal.arg(args, 2)
  if (ttl === SetTtl.Keep) journal.text('KEEPTTL')
}
