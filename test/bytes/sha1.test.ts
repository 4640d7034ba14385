import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { SHA1_BYTES, sha1 } from '../../src/bytes/sha1.ts'

test('SHA-1 is that of node:crypto, for every length around the ends of blocks', () => {
  const out = Buffer.alloc(SHA1_BYTES + 2)
  for (let length = 0; length <= 300; length++) {
    const bytes = randomBytes(length + 3)
    sha1(bytes, 3, length, out, 1)
    expect(out.toString('hex', 1, 1 + SHA1_BYTES), `length ${length}`).toBe(
      createHash('sha1').update(bytes.subarray(3)).digest('hex'),
    )
    expect([out[0], out[SHA1_BYTES + 1]]).toEqual([0, 0])
  }
})

test('source and target may be the same', () => {
  const bytes = randomBytes(SHA1_BYTES)
  const expected = createHash('sha1').update(bytes).digest('hex')
  sha1(bytes, 0, SHA1_BYTES, bytes, 0)
  expect(bytes.toString('hex')).toBe(expected)
})
