/**
 * MSETEX numkeys key value [key value ...] [NX | XX] [EX seconds | PX ms | EXAT s | PXAT ms | KEEPTTL]
 *
 * Sets several keys at one moment, with a lifetime; with NX only when none of them exists, with XX only when all do.
 * Recorded as MSET, or as one SET for each key, so that a Redis without the command can read it.
 *
 * Reply: 1, or 0 when nothing was set. Errors: number of keys; pairs; syntax; invalid expire time.
 * Source: redis.io/commands/msetex (Redis 8.4).
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { KEY_VALUE_PAIRS, NUMKEYS_INVALID, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { recordTime } from '../record-expire-time.ts'
import { ExpireOption, expireOptionAt, timeOfOption } from './expire-option.ts'
import { storeString } from './string-value.ts'

const NUMKEYS_MAX = 0x7fffffff

const Condition = { None: 0, NoneExists: 1, AllExist: 2 } as const
type Condition = (typeof Condition)[keyof typeof Condition]

interface MsetexOptions {
  condition: Condition
  keepTtl: boolean
  /** Absolute time in ms, null when the keys do not expire. */
  expireAt: number | null
}

export const msetex = defineCommand({
  name: 'msetex',
  summary: 'Sets the values of several keys at one moment, with a lifetime and a condition.',
  group: 'string',
  since: '8.4.0',
  complexity: 'O(N), N being the number of keys.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: [
    {
      flags: ['OW', 'update'],
      begin: { type: 'index', index: 1 },
      find: { type: 'keynum', keyNumIndex: 0, firstKey: 1, step: 2 },
    },
  ],
  handler: msetexHandler,
})

function msetexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const count = args.integerIn(1, 1, NUMKEYS_MAX, NUMKEYS_INVALID)
  const end = 2 + count * 2
  if (end > args.count) throw KEY_VALUE_PAIRS
  const options = parseOptions(ctx, args, end)
  if (!conditionHolds(ctx, args, end, options.condition)) {
    reply.integer(0)
    return
  }
  setAll(ctx, args, end, options)
  reply.integer(1)
}

/** @throws SYNTAX_ERROR, NOT_AN_INTEGER, or invalid expire time */
function parseOptions(ctx: CommandContext, args: Args, start: number): MsetexOptions {
  const options: MsetexOptions = { condition: Condition.None, keepTtl: false, expireAt: null }
  let timeArgument = 0
  let timeOption: ExpireOption = ExpireOption.None
  for (let i = start; i < args.count; i++) {
    const hasNoTtl = timeArgument === 0 && !options.keepTtl
    const option = expireOptionAt(args, i)
    if (args.is(i, 'NX') && options.condition !== Condition.AllExist) options.condition = Condition.NoneExists
    else if (args.is(i, 'XX') && options.condition !== Condition.NoneExists) options.condition = Condition.AllExist
    else if (args.is(i, 'KEEPTTL') && timeArgument === 0) options.keepTtl = true
    else if (option !== ExpireOption.None && hasNoTtl && i + 1 < args.count) {
      timeOption = option
      timeArgument = ++i
    } else throw SYNTAX_ERROR
  }
  if (timeArgument !== 0) options.expireAt = timeOfOption(args, timeArgument, timeOption, ctx.now, 'msetex')
  return options
}

function conditionHolds(ctx: CommandContext, args: Args, end: number, condition: Condition): boolean {
  if (condition === Condition.None) return true
  for (let i = 2; i < end; i += 2) {
    const exists = ctx.db.find(args, i) !== NO_ROW
    if (exists !== (condition === Condition.AllExist)) return false
  }
  return true
}

function setAll(ctx: CommandContext, args: Args, end: number, { keepTtl, expireAt }: MsetexOptions): void {
  const { db, journal } = ctx
  const isPlain = expireAt === null && !keepTtl
  for (let i = 2; i < end; i += 2) {
    const row = storeString(db, db.find(args, i), args, i, i + 1)
    if (expireAt !== null) db.setExpire(row, expireAt)
    else if (!keepTtl) db.clearExpire(row)
    ctx.changed(args, i, Notify.String, 'set')
    if (expireAt !== null) ctx.notify(args, i, Notify.Generic, 'expire')
    if (isPlain) continue
    journal.begin(db.index, expireAt === null ? 4 : 5)
    journal.text('SET')
    journal.arg(args, i)
    journal.arg(args, i + 1)
    if (expireAt === null) journal.text('KEEPTTL')
    else {
      journal.text('PXAT')
      recordTime(journal, expireAt)
    }
  }
  if (!isPlain) return
  journal.begin(db.index, end - 1)
  journal.text('MSET')
  for (let i = 2; i < end; i++) journal.arg(args, i)
}
