/**
 * What patterns are, and the items of one: what one stands for and how often, for the matcher and for what a match costs. A pattern is read
 * as far as it is well-formed; what comes then is an item that raises when matching gets there, as in lstrlib.c.
 */

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
  /** One of them, from 0 on, or null when there are not so many. */
  capture(i: number): Capture | null
}

export interface LuaPattern {
  /** Whether the pattern begins with `^`; `match` then only tries `from`. */
  readonly isAnchored: boolean
  /** The text to search for when the pattern has no special characters, else null. */
  readonly literal: string | null
  /** The first match at or after `from`, or null. The result is only valid until the next call. */
  match(subject: string, from: number): Match | null
}

/** Captures in one pattern (LUA_MAXCAPTURES). */
export const CAPTURES_MAX = 32

export const ItemKind = {
  /** One byte of `members`. */
  Single: 0,
  Optional: 1,
  /** As many as there are, or fewer. */
  Star: 2,
  Plus: 3,
  /** As few as will do. */
  Minus: 4,
  Open: 5,
  OpenPosition: 6,
  Close: 7,
  /** `%bxy` */
  Balance: 8,
  /** `%f[…]` */
  Frontier: 9,
  /** `%1` */
  Reference: 10,
  /** `$` at the end. */
  End: 11,
  /** What cannot be read. */
  Malformed: 12,
} as const
export type ItemKind = (typeof ItemKind)[keyof typeof ItemKind]

export interface Item {
  readonly kind: ItemKind
  /** By byte, 1 for what the item stands for; of items without, nothing. */
  readonly members: Uint8Array
  /** Of a balance the opening byte, of a reference the digit; else 0. */
  readonly first: number
  /** Of a balance the closing byte; else 0. */
  readonly second: number
  /** Of what is malformed: what is wrong. */
  readonly problem: string
  /**
   * Of what may be repeated: whether what follows may only match behind all that are there, as nothing up to the next item that
   * has to be there can begin with one.
   */
  goesOneWay: boolean
}

const NO_MEMBERS = new Uint8Array(256)
const PERCENT = 37
const BRACKET = 91
const POINT = 46
const SUFFIXES = new Map<string | undefined, ItemKind>([
  ['?', ItemKind.Optional],
  ['*', ItemKind.Star],
  ['+', ItemKind.Plus],
  ['-', ItemKind.Minus],
])

function item(kind: ItemKind, members: Uint8Array, first = 0, second = 0): Item {
  return { kind, members, first, second, problem: '', goesOneWay: false }
}

function malformed(problem: string): Item {
  return { kind: ItemKind.Malformed, members: NO_MEMBERS, first: 0, second: 0, problem, goesOneWay: false }
}

/** The items of a pattern, without its anchor. */
export function parsePattern(pattern: string, isAnchored: boolean): readonly Item[] {
  const items = readItems(pattern, isAnchored)
  for (let i = 0; i < items.length; i++) items[i]!.goesOneWay = goesOneWay(items, i)
  return items
}

function readItems(pattern: string, isAnchored: boolean): Item[] {
  const items: Item[] = []
  let p = isAnchored ? 1 : 0
  while (p < pattern.length) {
    const c = pattern[p]
    const next = pattern[p + 1]
    if (c === '(') {
      items.push(item(next === ')' ? ItemKind.OpenPosition : ItemKind.Open, NO_MEMBERS))
      p += next === ')' ? 2 : 1
    } else if (c === ')') {
      items.push(item(ItemKind.Close, NO_MEMBERS))
      p++
    } else if (c === '%' && next === 'b') {
      if (p + 3 >= pattern.length) return [...items, malformed('unbalanced pattern')]
      items.push(item(ItemKind.Balance, NO_MEMBERS, pattern.charCodeAt(p + 2), pattern.charCodeAt(p + 3)))
      p += 4
    } else if (c === '%' && next === 'f') {
      if (pattern[p + 2] !== '[') return [...items, malformed("missing '[' after '%f' in pattern")]
      const set = singleAt(pattern, p + 2)
      if (set === null) return [...items, malformed(problemAt(pattern, p + 2))]
      items.push(item(ItemKind.Frontier, set.members))
      p = set.next
    } else if (c === '%' && next !== undefined && next >= '0' && next <= '9') {
      items.push(item(ItemKind.Reference, NO_MEMBERS, next.charCodeAt(0)))
      p += 2
    } else if (c === '$' && p + 1 === pattern.length) {
      items.push(item(ItemKind.End, NO_MEMBERS))
      p++
    } else {
      const single = singleAt(pattern, p)
      if (single === null) return [...items, malformed(problemAt(pattern, p))]
      const kind = SUFFIXES.get(pattern[single.next])
      items.push(item(kind ?? ItemKind.Single, single.members))
      p = single.next + (kind === undefined ? 0 : 1)
    }
  }
  return items
}

function goesOneWay(items: readonly Item[], from: number): boolean {
  const { members } = items[from]!
  for (let i = from + 1; i < items.length; i++) {
    const { kind, members: next } = items[i]!
    if (kind === ItemKind.End || kind === ItemKind.Malformed) return true
    if (kind >= ItemKind.Balance) return false
    if (kind >= ItemKind.Open) continue
    for (let c = 0; c < 256; c++) if (members[c] === 1 && next[c] === 1) return false
    if (kind === ItemKind.Single || kind === ItemKind.Plus) return true
  }
  // It ends with what it has found first.
  return true
}

function problemAt(pattern: string, p: number): string {
  return pattern.charCodeAt(p) === PERCENT ? "malformed pattern (ends with '%')" : "malformed pattern (missing ']')"
}

/** The class at `p`, a byte or a set of them, and where it ends; null when it does not. */
export function singleAt(pattern: string, p: number): { members: Uint8Array; next: number } | null {
  const next = classEnd(pattern, p)
  if (next < 0) return null
  const first = pattern.charCodeAt(p)
  const members = new Uint8Array(256)
  if (first !== POINT && first !== PERCENT && first !== BRACKET) members[first] = 1
  else {
    for (let c = 0; c < 256; c++) {
      const isMember =
        first === POINT ||
        (first === PERCENT ? isInClass(c, pattern.charCodeAt(p + 1)) : isInSet(pattern, c, p, next - 1))
      members[c] = isMember ? 1 : 0
    }
  }
  return { members, next }
}

/** Where the class at `from` ends, or -1. */
function classEnd(pattern: string, from: number): number {
  let p = from
  const c = pattern[p++]
  if (c === '%') return p >= pattern.length ? -1 : p + 1
  if (c !== '[') return p
  if (pattern[p] === '^') p++
  do {
    if (p >= pattern.length) return -1
    if (pattern[p++] === '%' && p < pattern.length) p++
  } while (pattern[p] !== ']')
  return p + 1
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
