/**
 * Values that are freed later, in slices between turns, so that a big one does not hold the loop.
 *
 * What may wait is said by the `lazyfree-lazy-*` settings, one for each reason that a value goes for; UNLINK and FLUSHALL
 * ASYNC always let it. Small values are freed at once whatever they say: that is faster than to note them. And of what is
 * to be freed at once only so much is as takes a moment: nobody but the memory could tell that the rest is still there,
 * but everybody would have to wait for it. Whoever waits here belongs to nobody else any more.
 * Source: Valkey src/lazyfree.c.
 */
import type { Collection } from '../structures/kind.ts'
import type { Database } from './database.ts'

/** Why a value goes. */
export const FreeReason = { ServerDel: 0, UserDel: 1, Expire: 2, Eviction: 3, Unlink: 4 } as const
export type FreeReason = (typeof FreeReason)[keyof typeof FreeReason]

/** A collection that takes no more steps than this is freed at once, */
const AT_ONCE_STEPS = 64
/** and with no more than this if it is not to wait: about a millisecond. So many keys are of a database. */
const NOT_LAZY_STEPS_MAX = 8192
/** Steps between two looks at the clock: elements of a collection, keys of a database. */
const STEPS_PER_LOOK = 256
/** Shortest and longest slice, in ms. */
const SLICE_MIN_MS = 0.3
const SLICE_MAX_MS = 1
/** Time of a slice in relation to that since the last one: freeing takes a third of the loop's time at most. */
const SLICE_SHARE = 0.5

export class LazyFree {
  /** By FreeReason. */
  readonly isLazy: boolean[] = [false, false, false, false, true]
  /** Objects freed here so far. */
  freedObjects = 0
  private readonly collections: Collection[] = []
  private readonly databases: Database[] = []
  private sliceEndMs = 0

  get isPending(): boolean {
    return this.collections.length > 0 || this.databases.length > 0
  }

  /** Objects that wait. */
  get pendingObjects(): number {
    return this.databases.reduce((sum, db) => sum + db.size, this.collections.length)
  }

  /** Frees a collection now or later. */
  free(object: Collection, reason: FreeReason): void {
    if (object.freeSteps() > this.stepsAtOnce(reason)) this.collections.push(object)
    else object.free()
  }

  private stepsAtOnce(reason: FreeReason): number {
    if (this.isLazy[reason] === true) return AT_ONCE_STEPS
    // What expires is freed at once, if so is wanted, however big: it holds up nobody's command, and LATENCY is expected to
    // tell of it (`expire-cycle`; tests/unit/latency-monitor.tcl of Redis).
    return reason === FreeReason.Expire ? Number.POSITIVE_INFINITY : NOT_LAZY_STEPS_MAX
  }

  /** Takes over a database that nobody uses any more. */
  freeDatabase(db: Database): void {
    this.databases.push(db)
  }

  /** As `freeDatabase`, for one that is not to wait: begins at once, if nothing waits already. */
  freeDatabaseNow(db: Database): void {
    let steps = this.isPending ? 0 : NOT_LAZY_STEPS_MAX
    this.databases.push(db)
    for (; steps > 0 && this.isPending; steps -= STEPS_PER_LOOK) this.step()
  }

  /** Frees some, for as long as the loop can do without that time. */
  slice(): void {
    const begunMs = performance.now()
    const share = Math.min(SLICE_MAX_MS, Math.max(SLICE_MIN_MS, (begunMs - this.sliceEndMs) * SLICE_SHARE))
    this.freeUntil(begunMs + share)
    this.sliceEndMs = performance.now()
  }

  /** Frees until a time of the monotonic clock, in ms. Returns whether all is freed. */
  freeUntil(timeMs: number): boolean {
    while (this.isPending) {
      this.step()
      if (performance.now() >= timeMs) break
    }
    return !this.isPending
  }

  /** What waits here, for the accounting check. */
  account(): { bytes: number; blocks: number } {
    let bytes = 0
    let blocks = 0
    for (const db of this.databases) {
      const sum = db.account()
      bytes += sum.bytes
      blocks += sum.blocks
    }
    for (const object of this.collections) {
      bytes += object.arenaBytes()
      blocks += object.arenaBlocks()
    }
    return { bytes, blocks }
  }

  overheadBytes(): number {
    let bytes = 0
    // The objects themselves count no longer.
    for (const object of this.collections) bytes += object.overheadBytes() - object.objectBytes
    for (const db of this.databases) bytes += db.overheadBytes()
    return bytes
  }

  private step(): void {
    const object = this.collections.at(-1)
    if (object !== undefined) {
      if (!object.freeSome(STEPS_PER_LOOK)) return
      this.collections.pop()
      this.freedObjects++
      return
    }
    const db = this.databases.at(-1)!
    const before = this.pendingObjects
    // Big collections of the database come here one by one.
    if (!db.freeSome(STEPS_PER_LOOK)) this.databases.pop()
    this.freedObjects += before - this.pendingObjects
  }
}
