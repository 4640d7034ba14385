/** Topics over HTTP: publish, count subscribers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

afterAll(() => gateway.close())

async function publish(channel: string, json: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await gateway.fetch(`/v1/topics/${channel}/messages`, { json })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Listens to a channel until `count` messages have come. */
async function listen(channel: string, count: number): Promise<Promise<Buffer[]>[]> {
  const { promise, resolve } = Promise.withResolvers<Buffer[]>()
  const messages: Buffer[] = []
  const subscription = await gateway.engine.subscribe(channel, (message) => {
    messages.push(Buffer.from(message))
    if (messages.length === count) void subscription.unsubscribe().then(() => resolve(messages))
  })
  // In an array: a promise that is returned would be waited for.
  return [promise]
}

describe('POST /v1/topics/{channel}/messages', () => {
  test('publishes a message and answers how many received it', async () => {
    const [messages] = await listen('news', 1)
    expect(await publish('news', { data: 'héllo' })).toEqual({ status: 200, body: { receivers: 1 } })
    expect((await messages)?.map(String)).toEqual(['héllo'])
    expect(await publish('news', { data: '' })).toEqual({ status: 200, body: { receivers: 0 } })
  })

  test('publishes bytes that are sent as base64', async () => {
    const [messages] = await listen('bytes', 1)
    const bytes = Buffer.from([0, 255, 128])
    await publish('bytes', { data: bytes.toString('base64'), encoding: 'base64' })
    expect(await messages).toEqual([bytes])
    expect((await publish('bytes', { data: '*', encoding: 'base64' })).status).toBe(400)
  })

  test('publishes many messages in order', async () => {
    const [messages] = await listen('many', 1000)
    const list = Array.from({ length: 1000 }, (_, i) => ({ data: String(i) }))
    const answer = await publish('many', { messages: list })
    expect(answer.body).toEqual({ receivers: 1000, each: list.map(() => 1) })
    expect((await messages)?.map(String)).toEqual(list.map(({ data }) => data))
  })

  test('takes any channel, slashes included', async () => {
    const [messages] = await listen('a/b ü', 1)
    await publish(encodeURIComponent('a/b ü'), { data: 'x' })
    expect(await messages).toHaveLength(1)
  })

  test('refuses what does not follow the schema', async () => {
    for (const json of [
      {},
      { data: 1 },
      { data: 'x', nosuch: 1 },
      { data: 'x', encoding: 'hex' },
      { data: 'x', messages: [{ data: 'x' }] },
      { messages: [] },
      { messages: [{}] },
      { messages: Array.from({ length: 1001 }, () => ({ data: 'x' })) },
      'text',
    ]) {
      expect((await publish('news', json)).status, JSON.stringify(json).slice(0, 60)).toBe(400)
    }
    expect((await publish('x'.repeat(1025), { data: 'x' })).status).toBe(400)
    expect((await publish('news', { data: 'x'.repeat(9 * 1024 * 1024) })).status).toBe(413)
  })

  test('answers other methods with 405', async () => {
    const response = await gateway.fetch('/v1/topics/news/messages')
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('POST')
  })
})

describe('Subscribers', () => {
  test('are counted for one channel and for several', async () => {
    const subscription = await gateway.engine.subscribe('busy', () => {})
    expect(await (await gateway.fetch('/v1/topics/busy')).json()).toEqual({ channel: 'busy', subscribers: 1 })
    expect(await (await gateway.fetch('/v1/topics?channel=busy&channel=idle')).json()).toEqual({
      topics: [
        { channel: 'busy', subscribers: 1 },
        { channel: 'idle', subscribers: 0 },
      ],
    })
    expect(await (await gateway.fetch('/v1/topics?channel=idle')).json()).toEqual({
      topics: [{ channel: 'idle', subscribers: 0 }],
    })
    await subscription.unsubscribe()
    expect((await gateway.fetch('/v1/topics')).status).toBe(400)
    const many = Array.from({ length: 101 }, () => 'channel=x').join('&')
    expect((await gateway.fetch(`/v1/topics?${many}`)).status).toBe(400)
  })
})
