/**
 * Numbers inside a longer text, as C's strtod finds them; cjson accepts all of its forms. Hot path for decimals.
 */

/** A decimal of at most this many digits is exact in a double, and so is its quotient by a power of ten up to 10^22. */
const EXACT_DIGITS_MAX = 15
const POWERS_OF_TEN = Array.from({ length: EXACT_DIGITS_MAX + 1 }, (_, power) => Number(`1e${power}`))

/** Where a scan ended; allocated once by the caller. */
export interface ScanEnd {
  /** Index after the number; the start index when there was none. */
  end: number
}

/**
 * Reads the longest number at `start` as C's strtod does: decimal, hexadecimal, `inf`, `infinity`, `nan`, `nan(chars)`,
 * any of them signed. Sets `scan.end`; when it equals `start` there is no number and the result is 0.
 */
export function scanNumber(text: string, start: number, scan: ScanEnd): number {
  const first = text.charCodeAt(start)
  const isNegative = first === 0x2d
  let at = isNegative || first === 0x2b ? start + 1 : start
  let mantissa = 0
  let digitCount = 0
  let code = text.charCodeAt(at)
  const digitsStart = at
  while (code >= 0x30 && code <= 0x39) {
    mantissa = mantissa * 10 + (code - 0x30)
    digitCount++
    code = text.charCodeAt(++at)
  }
  if ((code | 0x20) === 0x78 && digitCount === 1 && mantissa === 0) {
    const value = scanHexadecimal(text, at + 1, scan)
    if (scan.end === at + 1) scan.end = at
    return isNegative ? -value : value
  }
  let fractionCount = 0
  if (code === 0x2e) {
    code = text.charCodeAt(++at)
    while (code >= 0x30 && code <= 0x39) {
      mantissa = mantissa * 10 + (code - 0x30)
      fractionCount++
      code = text.charCodeAt(++at)
    }
  }
  if (digitCount + fractionCount === 0) return scanWord(text, start, digitsStart, scan)
  const withExponent = (code | 0x20) === 0x65 ? afterExponent(text, at) : at
  scan.end = withExponent
  if (withExponent !== at || digitCount + fractionCount > EXACT_DIGITS_MAX)
    return Number(text.slice(start, withExponent))
  if (fractionCount > 0) mantissa /= POWERS_OF_TEN[fractionCount]!
  return isNegative ? -mantissa : mantissa
}

/** The index after an exponent at the `e` at `at`, or `at` when no digits follow it. */
function afterExponent(text: string, at: number): number {
  let next = at + 1
  const sign = text.charCodeAt(next)
  if (sign === 0x2b || sign === 0x2d) next++
  const digitsStart = next
  while (isDigit(text.charCodeAt(next))) next++
  return next === digitsStart ? at : next
}

/** What follows `0x`; `scan.end` stays at `start` when there is no hexadecimal digit. */
function scanHexadecimal(text: string, start: number, scan: ScanEnd): number {
  const match = /(?:([0-9a-f]+)\.?([0-9a-f]*)|\.([0-9a-f]+))(?:p([+-]?\d+))?/iy
  match.lastIndex = start
  const parts = match.exec(text)
  scan.end = start
  if (parts === null) return 0
  scan.end = match.lastIndex
  const fraction = parts[2] ?? parts[3] ?? ''
  const mantissa = Number(BigInt(`0x${parts[1] ?? ''}${fraction}`))
  return mantissa * 2 ** (Number(parts[4] ?? 0) - 4 * fraction.length)
}

function scanWord(text: string, start: number, wordStart: number, scan: ScanEnd): number {
  const match = /inf(?:inity)?|nan(?:\(\w*\))?/iy
  match.lastIndex = wordStart
  const word = match.exec(text)
  scan.end = word === null ? start : match.lastIndex
  if (word === null) return 0
  if ((text.charCodeAt(wordStart) | 0x20) === 0x6e) return Number.NaN
  return wordStart > start && text.charCodeAt(start) === 0x2d ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
