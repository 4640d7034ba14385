/**
 * Which keys of a database a snapshot has still to write: one bit a row. Hot path: isDone, moved.
 *
 * Set for what is written, and for keys that were added since the snapshot began. The bits follow their rows: when the
 * last row moves into a hole, its bit moves with it. The marks belong to the content of a database, so SWAPDB
 * exchanges them too.
 */
import type { Database } from './database.ts'

const BITS_SHIFT = 5
const BITS_MASK = 31

export class RowMarks {
  /** The database's index when the snapshot began. */
  readonly index: number
  /** The database that holds the content now. */
  owner: Database
  /** Keys of the snapshot: all, and those with an expire time. */
  readonly size: number
  readonly expiring: number
  /** Rows from here on have been walked over. */
  cursor: number
  private bits: Int32Array

  constructor(owner: Database) {
    this.owner = owner
    this.index = owner.index
    this.size = owner.keys.size
    this.expiring = owner.expires.size
    this.cursor = this.size
    this.bits = new Int32Array((this.size >>> BITS_SHIFT) + 1)
  }

  isDone(row: number): boolean {
    return ((this.bits[row >>> BITS_SHIFT]! >>> (row & BITS_MASK)) & 1) === 1
  }

  setDone(row: number): void {
    this.bits[row >>> BITS_SHIFT]! |= 1 << (row & BITS_MASK)
  }

  /** A key was added: it is none of the snapshot's. */
  added(row: number): void {
    const word = row >>> BITS_SHIFT
    if (word >= this.bits.length) {
      const grown = new Int32Array(Math.max(word + 1, this.bits.length * 2))
      grown.set(this.bits)
      this.bits = grown
    }
    this.setDone(row)
  }

  /** The row `from` moved to `to`, whose key is gone. */
  moved(from: number, to: number): void {
    if (this.isDone(from)) this.setDone(to)
    else this.bits[to >>> BITS_SHIFT]! &= ~(1 << (to & BITS_MASK))
  }

  /** Bytes of the bits. */
  get bytes(): number {
    return this.bits.byteLength
  }
}
