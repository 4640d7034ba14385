/** LMOVEM and BLMOVEM: which elements go where, in which order, and who waits. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { listCommands } from '../../../src/commands/list/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { BlockingBench } from '../blocking-bench.ts'
import { CommandBench } from '../command-bench.ts'

describe('LMOVEM', () => {
  let bench: CommandBench

  beforeEach(() => {
    bench = new CommandBench([listCommands, stringCommands, genericCommands])
    bench.ctx.mayBlock = false
  })

  afterEach(() => {
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  const list = (key: string): unknown => bench.call('LRANGE', key, '0', '-1')

  test.each([
    // As many single moves would.
    ['LEFT', 'LEFT', 'OBO', ['3', 'b', 'a', 'x', 'y']],
    ['LEFT', 'RIGHT', 'OBO', ['x', 'y', 'a', 'b', '3']],
    ['RIGHT', 'LEFT', 'OBO', ['3', 'd', 'e', 'x', 'y']],
    ['RIGHT', 'RIGHT', 'OBO', ['x', 'y', 'e', 'd', '3']],
    // As they lie.
    ['LEFT', 'LEFT', 'BULK', ['a', 'b', '3', 'x', 'y']],
    ['LEFT', 'RIGHT', 'BULK', ['x', 'y', 'a', 'b', '3']],
    ['RIGHT', 'LEFT', 'BULK', ['3', 'd', 'e', 'x', 'y']],
    ['RIGHT', 'RIGHT', 'BULK', ['x', 'y', '3', 'd', 'e']],
  ])('from %s to %s, %s', (from, to, order, expected) => {
    bench.call('RPUSH', 's', 'a', 'b', '3', 'd', 'e')
    bench.call('RPUSH', 'd', 'x', 'y')
    const moved = expected.filter((element) => element !== 'x' && element !== 'y')
    expect(bench.call('LMOVEM', 's', 'd', from, to, 'COUNT', '3', order)).toEqual(moved)
    expect(list('d')).toEqual(expected)
    expect(list('s')).toEqual(from === 'LEFT' ? ['d', 'e'] : ['a', 'b'])
    expect(bench.events.slice(-2)).toEqual([
      to === 'LEFT' ? 'lpush d' : 'rpush d',
      from === 'LEFT' ? 'lpop s' : 'rpop s',
    ])
    expect(bench.effects.at(-1)).toBe(`LMOVEM s d ${from} ${to} COUNT 3 ${order}`)
  })

  test('one by one it does what as many LMOVE do, within a list too', () => {
    for (const from of ['LEFT', 'RIGHT']) {
      for (const to of ['LEFT', 'RIGHT']) {
        for (const target of ['s', 'd']) {
          bench.call('DEL', 's', 'd')
          bench.call('RPUSH', 's', '1', '2', '3', '4', '5')
          for (let n = 0; n < 3; n++) bench.call('LMOVE', 's', target, from, to)
          const expected = [list('s'), list('d')]
          bench.call('DEL', 's', 'd')
          bench.call('RPUSH', 's', '1', '2', '3', '4', '5')
          bench.call('LMOVEM', 's', target, from, to, 'EXACTLY', '3', 'OBO')
          expect([from, to, target, list('s'), list('d')]).toEqual([from, to, target, ...expected])
        }
      }
    }
  })

  test('COUNT takes what there is, and the source goes with its last element', () => {
    bench.call('RPUSH', 's', 'a', 'b')
    expect(bench.call('LMOVEM', 's', 'd', 'LEFT', 'RIGHT', 'count', '9', 'bulk')).toEqual(['a', 'b'])
    expect(bench.events).toEqual(['rpush s', 'rpush d', 'lpop s', 'del s'])
    expect(bench.call('LMOVEM', 's', 'd', 'LEFT', 'RIGHT', 'COUNT', '9', 'BULK')).toEqual([])
    expect(bench.call('LMOVEM', 'd', 'e', 'RIGHT', 'LEFT')).toEqual(['b'])
  })

  test('EXACTLY takes all or nothing', () => {
    bench.call('RPUSH', 's', 'a', 'b')
    bench.effects.length = 0
    expect(bench.wire('LMOVEM', 's', 'd', 'LEFT', 'RIGHT', 'EXACTLY', '3', 'OBO')).toBe('*-1\r\n')
    expect(bench.wire('LMOVEM', 'none', 'd', 'LEFT', 'RIGHT', 'EXACTLY', '1', 'OBO')).toBe('*-1\r\n')
    expect(bench.effects).toEqual([])
    expect(bench.call('LMOVEM', 's', 'd', 'LEFT', 'RIGHT', 'EXACTLY', '2', 'OBO')).toEqual(['a', 'b'])
  })

  test('thousands of long elements become a big list, and are all there', () => {
    const elements = Array.from({ length: 3000 }, (_, n) => `element ${n} ${'x'.repeat(n % 300)}`)
    bench.call('RPUSH', 's', ...elements)
    expect(bench.call('LMOVEM', 's', 'd', 'RIGHT', 'LEFT', 'COUNT', '2999', 'BULK')).toEqual(elements.slice(1))
    expect(list('d')).toEqual(elements.slice(1))
    expect(bench.encoding('d')).toBe('quicklist')
    expect(list('s')).toEqual(elements.slice(0, 1))
  })

  test('both words are needed, and types are checked before anything changes', () => {
    bench.call('RPUSH', 's', 'a')
    bench.call('SET', 'text', 'x')
    const call = (...words: string[]): unknown => bench.call('LMOVEM', 's', 'd', ...words)
    expect(call('LEFT', 'UP')).toBe('-ERR syntax error')
    expect(call('LEFT', 'LEFT', 'COUNT', '1')).toBe('-ERR syntax error')
    expect(call('LEFT', 'LEFT', 'COUNT', '1', 'OBO', 'x')).toBe('-ERR syntax error')
    expect(call('LEFT', 'LEFT', 'SOME', '1', 'OBO')).toBe('-ERR syntax error')
    expect(call('LEFT', 'LEFT', 'COUNT', '1', 'BOTH')).toBe('-ERR syntax error')
    expect(call('LEFT', 'LEFT', 'COUNT', '0', 'OBO')).toBe('-ERR value is out of range, must be positive')
    expect(bench.call('LMOVEM', 'text', 'd', 'LEFT', 'LEFT')).toMatch(/^-WRONGTYPE/)
    expect(bench.call('LMOVEM', 's', 'text', 'LEFT', 'LEFT')).toMatch(/^-WRONGTYPE/)
    expect(bench.call('LMOVEM', 'none', 'text', 'LEFT', 'LEFT')).toEqual([])
    expect(list('s')).toEqual(['a'])
  })
})

describe('BLMOVEM', () => {
  let bench: BlockingBench

  beforeEach(() => {
    bench = new BlockingBench()
  })

  afterEach(() => {
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
    bench.close()
  })

  test('waits until there are enough, and is recorded without its timeout', async () => {
    const exact = await bench.blocked('BLMOVEM', 's', 'd', 'LEFT', 'RIGHT', '0', 'EXACTLY', '3', 'BULK')
    await bench.client.call('RPUSH', 's', 'a', 'b')
    expect(exact.hasReply).toBe(false)
    await bench.client.call('RPUSH', 's', 'c', 'd')
    expect(await exact.next()).toEqual(['a', 'b', 'c'])
    const some = await bench.blocked('BLMOVEM', 'none', 'd', 'LEFT', 'RIGHT', '0', 'COUNT', '3', 'OBO')
    await bench.client.call('RPUSH', 'none', 'x')
    expect(await some.next()).toEqual(['x'])
    expect(bench.effects.filter((effect) => /MOVE/.test(effect))).toEqual([
      'LMOVEM s d LEFT RIGHT EXACTLY 3 BULK',
      'LMOVEM none d LEFT RIGHT COUNT 3 OBO',
    ])
  })

  test('replies null when its time is over, and at once in a transaction', async () => {
    expect(await bench.client.call('BLMOVEM', 's', 'd', 'LEFT', 'LEFT', '0.01')).toBe(null)
    await bench.client.call('MULTI')
    await bench.client.call('BLMOVEM', 's', 'd', 'LEFT', 'LEFT', '0', 'COUNT', '2', 'OBO')
    expect(await bench.client.call('EXEC')).toEqual([null])
    expect(await bench.client.call('BLMOVEM', 's', 'd', 'LEFT', 'LEFT', 'x')).toBe(
      '-ERR timeout is not a float or out of range',
    )
  })
})
