/** Geo commands: replies, order of checks, effects and events. Positions as in redis.io/commands/geoadd. */
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { formatLongDouble, longDoubleOf } from '../../../src/bytes/long-double.ts'
import { coordinateText } from '../../../src/commands/geo/geo-arguments.ts'
import { geoCommands } from '../../../src/commands/geo/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { zsetCommands } from '../../../src/commands/zset/index.ts'
import { CommandBench } from '../command-bench.ts'

let bench: CommandBench

beforeEach(() => {
  bench = new CommandBench([geoCommands, zsetCommands, stringCommands])
  bench.call('GEOADD', 'Sicily', '13.361389', '38.115556', 'Palermo', '15.087269', '37.502669', 'Catania')
  bench.effects.length = 0
  bench.events.length = 0
})

afterEach(() => {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('GEOADD is recorded as ZADD with the scores, and says zadd in its event', () => {
  expect(bench.call('GEOADD', 'k', 'CH', '13.361389', '38.115556', 'Palermo')).toBe(1)
  expect(bench.effects).toEqual(['zadd k CH 3479099956230698 Palermo'])
  expect(bench.events).toEqual(['zadd k'])
  expect(bench.call('ZSCORE', 'k', 'Palermo')).toBe('3479099956230698')
})

test('GEOADD that changes nothing records nothing', () => {
  expect(bench.call('GEOADD', 'Sicily', 'NX', '1', '1', 'Palermo')).toBe(0)
  expect(bench.call('GEOADD', 'Sicily', '13.361389', '38.115556', 'Palermo')).toBe(0)
  expect(bench.call('GEOADD', 'none', 'XX', '1', '1', 'Palermo')).toBe(0)
  expect(bench.effects).toEqual([])
})

test('GEOADD checks syntax, then positions, then the type of the key', () => {
  bench.call('SET', 'text', 'x')
  expect(bench.call('GEOADD', 'text', 'NX', 'XX', '999', '1', 'm')).toBe('-ERR syntax error')
  expect(bench.call('GEOADD', 'text', '1', '1', 'm', '2')).toBe('-ERR syntax error')
  expect(bench.call('GEOADD', 'text', 'NX', 'CH', 'NX')).toBe('-ERR syntax error')
  expect(bench.call('GEOADD', 'text', '999', '1', 'm')).toBe('-ERR invalid longitude,latitude pair 999.000000,1.000000')
  expect(bench.call('GEOADD', 'text', '-180.0078125', '1', 'm')).toBe(
    '-ERR invalid longitude,latitude pair -180.007812,1.000000',
  )
  expect(bench.call('GEOADD', 'text', 'x', '1', 'm')).toBe('-ERR value is not a valid float')
  expect(bench.call('GEOADD', 'text', '1', '1', 'm')).toMatch(/^-WRONGTYPE/)
})

test('coordinates are bulk strings in RESP2 and doubles with the same digits in RESP3', () => {
  const texts = ['13.36138933897018433', '38.11555639549629859']
  expect(bench.call('GEOPOS', 'Sicily', 'Palermo', 'none')).toEqual([texts, null])
  expect(bench.wire('GEOPOS', 'Sicily', 'none')).toBe('*1\r\n*-1\r\n')
  bench.speak(3)
  expect(bench.wire('GEOPOS', 'Sicily', 'Palermo', 'none')).toBe(
    '*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n',
  )
})

test('coordinates have the digits of a long double, rounded to even in the midst of two numbers', () => {
  expect(coordinateText(3 / 2 ** 18)).toBe('0.00001144409179688')
  expect(coordinateText(5 / 2 ** 18)).toBe('0.00001907348632812')
  for (const value of [0, -0, -1e-18, 180, -180, 100]) {
    expect([value, coordinateText(value)]).toEqual([value, formatLongDouble(longDoubleOf(value))])
  }
  const ties = fc.integer({ min: -180 * 2 ** 18, max: 180 * 2 ** 18 }).map((n) => n / 2 ** 18)
  fc.assert(
    fc.property(fc.oneof(fc.double({ min: -180, max: 180, noNaN: true }), ties), (value) => {
      expect(coordinateText(value)).toBe(formatLongDouble(longDoubleOf(value)))
    }),
    { numRuns: 500 },
  )
})

test('GEOHASH has 11 letters, GEODIST four digits behind the point', () => {
  expect(bench.call('GEOHASH', 'Sicily', 'Palermo', 'none', 'Catania')).toEqual(['sqc8b49rny0', null, 'sqdtr74hyu0'])
  expect(bench.call('GEODIST', 'Sicily', 'Palermo', 'Catania')).toBe('166274.1516')
  expect(bench.call('GEODIST', 'Sicily', 'Palermo', 'Catania', 'mi')).toBe('103.3182')
  expect(bench.call('GEODIST', 'Sicily', 'Palermo', 'Palermo', 'KM')).toBe('0.0000')
  expect(bench.call('GEODIST', 'Sicily', 'Palermo', 'none')).toBe(null)
  expect(bench.call('GEODIST', 'none', 'a', 'b', 'parsec')).toBe(
    '-ERR unsupported unit provided. please use M, KM, FT, MI',
  )
  expect(bench.call('GEODIST', 'none', 'a', 'b', 'm', 'x')).toBe('-ERR syntax error')
})

test('a search shows distance, hash and position, in this order', () => {
  const search = ['GEOSEARCH', 'Sicily', 'FROMLONLAT', '15', '37', 'BYRADIUS', '200', 'km', 'ASC']
  expect(bench.call(...search, 'WITHCOORD', 'WITHHASH', 'WITHDIST')).toEqual([
    ['Catania', '56.4413', 3479447370796909, ['15.08726745843887329', '37.50266842333162032']],
    ['Palermo', '190.4424', 3479099956230698, ['13.36138933897018433', '38.11555639549629859']],
  ])
  expect(bench.call(...search, 'COUNT', '1')).toEqual(['Catania'])
})

test('the easternmost and northernmost position has a score of 54 bits and is found', () => {
  bench.call('GEOADD', 'edge', '180', '85.05112878', 'corner')
  expect(bench.call('ZSCORE', 'edge', 'corner')).toBe('13510798882111488')
  expect(bench.call('GEOSEARCH', 'edge', 'FROMMEMBER', 'corner', 'BYRADIUS', '1', 'm', 'WITHHASH')).toEqual([
    ['corner', 13510798882111488n],
  ])
})

test('GEOSEARCHSTORE replaces any value, and deletes the destination when nothing is found', () => {
  bench.call('SET', 'to', 'x')
  const circle = ['FROMLONLAT', '15', '37', 'BYRADIUS', '200', 'km']
  expect(bench.call('GEOSEARCHSTORE', 'to', 'Sicily', ...circle, 'STOREDIST')).toBe(2)
  expect(bench.call('ZRANGE', 'to', '0', '-1')).toEqual(['Catania', 'Palermo'])
  expect(Number(bench.call('ZSCORE', 'to', 'Catania'))).toBeCloseTo(56.4413, 4)
  expect(bench.call('GEOSEARCHSTORE', 'to', 'Sicily', 'FROMLONLAT', '0', '0', 'BYRADIUS', '1', 'm')).toBe(0)
  expect(bench.call('GET', 'to')).toBe(null)
  expect(bench.call('GEOSEARCHSTORE', 'to', 'none', ...circle)).toBe(0)
  expect(bench.events).toEqual(['set to', 'geosearchstore to', 'del to'])
  expect(bench.effects.slice(1)).toEqual([
    `GEOSEARCHSTORE to Sicily ${circle.join(' ')} STOREDIST`,
    'GEOSEARCHSTORE to Sicily FROMLONLAT 0 0 BYRADIUS 1 m',
  ])
})

test('a search may be stored in its own source', () => {
  expect(bench.call('GEORADIUS', 'Sicily', '15', '37', '100', 'km', 'STORE', 'Sicily')).toBe(1)
  expect(bench.call('ZRANGE', 'Sicily', '0', '-1', 'WITHSCORES')).toEqual(['Catania', '3479447370796909'])
  expect(bench.events).toEqual(['georadiusstore Sicily'])
})

test('what a search lacks, or has too much of, is told in its own words', () => {
  const far = ['FROMLONLAT', '15', '37']
  const circle = ['BYRADIUS', '1', 'km']
  for (const [words, error] of [
    [
      ['geoSEARCH', 'Sicily', ...circle, 'ASC', 'WITHDIST'],
      'exactly one of FROMMEMBER or FROMLONLAT can be specified for geoSEARCH',
    ],
    [
      ['GEOSEARCH', 'Sicily', ...far, 'ASC', 'DESC'],
      'exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH',
    ],
    [['GEOSEARCH', 'Sicily', ...far, ...circle, 'BYBOX', '1', '1', 'm'], 'syntax error'],
    [['GEOSEARCH', 'Sicily', ...far, ...circle, 'ANY'], 'the ANY argument requires COUNT argument'],
    [['GEOSEARCH', 'Sicily', ...far, ...circle, 'COUNT', '0'], 'COUNT must be > 0'],
    [['GEOSEARCH', 'Sicily', ...far, ...circle, 'STOREDIST'], 'syntax error'],
    [['GEOSEARCH', 'Sicily', ...far, 'BYBOX', '1', '-1', 'm'], 'height or width cannot be negative'],
    [['GEOSEARCH', 'Sicily', ...far, 'BYBOX', 'x', 'y', 'm'], 'need numeric width'],
    [['GEOSEARCH', 'Sicily', ...far, 'BYRADIUS', 'x', 'm'], 'need numeric radius'],
    [['GEOSEARCH', 'Sicily', ...far, 'BYRADIUS', '-1', 'm'], 'radius cannot be negative'],
    [['GEOSEARCH', 'Sicily', 'FROMMEMBER', 'none', ...circle], 'could not decode requested zset member'],
    [
      ['GEOSEARCHSTORE', 'to', 'Sicily', ...far, ...circle, 'WITHDIST'],
      'GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options',
    ],
    [
      ['GEORADIUS', 'Sicily', '1', '1', '1', 'm', 'STORE', 'to', 'WITHHASH'],
      'STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options',
    ],
    [['GEORADIUS_RO', 'Sicily', '1', '1', '1', 'm', 'STORE', 'to'], 'syntax error'],
  ] as const) {
    expect([words, bench.call(...words)]).toEqual([words, `-ERR ${error}`])
  }
})

test('thousands of hits are sorted, cut and counted right', () => {
  const count = 5000
  for (let n = 0; n < count; n++)
    bench.call('GEOADD', 'many', String((n * 7919) % 170), String((n * 104729) % 80), `m${n}`)
  const search = ['GEOSEARCH', 'many', 'FROMLONLAT', '0', '0', 'BYRADIUS', '21000', 'km', 'WITHDIST']
  const all = bench.call(...search, 'ASC') as [string, string][]
  expect(all.length).toBe(count)
  const distances = all.map(([, distance]) => Number(distance))
  expect(distances).toEqual([...distances].sort((a, b) => a - b))
  expect(bench.call(...search, 'COUNT', '100')).toEqual(all.slice(0, 100))
  expect(
    (bench.call(...search, 'COUNT', '4999', 'DESC') as [string, string][]).map(([, distance]) => distance),
  ).toEqual(
    all
      .map(([, distance]) => distance)
      .reverse()
      .slice(0, 4999),
  )
  expect((bench.call(...search, 'COUNT', '7', 'ANY') as unknown[]).length).toBe(7)
})
