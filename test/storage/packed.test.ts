/** Packed blocks against a JavaScript array: every encoding of integers and strings, both directions, all changes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import {
  createPacked,
  PackedCursor,
  packedCount,
  packedInsert,
  packedRemove,
  packedReplace,
} from '../../src/storage/packed.ts'

const texts = fc.oneof(
  fc.integer().map(String),
  fc.maxSafeInteger().map(String),
  fc.constantFrom('0', '127', '128', '-1', '4095', '-4096', '32767', '-32769', '8388607', '-8388609', '2147483648'),
  fc.constantFrom('9223372036854775807', '007', '-0', '+1', '', ' 1', '1.5', '9007199254740993'),
  fc.nat(5000).map((length) => 'x'.repeat(length)),
  fc.string({ maxLength: 70 }).map((text) => Buffer.from(text).toString('latin1')),
)

test('a packed block behaves as an array over random inserts, replacements and removals', () => {
  const steps = fc.array(fc.record({ action: fc.nat(4), pick: fc.nat(), count: fc.nat(2), text: texts }), {
    maxLength: 120,
  })
  fc.assert(
    fc.property(steps, (operations) => {
      const arena = new Arena()
      const cursor = new PackedCursor(arena)
      const model: string[] = []
      let ref = createPacked(arena)
      for (const { action, pick, count, text } of operations) {
        const index = pick % (model.length + 1)
        const bytes = Buffer.from(text, 'latin1')
        cursor.open(ref)
        const isEnd = index === model.length
        // From the front and from behind, the same entry has the same position.
        if (!isEnd) expect(cursor.seek(pick % 2 === 0 ? index : index - model.length)).toBe(true)
        const position = isEnd ? arena.length(ref) : cursor.position
        if (action <= 2 || isEnd) {
          ref = packedInsert(arena, ref, position, bytes, 0, bytes.length)
          model.splice(index, 0, text)
        } else if (action === 3) {
          ref = packedReplace(arena, ref, position, bytes, 0, bytes.length)
          model[index] = text
        } else {
          const removed = Math.min(count + 1, model.length - index)
          ref = packedRemove(arena, ref, position, removed)
          model.splice(index, removed)
        }
      }
      const forwards: string[] = []
      cursor.open(ref)
      while (cursor.advance()) forwards.push(cursor.text())
      const backwards: string[] = []
      cursor.openAtEnd(ref)
      while (cursor.retreat()) backwards.push(cursor.text())
      expect(forwards).toEqual(model)
      expect(backwards.reverse()).toEqual(model)
      expect(packedCount(arena, ref)).toBe(model.length)
      arena.free(ref)
      expect(arena.liveBytes).toBe(0)
    }),
    { numRuns: 200 },
  )
})

test('an entry equals exactly its own text', () => {
  const arena = new Arena()
  const cursor = new PackedCursor(arena)
  fc.assert(
    fc.property(texts, texts, (stored, other) => {
      const bytes = Buffer.from(stored, 'latin1')
      const ref = packedInsert(arena, createPacked(arena), 4, bytes, 0, bytes.length)
      cursor.open(ref)
      cursor.advance()
      const compared = Buffer.from(other, 'latin1')
      expect(cursor.equals(bytes, 0, bytes.length)).toBe(true)
      expect(cursor.equals(compared, 0, compared.length)).toBe(stored === other)
      expect(cursor.textLength()).toBe(stored.length)
      arena.free(ref)
    }),
  )
})
