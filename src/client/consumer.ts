/**
 * A consumer of a group: each entry goes to a handler, is acknowledged when that has succeeded, and comes again when it
 * has failed. Entries that were out when the connection was lost come again with the next one; those whose handler still
 * runs are not handled twice, and are acknowledged when it is done.
 */
import type { ServerMessage } from './connection.ts'
import type { Entry } from './payload.ts'
import { entriesOf, Readiness, type Subscription } from './subscriptions.ts'

export interface ConsumeOptions {
  /** Entries that are handled at the same time, at most. Default: 16. */
  readonly credit?: number
  /** Creates a missing group, which starts behind this ID: `0`, `$`, an entry ID. */
  readonly create?: string
  /** Time until an entry whose handler has failed comes again, in ms. Default: 1000. */
  readonly retryDelayMs?: number
}

export interface Delivery {
  /** How often the entry was delivered, this time included; null where the user may not know. */
  readonly deliveries: number | null
}

export type EntryHandler = (entry: Entry, delivery: Delivery) => void | Promise<void>

/** What a consumer asks of its client. */
export interface ConsumerOwner {
  /** Sends a request that means the connection of now. */
  send(op: string, members: object): Promise<unknown>
  close(consumer: Consumer): void
  failed(error: unknown): void
}

export class Consumer implements Subscription {
  /** As events name it. */
  readonly id: string
  private readonly owner: ConsumerOwner
  private readonly request: object
  private readonly handler: EntryHandler
  private readonly retryDelayMs: number
  /** Entries whose handler runs. */
  private readonly running = new Set<string>()
  /** The number that the server has given it for this connection; null while there is none. */
  consumption: number | null = null
  private readonly readiness = new Readiness()

  constructor(
    owner: ConsumerOwner,
    names: { readonly stream: string; readonly group: string; readonly consumer: string },
    { retryDelayMs = 1000, ...options }: ConsumeOptions,
    handler: EntryHandler,
  ) {
    this.id = `consumer:${JSON.stringify([names.stream, names.group, names.consumer])}`
    this.owner = owner
    this.request = { ...names, ...options }
    this.handler = handler
    this.retryDelayMs = retryDelayMs
  }

  /** Resolves when the server has begun; rejects when it refuses. */
  get ready(): Promise<void> {
    return this.readiness.promise
  }

  /** Handlers that run are still acknowledged; entries that were not handled stay pending. */
  close(): void {
    this.owner.close(this)
  }

  // What follows is for the client.

  selector(): object {
    return this.request
  }

  confirmed(consumption: number): void {
    this.consumption = consumption
    this.readiness.resolve()
  }

  ended(error: Error): void {
    this.consumption = null
    this.readiness.reject(error)
  }

  received(message: ServerMessage): void {
    for (const { entry, deliveries } of entriesOf(message)) {
      if (this.running.has(entry.id)) continue
      this.running.add(entry.id)
      void this.handle(entry, { deliveries })
    }
  }

  private async handle(entry: Entry, delivery: Delivery): Promise<void> {
    let isDone = false
    try {
      await this.handler(entry, delivery)
      isDone = true
    } catch (error) {
      this.owner.failed(error)
    }
    this.running.delete(entry.id)
    const { consumption } = this
    // Without a connection the entry stays pending, and comes again.
    if (consumption === null) return
    const request = { consumption, ids: [entry.id] }
    try {
      if (isDone) await this.owner.send('ack', request)
      else await this.owner.send('nack', { ...request, delayMs: this.retryDelayMs })
    } catch (error) {
      this.owner.failed(error)
    }
  }
}
