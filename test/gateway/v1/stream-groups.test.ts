/** Consumer groups over HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { GroupWaits } from '../../../src/gateway/v1/group-read.ts'
import { TestGateway } from '../../support/gateway.ts'
import type { RequestOptions } from '../../support/gateway-under-test.ts'

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

interface Entry {
  readonly id: string
  readonly fields: unknown
}

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

beforeEach(() => gateway.call('FLUSHALL'))

afterAll(() => gateway.close())

/** Requests a path under the groups of the stream `orders`. */
async function ask(path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await gateway.fetch(`/v1/streams/orders/groups${path}`, options)
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

async function read(consumer: string, options: object = {}): Promise<Entry[]> {
  const answer = await ask('/g/read', { json: { consumer, ...options } })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.entries as Entry[]
}

const ids = (entries: readonly Entry[]): string[] => entries.map(({ id }) => id)

/** Entries 1-0 up to `count`-0, and a group `g` that has read none of them. */
async function prepare(count: number): Promise<void> {
  await gateway.call('XGROUP', 'CREATE', 'orders', 'g', '0', 'MKSTREAM')
  for (let n = 1; n <= count; n++) await gateway.call('XADD', 'orders', `${n}-0`, 'n', n)
}

async function pending(query = ''): Promise<unknown[]> {
  return (await ask(`/g/pending/entries${query}`)).body.entries as unknown[]
}

function untilBlocked(count: number): Promise<void> {
  return vi.waitFor(
    async () => expect(String(await gateway.call('INFO', 'clients'))).toContain(`blocked_clients:${count}\r`),
    { timeout: 5000, interval: 2 },
  )
}

describe('A consumer group over HTTP', () => {
  test('delivers each entry to one of two consumers; what a lost one had is claimed; each is acknowledged once', async () => {
    await ask('', { json: { name: 'g', start: '0', createStream: true } })
    const entries = Array.from({ length: 20 }, (_, i) => ({ id: `${i + 1}-0`, fields: { n: String(i + 1) } }))
    await gateway.fetch('/v1/streams/orders/entries', { json: { entries } })
    const acknowledged: string[] = []
    const acknowledge = async (found: readonly Entry[]): Promise<void> => {
      if (found.length === 0) return
      const answer = await ask('/g/ack', { json: { ids: ids(found) } })
      expect(answer.body).toEqual({ acknowledged: found.length })
      acknowledged.push(...ids(found))
    }
    const lost = await read('lost', { count: 7 })
    const kept = await read('kept', { count: 100 })
    expect(ids(lost).concat(ids(kept))).toEqual(entries.map(({ id }) => id))
    await acknowledge(kept)
    expect(await read('kept')).toEqual([])
    const claimed = await ask('/g/autoclaim', { json: { consumer: 'kept', minIdleMs: 0, count: 100 } })
    expect(claimed.body).toEqual({ entries: lost, deletedIds: [], cursor: null })
    await acknowledge(claimed.body.entries as Entry[])
    // Too late: it is not the lost one's any more.
    expect((await ask('/g/ack', { json: { ids: ids(lost) } })).body).toEqual({ acknowledged: 0 })
    expect(new Set(acknowledged).size).toBe(20)
    expect(acknowledged).toHaveLength(20)
    expect((await ask('/g')).body).toMatchObject({ pending: 0, lag: 0, entriesRead: 20, lastDeliveredId: '20-0' })
  })

  test('is created at an ID, once, with the stream when asked to', async () => {
    expect((await ask('', { json: { name: 'g' } })).status).toBe(404)
    expect((await ask('', { json: { name: 'g', createStream: true } })).status).toBe(201)
    const again = await ask('', { json: { name: 'g' } })
    expect(again.status).toBe(409)
    expect(again.body).toMatchObject({ code: 'BUSYGROUP' })
    await gateway.call('XADD', 'orders', '1-0', 'a', '1')
    await gateway.call('XADD', 'orders', '2-0', 'a', '1')
    await ask('', { json: { name: 'later', start: '1-0', entriesRead: 1 } })
    expect((await ask('')).body).toEqual({
      groups: [
        { name: 'g', consumers: 0, pending: 0, lastDeliveredId: '0-0', entriesRead: null, lag: 2 },
        { name: 'later', consumers: 0, pending: 0, lastDeliveredId: '1-0', entriesRead: 1, lag: 1 },
      ],
    })
    expect((await ask('/later')).body).toMatchObject({ name: 'later', lag: 1 })
    expect((await ask('/nobody')).status).toBe(404)
  })

  test('is deleted, and cannot be listed without its stream', async () => {
    await prepare(1)
    expect((await ask('/g', { method: 'DELETE' })).body).toEqual({ deleted: true })
    expect((await ask('/g', { method: 'DELETE' })).body).toEqual({ deleted: false })
    await gateway.call('DEL', 'orders')
    expect((await ask('')).status).toBe(404)
    expect((await ask('/g', { method: 'DELETE' })).status).toBe(404)
  })

  test('delivers again from an ID that it is set to', async () => {
    await prepare(3)
    expect(ids(await read('ann', { noAck: true }))).toEqual(['1-0', '2-0', '3-0'])
    const answer = await ask('/g/position', { method: 'PUT', json: { id: '1-0', entriesRead: 1 } })
    expect(answer.body).toEqual({ id: '1-0' })
    expect((await ask('/g')).body).toMatchObject({ lag: 2, lastDeliveredId: '1-0' })
    expect(ids(await read('ann'))).toEqual(['2-0', '3-0'])
    expect((await ask('/nobody/position', { method: 'PUT', json: { id: '0' } })).status).toBe(404)
  })

  test('has consumers, which are listed, created and deleted', async () => {
    await prepare(3)
    expect((await ask('/g/consumers', { json: { name: 'bob' } })).body).toEqual({ created: true })
    expect((await ask('/g/consumers', { json: { name: 'bob' } })).body).toEqual({ created: false })
    await read('ann', { count: 2 })
    expect((await ask('/g/consumers')).body).toEqual({
      consumers: [
        { name: 'ann', pending: 2, idleMs: expect.any(Number), inactiveMs: expect.any(Number) },
        { name: 'bob', pending: 0, idleMs: expect.any(Number), inactiveMs: null },
      ],
    })
    expect((await ask('/g/consumers/ann', { method: 'DELETE' })).body).toEqual({ pending: 2 })
    expect((await ask('/nobody/consumers')).status).toBe(404)
    expect((await ask('/nobody/consumers', { json: { name: 'a' } })).status).toBe(404)
  })
})

describe('POST …/read', () => {
  test('answers 404 without group or stream', async () => {
    expect((await ask('/g/read', { json: { consumer: 'ann' } })).status).toBe(404)
    await gateway.call('XADD', 'orders', '1-0', 'a', '1')
    expect((await ask('/g/read', { json: { consumer: 'ann', claimIdleMs: 0 } })).status).toBe(404)
  })

  test('waits for an entry, which is pending for the consumer then', async () => {
    await prepare(0)
    const answer = read('ann', { blockMs: 60_000 })
    await untilBlocked(1)
    await gateway.call('XADD', 'orders', '1-0', 'a', '1')
    expect(await answer).toEqual([{ id: '1-0', fields: { a: '1' } }])
    expect(await pending()).toMatchObject([{ id: '1-0', consumer: 'ann', deliveries: 1 }])
    expect(await read('ann', { blockMs: 10 })).toEqual([])
  })

  test('leaves nothing pending with noAck', async () => {
    await prepare(2)
    expect(await read('ann', { noAck: true })).toHaveLength(2)
    expect(await pending()).toEqual([])
    expect((await ask('/g/read', { json: { consumer: 'ann', noAck: true, claimIdleMs: 0 } })).status).toBe(400)
  })

  test('reads what is pending for the consumer already', async () => {
    await prepare(4)
    await read('ann', { count: 3 })
    await gateway.call('XDEL', 'orders', '2-0')
    expect(await read('ann', { pendingAfter: '0' })).toEqual([
      { id: '1-0', fields: { n: '1' } },
      { id: '2-0', fields: null },
      { id: '3-0', fields: { n: '3' } },
    ])
    expect(ids(await read('ann', { pendingAfter: '1-0', count: 1 }))).toEqual(['2-0'])
    expect(await read('bob', { pendingAfter: '0' })).toEqual([])
    for (const other of [{ blockMs: 1 }, { noAck: true }, { claimIdleMs: 1 }]) {
      expect((await ask('/g/read', { json: { consumer: 'ann', pendingAfter: '0', ...other } })).status).toBe(400)
    }
  })

  test('takes over idle entries first, then new ones, up to the count', async () => {
    await prepare(5)
    await read('ann', { count: 3 })
    expect(ids(await read('bob', { claimIdleMs: 3_600_000, count: 1 }))).toEqual(['4-0'])
    expect(ids(await read('bob', { claimIdleMs: 0, count: 2 }))).toEqual(['1-0', '2-0'])
    expect(ids(await read('bob', { claimIdleMs: 0, count: 10 }))).toEqual(['1-0', '2-0', '3-0', '4-0', '5-0'])
  })

  test('finds an idle entry behind many that are not', async () => {
    await prepare(300)
    await read('ann', { count: 300 })
    await gateway.call('XCLAIM', 'orders', 'g', 'ann', '0', '299-0', 'IDLE', '5000', 'JUSTID')
    expect(ids(await read('bob', { claimIdleMs: 4000, count: 1 }))).toEqual(['299-0'])
  })

  test('looks for idle entries again while it waits', async () => {
    await prepare(1)
    await read('ann')
    const answer = read('bob', { claimIdleMs: 1500, blockMs: 20_000 })
    await untilBlocked(1)
    // Nobody is told of this.
    await gateway.call('XCLAIM', 'orders', 'g', 'ann', '0', '1-0', 'IDLE', '60000', 'JUSTID')
    expect(ids(await answer)).toEqual(['1-0'])
    expect(await pending()).toMatchObject([{ consumer: 'bob', deliveries: 2 }])
  })

  test('leaves nothing blocked when the client hangs up, and an entry comes to whoever reads next', async () => {
    await prepare(0)
    for (const options of [{}, { claimIdleMs: 1000 }]) {
      const controller = new AbortController()
      const answer = ask('/g/read', {
        json: { consumer: 'gone', blockMs: 60_000, ...options },
        signal: controller.signal,
      })
      await untilBlocked(1)
      controller.abort()
      await expect(answer).rejects.toThrow('aborted')
      await untilBlocked(0)
    }
    await gateway.call('XADD', 'orders', '1-0', 'a', '1')
    expect(ids(await read('ann'))).toEqual(['1-0'])
  })

  test('keeps an entry pending when its answer gets lost', async () => {
    await prepare(0)
    const controller = new AbortController()
    const answer = ask('/g/read', { json: { consumer: 'gone', blockMs: 60_000 }, signal: controller.signal })
    await untilBlocked(1)
    // One after the other in one turn: the entry is delivered, then the client is gone.
    const added = gateway.call('XADD', 'orders', '1-0', 'a', '1')
    controller.abort()
    await expect(answer).rejects.toThrow('aborted')
    await added
    await untilBlocked(0)
    expect(await pending()).toMatchObject([{ id: '1-0', consumer: 'gone' }])
    expect(ids(await read('ann', { claimIdleMs: 0 }))).toEqual(['1-0'])
  })

  test('ends when the gateway drains', async () => {
    const draining = await TestGateway.start()
    await draining.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    const json = { consumer: 'a', blockMs: 60_000, claimIdleMs: 0 }
    const answer = draining.fetch('/v1/streams/s/groups/g/read', { json })
    await vi.waitFor(async () => expect(String(await draining.call('INFO', 'clients'))).toContain('blocked_clients:1'))
    await draining.close()
    expect(await (await answer).json()).toEqual({ entries: [] })
  })

  test('ends with 404 when the group is deleted while it waits', async () => {
    await prepare(0)
    const answer = ask('/g/read', { json: { consumer: 'ann', blockMs: 60_000 } })
    await untilBlocked(1)
    await ask('/g', { method: 'DELETE' })
    expect((await answer).status).toBe(404)
  })
})

describe('Giving back (nack)', () => {
  beforeEach(() => prepare(4))

  const nack = (consumer: string, list: readonly string[], more: object = {}): Promise<Answer> =>
    ask('/g/nack', { json: { consumer, ids: list, ...more } })

  test('makes an entry come to the next one that claims, whatever idle time it asks for', async () => {
    await read('ann', { count: 3 })
    expect((await nack('ann', ['2-0', '9-0', '4-0'])).body).toEqual({ ids: ['2-0'] })
    expect(await pending()).toMatchObject([
      { id: '1-0', idleMs: expect.any(Number) },
      { id: '2-0', consumer: 'ann', idleMs: null, deliveries: 1 },
      { id: '3-0', idleMs: expect.any(Number) },
    ])
    expect(ids(await read('bob', { claimIdleMs: 31_536_000_000, count: 1 }))).toEqual(['2-0'])
    expect(await pending('?consumer=bob')).toMatchObject([{ id: '2-0', deliveries: 2, idleMs: expect.any(Number) }])
  })

  test('wakes a read that waits and claims, at once', async () => {
    await read('ann')
    const answer = read('bob', { claimIdleMs: 3_600_000, blockMs: 60_000 })
    await untilBlocked(1)
    const startMs = performance.now()
    await nack('ann', ['3-0'])
    expect(ids(await answer)).toEqual(['3-0'])
    // Without being woken it would look again after five seconds.
    expect(performance.now() - startMs).toBeLessThan(3000)
    await untilBlocked(0)
  })

  test('is for entries of that consumer only', async () => {
    await read('ann', { count: 1 })
    await read('bob', { count: 1 })
    expect((await nack('bob', ['1-0'])).body).toEqual({ ids: [] })
    expect(await pending()).toMatchObject([{ id: '1-0', consumer: 'ann', idleMs: expect.any(Number) }, { id: '2-0' }])
  })

  test('takes the delivery out of the count when it is silent', async () => {
    await read('ann', { count: 1 })
    expect((await nack('ann', ['1-0'], { mode: 'silent' })).body).toEqual({ ids: ['1-0'] })
    expect(await pending()).toMatchObject([{ deliveries: 0 }])
    await nack('ann', ['1-0'], { mode: 'silent' })
    expect(await pending()).toMatchObject([{ deliveries: 0 }])
  })

  test('drops an entry that is not in the stream any more', async () => {
    await read('ann', { count: 1 })
    await gateway.call('XDEL', 'orders', '1-0')
    expect((await nack('ann', ['1-0'])).body).toEqual({ ids: [] })
    expect(await pending()).toEqual([])
  })

  test('answers 404 without the group, 409 for another kind of key', async () => {
    expect((await ask('/nobody/nack', { json: { consumer: 'a', ids: ['1-0'] } })).status).toBe(404)
    await gateway.call('SET', 'orders', 'x')
    expect((await nack('ann', ['1-0'])).status).toBe(409)
  })

  test('forgets about reads that have ended', () => {
    const waits = new GroupWaits()
    const woken: string[] = []
    const leaveA = waits.add('s', 'g', () => woken.push('a'))
    waits.add('s', 'g', () => woken.push('b'))
    waits.add('s', 'other', () => woken.push('other'))
    waits.wake('s', 'g')
    leaveA()
    waits.wake('s', 'g')
    expect(woken).toEqual(['a', 'b', 'b'])
  })
})

describe('Claiming', () => {
  beforeEach(() => prepare(3))

  test('takes over certain entries that are idle for long enough', async () => {
    await read('ann')
    const none = await ask('/g/claim', { json: { consumer: 'bob', ids: ['1-0'], minIdleMs: 60_000 } })
    expect(none.body).toEqual({ entries: [] })
    const json = { consumer: 'bob', ids: ['2-0', '9-0'], deliveries: 7, fieldsAs: 'pairs' }
    expect((await ask('/g/claim', { json })).body).toEqual({ entries: [{ id: '2-0', fields: [['n', '2']] }] })
    expect(await pending('?consumer=bob')).toMatchObject([{ id: '2-0', deliveries: 7 }])
  })

  test('goes through idle entries page by page, and reports those that were deleted', async () => {
    await read('ann')
    await gateway.call('XDEL', 'orders', '1-0')
    const first = await ask('/g/autoclaim', { json: { consumer: 'bob', minIdleMs: 0, count: 2 } })
    expect(first.body).toEqual({ entries: [{ id: '2-0', fields: { n: '2' } }], deletedIds: ['1-0'], cursor: '3-0' })
    const json = { consumer: 'bob', minIdleMs: 0, count: 2, cursor: first.body.cursor }
    expect((await ask('/g/autoclaim', { json })).body).toMatchObject({ entries: [{ id: '3-0' }], cursor: null })
  })
})

describe('Pending entries', () => {
  test('are summed up and listed, by consumer, idle time and range, page by page', async () => {
    await prepare(4)
    expect((await ask('/g/pending')).body).toEqual({ count: 0, lowestId: null, highestId: null, consumers: [] })
    await read('ann', { count: 3 })
    await read('bob', { count: 1 })
    expect((await ask('/g/pending')).body).toEqual({
      count: 4,
      lowestId: '1-0',
      highestId: '4-0',
      consumers: [
        { name: 'ann', count: 3 },
        { name: 'bob', count: 1 },
      ],
    })
    expect(await pending('?consumer=bob')).toMatchObject([{ id: '4-0' }])
    expect(await pending('?minIdleMs=60000')).toEqual([])
    expect(await pending('?start=(1-0&end=3')).toMatchObject([{ id: '2-0' }, { id: '3-0' }])
    const page = await ask('/g/pending/entries?count=3')
    expect(page.body).toMatchObject({ cursor: '3-0', entries: [{ id: '1-0' }, { id: '2-0' }, { id: '3-0' }] })
    expect((await ask('/g/pending/entries?count=3&cursor=3-0')).body).toMatchObject({
      cursor: null,
      entries: [{ id: '4-0' }],
    })
    expect((await ask('/nobody/pending')).status).toBe(404)
    expect((await ask('/nobody/pending/entries')).status).toBe(404)
  })

  test('may have counts beyond 2^53, which are rounded', async () => {
    await prepare(1)
    await read('ann')
    await gateway.call('XCLAIM', 'orders', 'g', 'ann', '0', '1-0', 'RETRYCOUNT', '9223372036854775807', 'JUSTID')
    const [entry] = (await pending()) as { deliveries: number }[]
    expect(entry?.deliveries).toBeGreaterThan(2 ** 52)
    for (const mode of ['fail', 'silent']) {
      const answer = await ask('/g/nack', { json: { consumer: 'ann', ids: ['1-0'], mode } })
      expect(answer.body).toEqual({ ids: ['1-0'] })
    }
  })
})

describe('Bad input', () => {
  test('is refused with 400', async () => {
    await prepare(1)
    const cases: readonly (readonly [string, unknown])[] = [
      ['', {}],
      ['', { name: '' }],
      ['', { name: 'h', start: 'x' }],
      ['', { name: 'h', nosuch: 1 }],
      ['/g/read', {}],
      ['/g/read', { consumer: 'a', count: 0 }],
      ['/g/read', { consumer: 'a', count: 1001 }],
      ['/g/read', { consumer: 'a', blockMs: 60_001 }],
      ['/g/read', { consumer: 'a', blockMs: '5' }],
      ['/g/ack', { ids: [] }],
      ['/g/ack', { ids: ['x'] }],
      ['/g/ack', { ids: ['99999999999999999999-0'] }],
      ['/g/ack', { ids: Array.from({ length: 1001 }, () => '1-0') }],
      ['/g/nack', { consumer: 'a', ids: ['1-0'], mode: 'loud' }],
      ['/g/nack', { consumer: 'a', ids: ['99999999999999999999-0'] }],
      ['/g/claim', { consumer: 'a', ids: ['1-0'], minIdleMs: -1 }],
      ['/g/autoclaim', { consumer: 'a' }],
      ['/g/consumers', { name: 'x'.repeat(1025) }],
    ]
    for (const [path, json] of cases) {
      const answer = await ask(path, { json })
      expect(answer.status, `${path} ${JSON.stringify(json).slice(0, 80)}`).toBe(400)
    }
  })
})
