/**
 * What clients have sent, and its execution: requests are decoded out of the bytes as they come and run at once. Hot
 * path: receive, process.
 *
 * Input of a client that waits, and the beginning of a request that is not whole yet, is kept with the client and read
 * again later. A long request has a decoder of its own, which goes on where it stopped.
 *
 * A turn has an end for everybody: when its commands have taken long or made much output, what else the clients have sent
 * is kept, and executed a turn later, when those were served that have sent little. So one that sends a million requests
 * at once, and reads no reply, holds up the others by no more than a part of them.
 */
import { ClientFlag } from '../commands/session.ts'
import type { Log } from '../observe/log.ts'
import type { ServerStats } from '../observe/stats.ts'
import type { Channels } from '../pubsub/channels.ts'
import type { Args } from '../resp/args.ts'
import { Decoded, Decoder, type DecoderLimits } from '../resp/decoder.ts'
import type { ReplySink } from '../resp/reply.ts'
import type { Client } from './client.ts'
import type { Pipeline } from './execute.ts'
import type { Following } from './following.ts'
import type { TurnOutput } from './output.ts'
import type { Waiting } from './waiting.ts'

/** A half-read request above this is continued instead of read again, in bytes. */
const CONTINUE_MIN_BYTES = 4096
/** Output gathered in one turn is sent before more is executed, in bytes. */
const TURN_OUTPUT_MAX_BYTES = 4 * 1024 * 1024

/** Most of a long request that is read at once, so that others have their turn, in bytes. */
const READ_AHEAD_BYTES_MAX = 4 * 1024 * 1024
/** After so much output in a turn no more is executed in it, in bytes; */
const TURN_OUTPUT_BYTES = 16 * 1024 * 1024
/** nor after so long, in ms. */
const TURN_MS = 50
/** So much of a client's kept input is executed in one go, in bytes: it may be far more than a socket delivers at once. */
const KEPT_SLICE_BYTES = 256 * 1024
/** Input that can be kept: offsets of arguments have 31 bits, in bytes. */
const PRIMARY_BYTES_MAX = 0x7fffffff

/** What input needs of the server. */
export interface InputHost {
  readonly pipeline: Pipeline
  readonly output: TurnOutput
  readonly channels: Channels
  readonly keyspace: { readonly now: number; readonly readyKeys: readonly unknown[] }
  readonly stats: ServerStats
  readonly log: Log
  readonly limits: DecoderLimits
  readonly needsAuthentication: boolean
  readonly following: Following
  /** Most bytes that a client may have sent and that are not executed yet. */
  readonly queryBufferMax: number
  /** Whether CLIENT PAUSE is or was in force; then `mustWait` says which requests wait. */
  readonly mayPause: boolean
  mustWait(client: Client, args: Args): boolean
  readonly waiting: Waiting
  /** Sees to it that the client's kept input is executed in the next turn. */
  postpone(client: Client): void
  closeClient(client: Client): void
  /** Counts what the client holds in memory, and evicts clients when that is too much (`maxmemory-clients`). */
  weigh(client: Client): void
}

export class ClientInput {
  private readonly host: InputHost
  private readonly decoder: Decoder
  /** When the turn began, in ms of the monotonic clock; 0: nothing was executed yet. And the output so far. */
  private turnStartMs = 0
  private turnOutputBytes = 0

  constructor(host: InputHost) {
    this.host = host
    this.decoder = new Decoder(host.limits)
  }

  /** Takes bytes from a client's connection: executes what is whole, and keeps the rest. */
  receive(client: Client, buffer: Buffer, start: number, end: number): void {
    // What MULTI has queued came through the query buffer too.
    if (client.queue.argumentBytes > 0 && client.queue.argumentBytes + end - start > this.limitOf(client)) {
      this.limitReached(client)
      return
    }
    if (client.inputLength > 0 || isStalled(client) || this.isTurnOver(client)) {
      client.keepInput(buffer, start, end)
      if (!this.isWithinLimit(client) || isStalled(client)) return
      if (this.isTurnOver(client)) this.host.postpone(client)
      else this.readKept(client)
      this.goOn(client)
      if (!this.mayRead(client)) client.connection.pause()
      return
    }
    const at = this.process(client, this.decoder, buffer, start, end)
    if (at < end && (client.flags & ClientFlag.Closed) === 0) {
      this.keepPartial(client, buffer, at, end)
      if (this.isWithinLimit(client)) this.goOn(client)
    }
  }

  /** When a long request is left that is not whole: more of it may be there. */
  private goOn(client: Client): void {
    if (client.decoder === null || isStalled(client) || (client.flags & ClientFlag.Postponed) !== 0) return
    this.readAhead(client, client.decoder.neededBytes)
    // Before it is executed: then nothing of it is held any more.
    this.host.weigh(client)
    if (this.isWithinLimit(client) && !isStalled(client)) this.readKept(client)
  }

  /** Closes a client that has sent too much, and returns false. */
  private isWithinLimit(client: Client): boolean {
    if (client.inputLength <= this.limitOf(client)) return true
    this.limitReached(client)
    return false
  }

  /**
   * Reads on in a long request, up to its known end, as long as there is something. One part a turn would be slow, and
   * others would see less of it in CLIENT LIST than its sender has been rid of.
   */
  private readAhead(client: Client, neededBytes: number): void {
    let budget = READ_AHEAD_BYTES_MAX
    this.host.pipeline.timer.interrupt()
    while (budget > 0 && client.inputLength < neededBytes) {
      const bytes = client.readInput(Math.min(neededBytes, client.inputLength + budget))
      if (bytes <= 0) return
      budget -= bytes
      this.host.stats.bytesIn += bytes
      client.bytesIn += bytes
    }
  }

  /** Time and output are there anew: a turn begins, or what was postponed has its share of this one. */
  beginTurn(): void {
    this.turnStartMs = 0
    this.turnOutputBytes = 0
  }

  /**
   * Whether more is read of what the client sends: not while there is more of it than a part to be executed, or who sends
   * without end faster than it is executed would fill the memory.
   */
  mayRead(client: Client): boolean {
    const { Postponed, Primary } = ClientFlag
    return (client.flags & (Postponed | Primary)) !== Postponed || client.inputLength <= KEPT_SLICE_BYTES
  }

  /** What the primary has sent is never postponed. */
  private isTurnOver(client: Client): boolean {
    if (this.turnStartMs === 0 || (client.flags & ClientFlag.Primary) !== 0) return false
    return this.turnOutputBytes > TURN_OUTPUT_BYTES || this.host.pipeline.timer.lastMs - this.turnStartMs > TURN_MS
  }

  /** Keeps bytes for later. Returns false when that was too much and the client was closed. */
  keep(client: Client, buffer: Buffer, bytes: number): boolean {
    client.keepInput(buffer, 0, bytes)
    if (client.inputLength + client.queue.argumentBytes <= this.host.queryBufferMax) return true
    this.limitReached(client)
    return false
  }

  /** Goes on with input that was kept. */
  readKept(client: Client): void {
    const decoder = client.decoder
    if (decoder !== null && client.inputLength < decoder.neededBytes) return
    const buffer = client.input
    const end = client.inputLength
    const at = this.process(client, decoder ?? this.decoder, buffer, 0, end)
    if ((client.flags & ClientFlag.Closed) !== 0) return
    // `process` may have finished a long request and begun another one; what is left is read again from its start.
    client.dropInput(at)
    if (at === 0 && client.decoder !== null) return
    client.decoder = null
    this.notePartial(client)
  }

  /** After kept input was executed: a long request that is still not whole gets a decoder of its own. */
  notePartial(client: Client): void {
    if (isStalled(client) || client.inputLength <= CONTINUE_MIN_BYTES) return
    const decoder = new Decoder(this.host.limits)
    decoder.begin(0)
    if (
      decoder.decode(client.input, client.inputLength, this.isAuthenticated(client)) === Decoded.Incomplete &&
      decoder.isPartial
    ) {
      client.decoder = decoder
    }
  }

  /** 1, or 0 for a client that has to authenticate. */
  isAuthenticated(client: Client): number {
    return !this.host.needsAuthentication || (client.flags & ClientFlag.Authenticated) !== 0 ? 1 : 0
  }

  /** Replies to what is no request; the client will be closed. */
  refuseMalformed(client: Client, problem: string, reply: ReplySink): void {
    reply.error(`ERR Protocol error: ${problem}`)
    this.host.log.verbose(`Protocol error (${problem}) from client ${client.address}`)
    client.flags |= ClientFlag.CloseAfterReply
  }

  private keepPartial(client: Client, buffer: Buffer, at: number, end: number): void {
    client.keepInput(buffer, at, end)
    if (!isStalled(client) && this.decoder.isPartial && end - at > CONTINUE_MIN_BYTES) {
      client.decoder = new Decoder(this.host.limits)
      client.decoder.continueFrom(this.decoder, at)
    }
  }

  /** Executes the requests in `buffer[at, end)`. Returns the offset of the first one that was not executed. */
  private process(client: Client, decoder: Decoder, buffer: Buffer, at: number, end: number): number {
    const { host } = this
    const { output, pipeline, keyspace } = host
    const { resp2, resp3 } = host.channels
    const sink = output.sink
    let continuing = decoder === client.decoder
    client.batchBytes = end - at
    client.lastCommandMs = keyspace.now
    const sliceEnd = buffer === client.input ? at + KEPT_SLICE_BYTES : end
    pipeline.beginBatch()
    if (this.turnStartMs === 0) this.turnStartMs = pipeline.timer.lastMs
    output.openSegment(client)
    while (at < end) {
      if (!continuing) decoder.begin(at)
      continuing = false
      const outcome = decoder.decode(buffer, end, this.isAuthenticated(client))
      if (outcome === Decoded.Incomplete) break
      if (outcome === Decoded.Malformed) {
        this.refuseMalformed(client, decoder.error, sink)
        at = end
        break
      }
      if (outcome === Decoded.Request) {
        if (host.mayPause && host.mustWait(client, decoder.args)) {
          // It is read again from its start, the decoder of a long one is done with it.
          client.decoder = null
          break
        }
        sink.version = client.respVersion
        client.commandCount++
        pipeline.execute(client, decoder.args, sink)
        if (output.ownPushes.at > 0) output.appendOwnPushes()
        if (keyspace.readyKeys.length > 0) host.waiting.serveReady(client)
      }
      if ((client.flags & ClientFlag.Primary) !== 0) host.following.applied(client, buffer, at, decoder.next)
      at = decoder.next
      if (decoder !== this.decoder) {
        // The long request is done; those behind it are read by the shared decoder.
        client.decoder = null
        decoder = this.decoder
      }
      // One that has reached its limit will be closed: nothing more of it is executed.
      if (isStalled(client) || sink.hasOverflowed) break
      if (sink.at > TURN_OUTPUT_MAX_BYTES || resp2.at + resp3.at > TURN_OUTPUT_MAX_BYTES) {
        this.turnOutputBytes += sink.at
        output.flushMidTurn(client)
        pipeline.gatesMayHaveChanged()
        if ((client.flags & ClientFlag.Closed) !== 0) break
      }
      if (at < end && (at >= sliceEnd || this.isTurnOver(client))) {
        // Nothing of the next request is read yet.
        decoder.begin(at)
        host.postpone(client)
        break
      }
    }
    output.closeSegment(client)
    pipeline.timer.end()
    client.batchBytes = 0
    return at
  }

  /** What the primary has accepted is accepted, up to what can be kept at all. */
  private limitOf(client: Client): number {
    return (client.flags & ClientFlag.Primary) === 0 ? this.host.queryBufferMax : PRIMARY_BYTES_MAX
  }

  private limitReached(client: Client): void {
    this.host.stats.queryLimitDisconnections++
    this.host.log.warning(`Closing client ${client.address} that reached max query buffer length`)
    this.host.closeClient(client)
  }
}

/** Whether a client takes no command now: it waits, or is about to be closed. */
export function isStalled(client: Client): boolean {
  return (
    (client.flags & (ClientFlag.Blocked | ClientFlag.Paused | ClientFlag.CloseAfterReply | ClientFlag.Closed)) !== 0
  )
}
