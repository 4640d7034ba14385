/** Checksums of ranges, beside those of node:zlib. */
import { randomFillSync } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Crc32Ranges } from '../../src/bytes/crc32-ranges.ts'

test('a range has the sum that its bytes have by themselves', () => {
  const buffer = randomFillSync(Buffer.alloc(20_000))
  const ranges = new Crc32Ranges(buffer)
  const place = fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.constantFrom(0, 1, 4095, 4096, 4097, 8192, 20_000))
  fc.assert(
    fc.property(place, place, (a, b) => {
      const [start, end] = [Math.min(a, b), Math.max(a, b)]
      expect(ranges.of(start, end)).toBe(crc32(buffer.subarray(start, end)))
    }),
    { numRuns: 500 },
  )
})
