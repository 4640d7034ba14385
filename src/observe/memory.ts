/**
 * Memory figures for INFO.
 *
 * `used` is counted, not estimated: blocks of the arena, the typed arrays of indexes and collections, and buffers. What V8
 * holds (code, objects) shows in the resident size only. All but the resident size are sums that somebody keeps.
 */

/** The resident size is asked of the system at most this often, in ms. */
const FRESH_MS = 100
/** So much that was given up is worth to be returned to the system, in bytes; and how often at most, in ms. */
const RETURN_MIN_BYTES = 64 * 1024 * 1024
const RETURN_INTERVAL_MS = 10_000
/** So much more in the resident size than at last is worth a look for what is free of it, in bytes. */
const GROWTH_MIN_BYTES = 8 * 1024 * 1024
/** As long as it grows by so much from one reading to the next, in bytes, the look can wait; at most so long, in ms. */
const GROWING_BYTES = 2 * 1024 * 1024
const GROWING_MS_MAX = 10_000
/** So long after a look another one follows, in ms: what was still in use may be free by then. */
const SECOND_LOOK_MS = 5000

/** What can tell how much it holds. */
export interface MemorySource {
  readonly arena: { readonly usedBytes: number; readonly reservedBytes: number; readonly outsideBytes: number }
  /** Bytes of buffers: of clients, and of what waits to be written. */
  buffersBytes(): number
}

export class MemoryProbe {
  private readonly source: MemorySource
  private readAt = Number.NEGATIVE_INFINITY
  /** Bytes at the start. */
  readonly startupBytes: number
  usedBytes = 0
  /** Taken from the system for the data and buffers, used or not. */
  reservedBytes = 0
  rssBytes = 0
  peakBytes = 0
  /** Most that was taken from the system since memory was last returned to it, and when that was. */
  private highBytes = 0
  private returnedAtMs = Number.NEGATIVE_INFINITY
  /** Resident size after `hasGrown` was last true; 0: not read yet. At first anything is growth: the start leaves much. */
  private grownFromBytes = Number.NEGATIVE_INFINITY
  /** Resident size at the last call of `hasGrown`, and when one first found it grown; infinity: none has. */
  private lastRssBytes = Number.POSITIVE_INFINITY
  private grownSinceMs = Number.POSITIVE_INFINITY
  private secondLookAtMs = Number.POSITIVE_INFINITY

  constructor(source: MemorySource) {
    this.source = source
    this.notePeak()
    this.startupBytes = this.usedBytes
  }

  /** Reads all figures; `nowMs` of a monotonic clock. */
  refresh(nowMs: number): void {
    this.notePeak()
    if (nowMs - this.readAt < FRESH_MS) return
    this.readAt = nowMs
    this.rssBytes = process.memoryUsage.rss()
  }

  /** Counts anew, so that peaks between two readings are seen. */
  notePeak(): void {
    const { usedBytes, reservedBytes, outsideBytes } = this.source.arena
    const buffersBytes = this.source.buffersBytes()
    this.usedBytes = usedBytes + buffersBytes
    this.reservedBytes = reservedBytes + outsideBytes + buffersBytes
    if (this.usedBytes > this.peakBytes) this.peakBytes = this.usedBytes
    if (this.reservedBytes > this.highBytes) this.highBytes = this.reservedBytes
  }

  /**
   * Whether much was given up that only the garbage collector returns to the system; it may be long until it runs by itself,
   * as it does not count that memory (storage/outside.ts). True once for each time. `nowMs` of a monotonic clock.
   */
  mustReturn(nowMs: number): boolean {
    if (this.highBytes - this.reservedBytes < RETURN_MIN_BYTES) return false
    if (nowMs - this.returnedAtMs < RETURN_INTERVAL_MS) return false
    this.highBytes = this.reservedBytes
    this.returnedAtMs = nowMs
    return true
  }

  /**
   * Whether the process has grown so that some of that may be free: what native code takes and frees again, above all V8's
   * compiler, shows in the resident size only. True when the growth has come to an end, once more some seconds later, and now
   * and then while it goes on: what is returned in the midst of work is soon taken anew. To be called every second; what is
   * done for it shows at the next call.
   */
  hasGrown(nowMs: number): boolean {
    this.refresh(nowMs)
    const growingBytes = this.rssBytes - this.lastRssBytes
    this.lastRssBytes = this.rssBytes
    if (this.grownFromBytes === 0 || this.rssBytes < this.grownFromBytes) this.grownFromBytes = this.rssBytes
    if (this.rssBytes - this.grownFromBytes < GROWTH_MIN_BYTES) return this.isSecondLook(nowMs)
    this.grownSinceMs = Math.min(this.grownSinceMs, nowMs)
    if (growingBytes >= GROWING_BYTES && nowMs - this.grownSinceMs < GROWING_MS_MAX) return false
    this.grownFromBytes = 0
    this.grownSinceMs = Number.POSITIVE_INFINITY
    this.secondLookAtMs = nowMs + SECOND_LOOK_MS
    return true
  }

  private isSecondLook(nowMs: number): boolean {
    if (nowMs < this.secondLookAtMs) return false
    this.secondLookAtMs = Number.POSITIVE_INFINITY
    this.grownFromBytes = 0
    return true
  }

  /** Forgets the peak (CONFIG RESETSTAT). */
  resetPeak(): void {
    this.peakBytes = this.usedBytes
  }
}
