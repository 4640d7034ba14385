/** The hash of HyperLogLogs beside the algorithm as it is written down, in big integers. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Murmur64 } from '../../src/bytes/murmur64.ts'

const SEED = 0xadc83b19
const M = 0xc6a4a7935bd1e995n

function textbook(bytes: Uint8Array): bigint {
  const mask = (1n << 64n) - 1n
  let hash = BigInt(SEED) ^ ((BigInt(bytes.length) * M) & mask)
  const whole = bytes.length - (bytes.length % 8)
  const word = (from: number, to: number): bigint => {
    let value = 0n
    for (let i = to - 1; i >= from; i--) value = (value << 8n) | BigInt(bytes[i]!)
    return value
  }
  for (let at = 0; at < whole; at += 8) {
    let k = (word(at, at + 8) * M) & mask
    k = ((k ^ (k >> 47n)) * M) & mask
    hash = ((hash ^ k) * M) & mask
  }
  if (whole < bytes.length) hash = ((hash ^ word(whole, bytes.length)) * M) & mask
  hash = ((hash ^ (hash >> 47n)) * M) & mask
  return hash ^ (hash >> 47n)
}

test('a hash is that of the algorithm, wherever the bytes lie', () => {
  const hash = new Murmur64()
  const property = fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    const padded = Buffer.concat([Buffer.from('ab'), bytes])
    hash.set(padded, 2, bytes.length, SEED | 0)
    const value = (BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0)
    expect(value).toBe(textbook(bytes))
  })
  fc.assert(property, { numRuns: 500 })
})
