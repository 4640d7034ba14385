/** The request decoder alone: every split of the input, comparison with redis-parser, limits, and no quadratic cost. */
import fc from 'fast-check'
import RedisParser from 'redis-parser'
import { describe, expect, test } from 'vitest'
import { ARGUMENTS_MAX, Decoded, Decoder, INLINE_BYTES_MAX } from '../../src/resp/decoder.ts'
import { encodeCommand } from '../support/resp-client.ts'

const BULK_BYTES_MAX = 512 * 1024 * 1024
const LIMITS = { bulkBytesMax: BULK_BYTES_MAX }
const AUTHENTICATED = 1
const UNAUTHENTICATED = 0

/** What came out of the input: requests, and the error that ended it. */
interface Outcome {
  readonly requests: string[][]
  readonly error: string | null
}

/**
 * Decodes input that arrives up to the offsets in `ends`, each time from a copy of its own whose bytes behind the end
 * are poisoned, as a connection that keeps what is not complete.
 */
function decodePieces(input: Buffer, ends: readonly number[]): Outcome {
  const decoder = new Decoder(LIMITS)
  const requests: string[][] = []
  let from = 0
  decoder.begin(0)
  for (const end of [...ends, input.length]) {
    const buffer = Buffer.alloc(input.length + 8, '*')
    input.copy(buffer, 0, 0, end)
    for (;;) {
      const outcome = decoder.decode(buffer, end, AUTHENTICATED)
      if (outcome === Decoded.Incomplete) break
      if (outcome === Decoded.Malformed) return { requests, error: decoder.error }
      if (outcome === Decoded.Request) {
        const { args } = decoder
        requests.push(Array.from({ length: args.count }, (_, i) => args.text(i)))
      }
      expect(decoder.next).toBeGreaterThan(from)
      from = decoder.next
      decoder.begin(from)
      if (from === end) break
    }
  }
  return { requests, error: null }
}

/** One long request: what has come is moved to a buffer of its own and goes on in another decoder after each piece. */
function decodeMoving(input: Buffer, ends: readonly number[]): Outcome {
  const requests: string[][] = []
  // The request starts behind other bytes of the first buffer, as it does behind the requests of a pipeline.
  const lead = 5
  let decoder = new Decoder(LIMITS)
  decoder.begin(lead)
  let outcome = decoder.decode(Buffer.concat([Buffer.alloc(lead), input.subarray(0, ends[0])]), lead + ends[0]!, 1)
  let start = lead
  for (const end of [...ends.slice(1), input.length]) {
    expect(outcome).toBe(Decoded.Incomplete)
    const next = new Decoder(LIMITS)
    next.continueFrom(decoder, start)
    start = 0
    decoder = next
    outcome = decoder.decode(Buffer.from(input.subarray(0, end)), end, AUTHENTICATED)
  }
  expect(outcome).toBe(Decoded.Request)
  requests.push(Array.from({ length: decoder.args.count }, (_, i) => decoder.args.text(i)))
  return { requests, error: null }
}

const PIPELINES: readonly (readonly [name: string, input: string, expected: string[][]])[] = [
  ['one request', encodeCommand(['PING']), [['PING']]],
  [
    'requests of several sizes',
    encodeCommand(['SET', 'k', '']) + encodeCommand(['GET', 'k']) + encodeCommand(['A', 'x'.repeat(120), 'z']),
    [
      ['SET', 'k', ''],
      ['GET', 'k'],
      ['A', 'x'.repeat(120), 'z'],
    ],
  ],
  [
    'values that look like protocol',
    encodeCommand(['SET', '*1\r\n$4\r\nPING\r\n', '\r\n\r\n']) + encodeCommand(['\0', '\xff', '$5']),
    [
      ['SET', '*1\r\n$4\r\nPING\r\n', '\r\n\r\n'],
      ['\0', '\xff', '$5'],
    ],
  ],
  [
    'inline requests among others',
    `PING\r\nSET a "x y\\x00\\n"\r\n${encodeCommand(['GET', 'a'])}  echo 'it\\'s'  \n\r\n\n${encodeCommand(['LAST'])}`,
    [['PING'], ['SET', 'a', 'x y\0\n'], ['GET', 'a'], ['echo', "it's"], ['LAST']],
  ],
  ['empty requests', `*0\r\n\r\n*-1\r\n${encodeCommand(['PING'])}*-7\r\n`, [['PING']]],
  ['a payload whose end is not looked at', '*2\r\n$4\r\nPINGXX$1\r\naYYPING\r\n', [['PING', 'a'], ['PING']]],
]

describe('every split', () => {
  test.each(PIPELINES)('%s: whole, byte by byte and in two pieces at every place', (_name, text, expected) => {
    const input = Buffer.from(text, 'latin1')
    const whole = { requests: expected, error: null }
    const places = Array.from({ length: input.length - 1 }, (_, i) => i + 1)
    expect(decodePieces(input, [])).toEqual(whole)
    expect(decodePieces(input, places)).toEqual(whole)
    for (const place of places) expect(decodePieces(input, [place]), `split at ${place}`).toEqual(whole)
  })

  test('a request of several megabytes goes on in another decoder wherever it was cut', () => {
    const values = [3, 70_000, 0, 3_000_000, 1].map((length, i) => String.fromCharCode(97 + i).repeat(length))
    const input = Buffer.from(encodeCommand(['RPUSH', ...values]), 'latin1')
    for (const piece of [16_384, 65_536, 999_983]) {
      const ends: number[] = []
      for (let end = piece; end < input.length; end += piece) ends.push(end)
      expect(decodeMoving(input, ends)).toEqual({ requests: [['RPUSH', ...values]], error: null })
    }
  })

  test('random requests in random pieces come out as they were, and as redis-parser reads them', () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value).toString('latin1'))
    const request = fc.array(bytes, { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 8 }), fc.array(fc.nat()), (requests, cuts) => {
        const input = Buffer.from(requests.map(encodeCommand).join(''), 'latin1')
        const ends = [...new Set(cuts.map((cut) => cut % input.length))].filter((end) => end > 0).sort((a, b) => a - b)
        const parsed: string[][] = []
        const parser = new RedisParser({
          returnBuffers: true,
          returnReply: (reply) => parsed.push((reply as Buffer[]).map((word) => word.toString('latin1'))),
          returnError: (error) => expect.unreachable(error.message),
          returnFatalError: (error) => expect.unreachable(error.message),
        })
        parser.execute(input)
        expect(parsed).toEqual(requests)
        expect(decodePieces(input, ends)).toEqual({ requests, error: null })
      }),
      { numRuns: 300 },
    )
  })
})

describe('cost', () => {
  /** Decodes input that grows by `piece` bytes; returns how many ms it took. */
  function timeOf(input: Buffer, piece: number): number {
    const decoder = new Decoder(LIMITS)
    decoder.begin(0)
    const started = performance.now()
    let end = 0
    let outcome: number = Decoded.Incomplete
    while (outcome === Decoded.Incomplete) {
      end = Math.min(end + piece, input.length)
      outcome = decoder.decode(input, end, AUTHENTICATED)
    }
    expect(outcome).toBe(Decoded.Request)
    return performance.now() - started
  }

  test('100,000 arguments in pieces of 7 bytes are read once, not once for each piece', () => {
    const words = Array.from({ length: 100_000 }, (_, i) => `argument:${i}`)
    const input = Buffer.from(encodeCommand(words), 'latin1')
    // Over 300,000 pieces: reading from the start each time would take hours.
    expect(timeOf(input, 7)).toBeLessThan(5_000)
  })

  test('room for the arguments of a very long request is given back', () => {
    const decoder = new Decoder(LIMITS)
    const long = Buffer.from(`*200000\r\n${'$0\r\n\r\n'.repeat(200_000)}`)
    decoder.begin(0)
    expect(decoder.decode(long, long.length, AUTHENTICATED)).toBe(Decoded.Request)
    expect(decoder.args.count).toBe(200_000)
    decoder.begin(0)
    expect(decoder.args.offsets.length).toBeLessThan(1000)
  })
})

describe('limits', () => {
  function outcomeOf(text: string, authenticated = AUTHENTICATED): string | number {
    const decoder = new Decoder(LIMITS)
    decoder.begin(0)
    const buffer = Buffer.from(text, 'latin1')
    const outcome = decoder.decode(buffer, buffer.length, authenticated)
    return outcome === Decoded.Malformed ? decoder.error : outcome
  }

  test.each([
    ['*2147483648\r\n', 'invalid multibulk length'],
    [`*${ARGUMENTS_MAX}\r\n`, Decoded.Incomplete],
    ['*1\r\n$536870913\r\n', 'invalid bulk length'],
    ['*1\r\n$536870912\r\n', Decoded.Incomplete],
    ['*1\r\n$99999999999999999999999999\r\n', 'invalid bulk length'],
    ['*01\r\n', 'invalid multibulk length'],
    ['*1\r\n$04\r\nPING\r\n', 'invalid bulk length'],
    ['*1\r\n$+4\r\nPING\r\n', 'invalid bulk length'],
    ['*1\r\n$-1\r\n', 'invalid bulk length'],
    ['*1\r\nPING\r\n', "expected '$', got 'P'"],
    ['*1\r\n\r\n', "expected '$', got ' '"],
    // Nothing is refused before its line has ended.
    ['*1\r\n$4x', Decoded.Incomplete],
    ['*1\r\nx', Decoded.Incomplete],
    ['*1\r\n$4\r', Decoded.Incomplete],
    // A line with a zero byte has no end.
    ['*1\0\r\n', Decoded.Incomplete],
    ['*1\r\n$4\0\r\nPING\r\n', Decoded.Incomplete],
    ['PING\0\r\n', Decoded.Incomplete],
    ['x'.repeat(INLINE_BYTES_MAX), Decoded.Incomplete],
    ['x'.repeat(INLINE_BYTES_MAX + 1), 'too big inline request'],
    [`*${'1'.repeat(INLINE_BYTES_MAX)}`, 'too big mbulk count string'],
    [`*1\r\n$${'1'.repeat(INLINE_BYTES_MAX)}`, 'too big bulk count string'],
    ['SET a "b\r\n', 'unbalanced quotes in request'],
  ])('%j', (text, expected) => {
    expect(outcomeOf(text)).toBe(expected)
  })

  test('before authentication at most 10 arguments of at most 16384 bytes', () => {
    expect(outcomeOf('*11\r\n', UNAUTHENTICATED)).toBe('unauthenticated multibulk length')
    expect(outcomeOf('*10\r\n', UNAUTHENTICATED)).toBe(Decoded.Incomplete)
    expect(outcomeOf('*1\r\n$16385\r\n', UNAUTHENTICATED)).toBe('unauthenticated bulk length')
    expect(outcomeOf('*1\r\n$16384\r\n', UNAUTHENTICATED)).toBe(Decoded.Incomplete)
  })
})
