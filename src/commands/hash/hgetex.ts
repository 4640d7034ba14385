/**
 * HGETEX key [EX seconds | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS numfields field [field ...]
 *
 * Returns the values of fields and changes when they expire; a time in the past removes them. Recorded as HPEXPIREAT,
 * HPERSIST or HDEL; without a change not at all.
 *
 * Reply: for each field its value, or null. Errors, in this order: WRONGTYPE; the time; FIELDS; the number of fields.
 * Source: redis.io/commands/hgetex (Redis 8.0).
 */
import { storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NUMFIELDS_NOT_POSITIVE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { ExpireOption, expireOptionAt } from '../string/expire-option.ts'
import {
  fieldsAt,
  fieldTimeOfOption,
  recordFieldDeletion,
  recordFieldNames,
  recordFieldTimes,
} from './field-arguments.ts'
import { findHash, removeNamedExpired, storeAfterRemoval } from './hash-access.ts'

export const hgetex = defineCommand({
  name: 'hgetex',
  summary: 'Returns the values of fields of a hash and sets or removes their expire times.',
  group: 'hash',
  since: '8.0.0',
  complexity: 'O(N log M), N being the number of fields that are named and M that of fields that expire.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: [{ ...keyRange(1, 0, 1, 'RW', 'access', 'update'), notes: 'Written (RW, update) only as to expire times' }],
  handler: hgetexHandler,
})

/** What becomes of the expire times of the fields. */
const Change = { None: 0, Set: 1, Persist: 2, Delete: 3 } as const
type Change = (typeof Change)[keyof typeof Change]

const value = new Element()

function hgetexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const found = findHash(ctx, args, 1)
  const option = expireOptionAt(args, 2)
  const persists = args.is(2, 'PERSIST')
  const time = option === ExpireOption.None ? NO_EXPIRE : fieldTimeOfOption(ctx, args, 3, option, 'hgetex')
  const first = fieldsAt(args, option !== ExpireOption.None ? 4 : persists ? 3 : 2, NUMFIELDS_NOT_POSITIVE)
  let change: Change = persists ? Change.Persist : option === ExpireOption.None ? Change.None : Change.Set
  // While a log is replayed, the HDEL that follows in it says when a field went.
  if (change === Change.Set && time <= ctx.now && !ctx.session.isReplay) change = Change.Delete

  const row = removeNamedExpired(ctx, args, found, first, args.count, 1)
  let changes = 0
  reply.array(args.count - first)
  for (let i = first; i < args.count; i++) {
    if (!ctx.hash.get(args.buffer, args.start(i), args.length(i), value)) reply.nil()
    else {
      replyElement(reply, value)
      if (changeField(ctx, args, i, change, time)) changes++
    }
  }
  if (changes > 0) announce(ctx, args, row, first, change, time)
  if (changes > 1) ctx.markDirty(changes - 1)
}

/** Returns whether the field in argument `i`, which is there, has changed. */
function changeField(ctx: CommandContext, args: Args, i: number, change: Change, time: number): boolean {
  const { hash } = ctx
  const start = args.start(i)
  const length = args.length(i)
  switch (change) {
    case Change.Set:
      hash.setTime(args.buffer, start, length, time)
      return true
    case Change.Persist:
      if (hash.fieldTime(args.buffer, start, length) === NO_EXPIRE) return false
      hash.setTime(args.buffer, start, length, NO_EXPIRE)
      return true
    case Change.Delete:
      hash.remove(args.buffer, start, length)
      recordFieldDeletion(ctx, args, i)
      ctx.keyspace.stats.expiredFields++
      return true
    default:
      return false
  }
}

function announce(ctx: CommandContext, args: Args, row: number, first: number, change: Change, time: number): void {
  if (change === Change.Delete) {
    storeAfterRemoval(ctx, args, 1, row, 'hdel')
    return
  }
  storeHash(ctx.db, row, ctx.hash)
  ctx.changed(args, 1, Notify.Hash, change === Change.Persist ? 'hpersist' : 'hexpire')
  if (change === Change.Set) {
    recordFieldTimes(ctx, args, time, first, args.count)
    return
  }
  ctx.journal.begin(ctx.db.index, 4 + args.count - first)
  ctx.journal.text('HPERSIST')
  ctx.journal.arg(args, 1)
  recordFieldNames(ctx, args, first, args.count)
}
