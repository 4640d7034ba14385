/** The tool check-rdb: what it says of good and damaged files. */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeCommand } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'
import { aux, expireTime, rdbFile, selectDb, stringKey } from './rdb-file.ts'
import { NOW_MS, run } from './run-tool.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const FILE = rdbFile(
  aux('redis-ver', '7.0.15'),
  selectDb(0),
  stringKey('a', 'one'),
  expireTime(NOW_MS + 1000),
  stringKey('b', 'two'),
  expireTime(NOW_MS - 1000),
  stringKey('c\n', 'three'),
  selectDb(3),
  stringKey('a', 'four'),
)
let directory: string
let file: string

beforeEach(() => {
  directory = temporaryDirectory()
  file = join(directory, 'dump.rdb')
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('a whole file is said to be so, with what is in it', async () => {
  writeFileSync(file, FILE)
  const { code, output } = await run('check-rdb', [file])
  expect(output.split('\n')).toEqual([
    `[offset 0] Checking RDB file ${file}`,
    "[offset 9] AUX FIELD redis-ver = '7.0.15'",
    '[offset 27] Selecting DB ID 0',
    '[offset 71] Selecting DB ID 3',
    `[offset ${FILE.length}] \\o/ RDB looks OK! \\o/`,
    '[info] RDB version 10',
    '[info] 4 keys read',
    '[info] 2 expires',
    '[info] 1 already expired',
  ])
  expect(code).toBe(0)
})

test('a checksum of 0 says that there is none', async () => {
  writeFileSync(file, Buffer.concat([FILE.subarray(0, -8), Buffer.alloc(8)]))
  expect((await run('check-rdb', [file])).code).toBe(0)
})

test('a file with any bit changed, or cut at any byte, is not valid: the offset is told and nothing is changed', async () => {
  const offset = /\[offset (\d+)\] .*, at offset \1\n/
  for (let at = 0; at < FILE.length; at++) {
    const damaged = Buffer.from(FILE)
    damaged[at] = damaged[at]! ^ 32
    for (const content of [damaged, FILE.subarray(0, at)]) {
      writeFileSync(file, content)
      const { code, output } = await run('check-rdb', [file])
      expect([at, code]).toEqual([at, 1])
      if (content.length === 0) continue
      expect(output).toContain('--- RDB ERROR DETECTED ---')
      expect(Number(offset.exec(output)?.[1])).toBeLessThanOrEqual(content.length)
      expect(readFileSync(file)).toEqual(content)
    }
  }
})

test('the last key before what is wrong is named', async () => {
  const at = FILE.indexOf('three') - 1
  const damaged = Buffer.from(FILE)
  damaged[at] = 0xc4 // an encoding of strings that there is not
  writeFileSync(file, damaged)
  const { output } = await run('check-rdb', [file])
  expect(output).toContain("[additional info] The last key before it is 'b'\n[info] RDB version 10\n[info] 2 keys read")
})

test('names that terminals would obey are quoted', async () => {
  writeFileSync(file, rdbFile(aux('x', '\x1b[2J'), selectDb(0), stringKey('k\x07', 'v'), Buffer.from([99])))
  const { output } = await run('check-rdb', [file])
  expect(output).toContain(`AUX FIELD x = '"\\x1b[2J"'`)
  expect(output).toContain(`The last key before it is '"k\\a"'`)
})

test('commands behind the snapshot are left to check-aof', async () => {
  const commands = encodeCommand(['SET', 'a', 'b'])
  writeFileSync(file, Buffer.concat([FILE, Buffer.from(commands)]))
  const { code, output } = await run('check-rdb', [file])
  expect(output).toContain(
    `[offset ${FILE.length}] Not checked: ${commands.length} bytes behind the end of the RDB file`,
  )
  expect(code).toBe(0)
  const aof = await run('check-aof', [file])
  expect(aof.output).toContain('RDB preamble is OK, proceeding with AOF tail...')
  expect(aof.output).toContain(`ok_up_to=${FILE.length + commands.length}, ok_up_to_line=8,`)
  expect(aof.code).toBe(0)
})

test('check-aof does not go on behind a damaged snapshot, and --fix does not touch it', async () => {
  const damaged = Buffer.concat([FILE, Buffer.from(encodeCommand(['SET', 'a', 'b']))])
  damaged[40] = 0xff
  writeFileSync(file, damaged)
  const { code, output } = await run('check-aof', ['--fix', '--yes', file])
  expect(output).toContain('--- RDB ERROR DETECTED ---')
  expect(output).toContain(`The RDB preamble of AOF ${file} is not sane, aborting`)
  expect(code).toBe(1)
  expect(readFileSync(file)).toEqual(damaged)
})

test('--fix behind a snapshot keeps the snapshot', async () => {
  writeFileSync(file, Buffer.concat([FILE, Buffer.from('*3\r\n')]))
  expect((await run('check-aof', ['--fix', '--yes', file])).code).toBe(0)
  expect(readFileSync(file)).toEqual(FILE)
})

describe.skipIf(!hasRedisServer)('files of redis-server', () => {
  test('are valid, and no changed byte goes unnoticed', async () => {
    const server = await ServerProcess.redis([])
    try {
      const client = await server.connect()
      for (let i = 0; i < 700; i++) {
        await client.call('HSET', 'hash', `field${i}`, `value${i}`)
        await client.call('ZADD', 'zset', String(i), `member${i}`)
      }
      for (let i = 0; i < 20; i++) {
        await client.call('RPUSH', 'list', `element ${i}`)
        await client.call('SADD', 'numbers', String(i))
        await client.call('XADD', 'stream', '*', 'field', String(i))
      }
      await client.call('XGROUP', 'CREATE', 'stream', 'group', '0')
      await client.call('XREADGROUP', 'GROUP', 'group', 'consumer', 'STREAMS', 'stream', '>')
      await client.call('SET', 'text', 'abc'.repeat(1000), 'EX', '100')
      await client.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
      await client.call('SAVE')
      client.close()
      const good = readFileSync(join(server.directory, 'dump.rdb'))
      writeFileSync(file, good)
      const { code, output } = await run('check-rdb', [file])
      expect(output).toContain(
        '[info] 6 keys read\n[info] 1 expires\n[info] 0 already expired\n[info] 1 function libraries',
      )
      expect(code).toBe(0)
      const step = Math.floor(good.length / 150)
      for (let at = 0; at < good.length; at += step) {
        const damaged = Buffer.from(good)
        damaged[at] = damaged[at]! ^ (1 + (at % 255))
        writeFileSync(file, damaged)
        const outcome = await run('check-rdb', [file])
        expect([at, outcome.code, outcome.output]).toEqual([
          at,
          1,
          expect.stringContaining('--- RDB ERROR DETECTED ---'),
        ])
      }
    } finally {
      await server.dispose()
    }
  })
})

describe('calls', () => {
  test.each([[[]], [['a', 'b']], [['--fix']]])('%j is refused, with the usage', async (args) => {
    const { code, complaint, output } = await run('check-rdb', args)
    expect(complaint).toMatch(/^Expected one file\n\nUsage: millrace check-rdb /)
    expect({ code, output }).toEqual({ code: 1, output: '' })
  })

  test('files that are no RDB files are refused', async () => {
    const cases: readonly (readonly [path: string, content: string | null, reason: string])[] = [
      ['none', null, 'Cannot open file'],
      ['empty', '', 'the file is empty'],
      ['a.manifest', 'file a seq 1 type b\n', 'it is the manifest of an append-only file, use check-aof'],
      ['text', 'hello, world', '--- RDB ERROR DETECTED ---'],
      ['newer', 'REDIS0099xxxxxxxxx', '--- RDB ERROR DETECTED ---'],
    ]
    for (const [name, content, reason] of cases) {
      const path = join(directory, name)
      if (content !== null) writeFileSync(path, content)
      const { code, output } = await run('check-rdb', [path])
      expect(output).toContain(reason)
      expect(code).toBe(1)
    }
    expect((await run('check-rdb', [directory])).output).toContain('it is not a regular file')
  })

  test('the process answers with its exit code', () => {
    writeFileSync(file, FILE)
    const check = (path: string): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, [MAIN, 'check-rdb', path], { encoding: 'utf8', timeout: 20_000 })
    expect(check(file)).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('RDB looks OK!') })
    writeFileSync(file, FILE.subarray(0, 30))
    expect(check(file)).toMatchObject({ status: 1, stderr: '', stdout: expect.stringContaining('RDB ERROR') })
  })
})
