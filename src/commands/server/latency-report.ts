/** What LATENCY shows to people: a graph of a series, and an analysis of all of them. */
import type { LatencyMonitor, LatencySeries } from '../../observe/latency-monitor.ts'

const GRAPH_COLUMNS = 80
const GRAPH_ROWS = 4
/** From low to high within a row; what is above is filled. */
const LEVELS = '_o#'
const FILL = '|'
const SECONDS_PER_MINUTE = 60
const SECONDS_PER_HOUR = 3600
const SECONDS_PER_DAY = 86_400

/** A bar for each sample, oldest first, and below it how long ago that was. Source: Valkey src/sparkline.c. */
export function latencyGraph(event: string, series: LatencySeries, nowSeconds: number): string {
  const all = series.samples.map(({ ms }) => ms)
  const low = Math.min(...all)
  const high = Math.max(...all)
  let text = `${event} - high ${high} ms, low ${low} ms (all time high ${series.maxMs} ms)\n${'-'.repeat(GRAPH_COLUMNS)}\n`
  for (let from = 0; from < all.length; from += GRAPH_COLUMNS) {
    const samples = series.samples.slice(from, from + GRAPH_COLUMNS)
    const bars = barLines(
      samples.map(({ ms }) => ms),
      low,
      high,
    )
    const labels = labelLines(samples.map(({ timeSeconds }) => ageOf(nowSeconds - timeSeconds)))
    text += `${from === 0 ? '' : '\n'}${[...bars, ' '.repeat(samples.length), ...labels].join('\n')}\n`
  }
  return text
}

function barLines(values: readonly number[], low: number, high: number): string[] {
  const levels = LEVELS.length * GRAPH_ROWS
  const range = high === low ? 1 : high - low
  const heights = values.map((value) => Math.min(levels - 1, Math.floor(((value - low) * levels) / range)))
  const lines: string[] = []
  for (let row = GRAPH_ROWS - 1; row >= 0; row--) {
    const base = row * LEVELS.length
    lines.push(heights.map((height) => (height < base ? ' ' : (LEVELS[height - base] ?? FILL))).join(''))
  }
  return lines
}

/** Labels run from top to bottom. */
function labelLines(labels: readonly string[]): string[] {
  const lines: string[] = []
  for (let i = 0; labels.some((label) => i < label.length); i++) {
    lines.push(labels.map((label) => label[i] ?? ' ').join(''))
  }
  return lines
}

function ageOf(seconds: number): string {
  if (seconds < SECONDS_PER_MINUTE) return `${seconds}s`
  if (seconds < SECONDS_PER_HOUR) return `${Math.floor(seconds / SECONDS_PER_MINUTE)}m`
  if (seconds < SECONDS_PER_DAY) return `${Math.floor(seconds / SECONDS_PER_HOUR)}h`
  return `${Math.floor(seconds / SECONDS_PER_DAY)}d`
}

/** What can be done about an event. */
const ADVICE: Readonly<Record<string, string>> = {
  command:
    'Look at SLOWLOG for the commands that took long. Commands over many elements are better done in pieces (SCAN, ranges), big values better divided.',
  'fast-command':
    'Short commands were slow: the process did not get the processor, or memory was swapped. Look for other load on the machine.',
  'expire-cycle': 'Many keys, or big ones, had the same time to live. Spread the times, and divide big values.',
  'eviction-cycle': 'Making room took long: memory is at its limit, and keys go. See INFO memory and docs/MEMORY.md.',
  'eviction-del': 'Big values were evicted. lazyfree-lazy-eviction lets them be freed in slices.',
  'eviction-lazyfree': 'Handing big evicted values over to be freed took long. Look for other load on the machine.',
  'lazyfree-slice': 'Freeing big values in slices took long. Look for other load on the machine.',
  'snapshot-slice': 'Writing a snapshot in slices took long: there are single values that are big. Divide them.',
  'loading-slice': 'Loading data took long at a time: there are single values that are big. Divide them.',
  'replication-write': 'Sending to replicas took long. There may be too many, or too slow ones.',
  gc: 'The garbage collector held up the process. Scripts and programs within the process that make many objects cause that.',
  'aof-write': 'Writing the append-only file took long. Look for other load on its disk.',
}

/** What the series of all events tell, in words. */
export function latencyReport(monitor: LatencyMonitor, nowSeconds: number): string {
  if (monitor.series.size === 0) {
    return monitor.isOn
      ? `Nothing has taken ${monitor.thresholdMs} ms or longer since the monitor was reset.\n`
      : 'The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n'
  }
  let text = 'These events have held up the server:\n\n'
  let number = 0
  for (const [event, series] of monitor.series) text += `${++number}. ${eventLine(event, series, nowSeconds)}\n`
  const advice = [...monitor.series.keys()].flatMap((event) => ADVICE[event] ?? [])
  return advice.length === 0 ? text : `${text}\nWhat may help:\n\n${advice.map((line) => `- ${line}\n`).join('')}`
}

function eventLine(event: string, { samples, maxMs }: LatencySeries, nowSeconds: number): string {
  const count = samples.length
  const average = Math.floor(samples.reduce((sum, { ms }) => sum + ms, 0) / count)
  const deviation = Math.floor(samples.reduce((sum, { ms }) => sum + Math.abs(ms - average), 0) / count)
  const period = Math.max(1, nowSeconds - samples[0]!.timeSeconds) / count
  return `${event}: ${count} latency spikes (average ${average}ms, mean deviation ${deviation}ms, period ${period.toFixed(2)} sec). Worst all time event ${maxMs}ms.`
}
