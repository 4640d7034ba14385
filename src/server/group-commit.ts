/**
 * When the next fdatasync begins under `appendfsync always`. Hot path: turnEnded.
 *
 *     at once    the next one begins when the last has ended, with what has gathered meanwhile
 *     gathering  first the replies go out that the last one has covered, and whoever they are for may ask again
 *
 * Clients that wait for their replies fall into two groups when the disk never rests: one is answered while the sync for the
 * other is under way, and each request waits for two. While the loop has enough to do meanwhile that is best, for disk and
 * loop work side by side. Where the disk is what takes its time it halves what can be done: there the syncs wait, for a part
 * of what they take themselves, until as many effects are there again as there were. Which of the two it is shows in how long
 * the loop has nothing to do during a sync, or a sync takes compared with what is gathered.
 */
import { type Aof, FsyncPolicy } from '../persistence/aof.ts'

/** Requests are waited for as long as this part of a sync, and so long at most, in ms. */
const WAIT_SHARE = 0.5
const WAIT_MS_MAX = 1
/** The loop is idle for such a part of a sync: what gathers meanwhile is too little. */
const IDLE_SHARE_MAX = 0.5
/** A sync takes such a part of what the loop needs for all that it covers: they had better work side by side. */
const SYNC_SHARE_MIN = 0.8
/** Weight of the last sync in averages, and how many of them come before the first decision and between two. */
const WEIGHT = 1 / 16
const SYNCS_MIN = 32

/** What it needs of the server. */
export interface GroupCommitHost {
  readonly aof: Aof | null
  /** Whether a turn is to end, after which `turnEnded` is called. */
  readonly isTurnScheduled: boolean
}

export class GroupCommit {
  private readonly host: GroupCommitHost
  private aof: Aof | null = null
  /** Averages in ms: of a sync, of how long the loop has nothing to do in one, and of what comes between two. */
  private syncMs = 0
  private idleMs = 0
  private betweenMs = 0
  /** Syncs since the last decision. */
  private syncs = 0
  private startedMs = 0
  private endedMs = 0
  private turnEndedMs = 0
  /** So many effects are expected before the next sync. */
  private expected = 0
  private isCheckScheduled: boolean = false

  constructor(host: GroupCommitHost) {
    this.host = host
  }

  /** Whatever was executed has been handed to the log. Begins a sync unless more is waited for. */
  turnEnded(aof: Aof): void {
    if (aof !== this.aof) this.follow(aof)
    const nowMs = performance.now()
    this.turnEndedMs = nowMs
    if (aof.isSyncing) return
    if (this.isGathered(aof, nowMs)) this.begin(aof, nowMs)
    else this.scheduleCheck()
  }

  /** The log has come further, and the replies that waited for it are on their way. */
  progressed(): void {
    const { aof } = this.host
    if (aof === null || aof.policy !== FsyncPolicy.Always || aof !== this.aof) return
    if (aof.gathersSyncs && !aof.isSyncing && aof.hasUnsynced) this.scheduleCheck()
  }

  private follow(aof: Aof): void {
    this.aof = aof
    this.syncMs = 0
    this.idleMs = 0
    this.betweenMs = 0
    this.syncs = 0
    aof.onSynced = (effects) => this.synced(aof, effects)
  }

  private isGathered(aof: Aof, nowMs: number): boolean {
    if (!aof.gathersSyncs || aof.waitingEffects >= this.expected) return true
    return nowMs - this.endedMs >= Math.min(this.syncMs * WAIT_SHARE, WAIT_MS_MAX)
  }

  private begin(aof: Aof, nowMs: number): void {
    this.betweenMs += (nowMs - this.endedMs - this.betweenMs) * WEIGHT
    this.startedMs = nowMs
    aof.sync()
  }

  /** A sync has ended that covered so many effects. */
  private synced(aof: Aof, effects: number): void {
    const nowMs = performance.now()
    this.endedMs = nowMs
    this.expected = effects + aof.waitingEffects
    const tookMs = nowMs - this.startedMs
    this.syncMs += (tookMs - this.syncMs) * WEIGHT
    this.idleMs += (Math.min(tookMs, nowMs - this.turnEndedMs) - this.idleMs) * WEIGHT
    this.startedMs = nowMs
    if (++this.syncs < SYNCS_MIN) return
    this.syncs = 0
    const { gathersSyncs } = aof
    aof.gathersSyncs = gathersSyncs
      ? this.syncMs > this.betweenMs * SYNC_SHARE_MIN
      : this.idleMs > this.syncMs * IDLE_SHARE_MAX
    // What was not looked at meanwhile is of other times.
    if (gathersSyncs) this.idleMs = 0
    else this.betweenMs = 0
  }

  private scheduleCheck(): void {
    if (this.isCheckScheduled) return
    this.isCheckScheduled = true
    setImmediate(this.check)
  }

  /** Nobody else would begin the sync when no turn follows. */
  private readonly check = (): void => {
    this.isCheckScheduled = false
    const { aof } = this.host
    if (aof === null || aof.isSyncing || !aof.hasUnsynced || this.host.isTurnScheduled) return
    // What has failed is tried again once a second.
    if (aof.error !== null) return
    const nowMs = performance.now()
    if (this.isGathered(aof, nowMs)) this.begin(aof, nowMs)
    else this.scheduleCheck()
  }
}
