/**
 * Element: a stored string or integer, seen where it lies. Hot path.
 *
 * Fields, values and members are read through a few reused elements, whichever encoding holds them: a packed entry, a
 * block of the arena, or an integer of an intset. An element is valid until its collection changes.
 */
import { writeInteger } from '../bytes/integer.ts'
import type { Arena, Ref } from '../storage/arena.ts'
import type { PackedCursor } from '../storage/packed.ts'

/** A sign and the 16 digits of a safe integer. */
const INTEGER_TEXT_BYTES = 17

export class Element {
  /** Whether the element is `integer`; else it is the bytes `buffer[start, start + length)`. */
  isInteger = false
  integer = 0
  buffer: Buffer
  start = 0
  length = 0
  private readonly digits: Buffer

  constructor() {
    this.digits = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
    this.buffer = this.digits
  }

  /** Shows the payload of a block. */
  showBlock(arena: Arena, ref: Ref): void {
    this.isInteger = false
    this.buffer = arena.segment(ref)
    this.start = arena.offset(ref)
    this.length = arena.length(ref)
  }

  /** Shows the entry on which the cursor stands. */
  showEntry(cursor: PackedCursor): void {
    if (cursor.isInteger) {
      this.isInteger = true
      this.integer = cursor.integer
      return
    }
    this.isInteger = false
    this.buffer = cursor.buffer
    this.start = cursor.start
    this.length = cursor.length
  }

  showInteger(value: number): void {
    this.isInteger = true
    this.integer = value
  }

  /** Makes the bytes valid for an integer too: its decimal text. `isInteger` stays as it is. */
  spell(): void {
    if (!this.isInteger) return
    this.buffer = this.digits
    this.start = 0
    this.length = writeInteger(this.digits, 0, this.integer)
  }

  /** The element as a byte string. */
  text(): string {
    return this.isInteger ? String(this.integer) : this.buffer.latin1Slice(this.start, this.start + this.length)
  }
}
