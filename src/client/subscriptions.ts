/** What a client has subscribed to; each is asked for again with every new connection. */
import type { ServerMessage } from './connection.ts'
import { Entry, type Message, messageOf } from './payload.ts'

/** A subscription as the program sees it. */
export interface Subscription {
  /** Ends it. Nothing comes any more, from the moment of the call. */
  close(): void
}

/** Something that is subscribed to at the server. */
export interface Target {
  /** What pushes of it have in common: `channel:news`. */
  readonly id: string
  /** Members of the request, as things are now. */
  selector(): object
  /** The server has subscribed it. */
  confirmed(result: unknown): void
  received(message: ServerMessage): void
  /** It has ended. */
  ended(error: Error): void
}

/** Whether the server has confirmed something, for those who wait for it. */
export class Readiness {
  readonly promise: Promise<void>
  resolve: () => void
  reject: (error: Error) => void

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.promise = promise
    this.resolve = resolve
    this.reject = reject
    // Who does not wait hears of a refusal by the event `ended`.
    promise.catch(() => null)
  }
}

/** The ID of the target that a push is about; null when it is about none. */
export function targetIdOf(message: ServerMessage): string | null {
  const { channel, pattern, keys, stream, queue, prefix } = message
  if (typeof pattern === 'string') return `pattern:${pattern}`
  if (typeof channel === 'string') return `channel:${channel}`
  if (typeof keys === 'string') return `keys:${keys}`
  if (typeof stream === 'string') return `stream:${stream}`
  if (typeof queue === 'string') return `stream:${queueStream(queue, String(prefix))}`
  return null
}

/** The stream in which BullMQ tells of a queue. */
export function queueStream(queue: string, prefix: string): string {
  return `${prefix}:${queue}:events`
}

export type TopicKind = 'channel' | 'pattern' | 'keys'

/** A channel, pattern or key pattern with the listeners that share it. */
export class TopicTarget implements Target {
  readonly id: string
  readonly listeners = new Set<(message: ServerMessage) => void>()
  private readonly kind: TopicKind
  private readonly name: string
  private readonly overflow: 'close' | 'drop'
  private readonly readiness = new Readiness()

  constructor(kind: TopicKind, name: string, overflow: 'close' | 'drop') {
    this.id = `${kind}:${name}`
    this.kind = kind
    this.name = name
    this.overflow = overflow
  }

  selector(): object {
    return { [this.kind]: this.name, overflow: this.overflow }
  }

  get ready(): Promise<void> {
    return this.readiness.promise
  }

  confirmed(): void {
    this.readiness.resolve()
  }

  received(message: ServerMessage): void {
    for (const listener of [...this.listeners]) listener(message)
  }

  ended(error: Error): void {
    this.listeners.clear()
    this.readiness.reject(error)
  }
}

/** The message of a channel that a push brings. */
export function channelMessage({ channel, pattern, data, encoding }: ServerMessage): Message {
  return messageOf(String(channel), textOrNull(pattern), String(data), textOrNull(encoding))
}

/** The entries that a push brings, with what stands beside each. */
export function entriesOf(message: ServerMessage): { readonly entry: Entry; readonly deliveries: number | null }[] {
  const { stream, entries, encoding } = message
  const list = entries as readonly (readonly [id: string, words: readonly string[], deliveries?: number | null])[]
  return list.map(([id, words, deliveries]) => ({
    entry: new Entry(String(stream), id, words, encoding === 'base64'),
    deliveries: deliveries ?? null,
  }))
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
