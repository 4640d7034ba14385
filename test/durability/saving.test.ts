/** What is counted as not saved, and snapshots that are slowed down. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const OK = { status: 'OK' }
/** Pause after each key, in microseconds: longer than any test. */
const LONG_PAUSE_US = '1000000000'
const LIMIT_MS = 10_000

let directory: string
let broker: TestBroker
let client: RespClient

beforeEach(async () => {
  directory = temporaryDirectory()
  broker = await TestBroker.start({ dir: directory })
  client = await broker.connect()
})

afterEach(async () => {
  await broker.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function persistence(field: string): Promise<string> {
  const text = String(await client.call('INFO', 'persistence'))
  return text.match(new RegExp(`^${field}:(.*)\r$`, 'm'))?.[1] ?? ''
}

async function untilSaved(): Promise<void> {
  const limit = performance.now() + LIMIT_MS
  while ((await persistence('rdb_bgsave_in_progress')) !== '0') {
    if (performance.now() > limit) throw new Error('The snapshot does not end')
  }
}

test('FLUSHALL leaves nothing to save when save points are set, as it has saved the empty data', async () => {
  await client.call('CONFIG', 'SET', 'save', '3600 1')
  await client.call('SET', 'k', 'v')
  expect(await client.call('FLUSHALL')).toEqual(OK)
  expect(await persistence('rdb_changes_since_last_save')).toBe('0')
  expect(existsSync(join(directory, 'dump.rdb'))).toBe(true)
})

test('FLUSHALL and FLUSHDB count the keys that they remove, and nothing when there is none', async () => {
  await client.call('MSET', 'a', '1', 'b', '2')
  await client.call('FLUSHALL')
  expect(await persistence('rdb_changes_since_last_save')).toBe('4')
  await client.call('FLUSHALL')
  await client.call('FLUSHDB')
  expect(await persistence('rdb_changes_since_last_save')).toBe('4')
})

test('a snapshot that pauses after a key goes on when rdb-key-save-delay is set to 0', async () => {
  await client.call('MSET', 'a', '1', 'b', '2')
  await client.call('CONFIG', 'SET', 'rdb-key-save-delay', LONG_PAUSE_US)
  await client.call('BGSAVE')
  expect(await persistence('rdb_bgsave_in_progress')).toBe('1')
  await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
  await untilSaved()
  expect(await persistence('rdb_last_bgsave_status')).toBe('ok')
  expect(await persistence('rdb_changes_since_last_save')).toBe('0')
})
