/**
 * A big list: a deque of blocks of packed entries. Hot path.
 *
 * Each node is one arena block that holds entries (in the encoding of storage/packed.ts, without its header) in a range
 * [start, end) of its payload; the room before and behind is for pushes. The node table (list-nodes.ts) knows range and
 * count of each node.
 *
 *     block:  | free | entry entry … entry | free |          a pop moves `start` or `end`, a push fills a free part
 *                    start                 end
 *
 * Which entries share a node follows Redis' quicklist (`list-max-listpack-size`), so that the list becomes one packed
 * block, and back, at the same moments: a push goes to the end node if that stays in the limits, else to a new one, and
 * a larger element stands alone. Blocks of end nodes grow by halves and are cut to size when they become inner nodes.
 *
 * Costs: push and pop O(1) amortised, no step above one node or one chunk of the table; index O(nodes / 512); search
 * and removal by value O(n). No function keeps its `source`; it must not lie in this list unless a function says so.
 * Source of the rules: Valkey 7.2 src/quicklist.c, src/t_list.c.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import type { Collection } from '../keyspace/kind.ts'
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
import type { EqualRemoval } from './list-equal.ts'
import { LISTPACK_FRAME_BYTES, type ListLimits } from './list-limits.ts'
import {
  NODE_COUNT,
  NODE_END,
  NODE_REF,
  NODE_START,
  NODE_WORDS,
  type NodeChunk,
  NodeTable,
  nodeRef,
} from './list-nodes.ts'

/** The two ends of a list; also "before" (Head) and "after" (Tail) an entry. */
export const ListEnd = { Head: 0, Tail: 1 } as const
export type ListEnd = (typeof ListEnd)[keyof typeof ListEnd]

/** What Redis adds to an element's length when it asks whether it fits into a node. */
const ENTRY_ESTIMATE_BYTES = 8
/** First block of an end node in a list of few nodes; later ones take the size of their neighbour. */
const FIRST_BLOCK_BYTES = 248
const FEW_NODES = 4
/** Least room that a grown block gets, in bytes. */
const GROWTH_BYTES_MIN = 64
/** Estimated size of the list's own objects, in bytes. */
const OBJECT_BYTES = 200

export class ListBig implements Collection {
  readonly arena: Arena
  readonly limits: ListLimits
  readonly nodes = new NodeTable()
  /** Number of elements. */
  length = 0

  constructor(arena: Arena, limits: ListLimits) {
    this.arena = arena
    this.limits = limits
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
    if (this.length === 0 || !this.fits(chunk, at, length)) {
      at = this.addTailNode(size)
      chunk = this.nodes.tail()
    } else if (chunk.words[at + NODE_END]! + size > this.arena.length(nodeRef(chunk.words, at))) {
      this.growTail(chunk, at, size)
    }
    const words = chunk.words
    const ref = nodeRef(words, at)
    const end = words[at + NODE_END]!
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
    if (this.length === 0 || !this.fits(chunk, at, length)) {
      at = this.addHeadNode(size)
      chunk = this.nodes.head()
    } else if (chunk.words[at + NODE_START]! < size) {
      this.growHead(chunk, at, size)
    }
    const words = chunk.words
    const ref = nodeRef(words, at)
    const begin = words[at + NODE_START]! - size
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
    this.setNode(chunk, at, this.arena.store(source, start, bytes), 0, bytes, count)
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

  /**
   * Replaces the entry on which `entry` stands, in the node at (chunkIndex, at). It stays in its node whatever its
   * size, as in Redis. The cursor is invalid afterwards.
   */
  replaceEntry(
    chunkIndex: number,
    at: number,
    entry: PackedCursor,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    const integer = parseSafeInteger(source, start, length)
    const size = packedEntryBytes(integer, length)
    const chunk = this.nodes.chunks[chunkIndex]!
    const position = this.splice(chunk, at, entry.position, entry.next - entry.position, size)
    this.writeEntry(chunk, at, position, integer, source, start, length)
    this.settle(chunk, at)
  }

  /**
   * Inserts before or after the entry on which `entry` stands, in the node at (chunkIndex, at): into that node, a
   * neighbour, or between the halves of the split node. The cursor is invalid afterwards.
   */
  insertAtEntry(
    side: ListEnd,
    chunkIndex: number,
    at: number,
    entry: PackedCursor,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    const integer = parseSafeInteger(source, start, length)
    const size = packedEntryBytes(integer, length)
    const nodes = this.nodes
    const chunk = nodes.chunks[chunkIndex]!
    const position = side === ListEnd.Head ? entry.position : entry.next
    const edge = side === ListEnd.Head ? chunk.words[at + NODE_START]! : chunk.words[at + NODE_END]!
    if (this.fits(chunk, at, length)) {
      this.insertInNode(chunk, at, position, size, integer, source, start, length)
    } else if (position !== edge) {
      this.insertInSplit(side, chunkIndex, at, position, size, integer, source, start, length)
    } else if (
      this.findNeighbour(side, chunkIndex, at) &&
      this.fits(nodes.chunks[nodes.foundChunk]!, nodes.foundAt, length)
    ) {
      const neighbour = nodes.chunks[nodes.foundChunk]!
      const near = nodes.foundAt + (side === ListEnd.Head ? NODE_END : NODE_START)
      this.insertInNode(neighbour, nodes.foundAt, neighbour.words[near]!, size, integer, source, start, length)
    } else {
      nodes.insert(chunkIndex, side === ListEnd.Head ? at : at + NODE_WORDS)
      this.fillFound(this.arena.alloc(size), size, 1)
      this.writeEntry(nodes.chunks[nodes.foundChunk]!, nodes.foundAt, 0, integer, source, start, length)
    }
    this.length++
  }

  /**
   * Removes up to `limit` elements equal to `source[start, start + length)`, searching from one end. Returns how many.
   */
  removeEqual(
    from: ListEnd,
    limit: number,
    removal: EqualRemoval,
    source: Uint8Array,
    start: number,
    length: number,
  ): number {
    const chunks = this.nodes.chunks
    const wanted = Math.min(limit, this.length)
    let left = wanted
    let chunkIndex = from === ListEnd.Head ? 0 : chunks.length - 1
    // A removed node lets its successors slide to its place; searching from the tail they have been seen already.
    while (left > 0 && chunkIndex >= 0 && chunkIndex < chunks.length && this.length > 0) {
      const chunk = chunks[chunkIndex]!
      let at = from === ListEnd.Head ? chunk.first : chunk.last - NODE_WORDS
      while (left > 0 && at >= chunk.first && at < chunk.last) {
        left -= this.removeEqualInNode(chunk, at, from, left, removal, source, start, length)
        const isEmpty = chunk.words[at + NODE_COUNT] === 0
        at = isEmpty
          ? this.stepOverEmpty(from, chunkIndex, at)
          : at + (from === ListEnd.Head ? NODE_WORDS : -NODE_WORDS)
      }
      const isGone = chunks[chunkIndex] !== chunk
      if (from === ListEnd.Tail) chunkIndex--
      else if (!isGone) chunkIndex++
    }
    return wanted - left
  }

  free(): void {
    for (const chunk of this.nodes.chunks) {
      for (let at = chunk.first; at < chunk.last; at += NODE_WORDS) this.arena.free(nodeRef(chunk.words, at))
    }
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

  overheadBytes(): number {
    return OBJECT_BYTES + this.nodes.overheadBytes()
  }

  /** Whether one more element of `length` bytes may join a node. */
  private fits(chunk: NodeChunk, at: number, length: number): boolean {
    const words = chunk.words
    const used = words[at + NODE_END]! - words[at + NODE_START]!
    return (
      used + LISTPACK_FRAME_BYTES + length + ENTRY_ESTIMATE_BYTES <= this.limits.bytesMax &&
      words[at + NODE_COUNT]! < this.limits.entriesMax
    )
  }

  private setNode(chunk: NodeChunk, at: number, ref: Ref, start: number, end: number, count: number): void {
    const words = chunk.words
    words[at + NODE_REF] = ref
    words[at + NODE_START] = start
    words[at + NODE_END] = end
    words[at + NODE_COUNT] = count
  }

  /** Sets the node that `nodes.insert` has opened: a block that is full of `count` entries. */
  private fillFound(ref: Ref, bytes: number, count: number): void {
    const chunk = this.nodes.chunks[this.nodes.foundChunk]!
    this.setNode(chunk, this.nodes.foundAt, ref, 0, bytes, count)
    chunk.entries += count
  }

  private writeEntry(
    chunk: NodeChunk,
    at: number,
    position: number,
    integer: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    const ref = nodeRef(chunk.words, at)
    writePackedEntry(this.arena.segment(ref), this.arena.offset(ref) + position, integer, source, start, length)
  }

  /** Adds an empty end node with room for `size` bytes behind; the former tail is cut to size if it is inside now. */
  private addTailNode(size: number): number {
    const capacity = this.firstCapacity(this.nodes.tail(), this.nodes.tail().last - NODE_WORDS, size)
    if (this.nodes.count > 1) this.seal(this.nodes.tail(), this.nodes.tail().last - NODE_WORDS)
    const at = this.nodes.addTail()
    this.setNode(this.nodes.tail(), at, this.arena.alloc(capacity), 0, 0, 0)
    return at
  }

  private addHeadNode(size: number): number {
    const capacity = this.firstCapacity(this.nodes.head(), this.nodes.head().first, size)
    if (this.nodes.count > 1) this.seal(this.nodes.head(), this.nodes.head().first)
    const at = this.nodes.addHead()
    this.setNode(this.nodes.head(), at, this.arena.alloc(capacity), capacity, capacity, 0)
    return at
  }

  /** Block size of a new end node: in a longer list what its neighbour has come to, else small. */
  private firstCapacity(chunk: NodeChunk, at: number, size: number): number {
    if (this.nodes.count < FEW_NODES) return Math.max(size, Math.min(FIRST_BLOCK_BYTES, this.limits.bytesMax))
    const used = chunk.words[at + NODE_END]! - chunk.words[at + NODE_START]!
    return Math.max(size, Math.min(used, this.limits.bytesMax - LISTPACK_FRAME_BYTES))
  }

  /** Makes room for `size` bytes behind the entries of the tail node. */
  private growTail(chunk: NodeChunk, at: number, size: number): void {
    const words = chunk.words
    const start = words[at + NODE_START]!
    const used = words[at + NODE_END]! - start
    const capacity = this.arena.length(nodeRef(words, at))
    const free = capacity - used - size
    // Moving to the front is paid for by the pops that freed it. A single node keeps half for the other end.
    if (free >= 0 && start * 2 >= used) this.move(chunk, at, capacity, this.nodes.count === 1 ? free >>> 1 : 0)
    else this.move(chunk, at, this.grownCapacity(used, size, start), 0)
  }

  /** Makes room for `size` bytes before the entries of the head node. */
  private growHead(chunk: NodeChunk, at: number, size: number): void {
    const words = chunk.words
    const end = words[at + NODE_END]!
    const used = end - words[at + NODE_START]!
    const capacity = this.arena.length(nodeRef(words, at))
    const free = capacity - used - size
    const other = capacity - end
    if (free >= 0 && other * 2 >= used) {
      this.move(chunk, at, capacity, capacity - used - (this.nodes.count === 1 ? free >>> 1 : 0))
    } else {
      const grown = this.grownCapacity(used, size, other)
      this.move(chunk, at, grown, grown - used)
    }
  }

  /**
   * Half as much again; not over what the node may ever hold, unless the other end is being popped (then there is room
   * there): a queue in a nearly full node would be moved at each push.
   */
  private grownCapacity(used: number, size: number, otherRoom: number): number {
    const grown = used + size + Math.max(used >>> 1, GROWTH_BYTES_MIN)
    if (otherRoom > 0) return grown
    return Math.max(used + size, Math.min(grown, this.limits.bytesMax - LISTPACK_FRAME_BYTES))
  }

  /** Puts the entries of a node at `start` of a block of `capacity` bytes, the same one if it has this size. */
  private move(chunk: NodeChunk, at: number, capacity: number, start: number): void {
    const words = chunk.words
    const ref = nodeRef(words, at)
    const used = words[at + NODE_END]! - words[at + NODE_START]!
    const source = this.arena.segment(ref)
    const from = this.arena.offset(ref) + words[at + NODE_START]!
    if (capacity === this.arena.length(ref)) {
      source.copyWithin(this.arena.offset(ref) + start, from, from + used)
    } else {
      const next = this.arena.alloc(capacity)
      copyBytes(source, from, this.arena.segment(next), this.arena.offset(next) + start, used)
      this.arena.free(ref)
      words[at] = next
    }
    words[at + NODE_START] = start
    words[at + NODE_END] = start + used
  }

  /** Gives back the free parts of a block that becomes an inner node, unless they are small. */
  private seal(chunk: NodeChunk, at: number): void {
    const used = chunk.words[at + NODE_END]! - chunk.words[at + NODE_START]!
    const capacity = this.arena.length(nodeRef(chunk.words, at))
    if (capacity - used > capacity >>> 3) this.move(chunk, at, used, 0)
  }

  /** Gives back the free parts of a block when they are most of it, after entries were removed. */
  private settle(chunk: NodeChunk, at: number): void {
    const used = chunk.words[at + NODE_END]! - chunk.words[at + NODE_START]!
    const capacity = this.arena.length(nodeRef(chunk.words, at))
    if (used < capacity >>> 1 && capacity > FIRST_BLOCK_BYTES) this.move(chunk, at, used, 0)
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
    if (this.arena.length(nodeRef(chunk.words, at)) > this.limits.bytesMax * 2) this.settle(chunk, at)
  }

  /** Removes a node with all its entries. */
  private dropNode(chunkIndex: number, at: number): void {
    const chunk = this.nodes.chunks[chunkIndex]!
    const count = chunk.words[at + NODE_COUNT]!
    this.arena.free(nodeRef(chunk.words, at))
    chunk.entries -= count
    this.length -= count
    this.nodes.remove(chunkIndex, at)
  }

  /** Removes an emptied node while searching from one end. Returns where the search goes on in its chunk. */
  private stepOverEmpty(from: ListEnd, chunkIndex: number, at: number): number {
    const chunk = this.nodes.chunks[chunkIndex]!
    const before = at - chunk.first
    this.dropNode(chunkIndex, at)
    return chunk.first + before - (from === ListEnd.Head ? 0 : NODE_WORDS)
  }

  private removeEqualInNode(
    chunk: NodeChunk,
    at: number,
    from: ListEnd,
    limit: number,
    removal: EqualRemoval,
    source: Uint8Array,
    start: number,
    length: number,
  ): number {
    const words = chunk.words
    const begin = words[at + NODE_START]!
    const end = words[at + NODE_END]!
    if (from === ListEnd.Head) removal.fromHead(nodeRef(words, at), begin, end, limit, source, start, length)
    else removal.fromTail(nodeRef(words, at), begin, end, limit, source, start, length)
    const removed = removal.removed
    if (removed === 0) return 0
    words[at + NODE_END] = removal.end
    words[at + NODE_COUNT]! -= removed
    chunk.entries -= removed
    this.length -= removed
    if (words[at + NODE_COUNT]! > 0) this.settle(chunk, at)
    return removed
  }

  /**
   * Puts `inserted` bytes (left for the caller to write) in the place of `removed` bytes at a payload position of a
   * node. Returns the position of the gap.
   */
  private splice(chunk: NodeChunk, at: number, position: number, removed: number, inserted: number): number {
    const words = chunk.words
    const ref = nodeRef(words, at)
    const start = words[at + NODE_START]!
    const end = words[at + NODE_END]!
    const delta = inserted - removed
    const before = position - start
    const after = end - position - removed
    const buffer = this.arena.segment(ref)
    const base = this.arena.offset(ref)
    const hasRoomBehind = end + delta <= this.arena.length(ref)
    if (start >= delta && (before < after || !hasRoomBehind)) {
      buffer.copyWithin(base + start - delta, base + start, base + position)
      words[at + NODE_START] = start - delta
      return position - delta
    }
    if (hasRoomBehind) {
      buffer.copyWithin(base + position + inserted, base + position + removed, base + end)
      words[at + NODE_END] = end + delta
      return position
    }
    const used = before + inserted + after
    const next = this.arena.alloc(used + Math.min(used >>> 2, GROWTH_BYTES_MIN * 4))
    const target = this.arena.segment(next)
    const to = this.arena.offset(next)
    copyBytes(buffer, base + start, target, to, before)
    copyBytes(buffer, base + position + removed, target, to + before + inserted, after)
    this.arena.free(ref)
    this.setNode(chunk, at, next, 0, used, words[at + NODE_COUNT]!)
    return before
  }

  private insertInNode(
    chunk: NodeChunk,
    at: number,
    position: number,
    size: number,
    integer: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    const gap = this.splice(chunk, at, position, 0, size)
    this.writeEntry(chunk, at, gap, integer, source, start, length)
    chunk.words[at + NODE_COUNT]!++
    chunk.entries++
  }

  /** Splits a full node at `position`; the new value joins the part that gets a node of its own. Merges around it. */
  private insertInSplit(
    side: ListEnd,
    chunkIndex: number,
    at: number,
    position: number,
    size: number,
    integer: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    const chunk = this.nodes.chunks[chunkIndex]!
    const words = chunk.words
    const ref = nodeRef(words, at)
    const begin = words[at + NODE_START]!
    const end = words[at + NODE_END]!
    const buffer = this.arena.segment(ref)
    const base = this.arena.offset(ref)
    const total = words[at + NODE_COUNT]!
    let counted = 0
    for (let p = begin; p < position; p += packedBytesAt(buffer, base + p)) counted++

    const isBefore = side === ListEnd.Head
    const from = isBefore ? begin : position
    const bytes = isBefore ? position - begin : end - position
    const moved = isBefore ? counted : total - counted
    const part = this.arena.alloc(bytes + size)
    const target = this.arena.segment(part)
    const to = this.arena.offset(part)
    // Before the pivot: [moved part, value] [pivot …]; after it: [… pivot] [value, moved part].
    copyBytes(buffer, base + from, target, isBefore ? to : to + size, bytes)
    writePackedEntry(target, isBefore ? to + bytes : to, integer, source, start, length)
    if (isBefore) words[at + NODE_START] = position
    else words[at + NODE_END] = position
    words[at + NODE_COUNT] = total - moved
    chunk.entries -= moved
    this.settle(chunk, at)

    const ordinal = this.nodes.ordinalOf(chunkIndex, at)
    this.nodes.insert(chunkIndex, isBefore ? at : at + NODE_WORDS)
    this.fillFound(part, bytes + size, moved + 1)
    this.mergeAround(isBefore ? ordinal + 1 : ordinal)
  }

  /** Merges the neighbours of a node, two on each side, where they fit together (`_quicklistMergeNodes`). */
  private mergeAround(center: number): void {
    if (this.mergeWithNext(center - 2)) center--
    this.mergeWithNext(center + 1)
    if (this.mergeWithNext(center - 1)) center--
    this.mergeWithNext(center)
  }

  /** Merges node number `ordinal` with the following one if both exist and fit into one. */
  private mergeWithNext(ordinal: number): boolean {
    const nodes = this.nodes
    if (ordinal < 0 || !nodes.ordinal(ordinal + 1)) return false
    const rightIndex = nodes.foundChunk
    const rightAt = nodes.foundAt
    nodes.ordinal(ordinal)
    const left = nodes.chunks[nodes.foundChunk]!
    const leftAt = nodes.foundAt
    const right = nodes.chunks[rightIndex]!
    const leftBytes = left.words[leftAt + NODE_END]! - left.words[leftAt + NODE_START]!
    const rightStart = right.words[rightAt + NODE_START]!
    const rightBytes = right.words[rightAt + NODE_END]! - rightStart
    const count = right.words[rightAt + NODE_COUNT]!
    const merged = left.words[leftAt + NODE_COUNT]! + count
    if (leftBytes + rightBytes + LISTPACK_FRAME_BYTES > this.limits.bytesMax || merged > this.limits.entriesMax)
      return false

    this.move(left, leftAt, leftBytes + rightBytes, 0)
    const ref = nodeRef(left.words, leftAt)
    const source = nodeRef(right.words, rightAt)
    const from = this.arena.offset(source) + rightStart
    const to = this.arena.offset(ref) + leftBytes
    copyBytes(this.arena.segment(source), from, this.arena.segment(ref), to, rightBytes)
    left.words[leftAt + NODE_END] = leftBytes + rightBytes
    left.words[leftAt + NODE_COUNT] = merged
    left.entries += count
    this.length += count
    this.dropNode(rightIndex, rightAt)
    return true
  }

  /** Finds the node before or behind (chunkIndex, at). Returns false at the end of the list. */
  private findNeighbour(side: ListEnd, chunkIndex: number, at: number): boolean {
    return this.nodes.ordinal(this.nodes.ordinalOf(chunkIndex, at) + (side === ListEnd.Head ? -1 : 1))
  }
}
