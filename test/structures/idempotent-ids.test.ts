/** IdempotentIds against a model: a list of what was recorded, in order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { IdempotencyKey, IdempotentIds } from '../../src/structures/idempotent-ids.ts'
import { StreamId } from '../../src/structures/stream-id.ts'

interface Remembered {
  readonly producer: string
  readonly name: string
  readonly ms: number
}

const SEED = 0x1234567
const START_MS = 1_700_000_000_000

/** What is remembered, oldest first, as the rules say it. */
class Model {
  list: Remembered[] = []
  durationMs: number
  maxSize: number

  constructor(durationSeconds: number, maxSize: number) {
    this.durationMs = durationSeconds * 1000
    this.maxSize = maxSize
  }

  find(producer: string, name: string, now: number): number | null {
    const found = this.list.find((record) => record.producer === producer && record.name === name)
    return found === undefined || found.ms + this.durationMs <= now ? null : found.ms
  }

  record(producer: string, name: string, now: number): void {
    this.list = this.list.filter(({ ms }) => ms + this.durationMs > now)
    this.list.push({ producer, name, ms: now })
    const own = this.list.filter((record) => record.producer === producer)
    if (own.length > this.maxSize) this.list.splice(this.list.indexOf(own[0]!), 1)
  }
}

const key = new IdempotencyKey()
const id = new StreamId()

function keyOf(producer: string, name: string): IdempotencyKey {
  key.setProducer(Buffer.from(producer, 'latin1'), 0, producer.length)
  key.setId(Buffer.from(`..${name}`, 'latin1'), 2, name.length)
  return key
}

function found(ids: IdempotentIds, producer: string, name: string, now: number): number | null {
  return ids.find(keyOf(producer, name), now, id) ? (id.msHigh >>> 0) * 2 ** 32 + (id.msLow >>> 0) : null
}

function accounts(arena: Arena, ...held: IdempotentIds[]): [object, object] {
  const sum = (of: (ids: IdempotentIds) => number): number => held.reduce((total, ids) => total + of(ids), 0)
  return [
    { bytes: arena.liveBytes, blocks: arena.liveBlocks, outside: arena.outsideBytes },
    {
      bytes: sum((ids) => ids.arenaBytes()),
      blocks: sum((ids) => ids.arenaBlocks()),
      outside: sum((ids) => ids.overheadBytes()),
    },
  ]
}

describe('idempotent IDs', () => {
  test('are those of the model after any sequence of records, pauses and settings', () => {
    const producer = fc.integer({ min: 0, max: 3 })
    const name = fc.integer({ min: 0, max: 12 })
    const step = fc.oneof(
      { weight: 12, arbitrary: fc.record({ kind: fc.constant('add' as const), producer, name }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 900 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('configure' as const),
          duration: fc.integer({ min: 1, max: 3 }),
          maxSize: fc.integer({ min: 1, max: 6 }),
        }),
      },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const arena = new Arena()
        const ids = new IdempotentIds(arena, SEED, 2, 4)
        const model = new Model(2, 4)
        let now = START_MS
        for (const step of steps) {
          if (step.kind === 'pass') now += step.ms
          else if (step.kind === 'configure') {
            ids.configure(step.duration, step.maxSize)
            if (model.durationMs !== step.duration * 1000 || model.maxSize !== step.maxSize) {
              Object.assign(model, new Model(step.duration, step.maxSize))
            }
          } else {
            const [from, what] = [`p${step.producer}`, `n${step.name}`]
            const known = model.find(from, what, now)
            expect(found(ids, from, what, now)).toBe(known)
            if (known !== null) continue
            id.set(now, 0)
            ids.record(keyOf(from, what), id, now)
            model.record(from, what, now)
            now++
          }
        }
        ids.removeExpired(now, 1000)
        model.list = model.list.filter(({ ms }) => ms + model.durationMs > now)
        const copy = ids.clone()
        for (const held of [ids, copy]) {
          const listed = [...held.entries()].map(({ producer, idempotentId, id }) => [
            producer,
            idempotentId,
            id.text(),
          ])
          expect(listed).toEqual(model.list.map(({ producer, name, ms }) => [producer, name, `${ms}-0`]))
          expect(held.size).toBe(model.list.length)
          expect(held.producerCount).toBe(new Set(model.list.map(({ producer }) => producer)).size)
        }
        const [held, accounted] = accounts(arena, ids, copy)
        expect(held).toEqual(accounted)
        ids.free()
        while (!copy.freeSome(3));
        copy.free()
        expect([arena.liveBytes, arena.liveBlocks, arena.outsideBytes]).toEqual([0, 0, 0])
      }),
      { numRuns: 150 },
    )
  })

  test('of one producer take no more than its size allows, however many come', () => {
    const arena = new Arena()
    const ids = new IdempotentIds(arena, SEED, 100, 50)
    let full = 0
    for (let i = 0; i < 5000; i++) {
      id.set(START_MS, i)
      ids.record(keyOf('p', `name ${String(i).padStart(6, '0')}`), id, START_MS)
      if (i === 500) full = arena.usedBytes
    }
    expect(ids.size).toBe(50)
    expect(arena.usedBytes).toBe(full)
    expect(found(ids, 'p', 'name 004949', START_MS)).toBe(null)
    expect(found(ids, 'p', 'name 004950', START_MS)).toBe(START_MS)
  })

  test('go when their time is over, as soon as others come', () => {
    const arena = new Arena()
    const ids = new IdempotentIds(arena, SEED, 10, 10_000)
    id.set(START_MS, 0)
    for (let i = 0; i < 600; i++) ids.record(keyOf(`producer ${i}`, 'n'), id, START_MS)
    expect(found(ids, 'producer 1', 'n', START_MS + 9999)).toBe(START_MS)
    expect(found(ids, 'producer 1', 'n', START_MS + 10_000)).toBe(null)
    expect([ids.size, ids.producerCount]).toEqual([600, 600])
    id.set(START_MS + 10_000, 0)
    for (let i = 0; i < 40; i++) ids.record(keyOf('late', `n${i}`), id, START_MS + 10_000)
    expect([ids.size, ids.producerCount]).toEqual([40, 1])
  })
})
