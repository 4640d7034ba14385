/**
 * What a primary knows of a replica: what REPLCONF has said of it, how far its synchronization has come, and what it has
 * acknowledged.
 *
 *     Announced ──SYNC, PSYNC──▶ AwaitsSnapshot ──▶ AwaitsPayload ──▶ ReceivesPayload ──▶ Online
 *         └──────────PSYNC, and the backlog has what is missing──────────────────────────────▲
 *
 * Source: Valkey 7.2 src/server.h, SLAVE_STATE_….
 */
import type { ReplicationStream, StreamCursor } from './stream.ts'

export const ReplicaState = {
  /** Has not asked for data. */
  Announced: 0,
  /** Waits until a snapshot for replicas can begin. */
  AwaitsSnapshot: 1,
  /** Waits until that is written. */
  AwaitsPayload: 2,
  ReceivesPayload: 3,
  /** Receives the stream. */
  Online: 4,
} as const

/** Bits of `REPLCONF capa`. */
export const ReplicaCapability = { Eof: 1 << 0, Psync2: 1 << 1 } as const

/** What INFO calls the states. */
const STATE_NAMES = ['none', 'wait_bgsave', 'wait_bgsave', 'send_bulk', 'online'] as const

/** What is left out of a payload, as `REPLCONF rdb-filter-only` wants it. */
export interface PayloadContent {
  readonly hasData: boolean
  readonly hasFunctions: boolean
}

export const FULL_CONTENT: PayloadContent = { hasData: true, hasFunctions: true }

export class Replica {
  /** One of ReplicaState. */
  state: number = ReplicaState.Announced
  /** Address and port that it is to be reached at; '' and 0: it has not said so. */
  address = ''
  listeningPort = 0
  capabilities = 0
  /** Wants a snapshot and nothing more. */
  isRdbOnly = false
  content: PayloadContent = FULL_CONTENT
  /** Came with SYNC: it acknowledges nothing. */
  isPrePsync = false
  /** The stream and what is read of it next; null before a snapshot has begun. */
  stream: ReplicationStream | null = null
  cursor: StreamCursor | null = null
  /** How much of the stream it has executed, and how much of that is in its log. */
  ackOffset = 0
  aofAckOffset = 0
  /** When that was told, or it came online, in ms. */
  ackMs = 0
  /** When it took something of the payload, in ms. */
  progressMs = 0

  get isOnline(): boolean {
    return this.state === ReplicaState.Online
  }

  get stateName(): string {
    return STATE_NAMES[this.state] ?? ''
  }

  /** Bytes of the stream that are still to be sent. */
  get pendingBytes(): number {
    return this.stream === null || this.cursor === null ? 0 : this.stream.offset - this.cursor.offset
  }

  /** Time since the last acknowledgement, in s. */
  lagSeconds(nowMs: number): number {
    if (!this.isOnline || this.isPrePsync) return 0
    return Math.max(0, Math.floor(nowMs / 1000) - Math.floor(this.ackMs / 1000))
  }

  follow(stream: ReplicationStream, cursor: StreamCursor): void {
    this.stream = stream
    this.cursor = cursor
    stream.hold(cursor)
  }

  unfollow(): void {
    if (this.stream !== null && this.cursor !== null) this.stream.release(this.cursor)
    this.stream = null
    this.cursor = null
  }

  /** Takes an acknowledgement; offsets never go back. */
  acknowledge(offset: number, aofOffset: number | null, nowMs: number): void {
    this.ackOffset = Math.max(this.ackOffset, offset)
    if (aofOffset !== null) this.aofAckOffset = Math.max(this.aofAckOffset, aofOffset)
    this.ackMs = nowMs
  }
}

/** Whether one payload serves both. */
export function wantSameContent(a: PayloadContent, b: PayloadContent): boolean {
  return a.hasData === b.hasData && a.hasFunctions === b.hasFunctions
}
