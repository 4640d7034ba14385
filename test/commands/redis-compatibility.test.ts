/** `redis-compatibility`: what Redis 7.0 did otherwise than 7.2. */
import { afterEach, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'

let broker: TestBroker

afterEach(() => broker.stop())

const DENIED = { error: expect.stringContaining('This Redis command is not allowed from script') }
const BLOCKING = ["'BLPOP', 'none', 0", "'BLMOVE', 'none', 'other', 'LEFT', 'LEFT', 0", "'BZPOPMIN', 'none', 0"]

test.each([
  ['7.2', 'listpack', 'listpack'],
  ['7.0', 'quicklist', 'hashtable'],
])('%s names encodings %s and %s', async (release, list, set) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const client = await broker.connect()
  await client.pipeline([
    ['RPUSH', 'l', 'a'],
    ['SADD', 's', 'a'],
    ['SADD', 'i', '1'],
  ])
  expect(await client.call('OBJECT', 'ENCODING', 'l')).toBe(list)
  expect(await client.call('OBJECT', 'ENCODING', 's')).toBe(set)
  expect(await client.call('OBJECT', 'ENCODING', 'i')).toBe('intset')
  expect(await client.call('DEBUG', 'OBJECT', 'l')).toEqual({ status: expect.stringContaining(`encoding:${list} `) })
})

test.each([
  ['7.2', null],
  ['7.0', DENIED],
])('%s answers commands in scripts that would block with %j', async (release, expected) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const client = await broker.connect()
  for (const call of BLOCKING) expect(await client.call('EVAL', `return redis.pcall(${call})`, '0')).toEqual(expected)
  await client.call('XADD', 'x', '1-1', 'f', 'v')
  expect(await client.call('EVAL', "return redis.call('XREAD', 'STREAMS', 'x', '0')", '0')).not.toBeNull()
})

test.each([
  ['7.2', ['read']],
  ['7.0', ['named', 'read']],
])('%s remembers of a script that reads the keys %j', async (release, keys) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const [reader, writer] = [await broker.connect(), await broker.connect()]
  await reader.call('HELLO', '3')
  await reader.call('CLIENT', 'TRACKING', 'ON')
  await reader.call('EVAL', "return redis.call('GET', KEYS[2])", '2', 'named', 'read')
  await writer.call('MSET', 'named', '1', 'read', '1')
  expect(await writer.call('INFO', 'stats')).toContain('tracking_total_keys:0')
  await reader.call('EVAL', "return redis.call('GET', KEYS[2])", '2', 'named', 'read')
  expect(await writer.call('INFO', 'stats')).toContain(`tracking_total_keys:${keys.length}`)
})
