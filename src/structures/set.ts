/**
 * SetDict: a set above the thresholds of intset and packed block (Kind.SetDict). Hot path.
 *
 * Members are the keys of a Dict of stride Set. Rows are dense, so a random member is a random row, and a scan walks
 * the rows from the top down (see storage/dict.ts). A row number is valid until the next removal.
 *
 * `bytes` follows the arena around each change, so that the accounting costs two additions and no walk.
 */
import { writeInteger } from '../bytes/integer.ts'
import type { Arena, Ref } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'
import type { Collection } from './kind.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'
import { type RowOwner, RowWalk } from './walk-rows.ts'

/** Estimated bytes of the objects themselves: this class, its Dict and their arrays' headers. */
const OBJECT_BYTES = 400
/** What a member is taken to add to a delivery beside its bytes. */
const DELIVERY_BYTES = 4

/** Text of the integer that is being added: a sign and 16 digits at most. */
const DIGITS = Buffer.allocUnsafeSlow(17)

export class SetDict implements Collection, RowOwner {
  private readonly arena: Arena
  private readonly dict: Dict
  private bytes = 0
  private walk: RowWalk | null = null

  /** @param seed of the hash function; secret, so that clients cannot choose colliding members. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.dict = new Dict(arena, DictStride.Set, seed)
  }

  /** Number of members; rows are 0 … size - 1. */
  get size(): number {
    return this.dict.size
  }

  has(member: Uint8Array, start: number, length: number): boolean {
    return this.dict.find(member, start, length) !== NO_ROW
  }

  /** Adds a member. Returns false if it was there. */
  add(member: Uint8Array, start: number, length: number): boolean {
    const dict = this.dict
    const hash = dict.hash(member, start, length)
    if (dict.findHashed(hash, member, start, length) !== NO_ROW) return false
    const ref = this.arena.store(member, start, length)
    this.bytes += this.arena.capacity(ref)
    dict.insertRef(hash, ref)
    return true
  }

  /** Adds the decimal text of a safe integer. Returns false if it was there. */
  addInteger(value: number): boolean {
    return this.add(DIGITS, 0, writeInteger(DIGITS, 0, value))
  }

  /** Removes a member. Returns false if it was not there. */
  remove(member: Uint8Array, start: number, length: number): boolean {
    const row = this.dict.find(member, start, length)
    if (row === NO_ROW) return false
    this.removeRow(row)
    return true
  }

  /** Removes the member of a row; the last row moves into its place. */
  removeRow(row: number): void {
    if (this.walk !== null) this.walk.beforeRemove(row)
    this.bytes -= this.arena.capacity(this.dict.keyRef(row))
    this.dict.remove(row)
  }

  /** The block of the member of a row. */
  memberRef(row: number): Ref {
    return this.dict.keyRef(row)
  }

  /** A copy with blocks of its own. O(n). */
  clone(): SetDict {
    const copy = new SetDict(this.arena, this.dict.seed)
    copy.dict.insertAll(this.dict, () => {})
    copy.bytes = this.bytes
    return copy
  }

  beginWalk(early: ElementSink): CollectionWalk {
    if (this.walk !== null) throw new Error('A walk over this set is open')
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
    sink.member(member)
    return this.arena.length(member) + DELIVERY_BYTES
  }

  freeRows(limit: number): boolean {
    const { arena, dict } = this
    const before = arena.liveBytes
    for (let left = limit; left > 0 && dict.size > 0; left--) dict.freeLast()
    this.bytes += arena.liveBytes - before
    if (dict.size > 0) return false
    dict.clear()
    return true
  }

  walkEnded(): void {
    this.walk = null
  }

  arenaBytes(): number {
    return this.bytes
  }

  arenaBlocks(): number {
    return this.dict.size
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
