/** Sets in all encodings against a JavaScript Set: contents, rules of conversion, and what is left in the arena. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Element } from '../../src/structures/element.ts'
import { Kind } from '../../src/structures/kind.ts'
import { SetCursor, SetView } from '../../src/structures/set-view.ts'
import { bytes, smallTexts } from './texts.ts'

const LIMITS = { setMaxIntsetEntries: 12, setMaxListpackEntries: 10, setMaxListpackValue: 64 }
const element = new Element()

function add(set: SetView, text: string): boolean {
  return set.add(bytes(text), 0, text.length, LIMITS)
}

function members(set: SetView): string[] {
  const cursor = new SetCursor(set.arena)
  cursor.open(set)
  const texts: string[] = []
  while (cursor.advance(element)) texts.push(element.text())
  return texts
}

/** What the set owns in the arena, counted block by block. */
function owned(set: SetView): { bytes: number; blocks: number } {
  const { arena, dict } = set
  if (dict === null) return { bytes: arena.capacity(set.ref), blocks: 1 }
  let sum = 0
  for (let row = 0; row < dict.size; row++) sum += arena.capacity(dict.memberRef(row))
  expect({ bytes: dict.arenaBytes(), blocks: dict.arenaBlocks() }).toEqual({ bytes: sum, blocks: dict.size })
  return { bytes: sum, blocks: dict.size }
}

const operations = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant('add' as const), text: smallTexts }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('remove' as const), text: smallTexts }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('removeAt' as const), text: smallTexts }) },
  ),
  { maxLength: 150 },
)

test('a set behaves as a mathematical set over random operations in every encoding', () => {
  const kinds = new Set<number>()
  fc.assert(
    fc.property(operations, fc.nat(), (steps, pick) => {
      const arena = new Arena()
      const set = new SetView(arena, 1234)
      set.createIntset()
      const model = new Set<string>()
      for (const { type, text } of steps) {
        const source = bytes(text)
        if (type === 'add') {
          expect(add(set, text)).toBe(!model.has(text))
          model.add(text)
        } else if (type === 'remove') {
          expect(set.remove(source, 0, source.length)).toBe(model.delete(text))
        } else if (model.size > 0) {
          const index = pick % model.size
          set.showAt(index, element)
          expect(model.delete(element.text())).toBe(true)
          set.removeAt(index)
        }
        expect(set.size()).toBe(model.size)
        expect(set.has(source, 0, source.length)).toBe(model.has(text))
        kinds.add(set.kind)
      }
      expect(members(set).sort()).toEqual([...model].sort())
      expect({ bytes: arena.liveBytes, blocks: arena.liveBlocks }).toEqual(owned(set))
      set.free()
      expect(arena.liveBytes + arena.liveBlocks).toBe(0)
    }),
    { numRuns: 300 },
  )
  expect([...kinds].sort()).toEqual([Kind.SetIntset, Kind.SetPacked, Kind.SetDict])
})

function setOf(...texts: string[]): SetView {
  const set = new SetView(new Arena(), 99)
  const first = texts[0] ?? ''
  set.create(bytes(first), 0, first.length, texts.length, LIMITS)
  for (const text of texts) add(set, text)
  return set
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(n))
}

test('integers make an intset, up to its limit', () => {
  expect(setOf(...numbers(12)).kind).toBe(Kind.SetIntset)
  expect(setOf(...numbers(13)).kind).toBe(Kind.SetDict)
  const grown = setOf('1')
  for (const text of numbers(12)) add(grown, text)
  expect(grown.kind).toBe(Kind.SetIntset)
  add(grown, '500')
  expect(grown.kind).toBe(Kind.SetDict)
})

test('a member that is no integer turns an intset into a packed set while both limits allow it', () => {
  expect(setOf('1', 'a').kind).toBe(Kind.SetPacked)
  const full = setOf(...numbers(9))
  add(full, 'a')
  expect(full.kind).toBe(Kind.SetPacked)
  const over = setOf(...numbers(10))
  add(over, 'a')
  expect(over.kind).toBe(Kind.SetDict)
  const long = setOf('1')
  add(long, 'x'.repeat(65))
  expect(long.kind).toBe(Kind.SetDict)
})

test('a packed set becomes a SetDict with one member too many or too long', () => {
  const set = setOf('a')
  for (const text of numbers(9)) add(set, text)
  expect(set.kind).toBe(Kind.SetPacked)
  add(set, '9')
  expect(set.kind).toBe(Kind.SetDict)
  expect(setOf('a', 'x'.repeat(64)).kind).toBe(Kind.SetPacked)
  expect(setOf('a', 'x'.repeat(65)).kind).toBe(Kind.SetDict)
})

test('an integer beyond the safe range makes the set leave the intset and stays exact', () => {
  const set = setOf('5', '9007199254740993')
  expect(set.kind).toBe(Kind.SetPacked)
  expect(members(set)).toEqual(['5', '9007199254740993'])
})

test('expect converts at once, and only for more members than the encoding may hold', () => {
  const set = setOf('1')
  set.expect(12, LIMITS)
  expect(set.kind).toBe(Kind.SetIntset)
  set.expect(13, LIMITS)
  expect(set.kind).toBe(Kind.SetDict)
})

test('becomeIntset and becomePacked convert only what fits', () => {
  const big = setOf(...numbers(13))
  big.becomeIntset(LIMITS)
  big.becomePacked(LIMITS)
  expect(big.kind).toBe(Kind.SetDict)
  big.remove(bytes('4'), 0, 1)
  big.becomeIntset(LIMITS)
  expect(big.kind).toBe(Kind.SetIntset)
  expect(members(big)).toEqual(numbers(13).filter((text) => text !== '4'))
  expect(big.arena.liveBlocks).toBe(1)

  const mixed = setOf('b', ...numbers(10))
  for (const text of numbers(8)) mixed.remove(bytes(text), 0, text.length)
  mixed.becomeIntset(LIMITS)
  expect(mixed.kind).toBe(Kind.SetDict)
  mixed.becomePacked(LIMITS)
  expect(mixed.kind).toBe(Kind.SetPacked)
  expect(members(mixed).sort()).toEqual(['8', '9', 'b'])
  mixed.becomeIntset(LIMITS)
  expect(mixed.kind).toBe(Kind.SetPacked)
  expect({ bytes: mixed.arena.liveBytes, blocks: mixed.arena.liveBlocks }).toEqual(owned(mixed))
})

test('a clone of a SetDict has the same members in blocks of its own', () => {
  const set = setOf(...numbers(13))
  const clone = set.dict?.clone()
  set.remove(bytes('3'), 0, 1)
  expect(clone?.size).toBe(13)
  expect(clone?.has(bytes('3'), 0, 1)).toBe(true)
  set.free()
  expect(clone?.arenaBytes()).toBe(set.arena.liveBytes)
  clone?.free()
  expect(set.arena.liveBytes + set.arena.liveBlocks).toBe(0)
})

test('moveTo makes the cursor show the member at an index, forwards and backwards, in every encoding', () => {
  for (const set of [setOf(...numbers(8)), setOf('a', ...numbers(8)), setOf(...numbers(20))]) {
    const all = members(set)
    const cursor = set.walk()
    for (const isPrepared of [false, true]) {
      cursor.open(set)
      if (isPrepared) cursor.prepareRandomAccess()
      for (const index of [0, 3, 3, 7, 1, 5, all.length - 1, 0]) {
        cursor.moveTo(index)
        expect(cursor.advance(element)).toBe(true)
        expect(element.text()).toBe(all[index])
      }
    }
  }
})
