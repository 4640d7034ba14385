/** CORS: which pages may use the gateway from a browser. */
import { afterEach, expect, test } from 'vitest'
import { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway

afterEach(() => gateway.close())

const ORIGIN = 'https://app.example'

function preflight(path: string, origin = ORIGIN): Promise<Response> {
  const headers = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  }
  return gateway.fetch(path, { method: 'OPTIONS', headers })
}

test.each([
  '/pipeline',
  '/set/a/b',
  '/v1/tokens',
  '/healthz',
])('a preflight for %s is answered without credentials', async (path) => {
  gateway = await TestGateway.start({ requirepass: 'secret', 'http-cors-origins': `${ORIGIN} https://two.example` })
  const response = await preflight(path)
  expect(response.status).toBe(204)
  expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(response.headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST, PUT, PATCH, DELETE')
  expect(response.headers.get('access-control-allow-headers')).toBe('authorization,content-type')
  expect(response.headers.get('access-control-max-age')).toBe('600')
  expect(response.headers.get('access-control-allow-credentials')).toBeNull()
  expect(response.headers.get('vary')).toContain('Origin')
})

test('an answer, be it an error, can be read by a listed page, with its headers', async () => {
  gateway = await TestGateway.start({ requirepass: 'secret', 'http-cors-origins': ORIGIN })
  for (const token of ['secret', 'wrong']) {
    const response = await gateway.fetch('/pipeline', { json: [['PING']], token, headers: { origin: ORIGIN } })
    expect(response.status).toBe(token === 'secret' ? 200 : 401)
    expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN)
    const exposed = response.headers.get('access-control-expose-headers') ?? ''
    for (const name of ['X-Request-Id', 'RateLimit-Remaining', 'Retry-After', 'Upstash-Sync-Token']) {
      expect(exposed).toContain(name)
    }
  }
})

test('a page that is not listed gets no permission to read', async () => {
  gateway = await TestGateway.start({ requirepass: 'secret', 'http-cors-origins': ORIGIN })
  const asked = await preflight('/pipeline', 'https://evil.example')
  expect(asked.headers.get('access-control-allow-origin')).toBeNull()
  const headers = { origin: 'https://evil.example' }
  const response = await gateway.fetch('/pipeline', { json: [['PING']], token: 'secret', headers })
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})

test('* lets all pages in, without credentials of the browser', async () => {
  gateway = await TestGateway.start({ 'http-cors-origins': '*' })
  const response = await gateway.fetch('/pipeline', { json: [['PING']], headers: { origin: 'https://any.example' } })
  expect(response.status).toBe(200)
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  expect(response.headers.get('access-control-allow-credentials')).toBeNull()
})

test('without origins no preflight is allowed, and no header is sent', async () => {
  gateway = await TestGateway.start()
  const response = await preflight('/pipeline')
  expect(response.status).toBe(403)
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})

test('OPTIONS that is no preflight is no permission', async () => {
  gateway = await TestGateway.start({ 'http-cors-origins': ORIGIN })
  const response = await gateway.fetch('/pipeline', { method: 'OPTIONS', headers: { origin: ORIGIN } })
  expect(response.status).toBe(404)
  expect(response.headers.get('access-control-allow-methods')).toBeNull()
})
