import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

afterAll(async () => {
  await gateway.close()
})

beforeEach(async () => {
  await gateway.call('FLUSHALL')
})

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function request(path: string, options: Parameters<TestGateway['fetch']>[1] = {}): Promise<Answer> {
  const response = await gateway.fetch(`/v1/leaderboards/${path}`, options)
  return { status: response.status, body: await response.json() }
}

function submit(board: string, body: unknown): Promise<Answer> {
  return request(`${board}/scores`, { json: body })
}

async function fill(board: string): Promise<void> {
  await gateway.call('ZADD', board, 10, 'ann', 20, 'bob', 30, 'cid', 30, 'dan', 50, 'eve')
}

describe('submitting scores', () => {
  test('set writes many scores and tells which ones changed', async () => {
    await gateway.call('ZADD', 'b', 5, 'ann')
    const { status, body } = await submit('b', {
      scores: [
        { member: 'ann', score: 5 },
        { member: 'böb', score: 1.5 },
      ],
    })
    expect(status).toBe(200)
    expect(body).toEqual({
      board: 'b',
      results: [
        { member: 'ann', score: 5, changed: false },
        { member: 'böb', score: 1.5, changed: true },
      ],
    })
    expect(await gateway.call('ZRANGE', 'b', 0, -1, 'WITHSCORES')).toEqual(['böb', '1.5', 'ann', '5'])
  })

  test.each([
    ['set', 3, 3, true],
    ['increment', 3, 8, true],
    ['increment', 0, 5, false],
    ['best', 3, 5, false],
    ['best', 7, 7, true],
    ['lowest', 3, 3, true],
    ['lowest', 7, 5, false],
  ])('%s of %d on 5 gives %d', async (mode, score, expected, changed) => {
    await gateway.call('ZADD', 'b', 5, 'ann')
    const { body } = await submit('b', { mode, scores: [{ member: 'ann', score }] })
    expect(body).toEqual({ board: 'b', results: [{ member: 'ann', score: expected, changed }] })
  })

  test.each(['set', 'increment', 'best', 'lowest'])('%s adds a member that is new', async (mode) => {
    const { body } = await submit('b', { mode, scores: [{ member: 'ann', score: -4 }] })
    expect(body).toEqual({ board: 'b', results: [{ member: 'ann', score: -4, changed: true }] })
  })

  test('a member that is given twice is written in order', async () => {
    const scores = [
      { member: 'ann', score: 1 },
      { member: 'ann', score: 2 },
    ]
    const { body } = await submit('b', { mode: 'increment', scores })
    expect(body).toMatchObject({ results: [{ score: 1 }, { score: 3 }] })
  })

  test('a TTL is set each time, or only when the board has none', async () => {
    const scores = [{ member: 'ann', score: 1 }]
    await submit('b', { scores, ttlMs: 50_000, ttlWhen: 'new' })
    expect(await gateway.call('PTTL', 'b')).toBeGreaterThan(40_000)
    await submit('b', { scores, ttlMs: 5_000_000, ttlWhen: 'new' })
    expect(await gateway.call('PTTL', 'b')).toBeLessThanOrEqual(50_000)
    await submit('b', { scores, ttlMs: 5_000_000 })
    expect(await gateway.call('PTTL', 'b')).toBeGreaterThan(4_000_000)
  })

  test('a key of another type is a conflict, and gets no TTL', async () => {
    await gateway.call('SET', 'b', 'text')
    const { status } = await submit('b', { scores: [{ member: 'ann', score: 1 }], ttlMs: 1000 })
    expect(status).toBe(409)
    expect(await gateway.call('PTTL', 'b')).toBe(-1)
  })

  test('the greatest number of scores is accepted, one more is not', async () => {
    const scores = Array.from({ length: 1000 }, (_, i) => ({ member: `m${i}`, score: i }))
    expect((await submit('b', { scores })).status).toBe(200)
    expect(await gateway.call('ZCARD', 'b')).toBe(1000)
    expect((await submit('b', { scores: [...scores, { member: 'more', score: 1 }] })).status).toBe(400)
    expect(await gateway.call('ZCARD', 'b')).toBe(1000)
  })
})

describe('reading a board', () => {
  test('the top counts ranks from 1, highest score first, ties in descending order of their bytes', async () => {
    await fill('b')
    expect((await request('b/top?limit=3')).body).toEqual({
      board: 'b',
      order: 'desc',
      count: 5,
      entries: [
        { rank: 1, member: 'eve', score: 50 },
        { rank: 2, member: 'dan', score: 30 },
        { rank: 3, member: 'cid', score: 30 },
      ],
    })
  })

  test('the top has an offset and an ascending order', async () => {
    await fill('b')
    expect((await request('b/top?order=asc&offset=2&limit=2')).body).toMatchObject({
      entries: [
        { rank: 3, member: 'cid' },
        { rank: 4, member: 'dan' },
      ],
    })
    expect((await request('b/top?offset=4294967295')).body).toMatchObject({ count: 5, entries: [] })
  })

  test('a member has rank and score in both orders', async () => {
    await fill('b')
    const expected = { board: 'b', member: 'bob', score: 20, count: 5 }
    expect((await request('b/members/bob')).body).toEqual({ ...expected, order: 'desc', rank: 4 })
    expect((await request('b/members/bob?order=asc')).body).toEqual({ ...expected, order: 'asc', rank: 2 })
  })

  test('around a member are those above and below, fewer at the ends', async () => {
    await fill('b')
    expect((await request('b/members/cid/around?above=1&below=1')).body).toEqual({
      board: 'b',
      order: 'desc',
      rank: 3,
      count: 5,
      entries: [
        { rank: 2, member: 'dan', score: 30 },
        { rank: 3, member: 'cid', score: 30 },
        { rank: 4, member: 'bob', score: 20 },
      ],
    })
    expect((await request('b/members/ann/around?above=1&below=3&order=asc')).body).toMatchObject({
      rank: 1,
      entries: [
        { rank: 1, member: 'ann' },
        { rank: 2, member: 'bob' },
        { rank: 3, member: 'cid' },
        { rank: 4, member: 'dan' },
      ],
    })
  })

  test('a missing member is not found', async () => {
    await fill('b')
    expect((await request('b/members/zoe')).status).toBe(404)
    expect((await request('b/members/zoe/around')).status).toBe(404)
    expect((await request('none/members/zoe')).status).toBe(404)
  })

  test('a range by score takes bounds that include or exclude, in both orders, with offset', async () => {
    await fill('b')
    expect((await request('b/range?min=20&max=30')).body).toEqual({
      board: 'b',
      order: 'desc',
      count: 3,
      entries: [
        { member: 'dan', score: 30 },
        { member: 'cid', score: 30 },
        { member: 'bob', score: 20 },
      ],
    })
    expect((await request('b/range?min=(20&max=%2Binf&order=asc&offset=1&limit=1')).body).toMatchObject({
      count: 3,
      entries: [{ member: 'dan' }],
    })
  })

  test('a board tells its number of members and its TTL', async () => {
    await fill('b')
    expect((await request('b')).body).toEqual({ board: 'b', count: 5, ttlMs: null })
    await gateway.call('PEXPIRE', 'b', 60_000)
    const { body } = await request('b')
    expect((body as { ttlMs: number }).ttlMs).toBeGreaterThan(50_000)
    expect((await request('none')).body).toEqual({ board: 'none', count: 0, ttlMs: null })
  })

  test('infinite scores of other doors are the greatest numbers of JSON', async () => {
    await gateway.call('ZADD', 'b', 'inf', 'top', '-inf', 'last')
    const entries = [{ score: Number.MAX_VALUE }, { score: -Number.MAX_VALUE }]
    expect((await request('b/top')).body).toMatchObject({ entries })
  })

  test('names may have any characters', async () => {
    await gateway.call('ZADD', 'a/b ü', 1, 'x/y ?')
    const path = `${encodeURIComponent('a/b ü')}/members/${encodeURIComponent('x/y ?')}`
    expect((await request(path)).body).toMatchObject({ board: 'a/b ü', member: 'x/y ?', rank: 1 })
  })
})

describe('removing', () => {
  test('a member is removed once', async () => {
    await fill('b')
    expect((await request('b/members/bob', { method: 'DELETE' })).body).toEqual({ removed: true })
    expect((await request('b/members/bob', { method: 'DELETE' })).body).toEqual({ removed: false })
    expect(await gateway.call('ZCARD', 'b')).toBe(4)
  })

  test('a board is deleted; a key of another type is not', async () => {
    await fill('b')
    expect((await request('b', { method: 'DELETE' })).body).toEqual({ deleted: true })
    expect((await request('b', { method: 'DELETE' })).body).toEqual({ deleted: false })
    await gateway.call('SET', 'text', 'x')
    expect((await request('text', { method: 'DELETE' })).status).toBe(409)
    expect(await gateway.call('EXISTS', 'text')).toBe(1)
  })
})

describe('bad input', () => {
  test.each([
    ['no scores', {}],
    ['an empty list', { scores: [] }],
    ['a score that is text', { scores: [{ member: 'a', score: '1' }] }],
    ['an empty member', { scores: [{ member: '', score: 1 }] }],
    ['an unknown field', { scores: [{ member: 'a', score: 1 }], other: 1 }],
    ['an unknown field of a score', { scores: [{ member: 'a', score: 1, rank: 1 }] }],
    ['an unknown mode', { scores: [{ member: 'a', score: 1 }], mode: 'max' }],
    ['a TTL of 0', { scores: [{ member: 'a', score: 1 }], ttlMs: 0 }],
    ['a TTL that is too long', { scores: [{ member: 'a', score: 1 }], ttlMs: 1e12 }],
    ['when to set a TTL without one', { scores: [{ member: 'a', score: 1 }], ttlWhen: 'new' }],
    ['a member that is too long', { scores: [{ member: 'a'.repeat(1025), score: 1 }] }],
  ])('%s is refused', async (_what, body) => {
    expect((await submit('b', body)).status).toBe(400)
    expect(await gateway.call('EXISTS', 'b')).toBe(0)
  })

  test('a score that no double can hold is refused', async () => {
    const headers = { 'content-type': 'application/json' }
    const body = '{"scores":[{"member":"a","score":1e999}]}'
    expect((await request('b/scores', { method: 'POST', headers, body })).status).toBe(400)
  })

  test.each([
    'b/top?limit=0',
    'b/top?limit=1001',
    'b/top?limit=x',
    'b/top?offset=-1',
    'b/top?order=up',
    'b/members/ann?order=up',
    'b/members/ann/around?above=501',
    'b/members/ann/around?below=-1',
    'b/range?min=a',
    'b/range?max=[1',
    'b/range?limit=0',
    `${'b'.repeat(1025)}`,
  ])('%s is refused', async (path) => {
    expect((await request(path)).status).toBe(400)
  })

  test.each([
    'b/top',
    'b',
    'b/members/ann',
    'b/members/ann/around',
    'b/range',
  ])('%s of a key of another type is a conflict', async (path) => {
    await gateway.call('SET', 'b', 'text')
    const { status, body } = await request(path)
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'WRONGTYPE' })
  })
})

describe('permissions', () => {
  const scores = [{ member: 'ann', score: 1 }]
  const calls: readonly (readonly [string, string, Parameters<TestGateway['fetch']>[1], readonly string[]])[] = [
    ['submit', 'scores', { json: { scores } }, ['+zadd', '+zscore']],
    ['submit with TTL', 'scores', { json: { scores, ttlMs: 60_000 } }, ['+zadd', '+zscore', '+pexpire']],
    ['increment', 'scores', { json: { scores, mode: 'increment' } }, ['+zincrby', '+zscore']],
    ['count', '', {}, ['+zcard', '+pttl']],
    ['top', 'top', {}, ['+zrange', '+zcard']],
    ['range', 'range', {}, ['+zrange', '+zcount']],
    ['member', 'members/bob', {}, ['+zscore', '+zrevrank', '+zcard']],
    ['around', 'members/bob/around', {}, ['+zrevrank', '+zcard', '+zrange']],
    ['around, ascending', 'members/bob/around?order=asc', {}, ['+zrank', '+zcard', '+zrange']],
    ['remove', 'members/bob', { method: 'DELETE' }, ['+zrem']],
    ['delete', '', { method: 'DELETE' }, ['+zcard', '+unlink']],
  ]

  test.each(calls)('%s needs its commands and the key', async (_name, path, options, commands) => {
    for (const board of ['app:b', 'other']) await fill(board)
    const before = await gateway.call('ZRANGE', 'other', 0, -1, 'WITHSCORES')
    const send = async (board: string): Promise<number> =>
      (await request(path === '' ? board : `${board}/${path}`, { ...options, token })).status

    gateway.user('ann', ['reset', 'on', '~app:*', ...commands])
    const token = gateway.tokenOf('ann')
    expect(await send('other')).toBe(403)
    expect(await gateway.call('ZRANGE', 'other', 0, -1, 'WITHSCORES')).toEqual(before)
    for (const command of commands) {
      gateway.user('ann', ['reset', 'on', '~*', ...commands.filter((other) => other !== command)])
      expect(await send('other')).toBe(403)
    }
    expect(await gateway.call('ZRANGE', 'other', 0, -1, 'WITHSCORES')).toEqual(before)
    gateway.user('ann', ['reset', 'on', '~app:*', ...commands])
    expect(await send('app:b')).toBe(200)
  })

  test('a read-only token reads and does not write', async () => {
    await fill('b')
    gateway.user('ann', ['reset', 'on', '~*', '+@all'])
    const token = gateway.tokenOf('ann', 'read-only')
    expect((await request('b/top', { token })).status).toBe(200)
    expect((await request('b/members/bob/around', { token })).status).toBe(200)
    expect((await request('b/scores', { token, json: { scores } })).status).toBe(403)
    expect((await request('b', { token, method: 'DELETE' })).status).toBe(403)
    expect(await gateway.call('ZCARD', 'b')).toBe(5)
  })
})
