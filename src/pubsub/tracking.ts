/**
 * Client-side caching: clients that keep what they have read are told when it changes. Hot path: remember, keyChanged.
 *
 * Two modes. By default the server remembers which client has read which key (tracked-keys.ts), tells it once when the
 * key changes, and forgets it. A client in BCAST mode is told of every change of keys with its prefixes
 * (tracked-prefixes.ts), at the end of the turn and in one message for each prefix.
 *
 *     RESP3   >2 invalidate [key, …]                          to the client itself, or the one it redirects to
 *     RESP2   *3 message __redis__:invalidate [key, …]        only to a client redirected to, if it is subscribed
 *
 * Null instead of the keys means all of them. What the running client is told follows the reply of its command, script or
 * transaction (whoever delivers sees to that); all others get it before what this turn replies later.
 *
 * While nobody tracks, the keyspace tells nobody of changes. When the table has more keys than it may, keys are given up,
 * at random and in slices, as if they had changed.
 * Source: Valkey src/tracking.c.
 */
import type { ChangeListener, Keyspace } from '../keyspace/keyspace.ts'
import type { Channels } from './channels.ts'
import type { FanOut } from './fan-out.ts'
import { placeOf } from './prefix-overlap.ts'
import { TrackedKeys } from './tracked-keys.ts'
import { type PrefixGroup, TrackedPrefixes } from './tracked-prefixes.ts'

/** Options of CLIENT TRACKING, bits. */
export const TrackingOption = { Bcast: 1 << 0, OptIn: 1 << 1, OptOut: 1 << 2, NoLoop: 1 << 3 } as const

/** What is known of a client that tracks. */
export interface ClientTracking {
  /** Bits of TrackingOption. */
  options: number
  /** The client that is told instead; 0: the client itself. */
  redirectId: number
  /** In BCAST mode: its prefixes, in byte order. */
  readonly prefixes: string[]
  /** What they take in memory, about. */
  prefixBytes: number
  /** CLIENT CACHING: the next command, or the transaction that begins, is an exception. */
  isCachingGiven: boolean
  /** The client that it redirects to was found to be gone. */
  isBroken: boolean
}

/** A client that can track, and be told. */
export interface TrackingClient {
  readonly id: number
  readonly respVersion: number
  readonly isSubscribed: boolean
  tracking: ClientTracking | null
  deliver(fanOut: FanOut, start: number, end: number): void
}

/** What tracking needs of the server. */
export interface TrackingHost {
  readonly keyspace: Keyspace
  readonly channels: Channels
  /** The client whose command is being executed. */
  readonly runningClient: TrackingClient | null
  /** The client with an ID; null when it is gone, or about to go. */
  openClient(id: number): TrackingClient | null
}

/** Keys given up by one slice while the table has too many; the rest follows in the next turn. */
const EVICT_SLICE_KEYS = 500
/** Keys freed by one slice of a table that was given up. */
const FREE_SLICE_KEYS = 5000
/** Keys in one message about a prefix; with more changes in a turn there are several. */
const MESSAGE_KEYS_MAX = 16_384
/** Stands for the ID of a client where the server itself has changed a key. */
const NOBODY = 0
/** Of no client; excludes nobody from what it has changed itself. */
const EXCEPT_NOBODY = -1

/** What a prefix takes beside its bytes: its group with a table, in bytes, about. */
const PREFIX_BYTES = 512

const PUSH_HEAD = Buffer.from('>2\r\n$10\r\ninvalidate\r\n')
const MESSAGE_HEAD = Buffer.from('*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n')
const RESP3_NULL = Buffer.from('_\r\n')
const RESP2_NULL = Buffer.from('$-1\r\n')

export class Tracking implements ChangeListener {
  /** Keys that are remembered at most; 0: any number. */
  keysMax: number = 0
  /** Chooses the keys that are given up, in [0, 1). A test may put a seeded one in its place. */
  random: () => number = Math.random
  readonly keys: TrackedKeys
  private readonly host: TrackingHost
  private readonly prefixes: TrackedPrefixes<TrackingClient>
  private readonly clients = new Set<TrackingClient>()
  /** IDs of those that have the key which changes; reused. */
  private readonly ids: number[] = []

  constructor(host: TrackingHost) {
    const { keyspace } = host
    this.host = host
    this.keys = new TrackedKeys(keyspace.arena, keyspace.seed, (id) => this.readerOf(id) !== null)
    this.prefixes = new TrackedPrefixes(keyspace.arena, keyspace.seed)
    keyspace.otherOwners.push(this)
  }

  get clientCount(): number {
    return this.clients.size
  }

  get prefixCount(): number {
    return this.prefixes.size
  }

  /** Starts tracking, or changes its options; prefixes of before stay. */
  enable(client: TrackingClient, options: number, redirectId: number, prefixes: readonly string[]): void {
    const tracking = (client.tracking ??= {
      options: 0,
      redirectId: 0,
      prefixes: [],
      prefixBytes: 0,
      isCachingGiven: false,
      isBroken: false,
    })
    tracking.options = options
    tracking.redirectId = redirectId
    tracking.isBroken = false
    this.clients.add(client)
    this.host.keyspace.changeListener = this
    if ((options & TrackingOption.Bcast) === 0) return
    for (const prefix of prefixes.length === 0 ? [''] : prefixes) {
      const at = placeOf(tracking.prefixes, prefix)
      if (tracking.prefixes[at] === prefix) continue
      tracking.prefixes.splice(at, 0, prefix)
      tracking.prefixBytes += PREFIX_BYTES + prefix.length
      this.prefixes.add(prefix, client)
    }
  }

  /** Ends tracking. What the client has read is forgotten when it changes, or with the last client that tracks. */
  disable(client: TrackingClient): void {
    const { tracking } = client
    if (tracking === null) return
    for (const prefix of tracking.prefixes) this.prefixes.remove(prefix, client)
    client.tracking = null
    this.clients.delete(client)
    if (this.clients.size > 0) return
    this.host.keyspace.changeListener = null
    this.keys.clear()
  }

  /** Whether a client is to be told about keys that its command reads. */
  remembers(client: TrackingClient): boolean {
    const { tracking } = client
    if (tracking === null) return false
    const { options, isCachingGiven } = tracking
    if ((options & TrackingOption.Bcast) !== 0) return false
    if ((options & TrackingOption.OptIn) !== 0) return isCachingGiven
    return (options & TrackingOption.OptOut) === 0 || !isCachingGiven
  }

  /** A client has read the key `source[start, start + length)`. */
  remember(client: TrackingClient, source: Buffer, start: number, length: number): void {
    this.keys.add(source, start, length, client.id)
  }

  keyChanged(source: Buffer, start: number, length: number): void {
    const { runningClient } = this.host
    this.changed(source, start, length, runningClient === null ? NOBODY : runningClient.id)
  }

  keyLost(source: Buffer, start: number, length: number): void {
    this.changed(source, start, length, NOBODY)
  }

  allChanged(): void {
    this.keys.clear()
    // One whose output overflows is closed on the way, which takes it out of the set that is walked.
    for (const client of this.clients) {
      const receiver = this.receiverOf(client)
      if (receiver === null) continue
      const fanOut = this.fanOutOf(receiver)
      const from = this.beginMessage(fanOut, receiver)
      fanOut.raw(receiver.respVersion >= 3 ? RESP3_NULL : RESP2_NULL)
      receiver.deliver(fanOut, from, fanOut.at)
    }
  }

  /** The turn ends: tells of changed keys with prefixes, and gives up keys that are too many. */
  endTurn(): void {
    if (this.prefixes.hasChanges) for (const group of this.prefixes.takeChanged()) this.broadcast(group)
    if (this.isOverLimit) this.evict()
    if (this.keys.hasDiscarded) this.keys.freeSome(FREE_SLICE_KEYS)
  }

  /** Whether the next turn has something to do even if nobody calls. */
  get hasWork(): boolean {
    return this.isOverLimit || this.keys.hasDiscarded
  }

  overheadBytes(): number {
    return this.keys.overheadBytes() + this.prefixes.overheadBytes()
  }

  account(): { bytes: number; blocks: number } {
    const keys = this.keys.account()
    const prefixes = this.prefixes.account()
    return { bytes: keys.bytes + prefixes.bytes, blocks: keys.blocks + prefixes.blocks }
  }

  private get isOverLimit(): boolean {
    return this.keysMax > 0 && this.keys.size > this.keysMax
  }

  private changed(source: Buffer, start: number, length: number, changerId: number): void {
    if (this.prefixes.size > 0) {
      const full = this.prefixes.note(source, start, length, changerId, MESSAGE_KEYS_MAX)
      if (full !== null) this.broadcast(full)
    }
    if (this.keys.size > 0) this.invalidate(source, start, length)
  }

  /** Forgets a key, and tells those who have it. */
  private invalidate(source: Buffer, start: number, length: number): void {
    const ids = this.ids
    const count = this.keys.take(source, start, length, ids)
    if (count === 0) return
    const { runningClient } = this.host
    // The message in the two protocols, encoded when the first client needs it.
    let from2 = -1
    let from3 = -1
    let end2 = 0
    let end3 = 0
    for (let i = 0; i < count; i++) {
      const client = this.readerOf(ids[i]!)
      if (client === null) continue
      if (client === runningClient && (client.tracking!.options & TrackingOption.NoLoop) !== 0) continue
      const receiver = this.receiverOf(client)
      if (receiver === null) continue
      const fanOut = this.fanOutOf(receiver)
      if (receiver.respVersion >= 3) {
        if (from3 < 0) {
          from3 = this.encodeKey(fanOut, receiver, source, start, length)
          end3 = fanOut.at
        }
        receiver.deliver(fanOut, from3, end3)
      } else {
        if (from2 < 0) {
          from2 = this.encodeKey(fanOut, receiver, source, start, length)
          end2 = fanOut.at
        }
        receiver.deliver(fanOut, from2, end2)
      }
    }
  }

  /** Tells the clients of a prefix which keys have changed. */
  private broadcast(group: PrefixGroup<TrackingClient>): void {
    if (group.changed.size === 0) return
    let from2 = -1
    let from3 = -1
    let end2 = 0
    let end3 = 0
    for (const client of group.clients) {
      const receiver = this.receiverOf(client)
      if (receiver === null) continue
      const fanOut = this.fanOutOf(receiver)
      if ((client.tracking!.options & TrackingOption.NoLoop) !== 0) {
        const from = this.encodeGroup(fanOut, receiver, group, client.id)
        if (from >= 0) receiver.deliver(fanOut, from, fanOut.at)
      } else if (receiver.respVersion >= 3) {
        if (from3 < 0) {
          from3 = this.encodeGroup(fanOut, receiver, group, EXCEPT_NOBODY)
          end3 = fanOut.at
        }
        receiver.deliver(fanOut, from3, end3)
      } else {
        if (from2 < 0) {
          from2 = this.encodeGroup(fanOut, receiver, group, EXCEPT_NOBODY)
          end2 = fanOut.at
        }
        receiver.deliver(fanOut, from2, end2)
      }
    }
    group.changed.clear()
  }

  /** Gives up some of the keys that are too many. */
  private evict(): void {
    const { arena } = this.host.keyspace
    for (let i = 0; i < EVICT_SLICE_KEYS && this.isOverLimit; i++) {
      const key = this.keys.someKey(this.random())
      const bytes = Buffer.from(arena.text(key), 'latin1')
      this.invalidate(bytes, 0, bytes.length)
    }
  }

  /** The client with an ID if it still wants to know about keys that it has read. */
  private readerOf(id: number): TrackingClient | null {
    const client = this.host.openClient(id)
    if (client === null || client.tracking === null) return null
    return (client.tracking.options & TrackingOption.Bcast) === 0 ? client : null
  }

  /** Who is told on behalf of a client; null when nobody can be. */
  private receiverOf(client: TrackingClient): TrackingClient | null {
    const { redirectId } = client.tracking!
    if (redirectId === 0) return client.respVersion >= 3 ? client : null
    const receiver = this.host.openClient(redirectId)
    if (receiver === null) {
      this.tellBroken(client)
      return null
    }
    // Whatever a client of RESP2 has subscribed to, it knows messages.
    return receiver.respVersion >= 3 || receiver.isSubscribed ? receiver : null
  }

  /** Its cache cannot be kept true any more. */
  private tellBroken(client: TrackingClient): void {
    const tracking = client.tracking!
    tracking.isBroken = true
    if (client.respVersion < 3) return
    const fanOut = this.fanOutOf(client)
    const from = fanOut.at
    fanOut.raw(Buffer.from(`>2\r\n$21\r\ntracking-redir-broken\r\n:${tracking.redirectId}\r\n`))
    client.deliver(fanOut, from, fanOut.at)
  }

  private fanOutOf(receiver: TrackingClient): FanOut {
    const { resp2, resp3 } = this.host.channels
    return receiver.respVersion >= 3 ? resp3 : resp2
  }

  /** Writes all of a message but what has changed. Returns where it starts. */
  private beginMessage(fanOut: FanOut, receiver: TrackingClient): number {
    const from = fanOut.at
    fanOut.raw(receiver.respVersion >= 3 ? PUSH_HEAD : MESSAGE_HEAD)
    return from
  }

  private encodeKey(fanOut: FanOut, receiver: TrackingClient, source: Buffer, start: number, length: number): number {
    const from = this.beginMessage(fanOut, receiver)
    fanOut.array(1)
    fanOut.bulk(source, start, length)
    return from
  }

  /** As `encodeKey`, for the changed keys of a group; without those that a client has changed itself. -1: none is left. */
  private encodeGroup(
    fanOut: FanOut,
    receiver: TrackingClient,
    { changed }: PrefixGroup<TrackingClient>,
    exceptId: number,
  ): number {
    const { arena } = this.host.keyspace
    let count = 0
    for (let row = 0; row < changed.size; row++) if (changed.value(row) !== exceptId) count++
    if (count === 0) return -1
    const from = this.beginMessage(fanOut, receiver)
    fanOut.array(count)
    for (let row = 0; row < changed.size; row++) {
      if (changed.value(row) === exceptId) continue
      const key = changed.keyRef(row)
      fanOut.bulk(arena.segment(key), arena.offset(key), arena.length(key))
    }
    return from
  }
}
