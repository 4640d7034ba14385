/**
 * A server on a disk of which any one call fails, and whose power is cut then, under `appendfsync always`, or whose process
 * is killed, under `everysec`: after a restart everything is there that was answered. And the disk of these tests itself
 * (support/faulty-files.ts).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { type Files, SYSTEM_FILES } from '../../src/files/files.ts'
import { replaceFile } from '../../src/files/replace-file.ts'
import { Broker } from '../../src/server/broker.ts'
import { TestLog } from '../support/broker.ts'
import { type Reply, RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'
import { BrokerInProcess } from './support/broker-in-process.ts'
import { type FaultPlan, FaultyFiles, PowerLostError } from './support/faulty-files.ts'

const MODE = 0o644
/** Bound of every loop over calls: a run has some 40. */
const CALLS_MAX = 300
let directory: string

beforeEach(() => {
  directory = temporaryDirectory()
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function path(name: string): string {
  return join(directory, name)
}

function write(files: Files, name: string, text: string): number {
  const fd = files.open(path(name), 'w', MODE)
  files.write(fd, Buffer.from(text), 0, text.length, 0)
  return fd
}

describe('the disk of these tests', () => {
  test('counts calls and fails the chosen one, once', () => {
    const files = new FaultyFiles(directory, { at: 2, code: 'ENOSPC' })
    const fd = files.open(path('a'), 'w', MODE)
    expect(() => files.write(fd, Buffer.from('abc'), 0, 3, 0)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    expect(files.hasFailed).toBe(true)
    expect(files.write(fd, Buffer.from('abc'), 0, 3, 0)).toBe(3)
    files.sync(fd)
    files.close(fd)
    expect(files.calls).toEqual(['open', 'write', 'write', 'sync'])
    expect(readFileSync(path('a'), 'utf8')).toBe('abc')
  })

  test('fails calls of one kind, until it is repaired', () => {
    const files = new FaultyFiles(directory, {
      at: 1,
      code: 'EIO',
      operations: ['sync'],
      times: Number.POSITIVE_INFINITY,
    })
    const fd = write(files, 'a', 'abc')
    for (let i = 0; i < 3; i++) expect(() => files.sync(fd)).toThrow('EIO')
    files.repair()
    files.sync(fd)
    files.close(fd)
  })

  test('takes a part of a write and fails the rest', () => {
    const files = new FaultyFiles(directory, { at: 1, code: 'ENOSPC', operations: ['write'], takes: 0.5 })
    const fd = files.open(path('a'), 'w', MODE)
    expect(files.write(fd, Buffer.from('abcd'), 0, 4, 0)).toBe(2)
    expect(() => files.write(fd, Buffer.from('cd'), 0, 2, 2)).toThrow('ENOSPC')
    expect(files.write(fd, Buffer.from('cd'), 0, 2, 2)).toBe(2)
    files.close(fd)
    expect(readFileSync(path('a'), 'utf8')).toBe('abcd')
  })

  test('keeps what was synced when the power is cut, and torn ends when it is told to', () => {
    writeFileSync(path('old'), 'old')
    const files = new FaultyFiles(directory)
    const fd = write(files, 'a', 'synced')
    files.sync(fd)
    files.syncDirectory(directory)
    files.write(fd, Buffer.from('torn'), 0, 4, 6)
    const unnamed = write(files, 'b', 'synced, but its name was not')
    files.sync(unnamed)
    files.close(unnamed)
    files.cutPower(2)
    files.close(fd)
    expect(readdirSync(directory).sort()).toEqual(['a', 'old'])
    expect(readFileSync(path('a'), 'utf8')).toBe('syncedto')
    expect(readFileSync(path('old'), 'utf8')).toBe('old')
    expect(() => files.open(path('c'), 'w', MODE)).toThrow(PowerLostError)
  })

  test('has lost what a failed sync has left, whatever succeeds later, unless it is written again', () => {
    for (const [isWrittenAgain, expected] of [
      [false, 'one\0\0\0three'],
      [true, 'onetwothree'],
    ] as const) {
      const files = new FaultyFiles(directory, { at: 2, code: 'EIO', operations: ['sync'] })
      const fd = write(files, 'a', 'one')
      files.sync(fd)
      files.syncDirectory(directory)
      files.write(fd, Buffer.from('two'), 0, 3, 3)
      expect(() => files.sync(fd)).toThrow('EIO')
      if (isWrittenAgain) files.write(fd, Buffer.from('two'), 0, 3, 3)
      files.write(fd, Buffer.from('three'), 0, 5, 6)
      files.sync(fd)
      files.cutPower()
      files.close(fd)
      expect(readFileSync(path('a'), 'utf8')).toBe(expected)
    }
  })

  test('undoes renames, removals and directories that were not synced', () => {
    writeFileSync(path('a'), 'old')
    writeFileSync(path('gone'), 'gone')
    const files = new FaultyFiles(directory)
    const fd = write(files, 'temporary', 'new')
    files.sync(fd)
    files.close(fd)
    files.rename(path('temporary'), path('a'))
    files.remove(path('gone'))
    files.createDirectory(path('folder'))
    files.cutPower()
    expect(readdirSync(directory).sort()).toEqual(['a', 'gone'])
    expect(readFileSync(path('a'), 'utf8')).toBe('old')
  })

  test('keeps everything when only the process dies', () => {
    const files = new FaultyFiles(directory)
    const fd = write(files, 'a', 'written')
    files.kill()
    expect(() => files.write(fd, Buffer.from('x'), 0, 1, 7)).toThrow(PowerLostError)
    files.close(fd)
    expect(readFileSync(path('a'), 'utf8')).toBe('written')
  })

  test('finds a replacement of a file that forgets to sync', () => {
    class Forgetful extends FaultyFiles {
      override sync(): void {}
    }
    for (const [files, expected] of [
      [new FaultyFiles(directory), 'new'],
      [new Forgetful(directory), ''],
    ] as const) {
      writeFileSync(path('a'), 'old')
      replaceFile(path('a'), Buffer.from('new'), { mode: MODE, files })
      files.cutPower()
      expect(readFileSync(path('a'), 'utf8')).toBe(expected)
    }
  })
})

test('replacing a file leaves the old content or the new one, whichever call fails before the power is cut', () => {
  for (let at = 1; at < CALLS_MAX; at++) {
    writeFileSync(path('a'), 'old')
    const files = new FaultyFiles(directory, { at, code: 'EIO' })
    let isDone = true
    try {
      replaceFile(path('a'), Buffer.from('new'), { mode: MODE, files })
    } catch {
      isDone = false
    }
    files.cutPower()
    expect([at, readFileSync(path('a'), 'utf8')]).toEqual([at, isDone ? 'new' : 'old'])
    expect(readdirSync(directory)).toEqual(['a'])
    if (!files.hasFailed) return
  }
  throw new Error('There is no end of calls')
})

/** A way to end, and the policy under which nothing may be lost then. */
interface Ending {
  readonly policy: 'always' | 'everysec'
  readonly end: (files: FaultyFiles) => void
}

const POWER_CUT: Ending = { policy: 'always', end: (files) => files.cutPower(7) }
const KILLED: Ending = { policy: 'everysec', end: (files) => files.kill() }

interface Plan extends Omit<FaultPlan, 'at'> {
  readonly ending: Ending
  /** Whether more is written after the fault. */
  readonly goesOn: boolean
}

describe('a server', () => {
  /** Starts, uses and ends a server on these files. */
  async function serve(
    files: Files,
    appendfsync: string,
    use: (client: RespClient, broker: Broker) => Promise<void>,
  ): Promise<void> {
    const config = configFromOptions({
      port: 0,
      dir: directory,
      appendonly: 'yes',
      appendfsync,
      save: '',
      'http-token-file': '',
    })
    const broker = new Broker({ config, log: new TestLog(), files })
    await broker.start()
    const endpoint = await broker.listenOnFreePort('127.0.0.1')
    const client = await RespClient.connect({ port: endpoint.port })
    try {
      await use(client, broker)
    } finally {
      client.close()
      const closing = endpoint.close()
      await broker.close()
      await closing
    }
  }

  /** Writes counters until a call fails. Returns the last value of each that was answered. */
  async function count(files: FaultyFiles, { goesOn, ending }: Plan): Promise<Map<string, number>> {
    const answered = new Map<string, number>()
    const run = async (client: RespClient): Promise<void> => {
      for (let i = 0; i < 12; i++) {
        const key = `counter:${i % 3}`
        const value = i % 4 === 0 ? await increaseTwice(client, key) : await client.call('INCR', key)
        if (typeof value === 'number') answered.set(key, value)
        else expect(value).toHaveProperty('error', expect.stringMatching(/^(?:MISCONF|EXECABORT)/))
      }
    }
    try {
      await serve(files, ending.policy, async (client, broker) => {
        // The retry of the log comes with its tick, which is not waited for here.
        const tick = setInterval(() => broker.server.appendOnly.tick(), 1)
        const finished = run(client)
        // What is not answered by then never will be.
        finished.catch(() => {})
        try {
          if (goesOn) {
            await finished
            await recovered(broker)
          } else await Promise.race([finished, files.failed])
        } finally {
          clearInterval(tick)
        }
        ending.end(files)
      })
    } catch (error) {
      // It failed while the server started, or ended: what was answered counts all the same.
      expect(String(error)).toMatch(/EIO|ENOSPC|Input.output error|No space left|power/)
      ending.end(files)
    }
    return answered
  }

  /** Under everysec a write that the disk refuses is answered; it is there once the log has recovered. */
  async function recovered(broker: Broker): Promise<void> {
    while (broker.server.appendOnly.error !== null) await new Promise((resolve) => setImmediate(resolve))
  }

  async function increaseTwice(client: RespClient, key: string): Promise<Reply> {
    const replies = await client.pipeline([['MULTI'], ['INCR', key], ['INCR', key], ['EXEC']])
    const last = replies.at(-1) ?? null
    return Array.isArray(last) ? (last[1] ?? null) : last
  }

  async function expectAnswered(answered: ReadonlyMap<string, number>, at: number): Promise<void> {
    await serve(SYSTEM_FILES, 'always', async (client) => {
      for (const [key, value] of answered) {
        const found = Number(await client.call('GET', key))
        expect(found, `${key} after a fault at call ${at}`).toBeGreaterThanOrEqual(value)
      }
    })
  }

  const plans: readonly (readonly [name: string, plan: Plan])[] = [
    ['any call fails and the power is cut', { code: 'EIO', ending: POWER_CUT, goesOn: false }],
    ['any call fails, more is written and the power is cut', { code: 'EIO', ending: POWER_CUT, goesOn: true }],
    [
      'any write takes half, the disk is full for a while and the power is cut',
      { code: 'ENOSPC', operations: ['write'], takes: 0.5, times: 3, ending: POWER_CUT, goesOn: true },
    ],
    ['any call fails and the process is killed', { code: 'EIO', ending: KILLED, goesOn: false }],
    ['any call fails, the log recovers and the process is killed', { code: 'EIO', ending: KILLED, goesOn: true }],
    [
      'any write takes half, the disk is full for a while, the log recovers and the process is killed',
      { code: 'ENOSPC', operations: ['write'], takes: 0.5, times: 3, ending: KILLED, goesOn: true },
    ],
  ]
  test.each(plans)('has everything that was answered after %s', { timeout: 60_000 }, async (_name, plan) => {
    for (let at = 1; at < CALLS_MAX; at++) {
      const files = new FaultyFiles(directory, { ...plan, at })
      const answered = await count(files, plan)
      await expectAnswered(answered, at)
      if (!files.hasFailed) {
        expect([...answered.values()].reduce((sum, value) => sum + value, 0)).toBe(15)
        expect(at).toBeGreaterThan(10)
        return
      }
      rmSync(directory, { recursive: true, force: true })
      mkdirSync(directory)
      expect(existsSync(path('appendonlydir'))).toBe(false)
    }
    throw new Error('There is no end of calls')
  })
})

test('a power cut right after a rewrite has begun leaves a log that is loaded, although its last file but one is torn', async () => {
  const files = new FaultyFiles(directory)
  const broker = await BrokerInProcess.start(directory, { options: { appendonly: 'yes' }, files })
  const client = broker.connect()
  await client.call('SET', 'a', '1')
  expect(broker.server.appendOnly.flush()).toBe(true)
  client.send(['SET', 'torn', 'value'], ['BGREWRITEAOF'])
  expect(broker.server.appendOnly.isRewriting).toBe(true)
  files.cutPower(10)
  await broker.close()
  const restarted = await BrokerInProcess.start(directory, { options: { appendonly: 'yes' } })
  expect(await restarted.connect().call('DBSIZE')).toBe(0)
  await restarted.close()
})
