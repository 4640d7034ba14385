/**
 * What a key remembers of its use: when it was used last, or how often. 27 bits in the meta word of its row. Hot path:
 * `next`.
 *
 *     Recency     time of the last access, in eighths of a second; wraps after 194 days
 *     Change      the same of the last change: being read leaves it (volatile-lrm, allkeys-lrm of Redis 8.6)
 *     Frequency   minutes of the last decay: 16 bits | logarithmic counter: 8 bits
 *
 * Redis keeps whole seconds in 24 bits. Finer ones tell which of two keys is older also where a cache turns over within
 * seconds, and reach as far. The counter is that of Redis: it grows with the probability 1 / ((counter - 5) × factor + 1),
 * loses one for each `decayMinutes` without access, and begins at 5, so that a new key is not the first to go.
 *
 * When the policy changes, the bits of the old kind are read as those of the new one until a key is used, as in Redis.
 * Source: Valkey src/evict.c LFULogIncr, LFUDecrAndReturn, estimateObjectIdleTime.
 */

export const AccessKind = { Recency: 0, Frequency: 1, Change: 2 } as const
export type AccessKind = (typeof AccessKind)[keyof typeof AccessKind]

/** Bits of what is remembered. */
export const ACCESS_BITS = 27
export const ACCESS_MASK = 2 ** ACCESS_BITS - 1

const TICK_MS = 125
const TICKS_PER_SECOND = 8
/** Idle times reach back so far, in seconds. */
export const IDLE_SECONDS_MAX = Math.floor(ACCESS_MASK / TICKS_PER_SECOND)
const MINUTE_MS = 60_000
const MINUTES_MASK = 0xffff
const COUNTER_BITS = 8
export const FREQUENCY_MAX = 255
const FREQUENCY_FIRST = 5

export class AccessClock {
  kind: AccessKind = AccessKind.Recency
  /** Whether the policy in force looks at it: then snapshots hold it. */
  isKept: boolean = false
  /** `lfu-log-factor` and `lfu-decay-time`; 0 minutes: nothing decays. */
  logFactor = 10
  decayMinutes = 1
  /** In [0, 1). A test may put a seeded source in its place. */
  random: () => number = Math.random

  /** Of a key that is added now. */
  first(nowMs: number): number {
    if (this.kind !== AccessKind.Frequency) return ticks(nowMs)
    return (minutes(nowMs) << COUNTER_BITS) | FREQUENCY_FIRST
  }

  /** Of a key that is changed now (Change). */
  changed(nowMs: number): number {
    return ticks(nowMs)
  }

  /** Of a key that is used now. */
  next(access: number, nowMs: number): number {
    if (this.kind === AccessKind.Recency) return ticks(nowMs)
    if (this.kind === AccessKind.Change) return access
    let counter = this.frequency(access, nowMs)
    if (counter < FREQUENCY_MAX) {
      const above = counter > FREQUENCY_FIRST ? counter - FREQUENCY_FIRST : 0
      if (this.random() < 1 / (above * this.logFactor + 1)) counter++
    }
    return (minutes(nowMs) << COUNTER_BITS) | counter
  }

  /** Whether the key was added while there was no time. */
  isUnset(access: number): boolean {
    return this.kind === AccessKind.Frequency ? access >>> COUNTER_BITS === 0 : access === 0
  }

  /** Whole seconds since the last access (Recency). */
  idleSeconds(access: number, nowMs: number): number {
    return Math.floor(this.idleTicks(access, nowMs) / TICKS_PER_SECOND)
  }

  /** As if the last access were `seconds` ago (Recency). */
  idleSince(seconds: number, nowMs: number): number {
    return (ticks(nowMs) - Math.min(seconds, IDLE_SECONDS_MAX) * TICKS_PER_SECOND) & ACCESS_MASK
  }

  /** The counter as it is now (Frequency). */
  frequency(access: number, nowMs: number): number {
    const counter = access & FREQUENCY_MAX
    if (this.decayMinutes === 0) return counter
    const periods = Math.floor(minutesSince(access, nowMs) / this.decayMinutes)
    return periods > counter ? 0 : counter - periods
  }

  /** With a counter that was told (Frequency). */
  withFrequency(counter: number, nowMs: number): number {
    return (minutes(nowMs) << COUNTER_BITS) | counter
  }

  /**
   * How much a key deserves to be evicted: the greater, the more. It grows only when the key is not used: by recency it is
   * the time of the last access, negative; of keys with one counter the older one goes first.
   */
  evictionScore(access: number, nowMs: number): number {
    if (this.kind !== AccessKind.Frequency) return this.idleTicks(access, nowMs) - Math.floor(nowMs / TICK_MS)
    return (FREQUENCY_MAX - this.frequency(access, nowMs)) * (MINUTES_MASK + 1) + minutesSince(access, nowMs)
  }

  private idleTicks(access: number, nowMs: number): number {
    return (ticks(nowMs) - access) & ACCESS_MASK
  }
}

function ticks(nowMs: number): number {
  return Math.floor(nowMs / TICK_MS) & ACCESS_MASK
}

function minutes(nowMs: number): number {
  return Math.floor(nowMs / MINUTE_MS) & MINUTES_MASK
}

function minutesSince(access: number, nowMs: number): number {
  return (minutes(nowMs) - (access >>> COUNTER_BITS)) & MINUTES_MASK
}
