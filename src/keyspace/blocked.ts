/**
 * Blocked clients: who waits for which key, and which keys became ready.
 *
 * A blocked client waits, first come first served, for any of its keys to hold a value of the type it wants. When a
 * key changes it becomes ready; after the command (or transaction, or script) that changed it, the server runs the
 * command of each waiting client again, in order. A command that still finds nothing blocks again and keeps its place.
 * Deadlines are kept in one ordered structure (see server/blocking.ts).
 * Source: Valkey 7.2 src/blocked.c.
 */

/** What a blocked client waits for: a key of a type, the disk or replicas, the end of the process. */
export const BlockedOn = { List: 1, Zset: 2, Stream: 3, Sync: 4, Shutdown: 5 } as const

/** One waiting client. The server's Client implements it. */
export interface BlockedClient {
  /** One of BlockedOn. */
  readonly blockedOn: number
  /** Wake up although the key is gone or has another type (XREADGROUP: the group is gone). */
  readonly blockedUnblocksOnNoKey: boolean
}

/** A power of two. */
const TRAITS = 1024

/** Clients blocked on keys of one database. */
export class BlockedKeys {
  /** Waiting clients by key, in order of arrival. A client is in the queue of each of its keys. */
  private readonly queues = new Map<string, Set<BlockedClient>>()
  /** How many keys there are of each trait: other keys change all the time while workers wait for jobs. */
  private readonly traits = new Int32Array(TRAITS)

  /** Number of keys that somebody waits for; 0 lets the hot path skip everything. */
  get size(): number {
    return this.queues.size
  }

  add(key: string, client: BlockedClient): void {
    const queue = this.queues.get(key)
    if (queue !== undefined) queue.add(client)
    else {
      this.queues.set(key, new Set([client]))
      this.traits[traitOfText(key)]!++
    }
  }

  remove(key: string, client: BlockedClient): void {
    const queue = this.queues.get(key)
    if (queue === undefined) return
    queue.delete(client)
    if (queue.size > 0) return
    this.queues.delete(key)
    this.traits[traitOfText(key)]!--
  }

  /** Whether somebody may wait for the key at `source[start, start + length)`, told without making its text. */
  mayHave(source: Uint8Array, start: number, length: number): boolean {
    if (this.queues.size === 0) return false
    if (length === 0) return true
    const end = start + length
    return this.traits[trait(length, source[end - 1]!, source[start + (length >>> 1)]!)]! > 0
  }

  has(key: string): boolean {
    return this.queues.has(key)
  }

  /** All keys that somebody waits for. */
  keys(): IterableIterator<string> {
    return this.queues.keys()
  }

  /** The clients waiting for a key now, in order of arrival. */
  waiting(key: string): readonly BlockedClient[] {
    const queue = this.queues.get(key)
    return queue === undefined ? [] : [...queue]
  }
}

/** What is looked at first of a key: its length, its last byte and the one in its middle. */
function trait(length: number, last: number, middle: number): number {
  return ((length * 31 + last) * 31 + middle) & (TRAITS - 1)
}

function traitOfText(key: string): number {
  const { length } = key
  return length === 0 ? 0 : trait(length, key.charCodeAt(length - 1), key.charCodeAt(length >>> 1))
}
