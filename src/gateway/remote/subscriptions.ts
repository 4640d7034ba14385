/**
 * Subscriptions to channels and patterns: one connection for all of them, opened with the first.
 *
 * When it is lost another one is opened, to any server of a cluster, and everything is subscribed again. What is published
 * in between is lost, as it is for every subscriber of Redis. Messages of a cluster reach all of its nodes.
 */
import type { Redis } from 'ioredis'
import { messageOf } from '../../files/thrown.ts'
import type { Log } from '../../observe/log.ts'
import { CommandError, EngineUnavailableError, type MessageListener, type Subscription } from '../engine.ts'
import { Reconnect, retryDelay } from './connection.ts'
import { isErrorReply } from './remote-command.ts'
import type { Topology } from './topology.ts'
import { Wakeups } from './wakeups.ts'

/** How a listener subscribes. */
export const SubscribeTo = { Channel: 'subscribe', Pattern: 'psubscribe' } as const
export type SubscribeTo = (typeof SubscribeTo)[keyof typeof SubscribeTo]

/** Names in one command when everything is subscribed again. */
const NAMES_PER_COMMAND = 500
/** A server that is asked and sends nothing for this time is taken for dead, in ms. */
const SILENCE_MAX_MS = 15_000
/** It is asked this often, in ms. */
const PING_MS = 10_000

interface Topic {
  readonly listeners: Set<MessageListener>
  /** Whether the server has confirmed it on the connection there is. */
  isInForce: boolean
  /** Why the server refuses it; null when it does not. */
  refusal: CommandError | null
}

export interface SubscriptionsOptions {
  readonly topology: Topology
  readonly log: Log
  /** How long a subscription waits for a connection, in ms. */
  readonly waitMs: number
}

export class RemoteSubscriptions {
  private readonly options: SubscriptionsOptions
  private readonly topics = {
    subscribe: new Map<string, Topic>(),
    psubscribe: new Map<string, Topic>(),
  }
  private readonly wakeups = new Wakeups()
  private redis: Redis | null = null
  private pingTimer: NodeJS.Timeout | null = null
  private retryTimer: NodeJS.Timeout | null = null
  private attempts = 0
  private isClosed: boolean = false

  constructor(options: SubscriptionsOptions) {
    this.options = options
  }

  /** Resolves when the server has confirmed. @throws CommandError when it refuses; EngineUnavailableError */
  async subscribe(to: SubscribeTo, name: string, listener: MessageListener): Promise<Subscription> {
    if (this.isClosed) throw new EngineUnavailableError('The engine is closed')
    // The same function may listen twice: each subscription has a listener of its own.
    const own: MessageListener = (message, channel) => listener(message, channel)
    const topic = this.topicOf(to, name)
    topic.listeners.add(own)
    try {
      await this.inForce(topic)
    } catch (error) {
      await this.remove(to, name, topic, own)
      throw error
    }
    return { unsubscribe: () => this.remove(to, name, topic, own) }
  }

  close(): void {
    this.isClosed = true
    for (const topics of Object.values(this.topics)) topics.clear()
    if (this.retryTimer !== null) clearTimeout(this.retryTimer)
    this.redis?.disconnect()
    this.wakeups.wake()
  }

  /** Connects anew: the server is not the one that messages are published to any more. */
  reconnect(): void {
    this.redis?.disconnect()
  }

  private topicOf(to: SubscribeTo, name: string): Topic {
    const known = this.topics[to].get(name)
    if (known !== undefined) return known
    const topic: Topic = { listeners: new Set(), isInForce: false, refusal: null }
    this.topics[to].set(name, topic)
    if (this.redis === null) this.open()
    else if (this.redis.status === 'ready') void this.send(this.redis, to, [name])
    return topic
  }

  private async inForce(topic: Topic): Promise<void> {
    const deadlineMs = performance.now() + this.options.waitMs
    while (!topic.isInForce) {
      if (this.isClosed) throw new EngineUnavailableError('The engine is closed')
      if (topic.refusal !== null) throw topic.refusal
      if (performance.now() >= deadlineMs) throw new EngineUnavailableError('The engine is not connected')
      await this.wakeups.wait({ deadlineMs, signal: null })
    }
  }

  private async remove(to: SubscribeTo, name: string, topic: Topic, own: MessageListener): Promise<void> {
    if (!topic.listeners.delete(own) || topic.listeners.size > 0) return
    // Somebody may have subscribed to it again after it had gone.
    if (this.topics[to].get(name) !== topic) return
    this.topics[to].delete(name)
    const { redis } = this
    if (redis?.status === 'ready' && topic.isInForce) await this.end(redis, to, name)
  }

  private async end(redis: Redis, to: SubscribeTo, name: string): Promise<void> {
    try {
      await (to === SubscribeTo.Channel ? redis.unsubscribe(name) : redis.punsubscribe(name))
    } catch (error) {
      this.options.log.debug(`A subscription ended with its connection: ${messageOf(error)}`)
    }
  }

  private open(): void {
    if (this.isClosed || this.redis !== null) return
    const redis = this.options.topology.openAny(Reconnect.Never)
    if (redis === null) {
      this.openLater()
      return
    }
    this.redis = redis
    redis.options.socketTimeout = SILENCE_MAX_MS
    redis.on('error', (error) => this.options.log.debug(`Connection for subscriptions: ${error.message}`))
    redis.on('ready', () => this.resubscribe(redis))
    redis.on('messageBuffer', (channel: Buffer, text: Buffer) => {
      const name = channel.toString('utf8')
      this.dispatch(this.topics.subscribe.get(name), text, name)
    })
    redis.on('pmessageBuffer', (pattern: string, channel: Buffer, text: Buffer) => {
      this.dispatch(this.topics.psubscribe.get(pattern), text, channel.toString('utf8'))
    })
    redis.once('end', () => this.lost())
  }

  private lost(): void {
    if (this.pingTimer !== null) clearInterval(this.pingTimer)
    this.redis = null
    for (const topics of Object.values(this.topics)) for (const topic of topics.values()) topic.isInForce = false
    this.openLater()
  }

  private openLater(): void {
    if (this.isClosed || this.retryTimer !== null) return
    this.attempts++
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null
      const isWanted = Object.values(this.topics).some((topics) => topics.size > 0)
      if (isWanted) this.open()
    }, retryDelay(this.attempts))
  }

  private resubscribe(redis: Redis): void {
    this.attempts = 0
    this.pingTimer = setInterval(() => {
      redis
        .ping()
        .catch((error: unknown) => this.options.log.debug(`Connection for subscriptions: ${messageOf(error)}`))
    }, PING_MS)
    for (const to of Object.values(SubscribeTo)) {
      const names = [...this.topics[to].keys()]
      for (let i = 0; i < names.length; i += NAMES_PER_COMMAND)
        void this.send(redis, to, names.slice(i, i + NAMES_PER_COMMAND))
    }
  }

  /** Subscribes on the connection. Names that are refused together are tried one by one. Never throws. */
  private async send(redis: Redis, to: SubscribeTo, names: readonly string[]): Promise<void> {
    try {
      await (to === SubscribeTo.Channel ? redis.subscribe(...names) : redis.psubscribe(...names))
      if (this.redis === redis) this.confirm(redis, to, names)
    } catch (error) {
      // Otherwise the connection broke: the next one subscribes again.
      if (!isErrorReply(error)) return
      if (names.length > 1) for (const name of names) await this.send(redis, to, [name])
      else this.refuse(to, names[0]!, new CommandError(error.message))
    }
  }

  private confirm(redis: Redis, to: SubscribeTo, names: readonly string[]): void {
    for (const name of names) {
      const topic = this.topics[to].get(name)
      if (topic !== undefined) topic.isInForce = true
      // Everybody who wanted it was gone before it was confirmed.
      else void this.end(redis, to, name)
    }
    this.wakeups.wake()
  }

  private refuse(to: SubscribeTo, name: string, refusal: CommandError): void {
    this.options.log.warning(`The engine refuses a subscription: ${refusal.message}`)
    const topic = this.topics[to].get(name)
    if (topic !== undefined) topic.refusal = refusal
    this.wakeups.wake()
  }

  private dispatch(topic: Topic | undefined, text: Buffer, channel: string): void {
    for (const listener of topic?.listeners ?? []) {
      try {
        listener(text, channel)
      } catch (error) {
        // A defect of one listener must not keep the message from the others; it surfaces as usual.
        process.nextTick(() => {
          throw error
        })
      }
    }
  }
}
