/** Subscriptions of a client: to a topic (channel, pattern, keys) or to a stream (queue events are one). */
import type { CommandError } from '../engine.ts'
import { requireCommands } from '../permissions.ts'
import { Batch } from './batch.ts'
import type { Topic, TopicKind, TopicSubscriber } from './hub.ts'
import { CloseCode, RealtimeError, type Selector } from './protocol.ts'
import { requireKeys, requireKeyspaceEvents, requireQueue } from './rights.ts'
import type { Session } from './session.ts'
import type { Follower, FollowerClient } from './stream-feed.ts'

const QUEUE_PREFIX = 'bull'

export interface Subscription {
  /** The same for everything that asks for the same. */
  readonly id: string
  /** As the client knows it. */
  readonly selector: Selector
  /** @throws CommandError NOPERM when the user may not have it */
  authorize(): void
  /** Resolves when it is in force: where a stream starts, null for topics. Entries of a stream come after `start`. */
  open(from: string): Promise<string | null>
  start(): void
  drained(): void
  close(): void
}

/** What a client does when channel messages come faster than it takes them. */
export type Overflow = 'close' | 'drop'

export class TopicSubscription implements Subscription, TopicSubscriber {
  readonly id: string
  readonly selector: Selector
  private readonly kind: TopicKind
  private readonly name: string
  private readonly session: Session
  private readonly overflow: Overflow
  private topic: Topic | null = null
  /** Messages that were dropped and that the client was not told of. */
  private droppedCount = 0
  private isClosed: boolean = false

  constructor(session: Session, kind: TopicKind, name: string, overflow: Overflow) {
    this.id = `${kind}:${name}`
    this.selector = { [kind]: name }
    this.kind = kind
    this.name = name
    this.session = session
    this.overflow = overflow
  }

  authorize(): void {
    const { engine } = this.session.realtime
    if (this.kind === 'keys') requireKeys(engine, this.session.user, this.name)
    else requireCommands(engine, this.session.user, [[this.kind === 'channel' ? 'SUBSCRIBE' : 'PSUBSCRIBE', this.name]])
  }

  async open(): Promise<null> {
    const { engine, hub } = this.session.realtime
    if (this.kind === 'keys') await requireKeyspaceEvents(engine)
    this.topic = await hub.join(this.kind, this.name, this)
    if (this.isClosed) this.close()
    return null
  }

  start(): void {
    // Messages come from when the subscription is in force.
  }

  close(): void {
    this.isClosed = true
    if (this.topic !== null) this.session.realtime.hub.leave(this.topic, this)
    this.topic = null
  }

  deliver(batch: Batch, keys: readonly string[] | null): void {
    const { session } = this
    if (session.isClosed) return
    const own = keys === null || session.user.isUnrestricted ? batch : this.readable(batch, keys)
    if (own === null) return
    if (session.outlet.queuedBytes > session.realtime.limits.bufferBytesMax) {
      this.overflowed(own.count)
      return
    }
    if (this.droppedCount > 0) this.tellDropped()
    session.realtime.context.figures.messagesPushed += own.count
    session.outlet.send(own)
  }

  missed(): void {
    this.session.realtime.context.figures.messagesDropped++
    this.droppedCount++
    if (!this.session.isFull) this.tellDropped()
  }

  drained(): void {
    if (this.droppedCount > 0) this.tellDropped()
  }

  /** The part of a batch that is about keys which the user may read; null when there is none. */
  private readable(batch: Batch, keys: readonly string[]): Batch | null {
    const { user } = this.session
    const messages = batch.messages.filter((_message, i) => user.mayReadKey(Buffer.from(keys[i]!).toString('latin1')))
    if (messages.length === 0) return null
    return messages.length === batch.count ? batch : new Batch(batch.type, messages)
  }

  private overflowed(count: number): void {
    this.session.realtime.context.figures.messagesDropped += count
    if (this.overflow === 'drop') this.droppedCount += count
    else this.session.outlet.close(CloseCode.SlowConsumer, 'Messages came faster than they were read')
  }

  private tellDropped(): void {
    const count = this.droppedCount
    this.droppedCount = 0
    this.session.push('dropped', { type: 'dropped', ...this.selector, count })
  }
}

export class StreamSubscription implements Subscription, FollowerClient {
  readonly id: string
  readonly selector: Selector
  readonly key: string
  private readonly session: Session
  private follower: Follower | null = null
  private isClosed: boolean = false

  constructor(session: Session, key: string, selector: Selector) {
    this.id = `stream:${key}`
    this.key = key
    this.selector = selector
    this.session = session
  }

  /** The last entry that the client was sent, or the ID behind which it wants entries. */
  get position(): string {
    return this.follower?.position ?? '-'
  }

  get isFull(): boolean {
    return this.session.outlet.isFull
  }

  authorize(): void {
    const { session, selector } = this
    const { engine } = session.realtime
    if (selector.queue !== undefined) requireQueue(session.user, selector.queue, selector.prefix ?? QUEUE_PREFIX)
    requireCommands(engine, session.user, [['XREAD', 'STREAMS', this.key, '0']])
  }

  async open(from: string): Promise<string> {
    this.follower = await this.session.realtime.feeds.follow(this.key, from, this)
    const { position } = this.follower
    if (this.isClosed) this.close()
    return position
  }

  start(): void {
    this.follower?.start()
  }

  drained(): void {
    this.follower?.start()
  }

  close(): void {
    this.isClosed = true
    this.follower?.close()
    this.follower = null
  }

  deliverEntries(batch: Batch): void {
    if (this.session.isClosed) return
    this.session.realtime.context.figures.messagesPushed++
    this.session.outlet.sendEntries(batch)
  }

  deliverGap(stream: string, after: string, first: string | null): void {
    this.session.push('gap', { type: 'gap', stream, after, first })
  }

  streamFailed(_stream: string, error: CommandError): void {
    this.session.withdraw(this, error)
  }
}

/** The subscription that a selector asks for, not opened yet. @throws RealtimeError BAD_REQUEST */
export function subscriptionFor(session: Session, selector: Selector, overflow: Overflow): Subscription {
  const { channel, pattern, stream, keys, queue, prefix = QUEUE_PREFIX } = selector
  const given = [channel, pattern, stream, keys, queue].filter((name) => name !== undefined)
  if (given.length !== 1 || (queue === undefined && selector.prefix !== undefined)) {
    throw new RealtimeError(
      'BAD_REQUEST',
      'Name one of channel, pattern, stream, keys, or queue (with or without prefix)',
    )
  }
  if (channel !== undefined) return new TopicSubscription(session, 'channel', channel, overflow)
  if (pattern !== undefined) return new TopicSubscription(session, 'pattern', pattern, overflow)
  if (keys !== undefined) return new TopicSubscription(session, 'keys', keys, overflow)
  if (stream !== undefined) return new StreamSubscription(session, stream, { stream })
  return new StreamSubscription(session, `${prefix}:${queue}:events`, { queue: queue!, prefix })
}
