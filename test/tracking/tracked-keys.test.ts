/** The table of keys and clients, and overlaps of prefixes, against simple models. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { firstOverlapping, nextOverlapping, overlapWithOwn } from '../../src/pubsub/prefix-overlap.ts'
import { TrackedKeys } from '../../src/pubsub/tracked-keys.ts'
import { Arena } from '../../src/storage/arena.ts'

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1')
}

function take(table: TrackedKeys, key: string): number[] {
  const ids: number[] = []
  const count = table.take(bytesOf(key), 0, key.length, ids)
  return ids.slice(0, count)
}

function checkAccount(table: TrackedKeys, arena: Arena): void {
  expect(table.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
  expect(table.overheadBytes()).toBe(arena.outsideBytes)
}

const operation = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({ kind: fc.constant('add'), key: fc.nat({ max: 20 }), id: fc.integer({ min: 1, max: 60 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take'), key: fc.nat({ max: 20 }), id: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear'), key: fc.constant(0), id: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('free'), key: fc.nat({ max: 20 }), id: fc.constant(0) }) },
)

test('a table of keys gives back the clients of each, and owns all of its blocks', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
      const arena = new Arena()
      const table = new TrackedKeys(arena, 7, () => true)
      const model = new Map<string, Set<number>>()
      for (const { kind, key: n, id } of operations) {
        const key = `key:${n}`
        if (kind === 'add') {
          table.add(bytesOf(`xx${key}`), 2, key.length, id)
          model.set(key, (model.get(key) ?? new Set()).add(id))
        } else if (kind === 'take') {
          expect(take(table, key)).toEqual([...(model.get(key) ?? [])].sort((a, b) => a - b))
          model.delete(key)
        } else if (kind === 'clear') {
          table.clear()
          model.clear()
        } else table.freeSome(n)
        expect(table.size).toBe(model.size)
        expect(table.itemCount).toBe([...model.values()].reduce((sum, ids) => sum + ids.size, 0))
      }
      checkAccount(table, arena)
      table.clear()
      while (table.hasDiscarded) table.freeSome(3)
      expect([arena.liveBytes, arena.liveBlocks, arena.outsideBytes]).toEqual([0, 0, 0])
    }),
  )
})

test('a table whose keys have all been taken gives back its room when it is cleared', () => {
  const arena = new Arena()
  const table = new TrackedKeys(arena, 7, () => true)
  table.add(bytesOf('key'), 0, 3, 1)
  expect(take(table, 'key')).toEqual([1])
  table.clear()
  while (table.hasDiscarded) table.freeSome(3)
  checkAccount(table, arena)
  expect(arena.outsideBytes).toBe(0)
  table.clear()
  expect(table.hasDiscarded).toBe(false)
})

test('clients that are gone leave the block of a key that never changes', () => {
  const arena = new Arena()
  let oldest = 1
  let itemsMax = 0
  const table = new TrackedKeys(arena, 7, (id) => id >= oldest)
  for (let id = 1; id <= 2000; id++) {
    oldest = Math.max(1, id - 3)
    table.add(bytesOf('hot'), 0, 3, id)
    itemsMax = Math.max(itemsMax, table.itemCount)
  }
  expect(itemsMax).toBeLessThan(20)
  checkAccount(table, arena)
  expect(take(table, 'hot').slice(-4)).toEqual([1997, 1998, 1999, 2000])
})

test('a key that more clients have read than fit into a small block keeps them all', () => {
  const arena = new Arena()
  const table = new TrackedKeys(arena, 7, () => true)
  const ids = Array.from({ length: 33_000 }, (_, i) => ((i * 7919) % 33_013) + 2 ** 40)
  for (const id of ids) table.add(bytesOf('hot'), 0, 3, id)
  expect(table.itemCount).toBe(33_000)
  expect(take(table, 'hot')).toEqual(ids.sort((a, b) => a - b))
  expect(arena.liveBlocks).toBe(0)
})

describe('prefixes', () => {
  const prefix = fc.string({ unit: fc.constantFrom('a', 'b', '\xff'), maxLength: 4 })
  const overlap = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a)

  test('overlap in a list as each pair of them says', () => {
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 7 }), (prefixes) => {
        const first = prefixes.findIndex((one, i) => prefixes.some((other, j) => i !== j && overlap(one, other)))
        expect(firstOverlapping(prefixes)).toBe(first)
        if (first < 0) return
        const next = prefixes.findIndex((other, j) => j > first && overlap(prefixes[first]!, other))
        expect(nextOverlapping(prefixes, first)).toBe(next)
      }),
    )
  })

  test('overlap with those a client has as each of them says', () => {
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 7 }), prefix, fc.boolean(), (some, wanted, withEmpty) => {
        const own: string[] = withEmpty ? [''] : []
        for (const one of some)
          if (one !== '' && !own.slice(withEmpty ? 1 : 0).some((other) => overlap(one, other))) own.push(one)
        own.sort()
        expect(overlapWithOwn(own, wanted)).toBe(own.find((one) => overlap(one, wanted)) ?? null)
      }),
    )
  })
})
