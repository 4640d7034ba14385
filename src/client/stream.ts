/**
 * A stream that is followed: entries go to a listener, or to whoever iterates over it.
 *
 * The last entry seen is the position from which the next connection goes on, so nothing is missed and nothing comes
 * twice. An iterator that does not keep up has the server stop; it goes on from the last entry when all is taken.
 */
import type { ServerMessage } from './connection.ts'
import { type Entry, isBehind } from './payload.ts'
import { entriesOf, Readiness, type Subscription, type Target } from './subscriptions.ts'

/** Entries that may wait for an iterator before the server is asked to stop. */
const WAITING_MAX = 1000

/** What a stream asks of its client. */
export interface StreamOwner {
  /** Asks the server for entries again, from the position. */
  resume(stream: StreamSubscription): void
  /** Asks the server to send none for now. */
  pause(stream: StreamSubscription): void
  close(stream: StreamSubscription): void
  /** A listener has thrown. */
  failed(error: unknown): void
}

export type EntryListener = (entry: Entry) => void

export class StreamSubscription implements Target, Subscription, AsyncIterable<Entry> {
  readonly id: string
  private readonly owner: StreamOwner
  private readonly request: object
  private readonly listener: EntryListener | null
  /** The last entry that was handed out or waits, or where it starts: `$` until the server has said which entry that is. */
  private position: string
  private waiting: Entry[] = []
  private wake: (() => void) | null = null
  private isClosed: boolean = false
  private error: Error | null = null
  isPaused: boolean = false
  private readonly readiness = new Readiness()

  /** @param request the members that name the stream to the server */
  constructor(owner: StreamOwner, key: string, request: object, from: string, listener: EntryListener | null) {
    this.id = `stream:${key}`
    this.owner = owner
    this.request = request
    this.position = from
    this.listener = listener
  }

  /** Resolves when the server has taken the subscription; rejects when it refuses. */
  get ready(): Promise<void> {
    return this.readiness.promise
  }

  /** The ID of the last entry; where the stream starts before there was one. */
  get lastId(): string {
    return this.position
  }

  close(): void {
    if (this.isClosed) return
    this.owner.close(this)
    this.finish(null)
  }

  /** Entries in their order. Ends when the subscription is closed; throws when the server ends it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Entry, void, undefined> {
    try {
      for (;;) {
        const entries = this.waiting
        this.waiting = []
        yield* entries
        if (this.waiting.length > 0) continue
        if (this.error !== null) throw this.error
        if (this.isClosed) return
        if (this.isPaused) this.owner.resume(this)
        await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      this.close()
    }
  }

  // What follows is for the client.

  selector(): object {
    return { ...this.request, from: this.position }
  }

  confirmed(result: unknown): void {
    if (this.position === '$') this.position = String((result as { readonly from: string }).from)
    this.readiness.resolve()
  }

  received(message: ServerMessage): void {
    if (message.type !== 'entries') return
    for (const { entry } of entriesOf(message)) {
      if (this.isClosed) return
      // What was under way when the server was asked to stop comes again.
      if (!isBehind(entry.id, this.position)) continue
      this.position = entry.id
      if (this.listener === null) this.waiting.push(entry)
      else this.tell(this.listener, entry)
    }
    if (this.waiting.length >= WAITING_MAX && !this.isPaused) this.owner.pause(this)
    this.wake?.()
  }

  ended(error: Error): void {
    this.readiness.reject(error)
    this.finish(error)
  }

  private tell(listener: EntryListener, entry: Entry): void {
    try {
      listener(entry)
    } catch (error) {
      this.owner.failed(error)
    }
  }

  private finish(error: Error | null): void {
    this.isClosed = true
    this.error ??= error
    this.wake?.()
  }
}
