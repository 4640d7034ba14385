import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { SHA1_WORDS, sha1, sha1Bytes, sha1OfSum } from '../../src/bytes/sha1.ts'

function expected(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

test('SHA-1 is that of node:crypto, for every length around the ends of blocks', () => {
  const sum = new Int32Array(SHA1_WORDS)
  for (let length = 0; length <= 300; length++) {
    const bytes = randomBytes(length + 3)
    sha1(bytes, 3, length, sum)
    expect(sha1Bytes(sum).toString('hex'), `length ${length}`).toBe(expected(bytes.subarray(3)))
  }
})

test('the sum of a sum is that of its bytes', () => {
  const sum = new Int32Array(SHA1_WORDS)
  sha1(randomBytes(30), 0, 30, sum)
  for (let i = 0; i < 100; i++) {
    const wanted = expected(sha1Bytes(sum))
    sha1OfSum(sum)
    expect(sha1Bytes(sum).toString('hex')).toBe(wanted)
  }
})
