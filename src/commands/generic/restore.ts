/**
 * RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
 *
 * Creates a key from what DUMP has given. The value is checked in depth whatever `sanitize-dump-payload` says. Of
 * IDLETIME and FREQ the one counts that the eviction policy in force looks at. Recorded with an absolute time.
 *
 * Reply: OK. Errors, in this order: options; BUSYKEY; ttl; version or checksum; data.
 * Source: Valkey src/cluster.c `restoreCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import { RdbError } from '../../persistence/rdb/rdb-error.ts'
import { isDumpPayload, restoreValue } from '../../persistence/rdb/restore-value.ts'
import type { Args } from '../../resp/args.ts'
import {
  BAD_DATA_FORMAT,
  BUSYKEY,
  DUMP_PAYLOAD_WRONG,
  FREQ_OUT_OF_RANGE,
  IDLETIME_NEGATIVE,
  SYNTAX_ERROR,
  TTL_NEGATIVE,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { deleteKeyAsEffect } from '../delete-key.ts'
import { recordTime } from '../record-expire-time.ts'

const FREQUENCY_MAX = 255n
/** The greatest double below 2^63. */
const TIME_MAX = 2 ** 63 - 1024
const NOT_GIVEN = -1

export const restore = defineCommand({
  name: 'restore',
  summary: 'Creates a key from the serialized representation of a value.',
  group: 'generic',
  since: '2.6.0',
  complexity: 'O(N) for the N bytes of the value; O(N log N) for a sorted set above the packed thresholds.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Keyspace | AclCategory.Dangerous,
  keys: keyAt(1, 'OW', 'update'),
  handler: restoreHandler,
})

/** RESTORE during the move of a hash slot. Where there is no cluster it is the same. */
export const restoreAsking = defineCommand({
  ...restore,
  name: 'restore-asking',
  group: 'server',
  since: '3.0.0',
  flags: restore.flags | CommandFlag.Asking,
})

/** What the options of a call say. */
interface RestoreOptions {
  replaces: boolean
  hasAbsoluteTime: boolean
  /** NOT_GIVEN, or seconds. */
  idleSeconds: number
  /** NOT_GIVEN, or a counter of uses. */
  frequency: number
}

function restoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const options = parseOptions(args)
  const { db, keyspace } = ctx
  const old = db.find(args, 1)
  if (old !== NO_ROW && !options.replaces) throw BUSYKEY
  const expireMs = expireTimeOf(ctx, args, options.hasAbsoluteTime)

  const start = args.start(3)
  const end = start + args.length(3)
  if (!isDumpPayload(args.buffer, start, end, { checksums: !keyspace.skipsChecksums })) throw DUMP_PAYLOAD_WRONG
  const restored = restoreValue(keyspace, args.buffer, start, end)
  if (restored instanceof RdbError) {
    ctx.server.log.warning(`Cannot restore a value: ${restored.message}`)
    throw BAD_DATA_FORMAT
  }

  // While a log is replayed, the DEL that follows in it says when the key went.
  if (expireMs !== NO_EXPIRE && expireMs <= ctx.now && !ctx.session.isReplay) {
    keyspace.freeDetached(restored.kind, restored.value)
    if (old !== NO_ROW) deleteKeyAsEffect(ctx, args, 1, old)
    reply.ok()
    return
  }
  if (old !== NO_ROW) db.remove(old)
  const row = db.add(args, 1, restored.kind, restored.value)
  if (expireMs !== NO_EXPIRE) db.setExpire(row, expireMs)
  db.restoreAccess(row, options.idleSeconds, options.frequency)
  ctx.changed(args, 1, Notify.Generic, 'restore')
  if (expireMs !== NO_EXPIRE && !options.hasAbsoluteTime) recordWithAbsoluteTime(ctx, args, expireMs)
  reply.ok()
}

/** @throws SYNTAX_ERROR, NOT_AN_INTEGER, IDLETIME_NEGATIVE, FREQ_OUT_OF_RANGE */
function parseOptions(args: Args): RestoreOptions {
  const options: RestoreOptions = {
    replaces: false,
    hasAbsoluteTime: false,
    idleSeconds: NOT_GIVEN,
    frequency: NOT_GIVEN,
  }
  for (let i = 4; i < args.count; i++) {
    const hasMore = i + 1 < args.count
    if (args.is(i, 'REPLACE')) options.replaces = true
    else if (args.is(i, 'ABSTTL')) options.hasAbsoluteTime = true
    else if (args.is(i, 'IDLETIME') && hasMore && options.frequency === NOT_GIVEN) {
      const seconds = args.int64(++i)
      if (seconds < 0n) throw IDLETIME_NEGATIVE
      options.idleSeconds = Number(seconds)
    } else if (args.is(i, 'FREQ') && hasMore && options.idleSeconds === NOT_GIVEN) {
      const frequency = args.int64(++i)
      if (frequency < 0n || frequency > FREQUENCY_MAX) throw FREQ_OUT_OF_RANGE
      options.frequency = Number(frequency)
    } else throw SYNTAX_ERROR
  }
  return options
}

/** When the key expires, in ms; NO_EXPIRE for a ttl of 0. @throws NOT_AN_INTEGER, TTL_NEGATIVE */
function expireTimeOf(ctx: CommandContext, args: Args, isAbsolute: boolean): number {
  const ttl = args.int64(2)
  if (ttl < 0n) throw TTL_NEGATIVE
  if (ttl === 0n) return NO_EXPIRE
  // As in C a sum beyond 63 bits is negative: such a time is over.
  const time = isAbsolute ? ttl : BigInt.asIntN(64, ttl + BigInt(ctx.now))
  return Math.min(Math.max(Number(time), 0), TIME_MAX)
}

function recordWithAbsoluteTime(ctx: CommandContext, args: Args, expireMs: number): void {
  const { journal } = ctx
  journal.begin(ctx.db.index, args.count + 1)
  for (let i = 0; i < args.count; i++) {
    if (i === 2) recordTime(journal, expireMs)
    else journal.arg(args, i)
  }
  journal.text('ABSTTL')
}
