/**
 * Byte strings as bits: counting, searching and combining them. Bit 0 is the most significant one of the first byte.
 * Hot path.
 *
 * Long ranges are counted in words of 32 bits and combined in words of 64.
 */

/** Ranges below this are looked at byte by byte: to make a view of words costs more, in bytes. */
const WORDS_MIN_BYTES = 64
/** Equal bytes are skipped by one call of the runtime for so many. */
const SKIP_BYTES = 4096
const WORD_BYTES = 4
/** The same for long words, of which there are up to three views. */
const LONG_WORDS_MIN_BYTES = 256
const LONG_WORD_BYTES = 8
const ALL_BITS = -1n
/** Words that are counted together. */
const COUNT_WORDS = 16

const SET_BITS_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => setBitsOf(byte))
/** First bit that is set, 8 when none is. */
const FIRST_BIT_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => Math.clz32(byte) - 24)
const ZEROS = Buffer.alloc(SKIP_BYTES)
const ONES = Buffer.alloc(SKIP_BYTES, 0xff)

/** Number of bits set in `bytes[start, start + length)`. */
export function countBits(bytes: Uint8Array, start: number, length: number): number {
  let count = 0
  let at = start
  const end = start + length
  if (length >= WORDS_MIN_BYTES) {
    while (((bytes.byteOffset + at) & (WORD_BYTES - 1)) !== 0) count += SET_BITS_OF_BYTE[bytes[at++]!]!
    const words = wordsAt(bytes, at, (end - at) >> 2)
    count += countInWords(words)
    at += words.length << 2
  }
  while (at < end) count += SET_BITS_OF_BYTE[bytes[at++]!]!
  return count
}

/**
 * Carry-save adders: 16 words are added up bit by bit, as a column sum of five binary digits, so that only the digit for
 * 16 is counted in every round and the others once at the end.
 * Source: Harley and Seal's algorithm; Warren, Hacker's Delight, chapter 5.
 */
function countInWords(words: Int32Array): number {
  let total = 0
  let ones = 0
  let twos = 0
  let fours = 0
  let eights = 0
  const rounds = words.length - (words.length % COUNT_WORDS)
  let at = 0
  for (; at < rounds; at += COUNT_WORDS) {
    let a = words[at]!
    let b = words[at + 1]!
    let half = ones ^ a
    let twosA = (ones & a) | (half & b)
    ones = half ^ b
    a = words[at + 2]!
    b = words[at + 3]!
    half = ones ^ a
    let twosB = (ones & a) | (half & b)
    ones = half ^ b
    half = twos ^ twosA
    let foursA = (twos & twosA) | (half & twosB)
    twos = half ^ twosB
    a = words[at + 4]!
    b = words[at + 5]!
    half = ones ^ a
    twosA = (ones & a) | (half & b)
    ones = half ^ b
    a = words[at + 6]!
    b = words[at + 7]!
    half = ones ^ a
    twosB = (ones & a) | (half & b)
    ones = half ^ b
    half = twos ^ twosA
    let foursB = (twos & twosA) | (half & twosB)
    twos = half ^ twosB
    half = fours ^ foursA
    const eightsA = (fours & foursA) | (half & foursB)
    fours = half ^ foursB
    a = words[at + 8]!
    b = words[at + 9]!
    half = ones ^ a
    twosA = (ones & a) | (half & b)
    ones = half ^ b
    a = words[at + 10]!
    b = words[at + 11]!
    half = ones ^ a
    twosB = (ones & a) | (half & b)
    ones = half ^ b
    half = twos ^ twosA
    foursA = (twos & twosA) | (half & twosB)
    twos = half ^ twosB
    a = words[at + 12]!
    b = words[at + 13]!
    half = ones ^ a
    twosA = (ones & a) | (half & b)
    ones = half ^ b
    a = words[at + 14]!
    b = words[at + 15]!
    half = ones ^ a
    twosB = (ones & a) | (half & b)
    ones = half ^ b
    half = twos ^ twosA
    foursB = (twos & twosA) | (half & twosB)
    twos = half ^ twosB
    half = fours ^ foursA
    const eightsB = (fours & foursA) | (half & foursB)
    fours = half ^ foursB
    half = eights ^ eightsA
    total += setBitsOf((eights & eightsA) | (half & eightsB))
    eights = half ^ eightsB
  }
  total = 16 * total + 8 * setBitsOf(eights) + 4 * setBitsOf(fours) + 2 * setBitsOf(twos) + setBitsOf(ones)
  for (; at < words.length; at++) total += setBitsOf(words[at]!)
  return total
}

function setBitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  bits = (bits + (bits >>> 4)) & 0x0f0f0f0f
  return Math.imul(bits, 0x01010101) >>> 24
}

/**
 * The first bit that is `bit` (0 or 1) among the bits [`first`, `last`] of the string that begins at `start`; -1 when
 * there is none.
 */
export function findBit(bytes: Uint8Array, start: number, first: number, last: number, bit: number): number {
  // Clear bits are looked for as set bits of the complement.
  const flip = bit === 1 ? 0 : 0xff
  const firstByte = Math.floor(first / 8)
  const lastByte = Math.floor(last / 8)
  const afterFirst = (bytes[start + firstByte]! ^ flip) & (0xff >> (first & 7))
  let at = firstByte
  let found = afterFirst
  if (found === 0 && firstByte < lastByte) {
    at = skipBytes(bytes, start + firstByte + 1, start + lastByte + 1, flip) - start
    found = at <= lastByte ? bytes[start + at]! ^ flip : 0
  }
  if (found === 0) return -1
  const position = at * 8 + FIRST_BIT_OF_BYTE[found]!
  return position <= last ? position : -1
}

/** Where the first byte of `bytes[at, end)` is that is not `byte` (0 or 255); `end` when there is none. */
function skipBytes(bytes: Uint8Array, at: number, end: number, byte: number): number {
  const same = byte === 0 ? ZEROS : ONES
  while (end - at >= SKIP_BYTES && same.compare(bytes, at, at + SKIP_BYTES) === 0) at += SKIP_BYTES
  // One of the next bytes differs, or they are fewer.
  let step = SKIP_BYTES >> 1
  while (step >= WORDS_MIN_BYTES) {
    if (end - at >= step && same.compare(bytes, at, at + step, 0, step) === 0) at += step
    step >>= 1
  }
  while (at < end && bytes[at] === byte) at++
  return at
}

/** How `combineBits` makes one string of two. */
export const BitwiseOperation = { And: 0, Or: 1, Xor: 2, AndNot: 3 } as const
export type BitwiseOperation = (typeof BitwiseOperation)[keyof typeof BitwiseOperation]

/** `target = first OPERATION second`, for `length` bytes from `to`, `from` and `secondFrom` on. The target may be the first. */
export function combineBits(
  operation: BitwiseOperation,
  target: Uint8Array,
  to: number,
  first: Uint8Array,
  from: number,
  second: Uint8Array,
  secondFrom: number,
  length: number,
): void {
  let done = 0
  if (
    length >= LONG_WORDS_MIN_BYTES &&
    areAligned(target, to, first, from) &&
    areAligned(target, to, second, secondFrom)
  ) {
    done = bytesToLongWord(target, to)
    combineBytes(operation, target, to, first, from, second, secondFrom, 0, done)
    const count = ((length - done) >> 5) << 2
    const targets = longWordsAt(target, to + done, count)
    const firsts = longWordsAt(first, from + done, count)
    const seconds = longWordsAt(second, secondFrom + done, count)
    if (operation === BitwiseOperation.And) andWords(targets, firsts, seconds)
    else if (operation === BitwiseOperation.Or) orWords(targets, firsts, seconds)
    else if (operation === BitwiseOperation.Xor) xorWords(targets, firsts, seconds)
    else andNotWords(targets, firsts, seconds)
    done += count << 3
  }
  combineBytes(operation, target, to, first, from, second, secondFrom, done, length)
}

function combineBytes(
  operation: BitwiseOperation,
  target: Uint8Array,
  to: number,
  first: Uint8Array,
  from: number,
  second: Uint8Array,
  secondFrom: number,
  done: number,
  length: number,
): void {
  for (let i = done; i < length; i++) {
    const a = first[from + i]!
    const b = second[secondFrom + i]!
    if (operation === BitwiseOperation.And) target[to + i] = a & b
    else if (operation === BitwiseOperation.Or) target[to + i] = a | b
    else if (operation === BitwiseOperation.Xor) target[to + i] = a ^ b
    else target[to + i] = a & ~b
  }
}

// Words of 64 bits: V8 compiles BigInts that only go from one such array to another to plain machine words, which takes
// half the time of words of 32 bits. Four a round: a third less time than one. The number of words is a multiple of four.

function andWords(target: BigInt64Array, first: BigInt64Array, second: BigInt64Array): void {
  const count = target.length
  for (let i = 0; i < count; i += 4) {
    target[i] = first[i]! & second[i]!
    target[i + 1] = first[i + 1]! & second[i + 1]!
    target[i + 2] = first[i + 2]! & second[i + 2]!
    target[i + 3] = first[i + 3]! & second[i + 3]!
  }
}

function orWords(target: BigInt64Array, first: BigInt64Array, second: BigInt64Array): void {
  const count = target.length
  for (let i = 0; i < count; i += 4) {
    target[i] = first[i]! | second[i]!
    target[i + 1] = first[i + 1]! | second[i + 1]!
    target[i + 2] = first[i + 2]! | second[i + 2]!
    target[i + 3] = first[i + 3]! | second[i + 3]!
  }
}

function xorWords(target: BigInt64Array, first: BigInt64Array, second: BigInt64Array): void {
  const count = target.length
  for (let i = 0; i < count; i += 4) {
    target[i] = first[i]! ^ second[i]!
    target[i + 1] = first[i + 1]! ^ second[i + 1]!
    target[i + 2] = first[i + 2]! ^ second[i + 2]!
    target[i + 3] = first[i + 3]! ^ second[i + 3]!
  }
}

function andNotWords(target: BigInt64Array, first: BigInt64Array, second: BigInt64Array): void {
  const count = target.length
  for (let i = 0; i < count; i += 4) {
    target[i] = first[i]! & (second[i]! ^ ALL_BITS)
    target[i + 1] = first[i + 1]! & (second[i + 1]! ^ ALL_BITS)
    target[i + 2] = first[i + 2]! & (second[i + 2]! ^ ALL_BITS)
    target[i + 3] = first[i + 3]! & (second[i + 3]! ^ ALL_BITS)
  }
}

/** `target` becomes the complement of `source`, for `length` bytes from `to` and `from` on. They may be the same. */
export function invertBits(target: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void {
  let done = 0
  if (length >= LONG_WORDS_MIN_BYTES && areAligned(target, to, source, from)) {
    const head = bytesToLongWord(target, to)
    for (; done < head; done++) target[to + done] = ~source[from + done]!
    const count = ((length - done) >> 5) << 2
    invertWords(longWordsAt(target, to + done, count), longWordsAt(source, from + done, count))
    done += count << 3
  }
  for (; done < length; done++) target[to + done] = ~source[from + done]!
}

/** The operator `~` is not compiled to a machine word (measured: fifty times as slow). */
function invertWords(target: BigInt64Array, source: BigInt64Array): void {
  const count = target.length
  for (let i = 0; i < count; i += 4) {
    target[i] = source[i]! ^ ALL_BITS
    target[i + 1] = source[i + 1]! ^ ALL_BITS
    target[i + 2] = source[i + 2]! ^ ALL_BITS
    target[i + 3] = source[i + 3]! ^ ALL_BITS
  }
}

/**
 * One step towards the bits that are set in exactly one of several strings: those of `source` that `once` has already
 * are added to `more`, the others to `once`. In the end the answer is `once` without `more`.
 */
export function noteSetBits(
  once: Uint8Array,
  to: number,
  more: Uint8Array,
  moreFrom: number,
  source: Uint8Array,
  from: number,
  length: number,
): void {
  let done = 0
  if (length >= LONG_WORDS_MIN_BYTES && areAligned(once, to, source, from) && areAligned(once, to, more, moreFrom)) {
    done = bytesToLongWord(once, to)
    noteSetBytes(once, to, more, moreFrom, source, from, 0, done)
    const count = (length - done) >> 3
    const onceWords = longWordsAt(once, to + done, count)
    const moreWords = longWordsAt(more, moreFrom + done, count)
    const sourceWords = longWordsAt(source, from + done, count)
    for (let i = 0; i < count; i++) {
      const word = sourceWords[i]!
      moreWords[i] = moreWords[i]! | (onceWords[i]! & word)
      onceWords[i] = onceWords[i]! | word
    }
    done += count << 3
  }
  noteSetBytes(once, to, more, moreFrom, source, from, done, length)
}

function noteSetBytes(
  once: Uint8Array,
  to: number,
  more: Uint8Array,
  moreFrom: number,
  source: Uint8Array,
  from: number,
  done: number,
  length: number,
): void {
  for (let i = done; i < length; i++) {
    const byte = source[from + i]!
    more[moreFrom + i]! |= once[to + i]! & byte
    once[to + i]! |= byte
  }
}

/** Whether two places are equally far from a long word. All stored blocks are. */
function areAligned(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number): boolean {
  return ((a.byteOffset + aStart - b.byteOffset - bStart) & (LONG_WORD_BYTES - 1)) === 0
}

function bytesToLongWord(bytes: Uint8Array, at: number): number {
  return -(bytes.byteOffset + at) & (LONG_WORD_BYTES - 1)
}

function wordsAt(bytes: Uint8Array, at: number, count: number): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset + at, count)
}

function longWordsAt(bytes: Uint8Array, at: number, count: number): BigInt64Array {
  return new BigInt64Array(bytes.buffer, bytes.byteOffset + at, count)
}

/**
 * The unsigned integer of `width` (1 to 32) bits at bit `offset` of the string `bytes[start, start + length)`; what is
 * behind its end reads as zero.
 */
export function readBits(bytes: Uint8Array, start: number, length: number, offset: number, width: number): number {
  const first = Math.floor(offset / 8)
  const last = Math.floor((offset + width - 1) / 8)
  // At most 39 bits: a double holds them.
  let value = 0
  for (let at = first; at <= last; at++) value = value * 256 + (at < length ? bytes[start + at]! : 0)
  const below = 2 ** (7 - ((offset + width - 1) % 8))
  return Math.floor(value / below) % 2 ** width
}

/** Writes the low `width` (1 to 32) bits of a number that is not negative at bit `offset` of the string from `start` on. */
export function writeBits(bytes: Uint8Array, start: number, offset: number, width: number, value: number): void {
  let end = offset + width
  let rest = value
  while (end > offset) {
    const at = start + Math.floor((end - 1) / 8)
    const shift = 7 - ((end - 1) % 8)
    const count = Math.min(end - offset, 8 - shift)
    const size = 1 << count
    const part = rest % size
    bytes[at] = (bytes[at]! & ~((size - 1) << shift)) | (part << shift)
    rest = (rest - part) / size
    end -= count
  }
}
