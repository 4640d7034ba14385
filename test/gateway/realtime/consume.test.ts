/** Consumer groups over the WebSocket: the credit window, acks, nacks, and what happens when a consumer comes back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { REALTIME_LIMITS } from '../../../src/gateway/realtime/limits.ts'
import { TestGateway } from '../../support/gateway.ts'
import { ProtocolClient } from './protocol-client.ts'

const NAMES = { stream: 's', group: 'g', consumer: 'c' }

let gateway: TestGateway
const clients: ProtocolClient[] = []

async function connect(): Promise<ProtocolClient> {
  const client = await ProtocolClient.connect(gateway.webSocketUrl)
  clients.push(client)
  return client
}

async function append(first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) await gateway.call('XADD', 's', `${i}-0`, 'n', i)
}

/** IDs and delivery counts so far. */
function deliveries(client: ProtocolClient): [string, number][] {
  return client.received
    .filter(({ type }) => type === 'delivery')
    .flatMap(({ entries }) =>
      (entries as [string, string[], number][]).map(([id, , count]): [string, number] => [id, count]),
    )
}

beforeEach(async () => {
  gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, consumptionsMax: 2 } })
})

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await gateway.close()
})

describe('A consumption', () => {
  test('never has more entries out than its credit, and goes on with each ack', async () => {
    await append(1, 10)
    const client = await connect()
    expect(await client.request('consume', { ...NAMES, credit: 3, create: '0' })).toEqual({ consumption: 1 })
    await client.until(() => deliveries(client).length === 3)
    await client.request('ping')
    expect(client.ids('delivery')).toEqual(['1-0', '2-0', '3-0'])
    expect(client.received[0]).toMatchObject({ type: 'delivery', consumption: 1, stream: 's' })
    expect(await client.request('ack', { consumption: 1, ids: ['1-0', '3-0'] })).toBe(2)
    await client.until(() => deliveries(client).length === 5)
    expect(await gateway.call('XPENDING', 's', 'g')).toEqual([3, '2-0', '5-0', [['c', '3']]])
    for (let i = 2; i <= 10; i++) {
      await client.until(() => client.ids('delivery').includes(`${i}-0`))
      await client.request('ack', { consumption: 1, ids: [`${i}-0`] })
    }
    expect(client.ids('delivery')).toHaveLength(10)
    await append(11, 11)
    await client.until(() => deliveries(client).length === 11)
    expect(deliveries(client).every(([, count]) => count === 1)).toBe(true)
  })

  test('delivers nacked entries again, with their delivery count, and keeps their place in the window', async () => {
    await append(1, 3)
    const client = await connect()
    await client.request('consume', { ...NAMES, credit: 1, create: '0' })
    await client.until(() => deliveries(client).length === 1)
    expect(await client.request('nack', { consumption: 1, ids: ['1-0', '9-9'], delayMs: 30 })).toBe(1)
    await client.until(() => deliveries(client).length === 2)
    expect(deliveries(client)).toEqual([
      ['1-0', 1],
      ['1-0', 2],
    ])
    await client.request('ack', { consumption: 1, ids: ['1-0'] })
    await client.until(() => deliveries(client).length === 3)
    expect(deliveries(client)[2]).toEqual(['2-0', 1])
  })

  test('of a consumer that comes back begins with its pending entries', async () => {
    await append(1, 4)
    const before = await connect()
    await before.request('consume', { ...NAMES, credit: 2, create: '0' })
    await before.until(() => deliveries(before).length === 2)
    await before.close()
    const after = await connect()
    await after.request('consume', { ...NAMES, credit: 3 })
    await after.until(() => deliveries(after).length === 3)
    expect(deliveries(after)).toEqual([
      ['1-0', 2],
      ['2-0', 2],
      ['3-0', 1],
    ])
  })

  test('takes the place of one that the server still holds for the same consumer', async () => {
    const before = await connect()
    await before.request('consume', { ...NAMES, create: '0' })
    await append(1, 1)
    await before.until(() => deliveries(before).length === 1)
    const after = await connect()
    await after.request('consume', NAMES)
    expect(await before.push('ended')).toMatchObject({ consumption: 1, code: 'TAKEN_OVER' })
    await append(2, 2)
    await after.until(() => deliveries(after).length === 2)
    expect(after.ids('delivery')).toEqual(['1-0', '2-0'])
    expect(before.ids('delivery')).toEqual(['1-0'])
    await expect(before.request('ack', { consumption: 1, ids: ['1-0'] })).rejects.toThrow(/^NOT_CONSUMING: /)
  })

  test('shares the entries of a group with other consumers', async () => {
    const all = await Promise.all([connect(), connect()])
    for (const [i, client] of all.entries()) {
      await client.request('consume', { ...NAMES, consumer: `c${i}`, credit: 5, create: '0' })
    }
    await append(1, 10)
    await Promise.all(all.map((client) => client.until(() => deliveries(client).length === 5)))
    expect(new Set(all.flatMap((client) => client.ids('delivery'))).size).toBe(10)
  })

  test('ends with cancel; its entries stay pending and nothing comes any more', async () => {
    const client = await connect()
    await client.request('consume', { ...NAMES, create: '0' })
    await append(1, 1)
    await client.until(() => deliveries(client).length === 1)
    await client.request('cancel', { consumption: 1 })
    await append(2, 2)
    await client.request('ping')
    expect(client.ids('delivery')).toEqual(['1-0'])
    expect(await gateway.call('XPENDING', 's', 'g')).toEqual([1, '1-0', '1-0', [['c', '1']]])
  })

  test('acknowledges pending entries that were deleted, which nobody can work on', async () => {
    await append(1, 2)
    const before = await connect()
    await before.request('consume', { ...NAMES, create: '0' })
    await before.until(() => deliveries(before).length === 2)
    await before.close()
    await gateway.call('XDEL', 's', '1-0')
    const after = await connect()
    await after.request('consume', NAMES)
    await after.until(() => deliveries(after).length === 1)
    expect(after.ids('delivery')).toEqual(['2-0'])
    expect(await gateway.call('XPENDING', 's', 'g')).toEqual([1, '2-0', '2-0', [['c', '1']]])
  })

  test('ends with NOGROUP when its group is destroyed', async () => {
    const client = await connect()
    await client.request('consume', { ...NAMES, create: '0' })
    await gateway.call('XGROUP', 'DESTROY', 's', 'g')
    expect(await client.push('ended')).toMatchObject({ consumption: 1, code: 'NOGROUP' })
  })

  test('is refused without a group, and beyond a number', async () => {
    const client = await connect()
    await expect(client.request('consume', NAMES)).rejects.toThrow(/^NOGROUP: /)
    await client.request('consume', { ...NAMES, create: '$' })
    await client.request('consume', { ...NAMES, consumer: 'd', create: '$' })
    await expect(client.request('consume', { ...NAMES, consumer: 'e' })).rejects.toThrow(/^LIMIT: /)
  })
})
