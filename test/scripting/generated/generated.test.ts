/**
 * Generated scripts beside redis-server: the raw replies of EVAL are the same, and so are the compiler's messages for
 * damaged scripts. What may differ stands in `known-differences.ts`.
 *
 * MILLRACE_DIFF sets the number of scripts, MILLRACE_SEED repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Random } from '../../differential/random.ts'
import { TestBroker } from '../../support/broker.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'
import { damagedProgram } from './hostile.ts'
import { isKnown } from './known-differences.ts'
import { generatePlainProgram, generateProgram } from './program.ts'
import { RawConnection } from './raw-replies.ts'

const COUNT = Number(process.env.MILLRACE_DIFF ?? 5000)
/** The same programs each time, so that a change is judged by itself; other seeds are for runs by hand. */
const SEED = Number(process.env.MILLRACE_SEED ?? 20_261)
/** Scripts sent at once. */
const BATCH = 50

describe.skipIf(!hasRedisServer)(`beside redis-server, seed ${SEED}`, () => {
  let broker: TestBroker
  let server: ServerProcess
  let ours: RawConnection
  let theirs: RawConnection

  beforeAll(async () => {
    broker = await TestBroker.start({ databases: 16 })
    server = await ServerProcess.redis(['--enable-debug-command', 'yes'])
    ours = await RawConnection.open(broker.port)
    theirs = await RawConnection.open(server.port)
  })

  afterAll(async () => {
    ours?.close()
    theirs?.close()
    await broker?.stop()
    await server?.dispose()
  })

  async function differences(commands: readonly (readonly string[])[]): Promise<string[]> {
    const [a, b] = await Promise.all([ours.replies(commands), theirs.replies(commands)])
    return commands.flatMap((words, i) =>
      a[i] === b[i] || isKnown(a[i]!, b[i]!) ? [] : [`${words[1]}\nours:   ${a[i]}\ntheirs: ${b[i]}`],
    )
  }

  async function compare(count: number, command: (random: Random) => string[]): Promise<string[]> {
    const found: string[] = []
    for (let from = 0; from < count; from += BATCH) {
      const commands = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) =>
        command(new Random(SEED + (from + i) * 7919)),
      )
      found.push(...(await differences(commands)))
    }
    return found.slice(0, 5)
  }

  for (const version of ['2', '3'] as const) {
    // A third of them in RESP3.
    const count = version === '2' ? COUNT - Math.floor(COUNT / 3) : Math.floor(COUNT / 3)
    test(
      `${count} generated scripts have the same replies in RESP${version}`,
      async () => {
        await Promise.all([ours, theirs].map((connection) => connection.replies([['HELLO', version]])))
        expect(await compare(count, (random) => ['EVAL', generateProgram(random).text, '0'])).toEqual([])
      },
      COUNT * 20 + 30_000,
    )
  }

  const plainCount = Math.floor(COUNT / 2)
  test(
    `${plainCount} scripts that run from top to bottom have the same replies, also the second time`,
    async () => {
      await Promise.all([ours, theirs].map((connection) => connection.replies([['HELLO', '2']])))
      // The first time they are walked, the second time they are compiled.
      for (let run = 0; run < 2; run++) {
        await Promise.all([ours, theirs].map((connection) => connection.replies([['FLUSHALL']])))
        expect(await compare(plainCount, (random) => ['EVAL', generatePlainProgram(random).text, '0'])).toEqual([])
      }
    },
    COUNT * 20 + 30_000,
  )

  test(
    `${COUNT} damaged scripts have the same messages of the compiler`,
    async () => {
      expect(await compare(COUNT, (random) => ['SCRIPT', 'LOAD', damagedProgram(random)])).toEqual([])
    },
    COUNT * 20 + 30_000,
  )
})
