/** The prefix of a key: what stands before its first separators, by which keys of one kind are told. */

/** Separators that keys are usually built with. */
const SEPARATORS: readonly number[] = [58, 47] // ':' and '/'
/** How far separators are looked for: what has none so early is no key with a prefix. */
export const PREFIX_BYTES_MAX = 128

/**
 * The prefix of the key in `bytes[start, start + length)` up to its separator number `depth`, or to its last one when it
 * has fewer. A byte string with the separator; '' for a key without any.
 */
export function keyPrefix(bytes: Buffer, start: number, length: number, depth: number): string {
  const end = start + Math.min(length, PREFIX_BYTES_MAX)
  let prefixEnd = start
  let found = 0
  for (let i = start; i < end && found < depth; i++) {
    if (!SEPARATORS.includes(bytes[i]!)) continue
    prefixEnd = i + 1
    found++
  }
  return bytes.latin1Slice(start, prefixEnd)
}
