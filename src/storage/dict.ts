/**
 * Dict: a hash table from byte strings to numbers, over typed arrays and the arena. Hot path.
 *
 * Rows are dense: row 0 … size-1, in chunks of 65,536. A row has `stride` 32-bit words:
 *
 *     word 0 hash | word 1 key reference | words 2–3 value (float64) | word 4 meta | word 5 aux
 *
 * stride 2 is a set (no value), 4 a map, 6 the key index. The index is open addressing with linear probing in an
 * Int32Array; a slot holds row + 1 in its low bits and the high bits of the hash above them, so that a miss seldom
 * touches a row. Growth and shrinking rehash incrementally: each insert and remove moves some slots from the old
 * index, of which moved slots are marked; the new one has no marks (removal shifts back).
 *
 * Rows: `insert` appends, `remove` moves the last row into the hole. A row number therefore stays valid until the
 * next `remove` (of any key) on the same Dict, and an insert never moves a row.
 *
 * SCAN walks rows from the top down: what is there all the time is returned at least once, because a row only ever
 * moves down, from the part that is already scanned or within the part that is not.
 */
import type { Arena, Ref } from './arena.ts'
import { outsideMemory } from './outside.ts'

const CHUNK_SHIFT = 16
const CHUNK_ROWS = 1 << CHUNK_SHIFT
const CHUNK_MASK = CHUNK_ROWS - 1
const INDEX_SLOTS_MIN = 8
/** Of these 5 in 8 are used at most: 671 million keys. */
const INDEX_SLOTS_MAX = 2 ** 30
const FIRST_ROWS = 4
/** Fewer are not given back. */
const KEPT_ROWS = 256
/** When memory is short, the first chunk grows by one part in so many instead of doubling. */
const SHORT_GROWTH_SHIFT = 4
/** Slots moved from the old index by one insert or remove. Two would do; eight ends a rehash early. */
const REHASH_SLOTS_PER_STEP = 8

/** Row width in 32-bit words. */
export const DictStride = { Set: 2, Map: 4, Keys: 6 } as const

/** What `find` returns for an absent key. */
export const NO_ROW = -1

export class Dict {
  readonly arena: Arena
  readonly stride: number
  /** Of the hash function. */
  readonly seed: number
  size = 0
  private words: Int32Array[] = []
  private doubles: Float64Array[] = []
  /** Rows for which the chunks have room. */
  private rowCapacity = 0
  private index: Int32Array
  private mask: number
  private oldIndex: Int32Array | null = null
  private oldMask = 0
  private oldNext = 0
  /** Memory of an index that has been replaced, and where its unused part starts; the next chunks of rows take it. */
  private spare: ArrayBuffer | SharedArrayBuffer | null = null
  private spareAt = 0
  /** What the arena's `outsideBytes` holds of this Dict. */
  private countedBytes = 0

  constructor(arena: Arena, stride: number, seed: number) {
    this.arena = arena
    this.stride = stride
    this.seed = seed | 0
    this.index = new Int32Array(INDEX_SLOTS_MIN)
    this.mask = INDEX_SLOTS_MIN - 1
  }

  /** The row of the key `source[start, start + length)`, or NO_ROW. */
  find(source: Uint8Array, start: number, length: number): number {
    return this.findHashed(hashBytes(source, start, length, this.seed), source, start, length)
  }

  /** As `find`, for a hash that `hash()` of this Dict has given. */
  findHashed(hash: number, source: Uint8Array, start: number, length: number): number {
    const row = this.probe(this.index, this.mask, hash, source, start, length)
    if (row >= 0 || this.oldIndex === null) return row
    return this.probe(this.oldIndex, this.oldMask, hash, source, start, length)
  }

  hash(source: Uint8Array, start: number, length: number): number {
    return hashBytes(source, start, length, this.seed)
  }

  /**
   * Makes the index of an empty Dict as big as `rows` rows need, so that it is not rehashed while they come. Memory for
   * rows is taken as they come.
   */
  reserve(rows: number): void {
    if (this.size > 0 || this.oldIndex !== null) return
    let slots = INDEX_SLOTS_MIN
    while ((rows + 1) * 8 > slots * 5) slots *= 2
    if (slots <= this.mask + 1 || slots > INDEX_SLOTS_MAX) return
    this.index = new Int32Array(outsideMemory(slots * 4))
    this.mask = slots - 1
    this.count()
  }

  /** Adds a key that is not in the Dict; its bytes are copied into the arena. The value is 0. Returns the row. */
  insert(source: Uint8Array, start: number, length: number): number {
    const ref = this.arena.store(source, start, length)
    return this.insertRef(hashBytes(source, start, length, this.seed), ref)
  }

  /**
   * Adds copies of the keys of another Dict with the same seed to this one, which is empty; rows are numbered alike. For
   * each row `copyValue` is told the number. The index is made as big as it has to be, and no key is hashed.
   */
  insertAll(other: Dict, copyValue: (row: number) => void): void {
    const { arena } = this
    this.reserve(other.size)
    for (let row = 0; row < other.size; row++) {
      const key = other.keyRef(row)
      const copy = arena.store(arena.segment(key), arena.offset(key), arena.length(key))
      copyValue(this.insertRef(other.rowHash(row), copy))
    }
  }

  /** Adds a key whose block the Dict takes over. */
  insertRef(hash: number, key: Ref): number {
    if (this.oldIndex !== null) this.rehashStep()
    else if ((this.size + 1) * 8 > (this.mask + 1) * 5) this.growIndex()
    const row = this.size++
    if (row >= this.rowCapacity) this.growRows()
    const words = this.words[row >>> CHUNK_SHIFT]!
    const at = (row & CHUNK_MASK) * this.stride
    words[at] = hash
    words[at + 1] = key
    if (this.stride >= DictStride.Map) this.doubles[row >>> CHUNK_SHIFT]![(at >>> 1) + 1] = 0
    if (this.stride >= DictStride.Keys) {
      words[at + 4] = 0
      words[at + 5] = 0
    }
    this.place(hash, row)
    return row
  }

  /**
   * Removes a row, frees its key, and moves the last row into its place.
   * Returns the row number that the moved row had, or NO_ROW when none was moved.
   */
  remove(row: number): number {
    this.arena.free(this.keyRef(row))
    return this.removeKeepingKey(row)
  }

  /** As `remove`, but the key block stays with the caller. */
  removeKeepingKey(row: number): number {
    if (this.oldIndex !== null) this.rehashStep()
    this.unplace(this.rowHash(row), row)
    const last = --this.size
    let moved = NO_ROW
    if (row !== last) {
      this.repoint(this.rowHash(last), last, row)
      const stride = this.stride
      const from = this.words[last >>> CHUNK_SHIFT]!
      const to = this.words[row >>> CHUNK_SHIFT]!
      const fromAt = (last & CHUNK_MASK) * stride
      const toAt = (row & CHUNK_MASK) * stride
      for (let i = 0; i < stride; i++) to[toAt + i] = from[fromAt + i]!
      moved = last
    }
    // One spare chunk is kept, so that a size around the border does not allocate again and again.
    if (this.size + 2 * CHUNK_ROWS < this.rowCapacity) this.dropChunk()
    else if (this.size * 4 < this.rowCapacity && this.rowCapacity <= CHUNK_ROWS) this.shrinkRows()
    if (this.oldIndex === null && this.mask >= INDEX_SLOTS_MIN * 4 && this.size * 8 < this.mask) {
      this.startRehash((this.mask + 1) >>> 1)
    }
    return moved
  }

  /**
   * Frees the key of the last row and forgets the row. For a Dict that is given up in pieces: nothing can be found, added
   * or removed otherwise any more.
   */
  freeLast(): void {
    this.arena.free(this.keyRef(--this.size))
    if (this.size + 2 * CHUNK_ROWS < this.rowCapacity) this.dropChunk()
  }

  keyRef(row: number): Ref {
    return this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride + 1]! >>> 0
  }

  /** Points the row to another block that holds the same key bytes (defragmentation, renaming in place). */
  setKeyRef(row: number, key: Ref): void {
    this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride + 1] = key
  }

  value(row: number): number {
    return this.doubles[row >>> CHUNK_SHIFT]![(((row & CHUNK_MASK) * this.stride) >>> 1) + 1]!
  }

  setValue(row: number, value: number): void {
    this.doubles[row >>> CHUNK_SHIFT]![(((row & CHUNK_MASK) * this.stride) >>> 1) + 1] = value
  }

  meta(row: number): number {
    return this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride + 4]!
  }

  setMeta(row: number, meta: number): void {
    this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride + 4] = meta
  }

  aux(row: number): number {
    return this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride + 5]!
  }

  setAux(row: number, aux: number): void {
    this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride + 5] = aux
  }

  /** Frees all keys and forgets all rows. Values are the caller's to free first. */
  clear(): void {
    for (let row = 0; row < this.size; row++) this.arena.free(this.keyRef(row))
    this.size = 0
    this.words = []
    this.doubles = []
    this.rowCapacity = 0
    this.index = new Int32Array(INDEX_SLOTS_MIN)
    this.mask = INDEX_SLOTS_MIN - 1
    this.oldIndex = null
    this.oldMask = 0
    this.oldNext = 0
    this.spare = null
    this.spareAt = 0
    this.count()
  }

  /** Bytes of the typed arrays (not of the keys in the arena). The index of an empty Dict counts as part of its object. */
  overheadBytes(): number {
    let slots = this.mask + 1 - INDEX_SLOTS_MIN
    if (this.oldIndex !== null) slots += this.oldMask + 1
    const spare = this.spare === null ? 0 : this.spare.byteLength - this.spareAt
    return this.rowCapacity * this.stride * 4 + slots * 4 + spare
  }

  /** Index slots, for statistics. */
  slotCount(): number {
    return this.mask + 1
  }

  get isRehashing(): boolean {
    return this.oldIndex !== null
  }

  /** Moves up to `steps` runs of slots; for idle time. Returns whether more is left. */
  rehash(steps: number): boolean {
    while (steps-- > 0 && this.oldIndex !== null) this.rehashStep()
    return this.oldIndex !== null
  }

  private rowHash(row: number): number {
    return this.words[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * this.stride]!
  }

  private probe(
    index: Int32Array,
    mask: number,
    hash: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): number {
    let slot = hash & mask
    for (;;) {
      const word = index[slot]!
      if (word === 0) return NO_ROW
      // A moved slot of the old index has all low bits set, which no row number reaches.
      if (((word ^ hash) & ~mask) === 0 && (word & mask) !== mask) {
        const row = (word & mask) - 1
        if (this.arena.equals(this.keyRef(row), source, start, length)) return row
      }
      slot = (slot + 1) & mask
    }
  }

  private place(hash: number, row: number): void {
    const index = this.index
    const mask = this.mask
    let slot = hash & mask
    while (index[slot] !== 0) slot = (slot + 1) & mask
    index[slot] = (hash & ~mask) | (row + 1)
  }

  private slotOf(index: Int32Array, mask: number, hash: number, row: number): number {
    const wanted = (hash & ~mask) | (row + 1)
    let slot = hash & mask
    for (;;) {
      const word = index[slot]!
      if (word === wanted) return slot
      if (word === 0) return -1
      slot = (slot + 1) & mask
    }
  }

  private repoint(hash: number, from: number, to: number): void {
    const slot = this.slotOf(this.index, this.mask, hash, from)
    if (slot >= 0) {
      this.index[slot] = (hash & ~this.mask) | (to + 1)
      return
    }
    this.oldIndex![this.slotOf(this.oldIndex!, this.oldMask, hash, from)] = (hash & ~this.oldMask) | (to + 1)
  }

  private unplace(hash: number, row: number): void {
    const found = this.slotOf(this.index, this.mask, hash, row)
    if (found < 0) {
      this.oldIndex![this.slotOf(this.oldIndex!, this.oldMask, hash, row)] = this.oldMask
      return
    }
    const index = this.index
    const mask = this.mask
    let hole = found
    let slot = found
    for (;;) {
      slot = (slot + 1) & mask
      const word = index[slot]!
      if (word === 0) break
      const home = this.rowHash((word & mask) - 1) & mask
      // The entry may fill the hole only if its home does not lie cyclically in (hole, slot].
      const between = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot
      if (between) continue
      index[hole] = word
      hole = slot
    }
    index[hole] = 0
  }

  /** Takes account of what was taken or given back. */
  private count(): void {
    const bytes = this.overheadBytes()
    this.arena.outsideBytes += bytes - this.countedBytes
    this.countedBytes = bytes
  }

  /** Doubles the index, or, when memory is short, lets it become fuller first. */
  private growIndex(): void {
    const slots = this.mask + 1
    if (!this.arena.hasRoom(slots * 2 * 4) && (this.size + 1) * 8 <= slots * 7) return
    this.startRehash(slots * 2)
  }

  private startRehash(slots: number): void {
    if (slots > INDEX_SLOTS_MAX) throw new RangeError('Cannot index more than 671 million keys in one table')
    this.oldIndex = this.index
    this.oldMask = this.mask
    this.oldNext = 0
    this.index = new Int32Array(outsideMemory(slots * 4))
    this.mask = slots - 1
    this.count()
    if (slots <= 256) while (this.oldIndex !== null) this.rehashStep()
  }

  private rehashStep(): void {
    const old = this.oldIndex!
    const oldMask = this.oldMask
    const end = Math.min(this.oldNext + REHASH_SLOTS_PER_STEP, old.length)
    for (let slot = this.oldNext; slot < end; slot++) {
      const word = old[slot]!
      if (word === 0 || (word & oldMask) === oldMask) continue
      const row = (word & oldMask) - 1
      old[slot] = oldMask
      this.place(this.rowHash(row), row)
    }
    this.oldNext = end
    if (end !== old.length) return
    this.oldIndex = null
    // The collector would not give this memory back soon, because it does not count it (outside.ts).
    this.spare = old.byteLength >= CHUNK_ROWS * this.stride * 4 ? old.buffer : null
    this.spareAt = 0
    this.count()
  }

  private growRows(): void {
    const chunk = this.rowCapacity >>> CHUNK_SHIFT
    const within = this.rowCapacity & CHUNK_MASK
    if (this.rowCapacity === 0) {
      this.addChunk(0, FIRST_ROWS)
      this.rowCapacity = FIRST_ROWS
    } else if (chunk === 0 && within !== 0) {
      // The first chunk doubles; at most 1.5 MB are copied.
      const old = this.words[0]!
      const rows = this.grownRows(within)
      this.addChunk(0, rows)
      this.words[0]!.set(old)
      this.rowCapacity = rows
    } else {
      this.addChunk(chunk, CHUNK_ROWS)
      this.rowCapacity += CHUNK_ROWS
    }
    this.count()
  }

  /** Gives back half of the only chunk. */
  private shrinkRows(): void {
    if (this.rowCapacity < KEPT_ROWS) return
    const rows = this.rowCapacity >>> 1
    const old = this.words[0]!
    this.addChunk(0, rows)
    this.words[0]!.set(old.subarray(0, this.size * this.stride))
    this.rowCapacity = rows
    this.count()
  }

  /** Rows of the first chunk after it has grown from `rows`. */
  private grownRows(rows: number): number {
    if (this.arena.hasRoom(rows * this.stride * 4)) return Math.min(rows * 2, CHUNK_ROWS)
    return Math.min(rows + FIRST_ROWS + (rows >>> SHORT_GROWTH_SHIFT), CHUNK_ROWS)
  }

  private addChunk(chunk: number, rows: number): void {
    const bytes = rows * this.stride * 4
    let backing = this.spare
    let at = this.spareAt
    if (backing !== null && rows === CHUNK_ROWS && at + bytes <= backing.byteLength) this.spareAt += bytes
    else {
      backing = outsideMemory(bytes)
      at = 0
    }
    this.words[chunk] = new Int32Array(backing, at, bytes >>> 2)
    this.doubles[chunk] = new Float64Array(backing, at, bytes >>> 3)
  }

  private dropChunk(): void {
    this.words.pop()
    this.doubles.pop()
    this.rowCapacity -= CHUNK_ROWS
    this.count()
  }
}

/**
 * Seeded 32-bit hash of a byte range: multiply-xor over little-endian words of four bytes, with a final avalanche.
 */
export function hashBytes(source: Uint8Array, start: number, length: number, seed: number): number {
  let hash = seed ^ Math.imul(length, 0x9e3779b1)
  let at = start
  const end = start + length
  while (at + 4 <= end) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)
    hash = Math.imul(hash ^ word, 0x85ebca6b)
    hash ^= hash >>> 15
    at += 4
  }
  while (at < end) hash = Math.imul(hash ^ source[at++]!, 0xc2b2ae35)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x7feb352d)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x846ca68b)
  return hash ^ (hash >>> 16)
}
