/** Expire times against a sorted list: the next key to expire is always the right one, while rows move. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../../src/storage/dict.ts'
import { Expires, NO_EXPIRE } from '../../src/storage/expires.ts'

test('the earliest expire time is first over random setting, clearing and removing of keys', () => {
  const steps = fc.array(fc.record({ key: fc.nat(80), action: fc.nat(3), time: fc.nat(1000) }), { maxLength: 600 })
  fc.assert(
    fc.property(steps, (operations) => {
      const arena = new Arena()
      const keys = new Dict(arena, DictStride.Keys, 5)
      const expires = new Expires(keys)
      const model = new Map<string, number | null>()
      for (const { key, action, time } of operations) {
        const name = `key:${key}`
        const bytes = Buffer.from(name)
        let row = keys.find(bytes, 0, bytes.length)
        if (action <= 1) {
          if (row === NO_ROW) row = keys.insert(bytes, 0, bytes.length)
          expires.set(row, time)
          model.set(name, time)
        } else if (row !== NO_ROW && action === 2) {
          expect(expires.clear(row)).toBe(model.get(name) !== null)
          model.set(name, null)
        } else if (row !== NO_ROW) {
          expires.clear(row)
          if (keys.remove(row) !== NO_ROW) expires.rowMoved(row)
          model.delete(name)
        }
        const times = [...model.values()].filter((value) => value !== null)
        expect(expires.size).toBe(times.length)
        expect(expires.firstTime()).toBe(times.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...times))
      }
      for (const [name, time] of model) {
        const bytes = Buffer.from(name)
        expect(expires.timeOf(keys.find(bytes, 0, bytes.length))).toBe(time ?? NO_EXPIRE)
      }
      let last = Number.NEGATIVE_INFINITY
      while (expires.size > 0) {
        const row = expires.firstRow()
        const time = expires.firstTime()
        expect(expires.timeOf(row)).toBe(time)
        expect(time).toBeGreaterThanOrEqual(last)
        last = time
        expires.clear(row)
      }
    }),
    { numRuns: 100 },
  )
})
