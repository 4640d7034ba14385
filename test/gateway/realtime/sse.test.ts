/** Server-Sent Events, and the client for browsers as a file. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { REALTIME_LIMITS } from '../../../src/gateway/realtime/limits.ts'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

interface Event {
  readonly event: string
  readonly id: string | null
  readonly data: { readonly type: string; readonly [member: string]: unknown }
}

/** Reads the events of a response. */
class Events {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>
  private text = ''

  constructor(response: Response) {
    this.reader = response.body!.getReader()
  }

  /** The next event; null when the response has ended. */
  async next(): Promise<Event | null> {
    for (;;) {
      const end = this.text.indexOf('\n\n')
      if (end >= 0) {
        const lines = this.text.slice(0, end).split('\n')
        this.text = this.text.slice(end + 2)
        const event = eventOf(lines)
        if (event !== null) return event
        continue
      }
      const { value, done } = await this.reader.read()
      if (done) return null
      this.text += new TextDecoder().decode(value)
    }
  }

  async close(): Promise<void> {
    await this.reader.cancel()
  }
}

function eventOf(lines: readonly string[]): Event | null {
  const members = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
  const data = members.get('data')
  if (data === undefined) return null
  return { event: members.get('event') ?? 'message', id: members.get('id') ?? null, data: JSON.parse(data) }
}

async function listen(query: string, headers: Record<string, string> = {}): Promise<Events> {
  const response = await gateway.fetch(`/v1/realtime/sse?${query}`, { headers })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  return new Events(response)
}

beforeEach(async () => {
  gateway = await TestGateway.start()
})

afterEach(() => gateway.close())

describe('SSE', () => {
  test('brings messages of channels and patterns', async () => {
    const events = await listen('channel=news&pattern=n*')
    expect(await events.next()).toEqual({
      event: 'open',
      id: null,
      data: { type: 'open', subscriptions: [{ channel: 'news' }, { pattern: 'n*' }] },
    })
    await gateway.call('PUBLISH', 'news', 'a\nb')
    expect([await events.next(), await events.next()]).toEqual([
      { event: 'message', id: null, data: { type: 'message', channel: 'news', data: 'a\nb' } },
      { event: 'message', id: null, data: { type: 'message', pattern: 'n*', channel: 'news', data: 'a\nb' } },
    ])
    await events.close()
  })

  test('resumes every stream of the request behind Last-Event-ID', async () => {
    await gateway.call('XADD', 'a', '1-0', 'n', '1')
    const before = await listen('stream=a&stream=b')
    expect((await before.next())?.id).toBe('1-0,0-0')
    await gateway.call('XADD', 'b', '5-0', 'n', '5')
    const seen = await before.next()
    expect(seen).toMatchObject({
      event: 'entries',
      id: '1-0,5-0',
      data: { stream: 'b', entries: [['5-0', ['n', '5']]] },
    })
    await before.close()
    await gateway.call('XADD', 'a', '2-0', 'n', '2')
    await gateway.call('XADD', 'b', '6-0', 'n', '6')
    const after = await listen('stream=a&stream=b', { 'last-event-id': seen!.id! })
    expect((await after.next())?.id).toBe('1-0,5-0')
    const [first, second] = [await after.next(), await after.next()]
    const entries = new Map([first, second].map((event) => [event!.data.stream, event!.data.entries]))
    expect(entries.get('a')).toEqual([['2-0', ['n', '2']]])
    expect(entries.get('b')).toEqual([['6-0', ['n', '6']]])
    expect(second?.id).toBe('2-0,6-0')
    await after.close()
  })

  test('begins with its head, whatever there is to say before', async () => {
    await gateway.close()
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, heartbeatMs: 2 } })
    const streams = Array.from({ length: 20 }, (_, n) => `stream=s${n}`).join('&')
    for (let n = 0; n < 30; n++) await (await listen(`${streams}&channel=c`)).close()
  })

  test('starts streams where from says, and takes the position from the query too', async () => {
    for (const id of ['1-0', '2-0', '3-0']) await gateway.call('XADD', 's', id, 'n', id)
    for (const [query, ids] of [
      ['stream=s&from=0', ['1-0', '2-0', '3-0']],
      ['stream=s&lastEventId=2-0', ['3-0']],
    ] as const) {
      const events = await listen(query)
      await events.next()
      const entries = (await events.next())?.data.entries as [string][]
      expect(entries.map(([id]) => id)).toEqual(ids)
      await events.close()
    }
  })

  test.each([
    ['', 400],
    ['channel=', 400],
    ['unknown=1&channel=c', 400],
    ['stream=s&from=tomorrow', 400],
    ['stream=s&lastEventId=1-0,2-0', 400],
    ['stream=s&lastEventId=x', 400],
    [Array.from({ length: 33 }, (_, i) => `stream=s${i}`).join('&'), 400],
    ['keys=*', 409],
  ])('is refused as a problem: %s', async (query, status) => {
    const response = await gateway.fetch(`/v1/realtime/sse?${query}`)
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    await response.arrayBuffer()
  })

  test('is refused to whom a channel, a stream or a queue is not allowed, and ends when the right is lost', async () => {
    gateway.user('ann', ['on', '+@all', '~app:*', '&app:*'])
    const token = gateway.tokenOf('ann')
    for (const query of ['channel=x', 'pattern=*', 'stream=x', 'queue=mail', 'channel=app:1&stream=x']) {
      const response = await gateway.fetch(`/v1/realtime/sse?${query}`, { token })
      expect(response.status).toBe(403)
      await response.arrayBuffer()
    }
    expect(await gateway.call('PUBSUB', 'CHANNELS')).toEqual([])
    const events = await listen(`channel=app:1&_token=${token}`)
    await events.next()
    gateway.user('ann', ['resetchannels'])
    expect(await events.next()).toMatchObject({ event: 'unsubscribed', data: { channel: 'app:1', code: 'NOPERM' } })
    gateway.engine.users.delete('ann')
    expect(await events.next()).toMatchObject({ event: 'close', data: { code: 4401 } })
    expect(await events.next()).toBeNull()
  })

  test('ends when the gateway drains, and leaves no subscription behind when the client goes', async () => {
    const gone = await listen('channel=c')
    await gone.next()
    const events = await listen('channel=d')
    await events.next()
    await gone.close()
    while (((await gateway.call('PUBSUB', 'CHANNELS')) as string[]).includes('c')) await new Promise(setImmediate)
    await gateway.gateway.close()
    expect(await events.next()).toMatchObject({ event: 'close', data: { code: 1001 } })
    expect(await events.next()).toBeNull()
  })
})

describe('/client.js', () => {
  test('is one ES module that everybody may load, and is cached by its ETag', async () => {
    gateway.user('default', ['resetpass', '>secret'])
    const response = await gateway.fetch('/client.js')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    const text = await response.text()
    const module = await import(
      /* @vite-ignore */ `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`
    )
    expect(Object.keys(module).sort()).toEqual(['Entry', 'RealtimeClient', 'RealtimeError', 'connect'])
    expect(text).not.toMatch(/^import /m)
    const etag = response.headers.get('etag')!
    const again = await gateway.fetch('/client.js', { headers: { 'if-none-match': etag } })
    expect(again.status).toBe(304)
    expect(await again.text()).toBe('')
  })
})
