/** What commands see of replication: its state, and what replicas ask for. The server's Replicas is the implementation. */
import type { ReplicationHistory } from '../../replication/history.ts'
import type { Replica } from '../../replication/replica.ts'
import type { ReplyError } from '../../resp/errors.ts'
import type { Session } from '../session.ts'

/** A replica that has asked for data, and its connection. */
export interface AttachedReplica {
  readonly session: Session
  readonly replica: Replica
}

/** The part of the stream that is kept for replicas that come back. Offsets as on the wire. */
export interface BacklogStatus {
  readonly isActive: boolean
  readonly sizeBytes: number
  readonly firstOffset: number
  readonly length: number
}

export interface ReplicationControl {
  readonly history: ReplicationHistory
  /** Bytes of the stream, those included that this turn has written. */
  readonly offset: number
  readonly backlog: BacklogStatus
  readonly attached: readonly AttachedReplica[]
  /** Replicas that are online and have been heard of lately (min-replicas-max-lag). */
  readonly goodCount: number
  /** Why writes are refused; null when there are replicas enough. */
  readonly writeRefusal: ReplyError | null
  /** Whether a snapshot for replicas is being written. */
  readonly isWritingPayload: boolean
  readonly fullSyncs: number
  readonly partialSyncs: number
  readonly partialSyncsRefused: number
  /** Bytes sent to replicas. */
  readonly bytesOut: number
  /** Memory of the backlog alone, and of it with what replicas have still to get. */
  readonly backlogBytes: number
  readonly bufferBytes: number
  /** What is known of the replica behind a session, which may have nothing to do with replication yet. */
  replicaOf(session: Session): Replica
  /** SYNC. */
  syncFully(session: Session): void
  /** PSYNC: goes on behind `psyncOffset` - 1 bytes of history `id` if that is possible, else with a snapshot. */
  sync(session: Session, id: string, psyncOffset: number): void
  /** REPLCONF ACK; `aofOffset` null: it was not told. */
  acknowledge(session: Session, offset: number, aofOffset: number | null): void
  /** Asks replicas to acknowledge what they have, at the end of the turn. */
  requestAcks(): void
  /** How many replicas have all effects of the journal up to this one; with `synced`, in their logs. */
  countWith(effect: number): number
  countWithSynced(effect: number): number
  /** Whether the session has output that would mix with a payload. */
  hasOutput(session: Session): boolean
  /** DEBUG CHANGE-REPL-ID: begins another history. */
  changeHistory(): void
}
