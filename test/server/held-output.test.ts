/** Output that waits for the disk (`appendfsync always`). */
import { afterEach, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import { HandConnection } from '../support/hand-connection.ts'

let broker: TestBroker

afterEach(() => broker.stop())

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what a slow reader does not take keeps nothing of what others get', async () => {
  broker = await TestBroker.start({ appendonly: 'yes', appendfsync: 'always' })
  const [slow, other] = [new HandConnection(broker.server.accept), new HandConnection(broker.server.accept)]
  const [session] = [...broker.server.sessions()]
  // The log may be synced before the test can make the reader slow: then both are asked again.
  while (session!.heldCount === 0) {
    for (const connection of [slow, other]) connection.sent.length = 0
    // Both get their replies out of one buffer, when the log is synced.
    other.receive(`SET value ${'x'.repeat(50_000)}\r\nGET value\r\n`)
    slow.receive('SET key 1\r\n')
    while (session!.heldCount === 0 && slow.sent.length === 0) await nextTurn()
  }
  slow.queuedBytes = 1
  while (slow.sent.length === 0) await nextTurn()
  expect(slow.sent.map(String)).toEqual(['+OK\r\n'])
  expect(other.sent[0]!.length).toBeGreaterThan(50_000)
})
