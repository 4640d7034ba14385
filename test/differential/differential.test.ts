/**
 * Millrace beside redis-server: random commands, replies compared value by value; at the end every arena block has an
 * owner.
 *
 * MILLRACE_DIFF sets the number of commands per protocol version, MILLRACE_SEED repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import { hasRedisServer, ServerProcess } from '../support/server-process.ts'
import { compareServers } from './run.ts'

const COUNT = Number(process.env.MILLRACE_DIFF ?? 50_000)
/** CI repeats one run, so that a change is judged by itself; everywhere else each run is another one. */
const CI_SEED = 20_261
const SEED = Number(process.env.MILLRACE_SEED ?? (process.env.CI === undefined ? Date.now() % 1_000_000_007 : CI_SEED))

if (!hasRedisServer) console.warn('Skipped: differential tests need redis-server in PATH')

describe.skipIf(!hasRedisServer)(`beside redis-server, seed ${SEED}`, () => {
  let ours: TestBroker
  let theirs: ServerProcess

  beforeAll(async () => {
    ours = await TestBroker.start({ databases: 16 })
    theirs = await ServerProcess.redis()
  })

  afterAll(async () => {
    await ours?.stop()
    await theirs?.dispose()
  })

  for (const version of ['2', '3'] as const) {
    test(
      `${COUNT} random commands get the same replies in RESP${version}`,
      async () => {
        const a = await ours.connect()
        const b = await theirs.connect()
        const differences = await compareServers(a, b, SEED + Number(version), COUNT, version)
        a.close()
        b.close()
        expect(differences, `seed ${SEED}`).toEqual([])
        const { keyspace } = ours.server
        const { liveBytes, liveBlocks, outsideBytes } = keyspace.arena
        expect(keyspace.account()).toEqual({ bytes: liveBytes, blocks: liveBlocks })
        expect(keyspace.overheadBytes()).toBe(outsideBytes)
        expect(liveBlocks).toBeGreaterThan(0)
      },
      COUNT * 3 + 30_000,
    )
  }
})
