/** ioredis on a broker in the same process, without a socket. */
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import { createBroker, ioredisOptions, type LocalBroker } from '../../src/index.ts'

const brokers: LocalBroker[] = []
const clients: Redis[] = []

async function start(requirepass = ''): Promise<LocalBroker> {
  const broker = await createBroker(requirepass === '' ? {} : { requirepass })
  brokers.push(broker)
  return broker
}

function connect(broker: LocalBroker, options: object = {}): Redis {
  const client = new Redis({ ...ioredisOptions(broker), ...options })
  clients.push(client)
  return client
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  for (const broker of brokers.splice(0)) await broker.close()
})

describe('ioredis in the process', () => {
  test('runs commands, pipelines, transactions and scripts', async () => {
    const redis = connect(await start())
    expect(await redis.set('clé', 'é')).toBe('OK')
    expect(await redis.getBuffer('clé')).toEqual(Buffer.from('é'))
    expect(await redis.hset('h', { a: '1', b: '2' })).toBe(2)
    expect(await redis.hgetall('h')).toEqual({ a: '1', b: '2' })
    const piped = await redis.pipeline().incr('n').lpush('n', 1).exec()
    expect(piped?.[0]).toEqual([null, 1])
    expect(piped?.[1]?.[0]?.message).toMatch(/^WRONGTYPE/)
    expect(await redis.multi().incr('n').get('n').exec()).toEqual([
      [null, 2],
      [null, '2'],
    ])
    expect(await redis.eval('return {KEYS[1], ARGV[1]}', 1, 'k', 'v')).toEqual(['k', 'v'])
  })

  test('carries values of all sizes, bytes included', async () => {
    const redis = connect(await start())
    for (const size of [0, 1, 1000, 65_535, 65_536, 300_000, 3_000_000]) {
      const bytes = Buffer.alloc(size, `${size}\xff\r\n`, 'latin1')
      await redis.set('bytes', bytes)
      expect((await redis.getBuffer('bytes'))?.equals(bytes)).toBe(true)
      const text = 'é'.repeat(size / 10)
      await redis.set('text', text)
      expect((await redis.get('text')) === text).toBe(true)
    }
  })

  test('answers thousands of commands of one tick in their order', async () => {
    const redis = connect(await start())
    const replies = await Promise.all(Array.from({ length: 20_000 }, () => redis.incr('n')))
    expect(replies.every((reply, i) => reply === i + 1)).toBe(true)
  })

  test('keeps commands behind a blocked one, more than the server buffers', async () => {
    const broker = await start()
    const redis = connect(broker)
    const blocked = redis.blpop('l', 0)
    const value = 'v'.repeat(10_000)
    const behind = Promise.all(Array.from({ length: 300 }, (_, i) => redis.set(`k${i}`, value)))
    await broker.call('PING')
    expect(await broker.call('DBSIZE')).toBe(0)
    await broker.call('RPUSH', 'l', 'x')
    expect(await blocked).toEqual(['l', 'x'])
    await behind
    expect(await broker.call('DBSIZE')).toBe(300)
  })

  test('reads a large reply at its own pace', async () => {
    const broker = await start()
    await broker.call('SET', 'big', Buffer.alloc(100_000, 'x'))
    const socket = broker.connect()
    socket.write('*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n'.repeat(50))
    const expected = 50 * ('$100000\r\n'.length + 100_000 + 2)
    let received = 0
    for await (const chunk of socket) {
      received += (chunk as Buffer).length
      await new Promise((resolve) => setImmediate(resolve))
      if (received >= expected) break
    }
    expect(received).toBe(expected)
  })

  test('subscribes, and publishes from within a message', async () => {
    const broker = await start()
    const subscriber = connect(broker)
    const publisher = connect(broker)
    await subscriber.subscribe('a', 'b')
    const seen: string[] = []
    const done = new Promise<void>((resolve) => {
      subscriber.on('message', (channel, message) => {
        seen.push(`${channel} ${message}`)
        if (channel === 'a') void publisher.publish('b', message)
        else resolve()
      })
    })
    expect(await publisher.publish('a', 'hello')).toBe(1)
    await done
    expect(seen).toEqual(['a hello', 'b hello'])
  })

  test('needs no password', async () => {
    expect(await connect(await start('secret')).ping()).toBe('PONG')
  })

  test('speaks RESP2 as well', async () => {
    const redis = connect(await start(), { protocol: 2 })
    await redis.hset('h', 'a', '1')
    expect(await redis.hgetall('h')).toEqual({ a: '1' })
  })

  test('connects at the first command with lazyConnect', async () => {
    const broker = await start()
    const redis = connect(broker, { lazyConnect: true })
    expect(redis.status).toBe('wait')
    expect(await redis.ping()).toBe('PONG')
    const explicit = connect(broker, { lazyConnect: true })
    await explicit.connect()
    expect(explicit.status).toBe('ready')
  })

  test('ends after quit and after disconnect, and connects again on demand', async () => {
    const redis = connect(await start())
    await redis.set('k', 'v')
    const ended = once(redis, 'end')
    expect(await redis.quit()).toBe('OK')
    await ended
    await expect(redis.get('k')).rejects.toThrow('Connection is closed.')
    await redis.connect()
    expect(await redis.get('k')).toBe('v')
    const endedAgain = once(redis, 'end')
    redis.disconnect()
    await endedAgain
    expect(redis.status).toBe('end')
  })

  test('connects again by itself after it was killed, with its subscriptions', async () => {
    const broker = await start()
    const redis = connect(broker, { connectionName: 'victim' })
    const subscriber = connect(broker)
    await subscriber.subscribe('c')
    await redis.select(2)
    await redis.set('k', 'v')
    const ready = Promise.all([once(redis, 'ready'), once(subscriber, 'ready')])
    for (const type of ['normal', 'pubsub']) await broker.call('CLIENT', 'KILL', 'TYPE', type)
    await ready
    expect(await redis.get('k')).toBe('v')
    const message = once(subscriber, 'message')
    while ((await broker.call('PUBLISH', 'c', 'm')) === 0) await broker.call('PING')
    expect(await message).toEqual(['c', 'm'])
  })

  test('duplicates use the same broker', async () => {
    const broker = await start()
    const redis = connect(broker)
    const duplicate = redis.duplicate()
    clients.push(duplicate)
    const popped = duplicate.blpop('l', 0)
    await redis.rpush('l', 'x')
    expect(await popped).toEqual(['l', 'x'])
  })

  test('ends with an error when the broker closes, waiting commands too', async () => {
    const broker = await start()
    const redis = connect(broker)
    await redis.ping()
    const blocked = expect(redis.blpop('l', 0)).rejects.toThrow('Connection is closed.')
    const ended = once(redis, 'end')
    await broker.call('PING')
    await broker.close()
    await ended
    await blocked
    await expect(redis.ping()).rejects.toThrow('Connection is closed.')
    const late = new Redis({ ...ioredisOptions(broker), lazyConnect: true })
    late.on('error', () => {})
    await expect(late.connect()).rejects.toThrow('The broker is closed')
    expect(late.status).toBe('end')
  })

  test('an exception of a listener does not disturb the broker', async () => {
    const broker = await start()
    const socket = broker.connect()
    const caught = new Promise((resolve) => {
      // Vitest's own listeners would take the exception for a failure of the test.
      const others = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.once('uncaughtException', (error) => {
        for (const listener of others) process.on('uncaughtException', listener)
        resolve(error)
      })
    })
    socket.on('data', () => {
      throw new Error('of the listener')
    })
    socket.write('PING\r\n')
    expect(await caught).toEqual(new Error('of the listener'))
    expect(await broker.call('PING')).toBe('PONG')
    socket.destroy()
  })
})
