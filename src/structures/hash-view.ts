/**
 * HashView: one hash, whichever encoding it has. Hot path.
 *
 * A reused view over a packed hash or a HashDict. It holds what the key index holds, `kind` and `ref` or `dict`, and
 * changes them as the hash changes its encoding or its block moves: after a change the caller stores them again.
 * A packed hash with too many pairs or too long a field or value counts as a hashtable from then on (OBJECT ENCODING),
 * and never goes back. While it is small it stays in its block all the same, as Kind.HashWide: a job with 15 fields, one
 * of which is long, is cheaper to search than a table of its own is to make. Above that it is a HashDict.
 * Source: Valkey src/t_hash.c `hashTypeSet`, `hashTypeTryConversion`.
 */
import { writeInteger } from '../bytes/integer.ts'
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import { NO_ROW } from '../storage/dict.ts'
import { createPacked, NO_ENTRY, PackedCursor, packedBytes } from '../storage/packed.ts'
import type { Element } from './element.ts'
import { HashDict } from './hash.ts'
import { Kind } from './kind.ts'
import {
  appendPair,
  type HashLimits,
  hasPackedRoom,
  packedHashSize,
  removePair,
  replaceValue,
  seekField,
} from './packed-hash.ts'
import { packedPositions } from './packed-positions.ts'

/** Pairs and bytes up to which a hash beyond the thresholds stays in one block: a search reads some hundred bytes. */
const WIDE_PAIRS_MAX = 32
const WIDE_BYTES_MAX = 8 * 1024
/** Text of an integer field or value that is being converted: a sign and 16 digits at most. */
const INTEGER_TEXT_BYTES = 17

export class HashView {
  /** Kind.HashPacked, HashWide or HashDict; Kind.None without a hash. */
  kind: number = Kind.None
  /** Block of a packed hash. */
  ref: Ref = NO_REF
  /** The object of a HashDict. */
  dict: HashDict | null = null
  readonly arena: Arena
  private readonly seed: number
  private readonly cursor: PackedCursor
  private readonly walker: HashCursor
  /** Where `get` found its field: the position of a packed value, or a row. */
  private found = 0

  /** @param seed for the HashDicts that conversions make. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.seed = seed
    this.cursor = new PackedCursor(arena)
    this.walker = new HashCursor(arena)
  }

  /** @param kind HashPacked or HashWide */
  openPacked(ref: Ref, kind: number): void {
    this.kind = kind
    this.ref = ref
    this.dict = null
  }

  openDict(dict: HashDict): void {
    this.kind = Kind.HashDict
    this.ref = NO_REF
    this.dict = dict
  }

  /** Looks at no hash: size 0, no fields. */
  openNone(): void {
    this.kind = Kind.None
    this.ref = NO_REF
    this.dict = null
  }

  /** Creates an empty hash. */
  create(): void {
    this.openPacked(createPacked(this.arena), Kind.HashPacked)
  }

  /** Number of fields. */
  size(): number {
    if (this.ref !== NO_REF) return packedHashSize(this.arena, this.ref)
    return this.dict === null ? 0 : this.dict.size
  }

  /** The cursor of this view, before the first pair. It stays on this hash when the view is opened on another. */
  walk(): HashCursor {
    this.walker.open(this)
    return this.walker
  }

  has(field: Uint8Array, start: number, length: number): boolean {
    if (this.ref !== NO_REF) return seekField(this.cursor, this.ref, field, start, length) !== NO_ENTRY
    return this.dict !== null && this.dict.find(field, start, length) !== NO_ROW
  }

  /** Shows the value of a field in `value`. Returns false, and leaves it, if the field is absent. */
  get(field: Uint8Array, start: number, length: number, value: Element): boolean {
    if (this.ref !== NO_REF) {
      if (seekField(this.cursor, this.ref, field, start, length) === NO_ENTRY) return false
      value.showEntry(this.cursor)
      this.found = this.cursor.position
      return true
    }
    if (this.dict === null) return false
    const row = this.dict.find(field, start, length)
    if (row === NO_ROW) return false
    this.found = row
    value.showBlock(this.arena, this.dict.valueRef(row))
    return true
  }

  /**
   * Gives a field its value; the hash must not be of Kind.None. Returns whether the field is new.
   * Neither range may lie in a block of this hash.
   */
  set(
    field: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    value: Uint8Array,
    valueStart: number,
    valueLength: number,
    limits: HashLimits,
  ): boolean {
    if (this.ref !== NO_REF) {
      const valueMax = limits.hashMaxListpackValue
      const isShort = fieldLength <= valueMax && valueLength <= valueMax
      if ((isShort && this.kind === Kind.HashPacked) || this.widen(1, fieldLength + valueLength)) {
        return this.setPacked(field, fieldStart, fieldLength, value, valueStart, valueLength, limits)
      }
      this.becomeDict()
    }
    return this.dict!.set(field, fieldStart, fieldLength, value, valueStart, valueLength)
  }

  /**
   * Replaces the value that the last `get` has found in this hash, which must not have changed since. The new one must
   * not lie in a block of this hash.
   */
  replaceFound(value: Uint8Array, start: number, length: number, limits: HashLimits): void {
    if (this.dict !== null) {
      this.dict.setValueAt(this.found, value, start, length)
      return
    }
    this.ref = replaceValue(this.arena, this.ref, this.found, value, start, length)
    if (length > limits.hashMaxListpackValue && !this.widen(0, 0)) this.becomeDict()
  }

  /** Removes a field. Returns false if it is absent. A hash that becomes empty is the caller's to free. */
  remove(field: Uint8Array, start: number, length: number): boolean {
    if (this.ref !== NO_REF) {
      const position = seekField(this.cursor, this.ref, field, start, length)
      if (position === NO_ENTRY) return false
      this.ref = removePair(this.arena, this.ref, position)
      return true
    }
    if (this.dict === null) return false
    const row = this.dict.find(field, start, length)
    if (row === NO_ROW) return false
    this.dict.removeRow(row)
    return true
  }

  /** Counts as a hashtable at once, and becomes a HashDict if it is too big for one block, when `pairs` pairs of `bytes` bytes that are about to come would not fit. */
  expect(pairs: number, bytes: number, limits: HashLimits): void {
    if (this.ref === NO_REF) return
    const isWide = this.kind === Kind.HashWide || pairs > limits.hashMaxListpackEntries
    // Judged by what comes, not by what the block will hold: fields may repeat.
    const fits = isWide ? pairs <= WIDE_PAIRS_MAX && this.widen(0, bytes) : hasPackedRoom(this.arena, this.ref, bytes)
    if (!fits) this.becomeDict()
  }

  /** Becomes a HashDict, whatever the limits are. O(n). */
  becomeDict(): void {
    const dict = new HashDict(this.arena, this.seed)
    const cursor = this.cursor
    cursor.open(this.ref)
    while (cursor.advance()) {
      let { buffer, start, length } = cursor
      if (cursor.isInteger) {
        buffer = FIELD_DIGITS
        start = 0
        length = writeInteger(buffer, 0, cursor.integer)
      }
      cursor.advance()
      if (cursor.isInteger) {
        dict.set(buffer, start, length, VALUE_DIGITS, 0, writeInteger(VALUE_DIGITS, 0, cursor.integer))
      } else dict.set(buffer, start, length, cursor.buffer, cursor.start, cursor.length)
    }
    this.arena.free(this.ref)
    this.openDict(dict)
  }

  /** Frees everything that the hash owns, and looks at no hash. */
  free(): void {
    if (this.dict !== null) this.dict.free()
    else if (this.ref !== NO_REF) this.arena.free(this.ref)
    this.openNone()
  }

  private setPacked(
    field: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    value: Uint8Array,
    valueStart: number,
    valueLength: number,
    limits: HashLimits,
  ): boolean {
    const arena = this.arena
    if (seekField(this.cursor, this.ref, field, fieldStart, fieldLength) !== NO_ENTRY) {
      this.ref = replaceValue(arena, this.ref, this.cursor.position, value, valueStart, valueLength)
      return false
    }
    this.ref = appendPair(arena, this.ref, field, fieldStart, fieldLength, value, valueStart, valueLength)
    if (packedHashSize(arena, this.ref) > limits.hashMaxListpackEntries && !this.widen(0, 0)) this.becomeDict()
    return true
  }

  /** Takes the kind HashWide when the block, with so many pairs and bytes more, is small enough for it. */
  private widen(pairs: number, bytes: number): boolean {
    if (packedHashSize(this.arena, this.ref) + pairs > WIDE_PAIRS_MAX) return false
    if (packedBytes(this.arena, this.ref) + bytes > WIDE_BYTES_MAX) return false
    this.kind = Kind.HashWide
    return true
  }
}

/** Walks the pairs of a hash, which must not change meanwhile. Reused: open() it again for each use. */
export class HashCursor {
  private readonly arena: Arena
  private readonly packed: PackedCursor
  private dict: HashDict | null = null
  private next = 0
  private count = 0
  /** Where each pair of a packed hash starts, if `isIndexed`. */
  private positions = new Int32Array(0)
  private isIndexed = false

  constructor(arena: Arena) {
    this.arena = arena
    this.packed = new PackedCursor(arena)
  }

  /** Takes position before the first pair. */
  open(hash: HashView): void {
    this.dict = hash.dict
    this.next = 0
    this.count = hash.size()
    this.isIndexed = false
    if (hash.ref !== NO_REF) this.packed.open(hash.ref)
  }

  /** Shows the following pair. Returns false behind the last one. */
  advance(field: Element, value: Element): boolean {
    if (this.next >= this.count) return false
    const index = this.next++
    if (this.dict !== null) {
      field.showBlock(this.arena, this.dict.fieldRef(index))
      value.showBlock(this.arena, this.dict.valueRef(index))
      return true
    }
    this.packed.advance()
    field.showEntry(this.packed)
    this.packed.advance()
    value.showEntry(this.packed)
    return true
  }

  /** Moves so that `advance` shows the pair at `index`, which must be in range. O(distance) in a packed hash. */
  moveTo(index: number): void {
    if (this.dict === null) {
      if (this.isIndexed) this.packed.next = this.positions[index]!
      else {
        if (index < this.next) {
          this.packed.open(this.packed.ref)
          this.next = 0
        }
        for (let entries = (index - this.next) * 2; entries > 0; entries--) this.packed.skip()
      }
    }
    this.next = index
  }

  /** Makes each further `moveTo` O(1), at the cost of one walk. */
  prepareRandomAccess(): void {
    if (this.dict !== null) return
    this.positions = packedPositions(this.packed, this.count, 2, this.positions)
    this.isIndexed = true
  }
}

const FIELD_DIGITS = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
const VALUE_DIGITS = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
