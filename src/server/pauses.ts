/** CLIENT PAUSE: which requests wait, and until when. */
import { ClientFlag } from '../commands/session.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import type { LoadProgress } from '../persistence/load-progress.ts'
import type { Args } from '../resp/args.ts'
import type { Client } from './client.ts'
import type { Pipeline } from './execute.ts'

/** What a pause needs of the server. */
export interface PausesHost {
  readonly keyspace: Keyspace
  readonly loading: LoadProgress
  readonly pipeline: Pipeline
  /** Time that has gone by, in ms, whatever is done to the wall time. */
  elapsedMs(): number
  /** Sees to it that the server looks at that time then. */
  schedule(at: number): void
  /** Lets a client's kept input be executed again. */
  resume(client: Client): void
}

export class Pauses {
  /** Until when, by `elapsedMs`; 0: there is none. It may be over already: then the next request or timer ends it. */
  untilMs: number = 0
  private writesOnly: boolean = false
  /** Clients that wait, in the order in which they came: so they go on. */
  private readonly waiting = new Set<Client>()
  private readonly host: PausesHost

  constructor(host: PausesHost) {
    this.host = host
  }

  get isActive(): boolean {
    return this.untilMs > 0 && this.untilMs > this.host.elapsedMs()
  }

  /** Begins a pause until a time of `elapsedMs`, or makes the one in force longer. */
  begin(untilMs: number, writesOnly: boolean): void {
    // A longer or stricter pause that is in force is not shortened (Valkey src/networking.c pauseActions).
    const { isActive } = this
    this.writesOnly = isActive ? this.writesOnly && writesOnly : writesOnly
    this.untilMs = isActive ? Math.max(this.untilMs, untilMs) : untilMs
    this.host.keyspace.removesMetExpired = !this.isActive && !this.host.loading.isActive
    this.host.schedule(this.untilMs)
  }

  end(): void {
    this.untilMs = 0
    this.host.keyspace.removesMetExpired = !this.host.loading.isActive
    for (const client of this.waiting) {
      client.flags &= ~ClientFlag.Paused
      this.host.resume(client)
    }
    this.waiting.clear()
  }

  /** The client is gone. */
  forget(client: Client): void {
    this.waiting.delete(client)
  }

  endWhenOver(): void {
    if (this.untilMs > 0 && !this.isActive) this.end()
  }

  /** A pause that nothing ends but the function it returns, which puts back what was in force before. */
  beginEndless(): () => void {
    return this.beginUntilEnded(false)
  }

  /** As `beginEndless`, for commands that write. */
  beginEndlessForWrites(): () => void {
    return this.beginUntilEnded(true)
  }

  private beginUntilEnded(onlyWrites: boolean): () => void {
    const { untilMs, writesOnly } = this
    this.begin(Number.MAX_SAFE_INTEGER, onlyWrites)
    return () => {
      this.end()
      if (untilMs > this.host.elapsedMs()) this.begin(untilMs, writesOnly)
    }
  }

  /** Whether this request has to wait; its client does then. */
  mustWait(client: Client, args: Args): boolean {
    if (!this.isActive) {
      if (this.waiting.size === 0) {
        this.end()
        return false
      }
      // It goes on behind those that have waited, as soon as the timer comes.
      this.host.schedule(0)
    }
    if (!this.concerns(client, args)) return false
    client.flags |= ClientFlag.Paused
    this.waiting.add(client)
    return true
  }

  private concerns(client: Client, args: Args): boolean {
    // Replicas tell how far they have come. The stream of a primary waits, though: offsets stand still.
    if ((client.flags & ClientFlag.Replica) !== 0) return false
    const { pipeline } = this.host
    const resolved = pipeline.resolve(args)
    return 'handler' in resolved && pipeline.isPausable(client, resolved, args, this.writesOnly)
  }

  /** Clients that wait. */
  get waitingCount(): number {
    return this.waiting.size
  }
}
