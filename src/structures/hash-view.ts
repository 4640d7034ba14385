/**
 * HashView: one hash, whichever encoding it has. Hot path.
 *
 * A reused view over a packed hash or a HashDict. It holds what the key index holds, `kind` and `ref`, `timed` or `dict`,
 * and changes them as the hash changes its encoding or its block moves: after a change the caller stores them again.
 * A packed hash with too many pairs or too long a field or value counts as a hashtable from then on (OBJECT ENCODING),
 * and never goes back. While it is small it stays in its block all the same, as Kind.HashWide: a job with 15 fields, one
 * of which is long, is cheaper to search than a table of its own is to make. Above that it is a HashDict.
 *
 * A packed hash takes the kind HashTimed with the first expire time of a field; a HashDict keeps such times beside its
 * rows. Fields whose time is over are there until somebody removes them: `hideExpired` says up to which time they are
 * hidden from `has`, `get`, `fieldTime` and the cursor. Changing functions and `size` know nothing of that.
 * Source: Valkey src/t_hash.c `hashTypeSet`, `hashTypeTryConversion`.
 */
import { writeInteger } from '../bytes/integer.ts'
import { type Arena, equalBytes, NO_REF, type Ref } from '../storage/arena.ts'
import { NO_ROW } from '../storage/dict.ts'
import { NO_EXPIRE } from '../storage/expires.ts'
import {
  createPacked,
  NO_ENTRY,
  PACKED_HEADER_BYTES,
  PackedCursor,
  packedBytes,
  packedCount,
} from '../storage/packed.ts'
import { Element } from './element.ts'
import { HashDict } from './hash.ts'
import { Kind } from './kind.ts'
import {
  appendPair,
  type HashLimits,
  hasPackedRoom,
  PACKED_AT_ONCE_MAX,
  PAIR_ENTRIES,
  type PairRanges,
  packedHashSize,
  packPairs,
  removeField,
  replaceValue,
  seekField,
} from './packed-hash.ts'
import { packedPositions } from './packed-positions.ts'
import {
  appendTime,
  earliestTime,
  PackedTimedHash,
  packedWithTimes,
  readTime,
  TIMED_ENTRIES,
  writeTime,
} from './packed-timed-hash.ts'

/** Pairs and bytes up to which a hash beyond the thresholds stays in one block: a search reads some hundred bytes. */
const WIDE_PAIRS_MAX = 32
const WIDE_BYTES_MAX = 8 * 1024
/** Bytes of a hash that is made at once: with the headers of its entries it is not too big for one block. */
const BYTES_AT_ONCE_MAX = WIDE_BYTES_MAX / 2
/** Text of an integer field or value that is being converted: a sign and 16 digits at most. */
const INTEGER_TEXT_BYTES = 17
/** No time is this small: nothing is hidden. */
const NOTHING_HIDDEN = 0

/** What `fieldTime` returns for an absent field. */
export const NO_FIELD = -2

export class HashView {
  /** Kind.HashPacked, HashWide, HashTimed or HashDict; Kind.None without a hash. */
  kind: number = Kind.None
  /** Block of a packed hash, that of a HashTimed included. */
  ref: Ref = NO_REF
  /** The object of a HashTimed. Its own `ref` follows when the hash is stored. */
  timed: PackedTimedHash | null = null
  /** The object of a HashDict. */
  dict: HashDict | null = null
  /** Fields whose time is not later are hidden, in ms; 0: none is. */
  hiddenUntil: number = NOTHING_HIDDEN
  readonly arena: Arena
  private readonly seed: number
  private readonly cursor: PackedCursor
  private readonly walker: HashCursor
  /** Where `get` found its field: the position of a packed value, or a row. */
  private found = 0
  private readonly shown = new Element()

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
    this.timed = null
    this.dict = null
    this.hiddenUntil = NOTHING_HIDDEN
  }

  openTimed(timed: PackedTimedHash): void {
    this.openPacked(timed.ref, Kind.HashTimed)
    this.timed = timed
  }

  openDict(dict: HashDict): void {
    this.kind = Kind.HashDict
    this.ref = NO_REF
    this.timed = null
    this.dict = dict
    this.hiddenUntil = NOTHING_HIDDEN
  }

  /** Looks at no hash: size 0, no fields. */
  openNone(): void {
    this.kind = Kind.None
    this.ref = NO_REF
    this.timed = null
    this.dict = null
    this.hiddenUntil = NOTHING_HIDDEN
  }

  /** Hides the fields whose time is over at `now`, in ms, until the view is opened again. */
  hideExpired(now: number): void {
    const next = this.nextTime()
    this.hiddenUntil = next !== NO_EXPIRE && next <= now ? now : NOTHING_HIDDEN
  }

  /** Hides nothing, until the view is opened again. */
  showAll(): void {
    this.hiddenUntil = NOTHING_HIDDEN
  }

  get hidesFields(): boolean {
    return this.hiddenUntil !== NOTHING_HIDDEN
  }

  /** The object that is the hash's value as it is now; null when that is the block. To be asked when the hash is stored. */
  object(): PackedTimedHash | HashDict | null {
    const { timed } = this
    if (timed === null) return this.dict
    timed.ref = this.ref
    return timed
  }

  /** Takes over a block of threes (packed-timed-hash.ts). */
  createTimed(ref: Ref): void {
    this.openTimed(new PackedTimedHash(this.arena, ref, earliestTime(this.cursor, ref)))
  }

  /** Creates an empty hash. */
  create(): void {
    this.openPacked(createPacked(this.arena), Kind.HashPacked)
  }

  /**
   * Creates a hash of a few pairs in one block at once. Returns false, and does nothing, when they are too many or too
   * big for that, or a field is among them twice.
   */
  createOf(pairs: PairRanges, limits: HashLimits): boolean {
    const { lengths, first, end } = pairs
    const entries = end - first
    if (entries > PACKED_AT_ONCE_MAX || entries > PAIR_ENTRIES * limits.hashMaxListpackEntries) return false
    let bytes = 0
    let isWide = false
    for (let i = first; i < end; i++) {
      bytes += lengths[i]!
      if (lengths[i]! > limits.hashMaxListpackValue) isWide = true
    }
    if (bytes > BYTES_AT_ONCE_MAX || hasFieldTwice(pairs)) return false
    this.openPacked(packPairs(this.arena, pairs), isWide ? Kind.HashWide : Kind.HashPacked)
    return true
  }

  /** Number of fields, hidden ones included. */
  size(): number {
    if (this.timed !== null) return packedCount(this.arena, this.ref) / TIMED_ENTRIES
    if (this.ref !== NO_REF) return packedHashSize(this.arena, this.ref)
    return this.dict === null ? 0 : this.dict.size
  }

  /** Number of fields that are not hidden. O(number of hidden ones); O(n) in a packed hash that has some. */
  visibleSize(): number {
    const size = this.size()
    if (this.hiddenUntil === NOTHING_HIDDEN) return size
    if (this.dict !== null) return size - (this.dict.times?.countUntil(this.hiddenUntil) ?? 0)
    const cursor = this.walk()
    let count = 0
    while (cursor.advance(this.shown, this.shown)) count++
    return count
  }

  /** Earliest expire time of a field, in ms; NO_EXPIRE when none has one. */
  nextTime(): number {
    const holder = this.timed ?? this.dict?.times ?? null
    return holder === null ? NO_EXPIRE : holder.nextTime()
  }

  /** The cursor of this view, before the first pair. It stays on this hash when the view is opened on another. */
  walk(): HashCursor {
    this.walker.open(this)
    return this.walker
  }

  has(field: Uint8Array, start: number, length: number): boolean {
    if (this.hiddenUntil !== NOTHING_HIDDEN) return this.fieldTime(field, start, length) !== NO_FIELD
    if (this.ref !== NO_REF) return this.seek(field, start, length) !== NO_ENTRY
    return this.dict !== null && this.dict.find(field, start, length) !== NO_ROW
  }

  /** Shows the value of a field in `value`. Returns false, and leaves it, if the field is absent. */
  get(field: Uint8Array, start: number, length: number, value: Element): boolean {
    if (this.hiddenUntil !== NOTHING_HIDDEN && this.fieldTime(field, start, length) === NO_FIELD) return false
    if (this.ref !== NO_REF) {
      if (this.seek(field, start, length) === NO_ENTRY) return false
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

  /** Expire time of a field, in ms; NO_EXPIRE when it has none, NO_FIELD when there is no such field. */
  fieldTime(field: Uint8Array, start: number, length: number): number {
    let time: number = NO_EXPIRE
    if (this.ref !== NO_REF) {
      if (this.seek(field, start, length) === NO_ENTRY) return NO_FIELD
      if (this.timed !== null) time = readTime(this.cursor)
    } else {
      const row = this.dict === null ? NO_ROW : this.dict.find(field, start, length)
      if (row === NO_ROW) return NO_FIELD
      time = this.dict!.timeOf(row)
    }
    return isHidden(time, this.hiddenUntil) ? NO_FIELD : time
  }

  /** Whether the field in a row of a HashDict is not hidden. */
  showsRow(row: number): boolean {
    return !isHidden(this.dict!.timeOf(row), this.hiddenUntil)
  }

  /** Gives a field that is there an expire time in ms, or with NO_EXPIRE none. */
  setTime(field: Uint8Array, start: number, length: number, time: number): void {
    if (time !== NO_EXPIRE) this.makeTimed()
    if (this.dict !== null) {
      this.dict.setTime(this.dict.find(field, start, length), time)
      return
    }
    if (this.timed === null) return
    this.seek(field, start, length)
    this.setFoundTime(this.timed, time)
  }

  /** Whether a field is there whose time is over, and which is hidden therefore. */
  hides(field: Uint8Array, start: number, length: number): boolean {
    const until = this.hiddenUntil
    if (until === NOTHING_HIDDEN) return false
    this.hiddenUntil = NOTHING_HIDDEN
    const time = this.fieldTime(field, start, length)
    this.hiddenUntil = until
    return time !== NO_FIELD && isHidden(time, until)
  }

  /**
   * Removes up to `limit` fields whose time is over at `now`; each is shown to `removing` before. Returns how many.
   * A hash that becomes empty is the caller's to free.
   */
  removeExpired(now: number, limit: number, removing: (field: Element) => void): number {
    const { dict, timed } = this
    if (timed !== null) return this.removeExpiredPacked(timed, now, limit, removing)
    const times = dict === null ? null : dict.times
    if (dict === null || times === null) return 0
    let removed = 0
    for (let next = times.nextTime(); removed < limit && isHidden(next, now); next = times.nextTime()) {
      const row = times.firstRow()
      this.shown.showBlock(this.arena, dict.fieldRef(row))
      removing(this.shown)
      dict.removeRow(row)
      removed++
    }
    return removed
  }

  /**
   * Gives a field its value, and takes its expire time away; the hash must not be of Kind.None. Returns whether the field is new.
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
      if (this.timed !== null && isShort) {
        return this.setTimed(this.timed, field, fieldStart, fieldLength, value, valueStart, valueLength, limits)
      }
      if ((isShort && this.kind === Kind.HashPacked) || this.widen(1, fieldLength + valueLength)) {
        return this.setPacked(field, fieldStart, fieldLength, value, valueStart, valueLength, limits)
      }
      this.becomeDict()
    }
    return this.dict!.set(field, fieldStart, fieldLength, value, valueStart, valueLength)
  }

  /**
   * Replaces the value that the last `get` has found in this hash, which must not have changed since. Its expire time
   * stays. The new one must not lie in a block of this hash.
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
      const position = this.seek(field, start, length)
      if (position === NO_ENTRY) return false
      if (this.timed === null) this.ref = removeField(this.arena, this.ref, position, PAIR_ENTRIES)
      else this.removeTimed(this.timed, position, readTime(this.cursor))
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
    if (this.timed !== null) {
      if (pairs > limits.hashMaxListpackEntries || !hasPackedRoom(this.arena, this.ref, bytes)) this.becomeDict()
      return
    }
    const isWide = this.kind === Kind.HashWide || pairs > limits.hashMaxListpackEntries
    // Judged by what comes, not by what the block will hold: fields may repeat.
    const fits = isWide ? pairs <= WIDE_PAIRS_MAX && this.widen(0, bytes) : hasPackedRoom(this.arena, this.ref, bytes)
    if (!fits) this.becomeDict()
  }

  /** Becomes a HashDict, whatever the limits are. O(n). The object of a HashTimed is left without a block. */
  becomeDict(): void {
    const dict = new HashDict(this.arena, this.seed)
    const { timed } = this
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
      const time = timed === null ? NO_EXPIRE : readTime(cursor)
      // The newest row is the last one.
      if (time !== NO_EXPIRE) dict.setTime(dict.size - 1, time)
    }
    this.arena.free(this.ref)
    if (timed !== null) timed.ref = NO_REF
    const { hiddenUntil } = this
    this.openDict(dict)
    this.hiddenUntil = hiddenUntil
  }

  /** Frees everything that the hash owns, and looks at no hash. */
  free(): void {
    if (this.dict !== null) this.dict.free()
    else if (this.ref !== NO_REF) this.arena.free(this.ref)
    if (this.timed !== null) this.timed.ref = NO_REF
    this.openNone()
  }

  /** Looks for a field in the block. Returns its position with the cursor on its value, or NO_ENTRY. */
  private seek(field: Uint8Array, start: number, length: number): number {
    const entries = this.timed === null ? PAIR_ENTRIES : TIMED_ENTRIES
    return seekField(this.cursor, this.ref, entries, field, start, length)
  }

  /** Makes room for expire times. */
  private makeTimed(): void {
    if (this.ref === NO_REF || this.timed !== null) return
    if (this.kind === Kind.HashWide) {
      this.becomeDict()
      return
    }
    const ref = packedWithTimes(this.arena, this.ref)
    this.arena.free(this.ref)
    this.createTimed(ref)
  }

  private setTimed(
    timed: PackedTimedHash,
    field: Uint8Array,
    fieldStart: number,
    fieldLength: number,
    value: Uint8Array,
    valueStart: number,
    valueLength: number,
    limits: HashLimits,
  ): boolean {
    const { arena } = this
    if (this.seek(field, fieldStart, fieldLength) !== NO_ENTRY) {
      this.ref = replaceValue(arena, this.ref, this.cursor.position, value, valueStart, valueLength)
      this.seek(field, fieldStart, fieldLength)
      this.setFoundTime(timed, NO_EXPIRE)
      return false
    }
    this.ref = appendPair(arena, this.ref, field, fieldStart, fieldLength, value, valueStart, valueLength)
    this.ref = appendTime(arena, this.ref, NO_EXPIRE)
    const hasRoom = hasPackedRoom(arena, this.ref, 0)
    if (!hasRoom || this.size() > limits.hashMaxListpackEntries) this.becomeDict()
    return true
  }

  /** Replaces the time behind the value on which the cursor stands. */
  private setFoundTime(timed: PackedTimedHash, time: number): void {
    const old = readTime(this.cursor)
    if (old === time) return
    this.ref = writeTime(this.arena, this.ref, this.cursor.position, time)
    timed.ref = this.ref
    timed.timeChanged(old, time, this.cursor)
  }

  private removeTimed(timed: PackedTimedHash, position: number, time: number): void {
    this.ref = removeField(this.arena, this.ref, position, TIMED_ENTRIES)
    timed.ref = this.ref
    timed.timeChanged(time, NO_EXPIRE, this.cursor)
  }

  private removeExpiredPacked(
    timed: PackedTimedHash,
    now: number,
    limit: number,
    removing: (field: Element) => void,
  ): number {
    const { arena, cursor, shown } = this
    let removed = 0
    let position = PACKED_HEADER_BYTES
    while (removed < limit && position < arena.length(this.ref)) {
      cursor.open(this.ref)
      cursor.moveTo(position)
      shown.showEntry(cursor)
      cursor.advance()
      if (isHidden(readTime(cursor), now)) {
        removing(shown)
        this.ref = removeField(arena, this.ref, position, TIMED_ENTRIES)
        removed++
      } else position = cursor.next
    }
    timed.ref = this.ref
    timed.timeChanged(timed.nextTime(), NO_EXPIRE, cursor)
    return removed
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
    if (this.seek(field, fieldStart, fieldLength) !== NO_ENTRY) {
      this.ref = replaceValue(arena, this.ref, this.cursor.position, value, valueStart, valueLength)
      return false
    }
    this.ref = appendPair(arena, this.ref, field, fieldStart, fieldLength, value, valueStart, valueLength)
    if (packedHashSize(arena, this.ref) > limits.hashMaxListpackEntries && !this.widen(0, 0)) this.becomeDict()
    return true
  }

  /** Takes the kind HashWide when the block, with so many pairs and bytes more, is small enough for it. */
  private widen(pairs: number, bytes: number): boolean {
    if (this.timed !== null || packedHashSize(this.arena, this.ref) + pairs > WIDE_PAIRS_MAX) return false
    if (packedBytes(this.arena, this.ref) + bytes > WIDE_BYTES_MAX) return false
    this.kind = Kind.HashWide
    return true
  }
}

function hasFieldTwice({ source, starts, lengths, first, end }: PairRanges): boolean {
  for (let i = first + PAIR_ENTRIES; i < end; i += PAIR_ENTRIES) {
    const length = lengths[i]!
    for (let k = first; k < i; k += PAIR_ENTRIES)
      if (lengths[k] === length && equalBytes(source, starts[i]!, source, starts[k]!, length)) return true
  }
  return false
}

/** Whether a field with this time is hidden up to `until`. */
function isHidden(time: number, until: number): boolean {
  return time !== NO_EXPIRE && time <= until
}

/**
 * Walks the pairs of a hash that are not hidden; the hash must not change meanwhile. Indices count hidden ones too.
 * Reused: open() it again for each use.
 */
export class HashCursor {
  private readonly arena: Arena
  private readonly packed: PackedCursor
  private dict: HashDict | null = null
  private next = 0
  private count = 0
  /** Entries of a field in the block. */
  private entries: number = PAIR_ENTRIES
  private hiddenUntil = NOTHING_HIDDEN
  /** Of the packed pair that was shown last. */
  private packedTime: number = NO_EXPIRE
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
    this.entries = hash.timed === null ? PAIR_ENTRIES : TIMED_ENTRIES
    this.hiddenUntil = hash.hiddenUntil
    if (hash.ref !== NO_REF) this.packed.open(hash.ref)
  }

  /** Ends the walk before the pair at `index`. */
  endAt(index: number): void {
    this.count = Math.min(this.count, index)
  }

  /** Index of the pair that `advance` would look at. */
  get index(): number {
    return this.next
  }

  /** Shows the following pair. Returns false behind the last one. */
  advance(field: Element, value: Element): boolean {
    while (this.next < this.count) {
      const index = this.next++
      if (this.dict !== null) {
        if (this.hiddenUntil !== NOTHING_HIDDEN && isHidden(this.dict.timeOf(index), this.hiddenUntil)) continue
        field.showBlock(this.arena, this.dict.fieldRef(index))
        value.showBlock(this.arena, this.dict.valueRef(index))
        return true
      }
      this.packed.advance()
      field.showEntry(this.packed)
      this.packed.advance()
      value.showEntry(this.packed)
      if (this.entries === PAIR_ENTRIES) return true
      this.packedTime = readTime(this.packed)
      if (!isHidden(this.packedTime, this.hiddenUntil)) return true
    }
    return false
  }

  /** Expire time of the pair that was shown last, in ms; NO_EXPIRE when it has none. */
  time(): number {
    if (this.dict !== null) return this.dict.timeOf(this.next - 1)
    return this.entries === PAIR_ENTRIES ? NO_EXPIRE : this.packedTime
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
        for (let entries = (index - this.next) * this.entries; entries > 0; entries--) this.packed.skip()
      }
    }
    this.next = index
  }

  /** Makes each further `moveTo` O(1), at the cost of one walk. */
  prepareRandomAccess(): void {
    if (this.dict !== null) return
    this.positions = packedPositions(this.packed, this.count, this.entries, this.positions)
    this.isIndexed = true
  }
}

const FIELD_DIGITS = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
const VALUE_DIGITS = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
