/**
 * A stream: entries in the order of their IDs, and the consumer groups that read them. Hot path.
 *
 * Entries lie in blocks of up to `stream-node-max-entries` or `stream-node-max-bytes`, one arena block each (layout:
 * stream-block.ts), which begin and end exactly where Redis' nodes do: approximate trimming removes whole blocks. The
 * table of blocks is ordered by the ID of the first entry, so a range is found by binary search and read through a
 * StreamCursor. Deleting marks the entry; a block goes when its last entry is deleted, trimmed or not.
 *
 * Besides the entries a stream knows its last ID (also after that entry is gone), the first ID, the greatest ID that XDEL
 * removed and how many entries were ever added; from these the lag of a group follows. Source of the rules: Valkey 7.2
 * src/t_stream.c.
 */
import { type Arena, copyBytes, type Ref } from '../storage/arena.ts'
import { type ConsumerGroup, ENTRIES_READ_UNKNOWN, insertNamed, searchNamed } from './consumer-group.ts'
import { IdTable, NO_POSITION } from './id-table.ts'
import type { IdempotentIds } from './idempotent-ids.ts'
import type { Collection } from './kind.ts'
import {
  BLOCK_STRIDE,
  type BlockSequence,
  BlockWord,
  EntryFlag,
  EntryValues,
  elementEnd,
  IdDelta,
  integerElementBytes,
  integerElementValue,
  listpackBytes,
  writeIntegerElement,
} from './stream-block.ts'
import { SeekHint, StreamCursor } from './stream-cursor.ts'
import { StreamId } from './stream-id.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'
import { type BlockOwner, BlockWalk } from './walk-blocks.ts'
import { copyBlockRows, deliverBlockRow, STREAM_ROW_WORDS } from './walk-stream.ts'

/** Most bytes of fields and values in one entry, and of a block whatever the setting says. */
export const STREAM_ENTRY_MAX_BYTES = 1 << 30

/** Whether trimming may leave more than asked so that it removes whole blocks only. */
export const TrimMode = { Exact: 0, Approximate: 1 } as const

const OBJECT_BYTES = 1024
/** Most room that is taken ahead of the entries to come. */
const ROOM_BYTES_MAX = 4096
/** Flags, sequence and element count aside, elements of an entry: flags, ms and seq. */
const ENTRY_HEAD_ELEMENTS = 3

// Handlers are synchronous: one of each is enough for all streams.
const values = new EntryValues()
const delta = new IdDelta()
const master = new StreamId()
const blockId = new StreamId()
const searchCursor = new StreamCursor()
const minId = new StreamId()
const maxId = new StreamId()
maxId.setMax()

/** What a block's row says of it; see BlockWord. */
export interface BlockCounts {
  readonly live: number
  readonly deleted: number
  readonly elements: number
  readonly entriesAt: number
}

export class Stream implements Collection, BlockOwner, BlockSequence {
  readonly arena: Arena
  /** Blocks by the ID of their first entry; words as in BlockWord. For cursors and snapshots, read only. */
  readonly blocks: IdTable
  epoch = 0
  /** Number of entries. */
  length = 0
  /** Entries ever added, as the stream knows it. */
  entriesAdded = 0
  readonly lastId: StreamId = new StreamId()
  /** ID of the first entry as recorded by adds, deletes and trims; 0-0 when there is none. */
  readonly firstId: StreamId = new StreamId()
  readonly maxDeletedId: StreamId = new StreamId()
  /** Sorted by name. */
  readonly groups: ConsumerGroup[] = []
  /** What producers with idempotent IDs have added; null until one has, or a setting for them was made. */
  idempotentIds: IdempotentIds | null = null
  /** Where an entry was sought last. */
  readonly hint: SeekHint = new SeekHint()
  private readonly newestId = new StreamId()
  private isNewestKnown = true
  private walk: BlockWalk | null = null

  constructor(arena: Arena) {
    this.arena = arena
    this.blocks = new IdTable(arena, BLOCK_STRIDE)
  }

  /**
   * Puts the ID that an entry added now gets into `id`.
   *
   * @returns false when the last possible ID is used up.
   */
  nextId(nowMs: number, id: StreamId): boolean {
    if (this.lastId.compareMs(nowMs) < 0) {
      id.set(nowMs, 0)
      return true
    }
    id.copy(this.lastId)
    return id.increment()
  }

  /**
   * Gives `id`, whose time part is set, the sequence that follows in that millisecond.
   *
   * @returns false when there is none left.
   */
  nextSequence(id: StreamId): boolean {
    if (this.lastId.msLow !== id.msLow || this.lastId.msHigh !== id.msHigh) {
      id.seqHigh = 0
      id.seqLow = 0
      return true
    }
    if ((this.lastId.seqHigh & this.lastId.seqLow) === -1) return false
    id.copy(this.lastId)
    return id.increment()
  }

  /**
   * Adds an entry whose fields and values are `count` byte ranges of `source` from `first` on, field and value in turn.
   * `id` must be greater than the last ID, and the bytes no more than STREAM_ENTRY_MAX_BYTES.
   *
   * @param blockBytesMax stream-node-max-bytes, 0: no limit
   * @param blockEntriesMax stream-node-max-entries, 0: no limit
   */
  append(
    id: StreamId,
    source: Uint8Array,
    offsets: Int32Array,
    lengths: Int32Array,
    first: number,
    count: number,
    blockBytesMax: number,
    blockEntriesMax: number,
  ): void {
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += lengths[first + i]!
    values.open(source, offsets, lengths, first, count)
    const block = this.blocks.last()
    if (block !== NO_POSITION && !this.isFull(block, bytes, blockBytesMax, blockEntriesMax)) {
      this.appendToBlock(block, id, count)
    } else {
      if (block !== NO_POSITION) this.shrinkToFit(block)
      this.appendBlock(id, count)
    }
    values.close()
    this.length++
    this.entriesAdded++
    this.lastId.copy(id)
    if (this.length === 1) this.firstId.copy(id)
    this.newestId.copy(id)
    this.isNewestKnown = true
  }

  /** Whether the entry exists. */
  has(id: StreamId): boolean {
    searchCursor.openForward(this, id, id, this.hint)
    return searchCursor.next()
  }

  /** Puts the ID of the newest entry into `id`. Returns false when the stream is empty. */
  newestEntryId(id: StreamId): boolean {
    if (this.length === 0) return false
    if (!this.isNewestKnown) {
      searchCursor.openBackward(this, minId, maxId)
      searchCursor.next()
      this.newestId.copy(searchCursor.id)
      this.isNewestKnown = true
    }
    id.copy(this.newestId)
    return true
  }

  /** Puts the ID of the first entry into `id`, be it marked as deleted; the greatest ID when there is no block. */
  firstStoredId(id: StreamId): void {
    const block = this.blocks.first()
    if (block === NO_POSITION) id.setMax()
    else this.blocks.readId(block, 0, id)
  }

  /** Deletes an entry as XDEL does. Returns whether it existed; `updateFirstId` must follow. */
  delete(id: StreamId): boolean {
    searchCursor.openForward(this, id, id, this.hint)
    if (!searchCursor.next()) return false
    this.deleteAt(searchCursor)
    if (id.compare(this.maxDeletedId) > 0) this.maxDeletedId.copy(id)
    return true
  }

  /** Records the first ID anew after entries were deleted. */
  updateFirstId(): void {
    if (this.length === 0) {
      this.firstId.setMin()
      return
    }
    searchCursor.openForward(this, minId, maxId, null)
    searchCursor.next()
    this.firstId.copy(searchCursor.id)
  }

  /**
   * Removes the oldest entries until `lengthMax` are left.
   *
   * @param mode one of TrimMode
   * @param limit entries to remove at most, 0: all
   * @returns how many were removed.
   */
  trimByLength(lengthMax: number, mode: number, limit: number): number {
    let removed = 0
    while (this.length > lengthMax) {
      const block = this.blocks.first()
      if (block === NO_POSITION) break
      const live = this.blocks.word(block, BlockWord.Live)
      if (limit > 0 && removed + live > limit) break
      if (this.length - live < lengthMax) {
        if (mode === TrimMode.Exact) removed += this.trimInBlock(maxId, this.length - lengthMax)
        break
      }
      this.removeBlock(block)
      removed += live
    }
    this.afterTrim(removed)
    return removed
  }

  /** As `trimByLength`, removing the entries before `from`. */
  trimByMinId(from: StreamId, mode: number, limit: number): number {
    let removed = 0
    for (;;) {
      const block = this.blocks.first()
      if (block === NO_POSITION) break
      const live = this.blocks.word(block, BlockWord.Live)
      if (limit > 0 && removed + live > limit) break
      this.blocks.readId(block, BlockWord.LastId, blockId)
      if (blockId.compare(from) >= 0) {
        if (mode === TrimMode.Exact) removed += this.trimInBlock(from, live)
        break
      }
      this.removeBlock(block)
      removed += live
    }
    this.afterTrim(removed)
    return removed
  }

  /** Index in `groups` of the group named `source[start, start + length)`; negative when there is none. */
  groupIndex(source: Uint8Array, start: number, length: number): number {
    return searchNamed(this.groups, source, start, length)
  }

  /** The group named `source[start, start + length)`, or null. */
  group(source: Uint8Array, start: number, length: number): ConsumerGroup | null {
    const index = searchNamed(this.groups, source, start, length)
    return index < 0 ? null : this.groups[index]!
  }

  /** Adds a group whose name is new. */
  addGroup(group: ConsumerGroup): void {
    insertNamed(this.groups, group)
  }

  removeGroup(index: number): void {
    for (const group of this.groups.splice(index, 1)) group.free()
  }

  /**
   * How many entries were added up to and including `id`, from the first one ever; ENTRIES_READ_UNKNOWN when deleted
   * entries or the position of the ID make that unknowable.
   * Source: Valkey src/t_stream.c streamEstimateDistanceFromFirstEverEntry.
   */
  entriesUpTo(id: StreamId): number {
    if (this.entriesAdded === 0) return 0
    const order = id.compare(this.lastId)
    if (this.length === 0 && order <= 0) return this.entriesAdded
    if (order === 0) return this.entriesAdded
    if (order > 0) return ENTRIES_READ_UNKNOWN
    if (!this.maxDeletedId.isMin() && this.maxDeletedId.compare(this.firstId) >= 0) return ENTRIES_READ_UNKNOWN
    const orderToFirst = id.compare(this.firstId)
    if (orderToFirst < 0) return this.entriesAdded - this.length
    if (orderToFirst === 0) return this.entriesAdded - this.length + 1
    return ENTRIES_READ_UNKNOWN
  }

  /** Whether an entry from `from` on may have been deleted by XDEL. Source: streamRangeHasTombstones. */
  hasDeletedFrom(from: StreamId): boolean {
    if (this.length === 0 || this.maxDeletedId.isMin()) return false
    if (this.firstId.compare(this.maxDeletedId) > 0) return false
    return from.compare(this.maxDeletedId) <= 0
  }

  /** Records that `group` was delivered the entry `id`, if that is further than it had read. Returns whether it was. */
  advanceGroup(group: ConsumerGroup, id: StreamId): boolean {
    if (id.compare(group.lastId) <= 0) return false
    if (group.entriesRead !== ENTRIES_READ_UNKNOWN && !this.hasDeletedFrom(id)) group.entriesRead++
    else if (this.entriesAdded > 0) group.entriesRead = this.entriesUpTo(id)
    group.lastId.copy(id)
    return true
  }

  /** Entries that the group has not been delivered yet; null when that is unknown. Source: streamReplyWithCGLag. */
  lag(group: ConsumerGroup): number | null {
    if (this.entriesAdded === 0) return 0
    if (group.entriesRead !== ENTRIES_READ_UNKNOWN && !this.hasDeletedFrom(group.lastId)) {
      return this.entriesAdded - group.entriesRead
    }
    const read = this.entriesUpTo(group.lastId)
    return read === ENTRIES_READ_UNKNOWN ? null : this.entriesAdded - read
  }

  /**
   * Adds a block that was checked (stream-listpack.ts) behind the others. Length and IDs of the stream are the caller's
   * to set.
   */
  addBlock(first: StreamId, last: StreamId, source: Buffer, start: number, bytes: number, counts: BlockCounts): void {
    const block = this.blocks.insert(first)
    this.blocks.writeId(block, BlockWord.LastId, last)
    this.blocks.setWord(block, BlockWord.Ref, this.arena.store(source, start, bytes))
    this.blocks.setWord(block, BlockWord.Used, bytes)
    this.blocks.setWord(block, BlockWord.Live, counts.live)
    this.blocks.setWord(block, BlockWord.Deleted, counts.deleted)
    this.blocks.setWord(block, BlockWord.Elements, counts.elements)
    this.blocks.setWord(block, BlockWord.EntriesAt, counts.entriesAt)
    this.isNewestKnown = false
    this.epoch++
  }

  /** A stream of its own with the same blocks and groups. */
  clone(): Stream {
    const copy = new Stream(this.arena)
    copy.blocks.copyFrom(this.blocks)
    for (let block = copy.blocks.first(); block !== NO_POSITION; block = copy.blocks.next(block)) {
      const ref = copy.blocks.word(block, BlockWord.Ref) >>> 0
      const used = copy.blocks.word(block, BlockWord.Used)
      const copied = this.arena.store(this.arena.segment(ref), this.arena.offset(ref), used)
      copy.blocks.setWord(block, BlockWord.Ref, copied)
    }
    copy.length = this.length
    copy.entriesAdded = this.entriesAdded
    copy.lastId.copy(this.lastId)
    copy.firstId.copy(this.firstId)
    copy.maxDeletedId.copy(this.maxDeletedId)
    copy.isNewestKnown = false
    for (const group of this.groups) copy.groups.push(group.clone())
    if (this.idempotentIds !== null) copy.idempotentIds = this.idempotentIds.clone()
    return copy
  }

  /** The walk delivers the blocks; length, IDs and groups are to be read when it begins. */
  beginWalk(): CollectionWalk {
    if (this.walk !== null) throw new Error('A walk over this stream is open')
    this.walk = new BlockWalk(this, copyBlockRows(this.blocks), STREAM_ROW_WORDS)
    return this.walk
  }

  free(): void {
    for (let block = this.blocks.first(); block !== NO_POSITION; block = this.blocks.next(block)) {
      this.release(block)
    }
    this.blocks.clear()
    for (const group of this.groups.splice(0)) group.free()
    this.freeIdempotentIds()
  }

  freeSome(limit: number): boolean {
    let left = limit
    for (; left > 0 && this.blocks.size > 0; left--) this.removeBlock(this.blocks.last())
    // A group goes in one piece: what it holds are typed arrays, whatever is pending.
    for (; left > 0 && this.groups.length > 0; left--) this.groups.pop()!.free()
    if (this.blocks.size > 0 || this.groups.length > 0) return false
    if (this.idempotentIds !== null && !this.idempotentIds.freeSome(left)) return false
    this.freeIdempotentIds()
    this.blocks.clear()
    return true
  }

  // For the walk; see BlockOwner.

  deliverBlock(rows: Int32Array, at: number, sink: ElementSink): void {
    deliverBlockRow(this.arena, rows, at, sink)
  }

  walkEnded(): void {
    this.walk = null
  }

  arenaBytes(): number {
    let bytes = 0
    for (let block = this.blocks.first(); block !== NO_POSITION; block = this.blocks.next(block)) {
      bytes += this.arena.capacity(this.blocks.word(block, BlockWord.Ref) >>> 0)
    }
    return bytes + (this.idempotentIds === null ? 0 : this.idempotentIds.arenaBytes())
  }

  arenaBlocks(): number {
    return this.blocks.size + (this.idempotentIds === null ? 0 : this.idempotentIds.arenaBlocks())
  }

  get objectBytes(): number {
    return OBJECT_BYTES
  }

  freeSteps(): number {
    let steps = this.blocks.size + this.groups.length
    for (const group of this.groups) steps += group.consumers.length + group.pending.size
    if (this.idempotentIds !== null) steps += this.idempotentIds.size
    return steps
  }

  overheadBytes(): number {
    let bytes = OBJECT_BYTES + this.blocks.overheadBytes()
    for (const group of this.groups) bytes += group.overheadBytes()
    if (this.idempotentIds !== null) bytes += this.idempotentIds.overheadBytes()
    return bytes
  }

  private freeIdempotentIds(): void {
    this.idempotentIds?.free()
    this.idempotentIds = null
  }

  /** Whether an entry with `bytes` of fields and values needs a block of its own. Source: streamAppendItem. */
  private isFull(block: number, bytes: number, blockBytesMax: number, blockEntriesMax: number): boolean {
    const bytesMax =
      blockBytesMax === 0 || blockBytesMax > STREAM_ENTRY_MAX_BYTES ? STREAM_ENTRY_MAX_BYTES : blockBytesMax
    const words = this.blocks.rowWords(block)
    const row = this.blocks.rowStart(block)
    const live = words[row + BlockWord.Live]!
    const deleted = words[row + BlockWord.Deleted]!
    if (blockEntriesMax > 0 && live + deleted >= blockEntriesMax) return true
    return listpackBytes(words[row + BlockWord.Used]!, live, deleted) + bytes >= bytesMax
  }

  /** Gives back the room behind the entries of a block that is full. */
  private shrinkToFit(block: number): void {
    this.resize(block, this.blocks.word(block, BlockWord.Used))
  }

  private appendBlock(id: StreamId, count: number): void {
    const fields = count >>> 1
    let bytes = integerElementBytes(fields) + integerElementBytes(0)
    for (let i = 0; i < count; i += 2) bytes += values.measure(i)
    const entriesAt = bytes
    const elements = ENTRY_HEAD_ELEMENTS + fields
    // Flags and both differences, which are 0, take two bytes each.
    bytes += 6 + integerElementBytes(elements)
    for (let i = 1; i < count; i += 2) bytes += values.measure(i)

    const ref = this.arena.alloc(bytes)
    const buffer = this.arena.segment(ref)
    let at = writeIntegerElement(buffer, this.arena.offset(ref), fields)
    for (let i = 0; i < count; i += 2) at = values.write(i, buffer, at)
    at = writeIntegerElement(buffer, at, 0)
    at = writeIntegerElement(buffer, at, EntryFlag.SameFields)
    at = writeIntegerElement(buffer, at, 0)
    at = writeIntegerElement(buffer, at, 0)
    for (let i = 1; i < count; i += 2) at = values.write(i, buffer, at)
    writeIntegerElement(buffer, at, elements)

    const block = this.blocks.insert(id)
    this.blocks.writeId(block, BlockWord.LastId, id)
    this.blocks.setWord(block, BlockWord.Ref, ref)
    this.blocks.setWord(block, BlockWord.Live, 1)
    // Counts of entries and of deleted ones, field count, fields, the terminator; the entry and its element count.
    this.blocks.setWord(block, BlockWord.Elements, fields + 4 + elements + 1)
    this.blocks.setWord(block, BlockWord.EntriesAt, entriesAt)
    this.blocks.setWord(block, BlockWord.Used, bytes)
  }

  private appendToBlock(block: number, id: StreamId, count: number): void {
    const words = this.blocks.rowWords(block)
    const row = this.blocks.rowStart(block)
    this.blocks.readId(block, 0, master)
    delta.set(id, master)
    let ref = words[row + BlockWord.Ref]! >>> 0
    const fields = count >>> 1
    const hasMasterFields = this.hasFields(ref, count)
    const step = hasMasterFields ? 2 : 1
    const elements = hasMasterFields ? ENTRY_HEAD_ELEMENTS + fields : ENTRY_HEAD_ELEMENTS + 1 + count
    let bytes = 2 + delta.bytes + integerElementBytes(elements)
    if (!hasMasterFields) bytes += integerElementBytes(fields)
    for (let i = step - 1; i < count; i += step) bytes += values.measure(i)

    const used = words[row + BlockWord.Used]!
    if (used + bytes > this.arena.length(ref)) {
      // Twice the room each time: few copies, and what is left over is given back when the block is full.
      const room = used < ROOM_BYTES_MAX ? used : ROOM_BYTES_MAX
      ref = this.resize(block, used + (bytes > room ? bytes : room))
    }
    const buffer = this.arena.segment(ref)
    let at = this.arena.offset(ref) + used
    at = writeIntegerElement(buffer, at, hasMasterFields ? EntryFlag.SameFields : 0)
    at = delta.write(buffer, at)
    if (!hasMasterFields) at = writeIntegerElement(buffer, at, fields)
    for (let i = step - 1; i < count; i += step) at = values.write(i, buffer, at)
    writeIntegerElement(buffer, at, elements)

    words[row + BlockWord.Used] = used + bytes
    words[row + BlockWord.Live] = words[row + BlockWord.Live]! + 1
    words[row + BlockWord.Elements] = words[row + BlockWord.Elements]! + elements + 1
    this.blocks.writeId(block, BlockWord.LastId, id)
  }

  /** Whether the fields of the open values are the master fields of a block. */
  private hasFields(ref: number, count: number): boolean {
    const buffer = this.arena.segment(ref)
    let at = this.arena.offset(ref)
    if (integerElementValue(buffer, at) !== count >>> 1) return false
    at = elementEnd(buffer, at)
    for (let i = 0; i < count; i += 2) {
      if (!values.equals(i, buffer, at)) return false
      at = elementEnd(buffer, at)
    }
    return true
  }

  /** Marks the entry on which the cursor stands as deleted; the block goes with its last entry. */
  deleteAt(cursor: StreamCursor): void {
    const block = cursor.block
    const live = this.blocks.word(block, BlockWord.Live) - 1
    if (cursor.id.equals(this.newestId)) this.isNewestKnown = false
    this.length--
    if (live === 0) {
      this.blocks.setWord(block, BlockWord.Live, 0)
      this.removeBlockRow(block)
      return
    }
    this.markDeleted(cursor)
  }

  private markDeleted(cursor: StreamCursor): void {
    const block = cursor.block
    if (this.walk !== null) {
      const offset = cursor.entryAt - this.arena.offset(this.blocks.word(block, BlockWord.Ref) >>> 0)
      this.walk.beforeWrite(this.blocks.word(block, BlockWord.Ticket), offset, offset + 1)
    }
    // Flags take seven bits: they change in place.
    cursor.blockBuffer[cursor.entryAt]! |= EntryFlag.Deleted
    this.blocks.setWord(block, BlockWord.Live, this.blocks.word(block, BlockWord.Live) - 1)
    this.blocks.setWord(block, BlockWord.Deleted, this.blocks.word(block, BlockWord.Deleted) + 1)
  }

  /**
   * Marks entries of the first block as deleted: those before `from`, `count` at most. The block stays, even when all
   * its entries are deleted, as in Redis.
   */
  private trimInBlock(from: StreamId, count: number): number {
    let removed = 0
    searchCursor.openForward(this, minId, maxId, null)
    while (removed < count && searchCursor.next()) {
      if (searchCursor.id.compare(from) >= 0 || searchCursor.block !== this.blocks.first()) break
      this.markDeleted(searchCursor)
      this.length--
      removed++
    }
    return removed
  }

  private afterTrim(removed: number): void {
    if (this.length === 0) this.firstId.setMin()
    else if (removed > 0) this.updateFirstId()
    if (removed > 0 && this.newestId.compare(this.firstId) < 0) this.isNewestKnown = false
  }

  private removeBlock(block: number): void {
    this.length -= this.blocks.word(block, BlockWord.Live)
    this.removeBlockRow(block)
  }

  private removeBlockRow(block: number): void {
    this.release(block)
    this.blocks.remove(block)
    this.epoch++
  }

  /** Gives up the arena block of a row. */
  private release(block: number): void {
    const ref = this.blocks.word(block, BlockWord.Ref) >>> 0
    if (this.walk === null) this.arena.free(ref)
    else this.walk.take(this.blocks.word(block, BlockWord.Ticket), ref)
  }

  /** Changes the size of a block, whose bytes in use are kept; a walk that needs the old one keeps it. */
  private resize(block: number, length: number): Ref {
    const { arena, blocks } = this
    const old = blocks.word(block, BlockWord.Ref) >>> 0
    let ref: Ref
    if (this.walk === null || !this.walk.needs(blocks.word(block, BlockWord.Ticket))) {
      ref = arena.resize(old, length)
    } else {
      ref = arena.alloc(length)
      const used = blocks.word(block, BlockWord.Used)
      copyBytes(arena.segment(old), arena.offset(old), arena.segment(ref), arena.offset(ref), used)
      this.release(block)
    }
    blocks.setWord(block, BlockWord.Ref, ref)
    return ref
  }
}
