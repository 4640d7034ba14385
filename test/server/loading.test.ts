/**
 * What clients see while data are loaded. `key-load-delay` holds loading up after the first command until a test sets it
 * to 0, so nothing here depends on how fast anything is.
 */
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import { AofLoadError } from '../../src/persistence/aof-load.ts'
import { Broker } from '../../src/server/broker.ts'
import { ListenError } from '../../src/server/tcp-ports.ts'
import { TestLog } from '../support/broker.ts'
import { encodeCommand, RespClient } from '../support/resp-client.ts'
import { freePort, temporaryDirectory } from '../support/server-process.ts'

const FOLDER = 'appendonlydir'
const FILE = 'appendonly.aof.1.incr.aof'
const LOADING = { error: 'LOADING Redis is loading the dataset in memory' }
const OK = { status: 'OK' }
const LIMIT_MS = 10_000

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const log = [
  ['SELECT', '0'],
  ['SET', 'first', '1'],
  ['RPUSH', 'list', 'a', 'b'],
  ['SET', 'past', 'gone', 'PXAT', '1'],
  ['INCR', 'first'],
]
  .map(encodeCommand)
  .join('')

function directoryWith(content: string): string {
  const directory = temporaryDirectory()
  cleanUps.push(() => rmSync(directory, { recursive: true }))
  mkdirSync(join(directory, FOLDER))
  writeFileSync(join(directory, FOLDER, FILE), content, 'latin1')
  writeFileSync(join(directory, FOLDER, 'appendonly.aof.manifest'), `file ${FILE} seq 1 type i\n`)
  return directory
}

function filesIn(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.endsWith('.lock'),
  )
  return Object.fromEntries(files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'latin1')]))
}

class LoadingBroker {
  readonly broker: Broker
  readonly log = new TestLog()
  readonly directory: string
  /** Settles when the start is over. */
  readonly started: Promise<void>
  private readonly port: number

  private constructor(port: number, directory: string, options: ConfigOptions) {
    this.port = port
    this.directory = directory
    const config = configFromOptions({
      port,
      bind: '127.0.0.1',
      dir: directory,
      appendonly: 'yes',
      save: '',
      'http-token-file': '',
      'enable-debug-command': 'yes',
      'key-load-delay': 1_000_000_000,
      ...options,
    })
    this.broker = new Broker({ config, log: this.log })
    this.started = this.broker.start()
    // A test that expects the failure awaits it itself.
    this.started.catch(() => {})
    cleanUps.push(() => this.broker.close())
  }

  /** Starts a broker whose loading waits behind the first command of the log. */
  static async start(content: string, options: ConfigOptions = {}): Promise<LoadingBroker> {
    return new LoadingBroker(await freePort(), directoryWith(content), options)
  }

  /** Connects as soon as the port is open. */
  async connect(): Promise<RespClient> {
    const limit = performance.now() + LIMIT_MS
    for (;;) {
      try {
        const client = await RespClient.connect({ port: this.port })
        cleanUps.push(() => client.close())
        return client
      } catch (error) {
        if (performance.now() > limit) throw error
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
}

async function finishLoading(loading: LoadingBroker, client: RespClient): Promise<void> {
  expect(await client.call('CONFIG', 'SET', 'key-load-delay', '0')).toEqual(OK)
  await loading.started
}

async function persistence(client: RespClient): Promise<Record<string, string>> {
  const text = await client.call('INFO', 'persistence')
  if (typeof text !== 'string') throw new Error('No INFO')
  return Object.fromEntries(text.split('\r\n').map((line) => line.split(':') as [string, string]))
}

describe('while data are loaded', () => {
  test('commands that need them are refused, and answered once all are there', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    expect(await client.call('GET', 'first')).toEqual(LOADING)
    expect(await client.call('SET', 'first', 'x')).toEqual(LOADING)
    expect(await client.call('PING')).toEqual(LOADING)
    expect(await client.call('EVAL', 'return 1', '0')).toEqual(LOADING)
    expect(await client.call('BLPOP', 'list', '0')).toEqual(LOADING)
    await finishLoading(loading, client)
    expect(await client.call('GET', 'first')).toBe('2')
    expect(await client.call('LRANGE', 'list', '0', '-1')).toEqual(['a', 'b'])
    expect(await client.call('EXISTS', 'past')).toBe(0)
  })

  test('commands that need no data are answered', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    expect(await client.call('ECHO', 'x')).toBe('x')
    expect(await client.call('CLIENT', 'SETNAME', 'early')).toEqual(OK)
    expect(await client.call('SELECT', '1')).toEqual(OK)
    expect(await client.call('SUBSCRIBE', 'channel')).toEqual(['subscribe', 'channel', 1])
  })

  test('what is wrong with a command comes first: its name, its arguments, the login', async () => {
    const loading = await LoadingBroker.start(log, { requirepass: 'secret' })
    const client = await loading.connect()
    expect(await client.call('NOSUCH')).toEqual({ error: expect.stringMatching(/^ERR unknown command/) })
    expect(await client.call('GET')).toEqual({ error: "ERR wrong number of arguments for 'get' command" })
    expect(await client.call('GET', 'first')).toEqual({ error: 'NOAUTH Authentication required.' })
    expect(await client.call('AUTH', 'secret')).toEqual(OK)
    expect(await client.call('GET', 'first')).toEqual(LOADING)
    await client.call('SUBSCRIBE', 'channel')
    expect(await client.call('GET', 'first')).toEqual({ error: expect.stringMatching(/^ERR Can't execute 'get'/) })
  })

  test('a transaction queues no command that needs data, and is refused then', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    expect(await client.call('MULTI')).toEqual(OK)
    expect(await client.call('ECHO', 'x')).toEqual({ status: 'QUEUED' })
    expect(await client.call('GET', 'first')).toEqual(LOADING)
    expect(await client.call('EXEC')).toEqual({
      error: 'EXECABORT Transaction discarded because of previous errors.',
    })
    expect(await client.pipeline([['MULTI'], ['ECHO', 'x'], ['EXEC']])).toEqual([OK, { status: 'QUEUED' }, ['x']])
  })

  test('a key that is watched counts as changed when loading has ended', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    expect(await client.call('WATCH', 'list')).toEqual(OK)
    await finishLoading(loading, client)
    expect(await client.pipeline([['MULTI'], ['ECHO', 'x'], ['EXEC']])).toEqual([OK, { status: 'QUEUED' }, null])
  })

  test('INFO tells how far it has come', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    const before = await persistence(client)
    expect(before).toMatchObject({
      loading: '1',
      async_loading: '0',
      loading_total_bytes: String(log.length),
      loading_rdb_used_mem: '0',
    })
    expect(Number(before.loading_loaded_bytes)).toBe(encodeCommand(['SELECT', '0']).length)
    expect(Number(before.loading_start_time)).toBeGreaterThan(1_700_000_000)
    expect(before.loading_loaded_perc).toBe((2300 / log.length).toFixed(2))
    expect(Number(before.loading_eta_seconds)).toBeGreaterThanOrEqual(0)
    await finishLoading(loading, client)
    const after = await persistence(client)
    expect(after).toMatchObject({ loading: '0', async_loading: '0' })
    expect(after).not.toHaveProperty('loading_total_bytes')
  })

  test('settings that loading depends on, and commands that would change data, are refused', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    expect(await client.call('CONFIG', 'SET', 'appendonly', 'no')).toEqual(LOADING)
    for (const words of [['POPULATE', '10'], ['LOADAOF'], ['RELOAD']]) {
      expect(await client.call('DEBUG', ...words), words.join(' ')).toEqual(LOADING)
    }
    await finishLoading(loading, client)
    expect(await client.call('EXISTS', 'first', 'key:0')).toBe(1)
  })

  test('a key whose time is over is not removed under the hands of the log', async () => {
    const content = [
      ['SET', 'k', 'old', 'PXAT', '1'],
      ['SET', 'k', 'new', 'NX'],
      ['APPEND', 'k', 'er'],
      ['PERSIST', 'k'],
    ]
    const loading = await LoadingBroker.start(content.map(encodeCommand).join(''))
    const client = await loading.connect()
    await client.call('CLIENT', 'PAUSE', '0')
    await client.call('CLIENT', 'UNPAUSE')
    expect(await client.call('DEBUG', 'OBJECT', 'k')).toEqual({ status: expect.stringContaining('encoding') })
    expect(await client.call('WATCH', 'k')).toEqual(OK)
    expect(await client.pipeline([['MULTI'], ['EXEC']])).toEqual([OK, []])
    await finishLoading(loading, client)
    expect(await client.call('GET', 'k')).toBe('older')
  })

  test('counters are those of clients, not of the log', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    await client.call('ECHO', 'x')
    await finishLoading(loading, client)
    const stats = String(await client.call('INFO', 'stats'))
    expect(stats).toContain('total_connections_received:1\r\n')
    expect(stats).toContain('total_commands_processed:2\r\n')
    expect(stats).toContain('keyspace_hits:0\r\n')
    const commands = String(await client.call('INFO', 'commandstats'))
    expect(commands).toContain('cmdstat_echo:calls=1')
    expect(commands).not.toContain('cmdstat_set')
  })
})

test('a big log is loaded in slices, between which clients are answered', async () => {
  const value = 'v'.repeat(1000)
  const content = Array.from({ length: 20_000 }, (_, n) => encodeCommand(['SET', `key:${n}`, value])).join('')
  const loading = await LoadingBroker.start(content, { 'loading-process-events-interval-bytes': 512 * 1024 })
  const client = await loading.connect()
  const steps: number[] = []
  await client.call('CONFIG', 'SET', 'key-load-delay', '0')
  for (;;) {
    const lines = await persistence(client)
    if (lines.loading === '0') break
    steps.push(Number(lines.loading_loaded_bytes))
  }
  await loading.started
  expect(await client.call('DBSIZE')).toBe(20_000)
  // Some 40 slices; a client may see every second one only.
  expect(new Set(steps).size).toBeGreaterThan(10)
  expect(steps).toEqual([...steps].sort((a, b) => a - b))
})

describe('the end in the midst of loading', () => {
  test('close() ends it: nothing of the files has changed, and the log can be loaded again', async () => {
    // A torn end is one that a completed load would have cut off.
    const loading = await LoadingBroker.start(`${log}*2\r\n$3\r\nGE`)
    const client = await loading.connect()
    const before = filesIn(loading.directory)
    expect(await client.call('GET', 'first')).toEqual(LOADING)
    await loading.broker.close()
    await client.closed()
    await loading.started
    expect(filesIn(loading.directory)).toEqual(before)
    expect(readdirSync(join(loading.directory, FOLDER))).not.toContain('appendonly.aof.lock')
  })

  test('SHUTDOWN is carried out, also SHUTDOWN SAVE, which has nothing to save', async () => {
    const loading = await LoadingBroker.start(log)
    const client = await loading.connect()
    const before = filesIn(loading.directory)
    const asked = new Promise<void>((resolve) => {
      loading.broker.server.onShutdown = resolve
    })
    client.write('SHUTDOWN', 'SAVE')
    await asked
    await loading.broker.close()
    expect(filesIn(loading.directory)).toEqual(before)
  })

  test('a log that cannot be loaded ends the start: clients are closed, nothing of the files has changed', async () => {
    const loading = await LoadingBroker.start(`${log}garbage\r\n`)
    const client = await loading.connect()
    const before = filesIn(loading.directory)
    client.write('CONFIG', 'SET', 'key-load-delay', '0')
    await expect(loading.started).rejects.toThrow(AofLoadError)
    await client.closed()
    expect(filesIn(loading.directory)).toEqual(before)
  })
})

test('a port that is taken ends the start before files are touched', async () => {
  const port = await freePort()
  const other = createServer().listen(port, '127.0.0.1')
  cleanUps.push(() => other.close())
  await once(other, 'listening')
  const directory = directoryWith(`${log}*2\r\n$3\r\nGE`)
  const before = filesIn(directory)
  const config = configFromOptions({ port, bind: '127.0.0.1', dir: directory, appendonly: 'yes', save: '' })
  const broker = new Broker({ config, log: new TestLog() })
  await expect(broker.start()).rejects.toThrow(ListenError)
  expect(filesIn(directory)).toEqual(before)
})
