/** JWTs as credentials: HS256 by a secret, RS256 by a public key, keys of a URL. */
import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { JwtSettings } from '../../src/gateway/settings.ts'
import { TestGateway } from '../support/gateway.ts'

const SECRET = 'a-secret-of-more-than-thirty-two-bytes'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const NOTHING: JwtSettings = { secret: '', publicKeyFile: '', jwksUrl: '', claim: 'sub', issuer: '', audience: '' }

let directory: string
let keyFile: string
let gateway: TestGateway | null = null

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-jwt-'))
  keyFile = join(directory, 'key.pem')
  writeFileSync(keyFile, PEM)
})

afterEach(async () => {
  await gateway?.close()
  gateway = null
})

afterAll(() => rmSync(directory, { recursive: true }))

async function start(jwt: Partial<JwtSettings>): Promise<TestGateway> {
  gateway = await TestGateway.start({ requirepass: 'password' }, { jwt: { ...NOTHING, ...jwt } })
  gateway.user('ann', ['on', '+@all', '~*', '&*'])
  return gateway
}

type Claims = Readonly<Record<string, unknown>>

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

const GOOD: Claims = { sub: 'ann', exp: inSeconds(300) }

function hs256(claims: Claims, secret = SECRET, header: Claims = {}): string {
  const signed = `${encoded({ alg: 'HS256', ...header })}.${encoded(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function rs256(claims: Claims, key: KeyObject = rsa.privateKey, header: Claims = {}): string {
  const signed = `${encoded({ alg: 'RS256', ...header })}.${encoded(claims)}`
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key).toString('base64url')}`
}

interface Answer {
  readonly status: number
  readonly detail: string
}

/** Asks who the token stands for; the detail is the user's name, or what was wrong. */
async function whoami(token: string): Promise<Answer> {
  const response = await gateway!.fetch('/acl/whoami', { token })
  const body = (await response.json()) as { readonly result?: string; readonly error?: string }
  return { status: response.status, detail: body.result ?? body.error ?? '' }
}

describe('A secret', () => {
  test('lets in whom a signed token names', async () => {
    await start({ secret: SECRET })
    expect(await whoami(hs256(GOOD))).toEqual({ status: 200, detail: 'ann' })
  })

  test('checks signature, times and the user', async () => {
    await start({ secret: SECRET })
    const cases: readonly (readonly [string, string])[] = [
      [hs256(GOOD, 'another-secret-of-more-than-32-bytes'), 'The signature of the JWT is wrong'],
      [hs256({ ...GOOD, exp: inSeconds(-60) }), 'The JWT has expired'],
      [hs256({ ...GOOD, nbf: inSeconds(60) }), 'The JWT is not valid yet'],
      [hs256({ ...GOOD, sub: 'nobody' }), 'WRONGPASS invalid or missing auth token'],
      [hs256({ exp: inSeconds(60) }), 'The JWT names no user: its claim "sub" must be a text'],
      [hs256({ ...GOOD, sub: ['ann'] }), 'The JWT names no user: its claim "sub" must be a text'],
      ['a.b.c', 'The token is no JWT'],
    ]
    for (const [token, detail] of cases) expect(await whoami(token)).toEqual({ status: 401, detail })
  })

  test('does not let in a user who is switched off', async () => {
    await start({ secret: SECRET })
    gateway?.user('ann', ['off'])
    expect((await whoami(hs256(GOOD))).status).toBe(401)
  })

  test('checks issuer and audience where they are configured', async () => {
    await start({ secret: SECRET, issuer: 'https://id.example', audience: 'broker' })
    const claims = { ...GOOD, iss: 'https://id.example', aud: ['web', 'broker'] }
    expect((await whoami(hs256(claims))).status).toBe(200)
    expect(await whoami(hs256({ ...claims, iss: 'x' }))).toEqual({
      status: 401,
      detail: 'The JWT is of another issuer',
    })
    expect(await whoami(hs256({ ...claims, aud: 'x' }))).toEqual({
      status: 401,
      detail: 'The JWT is for another audience',
    })
    expect((await whoami(hs256(GOOD))).status).toBe(401)
  })

  test('the claim that names the user can be another', async () => {
    await start({ secret: SECRET, claim: 'https://example.com/user' })
    expect(await whoami(hs256({ 'https://example.com/user': 'ann', sub: 'x' }))).toEqual({ status: 200, detail: 'ann' })
  })

  test('leaves tokens of ours and passwords as they are', async () => {
    await start({ secret: SECRET })
    expect((await whoami(gateway!.tokenOf('ann'))).detail).toBe('ann')
    expect((await whoami('password')).detail).toBe('default')
  })

  test('is warned about when it is short', async () => {
    await start({ secret: 'short' })
    expect(gateway?.log.warnings).toContain('http-jwt-secret is short: HS256 asks for at least 32 bytes')
    expect((await whoami(hs256(GOOD, 'short'))).status).toBe(200)
  })
})

describe('A public key', () => {
  test('lets in whom a signed token names', async () => {
    await start({ publicKeyFile: keyFile })
    expect(await whoami(rs256(GOOD))).toEqual({ status: 200, detail: 'ann' })
    expect((await whoami(rs256(GOOD, otherRsa.privateKey))).detail).toBe('The signature of the JWT is wrong')
  })

  test('is never taken for a secret, and no signature is none', async () => {
    await start({ publicKeyFile: keyFile })
    const refused = { status: 401, detail: 'The JWT is signed with an algorithm that is not accepted' }
    expect(await whoami(hs256(GOOD, PEM))).toEqual(refused)
    expect(await whoami(`${encoded({ alg: 'none' })}.${encoded(GOOD)}.`)).toEqual(refused)
    expect(await whoami(rs256(GOOD, rsa.privateKey, { alg: 'PS256' }))).toEqual(refused)
  })

  test('beside a secret each checks its own algorithm', async () => {
    await start({ publicKeyFile: keyFile, secret: SECRET })
    expect((await whoami(rs256(GOOD))).status).toBe(200)
    expect((await whoami(hs256(GOOD))).status).toBe(200)
    expect((await whoami(hs256(GOOD, PEM))).status).toBe(401)
  })

  test('that is none keeps the gateway from starting', async () => {
    const file = join(directory, 'none.pem')
    writeFileSync(file, 'nothing')
    await expect(start({ publicKeyFile: file })).rejects.toThrow('it holds no key in PEM')
    await expect(start({ publicKeyFile: join(directory, 'missing.pem') })).rejects.toThrow('ENOENT')
    const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
    writeFileSync(file, curve.export({ type: 'spki', format: 'pem' }))
    await expect(start({ publicKeyFile: file })).rejects.toThrow('RS256 needs an RSA key')
    await expect(start({ jwksUrl: 'file:///etc/passwd' })).rejects.toThrow('no http or https URL')
  })
})

describe('Keys of a URL', () => {
  let keyServer: Server
  let url: string
  let requests = 0
  let answer: () => { readonly status: number; readonly body: string }

  const jwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'first', use: 'sig', alg: 'RS256' }

  beforeAll(async () => {
    keyServer = createServer((_request, response) => {
      requests++
      const { status, body } = answer()
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
    keyServer.listen(0, '127.0.0.1')
    await once(keyServer, 'listening')
    const address = keyServer.address()
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys?secret=s3cret`
  })

  afterEach(() => {
    requests = 0
  })

  afterAll(() => keyServer.close())

  test('are fetched once for many tokens', async () => {
    answer = () => ({ status: 200, body: JSON.stringify({ keys: [jwk] }) })
    await start({ jwksUrl: url })
    const token = rs256(GOOD, rsa.privateKey, { kid: 'first' })
    const answers = await Promise.all([whoami(token), whoami(token), whoami(token)])
    expect(answers).toEqual(Array(3).fill({ status: 200, detail: 'ann' }))
    expect((await whoami(token)).status).toBe(200)
    expect(requests).toBe(1)
  })

  test('an unknown key is refused without asking again at once', async () => {
    answer = () => ({ status: 200, body: JSON.stringify({ keys: [jwk] }) })
    await start({ jwksUrl: url })
    const token = rs256(GOOD, otherRsa.privateKey, { kid: 'second' })
    for (let i = 0; i < 3; i++) expect((await whoami(token)).detail).toBe('The key of the JWT is not known')
    expect(requests).toBe(1)
  })

  test('check no secret-key algorithm', async () => {
    const oct = { kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 'oct', alg: 'HS256' }
    answer = () => ({ status: 200, body: JSON.stringify({ keys: [jwk, oct] }) })
    await start({ jwksUrl: url })
    expect((await whoami(hs256(GOOD, SECRET, { kid: 'oct' }))).status).toBe(401)
  })

  test.each([
    ['an error', 500, '{}'],
    ['no JSON', 200, '<html>'],
    ['no keys', 200, '{"a":1}'],
    ['too many bytes', 200, `"${'x'.repeat(1024 * 1024)}"`],
  ])('%s is 503 and is not asked for again at once', async (_what, status, body) => {
    answer = () => ({ status, body })
    await start({ jwksUrl: url })
    const token = rs256(GOOD, rsa.privateKey, { kid: 'first' })
    for (let i = 0; i < 3; i++) {
      const response = await gateway!.fetch('/acl/whoami', { token })
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('5')
    }
    expect(requests).toBe(1)
    expect(gateway?.log.warnings.join()).not.toContain('s3cret')
  })
})
