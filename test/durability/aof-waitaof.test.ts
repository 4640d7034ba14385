/** WAITAOF: until the writes of a connection are on the disk. */
import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { type FileDone, Files } from '../../src/files/files.ts'
import { Broker } from '../../src/server/broker.ts'
import type { Endpoint } from '../../src/transport/contract.ts'
import { TestLog } from '../support/broker.ts'
import { RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'

/** A disk whose syncs return when they are let. */
class HeldDisk extends Files {
  private readonly held: FileDone[] = []
  /** Whether syncs have returned by the time a turn looks for that. */
  returnsWhenAsked: boolean = false

  override syncContentLater(_fd: number, done: FileDone): void {
    this.held.push(done)
  }

  override collectSyncs(): void {
    if (this.returnsWhenAsked) this.release()
  }

  release(): void {
    for (const done of this.held.splice(0)) done(null)
  }
}

let directory = ''
let disk: HeldDisk
let broker: Broker
let endpoint: Endpoint
let clients: RespClient[] = []

async function start(options: { appendonly: string; appendfsync: string }): Promise<RespClient> {
  directory = temporaryDirectory()
  const config = configFromOptions({ port: 0, save: '', dir: directory, 'http-token-file': '', ...options })
  disk = new HeldDisk()
  broker = new Broker({ config, log: new TestLog(), files: disk })
  await broker.start()
  endpoint = await broker.listenOnFreePort('127.0.0.1')
  return connect()
}

async function connect(): Promise<RespClient> {
  const client = await RespClient.connect({ port: endpoint.port })
  clients.push(client)
  return client
}

async function untilBlocked(): Promise<void> {
  while (broker.server.blockedCount === 0) await new Promise((resolve) => setImmediate(resolve))
}

beforeEach(() => {
  clients = []
})

afterEach(async () => {
  for (const client of clients) client.close()
  disk.release()
  await broker.close()
  await endpoint.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('WAITAOF', () => {
  test('answers at once while the connection has written nothing', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'no' })
    await (await connect()).call('SET', 'a', '1')
    expect(await client.call('WAITAOF', '1', '0', '0')).toEqual([1, 0])
  })

  test('waits for the sync that covers the last write', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'everysec' })
    await client.call('SET', 'a', '1')
    const waiting = client.call('WAITAOF', '1', '0', '0')
    await untilBlocked()
    broker.server.aof!.tick()
    disk.release()
    expect(await waiting).toEqual([1, 0])
  })

  test('goes on when the end of a turn finds that the sync has ended', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'always' })
    const other = await connect()
    const replies = client.pipeline([
      ['SET', 'a', '1'],
      ['WAITAOF', '1', '0', '0'],
    ])
    await untilBlocked()
    // Nothing else happens that would end another turn.
    broker.server.isCronPaused = true
    disk.returnsWhenAsked = true
    await other.call('PING')
    expect(await replies).toEqual([{ status: 'OK' }, [1, 0]])
  })

  test('is not satisfied by a sync that began before the write', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'everysec' })
    await client.call('SET', 'a', '1')
    broker.server.aof!.tick()
    await client.call('SET', 'a', '2')
    const waiting = client.call('WAITAOF', '1', '0', '50')
    await untilBlocked()
    disk.release()
    expect(await waiting).toEqual([0, 0])
  })

  test('tells how far the disk has come when the time is over', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'no' })
    await client.call('SET', 'a', '1')
    expect(await client.call('WAITAOF', '1', '0', '10')).toEqual([0, 0])
    expect(await client.call('WAITAOF', '0', '1', '10')).toEqual([0, 0])
    expect(await client.call('WAITAOF', '0', '0', '10')).toEqual([0, 0])
  })

  test('answers at once within a transaction', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'no' })
    await client.call('SET', 'a', '1')
    const replies = await client.pipeline([['MULTI'], ['WAITAOF', '1', '0', '0'], ['EXEC']])
    expect(replies[2]).toEqual([[0, 0]])
  })

  test('is woken by CLIENT UNBLOCK, with an error when that is asked for', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'no' })
    const id = String(await client.call('CLIENT', 'ID'))
    const other = await connect()
    await client.call('SET', 'a', '1')
    const first = client.call('WAITAOF', '1', '0', '0')
    await untilBlocked()
    expect(await other.pipeline([['CLIENT', 'UNBLOCK', id], ['PING']])).toEqual([1, { status: 'PONG' }])
    expect(await first).toEqual([0, 0])
    const second = client.call('WAITAOF', '1', '0', '0')
    await untilBlocked()
    await other.call('CLIENT', 'UNBLOCK', id, 'ERROR')
    expect(await second).toEqual({ error: 'UNBLOCKED client unblocked via CLIENT UNBLOCK' })
  })

  test('ends with an error when the log is switched off', async () => {
    const client = await start({ appendonly: 'yes', appendfsync: 'no' })
    const other = await connect()
    await client.call('SET', 'a', '1')
    const waiting = client.call('WAITAOF', '1', '0', '0')
    await untilBlocked()
    await other.call('CONFIG', 'SET', 'appendonly', 'no')
    expect(await waiting).toEqual({
      error: 'ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.',
    })
  })

  test('refuses bad numbers in the order of the arguments, and then a log that is off', async () => {
    const client = await start({ appendonly: 'no', appendfsync: 'no' })
    const cases = [
      ['x', 'y', 'z', 'ERR value is not an integer or out of range'],
      ['2', 'y', 'z', 'ERR value is out of range, value must between 0 and 1'],
      ['-1', 'y', 'z', 'ERR value is out of range, value must between 0 and 1'],
      ['1', 'y', 'z', 'ERR value is out of range, must be positive'],
      ['1', '-1', 'z', 'ERR value is out of range, must be positive'],
      ['1', '0', 'z', 'ERR timeout is not an integer or out of range'],
      ['1', '0', '-1', 'ERR timeout is negative'],
      ['1', '0', '0', 'ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.'],
    ] as const
    for (const [local, replicas, timeout, error] of cases)
      expect(await client.call('WAITAOF', local, replicas, timeout)).toEqual({ error })
    expect(await client.call('WAITAOF', '0', '0', '0')).toEqual([0, 0])
    expect(await client.call('WAITAOF', '0', '0')).toEqual({
      error: "ERR wrong number of arguments for 'waitaof' command",
    })
  })
})
