/**
 * Snapshots are one point in time: whatever is changed while one is written, in slices of the smallest size, what is loaded
 * from its file is what there was when it began. And a rewritten log holds what there was at its end.
 *
 * MILLRACE_SNAPSHOTS sets the number of rounds, MILLRACE_SEED the seed of the first one.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FileDone, Files } from '../../src/files/files.ts'
import type { Server } from '../../src/server/server.ts'
import { Random } from '../differential/random.ts'
import { TestClock } from '../support/broker.ts'
import { temporaryDirectory } from '../support/server-process.ts'
import { BrokerInProcess, type BrokerSettings, type DirectClient, nextTurn } from './support/broker-in-process.ts'
import { contentOf, differences, LostIn } from './support/content.ts'
import { dataCommands, nextBlocking, nextChange, nextWaited } from './support/workload.ts'

const ROUNDS = Number(process.env.MILLRACE_SNAPSHOTS ?? 1)
const CI_SEED = 20_261
const SEED = Number(process.env.MILLRACE_SEED ?? (process.env.CI === undefined ? Date.now() % 1_000_000_007 : CI_SEED))
const SEEDS = Array.from({ length: ROUNDS }, (_, round) => SEED + round)
/** By so much time goes on with each look at the clock, and so many looks there are between two slices: for one step each. */
const LOOK_MS = 1.5
const LOOKS_PER_TURN = 3
const BLOCKED_CLIENTS = 3
const SELDOM_PER_MILLE = 3
/** What brings a rewrite to its end, or reads its data anew, while it is under way; a snapshot would be given up. */
const INTERRUPTIONS = [['FLUSHALL'], ['SAVE'], ['DEBUG', 'RELOAD'], ['DEBUG', 'LOADAOF']]
/** Turns of a round at most; a snapshot takes some hundred. */
const TURNS_MAX = 5000

/** Other files than the system's are written in the thread of the walk, so that a round can be repeated. */
class OwnFiles extends Files {
  override removeLater(path: string, done: FileDone): void {
    this.remove(path)
    done(null)
  }
}

let directory = ''
const brokers: BrokerInProcess[] = []

beforeEach(() => {
  directory = temporaryDirectory()
  let elapsedMs = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (elapsedMs += LOOK_MS))
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const broker of brokers.splice(0)) await broker.close()
  rmSync(directory, { recursive: true, force: true })
})

async function start(settings: BrokerSettings = {}, where = directory): Promise<BrokerInProcess> {
  mkdirSync(where, { recursive: true })
  const broker = await BrokerInProcess.start(where, settings)
  brokers.push(broker)
  return broker
}

async function fill(client: DirectClient, random: Random): Promise<void> {
  const commands = dataCommands(random)
  for (let at = 0; at < commands.length; at += 500) await client.pipeline(commands.slice(at, at + 500))
}

interface Changes {
  /** Commands a turn, at most. */
  readonly perTurn: number
  /** What is executed now and then, per mille. */
  readonly seldom: readonly (readonly string[])[]
}

/** Changes the data, and lets time pass, until what is written in the background is complete. */
async function changeMeanwhile(broker: BrokerInProcess, random: Random, { perTurn, seldom }: Changes): Promise<number> {
  const client = broker.connect()
  const blocked = Array.from({ length: BLOCKED_CLIENTS }, () => broker.connect())
  let changes = 0
  for (let turn = 0; broker.server.snapshots.isActive && turn < TURNS_MAX; turn++) {
    for (let i = random.below(perTurn); i >= 0; i--) {
      const isSeldom = seldom.length > 0 && random.below(1000) < SELDOM_PER_MILLE
      const other = isSeldom ? [random.pick(seldom)] : nextChange(random)
      const commands = random.chance(10) ? [nextWaited(random)] : other
      client.send(...commands)
      changes += commands.length
    }
    if (random.chance(10)) random.pick(blocked).send(nextBlocking(random))
    if (random.chance(30)) broker.clock.pass(random.below(10))
    for (let look = 0; look < LOOKS_PER_TURN; look++) performance.now()
    await nextTurn()
  }
  expect(broker.server.snapshots.isActive).toBe(false)
  // Whoever is blocked still would take what comes later.
  for (const one of blocked) one.close()
  await broker.untilQuiet()
  return changes
}

/** Nothing of a snapshot is left, and every block of the arena has its owner. */
function expectClean({ keyspace }: Server): void {
  expect(keyspace.walk).toBeNull()
  expect(keyspace.databases.map(({ marks }) => marks)).toEqual(keyspace.databases.map(() => null))
  const { liveBytes, liveBlocks } = keyspace.arena
  expect(keyspace.account()).toEqual({ bytes: liveBytes, blocks: liveBlocks })
}

describe.each(SEEDS)('with seed %i', (seed) => {
  test.each([
    ['in the thread of the walk', { files: new OwnFiles() }, 4],
    ['in a thread of its own', {}, 4],
    ['key by key', { files: new OwnFiles(), options: { 'rdb-key-save-delay': 1 } }, 2],
    ['in version 11', { files: new OwnFiles(), options: { 'rdb-version': 11 } }, 4],
  ] as const)(
    'BGSAVE writes what there was when it began, %s',
    { timeout: 30_000 },
    async (_how, settings, perTurn) => {
      const random = new Random(seed)
      const broker = await start(settings)
      const client = broker.connect()
      await fill(client, random)
      const before = await contentOf(client, LostIn.Rdb)
      const digest = await client.call('DEBUG', 'DIGEST')
      const begunMs = broker.clock.nowMs
      client.send(['BGSAVE'])
      const changes = await changeMeanwhile(broker, random, { perTurn, seldom: [] })
      expect(changes).toBeGreaterThan(50)
      expect(broker.server.saving.isLastOk).toBe(true)
      expectClean(broker.server)
      expect(await client.call('DEBUG', 'DIGEST')).not.toEqual(digest)

      // At the time of the snapshot: no key has expired that had not then.
      const loaded = await start({ clock: new TestClock(begunMs) })
      const reader = loaded.connect()
      expect(differences(await contentOf(reader, LostIn.Rdb), before)).toEqual([])
      expect(await reader.call('DEBUG', 'DIGEST')).toEqual(digest)
      expectClean(loaded.server)
    },
  )

  test.each([
    ['yes', 0, 4],
    ['no', 0, 4],
    ['yes', 1, 2],
    ['no', 1, 2],
  ] as const)(
    'BGREWRITEAOF makes a log that holds what there is at its end (aof-use-rdb-preamble %s, key delay %i us)',
    { timeout: 30_000 },
    async (preamble, delayUs, perTurn) => {
      const random = new Random(seed)
      const options = {
        appendonly: 'yes',
        'aof-use-rdb-preamble': preamble,
        'auto-aof-rewrite-percentage': 0,
        save: '3600 100000000',
      }
      const broker = await start({ options: { ...options, 'rdb-key-save-delay': delayUs }, files: new OwnFiles() })
      const client = broker.connect()
      await fill(client, random)
      const lost = preamble === 'yes' ? LostIn.Log : LostIn.LogOfCommands
      // The second one knows nothing of the first, and hides what was wrong with it.
      for (let rewrite = 1; rewrite <= 2; rewrite++) {
        client.send(['BGREWRITEAOF'])
        await changeMeanwhile(broker, random, { perTurn, seldom: INTERRUPTIONS })
        // What cannot wait (SAVE, FLUSHALL) has put it off, perhaps.
        const { appendOnly } = broker.server
        while (appendOnly.isRewriting || appendOnly.isRewriteScheduled) await client.call('PING')
        expect(appendOnly.isLastRewriteOk).toBe(true)
        expect(appendOnly.rewrites).toBeGreaterThanOrEqual(rewrite)
        expectClean(broker.server)
        const after = await contentOf(client, lost)
        const digest = await client.call('DEBUG', 'DIGEST')

        const copy = join(directory, `copy ${rewrite}`)
        cpSync(join(directory, 'appendonlydir'), join(copy, 'appendonlydir'), { recursive: true })
        const loaded = await start({ options, clock: broker.clock }, copy)
        const reader = loaded.connect()
        expect(differences(await contentOf(reader, lost), after)).toEqual([])
        expect(await reader.call('DEBUG', 'DIGEST')).toEqual(digest)
        expectClean(loaded.server)
      }
    },
  )
})
