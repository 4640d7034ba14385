/**
 * Limits on output that a client does not read (`client-output-buffer-limit`), by class of client.
 * Source: Valkey src/networking.c checkClientOutputBufferLimits.
 */
import { ClientFlag } from '../commands/session.ts'
import type { OutputBufferLimits } from '../config/special-directives.ts'
import type { Client } from './client.ts'

/** Output that may wait for a client which has not authenticated, in bytes; the replies to it are short. */
const UNAUTHENTICATED_BYTES_MAX = 64 * 1024

/** Whether a client that must authenticate, and has not, lets its output pile up. */
export function isOverUnauthenticatedLimit(client: Client): boolean {
  return (client.flags & ClientFlag.Authenticated) === 0 && client.pendingOutputBytes > UNAUTHENTICATED_BYTES_MAX
}

/** Bytes from which on the client is closed at once, Infinity when there is no limit. */
export function hardOutputLimit(limits: OutputBufferLimits, client: Client): number {
  const { hardBytes } = client.isSubscribed ? limits.pubsub : limits.normal
  return hardBytes > 0 ? hardBytes : Number.POSITIVE_INFINITY
}

/** Whether the client must be closed; notes since when it is over its soft limit. */
export function isOverOutputLimit(limits: OutputBufferLimits, client: Client, nowMs: number): boolean {
  const limit = client.isSubscribed ? limits.pubsub : limits.normal
  const bytes = client.pendingOutputBytes
  if (limit.hardBytes > 0 && bytes >= limit.hardBytes) return true
  if (limit.softBytes === 0 || bytes < limit.softBytes) {
    client.softLimitSinceMs = 0
    return false
  }
  if (client.softLimitSinceMs === 0) client.softLimitSinceMs = nowMs
  return nowMs - client.softLimitSinceMs > limit.softSeconds * 1000
}
