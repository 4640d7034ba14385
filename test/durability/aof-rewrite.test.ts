/** BGREWRITEAOF and CONFIG SET appendonly on a whole server: replies, INFO, and what another process loads afterwards. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'

const OK = { status: 'OK' }
const STARTED = { status: 'Background append only file rewriting started' }

let directory = ''
let broker: TestBroker | null = null

beforeEach(() => {
  directory = temporaryDirectory()
})

afterEach(async () => {
  await broker?.stop()
  broker = null
  rmSync(directory, { recursive: true, force: true })
})

async function start(options: Record<string, string> = {}): Promise<RespClient> {
  broker = await TestBroker.start({ dir: directory, appendonly: 'yes', ...options })
  return broker.connect()
}

async function restart(options: Record<string, string> = {}): Promise<RespClient> {
  await broker?.stop()
  return start(options)
}

async function info(client: RespClient): Promise<Map<string, string>> {
  const text = String(await client.call('INFO', 'persistence'))
  return new Map(text.split('\r\n').map((line) => line.split(':') as [string, string]))
}

async function untilRewritten(client: RespClient): Promise<Map<string, string>> {
  for (;;) {
    const fields = await info(client)
    if (fields.get('aof_rewrite_in_progress') === '0' && fields.get('aof_rewrite_scheduled') === '0') return fields
  }
}

async function digest(client: RespClient): Promise<string> {
  return JSON.stringify(await client.call('DEBUG', 'DIGEST'))
}

/** Values of all types, small and big, with expire times. */
async function fill(client: RespClient): Promise<void> {
  const requests: string[][] = []
  for (let i = 0; i < 300; i++) {
    requests.push(
      ['SET', `s${i}`, 'x'.repeat(i)],
      ['RPUSH', 'list', `e${i}`.repeat(20)],
      ['HSET', 'hash', `f${i}`, 'v'],
    )
    requests.push(
      ['SADD', 'set', `m${i}`],
      ['ZADD', 'zset', String(i / 3), `m${i}`],
      ['XADD', 'stream', `${i + 1}-0`, 'f', 'v'],
    )
  }
  requests.push(
    ['XGROUP', 'CREATE', 'stream', 'g', '0'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '7', 'STREAMS', 'stream', '>'],
  )
  requests.push(['PEXPIREAT', 's1', '9999999999999'], ['SELECT', '3'], ['SET', 'other', 'db'], ['SELECT', '0'])
  await client.pipeline(requests)
}

function files(): string[] {
  return readdirSync(join(directory, 'appendonlydir')).sort()
}

describe('BGREWRITEAOF', () => {
  test.each([
    'yes',
    'no',
  ])('keeps all data, also what is written meanwhile (aof-use-rdb-preamble %s)', async (preamble) => {
    const options = { 'aof-use-rdb-preamble': preamble }
    const client = await start(options)
    await fill(client)
    expect(
      await client.pipeline([
        ['SET', 'before', '1'],
        ['BGREWRITEAOF'],
        ['BGREWRITEAOF'],
        ['SET', 'after', '1'],
        ['INCR', 's0n'],
      ]),
    ).toEqual([OK, STARTED, { error: 'ERR Background append only file rewriting already in progress' }, OK, 1])
    const fields = await untilRewritten(client)
    expect(fields.get('aof_last_bgrewrite_status')).toBe('ok')
    expect(fields.get('aof_rewrites')).toBe('1')
    expect(Number(fields.get('aof_base_size'))).toBeGreaterThan(1000)
    expect(Number(fields.get('aof_current_size'))).toBe(Number(fields.get('aof_base_size')))
    const format = preamble === 'yes' ? 'rdb' : 'aof'
    await client.call('SET', 'later', '1')
    const before = await digest(client)
    const again = await restart(options)
    expect(await digest(again)).toBe(before)
    expect(files()).toEqual([
      `appendonly.aof.2.base.${format}`,
      'appendonly.aof.2.incr.aof',
      'appendonly.aof.lock',
      'appendonly.aof.manifest',
    ])
  })

  test('is scheduled within a transaction, and done after it', async () => {
    const client = await start()
    const replies = await client.pipeline([['MULTI'], ['SET', 'a', '1'], ['BGREWRITEAOF'], ['SET', 'b', '1'], ['EXEC']])
    expect(replies.at(-1)).toEqual([OK, { status: 'Background append only file rewriting scheduled' }, OK])
    await untilRewritten(client)
    expect(files()).toContain('appendonly.aof.2.base.rdb')
    const before = await digest(client)
    expect(await digest(await restart())).toBe(before)
  })

  test('that cannot begin says where to look', async () => {
    const client = await start({ appendonly: 'no' })
    writeFileSync(join(directory, 'appendonlydir'), 'in the way')
    expect(await client.call('BGREWRITEAOF')).toEqual({
      error: "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
    })
    expect((await info(client)).get('aof_last_bgrewrite_status')).toBe('err')
    expect(broker?.log.warnings.join('\n')).toContain('Cannot begin to rewrite the append-only file')
  })

  test('writes a time stamp into a base of commands', async () => {
    const client = await start({ 'aof-use-rdb-preamble': 'no', 'aof-timestamp-enabled': 'yes' })
    await client.call('SET', 'a', '1')
    await client.call('BGREWRITEAOF')
    await untilRewritten(client)
    expect(readFileSync(join(directory, 'appendonlydir', 'appendonly.aof.2.base.aof'), 'latin1')).toMatch(
      /^#TS:\d{10}\r\n/,
    )
  })

  test.runIf(hasRedisServer)('leaves files that Redis loads, checksums and all', async () => {
    const client = await start({ 'aof-timestamp-enabled': 'yes' })
    await fill(client)
    await client.call('BGREWRITEAOF')
    await untilRewritten(client)
    await fill(client)
    const before = await digest(client)
    await broker?.stop()
    broker = null
    const incremental = readFileSync(join(directory, 'appendonlydir', 'appendonly.aof.2.incr.aof'), 'latin1')
    expect(incremental).toMatch(/\n#CRC32:[0-9a-f]{8}:\d+\r\n/)
    const redis = await ServerProcess.redis(['--appendonly', 'yes', '--enable-debug-command', 'yes'], directory)
    const redisClient = await redis.connect()
    try {
      expect(await digest(redisClient)).toBe(before)
    } finally {
      redisClient.close()
      await redis.dispose()
    }
  })
})

describe('CONFIG SET appendonly', () => {
  test('yes makes a log of what is there and goes on in it; no ends it', async () => {
    const client = await start({ appendonly: 'no' })
    await fill(client)
    expect((await info(client)).get('aof_enabled')).toBe('0')
    const replies = await client.pipeline([
      ['SET', 'before', '1'],
      ['CONFIG', 'SET', 'appendonly', 'yes'],
      ['SET', 'meanwhile', '1'],
    ])
    expect(replies).toEqual([OK, OK, OK])
    expect((await untilRewritten(client)).get('aof_enabled')).toBe('1')
    await client.call('SET', 'later', '1')
    const before = await digest(client)
    expect(await client.call('CONFIG', 'SET', 'appendonly', 'no')).toEqual(OK)
    expect((await info(client)).get('aof_enabled')).toBe('0')
    await client.call('SET', 'unrecorded', '1')
    expect(await digest(await restart())).toBe(before)
  })

  test('yes within a transaction takes effect after it', async () => {
    const client = await start({ appendonly: 'no' })
    await client.pipeline([
      ['MULTI'],
      ['SET', 'a', '1'],
      ['CONFIG', 'SET', 'appendonly', 'yes'],
      ['SET', 'b', '1'],
      ['EXEC'],
    ])
    await untilRewritten(client)
    const before = await digest(client)
    expect(await digest(await restart())).toBe(before)
  })

  test('yes is refused where no directory can be made, and the setting stays', async () => {
    const client = await start({ appendonly: 'no' })
    writeFileSync(join(directory, 'appendonlydir'), 'in the way')
    expect(await client.call('CONFIG', 'SET', 'appendonly', 'yes')).toEqual({
      error:
        "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.",
    })
    expect(await client.call('CONFIG', 'GET', 'appendonly')).toEqual(['appendonly', 'no'])
    expect((await info(client)).get('aof_enabled')).toBe('0')
  })

  test('DEBUG AOF-FLUSH-SLEEP delays writes, which then are there', async () => {
    const client = await start()
    expect(await client.call('DEBUG', 'AOF-FLUSH-SLEEP', '30000')).toEqual(OK)
    const begun = performance.now()
    await client.call('SET', 'a', '1')
    expect(performance.now() - begun).toBeGreaterThan(25)
    await client.call('DEBUG', 'AOF-FLUSH-SLEEP', '0')
    expect(await digest(client)).toBe(await digest(await restart()))
  })
})

test.each([
  'always',
  'everysec',
  'no',
])('a server killed in the midst of rewrites under load loses nothing that was answered (%s)', async (policy) => {
  const args = ['--appendonly', 'yes', '--appendfsync', policy, '--save', '']
  let server = await ServerProcess.millrace(args, directory)
  try {
    let next = 0
    for (let round = 0; round < 2; round++) {
      const client = await server.connect()
      const other = await server.connect()
      for (let i = 0; i < 200; i++) {
        if (i % 40 === 0) void other.call('BGREWRITEAOF').catch(() => null)
        expect(await client.call('RPUSH', 'list', String(next))).toBe(++next)
      }
      await server.kill()
      server = await ServerProcess.millrace(args, directory)
      const check = await server.connect()
      expect(await check.call('LRANGE', 'list', '0', '-1')).toEqual(Array.from({ length: next }, (_, i) => String(i)))
      check.close()
    }
  } finally {
    await server.dispose()
  }
}, 30_000)
