/** Who waits for a time waits as long as was asked for, whatever is done to the wall time meanwhile. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

const HOUR_MS = 3_600_000

let clock: TestClock
let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  a = await broker.connect()
})

afterEach(() => broker.stop())

/** The reply of a command that has blocked. */
async function blocked(...words: string[]): Promise<{ reply: Promise<Reply> }> {
  const before = broker.server.blocking.count
  const client = await broker.connect()
  const reply = client.call(...words)
  // The broker closes it at the end of the test, if it still waits.
  reply.catch(() => {})
  while (broker.server.blocking.count === before) await a.call('PING')
  return { reply }
}

describe.each([
  ['forward', HOUR_MS],
  ['back', -HOUR_MS],
])('when the wall time is set %s', (_, stepMs) => {
  test('a client that is blocked already is told of the end of its time when that has gone by', async () => {
    const { reply } = await blocked('BLPOP', 'l', '0.005')
    clock.step(stepMs)
    await a.call('PING')
    clock.pass(4)
    await a.call('PING')
    expect(broker.server.blocking.count).toBe(1)
    clock.pass(1)
    expect(await reply).toBe(null)
  })

  test('a client that blocks afterwards is not kept waiting by a timer that was set before', async () => {
    await blocked('BLPOP', 'other', '1000')
    clock.step(stepMs)
    const { reply } = await blocked('BLMPOP', '0.001', '1', 'l', 'LEFT')
    clock.pass(1)
    expect(await reply).toBe(null)
    expect(broker.server.blocking.count).toBe(1)
  })

  test('a pause ends when its time has gone by', async () => {
    await a.call('CLIENT', 'PAUSE', '50')
    const other = await broker.connect()
    const reply = other.call('PING')
    clock.step(stepMs)
    await expect.poll(() => broker.server.blockedCount).toBe(1)
    clock.pass(49)
    await expect.poll(() => broker.server.pauses.isActive).toBe(true)
    clock.pass(1)
    expect(await reply).toEqual({ status: 'PONG' })
  })

  test('WAIT replies when its time has gone by', async () => {
    const { reply } = await blocked('WAIT', '1', '5')
    clock.step(stepMs)
    clock.pass(5)
    expect(await reply).toBe(0)
  })
})
