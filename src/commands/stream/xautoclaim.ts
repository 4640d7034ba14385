/**
 * XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
 *
 * Looks through the pending entries from `start` on and makes a consumer the owner of those that have been idle for
 * long enough; entries that no longer exist in the stream stop being pending.
 *
 * Reply: array of the ID where to go on (0-0 at the end), the claimed entries (with JUSTID their IDs) and the IDs of the
 * deleted entries. Errors: min-idle-time, start, options, WRONGTYPE, NOGROUP; in this order.
 * What is recorded: XCLAIM with all attributes for each entry.
 * Source: Valkey src/t_stream.c `xautoclaimCommand`, src/commands/xautoclaim.json.
 */
import type { Args } from '../../resp/args.ts'
import { COUNT_BELOW_ONE, noKeyOrGroup, SYNTAX_ERROR, XAUTOCLAIM_MIN_IDLE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import { type Consumer, nextDelivery } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findGroup, IdList, parseIntervalStart, readStream } from './stream-access.ts'
import { createConsumer, findConsumer, recordClaim } from './stream-effects.ts'
import { replyEntryOf, replyId } from './stream-reply.ts'
import { dropPending } from './xclaim.ts'

const DEFAULT_COUNT = 100
/** LONG_MAX / 16, as a double. */
const COUNT_MAX = 2 ** 59
/** Pending entries looked at for each one that is asked for. */
const ATTEMPTS_PER_ENTRY = 10

/** Parsed options, reused by every call. */
const options = { minIdleMs: 0, count: DEFAULT_COUNT as number, isJustId: false }

const start = new StreamId()
const id = new StreamId()
const claimed = new IdList()
const deleted = new IdList()

export const xautoclaim = defineCommand({
  name: 'xautoclaim',
  summary: 'Makes a consumer the owner of entries that are pending for long, as if they had been delivered to it.',
  group: 'stream',
  since: '6.2.0',
  complexity: 'O(1) if COUNT is small.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'delete'),
  tips: ['nondeterministic_output'],
  handler: xautoclaimHandler,
})

function xautoclaimHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseOptions(args)
  const stream = readStream(ctx, args, 1)
  const group = stream === null ? null : findGroup(stream, args, 2)
  if (stream === null || group === null) throw noKeyOrGroup(args.text(1), args.text(2))

  const consumer = findConsumer(group, args, 3) ?? createConsumer(ctx, args, 1, group, 3)
  consumer.seenTime = ctx.now
  ctx.recordNothing()
  claimed.clear()
  deleted.clear()
  const next = claimIdle(ctx, args, stream, group, consumer)

  reply.array(3)
  if (next === NO_POSITION) id.setMin()
  else group.pending.readId(next, id)
  replyId(reply, id)
  reply.array(claimed.count)
  for (let i = 0; i < claimed.count; i++) {
    claimed.get(i, id)
    if (options.isJustId) replyId(reply, id)
    else replyEntryOf(reply, stream, id)
  }
  reply.array(deleted.count)
  for (let i = 0; i < deleted.count; i++) {
    deleted.get(i, id)
    replyId(reply, id)
  }
}

function parseOptions(args: Args): void {
  options.minIdleMs = Math.max(0, args.integer(4, XAUTOCLAIM_MIN_IDLE))
  parseIntervalStart(args, 5, start)
  options.count = DEFAULT_COUNT
  options.isJustId = false
  for (let i = 6; i < args.count; i++) {
    if (i + 1 < args.count && args.is(i, 'COUNT')) {
      options.count = args.integerIn(++i, 1, COUNT_MAX - 1, COUNT_BELOW_ONE)
    } else if (args.is(i, 'JUSTID')) {
      options.isJustId = true
    } else {
      throw SYNTAX_ERROR
    }
  }
}

/** Claims from `start` on. Returns the position of the first pending entry that was not looked at. */
function claimIdle(ctx: CommandContext, args: Args, stream: Stream, group: ConsumerGroup, consumer: Consumer): number {
  const pending = group.pending
  let left = options.count
  let attempts = left * ATTEMPTS_PER_ENTRY
  let position = pending.ceiling(start)
  while (position !== NO_POSITION && attempts > 0 && left > 0) {
    attempts--
    pending.readId(position, id)
    if (!stream.has(id)) {
      dropPending(ctx, args, group, id)
      deleted.push(id)
      left--
      position = pending.ceiling(id)
      continue
    }
    if (
      options.minIdleMs === 0 ||
      pending.isReleased(position) ||
      ctx.now - pending.deliveryTime(position) >= options.minIdleMs
    ) {
      pending.assign(position, id, consumer)
      const count = pending.deliveryCount(position)
      pending.setDelivery(position, ctx.now, options.isJustId ? count : nextDelivery(count))
      consumer.activeTime = ctx.now
      recordClaim(ctx, args, 1, 2, group, position, id)
      ctx.markDirty(1)
      claimed.push(id)
      left--
    }
    position = pending.next(position)
  }
  return position
}
