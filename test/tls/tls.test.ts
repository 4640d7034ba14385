/** The TLS door: handshakes, certificates of clients, versions, settings that change, what clients see through it. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import { Broker } from '../../src/server/broker.ts'
import { TlsConfigError } from '../../src/server/tls-settings.ts'
import { listenTls } from '../../src/transport/tls.ts'
import { TestLog } from '../support/broker.ts'
import { freePort, hasRedisServer, temporaryDirectory } from '../support/server-process.ts'

const run = promisify(execFile)
const SET_REPLY = '+OK\r\n'

function pem(name: string): string {
  return fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url))
}

const AUTHORITY = readFileSync(pem('ca.pem'))
const CLIENT = { cert: readFileSync(pem('client.pem')), key: readFileSync(pem('client.key')) }
const STRANGER = { cert: readFileSync(pem('stranger.pem')), key: readFileSync(pem('stranger.key')) }

let port: number
let broker: Broker | null = null
let log: TestLog
let opened: Socket[] = []

beforeEach(async () => {
  port = await freePort()
})

afterEach(async () => {
  for (const socket of opened) socket.destroy()
  opened = []
  await broker?.close()
  broker = null
})

function brokerWith(options: ConfigOptions): Broker {
  log = new TestLog()
  const config = configFromOptions({
    port: 0,
    'tls-port': port,
    bind: '127.0.0.1',
    appendonly: 'no',
    save: '',
    'http-token-file': '',
    'enable-debug-command': 'yes',
    'tls-cert-file': pem('server.pem'),
    'tls-key-file': pem('server.key'),
    'tls-ca-cert-file': pem('ca.pem'),
    'tls-auth-clients': 'no',
    ...options,
  })
  broker = new Broker({ config, log })
  return broker
}

function start(options: ConfigOptions = {}): Promise<void> {
  return brokerWith(options).start()
}

/** A TLS connection with what has come through it; `end` resolves when the server has closed it. */
class Secure {
  text = ''
  readonly socket: TLSSocket
  readonly end: Promise<string>
  private wake: () => void = () => {}

  constructor(options: ConnectionOptions) {
    const halfOpen: ConnectionOptions & { allowHalfOpen: boolean } = { allowHalfOpen: true, ...options }
    this.socket = connect({ host: '127.0.0.1', port, ca: AUTHORITY, ...halfOpen })
    opened.push(this.socket)
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => {
      this.text += chunk
      this.wake()
    })
    this.end = new Promise((resolve) => {
      this.socket.on('error', (error) => resolve(error.message))
      this.socket.on('end', () => resolve('end'))
      this.socket.on('close', () => resolve('close'))
    })
  }

  async call(request: string, replyLength: number): Promise<string> {
    const from = this.text.length
    this.socket.write(request)
    while (this.text.length < from + replyLength) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.text.slice(from)
  }
}

function open(options: ConnectionOptions = {}): Secure {
  return new Secure(options)
}

function configSet(...words: string[]): string | null {
  const pairs: [string, string][] = []
  for (let i = 0; i < words.length; i += 2) pairs.push([words[i]!, words[i + 1]!])
  return broker!.config.set(pairs, { isLocalClient: true, isLoading: false })
}

describe('commands through TLS', () => {
  test('are answered, with pipelines and large values', async () => {
    await start()
    const redis = new Redis({ host: '127.0.0.1', port, tls: { ca: AUTHORITY }, lazyConnect: true })
    const big = Buffer.alloc(8 * 1024 * 1024, 'ab')
    await redis.set('big', big)
    expect((await redis.getBuffer('big'))?.equals(big)).toBe(true)
    const pipeline = redis.pipeline()
    for (let i = 0; i < 1000; i++) pipeline.incr('n')
    expect((await pipeline.exec())?.at(-1)).toEqual([null, 1000])
    redis.disconnect()
  })

  test('come from rediss URLs', async () => {
    await start()
    const redis = new Redis(`rediss://127.0.0.1:${port}`, { tls: { ca: AUTHORITY } })
    expect(await redis.ping()).toBe('PONG')
    redis.disconnect()
  })

  test.skipIf(!hasRedisServer)('come from redis-cli', async () => {
    await start({ 'tls-auth-clients': 'yes' })
    const options = ['--tls', '--cacert', pem('ca.pem'), '--cert', pem('client.pem'), '--key', pem('client.key')]
    const { stdout } = await run('redis-cli', ['-p', String(port), ...options, 'ECHO', 'hello'])
    expect(stdout).toBe('hello\n')
  })

  test('are answered after the client has sent its last byte', async () => {
    await start()
    const client = open()
    await once(client.socket, 'secureConnect')
    client.socket.end('SET a 1\r\nGET a\r\n')
    expect(await client.end).toBe('end')
    expect(client.text).toBe('+OK\r\n$1\r\n1\r\n')
  })

  test('of one who stops reading are all answered when it reads again', async () => {
    await start()
    const value = 'v'.repeat(30_000)
    const writer = open()
    await writer.call(`SET k ${value}\r\n`, SET_REPLY.length)
    const slow = open()
    await once(slow.socket, 'secureConnect')
    slow.socket.pause()
    const get = broker!.server.registry.byFullName('get')!
    for (let i = 1; i <= 400; i++) {
      slow.socket.write('GET k\r\n')
      while (get.calls < i) await writer.call('PING\r\n', '+PONG\r\n'.length)
    }
    slow.socket.resume()
    const bytes = 400 * (value.length + '$30000\r\n\r\n'.length)
    expect((await slow.call('', bytes)).length).toBe(bytes)
  })

  test('see the limit of output', async () => {
    await start({ 'client-output-buffer-limit': 'normal 2mb 0 0' })
    const client = open()
    await client.call(`SET k ${'v'.repeat(60_000)}\r\n`, SET_REPLY.length)
    client.socket.pause()
    client.socket.write('GET k\r\n'.repeat(2000))
    await client.end
    expect(broker!.server.stats.outputLimitDisconnections).toBe(1)
  })
})

describe('certificates of clients', () => {
  test('are wanted with tls-auth-clients yes', async () => {
    await start({ 'tls-auth-clients': 'yes' })
    expect(await open(CLIENT).call('SET a 1\r\n', SET_REPLY.length)).toBe(SET_REPLY)
    for (const wrong of [{}, STRANGER]) {
      const refused = open(wrong)
      await refused.end
      expect(refused.text).toBe('')
    }
    expect(broker!.server.stats.connectionsReceived).toBe(1)
  })

  test('may be left out, but not be wrong, with optional', async () => {
    await start({ 'tls-auth-clients': 'optional' })
    for (const right of [{}, CLIENT]) expect(await open(right).call('PING\r\n', 7)).toBe('+PONG\r\n')
    const refused = open(STRANGER)
    await refused.end
    expect(refused.text).toBe('')
  })

  test('do not matter with no, and the rule can change', async () => {
    await start({ 'tls-auth-clients': 'no' })
    expect(await open(STRANGER).call('PING\r\n', 7)).toBe('+PONG\r\n')
    expect(configSet('tls-auth-clients', 'yes')).toBeNull()
    const refused = open()
    await refused.end
    expect(refused.text).toBe('')
    expect(await open(CLIENT).call('PING\r\n', 7)).toBe('+PONG\r\n')
  })

  test('are judged by the authorities of a directory too', async () => {
    const directory = temporaryDirectory()
    copyFileSync(pem('ca.pem'), join(directory, 'ca.pem'))
    writeFileSync(join(directory, 'README'), 'no certificate')
    await start({ 'tls-auth-clients': 'yes', 'tls-ca-cert-file': '', 'tls-ca-cert-dir': directory })
    expect(await open(CLIENT).call('PING\r\n', 7)).toBe('+PONG\r\n')
    rmSync(directory, { recursive: true })
  })
})

test('versions and ciphers are those that are configured', async () => {
  await start({ 'tls-protocols': 'TLSv1.2', 'tls-ciphers': 'ECDHE-ECDSA-AES128-GCM-SHA256' })
  expect(await open({ minVersion: 'TLSv1.3' }).end).toMatch(/alert protocol version|EPROTO|close/)
  const old = open()
  await old.call('PING\r\n', 7)
  expect(old.socket.getProtocol()).toBe('TLSv1.2')
  expect(old.socket.getCipher().standardName).toBe('TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256')
  expect(configSet('tls-protocols', 'TLSv1.2 TLSv1.3', 'tls-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256')).toBeNull()
  const recent = open()
  await recent.call('PING\r\n', 7)
  expect(recent.socket.getProtocol()).toBe('TLSv1.3')
  expect(recent.socket.getCipher().name).toBe('TLS_CHACHA20_POLY1305_SHA256')
})

test('a session is resumed unless tls-session-caching is no', async () => {
  await start()
  const resumes = async (): Promise<boolean> => {
    const first = open()
    const [session] = await once(first.socket, 'session')
    await first.call('PING\r\n', 7)
    const second = open({ session: session as Buffer })
    await second.call('PING\r\n', 7)
    return second.socket.isSessionReused()
  }
  expect(await resumes()).toBe(true)
  expect(configSet('tls-session-caching', 'no')).toBeNull()
  expect(await resumes()).toBe(false)
})

test('a new certificate is taken without a restart; one that does not fit is refused', async () => {
  await start()
  const before = open()
  await before.call('PING\r\n', 7)
  expect(configSet('tls-cert-file', pem('client.pem'))).toBe(
    "ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable to update TLS configuration. Check server logs.",
  )
  expect(log.warnings.join()).toContain('Failed to configure TLS: ')
  expect(configSet('tls-cert-file', pem('client.pem'), 'tls-key-file', pem('client.key'))).toBeNull()
  const after = open({ rejectUnauthorized: false })
  expect(await after.call('PING\r\n', 7)).toBe('+PONG\r\n')
  expect(after.socket.getPeerCertificate().subject.CN).toBe('client')
  expect(await before.call('PING\r\n', 7)).toBe('+PONG\r\n')
})

test('a key may have a password', async () => {
  await start({ 'tls-key-file': pem('server-locked.key'), 'tls-key-file-pass': 'secret' })
  expect(await open().call('PING\r\n', 7)).toBe('+PONG\r\n')
})

test.each<[ConfigOptions, string]>([
  [{ 'tls-cert-file': '' }, 'No tls-cert-file configured!'],
  [{ 'tls-key-file': '' }, 'No tls-key-file configured!'],
  [{ 'tls-cert-file': '/nowhere.pem' }, 'Failed to load /nowhere.pem (tls-cert-file): No such file or directory'],
  [{ 'tls-key-file': pem('client.key') }, 'Failed to configure TLS: '],
  [{ 'tls-key-file': pem('server-locked.key'), 'tls-key-file-pass': 'wrong' }, 'Failed to configure TLS: '],
  [
    { 'tls-auth-clients': 'yes', 'tls-ca-cert-file': '' },
    'Either tls-ca-cert-file or tls-ca-cert-dir must be specified',
  ],
  [{ 'tls-protocols': 'TLSv9' }, 'Invalid tls-protocols specified.'],
  [{ 'tls-ciphers': 'NOSUCH' }, 'Failed to configure TLS: '],
])('%j keeps the server from starting', async (options, problem) => {
  const refusal = brokerWith(options).start()
  await expect(refusal).rejects.toThrow(TlsConfigError)
  await expect(refusal).rejects.toThrow(problem)
})

test('bytes that are no TLS end the connection and nothing else', async () => {
  await start()
  const plain = connectTcp(port, '127.0.0.1')
  opened.push(plain)
  plain.on('error', () => {})
  plain.write('PING\r\n'.repeat(100))
  plain.resume()
  await once(plain, 'close')
  expect(broker!.server.stats.connectionsReceived).toBe(0)
  expect(await open().call('PING\r\n', 7)).toBe('+PONG\r\n')
})

test('only so many connections may be without a handshake', async () => {
  const context = { cert: readFileSync(pem('server.pem')), key: readFileSync(pem('server.key')) }
  const endpoint = await listenTls(
    { host: '127.0.0.1', port: 0, backlog: 2000, keepAliveSeconds: 0 },
    { context, clientCertificates: 'no' },
    () => null,
    () => {},
  )
  const silent: Socket[] = []
  for (let i = 0; i < 1000; i++) silent.push(connectTcp(endpoint.port, '127.0.0.1'))
  opened.push(...silent)
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  const oneMore = connectTcp(endpoint.port, '127.0.0.1')
  oneMore.on('error', () => {})
  oneMore.resume()
  await once(oneMore, 'close')
  expect(silent.filter((socket) => socket.destroyed)).toHaveLength(0)
  for (const socket of silent) socket.on('error', () => {})
  await endpoint.close()
})
