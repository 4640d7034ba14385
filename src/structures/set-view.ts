/**
 * SetView: one set, whichever encoding it has. Hot path.
 *
 * A reused view over an intset, a packed set or a SetDict. It holds what the key index holds, `kind` and `ref` or
 * `dict`, and changes them as the set changes its encoding or its block moves: after a change the caller
 * stores them again. The rules of conversion are those of Valkey src/t_set.c (`setTypeAddAux`), except that an
 * integer beyond ±2^53 is no integer here.
 *
 *     intset ──a member that is no integer──▶ packed ──too many, too long──▶ SetDict
 *        └──────────── too many, or it would not fit as packed ─────────────────▲
 */
import { integerLength, parseSafeInteger } from '../bytes/integer.ts'
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import { createPacked, PackedCursor, packedAppend, packedCount, packedRemove } from '../storage/packed.ts'
import type { Element } from './element.ts'
import { createIntset, intsetAt, intsetCount, intsetInsert, intsetRemoveAt, intsetSearch } from './intset.ts'
import { Kind } from './kind.ts'
import { hasPackedRoom, PACKED_BYTES_MAX } from './packed-hash.ts'
import { packedPositions } from './packed-positions.ts'
import { packedFromIntset, type SetLimits, seekMember } from './packed-set.ts'
import { SetDict } from './set.ts'

/** Redis never lets an intset grow beyond this. Valkey src/t_set.c `intsetMaxEntries`. */
const INTSET_ENTRIES_MAX = 1 << 30

/** Bytes of a packed integer entry at most. */
const PACKED_INTEGER_BYTES = 10

export class SetView {
  /** Kind.SetIntset, SetPacked or SetDict; Kind.None without a set. */
  kind: number = Kind.None
  /** Block of an intset or packed set. */
  ref: Ref = NO_REF
  /** The object of a SetDict. */
  dict: SetDict | null = null
  readonly arena: Arena
  private readonly seed: number
  private readonly cursor: PackedCursor
  private readonly walker: SetCursor

  /** @param seed for the SetDicts that conversions make. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.seed = seed
    this.cursor = new PackedCursor(arena)
    this.walker = new SetCursor(arena)
  }

  /** Looks at an intset or packed set. */
  openBlock(kind: number, ref: Ref): void {
    this.kind = kind
    this.ref = ref
    this.dict = null
  }

  openDict(dict: SetDict): void {
    this.kind = Kind.SetDict
    this.ref = NO_REF
    this.dict = dict
  }

  /** Looks at no set: size 0, no members. */
  openNone(): void {
    this.kind = Kind.None
    this.ref = NO_REF
    this.dict = null
  }

  /** Creates an empty set in the encoding that fits a first member and about `sizeHint` members. */
  create(member: Uint8Array, start: number, length: number, sizeHint: number, limits: SetLimits): void {
    if (!Number.isNaN(parseSafeInteger(member, start, length)) && sizeHint <= limits.setMaxIntsetEntries) {
      this.createIntset()
    } else if (sizeHint <= limits.setMaxListpackEntries) {
      this.createPacked()
    } else {
      this.openDict(new SetDict(this.arena, this.seed))
    }
  }

  createIntset(): void {
    this.openBlock(Kind.SetIntset, createIntset(this.arena))
  }

  createPacked(): void {
    this.openBlock(Kind.SetPacked, createPacked(this.arena))
  }

  /** Number of members. */
  size(): number {
    switch (this.kind) {
      case Kind.SetIntset:
        return intsetCount(this.arena, this.ref)
      case Kind.SetPacked:
        return packedCount(this.arena, this.ref)
      case Kind.SetDict:
        return this.dict!.size
      default:
        return 0
    }
  }

  /** The cursor of this view, before the first member. It stays on this set when the view is opened on another. */
  walk(): SetCursor {
    this.walker.open(this)
    return this.walker
  }

  has(member: Uint8Array, start: number, length: number): boolean {
    switch (this.kind) {
      case Kind.SetIntset: {
        const value = parseSafeInteger(member, start, length)
        return !Number.isNaN(value) && intsetSearch(this.arena, this.ref, value) >= 0
      }
      case Kind.SetPacked:
        return seekMember(this.cursor, this.ref, member, start, length)
      case Kind.SetDict:
        return this.dict!.has(member, start, length)
      default:
        return false
    }
  }

  /** As `has`, for an element of another set. */
  hasElement(element: Element): boolean {
    if (element.isInteger) {
      if (this.kind === Kind.SetIntset) return intsetSearch(this.arena, this.ref, element.integer) >= 0
      element.spell()
    }
    return this.has(element.buffer, element.start, element.length)
  }

  /** Adds a member to the set, which must not be of Kind.None. Returns false if it was there. */
  add(member: Uint8Array, start: number, length: number, limits: SetLimits): boolean {
    switch (this.kind) {
      case Kind.SetDict:
        return this.dict!.add(member, start, length)
      case Kind.SetPacked:
        return this.addPacked(member, start, length, limits)
      default: {
        const value = parseSafeInteger(member, start, length)
        if (!Number.isNaN(value)) return this.addInteger(value, limits)
        if (this.canBecomePacked(length, limits)) {
          this.replaceBlock(Kind.SetPacked, packedFromIntset(this.arena, this.ref))
          this.ref = packedAppend(this.arena, this.ref, member, start, length)
        } else {
          this.becomeDict()
          this.dict!.add(member, start, length)
        }
        return true
      }
    }
  }

  /** As `add`, for an element of another set. */
  addElement(element: Element, limits: SetLimits): boolean {
    if (element.isInteger) {
      if (this.kind === Kind.SetIntset) return this.addInteger(element.integer, limits)
      element.spell()
    }
    return this.add(element.buffer, element.start, element.length, limits)
  }

  /** Removes a member. Returns false if it was not there. A set that becomes empty is the caller's to free. */
  remove(member: Uint8Array, start: number, length: number): boolean {
    switch (this.kind) {
      case Kind.SetIntset: {
        const value = parseSafeInteger(member, start, length)
        if (Number.isNaN(value)) return false
        const index = intsetSearch(this.arena, this.ref, value)
        if (index < 0) return false
        this.ref = intsetRemoveAt(this.arena, this.ref, index)
        return true
      }
      case Kind.SetPacked:
        if (!seekMember(this.cursor, this.ref, member, start, length)) return false
        this.ref = packedRemove(this.arena, this.ref, this.cursor.position, 1)
        return true
      case Kind.SetDict:
        return this.dict!.remove(member, start, length)
      default:
        return false
    }
  }

  /** As `remove`, for an element of another set. */
  removeElement(element: Element): boolean {
    element.spell()
    return this.remove(element.buffer, element.start, element.length)
  }

  /** Shows the member at `index` (0 … size - 1, in the order of iteration). O(index) in a packed set. */
  showAt(index: number, element: Element): void {
    if (this.kind === Kind.SetDict) {
      element.showBlock(this.arena, this.dict!.memberRef(index))
    } else if (this.kind === Kind.SetIntset) {
      element.showInteger(intsetAt(this.arena, this.ref, index))
    } else {
      this.cursor.open(this.ref)
      this.cursor.seek(index)
      element.showEntry(this.cursor)
    }
  }

  /** Removes the member at `index`, as `showAt` counts. In a SetDict the last member takes its place. */
  removeAt(index: number): void {
    if (this.kind === Kind.SetDict) {
      this.dict!.removeRow(index)
    } else if (this.kind === Kind.SetIntset) {
      this.ref = intsetRemoveAt(this.arena, this.ref, index)
    } else {
      this.cursor.open(this.ref)
      this.cursor.seek(index)
      this.ref = packedRemove(this.arena, this.ref, this.cursor.position, 1)
    }
  }

  /** Becomes a SetDict at once when `count` members that are about to come would not fit. */
  expect(count: number, limits: SetLimits): void {
    if (
      (this.kind === Kind.SetPacked && count > limits.setMaxListpackEntries) ||
      (this.kind === Kind.SetIntset && count > limits.setMaxIntsetEntries)
    ) {
      this.becomeDict()
    }
  }

  /** Becomes an intset if all members are integers and few enough. O(n). Valkey src/t_set.c `maybeConvertToIntset`. */
  becomeIntset(limits: SetLimits): void {
    const size = this.size()
    if (this.kind === Kind.SetIntset || size > intsetEntriesMax(limits)) return
    let ref = createIntset(this.arena)
    for (let index = 0; index < size; index++) {
      const value = this.integerAt(index)
      if (Number.isNaN(value)) {
        this.arena.free(ref)
        return
      }
      ref = intsetInsert(this.arena, ref, -1 - intsetSearch(this.arena, ref, value), value)
    }
    this.replaceBlock(Kind.SetIntset, ref)
  }

  /** Becomes packed, if the members of a SetDict fit. O(n), n up to the limit. */
  becomePacked(limits: SetLimits): void {
    const dict = this.dict
    if (dict === null || dict.size > limits.setMaxListpackEntries) return
    const arena = this.arena
    for (let row = 0; row < dict.size; row++) {
      if (arena.length(dict.memberRef(row)) > limits.setMaxListpackValue) return
    }
    this.createPacked()
    for (let row = 0; row < dict.size; row++) {
      const member = dict.memberRef(row)
      this.ref = packedAppend(arena, this.ref, arena.segment(member), arena.offset(member), arena.length(member))
    }
    dict.free()
  }

  /** Frees everything that the set owns, and looks at no set. */
  free(): void {
    if (this.dict !== null) this.dict.free()
    else if (this.ref !== NO_REF) this.arena.free(this.ref)
    this.openNone()
  }

  private addPacked(member: Uint8Array, start: number, length: number, limits: SetLimits): boolean {
    if (seekMember(this.cursor, this.ref, member, start, length)) return false
    if (
      packedCount(this.arena, this.ref) < limits.setMaxListpackEntries &&
      length <= limits.setMaxListpackValue &&
      hasPackedRoom(this.arena, this.ref, length)
    ) {
      this.ref = packedAppend(this.arena, this.ref, member, start, length)
    } else {
      this.becomeDict()
      this.dict!.add(member, start, length)
    }
    return true
  }

  private addInteger(value: number, limits: SetLimits): boolean {
    const found = intsetSearch(this.arena, this.ref, value)
    if (found >= 0) return false
    this.ref = intsetInsert(this.arena, this.ref, -1 - found, value)
    if (intsetCount(this.arena, this.ref) > intsetEntriesMax(limits)) this.becomeDict()
    return true
  }

  /** Whether the intset and a member of `length` bytes fit into a packed set. */
  private canBecomePacked(length: number, limits: SetLimits): boolean {
    const arena = this.arena
    const count = intsetCount(arena, this.ref)
    if (count >= limits.setMaxListpackEntries || length > limits.setMaxListpackValue) return false
    if (count * PACKED_INTEGER_BYTES + length > PACKED_BYTES_MAX) return false
    if (count === 0) return true
    const first = integerLength(intsetAt(arena, this.ref, 0))
    const last = integerLength(intsetAt(arena, this.ref, count - 1))
    return Math.max(first, last) <= limits.setMaxListpackValue
  }

  private becomeDict(): void {
    const dict = new SetDict(this.arena, this.seed)
    if (this.kind === Kind.SetPacked) {
      const cursor = this.cursor
      cursor.open(this.ref)
      while (cursor.advance()) {
        if (cursor.isInteger) dict.addInteger(cursor.integer)
        else dict.add(cursor.buffer, cursor.start, cursor.length)
      }
    } else {
      const count = intsetCount(this.arena, this.ref)
      for (let index = 0; index < count; index++) dict.addInteger(intsetAt(this.arena, this.ref, index))
    }
    this.arena.free(this.ref)
    this.openDict(dict)
  }

  private replaceBlock(kind: number, ref: Ref): void {
    const { dict, ref: old } = this
    if (dict !== null) dict.free()
    else this.arena.free(old)
    this.openBlock(kind, ref)
  }

  /** The member at `index` as an integer, NaN if it is none. */
  private integerAt(index: number): number {
    if (this.kind === Kind.SetDict) {
      const ref = this.dict!.memberRef(index)
      return parseSafeInteger(this.arena.segment(ref), this.arena.offset(ref), this.arena.length(ref))
    }
    if (index === 0) this.cursor.open(this.ref)
    this.cursor.advance()
    return this.cursor.isInteger ? this.cursor.integer : Number.NaN
  }
}

/** Walks the members of a set, which must not change meanwhile. Reused: open() it again for each use. */
export class SetCursor {
  private readonly packed: PackedCursor
  private readonly arena: Arena
  private kind: number = Kind.None
  private ref: Ref = NO_REF
  private dict: SetDict | null = null
  private next = 0
  private count = 0
  /** Where each member of a packed set starts, if `isIndexed`. */
  private positions = new Int32Array(0)
  private isIndexed = false

  constructor(arena: Arena) {
    this.arena = arena
    this.packed = new PackedCursor(arena)
  }

  /** Takes position before the first member. */
  open(set: SetView): void {
    this.kind = set.kind
    this.ref = set.ref
    this.dict = set.dict
    this.next = 0
    this.count = set.size()
    this.isIndexed = false
    if (set.kind === Kind.SetPacked) this.packed.open(set.ref)
  }

  /** Shows the following member in `element`. Returns false behind the last one. */
  advance(element: Element): boolean {
    if (this.next >= this.count) return false
    const index = this.next++
    if (this.kind === Kind.SetDict) {
      element.showBlock(this.arena, this.dict!.memberRef(index))
    } else if (this.kind === Kind.SetIntset) {
      element.showInteger(intsetAt(this.arena, this.ref, index))
    } else {
      this.packed.advance()
      element.showEntry(this.packed)
    }
    return true
  }

  /** Moves so that `advance` shows the member at `index`, which must be in range. O(distance) in a packed set. */
  moveTo(index: number): void {
    if (this.kind === Kind.SetPacked) {
      if (this.isIndexed) this.packed.next = this.positions[index]!
      else {
        if (index < this.next) {
          this.packed.open(this.ref)
          this.next = 0
        }
        for (let entries = index - this.next; entries > 0; entries--) this.packed.skip()
      }
    }
    this.next = index
  }

  /** Makes each further `moveTo` O(1), at the cost of one walk. */
  prepareRandomAccess(): void {
    if (this.kind !== Kind.SetPacked) return
    this.positions = packedPositions(this.packed, this.count, 1, this.positions)
    this.isIndexed = true
  }
}

function intsetEntriesMax(limits: SetLimits): number {
  return Math.min(limits.setMaxIntsetEntries, INTSET_ENTRIES_MAX)
}
