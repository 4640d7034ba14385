/** The commands of sets: replies, errors in their order, events, effects, encodings and accounting. */
import { beforeEach, expect, test } from 'vitest'
import { setCommands } from '../../../src/commands/set/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const SYNTAX_ERROR = '-ERR syntax error'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([setCommands, stringCommands])
})

/** Members of a reply of SMEMBERS or its like, sorted. */
function sorted(reply: unknown): string[] {
  return [...(reply as string[])].sort()
}

function texts(count: number, prefix = ''): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`)
}

/** One set of each encoding: intset, packed, SetDict. */
const SIZES: readonly [string, string[]][] = [
  ['intset', texts(10)],
  ['listpack', texts(10, 'm')],
  ['hashtable', texts(300, 'm')],
]

test('SADD replies how many members are new, and adding none is no change', () => {
  expect(bench.call('SADD', 's', 'a', 'b', 'a')).toBe(2)
  expect(bench.call('SADD', 's', 'b', 'c')).toBe(1)
  expect(bench.takeEvents()).toEqual(['sadd s', 'sadd s'])
  expect(bench.takeEffects()).toEqual(['SELECT 0', 'SADD s a b a', 'SADD s b c'])
  expect(bench.call('SADD', 's', 'b', 'c')).toBe(0)
  expect([bench.takeEvents(), bench.takeEffects()]).toEqual([[], []])
})

test('reading commands see a missing key as an empty set', () => {
  expect(bench.wire('SMEMBERS', 's')).toBe('*0\r\n')
  expect(bench.call('SCARD', 's')).toBe(0)
  expect(bench.call('SISMEMBER', 's', 'a')).toBe(0)
  expect(bench.call('SMISMEMBER', 's', 'a', 'b')).toEqual([0, 0])
  expect(bench.call('SREM', 's', 'a')).toBe(0)
  expect(bench.wire('SPOP', 's')).toBe('$-1\r\n')
  expect(bench.wire('SPOP', 's', '2')).toBe('*0\r\n')
  expect(bench.wire('SRANDMEMBER', 's')).toBe('$-1\r\n')
  expect(bench.wire('SRANDMEMBER', 's', '2')).toBe('*0\r\n')
  expect(bench.call('SSCAN', 's', '0', 'any', 'thing')).toEqual(['0', []])
  expect(bench.call('SINTERCARD', '1', 's')).toBe(0)
  bench.speak(3)
  expect(bench.wire('SMEMBERS', 's')).toBe('~0\r\n')
  expect(bench.wire('SPOP', 's')).toBe('_\r\n')
  expect(bench.wire('SPOP', 's', '2')).toBe('~0\r\n')
  expect(bench.wire('SRANDMEMBER', 's', '2')).toBe('*0\r\n')
  expect(bench.wire('SINTER', 's', 't')).toBe('~0\r\n')
  expect(bench.takeEffects()).toEqual([])
})

test('every command refuses a key of another type', () => {
  bench.call('SET', 'x', 'text')
  bench.call('SADD', 's', 'a')
  for (const words of [
    'SADD x a',
    'SREM x a',
    'SMEMBERS x',
    'SCARD x',
    'SISMEMBER x a',
    'SMISMEMBER x a',
    'SPOP x',
    'SPOP x 0',
    'SRANDMEMBER x',
    'SRANDMEMBER x 0',
    'SMOVE x s a',
    'SMOVE s x a',
    'SMOVE s x none',
    'SINTER none x',
    'SINTERSTORE d none x',
    'SINTERCARD 2 none x',
    'SUNION none x',
    'SUNIONSTORE d x',
    'SDIFF none x',
    'SDIFFSTORE d none x',
    'SSCAN x 0 nonsense',
  ]) {
    expect([words, bench.call(...words.split(' '))]).toEqual([words, WRONGTYPE])
  }
  expect(bench.call('SMOVE', 'none', 'x', 'a')).toBe(0)
})

test('SREM counts the members that were there and deletes the set with its last member', () => {
  bench.call('SADD', 's', 'a', 'b', '3')
  bench.takeEvents()
  bench.takeEffects()
  expect(bench.call('SREM', 's', 'a', 'a', 'x')).toBe(1)
  expect(bench.call('SREM', 's', 'x')).toBe(0)
  expect(bench.call('SREM', 's', '3', 'b', 'y')).toBe(2)
  expect(bench.takeEvents()).toEqual(['srem s', 'srem s', 'del s'])
  expect(bench.takeEffects()).toEqual(['SREM s a a x', 'SREM s 3 b y'])
  expect(bench.encoding('s')).toBe('none')
})

test('SMEMBERS, SISMEMBER and SMISMEMBER agree in every encoding', () => {
  for (const [encoding, members] of SIZES) {
    bench.call('SADD', encoding, ...members)
    expect(bench.encoding(encoding)).toBe(encoding)
    expect(sorted(bench.call('SMEMBERS', encoding))).toEqual([...members].sort())
    expect(bench.call('SCARD', encoding)).toBe(members.length)
    expect(bench.call('SISMEMBER', encoding, members[3] ?? '')).toBe(1)
    expect(bench.call('SMISMEMBER', encoding, 'x', members[0] ?? '', '999')).toEqual([0, 1, 0])
  }
  bench.speak(3)
  expect(bench.call('SMEMBERS', 'intset')).toEqual({ set: texts(10) })
})

test('SMOVE moves a member, says so on both keys, and deletes an empty source', () => {
  bench.call('SADD', 'a', '1', 'x')
  bench.call('SADD', 'b', '2')
  bench.takeEvents()
  expect(bench.call('SMOVE', 'a', 'b', 'none')).toBe(0)
  expect(bench.takeEvents()).toEqual([])
  expect(bench.call('SMOVE', 'a', 'b', 'x')).toBe(1)
  expect(bench.takeEvents()).toEqual(['srem a', 'sadd b'])
  expect(bench.call('SMOVE', 'a', 'c', '1')).toBe(1)
  expect(bench.takeEvents()).toEqual(['srem a', 'del a', 'sadd c'])
  expect([bench.encoding('a'), bench.encoding('b'), bench.encoding('c')]).toEqual(['none', 'listpack', 'intset'])
  bench.call('SADD', 'b', '1')
  bench.takeEvents()
  expect(bench.call('SMOVE', 'c', 'b', '1')).toBe(1)
  expect(bench.takeEvents()).toEqual(['srem c', 'del c'])
  bench.takeEffects()
  expect(bench.call('SMOVE', 'b', 'b', '1')).toBe(1)
  expect(bench.call('SMOVE', 'b', 'b', 'none')).toBe(0)
  expect(bench.takeEffects()).toEqual([])
})

test('SPOP removes a random member and is recorded as SREM of it', () => {
  for (const [encoding, members] of SIZES) {
    bench.call('SADD', encoding, ...members)
    bench.takeEvents()
    bench.takeEffects()
    const popped = bench.call('SPOP', encoding) as string
    expect(members).toContain(popped)
    expect(bench.call('SISMEMBER', encoding, popped)).toBe(0)
    expect(bench.call('SCARD', encoding)).toBe(members.length - 1)
    expect(bench.takeEvents()).toEqual([`spop ${encoding}`])
    expect(bench.takeEffects()).toEqual([`SREM ${encoding} ${popped}`])
  }
})

test('SPOP of the last member deletes the set and is still recorded as SREM', () => {
  bench.call('SADD', 's', '7')
  bench.takeEvents()
  bench.takeEffects()
  expect(bench.call('SPOP', 's')).toBe('7')
  expect(bench.takeEvents()).toEqual(['spop s', 'del s'])
  expect(bench.takeEffects()).toEqual(['SREM s 7'])
  expect(bench.encoding('s')).toBe('none')
})

test('SPOP with a count removes that many, recorded as SREM, and all of them as DEL', () => {
  for (const [encoding, members] of SIZES) {
    bench.call('SADD', encoding, ...members)
    bench.takeEffects()
    bench.takeEvents()
    const popped = bench.call('SPOP', encoding, '4') as string[]
    expect(new Set(popped).size).toBe(4)
    expect(bench.takeEffects()).toEqual([`SREM ${encoding} ${popped.join(' ')}`])
    const left = bench.call('SMEMBERS', encoding) as string[]
    expect([...left, ...popped].sort()).toEqual([...members].sort())
    expect(bench.takeEvents()).toEqual([`spop ${encoding}`])
    expect(bench.call('SPOP', encoding, '0')).toEqual([])
    expect(bench.takeEffects()).toEqual([])
    expect(sorted(bench.call('SPOP', encoding, '9999'))).toEqual([...left].sort())
    expect(bench.takeEffects()).toEqual([`DEL ${encoding}`])
    expect(bench.takeEvents()).toEqual([`spop ${encoding}`, `del ${encoding}`])
    expect(bench.encoding(encoding)).toBe('none')
  }
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('SPOP of very many members is recorded in calls of 1024, framed as one unit', () => {
  bench.call('SADD', 's', ...texts(3000, 'm'))
  bench.takeEffects()
  const popped = bench.call('SPOP', 's', '2100') as string[]
  const effects = bench.takeEffects()
  expect(effects.map((effect) => effect.split(' ').length)).toEqual([1, 1026, 1026, 54, 1])
  expect([effects[0], effects[4]]).toEqual(['MULTI', 'EXEC'])
  const recorded = effects.slice(1, 4).flatMap((effect) => effect.split(' ').slice(2))
  expect(recorded).toEqual(popped)
})

test('SPOP that leaves little of a big set gives the rest the packed encoding, if it fits', () => {
  bench.call('SADD', 's', ...texts(300, 'm'))
  expect(bench.call('SPOP', 's', '200')).toHaveLength(200)
  expect(bench.encoding('s')).toBe('hashtable')
  expect(bench.call('SPOP', 's', '90')).toHaveLength(90)
  expect(bench.encoding('s')).toBe('listpack')
  expect(bench.call('SCARD', 's')).toBe(10)
  bench.call('SADD', 'long', ...texts(300, 'x'.repeat(65)))
  bench.call('SPOP', 'long', '290')
  expect(bench.encoding('long')).toBe('hashtable')
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('SPOP checks the syntax, the count and the type, in this order', () => {
  bench.call('SET', 'x', 'text')
  expect(bench.call('SPOP', 'x', '1', '2')).toBe(SYNTAX_ERROR)
  expect(bench.call('SPOP', 'x', '-1')).toBe('-ERR value is out of range, must be positive')
  expect(bench.call('SPOP', 'x', 'many')).toBe('-ERR value is out of range, must be positive')
  expect(bench.call('SPOP', 'x', '1')).toBe(WRONGTYPE)
})

test('SRANDMEMBER replies different members for a positive count and repeats them for a negative one', () => {
  for (const [encoding, members] of SIZES) {
    bench.call('SADD', encoding, ...members)
    for (const wish of [1, 3, members.length - 1, members.length, members.length + 5]) {
      const reply = bench.call('SRANDMEMBER', encoding, String(wish)) as string[]
      expect(reply).toHaveLength(Math.min(wish, members.length))
      expect(new Set(reply).size).toBe(reply.length)
      for (const member of reply) expect(members).toContain(member)
    }
    const repeated = bench.call('SRANDMEMBER', encoding, String(-20 * members.length)) as string[]
    expect(repeated).toHaveLength(20 * members.length)
    expect(new Set(repeated)).toEqual(new Set(members))
    expect(bench.call('SRANDMEMBER', encoding, '0')).toEqual([])
    expect(members).toContain(bench.call('SRANDMEMBER', encoding))
    expect(bench.call('SCARD', encoding)).toBe(members.length)
  }
})

test('SRANDMEMBER checks the syntax, the count and the type, in this order', () => {
  bench.call('SET', 'x', 'text')
  expect(bench.call('SRANDMEMBER', 'x', '1', '2')).toBe(SYNTAX_ERROR)
  expect(bench.call('SRANDMEMBER', 'x', 'many')).toBe(NOT_AN_INTEGER)
  expect(bench.call('SRANDMEMBER', 'x', '-9223372036854775808')).toBe(
    '-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807',
  )
  bench.call('SADD', 's', 'a')
  expect(bench.call('SRANDMEMBER', 's', '-9223372036854775807')).toBe('-ERR value is out of range')
})

test('SINTER, SUNION and SDIFF combine sets of all encodings', () => {
  bench.call('SADD', 'ints', '1', '2', '3', '4')
  bench.call('SADD', 'mixed', '2', '3', 'x', 'y')
  bench.call('SADD', 'big', ...texts(300), 'x')
  expect(sorted(bench.call('SINTER', 'ints', 'mixed', 'big'))).toEqual(['2', '3'])
  expect(sorted(bench.call('SINTER', 'mixed', 'mixed'))).toEqual(['2', '3', 'x', 'y'])
  expect(bench.call('SINTER', 'ints', 'none')).toEqual([])
  expect(sorted(bench.call('SUNION', 'ints', 'none', 'mixed'))).toEqual(['1', '2', '3', '4', 'x', 'y'])
  expect(bench.call('SUNION', 'big', 'ints')).toHaveLength(301)
  expect(sorted(bench.call('SDIFF', 'mixed', 'ints'))).toEqual(['x', 'y'])
  expect(sorted(bench.call('SDIFF', 'mixed', 'big'))).toEqual(['y'])
  expect(bench.call('SDIFF', 'ints', 'none', 'ints')).toEqual([])
  expect(bench.call('SDIFF', 'none', 'ints')).toEqual([])
  expect(sorted(bench.call('SDIFF', 'big', 'ints', 'mixed', 'none'))).toHaveLength(296)
  bench.speak(3)
  expect(bench.call('SINTER', 'ints', 'mixed')).toEqual({ set: ['2', '3'] })
  expect(bench.call('SUNION', 'ints')).toEqual({ set: ['1', '2', '3', '4'] })
  expect(bench.call('SDIFF', 'ints', 'mixed')).toEqual({ set: ['1', '4'] })
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('SDIFF gives the same by looking up and by removing', () => {
  bench.call('SADD', 'many', ...texts(1000, 'm'))
  for (let n = 0; n < 8; n++) bench.call('SADD', `few${n}`, `m${n}`, `m${n + 100}`, 'other')
  const names = texts(8, 'few')
  const expected = texts(1000, 'm').filter((_, n) => n % 100 >= 8 || n >= 200)
  expect(sorted(bench.call('SDIFF', 'many', ...names))).toEqual([...expected].sort())
  expect(sorted(bench.call('SDIFF', 'few0', 'many'))).toEqual(['other'])
})

test('the STORE forms replace the destination whatever it held, without its expire time', () => {
  bench.call('SADD', 'a', '1', '2', '3')
  bench.call('SADD', 'b', '2', '3', 'x')
  bench.call('SET', 'd', 'text')
  bench.expireAt('d', bench.ctx.now + 1000)
  bench.takeEvents()
  bench.takeEffects()
  expect(bench.call('SINTERSTORE', 'd', 'a', 'b')).toBe(2)
  expect([bench.encoding('d'), bench.expireTime('d')]).toEqual(['intset', -1])
  expect(bench.call('SUNIONSTORE', 'd', 'a', 'b')).toBe(4)
  expect(bench.encoding('d')).toBe('listpack')
  expect(bench.call('SDIFFSTORE', 'd', 'd', 'b')).toBe(1)
  expect(bench.call('SMEMBERS', 'd')).toEqual(['1'])
  expect(bench.takeEvents()).toEqual(['sinterstore d', 'sunionstore d', 'sdiffstore d'])
  expect(bench.takeEffects()).toEqual(['SINTERSTORE d a b', 'SUNIONSTORE d a b', 'SDIFFSTORE d d b'])
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('the STORE forms delete the destination for an empty result, and change nothing without one', () => {
  for (const command of ['SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE']) {
    bench.call('SET', 'd', 'text')
    bench.takeEvents()
    bench.takeEffects()
    expect(bench.call(command, 'd', 'none', 'void')).toBe(0)
    expect(bench.takeEvents()).toEqual(['del d'])
    expect(bench.takeEffects()).toEqual([`${command} d none void`])
    expect(bench.call(command, 'd', 'none', 'void')).toBe(0)
    expect([bench.takeEvents(), bench.takeEffects()]).toEqual([[], []])
  }
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('SINTERSTORE chooses the smallest encoding that the result fits', () => {
  bench.call('SADD', 'big', ...texts(600), 'x')
  bench.call('SADD', 'other', ...texts(600), 'y')
  bench.call('SADD', 'few', '1', '2', 'x')
  bench.call('SINTERSTORE', 'd', 'big', 'other')
  expect(bench.encoding('d')).toBe('hashtable')
  bench.call('SINTERSTORE', 'd', 'few', 'other')
  expect(bench.encoding('d')).toBe('intset')
  bench.call('SINTERSTORE', 'd', 'few', 'big')
  expect(bench.encoding('d')).toBe('listpack')
})

test('SINTERCARD counts up to its limit', () => {
  bench.call('SADD', 'a', ...texts(10))
  bench.call('SADD', 'b', ...texts(8))
  expect(bench.call('SINTERCARD', '2', 'a', 'b')).toBe(8)
  expect(bench.call('SINTERCARD', '2', 'a', 'b', 'LIMIT', '3')).toBe(3)
  expect(bench.call('SINTERCARD', '2', 'a', 'b', 'limit', '0')).toBe(8)
  expect(bench.call('SINTERCARD', '2', 'a', 'b', 'LIMIT', '10')).toBe(8)
})

test('SINTERCARD checks numkeys, then its options, then the keys', () => {
  bench.call('SET', 'x', 'text')
  const numkeys = '-ERR numkeys should be greater than 0'
  expect(bench.call('SINTERCARD', '0', 'x')).toBe(numkeys)
  expect(bench.call('SINTERCARD', 'a', 'x')).toBe(numkeys)
  expect(bench.call('SINTERCARD', '2', 'x')).toBe("-ERR Number of keys can't be greater than number of args")
  expect(bench.call('SINTERCARD', '1', 'x', 'LIMIT')).toBe(SYNTAX_ERROR)
  expect(bench.call('SINTERCARD', '1', 'x', 'LIMITS', '1')).toBe(SYNTAX_ERROR)
  expect(bench.call('SINTERCARD', '1', 'x', 'LIMIT', '-1')).toBe("-ERR LIMIT can't be negative")
  expect(bench.call('SINTERCARD', '1', 'x', 'LIMIT', 'a')).toBe("-ERR LIMIT can't be negative")
  expect(bench.call('SINTERCARD', '1', 'x', 'LIMIT', '1')).toBe(WRONGTYPE)
})

test('SSCAN returns small sets whole and walks a big one, with MATCH', () => {
  for (const [encoding, members] of SIZES) {
    bench.call('SADD', encoding, ...members)
    const met: string[] = []
    let cursor = '0'
    do {
      const [next, found] = bench.call('SSCAN', encoding, cursor, 'COUNT', '7') as [string, string[]]
      met.push(...found)
      cursor = next
    } while (cursor !== '0')
    expect(met.sort()).toEqual([...members].sort())
  }
  expect(bench.call('SSCAN', 'intset', '0', 'MATCH', '[1-3]', 'COUNT', '1')).toEqual(['0', ['1', '2', '3']])
  const [, found] = bench.call('SSCAN', 'hashtable', '0', 'MATCH', 'm12?', 'COUNT', '1000') as [string, string[]]
  expect(found.sort()).toEqual(texts(10, 'm12'))
})

test('SSCAN checks the cursor, then the type, then the options', () => {
  bench.call('SET', 'x', 'text')
  bench.call('SADD', 's', 'a')
  expect(bench.call('SSCAN', 'x', 'cursor')).toBe('-ERR invalid cursor')
  expect(bench.call('SSCAN', 's', '0', 'COUNT', '0')).toBe(SYNTAX_ERROR)
  expect(bench.call('SSCAN', 's', '0', 'COUNT')).toBe(SYNTAX_ERROR)
  expect(bench.call('SSCAN', 's', '0', 'TYPE', 'set')).toBe(SYNTAX_ERROR)
})

test('SADD chooses and changes encodings by the rules of Redis 7.2', () => {
  bench.call('SADD', 'ints', ...texts(512))
  expect(bench.encoding('ints')).toBe('intset')
  bench.call('SADD', 'ints', '512')
  expect(bench.encoding('ints')).toBe('hashtable')
  bench.call('SADD', 'mixed', ...texts(127))
  bench.call('SADD', 'mixed', 'x')
  expect(bench.encoding('mixed')).toBe('listpack')
  bench.call('SADD', 'mixed', 'y')
  expect(bench.encoding('mixed')).toBe('hashtable')
  bench.call('SADD', 'full', ...texts(128))
  bench.call('SADD', 'full', 'x')
  expect(bench.encoding('full')).toBe('hashtable')
  bench.call('SADD', 'hint', ...texts(129, 'm'))
  expect(bench.encoding('hint')).toBe('hashtable')
  bench.call('SADD', 'long', 'x'.repeat(64))
  expect(bench.encoding('long')).toBe('listpack')
  bench.call('SADD', 'long', 'x'.repeat(65))
  expect(bench.encoding('long')).toBe('hashtable')
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('an expired set is gone, and SADD makes a new one without expire time', () => {
  bench.call('SADD', 's', 'a')
  bench.expireAt('s', bench.ctx.now + 10)
  bench.pass(11)
  expect(bench.call('SMEMBERS', 's')).toEqual([])
  expect(bench.call('SADD', 's', 'b')).toBe(1)
  expect([bench.call('SMEMBERS', 's'), bench.expireTime('s')]).toEqual([['b'], -1])
})
