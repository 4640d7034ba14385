/**
 * What a stream has beside its blocks, as RDB holds it: counters, groups, consumers and pending entries.
 *
 *     length | last ID | [first ID | greatest deleted ID | entries added] | groups: name, last ID, [entries read],
 *     pending entries (ID, delivery time, delivery count), consumers: name, seen time, [[active time]], IDs they own
 *
 * The parts in brackets are in type 19 and 21, the one in double brackets in type 21 only. Numbers are RDB lengths,
 * times 8 bytes little endian, IDs of pending entries 16 bytes big endian. Source: Valkey 7.2 src/rdb.c rdbSaveObject.
 */
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { RdbType } from './format.ts'
import type { RecordBuffer } from './record-buffer.ts'

/** Bytes of an ID in a file. */
export const STREAM_ID_BYTES = 16
/** Bytes of a pending entry and of its ID with its consumer: two IDs, a time and a delivery count, which is a small number. */
const PENDING_BYTES = 2 * STREAM_ID_BYTES + 8 + 1

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
  for (const group of stream.groups) count += group.consumers.length
  out.beginString(count * 8)
  for (const group of stream.groups) {
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
    out.rdbLength(pending.deliveryCount(at))
  }
}

function writeConsumers(out: RecordBuffer, group: ConsumerGroup, type: number): void {
  out.rdbLength(group.consumers.length)
  for (const consumer of group.consumers) {
    out.stringText(consumer.name)
    out.int64(consumer.seenTime)
    if (type === RdbType.StreamListpacks3) out.int64(consumer.activeTime)
    const pending = consumer.pending
    out.rdbLength(pending.size)
    out.reserve(pending.size * STREAM_ID_BYTES)
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
