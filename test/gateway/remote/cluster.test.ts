/** The remote engine over a cluster of six nodes, made by redis-cli: routing, redirections, and a primary that is killed. */
import { Queue, Worker } from 'bullmq'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CommandError, Decode, EngineUnavailableError, type ReplyValue } from '../../../src/gateway/engine.ts'
import { keySlot, SLOTS } from '../../../src/gateway/remote/key-slot.ts'
import { ask, type EngineUnderTest, RedisCluster, remoteEngine, until } from '../../support/redis-servers.ts'
import { hasRedisServer, type ServerProcess } from '../../support/server-process.ts'

/** A hash tag for each primary: slots 0, 8000 and 16000 are held by different ones. */
function tagIn(first: number, last: number): string {
  for (let i = 0; ; i++) {
    const slot = keySlot(Buffer.from(`t${i}`))
    if (slot >= first && slot <= last) return `t${i}`
  }
}

const TAGS = [tagIn(0, 5000), tagIn(6000, 10000), tagIn(11000, SLOTS - 1)]

describe.skipIf(!hasRedisServer)('the remote engine over a cluster', { timeout: 30_000 }, () => {
  let cluster: RedisCluster
  let remote: EngineUnderTest

  beforeAll(async () => {
    cluster = await RedisCluster.start()
    // One node is enough to begin with.
    remote = remoteEngine(cluster.url, { waitMs: 15_000 })
  }, 60_000)

  beforeEach(() => remote.call('FLUSHALL'))

  afterAll(async () => {
    await remote.engine.close()
    await cluster.dispose()
  })

  function pipeline(...commands: (readonly string[])[]): Promise<readonly ReplyValue[]> {
    return remote.engine.pipeline(remote.engine.system, commands, Decode.Text)
  }

  function transaction(...commands: (readonly string[])[]): Promise<readonly ReplyValue[]> {
    return remote.engine.transaction(remote.engine.system, commands, Decode.Text)
  }

  async function idOf(server: ServerProcess): Promise<string> {
    return ask(server, 'CLUSTER', 'MYID')
  }

  test('slots are those of CLUSTER KEYSLOT', async () => {
    for (const key of ['', 'a', 'foo{bar}baz', '{}x', '{', 'a{b', 'ä{ö}', '{{x}}', 'x{}{y}'])
      expect(await remote.call('CLUSTER', 'KEYSLOT', key)).toBe(keySlot(Buffer.from(key)))
  })

  test('each command goes to the primary of its keys, and a pipeline over all of them keeps its order of replies', async () => {
    const sets = TAGS.map((tag) => ['SET', `{${tag}}k`, tag])
    expect(await pipeline(...sets, ...TAGS.map((tag) => ['GET', `{${tag}}k`]))).toEqual(['OK', 'OK', 'OK', ...TAGS])
    for (const tag of TAGS) {
      const holder = await cluster.holderOf(keySlot(Buffer.from(tag)))
      expect(await ask(holder, 'GET', `{${tag}}k`)).toBe(tag)
    }
    await expect(remote.call('MSET', `{${TAGS[0]}}a`, '1', `{${TAGS[1]}}a`, '1')).rejects.toThrow(
      new CommandError("CROSSSLOT Keys in request don't hash to the same slot"),
    )
  })

  test('a transaction runs on the primary of its keys; over several slots it is refused and nothing runs', async () => {
    const key = `{${TAGS[2]}}n`
    expect(await transaction(['SET', key, '1'], ['INCR', key])).toEqual(['OK', 2])
    await expect(transaction(['SET', key, '9'], ['SET', `{${TAGS[0]}}n`, '9'])).rejects.toThrow(/^CROSSSLOT/)
    expect(await remote.call('GET', key)).toBe('2')
  })

  test('commands about all keys are answered for the whole cluster', async () => {
    const keys = Array.from({ length: 3000 }, (_, i) => `key:${i}`)
    await pipeline(...keys.map((key) => ['SET', key, 'v']))
    expect(await remote.call('DBSIZE')).toBe(3000)
    expect(((await remote.call('KEYS', 'key:*')) as string[]).sort()).toEqual(keys.slice().sort())
    expect(await remote.call('RANDOMKEY')).toMatch(/^key:/)
    const found: string[] = []
    let cursor = '0'
    let rounds = 0
    do {
      const [next, part] = (await remote.call('SCAN', cursor, 'COUNT', '100')) as [string, string[]]
      found.push(...part)
      cursor = next
      rounds++
    } while (cursor !== '0')
    expect([...new Set(found)].sort()).toEqual(keys.slice().sort())
    expect(rounds).toBeGreaterThan(10)
    await expect(remote.call('SCAN', 'x')).rejects.toThrow('ERR invalid cursor')
    expect(await remote.call('FLUSHDB')).toBe('OK')
    expect(await remote.call('DBSIZE')).toBe(0)
  })

  test('a script that is loaded is there on every primary', async () => {
    const sha = await remote.call('SCRIPT', 'LOAD', 'return KEYS[1]')
    for (const tag of TAGS) expect(await remote.call('EVALSHA', String(sha), '1', `{${tag}}x`)).toBe(`{${tag}}x`)
    expect(await remote.call('SCRIPT', 'EXISTS', String(sha), 'f'.repeat(40))).toEqual([1, 0])
  })

  test('messages come through, whichever node they are published to; MONITOR shows all primaries', async () => {
    const messages: string[] = []
    const subscription = await remote.engine.subscribe('news', (message) => void messages.push(message.toString()))
    for (const tag of TAGS) {
      const holder = await cluster.holderOf(keySlot(Buffer.from(tag)))
      await ask(holder, 'PUBLISH', 'news', tag)
    }
    await until('all messages have come', () => messages.length === 3)
    expect(messages.sort()).toEqual(TAGS.slice().sort())
    await subscription.unsubscribe()

    const lines: string[] = []
    const monitor = await remote.engine.monitor((line) => void lines.push(line))
    for (const tag of TAGS) await remote.call('SET', `{${tag}}seen`, '1')
    await until('all lines have come', () => lines.filter((line) => line.includes('seen')).length === 3)
    await monitor.unsubscribe()
  })

  test('a blocked command is woken by a push to the same primary', async () => {
    const key = `{${TAGS[1]}}list`
    const popped = remote.call('BLPOP', key, '0')
    await remote.call('RPUSH', key, 'x')
    expect(await popped).toEqual([key, 'x'])
  })

  test('while a slot moves, ASK is followed, by transactions too; afterwards MOVED is', async () => {
    const tag = TAGS[0]!
    const slot = String(keySlot(Buffer.from(tag)))
    const source = await cluster.holderOf(Number(slot))
    const target = await cluster.holderOf(keySlot(Buffer.from(TAGS[1]!)))
    await remote.call('SET', `{${tag}}stays`, 'here')
    await ask(target, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(source))
    await ask(source, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(target))

    // What is not at the source any more, or not yet, is at the target.
    expect(await pipeline(['SET', `{${tag}}new`, '1'], ['INCR', `{${tag}}new`], ['GET', `{${tag}}stays`])).toEqual([
      'OK',
      2,
      'here',
    ])
    expect(await transaction(['SET', `{${tag}}tx`, '1'], ['INCR', `{${tag}}tx`])).toEqual(['OK', 2])
    const popped = remote.call('BLPOP', `{${tag}}list`, '0')
    await remote.call('RPUSH', `{${tag}}list`, 'x')
    expect(await popped).toEqual([`{${tag}}list`, 'x'])

    const port = String(target.port)
    await ask(source, 'MIGRATE', '127.0.0.1', port, '', '0', '5000', 'KEYS', `{${tag}}stays`)
    for (const node of [target, source]) await ask(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(target))
    expect(await remote.call('MGET', `{${tag}}stays`, `{${tag}}new`, `{${tag}}tx`)).toEqual(['here', '2', '2'])
    expect(await transaction(['INCR', `{${tag}}tx`])).toEqual([3])
  })

  test('BullMQ works on the clients of the engine', async () => {
    const connections = [0, 1].map(() => remote.engine.createClient())
    const options = { prefix: '{bull}' }
    const queue = new Queue('mail', { connection: connections[0]!, ...options })
    const worker = new Worker('mail', async (job) => job.data.n * 2, { connection: connections[1]!, ...options })
    const results: unknown[] = []
    worker.on('completed', (_job, result) => void results.push(result))
    await queue.addBulk([1, 2, 3].map((n) => ({ name: 'double', data: { n } })))
    await until('all jobs are done', () => results.length === 3)
    expect(results.sort()).toEqual([2, 4, 6])
    await worker.close()
    await queue.close()
    for (const connection of connections) connection.disconnect()
  })

  test('a primary killed under load is replaced, and the gateway goes on', async () => {
    const victim = await cluster.holderOf(keySlot(Buffer.from(TAGS[2]!)))
    const messages: string[] = []
    await remote.engine.subscribe('news', (message) => void messages.push(message.toString()))
    const acknowledged = new Map<string, number>(TAGS.map((tag) => [tag, 0]))
    const failed: unknown[] = []
    let isKilled = false
    let isDone = false
    let afterFailover = 0
    const writers = TAGS.map(async (tag) => {
      while (!isDone) {
        try {
          acknowledged.set(tag, Number(await remote.call('INCR', `{${tag}}count`)))
          if (isKilled && tag === TAGS[2]) afterFailover++
        } catch (error) {
          failed.push(error)
        }
      }
    })
    await until('some writes are acknowledged', () => [...acknowledged.values()].every((count) => count > 100))
    await victim.kill()
    isKilled = true
    await until('the slots of the killed primary are written again', () => afterFailover > 50)
    isDone = true
    await Promise.all(writers)

    for (const error of failed) expect(error).toBeInstanceOf(EngineUnavailableError)
    // Only what was under way to that primary may fail: one call of one writer.
    expect(failed.length).toBeLessThanOrEqual(1)
    for (const tag of TAGS) expect(await remote.call('GET', `{${tag}}count`)).toBe(String(acknowledged.get(tag)))
    expect(remote.engine.health.isReady).toBe(true)
    await until('health knows all primaries', () => remote.engine.health.detail.startsWith('ready: connected to all 3'))
    expect(await remote.call('DBSIZE')).toBe(3)
    await until('messages come again', async () => {
      await remote.call('PUBLISH', 'news', 'hello')
      return messages.includes('hello')
    })
  }, 60_000)
})
