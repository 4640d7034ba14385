/**
 * Snapshots that do not come to their end: given up, or on a disk of which any call fails. The old file stays and is
 * loaded, nothing is left behind, every block of the arena has its owner, and the next snapshot succeeds.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ShutdownSave } from '../../src/commands/context.ts'
import { Files } from '../../src/files/files.ts'
import { Random } from '../differential/random.ts'
import { BrokerInProcess, type BrokerSettings, type DirectClient, nextTurn } from './support/broker-in-process.ts'
import { contentOf, differences, LostIn } from './support/content.ts'
import { EndingFiles } from './support/ending-files.ts'
import { type FaultPlan, FaultyFiles } from './support/faulty-files.ts'
import { memoryDirectory } from './support/memory-directory.ts'
import { dataCommands, nextChange } from './support/workload.ts'

const SEED = 5
/** Bound of every loop over calls. */
const CALLS_MAX = 100
const STARTED = { status: 'Background saving started' }
const MISCONF = {
  error:
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
}

let directory = ''
const brokers: BrokerInProcess[] = []

beforeEach(() => {
  directory = memoryDirectory()
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const broker of brokers.splice(0)) await broker.close()
  rmSync(directory, { recursive: true, force: true })
})

async function start(settings: BrokerSettings = {}): Promise<BrokerInProcess> {
  const broker = await BrokerInProcess.start(directory, settings)
  brokers.push(broker)
  return broker
}

async function fill(client: DirectClient, random: Random): Promise<void> {
  const commands = dataCommands(random)
  for (let at = 0; at < commands.length; at += 500) await client.pipeline(commands.slice(at, at + 500))
}

/** Nothing of a snapshot is left, and every block has its owner. */
async function expectClean(broker: BrokerInProcess): Promise<void> {
  await broker.untilQuiet()
  const { keyspace } = broker.server
  expect(keyspace.databases.every(({ marks }) => marks === null)).toBe(true)
  const { liveBytes, liveBlocks } = keyspace.arena
  expect(keyspace.account()).toEqual({ bytes: liveBytes, blocks: liveBlocks })
}

/** The values that the snapshot in the directory holds. */
async function loadedContent(broker: BrokerInProcess): Promise<Map<string, string>> {
  const other = await start({ clock: broker.clock })
  const content = await contentOf(other.connect(), LostIn.Rdb)
  await other.close()
  return content
}

describe('a snapshot that is given up in the midst of big values', () => {
  /** Other files than the system's: no thread is in the way of repeating it. */
  class OwnFiles extends Files {}

  const endings: readonly (readonly [string, (broker: BrokerInProcess, client: DirectClient) => void])[] = [
    ['by FLUSHALL', (_broker, client) => client.send(['FLUSHALL'])],
    ['by SHUTDOWN NOSAVE', (broker) => void broker.server.leaving.prepare(ShutdownSave.Never, false)],
    ['because the broker is closed', (broker) => broker.server.saving.abort()],
  ]

  test.each(endings)('%s leaves nothing', { timeout: 30_000 }, async (_how, end) => {
    // A slice has time for one step.
    let elapsedMs = 0
    vi.spyOn(performance, 'now').mockImplementation(() => (elapsedMs += 1.5))
    const random = new Random(SEED)
    const broker = await start({ files: new OwnFiles() })
    const client = broker.connect()
    await fill(client, random)
    await client.call('SAVE')
    const saved = readFileSync(join(directory, 'dump.rdb'))
    for (const turns of [1, 30]) {
      client.send(['BGSAVE'])
      for (let turn = 0; turn < turns; turn++) {
        client.send(...nextChange(random), ...nextChange(random))
        for (let look = 0; look < 3; look++) performance.now()
        await nextTurn()
      }
      expect(broker.server.snapshots.isActive, `after ${turns} turns`).toBe(true)
      end(broker, client)
      await expectClean(broker)
      expect(readdirSync(directory)).toEqual(['dump.rdb'])
      expect(readFileSync(join(directory, 'dump.rdb')).equals(saved)).toBe(true)
      broker.server.unpause()
      const info = await broker.info()
      // Somebody wanted it so: that is no failure.
      expect([info.get('rdb_bgsave_in_progress'), info.get('rdb_last_bgsave_status')]).toEqual(['0', 'ok'])
      await client.call('FLUSHALL')
      await fill(client, random)
    }
    // No walk over a collection is left open: the next one would not begin.
    expect(await client.call('BGSAVE')).toEqual(STARTED)
    await broker.untilQuiet()
    expect(differences(await loadedContent(broker), await contentOf(client, LostIn.Rdb))).toEqual([])
  })

  test('in a thread of its own leaves no file either', { timeout: 30_000 }, async () => {
    const broker = await start({ options: { 'rdb-key-save-delay': 1_000_000 } })
    const client = broker.connect()
    await fill(client, new Random(SEED))
    for (let turns = 0; turns < 4; turns++) {
      client.send(['BGSAVE'])
      for (let turn = 0; turn < turns * 20; turn++) await nextTurn()
      client.send(['FLUSHALL'], ['SET', 'a', '1'], ['SET', 'b', '2'], ['SET', 'c', '3'])
      await expectClean(broker)
      await broker.until(() => readdirSync(directory).length === 0)
    }
  })

  test('because the broker is closed does not take the place of a later one', async () => {
    const broker = await start({ options: { 'rdb-key-save-delay': 200_000 } })
    const client = broker.connect()
    await client.pipeline([['SET', 'a', 'old'], ['SET', 'b', 'old'], ['BGSAVE']])
    await broker.close()
    const next = await start()
    await next.connect().pipeline([['SET', 'a', 'new'], ['SAVE']])
    await broker.until(() => !broker.server.snapshots.isActive)
    await next.close()
    const last = await start()
    expect(await last.connect().call('MGET', 'a', 'b')).toEqual(['new', null])
    expect(readdirSync(directory)).toEqual(['dump.rdb'])
  })
})

type Plan = Omit<FaultPlan, 'at'>

const PLANS: readonly (readonly [string, Plan])[] = [
  ['fails with EIO', { code: 'EIO' }],
  ['fails with ENOSPC', { code: 'ENOSPC' }],
  ['fails with EROFS until the disk is repaired', { code: 'EROFS', times: Number.POSITIVE_INFINITY }],
  ['takes a part of a write and then has no room', { code: 'ENOSPC', operations: ['write'], takes: 0.5 }],
]

describe.each(PLANS)('a disk of which any one call %s', (_name, plan) => {
  /** A server with an old snapshot, and a value that this does not have. */
  async function prepared(files: FaultyFiles): Promise<{ broker: BrokerInProcess; client: DirectClient }> {
    const broker = await start({ files, options: { save: '3600 1000000' } })
    const client = broker.connect()
    await client.call('SET', 'key', 'new')
    return { broker, client }
  }

  async function oldSnapshot(): Promise<void> {
    const broker = await start()
    await broker.connect().pipeline([['SET', 'key', 'old'], ['SAVE']])
    await broker.close()
  }

  /** What another process would load. */
  async function loaded(): Promise<unknown> {
    const broker = await start()
    const value = await broker.connect().call('GET', 'key')
    await broker.close()
    return value
  }

  /** Fails each call of an action in turn, until there is none left to fail. Returns how many there were. */
  async function eachCall(action: (files: FaultyFiles, at: number) => Promise<void>): Promise<number> {
    for (let at = 1; at < CALLS_MAX; at++) {
      await oldSnapshot()
      const files = new FaultyFiles(directory, { ...plan, at })
      await action(files, at)
      if (!files.hasFailed) return at - 1
      rmSync(directory, { recursive: true })
      mkdirSync(directory)
    }
    throw new Error('There is no end of calls')
  }

  test('BGSAVE keeps the old file, refuses writes until a snapshot succeeds, and needs no restart', async () => {
    const calls = await eachCall(async (files, at) => {
      const { broker, client } = await prepared(files)
      const lastSave = await client.call('LASTSAVE')
      broker.clock.pass(2000)
      expect(await client.call('BGSAVE')).toEqual(STARTED)
      await expectClean(broker)
      if (!files.hasFailed) return
      // After the rename the new file is there, but it may not outlive a power cut.
      const isRenamed =
        files.calls.at(-1) === 'syncDirectory' ||
        (files.calls.includes('rename') && files.calls.at(-2) === 'syncDirectory')
      const info = await broker.info()
      expect([at, info.get('rdb_last_bgsave_status'), info.get('rdb_changes_since_last_save')]).toEqual([
        at,
        'err',
        '1',
      ])
      expect(await client.call('LASTSAVE')).toBe(lastSave)
      expect(readdirSync(directory), `call ${at}`).toEqual(
        plan.code === 'EROFS' ? expect.arrayContaining(['dump.rdb']) : ['dump.rdb'],
      )
      expect(broker.log.warnings.join('\n')).toMatch(new RegExp(`Background saving error: ${plan.code}`))
      expect(await loaded(), `call ${at}`).toBe(isRenamed ? 'new' : 'old')

      expect(await client.call('SET', 'refused', '1')).toEqual(MISCONF)
      expect(await client.call('GET', 'key')).toBe('new')
      files.repair()
      expect(await client.call('SET', 'refused', '1')).toEqual(MISCONF)
      expect(await client.call('BGSAVE')).toEqual(STARTED)
      await expectClean(broker)
      expect((await broker.info()).get('rdb_last_bgsave_status')).toBe('ok')
      expect(await client.call('SET', 'taken', '1')).toEqual({ status: 'OK' })
      expect(await loaded()).toBe('new')
    })
    expect(calls).toBeGreaterThanOrEqual(plan.operations === undefined ? 5 : 1)
  })

  test('SAVE replies an error and keeps the old file', async () => {
    await eachCall(async (files, at) => {
      const { broker, client } = await prepared(files)
      const reply = await client.call('SAVE')
      await expectClean(broker)
      if (!files.hasFailed) {
        expect(reply).toEqual({ status: 'OK' })
        return
      }
      expect([at, reply]).toEqual([at, { error: 'ERR' }])
      expect(broker.log.warnings.join('\n')).toContain('Error saving the snapshot on disk: ')
      expect(['old', 'new']).toContain(await loaded())
      // As in Redis only a snapshot in the background that failed refuses writes.
      expect(await client.call('SET', 'other', '1')).toEqual({ status: 'OK' })
      files.repair()
      expect(await client.call('SAVE')).toEqual({ status: 'OK' })
      expect(await loaded()).toBe('new')
      expect((await broker.info()).get('rdb_changes_since_last_save')).toBe('0')
    })
  })
})

describe.each([
  ['BGSAVE', 'the power is cut', (files: FaultyFiles) => files.cutPower(100)],
  ['BGSAVE', 'the process is killed', (files: FaultyFiles) => files.kill()],
  ['SAVE', 'the power is cut', (files: FaultyFiles) => files.cutPower(100)],
] as const)('%s: %s before any call', (command, _how, end) => {
  test('leaves the old file or the new one', async () => {
    const found: unknown[] = []
    for (let at = 0; at < CALLS_MAX; at++) {
      const first = await start()
      await first.connect().pipeline([['SET', 'key', 'old'], ['SAVE']])
      await first.close()
      const files = new EndingFiles(directory, end)
      const broker = await start({ files })
      await broker.connect().call('SET', 'key', 'new')
      files.callsLeft = at
      await broker.connect().call(command)
      await broker.untilQuiet()
      const isOver = !files.hasEnded
      files.kill()
      const next = await start()
      found.push(await next.connect().call('GET', 'key'))
      // A temporary file that is left has a name of its own and does no harm.
      expect(await next.connect().call('SAVE')).toEqual({ status: 'OK' })
      await next.close()
      rmSync(directory, { recursive: true })
      mkdirSync(directory)
      if (isOver) break
    }
    const firstNew = found.indexOf('new')
    expect(found).toEqual(found.map((_, i) => (i < firstNew ? 'old' : 'new')))
    expect(firstNew).toBeGreaterThan(3)
    expect(found.length).toBeLessThan(CALLS_MAX)
  })
})

test("a temporary file that a crash has left, and foreign files, are in nobody's way", async () => {
  const ours = Array.from({ length: 100 }, (_, n) => `temp-${process.pid}-0-${n}.rdb`)
  for (const name of ['temp-1-1.rdb', ...ours, 'foreign', 'dump.rdb.old'])
    writeFileSync(join(directory, name), 'what is this')
  const broker = await start({ files: new FaultyFiles(directory) })
  const client = broker.connect()
  await client.pipeline([['SET', 'a', '1'], ['BGSAVE']])
  await broker.untilQuiet()
  expect((await broker.info()).get('rdb_last_bgsave_status')).toBe('ok')
  expect(readFileSync(join(directory, 'foreign'), 'utf8')).toBe('what is this')
  expect(existsSync(join(directory, 'dump.rdb'))).toBe(true)
  await broker.close()
  expect(await (await start()).connect().call('GET', 'a')).toBe('1')
})
