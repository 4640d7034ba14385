/**
 * The context of a running command: what a handler may use besides its arguments and its reply. Hot path.
 *
 * One object per server; the pipeline sets its fields before each handler runs.
 *
 * A handler that changes a key calls `changed(args, i, class, event)` once for it, after the change. That marks the
 * command as a write that happened (dirty), wakes watchers and blocked clients and emits the keyspace event; a dirty
 * command is recorded in the journal as it came, unless the handler recorded an effect of its own
 * (`ctx.journal.begin(ctx.db.index, argc)` + values) or called `ctx.recordNothing()`.
 */
import type { AccessLog } from '../access/log.ts'
import type { Tokens } from '../access/tokens.ts'
import type { Users } from '../access/users.ts'
import type { Config } from '../config/config.ts'
import type { Release } from '../config/version.ts'
import type { Database } from '../keyspace/database.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import type { LatencyMonitor } from '../observe/latency-monitor.ts'
import type { Log } from '../observe/log.ts'
import type { MemoryProbe } from '../observe/memory.ts'
import type { Slowlog } from '../observe/slowlog.ts'
import type { Stalls } from '../observe/stalls.ts'
import type { ErrorStats, ServerStats } from '../observe/stats.ts'
import type { AofControl } from '../persistence/append-only.ts'
import type { Journal } from '../persistence/journal.ts'
import type { LoadStatus } from '../persistence/load-progress.ts'
import type { SnapshotStatus } from '../persistence/snapshot/snapshot.ts'
import type { Channels } from '../pubsub/channels.ts'
import type { Tracking } from '../pubsub/tracking.ts'
import type { Args } from '../resp/args.ts'
import type { AccessDenied, ReplyError } from '../resp/errors.ts'
import type { ReplySink } from '../resp/reply.ts'
import type { Arena } from '../storage/arena.ts'
import { PackedCursor } from '../storage/packed.ts'
import { HashView } from '../structures/hash-view.ts'
import { ListView } from '../structures/list-view.ts'
import { SetView } from '../structures/set-view.ts'
import { ZsetView } from '../structures/zset-view.ts'
import type { Command, Registry } from './registry.ts'
import type { ReplicationControl } from './replication/control.ts'
import type { FollowingControl } from './replication/following-control.ts'
import type { Session } from './session.ts'

/** Emits a keyspace event; installed by the server. */
export type NotifySink = (type: number, event: string, db: Database, key: string) => void

/** Clients that wait in a blocking command. */
export interface WaitingControl {
  /**
   * Parks the running client until one of its keys is ready, or the deadline passes (0: none), in ms of `ctx.now`.
   * Keys are arguments `firstKey`, `firstKey + step` … `count` of them. `type` is one of BlockedOn.
   */
  block(
    session: Session,
    args: Args,
    firstKey: number,
    count: number,
    type: number,
    deadlineMs: number,
    unblockOnNoKey: boolean,
  ): void
  /** Ends a blocked client's wait as by its timeout, or with an error. */
  unblock(session: Session, withError: boolean): void
  /** Runs the commands of clients that are blocked on BlockedOn.Sync again, at the end of the turn: each looks for itself. */
  mayGoOn(): void
}

/** What comes of a denied call or login. */
export interface AccessControl {
  /** Counts and logs a call that was refused because of the user's rights. */
  denied(session: Session, denial: AccessDenied, context: AccessContext): void
  /** Counts and logs a wrong password or user; `command` is the command's name as the client gave it. */
  loginDenied(session: Session, command: string, userName: string): void
}

/** The end of the process. */
export interface LeavingControl {
  /**
   * Ends the process when what is due is sent and written. Returns false when nobody is there to do it, or the snapshot
   * could not be written; `isForced`: that is no reason to go on.
   */
  shutdown(save: ShutdownSave, isForced: boolean): boolean
  /** As `shutdown`, when replicas have everything or `shutdown-timeout` is over. Until then the session is blocked. */
  shutdownWhenReplicated(session: Session, args: Args, save: ShutdownSave, isForced: boolean): boolean
  /** How long it will still wait for replicas, in ms; null: it does not. */
  readonly msLeft: number | null
  /** Takes back an end that waits for replicas, or that a signal has asked for. Returns false when there is none. */
  abort(): boolean
}

/** Where a call was made that was denied. */
export const AccessContext = { TopLevel: 'toplevel', Multi: 'multi', Script: 'lua' } as const
export type AccessContext = (typeof AccessContext)[keyof typeof AccessContext]

/** What became of a wish for a snapshot. */
export const SaveOutcome = { Started: 0, Scheduled: 1, AlreadyRunning: 2, OtherRunning: 3, Failed: 4 } as const

/** What was given up of snapshots in the background. */
export const CancelOutcome = { Nothing: 0, Scheduled: 1, UnderWay: 2 } as const
export type CancelOutcome = (typeof CancelOutcome)[keyof typeof CancelOutcome]

/** Whether a snapshot is written before the process ends. */
export const ShutdownSave = { IfConfigured: 0, Always: 1, Never: 2 } as const
export type ShutdownSave = (typeof ShutdownSave)[keyof typeof ShutdownSave]

/** Snapshots on disk: what INFO tells of them, and what commands may do. */
export interface SaveControl {
  /** Whether a snapshot is being written in the background, or will be. */
  readonly isSaving: boolean
  readonly isScheduled: boolean
  readonly isLastOk: boolean
  readonly lastSaveMs: number
  /** What the last one took, and how long one has been under way; -1: there is none. In s. */
  readonly lastSeconds: number
  readonly currentSeconds: number
  readonly saves: number
  /** Most memory that the last one held for itself, in bytes. */
  readonly lastHeldBytes: number
  /** Writes the snapshot before it returns. Returns whether that worked. */
  saveNow(): boolean
  /** Returns one of SaveOutcome. */
  requestSave(isInTransaction: boolean, maySchedule: boolean): number
  /** Gives up the snapshot that is being written in the background, or else the one that will be. */
  cancelSave(): CancelOutcome
  /** All data were removed: gives up what is under way, and writes a snapshot if there are save points. */
  dataRemoved(): void
}

/** `maxmemory`: what is counted toward it, and what came of it. */
export interface MemoryStatus {
  /** Whether the command that runs found no room, and no key that may go. */
  readonly isFull: boolean
  readonly evictedKeys: number
  /** For how long memory has been over the limit: now, and in all, in ms. */
  readonly currentExceededMs: number
  readonly totalExceededMs: number
}

/** How a snapshot is loaded while the server runs (DEBUG RELOAD). */
export interface ReloadOptions {
  /** Keys and libraries of functions that are there are replaced; else they are an error. */
  readonly merges: boolean
  /** All data are removed first. */
  readonly clears: boolean
}

/** What administrative commands need of the server. Extended by the families that own it. */
export interface ServerControl {
  readonly waiting: WaitingControl
  readonly access: AccessControl
  readonly leaving: LeavingControl
  readonly startedMs: number
  readonly runId: string
  readonly users: Users
  readonly tokens: Tokens
  /** Whether clients have to log in: the default user needs a password, or is switched off. */
  readonly needsAuthentication: boolean
  readonly stats: ServerStats
  readonly errors: ErrorStats
  readonly slowlog: Slowlog
  readonly latency: LatencyMonitor
  readonly stalls: Stalls
  readonly accessLog: AccessLog
  readonly tracking: Tracking
  readonly memory: MemoryProbe
  readonly memoryLimit: MemoryStatus
  /** What clients hold, and how many were closed for it. */
  readonly clientMemory: { readonly totalBytes: number; readonly evicted: number }
  /** Memory in use that is not counted toward `maxmemory`, in bytes. */
  readonly uncountedBytes: number
  readonly log: Log
  /** Number of connected clients, and of those that wait in a blocking command. */
  readonly clientCount: number
  readonly blockedCount: number
  /** The append-only log: its state, and rewriting it. */
  readonly appendOnly: AofControl
  /** How far loading has come. */
  readonly loading: LoadStatus
  readonly saving: SaveControl
  readonly snapshots: SnapshotStatus
  readonly replication: ReplicationControl
  readonly following: FollowingControl
  /** Why writes are refused for want of replicas, or because this server is one; null when they are not. */
  readonly replicaRefusal: ReplyError | null
  /** Why writes are refused because of the disk; null when they are not. */
  readonly writeRefusal: ReplyError | null
  /** All clients that are connected, in order of their IDs. */
  sessions(): IterableIterator<Session>
  /** The client with an ID, null when there is none. */
  session(id: number): Session | null
  /** Calls a command for this session outside the door's gates (EXEC, scripts). Writes its reply to `reply`. */
  call(session: Session, command: Command, args: Args, reply: ReplySink): void
  /** Closes a client: at once, or after its reply when it is the one that is running. */
  closeClient(session: Session): void
  /** Lets commands wait until a time in ms of `ctx.now`; all, or only those that write. */
  pause(untilMs: number, writesOnly: boolean): void
  unpause(): void
  /** Shows the session all commands from now on. */
  startMonitor(session: Session): void
  stopMonitor(session: Session): void
  /** Clears all counters (CONFIG RESETSTAT). */
  resetStatistics(): void
  /** Whether periodic work rests (DEBUG PAUSE-CRON). */
  isCronPaused: boolean
  /** Empties the data and loads it from the append-only file. Returns false when that cannot be done. */
  reloadLog(): boolean
  /** Loads the snapshot that is in `dir`. Returns whether that worked. */
  reloadDump(options: ReloadOptions): boolean
  /** Reads the clock anew: after a command that held up the loop. */
  readClock(): void
  /** Ends the process as a crash would, with a report that shows `stack`; null where nobody runs the process. */
  readonly onCrash: ((stack: string) => void) | null
}

export class CommandContext {
  readonly keyspace: Keyspace
  readonly arena: Arena
  readonly journal: Journal
  readonly config: Config
  /** Which release is followed where two of them differ (`redis-compatibility`). */
  readonly release: Release
  readonly registry: Registry
  readonly channels: Channels
  server: ServerControl
  session: Session
  db: Database
  /** Time of the command, in ms since 1970. Frozen for a whole transaction or script. */
  now = 0
  /** Changes of the running command. */
  dirty = 0
  private recordingOff = false
  /** False inside MULTI and scripts: a command that would block answers at once as if its timeout had passed. */
  mayBlock: boolean = true
  /** True while a script runs. */
  inScript: boolean = false
  /** Classes of enabled keyspace events, bits of Notify. */
  notifyFlags = 0
  notifySink: NotifySink = () => {}
  /** Reusable cursors over packed blocks, for handlers. No handler keeps them. */
  readonly cursor: PackedCursor
  readonly cursor2: PackedCursor
  /** Reusable views of the hash or set that a handler works on. No handler keeps them. */
  readonly hash: HashView
  readonly set: SetView
  /** The list a handler works on, and the one it moves elements to. */
  readonly list: ListView
  readonly targetList: ListView
  /** The sorted set a handler works on, and the one it builds. */
  readonly zset: ZsetView
  readonly targetZset: ZsetView
  /** Source of random members, in [0, 1). A test may put a seeded one in its place. */
  random: () => number = Math.random

  constructor(
    keyspace: Keyspace,
    journal: Journal,
    config: Config,
    registry: Registry,
    channels: Channels,
    server: ServerControl,
    session: Session,
  ) {
    this.keyspace = keyspace
    this.arena = keyspace.arena
    this.journal = journal
    this.config = config
    this.release = config.value('redis-compatibility')
    this.registry = registry
    this.channels = channels
    this.server = server
    this.session = session
    this.db = session.db
    this.cursor = new PackedCursor(keyspace.arena)
    this.cursor2 = new PackedCursor(keyspace.arena)
    this.hash = new HashView(keyspace.arena, keyspace.seed)
    this.set = new SetView(keyspace.arena, keyspace.seed)
    this.list = new ListView(keyspace.arena)
    this.targetList = new ListView(keyspace.arena)
    this.zset = new ZsetView(keyspace.arena, keyspace.seed)
    this.targetZset = new ZsetView(keyspace.arena, keyspace.seed)
  }

  /** Prepares for the next command. */
  enter(session: Session): void {
    this.session = session
    this.db = session.db
    this.dirty = 0
    this.recordingOff = false
  }

  /**
   * Announces that the key in argument `i` changed: one call per changed key and command.
   *
   * @param type the event's class, a bit of Notify
   * @param event the event's name, e.g. 'lpush'
   */
  changed(args: Args, i: number, type: number, event: string): void {
    this.dirty++
    this.keyspace.touched(this.db, args.buffer, args.start(i), args.length(i))
    if ((this.notifyFlags & type) !== 0) this.notifySink(type, event, this.db, args.text(i))
  }

  /** As `changed`, for a key that is no argument, or of another database. */
  changedText(db: Database, key: string, type: number, event: string): void {
    this.dirty++
    this.keyspace.touchedText(db, key)
    if ((this.notifyFlags & type) !== 0) this.notifySink(type, event, db, key)
  }

  /** Announces the change without an event (when the event's name depends, or there is none). */
  changedQuietly(args: Args, i: number): void {
    this.dirty++
    this.keyspace.touched(this.db, args.buffer, args.start(i), args.length(i))
  }

  /** Emits a further event for argument `i`, e.g. 'del' after the last element was popped. */
  notify(args: Args, i: number, type: number, event: string): void {
    if ((this.notifyFlags & type) !== 0) this.notifySink(type, event, this.db, args.text(i))
  }

  notifyText(db: Database, key: string, type: number, event: string): void {
    if ((this.notifyFlags & type) !== 0) this.notifySink(type, event, db, key)
  }

  /**
   * Counts changes beyond those announced: elements pushed or popped after the first, or a change that has no key to
   * announce, e.g. a script that was loaded. Negative where Redis counts fewer changes than keys changed (LMOVE).
   */
  markDirty(changes: number): void {
    this.dirty += changes
    this.keyspace.stats.changes += changes
  }

  /** The running command is recorded in the journal although it may have changed nothing. */
  recordAnyway(): void {
    this.dirty++
  }

  /** The running command is not recorded in the journal although it is dirty. */
  recordNothing(): void {
    this.recordingOff = true
  }

  get isRecordingOff(): boolean {
    return this.recordingOff
  }
}
