/** Hashes in both encodings against a JavaScript Map: contents, conversion, and what is left in the arena. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Element } from '../../src/structures/element.ts'
import { HashCursor, HashView } from '../../src/structures/hash-view.ts'
import { Kind } from '../../src/structures/kind.ts'
import { bytes, smallTexts } from './texts.ts'

const LIMITS = { hashMaxListpackEntries: 12, hashMaxListpackValue: 64 }
const field = new Element()
const value = new Element()

function set(hash: HashView, name: string, text: string): boolean {
  return hash.set(bytes(name), 0, name.length, bytes(text), 0, text.length, LIMITS)
}

function get(hash: HashView, name: string): string | null {
  return hash.get(bytes(name), 0, name.length, value) ? value.text() : null
}

function pairs(hash: HashView): [string, string][] {
  const cursor = new HashCursor(hash.arena)
  cursor.open(hash)
  const all: [string, string][] = []
  while (cursor.advance(field, value)) all.push([field.text(), value.text()])
  return all
}

/** What the hash owns in the arena, counted block by block. */
function owned(hash: HashView): { bytes: number; blocks: number } {
  const { arena, dict } = hash
  if (dict === null) return { bytes: arena.capacity(hash.ref), blocks: 1 }
  let sum = 0
  for (let row = 0; row < dict.size; row++)
    sum += arena.capacity(dict.fieldRef(row)) + arena.capacity(dict.valueRef(row))
  expect({ bytes: dict.arenaBytes(), blocks: dict.arenaBlocks() }).toEqual({ bytes: sum, blocks: dict.size * 2 })
  return { bytes: sum, blocks: dict.size * 2 }
}

/** Now and then a value of which two are too much for one block. */
const values = fc.oneof(
  { weight: 12, arbitrary: smallTexts },
  { weight: 1, arbitrary: fc.constant('long '.repeat(1000)) },
)

const operations = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ remove: fc.constant(false), name: smallTexts, text: values }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.constant(true), name: smallTexts, text: smallTexts }) },
  ),
  { maxLength: 150 },
)

test('a hash behaves as a map over random operations in all its forms', () => {
  const kinds = new Set<number>()
  fc.assert(
    fc.property(operations, (steps) => {
      const arena = new Arena()
      const hash = new HashView(arena, 4321)
      hash.create()
      const model = new Map<string, string>()
      for (const { remove, name, text } of steps) {
        if (remove) {
          expect(hash.remove(bytes(name), 0, name.length)).toBe(model.delete(name))
        } else {
          expect(set(hash, name, text)).toBe(!model.has(name))
          model.set(name, text)
        }
        expect(hash.size()).toBe(model.size)
        expect(hash.has(bytes(name), 0, name.length)).toBe(!remove)
        expect(get(hash, name)).toBe(remove ? null : text)
        kinds.add(hash.kind)
      }
      expect(pairs(hash).sort()).toEqual([...model].sort())
      expect({ bytes: arena.liveBytes, blocks: arena.liveBlocks }).toEqual(owned(hash))
      hash.free()
      expect(arena.liveBytes + arena.liveBlocks).toBe(0)
    }),
    { numRuns: 300 },
  )
  expect([...kinds].sort((a, b) => a - b)).toEqual([Kind.HashPacked, Kind.HashDict, Kind.HashWide])
})

function hashOf(count: number): HashView {
  const hash = new HashView(new Arena(), 99)
  hash.create()
  for (let n = 0; n < count; n++) set(hash, `f${n}`, String(n))
  return hash
}

test('a hash stays packed up to its limits and is wide beyond each of them, and a HashDict when it is big', () => {
  expect(hashOf(12).kind).toBe(Kind.HashPacked)
  expect(hashOf(13).kind).toBe(Kind.HashWide)
  expect(hashOf(32).kind).toBe(Kind.HashWide)
  expect(hashOf(33).kind).toBe(Kind.HashDict)
  const values = hashOf(1)
  set(values, 'f', 'x'.repeat(64))
  expect(values.kind).toBe(Kind.HashPacked)
  set(values, 'f', 'x'.repeat(65))
  expect(values.kind).toBe(Kind.HashWide)
  set(values, 'f', 'short')
  expect(values.kind).toBe(Kind.HashWide)
  set(values, 'f', 'x'.repeat(9000))
  expect(values.kind).toBe(Kind.HashDict)
  const names = hashOf(1)
  set(names, 'x'.repeat(65), '1')
  expect(names.kind).toBe(Kind.HashWide)
})

test('expect converts at once, and only for more pairs than a packed hash may hold', () => {
  const hash = hashOf(3)
  hash.expect(12, 100, LIMITS)
  expect(hash.kind).toBe(Kind.HashPacked)
  hash.expect(13, 100, LIMITS)
  expect(hash.kind).toBe(Kind.HashWide)
  hash.expect(33, 100, LIMITS)
  expect(hash.kind).toBe(Kind.HashDict)
  expect(pairs(hash)).toEqual([
    ['f0', '0'],
    ['f1', '1'],
    ['f2', '2'],
  ])
  const huge = hashOf(1)
  huge.expect(1, 2 ** 30, LIMITS)
  expect(huge.kind).toBe(Kind.HashDict)
})

test('replaceFound changes the value that get has found, in every form, and keeps to the limits', () => {
  for (const hash of [hashOf(10), hashOf(30), hashOf(40)]) {
    for (const text of ['x'.repeat(60), '1', 'y'.repeat(30)]) {
      expect(get(hash, 'f7')).not.toBe(null)
      hash.replaceFound(bytes(text), 0, text.length, LIMITS)
      expect([get(hash, 'f6'), get(hash, 'f7'), get(hash, 'f8')]).toEqual(['6', text, '8'])
    }
    expect({ bytes: hash.arena.liveBytes, blocks: hash.arena.liveBlocks }).toEqual(owned(hash))
  }
  const long = hashOf(3)
  get(long, 'f1')
  long.replaceFound(bytes('z'.repeat(65)), 0, 65, LIMITS)
  expect([long.kind, get(long, 'f1')]).toEqual([Kind.HashWide, 'z'.repeat(65)])
})

test('a clone of a HashDict has the same pairs in blocks of its own', () => {
  const hash = hashOf(40)
  const clone = hash.dict?.clone()
  const before = pairs(hash)
  set(hash, 'f3', 'changed')
  const view = new HashView(hash.arena, 0)
  if (clone !== undefined) view.openDict(clone)
  expect(pairs(view).sort()).toEqual(before.sort())
  hash.free()
  expect(hash.arena.liveBytes).toBe(owned(view).bytes)
  view.free()
  expect(hash.arena.liveBytes + hash.arena.liveBlocks).toBe(0)
})

test('moveTo makes the cursor show the pair at an index, forwards and backwards, in every form', () => {
  for (const hash of [hashOf(10), hashOf(30), hashOf(40)]) {
    const all = pairs(hash)
    const cursor = hash.walk()
    for (const isPrepared of [false, true]) {
      cursor.open(hash)
      if (isPrepared) cursor.prepareRandomAccess()
      for (const index of [0, 3, 3, 7, 1, 5, all.length - 1, 0]) {
        cursor.moveTo(index)
        expect(cursor.advance(field, value)).toBe(true)
        expect([field.text(), value.text()]).toEqual(all[index])
      }
    }
  }
})

test('a hash that is made at once is as one that was made field by field, or is refused', () => {
  const texts = fc.oneof(smallTexts, fc.constantFrom('', '7', '-1', '128', '4096', '9007199254740991', 'x'.repeat(65)))
  const kinds = new Set<number>()
  const arena = new Arena()
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, texts), { minLength: 1, maxLength: 18 }), fc.nat(3), (all, before) => {
      const words = [...Array.from({ length: before }, () => 'before'), ...all.flat()]
      const starts = Int32Array.from(words.keys(), (i) => words.slice(0, i).join('').length)
      const lengths = Int32Array.from(words, (word) => word.length)
      const ranges = { source: bytes(words.join('')), starts, lengths, first: before, end: words.length }
      const hash = new HashView(arena, 4321)
      const other = new HashView(arena, 4321)
      other.create()
      for (const [name, text] of all) set(other, name, text)
      const isMade = hash.createOf(ranges, LIMITS)
      expect(isMade).toBe(new Set(all.map(([name]) => name)).size === all.length && all.length <= 12)
      if (isMade) {
        expect([hash.kind, pairs(hash)]).toEqual([other.kind, pairs(other)])
        kinds.add(hash.kind)
        hash.free()
      }
      other.free()
      expect(arena.liveBytes + arena.liveBlocks).toBe(0)
    }),
    { numRuns: 300 },
  )
  expect(kinds).toEqual(new Set([Kind.HashPacked, Kind.HashWide]))
})
