import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestGateway } from '../support/gateway.ts'

/** A raw HTTP client: what is sent is what the test says, what comes is text. */
class RawClient {
  readonly socket: Socket
  received = ''
  isClosed = false
  readonly #wake: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      this.#notify()
    })
    socket.on('close', () => {
      this.isClosed = true
      this.#notify()
    })
    socket.on('error', () => socket.destroy())
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.setNoDelay(true)
    return new RawClient(socket)
  }

  /** Resolves when `count` answers are complete: their status lines and bodies. */
  async answers(count: number): Promise<string[]> {
    for (;;) {
      const complete = split(this.received)
      if (complete.length >= count) return complete
      if (this.isClosed) throw new Error(`Closed after: ${this.received}`)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /** Resolves when the last that came is `end`; what came before it is not kept. */
  async untilEnd(end: string): Promise<void> {
    while (!this.received.endsWith(end)) {
      this.received = this.received.slice(-end.length)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  async closed(): Promise<string> {
    while (!this.isClosed) await new Promise<void>((resolve) => this.#wake.push(resolve))
    return this.received
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** The complete answers in a text, as `status body`. */
function split(text: string): string[] {
  const answers: string[] = []
  let rest = text
  for (;;) {
    const head = /^HTTP\/1\.1 (\d+)[\s\S]*?content-length: (\d+)[\s\S]*?\r\n\r\n/i.exec(rest)
    if (head === null) return answers
    const end = head[0].length + Number(head[2])
    if (end > rest.length) return answers
    answers.push(`${head[1]} ${rest.slice(head[0].length, end)}`)
    rest = rest.slice(end)
  }
}

function post(body: string, headers: readonly string[] = [], path = '/pipeline'): string {
  const lines = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, `Content-Length: ${Buffer.byteLength(body)}`]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** Requests whose answers are more than any buffer on the way takes. */
const REQUESTS = 1000

let gateway: TestGateway
beforeAll(async () => {
  gateway = await TestGateway.start()
  await gateway.call('SET', 'key', 'välue')
  // Answers are compared as they came on the wire: one char a byte.
})
afterAll(() => gateway.close())

const VALUE = `200 [{"result":"${Buffer.from('välue').toString('latin1')}"}]`

describe('a plain request', () => {
  test('is answered by the lane, however it is cut in two', async () => {
    const request = Buffer.from(post('[["get","key"]]', ['Content-Type: application/json', 'Accept: */*']))
    for (let cut = 1; cut < request.length; cut++) {
      const client = await RawClient.open(gateway.port)
      client.socket.write(request.subarray(0, cut))
      // The second part is written when the first has been read: an answer to another connection tells.
      await gateway.fetch('/healthz')
      client.socket.write(request.subarray(cut))
      expect(await client.answers(1)).toEqual([VALUE])
      client.socket.destroy()
    }
  }, 30_000)

  test('may be followed by others in one packet, of the lane and of other routes, and answers keep their order', async () => {
    const client = await RawClient.open(gateway.port)
    const echo = (text: string): string => post(JSON.stringify([['echo', text]]))
    client.socket.write(
      `${echo('1')}${echo('2')}GET /echo/3 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n${echo('4')}${echo('5')}`,
    )
    expect(await client.answers(5)).toEqual([
      '200 [{"result":"1"}]',
      '200 [{"result":"2"}]',
      '200 {"result":"3"}',
      '200 [{"result":"4"}]',
      '200 [{"result":"5"}]',
    ])
    client.socket.destroy()
  })

  test('is executed once when its connection is given away behind it', async () => {
    const client = await RawClient.open(gateway.port)
    await gateway.call('DEL', 'counter')
    client.socket.write(`${post('[["incr","counter"]]')}GET /incr/counter HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
    expect(await client.answers(2)).toEqual(['200 [{"result":1}]', '200 {"result":2}'])
    expect(await gateway.call('GET', 'counter')).toBe('2')
    client.socket.destroy()
  })

  test('is answered when the client has sent its last byte', async () => {
    const client = await RawClient.open(gateway.port)
    client.socket.end(post('[["get","key"]]'))
    expect(split(await client.closed())).toEqual([VALUE])
  })

  test('gets the ID that it names, or a new one', async () => {
    const client = await RawClient.open(gateway.port)
    client.socket.write(post('[]', ['X-Request-Id: abc-1']) + post('[]', ['X-Request-Id: a b']))
    await client.answers(2)
    const ids = [...client.received.matchAll(/x-request-id: (.*)\r\n/g)].map((match) => match[1])
    expect(ids[0]).toBe('abc-1')
    expect(ids[1]).toMatch(/^[0-9a-f]{8}-\w+$/)
    client.socket.destroy()
  })
})

/** What Fastify's route answers: a header that the lane leaves to it goes along. */
async function viaFastify(body: string, headers: readonly string[], path = '/pipeline'): Promise<string> {
  const client = await RawClient.open(gateway.port)
  client.socket.write(post(body, [...headers, 'Connection: close'], path))
  const [answer = ''] = split(await client.closed())
  return answer
}

describe('lane and route', () => {
  const cases: [name: string, body: string, headers: string[]][] = [
    ['an empty batch', '[]', []],
    ['errors in place', '[["get","key"],["nope"],["lpush","key","a"]]', []],
    ['base64', '[["get","key"],["ping"]]', ['Upstash-Encoding: base64']],
    ['raw RESP', '[["get","key"],["ping"]]', ['Upstash-Response-Format: resp2']],
    ['an unknown encoding', '[["get","key"]]', ['Upstash-Encoding: rot13']],
    ['no JSON', '[["get","key"]', []],
    ['no commands', '{"a":1}', []],
    ['an empty body', '', []],
    ['a wrong scheme', '[["get","key"]]', ['Authorization: Digest x']],
    ['a wrong token', '[["get","key"]]', ['Authorization: Bearer mr_0_wrong']],
    ['a page of another origin', '[["get","key"]]', ['Origin: http://evil.example']],
    ['a command on connections', '[["multi"]]', []],
    ['many commands', JSON.stringify(Array.from({ length: 40 }, (_, i) => ['echo', String(i)])), []],
    ['a command that waits', '[["blpop","none","0.01"]]', []],
  ]

  test.each(cases)('answer the same: %s', async (_name, body, headers) => {
    const client = await RawClient.open(gateway.port)
    client.socket.write(post(body, headers))
    const [answer = ''] = await client.answers(1)
    client.socket.destroy()
    const withoutId = (text: string): string => text.replace(/"requestId":"[^"]*"/, '')
    expect(withoutId(answer)).toBe(withoutId(await viaFastify(body, headers)))
  })
})

describe('publishing', () => {
  const news = '/v1/topics/news/messages'
  const json = 'Content-Type: application/json'
  const cases: [name: string, body: string, headers: string[], path: string][] = [
    ['one message', '{"data":"välue"}', [json], news],
    ['bytes', '{"data":"AAE=","encoding":"base64"}', [json], news],
    ['many', '{"messages":[{"data":"a"},{"data":"b"}]}', [json], news],
    ['an unknown member', '{"data":"a","x":1}', [json], news],
    ['a member of the prototype', '{"data":"a","__proto__":1}', [json], news],
    ['a number', '{"data":1}', [json], news],
    ['no JSON', '{"data":"a"', [json], news],
    ['another type', 'data', ['Content-Type: text/plain'], news],
    ['an escaped name', '{"data":"a"}', [json], '/v1/topics/a%20b/messages'],
    ['a query', '{"data":"a"}', [json], `${news}?x=1`],
    ['no name', '{"data":"a"}', [json], '/v1/topics//messages'],
    ['a path below', '{"data":"a"}', [json], '/v1/topics/a/b/messages'],
  ]

  test.each(cases)('lane and route answer the same: %s', async (_name, body, headers, path) => {
    const client = await RawClient.open(gateway.port)
    client.socket.write(post(body, headers, path))
    const [answer = ''] = await client.answers(1)
    client.socket.destroy()
    const withoutId = (text: string): string => text.replace(/"requestId":"[^"]*"/, '')
    expect(withoutId(answer)).toBe(withoutId(await viaFastify(body, headers, path)))
  })

  test('a user who may not is refused, and nothing is published', async () => {
    gateway.user('reader', ['on', '>pw', '+get', '~*', '&*'])
    const messages: string[] = []
    const subscription = await gateway.engine.subscribe('news', (message) => messages.push(message.toString()))
    const auth = `Authorization: Basic ${Buffer.from('reader:pw').toString('base64')}`
    const client = await RawClient.open(gateway.port)
    client.socket.write(post('{"data":"a"}', [json, auth], news))
    expect((await client.answers(1))[0]).toMatch(/^403 .*NOPERM/)
    client.socket.destroy()
    const allowed = await RawClient.open(gateway.port)
    allowed.socket.write(post('{"data":"b"}', [json], news))
    expect(await allowed.answers(1)).toEqual(['200 {"receivers":1}'])
    allowed.socket.destroy()
    await subscription.unsubscribe()
    expect(messages).toEqual(['b'])
  })
})

describe('what is not plain is left to Node', () => {
  const unusual: [name: string, request: string, status: string][] = [
    ['two lengths', 'POST /pipeline HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]', '400'],
    [
      'a length and chunks',
      'POST /pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n',
      '400',
    ],
    [
      'a folded header',
      'POST /pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n[]',
      '400',
    ],
    ['a bare line feed', 'POST /pipeline HTTP/1.1\r\nHost: 127.0.0.1\nX-A: 1\r\nContent-Length: 2\r\n\r\n[]', '400'],
    ['a space before the colon', 'POST /pipeline HTTP/1.1\r\nHost : 127.0.0.1\r\nContent-Length: 2\r\n\r\n[]', '400'],
    ['no host', 'POST /pipeline HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]', '400'],
    ['a length that is no number', 'POST /pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +2\r\n\r\n[]', '400'],
    ['no HTTP', '\x16\x03\x01 hello\r\n\r\n', '400'],
  ]

  test.each(unusual)('%s', async (_name, request, status) => {
    const client = await RawClient.open(gateway.port)
    client.socket.write(request)
    expect(await client.closed()).toMatch(new RegExp(`^HTTP/1.1 ${status}`))
  })

  test('chunks alone are a request', async () => {
    const client = await RawClient.open(gateway.port)
    client.socket.write(
      'POST /pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n[["get","key"]]\r\n0\r\n\r\n',
    )
    expect(await client.answers(1)).toEqual([VALUE])
    client.socket.destroy()
  })
})

describe('connections', () => {
  test('one that never sends a request, and one that stops within its body, are closed', async () => {
    const quick = await TestGateway.start({}, { requestTimeoutMs: 200 })
    const silent = await RawClient.open(quick.port)
    const partial = await RawClient.open(quick.port)
    partial.socket.write(post('[["get","key"]]').slice(0, -4))
    await Promise.all([silent.closed(), partial.closed()])
    expect(silent.received).toBe('')
    await quick.close()
  }, 20_000)

  test('idle ones are closed when the gateway drains, and a running request is answered', async () => {
    const own = await TestGateway.start()
    const idle = await RawClient.open(own.port)
    idle.socket.write(post('[]'))
    await idle.answers(1)
    const running = await RawClient.open(own.port)
    running.socket.write(post('[["incr","counter"]]'))
    const closing = own.gateway.close()
    await Promise.all([idle.closed(), running.closed(), closing])
    expect(idle.received).toContain('200 OK')
    await own.engine.close()
    await own.broker.stop()
  }, 20_000)

  test('a client that does not read its answers is not served without end', async () => {
    await gateway.call('SET', 'big', 'x'.repeat(60_000))
    await gateway.call('DEL', 'counter')
    const client = await RawClient.open(gateway.port)
    client.socket.pause()
    client.socket.write(post('[["get","big"],["incr","counter"]]').repeat(REQUESTS))
    // All answers are 60 MB; a few of them fit into the buffers of the system. When the count stands still they are full.
    let last = -1
    for (;;) {
      const now = Number(await gateway.call('GET', 'counter'))
      if (now === last && now > 0) break
      last = now
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(last).toBeLessThan(REQUESTS)
    client.socket.resume()
    await client.untilEnd(`{"result":${REQUESTS}}]`)
    client.socket.destroy()
  }, 30_000)
})

test('A body above http-body-limit is refused on a hot route, too', async () => {
  const small = await TestGateway.start({ 'http-body-limit': 1024 })
  try {
    const body = JSON.stringify([['SET', 'k', 'x'.repeat(1024)]])
    const client = await RawClient.open(small.port)
    client.socket.write(`POST /pipeline HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    expect((await client.answers(1))[0]).toMatch(/^413 /)
    expect(await small.call('EXISTS', 'k')).toBe(0)
    client.socket.destroy()
  } finally {
    await small.close()
  }
})
