/** Blocked sorted set commands on a whole server: who is woken, in which order, and what is left afterwards. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BlockingBench } from '../blocking-bench.ts'

let bench: BlockingBench

beforeEach(() => {
  bench = new BlockingBench()
})

afterEach(() => {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
  bench.close()
})

test('clients blocked on a key are served in the order in which they came, one member each', async () => {
  const first = await bench.blocked('BZPOPMIN', 'z', '0')
  const second = await bench.blocked('BZPOPMAX', 'other', 'z', '0')
  const third = await bench.blocked('BZPOPMIN', 'z', '0')
  expect(await bench.client.call('ZADD', 'z', '1', 'a', '2', 'b', '3', 'c', '4', 'd')).toBe(4)
  expect(await first.next()).toEqual(['z', 'a', '1'])
  expect(await second.next()).toEqual(['z', 'd', '4'])
  expect(await third.next()).toEqual(['z', 'b', '2'])
  expect(await bench.client.call('ZRANGE', 'z', '0', '-1')).toEqual(['c'])
  expect(bench.server.blocking.count).toBe(0)
})

test('what blocked clients empty again leaves no key, and is recorded before their pops', async () => {
  const first = await bench.blocked('BZPOPMIN', 'z', '0')
  const second = await bench.blocked('BZMPOP', '0', '1', 'z', 'MAX', 'COUNT', '5')
  expect(await bench.client.call('ZADD', 'z', '1', 'a', '2', 'b', '3', 'c')).toBe(3)
  expect(await first.next()).toEqual(['z', 'a', '1'])
  expect(await second.next()).toEqual([
    'z',
    [
      ['c', '3'],
      ['b', '2'],
    ],
  ])
  expect(await bench.client.call('ZCARD', 'z')).toBe(0)
  expect(bench.effects).toEqual(['SELECT 0', 'ZADD z 1 a 2 b 3 c', 'ZPOPMIN z', 'ZPOPMAX z 2'])
})

test('every command that makes a sorted set wakes a blocked client', async () => {
  await bench.client.call('ZADD', 'source', '1', 'a', '2', 'b')
  for (const words of [
    ['ZADD', 'z', '1', 'a'],
    ['ZINCRBY', 'z', '1', 'a'],
    ['ZUNIONSTORE', 'z', '1', 'source'],
    ['ZINTERSTORE', 'z', '1', 'source'],
    ['ZDIFFSTORE', 'z', '1', 'source'],
    ['ZRANGESTORE', 'z', 'source', '0', '0'],
    ['RENAME', 'source', 'z'],
  ]) {
    const client = await bench.blocked('BZPOPMIN', 'z', '0')
    await bench.client.call(...words)
    expect([words, await client.next()]).toEqual([words, ['z', 'a', '1']])
    await bench.client.call('DEL', 'z')
  }
})

test('a value of another type wakes nobody, and a member that XX forbids neither', async () => {
  const client = await bench.blocked('BZPOPMIN', 'z', '0')
  expect(await bench.client.call('ZADD', 'z', 'XX', '1', 'a')).toBe(0)
  expect(await bench.client.call('SADD', 'z', 'a')).toBe(1)
  expect(await bench.client.call('ZCARD', 'z')).toMatch(/^-WRONGTYPE/)
  expect(client.hasReply).toBe(false)
  expect(bench.server.blocking.count).toBe(1)
})

test('the time of a blocked command ends with an array that is null', async () => {
  for (const words of [
    ['BZPOPMIN', 'z', '0.01'],
    ['BZPOPMAX', 'z', 'y', '0.01'],
    ['BZMPOP', '0.01', '1', 'z', 'MIN'],
  ]) {
    expect([words, await bench.client.call(...words)]).toEqual([words, null])
  }
  expect(bench.server.blocking.count).toBe(0)
})

test('a client that disconnects while it is blocked takes no member', async () => {
  const client = await bench.blocked('BZPOPMIN', 'z', '0')
  client.stream.end()
  await bench.allServed()
  expect(await bench.client.call('ZADD', 'z', '1', 'a')).toBe(1)
  expect(await bench.client.call('ZCARD', 'z')).toBe(1)
})

test('in a transaction a blocking command replies at once', async () => {
  await bench.client.call('MULTI')
  await bench.client.call('BZPOPMIN', 'z', '0')
  await bench.client.call('ZADD', 'z', '1', 'a')
  await bench.client.call('BZMPOP', '0', '1', 'z', 'MAX')
  expect(await bench.client.call('EXEC')).toEqual([null, 1, ['z', [['a', '1']]]])
})
