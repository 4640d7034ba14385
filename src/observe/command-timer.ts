/**
 * How long commands take, for INFO commandstats and SLOWLOG, with few clock readings. Hot path.
 *
 * A reading of the clock costs 20 to 120 ns, a GET not ten times that. So short commands (flag `fast` or O(1), few arguments) that
 * follow each other in a batch are timed together, up to GROUP_MAX of them, and share the time evenly; each other
 * command is timed alone, its start being the end of what came before. When a group has taken longer than the slow log's
 * threshold, nobody knows which of its commands did: for a second every command is timed alone, so that what goes on
 * being slow is caught. With a threshold below EXACT_BELOW_US every command always is.
 *
 * Calls in the process come one by one, with code of the program in between that must not count. One in some is a batch
 * of its own; the others are taken to last as long as those that were timed last (`isEstimating`).
 */
// The global of this name is looked up behind a getter each time.
import { performance } from 'node:perf_hooks'
import { bucketOf, LatencyHistogram } from './latency-histogram.ts'
import type { LatencyMonitor } from './latency-monitor.ts'
import type { Slowlog } from './slowlog.ts'
import { StallCause, type Stalls } from './stalls.ts'

/** What is timed; a registered command. */
export interface Timed {
  readonly fullName: string
  microseconds: number
  /** Made when it is first needed. */
  latency: LatencyHistogram | null
}

const GROUP_MAX = 64
const EXACT_BELOW_US = 1000
const EXACT_MS = 1000
const US_PER_MS = 1000

export class CommandTimer {
  private readonly slowlog: Slowlog
  private readonly monitor: LatencyMonitor
  private readonly stalls: Stalls
  /** Commands of the group: runs of the same one, and how many each has. */
  private readonly group: (Timed | null)[] = new Array<Timed | null>(GROUP_MAX).fill(null)
  private readonly counts = new Int32Array(GROUP_MAX)
  private runs = 0
  private size = 0
  /** Last reading, in ms. */
  private last = 0
  /** When the batch began, and how long those before it in this turn took, in ms. */
  private begunMs = 0
  private busyMs = 0
  /** Whether batches follow each other with nothing in between (`beginBundle`), and the first of them has begun. */
  private isBundled: boolean = false
  private isRunning: boolean = false
  private exactUntil = 0
  /** Whether short commands are not timed now, but taken to last as long as others did. */
  isEstimating: boolean = false
  /** What each command of the last group has taken, in microseconds. */
  private shareUs = 0
  private shareBucket = bucketOf(0)
  /** Whether short commands must be timed alone, too. */
  isExact: boolean = false
  /** Whether each command has a histogram of its times. */
  keepsHistograms: boolean = false

  constructor(slowlog: Slowlog, monitor: LatencyMonitor, stalls: Stalls) {
    this.slowlog = slowlog
    this.monitor = monitor
    this.stalls = stalls
  }

  /** The last reading of the clock, in ms. */
  get lastMs(): number {
    return this.last
  }

  /** Begins a batch: what passed since the last reading belongs to no command. */
  begin(): void {
    if (this.isRunning) return
    this.isRunning = this.isBundled
    this.last = performance.now()
    this.begunMs = this.last
    this.chooseMode()
  }

  /** Decides anew whether short commands must be timed alone: the threshold may have changed. */
  chooseMode(): void {
    this.isExact = this.slowlog.thresholdUs < EXACT_BELOW_US || this.last < this.exactUntil
  }

  /** Ends a batch. */
  end(): void {
    if (!this.isRunning) this.finish()
  }

  /** Batches from here on follow each other directly: they are timed as if they were one. */
  beginBundle(): void {
    this.isBundled = true
  }

  endBundle(): void {
    this.isBundled = false
    this.interrupt()
  }

  /** In the midst of a bundle something else is done than commands: the next batch begins anew. */
  interrupt(): void {
    if (this.isRunning) this.endNow()
  }

  /** As `end`, also within a bundle. */
  endNow(): void {
    this.isRunning = false
    this.finish()
  }

  private finish(): void {
    if (this.size > 0) this.settle()
    this.busyMs += this.last - this.begunMs
  }

  /** How long the batches of this turn took until now, in ms. */
  get turnMs(): number {
    return this.busyMs
  }

  /** How long the batches since the last call took, in ms. */
  takeBusyMs(): number {
    const busyMs = this.busyMs
    this.busyMs = 0
    return busyMs
  }

  /** Takes a short command that has run; it is timed with those before and after it. */
  defer(command: Timed): void {
    if (this.isEstimating) {
      this.estimate(command)
      return
    }
    const { runs } = this
    if (runs > 0 && this.group[runs - 1] === command) this.counts[runs - 1]!++
    else {
      this.group[runs] = command
      this.counts[runs] = 1
      this.runs = runs + 1
    }
    if (++this.size === GROUP_MAX) this.settle()
  }

  private estimate(command: Timed): void {
    command.microseconds += this.shareUs
    this.busyMs += this.shareUs / US_PER_MS
    if (this.keepsHistograms) histogramOf(command).add(this.shareBucket)
  }

  /** When a command that is timed alone starts, in ms: gives the short ones before it their time. */
  start(): number {
    return this.size > 0 ? this.settle() : this.last
  }

  /** Microseconds since `start`; the short ones that ran meanwhile (in a transaction) get their time first. */
  stop(startMs: number): number {
    return (this.settle() - startMs) * US_PER_MS
  }

  /** Adds a time of a command that was timed alone, in microseconds. */
  add(command: Timed, microseconds: number): void {
    command.microseconds += microseconds
    if (this.keepsHistograms) histogramOf(command).add(bucketOf(microseconds))
  }

  private settle(): number {
    const now = performance.now()
    const size = this.size
    if (size > 0) {
      const elapsedUs = (now - this.last) * US_PER_MS
      if (elapsedUs >= this.slowlog.thresholdUs) {
        this.exactUntil = now + EXACT_MS
        this.isExact = true
      }
      // A stall: by themselves the commands of a group take a tenth of a millisecond.
      this.monitor.note('fast-command', elapsedUs)
      // Which of them it was nobody knows: mostly they are all the same.
      this.stalls.commandTook(this.group[this.runs - 1]!.fullName, StallCause.Command, now - this.last)
      const share = elapsedUs / size
      this.shareUs = share
      if (this.keepsHistograms) this.shareBucket = bucketOf(share)
      for (let i = 0; i < this.runs; i++) {
        const command = this.group[i]!
        const count = this.counts[i]!
        command.microseconds += share * count
        if (this.keepsHistograms) histogramOf(command).add(this.shareBucket, count)
      }
      this.runs = 0
      this.size = 0
    }
    this.last = now
    return now
  }
}

function histogramOf(command: Timed): LatencyHistogram {
  command.latency ??= new LatencyHistogram()
  return command.latency
}
