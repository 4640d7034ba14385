/**
 * One answer of /metrics in the making: a registry of prom-client that lives as long as the scrape. What is exported is
 * counted elsewhere, so each scrape begins with nothing; two of them, of users with different rights, share nothing.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type Labels = Readonly<Record<string, string | number>>

/** Counts of one histogram, by its labels. */
export interface HistogramCounts {
  readonly labels: Labels
  /** How many fell into each bucket and no smaller one; the last has no bound. */
  readonly counts: ArrayLike<number>
  readonly sum: number
}

/** A metric's value with its labels, as prom-client prints it. */
interface Line {
  readonly metricName: string
  readonly labels: Labels
  readonly value: number
}

export class Exposition {
  private readonly registry = new Registry()
  private readonly gauges = new Map<string, Gauge>()
  private readonly counters = new Map<string, Counter>()

  static readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE

  /** All samples of a metric have the same names of labels. */
  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    let gauge = this.gauges.get(name)
    if (gauge === undefined) {
      gauge = new Gauge({ name, help, labelNames: Object.keys(labels), registers: [this.registry] })
      this.gauges.set(name, gauge)
    }
    gauge.set(labels, value)
  }

  /** @param value what was counted so far; not negative */
  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    let counter = this.counters.get(name)
    if (counter === undefined) {
      counter = new Counter({ name, help, labelNames: Object.keys(labels), registers: [this.registry] })
      this.counters.set(name, counter)
    }
    counter.inc(labels, value)
  }

  /** @param bounds upper bounds of the buckets but the last one */
  histogram(name: string, help: string, bounds: readonly number[], all: readonly HistogramCounts[]): void {
    const lines = all.flatMap((counts) => linesOf(name, bounds, counts))
    this.registry.registerMetric(new CountedHistogram(name, help, lines))
  }

  text(): Promise<string> {
    return this.registry.metrics()
  }
}

/** A histogram whose buckets were counted by somebody else. */
class CountedHistogram extends Histogram {
  private readonly lines: readonly Line[]
  private readonly title: { readonly name: string; readonly help: string }

  constructor(name: string, help: string, lines: readonly Line[]) {
    super({ name, help, registers: [] })
    this.title = { name, help }
    this.lines = lines
  }

  /** What prom-client asks for when it prints; its types do not name it. */
  async getForPromString(): Promise<object> {
    return { ...this.title, type: 'histogram', values: this.lines, aggregator: 'sum' }
  }
}

function linesOf(name: string, bounds: readonly number[], { labels, counts, sum }: HistogramCounts): Line[] {
  const lines: Line[] = []
  let total = 0
  for (let i = 0; i <= bounds.length; i++) {
    total += counts[i] ?? 0
    lines.push({ metricName: `${name}_bucket`, labels: { le: bounds[i] ?? '+Inf', ...labels }, value: total })
  }
  lines.push({ metricName: `${name}_sum`, labels, value: sum })
  lines.push({ metricName: `${name}_count`, labels, value: total })
  return lines
}
