/**
 * The matcher of lstrlib.c, for what regular expressions cannot do or would take too long for: it counts its steps, so the
 * script can be ended in its midst.
 */
import { spend } from './pattern-cost.ts'
import { CAPTURES_MAX, type Capture, type Item, ItemKind, type LuaPattern, type Match } from './pattern-items.ts'
import { libError } from './value.ts'

const CAPTURE_OPEN = -1
const CAPTURE_POSITION = -2

/** Steps that are spent at a time. */
const STEPS_AT_ONCE = 4096
/** A step takes several times as long as one of a regular expression. */
const STEP_COST = 8

export class PatternMatcher implements LuaPattern {
  readonly isAnchored: boolean
  readonly literal = null
  private readonly items: readonly Item[]
  private subject = ''
  private level = 0
  private steps = 0
  private readonly starts: number[] = []
  private readonly lengths: number[] = []

  constructor(items: readonly Item[], isAnchored: boolean) {
    this.isAnchored = isAnchored
    this.items = items
  }

  match(subject: string, from: number): Match | null {
    this.subject = subject
    const first = this.items[0]
    const begins = first?.kind === ItemKind.Single || first?.kind === ItemKind.Plus ? first.members : null
    for (let s = from; s <= subject.length; s++) {
      if (begins === null || (s < subject.length && begins[subject.charCodeAt(s)] === 1)) {
        this.level = 0
        const end = this.run(s, 0)
        if (end >= 0) return this.found(s, end)
      }
      this.count(1)
      if (this.isAnchored) break
    }
    return null
  }

  private found(start: number, end: number): Match {
    return {
      start,
      end,
      whole: this.subject.substring(start, end),
      captures: () => Array.from({ length: this.level }, (_, i) => this.captureAt(i)),
      capture: (i) => (i < this.level ? this.captureAt(i) : null),
    }
  }

  private captureAt(i: number): Capture {
    const length = this.lengths[i]!
    const start = this.starts[i]!
    if (length === CAPTURE_OPEN) throw libError('unfinished capture')
    return length === CAPTURE_POSITION ? start + 1 : this.subject.substring(start, start + length)
  }

  private count(steps: number): void {
    this.steps += steps
    if (this.steps < STEPS_AT_ONCE) return
    const cost = this.steps * STEP_COST
    this.steps = 0
    spend(cost)
  }

  /** The end of the match of the items from `first` at `from`, or -1. */
  private run(from: number, first: number): number {
    const { items, subject } = this
    let s = from
    for (let i = first; i < items.length; i++) {
      const item = items[i]!
      switch (item.kind) {
        case ItemKind.Single:
          if (s >= subject.length || item.members[subject.charCodeAt(s)] === 0) return -1
          s++
          break
        case ItemKind.Optional:
          if (s < subject.length && item.members[subject.charCodeAt(s)] === 1) {
            this.count(1)
            const result = this.run(s + 1, i + 1)
            if (result >= 0) return result
          }
          break
        case ItemKind.Star:
          return this.maxExpand(s, item, i + 1)
        case ItemKind.Plus:
          if (s >= subject.length || item.members[subject.charCodeAt(s)] === 0) return -1
          return this.maxExpand(s + 1, item, i + 1)
        case ItemKind.Minus:
          return this.minExpand(s, item, i + 1)
        case ItemKind.Open:
          return this.startCapture(s, i + 1, CAPTURE_OPEN)
        case ItemKind.OpenPosition:
          return this.startCapture(s, i + 1, CAPTURE_POSITION)
        case ItemKind.Close:
          return this.endCapture(s, i + 1)
        case ItemKind.Balance:
          s = this.matchBalance(s, item)
          if (s < 0) return -1
          break
        case ItemKind.Frontier: {
          const before = s === 0 ? 0 : subject.charCodeAt(s - 1)
          const here = s < subject.length ? subject.charCodeAt(s) : 0
          if (item.members[before] === 1 || item.members[here] === 0) return -1
          break
        }
        case ItemKind.Reference:
          s = this.matchReference(s, item.first)
          if (s < 0) return -1
          break
        case ItemKind.End:
          return s === subject.length ? s : -1
        case ItemKind.Malformed:
          throw libError(item.problem)
      }
    }
    return s
  }

  private maxExpand(from: number, { members, goesOneWay }: Item, next: number): number {
    const { subject } = this
    let s = from
    while (s < subject.length && members[subject.charCodeAt(s)] === 1) s++
    this.count(s - from)
    if (goesOneWay) return this.run(s, next)
    for (; s >= from; s--) {
      const result = this.run(s, next)
      if (result >= 0) return result
      this.count(1)
    }
    return -1
  }

  private minExpand(from: number, { members }: Item, next: number): number {
    const { subject } = this
    for (let s = from; ; s++) {
      const result = this.run(s, next)
      if (result >= 0) return result
      if (s >= subject.length || members[subject.charCodeAt(s)] === 0) return -1
      this.count(1)
    }
  }

  private startCapture(s: number, next: number, kind: number): number {
    if (this.level >= CAPTURES_MAX) throw libError('too many captures')
    this.starts[this.level] = s
    this.lengths[this.level] = kind
    this.level++
    const result = this.run(s, next)
    if (result < 0) this.level--
    return result
  }

  private endCapture(s: number, next: number): number {
    let open = this.level - 1
    while (open >= 0 && this.lengths[open] !== CAPTURE_OPEN) open--
    if (open < 0) throw libError('invalid pattern capture')
    this.lengths[open] = s - this.starts[open]!
    const result = this.run(s, next)
    if (result < 0) this.lengths[open] = CAPTURE_OPEN
    return result
  }

  private matchBalance(s: number, { first: open, second: close }: Item): number {
    const { subject } = this
    if (subject.charCodeAt(s) !== open) return -1
    let depth = 1
    for (let i = s + 1; i < subject.length; i++) {
      const c = subject.charCodeAt(i)
      if (c === close) {
        if (--depth === 0) {
          this.count(i - s)
          return i + 1
        }
      } else if (c === open) depth++
    }
    this.count(subject.length - s)
    return -1
  }

  private matchReference(s: number, digit: number): number {
    const i = digit - 49
    if (i < 0 || i >= this.level || this.lengths[i] === CAPTURE_OPEN) throw libError('invalid capture index')
    // As a length, the mark of a position is larger than what is left of any subject.
    if (this.lengths[i] === CAPTURE_POSITION) return -1
    const text = this.subject.substring(this.starts[i]!, this.starts[i]! + this.lengths[i]!)
    this.count(text.length)
    return this.subject.startsWith(text, s) ? s + text.length : -1
  }
}
