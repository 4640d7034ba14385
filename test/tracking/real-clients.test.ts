/** Caches of real clients: node-redis' own over RESP3, and one on ioredis with a second connection over RESP2. */
import { Redis } from 'ioredis'
import { BasicClientSideCache, createClient } from 'redis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'

let broker: TestBroker
let writer: RespClient

beforeEach(async () => {
  broker = await TestBroker.start()
  writer = await broker.connect()
})

afterEach(() => broker.stop())

test('node-redis reads from its cache until a key changes', async () => {
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' })
  const client = createClient({ RESP: 3, clientSideCache: cache, socket: { host: '127.0.0.1', port: broker.port } })
  await client.connect()
  try {
    await writer.call('SET', 'k', 'one')
    expect(await client.get('k')).toBe('one')
    expect(await client.get('k')).toBe('one')
    expect(cache.stats()).toMatchObject({ hitCount: 1, missCount: 1 })

    const invalidated = new Promise((resolve) => cache.once('invalidate', resolve))
    await writer.call('SET', 'k', 'two')
    expect(String(await invalidated)).toBe('k')
    expect(await client.get('k')).toBe('two')
    expect(cache.stats()).toMatchObject({ hitCount: 1, missCount: 2 })

    const flushed = new Promise((resolve) => cache.once('invalidate', resolve))
    await writer.call('FLUSHALL')
    await flushed
    expect(await client.get('k')).toBeNull()
  } finally {
    client.destroy()
  }
})

test('an ioredis connection of RESP2 is told through another one that is subscribed', async () => {
  const listener = new Redis({ host: '127.0.0.1', port: broker.port, protocol: 2 })
  const client = new Redis({ host: '127.0.0.1', port: broker.port, protocol: 2 })
  try {
    const id = await listener.client('ID')
    await listener.subscribe('__redis__:invalidate')
    const messages: unknown[] = []
    const told = new Promise<void>((resolve) =>
      listener.on('message', (channel, keys) => {
        messages.push([channel, keys])
        resolve()
      }),
    )
    expect(await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id))).toBe('OK')
    await client.get('k')
    await writer.call('SET', 'k', '1')
    await told
    expect(messages).toEqual([['__redis__:invalidate', 'k']])
  } finally {
    listener.disconnect()
    client.disconnect()
  }
})
