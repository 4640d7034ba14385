/** Random calls of list commands, answered by the bench and by a reference server alike. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listCommands } from '../../../src/commands/list/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { hasReference } from '../../bytes/reference-server.ts'
import { smallTexts } from '../../structures/texts.ts'
import { CommandBench } from '../command-bench.ts'
import { ReferenceClient } from '../reference-client.ts'

const key = fc.constantFrom('a', 'b', 'c', 'none', 'text')
const element = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('x', 'y', 'z', '1', '2', '-7', '300') },
  { weight: 3, arbitrary: smallTexts },
  { weight: 1, arbitrary: fc.constantFrom(100, 3000, 9000).map((length) => 'w'.repeat(length)) },
)
const elements = fc.array(element, { minLength: 1, maxLength: 30 })
const index = fc.oneof(
  fc.integer({ min: -40, max: 40 }).map(String),
  fc.constantFrom('0', '-1', 'x', '', '9223372036854775807', '-9223372036854775808', '9223372036854775808', '1.0'),
)
const count = fc.oneof(fc.integer({ min: -2, max: 12 }).map(String), fc.constantFrom('x', '9223372036854775807'))
const side = fc.constantFrom('LEFT', 'RIGHT', 'left', 'Right', 'up')
// Never 0 or what rounds to it: the reference would block for ever. Redis 7.0 takes what is out of range for negative.
const timeout = fc.constantFrom('0.001', '1e-3', '-1', 'x', '-inf', '-0.5', '')
// Redis 7.0 accepts the least integer as a rank.
const rank = index.filter((text) => text !== '-9223372036854775808')
const posOptions = fc
  .array(
    fc.tuple(fc.constantFrom('RANK', 'COUNT', 'MAXLEN', 'rank', 'other'), rank).map((pair) => [...pair]),
    { maxLength: 3 },
  )
  .map((pairs) => pairs.flat())
const keyCount = fc.constantFrom('1', '2', '3', '0', 'x')
const keys = fc.array(key, { minLength: 1, maxLength: 3 })
const countOption = fc.constantFrom<string[]>([], ['COUNT', '3'], ['count', '0'], ['COUNT'], ['COUNT', '100'], ['more'])

function command(name: string, ...parts: fc.Arbitrary<string | string[]>[]): fc.Arbitrary<string[]> {
  return fc.tuple(...parts).map((list) => [name, ...list.flat()])
}

const commands = fc.oneof(
  { weight: 5, arbitrary: command('RPUSH', key, elements) },
  { weight: 5, arbitrary: command('LPUSH', key, elements) },
  { weight: 3, arbitrary: command('LINSERT', key, fc.constantFrom('BEFORE', 'after', 'by'), element, element) },
  { weight: 3, arbitrary: command('LRANGE', key, index, index) },
  { weight: 3, arbitrary: command('LMOVE', key, key, side, side) },
  ...[
    command('LPUSHX', key, elements),
    command('RPUSHX', key, elements),
    command('LPOP', key),
    command('RPOP', key),
    command('LPOP', key, count),
    command('RPOP', key, count),
    command('LPOP', key, count, count),
    command('LLEN', key),
    command('LINDEX', key, index),
    command('LSET', key, index, element),
    command('LTRIM', key, index, index),
    command('LREM', key, count, element),
    command('LPOS', key, element, posOptions),
    command('RPOPLPUSH', key, key),
    command('LMPOP', keyCount, keys, side, countOption),
    command('BLPOP', keys, timeout),
    command('BRPOP', keys, timeout),
    command('BLMOVE', key, key, side, side, timeout),
    command('BRPOPLPUSH', key, key, timeout),
    command('BLMPOP', timeout, keyCount, keys, side, countOption),
    command('LPUSH', key),
  ].map((arbitrary) => ({ weight: 1, arbitrary })),
)

describe.skipIf(!hasReference)('list commands beside a reference server', () => {
  let reference: ReferenceClient
  beforeAll(async () => {
    reference = await ReferenceClient.start()
  })
  afterAll(async () => {
    await reference.stop()
  })

  test.each([
    -2, -1, 1, 4, 128,
  ])('random calls have the same replies with list-max-listpack-size %i, and leave nothing behind in the arena', async (setting) => {
    await fc.assert(
      fc.asyncProperty(fc.array(commands, { minLength: 20, maxLength: 100 }), async (calls) => {
        await reference.call('FLUSHALL')
        const bench = new CommandBench([listCommands, stringCommands])
        bench.ctx.mayBlock = false
        bench.keyspace.limits.listMaxListpackSize = setting
        const whole = ['a', 'b', 'c'].map((name) => ['LRANGE', name, '0', '-1'])
        for (const words of [['SET', 'text', 'x'], ...calls, ...whole]) {
          expect([words, bench.call(...words)]).toEqual([words, await reference.call(...words)])
        }
        const [held, accounted] = bench.accounts()
        expect(held).toEqual(accounted)
      }),
      { numRuns: 30 },
    )
  }, 60_000)
})
