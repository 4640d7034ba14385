/** The remote engine over one real redis-server. */
import { createServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type Argument,
  CommandError,
  Decode,
  EngineUnavailableError,
  RAW_RESP,
  type ReplyValue,
} from '../../../src/gateway/engine.ts'
import { type EngineUnderTest, remoteEngine, until } from '../../support/redis-servers.ts'
import { freePort, hasRedisServer, ServerProcess } from '../../support/server-process.ts'

const WRONGTYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'

describe.skipIf(!hasRedisServer)('the remote engine over one server', { timeout: 30_000 }, () => {
  let server: ServerProcess
  let remote: EngineUnderTest

  beforeAll(async () => {
    server = await ServerProcess.redis()
    remote = remoteEngine(`redis://127.0.0.1:${server.port}`)
  })

  beforeEach(() => remote.call('FLUSHALL'))

  afterAll(async () => {
    await remote.engine.close()
    await server.dispose()
  })

  function as(decode: Decode | typeof RAW_RESP, ...words: readonly Argument[]): Promise<ReplyValue> {
    return remote.engine.call(remote.engine.system, words, { decode })
  }

  async function raw(...words: readonly Argument[]): Promise<string> {
    return String(await as(RAW_RESP, ...words))
  }

  describe('replies', () => {
    test('are text, bytes or base64', async () => {
      await remote.call('SET', 'k', 'ä')
      expect(await as(Decode.Text, 'GET', 'k')).toBe('ä')
      expect(await as(Decode.Bytes, 'GET', 'k')).toEqual(Buffer.from('ä'))
      expect(await as(Decode.Base64, 'GET', 'k')).toBe('w6Q=')
      expect(await as(Decode.Base64, 'SET', 'k', 'v')).toBe('OK')
      await remote.call('SET', 'k', 'OK')
      expect(await as(Decode.Base64, 'GET', 'k')).toBe('T0s=')
      expect(await as(Decode.Base64, 'SET', 'k', 'v', 'GET')).toBe('T0s=')
    })

    test('are the bytes of RESP2, statuses and absent arrays told by the command', async () => {
      expect(await raw('SET', 'k', 'OK')).toBe('+OK\r\n')
      expect(await raw('GET', 'k')).toBe('$2\r\nOK\r\n')
      expect(await raw('GET', 'none')).toBe('$-1\r\n')
      expect(await raw('LPOP', 'none', '2')).toBe('*-1\r\n')
      expect(await raw('XREAD', 'STREAMS', 'none', '0')).toBe('*-1\r\n')
      expect(await raw('PING')).toBe('+PONG\r\n')
      expect(await raw('PING', 'x')).toBe('$1\r\nx\r\n')
      expect(await raw('INCRBY', 'n', '9007199254740993')).toBe(':9007199254740993\r\n')
      expect(await raw('RPUSH', 'l', 'a', 'b')).toBe(':2\r\n')
      expect(await raw('LRANGE', 'l', '0', '-1')).toBe('*2\r\n$1\r\na\r\n$1\r\nb\r\n')
      expect(await raw('GET', 'l')).toBe(`-${WRONGTYPE}\r\n`)
      expect(await raw(new TextEncoder().encode('SET'), 'k', 'OK')).toBe('+OK\r\n')
    })

    test('are shaped as in RESP2, and integers are exact', async () => {
      await remote.call('HSET', 'h', 'f', 'v')
      expect(await remote.call('HGETALL', 'h')).toEqual(['f', 'v'])
      expect(await remote.call('ZADD', 'z', '1.5', 'm')).toBe(1)
      expect(await remote.call('ZSCORE', 'z', 'm')).toBe('1.5')
      expect(await remote.call('INCRBY', 'n', '9223372036854775807')).toBe(9223372036854775807n)
      expect(await remote.call('DECRBY', 'n', '9223372036854775806')).toBe(1)
    })

    test('of failed commands are errors with the server’s text', async () => {
      await remote.call('RPUSH', 'l', 'a')
      await expect(remote.call('GET', 'l')).rejects.toThrow(new CommandError(WRONGTYPE))
      await expect(remote.call('GET')).rejects.toThrow("ERR wrong number of arguments for 'get' command")
      await expect(remote.call('NOPE')).rejects.toThrow(/^ERR unknown command 'NOPE'/)
      await expect(remote.call()).rejects.toThrow(TypeError)
    })

    test('take arguments as they are: bytes, numbers, and buffers in place of pairs', async () => {
      const bytes = new Uint8Array([0, 255, 13, 10])
      await remote.call('SET', 'b', bytes)
      expect(await as(Decode.Bytes, 'GET', 'b')).toEqual(Buffer.from(bytes))
      await remote.call('SET', 'n', 1n)
      expect(await remote.call('INCRBY', 'n', 41)).toBe(42)
      // ioredis would take a lone buffer for an object of fields.
      await expect(remote.call('hset', 'h', Buffer.from('f'))).rejects.toThrow(/wrong number of arguments/)
    })
  })

  describe('pipelines and transactions', () => {
    test('a pipeline keeps order, with errors in their places', async () => {
      const words = [['SET', 'k', '1'], ['INCR', 'k'], ['LPUSH', 'k', 'x'], ['MULTI'], ['GET', 'k']]
      const replies = await remote.engine.pipeline(remote.engine.system, words, Decode.Text)
      expect(replies).toEqual([
        'OK',
        2,
        new CommandError(WRONGTYPE),
        new CommandError("ERR Command is not available over HTTP: 'MULTI' acts on a connection"),
        '2',
      ])
    })

    test('a transaction is not interleaved, and errors of its commands stand in their places', async () => {
      const { engine } = remote
      const transactions = Array.from({ length: 100 }, () =>
        engine.transaction(
          engine.system,
          [
            ['INCR', 'n'],
            ['LPUSH', 'n', 'x'],
            ['INCR', 'n'],
          ],
          Decode.Text,
        ),
      )
      for (const replies of await Promise.all(transactions)) {
        const [first, error, second] = replies
        expect(error).toEqual(new CommandError(WRONGTYPE))
        expect(second).toBe(Number(first) + 1)
      }
      expect(await remote.call('GET', 'n')).toBe('200')
    })

    test('a transaction with a command that is refused runs nothing, and leaves no transaction open', async () => {
      const { engine } = remote
      const refused = engine.transaction(engine.system, [['SET', 'k', '1'], ['NOPE']], Decode.Text)
      await expect(refused).rejects.toThrow(/^ERR unknown command 'NOPE'/)
      expect(await remote.call('EXISTS', 'k')).toBe(0)
      expect(await engine.transaction(engine.system, [['PING']], Decode.Text)).toEqual(['PONG'])
      expect(await engine.transaction(engine.system, [], Decode.Text)).toEqual([])
      await expect(engine.transaction(engine.system, [['ACL', 'WHOAMI']], Decode.Text)).rejects.toThrow(
        "ERR Command is not available in a transaction of a remote engine: 'ACL WHOAMI'",
      )
    })

    test('a server that refuses MULTI executes none of the commands', async () => {
      const client = await server.connect()
      await client.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-multi')
      const limited = remoteEngine(`redis://limited:pw@127.0.0.1:${server.port}`)
      const refused = limited.engine.transaction(limited.engine.system, [['SET', 'k', '1']], Decode.Text)
      await expect(refused).rejects.toThrow(/^NOPERM/)
      expect(await remote.call('EXISTS', 'k')).toBe(0)
      await limited.engine.close()
      await client.call('ACL', 'DELUSER', 'limited')
      client.close()
    })

    test('a script of ours is loaded when the server does not have it', async () => {
      await remote.call('SCRIPT', 'FLUSH')
      const script = { source: 'return {KEYS[1], ARGV[1]}', sha1: '3eb50e55a7ab8f8dd1b4b6f8d1d9f9b8d2f2f7d1' }
      expect(await remote.engine.script(script, ['k'], ['ä'])).toEqual(['k', 'ä'])
    })
  })

  describe('blocking commands', () => {
    async function blockedClients(): Promise<number> {
      return Number(/blocked_clients:(\d+)/.exec(String(await remote.call('INFO', 'clients')))?.[1])
    }

    test('hold up nobody', async () => {
      const popped = Array.from({ length: 20 }, () => remote.call('BLPOP', 'q', '0'))
      await until('all wait', async () => (await blockedClients()) === 20)
      expect(await remote.call('PING')).toBe('PONG')
      for (let i = 0; i < 20; i++) await remote.call('RPUSH', 'q', String(i))
      expect((await Promise.all(popped)).length).toBe(20)
    })

    test('that are taken back end as by their timeout, and take nothing', async () => {
      const controller = new AbortController()
      const popped = remote.engine.call(remote.engine.system, ['BLPOP', 'q', '0'], { signal: controller.signal })
      await until('it waits', async () => (await blockedClients()) === 1)
      controller.abort()
      expect(await popped).toBeNull()
      expect(await blockedClients()).toBe(0)
      await remote.call('RPUSH', 'q', 'x')
      expect(await remote.call('LLEN', 'q')).toBe(1)
    })

    test('that are taken back while elements come lose none', async () => {
      const got: string[] = []
      let pushed = 0
      for (let i = 0; i < 100; i++) {
        const controller = new AbortController()
        const popped = remote.engine
          .call(remote.engine.system, ['BLPOP', 'q', '0'], { signal: controller.signal })
          .catch(() => null)
        const push = remote.call('RPUSH', 'q', String(i))
        pushed++
        if (i % 3 === 0) controller.abort()
        else if (i % 3 === 1) setImmediate(() => controller.abort())
        else void push.then(() => controller.abort())
        await push
        const reply = await popped
        if (Array.isArray(reply)) got.push(String(reply[1]))
      }
      const left = (await remote.call('LRANGE', 'q', '0', '-1')) as string[]
      expect(got.length + left.length).toBe(pushed)
    })

    test('that were taken back before are not sent', async () => {
      const signal = AbortSignal.abort()
      await expect(remote.engine.call(remote.engine.system, ['BLPOP', 'q', '0'], { signal })).rejects.toThrow(
        'The call was taken back',
      )
    })

    test('XREAD waits with BLOCK only', async () => {
      expect(await remote.call('XREAD', 'STREAMS', 's', '0')).toBeNull()
      const read = remote.call('XREAD', 'BLOCK', '0', 'STREAMS', 's', '$')
      await until('it waits', async () => (await blockedClients()) === 1)
      await remote.call('XADD', 's', '1-1', 'f', 'v')
      expect(await read).toEqual([['s', [['1-1', ['f', 'v']]]]])
    })

    test('WAIT is refused: the writes it is about may have gone over another connection', async () => {
      await expect(remote.call('WAIT', '1', '0')).rejects.toThrow(
        "ERR Command is not available over HTTP: 'WAIT' is about the writes of a connection",
      )
    })
  })

  describe('MONITOR', () => {
    test('shows commands as the server does', async () => {
      const lines: string[] = []
      const monitor = await remote.engine.monitor((line) => void lines.push(line))
      await remote.call('ECHO', 'a "quoted" \\ back\\" ä')
      await until('it is seen', () => lines.some((line) => line.includes('ECHO')))
      expect(lines.find((line) => line.includes('ECHO'))).toMatch(
        /^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "ECHO" "a \\"quoted\\" \\\\ back\\\\\\" \\xc3\\xa4"$/,
      )
      await monitor.unsubscribe()
      lines.length = 0
      await remote.call('PING')
      expect(lines).toEqual([])
    })
  })

  describe('limits', () => {
    test('more calls under way than may be are rejected', async () => {
      const small = remoteEngine(`redis://127.0.0.1:${server.port}`, { callsMax: 10 })
      const calls = Array.from({ length: 12 }, () => small.call('PING').catch((error: unknown) => error))
      const replies = await Promise.all(calls)
      expect(replies.filter((reply) => reply === 'PONG').length).toBe(10)
      expect(replies[11]).toEqual(new EngineUnavailableError('10 calls are under way already'))
      expect(await small.call('PING')).toBe('PONG')
      await small.engine.close()
    })

    test('after close, calls are rejected and the server has no connection of ours', async () => {
      const connections = async (): Promise<number> =>
        Number(/connected_clients:(\d+)/.exec(String(await remote.call('INFO', 'clients')))?.[1])
      const before = await connections()
      const own = remoteEngine(`redis://127.0.0.1:${server.port}`)
      await own.engine.subscribe('c', () => {})
      await own.engine.monitor(() => {})
      const blocked = own.call('BLPOP', 'q', '0').catch((error: unknown) => error)
      own.engine.createClient()
      await own.engine.transaction(own.engine.system, [['PING']], Decode.Text)
      await own.engine.close()
      expect(await blocked).toBeInstanceOf(EngineUnavailableError)
      await expect(own.call('PING')).rejects.toThrow('The engine is closed')
      expect(own.engine.health).toEqual({ isReady: false, detail: 'closed' })
      await until('the connections are gone', async () => (await connections()) === before)
    })
  })
})

describe.skipIf(!hasRedisServer)('a server that comes and goes', { timeout: 30_000 }, () => {
  test('a restart under load: reads go on, writes that were under way fail and say so, no INCR is done twice', async () => {
    let server = await ServerProcess.redis(['--appendonly', 'yes', '--appendfsync', 'always'])
    const { port, directory } = server
    const remote = remoteEngine(`redis://127.0.0.1:${port}`, { waitMs: 20_000 })
    let acknowledged = 0
    let failures = 0
    let reads = 0
    let isDone = false
    const messages: string[] = []
    await remote.engine.subscribe('news', (message) => void messages.push(message.toString()))
    await remote.engine.psubscribe('ne*', (message) => void messages.push(`p:${message.toString()}`))

    const writer = async (): Promise<void> => {
      while (!isDone) {
        try {
          await remote.call('INCR', 'n')
          acknowledged++
        } catch (error) {
          expect(error).toEqual(
            new EngineUnavailableError('The connection to the engine was lost: the command may have been executed'),
          )
          failures++
        }
      }
    }
    const reader = async (): Promise<void> => {
      while (!isDone) {
        await remote.call('GET', 'n')
        reads++
      }
    }
    const load = [writer(), writer(), writer(), reader(), reader()]
    for (let restart = 0; restart < 2; restart++) {
      const [before, readsBefore] = [acknowledged, reads]
      await until('there is load', () => acknowledged > before + 100 && reads > readsBefore + 100)
      await server.kill()
      await until('health has noticed', () => !remote.engine.health.isReady)
      expect(remote.engine.health.detail).toMatch(/^reconnecting to the server: /)
      server = await ServerProcess.redis(['--appendonly', 'yes', '--appendfsync', 'always'], directory, port)
    }
    const before = acknowledged
    await until('there is load again', () => acknowledged > before + 100)
    isDone = true
    await Promise.all(load)

    const count = Number(await remote.call('GET', 'n'))
    expect(count).toBeGreaterThanOrEqual(acknowledged)
    expect(count).toBeLessThanOrEqual(acknowledged + failures)
    expect(failures).toBeLessThanOrEqual(6)

    await until('both subscriptions are in force again', async () => {
      await remote.call('PUBLISH', 'news', 'hello')
      return messages.includes('hello') && messages.includes('p:hello')
    })
    await remote.engine.close()
    await server.kill()
    await server.dispose()
  }, 60_000)

  test('a server that is not there: calls wait for a while, then get a clear error; later ones are served', async () => {
    const port = await freePort()
    const remote = remoteEngine(`redis://127.0.0.1:${port}`, { waitMs: 300 })
    const started = performance.now()
    await expect(remote.call('PING')).rejects.toThrow(new EngineUnavailableError('The engine is not connected'))
    expect(performance.now() - started).toBeGreaterThan(250)
    await expect(remote.engine.subscribe('c', () => {})).rejects.toThrow(EngineUnavailableError)
    await expect(remote.call('BLPOP', 'q', '0')).rejects.toThrow(EngineUnavailableError)
    const transaction = remote.engine.transaction(remote.engine.system, [['PING']], Decode.Text)
    await expect(transaction).rejects.toThrow(EngineUnavailableError)
    await expect(remote.engine.monitor(() => {})).rejects.toThrow(EngineUnavailableError)
    const controller = new AbortController()
    const waiting = remote.engine.call(remote.engine.system, ['PING'], { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toThrow('The call was taken back')

    const server = await ServerProcess.redis([], null, port)
    await until('it is served', async () => (await remote.call('PING').catch(() => null)) === 'PONG')
    await remote.engine.close()
    await server.dispose()
  }, 20_000)

  test('a wrong password is told by health and log, without the password', async () => {
    const server = await ServerProcess.redis(['--requirepass', 'right'])
    const remote = remoteEngine(`redis://:hush-hush@127.0.0.1:${server.port}`, { waitMs: 300 })
    await expect(remote.call('PING')).rejects.toThrow('The engine is not connected')
    expect(remote.engine.health.detail).toContain('WRONGPASS')
    expect(remote.log.lines.join('\n')).toContain('WRONGPASS')
    expect(`${remote.log.lines.join('\n')}${remote.engine.health.detail}`).not.toContain('hush')
    await remote.engine.close()
    await server.dispose()
  })

  test('a server that stops answering is left; what it owed fails, and the next one that answers is used', async () => {
    const server = await ServerProcess.redis()
    const remote = remoteEngine(`redis://127.0.0.1:${server.port}`, { waitMs: 10_000, silenceMaxMs: 200 })
    await remote.call('SET', 'k', '1')
    process.kill(server.pid, 'SIGSTOP')
    const [written, read] = [remote.call('INCR', 'k').catch((error: unknown) => error), remote.call('GET', 'k')]
    expect(await written).toEqual(
      new EngineUnavailableError('The connection to the engine was lost: the command may have been executed'),
    )
    process.kill(server.pid, 'SIGCONT')
    // It may indeed have been: the bytes had reached the server.
    expect(['1', '2']).toContain(await read)
    await remote.engine.close()
    await server.dispose()
  })

  test('a server that takes connections and says nothing is waited for no longer than others', async () => {
    const silent: Server = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    if (address === null || typeof address === 'string') throw new Error('No port')
    const remote = remoteEngine(`redis://127.0.0.1:${address.port}`, { waitMs: 200 })
    await expect(remote.call('PING')).rejects.toThrow('The engine is not connected')
    await remote.engine.close()
    silent.close()
  })
})

describe.skipIf(!hasRedisServer)('TLS', () => {
  const file = (name: string): string => fileURLToPath(new URL(`../../support/tls/${name}`, import.meta.url))
  const trust = { 'tls-ca-cert-file': file('ca.pem') }
  const identity = { 'tls-client-cert-file': file('client.pem'), 'tls-client-key-file': file('client.key') }

  test('a server that asks for certificates is served with those of the configuration, and with no others', async () => {
    const tlsPort = await freePort()
    const files = ['--tls-cert-file', file('server.pem'), '--tls-key-file', file('server.key')]
    const server = await ServerProcess.redis([
      ...['--tls-port', String(tlsPort), '--tls-ca-cert-file', file('ca.pem'), '--tls-auth-clients', 'yes'],
      ...files,
    ])
    const url = `rediss://127.0.0.1:${tlsPort}`
    const full = remoteEngine(url, {}, { ...trust, ...identity })
    expect(await full.call('SET', 'k', 'v')).toBe('OK')
    expect(await full.call('BLPOP', 'none', '0.01')).toBeNull()
    const client = full.engine.createClient()
    expect(await client.get('k')).toBe('v')

    const distrustful = remoteEngine(url, { waitMs: 300 }, identity)
    await expect(distrustful.call('GET', 'k')).rejects.toThrow('The engine is not connected')
    expect(distrustful.engine.health.detail).toBe('reconnecting to the server: SELF_SIGNED_CERT_IN_CHAIN')
    const unknown = remoteEngine(url, { waitMs: 300 }, trust)
    await expect(unknown.call('GET', 'k')).rejects.toThrow('The engine is not connected')
    for (const { engine } of [full, distrustful, unknown]) await engine.close()
    await server.dispose()
  })

  test('a file that cannot be read is an error of the configuration', () => {
    expect(() => remoteEngine('rediss://db', {}, { 'tls-ca-cert-file': '/none.pem' })).toThrow(
      'Failed to load /none.pem (tls-ca-cert-file)',
    )
    expect(() => remoteEngine('rediss://db', {}, { 'tls-client-cert-file': file('client.pem') })).toThrow(
      'No tls-client-key-file configured!',
    )
  })
})
