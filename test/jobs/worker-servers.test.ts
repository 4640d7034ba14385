/** The worker process in front of each kind of server that a URL can name: TLS, a primary behind Sentinel, a cluster. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Queue } from 'bullmq'
import { afterEach, describe, expect, test } from 'vitest'
import { keySlot } from '../../src/gateway/remote/key-slot.ts'
import { createRedisClient, queuePrefix } from '../../src/index.ts'
import { RedisCluster, SentinelTrio, until } from '../support/redis-servers.ts'
import { freePort, hasRedisServer, ServerProcess } from '../support/server-process.ts'
import { WorkerUnderTest } from './worker-under-test.ts'

const TLS_FILES = fileURLToPath(new URL('../support/tls/', import.meta.url))
const TIMEOUT = { timeout: 60_000 }

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function startWorker(...[options]: ConstructorParameters<typeof WorkerUnderTest>): WorkerUnderTest {
  const worker = new WorkerUnderTest(options)
  cleanups.push(() => worker.dispose())
  return worker
}

function openQueue(url: string): Queue {
  const connection = createRedisClient(url, { connectionName: 'producer' })
  connection.on('error', () => {})
  const queue = new Queue('work', { connection, prefix: queuePrefix(url) })
  queue.on('error', () => {})
  cleanups.push(() => connection.disconnect())
  return queue
}

/** Adds jobs while the primary is there, when it hangs and when another has taken over; all of them are processed. */
async function exerciseFailover(url: string, primaryNow: () => Promise<ServerProcess>): Promise<void> {
  const queue = openQueue(url)
  const worker = startWorker({ url, args: ['--concurrency', '4'] })
  const before = await addJobs(queue, 'slow', 8)
  await worker.logged('Job active', 4)
  const primary = await primaryNow()
  await requireReplicated(primary)

  process.kill(primary.pid, 'SIGSTOP')
  // Sent to a server that does not answer: this waits for the next.
  const during = await addJobs(queue, 'double', 8)
  await until('another is the primary', async () => (await primaryNow()).port !== primary.port)
  const after = await addJobs(queue, 'double', 8)

  await until('all jobs are completed', async () => (await queue.getCompletedCount()) === 24)
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed')
  expect(counts).toEqual({ waiting: 0, active: 0, delayed: 0, failed: 0 })
  await worker.logged('Job completed', 24)
  const processed = new Set(worker.lines('Job completed').map(({ job }) => job))
  expect([...before, ...during, ...after].filter((id) => !processed.has(id))).toEqual([])
  worker.signal('SIGTERM')
  expect(await worker.ended()).toBe(0)
}

/** IDs of the jobs. */
async function addJobs(queue: Queue, name: string, count: number): Promise<unknown[]> {
  const jobs = await queue.addBulk(Array.from({ length: count }, (_, n) => ({ name, data: { n } })))
  return jobs.map(({ id }) => id)
}

/** Whatever was acknowledged so far survives the loss of the primary. */
async function requireReplicated(primary: ServerProcess): Promise<void> {
  const client = await primary.connect()
  // In a cluster the key must be of a slot that it holds.
  await client.call('SET', '{bull}:marker', '1')
  expect(await client.call('WAIT', '1', '5000')).toBeGreaterThan(0)
  client.close()
}

describe.skipIf(!hasRedisServer)('a worker process', () => {
  test('trusts over TLS whom NODE_EXTRA_CA_CERTS names, and shows the password nowhere', TIMEOUT, async () => {
    const tlsPort = await freePort()
    const server = await ServerProcess.redis([
      ...['--requirepass', 'SE/CRET', '--tls-port', String(tlsPort), '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', join(TLS_FILES, 'server.pem'), '--tls-key-file', join(TLS_FILES, 'server.key')],
      ...['--tls-ca-cert-file', join(TLS_FILES, 'ca.pem')],
    ])
    cleanups.push(() => server.dispose())
    const url = `rediss://:SE%2FCRET@127.0.0.1:${tlsPort}`
    const stranger = startWorker({ url, environment: { NODE_EXTRA_CA_CERTS: '' } })
    const worker = startWorker({ url, environment: { NODE_EXTRA_CA_CERTS: join(TLS_FILES, 'ca.pem') } })
    const queue = openQueue(`redis://:SE%2FCRET@127.0.0.1:${server.port}`)
    await queue.add('double', { n: 1 })
    await worker.logged('Job completed')
    await stranger.logged('Cannot reach the broker, waiting for it')
    expect(stranger.lines('Cannot reach the broker, waiting for it')).toMatchObject([
      { err: { message: 'self-signed certificate in certificate chain' } },
    ])
    expect(`${worker.output}${stranger.output}`).not.toContain('CRET')
  })

  test('goes on with the next primary when that behind Sentinel hangs', TIMEOUT, async () => {
    const trio = await SentinelTrio.start()
    cleanups.push(() => trio.dispose())
    await exerciseFailover(trio.url, () => trio.primary())
  })

  test('goes on with the replica when a node of a cluster hangs', TIMEOUT, async () => {
    const cluster = await RedisCluster.start()
    cleanups.push(() => cluster.dispose())
    const slot = keySlot(Buffer.from('{bull}'))
    await exerciseFailover(cluster.url, () => cluster.holderOf(slot))
  })
})
