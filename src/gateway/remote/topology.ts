/**
 * Which servers there are, and which of them has a key: one server (`SingleTopology`), or the primaries of a cluster
 * (`cluster-topology.ts`).
 */
import type { Redis } from 'ioredis'
import type { Log } from '../../observe/log.ts'
import type { EngineHealth } from '../engine.ts'
import { openConnection, type Reconnect } from './connection.ts'
import { describeTarget, type RemoteTarget } from './engine-url.ts'
import { Link } from './link.ts'
import { type Patience, Wakeups } from './wakeups.ts'

export interface TopologyOptions {
  readonly target: RemoteTarget
  readonly log: Log
  /** A server that owes a reply and sends nothing for this time is taken for dead, in ms. */
  readonly silenceMaxMs: number
}

export interface Topology {
  readonly health: EngineHealth
  /** The link for a slot, null for any; null when there is none that is ready. */
  linkFor(slot: number | null): Link | null
  /** All servers that hold keys, in the order of their lowest slot; null while one of them is not ready. */
  primaries(): readonly Link[] | null
  /** The lowest slot that a server of `primaries` holds; 0 for a single one. */
  lowestSlot(link: Link): number
  /** Follows a redirection (`MOVED`, `ASK`). Returns the link; null when the reply makes no sense here. */
  redirected(error: Error): Link | null
  /** Takes note that a server is not, or not what it was: the next look should find what is there now. */
  suspect(link: Link): void
  /** Resolves when something may have changed, or at the deadline. @throws CallCancelledError */
  change(patience: Patience): Promise<void>
  /** Has a listener called whenever servers come, go or change; returns what ends that. */
  onChange(listener: () => void): () => void
  /** A connection of its own to any server, for subscriptions; null when no server is known. */
  openAny(reconnect: Reconnect): Redis | null
  close(): void
}

/** One server: at a fixed address, or the primary that Sentinels name. */
export class SingleTopology implements Topology {
  private readonly target: RemoteTarget
  private readonly link: Link
  private readonly wakeups = new Wakeups()
  private readonly listeners = new Set<() => void>()

  constructor({ target, log, silenceMaxMs }: TopologyOptions) {
    this.target = target
    this.link = new Link({
      target,
      node: null,
      description: describeTarget(target),
      log,
      silenceMaxMs,
      onChange: () => {
        this.wakeups.wake()
        for (const listener of this.listeners) listener()
      },
    })
  }

  get health(): EngineHealth {
    const { link } = this
    const what = this.target.kind === 'sentinel' ? 'the primary that Sentinel names' : 'the server'
    if (link.isReady) return { isReady: true, detail: `ready: connected to ${what}` }
    return { isReady: false, detail: `reconnecting to ${what}: ${link.failure}` }
  }

  linkFor(): Link | null {
    return this.link.isReady ? this.link : null
  }

  primaries(): readonly Link[] | null {
    return this.link.isReady ? [this.link] : null
  }

  lowestSlot(): number {
    return 0
  }

  redirected(): Link | null {
    return null
  }

  suspect(link: Link): void {
    // A fixed address leads to the same server again.
    if (this.target.kind === 'sentinel') link.reconnect()
  }

  change(patience: Patience): Promise<void> {
    return this.wakeups.wait(patience)
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  openAny(reconnect: Reconnect): Redis {
    return openConnection(this.target, null, reconnect)
  }

  close(): void {
    this.link.close()
    this.wakeups.wake()
  }
}
