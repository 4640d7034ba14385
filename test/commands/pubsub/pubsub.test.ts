/** Subscriptions of all three kinds and what is published to them, in RESP2 and RESP3. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'

let broker: TestBroker
let subscriber: RespClient
let publisher: RespClient

beforeEach(async () => {
  broker = await TestBroker.start()
  subscriber = await broker.connect()
  publisher = await broker.connect()
})

afterEach(() => broker.stop())

/** The next `count` replies or messages of the subscriber. */
async function received(count: number): Promise<unknown[]> {
  const messages: unknown[] = []
  for (let i = 0; i < count; i++) messages.push(await subscriber.next())
  return messages
}

describe('in RESP2', () => {
  test('SUBSCRIBE and UNSUBSCRIBE confirm each channel with the number of subscriptions left', async () => {
    subscriber.write('SUBSCRIBE', 'a', 'b', 'a')
    expect(await received(3)).toEqual([
      ['subscribe', 'a', 1],
      ['subscribe', 'b', 2],
      ['subscribe', 'a', 2],
    ])
    subscriber.write('UNSUBSCRIBE', 'a', 'c')
    expect(await received(2)).toEqual([
      ['unsubscribe', 'a', 1],
      ['unsubscribe', 'c', 1],
    ])
    subscriber.write('UNSUBSCRIBE')
    expect(await received(1)).toEqual([['unsubscribe', 'b', 0]])
    subscriber.write('UNSUBSCRIBE')
    expect(await received(1)).toEqual([['unsubscribe', null, 0]])
  })

  test('a client with a channel and a pattern gets a message twice, and counts twice', async () => {
    subscriber.write('SUBSCRIBE', 'news')
    subscriber.write('PSUBSCRIBE', 'n?ws', 'x*')
    await received(3)
    expect(await publisher.call('PUBLISH', 'news', 'text')).toBe(2)
    expect(await received(2)).toEqual([
      ['message', 'news', 'text'],
      ['pmessage', 'n?ws', 'news', 'text'],
    ])
    subscriber.write('PUNSUBSCRIBE', 'n?ws')
    expect(await received(1)).toEqual([['punsubscribe', 'n?ws', 2]])
    expect(await publisher.call('PUBLISH', 'news', 'text')).toBe(1)
    subscriber.write('PUNSUBSCRIBE')
    expect(await received(2)).toEqual([
      ['message', 'news', 'text'],
      ['punsubscribe', 'x*', 1],
    ])
  })

  test('shard channels are apart from channels of the same name', async () => {
    subscriber.write('SSUBSCRIBE', 'news', 'more')
    expect(await received(2)).toEqual([
      ['ssubscribe', 'news', 1],
      ['ssubscribe', 'more', 2],
    ])
    expect(await publisher.call('PUBLISH', 'news', 'text')).toBe(0)
    expect(await publisher.call('SPUBLISH', 'news', 'text')).toBe(1)
    expect(await received(1)).toEqual([['smessage', 'news', 'text']])
    subscriber.write('SUNSUBSCRIBE', 'news')
    expect(await received(1)).toEqual([['sunsubscribe', 'news', 1]])
    subscriber.write('SUNSUBSCRIBE')
    expect(await received(1)).toEqual([['sunsubscribe', 'more', 0]])
    expect(await publisher.call('SPUBLISH', 'news', 'text')).toBe(0)
  })

  test('a subscribed client may run nothing else, and PING answers in the form of a message', async () => {
    subscriber.write('SUBSCRIBE', 'a')
    await received(1)
    expect(await subscriber.call('GET', 'key')).toEqual({
      error:
        "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    })
    expect(await subscriber.call('PING', 'text')).toEqual(['pong', 'text'])
    subscriber.write('UNSUBSCRIBE')
    await received(1)
    expect(await subscriber.call('GET', 'key')).toBeNull()
  })
})

test('in RESP3 messages are pushes, and a subscribed client runs other commands too', async () => {
  await subscriber.call('HELLO', '3')
  subscriber.write('SUBSCRIBE', 'news')
  expect(await subscriber.nextPush()).toEqual(['subscribe', 'news', 1])
  await publisher.call('PUBLISH', 'news', 'text')
  expect(await subscriber.nextPush()).toEqual(['message', 'news', 'text'])
  expect(await subscriber.call('GET', 'key')).toBeNull()
  // Its own message follows the reply.
  expect(await subscriber.call('PUBLISH', 'news', 'own')).toBe(1)
  expect(await subscriber.nextPush()).toEqual(['message', 'news', 'own'])
})

test('PUBSUB tells channels by pattern, numbers of subscribers, and how many patterns there are', async () => {
  subscriber.write('SUBSCRIBE', 'a1', 'a2', 'b')
  subscriber.write('PSUBSCRIBE', 'x*', 'y*')
  subscriber.write('SSUBSCRIBE', 's1', 's2')
  await received(7)
  const channels = await publisher.call('PUBSUB', 'CHANNELS', 'a*')
  expect((channels as string[]).sort()).toEqual(['a1', 'a2'])
  expect(await publisher.call('PUBSUB', 'NUMSUB', 'a1', 'none')).toEqual(['a1', 1, 'none', 0])
  expect(await publisher.call('PUBSUB', 'NUMPAT')).toBe(2)
  const shardChannels = await publisher.call('PUBSUB', 'SHARDCHANNELS')
  expect((shardChannels as string[]).sort()).toEqual(['s1', 's2'])
  expect(await publisher.call('PUBSUB', 'SHARDNUMSUB', 's1', 'a1')).toEqual(['s1', 1, 'a1', 0])
})

test('a client that is gone has no subscriptions', async () => {
  subscriber.write('SUBSCRIBE', 'news')
  subscriber.write('PSUBSCRIBE', 'n*')
  await received(2)
  subscriber.write('QUIT')
  await subscriber.closed()
  expect(await publisher.call('PUBLISH', 'news', 'text')).toBe(0)
  expect(await publisher.call('PUBSUB', 'CHANNELS')).toEqual([])
  expect(await publisher.call('PUBSUB', 'NUMPAT')).toBe(0)
})
