/**
 * The commands of bitmaps: replies, errors in their order, events, effects, encodings and accounting. Beside redis-server
 * they run in test/differential; here is what does not show in a reply, and what Redis 7.0 does not have.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { bitmapCommands } from '../../../src/commands/bitmap/index.ts'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const SYNTAX_ERROR = '-ERR syntax error'
const OFFSET_ERROR = '-ERR bit offset is not an integer or out of range'
const BIT_ERROR = '-ERR bit is not an integer or out of range'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([bitmapCommands, stringCommands, genericCommands, hashCommands])
  bench.call('HSET', 'hash', 'field', 'value')
  bench.takeEffects()
  bench.takeEvents()
})

function expectNoLeak(): void {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
}

describe('SETBIT', () => {
  test('grows the string with zero bytes, and the string then is raw', () => {
    expect(bench.call('SETBIT', 'k', '17', '1')).toBe(0)
    expect(bench.call('GET', 'k')).toBe('\0\0@')
    expect(bench.call('SETBIT', 'k', '17', '0')).toBe(1)
    expect(bench.call('OBJECT', 'ENCODING', 'k')).toBe('raw')
    bench.call('SET', 'n', '1')
    expect(bench.call('SETBIT', 'n', '6', '1')).toBe(0)
    expect(bench.call('GET', 'n')).toBe('3')
    expect(bench.call('OBJECT', 'ENCODING', 'n')).toBe('raw')
    expectNoLeak()
  })

  test('is recorded and told only when the bit or the length changes', () => {
    bench.call('SETBIT', 'k', '3', '0')
    bench.call('SETBIT', 'k', '3', '0')
    bench.call('SETBIT', 'k', '8', '0')
    bench.call('SETBIT', 'k', '3', '1')
    expect(bench.takeEffects()).toEqual(['SETBIT k 3 0', 'SETBIT k 8 0', 'SETBIT k 3 1'])
    expect(bench.takeEvents().filter((event) => event !== 'new k')).toEqual(Array(3).fill('setbit k'))
  })

  test('looks at the offset, then at the bit, then at the type', () => {
    expect(bench.call('SETBIT', 'hash', '-1', '2')).toBe(OFFSET_ERROR)
    expect(bench.call('SETBIT', 'hash', '4294967296', '1')).toBe(OFFSET_ERROR)
    expect(bench.call('SETBIT', 'hash', '#1', '1')).toBe(OFFSET_ERROR)
    expect(bench.call('SETBIT', 'hash', '0', '2')).toBe(BIT_ERROR)
    expect(bench.call('SETBIT', 'hash', '0', '1')).toBe(WRONGTYPE)
    expect(bench.call('GETBIT', 'hash', '0')).toBe(WRONGTYPE)
    expect(bench.call('GETBIT', 'none', '0')).toBe(0)
  })
})

describe('BITCOUNT and BITPOS', () => {
  test('look for the key before the range, as 7.2 does', () => {
    expect(bench.call('BITCOUNT', 'none', 'a')).toBe(0)
    expect(bench.call('BITCOUNT', 'hash', 'a')).toBe(WRONGTYPE)
    bench.call('SET', 'k', 'foobar')
    expect(bench.call('BITCOUNT', 'k', '0')).toBe(SYNTAX_ERROR)
    expect(bench.call('BITCOUNT', 'k', '-1', '-2', 'NOTHING')).toBe(0)
    expect(bench.call('BITCOUNT', 'k', '0', '-1', 'NOTHING')).toBe(SYNTAX_ERROR)
    expect(bench.call('BITCOUNT', 'k', '5', '30', 'BIT')).toBe(17)
    expect(bench.call('BITPOS', 'hash', '2')).toBe('-ERR The bit argument must be 1 or 0.')
    expect(bench.call('BITPOS', 'none', '0', 'a')).toBe(0)
    expect(bench.call('BITPOS', 'none', '1')).toBe(-1)
  })

  test('a clear bit is found behind a string of ones unless an end is given', () => {
    bench.call('SET', 'k', '\xff\xff')
    expect(bench.call('BITPOS', 'k', '0')).toBe(16)
    expect(bench.call('BITPOS', 'k', '0', '1')).toBe(16)
    expect(bench.call('BITPOS', 'k', '0', '0', '-1')).toBe(-1)
    expect(bench.call('BITPOS', 'k', '0', '0', '15', 'BIT')).toBe(-1)
    expect(bench.call('BITPOS', 'k', '0', '5')).toBe(-1)
  })
})

describe('BITOP', () => {
  test('stores a raw string without an expire time, or deletes the destination', () => {
    bench.call('SET', 'a', 'abc')
    bench.call('SET', 'd', 'x', 'EX', '100')
    bench.takeEffects()
    bench.takeEvents()
    expect(bench.call('BITOP', 'OR', 'd', 'a', 'none')).toBe(3)
    expect(bench.call('GET', 'd')).toBe('abc')
    expect(bench.call('TTL', 'd')).toBe(-1)
    expect(bench.call('OBJECT', 'ENCODING', 'd')).toBe('raw')
    expect(bench.call('BITOP', 'AND', 'd', 'none')).toBe(0)
    expect(bench.call('BITOP', 'AND', 'd', 'none')).toBe(0)
    expect(bench.takeEffects()).toEqual(['BITOP OR d a none', 'BITOP AND d none'])
    expect(bench.takeEvents()).toEqual(['set d', 'del d'])
    expectNoLeak()
  })

  test('may write to one of its sources, in whatever block the result goes', () => {
    const long = 'ab'.repeat(50_000)
    for (const text of ['ab', long]) {
      bench.call('SET', 'a', text)
      bench.call('SET', 'b', 'c'.repeat(text.length))
      bench.call('SET', 'd', 'd'.repeat(text.length))
      bench.call('BITOP', 'AND', 'd', 'a', 'b')
      expect(bench.call('GET', 'd')).toBe('ab'.repeat(text.length / 2))
      bench.call('BITOP', 'XOR', 'a', 'b', 'a')
      expect(bench.call('GET', 'a')).toBe('\x02\x01'.repeat(text.length / 2))
      bench.call('BITOP', 'NOT', 'a', 'a')
      expect(bench.call('GET', 'a')).toBe('\xfd\xfe'.repeat(text.length / 2))
    }
    expectNoLeak()
  })

  test('DIFF, DIFF1, ANDOR and ONE are those of Redis 8.2', () => {
    const bits = (binary: string): string => String.fromCharCode(Number.parseInt(binary, 2))
    bench.call('SET', 'x', `${bits('11110000')}z`)
    bench.call('SET', 'y1', bits('11001100'))
    bench.call('SET', 'y2', bits('10101010'))
    const result = (operation: string): unknown => {
      expect(bench.call('BITOP', operation, 'd', 'x', 'y1', 'y2')).toBe(2)
      return bench.call('GET', 'd')
    }
    expect(result('DIFF')).toBe(`${bits('00010000')}z`)
    expect(result('DIFF1')).toBe(`${bits('00001110')}\0`)
    expect(result('andor')).toBe(`${bits('11100000')}\0`)
    expect(result('ONE')).toBe(`${bits('00010110')}z`)
    expect(bench.call('BITOP', 'one', 'd', 'x')).toBe(2)
    expect(bench.call('GET', 'd')).toBe(`${bits('11110000')}z`)
    for (const operation of ['DIFF', 'DIFF1', 'ANDOR']) {
      const error = `-ERR BITOP ${operation} must be called with at least two source keys.`
      expect(bench.call('BITOP', operation.toLowerCase(), 'd', 'x')).toBe(error)
    }
  })

  test('refuses unknown operations, further keys of NOT, and other types', () => {
    expect(bench.call('BITOP', 'NAND', 'd', 'hash')).toBe(SYNTAX_ERROR)
    expect(bench.call('BITOP', 'NOT', 'd', 'a', 'b')).toBe('-ERR BITOP NOT must be called with a single source key.')
    expect(bench.call('BITOP', 'AND', 'd', 'none', 'hash')).toBe(WRONGTYPE)
  })
})

describe('BITFIELD', () => {
  test('is exact beyond 2^53', () => {
    const max = '9223372036854775807'
    expect(bench.wire('BITFIELD', 'k', 'SET', 'i64', '#0', max, 'GET', 'i64', '#0')).toBe(`*2\r\n:0\r\n:${max}\r\n`)
    expect(bench.wire('BITFIELD', 'k', 'INCRBY', 'i64', '0', '1')).toBe('*1\r\n:-9223372036854775808\r\n')
    expect(bench.wire('BITFIELD', 'k', 'SET', 'u63', '1', max, 'GET', 'u63', '1')).toBe(`*2\r\n:0\r\n:${max}\r\n`)
    expect(bench.wire('BITFIELD', 'k', 'OVERFLOW', 'SAT', 'INCRBY', 'u63', '1', '5')).toBe(`*1\r\n:${max}\r\n`)
    expect(bench.wire('BITFIELD', 'k', 'OVERFLOW', 'FAIL', 'INCRBY', 'u63', '1', '5')).toBe('*1\r\n$-1\r\n')
  })

  test('an operand far below a narrow field exceeds its upper limit, as in Redis', () => {
    const least = '-9223372036854775808'
    expect(bench.call('BITFIELD', 'k', 'OVERFLOW', 'SAT', 'SET', 'i8', '0', least, 'GET', 'i8', '0')).toEqual([0, 127])
    expect(bench.call('BITFIELD', 'k', 'OVERFLOW', 'SAT', 'SET', 'i8', '0', '-999', 'GET', 'i8', '0')).toEqual([
      127, -128,
    ])
    expect(bench.call('BITFIELD', 'k', 'OVERFLOW', 'SAT', 'SET', 'u8', '0', '-1', 'GET', 'u8', '0')).toEqual([128, 255])
  })

  test('parses everything before it runs anything, and refuses to write in its read-only form', () => {
    expect(bench.call('BITFIELD', 'k', 'SET', 'u8', '0', '1', 'GET', 'u64', '0')).toMatch(/^-ERR Invalid bitfield type/)
    expect(bench.call('BITFIELD', 'k', 'SET', 'u8', '0', '1', 'OVERFLOW', 'x')).toBe(
      '-ERR Invalid OVERFLOW type specified',
    )
    expect(bench.call('BITFIELD', 'k', 'SET', 'u8', '0')).toBe(SYNTAX_ERROR)
    expect(bench.call('BITFIELD', 'k', 'GET', 'u8', '#999999999999999999')).toBe(OFFSET_ERROR)
    expect(bench.call('BITFIELD_RO', 'hash', 'GET', 'u8', '0', 'SET', 'u8', '0', '1')).toBe(
      '-ERR BITFIELD_RO only supports the GET subcommand',
    )
    expect(bench.call('BITFIELD_RO', 'hash', 'GET', 'u8', '0')).toBe(WRONGTYPE)
    expect(bench.call('EXISTS', 'k')).toBe(0)
    expect(bench.takeEffects()).toEqual([])
  })

  test('is recorded when it writes, also when it only makes the string longer', () => {
    bench.call('BITFIELD', 'k', 'GET', 'u8', '0')
    bench.call('BITFIELD', 'k', 'SET', 'u8', '0', '1', 'INCRBY', 'u8', '0', '1')
    bench.call('BITFIELD', 'k', 'SET', 'u8', '0', '2')
    bench.call('BITFIELD', 'k', 'OVERFLOW', 'FAIL', 'SET', 'u1', '100', '2')
    expect(bench.takeEffects()).toEqual([
      'BITFIELD k SET u8 0 1 INCRBY u8 0 1',
      'BITFIELD k OVERFLOW FAIL SET u1 100 2',
    ])
    expect(bench.takeEvents().filter((event) => event !== 'new k')).toEqual(['setbit k'])
    expect(bench.call('STRLEN', 'k')).toBe(13)
    expectNoLeak()
  })
})
