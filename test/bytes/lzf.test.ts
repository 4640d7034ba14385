/** Compression of strings: what goes in comes out, bounds hold, bad input is refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lzfCompress, lzfDecompress } from '../../src/bytes/lzf.ts'

const GUARD = 0x5a

/** Compresses to a buffer with guards around the room. Returns null when it does not fit. */
function compress(source: Buffer, max: number = source.length * 2 + 8): Buffer | null {
  const target = Buffer.alloc(max + 8, GUARD)
  const length = lzfCompress(source, 0, source.length, target, 4, max)
  expect(target.subarray(0, 4).every((byte) => byte === GUARD)).toBe(true)
  expect(target.subarray(4 + max).every((byte) => byte === GUARD)).toBe(true)
  return length === 0 ? null : Buffer.from(target.subarray(4, 4 + length))
}

function decompress(source: Buffer, length: number): Buffer | null {
  const target = Buffer.alloc(length + 8, GUARD)
  const isGood = lzfDecompress(source, 0, source.length, target, 4, length)
  expect(target.subarray(0, 4).every((byte) => byte === GUARD)).toBe(true)
  expect(target.subarray(4 + length).every((byte) => byte === GUARD)).toBe(true)
  return isGood ? target.subarray(4, 4 + length) : null
}

/** Bytes with many repetitions at all distances. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(600)), { minLength: 1, maxLength: 20 })
  .map((parts) => Buffer.concat(parts.map(([bytes, count]) => Buffer.concat(Array(1 + count).fill(bytes)))))

describe('lzfCompress and lzfDecompress', () => {
  it('give back what was compressed', () => {
    fc.assert(
      fc.property(fc.oneof(repetitive, fc.uint8Array({ minLength: 1, maxLength: 300 })), (bytes) => {
        const source = Buffer.from(bytes)
        expect(decompress(compress(source)!, source.length)).toEqual(source)
      }),
      { numRuns: 300 },
    )
  })

  it('shrink a long run to about three bytes in 264', () => {
    const source = Buffer.alloc(100_000, 'a')
    expect(compress(source)!.length).toBeLessThan(1200)
  })

  it('find matches up to 8192 bytes back and none beyond', () => {
    const noise = Buffer.alloc(9000)
    for (let i = 0, state = 1; i < noise.length; i++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      noise[i] = state >>> 20
    }
    const near = Buffer.concat([noise.subarray(0, 8192), noise.subarray(0, 200)])
    const far = Buffer.concat([noise.subarray(0, 8193), noise.subarray(0, 200)])
    expect(compress(far)!.length - compress(near)!.length).toBeGreaterThan(150)
    expect(decompress(compress(near)!, near.length)).toEqual(near)
    expect(decompress(compress(far)!, far.length)).toEqual(far)
  })

  it('report 0 exactly when there is less room than needed', () => {
    for (const text of ['abcabcabcabcabcabcabc', 'no repetition at all!?', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'x']) {
      const source = Buffer.from(text)
      const needed = compress(source)!.length
      // Room for a match is asked for as three bytes, so one byte less or more may be refused near the end.
      expect(compress(source, needed + 1)).not.toBeNull()
      for (let max = 0; max < needed; max++) expect(compress(source, max)).toBeNull()
    }
  })

  it('do not mistake what an earlier call has seen for their own', () => {
    const first = Buffer.from('the quick brown fox jumps over the lazy dog')
    for (let round = 0; round < 3; round++) {
      expect(decompress(compress(first)!, first.length)).toEqual(first)
      const second = Buffer.from(first).reverse()
      expect(decompress(compress(second)!, second.length)).toEqual(second)
    }
  })

  it('read what liblzf has written', () => {
    // DUMP of 200 times 'a' by Redis 7.0: literal 'a', then copies from one byte back.
    expect(decompress(Buffer.from('016161e0bb00016161', 'hex'), 200)).toEqual(Buffer.alloc(200, 'a'))
  })

  it('refuse input that ends too soon or copies from before the start', () => {
    const source = Buffer.concat([Buffer.from('hello hello hello'), Buffer.alloc(300, 'z'), Buffer.from('hello hello')])
    const good = compress(source)!
    for (let length = 0; length < good.length; length++) {
      expect(decompress(good.subarray(0, length), source.length)).toBeNull()
    }
    expect(decompress(good, source.length - 1)).toBeNull()
    expect(decompress(good, source.length + 1)).toBeNull()
    expect(decompress(Buffer.from([0x20, 0x00]), 3)).toBeNull()
    expect(decompress(Buffer.from([0x00, 0x61, 0x20, 0x01]), 4)).toBeNull()
    expect(decompress(Buffer.from([0x00, 0x61, 0x20, 0x00]), 4)).toEqual(Buffer.from('aaaa'))
  })

  it('stay within bounds for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(400), (bytes, length) => {
        decompress(Buffer.from(bytes), length)
      }),
      { numRuns: 2000 },
    )
  })
})
