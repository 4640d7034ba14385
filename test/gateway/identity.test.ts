/** Who makes a request: credentials, and what may be done without any. */
import { request as httpRequest } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../support/gateway.ts'

/** Whoami over the REST door: the user that a request became. */
const WHOAMI = '/acl/whoami'

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, unknown>>
}

/** A request with headers that fetch does not let through (Host, Origin, Sec-Fetch-Site). */
function ask(gateway: TestGateway, headers: Record<string, string>, path = WHOAMI): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: gateway.port, path, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const body: unknown = text === '' ? null : JSON.parse(text)
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers })
      })
    })
    request.on('error', reject)
    request.end()
  })
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

const WRONG_TOKEN = { error: 'WRONGPASS invalid or missing auth token' }
const WRONG_PASSWORD = { error: 'WRONGPASS invalid username-password pair or user is disabled.' }

describe('With a password for the default user', () => {
  let gateway: TestGateway

  beforeAll(async () => {
    gateway = await TestGateway.start({ requirepass: 'séc ret' })
  })

  beforeEach(() => {
    gateway.user('ann', ['reset', 'on', '>pässword', '+@all', '~*', '&*'])
  })

  afterAll(() => gateway.close())

  test('a request without credentials is refused, and told how to send some', async () => {
    const { status, headers } = await ask(gateway, {})
    expect(status).toBe(401)
    expect(headers['www-authenticate']).toBe('Bearer realm="millrace", Basic realm="millrace"')
  })

  test.each(['/healthz', '/readyz', '/v1/openapi.json'])('%s is public', async (path) => {
    expect((await ask(gateway, {}, path)).status).toBe(200)
  })

  test('a token stands for its user', async () => {
    const { status, body } = await ask(gateway, bearer(gateway.tokenOf('ann')))
    expect([status, body]).toEqual([200, { result: 'ann' }])
  })

  test('the scheme is read in any case', async () => {
    expect((await ask(gateway, { authorization: `bEaReR ${gateway.tokenOf('ann')}` })).status).toBe(200)
  })

  test('a token for reading reads and does not write', async () => {
    const headers = bearer(gateway.tokenOf('ann', 'read-only'))
    expect((await ask(gateway, headers, '/get/x')).status).toBe(200)
    expect(await ask(gateway, headers, '/set/x/1')).toMatchObject({ status: 400, body: { error: /^NOPERM/ } })
  })

  test('a token in the query means the same as Bearer', async () => {
    expect((await ask(gateway, {}, `${WHOAMI}?_token=${gateway.tokenOf('ann')}`)).body).toEqual({ result: 'ann' })
    expect((await ask(gateway, {}, `${WHOAMI}?_token=${encodeURIComponent('séc ret')}`)).body).toEqual({
      result: 'default',
    })
    expect((await ask(gateway, {}, `${WHOAMI}?_token=nothing`)).status).toBe(401)
  })

  test('the header goes before the query', async () => {
    const path = `${WHOAMI}?_token=${gateway.tokenOf('ann')}`
    expect((await ask(gateway, bearer('wrong'), path)).status).toBe(401)
  })

  test('a token as WebSocket subprotocol means the same as Bearer', async () => {
    const headers = { 'sec-websocket-protocol': `millrace, bearer.${gateway.tokenOf('ann')}` }
    expect((await ask(gateway, headers)).body).toEqual({ result: 'ann' })
  })

  test('the password of the default user does as a token', async () => {
    const headers = { authorization: `Bearer ${Buffer.from('séc ret').toString('latin1')}` }
    expect((await ask(gateway, headers)).body).toEqual({ result: 'default' })
  })

  test('Basic takes any user and its password', async () => {
    expect((await ask(gateway, basic('ann', 'pässword'))).body).toEqual({ result: 'ann' })
    expect((await ask(gateway, basic('default', 'séc ret'))).body).toEqual({ result: 'default' })
  })

  test.each([
    ['a wrong password', basic('ann', 'wrong'), WRONG_PASSWORD],
    ['an unknown user', basic('nobody', 'pässword'), WRONG_PASSWORD],
    ['no user', { authorization: 'Basic' }, { error: 'Basic credentials must be base64 of "user:password"' }],
    ['a wrong token', bearer(`mr_0123456789abcdef_${'a'.repeat(43)}`), WRONG_TOKEN],
    ['half a token', bearer('mr_0123456789abcdef'), WRONG_TOKEN],
    ['an empty token', bearer(''), WRONG_PASSWORD],
    ['a JWT where none are taken', bearer('eyJhbGciOiJub25lIn0.e30.'), WRONG_PASSWORD],
    ['another scheme', { authorization: 'Digest a=b' }, { error: 'Authorization scheme must be Bearer or Basic' }],
    ['too long a token', bearer('a'.repeat(8193)), { error: 'The credentials are too long' }],
  ])('%s is 401', async (_what, headers, expected) => {
    const { status, body } = await ask(gateway, headers)
    expect([status, body]).toEqual([401, expected])
  })

  test('a token ends with itself, with its user, and while the user is switched off', async () => {
    const [first, second] = [gateway.tokenOf('ann'), gateway.tokenOf('ann')]
    gateway.engine.tokens.revoke(first.split('_')[1] ?? '')
    expect((await ask(gateway, bearer(first))).status).toBe(401)
    gateway.user('ann', ['off'])
    expect((await ask(gateway, bearer(second))).status).toBe(401)
    gateway.user('ann', ['on'])
    expect((await ask(gateway, bearer(second))).status).toBe(200)
    gateway.engine.users.delete('ann')
    expect((await ask(gateway, bearer(second))).status).toBe(401)
    gateway.user('ann', ['on', '+@all', '~*'])
    // A new user of the same name is somebody else.
    expect((await ask(gateway, bearer(second))).status).toBe(401)
  })

  test('a token ends at its time', async () => {
    const options = { name: '', expiresMs: Date.now() + 60_000, isReadOnly: false }
    const { token } = gateway.engine.tokens.issue('ann', options, Date.now())
    expect((await ask(gateway, bearer(token))).status).toBe(200)
    const over = gateway.engine.tokens.issue('ann', { ...options, expiresMs: Date.now() }, Date.now())
    expect((await ask(gateway, bearer(over.token))).status).toBe(401)
  })

  test('rights that a user loses are gone with the next request', async () => {
    const headers = bearer(gateway.tokenOf('ann'))
    expect((await ask(gateway, headers, '/get/x')).status).toBe(200)
    gateway.user('ann', ['-get'])
    expect((await ask(gateway, headers, '/get/x')).body).toEqual({
      error: "NOPERM this user has no permissions to run the 'get' command",
    })
  })

  test('wrong credentials are counted and stand in ACL LOG, as with AUTH', async () => {
    await gateway.call('ACL', 'LOG', 'RESET')
    const { stats } = gateway.broker.server
    const before = stats.deniedLogins
    await ask(gateway, basic('mallory', 'guess'))
    await ask(gateway, bearer('guess'))
    expect(stats.deniedLogins).toBe(before + 2)
    const log = await gateway.call('ACL', 'LOG')
    expect(JSON.stringify(log)).toContain('"mallory"')
    expect(JSON.stringify(log)).not.toContain('guess')
  })

  test('a page of another origin is served when it proves who it is', async () => {
    const headers = { origin: 'https://evil.example', ...bearer(gateway.tokenOf('ann')) }
    expect((await ask(gateway, headers)).status).toBe(200)
  })

  test.each<Record<string, string>>([
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ])('a password that a browser sends because another page asks does nothing: %j', async (headers) => {
    const path = '/set/forged/1'
    expect((await ask(gateway, { ...headers, ...basic('ann', 'pässword') }, path)).status).toBe(403)
    expect(await gateway.call('EXISTS', 'forged')).toBe(0)
  })

  test('a password is taken from our own pages, and from people', async () => {
    const host = `127.0.0.1:${gateway.port}`
    for (const headers of [
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      { host, origin: `http://${host}` },
    ]) {
      expect((await ask(gateway, { ...headers, ...basic('ann', 'pässword') })).status).toBe(200)
    }
  })

  test('a link of another page to the dashboard may be followed, but no page may frame it', async () => {
    const head = (dest: string): Record<string, string> => ({
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': dest,
      ...basic('ann', 'pässword'),
    })
    // The page is no JSON, so only its status is looked at.
    const status = (headers: Record<string, string>): Promise<number> =>
      new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: gateway.port, path: '/queues/', headers, agent: false }
        httpRequest(options, (response) => resolve(response.resume().statusCode ?? 0))
          .on('error', reject)
          .end()
      })
    expect(await status(head('document'))).toBe(200)
    expect(await status(head('iframe'))).toBe(403)
  })
})

test('A password is taken from pages whose origin is listed by its name', async () => {
  for (const [origins, status] of [
    ['https://app.example', 200],
    ['*', 403],
  ] as const) {
    const gateway = await TestGateway.start({ requirepass: 'secret', 'http-cors-origins': origins })
    const headers = { origin: 'https://app.example', ...basic('default', 'secret') }
    expect([origins, (await ask(gateway, headers)).status]).toEqual([origins, status])
    await gateway.close()
  }
})

describe('While the default user needs no password', () => {
  let gateway: TestGateway

  afterEach(() => gateway.close())

  async function start(options: Record<string, string> = {}): Promise<TestGateway> {
    gateway = await TestGateway.start(options)
    return gateway
  }

  test('programs of this machine are served', async () => {
    await start()
    for (const host of ['127.0.0.1', 'localhost', 'app.localhost:1234', '[::1]:80', '192.168.1.5']) {
      expect((await ask(gateway, { host })).status, host).toBe(200)
    }
  })

  test('pages of other origins are not, whichever way they ask', async () => {
    await start()
    const host = `127.0.0.1:${gateway.port}`
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'http://localhost:3000' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example', ...bearer('anything') },
      { origin: 'https://evil.example', ...basic('default', '') },
    ]
    for (const headers of foreign) {
      expect((await ask(gateway, { host, ...headers })).status, JSON.stringify(headers)).toBe(403)
    }
    const own: Record<string, string>[] = [
      { origin: `http://${host}` },
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ]
    for (const headers of own) {
      expect((await ask(gateway, { host, ...headers })).status, JSON.stringify(headers)).toBe(200)
    }
  })

  test('a request to a name that is not this machine is not: DNS rebinding', async () => {
    await start()
    const { status, body } = await ask(gateway, { host: 'evil.example', origin: 'http://evil.example' })
    expect(status).toBe(403)
    expect(body).toEqual({
      error: 'Host evil.example is not this machine: send a token, or turn protected-mode off',
    })
  })

  test('a request that a proxy passes on for another machine is not', async () => {
    await start()
    expect((await ask(gateway, { 'x-forwarded-for': '203.0.113.9' })).status).toBe(403)
    expect((await ask(gateway, { 'x-forwarded-for': '127.0.0.1, 203.0.113.9' })).status).toBe(403)
    expect((await ask(gateway, { forwarded: 'for=127.0.0.1' })).status).toBe(403)
    expect((await ask(gateway, { 'x-forwarded-for': '127.0.0.1, ::1' })).status).toBe(200)
  })

  test('protected-mode no serves other names, but still no foreign page', async () => {
    await start({ 'protected-mode': 'no' })
    expect((await ask(gateway, { host: 'broker.example' })).status).toBe(200)
    expect((await ask(gateway, { origin: 'https://evil.example' })).status).toBe(403)
  })

  test('pages of listed origins are served', async () => {
    await start({ 'http-cors-origins': 'https://app.example' })
    expect((await ask(gateway, { origin: 'https://app.example' })).status).toBe(200)
    expect((await ask(gateway, { origin: 'https://app.example.evil.example' })).status).toBe(403)
  })

  test('a default user that is switched off is not let in', async () => {
    await start()
    gateway.user('default', ['off'])
    expect((await ask(gateway, {})).status).toBe(401)
  })

  test('a token of another user is looked at all the same', async () => {
    await start()
    gateway.user('ann', ['on', '+@all', '~*'])
    expect((await ask(gateway, bearer(gateway.tokenOf('ann')))).body).toEqual({ result: 'ann' })
  })
})
