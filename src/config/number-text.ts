/** Numbers in settings: what C's string2ll, strtoll and Redis' memtoull accept. Results are exact. */

const MAX_DIGITS = 127 // memtoull copies the digits into a buffer of 128 bytes
const UNSIGNED_MAX = 2n ** 64n - 1n

export const INT_MAX = 2n ** 31n - 1n
export const INT_MIN = -(2n ** 31n)
export const UINT_MAX = 2n ** 32n - 1n
export const LONG_MAX = 2n ** 63n - 1n
export const LONG_MIN = -(2n ** 63n)
export const ULONG_MAX = UNSIGNED_MAX

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['', 1n],
  ['b', 1n],
  ['k', 1000n],
  ['kb', 1024n],
  ['m', 1000n ** 2n],
  ['mb', 1024n ** 2n],
  ['g', 1000n ** 3n],
  ['gb', 1024n ** 3n],
])

/** A 64-bit integer without spaces, plus sign or leading zeros; `null` if it is not one. Source: `string2ll`. */
export function parseInt64(text: string): bigint | null {
  if (!/^(?:0|-?[1-9][0-9]*)$/.test(text) || text.length > 20) return null
  const value = BigInt(text)
  return value >= LONG_MIN && value <= LONG_MAX ? value : null
}

/** What `strtoll` makes of the whole text: leading blanks, a sign and nothing at all (0) are allowed. */
export function parseLoose(text: string, base: 8 | 10): bigint | null {
  if (text === '') return 0n
  const parts = (base === 8 ? /^[ \t-\r]*([+-]?)([0-7]+)$/ : /^[ \t-\r]*([+-]?)([0-9]+)$/).exec(text)
  if (parts === null) return null
  const magnitude = BigInt((base === 8 ? '0o' : '') + (parts[2] ?? ''))
  const value = parts[1] === '-' ? -magnitude : magnitude
  if (value > LONG_MAX) return LONG_MAX
  return value < LONG_MIN ? LONG_MIN : value
}

/**
 * Bytes with an optional unit (`1k` = 1000, `1kb` = 1024 …), as an unsigned 64-bit number which wraps around;
 * no digits count as 0. `null` if it is not such a text. Source: Valkey src/util.c `memtoull`.
 */
export function parseMemory(text: string): bigint | null {
  const parts = /^([0-9]*)([a-z]*)$/i.exec(text)
  const digits = parts?.[1] ?? ''
  const unit = UNITS.get((parts?.[2] ?? '').toLowerCase())
  if (parts === null || unit === undefined || digits.length > MAX_DIGITS) return null
  const amount = digits === '' ? 0n : BigInt(digits)
  return BigInt.asUintN(64, (amount > UNSIGNED_MAX ? UNSIGNED_MAX : amount) * unit)
}

/** Bytes with the largest of the units kb, mb and gb that divides them. */
export function formatMemory(bytes: bigint): string {
  for (const unit of ['gb', 'mb', 'kb']) {
    const size = UNITS.get(unit) ?? 1n
    if (bytes !== 0n && bytes % size === 0n) return `${bytes / size}${unit}`
  }
  return bytes.toString()
}
