/** Doubles from text and to text, beside what a reference server reads and prints. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatDouble, formatDouble17, parseDouble, parsePlainDecimal } from '../../src/bytes/double.ts'
import { hasReference, ReferenceServer } from './reference-server.ts'

const ACCEPTED: readonly [text: string, value: number][] = [
  ['0', 0],
  ['-0', -0],
  ['+5', 5],
  ['5.', 5],
  ['.5', 0.5],
  ['1e3', 1000],
  ['1E-3', 0.001],
  ['0x10', 16],
  ['-0x1.8p1', -3],
  ['0x.8', 0.5],
  ['0x1.', 1],
  ['0X1P-1074', 5e-324],
  ['0x1.00000000000008p0', 1],
  ['0x1.00000000000018p0', 1 + 2 ** -51],
  ['inf', Infinity],
  ['-Infinity', -Infinity],
  ['+INF', Infinity],
  ['1.7976931348623157e308', 1.7976931348623157e308],
  ['5e-324', 5e-324],
  ['0e-9999', 0],
  ['0e9999', 0],
]

const REFUSED: readonly string[] = [
  ...['', ' 1', '1 ', '\t1', '1\0', 'a', '1a', '.', '+', '-', 'e5', '1e', '1e+', '1_000', '0b1', '0o7'],
  ...['0x', '0x.', '0x1p', '0xg', '--1', '1e5.0', 'in', 'infinit', 'nan', '-NaN', 'nan(1)', '1e309', '-1e400'],
  ...['1e-400', '0x1p1024', '0x1p-1076', '١'],
]

describe('parseDouble', () => {
  test.each(ACCEPTED)('%j is %d', (text, value) => {
    expect(parseDouble(text)).toBe(value)
  })

  test.each(REFUSED)('%j is refused', (text) => {
    expect(parseDouble(text)).toBeNull()
  })
})

describe('formatDouble', () => {
  test.each<[number, string]>([
    [0, '0'],
    [-0, '-0'],
    [3, '3'],
    [-3.5, '-3.5'],
    [0.1, '0.1'],
    [0.30000000000000004, '0.30000000000000004'],
    [1e20, '1e+20'],
    [1e18, '1000000000000000000'],
    [2 ** 60, '1152921504606846976'],
    [2 ** 62, '4611686018427387904'],
    [2 ** 62 + 1024, '4611686018427389000'],
    [5e18, '5e+18'],
    [1.5e19, '1.5e+19'],
    [0.001, '0.001'],
    [0.0001, '0.0001'],
    [0.000001, '0.000001'],
    [0.0000001, '1e-7'],
    [0.00123456, '0.00123456'],
    [1.23456789e-7, '1.23456789e-7'],
    [123456.789, '123456.789'],
    [123456.123456, '123456.123456'],
    [123456.1234567, '1.234561234567e+5'],
    [9999.1234567, '9999.1234567'],
    [-1e15 - 0.5, '-1000000000000000.5'],
    [1e100, '1e+100'],
    [1.5e-305, '1.5e-305'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, 'nan'],
  ])('%d is written %s', (value, text) => {
    expect(formatDouble(value)).toBe(text)
  })

  test('every double reads back as itself', () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (d) => Object.is(parseDouble(formatDouble(d)), d)))
  })
})

describe('parsePlainDecimal', () => {
  function plain(text: string): number {
    const bytes = Buffer.from(`1${text}1`, 'latin1')
    return parsePlainDecimal(bytes, 1, text.length)
  }

  test.each<[string, number]>([
    ['0', 0],
    ['-0', -0],
    ['+5', 5],
    ['5.', 5],
    ['.5', 0.5],
    ['-12.25', -12.25],
    ['000000012345', 12345],
    ['1700000000.123456', 1700000000.123456],
    ['9007199254740989', 9007199254740989],
    ['0.1', 0.1],
  ])('%s is %d', (text, value) => {
    expect(plain(text)).toBe(value)
  })

  test.each([
    '',
    '-',
    '+',
    '.',
    '-.',
    '1.2.3',
    '1e3',
    '0x1',
    'inf',
    ' 1',
    '1 ',
    '--1',
    '90071992547409930',
    `0.${'0'.repeat(22)}1`,
  ])('it leaves %j to parseDouble', (text) => {
    expect(plain(text)).toBeNaN()
  })

  test('what it reads, parseDouble reads alike', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789.-'), maxLength: 22 })
    const short = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }).map(String)
    fc.assert(
      fc.property(fc.oneof(digits, short), (text) => {
        const value = plain(text)
        return Number.isNaN(value) || Object.is(value, parseDouble(text))
      }),
      { numRuns: 5000 },
    )
  })
})

describe('formatDouble17', () => {
  test.each<[number, string]>([
    [0.1, '0.10000000000000001'],
    [-0, '-0'],
    [3, '3'],
    [1e16, '10000000000000000'],
    [1e17, '1e+17'],
    [0.0001, '0.0001'],
    [0.00001, '1.0000000000000001e-05'],
    [2 ** -25, '2.9802322387695312e-08'],
    [3 * 2 ** -25, '8.9406967163085938e-08'],
    [-1.5e300, '-1.5000000000000001e+300'],
    [-(2 ** 70), '-1.1805916207174113e+21'],
    [1 + 2 ** -17, '1.0000076293945312'],
    [1 + 3 * 2 ** -17, '1.0000228881835938'],
    [1234.5, '1234.5'],
  ])('%d is written %s', (value, text) => {
    expect(formatDouble17(value)).toBe(text)
  })
})

describe.skipIf(!hasReference)('doubles beside the reference server', () => {
  let server: ReferenceServer
  beforeAll(async () => {
    server = await ReferenceServer.start()
  })
  afterAll(() => server.stop())

  /** Lets the server read a score and write it back with %.17g; `null` if it refuses. */
  async function reference(text: string): Promise<string | null> {
    const reply = await server.command('zadd', 'z', text, 'm')
    return typeof reply === 'string' ? null : String(await server.command('zscore', 'z', 'm'))
  }

  async function compare(text: string): Promise<void> {
    const parsed = parseDouble(text)
    const value = parsed === 0 ? 0 : parsed // a score of -0 is stored as the integer 0
    expect([text, value === null ? null : formatDouble17(value)]).toEqual([text, await reference(text)])
  }

  test('the table cases are accepted and refused alike', async () => {
    for (const [text] of ACCEPTED) await compare(text)
    for (const text of REFUSED.filter((t) => !t.includes('١'))) await compare(text)
  })

  test('random doubles are read and written alike', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ noNaN: true }), (d) => compare(formatDouble(d))),
      { numRuns: 2000 },
    )
  })

  test('random texts are accepted and refused alike', async () => {
    const text = fc.string({ unit: fc.constantFrom(...'01589.eEpPxX+-af '), maxLength: 10 })
    await fc.assert(fc.asyncProperty(text, compare), { numRuns: 3000 })
  })
})
