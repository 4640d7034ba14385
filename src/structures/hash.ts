/**
 * HashDict: a hash above the thresholds of the packed block (Kind.HashDict). Hot path.
 *
 * Fields are the keys of a Dict of stride Map, whose values are arena references of the value bytes. Rows are dense,
 * so a random field is a random row, and a scan walks the rows from the top down (see storage/dict.ts). A row number
 * is valid until the next removal.
 *
 * `bytes` follows the arena around each change, so that the accounting needs no walk.
 */

import type { Arena, Ref } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'
import type { Collection } from './kind.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'
import { type RowOwner, RowWalk } from './walk-rows.ts'

/** Estimated bytes of the objects themselves: this class, its Dict and their arrays' headers. */
const OBJECT_BYTES = 400
/** What a field is taken to add to a delivery beside the bytes of field and value. */
const DELIVERY_BYTES = 8

export class HashDict implements Collection, RowOwner {
  private readonly arena: Arena
  private readonly dict: Dict
  private bytes = 0
  private walk: RowWalk | null = null

  /** @param seed of the hash function; secret, so that clients cannot choose colliding fields. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.dict = new Dict(arena, DictStride.Map, seed)
  }

  /** Number of fields; rows are 0 … size - 1. */
  get size(): number {
    return this.dict.size
  }

  /** The row of a field, or NO_ROW. */
  find(field: Uint8Array, start: number, length: number): number {
    return this.dict.find(field, start, length)
  }

  /** Gives a field its value. Returns whether the field is new. The value must not lie in a block of this hash. */
  set(
    field: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    value: Uint8Array,
    valueStart: number,
    valueLength: number,
  ): boolean {
    const dict = this.dict
    const arena = this.arena
    const hash = dict.hash(field, fieldStart, fieldLength)
    const before = arena.liveBytes
    let row = dict.findHashed(hash, field, fieldStart, fieldLength)
    const isNew = row === NO_ROW
    if (isNew) {
      const key = arena.store(field, fieldStart, fieldLength)
      const block = arena.store(value, valueStart, valueLength)
      row = dict.insertRef(hash, key)
      dict.setValue(row, block)
    } else {
      if (this.walk !== null) this.walk.beforeChange(row)
      const old = dict.value(row)
      const block = arena.overwrite(old, value, valueStart, valueLength)
      // In place mostly: then the row's cache line stays clean.
      if (block !== old) dict.setValue(row, block)
    }
    this.bytes += arena.liveBytes - before
    return isNew
  }

  /** Replaces the value of a row. The new one must not lie in a block of this hash. */
  setValueAt(row: number, value: Uint8Array, start: number, length: number): void {
    if (this.walk !== null) this.walk.beforeChange(row)
    const before = this.arena.liveBytes
    this.dict.setValue(row, this.arena.overwrite(this.dict.value(row), value, start, length))
    this.bytes += this.arena.liveBytes - before
  }

  /** Removes the field of a row; the last row moves into its place. */
  removeRow(row: number): void {
    if (this.walk !== null) this.walk.beforeRemove(row)
    const dict = this.dict
    const before = this.arena.liveBytes
    this.arena.free(dict.value(row))
    dict.remove(row)
    this.bytes += this.arena.liveBytes - before
  }

  /** The block of the field of a row. */
  fieldRef(row: number): Ref {
    return this.dict.keyRef(row)
  }

  /** The block of the value of a row. */
  valueRef(row: number): Ref {
    return this.dict.value(row)
  }

  /** A copy with blocks of its own. O(n). */
  clone(): HashDict {
    const arena = this.arena
    const copy = new HashDict(arena, this.dict.seed)
    const before = arena.liveBytes
    copy.dict.insertAll(this.dict, (row) => {
      const value = this.valueRef(row)
      copy.dict.setValue(row, arena.store(arena.segment(value), arena.offset(value), arena.length(value)))
    })
    copy.bytes = arena.liveBytes - before
    return copy
  }

  beginWalk(early: ElementSink): CollectionWalk {
    if (this.walk !== null) throw new Error('A walk over this hash is open')
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
    const field = this.dict.keyRef(row)
    const value: Ref = this.dict.value(row)
    sink.field(field, value)
    return this.arena.length(field) + this.arena.length(value) + DELIVERY_BYTES
  }

  freeRows(limit: number): boolean {
    const { arena, dict } = this
    const before = arena.liveBytes
    for (let left = limit; left > 0 && dict.size > 0; left--) {
      arena.free(dict.value(dict.size - 1))
      dict.freeLast()
    }
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
    return this.dict.size * 2
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
