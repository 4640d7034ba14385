/** Digests of strings of each length class, as the reference library (libxxhash 0.8.1) makes them. */
import { expect, test } from 'vitest'
import { xxh3Hex } from '../../src/bytes/xxh3.ts'

const BYTES = Buffer.from(Uint8Array.from({ length: 10_000 }, (_, i) => i * i * 7 + i * 13 + 5))
const DIGESTS: readonly (readonly [length: number, digest: string])[] = [
  [0, '2d06800538d394c2'],
  [1, '929e358d27ae3ee2'],
  [3, 'edbd89085055020f'],
  [4, 'b88a3316c9cbada6'],
  [8, 'ca529b018625de44'],
  [9, '70dc22712a6ee9fc'],
  [16, '9886796291da8a97'],
  [17, 'f13e1a9528336483'],
  [32, '2f7ddf70286c3c84'],
  [33, '266de476c09d9677'],
  [128, '160d5cc14718584d'],
  [129, 'f59fdf21df5914aa'],
  [240, 'e043677d5ae49e40'],
  [241, '7d187ab642ec16ed'],
  [1024, '5e1054d10959bf1e'],
  [1025, '97ff34d6cec3109a'],
  [1088, '61e648232896da5d'],
  [4096, '560254436edd0136'],
  [10000, 'f826711670b2e639'],
]

test.each(DIGESTS)('the digest of %i bytes is that of the reference library', (length, digest) => {
  expect(xxh3Hex(BYTES, 0, length)).toBe(digest)
})

test('a digest is read from where the string lies, and has its leading zeros', () => {
  expect(xxh3Hex(Buffer.from('> Hello world'), 2, 11)).toBe('b6acb9d84a38ff74')
  const text = 'v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd'
  expect(xxh3Hex(Buffer.from(text), 0, text.length)).toBe('00006c38adf31777')
})
