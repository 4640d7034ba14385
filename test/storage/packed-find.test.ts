/** PackedCursor.find against a plain array of texts, over all entry encodings and strides. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { createPacked, NO_ENTRY, PackedCursor, packedAppend } from '../../src/storage/packed.ts'

const texts = fc.oneof(
  fc.integer({ min: -3, max: 130 }).map(String),
  fc.constantFrom('4095', '-4096', '4096', '32768', '-8388609', '2147483648', '9007199254740991', '9007199254740993'),
  fc.constantFrom('', '007', '-0', 'a', 'b'),
  fc.constantFrom(62, 63, 64, 65, 126, 127, 128, 4095, 4096).map((length) => 'x'.repeat(length)),
)

test('find reports the first equal entry among every stride-th one, and where the cursor then stands', () => {
  const arena = new Arena()
  const cursor = new PackedCursor(arena)
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 24 }), texts, fc.constantFrom(1, 2), (entries, wanted, stride) => {
      if (stride === 2 && entries.length % 2 === 1) entries.pop()
      let ref = createPacked(arena)
      for (const entry of entries) ref = packedAppend(arena, ref, Buffer.from(entry, 'latin1'), 0, entry.length)
      cursor.open(ref)
      const found = cursor.find(Buffer.from(wanted, 'latin1'), 0, wanted.length, stride)
      const index = entries.findIndex((entry, i) => i % stride === 0 && entry === wanted)
      expect(found).toBe(index >= 0)
      if (found) {
        expect(cursor.text()).toBe(wanted)
        const rest = entries.slice(index + 1)
        for (const entry of rest) {
          expect(cursor.advance()).toBe(true)
          expect(cursor.text()).toBe(entry)
        }
      } else expect(cursor.position).toBe(NO_ENTRY)
      expect(cursor.advance()).toBe(false)
      arena.free(ref)
    }),
  )
  expect(arena.liveBlocks).toBe(0)
})
