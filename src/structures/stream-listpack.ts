/**
 * Blocks of a stream as the listpacks in which Redis writes them to RDB files and DUMP payloads.
 *
 *     | total bytes: u32 | elements: u16 | entries, deleted entries, then the block (stream-block.ts) … | 0xff |
 */
import { packedBytesAt } from '../storage/packed.ts'
import type { Stream } from './stream.ts'
import {
  BlockImage,
  BlockWord,
  ELEMENTS_UNKNOWN,
  EntryFlag,
  elementEnd,
  INT64_ELEMENT,
  integerElementValue,
  LISTPACK_END_MARK,
  LISTPACK_HEADER_BYTES,
} from './stream-block.ts'
import { StreamId } from './stream-id.ts'

/** Flags, ms and seq. */
const ENTRY_HEAD_ELEMENTS = 3

const image = new BlockImage()

/** Bytes of the block at `position` as a listpack. */
export function blockListpackBytes(stream: Stream, position: number): number {
  return imageOf(stream, position).listpackBytes()
}

/** Writes the block at `position` as a listpack at `at`. Returns the offset behind it. */
export function writeBlockListpack(stream: Stream, position: number, target: Buffer, at: number): number {
  return imageOf(stream, position).writeListpack(stream.arena, target, at)
}

/**
 * Adds the listpack `source[start, start + length)` as the last block of a stream; `id` is the ID of its first entry.
 * Length and IDs of the stream are not touched: the file has them.
 *
 * @returns false, and adds nothing, when the bytes are no block of entries.
 */
export function addListpackBlock(stream: Stream, id: StreamId, source: Buffer, start: number, length: number): boolean {
  const reader = new BlockReader(source, start, length)
  if (!reader.readAll()) return false
  const last = readEntryId(source, reader.lastEntryAt, id)
  stream.addBlock(id, last, source, reader.start, reader.end - reader.start, {
    live: reader.live,
    deleted: reader.deleted,
    elements: reader.elements,
    entriesAt: reader.entriesAt - reader.start,
  })
  return true
}

function imageOf(stream: Stream, position: number): BlockImage {
  const blocks = stream.blocks
  image.ref = blocks.word(position, BlockWord.Ref) >>> 0
  image.used = blocks.word(position, BlockWord.Used)
  image.live = blocks.word(position, BlockWord.Live)
  image.deleted = blocks.word(position, BlockWord.Deleted)
  image.elements = blocks.word(position, BlockWord.Elements)
  return image
}

/** Reads a listpack of entries that may be malformed. */
class BlockReader {
  /** Where the block starts and ends in the source, and where its first and its last entry start. */
  start = 0
  end = 0
  entriesAt = 0
  lastEntryAt = 0
  live = 0
  deleted = 0
  elements = 0
  private readonly source: Buffer
  private readonly from: number
  private at: number

  constructor(source: Buffer, start: number, length: number) {
    this.source = source
    this.from = start
    this.at = start + LISTPACK_HEADER_BYTES
    this.end = start + length - 1
  }

  /** Returns whether the listpack is a well-formed block. */
  readAll(): boolean {
    const length = this.end + 1 - this.from
    if (length < LISTPACK_HEADER_BYTES + 1 || this.source.readUInt32LE(this.from) !== length) return false
    if (this.source[this.end] !== LISTPACK_END_MARK) return false
    this.live = this.integer()
    this.deleted = this.integer()
    this.start = this.at
    const masterFields = this.integer()
    if (!(this.live >= 0 && this.deleted >= 0 && masterFields >= 0)) return false
    for (let i = 0; i < masterFields; i++) if (!this.skip()) return false
    if (this.integer() !== 0) return false
    this.entriesAt = this.at
    let deleted = 0
    for (let i = 0; i < this.live + this.deleted; i++) {
      const flags = this.entry(masterFields)
      if (flags < 0) return false
      if ((flags & EntryFlag.Deleted) !== 0) deleted++
    }
    const announced = this.source.readUInt16LE(this.from + 4)
    const isCountRight = announced === ELEMENTS_UNKNOWN || announced === this.elements
    return this.at === this.end && deleted === this.deleted && isCountRight && this.live + this.deleted > 0
  }

  /** Reads an entry. Returns its flags, negative when it is malformed. */
  private entry(masterFields: number): number {
    this.lastEntryAt = this.at
    const flags = this.integer()
    // Flags are changed in place: they must be in one byte.
    if (Number.isNaN(flags) || this.source[this.lastEntryAt]! > (EntryFlag.Deleted | EntryFlag.SameFields)) return -1
    if (Number.isNaN(this.integer()) || Number.isNaN(this.integer())) return -1
    const hasMasterFields = (flags & EntryFlag.SameFields) !== 0
    const fields = hasMasterFields ? masterFields : this.integer()
    if (!(fields >= 0)) return -1
    const values = hasMasterFields ? fields : fields * 2
    for (let i = 0; i < values; i++) if (!this.skip()) return -1
    const elements = ENTRY_HEAD_ELEMENTS + values + (hasMasterFields ? 0 : 1)
    return this.integer() === elements ? flags : -1
  }

  /** Reads an integer element; NaN when there is none. */
  private integer(): number {
    const at = this.at
    const first = at < this.end ? this.source[at]! : LISTPACK_END_MARK
    const isInteger = first < 0x80 || (first >= 0xc0 && first < 0xe0) || (first >= 0xf1 && first <= 0xf4)
    if (!isInteger || !this.skip()) return Number.NaN
    return integerElementValue(this.source, at)
  }

  /** Moves behind an element. Returns false when none fits before the end, or its length behind it is wrong. */
  private skip(): boolean {
    const at = this.at
    const first = at < this.end ? this.source[at]! : LISTPACK_END_MARK
    if (first > 0xf4) return false
    // The bytes that say how long a string is must be there before they are read.
    if (first >= 0xe0 && at + (first === 0xf0 ? 5 : 2) > this.end) return false
    const bytes = packedBytesAt(this.source, at)
    if (at + bytes > this.end || !endsWithLength(this.source, at, bytes)) return false
    this.at = at + bytes
    this.elements++
    return true
  }
}

/** ID of the entry at `at` of a block whose first ID is `master`. */
function readEntryId(source: Buffer, at: number, master: StreamId): StreamId {
  const id = new StreamId()
  const msAt = elementEnd(source, at)
  const ms = int64Element(source, msAt)
  const seq = int64Element(source, elementEnd(source, msAt))
  const msSum = BigInt.asUintN(64, toBigInt(master.msHigh, master.msLow) + ms)
  const seqSum = BigInt.asUintN(64, toBigInt(master.seqHigh, master.seqLow) + seq)
  id.msHigh = Number(msSum >> 32n) | 0
  id.msLow = Number(msSum & 0xffffffffn) | 0
  id.seqHigh = Number(seqSum >> 32n) | 0
  id.seqLow = Number(seqSum & 0xffffffffn) | 0
  return id
}

function toBigInt(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** The value of an integer element, exact to the last bit. */
function int64Element(source: Buffer, at: number): bigint {
  return source[at] === INT64_ELEMENT ? source.readBigInt64LE(at + 1) : BigInt(integerElementValue(source, at))
}

/** Whether the last bytes of an element say how long the part before them is. */
function endsWithLength(source: Buffer, at: number, bytes: number): boolean {
  let value = 0
  let scale = 1
  let back = at + bytes - 1
  let count = 1
  for (;;) {
    value += (source[back]! & 127) * scale
    if ((source[back]! & 128) === 0) break
    if (count === 5 || back === at) return false
    scale *= 128
    back--
    count++
  }
  return value + count === bytes
}
