/**
 * The node table of a big list: which block holds which entries, in order. Hot path.
 *
 * A node is five words: the block's reference, the payload range [start, end) that holds its entries, their count, and its
 * ticket for an open walk (walk-blocks.ts).
 * Nodes stand in chunks of at most CHUNK_NODES_MAX; a chunk is a window [first, last) of word offsets in a typed array
 * with room on both sides, so a node is added or removed at either end without moving others. The only chunk of a short
 * list grows by doubling; from CHUNK_NODES_MAX on, chunks are added instead, so that no step copies more than one chunk.
 * Each chunk knows the sum of its counts, so an index is found by skipping chunks, then nodes.
 *
 *     chunks:  [ ··NNNN ]  [ NNNNNN ]  [ NNN··· ]        N = ref | start | end | count | ticket
 *
 * The table owns no arena blocks. A node is addressed by (chunk index, word offset), valid until the table changes.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { outsideMemory } from '../storage/outside.ts'

/** Word offsets within a node; the block's reference comes first (`nodeRef`). */
export const NODE_START = 1
export const NODE_END = 2
export const NODE_COUNT = 3
export const NODE_TICKET = 4
/** Words of a node. */
export const NODE_WORDS = 5

/** The block of a node; words are signed, references are not. */
export function nodeRef(words: Int32Array, at: number): Ref {
  return words[at]! >>> 0
}

const FIRST_WORDS = 4 * NODE_WORDS
const WORD_BYTES = 4
/** 10 KiB per chunk: the most that one step moves. */
const CHUNK_NODES_MAX = 512
const CHUNK_WORDS_MAX = CHUNK_NODES_MAX * NODE_WORDS
/** Estimated size of the objects of a chunk beside its words. */
const CHUNK_OBJECT_BYTES = 160
/** What a chunk of full size takes. */
const CHUNK_BYTES_MAX = CHUNK_WORDS_MAX * WORD_BYTES + CHUNK_OBJECT_BYTES

export class NodeChunk {
  words: Int32Array
  /** Word offset of the first node. */
  first: number
  /** Word offset behind the last node. */
  last: number
  /** Entries of all nodes here; kept by the list. */
  entries = 0

  constructor(words: Int32Array, first: number, last: number) {
    this.words = words
    this.first = first
    this.last = last
  }

  /** Sets a new node, or a node that has got another block, at a word offset. */
  set(at: number, ref: Ref, start: number, end: number, count: number): void {
    const words = this.words
    words[at] = ref
    words[at + NODE_START] = start
    words[at + NODE_END] = end
    words[at + NODE_COUNT] = count
    words[at + NODE_TICKET] = 0
  }
}

export class NodeTable {
  private readonly arena: Arena
  /** Never empty; only the single chunk of an empty list has no nodes. */
  readonly chunks: NodeChunk[] = [new NodeChunk(new Int32Array(FIRST_WORDS), 0, 0)]
  /** Number of nodes. */
  count = 0
  /** The node that the last `insert`, `locate` or `ordinal` found: index of its chunk, offset of its words. */
  foundChunk = 0
  foundAt = 0
  /** For `locate`: index of the entry within the node. */
  foundIndex = 0

  /** @param arena counts the bytes of the table as they come and go. */
  constructor(arena: Arena) {
    this.arena = arena
  }

  head(): NodeChunk {
    return this.chunks[0]!
  }

  tail(): NodeChunk {
    return this.chunks[this.chunks.length - 1]!
  }

  /** Adds a node before the first one. Returns its word offset in the head chunk; its words are the caller's to set. */
  addHead(): number {
    let chunk = this.chunks[0]!
    if (chunk.first === 0) chunk = this.roomAtHead(chunk)
    chunk.first -= NODE_WORDS
    this.count++
    return chunk.first
  }

  /** Adds a node behind the last one. Returns its word offset in the tail chunk. */
  addTail(): number {
    let chunk = this.tail()
    if (chunk.last === chunk.words.length) chunk = this.roomAtTail(chunk)
    const at = chunk.last
    chunk.last = at + NODE_WORDS
    this.count++
    return at
  }

  /** Opens a slot before the node at (chunkIndex, at), or at the end of that chunk. Reports it as found. */
  insert(chunkIndex: number, at: number): void {
    let chunk = this.chunks[chunkIndex]!
    if (chunk.first === 0 && chunk.last === chunk.words.length) {
      if (chunk.words.length < CHUNK_WORDS_MAX) {
        this.arena.outsideBytes += chunk.words.byteLength
        resizeChunk(chunk, 0)
      } else {
        const middle = this.split(chunkIndex)
        if (at > middle) {
          chunkIndex++
          at -= middle
          chunk = this.chunks[chunkIndex]!
        }
      }
    }
    const words = chunk.words
    if (chunk.last === words.length || (chunk.first > 0 && at - chunk.first < chunk.last - at)) {
      words.copyWithin(chunk.first - NODE_WORDS, chunk.first, at)
      chunk.first -= NODE_WORDS
      at -= NODE_WORDS
    } else {
      words.copyWithin(at + NODE_WORDS, at, chunk.last)
      chunk.last += NODE_WORDS
    }
    this.count++
    this.foundChunk = chunkIndex
    this.foundAt = at
  }

  /** Removes a node. The other nodes of its chunk may move, and an empty chunk goes. */
  remove(chunkIndex: number, at: number): void {
    const chunk = this.chunks[chunkIndex]!
    const words = chunk.words
    if (at - chunk.first < chunk.last - at - NODE_WORDS) {
      words.copyWithin(chunk.first + NODE_WORDS, chunk.first, at)
      chunk.first += NODE_WORDS
    } else {
      words.copyWithin(at, at + NODE_WORDS, chunk.last)
      chunk.last -= NODE_WORDS
    }
    this.count--
    if (chunk.first === chunk.last) this.dropEmpty(chunkIndex)
  }

  /** Finds the node that holds the entry at `index` (0 ≤ index < total), from the nearer end. */
  locate(index: number, total: number): void {
    if (index < total - index) this.locateForward(index)
    else this.locateBackward(total - index)
  }

  /** Finds a node by its number. Returns false when there is no such node. */
  ordinal(number: number): boolean {
    if (number < 0 || number >= this.count) return false
    let words = number * NODE_WORDS
    let c = 0
    for (;;) {
      const chunk = this.chunks[c]!
      if (words < chunk.last - chunk.first) {
        this.foundChunk = c
        this.foundAt = chunk.first + words
        return true
      }
      words -= chunk.last - chunk.first
      c++
    }
  }

  /** The number of a node, the inverse of `ordinal`. */
  ordinalOf(chunkIndex: number, at: number): number {
    let words = at - this.chunks[chunkIndex]!.first
    for (let c = 0; c < chunkIndex; c++) words += this.chunks[c]!.last - this.chunks[c]!.first
    return words / NODE_WORDS
  }

  /** Gives the nodes their tickets for a walk. Returns a copy of them all, in order and without gaps. */
  copyForWalk(): Int32Array {
    const copy = new Int32Array(outsideMemory(this.count * NODE_WORDS * 4))
    let to = 0
    let ticket = 0
    for (const { words, first, last } of this.chunks) {
      for (let at = first; at < last; at += NODE_WORDS) words[at + NODE_TICKET] = ++ticket
      copy.set(words.subarray(first, last), to)
      to += last - first
    }
    return copy
  }

  /** Forgets all nodes. */
  clear(): void {
    this.arena.outsideBytes -= this.overheadBytes()
    this.chunks.length = 0
    this.chunks.push(new NodeChunk(new Int32Array(FIRST_WORDS), 0, 0))
    this.count = 0
  }

  /** Bytes of the table, with its objects as estimated. The first chunk of an empty list counts as part of its object. */
  overheadBytes(): number {
    let bytes = -(FIRST_WORDS * WORD_BYTES + CHUNK_OBJECT_BYTES)
    for (const chunk of this.chunks) bytes += chunk.words.byteLength + CHUNK_OBJECT_BYTES
    return bytes
  }

  private locateForward(index: number): void {
    let c = 0
    while (index >= this.chunks[c]!.entries) index -= this.chunks[c++]!.entries
    const words = this.chunks[c]!.words
    let at = this.chunks[c]!.first
    while (index >= words[at + NODE_COUNT]!) {
      index -= words[at + NODE_COUNT]!
      at += NODE_WORDS
    }
    this.foundChunk = c
    this.foundAt = at
    this.foundIndex = index
  }

  /** @param back 1 for the last entry. */
  private locateBackward(back: number): void {
    let c = this.chunks.length - 1
    while (back > this.chunks[c]!.entries) back -= this.chunks[c--]!.entries
    const words = this.chunks[c]!.words
    let at = this.chunks[c]!.last - NODE_WORDS
    while (back > words[at + NODE_COUNT]!) {
      back -= words[at + NODE_COUNT]!
      at -= NODE_WORDS
    }
    this.foundChunk = c
    this.foundAt = at
    this.foundIndex = words[at + NODE_COUNT]! - back
  }

  private roomAtHead(chunk: NodeChunk): NodeChunk {
    const bytes = chunk.words.byteLength
    if (makeRoom(chunk, chunk.words.length - chunk.last)) this.arena.outsideBytes += chunk.words.byteLength - bytes
    else {
      this.arena.outsideBytes += CHUNK_BYTES_MAX
      chunk = new NodeChunk(new Int32Array(CHUNK_WORDS_MAX), CHUNK_WORDS_MAX, CHUNK_WORDS_MAX)
      // One move of the directory, of 1/512 of the nodes, per 512 nodes added.
      this.chunks.unshift(chunk)
    }
    return chunk
  }

  private roomAtTail(chunk: NodeChunk): NodeChunk {
    const bytes = chunk.words.byteLength
    if (makeRoom(chunk, chunk.first)) this.arena.outsideBytes += chunk.words.byteLength - bytes
    else {
      this.arena.outsideBytes += CHUNK_BYTES_MAX
      chunk = new NodeChunk(new Int32Array(CHUNK_WORDS_MAX), 0, 0)
      this.chunks.push(chunk)
    }
    return chunk
  }

  private dropEmpty(chunkIndex: number): void {
    if (this.chunks.length > 1) {
      const [dropped] = this.chunks.splice(chunkIndex, 1)
      this.arena.outsideBytes -= dropped!.words.byteLength + CHUNK_OBJECT_BYTES
      return
    }
    const chunk = this.chunks[0]!
    if (chunk.words.length > FIRST_WORDS) {
      this.arena.outsideBytes -= chunk.words.byteLength - FIRST_WORDS * WORD_BYTES
      chunk.words = new Int32Array(FIRST_WORDS)
    }
    chunk.first = 0
    chunk.last = 0
  }

  /** Moves the upper half of a full chunk to a new one behind it. Returns the word offset where it was split. */
  private split(chunkIndex: number): number {
    const chunk = this.chunks[chunkIndex]!
    const middle = (CHUNK_NODES_MAX >>> 1) * NODE_WORDS
    const words = new Int32Array(CHUNK_WORDS_MAX)
    this.arena.outsideBytes += CHUNK_BYTES_MAX
    words.set(chunk.words.subarray(middle))
    const upper = new NodeChunk(words, 0, CHUNK_WORDS_MAX - middle)
    chunk.last = middle
    for (let at = 0; at < upper.last; at += NODE_WORDS) upper.entries += words[at + NODE_COUNT]!
    chunk.entries -= upper.entries
    this.chunks.splice(chunkIndex + 1, 0, upper)
    return middle
  }
}

/**
 * Gives a chunk room at the side that has none: by moving its nodes to the middle when the other side has much, or by
 * growing it. `otherSide` is that side's room in words. Returns false when it is full enough to start another chunk.
 */
function makeRoom(chunk: NodeChunk, otherSide: number): boolean {
  const used = chunk.last - chunk.first
  if (otherSide >= used) {
    const first = wholeNodes((chunk.words.length - used) >>> 1)
    chunk.words.copyWithin(first, chunk.first, chunk.last)
    chunk.first = first
    chunk.last = first + used
    // Room for one node on each side is there from four nodes of capacity and at most half of them used on.
    return true
  }
  if (chunk.words.length >= CHUNK_WORDS_MAX) return false
  resizeChunk(chunk, (chunk.words.length * 2 - used) >>> 1)
  return true
}

/** Doubles a chunk; its nodes then start at `first` (rounded down to a node). */
function resizeChunk(chunk: NodeChunk, first: number): void {
  first = wholeNodes(first)
  const words = new Int32Array(chunk.words.length * 2)
  words.set(chunk.words.subarray(chunk.first, chunk.last), first)
  chunk.last = first + chunk.last - chunk.first
  chunk.first = first
  chunk.words = words
}

/** The words of as many whole nodes as `words` hold. */
function wholeNodes(words: number): number {
  return words - (words % NODE_WORDS)
}
