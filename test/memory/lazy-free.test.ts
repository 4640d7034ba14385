/** Values that are freed between turns: by which commands and settings, and in slices. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'

const OK = { status: 'OK' }
const MEMBERS = 5000

let clock: TestClock
let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  a = await broker.connect()
})

afterEach(() => broker.stop())

function members(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `member:${i}`)
}

/** Runs the commands in one turn. Returns how many objects wait when they have run. */
async function waitingAfter(...commands: string[][]): Promise<number> {
  const replies = await a.pipeline([...commands, ['INFO', 'memory']])
  return Number(/lazyfree_pending_objects:(\d+)/.exec(String(replies.at(-1)))?.[1])
}

async function allFreed(): Promise<void> {
  const { keyspace } = broker.server
  while (keyspace.lazyFree.isPending) await new Promise((resolve) => setImmediate(resolve))
  const { arena } = keyspace
  expect(keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
  expect(keyspace.overheadBytes()).toBe(arena.outsideBytes)
}

/** One value of each kind that is an object. */
const BIG_VALUES: readonly (readonly string[])[] = [
  ['SADD', 'set', ...members(MEMBERS)],
  ['HSET', 'hash', ...members(MEMBERS).flatMap((field) => [field, 'v'])],
  ['ZADD', 'zset', ...members(MEMBERS).flatMap((member, i) => [String(i), member])],
  ['RPUSH', 'list', ...members(MEMBERS).map((member) => member.repeat(20))],
  ...members(3000).map((member) => ['XADD', 'stream', '*', 'f', member.repeat(5)]),
  ['XGROUP', 'CREATE', 'stream', 'g', '0'],
  ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '1000', 'STREAMS', 'stream', '>'],
]

test('UNLINK leaves big values of all kinds to be freed in slices; while they wait they are accounted for', async () => {
  await a.pipeline(BIG_VALUES)
  const { keyspace } = broker.server
  const before = keyspace.arena.usedBytes
  expect(await waitingAfter(['UNLINK', 'set', 'hash', 'zset', 'list', 'stream'])).toBe(5)
  for (let slices = 0; keyspace.lazyFree.isPending; slices++) {
    expect(slices).toBeLessThan(10_000)
    const { arena } = keyspace
    expect(keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
    expect(keyspace.overheadBytes()).toBe(arena.outsideBytes)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await allFreed()
  expect(keyspace.lazyFree.freedObjects).toBe(5)
  expect(keyspace.arena.usedBytes).toBeLessThan(before / 50)
  expect(await a.call('CONFIG', 'RESETSTAT')).toEqual(OK)
  expect(keyspace.lazyFree.freedObjects).toBe(0)
})

test('small values are freed at once', async () => {
  await a.pipeline([
    ['SADD', 'small', ...members(64)],
    ['SET', 'string', 'x'.repeat(1_000_000)],
    ['CONFIG', 'SET', 'set-max-listpack-entries', '0'],
    ['SADD', 'hashtable', ...members(64)],
    ['SADD', 'bigger', ...members(65)],
  ])
  expect(await waitingAfter(['UNLINK', 'small', 'string', 'hashtable'])).toBe(0)
  expect(await waitingAfter(['UNLINK', 'bigger'])).toBe(1)
  await allFreed()
})

const BIG_SET = ['SADD', 'set', ...members(MEMBERS)]

test.each([
  ['lazyfree-lazy-user-del', [['DEL', 'set']]],
  ['lazyfree-lazy-server-del', [['SET', 'set', 'x']]],
  [
    'lazyfree-lazy-server-del',
    [
      ['SET', 'other', 'x'],
      ['RENAME', 'other', 'set'],
    ],
  ],
  ['lazyfree-lazy-server-del', [['SINTERSTORE', 'set', 'missing']]],
  [
    'lazyfree-lazy-eviction',
    [
      ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '1'],
      ['PING'],
      ['CONFIG', 'SET', 'maxmemory', '0'],
    ],
  ],
])('%s decides whether %j waits', async (setting, commands) => {
  for (const [value, waiting] of [
    ['no', 0],
    ['yes', 1],
  ] as const) {
    await a.pipeline([['DEL', 'set'], BIG_SET, ['CONFIG', 'SET', setting, value, 'maxmemory-eviction-tenacity', '0']])
    expect(await waitingAfter(...commands)).toBe(waiting)
    await allFreed()
  }
})

/** As `waitingAfter`, where nothing comes between the last command and the look, however long the ones before it take. */
async function waitingRightAfter(...commands: string[][]): Promise<number> {
  const last = commands.pop()!
  await a.pipeline(commands)
  const replies = await a.pipeline([['MULTI'], last, ['INFO', 'memory'], ['EXEC']])
  return Number(/lazyfree_pending_objects:(\d+)/.exec(String(replies.at(-1)))?.[1])
}

test('what is to be freed at once, but would take long, is freed in slices all the same', async () => {
  const set = (name: string, count: number): string[] => ['SADD', name, ...members(count)]
  expect(await waitingRightAfter(set('at-most', 8192), ['DEL', 'at-most'])).toBe(0)
  expect(await waitingRightAfter(set('more', 8193), ['DEL', 'more'])).toBe(1)
  await allFreed()
  const keys = members(8193).map((key) => ['SET', key, 'x'])
  expect(await waitingRightAfter(...keys.slice(1), ['FLUSHALL', 'SYNC'])).toBe(0)
  expect(await waitingRightAfter(...keys, ['FLUSHALL', 'SYNC'])).toBe(1)
  await allFreed()
  // Of several databases only the first begins.
  expect(await waitingRightAfter(...keys, ['SELECT', '1'], ['SET', 'a', 'x'], ['FLUSHALL', 'SYNC'])).toBe(2)
  await allFreed()
  expect(await a.call('DBSIZE')).toBe(0)
})

test('lazyfree-lazy-expire decides for keys whose time is over, and they are recorded as UNLINK then', async () => {
  for (const [value, waiting] of [
    ['no', 0],
    ['yes', 1],
  ] as const) {
    await a.pipeline([BIG_SET, ['PEXPIRE', 'set', '50'], ['CONFIG', 'SET', 'lazyfree-lazy-expire', value]])
    clock.pass(51)
    expect(await waitingAfter(['GET', 'set'])).toBe(waiting)
    await allFreed()
  }
})

test('FLUSHALL ASYNC and FLUSHDB ASYNC empty the databases at once and free them later; SYNC does not', async () => {
  const fill = members(1000).map((key) => ['SET', key, 'x'.repeat(100)])
  await a.pipeline([...fill, BIG_SET])
  expect(await waitingAfter(['FLUSHALL', 'ASYNC'])).toBe(1001)
  expect(await a.call('DBSIZE')).toBe(0)
  await allFreed()
  expect(broker.server.keyspace.lazyFree.freedObjects).toBe(1001)
  await a.pipeline(fill)
  expect(await waitingAfter(['FLUSHDB'])).toBe(0)
  await a.pipeline([...fill, ['CONFIG', 'SET', 'lazyfree-lazy-user-flush', 'yes']])
  expect(await waitingAfter(['FLUSHDB', 'SYNC'])).toBe(0)
  await a.pipeline(fill)
  expect(await waitingAfter(['FLUSHDB'])).toBe(1000)
  await allFreed()
})

test('what waits to be freed is no reason to evict keys: it is freed first', async () => {
  const { server } = broker
  await a.pipeline([
    ['SADD', 'gone', ...members(20_000)],
    ...members(50).map((key) => ['SET', key, 'x'.repeat(100)]),
    ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random'],
  ])
  const limit = server.memoryLimit.countedBytes - 200_000
  await a.pipeline([
    ['UNLINK', 'gone'],
    ['CONFIG', 'SET', 'maxmemory', String(limit)],
    ['SET', 'k', 'v'],
  ])
  await allFreed()
  expect(await a.call('DBSIZE')).toBe(51)
  expect(server.memoryLimit.evictedKeys).toBe(0)
})
