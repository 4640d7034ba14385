/**
 * `maxmemory`: what counts toward it, and making room before a command runs. Hot path: makeRoom.
 *
 *     counted    the data (blocks of the arena with their slack, indexes, objects), buffers of clients, the backlog of
 *                replication
 *     not        what waits to be sent to replicas or written to the log, what a snapshot holds of keys that are gone
 *                already: keys that go make that grow at first, and more of them would go for it
 *
 * Both are sums that their owners keep, so a look costs some additions. A command that finds the limit exceeded removes
 * keys for up to half a millisecond (`maxmemory-eviction-tenacity`); the rest goes between turns, and meanwhile commands
 * run. Only when no key may go any more, writes that need memory are refused.
 *
 * Source: Valkey src/evict.c performEvictions, getMaxmemoryState.
 */
import type { CommandContext } from '../commands/context.ts'
import type { Database } from '../keyspace/database.ts'
import { Eviction } from '../keyspace/eviction.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { FreeReason, type LazyFree } from '../keyspace/lazy-free.ts'
import { Notify } from '../keyspace/notify.ts'
import type { LatencyMonitor } from '../observe/latency-monitor.ts'
import { StallCause, type Stalls } from '../observe/stalls.ts'
import { DeletionVerb, type Journal } from '../persistence/journal.ts'
import { isObjectKind } from '../structures/kind.ts'
import type { ClientMemory } from './client-memory.ts'

/** What became of making room. */
export const MemoryState = {
  /** There is room, or it is no time to look. */
  Ok: 0,
  /** There is none yet: keys go on going between turns. */
  Evicting: 1,
  /** There is none, and no key may go. */
  Full: 2,
} as const
export type MemoryState = (typeof MemoryState)[keyof typeof MemoryState]

/** Keys removed between two looks at the clock. */
const KEYS_PER_LOOK = 16
/** Up to this tenacity the time grows by this much for each step, in ms; from there on by 15 %. */
const LINEAR_TENACITY = 10
const MS_PER_TENACITY = 0.05
const TENACITY_GROWTH = 1.15
const TENACITY_ENDLESS = 100
const US_PER_MS = 1000

/** What it needs of the server. */
export interface MemoryLimitHost {
  readonly keyspace: Keyspace
  readonly journal: Journal
  readonly ctx: CommandContext
  readonly clientMemory: ClientMemory
  readonly replication: { readonly backlogBytes: number }
  readonly latency: LatencyMonitor
  readonly stalls: Stalls
  /** Whether keys may be removed now: not while data are loaded, a pause keeps them as they are, or a script runs. */
  readonly mayEvict: boolean
}

export class MemoryLimit {
  /** `maxmemory`; 0: there is no limit. */
  maxBytes: number = 0
  /** `maxmemory-eviction-tenacity` */
  tenacity: number = 10
  readonly eviction: Eviction
  /** What the last command found. */
  isFull: boolean = false
  evictedKeys = 0
  private readonly host: MemoryLimitHost
  private isEvicting: boolean = false
  /** When the cycle that runs began, in ms of the monotonic clock; 0: the clock was not read yet. */
  private cycleStartMs = 0
  /** Since when memory is over its limit, in ms of a monotonic clock; 0: it is not. */
  private exceededSinceMs = 0
  private exceededMs = 0

  constructor(host: MemoryLimitHost) {
    this.host = host
    this.eviction = new Eviction(host.keyspace)
  }

  /** Bytes that count. */
  get countedBytes(): number {
    const { keyspace, clientMemory } = this.host
    const held = keyspace.walk === null ? 0 : keyspace.walk.ownedBytes
    return keyspace.arena.usedBytes + clientMemory.totalBytes + this.host.replication.backlogBytes - held
  }

  /** For how long memory has been over its limit: now, and in all, in ms. */
  get currentExceededMs(): number {
    return this.exceededSinceMs === 0 ? 0 : performance.now() - this.exceededSinceMs
  }

  get totalExceededMs(): number {
    return this.exceededMs + this.currentExceededMs
  }

  resetStatistics(): void {
    this.evictedKeys = 0
    this.exceededMs = 0
    if (this.exceededSinceMs !== 0) this.exceededSinceMs = performance.now()
  }

  setMaxBytes(bytes: number): void {
    this.maxBytes = bytes
    this.isFull = false
    // Not within the command that has set it.
    this.isEvicting = this.isOver()
  }

  /** Whether there is something to do at the end of the next turn. */
  get hasWork(): boolean {
    return this.isEvicting && this.host.mayEvict
  }

  /** Whether more is used than may be. Tells the arena how much more it may take, too. */
  isOver(): boolean {
    const { arena } = this.host.keyspace
    arena.limitBytes =
      this.maxBytes === 0 ? Number.POSITIVE_INFINITY : this.maxBytes - (this.countedBytes - arena.usedBytes)
    return arena.usedBytes > arena.limitBytes
  }

  /** To be called before a command runs, while there is a limit: removes keys if memory is short. */
  makeRoom(): MemoryState {
    if (!this.host.mayEvict) return MemoryState.Ok
    const state = this.isOver() ? this.evictTimed() : MemoryState.Ok
    this.isFull = state === MemoryState.Full
    this.isEvicting = state === MemoryState.Evicting
    if (state !== MemoryState.Ok) {
      if (this.exceededSinceMs === 0) this.exceededSinceMs = performance.now()
    } else if (this.exceededSinceMs !== 0) {
      this.exceededMs += this.currentExceededMs
      this.exceededSinceMs = 0
    }
    return state
  }

  /** At the end of a turn: goes on with what a command has begun. */
  continueEviction(): void {
    if (this.hasWork) this.makeRoom()
  }

  /** As `evictSome`; tells how long it took, if the clock was read. */
  private evictTimed(): MemoryState {
    const { latency, stalls } = this.host
    this.cycleStartMs = latency.isOn ? performance.now() : 0
    const state = this.evictSome()
    if (this.cycleStartMs > 0) stalls.took(StallCause.Eviction, this.cycleStartMs)
    return state
  }

  private evictSome(): MemoryState {
    const { keyspace, clientMemory } = this.host
    const { lazyFree } = keyspace
    if (clientMemory.isOver) {
      clientMemory.evict()
      if (!this.isOver()) return MemoryState.Ok
    }
    // Mostly one key is enough: the clock is not read for that.
    let untilMs = 0
    for (let keys = 0; ; keys++) {
      // What is on its way out is no reason for more keys to go.
      if (untilMs === 0 && (keys === 1 || lazyFree.isPending)) {
        const nowMs = performance.now()
        if (this.cycleStartMs === 0) this.cycleStartMs = nowMs
        untilMs = nowMs + timeLimitMs(this.tenacity)
      }
      if (lazyFree.isPending && !this.freeLazily(untilMs) && this.isOver()) return MemoryState.Evicting
      if (!this.isOver()) return MemoryState.Ok
      if (keys > 0 && keys % KEYS_PER_LOOK === 0 && performance.now() > untilMs) return MemoryState.Evicting
      if (!this.eviction.isOn || !this.eviction.choose()) return MemoryState.Full
      this.evictVictim()
    }
  }

  /** Frees what waits, until a time. Returns whether nothing waits any more. */
  private freeLazily(untilMs: number): boolean {
    const { latency, keyspace } = this.host
    if (!latency.isOn) return keyspace.lazyFree.freeUntil(untilMs)
    const startMs = performance.now()
    const isFreed = keyspace.lazyFree.freeUntil(untilMs)
    latency.note('eviction-lazyfree', (performance.now() - startMs) * US_PER_MS)
    return isFreed
  }

  /** Removes the key. One big value may take as long as many keys, so the clock is read for that. */
  private remove(db: Database, row: number): void {
    const { latency } = this.host
    if (!latency.isOn && !isObjectKind(db.kind(row))) {
      db.remove(row, FreeReason.Eviction)
      return
    }
    const startMs = performance.now()
    if (this.cycleStartMs === 0) this.cycleStartMs = startMs
    db.remove(row, FreeReason.Eviction)
    latency.note('eviction-del', (performance.now() - startMs) * US_PER_MS)
  }

  private evictVictim(): void {
    const { keyspace, journal, ctx } = this.host
    const { victimRow: row } = this.eviction
    const db = this.eviction.victimDb!
    const isTold = keyspace.hasListeners(db) || (ctx.notifyFlags & Notify.Evicted) !== 0
    const key = isTold ? db.keyText(row) : ''
    this.evictedKeys++
    journal.deleted(db.index, db.keys.keyRef(row), deletionVerb(keyspace.lazyFree, FreeReason.Eviction))
    this.remove(db, row)
    if (!isTold) {
      keyspace.stats.changes++
      return
    }
    keyspace.lost(db, key)
    ctx.notifyText(db, key, Notify.Evicted, 'evicted')
  }
}

/** As what a deletion for this reason is recorded. */
export function deletionVerb(lazyFree: LazyFree, reason: FreeReason): DeletionVerb {
  return lazyFree.isLazy[reason] === true ? DeletionVerb.Unlink : DeletionVerb.Del
}

/** How long a command may be held up, in ms. Source: Valkey src/evict.c evictionTimeLimitUs. */
function timeLimitMs(tenacity: number): number {
  if (tenacity <= LINEAR_TENACITY) return MS_PER_TENACITY * tenacity
  if (tenacity >= TENACITY_ENDLESS) return Number.POSITIVE_INFINITY
  return MS_PER_TENACITY * LINEAR_TENACITY * TENACITY_GROWTH ** (tenacity - LINEAR_TENACITY)
}
