/**
 * Limits on output that a client does not read (`client-output-buffer-limit`), by class of client.
 * Source: Valkey src/networking.c checkClientOutputBufferLimits.
 */
import type { OutputBufferLimits } from '../config/special-directives.ts'
import type { Client } from './client.ts'

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
