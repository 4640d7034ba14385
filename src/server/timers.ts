/**
 * What happens at its time: keys expire, blocked clients give up, a pause ends. One precise timer wakes the server for
 * the next of them; expiry is done in slices, so that a million keys of one moment do not hold the loop.
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
  /** Wall time in ms. */
  clockNow(): number
  readClock(): void
  readonly waiting: Waiting
  scheduleTurn(): void
}

export class Timers {
  private readonly host: TimersHost
  private readonly hash: HashView
  private timer: NodeJS.Timeout | null = null
  private timerAt = Number.POSITIVE_INFINITY

  constructor(host: TimersHost) {
    this.host = host
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
    this.schedule(this.nextEvent())
  }

  /** Wakes the server at a time in ms, or earlier. */
  schedule(at: number): void {
    if (at >= this.timerAt) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timerAt = at
    const delay = Math.min(SLEEP_MAX_MS, Math.max(0, at - this.host.clockNow()))
    this.timer = setTimeout(this.onTimer, delay)
  }

  close(): void {
    if (this.timer !== null) clearTimeout(this.timer)
  }

  /** Time of the next thing to do: a key that expires, a blocked client's deadline, the end of a pause. */
  private nextEvent(): number {
    const { keyspace, blocking, pauses, loading } = this.host
    const deadline = blocking.nextDeadline()
    // Nothing expires during a pause, so its end is all there is to wait for besides deadlines.
    if (pauses.untilMs > 0) return Math.min(pauses.untilMs, deadline)
    if (blocking.hasDuePolls) return keyspace.now
    let next = deadline
    if (keyspace.activeExpire && !keyspace.isFollowing && !loading.isActive) {
      for (const { expires, fieldExpires } of keyspace.databases) {
        if (expires.size > 0) next = Math.min(next, expires.firstTime())
        if (fieldExpires.size > 0) next = Math.min(next, fieldExpires.firstTime())
      }
    }
    return next
  }

  private readonly onTimer = (): void => {
    const { host } = this
    this.timer = null
    this.timerAt = Number.POSITIVE_INFINITY
    host.readClock()
    host.pauses.endWhenOver()
    for (const client of host.blocking.takeDue(host.keyspace.now)) {
      host.stats.unblockedByTimeout++
      host.waiting.unblock(client, false)
    }
    if (!host.pauses.isActive) host.blocking.beginPolls()
    if (host.keyspace.readyKeys.length > 0) host.waiting.serveReady(null)
    host.scheduleTurn()
  }
}
