/** The commands of lists: replies, errors in their order, events, effects, encodings and accounting. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listCommands } from '../../../src/commands/list/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const SYNTAX_ERROR = '-ERR syntax error'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([listCommands, stringCommands])
  bench.ctx.mayBlock = false
})

afterEach(() => {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

function all(key: string): unknown {
  return bench.call('LRANGE', key, '0', '-1')
}

/** The changes that INFO reports, since the last call. */
function takeChanges(): number {
  const { stats } = bench.keyspace
  const changes = stats.changes
  stats.changes = 0
  return changes
}

test('LPUSH and RPUSH add elements one after the other and reply the length', () => {
  expect(bench.wire('RPUSH', 'l', 'a', 'b')).toBe(':2\r\n')
  expect(bench.call('LPUSH', 'l', 'c', 'd')).toBe(4)
  expect(all('l')).toEqual(['d', 'c', 'a', 'b'])
  expect(bench.takeEvents()).toEqual(['rpush l', 'lpush l'])
  expect(bench.takeEffects()).toEqual(['SELECT 0', 'RPUSH l a b', 'LPUSH l c d'])
  expect(takeChanges()).toBe(4)
})

test('LPUSHX and RPUSHX leave a missing key missing', () => {
  expect(bench.call('LPUSHX', 'l', 'a')).toBe(0)
  expect(bench.call('RPUSHX', 'l', 'a', 'b')).toBe(0)
  expect(bench.takeEffects()).toEqual([])
  bench.call('RPUSH', 'l', 'm')
  expect(bench.call('LPUSHX', 'l', 'a', 'b')).toBe(3)
  expect(bench.call('RPUSHX', 'l', 'z')).toBe(4)
  expect(all('l')).toEqual(['b', 'a', 'm', 'z'])
})

test('every command refuses a key of another type', () => {
  bench.call('SET', 's', 'x')
  bench.call('RPUSH', 'l', 'a')
  for (const words of [
    ['LPUSH', 's', 'a'],
    ['RPUSHX', 's', 'a'],
    ['LPOP', 's'],
    ['RPOP', 's', '0'],
    ['LLEN', 's'],
    ['LINDEX', 's', 'x'],
    ['LSET', 's', 'x', 'a'],
    ['LINSERT', 's', 'BEFORE', 'a', 'b'],
    ['LRANGE', 's', '0', '1'],
    ['LTRIM', 's', '0', '1'],
    ['LREM', 's', '0', 'a'],
    ['LPOS', 's', 'a'],
    ['LMOVE', 's', 'l', 'LEFT', 'LEFT'],
    ['LMOVE', 'l', 's', 'LEFT', 'LEFT'],
    ['RPOPLPUSH', 's', 's'],
    ['LMPOP', '2', 'none', 's', 'LEFT'],
    ['BLPOP', 'none', 's', '0'],
    ['BLMOVE', 's', 'l', 'LEFT', 'LEFT', '0'],
    ['BRPOPLPUSH', 'l', 's', '0'],
    ['BLMPOP', '0', '1', 's', 'LEFT'],
  ]) {
    expect([words, bench.call(...words)]).toEqual([words, WRONGTYPE])
  }
  expect(all('l')).toEqual(['a'])
})

test('LPOP and RPOP reply one element, or an array with a count', () => {
  bench.call('RPUSH', 'l', 'a', 'b', '3', 'd', 'e', 'f')
  bench.takeEvents()
  bench.takeEffects()
  takeChanges()
  expect(bench.wire('LPOP', 'l')).toBe('$1\r\na\r\n')
  expect(bench.call('RPOP', 'l', '2')).toEqual(['f', 'e'])
  expect(bench.wire('LPOP', 'l', '0')).toBe('*0\r\n')
  expect(takeChanges()).toBe(3)
  expect(bench.call('LPOP', 'l', '2')).toEqual(['b', '3'])
  expect(bench.call('RPOP', 'l', '100')).toEqual(['d'])
  expect(bench.takeEvents()).toEqual(['lpop l', 'rpop l', 'lpop l', 'rpop l', 'del l'])
  expect(bench.takeEffects()).toEqual(['LPOP l', 'RPOP l 2', 'LPOP l 2', 'RPOP l 100'])
  expect(bench.encoding('l')).toBe('none')
})

test('LPOP of a missing key is a null, or with a count an array that is null', () => {
  expect(bench.wire('LPOP', 'l')).toBe('$-1\r\n')
  expect(bench.wire('RPOP', 'l', '0')).toBe('*-1\r\n')
  bench.speak(3)
  expect(bench.wire('LPOP', 'l')).toBe('_\r\n')
  expect(bench.wire('RPOP', 'l', '5')).toBe('_\r\n')
})

test('LPOP looks at the number of arguments, then the count, then the key', () => {
  bench.call('SET', 's', 'x')
  expect(bench.call('LPOP', 's', '1', '2')).toBe("-ERR wrong number of arguments for 'lpop' command")
  expect(bench.call('RPOP', 's', '1', '2')).toBe("-ERR wrong number of arguments for 'rpop' command")
  expect(bench.call('LPOP', 's', '-1')).toBe('-ERR value is out of range, must be positive')
  expect(bench.call('LPOP', 's', 'x')).toBe('-ERR value is out of range, must be positive')
})

test('LINDEX and LSET take indexes from both ends, and look at the key first', () => {
  expect(bench.wire('LINDEX', 'l', 'x')).toBe('$-1\r\n')
  expect(bench.call('LSET', 'l', 'x', 'a')).toBe('-ERR no such key')
  bench.call('RPUSH', 'l', 'a', 'b', 'c')
  bench.takeEvents()
  expect(bench.call('LINDEX', 'l', 'x')).toBe(NOT_AN_INTEGER)
  expect(bench.call('LINDEX', 'l', '-3')).toBe('a')
  expect(bench.call('LINDEX', 'l', '2')).toBe('c')
  expect(bench.call('LINDEX', 'l', '3')).toBe(null)
  expect(bench.call('LINDEX', 'l', '-9223372036854775808')).toBe(null)
  expect(bench.wire('LSET', 'l', '-1', 'z')).toBe('+OK\r\n')
  expect(bench.call('LSET', 'l', '3', 'q')).toBe('-ERR index out of range')
  expect(bench.call('LSET', 'l', '-4', 'q')).toBe('-ERR index out of range')
  expect(bench.call('LSET', 'l', '1.5', 'q')).toBe(NOT_AN_INTEGER)
  expect(all('l')).toEqual(['a', 'b', 'z'])
  expect(bench.takeEvents()).toEqual(['lset l'])
})

test('LINSERT puts the element next to the first pivot, or replies -1 and changes nothing', () => {
  expect(bench.call('LINSERT', 'l', 'before', 'p', 'x')).toBe(0)
  bench.call('RPUSH', 'l', 'a', 'p', 'p')
  bench.takeEffects()
  bench.takeEvents()
  expect(bench.call('LINSERT', 'l', 'BEFORE', 'p', 'x')).toBe(4)
  expect(bench.call('LINSERT', 'l', 'after', 'p', '7')).toBe(5)
  expect(bench.call('LINSERT', 'l', 'AFTER', 'none', 'x')).toBe(-1)
  expect(bench.call('LINSERT', 's', 'beside', 'p', 'x')).toBe(SYNTAX_ERROR)
  expect(all('l')).toEqual(['a', 'x', 'p', '7', 'p'])
  expect(bench.takeEvents()).toEqual(['linsert l', 'linsert l'])
  expect(bench.takeEffects()).toEqual(['LINSERT l BEFORE p x', 'LINSERT l after p 7'])
})

test('LRANGE takes any range and looks at its numbers before the key', () => {
  expect(bench.call('LRANGE', 'l', 'a', '1')).toBe(NOT_AN_INTEGER)
  expect(bench.call('LRANGE', 'l', '0', '1')).toEqual([])
  bench.call('RPUSH', 'l', '0', '1', '2', '3')
  expect(bench.call('LRANGE', 'l', '1', '2')).toEqual(['1', '2'])
  expect(bench.call('LRANGE', 'l', '-100', '100')).toEqual(['0', '1', '2', '3'])
  expect(bench.call('LRANGE', 'l', '-2', '-2')).toEqual(['2'])
  expect(bench.call('LRANGE', 'l', '4', '10')).toEqual([])
  expect(bench.call('LRANGE', 'l', '2', '1')).toEqual([])
  expect(bench.call('LRANGE', 'l', '0', '-5')).toEqual([])
})

test('LTRIM keeps a range, and removes the key when that is empty', () => {
  expect(bench.wire('LTRIM', 'l', '0', '1')).toBe('+OK\r\n')
  bench.call('RPUSH', 'l', 'a', 'b', 'c', 'd', 'e')
  bench.takeEffects()
  bench.takeEvents()
  takeChanges()
  bench.call('LTRIM', 'l', '1', '-2')
  expect(all('l')).toEqual(['b', 'c', 'd'])
  expect(takeChanges()).toBe(2)
  // Nothing is cut off: the event comes all the same, but there is nothing to record.
  bench.call('LTRIM', 'l', '0', '-1')
  expect(takeChanges()).toBe(0)
  bench.call('LTRIM', 'l', '5', '10')
  expect(takeChanges()).toBe(3)
  expect(bench.encoding('l')).toBe('none')
  expect(bench.takeEvents()).toEqual(['ltrim l', 'ltrim l', 'ltrim l', 'del l'])
  expect(bench.takeEffects()).toEqual(['LTRIM l 1 -2', 'LTRIM l 5 10'])
})

test('LREM removes from the head, from the tail or everywhere', () => {
  expect(bench.call('LREM', 'l', 'x', 'a')).toBe(NOT_AN_INTEGER)
  expect(bench.call('LREM', 'l', '1', 'a')).toBe(0)
  bench.call('RPUSH', 'l', 'a', 'b', 'a', 'c', 'a', 'd', 'a')
  bench.takeEvents()
  expect(bench.call('LREM', 'l', '1', 'a')).toBe(1)
  expect(all('l')).toEqual(['b', 'a', 'c', 'a', 'd', 'a'])
  expect(bench.call('LREM', 'l', '-2', 'a')).toBe(2)
  expect(all('l')).toEqual(['b', 'a', 'c', 'd'])
  expect(bench.call('LREM', 'l', '0', 'none')).toBe(0)
  expect(bench.takeEvents()).toEqual(['lrem l', 'lrem l'])
  bench.call('RPUSH', 'm', '5', '5')
  bench.takeEvents()
  expect(bench.call('LREM', 'm', '0', '5')).toBe(2)
  expect(bench.takeEvents()).toEqual(['lrem m', 'del m'])
  expect(bench.encoding('m')).toBe('none')
})

test('LPOS finds matches by rank and count within a length', () => {
  bench.call('RPUSH', 'l', 'a', 'b', 'c', '1', '2', '3', 'c', 'c')
  expect(bench.call('LPOS', 'l', 'c')).toBe(2)
  expect(bench.call('LPOS', 'l', 'c', 'RANK', '2')).toBe(6)
  expect(bench.call('LPOS', 'l', 'c', 'rank', '-1')).toBe(7)
  expect(bench.call('LPOS', 'l', 'c', 'RANK', '4')).toBe(null)
  expect(bench.call('LPOS', 'l', 'c', 'COUNT', '0')).toEqual([2, 6, 7])
  expect(bench.call('LPOS', 'l', 'c', 'COUNT', '2', 'RANK', '-1')).toEqual([7, 6])
  expect(bench.call('LPOS', 'l', 'c', 'COUNT', '0', 'RANK', '2')).toEqual([6, 7])
  expect(bench.call('LPOS', 'l', 'c', 'MAXLEN', '2')).toBe(null)
  expect(bench.call('LPOS', 'l', 'c', 'COUNT', '0', 'MAXLEN', '3', 'RANK', '-1')).toEqual([7, 6])
  expect(bench.call('LPOS', 'l', '3')).toBe(5)
  expect(bench.call('LPOS', 'l', 'x', 'COUNT', '1')).toEqual([])
  expect(bench.call('LPOS', 'none', 'x')).toBe(null)
  expect(bench.call('LPOS', 'none', 'x', 'COUNT', '0')).toEqual([])
})

test('LPOS checks its options before the key', () => {
  const zero =
    "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
  const range = '-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807'
  expect(bench.call('LPOS', 'l', 'a', 'RANK', '0')).toBe(zero)
  expect(bench.call('LPOS', 'l', 'a', 'RANK', 'x')).toBe(NOT_AN_INTEGER)
  expect(bench.call('LPOS', 'l', 'a', 'RANK', '-9223372036854775808')).toBe(range)
  expect(bench.call('LPOS', 'l', 'a', 'RANK', '-9223372036854775807')).toBe(null)
  expect(bench.call('LPOS', 'l', 'a', 'COUNT', '-1')).toBe("-ERR COUNT can't be negative")
  expect(bench.call('LPOS', 'l', 'a', 'COUNT', 'x')).toBe("-ERR COUNT can't be negative")
  expect(bench.call('LPOS', 'l', 'a', 'MAXLEN', '-1')).toBe("-ERR MAXLEN can't be negative")
  expect(bench.call('LPOS', 'l', 'a', 'MAXLEN')).toBe(SYNTAX_ERROR)
  expect(bench.call('LPOS', 'l', 'a', 'FIRST', '1')).toBe(SYNTAX_ERROR)
})

test('LMOVE moves between all ends, also within one list', () => {
  bench.call('RPUSH', 'a', '1', 'x', '3')
  bench.takeEvents()
  bench.takeEffects()
  takeChanges()
  expect(bench.call('LMOVE', 'a', 'b', 'RIGHT', 'LEFT')).toBe('3')
  expect(bench.call('LMOVE', 'a', 'b', 'left', 'right')).toBe('1')
  expect(bench.call('RPOPLPUSH', 'a', 'b')).toBe('x')
  expect(all('b')).toEqual(['x', '3', '1'])
  expect(takeChanges()).toBe(3)
  expect(bench.call('LMOVE', 'b', 'b', 'LEFT', 'RIGHT')).toBe('x')
  expect(all('b')).toEqual(['3', '1', 'x'])
  expect(bench.wire('LMOVE', 'a', 'b', 'LEFT', 'LEFT')).toBe('$-1\r\n')
  expect(bench.takeEvents()).toEqual([
    'lpush b',
    'rpop a',
    'rpush b',
    'lpop a',
    'lpush b',
    'rpop a',
    'del a',
    'rpush b',
    'lpop b',
  ])
  expect(bench.takeEffects()).toEqual([
    'LMOVE a b RIGHT LEFT',
    'LMOVE a b left right',
    'RPOPLPUSH a b',
    'LMOVE b b LEFT RIGHT',
  ])
  expect(bench.call('LMOVE', 's', 'b', 'LEFT', 'UP')).toBe(SYNTAX_ERROR)
})

test('LMOVE within a list of one element keeps the key', () => {
  bench.call('RPUSH', 'a', 'only')
  expect(bench.call('RPOPLPUSH', 'a', 'a')).toBe('only')
  expect(all('a')).toEqual(['only'])
  bench.call('LSET', 'a', '0', 'x'.repeat(100_000))
  expect(bench.encoding('a')).toBe('quicklist')
  expect(bench.call('LMOVE', 'a', 'a', 'RIGHT', 'RIGHT')).toHaveLength(100_000)
  expect(bench.call('LLEN', 'a')).toBe(1)
})

test('LMOVE to a key that has expired makes a new list there', () => {
  bench.call('RPUSH', 'a', '1', '2')
  bench.call('RPUSH', 'b', 'old')
  bench.call('SET', 'c', 'x')
  bench.expireAt('b', bench.ctx.now + 10)
  bench.pass(20)
  expect(bench.call('LMOVE', 'a', 'b', 'LEFT', 'LEFT')).toBe('1')
  expect(all('a')).toEqual(['2'])
  expect(all('b')).toEqual(['1'])
})

test('LMPOP pops from the first list there is and is recorded as what it did', () => {
  expect(bench.wire('LMPOP', '1', 'none', 'LEFT')).toBe('*-1\r\n')
  bench.call('RPUSH', 'l', 'a', 'b', 'c')
  bench.takeEffects()
  bench.takeEvents()
  expect(bench.call('LMPOP', '2', 'none', 'l', 'left')).toEqual(['l', ['a']])
  expect(bench.call('LMPOP', '1', 'l', 'RIGHT', 'COUNT', '10')).toEqual(['l', ['c', 'b']])
  expect(bench.takeEffects()).toEqual(['LPOP l 1', 'RPOP l 2'])
  expect(bench.takeEvents()).toEqual(['lpop l', 'rpop l', 'del l'])
})

test('LMPOP refuses what is malformed in order', () => {
  expect(bench.call('LMPOP', '0', 'l', 'LEFT')).toBe('-ERR numkeys should be greater than 0')
  expect(bench.call('LMPOP', 'x', 'l', 'LEFT')).toBe('-ERR numkeys should be greater than 0')
  expect(bench.call('LMPOP', '2', 'l', 'LEFT')).toBe(SYNTAX_ERROR)
  expect(bench.call('LMPOP', '1', 'l', 'UP')).toBe(SYNTAX_ERROR)
  expect(bench.call('LMPOP', '1', 'l', 'LEFT', 'COUNT')).toBe(SYNTAX_ERROR)
  expect(bench.call('LMPOP', '1', 'l', 'LEFT', 'COUNT', '0')).toBe('-ERR count should be greater than 0')
  expect(bench.call('LMPOP', '1', 'l', 'LEFT', 'COUNT', '1', 'COUNT', '2')).toBe(SYNTAX_ERROR)
  expect(bench.call('LMPOP', '1', 'l', 'LEFT', 'MANY', '2')).toBe(SYNTAX_ERROR)
})

test('blocking commands that find a list act at once and are recorded without blocking', () => {
  bench.call('RPUSH', 'l', 'a', 'b', 'c', 'd', 'e', 'f')
  bench.takeEffects()
  expect(bench.call('BLPOP', 'none', 'l', '0')).toEqual(['l', 'a'])
  expect(bench.call('BRPOP', 'l', '1.5')).toEqual(['l', 'f'])
  expect(bench.call('BLMPOP', '0', '2', 'none', 'l', 'LEFT', 'COUNT', '2')).toEqual(['l', ['b', 'c']])
  expect(bench.call('BLMOVE', 'l', 'm', 'LEFT', 'RIGHT', '0')).toBe('d')
  expect(bench.call('BRPOPLPUSH', 'l', 'm', '0')).toBe('e')
  expect(bench.takeEffects()).toEqual(['LPOP l', 'RPOP l', 'LPOP l 2', 'LMOVE l m LEFT RIGHT', 'RPOPLPUSH l m'])
})

test('where blocking is not allowed, blocking commands reply as at the end of their time', () => {
  expect(bench.wire('BLPOP', 'l', '0')).toBe('*-1\r\n')
  expect(bench.wire('BRPOP', 'l', '0')).toBe('*-1\r\n')
  expect(bench.wire('BLMPOP', '0', '1', 'l', 'LEFT')).toBe('*-1\r\n')
  expect(bench.wire('BLMOVE', 'l', 'm', 'LEFT', 'LEFT', '0')).toBe('$-1\r\n')
  expect(bench.wire('BRPOPLPUSH', 'l', 'm', '0')).toBe('$-1\r\n')
})

test('a timeout is a number of seconds that is not negative and does not overflow', () => {
  const refusals: [string, string][] = [
    ['x', '-ERR timeout is not a float or out of range'],
    ['', '-ERR timeout is not a float or out of range'],
    ['nan', '-ERR timeout is not a float or out of range'],
    ['1 ', '-ERR timeout is not a float or out of range'],
    ['inf', '-ERR timeout is out of range'],
    ['1e400', '-ERR timeout is out of range'],
    ['0x7FFFFFFFFFFFFF', '-ERR timeout is out of range'],
    ['9223372036854775.807', '-ERR timeout is out of range'],
    ['-1', '-ERR timeout is negative'],
    ['-0.5', '-ERR timeout is negative'],
    ['-inf', '-ERR timeout is negative'],
  ]
  for (const [timeout, error] of refusals) {
    expect([timeout, bench.call('BLPOP', 'l', timeout)]).toEqual([timeout, error])
    expect([timeout, bench.call('BRPOPLPUSH', 'l', 'm', timeout)]).toEqual([timeout, error])
    expect([timeout, bench.call('BLMPOP', timeout, '1', 'l', 'LEFT')]).toEqual([timeout, error])
    expect([timeout, bench.call('BLMOVE', 'l', 'm', 'LEFT', 'RIGHT', timeout)]).toEqual([timeout, error])
  }
  for (const timeout of ['0', '0.001', '1e3', '0x10', '-0.0001', '9223372036854']) {
    expect([timeout, bench.call('BLPOP', 'l', timeout)]).toEqual([timeout, null])
  }
  // Ends and options come before the timeout.
  expect(bench.call('BLMOVE', 'l', 'm', 'UP', 'RIGHT', 'x')).toBe(SYNTAX_ERROR)
  expect(bench.call('BLMPOP', 'x', '0', 'l', 'LEFT')).toBe('-ERR numkeys should be greater than 0')
})

test.each([
  ['3', 'z'.repeat(8192)],
  ['-1', 'z'.repeat(4096)],
])('with list-max-listpack-size %s a large element makes a quicklist', (setting, large) => {
  bench.keyspace.limits.listMaxListpackSize = Number(setting)
  for (const words of [
    ['RPUSH', 'l', large],
    ['LINSERT', 'l', 'AFTER', 'b', large],
    ['LSET', 'l', '0', large],
  ]) {
    bench.call('LTRIM', 'l', '1', '0')
    bench.call('RPUSH', 'l', 'a', 'b', 'c')
    expect(bench.encoding('l')).toBe('listpack')
    bench.call(...words)
    expect(bench.encoding('l')).toBe('quicklist')
  }
  bench.call('RPUSH', 'source', 'a', 'b', 'c', large)
  bench.call('RPUSH', 'target', 'd', 'e', 'f')
  expect([bench.encoding('source'), bench.encoding('target')]).toEqual(['quicklist', 'listpack'])
  bench.call('LMOVE', 'source', 'target', 'RIGHT', 'RIGHT')
  expect(bench.encoding('target')).toBe('quicklist')
})

test.each([
  [['RPOP', 'l', '3']],
  [['LREM', 'l', '3', 'a']],
  [['LTRIM', 'l', '1', '1']],
])('a quicklist becomes a listpack when %j leaves at most half of what fits', (words) => {
  bench.keyspace.limits.listMaxListpackSize = 3
  bench.call('RPUSH', 'l', 'a', 'a', 'a', 'd')
  expect(bench.encoding('l')).toBe('quicklist')
  bench.call(...words)
  expect(bench.encoding('l')).toBe('listpack')
})

test('LSET of a large element by a small one makes a quicklist a listpack again', () => {
  bench.keyspace.limits.listMaxListpackSize = -1
  bench.call('RPUSH', 'l', 'x'.repeat(5000), 'a', 'b')
  bench.call('RPOP', 'l', '2')
  expect(bench.encoding('l')).toBe('quicklist')
  bench.call('LSET', 'l', '-1', 'c')
  expect(bench.encoding('l')).toBe('listpack')
})
