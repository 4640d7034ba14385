/** Expire times of hash fields on a whole server: files, payloads, replicas, events, and what clients are told. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ConfigOptions } from '../../src/config/config.ts'
import { StallCause } from '../../src/observe/stalls.ts'
import { TestBroker, TestClock } from '../support/broker.ts'
import { until } from '../support/redis-servers.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'
import { run } from '../tools/run-tool.ts'
import { int64, length, payload, string } from './rdb/reader-files.ts'

// Servers start, load and connect again, and share the machine with other tests.
vi.setConfig({ testTimeout: 30_000 })

const OK = { status: 'OK' }
const BIG_FIELDS = 700

let directory: string
let brokers: TestBroker[]
let clock: TestClock

beforeEach(() => {
  directory = temporaryDirectory()
  brokers = []
  clock = new TestClock()
})

afterEach(async () => {
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

async function stopAll(): Promise<void> {
  for (const broker of brokers.splice(0).reverse()) await broker.stop()
}

async function start(options: ConfigOptions = {}): Promise<RespClient> {
  const broker = await TestBroker.start({ dir: directory, dbfilename: 'dump.rdb', ...options }, clock)
  brokers.push(broker)
  return broker.connect()
}

/** Fills hashes of all forms: packed, packed wide, a table that is written at once, and one in steps. */
async function fill(client: RespClient): Promise<void> {
  const at = String(clock.nowMs + 5000)
  const later = String(clock.nowMs + 2 ** 40)
  const big = Array.from({ length: BIG_FIELDS }, (_, n) => [`f${n}`, String(n)]).flat()
  await client.pipeline([
    ['HSET', 'plain', 'a', '1', 'b', '2'],
    ['HSET', 'packed', 'a', '1', 'b', '2', 'c', 'three', '4', '-5'],
    ['HPEXPIREAT', 'packed', at, 'FIELDS', '2', 'a', '4'],
    ['HPEXPIREAT', 'packed', later, 'FIELDS', '1', 'c'],
    ['HSET', 'wide', 'a', 'x'.repeat(100), 'b', '2'],
    ['HPEXPIREAT', 'wide', later, 'FIELDS', '1', 'a'],
    ['HSET', 'big', ...big],
    ['HPEXPIREAT', 'big', at, 'FIELDS', '2', 'f0', 'f699'],
    ['HPEXPIREAT', 'big', later, 'FIELDS', '1', 'f300'],
    ['HSET', 'persisted', 'a', '1', 'b', '2'],
    ['HEXPIRE', 'persisted', '10', 'FIELDS', '1', 'a'],
    ['HPERSIST', 'persisted', 'FIELDS', '1', 'a'],
  ])
}

interface Content {
  readonly digest: Reply
  readonly times: Reply[]
  readonly encodings: Reply[]
}

async function contentOf(client: RespClient): Promise<Content> {
  const times = await client.pipeline([
    ['HPEXPIRETIME', 'packed', 'FIELDS', '4', 'a', 'b', 'c', '4'],
    ['HPEXPIRETIME', 'wide', 'FIELDS', '2', 'a', 'b'],
    ['HPEXPIRETIME', 'big', 'FIELDS', '4', 'f0', 'f1', 'f300', 'f699'],
    ['HPEXPIRETIME', 'persisted', 'FIELDS', '2', 'a', 'b'],
    ['INFO', 'keyspace'],
  ])
  const encodings = await client.pipeline(['plain', 'packed', 'wide', 'big'].map((key) => ['OBJECT', 'ENCODING', key]))
  return { digest: await client.call('DEBUG', 'DIGEST'), times, encodings }
}

async function untilRewritten(client: RespClient): Promise<void> {
  await until('the log is rewritten', async () => {
    const info = String(await client.call('INFO', 'persistence'))
    return /aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)
  })
}

function fileVersion(): string {
  return readFileSync(join(directory, 'dump.rdb')).latin1Slice(0, 9)
}

describe('snapshots', () => {
  test('hold the times, in version 12, and only then', async () => {
    const client = await start()
    await client.call('HSET', 'plain', 'a', '1')
    expect(await client.call('SAVE')).toEqual(OK)
    expect(fileVersion()).toBe('REDIS0010')
    await fill(client)
    const before = await contentOf(client)
    expect(before.encodings).toEqual(['listpack', 'listpackex', 'hashtable', 'hashtable'])
    expect(before.times[0]).toEqual([clock.nowMs + 5000, -1, clock.nowMs + 2 ** 40, clock.nowMs + 5000])
    expect(before.times[4]).toContain('subexpiry=3\r\n')
    expect(await client.call('DEBUG', 'RELOAD')).toEqual(OK)
    expect(fileVersion()).toBe('REDIS0012')
    expect(await contentOf(client)).toEqual(before)
    await client.pipeline(['packed', 'wide', 'big'].map((key) => ['DEL', key]))
    await client.call('SAVE')
    expect(fileVersion()).toBe('REDIS0010')
  })

  test('written in the background are of the moment at which they began', async () => {
    const client = await start({ 'rdb-key-save-delay': '1' })
    await fill(client)
    const before = await contentOf(client)
    const replies = await client.pipeline([
      ['BGSAVE'],
      ['HPEXPIRE', 'big', '100', 'FIELDS', '3', 'f1', 'f300', 'f5'],
      ['HPERSIST', 'packed', 'FIELDS', '1', 'a'],
      ['HDEL', 'big', 'f0', 'f699'],
      ['HPEXPIRE', 'plain', '100', 'FIELDS', '1', 'a'],
      ['HSETEX', 'wide', 'PX', '100', 'FIELDS', '1', 'b', '3'],
    ])
    expect(replies.slice(1)).toEqual([[1, 1, 1], [1], 2, [1], 1])
    await until('it is saved', async () =>
      /rdb_bgsave_in_progress:0/.test(String(await client.call('INFO', 'persistence'))),
    )
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE')).toEqual(OK)
    expect(await contentOf(client)).toEqual(before)
  })

  test('are loaded with fields whose time is over by then, which go at once', async () => {
    let client = await start()
    await fill(client)
    await client.call('SAVE')
    await stopAll()
    clock.pass(6000)
    client = await start()
    expect(await client.call('HMGET', 'big', 'f0', 'f1', 'f300', 'f699')).toEqual([null, '1', '300', null])
    await until('the expired fields are gone', async () => (await client.call('HLEN', 'big')) === BIG_FIELDS - 2)
    expect(await client.call('HGETALL', 'packed')).toEqual(['b', '2', 'c', 'three'])
    expect(String(await client.call('INFO', 'stats'))).toContain('expired_subkeys:4\r\n')
  })

  test('are checked and reported by the tools', async () => {
    const client = await start()
    await fill(client)
    await client.call('SAVE')
    const { code, output } = await run('check-rdb', [join(directory, 'dump.rdb')])
    expect([code, output.split('\n').slice(-5)]).toEqual([
      0,
      [
        '[info] RDB version 12',
        '[info] 5 keys read',
        '[info] 0 expires',
        '[info] 0 already expired',
        '[info] 7 hash fields with an expire time',
      ],
    ])
    const report = await run('report', [join(directory, 'dump.rdb')])
    expect(report.code).toBe(0)
    expect(report.output).toMatch(/hash listpackex/)
  })
})

test('DUMP and RESTORE keep the times; the payload is of version 12', async () => {
  const client = await start()
  await fill(client)
  const before = await contentOf(client)
  for (const key of ['plain', 'packed', 'wide', 'big', 'persisted']) {
    const payload = String(await client.call('DUMP', key))
    const version = payload.charCodeAt(payload.length - 10)
    expect(version).toBe(['plain', 'persisted'].includes(key) ? 10 : 12)
    expect(await client.call('RESTORE', key, '0', payload, 'REPLACE')).toEqual(OK)
  }
  expect(await contentOf(client)).toEqual(before)
})

describe('the log', () => {
  test.each([
    ['as it was written', null],
    ['rewritten with a snapshot as its base', 'yes'],
    ['rewritten as commands', 'no'],
  ])('%s gives the same times', async (_form, preamble) => {
    const options: ConfigOptions = { appendonly: 'yes', 'aof-use-rdb-preamble': preamble ?? 'yes' }
    let client = await start(options)
    await fill(client)
    await client.call('HINCRBYFLOAT', 'packed', 'a', '0.5')
    await client.call('HSETEX', 'packed', 'KEEPTTL', 'FIELDS', '1', '4', 'kept')
    if (preamble !== null) {
      await client.call('BGREWRITEAOF')
      await untilRewritten(client)
    }
    const before = await contentOf(client)
    expect(before.times[0]).toEqual([clock.nowMs + 5000, -1, clock.nowMs + 2 ** 40, clock.nowMs + 5000])
    await stopAll()
    client = await start(options)
    expect(await contentOf(client)).toEqual(before)
  })

  test('rewritten as commands keeps a time that is later than a client may give, and that a payload may say', async () => {
    const options: ConfigOptions = { appendonly: 'yes', 'aof-use-rdb-preamble': 'no' }
    let client = await start(options)
    const time = 2 ** 48 - 2
    const value = Buffer.concat([int64(BigInt(time)), length(1), length(1), string('f'), string('1')])
    expect(await client.call('RESTORE', 'h', '0', payload(24, value, 12).toString('latin1'))).toEqual(OK)
    expect(await client.call('HPEXPIREAT', 'h', String(time), 'FIELDS', '1', 'f')).toEqual({
      error: "ERR invalid expire time in 'hpexpireat' command",
    })
    await client.call('HINCRBYFLOAT', 'h', 'f', '0.5')
    for (const isRewritten of [false, true]) {
      if (isRewritten) {
        await client.call('BGREWRITEAOF')
        await untilRewritten(client)
      }
      await stopAll()
      client = await start(options)
      expect(await client.call('HGET', 'h', 'f')).toBe('1.5')
      expect(await client.call('HPEXPIRETIME', 'h', 'FIELDS', '1', 'f')).toEqual([time])
    }
  })

  test('a command that removed an expired field is loaded as it was executed', async () => {
    const options: ConfigOptions = { appendonly: 'yes' }
    let client = await start(options)
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    await client.call('HSET', 'h', 'n', '10', 'x', '1', 'y', '1')
    await client.call('HPEXPIRE', 'h', '10', 'FIELDS', '2', 'n', 'x')
    clock.pass(10)
    expect(await client.call('HINCRBY', 'h', 'n', '1')).toBe(1)
    expect(await client.call('HSETNX', 'h', 'x', 'new')).toBe(1)
    await stopAll()
    client = await start(options)
    expect(await client.call('HGETALL', 'h')).toEqual(['y', '1', 'n', '1', 'x', 'new'])
    expect(await client.call('HTTL', 'h', 'FIELDS', '2', 'n', 'x')).toEqual([-1, -1])
  })

  test('changes of expired fields are loaded as they were executed also when a pause had begun', async () => {
    const options: ConfigOptions = { appendonly: 'yes' }
    let client = await start(options)
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    await client.call('HSET', 'h', 'n', '10', 'x', '1', 'y', '1', 'read', '1')
    await client.call('HPEXPIRE', 'h', '10', 'FIELDS', '4', 'n', 'x', 'y', 'read')
    clock.pass(10)
    const replies = await client.pipeline([
      ['MULTI'],
      ['CLIENT', 'PAUSE', '1000', 'WRITE'],
      ['HINCRBY', 'h', 'n', '1'],
      ['HSETNX', 'h', 'x', 'new'],
      ['HSETEX', 'h', 'FNX', 'FIELDS', '1', 'y', '3'],
      ['HGET', 'h', 'read'],
      ['HLEN', 'h'],
      ['EXEC'],
    ])
    expect(replies.at(-1)).toEqual([OK, 1, 1, 1, null, 4])
    await stopAll()
    client = await start(options)
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    expect(await client.call('HMGET', 'h', 'n', 'x', 'y')).toEqual(['1', 'new', '3'])
    expect(await client.call('HTTL', 'h', 'FIELDS', '3', 'n', 'x', 'y')).toEqual([-1, -1, -1])
  })

  test('HPERSIST of an expired field and another one does not bring the first back', async () => {
    const options: ConfigOptions = { appendonly: 'yes' }
    let client = await start(options)
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    await client.call('HSET', 'h', 'over', '1', 'lives', '1')
    await client.call('HPEXPIRE', 'h', '10', 'FIELDS', '1', 'over')
    await client.call('HPEXPIRE', 'h', '1000', 'FIELDS', '1', 'lives')
    clock.pass(10)
    expect(await client.call('HPERSIST', 'h', 'FIELDS', '2', 'over', 'lives')).toEqual([-2, 1])
    await stopAll()
    client = await start(options)
    expect(await client.call('HGETALL', 'h')).toEqual(['lives', '1'])
  })
})

test('a replica hides fields whose time is over, and removes them when its primary does', async () => {
  const primary = await start({ 'repl-ping-replica-period': '3600' })
  const { port } = brokers[0]!
  await fill(primary)
  const replica = await start({ dbfilename: '', 'repl-ping-replica-period': '3600' })
  await replica.call('REPLICAOF', '127.0.0.1', String(port))
  await until('the replica is connected', () => brokers[1]!.server.following.state === 'connected')
  await primary.call('HSETEX', 'more', 'PX', '5000', 'FIELDS', '2', 'a', '1', 'b', '2')
  await primary.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
  await until('the replica has all', async () => (await replica.call('EXISTS', 'more')) === 1)
  expect(await contentOf(replica)).toEqual(await contentOf(primary))
  clock.pass(5000)
  expect(await replica.call('HGETALL', 'more')).toEqual([])
  expect(await replica.call('HLEN', 'more')).toBe(2)
  expect(await primary.call('HGET', 'more', 'a')).toBe(null)
  await until('the replica is told of the first', async () => (await replica.call('HLEN', 'more')) === 1)
  await primary.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1')
  await until('the replica is told of all', async () => (await replica.call('EXISTS', 'more')) === 0)
  expect(await replica.call('HLEN', 'big')).toBe(BIG_FIELDS - 2)
  expect(await contentOf(replica)).toEqual(await contentOf(primary))
})

test('who watches or caches a hash is told when a field expires, and so are those who want events', async () => {
  const client = await start({ 'notify-keyspace-events': 'KEA' })
  const broker = brokers[0]!
  const events = await broker.connect()
  await events.call('PSUBSCRIBE', '__keyevent@0__:*')
  const caching = await broker.connect()
  await caching.call('HELLO', '3')
  await caching.call('CLIENT', 'TRACKING', 'ON')
  const watching = await broker.connect()
  await client.call('HSET', 'h', 'a', '1')
  await client.call('HPEXPIRE', 'h', '10', 'FIELDS', '1', 'a')
  await caching.call('HTTL', 'h', 'FIELDS', '1', 'a')
  await watching.call('WATCH', 'h')
  clock.pass(10)
  await until('the key is gone', async () => (await client.call('EXISTS', 'h')) === 0)
  expect(await caching.nextPush()).toEqual(['invalidate', ['h']])
  expect(await watching.call('MULTI')).toEqual(OK)
  await watching.call('PING')
  expect(await watching.call('EXEC')).toBe(null)
  const names: Reply[] = []
  while (names.length < 4) names.push((await events.next()) as Reply)
  expect(names.map((message) => (message as Reply[]).slice(2))).toEqual([
    ['__keyevent@0__:hset', 'h'],
    ['__keyevent@0__:hexpire', 'h'],
    ['__keyevent@0__:hexpired', 'h'],
    ['__keyevent@0__:del', 'h'],
  ])
})

test('many fields of one moment go in slices, each recorded as HDEL, and what that takes counts as expiry', async () => {
  const client = await start({ appendonly: 'yes' })
  const took = vi.spyOn(brokers[0]!.server.stalls, 'took')
  const fields = Array.from({ length: 3000 }, (_, n) => `f${n}`)
  await client.call('HSET', 'h', ...fields.flatMap((name) => [name, '1']), 'stays', '1')
  await client.call('HPEXPIRE', 'h', '10', 'FIELDS', '3000', ...fields)
  clock.pass(10)
  expect(await client.call('HGETALL', 'h')).toEqual(['stays', '1'])
  await until('all are removed', async () => (await client.call('HLEN', 'h')) === 1)
  expect(took.mock.calls.map(([cause]) => cause)).toContain(StallCause.Expiry)
  const { arena } = brokers[0]!.server.keyspace
  expect({ bytes: arena.liveBytes, blocks: arena.liveBlocks }).toEqual(brokers[0]!.server.keyspace.account())
  await stopAll()
  const again = await start({ appendonly: 'yes' })
  await again.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
  expect(await again.call('HLEN', 'h')).toBe(1)
})
