/**
 * The execute pipeline: every command from every door passes here. Hot path.
 *
 * Order (Valkey src/server.c processCommand): resolve → arity → authentication → rights of the user → gates (memory, disk error, replicas) → subscribed context → loading → transaction queue → handler → effects → reply.
 * Errors are thrown by handlers and caught in `run`, which takes back what the command had written.
 *
 * When a gate is added, it goes into `gatedRefusal`, in Redis' order, and into `lookAtGates`: mostly all are open, which is
 * found out once for a batch.
 */
import { authorize } from '../commands/acl/authorize.ts'
import { AccessContext, type AccessControl, type CommandContext } from '../commands/context.ts'
import { CommandFlag } from '../commands/define.ts'
import type { Command, Registry } from '../commands/registry.ts'
import { scriptRunner } from '../commands/scripting/script-runner.ts'
import { ClientFlag, discardTransaction } from '../commands/session.ts'
import { CommandTimer } from '../observe/command-timer.ts'
import type { LatencyMonitor } from '../observe/latency-monitor.ts'
import type { Slowlog } from '../observe/slowlog.ts'
import { StallCause, type Stalls } from '../observe/stalls.ts'
import type { ErrorStats, ServerStats } from '../observe/stats.ts'
import type { Tracking } from '../pubsub/tracking.ts'
import type { Args } from '../resp/args.ts'
import {
  AccessDenied,
  COMMAND_NOT_IN_TRANSACTION,
  disabledCommand,
  execAborted,
  LOADING,
  MASTERDOWN,
  NOAUTH,
  OOM,
  ReplyError,
  subscribedContext,
  unknownCommand,
  unknownSubcommand,
  wrongArity,
} from '../resp/errors.ts'
import type { ReplySink } from '../resp/reply.ts'
import type { Client } from './client.ts'
import { type MemoryLimit, MemoryState } from './memory-limit.ts'
import { Monitors } from './monitors.ts'
import { keepPreImages } from './pre-images.ts'
import { endCaching, rememberKeys } from './read-keys.ts'

/** Answers what the pipeline asks of the server. */
export interface PipelineGates {
  /** Why writes are refused because of the disk; null when they are not. */
  readonly writeRefusal: ReplyError | null
  /** Whether clients must authenticate. */
  readonly needsAuthentication: boolean
  /** `maxmemory` */
  readonly memoryLimit: Pick<MemoryLimit, 'maxBytes' | 'makeRoom'>
  /** Whether data are being loaded. */
  readonly isLoading: boolean
  /** Told of calls that were refused for want of rights. */
  readonly access: AccessControl
  /** What was pushed to the running client until now, about keys that were evicted, goes before its reply. */
  tellRunning(): void
  /** Called when a client has sent what browsers send and Redis' clients do not; closes it. */
  foreignProtocol(client: Client): void
  /** Whether data may be old that must not be then (replica-serve-stale-data no). */
  readonly isStale: boolean
  /** Why writes are refused for want of replicas, or because this server is one; null when they are not. */
  readonly replicaRefusal: ReplyError | null
  /** Called when a command of the primary has failed here. */
  primaryFailed(command: Command, error: string): void
  /** Called when a replica has sent a command that is answered; closes it. */
  replicaReplied(client: Client): void
  /** Called when a handler failed with something that is no ReplyError: a defect. */
  internalError(command: Command, error: unknown): void
  /** Called when a command of the log that is loaded replied with an error. */
  replayFailed(command: Command, error: string): void
}

/** Flags that take a client off the fast path. */
const SLOW_FLAGS =
  ClientFlag.ReplyOff | ClientFlag.ReplySkip | ClientFlag.ReplySkipNext | ClientFlag.Replica | ClientFlag.Primary
/** Flags of clients whose commands may be refused though all gates of the server are open, or pass them though closed. */
const GATED_FLAGS = ClientFlag.Multi | ClientFlag.Primary
/** A command with more arguments is timed alone although it is fast: its time grows with them. */
const SHORT_ARGUMENTS_MAX = 16
/** What subscribing and unsubscribing have, and nothing else. */
const PUSH_FLAGS = CommandFlag.PubSub | CommandFlag.NoScript
const DEBUG_DISABLED = disabledCommand('DEBUG', 'enable-debug-command')
/** Arguments of an unknown command that are looked at for the error. */
const UNKNOWN_SHOWN_MAX = 48
/** Commands that end a transaction without running it. */
const ENDS_MULTI: ReadonlySet<string> = new Set(['discard', 'quit', 'reset'])
const US_PER_MS = 1000
/** What takes less is of no interest to the latency monitor, which counts in ms, nor to who looks for stalls. */
const LONG_US = US_PER_MS / 2
const NO_SECRETS: readonly number[] = []
/** Reply to a command that failed for a defect of the server. */
export const INTERNAL_ERROR = 'ERR internal error'

/** What the pipeline counts and reports to. */
export interface Observers {
  readonly errors: ErrorStats
  readonly stats: ServerStats
  readonly slowlog: Slowlog
  readonly latency: LatencyMonitor
  readonly stalls: Stalls
  readonly tracking: Tracking
}

export class Pipeline {
  private readonly ctx: CommandContext
  private readonly registry: Registry
  private readonly gates: PipelineGates
  private readonly errors: ErrorStats
  private readonly stats: ServerStats
  private readonly slowlog: Slowlog
  private readonly latency: LatencyMonitor
  private readonly stalls: Stalls
  private readonly tracking: Tracking
  readonly timer: CommandTimer
  readonly monitors: Monitors
  /** Whether it is known that no gate of the server is closed (`lookAtGates`): then commands are not checked one by one. */
  private isOpen: boolean = false

  constructor(ctx: CommandContext, registry: Registry, gates: PipelineGates, observers: Observers) {
    this.ctx = ctx
    this.registry = registry
    this.gates = gates
    this.errors = observers.errors
    this.stats = observers.stats
    this.slowlog = observers.slowlog
    this.tracking = observers.tracking
    this.latency = observers.latency
    this.stalls = observers.stalls
    this.timer = new CommandTimer(observers.slowlog, observers.latency, observers.stalls)
    this.monitors = new Monitors()
  }

  /** Begins a batch of requests: what has happened since the last one may have closed a gate. */
  beginBatch(): void {
    this.isOpen = false
    this.timer.begin()
  }

  /** In the midst of a batch something else has happened than commands that only touch data. */
  gatesMayHaveChanged(): void {
    this.isOpen = false
  }

  /** The command of a request with its subcommand; null (and an error reply in `refused`) when there is none. */
  resolve(args: Args): Command | ReplyError {
    const command = this.registry.find(args)
    if (command === null) return unknownCommandError(args)
    if (command.subcommands === null || args.count < 2) return command
    return command.findSubcommand(args) ?? unknownSubcommand(args.text(1), command.name)
  }

  /** Executes one request of a door. */
  execute(client: Client, args: Args, reply: ReplySink): void {
    const found = this.registry.find(args)
    // Nearly every command is one without subcommands.
    this.executeFound(client, found !== null && found.subcommands === null ? found : this.resolve(args), args, reply)
  }

  /** As `execute`, of a request that `resolve` has looked up. */
  executeFound(client: Client, command: Command | ReplyError, args: Args, reply: ReplySink): void {
    let mark = reply.position()
    if (command instanceof ReplyError) {
      if (client.door === null && isForeignProtocol(args)) {
        this.gates.foreignProtocol(client)
        return
      }
      this.refuse(client, null, command, args, reply)
    } else {
      client.lastCommandName = command.fullName
      const refusal = this.refusal(client, command, args)
      mark = reply.position()
      if (refusal !== null) this.refuse(client, command, refusal, args, reply)
      else if ((client.flags & (ClientFlag.Multi | ClientFlag.NoTouch)) !== 0)
        this.executeInMode(client, command, args, reply)
      else this.run(client, command, args, reply)
    }
    if ((client.flags & SLOW_FLAGS) !== 0) this.dropReply(client, command, mark, reply)
    if (client.tracking !== null) endCaching(client, command)
  }

  /** As `execute`, while a script runs too long: what is not flagged AllowBusy is refused. */
  executeWhileBusy(client: Client, args: Args, reply: ReplySink): void {
    const command = this.resolve(args)
    if (command instanceof ReplyError || (command.flags & CommandFlag.AllowBusy) !== 0) {
      this.execute(client, args, reply)
      return
    }
    const mark = reply.position()
    client.lastCommandName = command.fullName
    this.refuse(client, command, this.refusal(client, command, args) ?? scriptRunner(this.ctx).busyError, args, reply)
    if ((client.flags & SLOW_FLAGS) !== 0) this.dropReply(client, command, mark, reply)
  }

  /** Queues the command of a transaction; with CLIENT NO-TOUCH, runs it so that access times stay. */
  private executeInMode(client: Client, command: Command, args: Args, reply: ReplySink): void {
    if ((client.flags & ClientFlag.Multi) !== 0 && !runsInMulti(command)) {
      this.enqueue(client, command, args, reply)
      return
    }
    const { keyspace } = this.ctx
    keyspace.renewsAccess = (client.flags & ClientFlag.NoTouch) === 0
    this.run(client, command, args, reply)
    keyspace.renewsAccess = true
  }

  /** Executes one command of the log: queued inside MULTI, without gates. */
  replay(client: Client, command: Command, args: Args, reply: ReplySink): void {
    if ((client.flags & ClientFlag.Multi) !== 0 && !runsInMulti(command)) this.enqueue(client, command, args, reply)
    else this.runReplayed(client, command, args, reply)
  }

  /** As `run`, for a command of the log, those of its transactions included: it is not counted, recorded or shown. */
  runReplayed(client: Client, command: Command, args: Args, reply: ReplySink): void {
    const ctx = this.ctx
    const mark = reply.position()
    const { db, session, dirty } = ctx
    ctx.enter(client)
    try {
      command.handler(ctx, args, reply)
    } catch (error) {
      reply.takeBack(mark)
      const text = error instanceof ReplyError ? error.text : INTERNAL_ERROR
      if (!(error instanceof ReplyError)) this.gates.internalError(command, error)
      this.gates.replayFailed(command, text)
      reply.error(text)
    }
    ctx.session = session
    ctx.db = db
    ctx.dirty = dirty
  }

  /** Runs the command of a blocked client once more: its user may have lost the right in the meantime. */
  rerun(client: Client, command: Command, args: Args, reply: ReplySink): void {
    const denial = client.user.isUnrestricted ? null : authorize(client.user, command, args)
    if (denial === null) this.run(client, command, args, reply)
    else {
      client.blockedMicroseconds = 0
      this.refuse(client, command, denial, args, reply)
    }
  }

  /** Runs a handler, records its effect and turns what it throws into a reply. */
  run(client: Client, command: Command, args: Args, reply: ReplySink): void {
    const ctx = this.ctx
    const journal = ctx.journal
    const db = client.db.index
    const mark = reply.position()
    const effects = journal.effectCount
    const outerDb = ctx.db
    const outerSession = ctx.session
    const outerDirty = ctx.dirty
    ctx.enter(client)
    const timer = this.timer
    const isShort = this.isShort(command, args)
    const startMs = isShort ? 0 : timer.start()
    // Scripts are shown before what they call.
    if (!this.monitors.isEmpty && (command.flags & CommandFlag.SkipMonitor) !== 0)
      this.showToMonitors(client, command, args)
    if (ctx.keyspace.walk !== null && (command.flags & CommandFlag.Write) !== 0) keepPreImages(ctx.db, command, args)
    journal.beginUnit()
    try {
      command.handler(ctx, args, reply)
    } catch (error) {
      reply.takeBack(mark)
      command.failedCalls++
      if (error instanceof ReplyError) {
        this.errors.count(error.code)
        reply.error(error.text)
        if ((client.flags & ClientFlag.Primary) !== 0) this.gates.primaryFailed(command, error.text)
      } else {
        this.gates.internalError(command, error)
        reply.error(INTERNAL_ERROR)
      }
    }
    if (client.tracking !== null && command.isTracked) this.remember(client, command, args)
    // Keys that the command met expired are recorded before it: when it is replayed it must not find them either.
    if (client.db.hasMetExpired) this.reapMet(client, command)
    if (ctx.dirty > 0 && journal.effectCount === effects && !ctx.isRecordingOff) journal.command(db, args)
    journal.endUnit()
    if (journal.effectCount !== effects) client.lastEffect = journal.effectCount
    if (isShort) {
      timer.defer(command)
      command.calls++
      this.stats.commandsProcessed++
    } else {
      // Only brief commands are known to leave the server as it is.
      this.isOpen = false
      this.account(client, command, args, timer.stop(startMs))
    }
    if (!this.monitors.isEmpty && (command.flags & CommandFlag.SkipMonitor) === 0)
      this.showToMonitors(client, command, args)
    // A call inside EXEC or a script gives the context back to the outer command.
    ctx.session = outerSession
    ctx.db = outerDb
    ctx.dirty = outerDirty
  }

  /** Whether a call is timed together with others, not alone. */
  isShort(command: Command, args: Args): boolean {
    return command.isBrief && args.count <= SHORT_ARGUMENTS_MAX && !this.timer.isExact
  }

  /** What SCAN and RANDOMKEY meet has nothing to do with each other: it makes no transaction. */
  private reapMet(client: Client, command: Command): void {
    const { journal } = this.ctx
    const isUnrelated = command.name === 'scan' || command.name === 'randomkey'
    if (isUnrelated) journal.endUnit()
    client.db.reapMet()
    if (isUnrelated) journal.beginUnit()
  }

  /** Notes what a client that caches has read; as Redis 7.0 does it, all keys that its script names. */
  private remember(client: Client, command: Command, args: Args): void {
    const { ctx } = this
    const script = ctx.inScript && ctx.release === '7.0' ? scriptRunner(ctx).caller : null
    const reader = script === null ? command : this.resolve(script)
    if (reader instanceof ReplyError) return
    rememberKeys(this.tracking, client, reader, script ?? args)
  }

  /** Counts a command that was timed alone. One that blocks is counted when it is done, each of its attempts adds time. */
  private account(client: Client, command: Command, args: Args, microseconds: number): void {
    if (microseconds >= LONG_US) this.noteLong(command, microseconds)
    if (isWaiting(client)) {
      client.blockedMicroseconds += microseconds
      return
    }
    this.timer.add(command, microseconds + client.blockedMicroseconds)
    client.blockedMicroseconds = 0
    command.calls++
    this.stats.commandsProcessed++
    if (microseconds < this.slowlog.thresholdUs || (command.flags & CommandFlag.SkipSlowlog) !== 0) return
    this.slowlog.add(args, secretsOf(command, args), microseconds, this.ctx.now, client.address, client.name)
  }

  private noteLong(command: Command, microseconds: number): void {
    this.latency.note((command.flags & CommandFlag.Fast) === 0 ? 'command' : 'fast-command', microseconds)
    const cause = command.definition.group === 'scripting' ? StallCause.Script : StallCause.Command
    this.stalls.commandTook(command.fullName, cause, microseconds / US_PER_MS)
  }

  private showToMonitors(client: Client, command: Command, args: Args): void {
    if ((command.flags & CommandFlag.Admin) !== 0) return
    if (client.isReplay || (client.flags & ClientFlag.Reexecuting) !== 0) return
    this.monitors.feed(client, args, secretsOf(command, args), this.ctx.inScript)
  }

  private refusal(client: Client, command: Command, args: Args): ReplyError | null {
    if (!command.accepts(args.count)) return wrongArity(command.fullName)
    const isGated = (client.flags & GATED_FLAGS) !== 0 || (command.flags & CommandFlag.Protected) !== 0
    if (!isGated && client.user.isUnrestricted && !client.isSubscribed && (this.isOpen || this.lookAtGates()))
      return null
    return this.gatedRefusal(client, command, args)
  }

  /** Whether no gate of the server is closed for anybody. */
  private lookAtGates(): boolean {
    const { gates } = this
    this.isOpen =
      !gates.needsAuthentication &&
      gates.memoryLimit.maxBytes === 0 &&
      gates.writeRefusal === null &&
      gates.replicaRefusal === null &&
      !gates.isStale &&
      !gates.isLoading
    return this.isOpen
  }

  private gatedRefusal(client: Client, command: Command, args: Args): ReplyError | null {
    // What the primary has executed is executed.
    if ((client.flags & ClientFlag.Primary) !== 0) return null
    const flags = command.flags
    if ((flags & CommandFlag.Protected) !== 0 && !this.allowsDebug(client)) return DEBUG_DISABLED
    if (
      (client.flags & ClientFlag.Authenticated) === 0 &&
      (flags & CommandFlag.NoAuth) === 0 &&
      this.gates.needsAuthentication
    ) {
      return NOAUTH
    }
    if ((client.flags & ClientFlag.Multi) !== 0 && (flags & CommandFlag.NoMulti) !== 0)
      return COMMAND_NOT_IN_TRANSACTION
    if (!client.user.isUnrestricted) {
      const denial = authorize(client.user, command, args)
      if (denial !== null) return denial
    }
    const { writeRefusal, memoryLimit } = this.gates
    if (memoryLimit.maxBytes > 0) {
      const state = memoryLimit.makeRoom()
      this.gates.tellRunning()
      if (state === MemoryState.Full && this.needsMemory(client, command, args)) return OOM
    }
    if (writeRefusal !== null && this.isDeniedByDiskError(client, command, args)) return writeRefusal
    const { replicaRefusal } = this.gates
    if (replicaRefusal !== null && this.someCall(client, command, args, isWriting)) return replicaRefusal
    if (client.respVersion === 2 && client.isSubscribed && !isAllowedWhileSubscribed(command)) {
      return subscribedContext(command.fullName)
    }
    if (this.gates.isStale && this.someCall(client, command, args, needsFreshData)) return MASTERDOWN
    if (this.gates.isLoading && isDeniedWhileLoading(client, command)) return LOADING
    return null
  }

  private allowsDebug(client: Client): boolean {
    const allowed = this.ctx.config.text('enable-debug-command')
    return allowed === 'yes' || (allowed === 'local' && client.isLocal)
  }

  /** What may not run while memory is full; in a transaction nothing is queued any more, as that takes memory too. */
  private needsMemory(client: Client, command: Command, args: Args): boolean {
    if ((this.flagsOfCall(command, args) & CommandFlag.DenyOom) !== 0) return true
    if (command.name === 'exec') {
      return client.queue.some(
        (queued, queuedArgs) => (this.flagsOfCall(queued, queuedArgs) & CommandFlag.DenyOom) !== 0,
      )
    }
    return (client.flags & ClientFlag.Multi) !== 0 && !ENDS_MULTI.has(command.name)
  }

  /** Writes, and PING as the health check that it is, are refused; a transaction is if it holds a write. */
  private isDeniedByDiskError(client: Client, command: Command, args: Args): boolean {
    return command.name === 'ping' || this.someCall(client, command, args, isWriting)
  }

  /** CLIENT PAUSE: whether a command waits: all do, or those that may write or publish. What is refused is refused at once. */
  isPausable(client: Client, command: Command, args: Args, writesOnly: boolean): boolean {
    if (this.refusal(client, command, args) !== null) return false
    if (!writesOnly || this.mayWrite(command, args)) return true
    return command.name === 'exec' && client.queue.some((queued, queuedArgs) => this.mayWrite(queued, queuedArgs))
  }

  private mayWrite(command: Command, args: Args): boolean {
    return (this.flagsOfCall(command, args) & (CommandFlag.Write | CommandFlag.MayReplicate)) !== 0
  }

  /** Whether the flags of a call are so, or those of one of the calls that EXEC runs. */
  private someCall(client: Client, command: Command, args: Args, isSo: (flags: number) => boolean): boolean {
    if (isSo(this.flagsOfCall(command, args))) return true
    if (command.name !== 'exec') return false
    return client.queue.some((queued, queuedArgs) => isSo(this.flagsOfCall(queued, queuedArgs)))
  }

  /** The flags of a command, or, where they depend on the call (scripts), those of the call. */
  private flagsOfCall(command: Command, args: Args): number {
    const { callFlags } = command.definition
    return callFlags === undefined ? command.flags : callFlags(this.ctx, args)
  }

  private refuse(client: Client, command: Command | null, error: ReplyError, args: Args, reply: ReplySink): void {
    if ((client.flags & ClientFlag.Multi) !== 0) client.flags |= ClientFlag.DirtyExec
    if (command !== null) command.rejectedCalls++
    this.errors.count(error.code)
    if (error instanceof AccessDenied) {
      const isQueued = (client.flags & ClientFlag.Multi) !== 0
      this.gates.access.denied(client, error, isQueued ? AccessContext.Multi : AccessContext.TopLevel)
    }
    if (command !== null && command.name === 'exec') {
      discardTransaction(client)
      error = execAborted(error.text)
      // Monitors have seen MULTI and see its end.
      if (!this.monitors.isEmpty) this.showToMonitors(client, command, args)
    }
    reply.error(error.text)
  }

  private dropReply(client: Client, command: Command | ReplyError, mark: number, reply: ReplySink): void {
    if ((client.flags & ClientFlag.Primary) !== 0) {
      reply.takeBack(mark)
      return
    }
    if ((client.flags & ClientFlag.Replica) === 0) {
      dropUnwanted(client, command, mark, reply)
      return
    }
    // The connection carries the stream, among which a reply would be a command.
    if (reply.position() === mark) return
    reply.takeBack(mark)
    this.gates.replicaReplied(client)
  }

  private enqueue(client: Client, command: Command, args: Args, reply: ReplySink): void {
    reply.status('QUEUED')
    // A transaction that will not run holds no more memory.
    if ((client.flags & ClientFlag.DirtyExec) !== 0 || client.watchDirty) return
    client.queue.add(command, args)
  }
}

/** Commands that act at once inside MULTI. */
function runsInMulti(command: Command): boolean {
  switch (command.name) {
    case 'exec':
    case 'discard':
    case 'multi':
    case 'watch':
    case 'quit':
    case 'reset':
      return true
    default:
      return false
  }
}

function isAllowedWhileSubscribed(command: Command): boolean {
  switch (command.name) {
    case 'subscribe':
    case 'ssubscribe':
    case 'psubscribe':
    case 'unsubscribe':
    case 'sunsubscribe':
    case 'punsubscribe':
    case 'ping':
    case 'quit':
    case 'reset':
      return true
    default:
      return false
  }
}

/** Commands that need the data, and transactions with one. Clients queue none while data are loaded at the start. */
function isDeniedWhileLoading(client: Client, command: Command): boolean {
  if ((command.flags & CommandFlag.Loading) === 0) return true
  return command.name === 'exec' && client.queue.some((queued) => (queued.flags & CommandFlag.Loading) === 0)
}

function isWriting(flags: number): boolean {
  return (flags & CommandFlag.Write) !== 0
}

/** Commands that may not be answered from data which are old. */
function needsFreshData(flags: number): boolean {
  return (flags & CommandFlag.Stale) === 0
}

/** What a web page can make a browser send to us: POST, or a header of a request. */
function isForeignProtocol(args: Args): boolean {
  return args.is(0, 'POST') || args.is(0, 'HOST:')
}

/** Names as many arguments as the text can hold: it is cut to 128 bytes, and one takes three at least. */
function unknownCommandError(args: Args): ReplyError {
  const rest: string[] = []
  for (let i = 1; i < args.count && i <= UNKNOWN_SHOWN_MAX; i++) rest.push(args.text(i))
  return unknownCommand(args.text(0), rest)
}

/** Whether CLIENT REPLY OFF or SKIP drops the reply of the command that has run, or has waited; SKIP ends with it. */
export function takeUnwanted(client: Client): boolean {
  const isUnwanted = (client.flags & (ClientFlag.ReplyOff | ClientFlag.ReplySkip)) !== 0
  client.flags &= ~ClientFlag.ReplySkip
  return isUnwanted
}

/** CLIENT REPLY OFF and SKIP: the command ran, its reply is dropped. Confirmations of subscriptions are no replies. */
function dropUnwanted(client: Client, command: Command | ReplyError, mark: number, reply: ReplySink): void {
  // The reply is yet to come (Valkey src/networking.c commandProcessed).
  if ((client.flags & ClientFlag.Blocked) !== 0) return
  const isPush =
    !(command instanceof ReplyError) &&
    (command.flags & PUSH_FLAGS) === PUSH_FLAGS &&
    (client.flags & ClientFlag.Multi) === 0
  if (takeUnwanted(client) && !isPush) reply.takeBack(mark)
  if ((client.flags & ClientFlag.ReplySkipNext) !== 0) {
    client.flags = (client.flags & ~ClientFlag.ReplySkipNext) | ClientFlag.ReplySkip
  }
}

/** Whether the command that has just run waits now, or goes on waiting. */
function isWaiting(client: Client): boolean {
  if ((client.flags & ClientFlag.Blocked) === 0) return false
  return (client.flags & ClientFlag.Reexecuting) === 0 || (client.flags & ClientFlag.StillBlocked) !== 0
}

function secretsOf(command: Command, args: Args): readonly number[] {
  const { sensitiveArguments } = command.definition
  return sensitiveArguments === undefined ? NO_SECRETS : sensitiveArguments(args)
}
