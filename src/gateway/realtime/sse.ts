/**
 * A client that listens by Server-Sent Events: what it wants stands in the query, and the response never ends.
 *
 * The event ID of entries holds the position of every stream of the request, in the order of the query, so that
 * `Last-Event-ID` resumes all of them: `1526919030474-0,0-5`. Its length is bounded by the number of streams.
 */
import type { ServerResponse } from 'node:http'
import type { User } from '../../access/user.ts'
import { Problem } from '../problem.ts'
import { Batch } from './batch.ts'
import { normalEntryId } from './entry-id.ts'
import { SSE_STREAMS_MAX } from './limits.ts'
import type { Outlet } from './outlet.ts'
import type { CloseCode, Selector } from './protocol.ts'
import type { Realtime } from './realtime.ts'
import { Session } from './session.ts'
import { type Overflow, StreamSubscription, type Subscription, subscriptionFor } from './subscription.ts'

export interface SseQuery {
  readonly channel?: readonly string[]
  readonly pattern?: readonly string[]
  readonly keys?: readonly string[]
  readonly stream?: readonly string[]
  readonly queue?: readonly string[]
  /** Of the queues. */
  readonly prefix?: string
  /** Where streams start that `Last-Event-ID` says nothing about. Default: `$`. */
  readonly from?: string
  /** As the header, for clients that cannot send it. */
  readonly lastEventId?: string
  readonly overflow?: Overflow
}

const COMMENT = Buffer.from(': heartbeat\n\n')

/** What a request wants, in the order of its positions. @throws Problem 400 */
export function selectorsOf(query: SseQuery): readonly Selector[] {
  const { channel = [], pattern = [], keys = [], stream = [], queue = [], prefix } = query
  if (stream.length + queue.length > SSE_STREAMS_MAX) {
    throw new Problem(400, `A request may follow ${SSE_STREAMS_MAX} streams`)
  }
  const selectors: Selector[] = [
    ...stream.map((name) => ({ stream: name })),
    ...queue.map((name) => (prefix === undefined ? { queue: name } : { queue: name, prefix })),
    ...channel.map((name) => ({ channel: name })),
    ...pattern.map((name) => ({ pattern: name })),
    ...keys.map((name) => ({ keys: name })),
  ]
  if (selectors.length === 0) throw new Problem(400, 'Name a channel, pattern, stream, queue or keys to listen to')
  return selectors
}

/** The positions of an event ID. @throws Problem 400 when they do not fit the streams of the request */
export function positionsOf(eventId: string, streamCount: number): readonly string[] {
  const positions = eventId.split(',').map(normalEntryId)
  const isComplete = positions.length === streamCount && positions.every((position) => position !== null)
  if (!isComplete)
    throw new Problem(400, 'Last-Event-ID is not one of this request: it has an entry ID for each stream')
  return positions as readonly string[]
}

export class SseConnection implements Outlet {
  readonly session: Session
  private readonly response: ServerResponse
  /** In the order of the request. */
  private readonly streams: StreamSubscription[] = []
  /** What came before the head was written, which it would have gone out without; null when that is. */
  private early: Buffer[] | null = []
  private earlyBytes = 0
  private writtenAtBeat = 0
  private writtenBytes = 0

  constructor(realtime: Realtime, response: ServerResponse, user: User, token: string | null) {
    this.response = response
    this.session = new Session(realtime, user, token, this)
    const { figures } = realtime.context
    figures.eventStreams++
    response.on('close', () => {
      figures.eventStreams--
      this.session.close()
    })
    response.on('drain', () => this.session.drained())
    realtime.sessionOpened(this.session)
  }

  get queuedBytes(): number {
    return this.response.writableLength + this.earlyBytes
  }

  get isFull(): boolean {
    return this.response.writableNeedDrain
  }

  /** The subscriptions, allowed and not opened yet. @throws CommandError NOPERM */
  prepare(selectors: readonly Selector[], overflow: Overflow): readonly Subscription[] {
    const subscriptions = selectors.map((selector) => subscriptionFor(this.session, selector, overflow))
    for (const subscription of subscriptions) {
      subscription.authorize()
      if (subscription instanceof StreamSubscription) this.streams.push(subscription)
    }
    return subscriptions
  }

  /** Says that all subscriptions are in force; entries come from now on. The head must have been written. */
  begin(subscriptions: readonly Subscription[]): void {
    const early = this.early ?? []
    this.early = null
    this.earlyBytes = 0
    const eventId = this.streams.length === 0 ? '' : `id: ${this.eventId}\n`
    const names = JSON.stringify({ type: 'open', subscriptions: subscriptions.map(({ selector }) => selector) })
    this.write(Buffer.from(`event: open\n${eventId}data: ${names}\n\n`))
    for (const bytes of early) this.write(bytes)
    for (const subscription of subscriptions) subscription.start()
  }

  send(batch: Batch): void {
    this.write(batch.sse)
  }

  sendEntries(batch: Batch): void {
    const { response } = this
    response.cork()
    this.write(Buffer.from(`id: ${this.eventId}\n`))
    this.write(batch.sse)
    response.uncork()
  }

  beat(): boolean {
    if (this.early !== null) return true
    // Nothing of what waits was taken since the last time.
    const isStuck = this.queuedBytes > 0 && this.writtenAtBeat === this.takenBytes
    if (isStuck) return false
    this.writtenAtBeat = this.takenBytes
    this.write(COMMENT)
    return true
  }

  pause(): void {
    // There is nothing to read.
  }

  resume(): void {
    // There is nothing to read.
  }

  close(code: CloseCode, reason: string): void {
    if (this.session.isClosed) return
    const { response } = this
    // There is no head yet, and will be none.
    if (this.early !== null) {
      this.terminate()
      return
    }
    this.write(new Batch('close', [JSON.stringify({ type: 'close', code, reason })]).sse)
    this.session.close()
    response.end()
    // A client that does not read would keep what waits for it.
    setTimeout(() => response.destroy(), this.session.realtime.limits.closeMs).unref()
  }

  terminate(): void {
    this.session.close()
    this.response.destroy()
  }

  private get eventId(): string {
    return this.streams.map(({ position }) => position).join(',')
  }

  private get takenBytes(): number {
    return this.writtenBytes - this.queuedBytes
  }

  private write(bytes: Buffer): void {
    if (this.session.isClosed) return
    if (this.early === null) {
      this.writtenBytes += bytes.length
      this.response.write(bytes)
    } else {
      this.early.push(bytes)
      this.earlyBytes += bytes.length
    }
  }
}
