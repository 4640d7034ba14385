/** Sorting by digits, against the sort of the language. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { orderOf, sortByNumber, sortByText } from '../../src/bytes/radix-sort.ts'

/** More than are sorted by comparing. */
const MANY = 5000

function sortedNumbers(numbers: readonly number[], texts: readonly string[]): number[] {
  const order = orderOf(numbers.length)
  sortByNumber(order, Float64Array.from(numbers), texts)
  return [...order]
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Many items out of few samples, in an order that is always the same. */
function many<T>(samples: readonly T[]): T[] {
  return Array.from({ length: MANY }, (_, i) => samples[(i * 7919) % samples.length]!)
}

const numbers = fc.array(fc.oneof(fc.double({ noNaN: true }), fc.integer(), fc.constantFrom(0, -0, 1, -1)), {
  minLength: 1,
})
const texts = fc.array(
  fc.oneof(
    fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 20 }),
    fc.nat().map((n) => `${'a common beginning '.repeat(7)}${n}`),
    fc.constantFrom('', 'a', 'a\0', 'a\0\0', 'aaaaaa', 'aaaaaaa', 'aaaaaa\0'),
  ),
  { minLength: 1 },
)

test('numbers of all kinds are sorted, few or many; equal ones by their texts', () => {
  fc.assert(
    fc.property(numbers, texts, (someNumbers, someTexts) => {
      for (const [values, names] of [
        [someNumbers, someNumbers.map((_, i) => someTexts[i % someTexts.length]!)],
        [many(someNumbers), many(someTexts)],
      ] as const) {
        const wanted = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]! || compare(names[a]!, names[b]!))
        const found = sortedNumbers(values, names)
        // Of equal items any may come first.
        expect(found.map((i) => [values[i]! + 0, names[i]])).toEqual(wanted.map((i) => [values[i]! + 0, names[i]]))
        expect(new Set(found).size).toBe(values.length)
      }
    }),
    { numRuns: 40 },
  )
})

test('infinities are the ends', () => {
  const values = [1, Number.POSITIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, -5e-324, 5e-324]
  expect(sortedNumbers(values, values.map(String))).toEqual([3, 4, 2, 5, 0, 1])
  const all = many(values)
  expect(sortedNumbers(all, all.map(String)).map((i) => all[i]!)).toEqual(all.toSorted((a, b) => a - b || 0))
})

test('byte strings are sorted by their bytes, also long ones that begin alike', () => {
  fc.assert(
    fc.property(texts, (samples) => {
      for (const values of [samples, many(samples)]) {
        const order = orderOf(values.length)
        sortByText(order, values)
        expect([...order].map((i) => values[i])).toEqual(values.toSorted(compare))
        expect(new Set(order).size).toBe(values.length)
      }
    }),
    { numRuns: 40 },
  )
})
