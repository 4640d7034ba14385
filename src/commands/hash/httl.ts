/**
 * HTTL key FIELDS numfields field [field ...], HPTTL key …, HEXPIRETIME key …, HPEXPIRETIME key …
 *
 * Reply: for each field the time left, or the time of expiry, in ms or seconds (rounded up); -1 for a field that does
 * not expire, -2 for a missing one. Errors: WRONGTYPE; FIELDS; the number of fields.
 * Source: Valkey src/t_hash.c `httlGenericCommand` (Redis 7.4).
 */
import type { Args } from '../../resp/args.ts'
import { NUMFIELDS_NOT_POSITIVE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, type CommandDefinition, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { TimeUnit } from '../expire-time.ts'
import { fieldsAt } from './field-arguments.ts'
import { readHash } from './hash-access.ts'

/** What the four commands have in common. */
const shared = {
  group: 'hash',
  since: '7.4.0',
  complexity: 'O(N) where N is the number of fields that are named.',
  arity: -5,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
} as const satisfies Partial<CommandDefinition>

export const httl = defineCommand({
  ...shared,
  name: 'httl',
  summary: 'Returns how many seconds are left until fields of a hash expire.',
  handler: (ctx, args, reply) => replyTimes(ctx, args, reply, TimeUnit.Seconds, ctx.now),
})

export const hpttl = defineCommand({
  ...shared,
  name: 'hpttl',
  summary: 'Returns how many milliseconds are left until fields of a hash expire.',
  handler: (ctx, args, reply) => replyTimes(ctx, args, reply, TimeUnit.Milliseconds, ctx.now),
})

export const hexpiretime = defineCommand({
  ...shared,
  name: 'hexpiretime',
  summary: 'Returns when fields of a hash expire, in seconds since 1970.',
  handler: (ctx, args, reply) => replyTimes(ctx, args, reply, TimeUnit.Seconds, 0),
})

export const hpexpiretime = defineCommand({
  ...shared,
  name: 'hpexpiretime',
  summary: 'Returns when fields of a hash expire, in milliseconds since 1970.',
  handler: (ctx, args, reply) => replyTimes(ctx, args, reply, TimeUnit.Milliseconds, 0),
})

/** Replies expire times in units of `unitMs`, counted from `baseMs`. */
function replyTimes(ctx: CommandContext, args: Args, reply: ReplySink, unitMs: number, baseMs: number): void {
  const hash = readHash(ctx, args, 1)
  const first = fieldsAt(args, 2, NUMFIELDS_NOT_POSITIVE)
  reply.array(args.count - first)
  for (let i = first; i < args.count; i++) {
    const time = hash.fieldTime(args.buffer, args.start(i), args.length(i))
    // NO_EXPIRE and NO_FIELD are the numbers to reply.
    reply.integer(time < 0 ? time : Math.ceil((time - baseMs) / unitMs))
  }
}
