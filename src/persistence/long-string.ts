/**
 * A long string in a snapshot: copied piece by piece, until it is about to change; then all that is left at once.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { RecordBuffer } from './rdb/record-buffer.ts'
import type { BigRecord } from './snapshot-format.ts'

const HELD_CAPACITY = 64

export class LongStringRecord implements BigRecord {
  private readonly arena: Arena
  private readonly ref: Ref
  private readonly length: number
  /** Bytes that are copied. */
  private at = 0
  private readonly held = new RecordBuffer(HELD_CAPACITY)
  private readonly tail: RecordBuffer

  /** @param tail what is written behind the string. */
  constructor(arena: Arena, ref: Ref, tail: RecordBuffer) {
    this.arena = arena
    this.ref = ref
    this.length = arena.length(ref)
    this.tail = tail
  }

  get heldBytes(): number {
    return this.held.capacity + this.tail.capacity
  }

  step(out: RecordBuffer, bytes: number): boolean {
    if (this.held.length > 0) {
      out.append(this.held)
      this.held.reset()
    }
    this.copy(out, Math.min(bytes, this.length - this.at))
    if (this.at < this.length) return false
    out.append(this.tail)
    return true
  }

  keepRest(): void {
    this.copy(this.held, this.length - this.at)
  }

  close(): void {
    this.at = this.length
  }

  private copy(out: RecordBuffer, bytes: number): void {
    if (bytes === 0) return
    out.raw(this.arena.segment(this.ref), this.arena.offset(this.ref) + this.at, bytes)
    this.at += bytes
  }
}
