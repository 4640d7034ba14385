/**
 * SHA-1 of short bytes, where they lie: a call of node:crypto costs more than the sum of what has a few bytes.
 * Source: FIPS 180-4, section 6.1.
 */

const BLOCK_BYTES = 64
/** Where the length in bits stands in the last block. */
const LENGTH_AT = 56

export const SHA1_BYTES = 20

const words = new Int32Array(80)
const state = new Int32Array(5)
const tail = Buffer.alloc(BLOCK_BYTES * 2)

/** Writes the SHA-1 of source[start, start + length) to `target` at `at`; they may be the same. */
export function sha1(source: Uint8Array, start: number, length: number, target: Uint8Array, at: number): void {
  state[0] = 0x67452301
  state[1] = 0xefcdab89
  state[2] = 0x98badcfe
  state[3] = 0x10325476
  state[4] = 0xc3d2e1f0
  const whole = length - (length % BLOCK_BYTES)
  for (let i = 0; i < whole; i += BLOCK_BYTES) addBlock(source, start + i)
  const rest = length - whole
  tail.fill(0)
  for (let i = 0; i < rest; i++) tail[i] = source[start + whole + i]!
  tail[rest] = 0x80
  const end = rest < LENGTH_AT ? BLOCK_BYTES : BLOCK_BYTES * 2
  tail.writeUInt32BE(Math.floor(length / 0x20000000), end - 8)
  tail.writeUInt32BE((length << 3) >>> 0, end - 4)
  for (let i = 0; i < end; i += BLOCK_BYTES) addBlock(tail, i)
  for (let i = 0; i < 5; i++) {
    const word = state[i]!
    target[at + i * 4] = word >>> 24
    target[at + i * 4 + 1] = word >>> 16
    target[at + i * 4 + 2] = word >>> 8
    target[at + i * 4 + 3] = word
  }
}

function addBlock(block: Uint8Array, start: number): void {
  for (let i = 0; i < 16; i++) {
    const at = start + i * 4
    words[i] = (block[at]! << 24) | (block[at + 1]! << 16) | (block[at + 2]! << 8) | block[at + 3]!
  }
  for (let i = 16; i < 80; i++) {
    const word = words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!
    words[i] = (word << 1) | (word >>> 31)
  }
  let a = state[0]!
  let b = state[1]!
  let c = state[2]!
  let d = state[3]!
  let e = state[4]!
  for (let i = 0; i < 80; i++) {
    let mixed: number
    if (i < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1
    else if (i < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
    else mixed = (b ^ c ^ d) + 0xca62c1d6
    const next = (((a << 5) | (a >>> 27)) + mixed + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  state[0] = state[0]! + a
  state[1] = state[1]! + b
  state[2] = state[2]! + c
  state[3] = state[3]! + d
  state[4] = state[4]! + e
}
