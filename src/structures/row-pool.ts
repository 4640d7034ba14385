/**
 * RowPool: rows of 32-bit words that keep their number for as long as they are taken. Hot path.
 *
 * For records that point at each other: unlike the rows of a Dict or an IdTable these never move. Rows lie in chunks of
 * 256, of which the first grows by doubling, so that no step copies more than one chunk. Given-back rows are threaded
 * through their first word and taken again first; memory is given back when the pool is cleared.
 */
import type { Arena } from '../storage/arena.ts'

const CHUNK_BITS = 8
const CHUNK_ROWS = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_ROWS - 1
const FIRST_ROWS = 4

/** No row. */
export const NO_POOL_ROW = -1

export class RowPool {
  private readonly arena: Arena
  private readonly stride: number
  private chunks: Int32Array[] = []
  /** Rows that were ever taken. */
  private used = 0
  private free = NO_POOL_ROW

  /** @param arena counts the bytes of the chunks: who gives a pool up clears it. */
  constructor(arena: Arena, stride: number) {
    this.arena = arena
    this.stride = stride
  }

  /** Takes a row; what its words hold is undefined. */
  take(): number {
    const reused = this.free
    if (reused !== NO_POOL_ROW) {
      this.free = this.word(reused, 0)
      return reused
    }
    const row = this.used++
    const chunk = row >>> CHUNK_BITS
    if (chunk === this.chunks.length) this.addChunk(chunk === 0 ? FIRST_ROWS : CHUNK_ROWS)
    else if ((row & CHUNK_MASK) * this.stride === this.chunks[chunk]!.length) this.growChunk(chunk)
    return row
  }

  /** Gives a row back. */
  give(row: number): void {
    this.setWord(row, 0, this.free)
    this.free = row
  }

  word(row: number, word: number): number {
    return this.chunks[row >>> CHUNK_BITS]![(row & CHUNK_MASK) * this.stride + word]!
  }

  setWord(row: number, word: number, value: number): void {
    this.chunks[row >>> CHUNK_BITS]![(row & CHUNK_MASK) * this.stride + word] = value
  }

  /** Forgets all rows. */
  clear(): void {
    this.arena.outsideBytes -= this.overheadBytes()
    this.chunks = []
    this.used = 0
    this.free = NO_POOL_ROW
  }

  /** Bytes of the chunks. */
  overheadBytes(): number {
    let bytes = 0
    for (const chunk of this.chunks) bytes += chunk.byteLength
    return bytes
  }

  private addChunk(rows: number): void {
    const chunk = new Int32Array(rows * this.stride)
    this.arena.outsideBytes += chunk.byteLength
    this.chunks.push(chunk)
  }

  private growChunk(index: number): void {
    const chunk = this.chunks[index]!
    const grown = new Int32Array(chunk.length * 2)
    grown.set(chunk)
    this.arena.outsideBytes += chunk.byteLength
    this.chunks[index] = grown
  }
}
