/**
 * Blocked clients on the server's side: parking, deadlines in one ordered structure, waking.
 *
 * A parked client keeps a copy of its command. Whoever changes a key that clients wait for makes it ready
 * (keyspace/blocked.ts); after the command `serve` runs the waiting commands again, in order of arrival, as long as
 * keys are ready. Deadlines are a binary heap of (time, client); entries of clients that were woken are skipped when they
 * come up, and dropped when they are most of the heap. Source: Valkey 7.2 src/blocked.c handleClientsBlockedOnKeys.
 */
import { ClientFlag } from '../commands/session.ts'
import { BlockedOn } from '../keyspace/blocked.ts'
import type { Database } from '../keyspace/database.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { NO_ROW } from '../storage/dict.ts'
import { TYPE_OF_KIND } from '../structures/kind.ts'
import type { Client } from './client.ts'

/** Deadlines of clients that were woken are not looked for while there are fewer than this. */
const DEADLINES_MIN = 1024

/** Deadlines are times of this clock: nobody waits longer, or for ever, because the wall time was set. */
export interface ElapsedClock {
  elapsed(): number
}

interface Deadline {
  readonly timeMs: number
  readonly client: Client
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [BlockedOn.List]: 'list',
  [BlockedOn.Zset]: 'zset',
  [BlockedOn.Stream]: 'stream',
}

export class Blocking {
  private readonly keyspace: Keyspace
  private readonly clock: ElapsedClock
  private deadlines: Deadline[] = []
  /** With so many of them, those of clients that were woken are dropped. */
  private deadlinesMax = DEADLINES_MIN
  /** Clients that look again by themselves as soon as they may. */
  private readonly duePolls: Client[] = []
  /** Number of clients that are parked. */
  count = 0

  constructor(keyspace: Keyspace, clock: ElapsedClock) {
    this.keyspace = keyspace
    this.clock = clock
  }

  /**
   * Parks a client on keys of its database. `deadlineMs` is a time of `elapsed`, 0: for ever. A client that blocks again
   * keeps its place.
   */
  park(client: Client, keys: readonly string[], type: number, deadlineMs: number, unblockOnNoKey: boolean): void {
    if ((client.flags & ClientFlag.Blocked) !== 0) return
    client.flags |= ClientFlag.Blocked
    client.blockedOn = type
    client.blockedUnblocksOnNoKey = unblockOnNoKey
    client.blockedKeys = [...new Set(keys)]
    client.blockedDb = client.db
    client.deadlineMs = deadlineMs
    this.count++
    for (const key of client.blockedKeys) client.db.blocked.add(key, client)
    if (deadlineMs > 0) this.pushDeadline({ timeMs: deadlineMs, client })
    this.schedulePoll(client)
  }

  /** Takes a client out of all queues. */
  unpark(client: Client): void {
    if ((client.flags & ClientFlag.Blocked) === 0) return
    client.flags &= ~ClientFlag.Blocked
    for (const key of client.blockedKeys) client.blockedDb.blocked.remove(key, client)
    client.blockedKeys = []
    client.blockedCommand = null
    client.blockedArgs = null
    client.deadlineMs = 0
    client.pollMs = 0
    client.pollAtMs = 0
    // CLIENT CACHING was for the command that ends here.
    if (client.tracking !== null) client.tracking.isCachingGiven = false
    this.count--
    if (this.count > 0) return
    this.deadlines = []
    this.deadlinesMax = DEADLINES_MIN
  }

  /** Times that are noted for clients, also some for clients that wait for them no more. */
  get noted(): number {
    return this.deadlines.length
  }

  /** Runs `retry` for each client that waits for a ready key, until no key is ready. */
  serve(retry: (client: Client) => void): void {
    const ready = this.keyspace.readyKeys
    while (ready.length > 0) {
      const batch = ready.splice(0, ready.length)
      for (const { db, key } of batch) {
        for (const waiting of db.blocked.waiting(key)) {
          const client = waiting as Client
          // An earlier client of the queue may have been woken, closed or unblocked meanwhile.
          if ((client.flags & ClientFlag.Blocked) === 0) continue
          const isWanted = this.isWanted(db, key, client)
          // A key that is there and whose time is over goes now, so that replicas are told.
          if (db.hasMetExpired) db.reapMet()
          if (!isWanted) continue
          retry(client)
          this.schedulePoll(client)
        }
      }
    }
  }

  /** The clients whose deadline has passed; the caller replies and unparks them. */
  takeDue(): Client[] {
    const nowMs = this.clock.elapsed()
    const due: Client[] = []
    while (this.deadlines.length > 0 && this.deadlines[0]!.timeMs <= nowMs) {
      const { client, timeMs } = this.popDeadline()
      if ((client.flags & ClientFlag.Blocked) !== 0 && client.deadlineMs === timeMs) {
        // One that was woken and waits again may have two entries for the same time.
        client.deadlineMs = 0
        due.push(client)
      } else if (client.pollAtMs === timeMs) this.duePolls.push(client)
    }
    return due
  }

  /** Whether clients wait for `beginPolls`. */
  get hasDuePolls(): boolean {
    return this.duePolls.length > 0
  }

  /** Makes the keys of clients ready that look again by themselves now. Not during a pause: they may write. */
  beginPolls(): void {
    const nowMs = this.clock.elapsed()
    for (const client of this.duePolls.splice(0)) {
      if (client.pollAtMs === 0 || client.pollAtMs > nowMs) continue
      client.pollAtMs = 0
      for (const key of client.blockedKeys) this.keyspace.ready(client.blockedDb, key)
    }
  }

  /** Notes when a client that goes on waiting looks again by itself, unless it does so earlier. */
  private schedulePoll(client: Client): void {
    if (client.pollMs === 0 || (client.flags & ClientFlag.Blocked) === 0) return
    const timeMs = this.clock.elapsed() + client.pollMs
    if (client.pollAtMs !== 0 && client.pollAtMs <= timeMs) return
    client.pollAtMs = timeMs
    this.pushDeadline({ timeMs, client })
  }

  /** When the next deadline is, by `elapsed`; Infinity when there is none. */
  nextDeadline(): number {
    return this.deadlines.length === 0 ? Number.POSITIVE_INFINITY : this.deadlines[0]!.timeMs
  }

  private isWanted(db: Database, key: string, client: Client): boolean {
    if (client.blockedUnblocksOnNoKey) return true
    const row = db.findText(key)
    return row !== NO_ROW && TYPE_OF_KIND[db.kind(row)] === TYPE_NAMES[client.blockedOn]
  }

  private pushDeadline(deadline: Deadline): void {
    if (this.deadlines.length >= this.deadlinesMax) this.dropIdle()
    const heap = this.deadlines
    let at = heap.length
    heap.push(deadline)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.timeMs <= deadline.timeMs) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = deadline
  }

  /** Workers that are woken often and would wait for long leave many deadlines that nobody waits for. */
  private dropIdle(): void {
    this.deadlines = this.deadlines.filter(
      ({ client, timeMs }) => client.deadlineMs === timeMs || client.pollAtMs === timeMs,
    )
    // What is sorted is a heap.
    this.deadlines.sort((a, b) => a.timeMs - b.timeMs)
    this.deadlinesMax = Math.max(DEADLINES_MIN, this.deadlines.length * 2)
  }

  private popDeadline(): Deadline {
    const heap = this.deadlines
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.timeMs < heap[child]!.timeMs) child++
      if (heap[child]!.timeMs >= last.timeMs) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}
