/** Functions in whole server processes: BUSY and how it ends, the append-only file, payloads of redis-server. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Reply, RespClient } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess } from '../support/server-process.ts'

const OK = { status: 'OK' }
const PONG = { status: 'PONG' }
const BUSY = { error: 'BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.' }
const BUSY_EVAL = { error: 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.' }
const LIMIT_MS = 10_000
const LIBRARY = `#!lua name=lib
redis.register_function('endless', function(keys, args) local x = 1 while true do x = x + 1 end end)
redis.register_function('hello', function() return 'hello' end)
redis.register_function('save', function(keys, args) redis.call('SET', keys[1], args[1]) redis.call('INCR', keys[1]) end)
redis.register_function('writes', function(keys) redis.call('SET', keys[1], 1) while true do end end)`

const servers: ServerProcess[] = []
const clients: RespClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const server of servers.splice(0)) await server.dispose()
})

async function start(options: readonly string[] = [], directory: string | null = null): Promise<ServerProcess> {
  const server = await ServerProcess.millrace(['--busy-reply-threshold', '20', ...options], directory)
  servers.push(server)
  return server
}

async function connect(server: ServerProcess): Promise<RespClient> {
  const client = await server.connect()
  clients.push(client)
  return client
}

async function untilBusy(observer: RespClient, expected: Reply): Promise<void> {
  const limit = performance.now() + LIMIT_MS
  for (;;) {
    const reply = await observer.call('PING')
    if (typeof reply === 'object' && reply !== null && 'error' in reply) {
      expect(reply).toEqual(expected)
      return
    }
    if (performance.now() > limit) throw new Error('The server does not become busy')
  }
}

describe('a function that runs too long', () => {
  test('is shown by FUNCTION STATS, is not ended by SCRIPT KILL, and is by FUNCTION KILL', async () => {
    const server = await start()
    const client = await connect(server)
    const runner = await connect(server)
    expect(await client.call('FUNCTION', 'KILL')).toEqual({ error: 'NOTBUSY No scripts in execution right now.' })
    await client.call('FUNCTION', 'LOAD', LIBRARY)
    const reply = runner.call('fcall', 'ENDLESS', '1', 'key', '\xff')
    await untilBusy(client, BUSY)
    expect(await client.call('FUNCTION', 'STATS')).toEqual([
      'running_script',
      ['name', 'endless', 'command', ['fcall', 'ENDLESS', '1', 'key', '\xff'], 'duration_ms', expect.any(Number)],
      'engines',
      ['LUA', ['libraries_count', 1, 'functions_count', 4]],
    ])
    expect(await client.call('SCRIPT', 'KILL')).toEqual(BUSY)
    expect(await client.call('FUNCTION', 'LIST')).toEqual(BUSY)
    expect(await client.call('SHUTDOWN')).toEqual(BUSY)
    expect(await client.call('FUNCTION', 'KILL')).toEqual(OK)
    expect(await reply).toEqual({
      error: 'ERR Script killed by user with SCRIPT KILL... script: endless, on @user_function:2.',
    })
    expect(await client.call('PING')).toEqual(PONG)
    expect(await runner.call('FCALL', 'hello', '0')).toBe('hello')
    expect(server.output).toMatch(/Slow script detected: endless .* FUNCTION KILL/)
  })

  test('is not ended when it has written', async () => {
    const server = await start(['--appendonly', 'yes'])
    const client = await connect(server)
    const runner = await connect(server)
    await client.call('FUNCTION', 'LOAD', LIBRARY)
    const lost = expect(runner.call('FCALL', 'writes', '1', 'key')).rejects.toThrow()
    await untilBusy(client, BUSY)
    expect(await client.call('FUNCTION', 'KILL')).toHaveProperty('error', expect.stringMatching(/^UNKILLABLE /))
    client.write('SHUTDOWN', 'NOSAVE')
    await client.closed()
    await lost
    await expect.poll(() => server.exitCode, { timeout: LIMIT_MS }).toBe(0)
  })

  test('FUNCTION KILL does not end a script of EVAL, and FUNCTION STATS waits for it', async () => {
    const server = await start()
    const client = await connect(server)
    const runner = await connect(server)
    const reply = runner.call('EVAL', 'while true do end', '0')
    await untilBusy(client, BUSY_EVAL)
    expect(await client.call('FUNCTION', 'KILL')).toEqual(BUSY_EVAL)
    expect(await client.call('FUNCTION', 'STATS')).toEqual(BUSY_EVAL)
    expect(await client.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await reply).toHaveProperty('error', expect.stringMatching(/^ERR Script killed/))
  })
})

describe('the append-only file', () => {
  test('brings functions back after a crash, as they were last, and what they wrote', async () => {
    const first = await start(['--appendonly', 'yes'])
    const client = await connect(first)
    await client.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('old', function() end)")
    await client.call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY)
    await client.call('FUNCTION', 'LOAD', "#!lua name=gone\nredis.register_function('gone', function() end)")
    const payload = await client.call('FUNCTION', 'DUMP')
    await client.call('FUNCTION', 'DELETE', 'gone')
    await client.call('FUNCTION', 'LOAD', "#!lua name=back\nredis.register_function('gone', function() end)")
    await client.call('FUNCTION', 'RESTORE', String(payload), 'FLUSH')
    await client.call('FUNCTION', 'DELETE', 'gone')
    await client.call('FCALL', 'save', '1', 'key', '41')
    const before = await client.call('FUNCTION', 'LIST', 'WITHCODE')
    await first.kill()

    const second = await start(['--appendonly', 'yes'], first.directory)
    const again = await connect(second)
    expect(await again.call('FUNCTION', 'LIST', 'WITHCODE')).toEqual(before)
    expect(await again.call('GET', 'key')).toBe('42')
    expect(await again.call('FCALL', 'hello', '0')).toBe('hello')
  })
})

describe.skipIf(!hasRedisServer)('FUNCTION DUMP', () => {
  test('is restored by redis-server, and the other way round', async () => {
    const millrace = await connect(await start())
    const redisServer = await ServerProcess.redis()
    servers.push(redisServer)
    const redis = await connect(redisServer)
    const long = `#!lua name=long\nredis.register_function('long', function() return '${'ab'.repeat(500)}' end)`
    await millrace.call('FUNCTION', 'LOAD', LIBRARY)
    await millrace.call('FUNCTION', 'LOAD', long)
    const payload = String(await millrace.call('FUNCTION', 'DUMP'))
    expect(await redis.call('FUNCTION', 'RESTORE', payload)).toEqual(OK)
    expect(await redis.call('FCALL', 'long', '0')).toBe('ab'.repeat(500))
    const back = String(await redis.call('FUNCTION', 'DUMP'))
    expect(await millrace.call('FUNCTION', 'RESTORE', back, 'FLUSH')).toEqual(OK)
    expect(await millrace.call('FCALL', 'long', '0')).toBe('ab'.repeat(500))
    expect(await millrace.call('FCALL', 'hello', '0')).toBe('hello')
    await redis.call('FUNCTION', 'FLUSH')
    const empty = String(await redis.call('FUNCTION', 'DUMP'))
    await millrace.call('FUNCTION', 'FLUSH')
    expect(await millrace.call('FUNCTION', 'DUMP')).toBe(empty)
  })
})
