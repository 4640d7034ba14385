/**
 * Glob matching as Redis does it, for KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET and ACL rules.
 *
 * Pattern and text are byte strings (one char, one byte). The rules, with their oddities, are those of
 * `stringmatchlen` (Valkey src/util.c):
 * - `*` any run, `?` one byte, `[abc]`, `[^abc]`, `[a-z]`, `\x` for a literal x (also inside a class);
 * - a class without its `]` ends at the end of the pattern; `[]` matches nothing, `[^]` any byte;
 * - the ends of a range may be given in either order, and are compared as signed bytes;
 * - an empty text matches only the empty pattern: not even `*`.
 *
 * Redis recurses at each `*` and then cuts the search short, as no earlier `*` can help once a later one has failed.
 * That is the same as going back to the last `*` only, which this module does in a loop: time is at most
 * pattern × text and there is no recursion for a hostile pattern to exhaust.
 */

/** Whether letters match without regard to case (ASCII only). */
export const GlobCase = { Exact: 0, Ignore: 1 } as const
export type GlobCase = (typeof GlobCase)[keyof typeof GlobCase]

const STAR = 0x2a
const QUESTION = 0x3f
const OPEN = 0x5b
const CLOSE = 0x5d
const BACKSLASH = 0x5c
const CARET = 0x5e
const DASH = 0x2d

/** True if the text holds a char that makes it a pattern for CONFIG GET (`*`, `?` or `[`). */
export function isGlob(text: string): boolean {
  return text.includes('*') || text.includes('?') || text.includes('[')
}

/**
 * True if `text` matches `pattern`. O(pattern × text) at worst, O(pattern + text) without `*`.
 * Source: Valkey src/util.c `stringmatchlen`.
 */
export function globMatch(pattern: string, text: string, caseMode: GlobCase): boolean {
  const patternEnd = pattern.length
  const textEnd = text.length
  if (textEnd === 0) return patternEnd === 0

  let p = 0
  let t = 0
  let starNext = -1 // where the pattern goes on after the last `*`
  let starText = 0 // where in the text that rest was tried last
  while (t < textEnd) {
    let next = -1 // index behind the matched pattern element; -1: this byte does not match
    if (p < patternEnd) {
      const c = pattern.charCodeAt(p)
      if (c === STAR) {
        while (p + 1 < patternEnd && pattern.charCodeAt(p + 1) === STAR) p++
        p++
        if (p === patternEnd) return true
        starNext = p
        starText = t
        continue
      }
      if (c === QUESTION) next = p + 1
      else if (c === OPEN) next = matchClass(pattern, p + 1, text.charCodeAt(t), caseMode)
      else {
        const literal = c === BACKSLASH && p + 1 < patternEnd ? p + 1 : p
        if (fold(pattern.charCodeAt(literal), caseMode) === fold(text.charCodeAt(t), caseMode)) next = literal + 1
      }
    }
    if (next >= 0) {
      p = next
      t++
    } else {
      if (starNext < 0) return false
      p = starNext
      t = ++starText
    }
  }
  while (p < patternEnd && pattern.charCodeAt(p) === STAR) p++
  // The text ran out while a `*` was still being extended: what follows it needs at least one more byte.
  return p === patternEnd
}

/**
 * Matches one byte against the class whose content starts at `p`.
 * Returns the index behind the class, or -1 if the byte is not in it.
 */
function matchClass(pattern: string, p: number, byte: number, caseMode: GlobCase): number {
  const end = pattern.length
  const negated = pattern.charCodeAt(p) === CARET
  if (negated) p++
  let found = false
  while (p < end) {
    const c = pattern.charCodeAt(p)
    if (c === BACKSLASH && p + 1 < end) {
      // An escaped byte is compared as it is, even when case is ignored.
      if (pattern.charCodeAt(p + 1) === byte) found = true
      p += 2
    } else if (c === CLOSE) {
      break
    } else if (p + 2 < end && pattern.charCodeAt(p + 1) === DASH) {
      if (inRange(c, pattern.charCodeAt(p + 2), byte, caseMode)) found = true
      p += 3
    } else {
      if (fold(c, caseMode) === fold(byte, caseMode)) found = true
      p++
    }
  }
  if (found === negated) return -1
  return p < end ? p + 1 : end
}

function inRange(first: number, last: number, byte: number, caseMode: GlobCase): boolean {
  const a = signed(first)
  const b = signed(last)
  // The ends are put in order before they are folded: [Z-a] is a range of seven bytes that folds to an empty one.
  const low = fold(a < b ? a : b, caseMode)
  const high = fold(a < b ? b : a, caseMode)
  const c = fold(signed(byte), caseMode)
  return c >= low && c <= high
}

function signed(byte: number): number {
  return (byte << 24) >> 24
}

function fold(byte: number, caseMode: GlobCase): number {
  return caseMode === GlobCase.Ignore && byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte
}
