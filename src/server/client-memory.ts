/**
 * What clients hold in memory, all of them together, and closing the greatest ones when that is too much
 * (`maxmemory-clients`).
 *
 * A client's bytes are counted anew wherever they may have changed (`note`), so the sum is always there. Clients that may
 * be closed stand in buckets by the power of two of their bytes; the greatest go first, about. In-process clients and
 * replicas count for nothing here: the program owns the ones, the others have limits of their own. Source: Valkey src/networking.c evictClients.
 */
import { clientInfo } from '../commands/connection/client-info.ts'
import { ClientFlag } from '../commands/session.ts'
import type { Log } from '../observe/log.ts'
import type { Client } from './client.ts'

/** A lower limit than this would close everybody, in bytes. */
const LIMIT_MIN_BYTES = 128 * 1024
const BUCKETS = 54
const NO_BUCKET = -1
/** Not counted, and never closed for their memory. */
const EXEMPT_FLAGS = ClientFlag.InProcess | ClientFlag.Replay | ClientFlag.Replica | ClientFlag.Closed

/** What closing clients needs of the server. */
export interface ClientMemoryHost {
  readonly log: Log
  readonly keyspace: { readonly now: number }
  readonly output: { readonly running: Client | null }
  closeClient(client: Client): void
}

export class ClientMemory {
  /** Of all clients that count. */
  totalBytes = 0
  /** Clients closed so far. */
  evicted = 0
  private readonly host: ClientMemoryHost
  private readonly buckets: Set<Client>[] = []
  private limitBytes = Number.POSITIVE_INFINITY
  /** Whether it is known that closing clients does not help. */
  private isHelpless: boolean = false

  constructor(host: ClientMemoryHost) {
    this.host = host
    for (let i = 0; i < BUCKETS; i++) this.buckets.push(new Set())
  }

  /** @param setting bytes; negative: percent of `maxmemory`; 0: there is no limit */
  setLimit(setting: number, maxmemory: number): void {
    // A percentage of nothing is no limit either.
    const isNone = setting === 0 || (setting < 0 && maxmemory === 0)
    const bytes = setting < 0 ? Math.floor((maxmemory * -setting) / 100) : setting
    this.limitBytes = isNone ? Number.POSITIVE_INFINITY : Math.max(LIMIT_MIN_BYTES, bytes)
  }

  /** Whether clients are to be closed. */
  get isOver(): boolean {
    return this.totalBytes > this.limitBytes
  }

  /** Counts a client anew. */
  note(client: Client): void {
    const { flags } = client
    const bytes = (flags & EXEMPT_FLAGS) === 0 ? client.memoryBytes : 0
    // Mostly nothing has changed.
    if (bytes === client.countedBytes && (flags & ClientFlag.NoEvict) === 0 && client.memoryBucket !== NO_BUCKET) return
    const bucket = bytes === 0 || (flags & ClientFlag.NoEvict) !== 0 ? NO_BUCKET : bucketOf(bytes)
    if (bytes !== client.countedBytes) {
      this.totalBytes += bytes - client.countedBytes
      client.countedBytes = bytes
    }
    if (bucket === client.memoryBucket) return
    if (client.memoryBucket !== NO_BUCKET) this.buckets[client.memoryBucket]!.delete(client)
    if (bucket !== NO_BUCKET) this.buckets[bucket]!.add(client)
    client.memoryBucket = bucket
  }

  /** Closes clients, the greatest first, until those that are left stay below the limit. The running one stays. */
  evict(): void {
    const { log, keyspace, output } = this.host
    for (let i = BUCKETS - 1; i >= 0; i--) {
      for (const client of this.buckets[i]!) {
        if (!this.isOver) {
          this.isHelpless = false
          return
        }
        if (client === output.running) continue
        log.notice(`Evicting client: ${clientInfo(client, keyspace.now)}`)
        this.evicted++
        this.host.closeClient(client)
      }
    }
    if (this.isOver && !this.isHelpless) log.warning('Over client maxmemory after evicting all evictable clients')
    this.isHelpless = this.isOver
  }
}

function bucketOf(bytes: number): number {
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(bytes)))
}
