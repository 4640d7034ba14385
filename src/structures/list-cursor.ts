/**
 * A position in a list of either form, and the element there. Hot path.
 *
 * Reused; it is invalid after a change of the list, except through the functions that say where it is then.
 */
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import { PackedCursor, packedCount } from '../storage/packed.ts'
import type { ListBig } from './list.ts'
import { NODE_WORDS } from './list-nodes.ts'

export class ListCursor {
  /** The element: an entry of the packed block, or of the node where the cursor is. */
  readonly entry: PackedCursor
  /** Where the node is in the table of a big list. */
  chunkIndex = 0
  at = 0
  private readonly arena: Arena
  private list: ListBig | null = null
  private ref: Ref = NO_REF

  constructor(arena: Arena) {
    this.arena = arena
    this.entry = new PackedCursor(arena)
  }

  /** Takes position before the first element of a packed list. */
  openPacked(ref: Ref): void {
    this.list = null
    this.ref = ref
    this.entry.open(ref)
  }

  /** Takes position before the first element of a big list, which must not be empty. */
  openBig(list: ListBig): void {
    this.list = list
    this.chunkIndex = 0
    this.at = list.nodes.head().first
    this.openNode(list)
  }

  /** Takes position behind the last element of the list that is open. */
  toEnd(): void {
    const list = this.list
    if (list !== null) {
      this.chunkIndex = list.nodes.chunks.length - 1
      this.at = list.nodes.tail().last - NODE_WORDS
      this.openNode(list)
    }
    this.entry.toEnd()
  }

  /** Moves to the following element. Returns false, behind the last one, at the end. */
  advance(): boolean {
    if (this.entry.advance()) return true
    return this.list !== null && this.nextNode(this.list) && this.entry.advance()
  }

  /** Moves to the element before. Returns false, before the first one, at the start. */
  retreat(): boolean {
    if (this.entry.retreat()) return true
    if (this.list === null || !this.previousNode(this.list)) return false
    this.entry.toEnd()
    return this.entry.retreat()
  }

  /** Moves to the element at `index` of the open list, from the nearer end. Returns false out of range. */
  seek(index: number): boolean {
    const list = this.list
    if (list === null) {
      const count = packedCount(this.arena, this.ref)
      if (index < 0) index += count
      if (index < 0 || index >= count) return false
      this.entry.open(this.ref)
      return this.entry.seek(index * 2 < count ? index : index - count)
    }
    if (index < 0) index += list.length
    if (index < 0 || index >= list.length) return false
    list.nodes.locate(index, list.length)
    this.chunkIndex = list.nodes.foundChunk
    this.at = list.nodes.foundAt
    this.openNode(list)
    const inNode = list.nodes.foundIndex
    const count = list.countAt(this.chunkIndex, this.at)
    return this.entry.seek(inNode * 2 < count ? inNode : inNode - count)
  }

  /** Moves on to the next element that has the bytes `source[start, start + length)`. Returns false without one. */
  find(source: Uint8Array, start: number, length: number): boolean {
    for (;;) {
      if (this.entry.find(source, start, length, 1)) return true
      if (this.list === null || !this.nextNode(this.list)) return false
    }
  }

  private nextNode(list: ListBig): boolean {
    const chunks = list.nodes.chunks
    if (this.at + NODE_WORDS < chunks[this.chunkIndex]!.last) {
      this.at += NODE_WORDS
    } else if (this.chunkIndex + 1 < chunks.length) {
      this.chunkIndex++
      this.at = chunks[this.chunkIndex]!.first
    } else {
      return false
    }
    this.openNode(list)
    return true
  }

  private previousNode(list: ListBig): boolean {
    const chunks = list.nodes.chunks
    if (this.at > chunks[this.chunkIndex]!.first) {
      this.at -= NODE_WORDS
    } else if (this.chunkIndex > 0) {
      this.chunkIndex--
      this.at = chunks[this.chunkIndex]!.last - NODE_WORDS
    } else {
      return false
    }
    this.openNode(list)
    return true
  }

  private openNode(list: ListBig): void {
    list.openNode(list.nodes.chunks[this.chunkIndex]!, this.at, this.entry)
  }
}
