/** Calls, pipelines and subscriptions of a program that runs the broker. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  BrokerClosedError,
  CommandError,
  type CreateBrokerOptions,
  createBroker,
  type LocalBroker,
} from '../../src/index.ts'
import { RespClient } from '../support/resp-client.ts'
import { freePort } from '../support/server-process.ts'

const brokers: LocalBroker[] = []
const directories: string[] = []

async function start(options: CreateBrokerOptions = {}): Promise<LocalBroker> {
  const broker = await createBroker(options)
  brokers.push(broker)
  return broker
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-library-'))
  directories.push(directory)
  return directory
}

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
})

describe('call', () => {
  test('resolves to JavaScript values', async () => {
    const broker = await start()
    expect(await broker.call('SET', 'clé', 'valeur é')).toBe('OK')
    expect(await broker.call('GET', 'clé')).toBe('valeur é')
    expect(await broker.call('GET', 'missing')).toBe(null)
    expect(await broker.call('HSET', 'h', 'a', 1, 'b', 2.5)).toBe(2)
    expect(await broker.call('HGETALL', 'h')).toEqual({ a: '1', b: '2.5' })
    expect(await broker.call('INCRBY', 'n', 2n ** 62n)).toBe(2n ** 62n)
    expect(await broker.call('ZADD', 'z', 1.5, 'm')).toBe(1)
    expect(await broker.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')).toEqual([['m', 1.5]])
  })

  test('takes and gives bytes', async () => {
    const broker = await start()
    const bytes = Buffer.from([0, 255, 13, 10])
    await broker.call('SET', bytes, bytes)
    expect(await broker.callBuffer('GET', bytes)).toEqual(bytes)
    expect(await broker.callBuffer('KEYS', '*')).toEqual([bytes])
  })

  test('rejects with the error reply', async () => {
    const broker = await start()
    await broker.call('SET', 's', 'x')
    const error = await broker.call('LPUSH', 's', 'x').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(CommandError)
    expect(error).toMatchObject({
      code: 'WRONGTYPE',
      message: 'WRONGTYPE Operation against a key holding the wrong kind of value',
    })
    await expect(broker.call('NOPE', 'a')).rejects.toThrow("ERR unknown command 'NOPE', with args beginning with: 'a' ")
    await expect(broker.call('GET')).rejects.toThrow("ERR wrong number of arguments for 'get' command")
  })

  test('rejects arguments that are no text, number or bytes, and goes on', async () => {
    const broker = await start()
    const absent = JSON.parse('null') as string
    await expect(broker.call('SET', 'k', absent)).rejects.toThrow(new TypeError('Cannot call SET: an argument is null'))
    await expect(broker.call()).rejects.toThrow('Cannot call: the command is missing')
    expect(await broker.call('EXISTS', 'k')).toBe(0)
  })

  test('rejects more bytes than a request may have, and goes on', async () => {
    const broker = await start()
    // Only as big as it has to be when it is written to, which it never is.
    const huge = new Uint8Array(2 ** 31)
    await expect(broker.call('SET', 'k', huge)).rejects.toThrow('Invalid request length')
    await expect(broker.call('SET', 'k', huge)).rejects.toThrow('Invalid request length')
    expect(await broker.call('EXISTS', 'k')).toBe(0)
  })

  test('runs calls in their order, also those that were made together', async () => {
    const broker = await start()
    const replies = await Promise.all(Array.from({ length: 3000 }, () => broker.call('INCR', 'n')))
    expect(replies).toEqual(Array.from({ length: 3000 }, (_, i) => i + 1))
  })

  test('leaves other clients their turn while many calls wait', async () => {
    const broker = await start({ port: 0 })
    const client = await RespClient.connect({ port: broker.port })
    const calls = Array.from({ length: 20_000 }, () => broker.call('INCR', 'n'))
    const seen = Number(await client.call('GET', 'n'))
    expect(seen).toBeLessThan(20_000)
    await Promise.all(calls)
    client.close()
  })

  test('may come from within a handler of a message', async () => {
    const broker = await start()
    const seen = new Promise((resolve) => {
      void broker.subscribe('c', (message) => resolve(broker.call('SET', 'from-message', message)))
    })
    await broker.call('PING')
    await broker.call('PUBLISH', 'c', 'hello')
    expect(await seen).toBe('OK')
    expect(await broker.call('GET', 'from-message')).toBe('hello')
  })

  test('refuses commands whose messages are no replies', async () => {
    const broker = await start()
    await expect(broker.call('subscribe', 'c')).rejects.toThrow(
      'Cannot call SUBSCRIBE: its messages are no replies, use subscribe()',
    )
    await expect(broker.call('MONITOR')).rejects.toThrow(
      'Cannot call MONITOR: its messages are no replies, use a connection',
    )
  })

  test('keeps the database of SELECT for the calls that follow, blocking ones too', async () => {
    const broker = await start()
    await broker.call('SELECT', 3)
    await broker.call('RPUSH', 'l', 'a')
    expect(await broker.call('BLPOP', 'l', 0)).toEqual(['l', 'a'])
    await broker.call('SELECT', 0)
    expect(await broker.call('EXISTS', 'l')).toBe(0)
  })
})

describe('a blocking call', () => {
  test('waits without holding up others', async () => {
    const broker = await start()
    const waiting = [1, 2, 3].map(() => broker.call('BLPOP', 'l', 0))
    const moved = broker.call('BLMOVE', 'from', 'l', 'LEFT', 'RIGHT', 0)
    expect(await broker.call('PING')).toBe('PONG')
    await broker.call('RPUSH', 'l', 'a', 'b')
    expect(await waiting[0]).toEqual(['l', 'a'])
    expect(await waiting[1]).toEqual(['l', 'b'])
    await broker.call('RPUSH', 'from', 'c')
    expect(await moved).toBe('c')
    expect(await waiting[2]).toEqual(['l', 'c'])
  })

  test('ends at its timeout', async () => {
    const broker = await start()
    expect(await broker.call('BLPOP', 'l', 0.01)).toBe(null)
    expect(await broker.call('BRPOP', 'l', 0.01)).toBe(null)
  })

  test('reads a stream, also as a member of a group, with text or bytes', async () => {
    const broker = await start()
    await broker.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    const plain = broker.callBuffer('XREAD', 'BLOCK', 0, 'STREAMS', 's', '$')
    const grouped = broker.call('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', 0, 'STREAMS', 's', '>')
    await broker.call('XADD', 's', '1-1', 'f', 'v')
    expect(await grouped).toEqual({ s: [['1-1', ['f', 'v']]] })
    expect(await plain).toEqual(
      new Map([[Buffer.from('s'), [[Buffer.from('1-1'), [Buffer.from('f'), Buffer.from('v')]]]]]),
    )
  })

  test('is served by a socket, and serves one', async () => {
    const broker = await start({ port: 0 })
    const client = await RespClient.connect({ port: broker.port })
    const inProcess = broker.call('BLPOP', 'a', 0)
    await client.call('RPUSH', 'a', '1')
    expect(await inProcess).toEqual(['a', '1'])
    const remote = client.call('BLPOP', 'b', '0')
    while (!String(await broker.call('CLIENT', 'LIST')).includes('cmd=blpop')) await broker.call('PING')
    await broker.call('RPUSH', 'b', '2')
    expect(await remote).toEqual(['b', '2'])
    client.close()
  })

  test('inside MULTI answers at once', async () => {
    const broker = await start()
    expect(await broker.pipeline([['MULTI'], ['BLPOP', 'l', 0], ['EXEC']])).toEqual(['OK', 'QUEUED', [null]])
  })

  test('that is killed is rejected', async () => {
    const broker = await start()
    const waiting = broker.call('BLPOP', 'l', 0)
    const outcome = expect(waiting).rejects.toThrow('The connection was closed')
    const line = String(await broker.call('CLIENT', 'LIST'))
      .split('\n')
      .find((client) => client.includes('cmd=blpop'))
    await broker.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line ?? '')?.[1] ?? '0')
    await outcome
    expect(await broker.call('RPUSH', 'l', 'a')).toBe(1)
    expect(await broker.call('LLEN', 'l')).toBe(1)
  })
})

describe('pipeline', () => {
  test('resolves to all replies, errors in their place', async () => {
    const broker = await start()
    const replies = await broker.pipeline([
      ['SET', 'a', 1],
      ['LPUSH', 'a', 1],
      ['INCR', 'a'],
    ])
    expect(replies[0]).toBe('OK')
    expect(replies[1]).toBeInstanceOf(CommandError)
    expect(replies[2]).toBe(2)
    expect(await broker.pipeline([])).toEqual([])
  })

  test('runs a transaction without other calls in between', async () => {
    const broker = await start()
    const [first, other, second] = await Promise.all([
      broker.pipeline([['MULTI'], ['INCR', 'n'], ['INCR', 'n'], ['EXEC']]),
      broker.call('GET', 'n'),
      broker.pipeline([['MULTI'], ['INCR', 'n'], ['NOPE'], ['EXEC']]),
    ])
    expect(first).toEqual(['OK', 'QUEUED', 'QUEUED', [1, 2]])
    expect(other).toBe('2')
    expect(second[3]).toMatchObject({ code: 'EXECABORT' })
    expect(await broker.call('GET', 'n')).toBe('2')
  })
})

describe('CLIENT PAUSE', () => {
  test('makes calls wait, in their order', async () => {
    const broker = await start()
    await broker.call('CLIENT', 'PAUSE', 50, 'WRITE')
    const order: string[] = []
    const write = broker.call('SET', 'k', 'v').then(() => order.push('write'))
    const blocking = broker.call('BLPOP', 'l', 0).then((reply) => order.push(String(reply)))
    const read = broker.call('GET', 'k').then((reply) => order.push(`read ${reply}`))
    await Promise.all([write, read])
    expect(order).toEqual(['write', 'read v'])
    await broker.call('RPUSH', 'l', 'x')
    await blocking
    expect(order).toEqual(['write', 'read v', 'l,x'])
  })
})

test('QUIT ends the session only: the next call opens another one', async () => {
  const broker = await start()
  await broker.call('SELECT', 5)
  expect(await broker.call('QUIT')).toBe('OK')
  await broker.call('SET', 'k', 'v')
  await broker.call('SELECT', 0)
  expect(await broker.call('GET', 'k')).toBe('v')
})

test('more sessions than maxclients are refused with the reply of a server', async () => {
  const broker = await start({ config: { maxclients: 2 } })
  await broker.call('PING')
  const first = broker.call('BLPOP', 'l', 0)
  await expect(broker.call('BLPOP', 'l', 0)).rejects.toThrow('ERR max number of clients reached')
  await broker.call('RPUSH', 'l', 'a')
  await first
})

describe('subscribe', () => {
  test('delivers messages of a channel and of a pattern until unsubscribe', async () => {
    const broker = await start()
    const seen: string[] = []
    const one = await broker.subscribe('news', (message, channel) => seen.push(`one ${channel} ${message}`))
    const two = await broker.subscribe('news', (message) => seen.push(`two ${message}`))
    const all = await broker.psubscribe('n*', (message, channel) => seen.push(`all ${channel} ${message}`))
    expect(await broker.call('PUBLISH', 'news', 'é')).toBe(2)
    await one.unsubscribe()
    await one.unsubscribe()
    await broker.call('PUBLISH', 'news', 'b')
    await two.unsubscribe()
    await all.unsubscribe()
    expect(await broker.call('PUBLISH', 'news', 'c')).toBe(0)
    expect(seen).toEqual(['one news é', 'two é', 'all news é', 'two b', 'all news b'])
  })

  test('subscribes again after its connection was killed', async () => {
    const broker = await start()
    const messages: string[] = []
    await broker.subscribe('c', (message) => messages.push(message))
    expect(await broker.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(1)
    while ((await broker.call('PUBLISH', 'c', 'again')) === 0) await new Promise((resolve) => setImmediate(resolve))
    await broker.call('PING')
    expect(messages).toEqual(['again'])
  })
})

describe('close', () => {
  test('answers what was executed and rejects the rest clearly', async () => {
    const broker = await start()
    const blocked = broker.call('BLPOP', 'l', 0)
    const outcome = expect(blocked).rejects.toThrow(new BrokerClosedError())
    await broker.call('PING')
    const closing = broker.close()
    expect(broker.close()).toBe(closing)
    const late = broker.call('PING')
    await expect(late).rejects.toThrow('The broker is closed')
    await expect(broker.pipeline([['PING']])).rejects.toThrow(BrokerClosedError)
    await expect(broker.subscribe('c', () => {})).rejects.toThrow(BrokerClosedError)
    expect(() => broker.connect()).toThrow(BrokerClosedError)
    await outcome
    await closing
    expect(broker.isClosed).toBe(true)
  })

  test('is what SHUTDOWN does', async () => {
    const broker = await start()
    await broker.call('SHUTDOWN', 'NOSAVE').catch(() => {})
    while (!broker.isClosed) await new Promise((resolve) => setImmediate(resolve))
    await expect(broker.call('PING')).rejects.toThrow(BrokerClosedError)
  })
})

/** The default directory, which a server that was started here by hand may have left. */
const existedBefore = existsSync('data')

describe('options', () => {
  test.each([
    'always',
    'everysec',
    'no',
  ] as const)('a data directory keeps the data with appendfsync %s', async (appendfsync) => {
    const dataDir = join(temporaryDirectory(), 'new')
    const first = await createBroker({ dataDir, appendfsync })
    await Promise.all(Array.from({ length: 50 }, (_, i) => first.call('RPUSH', 'l', i)))
    const served = first.call('BLPOP', 'blocked', 0)
    await first.call('RPUSH', 'blocked', 'x')
    expect(await served).toEqual(['blocked', 'x'])
    await first.close()
    const second = await start({ dataDir, appendfsync })
    expect(await second.call('LLEN', 'l')).toBe(50)
    expect(await second.call('EXISTS', 'blocked')).toBe(0)
    expect(await second.call('CONFIG', 'GET', 'appendfsync')).toEqual({ appendfsync })
  })

  test('without a data directory nothing is ever written to a file', async () => {
    const broker = await start({})
    await broker.call('SET', 'k', 'v')
    await expect(broker.call('BGREWRITEAOF')).rejects.toThrow('ERR')
    await expect(broker.call('CONFIG', 'SET', 'appendonly', 'yes')).rejects.toThrow('Unable to turn on AOF')
    await expect(broker.call('SAVE')).rejects.toThrow('ERR')
    await expect(broker.call('BGSAVE')).rejects.toThrow('ERR')
    expect(await broker.call('SET', 'k', 'w')).toBe('OK')
    expect(existsSync('data')).toBe(existedBefore)
  })

  test('a password holds for sockets, not for the process', async () => {
    const broker = await start({ port: 0, requirepass: 'secret' })
    expect(await broker.call('PING')).toBe('PONG')
    const client = await RespClient.connect({ port: broker.port })
    expect(await client.call('PING')).toEqual({ error: 'NOAUTH Authentication required.' })
    expect(await client.call('AUTH', 'secret')).toEqual({ status: 'OK' })
    client.close()
  })

  test('a unix socket is opened', async () => {
    const path = join(temporaryDirectory(), 'broker.sock')
    const broker = await start({ unixSocket: path })
    const client = await RespClient.connect({ path })
    expect(await client.call('PING')).toEqual({ status: 'PONG' })
    expect(broker.port).toBe(0)
    client.close()
  })

  test('further directives are taken, wrong ones refused', async () => {
    const broker = await start({ config: { databases: 2 } })
    await expect(broker.call('SELECT', 2)).rejects.toThrow('ERR DB index is out of range')
    const { port } = await start({ config: { port: await freePort() } })
    expect(port).toBeGreaterThan(0)
    await expect(createBroker({ port: -1 })).rejects.toThrow('Reading the configuration file')
    await expect(createBroker({ config: { 'tls-cluster': true } })).rejects.toThrow("does not support 'tls-cluster'")
  })

  test('a logger gets the log', async () => {
    const lines: string[] = []
    const note = (_fields: object, message: string): void => {
      lines.push(message)
    }
    await start({ logger: { trace: note, debug: note, info: note, warn: note } })
    expect(lines).toContain('Ready to accept connections')
  })

  test('what a logger calls is executed behind the command that is logged', async () => {
    const seen: Promise<unknown>[] = []
    const note = (_fields: object, message: string): void => {
      if (message.includes('from a script')) seen.push(broker.call('GET', 'k'))
    }
    const broker = await start({ logger: { trace: note, debug: note, info: note, warn: note } })
    await broker.call('PING')
    const script = `redis.log(redis.LOG_WARNING, 'from a script') redis.call('SET', 'k', 'v') return 1`
    expect(await broker.call('EVAL', script, 0)).toBe(1)
    expect(await Promise.all(seen)).toEqual(['v'])
  })

  test('a port that is taken rejects', async () => {
    const { port } = await start({ port: 0 })
    await expect(createBroker({ port })).rejects.toThrow(`Failed listening on port ${port} (TCP), address 127.0.0.1`)
    await expect(createBroker({ port: 0, host: '203.0.113.1' })).rejects.toThrow('EADDRNOTAVAIL')
  })
})
