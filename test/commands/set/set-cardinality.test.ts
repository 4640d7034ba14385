/** SUNIONCARD and SDIFFCARD: how many members a union or a difference has. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { setCommands } from '../../../src/commands/set/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { CommandBench } from '../command-bench.ts'

let bench: CommandBench

const call = (line: string): unknown => bench.call(...line.split(' '))
const numbers = (from: number, to: number, prefix: string): string[] =>
  Array.from({ length: to - from }, (_, n) => `${prefix}${from + n}`)

beforeEach(() => {
  bench = new CommandBench([setCommands, stringCommands])
  call('SADD a 1 2 3 x')
  call('SADD b 3 4 y')
  bench.call('SADD', 'c', ...numbers(0, 300, 'm'))
})

afterEach(() => {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

describe('SUNIONCARD', () => {
  test('counts the members of all sets once, up to a limit', () => {
    expect(call('SUNIONCARD 1 a')).toBe(4)
    expect(call('SUNIONCARD 2 a b')).toBe(6)
    expect(call('SUNIONCARD 3 a none c')).toBe(304)
    expect(call('SUNIONCARD 2 a a LIMIT 0')).toBe(4)
    expect(call('SUNIONCARD 2 a b LIMIT 5')).toBe(5)
    expect(call('SUNIONCARD 2 a b LIMIT 50')).toBe(6)
    expect(call('SUNIONCARD 1 c LIMIT 7')).toBe(7)
    expect(call('SUNIONCARD 2 none nothing')).toBe(0)
  })

  test('APPROX estimates, to within a few percent, in any place among the options', () => {
    expect(call('SUNIONCARD 2 a b APPROX')).toBe(6)
    for (let i = 0; i < 10; i++) {
      bench.call('SADD', 'd', ...numbers(i * 1000, i * 1000 + 1000, 'm'))
      bench.call('SADD', 'e', ...numbers(i * 1000 + 5000, i * 1000 + 6000, ''))
    }
    const estimate = call('SUNIONCARD 2 d e APPROX') as number
    expect(Math.abs(estimate - 20_000)).toBeLessThan(800)
    expect(call('SUNIONCARD 2 d e LIMIT 100 APPROX')).toBe(100)
    expect(call('SUNIONCARD 2 d e')).toBe(20_000)
  })
})

describe('SDIFFCARD', () => {
  test('counts what only the first set has, up to a limit', () => {
    expect(call('SDIFFCARD 1 a')).toBe(4)
    expect(call('SDIFFCARD 2 a b')).toBe(3)
    expect(call('SDIFFCARD 2 a b LIMIT 2')).toBe(2)
    expect(call('SDIFFCARD 3 c a b LIMIT 0')).toBe(300)
    expect(call('SDIFFCARD 3 c a b LIMIT 299')).toBe(299)
    expect(call('SDIFFCARD 2 a a')).toBe(0)
    expect(call('SDIFFCARD 2 none a')).toBe(0)
    expect(call('SDIFFCARD 2 a none')).toBe(4)
  })
})

test.each(['SUNIONCARD', 'SDIFFCARD'])('%s refuses what is wrong, in this order', (name) => {
  call('SET text x')
  const errors: [string, string][] = [
    ['0 a', '-ERR numkeys should be greater than 0'],
    ['x a', '-ERR numkeys should be greater than 0'],
    ['3 a b', "-ERR Number of keys can't be greater than number of args"],
    ['1 a LIMIT', '-ERR syntax error'],
    ['1 a BOGUS 1', '-ERR syntax error'],
    ['1 a LIMIT -1', "-ERR LIMIT can't be negative"],
    ['2 none text', '-WRONGTYPE Operation against a key holding the wrong kind of value'],
  ]
  for (const [args, error] of errors) expect(bench.wire(name, ...args.split(' '))).toBe(`${error}\r\n`)
  expect(bench.wire('SDIFFCARD', '1', 'a', 'APPROX')).toBe('-ERR syntax error\r\n')
})
