/**
 * How the process comes to end, by SHUTDOWN or by a signal: what must be written first, whether replicas are waited for
 * (farewell.ts), and who may take it back. Cold. Source: Valkey 7.2 src/server.c prepareForShutdown.
 */
import type { LeavingControl, ShutdownSave } from '../commands/context.ts'
import { ClientFlag, type Session } from '../commands/session.ts'
import { BlockedOn } from '../keyspace/blocked.ts'
import { AofState, type AppendOnly } from '../persistence/append-only.ts'
import type { Args } from '../resp/args.ts'
import { SHUTDOWN_FAILED } from '../resp/errors.ts'
import type { BusyMode } from './busy.ts'
import type { Client } from './client.ts'
import { Farewell, type FarewellHost } from './farewell.ts'
import type { Saving } from './saving.ts'
import type { Waiting } from './waiting.ts'

/** A wish of a signal to end the process. */
export interface ShutdownRequest {
  /** Whether replicas are to have everything first. */
  readonly waitsForReplicas: boolean
  begin(): void
  /** Somebody has taken it back. */
  aborted(): void
}

/** What the end needs of the server. */
export interface LeavingHost extends FarewellHost {
  readonly busy: BusyMode
  readonly appendOnly: AppendOnly
  readonly saving: Saving
  readonly waiting: Waiting
  /** Ends the process: after the turn, or at once. Null where nobody runs it. */
  readonly onShutdown: (() => void) | null
  readonly onShutdownNow: (() => void) | null
  /** Whether `tick` is called. */
  readonly hasCron: boolean
  readClock(): void
}

export class Leaving implements LeavingControl {
  private readonly host: LeavingHost
  private readonly farewell: Farewell
  private requested: ShutdownRequest | null = null

  constructor(host: LeavingHost) {
    this.host = host
    this.farewell = new Farewell(host)
  }

  shutdown(save: ShutdownSave, isForced: boolean): boolean {
    const { busy, onShutdown, onShutdownNow } = this.host
    if (busy.isServing) {
      if (onShutdownNow === null) return false
      onShutdownNow()
      return true
    }
    if (onShutdown === null || !this.prepare(save, isForced)) return false
    // Not from within a command: the turn ends first, with the replies of all who were served in it.
    setImmediate(onShutdown)
    return true
  }

  shutdownWhenReplicated(session: Session, args: Args, save: ShutdownSave, isForced: boolean): boolean {
    const { replication, config, busy, waiting, log } = this.host
    if (replication.isAcknowledged || config.number('shutdown-timeout') === 0 || busy.isServing)
      return this.shutdown(save, isForced)
    const client = session as Client
    waiting.block(client, args, 0, 0, BlockedOn.Shutdown, 0, false)
    const failed = (): void => {
      if ((client.flags & ClientFlag.Blocked) !== 0) waiting.endWait(client, SHUTDOWN_FAILED)
    }
    this.farewell.wait({
      proceed: () => {
        if (this.shutdown(save, isForced)) return
        log.warning('Errors trying to shut down the server. Check the logs for more information.')
        failed()
      },
      aborted: failed,
    })
    return true
  }

  get msLeft(): number | null {
    return this.farewell.isWaiting ? this.farewell.msLeft : null
  }

  /** Begins to end the process at the next tick, unless SHUTDOWN ABORT comes first. */
  request(request: ShutdownRequest): void {
    // Without a cron there is nobody either who could take it back.
    if (this.host.hasCron) this.requested = request
    else request.begin()
  }

  abort(): boolean {
    const request = this.requested
    if (!this.farewell.abort() && request === null) return false
    this.host.log.notice('Shutdown manually aborted.')
    this.requested = null
    request?.aborted()
    return true
  }

  /** Ten times a second. Returns whether the end has begun, so that nothing else need be done. */
  tick(): boolean {
    const { requested } = this
    if (requested === null) {
      this.farewell.tick()
      return false
    }
    this.requested = null
    if (requested.waitsForReplicas)
      this.farewell.wait({ proceed: () => requested.begin(), aborted: () => requested.aborted() })
    else requested.begin()
    return true
  }

  /** Writes the last snapshot, after which no command is executed any more. Returns false when it is wanted and fails. */
  prepare(save: ShutdownSave, isForced: boolean): boolean {
    if (this.mustWriteFirstLog(isForced)) return false
    if (!this.host.saving.saveForShutdown(save, isForced)) return false
    this.host.pauses.beginEndless()
    return true
  }

  /** As `prepare`, while the loop goes on; `done` is told whether the process may end. */
  prepareLater(save: ShutdownSave, isForced: boolean, done: (mayEnd: boolean) => void): void {
    if (this.mustWriteFirstLog(isForced)) {
      done(false)
      return
    }
    const endPause = this.host.pauses.beginEndless()
    this.host.saving.saveForShutdownLater(save, isForced, (mayEnd) => {
      if (!mayEnd) {
        this.host.readClock()
        endPause()
      }
      done(mayEnd)
    })
  }

  /** A log that was just switched on has not got all data yet: without it there might be none. */
  private mustWriteFirstLog(isForced: boolean): boolean {
    const { appendOnly, log } = this.host
    if (appendOnly.state !== AofState.Waiting || !appendOnly.isRewriting) return false
    log.warning(isForced ? 'Writing initial AOF. Exit anyway.' : "Writing initial AOF, can't exit")
    return !isForced
  }
}
