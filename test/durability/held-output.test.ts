/** Output that waits for the disk under `appendfsync always`: it is bounded, and nothing of it is kept when it is sent. */
import { rmSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FileDone, Files } from '../../src/files/files.ts'
import { temporaryDirectory } from '../support/server-process.ts'
import { BrokerInProcess, nextTurn } from './support/broker-in-process.ts'

const MIB = 1024 * 1024
const ROUNDS = 150

/** A disk whose syncs return when they are let. */
class HeldSyncs extends Files {
  readonly waiting: FileDone[] = []

  override syncContentLater(_fd: number, done: FileDone): void {
    this.waiting.push(done)
  }

  release(): void {
    this.waiting.shift()!(null)
  }
}

let directory = ''
let files: HeldSyncs
let broker: BrokerInProcess

beforeEach(async () => {
  directory = temporaryDirectory()
  files = new HeldSyncs()
  broker = await BrokerInProcess.start(directory, {
    files,
    options: { appendonly: 'yes', appendfsync: 'always', 'client-output-buffer-limit': 'pubsub 1mb 0 0' },
  })
})

afterEach(async () => {
  await broker.close()
  rmSync(directory, { recursive: true })
})

test('what is sent is not kept, although there is always something that waits', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const clients = [broker.connect(), broker.connect()]
  clients[0]!.send(['SETRANGE', 'large', String(MIB - 1), 'x'])
  await nextTurn()
  const before = process.memoryUsage().arrayBuffers
  for (let round = 0; round < ROUNDS; round++) {
    // One asks while the sync for the other is under way.
    clients[round % 2]!.send(['INCR', 'counter'], ['GETRANGE', 'large', '0', '-1'])
    await nextTurn()
    files.release()
  }
  collect()
  expect(files.waiting).toHaveLength(1)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan((ROUNDS / 2) * MIB)
})

test('what waits for a subscriber counts for the limit of its output', async () => {
  const subscriber = broker.connect()
  const publisher = broker.connect()
  await subscriber.call('SUBSCRIBE', 'channel')
  publisher.send(['SET', 'a', '1'])
  await nextTurn()
  expect(files.waiting).toHaveLength(1)
  const message = 'x'.repeat(MIB / 4)
  for (let i = 0; i < 6; i++) {
    publisher.send(['PUBLISH', 'channel', message])
    await nextTurn()
  }
  expect(broker.server.stats.outputLimitDisconnections).toBe(1)
})
