/**
 * What a stream has that no type of RDB version 11 and below holds, as the value of an AUX field (AUX_STREAM_EXTRAS): in
 * files before the stream's record, in payloads of DUMP behind the value. Redis passes over both.
 *
 *     sections    tag (1 byte), content …
 *     1: idempotent IDs    duration (4), greatest number (4), added (8), duplicates (8), records (4), for each
 *                          producer, idempotent ID: length (4) and bytes; entry ID: 16 bytes, big endian
 *
 *     2: released entries  groups (4), for each its index (4), whether the consumer '' stands for nobody (1), entries (4),
 *                          their IDs: 16 bytes each, big endian; in the record they are owned by that consumer
 *
 * Numbers are little endian. Records and released entries come the oldest first.
 */
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import { DURATION_SECONDS_MAX, IdempotencyKey, IdempotentIds, MAXSIZE_MAX } from '../../structures/idempotent-ids.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { AUX_STREAM_EXTRAS, RdbOpcode } from './format.ts'
import { RecordBuffer } from './record-buffer.ts'
import { namedNobody, needsStandIn, STREAM_ID_BYTES, writeStreamId } from './stream-record.ts'

const Section = { IdempotentIds: 1, Released: 2 } as const
const SCRATCH_CAPACITY = 1024
const CORRUPT = 'Expected what a stream has beside its record'

/** Writes the field, if the stream has something of the kind. */
export function writeStreamExtras(out: RecordBuffer, stream: Stream): void {
  const releasing = stream.groups.filter((group) => group.pending.releasedCount > 0)
  if (stream.idempotentIds === null && releasing.length === 0) return
  const content = new RecordBuffer(SCRATCH_CAPACITY)
  if (stream.idempotentIds !== null) {
    content.byte(Section.IdempotentIds)
    writeIdempotentIds(content, stream.idempotentIds)
  }
  if (releasing.length > 0) {
    content.byte(Section.Released)
    content.uint32(releasing.length)
    for (const group of releasing) writeReleased(content, stream.groups.indexOf(group), group)
  }
  out.byte(RdbOpcode.Aux)
  out.stringText(AUX_STREAM_EXTRAS)
  out.string(content.bytes, 0, content.length)
}

/**
 * Gives a stream that was read what a field holds.
 *
 * @param seed of hash functions
 * @returns what is wrong with it, or null. The stream is sound in either case.
 */
export function readStreamExtras(stream: Stream, content: Buffer, seed: number): string | null {
  const reader = new ExtrasReader(content)
  while (reader.left > 0) {
    const section = reader.byte()
    if (section === Section.IdempotentIds && stream.idempotentIds === null) {
      if (!readIdempotentIds(reader, stream, seed)) return CORRUPT
    } else if (section !== Section.Released || !readReleased(reader, stream)) {
      return CORRUPT
    }
  }
  return null
}

function writeIdempotentIds(out: RecordBuffer, ids: IdempotentIds): void {
  out.uint32(ids.durationSeconds)
  out.uint32(ids.maxSize)
  out.int64(ids.added)
  out.int64(ids.duplicates)
  out.uint32(ids.size)
  for (const { producer, idempotentId, id } of ids.entries()) {
    writeText(out, producer)
    writeText(out, idempotentId)
    writeStreamId(out, id)
  }
}

function writeText(out: RecordBuffer, text: string): void {
  out.uint32(text.length)
  out.rawText(text)
}

/** Returns whether what was there makes sense. */
function readIdempotentIds(reader: ExtrasReader, stream: Stream, seed: number): boolean {
  const duration = reader.uint32()
  const maxSize = reader.uint32()
  // What the commands refuse must not get in here: a log that is rewritten as commands could not be loaded.
  if (duration < 1 || duration > DURATION_SECONDS_MAX || maxSize < 1 || maxSize > MAXSIZE_MAX) return false
  const ids = new IdempotentIds(stream.arena, seed, duration, maxSize)
  stream.idempotentIds = ids
  ids.added = reader.counter()
  ids.duplicates = reader.counter()
  const key = new IdempotencyKey()
  const id = new StreamId()
  for (let records = reader.uint32(); records > 0 && reader.isWhole; records--) {
    const producer = reader.bytes(reader.uint32())
    const idempotentId = reader.bytes(reader.uint32())
    reader.id(id)
    if (!reader.isWhole) break
    if (producer.length === 0 || idempotentId.length === 0) return false
    key.setProducer(producer, 0, producer.length)
    key.setId(idempotentId, 0, idempotentId.length)
    // Those whose time is over go when others come, as they would have without the file.
    ids.record(key, id, Number.NEGATIVE_INFINITY)
  }
  return reader.isWhole
}

function writeReleased(out: RecordBuffer, index: number, group: ConsumerGroup): void {
  out.uint32(index)
  out.byte(needsStandIn(group) ? 1 : 0)
  const entries = group.pending.releasedEntries()
  out.uint32(entries.length)
  for (const { id } of entries) writeStreamId(out, id)
}

/** Returns whether what was there makes sense. */
function readReleased(reader: ExtrasReader, stream: Stream): boolean {
  for (let groups = reader.uint32(); groups > 0 && reader.isWhole; groups--) {
    const group = stream.groups[reader.uint32()]
    if (!reader.isWhole || group === undefined || !readReleasedOf(reader, group)) return false
  }
  return reader.isWhole
}

function readReleasedOf(reader: ExtrasReader, group: ConsumerGroup): boolean {
  const { pending } = group
  const isStandIn = reader.byte() === 1
  const owner = namedNobody(group)
  const id = new StreamId()
  for (let entries = reader.uint32(); entries > 0; entries--) {
    reader.id(id)
    const position = reader.isWhole ? pending.find(id) : NO_POSITION
    if (position === NO_POSITION || owner === null || pending.owner(position) !== owner) return false
    pending.release(position, id, pending.deliveryCount(position))
  }
  if (isStandIn && owner !== null && owner.pending.size === 0) group.removeConsumer(owner)
  return reader.isWhole
}

/** Reads the content of a field; behind its end all is 0, and `isWhole` false. */
class ExtrasReader {
  isWhole = true
  private at = 0
  private readonly content: Buffer

  constructor(content: Buffer) {
    this.content = content
  }

  get left(): number {
    return this.content.length - this.at
  }

  byte(): number {
    return this.has(1) ? this.content.readUInt8(this.at - 1) : 0
  }

  uint32(): number {
    return this.has(4) ? this.content.readUInt32LE(this.at - 4) : 0
  }

  /** A number of 64 bits that is not negative; the greatest safe one for those beyond. */
  counter(): number {
    if (!this.has(8)) return 0
    return Math.min(Number(this.content.readBigUInt64LE(this.at - 8)), Number.MAX_SAFE_INTEGER)
  }

  bytes(length: number): Buffer {
    return this.has(length) ? this.content.subarray(this.at - length, this.at) : Buffer.alloc(0)
  }

  id(id: StreamId): void {
    if (!this.has(STREAM_ID_BYTES)) return
    const from = this.at - STREAM_ID_BYTES
    id.msHigh = this.content.readInt32BE(from)
    id.msLow = this.content.readInt32BE(from + 4)
    id.seqHigh = this.content.readInt32BE(from + 8)
    id.seqLow = this.content.readInt32BE(from + 12)
  }

  /** Moves on by so many bytes, if they are there. */
  private has(bytes: number): boolean {
    if (!this.isWhole || bytes > this.left) {
      this.isWhole = false
      return false
    }
    this.at += bytes
    return true
  }
}
