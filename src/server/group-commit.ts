/**
 * When the next fdatasync begins under `appendfsync always`. Hot path: turnEnded.
 *
 *     at once    the next one begins when the last has ended, with what has gathered meanwhile
 *     gathering  first the replies go out that the last one has covered, and whoever they are for may ask again
 *
 * Clients that wait for their replies fall into two groups when the disk never rests: one is answered while the sync for the
 * other is under way, and each request waits for two. While the loop has enough to do meanwhile that is best, for disk and
 * loop work side by side. Where the disk is what takes its time it halves what can be done: there the syncs wait, not
 * much longer than they take themselves, until as many effects are there again as there were. Which of the two it is shows in
 * how long the loop has nothing to do, or a sync takes compared with what is gathered. To wait for a part of them is worse
 * than either: where most do not come back in time, it is given up for a while.
 */
import { type Aof, FsyncPolicy } from '../persistence/aof.ts'

/** Requests are waited for so many times as long as a sync takes, and so long at most, in ms. */
const WAIT_SHARE = 2
const WAIT_MS_MAX = 2
/** What a timer can wait for; anything shorter passes while the loop goes round. In ms. */
const TIMER_MS_MIN = 1
/** The loop is idle for such a part of the time: what gathers meanwhile is too little. */
const IDLE_SHARE_MAX = 0.45
/** A sync takes such a part of what the loop needs for all that it covers: they had better work side by side. */
const SYNC_SHARE_MIN = 0.8
/** Weight of the last sync in averages, and how many come before the first decision and between two. */
const WEIGHT = 1 / 16
const SYNCS_MIN = 16
/** How many come before waiting is tried again that was in vain. */
const SYNCS_WITHOUT_MAX = 256

/** What it needs of the server. */
export interface GroupCommitHost {
  readonly aof: Aof | null
  /** Whether a turn is to end, after which `turnEnded` is called. */
  readonly isTurnScheduled: boolean
  /** For how long the loop has had nothing to do so far, in ms. */
  loopIdleMs(): number
}

export class GroupCommit {
  private readonly host: GroupCommitHost
  private aof: Aof | null = null
  /** Averages in ms: of a sync, and of what comes between two. */
  private syncMs = 0
  private betweenMs = 0
  /** Syncs until the next decision, when the last one was, and how long the loop had been idle by then. */
  private syncsLeft = SYNCS_MIN
  private decidedMs = 0
  private idleMs = 0
  private startedMs = 0
  private endedMs = 0
  /** So many effects are expected before the next sync. */
  private expected = 0
  /** How often they have come since the last decision. */
  private gatherings = 0
  private isCheckScheduled: boolean = false

  constructor(host: GroupCommitHost) {
    this.host = host
  }

  /** Whatever was executed has been handed to the log. Begins a sync unless more is waited for. */
  turnEnded(aof: Aof): void {
    if (aof !== this.aof) this.follow(aof)
    // What has failed is tried again once a second: turns that only read need not wait for that.
    if (aof.isSyncing || aof.error !== null) return
    const nowMs = performance.now()
    if (this.isGathered(aof, nowMs)) this.begin(aof, nowMs)
    else this.scheduleCheck(nowMs)
  }

  /** The log has come further, and the replies that waited for it are on their way. */
  progressed(): void {
    const { aof } = this.host
    if (aof === null || aof.policy !== FsyncPolicy.Always || aof !== this.aof) return
    if (aof.gathersSyncs && !aof.isSyncing && aof.hasUnsynced) this.scheduleCheck(performance.now())
  }

  private follow(aof: Aof): void {
    this.aof = aof
    this.syncMs = 0
    this.betweenMs = 0
    this.syncsLeft = SYNCS_MIN
    this.decidedMs = performance.now()
    this.idleMs = this.host.loopIdleMs()
    aof.onSynced = (effects) => this.synced(aof, effects)
  }

  private isGathered(aof: Aof, nowMs: number): boolean {
    return !aof.gathersSyncs || aof.waitingEffects >= this.expected || nowMs >= this.deadlineMs
  }

  /** When more is no longer waited for. */
  private get deadlineMs(): number {
    return this.endedMs + Math.min(this.syncMs * WAIT_SHARE, WAIT_MS_MAX)
  }

  private begin(aof: Aof, nowMs: number): void {
    // A longer time says that nobody has asked for anything.
    const betweenMs = Math.min(nowMs - this.endedMs, WAIT_MS_MAX)
    this.betweenMs += (betweenMs - this.betweenMs) * WEIGHT
    this.startedMs = nowMs
    if (aof.waitingEffects >= this.expected) this.gatherings++
    aof.sync()
  }

  /** A sync has ended that covered so many effects. */
  private synced(aof: Aof, effects: number): void {
    const nowMs = performance.now()
    this.endedMs = nowMs
    this.expected = effects + aof.waitingEffects
    const tookMs = nowMs - this.startedMs
    this.syncMs += (tookMs - this.syncMs) * WEIGHT
    this.startedMs = nowMs
    if (--this.syncsLeft === 0) this.decide(aof, nowMs)
  }

  private decide(aof: Aof, nowMs: number): void {
    const idleMs = this.host.loopIdleMs()
    const idleShare = (idleMs - this.idleMs) / (nowMs - this.decidedMs)
    const gathered = aof.gathersSyncs
    // What came between syncs that follow each other at once says nothing.
    if (!gathered) this.betweenMs = 0
    aof.gathersSyncs = gathered
      ? this.gatherings * 2 >= SYNCS_MIN && this.syncMs > this.betweenMs * SYNC_SHARE_MIN
      : idleShare > IDLE_SHARE_MAX
    this.syncsLeft = gathered && !aof.gathersSyncs ? SYNCS_WITHOUT_MAX : SYNCS_MIN
    this.gatherings = 0
    this.decidedMs = nowMs
    this.idleMs = idleMs
  }

  private scheduleCheck(nowMs: number): void {
    if (this.isCheckScheduled) return
    this.isCheckScheduled = true
    const leftMs = this.deadlineMs - nowMs
    if (leftMs < TIMER_MS_MIN) setImmediate(this.check)
    else setTimeout(this.check, leftMs)
  }

  /** Nobody else would begin the sync when no turn follows. */
  private readonly check = (): void => {
    this.isCheckScheduled = false
    const { aof } = this.host
    if (aof === null || aof.isSyncing || !aof.hasUnsynced || this.host.isTurnScheduled) return
    if (aof.error !== null) return
    const nowMs = performance.now()
    if (this.isGathered(aof, nowMs)) this.begin(aof, nowMs)
    else this.scheduleCheck(nowMs)
  }
}
