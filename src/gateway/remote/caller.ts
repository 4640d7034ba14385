/**
 * Runs checked calls on the servers of a topology, through lost connections, redirections and failovers.
 *
 * The rules, for every kind of call:
 *
 * - While there is no server for it, a call waits, for `waitMs` at most.
 * - A call that was not sent, or that a server refused without running it (`MOVED`, `ASK`, `TRYAGAIN`, `CLUSTERDOWN`,
 *   `LOADING`, `UNBLOCKED`, and `READONLY` of a primary that was replaced), is sent again within that time.
 * - A call that was sent when its connection broke may have been executed. It is sent again if it only reads; otherwise it
 *   fails with an error that says so, and the caller has to look.
 */
import { messageOf } from '../../files/thrown.ts'
import type { Log } from '../../observe/log.ts'
import { CallCancelledError } from '../../server/in-process.ts'
import { CommandError, type CommandWords, EngineUnavailableError } from '../engine.ts'
import type { CheckedCall } from './call-check.ts'
import { NotConnectedError } from './connection.ts'
import type { PooledConnection } from './connection-pool.ts'
import type { Link } from './link.ts'
import { codeOf, isErrorReply, type RawReply, RemoteCommand } from './remote-command.ts'
import type { Topology } from './topology.ts'
import { type Patience, pause } from './wakeups.ts'

/** Redirections that one call follows. */
const REDIRECTIONS_MAX = 16
/** Pause before a call is tried again, in ms. */
const RETRY_PAUSE_MS = 50
/** Pause between attempts to unblock a call that was taken back, in ms. */
const UNBLOCK_PAUSE_MS = 20
/** Attempts to unblock before the connection is broken off. */
const UNBLOCK_ATTEMPTS = 50

/** Refusals after which the same call may succeed soon. */
const PASSING: ReadonlySet<string> = new Set(['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'UNBLOCKED'])

/** What happens after a refusal that may pass. In a pipeline a later command would overtake one that is tried again. */
export const Refusals = { Retry: 0, Reply: 1 } as const
export type Refusals = (typeof Refusals)[keyof typeof Refusals]

export interface CallerOptions {
  readonly topology: Topology
  readonly log: Log
  /** How long a call waits for a server, in ms. */
  readonly waitMs: number
  /** Calls under way and waiting; more are rejected. */
  readonly callsMax: number
  /** Whether `READONLY` means that the primary was replaced. */
  readonly primaryMoves: boolean
}

export class Caller {
  private readonly options: CallerOptions
  private readonly topology: Topology
  private count = 0
  private isClosed: boolean = false

  constructor(options: CallerOptions) {
    this.options = options
    this.topology = options.topology
  }

  patience(signal: AbortSignal | null): Patience {
    return { deadlineMs: performance.now() + this.options.waitMs, signal }
  }

  close(): void {
    this.isClosed = true
  }

  /** One call on a shared connection. @throws CommandError, EngineUnavailableError, CallCancelledError */
  async run(call: CheckedCall, refusals: Refusals, signal: AbortSignal | null): Promise<RawReply> {
    return this.counted(() => this.tryRun(call, refusals, this.patience(signal)))
  }

  /**
   * A call that waits for data, on a connection of its own. When it is taken back the server ends its wait as by a timeout:
   * what it has taken by then is the reply, so nothing is lost.
   */
  async runBlocking(call: CheckedCall, signal: AbortSignal | null): Promise<RawReply> {
    return this.counted(() =>
      this.exclusively(call, 'blocking', this.patience(signal), async (connection, link, asks) => {
        if (signal?.aborted === true) throw new CallCancelledError()
        const command = new RemoteCommand(call.words)
        // Sent before the command: while that waits nothing is answered.
        const id = signal === null ? null : connection.id()
        const reply = sendAs(connection, command, asks)
        if (signal === null || id === null) return await reply
        const cancel = (): void => void this.unblock(link, connection, id, command)
        signal.addEventListener('abort', cancel, { once: true })
        try {
          return await reply
        } catch (error) {
          if (signal.aborted && !isErrorReply(error)) throw new CallCancelledError()
          throw error
        } finally {
          signal.removeEventListener('abort', cancel)
        }
      }),
    )
  }

  /** A command that nobody here knows: on a connection of its own, since it may wait, or change what follows. */
  async runUnknown(call: CheckedCall, signal: AbortSignal | null): Promise<RawReply> {
    return this.counted(() =>
      this.exclusively(call, 'exclusive', this.patience(signal), async (connection, _link, asks) => {
        try {
          return await sendAs(connection, new RemoteCommand(call.words), asks)
        } finally {
          connection.destroy()
        }
      }),
    )
  }

  /**
   * Calls as one transaction, on a connection of its own. Nothing is sent before MULTI is confirmed: commands behind a MULTI
   * that was refused would be executed one by one.
   *
   * @throws CommandError when nothing was executed
   */
  async runTransaction(calls: readonly CheckedCall[]): Promise<readonly RawReply[]> {
    const slot = calls.find((call) => call.slot !== null)?.slot ?? null
    if (calls.some((call) => call.slot !== null && call.slot !== slot))
      throw new CommandError("CROSSSLOT Keys in request don't hash to the same slot")
    const isReadOnly = calls.every((call) => call.isReadOnly)
    const whole: CheckedCall = { ...calls[0]!, slot, isReadOnly }
    const reply = await this.counted(() =>
      this.exclusively(whole, 'exclusive', this.patience(null), (connection, _link, asks) =>
        transactionOn(connection, calls, asks),
      ),
    )
    return reply as readonly RawReply[]
  }

  /** One command on each server that holds keys. @throws CommandError: that of the first one that refuses */
  async runOnAll(words: CommandWords): Promise<readonly (readonly [Link, RawReply])[]> {
    return this.counted(async () => {
      const links = await this.primaries(this.patience(null))
      return Promise.all(links.map(async (link) => [link, await this.runOn(link, words)] as const))
    })
  }

  /** One command on one server. */
  async runOn(link: Link, words: CommandWords): Promise<RawReply> {
    try {
      return await link.send(new RemoteCommand(words))
    } catch (error) {
      throw isErrorReply(error) ? new CommandError(error.message) : lostError()
    }
  }

  /** All servers that hold keys. @throws EngineUnavailableError */
  async primaries(patience: Patience): Promise<readonly Link[]> {
    for (;;) {
      const links = this.topology.primaries()
      if (links !== null) return links
      await this.waitForChange(patience)
    }
  }

  private async counted<T>(run: () => Promise<T>): Promise<T> {
    if (this.count >= this.options.callsMax)
      throw new EngineUnavailableError(`${this.options.callsMax} calls are under way already`)
    this.count++
    try {
      return await run()
    } finally {
      this.count--
    }
  }

  private tryRun(call: CheckedCall, refusals: Refusals, patience: Patience): Promise<RawReply> {
    return this.persist(call, refusals, patience, async (link, asks) => {
      const command = new RemoteCommand(call.words)
      try {
        return await sendAs(link, command, asks)
      } catch (error) {
        throw command.wasSent || isErrorReply(error) ? error : new NotConnectedError('The command was not sent')
      }
    })
  }

  /** Runs something on a pooled connection, again if nothing of it was executed. */
  private exclusively(
    call: CheckedCall,
    pool: 'exclusive' | 'blocking',
    patience: Patience,
    run: (connection: PooledConnection, link: Link, asks: boolean) => Promise<RawReply>,
  ): Promise<RawReply> {
    return this.persist(call, Refusals.Retry, patience, async (link, asks) => {
      const connection = await link[pool].acquire(patience)
      try {
        const reply = await run(connection, link, asks)
        link[pool].release(connection)
        return reply
      } catch (error) {
        // After an error reply it would be as good as new, but it may lead to a server that was replaced.
        connection.destroy()
        throw error
      }
    })
  }

  /**
   * Runs something on the server of a call, as often as the rules above allow. `attempt` throws NotConnectedError when
   * nothing was sent, error replies as they are, and anything else when it may have been executed.
   */
  private async persist(
    call: CheckedCall,
    refusals: Refusals,
    patience: Patience,
    attempt: (link: Link, asks: boolean) => Promise<RawReply>,
  ): Promise<RawReply> {
    let asked: Link | null = null
    for (let redirections = 0; ; ) {
      const link: Link = asked ?? this.topology.linkFor(call.slot) ?? (await this.waitForLink(call.slot, patience))
      const asks = asked !== null
      asked = null
      try {
        return await attempt(link, asks)
      } catch (error) {
        if (error instanceof CallCancelledError || error instanceof EngineUnavailableError) throw error
        if (!isErrorReply(error)) {
          await this.afterLoss(!(error instanceof NotConnectedError) && !call.isReadOnly, patience)
          continue
        }
        const target = redirections < REDIRECTIONS_MAX ? this.redirection(error) : null
        if (target !== null) {
          redirections++
          if (codeOf(error) === 'ASK') asked = await this.waitForReady(target, patience)
          continue
        }
        if (refusals === Refusals.Reply || !this.mayPass(error, link, patience)) throw new CommandError(error.message)
        await pause(RETRY_PAUSE_MS, patience)
      }
    }
  }

  /** A link for a slot, as soon as there is one. @throws EngineUnavailableError */
  private async waitForLink(slot: number | null, patience: Patience): Promise<Link> {
    for (;;) {
      await this.waitForChange(patience)
      const link = this.topology.linkFor(slot)
      if (link !== null) return link
    }
  }

  private async waitForReady(link: Link, patience: Patience): Promise<Link> {
    while (!link.isReady) await this.waitForChange(patience)
    return link
  }

  private async waitForChange(patience: Patience): Promise<void> {
    if (this.isClosed) throw new EngineUnavailableError('The engine is closed')
    if (performance.now() >= patience.deadlineMs) throw new EngineUnavailableError('The engine is not connected')
    await this.topology.change(patience)
  }

  /** The connection broke. Returns when the call may be sent again. @throws EngineUnavailableError when it must not */
  private async afterLoss(mayBeExecuted: boolean, patience: Patience): Promise<void> {
    if (this.isClosed) throw new EngineUnavailableError('The engine is closed')
    if (mayBeExecuted) throw lostError()
    if (performance.now() >= patience.deadlineMs) throw new EngineUnavailableError('The engine is not connected')
    await pause(RETRY_PAUSE_MS, patience)
  }

  private redirection(error: Error): Link | null {
    const code = codeOf(error)
    return code === 'MOVED' || code === 'ASK' ? this.topology.redirected(error) : null
  }

  /** Whether a refusal may pass within the time that is left. */
  private mayPass(error: Error, link: Link, { deadlineMs }: Patience): boolean {
    const code = codeOf(error)
    const isReplaced = this.options.primaryMoves && code === 'READONLY'
    if (isReplaced) this.topology.suspect(link)
    return (isReplaced || PASSING.has(code)) && performance.now() < deadlineMs
  }

  /** Ends the wait of a command; when the server does not do that, breaks the connection off. */
  private async unblock(
    link: Link,
    connection: PooledConnection,
    asked: Promise<string | null>,
    command: RemoteCommand,
  ): Promise<void> {
    const id = await asked
    for (let i = 0; i < UNBLOCK_ATTEMPTS && id !== null && !command.isSettled; i++) {
      try {
        // 0: it does not wait, because it has not arrived yet or its reply is on the way.
        const reply = await link.send(new RemoteCommand(['CLIENT', 'UNBLOCK', id, 'TIMEOUT']))
        if (reply === '1') return
      } catch (error) {
        this.options.log.debug(`CLIENT UNBLOCK failed: ${messageOf(error)}`)
        break
      }
      await pause(UNBLOCK_PAUSE_MS, this.patience(null))
    }
    if (!command.isSettled) connection.destroy()
  }
}

function lostError(): EngineUnavailableError {
  return new EngineUnavailableError('The connection to the engine was lost: the command may have been executed')
}

async function transactionOn(
  connection: PooledConnection,
  calls: readonly CheckedCall[],
  asks: boolean,
): Promise<readonly RawReply[]> {
  // Ahead of MULTI it holds until EXEC; behind it, it would be queued (Redis src/networking.c `resetClient`).
  if (asks) await nothingExecuted(connection.send(new RemoteCommand(['ASKING'])))
  await nothingExecuted(connection.send(new RemoteCommand(['MULTI'])))
  const queued = calls.map((call) => connection.send(new RemoteCommand(call.words)))
  const exec = new RemoteCommand(['EXEC'])
  const outcomes = await Promise.allSettled([...queued, connection.send(exec)])
  for (const outcome of outcomes) {
    // The first refusal is the reason; that of EXEC only says that there was one.
    if (outcome.status === 'rejected' && isErrorReply(outcome.reason)) throw outcome.reason
  }
  const last = outcomes[outcomes.length - 1]!
  if (last.status === 'fulfilled') return last.value as readonly RawReply[]
  throw exec.wasSent ? last.reason : new NotConnectedError('A transaction was broken off before it was complete')
}

/** @throws NotConnectedError when the connection breaks */
async function nothingExecuted(reply: Promise<RawReply>): Promise<RawReply> {
  try {
    return await reply
  } catch (error) {
    throw isErrorReply(error) ? error : new NotConnectedError('A transaction was broken off before it began')
  }
}

/** Sends a command; `asks`: to the node that takes its slot over, which serves the one that follows ASKING. */
function sendAs(to: Link | PooledConnection, command: RemoteCommand, asks: boolean): Promise<RawReply> {
  if (asks) {
    to.send(new RemoteCommand(['ASKING'])).catch(() => {
      // The command behind it fails likewise, and is what counts.
    })
  }
  return to.send(command)
}
