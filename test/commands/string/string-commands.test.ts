/** The commands of strings: replies, errors in their order, events, effects, encodings and accounting. */
import { beforeEach, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const NOT_A_FLOAT = '-ERR value is not a valid float'
const SYNTAX_ERROR = '-ERR syntax error'
const INT64_MAX = '9223372036854775807'
const INT64_MIN = '-9223372036854775808'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([stringCommands, genericCommands, hashCommands])
  bench.call('HSET', 'hash', 'field', 'value')
  bench.takeEffects()
  bench.takeEvents()
})

function expectNoLeak(): void {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
}

test('SET overwrites a value of any type, drops its expire time and leaks nothing', () => {
  bench.call('EXPIRE', 'hash', '100')
  expect(bench.wire('SET', 'hash', 'text')).toBe('+OK\r\n')
  expect(bench.call('GET', 'hash')).toBe('text')
  expect(bench.call('TTL', 'hash')).toBe(-1)
  bench.call('SET', 'hash', '12')
  bench.call('SET', 'hash', 'x'.repeat(500))
  expect(bench.call('GET', 'hash')).toBe('x'.repeat(500))
  expectNoLeak()
})

test('SET with a time is recorded as a point in time and emits set and expire', () => {
  expect(bench.call('SET', 'k', 'v', 'EX', '10')).toBe('OK')
  expect(bench.call('SET', 'k', 'v', 'px', '1500')).toBe('OK')
  expect(bench.call('SETEX', 'k', '10', 'v')).toBe('OK')
  expect(bench.call('PSETEX', 'k', '1500', 'v')).toBe('OK')
  const now = bench.ctx.now
  expect(bench.takeEffects()).toEqual([
    `SET k v PXAT ${now + 10000}`,
    `SET k v PXAT ${now + 1500}`,
    `SET k v PXAT ${now + 10000}`,
    `SET k v PXAT ${now + 1500}`,
  ])
  expect(bench.takeEvents()).toEqual(Array(4).fill(['set k', 'expire k']).flat())
  expect(bench.call('PTTL', 'k')).toBe(1500)
})

test('SET keeps the expire time only with KEEPTTL', () => {
  bench.call('SET', 'k', 'v', 'EX', '10')
  bench.call('SET', 'k', 'w', 'KEEPTTL')
  expect(bench.call('TTL', 'k')).toBe(10)
  bench.call('SET', 'k', 'w')
  expect(bench.call('TTL', 'k')).toBe(-1)
})

test('SET stores a key whose time has already passed, which then is gone', () => {
  expect(bench.call('SET', 'k', 'v', 'PXAT', '1')).toBe('OK')
  expect(bench.call('GET', 'k')).toBe(null)
  expectNoLeak()
})

test('SET GET replies the old value, also when NX or XX keeps it, and is recorded without GET', () => {
  expect(bench.call('SET', 'k', '1', 'GET')).toBe(null)
  expect(bench.call('SET', 'k', '2', 'GET', 'NX')).toBe('1')
  expect(bench.call('SET', 'k', '3', 'XX', 'GET', 'KEEPTTL')).toBe('1')
  expect(bench.call('SET', 'hash', '3', 'GET', 'NX')).toBe(WRONGTYPE)
  expect(bench.takeEffects()).toEqual(['SET k 1', 'SET k 3 KEEPTTL'])
})

test('SET takes one unit of time again and again but never two units, nor a time with KEEPTTL', () => {
  expect(bench.call('SET', 'k', 'v', 'EX', '10', 'EX', '20')).toBe('OK')
  expect(bench.call('TTL', 'k')).toBe(20)
  expect(bench.call('SET', 'k', 'v', 'EX', '10', 'PX', '20')).toBe(SYNTAX_ERROR)
  expect(bench.call('SET', 'k', 'v', 'EX', '10', 'KEEPTTL')).toBe(SYNTAX_ERROR)
  expect(bench.call('SET', 'k', 'v', 'KEEPTTL', 'EX', '10')).toBe(SYNTAX_ERROR)
  expect(bench.call('SET', 'k', 'v', 'NX', 'XX')).toBe(SYNTAX_ERROR)
  expect(bench.call('SET', 'k', 'v', 'EX')).toBe(SYNTAX_ERROR)
  expect(bench.call('SET', 'k', 'v', 'PERSIST')).toBe(SYNTAX_ERROR)
})

test('expire times are checked to the last bit', () => {
  const invalid = "-ERR invalid expire time in 'set' command"
  expect(bench.call('SET', 'k', 'v', 'EX', '0')).toBe(invalid)
  expect(bench.call('SET', 'k', 'v', 'PX', '-5')).toBe(invalid)
  expect(bench.call('SET', 'k', 'v', 'EXAT', '9223372036854775')).toBe('OK')
  expect(bench.call('SET', 'k', 'v', 'EXAT', '9223372036854776')).toBe(invalid)
  expect(bench.call('SET', 'k', 'v', 'EX', '9223372036854775')).toBe(invalid)
  expect(bench.call('SET', 'k', 'v', 'PX', INT64_MAX)).toBe(invalid)
  expect(bench.call('SET', 'k', 'v', 'PXAT', INT64_MAX)).toBe('OK')
  expect(bench.call('SET', 'k', 'v', 'PXAT', '9223372036854775808')).toBe(NOT_AN_INTEGER)
  expect(bench.call('SETEX', 'k', '0', 'v')).toBe("-ERR invalid expire time in 'setex' command")
  expect(bench.call('PSETEX', 'k', '0', 'v')).toBe("-ERR invalid expire time in 'psetex' command")
  // What is recorded must be a time that can be read again.
  const [first = '', last = ''] = bench.takeEffects()
  for (const effect of [first, last]) expect(bench.call(...effect.split(' '))).toBe('OK')
})

test('SETNX sets only a missing key', () => {
  expect(bench.call('SETNX', 'k', '1')).toBe(1)
  expect(bench.call('SETNX', 'k', '2')).toBe(0)
  expect(bench.takeEffects()).toEqual(['SETNX k 1'])
})

test('GETSET is recorded as SET, GETDEL as DEL', () => {
  expect(bench.call('GETSET', 'k', 'a')).toBe(null)
  bench.call('EXPIRE', 'k', '10')
  expect(bench.call('GETSET', 'k', 'b')).toBe('a')
  expect(bench.call('TTL', 'k')).toBe(-1)
  bench.takeEffects()
  bench.takeEvents()
  expect(bench.call('GETSET', 'k', 'c')).toBe('b')
  expect(bench.call('GETDEL', 'k')).toBe('c')
  expect(bench.call('GETDEL', 'k')).toBe(null)
  expect(bench.call('GETDEL', 'hash')).toBe(WRONGTYPE)
  expect(bench.call('GETSET', 'hash', 'x')).toBe(WRONGTYPE)
  expect(bench.takeEffects()).toEqual(['SET k c', 'DEL k'])
  expect(bench.takeEvents()).toEqual(['set k', 'del k'])
  expectNoLeak()
})

test('GETEX is recorded as PEXPIREAT, PERSIST or DEL, and not at all without a change', () => {
  bench.call('SET', 'k', 'v')
  bench.takeEffects()
  bench.takeEvents()
  expect(bench.call('GETEX', 'k')).toBe('v')
  expect(bench.call('GETEX', 'k', 'PERSIST')).toBe('v')
  expect(bench.call('GETEX', 'k', 'EX', '10')).toBe('v')
  expect(bench.call('GETEX', 'k', 'PERSIST')).toBe('v')
  expect(bench.call('GETEX', 'k', 'EXAT', '1')).toBe('v')
  expect(bench.call('GETEX', 'k', 'EXAT', '1')).toBe(null)
  expect(bench.takeEffects()).toEqual([`PEXPIREAT k ${bench.ctx.now + 10000}`, 'PERSIST k', 'DEL k'])
  expect(bench.takeEvents()).toEqual(['expire k', 'persist k', 'del k'])
})

test('GETEX checks its options, then the key, then the time', () => {
  expect(bench.call('GETEX', 'none', 'EX')).toBe(SYNTAX_ERROR)
  expect(bench.call('GETEX', 'none', 'EX', '10', 'PERSIST')).toBe(SYNTAX_ERROR)
  expect(bench.call('GETEX', 'none', 'KEEPTTL')).toBe(SYNTAX_ERROR)
  expect(bench.call('GETEX', 'none', 'EX', 'x')).toBe(null)
  expect(bench.call('GETEX', 'hash', 'EX', 'x')).toBe(WRONGTYPE)
  bench.call('SET', 'k', 'v')
  expect(bench.call('GETEX', 'k', 'EX', 'x')).toBe(NOT_AN_INTEGER)
  expect(bench.call('GETEX', 'k', 'EX', '0')).toBe("-ERR invalid expire time in 'getex' command")
})

test('MGET replies null for missing keys and other types', () => {
  bench.call('MSET', 'a', '1', 'b', 'x')
  expect(bench.call('MGET', 'a', 'none', 'hash', 'b')).toEqual(['1', null, null, 'x'])
})

test('MSET sets all, drops expire times and takes the last value of a key; MSETNX all or nothing', () => {
  bench.call('SET', 'a', '1', 'EX', '10')
  expect(bench.call('MSET', 'a', '2', 'b', '3', 'a', '4')).toBe('OK')
  expect(bench.call('MGET', 'a', 'b')).toEqual(['4', '3'])
  expect(bench.call('TTL', 'a')).toBe(-1)
  expect(bench.call('MSET', 'a', '2', 'b')).toBe("-ERR wrong number of arguments for 'mset' command")
  bench.takeEvents()
  expect(bench.call('MSETNX', 'c', '1', 'a', '2')).toBe(0)
  expect(bench.call('EXISTS', 'c')).toBe(0)
  expect(bench.call('MSETNX', 'c', '1', 'c', '2')).toBe(1)
  expect(bench.call('GET', 'c')).toBe('2')
  expect(bench.call('MSETNX', 'c', '1', 'a')).toBe("-ERR wrong number of arguments for 'msetnx' command")
  expect(bench.takeEvents()).toEqual(['set c', 'set c'])
})

test('APPEND grows a string in place, of an integer too, and makes it raw', () => {
  expect(bench.call('APPEND', 'k', '12')).toBe(2)
  expect(bench.call('OBJECT', 'ENCODING', 'k')).toBe('int')
  expect(bench.call('APPEND', 'k', '34')).toBe(4)
  expect(bench.call('GET', 'k')).toBe('1234')
  expect(bench.call('OBJECT', 'ENCODING', 'k')).toBe('raw')
  expect(bench.call('INCR', 'k')).toBe(1235)
  expect(bench.call('OBJECT', 'ENCODING', 'k')).toBe('int')
  expect(bench.call('APPEND', 'hash', 'x')).toBe(WRONGTYPE)
  for (let n = 0; n < 400; n++) bench.call('APPEND', 'long', 'x'.repeat(n * 5))
  expect(bench.call('STRLEN', 'long')).toBe((399 * 400 * 5) / 2)
  expectNoLeak()
})

test('APPEND keeps the expire time', () => {
  bench.call('SET', 'k', 'a', 'EX', '10')
  bench.call('APPEND', 'k', 'b')
  expect(bench.call('TTL', 'k')).toBe(10)
})

test('SETRANGE fills with zero bytes, and writing nothing creates no key', () => {
  expect(bench.call('SETRANGE', 'k', '3', '')).toBe(0)
  expect(bench.call('EXISTS', 'k')).toBe(0)
  expect(bench.call('SETRANGE', 'k', '3', 'abc')).toBe(6)
  expect(bench.call('GET', 'k')).toBe('\0\0\0abc')
  expect(bench.call('SETRANGE', 'k', '1', 'X')).toBe(6)
  expect(bench.call('SETRANGE', 'k', '8', 'Y')).toBe(9)
  expect(bench.call('GET', 'k')).toBe('\0X\0abc\0\0Y')
  bench.call('SET', 'n', '1234')
  expect(bench.call('SETRANGE', 'n', '1', '')).toBe(4)
  expect(bench.call('SETRANGE', 'n', '1', '9')).toBe(4)
  expect(bench.call('GET', 'n')).toBe('1934')
  expectNoLeak()
})

test('SETRANGE checks the offset before the type, and the limit only when something is written', () => {
  bench.keyspace.limits.protoMaxBulkLen = 100
  const tooLong = '-ERR string exceeds maximum allowed size (proto-max-bulk-len)'
  expect(bench.call('SETRANGE', 'hash', 'x', 'a')).toBe(NOT_AN_INTEGER)
  expect(bench.call('SETRANGE', 'hash', '-1', 'a')).toBe('-ERR offset is out of range')
  expect(bench.call('SETRANGE', 'hash', '1', 'a')).toBe(WRONGTYPE)
  expect(bench.call('SETRANGE', 'k', '100', '')).toBe(0)
  expect(bench.call('SETRANGE', 'k', '100', 'a')).toBe(tooLong)
  expect(bench.call('SETRANGE', 'k', '99', 'a')).toBe(100)
  expect(bench.call('SETRANGE', 'k', INT64_MAX, 'a')).toBe(tooLong)
  expect(bench.call('APPEND', 'k', 'a')).toBe(tooLong)
  expect(bench.call('STRLEN', 'k')).toBe(100)
})

test('GETRANGE counts negative ends from the end and checks them before the key', () => {
  bench.call('SET', 'k', 'This is a string')
  bench.call('SET', 'n', '-12345')
  expect(bench.call('GETRANGE', 'k', '0', '3')).toBe('This')
  expect(bench.call('GETRANGE', 'k', '-3', '-1')).toBe('ing')
  expect(bench.call('GETRANGE', 'k', '-1', '-3')).toBe('')
  expect(bench.call('GETRANGE', 'k', '-100', '-50')).toBe('T')
  expect(bench.call('GETRANGE', 'k', '-50', '-100')).toBe('')
  expect(bench.call('GETRANGE', 'k', '5', '100000')).toBe('is a string')
  expect(bench.call('SUBSTR', 'n', '0', '2')).toBe('-12')
  expect(bench.call('GETRANGE', 'none', '0', '1')).toBe('')
  expect(bench.call('GETRANGE', 'hash', '0', 'x')).toBe(NOT_AN_INTEGER)
  expect(bench.call('GETRANGE', 'hash', '0', '1')).toBe(WRONGTYPE)
})

test('INCR and its kin keep numbers in the key index and are recorded as they came', () => {
  expect(bench.call('INCR', 'k')).toBe(1)
  expect(bench.call('INCRBY', 'k', '10')).toBe(11)
  expect(bench.call('DECR', 'k')).toBe(10)
  expect(bench.call('DECRBY', 'k', '-5')).toBe(15)
  const { liveBlocks } = bench.keyspace.arena
  for (let n = 0; n < 100; n++) bench.call('INCR', 'k')
  expect(bench.keyspace.arena.liveBlocks).toBe(liveBlocks)
  expect(bench.takeEffects().slice(0, 4)).toEqual(['INCR k', 'INCRBY k 10', 'DECR k', 'DECRBY k -5'])
  expect(bench.takeEvents().slice(0, 3)).toEqual(['incrby k', 'incrby k', 'incrby k'])
})

test('INCR is exact over all of 64 bits and back', () => {
  bench.call('SET', 'k', '9007199254740991')
  expect(bench.call('INCR', 'k')).toBe(9007199254740992n)
  expect(bench.call('INCR', 'k')).toBe(9007199254740993n)
  expect(bench.call('OBJECT', 'ENCODING', 'k')).toBe('int')
  expect(bench.call('INCRBY', 'k', '9214364837600034814')).toBe(9223372036854775807n)
  expect(bench.call('INCR', 'k')).toBe('-ERR increment or decrement would overflow')
  expect(bench.call('GET', 'k')).toBe(INT64_MAX)
  expect(bench.call('DECRBY', 'k', INT64_MAX)).toBe(0)
  expect(bench.call('INCRBY', 'k', INT64_MIN)).toBe(-9223372036854775808n)
  expect(bench.call('DECR', 'k')).toBe('-ERR increment or decrement would overflow')
  expect(bench.call('DECRBY', 'k', INT64_MIN)).toBe('-ERR decrement would overflow')
  expectNoLeak()
})

test('INCR refuses what is no canonical integer, and INCRBY looks at its argument first', () => {
  for (const text of ['', ' 1', '1 ', '01', '+1', '1.0', '9223372036854775808', 'x']) {
    bench.call('SET', 'k', text)
    expect([text, bench.call('INCR', 'k')]).toEqual([text, NOT_AN_INTEGER])
  }
  expect(bench.call('INCRBY', 'hash', 'x')).toBe(NOT_AN_INTEGER)
  expect(bench.call('INCRBY', 'hash', '1')).toBe(WRONGTYPE)
})

test('INCRBYFLOAT counts as Redis does and is recorded as SET KEEPTTL', () => {
  bench.call('SET', 'k', '3', 'EX', '10')
  bench.takeEffects()
  expect(bench.call('INCRBYFLOAT', 'k', '1.1')).toBe('4.1')
  expect(bench.call('INCRBYFLOAT', 'k', '-0.1')).toBe('4')
  expect(bench.call('INCR', 'k')).toBe(5)
  expect(bench.call('TTL', 'k')).toBe(10)
  expect(bench.takeEffects()).toEqual(['SET k 4.1 KEEPTTL', 'SET k 4 KEEPTTL', 'INCR k'])
  expect(bench.call('INCRBYFLOAT', 'hash', 'x')).toBe(WRONGTYPE)
  expect(bench.call('INCRBYFLOAT', 'k', 'x')).toBe(NOT_A_FLOAT)
  expect(bench.call('INCRBYFLOAT', 'k', 'inf')).toBe('-ERR increment would produce NaN or Infinity')
  bench.call('SET', 'k', 'x')
  expect(bench.call('INCRBYFLOAT', 'k', '1')).toBe(NOT_A_FLOAT)
  expectNoLeak()
})

test('LCS replies the subsequence, its length or the matching ranges', () => {
  bench.call('MSET', 'a', 'ohmytext', 'b', 'mynewtext')
  expect(bench.call('LCS', 'a', 'b')).toBe('mytext')
  expect(bench.call('LCS', 'a', 'b', 'LEN')).toBe(6)
  const ranges = [
    [
      [4, 7],
      [5, 8],
    ],
    [
      [2, 3],
      [0, 1],
    ],
  ]
  expect(bench.call('LCS', 'a', 'b', 'IDX')).toEqual(['matches', ranges, 'len', 6])
  expect(bench.call('LCS', 'a', 'b', 'IDX', 'MINMATCHLEN', '4', 'WITHMATCHLEN')).toEqual([
    'matches',
    [[[4, 7], [5, 8], 4]],
    'len',
    6,
  ])
  bench.speak(3)
  expect(bench.wire('LCS', 'a', 'none', 'IDX')).toBe('%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n')
})

test('LCS refuses other types before its options, LEN with IDX, and too large a table', () => {
  bench.call('SET', 'a', 'x'.repeat(100))
  expect(bench.call('LCS', 'hash', 'a', 'zz')).toBe('-ERR The specified keys must contain string values')
  expect(bench.call('LCS', 'a', 'a', 'zz')).toBe(SYNTAX_ERROR)
  expect(bench.call('LCS', 'a', 'a', 'LEN', 'IDX')).toBe(
    '-ERR If you want both the length and indexes, please just use IDX.',
  )
  bench.keyspace.limits.protoMaxBulkLen = 101 * 101 * 4 - 1
  expect(bench.call('LCS', 'a', 'a', 'LEN')).toBe(
    '-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len',
  )
  bench.keyspace.limits.protoMaxBulkLen++
  expect(bench.call('LCS', 'a', 'a', 'LEN')).toBe(100)
})
