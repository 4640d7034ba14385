/** XREADGROUP with CLAIM: what others have left lying is taken over before new entries are read. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { streamCommands } from '../../src/commands/stream/index.ts'
import { stringCommands } from '../../src/commands/string/index.ts'
import { CommandBench } from '../commands/command-bench.ts'
import { TestBroker, TestClock } from '../support/broker.ts'

const FIELDS = ['f', 'v']

describe('CLAIM', () => {
  let bench: CommandBench

  beforeEach(() => {
    bench = new CommandBench([streamCommands, stringCommands])
    bench.ctx.mayBlock = false
    for (const id of ['1-0', '2-0', '3-0', '4-0']) bench.call('XADD', 's', id, ...FIELDS)
    bench.call('XGROUP', 'CREATE', 's', 'g', '0')
  })

  afterEach(() => {
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  const read = (consumer: string, ...options: string[]): unknown =>
    bench.call('XREADGROUP', 'GROUP', 'g', consumer, ...options, 'STREAMS', 's', '>')
  const pending = (): unknown[] => (bench.call('XPENDING', 's', 'g', '-', '+', '10') as unknown[][]).map((row) => row)

  test('takes over the longest idle first, then new entries, and shares COUNT between both', () => {
    read('other', 'COUNT', '2')
    bench.pass(50)
    bench.call('XCLAIM', 's', 'g', 'other', '0', '1-0')
    bench.pass(100)
    expect(read('me', 'CLAIM', '100', 'COUNT', '3')).toEqual([
      [
        's',
        [
          ['2-0', FIELDS, 150, 1],
          ['1-0', FIELDS, 100, 2],
          ['3-0', FIELDS, 0, 0],
        ],
      ],
    ])
    expect(pending()).toEqual([
      ['1-0', 'me', 0, 3],
      ['2-0', 'me', 0, 2],
      ['3-0', 'me', 0, 1],
    ])
    bench.pass(99)
    expect(read('me', 'CLAIM', '100')).toEqual([['s', [['4-0', FIELDS, 0, 0]]]])
    expect(read('me', 'CLAIM', '100')).toBe(null)
    bench.pass(1)
    expect(read('third', 'CLAIM', '100', 'COUNT', '1')).toEqual([['s', [['1-0', FIELDS, 100, 3]]]])
  })

  test('is recorded as XCLAIM of each entry, also with NOACK', () => {
    read('other', 'COUNT', '1')
    bench.pass(10)
    bench.effects.length = 0
    expect(read('me', 'NOACK', 'CLAIM', '5', 'COUNT', '2')).toEqual([
      [
        's',
        [
          ['1-0', FIELDS, 10, 1],
          ['2-0', FIELDS, 0, 0],
        ],
      ],
    ])
    expect(bench.effects.map((effect) => effect.split(' ').slice(0, 6).join(' '))).toEqual([
      'MULTI',
      'XGROUP CREATECONSUMER s g me',
      'XCLAIM s g me 0 1-0',
      'XGROUP SETID s g 2-0 ENTRIESREAD',
      'EXEC',
    ])
    expect(pending()).toEqual([['1-0', 'me', 0, 2]])
  })

  test('leaves out entries that are gone, and acts with > only', () => {
    read('other', 'COUNT', '2')
    bench.call('XDEL', 's', '1-0')
    bench.pass(10)
    expect(bench.call('XREADGROUP', 'GROUP', 'g', 'other', 'CLAIM', '0', 'STREAMS', 's', '0')).toEqual([
      [
        's',
        [
          ['1-0', null],
          ['2-0', FIELDS],
        ],
      ],
    ])
    expect(read('me', 'CLAIM', '0', 'COUNT', '1')).toEqual([['s', [['2-0', FIELDS, 0, 2]]]])
    expect(bench.call('XREADGROUP', 'GROUP', 'g', 'me', 'CLAIM', '1', 'STREAMS', 's', '9')).toEqual([['s', []]])
  })

  test('finds the longest idle of thousands, whatever was delivered since', () => {
    const count = 3000
    for (let n = 5; n <= count; n++) bench.call('XADD', 's', `${n}-0`, ...FIELDS)
    read('other')
    // Delivered again in an order of its own, one in each millisecond.
    const order = Array.from({ length: count }, (_, n) => ((n * 1117) % count) + 1)
    for (const n of order) {
      bench.pass(1)
      bench.call('XCLAIM', 's', 'g', 'other', '0', `${n}-0`, 'JUSTID')
    }
    for (let from = 0; from < 60; from += 20) {
      const [[, entries]] = read('me', 'CLAIM', '1000', 'COUNT', '20') as [[string, [string][]]]
      expect(entries.map(([id]) => id)).toEqual(order.slice(from, from + 20).map((n) => `${n}-0`))
    }
    const [[, rest]] = read('me', 'CLAIM', '1000') as [[string, [string][]]]
    expect(rest.map(([id]) => id)).toEqual(order.slice(60, count - 1000).map((n) => `${n}-0`))
  })

  test('its errors come in the order of the options', () => {
    expect(bench.call('XREAD', 'CLAIM', '5', 'STREAMS', 's', '0')).toBe(
      '-ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.',
    )
    expect(read('c', 'CLAIM', 'x')).toBe('-ERR min-idle-time is not an integer or out of range')
    expect(read('c', 'CLAIM', '-1')).toBe('-ERR min-idle-time must be a positive integer')
  })
})

test('a client that waits to claim is woken when an entry has been idle for long enough', async () => {
  const broker = await TestBroker.start()
  const client = await broker.connect()
  const waiting = await broker.connect()
  await client.call('XADD', 's', '1-0', ...FIELDS)
  await client.call('XGROUP', 'CREATE', 's', 'g', '0')
  await client.call('XREADGROUP', 'GROUP', 'g', 'other', 'STREAMS', 's', '>')
  const call = (...options: string[]): Promise<unknown> =>
    waiting.call('XREADGROUP', 'GROUP', 'g', 'me', ...options, 'STREAMS', 's', '>')
  const [[, [entry]]] = (await call('BLOCK', '0', 'CLAIM', '60')) as [[string, [[string, string[], number, number]]]]
  expect([entry[0], entry[1], entry[3]]).toEqual(['1-0', FIELDS, 1])
  expect(entry[2]).toBeGreaterThanOrEqual(60)
  // It is this client's now, and new again.
  expect(await call('BLOCK', '30', 'CLAIM', '100000')).toBe(null)
  // What becomes pending while it waits is claimed too.
  await client.call('XACK', 's', 'g', '1-0')
  const second = call('BLOCK', '0', 'CLAIM', '40')
  await expect.poll(() => broker.server.blocking.count).toBe(1)
  await client.pipeline([
    ['MULTI'],
    ['XADD', 's', '2-0', ...FIELDS],
    ['XREADGROUP', 'GROUP', 'g', 'other', 'STREAMS', 's', '>'],
    ['EXEC'],
  ])
  const [[, [claimed]]] = (await second) as [[string, [[string, string[], number, number]]]]
  expect([claimed[0], claimed[3]]).toEqual(['2-0', 1])
  expect(broker.server.blocking.count).toBe(0)
  await broker.stop()
})

test('a client that waits to claim takes nothing while writes are paused', async () => {
  const clock = new TestClock()
  const broker = await TestBroker.start({}, clock)
  const { blocking } = broker.server
  const client = await broker.connect()
  const waiting = await broker.connect()
  await client.call('XADD', 's', '1-0', ...FIELDS)
  await client.call('XGROUP', 'CREATE', 's', 'g', '0')
  await client.call('XREADGROUP', 'GROUP', 'g', 'other', 'STREAMS', 's', '>')
  const claimed = waiting.call('XREADGROUP', 'GROUP', 'g', 'me', 'BLOCK', '0', 'CLAIM', '30', 'STREAMS', 's', '>')
  await expect.poll(() => blocking.count).toBe(1)
  await client.call('CLIENT', 'PAUSE', '100000', 'WRITE')
  clock.pass(30)
  await expect.poll(() => blocking.hasDuePolls).toBe(true)
  // Commands that read are served meanwhile, and do not let it through.
  expect(await client.call('XPENDING', 's', 'g', '-', '+', '1')).toEqual([['1-0', 'other', 30, 1]])
  expect(blocking.count).toBe(1)
  await client.call('CLIENT', 'UNPAUSE')
  expect(await claimed).toEqual([['s', [['1-0', FIELDS, 30, 1]]]])
  expect(blocking.hasDuePolls).toBe(false)
  await broker.stop()
})
