/** This server as a replica of a primary that is none: what that sends must cost no data, no memory, and end nothing. */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { ConfigOptions } from '../../src/config/config.ts'
import { TestBroker } from '../support/broker.ts'
import { until } from '../support/redis-servers.ts'
import { encodeCommand, type RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'
import { ReplicaProbe } from './support/replica-probe.ts'

vi.setConfig({ testTimeout: 30_000 })

const ID = 'a'.repeat(40)
const OFFSET = 1000
const FULL_RESYNC = `+FULLRESYNC ${ID} ${OFFSET}\r\n`

let directory: string
let broker: TestBroker
let client: RespClient
let fake: Server
let port: string
/** What the primary sends after PSYNC. */
let onPsync: (socket: Socket) => void
/** What it sends before each other answer. */
let prefix: string

beforeEach(async () => {
  directory = temporaryDirectory()
  onPsync = () => {}
  prefix = ''
  fake = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1')
      if (text.includes('PSYNC')) onPsync(socket)
      else if (!text.includes('ACK')) socket.write(`${prefix}+OK\r\n`)
    })
  })
  fake.listen(0, '127.0.0.1')
  await once(fake, 'listening')
  port = String((fake.address() as AddressInfo).port)
})

afterEach(async () => {
  await broker.stop()
  fake.close()
  rmSync(directory, { recursive: true, force: true })
})

async function start(options: ConfigOptions = {}): Promise<void> {
  broker = await TestBroker.start({ dir: directory, ...options })
  client = await broker.connect()
}

async function isOutOfStep(): Promise<boolean> {
  return broker.log.warnings.some((text) => text.includes('MASTER <-> REPLICA sync:'))
}

/** The payload of a server without data. */
async function emptyPayload(): Promise<Buffer> {
  const probe = await ReplicaProbe.connect(broker.port)
  await probe.fullResync()
  const payload = await probe.payload()
  probe.close()
  return payload
}

test('a payload that is none makes nobody believe that the data are those of the primary', async () => {
  await start({ appendonly: 'yes' })
  onPsync = (socket) => socket.write(`${FULL_RESYNC}$9\r\nREDISxxxx`)
  await client.call('REPLICAOF', '127.0.0.1', port)
  await until('it has failed', isOutOfStep)
  await client.call('REPLICAOF', 'NO', 'ONE')
  const probe = await ReplicaProbe.connect(broker.port)
  await probe.announce()
  expect(await probe.call('PSYNC', ID, String(OFFSET + 1))).toMatch(/^\+FULLRESYNC/)
  probe.close()
  expect(await client.call('SET', 'k', 'v')).toEqual({ status: 'OK' })
})

test('a payload that is none does not switch the log off', async () => {
  await start({ appendonly: 'yes' })
  onPsync = (socket) => socket.write(`${FULL_RESYNC}$9\r\nREDISxxxx`)
  await client.call('REPLICAOF', '127.0.0.1', port)
  await until('it has failed', isOutOfStep)
  await client.call('REPLICAOF', 'NO', 'ONE')
  expect(await client.call('SET', 'k', 'v')).toEqual({ status: 'OK' })
  expect(await client.call('INFO', 'persistence')).toContain('aof_enabled:1')
  await until('the log is whole', async () => ((await client.call('WAITAOF', '1', '0', '100')) as number[])[0] === 1)
  await broker.stop()
  await start({ appendonly: 'yes' })
  expect(await client.call('GET', 'k')).toBe('v')
})

test('whatever it answers, the replica tries again and can be closed', async () => {
  await start()
  const answers = [
    '+CONTINUE\r\n',
    '-ERR no\r\n',
    '+FULLRESYNC short 1\r\n',
    `+FULLRESYNC ${ID} -1\r\n`,
    `${FULL_RESYNC}$-1\r\n`,
    `${FULL_RESYNC}$99999999999999999999\r\n`,
    `${FULL_RESYNC}$EOF:short\r\n`,
    `${FULL_RESYNC}$EOF:${'b'.repeat(40)}\r\n${'b'.repeat(40)}`,
    `${FULL_RESYNC}-ERR no\r\n`,
    `${FULL_RESYNC}$0\r\n`,
    'x'.repeat(100_000),
  ]
  const { length } = answers
  let attempts = 0
  onPsync = (socket) => {
    attempts++
    socket.end(answers.shift() ?? '')
  }
  for (let attempt = 1; attempt <= length; attempt++) {
    await client.call('REPLICAOF', '127.0.0.1', port)
    await until('it was answered', () => attempts >= attempt)
    await until('the connection is over', () => broker.server.following.state === 'connect')
    await client.call('REPLICAOF', 'NO', 'ONE')
  }
  expect(await client.call('PING')).toEqual({ status: 'PONG' })
})

test('empty lines before an answer are passed over', async () => {
  await start()
  const payload = await emptyPayload()
  prefix = '\n\r\n'.repeat(1_000_000)
  onPsync = (socket) => {
    socket.write(`${prefix}${FULL_RESYNC}${prefix}$${payload.length}\r\n`)
    socket.write(payload)
  }
  await client.call('REPLICAOF', '127.0.0.1', port)
  await until('it is connected', () => broker.server.following.state === 'connected')
})

test('acknowledgements that it asks for and does not read do not pile up', async () => {
  await start()
  const payload = await emptyPayload()
  const ack = encodeCommand(['REPLCONF', 'GETACK', '*'])
  const requests = Buffer.from(ack.repeat(400_000), 'latin1')
  onPsync = (socket) => {
    socket.pause()
    socket.write(`${FULL_RESYNC}$${payload.length}\r\n`)
    socket.write(payload)
    socket.write(requests)
  }
  await client.call('REPLICAOF', '127.0.0.1', port)
  const { server } = broker
  await until('all is executed', () => server.replication.offset === OFFSET + requests.length)
  for (const session of server.sessions()) expect(session.pendingOutputBytes).toBeLessThan(1024 * 1024)
})

test('a primary that makes its replica a primary by the stream tells it nothing more', async () => {
  await start()
  const payload = await emptyPayload()
  onPsync = (socket) => {
    socket.write(`${FULL_RESYNC}$${payload.length}\r\n`)
    socket.write(payload)
    socket.write(`SET a 1\r\nREPLICAOF NO ONE\r\nSET b 1\r\n`)
  }
  await client.call('REPLICAOF', '127.0.0.1', port)
  await until('it is one', async () => ((await client.call('ROLE')) as unknown[])[0] === 'master')
  expect(await client.call('MGET', 'a', 'b')).toEqual(['1', null])
  expect(broker.server.replication.offset).toBe(OFFSET + 'SET a 1\r\n'.length)
})
