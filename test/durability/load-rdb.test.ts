/**
 * Snapshots and logs with a snapshot inside, as redis-server writes them, loaded here: the same data, by DEBUG DIGEST;
 * and what becomes of snapshots that are torn or damaged.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import { configOf } from '../../src/library/options.ts'
import { RdbLoadError } from '../../src/persistence/rdb/load-file.ts'
import { Broker } from '../../src/server/broker.ts'
import { TestBroker, TestLog } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'

const FOLDER = 'appendonlydir'
const DUMP = 'dump.rdb'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

function emptyDirectory(): string {
  const directory = temporaryDirectory()
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Commands for keys of all types and encodings, in two databases. */
function dataset(): string[][] {
  const numbers = Array.from({ length: 700 }, (_, n) => String(n))
  const longText = 'abcdefgh'.repeat(1000)
  return [
    ['SET', 'string', 'value'],
    ['SET', 'integer', '-1234567890123'],
    ['SET', 'long', longText],
    ['SET', 'binary', '\x00\xff\r\n\x80'],
    ['SET', 'ttl', 'x', 'PX', '100000000'],
    ['RPUSH', 'list', 'a', '1', longText, 'b'],
    ['RPUSH', 'list:big', ...numbers.map((n) => `element ${n}`)],
    ['SADD', 'intset', '1', '-70000', '5000000000'],
    ['SADD', 'set', 'a', 'b', 'c'],
    ['SADD', 'set:big', ...numbers.map((n) => `member ${n}`)],
    ['HSET', 'hash', 'f', 'v', 'n', '12'],
    ['HSET', 'hash:big', ...numbers.flatMap((n) => [`field ${n}`, n])],
    ['ZADD', 'zset', '1.5', 'a', '-inf', 'b', '3', 'c'],
    ['ZADD', 'zset:big', ...numbers.flatMap((n) => [String(Number(n) / 7), `member ${n}`])],
    ...numbers.slice(0, 300).map((n) => ['XADD', 'stream', `${Number(n) + 1}-1`, 'field', n, 'other', 'x']),
    ['XDEL', 'stream', '7-1', '300-1'],
    ['XGROUP', 'CREATE', 'stream', 'group', '0'],
    ['XGROUP', 'CREATE', 'stream', 'idle', '$'],
    ['XREADGROUP', 'GROUP', 'group', 'alice', 'COUNT', '10', 'STREAMS', 'stream', '>'],
    ['XREADGROUP', 'GROUP', 'group', 'bob', 'COUNT', '3', 'STREAMS', 'stream', '>'],
    ['XACK', 'stream', 'group', '2-1'],
    ['SELECT', '9'],
    ['SET', 'nine', '9'],
    ['EXPIRE', 'nine', '100000'],
    ['SELECT', '0'],
    ['FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('answer', function() return 42 end)"],
  ]
}

async function digest(client: RespClient): Promise<string> {
  const reply = await client.call('DEBUG', 'DIGEST')
  if (typeof reply !== 'object' || reply === null || !('status' in reply)) throw new Error('No digest')
  return reply.status
}

/** Starts a broker on a directory. */
async function load(directory: string, options: ConfigOptions = {}): Promise<TestBroker> {
  const broker = await TestBroker.start({ dir: directory, ...options })
  cleanUps.push(() => broker.stop())
  return broker
}

/** The message of a start that fails. */
async function failure(directory: string, options: ConfigOptions = {}): Promise<string> {
  const config = configFromOptions({ port: 0, dir: directory, appendonly: 'no', save: '', ...options })
  const broker = new Broker({ config, log: new TestLog() })
  const error = await broker.start().then(
    () => broker.close(),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(RdbLoadError)
  return error instanceof Error ? error.message : ''
}

async function expectDataset(client: RespClient, expected: string): Promise<void> {
  expect(await digest(client)).toBe(expected)
  expect(await client.call('FCALL', 'answer', '0')).toBe(42)
  expect(await client.call('XPENDING', 'stream', 'group')).toEqual([
    12,
    '1-1',
    '14-1',
    [
      ['alice', '9'],
      ['bob', '3'],
    ],
  ])
  expect(await client.call('TTL', 'ttl')).toBeGreaterThan(90_000)
}

describe.skipIf(!hasRedisServer)('what redis-server has written', () => {
  /** Directories of redis-server after the data set: a snapshot alone, a log with RDB as base, one with commands. */
  const origin = { dump: '', rdbBase: '', aofBase: '' }
  const digests = { dump: '', rdbBase: '', aofBase: '' }

  async function write(name: keyof typeof origin, args: readonly string[], last: readonly string[][]): Promise<void> {
    origin[name] = temporaryDirectory()
    const server = await ServerProcess.redis(['--enable-debug-command', 'yes', ...args], origin[name])
    const client = await server.connect()
    for (const reply of await client.pipeline([...dataset(), ...last])) expect(reply).not.toHaveProperty('error')
    if (name !== 'dump') {
      let text: unknown
      do text = await client.call('INFO', 'persistence')
      while (!String(text).includes('aof_rewrite_in_progress:0'))
      // What comes after the base is in the incremental file.
      await client.pipeline([['SET', 'later', '1'], ['MULTI'], ['INCR', 'later'], ['RPUSH', 'list', 'z'], ['EXEC']])
    }
    digests[name] = await digest(client)
    await server.terminate()
  }

  beforeAll(async () => {
    await write('dump', ['--appendonly', 'no'], [['SAVE']])
    await write('rdbBase', ['--appendonly', 'yes'], [['BGREWRITEAOF']])
    await write('aofBase', ['--appendonly', 'yes', '--aof-use-rdb-preamble', 'no'], [['BGREWRITEAOF']])
    return () => {
      for (const directory of Object.values(origin)) rmSync(directory, { recursive: true, force: true })
    }
  })

  function copyOf(name: keyof typeof origin): string {
    const directory = emptyDirectory()
    cpSync(origin[name], directory, { recursive: true })
    return directory
  }

  test('a snapshot is loaded at the start', async () => {
    const broker = await load(copyOf('dump'))
    const client = await broker.connect()
    await expectDataset(client, digests.dump)
    const info = String(await client.call('INFO', 'persistence'))
    expect(info).toContain('rdb_last_load_keys_expired:0\r\n')
    expect(info).toContain('rdb_last_load_keys_loaded:16\r\n')
    expect(info).toContain('rdb_changes_since_last_save:0\r\n')
  })

  test('a log with an RDB as base is loaded', async () => {
    const broker = await load(copyOf('rdbBase'), { appendonly: 'yes' })
    await expectDataset(await broker.connect(), digests.rdbBase)
  })

  test('a log with commands as base is loaded', async () => {
    const broker = await load(copyOf('aofBase'), { appendonly: 'yes' })
    const client = await broker.connect()
    await expectDataset(client, digests.aofBase)
    expect(await client.call('GET', 'later')).toBe('2')
  })

  test('a single file of an older version, with an RDB at its beginning, is loaded', async () => {
    const source = copyOf('rdbBase')
    const names = readdirSync(join(source, FOLDER)).filter((name) => !name.endsWith('.manifest'))
    const parts = names.sort().map((name) => readFileSync(join(source, FOLDER, name)))
    expect(names.map((name) => name.split('.').at(-2))).toEqual(['base', 'incr'])
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'appendonly.aof'), Buffer.concat(parts))
    const broker = await load(directory, { appendonly: 'yes' })
    await expectDataset(await broker.connect(), digests.rdbBase)
  })

  test('with appendonly yes and no log, the snapshot becomes the beginning of one', async () => {
    const directory = copyOf('dump')
    const dump = readFileSync(join(directory, DUMP))
    const first = await load(directory, { appendonly: 'yes' })
    const client = await first.connect()
    await expectDataset(client, digests.dump)
    await client.call('SET', 'string', 'changed')
    const changed = await digest(client)
    await first.stop()
    expect(readFileSync(join(directory, DUMP))).toEqual(dump)
    // From now on the log counts.
    rmSync(join(directory, DUMP))
    const second = await load(directory, { appendonly: 'yes' })
    await expectDataset(await second.connect(), changed)
  })

  test('a broker of a program that was given no directory loads none', async () => {
    const directory = copyOf('dump')
    const config = configOf({})
    expect(config.text('dbfilename')).toBe('')
    expect(configOf({ dataDir: directory }).text('dbfilename')).toBe(DUMP)
    expect(configOf({ config: { dir: directory } }).text('dbfilename')).toBe(DUMP)
    const broker = await load(directory, { dbfilename: '' })
    expect(await (await broker.connect()).call('DBSIZE')).toBe(0)
  })

  test('a log is preferred to a snapshot', async () => {
    const directory = copyOf('rdbBase')
    writeFileSync(join(directory, DUMP), 'no snapshot')
    const broker = await load(directory, { appendonly: 'yes' })
    await expectDataset(await broker.connect(), digests.rdbBase)
  })

  test('a snapshot that ends too early, or has a byte changed, is fatal and stays as it is', async () => {
    const directory = copyOf('dump')
    const path = join(directory, DUMP)
    const whole = readFileSync(path)
    for (const length of [0, 3, 9, 100, whole.length - 9, whole.length - 1]) {
      truncateSync(path, length)
      expect(await failure(directory), `cut at ${length}`).toMatch(
        /^Fatal error loading the DB .*dump\.rdb.*offset \d+/,
      )
      expect(readFileSync(path)).toEqual(whole.subarray(0, length))
      writeFileSync(path, whole)
    }
    // The last eight bytes are the checksum.
    const changed = Buffer.from(whole)
    changed[changed.length - 3]! ^= 1
    writeFileSync(path, changed)
    expect(await failure(directory)).toMatch(/CRC error: expected checksum [0-9a-f]{16}, found [0-9a-f]{16}, at offset/)
    const unchecked = await load(directory, { rdbchecksum: 'no' })
    await expectDataset(await unchecked.connect(), digests.dump)
    expect(existsSync(join(directory, FOLDER))).toBe(false)
  })

  test('an RDB base that is damaged is fatal, and the incremental files stay as they are', async () => {
    const directory = copyOf('rdbBase')
    const folder = join(directory, FOLDER)
    const base = readdirSync(folder).find((name) => name.endsWith('.base.rdb'))!
    truncateSync(join(folder, base), 200)
    const before = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
    const config = configFromOptions({ port: 0, dir: directory, appendonly: 'yes', save: '' })
    await expect(new Broker({ config, log: new TestLog() }).start()).rejects.toThrow(
      new RegExp(`^Error reading the RDB base file ${base}, AOF loading aborted: .*offset`),
    )
    expect(readdirSync(folder).map((name) => readFileSync(join(folder, name)))).toEqual(before)
  })

  test('keys in a database that does not exist here are fatal', async () => {
    expect(await failure(copyOf('dump'), { databases: 9 })).toContain(
      'FATAL: Data file was created with a Redis server configured to handle more than 9 databases',
    )
  })

  test('DEBUG RELOAD NOSAVE loads it in place of the data, MERGE over them', async () => {
    const broker = await load(copyOf('dump'))
    const client = await broker.connect()
    await client.pipeline([
      ['SET', 'string', 'changed'],
      ['SET', 'new', '1'],
    ])
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE')).toEqual({ status: 'OK' })
    await expectDataset(client, digests.dump)
    await client.pipeline([
      ['SET', 'string', 'changed'],
      ['SET', 'new', '1'],
    ])
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE', 'NOFLUSH', 'MERGE')).toEqual({ status: 'OK' })
    expect(await client.call('MGET', 'string', 'new')).toEqual(['value', '1'])
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE', 'NOFLUSH')).toEqual({
      error: 'ERR Error trying to load the RDB dump, check server logs.',
    })
    expect(await client.call('DEBUG', 'RELOAD', 'OTHER')).toEqual({
      error: 'ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.',
    })
  })
})

describe.skipIf(!hasRedisServer)('keys whose time is over', () => {
  test('are dropped from a snapshot, and stay in the base of a log until it is read to the end', async () => {
    const directory = emptyDirectory()
    const server = await ServerProcess.redis(['--enable-debug-command', 'yes'], directory)
    const writer = await server.connect()
    await writer.pipeline([
      ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
      ['SET', 'past', '1', 'PX', '1'],
      ['SET', 'future', '1', 'PX', '1000000'],
    ])
    while ((await writer.call('PTTL', 'past')) !== -2) await writer.call('PING')
    await writer.call('SET', 'other', '1', 'PX', '1')
    await writer.call('SAVE')
    await server.terminate()

    const broker = await load(directory)
    const info = String(await (await broker.connect()).call('INFO', 'persistence'))
    expect(info).toMatch(/rdb_last_load_keys_expired:[12]\r\n/)
    expect(info).toContain('rdb_last_load_keys_loaded:1\r\n')

    // What the log says of such a key was said while it was there.
    const log = emptyDirectory()
    mkdirSync(join(log, FOLDER))
    cpSync(join(directory, DUMP), join(log, FOLDER, 'appendonly.aof.1.base.rdb'))
    writeFileSync(join(log, FOLDER, 'appendonly.aof.1.incr.aof'), '*2\r\n$7\r\nPERSIST\r\n$5\r\nother\r\n')
    writeFileSync(
      join(log, FOLDER, 'appendonly.aof.manifest'),
      'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n',
    )
    const logged = await load(log, { appendonly: 'yes' })
    const client = await logged.connect()
    expect(await client.call('GET', 'other')).toBe('1')
    expect(await client.call('GET', 'past')).toBeNull()
  })
})
