/** `http-rate-limit`: requests a minute for each token, or address without one. */
import { afterEach, describe, expect, test } from 'vitest'
import { addressKey, RateLimiter } from '../../src/gateway/rate-limit.ts'
import { TestGateway } from '../support/gateway.ts'

describe('RateLimiter', () => {
  test('counts down, refuses, and begins anew after a minute', () => {
    let now = 1000
    const limiter = new RateLimiter(2, () => now)
    expect(limiter.take('a')).toEqual({ max: 2, remaining: 1, resetSeconds: 60, isExceeded: false })
    now += 59_500
    expect(limiter.take('a')).toEqual({ max: 2, remaining: 0, resetSeconds: 1, isExceeded: false })
    expect(limiter.isSpent('a')).toBe(true)
    expect(limiter.take('a')).toEqual({ max: 2, remaining: 0, resetSeconds: 1, isExceeded: true })
    expect(limiter.take('b').isExceeded).toBe(false)
    now += 500
    expect(limiter.isSpent('a')).toBe(false)
    expect(limiter.take('a').remaining).toBe(1)
  })

  test('forgets the oldest when it knows too many, and those whose minute is over', () => {
    let now = 0
    const limiter = new RateLimiter(1, () => now, 3)
    for (const key of ['a', 'b', 'c', 'd', 'e']) limiter.take(key)
    expect(limiter.size).toBe(3)
    expect(limiter.isSpent('a')).toBe(false)
    expect(limiter.isSpent('e')).toBe(true)
    now = 60_000
    for (const key of ['f', 'g', 'h']) limiter.take(key)
    expect(limiter.size).toBe(3)
  })

  test.each([
    ['10.1.2.3', 'address 10.1.2.3'],
    ['::ffff:10.1.2.3', 'address 10.1.2.3'],
    ['2001:db8:1:2:3:4:5:6', 'address 2001:db8:1:2::/64'],
    ['2001:db8::6', 'address 2001:db8:0:0::/64'],
    ['::1', 'address 0:0:0:0::/64'],
    ['fe80::1%eth0', 'address fe80:0:0:0::/64'],
    ['', 'address '],
  ])('counts %s as "%s"', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })
})

describe('The gateway', () => {
  let gateway: TestGateway

  afterEach(() => gateway.close())

  async function statuses(count: number, token?: string): Promise<number[]> {
    const found: number[] = []
    for (let i = 0; i < count; i++) {
      const response = await gateway.fetch('/pipeline', { json: [['PING']], ...(token === undefined ? {} : { token }) })
      found.push(response.status)
      await response.arrayBuffer()
    }
    return found
  }

  test('tells the budget with each answer, and refuses what is beyond it', async () => {
    gateway = await TestGateway.start({ 'http-rate-limit': 2 })
    const first = await gateway.fetch('/ping')
    expect(first.headers.get('ratelimit-limit')).toBe('2')
    expect(first.headers.get('ratelimit-remaining')).toBe('1')
    expect(first.headers.get('ratelimit-reset')).toBe('60')
    expect(first.headers.get('ratelimit-policy')).toBe('"requests";q=2;w=60')
    await gateway.fetch('/ping')
    const third = await gateway.fetch('/v1/keys/x')
    expect(third.status).toBe(429)
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(50)
    expect(third.headers.get('ratelimit-remaining')).toBe('0')
    expect(await third.json()).toMatchObject({ status: 429, title: 'Too Many Requests' })
    expect(await gateway.call('PING')).toBe('PONG')
  })

  test('counts each token for itself, and not for its address', async () => {
    gateway = await TestGateway.start({ 'http-rate-limit': 2, requirepass: 'secret' })
    gateway.user('ann', ['on', '+@all', '~*'])
    expect(await statuses(3, gateway.tokenOf('ann'))).toEqual([200, 200, 429])
    expect(await statuses(3, gateway.tokenOf('ann'))).toEqual([200, 200, 429])
    expect(await statuses(3, 'secret')).toEqual([200, 200, 429])
  })

  test('after too many wrong guesses not even the right password is looked at, but tokens are', async () => {
    gateway = await TestGateway.start({ 'http-rate-limit': 3, requirepass: 'secret' })
    const denied = (): number => gateway.broker.server.stats.deniedLogins
    expect(await statuses(3, 'guess')).toEqual([401, 401, 401])
    expect(denied()).toBe(3)
    expect(await statuses(2, 'guess')).toEqual([429, 429])
    expect(await statuses(1, 'secret')).toEqual([429])
    expect(denied()).toBe(3)
    expect(await statuses(1, gateway.tokenOf('default'))).toEqual([200])
  })

  test('does not count probes', async () => {
    gateway = await TestGateway.start({ 'http-rate-limit': 1 })
    for (let i = 0; i < 5; i++) expect((await gateway.fetch('/healthz')).status).toBe(200)
  })

  test('counts the address that a trusted proxy names, and believes nobody else', async () => {
    gateway = await TestGateway.start({ 'http-rate-limit': 1, requirepass: 's', 'http-trust-proxy': '127.0.0.1' })
    const from = async (address: string): Promise<number> => {
      return (await gateway.fetch('/ping', { token: 'wrong', headers: { 'x-forwarded-for': address } })).status
    }
    expect([await from('203.0.113.1'), await from('203.0.113.1'), await from('203.0.113.2')]).toEqual([401, 429, 401])
    await gateway.close()
    gateway = await TestGateway.start({ 'http-rate-limit': 1, requirepass: 's' })
    expect([await from('203.0.113.1'), await from('203.0.113.2')]).toEqual([401, 429])
  })
})
