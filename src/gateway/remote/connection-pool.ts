/**
 * Connections that one call at a time has for itself: transactions, commands that wait for data, commands that this program
 * does not know. Who comes when all are taken waits for one.
 */
import type { Redis } from 'ioredis'
import { EngineUnavailableError } from '../engine.ts'
import { NotConnectedError, sendOn } from './connection.ts'
import { type RawReply, RemoteCommand } from './remote-command.ts'
import { type Patience, Wakeups } from './wakeups.ts'

export interface ConnectionPoolOptions {
  /** Begins to connect; connects once only. */
  readonly open: () => Redis
  /** Connections at the same time. */
  readonly max: number
  /** Connections kept for later. */
  readonly idleMax: number
}

export class PooledConnection {
  private readonly redis: Redis
  private clientId: Promise<string | null> | null = null

  constructor(redis: Redis) {
    this.redis = redis
  }

  get isOpen(): boolean {
    return this.redis.status === 'ready'
  }

  send(command: RemoteCommand): Promise<RawReply> {
    return sendOn(this.redis, command)
  }

  /** The ID by which CLIENT UNBLOCK knows the connection; null when the server does not tell it. Asked for once. */
  id(): Promise<string | null> {
    this.clientId ??= this.send(new RemoteCommand(['CLIENT', 'ID'])).then(
      (reply) => String(reply),
      // Whoever may not ask can only break the connection off.
      () => null,
    )
    return this.clientId
  }

  destroy(): void {
    this.redis.disconnect()
  }

  onEnd(listener: () => void): void {
    this.redis.once('end', listener)
  }
}

export class ConnectionPool {
  private readonly options: ConnectionPoolOptions
  private readonly idle: PooledConnection[] = []
  private readonly all = new Set<PooledConnection>()
  private readonly wakeups = new Wakeups()
  private isClosed: boolean = false

  constructor(options: ConnectionPoolOptions) {
    this.options = options
  }

  /** Connections that are open or being opened. */
  get size(): number {
    return this.all.size
  }

  /**
   * A connection for the caller alone, until it is given to `release` or destroyed.
   *
   * @throws EngineUnavailableError when none gets free in time; NotConnectedError when none can be opened;
   *   CallCancelledError
   */
  async acquire(patience: Patience): Promise<PooledConnection> {
    for (;;) {
      if (this.isClosed) throw new EngineUnavailableError('The engine is closed')
      const idle = this.idle.pop()
      if (idle?.isOpen === true) return idle
      if (idle !== undefined) continue
      if (this.all.size < this.options.max) return this.open(patience)
      if (performance.now() >= patience.deadlineMs)
        throw new EngineUnavailableError(`All ${this.options.max} connections for calls of this kind are taken`)
      await this.wakeups.wait(patience)
    }
  }

  release(connection: PooledConnection): void {
    if (this.isClosed || !connection.isOpen || this.idle.length >= this.options.idleMax) connection.destroy()
    else this.idle.push(connection)
    this.wakeups.wake()
  }

  dropIdle(): void {
    for (const connection of this.idle.splice(0)) connection.destroy()
  }

  close(): void {
    this.isClosed = true
    for (const connection of this.all) connection.destroy()
    this.wakeups.wake()
  }

  private async open(patience: Patience): Promise<PooledConnection> {
    const redis = this.options.open()
    const connection = new PooledConnection(redis)
    this.all.add(connection)
    const changes = new Wakeups()
    redis.on('error', () => {
      // The shared connection of the link reports what is wrong with the server; this one just ends.
    })
    redis.on('ready', () => changes.wake())
    connection.onEnd(() => {
      this.all.delete(connection)
      const at = this.idle.indexOf(connection)
      if (at >= 0) this.idle.splice(at, 1)
      changes.wake()
      this.wakeups.wake()
    })
    try {
      await changes.wait(patience)
    } catch (error) {
      connection.destroy()
      throw error
    }
    if (connection.isOpen) return connection
    connection.destroy()
    throw new NotConnectedError('Cannot open another connection')
  }
}
