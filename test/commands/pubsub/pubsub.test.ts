/** Publish and subscribe on the wire: confirmations, messages, their order, and keyspace events. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'

let broker: TestBroker
let a: RespClient
let b: RespClient

beforeEach(async () => {
  broker = await TestBroker.start()
  a = await broker.connect()
  b = await broker.connect()
})

afterEach(() => broker.stop())

/** Sends a command with `count` replies. */
async function subscribe(client: RespClient, count: number, ...words: string[]): Promise<unknown[]> {
  client.write(...words)
  const replies: unknown[] = []
  for (let i = 0; i < count; i++) replies.push(await client.next())
  return replies
}

test('SUBSCRIBE confirms each channel with the number of subscriptions, patterns included', async () => {
  expect(await subscribe(a, 3, 'SUBSCRIBE', 'x', 'y', 'x')).toEqual([
    ['subscribe', 'x', 1],
    ['subscribe', 'y', 2],
    ['subscribe', 'x', 2],
  ])
  expect(await subscribe(a, 1, 'PSUBSCRIBE', 'z*')).toEqual([['psubscribe', 'z*', 3]])
  expect(await subscribe(a, 1, 'SSUBSCRIBE', 's')).toEqual([['ssubscribe', 's', 1]])
})

test('a message reaches subscribers of the channel and of matching patterns, each once per subscription', async () => {
  await subscribe(a, 1, 'SUBSCRIBE', 'news')
  await subscribe(a, 2, 'PSUBSCRIBE', 'n*', 'other')
  expect(await b.call('PUBLISH', 'news', 'hello')).toBe(2)
  expect(await a.next()).toEqual(['message', 'news', 'hello'])
  expect(await a.next()).toEqual(['pmessage', 'n*', 'news', 'hello'])
  expect(await b.call('PUBLISH', 'nobody', 'x')).toBe(1)
  expect(await b.call('PUBLISH', 'x', 'x')).toBe(0)
})

test('messages are bytes', async () => {
  const bytes = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('')
  await subscribe(a, 1, 'SUBSCRIBE', bytes)
  expect(await b.call('PUBLISH', bytes, bytes)).toBe(1)
  expect(await a.next()).toEqual(['message', bytes, bytes])
})

test('many messages of one batch arrive in order at subscribers of both protocols and of different channels', async () => {
  const c = await broker.connect()
  await c.call('HELLO', '3')
  await subscribe(a, 2, 'SUBSCRIBE', 'even', 'odd')
  c.write('SUBSCRIBE', 'odd')
  await c.nextPush()
  const commands = Array.from({ length: 200 }, (_, i) => ['PUBLISH', i % 2 === 0 ? 'even' : 'odd', String(i)])
  expect(await b.pipeline(commands)).toEqual(commands.map((_, i) => (i % 2 === 0 ? 1 : 2)))
  for (let i = 0; i < 200; i++) expect(await a.next()).toEqual(['message', i % 2 === 0 ? 'even' : 'odd', String(i)])
  for (let i = 1; i < 200; i += 2) expect(await c.nextPush()).toEqual(['message', 'odd', String(i)])
})

test('the confirmation comes before the first message, also when both fall into one turn of the loop', async () => {
  // Both requests are in the server's sockets before it reads either.
  for (let round = 0; round < 20; round++) {
    a.write('SUBSCRIBE', `turn${round}`)
    b.write('PUBLISH', `turn${round}`, 'x')
    expect(await a.next()).toEqual(['subscribe', `turn${round}`, round + 1])
    if ((await b.next()) === 1) expect(await a.next()).toEqual(['message', `turn${round}`, 'x'])
  }
})

test('UNSUBSCRIBE without channels ends all of its kind and confirms each, or null when there is none', async () => {
  await subscribe(a, 2, 'SUBSCRIBE', 'x', 'y')
  await subscribe(a, 1, 'PSUBSCRIBE', 'p*')
  expect(await subscribe(a, 2, 'UNSUBSCRIBE')).toEqual([
    ['unsubscribe', 'x', 2],
    ['unsubscribe', 'y', 1],
  ])
  expect(await subscribe(a, 1, 'UNSUBSCRIBE')).toEqual([['unsubscribe', null, 1]])
  expect(await subscribe(a, 1, 'PUNSUBSCRIBE', 'q')).toEqual([['punsubscribe', 'q', 1]])
  expect(await subscribe(a, 1, 'PUNSUBSCRIBE')).toEqual([['punsubscribe', 'p*', 0]])
  expect(await subscribe(a, 1, 'SUNSUBSCRIBE')).toEqual([['sunsubscribe', null, 0]])
  expect(await b.call('PUBLISH', 'x', '1')).toBe(0)
  expect(await a.call('GET', 'k')).toBe(null)
})

test('in RESP2 a subscribed client may send a few commands only', async () => {
  await subscribe(a, 1, 'SUBSCRIBE', 'x')
  expect(await a.call('GET', 'k')).toEqual({
    error:
      "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
  })
  expect(await a.call('PING')).toEqual(['pong', ''])
  expect(await a.call('PING', 'hi')).toEqual(['pong', 'hi'])
  expect(await a.call('RESET')).toEqual({ status: 'RESET' })
  expect(await a.call('GET', 'k')).toBe(null)
})

test('in RESP3 confirmations and messages are push messages, and every command goes on working', async () => {
  await a.call('HELLO', '3')
  a.write('SUBSCRIBE', 'x')
  expect(await a.nextPush()).toEqual(['subscribe', 'x', 1])
  expect(await a.call('PING')).toEqual({ status: 'PONG' })
  // A message to the publisher itself follows its reply.
  expect(await a.call('PUBLISH', 'x', 'self')).toBe(1)
  expect(await a.nextPush()).toEqual(['message', 'x', 'self'])
})

test('messages to the publisher follow the reply of its whole transaction', async () => {
  await a.call('HELLO', '3')
  a.write('SUBSCRIBE', 'x')
  await a.nextPush()
  const replies = await a.pipeline([['MULTI'], ['PUBLISH', 'x', '1'], ['PUBLISH', 'x', '2'], ['EXEC'], ['PING']])
  expect(replies[3]).toEqual([1, 1])
  expect(replies[4]).toEqual({ status: 'PONG' })
  expect([await a.nextPush(), await a.nextPush()]).toEqual([
    ['message', 'x', '1'],
    ['message', 'x', '2'],
  ])
})

test('in a transaction channels and patterns may be subscribed to, shard channels not', async () => {
  await a.pipeline([['MULTI'], ['SSUBSCRIBE', 's'], ['PING']])
  expect(await a.call('EXEC')).toEqual([
    { error: "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client" },
    { status: 'PONG' },
  ])
  await a.pipeline([['MULTI'], ['SUBSCRIBE', 'x']])
  expect(await a.call('EXEC')).toEqual([['subscribe', 'x', 1]])
})

test('shard channels have messages of their own and know no patterns', async () => {
  await subscribe(a, 1, 'SSUBSCRIBE', 's')
  await subscribe(a, 1, 'PSUBSCRIBE', '*')
  expect(await b.call('SPUBLISH', 's', 'x')).toBe(1)
  expect(await b.call('PUBLISH', 's', 'y')).toBe(1)
  expect(await a.next()).toEqual(['smessage', 's', 'x'])
  expect(await a.next()).toEqual(['pmessage', '*', 's', 'y'])
})

test('PUBSUB tells about channels, patterns and shard channels', async () => {
  await subscribe(a, 2, 'SUBSCRIBE', 'one', 'two')
  await subscribe(a, 1, 'PSUBSCRIBE', 'o*')
  await subscribe(a, 1, 'SSUBSCRIBE', 's')
  expect(await b.call('PUBSUB', 'CHANNELS')).toEqual(['one', 'two'])
  expect(await b.call('PUBSUB', 'CHANNELS', 't*')).toEqual(['two'])
  expect(await b.call('PUBSUB', 'NUMSUB', 'one', 'none')).toEqual(['one', 1, 'none', 0])
  expect(await b.call('PUBSUB', 'NUMSUB')).toEqual([])
  expect(await b.call('PUBSUB', 'NUMPAT')).toBe(1)
  expect(await b.call('PUBSUB', 'SHARDCHANNELS')).toEqual(['s'])
  expect(await b.call('PUBSUB', 'SHARDNUMSUB', 's')).toEqual(['s', 1])
  expect(await b.call('PUBSUB', 'CHANNELS', 'a', 'b')).toEqual({
    error: "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.",
  })
  expect(await b.call('PUBSUB', 'NOPE')).toEqual({ error: "ERR unknown subcommand 'NOPE'. Try PUBSUB HELP." })
})

test('a client that goes away is subscribed to nothing', async () => {
  await subscribe(a, 1, 'SUBSCRIBE', 'x')
  await subscribe(a, 1, 'PSUBSCRIBE', 'y')
  a.close()
  while (broker.server.clientCount > 1) await b.call('PING')
  expect(await b.call('PUBSUB', 'CHANNELS')).toEqual([])
  expect(await b.call('PUBSUB', 'NUMPAT')).toBe(0)
})

test('a subscriber that does not read is closed at its limit, and others get their messages', async () => {
  await b.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1mb 0 0')
  const reader = await broker.connect()
  await subscribe(a, 1, 'SUBSCRIBE', 'x')
  await subscribe(reader, 1, 'SUBSCRIBE', 'x')
  a.pause()
  const message = 'm'.repeat(100_000)
  let receivers = 2
  for (let i = 0; receivers === 2 && i < 500; i++) {
    receivers = (await b.call('PUBLISH', 'x', message)) as number
    expect(await reader.next()).toEqual(['message', 'x', message])
  }
  expect(receivers).toBe(1)
  expect(broker.server.stats.outputLimitDisconnections).toBe(1)
})

test('keyspace events name the event on the key and the key on the event', async () => {
  await b.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEA')
  await subscribe(a, 1, 'PSUBSCRIBE', '*')
  await b.call('SET', 'k', '1', 'EX', '100')
  await b.call('DEL', 'k')
  const events: unknown[] = []
  for (let i = 0; i < 6; i++) events.push(((await a.next()) as unknown[]).slice(2))
  expect(events).toEqual([
    ['__keyspace@0__:k', 'set'],
    ['__keyevent@0__:set', 'k'],
    ['__keyspace@0__:k', 'expire'],
    ['__keyevent@0__:expire', 'k'],
    ['__keyspace@0__:k', 'del'],
    ['__keyevent@0__:del', 'k'],
  ])
})

test('only the classes that are asked for are published', async () => {
  await b.call('CONFIG', 'SET', 'notify-keyspace-events', 'El')
  await subscribe(a, 1, 'PSUBSCRIBE', '*')
  await b.pipeline([
    ['SET', 'k', '1'],
    ['LPUSH', 'l', 'x'],
  ])
  expect(await a.next()).toEqual(['pmessage', '*', '__keyevent@0__:lpush', 'l'])
})

test('CLIENT REPLY OFF silences replies, not messages nor confirmations', async () => {
  a.write('CLIENT', 'REPLY', 'OFF')
  expect(await subscribe(a, 1, 'SUBSCRIBE', 'x')).toEqual([['subscribe', 'x', 1]])
  await b.call('PUBLISH', 'x', 'y')
  expect(await a.next()).toEqual(['message', 'x', 'y'])
})
