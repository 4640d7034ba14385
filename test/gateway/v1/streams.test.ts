/** Streams over HTTP: append, range, read with long polling, trim, delete. */
import { EventEmitter } from 'node:events'
import { connect } from 'node:net'
import type { FastifyReply } from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { keySlot } from '../../../src/gateway/remote/key-slot.ts'
import { companionKey } from '../../../src/gateway/v1/companion-key.ts'
import { LongPolls } from '../../../src/gateway/v1/long-polls.ts'
import { Waits } from '../../../src/gateway/waits.ts'
import { TestGateway } from '../../support/gateway.ts'
import type { RequestOptions } from '../../support/gateway-under-test.ts'

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

beforeEach(() => gateway.call('FLUSHALL'))

afterAll(() => gateway.close())

async function ask(path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await gateway.fetch(`/v1/streams/${path}`, options)
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}

function append(stream: string, json: unknown, key: string | null = null, query = ''): Promise<Answer> {
  return ask(`${stream}/entries${query}`, { json, headers: key === null ? {} : { 'idempotency-key': key } })
}

/** Appends entries 1-0 up to `count`-0. */
async function fill(stream: string, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, i) => ({ id: `${i + 1}-0`, fields: { n: String(i + 1) } }))
  expect((await append(stream, { entries })).status).toBe(201)
}

async function blockedClients(): Promise<number> {
  return Number(/blocked_clients:(\d+)/.exec(String(await gateway.call('INFO', 'clients')))?.[1])
}

function untilBlocked(count: number): Promise<void> {
  return vi.waitFor(async () => expect(await blockedClients()).toBe(count), { timeout: 5000, interval: 2 })
}

describe('POST /v1/streams/{stream}/entries', () => {
  test('appends one entry and answers its ID', async () => {
    const answer = await append('orders', { fields: { item: 'book', count: '1' } })
    expect(answer.status).toBe(201)
    const [id] = answer.body.ids as string[]
    expect(await gateway.call('XRANGE', 'orders', '-', '+')).toEqual([[id, ['item', 'book', 'count', '1']]])
  })

  test('takes pairs, which keep their order and names that occur twice', async () => {
    await append('orders', {
      fields: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
      id: '5-1',
    })
    expect(await gateway.call('XRANGE', 'orders', '-', '+')).toEqual([['5-1', ['b', '1', 'a', '2', 'b', '3']]])
  })

  test('takes an ID of its own, and one whose sequence is generated', async () => {
    expect((await append('orders', { id: '7-*', fields: { a: '1' } })).body).toEqual({ ids: ['7-0'] })
    expect((await append('orders', { id: '7-*', fields: { a: '1' } })).body).toEqual({ ids: ['7-1'] })
    const late = await append('orders', { id: '7-1', fields: { a: '1' } })
    expect(late.status).toBe(400)
    expect(late.body).toMatchObject({
      detail: 'ERR The ID specified in XADD is equal or smaller than the target stream top item',
      code: 'ERR',
    })
  })

  test('appends a thousand entries in one request', async () => {
    const entries = Array.from({ length: 1000 }, (_, i) => ({ fields: { n: String(i) } }))
    const answer = await append('orders', { entries })
    expect(answer.status).toBe(201)
    expect(new Set(answer.body.ids as string[]).size).toBe(1000)
    expect(await gateway.call('XLEN', 'orders')).toBe(1000)
    expect((await append('orders', { entries: [...entries, { fields: { n: '1' } }] })).status).toBe(400)
  })

  test('appends all entries or none', async () => {
    await gateway.call('XADD', 'orders', '9-9', 'a', '1')
    const entries = ['9-9', '9-10'].map((id) => ({ id, fields: { a: '1' } }))
    const answer = await append('orders', { entries })
    expect(answer.status).toBe(400)
    expect(answer.body.detail).toBe('ERR The ID specified in XADD is equal or smaller than the target stream top item')
    expect(await gateway.call('XLEN', 'orders')).toBe(1)
    expect((await append('orders', { entries: entries.slice(1) })).body).toEqual({ ids: ['9-10'] })
  })

  test('compares IDs exactly beyond what numbers can hold', async () => {
    await gateway.call('XADD', 'orders', '9007199254740993-0', 'a', '1')
    const below = ['9007199254740992-0', '9007199254740994-0'].map((id) => ({ id, fields: { a: '1' } }))
    expect((await append('orders', { entries: below })).status).toBe(400)
    const above = ['9007199254740993-1', '18446744073709551615-18446744073709551615'].map((id) => ({
      id,
      fields: { a: '1' },
    }))
    expect((await append('orders', { entries: above })).status).toBe(201)
    const full = await append('orders', { entries: [{ fields: { a: '1' } }, { fields: { a: '1' } }] })
    expect(full.body.detail).toBe('ERR The stream has exhausted the last possible ID, unable to add more items')
    expect(await gateway.call('XLEN', 'orders')).toBe(3)
  })

  test('refuses several entries whose IDs do not ascend, are not complete, or are missing for some', async () => {
    const of = (...ids: (string | null)[]) => ({
      entries: ids.map((id) => ({ ...(id === null ? {} : { id }), fields: { a: '1' } })),
    })
    for (const ids of [
      ['2-0', '1-0'],
      ['1-0', '1-0'],
      ['0-0', '1-0'],
      ['1-*', '2-*'],
      ['1-0', null],
      [null, '1-0'],
    ]) {
      const answer = await append('orders', of(...ids))
      expect(answer.status, JSON.stringify(ids)).toBe(400)
    }
    expect((await append('orders', of('1-0', '18446744073709551616-0'))).status).toBe(400)
    expect(await gateway.call('EXISTS', 'orders')).toBe(0)
  })

  test('keeps bytes that are sent as base64, and gives them back as such', async () => {
    const bytes = Buffer.from([0, 255, 128, 10])
    const name = Buffer.from('photo').toString('base64')
    await append('photos', { encoding: 'base64', fields: { [name]: bytes.toString('base64') }, id: '1-0' })
    await append('photos', { fields: { plain: 'téxt' }, id: '2-0' })
    expect((await ask('photos/entries')).body.entries).toEqual([
      { id: '1-0', fields: { [name]: bytes.toString('base64') }, encoding: 'base64' },
      { id: '2-0', fields: { plain: 'téxt' } },
    ])
    expect((await append('photos', { encoding: 'base64', fields: { a: '*' } })).status).toBe(400)
  })

  test('trims while it appends', async () => {
    await fill('orders', 10)
    await append('orders', { fields: { n: '11' }, id: '11-0', trim: { maxLen: 3 } })
    expect(await gateway.call('XLEN', 'orders')).toBe(3)
    const entries = [12, 13].map((n) => ({ id: `${n}-0`, fields: { n: String(n) } }))
    await append('orders', { entries, trim: { minId: '12' } })
    expect(await gateway.call('XLEN', 'orders')).toBe(2)
    const approximate = { maxLen: 1, approximate: true, limit: 1000 }
    expect((await append('orders', { fields: { n: '14' }, trim: approximate })).status).toBe(201)
  })

  test('refuses trimming that contradicts itself', async () => {
    for (const trim of [{}, { maxLen: 1, minId: '1' }, { maxLen: 1, limit: 5 }]) {
      expect((await append('orders', { fields: { a: '1' }, trim })).status).toBe(400)
    }
  })

  test('answers 404 when the stream is not to be created, for one entry and for several', async () => {
    const one = { fields: { a: '1' }, createStream: false }
    const several = { entries: [one, one].map(({ fields }) => ({ fields })), createStream: false }
    for (const json of [one, several]) {
      expect((await append('orders', json)).status).toBe(404)
      expect(await gateway.call('EXISTS', 'orders')).toBe(0)
    }
    await fill('orders', 1)
    for (const json of [one, several]) expect((await append('orders', json)).status).toBe(201)
  })

  test('answers 409 for a key that holds something else', async () => {
    await gateway.call('SET', 'orders', 'x')
    const entry = { fields: { a: '1' } }
    for (const json of [entry, { entries: [entry, entry] }]) {
      const answer = await append('orders', json)
      expect(answer.status).toBe(409)
      expect(answer.body.detail).toBe('WRONGTYPE Operation against a key holding the wrong kind of value')
    }
  })

  test('refuses bodies that do not follow the schema', async () => {
    for (const json of [
      {},
      { fields: {} },
      { fields: { a: 1 } },
      { fields: { a: '1' }, nosuch: 1 },
      { fields: [['a']] },
      { fields: { a: '1' }, id: 'x' },
      { fields: { a: '1' }, entries: [{ fields: { a: '1' } }] },
      { entries: [] },
      { entries: [{ id: '1-1' }] },
      { entries: [{ fields: { a: '1' }, nosuch: 1 }] },
      { id: '1-1', entries: [{ fields: { a: '1' } }] },
      [],
      'text',
    ]) {
      const answer = await append('orders', json)
      expect(answer.status, JSON.stringify(json)).toBe(400)
      expect(answer.headers.get('content-type')).toContain('application/problem+json')
    }
    const headers = { 'content-type': 'application/json' }
    expect((await ask('orders/entries', { method: 'POST', headers, body: '{"fields":' })).status).toBe(400)
    expect(
      (await ask('orders/entries', { method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'a' })).status,
    ).toBe(415)
    expect(await gateway.call('EXISTS', 'orders')).toBe(0)
  })

  test('refuses a body over the limit, and goes on', async () => {
    const answer = await append('orders', { fields: { a: 'x'.repeat(9 * 1024 * 1024) } })
    expect(answer.status).toBe(413)
    expect((await append('orders', { fields: { a: '1' } })).status).toBe(201)
  })
})

describe('An idempotency key', () => {
  const entries = [{ fields: { a: '1' } }, { fields: { a: '2' } }]

  test.each([
    ['one entry', { fields: { a: '1' } }],
    ['several entries', { entries }],
  ])('makes a repeated request of %s append nothing and answer the same', async (_name, json) => {
    const first = await append('orders', json, 'order-1')
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    const length = await gateway.call('XLEN', 'orders')
    const again = await append('orders', json, 'order-1')
    expect(again.status).toBe(201)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.body).toEqual(first.body)
    expect(await gateway.call('XLEN', 'orders')).toBe(length)
    expect((await append('orders', json, 'order-2')).headers.get('idempotent-replayed')).toBeNull()
  })

  test('appends once when the same request is made many times at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => append('orders', { entries }, 'order-1')))
    expect(new Set(answers.map(({ body }) => JSON.stringify(body.ids))).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect(await gateway.call('XLEN', 'orders')).toBe(2)
  })

  test('is refused with another request', async () => {
    await append('orders', { entries }, 'order-1')
    for (const json of [
      { entries: entries.slice(0, 1) },
      { entries: [entries[0], { fields: { a: '3' } }] },
      { entries, trim: { maxLen: 10 } },
      { entries, createStream: false },
    ]) {
      expect((await append('orders', json, 'order-1')).status).toBe(422)
    }
    expect(await gateway.call('XLEN', 'orders')).toBe(2)
  })

  test('belongs to one stream', async () => {
    await append('orders', { entries }, 'order-1')
    expect((await append('others', { entries }, 'order-1')).headers.get('idempotent-replayed')).toBeNull()
    expect(await gateway.call('XLEN', 'others')).toBe(2)
  })

  test('is remembered for a day, or as long as the request says', async () => {
    await append('orders', { entries }, 'order-1')
    const [day] = (await gateway.call('KEYS', 'millrace:idempotency:{orders}:*')) as string[]
    const dayMs = Number(await gateway.call('PTTL', String(day)))
    expect(dayMs).toBeGreaterThan(86_300_000)
    expect(dayMs).toBeLessThanOrEqual(86_400_000)
    await append('shorts', { entries }, 'order-1', '?idempotencyWindowMs=1000')
    const [short] = (await gateway.call('KEYS', 'millrace:idempotency:{shorts}:*')) as string[]
    expect(Number(await gateway.call('PTTL', String(short)))).toBeLessThanOrEqual(1000)
    // As its time over would do.
    await gateway.call('DEL', String(short))
    expect((await append('shorts', { entries }, 'order-1')).headers.get('idempotent-replayed')).toBeNull()
    for (const window of ['999', '604800001', 'x']) {
      const answer = await append('orders', { entries }, 'order-1', `?idempotencyWindowMs=${window}`)
      expect(answer.status).toBe(400)
    }
  })

  test('is not remembered when nothing was appended', async () => {
    await gateway.call('SET', 'orders', 'x')
    expect((await append('orders', { entries }, 'order-1')).status).toBe(409)
    await gateway.call('DEL', 'orders')
    const answer = await append('orders', { entries }, 'order-1')
    expect(answer.status).toBe(201)
    expect(answer.headers.get('idempotent-replayed')).toBeNull()
  })

  test('lies in the hash slot of the stream, whatever braces its name has', () => {
    for (const name of ['plain', '{a}b', 'x{y}z{w}', 'a}b', '{}x', 'a{b', '}{', 'é}ü']) {
      const companion = companionKey('idempotency', name, ['k'])
      expect(keySlot(Buffer.from(companion)), name).toBe(keySlot(Buffer.from(name)))
    }
    expect(companionKey('idempotency', 'a', ['bc'])).not.toBe(companionKey('idempotency', 'ab', ['c']))
  })

  test('of 0 or over 255 chars is refused', async () => {
    expect((await append('orders', { entries }, 'x'.repeat(255))).status).toBe(201)
    expect((await append('orders', { entries }, 'x'.repeat(256))).status).toBe(400)
    expect((await append('orders', { entries }, '')).status).toBe(400)
  })
})

describe('GET /v1/streams/{stream}/entries', () => {
  const ids = (answer: Answer): string[] => (answer.body.entries as { id: string }[]).map(({ id }) => id)

  beforeEach(() => fill('orders', 5))

  test('lists a range, its ends included or not, in either order', async () => {
    expect(ids(await ask('orders/entries'))).toEqual(['1-0', '2-0', '3-0', '4-0', '5-0'])
    expect(ids(await ask('orders/entries?start=2&end=4'))).toEqual(['2-0', '3-0', '4-0'])
    expect(ids(await ask('orders/entries?start=(2-0&end=(4-0'))).toEqual(['3-0'])
    expect(ids(await ask('orders/entries?start=2-0&end=%2B&order=desc&count=2'))).toEqual(['5-0', '4-0'])
    expect(ids(await ask('nothing/entries'))).toEqual([])
  })

  test.each([
    ['asc', ['1-0', '2-0', '3-0', '4-0', '5-0']],
    ['desc', ['5-0', '4-0', '3-0', '2-0', '1-0']],
  ])('goes on at the cursor (%s), which is null on the last page', async (order, expected) => {
    for (const count of [2, 5, 6]) {
      const seen: string[] = []
      let cursor: unknown = ''
      let pages = 0
      while (cursor !== null) {
        const part = cursor === '' ? '' : `&cursor=${String(cursor)}`
        const answer = await ask(`orders/entries?count=${count}&order=${order}${part}`)
        seen.push(...ids(answer))
        cursor = answer.body.cursor
        pages++
      }
      expect(seen).toEqual(expected)
      expect(pages).toBe(Math.ceil(5 / count))
    }
  })

  test('shows fields as an object or as pairs', async () => {
    await gateway.call('XADD', 'odd', '1-0', '__proto__', 'x', 'a', '1', 'a', '2')
    const object = await gateway.fetch('/v1/streams/odd/entries')
    expect(await object.text()).toBe('{"entries":[{"id":"1-0","fields":{"__proto__":"x","a":"2"}}],"cursor":null}')
    expect((await ask('odd/entries?fieldsAs=pairs')).body.entries).toEqual([
      {
        id: '1-0',
        fields: [
          ['__proto__', 'x'],
          ['a', '1'],
          ['a', '2'],
        ],
      },
    ])
  })

  test('refuses wrong parameters', async () => {
    for (const query of [
      'start=x',
      'end=1-',
      'count=0',
      'count=1001',
      'order=up',
      'cursor=(1',
      'nosuch=1',
      'start=%00',
    ]) {
      expect((await ask(`orders/entries?${query}`)).status, query).toBe(400)
    }
    expect((await ask('orders/entries?start=99999999999999999999-0')).status).toBe(400)
  })

  test('a single entry is found by its ID, or is 404', async () => {
    expect((await ask('orders/entries/3-0')).body).toEqual({ id: '3-0', fields: { n: '3' } })
    expect((await ask('orders/entries/3')).body).toMatchObject({ id: '3-0' })
    expect((await ask('orders/entries/3-1')).status).toBe(404)
    expect((await ask('orders/entries/x')).status).toBe(400)
  })

  test('takes any name of a stream, slashes included', async () => {
    const name = 'a/b c?d#ü%{x}'
    await append(encodeURIComponent(name), { fields: { a: '1' } })
    expect(await gateway.call('EXISTS', name)).toBe(1)
    expect((await ask(`${encodeURIComponent(name)}/length`)).body).toEqual({ length: 1 })
    expect((await ask(`${'x'.repeat(1025)}/length`)).status).toBe(400)
  })
})

describe('GET /v1/streams/{stream}/read', () => {
  test('reads behind an ID, and says where to go on', async () => {
    await fill('orders', 3)
    const answer = await ask('orders/read?after=1-0&count=1')
    expect(answer.body).toEqual({ entries: [{ id: '2-0', fields: { n: '2' } }], next: '2-0' })
    expect((await ask('orders/read?after=3-0')).body).toEqual({ entries: [], next: '3-0' })
  })

  test('waits for the next entry', async () => {
    await fill('orders', 1)
    const answer = ask('orders/read?after=1-0&blockMs=60000')
    await untilBlocked(1)
    await append('orders', { id: '2-0', fields: { a: '1' } })
    expect((await answer).body).toEqual({ entries: [{ id: '2-0', fields: { a: '1' } }], next: '2-0' })
  })

  test('answers without entries when the time is over', async () => {
    expect((await ask('orders/read?after=0-0&blockMs=20')).body).toEqual({ entries: [], next: '0-0' })
  })

  test('misses nothing between two requests that begin with $', async () => {
    await fill('orders', 2)
    const first = await ask('orders/read?after=%24&blockMs=1')
    expect(first.body).toEqual({ entries: [], next: '2-0' })
    await append('orders', { id: '3-0', fields: { a: '1' } })
    const second = await ask(`orders/read?after=${String(first.body.next)}&blockMs=1000`)
    expect(second.body.next).toBe('3-0')
    const empty = await ask('fresh/read')
    expect(empty.body).toEqual({ entries: [], next: '0-0' })
  })

  test('leaves nothing blocked when the client hangs up', async () => {
    const controller = new AbortController()
    const answer = ask('orders/read?after=0-0&blockMs=60000', { signal: controller.signal })
    await untilBlocked(1)
    controller.abort()
    await expect(answer).rejects.toThrow('aborted')
    await untilBlocked(0)
  })

  test('ends when the gateway drains', async () => {
    const draining = await TestGateway.start()
    const answer = draining.fetch('/v1/streams/orders/read?after=0-0&blockMs=60000')
    await vi.waitFor(async () => expect(String(await draining.call('INFO', 'clients'))).toContain('blocked_clients:1'))
    await draining.close()
    expect(await (await answer).json()).toEqual({ entries: [], next: '0-0' })
  })

  test('waits once at a time on a connection, whatever is pipelined on it', async () => {
    const socket = connect(gateway.port, '127.0.0.1')
    const request = 'GET /v1/streams/orders/read?after=0-0&blockMs=60000 HTTP/1.1\r\nhost: localhost\r\n\r\n'
    let received = ''
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString()
    })
    socket.write(request.repeat(3))
    await untilBlocked(1)
    await append('orders', { id: '1-0', fields: { a: '1' } })
    await vi.waitFor(() => expect(received.match(/HTTP\/1\.1 200/g)).toHaveLength(3), { timeout: 5000, interval: 2 })
    socket.destroy()
    expect(await blockedClients()).toBe(0)
  })

  test('is refused with 503 when too many wait already', async () => {
    const polls = new LongPolls({ draining: new AbortController().signal, waits: new Waits(2) })
    const reply = (): FastifyReply => ({ request: { raw: { socket: {} } }, raw: new EventEmitter() }) as never
    const { promise, resolve } = Promise.withResolvers<void>()
    const waits = [polls.run(reply(), 1, () => promise), polls.run(reply(), 1, () => promise)]
    await expect(polls.run(reply(), 1, () => promise)).rejects.toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
    })
    resolve()
    await Promise.all(waits)
    await expect(polls.run(reply(), 1, async () => 'done')).resolves.toBe('done')
  })

  test('refuses a wait of more than a minute', async () => {
    expect((await ask('orders/read?after=0&blockMs=60001')).status).toBe(400)
  })
})

describe('A stream', () => {
  test('is described, with its first and last entry', async () => {
    await fill('orders', 3)
    await ask('orders/entries/3-0', { method: 'DELETE' })
    expect((await ask('orders')).body).toEqual({
      stream: 'orders',
      length: 2,
      lastId: '3-0',
      maxDeletedId: '3-0',
      entriesAdded: 3,
      groups: 0,
      firstEntry: { id: '1-0', fields: { n: '1' } },
      lastEntry: { id: '2-0', fields: { n: '2' } },
    })
    await gateway.call('DEL', 'orders')
    await gateway.call('XGROUP', 'CREATE', 'orders', 'g', '$', 'MKSTREAM')
    expect((await ask('orders')).body).toMatchObject({ length: 0, groups: 1, firstEntry: null, lastEntry: null })
    expect((await ask('nothing')).status).toBe(404)
  })

  test('has a length, 0 when it is not there', async () => {
    await fill('orders', 3)
    expect((await ask('orders/length')).body).toEqual({ length: 3 })
    expect((await ask('nothing/length')).body).toEqual({ length: 0 })
  })

  test('is trimmed by length and by ID', async () => {
    await fill('orders', 10)
    expect((await ask('orders/trim', { json: { maxLen: 7 } })).body).toEqual({ removed: 3 })
    expect((await ask('orders/trim', { json: { minId: '6' } })).body).toEqual({ removed: 2 })
    expect((await ask('orders/trim', { json: { maxLen: 1, approximate: true } })).body).toEqual({ removed: 0 })
    expect((await ask('orders/trim', { json: {} })).status).toBe(400)
    expect((await ask('orders/trim', { json: { maxLen: -1 } })).status).toBe(400)
  })

  test('loses entries that are deleted', async () => {
    await fill('orders', 5)
    const json = { ids: ['1-0', '2', '99-0'] }
    expect((await ask('orders/entries/delete', { json })).body).toEqual({ deleted: 2 })
    expect((await ask('orders/entries/5-0', { method: 'DELETE' })).body).toEqual({ deleted: 1 })
    expect((await ask('orders/entries/5-0', { method: 'DELETE' })).body).toEqual({ deleted: 0 })
    expect(await gateway.call('XLEN', 'orders')).toBe(2)
  })

  test('is deleted, and only a stream is', async () => {
    await fill('orders', 1)
    expect((await ask('orders', { method: 'DELETE' })).body).toEqual({ deleted: true })
    expect((await ask('orders', { method: 'DELETE' })).body).toEqual({ deleted: false })
    await gateway.call('SET', 'text', 'x')
    expect((await ask('text', { method: 'DELETE' })).status).toBe(409)
    expect(await gateway.call('GET', 'text')).toBe('x')
  })

  test('answers other methods with 405', async () => {
    const cases = [
      ['orders', 'PUT', 'DELETE, GET, HEAD'],
      ['orders/entries', 'PATCH', 'GET, HEAD, POST'],
      ['orders/entries/delete', 'GET', 'POST'],
      ['orders/entries/1-1', 'POST', 'DELETE, GET, HEAD'],
      ['orders/groups/g/ack', 'DELETE', 'POST'],
    ] as const
    for (const [path, method, allow] of cases) {
      const answer = await ask(path, { method })
      expect(answer.status, path).toBe(405)
      expect(answer.headers.get('allow'), path).toBe(allow)
    }
  })
})
