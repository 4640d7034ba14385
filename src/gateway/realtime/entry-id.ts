/** Stream entry IDs as texts: two unsigned 64-bit numbers, too large for JavaScript's. */

export const ENTRY_ID_MIN = '0-0'
const ENTRY_ID = /^(\d{1,20})(?:-(\d{1,20}))?$/
const UINT64_MAX = 18446744073709551615n

/** An ID as the server writes it: `7` becomes `7-0`; null when it is none. */
export function normalEntryId(text: string): string | null {
  const match = ENTRY_ID.exec(text)
  if (match === null) return null
  const ms = BigInt(match[1]!)
  const seq = BigInt(match[2] ?? '0')
  return ms > UINT64_MAX || seq > UINT64_MAX ? null : `${ms}-${seq}`
}

/** Compares two normal IDs: negative when `a` comes first. */
export function compareEntryIds(a: string, b: string): number {
  if (a === b) return 0
  const [dashA, dashB] = [a.indexOf('-'), b.indexOf('-')]
  const ms = compareDigits(a.slice(0, dashA), b.slice(0, dashB))
  return ms === 0 ? compareDigits(a.slice(dashA + 1), b.slice(dashB + 1)) : ms
}

/** The ID right before a normal one; the smallest stays. */
export function entryIdBefore(id: string): string {
  const [ms, seq] = id.split('-').map(BigInt) as [bigint, bigint]
  if (seq > 0n) return `${ms}-${seq - 1n}`
  return ms > 0n ? `${ms - 1n}-${UINT64_MAX}` : ENTRY_ID_MIN
}

/** Digits without leading zeros: the longer number is the greater one. */
function compareDigits(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
