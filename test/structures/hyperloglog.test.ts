/** HyperLogLogs: sparse and dense ones agree, and what is corrupted is told and breaks nothing. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import {
  Added,
  countRegisters,
  emptyHyperLogLog,
  HyperLogLog,
  isHyperLogLog,
  REGISTERS,
} from '../../src/structures/hyperloglog.ts'

const SPARSE_BYTES_MAX = 3000
const arena = new Arena()

function create(sparseBytesMax = SPARSE_BYTES_MAX): HyperLogLog {
  const hll = new HyperLogLog(arena)
  hll.open(emptyHyperLogLog(arena), sparseBytesMax)
  return hll
}

function registersOf(hll: HyperLogLog): Uint8Array | null {
  const registers = new Uint8Array(REGISTERS)
  return hll.mergeInto(registers) ? registers : null
}

test('registers of sparse and dense ones are those of a plain array', () => {
  const index = fc.oneof(fc.nat(60), fc.nat(REGISTERS - 1))
  const raises = fc.array(fc.tuple(index, fc.integer({ min: 1, max: 33 })), { maxLength: 300 })
  const property = fc.property(raises, fc.constantFrom(SPARSE_BYTES_MAX, 40, 0), (list, sparseBytesMax) => {
    const before = arena.liveBlocks
    const sparse = create(sparseBytesMax)
    const dense = create()
    dense.makeDense()
    const model = new Uint8Array(REGISTERS)
    for (const [register, value] of list) {
      const expected = value > model[register]! ? Added.Changed : Added.Nothing
      expect(sparse.raise(register, value)).toBe(expected)
      expect(dense.raise(register, value)).toBe(expected)
      model[register] = Math.max(model[register]!, value)
    }
    expect(registersOf(sparse)).toEqual(model)
    expect(registersOf(dense)).toEqual(model)
    expect(sparse.count()).toBe(countRegisters(model))
    expect(dense.count()).toBe(countRegisters(model))
    expect(sparse.makeDense() || !sparse.isSparse).toBe(true)
    expect(arena.text(sparse.ref).slice(16)).toBe(arena.text(dense.ref).slice(16))
    arena.free(sparse.ref)
    arena.free(dense.ref)
    expect(arena.liveBlocks).toBe(before)
  })
  fc.assert(property, { numRuns: 100 })
})

test('a sparse one is described run by run, and becomes dense at its longest and for values above 32', () => {
  const hll = create()
  expect(hll.describeRuns()).toBe('Z:16384')
  hll.raise(100, 5)
  hll.raise(101, 5)
  hll.raise(99, 7)
  expect(hll.describeRuns()).toBe('Z:99 v:7,1 v:5,2 Z:16282')
  expect(hll.raise(0, 33)).toBe(Added.Changed)
  expect(hll.isSparse).toBe(false)
  const short = create(20)
  expect(short.raise(0, 1)).toBe(Added.Changed)
  expect(short.isSparse).toBe(true)
  expect(short.raise(1000, 1)).toBe(Added.Changed)
  expect(short.isSparse).toBe(false)
})

test('estimates are within a few standard errors', () => {
  const hll = create()
  const element = Buffer.alloc(4)
  for (let i = 1; i <= 100_000; i++) {
    element.writeInt32LE(i)
    hll.add(element, 0, 4)
    if (i === 100 || i === 10_000 || i === 100_000) expect(Math.abs(hll.count() - i) / i).toBeLessThan(0.03)
  }
})

test('whatever somebody has stored, it is told apart, and nothing outside of its block is touched', () => {
  const header = Buffer.from('HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80', 'latin1')
  const runs = fc.array(fc.constantFrom(0, 0x3f, 0x40, 0x7f, 0xff, 0x80, 0x83, 0xfc, 1), { maxLength: 40 })
  const property = fc.property(runs, fc.array(fc.nat(REGISTERS - 1), { maxLength: 20 }), (bytes, registers) => {
    const before = arena.liveBlocks
    const value = Buffer.concat([header, Buffer.from(bytes)])
    expect(isHyperLogLog(value, 0, value.length)).toBe(true)
    const guard = arena.store(Buffer.alloc(64, 0x5a), 0, 64)
    const hll = new HyperLogLog(arena)
    hll.open(arena.store(value, 0, value.length), SPARSE_BYTES_MAX)
    const behind = arena.store(Buffer.alloc(64, 0x5a), 0, 64)
    for (const register of registers) hll.raise(register, 9)
    hll.count()
    const readable = registersOf(hll) !== null
    expect(!hll.isSparse || hll.makeDense()).toBe(readable)
    for (const ref of [guard, behind]) expect(arena.text(ref)).toBe('Z'.repeat(64))
    for (const ref of [guard, behind, hll.ref]) arena.free(ref)
    expect(arena.liveBlocks).toBe(before)
  })
  fc.assert(property, { numRuns: 500 })
})

test('other strings are none', () => {
  const is = (text: string): boolean => isHyperLogLog(Buffer.from(text, 'latin1'), 0, text.length)
  expect(is('')).toBe(false)
  expect(is('HYLL')).toBe(false)
  expect(is(`HYLM\x01${'\0'.repeat(11)}`)).toBe(false)
  expect(is(`HYLL\x02${'\0'.repeat(11)}`)).toBe(false)
  expect(is(`HYLL\0${'\0'.repeat(11)}`)).toBe(false)
  expect(is(`HYLL\0${'\0'.repeat(11 + 12_288)}`)).toBe(true)
})
