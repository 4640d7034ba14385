/** The engine in this process: what its users share. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CommandError, Decode, EngineUnavailableError } from '../../src/gateway/engine.ts'
import { LocalEngine } from '../../src/gateway/local-engine.ts'
import { TestBroker } from '../support/broker.ts'

let broker: TestBroker
let engine: LocalEngine

beforeAll(async () => {
  broker = await TestBroker.start()
  broker.server.registry.rename('select', 'choose')
  engine = new LocalEngine(broker.server)
})

afterAll(async () => {
  await engine.close()
  await broker.stop()
})

describe('Replies that would not fit into memory', () => {
  const MIB = 1024 * 1024

  beforeAll(() => engine.call(engine.system, ['SET', 'big', 'x'.repeat(16 * MIB)]))

  test('end a batch: what follows is not run', async () => {
    const commands = [...Array.from({ length: 20 }, () => ['GET', 'big']), ['SET', 'after', '1']]
    const replies = await engine.pipeline(engine.users.default, commands, Decode.Bytes)
    expect(replies.filter((reply) => Buffer.isBuffer(reply))).toHaveLength(8)
    expect(replies.at(-1)).toEqual(
      new CommandError('ERR The replies before are larger than 134217728 bytes: not executed'),
    )
    expect(await engine.call(engine.system, ['EXISTS', 'after'])).toBe(0)
    // Each batch counts anew.
    expect(await engine.pipeline(engine.users.default, [['PING']], Decode.Text)).toEqual(['PONG'])
  })

  test('of a transaction are left out, and an error says so; it was run as a whole', async () => {
    const commands = [...Array.from({ length: 40 }, () => ['GET', 'big']), ['INCR', 'ran']]
    const outcome = engine.transaction(engine.users.default, commands, Decode.Bytes)
    await expect(outcome).rejects.toThrow('ERR The reply is larger than 268435456 bytes')
    expect(await engine.call(engine.system, ['GET', 'ran'])).toBe('1')
    expect(await engine.transaction(engine.users.default, [['PING']], Decode.Text)).toEqual(['PONG'])
  })
})

test('Subscriptions come back when their connection was closed and no other was free', async () => {
  const received: string[] = []
  const subscription = await engine.subscribe('news', (message) => received.push(message.toString()))
  await engine.call(engine.system, ['CONFIG', 'SET', 'maxclients', 1])
  await engine.call(engine.system, ['CLIENT', 'KILL', 'TYPE', 'pubsub'])
  await vi.waitFor(async () => {
    expect(String(await engine.call(engine.system, ['INFO', 'stats']))).toMatch(/rejected_connections:[1-9]/)
  })
  await engine.call(engine.system, ['CONFIG', 'SET', 'maxclients', 10_000])
  await vi.waitFor(
    async () => expect(await engine.call(engine.system, ['PUBSUB', 'NUMSUB', 'news'])).toEqual(['news', 1]),
    { timeout: 5000, interval: 10 },
  )
  await engine.call(engine.system, ['PUBLISH', 'news', 'hello'])
  await vi.waitFor(() => expect(received).toEqual(['hello']))
  await subscription.unsubscribe()
})

describe('A session that all requests of a user share', () => {
  test('stays in its database, whatever SELECT is called', async () => {
    const chosen = engine.call(engine.users.default, ['CHOOSE', 3])
    await expect(chosen).rejects.toThrow("ERR Command is not available over HTTP: 'SELECT' acts on a connection")
    await engine.call(engine.users.default, ['SET', 'key', 'in 0'])
    expect(await engine.call(engine.system, ['GET', 'key'])).toBe('in 0')
  })

  test('may be closed in the midst of a transaction: nothing of it is run', async () => {
    // More than is executed in one turn.
    const pushes = Array.from({ length: 5000 }, (_, i) => ['RPUSH', 'list', i])
    const outcome = engine.transaction(engine.users.default, pushes, Decode.Text).then(
      () => null,
      (error: unknown) => error,
    )
    await new Promise((resolve) => setImmediate(resolve))
    expect(await engine.call(engine.system, ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])).not.toBe(0)
    const error = await outcome
    expect(error instanceof CommandError || error instanceof EngineUnavailableError).toBe(true)
    expect(String(error)).toContain('The connection was closed')
    expect(await engine.call(engine.system, ['EXISTS', 'list'])).toBe(0)
    // The next one is whole again.
    expect(
      await engine.transaction(
        engine.users.default,
        [
          ['INCR', 'n'],
          ['INCR', 'n'],
        ],
        Decode.Text,
      ),
    ).toEqual([1, 2])
  })
})
