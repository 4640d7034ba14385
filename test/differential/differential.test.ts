/**
 * Millrace beside redis-server: random commands, replies compared value by value.
 *
 * MILLRACE_DIFF sets the number of commands per protocol version, MILLRACE_SEED repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasRedisServer, ServerProcess } from '../support/server-process.ts'
import { compareServers } from './run.ts'

const COUNT = Number(process.env.MILLRACE_DIFF ?? 20_000)
const SEED = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000_007)

if (!hasRedisServer) console.warn('Skipped: differential tests need redis-server in PATH')

describe.skipIf(!hasRedisServer)(`beside redis-server, seed ${SEED}`, () => {
  let ours: ServerProcess
  let theirs: ServerProcess

  beforeAll(async () => {
    ours = await ServerProcess.millrace(['--appendonly', 'no'])
    theirs = await ServerProcess.redis()
  })

  afterAll(async () => {
    await ours?.dispose()
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
      },
      COUNT * 3 + 30_000,
    )
  }
})
