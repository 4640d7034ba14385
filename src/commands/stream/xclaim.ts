/**
 * XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-ms] [RETRYCOUNT count] [FORCE] [JUSTID]
 *        [LASTID id]
 *
 * Makes a consumer the owner of pending entries that have been idle for long enough. FORCE makes an entry pending that
 * was not; an entry that no longer exists in the stream stops being pending. LASTID is used when a log is replayed.
 *
 * Reply: array of the claimed entries, with JUSTID of their IDs. Errors: WRONGTYPE, NOGROUP, min-idle-time, options.
 * What is recorded: XCLAIM with all attributes for each entry, or XGROUP SETID when only LASTID did something.
 * Source: Valkey src/t_stream.c `xclaimCommand`, src/commands/xclaim.json.
 */
import type { Args } from '../../resp/args.ts'
import {
  noKeyOrGroup,
  unknownXclaimOption,
  XCLAIM_IDLE,
  XCLAIM_MIN_IDLE,
  XCLAIM_RETRYCOUNT,
  XCLAIM_TIME,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import { type Consumer, nextDelivery, type PendingEntries, toDeliveries } from '../../structures/pending-entries.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findGroup, IdList, parseId, readStream, tryParseId } from './stream-access.ts'
import { createConsumer, findConsumer, recordAck, recordClaim, recordGroupPosition } from './stream-effects.ts'
import { replyEntryOf, replyId } from './stream-reply.ts'

const FIRST_ID = 5
const NOT_GIVEN = -1

/** Parsed options, reused by every call. */
const options = {
  minIdleMs: 0,
  deliveryTimeMs: 0,
  /** NOT_GIVEN: one more, or as it was with JUSTID. */
  deliveryCount: NOT_GIVEN as number,
  isForced: false,
  isJustId: false,
}

const ids = new IdList()
const id = new StreamId()
const lastId = new StreamId()

export const xclaim = defineCommand({
  name: 'xclaim',
  summary: 'Makes a consumer the owner of pending entries of its group, as if they had been delivered to it.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(log N) for each ID in a list of N pending entries.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update'),
  tips: ['nondeterministic_output'],
  handler: xclaimHandler,
})

function xclaimHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const stream = readStream(ctx, args, 1)
  const group = stream === null ? null : findGroup(stream, args, 2)
  if (stream === null || group === null) throw noKeyOrGroup(args.text(1), args.text(2))
  parseOptions(ctx, args)

  let isLastIdUnrecorded = false
  if (lastId.compare(group.lastId) > 0) {
    group.lastId.copy(lastId)
    isLastIdUnrecorded = true
  }
  const consumer = findConsumer(group, args, 3) ?? createConsumer(ctx, args, 1, group, 3)
  consumer.seenTime = ctx.now
  ctx.recordNothing()
  const mark = reply.begin()
  let claimed = 0
  for (let i = 0; i < ids.count; i++) {
    ids.get(i, id)
    if (!stream.has(id)) {
      if (dropPending(ctx, args, group, id)) isLastIdUnrecorded = false
      continue
    }
    const position = claim(ctx, group, consumer)
    if (position === NO_POSITION) continue
    if (options.isJustId) replyId(reply, id)
    else replyEntryOf(reply, stream, id)
    claimed++
    consumer.activeTime = ctx.now
    recordClaim(ctx, args, 1, 2, group, position, id)
    isLastIdUnrecorded = false
    ctx.markDirty(1)
  }
  reply.closeArray(mark, claimed)
  if (isLastIdUnrecorded) {
    recordGroupPosition(ctx, args, 1, 2, group)
    ctx.markDirty(1)
  }
}

function parseOptions(ctx: CommandContext, args: Args): void {
  options.minIdleMs = Math.max(0, args.integer(4, XCLAIM_MIN_IDLE))
  options.deliveryTimeMs = ctx.now
  options.deliveryCount = NOT_GIVEN
  options.isForced = false
  options.isJustId = false
  lastId.setMin()
  ids.clear()
  let i = FIRST_ID
  while (i < args.count && tryParseId(args, i, id)) {
    ids.push(id)
    i++
  }
  for (; i < args.count; i++) {
    const hasMore = i + 1 < args.count
    if (args.is(i, 'FORCE')) options.isForced = true
    else if (args.is(i, 'JUSTID')) options.isJustId = true
    else if (hasMore && args.is(i, 'IDLE'))
      options.deliveryTimeMs = pastTime(ctx, ctx.now - args.integer(++i, XCLAIM_IDLE))
    else if (hasMore && args.is(i, 'TIME')) options.deliveryTimeMs = pastTime(ctx, args.integer(++i, XCLAIM_TIME))
    else if (hasMore && args.is(i, 'RETRYCOUNT'))
      options.deliveryCount = toDeliveries(args.integer(++i, XCLAIM_RETRYCOUNT))
    else if (hasMore && args.is(i, 'LASTID')) parseId(args, ++i, lastId)
    else throw unknownXclaimOption(args.text(i))
  }
}

/** A time that is not in the past is now: clocks of clients may be ahead a little. */
function pastTime(ctx: CommandContext, timeMs: number): number {
  return timeMs < 0 || timeMs > ctx.now ? ctx.now : timeMs
}

/** Gives the entry `id` to a consumer. Returns its position, NO_POSITION when it was not to be claimed. */
function claim(ctx: CommandContext, group: ConsumerGroup, consumer: Consumer): number {
  const pending = group.pending
  let position = pending.find(id)
  if (position === NO_POSITION) {
    if (!options.isForced) return NO_POSITION
    position = pending.add(id, consumer, options.deliveryTimeMs, 1)
  } else {
    // The minimum holds for what was pending before only.
    if (isTooFresh(ctx, pending, position)) return NO_POSITION
    pending.assign(position, id, consumer)
  }
  pending.setDelivery(position, options.deliveryTimeMs, nextCount(pending.deliveryCount(position)))
  return position
}

/** Whether an entry was delivered to somebody too lately. What was released is free at once. */
function isTooFresh(ctx: CommandContext, pending: PendingEntries, position: number): boolean {
  if (options.minIdleMs === 0 || pending.isReleased(position)) return false
  return ctx.now - pending.deliveryTime(position) < options.minIdleMs
}

function nextCount(count: number): number {
  if (options.deliveryCount >= 0) return options.deliveryCount
  return options.isJustId ? count : nextDelivery(count)
}

/**
 * Ends the pending state of an entry that is gone from its stream, and records it.
 *
 * @returns whether the last ID of the group was recorded with it.
 */
export function dropPending(ctx: CommandContext, args: Args, group: ConsumerGroup, gone: StreamId): boolean {
  const position = group.pending.find(gone)
  if (position === NO_POSITION) return false
  const hasOwner = !group.pending.isReleased(position)
  // Replayed, this XCLAIM meets the missing entry and drops it too. For an entry of nobody it would make a consumer.
  if (hasOwner) recordClaim(ctx, args, 1, 2, group, position, gone)
  else recordAck(ctx, args, 1, 2, gone)
  group.pending.remove(position, gone)
  ctx.markDirty(1)
  return hasOwner
}
