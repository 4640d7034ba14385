/** millrace/client in Node, against a gateway behind a network that fails. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type ClientEvents,
  type ConnectOptions,
  connect,
  type Entry,
  type RealtimeClient,
} from '../../src/client/index.ts'
import { TestGateway } from '../support/gateway.ts'
import { TcpProxy } from './tcp-proxy.ts'

let gateway: TestGateway
let network: TcpProxy
const clients: RealtimeClient[] = []

function start(options: Partial<ConnectOptions> = {}): RealtimeClient {
  const client = connect({ url: network.url, reconnectMinMs: 10, reconnectMaxMs: 50, ...options })
  clients.push(client)
  return client
}

function event<Name extends keyof ClientEvents>(
  client: RealtimeClient,
  name: Name,
  matches: (event: ClientEvents[Name]) => boolean = () => true,
): Promise<ClientEvents[Name]> {
  return new Promise((resolve) => {
    const off = client.on(name, (found) => {
      if (!matches(found)) return
      off()
      resolve(found)
    })
  })
}

function inState(client: RealtimeClient, state: string): Promise<unknown> {
  return client.state === state ? Promise.resolve() : event(client, 'state', (found) => found.state === state)
}

/** What came, and a promise of when there is enough. */
class Collector<T> {
  readonly items: T[] = []
  private readonly waiting: { readonly count: number; resolve(): void }[] = []

  readonly add = (item: T): void => {
    this.items.push(item)
    for (const { count, resolve } of this.waiting) if (this.items.length >= count) resolve()
  }

  async has(count: number): Promise<readonly T[]> {
    if (this.items.length < count) await new Promise<void>((resolve) => this.waiting.push({ count, resolve }))
    return this.items
  }
}

async function append(first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) await gateway.call('XADD', 's', `${i}-0`, 'n', i)
}

function ids(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}-0`)
}

beforeEach(async () => {
  gateway = await TestGateway.start({ 'notify-keyspace-events': 'KEA' })
  network = await TcpProxy.to(gateway.port)
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await network.cut()
  await gateway.close()
})

describe('A client', () => {
  test('publishes, and gets messages of channels and patterns until the subscription is closed', async () => {
    const client = start()
    const [channel, pattern] = [new Collector<string>(), new Collector<string>()]
    const subscription = await client.subscribe('news.a', ({ data }) => channel.add(data))
    await client.psubscribe('news.*', (message) => pattern.add(`${message.pattern} ${message.channel} ${message.data}`))
    expect(await client.publish('news.a', 'grüß')).toBe(2)
    await client.publish('news.b', '2')
    expect(await pattern.has(2)).toEqual(['news.* news.a grüß', 'news.* news.b 2'])
    subscription.close()
    await client.publish('news.a', '3')
    await pattern.has(3)
    expect(channel.items).toEqual(['grüß'])
  })

  test('has listeners of one channel share a subscription', async () => {
    const client = start()
    const [a, b] = [new Collector<string>(), new Collector<string>()]
    const first = await client.subscribe('c', ({ data }) => a.add(data))
    await client.subscribe('c', ({ data }) => b.add(data))
    await client.publish('c', '1')
    await b.has(1)
    first.close()
    await client.publish('c', '2')
    expect(await b.has(2)).toEqual(['1', '2'])
    expect(a.items).toEqual(['1'])
  })

  test('passes bytes as they are', async () => {
    const client = start()
    const bytes = Uint8Array.of(0, 128, 255)
    const messages = new Collector<Uint8Array>()
    await client.subscribe('c', (message) => messages.add(message.bytes))
    await client.publish('c', bytes)
    expect(await messages.has(1)).toEqual([bytes])
    const entries = new Collector<Entry>()
    const stream = client.stream('s', {}, entries.add)
    await stream.ready
    await client.append('s', [['v', bytes]])
    expect((await entries.has(1))[0]!.bytes('v')).toEqual(bytes)
    await client.call('SET', 'k', bytes)
    expect(await client.callBytes('GET', 'k')).toEqual(bytes)
  })

  test('runs commands, and rejects with the code of their error', async () => {
    const client = start()
    expect(await client.call('RPUSH', 'l', 'a', 1)).toBe(2)
    expect(await client.call('LRANGE', 'l', 0, -1)).toEqual(['a', '1'])
    await expect(client.call('GET', 'l')).rejects.toMatchObject({ name: 'RealtimeError', code: 'WRONGTYPE' })
    expect(await client.ping()).toBeGreaterThan(0)
  })

  test('tells of changes of keys', async () => {
    const client = start()
    const events = new Collector<string>()
    await client.keyspace('user:*', ({ key, event }) => events.add(`${key} ${event}`))
    await gateway.call('SET', 'user:1', 'x')
    await gateway.call('DEL', 'user:1')
    expect(await events.has(2)).toEqual(['user:1 set', 'user:1 del'])
  })

  test('hears of what a listener throws, and goes on', async () => {
    const client = start()
    const data = new Collector<string>()
    await client.subscribe('c', (message) => {
      data.add(message.data)
      throw new Error(message.data)
    })
    const failed = event(client, 'error')
    await client.publish('c', '1')
    await client.publish('c', '2')
    expect((await failed).error).toMatchObject({ message: '1' })
    expect(await data.has(2)).toEqual(['1', '2'])
  })
})

describe('A connection', () => {
  test('that is lost is made again, with all subscriptions', async () => {
    const client = start()
    const data = new Collector<string>()
    await client.subscribe('c', (message) => data.add(message.data))
    await inState(client, 'open')
    const states: string[] = []
    client.on('state', ({ state }) => states.push(state))
    await network.cut()
    await inState(client, 'reconnecting')
    await network.mend()
    await inState(client, 'open')
    await client.publish('c', 'x')
    expect(await data.has(1)).toEqual(['x'])
    expect(states[0]).toBe('reconnecting')
    expect(states.at(-1)).toBe('open')
  })

  test('on which nothing passes any more is given up after a heartbeat', async () => {
    const client = start({ heartbeatMs: 40 })
    await client.ping()
    network.stall()
    expect(await event(client, 'state')).toMatchObject({ state: 'reconnecting', error: { code: 'CONNECTION_LOST' } })
    await network.cut()
    await network.mend()
    await inState(client, 'open')
    await client.ping()
  })

  test('that is not there has requests wait, up to a number, and sends them in order', async () => {
    await network.cut()
    const client = start({ queueMax: 3 })
    const waiting = [client.append('s', { n: 1 }), client.append('s', { n: 2 }), client.append('s', { n: 3 })]
    await expect(client.append('s', { n: 4 })).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    await network.mend()
    await Promise.all(waiting)
    const entries = (await gateway.call('XRANGE', 's', '-', '+')) as [string, string[]][]
    expect(entries.map(([, words]) => words[1])).toEqual(['1', '2', '3'])
  })

  test('that is lost rejects requests of which nobody knows whether they were executed', async () => {
    const client = start()
    await client.ping()
    const blocked = client.call('BLPOP', 'l', 0)
    await client.ping()
    const rejected = expect(blocked).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    await network.cut()
    await rejected
  })

  test('that is closed by the program rejects what waits, and is not made again', async () => {
    const client = start()
    await client.ping()
    const blocked = expect(client.call('BLPOP', 'l', 0)).rejects.toMatchObject({ code: 'CLOSED' })
    client.close()
    await blocked
    expect(client.state).toBe('closed')
    await expect(client.ping()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(() => client.stream('s')).toThrow('The client is closed')
  })

  test('with a wrong token is given up', async () => {
    gateway.user('default', ['resetpass', '>secret'])
    const client = start({ token: 'mr_wrong' })
    expect(await event(client, 'state', ({ state }) => state === 'closed')).toMatchObject({
      error: { code: 'UNAUTHORIZED' },
    })
    await expect(start({ token: 'secret' }).ping()).resolves.toBeGreaterThan(0)
    await expect(start({ token: 'a b' }).ping()).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  })

  test('asks for a token each time when a function gets it', async () => {
    gateway.user('ann', ['on', '+@all', '~*', '&*'])
    let calls = 0
    const client = start({
      token: async () => {
        calls++
        return gateway.tokenOf('ann')
      },
    })
    expect(await client.call('ACL', 'WHOAMI')).toBe('ann')
    await network.cut()
    await inState(client, 'reconnecting')
    await network.mend()
    await inState(client, 'open')
    expect(calls).toBeGreaterThan(1)
  })

  test('ends for good when its user is deleted', async () => {
    gateway.user('ann', ['on', '+@all', '~*', '&*'])
    const client = start({ token: gateway.tokenOf('ann') })
    await client.ping()
    gateway.engine.users.delete('ann')
    expect(await event(client, 'state')).toMatchObject({ state: 'closed', error: { code: 'UNAUTHORIZED' } })
  })
})

describe('A stream', () => {
  test('is resumed after a lost connection: every entry once and in order', async () => {
    const client = start()
    const entries = new Collector<Entry>()
    await append(1, 3)
    const stream = client.stream('s', { from: '0' }, entries.add)
    await entries.has(3)
    for (let round = 0; round < 4; round++) {
      await network.cut()
      await append(4 + round * 50, 28 + round * 50)
      await network.mend()
      await append(29 + round * 50, 53 + round * 50)
    }
    await entries.has(203)
    expect(entries.items.map(({ id }) => id)).toEqual(ids(1, 203))
    expect(entries.items[0]!.fields).toEqual({ n: '1' })
    expect(stream.lastId).toBe('203-0')
    stream.close()
    await append(204, 204)
    await client.ping()
    expect(entries.items).toHaveLength(203)
  })

  test('that starts from now on misses nothing that comes while the connection is lost', async () => {
    const client = start()
    const entries = new Collector<Entry>()
    await append(1, 2)
    await client.stream('s', {}, entries.add).ready
    await network.cut()
    await append(3, 5)
    await network.mend()
    expect((await entries.has(3)).map(({ id }) => id)).toEqual(ids(3, 5))
  })

  test('is iterated over, and the server waits for an iterator that does not keep up', async () => {
    const commands = ids(1, 5000).map((id) => ['XADD', 's', id, 'n', '1'])
    await gateway.engine.pipeline(gateway.engine.system, commands, 0)
    const client = start()
    const seen: string[] = []
    for await (const { id } of client.stream('s', { from: '0' })) {
      seen.push(id)
      // Others get their turn between two entries, so that more comes than is taken.
      if (seen.length % 50 === 0) await client.ping()
      if (seen.length === 5000) break
    }
    expect(seen).toEqual(ids(1, 5000))
    // Leaving the loop has ended the subscription.
    await client.stream('s').ready
  })

  test('tells of a gap after entries were trimmed away meanwhile', async () => {
    const client = start()
    const entries = new Collector<Entry>()
    await append(1, 3)
    client.stream('s', { from: '0' }, entries.add)
    await entries.has(3)
    await network.cut()
    await append(4, 9)
    await gateway.call('XTRIM', 's', 'MINID', '8-0')
    const gap = event(client, 'gap')
    await network.mend()
    expect(await gap).toMatchObject({ stream: 's', after: '3-0', first: '8-0' })
    expect((await entries.has(5)).slice(3).map(({ id }) => id)).toEqual(['8-0', '9-0'])
  })

  test('that is refused rejects where one waits, and tells by an event', async () => {
    await gateway.call('SET', 's', 'text')
    const client = start()
    const ended = event(client, 'ended')
    const stream = client.stream('s')
    await expect(stream.ready).rejects.toMatchObject({ code: 'WRONGTYPE' })
    expect(await ended).toMatchObject({ subscription: 'stream:s', error: { code: 'WRONGTYPE' } })
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'WRONGTYPE' })
    expect(() => [client.stream('t'), client.stream('t')]).toThrow('followed already')
  })
})

describe('A consumer', () => {
  test('acknowledges what is handled, and gets again what has failed', async () => {
    const client = start()
    const handled = new Collector<string>()
    const consumer = client.consume('s', 'g', 'c', { create: '0', retryDelayMs: 5 }, async ({ id }, { deliveries }) => {
      handled.add(`${id} ${deliveries}`)
      if (id === '2-0' && deliveries === 1) throw new Error('not yet')
    })
    await consumer.ready
    await append(1, 3)
    expect([...(await handled.has(4))].sort()).toEqual(['1-0 1', '2-0 1', '2-0 2', '3-0 1'])
    while (((await gateway.call('XPENDING', 's', 'g')) as [number])[0] > 0) await client.ping()
    consumer.close()
    await append(4, 4)
    await client.ping()
    expect(handled.items).toHaveLength(4)
  })

  test('handles nothing twice when the connection is lost, and acknowledges over the next one', async () => {
    const client = start()
    const begun = new Collector<string>()
    const { promise: mended, resolve } = Promise.withResolvers<void>()
    client.consume('s', 'g', 'c', { create: '0', credit: 2 }, async ({ id }) => {
      begun.add(id)
      if (id === '1-0') await mended
    })
    await append(1, 1)
    await begun.has(1)
    await network.cut()
    await append(2, 4)
    await network.mend()
    expect(await begun.has(4)).toEqual(ids(1, 4))
    resolve()
    while (((await gateway.call('XPENDING', 's', 'g')) as [number])[0] > 0) await client.ping()
    expect(begun.items).toHaveLength(4)
  })

  test('never has more handlers run than its credit', async () => {
    const client = start()
    let [running, most] = [0, 0]
    const handled = new Collector<string>()
    await append(1, 40)
    client.consume('s', 'g', 'c', { create: '0', credit: 4 }, async ({ id }) => {
      running++
      most = Math.max(most, running)
      await client.ping()
      running--
      handled.add(id)
    })
    await handled.has(40)
    expect(most).toBe(4)
    expect(new Set(handled.items).size).toBe(40)
  })
})
