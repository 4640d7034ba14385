/** The commands on keys of any type: replies, errors in their order, events, effects and accounting. */
import { beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { listCommands } from '../../../src/commands/list/index.ts'
import { setCommands } from '../../../src/commands/set/index.ts'
import { streamCommands } from '../../../src/commands/stream/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { zsetCommands } from '../../../src/commands/zset/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const SYNTAX_ERROR = '-ERR syntax error'
const DB_OUT_OF_RANGE = '-ERR DB index is out of range'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([
    stringCommands,
    genericCommands,
    hashCommands,
    listCommands,
    setCommands,
    streamCommands,
    zsetCommands,
  ])
})

function expectNoLeak(): void {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
}

/** One key of each kind, small and big. */
function fillAllKinds(): void {
  const many = Array.from({ length: 1000 }, (_, n) => `element ${n}`)
  bench.call('SET', 'integer', '12')
  bench.call('SET', 'bytes', 'some text')
  bench.call('RPUSH', 'small list', '1', 'b')
  bench.call('RPUSH', 'big list', ...many, ...many)
  bench.call('HSET', 'small hash', 'a', '1')
  bench.call('HSET', 'big hash', ...many)
  bench.call('SADD', 'intset', '1', '2')
  bench.call('SADD', 'small set', 'a', '2')
  bench.call('SADD', 'big set', ...many)
  bench.call('ZADD', 'small zset', '1', 'a', '2', 'b')
  bench.call('ZADD', 'big zset', ...many.flatMap((element, n) => [String(n % 7), element]))
  for (let n = 1; n < 300; n++) bench.call('XADD', 'stream', `${n}-1`, 'field', `value ${n}`)
  bench.call('XDEL', 'stream', '7-1')
}

/** What a key holds, whole, in an order of its own. */
function contents(key: string): unknown {
  switch (bench.call('TYPE', key)) {
    case 'string':
      return bench.call('GET', key)
    case 'list':
      return bench.call('LRANGE', key, '0', '-1')
    case 'hash':
      return (bench.call('HGETALL', key) as string[]).toSorted()
    case 'set':
      return (bench.call('SMEMBERS', key) as string[]).toSorted()
    case 'zset':
      return bench.call('ZRANGE', key, '0', '-1', 'WITHSCORES')
    case 'stream':
      return bench.call('XRANGE', key, '-', '+')
    default:
      return null
  }
}

describe('DEL, UNLINK, EXISTS, TOUCH and TYPE', () => {
  test('DEL deletes values of every kind, counts each key once and leaks nothing', () => {
    fillAllKinds()
    const keys = bench.call('KEYS', '*') as string[]
    bench.takeEvents()
    expect(bench.call('DEL', 'none', ...keys, ...keys)).toBe(keys.length)
    expect(bench.takeEvents().toSorted()).toEqual(keys.map((key) => `del ${key}`).toSorted())
    expect(bench.keyspace.arena.liveBlocks).toBe(0)
  })

  test('DEL of missing and expired keys is no change of its own', () => {
    bench.call('SET', 'k', 'v', 'PX', '10')
    bench.takeEffects()
    bench.pass(10)
    expect(bench.call('UNLINK', 'k', 'none')).toBe(0)
    expect(bench.call('DBSIZE')).toBe(0)
    expect(bench.takeEffects()).not.toContain('UNLINK k none')
  })

  test('EXISTS counts a key named twice twice and, unlike TOUCH, does not renew its access time', () => {
    bench.call('SET', 'k', 'v')
    bench.pass(5000)
    expect(bench.call('EXISTS', 'k', 'none', 'k')).toBe(2)
    expect(bench.call('TYPE', 'k')).toBe('string')
    expect(bench.call('TTL', 'k')).toBe(-1)
    expect(bench.call('OBJECT', 'IDLETIME', 'k')).toBe(5)
    expect(bench.call('TOUCH', 'k', 'none')).toBe(1)
    expect(bench.call('OBJECT', 'IDLETIME', 'k')).toBe(0)
  })

  test('EXISTS counts hits and misses', () => {
    bench.call('SET', 'k', 'v')
    bench.call('EXISTS', 'k', 'none', 'k')
    expect(bench.keyspace.stats).toMatchObject({ hits: 2, misses: 1 })
  })

  test('TYPE names all types', () => {
    fillAllKinds()
    const types = ['bytes', 'integer', 'big list', 'small hash', 'intset', 'big zset', 'stream', 'none']
    expect(types.map((key) => bench.call('TYPE', key))).toEqual([
      'string',
      'string',
      'list',
      'hash',
      'set',
      'zset',
      'stream',
      'none',
    ])
  })
})

describe('KEYS, SCAN and RANDOMKEY', () => {
  test('KEYS matches by pattern and leaves expired keys out', () => {
    bench.call('MSET', 'one', '1', 'two', '2', 'three', '3', '', 'empty')
    bench.call('SET', 'tomorrow', 'x', 'PX', '10')
    bench.pass(10)
    expect((bench.call('KEYS', 't*') as string[]).toSorted()).toEqual(['three', 'two'])
    expect((bench.call('KEYS', '*') as string[]).toSorted()).toEqual(['', 'one', 'three', 'two'])
    expect(bench.call('DBSIZE')).toBe(4)
  })

  test('SCAN returns what is there all the time at least once, whatever comes and goes', () => {
    for (let n = 0; n < 500; n++) bench.call('SET', `stays:${n}`, '1')
    for (let n = 0; n < 500; n++) bench.call('SET', `goes:${n}`, '1')
    const seen = new Set<string>()
    let cursor = '0'
    let step = 0
    do {
      const [next, found] = bench.call('SCAN', cursor, 'COUNT', '7') as [string, string[]]
      for (const key of found) seen.add(key)
      cursor = next
      for (let n = 0; n < 4; n++, step++) bench.call('DEL', `goes:${(step * 37) % 500}`)
      bench.call('SET', `comes:${step}`, '1')
    } while (cursor !== '0')
    for (let n = 0; n < 500; n++) expect(seen).toContain(`stays:${n}`)
  })

  test('SCAN filters by pattern and type, and removes expired keys that it meets', () => {
    bench.call('MSET', 'a', '1', 'ab', '2')
    bench.call('RPUSH', 'al', '1')
    bench.call('SET', 'ax', 'x', 'PX', '10')
    bench.pass(10)
    expect(bench.call('SCAN', '0', 'TYPE', 'hash')).toEqual(['0', []])
    expect(bench.call('DBSIZE')).toBe(3)
    expect(bench.call('SCAN', '0', 'MATCH', 'a?', 'TYPE', 'string')).toEqual(['0', ['ab']])
    expect(bench.call('SCAN', '0', 'TYPE', 'LIST')).toEqual(['0', ['al']])
    expect(bench.call('SCAN', '0', 'TYPE', 'nonsense')).toEqual(['0', []])
  })

  test('SCAN checks the cursor, then the options', () => {
    expect(bench.call('SCAN', 'x', 'zz')).toBe('-ERR invalid cursor')
    expect(bench.call('SCAN', '0', 'zz')).toBe(SYNTAX_ERROR)
    expect(bench.call('SCAN', '0', 'COUNT', '0')).toBe(SYNTAX_ERROR)
    expect(bench.call('SCAN', '0', 'COUNT', 'x')).toBe(NOT_AN_INTEGER)
  })

  test('RANDOMKEY finds the one key that is not expired, and null in an empty database', () => {
    expect(bench.wire('RANDOMKEY')).toBe('$-1\r\n')
    for (let n = 0; n < 50; n++) bench.call('SET', `k${n}`, 'x', 'PX', '10')
    bench.call('SET', 'stays', 'x')
    bench.pass(10)
    bench.ctx.random = () => 0
    expect(bench.call('RANDOMKEY')).toBe('stays')
    bench.call('DEL', 'stays')
    expect(bench.call('RANDOMKEY')).toBe(null)
  })
})

describe('RENAME, COPY, MOVE and SWAPDB', () => {
  test('RENAME moves value, expire time and idle time, and replaces the destination', () => {
    bench.call('SET', 'a', 'x', 'EX', '100')
    bench.call('APPEND', 'a', 'y')
    bench.call('RPUSH', 'b', '1')
    bench.pass(3000)
    bench.takeEvents()
    bench.takeEffects()
    expect(bench.call('RENAME', 'a', 'b')).toBe('OK')
    expect(bench.takeEvents()).toEqual(['rename_from a', 'rename_to b'])
    expect(bench.takeEffects()).toEqual(['RENAME a b'])
    expect(bench.call('OBJECT', 'IDLETIME', 'b')).toBe(3)
    expect(bench.call('OBJECT', 'ENCODING', 'b')).toBe('raw')
    expect(bench.call('GET', 'b')).toBe('xy')
    expect(bench.call('TTL', 'b')).toBe(97)
    expect(bench.call('EXISTS', 'a')).toBe(0)
    expectNoLeak()
  })

  test('RENAME drops the expire time of the destination', () => {
    bench.call('SET', 'a', 'x')
    bench.call('SET', 'b', 'y', 'EX', '100')
    bench.call('RENAME', 'a', 'b')
    expect(bench.call('TTL', 'b')).toBe(-1)
  })

  test('RENAME onto an expired key that was not removed yet finds its source again', () => {
    bench.call('SET', 'b', 'old', 'PX', '10')
    bench.call('SET', 'a', 'new')
    bench.pass(10)
    expect(bench.call('RENAMENX', 'a', 'b')).toBe(1)
    expect(bench.call('GET', 'b')).toBe('new')
    expect(bench.call('DBSIZE')).toBe(1)
    expectNoLeak()
  })

  test('RENAME of a missing key is an error, of a key to itself nothing', () => {
    expect(bench.call('RENAME', 'none', 'none')).toBe('-ERR no such key')
    expect(bench.call('RENAMENX', 'none', 'b')).toBe('-ERR no such key')
    bench.call('SET', 'a', 'x')
    bench.call('SET', 'b', 'x')
    bench.takeEffects()
    expect(bench.call('RENAME', 'a', 'a')).toBe('OK')
    expect(bench.call('RENAMENX', 'a', 'a')).toBe(0)
    expect(bench.call('RENAMENX', 'a', 'b')).toBe(0)
    expect(bench.takeEffects()).toEqual([])
  })

  test('COPY copies every kind deeply, in the same encoding', () => {
    fillAllKinds()
    for (const key of bench.call('KEYS', '*') as string[]) {
      expect(bench.call('COPY', key, `copy of ${key}`)).toBe(1)
      const copied = contents(`copy of ${key}`)
      expect(copied).toEqual(contents(key))
      expect(bench.encoding(`copy of ${key}`)).toBe(bench.encoding(key))
      bench.call('DEL', key)
      expect(contents(`copy of ${key}`)).toEqual(copied)
    }
    expectNoLeak()
    bench.call('FLUSHALL')
    expect(bench.keyspace.arena.liveBlocks).toBe(0)
  })

  test('COPY replaces only when told to, takes the expire time along and goes to other databases', () => {
    bench.call('SET', 'a', 'x', 'EX', '100')
    bench.call('SET', 'b', 'y')
    expect(bench.call('COPY', 'a', 'b')).toBe(0)
    expect(bench.call('COPY', 'a', 'b', 'REPLACE')).toBe(1)
    expect(bench.call('TTL', 'b')).toBe(100)
    expect(bench.call('COPY', 'a', 'a', 'DB', '1')).toBe(1)
    expect(bench.call('COPY', 'none', 'b', 'REPLACE')).toBe(0)
    bench.call('SELECT', '1')
    expect(bench.call('GET', 'a')).toBe('x')
    expect(bench.takeEvents().slice(-2)).toEqual(['copy_to b', 'copy_to a'])
    expectNoLeak()
  })

  test('COPY checks its options, then for the same key, then the keys', () => {
    expect(bench.call('COPY', 'a', 'a', 'zz')).toBe(SYNTAX_ERROR)
    expect(bench.call('COPY', 'a', 'a', 'DB')).toBe(SYNTAX_ERROR)
    expect(bench.call('COPY', 'a', 'a', 'DB', 'x')).toBe(NOT_AN_INTEGER)
    expect(bench.call('COPY', 'a', 'a', 'DB', '2')).toBe(DB_OUT_OF_RANGE)
    expect(bench.call('COPY', 'a', 'a', 'DB', '0')).toBe('-ERR source and destination objects are the same')
    expect(bench.call('COPY', 'a', 'a')).toBe('-ERR source and destination objects are the same')
  })

  test('MOVE takes a key with its expire time to another database, unless it exists there', () => {
    bench.call('SET', 'a', 'x', 'EX', '100')
    bench.call('SET', 'b', 'x')
    expect(bench.call('MOVE', 'a', '1')).toBe(1)
    expect(bench.takeEvents().slice(-2)).toEqual(['move_from a', 'move_to a'])
    expect(bench.call('MOVE', 'a', '1')).toBe(0)
    bench.call('SET', 'a', 'y')
    expect(bench.call('MOVE', 'a', '1')).toBe(0)
    bench.call('SELECT', '1')
    expect(bench.call('GET', 'a')).toBe('x')
    expect(bench.call('TTL', 'a')).toBe(100)
    expect(bench.call('MOVE', 'a', '1')).toBe('-ERR source and destination objects are the same')
    expect(bench.call('MOVE', 'a', '2')).toBe(DB_OUT_OF_RANGE)
    expect(bench.call('MOVE', 'a', 'x')).toBe(NOT_AN_INTEGER)
    expectNoLeak()
  })

  test('SWAPDB exchanges keys, marks watchers of keys that either database has and wakes blocked clients', () => {
    const [first, second] = bench.keyspace.databases
    const watchers = ['a', 'b', 'none'].map((key) => {
      const watcher = { watchDirty: false }
      first?.watchers.set(key, new Set([watcher]))
      return watcher
    })
    first?.blocked.add('list', { blockedOn: 1, blockedUnblocksOnNoKey: false })
    second?.addText('b', 2, 7)
    bench.call('SET', 'a', 'x', 'EX', '100')
    for (const watcher of watchers) watcher.watchDirty = false
    expect(bench.call('SWAPDB', '0', '1')).toBe('OK')
    expect(watchers.map((watcher) => watcher.watchDirty)).toEqual([true, true, false])
    expect(bench.keyspace.readyKeys).toEqual([{ db: first, key: 'list' }])
    expect(bench.call('GET', 'b')).toBe('7')
    bench.call('SELECT', '1')
    expect(bench.call('TTL', 'a')).toBe(100)
    expect(bench.takeEffects()).toContain('SWAPDB 0 1')
  })

  test('SWAPDB tells which index is invalid', () => {
    expect(bench.call('SWAPDB', 'x', 'y')).toBe('-ERR invalid first DB index')
    expect(bench.call('SWAPDB', '0', '99999999999')).toBe('-ERR invalid second DB index')
    expect(bench.call('SWAPDB', '0', '2')).toBe(DB_OUT_OF_RANGE)
    expect(bench.call('SWAPDB', '1', '1')).toBe('OK')
  })

  test('SELECT refuses what is no index of a database', () => {
    expect(bench.call('SELECT', 'x')).toBe(NOT_AN_INTEGER)
    expect(bench.call('SELECT', '-1')).toBe(DB_OUT_OF_RANGE)
    expect(bench.call('SELECT', '2')).toBe(DB_OUT_OF_RANGE)
    expect(bench.call('SELECT', '99999999999')).toBe(
      '-ERR value is out of range, value must between -2147483648 and 2147483647',
    )
  })

  test('FLUSHDB empties one database, FLUSHALL all; both are recorded even when nothing was there', () => {
    bench.call('SET', 'a', 'x', 'EX', '10')
    bench.call('COPY', 'a', 'a', 'DB', '1')
    expect(bench.call('FLUSHDB')).toBe('OK')
    expect(bench.call('DBSIZE')).toBe(0)
    bench.call('SELECT', '1')
    expect(bench.call('DBSIZE')).toBe(1)
    expect(bench.call('FLUSHALL', 'ASYNC')).toBe('OK')
    expect(bench.call('FLUSHDB', 'sync')).toBe('OK')
    expect(bench.call('FLUSHALL', 'zz')).toBe(SYNTAX_ERROR)
    expect(bench.call('FLUSHALL', 'SYNC', 'SYNC')).toBe(SYNTAX_ERROR)
    expect(bench.call('DBSIZE')).toBe(0)
    bench.keyspace.lazyFree.freeUntil(Number.POSITIVE_INFINITY)
    expect(bench.keyspace.arena.liveBlocks).toBe(0)
    expect(bench.takeEffects().slice(-4)).toEqual(['FLUSHDB', 'SELECT 1', 'FLUSHALL ASYNC', 'FLUSHDB sync'])
  })
})

describe('EXPIRE and its kin', () => {
  test('times are recorded as PEXPIREAT and emit expire', () => {
    bench.call('SET', 'k', 'v')
    const now = bench.ctx.now
    bench.takeEffects()
    bench.takeEvents()
    expect(bench.call('EXPIRE', 'k', '10')).toBe(1)
    expect(bench.call('PEXPIRE', 'k', '1500')).toBe(1)
    expect(bench.call('EXPIREAT', 'k', '4102444800')).toBe(1)
    expect(bench.call('PEXPIREAT', 'k', '4102444800123', 'XX')).toBe(1)
    expect(bench.call('EXPIRE', 'none', '10')).toBe(0)
    expect(bench.takeEffects()).toEqual([
      `PEXPIREAT k ${now + 10000}`,
      `PEXPIREAT k ${now + 1500}`,
      'PEXPIREAT k 4102444800000',
      'PEXPIREAT k 4102444800123',
    ])
    expect(bench.takeEvents()).toEqual(Array(4).fill('expire k'))
    expect(bench.call('EXPIRETIME', 'k')).toBe(4102444800)
    expect(bench.call('PEXPIRETIME', 'k')).toBe(4102444800123)
  })

  test('a time that is not in the future deletes the key and is recorded as DEL', () => {
    for (const call of [
      ['EXPIRE', '0'],
      ['PEXPIRE', '-1'],
      ['EXPIREAT', '1'],
      ['EXPIRE', '-9223372036854775'],
    ]) {
      bench.call('SET', 'k', 'v')
      bench.takeEffects()
      bench.takeEvents()
      expect(bench.call(call[0] ?? '', 'k', call[1] ?? '')).toBe(1)
      expect(bench.call('EXISTS', 'k')).toBe(0)
      expect(bench.takeEffects()).toEqual(['DEL k'])
      expect(bench.takeEvents()).toEqual(['del k'])
    }
    expectNoLeak()
  })

  test('NX, XX, GT and LT are conditions; no expire time counts as one that never comes', () => {
    bench.call('SET', 'k', 'v')
    expect(bench.call('EXPIRE', 'k', '100', 'XX')).toBe(0)
    expect(bench.call('EXPIRE', 'k', '100', 'GT')).toBe(0)
    expect(bench.call('EXPIRE', 'k', '100', 'NX')).toBe(1)
    expect(bench.call('EXPIRE', 'k', '200', 'NX')).toBe(0)
    expect(bench.call('EXPIRE', 'k', '100', 'GT')).toBe(0)
    expect(bench.call('EXPIRE', 'k', '101', 'gt', 'xx')).toBe(1)
    expect(bench.call('EXPIRE', 'k', '101', 'LT')).toBe(0)
    expect(bench.call('EXPIRE', 'k', '50', 'LT')).toBe(1)
    bench.call('PERSIST', 'k')
    expect(bench.call('EXPIRE', 'k', '50', 'LT', 'XX')).toBe(0)
    expect(bench.call('EXPIRE', 'k', '50', 'LT')).toBe(1)
  })

  test('options are checked before the time, the time before the key', () => {
    expect(bench.call('EXPIRE', 'none', 'x', 'zz')).toBe('-ERR Unsupported option zz')
    expect(bench.call('EXPIRE', 'none', 'x', 'NX', 'GT')).toBe(
      '-ERR NX and XX, GT or LT options at the same time are not compatible',
    )
    expect(bench.call('EXPIRE', 'none', 'x', 'LT', 'GT')).toBe(
      '-ERR GT and LT options at the same time are not compatible',
    )
    expect(bench.call('EXPIRE', 'none', 'x')).toBe(NOT_AN_INTEGER)
    expect(bench.call('EXPIRE', 'none', '9223372036854776')).toBe("-ERR invalid expire time in 'expire' command")
    expect(bench.call('EXPIRE', 'none', '-9223372036854776')).toBe("-ERR invalid expire time in 'expire' command")
    expect(bench.call('PEXPIRE', 'none', '9223372036854775807')).toBe("-ERR invalid expire time in 'pexpire' command")
    expect(bench.call('PEXPIREAT', 'none', '9223372036854775807')).toBe(0)
  })

  test('TTL rounds to seconds, and tells missing keys from those without an expire time', () => {
    bench.call('SET', 'k', 'v', 'PX', '1499')
    expect([bench.call('TTL', 'k'), bench.call('PTTL', 'k')]).toEqual([1, 1499])
    bench.call('PEXPIRE', 'k', '1500')
    expect(bench.call('TTL', 'k')).toBe(2)
    expect(bench.call('PERSIST', 'k')).toBe(1)
    expect(bench.call('PERSIST', 'k')).toBe(0)
    expect(bench.call('PERSIST', 'none')).toBe(0)
    expect(['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME'].map((name) => bench.call(name, 'k'))).toEqual([-1, -1, -1, -1])
    expect(['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME'].map((name) => bench.call(name, 'none'))).toEqual([
      -2, -2, -2, -2,
    ])
    expect(bench.takeEffects().filter((effect) => effect.startsWith('PERSIST'))).toEqual(['PERSIST k'])
  })
})

describe('OBJECT', () => {
  test('ENCODING names int, embstr and raw by value, length and history', () => {
    bench.call('MSET', 'int', '9223372036854775807', 'embstr', 'x'.repeat(44), 'raw', 'x'.repeat(45))
    bench.call('SETRANGE', 'ranged', '0', 'x')
    const names = ['int', 'embstr', 'raw', 'ranged'].map((key) => bench.call('OBJECT', 'ENCODING', key))
    expect(names).toEqual(['int', 'embstr', 'raw', 'raw'])
    bench.call('SET', 'ranged', 'y')
    expect(bench.call('OBJECT', 'ENCODING', 'ranged')).toBe('embstr')
  })

  test('REFCOUNT, FREQ and IDLETIME answer as without an LFU policy; a missing key is null', () => {
    bench.call('MSET', 'shared', '9999', 'own', '10000')
    expect(bench.call('OBJECT', 'REFCOUNT', 'shared')).toBe(2147483647)
    expect(bench.call('OBJECT', 'REFCOUNT', 'own')).toBe(1)
    expect(bench.call('OBJECT', 'FREQ', 'own')).toMatch(/^-ERR An LFU maxmemory policy is not selected/)
    for (const name of ['ENCODING', 'REFCOUNT', 'FREQ', 'IDLETIME'])
      expect(bench.call('OBJECT', name, 'none')).toBe(null)
  })

  test('a wrong or incomplete subcommand is refused', () => {
    expect(bench.call('OBJECT', 'zz', 'k')).toBe("-ERR unknown subcommand 'zz'. Try OBJECT HELP.")
    expect(bench.call('OBJECT', 'ENCODING')).toBe("-ERR wrong number of arguments for 'object|encoding' command")
    expect(bench.call('OBJECT')).toBe("-ERR wrong number of arguments for 'object' command")
    expect((bench.call('OBJECT', 'HELP') as string[])[0]).toMatch(/^OBJECT <subcommand>/)
  })
})

describe('SORT', () => {
  test('sorts lists, sets and sorted sets as numbers or texts, within LIMIT', () => {
    bench.call('RPUSH', 'l', '10', '9', '1', '2.5', '-3')
    bench.call('SADD', 's', 'b', 'a', 'C')
    bench.call('ZADD', 'z', '3', 'x', '1', 'z', '2', 'y')
    expect(bench.call('SORT', 'l')).toEqual(['-3', '1', '2.5', '9', '10'])
    expect(bench.call('SORT', 'l', 'DESC', 'LIMIT', '1', '2')).toEqual(['9', '2.5'])
    expect(bench.call('SORT', 'l', 'ALPHA')).toEqual(['-3', '1', '10', '2.5', '9'])
    expect(bench.call('SORT_RO', 's', 'ALPHA')).toEqual(['C', 'a', 'b'])
    expect(bench.call('SORT', 's')).toBe("-ERR One or more scores can't be converted into double")
    expect(bench.call('SORT', 'z', 'ALPHA', 'DESC')).toEqual(['z', 'y', 'x'])
    expect(bench.call('SORT', 'none')).toEqual([])
  })

  test('BY without a star keeps the order of lists and sorted sets, either way', () => {
    bench.call('RPUSH', 'l', 'c', 'a', 'b', 'd')
    bench.call('ZADD', 'z', '3', 'x', '1', 'z', '2', 'y')
    expect(bench.call('SORT', 'l', 'BY', 'nosort', 'LIMIT', '1', '2')).toEqual(['a', 'b'])
    expect(bench.call('SORT', 'l', 'BY', 'nosort', 'DESC', 'LIMIT', '1', '2')).toEqual(['b', 'a'])
    expect(bench.call('SORT', 'z', 'BY', 'nosort')).toEqual(['z', 'y', 'x'])
    expect(bench.call('SORT', 'z', 'BY', 'nosort', 'DESC', 'LIMIT', '0', '2')).toEqual(['x', 'y'])
    bench.call('SADD', 's', 'b', 'a', 'c')
    expect(bench.call('SORT', 's', 'BY', 'nosort', 'STORE', 'd')).toBe(3)
    expect(bench.call('LRANGE', 'd', '0', '-1')).toEqual(['a', 'b', 'c'])
  })

  test('BY and GET name keys and hash fields; what is missing weighs 0 or sorts first', () => {
    bench.call('RPUSH', 'l', '1', '2', '3')
    bench.call('MSET', 'w1', '30', 'w2', '10', 'x1->', 'arrow')
    bench.call('HSET', 'h1', 'f', 'bb')
    bench.call('HSET', 'h3', 'f', 'aa')
    expect(bench.call('SORT', 'l', 'BY', 'w*')).toEqual(['3', '2', '1'])
    expect(bench.call('SORT', 'l', 'BY', 'h*->f', 'ALPHA')).toEqual(['2', '3', '1'])
    expect(bench.call('SORT', 'l', 'GET', '#', 'GET', 'w*', 'GET', 'h*->f', 'LIMIT', '0', '2')).toEqual([
      '1',
      '30',
      'bb',
      '2',
      '10',
      null,
    ])
    expect(bench.call('SORT', 'l', 'GET', 'x*->', 'GET', 'fixed', 'LIMIT', '0', '1')).toEqual(['arrow', null])
  })

  test('STORE makes a list of the result, or deletes the key when there is none', () => {
    bench.call('RPUSH', 'l', '3', '1', '2')
    bench.call('SET', 'd', 'x', 'EX', '100')
    bench.takeEffects()
    bench.takeEvents()
    expect(bench.call('SORT', 'l', 'GET', 'none*', 'STORE', 'd')).toBe(3)
    expect(bench.call('LRANGE', 'd', '0', '-1')).toEqual(['', '', ''])
    expect(bench.call('TTL', 'd')).toBe(-1)
    expect(bench.call('SORT', 'l', 'STORE', 'l')).toBe(3)
    expect(bench.call('LRANGE', 'l', '0', '-1')).toEqual(['1', '2', '3'])
    expect(bench.call('SORT', 'none', 'STORE', 'd')).toBe(0)
    expect(bench.call('EXISTS', 'd')).toBe(0)
    expect(bench.takeEvents()).toEqual(['sortstore d', 'sortstore l', 'del d'])
    expect(bench.takeEffects()).toHaveLength(3)
    expectNoLeak()
  })

  test('a big result is stored as a big list', () => {
    const many = Array.from({ length: 3000 }, (_, n) => `element ${n}`)
    bench.call('RPUSH', 'l', ...many)
    expect(bench.call('SORT', 'l', 'ALPHA', 'STORE', 'd')).toBe(3000)
    expect(bench.encoding('d')).toBe('quicklist')
    expect(bench.call('LRANGE', 'd', '0', '-1')).toEqual(many.toSorted())
    expectNoLeak()
  })

  test('options are checked before the key; SORT_RO knows no STORE', () => {
    bench.call('SET', 'text', 'x')
    expect(bench.call('SORT', 'text', 'LIMIT', 'x', '1')).toBe(NOT_AN_INTEGER)
    expect(bench.call('SORT', 'text', 'LIMIT', '1')).toBe(SYNTAX_ERROR)
    expect(bench.call('SORT', 'text')).toBe(WRONGTYPE)
    expect(bench.call('SORT_RO', 'text', 'STORE', 'd')).toBe(SYNTAX_ERROR)
  })

  test('numbers are read as strtod reads them', () => {
    bench.call('RPUSH', 'l', '0x10', ' 3', '', 'inf', '-1e2')
    expect(bench.call('SORT', 'l')).toEqual(['-1e2', '', ' 3', '0x10', 'inf'])
    bench.call('RPUSH', 'l', '3 ')
    expect(bench.call('SORT', 'l')).toBe("-ERR One or more scores can't be converted into double")
  })
})
