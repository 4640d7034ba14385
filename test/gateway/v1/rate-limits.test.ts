/**
 * Rate limits over HTTP, beside simple models: the models keep a list of all that was ever consumed, or calculate with
 * rational numbers, where the script is clever.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/gateway/engine.ts'
import { TestClock } from '../../support/broker.ts'
import { TestGateway } from '../../support/gateway.ts'

const START_MS = 1_700_000_000_000
const KEY = 'ratelimit:api:ann'

let clock: TestClock
let gateway: TestGateway

beforeAll(async () => {
  clock = new TestClock(START_MS)
  // Its refusals name the user.
  gateway = await TestGateway.start({ 'redis-compatibility': '7.2' }, {}, null, clock)
})

afterAll(() => gateway.close())

beforeEach(async () => {
  clock.nowMs = START_MS
  await call('FLUSHALL')
})

function call(...args: readonly (string | number)[]): ReturnType<Engine['call']> {
  return gateway.call(...args)
}

interface Policy {
  readonly algorithm: string
  readonly limit: number
  readonly windowMs: number
  readonly burst?: number
  readonly cost?: number
  readonly refusedStatus?: number
}

interface Verdict {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly retryAfterMs: number
}

function fetchPath(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${gateway.url}/v1/rate-limits/${path}`, init)
}

function consume(policy: unknown, subject = 'ann', token: string | null = null): Promise<Response> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== null) headers.authorization = `Bearer ${token}`
  return fetchPath(`api/${encodeURIComponent(subject)}`, { method: 'POST', headers, body: JSON.stringify(policy) })
}

async function verdictOf(policy: Policy, subject = 'ann'): Promise<Verdict> {
  const response = await consume({ refusedStatus: 200, ...policy }, subject)
  expect(response.status).toBe(200)
  return (await response.json()) as Verdict
}

function peek(policy: Policy, subject = 'ann'): Promise<Response> {
  const query = new URLSearchParams(Object.entries(policy).map(([name, value]) => [name, String(value)]))
  return fetchPath(`api/${encodeURIComponent(subject)}?${query}`)
}

const FIXED: Policy = { algorithm: 'fixed-window', limit: 3, windowMs: 10_000 }
const SLIDING: Policy = { algorithm: 'sliding-window', limit: 3, windowMs: 10_000 }
const GCRA: Policy = { algorithm: 'gcra', limit: 3, windowMs: 10_000 }

describe('the answer', () => {
  test.each([FIXED, SLIDING, GCRA])('of $algorithm tells the state in body and headers', async (policy) => {
    const response = await consume(policy)
    expect(response.status).toBe(200)
    const resetMs = policy.algorithm === 'gcra' ? 3334 : 10_000
    expect(await response.json()).toEqual({ allowed: true, limit: 3, remaining: 2, resetMs, retryAfterMs: 0 })
    const reset = String(Math.ceil(resetMs / 1000))
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'ratelimit-policy': '"api";q=3;w=10',
      ratelimit: `"api";r=2;t=${reset}`,
      'ratelimit-limit': '3',
      'ratelimit-remaining': '2',
      'ratelimit-reset': reset,
      'cache-control': 'no-store',
    })
    expect(response.headers.get('retry-after')).toBe(null)
  })

  test.each([
    [FIXED, 10_000 - 1500],
    [SLIDING, 10_000 - 1500],
    // The third of three is paid back after a third of the window; that the window is no multiple of 3 is rounded up.
    [GCRA, 3334 - 1500],
  ])('of $algorithm that is refused is 429 with Retry-After and a problem', async (policy, retryAfterMs) => {
    for (let i = 0; i < 3; i++) expect((await consume(policy)).status).toBe(200)
    clock.pass(1500)
    const response = await consume(policy)
    expect(response.status).toBe(429)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(response.headers.get('retry-after')).toBe(String(Math.ceil(retryAfterMs / 1000)))
    expect(response.headers.get('ratelimit-remaining')).toBe('0')
    expect(response.headers.get('ratelimit')).toMatch(/^"api";r=0;t=\d+$/)
    expect(await response.json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Too Many Requests',
      status: 429,
      'violated-policies': ['api'],
      allowed: false,
      remaining: 0,
      retryAfterMs,
    })
    clock.pass(retryAfterMs - 1)
    expect((await consume(policy)).status).toBe(429)
    clock.pass(1)
    expect((await consume(policy)).status).toBe(200)
  })

  test('of a refusal is 200 where that is asked for', async () => {
    for (let i = 0; i < 3; i++) await consume(FIXED)
    const response = await consume({ ...FIXED, refusedStatus: 200 })
    expect(response.status).toBe(200)
    expect(response.headers.get('retry-after')).toBe('10')
    expect(await response.json()).toEqual({
      allowed: false,
      limit: 3,
      remaining: 0,
      resetMs: 10_000,
      retryAfterMs: 10_000,
    })
  })
})

describe.each([FIXED, SLIDING, GCRA])('$algorithm', (policy) => {
  test('peeking tells whether a cost would be allowed, and consumes and creates nothing', async () => {
    const fresh = await peek(policy)
    expect(fresh.status).toBe(200)
    expect(await fresh.json()).toEqual({ allowed: true, limit: 3, remaining: 3, resetMs: 0, retryAfterMs: 0 })
    expect(fresh.headers.get('ratelimit-remaining')).toBe('3')
    expect(await call('DBSIZE')).toBe(0)
    await consume({ ...policy, cost: 2 })
    const look = policy.algorithm === 'sliding-window' ? ['ZRANGE', KEY, 0, -1, 'WITHSCORES'] : ['GET', KEY]
    const state = await call(...look)
    expect(await (await peek(policy)).json()).toMatchObject({ allowed: true, remaining: 1 })
    expect(await (await peek({ ...policy, cost: 2 })).json()).toMatchObject({ allowed: false, remaining: 1 })
    expect(await call(...look)).toEqual(state)
  })

  test('a refused cost is not consumed', async () => {
    await consume({ ...policy, cost: 2 })
    expect(await verdictOf({ ...policy, cost: 2 })).toMatchObject({ allowed: false, remaining: 1 })
    expect(await verdictOf(policy)).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('subjects are counted apart, and a reset forgets one of them', async () => {
    for (const subject of ['ann', 'a/b ü:1']) await consume({ ...policy, cost: 3 }, subject)
    const reset = await fetchPath(`api/${encodeURIComponent('a/b ü:1')}`, { method: 'DELETE' })
    expect(await reset.json()).toEqual({ reset: true })
    expect(await verdictOf(policy, 'a/b ü:1')).toMatchObject({ allowed: true, remaining: 2 })
    expect(await verdictOf(policy, 'ann')).toMatchObject({ allowed: false })
    expect(await (await fetchPath('api/nobody', { method: 'DELETE' })).json()).toEqual({ reset: false })
  })

  test('the state expires when all of the quota is there again', async () => {
    await consume({ ...policy, cost: 3 })
    const { resetMs } = (await (await peek(policy)).json()) as Verdict
    expect(await call('PTTL', KEY)).toBe(resetMs)
    clock.pass(resetMs + 1)
    expect(await call('EXISTS', KEY)).toBe(0)
  })

  test('exactly as many parallel requests pass as are allowed', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 120 }, async () => (await consume({ ...policy, limit: 50 })).status),
    )
    expect(statuses.filter((status) => status === 200).length).toBe(50)
    expect(statuses.filter((status) => status === 429).length).toBe(70)
  })

  test('a clock that was set back gives nothing away and takes nothing', async () => {
    await consume({ ...policy, cost: 2 })
    clock.pass(-60_000)
    expect(await verdictOf(policy)).toMatchObject({ allowed: true, remaining: 0 })
    expect(await verdictOf(policy)).toMatchObject({ allowed: false })
    clock.nowMs = START_MS + 10_000
    expect(await verdictOf(policy)).toMatchObject({ allowed: true })
  })

  test('the state of another algorithm is replaced', async () => {
    for (const other of [FIXED, SLIDING, GCRA]) {
      await call('FLUSHALL')
      await consume({ ...other, cost: 3 })
      const isSame = other.algorithm === policy.algorithm
      expect(await verdictOf(policy)).toMatchObject({ allowed: !isSame, remaining: isSame ? 0 : 2 })
      expect(await verdictOf(policy)).toMatchObject({ remaining: isSame ? 0 : 1 })
    }
  })

  test('a key that holds something else is a conflict and is left alone', async () => {
    await call('SET', KEY, 'mine')
    await call('ZADD', 'ratelimit:api:bob', 1, 'mine')
    await call('RPUSH', 'ratelimit:api:cid', 'mine')
    for (const subject of ['ann', 'bob', 'cid']) {
      const response = await consume(policy, subject)
      expect(response.status).toBe(409)
      expect(await response.json()).toMatchObject({
        detail: 'WRONGTYPE The key of the rate limit holds something else',
      })
    }
    expect(await call('GET', KEY)).toBe('mine')
    expect(await call('ZCARD', 'ratelimit:api:bob')).toBe(1)
  })

  test('the greatest limit and the longest window are calculated exactly', async () => {
    const limit = policy.algorithm === 'sliding-window' ? 10_000 : 1_000_000
    const great = { ...policy, limit, windowMs: 31 * 86_400_000 }
    expect(await verdictOf({ ...great, cost: limit - 1 })).toMatchObject({ allowed: true, remaining: 1 })
    expect(await verdictOf(great)).toMatchObject({ allowed: true, remaining: 0, resetMs: great.windowMs })
    expect(await verdictOf(great)).toMatchObject({ allowed: false, remaining: 0 })
  })
})

// ---- Models ----

interface Step {
  readonly passMs: number
  readonly cost: number
}

interface Model {
  consume(now: number, cost: number): Omit<Verdict, 'limit'>
}

class FixedModel implements Model {
  private start = -Infinity
  private used = 0
  private readonly limit: number
  private readonly windowMs: number

  constructor(limit: number, windowMs: number) {
    this.limit = limit
    this.windowMs = windowMs
  }

  consume(now: number, cost: number): Omit<Verdict, 'limit'> {
    if (now >= this.start + this.windowMs) {
      this.start = now
      this.used = 0
    }
    const allowed = this.used + cost <= this.limit
    if (allowed) this.used += cost
    const rest = this.start + this.windowMs - now
    return {
      allowed,
      remaining: this.limit - this.used,
      resetMs: this.used === 0 ? 0 : rest,
      retryAfterMs: allowed ? 0 : rest,
    }
  }
}

class SlidingModel implements Model {
  private readonly times: number[] = []
  private readonly limit: number
  private readonly windowMs: number

  constructor(limit: number, windowMs: number) {
    this.limit = limit
    this.windowMs = windowMs
  }

  consume(now: number, cost: number): Omit<Verdict, 'limit'> {
    const allowed = this.usedAt(now) + cost <= this.limit
    if (allowed) for (let i = 0; i < cost; i++) this.times.push(now)
    let retryAfterMs = 0
    if (!allowed) while (this.usedAt(now + retryAfterMs) + cost > this.limit) retryAfterMs++
    let resetMs = 0
    while (this.usedAt(now + resetMs) > 0) resetMs++
    return { allowed, remaining: this.limit - this.usedAt(now), resetMs, retryAfterMs }
  }

  private usedAt(now: number): number {
    return this.times.filter((time) => time > now - this.windowMs).length
  }
}

/** The virtual scheduling form of GCRA, in units of 1/limit ms, with integers of any size. */
class GcraModel implements Model {
  private arrival = 0n
  private readonly limit: bigint
  private readonly windowMs: bigint
  private readonly burst: bigint

  constructor(limit: number, windowMs: number, burst: number) {
    this.limit = BigInt(limit)
    this.windowMs = BigInt(windowMs)
    this.burst = BigInt(burst)
  }

  consume(nowMs: number, cost: number): Omit<Verdict, 'limit'> {
    const now = BigInt(nowMs) * this.limit
    const tolerance = this.burst * this.windowMs
    if (this.arrival < now) this.arrival = now
    const next = this.arrival + BigInt(cost) * this.windowMs
    const allowed = next - now <= tolerance
    if (allowed) this.arrival = next
    return {
      allowed,
      remaining: Number((tolerance - (this.arrival - now)) / this.windowMs),
      resetMs: this.ceilMs(this.arrival - now),
      retryAfterMs: allowed ? 0 : this.ceilMs(next - now - tolerance),
    }
  }

  private ceilMs(units: bigint): number {
    return Number((units + this.limit - 1n) / this.limit)
  }
}

describe('beside a model', () => {
  const policies = fc.record({
    limit: fc.integer({ min: 1, max: 12 }),
    windowMs: fc.integer({ min: 1, max: 60 }),
    burst: fc.integer({ min: 1, max: 15 }),
  })
  const steps = fc.array(fc.record({ passMs: fc.nat({ max: 25 }), cost: fc.integer({ min: 1, max: 5 }) }), {
    minLength: 5,
    maxLength: 40,
  })

  async function follows(policy: Policy, model: Model, given: readonly Step[]): Promise<void> {
    await call('FLUSHALL')
    const most = policy.burst ?? policy.limit
    for (const { passMs, cost } of given) {
      clock.pass(passMs)
      const real = Math.min(cost, most)
      expect(await verdictOf({ ...policy, cost: real })).toEqual({
        limit: most,
        ...model.consume(clock.nowMs, real),
      })
    }
  }

  test('a fixed window allows, refuses and tells times alike', async () => {
    await fc.assert(
      fc.asyncProperty(policies, steps, async ({ limit, windowMs }, given) =>
        follows({ algorithm: 'fixed-window', limit, windowMs }, new FixedModel(limit, windowMs), given),
      ),
      { numRuns: 25 },
    )
  })

  test('a sliding window allows, refuses and tells times alike', async () => {
    await fc.assert(
      fc.asyncProperty(policies, steps, async ({ limit, windowMs }, given) =>
        follows({ algorithm: 'sliding-window', limit, windowMs }, new SlidingModel(limit, windowMs), given),
      ),
      { numRuns: 25 },
    )
  })

  test('GCRA allows, refuses and tells times alike', async () => {
    await fc.assert(
      fc.asyncProperty(policies, steps, async ({ limit, windowMs, burst }, given) =>
        follows({ algorithm: 'gcra', limit, windowMs, burst }, new GcraModel(limit, windowMs, burst), given),
      ),
      { numRuns: 25 },
    )
  })
})

test('a policy that changes takes over what was consumed', async () => {
  await consume({ ...GCRA, limit: 10, windowMs: 10_000, cost: 5 })
  expect(await verdictOf({ ...GCRA, limit: 10, windowMs: 20_000 })).toMatchObject({ remaining: 4 })
  await consume({ ...SLIDING, limit: 10, windowMs: 1000, cost: 5 }, 'bob')
  clock.pass(900)
  expect(await verdictOf({ ...SLIDING, limit: 10, windowMs: 100_000 }, 'bob')).toMatchObject({ remaining: 4 })
  clock.pass(200)
  // The entry that left the short window was taken away, so the long one does not see it any more.
  await verdictOf({ ...SLIDING, limit: 10, windowMs: 1000 }, 'bob')
  expect(await verdictOf({ ...SLIDING, limit: 10, windowMs: 100_000 }, 'bob')).toMatchObject({ remaining: 7 })
})

test('a sliding window keeps one entry for each ms, and drops what left the window', async () => {
  const policy = { ...SLIDING, limit: 100, windowMs: 1000 }
  for (let i = 0; i < 30; i++) {
    await consume(policy)
    await consume(policy)
    clock.pass(100)
  }
  expect(await call('ZCARD', KEY)).toBe(10)
  expect(await verdictOf(policy)).toMatchObject({ remaining: 100 - 18 - 1 })
})

describe('bad input', () => {
  test.each([
    ['nothing', {}],
    ['an unknown algorithm', { ...FIXED, algorithm: 'leaky' }],
    ['a limit of 0', { ...FIXED, limit: 0 }],
    ['a limit that is too high', { ...FIXED, limit: 1_000_001 }],
    ['a limit that is too high for a log', { ...SLIDING, limit: 10_001 }],
    ['a limit that is text', { ...FIXED, limit: '3' }],
    ['a window of 0', { ...FIXED, windowMs: 0 }],
    ['a window that is too long', { ...FIXED, windowMs: 31 * 86_400_000 + 1 }],
    ['a window that is no integer', { ...FIXED, windowMs: 1.5 }],
    ['a burst of another algorithm', { ...FIXED, burst: 2 }],
    ['a burst of 0', { ...GCRA, burst: 0 }],
    ['a cost of 0', { ...FIXED, cost: 0 }],
    ['a cost that can never pass', { ...FIXED, cost: 4 }],
    ['a cost above the burst', { ...GCRA, burst: 2, cost: 3 }],
    ['a status that is neither', { ...FIXED, refusedStatus: 500 }],
    ['an unknown field', { ...FIXED, other: 1 }],
  ])('%s is refused and consumes nothing', async (_what, body) => {
    expect((await consume(body)).status).toBe(400)
    expect(await call('DBSIZE')).toBe(0)
  })

  test.each([
    'api/ann',
    'api/ann?algorithm=gcra&limit=1',
    'api/ann?algorithm=gcra&limit=x&windowMs=1',
    'api/ann?algorithm=gcra&limit=1&windowMs=1&cost=2',
    'a%20b/ann?algorithm=gcra&limit=1&windowMs=1',
    'a:b/ann?algorithm=gcra&limit=1&windowMs=1',
    `api/${'x'.repeat(1025)}?algorithm=gcra&limit=1&windowMs=1`,
  ])('looking at %s is refused', async (path) => {
    expect((await fetchPath(path)).status).toBe(400)
  })
})

describe('permissions', () => {
  const commands: Readonly<Record<string, readonly string[]>> = {
    'fixed-window': ['+get', '+set'],
    'sliding-window': ['+zrange', '+zadd'],
    gcra: ['+get', '+set'],
  }

  function tokenOf(rules: readonly string[]): string {
    gateway.user('eve', ['reset', 'on', ...rules])
    return gateway.tokenOf('eve')
  }

  test('the refusal names the user as it is written', async () => {
    const { name } = gateway.user('jürgen', ['reset', 'on', '~*'])
    const response = await consume(FIXED, 'ann', gateway.tokenOf(name))
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining('User jürgen has no permissions') })
  })

  test.each([FIXED, SLIDING, GCRA])('$algorithm needs its commands and the key', async (policy) => {
    const needed = commands[policy.algorithm]!
    const query = `algorithm=${policy.algorithm}&limit=3&windowMs=10000`
    const peekAs = async (token: string): Promise<number> =>
      (await fetchPath(`api/ann?${query}`, { headers: { authorization: `Bearer ${token}` } })).status

    for (const missing of needed) {
      const rules = needed.filter((other) => other !== missing)
      expect((await consume(policy, 'ann', tokenOf(['~*', ...rules]))).status).toBe(403)
    }
    expect((await consume(policy, 'ann', tokenOf(['~ratelimit:other:*', ...needed]))).status).toBe(403)
    expect((await consume(policy, 'ann', tokenOf(['%R~ratelimit:*', ...needed]))).status).toBe(403)
    expect(await call('DBSIZE')).toBe(0)
    expect((await consume(policy, 'ann', tokenOf(['~ratelimit:api:*', ...needed]))).status).toBe(200)

    expect(await peekAs(tokenOf(['~*', needed[1]!]))).toBe(403)
    expect(await peekAs(tokenOf(['%W~*', needed[0]!]))).toBe(403)
    expect(await peekAs(tokenOf(['%R~ratelimit:api:ann', needed[0]!]))).toBe(200)
  })

  test('a reset needs DEL and the key', async () => {
    await consume(FIXED)
    const reset = async (rules: readonly string[]): Promise<number> => {
      const headers = { authorization: `Bearer ${tokenOf(rules)}` }
      return (await fetchPath('api/ann', { method: 'DELETE', headers })).status
    }
    expect(await reset(['~*', '+set'])).toBe(403)
    expect(await reset(['~other', '+del'])).toBe(403)
    expect(await call('DBSIZE')).toBe(1)
    expect(await reset(['~ratelimit:*', '+del'])).toBe(200)
    expect(await call('DBSIZE')).toBe(0)
  })
})
