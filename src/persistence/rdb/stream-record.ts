/**
 * What a stream has beside its blocks, as RDB holds it: counters, groups, consumers and pending entries.
 *
 *     length | last ID | [first ID | greatest deleted ID | entries added] | groups: name, last ID, [entries read],
 *     pending entries (ID, delivery time, delivery count), consumers: name, seen time, [[active time]], IDs they own
 *
 * An entry that was released belongs to no consumer, for which there is no place: it is written as owned by the consumer
 * with the empty name, which stands for nobody if there is none. What is so is told beside the record (stream-extras.ts).
 *
 * The parts in brackets are in type 19 and 21, the one in double brackets in type 21 only. Numbers are RDB lengths,
 * times 8 bytes little endian, IDs of pending entries 16 bytes big endian. Source: Valkey 7.2 src/rdb.c rdbSaveObject.
 */
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import { type Consumer, DELIVERIES_MAX, type IdleEntry, NEVER_ACTIVE } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { RdbType } from './format.ts'
import type { RecordBuffer } from './record-buffer.ts'

/** Bytes of an ID in a file. */
export const STREAM_ID_BYTES = 16
/** Bytes of a pending entry and of its ID with its consumer: two IDs, a time and a delivery count, which is a small number. */
const PENDING_BYTES = 2 * STREAM_ID_BYTES + 8 + 1

const NONE: readonly IdleEntry[] = []

const id = new StreamId()

/** Writes what comes behind the blocks. `type` is one of the three of streams. */
export function writeStreamTail(out: RecordBuffer, stream: Stream, type: number): void {
  out.rdbLength(stream.length)
  writeIdAsLengths(out, stream.lastId)
  if (type !== RdbType.StreamListpacks) {
    writeIdAsLengths(out, stream.firstId)
    writeIdAsLengths(out, stream.maxDeletedId)
    out.rdbLength(stream.entriesAdded)
  }
  out.rdbLength(stream.groups.length)
  for (const group of stream.groups) {
    out.stringText(group.name)
    writeIdAsLengths(out, group.lastId)
    // "Unknown" is -1, which is written as the greatest unsigned number.
    if (type !== RdbType.StreamListpacks) {
      if (group.entriesRead < 0) out.rdbLengthWords(-1, -1)
      else out.rdbLength(group.entriesRead)
    }
    writePending(out, group)
    writeConsumers(out, group, type)
  }
}

/** Appends an ID as 16 bytes, big endian. */
export function writeStreamId(out: RecordBuffer, streamId: StreamId): void {
  out.uint32BigEndian(streamId.msHigh)
  out.uint32BigEndian(streamId.msLow)
  out.uint32BigEndian(streamId.seqHigh)
  out.uint32BigEndian(streamId.seqLow)
}

/** Whether a file that holds no active times would lose one: where it has none, it is taken from the seen time. */
export function hasActiveTimes(stream: Stream): boolean {
  for (const group of stream.groups) {
    for (const consumer of group.consumers) if (consumer.activeTime !== consumer.seenTime) return true
  }
  return false
}

/** Writes the active times of all consumers as a string of 8 bytes each, in the order in which the consumers come. */
export function writeActiveTimes(out: RecordBuffer, stream: Stream): void {
  let count = 0
  for (const group of stream.groups) count += group.consumers.length + (needsStandIn(group) ? 1 : 0)
  out.beginString(count * 8)
  for (const group of stream.groups) {
    if (needsStandIn(group)) out.int64(NEVER_ACTIVE)
    for (const consumer of group.consumers) out.int64(consumer.activeTime)
  }
}

function writePending(out: RecordBuffer, group: ConsumerGroup): void {
  const pending = group.pending
  out.rdbLength(pending.size)
  // All at once, or the buffer is copied again and again as it grows.
  out.reserve(pending.size * PENDING_BYTES)
  for (let at = pending.first(); at !== NO_POSITION; at = pending.next(at)) {
    pending.readId(at, id)
    writeStreamId(out, id)
    out.int64(pending.deliveryTime(at))
    const deliveries = pending.deliveryCount(at)
    if (deliveries === DELIVERIES_MAX) out.rdbLengthWords(0x7fffffff, -1)
    else out.rdbLength(deliveries)
  }
}

/** Whether entries were released and no consumer has the name under which they are written. */
export function needsStandIn(group: ConsumerGroup): boolean {
  return group.pending.releasedCount > 0 && namedNobody(group) === null
}

/** The consumer with the empty name, which comes first of all. */
export function namedNobody(group: ConsumerGroup): Consumer | null {
  const first = group.consumers[0]
  return first !== undefined && first.name === '' ? first : null
}

function writeConsumers(out: RecordBuffer, group: ConsumerGroup, type: number): void {
  const released = group.pending.releasedEntries()
  if (needsStandIn(group)) {
    out.rdbLength(group.consumers.length + 1)
    out.stringText('')
    out.int64(0)
    if (type === RdbType.StreamListpacks3) out.int64(NEVER_ACTIVE)
    out.rdbLength(released.length)
    for (const entry of released) writeStreamId(out, entry.id)
  } else {
    out.rdbLength(group.consumers.length)
  }
  for (const consumer of group.consumers) {
    out.stringText(consumer.name)
    out.int64(consumer.seenTime)
    if (type === RdbType.StreamListpacks3) out.int64(consumer.activeTime)
    const pending = consumer.pending
    const others = consumer.name === '' ? released : NONE
    out.rdbLength(pending.size + others.length)
    out.reserve((pending.size + others.length) * STREAM_ID_BYTES)
    for (const entry of others) writeStreamId(out, entry.id)
    for (let at = pending.first(); at !== NO_POSITION; at = pending.next(at)) {
      pending.readId(at, 0, id)
      writeStreamId(out, id)
    }
  }
}

function writeIdAsLengths(out: RecordBuffer, streamId: StreamId): void {
  out.rdbLengthWords(streamId.msHigh, streamId.msLow)
  out.rdbLengthWords(streamId.seqHigh, streamId.seqLow)
}
