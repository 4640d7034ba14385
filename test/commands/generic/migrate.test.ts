/** MIGRATE: between two brokers, and to targets that misbehave. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker } from '../../support/broker.ts'
import { until } from '../../support/redis-servers.ts'
import type { RespClient } from '../../support/resp-client.ts'

let source: TestBroker
let target: TestBroker
let here: RespClient
let there: RespClient
const servers: Server[] = []
const OK = { status: 'OK' }
const TIMEOUT = '5000'

beforeEach(async () => {
  source = await TestBroker.start()
  target = await TestBroker.start()
  here = await source.connect()
  there = await target.connect()
  await there.call('SELECT', '3')
})

afterEach(async () => {
  expect(source.server.blocking.count).toBe(0)
  for (const db of source.server.keyspace.databases) expect(db.watchers.size).toBe(0)
  await source.stop()
  await target.stop()
  for (const server of servers.splice(0)) server.close()
})

/** A target that does with each connection what the test says, given what has come so far. */
async function fakeTarget(answer: (socket: Socket, received: string, connection: number) => void): Promise<string> {
  let connections = 0
  const server = createServer((socket) => {
    const connection = ++connections
    let received = ''
    socket.setEncoding('latin1')
    socket.on('error', () => {})
    socket.on('data', (text) => {
      received += text
      answer(socket, received, connection)
    })
  })
  server.listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return String((server.address() as AddressInfo).port)
}

function migrate(port: string | number, key: string, ...options: string[]): Promise<unknown> {
  return here.call('MIGRATE', '127.0.0.1', String(port), key, '3', TIMEOUT, ...options)
}

async function info(field: string): Promise<string> {
  const text = String(await here.call('INFO', 'stats'))
  return new RegExp(`${field}:(\\d+)`).exec(text)?.[1] ?? ''
}

test('a key goes with its value and its time to live, and its connection is kept for the next one', async () => {
  await here.call('RPUSH', 'list', 'a', 'b', '3')
  await here.call('PEXPIRE', 'list', '100000')
  expect(await migrate(target.port, 'list')).toEqual(OK)
  expect(await here.call('EXISTS', 'list')).toBe(0)
  expect(await there.call('LRANGE', 'list', '0', '-1')).toEqual(['a', 'b', '3'])
  const ttl = (await there.call('PTTL', 'list')) as number
  expect(ttl).toBeGreaterThan(50_000)
  expect(ttl).toBeLessThanOrEqual(100_000)
  expect(await info('migrate_cached_sockets')).toBe('1')
  await here.call('SET', 'text', 'x')
  expect(await migrate(target.port, 'text')).toEqual(OK)
  expect(await there.call('GET', 'text')).toBe('x')
  expect(await info('migrate_cached_sockets')).toBe('1')
  // The target has the kept connection and those of the test.
  expect(target.server.clientCount).toBe(2)
})

test('COPY leaves the key here, REPLACE overwrites the one there', async () => {
  await here.call('SET', 'k', 'new')
  await there.call('SET', 'k', 'old')
  expect(await migrate(target.port, 'k', 'COPY')).toEqual({
    error: 'ERR Target instance replied with error: BUSYKEY Target key name already exists.',
  })
  expect(await migrate(target.port, 'k', 'COPY', 'REPLACE')).toEqual(OK)
  expect(await here.call('GET', 'k')).toBe('new')
  expect(await there.call('GET', 'k')).toBe('new')
})

test('of several keys those go that are there, and those stay that the target refuses', async () => {
  await here.call('MSET', 'a', '1', 'b', '2', 'c', '3')
  await there.call('SET', 'b', 'busy')
  expect(await migrate(target.port, '', 'KEYS', 'none', 'nothing')).toEqual({ status: 'NOKEY' })
  expect(await migrate(target.port, '', 'KEYS', 'none', 'a', 'b', 'c')).toEqual({
    error: 'ERR Target instance replied with error: BUSYKEY Target key name already exists.',
  })
  expect(await here.call('KEYS', '*')).toEqual(['b'])
  expect(await there.call('MGET', 'a', 'b', 'c')).toEqual(['1', 'busy', '3'])
})

test('what was deleted is recorded as one DEL', async () => {
  const lines: string[] = []
  source.server.journal.subscribe((buffer, start, end) => lines.push(buffer.latin1Slice(start, end)))
  source.server.journal.enabled = true
  await here.call('MSET', 'a', '1', 'b', '2')
  lines.length = 0
  expect(await migrate(target.port, '', 'KEYS', 'a', 'gone', 'b')).toEqual(OK)
  expect(lines.join('')).toBe('*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n')
})

test('AUTH and AUTH2 log in at the target', async () => {
  await there.call('CONFIG', 'SET', 'requirepass', 'secret')
  await there.call('ACL', 'SETUSER', 'mover', 'on', '>word', '+restore', '+select', '~*')
  await here.call('MSET', 'a', '1', 'b', '2')
  expect(await migrate(target.port, 'a')).toEqual({
    error: 'ERR Target instance replied with error: NOAUTH Authentication required.',
  })
  expect(await migrate(target.port, 'a', 'AUTH', 'wrong')).toEqual({
    error: 'ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled.',
  })
  expect(await here.call('EXISTS', 'a', 'b')).toBe(2)
  expect(await migrate(target.port, 'a', 'AUTH', 'secret')).toEqual(OK)
  expect(await migrate(target.port, 'b', 'AUTH2', 'mover', 'word')).toEqual(OK)
  expect(await there.call('MGET', 'a', 'b')).toEqual(['1', '2'])
})

test('passwords are not shown by SLOWLOG', async () => {
  await here.call('CONFIG', 'SET', 'slowlog-log-slower-than', '0')
  await here.call('SET', 'k', 'v')
  expect(await migrate(target.port, 'none', 'AUTH2', 'somebody', 'secret')).toEqual({ status: 'NOKEY' })
  const entries = JSON.stringify(await here.call('SLOWLOG', 'GET', '-1'))
  expect(entries).toContain('MIGRATE')
  expect(entries).not.toMatch(/secret|somebody/)
})

test('others are served while a client waits, and a key that they change stays here', async () => {
  let release = (): void => {}
  const asked = Promise.withResolvers<void>()
  const port = await fakeTarget((socket) => {
    release = () => socket.write('+OK\r\n+OK\r\n+OK\r\n')
    asked.resolve()
  })
  await here.call('MSET', 'a', '1', 'b', '2')
  const moved = migrate(port, '', 'KEYS', 'a', 'b')
  await asked.promise
  const other = await source.connect()
  expect(await other.call('APPEND', 'a', '!')).toBe(2)
  release()
  expect(await moved).toEqual({
    error: 'ERR A key was changed while it was being migrated. It is not deleted; migrate it again with REPLACE',
  })
  expect(await other.call('MGET', 'a', 'b')).toEqual(['1!', null])
})

test('a target that says nothing is an error after the timeout, and nothing is deleted', async () => {
  const port = await fakeTarget(() => {})
  await here.call('SET', 'a', '1')
  expect(await here.call('MIGRATE', '127.0.0.1', port, 'a', '3', '30')).toEqual({
    error: 'IOERR error or timeout reading to target instance',
  })
  expect(await here.call('GET', 'a')).toBe('1')
  expect(await info('migrate_cached_sockets')).toBe('0')
})

test('a target that cannot be reached, or a port that is none, is an error', async () => {
  const port = await fakeTarget(() => {})
  servers.pop()!.close()
  await here.call('SET', 'a', '1')
  const error = { error: 'IOERR error or timeout connecting to the client' }
  expect(await migrate(port, 'a')).toEqual(error)
  expect(await migrate('99999', 'a')).toEqual(error)
  expect(await migrate('port', 'a')).toEqual(error)
})

test('a connection that the target closes is tried once more', async () => {
  const connections: number[] = []
  const port = await fakeTarget((socket, _received, connection) => {
    connections.push(connection)
    if (connection === 1) socket.destroy()
    else socket.write('+OK\r\n+OK\r\n')
  })
  await here.call('SET', 'a', '1')
  expect(await migrate(port, 'a')).toEqual(OK)
  expect(connections).toEqual([1, 2])
  expect(await here.call('EXISTS', 'a')).toBe(0)
})

test('after a reply for a key nothing is tried again: what was taken is deleted, the rest stays', async () => {
  const port = await fakeTarget((socket) => {
    socket.end('+OK\r\n+OK\r\n')
  })
  await here.call('MSET', 'a', '1', 'b', '2')
  expect(await migrate(port, '', 'KEYS', 'a', 'b')).toEqual({
    error: 'IOERR error or timeout reading to target instance',
  })
  expect(await here.call('MGET', 'a', 'b')).toEqual([null, '2'])
})

test('a line without an end is no reply', async () => {
  const port = await fakeTarget((socket) => {
    socket.write('x'.repeat(5000))
  })
  await here.call('SET', 'a', '1')
  expect(await migrate(port, 'a')).toEqual({ error: 'IOERR error or timeout reading to target instance' })
})

test('a client that is unblocked, or gone, leaves its keys', async () => {
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const sockets: Socket[] = []
  const ended: Promise<unknown>[] = []
  const port = await fakeTarget((socket, _received, connection) => {
    sockets.push(socket)
    ended.push(once(socket, 'close'))
    asked[connection - 1]!.resolve()
  })
  await here.call('SET', 'a', '1')
  const other = await source.connect()
  const id = String(await here.call('CLIENT', 'ID'))
  const timedOut = migrate(port, 'a')
  await asked[0]!.promise
  await other.call('CLIENT', 'UNBLOCK', id)
  expect(await timedOut).toEqual({ error: 'IOERR error or timeout reading to target instance' })
  const refused = migrate(port, 'a')
  await asked[1]!.promise
  await other.call('CLIENT', 'UNBLOCK', id, 'ERROR')
  expect(await refused).toEqual({ error: 'UNBLOCKED client unblocked via CLIENT UNBLOCK' })
  const lost = migrate(port, 'a').catch((error: Error) => error.message)
  await asked[2]!.promise
  await other.call('CLIENT', 'KILL', 'ID', id)
  expect(await lost).toBe('The server closed the connection')
  // The last one is answered, but nobody waits for it any more.
  sockets[2]!.write('+OK\r\n+OK\r\n')
  expect(await other.call('GET', 'a')).toBe('1')
  expect(sockets.length).toBe(3)
  sockets[2]!.destroy()
  await Promise.all(ended)
})

test('a server that is closed holds no connection to a target', async () => {
  const ended: Promise<unknown>[] = []
  const silent = await fakeTarget((socket, received) => {
    if (received.includes('RESTORE')) ended.push(once(socket, 'close'))
  })
  const closed = await TestBroker.start()
  const client = await closed.connect()
  await client.call('MSET', 'a', '1', 'b', '2')
  expect(await client.call('MIGRATE', '127.0.0.1', String(target.port), 'a', '3', TIMEOUT)).toEqual(OK)
  client.call('MIGRATE', '127.0.0.1', silent, 'b', '3', '100000000').catch(() => {})
  await until('the target was asked', () => ended.length === 1)
  await closed.stop()
  await ended[0]
  await until('the other one is closed', () => target.server.clientCount === 1)
})

test('options are checked in order, before the numbers and the keys', async () => {
  const call = (...words: string[]): Promise<unknown> => here.call('MIGRATE', 'h', '1', ...words)
  expect(await call('k', 'x', 'x', 'COPY', 'KEYS', 'a')).toEqual({
    error: 'ERR When using MIGRATE KEYS option, the key argument must be set to the empty string',
  })
  expect(await call('k', 'x', 'x', 'COPY', 'other', 'KEYS')).toEqual({ error: 'ERR syntax error' })
  expect(await call('k', 'x', 'x', 'AUTH')).toEqual({ error: 'ERR syntax error' })
  expect(await call('k', 'x', 'x', 'AUTH2', 'a')).toEqual({ error: 'ERR syntax error' })
  expect(await call('k', '0', 'x')).toEqual({ error: 'ERR value is not an integer or out of range' })
  expect(await call('k', 'x', '0')).toEqual({ error: 'ERR value is not an integer or out of range' })
  expect(await call('k', '0', '0')).toEqual({ status: 'NOKEY' })
  expect(await call('', '0', '0', 'KEYS')).toEqual({ status: 'NOKEY' })
})

test('a transaction and a script cannot wait', async () => {
  await here.call('SET', 'k', 'v')
  await here.call('MULTI')
  await migrate(target.port, 'k')
  const error = 'ERR MIGRATE is not possible within a transaction or a script'
  expect(await here.call('EXEC')).toEqual([{ error }])
  const script = "return redis.pcall('MIGRATE', '127.0.0.1', ARGV[1], KEYS[1], '0', '100').err"
  expect(await here.call('EVAL', script, '1', 'k', String(target.port))).toBe(error)
})

test('COMMAND GETKEYS finds the keys of both forms', async () => {
  const keys = (...words: string[]): Promise<unknown> => here.call('COMMAND', 'GETKEYS', 'MIGRATE', 'h', '1', ...words)
  expect(await keys('k', '0', '0', 'COPY')).toEqual(['k'])
  expect(await keys('', '0', '0', 'AUTH', 'KEYS', 'KEYS', 'a', 'b')).toEqual(['a', 'b'])
})
