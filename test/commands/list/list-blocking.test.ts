/** Blocked list commands on a whole server: who is woken, in which order, and what is left afterwards. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { configFromOptions } from '../../../src/config/config.ts'
import { Server, SYSTEM_CLOCK } from '../../../src/server/server.ts'
import { TestBroker, TestClock, TestLog } from '../../support/broker.ts'
import { MemoryClient } from '../blocking-bench.ts'
import { decodeAll } from '../resp-decode.ts'

let server: Server
let pusher: MemoryClient
let effects: string[]

beforeEach(() => {
  server = new Server({ config: configFromOptions({ save: '' }), log: new TestLog(), clock: SYSTEM_CLOCK })
  server.start()
  effects = []
  server.journal.subscribe((buffer, start, end) => {
    for (const effect of decodeAll(buffer.latin1Slice(start, end))) effects.push((effect as string[]).join(' '))
  })
  pusher = new MemoryClient(server)
})

afterEach(() => {
  const { arena } = server.keyspace
  expect({ bytes: arena.liveBytes, blocks: arena.liveBlocks }).toEqual(server.keyspace.account())
  server.close()
})

/** A client whose command has blocked. */
async function blocked(...words: string[]): Promise<MemoryClient> {
  const before = server.blocking.count
  const client = new MemoryClient(server)
  client.send(...words)
  while (server.blocking.count === before) await new Promise((resolve) => setImmediate(resolve))
  expect(client.hasReply).toBe(false)
  return client
}

test('clients blocked on a key are served in the order in which they came, one element each', async () => {
  const first = await blocked('BLPOP', 'l', '0')
  const second = await blocked('BRPOP', 'other', 'l', '0')
  const third = await blocked('BLPOP', 'l', '0')
  expect(await pusher.call('RPUSH', 'l', 'a', 'b', 'c', 'd')).toBe(4)
  expect(await first.next()).toEqual(['l', 'a'])
  expect(await second.next()).toEqual(['l', 'd'])
  expect(await third.next()).toEqual(['l', 'b'])
  expect(await pusher.call('LRANGE', 'l', '0', '-1')).toEqual(['c'])
  expect(server.blocking.count).toBe(0)
})

test('a push that blocked clients empty again leaves no key, and is recorded before their pops', async () => {
  const first = await blocked('BLPOP', 'l', '0')
  const second = await blocked('BLMPOP', '0', '1', 'l', 'RIGHT', 'COUNT', '5')
  expect(await pusher.call('RPUSH', 'l', 'a', 'b', 'c')).toBe(3)
  expect(await first.next()).toEqual(['l', 'a'])
  expect(await second.next()).toEqual(['l', ['c', 'b']])
  expect(await pusher.call('LLEN', 'l')).toBe(0)
  expect(effects).toEqual(['SELECT 0', 'RPUSH l a b c', 'LPOP l', 'RPOP l 2'])
})

test('a client blocked on the same key twice is served once', async () => {
  const client = await blocked('BLPOP', 'l', 'l', 'l', '0')
  expect(await pusher.call('RPUSH', 'l', 'a', 'b')).toBe(2)
  expect(await client.next()).toEqual(['l', 'a'])
  expect(await pusher.call('LRANGE', 'l', '0', '-1')).toEqual(['b'])
})

test('a value of another type wakes nobody', async () => {
  const client = await blocked('BLPOP', 'l', '0')
  expect(await pusher.call('SET', 'l', 'x')).toBe('OK')
  expect(await pusher.call('LLEN', 'l')).toMatch(/^-WRONGTYPE/)
  expect(client.hasReply).toBe(false)
  expect(server.blocking.count).toBe(1)
})

test('BLMOVE passes an element on to a client that is blocked on the destination', async () => {
  const consumer = await blocked('BLPOP', 'target', '0')
  const mover = await blocked('BLMOVE', 'source', 'target', 'LEFT', 'RIGHT', '0')
  expect(await pusher.call('RPUSH', 'source', 'job')).toBe(1)
  expect(await mover.next()).toBe('job')
  expect(await consumer.next()).toEqual(['target', 'job'])
  expect(effects).toEqual(['SELECT 0', 'RPUSH source job', 'LMOVE source target LEFT RIGHT', 'LPOP target'])
})

test('BRPOPLPUSH to a key of another type replies the error and leaves the element to the next client', async () => {
  await pusher.call('SET', 'target', 'x')
  const mover = await blocked('BRPOPLPUSH', 'source', 'target', '0')
  const consumer = await blocked('BLPOP', 'source', '0')
  await pusher.call('RPUSH', 'source', 'job')
  expect(await mover.next()).toMatch(/^-WRONGTYPE/)
  expect(await consumer.next()).toEqual(['source', 'job'])
})

test('a list moved within itself by a blocked BLMOVE stays', async () => {
  const mover = await blocked('BLMOVE', 'l', 'l', 'LEFT', 'RIGHT', '0')
  await pusher.call('RPUSH', 'l', 'a', 'b')
  expect(await mover.next()).toBe('a')
  expect(await pusher.call('LRANGE', 'l', '0', '-1')).toEqual(['b', 'a'])
})

test('commands sent behind a blocked one run after it', async () => {
  const client = await blocked('BLPOP', 'l', '0')
  client.send('RPUSH', 'l', 'second')
  client.send('LLEN', 'l')
  await pusher.call('RPUSH', 'l', 'first')
  expect(await client.next()).toEqual(['l', 'first'])
  expect(await client.next()).toBe(1)
  expect(await client.next()).toBe(1)
})

test('the time of a blocked command ends with an array that is null', async () => {
  for (const words of [
    ['BLPOP', 'l', '0.01'],
    ['BRPOP', 'l', '0.01'],
    ['BLMOVE', 'l', 'm', 'LEFT', 'LEFT', '0.01'],
    ['BRPOPLPUSH', 'l', 'm', '0.01'],
    ['BLMPOP', '0.01', '1', 'l', 'LEFT'],
  ]) {
    expect([words, await pusher.call(...words)]).toEqual([words, null])
  }
  expect(server.blocking.count).toBe(0)
  expect(server.keyspace.databases[0]?.blocked.size).toBe(0)
})

test('a client that disconnects while it is blocked takes no element', async () => {
  const client = await blocked('BLPOP', 'l', '0')
  client.stream.end()
  while (server.blocking.count > 0) await new Promise((resolve) => setImmediate(resolve))
  expect(await pusher.call('RPUSH', 'l', 'a')).toBe(1)
  expect(await pusher.call('LRANGE', 'l', '0', '-1')).toEqual(['a'])
})

test('a client that is woken, and waits again until the same millisecond, is told of the end of its time once', async () => {
  const clock = new TestClock()
  const broker = await TestBroker.start({}, clock)
  const [waiting, other, popping] = [await broker.connect(), await broker.connect(), await broker.connect()]
  const forever = other.call('BLPOP', 'never', '0')
  const first = popping.call('BLPOP', 'l', '0.01')
  while (broker.server.blocking.count < 2) await waiting.call('PING')
  await waiting.call('RPUSH', 'l', 'a')
  expect(await first).toEqual(['l', 'a'])
  const second = Promise.all([popping.call('BLPOP', 'l', '0.01'), popping.call('ECHO', 'behind')])
  while (broker.server.blocking.count < 2) await waiting.call('PING')
  clock.pass(10)
  expect(await second).toEqual([null, 'behind'])
  expect(broker.server.stats.unblockedByTimeout).toBe(1)
  forever.catch(() => {})
  await broker.stop()
})

test('deadlines of clients that were woken do not gather', async () => {
  const waiting = await blocked('BLPOP', 'never', '1000')
  const popping = new MemoryClient(server)
  for (let i = 0; i < 3000; i++) {
    popping.send('BLPOP', 'l', String(3000 + i))
    expect(await pusher.call('RPUSH', 'l', 'a')).toBe(1)
    expect(await popping.next()).toEqual(['l', 'a'])
  }
  expect(server.blocking.noted).toBeLessThanOrEqual(1024)
  const msLeft = server.blocking.nextDeadline() - SYSTEM_CLOCK.elapsed()
  expect(msLeft).toBeGreaterThan(0)
  expect(msLeft).toBeLessThanOrEqual(1_000_000)
  waiting.stream.destroy()
})
