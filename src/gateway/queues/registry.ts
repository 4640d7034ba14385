/**
 * The BullMQ objects of the gateway. All queues and flows share one client of the engine, with all rights: callers check
 * what the user may do (access.ts). Queues are objects without a connection of their own; those that were used least
 * recently make room. Who waits for events shares one connection per queue, which is closed when nobody has waited for
 * a while.
 *
 *     client ── FlowProducer ── backend ─┬─ forQueue ── Queue mail        at most QUEUES_MAX
 *                                        └─ forQueue ── Queue render
 *     QueueEvents mail ── a connection                                    at most EVENTS_MAX
 *
 * A client that has lost its connection keeps commands until it is back. Requests do not wait that long: after
 * `OUTAGE_MAX_MS` they fail, and so do new ones at once, until there is a connection again.
 */
import { FlowProducer, Queue, QueueEvents, type RedisQueueBackend } from 'bullmq'
import { type Cluster, Redis } from 'ioredis'
import type { Log } from '../../observe/log.ts'
import { type Engine, EngineUnavailableError } from '../engine.ts'
import { Problem } from '../problem.ts'
import { translateBullError } from './errors.ts'
import { escapeGlob, keyPrefix, type QueueId, qualifiedName } from './names.ts'
import { choosePrefix, QueuePrefixError } from './prefix.ts'

/** Queues that are kept as objects. */
const QUEUES_MAX = 1000
/** Queues whose events are followed at the same time, each over a connection. */
const EVENTS_MAX = 100
/** A connection for events is kept this long after the last who waited, in ms. */
const EVENTS_IDLE_MS = 30_000
/** Time without a connection after which requests fail, in ms. */
const OUTAGE_MAX_MS = 5000
/** Keys that one step of a search for queues looks at. */
const SCAN_COUNT = 1000
/** Steps of a search for queues on one node: it ends unfinished after some ten million keys. */
const SCAN_STEPS_MAX = 10_000

/** How jobs are taken over HTTP, as the options of a BullMQ worker. */
const WORK_OPTIONS = {
  /** A job whose lock was not extended for this long counts as stalled, in ms. */
  lockDuration: 30_000,
  /** How often stalled jobs are looked for, in ms. */
  stalledInterval: 30_000,
  /** A job that stalls more often fails. */
  maxStalledCount: 1,
} as const

const CLOSE_BY_FORCE = true

export type JobQueue = Queue<unknown, unknown, string>

interface FollowedQueue {
  readonly events: QueueEvents
  /** How many are waiting. */
  leases: number
  idleTimer: NodeJS.Timeout | null
}

export interface FoundQueues {
  /** Sorted. */
  readonly names: readonly string[]
  /** Whether there may be more. */
  readonly isTruncated: boolean
}

export class QueueRegistry {
  private readonly engine: Engine
  private readonly log: Log
  private client: Redis | Cluster | null = null
  private producer: FlowProducer | null = null
  /** In the order of their last use. */
  private readonly queues = new Map<string, JobQueue>()
  private readonly followed = new Map<string, FollowedQueue>()
  /** Reject the requests that are under way. */
  private readonly pending = new Set<(error: Error) => void>()
  private outageTimer: NodeJS.Timeout | null = null
  private isDown: boolean = false
  private isClosed: boolean = false

  constructor(engine: Engine, log: Log) {
    this.engine = engine
    this.log = log
  }

  /** The prefix of a request's queues. @throws Problem 400 when a cluster cannot have it */
  prefix(given: string | null): string {
    const { isCluster } = this.connection()
    try {
      return choosePrefix({ given, isCluster })
    } catch (error) {
      throw error instanceof QueuePrefixError ? new Problem(400, error.message) : error
    }
  }

  /** The queue with a name; it need not exist in the data. */
  queue(id: QueueId): JobQueue {
    const key = qualifiedName(id)
    let queue = this.queues.get(key)
    if (queue === undefined) {
      const backend = this.flows().getBackend()
      const options = { connection: this.connection(), prefix: id.prefix, skipMetasUpdate: true, ...WORK_OPTIONS }
      // Declared as the interface of all backends; a Redis backend makes Redis backends.
      queue = new Queue(id.name, options, () => backend.forQueue(id.name, id.prefix) as RedisQueueBackend)
      this.listen(queue)
      if (this.queues.size >= QUEUES_MAX) this.dropOldest()
    } else {
      this.queues.delete(key)
    }
    this.queues.set(key, queue)
    return queue
  }

  /** Adds flows; each node names its prefix. */
  flows(): FlowProducer {
    if (this.producer === null) {
      const producer = new FlowProducer({ connection: this.connection(), ...WORK_OPTIONS })
      this.listen(producer)
      // BullMQ looks at the server once, when it connects. If that fails it never works again, so it is made anew.
      producer.waitUntilReady().catch((error) => {
        this.log.verbose(`Queues: ${String(error)}`)
        if (this.producer === producer) this.forgetClient()
      })
      this.producer = producer
    }
    return this.producer
  }

  /**
   * Runs something with BullMQ; its errors become answers.
   *
   * @throws EngineUnavailableError when the connection is lost for too long: it may be done nevertheless
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.isClosed || this.isDown) {
      return Promise.reject(new EngineUnavailableError('The queues are not connected'))
    }
    return new Promise((resolve, reject) => {
      this.pending.add(reject)
      work()
        .then(resolve, (error) => reject(translateBullError(error)))
        .finally(() => this.pending.delete(reject))
    })
  }

  /**
   * Runs something with the events of a queue, none of which is missed from the beginning on.
   *
   * @throws Problem 503 when too many queues are followed
   */
  async withEvents<T>(id: QueueId, use: (events: QueueEvents) => Promise<T>): Promise<T> {
    const key = qualifiedName(id)
    const entry = this.followed.get(key) ?? (await this.follow(key, id))
    entry.leases++
    if (entry.idleTimer !== null) clearTimeout(entry.idleTimer)
    entry.idleTimer = null
    try {
      return await use(entry.events)
    } finally {
      entry.leases--
      if (entry.leases === 0 && !this.isClosed) {
        entry.idleTimer = setTimeout(() => this.unfollow(key, entry), EVENTS_IDLE_MS)
        entry.idleTimer.unref()
      }
    }
  }

  /** How many queues have a connection for their events. */
  get followedCount(): number {
    return this.followed.size
  }

  /** Looks for the queues of a prefix, until there are `countMax` of those that are wanted. */
  async find(
    prefix: string,
    options: {
      readonly countMax: number
      readonly isWanted: (name: string) => boolean
      readonly signal: AbortSignal | null
    },
  ): Promise<FoundQueues> {
    const { countMax, isWanted, signal } = options
    const head = `${prefix}:`
    const tail = ':meta'
    const names = new Set<string>()
    let isTruncated = false
    for (const node of this.nodes()) {
      let cursor = '0'
      let steps = 0
      do {
        const from = cursor
        const [next, keys] = await this.run(() =>
          node.scan(from, 'MATCH', `${escapeGlob(head)}*${tail}`, 'COUNT', SCAN_COUNT),
        )
        for (const key of keys) {
          const name = key.slice(head.length, -tail.length)
          if (name === '' || name.includes(':') || names.has(name) || !isWanted(name)) continue
          if (names.size < countMax) names.add(name)
          else isTruncated = true
        }
        cursor = next
        steps++
        if (cursor !== '0' && (steps >= SCAN_STEPS_MAX || signal?.aborted === true)) isTruncated = true
      } while (cursor !== '0' && !isTruncated)
    }
    return { names: [...names].sort(), isTruncated }
  }

  /** Closes all connections; requests that are under way fail. */
  async close(): Promise<void> {
    this.isClosed = true
    this.rejectPending()
    if (this.outageTimer !== null) clearTimeout(this.outageTimer)
    const closing = [...this.followed].map(([key, entry]) => this.unfollow(key, entry))
    this.queues.clear()
    this.client?.disconnect()
    await Promise.all(closing)
  }

  private connection(): Redis | Cluster {
    if (this.isClosed) throw new EngineUnavailableError('The gateway is closing')
    if (this.client === null) {
      const client = this.engine.createClient()
      // Every failed attempt to connect is one; without a listener it would be printed.
      client.on('error', (error: Error) => this.log.verbose(`Queues: ${error.message}`))
      client.on('ready', () => this.connected())
      client.on('close', () => this.disconnected(client))
      this.client = client
      this.disconnected(client)
    }
    return this.client
  }

  /** Where keys can be: the client itself, or each primary of a cluster. */
  private nodes(): readonly Redis[] {
    const client = this.connection()
    return client instanceof Redis ? [client] : client.nodes('master')
  }

  private async follow(key: string, id: QueueId): Promise<FollowedQueue> {
    // From the last event there is, not from the time at which the connection is ready: none may fall between.
    const last = await this.engine.call(this.engine.system, [
      'XREVRANGE',
      `${keyPrefix(id)}events`,
      '+',
      '-',
      'COUNT',
      '1',
    ])
    const found = this.followed.get(key)
    if (found !== undefined) return found
    if (this.followed.size >= EVENTS_MAX && !this.dropIdleEvents()) {
      throw new Problem(503, `Results of ${EVENTS_MAX} queues are being waited for: try again later`)
    }
    const lastEventId = firstId(last) ?? '0-0'
    const events = new QueueEvents(id.name, { connection: this.connection(), prefix: id.prefix, lastEventId })
    events.setMaxListeners(0)
    this.listen(events)
    const entry: FollowedQueue = { events, leases: 0, idleTimer: null }
    this.followed.set(key, entry)
    // One that cannot become ready is of no use to the next.
    events.waitUntilReady().catch(() => this.unfollow(key, entry))
    return entry
  }

  private async unfollow(key: string, entry: FollowedQueue): Promise<void> {
    if (this.followed.get(key) === entry) this.followed.delete(key)
    if (entry.idleTimer !== null) clearTimeout(entry.idleTimer)
    const report = (error: unknown): void => this.log.debug(`Queues: closing the events of ${key}: ${String(error)}`)
    // Ends its loop; but it waits for its connection, which may never be there, so that is closed by force.
    entry.events.close().catch(report)
    await entry.events.getBackend().close(CLOSE_BY_FORCE).catch(report)
  }

  private dropIdleEvents(): boolean {
    for (const [key, entry] of this.followed) {
      if (entry.leases > 0 || entry.idleTimer === null) continue
      void this.unfollow(key, entry)
      return true
    }
    return false
  }

  private dropOldest(): void {
    for (const key of this.queues.keys()) {
      this.queues.delete(key)
      return
    }
  }

  private listen(source: FlowProducer | QueueEvents | JobQueue): void {
    const report = (error: Error): void => this.log.verbose(`Queues: ${error.message}`)
    if (source instanceof QueueEvents) source.on('error', report)
    else if (source instanceof FlowProducer) source.on('error', report)
    else source.on('error', report)
  }

  private forgetClient(): void {
    this.producer = null
    this.queues.clear()
    this.client?.disconnect()
    this.client = null
  }

  private connected(): void {
    this.isDown = false
    if (this.outageTimer !== null) clearTimeout(this.outageTimer)
    this.outageTimer = null
  }

  private disconnected(client: Redis | Cluster): void {
    if (this.outageTimer !== null || this.isClosed || client !== this.client) return
    this.outageTimer = setTimeout(() => {
      this.outageTimer = null
      this.isDown = true
      this.rejectPending()
    }, OUTAGE_MAX_MS)
    this.outageTimer.unref()
  }

  private rejectPending(): void {
    const error = new EngineUnavailableError('The queues are not connected')
    for (const reject of this.pending) reject(error)
    this.pending.clear()
  }
}

/** The ID of the first entry in the reply of XREVRANGE. */
function firstId(entries: unknown): string | null {
  if (!(entries instanceof Array)) return null
  const entry: unknown = entries[0]
  return entry instanceof Array && typeof entry[0] === 'string' ? entry[0] : null
}
