/** This server as a replica: of itself, of a real redis-server, in a chain, and after its promotion. */
import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ConfigOptions } from '../../src/config/config.ts'
import { Random } from '../differential/random.ts'
import { TestBroker } from '../support/broker.ts'
import { until } from '../support/redis-servers.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'
import { CuttingProxy } from './support/cutting-proxy.ts'
import { randomBatch } from './support/load.ts'

// Servers start, connect again a second later, and share the machine with other tests.
vi.setConfig({ testTimeout: 30_000 })

const OK = { status: 'OK' }
/**
 * CI repeats one run, so that a change is judged by itself; everywhere else each run is another one. Some seed will differ: a
 * score of -0 keeps its sign in a big sorted set, and loses it when a small one is loaded, with Redis on both ends too.
 */
const CI_SEED = 20_261
const SEED = Number(process.env.MILLRACE_SEED ?? (process.env.CI === undefined ? Date.now() % 1_000_000_007 : CI_SEED))

const BATCH_COMMANDS = 100

let directory: string
let stops: (() => Promise<void>)[]

beforeEach(() => {
  directory = temporaryDirectory()
  stops = []
})

afterEach(async () => {
  for (const stop of stops.reverse()) await stop()
  rmSync(directory, { recursive: true, force: true })
})

interface Node {
  readonly broker: TestBroker
  readonly client: RespClient
}

async function node(options: ConfigOptions = {}): Promise<Node> {
  const broker = await TestBroker.start({ dir: directory, 'repl-ping-replica-period': 3600, ...options })
  stops.push(() => broker.stop())
  return { broker, client: await broker.connect() }
}

async function proxyTo(port: number): Promise<CuttingProxy> {
  const proxy = await CuttingProxy.start(port)
  stops.push(() => proxy.stop())
  return proxy
}

function linkState({ broker }: Node): string {
  return broker.server.following.state
}

async function follow(replica: Node, port: number): Promise<void> {
  expect(await replica.client.call('REPLICAOF', '127.0.0.1', String(port))).toEqual(OK)
  await until('the replica is connected', () => linkState(replica) === 'connected')
}

interface Caller {
  call(...words: string[]): Promise<Reply>
}

/** The replica has executed all that the primary has. */
async function expectEqual(primary: Caller, replica: Caller): Promise<void> {
  await primary.call('SET', 'last', 'write')
  await until('the replica has everything', async () => (await primary.call('WAIT', '1', '10000')) === 1)
  expect(await replica.call('DEBUG', 'DIGEST'), `seed ${SEED}`).toEqual(await primary.call('DEBUG', 'DIGEST'))
}

async function info(client: Caller, name: string): Promise<string> {
  return new RegExp(`^${name}:(.*)\\r$`, 'm').exec(String(await client.call('INFO', 'everything')))?.[1] ?? ''
}

describe('REPLICAOF', () => {
  test('takes over data and functions of the primary, then its writes; what was here before is gone', async () => {
    const [primary, replica] = [await node(), await node()]
    await primary.client.call('SET', 'k', 'v')
    await primary.client.call(
      'FUNCTION',
      'LOAD',
      "#!lua name=lib\nredis.register_function('f', function() return 1 end)",
    )
    await replica.client.call('SET', 'old', 'data')
    await follow(replica, primary.broker.port)
    await primary.client.call('SELECT', '3')
    await primary.client.pipeline([['MULTI'], ['RPUSH', 'list', 'a', 'b'], ['INCR', 'n'], ['EXEC']])
    await expectEqual(primary.client, replica.client)
    expect(await replica.client.call('EXISTS', 'old')).toBe(0)
    expect(await replica.client.call('FCALL_RO', 'f', '0')).toEqual({
      error: "READONLY You can't write against a read only replica.",
    })
    expect(await replica.client.call('FUNCTION', 'LIST')).toEqual(await primary.client.call('FUNCTION', 'LIST'))
  })

  test('is told by ROLE, INFO, CONFIG GET and CLIENT LIST', async () => {
    const [primary, replica] = [await node(), await node()]
    const { port } = primary.broker
    expect(await replica.client.call('ROLE')).toEqual(['master', 0, []])
    await follow(replica, port)
    expect(await replica.client.call('ROLE')).toEqual(['slave', '127.0.0.1', port, 'connected', 0])
    expect(await info(replica.client, 'role')).toBe('slave')
    expect(await info(replica.client, 'master_link_status')).toBe('up')
    expect(await info(replica.client, 'master_replid')).toBe(await info(primary.client, 'master_replid'))
    expect(await replica.client.call('CONFIG', 'GET', 'replicaof')).toEqual(['replicaof', `127.0.0.1 ${port}`])
    expect(String(await replica.client.call('CLIENT', 'LIST', 'TYPE', 'master'))).toContain(' flags=M ')
    expect(await replica.client.call('REPLICAOF', '127.0.0.1', String(port))).toEqual({
      status: 'OK Already connected to specified master',
    })
  })

  test.skipIf(process.platform !== 'linux')('connects from bind-source-addr', async () => {
    const primary = await node()
    const replica = await node({ 'bind-source-addr': '127.0.0.2' })
    await follow(replica, primary.broker.port)
    const addresses = [...primary.broker.server.sessions()].map(({ address }) => address.split(':')[0])
    expect(addresses).toContain('127.0.0.2')
  })

  test('of a primary that wants a password needs masterauth', async () => {
    const primary = await node({ requirepass: 'secret' })
    const replica = await node()
    await replica.client.call('REPLICAOF', '127.0.0.1', String(primary.broker.port))
    await until('it was refused', () => replica.broker.log.warnings.some((text) => text.includes('NOAUTH')))
    expect(replica.broker.log.warnings.join()).not.toContain('secret')
    await replica.client.call('CONFIG', 'SET', 'masterauth', 'secret')
    await until('the replica is connected', () => linkState(replica) === 'connected')
  })

  test('NO ONE keeps the data and begins a history that the old one is known in', async () => {
    const [primary, replica] = [await node(), await node()]
    await follow(replica, primary.broker.port)
    await primary.client.call('SET', 'k', 'v')
    await expectEqual(primary.client, replica.client)
    const id = await info(primary.client, 'master_replid')
    const offset = await info(replica.client, 'master_repl_offset')
    expect(await replica.client.call('REPLICAOF', 'NO', 'ONE')).toEqual(OK)
    expect(await info(replica.client, 'role')).toBe('master')
    expect(await info(replica.client, 'master_replid2')).toBe(id)
    expect(await info(replica.client, 'master_replid')).not.toBe(id)
    expect(await info(replica.client, 'second_repl_offset')).toBe(String(Number(offset) + 1))
    expect(await replica.client.call('SET', 'k', 'w')).toEqual(OK)
  })

  test('of the promoted replica needs no snapshot, as both have the same history', async () => {
    const [primary, replica] = [await node(), await node()]
    await follow(replica, primary.broker.port)
    await primary.client.call('SET', 'k', 'v')
    await expectEqual(primary.client, replica.client)
    await replica.client.call('REPLICAOF', 'NO', 'ONE')
    await replica.client.call('SET', 'k', 'w')
    await follow(primary, replica.broker.port)
    await expectEqual(replica.client, primary.client)
    expect(await primary.client.call('GET', 'k')).toBe('w')
    expect(await info(replica.client, 'sync_full')).toBe('0')
    expect(await info(replica.client, 'sync_partial_ok')).toBe('1')
  })
})

describe('a replica', () => {
  test('refuses writes unless replica-read-only is off, and WAIT', async () => {
    const [primary, replica] = [await node(), await node()]
    await follow(replica, primary.broker.port)
    const error = { error: "READONLY You can't write against a read only replica." }
    expect(await replica.client.call('SET', 'k', 'v')).toEqual(error)
    expect(await replica.client.call('EVAL', "return redis.call('SET', 'k', 'v')", '0')).toMatchObject({
      error: expect.stringContaining('READONLY'),
    })
    expect(await replica.client.call('EVAL', "#!lua\nreturn redis.call('SET', 'k', 'v')", '0')).toEqual({
      error: "READONLY You can't write against a read only replica.",
    })
    await replica.client.pipeline([['MULTI'], ['GET', 'k']])
    expect(await replica.client.call('SET', 'k', 'v')).toEqual(error)
    expect(await replica.client.call('EXEC')).toMatchObject({ error: expect.stringContaining('EXECABORT') })
    expect(await replica.client.call('WAIT', '1', '0')).toMatchObject({
      error: expect.stringContaining('WAIT cannot be used with replica instances'),
    })
    await replica.client.call('CONFIG', 'SET', 'replica-read-only', 'no')
    expect(await replica.client.call('SET', 'k', 'v')).toEqual(OK)
  })

  test('without its primary serves old data, or with replica-serve-stale-data no, none', async () => {
    const [primary, replica] = [await node(), await node()]
    await primary.client.call('SET', 'k', 'v')
    await follow(replica, primary.broker.port)
    await primary.broker.stop()
    stops.splice(0, 1)
    await until('the connection is lost', () => linkState(replica) !== 'connected')
    expect(await replica.client.call('GET', 'k')).toBe('v')
    await replica.client.call('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
    expect(await replica.client.call('GET', 'k')).toEqual({
      error: "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    })
    expect(await replica.client.call('PING')).toMatchObject({ error: expect.stringContaining('MASTERDOWN') })
    expect(await info(replica.client, 'master_link_status')).toBe('down')
    expect(await replica.client.call('REPLICAOF', 'NO', 'ONE')).toEqual(OK)
    expect(await replica.client.call('GET', 'k')).toBe('v')
  })

  test('lets no client take elements that was blocked before it became one', async () => {
    const [primary, replica] = [await node(), await node()]
    const blocked = await replica.broker.connect()
    const popped = blocked.call('BLPOP', 'list', '0')
    await until('the client waits', () => replica.broker.server.blockedCount === 1)
    await follow(replica, primary.broker.port)
    expect(await popped).toEqual({
      error: 'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
    })
    await blocked.closed()
    await primary.client.call('RPUSH', 'list', 'a')
    await expectEqual(primary.client, replica.client)
  })

  test('waits with the stream of its primary during CLIENT PAUSE', async () => {
    const [primary, replica] = [await node(), await node()]
    await follow(replica, primary.broker.port)
    await replica.client.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    await primary.client.call('SET', 'k', 'v')
    expect(await primary.client.call('WAIT', '1', '100')).toBe(0)
    expect(await replica.client.call('GET', 'k')).toBeNull()
    await replica.client.call('CLIENT', 'UNPAUSE')
    expect(await primary.client.call('WAIT', '1', '0')).toBe(1)
    expect(await replica.client.call('GET', 'k')).toBe('v')
  })

  test('hides a key whose time is over until the primary deletes it', async () => {
    const [primary, replica] = [await node(), await node()]
    await follow(replica, primary.broker.port)
    await primary.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    await primary.client.call('SET', 'k', 'v', 'PX', '50')
    await primary.client.call('SET', 'marker', '1')
    await until('it has come', async () => (await replica.client.call('EXISTS', 'marker')) === 1)
    await until('its time is over', async () => (await replica.client.call('GET', 'k')) === null)
    expect(await replica.client.call('DBSIZE')).toBe(2)
    expect(await primary.client.call('GET', 'k')).toBeNull()
    await until('it is deleted', async () => (await replica.client.call('DBSIZE')) === 1)
  })

  test('goes on behind what it has when it was cut, also in the midst of a transaction', async () => {
    const [primary, replica] = [await node(), await node()]
    const proxy = await proxyTo(primary.broker.port)
    await follow(replica, proxy.port)
    const value = 'x'.repeat(300_000)
    for (let i = 1; i <= 3; i++) {
      proxy.cutAfter(i * 200_000)
      await primary.client.pipeline([['MULTI'], ['INCR', 'n'], ['SET', 'a', value], ['APPEND', 'b', value], ['EXEC']])
      await until('it was cut', () => primary.broker.server.replication.partialSyncs >= i)
      // What was sent anew is not to be what the next cut counts.
      const { offset } = primary.broker.server.replication
      await until('it goes on', () => replica.broker.server.replication.offset === offset)
    }
    await expectEqual(primary.client, replica.client)
    expect(await replica.client.call('GET', 'n')).toBe('3')
    expect(await info(primary.client, 'sync_full')).toBe('1')
  })

  test('begins anew when the connection is cut in the midst of the payload', async () => {
    const [primary, replica] = [await node({ rdbcompression: 'no' }), await node()]
    const proxy = await proxyTo(primary.broker.port)
    await primary.client.call('DEBUG', 'POPULATE', '20000', 'key', '100')
    proxy.cutAfter(1_000_000)
    await follow(replica, proxy.port)
    await expectEqual(primary.client, replica.client)
    expect(await info(primary.client, 'sync_full')).toBe('2')
  })

  test('that takes writes lets keys expire that its primary does not know', async () => {
    const [primary, replica] = [await node(), await node({ 'replica-read-only': 'no' })]
    await follow(replica, primary.broker.port)
    const [, stats] = await replica.client.pipeline([
      ['SET', 'own', 'v', 'PX', '30'],
      ['INFO', 'stats'],
    ])
    expect(stats).toContain('slave_expires_tracked_keys:1')
    await until('it is deleted', async () => (await replica.client.call('DBSIZE')) === 0)
    expect(await info(replica.client, 'slave_expires_tracked_keys')).toBe('0')
  })

  test('that must not serve old data runs scripts which allow it, and in them commands that need none', async () => {
    const replica = await node({ 'replica-serve-stale-data': 'no', replicaof: '127.0.0.1 1' })
    const run = (head: string, body: string): Promise<Reply> => replica.client.call('EVAL', `${head}${body}`, '0')
    const error = { error: "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'." }
    expect(await run('', 'return 1')).toEqual(error)
    expect(await run('#!lua flags=no-writes\n', 'return 1')).toEqual(error)
    expect(await run('#!lua flags=no-writes,allow-stale\n', 'return 1')).toBe(1)
    expect(await run('#!lua flags=no-writes,allow-stale\n', "return redis.call('GET', 'k')")).toMatchObject({
      error: expect.stringContaining('Can not execute the command on a stale replica'),
    })
  })

  test('writes what it takes over, and what follows, to its own log', async () => {
    const [primary, replica] = [await node(), await node({ appendonly: 'yes' })]
    await primary.client.call('SET', 'before', '1')
    await follow(replica, primary.broker.port)
    await primary.client.call('INCR', 'n')
    await expectEqual(primary.client, replica.client)
    await until(
      'the log is on',
      async () =>
        (await info(replica.client, 'aof_rewrite_in_progress')) === '0' &&
        (await info(replica.client, 'aof_rewrite_scheduled')) === '0',
    )
    const digest = await replica.client.call('DEBUG', 'DIGEST')
    expect(await replica.client.call('DEBUG', 'LOADAOF')).toEqual(OK)
    expect(await replica.client.call('DEBUG', 'DIGEST')).toEqual(digest)
    expect(await primary.client.call('WAITAOF', '0', '1', '10000')).toEqual([0, 1])
  })

  test('has replicas of its own, with the same offsets, which follow it to another primary', async () => {
    const [top, middle, bottom] = [await node(), await node(), await node()]
    await follow(middle, top.broker.port)
    await top.client.call('SELECT', '5')
    await top.client.call('SET', 'k', 'v')
    await follow(bottom, middle.broker.port)
    await top.client.call('SET', 'k2', 'v')
    await until('it has come', async () => String(await bottom.client.call('INFO', 'keyspace')).includes('db5:keys=2'))
    await until(
      'offsets are equal',
      async () => (await info(bottom.client, 'master_repl_offset')) === (await info(top.client, 'master_repl_offset')),
    )
    expect(await bottom.client.call('DEBUG', 'DIGEST')).toEqual(await top.client.call('DEBUG', 'DIGEST'))
    await middle.client.call('REPLICAOF', 'NO', 'ONE')
    await middle.client.call('SET', 'k3', 'v')
    await until('it has come', async () => String(await bottom.client.call('INFO', 'keyspace')).includes('db0:keys=1'))
    expect(await info(middle.client, 'sync_full')).toBe('1')
  })

  test('goes on behind its snapshot after a restart, and so do the replicas of a primary that restarts', async () => {
    const own = { dir: temporaryDirectory(), dbfilename: 'dump.rdb' }
    stops.push(async () => rmSync(own.dir, { recursive: true, force: true }))
    const primary = await node()
    const first = await TestBroker.start({ ...own, replicaof: `127.0.0.1 ${primary.broker.port}` })
    await until('the replica is connected', () => first.server.following.state === 'connected')
    await primary.client.call('SET', 'k', 'v')
    await until('it has come', () => first.server.replication.offset === primary.broker.server.replication.offset)
    expect(await (await first.connect()).call('SAVE')).toEqual(OK)
    await first.stop()
    await primary.client.call('INCR', 'n')
    const second = await node({ ...own, replicaof: `127.0.0.1 ${primary.broker.port}` })
    await until('it has come', async () => (await second.client.call('GET', 'n')) === '1')
    expect(await info(primary.client, 'sync_full')).toBe('1')
    // The primary restarts with what the replica has.
    await second.client.call('REPLICAOF', 'NO', 'ONE')
    await follow(primary, second.broker.port)
    await second.client.call('SAVE')
    const { port } = second.broker
    expect(port).toBeGreaterThan(0)
    await second.broker.stop()
    stops.splice(stops.length - 1, 1)
    const restarted = await node({ ...own })
    await restarted.client.call('INCR', 'n')
    await follow(primary, restarted.broker.port)
    await until('it has come', async () => (await primary.client.call('GET', 'n')) === '2')
    expect(await info(restarted.client, 'sync_full')).toBe('0')
  })

  test('which was a primary goes on behind its snapshot in the database that its stream was in', async () => {
    const own = { dir: temporaryDirectory(), dbfilename: 'dump.rdb' }
    stops.push(async () => rmSync(own.dir, { recursive: true, force: true }))
    const first = await TestBroker.start({ ...own, 'repl-ping-replica-period': 3600 })
    const client = await first.connect()
    const heir = await node()
    await follow(heir, first.port)
    await client.pipeline([['SELECT', '5'], ['SET', 'k', 'v'], ['SAVE'], ['INCR', 'n']])
    await expectEqual(client, heir.client)
    await first.stop()
    await heir.client.call('REPLICAOF', 'NO', 'ONE')
    const second = await node({ ...own, replicaof: `127.0.0.1 ${heir.broker.port}` })
    await until('the replica is connected', () => linkState(second) === 'connected')
    await expectEqual(heir.client, second.client)
    expect(await info(heir.client, 'sync_full')).toBe('0')
  })

  test('which was a primary drops what the transaction has written that made it one', async () => {
    const [first, heir] = [await node(), await node()]
    await follow(heir, first.broker.port)
    await first.client.call('SET', 'k', 'v')
    await expectEqual(first.client, heir.client)
    await heir.client.call('REPLICAOF', 'NO', 'ONE')
    const { port } = heir.broker
    await first.client.pipeline([['MULTI'], ['SET', 'own', 'v'], ['REPLICAOF', '127.0.0.1', String(port)], ['EXEC']])
    await until('the replica is connected', () => linkState(first) === 'connected')
    await expectEqual(heir.client, first.client)
  })

  test('follows the primary that the configuration names, from the start', async () => {
    const primary = await node()
    await primary.client.call('SET', 'k', 'v')
    const replica = await node({ replicaof: `127.0.0.1 ${primary.broker.port}` })
    await until('it has come', async () => (await replica.client.call('GET', 'k')) === 'v')
  })
})

describe.skipIf(!hasRedisServer)(`a replica of a redis-server, seed ${SEED}`, () => {
  for (const diskless of ['yes', 'no']) {
    test(`has its data after random commands (repl-diskless-sync ${diskless})`, { timeout: 60_000 }, async () => {
      const redis = await ServerProcess.redis([
        '--enable-debug-command',
        'yes',
        '--repl-diskless-sync',
        diskless,
        '--repl-diskless-sync-delay',
        '0',
      ])
      stops.push(() => redis.dispose())
      const primary = await redis.connect()
      stops.push(async () => primary.close())
      const random = new Random(SEED)
      for (let i = 0; i < 10; i++) await primary.pipeline(randomBatch(random, BATCH_COMMANDS))
      await primary.call('DISCARD')
      const replica = await node()
      await follow(replica, redis.port)
      for (let i = 0; i < 30; i++) await primary.pipeline(randomBatch(random, BATCH_COMMANDS))
      await primary.call('DISCARD')
      await expectEqual(primary, replica.client)
      expect(replica.broker.log.warnings.filter((text) => text.includes('CRITICAL'))).toEqual([])
    })
  }
})
