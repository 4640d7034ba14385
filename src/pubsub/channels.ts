/**
 * Channels: who is subscribed to what, and the fan-out of messages. Hot path (publish).
 *
 * Three kinds of subscription: channels, glob patterns over channels, and shard channels. A message is encoded once
 * per RESP version and form; subscribers are told where it lies.
 */
import { GlobCase, globMatch } from '../bytes/glob.ts'
import { FanOut } from './fan-out.ts'

/** A client that can be subscribed. */
export interface Subscriber {
  readonly channels: Set<string>
  readonly patterns: Set<string>
  readonly shardChannels: Set<string>
  /** What the subscriptions take in memory, about. Kept by Channels. */
  subscriptionBytes: number
  readonly respVersion: number
  /** Takes note of an encoded message, bytes [start, end) of the fan-out of its RESP version. */
  deliver(fanOut: FanOut, start: number, end: number): void
}

/** Entries of the sets and maps of a subscription, in bytes: measured, rounded. */
const SUBSCRIPTION_BYTES = 128

export class Channels {
  /** Messages on their way, by RESP version; the server resets them when they have been sent. */
  readonly resp2: FanOut = new FanOut(2)
  readonly resp3: FanOut = new FanOut(3)
  private readonly byChannel = new Map<string, Set<Subscriber>>()
  private readonly byPattern = new Map<string, Set<Subscriber>>()
  private readonly byShardChannel = new Map<string, Set<Subscriber>>()

  /** Bytes of messages that have not been sent yet. */
  get pendingBytes(): number {
    return this.resp2.at + this.resp3.at
  }

  /** Returns false when the client was subscribed already. */
  subscribe(subscriber: Subscriber, channel: string): boolean {
    return add(this.byChannel, subscriber.channels, subscriber, channel)
  }

  unsubscribe(subscriber: Subscriber, channel: string): boolean {
    return remove(this.byChannel, subscriber.channels, subscriber, channel)
  }

  subscribePattern(subscriber: Subscriber, pattern: string): boolean {
    return add(this.byPattern, subscriber.patterns, subscriber, pattern)
  }

  unsubscribePattern(subscriber: Subscriber, pattern: string): boolean {
    return remove(this.byPattern, subscriber.patterns, subscriber, pattern)
  }

  subscribeShard(subscriber: Subscriber, channel: string): boolean {
    return add(this.byShardChannel, subscriber.shardChannels, subscriber, channel)
  }

  unsubscribeShard(subscriber: Subscriber, channel: string): boolean {
    return remove(this.byShardChannel, subscriber.shardChannels, subscriber, channel)
  }

  /** Takes a client out of everything, on close. */
  unsubscribeAll(subscriber: Subscriber): void {
    for (const channel of [...subscriber.channels]) this.unsubscribe(subscriber, channel)
    for (const pattern of [...subscriber.patterns]) this.unsubscribePattern(subscriber, pattern)
    for (const channel of [...subscriber.shardChannels]) this.unsubscribeShard(subscriber, channel)
  }

  /** Sends a message to all subscribers of the channel and of matching patterns. Returns how many got it. */
  publish(channel: string, message: Buffer, start: number, length: number): number {
    let receivers = 0
    const direct = this.byChannel.get(channel)
    if (direct !== undefined) {
      receivers = direct.size
      this.send(direct, 'message', null, channel, message, start, length)
    }
    for (const [pattern, subscribers] of this.byPattern) {
      if (!globMatch(pattern, channel, GlobCase.Exact)) continue
      receivers += subscribers.size
      this.send(subscribers, 'pmessage', pattern, channel, message, start, length)
    }
    return receivers
  }

  publishShard(channel: string, message: Buffer, start: number, length: number): number {
    const subscribers = this.byShardChannel.get(channel)
    if (subscribers === undefined) return 0
    const receivers = subscribers.size
    this.send(subscribers, 'smessage', null, channel, message, start, length)
    return receivers
  }

  /** A subscriber whose output overflows is closed on the way, which takes it out of the set that is walked. */
  private send(
    subscribers: Set<Subscriber>,
    kind: string,
    pattern: string | null,
    channel: string,
    message: Buffer,
    start: number,
    length: number,
  ): void {
    const { resp2, resp3 } = this
    let from2 = -1
    let from3 = -1
    for (const subscriber of subscribers) {
      if (subscriber.respVersion >= 3) {
        if (from3 < 0) from3 = resp3.add(kind, pattern, channel, message, start, length)
        subscriber.deliver(resp3, from3, resp3.at)
      } else {
        if (from2 < 0) from2 = resp2.add(kind, pattern, channel, message, start, length)
        subscriber.deliver(resp2, from2, resp2.at)
      }
    }
  }

  /** Whether anybody listens to anything; lets keyspace events skip their work. */
  get isEmpty(): boolean {
    return this.byChannel.size === 0 && this.byPattern.size === 0
  }

  /** Channels with subscribers, without patterns (PUBSUB CHANNELS). */
  channelNames(): string[] {
    return [...this.byChannel.keys()]
  }

  shardChannelNames(): string[] {
    return [...this.byShardChannel.keys()]
  }

  subscriberCount(channel: string): number {
    return this.byChannel.get(channel)?.size ?? 0
  }

  shardSubscriberCount(channel: string): number {
    return this.byShardChannel.get(channel)?.size ?? 0
  }

  get patternCount(): number {
    return this.byPattern.size
  }

  get channelCount(): number {
    return this.byChannel.size
  }

  get shardChannelCount(): number {
    return this.byShardChannel.size
  }
}

function add(index: Map<string, Set<Subscriber>>, own: Set<string>, subscriber: Subscriber, name: string): boolean {
  if (own.has(name)) return false
  own.add(name)
  subscriber.subscriptionBytes += SUBSCRIPTION_BYTES + name.length
  const subscribers = index.get(name)
  if (subscribers === undefined) index.set(name, new Set([subscriber]))
  else subscribers.add(subscriber)
  return true
}

function remove(index: Map<string, Set<Subscriber>>, own: Set<string>, subscriber: Subscriber, name: string): boolean {
  if (!own.delete(name)) return false
  subscriber.subscriptionBytes -= SUBSCRIPTION_BYTES + name.length
  const subscribers = index.get(name)!
  subscribers.delete(subscriber)
  if (subscribers.size === 0) index.delete(name)
  return true
}
