/**
 * MurmurHash64A, as HyperLogLog uses it: a 64-bit product of 32-bit halves. Hot path.
 *
 * Source: Austin Appleby's MurmurHash2, 64-bit version, with little-endian reads; Valkey src/hyperloglog.c.
 */
import { readWord } from './words.ts'

/** The multiplier 0xc6a4a7935bd1e995, in halves, and the low one in quarters. */
const M_HIGH = 0xc6a4a793 | 0
const M_LOW = 0x5bd1e995
const M_LOW_0 = 0xe995
const M_LOW_1 = 0x5bd1

/** A hash as two words; reused, so that a hash makes no object. */
export class Murmur64 {
  /** Upper 32 bits, signed. */
  high = 0
  /** Lower 32 bits, signed. */
  low = 0

  /** Hashes `bytes[start, start + length)`. */
  set(bytes: Uint8Array, start: number, length: number, seed: number): void {
    // The length times the multiplier.
    let high = upperProduct(0, length)
    let low = Math.imul(length, M_LOW) ^ seed
    let at = start
    const blocksEnd = start + (length - (length & 7))
    for (; at < blocksEnd; at += 8) {
      let blockLow = readWord(bytes, at)
      let blockHigh = readWord(bytes, at + 4)
      blockHigh = upperProduct(blockHigh, blockLow)
      // Folding in what is shifted right by 47 concerns the lower word only.
      blockLow = Math.imul(blockLow, M_LOW) ^ (blockHigh >>> 15)
      high ^= upperProduct(blockHigh, blockLow)
      low ^= Math.imul(blockLow, M_LOW)
      high = upperProduct(high, low)
      low = Math.imul(low, M_LOW)
    }
    const rest = length & 7
    if (rest > 0) {
      for (let i = 0; i < rest; i++) {
        const byte = bytes[at + i]!
        if (i < 4) low ^= byte << (i << 3)
        else high ^= byte << ((i - 4) << 3)
      }
      high = upperProduct(high, low)
      low = Math.imul(low, M_LOW)
    }
    low ^= high >>> 15
    high = upperProduct(high, low)
    this.low = Math.imul(low, M_LOW) ^ (high >>> 15)
    this.high = high
  }
}

/** Upper word of the multiplier times what the two words are. The lower one is that of the lower words. */
function upperProduct(high: number, low: number): number {
  const low0 = low & 0xffff
  const low1 = low >>> 16
  // The upper half of low × M_LOW, by the products of quarters.
  const a = Math.imul(low0, M_LOW_0) >>> 16
  const b = Math.imul(low1, M_LOW_0)
  const c = Math.imul(low0, M_LOW_1)
  const carry = (a + (b & 0xffff) + (c & 0xffff)) >>> 16
  const upper = Math.imul(low1, M_LOW_1) + (b >>> 16) + (c >>> 16) + carry
  return (upper + Math.imul(high, M_LOW) + Math.imul(low, M_HIGH)) | 0
}
