/**
 * Before the process ends it waits until replicas have all that was written, for `shutdown-timeout` at most: writes wait
 * meanwhile, and SHUTDOWN ABORT takes it back. Cold.
 * Source: Valkey 7.2 src/server.c prepareForShutdown, isReadyToShutdown, finishShutdown.
 */
import type { Config } from '../config/config.ts'
import type { Log } from '../observe/log.ts'
import type { Pauses } from './pauses.ts'
import type { Replicas } from './replicas.ts'

/** What a wait needs of the server. */
export interface FarewellHost {
  readonly config: Config
  readonly log: Log
  readonly pauses: Pauses
  readonly replication: Replicas
  /** Time that has gone by, in ms, whatever is done to the wall time. */
  elapsedMs(): number
}

/** Somebody who wants the process to end. */
export interface Leaver {
  /** The wait is over, or there was nothing to wait for. */
  proceed(): void
  /** It was taken back. */
  aborted(): void
}

export class Farewell {
  private readonly host: FarewellHost
  private leavers: Leaver[] = []
  private deadlineMs = 0
  private endPause: () => void = () => {}

  constructor(host: FarewellHost) {
    this.host = host
  }

  get isWaiting(): boolean {
    return this.leavers.length > 0
  }

  /** Time that is left, in ms. */
  get msLeft(): number {
    return Math.max(0, this.deadlineMs - this.host.elapsedMs())
  }

  /** Begins to wait, or waits with those who do already. */
  wait(leaver: Leaver): void {
    const { config, log, pauses, replication } = this.host
    if (this.isWaiting) {
      this.leavers.push(leaver)
      return
    }
    const timeoutMs = config.number('shutdown-timeout') * 1000
    if (timeoutMs === 0 || replication.isAcknowledged) {
      replication.reportLag()
      leaver.proceed()
      return
    }
    this.leavers.push(leaver)
    this.deadlineMs = this.host.elapsedMs() + timeoutMs
    this.endPause = pauses.beginEndlessForWrites()
    replication.requestAcks()
    log.notice('Waiting for replicas before shutting down.')
  }

  /** Returns false when nobody waits. */
  abort(): boolean {
    if (!this.isWaiting) return false
    for (const leaver of this.end()) leaver.aborted()
    return true
  }

  /** Ten times a second. */
  tick(): void {
    if (!this.isWaiting) return
    const { replication } = this.host
    if (!replication.isAcknowledged && this.host.elapsedMs() < this.deadlineMs) return
    replication.reportLag()
    const [first, ...others] = this.end()
    first?.proceed()
    // The first one ends the process for all, or nobody does.
    for (const leaver of others) leaver.aborted()
  }

  private end(): Leaver[] {
    const { leavers } = this
    this.leavers = []
    this.endPause()
    return leavers
  }
}
