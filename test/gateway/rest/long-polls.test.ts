/** Blocking commands over HTTP. */
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { WAIT_MAX_MS } from '../../../src/gateway/rest/long-polls.ts'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeEach(async () => {
  gateway = await TestGateway.start()
})

afterEach(async () => {
  vi.useRealTimers()
  await gateway.close()
})

/** Clients that wait for a key, as the server sees them. */
function blockedClients(): number {
  return gateway.broker.server.blockedCount
}

async function untilBlocked(count: number): Promise<void> {
  while (blockedClients() !== count) await new Promise((resolve) => setImmediate(resolve))
}

describe('A blocking command', () => {
  test('answers when there is something', async () => {
    const answers = [
      gateway.fetch('/blpop/list/0'),
      gateway.fetch('/', { json: ['XREAD', 'BLOCK', 0, 'STREAMS', 'stream', '$'] }),
      gateway.fetch('/pipeline', { json: [['bzpopmin', 'zset', 0]] }),
    ]
    await untilBlocked(3)
    await gateway.call('RPUSH', 'list', 'x')
    await gateway.call('XADD', 'stream', '1-1', 'f', 'v')
    await gateway.call('ZADD', 'zset', '1', 'm')
    const bodies = await Promise.all(answers.map(async (answer) => (await answer).json()))
    expect(bodies).toEqual([
      { result: ['list', 'x'] },
      { result: [['stream', [['1-1', ['f', 'v']]]]] },
      [{ result: ['zset', 'm', '1'] }],
    ])
  })

  test('in a batch holds up those behind it, and its error is its own', async () => {
    await gateway.call('SET', 'text', 'x')
    const answer = gateway.fetch('/pipeline', {
      json: [
        ['set', 'a', 1],
        ['blpop', 'text', 0],
        ['blpop', 'list', 0],
        ['set', 'a', 2],
        ['get', 'a'],
      ],
    })
    await untilBlocked(1)
    expect(await gateway.call('GET', 'a')).toBe('1')
    await gateway.call('RPUSH', 'list', 'x')
    expect(await (await answer).json()).toEqual([
      { result: 'OK' },
      { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' },
      { result: ['list', 'x'] },
      { result: 'OK' },
      { result: '2' },
    ])
  })

  test('in a transaction does not wait', async () => {
    const answer = await gateway.fetch('/multi-exec', { json: [['blpop', 'list', 0]] })
    expect(await answer.json()).toEqual([{ result: null }])
  })

  test('ends by its own timeout when that is shorter than the cap', async () => {
    const answer = await gateway.fetch('/blpop/list/0.01')
    expect(await answer.json()).toEqual({ result: null })
  })

  test('is answered with nil at the cap, all of a batch within the same time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const one = gateway.fetch('/blpop/list/0')
    const batch = gateway.fetch('/pipeline', { json: [['blpop', 'list', 100], ['blpop', 'list', 0], ['ping']] })
    await untilBlocked(2)
    vi.advanceTimersByTime(WAIT_MAX_MS - 1)
    expect(blockedClients()).toBe(2)
    vi.advanceTimersByTime(1)
    expect(await (await one).json()).toEqual({ result: null })
    // The second of the batch has no time left: it looks once.
    await untilBlocked(1)
    vi.advanceTimersByTime(1)
    expect(await (await batch).json()).toEqual([{ result: null }, { result: null }, { result: 'PONG' }])
    expect(blockedClients()).toBe(0)
  })

  test('takes no element when its client has hung up, and nothing behind it is run', async () => {
    const requests = [
      'GET /blpop/list/0 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      batchRequest('[["blpop","list",0],["set","a",1]]'),
      batchRequest('[["set","b",1],["blmove","list","other","LEFT","LEFT",0],["set","a",1]]'),
    ]
    for (const request of requests) {
      const socket = connect(gateway.port, '127.0.0.1')
      socket.write(request)
      await untilBlocked(1)
      socket.destroy()
      await untilBlocked(0)
    }
    await gateway.call('RPUSH', 'list', 'x')
    expect(await gateway.call('LRANGE', 'list', 0, -1)).toEqual(['x'])
    expect(await gateway.call('EXISTS', 'a', 'other')).toBe(0)
    expect(await gateway.call('EXISTS', 'b')).toBe(1)
  })

  test('ends when the gateway shuts down', async () => {
    const answer = gateway.fetch('/blpop/list/0')
    await untilBlocked(1)
    const closing = gateway.gateway.close()
    expect(await (await answer).json()).toEqual({ result: null })
    await closing
  })
})

function batchRequest(body: string): string {
  return `POST /pipeline HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}
