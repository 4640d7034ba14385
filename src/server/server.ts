/**
 * The server: composition root of the engine. Takes bytes from transports, runs them through the pipeline and sends
 * the replies of a loop turn together (input.ts, output.ts). Hot path: clientReceived, endTurn.
 *
 * A turn: transports deliver input, any number of times, which is executed at once; `endTurn` (at the end of that) removes
 * keys whose time is over, goes on with input that had to wait, and has the output sent.
 */
import { randomBytes } from 'node:crypto'
import { AccessLog } from '../access/log.ts'
import { Tokens } from '../access/tokens.ts'
import { Users } from '../access/users.ts'
import { CommandContext, type ReloadOptions, type ServerControl } from '../commands/context.ts'
import { closeTargets } from '../commands/generic/migration.ts'
import { commandFamilies } from '../commands/index.ts'
import { type Command, Registry } from '../commands/registry.ts'
import { scriptRunner } from '../commands/scripting/script-runner.ts'
import { ClientFlag, discardTransaction, type Session } from '../commands/session.ts'
import type { Config } from '../config/config.ts'
import type { OutputBufferLimits } from '../config/special-directives.ts'
import { type Files, SYSTEM_FILES } from '../files/files.ts'
import { Keyspace } from '../keyspace/keyspace.ts'
import { FreeReason } from '../keyspace/lazy-free.ts'
import { Notify } from '../keyspace/notify.ts'
import { LatencyMonitor } from '../observe/latency-monitor.ts'
import type { Log } from '../observe/log.ts'
import { MemoryProbe } from '../observe/memory.ts'
import { Slowlog } from '../observe/slowlog.ts'
import { StallCause, Stalls } from '../observe/stalls.ts'
import { ErrorStats, ServerStats } from '../observe/stats.ts'
import type { Aof } from '../persistence/aof.ts'
import { AppendOnly } from '../persistence/append-only.ts'
import { Journal } from '../persistence/journal.ts'
import { LoadProgress } from '../persistence/load-progress.ts'
import { Snapshots } from '../persistence/snapshot/snapshot.ts'
import { Channels } from '../pubsub/channels.ts'
import type { FanOut } from '../pubsub/fan-out.ts'
import { Tracking } from '../pubsub/tracking.ts'
import type { PayloadFile } from '../replication/payload-file.ts'
import type { Args } from '../resp/args.ts'
import type { DecoderLimits } from '../resp/decoder.ts'
import { MAX_CLIENTS_REACHED, MISCONF_RDB, misconfAof, type ReplyError } from '../resp/errors.ts'
import { doubleFormat, type ReplySink } from '../resp/reply.ts'
import { LogLevel } from '../scripting/redis-library.ts'
import type { Connection, Receiver } from '../transport/contract.ts'
import { AccessWatch, type AccessWatchHost } from './access-watch.ts'
import { AofBaseWriter } from './aof-base.ts'
import { Blocking } from './blocking.ts'
import { type BusyHost, BusyMode } from './busy.ts'
import { Client, type ClientHost, type Door } from './client.ts'
import { ClientMemory, type ClientMemoryHost } from './client-memory.ts'
import { Pipeline, type PipelineGates } from './execute.ts'
import { Following } from './following.ts'
import { GroupCommit, type GroupCommitHost } from './group-commit.ts'
import { ClientInput, type InputHost, isStalled } from './input.ts'
import { Leaving, type LeavingHost } from './leaving.ts'
import { deletionVerb, MemoryLimit, type MemoryLimitHost } from './memory-limit.ts'
import { type OutputHost, TurnOutput } from './output.ts'
import { Pauses, type PausesHost } from './pauses.ts'
import { Replicas } from './replicas.ts'
import { Saving } from './saving.ts'
import { applySettings } from './settings.ts'
import { Timers, type TimersHost } from './timers.ts'
import { Waiting, type WaitingHost } from './waiting.ts'

/** Calls in the process get their replies at once until the commands of the turn have taken so long, in ms. */
const EARLY_MS = 2
/** Short calls in the process that follow one that was timed, and are not timed themselves. */
const UNTIMED_CALLS = 15
/** Housekeeping (timeouts, limits, statistics) runs this often, in ms. */
const CRON_MS = 100
/** Commands of a log that fail are named up to this number; the others are counted. */
const REPLAY_ERRORS_LOGGED = 10
/** Attempts with a foreign protocol are logged this often at most, in ms. */
const FOREIGN_LOG_MS = 60_000

/** The clock of a server; replaced in tests. */
export interface Clock {
  /** Wall time in ms. It may be set, forward or back. */
  now(): number
  /** Time that has gone by since some moment, in ms, whatever is done to the wall time: how long somebody waits. */
  elapsed(): number
}

export const SYSTEM_CLOCK: Clock = { now: Date.now, elapsed: () => performance.now() }

export interface ServerOptions {
  /** Whether there is no directory for an append-only log. */
  readonly isInMemory?: boolean
  readonly config: Config
  readonly log: Log
  readonly clock: Clock
  /** File operations of the log, replaced in fault tests. */
  readonly files?: Files
}

export class Server
  implements
    ClientHost,
    ClientMemoryHost,
    GroupCommitHost,
    ServerControl,
    PipelineGates,
    BusyHost,
    InputHost,
    MemoryLimitHost,
    OutputHost,
    PausesHost,
    TimersHost,
    AccessWatchHost,
    LeavingHost,
    WaitingHost
{
  readonly config: Config
  readonly log: Log
  readonly keyspace: Keyspace
  readonly registry: Registry
  readonly users: Users
  readonly tokens: Tokens
  readonly journal: Journal
  readonly channels = new Channels()
  readonly tracking: Tracking
  readonly ctx: CommandContext
  readonly pipeline: Pipeline
  readonly errors = new ErrorStats()
  readonly stats = new ServerStats()
  readonly slowlog = new Slowlog(0)
  readonly latency = new LatencyMonitor(() => this.keyspace.now)
  readonly stalls = new Stalls(this.latency)
  readonly accessLog = new AccessLog()
  readonly startedMs: number
  readonly runId = randomBytes(20).toString('hex')
  readonly limits: DecoderLimits = { bulkBytesMax: 0 }
  outputLimits: OutputBufferLimits
  readonly blocking: Blocking
  readonly waiting = new Waiting(this)
  readonly access = new AccessWatch(this)
  readonly leaving: Leaving
  readonly busy: BusyMode
  readonly clients = new Map<number, Client>()
  readonly snapshots: Snapshots
  readonly saving: Saving
  readonly replication: Replicas
  readonly following: Following
  /** A port that is open, which the configuration does not name; 0: there is none. */
  openPort = 0
  /** Loads a snapshot from the primary; set by whoever runs the server. */
  onLoadPayload: ((file: PayloadFile, isStopped: () => boolean) => Promise<number | null>) | null = null
  readonly appendOnly: AppendOnly
  /** The file that the journal is written to; null while there is none. */
  aof: Aof | null = null
  readonly loading = new LoadProgress()
  /** Error replies of commands of the log that is loaded: how many, and the last one. */
  replayErrors = 0
  replayError = ''
  /** Asked to stop by SHUTDOWN; set by whoever runs the process. */
  onShutdown: (() => void) | null = null
  /** As `onShutdown`, from the midst of a script that keeps the loop from going on: must end the process at once. */
  onShutdownNow: (() => void) | null = null
  /** Ends the process by DEBUG SEGFAULT; set by whoever runs it. */
  onCrash: ((stack: string) => void) | null = null
  /** Much memory was given up that only the garbage collector returns to the system; set by whoever runs the process. */
  onMemoryGivenUp: (() => void) | null = null
  /** Called when the process has grown: some of that may be free. */
  onMemoryGrown: (() => void) | null = null
  /** Loads the data from the log again; set by whoever opened it. */
  onReloadLog: (() => boolean) | null = null
  /** Loads the snapshot in `dir`; set by whoever runs the server. */
  onReloadDump: ((options: ReloadOptions) => boolean) | null = null
  isCronPaused: boolean = false
  /** Whether there is no directory that files may be written to. */
  readonly isInMemory: boolean
  readonly memory: MemoryProbe
  readonly clientMemory: ClientMemory
  readonly memoryLimit: MemoryLimit
  queryBufferMax = 0
  maxClients = 0
  idleTimeoutMs = 0
  keepAliveSeconds = 0
  needsAuthentication: boolean = false
  private readonly clock: Clock
  readonly output: TurnOutput
  readonly groupCommit: GroupCommit
  readonly input: ClientInput
  readonly pauses: Pauses
  private readonly timers: Timers
  private nextClientId = 1
  isTurnScheduled: boolean = false
  /** Whether the clock was read since the turn was scheduled, which may be long before its first input. */
  private isClockRead: boolean = false
  /** Calls that `callNow` executes before it times one again. */
  private untimedLeft = 0
  /** Whether calls have taken their part of the turn: replies wait for its end now. */
  private isTurnSpent: boolean = false
  /** Whether a transport is handing over what it has, and will say when that was all. */
  private isTakingInput: boolean = false
  /** Whether the loop will come by to end the turn. */
  private isEndComing: boolean = false
  private resumable: Client[] = []
  /** Those whose input had to wait for the end of the turn in which they would have had their turn. */
  private postponed: Client[] = []
  private cronTimer: NodeJS.Timeout | null = null
  private cronRuns = 0
  private isClosing: boolean = false
  private foreignLoggedMs = Number.NEGATIVE_INFINITY

  constructor(options: ServerOptions) {
    this.config = options.config
    this.outputLimits = options.config.value('client-output-buffer-limit')
    this.log = options.log
    this.clock = options.clock
    this.startedMs = options.clock.now()
    this.keyspace = new Keyspace(options.config.number('databases'), randomBytes(4).readInt32LE())
    this.keyspace.now = this.startedMs
    this.clientMemory = new ClientMemory(this)
    this.memoryLimit = new MemoryLimit(this)
    this.registry = new Registry(commandFamilies)
    this.users = new Users(this.registry, options.config.value('redis-compatibility'))
    this.tokens = tokensOf(options.config)
    this.journal = new Journal(this.keyspace.arena)
    this.blocking = new Blocking(this.keyspace, options.clock)
    this.tracking = new Tracking(this)
    this.groupCommit = new GroupCommit(this)
    this.output = new TurnOutput(this, this.keyspace.arena, doubleFormat(options.config.value('redis-compatibility')))
    this.snapshots = new Snapshots(this.keyspace, options.files ?? SYSTEM_FILES, (startMs) =>
      this.stalls.took(StallCause.Snapshot, startMs),
    )
    this.isInMemory = options.isInMemory ?? false
    this.saving = new Saving(this, options.files ?? SYSTEM_FILES)
    this.replication = new Replicas(this, options.files ?? SYSTEM_FILES)
    this.following = new Following(this)
    this.appendOnly = new AppendOnly({
      config: options.config,
      log: options.log,
      files: options.files ?? SYSTEM_FILES,
      journal: this.journal,
      base: new AofBaseWriter(this),
      isInMemory: this.isInMemory,
      now: () => options.clock.now(),
      onChange: (aof) => {
        this.aof = aof
      },
      onProgress: () => this.logProgressed(),
    })
    this.memory = new MemoryProbe({
      arena: this.keyspace.arena,
      buffersBytes: () => this.clientMemory.totalBytes + this.replication.backlogBytes + this.uncountedBytes,
    })
    const internal = this.createInternalClient(ClientFlag.Replay)
    this.ctx = new CommandContext(
      this.keyspace,
      this.journal,
      this.config,
      this.registry,
      this.channels,
      this,
      internal,
    )
    this.ctx.notifySink = (type, event, db, key) => this.publishEvent(event, db.index, key, type)
    this.keyspace.onExpired = (db, row) => {
      const key = db.keys.keyRef(row)
      this.journal.deleted(db.index, key, deletionVerb(this.keyspace.lazyFree, FreeReason.Expire))
      const text = db.keyText(row)
      this.keyspace.lost(db, text)
      this.ctx.notifyText(db, text, Notify.Expired, 'expired')
    }
    this.keyspace.onFieldExpired = (db, row, field, start, length) =>
      this.journal.fieldDeleted(db.index, db.keys.keyRef(row), field, start, length)
    this.keyspace.onHashExpired = (db, row, isEmpty) => {
      const text = db.keyText(row)
      this.keyspace.lost(db, text)
      this.ctx.notifyText(db, text, Notify.Hash, 'hexpired')
      if (isEmpty) this.ctx.notifyText(db, text, Notify.Generic, 'del')
    }
    this.pipeline = new Pipeline(this.ctx, this.registry, this, this)
    this.pipeline.monitors.send = (monitor, line) => this.output.sendLine(monitor, line)
    this.busy = new BusyMode(this)
    this.input = new ClientInput(this)
    this.pauses = new Pauses(this)
    this.timers = new Timers(this)
    this.leaving = new Leaving(this)
    scriptRunner(this.ctx).services = {
      log: (level, text) => this.logScript(level, text),
      poll: (runner) => this.busy.poll(runner),
    }
    applySettings(this)
  }

  // ---- clients -------------------------------------------------------------------------------------------------

  /** Has connections accepted that wait; set by who listens. */
  acceptWaiting: () => void = () => {}

  /** Takes a new connection; null when it was refused. */
  readonly accept = (connection: Connection): Receiver | null => this.admit(connection, 0)

  /** Takes a connection from within this process, which needs no password. */
  readonly acceptInProcess = (connection: Connection): Client | null =>
    this.admit(connection, ClientFlag.InProcess | ClientFlag.Authenticated)

  private admit(connection: Connection, doorFlags: number): Client | null {
    this.stats.connectionsReceived++
    if (this.isClosing) {
      connection.destroy()
      return null
    }
    if (this.clients.size >= this.maxClients) {
      this.stats.connectionsRejected++
      this.refuse(connection, MAX_CLIENTS_REACHED.text)
      return null
    }
    if (this.isProtected(connection)) {
      this.stats.connectionsRejected++
      this.refuse(connection, PROTECTED_MODE_TEXT)
      return null
    }
    if (!connection.isUnixSocket) connection.setKeepAlive(this.keepAliveSeconds)
    // Without a password everybody is logged in, and stays so when one is set later.
    const loginFlag = this.needsAuthentication ? 0 : ClientFlag.Authenticated
    const flags = doorFlags | loginFlag | (connection.isUnixSocket ? ClientFlag.UnixSocket : 0)
    const client = new Client(
      this,
      connection,
      this.nextClientId++,
      this.keyspace.databases[0]!,
      (doorFlags & ClientFlag.InProcess) === 0 ? this.users.default : this.users.owner,
      flags,
      this.clock.now(),
    )
    this.clients.set(client.id, client)
    this.clientMemory.note(client)
    return client
  }

  /** The session of the primary that this server replicates from. */
  admitPrimary(connection: Connection, db: number): Client {
    const client = new Client(
      this,
      connection,
      this.nextClientId++,
      this.keyspace.databases[db] ?? this.keyspace.databases[0]!,
      this.users.owner,
      ClientFlag.Primary | ClientFlag.Authenticated,
      this.clock.now(),
    )
    this.clients.set(client.id, client)
    return client
  }

  /** Puts what the primary has sent in the place of all data. Returns the database that its stream goes on in. */
  loadPayload(file: PayloadFile, isStopped: () => boolean): Promise<number | null> {
    if (this.onLoadPayload === null) throw new Error('nobody is there to load data')
    return this.onLoadPayload(file, isStopped)
  }

  /** A client without a connection: runs commands for the log and for the process itself. */
  createInternalClient(flags: number): Client {
    const db = this.keyspace.databases[0]!
    const { owner } = this.users
    return new Client(this, NO_CONNECTION, 0, db, owner, flags | ClientFlag.Authenticated, this.startedMs)
  }

  sessions(): IterableIterator<Client> {
    return this.clients.values()
  }

  session(id: number): Client | null {
    return this.clients.get(id) ?? null
  }

  /** Replicas do not count, as in Redis. */
  get clientCount(): number {
    return this.clients.size - this.replication.attached.length
  }

  openClient(id: number): Client | null {
    const client = this.clients.get(id)
    return client === undefined || (client.flags & ClientFlag.CloseAfterReply) !== 0 ? null : client
  }

  get runningClient(): Client | null {
    return this.output.running
  }

  tellRunning(): void {
    const { running, ownPushes } = this.output
    if (ownPushes.at > 0 && running !== null && running.door === null) this.output.appendOwnPushes()
  }

  /** Clients that wait because of CLIENT PAUSE count, as in Redis. */
  get blockedCount(): number {
    return this.blocking.count + this.pauses.waitingCount
  }

  clientReceived(client: Client, buffer: Buffer, start: number, end: number): void {
    this.stats.reads++
    this.stats.bytesIn += end - start
    client.bytesIn += end - start
    if ((client.flags & (ClientFlag.CloseAfterReply | ClientFlag.Closed)) !== 0) return
    this.beginTurn()
    client.lastCommandMs = this.keyspace.now
    if ((client.flags & ClientFlag.Primary) === 0) this.input.receive(client, buffer, start, end)
    else this.receiveFromPrimary(client, buffer, start, end)
    this.weigh(client)
  }

  weigh(client: Client): void {
    this.clientMemory.note(client)
    if (this.clientMemory.isOver) this.clientMemory.evict()
  }

  /** Begins a batch of `clientCalls`. */
  beginCalls(): void {
    // A caller that was answered early calls again within the turn, and time has gone by for it.
    if (this.isTurnScheduled) this.readClock()
    else this.beginTurn()
    this.pipeline.beginBatch()
  }

  /** Ends a batch of `clientCalls`. The replies of `client` need not wait for the end of the turn if it is a short one. */
  endCalls(client: Client | null): void {
    this.endTimed()
    if (client !== null && !this.isTurnSpent) this.output.releaseEarly(client)
  }

  private endTimed(): void {
    const { timer } = this.pipeline
    timer.end()
    // Others get their turn however fast a caller that awaits each reply calls again.
    if (timer.turnMs >= EARLY_MS) this.isTurnSpent = true
  }

  /** Whether calls may be executed at once, by `callNow`. */
  get takesCallsNow(): boolean {
    return !this.isTurnSpent && !this.mayPause
  }

  /**
   * Executes a request of a client with a door outside of a batch. Returns whether the reply is in the door's sink and may
   * be handed out at once; else what there is to be done is up to `callLater`. The client must not be stalled.
   */
  callNow(client: Client, door: Door, command: Command, args: Args): boolean {
    const { output, pipeline } = this
    const { timer } = pipeline
    const isTimed = this.untimedLeft === 0 || !this.isTurnScheduled || !pipeline.isShort(command, args)
    if (isTimed) this.beginCalls()
    else {
      // The program may have run for long since the last call, within one turn of the loop.
      this.readClock()
      timer.isEstimating = true
      pipeline.gatesMayHaveChanged()
    }
    output.running = client
    door.sink.version = client.respVersion
    client.lastCommandMs = this.keyspace.now
    client.commandCount++
    pipeline.executeFound(client, command, args, door.sink)
    output.running = null
    timer.isEstimating = false
    if (isTimed) {
      this.endTimed()
      this.untimedLeft = UNTIMED_CALLS
    } else this.untimedLeft--
    if (output.ownPushes.at > 0) output.ownPushes.reset()
    const mustWait = (client.flags & (ClientFlag.Blocked | ClientFlag.CloseAfterReply | ClientFlag.Closed)) !== 0
    return !mustWait && this.keyspace.readyKeys.length === 0 && output.mayReplyNow()
  }

  /** Goes on with a request for which `callNow` returned false, as `clientCalls` does. */
  callLater(client: Client, door: Door): void {
    if ((client.flags & (ClientFlag.Blocked | ClientFlag.Closed)) === 0) this.finish(client, door)
    if (this.keyspace.readyKeys.length > 0) this.waiting.serveReady(null)
  }

  /**
   * Executes a request of a client with a door, within a batch; its reply comes through the door. Returns false when the
   * client has to wait first (CLIENT PAUSE, or it is blocked): `connection.resume` says when to try again.
   *
   * @param found what the pipeline has resolved the request to
   */
  clientCalls(client: Client, door: Door, found: Command | ReplyError, args: Args): boolean {
    if (isStalled(client)) return false
    if (this.mayPause && this.mustWait(client, args)) return false
    this.output.running = client
    door.sink.version = client.respVersion
    client.lastCommandMs = this.keyspace.now
    client.commandCount++
    this.pipeline.executeFound(client, found, args, door.sink)
    this.output.running = null
    if ((client.flags & ClientFlag.Blocked) === 0) this.finish(client, door)
    if (this.keyspace.readyKeys.length > 0) this.waiting.serveReady(null)
    return true
  }

  /** The reply of a client with a door is complete: it is handed out at the end of the turn. */
  finish(client: Client, door: Door): void {
    door.replied()
    this.output.replied(client)
    // Messages are for connections: a door has none.
    this.output.ownPushes.reset()
    if ((client.flags & ClientFlag.CloseAfterReply) !== 0) this.output.listOutput(client)
    this.scheduleTurn()
  }

  clientDrained(client: Client): void {
    this.clientMemory.note(client)
    if (client.outputLength > 0) this.output.listOutput(client)
    else if ((client.flags & ClientFlag.Replica) !== 0 && client.heldCount === 0) this.replication.drained(client)
    else if ((client.flags & ClientFlag.CloseAfterReply) !== 0 && client.heldCount === 0) client.connection.end()
  }

  /**
   * The client will send nothing more: what it has asked for is answered, then it is closed. One that waits is closed
   * at once, so that it takes no element which nobody reads.
   */
  clientEnded(client: Client): void {
    if ((client.flags & ClientFlag.Postponed) !== 0) {
      client.flags |= ClientFlag.EndPostponed
      return
    }
    const closing = ClientFlag.Blocked | ClientFlag.Paused | ClientFlag.Replica | ClientFlag.Primary
    if ((client.flags & closing) !== 0) {
      this.closeClient(client)
      return
    }
    client.flags |= ClientFlag.CloseAfterReply
    this.output.listOutput(client)
  }

  clientClosed(client: Client): void {
    if ((client.flags & ClientFlag.Closed) !== 0 && !this.clients.has(client.id)) return
    client.flags |= ClientFlag.Closed
    this.clients.delete(client.id)
    this.blocking.unpark(client)
    this.pauses.forget(client)
    discardTransaction(client)
    this.channels.unsubscribeAll(client)
    this.tracking.disable(client)
    this.stopMonitor(client)
    if ((client.flags & ClientFlag.Replica) !== 0) this.replication.detach(client)
    if ((client.flags & ClientFlag.Primary) !== 0) this.following.clientClosed(client)
    client.input = EMPTY
    client.inputLength = 0
    client.output = EMPTY
    client.outputLength = 0
    client.fanOut = null
    this.clientMemory.note(client)
  }

  /** Closes a client: at once, or after its output has gone out when it is the one that is running. */
  closeClient(client: Client): void {
    if (client === this.output.running) {
      client.flags |= ClientFlag.CloseAfterReply
      return
    }
    client.flags |= ClientFlag.Closed
    client.connection.destroy()
    this.clientClosed(client)
  }

  /** Puts a message into a client's output; what the running client gets follows the reply it is waiting for. */
  deliver(client: Client, fanOut: FanOut, start: number, end: number): void {
    this.output.deliver(client, fanOut, start, end)
  }

  startMonitor(client: Client): void {
    client.flags |= ClientFlag.Monitor
    this.pipeline.monitors.add(client)
  }

  stopMonitor(client: Client): void {
    if ((client.flags & ClientFlag.Monitor) === 0) return
    client.flags &= ~ClientFlag.Monitor
    this.pipeline.monitors.remove(client)
  }

  resetStatistics(): void {
    this.stats.reset()
    this.errors.reset()
    this.stalls.reset()
    this.memory.resetPeak()
    this.memoryLimit.resetStatistics()
    this.clientMemory.evicted = 0
    this.keyspace.lazyFree.freedObjects = 0
    this.appendOnly.resetStatistics()
    this.replication.resetStatistics()
    this.keyspace.stats.hits = 0
    this.keyspace.stats.misses = 0
    this.keyspace.stats.expired = 0
    this.keyspace.stats.expiredFields = 0
    for (const command of this.registry.all()) {
      command.resetStatistics()
      if (command.subcommands !== null) for (const sub of command.subcommands.values()) sub.resetStatistics()
    }
  }

  reloadLog(): boolean {
    // Within a transaction that has written something the log is not complete.
    if (this.onReloadLog === null || !this.appendOnly.flush() || this.journal.pendingBytes > 0) return false
    const isLoaded = this.onReloadLog()
    this.readClock()
    return isLoaded
  }

  reloadDump(options: ReloadOptions): boolean {
    this.journal.drain()
    return this.onReloadDump?.(options) ?? false
  }

  /** The primary's commands find keys here as they found them there, those included whose time is over. */
  private receiveFromPrimary(client: Client, buffer: Buffer, start: number, end: number): void {
    this.following.received(end - start)
    this.keyspace.findsExpired = true
    try {
      this.input.receive(client, buffer, start, end)
    } finally {
      this.keyspace.findsExpired = false
    }
  }

  private readKeptOfPrimary(client: Client): void {
    this.keyspace.findsExpired = true
    try {
      this.input.readKept(client)
    } finally {
      this.keyspace.findsExpired = false
    }
  }

  // ---- execution -----------------------------------------------------------------------------------------------

  call(session: Session, command: Command, args: Args, reply: ReplySink): void {
    if ((session.flags & ClientFlag.Replay) !== 0) this.pipeline.runReplayed(session as Client, command, args, reply)
    else this.pipeline.run(session as Client, command, args, reply)
  }

  get isLoading(): boolean {
    return this.loading.isActive
  }

  /** As Redis the log is loaded on: what failed now failed when it was written too, or it would not be there. */
  replayFailed(command: Command, error: string): void {
    this.replayError = error
    if (++this.replayErrors > REPLAY_ERRORS_LOGGED) return
    this.log.warning(
      `== CRITICAL == This server is sending an error to its AOF-loading-client: '${error}' after processing the command '${command.fullName}'`,
    )
  }

  get writeRefusal(): ReplyError | null {
    if (this.saving.refusesWrites) return MISCONF_RDB
    return this.aof === null || this.aof.error === null ? null : misconfAof(this.aof.error)
  }

  get replicaRefusal(): ReplyError | null {
    return this.replication.writeRefusal ?? this.following.writeRefusal
  }

  get isStale(): boolean {
    return this.following.isStale
  }

  primaryFailed(command: Command, error: string): void {
    this.log.warning(
      `== CRITICAL == This replica is sending an error to its master: '${error}' after processing the command '${command.fullName}'`,
    )
  }

  replicaReplied(client: Client): void {
    this.log.warning(
      `Replica generated a reply to command '${client.lastCommandName}', disconnecting it: ${client.address}`,
    )
    this.closeClient(client)
  }

  foreignProtocol(client: Client): void {
    const now = this.keyspace.now
    if (now - this.foreignLoggedMs > FOREIGN_LOG_MS) {
      this.foreignLoggedMs = now
      this.log.warning(
        `Possible attack: client ${client.address} sent POST or Host:, as a web page does that makes a browser talk to us. Its connection was closed`,
      )
    }
    // Nothing is answered, not even what came before.
    client.flags |= ClientFlag.Closed
    client.connection.destroy()
    this.clientClosed(client)
  }

  internalError(command: Command, error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.log.warning(`Command '${command.fullName}' failed with a defect of the server: ${detail}`)
  }

  /** Lets a client's kept input be executed again, at the end of the turn. */
  resume(client: Client): void {
    client.connection.resume()
    this.resumable.push(client)
    this.scheduleTurn()
  }

  postpone(client: Client): void {
    if ((client.flags & ClientFlag.Postponed) !== 0) return
    client.flags |= ClientFlag.Postponed
    this.postponed.push(client)
    this.scheduleTurn()
  }

  unpause(): void {
    this.pauses.end()
  }

  pause(untilMs: number, writesOnly: boolean): void {
    this.pauses.begin(untilMs > 0 ? this.elapsedAt(untilMs) : 0, writesOnly)
  }

  get mayPause(): boolean {
    return this.pauses.untilMs > 0
  }

  mustWait(client: Client, args: Args): boolean {
    return this.pauses.mustWait(client, args)
  }

  // ---- turns ---------------------------------------------------------------------------------------------------

  beginTurn(): void {
    if (this.isTurnScheduled && this.isClockRead) return
    this.scheduleTurn()
    this.readClock()
  }

  readClock(): void {
    const now = this.clock.now()
    this.keyspace.now = now
    this.ctx.now = now
    this.isClockRead = true
  }

  /** Wall time in ms, not that of the turn. */
  clockNow(): number {
    return this.clock.now()
  }

  elapsedMs(): number {
    return this.clock.elapsed()
  }

  elapsedAt(atMs: number): number {
    return this.clock.elapsed() + atMs - this.ctx.now
  }

  loopIdleMs(): number {
    return performance.eventLoopUtilization().idle
  }

  /** The turn ends with the input of a transport that says when that is, else when the loop comes by. */
  scheduleTurn(): void {
    if (this.isTurnScheduled) return
    this.isTurnScheduled = true
    this.isClockRead = false
    this.stalls.beginTurn()
    if (!this.isTakingInput) this.endTurnSoon()
  }

  private endTurnSoon(): void {
    if (this.isEndComing) return
    this.isEndComing = true
    setImmediate(this.onTurnEnd)
  }

  private readonly onTurnEnd = (): void => {
    this.isEndComing = false
    if (this.isTurnScheduled) this.endTurn()
  }

  inputBegins(): void {
    this.isTakingInput = true
    this.pipeline.timer.beginBundle()
  }

  inputEnds(): void {
    this.isTakingInput = false
    this.pipeline.timer.endBundle()
    if (!this.isTurnScheduled || this.isEndComing) return
    // What clients have kept is executed once for each look at the sockets: others have their turn in between.
    if (this.resumable.length + this.postponed.length > 0) this.endTurnSoon()
    else this.endTurn()
  }

  private endTurn(): void {
    if (!this.isClockRead) this.readClock()
    this.timers.expireSlice()
    this.input.beginTurn()
    for (let i = 0; i < this.resumable.length; i++) {
      this.executeKept(this.resumable[i]!)
    }
    this.resumable = this.postponed
    this.postponed = []
    this.input.beginTurn()
    this.waiting.endTurn()
    this.tracking.endTurn()
    this.stats.turns++
    this.output.flush()
    this.flushReplicas()
    this.isTurnScheduled = false
    this.isTurnSpent = false
    this.freeMemory()
    this.timers.scheduleNext()
    this.stalls.endTurn(this.pipeline.timer.takeBusyMs())
    if (this.isTurnScheduled) this.stalls.beginTurn()
  }

  /** Executes input that a client had to keep. */
  private executeKept(client: Client): void {
    const wasPostponed = (client.flags & ClientFlag.Postponed) !== 0
    client.flags &= ~ClientFlag.Postponed
    if (!isStalled(client) && client.inputLength > 0) {
      if ((client.flags & ClientFlag.Primary) === 0) this.input.readKept(client)
      else this.readKeptOfPrimary(client)
      this.clientMemory.note(client)
    }
    if (!wasPostponed || (client.flags & ClientFlag.Closed) !== 0) return
    if (this.input.mayRead(client)) client.connection.resume()
    // Also of one that waits by now, of what it has sent in the meantime: nobody would see again that it has gone.
    if ((client.flags & (ClientFlag.EndPostponed | ClientFlag.Postponed)) === ClientFlag.EndPostponed)
      this.clientEnded(client)
  }

  private flushReplicas(): void {
    if (this.replication.attached.length === 0) return
    const startMs = performance.now()
    this.replication.flush()
    this.stalls.took(StallCause.Replication, startMs)
  }

  /** When the replies are on their way: what frees memory, in slices. */
  private freeMemory(): void {
    const { clientMemory, memoryLimit, tracking, waiting } = this
    const { lazyFree, readyKeys } = this.keyspace
    if (clientMemory.isOver) clientMemory.evict()
    memoryLimit.continueEviction()
    if (lazyFree.isPending) {
      const startMs = performance.now()
      lazyFree.slice()
      this.stalls.took(StallCause.LazyFree, startMs)
    }
    if (readyKeys.length > 0) waiting.serveReady(null)
    const hasWork = tracking.hasWork || memoryLimit.hasWork || waiting.hasWork
    if (hasWork || lazyFree.isPending || this.resumable.length > 0) this.scheduleTurn()
  }

  get hasCron(): boolean {
    return this.cronTimer !== null
  }

  get mayEvict(): boolean {
    if (this.keyspace.isFollowing && this.config.bool('replica-ignore-maxmemory')) return false
    return !this.loading.isActive && !this.busy.isServing && !this.pauses.isActive
  }

  /** Memory in use that is no reason to evict keys: they would only make it grow. */
  get uncountedBytes(): number {
    let bytes = this.appendOnly.bufferBytes + this.replication.bufferBytes - this.replication.backlogBytes
    for (const { session } of this.replication.attached) bytes += session.memoryBytes
    return bytes
  }

  // ---- in the midst of a script that runs too long (BusyMode) ---------------------------------------------------

  isWaiting(client: Client): boolean {
    // The primary's stream gathers meanwhile: none of it may be refused.
    return client === this.output.running || isStalled(client) || (client.flags & ClientFlag.Primary) !== 0
  }

  keepInput(client: Client, buffer: Buffer, bytes: number): boolean {
    this.stats.reads++
    this.stats.bytesIn += bytes
    client.bytesIn += bytes
    client.lastCommandMs = this.clock.now()
    return this.input.keep(client, buffer, bytes)
  }

  /** The log has come further, or is on or off now: what waits for it goes on. */
  private logProgressed(): void {
    this.output.releaseHeld()
    this.groupCommit.progressed()
    this.replication.logProgressed()
    this.waiting.mayGoOn()
  }

  // ---- time ----------------------------------------------------------------------------------------------------

  /** Starts timers. */
  start(): void {
    this.cronTimer = setInterval(this.cron, CRON_MS)
    this.stalls.start()
    this.timers.scheduleNext()
  }

  schedule(at: number): void {
    this.timers.schedule(at)
  }

  /** redis.log of a script. */
  private logScript(level: number, text: string): void {
    if (level === LogLevel.Debug) this.log.debug(text)
    else if (level === LogLevel.Verbose) this.log.verbose(text)
    else if (level === LogLevel.Notice) this.log.notice(text)
    else this.log.warning(text)
  }

  private readonly cron = (): void => {
    this.stalls.settle()
    if (this.isCronPaused) return
    this.stalls.beginTurn()
    this.readClock()
    if (this.leaving.tick()) return
    this.cronRuns++
    const now = this.keyspace.now
    const nowMs = performance.now()
    this.stats.sample(nowMs)
    this.memory.notePeak()
    if (this.onMemoryGivenUp !== null && this.memory.mustReturn(nowMs)) this.onMemoryGivenUp()
    if (this.cronRuns % 10 === 0) {
      if (this.onMemoryGrown !== null && this.memory.hasGrown(nowMs)) this.onMemoryGrown()
      for (const client of this.clients.values()) {
        if (this.idleTimeoutMs > 0 && this.isIdle(client, now)) this.closeClient(client)
        else if (client.softLimitSinceMs > 0) this.output.checkOutputLimit(client)
      }
    }
    if (!this.loading.isActive) this.appendOnly.tick()
    this.saving.tick()
    this.replication.tick()
    this.following.tick()
    if (this.cronRuns % 10 === 0) {
      this.replication.tickSecond()
      this.following.tickSecond()
    }
    for (const db of this.keyspace.databases) if (db.keys.isRehashing) db.keys.rehash(1000)
    this.scheduleTurn()
  }

  private isIdle(client: Client, now: number): boolean {
    const { Blocked, InProcess, Monitor, Replica, Primary } = ClientFlag
    if ((client.flags & (Blocked | InProcess | Monitor | Replica | Primary)) !== 0 || client.isSubscribed) return false
    return now - client.lastCommandMs > this.idleTimeoutMs
  }

  // ---- events, refusal, shutdown -------------------------------------------------------------------------------

  private publishEvent(event: string, db: number, key: string, type: number): void {
    const flags = this.ctx.notifyFlags
    if ((flags & type) === 0 || this.channels.isEmpty) return
    if ((flags & Notify.Keyspace) !== 0) this.publishText(`__keyspace@${db}__:${key}`, event)
    if ((flags & Notify.Keyevent) !== 0) this.publishText(`__keyevent@${db}__:${event}`, key)
  }

  private publishText(channel: string, message: string): void {
    const bytes = Buffer.from(message, 'latin1')
    this.channels.publish(channel, bytes, 0, bytes.length)
  }

  private refuse(connection: Connection, text: string): void {
    const bytes = Buffer.from(`-${text}\r\n`, 'latin1')
    connection.send(bytes, 0, bytes.length)
    connection.end()
  }

  private isProtected(connection: Connection): boolean {
    return this.config.bool('protected-mode') && this.users.default.needsNoPassword && !connection.isLocal
  }

  /**
   * Closes the log in the midst of a script: what was executed before it is written and answered, the script has not
   * been. The process must end then.
   */
  closeNow(): boolean {
    this.isClosing = true
    this.output.flushBeforeScript()
    return this.closeLog()
  }

  /** Sends what is due, closes clients and the log. Endpoints are the caller's to close first. */
  close(): boolean {
    this.isClosing = true
    this.following.close()
    closeTargets(this)
    this.timers.close()
    this.stalls.close()
    if (this.cronTimer !== null) clearInterval(this.cronTimer)
    this.output.flush()
    this.replication.flush()
    const isComplete = this.closeLog()
    this.output.sendListed(0)
    for (const client of [...this.clients.values()]) client.connection.end()
    return isComplete
  }

  /** Completes the log, and gives up a snapshot. Everything accepted is durable then: replies that waited for it go out. */
  private closeLog(): boolean {
    this.saving.abort()
    this.replication.abandonPayload()
    const isComplete = this.appendOnly.close()
    this.output.releaseHeld()
    return isComplete
  }
}

const EMPTY = Buffer.alloc(0)

/** The tokens of a process with these settings. @throws TokenFileError */
function tokensOf(config: Config): Tokens {
  const file = config.text('http-token-file')
  if (file === '') return new Tokens(null)
  return new Tokens(config.resolvePath(file), () => config.createDefaultDirectory())
}

const PROTECTED_MODE_TEXT =
  'DENIED Millrace is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. To connect from elsewhere, set a password (requirepass), or turn protected mode off with CONFIG SET protected-mode no on a local connection or in the configuration file, and make sure that the port cannot be reached from the internet.'

/** Stands for the connection of clients that have none. */
const NO_CONNECTION: Connection = {
  outbox: null,
  address: '',
  localAddress: '',
  isUnixSocket: false,
  isLocal: true,
  queuedBytes: 0,
  send: () => true,
  readNow: () => 0,
  pause: () => {},
  resume: () => {},
  setKeepAlive: () => {},
  delaySmallPackets: () => {},
  end: () => {},
  destroy: () => {},
}
