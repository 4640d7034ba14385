/** Queues in front of a Redis, alone and as a cluster: the same routes, the same workers. */
import { type Processor, Worker } from 'bullmq'
import type { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RedisCluster } from '../../support/redis-servers.ts'
import { RemoteTestGateway } from '../../support/remote-gateway.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'

const TIMEOUT = { timeout: 60_000 }

type Body = Readonly<Record<string, unknown>>

async function ask(gateway: RemoteTestGateway, path: string, json?: object): Promise<{ status: number; body: Body }> {
  const response = await gateway.fetch(`/v1/queues${path}`, json === undefined ? {} : { json })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
}

/** Jobs by a worker, jobs by fetching, a flow, and who waits for them. */
async function exercise(gateway: RemoteTestGateway, startWorker: (process: Processor) => Worker): Promise<void> {
  const added = await ask(gateway, '/mail/jobs', { name: 'n', data: 20, opts: { removeOnComplete: true } })
  expect(added.status).toBe(201)
  const result = ask(gateway, `/mail/jobs/${String(added.body.id)}/result?blockMs=20000`)
  const worker = startWorker(async (job) => job.data + 1)
  worker.on('error', () => {})
  expect((await result).body).toMatchObject({ state: 'completed', result: 21 })
  await worker.close()

  const fetched = ask(gateway, '/parts/fetch', { blockMs: 20_000 })
  const flow = await ask(gateway, '/whole/flows', { name: 'p', children: [{ queue: 'parts', name: 'c' }] })
  expect(flow.status).toBe(201)
  const [parent, child] = flow.body.jobs as { id: string }[]
  const { lockToken } = (await fetched).body
  const completed = await ask(gateway, `/parts/jobs/${child!.id}/complete`, { lockToken, result: 'part' })
  expect(completed.status).toBe(204)
  expect((await ask(gateway, `/whole/jobs/${parent!.id}`)).body.state).toBe('waiting')
  const children = await ask(gateway, `/whole/jobs/${parent!.id}/children`)
  expect(Object.values(children.body.results as object)).toEqual(['part'])
  expect((await ask(gateway, '')).body.queues).toEqual(['mail', 'parts', 'whole'])
}

describe.skipIf(!hasRedisServer)('queues in front of a Redis', () => {
  let server: ServerProcess
  let gateway: RemoteTestGateway

  beforeAll(async () => {
    server = await ServerProcess.redis()
    gateway = await RemoteTestGateway.start(`redis://127.0.0.1:${server.port}`)
  }, 30_000)

  afterAll(async () => {
    await gateway.close()
    await server.dispose()
  })

  test('work as in the process', TIMEOUT, async () => {
    await exercise(gateway, (process) => {
      return new Worker('mail', process, { connection: { host: '127.0.0.1', port: server.port } })
    })
  })

  test('answer 503 while it is gone, and go on when it is there again', TIMEOUT, async () => {
    const port = server.port
    await server.kill()
    const refused = await ask(gateway, '/mail/jobs', { name: 'n' })
    expect(refused.status).toBe(503)
    server = await ServerProcess.redis([], undefined, port)
    for (;;) {
      const { status } = await ask(gateway, '/mail')
      if (status === 200) break
      expect(status).toBe(503)
    }
    expect((await ask(gateway, '/mail/jobs', { name: 'n' })).status).toBe(201)
  })
})

describe.skipIf(!hasRedisServer)('queues in front of a cluster', () => {
  let cluster: RedisCluster
  let gateway: RemoteTestGateway
  const clients: (Redis | Cluster)[] = []

  beforeAll(async () => {
    cluster = await RedisCluster.start()
    gateway = await RemoteTestGateway.start(cluster.url)
  }, 60_000)

  afterAll(async () => {
    for (const client of clients) client.disconnect()
    await gateway.close()
    await cluster.dispose()
  })

  test('work with prefixes that have a hash tag', TIMEOUT, async () => {
    await exercise(gateway, (process) => {
      const connection = gateway.engine.createClient()
      clients.push(connection)
      return new Worker('mail', process, { connection, prefix: '{bull}' })
    })
    expect((await ask(gateway, '/mail?prefix=bull')).status).toBe(400)
    expect((await ask(gateway, '/mail?prefix={x}:bull')).status).toBe(200)
  })
})
