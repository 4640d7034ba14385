/** Requests of a client: what each operation does, as the client's user, and what it answers. */
import { CommandFlag } from '../../commands/define.ts'
import { type Argument, CommandError, Decode, EngineUnavailableError, type ReplyValue } from '../engine.ts'
import { wordText } from '../words.ts'
import type { Consumption } from './consumption.ts'
import {
  type AckRequest,
  type AppendRequest,
  type CallRequest,
  CloseCode,
  type ConsumeRequest,
  errorMessage,
  type NackRequest,
  type PublishRequest,
  RealtimeError,
  type Request,
  type RequestId,
  replyMessage,
  type SubscribeRequest,
  type UnsubscribeRequest,
} from './protocol.ts'
import type { Session } from './session.ts'
import { subscriptionFor } from './subscription.ts'

const DEFAULT_CREDIT = 16

/** Answers the requests of one client. */
export class Requests {
  private readonly session: Session
  /** Requests under way. */
  count = 0
  private blockingCount = 0
  private refusalCount = 0
  private readonly gone = new AbortController()

  constructor(session: Session) {
    this.session = session
  }

  /** Answers a request; never rejects. */
  async answer(id: RequestId, request: Request): Promise<void> {
    this.count++
    try {
      const result = await this.run(request)
      this.session.sendText('reply', replyMessage(id, result.value))
      result.after?.()
    } catch (error) {
      this.fail(id, error)
    }
    this.count--
  }

  /** Calls that wait end. */
  close(): void {
    this.gone.abort()
  }

  private async run(request: Request): Promise<Result> {
    switch (request.op) {
      case 'subscribe':
        return this.subscribe(request)
      case 'unsubscribe':
        return { value: this.unsubscribe(request) }
      case 'consume':
        return this.consume(request)
      case 'cancel':
        this.session.endConsumption(this.consumption(request.consumption))
        return { value: true }
      case 'ack':
        return { value: await this.acknowledge(request) }
      case 'nack':
        return { value: this.retryLater(request) }
      case 'publish':
        return { value: await this.publish(request) }
      case 'append':
        return { value: await this.append(request) }
      case 'call':
        return { value: await this.call(request) }
      case 'ping':
        return { value: 'pong' }
    }
  }

  private async subscribe({ op, from, overflow, ...request }: SubscribeRequest): Promise<Result> {
    const { session } = this
    const { id: _id, ...selector } = request as SubscribeRequest & { readonly id: RequestId }
    const subscription = subscriptionFor(session, selector, overflow ?? 'close')
    subscription.authorize()
    if (session.subscription(subscription.id) === null) this.limitSubscriptions()
    session.endSubscription(subscription.id)
    session.addSubscription(subscription)
    try {
      const position = await subscription.open(from ?? '$')
      const value = position === null ? subscription.selector : { ...subscription.selector, from: position }
      return { value, after: () => subscription.start() }
    } catch (error) {
      if (session.subscription(subscription.id) === subscription) session.endSubscription(subscription.id)
      throw error
    }
  }

  private limitSubscriptions(): void {
    const { session } = this
    const { subscriptionsMax, refusalsMax } = session.realtime.limits
    if (session.subscriptionCount < subscriptionsMax) return
    this.refusalCount++
    if (this.refusalCount > refusalsMax) session.outlet.close(CloseCode.TooMany, 'Too many subscriptions')
    throw new RealtimeError('LIMIT', `A client may have ${subscriptionsMax} subscriptions`)
  }

  private unsubscribe({ op, ...request }: UnsubscribeRequest): boolean {
    const { id: _id, ...selector } = request as UnsubscribeRequest & { readonly id: RequestId }
    const { id } = subscriptionFor(this.session, selector, 'close')
    if (this.session.endSubscription(id)) return true
    throw new RealtimeError('NOT_SUBSCRIBED', 'There is no such subscription')
  }

  private async consume({ stream, group, consumer, credit, create }: ConsumeRequest): Promise<Result> {
    const { session } = this
    const { engine, limits } = session.realtime
    session.realtime.authorizeConsumption(session.user, { stream, group, consumer })
    if (session.consumptionsHeld >= limits.consumptionsMax) {
      throw new RealtimeError('LIMIT', `A client may have ${limits.consumptionsMax} consumptions`)
    }
    if (create !== undefined) await this.createGroup(stream, group, create)
    // Fails when the stream, the group or the right to read it is missing.
    const pending = ['XREADGROUP', 'GROUP', group, consumer, 'COUNT', '1', 'STREAMS', stream, '18446744073709551615']
    await engine.call(session.user, pending)
    if (session.isClosed) return { value: null }
    const id = session.nextConsumptionId()
    const start = session.realtime.consume(session, { id, stream, group, consumer, credit: credit ?? DEFAULT_CREDIT })
    return { value: { consumption: id }, after: start }
  }

  private async createGroup(stream: string, group: string, start: string): Promise<void> {
    const { session } = this
    try {
      await session.realtime.engine.call(session.user, ['XGROUP', 'CREATE', stream, group, start, 'MKSTREAM'])
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== 'BUSYGROUP') throw error
    }
  }

  private consumption(id: number): Consumption {
    const consumption = this.session.consumption(id)
    if (consumption !== null) return consumption
    throw new RealtimeError('NOT_CONSUMING', `There is no consumption ${id}`)
  }

  private acknowledge({ consumption, ids }: AckRequest): Promise<number> {
    return this.consumption(consumption).acknowledge(ids)
  }

  private retryLater({ consumption, ids, delayMs }: NackRequest): number {
    return this.consumption(consumption).retryLater(ids, delayMs ?? 0)
  }

  private publish({ channel, data, encoding }: PublishRequest): Promise<ReplyValue> {
    const { realtime, user } = this.session
    return realtime.engine.call(user, ['PUBLISH', channel, argument(data, encoding)])
  }

  private append({ stream, fields, entryId, maxLength, encoding }: AppendRequest): Promise<ReplyValue> {
    const words = Array.isArray(fields) ? (fields as readonly (string | number)[]) : Object.entries(fields).flat()
    if (words.length % 2 !== 0) throw new RealtimeError('BAD_REQUEST', 'fields must be names and values in turn')
    const trim = maxLength === undefined ? [] : ['MAXLEN', '~', maxLength]
    const pairs = words.map((word) => argument(word, encoding))
    const { realtime, user } = this.session
    return realtime.engine.call(user, ['XADD', stream, ...trim, entryId ?? '*', ...pairs])
  }

  private call({ args, encoding, argsEncoding }: CallRequest): Promise<ReplyValue> {
    const { realtime, user } = this.session
    const words = args.map((word) => argument(word, argsEncoding))
    const decode = encoding === 'base64' ? Decode.Base64 : Decode.Text
    if (!this.mayBlock(words[0]!)) return realtime.engine.call(user, words, { decode })
    return this.blockingCall(words, decode)
  }

  private mayBlock(name: Argument): boolean {
    const command = this.session.realtime.engine.registry.byFullName(wordText(name).toLowerCase())
    return command !== null && (command.flags & CommandFlag.Blocking) !== 0
  }

  private async blockingCall(words: readonly Argument[], decode: Decode): Promise<ReplyValue> {
    const { realtime, user } = this.session
    const { blockingCallsMax, blockingCallMs } = realtime.limits
    if (this.blockingCount >= blockingCallsMax) {
      throw new RealtimeError('LIMIT', `A client may have ${blockingCallsMax} blocking commands under way`)
    }
    this.blockingCount++
    const signal = AbortSignal.any([this.gone.signal, AbortSignal.timeout(blockingCallMs)])
    try {
      return await realtime.engine.call(user, words, { decode, signal })
    } catch (error) {
      if (signal.aborted && !(error instanceof CommandError))
        throw new RealtimeError('UNAVAILABLE', 'The call was ended')
      throw error
    } finally {
      this.blockingCount--
    }
  }

  private fail(id: RequestId, error: unknown): void {
    const { session } = this
    if (session.isClosed) return
    if (error instanceof RealtimeError || error instanceof CommandError) {
      session.sendText('error', errorMessage(id, error.code, error.message))
      return
    }
    if (error instanceof EngineUnavailableError) {
      session.sendText('error', errorMessage(id, 'UNAVAILABLE', error.message))
      return
    }
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    session.realtime.context.log.warning(`A realtime request failed: ${detail}`)
    session.sendText('error', errorMessage(id, 'INTERNAL', 'An internal error occurred'))
  }
}

interface Result {
  readonly value: unknown
  /** What is to be done when the client has its reply. */
  readonly after?: () => void
}

function argument(word: string | number, encoding: 'base64' | undefined): Argument {
  return encoding === 'base64' ? Buffer.from(String(word), 'base64') : String(word)
}
