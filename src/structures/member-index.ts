/**
 * MemberIndex: the members of a packed set in a table, for the time of a command that looks many up. Hot path.
 *
 * Open addressing over the bytes of the members, which it copies. It is made to be filled, searched, cleared and filled
 * again: nothing is allocated while members fit in what the last ones have taken.
 */
import { randomBytes } from 'node:crypto'
import { copyBytes } from '../storage/arena.ts'
import { hashBytes } from '../storage/dict.ts'
import type { Element } from './element.ts'

const FIRST_MEMBERS = 128
const FIRST_BYTES = 4096
/** Of two slots at most one is taken. */
const SLOTS_PER_MEMBER = 2

export class MemberIndex {
  /** Secret, so that clients cannot choose colliding members. */
  private readonly seed = randomBytes(4).readInt32LE()
  /** Number of a member plus one; 0: free. */
  private slots = new Int32Array(FIRST_MEMBERS * SLOTS_PER_MEMBER)
  private hashes = new Int32Array(FIRST_MEMBERS)
  /** Ends of the members in `bytes`, in which they lie one behind the other. */
  private ends = new Int32Array(FIRST_MEMBERS)
  private bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  private count = 0

  /** Forgets all members. */
  clear(): void {
    this.slots.fill(0)
    this.count = 0
  }

  /** Adds a member, which must not be there. */
  add(element: Element): void {
    element.spell()
    const { buffer, start, length } = element
    if (this.count === this.hashes.length) this.grow()
    const hash = hashBytes(buffer, start, length, this.seed)
    const at = this.count === 0 ? 0 : this.ends[this.count - 1]!
    if (at + length > this.bytes.length) this.growBytes(at, at + length)
    copyBytes(buffer, start, this.bytes, at, length)
    this.hashes[this.count] = hash
    this.ends[this.count] = at + length
    this.place(hash, ++this.count)
  }

  has(element: Element): boolean {
    element.spell()
    const { buffer, start, length } = element
    const { slots, hashes, ends } = this
    const hash = hashBytes(buffer, start, length, this.seed)
    const mask = slots.length - 1
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const member = slots[slot]! - 1
      if (hashes[member] !== hash) continue
      const at = member === 0 ? 0 : ends[member - 1]!
      if (ends[member]! - at === length && this.isAt(at, buffer, start, length)) return true
    }
    return false
  }

  private isAt(at: number, buffer: Buffer, start: number, length: number): boolean {
    const { bytes } = this
    for (let i = 0; i < length; i++) if (bytes[at + i] !== buffer[start + i]) return false
    return true
  }

  private place(hash: number, number: number): void {
    const { slots } = this
    const mask = slots.length - 1
    let slot = hash & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = number
  }

  private grow(): void {
    const members = this.hashes.length * 2
    const [hashes, ends] = [new Int32Array(members), new Int32Array(members)]
    hashes.set(this.hashes)
    ends.set(this.ends)
    this.hashes = hashes
    this.ends = ends
    this.slots = new Int32Array(members * SLOTS_PER_MEMBER)
    for (let i = 0; i < this.count; i++) this.place(hashes[i]!, i + 1)
  }

  private growBytes(used: number, needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, needed))
    this.bytes.copy(grown, 0, 0, used)
    this.bytes = grown
  }
}
