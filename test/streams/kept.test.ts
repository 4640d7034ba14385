/**
 * What streams have that Redis 7 does not know, after a snapshot, a log, a rewritten log, and on a replica; and that Redis
 * reads our files nevertheless.
 */
import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ConfigOptions } from '../../src/config/config.ts'
import { TestBroker, TestClock } from '../support/broker.ts'
import { until } from '../support/redis-servers.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'

vi.setConfig({ testTimeout: 30_000 })

const OK = { status: 'OK' }
const FILL = [
  'XADD s IDMP p a * f v',
  'XADD s IDMP p a * f v',
  'XADD s IDMPAUTO q * f v g w',
  'XADD s IDMP p b * f v',
  'XADD s * f v',
  'XCFGSET s IDMP-DURATION 100 IDMP-MAXSIZE 100',
  'XDEL s 1700000000000-2',
  'XADD set * f v',
  'XCFGSET set IDMP-DURATION 7 IDMP-MAXSIZE 7000',
  'XADD plain * f v',
  'XADD work 1-1 f v',
  'XADD work 2-1 f v',
  'XADD work 3-1 f v',
  'XADD work 4-1 f v',
  'XGROUP CREATE work g 0',
  'XGROUP CREATE work h 0',
  'XREADGROUP GROUP g c COUNT 3 STREAMS work >',
  'XREADGROUP GROUP h c COUNT 1 STREAMS work >',
  'XCLAIM work g c 0 2-1',
  'XNACK work g SILENT IDS 2 3-1 2-1',
  'XNACK work g FATAL IDS 1 4-1 FORCE',
  'XNACK work h FAIL IDS 1 1-1',
]
/** What would have another reply if something was lost: duplicates. */
const PROBES = ['XADD s IDMP p a * f v', 'XADD s IDMP p b * f v', 'XADD s IDMPAUTO q * g w f v']

describe('what streams remember is kept', () => {
  let directory: string
  let clock: TestClock
  let stops: (() => Promise<void>)[]

  beforeEach(() => {
    directory = temporaryDirectory()
    clock = new TestClock()
    stops = []
  })

  afterEach(async () => {
    for (const stop of stops.reverse()) await stop()
    rmSync(directory, { recursive: true, force: true })
  })

  async function start(options: ConfigOptions = {}): Promise<{ broker: TestBroker; client: RespClient }> {
    const broker = await TestBroker.start({ dir: directory, dbfilename: 'dump.rdb', ...options }, clock)
    stops.push(() => broker.stop())
    return { broker, client: await broker.connect() }
  }

  const call = (client: RespClient, line: string): Promise<Reply> => client.call(...line.split(' '))

  async function fill(client: RespClient): Promise<void> {
    for (const line of FILL) await call(client, line)
  }

  async function states(client: RespClient): Promise<string> {
    const states: Reply[] = []
    for (const key of ['s', 'set', 'plain', 'work'])
      states.push(await client.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'))
    return JSON.stringify(states, (_key, value) => (typeof value === 'bigint' ? String(value) : value))
  }

  async function probe(client: RespClient): Promise<void> {
    const before = await client.call('XLEN', 's')
    const replies: Reply[] = []
    for (const line of PROBES) replies.push(await call(client, line))
    expect(replies).toEqual(['1700000000000-0', '1700000000000-2', '1700000000000-1'])
    expect(await client.call('XLEN', 's')).toBe(before)
    const claimed = (await call(client, 'XREADGROUP GROUP g d COUNT 3 CLAIM 1000 STREAMS work >')) as Reply[][][][]
    expect(claimed[0]![1]!.map(([id]) => id)).toEqual(['3-1', '2-1', '4-1'])
  }

  test.each(['9', '10', '11'])('in a snapshot of version %s', async (version) => {
    const { client } = await start({ 'rdb-version': version })
    await fill(client)
    const before = await states(client)
    expect(await client.call('DEBUG', 'RELOAD')).toEqual(OK)
    // Version 9 has no place for counters of entries.
    if (version !== '9') expect(await states(client)).toBe(before)
    await probe(client)
  })

  test.each(['yes', 'no'])('in a log, and in a rewritten one (aof-use-rdb-preamble %s)', async (preamble) => {
    const { client } = await start({ appendonly: 'yes', 'aof-use-rdb-preamble': preamble })
    await fill(client)
    const before = await states(client)
    expect(await client.call('DEBUG', 'LOADAOF')).toEqual(OK)
    expect(withoutReading(await states(client))).toBe(withoutReading(before))
    await client.call('BGREWRITEAOF')
    await until('the log is rewritten', async () =>
      String(await client.call('INFO', 'persistence')).includes('aof_rewrite_in_progress:0'),
    )
    expect(await client.call('DEBUG', 'LOADAOF')).toEqual(OK)
    const [left, expected] = [withoutReading(await states(client)), withoutReading(before)]
    if (preamble === 'yes') expect(left).toBe(expected)
    else expect(withoutCounters(left)).toBe(withoutCounters(expected))
    await probe(client)
  })

  test('in a log also when the stream has gone back behind what was added', async () => {
    const { client } = await start({ appendonly: 'yes' })
    const replies: Reply[] = []
    for (const line of [
      'XADD back IDMP p a * f v',
      'XTRIM back MAXLEN 0',
      'XSETID back 1-1',
      'XADD back IDMP p a * f v',
    ]) {
      replies.push(await call(client, line))
    }
    expect(replies.slice(1, 3)).toEqual([1, OK])
    const before = await call(client, 'XINFO STREAM back FULL')
    expect(await client.call('DEBUG', 'LOADAOF')).toEqual(OK)
    expect(await call(client, 'XINFO STREAM back FULL')).toEqual(before)
  })

  test('on a replica, which gets some of it in the snapshot and some in the stream', async () => {
    const primary = await start({ 'repl-ping-replica-period': 3600 })
    await fill(primary.client)
    const replica = await start({ 'repl-ping-replica-period': 3600 })
    await replica.client.call('REPLICAOF', '127.0.0.1', String(primary.broker.port))
    await until('the replica is connected', () => replica.broker.server.following.state === 'connected')
    for (const line of ['XADD s IDMP p c * f v', 'XADD s IDMP p c * f v', 'XADD s IDMPAUTO r * f v']) {
      await call(primary.client, line)
    }
    expect(await primary.client.call('WAIT', '1', '20000')).toBe(1)
    expect(withoutReading(await states(replica.client))).toBe(withoutReading(await states(primary.client)))
    await replica.client.call('REPLICAOF', 'NO', 'ONE')
    await probe(replica.client)
  })

  test.skipIf(!hasRedisServer)('as far as Redis is concerned: it loads snapshots and payloads without', async () => {
    const { client, broker } = await start()
    await fill(client)
    expect(await client.call('SAVE')).toEqual(OK)
    const payload = (await client.call('DUMP', 's')) as string
    const entries = await client.call('XRANGE', 's', '-', '+')
    await broker.stop()
    const redis = await ServerProcess.redis(['--dbfilename', 'dump.rdb'], directory)
    stops.push(() => redis.kill())
    const reader = await redis.connect()
    expect(await reader.call('XRANGE', 's', '-', '+')).toEqual(entries)
    expect(await reader.call('RESTORE', 'restored', '0', payload)).toEqual(OK)
    // What is nobody's belongs to the consumer without a name there.
    expect(await reader.call('XPENDING', 'work', 'g')).toEqual([
      4,
      '1-1',
      '4-1',
      [
        ['', '3'],
        ['c', '1'],
      ],
    ])
    expect(await reader.call('XRANGE', 'restored', '-', '+')).toEqual(entries)
  })
})

/** How far a group has read is not told by the XCLAIM that a delivery is recorded as, nor when consumers were seen. */
function withoutReading(state: string): string {
  return state.replace(/"(entries-read|lag)",(null|\d+)/g, '').replace(/"(seen|active)-time",-?\d+/g, '')
}

/** A log of commands does not hold how many entries were added and refused. */
function withoutCounters(state: string): string {
  return state.replace(/"iids-(added|duplicates)",\d+/g, '')
}
