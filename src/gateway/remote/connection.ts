/**
 * Connections to remote servers, made by ioredis.
 *
 * None of them sends a command again by itself, and none keeps commands for later: what was under way when a connection
 * broke fails at once, and who sent it decides (`caller.ts`). Commands of one loop turn go out in one write.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { type Address, addressText, type RemoteTarget } from './engine-url.ts'
import type { RawReply, RemoteCommand } from './remote-command.ts'

/** Name of our connections in CLIENT LIST. */
const CONNECTION_NAME = 'millrace'
const RETRY_STEP_MS = 50
const RETRY_MAX_MS = 1000
const CONNECT_TIMEOUT_MS = 5000
/** How often a client of a cluster asks which nodes there are: so it leaves one that hangs and has been replaced. */
const SLOTS_REFRESH_MS = 2000

/** A command could not be sent: there is no connection. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError'
}

/** Whether ioredis connects again by itself after a connection is lost. */
export const Reconnect = { Never: 0, Always: 1 } as const
export type Reconnect = (typeof Reconnect)[keyof typeof Reconnect]

/** Pause before the next attempt to connect, in ms. */
export function retryDelay(attempt: number): number {
  return Math.min(attempt * RETRY_STEP_MS, RETRY_MAX_MS)
}

/** Without what ioredis types so that it cannot be left out (`exactOptionalPropertyTypes`). */
type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>

/** Options of a connection to the primary that a target names, or to one node. */
function baseOptions(target: RemoteTarget, node: Address | null): ConnectionOptions {
  const { username, password } = target.credentials
  const options: ConnectionOptions = {
    connectionName: CONNECTION_NAME,
    connectTimeout: CONNECT_TIMEOUT_MS,
    db: target.db,
    // Servers before 7.2 do not know what it sets.
    disableClientInfo: true,
    protocol: 2,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
  }
  const address = node ?? target.addresses[0]!
  const tls = target.tls === null ? {} : { tls: target.tls }
  if (target.kind !== 'sentinel' || node !== null) return { ...options, ...address, ...tls }
  const { sentinelCredentials } = target
  return {
    ...options,
    sentinels: [...target.addresses],
    name: target.primaryName,
    role: 'master',
    ...(target.tls === null ? {} : { ...tls, sentinelTLS: target.tls, enableTLSForSentinelMode: true }),
    ...(sentinelCredentials.username === '' ? {} : { sentinelUsername: sentinelCredentials.username }),
    ...(sentinelCredentials.password === '' ? {} : { sentinelPassword: sentinelCredentials.password }),
  }
}

/**
 * Begins to connect. The caller listens for `error` before it returns to the loop.
 *
 * @param node a node of a cluster; null: the server, or the primary that the Sentinels name
 */
export function openConnection(
  target: RemoteTarget,
  node: Address | null,
  reconnect: Reconnect,
  extra: ConnectionOptions = {},
): Redis {
  const isLasting = reconnect === Reconnect.Always
  const options: ConnectionOptions = {
    ...baseOptions(target, node),
    // Integers beyond 2^53 stay exact.
    stringNumbers: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // Fails what is under way when the connection is lost, instead of keeping it.
    maxRetriesPerRequest: 0,
    retryStrategy: isLasting ? retryDelay : () => null,
    sentinelRetryStrategy: isLasting ? retryDelay : () => null,
    failoverDetector: isLasting && target.kind === 'sentinel',
    ...extra,
  }
  return new Redis(options)
}

export interface ClientOptions {
  /** Name in CLIENT LIST. Default: millrace. */
  readonly connectionName?: string
  /** How often a command is sent again while a cluster has no node for it, about every 100 ms. Default: 16. */
  readonly clusterAttemptsMax?: number
}

/**
 * A client of its own for BullMQ: it connects again, and keeps and repeats commands, as BullMQ wants it.
 *
 * Behind Sentinel it leaves a server that is no longer the primary: when a Sentinel says so, since a primary that hangs does
 * not close connections, and when the server refuses a write. That write fails: were it sent again, so would be commands of
 * a transaction, alone.
 */
export function openClient(
  target: RemoteTarget,
  { connectionName, clusterAttemptsMax }: ClientOptions = {},
): Redis | Cluster {
  const options = {
    ...baseOptions(target, null),
    ...(connectionName === undefined ? {} : { connectionName }),
    maxRetriesPerRequest: null,
  }
  if (target.kind === 'sentinel') {
    return new Redis({
      ...options,
      retryStrategy: retryDelay,
      sentinelRetryStrategy: retryDelay,
      failoverDetector: true,
      reconnectOnError: (error) => error.message.includes('READONLY'),
    })
  }
  if (target.kind === 'single') return new Redis({ ...options, retryStrategy: retryDelay })
  const { host: _host, port: _port, ...redisOptions } = options
  return new Cluster([...target.addresses], {
    redisOptions,
    clusterRetryStrategy: retryDelay,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    // By default it connects to addresses, and a certificate is for a name.
    ...(target.tls === null ? {} : { dnsLookup: (host, callback) => callback(null, host) }),
    ...(clusterAttemptsMax === undefined ? {} : { maxRedirections: clusterAttemptsMax }),
  })
}

/** Sends a command on a connection. @throws NotConnectedError, an error reply, or the failure of the connection */
export function sendOn(redis: Redis, command: RemoteCommand): Promise<RawReply> {
  if (redis.status !== 'ready') return Promise.reject(new NotConnectedError('There is no connection'))
  if (redis.stream.writableCorked === 0) {
    const { stream } = redis
    stream.cork()
    process.nextTick(() => stream.uncork())
  }
  redis.sendCommand(command)
  return command.promise as Promise<RawReply>
}

/** Where a connection leads, for logs: no secrets. */
export function peerOf(redis: Redis): string {
  const { remoteAddress, remotePort } = redis.stream ?? {}
  return remoteAddress === undefined || remotePort === undefined
    ? 'no server'
    : addressText({ host: remoteAddress, port: remotePort })
}
