/** What redis-server writes, to files and payloads, with every type and in every encoding, is read here. */
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { TestBroker } from '../../support/broker.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'
import { fill, leaked, loadFile, state } from './reference-data.ts'

/** Settings under which the same data are written as tables, nodes of few entries, or without compression. */
const SETTINGS: readonly (readonly [string, readonly string[]])[] = [
  ['by default', []],
  [
    'with nothing packed',
    ['hash-max-listpack-entries', '0', 'zset-max-listpack-entries', '0', 'set-max-intset-entries', '0'],
  ],
  ['with small nodes', ['list-max-listpack-size', '3', 'stream-node-max-entries', '7', 'list-compress-depth', '1']],
  [
    'with big nodes',
    [
      'list-max-listpack-size',
      '-5',
      'hash-max-listpack-entries',
      '5000',
      'zset-max-listpack-entries',
      '5000',
      'hash-max-listpack-value',
      '9000',
      'zset-max-listpack-value',
      '9000',
    ],
  ],
  ['without compression', ['rdbcompression', 'no', 'rdbchecksum', 'no']],
]

let brokers: TestBroker[] = []
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop()))
  brokers = []
})

async function startBroker(): Promise<TestBroker> {
  const broker = await TestBroker.start()
  brokers.push(broker)
  return broker
}

describe.skipIf(!hasRedisServer)('redis-server', () => {
  let redis: ServerProcess
  beforeAll(async () => {
    redis = await ServerProcess.redis(['--enable-debug-command', 'yes'])
    return () => redis.dispose()
  })

  test.each(SETTINGS)('writes a file %s, which holds the same here', async (_name, settings) => {
    const source = await redis.connect()
    await source.call('FLUSHALL')
    await source.call('FUNCTION', 'FLUSH')
    for (let i = 0; i < settings.length; i += 2) await source.call('CONFIG', 'SET', settings[i]!, settings[i + 1]!)
    await fill(source)
    await source.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    await source.call('SELECT', '3')
    await source.call('SET', 'in another database', '1')
    expect(await source.call('SAVE')).toEqual({ status: 'OK' })

    const broker = await startBroker()
    const { keyspace } = broker.server
    const { aux, functions } = loadFile(keyspace, join(redis.directory, 'dump.rdb'))
    expect(aux['redis-ver']).toBe('7.0.15')
    expect(functions).toEqual(["#!lua name=lib\nredis.register_function('f', function() return 1 end)"])
    const target = await broker.connect()
    for (const db of ['0', '3']) {
      await source.call('SELECT', db)
      await target.call('SELECT', db)
      expect(await state(target)).toEqual(await state(source))
    }
    expect(await target.call('DEBUG', 'DIGEST')).toEqual(await source.call('DEBUG', 'DIGEST'))
    expect(leaked(keyspace)).toEqual({ bytes: 0, blocks: 0 })
    source.close()
  })

  test('gives payloads by DUMP, which RESTORE takes', async () => {
    const source = await redis.connect()
    await source.call('FLUSHALL')
    await fill(source)
    const broker = await startBroker()
    const target = await broker.connect()
    const keys = await source.call('KEYS', '*')
    if (!Array.isArray(keys)) throw new Error('No keys')
    for (const key of keys) {
      const payload = await source.call('DUMP', String(key))
      const time = Number(await source.call('PEXPIRETIME', String(key)))
      const reply = await target.call('RESTORE', String(key), String(Math.max(time, 0)), String(payload), 'ABSTTL')
      expect([key, reply]).toEqual([key, { status: 'OK' }])
    }
    expect(await state(target)).toEqual(await state(source))
    expect(leaked(broker.server.keyspace)).toEqual({ bytes: 0, blocks: 0 })
    source.close()
  })
})
