/** Random commands on a few hashes whose fields expire, against a model: what is left, and what the databases know of it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { expireDue } from '../../../src/keyspace/field-expiry.ts'
import { CommandBench } from '../command-bench.ts'

const START_MS = 1_700_000_000_000
/** Keys of both databases; clients are in the first one. */
const KEYS = ['a', 'b', 'c', 'd'] as const
const FIELDS = ['x', 'y', 'z', '7', 'long '.repeat(20)] as const

/** Fields of a hash with their expire times, null for none. */
type ModelHash = Map<string, number | null>
type ModelDb = Map<string, ModelHash>

const key = fc.constantFrom(...KEYS)
const field = fc.constantFrom(...FIELDS)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ command: fc.constant('HSET'), key, field }) },
  {
    weight: 8,
    arbitrary: fc.record({ command: fc.constant('HPEXPIRE'), key, field, ms: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ command: fc.constant('HPERSIST'), key, field }) },
  { weight: 2, arbitrary: fc.record({ command: fc.constant('HDEL'), key, field }) },
  { weight: 1, arbitrary: fc.record({ command: fc.constantFrom('DEL', 'UNLINK', 'SET', 'MOVE'), key }) },
  { weight: 2, arbitrary: fc.record({ command: fc.constantFrom('RENAME', 'COPY'), key, other: key }) },
  { weight: 1, arbitrary: fc.record({ command: fc.constant('SWAPDB') }) },
  { weight: 4, arbitrary: fc.record({ command: fc.constant('PASS'), ms: fc.integer({ min: 1, max: 8 }) }) },
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

class Model {
  now = START_MS
  dbs: [ModelDb, ModelDb] = [new Map(), new Map()]

  apply(given: Step): void {
    const db = this.dbs[0]
    const { command } = given
    if (command === 'SWAPDB') this.dbs.reverse()
    if (command === 'PASS' && 'ms' in given) this.pass(given.ms)
    if (!('key' in given)) return
    const hash = db.get(given.key)
    if ('field' in given) this.changeField(given.command, db, given)
    else if ('other' in given) {
      if (hash === undefined || given.key === given.other) return
      if (command === 'RENAME') db.delete(given.key)
      db.set(given.other, new Map(hash))
    } else if (command === 'MOVE') {
      if (hash === undefined || this.dbs[1].has(given.key)) return
      db.delete(given.key)
      this.dbs[1].set(given.key, hash)
    } else db.delete(given.key)
  }

  private changeField(command: string, db: ModelDb, given: Extract<Step, { field: string }>): void {
    const hash = db.get(given.key)
    if (command === 'HSET') db.set(given.key, (hash ?? new Map()).set(given.field, null))
    if (hash === undefined || !hash.has(given.field)) return
    if (command === 'HPEXPIRE' && 'ms' in given) hash.set(given.field, this.now + given.ms)
    if (command === 'HPERSIST') hash.set(given.field, null)
    if (command === 'HDEL') hash.delete(given.field)
    if (hash.size === 0) db.delete(given.key)
  }

  private pass(ms: number): void {
    this.now += ms
    for (const db of this.dbs) {
      for (const [name, hash] of db) {
        for (const [fieldName, time] of hash) if (time !== null && time <= this.now) hash.delete(fieldName)
        if (hash.size === 0) db.delete(name)
      }
    }
  }
}

function run(bench: CommandBench, given: Step): void {
  const { command } = given
  if (command === 'PASS' && 'ms' in given) {
    bench.pass(given.ms)
    for (const db of bench.keyspace.databases) while (expireDue(db, bench.ctx.hash, 2) === 2);
  } else if (command === 'SWAPDB') bench.call('SWAPDB', '0', '1')
  else if (!('key' in given)) throw new Error(`No step ${command}`)
  else if ('ms' in given) bench.call(command, given.key, String(given.ms), 'FIELDS', '1', given.field)
  else if (command === 'HPERSIST' && 'field' in given) bench.call(command, given.key, 'FIELDS', '1', given.field)
  else if ('field' in given) bench.call(command, given.key, given.field, ...(command === 'HSET' ? ['value'] : []))
  else if ('other' in given) bench.call(command, given.key, given.other, ...(command === 'COPY' ? ['REPLACE'] : []))
  else if (command === 'SET') {
    // A value of another kind takes the place of the hash, and goes.
    bench.call('SET', given.key, 'string')
    bench.call('DEL', given.key)
  } else bench.call(command, given.key, ...(command === 'MOVE' ? ['1'] : []))
}

/** Fields with their times of all keys of the first database, in a fixed order. */
function contentOf(bench: CommandBench): string[] {
  return KEYS.flatMap((name) => {
    const names = [...(bench.call('HKEYS', name) as string[])].sort()
    const times =
      names.length === 0 ? [] : (bench.call('HPEXPIRETIME', name, 'FIELDS', String(names.length), ...names) as number[])
    return names.map((fieldName, i) => `${name} ${fieldName} ${times[i]}`)
  })
}

function contentOfModel(db: ModelDb): string[] {
  return KEYS.flatMap((name) =>
    [...(db.get(name) ?? [])]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([fieldName, time]) => `${name} ${fieldName} ${time ?? -1}`),
  )
}

test.each([
  ['packed', 512],
  ['a table', 0],
])(
  'random commands on hashes that are %s leave what a model has',
  (_form, entriesMax) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const bench = new CommandBench([hashCommands, stringCommands, genericCommands])
        Object.assign(bench.keyspace.limits, { hashMaxListpackEntries: entriesMax })
        const model = new Model()
        for (const given of steps) {
          model.apply(given)
          run(bench, given)
          bench.keyspace.databases.forEach((db, i) => {
            const times = [...model.dbs[i]!.values()].map((hash) => [...hash.values()].filter((time) => time !== null))
            const timed = times.filter((all) => all.length > 0)
            expect([db.size, db.fieldExpires.size]).toEqual([model.dbs[i]!.size, timed.length])
            expect(db.fieldExpires.firstTime()).toBe(Math.min(...timed.flat()))
          })
          expect(contentOf(bench)).toEqual(contentOfModel(model.dbs[0]))
        }
        const [held, accounted] = bench.accounts()
        expect(held).toEqual(accounted)
        bench.call('FLUSHALL')
        expect(bench.keyspace.databases.map((db) => db.fieldExpires.size)).toEqual([0, 0])
      }),
      { numRuns: 40 },
    )
  },
  60_000,
)
