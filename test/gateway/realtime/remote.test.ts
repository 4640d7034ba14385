/** Realtime over a real redis-server and over a cluster: what differs there from the engine in this process. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RedisCluster } from '../../support/redis-servers.ts'
import { RemoteTestGateway } from '../../support/remote-gateway.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'
import { ProtocolClient } from './protocol-client.ts'

interface Servers {
  readonly url: string
  dispose(): Promise<void>
}

async function oneServer(): Promise<Servers> {
  const server = await ServerProcess.redis(['--notify-keyspace-events', 'KEA'])
  return { url: `redis://127.0.0.1:${server.port}`, dispose: () => server.dispose() }
}

async function cluster(): Promise<Servers> {
  const servers = await RedisCluster.start()
  return { url: servers.url, dispose: () => servers.dispose() }
}

describe.skipIf(!hasRedisServer).each([
  ['one server', oneServer],
  ['a cluster', cluster],
] as const)('Realtime over %s', (name, start) => {
  let servers: Servers
  let gateway: RemoteTestGateway
  let client: ProtocolClient

  beforeAll(async () => {
    servers = await start()
    gateway = await RemoteTestGateway.start(servers.url)
    client = await ProtocolClient.connect(gateway.webSocketUrl)
  }, 60_000)

  afterAll(async () => {
    await client.close()
    await gateway.close()
    await servers.dispose()
  })

  test('brings messages of channels and patterns', async () => {
    await client.request('subscribe', { channel: 'news' })
    await client.request('subscribe', { pattern: 'n*' })
    await client.request('publish', { channel: 'news', data: 'ä' })
    const both = [await client.push('message'), await client.push('message')]
    expect(both.map(({ pattern, data }) => [pattern, data])).toEqual(
      expect.arrayContaining([
        [undefined, 'ä'],
        ['n*', 'ä'],
      ]),
    )
  })

  test('follows streams, wherever they lie, from a position and on', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `s${i}`)
    for (const stream of names) {
      for (const id of ['1-0', '2-0', '3-0']) await gateway.call('XADD', stream, id, 'n', id)
    }
    await Promise.all(names.map((stream) => client.request('subscribe', { stream, from: '1-0' })))
    for (const stream of names) await gateway.call('XADD', stream, '4-0', 'n', '4')
    await client.until(() => client.ids().length >= names.length * 3)
    for (const stream of names) {
      const own = client.received.filter((message) => message.stream === stream && message.type === 'entries')
      expect(own.flatMap(({ entries }) => (entries as [string][]).map(([id]) => id))).toEqual(['2-0', '3-0', '4-0'])
      await client.request('unsubscribe', { stream })
    }
    await gateway.call('XTRIM', 's0', 'MINID', '4-0')
    await client.request('subscribe', { stream: 's0', from: '2-0' })
    expect(await client.push('gap')).toEqual({ type: 'gap', stream: 's0', after: '2-0', first: '4-0' })
  })

  test('consumes a group, with acks and nacks, and ends blocking calls with their connection', async () => {
    const names = { stream: 'jobs', group: 'g', consumer: 'c' }
    await client.request('consume', { ...names, credit: 1, create: '0' })
    for (const id of ['1-0', '2-0']) await gateway.call('XADD', 'jobs', id, 'n', id)
    await client.until(() => client.ids('delivery').length === 1)
    await client.request('nack', { consumption: 1, ids: ['1-0'] })
    await client.until(() => client.ids('delivery').length === 2)
    await client.request('ack', { consumption: 1, ids: ['1-0'] })
    await client.until(() => client.ids('delivery').length === 3)
    expect(client.ids('delivery')).toEqual(['1-0', '1-0', '2-0'])
    const other = await ProtocolClient.connect(gateway.webSocketUrl)
    await other.request('consume', names)
    expect(await client.push('ended')).toMatchObject({ code: 'TAKEN_OVER' })
    await other.until(() => other.ids('delivery').length === 1)
    expect(other.ids('delivery')).toEqual(['2-0'])
    await other.close()
  })

  test.runIf(name === 'one server')('tells of changes of keys', async () => {
    await client.request('subscribe', { keys: 'user:*' })
    await gateway.call('SET', 'user:1', 'x')
    expect(await client.push('keyspace')).toEqual({ type: 'keyspace', keys: 'user:*', key: 'user:1', event: 'set' })
  })
})
