/**
 * Limits on output that a client does not read (`client-output-buffer-limit`), by class of client.
 * Source: Valkey src/networking.c checkClientOutputBufferLimits.
 */
import { ClientFlag } from '../commands/session.ts'
import type { OutputBufferLimit, OutputBufferLimits } from '../config/special-directives.ts'
import type { Client } from './client.ts'

/** Output that may wait for a client which has not authenticated, in bytes; the replies to it are short. */
const UNAUTHENTICATED_BYTES_MAX = 64 * 1024

/** A primary gets one acknowledgement a second. */
const UNLIMITED: OutputBufferLimit = { hardBytes: 0, softBytes: 0, softSeconds: 0 }

/** Whether a client that must authenticate, and has not, lets its output pile up. */
export function isOverUnauthenticatedLimit(client: Client): boolean {
  return (client.flags & ClientFlag.Authenticated) === 0 && client.pendingOutputBytes > UNAUTHENTICATED_BYTES_MAX
}

/** Bytes from which on the client is closed at once, Infinity when there is no limit. */
export function hardOutputLimit(limits: OutputBufferLimits, client: Client): number {
  const { hardBytes } = limitOf(limits, client)
  return hardBytes > 0 ? hardBytes : Number.POSITIVE_INFINITY
}

function limitOf(limits: OutputBufferLimits, client: Client): OutputBufferLimit {
  if ((client.flags & ClientFlag.Replica) !== 0) return replicaLimit(limits.replica, client)
  if ((client.flags & ClientFlag.Primary) !== 0) return UNLIMITED
  return client.isSubscribed ? limits.pubsub : limits.normal
}

/** A limit below the size of the backlog would close a replica right after a partial resync: that counts instead. */
function replicaLimit(limit: OutputBufferLimit, { replica }: Client): OutputBufferLimit {
  const stream = replica === null ? null : replica.stream
  if (stream === null) return limit
  const { backlogBytes } = stream
  return {
    hardBytes: limit.hardBytes === 0 ? 0 : Math.max(limit.hardBytes, backlogBytes),
    softBytes: limit.softBytes === 0 ? 0 : Math.max(limit.softBytes, backlogBytes),
    softSeconds: limit.softSeconds,
  }
}

/** Whether the client must be closed; notes since when it is over its soft limit. */
export function isOverOutputLimit(limits: OutputBufferLimits, client: Client, nowMs: number): boolean {
  const limit = limitOf(limits, client)
  const bytes = client.pendingOutputBytes
  if (limit.hardBytes > 0 && bytes >= limit.hardBytes) return true
  if (limit.softBytes === 0 || bytes < limit.softBytes) {
    client.softLimitSinceMs = 0
    return false
  }
  if (client.softLimitSinceMs === 0) client.softLimitSinceMs = nowMs
  return nowMs - client.softLimitSinceMs > limit.softSeconds * 1000
}
