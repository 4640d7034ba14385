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
  ['7.2', '0.1', '0.1'],
  ['7.0', '0.10000000000000001', '0.10000000000000001'],
])('%s writes a score as %s', async (release, text, argument) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const client = await broker.connect()
  await client.call('ZADD', 'z', '0.1', 'a')
  expect(await client.call('ZSCORE', 'z', 'a')).toBe(text)
  expect(await client.call('ZSCAN', 'z', '0')).toEqual(['0', ['a', text]])
  expect(await client.call('EVAL', "return redis.call('ZSCORE', 'z', 'a')", '0')).toBe(text)
  expect(await client.call('EVAL', "return redis.call('ECHO', 0.1)", '0')).toBe(argument)
  expect(await client.call('EVAL', "return redis.call('ECHO', 3)", '0')).toBe('3')
  await client.call('HELLO', '3')
  expect(await client.call('ZSCORE', 'z', 'a')).toEqual({ double: text })
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
  [
    '7.2',
    'user ann on nopass sanitize-payload ~a resetchannels +@all -llen +client|id',
    'NOPERM No permissions to access a key',
    "User ann has no permissions to run the 'llen' command",
    /^ERR ACL failure in script: User ann has no permissions to run the 'llen' command$/,
  ],
  [
    '7.0',
    'user ann on nopass ~a resetchannels +@all -llen',
    'NOPERM this user has no permissions to access one of the keys used as arguments',
    "This user has no permissions to run the 'llen' command",
    /^ERR The user executing the script can't run this command or subcommand$/,
  ],
])('%s describes and refuses users in its words', async (release, rules, noKey, dryRun, inScript) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const client = await broker.connect()
  await client.call('ACL', 'SETUSER', 'ann', 'on', 'nopass', '~a', '+@all', '-llen', '+client|id')
  expect(await client.call('ACL', 'LIST')).toContain(rules)
  expect(await client.call('ACL', 'DRYRUN', 'ann', 'LLEN', 'a')).toBe(dryRun)
  await client.call('AUTH', 'ann', 'x')
  expect(await client.call('GET', 'b')).toEqual({ error: noKey })
  expect(await client.call('EVAL', "return redis.pcall('LLEN', 'a')", '0')).toEqual({
    error: expect.stringMatching(inScript),
  })
  await client.call('AUTH', 'default', '')
  await client.call('ACL', 'SETUSER', 'ann', 'sanitize-payload')
  expect(await client.call('ACL', 'LIST')).toContainEqual(expect.stringContaining('nopass sanitize-payload ~a'))
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

const NO_GROUP = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"

test.each([
  ['7.2', 'DEL', NO_GROUP],
  ['7.2', 'SET', 'WRONGTYPE Operation against a key holding the wrong kind of value'],
  ['7.2', 'DESTROY', NO_GROUP],
  ['7.0', 'DEL', 'UNBLOCKED the stream key no longer exists'],
  ['7.0', 'SET', 'UNBLOCKED the stream key no longer exists'],
  ['7.0', 'DESTROY', 'NOGROUP the consumer group this client was blocked on no longer exists'],
])('%s tells a consumer that waits of %s: %s', async (release, change, error) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const [reader, writer] = [await broker.connect(), await broker.connect()]
  await writer.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
  const reply = reader.call('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>')
  await expect.poll(() => broker.server.blocking.count).toBe(1)
  if (change === 'DESTROY') await writer.call('XGROUP', 'DESTROY', 's', 'g')
  else await writer.call(...(change === 'DEL' ? ['DEL', 's'] : ['SET', 's', 'v']))
  expect(await reply).toEqual({ error })
})

test.each([
  ['7.2', 1],
  ['7.0', 0],
])('%s creates %i consumers that get nothing', async (release, count) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const client = await broker.connect()
  await client.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
  expect(await client.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>')).toBeNull()
  expect(await client.call('XINFO', 'CONSUMERS', 's', 'g')).toHaveLength(count)
  await client.call('XADD', 's', '1-1', 'f', 'v')
  expect(await client.call('XREADGROUP', 'GROUP', 'g', 'd', 'STREAMS', 's', '>')).toEqual([
    ['s', [['1-1', ['f', 'v']]]],
  ])
  expect(await client.call('XINFO', 'CONSUMERS', 's', 'g')).toHaveLength(count + 1)
})

test.each([
  ['7.2', "'xreadgroup' list of streams: for each stream key an ID or '>'"],
  ['7.0', "XREAD list of streams: for each stream key an ID or '$'"],
])('%s tells of a missing ID of XREADGROUP in its words', async (release, words) => {
  broker = await TestBroker.start({ 'redis-compatibility': release })
  const client = await broker.connect()
  expect(await client.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', 't', '>')).toEqual({
    error: `ERR Unbalanced ${words} must be specified.`,
  })
})
