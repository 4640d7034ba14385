/** Hashes whose fields have expire times, in all their forms, against a JavaScript Map, while a clock moves. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { NO_EXPIRE } from '../../src/storage/expires.ts'
import { Element } from '../../src/structures/element.ts'
import { HashCursor, HashView, NO_FIELD } from '../../src/structures/hash-view.ts'
import { Kind } from '../../src/structures/kind.ts'
import { bytes, smallTexts } from './texts.ts'

const LIMITS = { hashMaxListpackEntries: 12, hashMaxListpackValue: 64 }
const START_MS = 1_700_000_000_000
const UNLIMITED = Number.POSITIVE_INFINITY
const field = new Element()
const value = new Element()

interface ModelField {
  text: string
  time: number
}

type Model = Map<string, ModelField>

const Action = { Set: 0, Keep: 1, Remove: 2, Time: 3, Expire: 4, Grow: 5 } as const

const step = fc.record({
  action: fc.oneof(
    { weight: 6, arbitrary: fc.constant(Action.Set) },
    { weight: 2, arbitrary: fc.constant(Action.Keep) },
    { weight: 2, arbitrary: fc.constant(Action.Remove) },
    { weight: 6, arbitrary: fc.constant(Action.Time) },
    { weight: 2, arbitrary: fc.constant(Action.Expire) },
    { weight: 1, arbitrary: fc.constant(Action.Grow) },
  ),
  // Mostly one of a few, so that fields are met again.
  name: fc.oneof(smallTexts, fc.constantFrom('a', 'b', 'c', '7', '-12', '')),
  text: fc.oneof(
    { weight: 12, arbitrary: smallTexts },
    { weight: 1, arbitrary: fc.constant('wide'.repeat(20)) },
    { weight: 1, arbitrary: fc.constant('long '.repeat(1000)) },
  ),
  /** A time from now, or how much time passes; 0: no time. */
  ms: fc.nat(20),
  limit: fc.constantFrom(1, 3, UNLIMITED),
})

function set(hash: HashView, name: string, text: string): boolean {
  return hash.set(bytes(name), 0, name.length, bytes(text), 0, text.length, LIMITS)
}

/** What the view shows, sorted: fields with their values and times. */
function shown(hash: HashView): [string, string, number][] {
  const cursor = new HashCursor(hash.arena)
  cursor.open(hash)
  const all: [string, string, number][] = []
  while (cursor.advance(field, value)) all.push([field.text(), value.text(), cursor.time()])
  return all.sort()
}

function modelled(model: Model, now: number): [string, string, number][] {
  const alive = [...model].filter(([, { time }]) => time === NO_EXPIRE || time > now)
  return alive.map(([name, { text, time }]): [string, string, number] => [name, text, time]).sort()
}

function nextOf(model: Model): number {
  const times = [...model.values()].map(({ time }) => time).filter((time) => time !== NO_EXPIRE)
  return times.length === 0 ? NO_EXPIRE : Math.min(...times)
}

/** What the objects of the hash account for. */
function accounted(hash: HashView): { bytes: number; blocks: number; outside: number } {
  const object = hash.object()
  if (object === null) return { bytes: hash.arena.capacity(hash.ref), blocks: 1, outside: 0 }
  const outside = object.overheadBytes() - object.objectBytes
  return { bytes: object.arenaBytes(), blocks: object.arenaBlocks(), outside }
}

function expire(hash: HashView, model: Model, now: number, limit: number): void {
  const removed: string[] = []
  const count = hash.removeExpired(now, limit, (name) => removed.push(name.text()))
  const due = [...model].filter(([, { time }]) => time !== NO_EXPIRE && time <= now)
  expect(count).toBe(Math.min(limit, due.length))
  expect(removed).toHaveLength(count)
  for (const name of removed) {
    expect(due.map(([dueName]) => dueName)).toContain(name)
    model.delete(name)
  }
}

test('fields live as long as they are told, in all forms and over all conversions', () => {
  const kinds = new Set<string>()
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const arena = new Arena()
      const hash = new HashView(arena, 4321)
      hash.create()
      const model: Model = new Map()
      let now = START_MS
      for (const { action, name, text, ms, limit } of steps) {
        const old = model.get(name)
        const key = bytes(name)
        if (action === Action.Set || (action === Action.Keep && old === undefined)) {
          expect(set(hash, name, text)).toBe(old === undefined)
          model.set(name, { text, time: NO_EXPIRE })
        } else if (action === Action.Keep) {
          hash.showAll()
          expect(hash.get(key, 0, key.length, value)).toBe(true)
          hash.replaceFound(bytes(text), 0, text.length, LIMITS)
          model.set(name, { text, time: old!.time })
        } else if (action === Action.Remove) {
          expect(hash.remove(key, 0, key.length)).toBe(model.delete(name))
        } else if (action === Action.Time && old !== undefined) {
          const time = ms === 0 ? NO_EXPIRE : now + ms
          hash.setTime(key, 0, key.length, time)
          old.time = time
        } else if (action === Action.Expire) {
          now += ms
          expire(hash, model, now, limit)
        } else if (action === Action.Grow) {
          for (let i = 0; i < ms; i++) {
            set(hash, `more ${i}`, text)
            model.set(`more ${i}`, { text, time: NO_EXPIRE })
          }
        }
        hash.hideExpired(now)
        const expected = model.get(name)
        const isVisible = expected !== undefined && (expected.time === NO_EXPIRE || expected.time > now)
        expect(hash.has(key, 0, key.length)).toBe(isVisible)
        expect(hash.get(key, 0, key.length, value) ? value.text() : null).toBe(isVisible ? expected.text : null)
        expect(hash.fieldTime(key, 0, key.length)).toBe(isVisible ? expected.time : NO_FIELD)
        expect(hash.hides(key, 0, key.length)).toBe(expected !== undefined && !isVisible)
        expect(hash.size()).toBe(model.size)
        expect(hash.nextTime()).toBe(nextOf(model))
        kinds.add(`${hash.kind} ${hash.nextTime() === NO_EXPIRE ? 'without' : 'with'} times`)
      }
      expect(shown(hash)).toEqual(modelled(model, now))
      expect(hash.visibleSize()).toBe(modelled(model, now).length)
      hash.object()
      expect({ bytes: arena.liveBytes, blocks: arena.liveBlocks, outside: arena.outsideBytes }).toEqual(accounted(hash))
      hash.free()
      expect([arena.liveBytes, arena.liveBlocks, arena.outsideBytes]).toEqual([0, 0, 0])
    }),
    { numRuns: 60 },
  )
  const forms = [Kind.HashPacked, Kind.HashDict, Kind.HashWide].map((kind) => `${kind} without times`)
  for (const kind of [Kind.HashTimed, Kind.HashDict]) forms.push(`${kind} with times`)
  expect([...kinds]).toEqual(expect.arrayContaining(forms))
}, 60_000)

/** A table with so many fields, each of which expires at START_MS + its number. */
function timedTable(arena: Arena, count: number): HashView {
  const hash = new HashView(arena, 99)
  hash.create()
  hash.becomeDict()
  for (let n = 0; n < count; n++) {
    set(hash, `f${n}`, String(n))
    hash.setTime(bytes(`f${n}`), 0, String(n).length + 1, START_MS + n)
  }
  return hash
}

test('a clone has the same times, and neither is changed by the other', () => {
  const arena = new Arena()
  const hash = timedTable(arena, 20)
  const copy = new HashView(arena, 99)
  copy.openDict(hash.dict!.clone())
  copy.setTime(bytes('f3'), 0, 2, NO_EXPIRE)
  hash.remove(bytes('f5'), 0, 2)
  expect([hash.fieldTime(bytes('f3'), 0, 2), copy.fieldTime(bytes('f3'), 0, 2)]).toEqual([START_MS + 3, NO_EXPIRE])
  expect([hash.fieldTime(bytes('f5'), 0, 2), copy.fieldTime(bytes('f5'), 0, 2)]).toEqual([NO_FIELD, START_MS + 5])
  hash.free()
  copy.free()
  expect([arena.liveBlocks, arena.outsideBytes]).toEqual([0, 0])
})

test('times of a table over several chunks follow their rows, and give back what they took', () => {
  const arena = new Arena()
  const hash = timedTable(arena, 40_000)
  let last = 0
  expect(hash.removeExpired(START_MS + 19_999, UNLIMITED, (name) => (last = Number(name.text().slice(1))))).toBe(20_000)
  expect([last, hash.size(), hash.nextTime()]).toEqual([19_999, 20_000, START_MS + 20_000])
  for (let n = 20_000; n < 40_000; n += 1111) {
    expect(hash.fieldTime(bytes(`f${n}`), 0, 6)).toBe(START_MS + n)
  }
  hash.free()
  expect([arena.liveBlocks, arena.outsideBytes]).toEqual([0, 0])
})

test('the walk of a snapshot delivers the times that were there when it began', () => {
  const arena = new Arena()
  const hash = timedTable(arena, 300)
  const dict = hash.dict!
  const delivered = new Map<string, number>()
  const deliver = (name: number, time: number): void => {
    delivered.set(arena.text(name), time)
  }
  const never = (): void => {
    throw new Error('A hash has only fields')
  }
  const sink = {
    field: (name: number, _: number, time: number) => deliver(name, time),
    member: never,
    scored: never,
    node: never,
    block: never,
  }
  const walk = dict.beginWalk(sink)
  walk.step(sink, 1000)
  for (let n = 0; n < 300; n += 2) hash.setTime(bytes(`f${n}`), 0, `f${n}`.length, START_MS + 1_000_000)
  set(hash, 'f1', 'new')
  hash.remove(bytes('f7'), 0, 2)
  hash.removeExpired(START_MS + 99, UNLIMITED, () => {})
  dict.free()
  while (!walk.step(sink, 1000));
  expect(delivered.size).toBe(300)
  for (let n = 0; n < 300; n++) expect(delivered.get(`f${n}`)).toBe(START_MS + n)
  expect([arena.liveBlocks, arena.outsideBytes]).toEqual([0, 0])
})
