/**
 * The slow log: the commands that took longest, newest first, with a bounded number of entries and bytes per entry.
 *
 * Entries are kept in a ring; a full one overwrites its oldest entry.
 * Source: Valkey src/slowlog.c.
 */
import type { Args } from '../resp/args.ts'

const REDACTED = '(redacted)'

export interface SlowlogEntry {
  readonly id: number
  /** Wall time in seconds. */
  readonly timeSeconds: number
  readonly microseconds: number
  readonly words: readonly string[]
  readonly clientAddress: string
  readonly clientName: string
}

export class Slowlog {
  private ring: SlowlogEntry[] = []
  /** Index of the newest entry. */
  private newest = -1
  private nextId = 0
  private capacity: number
  /** Commands that take at least this many microseconds are logged; Infinity: none. */
  thresholdUs = Number.POSITIVE_INFINITY
  /** An entry keeps this many arguments, of this many bytes each. */
  argumentsMax = 32
  argumentBytesMax = 128

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get length(): number {
    return this.ring.length
  }

  /** Adds a command; `secrets` are indices of arguments that are not shown. */
  add(
    args: Args,
    secrets: readonly number[],
    microseconds: number,
    nowMs: number,
    clientAddress: string,
    clientName: string,
  ): void {
    const entry: SlowlogEntry = {
      id: this.nextId++,
      timeSeconds: Math.floor(nowMs / 1000),
      microseconds: Math.round(microseconds),
      words: this.shownWords(args, secrets),
      clientAddress,
      clientName,
    }
    if (this.capacity === 0) return
    this.newest = (this.newest + 1) % this.capacity
    this.ring[this.newest] = entry
  }

  /** The newest `count` entries, newest first. */
  latest(count: number): SlowlogEntry[] {
    const entries: SlowlogEntry[] = []
    const size = this.ring.length
    for (let i = 0; i < Math.min(count, size); i++) entries.push(this.ring[(this.newest - i + size) % size]!)
    return entries
  }

  reset(): void {
    this.ring = []
    this.newest = -1
  }

  /** Changes how many entries are kept; the newest stay. */
  resize(capacity: number): void {
    this.ring = this.latest(capacity).reverse()
    this.newest = this.ring.length - 1
    this.capacity = capacity
  }

  private shownWords(args: Args, secrets: readonly number[]): string[] {
    const words: string[] = []
    const shown = Math.min(args.count, this.argumentsMax)
    for (let i = 0; i < shown; i++) {
      if (i === shown - 1 && shown < args.count) words.push(`... (${args.count - shown + 1} more arguments)`)
      else words.push(secrets.includes(i) ? REDACTED : this.shownWord(args, i))
    }
    return words
  }

  private shownWord(args: Args, i: number): string {
    const length = args.length(i)
    const start = args.start(i)
    if (length <= this.argumentBytesMax) return args.text(i)
    const head = args.buffer.latin1Slice(start, start + this.argumentBytesMax)
    return `${head}... (${length - this.argumentBytesMax} more bytes)`
  }
}
