/** Bits of byte strings beside a model that looks at one bit after the other. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BitwiseOperation,
  combineBits,
  countBits,
  findBit,
  invertBits,
  noteSetBits,
  readBits,
  writeBits,
} from '../../src/bytes/bits.ts'

/** Long enough for words and for bytes that are skipped together; with long runs of equal bits. */
const bytes = fc
  .array(fc.tuple(fc.constantFrom(0, 0xff, 1, 0x80, 0xa5), fc.integer({ min: 1, max: 3000 })), {
    minLength: 1,
    maxLength: 5,
  })
  .map((runs) => Buffer.concat(runs.map(([byte, length]) => Buffer.alloc(length, byte))))
const start = fc.integer({ min: 0, max: 7 })

function bitAt(buffer: Buffer, bit: number): number {
  return (buffer[bit >> 3]! >> (7 - (bit & 7))) & 1
}

/** The bytes at `offset` of a buffer of its own, so that they are not always aligned. */
function shifted(buffer: Buffer, offset: number): Buffer {
  return Buffer.concat([Buffer.alloc(offset, 0x5a), buffer, Buffer.alloc(3, 0x5a)])
}

describe('bits', () => {
  test('are counted wherever the range begins and ends', () => {
    const property = fc.property(bytes, start, fc.nat(5000), (buffer, offset, skip) => {
      const from = skip % buffer.length
      let expected = 0
      for (let bit = from * 8; bit < buffer.length * 8; bit++) expected += bitAt(buffer, bit)
      expect(countBits(shifted(buffer, offset), offset + from, buffer.length - from)).toBe(expected)
    })
    fc.assert(property, { numRuns: 200 })
  })

  test('are found, set or clear, within a range of bits and not behind it', () => {
    const property = fc.property(
      bytes,
      start,
      fc.nat(),
      fc.nat(),
      fc.constantFrom(0, 1),
      (buffer, offset, a, b, bit) => {
        const first = a % (buffer.length * 8)
        const last = first + (b % (buffer.length * 8 - first))
        let expected = -1
        for (let at = first; at <= last && expected < 0; at++) if (bitAt(buffer, at) === bit) expected = at
        expect(findBit(shifted(buffer, offset), offset, first, last, bit)).toBe(expected)
      },
    )
    fc.assert(property, { numRuns: 300 })
  })

  test('are combined byte by byte and word by word alike, and nothing beside them changes', () => {
    const operations: readonly (readonly [BitwiseOperation, (a: number, b: number) => number])[] = [
      [BitwiseOperation.And, (a, b) => a & b],
      [BitwiseOperation.Or, (a, b) => a | b],
      [BitwiseOperation.Xor, (a, b) => a ^ b],
      [BitwiseOperation.AndNot, (a, b) => a & ~b],
    ]
    const property = fc.property(
      fc.uint8Array({ minLength: 600, maxLength: 700 }),
      fc.uint8Array({ minLength: 600, maxLength: 700 }),
      start,
      fc.constantFrom(0, 0, 3),
      fc.nat(600),
      (a, b, offset, odd, length) => {
        const other = shifted(Buffer.from(b), offset + odd)
        for (const [operation, model] of operations) {
          const target = shifted(Buffer.from(a), offset)
          combineBits(operation, target, offset, target, offset, other, offset + odd, length)
          const expected = a.map((byte, i) => (i < length ? model(byte, b[i]!) : byte))
          expect(target.equals(shifted(Buffer.from(expected), offset))).toBe(true)
        }
        const inverted = shifted(Buffer.from(a), offset)
        invertBits(inverted, offset, other, offset + odd, length)
        const expected = a.map((byte, i) => (i < length ? ~b[i]! : byte))
        expect(inverted.equals(shifted(Buffer.from(expected), offset))).toBe(true)
      },
    )
    fc.assert(property, { numRuns: 200 })
  })

  test('that are set in exactly one of several strings are told from the others', () => {
    const strings = fc.array(fc.uint8Array({ minLength: 350, maxLength: 350 }), { minLength: 1, maxLength: 5 })
    const property = fc.property(strings, start, (sources, offset) => {
      const once = shifted(Buffer.alloc(350), offset)
      const more = Buffer.alloc(353)
      for (const source of sources)
        noteSetBits(once, offset, more, 3, shifted(Buffer.from(source), offset), offset, 350)
      for (let bit = 0; bit < 2800; bit++) {
        const count = sources.reduce((sum, source) => sum + bitAt(Buffer.from(source), bit), 0)
        const isOnce = bitAt(once, offset * 8 + bit) === 1 && bitAt(more, 24 + bit) === 0
        expect(isOnce).toBe(count === 1)
      }
    })
    fc.assert(property, { numRuns: 30 })
  })

  test('make integers of any width at any place, zero behind the end', () => {
    const property = fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 12 }),
      fc.nat(100),
      fc.integer({ min: 1, max: 32 }),
      fc.nat(0xffffffff),
      (source, offset, width, number) => {
        const buffer = Buffer.concat([source, Buffer.alloc(20)])
        const text = [...buffer].map((byte) => byte.toString(2).padStart(8, '0')).join('')
        expect(readBits(buffer, 0, source.length, offset, width)).toBe(
          Number.parseInt(text.slice(offset, offset + width), 2),
        )
        const value = number % 2 ** width
        writeBits(buffer, 0, offset, width, value)
        const written = [...buffer].map((byte) => byte.toString(2).padStart(8, '0')).join('')
        const expected = text.slice(0, offset) + value.toString(2).padStart(width, '0') + text.slice(offset + width)
        expect(written).toBe(expected)
      },
    )
    fc.assert(property, { numRuns: 500 })
  })
})
