/** Clients for BullMQ made from URLs. What they do in a failover is tested with workers (test/jobs/worker-servers.test.ts). */
import { once } from 'node:events'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import { openClient } from '../../src/gateway/remote/connection.ts'
import { parseRedisUrl } from '../../src/gateway/remote/engine-url.ts'
import { createRedisClient, QueuePrefixError, queuePrefix, RedisUrlError } from '../../src/index.ts'
import { until } from '../support/redis-servers.ts'
import { freePort, hasRedisServer, ServerProcess } from '../support/server-process.ts'

const TIMEOUT = { timeout: 20_000 }

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function opened<T extends Redis | Cluster>(client: T): T {
  client.on('error', () => {})
  cleanups.push(() => client.disconnect())
  return client
}

/** A cluster of one node that serves all slots but the last. */
async function startNode(): Promise<ServerProcess> {
  const server = await ServerProcess.redis([
    ...[
      '--cluster-enabled',
      'yes',
      '--cluster-require-full-coverage',
      'no',
      '--cluster-announce-ip',
      '127.0.0.1',
      '--cluster-port',
      String(await freePort()),
    ],
  ])
  cleanups.push(() => server.dispose())
  const client = await server.connect()
  await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16382')
  await until('the cluster is there', async () => String(await client.call('CLUSTER', 'INFO')).includes('state:ok'))
  client.close()
  return server
}

/** Of the last slot. */
const KEY_NOT_SERVED = 'hia'

describe('createRedisClient', () => {
  test('refuses a URL without repeating it', () => {
    expect(() => createRedisClient('redis://:SEC/RET@db')).toThrow(
      new RedisUrlError("'/', '?' and '@' in user and password must be written as %2F, %3F and %40"),
    )
    expect(new RedisUrlError('a host is missing or malformed').message).toBe(
      'Cannot use the URL of the server: a host is missing or malformed',
    )
  })

  test('names its connections', async () => {
    const server = await ServerProcess.millrace()
    cleanups.push(() => server.dispose())
    const url = `redis://127.0.0.1:${server.port}`
    expect(await opened(createRedisClient(url)).client('GETNAME')).toBe('millrace')
    expect(await opened(createRedisClient(url, { connectionName: 'mailer' })).client('GETNAME')).toBe('mailer')
  })

  test('connects over TLS to the names of a cluster, for which its certificates are', async () => {
    const client = opened(createRedisClient(`redis-cluster://localhost:${await freePort()}?tls=yes`))
    const [node]: { options: RedisOptions }[] = await once(client, '+node')
    expect(node?.options).toMatchObject({ host: 'localhost', tls: {} })
  })

  test.skipIf(!hasRedisServer)('waits for a cluster to have a node for a command', TIMEOUT, async () => {
    const server = await startNode()
    const client = opened(createRedisClient(`redis-cluster://127.0.0.1:${server.port}`))
    const reply = client.set(KEY_NOT_SERVED, '1')
    const admin = await server.connect()
    // More often than a cluster client of ioredis would try by default.
    await until('it is refused 20 times', async () => {
      const [, count = '0'] =
        /errorstat_CLUSTERDOWN:count=(\d+)/.exec(String(await admin.call('INFO', 'errorstats'))) ?? []
      return Number(count) > 20
    })
    await admin.call('CLUSTER', 'ADDSLOTS', '16383')
    expect(await reply).toBe('OK')
    admin.close()
  })

  test.skipIf(!hasRedisServer)('fails a command for which a cluster has no node for too long', TIMEOUT, async () => {
    const server = await startNode()
    const target = parseRedisUrl(`redis-cluster://127.0.0.1:${server.port}`)
    const client = opened(openClient(target, { clusterAttemptsMax: 3 }))
    await expect(client.set(KEY_NOT_SERVED, '1')).rejects.toThrow(
      'Too many Cluster redirections. Last error: ReplyError: CLUSTERDOWN Hash slot not served',
    )
  })

  test.skipIf(!hasRedisServer)('leaves a server behind Sentinel that refuses writes', TIMEOUT, async () => {
    const server = await ServerProcess.redis()
    cleanups.push(() => server.dispose())
    const sentinel = await ServerProcess.sentinel([`sentinel monitor main 127.0.0.1 ${server.port} 1`])
    cleanups.push(() => sentinel.dispose())
    const client = opened(createRedisClient(`redis-sentinel://127.0.0.1:${sentinel.port}/main`))
    expect(await client.set('k', '1')).toBe('OK')
    const admin = await server.connect()
    await admin.call('REPLICAOF', '127.0.0.1', '1')
    const left = once(client, 'close')
    await expect(client.set('k', '2')).rejects.toThrow('READONLY')
    await left
    await admin.call('REPLICAOF', 'NO', 'ONE')
    expect(await client.set('k', '3')).toBe('OK')
    admin.close()
  })
})

describe('queuePrefix', () => {
  test.each([
    ['redis://:SECRET@db', null, 'bull'],
    ['redis-sentinel://s/main', null, 'bull'],
    ['redis-sentinel://s/main', 'jobs', 'jobs'],
    ['redis-cluster://n', null, '{bull}'],
    ['redis-cluster://n', 'a{b}', 'a{b}'],
  ])('of %s with %j is as in the gateway', (url, given, prefix) => {
    expect(queuePrefix(url, given)).toBe(prefix)
  })

  test('refuses a prefix whose keys would be in many slots, and a malformed URL', () => {
    expect(() => queuePrefix('redis-cluster://n', 'bull')).toThrow(new QueuePrefixError())
    expect(() => queuePrefix('redis-cluster://n', '{}')).toThrow(
      'In a cluster the prefix must have a hash tag, like {bull}',
    )
    expect(() => queuePrefix('nonsense')).toThrow(RedisUrlError)
  })
})
