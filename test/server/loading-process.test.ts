/** A server process that is ended while it loads its data, by whatever: exit codes, and what the next start finds. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Launched } from '../process/launched.ts'
import { encodeCommand, RespClient } from '../support/resp-client.ts'
import { freePort, temporaryDirectory } from '../support/server-process.ts'

const FOLDER = 'appendonlydir'
const FILE = 'appendonly.aof.1.incr.aof'
const COMMANDS = 50
const OK = { status: 'OK' }
/** Loading waits so long behind each command that no test lives to see the next one, in µs. */
const ENDLESS = '1000000000'

let directory = ''
let port = 0
let client: RespClient | null = null
const launched: Launched[] = []

beforeEach(async () => {
  directory = temporaryDirectory()
  port = await freePort()
})

afterEach(async () => {
  client?.close()
  client = null
  for (const process of launched.splice(0)) {
    process.signal('SIGKILL')
    await process.exit()
  }
  rmSync(directory, { recursive: true })
})

function writeLog(end = ''): void {
  const commands = Array.from({ length: COMMANDS }, (_, n) => encodeCommand(['SET', `key:${n}`, String(n)]))
  mkdirSync(join(directory, FOLDER))
  writeFileSync(join(directory, FOLDER, FILE), commands.join('') + end)
  writeFileSync(join(directory, FOLDER, 'appendonly.aof.manifest'), `file ${FILE} seq 1 type i\n`)
}

function files(): string[] {
  return readdirSync(join(directory, FOLDER))
    .filter((name) => !name.endsWith('.lock'))
    .map((name) => `${name}: ${readFileSync(join(directory, FOLDER, name), 'latin1')}`)
}

function launch(...args: string[]): Launched {
  const all = ['--port', String(port), '--dir', directory, '--appendonly', 'yes', '--http-port', '0', ...args]
  const process = new Launched(all)
  launched.push(process)
  return process
}

/** Starts a server that stands in the midst of loading, and a client of it. */
async function launchLoading(): Promise<{ readonly process: Launched; readonly client: RespClient }> {
  const process = launch('--key-load-delay', ENDLESS)
  await process.until(() => process.stdout.includes('Server initialized'))
  client = await RespClient.connect({ port })
  expect(await client.call('GET', 'key:1')).toEqual({
    error: 'LOADING Redis is loading the dataset in memory',
  })
  return { process, client }
}

async function expectAllLoaded(): Promise<void> {
  await launch().ready()
  client = await RespClient.connect({ port })
  expect(await client.call('DBSIZE')).toBe(COMMANDS)
  expect(await client.call('SET', 'later', '1')).toEqual(OK)
}

describe('a server that loads', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`ends at ${signal} with 0, and leaves the files as they are`, async () => {
      writeLog('*2\r\n$3\r\nGE')
      const before = files()
      const { process } = await launchLoading()
      process.signal(signal)
      expect(await process.exit()).toBe(0)
      expect(process.stdout).toContain('bye bye')
      expect(files()).toEqual(before)
    })
  }

  test('ends at SHUTDOWN with 0, and leaves the files as they are', async () => {
    writeLog('*2\r\n$3\r\nGE')
    const before = files()
    const { process, client } = await launchLoading()
    client.write('SHUTDOWN')
    expect(await process.exit()).toBe(0)
    expect(files()).toEqual(before)
  })

  test('killed by SIGKILL has lost nothing', async () => {
    writeLog()
    const before = files()
    const { process } = await launchLoading()
    process.signal('SIGKILL')
    expect(await process.exit()).toBe('SIGKILL')
    expect(files()).toEqual(before)
    client?.close()
    await expectAllLoaded()
  })

  test('answers while it loads, and has everything in the end', async () => {
    writeLog()
    const { process, client } = await launchLoading()
    expect(await client.call('CONFIG', 'SET', 'key-load-delay', '0')).toEqual(OK)
    await process.ready()
    expect(await client.call('DBSIZE')).toBe(COMMANDS)
    expect(process.stdout).toMatch(/DB loaded from incr file appendonly\.aof\.1\.incr\.aof: \d+\.\d{3} seconds/)
    expect(process.stdout).toMatch(/DB loaded from append only file: \d+\.\d{3} seconds/)
  })
})

describe('data that cannot be loaded end the process with 1, name the place and stay as they are', () => {
  test('a log with bytes that are no command', async () => {
    writeLog('!!!\r\n')
    const before = files()
    const process = launch()
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toMatch(/^Bad file format reading the append only file .* at offset \d+: expected a command/)
    // Redis' own tests look for it in the last line of the log.
    expect(process.stdout.trimEnd().split('\n').at(-1)).toContain('Bad file format reading the append only file')
    expect(process.stderr).not.toContain('    at ')
    expect(files()).toEqual(before)
  })

  test('a snapshot that is none', async () => {
    writeFileSync(join(directory, 'dump.rdb'), 'nonsense')
    const process = launch('--appendonly', 'no')
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toMatch(/^Fatal error loading the DB from .*dump\.rdb: .*at offset 0/)
    expect(readFileSync(join(directory, 'dump.rdb'), 'latin1')).toBe('nonsense')
  })
})
