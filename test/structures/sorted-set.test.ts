/** Sorted sets in both forms against a simple model. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Element } from '../../src/structures/element.ts'
import { Kind } from '../../src/structures/kind.ts'
import type { ZsetLimits } from '../../src/structures/packed-zset.ts'
import { Edge } from '../../src/structures/score-order.ts'
import { NO_RANK, PutFlag, PutResult, ZsetCursor, ZsetView } from '../../src/structures/zset-view.ts'

const PACKED: ZsetLimits = { zsetMaxListpackEntries: 128, zsetMaxListpackValue: 64 }
const BIG: ZsetLimits = { zsetMaxListpackEntries: 0, zsetMaxListpackValue: 0 }

type Pair = readonly [member: string, score: number]

/** The obvious sorted set: an array in order. */
class Model {
  readonly scores = new Map<string, number>()

  put(member: string, score: number): void {
    this.scores.set(member, score)
  }

  inOrder(): Pair[] {
    return [...this.scores].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))
  }
}

function open(limits: ZsetLimits): { arena: Arena; zset: ZsetView } {
  const arena = new Arena()
  const zset = new ZsetView(arena, 42)
  zset.create(0, 0, limits)
  if (limits === BIG) zset.becomeBig()
  return { arena, zset }
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function put(zset: ZsetView, member: string, score: number, limits: ZsetLimits, flags = 0): PutResult {
  const bytes = Buffer.from(`..${member}`, 'latin1')
  return zset.put(bytes, 2, member.length, score, flags, limits)
}

function remove(zset: ZsetView, member: string): boolean {
  return zset.remove(bytesOf(member), 0, member.length)
}

function rankOf(zset: ZsetView, member: string): number {
  return zset.rank(bytesOf(member), 0, member.length)
}

function scoreOf(zset: ZsetView, member: string): number {
  return zset.scoreOf(bytesOf(member), 0, member.length)
}

function upwards(zset: ZsetView, arena: Arena): Pair[] {
  const cursor = new ZsetCursor(arena)
  const member = new Element()
  const pairs: Pair[] = []
  for (let more = cursor.open(zset, 0, member); more; more = cursor.next(member)) {
    pairs.push([member.text(), cursor.score])
  }
  return pairs
}

function downwards(zset: ZsetView, arena: Arena): Pair[] {
  const cursor = new ZsetCursor(arena)
  const member = new Element()
  const pairs: Pair[] = []
  for (let more = cursor.open(zset, zset.size() - 1, member); more; more = cursor.previous(member)) {
    pairs.push([member.text(), cursor.score])
  }
  return pairs
}

/** Compares everything that can be asked with the model, and the arena with what the sorted set says it owns. */
function check(zset: ZsetView, arena: Arena, model: Model): void {
  const expected = model.inOrder()
  expect(zset.size()).toBe(expected.length)
  expect(upwards(zset, arena)).toEqual(expected)
  expect(downwards(zset, arena)).toEqual([...expected].reverse())
  const cursor = new ZsetCursor(arena)
  const element = new Element()
  const step = Math.max(1, Math.floor(expected.length / 97))
  for (let rank = 0; rank < expected.length; rank += step) {
    const [member, score] = expected[rank]!
    expect(rankOf(zset, member)).toBe(rank)
    expect(scoreOf(zset, member)).toBe(score)
    expect(cursor.open(zset, rank, element)).toBe(true)
    expect(element.text()).toBe(member)
    expect(zset.rankOfScore(score, Edge.Before)).toBe(expected.findIndex((pair) => pair[1] === score))
    expect(zset.rankOfScore(score, Edge.After)).toBe(expected.findLastIndex((pair) => pair[1] === score) + 1)
  }
  expect(cursor.open(zset, expected.length, element)).toBe(false)
  expect(cursor.open(zset, -1, element)).toBe(false)
  expect(zset.rankOfScore(Infinity, Edge.After)).toBe(expected.length)
  expect(zset.rankOfScore(-Infinity, Edge.Before)).toBe(0)
  checkAccount(zset, arena)
}

function checkAccount(zset: ZsetView, arena: Arena): void {
  if (zset.big === null) {
    expect(arena.liveBlocks).toBe(1)
    expect(arena.liveBytes).toBe(arena.capacity(zset.ref))
  } else {
    expect(arena.liveBlocks).toBe(zset.big.arenaBlocks())
    expect(arena.liveBytes).toBe(zset.big.arenaBytes())
  }
}

function freeAll(zset: ZsetView, arena: Arena): void {
  zset.free()
  expect(arena.liveBlocks).toBe(0)
  expect(arena.liveBytes).toBe(0)
}

const score = fc
  .oneof(
    fc.integer({ min: -20, max: 20 }),
    fc.double({ noNaN: true, noDefaultInfinity: false }),
    fc.constantFrom(0.5, -0.5, 2 ** 53, -(2 ** 60), Infinity, -Infinity, 6.8e-38, 2 ** 61 + 2 ** 20),
  )
  .map((value) => (value === 0 ? 0 : value))
const member = fc.oneof(
  fc.integer({ min: -300, max: 300 }).map(String),
  fc.string({ unit: 'binary-ascii', maxLength: 6 }),
  fc.constantFrom('', 'a'.repeat(64), `${'a'.repeat(64)}b`, 'a'.repeat(65), `${'a'.repeat(70)}\xff`),
)

type Step =
  | { readonly kind: 'put'; readonly member: string; readonly score: number; readonly flags: number }
  | { readonly kind: 'remove'; readonly member: string }
  | { readonly kind: 'range'; readonly rank: number; readonly count: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      member,
      score,
      flags: fc.constantFrom(0, 0, 0, 0, 1, 2, 4, 8, 6, 10, 16, 18, 20, 24),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), member }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('range' as const), rank: fc.nat(200), count: fc.nat(5) }),
  },
)

/** What a put with flags must do, after Redis' documentation of ZADD. */
function expectedPut(current: number | undefined, score: number, flags: number): [PutResult, number | undefined] {
  if (current === undefined) {
    return (flags & PutFlag.Present) !== 0 ? [PutResult.Refused, undefined] : [PutResult.Added, score]
  }
  if ((flags & PutFlag.Absent) !== 0) return [PutResult.Refused, current]
  const next = (flags & PutFlag.Increment) !== 0 ? current + score : score
  if (Number.isNaN(next)) return [PutResult.NotANumber, current]
  if ((flags & PutFlag.Greater) !== 0 && next <= current) return [PutResult.Refused, current]
  if ((flags & PutFlag.Less) !== 0 && next >= current) return [PutResult.Refused, current]
  return [next === current ? PutResult.Same : PutResult.Updated, next]
}

function runSteps(zset: ZsetView, model: Model, steps: readonly Step[], limits: ZsetLimits): void {
  for (const step of steps) {
    if (step.kind === 'put') {
      const [result, next] = expectedPut(model.scores.get(step.member), step.score, step.flags)
      expect(put(zset, step.member, step.score, limits, step.flags)).toBe(result)
      // A packed sorted set holds no -0.
      if (next !== undefined) model.put(step.member, next === 0 ? 0 : next)
    } else if (step.kind === 'remove') {
      expect(remove(zset, step.member)).toBe(model.scores.delete(step.member))
    } else if (step.rank < zset.size()) {
      const gone = model.inOrder().slice(step.rank, step.rank + step.count)
      zset.removeRange(step.rank, gone.length)
      for (const [key] of gone) model.scores.delete(key)
    }
  }
}

describe('a sorted set', () => {
  for (const [name, limits] of [
    ['packed and then big', PACKED],
    ['always packed', { zsetMaxListpackEntries: 10000, zsetMaxListpackValue: 10000 }],
    ['big from the start', BIG],
  ] as const) {
    test(`(${name}) does what a sorted array does`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
          const { arena, zset } = open(limits)
          const model = new Model()
          runSteps(zset, model, steps, limits)
          check(zset, arena, model)
          freeAll(zset, arena)
        }),
        { numRuns: 50 },
      )
    })
  }

  test('becomes big with one member too many, or one that is too long, and packed again when it fits', () => {
    const { arena, zset } = open(PACKED)
    for (let i = 0; i < 128; i++) put(zset, `m${i}`, i, PACKED)
    expect(zset.kind).toBe(Kind.ZsetPacked)
    put(zset, 'm0', 500, PACKED)
    expect(zset.kind).toBe(Kind.ZsetPacked)
    put(zset, 'm128', 128, PACKED)
    expect(zset.kind).toBe(Kind.ZsetBig)
    zset.becomePacked(PACKED)
    expect(zset.kind).toBe(Kind.ZsetBig)
    remove(zset, 'm5')
    zset.becomePacked(PACKED)
    expect(zset.kind).toBe(Kind.ZsetPacked)
    expect(upwards(zset, arena).at(-1)).toEqual(['m0', 500])
    put(zset, 'x'.repeat(64), 1, { zsetMaxListpackEntries: 1000, zsetMaxListpackValue: 64 })
    expect(zset.kind).toBe(Kind.ZsetPacked)
    put(zset, 'x'.repeat(65), 1, { zsetMaxListpackEntries: 1000, zsetMaxListpackValue: 64 })
    expect(zset.kind).toBe(Kind.ZsetBig)
    checkAccount(zset, arena)
    freeAll(zset, arena)
  })

  test('is created big when the first member or the expected number is above the limits', () => {
    const zset = new ZsetView(new Arena(), 1)
    zset.create(128, 64, PACKED)
    expect(zset.kind).toBe(Kind.ZsetPacked)
    zset.expect(129, PACKED)
    expect(zset.kind).toBe(Kind.ZsetBig)
    zset.free()
    zset.create(129, 1, PACKED)
    expect(zset.kind).toBe(Kind.ZsetBig)
    zset.free()
    zset.create(1, 65, PACKED)
    expect(zset.kind).toBe(Kind.ZsetBig)
    zset.free()
  })

  test('keeps -0 when it is big', () => {
    const { zset } = open(BIG)
    put(zset, 'a', -0, BIG)
    expect(scoreOf(zset, 'a')).toBe(-0)
    put(zset, 'b', 0, BIG)
    expect(rankOf(zset, 'b')).toBe(1)
  })

  test('keeps a score whose eight bytes read as digits', () => {
    const bytes = bytesOf('12345678')
    const value = bytes.readDoubleLE(0)
    const { zset } = open(PACKED)
    put(zset, 'a', value, PACKED)
    expect(scoreOf(zset, 'a')).toBe(value)
    expect(zset.kind).toBe(Kind.ZsetPacked)
  })
})

/** Small linear congruential generator: the same sequence in each run. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return Math.floor(((state >>> 0) / 4294967296) * below)
  }
}

describe('a big sorted set', () => {
  const COUNT = 14000
  const orders: readonly [name: string, scoreOf: (i: number, random: (below: number) => number) => number][] = [
    ['rising', (i) => i],
    ['falling', (i) => -i],
    ['random', (_, random) => random(1e9)],
    ['few', (_, random) => random(10)],
    ['equal', () => 7],
  ]
  for (const [name, scoreAt] of orders) {
    test(`with ${name} scores stays in order while it grows, changes and shrinks`, () => {
      const { arena, zset } = open(BIG)
      const model = new Model()
      const random = generator(name.length)
      for (let i = 0; i < COUNT; i++) {
        const key = `member:${i}`
        put(zset, key, scoreAt(i, random), BIG)
        model.put(key, scoreOf(zset, key))
      }
      check(zset, arena, model)

      for (let i = 0; i < COUNT / 2; i++) {
        const key = `member:${random(COUNT)}`
        const next = scoreAt(i, random) + random(3) - 1
        put(zset, key, next, BIG)
        model.put(key, next)
      }
      check(zset, arena, model)

      for (let i = 0; i < COUNT; i++) {
        const key = `member:${random(COUNT)}`
        if (random(5) === 0) {
          put(zset, key, i, BIG)
          model.put(key, i)
        } else expect(remove(zset, key)).toBe(model.scores.delete(key))
      }
      check(zset, arena, model)

      while (zset.size() > 0) {
        const count = Math.min(zset.size(), 1 + random(700))
        const rank = [0, zset.size() - count, random(zset.size() - count + 1)][random(3)]!
        const gone = model.inOrder().slice(rank, rank + count)
        zset.removeRange(rank, count)
        for (const [key] of gone) model.scores.delete(key)
        checkAccount(zset, arena)
        if (random(10) === 0) check(zset, arena, model)
      }
      expect(arena.liveBlocks).toBe(0)
      freeAll(zset, arena)
    })
  }

  test('fills its blocks when scores only rise or only fall', () => {
    for (const sign of [1, -1]) {
      const { zset } = open(BIG)
      for (let i = 0; i < 69 * 100; i++) put(zset, `m${i}`, sign * i, BIG)
      expect(zset.big?.order.nodeCount).toBeLessThanOrEqual(104)
    }
  })

  test('finds the place of byte strings among members of equal score', () => {
    for (const limits of [PACKED, BIG]) {
      const { zset } = open(limits)
      const members = ['', '-5', '0', '10', '2', 'B', 'a', 'aa', 'ab', '\xff']
      for (const key of members) put(zset, key, 0, limits)
      members.sort()
      for (const key of [...members, 'ac', '1', 'zz', '\xff\xff']) {
        const bytes = bytesOf(key)
        const before = members.filter((other) => other < key).length
        expect(zset.rankOfMember(bytes, 0, bytes.length, Edge.Before)).toBe(before)
        expect(zset.rankOfMember(bytes, 0, bytes.length, Edge.After)).toBe(before + (members.includes(key) ? 1 : 0))
      }
    }
  })

  test('tells absent members from present ones', () => {
    for (const limits of [PACKED, BIG]) {
      const { zset } = open(limits)
      put(zset, 'a', 1, limits)
      expect(scoreOf(zset, 'b')).toBeNaN()
      expect(rankOf(zset, 'b')).toBe(NO_RANK)
      expect(remove(zset, 'b')).toBe(false)
      zset.free()
      expect(zset.size()).toBe(0)
      expect(scoreOf(zset, 'a')).toBeNaN()
      expect(rankOf(zset, 'a')).toBe(NO_RANK)
    }
  })
})
