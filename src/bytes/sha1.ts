/**
 * SHA-1 of short bytes, where they lie: a call of node:crypto costs more than the sum of what has a few bytes. Sums are
 * kept as words, so that a sum of a sum needs no bytes in between.
 * Source: FIPS 180-4, section 6.1.
 */

const BLOCK_BYTES = 64
const BLOCK_WORDS = 16
/** Where the length in bits stands in the last block. */
const LENGTH_AT = 56
/** Words of a sum. */
export const SHA1_WORDS = 5
const SUM_BITS = SHA1_WORDS * 32
/** The bit that follows what is summed. */
const END_BIT = 0x80000000 | 0

const words = new Int32Array(80)
const tail = Buffer.alloc(BLOCK_BYTES * 2)

/** Writes the SHA-1 of source[start, start + length) to `sum`, as SHA1_WORDS words. */
export function sha1(source: Uint8Array, start: number, length: number, sum: Int32Array): void {
  begin(sum)
  const whole = length - (length % BLOCK_BYTES)
  for (let i = 0; i < whole; i += BLOCK_BYTES) addBytes(source, start + i, sum)
  const rest = length - whole
  tail.fill(0)
  for (let i = 0; i < rest; i++) tail[i] = source[start + whole + i]!
  tail[rest] = 0x80
  const end = rest < LENGTH_AT ? BLOCK_BYTES : BLOCK_BYTES * 2
  tail.writeUInt32BE(Math.floor(length / 0x20000000), end - 8)
  tail.writeUInt32BE((length << 3) >>> 0, end - 4)
  for (let i = 0; i < end; i += BLOCK_BYTES) addBytes(tail, i, sum)
}

/** Replaces a sum by the sum of its bytes. */
export function sha1OfSum(sum: Int32Array): void {
  for (let i = 0; i < SHA1_WORDS; i++) words[i] = sum[i]!
  words[SHA1_WORDS] = END_BIT
  for (let i = SHA1_WORDS + 1; i < BLOCK_WORDS - 1; i++) words[i] = 0
  words[BLOCK_WORDS - 1] = SUM_BITS
  begin(sum)
  addBlock(sum)
}

/** The bytes of a sum. */
export function sha1Bytes(sum: Int32Array): Buffer {
  const bytes = Buffer.alloc(SHA1_WORDS * 4)
  for (let i = 0; i < SHA1_WORDS; i++) bytes.writeInt32BE(sum[i]!, i * 4)
  return bytes
}

function begin(sum: Int32Array): void {
  sum[0] = 0x67452301
  sum[1] = 0xefcdab89
  sum[2] = 0x98badcfe
  sum[3] = 0x10325476
  sum[4] = 0xc3d2e1f0
}

function addBytes(block: Uint8Array, start: number, sum: Int32Array): void {
  for (let i = 0; i < BLOCK_WORDS; i++) {
    const at = start + i * 4
    words[i] = (block[at]! << 24) | (block[at + 1]! << 16) | (block[at + 2]! << 8) | block[at + 3]!
  }
  addBlock(sum)
}

/** Adds the block in `words`. The four kinds of rounds have a loop each: with one loop that asks it takes twice as long. */
function addBlock(sum: Int32Array): void {
  for (let i = BLOCK_WORDS; i < 80; i++) {
    const word = words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!
    words[i] = (word << 1) | (word >>> 31)
  }
  let a = sum[0]!
  let b = sum[1]!
  let c = sum[2]!
  let d = sum[3]!
  let e = sum[4]!
  for (let i = 0; i < 20; i++) {
    const next = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + 0x5a827999 + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let i = 20; i < 40; i++) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + 0x6ed9eba1 + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let i = 40; i < 60; i++) {
    const next = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) - 0x70e44324 + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let i = 60; i < 80; i++) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) - 0x359d3e2a + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  sum[0] = sum[0]! + a
  sum[1] = sum[1]! + b
  sum[2] = sum[2]! + c
  sum[3] = sum[3]! + d
  sum[4] = sum[4]! + e
}
