/** RESTORE: options, errors in their order, what it leaves, and what it leaves behind when the payload is bad. */
import { afterEach, describe, expect, test } from 'vitest'
import { length, payload, string } from '../../persistence/rdb/reader-files.ts'
import { leaked } from '../../persistence/rdb/reference-data.ts'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../../support/server-process.ts'

const TEXT = payload(0, string('value')).toString('latin1')
const LIST = payload(1, Buffer.concat([length(2), string('a'), string('b')])).toString('latin1')
const OK = { status: 'OK' }

let brokers: TestBroker[] = []
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop()))
  brokers = []
})

async function start(
  options: Parameters<typeof TestBroker.start>[0] = {},
  clock = new TestClock(),
): Promise<TestBroker> {
  const broker = await TestBroker.start(options, clock)
  brokers.push(broker)
  return broker
}

/** A payload whose bytes were changed, with the checksum that it had. */
function damaged(text: string): string {
  return `\x01${text.slice(1)}`
}

describe('RESTORE', () => {
  const calls: readonly (readonly [string, readonly string[]])[] = [
    ['too few arguments', ['RESTORE', 'key', '0']],
    ['an unknown option, before anything else is looked at', ['RESTORE', 'taken', 'x', 'bad', 'KEEPTTL']],
    ['IDLETIME without a value', ['RESTORE', 'key', '0', TEXT, 'IDLETIME']],
    ['FREQ without a value', ['RESTORE', 'key', '0', TEXT, 'FREQ']],
    ['IDLETIME that is no number', ['RESTORE', 'key', '0', TEXT, 'IDLETIME', 'x']],
    ['IDLETIME that is negative', ['RESTORE', 'taken', '0', TEXT, 'IDLETIME', '-1']],
    ['FREQ out of range', ['RESTORE', 'taken', '0', TEXT, 'FREQ', '256']],
    ['FREQ that is negative', ['RESTORE', 'key', '0', TEXT, 'FREQ', '-1']],
    ['IDLETIME with FREQ', ['RESTORE', 'key', '0', TEXT, 'IDLETIME', '1', 'FREQ', '1']],
    ['FREQ with IDLETIME', ['RESTORE', 'key', '0', TEXT, 'FREQ', '1', 'IDLETIME', '1']],
    ['a key that exists, before the ttl is looked at', ['RESTORE', 'taken', 'x', 'bad']],
    ['a ttl that is no number, before the payload is looked at', ['RESTORE', 'key', 'x', 'bad']],
    ['a ttl that is negative', ['RESTORE', 'key', '-1', 'bad']],
    ['a payload that is too short', ['RESTORE', 'key', '0', '123456789']],
    ['an empty payload', ['RESTORE', 'key', '0', '']],
    ['a wrong checksum', ['RESTORE', 'key', '0', damaged(TEXT)]],
    ['a version to come', ['RESTORE', 'key', '0', payload(0, string('x'), 99).toString('latin1')]],
    ['a type that is none', ['RESTORE', 'key', '0', payload(8, string('x')).toString('latin1')]],
    ['a value that ends too early', ['RESTORE', 'taken', '0', payload(1, length(9)).toString('latin1'), 'REPLACE']],
    ['a collection without elements', ['RESTORE', 'key', '0', payload(1, length(0)).toString('latin1')]],
    ['nothing but a footer', ['RESTORE', 'key', '0', payload(0, Buffer.alloc(0)).subarray(1).toString('latin1')]],
  ]

  test.skipIf(!hasRedisServer)('refuses what redis-server refuses, with the same error', async () => {
    const redis = await ServerProcess.redis()
    try {
      const theirs = await redis.connect()
      const broker = await start()
      const ours = await broker.connect()
      for (const client of [theirs, ours]) await client.call('SET', 'taken', '1')
      for (const [name, call] of calls) {
        const reply = await ours.call(...call)
        expect([name, reply]).toEqual([name, await theirs.call(...call)])
        expect(reply).toHaveProperty('error')
      }
      expect(await ours.call('KEYS', '*')).toEqual(['taken'])
      expect(await ours.call('GET', 'taken')).toBe('1')
      expect(leaked(broker.server.keyspace)).toEqual({ bytes: 0, blocks: 0 })
      theirs.close()
    } finally {
      await redis.dispose()
    }
  })

  test('creates a key without, with a relative and with an absolute time', async () => {
    const clock = new TestClock(1_700_000_000_000)
    const client = await (await start({}, clock)).connect()
    expect(await client.call('RESTORE', 'a', '0', TEXT)).toEqual(OK)
    expect(await client.call('RESTORE', 'b', '5000', LIST)).toEqual(OK)
    expect(await client.call('RESTORE', 'c', '1700000009000', TEXT, 'absttl')).toEqual(OK)
    expect(await client.call('GET', 'a')).toBe('value')
    expect(await client.call('LRANGE', 'b', '0', '-1')).toEqual(['a', 'b'])
    expect(await client.call('PEXPIRETIME', 'a')).toBe(-1)
    expect(await client.call('PEXPIRETIME', 'b')).toBe(1_700_000_005_000)
    expect(await client.call('PEXPIRETIME', 'c')).toBe(1_700_000_009_000)
  })

  test('REPLACE replaces a key of any type, and its expire time', async () => {
    const broker = await start()
    const client = await broker.connect()
    await client.call('SET', 'key', '1', 'EX', '100')
    expect(await client.call('RESTORE', 'key', '0', LIST, 'REPLACE')).toEqual(OK)
    expect([await client.call('TYPE', 'key'), await client.call('PTTL', 'key')]).toEqual([{ status: 'list' }, -1])
    expect(leaked(broker.server.keyspace)).toEqual({ bytes: 0, blocks: 0 })
  })

  test('with a time that is over creates nothing, and REPLACE deletes the key', async () => {
    const broker = await start({ 'notify-keyspace-events': 'KEA' })
    const client = await broker.connect()
    const events = eventsOf(broker)
    await client.call('SET', 'key', '1')
    expect(await client.call('RESTORE', 'none', '1', TEXT, 'ABSTTL')).toEqual(OK)
    expect(await client.call('RESTORE', 'key', '1', TEXT, 'ABSTTL', 'REPLACE')).toEqual(OK)
    expect(await client.call('DBSIZE')).toBe(0)
    expect(events).toEqual(['set key', 'del key'])
    expect(leaked(broker.server.keyspace)).toEqual({ bytes: 0, blocks: 0 })
  })

  test('sets the idle time, however long', async () => {
    const client = await (await start()).connect()
    await client.call('RESTORE', 'a', '0', TEXT, 'IDLETIME', '1000')
    await client.call('RESTORE', 'b', '0', TEXT, 'IDLETIME', '9223372036854775807')
    expect(await client.call('OBJECT', 'IDLETIME', 'a')).toBe(1000)
    expect(await client.call('OBJECT', 'IDLETIME', 'b')).toBe(0xffffff)
  })

  test('tells an event, wakes who waits for the key and ends transactions that watch it', async () => {
    const broker = await start({ 'notify-keyspace-events': 'KEA' })
    const client = await broker.connect()
    const watching = await broker.connect()
    const events = eventsOf(broker)
    await watching.call('WATCH', 'key')
    await watching.call('MULTI')
    await watching.call('PING')
    const popped = blockedPop(broker, await broker.connect())
    while (broker.server.keyspace.databases[0]!.blocked.size === 0) await client.call('PING')
    await client.call('RESTORE', 'key', '0', LIST)
    expect(await popped).toEqual(['key', 'a'])
    expect(await watching.call('EXEC')).toBeNull()
    expect(events).toEqual(['restore key', 'lpop key'])
  })

  test('is recorded with an absolute time, so that a log gives back the same', async () => {
    const clock = new TestClock(1_700_000_000_000)
    const options = { appendonly: 'yes', dir: temporaryDirectory() }
    const first = await start(options, clock)
    const client = await first.connect()
    await client.call('RESTORE', 'a', '9000', TEXT, 'IDLETIME', '5')
    await client.call('RESTORE', 'b', '1700000009000', LIST, 'ABSTTL')
    await client.call('SET', 'c', '1')
    await client.call('RESTORE', 'c', '1', LIST, 'REPLACE', 'ABSTTL')
    await client.call('RESTORE', 'd', '0', LIST)
    await first.stop()
    brokers = []
    clock.pass(3000)
    const second = await (await start(options, clock)).connect()
    expect(((await second.call('KEYS', '*')) as string[]).toSorted()).toEqual(['a', 'b', 'd'])
    expect(await second.call('PEXPIRETIME', 'a')).toBe(1_700_000_009_000)
    expect(await second.call('PEXPIRETIME', 'b')).toBe(1_700_000_009_000)
    expect(await second.call('PEXPIRETIME', 'd')).toBe(-1)
    expect(await second.call('LRANGE', 'd', '0', '-1')).toEqual(['a', 'b'])
  })

  test('says in the log what is wrong with a payload, without showing it', async () => {
    const broker = await start()
    const client = await broker.connect()
    const secret = payload(16, string('secret')).toString('latin1')
    expect(await client.call('RESTORE', 'key', '0', secret)).toEqual({ error: 'ERR Bad data format' })
    expect(broker.log.warnings).toEqual([
      'Cannot restore a value: Hash listpack integrity check failed: expected a listpack of 6 bytes, at offset 1',
    ])
  })

  test('takes payloads with a wrong checksum when DEBUG SET-SKIP-CHECKSUM-VALIDATION says so', async () => {
    const client = await (await start()).connect()
    const wrong = `${TEXT.slice(0, -1)}?`
    expect(await client.call('RESTORE', 'key', '0', wrong)).toHaveProperty('error')
    expect(await client.call('DEBUG', 'SET-SKIP-CHECKSUM-VALIDATION', '1')).toEqual(OK)
    expect(await client.call('RESTORE', 'key', '0', wrong)).toEqual(OK)
    expect(await client.call('DEBUG', 'SET-SKIP-CHECKSUM-VALIDATION', '0')).toEqual(OK)
    expect(await client.call('RESTORE', 'key', '0', wrong, 'REPLACE')).toHaveProperty('error')
  })

  test('is a dangerous command that writes its first key', async () => {
    const client = await (await start()).connect()
    expect(await client.call('COMMAND', 'GETKEYS', 'RESTORE', 'key', '0', 'x')).toEqual(['key'])
    expect(await client.call('ACL', 'CAT', 'dangerous')).toEqual(expect.arrayContaining(['restore']))
    expect(await client.call('ACL', 'CAT', 'write')).toEqual(expect.arrayContaining(['restore']))
  })
})

function eventsOf(broker: TestBroker): string[] {
  const events: string[] = []
  broker.server.ctx.notifySink = (_type, event, _db, key) => {
    if (event !== 'new') events.push(`${event} ${key}`)
  }
  return events
}

function blockedPop(_broker: TestBroker, client: RespClient): Promise<Reply> {
  return client.call('BLPOP', 'key', '0')
}
