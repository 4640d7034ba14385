/** Commands and options of strings that Redis has since 8.4 and 8.8, and DELIFEQ of Valkey. */
import { beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { listCommands } from '../../../src/commands/list/index.ts'
import { serverCommands } from '../../../src/commands/server/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const SYNTAX_ERROR = '-ERR syntax error'
const DIGEST_FORMAT = '-ERR must be exactly 16 hexadecimal characters'
const HELLO_WORLD_DIGEST = 'b6acb9d84a38ff74'
const INT64_MAX = '9223372036854775807'
const INT64_MIN = '-9223372036854775808'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([stringCommands, genericCommands, listCommands, serverCommands])
  bench.call('LPUSH', 'list', 'a')
  bench.takeEffects()
  bench.takeEvents()
})

function events(): string[] {
  return bench.takeEvents().filter((event) => !event.startsWith('new '))
}

describe('DIGEST', () => {
  test('is that of the text, also of a number', () => {
    bench.call('SET', 'k', 'Hello world')
    expect(bench.call('DIGEST', 'k')).toBe(HELLO_WORLD_DIGEST)
    bench.call('SET', 'n', '12')
    bench.call('APPEND', 't', '12')
    expect(bench.call('DIGEST', 'n')).toBe(bench.call('DIGEST', 't'))
    expect(bench.call('DIGEST', 'none')).toBe(null)
    expect(bench.call('DIGEST', 'list')).toBe(WRONGTYPE)
  })
})

describe('SET with a condition on the value', () => {
  test.each([
    ['IFEQ', 'Hello world', true, false],
    ['IFEQ', 'Hello', false, false],
    ['ifne', 'Hello', true, true],
    ['IFNE', 'Hello world', false, true],
    ['IFDEQ', HELLO_WORLD_DIGEST, true, false],
    ['IFDEQ', HELLO_WORLD_DIGEST.toUpperCase(), true, false],
    ['IFDEQ', '0123456789abcdef', false, false],
    ['IFDNE', '0123456789abcdef', true, true],
    ['IFDNE', HELLO_WORLD_DIGEST, false, true],
  ])('%s %s sets an equal or another value, or a missing key', (condition, operand, setsExisting, setsMissing) => {
    bench.call('SET', 'k', 'Hello world')
    bench.takeEffects()
    expect(bench.call('SET', 'k', 'new', condition, operand)).toBe(setsExisting ? 'OK' : null)
    expect(bench.call('SET', 'none', 'new', condition, operand)).toBe(setsMissing ? 'OK' : null)
    expect(bench.takeEffects()).toEqual([
      ...(setsExisting ? ['SET k new'] : []),
      ...(setsMissing ? ['SET none new'] : []),
    ])
    expect(bench.call('GET', 'k')).toBe(setsExisting ? 'new' : 'Hello world')
  })

  test('goes with GET and a time, and with no other condition', () => {
    bench.call('SET', 'k', '1')
    bench.takeEffects()
    expect(bench.call('SET', 'k', '2', 'IFEQ', '7', 'GET')).toBe('1')
    expect(bench.call('SET', 'k', '2', 'IFEQ', '1', 'GET', 'KEEPTTL')).toBe('1')
    expect(bench.call('SET', 'k', '3', 'EX', '10', 'IFEQ', '2')).toBe('OK')
    expect(bench.takeEffects()).toEqual(['SET k 2 KEEPTTL', `SET k 3 PXAT ${bench.ctx.now + 10_000}`])
    for (const other of [['NX'], ['XX'], ['IFNE', '1']]) {
      expect(bench.call('SET', 'k', '4', 'IFEQ', '3', ...other)).toBe(SYNTAX_ERROR)
      expect(bench.call('SET', 'k', '4', ...other, 'IFEQ', '3')).toBe(SYNTAX_ERROR)
    }
    expect(bench.call('SET', 'k', '4', 'IFEQ')).toBe(SYNTAX_ERROR)
    expect(bench.call('SET', 'k', '4', 'IFEQ', 'GET')).toBe(null)
  })

  test('answers for strings only, and for digests of 16 digits where there is a value', () => {
    expect(bench.call('SET', 'list', '1', 'IFNE', '2')).toBe(WRONGTYPE)
    expect(bench.call('SET', 'list', '1', 'IFDEQ', '2')).toBe(WRONGTYPE)
    expect(bench.call('SET', 'none', '1', 'IFDEQ', '2')).toBe(null)
    bench.call('SET', 'k', '1')
    expect(bench.call('SET', 'k', '2', 'GET', 'IFDEQ', '2')).toBe(DIGEST_FORMAT)
    expect(bench.call('SET', 'k', '2', 'IFDNE', '')).toBe(DIGEST_FORMAT)
  })

  test('counts as reading the key', () => {
    const flags = bench.call('COMMAND', 'GETKEYSANDFLAGS', 'SET', 'k', 'v', 'IFEQ', 'x')
    expect(flags).toEqual([['k', ['RW', 'access', 'update']]])
  })
})

describe('DELEX and DELIFEQ', () => {
  test('delete any key without a condition, and strings that compare as wanted', () => {
    bench.call('SET', 'k', 'Hello world')
    expect(bench.call('DELEX', 'k', 'IFEQ', 'x')).toBe(0)
    expect(bench.call('DELEX', 'k', 'IFDNE', HELLO_WORLD_DIGEST)).toBe(0)
    expect(bench.call('DELEX', 'k', 'IFDEQ', 'x')).toBe(DIGEST_FORMAT)
    expect(bench.call('DELIFEQ', 'k', 'x')).toBe(0)
    bench.takeEffects()
    expect(bench.call('DELEX', 'k', 'ifdeq', HELLO_WORLD_DIGEST)).toBe(1)
    bench.call('SET', 'k', '12')
    expect(bench.call('DELIFEQ', 'k', '12')).toBe(1)
    expect(bench.call('DELEX', 'list')).toBe(1)
    expect(bench.takeEffects()).toEqual(['DEL k', 'SET k 12', 'DEL k', 'DEL list'])
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  test('look at the number of arguments, the key, its type and then the condition', () => {
    const arity = "-ERR wrong number of arguments for 'delex' command"
    expect(bench.call('DELEX', 'none', 'IFEQ')).toBe(arity)
    expect(bench.call('DELEX', 'list', 'IFEQ', 'a', 'b')).toBe(arity)
    expect(bench.call('DELEX', 'none', 'NOSUCH', 'a')).toBe(0)
    expect(bench.call('DELEX', 'list', 'NOSUCH', 'a')).toBe(
      '-ERR Key should be of string type if conditions are specified',
    )
    bench.call('SET', 'k', '1')
    expect(bench.call('DELEX', 'k', 'NOSUCH', 'a')).toBe('-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE')
    expect(bench.call('DELIFEQ', 'list', 'a')).toBe(WRONGTYPE)
    expect(bench.call('DELIFEQ', 'none', 'a')).toBe(0)
  })
})

describe('MSETEX', () => {
  test('is recorded as what every Redis understands', () => {
    expect(bench.call('MSETEX', '2', 'a', '1', 'b', '2')).toBe(1)
    expect(bench.call('MSETEX', '1', 'a', 'x', 'KEEPTTL')).toBe(1)
    expect(bench.call('MSETEX', '2', 'a', '1', 'b', '2', 'EX', '10', 'XX')).toBe(1)
    const time = bench.ctx.now + 10_000
    expect(bench.takeEffects()).toEqual([
      'MSET a 1 b 2',
      'SET a x KEEPTTL',
      'MULTI',
      `SET a 1 PXAT ${time}`,
      `SET b 2 PXAT ${time}`,
      'EXEC',
    ])
    expect(events().slice(-4)).toEqual(['set a', 'expire a', 'set b', 'expire b'])
    expect(bench.call('PTTL', 'b')).toBe(10_000)
    bench.call('MSETEX', '1', 'a', '3', 'KEEPTTL')
    expect(bench.call('PTTL', 'a')).toBe(10_000)
    bench.call('MSETEX', '1', 'a', '3')
    expect(bench.call('PTTL', 'a')).toBe(-1)
  })

  test('sets all keys or none', () => {
    bench.call('SET', 'a', '1')
    bench.takeEffects()
    expect(bench.call('MSETEX', '2', 'none', '1', 'a', '2', 'NX')).toBe(0)
    expect(bench.call('MSETEX', '2', 'a', '1', 'none', '2', 'XX')).toBe(0)
    expect(bench.call('EXISTS', 'none')).toBe(0)
    expect(bench.takeEffects()).toEqual([])
  })

  test('looks at the number, the pairs, the options and the time', () => {
    const numkeys = '-ERR invalid numkeys value'
    expect(bench.call('MSETEX', 'a', '1', 'EX')).toBe(numkeys)
    expect(bench.call('MSETEX', '0', 'a', '1')).toBe(numkeys)
    expect(bench.call('MSETEX', '2147483648', 'a', '1')).toBe(numkeys)
    expect(bench.call('MSETEX', '2147483647', 'a', '1')).toBe('-ERR wrong number of key-value pairs')
    expect(bench.call('MSETEX', '1', 'a', '1', 'NX', 'XX')).toBe(SYNTAX_ERROR)
    expect(bench.call('MSETEX', '1', 'a', '1', 'EX', '10', 'PX', '10')).toBe(SYNTAX_ERROR)
    expect(bench.call('MSETEX', '1', 'a', '1', 'KEEPTTL', 'EX', '10')).toBe(SYNTAX_ERROR)
    expect(bench.call('MSETEX', '1', 'a', '1', 'EX')).toBe(SYNTAX_ERROR)
    expect(bench.call('MSETEX', '1', 'a', '1', 'EX', '0')).toBe("-ERR invalid expire time in 'msetex' command")
  })

  test('tells its keys', () => {
    expect(bench.call('COMMAND', 'GETKEYS', 'MSETEX', '2', 'a', '1', 'b', '2', 'NX')).toEqual(['a', 'b'])
  })
})

describe('INCREX', () => {
  test('adds within bounds, and changes nothing beyond them without SATURATE', () => {
    expect(bench.call('INCREX', 'k')).toEqual([1, 1])
    expect(bench.call('INCREX', 'k', 'BYINT', '10', 'UBOUND', '5', 'EX', '10')).toEqual([1, 0])
    expect(bench.call('PTTL', 'k')).toBe(-1)
    expect(bench.call('INCREX', 'k', 'UBOUND', '5', 'SATURATE', 'BYINT', '10')).toEqual([5, 4])
    expect(bench.call('INCREX', 'k', 'BYINT', '-100', 'LBOUND', '-3', 'SATURATE')).toEqual([-3, -8])
    expect(bench.call('INCREX', 'none', 'BYINT', '5', 'LBOUND', '10')).toEqual([0, 0])
    expect(bench.call('EXISTS', 'none')).toBe(0)
    expect(bench.takeEffects()).toEqual(['SET k 1 KEEPTTL', 'SET k 5 KEEPTTL', 'SET k -3 KEEPTTL'])
    expect(events()).toEqual(['incrby k', 'incrby k', 'incrby k'])
  })

  test('is exact over 64 bits, and refuses an applied increment that has more', () => {
    bench.call('SET', 'k', '9223372036854775800')
    expect(bench.wire('INCREX', 'k', 'BYINT', INT64_MAX)).toBe('*2\r\n:9223372036854775800\r\n:0\r\n')
    expect(bench.call('INCREX', 'k', 'SATURATE', 'UBOUND', INT64_MIN)).toBe('-ERR applied increment would overflow')
    expect(bench.wire('INCREX', 'k', 'BYINT', INT64_MAX, 'SATURATE')).toBe(`*2\r\n:${INT64_MAX}\r\n:7\r\n`)
  })

  test('adds fractions as INCRBYFLOAT does, in bulk strings or doubles', () => {
    bench.call('SET', 'k', '1.5')
    expect(bench.call('INCREX', 'k', 'BYFLOAT', '0.25')).toEqual(['1.75', '0.25'])
    expect(bench.call('INCREX', 'k', 'BYFLOAT', '100', 'UBOUND', '42.5', 'SATURATE')).toEqual(['42.5', '40.75'])
    expect(bench.call('INCREX', 'k', 'BYFLOAT', '1', 'UBOUND', '30')).toEqual(['42.5', '0'])
    expect(bench.call('INCREX', 'k', 'BYFLOAT', '-20', 'UBOUND', '30')).toEqual(['22.5', '-20'])
    bench.call('SET', 'm', '1e4932')
    expect(bench.call('INCREX', 'm', 'BYFLOAT', '1e4932', 'SATURATE')).toMatchObject([expect.any(String), '0'])
    bench.speak(3)
    expect(bench.wire('INCREX', 'k', 'BYFLOAT', '0.5')).toBe('*2\r\n,23\r\n,0.5\r\n')
    expect(events().slice(-1)).toEqual(['incrbyfloat k'])
  })

  test('sets, keeps and removes the lifetime', () => {
    const now = bench.ctx.now
    bench.call('INCREX', 'k', 'EX', '10')
    bench.call('INCREX', 'k', 'PX', '5', 'ENX')
    bench.call('INCREX', 'k', 'EXAT', '1', 'ENX')
    expect(bench.call('PTTL', 'k')).toBe(10_000)
    bench.call('INCREX', 'k', 'PERSIST')
    bench.call('INCREX', 'k', 'EX', '20', 'ENX')
    expect(bench.call('INCREX', 'k', 'EXAT', '1')).toEqual([6, 1])
    expect(bench.call('EXISTS', 'k')).toBe(0)
    expect(bench.call('INCREX', 'k', 'EXAT', '1')).toEqual([1, 1])
    expect(bench.call('EXISTS', 'k')).toBe(0)
    expect(bench.takeEffects()).toEqual([
      `SET k 1 PXAT ${now + 10_000}`,
      'SET k 2 KEEPTTL',
      'SET k 3 KEEPTTL',
      'SET k 4',
      `SET k 5 PXAT ${now + 20_000}`,
      'DEL k',
    ])
    const seen = [
      'incrby k',
      'expire k',
      'incrby k',
      'incrby k',
      'incrby k',
      'persist k',
      'incrby k',
      'expire k',
      'del k',
    ]
    expect(events()).toEqual(seen)
  })

  test.each([
    [['FOO'], 'syntax error'],
    [['BYINT', '1', 'BYFLOAT', '1'], 'syntax error'],
    [['LBOUND', '0', 'LBOUND', '1'], 'syntax error'],
    [['SATURATE', 'SATURATE'], 'syntax error'],
    [['EX', '10', 'PERSIST'], 'syntax error'],
    [['PERSIST', 'ENX'], 'syntax error'],
    [['ENX', 'PERSIST'], 'syntax error'],
    [['EX', '10', 'EX', '20'], 'syntax error'],
    [['BYINT'], 'syntax error'],
    [['ENX'], 'ENX flag requires an expiration (EX, PX, EXAT or PXAT)'],
    [['BYINT', '1.5'], 'Increment is not an integer or out of range'],
    [['BYFLOAT', 'nan'], 'Increment is not a valid float'],
    [['BYFLOAT', '-inf'], 'BYFLOAT increment cannot be Infinity'],
    [['LBOUND', '5', 'UBOUND', '3'], "LBOUND can't be greater than UBOUND"],
    [['BYFLOAT', '1', 'LBOUND', '5.5', 'UBOUND', '1.5'], "LBOUND can't be greater than UBOUND"],
    [['EX', '0'], "invalid expire time in 'increx' command"],
  ])('refuses %j', (options, error) => {
    expect(bench.call('INCREX', 'list', ...options)).toBe(`-ERR ${error}`)
  })

  test('refuses other types and values that are no numbers', () => {
    expect(bench.call('INCREX', 'list')).toBe(WRONGTYPE)
    bench.call('SET', 'k', 'abc')
    expect(bench.call('INCREX', 'k')).toBe('-ERR value is not an integer or out of range')
    expect(bench.call('INCREX', 'k', 'BYFLOAT', '1')).toBe('-ERR value is not a valid float')
    bench.call('SET', 'k', 'inf')
    expect(bench.call('INCREX', 'k', 'BYFLOAT', '1')).toBe('-ERR value cannot be Infinity')
  })
})
