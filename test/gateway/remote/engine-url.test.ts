/** URLs of remote engines: what they mean, and what is wrong with others, without a secret in any error. */
import { describe, expect, test } from 'vitest'
import {
  describeTarget,
  EngineUrlError,
  parseEngineUrl,
  parseRedisUrl,
  RedisUrlError,
} from '../../../src/gateway/remote/engine-url.ts'
import { keySlot } from '../../../src/gateway/remote/key-slot.ts'

const NOBODY = { username: '', password: '' }
const PLAIN = {
  kind: 'single',
  addresses: [{ host: 'db', port: 6379 }],
  primaryName: '',
  credentials: NOBODY,
  sentinelCredentials: NOBODY,
  db: 0,
  tls: null,
}

describe('an engine URL', () => {
  test.each([
    ['redis://db', {}],
    ['REDIS://db', {}],
    ['redis://db:7000/3', { addresses: [{ host: 'db', port: 7000 }], db: 3 }],
    ['redis://db?db=3', { db: 3 }],
    ['redis://db/', {}],
    ['rediss://[::1]:7000', { addresses: [{ host: '::1', port: 7000 }], tls: {} }],
    ['redis://:p%40ss@db', { credentials: { username: '', password: 'p@ss' } }],
    ['redis://ann:se:cret@db', { credentials: { username: 'ann', password: 'se:cret' } }],
    ['redis://p@ss:x@db', { credentials: { username: 'p@ss', password: 'x' } }],
    [
      'redis-sentinel://ann:pw@s1,s2:7000/main?db=2&tls=yes&sentinel-user=u&sentinel-password=%26',
      {
        kind: 'sentinel',
        addresses: [
          { host: 's1', port: 26379 },
          { host: 's2', port: 7000 },
        ],
        primaryName: 'main',
        credentials: { username: 'ann', password: 'pw' },
        sentinelCredentials: { username: 'u', password: '&' },
        db: 2,
        tls: {},
      },
    ],
    [
      'redis-cluster://n1:7000,n2',
      {
        kind: 'cluster',
        addresses: [
          { host: 'n1', port: 7000 },
          { host: 'n2', port: 6379 },
        ],
      },
    ],
  ])('%s is understood', (url, expected) => {
    expect(parseEngineUrl(url)).toEqual({ ...PLAIN, ...expected })
  })

  test.each([
    ['', "it must be 'local' or begin with redis://, rediss://, redis-sentinel://, redis-cluster://"],
    ['SECRET', "it must be 'local' or begin with redis://, rediss://, redis-sentinel://, redis-cluster://"],
    ['http://SECRET@db', "it must be 'local' or begin with redis://, rediss://, redis-sentinel://, redis-cluster://"],
    ['redis://:SE#CRET@db', "there must be no '#'; in user and password write %23"],
    ['redis://:SE/CRET@db', "'/', '?' and '@' in user and password must be written as %2F, %3F and %40"],
    ['redis://:SE?CRET@db', "'/', '?' and '@' in user and password must be written as %2F, %3F and %40"],
    ['redis://:%SECRET@db', "what is percent-encoded is malformed: write '%' itself as %25"],
    ['redis://', 'a host is missing or malformed'],
    ['redis://:SECRET@', 'a host is missing or malformed'],
    ['redis://SE CRET', 'a host is missing or malformed'],
    ['redis://[::1', 'a host is missing or malformed'],
    ['redis://db:SECRET', 'a port must be a number from 1 to 65535'],
    ['redis://db:0', 'a port must be a number from 1 to 65535'],
    ['redis://db:65536', 'a port must be a number from 1 to 65535'],
    ['redis://a,b', 'several addresses are for redis-sentinel and redis-cluster'],
    [`redis-cluster://${Array(51).fill('n')}`, 'there are more than 50 addresses'],
    ['redis://db/SECRET', 'the database must be a number'],
    ['redis://db/1?db=2', 'the database stands in the path and in db'],
    ['redis-cluster://n?db=1', 'a cluster has database 0 only'],
    ['redis-sentinel://s', 'redis-sentinel needs the name of the primary: redis-sentinel://host:port/name'],
    ['redis-sentinel://s/a b', "the name of the primary may have letters, digits, '.', '-' and '_'"],
    ['redis://db?SECRET=1', 'parameters are db, tls, sentinel-user and sentinel-password'],
    ['redis-cluster://db?tls=SECRET', "tls must be 'yes' or 'no'"],
    ['rediss://db?tls=no', 'TLS is said by the scheme, rediss, not by tls'],
    ['redis://db?sentinel-password=SECRET', 'sentinel-user and sentinel-password are for redis-sentinel'],
  ])('%s is refused', (url, reason) => {
    expect(() => parseEngineUrl(url)).toThrow(new EngineUrlError(reason))
    const reasonElsewhere = reason.replace("be 'local' or ", '')
    expect(() => parseRedisUrl(url)).toThrow(new RedisUrlError(reasonElsewhere))
  })

  test('is described without its secrets', () => {
    const describe = (url: string): string => describeTarget(parseEngineUrl(url))
    expect(describe('redis://ann:SECRET@db:7000/2')).toBe('server db:7000, database 2')
    expect(describe('redis-sentinel://:SECRET@s1,[::1]/main?sentinel-password=SECRET')).toBe(
      'primary main of Sentinel s1:26379, [::1]:26379',
    )
    expect(describe('redis-cluster://:SECRET@a,b:1')).toBe('cluster a:6379, b:1')
  })
})

test('the slot of a key is that of its hash tag', () => {
  expect(keySlot(Buffer.from('123456789'))).toBe(12739)
  expect(keySlot(Buffer.from('foo{123456789}bar'))).toBe(12739)
  expect(keySlot(Buffer.from('{}123456789'))).not.toBe(12739)
})
