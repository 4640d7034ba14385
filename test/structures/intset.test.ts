/** Intset against a sorted JavaScript array: search, insert, remove, widths, and what is left in the arena. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import {
  createIntset,
  INTSET_HEADER_BYTES,
  intsetAt,
  intsetCount,
  intsetInsert,
  intsetRemoveAt,
  intsetSearch,
  intsetWidth,
} from '../../src/structures/intset.ts'

const values = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.constantFrom(32767, 32768, -32768, -32769, 2147483647, 2147483648, -2147483648, -2147483649),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 4294967295, 4294967296, -4294967296, -4294967297),
  fc.maxSafeInteger(),
)

test('an intset keeps its members sorted and exact over random inserts and removals', () => {
  fc.assert(
    fc.property(fc.array(values, { maxLength: 120 }), (operations) => {
      const arena = new Arena()
      let ref = createIntset(arena)
      const model: number[] = []
      for (const value of operations) {
        const found = intsetSearch(arena, ref, value)
        const index = model.findIndex((member) => member >= value)
        if (model[index] === value) {
          expect(found).toBe(index)
          ref = intsetRemoveAt(arena, ref, index)
          model.splice(index, 1)
        } else {
          expect(found).toBe(-1 - (index < 0 ? model.length : index))
          ref = intsetInsert(arena, ref, -1 - found, value)
          model.splice(index < 0 ? model.length : index, 0, value)
        }
        expect(intsetCount(arena, ref)).toBe(model.length)
        expect(arena.length(ref)).toBe(INTSET_HEADER_BYTES + model.length * intsetWidth(arena, ref))
      }
      expect(model.map((_, index) => intsetAt(arena, ref, index))).toEqual(model)
      expect(arena.liveBlocks).toBe(1)
      expect(arena.liveBytes).toBe(arena.capacity(ref))
    }),
  )
})

test('the width of an intset grows with the first member that needs it, and does not shrink', () => {
  const arena = new Arena()
  let ref = createIntset(arena)
  const widths: number[] = []
  for (const value of [1, -32768, 32768, 2, -2147483649]) {
    ref = intsetInsert(arena, ref, -1 - intsetSearch(arena, ref, value), value)
    widths.push(intsetWidth(arena, ref))
  }
  expect(widths).toEqual([2, 2, 4, 4, 8])
  ref = intsetRemoveAt(arena, ref, 0)
  expect(intsetWidth(arena, ref)).toBe(8)
  expect([0, 1, 2, 3].map((index) => intsetAt(arena, ref, index))).toEqual([-32768, 1, 2, 32768])
})

test('an intset has the layout of an RDB intset', () => {
  const arena = new Arena()
  let ref = createIntset(arena)
  for (const value of [-2, 70000]) ref = intsetInsert(arena, ref, -1 - intsetSearch(arena, ref, value), value)
  const start = arena.offset(ref)
  const payload = arena
    .segment(ref)
    .subarray(start, start + arena.length(ref))
    .toString('hex')
  expect(payload).toBe('04000000' + '02000000' + 'feffffff' + '70110100')
})
