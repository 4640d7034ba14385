/** MAXCOUNT and MAXSIZE of XREAD and XREADGROUP: limits for all streams of a call together. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { streamCommands } from '../../src/commands/stream/index.ts'
import { CommandBench } from '../commands/command-bench.ts'
import { TestBroker } from '../support/broker.ts'

type Streams = [string, [string, unknown][]][] | null

describe('limits for all streams', () => {
  let bench: CommandBench

  beforeEach(() => {
    bench = new CommandBench([streamCommands])
    bench.ctx.mayBlock = false
    for (const key of ['a', 'b']) {
      // Ten bytes each: a field of one, and a value of nine.
      for (let i = 1; i <= 4; i++) bench.call('XADD', key, `${i}-0`, 'f', i % 2 === 0 ? '123456789' : 'abcdefghi')
      bench.call('XGROUP', 'CREATE', key, 'g', '0')
    }
  })

  afterEach(() => {
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  /** IDs by stream, as `a:1,2 b:1`. */
  const shown = (reply: unknown): string =>
    ((reply as Streams) ?? [])
      .map(([key, entries]) => `${key}:${entries.map(([id]) => id.replace('-0', '')).join(',')}`)
      .join(' ')
  const read = (...options: string[]): string => shown(bench.call('XREAD', ...options, 'STREAMS', 'a', 'b', '0', '0'))
  const readGroup = (id: string, ...options: string[]): string =>
    shown(bench.call('XREADGROUP', 'GROUP', 'g', 'c', ...options, 'STREAMS', 'a', 'b', id, id))

  test('MAXCOUNT counts the entries of all streams', () => {
    expect(read('MAXCOUNT', '3')).toBe('a:1,2,3')
    expect(read('MAXCOUNT', '4')).toBe('a:1,2,3,4')
    expect(read('MAXCOUNT', '5')).toBe('a:1,2,3,4 b:1')
    expect(read('COUNT', '2', 'MAXCOUNT', '3')).toBe('a:1,2 b:1')
    expect(read('COUNT', '1', 'MAXCOUNT', '2')).toBe('a:1 b:1')
    expect(read('COUNT', '1', 'MAXCOUNT', '1')).toBe('a:1')
    expect(read('maxcount', '99')).toBe('a:1,2,3,4 b:1,2,3,4')
  })

  test('MAXSIZE counts the bytes of fields and values, and lets the first entry pass', () => {
    expect(read('MAXSIZE', '1')).toBe('a:1')
    expect(read('MAXSIZE', '19')).toBe('a:1')
    expect(read('MAXSIZE', '20')).toBe('a:1,2')
    expect(read('MAXSIZE', '49')).toBe('a:1,2,3,4')
    expect(read('MAXSIZE', '50')).toBe('a:1,2,3,4 b:1')
    expect(read('COUNT', '1', 'MAXSIZE', '10')).toBe('a:1')
    expect(read('COUNT', '1', 'MAXSIZE', '20')).toBe('a:1 b:1')
    expect(read('MAXSIZE', '1000', 'MAXCOUNT', '1')).toBe('a:1')
  })

  test('what was not replied was not delivered either', () => {
    expect(readGroup('>', 'MAXCOUNT', '5')).toBe('a:1,2,3,4 b:1')
    expect(readGroup('>', 'MAXSIZE', '25')).toBe('b:2,3')
    expect(readGroup('>', 'COUNT', '1', 'MAXSIZE', '5')).toBe('b:4')
    expect(readGroup('>', 'MAXCOUNT', '5')).toBe('')
    expect(bench.call('XPENDING', 'b', 'g')).toEqual([4, '1-0', '4-0', [['c', '4']]])
  })

  test('hold for what is pending, too', () => {
    readGroup('>')
    bench.call('XDEL', 'a', '1-0')
    expect(readGroup('0', 'MAXCOUNT', '2')).toBe('a:1,2')
    expect(readGroup('0', 'MAXSIZE', '30')).toBe('a:1,2,3,4')
    expect(readGroup('0', 'MAXSIZE', '39')).toBe('a:1,2,3,4')
    expect(readGroup('0', 'MAXSIZE', '40')).toBe('a:1,2,3,4 b:1')
    const counts = (bench.call('XPENDING', 'b', 'g', '-', '+', '2') as unknown[][]).map((row) => row[3])
    expect(counts).toEqual([2, 1])
  })

  test('hold for what CLAIM takes over, before what is new', () => {
    readGroup('>', 'COUNT', '2')
    bench.pass(100)
    const claim = (...options: string[]): string =>
      shown(bench.call('XREADGROUP', 'GROUP', 'g', 'd', 'CLAIM', '50', ...options, 'STREAMS', 'a', 'b', '>', '>'))
    expect(claim('MAXCOUNT', '1')).toBe('a:1')
    expect(claim('MAXSIZE', '20')).toBe('a:2,3')
    expect(claim('MAXCOUNT', '2', 'MAXSIZE', '1000')).toBe('a:4 b:1')
    expect(bench.call('XPENDING', 'b', 'g', '-', '+', '9', 'd')).toEqual([['1-0', 'd', 0, 2]])
    expect(claim('COUNT', '2', 'MAXCOUNT', '5')).toBe('b:2,3')
  })

  test.each([
    ['MAXCOUNT 0', 'ERR value is out of range, must be positive'],
    ['MAXCOUNT x', 'ERR value is out of range, must be positive'],
    ['MAXSIZE -1', 'ERR value is out of range, must be positive'],
    ['COUNT 3 MAXCOUNT 2', 'ERR MAXCOUNT must be greater than or equal to COUNT'],
    ['MAXSIZE', 'ERR syntax error'],
  ])('%s is refused', (options, error) => {
    for (const head of [['XREAD'], ['XREADGROUP', 'GROUP', 'g', 'c']]) {
      const tail = options === 'MAXSIZE' ? [] : ['STREAMS', 'a', '0']
      expect(bench.wire(...head, ...options.split(' '), ...tail)).toMatch(
        error === 'ERR syntax error' ? /^-ERR/ : `-${error}`,
      )
    }
  })
})

test('a client that waits is woken with no more than its limit allows', async () => {
  const broker = await TestBroker.start()
  const [waiter, writer] = [await broker.connect(), await broker.connect()]
  const plain = waiter.call('XREAD', 'MAXCOUNT', '2', 'BLOCK', '0', 'STREAMS', 's', '$')
  await until(broker)
  await writer.call('MULTI')
  for (let i = 1; i <= 3; i++) await writer.call('XADD', 's', `${i}-0`, 'f', 'v')
  await writer.call('EXEC')
  expect(await plain).toEqual([
    [
      's',
      [
        ['1-0', ['f', 'v']],
        ['2-0', ['f', 'v']],
      ],
    ],
  ])
  await broker.stop()
})

/** Until a client is blocked. */
async function until(broker: TestBroker): Promise<void> {
  const client = await broker.connect()
  for (;;) {
    if (String(await client.call('INFO', 'clients')).includes('blocked_clients:1')) return
  }
}
