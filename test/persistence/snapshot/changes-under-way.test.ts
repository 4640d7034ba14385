/** What a snapshot keeps of keys that change before it has come to them. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Files } from '../../../src/files/files.ts'
import { SnapshotAbortedError } from '../../../src/persistence/snapshot/snapshot.ts'
import { BrokerInProcess, type DirectClient, nextTurn } from '../../durability/support/broker-in-process.ts'
import { temporaryDirectory } from '../../support/server-process.ts'

const KEYS = 300
const VALUE_BYTES = 10_000
/** By so much time goes on with each look at the clock, and so many looks there are between two slices: for one step each. */
const LOOK_MS = 1.5
const LOOKS_PER_TURN = 3

/** Files that count what is written. They are written in the thread of the walk. */
class CountingFiles extends Files {
  writtenBytes = 0

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    this.writtenBytes += length
    return super.write(fd, buffer, start, length, offset)
  }
}

let directory = ''
let files: CountingFiles
const brokers: BrokerInProcess[] = []

beforeEach(() => {
  directory = temporaryDirectory()
  files = new CountingFiles()
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const broker of brokers.splice(0)) await broker.close()
  rmSync(directory, { recursive: true })
})

async function start(own: Files | null = files): Promise<BrokerInProcess> {
  const broker = await BrokerInProcess.start(directory, own === null ? {} : { files: own })
  brokers.push(broker)
  return broker
}

const keys = Array.from({ length: KEYS }, (_, i) => `key:${i}`)

async function fill(client: DirectClient): Promise<void> {
  // Nothing that could be compressed.
  await client.pipeline(keys.map((key) => ['SET', key, `${key} ${'x'.repeat(VALUE_BYTES)}`]))
}

test('it goes to the file at once, and does not gather until the snapshot goes on', async () => {
  const broker = await start()
  const client = broker.connect()
  await client.call('CONFIG', 'SET', 'rdbcompression', 'no')
  await fill(client)
  client.send(['BGSAVE'])
  client.send(['DEL', ...keys])
  expect(files.writtenBytes).toBeGreaterThan(KEYS * VALUE_BYTES * 0.7)
  expect(broker.server.snapshots.heldBytes).toBeLessThan(2_000_000)
  await broker.untilQuiet()
})

test('it stands behind the collection in whose midst the snapshot is, however much it is', async () => {
  const broker = await start()
  const client = broker.connect()
  await fill(client)
  await client.pipeline(Array.from({ length: 5000 }, (_, i) => ['HSET', 'hash', `field ${i}`, 'x'.repeat(100)]))
  await client.call('SELECT', '1')
  await client.call('SET', 'other', 'database')
  await client.call('SELECT', '0')
  const digest = await client.call('DEBUG', 'DIGEST')
  let elapsedMs = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (elapsedMs += LOOK_MS))
  client.send(['BGSAVE'])
  // The hash is the last key, with which the snapshot begins.
  for (let turns = 0; turns < 4; turns++) {
    for (let look = 0; look < LOOKS_PER_TURN; look++) performance.now()
    await nextTurn()
  }
  expect(broker.server.snapshots.keysDone).toBe(1)
  client.send(
    ['DEL', ...keys],
    ['HSET', 'hash', 'new', '1'],
    ['SELECT', '1'],
    ['SET', 'other', 'changed'],
    ['SELECT', '0'],
  )
  expect(broker.server.snapshots.heldBytes).toBeGreaterThan(KEYS * VALUE_BYTES)
  await broker.untilQuiet()
  expect(broker.server.saving.isLastOk).toBe(true)
  const reader = (await start()).connect()
  expect(await reader.call('DEBUG', 'DIGEST')).toEqual(digest)
})

test('it is kept also when the call misleads who looks for its keys', async () => {
  const broker = await start()
  const client = broker.connect()
  await client.pipeline([
    ['XADD', 'stream', '1-1', 'field', 'value'],
    ['XGROUP', 'CREATE', 'stream', 'group', '0'],
  ])
  const groups = await client.call('XINFO', 'GROUPS', 'stream')
  // The key specs take the consumer for the keyword, and the keyword for the key.
  client.send(['BGSAVE'], ['XREADGROUP', 'NOACK', 'GROUP', 'group', 'streams', 'STREAMS', 'stream', '>'])
  expect(await client.call('XINFO', 'GROUPS', 'stream')).not.toEqual(groups)
  await broker.untilQuiet()
  expect(await (await start()).connect().call('XINFO', 'GROUPS', 'stream')).toEqual(groups)
})

test('a snapshot that was given up is under way until nobody writes its file any more', async () => {
  const broker = await start(null)
  const client = broker.connect()
  await client.call('SET', 'a', '1')
  let end = (): void => {}
  const terminate = Worker.prototype.terminate
  const ending = new Promise<void>((resolve) => {
    end = resolve
  })
  vi.spyOn(Worker.prototype, 'terminate').mockImplementation(async function (this: Worker): Promise<number> {
    await ending
    return terminate.call(this)
  })
  const { snapshots } = broker.server
  const path = join(directory, 'file')

  const outcome = new Promise((done) => {
    const request = { path, compresses: false, checksums: null, syncsPieces: false, keyDelayUs: 0 }
    snapshots.begin({ ...request, format: NO_FORMAT, info: NO_INFO, done })
  })
  snapshots.abort()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  expect(snapshots.isActive).toBe(true)
  end()
  expect(await outcome).toBeInstanceOf(SnapshotAbortedError)
  expect(snapshots.isActive).toBe(false)
  expect(existsSync(path)).toBe(false)
})

const NO_INFO = { nowMs: 0, usedMemory: 0, isAofBase: false, hasFieldTimes: false, functions: [] }
const NO_FORMAT = {
  header: () => {},
  database: () => {},
  value: () => {},
  big: () => {
    throw new Error('There is no big value')
  },
  footer: () => {},
}
