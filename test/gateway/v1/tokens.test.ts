/** Tokens as resources: issued once, listed without secrets, revoked at once; for administrators only. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

interface Issued {
  readonly id: string
  readonly token: string
}

let gateway: TestGateway
let directory: string
let admin: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-tokens-'))
  gateway = await TestGateway.start({ requirepass: 'secret', dir: directory, 'http-token-file': 'tokens.json' })
})

beforeEach(() => {
  for (const name of ['ann', 'böb', 'admin']) gateway.engine.users.delete(Buffer.from(name).toString('latin1'))
  gateway.user('ann', ['on', '+@all', '-@admin', '~*', '&*'])
  gateway.user('böb', ['on', '+@all', '~*', '&*'])
  gateway.user('admin', ['on', '+acl|token'])
  admin = gateway.tokenOf('admin')
})

afterAll(async () => {
  await gateway.close()
  rmSync(directory, { recursive: true })
})

function issue(body: unknown, token = admin): Promise<Response> {
  return gateway.fetch('/v1/tokens', { json: body, token })
}

async function listed(query = ''): Promise<readonly Record<string, unknown>[]> {
  const response = await gateway.fetch(`/v1/tokens${query}`, { token: admin })
  expect(response.status).toBe(200)
  const { tokens } = (await response.json()) as { readonly tokens: readonly Record<string, unknown>[] }
  return tokens
}

test('a token that is issued works, and its secret is told this once', async () => {
  const response = await issue({ user: 'böb', name: 'for ünits', expiresInSeconds: 60 })
  expect(response.status).toBe(201)
  expect(response.headers.get('cache-control')).toBe('no-store')
  const body = (await response.json()) as Issued & { readonly createdAt: string; readonly expiresAt: string }
  expect(body).toMatchObject({ user: 'böb', name: 'for ünits', readOnly: false })
  expect(response.headers.get('location')).toBe(`/v1/tokens/${body.id}`)
  expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(60_000)
  expect((await gateway.fetch('/set/x/1', { token: body.token })).status).toBe(200)

  const { token, ...withoutSecret } = body
  expect(await listed(`?user=${encodeURIComponent('böb')}`)).toEqual([withoutSecret])
  expect(JSON.stringify(await listed())).not.toContain(token.split('_')[2])
})

test('a token for reading cannot write', async () => {
  const { token } = (await (await issue({ user: 'ann', readOnly: true })).json()) as Issued
  expect((await gateway.fetch('/get/x', { token })).status).toBe(200)
  expect((await gateway.fetch('/set/x/1', { token })).status).toBe(400)
})

test('a token that is revoked is void at once', async () => {
  const { id, token } = (await (await issue({ user: 'ann' })).json()) as Issued
  expect((await gateway.fetch('/ping', { token })).status).toBe(200)
  const revoke = (): Promise<Response> => gateway.fetch(`/v1/tokens/${id}`, { method: 'DELETE', token: admin })
  expect((await revoke()).status).toBe(204)
  expect((await gateway.fetch('/ping', { token })).status).toBe(401)
  expect((await revoke()).status).toBe(404)
})

test('a token shows in ACL TOKEN LIST, and one of ACL TOKEN CREATE here', async () => {
  const { id } = (await (await issue({ user: 'ann', name: 'a' })).json()) as Issued
  expect(JSON.stringify(await gateway.call('ACL', 'TOKEN', 'LIST', 'ann'))).toContain(id)
  await gateway.call('ACL', 'TOKEN', 'CREATE', 'ann', 'NAME', 'b')
  expect((await listed('?user=ann')).map(({ name }) => name)).toEqual(['a', 'b'])
})

describe('What ACL TOKEN does not allow', () => {
  test.each([
    ['a user without the command', () => gateway.tokenOf('ann')],
    ['a token for reading of one with it', () => gateway.tokenOf('admin', 'read-only')],
  ])('is refused to %s', async (_who, tokenOf) => {
    const token = tokenOf()
    const count = gateway.engine.tokens.count
    const id = admin.split('_')[1] ?? ''
    expect((await issue({ user: 'ann' }, token)).status).toBe(403)
    expect((await gateway.fetch('/v1/tokens', { token })).status).toBe(403)
    expect((await gateway.fetch(`/v1/tokens/${id}`, { method: 'DELETE', token })).status).toBe(403)
    expect(gateway.engine.tokens.count).toBe(count)
    expect(gateway.engine.tokens.verify(admin, Date.now())).not.toBeNull()
  })
})

describe('Wrong requests', () => {
  test.each([
    [{ user: 'nobody' }, 404],
    [{}, 400],
    [{ user: '' }, 400],
    [{ user: 'ann', admin: true }, 400],
    [{ user: 1 }, 400],
    [{ user: 'ann', expiresInSeconds: 0 }, 400],
    [{ user: 'ann', expiresInSeconds: 1.5 }, 400],
    [{ user: 'ann', name: 'x'.repeat(65) }, 400],
    [{ user: 'ann', readOnly: 'yes' }, 400],
    [[], 400],
  ])('%j is refused', async (body, status) => {
    const before = gateway.engine.tokens.count
    expect((await issue(body)).status).toBe(status)
    expect(gateway.engine.tokens.count).toBe(before)
  })

  test('an ID that is none is refused', async () => {
    const response = await gateway.fetch('/v1/tokens/..%2F..', { method: 'DELETE', token: admin })
    expect(response.status).toBe(400)
  })

  test('other methods are refused', async () => {
    const response = await gateway.fetch('/v1/tokens', { method: 'PUT', token: admin })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  })
})

test('a token that cannot be kept is not issued', async () => {
  const other = await TestGateway.start({ 'http-token-file': '/proc/none/tokens.json' })
  const response = await other.fetch('/v1/tokens', { json: { user: 'default' } })
  expect(response.status).toBe(503)
  expect(((await response.json()) as { readonly detail: string }).detail).toMatch(/^Cannot write tokens to /)
  expect(other.engine.tokens.count).toBe(0)
  await other.close()
})
