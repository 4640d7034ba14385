/**
 * What stream commands record in the journal instead of themselves. Hot path.
 *
 * A group's state is replayed through XCLAIM with every attribute of the pending entry, and through XGROUP SETID and
 * XGROUP CREATECONSUMER where no entry became pending.
 * Source: Valkey src/t_stream.c streamPropagateXCLAIM, streamPropagateGroupID, streamPropagateConsumerCreation.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Journal } from '../../persistence/journal.ts'
import type { Args } from '../../resp/args.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { type Consumer, DELIVERIES_MAX, deliveriesText } from '../../structures/pending-entries.ts'
import { STREAM_ID_TEXT_BYTES, type StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'

const text = Buffer.alloc(STREAM_ID_TEXT_BYTES)

/** Writes an ID as a value of the open effect. */
export function recordId(journal: Journal, id: StreamId): void {
  journal.bytes(text, 0, id.write(text, 0))
}

/** Writes a delivery count as a value of the open effect. */
export function recordDeliveries(journal: Journal, count: number): void {
  if (count === DELIVERIES_MAX) journal.text(deliveriesText(count))
  else journal.integer(count)
}

/** Records the pending entry at `position`, whose ID is `id`, of the group in arguments `key` and `name`. */
export function recordClaim(
  ctx: CommandContext,
  args: Args,
  key: number,
  name: number,
  group: ConsumerGroup,
  position: number,
  id: StreamId,
): void {
  const journal = ctx.journal
  if (!journal.enabled) return
  const pending = group.pending
  const owner = pending.owner(position)
  if (owner === null) throw new TypeError('Cannot record an entry of nobody as claimed')
  journal.begin(ctx.db.index, 14)
  journal.text('XCLAIM')
  journal.arg(args, key)
  journal.arg(args, name)
  journal.text(owner.name)
  journal.text('0')
  recordId(journal, id)
  journal.text('TIME')
  journal.integer(pending.deliveryTime(position))
  journal.text('RETRYCOUNT')
  recordDeliveries(journal, pending.deliveryCount(position))
  journal.text('FORCE')
  journal.text('JUSTID')
  journal.text('LASTID')
  recordId(journal, group.lastId)
}

/** Records that an entry of the group is pending no longer. */
export function recordAck(ctx: CommandContext, args: Args, key: number, name: number, id: StreamId): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 4)
  journal.text('XACK')
  journal.arg(args, key)
  journal.arg(args, name)
  recordId(journal, id)
}

/** Records how far the group has read. */
export function recordGroupPosition(
  ctx: CommandContext,
  args: Args,
  key: number,
  name: number,
  group: ConsumerGroup,
): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 7)
  journal.text('XGROUP')
  journal.text('SETID')
  journal.arg(args, key)
  journal.arg(args, name)
  recordId(journal, group.lastId)
  journal.text('ENTRIESREAD')
  journal.integer(group.entriesRead)
}

/** Records that a consumer was created. */
export function recordConsumer(ctx: CommandContext, args: Args, key: number, name: number, consumer: Consumer): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 5)
  journal.text('XGROUP')
  journal.text('CREATECONSUMER')
  journal.arg(args, key)
  journal.arg(args, name)
  journal.text(consumer.name)
}

/** The consumer that argument `i` names, null when there is none. */
export function findConsumer(group: ConsumerGroup, args: Args, i: number): Consumer | null {
  return group.consumer(args.buffer, args.start(i), args.length(i))
}

/** Creates the consumer that argument `i` names in a group of the key in argument `key`, and announces it. */
export function createConsumer(
  ctx: CommandContext,
  args: Args,
  key: number,
  group: ConsumerGroup,
  i: number,
): Consumer {
  const consumer = group.addConsumer(args.text(i), ctx.now)
  ctx.markDirty(1)
  ctx.notify(args, key, Notify.Stream, 'xgroup-createconsumer')
  return consumer
}
