/**
 * The latency monitor: for each kind of event that has held up the loop too long, the last times that it did.
 *
 * A series has 160 samples at most, one for each second in which something happened: the longest. Events: `command`,
 * `fast-command`, `expire-cycle`, `aof-write`.
 * Source: Valkey src/latency.c.
 */

const SAMPLES_MAX = 160
const MS_PER_S = 1000

export interface LatencySample {
  /** Wall time in seconds. */
  readonly timeSeconds: number
  readonly ms: number
}

export class LatencySeries {
  /** Oldest first; never empty once it is in the monitor. */
  readonly samples: LatencySample[] = []
  /** The longest since the series began. */
  maxMs = 0

  get latest(): LatencySample {
    return this.samples.at(-1)!
  }

  add(timeSeconds: number, ms: number): void {
    this.maxMs = Math.max(this.maxMs, ms)
    const last = this.samples.at(-1)
    if (last?.timeSeconds === timeSeconds) {
      if (ms > last.ms) this.samples[this.samples.length - 1] = { timeSeconds, ms }
      return
    }
    this.samples.push({ timeSeconds, ms })
    if (this.samples.length > SAMPLES_MAX) this.samples.shift()
  }
}

export class LatencyMonitor {
  /** Events as long as this are kept, in microseconds; Infinity: none. */
  thresholdUs = Number.POSITIVE_INFINITY
  readonly series = new Map<string, LatencySeries>()
  private readonly nowMs: () => number

  /** @param nowMs wall time in ms */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  get isOn(): boolean {
    return this.thresholdUs !== Number.POSITIVE_INFINITY
  }

  /** Whole milliseconds count. */
  set thresholdMs(ms: number) {
    this.thresholdUs = ms === 0 ? Number.POSITIVE_INFINITY : ms * MS_PER_S
  }

  get thresholdMs(): number {
    return this.isOn ? this.thresholdUs / MS_PER_S : 0
  }

  /** Takes note of an event that took so long, if that is long. */
  note(event: string, microseconds: number): void {
    if (microseconds < this.thresholdUs) return
    let series = this.series.get(event)
    if (series === undefined) {
      series = new LatencySeries()
      this.series.set(event, series)
    }
    series.add(Math.floor(this.nowMs() / MS_PER_S), Math.floor(microseconds / MS_PER_S))
  }

  /** Forgets the series of an event, in any case. Returns how many that were. */
  reset(event: string): number {
    let count = 0
    for (const name of [...this.series.keys()]) {
      if (name !== event.toLowerCase()) continue
      this.series.delete(name)
      count++
    }
    return count
  }

  /** Forgets all series. Returns how many that were. */
  resetAll(): number {
    const count = this.series.size
    this.series.clear()
    return count
  }
}
