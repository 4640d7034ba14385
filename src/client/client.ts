/** The client: subscriptions, consumers and requests over a connection that comes back. */
import { Connection, type ConnectionOwner, type ConnectOptions, type ServerMessage } from './connection.ts'
import { type ConsumeOptions, Consumer, type ConsumerOwner, type EntryHandler } from './consumer.ts'
import { RealtimeError } from './errors.ts'
import { type ClientEvents, type ConnectionState, Emitter } from './events.ts'
import { base64OfBytes, bytesOfBase64, encodeData, type Message } from './payload.ts'
import { type EntryListener, type StreamOwner, StreamSubscription } from './stream.ts'
import {
  channelMessage,
  queueStream,
  type Subscription,
  type Target,
  type TopicKind,
  TopicTarget,
  targetIdOf,
} from './subscriptions.ts'

export interface SubscribeOptions {
  /**
   * What the server does when messages come faster than this client takes them: `close` the connection, which is made
   * again, or `drop` messages and tell how many (event `dropped`). Default: `close`.
   */
  readonly overflow?: 'close' | 'drop'
}

export interface StreamOptions {
  /** Entries behind this ID; `0` is the beginning, `$` what comes from now on. Default: `$`. */
  readonly from?: string
}

export interface QueueOptions extends StreamOptions {
  /** Of BullMQ. Default: `bull`. */
  readonly prefix?: string
}

export interface AppendOptions {
  /** Default: the server makes one. */
  readonly entryId?: string
  /** Trims the stream to about so many entries. */
  readonly maxLength?: number
}

/** A change of a key: `set`, `del`, `expired` … */
export interface KeyEvent {
  readonly key: string
  readonly event: string
}

/** A reply of a command, in the shape of RESP2; integers beyond 2^53 are texts. */
export type Reply = string | number | null | readonly Reply[] | { readonly error: string }

/** Makes a client, which connects at once and stays connected until it is closed. */
export function connect(options: ConnectOptions): RealtimeClient {
  return new RealtimeClient(options)
}

export class RealtimeClient {
  private readonly connection: Connection
  private readonly events = new Emitter()
  private readonly targets = new Map<string, Target>()
  private readonly consumers = new Set<Consumer>()

  /** Use `connect`. */
  constructor(options: ConnectOptions) {
    const owner: ConnectionOwner = {
      connected: () => this.connected(),
      pushed: (message) => this.pushed(message),
      stateChanged: (state, error) => this.stateChanged(state, error),
    }
    this.connection = new Connection(options, owner)
    this.connection.start()
  }

  get state(): ConnectionState {
    return this.connection.state
  }

  /** Listens to what the client tells about itself; returns what ends that. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.events.on(name, listener)
  }

  /** Messages of a channel. Resolves when the subscription is in force. */
  subscribe(
    channel: string,
    listener: (message: Message) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return this.topic('channel', channel, (message) => listener(channelMessage(message)), options)
  }

  /** Messages of all channels that match a glob pattern. */
  psubscribe(
    pattern: string,
    listener: (message: Message) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return this.topic('pattern', pattern, (message) => listener(channelMessage(message)), options)
  }

  /** Changes of a key, or of those that match a glob pattern. The server must publish keyspace events. */
  keyspace(keys: string, listener: (event: KeyEvent) => void, options: SubscribeOptions = {}): Promise<Subscription> {
    const tell = ({ key, event }: ServerMessage): void => listener({ key: String(key), event: String(event) })
    return this.topic('keys', keys, tell, options)
  }

  /**
   * Follows a stream, across connections: every entry once and in order. Without a listener entries are for whoever
   * iterates: `for await (const entry of client.stream('orders'))`.
   */
  stream(key: string, options: StreamOptions = {}, listener: EntryListener | null = null): StreamSubscription {
    return this.follow(key, { stream: key }, options, listener)
  }

  /** As `stream`, the events of a BullMQ queue. The fields of an entry are `event`, `jobId` and what belongs to the event. */
  queue(queue: string, options: QueueOptions = {}, listener: EntryListener | null = null): StreamSubscription {
    const { prefix = 'bull', ...rest } = options
    return this.follow(queueStream(queue, prefix), { queue, prefix }, rest, listener)
  }

  /** Handles the entries of a consumer group as one of its consumers. */
  consume(stream: string, group: string, consumer: string, options: ConsumeOptions, handler: EntryHandler): Consumer {
    const added = new Consumer(this.consumerOwner, { stream, group, consumer }, options, handler)
    this.consumers.add(added)
    if (this.connection.isConnected) void this.startConsumer(added)
    return added
  }

  /** Publishes a message. Resolves to how many clients of the server got it. */
  async publish(channel: string, data: string | Uint8Array): Promise<number> {
    return Number(await this.connection.request('publish', { channel, ...encodeData(data) }))
  }

  /** Appends an entry to a stream. Resolves to its ID. */
  async append(
    stream: string,
    fields: Readonly<Record<string, string | number>> | readonly (readonly [string, string | number | Uint8Array])[],
    options: AppendOptions = {},
  ): Promise<string> {
    const words = (Array.isArray(fields) ? fields : Object.entries(fields)).flat() as (string | number | Uint8Array)[]
    return String(await this.connection.request('append', { stream, ...encodeWords('fields', words), ...options }))
  }

  /** Runs a command that the user may run. Rejects with a RealtimeError when it replies an error. */
  async call(...args: readonly (string | number | Uint8Array)[]): Promise<Reply> {
    const { encoding, ...words } = encodeWords('args', args)
    return (await this.connection.request('call', { ...words, ...(encoding && { argsEncoding: encoding }) })) as Reply
  }

  /** As `call`, for replies that are no text: strings are bytes. */
  async callBytes(...args: readonly (string | number | Uint8Array)[]): Promise<unknown> {
    const { encoding, ...words } = encodeWords('args', args)
    const more = encoding && { argsEncoding: encoding }
    return toBytes(await this.connection.request('call', { ...words, ...more, encoding: 'base64' }))
  }

  /** Resolves to the time that an answer of the server takes, in ms. */
  async ping(): Promise<number> {
    const startMs = performance.now()
    await this.connection.request('ping', {})
    return performance.now() - startMs
  }

  /** Closes the client for good; what waits is rejected. Entries that were not acknowledged stay pending. */
  close(): void {
    this.connection.close()
  }

  // ---- subscriptions ---------------------------------------------------------------------------------------------

  private async topic(
    kind: TopicKind,
    name: string,
    listener: (message: ServerMessage) => void,
    { overflow = 'close' }: SubscribeOptions,
  ): Promise<Subscription> {
    this.requireOpen()
    const safe = (message: ServerMessage): void => {
      try {
        listener(message)
      } catch (error) {
        this.failed(error)
      }
    }
    const known = this.targets.get(`${kind}:${name}`)
    const target = known instanceof TopicTarget ? known : new TopicTarget(kind, name, overflow)
    target.listeners.add(safe)
    if (known === undefined) this.add(target)
    await target.ready
    return {
      close: () => {
        if (target.listeners.delete(safe) && target.listeners.size === 0) this.remove(target)
      },
    }
  }

  private follow(
    key: string,
    request: object,
    { from = '$' }: StreamOptions,
    listener: EntryListener | null,
  ): StreamSubscription {
    this.requireOpen()
    if (this.targets.has(`stream:${key}`)) throw new RealtimeError('ALREADY', `The stream ${key} is followed already`)
    const stream = new StreamSubscription(this.streamOwner, key, request, from, listener)
    this.add(stream)
    return stream
  }

  private add(target: Target): void {
    this.targets.set(target.id, target)
    if (this.connection.isConnected) void this.request(target)
  }

  private remove(target: Target): void {
    if (this.targets.get(target.id) !== target) return
    this.targets.delete(target.id)
    if (this.connection.isConnected) void this.release(target)
  }

  /** Subscribes at the server. */
  private async request(target: Target): Promise<void> {
    try {
      target.confirmed(await this.connection.send('subscribe', target.selector()))
    } catch (error) {
      // With the next connection it is asked for again.
      if (error instanceof RealtimeError && error.code !== 'CONNECTION_LOST') this.targetEnded(target, error)
    }
  }

  private async release(target: Target): Promise<void> {
    const { from: _from, overflow: _overflow, ...selector } = target.selector() as Record<string, unknown>
    try {
      await this.connection.send('unsubscribe', selector)
    } catch (error) {
      // A lost connection has no subscriptions, and one that was refused is none.
      if (!(error instanceof RealtimeError)) this.failed(error)
    }
  }

  private targetEnded(target: Target, error: RealtimeError): void {
    if (this.targets.get(target.id) !== target) return
    this.targets.delete(target.id)
    target.ended(error)
    if (error.code !== 'CLOSED') this.events.emit('ended', { subscription: target.id, error })
  }

  private readonly streamOwner: StreamOwner = {
    resume: (stream) => {
      stream.isPaused = false
      if (this.connection.isConnected) void this.request(stream)
    },
    pause: (stream) => {
      stream.isPaused = true
      if (this.connection.isConnected) void this.release(stream)
    },
    close: (stream) => this.remove(stream),
    failed: (error) => this.failed(error),
  }

  // ---- consumers ---------------------------------------------------------------------------------------------------

  private readonly consumerOwner: ConsumerOwner = {
    send: (op, members) => this.connection.send(op, members),
    close: (consumer) => {
      if (!this.consumers.delete(consumer) || consumer.consumption === null) return
      this.connection.send('cancel', { consumption: consumer.consumption }).catch(() => null)
    },
    failed: (error) => this.failed(error),
  }

  private async startConsumer(consumer: Consumer): Promise<void> {
    try {
      const { consumption } = (await this.connection.send('consume', consumer.selector())) as { consumption: number }
      consumer.confirmed(consumption)
      if (!this.consumers.has(consumer)) await this.connection.send('cancel', { consumption })
    } catch (error) {
      if (error instanceof RealtimeError && error.code !== 'CONNECTION_LOST') this.consumerEnded(consumer, error)
    }
  }

  private consumerEnded(consumer: Consumer, error: RealtimeError): void {
    if (!this.consumers.delete(consumer)) return
    consumer.ended(error)
    if (error.code !== 'CLOSED') this.events.emit('ended', { subscription: consumer.id, error })
  }

  // ---- the connection ----------------------------------------------------------------------------------------------

  /** Asks for everything again. */
  private async connected(): Promise<void> {
    const targets = [...this.targets.values()].filter(
      (target) => !(target instanceof StreamSubscription) || !target.isPaused,
    )
    const consumers = [...this.consumers]
    await Promise.all([
      ...targets.map((target) => this.request(target)),
      ...consumers.map((consumer) => this.startConsumer(consumer)),
    ])
  }

  private pushed(message: ServerMessage): void {
    if (message.type === 'delivery') {
      this.consumerOf(message)?.received(message)
      return
    }
    if (message.type === 'ended') {
      const consumer = this.consumerOf(message)
      if (consumer !== null) this.consumerEnded(consumer, errorOf(message))
      return
    }
    const id = targetIdOf(message)
    const target = id === null ? undefined : this.targets.get(id)
    if (target === undefined) return
    switch (message.type) {
      case 'gap':
        this.events.emit('gap', message as unknown as ClientEvents['gap'])
        break
      case 'dropped':
        this.events.emit('dropped', { subscription: target.id, count: Number(message.count) })
        break
      case 'unsubscribed':
        this.targetEnded(target, errorOf(message))
        break
      default:
        target.received(message)
    }
  }

  private consumerOf({ consumption }: ServerMessage): Consumer | null {
    for (const consumer of this.consumers) if (consumer.consumption === consumption) return consumer
    return null
  }

  private stateChanged(state: ConnectionState, error: RealtimeError | null): void {
    if (state !== 'open') for (const consumer of this.consumers) consumer.consumption = null
    if (state === 'closed') {
      const reason = error ?? new RealtimeError('CLOSED', 'The client is closed')
      for (const target of [...this.targets.values()]) this.targetEnded(target, reason)
      for (const consumer of [...this.consumers]) this.consumerEnded(consumer, reason)
    }
    this.events.emit('state', { state, error })
  }

  private requireOpen(): void {
    if (this.state === 'closed') throw new RealtimeError('CLOSED', 'The client is closed')
  }

  private failed(error: unknown): void {
    this.events.emit('error', { error })
  }
}

function errorOf({ code, message }: ServerMessage): RealtimeError {
  return new RealtimeError(String(code), String(message))
}

interface EncodedWords {
  readonly [name: string]: unknown
  readonly encoding?: 'base64'
}

/** Words as they are, or all as base64 when there are bytes among them. */
function encodeWords(name: string, words: readonly (string | number | Uint8Array)[]): EncodedWords {
  if (words.every((word) => typeof word !== 'object')) return { [name]: words }
  const encoded = words.map((word) =>
    base64OfBytes(typeof word === 'object' ? word : new TextEncoder().encode(String(word))),
  )
  return { [name]: encoded, encoding: 'base64' }
}

/** Strings of a base64 reply as bytes. */
function toBytes(reply: unknown): unknown {
  if (typeof reply === 'string') return reply === 'OK' ? reply : bytesOfBase64(reply)
  return Array.isArray(reply) ? reply.map(toBytes) : reply
}
