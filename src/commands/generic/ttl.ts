/**
 * TTL key, PTTL key, EXPIRETIME key, PEXPIRETIME key
 *
 * Reply: integer, the time left or the time of expiry, in (rounded) seconds or ms; -1 for a key that does not expire,
 * -2 for a missing one. Errors: none.
 * Source: Valkey src/expire.c `ttlGenericCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyTime, TimeUnit } from '../expire-time.ts'

export const ttl = defineCommand({
  name: 'ttl',
  summary: 'Returns how many seconds are left until a key expires.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: (ctx, args, reply) => replyExpire(ctx, args, reply, TimeUnit.Seconds, ctx.now),
})

export const pttl = defineCommand({
  name: 'pttl',
  summary: 'Returns how many milliseconds are left until a key expires.',
  group: 'generic',
  since: '2.6.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: (ctx, args, reply) => replyExpire(ctx, args, reply, TimeUnit.Milliseconds, ctx.now),
})

export const expiretime = defineCommand({
  name: 'expiretime',
  summary: 'Returns when a key expires, in seconds since 1970.',
  group: 'generic',
  since: '7.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => replyExpire(ctx, args, reply, TimeUnit.Seconds, 0),
})

export const pexpiretime = defineCommand({
  name: 'pexpiretime',
  summary: 'Returns when a key expires, in milliseconds since 1970.',
  group: 'generic',
  since: '7.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => replyExpire(ctx, args, reply, TimeUnit.Milliseconds, 0),
})

const NO_KEY_REPLY = -2
const NO_EXPIRE_REPLY = -1

/** Replies the expire time in units of `unitMs`, counted from `baseMs`. */
function replyExpire(ctx: CommandContext, args: Args, reply: ReplySink, unitMs: number, baseMs: number): void {
  const row = ctx.db.peek(args, 1)
  if (row === NO_ROW) {
    reply.integer(NO_KEY_REPLY)
    return
  }
  const time = ctx.db.expireTime(row)
  if (time === NO_EXPIRE) reply.integer(NO_EXPIRE_REPLY)
  else replyTime(reply, Math.floor((time - baseMs + unitMs / 2) / unitMs))
}
