/** Random calls of geo commands, answered by the bench and by a reference server alike. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { geoCommands } from '../../../src/commands/geo/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { zsetCommands } from '../../../src/commands/zset/index.ts'
import { hasReference } from '../../bytes/reference-server.ts'
import { CommandBench } from '../command-bench.ts'
import { ReferenceClient } from '../reference-client.ts'
import type { Reply } from '../resp-decode.ts'

const LATITUDE_MAX = 85.05112878

const key = fc.constantFrom('g1', 'g1', 'g1', 'g2', 'none', 'text', 'odd')
const member = fc.nat(120).map((n) => `m${n}`)
const digits = (number: number): string => String(Number(number.toFixed(6)))
const longitude = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: -180, max: 180, noNaN: true }).map(digits) },
  { weight: 3, arbitrary: fc.double({ min: 179, max: 180, noNaN: true }).map(digits) },
  { weight: 3, arbitrary: fc.double({ min: -180, max: -179, noNaN: true }).map(digits) },
  { weight: 2, arbitrary: fc.constantFrom('180', '-180', '0', '1e-7', '13.361389', '0x10', '-90') },
)
const latitude = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: -85, max: 85, noNaN: true }).map(digits) },
  { weight: 3, arbitrary: fc.double({ min: 80, max: 85.05, noNaN: true }).map(digits) },
  { weight: 3, arbitrary: fc.double({ min: -85.05, max: -80, noNaN: true }).map(digits) },
  { weight: 2, arbitrary: fc.constantFrom(String(LATITUDE_MAX), String(-LATITUDE_MAX), '0', '38.115556', '45') },
)
const badNumber = fc.constantFrom('x', '', '181', '-180.0078125', '90', '-1e300', 'inf', 'nan', '86', ' 1')
const coordinates = fc.oneof(
  { weight: 20, arbitrary: fc.tuple(longitude, latitude) },
  { weight: 1, arbitrary: fc.tuple(badNumber, latitude) },
  { weight: 1, arbitrary: fc.tuple(longitude, badNumber) },
)
/** Without bias to a few numbers: of members with the same distance, Redis' partial sort takes others with COUNT. */
const spread = (max: number): fc.Arbitrary<string> =>
  fc.noBias(fc.integer({ min: -max * 1e6, max: max * 1e6 })).map((number) => String(number / 1e6))
const memberCoordinates = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(spread(180), spread(85)) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('180', '-180', '179.99999'), spread(85)) },
  { weight: 2, arbitrary: fc.tuple(spread(180), fc.constantFrom(String(LATITUDE_MAX), String(-LATITUDE_MAX), '84.9')) },
)
const size = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 21_000, noNaN: true }).map(digits) },
  { weight: 3, arbitrary: fc.double({ min: 0, max: 500, noNaN: true }).map(digits) },
  { weight: 2, arbitrary: fc.constantFrom('0', '1', '40000', '1e9', 'inf', '1e-320') },
)
const badSize = fc.constantFrom('-1', 'x', '', 'nan')
const anySize = fc.oneof({ weight: 20, arbitrary: size }, { weight: 1, arbitrary: badSize })
const unit = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('km', 'km', 'km', 'mi', 'm', 'FT', 'Km') },
  { weight: 1, arbitrary: fc.constantFrom('parsec', '') },
)
const count = fc.constantFrom('1', '3', '10', '1000', '0', '-1', 'x')
const facts = fc.subarray(['WITHDIST', 'WITHCOORD', 'withhash'])
const order = anyOf([], [], ['ASC'], ['desc'], ['ASC', 'DESC'])
const counted = fc.oneof(
  { weight: 3, arbitrary: fc.constant<string[]>([]) },
  { weight: 2, arbitrary: count.map((text) => ['COUNT', text]) },
  { weight: 1, arbitrary: count.map((text) => ['COUNT', text, 'ANY']) },
  { weight: 1, arbitrary: anyOf(['ANY'], ['COUNT'], ['STOREDIST'], ['STORE', 'g2'], ['other']) },
)
const middle = fc.oneof(
  { weight: 6, arbitrary: coordinates.map((pair) => ['FROMLONLAT', ...pair]) },
  { weight: 4, arbitrary: member.map((name) => ['frommember', name]) },
  { weight: 1, arbitrary: anyOf([], ['FROMMEMBER'], ['FROMMEMBER', 'm1', 'FROMLONLAT', '1', '1']) },
)
const shape = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(anySize, unit).map((pair) => ['BYRADIUS', ...pair]) },
  { weight: 6, arbitrary: fc.tuple(anySize, anySize, unit).map((list) => ['bybox', ...list]) },
  { weight: 1, arbitrary: anyOf([], ['BYBOX', '1', '1'], ['BYRADIUS', '1', 'km', 'BYBOX', '1', '1', 'km']) },
)
const store = anyOf([], ['STORE', 'g2'], ['storedist', 'g2'], ['STORE', 'g1'], ['STORE', 'g2', 'STOREDIST', 'g3'])
const flags = fc.array(fc.constantFrom('NX', 'XX', 'CH', 'ch', 'xx'), { maxLength: 2 })
const additions = fc
  .array(fc.tuple(memberCoordinates, member), { minLength: 1, maxLength: 60 })
  .map((list) => list.flatMap(([pair, name]) => [...pair, name]))

function anyOf(...choices: string[][]): fc.Arbitrary<string[]> {
  return fc.nat({ max: choices.length - 1 }).map((n) => choices[n] ?? [])
}

function command(name: string, ...parts: fc.Arbitrary<string | string[]>[]): fc.Arbitrary<string[]> {
  return fc.tuple(...parts).map((list) => [name, ...list.flat()])
}

const commands = fc.oneof(
  { weight: 8, arbitrary: command('GEOADD', key, additions) },
  { weight: 3, arbitrary: command('GEOADD', key, flags, additions) },
  { weight: 1, arbitrary: command('GEOADD', key, flags, fc.tuple(badNumber, latitude), member) },
  { weight: 3, arbitrary: command('GEOPOS', key, fc.array(member, { maxLength: 5 })) },
  { weight: 3, arbitrary: command('GEOHASH', key, fc.array(member, { maxLength: 5 })) },
  { weight: 3, arbitrary: command('GEODIST', key, member, member, anyOf([], ['km'], ['ft'], ['x'], ['m', 'x'])) },
  { weight: 12, arbitrary: command('GEOSEARCH', key, middle, shape, order, counted, facts) },
  { weight: 4, arbitrary: command('geosearchstore', fc.constantFrom('g2', 'g3'), key, middle, shape, order, counted) },
  { weight: 3, arbitrary: command('GEORADIUS', key, coordinates, anySize, unit, order, counted, store) },
  { weight: 2, arbitrary: command('GEORADIUS', key, coordinates, anySize, unit, order, counted, facts, store) },
  { weight: 3, arbitrary: command('GEORADIUSBYMEMBER', key, member, anySize, unit, order, counted, store) },
  { weight: 1, arbitrary: command('GEORADIUS_RO', key, coordinates, anySize, unit, counted, facts, store) },
  { weight: 1, arbitrary: command('GEORADIUSBYMEMBER_RO', key, member, anySize, unit, counted, facts, store) },
)

const SETUP = [
  ['SET', 'text', 'x'],
  ['ZADD', 'odd', '-5', 'm1', '1.5', 'm2', '9223372036854775807', 'm3', '1e300', 'm4', '-1e300', 'm5', '-inf', 'm6'],
  ['ZADD', 'odd', 'inf', 'm7', '18446744073709551615', 'm8', '4503599627370495', 'm9', '9007199254740993', 'm10'],
]

/** The results of STOREDIST may differ in the last bit, as sines and their inverses are not exact. */
function normalized(reply: Reply, isScored: boolean): Reply {
  if (!isScored || !Array.isArray(reply)) return reply
  return reply.map((item, n) => (n % 2 === 1 ? Number(item).toPrecision(14) : item))
}

/** More of them find more, at length: `GEO_RUNS=1000 vitest run …`. */
const RUNS = Number(process.env.GEO_RUNS ?? 30)

describe.skipIf(!hasReference)('geo commands beside a reference server', () => {
  let reference: ReferenceClient
  beforeAll(async () => {
    reference = await ReferenceClient.start()
  })
  afterAll(async () => {
    await reference.stop()
  })

  test.each([
    0, 128,
  ])('random calls have the same replies in the same order with zset-max-listpack-entries %i', async (entries) => {
    await fc.assert(
      fc.asyncProperty(fc.array(commands, { minLength: 20, maxLength: 60 }), async (calls) => {
        await reference.call('FLUSHALL')
        await reference.call('CONFIG', 'SET', 'zset-max-listpack-entries', String(entries))
        const bench = new CommandBench([geoCommands, zsetCommands, stringCommands])
        bench.keyspace.limits.zsetMaxListpackEntries = entries
        const whole = ['g1', 'g2', 'g3'].map((name) => ['ZRANGE', name, '0', '-1', 'WITHSCORES'])
        for (const words of [...SETUP, ...calls, ...whole]) {
          const isScored = words[0] === 'ZRANGE'
          const ours = normalized(bench.call(...words), isScored)
          expect([words, ours]).toEqual([words, normalized(await reference.call(...words), isScored)])
        }
        const [held, accounted] = bench.accounts()
        expect(held).toEqual(accounted)
      }),
      { numRuns: RUNS },
    )
  }, 120_000)
})
