/**
 * XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
 *
 * What is pending in a group: a summary, or the entries of an interval.
 *
 * Reply: summary: array of the number, the first and the last ID and, for each consumer that has some, name and number
 * (as a bulk string); null for the last three when nothing is pending. Interval: array of [ID, consumer, idle ms,
 * delivery count]; of an entry that was released (XNACK) the consumer is '' and the idle time -1. Errors: syntax, arguments, WRONGTYPE, NOGROUP; in this order.
 * Source: Valkey src/t_stream.c `xpendingCommand`, src/commands/xpending.json.
 */
import type { Args } from '../../resp/args.ts'
import { noKeyOrGroup, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import type { Consumer } from '../../structures/pending-entries.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findGroup, parseIntervalEnd, parseIntervalStart, readStream } from './stream-access.ts'
import { findConsumer } from './stream-effects.ts'
import { replyDeliveries, replyId } from './stream-reply.ts'

const SUMMARY_ARGS = 3
const INTERVAL_ARGS_MIN = 6
const INTERVAL_ARGS_MAX = 9
const IDLE_ARGS_MIN = 8
/** Idle time of an entry that was released. */
const RELEASED_IDLE = -1

/** Parsed options, reused by every call. */
const options = { minIdleMs: 0, count: 0, consumer: 0 }

const start = new StreamId()
const end = new StreamId()
const id = new StreamId()

export const xpending = defineCommand({
  name: 'xpending',
  summary: 'Returns how many entries of a group are pending and for whom, or the entries of an interval.',
  group: 'stream',
  since: '5.0.0',
  complexity:
    'O(N) in the entries returned; with IDLE, parts of the list in which all were delivered recently are skipped. The summary is O(N) in the consumers.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: xpendingHandler,
})

function xpendingHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isSummary = args.count === SUMMARY_ARGS
  if (!isSummary) parseOptions(args)
  const stream = readStream(ctx, args, 1)
  const group = stream === null ? null : findGroup(stream, args, 2)
  if (group === null) throw noKeyOrGroup(args.text(1), args.text(2))
  if (isSummary) {
    replySummary(reply, group)
    return
  }
  if (options.consumer === 0) {
    replyInterval(ctx, reply, group)
    return
  }
  const consumer = findConsumer(group, args, options.consumer)
  if (consumer === null) reply.array(0)
  else replyIntervalOf(ctx, reply, group, consumer)
}

function parseOptions(args: Args): void {
  if (args.count < INTERVAL_ARGS_MIN || args.count > INTERVAL_ARGS_MAX) throw SYNTAX_ERROR
  options.minIdleMs = 0
  let first = 3
  if (args.is(3, 'IDLE')) {
    options.minIdleMs = args.integer(4)
    if (args.count < IDLE_ARGS_MIN) throw SYNTAX_ERROR
    first = 5
  }
  options.count = Math.max(0, args.integer(first + 2))
  parseIntervalStart(args, first, start)
  parseIntervalEnd(args, first + 1, end)
  options.consumer = first + 3 < args.count ? first + 3 : 0
}

function replySummary(reply: ReplySink, group: ConsumerGroup): void {
  const pending = group.pending
  reply.array(4)
  reply.integer(pending.size)
  if (pending.size === 0) {
    reply.nil()
    reply.nil()
    reply.nilArray()
    return
  }
  pending.readId(pending.first(), id)
  replyId(reply, id)
  pending.readId(pending.last(), id)
  replyId(reply, id)
  const mark = reply.begin()
  let owners = 0
  for (const consumer of group.consumers) {
    if (consumer.pending.size === 0) continue
    reply.array(2)
    reply.bulkText(consumer.name)
    reply.bulkInteger(consumer.pending.size)
    owners++
  }
  reply.closeArray(mark, owners)
}

/** Replies the pending entries of the whole group. */
function replyInterval(ctx: CommandContext, reply: ReplySink, group: ConsumerGroup): void {
  const pending = group.pending
  const latest = ctx.now - options.minIdleMs
  const mark = reply.begin()
  let count = 0
  let position = pending.ceiling(start)
  while (count < options.count) {
    // Idle times are compared only if there is a minimum: a time in the future is as good as any other without.
    if (options.minIdleMs !== 0) position = pending.nextDeliveredBy(position, latest)
    if (position === NO_POSITION) break
    pending.readId(position, id)
    if (id.compare(end) > 0) break
    replyPending(ctx, reply, group, position)
    count++
    position = pending.next(position)
  }
  reply.closeArray(mark, count)
}

/** Replies the pending entries of one consumer. */
function replyIntervalOf(ctx: CommandContext, reply: ReplySink, group: ConsumerGroup, consumer: Consumer): void {
  const owned = consumer.pending
  const mark = reply.begin()
  let count = 0
  let at = owned.ceiling(start)
  for (; at !== NO_POSITION && count < options.count; at = owned.next(at)) {
    owned.readId(at, 0, id)
    if (id.compare(end) > 0) break
    const position = group.pending.find(id)
    if (options.minIdleMs !== 0 && ctx.now - group.pending.deliveryTime(position) < options.minIdleMs) continue
    replyPending(ctx, reply, group, position)
    count++
  }
  reply.closeArray(mark, count)
}

/** Replies the pending entry at `position`, whose ID is `id`. */
function replyPending(ctx: CommandContext, reply: ReplySink, group: ConsumerGroup, position: number): void {
  const pending = group.pending
  reply.array(4)
  replyId(reply, id)
  const owner = pending.owner(position)
  reply.bulkText(owner === null ? '' : owner.name)
  reply.integer(owner === null ? RELEASED_IDLE : Math.max(0, ctx.now - pending.deliveryTime(position)))
  replyDeliveries(reply, pending.deliveryCount(position))
}
