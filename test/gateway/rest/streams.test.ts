/** Server-sent events: subscriptions and MONITOR. */
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { MessageListener } from '../../../src/gateway/engine.ts'
import { UNREAD_BYTES_MAX } from '../../../src/gateway/rest/event-stream.ts'
import { EVENT_BYTES_MAX, HEARTBEAT_S } from '../../../src/gateway/rest/streams.ts'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  gateway = await TestGateway.start({}, { corsOrigins: ['https://page.example'] })
})

afterEach(async () => {
  await gateway.close()
  vi.useRealTimers()
})

/** A stream as its client sees it. */
class EventSourceClient {
  readonly response: IncomingMessage
  text = ''
  isEnded: boolean = false
  private readonly sent: ClientRequest
  private wake: () => void = () => {}

  private constructor(sent: ClientRequest, response: IncomingMessage) {
    this.sent = sent
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      this.text += chunk
      this.wake()
    })
    response.on('error', () => this.ended())
    response.on('close', () => this.ended())
  }

  static async open(path: string, token = '', method = 'GET'): Promise<EventSourceClient> {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
    const sent = request(gateway.url + path, { method, headers })
    sent.on('error', () => {})
    sent.end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return new EventSourceClient(sent, response)
  }

  /** Resolves to what was sent until now when it contains some text, and to all of it when the stream has ended. */
  async until(part: string): Promise<string> {
    while (!this.text.includes(part) && !this.isEnded) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.text
  }

  async end(): Promise<string> {
    while (!this.isEnded) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.text
  }

  close(): void {
    this.sent.destroy()
  }

  private ended(): void {
    this.isEnded = true
    this.wake()
  }
}

async function publish(channel: string, message: string | Buffer): Promise<unknown> {
  return gateway.call('PUBLISH', channel, message)
}

/** Waits until a message would reach nobody. */
async function untilUnheard(channel: string): Promise<void> {
  while ((await publish(channel, 'x')) !== 0) await new Promise((resolve) => setImmediate(resolve))
}

describe('A subscription', () => {
  test('confirms each channel, then sends each message as an event', async () => {
    const client = await EventSourceClient.open('/SUBSCRIBE/news/sp%20orts/news', '', 'POST')
    expect(client.response.statusCode).toBe(200)
    expect(client.response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(client.response.headers['x-request-id']).toBeTypeOf('string')
    await client.until('sp orts,2')
    expect(await publish('news', 'grüße, 😀')).toBe(1)
    await publish('sp orts', '{"a":1}')
    await publish('other', 'x')
    await publish('news', Buffer.from([0x61, 0xff]))
    expect(await client.until('a\ufffd\n\n')).toBe(
      'data: subscribe,news,1\n\ndata: subscribe,sp orts,2\n\n' +
        'data: message,news,grüße, 😀\n\ndata: message,sp orts,{"a":1}\n\ndata: message,news,a\ufffd\n\n',
    )
    client.close()
  })

  test('to patterns tells pattern and channel', async () => {
    const client = await EventSourceClient.open('/psubscribe/n%2A/%3Fews')
    await client.until('?ews,2')
    await publish('news', '1')
    const text = await client.until('pmessage,?ews,news,1')
    expect(text).toContain('data: psubscribe,n*,1\n\ndata: psubscribe,?ews,2\n\n')
    expect(text).toContain('data: pmessage,n*,news,1\n\n')
    client.close()
  })

  test('sends a message of several lines as one event of several lines', async () => {
    const client = await EventSourceClient.open('/subscribe/news')
    await client.until('news,1')
    await publish('news', 'a\nb\r\nc\rd\n')
    await publish('news', 'end')
    expect(await client.until('end')).toContain(
      'data: message,news,a\ndata: b\ndata: c\ndata: d\ndata: \n\ndata: message,news,end\n\n',
    )
    client.close()
  })

  test('ends with its connection, and others of the same channel go on', async () => {
    const first = await EventSourceClient.open('/subscribe/news')
    const second = await EventSourceClient.open('/subscribe/news')
    await Promise.all([first.until('news,1'), second.until('news,1')])
    await publish('news', 'one')
    await Promise.all([first.until('one'), second.until('one')])
    first.close()
    await publish('news', 'two')
    await second.until('two')
    second.close()
    await untilUnheard('news')
  })

  test('has the headers that pages of other origins need', async () => {
    const response = await gateway.fetch('/subscribe/news', { headers: { origin: 'https://page.example' } })
    expect(response.headers.get('access-control-allow-origin')).toBe('https://page.example')
    await response.body?.cancel()
  })

  test('gives a sign of life', async () => {
    const client = await EventSourceClient.open('/subscribe/news')
    await client.until('news,1')
    vi.advanceTimersByTime(HEARTBEAT_S * 1000)
    expect(await client.until('ping')).toBe('data: subscribe,news,1\n\n: ping\n\n')
    client.close()
  })

  test('loses its connection when its client does not read', async () => {
    const client = await EventSourceClient.open('/subscribe/news')
    await client.until('news,1')
    client.response.pause()
    const message = 'x'.repeat(1024 * 1024)
    let sent = 0
    // Two socket buffers take some of it before anything is unread here.
    while ((await publish('news', message)) === 1) {
      sent += message.length
      expect(sent).toBeLessThan(UNREAD_BYTES_MAX * 10)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(sent).toBeGreaterThan(UNREAD_BYTES_MAX)
    client.response.resume()
    await client.end()
    expect(client.response.complete).toBe(false)
  })

  test.each([
    ['/subscribe', "ERR wrong number of arguments for 'subscribe' command"],
    ['/psubscribe', "ERR wrong number of arguments for 'psubscribe' command"],
    ['/monitor/x', "ERR wrong number of arguments for 'monitor' command"],
  ])('is refused without channels, MONITOR with: %s', async (path, error) => {
    const response = await gateway.fetch(path, { method: 'POST' })
    expect([response.status, await response.json()]).toEqual([400, { error }])
  })
})

describe('While the engine subscribes', () => {
  /** Has something happen when the engine is asked for a subscription, before it is there. */
  function meanwhile(happens: (listener: MessageListener) => void): void {
    const { engine } = gateway
    vi.restoreAllMocks()
    const subscribe = engine.subscribe.bind(engine)
    vi.spyOn(engine, 'subscribe').mockImplementation((channel, listener) => {
      happens(listener)
      return subscribe(channel, listener)
    })
  }

  test('messages are kept, and sent behind the confirmation', async () => {
    meanwhile((listener) => listener(Buffer.from('early'), 'news'))
    const client = await EventSourceClient.open('/subscribe/news')
    expect(await client.until('early')).toBe('data: subscribe,news,1\n\ndata: message,news,early\n\n')
    client.close()
  })

  test('a user that is deleted, or a message that is too large, makes the answer an error', async () => {
    gateway.user('ann', ['on', '+subscribe', '&*'])
    const token = gateway.tokenOf('ann')
    meanwhile((listener) => listener(Buffer.alloc(EVENT_BYTES_MAX + 1), 'news'))
    const tooLarge = await gateway.fetch('/subscribe/news', { token })
    expect([tooLarge.status, await tooLarge.json()]).toEqual([
      503,
      { error: 'ERR the stream has ended before it began' },
    ])
    meanwhile(() => gateway.engine.users.delete('ann'))
    const deleted = await gateway.fetch('/subscribe/news', { token })
    expect([deleted.status, await deleted.json()]).toEqual([401, { error: 'WRONGPASS the user was deleted' }])
    await untilUnheard('news')
  })

  test('messages that are more than the limit cut the connection', async () => {
    meanwhile((listener) => {
      for (let i = 0; i < 5; i++) listener(Buffer.alloc(EVENT_BYTES_MAX / 4), 'news')
    })
    await expect(gateway.fetch('/subscribe/news')).rejects.toThrow('fetch failed')
    await untilUnheard('news')
  })
})

describe('MONITOR', () => {
  test('shows the commands of all', async () => {
    const client = await EventSourceClient.open('/monitor', '', 'POST')
    await client.until('"OK"')
    await gateway.fetch('/set/key/a%0Ab')
    expect(await client.until('"set"')).toMatch(/^data: "OK"\n\ndata: \d+\.\d{6} \[0 [^\]]+\] "set" "key" "a\\nb"\n\n$/)
    client.close()
  })
})

describe('A stream ends', () => {
  beforeEach(() => {
    gateway.user('ann', ['on', '>secret', '+subscribe', '+psubscribe', '+monitor', '&app:*'])
  })

  test('when its user loses the right to the channel, but not by other changes', async () => {
    const client = await EventSourceClient.open('/subscribe/app:x', gateway.tokenOf('ann'))
    await client.until('app:x,1')
    gateway.user('ann', ['+get', '&more:*'])
    gateway.user('somebody', ['on'])
    await publish('app:x', 'still there')
    await client.until('still there')
    gateway.user('ann', ['resetchannels', '&other:*'])
    await publish('app:x', 'secret')
    expect(await client.end()).toMatch(
      /still there\n\n: NOPERM this user has no permissions to access one of the channels used as arguments\n\n$/,
    )
  })

  test('when its user loses the command, also for a token for reading', async () => {
    const pattern = await EventSourceClient.open('/psubscribe/app:*', gateway.tokenOf('ann', 'read-only'))
    const monitor = await EventSourceClient.open('/monitor', gateway.tokenOf('ann'))
    await Promise.all([pattern.until('app:*,1'), monitor.until('"OK"')])
    gateway.user('ann', ['-psubscribe', '-monitor'])
    expect(await pattern.end()).toContain(": NOPERM this user has no permissions to run the 'psubscribe' command")
    expect(await monitor.end()).toContain(": NOPERM this user has no permissions to run the 'monitor' command")
  })

  test('when a message is too large', async () => {
    const client = await EventSourceClient.open('/subscribe/app:x')
    await client.until('app:x,1')
    await publish('app:x', 'x'.repeat(EVENT_BYTES_MAX + 1))
    expect(await client.end()).toBe('data: subscribe,app:x,1\n\n: what is to be sent is larger than 4194304 bytes\n\n')
    const monitor = await EventSourceClient.open('/monitor')
    await monitor.until('"OK"')
    await gateway.call('ECHO', 'x'.repeat(EVENT_BYTES_MAX))
    expect(await monitor.end()).toMatch(/larger than 4194304 bytes\n\n$/)
  })

  test('when its user is deleted', async () => {
    const client = await EventSourceClient.open('/subscribe/app:x', gateway.tokenOf('ann'))
    await client.until('app:x,1')
    gateway.engine.users.delete('ann')
    expect(await client.end()).toBe('data: subscribe,app:x,1\n\n: WRONGPASS the user was deleted\n\n')
    await untilUnheard('app:x')
  })

  test('when its token is revoked, with the next heartbeat', async () => {
    const token = gateway.tokenOf('ann')
    const client = await EventSourceClient.open('/subscribe/app:x', token)
    await client.until('app:x,1')
    gateway.engine.tokens.revoke(token.split('_')[1]!)
    vi.advanceTimersByTime(HEARTBEAT_S * 1000)
    expect(await client.end()).toBe(
      'data: subscribe,app:x,1\n\n: ping\n\n: WRONGPASS invalid or missing auth token\n\n',
    )
    await untilUnheard('app:x')
  })

  test('when the gateway shuts down', async () => {
    const client = await EventSourceClient.open('/subscribe/app:x')
    await client.until('app:x,1')
    const closing = gateway.gateway.close()
    expect(await client.end()).toContain(': ERR the server is shutting down\n\n')
    await closing
  })
})
