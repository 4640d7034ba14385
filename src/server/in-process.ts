/**
 * The in-process door: commands as JavaScript values, without a socket and without RESP in between.
 *
 * Calls are executed in order. They share one session, so `SELECT`, `MULTI` and `WATCH` mean all calls that follow. A
 * command that may block runs in a session of its own (in the same database), which others reuse when it is done; so it
 * holds up nobody. Replies are handed out when the data they stand for is as durable as configured: at the end of the
 * turn, or before if nothing was written and nothing else is to be sent.
 *
 * `call` executes at once what it can: the promise is settled when the caller gets it, and nothing was queued. The rest,
 * and what comes by `enqueue`, waits in one queue and is executed in a tick of its own: never from within a running
 * command or while replies are sent. So wait calls behind others that wait, and those of a caller that has taken its
 * part of the turn already.
 *
 *     call() ─▶ session.callNow ─▶ pipeline … ─▶ settled promise
 *        └─▶ queue ─tick─▶ session.execute ─▶ pipeline … ─▶ replied() ─end of batch or turn─▶ release() ─▶ promise
 *                                  └─ blocks ─▶ … key is ready, or timeout ─▶ replied() …
 */
import type { User } from '../access/user.ts'
import { CommandFlag } from '../commands/define.ts'
import type { Command } from '../commands/registry.ts'
import { scriptRunner } from '../commands/scripting/script-runner.ts'
import { ClientFlag } from '../commands/session.ts'
import { Args, ArgsBuilder } from '../resp/args.ts'
import { ReplyError } from '../resp/errors.ts'
import { doubleFormat, type ReplySink, RespSink } from '../resp/reply.ts'
import { CommandError, type Decode, type ReplyValue, ValueSink } from '../resp/value-sink.ts'
import type { Connection } from '../transport/contract.ts'
import type { Client, Door } from './client.ts'
import { Fifo } from './fifo.ts'
import { isStalled } from './input.ts'
import type { Server } from './server.ts'

/** An argument of a command. Numbers become decimal text. */
export type Argument = string | number | bigint | Uint8Array

/** Calls executed in one go; sockets get their turn before the next ones. */
const CALLS_PER_TURN_MAX = 1000
/** Calls that may wait to be executed; more are rejected. */
const WAITING_CALLS_MAX = 1_000_000
/** Sessions kept for further blocking commands. */
const IDLE_SESSIONS_MAX = 16

/** A call after `close()`, or one that close() overtook. */
export class BrokerClosedError extends Error {
  override readonly name = 'BrokerClosedError'

  constructor() {
    super('The broker is closed')
  }
}

/** A call for which there is no room. */
export class DoorFullError extends Error {
  override readonly name = 'DoorFullError'

  constructor(waiting: number) {
    super(`Cannot call: ${waiting} calls wait already`)
  }
}

/** A call whose session was closed (CLIENT KILL, a deleted user): it may have been executed. */
export class SessionClosedError extends Error {
  override readonly name = 'SessionClosedError'

  constructor() {
    super('The connection was closed')
  }
}

/** A call that its caller has taken back before it was executed. */
export class CallCancelledError extends Error {
  override readonly name = 'CallCancelledError'

  constructor() {
    super('The call was taken back')
  }
}

/** What a reply becomes: values, or the bytes that a socket would get (a Buffer). */
export type CallDecode = Decode | typeof RAW_RESP
export const RAW_RESP = 3

/** What came of the attempt to execute a call at once: nothing, a reply, or that it is executed and has to wait. */
const Attempt = { None: 0, Replied: 1, Executed: 2 } as const
type Attempt = (typeof Attempt)[keyof typeof Attempt]

/** One command on its way. Exactly one of `done` and `failed` is called. */
export interface Call {
  readonly args: readonly Argument[]
  readonly decode: CallDecode
  /** Why this caller must not run a command; null when it may. */
  readonly refuse: (command: Command) => CommandError | null
  /** Set by `cancel`. */
  isCancelled: boolean
  done(reply: ReplyValue): void
  failed(error: Error): void
}

/** Closed while the broker calls the program (its logger): what that calls in turn must not run in the midst of it. */
export interface CallGate {
  isClosed: boolean
}

export interface InProcessOptions {
  /** Calls are executed at once only while it is open. Default: it is. */
  readonly gate?: CallGate
  /** Calls that may wait to be executed; more are rejected. */
  readonly waitingMax?: number
  /** RESP version that replies follow, 2 or 3. Default: 3. */
  readonly respVersion?: number
  /** Whose rights the calls have. Default: all rights. */
  readonly user?: User
  /** Bytes of the strings of one reply, unless it is a single one; a larger one becomes an error. Default: any. */
  readonly replySizeMax?: number
}

/** For callers that may run what the user may. */
export function refuseNothing(): null {
  return null
}

export class InProcess {
  readonly respVersion: number
  readonly user: User | null
  readonly waitingMax: number
  readonly replySizeMax: number
  private readonly server: Server
  private readonly gate: CallGate
  private readonly waiting = new Fifo<Call>()
  /** Sessions whose call may block, by the call. */
  private readonly blocking = new Map<Call, InProcessSession>()
  private readonly builder = new ArgsBuilder()
  private main: InProcessSession | null = null
  /** How often the shared session was closed while the door went on: SELECT, MULTI and WATCH of before are forgotten. */
  sessionsLost = 0
  /** Bytes of all replies so far. */
  repliedSize = 0
  private readonly idle: InProcessSession[] = []
  private isDrainScheduled: boolean = false
  private isClosed: boolean = false

  constructor(server: Server, options: InProcessOptions = {}) {
    this.server = server
    this.gate = options.gate ?? { isClosed: false }
    this.waitingMax = options.waitingMax ?? WAITING_CALLS_MAX
    this.respVersion = options.respVersion ?? 3
    this.user = options.user ?? null
    this.replySizeMax = options.replySizeMax ?? Number.POSITIVE_INFINITY
  }

  /** Calls that wait or are under way. */
  get isIdle(): boolean {
    return this.waiting.size === 0 && this.blocking.size === 0 && (this.main === null || this.main.isIdle)
  }

  /** Calls for which there is room now. */
  get room(): number {
    return this.waitingMax - this.waiting.size
  }

  /**
   * Runs a command; at once if nothing is before it. Resolves to its reply.
   *
   * @throws CommandError with the text of an error reply, and what else a call may fail with
   */
  call(args: readonly Argument[], decode: Decode): Promise<ReplyValue> {
    const { main } = this
    const attempt = this.executeNow(args, decode)
    if (attempt === Attempt.Replied) {
      const reply = main!.take()
      return reply instanceof CommandError ? Promise.reject(reply) : Promise.resolve(reply)
    }
    return new Promise((done, failed) => {
      this.follow(attempt, { args, decode, refuse: refuseNothing, isCancelled: false, done, failed })
    })
  }

  /** Sees to it that a call which has no reply yet gets one. */
  private follow(attempt: Attempt, call: Call): void {
    if (attempt === Attempt.Executed) this.main!.callLater(call)
    else this.enqueue(call)
  }

  /** Executes a call in the shared session if it may be executed at once. */
  private executeNow(args: readonly Argument[], decode: Decode): Attempt {
    const main = this.sessionNow()
    const command = main === null ? null : this.plainCommand(args)
    const request = command === null ? null : this.tryEncode(args)
    if (main === null || command === null || !(request instanceof Args)) return Attempt.None
    return main.callNow(decode, command, request) ? Attempt.Replied : Attempt.Executed
  }

  /** The shared session if a call may be executed at once; null when it has to wait. */
  private sessionNow(): InProcessSession | null {
    const { main } = this
    if (main === null || this.waiting.size > 0 || this.isClosed || this.gate.isClosed) return null
    return this.server.takesCallsNow && main.isFree ? main : null
  }

  /** The command of a call, if it is a plain one that is named by a string. */
  private plainCommand(args: readonly Argument[]): Command | null {
    const name = args[0]
    const command = typeof name === 'string' ? this.server.registry.findSpelled(name) : null
    return command?.isPlain === true ? command : null
  }

  /** Whether EVALSHA knows the script with this SHA1, in lower case. */
  knowsScript(sha: string): boolean {
    return scriptRunner(this.server.ctx).engine.find(sha) !== null
  }

  /** Queues a call. */
  enqueue(call: Call): void {
    if (this.isClosed) call.failed(new BrokerClosedError())
    else if (this.waiting.size >= this.waitingMax) call.failed(new DoorFullError(this.waitingMax))
    else {
      this.waiting.push(call)
      this.scheduleDrain()
    }
  }

  /**
   * Queues calls one behind the other, all of them or none: half a transaction would keep the session in MULTI. Resolves
   * to their replies when all are there; an error reply is a CommandError in its place.
   *
   * @throws DoorFullError, and what else a call may fail with
   */
  batch(commands: readonly (readonly Argument[])[], decode: CallDecode, refuse: Call['refuse']): Promise<ReplyValue[]> {
    return new Promise((resolve, reject) => {
      const replies: ReplyValue[] = new Array<ReplyValue>(commands.length).fill(null)
      let missing = commands.length
      const mayTry = refuse === refuseNothing && decode !== RAW_RESP && missing <= CALLS_PER_TURN_MAX
      if (this.room < missing) {
        reject(new DoorFullError(this.waitingMax))
        return
      }
      for (let i = 0; i < commands.length; i++) {
        const args = commands[i]!
        const { main } = this
        const attempt = mayTry ? this.executeNow(args, decode) : Attempt.None
        if (attempt === Attempt.Replied) {
          replies[i] = main!.take()
          missing--
          continue
        }
        const done = (reply: ReplyValue): void => {
          replies[i] = reply
          missing--
          if (missing === 0) resolve(replies)
        }
        const failed = (error: Error): void => {
          if (error instanceof CommandError) done(error)
          else reject(error)
        }
        this.follow(attempt, { args, decode, refuse, isCancelled: false, done, failed })
      }
      if (missing === 0) resolve(replies)
    })
  }

  /**
   * Takes back a call whose caller is gone. One that waits is rejected without being executed; a blocked one ends as by
   * its timeout, so that it takes no element; one that was executed is not changed.
   */
  cancel(call: Call): void {
    call.isCancelled = true
    this.blocking.get(call)?.endWait()
  }

  /** Rejects what has not been executed. Sessions are closed by the server, which settles what is under way. */
  close(): void {
    this.isClosed = true
    for (let call = this.waiting.shift(); call !== null; call = this.waiting.shift())
      call.failed(new BrokerClosedError())
  }

  /** As `close`, of a door that is not used any more while the server goes on: closes its sessions too. */
  destroy(): void {
    this.close()
    this.main?.destroy()
    for (const session of [...this.blocking.values(), ...this.idle]) session.destroy()
  }

  /** Why a call is lost whose session was closed. */
  closedError(): Error {
    return this.isClosed ? new BrokerClosedError() : new SessionClosedError()
  }

  /** Takes note that a call which may block is done. */
  settled(call: Call): void {
    if (this.blocking.size > 0) this.blocking.delete(call)
  }

  /** Takes note that a session is gone. */
  sessionClosed(session: InProcessSession): void {
    if (session === this.main) {
      this.main = null
      this.sessionsLost++
      if (this.waiting.size > 0) this.scheduleDrain()
      return
    }
    const at = this.idle.indexOf(session)
    if (at >= 0) this.idle.splice(at, 1)
  }

  /** Takes note that a session has nothing to do. */
  sessionIdle(session: InProcessSession): void {
    if (session === this.main) return
    if (this.idle.length < IDLE_SESSIONS_MAX) this.idle.push(session)
    else session.destroy()
  }

  /** Goes on after a session had to wait. */
  scheduleDrain(): void {
    if (this.isDrainScheduled) return
    this.isDrainScheduled = true
    // Behind what was written to in-process connections before, which is delivered in ticks too.
    process.nextTick(this.drain)
  }

  private readonly drain = (): void => {
    this.isDrainScheduled = false
    // Of `close()`.
    if (this.waiting.size === 0) return
    this.server.beginCalls()
    const hasToWait = this.executeWaiting()
    this.server.endCalls(this.main === null ? null : this.main.client)
    if (hasToWait || this.waiting.size === 0) return
    this.isDrainScheduled = true
    setImmediate(this.drain)
  }

  /** Executes what waits, up to the limit of a turn; returns whether a call was met that has to wait. */
  private executeWaiting(): boolean {
    for (let i = 0; i < CALLS_PER_TURN_MAX; i++) {
      const call = this.waiting.first()
      if (call === null) return false
      if (!this.execute(call)) return true
      this.waiting.shift()
    }
    return false
  }

  /** Returns false when the call has to wait. */
  private execute(call: Call): boolean {
    if (call.isCancelled) {
      call.failed(new CallCancelledError())
      return true
    }
    const args = this.encode(call)
    if (args === null) return true
    const command = this.server.pipeline.resolve(args)
    const isKnown = !(command instanceof ReplyError)
    const refused = isKnown ? (call.refuse(command) ?? connectionError(command)) : null
    if (refused !== null) {
      call.failed(refused)
      return true
    }
    this.main ??= this.open(call)
    const { main } = this
    if (main === null) return true
    if (!isKnown || (command.flags & CommandFlag.Blocking) === 0 || (main.client.flags & ClientFlag.Multi) !== 0) {
      return main.execute(call, command, args)
    }
    const session = this.idle.pop() ?? this.open(call)
    if (session === null) return true
    session.client.db = main.client.db
    this.blocking.set(call, session)
    // When it has to wait (CLIENT PAUSE) the session keeps the call.
    if (!session.execute(call, command, args)) session.keep(call)
    return true
  }

  /** Encodes arguments; a call with others than the types say, or too many bytes, is rejected, and null returned. */
  encode(call: Call): Args | null {
    const args = this.tryEncode(call.args)
    if (args instanceof Args) return args
    call.failed(args ?? wrongArguments(call.args))
    return null
  }

  /** Encodes arguments; null when there are none, or others than the types say; an error when they are too long. */
  private tryEncode(args: readonly Argument[]): Args | Error | null {
    try {
      return this.write(args)
    } catch (error) {
      return error as Error
    }
  }

  private write(args: readonly Argument[]): Args | null {
    const builder = this.builder
    builder.clear()
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]
      if (typeof arg === 'string') builder.utf8(arg)
      else if (Number.isSafeInteger(arg)) builder.integer(arg as number)
      else if (typeof arg === 'number' || typeof arg === 'bigint') builder.text(String(arg))
      else if (arg instanceof Uint8Array) builder.bytes(arg, 0, arg.length)
      else return null
    }
    return args.length === 0 ? null : builder.args
  }

  /** A new session; null when the server refuses it, which rejects the call. */
  private open(call: Call): InProcessSession | null {
    const session = new InProcessSession(this.server, this)
    if (session.refusal === null) return session
    call.failed(new CommandError(session.refusal))
    return null
  }
}

class InProcessSession implements Connection, Door {
  readonly outbox = null
  readonly address = '127.0.0.1:0'
  readonly localAddress = '127.0.0.1:0'
  readonly isUnixSocket = false
  readonly isLocal = true
  readonly queuedBytes = 0
  sink: ReplySink
  client: Client
  /** The error reply with which the server refused the session; null when it did not. */
  readonly refusal: string | null
  private readonly values: ValueSink
  private readonly raw: RespSink
  private readonly server: Server
  private readonly owner: InProcess
  /** Executed or blocked, without a complete reply. */
  private current: Call | null = null
  /** Waits for the end of CLIENT PAUSE. */
  private kept: Call | null = null
  /** Complete replies that are not handed out yet, and their calls. */
  private readonly finished = new Fifo<Call>()
  private readonly replies = new Fifo<ReplyValue>()
  private refusalText = ''

  constructor(server: Server, owner: InProcess) {
    this.server = server
    this.owner = owner
    this.values = new ValueSink(server.keyspace.arena, owner.replySizeMax)
    this.raw = new RespSink(server.keyspace.arena, doubleFormat(server.ctx.release))
    this.sink = this.values
    // Stands in until the server has taken the connection; a refusal closes it before that.
    this.client = server.createInternalClient(0)
    const client = server.acceptInProcess(this)
    this.refusal = client === null ? this.refusalText : null
    if (client !== null) this.client = client
    this.client.door = this
    this.client.respVersion = owner.respVersion
    if (owner.user !== null) this.client.user = owner.user
  }

  get isIdle(): boolean {
    return this.current === null && this.kept === null && this.finished.size === 0
  }

  /** Whether it takes a command now. */
  get isFree(): boolean {
    return this.current === null && this.kept === null && !isStalled(this.client)
  }

  /**
   * Executes a plain command at once. Returns whether the reply may be handed out: then it is to be taken. Else the call
   * is to be given to `callLater`.
   */
  callNow(decode: Decode, command: Command, request: Args): boolean {
    this.sink = this.values
    this.values.decode = decode
    return this.server.callNow(this.client, this, command, request)
  }

  /** The reply of the call that was executed at once. */
  take(): ReplyValue {
    this.owner.repliedSize += this.values.size
    return this.values.take()
  }

  /** The call that was executed at once waits for something, or its reply does. */
  callLater(call: Call): void {
    if ((this.client.flags & ClientFlag.Closed) !== 0) {
      call.failed(this.owner.closedError())
      return
    }
    this.current = call
    this.server.callLater(this.client, this)
  }

  /** Executes a call; false when the session has to wait first. */
  execute(call: Call, found: Command | ReplyError, args: Args): boolean {
    // WAIT has blocked it: that call and its sink are still wanted.
    if (this.current !== null) return false
    this.current = call
    if (call.decode === RAW_RESP) this.sink = this.raw
    else {
      this.sink = this.values
      this.values.decode = call.decode
    }
    if (this.server.clientCalls(this.client, this, found, args)) return true
    this.current = null
    return false
  }

  /** Ends the wait of a blocked call as by its timeout; one that was not executed yet is rejected. */
  endWait(): void {
    const { kept } = this
    if (kept !== null) {
      this.kept = null
      this.owner.settled(kept)
      kept.failed(new CallCancelledError())
      this.owner.sessionIdle(this)
    } else if ((this.client.flags & ClientFlag.Blocked) !== 0) this.server.waiting.unblock(this.client, false)
  }

  /** Keeps a call until `resume`. */
  keep(call: Call): void {
    this.kept = call
  }

  // ---- Door ----

  replied(): void {
    const call = this.current!
    this.current = null
    this.owner.settled(call)
    this.owner.repliedSize += this.sink === this.raw ? this.raw.at : this.values.size
    this.finished.push(call)
    this.replies.push(this.sink === this.raw ? this.takeRaw() : this.values.take())
  }

  private takeRaw(): Buffer {
    const { raw } = this
    const bytes = Buffer.from(raw.buffer.subarray(0, raw.at))
    raw.reset()
    return bytes
  }

  release(count: number): void {
    for (let i = 0; i < count; i++) {
      const call = this.finished.shift()
      // The session is closed.
      if (call === null) return
      const reply = this.replies.shift()
      if (reply instanceof CommandError) call.failed(reply)
      else call.done(reply)
    }
    if (this.finished.size === 0 && this.current === null) this.owner.sessionIdle(this)
  }

  // ---- Connection ----

  send(buffer: Buffer, start: number, end: number): boolean {
    // Only a refusal comes as bytes: `-text\r\n`.
    if (buffer[start] === 45) this.refusalText = buffer.latin1Slice(start + 1, end - 2)
    return true
  }

  readNow(): number {
    return 0
  }

  pause(): void {
    // Calls come one by one and know when to wait.
  }

  resume(): void {
    const { kept } = this
    if (kept === null) {
      this.owner.scheduleDrain()
      return
    }
    queueMicrotask(() => {
      const args = this.kept === kept ? this.owner.encode(kept) : null
      if (args === null) return
      this.server.beginCalls()
      if (this.execute(kept, this.server.pipeline.resolve(args), args)) this.kept = null
      this.server.endCalls(this.client)
    })
  }

  setKeepAlive(): void {
    // There is no network below.
  }

  delaySmallPackets(): void {
    // There is no network below.
  }

  end(): void {
    this.destroy()
  }

  destroy(): void {
    this.client.closed()
    const error = this.owner.closedError()
    const { current, kept } = this
    this.current = null
    this.kept = null
    if (current !== null) this.owner.settled(current)
    if (kept !== null) this.owner.settled(kept)
    current?.failed(error)
    kept?.failed(error)
    for (let call = this.finished.shift(); call !== null; call = this.finished.shift()) {
      this.replies.shift()
      call.failed(error)
    }
    this.owner.sessionClosed(this)
  }
}

/** Why a command cannot be called whose messages are no replies. */
function connectionError(command: Command): Error | null {
  if (!command.takesConnection) return null
  const instead = command.aclName.endsWith('subscribe') ? 'subscribe()' : 'a connection'
  return new Error(`Cannot call ${command.name.toUpperCase()}: its messages are no replies, use ${instead}`)
}

/** Why there is no request with these arguments. */
function wrongArguments(args: readonly unknown[]): TypeError {
  if (args.length === 0) return new TypeError('Cannot call: the command is missing')
  const wrong = args.find((arg) => !isArgument(arg))
  return new TypeError(`Cannot call ${String(args[0])}: an argument is ${describe(wrong)}`)
}

function isArgument(value: unknown): boolean {
  return ['string', 'number', 'bigint'].includes(typeof value) || value instanceof Uint8Array
}

function describe(value: unknown): string {
  return value === null || value === undefined ? String(value) : typeof value
}
