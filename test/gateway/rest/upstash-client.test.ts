/** The stock client `@upstash/redis`, unmodified, used as its own suite uses it. */
import { Redis, type RedisConfigNodejs } from '@upstash/redis'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway
let redis: Redis

beforeAll(async () => {
  gateway = await TestGateway.start()
})

afterAll(() => gateway.close())

beforeEach(async () => {
  await gateway.call('FLUSHALL')
  redis = newRedis()
})

function newRedis(options: Partial<RedisConfigNodejs> = {}): Redis {
  gateway.user('app', ['on', '+@all', '~*', '&*'])
  return new Redis({ url: gateway.url, token: gateway.tokenOf('app'), enableTelemetry: false, ...options })
}

describe('@upstash/redis', () => {
  test('strings: values of all types come back as they were', async () => {
    expect(await redis.set('text', 'grüße, 😀')).toBe('OK')
    expect(await redis.get('text')).toBe('grüße, 😀')
    await redis.set('object', { a: [1, null, { b: 'c' }] })
    expect(await redis.get('object')).toEqual({ a: [1, null, { b: 'c' }] })
    await redis.set('number', 1.5)
    expect(await redis.get('number')).toBe(1.5)
    expect(await redis.get('missing')).toBeNull()
    expect(await redis.set('text', 'x', { nx: true })).toBeNull()
    expect(await redis.set('text', 'y', { get: true, ex: 100 })).toBe('grüße, 😀')
    expect(await redis.ttl('text')).toBe(100)
    expect(await redis.incrby('counter', 41)).toBe(41)
    expect(await redis.incrbyfloat('counter', 0.5)).toBe(41.5)
    expect(await redis.append('log', 'abc')).toBe(3)
    expect(await redis.getrange('log', 1, 2)).toBe('bc')
    expect(await redis.mset({ a: 1, b: { c: 2 } })).toBe('OK')
    expect(await redis.mget('a', 'b', 'missing')).toEqual([1, { c: 2 }, null])
    expect(await redis.getdel('a')).toBe(1)
    expect(await redis.exists('a', 'b')).toBe(1)
    expect(await redis.type('b')).toBe('string')
    expect(await redis.ping()).toBe('PONG')
    expect(await redis.echo('hello')).toBe('hello')
  })

  test('hashes', async () => {
    expect(await redis.hset('hash', { one: 1, two: { deep: true } })).toBe(2)
    expect(await redis.hgetall('hash')).toEqual({ one: 1, two: { deep: true } })
    expect(await redis.hgetall('missing')).toBeNull()
    expect(await redis.hmget('hash', 'one', 'none')).toEqual({ one: 1, none: null })
    expect(await redis.hincrby('hash', 'one', 2)).toBe(3)
    expect(await redis.hkeys('hash')).toEqual(['one', 'two'])
    const [cursor, fields] = await redis.hscan('hash', 0)
    expect(cursor).toBe('0')
    expect(fields).toEqual(['one', 3, 'two', { deep: true }])
    expect(await redis.hdel('hash', 'one', 'two')).toBe(2)
  })

  test('lists', async () => {
    expect(await redis.rpush<unknown>('list', 'a', 'b', { c: 1 })).toBe(3)
    expect(await redis.lrange('list', 0, -1)).toEqual(['a', 'b', { c: 1 }])
    expect(await redis.lpop('list')).toBe('a')
    expect(await redis.lpos('list', 'b')).toBe(0)
    expect(await redis.lmove('list', 'other', 'left', 'right')).toBe('b')
    expect(await redis.llen('other')).toBe(1)
    expect(await redis.lmpop(2, ['none', 'list'], 'LEFT')).toEqual(['list', [{ c: 1 }]])
  })

  test('sets', async () => {
    expect(await redis.sadd('set', 'a', 'b', 'c')).toBe(3)
    expect(await redis.smismember('set', ['a', 'x'])).toEqual([1, 0])
    expect((await redis.smembers('set')).sort()).toEqual(['a', 'b', 'c'])
    await redis.sadd('other', 'b', 'd')
    expect(await redis.sinter('set', 'other')).toEqual(['b'])
    const [cursor, members] = await redis.sscan('set', 0, { match: 'a*' })
    expect([cursor, members]).toEqual(['0', ['a']])
  })

  test('sorted sets', async () => {
    expect(await redis.zadd('zset', { score: 1, member: 'a' }, { score: 2.5, member: 'b' })).toBe(2)
    expect(await redis.zadd('zset', { nx: true }, { score: 9, member: 'a' })).toBe(0)
    expect(await redis.zscore('zset', 'b')).toBe(2.5)
    expect(await redis.zrange('zset', 0, -1, { withScores: true })).toEqual(['a', 1, 'b', 2.5])
    expect(await redis.zrange('zset', '(1', '+inf', { byScore: true })).toEqual(['b'])
    expect(await redis.zrank('zset', 'b')).toBe(1)
    expect(await redis.zincrby('zset', 0.25, 'a')).toBe(1.25)
    expect(await redis.zscan('zset', 0)).toEqual(['0', ['a', 1.25, 'b', 2.5]])
    expect(await redis.zpopmax('zset')).toEqual(['b', 2.5])
  })

  test('streams with groups', async () => {
    const first = await redis.xadd('stream', '*', { name: 'ann', age: 30 })
    const second = await redis.xadd(
      'stream',
      '*',
      { name: 'bob' },
      { trim: { type: 'MAXLEN', threshold: 10, comparison: '=' } },
    )
    expect(await redis.xlen('stream')).toBe(2)
    expect(await redis.xrange('stream', '-', '+')).toEqual({
      [first]: { name: 'ann', age: 30 },
      [second]: { name: 'bob' },
    })
    expect(await redis.xgroup('stream', { type: 'CREATE', group: 'g', id: '0' })).toBe('OK')
    expect(await redis.xreadgroup('g', 'c', 'stream', '>', { count: 1 })).toEqual([
      ['stream', [[first, ['name', 'ann', 'age', 30]]]],
    ])
    expect(await redis.xpending('stream', 'g', '-', '+', 10)).toEqual([[first, 'c', expect.any(Number), 1]])
    expect(await redis.xack('stream', 'g', first)).toBe(1)
    expect(await redis.xread('stream', first)).toEqual([['stream', [[second, ['name', 'bob']]]]])
    expect(await redis.xread('stream', '$', { blockMS: 1 })).toBeNull()
    expect(await redis.xinfo('stream', { type: 'GROUPS' })).toEqual([expect.arrayContaining(['name', 'g'])])
    expect(await redis.xdel('stream', first)).toBe(1)
  })

  test('SCAN, KEYS and DBSIZE see all keys', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => redis.set(`key:${i}`, i)))
    const found = new Set<string>()
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, { match: 'key:*', count: 7 })
      for (const key of keys) found.add(key)
      cursor = next
    } while (cursor !== '0')
    expect(found.size).toBe(50)
    expect(await redis.keys('key:1?')).toHaveLength(10)
    expect(await redis.dbsize()).toBe(50)
    expect(await redis.flushdb()).toBe('OK')
    expect(await redis.dbsize()).toBe(0)
  })

  test('a pipeline answers each command in order, and keeps errors apart', async () => {
    const replies = await redis.pipeline().set('a', 1).incr('a').lpush('a', 'x').get('a').exec({ keepErrors: true })
    expect(replies.map(({ result, error }) => error ?? result)).toEqual([
      'OK',
      2,
      'WRONGTYPE Operation against a key holding the wrong kind of value',
      2,
    ])
    const many = redis.pipeline()
    for (let i = 0; i < 3000; i++) many.incr('counter')
    expect((await many.exec()).at(-1)).toBe(3000)
  })

  test('a transaction runs as a whole, or not at all', async () => {
    expect(await redis.multi().set('a', { b: 1 }).get('a').hset('h', { f: 1 }).hgetall('h').exec()).toEqual([
      'OK',
      { b: 1 },
      1,
      { f: 1 },
    ])
    const refused = redis.multi().set('a', 'changed').del()
    await expect(refused.exec()).rejects.toThrow(/wrong number of arguments for 'del' command/)
    expect(await redis.get('a')).toEqual({ b: 1 })
  })

  test('scripts: EVAL, EVALSHA, and the helper that falls back on NOSCRIPT', async () => {
    expect(await redis.eval('return {KEYS[1], ARGV[1], 3}', ['k'], ['v'])).toEqual(['k', 'v', 3])
    const script = redis.createScript<string>('return redis.call("SET", KEYS[1], ARGV[1])')
    await expect(script.evalsha(['k'], ['v'])).rejects.toThrow(/NOSCRIPT/)
    expect(await script.exec(['k'], ['v'])).toBe('OK')
    expect(await script.evalsha(['k'], ['w'])).toBe('OK')
    expect(await redis.get('k')).toBe('w')
    const sha = await redis.scriptLoad('return 1')
    expect(await redis.scriptExists(sha, '0'.repeat(40))).toEqual([1, 0])
    expect(await redis.evalRo('return redis.call("GET", KEYS[1])', ['k'], [])).toBe('w')
    // As the scripts of @upstash/ratelimit begin.
    expect(await redis.eval('#!lua flags=allow-key-locking\nreturn redis.call("GET", KEYS[1])', ['k'], [])).toBe('w')
    await expect(redis.evalRo('return redis.call("SET", KEYS[1], 1)', ['k'], [])).rejects.toThrow(/read-only/)
  })

  test('automatic pipelines batch the calls of one tick', async () => {
    const results = await Promise.all([redis.set('a', 1), redis.incr('a'), redis.get('a'), redis.hgetall('h')])
    expect(results.slice(0, 2)).toEqual(['OK', 2])
    await expect(Promise.all([redis.incr('a'), redis.lpush('a', 1)])).rejects.toThrow(/WRONGTYPE/)
  })

  test('without base64 and without pipelines the answers are the same', async () => {
    const plain = newRedis({ responseEncoding: false, enableAutoPipelining: false })
    await plain.set('text', 'quote " backslash \\ line \n 😀')
    expect(await plain.get('text')).toBe('quote " backslash \\ line \n 😀')
    await plain.hset('h', { a: 1, b: [2] })
    expect(await plain.hgetall('h')).toEqual({ a: 1, b: [2] })
    await expect(plain.incr('text')).rejects.toThrow(
      'ERR value is not an integer or out of range, command was: ["incr","text"]',
    )
  })

  test('a client that reads its own writes gets a new token with each answer and sends it back', async () => {
    const sent: (string | null)[] = []
    const original = globalThis.fetch
    globalThis.fetch = (input, init) => {
      sent.push(new Headers(init?.headers).get('upstash-sync-token'))
      return original(input, init)
    }
    try {
      const client = newRedis({ readYourWrites: true })
      for (let i = 0; i < 4; i++) await client.set('k', i)
    } finally {
      globalThis.fetch = original
    }
    expect(sent).toHaveLength(4)
    expect(sent[2]).toMatch(/^[\w-]+$/)
    expect(sent[3]).not.toBe(sent[2])
  })

  test('subscriptions receive what is published until they are ended', async () => {
    const subscriber = redis.subscribe<unknown>(['news', 'sports'])
    const confirmed = new Promise<void>((resolve) => {
      let count = 0
      subscriber.on('subscribe', () => ++count === 2 && resolve())
    })
    await confirmed
    const received: unknown[] = []
    const done = new Promise<void>((resolve) => {
      subscriber.on('message', ({ channel, message }) => {
        received.push([channel, message])
        if (received.length === 3) resolve()
      })
    })
    expect(await redis.publish('news', { a: 1 })).toBe(1)
    await redis.publish('news', 'a, b, c')
    await redis.publish('sports', 'ü😀')
    await done
    expect(received).toEqual([
      ['news', { a: 1 }],
      ['news', 'a, b, c'],
      ['sports', 'ü😀'],
    ])
    await subscriber.unsubscribe()
    await until(async () => (await redis.publish('news', 'x')) === 0)
  })

  test('pattern subscriptions tell the pattern and the channel', async () => {
    const subscriber = redis.psubscribe<unknown>('user:*')
    await new Promise((resolve) => subscriber.on('psubscribe', resolve))
    const message = new Promise((resolve) => subscriber.on('pmessage', resolve))
    await redis.publish('user:7', [1, 2])
    expect(await message).toEqual({ pattern: 'user:*', channel: 'user:7', message: [1, 2] })
    await subscriber.unsubscribe()
  })
})

/** Asks until something is so: the server learns of a closed connection when it likes. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve))
}
