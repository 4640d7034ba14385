/**
 * Sorting of many numbers or byte strings by their digits, for SORT: time grows with their number alone, and no function
 * is called for each pair. What is sorted is an order, indices of the items, so that the items stay where they are.
 */

/** Digits have 16 bits; fewer items are not worth clearing so many counters for. */
const DIGIT_BITS = 16
const DIGIT_VALUES = 1 << DIGIT_BITS
const DIGIT_MASK = DIGIT_VALUES - 1
const FEW_ITEMS = 4096
/** Bytes of a text that a key holds: as many as a number holds exactly. */
const KEY_BYTES = 6
/** A byte counts from 1 on, so that a text that ends comes first. */
const KEY_BASE = 257
/** Texts that have as many keys in common are compared. */
const KEYS_MAX = 16

/** Indices 0 … count - 1, to be sorted. */
export function orderOf(count: number): Uint32Array {
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) order[i] = i
  return order
}

/**
 * Sorts an order by the numbers that its indices have in `numbers`, which are no NaN, in ascending order; where they are
 * equal (0 and -0 are), by the byte strings that they have in `texts`. Leaves other numbers behind.
 */
export function sortByNumber(order: Uint32Array, numbers: Float64Array, texts: readonly string[]): void {
  // -0 has other digits than 0.
  for (let i = 0; i < numbers.length; i++) numbers[i]! += 0
  sortRange(order, 0, order.length, numbers)
  forEachRun(order, 0, order.length, numbers, (from, to) => sortTexts(order, from, to, texts, numbers, 0))
}

/** Sorts an order by the byte strings that its indices have in `texts`. O(bytes in which they differ) */
export function sortByText(order: Uint32Array, texts: readonly string[]): void {
  sortTexts(order, 0, order.length, texts, new Float64Array(texts.length), 0)
}

/** Byte order, which is that of the C locale: negative, 0 or positive. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sortTexts(
  order: Uint32Array,
  from: number,
  to: number,
  texts: readonly string[],
  keys: Float64Array,
  depth: number,
): void {
  if (to - from < FEW_ITEMS || depth === KEYS_MAX) {
    order.subarray(from, to).sort((a, b) => compareTexts(texts[a]!, texts[b]!))
    return
  }
  for (let i = from; i < to; i++) keys[order[i]!] = keyOf(texts[order[i]!]!, depth * KEY_BYTES)
  sortRange(order, from, to, keys)
  forEachRun(order, from, to, keys, (start, end) => {
    // Those that have ended are equal, the others may differ further on.
    if (keys[order[start]!]! % KEY_BASE !== 0) sortTexts(order, start, end, texts, keys, depth + 1)
  })
}

/** The bytes of a text from `at` on as a number. */
function keyOf(text: string, at: number): number {
  let key = 0
  for (let i = at; i < at + KEY_BYTES; i++) key = key * KEY_BASE + (i < text.length ? text.charCodeAt(i) + 1 : 0)
  return key
}

/** Calls `visit` for each run of two or more whose keys are equal, in a range that is sorted by them. */
function forEachRun(
  order: Uint32Array,
  from: number,
  to: number,
  keys: Float64Array,
  visit: (from: number, to: number) => void,
): void {
  let start = from
  while (start < to) {
    const key = keys[order[start]!]!
    let end = start + 1
    while (end < to && keys[order[end]!]! === key) end++
    if (end - start > 1) visit(start, end)
    start = end
  }
}

/** Sorts a range of an order by the keys of its indices. Stable. */
function sortRange(order: Uint32Array, from: number, to: number, keys: Float64Array): void {
  const count = to - from
  if (count < FEW_ITEMS) {
    order.subarray(from, to).sort((a, b) => keys[a]! - keys[b]! || a - b)
    return
  }
  // Bits of the numbers as 64-bit integers that sort as the numbers do: all bits of negative ones turned, of others the sign.
  const bits = new Uint32Array(count * 2)
  const number = new Float64Array(1)
  const words = new Uint32Array(number.buffer)
  for (let i = 0; i < count; i++) {
    number[0] = keys[order[from + i]!]!
    const high = words[1]!
    bits[i * 2] = high >>> 31 === 1 ? ~words[0]! : words[0]!
    bits[i * 2 + 1] = high >>> 31 === 1 ? ~high : high ^ 0x80000000
  }
  let source: Uint32Array = orderOf(count)
  let target: Uint32Array = new Uint32Array(count)
  const places = new Uint32Array(DIGIT_VALUES)
  for (let digit = 0; digit < 4; digit++) {
    if (!countDigits(bits, digit, places, count)) continue
    for (let i = 0; i < count; i++) target[places[digitOf(bits, source[i]!, digit)]!++] = source[i]!
    const swapped = source
    source = target
    target = swapped
  }
  for (let i = 0; i < count; i++) target[i] = order[from + source[i]!]!
  order.set(target, from)
}

/** Computes where items with each value of a digit begin. Returns false when all have the same one. */
function countDigits(bits: Uint32Array, digit: number, places: Uint32Array, count: number): boolean {
  places.fill(0)
  for (let i = 0; i < count; i++) places[digitOf(bits, i, digit)]!++
  let sum = 0
  for (let value = 0; value < DIGIT_VALUES; value++) {
    const items = places[value]!
    if (items === count) return false
    places[value] = sum
    sum += items
  }
  return true
}

/** Digits are numbered from the lowest. */
function digitOf(bits: Uint32Array, item: number, digit: number): number {
  return (bits[item * 2 + (digit >>> 1)]! >>> ((digit & 1) * DIGIT_BITS)) & DIGIT_MASK
}
