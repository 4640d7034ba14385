/**
 * Prefixes of one client must not overlap, or it would be told of a key twice. Of two that do, one is the beginning of
 * the other.
 */

/** The first prefix of a client, in byte order, that overlaps with `prefix`; null when none does. O(log n). */
export function overlapWithOwn(sorted: readonly string[], prefix: string): string | null {
  // The empty prefix, which a client may add to others, overlaps with all.
  if (sorted[0] === '') return ''
  const next = placeOf(sorted, prefix)
  const before = sorted[next - 1]
  if (before !== undefined && prefix.startsWith(before)) return before
  const after = sorted[next]
  return after?.startsWith(prefix) === true ? after : null
}

/** Index of the first of the sorted prefixes that is not below `prefix`. */
export function placeOf(sorted: readonly string[], prefix: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < prefix) low = middle + 1
    else high = middle
  }
  return low
}

/** The lowest index in a list of a prefix that overlaps with another one in it; -1 when none does. O(n log n). */
export function firstOverlapping(prefixes: readonly string[]): number {
  const order = prefixes.map((_, i) => i)
  order.sort((a, b) => (prefixes[a]! < prefixes[b]! ? -1 : prefixes[a]! > prefixes[b]! ? 1 : 0))
  let first = prefixes.length
  // Prefixes that the current one begins with, each the beginning of the next.
  const open: number[] = []
  for (const i of order) {
    while (open.length > 0 && !prefixes[i]!.startsWith(prefixes[open.at(-1)!]!)) open.pop()
    // Those below the last one have been counted when it came.
    if (open.length > 0) first = Math.min(first, i, open.at(-1)!)
    open.push(i)
  }
  return first === prefixes.length ? -1 : first
}

/** The index of the next prefix behind `i` that overlaps with it; -1 when none does. */
export function nextOverlapping(prefixes: readonly string[], i: number): number {
  const prefix = prefixes[i]!
  return prefixes.findIndex((other, j) => j > i && (other.startsWith(prefix) || prefix.startsWith(other)))
}
