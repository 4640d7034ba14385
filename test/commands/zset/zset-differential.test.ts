/** Random calls of sorted set commands, answered by the bench and by a reference server alike. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { setCommands } from '../../../src/commands/set/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { zsetCommands } from '../../../src/commands/zset/index.ts'
import { hasReference } from '../../bytes/reference-server.ts'
import { smallTexts } from '../../structures/texts.ts'
import { CommandBench } from '../command-bench.ts'
import { ReferenceClient } from '../reference-client.ts'
import type { Reply } from '../resp-decode.ts'

const key = fc.constantFrom('z1', 'z2', 'z3', 'z1', 'z2', 'none', 'text', 'set', 'numbers')
// Ranges of members are defined for equal scores only: the scores of this key are all 0.
const lexKey = fc.constant('lex')
const keys = fc.array(fc.oneof({ weight: 6, arbitrary: key }, { weight: 1, arbitrary: lexKey }), {
  minLength: 1,
  maxLength: 4,
})
const member = fc.oneof({ weight: 3, arbitrary: smallTexts }, { weight: 1, arbitrary: fc.nat(20).map((n) => `m${n}`) })
// Redis 7.0 keeps -0 in fewer cases, and prints doubles with 17 digits: only what is exact with few of them can be compared.
const goodScore = fc.oneof(
  fc.integer({ min: -30, max: 30 }).map(String),
  fc.integer({ min: -120, max: 120 }).map((n) => String(n / 4)),
  fc.constantFrom('inf', '-inf', '+inf', '1e3', '0x10', '1048576.5', '-4503599627370496', '.5'),
)
const score = fc.oneof(
  { weight: 12, arbitrary: goodScore },
  { weight: 1, arbitrary: fc.constantFrom('nan', 'x', '', ' 1', '1 ', '1e400', '1e-2000', '1\x002') },
)
const pairs = fc.array(fc.tuple(score, member), { minLength: 1, maxLength: 5 }).map((list) => list.flat())
const flags = fc.array(fc.constantFrom('NX', 'XX', 'GT', 'LT', 'CH', 'INCR', 'nx', 'ch', 'incr', 'other'), {
  maxLength: 3,
})
const manyPairs = fc
  .tuple(fc.nat(300), fc.integer({ min: 100, max: 150 }), fc.integer({ min: 1, max: 9 }))
  .map(([from, count, step]) =>
    Array.from({ length: count }, (_, n) => [String(((from + n) * step) % 40), `m${from + n}`]).flat(),
  )
const lexPairs = fc.array(member, { minLength: 1, maxLength: 8 }).map((list) => list.flatMap((text) => ['0', text]))
const index = fc.oneof(
  fc.integer({ min: -150, max: 150 }).map(String),
  fc.constantFrom('0', '-1', 'x', '', '9223372036854775807', '-9223372036854775808', '9223372036854775808', '1.0'),
)
const scoreBound = fc.oneof(
  { weight: 4, arbitrary: goodScore },
  { weight: 3, arbitrary: goodScore.map((text) => `(${text}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '(',
      ' 1',
      '1 ',
      '\t-5',
      'x',
      '(x',
      'nan',
      '(nan',
      '1e400',
      '(-1e400',
      '(( 1',
      '3\0x',
    ),
  },
)
const lexBound = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('[', '('), member).map((list) => list.join('')) },
  { weight: 2, arbitrary: fc.constantFrom('-', '+') },
  { weight: 1, arbitrary: fc.constantFrom('', 'a', '-a', '++', '(', '[', '-\0a') },
)
const withScores = anyOf([], ['WITHSCORES'], ['withscores'])
const limit = anyOf([], ['LIMIT', '1', '3'], ['LIMIT', '0', '-1'], ['limit', '-1', '5'], ['LIMIT', '300', '1'])
const badOptions = anyOf(
  ['LIMIT', '0'],
  ['LIMIT', 'x', '1'],
  ['REV', 'REV'],
  ['BYLEX', 'BYSCORE'],
  ['WITHSCORE'],
  ['x'],
)
const weights = anyOf(
  [],
  ['WEIGHTS', '2'],
  ['WEIGHTS', '2', '0.5'],
  ['weights', '1', '-1', 'inf'],
  ['WEIGHTS', '0', '0', '0', '0'],
  ['WEIGHTS', 'x', '1'],
)
const aggregate = anyOf(
  [],
  ['AGGREGATE', 'SUM'],
  ['AGGREGATE', 'min'],
  ['aggregate', 'MAX'],
  ['AGGREGATE', 'avg'],
  ['AGGREGATE'],
)
const keyCount = fc.constantFrom('1', '2', '2', '3', '0', 'x', '-1', '5')
const popCount = fc.constantFrom('0', '1', '3', '200', '-1', 'x')
const timeout = fc.constantFrom('0.001', '-1', 'x', '')
const side = fc.constantFrom('MIN', 'MAX', 'min', 'other')
const countOption = anyOf([], ['COUNT', '3'], ['count', '0'], ['COUNT'], ['COUNT', '100'], ['more'])

function anyOf(...choices: string[][]): fc.Arbitrary<string[]> {
  return fc.nat({ max: choices.length - 1 }).map((n) => choices[n] ?? [])
}

function command(name: string, ...parts: fc.Arbitrary<string | string[]>[]): fc.Arbitrary<string[]> {
  return fc.tuple(...parts).map((list) => [name, ...list.flat()])
}

/** Several keys, whose number mostly is what is said. */
const countedKeys = fc.oneof(
  { weight: 4, arbitrary: keys.map((list) => [String(list.length), ...list]) },
  { weight: 1, arbitrary: fc.tuple(keyCount, keys).map(([count, list]) => [count, ...list]) },
)

const commands = fc.oneof(
  { weight: 8, arbitrary: command('ZADD', key, pairs) },
  { weight: 4, arbitrary: command('ZADD', key, flags, pairs) },
  { weight: 3, arbitrary: command('ZADD', key, manyPairs) },
  { weight: 3, arbitrary: command('ZADD', lexKey, lexPairs) },
  { weight: 3, arbitrary: command('ZRANGE', key, index, index, withScores) },
  { weight: 2, arbitrary: command('ZRANGE', key, scoreBound, scoreBound, anyOf(['BYSCORE']), withScores, limit) },
  { weight: 2, arbitrary: command('ZRANGE', key, scoreBound, scoreBound, anyOf(['REV', 'BYSCORE']), limit) },
  { weight: 2, arbitrary: command('ZINTERSTORE', key, countedKeys, weights, aggregate) },
  { weight: 2, arbitrary: command('ZUNIONSTORE', key, countedKeys, weights, aggregate) },
  ...[
    command('ZADD', key, flags, score),
    command('ZINCRBY', key, score, member),
    command('ZREM', key, fc.array(member, { minLength: 1, maxLength: 30 })),
    command('ZCARD', key),
    command('ZSCORE', key, member),
    command('ZMSCORE', key, fc.array(member, { minLength: 1, maxLength: 4 })),
    command('ZRANK', key, member),
    command('ZREVRANK', key, member),
    command('ZRANGE', key, index, index, anyOf(['REV']), withScores),
    command('ZRANGE', key, index, index, badOptions),
    command('ZRANGE', lexKey, lexBound, lexBound, anyOf(['BYLEX'], ['BYLEX', 'REV']), withScores, limit),
    command('ZREVRANGE', key, index, index, withScores, badOptions),
    command('ZREVRANGE', key, index, index, withScores),
    command('ZRANGEBYSCORE', key, scoreBound, scoreBound, withScores, limit),
    command('ZREVRANGEBYSCORE', key, scoreBound, scoreBound, limit, withScores),
    command('ZRANGEBYLEX', lexKey, lexBound, lexBound, limit),
    command('ZREVRANGEBYLEX', lexKey, lexBound, lexBound, limit),
    command('ZRANGESTORE', key, key, index, index, anyOf([], ['REV'], ['WITHSCORES'])),
    command('ZRANGESTORE', key, key, scoreBound, scoreBound, anyOf(['BYSCORE'], ['BYSCORE', 'REV']), limit),
    command('ZRANGESTORE', key, lexKey, lexBound, lexBound, anyOf(['BYLEX']), limit),
    command('ZCOUNT', key, scoreBound, scoreBound),
    command('ZLEXCOUNT', lexKey, lexBound, lexBound),
    command('ZREMRANGEBYRANK', key, index, index),
    command('ZREMRANGEBYSCORE', key, scoreBound, scoreBound),
    command('ZREMRANGEBYLEX', lexKey, lexBound, lexBound),
    command('ZPOPMIN', key),
    command('ZPOPMAX', key),
    command('ZPOPMIN', key, popCount),
    command('ZPOPMAX', key, popCount),
    command('ZPOPMAX', key, popCount, popCount),
    command('BZPOPMIN', keys, timeout),
    command('BZPOPMAX', keys, timeout),
    command('ZMPOP', countedKeys, side, countOption),
    command('BZMPOP', timeout, countedKeys, side, countOption),
    command('ZUNION', countedKeys, weights, aggregate, withScores),
    command('ZINTER', countedKeys, aggregate, weights, withScores),
    command('ZDIFF', countedKeys, withScores),
    command('ZDIFF', countedKeys, weights),
    command('ZDIFFSTORE', key, countedKeys, withScores),
    command(
      'ZINTERCARD',
      countedKeys,
      anyOf([], ['LIMIT', '2'], ['limit', '0'], ['LIMIT', '-1'], ['LIMIT'], ['LIMIT', 'a']),
    ),
    command('ZRANDMEMBER', key, anyOf(['0'], ['10000'], ['x'], ['1', 'y'], ['9999', 'WITHSCORES'])),
    command('ZRANDMEMBER', key, anyOf(['-9223372036854775808'], ['-4611686018427387905', 'WITHSCORES'])),
    command('ZSCAN', key, fc.constantFrom('0', 'x'), anyOf(['COUNT', '1000'], ['MATCH', 'm*', 'COUNT', '999'], ['x'])),
  ].map((arbitrary) => ({ weight: 1, arbitrary })),
)

/** A reply without its order where that is not fixed. */
function normalized(words: readonly string[], reply: Reply): unknown {
  if (!Array.isArray(reply)) return reply
  if (words[0] === 'ZSCAN') return pairsOf((reply as [string, string[]])[1])
  if (words[0] !== 'ZRANDMEMBER') return reply
  return words.length > 3 ? pairsOf(reply as string[]) : (reply as string[]).toSorted()
}

function pairsOf(flat: string[]): string[] {
  return flat.flatMap((text, i) => (i % 2 === 0 ? [JSON.stringify([text, flat[i + 1]])] : [])).toSorted()
}

/** More of them find more, at length: `ZSET_RUNS=1000 vitest run …`. */
const RUNS = Number(process.env.ZSET_RUNS ?? 40)

const SETUP = [
  ['SET', 'text', 'x'],
  ['SADD', 'set', 'm1', 'm2', 'm3', '5', ''],
  ['SADD', 'numbers', '1', '2', '3', '5', '300', '-7'],
]

describe.skipIf(!hasReference)('sorted set commands beside a reference server', () => {
  let reference: ReferenceClient
  beforeAll(async () => {
    reference = await ReferenceClient.start()
  })
  afterAll(async () => {
    await reference.stop()
  })

  test.each([
    0, 4, 128,
  ])('random calls have the same replies with zset-max-listpack-entries %i, and leave nothing behind in the arena', async (entries) => {
    await fc.assert(
      fc.asyncProperty(fc.array(commands, { minLength: 20, maxLength: 120 }), async (calls) => {
        await reference.call('FLUSHALL')
        await reference.call('CONFIG', 'SET', 'zset-max-listpack-entries', String(entries))
        const bench = new CommandBench([zsetCommands, setCommands, stringCommands])
        bench.ctx.mayBlock = false
        bench.keyspace.limits.zsetMaxListpackEntries = entries
        const whole = ['z1', 'z2', 'z3', 'lex'].map((name) => ['ZRANGE', name, '0', '-1', 'WITHSCORES'])
        for (const words of [...SETUP, ...calls, ...whole]) {
          const ours = normalized(words, bench.call(...words))
          expect([words, ours]).toEqual([words, normalized(words, await reference.call(...words))])
        }
        const [held, accounted] = bench.accounts()
        expect(held).toEqual(accounted)
      }),
      { numRuns: RUNS },
    )
  }, 120_000)
})
