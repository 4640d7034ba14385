/**
 * BGREWRITEAOF and BGSAVE on a disk of which any one call fails, and of which the power is cut, or whose process is
 * killed, between any two: after a restart everything is there that was answered, no transaction is torn, and the next
 * rewrite leaves no file but those that the manifest names.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FileDone, Files } from '../../src/files/files.ts'
import { BrokerInProcess, type DirectClient, nextTurn } from './support/broker-in-process.ts'
import { EndingFiles } from './support/ending-files.ts'
import { FaultyFiles } from './support/faulty-files.ts'
import { memoryDirectory } from './support/memory-directory.ts'

/** Bound of every loop over calls: a run has some 90. */
const CALLS_MAX = 300
const WRITES = 10
const BIG_FIELDS = 300
const TORN_BYTES = 9

/** The system's files, in the thread of the test: that of a snapshot takes its time to start. */
class SoundFiles extends Files {
  override removeLater(path: string, done: FileDone): void {
    this.remove(path)
    done(null)
  }
}

let directory = ''

beforeEach(() => {
  directory = memoryDirectory()
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** The last value of each counter that was answered; `both` counts transactions on two keys. */
type Answered = Map<string, number>

interface Outcome {
  readonly answered: Answered
  /** Files that could not be removed, as the log says: nobody tries again. */
  readonly left: readonly string[]
}

interface Run {
  readonly policy: 'always' | 'everysec'
  readonly preamble: 'yes' | 'no'
}

function optionsOf({ policy, preamble }: Run): Record<string, string | number> {
  return { appendonly: 'yes', appendfsync: policy, 'aof-use-rdb-preamble': preamble, 'auto-aof-rewrite-percentage': 0 }
}

/** Writes and rewrites until somebody gives up. */
async function work(broker: BrokerInProcess, answered: Answered, isGivenUp: () => boolean): Promise<void> {
  const client = broker.connect()
  const call = async (...commands: string[][]): Promise<unknown> => {
    const replies = await client.pipelineUnless(() => {
      // What failed is tried again by the tick of the log.
      if (!isGivenUp()) broker.server.appendOnly.tick()
      return isGivenUp()
    }, commands)
    return replies?.at(-1) ?? null
  }
  const big = Array.from({ length: BIG_FIELDS }, (_, i) => [`f${i}`, 'v']).flat()
  await call(['HSET', 'big', ...big])
  for (let i = 0; i < WRITES && !isGivenUp(); i++) {
    if (i === 3 || i === 7) await call(['BGREWRITEAOF'])
    if (i === 5) await call(['BGSAVE'])
    if (i % 3 === 0) {
      const reply = await call(['MULTI'], ['INCR', 'one'], ['HINCRBY', 'big', 'two', '1'], ['EXEC'])
      if (Array.isArray(reply)) answered.set('both', Number(reply[0]))
    } else {
      const key = `counter:${i % 2}`
      const reply = await call(['INCR', key])
      if (typeof reply === 'number') answered.set(key, reply)
    }
  }
}

/** Starts again on the system's files: what was answered is there, and a rewrite succeeds and leaves nothing else. */
async function expectAnswered(run: Run, { answered, left }: Outcome, what: string): Promise<void> {
  const broker = await BrokerInProcess.start(directory, { files: new SoundFiles(), options: optionsOf(run) })
  try {
    const client = broker.connect()
    const [one, two] = [await number(client, 'GET', 'one'), await number(client, 'HGET', 'big', 'two')]
    expect(one, `transaction, ${what}`).toBe(two)
    for (const [key, value] of answered) {
      const found = key === 'both' ? one : await number(client, 'GET', key)
      expect(found - value, `${key}, ${what}`).toBeOneOf([0, 1])
    }
    // The start may have something to tidy.
    await broker.untilQuiet()
    client.send(['BGREWRITEAOF'])
    await broker.untilQuiet()
    const named = manifestOf().map((line) => line.split(' ')[1]!)
    const expected = [...named, 'appendonly.aof.lock', 'appendonly.aof.manifest'].sort()
    const found = readdirSync(join(directory, 'appendonlydir')).filter((name) => !left.includes(name))
    expect(found.sort(), what).toEqual(expected)
  } finally {
    await broker.close()
  }
}

async function number(client: DirectClient, ...command: string[]): Promise<number> {
  return Number((await client.call(...command)) ?? 0)
}

function manifestOf(): string[] {
  return readFileSync(join(directory, 'appendonlydir', 'appendonly.aof.manifest'), 'utf8')
    .trimEnd()
    .split('\n')
}

function empty(): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
}

/** Runs a server on these files; it may fail to start, or to end. */
async function serve(
  run: Run,
  files: FaultyFiles,
  isGivenUp: () => boolean,
  end: (broker: BrokerInProcess | null) => Promise<void>,
): Promise<Outcome> {
  const answered: Answered = new Map()
  let broker: BrokerInProcess | null = null
  try {
    broker = await BrokerInProcess.start(directory, { files, options: optionsOf(run) })
    await work(broker, answered, isGivenUp)
  } catch (error) {
    // The start fails where the disk does.
    expect(String(error)).toMatch(/EIO|ENOSPC|Input.output error|No space left|power/)
  }
  await end(broker)
  // What was under way on the thread pool fails now: closing the log would wait for it.
  for (let turn = 0; turn < 3; turn++) await nextTurn()
  await broker
    ?.close()
    .catch((error: unknown) => expect(String(error)).toMatch(/EIO|ENOSPC|Input.output error|No space left|power/))
  const left = (broker?.log.warnings ?? []).flatMap((line) => /^Cannot remove .*\/(\S+): Input/.exec(line)?.[1] ?? [])
  return { answered, left }
}

describe.each([
  { policy: 'always', preamble: 'yes' },
  { policy: 'everysec', preamble: 'no' },
] as const)('appendfsync $policy, aof-use-rdb-preamble $preamble', (run) => {
  const end = (files: FaultyFiles): void => (run.policy === 'always' ? files.cutPower(TORN_BYTES) : files.kill())
  const ending = run.policy === 'always' ? 'the power is cut' : 'the process is killed'

  test(`${ending} between any two steps: nothing is missing that was answered`, { timeout: 60_000 }, async () => {
    for (let at = 0; ; at++) {
      expect(at).toBeLessThan(CALLS_MAX)
      const files = new EndingFiles(directory, end)
      files.callsLeft = at
      const outcome = await serve(
        run,
        files,
        () => files.hasEnded,
        async () => end(files),
      )
      await expectAnswered(run, outcome, `end before call ${at}`)
      if (!files.hasEnded) {
        expect([...outcome.answered.values()].reduce((sum, value) => sum + value)).toBe(WRITES)
        return
      }
      empty()
    }
  })

  test.each([
    ['any one call fails', { code: 'EIO' }],
    [
      'any write takes half and the disk is full for a while',
      { code: 'ENOSPC', operations: ['write'], takes: 0.5, times: 3 },
    ],
  ] as const)(`%s, the log recovers and ${ending}: nothing is missing`, { timeout: 60_000 }, async (_name, plan) => {
    for (let at = 1; ; at++) {
      expect(at).toBeLessThan(CALLS_MAX)
      const files = new FaultyFiles(directory, { ...plan, at })
      const outcome = await serve(
        run,
        files,
        () => false,
        async (broker) => {
          await broker?.until(() => {
            broker.server.appendOnly.tick()
            return broker.server.appendOnly.error === null && !broker.server.snapshots.isActive
          })
          end(files)
        },
      )
      await expectAnswered(run, outcome, `fault at call ${at}, ${files.calls[at - 1]}`)
      if (!files.hasFailed) return
      empty()
    }
  })
})
