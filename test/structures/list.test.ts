/** Lists of both encodings against a plain array, with the arena's accounts and the node table checked on the way. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { Kind } from '../../src/structures/kind.ts'
import { ListBig, ListEnd } from '../../src/structures/list.ts'
import { ListLimits } from '../../src/structures/list-limits.ts'
import { NODE_COUNT, NODE_END, NODE_START, NODE_WORDS } from '../../src/structures/list-nodes.ts'
import { ListView } from '../../src/structures/list-view.ts'

let arena: Arena
let view: ListView

beforeEach(() => {
  arena = new Arena()
  view = new ListView(arena)
})

afterEach(() => {
  view.free()
  expect(arena.liveBlocks).toBe(0)
  expect(arena.liveBytes).toBe(0)
})

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function pushAll(end: ListEnd, ...texts: string[]): void {
  view.expect(texts.length, texts.join('').length)
  for (const text of texts) view.push(end, bytes(text), 0, text.length)
}

function contents(): string[] {
  const texts: string[] = []
  const cursor = view.rewind()
  while (cursor.advance()) texts.push(cursor.entry.text())
  return texts
}

function contentsBackwards(): string[] {
  const texts: string[] = []
  const cursor = view.rewind()
  cursor.toEnd()
  while (cursor.retreat()) texts.push(cursor.entry.text())
  return texts.reverse()
}

function checkAccounts(): void {
  const big = view.big
  expect(arena.liveBlocks).toBe(big === null ? 1 : big.arenaBlocks())
  expect(arena.liveBytes).toBe(big === null ? arena.capacity(view.ref) : big.arenaBytes())
  if (big === null) return
  let nodes = 0
  let length = 0
  for (const chunk of big.nodes.chunks) {
    let entries = 0
    for (let at = chunk.first; at < chunk.last; at += NODE_WORDS) {
      nodes++
      expect(chunk.words[at + NODE_COUNT]).toBeGreaterThan(0)
      expect(chunk.words[at + NODE_END]).toBeGreaterThan(chunk.words[at + NODE_START]!)
      expect(chunk.words[at + NODE_END]).toBeLessThanOrEqual(arena.length(chunk.words[at]!))
      entries += chunk.words[at + NODE_COUNT]!
    }
    expect(chunk.entries).toBe(entries)
    length += entries
  }
  expect(big.nodes.count).toBe(nodes)
  expect(big.length).toBe(length)
}

const values = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', '1', '2', '300', '-5', 'x'.repeat(20)) },
  { weight: 2, arbitrary: fc.integer().map(String) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 300 }).map((n) => 'y'.repeat(n)) },
  { weight: 1, arbitrary: fc.constantFrom(63, 64, 4000, 4095, 4096, 5000, 9000).map((n) => 'z'.repeat(n)) },
)
const ends = fc.constantFrom(ListEnd.Head, ListEnd.Tail)
const steps = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('push' as const),
      end: ends,
      items: fc.array(values, { minLength: 1, maxLength: 40 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('drop' as const),
      end: ends,
      part: fc.double({ min: 0, max: 0.6, noNaN: true }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('shuttle' as const),
      end: ends,
      item: values,
      times: fc.integer({ min: 1, max: 60 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('insert' as const), end: ends, at: fc.nat(), item: values }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('replace' as const), at: fc.nat(), item: values }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('remove' as const),
      end: ends,
      limit: fc.constantFrom(1, 2, 3, 1e9),
      item: values,
    }),
  },
)
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never

/** Applies a step to the model and to the view, converting as commands do. */
function apply(model: string[], step: Step): void {
  switch (step.op) {
    case 'push':
      pushAll(step.end, ...step.items)
      for (const item of step.items) step.end === ListEnd.Head ? model.unshift(item) : model.push(item)
      return
    case 'drop': {
      const count = Math.floor(model.length * step.part)
      view.drop(step.end, count)
      if (step.end === ListEnd.Head) model.splice(0, count)
      else model.splice(model.length - count, count)
      break
    }
    case 'shuttle':
      // A queue: pushed at one end, popped at the other.
      for (let i = 0; i < step.times; i++) {
        pushAll(step.end, step.item)
        const other = step.end === ListEnd.Head ? ListEnd.Tail : ListEnd.Head
        step.end === ListEnd.Head ? model.unshift(step.item) : model.push(step.item)
        expect(view.peek(other).text()).toBe(other === ListEnd.Head ? model.shift() : model.pop())
        view.drop(other, 1)
        if (model.length > 0) view.shrink()
      }
      break
    case 'insert': {
      if (model.length === 0) return
      const at = step.at % model.length
      view.expect(1, step.item.length)
      expect(view.rewind().seek(at)).toBe(true)
      view.insert(step.end, bytes(step.item), 0, step.item.length)
      model.splice(at + (step.end === ListEnd.Tail ? 1 : 0), 0, step.item)
      return
    }
    case 'replace': {
      if (model.length === 0) return
      const at = step.at % model.length
      view.expect(1, step.item.length)
      view.rewind().seek(at - model.length)
      expect(view.cursor.entry.text()).toBe(model[at])
      view.replace(bytes(step.item), 0, step.item.length)
      model[at] = step.item
      break
    }
    case 'remove': {
      let removed = 0
      for (let i = 0; i < model.length && removed < step.limit; ) {
        const at = step.end === ListEnd.Head ? i : model.length - 1 - i
        if (model[at] === step.item) {
          model.splice(at, 1)
          removed++
        } else i++
      }
      expect(view.removeEqual(step.end, step.limit, bytes(step.item), 0, step.item.length)).toBe(removed)
    }
  }
  if (model.length > 0) view.shrink()
}

describe.each([-2, -1, -3, 1, 3, 16, 128])('with list-max-listpack-size %i', (setting) => {
  test('random changes leave what the same changes of an array leave', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 60 }), (script) => {
        view.useSetting(setting)
        view.create()
        const model: string[] = []
        for (const step of script) {
          apply(model, step)
          if (model.length === 0) {
            view.free()
            view.create()
          }
          checkAccounts()
          expect(view.length()).toBe(model.length)
        }
        expect(contents()).toEqual(model)
        expect(contentsBackwards()).toEqual(model)
        for (let i = 0; i < model.length; i += 7) {
          expect(view.rewind().seek(i)).toBe(true)
          expect(view.cursor.entry.text()).toBe(model[i])
        }
        view.free()
        expect(arena.liveBlocks).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})

describe('encoding', () => {
  test('a list is packed up to the byte limit of a listpack and big beyond', () => {
    view.create()
    // 7 bytes of frame, and the sum of the lengths as they come: 8185 fits, one more does not.
    pushAll(ListEnd.Tail, 'x'.repeat(8185))
    expect(view.kind).toBe(Kind.ListPacked)
    view.free()
    view.create()
    pushAll(ListEnd.Tail, 'x'.repeat(8186))
    expect(view.kind).toBe(Kind.ListBig)
  })

  test('a big list becomes packed again at half the limits only', () => {
    view.create()
    for (let i = 0; i < 9; i++) pushAll(ListEnd.Tail, 'x'.repeat(1000))
    expect(view.kind).toBe(Kind.ListBig)
    // An entry takes 1004 bytes here: four of them and the frame stay under 4096.
    for (let left = 8; left > 4; left--) {
      view.drop(ListEnd.Tail, 1)
      view.shrink()
      expect(view.kind).toBe(Kind.ListBig)
    }
    view.drop(ListEnd.Head, 1)
    view.shrink()
    expect(view.kind).toBe(Kind.ListPacked)
    expect(contents()).toEqual(Array.from({ length: 4 }, () => 'x'.repeat(1000)))
  })

  test('with a limit of entries, a list of one node and half of them becomes packed', () => {
    view.useSetting(4)
    view.create()
    pushAll(ListEnd.Tail, 'a', 'b', 'c', 'd')
    expect(view.kind).toBe(Kind.ListPacked)
    pushAll(ListEnd.Tail, 'e')
    expect(view.kind).toBe(Kind.ListBig)
    view.drop(ListEnd.Head, 2)
    view.shrink()
    expect(view.kind).toBe(Kind.ListBig)
    view.drop(ListEnd.Tail, 1)
    view.shrink()
    expect(view.kind).toBe(Kind.ListPacked)
    expect(contents()).toEqual(['c', 'd'])
  })

  test('settings beyond the table count as its ends: 0 as 1, under -5 as -5', () => {
    expect(new ListLimits(0).entriesMax).toBe(1)
    expect(new ListLimits(-9).bytesMax).toBe(65536)
  })
})

describe('big lists', () => {
  test('a hundred thousand elements keep their order and are found by index from both ends', () => {
    view.create()
    for (let i = 0; i < 100_000; i++) pushAll(ListEnd.Tail, `element ${i}`)
    for (const index of [0, 1, 777, 49_999, 50_000, 99_999]) {
      expect(view.rewind().seek(index)).toBe(true)
      expect(view.cursor.entry.text()).toBe(`element ${index}`)
      expect(view.rewind().seek(index - 100_000)).toBe(true)
      expect(view.cursor.entry.text()).toBe(`element ${index}`)
    }
    expect(view.rewind().seek(100_000)).toBe(false)
    expect(view.rewind().seek(-100_001)).toBe(false)
    checkAccounts()
  })

  test('nodes of one entry each spread over many chunks, and are removed from everywhere', () => {
    view.useSetting(1)
    view.create()
    const model: string[] = []
    for (let i = 0; i < 5000; i++) {
      pushAll(i % 2 === 0 ? ListEnd.Tail : ListEnd.Head, String(i % 10))
      i % 2 === 0 ? model.push(String(i % 10)) : model.unshift(String(i % 10))
    }
    expect(view.big!.nodes.chunks.length).toBeGreaterThan(5)
    expect(view.removeEqual(ListEnd.Tail, 100, bytes('4'), 0, 1)).toBe(100)
    expect(view.removeEqual(ListEnd.Head, 1e9, bytes('7'), 0, 1)).toBe(500)
    checkAccounts()
    let removed = 0
    for (let i = model.length - 1; removed < 100; i--) if (model[i] === '4' && ++removed > 0) model.splice(i, 1)
    expect(contents()).toEqual(model.filter((text) => text !== '7'))
    for (let i = 0; i < 3000; i++) {
      view.rewind().seek(1000)
      view.insert(ListEnd.Head, bytes('new'), 0, 3)
    }
    checkAccounts()
    expect(view.length()).toBe(5000 - 600 + 3000)
  })

  test('a queue of few elements stays in few bytes, however many pass through it', () => {
    view.create()
    for (let i = 0; i < 200; i++) pushAll(ListEnd.Head, 'job '.repeat(20))
    for (let i = 0; i < 50_000; i++) {
      pushAll(ListEnd.Head, 'job '.repeat(20))
      view.drop(ListEnd.Tail, 1)
    }
    expect(view.length()).toBe(200)
    expect(arena.liveBytes).toBeLessThan(48 * 1024)
    checkAccounts()
  })

  test('an element over the limit stands alone, and its neighbours keep their nodes', () => {
    view.create()
    pushAll(ListEnd.Tail, 'a', 'b', 'x'.repeat(100_000), 'c', 'd')
    expect(view.big!.nodes.count).toBe(3)
    expect(contents().map((text) => text.length)).toEqual([1, 1, 100_000, 1, 1])
  })

  test('inserting into a full node splits it and merges the halves with neighbours that have room', () => {
    view.useSetting(4)
    view.create()
    pushAll(ListEnd.Tail, '1', '2', '3', '4', '5', '6', '7', '8')
    view.rewind().seek(1)
    view.insert(ListEnd.Tail, bytes('new'), 0, 3)
    expect(contents()).toEqual(['1', '2', 'new', '3', '4', '5', '6', '7', '8'])
    expect(view.big!.nodes.count).toBe(3)
    checkAccounts()
  })

  test('a clone has the same elements and blocks of its own', () => {
    const list = new ListBig(arena, new ListLimits(-2))
    for (let i = 0; i < 3000; i++) list.pushHead(bytes(`e${i}`), 0, `e${i}`.length)
    const copy = list.clone()
    list.free()
    view.openBig(copy)
    expect(contents()).toEqual(Array.from({ length: 3000 }, (_, i) => `e${2999 - i}`))
    checkAccounts()
  })
})
