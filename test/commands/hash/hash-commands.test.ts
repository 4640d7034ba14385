/** The commands of hashes: replies, errors in their order, events, effects, encodings and accounting. */
import { beforeEach, expect, test } from 'vitest'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const SYNTAX_ERROR = '-ERR syntax error'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([hashCommands, stringCommands])
})

function fill(key: string, count: number): void {
  for (let n = 0; n < count; n++) bench.call('HSET', key, `f${n}`, String(n))
}

test('HSET replies how many fields are new and is recorded as it came', () => {
  expect(bench.call('HSET', 'h', 'a', '1', 'b', '2')).toBe(2)
  expect(bench.call('hset', 'h', 'a', '3', 'c', '')).toBe(1)
  expect(bench.call('HMGET', 'h', 'a', 'b', 'c', 'x')).toEqual(['3', '2', '', null])
  expect(bench.takeEvents()).toEqual(['hset h', 'hset h'])
  expect(bench.takeEffects()).toEqual(['SELECT 0', 'HSET h a 1 b 2', 'hset h a 3 c '])
})

test('HSET and HMSET refuse an odd number of fields and values with their own name, before the type', () => {
  bench.call('SET', 's', 'x')
  expect(bench.call('HSET', 's', 'a', '1', 'b')).toBe("-ERR wrong number of arguments for 'hset' command")
  expect(bench.call('HMSET', 's', 'a', '1', 'b')).toBe("-ERR wrong number of arguments for 'hmset' command")
  expect(bench.call('HSET', 's', 'a', '1')).toBe(WRONGTYPE)
})

test('HMSET replies OK', () => {
  expect(bench.wire('HMSET', 'h', 'a', '1', 'b', '2')).toBe('+OK\r\n')
  expect(bench.call('HLEN', 'h')).toBe(2)
})

test('HSETNX sets a field only when it is absent, and a kept field is no change', () => {
  expect(bench.call('HSETNX', 'h', 'a', '1')).toBe(1)
  bench.takeEffects()
  expect(bench.call('HSETNX', 'h', 'a', '2')).toBe(0)
  expect(bench.call('HGET', 'h', 'a')).toBe('1')
  expect(bench.takeEffects()).toEqual([])
})

test('reading commands see a missing key as an empty hash', () => {
  expect(bench.wire('HGET', 'h', 'a')).toBe('$-1\r\n')
  expect(bench.call('HMGET', 'h', 'a', 'b')).toEqual([null, null])
  expect(bench.wire('HGETALL', 'h')).toBe('*0\r\n')
  expect(bench.call('HKEYS', 'h')).toEqual([])
  expect(bench.call('HVALS', 'h')).toEqual([])
  expect(bench.call('HLEN', 'h')).toBe(0)
  expect(bench.call('HSTRLEN', 'h', 'a')).toBe(0)
  expect(bench.call('HEXISTS', 'h', 'a')).toBe(0)
  expect(bench.call('HDEL', 'h', 'a')).toBe(0)
  expect(bench.call('HSCAN', 'h', '5', 'any', 'thing')).toEqual(['0', []])
  expect(bench.wire('HRANDFIELD', 'h')).toBe('$-1\r\n')
  expect(bench.wire('HRANDFIELD', 'h', '3')).toBe('*0\r\n')
  bench.speak(3)
  expect(bench.wire('HGET', 'h', 'a')).toBe('_\r\n')
  expect(bench.wire('HGETALL', 'h')).toBe('%0\r\n')
  expect(bench.takeEffects()).toEqual([])
})

test('every command refuses a key of another type', () => {
  bench.call('SET', 's', 'x')
  for (const words of [
    'HSET s a 1',
    'HMSET s a 1',
    'HSETNX s a 1',
    'HGET s a',
    'HMGET s a',
    'HGETALL s',
    'HKEYS s',
    'HVALS s',
    'HLEN s',
    'HSTRLEN s a',
    'HEXISTS s a',
    'HDEL s a',
    'HINCRBY s a 1',
    'HINCRBYFLOAT s a 1',
    'HRANDFIELD s',
    'HRANDFIELD s 0',
    'HSCAN s 0 nonsense',
  ]) {
    expect([words, bench.call(...words.split(' '))]).toEqual([words, WRONGTYPE])
  }
})

test('HGETALL is a flat array in RESP2 and a map in RESP3, HKEYS and HVALS are arrays in both', () => {
  for (const count of [2, 600]) {
    const bigger = new CommandBench([hashCommands])
    for (let n = 0; n < count; n++) bigger.call('HSET', 'h', `f${n}`, `v${n}`)
    expect(bigger.encoding('h')).toBe(count > 512 ? 'hashtable' : 'listpack')
    const flat = bigger.call('HGETALL', 'h')
    bigger.speak(3)
    const map = bigger.call('HGETALL', 'h')
    expect(flat).toHaveLength(count * 2)
    expect(map).toEqual({ map: Array.from({ length: count }, (_, n) => [`f${n}`, `v${n}`]) })
    expect(bigger.call('HKEYS', 'h')).toHaveLength(count)
    expect(bigger.call('HVALS', 'h')).toContain('v1')
  }
})

test('HDEL counts the fields that were there and deletes the hash with its last field', () => {
  bench.call('HSET', 'h', 'a', '1', 'b', '2', 'c', '3')
  bench.takeEvents()
  expect(bench.call('HDEL', 'h', 'a', 'a', 'x')).toBe(1)
  expect(bench.takeEvents()).toEqual(['hdel h'])
  bench.takeEffects()
  expect(bench.call('HDEL', 'h', 'x')).toBe(0)
  expect(bench.takeEffects()).toEqual([])
  expect(bench.call('HDEL', 'h', 'b', 'c', 'd')).toBe(2)
  expect(bench.takeEvents()).toEqual(['hdel h', 'del h'])
  expect(bench.takeEffects()).toEqual(['HDEL h b c d'])
  expect(bench.encoding('h')).toBe('none')
})

test('HSTRLEN counts the bytes of the value, integers included', () => {
  bench.call('HSET', 'h', 'text', 'four', 'number', '-12345', 'empty', '')
  expect(['text', 'number', 'empty', 'none'].map((field) => bench.call('HSTRLEN', 'h', field))).toEqual([4, 6, 0, 0])
})

test('HINCRBY is exact over 64 bits and refuses to overflow', () => {
  expect(bench.call('HINCRBY', 'h', 'n', '5')).toBe(5)
  expect(bench.call('HINCRBY', 'h', 'n', '-8')).toBe(-3)
  bench.call('HSET', 'h', 'n', '9007199254740991')
  expect(bench.wire('HINCRBY', 'h', 'n', '2')).toBe(':9007199254740993\r\n')
  expect(bench.call('HGET', 'h', 'n')).toBe('9007199254740993')
  expect(bench.wire('HINCRBY', 'h', 'n', '-4')).toBe(':9007199254740989\r\n')
  bench.call('HSET', 'h', 'n', '9223372036854775806')
  expect(bench.wire('HINCRBY', 'h', 'n', '1')).toBe(':9223372036854775807\r\n')
  expect(bench.call('HINCRBY', 'h', 'n', '1')).toBe('-ERR increment or decrement would overflow')
  expect(bench.wire('HINCRBY', 'h', 'm', '-9223372036854775808')).toBe(':-9223372036854775808\r\n')
  expect(bench.call('HINCRBY', 'h', 'm', '-1')).toBe('-ERR increment or decrement would overflow')
})

test('HINCRBY checks the increment, then the type, then the value', () => {
  bench.call('SET', 's', 'x')
  expect(bench.call('HINCRBY', 's', 'a', '1.5')).toBe(NOT_AN_INTEGER)
  expect(bench.call('HINCRBY', 's', 'a', '1')).toBe(WRONGTYPE)
  bench.call('HSET', 'h', 'a', ' 1')
  bench.takeEffects()
  expect(bench.call('HINCRBY', 'h', 'a', '1')).toBe('-ERR hash value is not an integer')
  expect(bench.call('HINCRBY', 'h', 'a', '9223372036854775808')).toBe(NOT_AN_INTEGER)
  expect(bench.takeEffects()).toEqual([])
})

test('HINCRBYFLOAT adds long doubles and is recorded as HSET with the sum', () => {
  expect(bench.call('HINCRBYFLOAT', 'h', 'f', '0.1')).toBe('0.1')
  expect(bench.call('HINCRBYFLOAT', 'h', 'f', '0.2')).toBe('0.3')
  bench.call('HSET', 'h', 'i', '17')
  expect(bench.call('HINCRBYFLOAT', 'h', 'i', '5.0e3')).toBe('5017')
  expect(bench.takeEvents()).toEqual(['hincrbyfloat h', 'hincrbyfloat h', 'hset h', 'hincrbyfloat h'])
  expect(bench.takeEffects()).toEqual(['SELECT 0', 'HSET h f 0.1', 'HSET h f 0.3', 'HSET h i 17', 'HSET h i 5017'])
})

test('HINCRBYFLOAT checks the increment, then the type, then the value, then the sum', () => {
  bench.call('SET', 's', 'x')
  expect(bench.call('HINCRBYFLOAT', 's', 'a', 'x')).toBe('-ERR value is not a valid float')
  expect(bench.call('HINCRBYFLOAT', 's', 'a', 'inf')).toBe('-ERR value is NaN or Infinity')
  expect(bench.call('HINCRBYFLOAT', 's', 'a', '1')).toBe(WRONGTYPE)
  bench.call('HSET', 'h', 'a', '1 ', 'big', '-inf')
  bench.takeEffects()
  expect(bench.call('HINCRBYFLOAT', 'h', 'a', '1')).toBe('-ERR hash value is not a float')
  expect(bench.call('HINCRBYFLOAT', 'h', 'big', '1')).toBe('-ERR increment would produce NaN or Infinity')
  expect(bench.takeEffects()).toEqual([])
})

test('HRANDFIELD replies different fields for a positive count and repeats them for a negative one', () => {
  for (const count of [10, 600]) {
    fill(`h${count}`, count)
    const fields = new Set(Array.from({ length: count }, (_, n) => `f${n}`))
    for (const wish of [1, 2, 5, count - 1, count, count + 10]) {
      const reply = bench.call('HRANDFIELD', `h${count}`, String(wish)) as string[]
      expect(reply).toHaveLength(Math.min(wish, count))
      expect(new Set(reply).size).toBe(reply.length)
      expect(reply.every((field) => fields.has(field))).toBe(true)
    }
    const repeated = bench.call('HRANDFIELD', `h${count}`, String(-count * 20)) as string[]
    expect(repeated).toHaveLength(count * 20)
    expect(new Set(repeated)).toEqual(fields)
    expect(fields.has(bench.call('HRANDFIELD', `h${count}`) as string)).toBe(true)
  }
})

test('HRANDFIELD WITHVALUES is flat in RESP2 and nested in RESP3', () => {
  bench.call('HSET', 'h', 'f7', '7')
  expect(bench.call('HRANDFIELD', 'h', '5', 'withvalues')).toEqual(['f7', '7'])
  expect(bench.call('HRANDFIELD', 'h', '-2', 'WITHVALUES')).toEqual(['f7', '7', 'f7', '7'])
  bench.speak(3)
  expect(bench.call('HRANDFIELD', 'h', '5', 'withvalues')).toEqual([['f7', '7']])
  expect(bench.call('HRANDFIELD', 'h', '-2', 'WITHVALUES')).toEqual([
    ['f7', '7'],
    ['f7', '7'],
  ])
})

test('HRANDFIELD checks the count, the syntax, and the count with WITHVALUES, in this order', () => {
  bench.call('HSET', 'h', 'a', '1')
  expect(bench.call('HRANDFIELD', 'h', 'x', 'nonsense')).toBe(NOT_AN_INTEGER)
  expect(bench.call('HRANDFIELD', 'h', '-9223372036854775808', 'nonsense')).toBe(
    '-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807',
  )
  expect(bench.call('HRANDFIELD', 'h', '1', 'nonsense')).toBe(SYNTAX_ERROR)
  expect(bench.call('HRANDFIELD', 'h', '1', 'WITHVALUES', 'x')).toBe(SYNTAX_ERROR)
  expect(bench.call('HRANDFIELD', 'h', '-9223372036854770000', 'WITHVALUES')).toBe('-ERR value is out of range')
  expect(bench.call('HRANDFIELD', 'none', '-9223372036854770000')).toEqual([])
  expect(bench.call('HRANDFIELD', 'h', '-9223372036854770000')).toBe('-ERR value is out of range')
})

test('HSCAN leaves out the values with NOVALUES, at any place among its options', () => {
  bench.call('HSET', 'h', 'f', 'v', 'g', 'w')
  expect(bench.call('HSCAN', 'h', '0', 'NOVALUES')).toEqual(['0', ['f', 'g']])
  expect(bench.call('HSCAN', 'h', '0', 'novalues', 'MATCH', 'g')).toEqual(['0', ['g']])
  expect(bench.call('HSCAN', 'h', '0', 'COUNT', '5', 'NOVALUES')).toEqual(['0', ['f', 'g']])
  expect(bench.call('HSCAN', 'h', '0')).toEqual(['0', ['f', 'v', 'g', 'w']])
  expect(bench.wire('HSCAN', 'h', '0', 'NOVALUES', 'COUNT')).toBe('-ERR syntax error\r\n')
})

test('HSCAN returns a packed hash whole and walks a big one, with MATCH on the fields', () => {
  fill('small', 20)
  expect(bench.call('HSCAN', 'small', '0', 'COUNT', '1')).toMatchObject(['0', { length: 40 }])
  expect(bench.call('HSCAN', 'small', '0', 'MATCH', 'f1?')).toMatchObject(['0', { length: 20 }])
  fill('big', 1000)
  const met = new Map<string, string>()
  let cursor = '0'
  let calls = 0
  do {
    const [next, flat] = bench.call('HSCAN', 'big', cursor, 'COUNT', '100') as [string, string[]]
    for (let i = 0; i < flat.length; i += 2) met.set(flat[i] ?? '', flat[i + 1] ?? '')
    cursor = next
    calls++
  } while (cursor !== '0')
  expect(calls).toBe(10)
  expect(met.size).toBe(1000)
  expect(met.get('f77')).toBe('77')
})

test('HSCAN checks the cursor, then the type, then the options', () => {
  bench.call('SET', 's', 'x')
  bench.call('HSET', 'h', 'a', '1')
  expect(bench.call('HSCAN', 's', 'x')).toBe('-ERR invalid cursor')
  expect(bench.call('HSCAN', 'h', '0', 'COUNT', '0')).toBe(SYNTAX_ERROR)
  expect(bench.call('HSCAN', 'h', '0', 'COUNT', 'x')).toBe(NOT_AN_INTEGER)
  expect(bench.call('HSCAN', 'h', '0', 'TYPE', 'hash')).toBe(SYNTAX_ERROR)
})

test('a hash leaves the packed form by number, by value, and at once for a long call', () => {
  const { limits } = bench.keyspace
  fill('h', 512)
  expect(bench.encoding('h')).toBe('listpack')
  fill('h', 513)
  expect(bench.encoding('h')).toBe('hashtable')
  bench.call('HSET', 'v', 'f', 'x'.repeat(65))
  expect(bench.encoding('v')).toBe('hashtable')
  limits.hashMaxListpackEntries = 2
  bench.call('HSET', 'same', 'a', '1', 'a', '2', 'a', '3')
  // The same field thrice is one pair, but the call is judged by its arguments, as in Redis.
  expect(bench.encoding('same')).toBe('hashtable')
  bench.call('HINCRBY', 'long', 'y'.repeat(65), '1')
  expect(bench.encoding('long')).toBe('hashtable')
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('an expired hash is gone, and HSET makes a new one without expire time', () => {
  bench.call('HSET', 'h', 'a', '1')
  bench.expireAt('h', bench.ctx.now + 10)
  bench.pass(11)
  expect(bench.call('HGETALL', 'h')).toEqual([])
  expect(bench.call('HSET', 'h', 'b', '2')).toBe(1)
  expect(bench.call('HGETALL', 'h')).toEqual(['b', '2'])
  expect(bench.expireTime('h')).toBe(-1)
})
