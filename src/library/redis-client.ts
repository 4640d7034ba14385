/**
 * Clients of servers elsewhere for BullMQ, from the URLs that the directive `engine` takes. The gateway reaches its remote
 * engine in the same way; nothing else of it is loaded here.
 */
import type { Cluster, Redis } from 'ioredis'
import { choosePrefix } from '../gateway/queues/prefix.ts'
import { openClient } from '../gateway/remote/connection.ts'
import { parseRedisUrl } from '../gateway/remote/engine-url.ts'

/**
 * Commands wait so often, about 100 ms each time, for a cluster that has no node for them: a minute. By then a replica has
 * long taken over, also with the default `cluster-node-timeout` of 15 s. A job whose end cannot be written counts as failed.
 */
const CLUSTER_ATTEMPTS_MAX = 600

export interface RedisClientOptions {
  /** Name of the connections in CLIENT LIST. Default: millrace. */
  readonly connectionName?: string
}

/**
 * Connects to the server, the primary behind Sentinel, or the cluster that a URL names (docs/REMOTE.md), with a client as
 * BullMQ wants it: `new Worker(name, processor, { connection: createRedisClient(url), prefix: queuePrefix(url) })`. It
 * connects again by itself, through failovers, and commands wait meanwhile. `error` events tell of failed attempts: listen.
 *
 * @throws RedisUrlError when the URL is malformed
 */
export function createRedisClient(url: string, options: RedisClientOptions = {}): Redis | Cluster {
  return openClient(parseRedisUrl(url), { ...options, clusterAttemptsMax: CLUSTER_ATTEMPTS_MAX })
}

/**
 * The prefix for queues at a URL, as the gateway has it: `bull`, in a cluster `{bull}`. One that is given is returned.
 *
 * @throws RedisUrlError when the URL is malformed; QueuePrefixError when one without a hash tag is given for a cluster
 */
export function queuePrefix(url: string, given: string | null = null): string {
  return choosePrefix({ given, isCluster: parseRedisUrl(url).kind === 'cluster' })
}
