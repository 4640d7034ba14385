/**
 * A client: the state of one connection. Hot path.
 *
 * Input that is not complete, or that waits because the client is blocked or paused, is kept in `input`. Output goes
 * out at the end of the loop turn; what is pushed to the client from elsewhere gathers in `output` until then.
 */
import type { User } from '../access/user.ts'
import { CommandQueue } from '../commands/command-queue.ts'
import type { Command } from '../commands/registry.ts'
import { ClientFlag, type Session } from '../commands/session.ts'
import type { Database } from '../keyspace/database.ts'
import type { FanOut } from '../pubsub/fan-out.ts'
import type { ClientTracking } from '../pubsub/tracking.ts'
import type { Replica } from '../replication/replica.ts'
import type { Args } from '../resp/args.ts'
import type { Decoder } from '../resp/decoder.ts'
import type { ReplySink } from '../resp/reply.ts'
import type { Connection, Receiver, Turns } from '../transport/contract.ts'

/** What a client needs of the server. */
export interface ClientHost extends Turns {
  clientReceived(client: Client, buffer: Buffer, start: number, end: number): void
  clientDrained(client: Client): void
  clientEnded(client: Client): void
  clientClosed(client: Client): void
  deliver(client: Client, fanOut: FanOut, start: number, end: number): void
}

/** Takes the replies of a client whose requests do not come as bytes. */
export interface Door {
  /** Where the client's commands write their replies. */
  readonly sink: ReplySink
  /** The reply in the sink is complete. */
  replied(): void
  /** The oldest `count` complete replies may be handed out: what they stand for is as durable as it has to be. */
  release(count: number): void
}

const EMPTY = Buffer.alloc(0)
/** There is room for so much at least when more of a long request is read, in bytes. */
const READ_BYTES_MIN = 64 * 1024
/** After so much of an argument its announced size is believed, in bytes. */
const BELIEVED_BYTES = 1024 * 1024
/** Kept input up to this length moves to the front when something before it is done; more stays where it is, in bytes. */
const MOVE_BYTES_MAX = 4096
/** A client's own objects, with its socket, in bytes: measured over 10,000 idle connections, rounded. */
const OBJECT_BYTES = 4096

export class Client implements Session, Receiver {
  private readonly host: ClientHost
  readonly turns: Turns
  readonly connection: Connection
  /** Takes the replies when they are not sent through the connection. */
  door: Door | null = null
  readonly id: number
  readonly isReplay: boolean
  flags: number
  db: Database
  respVersion: number = 2
  name: string = ''
  libName: string = ''
  libVersion: string = ''
  user: User
  readonly createdMs: number
  lastCommandMs: number
  lastCommandName: string = 'NULL'
  readonly queue = new CommandQueue()
  readonly watched: { db: Database; key: string }[] = []
  watchDirty: boolean = false
  readonly channels: Set<string> = new Set()
  readonly patterns: Set<string> = new Set()
  readonly shardChannels: Set<string> = new Set()
  tracking: ClientTracking | null = null
  /** Bytes received and not executed yet, in [0, inputLength). */
  input: Buffer = EMPTY
  inputLength: number = 0
  /** Holds the state of a request that is not complete; null when it is cheap to read it again. */
  decoder: Decoder | null = null
  /** Bytes to send after what this turn has written, in [0, outputLength). */
  output: Buffer = EMPTY
  outputLength: number = 0
  /** Messages of this turn for the client as long as they lie in one range of a fan-out; then `output` is empty. */
  fanOut: FanOut | null = null
  fanOutStart: number = 0
  fanOutEnd: number = 0
  replica: Replica | null = null
  /** Whether the server has this client in its list of those with output. */
  isOutputListed: boolean = false
  /** Pieces of output that wait until the data they stand for is durable. */
  heldCount: number = 0
  heldBytes: number = 0
  /** Wall time since which the output is over its soft limit; 0 when it is not. */
  softLimitSinceMs: number = 0
  /** Blocked state: what the client waits for, its command and its place in the deadline order. */
  blockedOn: number = 0
  blockedUnblocksOnNoKey: boolean = false
  blockedCommand: Command | null = null
  blockedArgs: Args | null = null
  blockedKeys: string[] = []
  blockedDb: Database
  deadlineMs: number = 0
  pollMs: number = 0
  /** When that is next; 0: not. */
  pollAtMs: number = 0
  /** What the attempts of the command that waits have taken; it is the command's time when it is done. */
  blockedMicroseconds: number = 0
  /** Total bytes in and out, for CLIENT LIST. */
  bytesIn: number = 0
  bytesOut: number = 0
  commandCount: number = 0
  lastEffect: number = 0
  /** Bytes of the batch that is being executed. */
  batchBytes: number = 0
  /** What is counted of its memory, and where it stands among the others; see ClientMemory. */
  countedBytes: number = 0
  memoryBucket: number = -1
  subscriptionBytes: number = 0
  watchedBytes: number = 0

  constructor(
    host: ClientHost,
    connection: Connection,
    id: number,
    db: Database,
    user: User,
    flags: number,
    nowMs: number,
  ) {
    this.host = host
    this.turns = host
    this.connection = connection
    this.id = id
    this.isReplay = (flags & (ClientFlag.Replay | ClientFlag.Primary)) !== 0
    this.flags = flags
    this.db = db
    this.user = user
    this.blockedDb = db
    this.createdMs = nowMs
    this.lastCommandMs = nowMs
  }

  received(buffer: Buffer, start: number, end: number): void {
    this.host.clientReceived(this, buffer, start, end)
  }

  drained(): void {
    this.host.clientDrained(this)
  }

  ended(): void {
    this.host.clientEnded(this)
  }

  closed(): void {
    this.host.clientClosed(this)
  }

  deliver(fanOut: FanOut, start: number, end: number): void {
    this.host.deliver(this, fanOut, start, end)
  }

  get isSubscribed(): boolean {
    // Asked for each command. Every subscription takes some.
    return this.subscriptionBytes > 0
  }

  /** Keeps input for later. */
  keepInput(buffer: Buffer, start: number, end: number): void {
    const needed = this.inputLength + end - start
    this.makeRoom(needed)
    buffer.copy(this.input, this.inputLength, start, end)
    this.inputLength = needed
  }

  /** Reads what is there, until the kept input has `end` bytes at most. Returns how much it was; 0 or less for nothing. */
  readInput(end: number): number {
    this.makeRoom(Math.min(end, this.inputLength + READ_BYTES_MIN))
    const bytes = this.connection.readNow(this.input.subarray(this.inputLength, Math.min(this.input.length, end)))
    if (bytes > 0) this.inputLength += bytes
    return bytes
  }

  /** Makes the kept input have room for so many bytes. */
  private makeRoom(needed: number): void {
    if (needed > this.input.length) {
      // A long argument announces its length: room for it at once, but never much more than has come already.
      const announced = this.decoder === null ? 0 : this.decoder.neededBytes
      // No more than announced if that is known: what comes behind it is another request.
      const size =
        announced > needed
          ? Math.max(1024, Math.min(announced, roomFor(needed, this.input.length)))
          : Math.max(1024, needed, this.input.length * 2)
      const grown = Buffer.allocUnsafeSlow(size)
      this.input.copy(grown, 0, 0, this.inputLength)
      this.input = grown
    }
  }

  /** Forgets the first `bytes` of the kept input. */
  dropInput(bytes: number): void {
    this.inputLength -= bytes
    if (this.inputLength === 0) this.input = EMPTY
    else if (bytes > 0 && this.inputLength > MOVE_BYTES_MAX) this.input = this.input.subarray(bytes)
    else if (bytes > 0) this.input.copyWithin(0, bytes, bytes + this.inputLength)
  }

  /** Adds to what is sent after this turn's replies. */
  queueOutput(buffer: Buffer, start: number, end: number): void {
    const needed = this.outputLength + end - start
    if (needed > this.output.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1024, needed, this.output.length * 2))
      this.output.copy(grown, 0, 0, this.outputLength)
      this.output = grown
    }
    buffer.copy(this.output, this.outputLength, start, end)
    this.outputLength = needed
  }

  /** Adds a message that others get too; it is copied only when it does not follow the one before it. */
  queueMessage(fanOut: FanOut, start: number, end: number): void {
    if (this.fanOut === fanOut && this.fanOutEnd === start) {
      this.fanOutEnd = end
      return
    }
    if (this.outputLength === 0 && this.fanOut === null) {
      this.fanOut = fanOut
      this.fanOutStart = start
      this.fanOutEnd = end
      return
    }
    this.copyMessages()
    this.queueOutput(fanOut.buffer, start, end)
  }

  /** Copies messages that lie in a fan-out into the output, before the fan-out is reset or something follows them. */
  copyMessages(): void {
    if (this.fanOut === null) return
    const { buffer } = this.fanOut
    this.fanOut = null
    this.queueOutput(buffer, this.fanOutStart, this.fanOutEnd)
  }

  /** Takes the queued output away; the caller owns the buffer. */
  takeOutput(): Buffer {
    const taken = this.output.subarray(0, this.outputLength)
    this.output = EMPTY
    this.outputLength = 0
    return taken
  }

  get address(): string {
    return this.connection.address
  }

  get localAddress(): string {
    return this.connection.localAddress
  }

  get isLocal(): boolean {
    return this.connection.isLocal
  }

  get pendingInputBytes(): number {
    return this.batchBytes > 0 ? this.batchBytes : this.inputLength - this.readInputBytes
  }

  get argumentBytes(): number {
    if (this.decoder === null) return 0
    const { args } = this.decoder
    let bytes = 0
    for (let i = 0; i < args.count; i++) bytes += args.length(i)
    return bytes
  }

  /** Kept input that has been read already: headers, and arguments of the request that is not complete. */
  private get readInputBytes(): number {
    return this.decoder === null ? 0 : this.decoder.readBytes
  }

  get freeInputBytes(): number {
    return this.input.length - this.inputLength
  }

  get memoryBytes(): number {
    const buffers = this.input.length + this.output.length + this.heldBytes + this.connection.queuedBytes
    const prefixes = this.tracking === null ? 0 : this.tracking.prefixBytes
    return OBJECT_BYTES + buffers + this.queue.memoryBytes + this.subscriptionBytes + this.watchedBytes + prefixes
  }

  /** Bytes waiting to be sent, wherever they are. */
  get pendingOutputBytes(): number {
    const messages = this.fanOut === null ? 0 : this.fanOutEnd - this.fanOutStart
    const stream = this.replica === null ? 0 : this.replica.pendingBytes
    return this.outputLength + messages + this.heldBytes + this.connection.queuedBytes + stream
  }
}

/**
 * How much room to make for a long argument of which so many bytes are there. Room is only taken from the system as it is
 * filled; but a megabyte must have come before the size that was announced is believed, or nothing but headers would do to
 * have much of the address space, and what has come is copied no more after that.
 */
function roomFor(needed: number, room: number): number {
  return needed >= BELIEVED_BYTES ? Number.POSITIVE_INFINITY : Math.max(needed * 4, room * 2)
}
