/** Random calls of string and key commands, answered by the bench and by a reference server alike. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { listCommands } from '../../../src/commands/list/index.ts'
import { setCommands } from '../../../src/commands/set/index.ts'
import { streamCommands } from '../../../src/commands/stream/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { hasReference } from '../../bytes/reference-server.ts'
import { smallTexts } from '../../structures/texts.ts'
import { CommandBench } from '../command-bench.ts'
import { ReferenceClient } from '../reference-client.ts'
import type { Reply } from '../resp-decode.ts'

const FAMILIES = [genericCommands, hashCommands, listCommands, setCommands, streamCommands, stringCommands]

const key = fc.constantFrom('a', 'b', 'c', 'd', 'n1', 'n2', 'list', 'set', 'hash', 'none')
const keys = fc.array(key, { minLength: 1, maxLength: 4 })
const value = fc.oneof(smallTexts, fc.constantFrom('0.1', '3.0e3', 'ohmytext', 'mynewtext', 'x'.repeat(45)))
const number = fc.oneof(
  fc.integer({ min: -20, max: 20 }).map(String),
  fc.constantFrom('x', '', '00', '9223372036854775807', '-9223372036854775808', '9223372036854775808'),
  fc.constantFrom('9007199254740991', '-9007199254740991', '9007199254740992', '4611686018427387904'),
)
const float = fc.constantFrom('0.1', '-2.5', '1e3', '3', 'inf', 'nan', '1e4932', '5.0e-1', '', ' 1', 'abc')
const offset = fc.oneof(fc.integer({ min: -12, max: 12 }).map(String), fc.constantFrom('x', '600', '536870912', '-1'))
/** Times of which it is certain whether they have passed. */
const lifetime = fc.constantFrom(
  '1000',
  '5000',
  '0',
  '-1',
  'x',
  '9223372036854775',
  '9223372036854775807',
  '-9999999999',
)
const longLife = fc.constantFrom('2000000', '5000000', '0', '-1', 'x', '9223372036854775807', '-9223372036854775808')
const seconds = fc.constantFrom('4102444800', '4202444800', '1', '0', '-1', '9223372036854776', '-9223372036854776')
const milliseconds = fc.constantFrom('4102444800123', '4202444800500', '1', '0', '-1', '9223372036854775808')
const time = fc.oneof(
  lifetime.map((text) => ['EX', text]),
  longLife.map((text) => ['px', text]),
  seconds.map((text) => ['EXAT', text]),
  milliseconds.map((text) => ['pxat', text]),
)
const conditions = fc.array(fc.constantFrom('NX', 'XX', 'GT', 'lt', 'zz'), { maxLength: 2 })
const setOptions = fc
  .array(fc.oneof(time, fc.constantFrom(['NX'], ['XX'], ['GET'], ['KEEPTTL'], ['PERSIST'], ['EX'])), { maxLength: 3 })
  .map((list) => list.flat())
const getexOptions = fc
  .array(fc.oneof(time, fc.constantFrom(['PERSIST'], ['KEEPTTL'], ['EX'])), { maxLength: 2 })
  .map((list) => list.flat())
const pairs = fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 3 }).map((list) => list.flat())
const lcsOptions = fc
  .array(fc.constantFrom(['LEN'], ['IDX'], ['WITHMATCHLEN'], ['MINMATCHLEN', '2'], ['MINMATCHLEN', 'x'], ['zz']), {
    maxLength: 3,
  })
  .map((list) => list.flat())
const copyOptions = fc
  .array(
    fc.constantFrom(['REPLACE'], ['DB', '1'], ['DB', '0'], ['DB', 'x'], ['DB', '100'], ['DB', '99999999999'], ['zz']),
    {
      maxLength: 2,
    },
  )
  .map((list) => list.flat())
const database = fc.constantFrom('0', '1', '-1', '100', 'x', '99999999999')
/** Not ALPHA with BY: what BY finds equal keeps the order of the collection, and a set has none. */
const sortOptions = fc
  .tuple(
    fc.constantFrom([], ['ALPHA'], ['alpha'], ['BY', 'n*'], ['BY', 'hash_*->f'], ['BY', 'has*->m1'], ['BY', 'n*->']),
    fc.array(
      fc.constantFrom(
        ['DESC'],
        ['ASC'],
        ['LIMIT', '1', '3'],
        ['LIMIT', '-3', '2'],
        ['LIMIT', '2', '-1'],
        ['LIMIT', '90', '2'],
        ['LIMIT', 'x', '2'],
        ['GET', '#'],
        ['GET', 'n*'],
        ['GET', 'has*->m1'],
        ['GET', 'fixed'],
        ['STORE', 'c'],
        ['STORE', 'list'],
        ['zz'],
      ),
      { maxLength: 4 },
    ),
  )
  .map(([first, list]) => [...first, ...list.flat()])
const scanOptions = fc
  .array(
    fc.constantFrom(['MATCH', '?'], ['MATCH', '*'], ['TYPE', 'string'], ['TYPE', 'LIST'], ['COUNT', '0'], ['TYPE']),
    {
      maxLength: 2,
    },
  )
  .map((list) => ['COUNT', '1000', ...list.flat()])

function command(name: string, ...parts: fc.Arbitrary<string | string[]>[]): fc.Arbitrary<string[]> {
  return fc.tuple(...parts).map((list) => [name, ...list.flat()])
}

const commands = fc.oneof(
  ...[
    command('SET', key, value),
    command('SET', key, value, setOptions),
    command('SET', key, value, setOptions),
    command('SETNX', key, value),
    command('SETEX', key, lifetime, value),
    command('PSETEX', key, longLife, value),
    command('GETSET', key, value),
    command('GET', key),
    command('GETDEL', key),
    command('GETEX', key, getexOptions),
    command('MGET', keys),
    command('MSET', pairs),
    command('MSETNX', pairs),
    command('MSET', pairs, key),
    command('APPEND', key, value),
    command('STRLEN', key),
    command('SETRANGE', key, offset, fc.constantFrom('', 'x', 'abc')),
    command('GETRANGE', key, offset, offset),
    command('SUBSTR', key, offset, offset),
    command('INCR', key),
    command('DECR', key),
    command('INCRBY', key, number),
    command('DECRBY', key, number),
    command('INCRBYFLOAT', key, float),
    command('LCS', key, key, lcsOptions),
    command('RPUSH', fc.constantFrom('list', 'b'), fc.array(value, { minLength: 1, maxLength: 5 })),
    command('SADD', fc.constantFrom('set', 'c'), fc.array(value, { minLength: 1, maxLength: 5 })),
    command('HSET', fc.constantFrom('hash', 'd'), pairs),
    command('DEL', keys),
    command('UNLINK', keys),
    command('EXISTS', keys),
    command('TOUCH', keys),
    command('TYPE', key),
    command('KEYS', fc.constantFrom('*', '?', 'n[12]', '', 'list')),
    command('SCAN', fc.constantFrom('0', 'x', ''), scanOptions),
    command('RENAME', key, key),
    command('RENAMENX', key, key),
    command('COPY', key, key, copyOptions),
    command('MOVE', key, database),
    command('EXPIRE', key, lifetime, conditions),
    command('PEXPIRE', key, longLife, conditions),
    command('EXPIREAT', key, seconds, conditions),
    command('PEXPIREAT', key, milliseconds, conditions),
    command('TTL', key),
    command('PTTL', key),
    command('EXPIRETIME', key),
    command('PEXPIRETIME', key),
    command('PERSIST', key),
    command(
      'OBJECT',
      fc.constantFrom('ENCODING', 'encoding', 'REFCOUNT', 'FREQ', 'zz'),
      fc.constantFrom('a', 'b', 'n1', 'none'),
    ),
    command('OBJECT', fc.constantFrom('ENCODING', 'FREQ', 'zz')),
    command('SORT', key, sortOptions),
    command('SORT_RO', key, sortOptions),
    command('DBSIZE'),
    command('SELECT', fc.constantFrom('x', '100', '-1', '99999999999')),
    command('SWAPDB', database, database),
    command('FLUSHDB', fc.constantFrom('zz', 'SYNC')),
    command('LRANGE', key, fc.constant(['0', '-1'])),
  ].map((arbitrary) => ({ weight: 1, arbitrary })),
)

const UNORDERED = new Set(['KEYS'])
const COLLECTION_ENCODINGS = new Set(['quicklist', 'listpack', 'hashtable', 'intset'])
const TIMES_LEFT = new Set(['TTL', 'PTTL'])
const TIMES = new Set(['EXPIRETIME', 'PEXPIRETIME'])
/** The earliest point in time among the arguments that lies in the future, in seconds. */
const FIXED_SECONDS_MIN = 4102444800

/** Names what cannot be equal, so that it is not compared. */
function normalized(words: readonly string[], reply: Reply): unknown {
  const name = words[0] ?? ''
  if (UNORDERED.has(name)) return (reply as string[]).toSorted()
  if (name === 'SCAN' && Array.isArray(reply)) return [reply[0], (reply[1] as string[]).toSorted()]
  // The reference's clock moves, so only points in time can be compared, and not those that a double cannot hold.
  if (TIMES_LEFT.has(name) && Number(reply) > 0) return 'left'
  const unit = name === 'EXPIRETIME' ? 1 : 1000
  if (TIMES.has(name) && typeof reply === 'bigint') return 'far'
  if (TIMES.has(name) && Number(reply) > 0 && Number(reply) < FIXED_SECONDS_MIN * unit) return 'soon'
  // Lists and sets have other encodings in 7.2 than in the reference, which is 7.0.
  if (COLLECTION_ENCODINGS.has(String(reply))) return 'collection'
  // Redis keeps the result of INCRBYFLOAT as text even when it is an integer.
  if (reply === 'embstr' || reply === 'int') return 'short string'
  return reply
}

describe.skipIf(!hasReference)('string and key commands beside a reference server', () => {
  let reference: ReferenceClient
  beforeAll(async () => {
    reference = await ReferenceClient.start()
  })
  afterAll(async () => {
    await reference.stop()
  })

  test('random calls have the same replies, and leave nothing behind in the arena', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(commands, { minLength: 20, maxLength: 120 }), async (calls) => {
        await reference.call('FLUSHALL')
        const bench = new CommandBench(FAMILIES)
        bench.pass(Date.now() - bench.ctx.now)
        for (const words of calls) {
          const theirs = normalized(words, await reference.call(...words))
          const ours = normalized(words, bench.call(...words))
          expect([words, ours]).toEqual([words, theirs])
        }
        const [held, accounted] = bench.accounts()
        expect(held).toEqual(accounted)
      }),
      { numRuns: 100 },
    )
  }, 120_000)
})
