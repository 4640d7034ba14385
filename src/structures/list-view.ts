/**
 * ListView: one list, whichever encoding it has. Hot path.
 *
 * A reused view over a packed list or a ListBig. It holds what the key index holds, `kind` and `ref` or `big`, and
 * changes them as the list changes its encoding or its block moves: after a change the caller stores them again.
 * A packed list becomes big before elements that would not fit are added (`expect`); a big one becomes packed when it has
 * shrunk to one node of half the limits (`shrink`).
 * Source: Valkey 7.2 src/t_list.c `listTypeTryConversionRaw` and what follows it.
 */
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import {
  createPacked,
  PACKED_HEADER_BYTES,
  PackedCursor,
  packedAppend,
  packedBytes,
  packedCount,
  packedInsert,
  packedRemove,
  packedReplace,
  packedTruncate,
} from '../storage/packed.ts'
import { Kind } from './kind.ts'
import { ListBig, ListEnd } from './list.ts'
import { ListCursor } from './list-cursor.ts'
import { ListEditor } from './list-editor.ts'
import { LISTPACK_FRAME_BYTES, ListLimits } from './list-limits.ts'
import { EqualRemoval } from './list-removal.ts'

/** `list-max-listpack-size` as it is by default: nodes of 8 KiB. */
const DEFAULT_SETTING = -2
/** A list that has shrunk becomes packed at half the limits, one just built at the limits. */
const SHRUNK_DIVISOR = 2
const BUILT_DIVISOR = 1

export class ListView {
  /** Kind.ListPacked or ListBig; Kind.None without a list. */
  kind: number = Kind.None
  /** Block of a packed list. */
  ref: Ref = NO_REF
  /** The object of a big list. */
  big: ListBig | null = null
  readonly arena: Arena
  /** A position in the list; `seek`, `find`, `replace` and `insert` work on it. */
  readonly cursor: ListCursor
  private setting = DEFAULT_SETTING
  private limits = new ListLimits(DEFAULT_SETTING)
  private readonly editor: ListEditor
  private readonly removal: EqualRemoval

  constructor(arena: Arena) {
    this.arena = arena
    this.cursor = new ListCursor(arena)
    this.editor = new ListEditor(arena)
    this.removal = new EqualRemoval(new PackedCursor(arena))
  }

  /** Takes over the value of `list-max-listpack-size`. */
  useSetting(setting: number): void {
    if (setting === this.setting) return
    this.setting = setting
    this.limits = new ListLimits(setting)
  }

  openPacked(ref: Ref): void {
    this.kind = Kind.ListPacked
    this.ref = ref
    this.big = null
  }

  openBig(big: ListBig): void {
    this.kind = Kind.ListBig
    this.ref = NO_REF
    this.big = big
  }

  /** Looks at no list. */
  openNone(): void {
    this.kind = Kind.None
    this.ref = NO_REF
    this.big = null
  }

  /** Creates an empty list. */
  create(): void {
    this.openPacked(createPacked(this.arena))
  }

  /** Creates an empty big list, for loading node by node (`big.appendNode`); `built` at the end. */
  createBig(): void {
    this.openBig(new ListBig(this.arena, this.limits))
  }

  /** Number of elements; 0 without a list. */
  length(): number {
    if (this.big !== null) return this.big.length
    return this.kind === Kind.None ? 0 : packedCount(this.arena, this.ref)
  }

  /** Becomes big if `count` more elements with `bytes` bytes in all do not fit into a packed block. Call before push. */
  expect(count: number, bytes: number): void {
    if (this.big !== null) return
    const size = packedBytes(this.arena, this.ref) + LISTPACK_FRAME_BYTES + bytes
    if (this.limits.exceeds(size, packedCount(this.arena, this.ref) + count)) {
      this.openBig(ListBig.fromPacked(this.arena, this.limits, this.ref))
    }
  }

  /** Adds a byte string at one end. `source` must not lie in this list. */
  push(end: ListEnd, source: Uint8Array, start: number, length: number): void {
    if (this.big !== null) this.big.push(end, source, start, length)
    else if (end === ListEnd.Tail) this.ref = packedAppend(this.arena, this.ref, source, start, length)
    else this.ref = packedInsert(this.arena, this.ref, PACKED_HEADER_BYTES, source, start, length)
  }

  /** The first or last element of a list that is not empty. */
  peek(end: ListEnd): PackedCursor {
    const entry = this.cursor.entry
    if (this.big !== null) {
      this.big.peek(end, entry)
    } else if (end === ListEnd.Head) {
      entry.open(this.ref)
      entry.advance()
    } else {
      entry.openAtEnd(this.ref)
      entry.retreat()
    }
    return entry
  }

  /** Removes `count` elements (at most `length()`) from one end. `shrink` is the caller's to call. */
  drop(end: ListEnd, count: number): void {
    if (count === 0) return
    if (this.big !== null) {
      this.big.drop(end, count)
    } else if (end === ListEnd.Head) {
      this.ref = packedRemove(this.arena, this.ref, PACKED_HEADER_BYTES, count)
    } else {
      const left = packedCount(this.arena, this.ref) - count
      const entry = this.cursor.entry
      entry.open(this.ref)
      entry.seek(count < left ? -count : left)
      this.ref = packedTruncate(this.arena, this.ref, entry.position, left)
    }
  }

  /** Opens the cursor before the first element. */
  rewind(): ListCursor {
    if (this.big !== null) this.cursor.openBig(this.big)
    else this.cursor.openPacked(this.ref)
    return this.cursor
  }

  /** Replaces the element on which the cursor stands, which is invalid afterwards. Call `expect` before `seek`. */
  replace(source: Uint8Array, start: number, length: number): void {
    const { entry, chunkIndex, at } = this.cursor
    if (this.big !== null) this.editor.replace(this.big, chunkIndex, at, entry, source, start, length)
    else this.ref = packedReplace(this.arena, this.ref, entry.position, source, start, length)
  }

  /** Inserts before (Head) or after (Tail) the element on which the cursor stands, which is invalid afterwards. */
  insert(side: ListEnd, source: Uint8Array, start: number, length: number): void {
    const { entry, chunkIndex, at } = this.cursor
    if (this.big !== null) {
      this.editor.insert(this.big, side, chunkIndex, at, entry, source, start, length)
      return
    }
    const position = side === ListEnd.Head ? entry.position : entry.next
    this.ref = packedInsert(this.arena, this.ref, position, source, start, length)
  }

  /** Removes up to `limit` elements equal to `source[start, start + length)`, from one end. Returns how many. */
  removeEqual(from: ListEnd, limit: number, source: Uint8Array, start: number, length: number): number {
    if (this.big !== null) return this.editor.removeEqual(this.big, from, limit, source, start, length)
    const removal = this.removal
    const { arena, ref } = this
    const end = arena.length(ref)
    if (from === ListEnd.Head) removal.fromHead(ref, PACKED_HEADER_BYTES, end, limit, source, start, length)
    else removal.fromTail(ref, PACKED_HEADER_BYTES, end, limit, source, start, length)
    if (removal.removed === 0) return 0
    this.ref = packedTruncate(arena, ref, removal.end, packedCount(arena, ref) - removal.removed)
    return removal.removed
  }

  /** Becomes packed if it has shrunk enough. Call after each removal or replacement that leaves elements. */
  shrink(): void {
    this.pack(SHRUNK_DIVISOR)
  }

  /** Takes the encoding that fits a list just built. */
  built(): void {
    if (this.big === null) this.expect(0, 0)
    else this.pack(BUILT_DIVISOR)
  }

  /** Frees a list that no key holds. */
  free(): void {
    if (this.big !== null) this.big.free()
    else if (this.ref !== NO_REF) this.arena.free(this.ref)
    this.openNone()
  }

  private pack(divisor: number): void {
    if (this.big?.fitsPacked(this.limits, divisor) === true) this.openPacked(this.big.intoPacked())
  }
}
