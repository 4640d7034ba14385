/** Rates over the last 1.6 seconds (INFO instantaneous_…). Source: Valkey src/server.c `trackInstantaneousMetric`. */

const SAMPLES = 16

/** The rate of a counter, as the mean of the last samples. */
export class Rate {
  private readonly samples = new Float64Array(SAMPLES)
  private next = 0
  private lastValue = 0
  private lastMs = -1

  /** Takes a sample: the counter's value at a time of a monotonic clock. */
  sample(value: number, nowMs: number): void {
    if (this.lastMs >= 0) {
      const elapsedMs = nowMs - this.lastMs
      // A counter that was reset counts from zero.
      const grown = value < this.lastValue ? value : value - this.lastValue
      this.samples[this.next] = elapsedMs > 0 ? (grown * 1000) / elapsedMs : 0
      this.next = (this.next + 1) % SAMPLES
    }
    this.lastValue = value
    this.lastMs = nowMs
  }

  /** Per second. */
  get perSecond(): number {
    let sum = 0
    for (const sample of this.samples) sum += sample
    return sum / SAMPLES
  }

  reset(): void {
    this.samples.fill(0)
    this.lastMs = -1
  }
}
