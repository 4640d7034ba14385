/**
 * The server: composition root of the engine. Takes bytes from transports, runs them through the pipeline and sends
 * the replies of a loop turn together (input.ts, output.ts). Hot path: clientReceived, endTurn.
 *
 * A turn: transports deliver input, any number of times, which is executed at once; `endTurn` (setImmediate) removes
 * keys whose time is over, goes on with input that had to wait, and has the output sent.
 */
import { randomBytes } from 'node:crypto'
import { type AccessEvent, AccessLog } from '../access/log.ts'
import { TokenFileError, Tokens } from '../access/tokens.ts'
import type { User } from '../access/user.ts'
import { Users } from '../access/users.ts'
import { clientInfo } from '../commands/connection/client-info.ts'
import {
  AccessContext,
  CommandContext,
  type ReloadOptions,
  type ServerControl,
  type ShutdownSave,
} from '../commands/context.ts'
import { closeTargets } from '../commands/generic/migration.ts'
import { commandFamilies } from '../commands/index.ts'
import { type Command, Registry } from '../commands/registry.ts'
import { scriptRunner } from '../commands/scripting/script-runner.ts'
import { ClientFlag, discardTransaction, type Session } from '../commands/session.ts'
import type { Config } from '../config/config.ts'
import type { OutputBufferLimits } from '../config/special-directives.ts'
import { type Files, SYSTEM_FILES } from '../files/files.ts'
import { BlockedOn } from '../keyspace/blocked.ts'
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
import { AofState, AppendOnly } from '../persistence/append-only.ts'
import { Journal } from '../persistence/journal.ts'
import { LoadProgress } from '../persistence/load-progress.ts'
import { Snapshots } from '../persistence/snapshot/snapshot.ts'
import { Channels } from '../pubsub/channels.ts'
import type { FanOut } from '../pubsub/fan-out.ts'
import { Tracking } from '../pubsub/tracking.ts'
import type { PayloadFile } from '../replication/payload-file.ts'
import type { Args } from '../resp/args.ts'
import type { DecoderLimits } from '../resp/decoder.ts'
import {
  type AccessDenied,
  DenialReason,
  MAX_CLIENTS_REACHED,
  MISCONF_RDB,
  misconfAof,
  type ReplyError,
  ROLE_CHANGED,
  SHUTDOWN_FAILED,
  UNBLOCKED,
} from '../resp/errors.ts'
import { doubleFormat, type ReplySink } from '../resp/reply.ts'
import { LogLevel } from '../scripting/redis-library.ts'
import type { Connection, Receiver } from '../transport/contract.ts'
import { AofBaseWriter } from './aof-base.ts'
import { Blocking } from './blocking.ts'
import { type BusyHost, BusyMode } from './busy.ts'
import { Client, type ClientHost, type Door } from './client.ts'
import { ClientMemory, type ClientMemoryHost } from './client-memory.ts'
import { Pipeline, type PipelineGates } from './execute.ts'
import { Farewell } from './farewell.ts'
import { Following } from './following.ts'
import { ClientInput, type InputHost, isStalled } from './input.ts'
import { deletionVerb, MemoryLimit, type MemoryLimitHost } from './memory-limit.ts'
import { type OutputHost, TurnOutput } from './output.ts'
import { Pauses, type PausesHost } from './pauses.ts'
import { Replicas } from './replicas.ts'
import { Saving } from './saving.ts'
import { applySettings } from './settings.ts'
import { Timers, type TimersHost } from './timers.ts'

/** Calls in the process get their replies at once until the commands of the turn have taken so long, in ms. */
const EARLY_MS = 1
/** Housekeeping (timeouts, limits, statistics) runs this often, in ms. */
const CRON_MS = 100
/** Commands of a log that fail are named up to this number; the others are counted. */
const REPLAY_ERRORS_LOGGED = 10
/** Attempts with a foreign protocol are logged this often at most, in ms. */
const FOREIGN_LOG_MS = 60_000

/** The clock of a server; replaced in tests. */
export interface Clock {
  /** Wall time in ms. */
  now(): number
}

/** A wish of a signal to end the process. */
export interface ShutdownRequest {
  /** Whether replicas are to have everything first. */
  readonly waitsForReplicas: boolean
  begin(): void
  /** Somebody has taken it back. */
  aborted(): void
}

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
    ServerControl,
    PipelineGates,
    BusyHost,
    InputHost,
    MemoryLimitHost,
    OutputHost,
    PausesHost,
    TimersHost
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
  readonly busy: BusyMode
  readonly clients = new Map<number, Client>()
  readonly snapshots: Snapshots
  readonly saving: Saving
  readonly replication: Replicas
  readonly following: Following
  private readonly farewell: Farewell
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
  readonly input: ClientInput
  readonly pauses: Pauses
  private readonly timers: Timers
  private nextClientId = 1
  private isTurnScheduled: boolean = false
  /** Clients in WAITAOF, and some that no longer are. */
  private syncWaiters: Client[] = []
  /** Those whose time is over. */
  private overdueSyncWaiters: Client[] = []
  /** Whether some of them may go on, at the end of the turn. */
  private hasLogProgressed: boolean = false
  private resumable: Client[] = []
  /** Those whose input had to wait for the end of the turn in which they would have had their turn. */
  private postponed: Client[] = []
  private cronTimer: NodeJS.Timeout | null = null
  private cronRuns = 0
  private requestedShutdown: ShutdownRequest | null = null
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
    this.blocking = new Blocking(this.keyspace)
    this.tracking = new Tracking(this)
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
    this.farewell = new Farewell(this)
    scriptRunner(this.ctx).services = {
      log: (level, text) => this.logScript(level, text),
      poll: (runner) => this.busy.poll(runner),
    }
    applySettings(this)
  }

  // ---- clients -------------------------------------------------------------------------------------------------

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
    return this.blocking.count + this.pauses.countWaiting()
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
    this.pipeline.timer.begin()
  }

  /** Ends a batch of `clientCalls`. The replies of `client` need not wait for the end of the turn if it is a short one. */
  endCalls(client: Client | null): void {
    const { timer } = this.pipeline
    timer.end()
    // Others get their turn however fast a caller that awaits each reply calls again.
    if (client !== null && timer.turnMs < EARLY_MS) this.output.releaseEarly(client)
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
    if (this.keyspace.readyKeys.length > 0) this.serveReady(null)
    return true
  }

  /** The reply of a client with a door is complete: it is handed out at the end of the turn. */
  private finish(client: Client, door: Door): void {
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

  /** Asks whoever runs the process to end it. */
  shutdown(save: ShutdownSave, isForced: boolean): boolean {
    if (this.busy.isServing) {
      if (this.onShutdownNow === null) return false
      this.onShutdownNow()
      return true
    }
    if (this.onShutdown === null || !this.prepareShutdown(save, isForced)) return false
    // Not from within a command: the turn ends first, with the replies of all who were served in it.
    setImmediate(this.onShutdown)
    return true
  }

  shutdownWhenReplicated(session: Session, args: Args, save: ShutdownSave, isForced: boolean): boolean {
    if (this.replication.isAcknowledged || this.config.number('shutdown-timeout') === 0 || this.busy.isServing)
      return this.shutdown(save, isForced)
    const client = session as Client
    this.block(client, args, 0, 0, BlockedOn.Shutdown, 0, false)
    const failed = (): void => {
      if ((client.flags & ClientFlag.Blocked) !== 0) this.endWait(client, SHUTDOWN_FAILED)
    }
    this.farewell.wait({
      proceed: () => {
        if (this.shutdown(save, isForced)) return
        this.log.warning('Errors trying to shut down the server. Check the logs for more information.')
        failed()
      },
      aborted: failed,
    })
    return true
  }

  get shutdownInMs(): number | null {
    return this.farewell.isWaiting ? this.farewell.msLeft : null
  }

  /** Begins to end the process at the next tick of the cron, unless SHUTDOWN ABORT comes first. */
  requestShutdown(request: ShutdownRequest): void {
    // Without a cron there is nobody either who could take it back.
    if (this.cronTimer === null) request.begin()
    else this.requestedShutdown = request
  }

  abortShutdown(): boolean {
    if (this.farewell.abort()) {
      this.log.notice('Shutdown manually aborted.')
      return true
    }
    const request = this.requestedShutdown
    if (request === null) return false
    this.requestedShutdown = null
    this.log.notice('Shutdown manually aborted.')
    request.aborted()
    return true
  }

  /** Writes the last snapshot, after which no command is executed any more. Returns false when it is wanted and fails. */
  prepareShutdown(save: ShutdownSave, isForced: boolean): boolean {
    if (this.mustWriteFirstLog(isForced)) return false
    if (!this.saving.saveForShutdown(save, isForced)) return false
    this.pauses.beginEndless()
    return true
  }

  /** A log that was just switched on has not got all data yet: without it there might be none. */
  private mustWriteFirstLog(isForced: boolean): boolean {
    if (this.appendOnly.state !== AofState.Waiting || !this.appendOnly.isRewriting) return false
    this.log.warning(isForced ? 'Writing initial AOF. Exit anyway.' : "Writing initial AOF, can't exit")
    return !isForced
  }

  /** As `prepareShutdown`, while the loop goes on; `done` is told whether the process may end. */
  prepareShutdownLater(save: ShutdownSave, isForced: boolean, done: (mayEnd: boolean) => void): void {
    if (this.mustWriteFirstLog(isForced)) {
      done(false)
      return
    }
    const endPause = this.pauses.beginEndless()
    this.saving.saveForShutdownLater(save, isForced, (mayEnd) => {
      if (!mayEnd) {
        this.readClock()
        endPause()
      }
      done(mayEnd)
    })
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

  /** The tokens of a user who is gone are void. */
  revokeTokens(user: User): void {
    try {
      this.tokens.revokeUser(user.name)
    } catch (error) {
      if (!(error instanceof TokenFileError)) throw error
      this.log.warning(error.message)
    }
  }

  /** Closes all connections of a user. */
  closeClientsOf(user: User): void {
    for (const client of [...this.clients.values()]) {
      if (client.user.name !== user.name) continue
      // The one that is running is closed after its reply; it must do nothing more until then.
      client.user = this.users.default
      client.flags &= ~ClientFlag.Authenticated
      this.closeClient(client)
    }
  }

  accessDenied(client: Session, denial: AccessDenied, context: AccessContext): void {
    if (denial.reason === DenialReason.Command) this.stats.deniedCommands++
    else if (denial.reason === DenialReason.Key) this.stats.deniedKeys++
    else this.stats.deniedChannels++
    const { object } = denial
    this.logAccess(client, { reason: DENIAL_NAMES[denial.reason], context, object, userName: client.user.name })
  }

  loginDenied(client: Session, object: string, userName: string): void {
    this.stats.deniedLogins++
    const context = (client.flags & ClientFlag.Multi) === 0 ? AccessContext.TopLevel : AccessContext.Multi
    this.logAccess(client, { reason: 'auth', context, object, userName })
  }

  private logAccess(client: Session, event: Omit<AccessEvent, 'clientInfo'>): void {
    const { now } = this.keyspace
    this.accessLog.add({ ...event, clientInfo: clientInfo(client, now) }, now)
  }

  /** Those who listen to what their user must not hear any more are closed. */
  closeStrayListeners(user: User): void {
    for (const client of [...this.clients.values()]) {
      if (client.user.name === user.name && client.isSubscribed && !mayListen(client)) this.closeClient(client)
    }
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

  block(
    session: Session,
    args: Args,
    firstKey: number,
    count: number,
    type: number,
    deadlineMs: number,
    unblockOnNoKey: boolean,
  ): void {
    const client = session as Client
    if ((client.flags & ClientFlag.Blocked) !== 0) {
      client.flags |= ClientFlag.StillBlocked
      return
    }
    const keys: string[] = []
    for (let i = 0; i < count; i++) keys.push(args.text(firstKey + i))
    client.blockedArgs = args.copy()
    const resolved = this.pipeline.resolve(args)
    client.blockedCommand = 'handler' in resolved ? resolved : null
    this.blocking.park(client, keys, type, deadlineMs, unblockOnNoKey, this.ctx.now)
    if (type === BlockedOn.Sync) this.syncWaiters.push(client)
    this.schedule(deadlineMs > 0 ? deadlineMs : Number.POSITIVE_INFINITY)
  }

  /** Ends a client's wait without an element: by timeout, or by CLIENT UNBLOCK with an error. */
  unblock(client: Client, withError: boolean): void {
    // Who waits for the disk is told how far it has come.
    if (client.blockedOn === BlockedOn.Sync && !withError) {
      this.overdueSyncWaiters.push(client)
      this.hasLogProgressed = true
      this.scheduleTurn()
      return
    }
    this.endWait(client, withError ? UNBLOCKED : null)
  }

  /** This server becomes a replica: nobody may take elements here any more. */
  closeBlocked(): void {
    for (const client of [...this.clients.values()]) {
      if ((client.flags & ClientFlag.Blocked) === 0) continue
      this.endWait(client, ROLE_CHANGED)
      client.flags |= ClientFlag.CloseAfterReply
      this.output.listOutput(client)
    }
  }

  /** Ends a client's wait with an error, or with the reply to a timeout. */
  private endWait(client: Client, error: ReplyError | null): void {
    const command = client.blockedCommand
    this.blocking.unpark(client)
    this.stats.commandsProcessed++
    if (command !== null) {
      command.calls++
      this.pipeline.timer.add(command, client.blockedMicroseconds)
    }
    client.blockedMicroseconds = 0
    if (error !== null) {
      if (command !== null) command.failedCalls++
      this.errors.count(error.code)
    }
    const { door } = client
    if (door === null) {
      const reply = error === null ? nullArrayReply(client.respVersion) : Buffer.from(`-${error.text}\r\n`, 'latin1')
      this.output.queueReply(client, reply)
    } else {
      if (error !== null) door.sink.error(error.text)
      else door.sink.nilArray()
      this.finish(client, door)
    }
    this.resume(client)
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
    this.pauses.begin(untilMs, writesOnly)
  }

  get mayPause(): boolean {
    return this.pauses.untilMs > 0
  }

  mustWait(client: Client, args: Args): boolean {
    return this.pauses.mustWait(client, args)
  }

  // ---- turns ---------------------------------------------------------------------------------------------------

  private beginTurn(): void {
    if (this.isTurnScheduled) return
    this.readClock()
    this.scheduleTurn()
  }

  readClock(): void {
    const now = this.clock.now()
    this.keyspace.now = now
    this.ctx.now = now
  }

  /** Wall time in ms, not that of the turn. */
  clockNow(): number {
    return this.clock.now()
  }

  scheduleTurn(): void {
    if (this.isTurnScheduled) return
    this.isTurnScheduled = true
    this.stalls.beginTurn()
    setImmediate(this.endTurn)
  }

  private readonly endTurn = (): void => {
    this.timers.expireSlice()
    this.input.beginTurn()
    for (let i = 0; i < this.resumable.length; i++) {
      this.executeKept(this.resumable[i]!)
    }
    this.resumable = this.postponed
    this.postponed = []
    this.input.beginTurn()
    if (this.hasLogProgressed) this.serveSyncWaiters()
    this.tracking.endTurn()
    this.stats.turns++
    this.output.flush()
    this.flushReplicas()
    this.isTurnScheduled = false
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
    const { clientMemory, memoryLimit, tracking } = this
    const { lazyFree, readyKeys } = this.keyspace
    if (clientMemory.isOver) clientMemory.evict()
    memoryLimit.continueEviction()
    if (lazyFree.isPending) {
      const startMs = performance.now()
      lazyFree.slice()
      this.stalls.took(StallCause.LazyFree, startMs)
    }
    if (readyKeys.length > 0) this.serveReady(null)
    if (tracking.hasWork || memoryLimit.hasWork || lazyFree.isPending || this.resumable.length > 0) this.scheduleTurn()
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

  // ---- clients that wait ---------------------------------------------------------------------------------------

  /** Runs the commands of clients that wait for keys which are ready now. */
  serveReady(outer: Client | null): void {
    if (this.blocking.count === 0) {
      this.keyspace.readyKeys.length = 0
      return
    }
    // The command that made them ready may have taken long: what is over by now is nobody's.
    this.readClock()
    if (outer !== null) this.output.closeSegment(outer)
    else this.pipeline.timer.begin()
    this.blocking.serve((client) => this.retryBlocked(client))
    if (outer !== null) this.output.openSegment(outer)
    else this.pipeline.timer.end()
    this.scheduleTurn()
  }

  /** Runs the command of a client that waits once more; it may go on waiting. */
  private retryBlocked(client: Client): void {
    const args = client.blockedArgs!
    const command = client.blockedCommand!
    this.output.openSegment(client)
    const { door } = client
    const sink = door === null ? this.output.sink : door.sink
    const mark = sink.position()
    sink.version = client.respVersion
    const { findsExpired } = this.keyspace
    this.keyspace.findsExpired = false
    client.flags |= ClientFlag.Reexecuting
    client.flags &= ~ClientFlag.StillBlocked
    this.pipeline.rerun(client, command, args, sink)
    this.keyspace.findsExpired = findsExpired
    client.flags &= ~ClientFlag.Reexecuting
    if ((client.flags & ClientFlag.StillBlocked) !== 0) {
      client.flags &= ~ClientFlag.StillBlocked
      sink.takeBack(mark)
    } else {
      this.blocking.unpark(client)
      if (door !== null) this.finish(client, door)
      this.resume(client)
    }
    // Also one that goes on waiting may have been told something: that a key it looked at has expired.
    if (this.output.ownPushes.at > 0) this.output.appendOwnPushes()
    this.output.closeSegment(client)
  }

  /** The log has come further, or is on or off now: what waits for it goes on. */
  private logProgressed(): void {
    this.output.releaseHeld()
    this.replication.logProgressed()
    this.waitersMayGoOn()
  }

  /** Replicas or the log have come further: at the end of the turn those who wait for that look again. */
  waitersMayGoOn(): void {
    if (this.syncWaiters.length === 0) return
    // Not in the midst of a turn: a command may be running.
    this.hasLogProgressed = true
    this.beginTurn()
  }

  /** Runs the commands of clients that wait for the disk. */
  private serveSyncWaiters(): void {
    this.hasLogProgressed = false
    const overdue = this.overdueSyncWaiters.splice(0)
    this.pipeline.timer.begin()
    for (const client of this.syncWaiters) if (isWaitingForSync(client)) this.retryBlocked(client)
    this.ctx.mayBlock = false
    for (const client of overdue) if (isWaitingForSync(client)) this.retryBlocked(client)
    this.ctx.mayBlock = true
    this.pipeline.timer.end()
    this.syncWaiters = this.syncWaiters.filter(isWaitingForSync)
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
    const shutdown = this.requestedShutdown
    if (shutdown !== null) {
      this.requestedShutdown = null
      if (shutdown.waitsForReplicas)
        this.farewell.wait({ proceed: () => shutdown.begin(), aborted: () => shutdown.aborted() })
      else shutdown.begin()
      return
    }
    this.farewell.tick()
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

function isWaitingForSync(client: Client): boolean {
  return (client.flags & ClientFlag.Blocked) !== 0 && client.blockedOn === BlockedOn.Sync
}

/** How ACL LOG names what was denied, by DenialReason. */
const DENIAL_NAMES = ['command', 'key', 'channel'] as const

/** Whether a client's user may use all that the client has subscribed to. */
function mayListen({ user, channels, patterns, shardChannels }: Client): boolean {
  for (const pattern of patterns) if (!user.mayUsePattern(pattern)) return false
  for (const channel of channels) if (!user.mayUseChannel(channel)) return false
  for (const channel of shardChannels) if (!user.mayUseChannel(channel)) return false
  return true
}

/** The tokens of a process with these settings. @throws TokenFileError */
function tokensOf(config: Config): Tokens {
  const file = config.text('http-token-file')
  if (file === '') return new Tokens(null)
  return new Tokens(config.resolvePath(file), () => config.createDefaultDirectory())
}

function nullArrayReply(respVersion: number): Buffer {
  return respVersion >= 3 ? NULL_REPLY : NULL_ARRAY_REPLY
}

const NULL_ARRAY_REPLY = Buffer.from('*-1\r\n')
const NULL_REPLY = Buffer.from('_\r\n')

const PROTECTED_MODE_TEXT =
  'DENIED Millrace is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. To connect from elsewhere, set a password (requirepass), or turn protected mode off with CONFIG SET protected-mode no on a local connection or in the configuration file, and make sure that the port cannot be reached from the internet.'

/** Stands for the connection of clients that have none. */
const NO_CONNECTION: Connection = {
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
