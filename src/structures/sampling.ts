/**
 * Random samples of positions, for HRANDFIELD, SRANDMEMBER, ZRANDMEMBER and SPOP.
 */

/** A source of numbers in [0, 1). */
export type Random = () => number

/** From a third of all on, going through all of them is cheaper than drawing until enough are different. */
const WALK_FRACTION = 3

/**
 * `count` different indices out of 0 … size - 1, each selection equally likely, in ascending order.
 * `count` must not exceed `size`. O(count log count), or O(size) when count is a great part of it.
 */
export function sampleDistinct(size: number, count: number, random: Random): Uint32Array {
  const chosen = new Uint32Array(count)
  if (count * WALK_FRACTION > size) {
    let left = count
    for (let index = 0; left > 0; index++) {
      if (random() * (size - index) < left) chosen[count - left--] = index
    }
    return chosen
  }
  let slots = 4
  while (slots < count * 2) slots *= 2
  const table = new Uint32Array(slots) // open addressing; index + 1, 0 is free
  for (let drawn = 0; drawn < count; ) {
    const index = Math.floor(random() * size)
    let slot = Math.imul(index, 0x9e3779b1) & (slots - 1)
    while (table[slot] !== 0 && table[slot] !== index + 1) slot = (slot + 1) & (slots - 1)
    if (table[slot] !== 0) continue
    table[slot] = index + 1
    chosen[drawn++] = index
  }
  return chosen.sort()
}

/** An index out of 0 … size - 1. */
export function randomIndex(size: number, random: Random): number {
  return Math.floor(random() * size)
}
