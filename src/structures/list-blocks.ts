/**
 * The blocks of a big list's nodes: what fits into one, and how its entries lie in it. Hot path.
 *
 *     block:  | free | entry entry … entry | free |          a pop moves `start` or `end`, a push fills a free part
 *                    start                 end
 *
 * A block of an end node grows by halves, is cut to size when it becomes an inner one, and shrinks when most of it is free.
 * Nothing here changes the counts of a list or of a chunk.
 *
 * An open walk over the list is told of each block that changes in place or is given up. Whoever writes into a block calls
 * `willWrite` first, and nobody frees one but by `release`.
 */
import { type Arena, copyBytes } from '../storage/arena.ts'
import { LISTPACK_FRAME_BYTES, type ListLimits } from './list-limits.ts'
import { NODE_COUNT, NODE_END, NODE_START, NODE_TICKET, type NodeChunk, nodeRef } from './list-nodes.ts'
import type { BlockWalk } from './walk-blocks.ts'

/** What Redis adds to an element's length when it asks whether it fits into a node. */
const ENTRY_ESTIMATE_BYTES = 8
/** First block of an end node in a list of few nodes; later ones take the size of their neighbour. */
const FIRST_BLOCK_BYTES = 248
const FEW_NODES = 4
/** Least room that a grown block gets, and most that a gap in a full block leaves behind, in bytes. */
const GROWTH_BYTES_MIN = 64
const GAP_ROOM_BYTES_MAX = 256

export class NodeBlocks {
  private readonly arena: Arena
  private readonly limits: ListLimits
  /** The open walk over the list, if any. */
  walk: BlockWalk | null = null

  constructor(arena: Arena, limits: ListLimits) {
    this.arena = arena
    this.limits = limits
  }

  /** To be called before bytes in the payload range [from, to) of a node's block change. */
  willWrite(words: Int32Array, at: number, from: number, to: number): void {
    if (this.walk !== null) this.walk.beforeWrite(words[at + NODE_TICKET]!, from, to)
  }

  /** Gives up the block of a node. */
  release(words: Int32Array, at: number): void {
    if (this.walk === null) this.arena.free(nodeRef(words, at))
    else this.walk.take(words[at + NODE_TICKET]!, nodeRef(words, at))
  }

  /** Bytes of a node's entries. */
  used(chunk: NodeChunk, at: number): number {
    return chunk.words[at + NODE_END]! - chunk.words[at + NODE_START]!
  }

  /** Whether one more element of `length` bytes may join a node. */
  fits(chunk: NodeChunk, at: number, length: number): boolean {
    const words = chunk.words
    const used = this.used(chunk, at)
    return (
      used + LISTPACK_FRAME_BYTES + length + ENTRY_ESTIMATE_BYTES <= this.limits.bytesMax &&
      words[at + NODE_COUNT]! < this.limits.entriesMax
    )
  }

  /** Puts the entries of a node at `start` of a block of `capacity` bytes, the same one if it has this size. */
  move(chunk: NodeChunk, at: number, capacity: number, start: number): void {
    const words = chunk.words
    const ref = nodeRef(words, at)
    const used = this.used(chunk, at)
    const source = this.arena.segment(ref)
    const from = this.arena.offset(ref) + words[at + NODE_START]!
    if (capacity === this.arena.length(ref)) {
      this.willWrite(words, at, 0, capacity)
      source.copyWithin(this.arena.offset(ref) + start, from, from + used)
    } else {
      const next = this.arena.alloc(capacity)
      copyBytes(source, from, this.arena.segment(next), this.arena.offset(next) + start, used)
      this.release(words, at)
      words[at] = next
    }
    words[at + NODE_START] = start
    words[at + NODE_END] = start + used
  }

  /** Gives back the free parts of a block that becomes an inner node, unless they are small. */
  seal(chunk: NodeChunk, at: number): void {
    const used = this.used(chunk, at)
    const capacity = this.arena.length(nodeRef(chunk.words, at))
    if (capacity - used > capacity >>> 3) this.move(chunk, at, used, 0)
  }

  /** Gives back the free parts of a block when they are most of it, after entries were removed. */
  settle(chunk: NodeChunk, at: number): void {
    const used = this.used(chunk, at)
    const capacity = this.arena.length(nodeRef(chunk.words, at))
    if (used < capacity >>> 1 && capacity > FIRST_BLOCK_BYTES) this.move(chunk, at, used, 0)
  }

  /**
   * Puts `inserted` bytes (left for the caller to write) in the place of `removed` bytes at a payload position of a
   * node. Returns the position of the gap.
   */
  splice(chunk: NodeChunk, at: number, position: number, removed: number, inserted: number): number {
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
      this.willWrite(words, at, start - delta, position + removed)
      buffer.copyWithin(base + start - delta, base + start, base + position)
      words[at + NODE_START] = start - delta
      return position - delta
    }
    if (hasRoomBehind) {
      this.willWrite(words, at, position, end + delta)
      buffer.copyWithin(base + position + inserted, base + position + removed, base + end)
      words[at + NODE_END] = end + delta
      return position
    }
    const used = before + inserted + after
    const next = this.arena.alloc(used + Math.min(used >>> 2, GAP_ROOM_BYTES_MAX))
    const target = this.arena.segment(next)
    const to = this.arena.offset(next)
    copyBytes(buffer, base + start, target, to, before)
    copyBytes(buffer, base + position + removed, target, to + before + inserted, after)
    this.release(words, at)
    chunk.set(at, next, 0, used, words[at + NODE_COUNT]!)
    return before
  }

  /** Block size of a new end node: in a longer list what its neighbour has come to, else small. */
  firstCapacity(chunk: NodeChunk, at: number, size: number, nodeCount: number): number {
    if (nodeCount < FEW_NODES) return Math.max(size, Math.min(FIRST_BLOCK_BYTES, this.limits.bytesMax))
    const used = this.used(chunk, at)
    return Math.max(size, Math.min(used, this.limits.bytesMax - LISTPACK_FRAME_BYTES))
  }

  /** Makes room for `size` bytes behind the entries of the tail node. */
  growTail(chunk: NodeChunk, at: number, size: number, nodeCount: number): void {
    const words = chunk.words
    const start = words[at + NODE_START]!
    const used = words[at + NODE_END]! - start
    const capacity = this.arena.length(nodeRef(words, at))
    const free = capacity - used - size
    // Moving to the front is paid for by the pops that freed it. A single node keeps half for the other end.
    if (free >= 0 && start * 2 >= used) this.move(chunk, at, capacity, nodeCount === 1 ? free >>> 1 : 0)
    else this.move(chunk, at, this.grownCapacity(used, size, start), 0)
  }

  /** Makes room for `size` bytes before the entries of the head node. */
  growHead(chunk: NodeChunk, at: number, size: number, nodeCount: number): void {
    const words = chunk.words
    const end = words[at + NODE_END]!
    const used = end - words[at + NODE_START]!
    const capacity = this.arena.length(nodeRef(words, at))
    const free = capacity - used - size
    const other = capacity - end
    if (free >= 0 && other * 2 >= used) {
      this.move(chunk, at, capacity, capacity - used - (nodeCount === 1 ? free >>> 1 : 0))
    } else {
      const grown = this.grownCapacity(used, size, other)
      this.move(chunk, at, grown, grown - used)
    }
  }

  /** Appends the entries of another node to those of a node. */
  append(chunk: NodeChunk, at: number, from: NodeChunk, fromAt: number): void {
    const used = this.used(chunk, at)
    const added = this.used(from, fromAt)
    this.move(chunk, at, used + added, 0)
    const source = nodeRef(from.words, fromAt)
    const target = nodeRef(chunk.words, at)
    const start = this.arena.offset(source) + from.words[fromAt + NODE_START]!
    copyBytes(this.arena.segment(source), start, this.arena.segment(target), this.arena.offset(target) + used, added)
    chunk.words[at + NODE_END] = used + added
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
}
