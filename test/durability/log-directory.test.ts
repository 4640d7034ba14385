/** Directories as crashes, disks and people leave them: what is no whole log is refused, and nothing in it is overwritten. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Files } from '../../src/files/files.ts'
import { BrokerInProcess } from './support/broker-in-process.ts'
import { FaultyFiles } from './support/faulty-files.ts'
import { memoryDirectory } from './support/memory-directory.ts'

const MANIFEST = 'appendonly.aof.manifest'
const BASE = 'appendonly.aof.1.base.rdb'
const INCREMENTAL = 'appendonly.aof.1.incr.aof'
const LOCK = 'appendonly.aof.lock'
const GOES_ON_EVERY = 5
const OPTIONS = { appendonly: 'yes', appendfsync: 'always' }

let directory = ''
const brokers: BrokerInProcess[] = []

beforeEach(() => {
  directory = memoryDirectory()
})

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
  rmSync(directory, { recursive: true, force: true })
})

async function start(options: Record<string, string> = {}, files: Files | null = null): Promise<BrokerInProcess> {
  const settings = { options: { ...OPTIONS, ...options } }
  const broker = await BrokerInProcess.start(directory, files === null ? settings : { ...settings, files })
  brokers.push(broker)
  return broker
}

/** A log with one key. */
async function prepare(): Promise<void> {
  const broker = await start()
  await broker.connect().call('SET', 'key', 'value')
  await broker.close()
}

function path(name: string): string {
  return join(directory, 'appendonlydir', name)
}

/** Names and contents of all files but the lock. */
function snapshot(): Map<string, string> {
  const names = readdirSync(join(directory, 'appendonlydir')).filter((name) => name !== LOCK)
  return new Map(names.sort().map((name) => [name, readFileSync(path(name), 'latin1')]))
}

describe('a log without its manifest', () => {
  test('is refused, with what to do, and nothing in it is changed', async () => {
    await prepare()
    rmSync(path(MANIFEST))
    const before = snapshot()
    expect([...before.keys()]).toEqual([BASE, INCREMENTAL])
    await expect(start()).rejects.toThrow(
      `${join(directory, 'appendonlydir')} holds ${INCREMENTAL}, but no manifest, which says what else belongs to it. Put ${MANIFEST} back, or move the files away to begin a new log`,
    )
    expect(snapshot()).toEqual(before)
  })

  test('is not overwritten by CONFIG SET appendonly yes or BGREWRITEAOF either', async () => {
    await prepare()
    rmSync(path(MANIFEST))
    const before = snapshot()
    const broker = await start({ appendonly: 'no' })
    const client = broker.connect()
    expect(await client.call('CONFIG', 'SET', 'appendonly', 'yes')).toEqual({
      error:
        "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.",
    })
    expect(await client.call('BGREWRITEAOF')).toHaveProperty('error')
    expect(broker.log.warnings.join('\n')).toContain('but no manifest')
    expect(snapshot()).toEqual(before)
  })

  test('is refused also when there is but a base of a later rewrite', async () => {
    await prepare()
    for (const name of [MANIFEST, INCREMENTAL]) rmSync(path(name))
    writeFileSync(path('appendonly.aof.7.base.rdb'), 'data')
    await expect(start()).rejects.toThrow('holds appendonly.aof.7.base.rdb, but no manifest')
  })

  test('is begun anew where a crash has come before the first manifest', async () => {
    mkdirSync(join(directory, 'appendonlydir'))
    writeFileSync(path(BASE), 'half a ba')
    writeFileSync(path(INCREMENTAL), '')
    const broker = await start()
    await broker.connect().call('SET', 'key', 'value')
    await broker.close()
    expect(await (await start()).connect().call('GET', 'key')).toBe('value')
  })

  test('is no log where the files are those of another one', async () => {
    await prepare()
    const other = await start({ appendfilename: 'other.aof' })
    expect(await other.connect().call('DBSIZE')).toBe(0)
    await other.close()
    expect(await (await start()).connect().call('GET', 'key')).toBe('value')
  })
})

describe('a manifest', () => {
  test.each([
    BASE,
    INCREMENTAL,
  ])('that names %s, which is missing, is refused, and nothing is changed', async (name) => {
    await prepare()
    rmSync(path(name))
    const before = snapshot()
    await expect(start()).rejects.toThrow(
      `Cannot load the append-only file ${name} that the manifest names: No such file or directory`,
    )
    expect(snapshot()).toEqual(before)
  })

  test.each([
    ['', /empty AOF manifest/],
    ['file a seq 1 type b\nfile b seq 2 type b\n', /line 2/],
    ['file ../a seq 1 type b\n', /line 1/],
    ['\0\0\0\0\0\0\0\0', /line 1/],
  ])('with %j is refused, and nothing is changed', async (content, message) => {
    await prepare()
    writeFileSync(path(MANIFEST), content)
    const before = snapshot()
    await expect(start()).rejects.toThrow(message)
    expect(snapshot()).toEqual(before)
  })
})

test('an RDB base that is empty is refused, not taken for no keys, and nothing is changed', async () => {
  await prepare()
  for (const content of ['', 'RED']) {
    writeFileSync(path(BASE), content)
    const before = snapshot()
    await expect(start()).rejects.toThrow(
      `Error reading the RDB base file ${BASE}, AOF loading aborted: Expected an RDB file, found ${content.length} bytes, at offset 0`,
    )
    expect(snapshot()).toEqual(before)
  }
})

test.each([
  [BASE, 'Cannot load PATH: it is a directory'],
  [MANIFEST, 'Cannot read the AOF manifest PATH: Is a directory'],
  [LOCK, 'Cannot write the lock PATH: Is a directory'],
])('a directory in the place of %s is named', async (name, message) => {
  await prepare()
  rmSync(path(name), { force: true })
  mkdirSync(path(name))
  await expect(start()).rejects.toThrow(message.replace('PATH', path(name)))
})

test('a directory in the place of the snapshot is named', async () => {
  const dump = join(directory, 'dump.rdb')
  mkdirSync(dump)
  await expect(start({ appendonly: 'no' })).rejects.toThrow(
    `Fatal error loading the DB: can't open the RDB file ${dump} for reading: it is a directory`,
  )
})

test('foreign files stay as they are, and temporary ones of a crash are removed', async () => {
  await prepare()
  const foreign = [
    'notes.txt',
    'appendonly.aof.bak',
    'appendonly.aof.9.incr.aof',
    'temp-other.aof.base',
    'appendonly.aof.x.base.rdb',
  ]
  for (const name of [
    ...foreign,
    'temp-appendonly.aof.base',
    'temp-appendonly.aof.incr',
    'temp-appendonly.aof.manifest',
  ])
    writeFileSync(path(name), name)
  const broker = await start()
  const client = broker.connect()
  expect(await client.call('GET', 'key')).toBe('value')
  await client.call('BGREWRITEAOF')
  await broker.untilQuiet()
  await broker.until(() => !readdirSync(join(directory, 'appendonlydir')).some((name) => name.startsWith('temp-a')))
  for (const name of foreign) expect(readFileSync(path(name), 'utf8')).toBe(name)
  await broker.close()
  expect(await (await start()).connect().call('GET', 'key')).toBe('value')
})

describe('a directory in which nothing can be written', () => {
  const readOnly = (): FaultyFiles =>
    new FaultyFiles(directory, {
      at: 1,
      code: 'EROFS',
      times: Number.POSITIVE_INFINITY,
      operations: ['open', 'write', 'rename', 'remove', 'createDirectory'],
    })

  test('ends the start where there is no log yet', async () => {
    await expect(start({}, readOnly())).rejects.toThrow('EROFS')
    expect(readdirSync(directory)).toEqual([])
  })

  test('ends the start where there is one, which stays as it is', async () => {
    await prepare()
    const before = snapshot()
    await expect(start({}, readOnly())).rejects.toThrow('EROFS')
    expect(snapshot()).toEqual(before)
    expect(await (await start()).connect().call('GET', 'key')).toBe('value')
  })

  test('serves reads of a snapshot, and fails snapshots', async () => {
    const first = await start({ appendonly: 'no' })
    await first.connect().pipeline([['SET', 'key', 'value'], ['SAVE']])
    await first.close()
    const broker = await start({ appendonly: 'no', save: '3600 1' }, readOnly())
    const client = broker.connect()
    expect(await client.call('GET', 'key')).toBe('value')
    expect(await client.call('SAVE')).toEqual({ error: 'ERR' })
    await client.call('BGSAVE')
    await broker.untilQuiet()
    expect(await client.call('SET', 'key', 'other')).toHaveProperty('error', expect.stringMatching(/^MISCONF/))
    expect(readdirSync(directory)).toEqual(['dump.rdb'])
  })
})

describe.each([
  ['with checksums and time stamps', { 'aof-checksums': 'yes', 'aof-timestamp-enabled': 'yes' }],
  ['without checksums', { 'aof-checksums': 'no', 'aof-timestamp-enabled': 'no' }],
])('a log %s that ends at any byte of its last records', (_how, options) => {
  test('holds what was whole, and goes on', { timeout: 30_000 }, async () => {
    const broker = await start(options)
    const client = broker.connect()
    await client.pipeline([['RPUSH', 'list', 'a', 'b'], ['BGREWRITEAOF']])
    await broker.untilQuiet()
    const file = 'appendonly.aof.2.incr.aof'
    /** Length of the file, and the list, after each unit. */
    const states: { bytes: number; list: string[] }[] = []
    const units: string[][][] = [
      [['RPUSH', 'list', 'c']],
      [['MULTI'], ['RPUSH', 'list', 'd'], ['SET', 'other', '1'], ['RPUSH', 'list', 'e'], ['EXEC']],
      [['EVAL', "redis.call('RPUSH', 'list', 'f') redis.call('LPOP', 'list')", '0']],
      [['RPOPLPUSH', 'list', 'list']],
    ]
    const note = async (): Promise<void> => {
      const list = (await client.call('LRANGE', 'list', '0', '-1')) as string[]
      states.push({ bytes: readFileSync(path(file)).length, list })
    }
    await note()
    for (const unit of units) {
      broker.clock.pass(1500)
      await client.pipeline(unit)
      await note()
    }
    await broker.close()
    const whole = readFileSync(path(file))
    // The checksum of them all comes at the end.
    const last = states.at(-1)!
    expect(whole.toString('latin1', last.bytes)).toMatch(/^(?:#CRC32:[0-9a-f]{8}:\d+\r\n)?$/)

    for (let bytes = whole.length; bytes >= states[2]!.bytes; bytes--) {
      writeFileSync(path(file), whole.subarray(0, bytes))
      const torn = await start(options)
      const reader = torn.connect()
      const list = await reader.call('LRANGE', 'list', '0', '-1')
      const expected = states.filter((state) => state.bytes <= bytes).at(-1)!
      const later = states.find((state) => state.bytes >= bytes) ?? last
      // What follows a unit is an annotation, without which it is whole too.
      expect([expected.list, later.list], `cut at ${bytes}`).toContainEqual(list)
      if (expected.bytes === bytes) expect(list).toEqual(expected.list)
      // Now and then, for it takes its time: what is written behind the cut is there too.
      if (bytes % GOES_ON_EVERY !== 0) {
        await torn.close()
        continue
      }
      await reader.call('RPUSH', 'list', 'after')
      await torn.close()
      const again = await start(options)
      expect(await again.connect().call('LRANGE', 'list', '0', '-1'), `cut at ${bytes}`).toEqual([
        ...(list as string[]),
        'after',
      ])
      await again.close()
    }
  })
})
