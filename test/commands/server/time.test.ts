/** TIME and LASTSAVE. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'

let clock: TestClock
let broker: TestBroker
let client: RespClient

beforeEach(async () => {
  clock = new TestClock(1_700_000_000_123)
  broker = await TestBroker.start({}, clock)
  client = await broker.connect()
})

afterEach(() => broker.stop())

test('TIME tells seconds and microseconds, the same inside a transaction', async () => {
  expect(await client.call('TIME')).toEqual(['1700000000', '123000'])
  clock.pass(1000)
  const time = ['1700000001', '123000']
  expect((await client.pipeline([['MULTI'], ['TIME'], ['TIME'], ['EXEC']]))[3]).toEqual([time, time])
})

test('LASTSAVE tells when the server started, as nothing was saved since', async () => {
  clock.pass(5000)
  expect(await client.call('LASTSAVE')).toBe(1_700_000_000)
})
