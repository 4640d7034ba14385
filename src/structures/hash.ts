/**
 * HashDict: a hash above the thresholds of the packed block (Kind.HashDict). Hot path.
 *
 * Fields are the keys of a Dict of stride Map, whose values are arena references of the value bytes. Rows are dense,
 * so a random field is a random row, and a scan walks the rows from the top down (see storage/dict.ts). A row number
 * is valid until the next removal.
 *
 * What few hashes have is held apart, so that the others have no place for it: expire times of fields (hash-times.ts)
 * and the walk of a snapshot. Giving a field its value takes its time away, replacing the value of a row does not.
 *
 * `bytes` follows the arena around each change, so that the accounting needs no walk.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'
import { NO_EXPIRE } from '../storage/expires.ts'
import { HashTimes } from './hash-times.ts'
import type { Collection } from './kind.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'
import { type RowOwner, RowWalk } from './walk-rows.ts'

/** Estimated bytes of the objects themselves: this class, its Dict and their arrays' headers. */
const OBJECT_BYTES = 400
/** What a field is taken to add to a delivery beside the bytes of field and value. */
const DELIVERY_BYTES = 8

/** What most hashes do not have. */
interface HashAside {
  walk: RowWalk | null
  times: HashTimes | null
}

export class HashDict implements Collection, RowOwner {
  private readonly arena: Arena
  private readonly dict: Dict
  private bytes = 0
  private aside: HashAside | null = null

  /** @param seed of the hash function; secret, so that clients cannot choose colliding fields. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.dict = new Dict(arena, DictStride.Map, seed)
  }

  /** Number of fields; rows are 0 … size - 1. */
  get size(): number {
    return this.dict.size
  }

  /** Expire times of fields; null when none ever had one. */
  get times(): HashTimes | null {
    return this.aside === null ? null : this.aside.times
  }

  /** The row of a field, or NO_ROW. */
  find(field: Uint8Array, start: number, length: number): number {
    return this.dict.find(field, start, length)
  }

  /** Gives a field its value, and takes its expire time away. Returns whether the field is new. The value must not lie in a block of this hash. */
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
      if (this.aside !== null) this.beforeOverwrite(row)
      const old = dict.value(row)
      const block = arena.overwrite(old, value, valueStart, valueLength)
      // In place mostly: then the row's cache line stays clean.
      if (block !== old) dict.setValue(row, block)
    }
    this.bytes += arena.liveBytes - before
    return isNew
  }

  /** Replaces the value of a row; its expire time stays. The new one must not lie in a block of this hash. */
  setValueAt(row: number, value: Uint8Array, start: number, length: number): void {
    if (this.aside !== null) this.beforeChange(row)
    const before = this.arena.liveBytes
    this.dict.setValue(row, this.arena.overwrite(this.dict.value(row), value, start, length))
    this.bytes += this.arena.liveBytes - before
  }

  /** Removes the field of a row; the last row moves into its place. */
  removeRow(row: number): void {
    const dict = this.dict
    if (this.aside !== null) {
      this.aside.walk?.beforeRemove(row)
      this.aside.times?.removed(row, dict.size - 1)
    }
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

  /** Expire time of the field of a row, in ms; NO_EXPIRE when it has none. */
  timeOf(row: number): number {
    const times = this.times
    return times === null ? NO_EXPIRE : times.timeOf(row)
  }

  /** Gives the field of a row an expire time in ms, or with NO_EXPIRE none. O(log n) */
  setTime(row: number, time: number): void {
    if (this.aside !== null) this.beforeChange(row)
    if (time === NO_EXPIRE) {
      this.times?.clear(row)
      return
    }
    this.aside ??= { walk: null, times: null }
    this.aside.times ??= new HashTimes(this.arena)
    this.aside.times.set(row, time)
  }

  /** A copy with blocks of its own. O(n). */
  clone(): HashDict {
    const arena = this.arena
    const copy = new HashDict(arena, this.dict.seed)
    const before = arena.liveBytes
    copy.dict.insertAll(this.dict, (row) => {
      const value = this.valueRef(row)
      copy.dict.setValue(row, arena.store(arena.segment(value), arena.offset(value), arena.length(value)))
      const time = this.timeOf(row)
      if (time !== NO_EXPIRE) copy.setTime(row, time)
    })
    copy.bytes = arena.liveBytes - before
    return copy
  }

  beginWalk(early: ElementSink): CollectionWalk {
    this.aside ??= { walk: null, times: null }
    if (this.aside.walk !== null) throw new Error('A walk over this hash is open')
    this.aside.walk = new RowWalk(this, early)
    return this.aside.walk
  }

  free(): void {
    this.freeSome(Number.POSITIVE_INFINITY)
  }

  freeSome(limit: number): boolean {
    const walk = this.aside === null ? null : this.aside.walk
    if (walk === null) return this.freeRows(limit)
    walk.adopt()
    return true
  }

  private beforeChange(row: number): void {
    this.aside!.walk?.beforeChange(row)
  }

  private beforeOverwrite(row: number): void {
    this.beforeChange(row)
    this.aside!.times?.clear(row)
  }

  // For the walk; see RowOwner.

  deliverRow(row: number, sink: ElementSink): number {
    const field = this.dict.keyRef(row)
    const value: Ref = this.dict.value(row)
    sink.field(field, value, this.timeOf(row))
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
    this.times?.free()
    if (this.aside !== null) this.aside.times = null
    return true
  }

  walkEnded(): void {
    if (this.aside === null) return
    this.aside.walk = null
    if (this.aside.times === null) this.aside = null
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
    const times = this.times
    return OBJECT_BYTES + this.dict.overheadBytes() + (times === null ? 0 : times.overheadBytes())
  }
}
