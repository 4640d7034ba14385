/**
 * IdTable: rows of 32-bit words in the order of their stream IDs. Hot path.
 *
 * The blocks of a stream, the pending entries of a group and those of a consumer are all such tables. A row has
 * `stride` words (an even number); words 0–3 are its ID, the rest is the owner's, as integers or, in an even pair, as
 * a float64. Rows lie in chunks of at most 256, a chunk is one typed array, and the chunks stand in order in a plain
 * array:
 *
 *     chunks   [ chunk 0 | chunk 1 | … ]        a thousand chunks for a quarter of a million rows
 *     chunk    [ …free… | first … first + count - 1 | …free… ]
 *
 * Appending is O(1); finding is two binary searches; inserting and removing move at most half a chunk. A full last
 * chunk is left full when rows are appended, and neighbours that have become small are merged.
 *
 * A position is `chunk * 256 + row`, in the order of the IDs (not dense). Positions are valid until a row is
 * inserted or removed; appending keeps them.
 *
 * Each chunk carries a lower bound that its owner may use for one column (the PEL: the oldest delivery time), so that
 * a search by that column skips whole chunks. It is a bound, not the minimum: removing rows leaves it.
 */
import type { Arena } from '../storage/arena.ts'
import type { StreamId } from './stream-id.ts'

const ROW_BITS = 8
const CHUNK_ROWS = 1 << ROW_BITS
const ROW_MASK = CHUNK_ROWS - 1
const FIRST_ROWS = 2
const FIRST_HEADS = 1
const ID_WORDS = 4
/** Neighbours that fit in half a chunk are merged. */
const MERGE_ROWS_MAX = CHUNK_ROWS / 2
/** An emptied table keeps a chunk up to this size. */
const KEEP_ROWS_MAX = 16

/** No row. */
export const NO_POSITION = -1

class Chunk {
  words: Int32Array
  doubles: Float64Array
  capacity: number
  first = 0
  count = 0
  lowerBound = Number.POSITIVE_INFINITY

  constructor(capacity: number, stride: number) {
    const backing = new ArrayBuffer(capacity * stride * 4)
    this.words = new Int32Array(backing)
    this.doubles = new Float64Array(backing)
    this.capacity = capacity
  }
}

export class IdTable {
  private readonly arena: Arena
  private readonly stride: number
  private readonly chunks: Chunk[] = []
  /** First ID of each chunk, so that the search for a chunk stays in one array. */
  private heads: Int32Array = new Int32Array(FIRST_HEADS * ID_WORDS)
  /** Number of rows. */
  size = 0

  /** @param arena counts the bytes of the table as they come and go: who gives a table up clears it. */
  constructor(arena: Arena, stride: number) {
    this.arena = arena
    this.stride = stride
  }

  /** Position of the first row, NO_POSITION when there is none. */
  first(): number {
    return this.size === 0 ? NO_POSITION : 0
  }

  /** Position of the last row, NO_POSITION when there is none. */
  last(): number {
    if (this.size === 0) return NO_POSITION
    const chunk = this.chunks.length - 1
    return (chunk << ROW_BITS) + this.chunks[chunk]!.count - 1
  }

  next(position: number): number {
    const chunk = position >>> ROW_BITS
    if ((position & ROW_MASK) + 1 < this.chunks[chunk]!.count) return position + 1
    return chunk + 1 < this.chunks.length ? (chunk + 1) << ROW_BITS : NO_POSITION
  }

  previous(position: number): number {
    if ((position & ROW_MASK) !== 0) return position - 1
    const chunk = (position >>> ROW_BITS) - 1
    return chunk < 0 ? NO_POSITION : (chunk << ROW_BITS) + this.chunks[chunk]!.count - 1
  }

  /** Position of the last row whose ID is at most `id`, NO_POSITION when all are greater. */
  floor(id: StreamId): number {
    if (this.size === 0) return NO_POSITION
    const chunks = this.chunks
    let low = 0
    let high = chunks.length - 1
    // The end is where streams are read and written most.
    const heads = this.heads
    if (compareWords(heads, high * ID_WORDS, id) <= 0) low = high
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (compareWords(heads, middle * ID_WORDS, id) <= 0) low = middle
      else high = middle - 1
    }
    const chunk = chunks[low]!
    let row = -1
    let rowHigh = chunk.count - 1
    if (this.compareRow(chunk, rowHigh, id) <= 0) row = rowHigh
    while (row < rowHigh) {
      const middle = (row + rowHigh + 1) >> 1
      if (this.compareRow(chunk, middle, id) <= 0) row = middle
      else rowHigh = middle - 1
    }
    return row < 0 ? NO_POSITION : (low << ROW_BITS) + row
  }

  /** Position of the first row whose ID is at least `id`, NO_POSITION when all are smaller. */
  ceiling(id: StreamId): number {
    const floor = this.floor(id)
    if (floor === NO_POSITION) return this.first()
    return this.isAt(floor, id) ? floor : this.next(floor)
  }

  /** Position of the row of `id`, NO_POSITION when there is none. */
  find(id: StreamId): number {
    const floor = this.floor(id)
    return floor !== NO_POSITION && this.isAt(floor, id) ? floor : NO_POSITION
  }

  /** Adds a row, words behind the ID all 0. The ID must not be in the table. Returns its position. */
  insert(id: StreamId): number {
    const last = this.chunks.length - 1
    if (last < 0) {
      this.addChunk(0, this.newChunk(FIRST_ROWS))
      return this.insertInChunk(0, 0, id)
    }
    const tail = this.chunks[last]!
    if (this.size === 0 || this.compareRow(tail, tail.count - 1, id) < 0) {
      if (tail.count < CHUNK_ROWS) return this.insertInChunk(last, tail.count, id)
      this.addChunk(last + 1, this.newChunk(CHUNK_ROWS))
      return this.insertInChunk(last + 1, 0, id)
    }
    const floor = this.floor(id)
    if (floor === NO_POSITION) return this.insertSplitting(0, 0, id)
    return this.insertSplitting(floor >>> ROW_BITS, (floor & ROW_MASK) + 1, id)
  }

  /** Removes the row at `position`. */
  remove(position: number): void {
    const index = position >>> ROW_BITS
    const row = position & ROW_MASK
    const chunk = this.chunks[index]!
    const stride = this.stride
    this.size--
    const at = (chunk.first + row) * stride
    if (row < chunk.count >>> 1) {
      if (row > 0) chunk.words.copyWithin((chunk.first + 1) * stride, chunk.first * stride, at)
      chunk.first++
    } else if (row < chunk.count - 1) {
      chunk.words.copyWithin(at, at + stride, (chunk.first + chunk.count) * stride)
    }
    chunk.count--
    if (chunk.count === 0) {
      this.dropChunk(index)
      return
    }
    if (row === 0) this.setHead(index)
    if (chunk.count <= MERGE_ROWS_MAX / 2) this.mergeAround(index)
  }

  /** Removes all rows. */
  clear(): void {
    this.arena.outsideBytes -= this.overheadBytes()
    this.chunks.length = 0
    this.heads = new Int32Array(FIRST_HEADS * ID_WORDS)
    this.size = 0
  }

  /** Whether the row at `position` has the ID `id`. */
  isAt(position: number, id: StreamId): boolean {
    const chunk = this.chunks[position >>> ROW_BITS]!
    const at = (chunk.first + (position & ROW_MASK)) * this.stride
    const words = chunk.words
    return (
      words[at + 3] === id.seqLow &&
      words[at + 1] === id.msLow &&
      words[at + 2] === id.seqHigh &&
      words[at] === id.msHigh
    )
  }

  /** Negative, 0 or positive as the ID at `position` is before, equal to or after `id`. */
  compareAt(position: number, id: StreamId): number {
    return this.compareRow(this.chunks[position >>> ROW_BITS]!, position & ROW_MASK, id)
  }

  /** Reads the ID in words `word` to `word + 3` of a row (0 is the row's own ID). */
  readId(position: number, word: number, id: StreamId): void {
    const chunk = this.chunks[position >>> ROW_BITS]!
    const at = (chunk.first + (position & ROW_MASK)) * this.stride + word
    const words = chunk.words
    id.msHigh = words[at]!
    id.msLow = words[at + 1]!
    id.seqHigh = words[at + 2]!
    id.seqLow = words[at + 3]!
  }

  /** Writes an ID into words `word` to `word + 3` of a row (not to be used for the row's own ID). */
  writeId(position: number, word: number, id: StreamId): void {
    const chunk = this.chunks[position >>> ROW_BITS]!
    this.writeWords(chunk.words, (chunk.first + (position & ROW_MASK)) * this.stride + word, id)
  }

  /** The array in which the row at `position` lies, from `rowStart(position)` on. Valid until a row is inserted. */
  rowWords(position: number): Int32Array {
    return this.chunks[position >>> ROW_BITS]!.words
  }

  rowStart(position: number): number {
    return (this.chunks[position >>> ROW_BITS]!.first + (position & ROW_MASK)) * this.stride
  }

  word(position: number, word: number): number {
    const chunk = this.chunks[position >>> ROW_BITS]!
    return chunk.words[(chunk.first + (position & ROW_MASK)) * this.stride + word]!
  }

  setWord(position: number, word: number, value: number): void {
    const chunk = this.chunks[position >>> ROW_BITS]!
    chunk.words[(chunk.first + (position & ROW_MASK)) * this.stride + word] = value
  }

  /** The float64 in words `word` and `word + 1`; `word` is even. */
  double(position: number, word: number): number {
    const chunk = this.chunks[position >>> ROW_BITS]!
    return chunk.doubles[((chunk.first + (position & ROW_MASK)) * this.stride + word) >>> 1]!
  }

  setDouble(position: number, word: number, value: number): void {
    const chunk = this.chunks[position >>> ROW_BITS]!
    chunk.doubles[((chunk.first + (position & ROW_MASK)) * this.stride + word) >>> 1] = value
  }

  /** The bound of the chunk in which `position` lies. */
  lowerBound(position: number): number {
    return this.chunks[position >>> ROW_BITS]!.lowerBound
  }

  /** Makes the chunk's bound no greater than `value`. */
  lowerTo(position: number, value: number): void {
    const chunk = this.chunks[position >>> ROW_BITS]!
    if (value < chunk.lowerBound) chunk.lowerBound = value
  }

  /** Sets the chunk's bound to the minimum of the float64 in `word`. */
  tightenBound(position: number, word: number): void {
    const chunk = this.chunks[position >>> ROW_BITS]!
    let bound = Number.POSITIVE_INFINITY
    for (let row = 0; row < chunk.count; row++) {
      const value = chunk.doubles[((chunk.first + row) * this.stride + word) >>> 1]!
      if (value < bound) bound = value
    }
    chunk.lowerBound = bound
  }

  /** Position of the first row of the following chunk, NO_POSITION behind the last one. */
  nextChunk(position: number): number {
    const chunk = (position >>> ROW_BITS) + 1
    return chunk < this.chunks.length ? chunk << ROW_BITS : NO_POSITION
  }

  /** Takes copies of all rows of a table with the same stride; this one must be empty. */
  copyFrom(other: IdTable): void {
    this.clear()
    this.heads = other.heads.slice()
    this.arena.outsideBytes += this.overheadBytes()
    this.size = other.size
    for (const chunk of other.chunks) {
      const copied = this.newChunk(chunk.capacity)
      copied.words.set(chunk.words)
      copied.first = chunk.first
      copied.count = chunk.count
      copied.lowerBound = chunk.lowerBound
      this.chunks.push(copied)
    }
  }

  /** Bytes of the typed arrays; those of a table that has been cleared count as part of its object. */
  overheadBytes(): number {
    let rows = 0
    for (const chunk of this.chunks) rows += chunk.capacity
    return rows * this.stride * 4 + this.heads.byteLength - FIRST_HEADS * ID_WORDS * 4
  }

  private newChunk(capacity: number): Chunk {
    this.arena.outsideBytes += capacity * this.stride * 4
    return new Chunk(capacity, this.stride)
  }

  private compareRow(chunk: Chunk, row: number, id: StreamId): number {
    return compareWords(chunk.words, (chunk.first + row) * this.stride, id)
  }

  /** Puts a chunk, whose head is set when it gets its first row, at `index`. */
  private addChunk(index: number, chunk: Chunk): void {
    const used = this.chunks.length * ID_WORDS
    if (used === this.heads.length) {
      const heads = new Int32Array(used * 2)
      this.arena.outsideBytes += this.heads.byteLength
      heads.set(this.heads)
      this.heads = heads
    }
    if (index === this.chunks.length) {
      this.chunks.push(chunk)
      return
    }
    this.chunks.splice(index, 0, chunk)
    this.heads.copyWithin((index + 1) * ID_WORDS, index * ID_WORDS, used)
  }

  private removeChunk(index: number): void {
    this.arena.outsideBytes -= this.chunks[index]!.capacity * this.stride * 4
    this.heads.copyWithin(index * ID_WORDS, (index + 1) * ID_WORDS, this.chunks.length * ID_WORDS)
    this.chunks.splice(index, 1)
  }

  /** Takes the head of a chunk from its first row. */
  private setHead(index: number): void {
    const chunk = this.chunks[index]!
    const words = chunk.words
    const from = chunk.first * this.stride
    const to = index * ID_WORDS
    for (let i = 0; i < ID_WORDS; i++) this.heads[to + i] = words[from + i]!
  }

  private writeWords(words: Int32Array, at: number, id: StreamId): void {
    words[at] = id.msHigh
    words[at + 1] = id.msLow
    words[at + 2] = id.seqHigh
    words[at + 3] = id.seqLow
  }

  private insertSplitting(index: number, row: number, id: StreamId): number {
    const chunk = this.chunks[index]!
    if (chunk.count < CHUNK_ROWS) return this.insertInChunk(index, row, id)
    const half = CHUNK_ROWS / 2
    const upper = this.newChunk(CHUNK_ROWS)
    const from = (chunk.first + half) * this.stride
    upper.words.set(chunk.words.subarray(from, from + half * this.stride))
    upper.count = half
    upper.lowerBound = chunk.lowerBound
    chunk.count = half
    this.addChunk(index + 1, upper)
    this.setHead(index + 1)
    return row <= half ? this.insertInChunk(index, row, id) : this.insertInChunk(index + 1, row - half, id)
  }

  /** Opens a gap before `row` in a chunk that is not full, and writes the ID into it. */
  private insertInChunk(index: number, row: number, id: StreamId): number {
    const chunk = this.chunks[index]!
    const stride = this.stride
    if (chunk.first + chunk.count === chunk.capacity) this.makeRoom(chunk)
    const at = (chunk.first + row) * stride
    if (row < chunk.count) {
      chunk.words.copyWithin(at + stride, at, (chunk.first + chunk.count) * stride)
    }
    this.writeWords(chunk.words, at, id)
    chunk.words.fill(0, at + 4, at + stride)
    chunk.count++
    this.size++
    if (row === 0) this.setHead(index)
    return (index << ROW_BITS) + row
  }

  /** Makes room behind the last row: moves the rows to the front, or takes a bigger array. */
  private makeRoom(chunk: Chunk): void {
    const from = chunk.first * this.stride
    const to = (chunk.first + chunk.count) * this.stride
    if (chunk.count * 2 <= chunk.capacity || chunk.capacity === CHUNK_ROWS) {
      chunk.words.copyWithin(0, from, to)
    } else {
      const capacity = Math.min(CHUNK_ROWS, chunk.capacity * 2)
      this.arena.outsideBytes += (capacity - chunk.capacity) * this.stride * 4
      const words = new Int32Array(capacity * this.stride)
      words.set(chunk.words.subarray(from, to))
      chunk.words = words
      chunk.doubles = new Float64Array(words.buffer)
      chunk.capacity = capacity
    }
    chunk.first = 0
  }

  private dropChunk(index: number): void {
    const chunk = this.chunks[index]!
    if (this.chunks.length === 1 && chunk.capacity <= KEEP_ROWS_MAX) {
      chunk.first = 0
      chunk.lowerBound = Number.POSITIVE_INFINITY
      return
    }
    this.removeChunk(index)
  }

  private mergeAround(index: number): void {
    const left = index > 0 && this.chunks[index - 1]!.count + this.chunks[index]!.count <= MERGE_ROWS_MAX
    if (left) this.mergeInto(index - 1)
    else if (index + 1 < this.chunks.length) {
      if (this.chunks[index]!.count + this.chunks[index + 1]!.count <= MERGE_ROWS_MAX) this.mergeInto(index)
    }
  }

  /** Moves the rows of the chunk behind `index` into the one at `index`. */
  private mergeInto(index: number): void {
    const chunk = this.chunks[index]!
    const next = this.chunks[index + 1]!
    const stride = this.stride
    while (chunk.first + chunk.count + next.count > chunk.capacity) this.makeRoom(chunk)
    chunk.words.set(
      next.words.subarray(next.first * stride, (next.first + next.count) * stride),
      (chunk.first + chunk.count) * stride,
    )
    chunk.count += next.count
    if (next.lowerBound < chunk.lowerBound) chunk.lowerBound = next.lowerBound
    this.removeChunk(index + 1)
  }
}

/** Negative, 0 or positive as the ID at `at` in `words` is before, equal to or after `id`. */
function compareWords(words: Int32Array, at: number, id: StreamId): number {
  let word = words[at]!
  if (word !== id.msHigh) return word >>> 0 < id.msHigh >>> 0 ? -1 : 1
  word = words[at + 1]!
  if (word !== id.msLow) return word >>> 0 < id.msLow >>> 0 ? -1 : 1
  word = words[at + 2]!
  if (word !== id.seqHigh) return word >>> 0 < id.seqHigh >>> 0 ? -1 : 1
  word = words[at + 3]!
  if (word !== id.seqLow) return word >>> 0 < id.seqLow >>> 0 ? -1 : 1
  return 0
}
