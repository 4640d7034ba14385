/** Walks over big lists while they change, against what plain reading finds when they begin. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Kind } from '../../src/structures/kind.ts'
import { type ListBig, ListEnd } from '../../src/structures/list.ts'
import { ListView } from '../../src/structures/list-view.ts'
import { bytes } from './texts.ts'
import { finish, Recorder } from './walk-recorder.ts'

const values = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', '1', '300', '-5', 'x'.repeat(20)) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 900 }).map((n) => 'y'.repeat(n)) },
  { weight: 1, arbitrary: fc.constantFrom(4096, 5000, 9000).map((n) => 'z'.repeat(n)) },
)
const ends = fc.constantFrom(ListEnd.Head, ListEnd.Tail)
const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('push' as const),
      end: ends,
      items: fc.array(values, { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('drop' as const), end: ends, count: fc.nat(12) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('insert' as const), end: ends, at: fc.nat(), item: values }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('replace' as const), at: fc.nat(), item: values }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('remove' as const),
      end: ends,
      limit: fc.constantFrom(1, 3, 1e9),
      item: values,
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('step' as const), bytes: fc.integer({ min: 1, max: 600 }) }) },
)
type Change = Exclude<typeof action extends fc.Arbitrary<infer T> ? T : never, { type: 'step' }>

function push(view: ListView, end: ListEnd, text: string): void {
  view.expect(1, text.length)
  view.push(end, bytes(text), 0, text.length)
}

function contents(view: ListView): string[] {
  const texts: string[] = []
  if (view.length() === 0) return texts
  const cursor = view.rewind()
  while (cursor.advance()) texts.push(cursor.entry.text())
  return texts
}

/** Does what an action says to list and model, converting as commands do. */
function apply(view: ListView, model: string[], act: Change): void {
  if (act.type === 'push') {
    for (const item of act.items) {
      push(view, act.end, item)
      if (act.end === ListEnd.Head) model.unshift(item)
      else model.push(item)
    }
    return
  }
  if (model.length === 0) return
  if (act.type === 'insert') {
    const at = act.at % model.length
    view.expect(1, act.item.length)
    view.rewind().seek(at)
    view.insert(act.end, bytes(act.item), 0, act.item.length)
    model.splice(act.end === ListEnd.Tail ? at + 1 : at, 0, act.item)
  } else if (act.type === 'replace') {
    const at = act.at % model.length
    view.expect(1, act.item.length)
    view.rewind().seek(at)
    view.replace(bytes(act.item), 0, act.item.length)
    model[at] = act.item
  } else if (act.type === 'drop') {
    const count = Math.min(act.count, model.length)
    view.drop(act.end, count)
    model.splice(act.end === ListEnd.Head ? 0 : model.length - count, count)
  } else {
    if (act.end === ListEnd.Tail) model.reverse()
    let left = act.limit
    const kept = model.filter((item) => item !== act.item || left-- <= 0)
    if (act.end === ListEnd.Tail) kept.reverse()
    model.splice(0, model.length, ...kept)
    view.removeEqual(act.end, act.limit, bytes(act.item), 0, act.item.length)
  }
  if (model.length > 0) view.shrink()
}

/** Frees the list when it is empty, as the command that emptied it would. */
function collect(view: ListView): void {
  if (view.length() > 0) return
  view.free()
  view.create()
}

function bigList(arena: Arena, setting: number, items: readonly string[]): { view: ListView; big: ListBig } {
  const view = new ListView(arena)
  view.useSetting(setting)
  view.create()
  // Whatever the setting is, more than a packed list may hold.
  for (const item of [...items, ...Array.from({ length: 6 }, (_, i) => `${i}`.repeat(1500))]) {
    push(view, ListEnd.Tail, item)
  }
  if (view.big === null) throw new Error('The list is packed')
  return { view, big: view.big }
}

function owned(arena: Arena, view: ListView): number {
  return view.big === null ? arena.capacity(view.ref) : view.big.arenaBytes()
}

describe.each([-2, -1, 1, 3, 16])('with list-max-listpack-size %i a walk over a list', (setting) => {
  test('delivers what was there when it began, in order, whatever is changed between its steps', () => {
    fc.assert(
      fc.property(
        fc.array(values, { maxLength: 60 }),
        fc.array(action, { maxLength: 60 }),
        fc.constantFrom('finish' as const, 'close' as const, 'free' as const),
        (first, script, ending) => {
          const arena = new Arena()
          const { view, big } = bigList(arena, setting, first)
          const model = contents(view)
          const expected = [...model]
          const recorder = new Recorder(arena)
          const walk = big.beginWalk()
          expect(walk.count).toBe(big.nodes.count)
          for (const act of script) {
            if (act.type === 'step') walk.step(recorder, act.bytes)
            else {
              apply(view, model, act)
              collect(view)
            }
            expect(arena.liveBytes).toBe(owned(arena, view) + walk.heldBytes)
          }
          expect(contents(view)).toEqual(model)
          if (ending === 'free') view.free()
          if (ending !== 'close') {
            finish(walk, recorder, 200)
            expect(recorder.entries).toEqual(expected)
          }
          walk.close()
          expect(walk.heldBytes).toBe(0)
          if (ending !== 'free') {
            expect(contents(view)).toEqual(model)
            expect(arena.liveBytes).toBe(owned(arena, view))
            view.free()
          }
          expect([arena.liveBytes, arena.liveBlocks]).toEqual([0, 0])
        },
      ),
      { numRuns: 120 },
    )
  })
})

/** A list of some hundred nodes of ten elements. */
function longList(): { arena: Arena; view: ListView; big: ListBig; sink: Recorder } {
  const arena = new Arena()
  const { view, big } = bigList(
    arena,
    10,
    Array.from({ length: 3000 }, (_, i) => `element-${i}`),
  )
  return { arena, view, big, sink: new Recorder(arena) }
}

test('elements that are added or taken at the ends are not copied; a node that goes is kept', () => {
  const { arena, view, big, sink } = longList()
  const expected = contents(view)
  const walk = big.beginWalk()
  expect(() => big.beginWalk()).toThrow('is open')
  const copied = arena.liveBlocks
  for (let i = 0; i < 100; i++) {
    push(view, ListEnd.Head, `new-${i}`)
    push(view, ListEnd.Tail, `new-${i}`)
  }
  // The blocks that the end nodes had before they grew.
  expect(walk.heldBytes).toBeLessThan(10_000)
  expect(arena.liveBlocks - copied).toBeLessThan(25)
  walk.step(sink, 1)
  const held = walk.heldBytes
  view.drop(ListEnd.Head, 2000)
  expect(walk.heldBytes).toBeGreaterThan(held + 10_000)
  finish(walk, sink, 1000)
  expect([sink.entries, walk.heldBytes, arena.liveBytes]).toEqual([expected, 0, big.arenaBytes()])
})

test.each([ListEnd.Head, ListEnd.Tail])('a push into the free part of a block keeps nothing (end %i)', (end) => {
  const arena = new Arena()
  const view = new ListView(arena)
  view.createBig()
  for (const text of ['a', 'b', 'c']) push(view, end, text)
  const expected = contents(view)
  const sink = new Recorder(arena)
  const walk = view.big!.beginWalk()
  push(view, end, 'd')
  expect(walk.heldBytes).toBe(0)
  // A byte of the range itself is another matter: what was dropped is overwritten.
  view.drop(end, 2)
  push(view, end, 'e')
  expect(walk.heldBytes).toBeGreaterThan(0)
  finish(walk, sink, 1)
  expect(sink.entries).toEqual(expected)
})

test.each([
  ListEnd.Head,
  ListEnd.Tail,
])('a queue that moves to and fro in its only block is kept once (end %i)', (end) => {
  const arena = new Arena()
  const view = new ListView(arena)
  view.createBig()
  for (let i = 0; i < 100; i++) push(view, ListEnd.Tail, `element-${i}`)
  const expected = contents(view)
  const sink = new Recorder(arena)
  const block = arena.liveBytes
  const walk = view.big!.beginWalk()
  for (let i = 0; i < 1000; i++) {
    view.drop(end === ListEnd.Head ? ListEnd.Tail : ListEnd.Head, 1)
    push(view, end, `another-${i}`)
    expect(walk.heldBytes).toBeLessThanOrEqual(block)
  }
  expect(walk.heldBytes).toBeGreaterThan(0)
  finish(walk, sink, 1)
  expect(sink.entries).toEqual(expected)
})

test('a freed list leaves its blocks to the walk', () => {
  const { arena, view, big, sink } = longList()
  const expected = contents(view)
  const walk = big.beginWalk()
  const live = arena.liveBytes
  view.free()
  expect([walk.heldBytes, arena.liveBytes]).toEqual([live, live])
  finish(walk, sink, 1000)
  expect(sink.entries).toEqual(expected)
  expect([walk.heldBytes, arena.liveBytes, arena.liveBlocks]).toEqual([0, 0, 0])
})

test('a change in the middle keeps its node only, and a search that removes nothing keeps none', () => {
  const { view, big, sink } = longList()
  const expected = contents(view)
  const walk = big.beginWalk()
  expect(view.removeEqual(ListEnd.Head, 10, bytes('missing'), 0, 7)).toBe(0)
  expect(view.removeEqual(ListEnd.Tail, 10, bytes('missing'), 0, 7)).toBe(0)
  expect(walk.heldBytes).toBe(0)
  expect(view.removeEqual(ListEnd.Tail, 10, bytes('element-1000'), 0, 12)).toBe(1)
  view.rewind().seek(500)
  view.replace(bytes('element-xxx'), 0, 11)
  expect(walk.heldBytes).toBeGreaterThan(0)
  expect(walk.heldBytes).toBeLessThan(1000)
  finish(walk, sink, 1000)
  expect(sink.entries).toEqual(expected)
})

test('each step takes about the bytes asked for, and close gives back what is kept', () => {
  const { arena, view, big, sink } = longList()
  const walk = big.beginWalk()
  walk.step(sink, 1000)
  expect(sink.entries.length).toBeGreaterThan(20)
  expect(sink.entries.length).toBeLessThan(200)
  view.drop(ListEnd.Head, 2000)
  expect(arena.liveBytes).toBeGreaterThan(big.arenaBytes())
  walk.close()
  walk.close()
  expect([arena.liveBytes, walk.heldBytes]).toEqual([big.arenaBytes(), 0])
  expect(walk.step(sink, 1)).toBe(true)
  const again = big.beginWalk()
  const left = contents(view)
  const second = new Recorder(arena)
  view.drop(ListEnd.Tail, 100)
  finish(again, second, 1)
  expect(second.entries).toEqual(left)
})

test('a list that becomes packed, and one that is copied, do not disturb the walk', () => {
  const arena = new Arena()
  const { view, big } = bigList(arena, -2, ['a', 'b'])
  const expected = contents(view)
  const sink = new Recorder(arena)
  const walk = big.beginWalk()
  const clone = big.clone()
  clone.drop(ListEnd.Head, 3)
  clone.free()
  expect(walk.heldBytes).toBe(0)
  view.drop(ListEnd.Tail, 7)
  view.shrink()
  expect(view.kind).toBe(Kind.ListPacked)
  expect(arena.liveBytes).toBe(arena.capacity(view.ref) + walk.heldBytes)
  finish(walk, sink, 1)
  expect(sink.entries).toEqual(expected)
  expect(arena.liveBytes).toBe(arena.capacity(view.ref))
})

test('freeSome frees a list in pieces of the size asked for', () => {
  const { arena, big } = longList()
  let calls = 0
  for (let isDone = false; !isDone; calls++) {
    const nodes = big.nodes.count
    isDone = big.freeSome(7)
    expect(nodes - big.nodes.count).toBe(isDone ? nodes : 7)
    expect([arena.liveBytes, arena.liveBlocks]).toEqual([big.arenaBytes(), big.arenaBlocks()])
  }
  expect(calls).toBeGreaterThan(40)
  expect([arena.liveBytes, arena.liveBlocks]).toEqual([0, 0])
})
