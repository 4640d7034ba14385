/** WATCH and UNWATCH, MULTI, EXEC and DISCARD on a whole server, with two connections. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'

const OK = { status: 'OK' }
const QUEUED = { status: 'QUEUED' }

let clock: TestClock
let broker: TestBroker
let client: RespClient
let other: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  client = await broker.connect()
  other = await broker.connect()
})

afterEach(() => broker.stop())

/** The reply of EXEC of a transaction that sets `result`. */
async function transact(): Promise<Reply> {
  return (await client.pipeline([['MULTI'], ['SET', 'result', '1'], ['EXEC']]))[2]!
}

describe('WATCH', () => {
  test('lets EXEC run when the key has not changed', async () => {
    expect(await client.call('WATCH', 'key')).toEqual(OK)
    await other.call('GET', 'key')
    await other.call('SET', 'another', '1')
    expect(await transact()).toEqual([OK])
  })

  test.each([
    ['is created', [], ['SET', 'key', '1']],
    ['is set to what it was', ['SET', 'key', '1'], ['SET', 'key', '1']],
    ['is deleted', ['SET', 'key', '1'], ['DEL', 'key']],
    ['grows', ['RPUSH', 'key', '1'], ['RPUSH', 'key', '2']],
    ['gets an expire time', ['SET', 'key', '1'], ['EXPIRE', 'key', '100']],
    ['is flushed away', ['SET', 'key', '1'], ['FLUSHALL']],
    ['is renamed to', ['SET', 'source', '1'], ['RENAME', 'source', 'key']],
  ])('makes EXEC answer null when the key %s', async (_what, before, change) => {
    if (before.length > 0) await other.call(...before)
    await client.call('WATCH', 'first', 'key')
    await other.call(...change)
    expect(await transact()).toBeNull()
    expect(await other.call('EXISTS', 'result')).toBe(0)
    // EXEC has ended the watch.
    expect(await transact()).toEqual([OK])
  })

  test('makes EXEC answer null when the key expires', async () => {
    await client.call('SET', 'key', '1', 'PX', '1000')
    await client.call('WATCH', 'key')
    clock.pass(2000)
    expect(await transact()).toBeNull()
  })

  test('is not disturbed by a flush that finds no key', async () => {
    await client.call('WATCH', 'key')
    await other.call('FLUSHALL')
    expect(await transact()).toEqual([OK])
  })

  test('means the key of the selected database', async () => {
    await client.call('WATCH', 'key')
    await other.pipeline([
      ['SELECT', '1'],
      ['SET', 'key', '1'],
    ])
    expect(await transact()).toEqual([OK])
  })

  test('counts changes of the same connection', async () => {
    await client.call('WATCH', 'key')
    await client.call('SET', 'key', '1')
    expect(await transact()).toBeNull()
  })

  test('is refused inside MULTI, and the transaction goes on', async () => {
    expect(await client.pipeline([['MULTI'], ['WATCH', 'key'], ['PING'], ['EXEC']])).toEqual([
      OK,
      { error: 'ERR WATCH inside MULTI is not allowed' },
      QUEUED,
      [{ status: 'PONG' }],
    ])
  })

  test.each([['UNWATCH'], ['RESET']])('is ended by %s', async (command) => {
    await client.call('WATCH', 'key')
    await client.call(command)
    await other.call('SET', 'key', '1')
    expect(await transact()).toEqual([OK])
  })

  test('is ended by DISCARD', async () => {
    await client.call('WATCH', 'key')
    await other.call('SET', 'key', '1')
    await client.pipeline([['MULTI'], ['DISCARD']])
    expect(await transact()).toEqual([OK])
  })
})

test('UNWATCH inside MULTI is queued and does not rescue the transaction', async () => {
  await client.call('WATCH', 'key')
  await other.call('SET', 'key', '1')
  expect(await client.pipeline([['MULTI'], ['UNWATCH'], ['EXEC']])).toEqual([OK, QUEUED, null])
})
