/**
 * Metrics of the process: memory, CPU, garbage collection, and how late the event loop is. Names are those of prom-client's
 * default metrics where they exist. These watch from when the gateway is made until it closes; prom-client's own could not
 * be ended.
 */
import { constants, monitorEventLoopDelay, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { Exposition } from './exposition.ts'

/** The loop is looked at this often, in ms. */
const LOOP_RESOLUTION_MS = 20
/** A timer wakes this often to see whether it is late, in ms. */
const STALL_CHECK_MS = 100
/** Being later than this is a stall, in ms. */
const STALL_MS = 50
/** Delays are those since the last scrape, but not of a shorter time than this, in ms. */
const LOOP_WINDOW_MIN_MS = 5000
const NS_PER_S = 1e9
const GC_BUCKETS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]

const GC_KINDS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
])

interface Collections {
  readonly counts: Float64Array
  sum: number
}

export class RuntimeMetrics {
  private readonly delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  private delaySinceMs = performance.now()
  private stalls = 0
  private stallSeconds = 0
  private readonly stallTimer: NodeJS.Timeout
  private readonly collections = new Map<string, Collections>()
  private readonly observer: PerformanceObserver

  constructor() {
    this.delay.enable()
    let expectedMs = performance.now() + STALL_CHECK_MS
    this.stallTimer = setInterval(() => {
      const now = performance.now()
      this.noteDelay(now - expectedMs)
      expectedMs = now + STALL_CHECK_MS
    }, STALL_CHECK_MS)
    this.stallTimer.unref()
    this.observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.noteCollection(kindOf(entry), entry.duration / 1000)
    })
    this.observer.observe({ entryTypes: ['gc'] })
  }

  close(): void {
    this.delay.disable()
    clearInterval(this.stallTimer)
    this.observer.disconnect()
  }

  add(page: Exposition): void {
    this.addLoop(page)
    const all = [...this.collections].map(([kind, { counts, sum }]) => ({ labels: { kind }, counts, sum }))
    page.histogram('nodejs_gc_duration_seconds', 'Time of garbage collections by kind.', GC_BUCKETS, all)
    const memory = process.memoryUsage()
    page.gauge('process_resident_memory_bytes', 'Resident memory of the process.', memory.rss)
    page.gauge('nodejs_heap_size_total_bytes', 'Size of the JavaScript heap.', memory.heapTotal)
    page.gauge('nodejs_heap_size_used_bytes', 'Used part of the JavaScript heap.', memory.heapUsed)
    page.gauge('nodejs_external_memory_bytes', 'Memory of JavaScript objects outside of the heap.', memory.external)
    const { user, system } = process.cpuUsage()
    page.counter('process_cpu_user_seconds_total', 'CPU time of the process itself.', user / 1e6)
    page.counter('process_cpu_system_seconds_total', 'CPU time in the kernel.', system / 1e6)
    page.counter('process_cpu_seconds_total', 'CPU time.', (user + system) / 1e6)
    const startedSeconds = (performance.timeOrigin / 1000).toFixed(0)
    page.gauge('process_start_time_seconds', 'When the process started.', Number(startedSeconds))
    page.gauge('nodejs_version_info', 'Version of Node.', 1, { version: process.version })
  }

  private addLoop(page: Exposition): void {
    const { delay } = this
    // What is measured is how long a timer of that resolution took.
    const add = (what: string, help: string, ns: number): void => {
      page.gauge(`nodejs_eventloop_lag_${what}_seconds`, help, Math.max(0, ns / NS_PER_S - LOOP_RESOLUTION_MS / 1000))
    }
    const hasSamples = delay.count > 0
    add('min', 'Least delay of the event loop since the last scrape.', hasSamples ? delay.min : 0)
    add('max', 'Largest delay of the event loop since the last scrape.', hasSamples ? delay.max : 0)
    add('mean', 'Mean delay of the event loop since the last scrape.', hasSamples ? delay.mean : 0)
    for (const percent of [50, 90, 99]) {
      add(`p${percent}`, `${percent}th percentile of the delays since the last scrape.`, delay.percentile(percent))
    }
    const stallHelp = `Times when the event loop was more than ${STALL_MS} ms late.`
    page.counter('millrace_event_loop_stalls_total', stallHelp, this.stalls)
    page.counter(
      'millrace_event_loop_stall_seconds_total',
      'By how much it was late then, together.',
      this.stallSeconds,
    )
    if (performance.now() - this.delaySinceMs < LOOP_WINDOW_MIN_MS) return
    delay.reset()
    this.delaySinceMs = performance.now()
  }

  private noteDelay(delayMs: number): void {
    if (delayMs <= STALL_MS) return
    this.stalls++
    this.stallSeconds += delayMs / 1000
  }

  private noteCollection(kind: string, seconds: number): void {
    let found = this.collections.get(kind)
    if (found === undefined) {
      found = { counts: new Float64Array(GC_BUCKETS.length + 1), sum: 0 }
      this.collections.set(kind, found)
    }
    const bucket = GC_BUCKETS.findIndex((bound) => seconds <= bound)
    found.counts[bucket < 0 ? GC_BUCKETS.length : bucket]!++
    found.sum += seconds
  }
}

/** What kind of collection an entry is about. Node's types do not have it. */
function kindOf(entry: PerformanceEntry): string {
  const { detail } = entry as PerformanceEntry & { readonly detail?: { readonly kind?: number } }
  return GC_KINDS.get(detail?.kind ?? -1) ?? 'other'
}
