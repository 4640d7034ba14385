/**
 * What happens at its time: keys expire, blocked clients give up, a pause ends. Two precise timers wake the server for the
 * next of them: keys expire by the wall time, whatever it is set to; clients wait by the time that goes by. Expiry is done
 * in slices, so that a million keys of one moment do not hold the loop.
 */
import { expireDue } from '../keyspace/field-expiry.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { StallCause, type Stalls } from '../observe/stalls.ts'
import type { ServerStats } from '../observe/stats.ts'
import type { LoadProgress } from '../persistence/load-progress.ts'
import { HashView } from '../structures/hash-view.ts'
import type { Blocking } from './blocking.ts'
import type { Pauses } from './pauses.ts'
import type { Waiting } from './waiting.ts'

/** Keys and fields of hashes removed by one slice of the active expire cycle; the rest follows in the next turn. */
const EXPIRE_SLICE_KEYS = 500
/** Longest sleep of the timer, in ms; setTimeout takes 31 bits. */
const SLEEP_MAX_MS = 0x7fffffff

/** What timers need of the server. */
export interface TimersHost {
  readonly keyspace: Keyspace
  readonly blocking: Blocking
  readonly pauses: Pauses
  readonly loading: LoadProgress
  readonly stats: ServerStats
  readonly stalls: Stalls
  /** Wall time in ms, and time that has gone by whatever is done to that. */
  clockNow(): number
  elapsedMs(): number
  readClock(): void
  readonly waiting: Waiting
  scheduleTurn(): void
}

export class Timers {
  private readonly host: TimersHost
  private readonly hash: HashView
  private readonly expiry: Alarm
  private readonly waits: Alarm

  constructor(host: TimersHost) {
    this.host = host
    this.expiry = new Alarm(() => host.clockNow(), this.onTimer)
    this.waits = new Alarm(() => host.elapsedMs(), this.onTimer)
    this.hash = new HashView(host.keyspace.arena, host.keyspace.seed)
  }

  /** Removes some of the keys, and of the fields of hashes, whose time is over. */
  expireSlice(): void {
    const { keyspace, pauses, loading } = this.host
    if (!keyspace.activeExpire || keyspace.isFollowing || loading.isActive || pauses.isActive) return
    let startMs = 0
    let budget = EXPIRE_SLICE_KEYS
    for (const db of keyspace.databases) {
      if (db.expires.size === 0 || db.expires.firstTime() > keyspace.now) continue
      if (startMs === 0) startMs = performance.now()
      budget -= db.expireDue(budget)
      if (budget <= 0) break
    }
    for (const db of keyspace.databases) {
      if (budget <= 0) break
      if (db.fieldExpires.size === 0 || db.fieldExpires.firstTime() > keyspace.now) continue
      if (startMs === 0) startMs = performance.now()
      budget -= expireDue(db, this.hash, budget)
    }
    if (startMs > 0) this.host.stalls.took(StallCause.Expiry, startMs)
    if (keyspace.readyKeys.length > 0) this.host.waiting.serveReady(null)
  }

  /** Sees to it that the next thing to do is done in time. */
  scheduleNext(): void {
    this.waits.set(this.nextWait())
    this.expiry.set(this.nextExpiry())
  }

  /** Wakes the server at a time of `elapsedMs`, or earlier. */
  schedule(at: number): void {
    this.waits.set(at)
  }

  close(): void {
    this.expiry.stop()
    this.waits.stop()
  }

  /** When a blocked client's time or a pause is over next. */
  private nextWait(): number {
    const { blocking, pauses } = this.host
    const deadline = blocking.nextDeadline()
    if (pauses.untilMs > 0) return Math.min(pauses.untilMs, deadline)
    return blocking.hasDuePolls ? 0 : deadline
  }

  /** When a key or a field of a hash expires next. Nothing does during a pause. */
  private nextExpiry(): number {
    const { keyspace, pauses, loading } = this.host
    let next = Number.POSITIVE_INFINITY
    if (pauses.untilMs > 0 || !keyspace.activeExpire || keyspace.isFollowing || loading.isActive) return next
    for (const { expires, fieldExpires } of keyspace.databases) {
      if (expires.size > 0) next = Math.min(next, expires.firstTime())
      if (fieldExpires.size > 0) next = Math.min(next, fieldExpires.firstTime())
    }
    return next
  }

  private readonly onTimer = (): void => {
    const { host } = this
    host.readClock()
    host.pauses.endWhenOver()
    for (const client of host.blocking.takeDue()) {
      host.stats.unblockedByTimeout++
      host.waiting.unblock(client, false)
    }
    if (!host.pauses.isActive) host.blocking.beginPolls()
    if (host.keyspace.readyKeys.length > 0) host.waiting.serveReady(null)
    host.scheduleTurn()
  }
}

/** A timer for the earliest of what it was set to. When it has gone off it is set anew. */
class Alarm {
  private readonly now: () => number
  private readonly onTime: () => void
  private timer: NodeJS.Timeout | null = null
  private at = Number.POSITIVE_INFINITY

  /** @param now the clock of its times, in ms */
  constructor(now: () => number, onTime: () => void) {
    this.now = now
    this.onTime = onTime
  }

  set(at: number): void {
    if (at >= this.at) return
    this.stop()
    this.at = at
    this.timer = setTimeout(this.goOff, Math.min(SLEEP_MAX_MS, Math.max(0, Math.ceil(at - this.now()))))
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
  }

  private readonly goOff = (): void => {
    this.timer = null
    this.at = Number.POSITIVE_INFINITY
    this.onTime()
  }
}
