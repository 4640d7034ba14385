/**
 * A big list: a deque of blocks of packed entries. Hot path.
 *
 * Each node is one arena block that holds entries (in the encoding of storage/packed.ts, without its header) in a range
 * [start, end) of its payload; the room before and behind is for pushes (list-blocks.ts). The node table (list-nodes.ts)
 * knows range and count of each node. Here are the ends; changes inside are in list-editor.ts, positions in
 * list-cursor.ts, and commands see either form of a list through list-view.ts.
 *
 * Which entries share a node follows Redis' quicklist (`list-max-listpack-size`), so that the list becomes one packed
 * block, and back, at the same moments: a push goes to the end node if that stays in the limits, else to a new one, and
 * a larger element stands alone.
 *
 * Costs: push and pop O(1) amortised, no step above one node or one chunk of the table; a node by index O(nodes / 512).
 * No function keeps its `source`, which must not lie in this list.
 * Source of the rules: Valkey 7.2 src/quicklist.c, src/t_list.c.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import { type Arena, copyBytes, type Ref } from '../storage/arena.ts'
import {
  PACKED_HEADER_BYTES,
  type PackedCursor,
  packedBytesAt,
  packedBytesBefore,
  packedCount,
  packedEntryBytes,
  writePackedEntry,
} from '../storage/packed.ts'
import type { Collection } from './kind.ts'
import { NodeBlocks } from './list-blocks.ts'
import { LISTPACK_FRAME_BYTES, type ListLimits } from './list-limits.ts'
import { NODE_COUNT, NODE_END, NODE_START, NODE_WORDS, type NodeChunk, NodeTable, nodeRef } from './list-nodes.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'
import { type BlockOwner, BlockWalk, ROW_END, ROW_START } from './walk-blocks.ts'

/** The two ends of a list; also "before" (Head) and "after" (Tail) an entry. */
export const ListEnd = { Head: 0, Tail: 1 } as const
export type ListEnd = (typeof ListEnd)[keyof typeof ListEnd]

/** Estimated size of the list's own objects, in bytes. */
const OBJECT_BYTES = 440

export class ListBig implements Collection, BlockOwner {
  readonly arena: Arena
  readonly limits: ListLimits
  readonly nodes: NodeTable
  readonly blocks: NodeBlocks
  /** Number of elements. */
  length = 0

  constructor(arena: Arena, limits: ListLimits) {
    this.arena = arena
    this.limits = limits
    this.nodes = new NodeTable(arena)
    this.blocks = new NodeBlocks(arena, limits)
  }

  /** Adds a byte string at one end. */
  push(end: ListEnd, source: Uint8Array, start: number, length: number): void {
    if (end === ListEnd.Tail) this.pushTail(source, start, length)
    else this.pushHead(source, start, length)
  }

  /** Adds a byte string behind the last element. */
  pushTail(source: Uint8Array, start: number, length: number): void {
    const integer = parseSafeInteger(source, start, length)
    const size = packedEntryBytes(integer, length)
    let chunk = this.nodes.tail()
    let at = chunk.last - NODE_WORDS
    if (this.length === 0 || !this.blocks.fits(chunk, at, length)) {
      at = this.addTailNode(size)
      chunk = this.nodes.tail()
    } else if (chunk.words[at + NODE_END]! + size > this.arena.length(nodeRef(chunk.words, at))) {
      this.blocks.growTail(chunk, at, size, this.nodes.count)
    }
    const words = chunk.words
    const ref = nodeRef(words, at)
    const end = words[at + NODE_END]!
    this.blocks.willWrite(words, at, end, end + size)
    writePackedEntry(this.arena.segment(ref), this.arena.offset(ref) + end, integer, source, start, length)
    words[at + NODE_END] = end + size
    words[at + NODE_COUNT]!++
    chunk.entries++
    this.length++
  }

  /** Adds a byte string before the first element. */
  pushHead(source: Uint8Array, start: number, length: number): void {
    const integer = parseSafeInteger(source, start, length)
    const size = packedEntryBytes(integer, length)
    let chunk = this.nodes.head()
    let at = chunk.first
    if (this.length === 0 || !this.blocks.fits(chunk, at, length)) {
      at = this.addHeadNode(size)
      chunk = this.nodes.head()
    } else if (chunk.words[at + NODE_START]! < size) {
      this.blocks.growHead(chunk, at, size, this.nodes.count)
    }
    const words = chunk.words
    const ref = nodeRef(words, at)
    const begin = words[at + NODE_START]! - size
    this.blocks.willWrite(words, at, begin, begin + size)
    writePackedEntry(this.arena.segment(ref), this.arena.offset(ref) + begin, integer, source, start, length)
    words[at + NODE_START] = begin
    words[at + NODE_COUNT]!++
    chunk.entries++
    this.length++
  }

  /** Puts `entry` on the first or last element of a list that is not empty. */
  peek(end: ListEnd, entry: PackedCursor): void {
    if (end === ListEnd.Head) {
      const chunk = this.nodes.head()
      this.openNode(chunk, chunk.first, entry)
      entry.advance()
    } else {
      const chunk = this.nodes.tail()
      this.openNode(chunk, chunk.last - NODE_WORDS, entry)
      entry.toEnd()
      entry.retreat()
    }
  }

  /** Removes `count` elements (at most `length`) from one end. O(nodes dropped + one node). */
  drop(end: ListEnd, count: number): void {
    if (end === ListEnd.Head) this.dropHead(count)
    else this.dropTail(count)
  }

  /** Opens `entry` over the entries of a node. */
  openNode(chunk: NodeChunk, at: number, entry: PackedCursor): void {
    entry.openRange(nodeRef(chunk.words, at), chunk.words[at + NODE_START]!, chunk.words[at + NODE_END]!)
  }

  /** Number of entries of a node. */
  countAt(chunkIndex: number, at: number): number {
    return this.nodes.chunks[chunkIndex]!.words[at + NODE_COUNT]!
  }

  /** Appends a node of `count` entries, given in their encoding; for loading. The entries are trusted to be whole. */
  appendNode(source: Uint8Array, start: number, bytes: number, count: number): void {
    const at = this.nodes.addTail()
    const chunk = this.nodes.tail()
    chunk.set(at, this.arena.store(source, start, bytes), 0, bytes, count)
    chunk.entries += count
    this.length += count
  }

  /** A copy with the same nodes. */
  clone(): ListBig {
    const copy = new ListBig(this.arena, this.limits)
    for (const chunk of this.nodes.chunks) {
      const words = chunk.words
      for (let at = chunk.first; at < chunk.last; at += NODE_WORDS) {
        const ref = nodeRef(words, at)
        const start = words[at + NODE_START]!
        const from = this.arena.offset(ref) + start
        copy.appendNode(this.arena.segment(ref), from, words[at + NODE_END]! - start, words[at + NODE_COUNT]!)
      }
    }
    return copy
  }

  /**
   * Whether the list may become one packed block: it has one node, which is within the limits divided by `divisor`
   * (see ListLimits.packs). The limits are those of now, which need not be those the list was made with.
   */
  fitsPacked(limits: ListLimits, divisor: number): boolean {
    if (this.nodes.count !== 1) return false
    const chunk = this.nodes.head()
    const words = chunk.words
    const at = chunk.first
    const bytes = words[at + NODE_END]! - words[at + NODE_START]! + LISTPACK_FRAME_BYTES
    return limits.packs(bytes, words[at + NODE_COUNT]!, divisor)
  }

  /** The entries of a list of one node as a packed block, which is the caller's. The list is freed. */
  intoPacked(): Ref {
    const chunk = this.nodes.head()
    const words = chunk.words
    const at = chunk.first
    const bytes = words[at + NODE_END]! - words[at + NODE_START]!
    const ref = this.arena.alloc(PACKED_HEADER_BYTES + bytes)
    const target = this.arena.segment(ref)
    const to = this.arena.offset(ref)
    target.writeUInt32LE(words[at + NODE_COUNT]!, to)
    const from = this.arena.offset(nodeRef(words, at)) + words[at + NODE_START]!
    copyBytes(this.arena.segment(nodeRef(words, at)), from, target, to + PACKED_HEADER_BYTES, bytes)
    this.free()
    return ref
  }

  /** A big list with the entries of a packed block, which is freed. */
  static fromPacked(arena: Arena, limits: ListLimits, ref: Ref): ListBig {
    const list = new ListBig(arena, limits)
    const count = packedCount(arena, ref)
    const from = arena.offset(ref) + PACKED_HEADER_BYTES
    if (count > 0) list.appendNode(arena.segment(ref), from, arena.length(ref) - PACKED_HEADER_BYTES, count)
    arena.free(ref)
    return list
  }

  beginWalk(): CollectionWalk {
    if (this.blocks.walk !== null) throw new Error('A walk over this list is open')
    this.blocks.walk = new BlockWalk(this, this.nodes.copyForWalk(), NODE_WORDS)
    return this.blocks.walk
  }

  free(): void {
    for (const chunk of this.nodes.chunks) {
      for (let at = chunk.first; at < chunk.last; at += NODE_WORDS) this.blocks.release(chunk.words, at)
    }
    this.nodes.clear()
  }

  freeSome(limit: number): boolean {
    for (let left = limit; left > 0 && this.nodes.count > 0; left--) {
      this.dropNode(this.nodes.chunks.length - 1, this.nodes.tail().last - NODE_WORDS)
    }
    return this.nodes.count === 0
  }

  // For the walk; see BlockOwner. A row of its table is a node of ours.

  deliverBlock(rows: Int32Array, at: number, sink: ElementSink): void {
    const ref = nodeRef(rows, at)
    const base = this.arena.offset(ref)
    sink.node(this.arena.segment(ref), base + rows[at + ROW_START]!, base + rows[at + ROW_END]!, rows[at + NODE_COUNT]!)
  }

  walkEnded(): void {
    this.blocks.walk = null
  }

  arenaBytes(): number {
    let bytes = 0
    for (const chunk of this.nodes.chunks) {
      for (let at = chunk.first; at < chunk.last; at += NODE_WORDS)
        bytes += this.arena.capacity(nodeRef(chunk.words, at))
    }
    return bytes
  }

  arenaBlocks(): number {
    return this.nodes.count
  }

  get objectBytes(): number {
    return OBJECT_BYTES
  }

  freeSteps(): number {
    return this.nodes.count
  }

  overheadBytes(): number {
    return OBJECT_BYTES + this.nodes.overheadBytes()
  }

  /** Adds an empty end node with room for `size` bytes behind; the former tail is cut to size if it is inside now. */
  private addTailNode(size: number): number {
    const capacity = this.blocks.firstCapacity(
      this.nodes.tail(),
      this.nodes.tail().last - NODE_WORDS,
      size,
      this.nodes.count,
    )
    if (this.nodes.count > 1) this.blocks.seal(this.nodes.tail(), this.nodes.tail().last - NODE_WORDS)
    const at = this.nodes.addTail()
    this.nodes.tail().set(at, this.arena.alloc(capacity), 0, 0, 0)
    return at
  }

  private addHeadNode(size: number): number {
    const capacity = this.blocks.firstCapacity(this.nodes.head(), this.nodes.head().first, size, this.nodes.count)
    if (this.nodes.count > 1) this.blocks.seal(this.nodes.head(), this.nodes.head().first)
    const at = this.nodes.addHead()
    this.nodes.head().set(at, this.arena.alloc(capacity), capacity, capacity, 0)
    return at
  }

  private dropHead(count: number): void {
    while (count > 0) {
      const chunk = this.nodes.head()
      const words = chunk.words
      const at = chunk.first
      const inNode = words[at + NODE_COUNT]!
      if (count >= inNode) {
        this.dropNode(0, at)
        count -= inNode
        continue
      }
      const ref = nodeRef(words, at)
      const buffer = this.arena.segment(ref)
      const base = this.arena.offset(ref)
      let start = base + words[at + NODE_START]!
      for (let i = 0; i < count; i++) start += packedBytesAt(buffer, start)
      words[at + NODE_START] = start - base
      this.uncount(chunk, at, count)
      return
    }
  }

  private dropTail(count: number): void {
    while (count > 0) {
      const chunk = this.nodes.tail()
      const words = chunk.words
      const at = chunk.last - NODE_WORDS
      const inNode = words[at + NODE_COUNT]!
      if (count >= inNode) {
        this.dropNode(this.nodes.chunks.length - 1, at)
        count -= inNode
        continue
      }
      const ref = nodeRef(words, at)
      const buffer = this.arena.segment(ref)
      const base = this.arena.offset(ref)
      let end = base + words[at + NODE_END]!
      for (let i = 0; i < count; i++) end -= packedBytesBefore(buffer, end)
      words[at + NODE_END] = end - base
      this.uncount(chunk, at, count)
      return
    }
  }

  /** Takes `count` entries, already cut off, from the counts of a node; a huge block is given back early. */
  private uncount(chunk: NodeChunk, at: number, count: number): void {
    chunk.words[at + NODE_COUNT]! -= count
    chunk.entries -= count
    this.length -= count
    if (this.arena.length(nodeRef(chunk.words, at)) > this.limits.bytesMax * 2) this.blocks.settle(chunk, at)
  }

  /** Removes a node with all its entries. */
  dropNode(chunkIndex: number, at: number): void {
    const chunk = this.nodes.chunks[chunkIndex]!
    const count = chunk.words[at + NODE_COUNT]!
    this.blocks.release(chunk.words, at)
    chunk.entries -= count
    this.length -= count
    this.nodes.remove(chunkIndex, at)
  }
}
