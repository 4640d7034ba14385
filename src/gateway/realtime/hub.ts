/**
 * Channels, patterns and key patterns with subscribers: one upstream subscription for each, however many clients there
 * are. Hot path: Topic.
 *
 *     engine ──message──▶ Topic ──▶ messages of the turn ──end of turn──▶ one Batch ──▶ each subscriber
 *
 * The upstream subscription ends when the last subscriber has left.
 */
import { messageOf } from '../../files/thrown.ts'
import type { Log } from '../../observe/log.ts'
import type { Engine, Subscription } from '../engine.ts'
import { Batch } from './batch.ts'
import { PAYLOAD_BYTES_MAX } from './limits.ts'
import { dataMembers } from './payload.ts'
import { RealtimeError } from './protocol.ts'
import type { Turn, TurnEnd } from './turn.ts'

/** A batch is handed out before the end of the turn when it has so many chars, so that buffers are counted in time. */
const BATCH_CHARS_MAX = 64 * 1024
const KEYSPACE_PREFIX = '__keyspace@0__:'

export type TopicKind = 'channel' | 'pattern' | 'keys'

export interface TopicSubscriber {
  /** @param keys the key that each message is about; null unless the topic is one of keys */
  deliver(batch: Batch, keys: readonly string[] | null): void
  /** A message was too large to be pushed. */
  missed(): void
}

export class Hub {
  readonly topics = new Map<string, Topic>()
  private readonly engine: Engine
  private readonly log: Log
  private readonly turn: Turn
  private readonly topicsMax: number

  constructor(engine: Engine, log: Log, turn: Turn, topicsMax: number) {
    this.engine = engine
    this.log = log
    this.turn = turn
    this.topicsMax = topicsMax
  }

  /** Resolves when the subscription is in force. @throws RealtimeError LIMIT; EngineUnavailableError */
  async join(kind: TopicKind, name: string, subscriber: TopicSubscriber): Promise<Topic> {
    const topic = this.topicOf(kind, name)
    topic.memberCount++
    try {
      await topic.upstream
    } catch (error) {
      this.memberLeft(topic)
      throw error
    }
    // What came before is not for the new one.
    topic.flush()
    topic.subscribers.add(subscriber)
    return topic
  }

  leave(topic: Topic, subscriber: TopicSubscriber): void {
    if (topic.subscribers.delete(subscriber)) this.memberLeft(topic)
  }

  private readonly ignoreGone = (error: unknown): void => {
    this.log.debug(`Cannot unsubscribe: ${messageOf(error)}`)
  }

  private topicOf(kind: TopicKind, name: string): Topic {
    const id = `${kind}:${name}`
    const known = this.topics.get(id)
    if (known !== undefined) return known
    if (this.topics.size >= this.topicsMax)
      throw new RealtimeError('LIMIT', `There are ${this.topicsMax} channels and patterns`)
    const topic = new Topic(id, kind, name, this.turn)
    topic.upstream = this.listen(topic, kind, name)
    topic.upstream.catch(() => {
      // Members are told where they wait; the next one tries anew.
      if (this.topics.get(id) === topic) this.topics.delete(id)
    })
    this.topics.set(id, topic)
    return topic
  }

  private listen(topic: Topic, kind: TopicKind, name: string): Promise<Subscription> {
    switch (kind) {
      case 'channel':
        return this.engine.subscribe(name, topic.received)
      case 'pattern':
        return this.engine.psubscribe(name, topic.received)
      case 'keys':
        return this.engine.psubscribe(KEYSPACE_PREFIX + name, topic.received)
    }
  }

  private memberLeft(topic: Topic): void {
    topic.memberCount--
    if (topic.memberCount > 0) return
    if (this.topics.get(topic.id) === topic) this.topics.delete(topic.id)
    // An engine that is not there any more has ended the subscription in its own way.
    topic.upstream?.then((subscription) => subscription.unsubscribe()).catch(this.ignoreGone)
  }
}

export class Topic implements TurnEnd {
  readonly id: string
  upstream: Promise<Subscription> | null = null
  /** Subscribers, and those that wait for the upstream subscription. */
  memberCount = 0
  readonly subscribers = new Set<TopicSubscriber>()
  private readonly kind: TopicKind
  private readonly head: string
  private readonly turn: Turn
  private messages: string[] = []
  private keys: string[] = []
  private chars = 0

  constructor(id: string, kind: TopicKind, name: string, turn: Turn) {
    this.id = id
    this.kind = kind
    this.turn = turn
    const type = kind === 'keys' ? 'keyspace' : 'message'
    this.head = `{"type":"${type}","${kind}":${JSON.stringify(name)},`
  }

  /** Takes a message from upstream. */
  readonly received = (message: Buffer, channel: string): void => {
    if (this.subscribers.size === 0) return
    if (message.length > PAYLOAD_BYTES_MAX) {
      this.flush()
      for (const subscriber of this.subscribers) subscriber.missed()
      return
    }
    const json = this.encode(message, channel)
    this.messages.push(json)
    this.chars += json.length
    if (this.messages.length === 1) this.turn.addTopic(this)
    if (this.chars >= BATCH_CHARS_MAX) this.flush()
  }

  /** Hands out what has come. */
  flush(): void {
    if (this.messages.length === 0) return
    const { messages, keys, kind } = this
    this.messages = []
    this.keys = []
    this.chars = 0
    const batch = new Batch(kind === 'keys' ? 'keyspace' : 'message', messages)
    for (const subscriber of this.subscribers) subscriber.deliver(batch, kind === 'keys' ? keys : null)
  }

  endTurn(): void {
    this.flush()
  }

  private encode(message: Buffer, channel: string): string {
    if (this.kind === 'channel') return `${this.head}${dataMembers(message)}}`
    if (this.kind === 'pattern') return `${this.head}"channel":${JSON.stringify(channel)},${dataMembers(message)}}`
    const key = channel.slice(KEYSPACE_PREFIX.length)
    this.keys.push(key)
    return `${this.head}"key":${JSON.stringify(key)},"event":${JSON.stringify(message.toString())}}`
  }
}
