/**
 * Three consumers of a group read 100,000 entries; one is lost half-way and another one takes its pending entries over.
 * Each entry is acknowledged exactly once, and a new group replays all of them in order.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Reply, RespClient } from '../support/resp-client.ts'
import { ServerProcess } from '../support/server-process.ts'

const ENTRIES = 100_000
const BATCH = 100

let server: ServerProcess

beforeAll(async () => {
  server = await ServerProcess.millrace(['--appendonly', 'no'])
})

afterAll(async () => {
  await server.dispose()
})

/** IDs of the entries in a reply of XREADGROUP or XREAD. */
function idsOf(reply: Reply): string[] {
  if (!Array.isArray(reply)) return []
  const [stream] = reply
  if (!Array.isArray(stream) || !Array.isArray(stream[1])) throw new Error('Not a reply of XREADGROUP')
  return stream[1].map(idOf)
}

function idOf(entry: Reply): string {
  if (!Array.isArray(entry) || typeof entry[0] !== 'string') throw new Error('Not an entry')
  return entry[0]
}

/** Reads and acknowledges until nothing new comes. `dies`: asked before each acknowledgement. */
async function consume(name: string, acknowledged: string[], dies: () => boolean): Promise<void> {
  const client = await RespClient.connect({ port: server.port })
  for (;;) {
    const ids = idsOf(
      await client.call(
        'XREADGROUP',
        'GROUP',
        'workers',
        name,
        'COUNT',
        String(BATCH),
        'BLOCK',
        '500',
        'STREAMS',
        'orders',
        '>',
      ),
    )
    if (ids.length === 0) break
    if (dies()) {
      client.close()
      return
    }
    expect(await client.call('XACK', 'orders', 'workers', ...ids)).toBe(ids.length)
    acknowledged.push(...ids)
  }
  client.close()
}

test('a lost consumer’s entries are taken over, and every entry is acknowledged once', async () => {
  const producer = await server.connect()
  await producer.call('XGROUP', 'CREATE', 'orders', 'workers', '$', 'MKSTREAM')
  const acknowledged: string[] = []
  const produced: string[] = []
  const consumers = [
    consume('one', acknowledged, () => false),
    consume('two', acknowledged, () => false),
    consume('lost', acknowledged, () => acknowledged.length > ENTRIES / 2),
  ]
  for (let n = 0; n < ENTRIES; n += 1000) {
    const replies = await producer.pipeline(
      Array.from({ length: 1000 }, (_, i) => ['XADD', 'orders', '*', 'order', String(n + i)]),
    )
    for (const reply of replies) produced.push(String(reply))
  }
  await Promise.all(consumers)

  // The lost consumer's batch is pending; another one takes it over.
  expect(acknowledged.length).toBe(ENTRIES - BATCH)
  let cursor = '0-0'
  do {
    const reply = await producer.call('XAUTOCLAIM', 'orders', 'workers', 'one', '0', cursor, 'COUNT', '30')
    if (!Array.isArray(reply) || !Array.isArray(reply[1]) || !Array.isArray(reply[2]))
      throw new Error('Not a reply of XAUTOCLAIM')
    cursor = String(reply[0])
    expect(reply[2]).toEqual([])
    const ids = reply[1].map(idOf)
    if (ids.length > 0) expect(await producer.call('XACK', 'orders', 'workers', ...ids)).toBe(ids.length)
    acknowledged.push(...ids)
  } while (cursor !== '0-0')

  expect(new Set(acknowledged).size).toBe(ENTRIES)
  expect(acknowledged.length).toBe(ENTRIES)
  expect(await producer.call('XPENDING', 'orders', 'workers')).toEqual([0, null, null, null])

  await producer.call('XGROUP', 'CREATE', 'orders', 'audit', '0')
  const replayed: string[] = []
  for (;;) {
    const ids = idsOf(
      await producer.call('XREADGROUP', 'GROUP', 'audit', 'a', 'COUNT', '5000', 'STREAMS', 'orders', '>'),
    )
    if (ids.length === 0) break
    replayed.push(...ids)
  }
  expect(replayed).toEqual(produced)
  producer.close()
}, 60_000)
