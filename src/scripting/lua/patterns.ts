/**
 * Lua patterns. Hot path of `string.find`, `match`, `gmatch` and `gsub`.
 *
 * A run of one class is found by a table. Most other patterns are translated to a regular expression, which V8 compiles;
 * those with `%b`, `%f`, back references or position captures are run by a matcher ported from lstrlib.c. All are behind
 * `LuaPattern.match`, and compiled patterns are cached by their text.
 */

import { whenScarce } from './memory.ts'
import { libError } from './value.ts'

/** Captures in one pattern (LUA_MAXCAPTURES). */
const CAPTURES_MAX = 32
/** Compiled patterns kept; all are dropped when more are needed, as that only happens with made-up patterns. */
const CACHE_MAX = 500

/** A capture: a substring, or the position (from 1) of an empty capture `()`. */
export type Capture = string | number

/** Where and how a pattern matched. */
export interface Match {
  /** Index of the first matched char. */
  readonly start: number
  /** Index after the last matched char. */
  readonly end: number
  /** The matched text. */
  readonly whole: string
  /** Taken when asked for: an open capture is only an error then. */
  captures(): readonly Capture[]
}

export interface LuaPattern {
  /** Whether the pattern begins with `^`; `match` then only tries `from`. */
  readonly isAnchored: boolean
  /** The text to search for when the pattern has no special characters, else null. */
  readonly literal: string | null
  /** The first match at or after `from`, or null. The result is only valid until the next call. */
  match(subject: string, from: number): Match | null
}

const cache = new Map<string, LuaPattern>()
const unanchoredCache = new Map<string, LuaPattern>()

// Patterns keep the text in which they were found last.
whenScarce(() => {
  cache.clear()
  unanchoredCache.clear()
})

/** Compiles a pattern. A malformed one raises a Lua error when matching comes to the place. */
export function compilePattern(pattern: string): LuaPattern {
  return cache.get(pattern) ?? remember(cache, pattern, compile(untilZero(pattern), pattern.charCodeAt(0) === CARET))
}

/** Patterns are C strings, other than subjects. */
function untilZero(pattern: string): string {
  const zero = pattern.indexOf('\0')
  return zero < 0 ? pattern : pattern.slice(0, zero)
}

/** As `compilePattern`, but `^` at the start is an ordinary char, as in `gmatch`. */
export function compileUnanchored(pattern: string): LuaPattern {
  if (pattern.charCodeAt(0) !== CARET) return compilePattern(pattern)
  return (
    unanchoredCache.get(pattern) ?? remember(unanchoredCache, pattern, new BacktrackMatcher(untilZero(pattern), false))
  )
}

function remember(into: Map<string, LuaPattern>, pattern: string, compiled: LuaPattern): LuaPattern {
  if (into.size >= CACHE_MAX) into.clear()
  into.set(pattern, compiled)
  return compiled
}

function compile(pattern: string, isAnchored: boolean): LuaPattern {
  if (!/[\^$*+?.()[%-]/.test(pattern)) return new LiteralPattern(pattern)
  const run = isAnchored ? null : compileRun(pattern)
  if (run !== null) return run
  // V8 refuses very long expressions.
  if (pattern.length > REGEXP_PATTERN_MAX) return new BacktrackMatcher(pattern, isAnchored)
  const source = translate(isAnchored ? pattern.slice(1) : pattern)
  if (source === null) return new BacktrackMatcher(pattern, isAnchored)
  return new RegExpPattern(source, isAnchored)
}

/** Longest pattern that is translated to a regular expression, in bytes. */
const REGEXP_PATTERN_MAX = 4096
const CARET = 94
const PERCENT = 37
const BRACKET = 91
const POINT = 46
const DOLLAR = 36
const NO_CAPTURES: readonly Capture[] = []

/** A new one for each search: one that is kept would be written to in V8's old space, which takes longer. */
class Found implements Match {
  readonly start: number
  readonly end: number
  readonly whole: string
  private readonly result: RegExpExecArray | null

  constructor(start: number, whole: string, result: RegExpExecArray | null) {
    this.start = start
    this.end = start + whole.length
    this.whole = whole
    this.result = result
  }

  captures(): readonly Capture[] {
    const { result } = this
    return result === null || result.length === 1 ? NO_CAPTURES : result.slice(1)
  }
}

class LiteralPattern implements LuaPattern {
  readonly isAnchored = false
  readonly literal: string

  constructor(text: string) {
    this.literal = text
  }

  match(subject: string, from: number): Match | null {
    const start = subject.indexOf(this.literal, from)
    return start < 0 ? null : new Found(start, this.literal, null)
  }
}

/** A pattern of one class, once or as often as it can be, such as `%d` and `[a-z]+`; null for others. */
function compileRun(pattern: string): LuaPattern | null {
  const first = pattern.charCodeAt(0)
  if (first !== PERCENT && first !== BRACKET && first !== POINT) return null
  const single = translateSingle(pattern, 0)
  if (single === null) return null
  const { next } = single
  const isRepeated = next + 1 === pattern.length && pattern[next] === '+'
  if (next !== pattern.length && !isRepeated) return null
  const members = new Uint8Array(256)
  for (let c = 0; c < 256; c++) {
    const isMember =
      first === POINT || (first === PERCENT ? isInClass(c, pattern.charCodeAt(1)) : isInSet(pattern, c, 0, next - 1))
    members[c] = isMember ? 1 : 0
  }
  return new RunPattern(members, isRepeated)
}

/** A run is found sooner by a loop than by a regular expression, whose result is an object with several parts. */
class RunPattern implements LuaPattern {
  readonly isAnchored = false
  readonly literal = null
  /** By byte, 1 for what is in the class. */
  private readonly members: Uint8Array
  private readonly isRepeated: boolean

  constructor(members: Uint8Array, isRepeated: boolean) {
    this.members = members
    this.isRepeated = isRepeated
  }

  match(subject: string, from: number): Match | null {
    const { members } = this
    let start = from
    while (start < subject.length && members[subject.charCodeAt(start)] === 0) start++
    if (start >= subject.length) return null
    let end = start + 1
    if (this.isRepeated) while (end < subject.length && members[subject.charCodeAt(end)] === 1) end++
    return new Found(start, subject.substring(start, end), null)
  }
}

class RegExpPattern implements LuaPattern {
  readonly isAnchored: boolean
  readonly literal = null
  private readonly regexp: RegExp

  constructor(source: string, isAnchored: boolean) {
    this.isAnchored = isAnchored
    this.regexp = new RegExp(source, isAnchored ? 'y' : 'g')
  }

  match(subject: string, from: number): Match | null {
    const { regexp } = this
    regexp.lastIndex = from
    const result = regexp.exec(subject)
    return result === null ? null : new Found(result.index, result[0], result)
  }
}

// Contents of a character class of a regular expression, for the C locale.
const CLASS_SETS: Readonly<Record<string, string>> = {
  a: 'A-Za-z',
  c: '\\x00-\\x1f\\x7f',
  d: '0-9',
  l: 'a-z',
  p: '!-\\/:-@\\[-`{-~',
  s: '\\t-\\r ',
  u: 'A-Z',
  w: '0-9A-Za-z',
  x: '0-9A-Fa-f',
  z: '\\x00',
}
const COMPLEMENT_SETS: Readonly<Record<string, string>> = {
  A: '\\x00-@\\[-`{-\\xff',
  C: ' -~\\x80-\\xff',
  D: '\\x00-\\/:-\\xff',
  L: '\\x00-`{-\\xff',
  P: '\\x00- 0-9A-Za-z\\x7f-\\xff',
  S: '\\x00-\\x08\\x0e-\\x1f!-\\xff',
  U: '\\x00-@\\[-\\xff',
  W: '\\x00-\\/:-@\\[-`{-\\xff',
  X: '\\x00-\\/:-@G-`g-\\xff',
  Z: '\\x01-\\xff',
}

function escapeChar(c: number): string {
  const isWord = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122)
  return isWord ? String.fromCharCode(c) : `\\x${c < 16 ? '0' : ''}${c.toString(16)}`
}

/**
 * The regular expression of a pattern without its anchor, or null when it needs the matcher: because of its features, or
 * because it is malformed, which the matcher reports when (and only if) matching comes to that place.
 */
function translate(pattern: string): string | null {
  let out = ''
  let i = 0
  let captureCount = 0
  const open: number[] = []
  while (i < pattern.length) {
    const c = pattern.charCodeAt(i)
    if (c === 40) {
      if (pattern.charCodeAt(i + 1) === 41 || ++captureCount > CAPTURES_MAX) return null
      open.push(i)
      out += '('
      i++
      continue
    }
    if (c === 41) {
      if (open.pop() === undefined) return null
      out += ')'
      i++
      continue
    }
    if (c === DOLLAR && i === pattern.length - 1) {
      out += '$'
      i++
      continue
    }
    const single = translateSingle(pattern, i)
    if (single === null) return null
    i = single.next
    const suffix = pattern[i]
    if (suffix === '*' || suffix === '+' || suffix === '?') {
      out += single.source + suffix
      i++
    } else if (suffix === '-') {
      out += `${single.source}*?`
      i++
    } else out += single.source
  }
  return open.length === 0 ? out : null
}

function translateSingle(pattern: string, i: number): { source: string; next: number } | null {
  const c = pattern.charCodeAt(i)
  if (c === 46) return { source: '[^]', next: i + 1 }
  if (c === PERCENT) {
    const name = pattern[i + 1]
    if (name === undefined || name === 'b' || name === 'f' || (name >= '0' && name <= '9')) return null
    const set = CLASS_SETS[name] ?? COMPLEMENT_SETS[name]
    return { source: set === undefined ? escapeChar(name.charCodeAt(0)) : `[${set}]`, next: i + 2 }
  }
  if (c === 91) return translateSet(pattern, i)
  return { source: escapeChar(c), next: i + 1 }
}

function translateSet(pattern: string, start: number): { source: string; next: number } | null {
  let i = start + 1
  let out = '['
  if (pattern[i] === '^') {
    out += '^'
    i++
  }
  let isFirst = true
  for (;;) {
    if (i >= pattern.length) return null
    const c = pattern.charCodeAt(i)
    if (c === 93 && !isFirst) break
    isFirst = false
    if (c === PERCENT) {
      const name = pattern[i + 1]
      if (name === undefined) return null
      out += CLASS_SETS[name] ?? COMPLEMENT_SETS[name] ?? escapeChar(name.charCodeAt(0))
      i += 2
    } else if (pattern[i + 1] === '-' && i + 2 < pattern.length && pattern[i + 2] !== ']') {
      const high = pattern.charCodeAt(i + 2)
      // An empty range matches nothing; a regular expression would refuse it.
      if (c <= high) out += `${escapeChar(c)}-${escapeChar(high)}`
      i += 3
    } else {
      out += escapeChar(c)
      i++
    }
  }
  return { source: `${out}]`, next: i + 1 }
}

const CAPTURE_OPEN = -1
const CAPTURE_POSITION = -2

/** The matcher of lstrlib.c, for what regular expressions cannot do. */
class BacktrackMatcher implements LuaPattern {
  readonly isAnchored: boolean
  readonly literal = null
  private readonly pattern: string
  private readonly patternStart: number
  private subject = ''
  private level = 0
  private readonly starts: number[] = []
  private readonly lengths: number[] = []

  constructor(pattern: string, isAnchored: boolean) {
    this.pattern = pattern
    this.isAnchored = isAnchored
    this.patternStart = isAnchored ? 1 : 0
  }

  match(subject: string, from: number): Match | null {
    this.subject = subject
    let s = from
    do {
      this.level = 0
      const end = this.run(s, this.patternStart)
      if (end >= 0) return { start: s, end, whole: subject.substring(s, end), captures: () => this.captures() }
    } while (s++ < subject.length && !this.isAnchored)
    return null
  }

  private captures(): Capture[] {
    const list: Capture[] = []
    for (let i = 0; i < this.level; i++) {
      const length = this.lengths[i]!
      const start = this.starts[i]!
      if (length === CAPTURE_OPEN) throw libError('unfinished capture')
      list.push(length === CAPTURE_POSITION ? start + 1 : this.subject.substr(start, length))
    }
    return list
  }

  /** The end of the match of the pattern from `p` at `s`, or -1. */
  private run(from: number, patternFrom: number): number {
    let s = from
    let p = patternFrom
    const { pattern } = this
    for (;;) {
      if (p >= pattern.length) return s
      const c = pattern.charCodeAt(p)
      if (c === 40) {
        return pattern[p + 1] === ')'
          ? this.startCapture(s, p + 2, CAPTURE_POSITION)
          : this.startCapture(s, p + 1, CAPTURE_OPEN)
      }
      if (c === 41) return this.endCapture(s, p + 1)
      if (c === PERCENT) {
        const next = pattern[p + 1]
        if (next === 'b') {
          s = this.matchBalance(s, p + 2)
          if (s < 0) return -1
          p += 4
          continue
        }
        if (next === 'f') {
          const end = this.frontier(s, p + 2)
          if (end < 0) return -1
          p = end
          continue
        }
        if (next !== undefined && next >= '0' && next <= '9') {
          s = this.matchReference(s, next.charCodeAt(0))
          if (s < 0) return -1
          p += 2
          continue
        }
      } else if (c === DOLLAR && p + 1 === pattern.length) return s === this.subject.length ? s : -1
      const end = this.classEnd(p)
      const suffix = pattern[end]
      if (suffix === '?') {
        if (this.isSingle(s, p, end)) {
          const result = this.run(s + 1, end + 1)
          if (result >= 0) return result
        }
        p = end + 1
        continue
      }
      if (suffix === '*') return this.maxExpand(s, p, end)
      if (suffix === '+') return this.isSingle(s, p, end) ? this.maxExpand(s + 1, p, end) : -1
      if (suffix === '-') return this.minExpand(s, p, end)
      if (!this.isSingle(s, p, end)) return -1
      s++
      p = end
    }
  }

  private frontier(s: number, p: number): number {
    if (this.pattern[p] !== '[') throw libError("missing '[' after '%f' in pattern")
    const end = this.classEnd(p)
    const before = s === 0 ? 0 : this.subject.charCodeAt(s - 1)
    const here = s < this.subject.length ? this.subject.charCodeAt(s) : 0
    return !isInSet(this.pattern, before, p, end - 1) && isInSet(this.pattern, here, p, end - 1) ? end : -1
  }

  private classEnd(from: number): number {
    const { pattern } = this
    let p = from
    const c = pattern[p++]
    if (c === '%') {
      if (p >= pattern.length) throw libError("malformed pattern (ends with '%')")
      return p + 1
    }
    if (c !== '[') return p
    if (pattern[p] === '^') p++
    do {
      if (p >= pattern.length) throw libError("malformed pattern (missing ']')")
      if (pattern[p++] === '%' && p < pattern.length) p++
    } while (pattern[p] !== ']')
    return p + 1
  }

  private isSingle(s: number, p: number, end: number): boolean {
    if (s >= this.subject.length) return false
    const c = this.subject.charCodeAt(s)
    switch (this.pattern[p]) {
      case '.':
        return true
      case '%':
        return isInClass(c, this.pattern.charCodeAt(p + 1))
      case '[':
        return isInSet(this.pattern, c, p, end - 1)
      default:
        return this.pattern.charCodeAt(p) === c
    }
  }

  private maxExpand(s: number, p: number, end: number): number {
    let i = 0
    while (this.isSingle(s + i, p, end)) i++
    for (; i >= 0; i--) {
      const result = this.run(s + i, end + 1)
      if (result >= 0) return result
    }
    return -1
  }

  private minExpand(from: number, p: number, end: number): number {
    for (let s = from; ; s++) {
      const result = this.run(s, end + 1)
      if (result >= 0) return result
      if (!this.isSingle(s, p, end)) return -1
    }
  }

  private startCapture(s: number, p: number, kind: number): number {
    if (this.level >= CAPTURES_MAX) throw libError('too many captures')
    this.starts[this.level] = s
    this.lengths[this.level] = kind
    this.level++
    const result = this.run(s, p)
    if (result < 0) this.level--
    return result
  }

  private endCapture(s: number, p: number): number {
    let open = this.level - 1
    while (open >= 0 && this.lengths[open] !== CAPTURE_OPEN) open--
    if (open < 0) throw libError('invalid pattern capture')
    this.lengths[open] = s - this.starts[open]!
    const result = this.run(s, p)
    if (result < 0) this.lengths[open] = CAPTURE_OPEN
    return result
  }

  private matchBalance(s: number, p: number): number {
    if (p + 1 >= this.pattern.length) throw libError('unbalanced pattern')
    const open = this.pattern.charCodeAt(p)
    const close = this.pattern.charCodeAt(p + 1)
    if (this.subject.charCodeAt(s) !== open) return -1
    let depth = 1
    for (let i = s + 1; i < this.subject.length; i++) {
      const c = this.subject.charCodeAt(i)
      if (c === close) {
        if (--depth === 0) return i + 1
      } else if (c === open) depth++
    }
    return -1
  }

  private matchReference(s: number, digit: number): number {
    const i = digit - 49
    if (i < 0 || i >= this.level || this.lengths[i] === CAPTURE_OPEN) throw libError('invalid capture index')
    // As a length, the mark of a position is larger than what is left of any subject.
    if (this.lengths[i] === CAPTURE_POSITION) return -1
    const text = this.subject.substr(this.starts[i]!, this.lengths[i]!)
    return this.subject.startsWith(text, s) ? s + text.length : -1
  }
}

/** Whether a char is in the set of a pattern from `[` at `from` to `]` at `last`. */
function isInSet(pattern: string, c: number, from: number, last: number): boolean {
  let p = from + 1
  let isMember = true
  if (pattern[p] === '^') {
    isMember = false
    p++
  }
  for (; p < last; p++) {
    if (pattern[p] === '%') {
      p++
      if (isInClass(c, pattern.charCodeAt(p))) return isMember
    } else if (pattern[p + 1] === '-' && p + 2 < last) {
      if (pattern.charCodeAt(p) <= c && c <= pattern.charCodeAt(p + 2)) return isMember
      p += 2
    } else if (pattern.charCodeAt(p) === c) return isMember
  }
  return !isMember
}

function isInClass(c: number, name: number): boolean {
  const lower = name | 32
  let isMember: boolean
  switch (lower) {
    case 97:
      isMember = isAlpha(c)
      break
    case 99:
      isMember = c < 32 || c === 127
      break
    case 100:
      isMember = isDigit(c)
      break
    case 108:
      isMember = c >= 97 && c <= 122
      break
    case 112:
      isMember = c > 32 && c < 127 && !isAlpha(c) && !isDigit(c)
      break
    case 115:
      isMember = c === 32 || (c >= 9 && c <= 13)
      break
    case 117:
      isMember = c >= 65 && c <= 90
      break
    case 119:
      isMember = isAlpha(c) || isDigit(c)
      break
    case 120:
      isMember = isDigit(c) || (c >= 65 && c <= 70) || (c >= 97 && c <= 102)
      break
    case 122:
      isMember = c === 0
      break
    default:
      return name === c
  }
  if (name < 65 || name > 122 || (name > 90 && name < 97)) return name === c
  return name < 97 ? !isMember : isMember
}

function isAlpha(c: number): boolean {
  return (c >= 65 && c <= 90) || (c >= 97 && c <= 122)
}

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57
}
