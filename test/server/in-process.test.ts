import { rmSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { Files } from '../../src/files/files.ts'
import { Decode, type ReplyValue } from '../../src/resp/value-sink.ts'
import { Broker } from '../../src/server/broker.ts'
import { InProcess, refuseNothing } from '../../src/server/in-process.ts'
import { TestBroker, TestLog } from '../support/broker.ts'
import { temporaryDirectory } from '../support/server-process.ts'

let broker: TestBroker | null = null

afterEach(async () => {
  await broker?.stop()
  broker = null
})

function call(door: InProcess, ...args: readonly (string | number)[]): Promise<ReplyValue> {
  return new Promise((done, failed) =>
    door.enqueue({ args, decode: Decode.Text, refuse: refuseNothing, isCancelled: false, done, failed }),
  )
}

test('more calls than may wait are rejected, and those that wait are run', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server, { waitingMax: 2 })
  const [first, second, third] = await Promise.allSettled([
    call(door, 'INCR', 'n'),
    call(door, 'INCR', 'n'),
    call(door, 'INCR', 'n'),
  ])
  expect([first, second]).toEqual([
    { status: 'fulfilled', value: 1 },
    { status: 'fulfilled', value: 2 },
  ])
  expect(third).toMatchObject({ status: 'rejected', reason: { message: 'Cannot call: 2 calls wait already' } })
  expect(await call(door, 'INCR', 'n')).toBe(3)
})

test('a batch that has no room is rejected as a whole: no half of a transaction is begun', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server, { waitingMax: 2 })
  const transaction = [['MULTI'], ['INCR', 'n'], ['EXEC']]
  await expect(door.batch(transaction, Decode.Text, refuseNothing)).rejects.toThrow('Cannot call: 2 calls wait already')
  expect(await call(door, 'INCR', 'n')).toBe(1)
})

test('sessions of blocking calls are used again, and only some are kept', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  const waiting = Array.from({ length: 40 }, () => call(door, 'BLPOP', 'l', 0))
  await call(door, 'RPUSH', 'l', ...Array.from({ length: 40 }, (_, i) => i))
  expect(await Promise.all(waiting)).toEqual(Array.from({ length: 40 }, (_, i) => ['l', String(i)]))
  // The session of plain calls, and 16 idle ones.
  expect(broker.server.clientCount).toBe(17)
  const next = call(door, 'BLPOP', 'l', 0)
  await call(door, 'RPUSH', 'l', 'x')
  await next
  expect(broker.server.clientCount).toBe(17)
})

test('a blocked call holds no session of its own when it is unblocked with an error', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  const blocked = call(door, 'BLPOP', 'l', 0)
  const id = /id=(\d+) [^\n]*cmd=blpop/.exec(String(await call(door, 'CLIENT', 'LIST')))?.[1] ?? ''
  expect(await call(door, 'CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(1)
  await expect(blocked).rejects.toThrow('UNBLOCKED client unblocked via CLIENT UNBLOCK')
  expect(broker.server.clientCount).toBe(2)
})

test('with appendfsync always a call resolves when its change is synced, not before; a served one likewise', async () => {
  const dir = temporaryDirectory()
  const config = configFromOptions({ port: 0, save: '', dir, appendonly: 'yes', appendfsync: 'always' })
  const syncs: (() => void)[] = []
  const files = new (class extends Files {
    override syncContentLater(_fd: number, done: (error: Error | null) => void): void {
      syncs.push(() => done(null))
    }
  })()
  const durable = new Broker({ config, log: new TestLog(), files })
  await durable.start()
  const door = new InProcess(durable.server)
  const settled: string[] = []
  const blocked = call(door, 'BLPOP', 'l', 0).then(() => settled.push('blocked'))
  const write = call(door, 'RPUSH', 'l', 'x').then(() => settled.push('write'))
  while (syncs.length === 0) await new Promise((resolve) => setImmediate(resolve))
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(settled).toEqual([])
  for (const sync of syncs.splice(0)) sync()
  await Promise.all([blocked, write])
  expect(settled.sort()).toEqual(['blocked', 'write'])
  await durable.close()
  rmSync(dir, { recursive: true })
})
