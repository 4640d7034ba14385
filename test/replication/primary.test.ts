/** The primary's side of replication on the wire, towards replicas that the tests play. */
import { readdirSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import { Files } from '../../src/files/files.ts'
import { Broker } from '../../src/server/broker.ts'
import { TestBroker, TestLog } from '../support/broker.ts'
import { until } from '../support/redis-servers.ts'
import { RespClient } from '../support/resp-client.ts'
import { freePort, temporaryDirectory } from '../support/server-process.ts'
import { ReplicaProbe } from './support/replica-probe.ts'

// Servers start, connect again a second later, and share the machine with other tests.
vi.setConfig({ testTimeout: 30_000 })

const OK = { status: 'OK' }

let directory: string
let broker: TestBroker
let a: RespClient
let probes: ReplicaProbe[]

async function start(options: ConfigOptions = {}): Promise<void> {
  broker = await TestBroker.start({ dir: directory, 'repl-ping-replica-period': 3600, ...options })
  a = await broker.connect()
}

async function probe(): Promise<ReplicaProbe> {
  const made = await ReplicaProbe.connect(broker.port)
  probes.push(made)
  return made
}

/** A replica that receives the stream. */
async function attached(): Promise<ReplicaProbe> {
  const replica = await probe()
  await replica.announce()
  await replica.fullResync()
  await replica.payload()
  await until('it is online', () => broker.server.replication.attached.some((r) => r.replica.isOnline))
  return replica
}

async function info(name: string): Promise<string> {
  const text = String(await a.call('INFO', 'everything'))
  return new RegExp(`^${name}:(.*)\\r$`, 'm').exec(text)?.[1] ?? ''
}

beforeEach(() => {
  directory = temporaryDirectory()
  probes = []
})

afterEach(async () => {
  for (const replica of probes) replica.close()
  await broker.stop()
  rmSync(directory, { recursive: true, force: true })
})

describe('a full resync', () => {
  test('is announced with history and offset, then comes the payload, then what was written since', async () => {
    await start()
    await a.call('SET', 'before', '1')
    const replica = await probe()
    await replica.announce()
    const { id, offset } = await replica.fullResync()
    expect(id).toBe(await info('master_replid'))
    expect(offset).toBe(0)
    await a.call('SET', 'after', '2')
    const payload = await replica.payload()
    expect(payload.latin1Slice(0, 5)).toBe('REDIS')
    expect(payload.includes('before')).toBe(true)
    expect(payload.includes('after')).toBe(false)
    expect(await replica.commands(2)).toEqual(['SELECT 0', 'SET after 2'])
    expect(Number(await info('master_repl_offset'))).toBe(replica.streamBytes)
    expect(readdirSync(directory).filter((name) => name.startsWith('temp-'))).toEqual([])
  })

  test('by SYNC has no announcement', async () => {
    await start()
    const replica = await probe()
    await replica.attach()
    await a.call('SET', 'k', 'v')
    expect(await replica.commands(2)).toEqual(['SELECT 0', 'SET k v'])
    expect(await info('slave0')).toMatch(/^ip=127\.0\.0\.1,port=0,state=online,offset=0,lag=0$/)
  })

  test('serves two replicas with one snapshot, the second of which came while it was written', async () => {
    await start({ 'rdb-key-save-delay': 2000 })
    for (let i = 0; i < 200; i++) await a.call('SET', `k${i}`, 'v')
    const [first, second] = [await probe(), await probe()]
    await first.announce()
    await second.announce()
    const one = await first.fullResync()
    await a.call('INCR', 'n')
    const two = await second.fullResync()
    expect(two).toEqual(one)
    expect(await info('rdb_bgsave_in_progress')).toBe('1')
    await a.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    expect((await second.payload()).equals(await first.payload())).toBe(true)
    for (const replica of [first, second]) expect(await replica.commands(2)).toEqual(['SELECT 0', 'INCR n'])
    expect(broker.server.stats.snapshots).toBe(1)
  })

  test('waits for a BGSAVE that is under way, while newlines keep the connection alive', async () => {
    await start({ 'rdb-key-save-delay': 100_000_000 })
    await a.call('SET', 'k', 'v')
    await a.call('BGSAVE')
    const replica = await probe()
    await replica.announce()
    replica.send('PSYNC', '?', '-1')
    expect((await replica.take(1)).toString()).toBe('\n')
    expect(await info('slave0')).toContain('state=wait_bgsave')
    expect(await a.call('SAVE')).toEqual({ error: 'ERR Background save already in progress' })
    await a.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    expect(await replica.line()).toMatch(/^\+FULLRESYNC /)
    await replica.payload()
  })

  test('refuses SAVE and BGSAVE while its snapshot is written, and gives way to SHUTDOWN', async () => {
    await start({ 'rdb-key-save-delay': 100_000_000 })
    await a.call('SET', 'k', 'v')
    const replica = await probe()
    await replica.announce()
    await replica.fullResync()
    const error = { error: 'ERR Background save already in progress' }
    expect(await a.call('SAVE')).toEqual(error)
    expect(await a.call('BGSAVE')).toEqual(error)
    expect(await a.call('BGSAVE', 'SCHEDULE')).toEqual(error)
    await broker.broker.close()
    await replica.closed()
    expect(readdirSync(directory).filter((name) => name.startsWith('temp-'))).toEqual([])
  })

  test('is given up when its only replica goes, and leaves no file', async () => {
    await start({ 'rdb-key-save-delay': 100_000_000 })
    await a.call('SET', 'k', 'v')
    const replica = await probe()
    await replica.announce()
    await replica.fullResync()
    replica.close()
    await until('the snapshot is over', () => !broker.server.snapshots.isActive)
    expect(await info('connected_slaves')).toBe('0')
    expect(readdirSync(directory).filter((name) => name.startsWith('temp-'))).toEqual([])
  })

  test('holds only the functions when the replica wants no more, and ends with the payload for one that wants only that', async () => {
    await start()
    await a.call('SET', 'k', 'value-of-a-key')
    await a.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    const replica = await probe()
    expect(await replica.call('REPLCONF', 'rdb-filter-only', 'functions')).toBe('+OK')
    expect(await replica.call('SYNC')).toBe('-ERR Filtered replica requires EOF capability')
    await replica.call('REPLCONF', 'capa', 'eof', 'rdb-only', '1')
    await replica.fullResync()
    const payload = await replica.payload()
    expect(payload.includes('register_function')).toBe(true)
    expect(payload.includes('value-of-a-key')).toBe(false)
    await replica.closed()
  })
})

describe('a partial resync', () => {
  test('goes on behind the bytes that the replica has', async () => {
    await start()
    const first = await probe()
    await first.announce()
    const { id } = await first.fullResync()
    await first.payload()
    await a.call('SET', 'a', '1')
    await first.commands(2)
    first.close()
    await until('it is gone', () => broker.server.replication.attached.length === 0)
    await a.call('SET', 'b', '2')
    const second = await probe()
    await second.announce()
    expect(await second.call('PSYNC', id, String(first.streamBytes + 1))).toBe(`+CONTINUE ${id}`)
    expect(await second.nextCommand()).toBe('SET b 2')
    await a.call('SET', 'c', '3')
    expect(await second.nextCommand()).toBe('SET c 3')
    expect(await info('sync_partial_ok')).toBe('1')
  })

  test('is answered without the ID to a replica that does not know of two', async () => {
    await start()
    const { id, offset } = await (await probe()).fullResync()
    expect(await (await probe()).call('PSYNC', id.toUpperCase(), String(offset + 1))).toBe('+CONTINUE')
  })

  for (const [what, psync] of [
    ['another history', (_id: string) => ['PSYNC', 'f'.repeat(40), '1']],
    ['an offset that is not written yet', (id: string) => ['PSYNC', id, '1000']],
    ['an offset before the backlog', (id: string) => ['PSYNC', id, '0']],
  ] as const) {
    test(`becomes a full one for ${what}`, async () => {
      await start()
      const { id } = await (await probe()).fullResync()
      const replica = await probe()
      expect(await replica.call(...psync(id))).toMatch(/^\+FULLRESYNC /)
      expect(await info('sync_partial_err')).toBe('1')
    })
  }

  test('becomes a full one when the backlog is too small for what came meanwhile', async () => {
    await start({ 'repl-backlog-size': 16384 })
    const replica = await probe()
    const { id, offset } = await replica.fullResync()
    replica.close()
    await until('it is gone', () => broker.server.replication.attached.length === 0)
    for (let i = 0; i < 10; i++) await a.call('SET', 'k', 'x'.repeat(16_000))
    expect(Number(await info('repl_backlog_histlen'))).toBeLessThan(65_536)
    expect(await (await probe()).call('PSYNC', id, String(offset + 1))).toMatch(/^\+FULLRESYNC /)
  })

  test('is over when the backlog has been without replicas for too long', async () => {
    await start({ 'repl-backlog-ttl': 1 })
    const replica = await attached()
    const id = await info('master_replid')
    replica.close()
    await until('the backlog is freed', async () => (await info('repl_backlog_active')) === '0')
    expect(await info('master_replid')).not.toBe(id)
    expect(broker.server.journal.enabled).toBe(false)
  })
})

describe('the stream', () => {
  test('has the effects of scripts as redis.set_repl wants them, and messages, which the log has not', async () => {
    await start()
    const replica = await attached()
    await a.call(
      'EVAL',
      `redis.set_repl(redis.REPL_AOF); redis.call('SET', 'aof', 1)
       redis.set_repl(redis.REPL_REPLICA); redis.call('SET', 'replica', 1)
       redis.set_repl(redis.REPL_NONE); redis.call('SET', 'none', 1)
       redis.set_repl(redis.REPL_ALL); redis.call('SET', 'all', 1)`,
      '0',
    )
    await a.call('PUBLISH', 'channel', 'message')
    expect(await replica.commands(6)).toEqual([
      'SELECT 0',
      'MULTI',
      'SET replica 1',
      'SET all 1',
      'EXEC',
      'PUBLISH channel message',
    ])
  })

  test('has a DEL for a key that has expired', async () => {
    await start()
    const replica = await attached()
    await a.call('SET', 'k', 'v', 'PX', '1')
    const commands = await replica.commands(3)
    expect(commands[1]).toMatch(/^SET k v PXAT \d+$/)
    expect(commands[2]).toBe('DEL k')
  })

  test('is a PING in the interval that is configured', async () => {
    await start({ 'repl-ping-replica-period': 1 })
    expect(await (await attached()).nextCommand()).toBe('PING')
  })

  test('is recorded only from the first replica on', async () => {
    await start()
    await a.call('SET', 'k', 'v')
    expect(broker.server.journal.enabled).toBe(false)
    expect(await info('master_repl_offset')).toBe('0')
    await attached()
    expect(broker.server.journal.enabled).toBe(true)
  })

  test('reaches a replica only when the log need not hold back replies any more', async () => {
    await start({ appendonly: 'yes', appendfsync: 'always' })
    const replica = await attached()
    await a.call('SET', 'k', 'v')
    expect(await replica.commands(2)).toEqual(['SELECT 0', 'SET k v'])
  })
})

describe('WAIT', () => {
  test('counts replicas that have acknowledged the writes of the connection, and asks them to', async () => {
    await start()
    const replica = await attached()
    expect(await a.call('WAIT', '1', '0')).toBe(1)
    await a.call('SET', 'k', 'v')
    expect(await a.call('WAIT', '1', '1')).toBe(0)
    const waiting = a.call('WAIT', '1', '0')
    expect(await replica.commands(4)).toEqual(['SELECT 0', 'SET k v', 'REPLCONF GETACK *', 'REPLCONF GETACK *'])
    replica.send('REPLCONF', 'ACK', String(replica.streamBytes))
    expect(await waiting).toBe(1)
  })

  test('within a transaction answers at once', async () => {
    await start()
    await attached()
    await a.call('SET', 'k', 'v')
    await a.pipeline([['MULTI'], ['SET', 'k', 'v'], ['WAIT', '1', '0']])
    expect(await a.call('EXEC')).toEqual([OK, 0])
  })

  test('has the errors of its arguments', async () => {
    await start()
    expect(await a.call('WAIT', 'x', '0')).toEqual({ error: 'ERR value is not an integer or out of range' })
    expect(await a.call('WAIT', '1', '-1')).toEqual({ error: 'ERR timeout is negative' })
  })

  test('WAITAOF counts replicas that have the writes in their logs', async () => {
    await start()
    const replica = await attached()
    await a.call('SET', 'k', 'v')
    const waiting = a.call('WAITAOF', '0', '1', '0')
    await replica.commands(3)
    replica.send('REPLCONF', 'ACK', String(replica.streamBytes))
    replica.send('REPLCONF', 'ACK', String(replica.streamBytes), 'FACK', String(replica.streamBytes))
    expect(await waiting).toEqual([0, 1])
  })
})

describe('a replica', () => {
  test('is told by ROLE, INFO and CLIENT LIST, with the address that it gave', async () => {
    await start()
    const replica = await probe()
    await replica.call('REPLCONF', 'listening-port', '7777', 'ip-address', 'replica.test')
    await replica.attach()
    await until('it is online', () => broker.server.replication.attached.some((r) => r.replica.isOnline))
    expect(await a.call('ROLE')).toEqual(['master', 0, [['replica.test', '7777', '0']]])
    expect(await info('connected_slaves')).toBe('1')
    expect(await info('slave0')).toBe('ip=replica.test,port=7777,state=online,offset=0,lag=0')
    expect(JSON.stringify(await a.call('CLIENT', 'LIST', 'TYPE', 'replica'))).toContain(' flags=S ')
    expect(await a.call('CLIENT', 'KILL', 'TYPE', 'replica')).toBe(1)
    await replica.closed()
  })

  test('is closed when it sends a command that is answered', async () => {
    await start()
    const replica = await attached()
    replica.send('GET', 'k')
    await replica.closed()
    expect(await a.call('PING')).toEqual({ status: 'PONG' })
  })

  test('that does not read is closed at its output limit; the server lives, others get all', async () => {
    await start({ 'client-output-buffer-limit': 'replica 1mb 0 0', 'repl-backlog-size': 16384 })
    const slow = await attached()
    slow.pause()
    const quick = await attached()
    const value = 'x'.repeat(250_000)
    for (let i = 0; i < 60; i++) await a.call('SET', `k${i}`, value)
    await slow.closed()
    await quick.commands(61)
    expect(await info('connected_slaves')).toBe('1')
    expect(await info('client_output_buffer_limit_disconnections')).toBe('1')
  })

  test('that says nothing for repl-timeout is closed', async () => {
    await start({ 'repl-timeout': 1 })
    await (await attached()).closed()
    expect(broker.log.warnings.join()).toContain('Disconnecting timedout replica (streaming sync)')
  })

  test('is not stopped by CLIENT PAUSE', async () => {
    await start()
    const replica = await attached()
    await a.call('SET', 'k', 'v')
    await replica.commands(2)
    await a.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    replica.send('REPLCONF', 'ACK', String(replica.streamBytes))
    await until('it is heard', async () => (await info('slave0')).includes(`offset=${replica.streamBytes}`))
  })

  test('needs the rights of a user who may PSYNC and REPLCONF', async () => {
    await start()
    await a.call('ACL', 'SETUSER', 'replica', 'on', '>secret', '+psync', '+replconf', '+ping')
    const replica = await probe()
    expect(await replica.call('AUTH', 'replica', 'secret')).toBe('+OK')
    expect(await replica.call('SYNC')).toMatch(/^-NOPERM /)
    await replica.fullResync()
    await replica.payload()
    await a.call('SET', 'k', 'v')
    expect(await replica.commands(2)).toEqual(['SELECT 0', 'SET k v'])
  })
})

describe('min-replicas-to-write', () => {
  test('refuses writes while there are too few replicas that are near enough', async () => {
    await start({ 'min-replicas-to-write': 1 })
    const error = { error: 'NOREPLICAS Not enough good replicas to write.' }
    expect(await a.call('SET', 'k', 'v')).toEqual(error)
    expect(await a.call('EVAL', "return redis.call('SET', 'k', 'v')", '0')).toMatchObject({
      error: expect.stringContaining('NOREPLICAS'),
    })
    expect(await a.call('GET', 'k')).toBeNull()
    await attached()
    expect(await a.call('SET', 'k', 'v')).toEqual(OK)
    expect(await info('min_slaves_good_slaves')).toBe('1')
    await a.call('CONFIG', 'SET', 'min-replicas-to-write', '2')
    expect(await a.call('SET', 'k', 'v')).toEqual(error)
  })
})

describe('SHUTDOWN', () => {
  test('waits until replicas have what was written, while writes wait, unless it is aborted', async () => {
    await start()
    let ends = 0
    broker.server.onShutdown = () => {
      ends++
    }
    const replica = await attached()
    await a.call('SET', 'k', 'v')
    const leaving = await broker.connect()
    const refused = leaving.call('SHUTDOWN', 'NOSAVE')
    expect(await replica.commands(3)).toEqual(['SELECT 0', 'SET k v', 'REPLCONF GETACK *'])
    expect(Number(await info('shutdown_in_milliseconds'))).toBeGreaterThan(1000)
    const writer = await broker.connect()
    const written = writer.call('SET', 'k', 'w')
    expect(await a.call('GET', 'k')).toBe('v')
    expect(await a.call('SHUTDOWN', 'ABORT')).toEqual(OK)
    expect(await refused).toEqual({ error: 'ERR Errors trying to SHUTDOWN. Check logs.' })
    expect(await written).toEqual(OK)
    expect(await a.call('SHUTDOWN', 'ABORT')).toEqual({ error: 'ERR No shutdown in progress.' })
    leaving.write('SHUTDOWN', 'NOSAVE')
    expect(await replica.commands(2)).toEqual(['SET k w', 'REPLCONF GETACK *'])
    expect(ends).toBe(0)
    replica.send('REPLCONF', 'ACK', String(replica.streamBytes))
    await until('it ends', () => ends === 1)
  })

  test('waits no longer than shutdown-timeout, and tells who is behind', async () => {
    await start({ 'shutdown-timeout': 1 })
    let ends = 0
    broker.server.onShutdown = () => {
      ends++
    }
    await attached()
    await a.call('SET', 'k', 'v')
    a.write('SHUTDOWN', 'NOSAVE')
    await until('it ends', () => ends === 1)
    expect(broker.log.warnings.join()).toContain('Lagging replica 127.0.0.1')
  })

  test('NOW waits for nobody', async () => {
    await start()
    let ends = 0
    broker.server.onShutdown = () => {
      ends++
    }
    await attached()
    await a.call('SET', 'k', 'v')
    a.write('SHUTDOWN', 'NOSAVE', 'NOW')
    await until('it ends', () => ends === 1)
    expect(broker.server.leaving.msLeft).toBeNull()
  })
})

describe('REPLCONF, SYNC and REPLICAOF', () => {
  test('have the errors of Redis', async () => {
    await start()
    for (const [command, error] of [
      [['REPLCONF', 'capa'], 'ERR syntax error'],
      [['REPLCONF', 'nope', '1'], 'ERR Unrecognized REPLCONF option: nope'],
      [['REPLCONF', 'listening-port', 'x'], 'ERR value is not an integer or out of range'],
      [['REPLCONF', 'rdb-only', '2'], 'ERR value is out of range, value must between 0 and 1'],
      [['REPLCONF', 'rdb-filter-only', 'keys'], 'ERR Unsupported rdb-filter-only option: keys'],
      [
        ['REPLCONF', 'ip-address', 'x'.repeat(256)],
        'ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes',
      ],
      [['PSYNC', '?', 'x'], 'ERR value is not an integer or out of range'],
      [['PSYNC', '?', '-1', 'FAILOVER'], "ERR PSYNC FAILOVER can't be sent to a master."],
      [['REPLICAOF', 'localhost', '70000'], 'ERR Invalid master port'],
      [['SLAVEOF', 'localhost', 'x'], 'ERR Invalid master port'],
    ] as const) {
      expect(await a.call(...command), command.join(' ')).toEqual({ error })
    }
    expect(await a.call('REPLCONF')).toEqual(OK)
    expect(await a.call('REPLICAOF', 'NO', 'ONE')).toEqual(OK)
    expect(await a.pipeline([['PING'], ['SYNC']])).toEqual([
      { status: 'PONG' },
      { error: 'ERR SYNC and PSYNC are invalid with pending output' },
    ])
  })
})

describe('a snapshot for replicas that cannot be written', () => {
  class FullDisk extends Files {
    isFull = true

    override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
      if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
      return super.write(fd, buffer, start, length, offset)
    }
  }

  test('closes the replica and leaves nothing; the next one succeeds', async () => {
    await start()
    const files = new FullDisk()
    const log = new TestLog()
    const port = await freePort()
    const config = configFromOptions({ port, dir: directory, save: '', appendonly: 'no', 'http-token-file': '' })
    const full = new Broker({ config, log, files })
    await full.start()
    const client = await RespClient.connect({ port })
    const unlucky = await ReplicaProbe.connect(port)
    probes.push(unlucky)
    await unlucky.fullResync()
    await unlucky.closed()
    expect(log.warnings.join()).toContain('no space left on device')
    expect(readdirSync(directory).filter((name) => name.startsWith('temp-'))).toEqual([])
    // Writes are refused for a snapshot that was asked for, not for one of a replica.
    expect(await client.call('SET', 'k', 'v')).toEqual(OK)
    files.isFull = false
    const lucky = await ReplicaProbe.connect(port)
    probes.push(lucky)
    await lucky.fullResync()
    expect((await lucky.payload()).includes('k')).toBe(true)
    client.close()
    await full.close()
  })
})
