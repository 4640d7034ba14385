/** maxmemory-clients: what a client holds is counted wherever it grows, and the greatest are closed. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'

const KIB = 1024
const OK = { status: 'OK' }

let broker: TestBroker
let control: RespClient

beforeEach(async () => {
  broker = await TestBroker.start()
  control = await broker.connect()
  await control.pipeline([
    ['CLIENT', 'SETNAME', 'control'],
    ['CLIENT', 'NO-EVICT', 'on'],
  ])
})

afterEach(() => broker.stop())

async function names(): Promise<string[]> {
  const list = String(await control.call('CLIENT', 'LIST'))
  return [...list.matchAll(/ name=(\S*) /g)].map(([, name]) => name!)
}

async function memoryOf(name: string): Promise<number> {
  const list = String(await control.call('CLIENT', 'LIST'))
  const line = list.split('\n').find((text) => text.includes(` name=${name} `)) ?? ''
  return Number(/tot-mem=(\d+)/.exec(line)?.[1])
}

/** A client whose kept input takes about so many bytes. */
async function clientWithInput(name: string, bytes: number): Promise<RespClient> {
  const client = await broker.connect()
  await client.call('CLIENT', 'SETNAME', name)
  client.write('SET', 'k', 'v')
  client.send(`*2\r\n$${bytes}\r\n${'x'.repeat(bytes - 1)}`, 0).catch(() => {})
  while ((await memoryOf(name)) < bytes) await new Promise((resolve) => setImmediate(resolve))
  return client
}

/** What is counted is what the clients say. */
function expectCounted(): void {
  let bytes = 0
  for (const session of broker.server.sessions()) bytes += session.memoryBytes
  expect(broker.server.clientMemory.totalBytes).toBe(bytes)
}

test('the greatest clients are closed first, until the rest fits', async () => {
  const sizes = { small: 100 * KIB, middle: 600 * KIB, big: 3000 * KIB }
  for (const [name, bytes] of Object.entries(sizes)) await clientWithInput(name, bytes)
  expectCounted()
  await control.call('CONFIG', 'SET', 'maxmemory-clients', String(1500 * KIB))
  expect((await names()).sort()).toEqual(['control', 'middle', 'small'])
  await control.call('CONFIG', 'SET', 'maxmemory-clients', String(500 * KIB))
  expect((await names()).sort()).toEqual(['control', 'small'])
  expect(String(await control.call('INFO', 'stats'))).toContain('evicted_clients:2\r\n')
  expectCounted()
})

test('a client with NO-EVICT stays, whatever it holds', async () => {
  const client = await broker.connect()
  await client.pipeline([
    ['CLIENT', 'SETNAME', 'safe'],
    ['CLIENT', 'NO-EVICT', 'on'],
  ])
  await control.call('CONFIG', 'SET', 'maxmemory-clients', '1')
  client.send(`*2\r\n$${500 * KIB}\r\n${'x'.repeat(400 * KIB)}`, 0).catch(() => {})
  while ((await memoryOf('safe')) < 400 * KIB) await new Promise((resolve) => setImmediate(resolve))
  expect(await names()).toEqual(['control', 'safe'])
  expectCounted()
})

test('a limit in percent is one of maxmemory, and none without it', async () => {
  await control.call('CONFIG', 'SET', 'maxmemory-clients', '10%')
  await clientWithInput('client', 1000 * KIB)
  expect(await names()).toEqual(['control', 'client'])
  await control.call('CONFIG', 'SET', 'maxmemory', String(20_000 * KIB))
  expect(await names()).toEqual(['control', 'client'])
  await control.call('CONFIG', 'SET', 'maxmemory', String(8000 * KIB))
  expect(await names()).toEqual(['control'])
})

test.each([
  ['what MULTI has queued', [['MULTI'], ...Array.from({ length: 40 }, () => ['SET', 'k', 'x'.repeat(10_000)])]],
  ['watched keys', Array.from({ length: 3000 }, (_, i) => ['WATCH', `key:${i}`])],
  ['channels', Array.from({ length: 3000 }, (_, i) => ['SUBSCRIBE', `channel:${i}`])],
  ['patterns', Array.from({ length: 3000 }, (_, i) => ['PSUBSCRIBE', `pattern:${i}`])],
  [
    'prefixes of tracked keys',
    [
      ['HELLO', '3'],
      ...Array.from({ length: 1000 }, (_, i) => [
        'CLIENT',
        'TRACKING',
        'ON',
        'BCAST',
        'PREFIX',
        `${String(i).padStart(4, '0')}`,
      ]),
    ],
  ],
])('a client is closed for what it holds: %s', async (_what, commands) => {
  await control.call('CONFIG', 'SET', 'maxmemory-clients', String(256 * KIB))
  const client = await broker.connect()
  for (const command of commands) client.write(...command)
  await client.closed().catch(() => {})
  expect(await names()).toEqual(['control'])
  expectCounted()
})

test('replies that a client does not read are counted, and what is given back when it is closed', async () => {
  await control.call('SET', 'k', 'x'.repeat(200 * KIB))
  const client = await broker.connect()
  await client.call('CLIENT', 'SETNAME', 'slow')
  client.pause()
  await control.call('CONFIG', 'SET', 'maxmemory-clients', String(2000 * KIB))
  while ((await names()).includes('slow')) {
    expectCounted()
    client.write('GET', 'k')
    await new Promise((resolve) => setImmediate(resolve))
  }
  expectCounted()
  expect(broker.server.clientMemory.totalBytes).toBeLessThan(100 * KIB)
  expect(await control.call('PING')).toEqual({ status: 'PONG' })
})

test('clients are closed before keys go', async () => {
  await control.pipeline([
    ...Array.from({ length: 20 }, (_, i) => ['SET', `k${i}`, 'x'.repeat(50 * KIB)]),
    ['CONFIG', 'SET', 'maxmemory', String(3000 * KIB), 'maxmemory-policy', 'allkeys-lru', 'maxmemory-clients', '600kb'],
  ])
  const client = await broker.connect()
  client.send(`*2\r\n$${4000 * KIB}\r\n${'x'.repeat(3900 * KIB)}`, 0).catch(() => {})
  await client.closed().catch(() => {})
  expect(await control.call('DBSIZE')).toBe(20)
  expect(await control.call('CONFIG', 'SET', 'maxmemory', '0')).toEqual(OK)
})
