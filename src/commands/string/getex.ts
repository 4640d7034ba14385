/**
 * GETEX key [EX seconds | PX ms | EXAT s | PXAT ms | PERSIST]
 *
 * Returns the value of a string key and changes its lifetime. Recorded as PEXPIREAT, PERSIST or DEL; without a change
 * not at all.
 *
 * Reply: bulk string; null when the key is missing. Errors: syntax, WRONGTYPE, invalid expire time (of keys that exist).
 * Source: Valkey src/t_string.c `getexCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import { FreeReason } from '../../keyspace/lazy-free.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { deleteKeyAsEffect } from '../delete-key.ts'
import { recordExpireTime } from '../record-expire-time.ts'
import { ExpireOption, expireOptionAt, isPointInTime, timeOfOption } from './expire-option.ts'
import { replyString } from './get.ts'

/** Parsed options, reused by every call. The time's argument is 0 when there is none. */
const options = { persist: false, expire: ExpireOption.None as ExpireOption, timeArgument: 0 }

export const getex = defineCommand({
  name: 'getex',
  summary: 'Returns the value of a string key and sets or removes its expire time.',
  group: 'string',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: [{ ...keyRange(1, 0, 1, 'RW', 'access', 'update'), notes: 'Written (RW, update) only as to its lifetime' }],
  handler: getexHandler,
})

function getexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseOptions(args)
  const db = ctx.db
  const row = db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.nil()
    return
  }
  const { expire, timeArgument } = options
  if (timeArgument === 0) {
    replyString(db, row, reply)
    if (options.persist && db.clearExpire(row)) {
      ctx.changed(args, 1, Notify.Generic, 'persist')
      ctx.journal.begin(db.index, 2)
      ctx.journal.text('PERSIST')
      ctx.journal.arg(args, 1)
    }
    return
  }
  const time = timeOfOption(args, timeArgument, expire, ctx.now, 'getex')
  replyString(db, row, reply)
  if (isPointInTime(expire) && time <= ctx.now && !ctx.session.isReplay) {
    deleteKeyAsEffect(ctx, args, 1, row, FreeReason.Expire)
    return
  }
  db.setExpire(row, time)
  ctx.changed(args, 1, Notify.Generic, 'expire')
  recordExpireTime(ctx, args, 1, time)
}

/** @throws SYNTAX_ERROR */
function parseOptions(args: Args): void {
  options.persist = false
  options.expire = ExpireOption.None
  options.timeArgument = 0
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'PERSIST') && options.timeArgument === 0) {
      options.persist = true
      continue
    }
    const option = expireOptionAt(args, i)
    // The same unit may come again, and the last time counts; two units exclude each other.
    const isTaken = options.persist || (options.timeArgument !== 0 && option !== options.expire)
    if (option === ExpireOption.None || isTaken || i + 1 >= args.count) throw SYNTAX_ERROR
    options.expire = option
    options.timeArgument = ++i
  }
}
