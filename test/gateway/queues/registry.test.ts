/** The BullMQ objects of the gateway: how many there are at most, and what becomes of them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EngineUnavailableError } from '../../../src/gateway/engine.ts'
import { LocalEngine } from '../../../src/gateway/local-engine.ts'
import { QueueRegistry } from '../../../src/gateway/queues/registry.ts'
import { TestBroker } from '../../support/broker.ts'

let broker: TestBroker
let engine: LocalEngine
let registry: QueueRegistry

beforeEach(async () => {
  broker = await TestBroker.start()
  engine = new LocalEngine(broker.server)
  registry = new QueueRegistry(engine, broker.log)
})

afterEach(async () => {
  await registry.close()
  await engine.close()
  await broker.stop()
})

function id(n: number): { prefix: string; name: string } {
  return { prefix: 'bull', name: `q${n}` }
}

async function connectionCount(): Promise<number> {
  const clients = String(await engine.call(engine.system, ['CLIENT', 'LIST']))
  return clients.trim().split('\n').length
}

test('queues share one connection, and the least recently used of a thousand makes room', async () => {
  const first = registry.queue(id(0))
  const second = registry.queue(id(1))
  for (let n = 2; n < 1000; n++) registry.queue(id(n))
  expect(registry.queue(id(0))).toBe(first)
  registry.queue(id(1000))
  expect(registry.queue(id(0))).toBe(first)
  expect(registry.queue(id(1))).not.toBe(second)
  const before = await connectionCount()
  await registry.run(() => Promise.all([registry.queue(id(0)).add('n', {}), registry.queue(id(1)).add('n', {})]))
  expect((await connectionCount()) - before).toBeLessThanOrEqual(1)
  // One that had to make room still works for who holds it.
  expect(await registry.run(() => second.getWaitingCount())).toBe(1)
})

describe('events of queues', () => {
  test('are followed over one connection per queue, for a hundred queues', async () => {
    const ends: (() => void)[] = []
    const uses = Array.from({ length: 100 }, (_, n) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      ends.push(resolve)
      return registry.withEvents(id(n), () => promise)
    })
    // Others who wait for the same queue need no further connection.
    await registry.withEvents(id(0), async () => {})
    expect(registry.followedCount).toBe(100)
    await expect(registry.withEvents(id(100), async () => {})).rejects.toMatchObject({ status: 503 })
    ends[7]!()
    await uses[7]
    // The one that nobody needs any more makes room.
    expect(await registry.withEvents(id(100), async () => 'followed')).toBe('followed')
    expect(registry.followedCount).toBe(100)
    for (const end of ends) end()
    await Promise.all(uses)
  })

  test('are none missed from the beginning on', async () => {
    const queue = registry.queue(id(0))
    await registry.run(() => queue.add('before', {}, { jobId: 'before' }))
    const seen: string[] = []
    await registry.withEvents(id(0), async (events) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      events.on('added', ({ jobId }) => {
        seen.push(jobId)
        resolve()
      })
      await registry.run(() => queue.add('after', {}, { jobId: 'after' }))
      await promise
    })
    expect(seen).toEqual(['after'])
  })
})

test('closing ends all connections, and what is under way fails', async () => {
  const queue = registry.queue(id(0))
  await registry.run(() => queue.add('n', {}))
  await registry.withEvents(id(0), async () => {})
  const never = registry.run(() => new Promise<never>(() => {}))
  const before = await connectionCount()
  const closed = registry.close()
  await expect(never).rejects.toBeInstanceOf(EngineUnavailableError)
  await closed
  await expect(registry.run(async () => 1)).rejects.toBeInstanceOf(EngineUnavailableError)
  expect(() => registry.queue(id(1))).toThrow(EngineUnavailableError)
  while ((await connectionCount()) > before - 2) await new Promise(setImmediate)
})

test('a search for queues ends at its limit, and escapes what a pattern would take for its own', async () => {
  for (const name of ['a', 'b', 'c', 'd?'])
    await registry.run(() => registry.queue({ prefix: 'x[y]', name }).add('n', {}))
  await registry.run(() => registry.queue({ prefix: 'xy', name: 'other' }).add('n', {}))
  const all = { isWanted: () => true, signal: null }
  expect(await registry.find('x[y]', { countMax: 10, ...all })).toEqual({
    names: ['a', 'b', 'c', 'd?'],
    isTruncated: false,
  })
  const some = await registry.find('x[y]', { countMax: 2, ...all })
  expect(some.names).toHaveLength(2)
  expect(some.isTruncated).toBe(true)
})
