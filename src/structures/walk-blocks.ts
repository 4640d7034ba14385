/**
 * The walk over a list or a stream: blocks in order, as they were when the walk began. See walk.ts.
 *
 * The walk begins with a copy of the table of blocks (20 or 40 bytes a block) and then reads the blocks themselves, which
 * the collection goes on using. It is told before that hurts:
 *
 *     bytes in the recorded range are about to change    the walk copies the range, unless the block was delivered
 *     the collection gives a block up                    the walk takes it over instead of a copy
 *     bytes outside of the recorded range                no matter: appending costs nothing
 *
 * A row of the copied table begins with reference, start and end of the range in the payload; the rest is the owner's.
 * The collection notes with each block its ticket, which is 1 + its row, and 0 with blocks that come later. So a block is
 * found without an index, which would cost more than the copy. Tickets may be left behind: a row that was delivered or
 * kept is never needed again, and the next walk writes all of them anew.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'

/** Words that all rows begin with; the first is the reference. */
export const ROW_START = 1
export const ROW_END = 2

/** The collection under a BlockWalk. */
export interface BlockOwner {
  readonly arena: Arena
  /** Delivers the block whose row of the copied table starts at `rows[at]`. */
  deliverBlock(rows: Int32Array, at: number, sink: ElementSink): void
  /** The walk is over. */
  walkEnded(): void
}

export class BlockWalk implements CollectionWalk {
  readonly count: number
  heldBytes = 0
  private readonly owner: BlockOwner
  private readonly arena: Arena
  private rows: Int32Array
  private readonly stride: number
  /** Rows whose block belongs to the walk, a bit each. */
  private held: Uint8Array
  /** The row to deliver next. */
  private next = 0

  /** @param rows the copied table, `stride` words a row; the walk's from now on. */
  constructor(owner: BlockOwner, rows: Int32Array, stride: number) {
    this.owner = owner
    this.arena = owner.arena
    this.rows = rows
    this.stride = stride
    this.count = rows.length / stride
    this.held = new Uint8Array((this.count + 7) >>> 3)
  }

  step(sink: ElementSink, bytes: number): boolean {
    while (this.next < this.count && bytes > 0) {
      const at = this.next * this.stride
      this.owner.deliverBlock(this.rows, at, sink)
      bytes -= this.rows[at + ROW_END]! - this.rows[at + ROW_START]!
      this.release(this.next++)
    }
    if (this.next < this.count) return false
    this.close()
    return true
  }

  close(): void {
    if (this.rows === NO_WORDS) return
    while (this.next < this.count) this.release(this.next++)
    this.rows = NO_WORDS
    this.held = NO_BITS
    this.owner.walkEnded()
  }

  /** To be called before bytes in the payload range [from, to) of the block with this ticket change. */
  beforeWrite(ticket: number, from: number, to: number): void {
    if (!this.needs(ticket)) return
    const { arena, rows } = this
    const row = ticket - 1
    const at = row * this.stride
    const start = rows[at + ROW_START]!
    const end = rows[at + ROW_END]!
    if (from >= end || to <= start) return
    const ref = rows[at]! >>> 0
    rows[at] = arena.store(arena.segment(ref), arena.offset(ref) + start, end - start)
    rows[at + ROW_START] = 0
    rows[at + ROW_END] = end - start
    this.hold(row)
  }

  /** Whether a block is still to be delivered from where the collection has it. */
  needs(ticket: number): boolean {
    return ticket > this.next && !this.isHeld(ticket - 1)
  }

  /** Takes over a block that its owner gives up, or frees it when the walk does not need it. */
  take(ticket: number, ref: Ref): void {
    if (this.needs(ticket)) this.hold(ticket - 1)
    else this.arena.free(ref)
  }

  private isHeld(row: number): boolean {
    return (this.held[row >>> 3]! & (1 << (row & 7))) !== 0
  }

  private hold(row: number): void {
    this.held[row >>> 3]! |= 1 << (row & 7)
    this.heldBytes += this.arena.capacity(this.rows[row * this.stride]! >>> 0)
  }

  /** Gives back the block of a row if the walk owns it. */
  private release(row: number): void {
    if (!this.isHeld(row)) return
    const ref = this.rows[row * this.stride]! >>> 0
    this.heldBytes -= this.arena.capacity(ref)
    this.arena.free(ref)
  }
}

const NO_WORDS = new Int32Array(0)
const NO_BITS = new Uint8Array(0)
