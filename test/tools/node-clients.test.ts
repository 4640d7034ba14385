/** ioredis and node-redis over TCP: what programs do with them, with the results they must get. */
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

let server: ServerProcess

beforeAll(async () => {
  server = await ServerProcess.millrace(['--appendonly', 'no'])
})

afterAll(() => server.dispose())

describe('ioredis', () => {
  let redis: Redis

  beforeAll(async () => {
    redis = new Redis(server.port, { lazyConnect: true })
    await redis.connect()
  })

  afterAll(() => redis.quit())

  beforeEach(() => redis.flushall())

  test('pipelines and transactions give each result and each error its place', async () => {
    const pipeline = redis.pipeline()
    for (let i = 0; i < 2000; i++) pipeline.incr('n')
    const results = await pipeline.set('s', 'x').incr('s').get('s').exec()
    expect(results?.[1999]).toEqual([null, 2000])
    expect(results?.[2001]?.[0]?.message).toBe('ERR value is not an integer or out of range')
    expect(results?.[2002]).toEqual([null, 'x'])
    expect(await redis.multi().set('a', 1).incr('a').hset('h', { f: 1 }).exec()).toEqual([
      [null, 'OK'],
      [null, 2],
      [null, 1],
    ])
    await redis.watch('a')
    const other = redis.duplicate()
    await other.set('a', 9)
    expect(await redis.multi().incr('a').exec()).toBeNull()
    await other.quit()
  })

  test('commands of the same tick are pipelined by themselves', async () => {
    const auto = redis.duplicate({ enableAutoPipelining: true })
    const replies = await Promise.all(
      Array.from({ length: 500 }, (_, i) => auto.set(`k${i}`, i).then(() => auto.get(`k${i}`))),
    )
    expect(replies).toEqual(Array.from({ length: 500 }, (_, i) => String(i)))
    await auto.quit()
  })

  test('scripts are defined as commands and loaded again after SCRIPT FLUSH', async () => {
    redis.defineCommand('addTo', { numberOfKeys: 1, lua: 'return redis.call("INCRBY", KEYS[1], ARGV[1])' })
    const addTo = (key: string, by: number): Promise<unknown> =>
      (Reflect.get(redis, 'addTo') as (key: string, by: number) => Promise<unknown>).call(redis, key, by)
    expect(await addTo('sum', 5)).toBe(5)
    await redis.script('FLUSH')
    expect(await addTo('sum', 5)).toBe(10)
  })

  test('messages of channels, patterns and shard channels arrive', async () => {
    const subscriber = redis.duplicate()
    expect(await subscriber.subscribe('news', 'more')).toBe(2)
    expect(await subscriber.psubscribe('n*')).toBe(3)
    // ioredis counts shard channels apart, and loses count when one connection has both kinds.
    const sharded = redis.duplicate()
    expect(await sharded.ssubscribe('shard')).toBe(1)
    const message = once(subscriber, 'message')
    const pattern = once(subscriber, 'pmessage')
    const shard = once(sharded, 'smessage')
    expect(await redis.publish('news', 'hello')).toBe(2)
    expect(await redis.spublish('shard', 'piece')).toBe(1)
    expect(await message).toEqual(['news', 'hello'])
    expect(await pattern).toEqual(['n*', 'news', 'hello'])
    expect(await shard).toEqual(['shard', 'piece'])
    // Without names ioredis waits until nothing at all is subscribed.
    await subscriber.unsubscribe('news', 'more')
    await subscriber.punsubscribe('n*')
    await sharded.sunsubscribe('shard')
    expect(await subscriber.ping()).toBe('PONG')
    await subscriber.quit()
    await sharded.quit()
  })

  test('blocking commands wait, and streams are read by groups', async () => {
    const blocking = redis.duplicate()
    const popped = blocking.blpop('queue', 10)
    await redis.rpush('queue', 'job')
    expect(await popped).toEqual(['queue', 'job'])
    await redis.xgroup('CREATE', 'stream', 'group', '$', 'MKSTREAM')
    const read = blocking.xreadgroup('GROUP', 'group', 'me', 'COUNT', 10, 'BLOCK', 10_000, 'STREAMS', 'stream', '>')
    const id = await redis.xadd('stream', '*', 'field', 'value')
    expect(await read).toEqual([['stream', [[id, ['field', 'value']]]]])
    expect(await redis.xack('stream', 'group', id ?? '')).toBe(1)
    await blocking.quit()
  })

  test('it connects again when its connection is lost, and subscribes again', async () => {
    const subscriber = new Redis(server.port, { retryStrategy: () => 10 })
    subscriber.on('error', () => {})
    await subscriber.subscribe('again')
    const ready = once(subscriber, 'ready')
    await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await ready
    while ((await redis.publish('again', 'probe')) === 0) await redis.ping()
    const message = once(subscriber, 'message')
    await redis.publish('again', 'hello')
    expect((await message)[0]).toBe('again')
    await subscriber.quit()
  })

  test('buffers come back as they were, and scanStream finds every key', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await redis.set(bytes, bytes)
    expect(await redis.getBuffer(bytes)).toEqual(bytes)
    const names = Array.from({ length: 300 }, (_, i) => `scan:${i}`)
    await redis.mset(Object.fromEntries(names.map((name) => [name, '1'])))
    const found = new Set<string>()
    for await (const keys of redis.scanStream({ match: 'scan:*', count: 20 }))
      for (const key of keys) found.add(String(key))
    expect([...found].sort()).toEqual(names.sort())
  })
})

for (const RESP of [2, 3] as const) {
  test(`node-redis does what it does with Redis (RESP${RESP})`, async () => {
    const client = createClient({ url: `redis://127.0.0.1:${server.port}`, RESP })
    client.on('error', () => {})
    await client.connect()
    await client.flushAll()
    expect(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 } })).toBe('OK')
    expect(await client.get('k')).toBe('v')
    expect(await client.hSet('h', { f: '1', g: '2' })).toBe(2)
    expect({ ...(await client.hGetAll('h')) }).toEqual({ f: '1', g: '2' })
    expect(
      await client.zAdd('z', [
        { score: 1.5, value: 'a' },
        { score: 2, value: 'b' },
      ]),
    ).toBe(2)
    expect(await client.zRangeWithScores('z', 0, -1)).toEqual([
      { value: 'a', score: 1.5 },
      { value: 'b', score: 2 },
    ])
    expect(await client.zScore('z', 'a')).toBe(1.5)
    expect(await client.sAdd('s', ['a', 'b'])).toBe(2)
    expect([...(await client.sMembers('s'))].sort()).toEqual(['a', 'b'])
    expect(await client.multi().set('m', '1').incr('m').get('m').exec()).toEqual(['OK', 2, '2'])
    expect(await Promise.all(Array.from({ length: 500 }, () => client.incr('n')))).toEqual(
      Array.from({ length: 500 }, (_, i) => i + 1),
    )
    expect(await client.eval('return {KEYS[1], ARGV[1]}', { keys: ['a'], arguments: ['b'] })).toEqual(['a', 'b'])
    const id = await client.xAdd('stream', '*', { field: 'value' })
    await client.xGroupCreate('stream', 'group', '0')
    const read = await client.xReadGroup('group', 'me', { key: 'stream', id: '>' })
    expect(JSON.parse(JSON.stringify(read))).toEqual([
      { name: 'stream', messages: [expect.objectContaining({ id, message: { field: 'value' } })] },
    ])
    expect((await client.xInfoStream('stream')).length).toBe(1)
    const names = new Set<string>()
    for await (const keys of client.scanIterator())
      for (const key of Array.isArray(keys) ? keys : [keys]) names.add(key)
    expect(names.size).toBe(Number(await client.dbSize()))

    const subscriber = client.duplicate()
    subscriber.on('error', () => {})
    await subscriber.connect()
    const messages: string[] = []
    const both = new Promise<void>((resolve) => {
      const take = (message: string, channel: string): void => {
        messages.push(`${channel} ${message}`)
        if (messages.length === 3) resolve()
      }
      void subscriber
        .subscribe('news', take)
        .then(() => subscriber.pSubscribe('n*', take))
        .then(() => subscriber.sSubscribe('shard', take))
        .then(async () => {
          await client.publish('news', 'hello')
          await client.sPublish('shard', 'piece')
        })
    })
    await both
    expect(messages.sort()).toEqual(['news hello', 'news hello', 'shard piece'])
    const blocking = client.duplicate()
    blocking.on('error', () => {})
    await blocking.connect()
    const popped = blocking.blPop('queue', 10)
    await client.rPush('queue', 'job')
    expect({ ...(await popped) }).toEqual({ key: 'queue', element: 'job' })
    await expect(client.lPush('k', 'x')).rejects.toThrow(
      'WRONGTYPE Operation against a key holding the wrong kind of value',
    )
    for (const each of [blocking, subscriber, client]) await each.close()
  }, 15_000)
}
