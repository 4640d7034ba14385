/**
 * What a turn has to send. Hot path: openSegment, closeSegment, flush.
 *
 * Replies of all clients gather in one shared sink, as segments (client, from, to); messages that others push to a
 * client queue with the client. `flush` hands the journal to the append-only file first, then sends each segment, then
 * what is queued. With `appendfsync always` all of it is held until the data it stands for is synced; so is what
 * follows, because it may show that data. While the log cannot be written that would hold up everybody, as long as a
 * disk is full: then only those wait on whose output is held already. Writes are refused by then, so that nothing that is
 * sent answers one; what is read may show the write that met the failure.
 */
import { ClientFlag } from '../commands/session.ts'
import type { OutputBufferLimits } from '../config/special-directives.ts'
import type { Log } from '../observe/log.ts'
import { StallCause, type Stalls } from '../observe/stalls.ts'
import type { ServerStats } from '../observe/stats.ts'
import { type Aof, FsyncPolicy } from '../persistence/aof.ts'
import type { Journal } from '../persistence/journal.ts'
import type { Channels } from '../pubsub/channels.ts'
import type { FanOut } from '../pubsub/fan-out.ts'
import { type DoubleFormat, RespSink } from '../resp/reply.ts'
import type { Arena } from '../storage/arena.ts'
import type { Connection, Outbox } from '../transport/contract.ts'
import type { Client } from './client.ts'
import type { ClientMemory } from './client-memory.ts'
import { Fifo } from './fifo.ts'
import type { GroupCommit } from './group-commit.ts'
import { hardOutputLimit, isOverOutputLimit, isOverUnauthenticatedLimit } from './output-limits.ts'

/** What output needs of the server. */
export interface OutputHost {
  readonly log: Log
  readonly stats: ServerStats
  readonly stalls: Stalls
  readonly journal: Journal
  readonly channels: Channels
  readonly keyspace: { readonly now: number }
  readonly outputLimits: OutputBufferLimits
  readonly aof: Aof | null
  readonly groupCommit: GroupCommit
  readonly needsAuthentication: boolean
  /** Sees to it that `flush` is called at the end of this turn. */
  scheduleTurn(): void
  closeClient(client: Client): void
  readonly clientMemory: ClientMemory
}

/** Output that waits for the disk. */
interface Held {
  readonly client: Client
  /** Its part of what is held of a turn. */
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  /** Bytes of the log that must be durable, or written, first. */
  readonly after: number
  /** Replies of a client with a door. */
  readonly replies: number
}

export class TurnOutput {
  /** Replies of the turn, of all clients. */
  readonly sink: RespSink
  /** What is pushed to the running client while its command runs. */
  readonly ownPushes: RespSink
  /** The client whose commands are being executed. */
  running: Client | null = null
  /** Clients with doors whose replies are complete, and how many of each, in the order of the replies. */
  private finished: Client[] = []
  private readonly finishedCounts: number[] = []
  private readonly host: OutputHost
  // Segments of the turn, as parallel arrays that are reused.
  private readonly segmentClients: (Client | null)[] = []
  // Doubles: a single reply can be longer than 2 GB.
  private segmentStarts = new Float64Array(64)
  private segmentEnds = new Float64Array(64)
  private segmentCount = 0
  private segmentStart = 0
  private readonly outputListed: Client[] = []
  /** Where something was left that is to be sent. */
  private outbox: Outbox | null = null
  private readonly held = new Fifo<Held>()
  /** Why the log could not be written when the last turn ended, and how far it had come; null: it could. */
  private failureBefore: string | null = null
  private progressBefore = 0
  /** Whether writes have been refused for all of this turn. */
  private isRefusing: boolean = false

  constructor(host: OutputHost, arena: Arena, format: DoubleFormat) {
    this.host = host
    this.sink = new RespSink(arena, format)
    this.ownPushes = new RespSink(arena, format)
  }

  /** What is written to the sink from here on is for this client. */
  openSegment(client: Client): void {
    this.running = client
    this.segmentStart = this.sink.at
    this.sink.atMax = this.sink.at + hardOutputLimit(this.host.outputLimits, client)
    // What was pushed to the client earlier in this turn goes first. While the socket is busy everything queues instead.
    if (client.isOutputListed && client.connection.queuedBytes === 0) {
      client.copyMessages()
      if (client.outputLength > 0) {
        this.sink.raw(client.output, 0, client.outputLength)
        client.takeOutput()
      }
    }
  }

  /** Ends what is for this client. */
  closeSegment(client: Client): void {
    this.running = null
    // A client that was closed meanwhile gets nothing more.
    if ((client.flags & ClientFlag.Closed) !== 0) this.sink.takeBack(this.segmentStart)
    const end = this.sink.at
    if (end + client.pendingOutputBytes >= this.sink.atMax || this.sink.hasOverflowed) {
      this.closeOverLimit(client)
      return
    }
    if (end === this.segmentStart) {
      if ((client.flags & ClientFlag.CloseAfterReply) !== 0) this.listOutput(client)
      return
    }
    if (client.connection.queuedBytes > 0) {
      client.copyMessages()
      client.queueOutput(this.sink.buffer, this.segmentStart, end)
      this.sink.takeBack(this.segmentStart)
      this.listOutput(client)
      this.checkOutputLimit(client)
      return
    }
    if (this.segmentCount === this.segmentStarts.length) this.growSegments()
    this.segmentClients[this.segmentCount] = client
    this.segmentStarts[this.segmentCount] = this.segmentStart
    this.segmentEnds[this.segmentCount] = end
    this.segmentCount++
  }

  /** Whether the client has output that is not sent yet, replies of its running batch included. */
  hasOutputFor(client: Client): boolean {
    if (client === this.running && this.sink.at > this.segmentStart) return true
    return client.pendingOutputBytes > 0 || this.isInSegments(client)
  }

  private isInSegments(client: Client): boolean {
    for (let i = 0; i < this.segmentCount; i++) if (this.segmentClients[i] === client) return true
    return false
  }

  /** Takes note that a reply of a client with a door is complete. */
  replied(client: Client): void {
    const { finished } = this
    const last = finished.length - 1
    if (last >= 0 && finished[last] === client) this.finishedCounts[last]!++
    else {
      finished.push(client)
      this.finishedCounts.push(1)
    }
  }

  /**
   * Hands out the replies of a client with a door before the turn is over, if they stand for nothing that has to be
   * written first, and nothing that others get in this turn comes before them.
   */
  releaseEarly(client: Client): void {
    const { finished } = this
    if (finished.length === 1 && finished[0] === client && this.owesNothing()) this.releaseFinished(0)
  }

  /** As `releaseEarly`, for a reply that is not known here: whether it may be handed out at once. */
  mayReplyNow(): boolean {
    return this.finished.length === 0 && this.owesNothing()
  }

  /** Whether there is nothing that has to be written, and nothing for connections. */
  private owesNothing(): boolean {
    if (this.segmentCount > 0 || this.outputListed.length > 0 || this.held.size > 0) return false
    const { aof, journal } = this.host
    if (journal.pendingBytes > 0) return false
    return aof === null || (aof.error === null && aof.releasedBytes >= aof.acceptedBytes)
  }

  /** What was pushed to the running client follows its reply. */
  appendOwnPushes(): void {
    this.sink.raw(this.ownPushes.buffer, 0, this.ownPushes.at)
    this.ownPushes.reset()
  }

  /** Sends what there is in the middle of a client's batch. */
  flushMidTurn(client: Client): void {
    this.closeSegment(client)
    this.flush()
    this.openSegment(client)
  }

  /** Puts a message into a client's output; what the running client gets follows the reply it is waiting for. */
  deliver(client: Client, fanOut: FanOut, start: number, end: number): void {
    if ((client.flags & (ClientFlag.Closed | ClientFlag.CloseAfterReply)) !== 0) return
    if (client === this.running) {
      this.ownPushes.raw(fanOut.buffer, start, end - start)
      return
    }
    client.queueMessage(fanOut, start, end)
    this.listOutput(client)
    this.checkOutputLimit(client)
  }

  /** Puts a line that is RESP already into a monitor's output. */
  sendLine(client: Client, line: Buffer): void {
    if ((client.flags & (ClientFlag.Closed | ClientFlag.CloseAfterReply)) !== 0) return
    if (client === this.running) this.ownPushes.raw(line, 0, line.length)
    else this.queueReply(client, line)
  }

  /** Adds bytes to the output of a client that is not running: they follow what this turn has written to it. */
  queueReply(client: Client, bytes: Buffer): void {
    client.copyMessages()
    client.queueOutput(bytes, 0, bytes.length)
    this.listOutput(client)
    this.checkOutputLimit(client)
  }

  /** Sends replies at once, behind what the client has to get before (BUSY mode). */
  reply(client: Client, bytes: Buffer): void {
    if ((client.flags & ClientFlag.CloseAfterReply) !== 0) this.listOutput(client)
    if (bytes.length === 0) return
    if (client.heldCount > 0 || client.pendingOutputBytes > 0) {
      this.queueReply(client, bytes)
      return
    }
    this.host.stats.writes++
    this.host.stats.bytesOut += bytes.length
    client.bytesOut += bytes.length
    client.connection.send(bytes, 0, bytes.length)
  }

  /** Notes that a client has output queued, or is to be closed. */
  listOutput(client: Client): void {
    if (client.isOutputListed) return
    client.isOutputListed = true
    this.outputListed.push(client)
    this.host.scheduleTurn()
  }

  /** Journal to the AOF, then replies to the sockets. */
  flush(): void {
    this.noteRefusal()
    this.drainJournal()
    const after = this.syncHeld()
    const isKept = this.sendSegments(after)
    if (isKept) this.sink.replaceBuffer()
    else this.sink.reset()
    this.releaseFinished(after)
    this.sendListed(after)
    this.noteFailure()
    // All messages have been sent or copied now.
    this.host.channels.resp2.reset()
    this.host.channels.resp3.reset()
  }

  private drainJournal(): void {
    const { journal, stalls } = this.host
    if (journal.pendingBytes === 0) return
    const startMs = performance.now()
    journal.drain()
    stalls.took(StallCause.AofWrite, startMs)
  }

  /** As `flush`, in the midst of a script: its own client and its effects stay (BUSY mode). */
  flushBeforeScript(): void {
    this.isRefusing = false
    this.host.journal.drainBeforeUnit()
    // The running command goes on writing into the sink.
    if (this.sendSegments(this.syncHeld())) this.sink.moveToNewBuffer()
  }

  /** Sends held output whose data is as durable now as it has to be. */
  readonly releaseHeld = (): void => {
    const released = this.host.aof === null ? Number.POSITIVE_INFINITY : this.host.aof.releasedBytes
    for (let next = this.held.first(); next !== null && next.after <= released; next = this.held.first()) {
      const { client, buffer, start, end, replies } = next
      this.held.shift()
      client.heldCount--
      client.heldBytes -= end - start
      if (replies > 0) client.door?.release(replies)
      if ((client.flags & ClientFlag.Closed) !== 0) continue
      // Also when the socket is busy: what is queued with the client came later.
      if (!sendPart(client.connection, buffer, start, end)) this.checkOutputLimit(client)
      this.host.clientMemory.note(client)
      if ((client.flags & ClientFlag.CloseAfterReply) !== 0) this.listOutput(client)
    }
    // Between turns: whatever is executed from here on is refused if it writes. Otherwise the turn's end notes it.
    if (!this.hasOutput && this.host.journal.pendingBytes === 0) this.noteFailure()
  }

  private get hasOutput(): boolean {
    return this.running !== null || this.segmentCount > 0 || this.finished.length > 0 || this.outputListed.length > 0
  }

  /** Bytes of the log that output has to wait for, whose sync is started if need be; 0 when it goes out at once. */
  private syncHeld(): number {
    const aof = this.host.aof
    if (aof === null) return 0
    // What may go out by now goes first.
    aof.collectSyncs()
    if (this.held.size > 0) this.releaseHeld()
    if (aof.releasedBytes >= aof.acceptedBytes) return 0
    if (aof.policy === FsyncPolicy.Always) this.host.groupCommit.turnEnded(aof)
    return aof.acceptedBytes
  }

  /** Where the turn's commands have been executed: whether the failure that the last turn saw has lasted till now. */
  private noteRefusal(): void {
    const { failureBefore } = this
    if (failureBefore === null) {
      this.isRefusing = false
      return
    }
    const { aof } = this.host
    // One that was over in between, so that a command may have written, has brought the log forward.
    this.isRefusing = aof !== null && aof.error === failureBefore && progressOf(aof) === this.progressBefore
  }

  private noteFailure(): void {
    const { aof } = this.host
    this.failureBefore = aof === null ? null : aof.error
    if (aof !== null && this.failureBefore !== null) this.progressBefore = progressOf(aof)
  }

  /** Whether output of this turn waits, given what `syncHeld` said. A client's output stays in order. */
  private mustHold(client: Client, after: number): boolean {
    return after > 0 && (client.heldCount > 0 || !this.isRefusing)
  }

  /** Sends the segments. Returns whether a transport goes on reading from the sink's buffer. */
  private sendSegments(after: number): boolean {
    const buffer = this.sink.buffer
    let isKept = false
    let kept: Buffer | null = null
    for (let i = 0; i < this.segmentCount; i++) {
      const client = this.segmentClients[i]!
      if ((client.flags & ClientFlag.Closed) !== 0) continue
      const start = this.segmentStarts[i]!
      const end = this.segmentEnds[i]!
      this.host.stats.writes++
      this.host.stats.bytesOut += end - start
      client.bytesOut += end - start
      if (this.mustHold(client, after)) {
        // One copy for all of the turn.
        kept ??= Buffer.from(buffer.subarray(0, this.segmentEnds[this.segmentCount - 1]!))
        this.hold(client, kept, start, end, after, 0)
      } else if (!this.leave(client.connection, buffer, start, end) && !client.connection.send(buffer, start, end)) {
        isKept = true
        this.noteUnsent(client)
      }
      if ((client.flags & ClientFlag.CloseAfterReply) !== 0) this.listOutput(client)
    }
    const hasUnsent = this.sendLeft()
    for (let i = 0; i < this.segmentCount; i++) {
      const client = this.segmentClients[i]!
      this.segmentClients[i] = null
      if (hasUnsent && client.connection.queuedBytes > 0) this.noteUnsent(client)
    }
    this.segmentCount = 0
    return isKept
  }

  /** Leaves output to be sent with that of others, if there is a place for that; then `sendLeft` sends it. */
  private leave(connection: Connection, buffer: Buffer, start: number, end: number): boolean {
    const { outbox } = connection
    if (outbox === null || !outbox.leave(connection, buffer, start, end)) return false
    this.outbox = outbox
    return true
  }

  /** Sends what was left. Returns whether the system has not taken all of it. */
  private sendLeft(): boolean {
    const outbox = this.outbox
    if (outbox === null) return false
    this.outbox = null
    return outbox.sendLeft()
  }

  /** The system has not taken all that was sent to a client. */
  private noteUnsent(client: Client): void {
    this.checkOutputLimit(client)
    this.host.clientMemory.note(client)
  }

  private releaseFinished(after: number): void {
    const { finished } = this
    if (finished.length === 0) return
    // Whoever gets a reply may make others complete.
    this.finished = []
    const counts = this.finishedCounts.splice(0)
    for (let i = 0; i < finished.length; i++) {
      const client = finished[i]!
      const count = counts[i]!
      if (this.mustHold(client, after)) this.hold(client, EMPTY, 0, 0, after, count)
      else client.door?.release(count)
    }
  }

  sendListed(after: number): void {
    if (this.outputListed.length === 0) return
    const listed = this.outputListed.splice(0, this.outputListed.length)
    for (const client of listed) {
      client.isOutputListed = false
      if ((client.flags & ClientFlag.Closed) !== 0) continue
      const isHeld = this.mustHold(client, after)
      if (isHeld || client.connection.queuedBytes > 0) client.copyMessages()
      if (client.fanOut !== null) this.sendMessages(client, client.fanOut)
      else if (client.outputLength > 0 && client.connection.queuedBytes === 0) {
        const bytes = client.takeOutput()
        this.host.stats.writes++
        this.host.stats.bytesOut += bytes.length
        client.bytesOut += bytes.length
        if (isHeld) this.hold(client, bytes, 0, bytes.length, after, 0)
        else client.connection.send(bytes, 0, bytes.length)
      }
      this.host.clientMemory.note(client)
      const isClosing = (client.flags & ClientFlag.CloseAfterReply) !== 0
      if (isClosing && client.heldCount === 0 && client.outputLength === 0) client.connection.end()
    }
    if (!this.sendLeft()) return
    for (const client of listed) if (client.connection.queuedBytes > 0) this.noteUnsent(client)
  }

  private sendMessages(client: Client, fanOut: FanOut): void {
    const { fanOutStart, fanOutEnd } = client
    client.fanOut = null
    this.host.stats.writes++
    this.host.stats.bytesOut += fanOutEnd - fanOutStart
    client.bytesOut += fanOutEnd - fanOutStart
    if (this.leave(client.connection, fanOut.buffer, fanOutStart, fanOutEnd)) return
    if (client.connection.send(fanOut.buffer, fanOutStart, fanOutEnd)) return
    fanOut.isKept = true
    this.checkOutputLimit(client)
  }

  private hold(client: Client, buffer: Buffer, start: number, end: number, after: number, replies: number): void {
    client.heldCount++
    client.heldBytes += end - start
    this.held.push({ client, buffer, start, end, after, replies })
    this.host.clientMemory.note(client)
    this.checkOutputLimit(client)
  }

  private growSegments(): void {
    const starts = new Float64Array(this.segmentStarts.length * 2)
    const ends = new Float64Array(this.segmentStarts.length * 2)
    starts.set(this.segmentStarts)
    ends.set(this.segmentEnds)
    this.segmentStarts = starts
    this.segmentEnds = ends
  }

  /** Closes the client if it has too much waiting. */
  checkOutputLimit(client: Client): void {
    const isOver =
      isOverOutputLimit(this.host.outputLimits, client, this.host.keyspace.now) ||
      (this.host.needsAuthentication && isOverUnauthenticatedLimit(client))
    if (isOver) this.outputLimitReached(client)
  }

  /** Closes a client whose replies of this batch are more than it may have waiting; none of them is sent. */
  private closeOverLimit(client: Client): void {
    this.sink.takeBack(this.segmentStart)
    this.sink.hasOverflowed = false
    this.outputLimitReached(client)
  }

  private outputLimitReached(client: Client): void {
    this.host.stats.outputLimitDisconnections++
    this.host.log.warning(`Closing client ${client.address} for overcoming of output buffer limits`)
    this.host.closeClient(client)
  }
}

const EMPTY = Buffer.alloc(0)

/** Sends a part of what was held of a turn. One that has to wait must not keep all the rest. */
function sendPart(connection: Connection, buffer: Buffer, start: number, end: number): boolean {
  if (connection.queuedBytes === 0 || end - start === buffer.length) return connection.send(buffer, start, end)
  return connection.send(Buffer.from(buffer.subarray(start, end)), 0, end - start)
}

/** Grows with each write and each sync that succeeds. */
function progressOf(aof: Aof): number {
  return aof.writtenBytes + aof.syncedBytes
}
