/** Requests that are pipelined on one connection. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { WAITING_REQUESTS_MAX } from '../../src/gateway/turns.ts'
import { TestGateway } from '../support/gateway.ts'

const HEAD = 'host: localhost\r\n'
const JSON_BODY = JSON.stringify({ blockMs: 20_000 })

let gateway: TestGateway
let socket: Socket
let received: string

beforeEach(async () => {
  gateway = await TestGateway.start()
  socket = connect(gateway.port, '127.0.0.1')
  received = ''
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
})

afterEach(async () => {
  socket.destroy()
  await gateway.close()
})

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\n${HEAD}\r\n`
}

async function clientsInfo(name: string): Promise<number> {
  const info = String(await gateway.call('INFO', 'clients'))
  return Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1])
}

async function untilAnswers(count: number): Promise<void> {
  await vi.waitFor(() => expect(received.match(/HTTP\/1\.1 \d+/g) ?? []).toHaveLength(count), {
    timeout: 5000,
    interval: 2,
  })
}

describe('Pipelined requests', () => {
  test('are answered in their order, and run one after the other', async () => {
    const body = '["INCR","n"]'
    const post = `POST / HTTP/1.1\r\n${HEAD}content-length: ${body.length}\r\n\r\n${body}`
    socket.write(get('/incr/n') + post + get('/healthz') + get('/incr/n'))
    await untilAnswers(4)
    expect(received.match(/\{.*?\}/g)).toEqual(['{"result":1}', '{"result":2}', '{"status":"ok"}', '{"result":3}'])
  })

  test.each([
    ['commands that block', get('/blpop/nothing/20')],
    [
      'requests for a job',
      `POST /v1/queues/none/fetch HTTP/1.1\r\n${HEAD}content-type: application/json\r\ncontent-length: ${JSON_BODY.length}\r\n\r\n${JSON_BODY}`,
    ],
  ])('that wait (%s) wait one at a time', async (_name, request) => {
    socket.write(request.repeat(20) + get('/set/after/1'))
    await vi.waitFor(async () => expect(await clientsInfo('blocked_clients')).toBe(1), { timeout: 5000, interval: 5 })
    // Whatever was going to block has done so by the time of a later request.
    await (await gateway.fetch('/healthz')).text()
    expect(await clientsInfo('blocked_clients')).toBe(1)
    socket.destroy()
    await vi.waitFor(async () => expect(await clientsInfo('blocked_clients')).toBe(0), { timeout: 5000, interval: 5 })
    expect(await gateway.call('EXISTS', 'after')).toBe(0)
  })

  test('whose answers nobody reads are not run', async () => {
    await gateway.call('SET', 'big', 'x'.repeat(8 * 1024 * 1024))
    socket.pause()
    socket.write(get('/get/big') + get('/incr/read'))
    await vi.waitFor(async () => expect(String(await gateway.call('INFO', 'commandstats'))).toContain('cmdstat_get:'))
    await (await gateway.fetch('/healthz')).text()
    expect(await gateway.call('EXISTS', 'read')).toBe(0)
    socket.resume()
    await vi.waitFor(async () => expect(await gateway.call('GET', 'read')).toBe('1'), { timeout: 5000, interval: 5 })
  })

  test('that are too many close their connection', async () => {
    socket.write(get('/blpop/nothing/20') + get('/healthz').repeat(WAITING_REQUESTS_MAX))
    await vi.waitFor(async () => expect(await clientsInfo('blocked_clients')).toBe(1), { timeout: 5000, interval: 5 })
    expect(socket.closed).toBe(false)
    socket.write(get('/healthz'))
    await once(socket, 'close')
    expect(received).toBe('')
    await vi.waitFor(async () => expect(await clientsInfo('blocked_clients')).toBe(0), { timeout: 5000, interval: 5 })
  })
})

test('Further long polls are refused with 503 when too many wait', async () => {
  const filled = await TestGateway.start({}, { waitsMax: 1 })
  try {
    const first = new AbortController()
    const waiting = filled.fetch('/blpop/nothing/20', { signal: first.signal })
    await vi.waitFor(async () => expect(String(await filled.call('INFO', 'clients'))).toContain('blocked_clients:1'))
    for (const [path, json] of [
      ['/blpop/nothing/20', undefined],
      ['/v1/streams/s/read?after=0-0&blockMs=20000', undefined],
      ['/v1/queues/none/fetch', { blockMs: 20_000 }],
      ['/v1/queues/none/jobs/1/result?blockMs=20000', undefined],
    ] as const) {
      const response = await filled.fetch(path, json === undefined ? {} : { json })
      expect([path, response.status, response.headers.get('retry-after')]).toEqual([path, 503, '1'])
      expect(await response.text()).toContain('Too many requests wait already')
    }
    const batch = await filled.fetch('/pipeline', {
      json: [
        ['SET', 'k', '1'],
        ['BLPOP', 'nothing', '20'],
      ],
    })
    expect(await batch.json()).toEqual([{ result: 'OK' }, { error: 'ERR Too many requests wait already' }])
    first.abort()
    await expect(waiting).rejects.toThrow('aborted')
  } finally {
    await filled.close()
  }
})
