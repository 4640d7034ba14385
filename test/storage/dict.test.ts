/** Dict against a JavaScript Map: contents, stable rows, incremental rehash, scanning, and what is left in the arena. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Dict, DictStride, hashBytes, NO_ROW } from '../../src/storage/dict.ts'

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function find(dict: Dict, key: string): number {
  return dict.find(bytes(key), 0, key.length)
}

function contents(dict: Dict): Map<string, number> {
  const found = new Map<string, number>()
  for (let row = 0; row < dict.size; row++) found.set(dict.arena.text(dict.keyRef(row)), dict.value(row))
  return found
}

test('a Dict behaves as a map over random operations, and frees every block', () => {
  const steps = fc.array(
    fc.record({ key: fc.nat(400).map((n) => `key:${n}`), removes: fc.boolean(), value: fc.double({ noNaN: true }) }),
    { maxLength: 1500 },
  )
  fc.assert(
    fc.property(steps, fc.integer(), (operations, seed) => {
      const arena = new Arena()
      const dict = new Dict(arena, DictStride.Keys, seed)
      const model = new Map<string, number>()
      for (const { key, removes, value } of operations) {
        const row = find(dict, key)
        expect(row !== NO_ROW).toBe(model.has(key))
        if (removes) {
          if (row !== NO_ROW) dict.remove(row)
          model.delete(key)
        } else {
          dict.setValue(row === NO_ROW ? dict.insert(bytes(key), 0, key.length) : row, value)
          model.set(key, value)
        }
      }
      expect(contents(dict)).toEqual(model)
      for (const [key, value] of model) expect(dict.value(find(dict, key))).toBe(value)
      dict.clear()
      expect([arena.liveBytes, arena.liveBlocks, find(dict, 'key:1')]).toEqual([0, 0, NO_ROW])
    }),
    { numRuns: 60 },
  )
})

test('a Dict grows and shrinks over chunk borders and keeps every key findable while it rehashes', () => {
  const dict = new Dict(new Arena(), DictStride.Map, 7)
  const count = 200_000
  for (let n = 0; n < count; n++) {
    const key = bytes(`k${n}`)
    dict.setValue(dict.insert(key, 0, key.length), n)
    if (n % 997 === 0) expect(dict.value(find(dict, `k${(n * 31) % (n + 1)}`))).toBe((n * 31) % (n + 1))
  }
  let rehashing = 0
  for (let n = 0; n < count; n++) {
    if (n % 10 === 0) continue
    dict.remove(find(dict, `k${n}`))
    if (dict.isRehashing) rehashing++
  }
  expect(rehashing).toBeGreaterThan(0)
  expect(dict.size).toBe(count / 10)
  for (let n = 0; n < count; n += 10) expect(dict.value(find(dict, `k${n}`))).toBe(n)
  expect(find(dict, 'k1')).toBe(NO_ROW)
})

test('rows below an inserted key keep their numbers, and a removal moves only the last row', () => {
  const dict = new Dict(new Arena(), DictStride.Set, 1)
  for (const key of ['a', 'b', 'c', 'd']) dict.insert(bytes(key), 0, 1)
  expect(['a', 'b', 'c', 'd'].map((key) => find(dict, key))).toEqual([0, 1, 2, 3])
  expect(dict.remove(1)).toBe(3)
  expect(['a', 'c', 'd'].map((key) => find(dict, key))).toEqual([0, 2, 1])
  expect(dict.remove(2)).toBe(NO_ROW)
})

test('a walk from the top row down sees every key that is there all the time, whatever is removed and added meanwhile', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000_000), { minLength: 50, maxLength: 300 }), (choices) => {
      const dict = new Dict(new Arena(), DictStride.Set, 3)
      for (let n = 0; n < 200; n++) dict.insert(bytes(`stays:${n}`), 0, `stays:${n}`.length)
      for (let n = 0; n < 100; n++) dict.insert(bytes(`goes:${n}`), 0, `goes:${n}`.length)
      const seen = new Set<string>()
      let row = dict.size
      let step = 0
      while (row > 0) {
        row = Math.min(row, dict.size) - 1
        if (row < 0) break
        seen.add(dict.arena.text(dict.keyRef(row)))
        const choice = choices[step++ % choices.length]!
        const gone = find(dict, `goes:${choice % 100}`)
        if (gone !== NO_ROW) dict.remove(gone)
        else dict.insert(bytes(`goes:${choice % 100}`), 0, `goes:${choice % 100}`.length)
      }
      for (let n = 0; n < 200; n++) expect(seen.has(`stays:${n}`)).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('the hash depends on every byte, on the length and on the seed, and spreads counting keys', () => {
  expect(hashBytes(bytes('abcd'), 0, 4, 1)).not.toBe(hashBytes(bytes('abce'), 0, 4, 1))
  expect(hashBytes(bytes('abcd\0'), 0, 5, 1)).not.toBe(hashBytes(bytes('abcd'), 0, 4, 1))
  expect(hashBytes(bytes('abcd'), 0, 4, 1)).not.toBe(hashBytes(bytes('abcd'), 0, 4, 2))
  const slots = new Int32Array(4096)
  for (let n = 0; n < 40_960; n++) {
    const key = bytes(`key:${String(n).padStart(12, '0')}`)
    slots[hashBytes(key, 0, key.length, 99) & 4095]!++
  }
  // Ten per slot on average: a Poisson distribution has practically none beyond 35.
  expect(Math.max(...slots)).toBeLessThan(36)
})

test('an index that was made for the rows to come is not rehashed while they come', () => {
  const dict = new Dict(new Arena(), DictStride.Keys, 7)
  dict.reserve(10_000)
  const slots = dict.slotCount()
  for (let i = 0; i < 10_000; i++) {
    dict.insert(bytes(`key:${i}`), 0, `key:${i}`.length)
    if (dict.isRehashing) throw new Error(`Rehashing after ${i} rows`)
  }
  expect([dict.slotCount(), dict.size, find(dict, 'key:9999')]).toEqual([slots, 10_000, 9999])
  // Neither a Dict with rows nor one that is bigger is changed.
  dict.reserve(1_000_000)
  expect(dict.slotCount()).toBe(slots)
  dict.clear()
  dict.reserve(1)
  expect(dict.slotCount()).toBe(8)
})
