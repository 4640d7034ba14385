/**
 * What a command sees of the client that called it. The server's Client is the implementation; tests and the
 * in-process door have the same one, over another transport.
 */
import type { User } from '../access/user.ts'
import type { BlockedClient } from '../keyspace/blocked.ts'
import type { Database } from '../keyspace/database.ts'
import type { Watcher } from '../keyspace/keyspace.ts'
import type { Subscriber } from '../pubsub/channels.ts'
import type { TrackingClient } from '../pubsub/tracking.ts'
import type { Replica } from '../replication/replica.ts'
import type { CommandQueue } from './command-queue.ts'

/** State bits of a client. */
export const ClientFlag = {
  /** In MULTI: commands are queued. */
  Multi: 1 << 0,
  /** A queued command was refused: EXEC aborts. */
  DirtyExec: 1 << 1,
  Blocked: 1 << 2,
  Authenticated: 1 << 3,
  /** Close once the pending output is sent. */
  CloseAfterReply: 1 << 4,
  /** CLIENT REPLY OFF. */
  ReplyOff: 1 << 5,
  /** CLIENT REPLY SKIP: the next reply is dropped. */
  ReplySkipNext: 1 << 6,
  ReplySkip: 1 << 7,
  NoEvict: 1 << 8,
  NoTouch: 1 << 9,
  Monitor: 1 << 10,
  UnixSocket: 1 << 11,
  /** Replays a log: no gates, no journal. */
  Replay: 1 << 12,
  /** In-process: no socket behind it. */
  InProcess: 1 << 13,
  /** Its commands wait for the end of CLIENT PAUSE. */
  Paused: 1 << 14,
  Closed: 1 << 15,
  /** Runs a blocked command again because a key became ready. */
  Reexecuting: 1 << 16,
  /** Set while re-executing when the command blocks again: it keeps its place. */
  StillBlocked: 1 << 17,
  /** Has asked for data by SYNC or PSYNC: the connection carries the replication stream. */
  Replica: 1 << 18,
  /** The primary that this server replicates from: its commands pass no gate and get no reply. */
  Primary: 1 << 19,
  /** Input that it has sent is executed in the next turn. */
  Postponed: 1 << 20,
  /** It has sent its last byte, while input of it was postponed. */
  EndPostponed: 1 << 21,
} as const

export interface Session extends Watcher, BlockedClient, Subscriber, TrackingClient {
  readonly id: number
  /** Whether this session repeats effects, of a log or a primary: times in the past are kept as they are. */
  readonly isReplay: boolean
  /** Bits of ClientFlag. */
  flags: number
  db: Database
  /** RESP version, 2 or 3. */
  respVersion: number
  name: string
  libName: string
  libVersion: string
  /** Whose rights the session has. */
  user: User
  /** Peer and own address, `ip:port` or `path:0`. */
  readonly address: string
  readonly localAddress: string
  /** Wall time of connecting and of the last command, in ms. */
  readonly createdMs: number
  lastCommandMs: number
  lastCommandName: string
  /** Commands queued since MULTI; empty outside. */
  readonly queue: CommandQueue
  /** Watched keys: database and key text. */
  readonly watched: { db: Database; key: string }[]
  /** What they take in memory, about. */
  watchedBytes: number
  /** `Journal.effectCount` after the last command of the session that has written something; 0 when none has. */
  lastEffect: number
  /** When a blocked command times out, in ms; 0 when it does not, or nothing is blocked. */
  readonly deadlineMs: number
  /** How often the command that waits looks again by itself, in ms; 0: only when a key is ready. Set before it waits. */
  pollMs: number
  /** Whether there is any subscription, shard channels included. */
  readonly isSubscribed: boolean
  /** Whether the peer is on this machine. */
  readonly isLocal: boolean
  /** Input that was received and is not executed yet, those of the running batch included, and room for more, in bytes. */
  readonly pendingInputBytes: number
  /** Arguments that were received of a request that is not complete, in bytes. */
  readonly argumentBytes: number
  readonly freeInputBytes: number
  /** What REPLCONF has said, and what has become of it; null for a client that has not used it. */
  replica: Replica | null
  /** Output that was not handed to the system yet, in bytes. */
  readonly pendingOutputBytes: number
  /** All that the session holds in memory, about, in bytes. */
  readonly memoryBytes: number
}

/** Ends MULTI without running anything: the queue is emptied and watched keys are let go. */
export function discardTransaction(session: Session): void {
  session.queue.clear()
  session.flags &= ~(ClientFlag.Multi | ClientFlag.DirtyExec)
  unwatchAll(session)
}

/** Lets go of all watched keys. */
export function unwatchAll(session: Session): void {
  for (const { db, key } of session.watched) {
    const watchers = db.watchers.get(key)
    if (watchers === undefined) continue
    watchers.delete(session)
    if (watchers.size === 0) db.watchers.delete(key)
  }
  session.watched.length = 0
  session.watchedBytes = 0
  session.watchDirty = false
}
