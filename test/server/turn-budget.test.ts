/** A turn has an end: who sends very much at once is served in parts, and others in between. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import { HandConnection } from '../support/hand-connection.ts'
import { RawConnection } from '../support/raw-connection.ts'
import type { RespClient } from '../support/resp-client.ts'

const OK = { status: 'OK' }

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  broker = await TestBroker.start()
  a = await broker.connect()
})

afterEach(() => broker.stop())

test('requests behind one that waits are executed in parts, in their order, others between them', async () => {
  const waiting = await RawConnection.connect(broker.port)
  // 1.3 MB, of which 256 KiB are executed in a turn.
  const count = 40_000
  waiting.send(`BLPOP list 0\r\n${'*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$1\r\nx\r\n'.repeat(count)}`)
  const sessions = (): number => [...broker.server.sessions()].reduce((sum, s) => sum + s.pendingInputBytes, 0)
  while (sessions() < count * 29) await a.call('PING')
  const lengths = new Set<number>()
  const turns = broker.server.stats.turns
  await a.call('RPUSH', 'list', 'x')
  for (let length = 0; length < count; ) {
    length = Number(await a.call('LLEN', 'q'))
    lengths.add(length)
  }
  expect(broker.server.stats.turns - turns).toBeGreaterThanOrEqual(5)
  // A whole number of requests has been executed each time.
  expect(lengths.size).toBeGreaterThanOrEqual(3)
  while (waiting.text.split('\r\n').length < count + 6) await a.call('PING')
  const replies = waiting.text.split('\r\n').slice(5, -1)
  expect(replies).toEqual(Array.from({ length: count }, (_, i) => `:${i + 1}`))
  waiting.close()
})

test('output of a turn is bounded: who asks for much gets the rest in the next turns', async () => {
  expect(await a.call('SET', 'value', 'x'.repeat(1_000_000))).toEqual(OK)
  const greedy = await RawConnection.connect(broker.port)
  const turns = broker.server.stats.turns
  greedy.sendLast('GET value\r\n'.repeat(60))
  while (!greedy.isEnded) await a.call('PING')
  // 16 MiB in a turn; the last byte that was sent does not end the client before it has got everything.
  expect(greedy.text.length).toBe(60 * (1_000_000 + '$1000000\r\n\r\n'.length))
  expect(broker.server.stats.turns - turns).toBeGreaterThanOrEqual(4)
})

test('who has more to be executed than a part is read on when it is executed', async () => {
  const sender = new HandConnection(broker.server.accept)
  const piece = 'PING\r\n'.repeat(10_000)
  sender.receive('BLPOP list 0\r\n')
  for (let i = 0; i < 15; i++) sender.receive(piece)
  // One that waits is read on all the same: it may be gone.
  expect(sender.isReading).toBe(true)
  new HandConnection(broker.server.accept).receive('RPUSH list x\r\n')
  await nextTurn()
  sender.receive(piece)
  expect(sender.isReading).toBe(false)
  while (!sender.isReading) await nextTurn()
  const [session] = [...broker.server.sessions()].filter((one) => one.address === sender.address)
  expect(session!.pendingInputBytes).toBeLessThanOrEqual(256 * 1024)
  while (session!.pendingInputBytes > 0) await nextTurn()
  expect(sender.isReading).toBe(true)
})

test('who sends its last byte and waits, while something was left for the next turn, is closed', async () => {
  const sender = new HandConnection(broker.server.accept)
  sender.receive('BLPOP list 0\r\n')
  sender.receive('PING\r\n'.repeat(50_000))
  new HandConnection(broker.server.accept).receive('RPUSH list x\r\n')
  // A part is executed, and the rest with what comes now.
  await nextTurn()
  sender.receive('BLPOP list 0\r\n')
  sender.receiveEnd()
  // On a busy machine the rest takes more than one turn.
  for (let turns = 0; turns < 100 && !sender.isGone; turns++) await nextTurn()
  expect(sender.isGone).toBe(true)
  expect(await a.call('RPUSH', 'list', 'y')).toBe(1)
})

test('time goes by for others while somebody sends without end', async () => {
  const clock = new TestClock()
  const timed = await TestBroker.start({}, clock)
  const sender = new HandConnection(timed.server.accept)
  const other = new HandConnection(timed.server.accept)
  sender.receive('BLPOP list 0\r\n')
  for (let i = 0; i < 40; i++) sender.receive('PING\r\n'.repeat(20_000))
  other.receive('RPUSH list x\r\n')
  const seen: string[] = []
  for (let turn = 0; turn < 4; turn++) {
    await nextTurn()
    clock.pass(1000)
    other.receive('TIME\r\n')
    await nextTurn()
    seen.push(/\d{10}/.exec(other.sent.at(-1)!.toString('latin1'))![0])
  }
  const [session] = [...timed.server.sessions()]
  expect(session!.pendingInputBytes).toBeGreaterThan(0)
  expect(seen).toEqual([1, 2, 3, 4].map((s) => String(1_700_000_000 + s)))
  await timed.stop()
})
