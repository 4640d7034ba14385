/** MULTI, EXEC, DISCARD, WATCH and UNWATCH on the wire, and what they leave in the log. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import { Decoder, type Reply, type RespClient } from '../../support/resp-client.ts'

const OK = { status: 'OK' }
const QUEUED = { status: 'QUEUED' }
const EXECABORT = { error: 'EXECABORT Transaction discarded because of previous errors.' }

let clock: TestClock
let broker: TestBroker
let a: RespClient
let b: RespClient
let effects: Reply[]

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  effects = []
  broker.server.journal.subscribe((buffer, start, end) => {
    const decoder = new Decoder(buffer.latin1Slice(start, end))
    for (let effect = decoder.next(); effect !== undefined; effect = decoder.next()) effects.push(effect)
  })
  a = await broker.connect()
  b = await broker.connect()
})

afterEach(() => broker.stop())

test('EXEC replies the replies of the queued commands', async () => {
  expect(await a.call('MULTI')).toEqual(OK)
  expect(await a.call('SET', 'k', '1')).toEqual(QUEUED)
  expect(await a.call('INCR', 'k')).toEqual(QUEUED)
  expect(await a.call('LPUSH', 'k', 'x')).toEqual(QUEUED)
  expect(await b.call('GET', 'k')).toBe(null)
  expect(await a.call('EXEC')).toEqual([
    OK,
    2,
    { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' },
  ])
  expect(await b.call('GET', 'k')).toBe('2')
})

test('a transaction is one unit of the log, without commands that changed nothing', async () => {
  await a.pipeline([['MULTI'], ['SET', 'k', '1'], ['GET', 'k'], ['SELECT', '3'], ['INCR', 'n'], ['EXEC']])
  expect(effects).toEqual([['SELECT', '0'], ['MULTI'], ['SET', 'k', '1'], ['SELECT', '3'], ['INCR', 'n'], ['EXEC']])
  expect(await a.call('GET', 'n')).toBe('1')
})

test('a transaction with one change is logged without MULTI', async () => {
  await a.pipeline([['MULTI'], ['SET', 'k', '1'], ['EXEC']])
  expect(effects).toEqual([
    ['SELECT', '0'],
    ['SET', 'k', '1'],
  ])
})

test('a refused command makes EXEC abort', async () => {
  await a.call('MULTI')
  expect(await a.call('GET')).toEqual({ error: "ERR wrong number of arguments for 'get' command" })
  expect(await a.call('SET', 'k', '1')).toEqual(QUEUED)
  expect(await a.call('EXEC')).toEqual(EXECABORT)
  expect(await a.call('EXEC')).toEqual({ error: 'ERR EXEC without MULTI' })
  expect(await a.call('GET', 'k')).toBe(null)
})

test('an EXEC with arguments ends the transaction with its own error', async () => {
  await a.call('MULTI')
  expect(await a.call('EXEC', 'x')).toEqual({
    error: "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
  })
  expect(await a.call('DISCARD')).toEqual({ error: 'ERR DISCARD without MULTI' })
})

test('MULTI and WATCH inside MULTI are errors that do not abort', async () => {
  await a.call('MULTI')
  expect(await a.call('MULTI')).toEqual({ error: 'ERR MULTI calls can not be nested' })
  expect(await a.call('WATCH', 'k')).toEqual({ error: 'ERR WATCH inside MULTI is not allowed' })
  await a.call('PING')
  expect(await a.call('EXEC')).toEqual([{ status: 'PONG' }])
})

test('SHUTDOWN is refused inside a transaction and makes it abort', async () => {
  await a.call('MULTI')
  expect(await a.call('SHUTDOWN')).toEqual({ error: 'ERR Command not allowed inside a transaction' })
  expect(await a.call('EXEC')).toEqual(EXECABORT)
})

test('DISCARD forgets the queue and lets watched keys go', async () => {
  await a.pipeline([['WATCH', 'k'], ['MULTI'], ['SET', 'k', '1']])
  expect(await a.call('DISCARD')).toEqual(OK)
  await b.call('SET', 'k', '2')
  await a.pipeline([['MULTI'], ['GET', 'k']])
  expect(await a.call('EXEC')).toEqual(['2'])
})

test.each([
  ['another client sets the key', [['SET', 'k', '2']]],
  ['the key is deleted', [['DEL', 'k']]],
  ['the database is emptied', [['FLUSHDB']]],
  ['all databases are emptied', [['FLUSHALL']]],
  ['its database is exchanged with another one', [['SWAPDB', '0', '1']]],
  ['the key gets an expire time', [['EXPIRE', 'k', '100']]],
])('EXEC replies null when %s after WATCH', async (_case, commands) => {
  await a.pipeline([
    ['SET', 'k', '1'],
    ['WATCH', 'k'],
  ])
  for (const command of commands) await b.call(...command)
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.send('*1\r\n$4\r\nEXEC\r\n', 1)).toEqual([null])
  // The transaction is over, and nothing is watched any more.
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.call('EXEC')).toEqual([{ status: 'PONG' }])
})

test.each([
  ['another key changed', [['SET', 'other', '1']]],
  [
    'the same key of another database changed',
    [
      ['SELECT', '1'],
      ['SET', 'k', '1'],
    ],
  ],
  ['a missing key was deleted', [['DEL', 'missing']]],
  ['databases without it were exchanged', [['SWAPDB', '2', '3']]],
])('EXEC runs when %s after WATCH', async (_case, commands) => {
  await a.pipeline([
    ['SET', 'k', '1'],
    ['WATCH', 'k', 'missing'],
  ])
  for (const command of commands) await b.call(...command)
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.call('EXEC')).toEqual([{ status: 'PONG' }])
})

test('UNWATCH lets changed keys go', async () => {
  await a.call('WATCH', 'k')
  await b.call('SET', 'k', '1')
  expect(await a.call('UNWATCH')).toEqual(OK)
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.call('EXEC')).toEqual([{ status: 'PONG' }])
})

test('a watched key that expires has changed, whether or not anybody has noticed', async () => {
  await a.pipeline([
    ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
    ['SET', 'k', '1', 'PX', '100'],
    ['WATCH', 'k'],
  ])
  clock.pass(200)
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.call('EXEC')).toBe(null)
})

test('a key that was expired already when it was watched has not changed', async () => {
  await a.pipeline([
    ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
    ['SET', 'k', '1', 'PX', '100'],
  ])
  clock.pass(200)
  await a.call('WATCH', 'k')
  await b.call('GET', 'k')
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.call('EXEC')).toEqual([{ status: 'PONG' }])
})

test('a key of the other database that was expired does not count as a change by SWAPDB', async () => {
  await a.pipeline([
    ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
    ['SELECT', '1'],
    ['SET', 'k', '1', 'PX', '100'],
    ['SELECT', '0'],
    ['WATCH', 'k'],
  ])
  clock.pass(200)
  await b.call('SWAPDB', '0', '1')
  await a.pipeline([['MULTI'], ['PING']])
  expect(await a.call('EXEC')).toEqual([{ status: 'PONG' }])
})

test('a changed key and a refused command together give EXECABORT', async () => {
  await a.call('WATCH', 'k')
  await b.call('SET', 'k', '1')
  await a.pipeline([['MULTI'], ['GET']])
  expect(await a.call('EXEC')).toEqual(EXECABORT)
})

test('blocking commands answer at once inside a transaction', async () => {
  await a.pipeline([['MULTI'], ['BLPOP', 'list', '0'], ['BLMOVE', 'x', 'y', 'LEFT', 'LEFT', '0'], ['PING']])
  expect(await a.call('EXEC')).toEqual([null, null, { status: 'PONG' }])
})

test('a transaction wakes a blocked client only when it is over', async () => {
  const popped = a.call('BLPOP', 'list', '0')
  while (broker.server.blockedCount === 0) await b.call('PING')
  await b.pipeline([['MULTI'], ['LPUSH', 'list', 'x'], ['DEL', 'list'], ['LPUSH', 'list', 'y']])
  expect(await b.call('EXEC')).toEqual([1, 1, 1])
  expect(await popped).toEqual(['list', 'y'])
})

test('time stands still in a transaction', async () => {
  await a.pipeline([['MULTI'], ['SET', 'k', '1', 'PX', '50'], ['DEBUG', 'SLEEP', '0.1'], ['PTTL', 'k'], ['TIME']])
  const replies = (await a.call('EXEC')) as Reply[]
  expect(replies[2]).toBe(50)
  expect(replies[3]).toEqual([String(Math.floor(clock.nowMs / 1000)), '0'])
})

test('the queue counts as memory of the client and is given back', async () => {
  await a.call('CLIENT', 'SETNAME', 'queueing')
  await a.pipeline([['MULTI'], ['SET', 'k', 'x'.repeat(1000)]])
  const line = async (): Promise<string> =>
    String(await b.call('CLIENT', 'LIST'))
      .split('\n')
      .find((text) => text.includes('name=queueing')) ?? ''
  expect(await line()).toMatch(/ flags=x .* multi=1 .* multi-mem=1004 /)
  await a.call('DISCARD')
  expect(await line()).toMatch(/ flags=N .* multi=-1 .* multi-mem=0 /)
})

test('RESET ends a transaction', async () => {
  await a.call('MULTI')
  expect(await a.call('RESET')).toEqual({ status: 'RESET' })
  expect(await a.call('EXEC')).toEqual({ error: 'ERR EXEC without MULTI' })
})

test('a client that goes away leaves no watched keys behind', async () => {
  await a.call('WATCH', 'k')
  const db = broker.server.keyspace.databases[0]
  expect(db?.watchers.size).toBe(1)
  a.close()
  while (broker.server.clientCount > 1) await b.call('PING')
  expect(db?.watchers.size).toBe(0)
})
