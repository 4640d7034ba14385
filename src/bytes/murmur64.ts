/**
 * MurmurHash64A, as HyperLogLog uses it: a 64-bit product of 32-bit halves. Hot path.
 *
 * Source: Austin Appleby's MurmurHash2, 64-bit version, with little-endian reads; Valkey src/hyperloglog.c.
 */

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
    // The length, below 2^32, times the multiplier.
    this.high = 0
    this.low = length | 0
    this.multiply()
    let high = this.high
    let low = this.low ^ seed
    let at = start
    const blocksEnd = start + (length - (length & 7))
    for (; at < blocksEnd; at += 8) {
      this.low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      this.high = bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)
      this.multiply()
      this.mix()
      this.multiply()
      this.high ^= high
      this.low ^= low
      this.multiply()
      high = this.high
      low = this.low
    }
    this.high = high
    this.low = low
    const rest = length & 7
    if (rest > 0) {
      for (let i = 0; i < rest; i++) {
        const byte = bytes[at + i]!
        if (i < 4) this.low ^= byte << (i << 3)
        else this.high ^= byte << ((i - 4) << 3)
      }
      this.multiply()
    }
    this.mix()
    this.multiply()
    this.mix()
  }

  /** Folds the upper bits in: exclusive or with itself, shifted right by 47. */
  private mix(): void {
    this.low ^= this.high >>> 15
  }

  /** Times the multiplier, modulo 2^64. */
  private multiply(): void {
    const { low } = this
    const low0 = low & 0xffff
    const low1 = low >>> 16
    // The upper half of low × M_LOW, by the products of quarters.
    const a = Math.imul(low0, M_LOW_0) >>> 16
    const b = Math.imul(low1, M_LOW_0)
    const c = Math.imul(low0, M_LOW_1)
    const carry = (a + (b & 0xffff) + (c & 0xffff)) >>> 16
    const upper = Math.imul(low1, M_LOW_1) + (b >>> 16) + (c >>> 16) + carry
    this.high = (upper + Math.imul(this.high, M_LOW) + Math.imul(low, M_HIGH)) | 0
    this.low = Math.imul(low, M_LOW)
  }
}
