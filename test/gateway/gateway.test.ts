/** The server as such: what every route has in common, and what clients that mean no good get. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { get as httpsGet } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { configFromOptions } from '../../src/config/config.ts'
import { gatewaySettings } from '../../src/gateway/settings.ts'
import type { Log } from '../../src/observe/log.ts'
import { TestGateway } from '../support/gateway.ts'
import { RawConnection } from '../support/raw-connection.ts'

const HEAD = 'Host: 127.0.0.1\r\n'
const JSON_HEAD = `${HEAD}Content-Type: application/json\r\n`

let gateway: TestGateway

/** Sends bytes on a connection of its own; what came until the server closed it, or until `isExpected`. */
async function exchange(bytes: string, isExpected: (text: string) => boolean = () => false): Promise<string> {
  const connection = await RawConnection.connect(gateway.port)
  connection.send(bytes)
  await connection.until(isExpected)
  connection.close()
  return connection.text
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0)
}

function answersIn(text: string): number {
  return text.split('HTTP/1.1 ').length - 1
}

describe('Any request', () => {
  beforeAll(async () => {
    gateway = await TestGateway.start()
  })

  afterAll(() => gateway.close())

  test('has an ID, the client’s own where it is harmless', async () => {
    const own = await gateway.fetch('/healthz', { headers: { 'x-request-id': 'trace:1/a+b=' } })
    expect(own.headers.get('x-request-id')).toBe('trace:1/a+b=')
    for (const id of ['', 'a b', 'x'.repeat(129), '<script>']) {
      const found = (await gateway.fetch('/healthz', { headers: { 'x-request-id': id } })).headers.get('x-request-id')
      expect(found).toMatch(/^[0-9a-f]{8}-[0-9a-z]+$/)
    }
  })

  test('for a page gets the headers that keep browsers careful', async () => {
    const { headers } = await gateway.fetch('/v1/docs/')
    expect(headers.get('content-type')).toMatch(/^text\/html/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('SAMEORIGIN')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect((await gateway.fetch('/ping')).headers.get('x-frame-options')).toBeNull()
  })

  test('for an unknown path gets problem details', async () => {
    const response = await gateway.fetch('/v1/nowhere')
    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    const body = await response.json()
    expect(body).toMatchObject({ type: 'about:blank', title: 'Not Found', status: 404 })
    expect(body).toMatchObject({ requestId: response.headers.get('x-request-id') })
  })

  test.each([
    ['GARBAGE\r\n\r\n', 400],
    [`GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n`, 400],
    ['GET /healthz HTTP/1.1\r\n\r\n', 400],
    [`GET /healthz HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n`, 400],
    [`GET /healthz HTTP/1.1\r\n${HEAD}X: a\r\n b\r\n\r\n`, 400],
    [`GET /healthz HTTP/1.1\r\n${HEAD}X: a\u0000b\r\n\r\n`, 400],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['\u0016\u0003\u0001\u0002\u0000\u0001\u0000', 400],
    [`POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    [`POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`, 400],
    [`POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: -1\r\n\r\n`, 400],
    [`POST /pipeline HTTP/1.1\r\n${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    [`POST /pipeline HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n`, 400],
    [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${HEAD}\r\n`, 431],
    [`GET /healthz HTTP/1.1\r\n${HEAD}X: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    [`POST /v1/tokens HTTP/1.1\r\n${JSON_HEAD}Content-Length: 99999999\r\n\r\n{`, 413],
    [`POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: 99999999\r\n\r\n{`, 413],
  ])('that is %j is answered once, with %i, and its connection is closed', async (bytes, status) => {
    const text = await exchange(bytes)
    expect([statusOf(text), answersIn(text)]).toEqual([status, 1])
    expect((await gateway.fetch('/healthz')).status).toBe(200)
  })

  test('after which garbage follows is answered, and the garbage is not', async () => {
    const text = await exchange(`GET /healthz HTTP/1.1\r\n${HEAD}\r\nGARBAGE\r\n\r\n`)
    expect([statusOf(text), answersIn(text)]).toEqual([200, 1])
  })

  test('that is smuggled in a body is not run', async () => {
    await gateway.call('DEL', 'smuggled')
    const inner = `GET /set/smuggled/1 HTTP/1.1\r\n${HEAD}\r\n`
    const outer = `POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: ${inner.length}\r\n`
    await exchange(`${outer}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`)
    const text = await exchange(`${outer}Connection: close\r\n\r\n${inner}`)
    expect([statusOf(text), answersIn(text)]).toEqual([400, 1])
    expect(await gateway.call('EXISTS', 'smuggled')).toBe(0)
  })

  test('that asks for 100 Continue gets it; other expectations fail', async () => {
    const head = `POST /pipeline HTTP/1.1\r\n${HEAD}Connection: close\r\nContent-Length: 10\r\n`
    expect(await exchange(`${head}Expect: 100-continue\r\n\r\n[["PING"]]`)).toMatch(
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    )
    expect(statusOf(await exchange(`${head}Expect: cake\r\n\r\n[["PING"]]`))).toBe(417)
  })

  test.each(['CONNECT a:1', 'CONNECT /healthz'])('%s is no tunnel', async (line) => {
    expect(await exchange(`${line} HTTP/1.1\r\n${HEAD}\r\n`)).toBe('')
  })

  test.each(['TRACE', 'PROPFIND', 'LOCK'])('%s is answered with 405', async (method) => {
    const text = await exchange(`${method} /healthz HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`)
    expect(statusOf(text)).toBe(405)
    expect(text.toLowerCase()).toContain('\r\nallow: get, head')
  })

  test.each(['/healthz', '/v1/keys/x', '/set/upgraded/1', '/nowhere'])('for a WebSocket on %s is 404', async (path) => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    const bytes = `GET ${path} HTTP/1.1\r\n${HEAD}${upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
    const text = await exchange(bytes, (found) => found.includes('\r\n\r\n'))
    expect(statusOf(text)).toBe(404)
    expect(await gateway.call('EXISTS', 'upgraded')).toBe(0)
  })

  test('for another protocol is answered in this one', async () => {
    const head = `GET /healthz HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`
    expect(statusOf(await exchange(head, (found) => found.endsWith('}')))).toBe(200)
  })

  test.each([
    '/v1/docs/static/../../../../package.json',
    '/v1/docs/static/..%2f..%2f..%2f..%2fpackage.json',
    '/v1/docs/static/%2e%2e/%2e%2e/package.json',
    '/v1/docs/static/..%5c..%5cpackage.json',
    '/v1/docs/static//etc/passwd',
    '//etc/passwd',
    '/../../etc/passwd',
  ])('for %s gets no file', async (path) => {
    const text = await exchange(`GET ${path} HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`)
    expect(statusOf(text)).toBeGreaterThanOrEqual(400)
    expect(statusOf(text)).toBeLessThan(500)
    expect(text).not.toMatch(/root:|"millrace"/)
  })

  test.each(['/v1/tokens/%zz', '/v1/tokens/%c3%28', '/%'])('with the encoding of %s is 400', async (path) => {
    const text = await exchange(`GET ${path} HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`)
    expect(statusOf(text)).toBe(400)
    expect(text).toContain('application/problem+json')
  })

  test('with a parameter that is too long finds nothing', async () => {
    const response = await gateway.fetch(`/v1/tokens/${'a'.repeat(4097)}`, { method: 'DELETE' })
    expect(response.status).toBe(404)
  })

  test('is another one with a slash at its end', async () => {
    expect((await gateway.fetch('/v1/openapi.json')).status).toBe(200)
    expect((await gateway.fetch('/v1/openapi.json/')).status).toBe(404)
  })

  test.each([
    ['no UTF-8', Buffer.from('{"user":"\xff"}', 'latin1'), 'application/json', 400],
    ['no JSON', '{"user":', 'application/json', 400],
    ['nothing', '', 'application/json', 400],
    ['a poisoned object', '{"user":"a","__proto__":{"x":1}}', 'application/json', 400],
    ['very deep', `${'['.repeat(500_000)}${']'.repeat(500_000)}`, 'application/json', 400],
    ['another type', 'user=default', 'application/x-www-form-urlencoded', 415],
    ['plain text', '{"user":"default"}', 'text/plain', 415],
  ])('whose body is %s is refused', async (_what, body, type, status) => {
    const count = gateway.engine.tokens.count
    const response = await gateway.fetch('/v1/tokens', { method: 'POST', headers: { 'content-type': type }, body })
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    expect(gateway.engine.tokens.count).toBe(count)
  })
})

describe('A connection', () => {
  afterEach(() => gateway.close())

  async function start(): Promise<void> {
    gateway = await TestGateway.start({ 'http-max-connections': 5 }, { requestTimeoutMs: 200 })
  }

  test.each([
    ['sends nothing', ''],
    ['stops in its head', 'GET /healthz HT'],
    ['stops in its body', `POST /v1/tokens HTTP/1.1\r\n${JSON_HEAD}Content-Length: 100\r\n\r\n{"us`],
    ['stops in the body of a hot route', `POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: 100\r\n\r\n[["`],
    ['stops between chunks', `POST /v1/tokens HTTP/1.1\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`],
  ])(
    'that %s is closed',
    async (_what, bytes) => {
      await start()
      const text = await exchange(bytes)
      expect([0, 408]).toContain(statusOf(text))
    },
    15_000,
  )

  test.each([
    ['head', 'GET /healthz HTTP/1.1\r\nX: '],
    ['body', `POST /v1/tokens HTTP/1.1\r\n${JSON_HEAD}Content-Length: 9999\r\n\r\n`],
    ['body on a hot route', `POST /pipeline HTTP/1.1\r\n${HEAD}Content-Length: 9999\r\n\r\n`],
  ])(
    'whose %s drips is closed',
    async (_what, bytes) => {
      await start()
      const connection = await RawConnection.connect(gateway.port)
      connection.send(bytes)
      const drip = setInterval(() => connection.send('a'), 50)
      await connection.ended()
      clearInterval(drip)
      connection.close()
      expect([0, 408]).toContain(statusOf(connection.text))
    },
    15_000,
  )

  test('that waits for a long poll is not closed', async () => {
    await start()
    const polling = gateway.fetch('/blpop/list/0')
    // Several times as long as a request may take.
    const late = await gateway.fetch('/blpop/other/1')
    expect(await late.json()).toEqual({ result: null })
    await gateway.call('RPUSH', 'list', 'x')
    expect(await (await polling).json()).toEqual({ result: ['list', 'x'] })
  }, 15_000)

  test('that does not take its reply is closed, and one that takes it slowly is not', async () => {
    await start()
    await gateway.call('SET', 'big', Buffer.alloc(30_000_000, 'x'))
    const slow = await RawConnection.connect(gateway.port)
    const stuck = await RawConnection.connect(gateway.port)
    stuck.pause()
    stuck.send(`GET /get/big HTTP/1.1\r\n${HEAD}\r\n`)
    slow.send(`GET /get/big HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`)
    for (let at = 2_000_000; at < 30_000_000; at += 2_000_000) {
      await slow.until((text) => text.length >= at)
      slow.pause()
      await new Promise((resolve) => setTimeout(resolve, 30))
      slow.resume()
    }
    await slow.ended()
    expect(slow.text.length).toBeGreaterThan(30_000_000)
    // What had left for the stuck one is in the buffers of the system; then comes the end.
    stuck.resume()
    await stuck.ended()
    expect(stuck.text.length).toBeLessThan(30_000_000)
    const metrics = await (await gateway.fetch('/metrics')).text()
    expect(metrics).toContain('\nmillrace_gateway_connections_stalled_total 1\n')
  }, 20_000)

  test('beyond http-max-connections is closed at once, and there is room again when others end', async () => {
    await start()
    const open: RawConnection[] = []
    for (let i = 0; i < 5; i++) open.push(await RawConnection.connect(gateway.port))
    const more = await RawConnection.connect(gateway.port)
    await more.ended()
    expect(more.text).toBe('')
    for (const connection of open) connection.close()
    await Promise.all(open.map((connection) => connection.ended()))
    let status = 0
    while (status !== 200)
      status = await gateway.fetch('/healthz').then(
        ({ status: found }) => found,
        () => 0,
      )
    const metrics = await (await gateway.fetch('/metrics')).text()
    expect(metrics).toMatch(/\nmillrace_gateway_connections_refused_total [1-9]/)
  }, 15_000)
})

describe('TLS', () => {
  let directory: string
  let options: Record<string, string>

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert, ...subject],
      { stdio: 'ignore', timeout: 30_000 },
    )
    options = { 'http-tls-cert-file': cert, 'http-tls-key-file': key }
    gateway = await TestGateway.start(options, { requestTimeoutMs: 500 })
  })

  afterAll(async () => {
    await gateway.close()
    rmSync(directory, { recursive: true })
  })

  test('serves requests', async () => {
    const status = await new Promise((resolve, reject) => {
      httpsGet(`${gateway.url}/readyz`, { rejectUnauthorized: false, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      }).on('error', reject)
    })
    expect(status).toBe(200)
  })

  test('serves WebSockets', async () => {
    const socket = new WebSocket(`${gateway.webSocketUrl}/v1/realtime`, { rejectUnauthorized: false })
    const outcome = await new Promise((resolve) => {
      socket.on('open', () => resolve('open'))
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode))
      socket.on('error', (error) => resolve(error.message))
    })
    socket.terminate()
    expect(outcome).toBe('open')
  })

  test('closes connections that speak plain HTTP, or do not finish the handshake', async () => {
    const text = await exchange(`GET /healthz HTTP/1.1\r\n${HEAD}\r\n`)
    expect(text).not.toContain('200 OK')
    const silent = await RawConnection.connect(gateway.port)
    await silent.ended()
    expect(silent.text).toBe('')
  }, 15_000)

  test('needs a certificate and its key', async () => {
    const wrong = { ...options, 'http-tls-key-file': fileURLToPath(import.meta.url) }
    await expect(TestGateway.start(wrong)).rejects.toThrow(
      /^Cannot use http-tls-cert-file \/.*cert\.pem with its key: /,
    )
    const missing = { ...options, 'http-tls-cert-file': join(directory, 'none.pem') }
    await expect(TestGateway.start(missing)).rejects.toThrow('ENOENT')
  })

  test('needs both files', () => {
    for (const name of ['http-tls-cert-file', 'http-tls-key-file']) {
      const config = configFromOptions({ [name]: options[name] ?? '' })
      expect(() => gatewaySettings(config)).toThrow(/^http-tls-\w+-file needs http-tls-\w+-file$/)
    }
    expect(() => gatewaySettings(configFromOptions({ 'http-trust-proxy': '10.0.0.0/33' }))).toThrow(
      'http-trust-proxy: 10.0.0.0/33 is no address and no network',
    )
  })
})

describe('The log', () => {
  test('holds no secret, whatever clients send', async () => {
    const lines: string[] = []
    const write = (message: string): void => {
      lines.push(message)
    }
    const log: Log = { debug: write, verbose: write, notice: write, warning: write }
    gateway = await TestGateway.start({ requirepass: 'pass-s3cret' }, {}, log)
    gateway.user('ann', ['on', '>ann-s3cret', '+@all', '~*'])
    const token = gateway.tokenOf('ann')
    const basic = `Basic ${Buffer.from('ann:ann-s3cret').toString('base64')}`
    const answers: string[] = []
    const ask = async (path: string, headers: Record<string, string> = {}): Promise<void> => {
      const response = await gateway.fetch(path, { headers })
      answers.push(`${JSON.stringify([...response.headers])}${await response.text()}`)
    }
    for (const bearer of [token, 'pass-s3cret', 'wrong-s3cret', `${token}x`]) {
      await ask('/ping', { authorization: `Bearer ${bearer}` })
      await ask(`/ping?_token=${bearer}`)
      await ask(`/v1/nowhere?_token=${bearer}`)
    }
    await ask('/ping', { authorization: basic })
    await exchange(`GET /%zz?_token=url-s3cret HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`)
    await exchange(`GET /healthz?_token=url-s3cret HTTP/1.1\r\nHost : x\r\n\r\n`)
    // A defect is logged, with the request but without its URL.
    gateway.engine.users.find = () => {
      throw new Error('defect')
    }
    await ask(`/ping?_token=${token}`)
    await gateway.close()
    const written = lines.join('\n')
    expect(written).toContain('defect')
    for (const secret of ['s3cret', token, token.slice(-20), basic]) expect(written).not.toContain(secret)
    for (const answer of answers) expect(answer).not.toContain('s3cret')
  })
})
