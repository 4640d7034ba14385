/**
 * A link to one server: a connection that all calls share, kept open for as long as the link lives, and pools of further
 * connections for what needs one for itself.
 */
import type { Redis } from 'ioredis'
import type { Log } from '../../observe/log.ts'
import { openConnection, peerOf, Reconnect, sendOn } from './connection.ts'
import { ConnectionPool } from './connection-pool.ts'
import type { Address, RemoteTarget } from './engine-url.ts'
import { codeOf, isErrorReply, type RawReply, type RemoteCommand } from './remote-command.ts'

/** Connections of one server that transactions and unknown commands take in turn. */
const EXCLUSIVE_MAX = 32
/** Connections of one server on which commands wait for data. */
const BLOCKING_MAX = 1000
/** Connections kept for the next who needs one. */
const IDLE_MAX = 16

export interface LinkOptions {
  readonly target: RemoteTarget
  /** A node of a cluster; null: the server, or the primary that the Sentinels name. */
  readonly node: Address | null
  /** What it leads to, for logs. */
  readonly description: string
  readonly log: Log
  /** A server that owes a reply and sends nothing for this time is taken for dead, in ms. */
  readonly silenceMaxMs: number
  /** Called when it gets ready, and when it is lost. */
  readonly onChange: () => void
}

export class Link {
  /** Why there is no connection, in words that everybody may read; '' while there is one. */
  failure: string = 'connecting'
  readonly node: Address | null
  readonly exclusive: ConnectionPool
  readonly blocking: ConnectionPool
  private readonly redis: Redis
  private isClosed: boolean = false
  private wasReady: boolean = false
  private isFailureLogged: boolean = false

  constructor(options: LinkOptions) {
    const { target, node, description, log, onChange } = options
    this.node = node
    const open = (): Redis => openConnection(target, node, Reconnect.Never)
    this.exclusive = new ConnectionPool({ open, max: EXCLUSIVE_MAX, idleMax: IDLE_MAX })
    this.blocking = new ConnectionPool({ open, max: BLOCKING_MAX, idleMax: IDLE_MAX })
    this.redis = openConnection(target, node, Reconnect.Always, { socketTimeout: options.silenceMaxMs })
    this.redis.on('ready', () => {
      this.failure = ''
      this.wasReady = true
      this.isFailureLogged = false
      log.notice(`Connected to ${peerOf(this.redis)} (${description})`)
      onChange()
    })
    this.redis.on('close', () => {
      if (this.isClosed) return
      if (this.failure === '') this.failure = 'the connection was lost'
      // Whatever is there now may be another server: after a failover, nobody may go on with the old one.
      this.exclusive.dropIdle()
      this.blocking.dropIdle()
      if (this.wasReady) log.warning(`Lost the connection to the ${description}`)
      this.wasReady = false
      onChange()
    })
    this.redis.on('error', (error: Error) => {
      this.failure = failureOf(error)
      // Once for each outage: attempts go on.
      if (!this.isFailureLogged) log.warning(`Cannot connect to the ${description}: ${error.message}`)
      this.isFailureLogged = true
    })
  }

  get isReady(): boolean {
    return this.redis.status === 'ready'
  }

  /** @throws NotConnectedError, an error reply, or the failure of the connection */
  send(command: RemoteCommand): Promise<RawReply> {
    return sendOn(this.redis, command)
  }

  /** Connects anew: the server is not what it was. */
  reconnect(): void {
    if (this.isReady) this.redis.disconnect(true)
  }

  close(): void {
    this.isClosed = true
    this.exclusive.close()
    this.blocking.close()
    this.redis.disconnect()
  }
}

/** What is wrong, without addresses: those are for the log. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && typeof error.code === 'string') return error.code
  return isErrorReply(error) ? codeOf(error) : 'no server answers'
}
