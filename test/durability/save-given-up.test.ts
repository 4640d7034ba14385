/** Snapshots that are complete, and not told yet or without a lasting name, when something newer takes their place. */
import { readdirSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ShutdownSave } from '../../src/commands/context.ts'
import { type FileDone, Files } from '../../src/files/files.ts'
import { BrokerInProcess, type DirectClient, nextTurn } from './support/broker-in-process.ts'
import { memoryDirectory } from './support/memory-directory.ts'

/** Files that tell when one was closed, and can hold back the syncs of directories. They are written in this thread. */
class WatchedFiles extends Files {
  /** Called once, as soon as whoever has closed a file is done with that. */
  afterClose: (() => void) | null = null
  isHeld = false
  readonly held: (() => void)[] = []

  override close(fd: number): void {
    super.close(fd)
    const { afterClose } = this
    this.afterClose = null
    if (afterClose !== null) queueMicrotask(afterClose)
  }

  override syncDirectoryLater(path: string, done: FileDone): void {
    if (this.isHeld) this.held.push(() => super.syncDirectoryLater(path, done))
    else super.syncDirectoryLater(path, done)
  }

  release(): void {
    this.isHeld = false
    for (const sync of this.held.splice(0)) sync()
  }
}

let directory = ''
let files = new WatchedFiles()
let broker: BrokerInProcess
let client: DirectClient

beforeEach(() => {
  directory = memoryDirectory()
  files = new WatchedFiles()
})

afterEach(async () => {
  files.release()
  await broker.close()
  rmSync(directory, { recursive: true, force: true })
})

async function start(options: Record<string, string | number> = {}): Promise<void> {
  broker = await BrokerInProcess.start(directory, { files, options })
  client = broker.connect()
}

async function keysAfterRestart(): Promise<unknown> {
  await broker.close()
  await start()
  return client.call('KEYS', '*')
}

/** Writes a snapshot, and has commands executed when it is complete, before that is told. */
async function saveAndThen(...commands: readonly (readonly string[])[]): Promise<void> {
  await client.call('SET', 'old', '1')
  let isDone = false
  files.afterClose = () => {
    expect(broker.server.snapshots.isActive).toBe(true)
    client.send(...commands)
    isDone = true
  }
  await client.call('BGSAVE')
  await broker.until(() => isDone)
  await broker.untilQuiet()
}

describe('a snapshot that is complete, which is not told yet', () => {
  test('does not bring back what FLUSHALL has removed', async () => {
    await start({ save: '1000000 1000000' })
    await saveAndThen(['FLUSHALL'])
    expect(readdirSync(directory)).toEqual(['dump.rdb'])
    expect(await keysAfterRestart()).toEqual([])
  })
})

describe('a snapshot whose name is not durable yet', () => {
  async function untilNamed(): Promise<void> {
    files.isHeld = true
    await client.call('BGSAVE')
    await broker.until(() => files.held.length > 0)
    // Others do not wait.
    files.isHeld = false
  }

  test('takes no changes from the count of those that came after a later one', async () => {
    await start({ save: '1000000 1000000' })
    for (let i = 0; i < 5; i++) await client.call('SET', `key:${i}`, '1')
    await untilNamed()
    // It saves that there is nothing.
    await client.call('FLUSHALL')
    await client.call('SET', 'a', '1')
    files.release()
    await broker.untilQuiet()
    expect((await broker.info()).get('rdb_changes_since_last_save')).toBe('1')
    expect((await broker.info()).get('rdb_last_bgsave_status')).toBe('ok')
  })

  test('is no reason to give up what is written for another purpose', async () => {
    await start({ appendonly: 'yes', 'rdb-key-save-delay': 0 })
    await client.call('SET', 'a', '1')
    await untilNamed()
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '1000000000')
    expect(await client.call('BGREWRITEAOF')).toEqual({ status: 'Background append only file rewriting started' })
    await broker.until(() => broker.server.snapshots.isActive)
    await client.call('FLUSHALL')
    files.release()
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    await broker.untilQuiet()
    expect((await broker.info()).get('aof_last_bgrewrite_status')).toBe('ok')
  })
})

test('the last snapshot is written once, however long its name takes', async () => {
  await start()
  await client.call('SET', 'a', '1')
  files.isHeld = true
  const outcomes: boolean[] = []
  broker.server.saving.saveForShutdownLater(ShutdownSave.Always, false, (mayEnd) => outcomes.push(mayEnd))
  await broker.until(() => files.held.length > 0)
  broker.server.saving.tick()
  expect(broker.server.snapshots.isActive).toBe(false)
  files.release()
  await broker.until(() => outcomes.length > 0)
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  expect(outcomes).toEqual([true])
  expect(readdirSync(directory)).toEqual(['dump.rdb'])
})
