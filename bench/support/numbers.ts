/** What a benchmark makes of its samples. */

/** The middle of some numbers; 0 when there are none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The mean of ratios; 0 when there are none. */
export function geometricMean(ratios: readonly number[]): number {
  if (ratios.length === 0) return 0
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length)
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** The monotonic clock of the machine, the same in all processes. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** Latencies in ms. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
}

/** The medians of several latencies, figure by figure. */
export function medianLatency(samples: readonly Latency[]): Latency {
  const of = (figure: keyof Latency): number => median(samples.map((sample) => sample[figure]))
  return { p50: of('p50'), p99: of('p99'), p999: of('p999'), longest: of('longest') }
}

const STEP_US = 10
/** Latencies from here on, in steps, count as this long in percentiles; the longest is exact. */
const STEPS = 200_000

/** Counts latencies in steps of 10 µs without making garbage: a collection here would look like a stall of the server. */
export class LatencyHistogram {
  count = 0
  longestUs = 0
  private readonly counts = new Uint32Array(STEPS)

  add(us: number): void {
    this.count++
    if (us > this.longestUs) this.longestUs = us
    const step = Math.min(STEPS - 1, Math.max(0, Math.floor(us / STEP_US)))
    this.counts[step]!++
  }

  reset(): void {
    this.count = 0
    this.longestUs = 0
    this.counts.fill(0)
  }

  /** The upper end of the step in which a share (0–1) of all is reached, in ms. */
  percentileMs(share: number): number {
    const wanted = Math.ceil(this.count * share)
    let seen = 0
    for (let step = 0; step < STEPS; step++) {
      seen += this.counts[step]!
      if (seen >= wanted && seen > 0) return ((step + 1) * STEP_US) / 1000
    }
    return 0
  }

  latency(): Latency {
    return {
      p50: this.percentileMs(0.5),
      p99: this.percentileMs(0.99),
      p999: this.percentileMs(0.999),
      longest: this.longestUs / 1000,
    }
  }
}
