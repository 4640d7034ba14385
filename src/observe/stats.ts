/** Counters that INFO reports and CONFIG RESETSTAT clears. */

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

/** Network and connection counters. */
export class ServerStats {
  connectionsReceived = 0
  connectionsRejected = 0
  bytesIn = 0
  bytesOut = 0
  outputLimitDisconnections = 0
  queryLimitDisconnections = 0
  unblockedByTimeout = 0

  reset(): void {
    this.connectionsReceived = 0
    this.connectionsRejected = 0
    this.bytesIn = 0
    this.bytesOut = 0
    this.outputLimitDisconnections = 0
    this.queryLimitDisconnections = 0
    this.unblockedByTimeout = 0
  }
}
