/** Random samples: distinct, in range, ascending, and without preference for some positions. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { randomIndex, sampleDistinct } from '../../src/structures/sampling.ts'

/** A small generator with a seed (mulberry32), so that a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

test('a sample has as many different indices as asked for, ascending and in range', () => {
  fc.assert(
    fc.property(fc.nat({ max: 300 }), fc.nat(), fc.integer(), (size, wish, seed) => {
      const count = size === 0 ? 0 : wish % (size + 1)
      const sample = sampleDistinct(size, count, generator(seed))
      expect(sample.length).toBe(count)
      for (let i = 0; i < count; i++) {
        expect(sample[i]).toBeLessThan(size)
        if (i > 0) expect(sample[i]).toBeGreaterThan(sample[i - 1] ?? Number.NaN)
      }
    }),
    { numRuns: 500 },
  )
})

test('every position is sampled equally often, by drawing and by walking', () => {
  for (const [size, count] of [
    [40, 5],
    [40, 30],
  ] as const) {
    const hits = new Array<number>(size).fill(0)
    const random = generator(7)
    const rounds = 8000
    for (let round = 0; round < rounds; round++) {
      for (const index of sampleDistinct(size, count, random)) hits[index] = (hits[index] ?? 0) + 1
    }
    const expected = (rounds * count) / size
    for (const hit of hits) expect(Math.abs(hit - expected)).toBeLessThan(6 * Math.sqrt(expected))
  }
})

test('a random index stays below the size, even for the greatest random number', () => {
  expect(randomIndex(3, () => 0.999999999)).toBe(2)
  expect(randomIndex(3, () => 0)).toBe(0)
})
