/**
 * Memory figures for INFO, read at most every 100 ms.
 *
 * `used` is counted, not estimated: blocks of the arena and the typed arrays of indexes and collections. What V8 holds
 * (code, clients, objects) shows in the resident size only.
 */
const FRESH_MS = 100

/** What can tell how much it holds. */
export interface MemoryHolder {
  readonly arena: { readonly liveBytes: number; readonly reservedBytes: number }
  overheadBytes(): number
}

export class MemoryProbe {
  private readonly holder: MemoryHolder
  private readAt = Number.NEGATIVE_INFINITY
  /** Bytes at the start. */
  readonly startupBytes: number
  usedBytes = 0
  /** Part of it that is typed arrays. */
  overheadBytes = 0
  /** Taken from the system for the data, used or not. */
  reservedBytes = 0
  rssBytes = 0
  peakBytes = 0

  constructor(holder: MemoryHolder) {
    this.holder = holder
    this.refresh(0)
    this.startupBytes = this.usedBytes
  }

  /** Reads all figures unless they are fresh; `nowMs` of a monotonic clock. O(number of big collections). */
  refresh(nowMs: number): void {
    if (nowMs - this.readAt < FRESH_MS) return
    this.readAt = nowMs
    this.overheadBytes = this.holder.overheadBytes()
    this.rssBytes = process.memoryUsage.rss()
    this.notePeak()
  }

  /** Counts the arena anew, which is cheap, so that peaks between two readings are seen. */
  notePeak(): void {
    const { liveBytes, reservedBytes } = this.holder.arena
    this.usedBytes = liveBytes + this.overheadBytes
    this.reservedBytes = reservedBytes + this.overheadBytes
    if (this.usedBytes > this.peakBytes) this.peakBytes = this.usedBytes
  }

  /** Forgets the peak (CONFIG RESETSTAT). */
  resetPeak(): void {
    this.peakBytes = this.usedBytes
  }
}
