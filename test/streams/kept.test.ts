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
    for (const key of ['s', 'set', 'plain'])
      states.push(await client.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'))
    return JSON.stringify(states)
  }

  async function probe(client: RespClient): Promise<void> {
    const before = await client.call('XLEN', 's')
    const replies: Reply[] = []
    for (const line of PROBES) replies.push(await call(client, line))
    expect(replies).toEqual(['1700000000000-0', '1700000000000-2', '1700000000000-1'])
    expect(await client.call('XLEN', 's')).toBe(before)
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
    expect(await states(client)).toBe(before)
    await client.call('BGREWRITEAOF')
    await until('the log is rewritten', async () =>
      String(await client.call('INFO', 'persistence')).includes('aof_rewrite_in_progress:0'),
    )
    expect(await client.call('DEBUG', 'LOADAOF')).toEqual(OK)
    expect(withoutCounters(await states(client))).toBe(withoutCounters(before))
    if (preamble === 'yes') expect(await states(client)).toBe(before)
    await probe(client)
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
    expect(await states(replica.client)).toBe(await states(primary.client))
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
    expect(await reader.call('XRANGE', 'restored', '-', '+')).toEqual(entries)
  })
})

/** A log of commands does not hold how many entries were added and refused. */
function withoutCounters(state: string): string {
  return state.replace(/"iids-(added|duplicates)",\d+/g, '')
}
