/**
 * Reads a stream with its groups, pending entries and consumers (types 15, 19 and 21).
 *
 *     blocks      | count | (ID of the first entry, listpack) … |
 *     state       | length | last ID | 19: first ID, greatest deleted ID, entries added |
 *     groups      | count | (name, last ID, 19: entries read, pending entries, consumers) … |
 *     pending     | count | (ID, delivery time, delivery count) … |
 *     consumers   | count | (name, seen time, 21: active time, count, ID …) … |
 *
 * Source: Valkey src/rdb.c `rdbLoadObject`, RDB_TYPE_STREAM_LISTPACKS.
 */
import { type ConsumerGroup, ENTRIES_READ_UNKNOWN, ConsumerGroup as Group } from '../../structures/consumer-group.ts'
import { IdTable, NO_POSITION } from '../../structures/id-table.ts'
import { type Consumer, toDeliveries } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { addListpackBlock } from '../../structures/stream-listpack.ts'
import { RdbType } from './format.ts'
import type { RdbInput, RdbString } from './rdb-input.ts'
import { Step, type Steps } from './read-collections.ts'

const ID_BYTES = 16
/** ID, delivery time and count of a pending entry. */
const PENDING_BYTES_MIN = 25
const SAFE_HIGH_END = 0x200000
const TWO_32 = 4294967296
/** Pending entries of a group until their consumers are known: time, count, whether one has claimed it. */
const PENDING_STRIDE = 10
const TIME_WORD = 4
const COUNT_WORD = 6
const OWNED_WORD = 8
/** Entries between two looks at whether it is time for a pause. */
const CHECK_ENTRIES = 4096

/** Reads the content of an empty stream. */
export function* readStream(input: RdbInput, text: RdbString, stream: Stream, type: number): Steps {
  yield* readBlocks(input, text, stream)
  readState(input, stream, type)
  yield* checkEntries(input, stream)
  if (type === RdbType.StreamListpacks) stream.updateFirstId()
  for (let groups = input.count(1); groups > 0; groups--) yield* readGroup(input, text, stream, type)
}

function* readBlocks(input: RdbInput, text: RdbString, stream: Stream): Steps {
  const id = new StreamId()
  for (let blocks = input.count(2); blocks > 0; blocks--) {
    input.string(text)
    if (text.length !== ID_BYTES) throw input.error(`Expected the ID of a block, found ${text.length} bytes`)
    readRawId(text.buffer, text.start, id)
    const tail = stream.blocks.last()
    if (tail !== NO_POSITION && stream.blocks.compareAt(tail, id) >= 0) {
      throw input.error('Expected blocks of a stream in the order of their IDs')
    }
    input.string(text)
    if (!addListpackBlock(stream, id, text.buffer, text.start, text.length)) {
      throw input.error(`Stream listpack integrity check failed: expected entries in ${text.length} bytes`)
    }
    yield Step.Element
  }
}

function readState(input: RdbInput, stream: Stream, type: number): void {
  stream.length = input.length()
  readLengthId(input, stream.lastId)
  if (type === RdbType.StreamListpacks) {
    stream.entriesAdded = stream.length
    return
  }
  readLengthId(input, stream.firstId)
  readLengthId(input, stream.maxDeletedId)
  stream.entriesAdded = input.length()
}

/** Entries that are not deleted must be as many as announced, their IDs rising up to the last ID of the stream. */
function* checkEntries(input: RdbInput, stream: Stream): Steps {
  const cursor = new StreamCursor()
  const previous = new StreamId()
  const max = new StreamId()
  max.setMax()
  let count = 0
  cursor.openForward(stream, previous, max, null)
  while (cursor.next()) {
    if (count > 0 && cursor.id.compare(previous) <= 0) throw input.error('Expected entries in the order of their IDs')
    previous.copy(cursor.id)
    count++
    if (count % CHECK_ENTRIES === 0) yield Step.Long
  }
  if (count !== stream.length) throw input.error(`Expected ${stream.length} entries in a stream, found ${count}`)
  const isLastRight = count === 0 || previous.compare(stream.lastId) <= 0
  if (!isLastRight) throw input.error('Expected no entry behind the last ID of a stream')
}

function* readGroup(input: RdbInput, text: RdbString, stream: Stream, type: number): Steps {
  input.string(text)
  if (stream.groupIndex(text.buffer, text.start, text.length) >= 0) {
    throw input.error('Duplicated consumer group name: expected each group of a stream once')
  }
  const name = text.text()
  const lastId = new StreamId()
  readLengthId(input, lastId)
  const entriesRead = type === RdbType.StreamListpacks ? stream.entriesUpTo(lastId) : readEntriesRead(input)
  const group = new Group(stream.arena, name, lastId, entriesRead)
  stream.addGroup(group)
  const pending = new IdTable(stream.arena, PENDING_STRIDE)
  let owned = 0
  try {
    yield* readPending(input, pending)
    for (let consumers = input.count(1); consumers > 0; consumers--) {
      const consumer = readConsumer(input, text, group, type)
      owned += yield* readOwned(input, group, consumer, pending)
    }
    owned -= pending.size
  } finally {
    pending.clear()
  }
  if (owned !== 0) throw input.error('Expected a consumer for each pending entry')
}

function* readPending(input: RdbInput, pending: IdTable): Steps {
  const id = new StreamId()
  for (let entries = input.count(PENDING_BYTES_MIN); entries > 0; entries--) {
    readFileId(input, id)
    if (pending.find(id) !== NO_POSITION) throw input.error('Expected each pending entry of a group once')
    const position = pending.insert(id)
    pending.setDouble(position, TIME_WORD, clampToSafe(input.int64()))
    pending.setDouble(position, COUNT_WORD, readDeliveries(input))
    if (entries % CHECK_ENTRIES === 0) yield Step.Long
  }
}

function readConsumer(input: RdbInput, text: RdbString, group: ConsumerGroup, type: number): Consumer {
  input.string(text)
  if (group.consumer(text.buffer, text.start, text.length) !== null) {
    throw input.error('Duplicate stream consumer detected: expected each consumer of a group once')
  }
  const consumer = group.addConsumer(text.text(), 0)
  consumer.seenTime = clampToSafe(input.int64())
  // Without the time itself this is the best estimate there is.
  consumer.activeTime = type === RdbType.StreamListpacks3 ? clampToSafe(input.int64()) : consumer.seenTime
  return consumer
}

/** Reads what is pending for a consumer. Returns how many entries that are. */
function* readOwned(input: RdbInput, group: ConsumerGroup, consumer: Consumer, pending: IdTable): Steps<number> {
  const id = new StreamId()
  const count = input.count(ID_BYTES)
  for (let entries = count; entries > 0; entries--) {
    readFileId(input, id)
    const position = pending.find(id)
    if (position === NO_POSITION) throw input.error('Expected a pending entry of the group')
    if (pending.word(position, OWNED_WORD) !== 0) throw input.error('Expected one consumer for each pending entry')
    pending.setWord(position, OWNED_WORD, 1)
    group.pending.add(id, consumer, pending.double(position, TIME_WORD), pending.double(position, COUNT_WORD))
    if (entries % CHECK_ENTRIES === 0) yield Step.Long
  }
  return count
}

/** How often an entry was delivered: any number of 64 bits. */
function readDeliveries(input: RdbInput): number {
  input.words()
  return toDeliveries((input.high >>> 0) * TWO_32 + (input.low >>> 0))
}

/** How many entries a group has read: ENTRIES_READ_UNKNOWN is written as -1 in 64 bits. */
function readEntriesRead(input: RdbInput): number {
  input.words()
  if ((input.high & input.low) === -1) return ENTRIES_READ_UNKNOWN
  if (input.high >>> 0 >= SAFE_HIGH_END) throw input.error('Expected the entries that a group has read')
  return input.high * TWO_32 + (input.low >>> 0)
}

/** An ID as two lengths. */
function readLengthId(input: RdbInput, id: StreamId): void {
  input.words()
  id.msHigh = input.high
  id.msLow = input.low
  input.words()
  id.seqHigh = input.high
  id.seqLow = input.low
}

/** An ID as 16 bytes of the file, most significant first. */
function readFileId(input: RdbInput, id: StreamId): void {
  input.need(ID_BYTES)
  readRawId(input.buffer, input.at, id)
  input.at += ID_BYTES
}

function readRawId(buffer: Buffer, at: number, id: StreamId): void {
  id.msHigh = buffer.readInt32BE(at)
  id.msLow = buffer.readInt32BE(at + 4)
  id.seqHigh = buffer.readInt32BE(at + 8)
  id.seqLow = buffer.readInt32BE(at + 12)
}

/** The nearest number that arithmetic with times is exact for. */
export function clampToSafe(value: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))
}
