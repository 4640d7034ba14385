/**
 * Random writes of all types at a limit: whatever goes, what is counted stays what there is, memory stays at its limit,
 * and a snapshot under way holds what was there when it began.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'

const SEED = Number(process.env.EVICTION_SEED ?? 20_241_121)
const POLICIES = [
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-ttl',
] as const
const ROUNDS = 40
const COMMANDS = 150
const LIMIT_BYTES = 400 * 1024
/** What one command, a step of a table and the buffers of the client may add. */
const SLACK_BYTES = 128 * 1024

/** Numbers from 0 to `below` - 1, the same in each run. */
class Numbers {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(bound: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * bound)
  }

  words(count: number, length: number): string[] {
    return Array.from({ length: count }, () => `${this.below(5000)}:${'x'.repeat(this.below(length))}`)
  }
}

function command(numbers: Numbers): string[] {
  const key = `key:${numbers.below(400)}`
  const size = numbers.below(10) === 0 ? 300 : 5
  switch (numbers.below(14)) {
    case 0:
    case 1:
      return ['SET', key, 'v'.repeat(numbers.below(3000))]
    case 2:
      return ['SET', key, 'v'.repeat(numbers.below(300)), 'PX', String(1 + numbers.below(5000))]
    case 3:
      return ['SADD', key, ...numbers.words(size, 20)]
    case 4:
      return ['HSET', key, ...numbers.words(size * 2, 30)]
    case 5:
      return ['ZADD', key, ...numbers.words(size, 30).flatMap((member) => [String(numbers.below(1000)), member])]
    case 6:
      return ['RPUSH', key, ...numbers.words(size, 200)]
    case 7:
      return ['XADD', key, '*', ...numbers.words(2, 400)]
    case 8:
      return ['XGROUP', 'CREATE', key, `group:${numbers.below(3)}`, '0', 'MKSTREAM']
    case 9:
      return ['EXPIRE', key, String(1 + numbers.below(100))]
    case 10:
      return ['GET', key]
    case 11:
      return [numbers.below(2) === 0 ? 'DEL' : 'UNLINK', key]
    case 12:
      return ['RENAME', key, `key:${numbers.below(400)}`]
    default:
      return ['SELECT', String(numbers.below(3))]
  }
}

async function settled(broker: TestBroker): Promise<void> {
  const { memoryLimit, keyspace } = broker.server
  for (let turns = 0; memoryLimit.hasWork || keyspace.lazyFree.isPending; turns++) {
    if (turns > 100_000) throw new Error('Memory is not freed')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test.each(
  POLICIES,
)(`%s: what is counted is what there is, and memory stays at its limit, seed ${SEED}`, async (policy) => {
  const clock = new TestClock()
  const broker = await TestBroker.start({ 'maxmemory-policy': policy }, clock)
  try {
    const numbers = new Numbers(SEED + policy.length)
    const { keyspace, memoryLimit } = broker.server
    const client = await broker.connect()
    await client.call('CONFIG', 'SET', 'maxmemory', String(LIMIT_BYTES))
    for (let round = 0; round < ROUNDS; round++) {
      const isLazy = numbers.below(2) === 0 ? 'yes' : 'no'
      await client.call('CONFIG', 'SET', 'lazyfree-lazy-eviction', isLazy, 'lazyfree-lazy-server-del', isLazy)
      await client.pipeline(Array.from({ length: COMMANDS }, () => command(numbers)))
      expect(memoryLimit.countedBytes).toBeLessThan(LIMIT_BYTES + SLACK_BYTES)
      await settled(broker)
      const { arena } = keyspace
      expect(keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
      expect(keyspace.overheadBytes()).toBe(arena.outsideBytes)
      clock.pass(numbers.below(2000))
    }
    expect(memoryLimit.evictedKeys).toBeGreaterThan(20)
  } finally {
    await broker.stop()
  }
}, 30_000)

describe('with files', () => {
  let dir: string
  let broker: TestBroker
  let client: RespClient

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'eviction-'))
    broker = await TestBroker.start({ dir, dbfilename: 'dump.rdb' })
    client = await broker.connect()
  })

  afterEach(async () => {
    await broker.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('a snapshot that is under way holds what is evicted meanwhile, and memory that only it holds is not counted', async () => {
    const members = Array.from({ length: 3000 }, (_, i) => `member:${i}`)
    await client.pipeline([
      ...Array.from({ length: 30 }, (_, i) => ['SADD', `set:${i}`, ...members]),
      ...Array.from({ length: 2000 }, (_, i) => ['SET', `key:${i}`, 'x'.repeat(100)]),
      // The walk waits at its first key until it is told otherwise.
      ['CONFIG', 'SET', 'rdb-key-save-delay', '100000000', 'maxmemory-eviction-tenacity', '100'],
      ['BGSAVE'],
    ])
    await client.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random', 'maxmemory', '1500000')
    expect(await client.call('SET', 'new', 'x')).toEqual({ status: 'OK' })
    const { memoryLimit, keyspace, saving } = broker.server
    expect(keyspace.walk).not.toBeNull()
    expect(memoryLimit.evictedKeys).toBeGreaterThan(20)
    // No more went than had to: what the snapshot holds of them is no reason for others to go.
    expect(memoryLimit.countedBytes).toBeGreaterThan(1_500_000 - 400_000)
    expect(await client.call('DBSIZE')).toBeGreaterThan(10)
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    while (saving.isSaving) await new Promise((resolve) => setImmediate(resolve))
    expect(saving.isLastOk).toBe(true)
    await client.call('CONFIG', 'SET', 'maxmemory', '0')
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE')).toEqual({ status: 'OK' })
    expect(await client.call('DBSIZE')).toBe(2030)
    expect(await client.call('SCARD', 'set:7')).toBe(3000)
  })

  test.each([
    ['allkeys-lfu', 'FREQ', 200],
    ['allkeys-lru', 'IDLETIME', 500],
  ])('under %s a snapshot holds what OBJECT %s tells', async (policy, word, value) => {
    await client.call('SET', 'k', 'v')
    const payload = String(await client.call('DUMP', 'k'))
    await client.call('CONFIG', 'SET', 'maxmemory-policy', policy)
    await client.call('RESTORE', 'r', '0', payload, word, String(value))
    expect(await client.call('DEBUG', 'RELOAD')).toEqual({ status: 'OK' })
    const told = Number(await client.call('OBJECT', word, 'r'))
    expect(told).toBeGreaterThanOrEqual(value)
    expect(told).toBeLessThan(value + 5)
  })
})
