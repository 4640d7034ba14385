/**
 * The access log: what was denied to whom, newest first (ACL LOG). Events that are alike and close in time are one entry
 * with a count. Cold. Source: Valkey src/acl.c `addACLLogEntry`.
 */

/** Events further apart are entries of their own, in ms. */
const GROUPING_MS = 60_000
/** How many entries are looked at for one that is alike. */
const GROUPING_ENTRIES = 10
/** More of a name (of a key, say) is not kept, in bytes. */
const NAME_BYTES_MAX = 4096

export interface AccessLogEntry {
  readonly id: number
  readonly reason: string
  readonly context: string
  /** The command, key or channel that was denied, or the command that tried to log in. */
  readonly object: string
  readonly userName: string
  readonly createdMs: number
  count: number
  updatedMs: number
  /** The client as CLIENT LIST shows it, at the last event. */
  clientInfo: string
}

/** What happened. */
export interface AccessEvent {
  /** 'command', 'key', 'channel' or 'auth'. */
  readonly reason: string
  /** 'toplevel', 'multi' or 'lua'. */
  readonly context: string
  readonly object: string
  readonly userName: string
  readonly clientInfo: string
}

export class AccessLog {
  /** Entries that are kept (`acllog-max-len`); the oldest go when one is added. */
  lengthMax = 0
  private entries: AccessLogEntry[] = []
  private nextId = 0

  get length(): number {
    return this.entries.length
  }

  add(event: AccessEvent, nowMs: number): void {
    const object = event.object.slice(0, NAME_BYTES_MAX)
    const userName = event.userName.slice(0, NAME_BYTES_MAX)
    const { reason, context, clientInfo } = event
    const at = this.entries.findIndex(
      (entry, i) =>
        i < GROUPING_ENTRIES &&
        entry.reason === reason &&
        entry.context === context &&
        Math.abs(nowMs - entry.updatedMs) <= GROUPING_MS &&
        entry.object === object &&
        entry.userName === userName,
    )
    if (at >= 0) {
      const [entry] = this.entries.splice(at, 1)
      entry!.clientInfo = clientInfo
      entry!.updatedMs = nowMs
      entry!.count++
      this.entries.unshift(entry!)
      return
    }
    const id = this.nextId++
    this.entries.unshift({
      id,
      reason,
      context,
      object,
      userName,
      createdMs: nowMs,
      count: 1,
      updatedMs: nowMs,
      clientInfo,
    })
    if (this.entries.length > this.lengthMax) this.entries.length = this.lengthMax
  }

  /** The newest `count` entries, newest first. */
  latest(count: number): readonly AccessLogEntry[] {
    return this.entries.slice(0, count)
  }

  reset(): void {
    this.entries = []
  }
}
