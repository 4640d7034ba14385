/** Long doubles as INCRBYFLOAT adds and prints them, beside a reference server. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addLongDouble,
  addLongDoubles,
  formatLongDouble,
  isFiniteLongDouble,
  longDoubleOf,
  parseLongDouble,
} from '../../src/bytes/long-double.ts'
import { hasReference, ReferenceServer } from './reference-server.ts'

const SUMS: readonly [a: string, b: string, sum: string | null][] = [
  ['3.0e3', '200', '3200'],
  ['0.1', '0.2', '0.3'],
  ['1.5', '0.7', '2.2'],
  ['10.50', '0.1', '10.6'],
  ['5.0e3', '2.0e2', '5200'],
  ['3', '-3', '0'],
  ['-1e-30', '0', '0'],
  ['1', '1.1', '2.1'],
  ['17179869184', '1.5', '17179869185.5'],
  ['9223372036854775807', '1', '9223372036854775808'],
  ['18446744073709551615', '1', '18446744073709551616'],
  ['18446744073709551616', '1', '18446744073709551616'],
  ['0x10', '.5', '16.5'],
  ['1e4932', '1e4932', null],
  ['1e5000', '0', null],
  ['1e-5000', '0', null],
  ['inf', '1', null],
  ['nan', '1', null],
  [' 1', '1', null],
  ['', '1', null],
]

describe('addLongDouble', () => {
  test.each(SUMS)('%s + %s is %s', (a, b, sum) => {
    expect(addLongDouble(a, b)).toBe(sum)
  })

  test('a text as long as the room for it is refused', () => {
    expect(parseLongDouble('0'.repeat(5119))).not.toBeNull()
    expect(parseLongDouble('0'.repeat(5120))).toBeNull()
  })

  test('infinities add up as numbers do', () => {
    expect(addLongDoubles(Infinity, 1)).toBe(Infinity)
    expect(addLongDoubles(Infinity, -Infinity)).toBeNaN()
    const large = parseLongDouble('1e4932') ?? 0
    expect(isFiniteLongDouble(large)).toBe(true)
    expect(addLongDoubles(large, large)).toBe(Infinity)
  })
})

describe('formatLongDouble', () => {
  test.each<[number, string]>([
    [0, '0'],
    [-0, '0'],
    [13.361389338970184, '13.36138933897018433'],
    [-0.5, '-0.5'],
    [1e22, '10000000000000000000000'],
    [-(2 ** -60), '0'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, 'nan'],
  ])('the double %d is written %s', (value, text) => {
    expect(formatLongDouble(longDoubleOf(value))).toBe(text)
  })
})

describe.skipIf(!hasReference)('long doubles beside the reference server', () => {
  let server: ReferenceServer
  beforeAll(async () => {
    server = await ReferenceServer.start()
  })
  afterAll(() => server.stop())

  async function compare(a: string, b: string): Promise<void> {
    await server.command('set', 'k', a)
    const reply = String(await server.command('incrbyfloat', 'k', b))
    expect([a, b, addLongDouble(a, b)]).toEqual([a, b, reply.startsWith('ERR') ? null : reply])
  }

  test('the table cases add up alike', async () => {
    for (const [a, b] of SUMS) await compare(a, b)
  })

  test('random decimals add up alike', async () => {
    const decimal = fc
      .tuple(fc.integer(), fc.nat(999_999_999), fc.constantFrom('', 'e3', 'e-7', 'e19', 'e-12', 'e300', 'e-4940'))
      .map(([integer, fraction, exponent]) => `${integer}.${fraction}${exponent}`)
    await fc.assert(fc.asyncProperty(decimal, decimal, compare), { numRuns: 3000 })
  })

  test('random texts are accepted and refused alike', async () => {
    const text = fc.string({ unit: fc.constantFrom(...'01589.eEpPxX+-af '), maxLength: 10 })
    await fc.assert(fc.asyncProperty(text, text, compare), { numRuns: 2000 })
  })
})
