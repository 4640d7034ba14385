/** A snapshot whose thread cannot be started: nothing is left of it, and the next one is written. */
import { readdirSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { temporaryDirectory } from '../support/server-process.ts'
import { BrokerInProcess } from './support/broker-in-process.ts'

/** Whether there is room for another thread. */
const threads = vi.hoisted(() => ({ areOut: false }))

vi.mock('node:worker_threads', async (original) => {
  const actual = await original<typeof import('node:worker_threads')>()
  class LimitedWorker extends actual.Worker {
    constructor(...args: ConstructorParameters<typeof actual.Worker>) {
      if (threads.areOut)
        throw Object.assign(new Error('Worker initialization failure: EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
      super(...args)
    }
  }
  return { ...actual, Worker: LimitedWorker }
})

let directory = ''
let broker: BrokerInProcess

beforeEach(() => {
  directory = temporaryDirectory()
  threads.areOut = false
})

afterEach(async () => {
  await broker.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('without room for a thread', () => {
  test('BGSAVE fails, writes go on, and the next one succeeds', async () => {
    broker = await BrokerInProcess.start(directory)
    const client = broker.connect()
    await client.call('SET', 'a', '1')
    threads.areOut = true
    expect(await client.call('BGSAVE')).toEqual({ error: 'ERR' })
    expect(broker.log.warnings).toEqual(["Can't save in background: Worker initialization failure: EAGAIN"])
    const failed = await broker.info()
    expect([failed.get('rdb_bgsave_in_progress'), failed.get('rdb_last_bgsave_status')]).toEqual(['0', 'err'])
    expect(broker.server.keyspace.walk).toBeNull()
    expect(await client.call('SET', 'a', '2')).toEqual({ status: 'OK' })
    threads.areOut = false
    expect(await client.call('BGSAVE')).toEqual({ status: 'Background saving started' })
    await broker.untilQuiet()
    expect((await broker.info()).get('rdb_last_bgsave_status')).toBe('ok')
    expect(readdirSync(directory)).toEqual(['dump.rdb'])
  })

  test('BGREWRITEAOF fails and the log goes on', async () => {
    broker = await BrokerInProcess.start(directory, { options: { appendonly: 'yes' } })
    const client = broker.connect()
    threads.areOut = true
    // The manifest is written first, in the background.
    expect(await client.call('BGREWRITEAOF')).toEqual({ status: 'Background append only file rewriting started' })
    await broker.untilQuiet()
    expect(broker.log.warnings).toEqual([
      'Cannot begin to rewrite the append-only file: Worker initialization failure: EAGAIN',
    ])
    expect((await broker.info()).get('aof_last_bgrewrite_status')).toBe('err')
    await client.call('SET', 'a', '1')
    threads.areOut = false
    expect(await client.call('BGREWRITEAOF')).toEqual({ status: 'Background append only file rewriting started' })
    await broker.untilQuiet()
    await client.call('SET', 'b', '2')
    await broker.close()
    broker = await BrokerInProcess.start(directory, { options: { appendonly: 'yes' } })
    expect(await broker.connect().call('MGET', 'a', 'b')).toEqual(['1', '2'])
  })
})
