/**
 * How often the loop was held up for how long, and by what, for INFO `stalls`, metrics and LATENCY. Hot path: beginTurn,
 * endTurn.
 *
 * What happens between two looks of the loop at its sockets is a turn. Two readings of the clock tell how long one took;
 * nearly all turns are over within a millisecond, and that is all that is done for them. Parts of a turn that are seldom
 * (keys expire, a log is written, a big value is freed) tell how long they took (`took`), commands are timed anyway
 * (command-timer.ts). A turn that took longer is a stall, and put down to the part that took at least half of it.
 *
 * The garbage collector runs in the midst of something else, and tells of it a turn later. So a stall waits for some
 * ticks (`settle`) before it is counted: was the collector at work for half of it, the collector is the cause.
 *
 * When you add a cause, also change: NAMES, EVENTS, the advice in commands/server/latency-report.ts and docs/OPERATIONS.md.
 */
import { PerformanceObserver, performance } from 'node:perf_hooks'
import type { LatencyMonitor } from './latency-monitor.ts'

export const StallCause = {
  Collection: 0,
  Command: 1,
  Script: 2,
  Snapshot: 3,
  Expiry: 4,
  Eviction: 5,
  LazyFree: 6,
  AofWrite: 7,
  Loading: 8,
  Replication: 9,
  Other: 10,
} as const
export type StallCause = (typeof StallCause)[keyof typeof StallCause]

/** By StallCause. */
const NAMES = [
  'gc',
  'command',
  'script',
  'snapshot',
  'expiry',
  'eviction',
  'lazyfree',
  'aof-write',
  'loading',
  'replication',
  'other',
] as const

/** Events of the latency monitor: those of Redis where it has them. Commands tell it themselves. */
const EVENTS: readonly (string | null)[] = [
  'gc',
  null,
  null,
  'snapshot-slice',
  'expire-cycle',
  'eviction-cycle',
  'lazyfree-slice',
  'aof-write',
  'loading-slice',
  'replication-write',
  null,
]

/** What took longer is a stall, in ms. */
const STALL_MIN_MS = 1
/** Upper bounds of the histograms in ms; a last bucket has none. */
export const STALL_BOUNDS_MS: readonly number[] = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]
/** Stalls that wait to be counted; when there are more, the first ones are counted as they are. */
const PENDING_MAX = 256
/** Collections that were over sooner make no stall, in ms. */
const COLLECTION_MIN_MS = 0.1
/** What to call the command when it was many of them. */
const MANY = 'several'
const US_PER_MS = 1000

/** How often something held up the loop for how long, in ms. */
export class StallHistogram {
  readonly counts = new Float64Array(STALL_BOUNDS_MS.length + 1)
  count = 0
  sumMs = 0
  maxMs = 0

  add(ms: number): void {
    const bucket = STALL_BOUNDS_MS.findIndex((bound) => ms <= bound)
    this.counts[bucket < 0 ? STALL_BOUNDS_MS.length : bucket]!++
    this.count++
    this.sumMs += ms
    this.maxMs = Math.max(this.maxMs, ms)
  }
}

/** A time in which nobody was served, in ms of the monotonic clock. */
interface Stall {
  readonly startMs: number
  readonly endMs: number
  readonly cause: StallCause
  /** The command, if one is the cause; else ''. */
  readonly command: string
}

interface Span {
  readonly startMs: number
  readonly endMs: number
}

export class Stalls {
  /** By name of the cause; those that there were. */
  readonly byCause = new Map<string, StallHistogram>()
  /** By full name of the command that was the cause, those within scripts and transactions not. */
  readonly byCommand = new Map<string, StallHistogram>()
  /** What the longest one was put down to: cause, and command if it was one. */
  longest: { readonly ms: number; readonly cause: string; readonly command: string } | null = null
  private readonly latency: LatencyMonitor
  private readonly nowMs: () => number
  /** When the turn began; 0: there is none. */
  private turnStartMs = 0
  /** By StallCause: what took part of the turn, in ms. */
  private readonly parts = new Float64Array(NAMES.length)
  private hasParts: boolean = false
  /** The command of the turn that took longest. */
  private command = ''
  private commandMs = 0
  private isScript: boolean = false
  private pending: Stall[] = []
  /** How many of them were there at the last tick. */
  private pendingBefore = 0
  private collections: Span[] = []
  private readonly observer: PerformanceObserver

  /** @param nowMs a monotonic clock, the one of `performance` unless in tests */
  constructor(latency: LatencyMonitor, nowMs: () => number = () => performance.now()) {
    this.latency = latency
    this.nowMs = nowMs
    this.observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) this.collected(startTime, duration)
    })
  }

  /** Watches the garbage collector from now on. */
  start(): void {
    this.observer.observe({ entryTypes: ['gc'] })
  }

  close(): void {
    this.observer.disconnect()
  }

  /** Something begins that others wait for; nothing happens when it is part of a turn that has begun. */
  beginTurn(): void {
    if (this.turnStartMs === 0) this.turnStartMs = this.nowMs()
  }

  /** The turn is over. @param commandsMs how much of it commands took, in ms */
  endTurn(commandsMs: number): void {
    const startMs = this.turnStartMs
    this.turnStartMs = 0
    const endMs = this.nowMs()
    if (endMs - startMs >= STALL_MIN_MS && startMs > 0) this.noteTurn(startMs, endMs, commandsMs)
    if (!this.hasParts && this.commandMs === 0) return
    this.parts.fill(0)
    this.hasParts = false
    this.command = ''
    this.commandMs = 0
  }

  /** A part of a turn, or what is done between turns, has lasted from `startMs` till now. */
  took(cause: StallCause, startMs: number): void {
    const endMs = this.nowMs()
    const event = EVENTS[cause]
    if (event !== null && event !== undefined) this.latency.note(event, (endMs - startMs) * US_PER_MS)
    if (this.turnStartMs === 0) {
      if (endMs - startMs >= STALL_MIN_MS) this.note({ startMs, endMs, cause, command: '' })
      return
    }
    this.parts[cause]! += endMs - startMs
    this.hasParts = true
  }

  /** A command that was timed took so long. */
  commandTook(command: string, cause: StallCause, ms: number): void {
    if (ms < STALL_MIN_MS / 2 || ms <= this.commandMs) return
    this.command = command
    this.commandMs = ms
    this.isScript = cause === StallCause.Script
  }

  /** The garbage collector was at work. */
  collected(startMs: number, durationMs: number): void {
    this.latency.note('gc', durationMs * US_PER_MS)
    if (durationMs < COLLECTION_MIN_MS) return
    const endMs = startMs + durationMs
    if (this.pending.some((stall) => overlapMs(stall, { startMs, endMs }) > 0)) {
      if (this.collections.length < PENDING_MAX) this.collections.push({ startMs, endMs })
    } else if (durationMs >= STALL_MIN_MS) {
      this.note({ startMs, endMs, cause: StallCause.Collection, command: '' })
    }
  }

  /** Counts what can be told the cause of by now. To be called now and then. */
  settle(): void {
    for (const stall of this.pending.splice(0, this.pendingBefore)) this.count(stall)
    this.pendingBefore = this.pending.length
    // A collection is told of soon after it was; what none of the stalls of that time holds was one itself.
    const oldestMs = this.pending[0]?.startMs ?? Number.POSITIVE_INFINITY
    this.collections = this.collections.filter(({ endMs }) => endMs > oldestMs)
  }

  reset(): void {
    this.byCause.clear()
    this.byCommand.clear()
    this.longest = null
    this.pending = []
    this.pendingBefore = 0
  }

  private noteTurn(startMs: number, endMs: number, commandsMs: number): void {
    const half = (endMs - startMs) / 2
    // Commands hold what they caused (eviction), so they are asked last.
    for (let cause = 0; cause < NAMES.length; cause++) {
      if (this.parts[cause]! < half) continue
      this.note({ startMs, endMs, cause: cause as StallCause, command: '' })
      return
    }
    if (commandsMs < half) this.note({ startMs, endMs, cause: StallCause.Other, command: '' })
    else if (this.commandMs < commandsMs / 2) this.note({ startMs, endMs, cause: StallCause.Command, command: MANY })
    else {
      const cause = this.isScript ? StallCause.Script : StallCause.Command
      this.note({ startMs, endMs, cause, command: this.command })
    }
  }

  private note(stall: Stall): void {
    if (this.pending.length === PENDING_MAX) {
      this.count(this.pending.shift()!)
      this.pendingBefore = Math.max(0, this.pendingBefore - 1)
    }
    this.pending.push(stall)
  }

  private count(stall: Stall): void {
    const ms = stall.endMs - stall.startMs
    let collectedMs = 0
    for (const span of this.collections) collectedMs += overlapMs(stall, span)
    const isCollection = collectedMs >= ms / 2
    const cause = NAMES[isCollection ? StallCause.Collection : stall.cause]!
    const command = isCollection ? '' : stall.command
    histogramOf(this.byCause, cause).add(ms)
    if (command !== '') histogramOf(this.byCommand, command).add(ms)
    if (this.longest === null || ms > this.longest.ms) this.longest = { ms, cause, command }
  }
}

function overlapMs(a: Span, b: Span): number {
  return Math.max(0, Math.min(a.endMs, b.endMs) - Math.max(a.startMs, b.startMs))
}

function histogramOf(histograms: Map<string, StallHistogram>, name: string): StallHistogram {
  let found = histograms.get(name)
  if (found === undefined) {
    found = new StallHistogram()
    histograms.set(name, found)
  }
  return found
}
