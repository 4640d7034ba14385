/**
 * LZF, the compression of strings in RDB files. Hot path.
 *
 * A compressed string is a sequence of
 *
 *     000lllll | l + 1 literal bytes
 *     lllooooo | oooooooo                copy l + 2 bytes (l of 1 to 6) from o + 1 bytes back
 *     111ooooo | l - 7 | oooooooo        copy l + 2 bytes (l of 7 to 262)
 *
 * The compressor looks up the last place where the next three bytes stood, by a hash of them. The table of places is
 * kept from call to call and never cleared: places are counted on over the calls, so that those of older calls are
 * recognised.
 * Source of the format: Valkey src/lzf_c.c and src/lzf_d.c.
 */

const HASH_BITS = 14
const HASH_SHIFT = 32 - HASH_BITS
const LITERALS_MAX = 32
const DISTANCE_MAX = 8192
const MATCH_MIN = 3
const MATCH_MAX = 264
/** A match longer than this has its length in a byte of its own. */
const SHORT_MATCH_MAX = 8
const PLACE_MAX = 0x7fffffff

const places = new Int32Array(1 << HASH_BITS)
/** What is added to an offset in the source to get a place; every older place is smaller than `placeBase`. */
let placeBase = 1

/**
 * Compresses `source[start, start + length)` to `target` from `targetStart` on.
 *
 * @param targetMax bytes that it may take at most.
 * @returns how many it takes, 0 when that would be more than `targetMax`.
 */
export function lzfCompress(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  targetStart: number,
  targetMax: number,
): number {
  if (placeBase > PLACE_MAX - length) {
    places.fill(0)
    placeBase = 1
  }
  const toPlace = placeBase - start
  const firstPlace = placeBase
  placeBase += length

  const end = start + length
  const targetEnd = targetStart + targetMax
  /** Start of the literals that are not written yet. */
  let pending = start
  let at = start
  let to = targetStart
  for (const last = end - MATCH_MIN; at <= last; ) {
    const bytes = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)
    const slot = Math.imul(bytes, 0x9e3779b1) >>> HASH_SHIFT
    const place = places[slot]!
    places[slot] = at + toPlace
    const match = place - toPlace
    if (
      place < firstPlace ||
      at - match > DISTANCE_MAX ||
      source[match] !== source[at] ||
      source[match + 1] !== source[at + 1] ||
      source[match + 2] !== source[at + 2]
    ) {
      at++
      continue
    }
    const matchMax = end - at < MATCH_MAX ? end - at : MATCH_MAX
    let matched = MATCH_MIN
    while (matched < matchMax && source[match + matched] === source[at + matched]) matched++

    to = writeLiterals(source, pending, at, target, to, targetEnd)
    if (to < 0 || to + 3 > targetEnd) return 0
    const distance = at - match - 1
    if (matched <= SHORT_MATCH_MAX) {
      target[to++] = ((matched - 2) << 5) | (distance >>> 8)
    } else {
      target[to++] = 0xe0 | (distance >>> 8)
      target[to++] = matched - 2 - 7
    }
    target[to++] = distance
    at += matched
    pending = at
    // The last bytes of a match are the likeliest start of the next one.
    if (at <= last) {
      const before = source[at - 1]! | (source[at]! << 8) | (source[at + 1]! << 16)
      places[Math.imul(before, 0x9e3779b1) >>> HASH_SHIFT] = at - 1 + toPlace
    }
  }
  to = writeLiterals(source, pending, end, target, to, targetEnd)
  return to < 0 ? 0 : to - targetStart
}

/**
 * Decompresses `source[start, start + length)` to `target` from `targetStart` on, where it must fill `targetLength`
 * bytes exactly. Returns false for what is no such string; nothing outside the two ranges is read or written.
 */
export function lzfDecompress(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  targetStart: number,
  targetLength: number,
): boolean {
  const end = start + length
  const targetEnd = targetStart + targetLength
  let at = start
  let to = targetStart
  while (at < end) {
    const control = source[at++]!
    if (control < LITERALS_MAX) {
      const run = control + 1
      if (run > end - at || run > targetEnd - to) return false
      for (let i = 0; i < run; i++) target[to++] = source[at++]!
      continue
    }
    let matched = (control >>> 5) + 2
    if (matched === SHORT_MATCH_MAX + 1) {
      if (at === end) return false
      matched += source[at++]!
    }
    if (at === end) return false
    let from = to - (((control & 0x1f) << 8) | source[at++]!) - 1
    if (from < targetStart || matched > targetEnd - to) return false
    // Byte by byte, because a copy may overlap what it copies.
    for (let i = 0; i < matched; i++) target[to++] = target[from++]!
  }
  return to === targetEnd
}

/** Writes literals with their run lengths. Returns the offset behind them, -1 when there is no room. */
function writeLiterals(
  source: Uint8Array,
  from: number,
  end: number,
  target: Uint8Array,
  to: number,
  targetEnd: number,
): number {
  while (from < end) {
    const run = end - from < LITERALS_MAX ? end - from : LITERALS_MAX
    if (run + 1 > targetEnd - to) return -1
    target[to++] = run - 1
    for (const runEnd = from + run; from < runEnd; ) target[to++] = source[from++]!
  }
  return to
}
