/** Counters that INFO reports and CONFIG RESETSTAT clears. */
import { Rate } from './samples.ts'

/** How many different error codes are counted; further ones are not, as in Redis. */
const ERROR_CODES_MAX = 128

/** Error replies by their first word (INFO errorstats). */
export class ErrorStats {
  readonly counts = new Map<string, number>()
  total = 0

  count(code: string): void {
    this.total++
    const known = this.counts.get(code)
    if (known === undefined && this.counts.size >= ERROR_CODES_MAX) return
    this.counts.set(code, (known ?? 0) + 1)
  }

  reset(): void {
    this.counts.clear()
    this.total = 0
  }
}

/** Counters of connections, traffic and commands. */
export class ServerStats {
  connectionsReceived = 0
  connectionsRejected = 0
  commandsProcessed = 0
  bytesIn = 0
  bytesOut = 0
  reads = 0
  writes = 0
  /** Loop turns in which something was done. */
  turns = 0
  /** Snapshots begun in the background, for whatever file: INFO's `total_forks`, as Redis forks for each. */
  snapshots = 0
  outputLimitDisconnections = 0
  queryLimitDisconnections = 0
  unblockedByTimeout = 0
  /** Refused for want of rights, by what they were refused. */
  deniedLogins = 0
  deniedCommands = 0
  deniedKeys = 0
  deniedChannels = 0
  /** Samples of the cron. */
  readonly commandRate = new Rate()
  readonly inputRate = new Rate()
  readonly outputRate = new Rate()
  readonly turnRate = new Rate()

  reset(): void {
    this.connectionsReceived = 0
    this.connectionsRejected = 0
    this.commandsProcessed = 0
    this.bytesIn = 0
    this.bytesOut = 0
    this.reads = 0
    this.writes = 0
    this.turns = 0
    this.snapshots = 0
    this.outputLimitDisconnections = 0
    this.queryLimitDisconnections = 0
    this.unblockedByTimeout = 0
    this.deniedLogins = 0
    this.deniedCommands = 0
    this.deniedKeys = 0
    this.deniedChannels = 0
    this.commandRate.reset()
    this.inputRate.reset()
    this.outputRate.reset()
    this.turnRate.reset()
  }

  /** Takes samples for the rates, at a time of a monotonic clock in ms. */
  sample(nowMs: number): void {
    this.commandRate.sample(this.commandsProcessed, nowMs)
    this.inputRate.sample(this.bytesIn, nowMs)
    this.outputRate.sample(this.bytesOut, nowMs)
    this.turnRate.sample(this.turns, nowMs)
  }
}
