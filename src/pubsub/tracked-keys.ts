/**
 * Which clients may have which keys in their caches: a table from keys to client IDs. Hot path: add, take.
 *
 *     Dict: key → ID                     of the only client
 *                 −reference of a block  with the IDs of several, doubles in ascending order
 *
 * IDs stay when their client is gone or tracks no more, as looking for them would cost a walk over the table; they go
 * with their key, or when its block has doubled. A table that is given up is freed in steps, as it may be big.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'

const ID_BYTES = 8
/** IDs of clients that are gone are first looked for in a block with so many, then whenever their number has doubled. */
const PRUNE_MIN_IDS = 8

export class TrackedKeys {
  private readonly arena: Arena
  private readonly seed: number
  private readonly isCurrent: (id: number) => boolean
  private dict: Dict
  /** Tables that were given up and are not freed yet. */
  private readonly discarded: Dict[] = []
  /** IDs in the table. */
  itemCount = 0

  /** @param isCurrent whether a client still wants to know about keys it has read */
  constructor(arena: Arena, seed: number, isCurrent: (id: number) => boolean) {
    this.arena = arena
    this.seed = seed
    this.isCurrent = isCurrent
    this.dict = new Dict(arena, DictStride.Map, seed)
  }

  /** Number of keys. */
  get size(): number {
    return this.dict.size
  }

  /** Notes that a client may have the key `source[start, start + length)`. O(log of its clients), plus their IDs' move. */
  add(source: Buffer, start: number, length: number, id: number): void {
    const { dict } = this
    const row = dict.find(source, start, length)
    if (row === NO_ROW) {
      dict.setValue(dict.insert(source, start, length), id)
      this.itemCount++
      return
    }
    const value = dict.value(row)
    if (value === id) return
    if (value > 0) dict.setValue(row, -this.pair(value, id))
    else this.addToBlock(row, -value, id)
  }

  /** Forgets a key. Puts its IDs into `ids` and returns how many there are; 0 when nobody has it. */
  take(source: Buffer, start: number, length: number, ids: number[]): number {
    const row = this.dict.find(source, start, length)
    if (row === NO_ROW) return 0
    const count = this.read(row, ids)
    this.forgetIds(this.dict.value(row))
    this.itemCount -= count
    this.dict.remove(row)
    return count
  }

  /** The key of a random row; the table must not be empty. `random` is in [0, 1). */
  someKey(random: number): Ref {
    return this.dict.keyRef(Math.floor(random * this.dict.size))
  }

  /** Forgets all keys; `freeSome` frees them. */
  clear(): void {
    // One whose keys have been taken has room for them still.
    if (this.dict.size === 0 && this.dict.overheadBytes() === 0) return
    this.discarded.push(this.dict)
    this.dict = new Dict(this.arena, DictStride.Map, this.seed)
    this.itemCount = 0
  }

  /** Whether `freeSome` has something to do. */
  get hasDiscarded(): boolean {
    return this.discarded.length > 0
  }

  /** Frees up to `limit` keys of tables that were given up. */
  freeSome(limit: number): void {
    const dict = this.discarded[0]
    if (dict === undefined) return
    for (let left = limit; left > 0 && dict.size > 0; left--) {
      this.forgetIds(dict.value(dict.size - 1))
      dict.freeLast()
    }
    if (dict.size > 0) return
    dict.clear()
    this.discarded.shift()
  }

  /** Bytes of the typed arrays. */
  overheadBytes(): number {
    return this.discarded.reduce((bytes, dict) => bytes + dict.overheadBytes(), this.dict.overheadBytes())
  }

  /** What the table owns in the arena. */
  account(): { bytes: number; blocks: number } {
    let bytes = 0
    let blocks = 0
    for (const dict of [this.dict, ...this.discarded]) {
      for (let row = 0; row < dict.size; row++) {
        bytes += this.arena.capacity(dict.keyRef(row))
        blocks++
        const value = dict.value(row)
        if (value > 0) continue
        bytes += this.arena.capacity(-value)
        blocks++
      }
    }
    return { bytes, blocks }
  }

  /** A block with two IDs. */
  private pair(a: number, b: number): Ref {
    const ref = this.arena.alloc(2 * ID_BYTES)
    this.write(ref, 0, Math.min(a, b))
    this.write(ref, 1, Math.max(a, b))
    this.itemCount++
    return ref
  }

  private addToBlock(row: number, oldRef: Ref, id: number): void {
    const { arena } = this
    const oldCount = arena.length(oldRef) / ID_BYTES
    if (this.holds(oldRef, oldCount, id)) return
    const count = isPowerOfTwo(oldCount) && oldCount >= PRUNE_MIN_IDS ? this.prune(oldRef, oldCount) : oldCount
    const ref = arena.resize(oldRef, (count + 1) * ID_BYTES)
    const place = this.placeOf(ref, count, id)
    const at = arena.offset(ref) + place * ID_BYTES
    arena.segment(ref).copyWithin(at + ID_BYTES, at, at + (count - place) * ID_BYTES)
    this.write(ref, place, id)
    this.itemCount++
    this.dict.setValue(row, -ref)
  }

  /** Moves the IDs of clients that still want to know to the front. Returns how many there are. */
  private prune(ref: Ref, count: number): number {
    let kept = 0
    for (let i = 0; i < count; i++) {
      const id = this.id(ref, i)
      if (this.isCurrent(id)) this.write(ref, kept++, id)
    }
    this.itemCount -= count - kept
    return kept
  }

  /** Copies the IDs of a row. */
  private read(row: number, ids: number[]): number {
    const value = this.dict.value(row)
    if (value > 0) {
      ids[0] = value
      return 1
    }
    const count = this.arena.length(-value) / ID_BYTES
    for (let i = 0; i < count; i++) ids[i] = this.id(-value, i)
    return count
  }

  private forgetIds(value: number): void {
    if (value < 0) this.arena.free(-value)
  }

  private holds(ref: Ref, count: number, id: number): boolean {
    const place = this.placeOf(ref, count, id)
    return place < count && this.id(ref, place) === id
  }

  /** Index of the first of `count` IDs that is not below `id`. */
  private placeOf(ref: Ref, count: number, id: number): number {
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.id(ref, middle) < id) low = middle + 1
      else high = middle
    }
    return low
  }

  private id(ref: Ref, index: number): number {
    return this.arena.segment(ref).readDoubleLE(this.arena.offset(ref) + index * ID_BYTES)
  }

  private write(ref: Ref, index: number, id: number): void {
    this.arena.segment(ref).writeDoubleLE(id, this.arena.offset(ref) + index * ID_BYTES)
  }
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0
}
