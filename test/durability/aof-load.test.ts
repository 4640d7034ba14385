/** Loading of the append-only file: torn tails at every byte, transactions, corruption, and what redis-server makes of our files. */
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { createBroker } from '../../src/index.ts'
import { AofLoadError } from '../../src/persistence/aof-load.ts'
import { Broker } from '../../src/server/broker.ts'
import { TestLog } from '../support/broker.ts'
import { encodeCommand } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'

const FOLDER = 'appendonlydir'
const FILE = 'appendonly.aof.1.incr.aof'
const MANIFEST = 'appendonly.aof.manifest'

const directories: string[] = []
const brokers: Broker[] = []

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function directoryWith(log: string): string {
  const directory = temporaryDirectory()
  directories.push(directory)
  mkdirSync(join(directory, FOLDER))
  writeFileSync(join(directory, FOLDER, FILE), Buffer.from(log, 'latin1'))
  writeFileSync(join(directory, FOLDER, MANIFEST), `file ${FILE} seq 1 type i\n`)
  return directory
}

async function load(directory: string, options: { readonly truncates?: 'yes' | 'no' } = {}): Promise<Broker> {
  const config = configFromOptions({
    port: 0,
    dir: directory,
    appendonly: 'yes',
    'aof-load-truncated': options.truncates ?? 'yes',
  })
  const broker = new Broker({ config, log: new TestLog() })
  await broker.start()
  brokers.push(broker)
  return broker
}

function keysOf(broker: Broker): string[] {
  const db = broker.server.keyspace.databases[0]!
  return Array.from({ length: db.size }, (_, row) => db.keyText(row)).sort()
}

const select = encodeCommand(['SELECT', '0'])
const first = encodeCommand(['SET', 'first', '1'])
const transaction = [['MULTI'], ['SET', 'second', '2'], ['RPUSH', 'third', 'x'], ['EXEC']].map(encodeCommand).join('')
const last = encodeCommand(['HSET', 'fourth', 'field', 'some value'])

describe('a torn tail', () => {
  test(
    'is cut at every byte; what was whole before it stays, and no transaction is torn',
    { timeout: 30_000 },
    async () => {
      const whole = select + first + transaction + last
      const boundaries = [
        { at: whole.length, keys: ['first', 'fourth', 'second', 'third'] },
        { at: (select + first + transaction).length, keys: ['first', 'second', 'third'] },
        { at: (select + first).length, keys: ['first'] },
        { at: 0, keys: [] },
      ]
      for (let length = whole.length; length >= select.length; length--) {
        const directory = directoryWith(whole)
        const path = join(directory, FOLDER, FILE)
        truncateSync(path, length)
        const broker = await load(directory)
        const boundary = boundaries.find(({ at }) => at <= length)!
        expect(keysOf(broker), `cut at ${length}`).toEqual(boundary.keys)
        await broker.close()
        const kept = readFileSync(path, 'latin1')
        expect(whole.startsWith(kept), `cut at ${length}`).toBe(true)
        expect(kept.length).toBeLessThanOrEqual(length)
      }
    },
  )

  test('is fatal with aof-load-truncated no, and the file stays as it is', async () => {
    const directory = directoryWith((select + first + last).slice(0, -3))
    const before = readFileSync(join(directory, FOLDER, FILE))
    await expect(load(directory, { truncates: 'no' })).rejects.toThrow(AofLoadError)
    expect(readFileSync(join(directory, FOLDER, FILE))).toEqual(before)
  })

  test('after the cut new writes are appended and load again', async () => {
    const directory = directoryWith((select + first + last).slice(0, -3))
    const broker = await load(directory)
    await broker.close()
    appendFileSync(join(directory, FOLDER, FILE), encodeCommand(['SET', 'later', 'x']))
    expect(keysOf(await load(directory))).toEqual(['first', 'later'])
  })
})

describe('a corrupt file', () => {
  test('with bytes that are no command is fatal, with file and offset, and stays as it is', async () => {
    const directory = directoryWith(`${select}${first}garbage\r\n${last}`)
    const before = readFileSync(join(directory, FOLDER, FILE))
    await expect(load(directory)).rejects.toThrow(new RegExp(`${FILE}.*offset ${(select + first).length}`))
    expect(readFileSync(join(directory, FOLDER, FILE))).toEqual(before)
  })

  test('with a command that does not exist is fatal', async () => {
    const directory = directoryWith(select + encodeCommand(['NOSUCH', 'x']))
    await expect(load(directory)).rejects.toThrow(
      `Unknown command 'NOSUCH' reading the append only file ${FILE} at offset ${select.length}`,
    )
  })

  test('that the manifest names and that is missing is fatal', async () => {
    const directory = directoryWith(select)
    rmSync(join(directory, FOLDER, FILE))
    await expect(load(directory)).rejects.toThrow(/aof that the manifest names: No such file or directory/)
    expect(readdirSync(join(directory, FOLDER))).toEqual([MANIFEST])
  })

  test('a manifest with a malformed line is fatal', async () => {
    const directory = directoryWith(select)
    writeFileSync(join(directory, FOLDER, MANIFEST), `file ${FILE} seq x type i\n`)
    await expect(load(directory)).rejects.toThrow(/line 1/)
  })
})

test('an append-only file of an older version is taken over as base', async () => {
  const directory = temporaryDirectory()
  directories.push(directory)
  writeFileSync(join(directory, 'appendonly.aof'), select + first)
  expect(keysOf(await load(directory))).toEqual(['first'])
  const files = ['appendonly.aof', FILE, 'appendonly.aof.lock', MANIFEST]
  expect(readdirSync(join(directory, FOLDER)).sort()).toEqual(files)
})

test('annotation lines are skipped', async () => {
  const directory = directoryWith(`#TS:1700000000\r\n${select}${first}#TS:1700000001\r\n${last}`)
  expect(keysOf(await load(directory))).toEqual(['first', 'fourth'])
})

test('damage of what a killed server has left, or of what was written behind it, is never taken for a torn end', async () => {
  const value = 'x'.repeat(100)
  const directory = directoryWith(select + encodeCommand(['SET', 'first', value]))
  const path = join(directory, FOLDER, FILE)
  const broker = await createBroker({ dataDir: directory })
  await broker.call('SET', 'second', value)
  await broker.call('SET', 'third', value)
  await broker.close()
  const whole = readFileSync(path, 'latin1')
  for (const key of ['first', 'second', 'third']) {
    // One bit, with which the value goes beyond the end of the file.
    const damaged = whole.replace(`${key}\r\n$100`, `${key}\r\n$900`)
    writeFileSync(path, damaged, 'latin1')
    await expect(load(directory), key).rejects.toThrow(/a whole batch ends at offset \d+/)
    expect(readFileSync(path, 'latin1')).toBe(damaged)
  }
  writeFileSync(path, whole, 'latin1')
  expect(keysOf(await load(directory))).toEqual(['first', 'second', 'third'])
})

test('a log that another has written stays as it is until something is written to it', async () => {
  const directory = directoryWith(select + first)
  const path = join(directory, FOLDER, FILE)
  const broker = await createBroker({ dataDir: directory })
  await broker.call('GET', 'first')
  await broker.close()
  expect(readFileSync(path, 'latin1')).toBe(select + first)
})

test.skipIf(!hasRedisServer)('redis-server loads our files and finds the same data', async () => {
  const ours = await ServerProcess.millrace(['--appendonly', 'yes'])
  const client = await ours.connect()
  await client.pipeline([
    ['SET', 'string', 'value', 'EX', '1000'],
    ['RPUSH', 'list', 'a', 'b'],
    ['HSET', 'hash', 'f', 'v'],
    ['SADD', 'set', 'a', 'b', 'c'],
    ['ZADD', 'zset', '1.5', 'a'],
    ['XADD', 'stream', '*', 'f', 'v'],
    ['XGROUP', 'CREATE', 'stream', 'g', '0'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'stream', '>'],
    ['SELECT', '3'],
    ['MULTI'],
    ['INCR', 'n'],
    ['SPOP', 'none'],
    ['INCR', 'n'],
    ['EXEC'],
    ['EVAL', "redis.call('SET', 'a', '1') redis.call('SET', 'b', '2')", '0'],
  ])
  await ours.terminate()
  const directory = temporaryDirectory()
  directories.push(directory)
  cpSync(join(ours.directory, FOLDER), join(directory, FOLDER), { recursive: true })
  const theirs = await ServerProcess.redis(['--appendonly', 'yes'], directory)
  const reader = await theirs.connect()
  expect(
    await reader.pipeline([
      ['GET', 'string'],
      ['LRANGE', 'list', '0', '-1'],
      ['HGETALL', 'hash'],
      ['SCARD', 'set'],
      ['ZSCORE', 'zset', 'a'],
      ['XLEN', 'stream'],
      ['XPENDING', 'stream', 'g'],
      ['SELECT', '3'],
      ['MGET', 'n', 'a', 'b'],
    ]),
  ).toEqual([
    'value',
    ['a', 'b'],
    ['f', 'v'],
    3,
    '1.5',
    1,
    expect.arrayContaining([1]),
    { status: 'OK' },
    ['2', '1', '2'],
  ])
  await theirs.dispose()
  await ours.dispose()
})
