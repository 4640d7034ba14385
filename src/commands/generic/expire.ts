/**
 * EXPIRE key seconds [NX | XX | GT | LT], PEXPIRE key milliseconds …, EXPIREAT key unix-seconds …,
 * PEXPIREAT key unix-milliseconds …
 *
 * Sets when a key expires; a time in the past deletes it. Recorded as PEXPIREAT or DEL.
 *
 * Reply: 1, or 0 when the key is missing or the condition not met. Errors, in this order: options; integer; invalid
 * expire time.
 * Source: Valkey src/expire.c `expireGenericCommand`. Hot path.
 */
import { FreeReason } from '../../keyspace/lazy-free.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { EXPIRE_GT_AND_LT, EXPIRE_NX_WITH_OTHERS, err, shown } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { deleteKeyAsEffect } from '../delete-key.ts'
import { expireTime, TimeUnit } from '../expire-time.ts'
import { recordExpireTime } from '../record-expire-time.ts'

/** Conditions, as bits. */
const Condition = { None: 0, Absent: 1, Present: 2, Greater: 4, Less: 8 } as const

export const expire = defineCommand({
  name: 'expire',
  summary: 'Sets after how many seconds a key expires.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(log N), N being the number of keys that expire.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RW', 'update'),
  handler: (ctx, args, reply) => setExpireTime(ctx, args, reply, TimeUnit.Seconds, ctx.now, 'expire'),
})

export const pexpire = defineCommand({
  name: 'pexpire',
  summary: 'Sets after how many milliseconds a key expires.',
  group: 'generic',
  since: '2.6.0',
  complexity: 'O(log N), N being the number of keys that expire.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RW', 'update'),
  handler: (ctx, args, reply) => setExpireTime(ctx, args, reply, TimeUnit.Milliseconds, ctx.now, 'pexpire'),
})

export const expireat = defineCommand({
  name: 'expireat',
  summary: 'Sets when a key expires, in seconds since 1970.',
  group: 'generic',
  since: '1.2.0',
  complexity: 'O(log N), N being the number of keys that expire.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RW', 'update'),
  handler: (ctx, args, reply) => setExpireTime(ctx, args, reply, TimeUnit.Seconds, 0, 'expireat'),
})

export const pexpireat = defineCommand({
  name: 'pexpireat',
  summary: 'Sets when a key expires, in milliseconds since 1970.',
  group: 'generic',
  since: '2.6.0',
  complexity: 'O(log N), N being the number of keys that expire.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RW', 'update'),
  handler: (ctx, args, reply) => setExpireTime(ctx, args, reply, TimeUnit.Milliseconds, 0, 'pexpireat'),
})

function setExpireTime(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  unitMs: number,
  baseMs: number,
  name: string,
): void {
  const condition = args.count > 3 ? parseCondition(args) : Condition.None
  const time = expireTime(args, 2, unitMs, baseMs, name)
  const db = ctx.db
  const row = db.find(args, 1)
  if (row === NO_ROW || (condition !== Condition.None && !isMet(condition, time, db.expireTime(row)))) {
    reply.integer(0)
    return
  }
  // While a log is replayed, the DEL that follows in it says when the key went.
  if (time <= ctx.now && !ctx.session.isReplay) {
    deleteKeyAsEffect(ctx, args, 1, row, FreeReason.Expire)
  } else {
    db.setExpire(row, time)
    db.touch(row)
    ctx.changed(args, 1, Notify.Generic, 'expire')
    recordExpireTime(ctx, args, 1, time)
  }
  reply.integer(1)
}

function parseCondition(args: Args): number {
  let condition: number = Condition.None
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'NX')) condition |= Condition.Absent
    else if (args.is(i, 'XX')) condition |= Condition.Present
    else if (args.is(i, 'GT')) condition |= Condition.Greater
    else if (args.is(i, 'LT')) condition |= Condition.Less
    else throw err(`Unsupported option ${shown(args.text(i))}`)
  }
  if ((condition & Condition.Absent) !== 0 && condition !== Condition.Absent) throw EXPIRE_NX_WITH_OTHERS
  if ((condition & Condition.Greater) !== 0 && (condition & Condition.Less) !== 0) throw EXPIRE_GT_AND_LT
  return condition
}

/** A key without an expire time counts as one that lives for ever. */
function isMet(condition: number, time: number, current: number): boolean {
  if ((condition & Condition.Absent) !== 0 && current !== NO_EXPIRE) return false
  if ((condition & Condition.Present) !== 0 && current === NO_EXPIRE) return false
  if ((condition & Condition.Greater) !== 0 && (current === NO_EXPIRE || time <= current)) return false
  return (condition & Condition.Less) === 0 || current === NO_EXPIRE || time < current
}
