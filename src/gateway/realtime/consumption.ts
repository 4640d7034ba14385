/**
 * A consumer group consumed for one client: entries are pushed while fewer than `credit` are unacknowledged.
 *
 *     pending entries of the consumer, oldest first ─▶ new entries ─▶ … ─▶ ack: a place in the window is free
 *                                                                     └─▶ nack: delivered again after a while
 *
 * At the end of the connection entries stay pending, so that a client that comes back as the same consumer gets them
 * first. It takes the place of a consumption that the server still holds for the same consumer. All commands run as the user.
 */
import type { User } from '../../access/user.ts'
import { CommandError, type CommandWords, Decode, type Engine, EngineUnavailableError } from '../engine.ts'
import { Batch } from './batch.ts'
import { ENTRY_ID_MIN, entryIdBefore } from './entry-id.ts'
import { countForPush, type Entry, entriesMembers, streamsOf } from './payload.ts'

/** A blocking read ends after this time, in ms. If nothing is out then, the pending entries are looked at again. */
const BLOCK_MS = 5000
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 2000

export interface ConsumptionOptions {
  readonly id: number
  readonly stream: string
  readonly group: string
  readonly consumer: string
  /** Entries that may be out. */
  readonly credit: number
}

export interface ConsumptionClient {
  readonly isFull: boolean
  deliverEntries(batch: Batch): void
  /** The consumption has ended by itself. */
  consumptionEnded(consumption: Consumption, code: string, message: string): void
}

interface Retry {
  readonly id: string
  readonly dueMs: number
}

export class Consumption {
  readonly options: ConsumptionOptions
  /** What all consumptions of one consumer have in common. */
  readonly consumerId: string
  private readonly engine: Engine
  private readonly user: User
  private readonly client: ConsumptionClient
  private readonly head: string
  /** Delivered and not acknowledged, those that wait to be delivered again included. */
  private readonly outstanding = new Set<string>()
  /** In the order of their times. */
  private readonly retries: Retry[] = []
  /** Pending entries behind this ID are to be delivered; null when all are. */
  private pendingFrom: string | null = ENTRY_ID_MIN
  private read: AbortController | null = null
  private wakeUp: (() => void) | null = null
  private isClosed: boolean = false
  private running: Promise<void> = Promise.resolve()

  constructor(engine: Engine, user: User, client: ConsumptionClient, options: ConsumptionOptions) {
    const { id, stream, group, consumer } = options
    this.options = options
    this.consumerId = JSON.stringify([stream, group, consumer])
    this.engine = engine
    this.user = user
    this.client = client
    this.head = `{"type":"delivery","consumption":${id},"stream":${JSON.stringify(stream)},`
  }

  /** @param previous the consumption whose place this one takes: its last read has to be over first */
  start(previous: Consumption | null): void {
    this.running = this.run(previous?.running ?? null)
  }

  /** The client has taken what was queued. */
  drained(): void {
    this.wake()
  }

  /** Acknowledges entries. Resolves to how many were pending. @throws CommandError */
  async acknowledge(ids: readonly string[]): Promise<number> {
    const { stream, group } = this.options
    const count = await this.engine.call(this.user, ['XACK', stream, group, ...ids])
    for (const id of ids) this.outstanding.delete(id)
    this.wake()
    return Number(count)
  }

  /** Has entries delivered again. Returns how many of them were out. */
  retryLater(ids: readonly string[], delayMs: number): number {
    const dueMs = performance.now() + delayMs
    let count = 0
    for (const id of ids) {
      if (!this.outstanding.has(id) || this.retries.some((retry) => retry.id === id)) continue
      this.retries.push({ id, dueMs })
      count++
    }
    this.retries.sort((a, b) => a.dueMs - b.dueMs)
    this.wake()
    return count
  }

  /** Ends it without a word to the client. Entries stay pending. */
  close(): void {
    this.isClosed = true
    this.wake()
  }

  /** Ends it and tells the client. */
  end(code: string, message: string): void {
    if (this.isClosed) return
    this.close()
    this.client.consumptionEnded(this, code, message)
  }

  private wake(): void {
    this.wakeUp?.()
    // A read under way goes on unless there is something else to do: the window only grows.
    if (this.isClosed || this.retries.length > 0) this.read?.abort()
  }

  private async run(previous: Promise<void> | null): Promise<void> {
    await previous
    let retryMs = RETRY_MIN_MS
    while (!this.isClosed) {
      try {
        await this.step()
        retryMs = RETRY_MIN_MS
      } catch (error) {
        if (error instanceof CommandError && error.code !== 'UNBLOCKED') this.end(error.code, error.message)
        else if (!(error instanceof EngineUnavailableError) && this.read?.signal.aborted === true) continue
        else {
          await this.sleep(retryMs)
          retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)
        }
      }
    }
  }

  private async step(): Promise<void> {
    const nowMs = performance.now()
    const [retry] = this.retries
    if (this.client.isFull) await this.sleep(null)
    else if (retry !== undefined && retry.dueMs <= nowMs) await this.deliverAgain(retry.id)
    else if (this.outstanding.size >= this.options.credit) await this.sleep(this.nextRetryMs(nowMs))
    else if (this.pendingFrom !== null) await this.deliverPending(this.pendingFrom)
    else await this.deliverNew(this.nextRetryMs(nowMs))
  }

  private nextRetryMs(nowMs: number): number | null {
    const [retry] = this.retries
    return retry === undefined ? null : Math.max(1, Math.ceil(retry.dueMs - nowMs))
  }

  /** Waits for `wake`, or a time in ms. */
  private sleep(ms: number | null): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(() => this.wakeUp?.(), ms)
      this.wakeUp = () => {
        if (timer !== null) clearTimeout(timer)
        this.wakeUp = null
        resolve()
      }
    })
  }

  private async deliverPending(from: string): Promise<void> {
    const entries = await this.readGroup(from, this.room, null)
    const last = entries[entries.length - 1]
    this.pendingFrom = last === undefined ? null : last.id
    await this.deliverPendingEntries(entries.filter(({ id }) => !this.outstanding.has(id)))
  }

  private async deliverAgain(id: string): Promise<void> {
    // Asked for by what lies right before it, which needs no other right than to read.
    const entries = await this.readGroup(entryIdBefore(id), 1, null)
    const at = this.retries.findIndex((retry) => retry.id === id)
    if (at >= 0) this.retries.splice(at, 1)
    const isStillPending = entries[0]?.id === id
    if (isStillPending) await this.deliverPendingEntries(entries)
    // Somebody has acknowledged or claimed it.
    else this.outstanding.delete(id)
  }

  private async deliverNew(blockMaxMs: number | null): Promise<void> {
    const blockMs = Math.min(BLOCK_MS, blockMaxMs ?? BLOCK_MS)
    const entries = await this.readGroup('>', this.room, blockMs)
    if (entries.length > 0) this.deliver(entries as readonly Entry[], new Array<number>(entries.length).fill(1))
    else if (this.outstanding.size === 0) this.pendingFrom = ENTRY_ID_MIN
  }

  /** Delivers what was pending, with its delivery counts. What was deleted meanwhile is acknowledged: nobody can work on it. */
  private async deliverPendingEntries(entries: readonly ReadEntry[]): Promise<void> {
    const deleted = entries.filter(({ fields }) => fields === null).map(({ id }) => id)
    const live = entries.filter(({ fields }) => fields !== null) as readonly Entry[]
    if (deleted.length > 0) await this.acknowledge(deleted)
    if (live.length > 0) this.deliver(live, await this.deliveryCounts(live))
  }

  private deliver(entries: readonly Entry[], counts: readonly (number | null)[]): void {
    // Pending for this consumer whatever happens now: it gets them when it comes back.
    if (this.isClosed) return
    for (const { id } of entries) this.outstanding.add(id)
    for (let at = 0; at < entries.length; ) {
      const end = at + countForPush(entries.slice(at))
      const members = entriesMembers(entries.slice(at, end), counts.slice(at, end))
      this.client.deliverEntries(new Batch('delivery', [`${this.head}${members}}`]))
      at = end
    }
  }

  /** How often each entry was delivered; null where the user may not know (XPENDING). */
  private async deliveryCounts(entries: readonly Entry[]): Promise<readonly (number | null)[]> {
    const { stream, group, consumer } = this.options
    const [first, last] = [entries[0]!.id, entries[entries.length - 1]!.id]
    const counts = new Map<string, number>()
    try {
      const reply = await this.engine.call(this.user, [
        'XPENDING',
        stream,
        group,
        first,
        last,
        entries.length,
        consumer,
      ])
      for (const [id, , , count] of reply as readonly [string, string, number, number][]) counts.set(id, count)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
    }
    return entries.map(({ id }) => counts.get(id) ?? null)
  }

  private get room(): number {
    return Math.max(1, this.options.credit - this.outstanding.size)
  }

  /** @param blockMs null: does not wait */
  private async readGroup(from: string, count: number, blockMs: number | null): Promise<readonly ReadEntry[]> {
    const { stream, group, consumer } = this.options
    const block = blockMs === null ? [] : ['BLOCK', blockMs]
    const args: CommandWords = [
      'XREADGROUP',
      'GROUP',
      group,
      consumer,
      'COUNT',
      count,
      ...block,
      'STREAMS',
      stream,
      from,
    ]
    this.read = new AbortController()
    try {
      const reply = await this.engine.call(this.user, args, { decode: Decode.Bytes, signal: this.read.signal })
      return streamsOf(reply)[0]?.entries ?? []
    } finally {
      if (!this.read.signal.aborted) this.read = null
    }
  }
}

interface ReadEntry {
  readonly id: string
  /** Null when the entry was deleted. */
  readonly fields: readonly Buffer[] | null
}
