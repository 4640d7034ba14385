/**
 * Answers other clients while a script runs too long (`busy-reply-threshold`).
 *
 * There is one thread, and a script keeps its loop from going on: no input is delivered. So the tick of a script that is
 * over its time comes here, and the sockets are read from within the script:
 *
 *     script ─tick─▶ poll ─▶ each connection: readNow ─▶ kept input ─▶ decode ─▶ executeWhileBusy ─▶ reply
 *                                                                                 │
 *                             BUSY, or the command is flagged AllowBusy and runs ◀┘
 *
 * The client that runs the script, and those that are blocked or paused, stay as they are; what they send waits in their
 * sockets. What was executed before the script is written to the log and answered when the first poll begins, of the
 * script itself nothing leaves before it ends. Time stands still for commands, as it does within the script.
 *
 * Transports that cannot read out of turn are not served, and accept nobody meanwhile: node:net's, and that of in-process
 * clients, which live in the thread that the script holds. A script of a log that is loaded is no exception, but nobody can kill
 * it: but for a few, commands hear that data are being loaded. Cold.
 */
import type { CommandContext } from '../commands/context.ts'
import { RunKind, type ScriptRunner } from '../commands/scripting/script-runner.ts'
import { ClientFlag } from '../commands/session.ts'
import type { Log } from '../observe/log.ts'
import { Decoded, Decoder, type DecoderLimits } from '../resp/decoder.ts'
import { doubleFormat, RespSink } from '../resp/reply.ts'
import { INPUT_ENDED } from '../transport/contract.ts'
import type { Client } from './client.ts'
import type { Pipeline } from './execute.ts'
import type { ClientInput } from './input.ts'
import type { TurnOutput } from './output.ts'

/** The script runs on for so long between two polls, in ms. */
const POLL_INTERVAL_MS = 10
/** A poll takes so long at most, in ms; the next one goes on with the clients that are left. */
const POLL_MS = 5
/** Read from a connection in one go, in bytes. */
const INPUT_BYTES = 64 * 1024

/** What BUSY mode needs of the server. */
export interface BusyHost {
  readonly ctx: CommandContext
  readonly pipeline: Pipeline
  readonly limits: DecoderLimits
  readonly log: Log
  readonly clients: ReadonlyMap<number, Client>
  readonly output: TurnOutput
  readonly input: ClientInput
  /** Accepts connections that wait, where the transport can do that out of turn. */
  acceptWaiting(): void
  /** Whether the client runs the script, is blocked or paused, or takes no more commands. */
  isWaiting(client: Client): boolean
  /** Keeps what a client has sent. Returns false when that was too much and the client was closed. */
  keepInput(client: Client, buffer: Buffer, bytes: number): boolean
  /** The client has sent its last byte. */
  clientEnded(client: Client): void
}

export class BusyMode {
  /** A script that runs longer is over its time, in ms; 0: none is. */
  thresholdMs: number = 0
  /** Whether clients are being served in the midst of a script. */
  isServing: boolean = false
  private readonly host: BusyHost
  private isOverTime: boolean = false
  private nextPollMs = 0
  /** Clients that were not served in this round yet. */
  private round: IterableIterator<Client> | null = null
  // Made when they are first needed.
  private input: Buffer | null = null
  private sink: RespSink | null = null
  private decoder: Decoder | null = null

  constructor(host: BusyHost) {
    this.host = host
  }

  /** The tick of a script: serves others when it has run too long. */
  poll(runner: ScriptRunner): void {
    const now = performance.now()
    if (runner.firstTickMs === 0) {
      runner.firstTickMs = now
      this.isOverTime = false
      return
    }
    const elapsedMs = now - runner.firstTickMs
    if (this.thresholdMs === 0 || elapsedMs < this.thresholdMs) return
    if (!this.isOverTime) this.enter(runner, elapsedMs)
    else if (now < this.nextPollMs) return
    this.serveRound(now + POLL_MS)
    this.nextPollMs = performance.now() + POLL_INTERVAL_MS
  }

  private enter(runner: ScriptRunner, elapsedMs: number): void {
    this.isOverTime = true
    this.round = null
    this.host.log.warning(
      `Slow script detected: ${runner.name} has been running for ${Math.floor(elapsedMs)} ms. ${runner.kind === RunKind.Function ? 'FUNCTION' : 'SCRIPT'} KILL ends it if it has not written`,
    )
    this.host.output.flushBeforeScript()
  }

  private serveRound(untilMs: number): void {
    const { ctx, pipeline } = this.host
    const { mayBlock, inScript, keyspace } = ctx
    const { renewsAccess } = keyspace
    ctx.mayBlock = true
    ctx.inScript = false
    this.isServing = true
    // The script's time is no command's.
    pipeline.timer.endNow()
    pipeline.beginBatch()
    try {
      if (this.round === null) {
        // Somebody comes who has heard that the server hangs, and wants to kill the script.
        this.host.acceptWaiting()
        this.round = this.host.clients.values()
      }
      do {
        const { done, value } = this.round.next()
        if (done === true) {
          this.round = null
          return
        }
        this.serve(value)
      } while (performance.now() < untilMs)
    } finally {
      pipeline.timer.endNow()
      this.isServing = false
      ctx.mayBlock = mayBlock
      ctx.inScript = inScript
      keyspace.renewsAccess = renewsAccess
    }
  }

  private serve(client: Client): void {
    const { host } = this
    if (host.isWaiting(client)) return
    this.input ??= Buffer.allocUnsafeSlow(INPUT_BYTES)
    const bytes = client.connection.readNow(this.input)
    // A replica that has gone must not count any more: the script may look.
    if (bytes === INPUT_ENDED) host.clientEnded(client)
    if (bytes > 0 && !host.keepInput(client, this.input, bytes)) return
    // What came before the script began, and was left for the next turn, may be SCRIPT KILL.
    if (bytes <= 0 && (client.inputLength === 0 || (client.flags & ClientFlag.Postponed) === 0)) return
    if (client.decoder !== null && client.inputLength < client.decoder.neededBytes) return
    this.sink ??= new RespSink(host.ctx.arena, doubleFormat(host.ctx.release))
    const sink = this.sink
    sink.reset()
    const executedBytes = this.executeKept(client, sink)
    if ((client.flags & ClientFlag.Closed) !== 0) return
    client.dropInput(executedBytes)
    if (executedBytes > 0 || client.decoder === null) {
      client.decoder = null
      host.input.notePartial(client)
    }
    host.output.reply(client, Buffer.from(sink.buffer.subarray(0, sink.at)))
  }

  /** Executes the requests in a client's kept input. Returns the offset of the first one that was not executed. */
  private executeKept(client: Client, sink: RespSink): number {
    const { host } = this
    const buffer = client.input
    const end = client.inputLength
    this.decoder ??= new Decoder(host.limits)
    let decoder = client.decoder ?? this.decoder
    let isContinuing = client.decoder !== null
    let at = 0
    while (at < end) {
      if (!isContinuing) decoder.begin(at)
      isContinuing = false
      const outcome = decoder.decode(buffer, end, host.input.isAuthenticated(client))
      if (outcome === Decoded.Incomplete) break
      if (outcome === Decoded.Malformed) {
        host.input.refuseMalformed(client, decoder.error, sink)
        return end
      }
      if (outcome === Decoded.Request) {
        sink.version = client.respVersion
        client.commandCount++
        host.pipeline.executeWhileBusy(client, decoder.args, sink)
      }
      at = decoder.next
      decoder = this.decoder
      if (host.isWaiting(client)) break
    }
    return at
  }
}
