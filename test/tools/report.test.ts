/** The tool report: its numbers against files whose content is known, and its limits. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keyPrefix, PREFIX_BYTES_MAX } from '../../src/tools/key-prefix.ts'
import { shownName } from '../../src/tools/shown-name.ts'
import { Tally } from '../../src/tools/tally.ts'
import { TopList } from '../../src/tools/top-list.ts'
import { encodeCommand } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'
import { aux, expireTime, rdbFile, selectDb, stringKey } from './rdb-file.ts'
import { NOW_MS, run } from './run-tool.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** The year 2096, for servers with a clock of their own. */
const FAR_MS = '4000000000000'
let directory: string

beforeEach(() => {
  directory = temporaryDirectory()
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function write(name: string, content: string | Buffer): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

interface Row {
  readonly name: string
  readonly count: number
  readonly bytes: number
  readonly memory: number
}

interface Rows {
  readonly top: readonly Row[]
  readonly other: Omit<Row, 'name'>
  readonly isApproximate: boolean
}

interface Part {
  readonly path: string
  readonly files: readonly { readonly name: string; readonly bytes: number }[]
  readonly snapshot: {
    readonly rdbVersion: number
    readonly aux: Readonly<Record<string, string>>
    readonly functionLibraries: number
    readonly keys: number
    readonly bytes: number
    readonly memory: number
    readonly databases: Rows
    readonly types: Rows
    readonly lifetimes: readonly Row[]
    readonly prefixes: Rows
    readonly biggest: readonly { readonly key: string; readonly type: string; readonly length: number }[]
  } | null
  readonly commands: {
    readonly count: number
    readonly bytes: number
    readonly transactions: number
    readonly firstTimestamp: number | null
    readonly lastTimestamp: number | null
    readonly commands: Rows
    readonly prefixes: Rows
  } | null
  readonly broken: { readonly path: string; readonly offset: number; readonly problem: string } | null
}

async function parts(...args: string[]): Promise<Part[]> {
  const { output } = await run('report', ['--json', ...args])
  const { parts: found }: { parts: Part[] } = JSON.parse(output)
  return found
}

function counts({ top }: { readonly top: readonly Row[] }): Record<string, number> {
  return Object.fromEntries(top.map(({ name, count }) => [name, count]))
}

const KEYS = [
  stringKey('user:1', 'x'.repeat(50)),
  stringKey('user:2', '12'),
  Buffer.concat([expireTime(NOW_MS + 30_000), stringKey('session/a/1', 'abc')]),
  Buffer.concat([expireTime(NOW_MS - 1), stringKey('session/b/1', 'abc')]),
  stringKey('plain', 'v'),
]
const SNAPSHOT = rdbFile(aux('redis-ver', '7.2.4'), selectDb(0), ...KEYS, selectDb(5), stringKey('user:1', 'y'))

describe('a snapshot', () => {
  test('is told by type, database, lifetime and prefix, with the bytes of each', async () => {
    const [part] = await parts(write('dump.rdb', SNAPSHOT))
    const snapshot = part?.snapshot
    const bytes = [...KEYS, stringKey('user:1', 'y')].reduce((sum, key) => sum + key.length, 0)
    expect(part?.files).toEqual([{ name: 'dump.rdb', bytes: SNAPSHOT.length }])
    expect(snapshot).toMatchObject({
      rdbVersion: 10,
      aux: { 'redis-ver': '7.2.4' },
      keys: 6,
      bytes,
      functionLibraries: 0,
    })
    expect(counts(snapshot!.types)).toEqual({ 'string raw': 1, 'string embstr': 4, 'string int': 1 })
    expect(counts(snapshot!.databases)).toEqual({ '0': 5, '5': 1 })
    expect(snapshot?.lifetimes.map(({ name, count }) => [name, count])).toEqual([
      ['over', 1],
      ['up to a minute', 1],
      ['none', 4],
    ])
    expect(snapshot?.prefixes.top.map(({ name, count, bytes }) => [name, count, bytes])).toEqual([
      ['user:', 3, KEYS[0]!.length + KEYS[1]!.length + stringKey('user:1', 'y').length],
      ['session/', 2, KEYS[2]!.length + KEYS[3]!.length],
      ['', 1, KEYS[4]!.length],
    ])
    expect(snapshot?.biggest[0]).toMatchObject({ key: 'user:1', type: 'string', encoding: 'raw', length: 50, db: 0 })
    const sum = (rows: readonly Row[], field: 'count' | 'bytes' | 'memory'): number =>
      rows.reduce((total, row) => total + row[field], 0)
    for (const rows of [snapshot!.types.top, snapshot!.databases.top, snapshot!.lifetimes, snapshot!.prefixes.top]) {
      expect([sum(rows, 'count'), sum(rows, 'bytes'), sum(rows, 'memory')]).toEqual([6, bytes, snapshot?.memory])
    }
  })

  test('has deeper prefixes and shorter lists when asked for', async () => {
    const path = write('dump.rdb', SNAPSHOT)
    const [deep] = await parts('--depth', '2', path)
    expect(counts(deep!.snapshot!.prefixes)).toEqual({ 'user:': 3, 'session/a/': 1, 'session/b/': 1, '': 1 })
    const [short] = await parts('--top', '1', path)
    expect(short?.snapshot?.prefixes).toMatchObject({
      top: [{ name: 'user:' }],
      other: { count: 3 },
      isApproximate: false,
    })
    expect(short?.snapshot?.biggest).toHaveLength(1)
    expect(short?.snapshot?.types.top).toHaveLength(3)
  })

  test('as text has a table for each', async () => {
    const { code, output } = await run('report', [write('dump.rdb', SNAPSHOT)])
    expect(code).toBe(0)
    expect(output).toContain('Snapshot, RDB version 10 (redis-ver 7.2.4)\n6 keys, 141 B in the file, ')
    expect(output).toMatch(/^key prefix +count +in the file +memory\nuser: +3 +.*\nsession\/ +2 +.*\n\(none\) +1 +/m)
    expect(output).toMatch(/^time to live +count .*\nover +1 .*\nup to a minute +1 .*\nnone +4 /m)
  })

  test('that is damaged is told with its offset, and is no success', async () => {
    const path = write('dump.rdb', SNAPSHOT.subarray(0, 60))
    expect((await parts(path))[0]).toMatchObject({ snapshot: null, commands: null, broken: { path } })
    const { code, output } = await run('report', [path])
    expect(output).toMatch(/dump\.rdb cannot be read on from offset \d+: /)
    expect(code).toBe(1)
  })

  test.skipIf(!hasRedisServer)('of redis-server has the numbers of that server, and the memory of ours', async () => {
    const redis = await ServerProcess.redis([])
    const own = await ServerProcess.millrace(['--appendonly', 'no'])
    try {
      const [theirs, ours] = [await redis.connect(), await own.connect()]
      for (const client of [theirs, ours]) {
        for (let i = 0; i < 300; i++) {
          await client.call('SET', `text:${i}`, 'x'.repeat(i))
          await client.call('SET', `number:${i}`, String(i))
          await client.call('HSET', `hash:${i}`, 'a', '1', 'b', 'two')
          await client.call('ZADD', `zset:${i}`, '1', 'one', '2.5', 'two')
          await client.call('SADD', `set:${i}`, '1', '2', '3')
          await client.call('PEXPIREAT', `set:${i}`, FAR_MS)
        }
        for (let i = 0; i < 1000; i++) await client.call('RPUSH', 'big:list', `element ${i}`)
      }
      await theirs.call('SAVE')
      const [part] = await parts('--top', '100', join(redis.directory, 'dump.rdb'))
      const snapshot = part?.snapshot
      expect(counts(snapshot!.types)).toEqual({
        'string raw': 255,
        'string embstr': 45,
        'string int': 300,
        'hash listpack': 300,
        'zset listpack': 300,
        'set intset': 300,
        'list quicklist': 1,
      })
      expect(counts({ top: snapshot!.lifetimes })).toEqual({ longer: 300, none: 1201 })
      expect(snapshot?.biggest[0]).toMatchObject({ key: 'big:list', type: 'list', length: 1000 })
      let memory = 0
      for (const prefix of ['text', 'number', 'hash', 'zset', 'set'])
        for (let i = 0; i < 300; i++) memory += Number(await ours.call('MEMORY', 'USAGE', `${prefix}:${i}`))
      const small = snapshot!.prefixes.top.filter(({ name }) => name !== 'big:')
      expect(small.reduce((sum, row) => sum + row.memory, 0)).toBe(memory)
      theirs.close()
      ours.close()
    } finally {
      await Promise.all([redis.dispose(), own.dispose()])
    }
  })
})

describe('commands', () => {
  const SET = encodeCommand(['SET', 'user:1', 'x'])
  const content = [
    encodeCommand(['SELECT', '0']),
    '#TS:1700000000\r\n',
    SET,
    encodeCommand(['MULTI']),
    encodeCommand(['lpush', 'queue/a/1', 'x', 'y']),
    encodeCommand(['DEL', 'queue/b', 'user:2']),
    encodeCommand(['EXEC']),
    '#TS:1700000060\r\n',
    encodeCommand(['XGROUP', 'CREATE', 'stream:1', 'g', '0']),
    encodeCommand(['EVAL', 'return 1', '1', 'script:1', 'arg']),
    encodeCommand(['NOSUCH', 'user:3']),
    encodeCommand(['DEL', ...Array.from({ length: 100 }, (_, i) => `many:${i}`)]),
  ]

  test('are told by name, prefix and time', async () => {
    const text = content.join('')
    const [part] = await parts(write('appendonly.aof', text))
    expect(part).toMatchObject({ snapshot: null, broken: null })
    expect(part?.commands).toMatchObject({
      count: 10,
      bytes: text.length - 32,
      transactions: 1,
      firstTimestamp: 1_700_000_000,
      lastTimestamp: 1_700_000_060,
    })
    expect(counts(part!.commands!.commands)).toEqual({
      select: 1,
      set: 1,
      multi: 1,
      lpush: 1,
      del: 2,
      exec: 1,
      xgroup: 1,
      eval: 1,
      nosuch: 1,
    })
    expect(part?.commands?.commands.top.find(({ name }) => name === 'set')?.bytes).toBe(SET.length)
    expect(counts(part!.commands!.prefixes)).toEqual({
      'user:': 1,
      'queue/': 2,
      'stream:': 1,
      'script:': 1,
      'many:': 1,
    })
  })

  test('are told up to a torn end, which is no success', async () => {
    const path = write('appendonly.aof', `${SET}*3\r\n$3`)
    const { code, output } = await run('report', [path])
    expect(output).toContain('1 commands, ')
    expect(output).toContain(
      `${path} cannot be read on from offset ${SET.length + 4}: the file ends in the middle of a number`,
    )
    expect(code).toBe(1)
  })

  test('of a manifest are those of all its files, beside its base', async () => {
    const manifest = write(
      'appendonly.aof.manifest',
      'file a.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n',
    )
    write('a.base.rdb', SNAPSHOT)
    write('a.1.incr.aof', SET)
    write('a.2.incr.aof', SET + SET)
    const [part, ...others] = await parts(manifest)
    expect(others).toEqual([])
    expect(part?.files.map(({ name }) => name)).toEqual(['a.base.rdb', 'a.1.incr.aof', 'a.2.incr.aof'])
    expect(part?.snapshot?.keys).toBe(6)
    expect(part?.commands?.count).toBe(3)
  })

  test('behind a snapshot in one file are told beside it', async () => {
    const [part] = await parts(write('appendonly.aof', Buffer.concat([SNAPSHOT, Buffer.from(SET)])))
    expect(part?.snapshot?.keys).toBe(6)
    expect(part?.commands?.count).toBe(1)
  })
})

describe('a directory', () => {
  test('is reported file by file; those of a manifest only once', async () => {
    write('dump.rdb', SNAPSHOT)
    write('old.aof', encodeCommand(['PING']))
    write('notes.txt', 'nothing')
    mkdirSync(join(directory, 'appendonlydir'))
    write('appendonlydir/appendonly.aof.manifest', 'file a.incr.aof seq 1 type i\n')
    write('appendonlydir/a.incr.aof', encodeCommand(['SET', 'a:1', '1']))
    const found = (await parts(directory)).map(({ path }) => path.slice(directory.length + 1))
    expect(found).toEqual(['dump.rdb', 'old.aof', 'appendonlydir/appendonly.aof.manifest'])
    const inside = (await parts(join(directory, 'appendonlydir'))).map(({ files }) => files.map(({ name }) => name))
    expect(inside).toEqual([['a.incr.aof']])
  })

  test('without such files is refused, as are files that are not there', async () => {
    expect(await run('report', [directory])).toMatchObject({
      code: 1,
      output: `Cannot report on ${directory}: no .rdb, .aof or .manifest file in it`,
    })
    const missing = join(directory, 'none')
    expect(await run('report', [missing])).toMatchObject({
      code: 1,
      output: `Cannot open ${missing}: No such file or directory`,
    })
    const manifest = write('x.manifest', 'file gone seq 1 type i\n')
    expect((await run('report', [manifest])).output).toContain('gone: No such file or directory')
  })

  test('an empty file has nothing in it', async () => {
    const { code, output } = await run('report', [write('a.aof', '')])
    expect(output).toContain('There is nothing in it.')
    expect(code).toBe(0)
  })
})

describe('limits', () => {
  test('very many names take bounded memory: the biggest stay, totals are exact', () => {
    const tally = new Tally(10)
    for (let i = 0; i < 10_000; i++) {
      tally.add(`small:${i}`, 1, 0)
      if (i % 2 === 0) tally.add('big', 100, 0)
    }
    const { top, other, isApproximate } = tally.result(5)
    expect(top[0]).toEqual({ name: 'big', count: 5000, bytes: 500_000, memory: 0 })
    expect(isApproximate).toBe(true)
    expect(top.reduce((sum, { count }) => sum + count, other.count)).toBe(15_000)
    expect(top.reduce((sum, { bytes }) => sum + bytes, other.bytes)).toBe(510_000)
    expect(tally.size).toBeLessThanOrEqual(40)
  })

  test('a report says when it could not tell all names apart', async () => {
    const lines: string[] = []
    for (let i = 0; i < 41_000; i++) lines.push(encodeCommand(['SET', `p${i}:x`, '1']))
    const path = write('many.aof', lines.join(''))
    const [part] = await parts(path)
    const { top, other, isApproximate } = part!.commands!.prefixes
    expect(isApproximate).toBe(true)
    expect(top.length + other.count).toBe(41_000)
    expect((await run('report', [path])).output).toContain('too many to tell all apart')
  })

  test('a top list keeps the greatest, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 1, max: 10 }), (sizes, limit) => {
        const list = new TopList<number>(limit)
        for (const size of sizes) list.add(size, size)
        expect(list.items).toEqual(sizes.toSorted((a, b) => b - a).slice(0, limit))
      }),
    )
  })

  test.each([
    ['user:1:name', 1, 'user:'],
    ['user:1:name', 2, 'user:1:'],
    ['user:1:name', 5, 'user:1:'],
    ['a/b:c', 1, 'a/'],
    ['plain', 1, ''],
    [':x', 1, ':'],
    ['', 1, ''],
    [`${'x'.repeat(PREFIX_BYTES_MAX)}:y`, 1, ''],
  ])('the prefix of %j, depth %i, is %j', (key, depth, prefix) => {
    expect(keyPrefix(Buffer.from(`..${key}`), 2, key.length, depth)).toBe(prefix)
  })

  test('names are shown as they are, and quoted where that would be misread', () => {
    expect(shownName('user:1')).toBe('user:1')
    expect(shownName(Buffer.from('größe').toString('latin1'))).toBe('größe')
    expect(shownName('a\nb')).toBe('"a\\nb"')
    expect(shownName('\xff')).toBe('"\\xff"')
    expect(shownName('"')).toBe('"\\""')
    expect(shownName('x'.repeat(300))).toBe(`${'x'.repeat(256)}…`)
    const long = Buffer.from(`${'x'.repeat(255)}é${'y'.repeat(10)}`).toString('latin1')
    expect(shownName(long)).toBe(`${'x'.repeat(255)}…`)
  })
})

describe('calls', () => {
  test.each([
    [[], 'Expected a file or a directory'],
    [['a', 'b'], 'Expected one file or directory'],
    [['--nosuch', 'a'], 'Unknown option --nosuch'],
    [['--depth', '0', 'a'], 'Expected a number from 1 to 10 behind --depth'],
    [['--depth', 'x', 'a'], 'Expected a number from 1 to 10 behind --depth'],
    [['--top'], 'Expected a number from 1 to 10000 behind --top'],
    [['--top', '10001', 'a'], 'Expected a number from 1 to 10000 behind --top'],
  ])('%j is refused, with the usage', async (args, reason) => {
    const { code, complaint, output } = await run('report', args)
    expect(complaint.startsWith(`${reason}\n\nUsage: millrace report `)).toBe(true)
    expect({ code, output }).toEqual({ code: 1, output: '' })
  })

  test('a configuration file of that name is read when its path is given', () => {
    write('report', 'nosuch directive\n')
    const start = (name: string): string =>
      spawnSync(process.execPath, [MAIN, name], { cwd: directory, encoding: 'utf8', timeout: 20_000 }).stderr
    expect(start('./report')).toContain("'nosuch directive'")
    expect(start('report')).toContain('Usage: millrace report')
  })

  test('a reader who stops reading ends it without a word', () => {
    const path = write('dump.rdb', SNAPSHOT)
    const line = `"${process.execPath}" "${MAIN}" report --json "${path}" | head -c 1`
    const { stdout, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8', timeout: 20_000 })
    expect({ stdout, stderr }).toEqual({ stdout: '{', stderr: '' })
  })
})
