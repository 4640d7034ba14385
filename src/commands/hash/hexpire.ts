/**
 * HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...], HPEXPIRE key milliseconds …,
 * HEXPIREAT key unix-seconds …, HPEXPIREAT key unix-milliseconds …
 *
 * Set when fields of a hash expire; a time in the past removes them. Recorded as HPEXPIREAT with the fields that were
 * changed, or as an HDEL for each that was removed.
 *
 * Reply: for each field 1; 0 when the condition is not met; 2 when it was removed; -2 when it is missing.
 * Errors, in this order: WRONGTYPE; the time; FIELDS; the number of fields.
 * Source: Valkey src/t_hash.c `hexpireGenericCommand` (Redis 7.4).
 */
import { storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NUMFIELDS_NOT_ABOVE_0 } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import { NO_FIELD } from '../../structures/hash-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, type CommandDefinition, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { TimeUnit } from '../expire-time.ts'
import { recordTime } from '../record-expire-time.ts'
import { fieldExpireTime, fieldsAt, recordFieldDeletion } from './field-arguments.ts'
import { findHash, removeNamedExpired, storeAfterRemoval } from './hash-access.ts'

const Condition = { None: 0, Absent: 1, Present: 2, Greater: 3, Less: 4 } as const
type Condition = (typeof Condition)[keyof typeof Condition]

/** What is replied of a field. */
const Outcome = { Missing: -2, NotMet: 0, Set: 1, Deleted: 2 } as const

/** What the four commands have in common. */
const shared = {
  group: 'hash',
  since: '7.4.0',
  complexity: 'O(N log M), N being the number of fields that are named and M that of fields that expire.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'update'),
} as const satisfies Partial<CommandDefinition>

export const hexpire = defineCommand({
  ...shared,
  name: 'hexpire',
  summary: 'Sets after how many seconds fields of a hash expire.',
  handler: (ctx, args, reply) => setTimes(ctx, args, reply, TimeUnit.Seconds, ctx.now, 'hexpire'),
})

export const hpexpire = defineCommand({
  ...shared,
  name: 'hpexpire',
  summary: 'Sets after how many milliseconds fields of a hash expire.',
  handler: (ctx, args, reply) => setTimes(ctx, args, reply, TimeUnit.Milliseconds, ctx.now, 'hpexpire'),
})

export const hexpireat = defineCommand({
  ...shared,
  name: 'hexpireat',
  summary: 'Sets when fields of a hash expire, in seconds since 1970.',
  handler: (ctx, args, reply) => setTimes(ctx, args, reply, TimeUnit.Seconds, 0, 'hexpireat'),
})

export const hpexpireat = defineCommand({
  ...shared,
  name: 'hpexpireat',
  summary: 'Sets when fields of a hash expire, in milliseconds since 1970.',
  handler: (ctx, args, reply) => setTimes(ctx, args, reply, TimeUnit.Milliseconds, 0, 'hpexpireat'),
})

/** Arguments of the fields whose time was set; reused by every call. */
const changed: number[] = []

function setTimes(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  unitMs: number,
  baseMs: number,
  name: string,
): void {
  const found = findHash(ctx, args, 1)
  const time = fieldExpireTime(ctx, args, 2, unitMs, baseMs, name)
  const condition = conditionAt(args, 3)
  const first = fieldsAt(args, condition === Condition.None ? 3 : 4, NUMFIELDS_NOT_ABOVE_0)
  const row = removeNamedExpired(ctx, args, found, first, args.count, 1)
  // While a log is replayed, the HDEL that follows in it says when a field went.
  const isOver = time <= ctx.now && !ctx.session.isReplay
  let deleted = 0
  changed.length = 0
  reply.array(args.count - first)
  for (let i = first; i < args.count; i++) {
    const old = ctx.hash.fieldTime(args.buffer, args.start(i), args.length(i))
    if (old === NO_FIELD) reply.integer(Outcome.Missing)
    else if (!isMet(condition, time, old)) reply.integer(Outcome.NotMet)
    else if (isOver) {
      ctx.hash.remove(args.buffer, args.start(i), args.length(i))
      recordFieldDeletion(ctx, args, i)
      deleted++
      reply.integer(Outcome.Deleted)
    } else {
      ctx.hash.setTime(args.buffer, args.start(i), args.length(i), time)
      changed.push(i)
      reply.integer(Outcome.Set)
    }
  }
  if (deleted > 0) {
    ctx.keyspace.stats.expiredFields += deleted
    storeAfterRemoval(ctx, args, 1, row, 'hdel')
    ctx.markDirty(deleted - 1)
  } else if (changed.length > 0) {
    storeHash(ctx.db, row, ctx.hash)
    ctx.changed(args, 1, Notify.Hash, 'hexpire')
    ctx.markDirty(changed.length - 1)
    recordTimes(ctx, args, time, condition)
  }
}

function conditionAt(args: Args, i: number): Condition {
  if (args.is(i, 'NX')) return Condition.Absent
  if (args.is(i, 'XX')) return Condition.Present
  if (args.is(i, 'GT')) return Condition.Greater
  return args.is(i, 'LT') ? Condition.Less : Condition.None
}

/** A field without an expire time counts as one that lives for ever. */
function isMet(condition: Condition, time: number, current: number): boolean {
  switch (condition) {
    case Condition.Absent:
      return current === NO_EXPIRE
    case Condition.Present:
      return current !== NO_EXPIRE
    case Condition.Greater:
      return current !== NO_EXPIRE && time > current
    case Condition.Less:
      return current === NO_EXPIRE || time < current
    default:
      return true
  }
}

/** The command with its point in time, and of its fields those that were changed. */
function recordTimes(ctx: CommandContext, args: Args, timeMs: number, condition: Condition): void {
  const { journal } = ctx
  journal.begin(ctx.db.index, (condition === Condition.None ? 5 : 6) + changed.length)
  journal.text('HPEXPIREAT')
  journal.arg(args, 1)
  recordTime(journal, timeMs)
  if (condition !== Condition.None) journal.arg(args, 3)
  journal.text('FIELDS')
  journal.integer(changed.length)
  for (const i of changed) journal.arg(args, i)
}
