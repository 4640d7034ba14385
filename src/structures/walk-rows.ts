/**
 * The walk over a collection whose elements are the rows of a Dict. See walk.ts.
 *
 * Rows are delivered from the top down. `next` is how many are still to come: rows from there on were delivered or are
 * younger than the walk, rows below are neither, but for those with a mark.
 *
 *     row      0 … … … … … … next … … … size
 *              marked: done  |  all done
 *
 * An insert appends, so a new row is done from the start and inserts do not concern the walk. A removal moves the last
 * row into the hole, and its mark with it. The marks (a bit a row) are made when the first one is set.
 *
 * A collection that is freed is not copied: the walk takes it over as it is, delivers the rest and frees it in steps.
 */
import { outsideMemory } from '../storage/outside.ts'
import type { CollectionWalk, ElementSink } from './walk.ts'

/** What one step does at most to rows of a freed collection that need no delivery. */
const FREED_ROWS_PER_STEP = 4096
/** What passing over a marked row counts, in bytes: a step is bounded also where nothing is left to deliver. */
const MARKED_ROW_BYTES = 1

/** The collection under a RowWalk. */
export interface RowOwner {
  readonly size: number
  /** Delivers the element of a row. Returns about how many bytes it has. */
  deliverRow(row: number, sink: ElementSink): number
  arenaBytes(): number
  /** Frees up to `limit` rows, from the last one down, and with row 0 all the rest. Returns whether all is freed. */
  freeRows(limit: number): boolean
  /** The walk is over. */
  walkEnded(): void
}

export class RowWalk implements CollectionWalk {
  readonly count: number
  private readonly owner: RowOwner
  private readonly early: ElementSink
  private next: number
  private marks: Uint8Array | null = null
  /** The collection is freed: its rows are the walk's. */
  private isOrphan = false
  private isClosed = false

  constructor(owner: RowOwner, early: ElementSink) {
    this.owner = owner
    this.early = early
    this.count = owner.size
    this.next = owner.size
  }

  get heldBytes(): number {
    return this.isOrphan ? this.owner.arenaBytes() : 0
  }

  step(sink: ElementSink, bytes: number): boolean {
    const owner = this.owner
    while (this.next > 0 && bytes > 0) {
      const row = --this.next
      bytes -= this.isMarked(row) ? MARKED_ROW_BYTES : owner.deliverRow(row, sink)
    }
    if (this.isOrphan) owner.freeRows(Math.min(owner.size - this.next, FREED_ROWS_PER_STEP))
    if (this.next > 0 || (this.isOrphan && owner.size > 0)) return false
    this.close()
    return true
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.next = 0
    this.marks = null
    this.owner.walkEnded()
    if (this.isOrphan) this.owner.freeRows(Number.POSITIVE_INFINITY)
    this.isOrphan = false
  }

  /** To be called before the value of a row changes. */
  beforeChange(row: number): void {
    if (row >= this.next || this.isMarked(row)) return
    this.owner.deliverRow(row, this.early)
    this.mark(row)
  }

  /** To be called before a row is removed and the last one moves into its place. */
  beforeRemove(row: number): void {
    this.beforeChange(row)
    const last = this.owner.size - 1
    if (last >= this.next) return
    // The last row is still to come: the walk goes on below it, and its mark moves with it.
    this.next = last
    if (row !== last && !this.isMarked(last)) this.unmark(row)
  }

  /** The collection is given up; it must not be used by anybody else from now on. */
  adopt(): void {
    this.isOrphan = true
  }

  private isMarked(row: number): boolean {
    return this.marks !== null && (this.marks[row >>> 3]! & (1 << (row & 7))) !== 0
  }

  private mark(row: number): void {
    this.marks ??= new Uint8Array(outsideMemory((this.next + 7) >>> 3))
    this.marks[row >>> 3]! |= 1 << (row & 7)
  }

  private unmark(row: number): void {
    if (this.marks !== null) this.marks[row >>> 3]! &= ~(1 << (row & 7))
  }
}
