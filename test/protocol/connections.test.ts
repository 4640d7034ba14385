/**
 * Connections that end in every way, that do not read, or that send too much: each limit has its outcome, and nothing
 * of a client is left behind.
 */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { encodeCommand, type RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const MB = 1024 * 1024

let broker: TestBroker
const directories: string[] = []

afterEach(async () => {
  await broker.stop()
  expect(broker.log.warnings.filter((line) => line.includes('defect'))).toEqual([])
  const { keyspace } = broker.server
  expect(keyspace.account()).toEqual({ bytes: keyspace.arena.liveBytes, blocks: keyspace.arena.liveBlocks })
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** Waits until the server has only `count` clients. */
async function untilClients(count: number): Promise<void> {
  const limit = performance.now() + 5000
  while (broker.server.clientCount !== count) {
    if (performance.now() > limit) expect.fail(`${broker.server.clientCount} clients are left, not ${count}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('a client that shuts down its direction', () => {
  for (const policy of ['no log', 'everysec', 'always'] as const) {
    test(`gets the replies to all that it has sent (${policy})`, async () => {
      const directory = temporaryDirectory()
      directories.push(directory)
      broker = await TestBroker.start(
        policy === 'no log' ? {} : { appendonly: 'yes', appendfsync: policy, dir: directory },
      )
      const value = 'v'.repeat(3000)
      let requests = encodeCommand(['SET', 'big', value])
      let expected = '+OK\r\n'
      for (let i = 1; i <= 2000; i++) {
        requests += encodeCommand(['INCR', 'n']) + encodeCommand(['GET', 'big'])
        expected += `:${i}\r\n$3000\r\n${value}\r\n`
      }
      const raw = await RawConnection.connect(broker.port)
      raw.sendLast(requests)
      await raw.ended()
      expect(raw.text.length).toBe(expected.length)
      expect(raw.text === expected).toBe(true)
      await untilClients(0)
    })
  }

  test('and waits in a blocking command is closed and takes no element', async () => {
    broker = await TestBroker.start()
    const raw = await RawConnection.connect(broker.port)
    raw.sendLast(encodeCommand(['BLPOP', 'list', '0']))
    await raw.ended()
    expect(raw.text).toBe('')
    const client = await broker.connect()
    expect(await client.call('LPUSH', 'list', 'a')).toBe(1)
    expect(await client.call('LLEN', 'list')).toBe(1)
    expect(broker.server.blockedCount).toBe(0)
  })

  test('in the middle of a request is closed without a reply', async () => {
    broker = await TestBroker.start()
    const raw = await RawConnection.connect(broker.port)
    raw.sendLast(`${encodeCommand(['PING'])}*2\r\n$3\r\nGET\r\n$5\r\nab`)
    await raw.ended()
    expect(raw.text).toBe('+PONG\r\n')
    await untilClients(0)
  })
})

describe('a client that breaks off', () => {
  /** What the client does before; it breaks off when the server has sent `until`. */
  const states: readonly (readonly [name: string, input: string, until: string])[] = [
    ['in the middle of a pipeline', encodeCommand(['GET', 'big']).repeat(20_000), '$'],
    [
      'in the middle of a long argument',
      `${encodeCommand(['PING'])}*2\r\n$4\r\nECHO\r\n$9000000\r\n${'x'.repeat(8_000_000)}`,
      '+PONG',
    ],
    ['while it is blocked', `${encodeCommand(['PING'])}${encodeCommand(['BLPOP', 'none', '0'])}`, '+PONG'],
    [
      'while it is blocked, with much behind',
      `${encodeCommand(['PING'])}${encodeCommand(['BLPOP', 'none', '0'])}${encodeCommand(['SET', 'after', 'x'.repeat(1000)]).repeat(1000)}`,
      '+PONG',
    ],
    ['in MULTI with watched keys', `WATCH a b c\r\nMULTI\r\nSET a 1\r\nXADD s * f v\r\n`, 'QUEUED\r\n+QUEUED'],
    ['while it is subscribed', 'SUBSCRIBE c1 c2\r\nPSUBSCRIBE p*\r\nSSUBSCRIBE s\r\n', 's\r\n:1'],
    ['as a monitor', 'MONITOR\r\n', '+OK'],
    ['with a reply switched off', 'PING\r\nCLIENT REPLY OFF\r\nPING\r\n', '+PONG'],
  ]

  test.each(states)('%s leaves nothing behind', async (_name, input, until) => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    await client.call('SET', 'big', 'v'.repeat(10_000))
    const raw = await RawConnection.connect(broker.port)
    raw.send(input)
    await raw.until((text) => text.includes(until))
    raw.reset()
    await untilClients(1)
    expect(broker.server.blockedCount).toBe(0)
    expect(await client.call('PUBSUB', 'CHANNELS')).toEqual([])
    expect(await client.call('PUBSUB', 'SHARDCHANNELS')).toEqual([])
    expect(await client.call('PUBSUB', 'NUMPAT')).toBe(0)
    expect(await client.call('LPUSH', 'none', 'a')).toBe(1)
    expect(await client.call('EXISTS', 'a', 's', 'after')).toBe(0)
    expect(broker.server.pipeline.monitors.isEmpty).toBe(true)
  })

  test('with pending output leaves nothing behind', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    await client.call('SET', 'big', 'v'.repeat(MB))
    const raw = await RawConnection.connect(broker.port)
    raw.pause()
    raw.send(encodeCommand(['GET', 'big']).repeat(50))
    await pendingOutput(client, 20 * MB)
    raw.reset()
    await untilClients(1)
  })
})

/** Waits until some client has that much output waiting. */
async function pendingOutput(client: RespClient, bytes: number): Promise<void> {
  for (let i = 0; i < 500; i++) {
    await client.call('PING')
    for (const other of broker.server.clients.values()) if (other.pendingOutputBytes >= bytes) return
  }
  expect.fail('No output is waiting')
}

describe('client-output-buffer-limit', () => {
  test('the hard limit of normal clients closes one that does not read, in the middle of its pipeline', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 8mb 0 0')
    await client.call('SET', 'big', 'v'.repeat(MB))
    const raw = await RawConnection.connect(broker.port)
    raw.pause()
    raw.send(encodeCommand(['GET', 'big']).repeat(100) + encodeCommand(['SET', 'behind', '1']))
    await untilClients(1)
    expect(broker.server.stats.outputLimitDisconnections).toBe(1)
    expect(await client.call('EXISTS', 'behind')).toBe(0)
    expect(broker.log.warnings.join()).toContain('output buffer limits')
    raw.close()
  })

  test('a client that reaches its hard limit with a reply for which not even an error has room is closed, and nobody else', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    // The output buffer has room for more than the limit allows: it is found out where that ends.
    await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 700000 0 0')
    await client.call('SET', 'value', 'v'.repeat(3000))
    const raw = await RawConnection.connect(broker.port)
    raw.send(`${'GET value\r\n'.repeat(600)}SET behind 1\r\n`)
    await untilClients(1)
    expect(broker.server.stats.outputLimitDisconnections).toBe(1)
    expect(await client.call('EXISTS', 'behind')).toBe(0)
    raw.close()
  })

  test('a transaction whose replies reach the hard limit is executed in full', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 700000 0 0')
    await client.call('SET', 'value', 'v'.repeat(3000))
    const raw = await RawConnection.connect(broker.port)
    raw.send(`MULTI\r\nINCR n\r\n${'GET value\r\n'.repeat(600)}INCR n\r\nEXEC\r\nINCR n\r\n`)
    await untilClients(1)
    expect(broker.server.stats.outputLimitDisconnections).toBe(1)
    expect(await client.call('GET', 'n')).toBe('2')
    raw.close()
  })

  test('the hard limit of subscribers closes one that does not read, others get every message', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 8mb 0 0')
    const slow = await RawConnection.connect(broker.port)
    const quick = await RawConnection.connect(broker.port)
    for (const raw of [slow, quick]) {
      raw.send('SUBSCRIBE c\r\n')
      await raw.until((text) => text.endsWith(':1\r\n'))
    }
    slow.pause()
    const message = 'm'.repeat(MB)
    const receivers: unknown[] = []
    for (let i = 0; i < 40; i++) {
      const before = quick.text.length
      receivers.push(await client.call('PUBLISH', 'c', message))
      await quick.until((text) => text.length >= before + MB)
    }
    expect(receivers[0]).toBe(2)
    expect(receivers.at(-1)).toBe(1)
    await untilClients(2)
    expect(broker.server.stats.outputLimitDisconnections).toBe(1)
    expect(quick.text.split('message').length).toBe(41)
    slow.close()
    quick.close()
  })

  test('the soft limit closes a client that stays above it for its time, not before, and not one that reads again', async () => {
    const clock = new TestClock()
    broker = await TestBroker.start({}, clock)
    const client = await broker.connect()
    await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 4mb 10')
    await client.call('SET', 'big', 'v'.repeat(MB))
    const slow = await RawConnection.connect(broker.port)
    const late = await RawConnection.connect(broker.port)
    for (const raw of [slow, late]) {
      raw.pause()
      raw.send(encodeCommand(['GET', 'big']).repeat(30))
    }
    await pendingOutput(client, 5 * MB)
    clock.pass(9_000)
    await client.call('PING')
    expect(broker.server.clientCount).toBe(3)
    late.resume()
    await late.until((text) => text.length >= 30 * MB)
    clock.pass(2_000)
    await untilClients(2)
    expect(slow.isEnded).toBe(false)
    expect(late.isEnded).toBe(false)
    late.send('PING\r\n')
    await late.until((text) => text.endsWith('+PONG\r\n'))
    slow.close()
    late.close()
  })

  test('a client that stops reading gets all replies when it reads again, however small the one that got stuck', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    // Below the high-water mark of Node's streams, above which alone they say when they have been written.
    const value = 'v'.repeat(30_000)
    await client.call('SET', 'k', value)
    const slow = await RawConnection.connect(broker.port)
    slow.pause()
    const replyBytes = value.length + '$30000\r\n\r\n'.length
    const get = broker.server.registry.byFullName('get')!
    for (let i = 1; i <= 400; i++) {
      slow.send('GET k\r\n')
      // One reply in each turn.
      while (get.calls < i) await client.call('PING')
    }
    slow.resume()
    await slow.until((text) => text.length >= 400 * replyBytes)
    expect(slow.text.length).toBe(400 * replyBytes)
    slow.close()
  })

  test('a client that has not authenticated cannot make output pile up', async () => {
    broker = await TestBroker.start({ requirepass: 'secret' })
    const raw = await RawConnection.connect(broker.port)
    raw.pause()
    const request = encodeCommand(['GET', 'k']).repeat(2000)
    for (let i = 0; i < 200; i++) raw.send(request)
    await untilClients(0)
    expect(broker.server.stats.outputLimitDisconnections).toBe(1)
    raw.close()
  })
})

describe('limits of input', () => {
  test('client-query-buffer-limit closes a client whose request is too long, and nothing of it is executed', async () => {
    broker = await TestBroker.start({ 'client-query-buffer-limit': '1mb' })
    const raw = await RawConnection.connect(broker.port)
    raw.send(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n${'x'.repeat(2_000_000)}`)
    await raw.ended()
    expect(raw.text).toBe('')
    await untilClients(0)
    expect(broker.server.stats.queryLimitDisconnections).toBe(1)
    expect(await (await broker.connect()).call('EXISTS', 'k')).toBe(0)
  })

  test('client-query-buffer-limit holds for what is sent behind a blocking command', async () => {
    broker = await TestBroker.start({ 'client-query-buffer-limit': '1mb' })
    const raw = await RawConnection.connect(broker.port)
    raw.send(encodeCommand(['BLPOP', 'none', '0']) + encodeCommand(['SET', 'k', 'x'.repeat(10_000)]).repeat(200))
    await raw.ended()
    expect(raw.text).toBe('')
    expect(broker.server.blockedCount).toBe(0)
  })

  test('client-query-buffer-limit holds for what MULTI has queued', async () => {
    broker = await TestBroker.start({ 'client-query-buffer-limit': '1mb' })
    const raw = await RawConnection.connect(broker.port)
    raw.send('MULTI\r\n')
    for (let i = 0; i < 30; i++) raw.send(encodeCommand(['SET', `k${i}`, 'x'.repeat(100_000)]))
    raw.send('EXEC\r\n')
    await raw.ended()
    expect(raw.text).not.toContain('*')
    expect(await (await broker.connect()).call('DBSIZE')).toBe(0)
  })

  test('what is sent behind a blocking command is executed when it is done, in order', async () => {
    broker = await TestBroker.start()
    const raw = await RawConnection.connect(broker.port)
    const rounds = 300
    let input = ''
    for (let i = 0; i < rounds; i++)
      input += encodeCommand(['BLPOP', 'list', '0']) + encodeCommand(['ECHO', `${i}:${'x'.repeat(1000)}`])
    raw.send(input)
    const client = await broker.connect()
    for (let i = 0; i < rounds; i++) await client.call('LPUSH', 'list', String(i))
    await raw.until((text) => text.includes(`${rounds - 1}:x`) && text.endsWith('x\r\n'))
    const echoes = [...raw.text.matchAll(/\r\n(\d+):x/g)].map((match) => Number(match[1]))
    expect(echoes).toEqual(Array.from({ length: rounds }, (_, i) => i))
    raw.close()
  })

  test('proto-max-bulk-len is the longest argument, and follows CONFIG SET', async () => {
    broker = await TestBroker.start({ 'proto-max-bulk-len': '1mb' })
    const client = await broker.connect()
    expect(await client.call('SET', 'k', 'x'.repeat(MB))).toEqual({ status: 'OK' })
    const raw = await RawConnection.connect(broker.port)
    raw.send(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${MB + 1}\r\n`)
    await raw.ended()
    expect(raw.text).toBe('-ERR Protocol error: invalid bulk length\r\n')
    await client.call('CONFIG', 'SET', 'proto-max-bulk-len', '3mb')
    expect(await client.call('SET', 'k', 'x'.repeat(2 * MB))).toEqual({ status: 'OK' })
    expect(await client.call('APPEND', 'k', 'x'.repeat(2 * MB))).toEqual({
      error: 'ERR string exceeds maximum allowed size (proto-max-bulk-len)',
    })
    expect(await client.call('STRLEN', 'k')).toBe(2 * MB)
  })

  test('100,000 arguments in small pieces are one request', async () => {
    broker = await TestBroker.start()
    const client = await broker.connect()
    const words = ['SADD', 's', ...Array.from({ length: 100_000 }, (_, i) => `member:${i}`)]
    const input = encodeCommand(words)
    const raw = await RawConnection.connect(broker.port)
    for (let at = 0; at < input.length; at += 700) raw.send(input.slice(at, at + 700))
    await raw.until((text) => text.endsWith('\r\n'))
    expect(raw.text).toBe(':100000\r\n')
    expect(await client.call('SCARD', 's')).toBe(100_000)
    raw.close()
  }, 20_000)

  test('a value of many megabytes comes back as it was, whatever the pieces', async () => {
    broker = await TestBroker.start()
    const bytes = Buffer.alloc(9_000_001)
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) >>> 24
    const value = bytes.toString('latin1')
    const input = encodeCommand(['PING']) + encodeCommand(['SET', 'k', value]) + encodeCommand(['GET', 'k'])
    const raw = await RawConnection.connect(broker.port)
    for (let at = 0; at < input.length; ) {
      const size = 1 + ((at * 7919) % 100_003)
      raw.send(input.slice(at, at + size))
      at += size
    }
    const expected = `+PONG\r\n+OK\r\n$${value.length}\r\n${value}\r\n`
    await raw.until((text) => text.length >= expected.length)
    expect(raw.text === expected).toBe(true)
    raw.close()
  }, 20_000)
})

describe('limits of connections', () => {
  test('maxclients refuses with its error, closes, and takes new clients when others have gone', async () => {
    broker = await TestBroker.start({ maxclients: 3 })
    const clients = [await broker.connect(), await broker.connect(), await broker.connect()]
    await clients[0]!.call('PING')
    for (let i = 0; i < 5; i++) {
      const raw = await RawConnection.connect(broker.port)
      // Input that is never read must not cost the client the error.
      raw.send('PING\r\n')
      await raw.ended()
      expect(raw.text).toBe('-ERR max number of clients reached\r\n')
      raw.close()
    }
    // One that breaks off while it is refused ends nothing but itself.
    for (let i = 0; i < 50; i++) (await RawConnection.connect(broker.port)).reset()
    expect(broker.server.stats.connectionsRejected).toBeGreaterThanOrEqual(5)
    clients[2]!.close()
    await untilClients(2)
    expect(await (await broker.connect()).call('PING')).toEqual({ status: 'PONG' })
  })

  test('timeout closes idle clients, but none that is blocked, subscribed or a monitor', async () => {
    const clock = new TestClock()
    broker = await TestBroker.start({ timeout: 10 }, clock)
    const idle = await broker.connect()
    await idle.call('PING')
    const blocked = await RawConnection.connect(broker.port)
    blocked.send('BLPOP none 0\r\n')
    const subscribed = await RawConnection.connect(broker.port)
    subscribed.send('SUBSCRIBE c\r\n')
    await subscribed.until((text) => text !== '')
    const monitor = await RawConnection.connect(broker.port)
    monitor.send('MONITOR\r\n')
    await monitor.until((text) => text !== '')
    const slow = await RawConnection.connect(broker.port)
    slow.send('*1\r\n')
    await idle.call('PING')
    clock.pass(9_000)
    slow.send('$4\r\n')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect(broker.server.clientCount).toBe(5)
    clock.pass(2_000)
    await idle.closed()
    // A client that is still sending its request is not idle.
    expect(broker.server.clientCount).toBe(4)
    slow.send('PING\r\n')
    await slow.until((text) => text !== '')
    for (const raw of [blocked, subscribed, monitor, slow]) raw.close()
  })

  test.skipIf(!hasSocketStatistics())('tcp-keepalive sets the probes of new connections', async () => {
    broker = await TestBroker.start({ 'tcp-keepalive': 77 })
    const client = await broker.connect()
    await client.call('PING')
    const timerOf = (): string =>
      execFileSync('ss', ['-tno', 'sport', '=', `:${broker.port}`], { encoding: 'utf8', timeout: 5000 })
    expect(timerOf()).toMatch(/timer:\(keepalive,1min1[67]sec/)
    client.close()
    await untilClients(0)
    broker.server.keepAliveSeconds = 0
    const other = await broker.connect()
    await other.call('PING')
    expect(timerOf()).not.toContain('keepalive')
  })
})

function hasSocketStatistics(): boolean {
  try {
    execFileSync('ss', ['-V'], { stdio: 'ignore', timeout: 5000 })
    return true
  } catch {
    return false
  }
}
