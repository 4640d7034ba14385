/**
 * Lua patterns. Hot path of `string.find`, `match`, `gmatch` and `gsub`.
 *
 * A run of one class is found by a table. Most other patterns are translated to a regular expression, which V8 compiles;
 * those with `%b`, `%f`, back references or position captures are run by a matcher after lstrlib.c (`pattern-matcher.ts`). All
 * are behind `LuaPattern.match`, and compiled patterns are cached by their text.
 *
 * Matching may take time out of all proportion to the subject, and nothing can interrupt a regular expression. So the longest
 * time that it may take is known from the pattern (`pattern-cost.ts`): it is spent from the steps of the script, and where it
 * is too long the matcher takes over, which counts its steps.
 */
import { whenScarce } from './memory.ts'
import { costOf, spend } from './pattern-cost.ts'
import {
  CAPTURES_MAX,
  type Capture,
  type Item,
  ItemKind,
  type LuaPattern,
  type Match,
  parsePattern,
  singleAt,
} from './pattern-items.ts'
import { PatternMatcher } from './pattern-matcher.ts'

/** Compiled patterns kept; all are dropped when more are needed, as that only happens with made-up patterns. */
const CACHE_MAX = 500

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
    unanchoredCache.get(pattern) ??
    remember(unanchoredCache, pattern, new PatternMatcher(parsePattern(untilZero(pattern), false), false))
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
  if (pattern.length > REGEXP_PATTERN_MAX) return new PatternMatcher(parsePattern(pattern, isAnchored), isAnchored)
  const items = parsePattern(pattern, isAnchored)
  const source = translate(items)
  return source === null ? new PatternMatcher(items, isAnchored) : new RegExpPattern(source, items, isAnchored)
}

/** Longest pattern that is translated to a regular expression, in bytes. */
const REGEXP_PATTERN_MAX = 4096
const CARET = 94
const PERCENT = 37
const BRACKET = 91
const POINT = 46
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

  capture(i: number): Capture | null {
    return this.result?.[i + 1] ?? null
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
  const single = singleAt(pattern, 0)
  if (single === null) return null
  const { members, next } = single
  const isRepeated = next + 1 === pattern.length && pattern[next] === '+'
  if (next !== pattern.length && !isRepeated) return null
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
  private readonly items: readonly Item[]
  /** What a match of a subject takes at most: `coefficient * length ** degree` steps. */
  private readonly coefficient: number
  private readonly degree: number
  /** Longest subject that the regular expression is given. */
  private readonly safeLength: number
  private matcher: PatternMatcher | null = null

  constructor(source: string, items: readonly Item[], isAnchored: boolean) {
    this.isAnchored = isAnchored
    this.items = items
    this.regexp = new RegExp(source, isAnchored ? 'y' : 'g')
    const cost = costOf(items, isAnchored)
    this.coefficient = cost.coefficient
    this.degree = cost.degree
    this.safeLength = cost.safeLength
  }

  match(subject: string, from: number): Match | null {
    const length = subject.length - from
    if (length > this.safeLength) return this.matchLong(subject, from)
    let steps = this.coefficient
    for (let i = 0; i < this.degree; i++) steps *= length
    spend(steps)
    const { regexp } = this
    regexp.lastIndex = from
    const result = regexp.exec(subject)
    return result === null ? null : new Found(result.index, result[0], result)
  }

  private matchLong(subject: string, from: number): Match | null {
    if (this.matcher === null) this.matcher = new PatternMatcher(this.items, this.isAnchored)
    return this.matcher.match(subject, from)
  }
}

function escapeChar(c: number): string {
  const isWord = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122)
  return isWord ? String.fromCharCode(c) : `\\x${c < 16 ? '0' : ''}${c.toString(16)}`
}

/** A class of a regular expression for bytes. */
function classSource(members: Uint8Array): string {
  let out = ''
  let count = 0
  for (let c = 0; c < 256; c++) {
    if (members[c] === 0) continue
    const first = c
    while (c < 255 && members[c + 1] === 1) c++
    count += c - first + 1
    out += first === c ? escapeChar(first) : `${escapeChar(first)}-${escapeChar(c)}`
  }
  return count === 256 ? '[^]' : count === 1 ? out : `[${out}]`
}

const SUFFIXES = new Map<ItemKind, string>([
  [ItemKind.Single, ''],
  [ItemKind.Optional, '?'],
  [ItemKind.Star, '*'],
  [ItemKind.Plus, '+'],
  [ItemKind.Minus, '*?'],
])

/**
 * The regular expression of a pattern without its anchor, or null when it needs the matcher: because of its features, or
 * because it is malformed, which the matcher reports when (and only if) matching comes to that place.
 */
function translate(items: readonly Item[]): string | null {
  let out = ''
  let captureCount = 0
  let openCount = 0
  for (const { kind, members } of items) {
    const suffix = SUFFIXES.get(kind)
    if (suffix !== undefined) out += classSource(members) + suffix
    else if (kind === ItemKind.Open && captureCount < CAPTURES_MAX) {
      captureCount++
      openCount++
      out += '('
    } else if (kind === ItemKind.Close && openCount > 0) {
      openCount--
      out += ')'
    } else if (kind === ItemKind.End) out += '$'
    else return null
  }
  return openCount === 0 ? out : null
}
