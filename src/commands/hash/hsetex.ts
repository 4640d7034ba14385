/**
 * HSETEX key [FNX | FXX] [EX seconds | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS numfields field value [field value ...]
 *
 * Sets fields with their expire time: with FNX only when none of them exists, with FXX only when all do. Without a time
 * and KEEPTTL the fields do not expire; a time in the past removes them. Recorded with PXAT, or as HDEL.
 *
 * Reply: 1, or 0 when nothing was set. Errors: arguments in the order in which they come; wrong arity for pairs that do
 * not fit their number; WRONGTYPE.
 * Source: redis.io/commands/hsetex (Redis 8.0).
 */
import { storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import {
  EXPIRE_TIME_MISSING,
  err,
  HSETEX_CONDITIONS,
  HSETEX_TIMES,
  NUMFIELDS_INVALID,
  shown,
  wrongArity,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { recordTime } from '../record-expire-time.ts'
import { ExpireOption, expireOptionAt } from '../string/expire-option.ts'
import { fieldTimeOfOption, recordFieldDeletion } from './field-arguments.ts'
import { addHash, findHash, removeNamedExpired, storeAfterRemoval } from './hash-access.ts'

const NUMFIELDS_MAX = 0x7fffffff
const WRONG_ARITY = wrongArity('hsetex')

const Condition = { None: 0, NoneExists: 1, AllExist: 2 } as const
type Condition = (typeof Condition)[keyof typeof Condition]

/** Parsed options, reused by every call. */
const options = {
  condition: Condition.None as Condition,
  keepsTimes: false,
  /** In ms; NO_EXPIRE: none is given. */
  time: NO_EXPIRE as number,
  /** Where the option with the time stands; 0: nowhere. */
  timeOptionAt: 0,
  firstPair: 0,
}

const oldValue = new Element()

export const hsetex = defineCommand({
  name: 'hsetex',
  summary: 'Sets the values of fields of a hash with their expire time and a condition.',
  group: 'hash',
  since: '8.0.0',
  complexity: 'O(N log M), N being the number of fields that are set and M that of fields that expire.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'update'),
  handler: hsetexHandler,
})

function hsetexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseOptions(ctx, args)
  const { condition, firstPair, time } = options
  let row = findHash(ctx, args, 1)
  if (condition !== Condition.None) {
    row = removeNamedExpired(ctx, args, row, firstPair, args.count, 2)
    if (!conditionHolds(ctx, args)) {
      reply.integer(0)
      return
    }
  }
  // While a log is replayed, the HDEL that follows in it says when a field went.
  if (time !== NO_EXPIRE && time <= ctx.now && !ctx.session.isReplay) removeAll(ctx, args, row)
  else setAll(ctx, args, row)
  reply.integer(1)
}

/** @throws what the arguments deserve, in their order */
function parseOptions(ctx: CommandContext, args: Args): void {
  options.condition = Condition.None
  options.keepsTimes = false
  options.time = NO_EXPIRE
  options.timeOptionAt = 0
  let i = 2
  for (; !args.is(i, 'FIELDS'); i++) {
    const option = expireOptionAt(args, i)
    const hasTime = options.timeOptionAt !== 0 || options.keepsTimes
    if (option !== ExpireOption.None) {
      if (hasTime) throw HSETEX_TIMES
      if (i + 1 >= args.count) throw EXPIRE_TIME_MISSING
      options.timeOptionAt = i
      options.time = fieldTimeOfOption(ctx, args, ++i, option, 'hsetex')
    } else if (args.is(i, 'KEEPTTL')) {
      if (hasTime) throw HSETEX_TIMES
      options.keepsTimes = true
    } else if (args.is(i, 'FXX') || args.is(i, 'FNX')) {
      if (options.condition !== Condition.None) throw HSETEX_CONDITIONS
      options.condition = args.is(i, 'FXX') ? Condition.AllExist : Condition.NoneExists
    } else throw err(`unknown argument: ${shown(args.text(i))}`)
    if (i + 1 >= args.count) throw WRONG_ARITY
  }
  if (i + 3 >= args.count) throw WRONG_ARITY
  const count = args.integerIn(i + 1, 1, NUMFIELDS_MAX, NUMFIELDS_INVALID)
  options.firstPair = i + 2
  if (count * 2 !== args.count - options.firstPair) throw WRONG_ARITY
}

function conditionHolds({ hash }: CommandContext, args: Args): boolean {
  const mustExist = options.condition === Condition.AllExist
  for (let i = options.firstPair; i < args.count; i += 2) {
    if (hash.has(args.buffer, args.start(i), args.length(i)) !== mustExist) return false
  }
  return true
}

function setAll(ctx: CommandContext, args: Args, row: number): void {
  const { hash } = ctx
  const { firstPair, keepsTimes, time } = options
  const { limits } = ctx.keyspace
  if (row === NO_ROW) hash.create()
  hash.expect((args.count - firstPair) >>> 1, pairBytes(args), limits)
  // A kept time may be over: the field has it on, as in Redis, and goes as any other.
  hash.showAll()
  for (let i = firstPair; i < args.count; i += 2) {
    const start = args.start(i)
    const length = args.length(i)
    if (keepsTimes && hash.get(args.buffer, start, length, oldValue)) {
      hash.replaceFound(args.buffer, args.start(i + 1), args.length(i + 1), limits)
    } else {
      hash.set(args.buffer, start, length, args.buffer, args.start(i + 1), args.length(i + 1), limits)
    }
    if (time !== NO_EXPIRE) hash.setTime(args.buffer, start, length, time)
  }
  if (row === NO_ROW) addHash(ctx, args, 1, hash)
  else storeHash(ctx.db, row, hash)
  ctx.changed(args, 1, Notify.Hash, 'hset')
  ctx.markDirty(((args.count - firstPair) >>> 1) - 1)
  if (time === NO_EXPIRE) return
  ctx.notify(args, 1, Notify.Hash, 'hexpire')
  recordWithPointInTime(ctx, args)
}

/** The time is over: what was to be set is removed. */
function removeAll(ctx: CommandContext, args: Args, row: number): void {
  let removed = 0
  for (let i = options.firstPair; i < args.count && row !== NO_ROW; i += 2) {
    if (!ctx.hash.remove(args.buffer, args.start(i), args.length(i))) continue
    recordFieldDeletion(ctx, args, i)
    removed++
  }
  ctx.notify(args, 1, Notify.Hash, 'hset')
  if (removed > 0) {
    ctx.keyspace.stats.expiredFields += removed
    storeAfterRemoval(ctx, args, 1, row, 'hdel')
    ctx.markDirty(removed - 1)
    return
  }
  ctx.notify(args, 1, Notify.Hash, 'hdel')
  if (row === NO_ROW) ctx.notify(args, 1, Notify.Generic, 'del')
}

/** The command as it came, but for the option of the time, which is PXAT. */
function recordWithPointInTime(ctx: CommandContext, args: Args): void {
  const { journal } = ctx
  const { time, timeOptionAt } = options
  journal.begin(ctx.db.index, args.count)
  for (let i = 0; i < args.count; i++) {
    if (i === timeOptionAt) journal.text('PXAT')
    else if (i === timeOptionAt + 1) recordTime(journal, time)
    else journal.arg(args, i)
  }
}

function pairBytes(args: Args): number {
  let bytes = 0
  for (let i = options.firstPair; i < args.count; i++) bytes += args.length(i)
  return bytes
}
