/** A log that cannot be written: writes are refused, reads go on, and everything resumes when the disk is back. */
import { rmSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { type FileDone, Files } from '../../src/files/files.ts'
import { Broker } from '../../src/server/broker.ts'
import type { Endpoint } from '../../src/transport/contract.ts'
import { TestLog } from '../support/broker.ts'
import { RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'

/** A disk that can be full, take only some bytes of a write, and be slow to sync. */
class FaultyDisk extends Files {
  error: string | null = null
  /** Bytes that the next writes take before the error shows. */
  roomBytes = 0
  isSyncHeld: boolean = false
  syncError: Error | null = null
  private heldSyncs: (() => void)[] = []

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    if (this.error === null) return super.write(fd, buffer, start, length, offset)
    if (this.roomBytes > 0) {
      const written = super.write(fd, buffer, start, Math.min(length, this.roomBytes), offset)
      this.roomBytes -= written
      return written
    }
    // As node:fs words it; replies have the words of C.
    throw Object.assign(new Error(`ENOSPC: ${this.error.toLowerCase()}, write`), { code: 'ENOSPC' })
  }

  override writeLater(
    fd: number,
    buffer: Buffer,
    start: number,
    length: number,
    offset: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const outcome = { error: null as Error | null, written: 0 }
    try {
      outcome.written = this.write(fd, buffer, start, length, offset)
    } catch (error) {
      outcome.error = error as Error
    }
    setImmediate(() => done(outcome.error, outcome.written))
  }

  override syncContentLater(fd: number, done: FileDone): void {
    if (this.syncError !== null) {
      const error = this.syncError
      setImmediate(() => done(error))
      return
    }
    if (this.isSyncHeld) this.heldSyncs.push(() => super.syncContentLater(fd, done))
    else super.syncContentLater(fd, done)
  }

  /** Lets the syncs that were held return. */
  release(): void {
    this.isSyncHeld = false
    for (const sync of this.heldSyncs.splice(0)) sync()
  }

  get heldCount(): number {
    return this.heldSyncs.length
  }
}

let directory = ''
let broker: Broker
let endpoint: Endpoint
let clients: RespClient[] = []

async function start(disk: FaultyDisk, policy: string): Promise<void> {
  const config = configFromOptions({ port: 0, dir: directory, appendonly: 'yes', appendfsync: policy })
  broker = new Broker({ config, log: new TestLog(), files: disk })
  await broker.start()
  endpoint = await broker.listenOnFreePort('127.0.0.1')
}

async function connect(): Promise<RespClient> {
  const client = await RespClient.connect({ port: endpoint.port })
  clients.push(client)
  return client
}

async function restartAndRead(...keys: string[]): Promise<unknown> {
  await broker.close()
  await endpoint.close()
  await start(new FaultyDisk(), 'everysec')
  return (await connect()).call('MGET', ...keys)
}

afterEach(async () => {
  for (const client of clients) client.close()
  clients = []
  await broker.close()
  await endpoint.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('a full disk', () => {
  test('refuses writes with MISCONF, serves reads, and takes writes again when there is room', async () => {
    directory = temporaryDirectory()
    const disk = new FaultyDisk()
    await start(disk, 'everysec')
    const client = await connect()
    await client.call('SET', 'before', '1')
    disk.error = 'No space left on device'
    disk.roomBytes = 7
    // This one is executed before the failure is known; the log keeps its bytes.
    await client.call('SET', 'during', '2')
    expect(await client.call('SET', 'refused', '3')).toEqual({
      error: 'MISCONF Errors writing to the AOF file: No space left on device',
    })
    expect(await client.pipeline([['MULTI'], ['SET', 'refused', '3'], ['EXEC']])).toEqual([
      { status: 'OK' },
      { error: 'MISCONF Errors writing to the AOF file: No space left on device' },
      { error: 'EXECABORT Transaction discarded because of previous errors.' },
    ])
    expect(await client.call('MGET', 'before', 'during', 'refused')).toEqual(['1', '2', null])
    expect(await client.call('EVAL', "return redis.pcall('SET', 'refused', '3').err", '0')).toMatch(/^MISCONF/)

    disk.error = null
    broker.server.aof!.tick()
    while (broker.server.aof!.error !== null) await new Promise((resolve) => setImmediate(resolve))
    expect(await client.call('SET', 'after', '4')).toEqual({ status: 'OK' })
    expect(await restartAndRead('before', 'during', 'refused', 'after')).toEqual(['1', '2', null, '4'])
  })

  test('under always keeps back the answer of the write that it could not take, and serves the others', async () => {
    directory = temporaryDirectory()
    const disk = new FaultyDisk()
    await start(disk, 'always')
    const client = await connect()
    disk.error = 'No space left on device'
    let answered = false
    const reply = client.call('SET', 'during', '2').then((value) => {
      answered = true
      return value
    })
    while (broker.server.aof!.error === null) await new Promise((resolve) => setImmediate(resolve))
    // What the same client asks behind it waits too: replies come in order.
    const behind = client.call('GET', 'during')
    // Others are served: reads and refusals answer no write.
    const other = await connect()
    expect(await other.call('GET', 'during')).toBe('2')
    expect(await other.call('SET', 'refused', '3')).toEqual({
      error: 'MISCONF Errors writing to the AOF file: No space left on device',
    })
    expect(await other.call('ECHO', 'there')).toBe('there')
    expect(answered).toBe(false)
    disk.error = null
    broker.server.aof!.tick()
    expect(await reply).toEqual({ status: 'OK' })
    expect(await behind).toBe('2')
    expect(await other.call('SET', 'after', '4')).toEqual({ status: 'OK' })
    expect(await restartAndRead('during', 'refused', 'after')).toEqual(['2', null, '4'])
  })
})

describe('appendfsync always', () => {
  test('answers a write when its sync has returned, while the loop goes on, and one sync covers many', async () => {
    directory = temporaryDirectory()
    const disk = new FaultyDisk()
    await start(disk, 'always')
    const [a, b, c] = [await connect(), await connect(), await connect()]
    disk.isSyncHeld = true
    const order: string[] = []
    const first = a.call('SET', 'a', '1').then(() => order.push('a'))
    while (disk.heldCount === 0) await new Promise((resolve) => setImmediate(resolve))
    const second = b.call('SET', 'b', '2').then(() => order.push('b'))
    const third = c.call('SET', 'c', '3').then(() => order.push('c'))
    const keys = broker.server.keyspace.databases[0]!
    while (keys.size < 3) await new Promise((resolve) => setImmediate(resolve))
    // Executed, not answered: only one sync has begun.
    expect(order).toEqual([])
    expect(disk.heldCount).toBe(1)
    disk.release()
    await Promise.all([first, second, third])
    expect(order[0]).toBe('a')
  })

  test('a failed sync refuses writes until one succeeds', async () => {
    directory = temporaryDirectory()
    const disk = new FaultyDisk()
    await start(disk, 'always')
    const client = await connect()
    disk.syncError = new Error('EIO: i/o error')
    const reply = client.call('SET', 'a', '1')
    while (broker.server.aof!.error === null) await new Promise((resolve) => setImmediate(resolve))
    const other = await connect()
    expect(await other.call('SET', 'b', '2')).toEqual({
      error: 'MISCONF Errors writing to the AOF file: fdatasync: EIO: i/o error',
    })
    expect(await other.call('GET', 'a')).toBe('1')
    disk.syncError = null
    broker.server.aof!.tick()
    expect(await reply).toEqual({ status: 'OK' })
    expect(await client.call('SET', 'c', '3')).toEqual({ status: 'OK' })
  })
})
