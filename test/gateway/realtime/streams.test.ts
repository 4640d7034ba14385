/** Streams and queue events: catching up, the seam, gaps, slow clients. */
import { Queue, Worker } from 'bullmq'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CommandWords } from '../../../src/gateway/engine.ts'
import { compareEntryIds, entryIdBefore, normalEntryId } from '../../../src/gateway/realtime/entry-id.ts'
import { TestGateway } from '../../support/gateway.ts'
import { ProtocolClient } from './protocol-client.ts'

let gateway: TestGateway
const clients: ProtocolClient[] = []

async function connect(): Promise<ProtocolClient> {
  const client = await ProtocolClient.connect(gateway.webSocketUrl)
  clients.push(client)
  return client
}

/** Appends entries with IDs `first-0` to `last-0`. */
async function append(stream: string, first: number, last: number): Promise<void> {
  const commands: CommandWords[] = []
  for (let i = first; i <= last; i++) commands.push(['XADD', stream, `${i}-0`, 'n', i])
  await gateway.engine.pipeline(gateway.engine.system, commands, 0)
}

function ids(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}-0`)
}

beforeEach(async () => {
  gateway = await TestGateway.start()
})

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await gateway.close()
})

describe('A stream', () => {
  test('is followed from what comes when no position is given', async () => {
    await append('s', 1, 3)
    const client = await connect()
    expect(await client.request('subscribe', { stream: 's' })).toEqual({ stream: 's', from: '3-0' })
    await append('s', 4, 5)
    await client.until(() => client.ids().length === 2)
    expect(client.received[0]).toMatchObject({ type: 'entries', stream: 's' })
    expect(client.ids()).toEqual(['4-0', '5-0'])
  })

  test('is followed behind the last ID, even when that entry is deleted', async () => {
    await append('s', 1, 3)
    await gateway.call('XDEL', 's', '3-0')
    const client = await connect()
    expect(await client.request('subscribe', { stream: 's', from: '$' })).toEqual({ stream: 's', from: '3-0' })
  })

  test('that does not exist yet is followed from its first entry', async () => {
    const client = await connect()
    expect(await client.request('subscribe', { stream: 's' })).toEqual({ stream: 's', from: '0-0' })
    await append('s', 1, 1)
    await client.until(() => client.ids().length === 1)
    expect(client.received).toEqual([{ type: 'entries', stream: 's', entries: [['1-0', ['n', '1']]] }])
  })

  test('is caught up with from a position, in pages, before what comes', async () => {
    await append('s', 1, 500)
    const client = await connect()
    await client.request('subscribe', { stream: 's', from: '100' })
    await append('s', 501, 510)
    await client.until(() => client.ids().length === 410)
    expect(client.ids()).toEqual(ids(101, 510))
    expect(client.received.some(({ type }) => type === 'gap')).toBe(false)
  })

  test('has neither gap nor duplicate at the seam for clients that come while it is written', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, connect))
    await append('s', 1, 100)
    const subscribed: Promise<unknown>[] = []
    for (let round = 0; round < 40; round++) {
      await append('s', 101 + round * 25, 125 + round * 25)
      const client = all[round >> 2]
      if (round % 4 === 0 && client !== undefined)
        subscribed.push(client.request('subscribe', { stream: 's', from: '0' }))
    }
    await Promise.all(subscribed)
    await Promise.all(all.map((client) => client.until(() => client.ids().length >= 1100)))
    for (const client of all) expect(client.ids()).toEqual(ids(1, 1100))
  })

  test('waits for a client that does not read, which then gets everything in order', async () => {
    const slow = await connect()
    const quick = await connect()
    for (const client of [slow, quick]) await client.request('subscribe', { stream: 's', from: '0' })
    slow.socket.pause()
    const value = 'x'.repeat(16 * 1024)
    for (let i = 1; i <= 600; i++) await gateway.call('XADD', 's', `${i}-0`, 'v', value)
    await quick.until(() => quick.ids().length === 600)
    slow.socket.resume()
    await slow.until(() => slow.ids().length >= 600)
    expect(slow.ids()).toEqual(ids(1, 600))
    expect(slow.closed).toBeNull()
    await append('s', 601, 601)
    await slow.until(() => slow.ids().length === 601)
  })

  test('tells of a gap when entries behind the position were trimmed away', async () => {
    await append('s', 1, 10)
    await gateway.call('XTRIM', 's', 'MINID', '6-0')
    const client = await connect()
    await client.request('subscribe', { stream: 's', from: '3-0' })
    await client.until(() => client.ids().length === 5)
    expect(client.received[0]).toEqual({ type: 'gap', stream: 's', after: '3-0', first: '6-0' })
    expect(client.ids()).toEqual(ids(6, 10))
  })

  test('tells of a gap when it was emptied or deleted, and of none when nothing was missed', async () => {
    await append('emptied', 1, 3)
    await gateway.call('XTRIM', 'emptied', 'MAXLEN', '0')
    await append('same', 1, 3)
    const client = await connect()
    await client.request('subscribe', { stream: 'emptied', from: '1-0' })
    expect(await client.push('gap')).toEqual({ type: 'gap', stream: 'emptied', after: '1-0', first: null })
    await client.request('subscribe', { stream: 'gone', from: '1-0' })
    expect(await client.push('gap')).toEqual({ type: 'gap', stream: 'gone', after: '1-0', first: null })
    await client.request('subscribe', { stream: 'same', from: '3-0' })
    await gateway.call('XTRIM', 'same', 'MAXLEN', '0')
    await append('same', 4, 4)
    await client.until(() => client.ids().length === 1)
    expect(client.received.some(({ type }) => type === 'gap')).toBe(false)
  })

  test('is read once however many follow it, and not at all when nobody does', async () => {
    const all = await Promise.all([connect(), connect(), connect()])
    for (const client of all) await client.request('subscribe', { stream: 's' })
    await append('s', 1, 1)
    for (const client of all) await client.until(() => client.ids().length === 1)
    expect(await blockedClients()).toBe(1)
    for (const client of all) await client.request('unsubscribe', { stream: 's' })
    await append('s', 2, 2)
    await all[0]!.request('ping')
    expect(await blockedClients()).toBe(0)
    expect(all[0]!.ids()).toEqual(['1-0'])
  })

  test('is one of many that a client follows, each in its order', async () => {
    const client = await connect()
    const names = Array.from({ length: 300 }, (_, i) => `s${i}`)
    await Promise.all(names.map((stream) => client.request('subscribe', { stream })))
    await Promise.all(names.map((stream) => append(stream, 1, 3)))
    await client.until(() => client.ids().length === 900)
    for (const stream of names) {
      const own = client.received.filter((message) => message.stream === stream)
      expect(own.flatMap(({ entries }) => (entries as [string][]).map(([id]) => id))).toEqual(['1-0', '2-0', '3-0'])
    }
    expect(await blockedClients()).toBeLessThan(5)
  })

  test('starts anew from another position when it is subscribed to again', async () => {
    await append('s', 1, 3)
    const client = await connect()
    await client.request('subscribe', { stream: 's' })
    await client.request('subscribe', { stream: 's', from: '1-0' })
    await append('s', 4, 4)
    await client.until(() => client.ids().length === 3)
    expect(client.ids()).toEqual(['2-0', '3-0', '4-0'])
  })

  test('that is no stream is refused with WRONGTYPE, and one that becomes another type ends', async () => {
    await gateway.call('SET', 'text', 'x')
    const client = await connect()
    await expect(client.request('subscribe', { stream: 'text' })).rejects.toThrow(/^WRONGTYPE: /)
    await client.request('subscribe', { stream: 's' })
    await client.request('subscribe', { stream: 'other' })
    await gateway.call('SET', 's', 'x')
    // A further stream has the read start anew, which then meets the text.
    await client.request('subscribe', { stream: 'third' })
    expect(await client.push('unsubscribed')).toMatchObject({ stream: 's', code: 'WRONGTYPE' })
    await append('other', 1, 1)
    await client.until(() => client.ids().length === 1)
  })

  test('with large entries is pushed in parts, and ends with TOOLARGE at one that is too large', async () => {
    const client = await connect()
    await client.request('subscribe', { channel: 'c', overflow: 'drop' })
    await client.request('subscribe', { stream: 's' })
    await client.request('consume', { stream: 's', group: 'g', consumer: 'c', create: '0' })
    const large = Buffer.alloc(5 * 1024 * 1024, 'x')
    const commands = ids(1, 3).map((id): CommandWords => ['XADD', 's', id, 'v', large])
    await gateway.engine.transaction(gateway.engine.system, commands, 0)
    await client.until(() => client.ids().length === 3 && client.ids('delivery').length === 3)
    expect(client.ids()).toEqual(ids(1, 3))
    expect(client.received.filter(({ type }) => type === 'entries').length).toBeGreaterThan(1)
    const tooLarge = Buffer.alloc(64 * 1024 * 1024 + 1)
    await gateway.call('XADD', 's', '4-0', 'v', tooLarge)
    expect(await client.push('unsubscribed')).toMatchObject({ stream: 's', code: 'TOOLARGE' })
    expect(await client.push('ended')).toMatchObject({ consumption: 1, code: 'TOOLARGE' })
    // Redis' default would close the gateway's own subscription at 32 MB.
    await gateway.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 0 0 0')
    await gateway.call('PUBLISH', 'c', tooLarge)
    expect(await client.push('dropped')).toEqual({ type: 'dropped', channel: 'c', count: 1 })
    expect(await client.request('ping')).toBe('pong')
  }, 20_000)

  test('with bytes that are no text comes as base64', async () => {
    const client = await connect()
    await client.request('subscribe', { stream: 's' })
    await gateway.call('XADD', 's', '1-0', 'a', Uint8Array.of(255))
    await client.until(() => client.received.length === 1)
    expect(client.received[0]).toEqual({
      type: 'entries',
      stream: 's',
      entries: [['1-0', ['YQ==', '/w==']]],
      encoding: 'base64',
    })
  })
})

test('The events of a queue are followed like its stream', async () => {
  const client = await connect()
  expect(await client.request('subscribe', { queue: 'mail', from: '0' })).toEqual({
    queue: 'mail',
    prefix: 'bull',
    from: '0-0',
  })
  const queue = new Queue('mail', { connection: gateway.engine.createClient() })
  const worker = new Worker('mail', async () => 'done', { connection: gateway.engine.createClient() })
  await queue.add('greet', { to: 'ann' })
  const events = (): string[] =>
    client.received.flatMap(({ entries }) => (entries as [string, string[]][]).map(([, words]) => words[1]!))
  await client.until(() => events().includes('completed'))
  expect(client.received[0]).toMatchObject({ type: 'entries', stream: 'bull:mail:events' })
  expect(events()).toEqual(expect.arrayContaining(['added', 'waiting', 'active', 'completed']))
  await worker.close()
  await queue.close()
})

describe('Entry IDs', () => {
  test('are compared as pairs of unsigned 64-bit numbers', () => {
    const sorted = [
      '0-0',
      '0-1',
      '9-0',
      '10-0',
      '10-9',
      '10-10',
      '9007199254740993-0',
      '18446744073709551615-18446744073709551615',
    ]
    for (const [i, a] of sorted.entries()) {
      for (const [k, b] of sorted.entries()) expect(Math.sign(compareEntryIds(a, b))).toBe(Math.sign(i - k))
    }
  })

  test('have a normal form, and one right before them', () => {
    expect(normalEntryId('7')).toBe('7-0')
    expect(normalEntryId('007-01')).toBe('7-1')
    for (const wrong of ['', '-', '1-', '1-2-3', 'x', '18446744073709551616', '1-18446744073709551616']) {
      expect(normalEntryId(wrong)).toBeNull()
    }
    expect(entryIdBefore('5-7')).toBe('5-6')
    expect(entryIdBefore('5-0')).toBe('4-18446744073709551615')
    expect(entryIdBefore('0-0')).toBe('0-0')
  })
})

async function blockedClients(): Promise<number> {
  return Number(/blocked_clients:(\d+)/.exec(String(await gateway.call('INFO', 'clients')))?.[1])
}
