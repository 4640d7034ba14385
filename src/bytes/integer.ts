/**
 * Integers as text, read from and written to bytes without strings. Hot path.
 *
 * Numbers are JavaScript numbers while they are safe integers; 64-bit values beyond that are BigInt, at the edge.
 */

/** What the integer parsers return for bytes that are no integer in range. */
export const NOT_INTEGER = Number.NaN

export const INT64_MAX = 9223372036854775807n
export const INT64_MIN = -9223372036854775808n

/**
 * Reads `source[start, start + length)` as a canonical decimal integer (no leading zeros, plus sign or spaces, as
 * Redis' string2ll). Returns NaN when it is none, or when it is not a safe integer.
 */
export function parseSafeInteger(source: Uint8Array, start: number, length: number): number {
  // 16 digits and a sign hold every safe integer.
  if (length === 0 || length > 17) return NOT_INTEGER
  let at = start
  const end = start + length
  let digit = source[at]! - 48
  let negative = false
  if (digit === -3) {
    negative = true
    at++
    if (at === end) return NOT_INTEGER
    digit = source[at]! - 48
  }
  if (digit === 0) return length === 1 ? 0 : NOT_INTEGER
  if (digit < 1 || digit > 9) return NOT_INTEGER
  let value = digit
  at++
  while (at < end) {
    digit = source[at]! - 48
    if (digit < 0 || digit > 9) return NOT_INTEGER
    value = value * 10 + digit
    at++
  }
  if (value > Number.MAX_SAFE_INTEGER) return NOT_INTEGER
  return negative ? -value : value
}

/** As `parseSafeInteger`, for the whole signed 64-bit range. Returns null when it is no such integer. */
export function parseInt64(source: Uint8Array, start: number, length: number): bigint | null {
  if (length === 0 || length > 20) return null
  let at = start
  const end = start + length
  const negative = source[at] === 45
  if (negative) at++
  if (at === end) return null
  if (source[at] === 48) return length === 1 ? 0n : null
  let text = negative ? '-' : ''
  for (; at < end; at++) {
    const digit = source[at]!
    if (digit < 48 || digit > 57) return null
    text += String.fromCharCode(digit)
  }
  const value = BigInt(text)
  return value > INT64_MAX || value < INT64_MIN ? null : value
}

/** Decimal digits of a safe integer, with its sign. */
export function integerLength(value: number): number {
  if (value < 0) return 1 + integerLength(-value)
  if (value < 10) return 1
  if (value < 100) return 2
  if (value < 1000) return 3
  if (value < 10000) return 4
  if (value < 100000) return 5
  if (value < 1000000) return 6
  if (value < 10000000) return 7
  if (value < 100000000) return 8
  if (value < 1000000000) return 9
  if (value < 10000000000) return 10
  let length = 11
  for (let limit = 1e11; value >= limit; limit *= 10) length++
  return length
}

/** Writes a safe integer as decimal text at `at`. Returns the offset behind it. */
export function writeInteger(target: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    target[at++] = 45
    value = -value
  }
  if (value < 10) {
    target[at] = 48 + value
    return at + 1
  }
  const end = at + integerLength(value)
  let to = end
  while (value > 0x7fffffff) {
    const quotient = Math.floor(value / 10)
    target[--to] = 48 + (value - quotient * 10)
    value = quotient
  }
  let small = value | 0
  while (small >= 10) {
    const quotient = (small / 10) | 0
    target[--to] = 48 + (small - quotient * 10)
    small = quotient
  }
  target[--to] = 48 + small
  return end
}
