/** Which key goes next, by each policy. */
import { expect, test } from 'vitest'
import type { Database } from '../../src/keyspace/database.ts'
import { Eviction } from '../../src/keyspace/eviction.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { Kind } from '../../src/structures/kind.ts'

const START_MS = 1_700_000_000_000
const KEYS = 2000

/** Numbers in [0, 1), the same in each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

class Setup {
  readonly keyspace = new Keyspace(4, 7)
  readonly eviction = new Eviction(this.keyspace)
  readonly evicted: string[] = []

  constructor(policy: string) {
    this.keyspace.now = START_MS
    this.eviction.random = seeded(42)
    this.keyspace.access.random = seeded(43)
    this.eviction.setPolicy(policy)
  }

  db(index: number): Database {
    return this.keyspace.databases[index]!
  }

  add(db: number, key: string): number {
    return this.db(db).addText(key, Kind.StringInteger, 1)
  }

  /** Evicts up to `count` keys. Returns how many there were. */
  evict(count: number): number {
    for (let i = 0; i < count; i++) {
      if (!this.eviction.choose()) return i
      const db = this.eviction.victimDb!
      this.evicted.push(`${db.index}:${db.keyText(this.eviction.victimRow)}`)
      db.remove(this.eviction.victimRow)
    }
    return count
  }
}

/** The average place of the evicted keys in the order in which they should go; half of `evicted` at best. */
function averageRank(evicted: readonly string[]): number {
  return evicted.reduce((sum, name) => sum + Number(name.slice(2)), 0) / evicted.length
}

test('by recency old keys go first, of all databases', () => {
  const setup = new Setup('allkeys-lru')
  for (let i = 0; i < KEYS; i++) {
    setup.keyspace.now += 1000
    setup.add(i % 3, String(i))
  }
  expect(setup.evict(KEYS / 4)).toBe(KEYS / 4)
  // An exact order would have 250, chance 1000.
  expect(averageRank(setup.evicted)).toBeLessThan(400)
  expect(setup.evicted.filter((name) => Number(name.slice(2)) > (KEYS * 3) / 4)).toEqual([])
})

test('a candidate that was used meanwhile stays, one that is gone is passed over', () => {
  const setup = new Setup('allkeys-lru')
  setup.eviction.samples = 64
  for (let i = 0; i < 16; i++) {
    setup.keyspace.now += 1000
    setup.add(0, String(i))
  }
  setup.keyspace.now += 60_000
  expect(setup.evict(1)).toBe(1)
  expect(setup.evicted).toEqual(['0:0'])
  const db = setup.db(0)
  db.touch(db.findText('1'))
  db.remove(db.findText('2'))
  setup.evict(2)
  expect(setup.evicted).toEqual(['0:0', '0:3', '0:4'])
})

test('by frequency seldom used keys go first', () => {
  const setup = new Setup('allkeys-lfu')
  for (let i = 0; i < KEYS; i++) {
    const row = setup.add(0, String(i))
    setup.db(0).restoreAccess(row, -1, Math.floor((i * 255) / KEYS))
  }
  setup.evict(KEYS / 4)
  expect(averageRank(setup.evicted)).toBeLessThan(400)
})

test.each([
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
])('%s takes only keys with an expire time, then none', (policy) => {
  const setup = new Setup(policy)
  for (let i = 0; i < 300; i++) {
    const row = setup.add(i % 4, String(i))
    if (i % 3 === 0) setup.db(i % 4).setExpire(row, START_MS + 1_000_000 + i)
  }
  expect(setup.evict(1000)).toBe(100)
  expect(setup.evicted.filter((name) => Number(name.slice(2)) % 3 !== 0)).toEqual([])
})

test('by expire time the order is exact', () => {
  const setup = new Setup('volatile-ttl')
  const random = seeded(5)
  const times: [number, string][] = []
  for (let i = 0; i < 500; i++) {
    const time = START_MS + Math.floor(random() * 1_000_000)
    setup.db(i % 4).setExpire(setup.add(i % 4, String(i)), time)
    times.push([time, `${i % 4}:${i}`])
  }
  setup.evict(500)
  const timeOf = new Map(times.map(([time, name]) => [name, time]))
  const evictedTimes = setup.evicted.map((name) => timeOf.get(name))
  expect(evictedTimes).toEqual([...evictedTimes].sort((a, b) => Number(a) - Number(b)))
})

test('at random each database has its turn, and all keys can go', () => {
  const setup = new Setup('allkeys-random')
  for (let i = 0; i < 40; i++) setup.add(i < 4 ? 0 : 2, String(i))
  setup.evict(4)
  expect(setup.evicted.map((name) => name[0])).toEqual(['0', '2', '0', '2'])
  expect(setup.evict(100)).toBe(36)
})

test('without a policy no key goes', () => {
  const setup = new Setup('noeviction')
  setup.add(0, 'a')
  expect(setup.eviction.isOn).toBe(false)
  expect(setup.evict(1)).toBe(0)
})

test('candidates of a database that was emptied or exchanged are checked before they go', () => {
  const setup = new Setup('allkeys-lru')
  for (let i = 0; i < 100; i++) setup.add(0, String(i))
  setup.evict(1)
  setup.db(0).clear()
  expect(setup.evict(1)).toBe(0)
  for (let i = 0; i < 10; i++) setup.add(1, String(i))
  expect(setup.evict(100)).toBe(10)
  expect(setup.db(1).size).toBe(0)
})

test('by change what was not written for longest goes first, however often it was read', () => {
  const setup = new Setup('allkeys-lrm')
  const { keyspace } = setup
  const db = setup.db(0)
  for (const key of ['read', 'written', 'new']) setup.add(0, key)
  keyspace.now += 10_000
  keyspace.touchedText(db, 'written')
  keyspace.now += 10_000
  keyspace.touchedText(db, 'new')
  const bytes = Buffer.from('written')
  for (const key of ['read', 'new', 'written']) {
    const row = db.findText(key)
    db.renewAccess(row)
    db.touch(row)
  }
  expect(setup.evict(1)).toBe(1)
  keyspace.now += 10_000
  keyspace.touched(db, bytes, 0, bytes.length)
  expect(setup.evict(2)).toBe(2)
  expect(setup.evicted).toEqual(['0:read', '0:new', '0:written'])
})
