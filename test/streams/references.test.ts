/** Deleting entries with regard to the groups that need them: XDELEX, XACKDEL and the policies of XADD and XTRIM. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { streamCommands } from '../../src/commands/stream/index.ts'
import { stringCommands } from '../../src/commands/string/index.ts'
import { CommandBench } from '../commands/command-bench.ts'

let bench: CommandBench

beforeEach(() => {
  bench = new CommandBench([streamCommands, stringCommands])
})

afterEach(() => {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

/** Adds entries 1-0 … count-0. */
function fill(count: number): void {
  for (let n = 1; n <= count; n++) bench.call('XADD', 's', `${n}-0`, 'f', 'v')
}

function group(name: string, read: number, ...acknowledged: string[]): void {
  bench.call('XGROUP', 'CREATE', 's', name, '0')
  if (read > 0) bench.call('XREADGROUP', 'GROUP', name, 'c', 'COUNT', String(read), 'STREAMS', 's', '>')
  if (acknowledged.length > 0) bench.call('XACK', 's', name, ...acknowledged)
  bench.effects.length = 0
  bench.events.length = 0
}

function entries(): string[] {
  return (bench.call('XRANGE', 's', '-', '+') as [string, unknown][]).map(([id]) => id)
}

function pending(name: string): string[] {
  return (bench.call('XPENDING', 's', name, '-', '+', '100') as [string][]).map(([id]) => id)
}

test('XDELEX keeps references by default, and drops them with DELREF', () => {
  fill(4)
  group('g', 4)
  expect(bench.call('XDELEX', 's', 'IDS', '2', '1-0', '9-0')).toEqual([1, -1])
  expect(bench.call('XDELEX', 's', 'KEEPREF', 'IDS', '1', '2-0')).toEqual([1])
  expect(bench.call('XDELEX', 's', 'IDS', '1', '3-0', 'delref')).toEqual([1])
  expect(pending('g')).toEqual(['1-0', '2-0', '4-0'])
  expect(entries()).toEqual(['4-0'])
  expect(bench.events).toEqual(['xdel s', 'xdel s', 'xdel s'])
  expect(bench.effects[0]).toBe('XDELEX s IDS 2 1-0 9-0')
})

test('XDELEX DELREF clears what is pending of an entry that is gone', () => {
  fill(2)
  group('g', 2)
  bench.call('XDEL', 's', '1-0')
  bench.effects.length = 0
  expect(bench.call('XDELEX', 's', 'DELREF', 'IDS', '1', '1-0')).toEqual([-1])
  expect(pending('g')).toEqual(['2-0'])
  expect(bench.effects).toEqual(['XDELEX s DELREF IDS 1 1-0'])
})

test('XDELEX ACKED deletes what every group has read and acknowledged', () => {
  fill(4)
  group('a', 3, '1-0', '2-0')
  group('b', 2, '1-0')
  expect(bench.call('XDELEX', 's', 'ACKED', 'IDS', '5', '1-0', '2-0', '3-0', '4-0', '9-0')).toEqual([1, 2, 2, 2, -1])
  expect(entries()).toEqual(['2-0', '3-0', '4-0'])
})

test('without groups nothing is referenced', () => {
  fill(2)
  expect(bench.call('XDELEX', 's', 'ACKED', 'IDS', '1', '1-0')).toEqual([1])
  expect(bench.call('XTRIM', 's', 'MAXLEN', '0', 'ACKED')).toBe(1)
})

test('XDELEX of a missing key has -1 for each ID, and changes nothing', () => {
  expect(bench.call('XDELEX', 'none', 'IDS', '2', '1-0', '2-0')).toEqual([-1, -1])
  expect(bench.call('XACKDEL', 'none', 'g', 'IDS', '1', '1-0')).toEqual([-1])
  expect(bench.effects).toEqual([])
})

test('XACKDEL acknowledges and deletes; with ACKED only when no other group needs the entry', () => {
  fill(4)
  group('a', 4)
  group('b', 2, '1-0')
  expect(bench.call('XACKDEL', 's', 'a', 'ACKED', 'IDS', '3', '1-0', '2-0', '4-0')).toEqual([1, 2, 2])
  expect(pending('a')).toEqual(['3-0'])
  expect(entries()).toEqual(['2-0', '3-0', '4-0'])
  expect(bench.call('XACKDEL', 's', 'a', 'IDS', '2', '1-0', '3-0')).toEqual([-1, 1])
  expect(bench.call('XACKDEL', 's', 'b', 'DELREF', 'IDS', '1', '2-0')).toEqual([1])
  expect(pending('b')).toEqual([])
  expect(entries()).toEqual(['4-0'])
  expect(bench.call('XACKDEL', 's', 'nobody', 'IDS', '1', '4-0')).toEqual([-1])
})

test('XACKDEL of an entry that is gone acknowledges it', () => {
  fill(1)
  group('g', 1)
  bench.call('XDEL', 's', '1-0')
  bench.effects.length = 0
  expect(bench.call('XACKDEL', 's', 'g', 'IDS', '1', '1-0')).toEqual([1])
  expect(pending('g')).toEqual([])
  expect(bench.effects).toEqual(['XACKDEL s g IDS 1 1-0'])
})

test('options of XDELEX and XACKDEL are checked before anything changes', () => {
  fill(2)
  bench.call('SET', 'text', 'x')
  for (const [words, error] of [
    [['IDS', '0', '1-0'], 'ERR Number of IDs must be a positive integer'],
    [['IDS', 'x', '1-0'], 'ERR Number of IDs must be a positive integer'],
    [['IDS', '3', '1-0', '2-0'], 'ERR The `numids` parameter must match the number of arguments'],
    [['IDS', '1', '1-0', '2-0'], 'ERR syntax error'],
    [['IDS', '2', '1-0', 'x'], 'ERR Invalid stream ID specified as stream command argument'],
    [['KEEPREF', 'ACKED', 'IDS', '1', '1-0'], 'ERR syntax error'],
    [['KEEPREF', '1', '1-0'], 'ERR syntax error'],
    [['KEEPREF', 'DELREF', 'IDS'], 'ERR syntax error'],
  ] as const) {
    expect([words, bench.call('XDELEX', 's', ...words)]).toEqual([words, `-${error}`])
    expect([words, bench.call('XACKDEL', 's', 'g', ...words)]).toEqual([words, `-${error}`])
  }
  expect(bench.call('XDELEX', 'text', 'IDS', '1', '1-0')).toMatch(/^-WRONGTYPE/)
  expect(entries()).toEqual(['1-0', '2-0'])
})

test('XTRIM DELREF drops what is pending of the entries that go', () => {
  fill(5)
  group('g', 5)
  expect(bench.call('XTRIM', 's', 'MAXLEN', '2', 'DELREF')).toBe(3)
  expect(pending('g')).toEqual(['4-0', '5-0'])
  expect(bench.call('XTRIM', 's', 'MINID', '5', 'KEEPREF')).toBe(1)
  expect(pending('g')).toEqual(['4-0', '5-0'])
  expect(entries()).toEqual(['5-0'])
})

test('XTRIM ACKED leaves what is needed, and takes later entries in its place', () => {
  fill(6)
  group('a', 5, '1-0', '3-0', '4-0')
  group('b', 4, '1-0', '2-0', '3-0', '4-0')
  expect(bench.call('XTRIM', 's', 'ACKED', 'MAXLEN', '4')).toBe(2)
  expect(entries()).toEqual(['2-0', '4-0', '5-0', '6-0'])
  expect(bench.call('XTRIM', 's', 'MAXLEN', '0', 'ACKED')).toBe(1)
  expect(entries()).toEqual(['2-0', '5-0', '6-0'])
  expect(bench.call('XTRIM', 's', 'MINID', '9', 'ACKED')).toBe(0)
  bench.call('XACK', 's', 'a', '2-0')
  expect(bench.call('XTRIM', 's', 'MINID', '9', 'ACKED')).toBe(1)
  expect(bench.call('XINFO', 'STREAM', 's')).toContain('max-deleted-entry-id')
})

test('XADD with ACKED trims what its groups have done with', () => {
  fill(3)
  group('g', 2, '1-0', '2-0')
  expect(bench.call('XADD', 's', 'ACKED', 'MAXLEN', '1', '4-0', 'f', 'v')).toBe('4-0')
  expect(entries()).toEqual(['3-0', '4-0'])
  expect(bench.events).toEqual(['xadd s', 'xtrim s'])
  expect(bench.call('XADD', 's', 'ACKED', 'DELREF', '5-0', 'f', 'v')).toBe('-ERR syntax error')
  // Behind the ID such a word is a field.
  expect(bench.call('XADD', 's', '5-0', 'ACKED', 'DELREF')).toBe('5-0')
})

test('approximate trimming goes by whole blocks, and is recorded so that it replays to the same', () => {
  for (const words of [
    ['XTRIM', 's', 'MAXLEN', '~', '3', 'ACKED'],
    ['XTRIM', 's', 'MINID', '~', '7', 'ACKED'],
    ['XTRIM', 's', 'MAXLEN', '~', '0', 'LIMIT', '4', 'DELREF'],
    ['XTRIM', 's', 'MINID', '~', '8', 'LIMIT', '6', 'DELREF'],
    ['XADD', 's', 'ACKED', 'MINID', '~', '9', '12-0', 'f', 'v'],
  ]) {
    const [ours, replayed] = [1, 2].map(() => {
      bench = new CommandBench([streamCommands, stringCommands])
      bench.keyspace.limits.streamNodeMaxEntries = 3
      fill(11)
      group('g', 9, '1-0', '3-0', '4-0', '5-0', '6-0', '8-0', '9-0')
      return bench
    })
    bench = ours!
    expect([words, bench.call(...words)]).not.toEqual([words, 0])
    const effects = bench.effects.slice()
    const left = entries()
    const leftPending = pending('g')
    bench = replayed!
    // What replays a log takes no notice of LIMIT.
    for (const effect of effects) bench.call(...effect.replace(/ LIMIT \d+/, '').split(' '))
    expect([words, effects, entries(), pending('g')]).toEqual([words, effects, left, leftPending])
    expect(effects.join(' ')).not.toContain('~')
  }
})
