/**
 * SortedSet: a sorted set above the packed thresholds (Kind.ZsetBig). Hot path.
 *
 * A Dict finds the score of a member, a ScoreOrder the members in order; both refer to the one block of each member,
 * which the Dict owns. Rows of the Dict are dense, so a random member is a random row, and a scan walks the rows from
 * the top down (see storage/dict.ts). A row number is valid until the next removal.
 *
 * `memberBytes` follows the arena around each change, so that the accounting costs two additions and no walk. Whoever
 * moves member blocks has to tell both the Dict and the order.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { Dict, DictStride } from '../storage/dict.ts'
import type { Collection } from './kind.ts'
import { OrderCursor, REMOVE_RUN_MAX, ScoreOrder } from './score-order.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'
import { type RowOwner, RowWalk } from './walk-rows.ts'

/** Estimated bytes of the objects themselves: this class, its Dict and order, and their arrays' headers. */
const OBJECT_BYTES = 500
/** What a member is taken to add to a delivery beside its bytes: the score, mostly. */
const DELIVERY_BYTES = 12

/** Members of one run of `removeRange` or `freeRows`. */
const removed = new Float64Array(REMOVE_RUN_MAX)

export class SortedSet implements Collection, RowOwner {
  readonly arena: Arena
  readonly order: ScoreOrder
  private readonly dict: Dict
  private memberBytes = 0
  private walk: RowWalk | null = null

  /** @param seed of the hash function; secret, so that clients cannot choose colliding members. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.order = new ScoreOrder(arena)
    this.dict = new Dict(arena, DictStride.Map, seed)
  }

  /** Number of members; rows are 0 … size - 1. */
  get size(): number {
    return this.dict.size
  }

  /** The hash of a member, for `find` and `insert`. */
  hash(member: Uint8Array, start: number, length: number): number {
    return this.dict.hash(member, start, length)
  }

  /** The row of a member, NO_ROW when it is absent. */
  find(hash: number, member: Uint8Array, start: number, length: number): number {
    return this.dict.findHashed(hash, member, start, length)
  }

  score(row: number): number {
    return this.dict.value(row)
  }

  /** The block of the member of a row. */
  memberRef(row: number): Ref {
    return this.dict.keyRef(row)
  }

  /** The rank of the member of a row; 0 is the lowest. O(log n). */
  rank(row: number): number {
    return this.order.rankOf(this.dict.value(row), this.dict.keyRef(row))
  }

  /** Adds a member that is absent. O(log n). */
  insert(hash: number, member: Uint8Array, start: number, length: number, score: number): void {
    const ref = this.arena.store(member, start, length)
    this.memberBytes += this.arena.capacity(ref)
    this.dict.setValue(this.dict.insertRef(hash, ref), score)
    this.order.insert(score, ref)
  }

  /** Gives the member of a row another score. O(log n). */
  setScore(row: number, score: number): void {
    if (this.walk !== null) this.walk.beforeChange(row)
    this.order.move(this.dict.value(row), this.dict.keyRef(row), score)
    this.dict.setValue(row, score)
  }

  /** Removes the member of a row; the last row moves into its place. O(log n). */
  removeRow(row: number): void {
    if (this.walk !== null) this.walk.beforeRemove(row)
    const ref = this.dict.keyRef(row)
    this.order.remove(this.dict.value(row), ref)
    this.memberBytes -= this.arena.capacity(ref)
    this.dict.remove(row)
  }

  /** Removes `count` members from `rank` on, which must exist. O(log n + count). */
  removeRange(rank: number, count: number): void {
    const { arena, dict } = this
    while (count > 0) {
      const run = this.order.removeRun(rank, count, removed)
      for (let i = 0; i < run; i++) {
        const ref: Ref = removed[i]!
        const row = dict.find(arena.segment(ref), arena.offset(ref), arena.length(ref))
        if (this.walk !== null) this.walk.beforeRemove(row)
        this.memberBytes -= arena.capacity(ref)
        dict.remove(row)
      }
      count -= run
    }
  }

  /** A copy with blocks of its own. O(n log n). */
  clone(): SortedSet {
    const { arena } = this
    const copy = new SortedSet(arena, this.dict.seed)
    copy.dict.reserve(this.size)
    const cursor = new OrderCursor()
    for (let more = cursor.open(this.order, 0); more; more = cursor.next()) {
      const ref = cursor.member
      const buffer = arena.segment(ref)
      const start = arena.offset(ref)
      const length = arena.length(ref)
      copy.insert(copy.hash(buffer, start, length), buffer, start, length, cursor.score)
    }
    return copy
  }

  beginWalk(early: ElementSink): CollectionWalk {
    if (this.walk !== null) throw new Error('A walk over this sorted set is open')
    this.walk = new RowWalk(this, early)
    return this.walk
  }

  free(): void {
    this.freeSome(Number.POSITIVE_INFINITY)
  }

  freeSome(limit: number): boolean {
    if (this.walk === null) return this.freeRows(limit)
    this.walk.adopt()
    return true
  }

  // For the walk; see RowOwner.

  deliverRow(row: number, sink: ElementSink): number {
    const member = this.dict.keyRef(row)
    sink.scored(member, this.dict.value(row))
    return this.arena.length(member) + DELIVERY_BYTES
  }

  /** Order and Dict lose as many members at a time, but not the same ones: nobody looks members up any more. */
  freeRows(limit: number): boolean {
    const { arena, dict, order } = this
    let left = Math.min(limit, dict.size)
    const isWhole = left === dict.size
    if (isWhole) order.clear()
    while (left > 0) {
      const run = isWhole ? left : order.removeRun(0, left, removed)
      for (let i = 0; i < run; i++) {
        this.memberBytes -= arena.capacity(dict.keyRef(dict.size - 1))
        dict.freeLast()
      }
      left -= run
    }
    if (isWhole) dict.clear()
    return isWhole
  }

  walkEnded(): void {
    this.walk = null
  }

  arenaBytes(): number {
    return this.memberBytes + this.order.nodeBytes
  }

  arenaBlocks(): number {
    return this.dict.size + this.order.nodeCount
  }

  get objectBytes(): number {
    return OBJECT_BYTES
  }

  freeSteps(): number {
    return this.dict.size
  }

  overheadBytes(): number {
    return OBJECT_BYTES + this.dict.overheadBytes()
  }
}
