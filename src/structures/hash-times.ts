/**
 * Expire times of the fields of a HashDict, by row: a heap of those that have one, and beside the rows four bytes each
 * for the place in it, up to the last row that ever had one. A hash without such fields has none of this.
 *
 * Rows are those of the HashDict, which tells of every row that goes (`removed`).
 */
import type { Arena } from '../storage/arena.ts'
import { Expires, type ExpiringRows, NO_EXPIRE } from '../storage/expires.ts'
import { outsideMemory } from '../storage/outside.ts'

const CHUNK_SHIFT = 14
const CHUNK_ROWS = 1 << CHUNK_SHIFT
const CHUNK_MASK = CHUNK_ROWS - 1
const FIRST_ROWS = 64
/** Estimated bytes of the objects themselves. */
const OBJECT_BYTES = 300
const EMPTY = new Int32Array(0)

/** A hash that has fields with expire times, as the database files it by the earliest of them. */
export interface TimedHash {
  /** Place in the database's heap of such hashes + 1; 0: it is not in it. */
  heapAux: number
  /** The earliest expire time of a field; NO_EXPIRE when none has one. */
  nextTime(): number
}

export class HashTimes implements TimedHash {
  heapAux = 0
  private readonly rows: RowPositions
  private readonly heap: Expires

  constructor(arena: Arena) {
    this.rows = new RowPositions(arena)
    this.heap = new Expires(this.rows)
    arena.outsideBytes += OBJECT_BYTES
  }

  /** Number of fields with an expire time. */
  get size(): number {
    return this.heap.size
  }

  nextTime(): number {
    return this.heap.size === 0 ? NO_EXPIRE : this.heap.firstTime()
  }

  /** The row that expires first; there must be one. */
  firstRow(): number {
    return this.heap.firstRow()
  }

  /** NO_EXPIRE for a row without. */
  timeOf(row: number): number {
    return this.heap.timeOf(row)
  }

  set(row: number, time: number): void {
    this.heap.set(row, time)
  }

  clear(row: number): void {
    this.heap.clear(row)
  }

  /** How many fields have a time up to `time`. O(that number) */
  countUntil(time: number): number {
    return this.heap.countUntil(time)
  }

  /** The field of a row is about to go, and that of the last row to take its place. */
  removed(row: number, lastRow: number): void {
    this.heap.clear(row)
    if (row !== lastRow) {
      const aux = this.rows.aux(lastRow)
      if (aux !== 0) {
        this.rows.setAux(lastRow, 0)
        this.rows.setAux(row, aux)
        this.heap.rowMoved(row)
      }
    }
    this.rows.trim(lastRow)
  }

  /** Gives back all memory. Nothing may be called afterwards. */
  free(): void {
    this.heap.reset()
    this.rows.free()
    this.rows.arena.outsideBytes -= OBJECT_BYTES
  }

  overheadBytes(): number {
    return OBJECT_BYTES + this.heap.overheadBytes() + this.rows.bytes
  }
}

/** For each row its place in the heap. Chunks that no row needs are not there. */
class RowPositions implements ExpiringRows {
  readonly arena: Arena
  bytes = 0
  private chunks: Int32Array[] = []

  constructor(arena: Arena) {
    this.arena = arena
  }

  aux(row: number): number {
    const chunk = row >>> CHUNK_SHIFT
    if (chunk >= this.chunks.length) return 0
    const words = this.chunks[chunk]!
    const at = row & CHUNK_MASK
    return at < words.length ? words[at]! : 0
  }

  setAux(row: number, aux: number): void {
    const chunk = row >>> CHUNK_SHIFT
    while (chunk >= this.chunks.length) this.chunks.push(EMPTY)
    let words = this.chunks[chunk]!
    const at = row & CHUNK_MASK
    if (at >= words.length) {
      if (aux === 0) return
      words = this.grow(chunk, at)
    }
    words[at] = aux
  }

  /** Gives back chunks far behind the last of `rows` rows. */
  trim(rows: number): void {
    while (this.chunks.length > (rows >>> CHUNK_SHIFT) + 2) this.count(-this.chunks.pop()!.byteLength)
  }

  free(): void {
    this.chunks = []
    this.count(-this.bytes)
  }

  /** The chunk with room at `at`. Only the first one comes in several sizes; at most 64 KiB are copied. */
  private grow(chunk: number, at: number): Int32Array {
    const old = this.chunks[chunk]!
    let rows = chunk === 0 ? Math.max(FIRST_ROWS, old.length) : CHUNK_ROWS
    while (rows <= at) rows *= 2
    const words = new Int32Array(outsideMemory(rows * 4))
    words.set(old)
    this.chunks[chunk] = words
    this.count(words.byteLength - old.byteLength)
    return words
  }

  private count(bytes: number): void {
    this.bytes += bytes
    this.arena.outsideBytes += bytes
  }
}
