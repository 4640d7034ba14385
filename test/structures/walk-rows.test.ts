/** Walks over big hashes, sets and sorted sets while they change, against what plain reading finds when they begin. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { NO_ROW } from '../../src/storage/dict.ts'
import { HashDict } from '../../src/structures/hash.ts'
import type { Collection } from '../../src/structures/kind.ts'
import { SetDict } from '../../src/structures/set.ts'
import { SortedSet } from '../../src/structures/sorted-set.ts'
import { bytes } from './texts.ts'
import { finish, Recorder } from './walk-recorder.ts'

/** A collection with the changes that commands make to it; a name's content is its value, nothing, or its score. */
interface Subject {
  readonly collection: Collection & { readonly size: number }
  put(name: string, value: number): void
  /** Changes what is there, the way INCRBY and the like do. */
  change(name: string, value: number): void
  remove(name: string): void
  /** Removes the row or rank `at` and some behind it. Returns the names. */
  removeAt(at: number, count: number): string[]
  /** All elements, as the Recorder writes them. */
  read(): string[]
}

/** Values of different size classes, so that some are overwritten in place and some are not. */
function text(value: number): string {
  return `${value}`.padEnd((value % 5) * 60, '.')
}

class HashSubject implements Subject {
  readonly collection: HashDict
  private readonly arena: Arena

  constructor(arena: Arena) {
    this.arena = arena
    this.collection = new HashDict(arena, 7)
  }

  put(name: string, value: number): void {
    const content = text(value)
    this.collection.set(bytes(name), 0, name.length, bytes(content), 0, content.length)
  }

  change(name: string, value: number): void {
    const row = this.collection.find(bytes(name), 0, name.length)
    if (row !== NO_ROW) this.collection.setValueAt(row, bytes(text(value)), 0, text(value).length)
  }

  remove(name: string): void {
    const row = this.collection.find(bytes(name), 0, name.length)
    if (row !== NO_ROW) this.collection.removeRow(row)
  }

  removeAt(at: number, count: number): string[] {
    const names: string[] = []
    for (; names.length < count && at < this.collection.size; ) {
      names.push(this.arena.text(this.collection.fieldRef(at)))
      this.collection.removeRow(at)
    }
    return names
  }

  read(): string[] {
    const { arena, collection } = this
    return Array.from(
      { length: collection.size },
      (_, row) => `${arena.text(collection.fieldRef(row))}=${arena.text(collection.valueRef(row))}`,
    )
  }
}

class SetSubject implements Subject {
  readonly collection: SetDict
  private readonly arena: Arena

  constructor(arena: Arena) {
    this.arena = arena
    this.collection = new SetDict(arena, 7)
  }

  put(name: string): void {
    this.collection.add(bytes(name), 0, name.length)
  }

  change(name: string): void {
    if (!this.collection.has(bytes(name), 0, name.length)) return
    this.remove(name)
    this.put(name)
  }

  remove(name: string): void {
    this.collection.remove(bytes(name), 0, name.length)
  }

  removeAt(at: number, count: number): string[] {
    const names: string[] = []
    for (; names.length < count && at < this.collection.size; ) {
      names.push(this.arena.text(this.collection.memberRef(at)))
      this.collection.removeRow(at)
    }
    return names
  }

  read(): string[] {
    return Array.from({ length: this.collection.size }, (_, row) => this.arena.text(this.collection.memberRef(row)))
  }
}

class ZsetSubject implements Subject {
  readonly collection: SortedSet
  private readonly arena: Arena

  constructor(arena: Arena) {
    this.arena = arena
    this.collection = new SortedSet(arena, 7)
  }

  put(name: string, value: number): void {
    const hash = this.collection.hash(bytes(name), 0, name.length)
    const row = this.collection.find(hash, bytes(name), 0, name.length)
    if (row === NO_ROW) this.collection.insert(hash, bytes(name), 0, name.length, value)
    else this.collection.setScore(row, value)
  }

  change(name: string, value: number): void {
    const hash = this.collection.hash(bytes(name), 0, name.length)
    const row = this.collection.find(hash, bytes(name), 0, name.length)
    if (row !== NO_ROW) this.collection.setScore(row, value)
  }

  remove(name: string): void {
    const hash = this.collection.hash(bytes(name), 0, name.length)
    const row = this.collection.find(hash, bytes(name), 0, name.length)
    if (row !== NO_ROW) this.collection.removeRow(row)
  }

  removeAt(at: number, count: number): string[] {
    const before = new Set(this.names())
    this.collection.removeRange(at, Math.min(count, this.collection.size - at))
    for (const name of this.names()) before.delete(name)
    return [...before]
  }

  read(): string[] {
    return this.names().map((name, row) => `${name}=${this.collection.score(row)}`)
  }

  private names(): string[] {
    return Array.from({ length: this.collection.size }, (_, row) => this.arena.text(this.collection.memberRef(row)))
  }
}

const names = fc.integer({ min: 0, max: 70 }).map((n) => `member-${n}`)
const numbers = fc.integer({ min: -1000, max: 1000 })
const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant('put' as const), name: names, value: numbers }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('change' as const), name: names, value: numbers }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('remove' as const), name: names }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('removeAt' as const), at: fc.nat(), count: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('step' as const), bytes: fc.integer({ min: 1, max: 300 }) }) },
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

/** What is left to do with the collection after the script. */
const endings = fc.constantFrom('finish' as const, 'close' as const, 'free' as const, 'free, close' as const)

const kinds = [
  ['hash', (arena: Arena): Subject => new HashSubject(arena)],
  ['set', (arena: Arena): Subject => new SetSubject(arena)],
  ['sorted set', (arena: Arena): Subject => new ZsetSubject(arena)],
] as const

/** Does what an action says, also to the model: the value of each name. */
function apply(subject: Subject, model: Map<string, number>, act: Exclude<Action, { type: 'step' }>): void {
  if (act.type === 'put') {
    subject.put(act.name, act.value)
    model.set(act.name, act.value)
  } else if (act.type === 'change') {
    subject.change(act.name, act.value)
    if (model.has(act.name)) model.set(act.name, act.value)
  } else if (act.type === 'remove') {
    subject.remove(act.name)
    model.delete(act.name)
  } else if (model.size > 0) {
    for (const name of subject.removeAt(act.at % model.size, act.count)) expect(model.delete(name)).toBe(true)
  }
}

describe.each(kinds)('a walk over a %s', (kind, create) => {
  const written = (model: Map<string, number>): string[] =>
    [...model]
      .map(([name, value]) => (kind === 'set' ? name : `${name}=${kind === 'hash' ? text(value) : value}`))
      .sort()

  test('delivers what was there when it began, whatever is changed between its steps', () => {
    fc.assert(
      fc.property(fc.array(names), fc.array(action, { maxLength: 120 }), endings, (first, script, ending) => {
        const arena = new Arena()
        const subject = create(arena)
        const collection = subject.collection
        const model = new Map<string, number>()
        for (const [i, name] of first.entries()) apply(subject, model, { type: 'put', name, value: i })
        const expected = written(model)
        const recorder = new Recorder(arena)
        const walk = collection.beginWalk(recorder)
        expect(walk.count).toBe(model.size)
        for (const act of script) {
          if (act.type === 'step') walk.step(recorder, act.bytes)
          else apply(subject, model, act)
          expect(walk.heldBytes).toBe(0)
          expect([arena.liveBytes, arena.liveBlocks]).toEqual([collection.arenaBytes(), collection.arenaBlocks()])
        }
        expect(subject.read().sort()).toEqual(written(model))

        const isFreed = ending.startsWith('free')
        if (isFreed) collection.free()
        if (ending === 'finish' || ending === 'free') {
          while (!walk.step(recorder, 50)) expect(walk.heldBytes).toBe(isFreed ? arena.liveBytes : 0)
          expect(recorder.elements.sort()).toEqual(expected)
        }
        walk.close()
        expect(walk.heldBytes).toBe(0)
        if (!isFreed) {
          expect(subject.read().sort()).toEqual(written(model))
          collection.free()
        }
        expect([arena.liveBytes, arena.liveBlocks]).toEqual([0, 0])
      }),
      { numRuns: 300 },
    )
  })

  test('hands over an element before it changes, and nothing after it was delivered or closed', () => {
    const arena = new Arena()
    const subject = create(arena)
    for (let i = 0; i < 50; i++) subject.put(`m${i}`, i)
    const before = subject.read()
    const early = new Recorder(arena)
    const rest = new Recorder(arena)
    const walk = subject.collection.beginWalk(early)
    expect(() => subject.collection.beginWalk(early)).toThrow('is open')
    subject.change('m7', 1000)
    subject.change('m7', 1001)
    subject.remove('m7')
    subject.put('m7', 1002)
    subject.put('new', 1003)
    subject.remove('new')
    expect(early.elements).toEqual([before[7]])
    finish(walk, rest, 100)
    expect([...early.elements, ...rest.elements].sort()).toEqual([...before].sort())
    subject.change('m9', 1)
    expect(early.elements.length).toBe(1)
    const again = subject.collection.beginWalk(early)
    again.close()
    again.close()
    subject.change('m10', 1)
    expect(early.elements.length).toBe(1)
    expect(again.step(rest, 1)).toBe(true)
  })

  test('takes about the bytes it is asked for at a time, also over elements that came early', () => {
    const arena = new Arena()
    const subject = create(arena)
    for (let i = 0; i < 20_000; i++) subject.put(`m${i}`, 0)
    const sink = new Recorder(arena)
    const walk = subject.collection.beginWalk(sink)
    expect(walk.step(sink, 1000)).toBe(false)
    expect(sink.elements.length).toBeGreaterThan(20)
    expect(sink.elements.length).toBeLessThan(200)
    for (let i = 0; i < 20_000; i++) subject.change(`m${i}`, 1)
    expect(finish(walk, sink, 1000)).toBeGreaterThan(10)
    expect(sink.elements.length).toBe(20_000)
  })

  test('keeps a freed collection without a copy, and gives it back in pieces', () => {
    const arena = new Arena()
    const subject = create(arena)
    for (let i = 0; i < 20_000; i++) subject.put(`m${i}`, i)
    const before = subject.read()
    const sink = new Recorder(arena)
    const walk = subject.collection.beginWalk(sink)
    const live = arena.liveBytes
    subject.collection.free()
    expect([arena.liveBytes, walk.heldBytes, sink.elements.length]).toEqual([live, live, 0])
    let blocks = arena.liveBlocks
    for (let isDone = false; !isDone; blocks = arena.liveBlocks) {
      isDone = walk.step(sink, 10_000)
      expect(blocks - arena.liveBlocks).toBeLessThan(10_000)
    }
    expect([arena.liveBlocks, arena.liveBytes, walk.heldBytes]).toEqual([0, 0, 0])
    expect(sink.elements.sort()).toEqual(before.sort())
  })

  test('does not concern a clone', () => {
    const arena = new Arena()
    const subject = create(arena)
    for (let i = 0; i < 50; i++) subject.put(`m${i}`, i)
    const sink = new Recorder(arena)
    const walk = subject.collection.beginWalk(sink)
    const collection = subject.collection
    if (!(collection instanceof HashDict || collection instanceof SetDict || collection instanceof SortedSet)) return
    const clone = collection.clone()
    clone.removeRow(0)
    clone.free()
    expect(sink.elements).toEqual([])
    expect(arena.liveBytes).toBe(collection.arenaBytes())
    walk.close()
  })
})

test.each(kinds)('freeSome frees a %s in pieces of the size asked for', (_kind, create) => {
  const arena = new Arena()
  const subject = create(arena)
  for (let i = 0; i < 100_000; i++) subject.put(`m${i}`, i)
  let calls = 0
  for (let isDone = false; !isDone; calls++) {
    const { size } = subject.collection
    isDone = subject.collection.freeSome(999)
    expect(size - subject.collection.size).toBe(isDone ? size : 999)
    expect([arena.liveBytes, arena.liveBlocks]).toEqual([
      subject.collection.arenaBytes(),
      subject.collection.arenaBlocks(),
    ])
  }
  expect([calls, arena.liveBytes, arena.liveBlocks]).toEqual([101, 0, 0])
})
