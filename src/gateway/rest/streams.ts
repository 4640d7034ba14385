/**
 * Subscriptions and MONITOR as server-sent events, in the form that Upstash sends them:
 *
 *     data: subscribe,<channel>,<count>              data: psubscribe,<pattern>,<count>
 *     data: message,<channel>,<message>              data: pmessage,<pattern>,<channel>,<message>
 *     data: "OK"                                     data: <time> [<db> <address>] "GET" "key"
 *
 * A stream ends when the client hangs up, when the user is deleted or loses the right, when what the request proved its
 * user by is not good any more (looked at with each heartbeat), and when the gateway shuts down.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { User } from '../../access/user.ts'
import { UserChange } from '../../access/users.ts'
import { messageOf } from '../../files/thrown.ts'
import type { Argument, CommandWords, Subscription } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem, statusOf } from '../problem.ts'
import { commentOf, EventStream, eventOf, UNREAD_BYTES_MAX } from './event-stream.ts'

/** How often a stream that has nothing to send gives a sign of life, in s. */
export const HEARTBEAT_S = 15
const HEARTBEAT = commentOf('ping')
/** Messages and commands over this size are not sent: they end the stream, so that its client knows. In bytes. */
export const EVENT_BYTES_MAX = UNREAD_BYTES_MAX
const TOO_LARGE = `what is to be sent is larger than ${EVENT_BYTES_MAX} bytes`
const CONFIRMED_MONITOR = eventOf('"OK"')

const Kind = { Channels: 'subscribe', Patterns: 'psubscribe', Monitor: 'monitor' } as const
type Kind = (typeof Kind)[keyof typeof Kind]

interface OpenStream {
  readonly events: EventStream
  readonly user: User
  readonly request: IncomingMessage
  /** A command that the user has to be allowed for as long as the stream is open. */
  readonly command: CommandWords
  /** Why the stream was ended by us. */
  refusal: Problem | null
}

export class Streams {
  private readonly context: GatewayContext
  /** By the second, of those between two heartbeats, in which each has its heartbeat: not all at once. */
  private readonly open: Set<OpenStream>[] = Array.from({ length: HEARTBEAT_S }, () => new Set())
  private readonly clock: NodeJS.Timeout
  private readonly forgetUsers: () => void
  private second = 0
  /** The last message as it was sent: most go to many streams. */
  private lastMessage: Buffer | null = null
  private lastPrefix = ''
  private lastEvent: Buffer = HEARTBEAT

  constructor(context: GatewayContext) {
    this.context = context
    this.clock = setInterval(() => this.beat(), 1000)
    this.clock.unref()
    this.forgetUsers = context.engine.users.onChange((user, change) => this.userChanged(user, change))
    context.draining.addEventListener('abort', () => this.endAll())
  }

  /** Whether a command is one that is answered with a stream. */
  serves(words: CommandWords): boolean {
    const name = String(words[0]).toLowerCase()
    return name === Kind.Channels || name === Kind.Patterns || name === Kind.Monitor
  }

  /** Answers a request with a stream. @throws Problem, CommandError when it is not begun */
  async answer(request: FastifyRequest, reply: FastifyReply, words: CommandWords): Promise<void> {
    const [name, ...rest] = words
    const kind = String(name).toLowerCase() as Kind
    const names = rest.map(textOf)
    if (names.length === 0 && kind !== Kind.Monitor)
      throw new Problem(400, `ERR wrong number of arguments for '${kind}' command`)
    if (names.length > 0 && kind === Kind.Monitor)
      throw new Problem(400, "ERR wrong number of arguments for 'monitor' command")
    if (this.context.draining.aborted) throw new Problem(503, 'ERR the server is shutting down')
    const user = userOf(request)
    requireCommands(this.context.engine, user, [words])

    const subscriptions: Subscription[] = []
    const slot = this.open[this.second]!
    const events = new EventStream(reply.raw, () => {
      slot.delete(stream)
      for (const subscription of subscriptions) this.unsubscribe(subscription)
    })
    const stream: OpenStream = { events, user, request: request.raw, command: words, refusal: null }
    slot.add(stream)
    let confirmations: Buffer[] = []
    try {
      confirmations = await this.subscribe(kind, names, events, subscriptions)
    } catch (error) {
      events.end('')
      throw error
    }
    if (events.isClosed) {
      // It was closed before all subscriptions were there to be ended.
      slot.delete(stream)
      for (const subscription of subscriptions) this.unsubscribe(subscription)
      throw stream.refusal ?? new Problem(503, 'ERR the stream has ended before it began')
    }
    reply.hijack()
    const { figures } = this.context
    figures.eventStreams++
    reply.raw.once('close', () => figures.eventStreams--)
    events.begin(headersOf(reply), confirmations)
  }

  /** Ends what is open, and looks at nothing any more. */
  close(): void {
    clearInterval(this.clock)
    this.forgetUsers()
    this.endAll()
  }

  /** Subscribes to everything; resolves to the events that say so. */
  private async subscribe(
    kind: Kind,
    names: readonly string[],
    events: EventStream,
    subscriptions: Subscription[],
  ): Promise<Buffer[]> {
    const { engine } = this.context
    if (kind === Kind.Monitor) {
      subscriptions.push(await engine.monitor((line) => sendLine(events, line)))
      return [CONFIRMED_MONITOR]
    }
    for (const name of new Set(names)) {
      const subscription = await (kind === Kind.Channels
        ? engine.subscribe(name, (message) => this.sendMessage(events, `message,${name},`, message))
        : engine.psubscribe(name, (message, channel) =>
            this.sendMessage(events, `pmessage,${name},${channel},`, message),
          ))
      subscriptions.push(subscription)
      if (events.isClosed) break
    }
    return [...new Set(names)].map((name, index) => eventOf(`${kind},${name},${index + 1}`))
  }

  private sendMessage(events: EventStream, prefix: string, message: Buffer): void {
    if (message.length > EVENT_BYTES_MAX) {
      events.end(TOO_LARGE)
      return
    }
    if (message !== this.lastMessage || prefix !== this.lastPrefix) {
      this.lastMessage = message
      this.lastPrefix = prefix
      this.lastEvent = eventOf(prefix + message.toString('utf8'))
    }
    this.context.figures.messagesPushed++
    events.send(this.lastEvent)
  }

  private unsubscribe(subscription: Subscription): void {
    subscription.unsubscribe().catch((error: unknown) => {
      // An engine that is closed or cut off has no subscriptions any more.
      this.context.log.debug(`Unsubscribing: ${messageOf(error)}`)
    })
  }

  private beat(): void {
    this.second = (this.second + 1) % HEARTBEAT_S
    for (const stream of this.open[this.second]!) {
      stream.events.send(HEARTBEAT)
      void this.identifyAgain(stream)
    }
  }

  private async identifyAgain(stream: OpenStream): Promise<void> {
    try {
      const user = await this.context.identities.identify(stream.request)
      if (user !== stream.user) this.end(stream, new Problem(401, 'WRONGPASS the credentials mean another user'))
    } catch (error) {
      // Other errors (keys of JWTs that cannot be loaded just now) say nothing about the user.
      if (error instanceof Problem && (statusOf(error) === 401 || statusOf(error) === 403)) this.end(stream, error)
    }
  }

  private userChanged(user: User, change: UserChange): void {
    for (const streams of this.open) {
      for (const stream of streams) {
        if (stream.user.name !== user.name) continue
        if (change === UserChange.Deleted) this.end(stream, new Problem(401, 'WRONGPASS the user was deleted'))
        else this.checkRights(stream)
      }
    }
  }

  private checkRights(stream: OpenStream): void {
    try {
      requireCommands(this.context.engine, stream.user, [stream.command])
    } catch (error) {
      this.end(stream, new Problem(400, messageOf(error)))
    }
  }

  private end(stream: OpenStream, refusal: Problem): void {
    stream.refusal = refusal
    stream.events.end(refusal.message.replaceAll(/[\r\n]/g, ' '))
  }

  private endAll(): void {
    const refusal = new Problem(503, 'ERR the server is shutting down')
    for (const streams of this.open) for (const stream of streams) this.end(stream, refusal)
  }
}

function sendLine(events: EventStream, line: string): void {
  if (line.length > EVENT_BYTES_MAX) events.end(TOO_LARGE)
  else events.send(eventOf(line))
}

/** Names of channels are text in events, as on every page of the gateway. */
function textOf(word: Argument): string {
  if (word instanceof Uint8Array) throw new Problem(400, 'ERR the name of a channel must be UTF-8')
  return String(word)
}

/** What hooks have set by now, as CORS does. */
function headersOf(reply: FastifyReply): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]))
}
