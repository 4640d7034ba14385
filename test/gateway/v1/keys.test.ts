import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/gateway/engine.ts'
import { writeValue } from '../../../src/gateway/v1/key-write.ts'
import { SET_VALUE } from '../../../src/gateway/v1/scripts.ts'
import { TestClock } from '../../support/broker.ts'
import { TestGateway } from '../../support/gateway.ts'

const START_MS = 1_700_000_000_000
/** Entries of tags outlive their values by this. */
const SLACK_MS = 60_000

let clock: TestClock
let gateway: TestGateway

beforeAll(async () => {
  clock = new TestClock(START_MS)
  gateway = await TestGateway.start({}, {}, null, clock)
})

afterAll(() => gateway.close())

beforeEach(async () => {
  clock.nowMs = START_MS
  await call('FLUSHALL')
})

function call(...args: readonly (string | number | Uint8Array)[]): ReturnType<Engine['call']> {
  return gateway.call(...args)
}

interface Options {
  readonly method?: string
  readonly json?: unknown
  readonly bytes?: Uint8Array<ArrayBuffer>
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: string
}

function send(path: string, { method, json, bytes, headers = {}, token }: Options = {}): Promise<Response> {
  const all: Record<string, string> = { ...headers }
  if (token !== undefined) all.authorization = `Bearer ${token}`
  const init: RequestInit = { method: method ?? (json === undefined ? 'GET' : 'POST'), headers: all }
  if (json !== undefined) {
    all['content-type'] = 'application/json'
    init.body = JSON.stringify(json)
  } else if (bytes !== undefined) {
    all['content-type'] = 'application/octet-stream'
    init.body = bytes
  }
  return fetch(`${gateway.url}/v1/${path}`, init)
}

async function ok(path: string, options: Options = {}): Promise<unknown> {
  const response = await send(path, options)
  const answer: unknown = await response.json()
  expect([response.status, answer]).toEqual([200, answer])
  return answer
}

function put(key: string, body: object): Promise<unknown> {
  return ok(`keys/${encodeURIComponent(key)}`, { method: 'PUT', json: body })
}

function invalidate(tag: string): Promise<unknown> {
  return ok(`cache-tags/${tag}/invalidate`, { method: 'POST' })
}

function tokenOf(rules: readonly string[], mode: 'full' | 'read-only' = 'full'): string {
  gateway.user('eve', ['reset', 'on', ...rules])
  return gateway.tokenOf('eve', mode)
}

const BINARY = Uint8Array.of(0, 255, 254, 10)

describe('getting a value', () => {
  test('text is text, and base64 where that is asked for', async () => {
    await call('SET', 'k', 'grüß')
    expect(await ok('keys/k')).toEqual({ key: 'k', value: 'grüß', encoding: 'text' })
    expect(await ok('keys/k?encoding=base64')).toEqual({ key: 'k', value: 'Z3LDvMOf', encoding: 'base64' })
  })

  test('bytes that are not UTF-8 are base64 whatever was asked for', async () => {
    await call('SET', 'k', BINARY)
    expect(await ok('keys/k')).toEqual({ key: 'k', value: 'AP/+Cg==', encoding: 'base64' })
  })

  test('the bytes themselves come where they are accepted', async () => {
    await call('SET', 'k', BINARY)
    const response = await send('keys/k', { headers: { accept: 'text/plain, application/octet-stream;q=0.5' } })
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(BINARY)
  })

  test('an ETag stands for the value and its form', async () => {
    await call('SET', 'k', 'a')
    const first = await send('keys/k')
    const tag = first.headers.get('etag')!
    for (const header of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      const again = await send('keys/k', { headers: { 'if-none-match': header } })
      expect([again.status, await again.text()]).toEqual([304, ''])
    }
    expect((await send('keys/k?encoding=base64', { headers: { 'if-none-match': tag } })).status).toBe(200)
    await call('SET', 'k', 'b')
    expect((await send('keys/k', { headers: { 'if-none-match': tag } })).status).toBe(200)
  })

  test('a missing key is not found, another type is a conflict', async () => {
    await call('RPUSH', 'list', 'a')
    expect((await send('keys/none')).status).toBe(404)
    expect((await send('keys/list')).status).toBe(409)
  })

  test('keys may have any characters', async () => {
    await call('SET', 'a/b {ü}?', 'x')
    expect(await ok(`keys/${encodeURIComponent('a/b {ü}?')}`)).toMatchObject({ key: 'a/b {ü}?', value: 'x' })
  })
})

describe('setting a value', () => {
  test('of text, base64 or bytes', async () => {
    expect(await put('k', { value: 'grüß' })).toEqual({ key: 'k', set: true })
    expect(await call('GET', 'k')).toBe('grüß')
    await put('k', { value: 'AP/+Cg==', encoding: 'base64' })
    expect(await ok('keys/k?encoding=base64')).toMatchObject({ value: 'AP/+Cg==' })
    expect(await ok('keys/k', { method: 'PUT', bytes: Uint8Array.of(255, 1) })).toEqual({ key: 'k', set: true })
    expect(await ok('keys/k')).toMatchObject({ value: '/wE=' })
    await put('k', { value: '' })
    expect(await ok('keys/k')).toMatchObject({ value: '' })
  })

  test.each([
    [{ ttlMs: 1500 }, 1500],
    [{ ttlSeconds: 2 }, 2000],
    [{ expiresAtMs: START_MS + 3000 }, 3000],
    [{ keepTtl: true }, 9000],
    [{}, -1],
  ])('with %j', async (options, expected) => {
    await call('SET', 'k', 'old', 'PX', 9000)
    await put('k', { value: 'v', ...options })
    expect(await call('PTTL', 'k')).toBe(expected)
    await call('SET', 'k', 'old', 'PX', 9000)
    const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)]))
    await ok(`keys/k?${query}`, { method: 'PUT', bytes: Uint8Array.of(65) })
    expect(await call('PTTL', 'k')).toBe(expected)
  })

  test('an expire time that is past deletes the key', async () => {
    await call('SET', 'k', 'old')
    expect(await put('k', { value: 'v', expiresAtMs: 1, tags: ['t'] })).toEqual({ key: 'k', set: true })
    expect(await call('EXISTS', 'k')).toBe(0)
    expect(await call('KEYS', '*note*')).toEqual([])
  })

  test('under a condition, with the value before', async () => {
    const value = (text: string): object => ({ value: text, encoding: 'text' })
    expect(await put('k', { value: 'a', condition: 'xx', returnOld: true })).toEqual({
      key: 'k',
      set: false,
      old: null,
    })
    expect(await put('k', { value: 'b', condition: 'nx', returnOld: true })).toEqual({ key: 'k', set: true, old: null })
    expect(await put('k', { value: 'c', condition: 'nx', returnOld: true })).toEqual({
      key: 'k',
      set: false,
      old: value('b'),
    })
    expect(await put('k', { value: 'd', condition: 'xx', returnOld: true })).toEqual({
      key: 'k',
      set: true,
      old: value('b'),
    })
    expect(await put('k', { value: 'e', condition: 'nx' })).toEqual({ key: 'k', set: false })
    expect(await call('GET', 'k')).toBe('d')
  })

  test('the value before is as exact as it was', async () => {
    await call('SET', 'k', BINARY)
    expect(await put('k', { value: 'a', returnOld: true })).toMatchObject({
      old: { value: 'AP/+Cg==', encoding: 'base64' },
    })
    const answer = await ok('keys/k?encoding=base64&returnOld=true', { method: 'PUT', bytes: BINARY })
    expect(answer).toMatchObject({ old: { value: 'YQ==', encoding: 'base64' } })
  })

  test('a value of another type is replaced, but for returnOld', async () => {
    await call('RPUSH', 'k', 'a')
    const refused = await send('keys/k', { method: 'PUT', json: { value: 'a', returnOld: true, tags: ['t'] } })
    expect(refused.status).toBe(409)
    expect(await call('TYPE', 'k')).toBe('list')
    expect(await call('EXISTS', 'cache-tag:t')).toBe(0)
    expect(await put('k', { value: 'a' })).toEqual({ key: 'k', set: true })
  })
})

describe('deleting, status, expiry and increments', () => {
  test('a key is deleted once, whatever its type', async () => {
    await call('RPUSH', 'k', 'a')
    expect(await ok('keys/k', { method: 'DELETE' })).toEqual({ deleted: true })
    expect(await ok('keys/k', { method: 'DELETE' })).toEqual({ deleted: false })
  })

  test('the status tells type and time to live', async () => {
    await call('RPUSH', 'k', 'a')
    expect(await ok('keys/k/status')).toEqual({ key: 'k', exists: true, type: 'list', ttlMs: null })
    await call('PEXPIRE', 'k', 700)
    expect(await ok('keys/k/status')).toMatchObject({ ttlMs: 700 })
    expect(await ok('keys/none/status')).toEqual({ key: 'none', exists: false, type: null, ttlMs: null })
  })

  test('an expire time is set, under a condition, and taken away', async () => {
    const expire = (json: object): Promise<unknown> => ok('keys/k/expiry', { method: 'PUT', json })
    expect(await expire({ ttlMs: 5 })).toEqual({ changed: false })
    await call('SET', 'k', 'v')
    expect(await expire({ ttlMs: 5000, condition: 'xx' })).toEqual({ changed: false })
    expect(await expire({ ttlMs: 5000, condition: 'nx' })).toEqual({ changed: true })
    expect(await expire({ ttlSeconds: 4, condition: 'gt' })).toEqual({ changed: false })
    expect(await expire({ expiresAtMs: START_MS + 3000, condition: 'lt' })).toEqual({ changed: true })
    expect(await call('PTTL', 'k')).toBe(3000)
    expect(await ok('keys/k/expiry', { method: 'DELETE' })).toEqual({ changed: true })
    expect(await ok('keys/k/expiry', { method: 'DELETE' })).toEqual({ changed: false })
    expect(await expire({ expiresAtMs: 1 })).toEqual({ changed: true })
    expect(await call('EXISTS', 'k')).toBe(0)
  })

  test('numbers are added to, exactly', async () => {
    const add = (json: object): Promise<unknown> => ok('keys/n/increment', { json })
    expect(await add({})).toEqual({ key: 'n', value: 1, text: '1' })
    expect(await add({ by: -11 })).toEqual({ key: 'n', value: -10, text: '-10' })
    expect(await add({ byFloat: 0.5 })).toEqual({ key: 'n', value: -9.5, text: '-9.5' })
    await call('SET', 'n', '9007199254740993')
    expect(await add({ by: 2 })).toMatchObject({ text: '9007199254740995' })
  })

  test('what is no number cannot be added to', async () => {
    await call('SET', 'k', 'text')
    await call('RPUSH', 'list', 'a')
    await call('SET', 'max', '9223372036854775807')
    expect((await send('keys/k/increment', { json: {} })).status).toBe(400)
    expect((await send('keys/max/increment', { json: {} })).status).toBe(400)
    expect((await send('keys/list/increment', { json: {} })).status).toBe(409)
  })
})

describe('batches', () => {
  test('get answers in order, with errors in their places', async () => {
    await call('MSET', 'a', '1', 'b', BINARY)
    await call('RPUSH', 'list', 'x')
    expect(await ok('key-batches/get', { json: { keys: ['b', 'none', 'list', 'a'] } })).toEqual({
      results: [
        { key: 'b', value: 'AP/+Cg==', encoding: 'base64' },
        { key: 'none', value: null },
        {
          key: 'list',
          error: { code: 'WRONGTYPE', detail: 'WRONGTYPE Operation against a key holding the wrong kind of value' },
        },
        { key: 'a', value: '1', encoding: 'text' },
      ],
    })
  })

  test('set takes options for each', async () => {
    await call('SET', 'c', 'old')
    const items = [
      { key: 'a', value: 'AA==', encoding: 'base64', ttlMs: 900 },
      { key: 'b', value: 'x', tags: ['t'] },
      { key: 'c', value: 'x', condition: 'nx' },
    ]
    expect(await ok('key-batches/set', { json: { items } })).toEqual({
      results: [
        { key: 'a', set: true },
        { key: 'b', set: true },
        { key: 'c', set: false },
      ],
    })
    expect(await call('PTTL', 'a')).toBe(900)
    expect(await call('MGET', 'a', 'b', 'c')).toEqual(['\0', 'x', 'old'])
    expect(await invalidate('t')).toMatchObject({ deleted: 1 })
  })

  test('delete tells how many there were', async () => {
    await call('MSET', 'a', '1', 'b', '2')
    expect(await ok('key-batches/delete', { json: { keys: ['a', 'none', 'b', 'a'] } })).toEqual({ deleted: 2 })
  })

  test('as many as 1000 are done at once', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => ({ key: `k${i}`, value: String(i) }))
    await ok('key-batches/set', { json: { items } })
    expect(await call('DBSIZE')).toBe(1000)
    expect((await send('key-batches/set', { json: { items: [...items, items[0]] } })).status).toBe(400)
  })
})

test('values that are too long for JSON come as bytes only, and are not replaced unseen', async () => {
  const longest = 64 * 1024 * 1024
  await call('SETRANGE', 'k', longest, 'x')
  expect((await send('keys/k')).status).toBe(406)
  expect((await send('key-batches/get', { json: { keys: ['none', 'k'] } })).status).toBe(406)
  const refused = await send('keys/k', { method: 'PUT', json: { value: 'v', returnOld: true } })
  expect([refused.status, await call('STRLEN', 'k')]).toEqual([400, longest + 1])
  const response = await send('keys/k', { headers: { accept: 'application/octet-stream' } })
  expect((await response.arrayBuffer()).byteLength).toBe(longest + 1)
})

describe('listing', () => {
  interface Page {
    readonly keys: readonly string[]
    readonly cursor: string | null
  }

  async function all(query: string, token?: string): Promise<string[]> {
    const keys = new Set<string>()
    let cursor: string | null = '0'
    for (let i = 0; cursor !== null; i++) {
      expect(i).toBeLessThan(100)
      const page = (await ok(`keys?${query}&cursor=${cursor}`, token === undefined ? {} : { token })) as Page
      for (const key of page.keys) keys.add(key)
      cursor = page.cursor
    }
    return [...keys].sort()
  }

  test('finds every key with a prefix, page by page', async () => {
    for (let i = 0; i < 300; i++) await call('SET', `a:${i}`, 'x')
    for (let i = 0; i < 50; i++) await call('RPUSH', `b[*]:${i}`, 'x')
    expect((await all('limit=20')).length).toBe(350)
    expect((await all('limit=7&prefix=a:')).length).toBe(300)
    expect((await all(`prefix=${encodeURIComponent('b[*]:1')}`)).length).toBe(11)
    expect((await all('prefix=b*')).length).toBe(0)
    expect((await all('type=list')).length).toBe(50)
    const page = (await ok('keys?limit=20')) as Page
    expect(page.keys.length).toBeGreaterThanOrEqual(20)
    expect(page.keys.length).toBeLessThan(100)
    expect(page.cursor).not.toBe(null)
  })

  test('one request looks at a bounded number of keys', async () => {
    for (let i = 0; i < 300; i++) await call('SET', `a:${i}`, 'x')
    const page = (await ok('keys?limit=5&prefix=none')) as Page
    expect(page.keys).toEqual([])
    expect(page.cursor).not.toBe(null)
  })

  test('shows only what the user may read', async () => {
    await call('MSET', 'app:1', 'x', 'app:ü', 'x', 'other:1', 'x', 'written', 'x')
    const token = tokenOf(['+scan', '~app:*', '%W~written'])
    expect(await all('limit=1', token)).toEqual(['app:1', 'app:ü'])
    expect((await send('keys', { token: tokenOf(['~*', '+get']) })).status).toBe(403)
    expect((await send('keys', { token: tokenOf(['~*', '+@all'], 'read-only') })).status).toBe(403)
  })

  test('leaves out names that are no text', async () => {
    await call('SET', BINARY, 'x')
    await call('SET', 'a', 'x')
    expect(await all('limit=10')).toEqual(['a'])
  })
})

describe('cache tags', () => {
  test('all values of a tag are deleted, and nothing else', async () => {
    await put('a', { value: '1', tags: ['red', 'blue'] })
    await put('{b}x', { value: '2', tags: ['red'] })
    await put('c}', { value: '3', tags: ['red', 'red'] })
    await put('d', { value: '4', tags: ['blue'] })
    await put('e', { value: '5' })
    expect(await invalidate('red')).toEqual({ tag: 'red', deleted: 3, stale: 0, forbidden: 0, cursor: null })
    expect(await call('MGET', 'a', '{b}x', 'c}', 'd', 'e')).toEqual([null, null, null, '4', '5'])
    expect(await call('ZCARD', 'cache-tag:blue')).toBe(1)
    expect(await invalidate('red')).toMatchObject({ deleted: 0, stale: 0 })
    expect(await invalidate('blue')).toMatchObject({ deleted: 1 })
    expect(await call('KEYS', '*')).toEqual(['e'])
  })

  const overwrites: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['by a PUT', () => put('k', { value: 'new' })],
    ['by a PUT of the same value', () => put('k', { value: 'old' })],
    ['by a PUT with another tag', () => put('k', { value: 'old', tags: ['blue'] })],
    ['by a batch', () => ok('key-batches/set', { json: { items: [{ key: 'k', value: 'old' }] } })],
    ['by another door', () => call('SET', 'k', 'new')],
    ['by another type', () => call('DEL', 'k').then(() => call('RPUSH', 'k', 'old'))],
    [
      'by a delete and a set of another door',
      () => ok('keys/k', { method: 'DELETE' }).then(() => call('SET', 'k', 'old')),
    ],
    ['by an increment', () => call('APPEND', 'k', '!')],
  ]

  test.each(overwrites)('a value that was overwritten %s is not deleted', async (_how, overwrite) => {
    await put('k', { value: 'old', tags: ['red'] })
    await overwrite()
    const type = await call('TYPE', 'k')
    expect(await invalidate('red')).toMatchObject({ deleted: 0 })
    expect(await call('TYPE', 'k')).toBe(type)
    expect(await call('EXISTS', 'cache-tag:red')).toBe(0)
    await invalidate('blue')
    expect(await call('KEYS', '*note*')).toEqual([])
  })

  test('a write whose condition does not hold leaves the tags as they were', async () => {
    await put('k', { value: 'old', tags: ['red'] })
    expect(await put('k', { value: 'new', tags: ['blue'], condition: 'nx' })).toMatchObject({ set: false })
    expect(await call('EXISTS', 'cache-tag:blue')).toBe(0)
    expect(await invalidate('blue')).toMatchObject({ deleted: 0 })
    expect(await invalidate('red')).toMatchObject({ deleted: 1 })
  })

  test('values that expire leave nothing behind', async () => {
    await put('a', { value: '1', tags: ['red'], ttlMs: 1000 })
    await put('b', { value: '2', tags: ['red'], expiresAtMs: START_MS + 2000 })
    expect(await call('ZCARD', 'cache-tag:red')).toBe(2)
    clock.pass(2001 + SLACK_MS)
    for (const key of ['a', 'b', 'cache-tag:red']) expect(await call('EXISTS', key)).toBe(0)
    const [, names] = (await call('SCAN', 0, 'COUNT', 1000)) as [string, string[]]
    expect(names).toEqual([])
  })

  test('expired entries are trimmed when the tag is used again', async () => {
    await put('stays', { value: '0', tags: ['red'] })
    for (let i = 0; i < 20; i++) await put(`k${i}`, { value: '1', tags: ['red'], ttlMs: 1000 })
    expect(await call('ZCARD', 'cache-tag:red')).toBe(21)
    expect(await call('PTTL', 'cache-tag:red')).toBe(-1)
    clock.pass(1001 + SLACK_MS)
    await put('next', { value: '1', tags: ['red'], ttlMs: 1000 })
    expect(await call('ZCARD', 'cache-tag:red')).toBe(2)
    expect(await invalidate('red')).toMatchObject({ deleted: 2, stale: 0 })
  })

  test('a tag is followed when the time to live changes', async () => {
    await put('k', { value: '1', tags: ['red'], ttlMs: 1000 })
    await ok('keys/k/expiry', { method: 'PUT', json: { ttlMs: 500_000 } })
    clock.pass(1001 + SLACK_MS)
    expect(await invalidate('red')).toMatchObject({ deleted: 1 })

    await put('k', { value: '1', tags: ['red'], ttlMs: 1000 })
    await ok('keys/k/expiry', { method: 'DELETE' })
    clock.pass(1001 + SLACK_MS)
    expect(await invalidate('red')).toMatchObject({ deleted: 1 })

    await put('k', { value: '1', ttlMs: 500_000 })
    await put('k', { value: '2', tags: ['red'], keepTtl: true })
    expect(await call('PTTL', 'cache-tag:red')).toBe(500_000 + SLACK_MS)
    await ok('keys/k/expiry', { method: 'PUT', json: { expiresAtMs: 1 } })
    expect(await call('KEYS', '*')).toEqual([])
  })

  test('a tag of many values is invalidated in slices', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => ({ key: `k${i}`, value: 'x', tags: ['big'] }))
    await ok('key-batches/set', { json: { items } })
    // Entries without values count like others and are made faster.
    const entries = Array.from({ length: 11_000 }, (_, i) => ['inf', `gone:${i}`]).flat()
    await call('ZADD', 'cache-tag:big', ...entries)
    let cursor: string | null = '0'
    let deleted = 0
    let stale = 0
    let requests = 0
    while (cursor !== null && requests < 10) {
      const answer = await ok(`cache-tags/big/invalidate?cursor=${cursor}`, { method: 'POST' })
      const found = answer as { deleted: number; stale: number; cursor: string | null }
      expect(found.deleted + found.stale).toBeLessThanOrEqual(11_000)
      deleted += found.deleted
      stale += found.stale
      cursor = found.cursor
      requests++
    }
    expect([deleted, stale, requests]).toEqual([1000, 11_000, 2])
    expect(await call('DBSIZE')).toBe(0)
  })

  test('an entry that a broken-off write left behind deletes nothing', async () => {
    await put('k', { value: 'v', tags: ['red'] })
    const [entry] = (await call('ZRANGE', 'cache-tag:red', 0, -1)) as string[]
    await put('k', { value: 'v', tags: ['blue'] })
    await call('ZADD', 'cache-tag:red', 'inf', entry!)
    expect(await invalidate('red')).toMatchObject({ deleted: 0, stale: 1 })
    expect(await call('EXISTS', 'cache-tag:red')).toBe(0)
    expect(await invalidate('blue')).toMatchObject({ deleted: 1 })
  })

  test('an invalidation between the steps of a write does not make it forget the value', async () => {
    const { engine } = gateway
    const interrupted: Engine = Object.create(engine)
    let isInvalidated = false
    interrupted.call = async (user, args, options) => {
      if (args[1] === SET_VALUE.sha1 && !isInvalidated) {
        isInvalidated = true
        expect(await invalidate('red')).toMatchObject({ deleted: 0, stale: 1 })
        expect(await call('EXISTS', 'cache-tag:red')).toBe(0)
      }
      return engine.call(user, args, options)
    }
    await writeValue(interrupted, { key: 'k', bytes: Buffer.from('v'), options: { tags: ['red'] } })
    expect(isInvalidated).toBe(true)
    expect(await call('GET', 'k')).toBe('v')
    expect(await invalidate('red')).toMatchObject({ deleted: 1 })
    expect(await call('KEYS', '*')).toEqual([])
  })

  test('a value that is set while its tag is invalidated is either deleted or still tagged', async () => {
    for (let round = 0; round < 30; round++) {
      await Promise.all([
        put('k', { value: String(round), tags: ['red'] }),
        invalidate('red'),
        put('j', { value: String(round), tags: ['red'] }),
        invalidate('red'),
      ])
    }
    await invalidate('red')
    expect(await call('KEYS', '*')).toEqual([])
  })
})

describe('bad input', () => {
  const item = { key: 'k', value: 'v' }

  test.each<[string, string, Options]>([
    ['an unknown encoding', 'keys/k?encoding=hex', {}],
    ['an unknown parameter', 'keys/k?other=1', {}],
    ['a value that is missing', 'keys/k', { method: 'PUT', json: {} }],
    ['a value that is a number', 'keys/k', { method: 'PUT', json: { value: 1 } }],
    ['an unknown field', 'keys/k', { method: 'PUT', json: { value: 'v', other: 1 } }],
    ['what is no base64', 'keys/k', { method: 'PUT', json: { value: 'A*==', encoding: 'base64' } }],
    ['half a surrogate pair', 'keys/k', { method: 'PUT', json: { value: '\ud800' } }],
    ['a TTL of 0', 'keys/k', { method: 'PUT', json: { value: 'v', ttlMs: 0 } }],
    ['a TTL that is too long', 'keys/k', { method: 'PUT', json: { value: 'v', ttlSeconds: 1e10 } }],
    ['two TTLs', 'keys/k', { method: 'PUT', json: { value: 'v', ttlMs: 1, ttlSeconds: 1 } }],
    ['a TTL that is kept and set', 'keys/k', { method: 'PUT', json: { value: 'v', ttlMs: 1, keepTtl: true } }],
    ['two TTLs in body and query', 'keys/k?ttlMs=5', { method: 'PUT', json: { value: 'v', ttlSeconds: 5 } }],
    ['an option twice', 'keys/k?ttlMs=5', { method: 'PUT', json: { value: 'v', ttlMs: 5 } }],
    ['an unknown condition', 'keys/k', { method: 'PUT', json: { value: 'v', condition: 'gt' } }],
    ['too many tags', 'keys/k', { method: 'PUT', json: { value: 'v', tags: new Array(33).fill('t') } }],
    ['an empty tag', 'keys/k', { method: 'PUT', json: { value: 'v', tags: [''] } }],
    ['a tag that is too long', 'keys/k', { method: 'PUT', json: { value: 'v', tags: ['t'.repeat(257)] } }],
    ['a TTL of bytes that is no number', 'keys/k?ttlMs=x', { method: 'PUT', bytes: BINARY }],
    ['a key that is too long', `keys/${'k'.repeat(1025)}`, { method: 'PUT', json: { value: 'v' } }],
    ['no expire time', 'keys/k/expiry', { method: 'PUT', json: {} }],
    ['two expire times', 'keys/k/expiry', { method: 'PUT', json: { ttlMs: 1, expiresAtMs: 1 } }],
    ['an increment that is no integer', 'keys/k/increment', { json: { by: 1.5 } }],
    ['two increments', 'keys/k/increment', { json: { by: 1, byFloat: 1 } }],
    ['a cursor that is none', 'keys?cursor=x', {}],
    ['a cursor that is too great', 'keys?cursor=99999999999999999999', {}],
    ['a page of 0', 'keys?limit=0', {}],
    ['a page that is too long', 'keys?limit=1001', {}],
    ['a type that there is not', 'keys?type=blob', {}],
    ['an empty batch', 'key-batches/get', { json: { keys: [] } }],
    ['an empty key', 'key-batches/get', { json: { keys: [''] } }],
    ['a batch with an unknown field', 'key-batches/set', { json: { items: [{ ...item, returnOld: true }] } }],
    ['a batch with two TTLs', 'key-batches/set', { json: { items: [item, { ...item, ttlMs: 1, ttlSeconds: 1 }] } }],
    ['a batch with bad base64', 'key-batches/set', { json: { items: [item, { ...item, encoding: 'base64' }] } }],
    ['an empty batch of deletes', 'key-batches/delete', { json: { keys: [] } }],
    ['a tag that is too long to invalidate', `cache-tags/${'t'.repeat(257)}/invalidate`, { method: 'POST' }],
    ['a cursor of a tag that is none', 'cache-tags/t/invalidate?cursor=-1', { method: 'POST' }],
  ])('%s is refused, and nothing is done', async (_what, path, options) => {
    expect((await send(path, options)).status).toBe(400)
    expect(await call('DBSIZE')).toBe(0)
  })

  test('a body of another type is refused', async () => {
    const headers = { 'content-type': 'text/html' }
    const response = await fetch(`${gateway.url}/v1/keys/k`, { method: 'PUT', headers, body: 'x' })
    expect(response.status).toBe(415)
  })

  test.each(['keys/%ff', 'keys/%'])('%s is no text', async (path) => {
    expect((await send(path)).status).toBe(400)
  })
})

describe('permissions', () => {
  const value = { value: 'v' }
  const routes: readonly (readonly [string, (key: string) => string, Options, readonly string[]])[] = [
    ['get', (key) => `keys/${key}`, {}, ['+get']],
    ['set', (key) => `keys/${key}`, { method: 'PUT', json: value }, ['+set']],
    ['set bytes', (key) => `keys/${key}`, { method: 'PUT', bytes: BINARY }, ['+set']],
    ['delete', (key) => `keys/${key}`, { method: 'DELETE' }, ['+del']],
    ['status', (key) => `keys/${key}/status`, {}, ['+type', '+pttl']],
    ['expire', (key) => `keys/${key}/expiry`, { method: 'PUT', json: { ttlMs: 9000 } }, ['+pexpire']],
    ['expire at', (key) => `keys/${key}/expiry`, { method: 'PUT', json: { expiresAtMs: 9e12 } }, ['+pexpireat']],
    ['persist', (key) => `keys/${key}/expiry`, { method: 'DELETE' }, ['+persist']],
    ['increment', (key) => `keys/${key}/increment`, { json: {} }, ['+incrby']],
    ['increment by a float', (key) => `keys/${key}/increment`, { json: { byFloat: 1 } }, ['+incrbyfloat']],
  ]

  async function prepare(): Promise<void> {
    await call('MSET', 'app', '1', 'other', '1')
  }

  async function expectUntouched(): Promise<void> {
    expect(await call('MGET', 'app', 'other')).toEqual(['1', '1'])
    expect(await call('PTTL', 'other')).toBe(-1)
    expect(await call('DBSIZE')).toBe(2)
  }

  test.each(routes)('%s needs its commands and the key', async (_name, path, options, commands) => {
    await prepare()
    expect((await send(path('other'), { ...options, token: tokenOf(['~app', ...commands]) })).status).toBe(403)
    for (const command of commands) {
      const rules = ['~*', '+@all', `-${command.slice(1)}`]
      expect((await send(path('other'), { ...options, token: tokenOf(rules) })).status).toBe(403)
    }
    await expectUntouched()
    expect((await send(path('app'), { ...options, token: tokenOf(['~app', ...commands]) })).status).toBe(200)
  })

  test('the value before needs the right to read', async () => {
    await prepare()
    const json = { value: '1', returnOld: true }
    expect((await send('keys/app', { method: 'PUT', json, token: tokenOf(['%W~*', '+set']) })).status).toBe(403)
    expect((await send('keys/app', { method: 'PUT', json, token: tokenOf(['~app', '+set']) })).status).toBe(200)
  })

  test('a batch is refused as a whole before anything is done', async () => {
    await prepare()
    const token = tokenOf(['~app', '+get', '+set', '+del'])
    const keys = ['app', 'other']
    const items = keys.map((key) => ({ key, value: 'new' }))
    expect((await send('key-batches/get', { json: { keys }, token })).status).toBe(403)
    expect((await send('key-batches/set', { json: { items }, token })).status).toBe(403)
    expect((await send('key-batches/delete', { json: { keys }, token })).status).toBe(403)
    await expectUntouched()
    expect((await send('key-batches/get', { json: { keys: ['app'] }, token })).status).toBe(200)
    expect((await send('key-batches/set', { json: { items: items.slice(0, 1) }, token })).status).toBe(200)
    expect((await send('key-batches/delete', { json: { keys: ['app'] }, token })).status).toBe(200)
  })

  test('tags need the right to write their indexes', async () => {
    const json = { value: 'v', tags: ['red', 'blue'] }
    const rules = ['+set', '+zadd', '~app']
    const refused = [rules, [...rules, '~cache-tag:red'], ['+set', '~app', '~cache-tag:*']]
    for (const some of refused) {
      expect((await send('keys/app', { method: 'PUT', json, token: tokenOf(some) })).status).toBe(403)
      const items = [{ key: 'app', ...json }]
      expect((await send('key-batches/set', { json: { items }, token: tokenOf(some) })).status).toBe(403)
    }
    expect(await call('DBSIZE')).toBe(0)
    const token = tokenOf([...rules, '~cache-tag:*'])
    expect((await send('keys/app', { method: 'PUT', json, token })).status).toBe(200)
  })

  test('an invalidation deletes only what the user may delete', async () => {
    for (const key of ['app:1', 'app:2', 'other']) await put(key, { value: 'v', tags: ['red'] })
    const path = 'cache-tags/red/invalidate'
    const commands = ['+zscan', '+zrem', '+del']
    for (const rules of [
      ['~app:*', ...commands],
      ['~*', '+zscan', '+del'],
      ['~*', '+zrem', '+del'],
    ]) {
      expect((await send(path, { method: 'POST', token: tokenOf(rules) })).status).toBe(403)
    }
    const token = tokenOf(['~app:*', '~cache-tag:red', ...commands])
    expect(await ok(path, { method: 'POST', token })).toEqual({
      tag: 'red',
      deleted: 2,
      stale: 0,
      forbidden: 1,
      cursor: null,
    })
    expect(await call('EXISTS', 'app:1', 'app:2', 'other')).toBe(1)
    expect(await invalidate('red')).toMatchObject({ deleted: 1 })
  })

  test('a read-only token reads and does not write', async () => {
    await prepare()
    const token = tokenOf(['~*', '+@all'], 'read-only')
    expect((await send('keys/app', { token })).status).toBe(200)
    expect((await send('keys/app/status', { token })).status).toBe(200)
    expect((await send('keys/app', { method: 'PUT', json: value, token })).status).toBe(403)
    expect((await send('keys/app', { method: 'DELETE', token })).status).toBe(403)
    expect((await send('cache-tags/t/invalidate', { method: 'POST', token })).status).toBe(403)
    await expectUntouched()
  })
})
