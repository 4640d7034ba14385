/** Scripts that run too long: what others are answered meanwhile, and how such a script ends. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { loadNativeTransport } from '../../src/transport/native.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { until } from '../support/redis-servers.ts'
import { encodeCommand, type Reply, RespClient } from '../support/resp-client.ts'
import { ServerProcess } from '../support/server-process.ts'

const ENDLESS = 'while true do end'
const BUSY = { error: 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.' }
const OK = { status: 'OK' }
const QUEUED = { status: 'QUEUED' }
const PONG = { status: 'PONG' }
/** How long a server may take to become busy. */
const LIMIT_MS = 10_000

let server: ServerProcess
const clients: RespClient[] = []

async function start(...options: string[]): Promise<void> {
  server = await ServerProcess.millrace(['--busy-reply-threshold', '20', '--enable-debug-command', 'yes', ...options])
}

async function connect(): Promise<RespClient> {
  const client = await server.connect()
  clients.push(client)
  return client
}

/** Runs a script that does not end; resolves when others are answered BUSY. The reply is still to come. */
async function runEndless(script: string, keys: readonly string[] = []): Promise<{ reply: Promise<Reply> }> {
  const runner = await connect()
  const observer = await connect()
  const reply = runner.call('EVAL', script, String(keys.length), ...keys)
  await untilBusy(observer)
  return { reply }
}

async function untilBusy(observer: RespClient): Promise<void> {
  const limit = performance.now() + LIMIT_MS
  for (;;) {
    const reply = await observer.call('PING')
    if (typeof reply === 'object' && reply !== null && 'error' in reply) {
      expect(reply).toEqual(BUSY)
      return
    }
    if (performance.now() > limit) throw new Error('The server does not become busy')
  }
}

function killed(script: string, line = 1): Reply {
  const sha = createHash('sha1').update(script, 'latin1').digest('hex')
  return { error: `ERR Script killed by user with SCRIPT KILL... script: ${sha}, on @user_script:${line}.` }
}

/** What the append-only file holds. */
function logText(): string {
  return readFileSync(join(server.directory, 'appendonlydir', 'appendonly.aof.1.incr.aof'), 'latin1')
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await server.dispose()
})

describe('SCRIPT KILL', () => {
  test.skipIf(typeof loadNativeTransport() === 'string' || process.env.MILLRACE_TRANSPORT === 'node')(
    'comes on a connection that is made while the script runs',
    async () => {
      await start('--transport', 'native')
      const { reply } = await runEndless(ENDLESS)
      const [first, second] = await Promise.all([connect(), connect()])
      expect(await first.call('SET', 'a', '1')).toEqual(BUSY)
      expect(await second.call('SCRIPT', 'KILL')).toEqual(OK)
      expect(await reply).toEqual(killed(ENDLESS))
      expect(await first.call('SET', 'a', '1')).toEqual(OK)
      expect(await (await connect()).call('GET', 'a')).toBe('1')
    },
  )

  test('is also seen in what was left for the next turn when the script began', async () => {
    await start()
    const [killer, runner] = [await RawConnection.connect(server.port), await RawConnection.connect(server.port)]
    const other = await connect()
    const pings = 50_000
    killer.send(`BLPOP killer 0\r\n${'PING\r\n'.repeat(pings)}SCRIPT KILL\r\n`)
    runner.send(`BLPOP runner 0\r\nEVAL "${ENDLESS}" 0\r\n`)
    await until('the killer waits', async () =>
      String(await other.call('CLIENT', 'LIST')).includes(` qbuf=${pings * 6 + 13} `),
    )
    await until('both wait', async () => String(await other.call('INFO', 'clients')).includes('blocked_clients:2'))
    // The killer comes first, with a part of what it has sent; then the script begins.
    await other.pipeline([
      ['RPUSH', 'killer', 'x'],
      ['RPUSH', 'runner', 'x'],
    ])
    await until('the script is killed', () => runner.text.includes('Script killed by user'))
    await until('the killer has its replies', () => killer.text.endsWith('+OK\r\n'))
    killer.close()
    runner.close()
  })

  test('ends a script that has not written', async () => {
    await start()
    const client = await connect()
    const { reply } = await runEndless(`local x = 1\n${ENDLESS}`)
    expect(await client.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await reply).toEqual(killed(`local x = 1\n${ENDLESS}`, 2))
    expect(await client.call('PING')).toEqual(PONG)
    expect(await client.call('SCRIPT', 'KILL')).toEqual({
      error: 'NOTBUSY No scripts in execution right now.',
    })
    expect(server.output).toContain('Slow script detected')
  })

  test.each([
    ['pcall around commands', "local f = function() while 1 do redis.call('ping') end end while 1 do pcall(f) end"],
    ['pcall around steps', 'local f = function() while 1 do end end while 1 do pcall(f) end'],
    ['slow commands', "redis.call('keys', '*') while 1 do redis.call('keys', '*') end"],
    ['a pattern', "local s = string.rep('a', 30000) while 1 do s:find('a-a-a-b') end"],
    ['a recursion in coroutines', 'while 1 do coroutine.wrap(function() while 1 do end end)() end'],
  ])('ends %s', async (_name, script) => {
    await start()
    const client = await connect()
    const { reply } = await runEndless(script)
    expect(await client.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await reply).toEqual(killed(script))
  })

  test('is refused when the script has written; SHUTDOWN NOSAVE ends the process and keeps nothing of it', async () => {
    await start('--appendonly', 'yes')
    const client = await connect()
    expect(await client.call('SET', 'before', '1')).toEqual(OK)
    const { reply } = await runEndless(
      "redis.call('SET', KEYS[1], 1) redis.call('SET', KEYS[2], 2) while true do end",
      ['half1', 'half2'],
    )
    const lost = expect(reply).rejects.toThrow()
    expect(await client.call('SCRIPT', 'KILL')).toHaveProperty(
      'error',
      expect.stringMatching(/^UNKILLABLE Sorry the script already executed write commands/),
    )
    expect(await client.call('SHUTDOWN')).toEqual(BUSY)
    expect(await client.call('SHUTDOWN', 'SAVE')).toEqual(BUSY)
    expect(await client.call('SHUTDOWN', 'ABORT')).toEqual({ error: 'ERR No shutdown in progress.' })
    client.write('SHUTDOWN', 'NOSAVE')
    await client.closed()
    await lost
    await expect.poll(() => server.exitCode, { timeout: LIMIT_MS }).toBe(0)
    expect(logText()).toContain('before')
    expect(logText()).not.toContain('half')
  })

  test('ends a script inside EXEC, whose other commands run', async () => {
    await start('--appendonly', 'yes')
    const client = await connect()
    const runner = await connect()
    const replies = runner.pipeline([['MULTI'], ['SET', 'a', '1'], ['EVAL', ENDLESS, '0'], ['SET', 'b', '2'], ['EXEC']])
    await untilBusy(client)
    expect(logText()).not.toContain('SET')
    expect(await client.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await replies).toEqual([OK, QUEUED, QUEUED, QUEUED, [OK, killed(ENDLESS), OK]])
    expect(await client.call('MGET', 'a', 'b')).toEqual(['1', '2'])
    expect(logText()).toMatch(/MULTI.*SET.*SET.*EXEC/s)
  })

  test('of a client that closes at once, or wants no replies, counts', async () => {
    await start()
    const client = await connect()
    const silent = await connect()
    silent.write('CLIENT', 'REPLY', 'OFF')
    const raw = await RawConnection.connect(server.port)
    const first = await runEndless(ENDLESS)
    raw.sendLast(encodeCommand(['SCRIPT', 'KILL']))
    expect(await first.reply).toEqual(killed(ENDLESS))
    await raw.ended()
    expect(raw.text).toBe('+OK\r\n')
    const second = await runEndless(ENDLESS)
    silent.write('SCRIPT', 'KILL')
    expect(await second.reply).toEqual(killed(ENDLESS))
    expect(await client.call('PING')).toEqual(PONG)
  })
})

describe('while a script runs too long', () => {
  test('what needs no answer from the data runs, and the rest is refused', async () => {
    await start('--requirepass', 'secret')
    const client = await connect()
    const stranger = await connect()
    expect(await client.call('AUTH', 'secret')).toEqual(OK)
    const runner = await connect()
    const killer = await connect()
    for (const each of [runner, killer]) await each.call('AUTH', 'secret')
    const reply = runner.call('EVAL', ENDLESS, '0')
    await untilBusy(killer)
    expect(await stranger.call('GET', 'x')).toHaveProperty('error', expect.stringMatching(/^NOAUTH/))
    expect(await stranger.call('AUTH', 'wrong')).toHaveProperty('error', expect.stringMatching(/^WRONGPASS/))
    expect(await stranger.call('AUTH', 'secret')).toEqual(OK)
    expect(await stranger.call('GET', 'x')).toEqual(BUSY)
    expect(await client.call('GET')).toHaveProperty('error', expect.stringMatching(/^ERR wrong number/))
    expect(await client.call('NOSUCH')).toHaveProperty('error', expect.stringMatching(/^ERR unknown command/))
    expect(await client.call('EVAL', 'return 1', '0')).toEqual(BUSY)
    expect(await client.call('SCRIPT', 'FLUSH')).toEqual(BUSY)
    expect(await client.call('WATCH', 'x')).toEqual(OK)
    expect(await client.call('UNWATCH')).toEqual(OK)
    expect(await client.call('MULTI')).toEqual(OK)
    expect(await client.call('DISCARD')).toEqual(OK)
    expect(await client.call('HELLO', '3', 'SETNAME', 'renamed')).toHaveProperty('map')
    expect(await stranger.call('RESET')).toEqual({ status: 'RESET' })
    expect(await stranger.call('QUIT')).toEqual(OK)
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await reply).toEqual(killed(ENDLESS))
    await stranger.closed()
    expect(await client.call('CLIENT', 'GETNAME')).toBe('renamed')
    const errors = JSON.stringify(await client.call('INFO', 'errorstats'))
    expect(errors).toMatch(/errorstat_BUSY:count=\d+/)
  })

  test('a transaction that was refused a command does not run', async () => {
    await start()
    const begun = await connect()
    const beginning = await connect()
    const executing = await connect()
    await begun.call('SET', 'x', '1')
    for (const each of [begun, executing]) {
      expect(await each.call('MULTI')).toEqual(OK)
      expect(await each.call('INCR', 'x')).toEqual(QUEUED)
    }
    const killer = await connect()
    const { reply } = await runEndless(ENDLESS)
    expect(await begun.call('INCR', 'x')).toEqual(BUSY)
    expect(await beginning.call('MULTI')).toEqual(OK)
    expect(await beginning.call('INCR', 'x')).toEqual(BUSY)
    expect(await executing.call('EXEC')).toEqual({
      error: `EXECABORT Transaction discarded because of: ${BUSY.error}`,
    })
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    await reply
    const aborted = { error: 'EXECABORT Transaction discarded because of previous errors.' }
    expect(await begun.call('EXEC')).toEqual(aborted)
    expect(await beginning.call('INCR', 'x')).toEqual(QUEUED)
    expect(await beginning.call('EXEC')).toEqual(aborted)
    expect(await executing.call('GET', 'x')).toBe('1')
  })

  test('requests that come in pieces are answered when they are whole, in order', async () => {
    await start()
    const killer = await connect()
    const raw = await RawConnection.connect(server.port)
    raw.send('*2\r\n$4\r\nECHO\r\n$5\r\nhe')
    const { reply } = await runEndless(ENDLESS)
    raw.send('llo\r\n*1\r\n$4\r\nPI')
    await raw.until((text) => text.endsWith('\r\n'))
    expect(raw.text).toBe(`-${BUSY.error}\r\n`)
    raw.send(
      `NG\r\nPING\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$7\r\nDISCARD\r\n*2\r\n$4\r\nECHO\r\n$300000\r\n${'x'.repeat(100_000)}`,
    )
    await raw.until((text) => text.endsWith('+OK\r\n+OK\r\n'))
    raw.send('x'.repeat(199_000))
    const refused = `-${BUSY.error}\r\n`
    const echoed = `${refused.repeat(3)}+OK\r\n+OK\r\n`
    expect(raw.text).toBe(echoed)
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    await reply
    raw.send(`${'x'.repeat(1000)}\r\n`)
    await raw.until((text) => text.endsWith('x\r\n'))
    expect(raw.text).toBe(`${echoed}$300000\r\n${'x'.repeat(300_000)}\r\n`)
    raw.close()
  })

  test('a large request that comes in pieces is refused as a whole, and noise closes the connection', async () => {
    await start()
    const killer = await connect()
    const client = await connect()
    const raw = await RawConnection.connect(server.port)
    const { reply } = await runEndless(ENDLESS)
    expect(await client.call('SET', 'x', 'y'.repeat(1_000_000))).toEqual(BUSY)
    raw.send('*1\r\nnoise\r\n')
    await raw.until((text) => text.endsWith('\r\n'))
    expect(raw.text).toBe("-ERR Protocol error: expected '$', got 'n'\r\n")
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    await reply
    await raw.ended()
    expect(await client.call('EXISTS', 'x')).toBe(0)
  })

  test('what its own client sends behind it waits, and blocked clients stay blocked', async () => {
    await start()
    const killer = await connect()
    const blocked = await connect()
    const popped = blocked.pipeline([['BLPOP', 'list', '0'], ['PING']])
    const runner = await connect()
    const replies = runner.pipeline([['EVAL', ENDLESS, '0'], ['RPUSH', 'list', 'a'], ['PING']])
    await untilBusy(killer)
    expect(await killer.call('MULTI')).toEqual(OK)
    expect(await killer.call('DISCARD')).toEqual(OK)
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await replies).toEqual([killed(ENDLESS), 1, PONG])
    expect(await popped).toEqual([['list', 'a'], PONG])
  })

  test('a command that runs serves no client which waits for what the script has pushed', async () => {
    await start()
    const client = await connect()
    const blocked = await connect()
    const popped = blocked.call('BLPOP', 'x', '0')
    expect(await client.call('DEBUG', 'SET-DISABLE-DENY-SCRIPTS', '1')).toEqual(OK)
    const script = `redis.call('LPUSH', KEYS[1], 'y')
      while not redis.call('CLIENT', 'LIST'):find('abortscript') do end
      return redis.call('LPUSH', KEYS[1], 'z')`
    const { reply } = await runEndless(script, ['x'])
    expect(await client.call('HELLO', '2', 'SETNAME', 'abortscript')).toHaveLength(14)
    expect(await reply).toBe(2)
    expect(await popped).toEqual(['x', 'z'])
  })

  test('a subscriber gets what the script has published before later replies', async () => {
    await start()
    const killer = await connect()
    const subscriber = await connect()
    await subscriber.call('HELLO', '3')
    subscriber.write('SUBSCRIBE', 'news')
    await subscriber.nextPush()
    const { reply } = await runEndless("redis.call('PUBLISH', 'news', 'hot') while true do end")
    const answer = subscriber.call('PING').then((pong) => ({ pong, pushes: subscriber.pushes.length }))
    expect(await killer.call('SHUTDOWN')).toEqual(BUSY)
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    await reply
    expect(await answer).toEqual({ pong: BUSY, pushes: 1 })
  })

  test('it is so on unix sockets', async () => {
    await start('--unixsocket', 'busy.sock')
    const client = await RespClient.connect({ path: join(server.directory, 'busy.sock') })
    clients.push(client)
    const { reply } = await runEndless(ENDLESS)
    expect(await client.call('PING')).toEqual(BUSY)
    expect(await client.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await reply).toEqual(killed(ENDLESS))
  })
})

describe('what was executed before the script in the same turn', () => {
  test('is in the log and answered', async () => {
    await start('--appendonly', 'yes', '--appendfsync', 'everysec')
    // In order of their connections, as all of it has arrived when the server wakes up.
    const sleeper = await connect()
    const writer = await connect()
    const runner = await connect()
    const killer = await connect()
    for (const each of [writer, runner, killer]) await each.call('PING')
    const asleep = sleeper.call('DEBUG', 'SLEEP', '0.3')
    const got: Reply[] = []
    const written = writer.call('SET', 'early', '1').then((reply) => got.push(reply))
    const reply = runner.call('EVAL', "redis.call('GET', 'early') while true do end", '0')
    await asleep
    await untilBusy(killer)
    const refused = writer.call('PING').then((answer) => got.push(answer))
    await refused
    // A round of polls, so that the writer was served in any case.
    for (let i = 0; i < 5; i++) expect(await killer.call('SHUTDOWN')).toEqual(BUSY)
    expect(logText()).toContain('early')
    expect(got).toEqual([OK, BUSY])
    expect(await killer.call('SCRIPT', 'KILL')).toEqual(OK)
    expect(await reply).toHaveProperty('error', expect.stringContaining('Script killed'))
    await written
  })
})

test('a replica that goes is gone for the script that runs', async () => {
  await start('--repl-diskless-sync-delay', '0')
  const replica = await RawConnection.connect(server.port)
  replica.send('SYNC\r\n')
  const observer = await connect()
  await until('the replica is attached', async () =>
    String(await observer.call('INFO', 'replication')).includes('connected_slaves:1'),
  )
  const { reply } = await runEndless(
    "repeat until string.find(redis.call('INFO', 'replication'), 'connected_slaves:0', 1, true) return 'gone'",
  )
  replica.close()
  expect(await reply).toBe('gone')
})

describe('no limit', () => {
  test('is there with busy-reply-threshold 0', async () => {
    await start('--busy-reply-threshold', '0')
    const runner = await connect()
    const client = await connect()
    const counted = runner.call('EVAL', 'for i = 1, 1e8 do end return 1', '0')
    expect(await client.call('PING')).toEqual(PONG)
    expect(await counted).toBe(1)
    expect(server.output).not.toContain('Slow script')
  })
})

test('a script of a log that is loaded lets others hear so, and is not killed', async () => {
  await start('--appendonly', 'yes')
  const directory = join(server.directory, 'appendonlydir')
  const script = "for i = 1, 1e8 do end redis.call('SET', KEYS[1], 'loaded')"
  const file = join(directory, 'appendonly.aof.1.incr.aof')
  writeFileSync(file, encodeCommand(['SELECT', '0']) + encodeCommand(['EVAL', script, '1', 'x']), 'latin1')
  const loader = await connect()
  const client = await connect()
  const loaded = loader.call('DEBUG', 'LOADAOF')
  for (const words of [
    ['GET', 'x'],
    ['SCRIPT', 'KILL'],
  ]) {
    expect(await client.call(...words)).toEqual({ error: 'LOADING Redis is loading the dataset in memory' })
  }
  expect(await loaded).toEqual(OK)
  expect(await client.call('GET', 'x')).toBe('loaded')
  expect(server.output).toContain('Slow script')
})
