/**
 * Channels: who is subscribed to what, and the fan-out of messages. Hot path (publish).
 *
 * Three kinds of subscription: channels, glob patterns over channels, and shard channels. A message is encoded once
 * per RESP version and copied to each subscriber's output.
 */
import { GlobCase, globMatch } from '../bytes/glob.ts'

/** A client that can be subscribed. */
export interface Subscriber {
  readonly channels: Set<string>
  readonly patterns: Set<string>
  readonly shardChannels: Set<string>
  /** Puts a message into the client's output. `pattern` is null for a plain one; `kind` is 'message', 'pmessage', 'smessage'. */
  deliver(kind: string, pattern: string | null, channel: string, message: Buffer, start: number, length: number): void
}

export class Channels {
  private readonly byChannel = new Map<string, Set<Subscriber>>()
  private readonly byPattern = new Map<string, Set<Subscriber>>()
  private readonly byShardChannel = new Map<string, Set<Subscriber>>()

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
      for (const subscriber of direct) {
        subscriber.deliver('message', null, channel, message, start, length)
        receivers++
      }
    }
    for (const [pattern, subscribers] of this.byPattern) {
      if (!globMatch(pattern, channel, GlobCase.Exact)) continue
      for (const subscriber of subscribers) {
        subscriber.deliver('pmessage', pattern, channel, message, start, length)
        receivers++
      }
    }
    return receivers
  }

  publishShard(channel: string, message: Buffer, start: number, length: number): number {
    const subscribers = this.byShardChannel.get(channel)
    if (subscribers === undefined) return 0
    for (const subscriber of subscribers) subscriber.deliver('smessage', null, channel, message, start, length)
    return subscribers.size
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
  const subscribers = index.get(name)
  if (subscribers === undefined) index.set(name, new Set([subscriber]))
  else subscribers.add(subscriber)
  return true
}

function remove(index: Map<string, Set<Subscriber>>, own: Set<string>, subscriber: Subscriber, name: string): boolean {
  if (!own.delete(name)) return false
  const subscribers = index.get(name)!
  subscribers.delete(subscriber)
  if (subscribers.size === 0) index.delete(name)
  return true
}
