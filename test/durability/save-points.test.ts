/** Save points, SAVE, BGSAVE [SCHEDULE], LASTSAVE and SHUTDOWN: when a snapshot is written, what is told of it, and refused. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Files } from '../../src/files/files.ts'
import { BrokerInProcess, type DirectClient } from './support/broker-in-process.ts'
import { memoryDirectory } from './support/memory-directory.ts'

const OK = { status: 'OK' }
const STARTED = { status: 'Background saving started' }
const SCHEDULED = { status: 'Background saving scheduled' }
const IN_PROGRESS = { error: 'ERR Background save already in progress' }
const OTHER_RUNNING = {
  error:
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
}
const MISCONF_SCRIPT =
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
const NONE_TO_CANCEL = { error: 'ERR Background saving is currently not in progress or scheduled' }
const MISCONF =
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."

/** A disk that can be full. Being other files than the system's, they are written in the thread of the test. */
class FullFiles extends Files {
  isFull = false

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    return super.write(fd, buffer, start, length, offset)
  }
}

let directory = ''
let files = new FullFiles()
let broker: BrokerInProcess
let client: DirectClient

beforeEach(() => {
  directory = memoryDirectory()
  files = new FullFiles()
})

afterEach(async () => {
  files.isFull = false
  await broker.close()
  rmSync(directory, { recursive: true, force: true })
})

async function start(options: Record<string, string | number> = {}): Promise<void> {
  broker = await BrokerInProcess.start(directory, { files, options })
  client = broker.connect()
}

function hasDump(): boolean {
  return existsSync(join(directory, 'dump.rdb'))
}

/** Lets time pass and the server look whether a snapshot is due. Returns whether one was begun. */
async function isSavedAfter(ms: number): Promise<boolean> {
  broker.clock.pass(ms)
  const before = (await broker.info()).get('rdb_saves')
  broker.server.saving.tick()
  await broker.untilQuiet()
  return (await broker.info()).get('rdb_saves') !== before
}

async function field(name: string): Promise<string> {
  return (await broker.info()).get(name) ?? ''
}

async function set(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await client.call('SET', `key:${i}`, 'x')
}

describe('a save point', () => {
  test('is due when so many changes were made and more than so many seconds have passed', async () => {
    await start({ save: '10 3' })
    await set(2)
    expect(await isSavedAfter(60_000)).toBe(false)
    await set(1)
    expect(await isSavedAfter(0)).toBe(true)
    expect(hasDump()).toBe(true)
    expect(await field('rdb_changes_since_last_save')).toBe('0')
    expect(await client.call('LASTSAVE')).toBe(Math.floor(broker.clock.nowMs / 1000))
    await set(3)
    expect(await isSavedAfter(10_000)).toBe(false)
    expect(await isSavedAfter(1)).toBe(true)
    expect(await isSavedAfter(60_000)).toBe(false)
  })

  test('is one of several, each by itself', async () => {
    await start({ save: '100 1 10 3' })
    await set(1)
    expect(await isSavedAfter(99_000)).toBe(false)
    expect(await isSavedAfter(2000)).toBe(true)
    await set(3)
    expect(await isSavedAfter(11_000)).toBe(true)
  })

  test('is changed by CONFIG SET save, and none is left with an empty one', async () => {
    await start()
    await set(5)
    expect(await isSavedAfter(1_000_000)).toBe(false)
    expect(await client.call('CONFIG', 'SET', 'save', '5 1')).toEqual(OK)
    expect(await isSavedAfter(0)).toBe(true)
    expect(await client.call('CONFIG', 'SET', 'save', '')).toEqual(OK)
    await set(5)
    expect(await isSavedAfter(1_000_000)).toBe(false)
  })

  test('does nothing without a dbfilename', async () => {
    await start({ save: '10 1', dbfilename: '' })
    await set(1)
    expect(await isSavedAfter(11_000)).toBe(false)
    expect(await client.call('SET', 'a', '1')).toEqual(OK)
  })

  test('whose snapshot failed is tried again after five seconds, and refuses writes until one succeeds', async () => {
    await start({ save: '10 1' })
    await set(1)
    files.isFull = true
    expect(await isSavedAfter(11_000)).toBe(true)
    expect(await field('rdb_last_bgsave_status')).toBe('err')
    expect(await client.call('SET', 'a', '1')).toEqual({ error: MISCONF })
    files.isFull = false
    expect(await isSavedAfter(5000)).toBe(false)
    expect(await isSavedAfter(1)).toBe(true)
    expect(await field('rdb_last_bgsave_status')).toBe('ok')
    expect(await client.call('SET', 'a', '1')).toEqual(OK)
  })
})

describe('BGSAVE', () => {
  test('is refused while one is under way, also with SCHEDULE, and so is SAVE', async () => {
    await start({ 'rdb-key-save-delay': 1_000_000 })
    await set(2)
    expect(await client.call('BGSAVE')).toEqual(STARTED)
    const replies = await client.pipeline([['BGSAVE'], ['BGSAVE', 'SCHEDULE'], ['SAVE']])
    expect(replies).toEqual([IN_PROGRESS, IN_PROGRESS, IN_PROGRESS])
    broker.clock.pass(3500)
    expect(await field('rdb_current_bgsave_time_sec')).toBe('3')
    expect(await field('rdb_bgsave_in_progress')).toBe('1')
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    await broker.untilQuiet()
    expect(await field('rdb_last_bgsave_time_sec')).toBe('3')
    expect(await field('rdb_current_bgsave_time_sec')).toBe('-1')
  })

  test('leaves what is changed meanwhile as not saved', async () => {
    await start({ 'rdb-key-save-delay': 1_000_000 })
    await set(9)
    await client.pipeline([['BGSAVE'], ['SET', 'key:0', 'y'], ['DEL', 'key:1', 'key:2']])
    expect(await field('rdb_changes_since_last_save')).toBe('12')
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    await broker.untilQuiet()
    expect(await field('rdb_changes_since_last_save')).toBe('3')
    expect(await client.call('SAVE')).toEqual(OK)
    expect(await field('rdb_changes_since_last_save')).toBe('0')
  })

  test('is refused while the log is rewritten, and with SCHEDULE begun afterwards', async () => {
    await start({ appendonly: 'yes', 'rdb-key-save-delay': 1_000_000 })
    await set(2)
    await client.call('BGREWRITEAOF')
    expect(await client.call('BGSAVE')).toEqual(OTHER_RUNNING)
    expect(await client.call('BGSAVE', 'SCHEDULE')).toEqual(SCHEDULED)
    expect(await field('rdb_bgsave_in_progress')).toBe('0')
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    await broker.untilQuiet()
    expect(await isSavedAfter(0)).toBe(true)
    expect(hasDump()).toBe(true)
    expect(await isSavedAfter(0)).toBe(false)
  })

  test('lets BGREWRITEAOF wait for its end', async () => {
    await start({ appendonly: 'yes', 'rdb-key-save-delay': 1_000_000 })
    await set(2)
    await client.call('BGSAVE')
    expect(await client.call('BGREWRITEAOF')).toEqual({ status: 'Background append only file rewriting scheduled' })
    expect(await field('aof_rewrite_scheduled')).toBe('1')
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    await broker.untilQuiet()
    broker.server.appendOnly.tick()
    expect(await field('aof_rewrites')).toBe('1')
  })

  test('CANCEL gives up the one under way: nothing is left of it, and nothing is refused for it', async () => {
    await start({ 'rdb-key-save-delay': 1_000_000 })
    await set(2)
    await client.call('BGSAVE')
    expect(await client.call('BGSAVE', 'CANCEL')).toEqual({ status: 'Background saving cancelled' })
    await broker.untilQuiet()
    expect(readdirSync(directory)).toEqual([])
    expect(await field('rdb_bgsave_in_progress')).toBe('0')
    expect(await field('rdb_last_bgsave_status')).toBe('ok')
    expect(await field('rdb_changes_since_last_save')).toBe('2')
    expect(await client.call('BGSAVE', 'CANCEL')).toEqual(NONE_TO_CANCEL)
    expect(await client.call('BGSAVE')).toEqual(STARTED)
  })

  test('CANCEL gives up the one that is scheduled', async () => {
    await start({ appendonly: 'yes', 'rdb-key-save-delay': 1_000_000 })
    await set(2)
    await client.call('BGREWRITEAOF')
    await client.call('BGSAVE', 'SCHEDULE')
    expect(await client.call('BGSAVE', 'CANCEL')).toEqual({ status: 'Scheduled background saving cancelled' })
    expect(await client.call('BGSAVE', 'CANCEL')).toEqual(NONE_TO_CANCEL)
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    await broker.untilQuiet()
    expect(await isSavedAfter(0)).toBe(false)
    expect(await field('aof_rewrites')).toBe('1')
  })

  test('is scheduled within a transaction, and begun after it', async () => {
    await start()
    const replies = await client.pipeline([['MULTI'], ['SET', 'a', '1'], ['BGSAVE'], ['SET', 'a', '2'], ['EXEC']])
    expect(replies.at(-1)).toEqual([OK, SCHEDULED, OK])
    expect(await isSavedAfter(0)).toBe(true)
    expect(await field('rdb_changes_since_last_save')).toBe('0')
  })

  test('and SAVE refuse what Redis refuses, in its words', async () => {
    await start()
    const syntax = { error: 'ERR syntax error' }
    expect(await client.call('BGSAVE', 'NOW')).toEqual(syntax)
    expect(await client.call('BGSAVE', 'SCHEDULE', 'x')).toEqual(syntax)
    expect(await client.call('SAVE', 'x')).toEqual({ error: "ERR wrong number of arguments for 'save' command" })
    expect(await client.call('LASTSAVE', 'x')).toEqual({
      error: "ERR wrong number of arguments for 'lastsave' command",
    })
    expect(await client.pipeline([['MULTI'], ['SAVE'], ['EXEC']])).toEqual([
      OK,
      { error: 'ERR Command not allowed inside a transaction' },
      { error: 'EXECABORT Transaction discarded because of previous errors.' },
    ])
    for (const name of ['SAVE', 'BGSAVE', 'SHUTDOWN'])
      expect(await client.call('EVAL', `return redis.pcall('${name}').err`, '0')).toMatch(
        /^ERR This Redis command is not allowed from script/,
      )
    expect(hasDump()).toBe(false)
  })

  test('without a dbfilename fails, as SAVE does', async () => {
    await start({ dbfilename: '' })
    expect(await client.pipeline([['BGSAVE'], ['SAVE']])).toEqual([{ error: 'ERR' }, { error: 'ERR' }])
    expect(broker.log.warnings.join('\n')).toContain('dbfilename is empty')
  })
})

describe('LASTSAVE', () => {
  test('is the start of the server until a snapshot was written, and then its end', async () => {
    await start()
    const startedSeconds = Math.floor(broker.clock.nowMs / 1000)
    broker.clock.pass(5000)
    expect(await client.call('LASTSAVE')).toBe(startedSeconds)
    files.isFull = true
    expect(await client.call('SAVE')).toEqual({ error: 'ERR' })
    expect(await client.call('LASTSAVE')).toBe(startedSeconds)
    files.isFull = false
    expect(await client.call('SAVE')).toEqual(OK)
    expect(await client.call('LASTSAVE')).toBe(startedSeconds + 5)
    expect(await field('rdb_last_save_time')).toBe(String(startedSeconds + 5))
  })
})

describe('a snapshot that failed', () => {
  async function fail(options: Record<string, string> = {}): Promise<void> {
    await start({ save: '3600 1000', ...options })
    await set(1)
    files.isFull = true
    await client.call('BGSAVE')
    await broker.untilQuiet()
    expect(await field('rdb_last_bgsave_status')).toBe('err')
  }

  test('refuses writes, alone, queued, in scripts and functions, and PING; reads are answered', async () => {
    await fail()
    expect(await client.call('DEL', 'key:0')).toEqual({ error: MISCONF })
    expect(await client.call('PING')).toEqual({ error: MISCONF })
    expect(await client.call('GET', 'key:0')).toBe('x')
    expect(await client.pipeline([['MULTI'], ['SET', 'a', '1'], ['EXEC']])).toEqual([
      OK,
      { error: MISCONF },
      { error: 'EXECABORT Transaction discarded because of previous errors.' },
    ])
    expect(await client.call('EVAL', "return redis.pcall('SET', 'a', '1').err", '0')).toMatch(/^MISCONF /)
    expect(await client.call('EVAL', "return redis.call('GET', 'key:0')", '0')).toBe('x')
    expect(await client.call('CONFIG', 'GET', 'save')).toEqual(['save', '3600 1000'])
  })

  test('refuses scripts that declare to write, before they begin', async () => {
    await fail()
    expect(await client.call('EVAL', '#!lua\nreturn 1', '0')).toEqual({ error: MISCONF })
    // The disk comes before what EVAL_RO has to say.
    expect(await client.call('EVAL_RO', '#!lua\nreturn 1', '0')).toEqual({ error: MISCONF })
    expect(await client.call('EVAL', '#!lua flags=no-writes\nreturn 1', '0')).toBe(1)
  })

  test('refuses scripts of a transaction that nobody knew when it was queued', async () => {
    await fail()
    const script = '#!lua\nreturn 1'
    const sha = createHash('sha1').update(script).digest('hex')
    expect(
      await client.pipeline([
        ['MULTI'],
        ['SCRIPT', 'LOAD', script],
        ['EVALSHA', sha, '0'],
        ['EVALSHA_RO', sha, '0'],
        ['EXEC'],
      ]),
    ).toEqual([
      OK,
      { status: 'QUEUED' },
      { status: 'QUEUED' },
      { status: 'QUEUED' },
      [sha, { error: MISCONF_SCRIPT }, { error: MISCONF_SCRIPT }],
    ])
  })

  test('refuses a transaction that was queued before', async () => {
    await start({ save: '3600 1000' })
    const other = broker.connect()
    await client.pipeline([['MULTI'], ['SET', 'a', '1']])
    files.isFull = true
    await other.call('BGSAVE')
    await broker.untilQuiet()
    expect(await client.call('EXEC')).toEqual({
      error: `EXECABORT Transaction discarded because of: ${MISCONF}`,
    })
    expect(await client.call('EXISTS', 'a')).toBe(0)
  })

  test.each([
    ['stop-writes-on-bgsave-error no', ['CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no']],
    ['no save points', ['CONFIG', 'SET', 'save', '']],
  ])('refuses nothing with %s', async (_name, change) => {
    await fail()
    expect(await client.call('SET', 'a', '1')).toEqual({ error: MISCONF })
    expect(await client.call(...change)).toEqual(OK)
    expect(await client.call('SET', 'a', '1')).toEqual(OK)
    expect(await field('rdb_last_bgsave_status')).toBe('err')
  })

  test.each(['SAVE', 'BGSAVE'])('is made good by %s', async (command) => {
    await fail()
    files.isFull = false
    await client.call(command)
    await broker.untilQuiet()
    expect(await field('rdb_last_bgsave_status')).toBe('ok')
    expect(await client.call('SET', 'a', '1')).toEqual(OK)
  })
})

describe('SHUTDOWN', () => {
  /** Returns whether the process would have ended. */
  async function shutDown(...words: string[]): Promise<{ reply: unknown; hasEnded: boolean }> {
    let hasEnded = false
    broker.server.onShutdown = () => {
      hasEnded = true
    }
    const asker = broker.connect()
    const reply = await asker.pipelineUnless(() => hasEnded, [['SHUTDOWN', ...words]])
    return { reply: reply?.[0] ?? null, hasEnded }
  }

  test.each([
    ['with save points', { save: '3600 1000' }, [], true],
    ['without save points', {}, [], false],
    ['SAVE', {}, ['SAVE'], true],
    ['NOSAVE', { save: '3600 1000' }, ['NOSAVE'], false],
    ['NOW with save points', { save: '3600 1000' }, ['NOW'], true],
    ['with save points and without dbfilename', { save: '3600 1000', dbfilename: '' }, [], false],
  ] as const)('%s writes a snapshot if it should', async (_name, options, words, isWritten) => {
    await start(options)
    await set(1)
    expect(await shutDown(...words)).toEqual({ reply: null, hasEnded: true })
    expect(hasDump()).toBe(isWritten)
  })

  test.each([
    ['with save points', { save: '3600 1000' }, []],
    ['SAVE', {}, ['SAVE']],
    ['SAVE without dbfilename', { dbfilename: '' }, ['SAVE']],
  ] as const)('%s that cannot write one is an error, and the server goes on', async (_name, options, words) => {
    await start(options)
    files.isFull = true
    await set(1)
    expect(await shutDown(...words)).toEqual({
      reply: { error: 'ERR Errors trying to SHUTDOWN. Check logs.' },
      hasEnded: false,
    })
    expect(await client.call('SET', 'a', '1')).toEqual(OK)
    expect(broker.log.warnings.join('\n')).toContain("Error trying to save the DB, can't exit.")
    files.isFull = false
    if (!('dbfilename' in options)) {
      expect(await shutDown(...words)).toEqual({ reply: null, hasEnded: true })
      expect(hasDump()).toBe(true)
    }
  })

  test('FORCE ends the process also when the snapshot cannot be written', async () => {
    await start({ save: '3600 1000' })
    files.isFull = true
    await set(1)
    expect(await shutDown('FORCE')).toEqual({ reply: null, hasEnded: true })
    expect(broker.log.warnings.join('\n')).toContain('Error trying to save the DB, exit anyway.')
    expect(hasDump()).toBe(false)
  })

  test('gives up a snapshot under way, and writes its own', async () => {
    await start({ save: '3600 1000', 'rdb-key-save-delay': 1_000_000 })
    await set(2)
    await client.pipeline([['BGSAVE'], ['SET', 'after', '1']])
    expect(await shutDown()).toEqual({ reply: null, hasEnded: true })
    await broker.close()
    await start()
    expect(await client.call('GET', 'after')).toBe('1')
  })
})

test('a directory in the place of dump.rdb fails snapshots until it is gone', async () => {
  await start({ save: '3600 1000' })
  mkdirSync(join(directory, 'dump.rdb'))
  await set(1)
  expect(await client.call('SAVE')).toEqual({ error: 'ERR' })
  expect(await client.call('BGSAVE')).toEqual(STARTED)
  await broker.untilQuiet()
  expect(await client.call('SET', 'a', '1')).toEqual({ error: MISCONF })
  rmSync(join(directory, 'dump.rdb'), { recursive: true })
  await client.call('BGSAVE')
  await broker.untilQuiet()
  expect(await client.call('SET', 'a', '1')).toEqual(OK)
})
