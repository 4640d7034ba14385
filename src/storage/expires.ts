/**
 * Expire times of rows: a 4-ary min-heap over (time, row), so that the next row to expire is always known and one timer
 * drives them all. Hot path.
 *
 * There is one for the keys of a database, one for its hashes that have fields with expire times (by the earliest of
 * each), and one for the fields of each such hash that is a table.
 *
 * The heap position is kept with the row (`aux` = position + 1, 0 = no expire time); every move in the heap writes it
 * back, and a row that moves in its index is announced with `rowMoved`. Times are absolute, in milliseconds. Typed
 * arrays are chunked; only the first chunk grows, by copying 192 KiB at most.
 */
import type { Arena } from './arena.ts'

const CHUNK_SHIFT = 14
const CHUNK_SIZE = 1 << CHUNK_SHIFT
const CHUNK_MASK = CHUNK_SIZE - 1
const ARITY = 4
const FIRST_SIZE = 64
const ENTRY_BYTES = 12
/** Room for so many is not given back. */
const KEPT_SIZE = 256
/** When memory is short, the first chunk grows by one part in so many instead of doubling. */
const SHORT_GROWTH_SHIFT = 4

/** What `timeOf` returns for a row without an expire time. */
export const NO_EXPIRE = -1

/** What has the rows: it keeps for each its position in the heap. */
export interface ExpiringRows {
  readonly arena: Arena
  /** What `setAux` has set for a row that is there; 0 at first. */
  aux(row: number): number
  setAux(row: number, aux: number): void
}

export class Expires {
  private readonly keys: ExpiringRows
  private times: Float64Array[] = []
  private rows: Int32Array[] = []
  /** Number of rows with an expire time. */
  size = 0
  /** Entries for which the chunks have room. */
  private capacity = 0

  constructor(keys: ExpiringRows) {
    this.keys = keys
  }

  /** Expire time of the row in ms, NO_EXPIRE when it has none. */
  timeOf(row: number): number {
    const aux = this.keys.aux(row)
    return aux === 0 ? NO_EXPIRE : this.time(aux - 1)
  }

  /** Sets or moves the expire time of a row. O(log n); O(1) when it is later than most. */
  set(row: number, time: number): void {
    const aux = this.keys.aux(row)
    if (aux !== 0) {
      const position = aux - 1
      const old = this.time(position)
      if (time < old) this.siftUp(position, time, row)
      else this.siftDown(position, time, row)
      return
    }
    const position = this.size++
    if (position === this.capacity) this.grow()
    this.siftUp(position, time, row)
  }

  /** Takes the expire time away. Returns whether there was one. */
  clear(row: number): boolean {
    const aux = this.keys.aux(row)
    if (aux === 0) return false
    this.keys.setAux(row, 0)
    const position = aux - 1
    const last = --this.size
    if (position !== last) {
      const time = this.time(last)
      const lastRow = this.row(last)
      if (position > 0 && time < this.time((position - 1) >> 2)) this.siftUp(position, time, lastRow)
      else this.siftDown(position, time, lastRow)
    }
    if (last >>> CHUNK_SHIFT < this.times.length - 2) {
      this.times.pop()
      this.rows.pop()
      this.setCapacity(this.capacity - CHUNK_SIZE)
    } else if (last * 4 < this.capacity && this.capacity <= CHUNK_SIZE && this.capacity > KEPT_SIZE) {
      this.resize(this.capacity >>> 1)
    }
    return true
  }

  /** Earliest expire time, Infinity when there is none. */
  firstTime(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.times[0]![0]!
  }

  /** Row of the key that expires first; there must be one. */
  firstRow(): number {
    return this.rows[0]![0]!
  }

  /** Tells that the key index has moved a row that has an expire time to `row`. */
  rowMoved(row: number): void {
    const aux = this.keys.aux(row)
    if (aux !== 0) this.rows[(aux - 1) >>> CHUNK_SHIFT]![(aux - 1) & CHUNK_MASK] = row
  }

  /** Sum of all times minus `now`, for the average TTL of INFO; looks at up to `samples` entries. */
  averageTtl(now: number, samples: number): number {
    if (this.size === 0) return 0
    const count = Math.min(samples, this.size)
    let sum = 0
    for (let i = 0; i < count; i++) sum += Math.max(0, this.time(i) - now)
    return Math.round(sum / count)
  }

  /** How many rows have an expire time up to `time`. O(that number) */
  countUntil(time: number): number {
    return this.countBelow(0, time)
  }

  overheadBytes(): number {
    return this.capacity * ENTRY_BYTES
  }

  /** The row of the key at a place in the heap, 0 … size - 1: any of them, for who wants a random one. */
  rowAt(position: number): number {
    return this.row(position)
  }

  reset(): void {
    this.times = []
    this.rows = []
    this.size = 0
    this.setCapacity(0)
  }

  /** As `countUntil`, in the part of the heap below a position. */
  private countBelow(position: number, time: number): number {
    if (position >= this.size || this.time(position) > time) return 0
    let count = 1
    const first = position * ARITY + 1
    for (let child = first; child < first + ARITY; child++) count += this.countBelow(child, time)
    return count
  }

  private grow(): void {
    const { capacity } = this
    if (capacity >= CHUNK_SIZE) {
      this.times.push(new Float64Array(CHUNK_SIZE))
      this.rows.push(new Int32Array(CHUNK_SIZE))
      this.setCapacity(capacity + CHUNK_SIZE)
      return
    }
    const isShort = !this.keys.arena.hasRoom(capacity * ENTRY_BYTES)
    const wanted = isShort ? capacity + FIRST_SIZE + (capacity >>> SHORT_GROWTH_SHIFT) : capacity * 2
    this.resize(Math.min(CHUNK_SIZE, Math.max(FIRST_SIZE, wanted)))
  }

  /** Gives the only chunk another size. */
  private resize(capacity: number): void {
    const times = new Float64Array(capacity)
    const rows = new Int32Array(capacity)
    if (this.capacity > 0) {
      const kept = Math.min(capacity, this.capacity)
      times.set(this.times[0]!.subarray(0, kept))
      rows.set(this.rows[0]!.subarray(0, kept))
    }
    this.times[0] = times
    this.rows[0] = rows
    this.setCapacity(capacity)
  }

  /** Takes account of what was taken or given back. */
  private setCapacity(capacity: number): void {
    this.keys.arena.outsideBytes += (capacity - this.capacity) * ENTRY_BYTES
    this.capacity = capacity
  }

  private time(position: number): number {
    return this.times[position >>> CHUNK_SHIFT]![position & CHUNK_MASK]!
  }

  private row(position: number): number {
    return this.rows[position >>> CHUNK_SHIFT]![position & CHUNK_MASK]!
  }

  private put(position: number, time: number, row: number): void {
    this.times[position >>> CHUNK_SHIFT]![position & CHUNK_MASK] = time
    this.rows[position >>> CHUNK_SHIFT]![position & CHUNK_MASK] = row
    this.keys.setAux(row, position + 1)
  }

  private siftUp(position: number, time: number, row: number): void {
    while (position > 0) {
      const parent = (position - 1) >> 2
      const parentTime = this.time(parent)
      if (parentTime <= time) break
      this.put(position, parentTime, this.row(parent))
      position = parent
    }
    this.put(position, time, row)
  }

  private siftDown(position: number, time: number, row: number): void {
    for (;;) {
      const first = position * ARITY + 1
      if (first >= this.size) break
      let least = first
      let leastTime = this.time(first)
      const end = Math.min(first + ARITY, this.size)
      for (let child = first + 1; child < end; child++) {
        const childTime = this.time(child)
        if (childTime < leastTime) {
          least = child
          leastTime = childTime
        }
      }
      if (leastTime >= time) break
      this.put(position, leastTime, this.row(least))
      position = least
    }
    this.put(position, time, row)
  }
}
