/** What string and key commands do beyond their key: blocked clients, events, and what a log gives back. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'

let brokers: TestBroker[] = []
let directories: string[] = []
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop()))
  for (const directory of directories) rmSync(directory, { recursive: true })
  brokers = []
  directories = []
})

async function start(
  options: Parameters<typeof TestBroker.start>[0] = {},
  clock = new TestClock(),
): Promise<TestBroker> {
  const broker = await TestBroker.start(options, clock)
  brokers.push(broker)
  return broker
}

describe('a client blocked on a key is woken when the key gets its value', () => {
  const cases: readonly (readonly [string, readonly string[][]])[] = [
    ['RENAME', [['RENAME', 'source', 'wanted']]],
    ['RENAMENX', [['RENAMENX', 'source', 'wanted']]],
    ['COPY', [['COPY', 'source', 'wanted']]],
    ['SORT STORE', [['SORT', 'source', 'STORE', 'wanted']]],
    [
      'MOVE',
      [
        ['SELECT', '1'],
        ['RPUSH', 'wanted', '1'],
        ['MOVE', 'wanted', '0'],
      ],
    ],
    [
      'COPY from another database',
      [
        ['SELECT', '1'],
        ['RPUSH', 'source', '1'],
        ['COPY', 'source', 'wanted', 'DB', '0'],
      ],
    ],
    [
      'SWAPDB',
      [
        ['SELECT', '1'],
        ['RPUSH', 'wanted', '1'],
        ['SWAPDB', '0', '1'],
      ],
    ],
  ]
  for (const [name, calls] of cases) {
    test(`by ${name}`, async () => {
      const broker = await start()
      const blocked = await broker.connect()
      const writer = await broker.connect()
      await writer.call('RPUSH', 'source', '1')
      const popped = blocked.call('BLPOP', 'wanted', '0')
      // The request of the second connection must come after that of the first.
      while (broker.server.keyspace.databases[0]?.blocked.size === 0) await writer.call('EXISTS', 'wanted')
      for (const call of calls) await writer.call(...call)
      expect(await popped).toEqual(['wanted', '1'])
    })
  }
})

test('new keys and misses are told only while their classes are enabled', async () => {
  const broker = await start({ 'notify-keyspace-events': 'KEAnm' })
  const client = await broker.connect()
  const events: string[] = []
  broker.server.ctx.notifySink = (_type, event, db, key) => events.push(`${event} ${db.index} ${key}`)
  await client.call('SET', 'a', '1')
  await client.call('SET', 'a', '2')
  await client.call('GET', 'none')
  await client.call('COPY', 'a', 'b', 'DB', '1')
  await client.call('OBJECT', 'ENCODING', 'none')
  expect(events).toEqual(['new 0 a', 'set 0 a', 'set 0 a', 'keymiss 0 none', 'new 1 b', 'copy_to 1 b'])
  broker.broker.config.set([['notify-keyspace-events', 'KEA']], { isLocalClient: true, isLoading: false })
  events.length = 0
  await client.call('SET', 'c', '1')
  await client.call('GET', 'none')
  expect(events).toEqual(['set 0 c'])
})

describe('a log that is loaded again', () => {
  /** All strings and lists of both databases, with their times. */
  async function state(client: RespClient): Promise<unknown> {
    const found: unknown[] = []
    for (const db of ['0', '1']) {
      await client.call('SELECT', db)
      for (const key of ((await client.call('KEYS', '*')) as string[]).toSorted()) {
        const value = await client.call('SORT', key, 'BY', 'nosort')
        found.push([db, key, await client.call('PEXPIRETIME', key), await client.call('GET', key), value])
      }
    }
    return found
  }

  test('gives back what string and key commands left', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'key-effects-'))
    directories.push(directory)
    const clock = new TestClock()
    const options = { appendonly: 'yes', dir: directory }
    const first = await start(options, clock)
    const client = await first.connect()
    const calls = [
      'SET a 1 EX 100',
      'SET b 2 PX 100000 NX GET',
      'SET b 3 GET KEEPTTL',
      'SETEX gone 1 x',
      'INCRBY a 9223372036854775000',
      'INCRBYFLOAT f 0.1',
      'INCRBYFLOAT f 0.2',
      'APPEND g 12',
      'APPEND g 34',
      'SETRANGE g 6 x',
      'GETEX g EX 50',
      'GETEX g PERSIST',
      'GETSET h 1',
      'MSET i 1 j 2 k 3',
      'GETDEL k',
      'EXPIRE i 30',
      'EXPIRE j -1',
      'RPUSH l 3 1 2',
      'SORT l STORE m',
      'RENAME l n',
      'COPY n o',
      'MOVE o 1',
      'COPY n p DB 1 REPLACE',
      'SET q 1 PXAT 9223372036854775807',
      'SELECT 1',
      'SET r 1',
      'PEXPIRE r 5000',
      'PERSIST r',
      'EXPIRE r 60',
      'SWAPDB 0 1',
    ]
    for (const call of calls) await client.call(...call.split(' '))
    clock.pass(2000)
    const before = await state(client)
    expect(before).toHaveLength(12)
    await first.stop()
    brokers = []
    const second = await start(options, clock)
    expect(await state(await second.connect())).toEqual(before)
  })
})

test('where values may be freed later, what amounts to a deletion is recorded as UNLINK', async () => {
  const broker = await start({ 'lazyfree-lazy-server-del': 'yes', 'lazyfree-lazy-expire': 'yes' })
  const client = await broker.connect()
  const { journal } = broker.server
  let recorded = ''
  journal.subscribe((buffer, from, to) => {
    recorded += buffer.latin1Slice(from, to)
  })
  journal.enabled = true
  await client.call('SADD', 'set', 'a', 'b')
  await client.call('SPOP', 'set', '2')
  await client.call('MSET', 'k1', 'v', 'k2', 'v', 'k3', 'v')
  await client.call('PEXPIRE', 'k1', '-1')
  await client.call('GETEX', 'k2', 'PXAT', '1')
  await client.call('GETDEL', 'k3')
  const deletions = recorded.match(/(UNLINK|DEL)\r\n\$\d+\r\n\w+/g)?.map((text) => text.replace(/\r\n\$\d+\r\n/, ' '))
  expect(deletions).toEqual(['UNLINK set', 'UNLINK k1', 'UNLINK k2', 'DEL k3'])
})
