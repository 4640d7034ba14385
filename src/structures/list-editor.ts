/**
 * Changes inside a big list: insertion, replacement and removal by value. Each looks for its place in O(n) first.
 *
 * One editor is reused for all lists. The value of a call is kept in its fields meanwhile.
 * Source of the rules: Valkey 7.2 src/quicklist.c `_quicklistInsert`, `quicklistReplaceEntry`, `_quicklistMergeNodes`.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import { type Arena, copyBytes, type Ref } from '../storage/arena.ts'
import { PackedCursor, packedBytesAt, packedEntryBytes, writePackedEntry } from '../storage/packed.ts'
import { type ListBig, ListEnd } from './list.ts'
import { LISTPACK_FRAME_BYTES } from './list-limits.ts'
import { NODE_COUNT, NODE_END, NODE_START, NODE_WORDS, type NodeChunk, nodeRef } from './list-nodes.ts'
import { EqualRemoval } from './list-removal.ts'

export class ListEditor {
  private readonly arena: Arena
  private readonly removal: EqualRemoval
  /** The value: an integer (NaN if it is none), its bytes, and what it takes as an entry. */
  private integer = 0
  private source: Uint8Array = EMPTY
  private start = 0
  private length = 0
  private size = 0

  constructor(arena: Arena) {
    this.arena = arena
    this.removal = new EqualRemoval(new PackedCursor(arena))
  }

  /**
   * Replaces the entry on which `entry` stands, in the node at (chunkIndex, at). It stays in its node whatever its
   * size, as in Redis. The cursor is invalid afterwards.
   */
  replace(
    list: ListBig,
    chunkIndex: number,
    at: number,
    entry: PackedCursor,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    this.take(source, start, length)
    const chunk = list.nodes.chunks[chunkIndex]!
    const position = list.blocks.splice(chunk, at, entry.position, entry.next - entry.position, this.size)
    this.write(nodeRef(chunk.words, at), position)
    list.blocks.settle(chunk, at)
    this.source = EMPTY
  }

  /**
   * Inserts before (Head) or after (Tail) the entry on which `entry` stands, in the node at (chunkIndex, at): into
   * that node, a neighbour, or between the halves of the split node. The cursor is invalid afterwards.
   */
  insert(
    list: ListBig,
    side: ListEnd,
    chunkIndex: number,
    at: number,
    entry: PackedCursor,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    this.take(source, start, length)
    const { nodes, blocks } = list
    const chunk = nodes.chunks[chunkIndex]!
    const position = side === ListEnd.Head ? entry.position : entry.next
    const edge = side === ListEnd.Head ? chunk.words[at + NODE_START]! : chunk.words[at + NODE_END]!
    if (blocks.fits(chunk, at, length)) this.insertInNode(list, chunk, at, position)
    else if (position !== edge) this.insertInSplit(list, side, chunkIndex, at, position)
    else this.insertBeside(list, side, chunkIndex, at)
    list.length++
    this.source = EMPTY
  }

  /** Removes up to `limit` elements equal to `source[start, start + length)`, from one end. Returns how many. */
  removeEqual(list: ListBig, from: ListEnd, limit: number, source: Uint8Array, start: number, length: number): number {
    this.take(source, start, length)
    const chunks = list.nodes.chunks
    const wanted = Math.min(limit, list.length)
    let left = wanted
    let chunkIndex = from === ListEnd.Head ? 0 : chunks.length - 1
    while (left > 0 && chunkIndex >= 0 && chunkIndex < chunks.length) {
      const chunk = chunks[chunkIndex]!
      left -= this.removeInChunk(list, chunkIndex, from, left)
      // When the chunk has gone, the next one has taken its place.
      if (from === ListEnd.Tail) chunkIndex--
      else if (chunks[chunkIndex] === chunk) chunkIndex++
    }
    this.source = EMPTY
    return wanted - left
  }

  private take(source: Uint8Array, start: number, length: number): void {
    this.integer = parseSafeInteger(source, start, length)
    this.source = source
    this.start = start
    this.length = length
    this.size = packedEntryBytes(this.integer, length)
  }

  /** Writes the value at a payload position of a block. */
  private write(ref: Ref, position: number): void {
    const at = this.arena.offset(ref) + position
    writePackedEntry(this.arena.segment(ref), at, this.integer, this.source, this.start, this.length)
  }

  private insertInNode(list: ListBig, chunk: NodeChunk, at: number, position: number): void {
    const gap = list.blocks.splice(chunk, at, position, 0, this.size)
    this.write(nodeRef(chunk.words, at), gap)
    chunk.words[at + NODE_COUNT]!++
    chunk.entries++
  }

  /** At the edge of a full node: the near end of the neighbour, or a node of its own. */
  private insertBeside(list: ListBig, side: ListEnd, chunkIndex: number, at: number): void {
    const nodes = list.nodes
    const hasNeighbour = nodes.ordinal(nodes.ordinalOf(chunkIndex, at) + (side === ListEnd.Head ? -1 : 1))
    const neighbour = nodes.chunks[nodes.foundChunk]!
    if (hasNeighbour && list.blocks.fits(neighbour, nodes.foundAt, this.length)) {
      const near = nodes.foundAt + (side === ListEnd.Head ? NODE_END : NODE_START)
      this.insertInNode(list, neighbour, nodes.foundAt, neighbour.words[near]!)
      return
    }
    const ref = this.arena.alloc(this.size)
    this.write(ref, 0)
    this.addNode(list, chunkIndex, side === ListEnd.Head ? at : at + NODE_WORDS, ref, this.size, 1)
  }

  /** Splits a full node at `position`; the value joins the part that gets a node of its own. Merges around it. */
  private insertInSplit(list: ListBig, side: ListEnd, chunkIndex: number, at: number, position: number): void {
    const chunk = list.nodes.chunks[chunkIndex]!
    const words = chunk.words
    const ref = nodeRef(words, at)
    const begin = words[at + NODE_START]!
    const end = words[at + NODE_END]!
    const total = words[at + NODE_COUNT]!
    const buffer = this.arena.segment(ref)
    const base = this.arena.offset(ref)
    let counted = 0
    for (let p = begin; p < position; p += packedBytesAt(buffer, base + p)) counted++

    const isBefore = side === ListEnd.Head
    const from = isBefore ? begin : position
    const bytes = isBefore ? position - begin : end - position
    const moved = isBefore ? counted : total - counted
    const part = this.arena.alloc(bytes + this.size)
    // Before the pivot: [moved part, value] [pivot …]; after it: [… pivot] [value, moved part].
    const to = this.arena.offset(part) + (isBefore ? 0 : this.size)
    copyBytes(buffer, base + from, this.arena.segment(part), to, bytes)
    this.write(part, isBefore ? bytes : 0)
    if (isBefore) words[at + NODE_START] = position
    else words[at + NODE_END] = position
    words[at + NODE_COUNT] = total - moved
    chunk.entries -= moved
    list.blocks.settle(chunk, at)

    const ordinal = list.nodes.ordinalOf(chunkIndex, at)
    this.addNode(list, chunkIndex, isBefore ? at : at + NODE_WORDS, part, bytes + this.size, moved + 1)
    this.mergeAround(list, isBefore ? ordinal + 1 : ordinal)
  }

  /** Adds a node whose block is full of `count` entries before the node at (chunkIndex, at). */
  private addNode(list: ListBig, chunkIndex: number, at: number, ref: Ref, bytes: number, count: number): void {
    list.nodes.insert(chunkIndex, at)
    const chunk = list.nodes.chunks[list.nodes.foundChunk]!
    chunk.set(list.nodes.foundAt, ref, 0, bytes, count)
    chunk.entries += count
  }

  /** Merges the neighbours of a node, two on each side, where they fit together. */
  private mergeAround(list: ListBig, center: number): void {
    if (this.mergeWithNext(list, center - 2)) center--
    this.mergeWithNext(list, center + 1)
    if (this.mergeWithNext(list, center - 1)) center--
    this.mergeWithNext(list, center)
  }

  /** Merges node number `ordinal` with the following one if both exist and fit into one. */
  private mergeWithNext(list: ListBig, ordinal: number): boolean {
    const { nodes, blocks, limits } = list
    if (ordinal < 0 || !nodes.ordinal(ordinal + 1)) return false
    const rightIndex = nodes.foundChunk
    const rightAt = nodes.foundAt
    nodes.ordinal(ordinal)
    const left = nodes.chunks[nodes.foundChunk]!
    const leftAt = nodes.foundAt
    const right = nodes.chunks[rightIndex]!
    const bytes = blocks.used(left, leftAt) + blocks.used(right, rightAt) + LISTPACK_FRAME_BYTES
    const count = right.words[rightAt + NODE_COUNT]!
    const merged = left.words[leftAt + NODE_COUNT]! + count
    if (bytes > limits.bytesMax || merged > limits.entriesMax) return false

    blocks.append(left, leftAt, right, rightAt)
    left.words[leftAt + NODE_COUNT] = merged
    left.entries += count
    // The entries are counted twice until the right node goes.
    list.length += count
    list.dropNode(rightIndex, rightAt)
    return true
  }

  private removeInChunk(list: ListBig, chunkIndex: number, from: ListEnd, limit: number): number {
    const chunk = list.nodes.chunks[chunkIndex]!
    let left = limit
    let at = from === ListEnd.Head ? chunk.first : chunk.last - NODE_WORDS
    while (left > 0 && at >= chunk.first && at < chunk.last) {
      left -= this.removeInNode(list, chunk, at, from, left)
      const isEmpty = chunk.words[at + NODE_COUNT] === 0
      const before = at - chunk.first
      if (isEmpty) list.dropNode(chunkIndex, at)
      // A dropped node has let one side of the chunk slide; distances from its start are as before.
      at = chunk.first + before
      if (from === ListEnd.Tail) at -= NODE_WORDS
      else if (!isEmpty) at += NODE_WORDS
    }
    return limit - left
  }

  private removeInNode(list: ListBig, chunk: NodeChunk, at: number, from: ListEnd, limit: number): number {
    const removal = this.removal
    const { source, start, length } = this
    const words = chunk.words
    const ref = nodeRef(words, at)
    const begin = words[at + NODE_START]!
    const end = words[at + NODE_END]!
    // Looked for first only when a walk is open, which should not have to copy blocks that stay as they are.
    if (list.blocks.walk !== null && removal.finds(ref, begin, end, source, start, length)) {
      list.blocks.willWrite(words, at, begin, end)
    }
    if (from === ListEnd.Head) removal.fromHead(ref, begin, end, limit, source, start, length)
    else removal.fromTail(ref, begin, end, limit, source, start, length)
    const removed = removal.removed
    if (removed === 0) return 0
    words[at + NODE_END] = removal.end
    words[at + NODE_COUNT]! -= removed
    chunk.entries -= removed
    list.length -= removed
    if (words[at + NODE_COUNT]! > 0) list.blocks.settle(chunk, at)
    return removed
  }
}

const EMPTY = Buffer.alloc(0)
