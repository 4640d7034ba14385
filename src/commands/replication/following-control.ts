/** What commands see of this server as a replica. The server's Following is the implementation. */
import type { ReplicaOf } from '../../config/special-directives.ts'
import type { ReplyError } from '../../resp/errors.ts'

/** How the connection to the primary stands, in the words of ROLE. */
export const LinkState = {
  None: 'none',
  Connect: 'connect',
  Connecting: 'connecting',
  Handshake: 'handshake',
  Sync: 'sync',
  Connected: 'connected',
} as const
export type LinkState = (typeof LinkState)[keyof typeof LinkState]

export interface FollowingControl {
  /** The primary; null: this server is one itself. */
  readonly primary: ReplicaOf | null
  readonly state: LinkState
  /** When something came from the primary last, and since when there is no connection, in ms. */
  readonly lastInputMs: number
  readonly downSinceMs: number
  /** Bytes of the payload under way; total 0: not known. */
  readonly payload: { readonly totalBytes: number; readonly readBytes: number }
  /** How much of the stream has come; not all of it may be executed yet. */
  readonly readOffset: number
  /** Bytes received from primaries. */
  readonly bytesIn: number
  /** Why writes of clients are refused; null when they are not. */
  readonly writeRefusal: ReplyError | null
  /** Whether clients are to be told that the data may be old (replica-serve-stale-data no). */
  readonly isStale: boolean
  /** Replicates from now on. Returns false when it does so already from there. */
  follow(primary: ReplicaOf): boolean
  /** Goes on as a primary. Returns false when it is one. */
  unfollow(): boolean
  /** Tells the primary how far this server has come. */
  acknowledge(): void
}
