/** maxmemory: eviction, what is refused when nothing may go, and what is recorded. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeAll } from '../commands/resp-decode.ts'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

const OK = { status: 'OK' }
const OOM = { error: "OOM command not allowed when used memory > 'maxmemory'." }
const VALUE = 'v'.repeat(1000)
/** What memory may exceed its limit by after a command: what that command takes, and a step of a table. */
const SLACK_BYTES = 64 * 1024

let clock: TestClock
let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  a = await broker.connect()
})

afterEach(() => broker.stop())

async function field(name: string): Promise<number> {
  const text = String(await a.call('INFO', 'everything'))
  return Number(new RegExp(`^${name}:(\\S+)\r$`, 'm').exec(text)?.[1])
}

function counted(): number {
  return broker.server.memoryLimit.countedBytes
}

/** Lets so much more be used than is used now. */
async function limitTo(policy: string, more: number): Promise<number> {
  const limit = counted() + more
  expect(await a.call('CONFIG', 'SET', 'maxmemory-policy', policy, 'maxmemory', String(limit))).toEqual(OK)
  return limit
}

function setAll(count: number, prefix: string, ...options: string[]): Promise<Reply[]> {
  return a.pipeline(Array.from({ length: count }, (_, i) => ['SET', `${prefix}${i}`, VALUE, ...options]))
}

/** The data and what is counted of it agree. */
function expectAccounted(): void {
  const { keyspace } = broker.server
  const { arena } = keyspace
  expect(keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
  expect(keyspace.overheadBytes()).toBe(arena.outsideBytes)
}

describe.each(['allkeys-lru', 'allkeys-lfu', 'allkeys-random'])('%s', (policy) => {
  test('keeps memory at its limit while more is written than fits', async () => {
    const limit = await limitTo(policy, 300 * 1024)
    for (let round = 0; round < 5; round++) {
      const replies = await setAll(300, `${round}:`)
      expect(replies.every((reply) => JSON.stringify(reply) === JSON.stringify(OK))).toBe(true)
      expect(counted()).toBeLessThan(limit + SLACK_BYTES)
    }
    const kept = broker.server.keyspace.databases[0]!.size
    expect(kept).toBeGreaterThan(100)
    expect(await field('evicted_keys')).toBe(1500 - kept)
    expectAccounted()
  })
})

test('volatile policies take no key without an expire time, and writes are refused when no other is left', async () => {
  await setAll(20, 'stays:')
  await setAll(20, 'goes:', 'EX', '1000')
  const limit = await limitTo('volatile-random', 10 * 1024)
  const replies = await setAll(100, 'new:')
  expect(replies.filter((reply) => JSON.stringify(reply) === JSON.stringify(OOM)).length).toBeGreaterThan(50)
  expect(await a.call('KEYS', 'goes:*')).toEqual([])
  expect(((await a.call('KEYS', 'stays:*')) as string[]).length).toBe(20)
  expect(counted()).toBeLessThan(limit + SLACK_BYTES)
  // What takes no memory goes on.
  expect(await a.call('GET', 'stays:1')).toBe(VALUE)
  expect(await a.call('DEL', 'stays:1')).toBe(1)
})

test('noeviction refuses what is flagged denyoom, and nothing else', async () => {
  await a.call('SET', 'k', VALUE)
  await limitTo('noeviction', -1)
  expect(await a.call('SET', 'k', 'v')).toEqual(OOM)
  expect(await a.call('LPUSH', 'l', 'v')).toEqual(OOM)
  expect(await a.call('GET', 'k')).toBe(VALUE)
  expect(await a.call('EXPIRE', 'k', '100')).toBe(1)
  expect(await a.call('UNLINK', 'k')).toBe(1)
  expect(await a.call('SET', 'k', 'v')).toEqual(OK)
  const stats = String(await a.call('INFO', 'commandstats', 'errorstats'))
  expect(stats).toMatch(/cmdstat_lpush:calls=0,.*rejected_calls=1,failed_calls=0/)
  expect(stats).toContain('errorstat_OOM:count=2')
})

describe('in a transaction', () => {
  test('nothing is queued while memory is full, and EXEC fails; DISCARD works', async () => {
    await limitTo('noeviction', -1)
    const aborted = { error: 'EXECABORT Transaction discarded because of previous errors.' }
    expect(await a.pipeline([['MULTI'], ['GET', 'x'], ['EXEC']])).toEqual([OK, OOM, aborted])
    expect(await a.pipeline([['MULTI'], ['DISCARD']])).toEqual([OK, OK])
  })

  test('EXEC is refused when memory is full by then and a queued command needs some', async () => {
    const b = await broker.connect()
    const queued = { status: 'QUEUED' }
    expect(await a.pipeline([['MULTI'], ['SET', 'x', '1']])).toEqual([OK, queued])
    expect(await b.pipeline([['MULTI'], ['GET', 'x']])).toEqual([OK, queued])
    broker.server.memoryLimit.setMaxBytes(1)
    expect(await a.call('EXEC')).toEqual({
      error: "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
    })
    expect(await b.call('EXEC')).toEqual([null])
  })

  test('a transaction that began runs to its end', async () => {
    expect(
      await a.pipeline([['MULTI'], ['INCR', 'x'], ['CONFIG', 'SET', 'maxmemory', '1'], ['INCR', 'x'], ['EXEC']]),
    ).toMatchObject([OK, {}, {}, {}, [1, OK, 2]])
    expect(await a.call('INCR', 'x')).toEqual(OOM)
  })
})

describe('in a script', () => {
  beforeEach(async () => {
    await a.call('SET', 'x', '1')
    await limitTo('noeviction', -1)
  })

  test('the first write is refused when memory was full at its begin', async () => {
    expect(await a.call('EVAL', "return redis.call('SET', 'x', '2')", '0')).toMatchObject({
      error: expect.stringContaining("OOM command not allowed when used memory > 'maxmemory'."),
    })
    expect(await a.call('EVAL', "return redis.call('GET', 'x')", '0')).toBe('1')
    // One that needs no memory is a write, and those behind it may go on.
    expect(await a.call('EVAL', "redis.call('DEL', 'y') return redis.call('SET', 'x', '3')", '0')).toEqual(OK)
  })

  test('a script with flags is refused as a whole, unless it allows it or writes nothing', async () => {
    const set = "return redis.call('SET', 'x', '2')"
    expect(await a.call('EVAL', `#!lua\n${set}`, '0')).toEqual(OOM)
    expect(await a.call('EVAL', `#!lua flags=allow-oom\n${set}`, '0')).toEqual(OK)
    expect(await a.call('EVAL', `#!lua flags=no-writes\nreturn redis.call('GET', 'x')`, '0')).toBe('2')
  })
})

test('eviction is recorded as DEL, or UNLINK with lazyfree-lazy-eviction, and is no part of the command', async () => {
  const effects: string[] = []
  broker.server.journal.subscribe((buffer, start, end) => {
    for (const effect of decodeAll(buffer.latin1Slice(start, end))) effects.push((effect as string[]).join(' '))
  })
  await a.pipeline([
    ['SET', 'a', '1'],
    ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '1'],
    ['DEL', 'nothing'],
  ])
  expect(await a.call('DBSIZE')).toBe(0)
  await a.call('CONFIG', 'SET', 'maxmemory', '0', 'lazyfree-lazy-eviction', 'yes')
  await a.pipeline([['SET', 'b', '1'], ['CONFIG', 'SET', 'maxmemory', '1'], ['MULTI'], ['DEL', 'nothing'], ['EXEC']])
  expect(await a.call('DBSIZE')).toBe(0)
  expect(effects).toEqual(['SELECT 0', 'SET a 1', 'DEL a', 'SET b 1', 'UNLINK b'])
})

test('an evicted key has its event, and transactions that watch it fail', async () => {
  const b = await broker.connect()
  await a.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEe')
  await b.call('PSUBSCRIBE', '*evicted')
  await a.pipeline([
    ['SET', 'k', '1'],
    ['WATCH', 'k'],
    ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '1'],
    ['PING'],
    ['CONFIG', 'SET', 'maxmemory', '0'],
  ])
  expect(await b.next()).toEqual(['pmessage', '*evicted', '__keyevent@0__:evicted', 'k'])
  expect(await a.pipeline([['MULTI'], ['PING'], ['EXEC']])).toEqual([OK, { status: 'QUEUED' }, null])
})

test('a limit far below what is used is reached in slices: commands run meanwhile, and the loop is never held long', async () => {
  const commands = Array.from({ length: 20_000 }, (_, i) => ['SET', `key:${i}`, 'x'.repeat(100)])
  await a.pipeline(commands)
  const { memoryLimit } = broker.server
  const limit = Math.floor(counted() / 4)
  await a.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', String(limit))
  expect(memoryLimit.hasWork).toBe(true)
  // A write is accepted although memory is over its limit: room is being made.
  expect(await a.call('SET', 'new', 'x')).toEqual(OK)
  let turns = 0
  for (; memoryLimit.hasWork && turns < 100_000; turns++) await new Promise((resolve) => setImmediate(resolve))
  expect(turns).toBeGreaterThan(10)
  expect(counted()).toBeLessThanOrEqual(limit)
  expect(await field('current_eviction_exceeded_time')).toBe(0)
  expect(await field('total_eviction_exceeded_time')).toBeGreaterThan(0)
  expectAccounted()
}, 20_000)

test('a pause keeps the data as they are: nothing is evicted, nothing refused', async () => {
  await setAll(10, 'k:')
  await a.call('CLIENT', 'PAUSE', '1000', 'WRITE')
  await limitTo('allkeys-lru', -5000)
  expect(await a.call('DBSIZE')).toBe(10)
  await a.call('CLIENT', 'UNPAUSE')
  expect(await a.call('PING')).toEqual({ status: 'PONG' })
  expect(await a.call('DBSIZE')).toBeLessThan(10)
})

test('OBJECT FREQ and IDLETIME answer by the policy in force', async () => {
  const otherPolicy =
    'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.'
  await a.call('SET', 'k', 'v')
  clock.pass(5000)
  expect(await a.call('OBJECT', 'IDLETIME', 'k')).toBe(5)
  expect(await a.call('OBJECT', 'FREQ', 'k')).toEqual({
    error: `ERR An LFU maxmemory policy is not selected, access frequency not tracked. ${otherPolicy}`,
  })
  await a.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu', 'lfu-log-factor', '0')
  expect(await a.call('OBJECT', 'IDLETIME', 'k')).toEqual({
    error: `ERR An LFU maxmemory policy is selected, idle time not tracked. ${otherPolicy}`,
  })
  await a.call('SET', 'n', 'v')
  await a.pipeline([
    ['GET', 'n'],
    ['SET', 'n', 'w'],
    ['APPEND', 'n', 'x'],
    ['OBJECT', 'ENCODING', 'n'],
  ])
  expect(await a.call('OBJECT', 'FREQ', 'n')).toBe(8)
  clock.pass(3 * 60_000)
  expect(await a.call('OBJECT', 'FREQ', 'n')).toBe(5)
  const payload = (await a.call('DUMP', 'n')) as string
  await a.call('RESTORE', 'r', '0', payload, 'FREQ', '77')
  expect(await a.call('OBJECT', 'FREQ', 'r')).toBe(77)
  await a.pipeline([['RENAME', 'r', 's']])
  expect(await a.call('OBJECT', 'FREQ', 's')).toBe(77)
})

test('tables grow in small steps when memory is short, so that no key goes for room that is not needed', async () => {
  const names = Array.from({ length: 4096 }, (_, i) => ['SET', `key:${i}`, '1'])
  await a.pipeline(names)
  await limitTo('allkeys-random', 10 * 1024)
  await a.pipeline([
    ['SET', 'k1', '1'],
    ['SET', 'k2', '1'],
  ])
  expect(await a.call('DBSIZE')).toBe(4098)
})

test('with allkeys-lrm reading does not keep a key, and OBJECT IDLETIME tells when it was changed', async () => {
  const clock = new TestClock()
  const lrm = await TestBroker.start({ 'maxmemory-policy': 'allkeys-lrm' }, clock)
  const client = await lrm.connect()
  await client.call('SET', 'k', 'v')
  await client.call('XADD', 's', '1-1', 'f', 'v')
  clock.pass(20_000)
  for (const command of [
    ['GET', 'k'],
    ['TOUCH', 'k'],
    ['XRANGE', 's', '-', '+'],
    ['SADD', 'other', 'm'],
  ]) {
    await client.call(...command)
  }
  expect(await client.call('OBJECT', 'IDLETIME', 'k')).toBe(20)
  expect(await client.call('OBJECT', 'IDLETIME', 's')).toBe(20)
  await client.call('APPEND', 'k', 'w')
  await client.call('XADD', 's', '2-1', 'f', 'v')
  expect(await client.call('OBJECT', 'IDLETIME', 'k')).toBe(0)
  expect(await client.call('OBJECT', 'IDLETIME', 's')).toBe(0)
  clock.pass(5000)
  await client.call('SET', 'k', 'v')
  await client.call('SADD', 'other', 'm')
  expect(await client.call('OBJECT', 'IDLETIME', 'k')).toBe(0)
  expect(await client.call('OBJECT', 'IDLETIME', 'other')).toBe(5)
  await lrm.stop()
})
