/** The arena: contents survive everything that happens around a block, and the accounting is exact. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena, LARGE_MIN_BYTES, type Ref } from '../../src/storage/arena.ts'

const sizes = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  { weight: 2, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.integer({ min: LARGE_MIN_BYTES - 100, max: LARGE_MIN_BYTES + 70_000 }) },
)

function filled(length: number, mark: number): Buffer {
  return Buffer.alloc(length, mark & 0xff)
}

function isFilled(arena: Arena, ref: Ref, length: number, mark: number): boolean {
  const at = arena.offset(ref)
  return (
    arena.length(ref) === length &&
    arena
      .segment(ref)
      .subarray(at, at + length)
      .every((byte) => byte === (mark & 0xff))
  )
}

test('blocks keep their contents over random storing, resizing, overwriting and freeing', () => {
  const steps = fc.array(fc.record({ action: fc.nat(3), pick: fc.nat(), size: sizes }), { maxLength: 120 })
  fc.assert(
    fc.property(steps, (operations) => {
      const arena = new Arena()
      const blocks: { ref: Ref; length: number; mark: number }[] = []
      let mark = 0
      for (const { action, pick, size } of operations) {
        const block = blocks.length === 0 ? undefined : blocks[pick % blocks.length]
        mark++
        if (action === 0 || block === undefined) {
          blocks.push({ ref: arena.store(filled(size, mark), 0, size), length: size, mark })
        } else if (action === 1) {
          block.ref = arena.overwrite(block.ref, filled(size, mark), 0, size)
          block.length = size
          block.mark = mark
        } else if (action === 2) {
          block.ref = arena.resize(block.ref, size)
          const kept = Math.min(size, block.length)
          const at = arena.offset(block.ref)
          expect(
            arena
              .segment(block.ref)
              .subarray(at, at + kept)
              .every((byte) => byte === (block.mark & 0xff)),
          ).toBe(true)
          arena.segment(block.ref).fill(block.mark & 0xff, at, at + size)
          block.length = size
        } else {
          arena.free(block.ref)
          blocks.splice(blocks.indexOf(block), 1)
        }
        for (const { ref, length, mark: expected } of blocks) expect(isFilled(arena, ref, length, expected)).toBe(true)
        expect(arena.liveBlocks).toBe(blocks.length)
        expect(arena.liveBytes).toBe(blocks.reduce((sum, { ref }) => sum + arena.capacity(ref), 0))
      }
      for (const { ref } of blocks) arena.free(ref)
      expect([arena.liveBytes, arena.liveBlocks]).toEqual([0, 0])
    }),
    { numRuns: 60 },
  )
})

test('a value of the same size class is overwritten in place', () => {
  const arena = new Arena()
  const ref = arena.storeText('abcd')
  expect(arena.overwrite(ref, Buffer.from('efg'), 0, 3)).toBe(ref)
  expect(arena.text(ref)).toBe('efg')
})

test('freed blocks are used again before new memory is taken', () => {
  const arena = new Arena()
  const refs = Array.from({ length: 20_000 }, (_, n) => arena.store(filled(1000, n), 0, 1000))
  const reserved = arena.reservedBytes
  for (const ref of refs) arena.free(ref)
  for (let n = 0; n < 20_000; n++) arena.store(filled(1000, n), 0, 1000)
  expect(arena.reservedBytes).toBe(reserved)
})

test('a large block gives its memory back when it is freed, and appending to it copies little', () => {
  const arena = new Arena()
  let ref = arena.alloc(LARGE_MIN_BYTES)
  let moves = 0
  for (let length = LARGE_MIN_BYTES; length < LARGE_MIN_BYTES * 8; length += 1024) {
    const next = arena.resize(ref, length)
    if (next !== ref) moves++
    ref = next
  }
  expect(moves).toBeLessThan(20)
  arena.free(ref)
  expect([arena.reservedBytes, arena.liveBytes]).toEqual([0, 0])
})

test('a block equals its own bytes, wherever they lie, and none that differ in one of them or in length', () => {
  const arena = new Arena()
  for (const length of [...Array(80).keys(), 300, LARGE_MIN_BYTES]) {
    // High bytes too: words are signed.
    const source = Buffer.from(Array.from({ length: length + 8 }, (_, i) => (i * 151 + 200) & 0xff))
    for (const start of [0, 1, 2, 3, 5]) {
      const ref = arena.store(source, start, length)
      // What another block has left behind the payload does not count.
      arena.free(arena.store(Buffer.alloc(length, 0xff), 0, length))
      expect(arena.equals(ref, source, start, length)).toBe(true)
      expect(arena.equals(ref, source, start, length + 1)).toBe(false)
      for (let i = Math.max(0, length - 9); i < length; i++) {
        source[start + i]! ^= 0x80
        expect(arena.equals(ref, source, start, length)).toBe(false)
        source[start + i]! ^= 0x80
      }
      arena.free(ref)
    }
  }
})
