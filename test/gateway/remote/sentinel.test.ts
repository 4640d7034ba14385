/** The remote engine behind Sentinel: a primary that is killed is replaced, and the gateway goes on. Starts six processes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommandError, EngineUnavailableError } from '../../../src/gateway/engine.ts'
import { ask, type EngineUnderTest, remoteEngine, SentinelTrio, until } from '../../support/redis-servers.ts'
import { hasRedisServer } from '../../support/server-process.ts'

describe.skipIf(!hasRedisServer)('the remote engine behind Sentinel', { timeout: 30_000 }, () => {
  let trio: SentinelTrio
  let remote: EngineUnderTest

  beforeAll(async () => {
    trio = await SentinelTrio.start()
    remote = remoteEngine(trio.url, { waitMs: 15_000 })
  }, 60_000)

  afterAll(async () => {
    await remote.engine.close()
    await trio.dispose()
  })

  test('a primary killed under load is replaced: what was acknowledged by all is there, and each error says so', async () => {
    const messages: string[] = []
    await remote.engine.subscribe('news', (message) => void messages.push(message.toString()))
    const reader = remote.call('BLPOP', 'work', '0')
    const readerLost = reader.catch((error: unknown) => error)
    const primary = await trio.primary()

    const written: number[] = []
    const failed: unknown[] = []
    let isDone = false
    let afterFailover = 0
    const writer = async (first: number): Promise<void> => {
      for (let i = first; !isDone; i += 4) {
        try {
          await remote.call('SADD', 'acknowledged', i)
          written.push(i)
          if (isKilled) afterFailover++
        } catch (error) {
          failed.push(error)
        }
      }
    }
    let isKilled = false
    const writers = [0, 1, 2, 3].map(writer)
    await until('some writes are acknowledged', () => written.length > 200)
    // Replicas have these: Redis itself promises no more, since it replicates after it has acknowledged.
    const safe = written.slice()
    const client = await primary.connect()
    await client.call('SADD', 'acknowledged', 'marker')
    expect(await client.call('WAIT', '2', '5000')).toBe(2)
    client.close()

    await primary.kill()
    isKilled = true
    await until('writes are acknowledged again', () => afterFailover > 50)
    isDone = true
    await Promise.all(writers)

    await until('every Sentinel has heard of it', async () => (await trio.primary()).port !== primary.port)
    await until('health is good', () => remote.engine.health.isReady)
    const there = new Set((await remote.call('SMEMBERS', 'acknowledged')) as readonly string[])
    expect(safe.filter((i) => !there.has(String(i)))).toEqual([])
    // What was under way when the connection broke was not sent twice behind the caller's back.
    for (const error of failed) expect(error).toBeInstanceOf(EngineUnavailableError)
    // One call of each writer, for the connection that broke, and for each Sentinel whose word of the failover came late.
    expect(failed.length).toBeLessThanOrEqual(16)
    const lost = await readerLost
    expect(String(lost)).toContain('may have been executed')

    await until('messages come again', async () => {
      await remote.call('PUBLISH', 'news', 'hello')
      return messages.includes('hello')
    })
    expect(
      await remote.engine.transaction(
        remote.engine.system,
        [
          ['SET', 'a', '1'],
          ['INCR', 'a'],
        ],
        0,
      ),
    ).toEqual(['OK', 2])
  }, 60_000)

  test('a primary that becomes a replica is left for the new one, and READONLY reaches nobody', async () => {
    const primary = await trio.primary()
    await remote.engine.transaction(remote.engine.system, [['SET', 'a', '1']], 0)
    await until('a failover is begun', async () =>
      (await ask(trio.sentinels[0]!, 'SENTINEL', 'failover', 'main')).includes('OK'),
    )
    const errors: unknown[] = []
    await until('another one is the primary', async () => {
      await remote.call('SET', 'moved', 'yes').catch((error: unknown) => errors.push(error))
      await remote.engine
        .transaction(remote.engine.system, [['SET', 'moved', 'yes']], 0)
        .catch((error: unknown) => errors.push(error))
      return (await trio.primary()).port !== primary.port
    })
    expect(errors.filter((error) => error instanceof CommandError)).toEqual([])
    expect(await remote.call('GET', 'moved')).toBe('yes')
    expect(await remote.call('ROLE')).toHaveProperty('0', 'master')
  }, 60_000)

  test('with no Sentinel left that answers, what is connected goes on', async () => {
    for (const sentinel of trio.sentinels) await sentinel.kill()
    expect(await remote.call('SET', 'still', 'here')).toBe('OK')
  }, 30_000)
})
