/** The gateway's doors over a remote engine: a look through each, over one server and over a cluster. */
import { Redis } from '@upstash/redis'
import { Worker } from 'bullmq'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { RedisCluster, until } from '../../support/redis-servers.ts'
import { RemoteTestGateway } from '../../support/remote-gateway.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'

interface Servers {
  readonly url: string
  dispose(): Promise<void>
}

const KINDS: readonly (readonly [string, () => Promise<Servers>])[] = [
  [
    'one server',
    async () => {
      const server = await ServerProcess.redis()
      return { url: `redis://127.0.0.1:${server.port}`, dispose: () => server.dispose() }
    },
  ],
  [
    'a cluster',
    async () => {
      const cluster = await RedisCluster.start()
      return { url: cluster.fullUrl, dispose: () => cluster.dispose() }
    },
  ],
]

describe.skipIf(!hasRedisServer).each(KINDS)('the gateway over %s', { timeout: 30_000 }, (_name, start) => {
  let servers: Servers
  let gateway: RemoteTestGateway

  beforeAll(async () => {
    servers = await start()
    gateway = await RemoteTestGateway.start(servers.url, { requirepass: 'secret' })
    gateway.user('ann', ['on', '+@all', '~app:*', '&app:*'])
  }, 60_000)

  afterAll(async () => {
    await gateway.close()
    await servers.dispose()
  })

  async function ask(path: string, json?: unknown): Promise<Record<string, unknown>> {
    const response = await gateway.fetch(`/v1/${path}`, { token: 'secret', ...(json === undefined ? {} : { json }) })
    return (await response.json()) as Record<string, unknown>
  }

  test('@upstash/redis reads and writes, in pipelines, transactions and scripts', async () => {
    const redis = new Redis({ url: gateway.url, token: 'secret', enableTelemetry: false })
    expect(await redis.set('text', { a: 'ä' })).toBe('OK')
    expect(await redis.get('text')).toEqual({ a: 'ä' })
    const pipeline = redis.pipeline().set('a', 1).set('b', 2).incr('a').get('b')
    expect(await pipeline.exec()).toEqual(['OK', 'OK', 2, 2])
    expect(await redis.multi().set('{t}a', 1).incr('{t}a').exec()).toEqual(['OK', 2])
    expect(await redis.eval('return {KEYS[1], ARGV[1]}', ['k'], ['v'])).toEqual(['k', 'v'])
    const [, keys] = await redis.scan(0, { match: 'none' })
    expect(keys).toEqual([])
  })

  test('users and tokens are those of the gateway, and ACL is about them', async () => {
    const answer = await gateway.fetch('/pipeline', {
      token: 'secret',
      json: [
        ['ACL', 'SETUSER', 'bob', 'on', '>pw', '+get', '~bob:*'],
        ['ACL', 'RESTTOKEN', 'bob', 'pw'],
        ['ACL', 'WHOAMI'],
      ],
    })
    const [, issued, name] = (await answer.json()) as readonly { readonly result: string }[]
    expect(name).toEqual({ result: 'default' })
    const own = await gateway.fetch('/get/bob:1', { token: issued!.result })
    expect([own.status, await own.json()]).toEqual([200, { result: null }])
    const foreign = await gateway.fetch('/get/text', { token: issued!.result })
    expect([foreign.status, await foreign.json()]).toEqual([
      400,
      { error: 'NOPERM this user has no permissions to access one of the keys used as arguments' },
    ])
    const [entry] = (await gateway.call('ACL', 'LOG', '1')) as readonly (readonly unknown[])[]
    expect(entry).toEqual(expect.arrayContaining(['reason', 'key', 'object', 'text', 'username', 'bob']))
    expect((await gateway.fetch('/get/text')).status).toBe(401)
    expect(JSON.stringify(await gateway.call('ACL', 'LIST'))).toContain('bob')
  })

  test('entries of a stream are appended once per key, and waited for', async () => {
    const append = (): Promise<Response> =>
      gateway.fetch('/v1/streams/orders/entries', {
        token: 'secret',
        headers: { 'idempotency-key': 'one' },
        json: { entries: [{ fields: { item: 'tea' } }] },
      })
    expect((await append()).status).toBe(201)
    await append()
    const { entries } = (await ask('streams/orders/entries')) as { entries: readonly { readonly id: string }[] }
    expect(entries).toMatchObject([{ fields: { item: 'tea' } }])
  })

  test('jobs are added over HTTP and done by a BullMQ worker', async () => {
    const client = gateway.engine.createClient()
    const options = { connection: client, prefix: client.isCluster ? '{bull}' : 'bull' }
    const worker = new Worker('mail', async (job) => ({ sent: job.data.to }), options)
    const { id } = await ask('queues/mail/jobs', { name: 'welcome', data: { to: 'ann' } })
    const result = await ask(`queues/mail/jobs/${id}/result?blockMs=10000`)
    expect(result).toMatchObject({ state: 'completed' })
    await worker.close()
    client.disconnect()
  })

  test('a WebSocket gets messages and entries, and calls what its user may', async () => {
    const socket = new WebSocket(`${gateway.webSocketUrl}/v1/realtime`, 'millrace.v1', {
      headers: { authorization: `Bearer ${gateway.tokenOf('ann')}` },
    })
    const got: Record<string, unknown>[] = []
    socket.on('message', (text) => got.push(JSON.parse(String(text))))
    await new Promise((resolve) => socket.once('open', resolve))
    const send = (message: object): void => socket.send(JSON.stringify(message))
    send({ id: 1, op: 'subscribe', channel: 'app:news' })
    send({ id: 2, op: 'subscribe', stream: 'app:events' })
    send({ id: 3, op: 'subscribe', stream: 'app:others' })
    send({ id: 4, op: 'call', args: ['GET', 'text'] })
    await until('all requests are answered', () => [1, 2, 3, 4].every((id) => got.some((each) => each.id === id)))
    expect(got.find(({ id }) => id === 4)).toMatchObject({ type: 'error', code: 'NOPERM' })
    await gateway.call('PUBLISH', 'app:news', 'hello')
    await gateway.call('XADD', 'app:events', '*', 'n', '1')
    await gateway.call('XADD', 'app:others', '*', 'n', '2')
    await until('all has come', () => {
      const text = JSON.stringify(got)
      return text.includes('hello') && text.includes('"app:events"') && text.includes('"app:others"')
    })
    socket.close()
  })

  test('health is public and names no address; figures are there', async () => {
    const ready = await gateway.fetch('/readyz')
    const body = await ready.text()
    expect([ready.status, JSON.parse(body)]).toMatchObject([200, { engine: 'remote' }])
    expect(body).not.toMatch(/127\.0\.0\.1/)
    const metrics = await gateway.fetch('/metrics', { token: 'secret' })
    expect(metrics.status).toBe(200)
  })
})
