/**
 * The append-only log as a whole: switching it on and off, and rewriting it. Cold, except the journal's subscription.
 *
 *     Off ──enable──▶ Waiting ──rewrite succeeded──▶ On          at start: Off ──open──▶ On
 *      ◀─────────────────disable─────────────────────┘
 *
 * While Waiting there is no log that could be loaded yet: what is written gathers in a temporary incremental file, beside
 * the base that the rewrite makes of the data as it was when that began; a rewrite that fails begins anew.
 *
 * A rewrite, and what a crash after each step leaves:
 *
 *     1. a new incremental file is created                   the old log (the file is in nobody's way)
 *     2. a manifest that names it is written                 the old log and an empty file
 *     3. the log goes on in it, the snapshot is written      the old log and what has been written since
 *     4. the snapshot gets the name of the next base file    the same
 *     5. a manifest with it is written, what it replaces     the new log
 *        becomes history
 *     6. history files are removed, then their entries       the new log
 *
 * Files are written and synced on the thread pool all the while: commands are executed between the steps, and what they
 * write goes to the file that the log is in then. A rewrite that fails leaves the log as after step 3, with one more incremental file, and is begun again when the log
 * has grown as configured; after three failures in a row only after a while, which doubles up to an hour.
 * Source: Valkey 7.2 src/aof.c rewriteAppendOnlyFileBackground, backgroundRewriteDoneHandler, startAppendOnly.
 */
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { decodePath } from '../config/path-text.ts'
import { systemErrorText } from '../config/system-error.ts'
import type { Files } from '../files/files.ts'
import type { Log } from '../observe/log.ts'
import { Aof, FsyncPolicy } from './aof.ts'
import type { Unsummed } from './aof-annotations.ts'
import { AofFolder } from './aof-folder.ts'
import { type Journal, JournalTarget } from './journal.ts'
import { lockLog } from './lock.ts'
import { type Manifest, withIncrementalAsHistory, withNewBase, withNewIncremental } from './manifest.ts'

export const AofState = { Off: 0, On: 1, Waiting: 2 } as const

/** What became of a wish to rewrite the log. */
export const RewriteOutcome = { Started: 0, Scheduled: 1, AlreadyRunning: 2, Failed: 3 } as const

/** How far a rewrite has come. */
const RewritePhase = {
  None: 0,
  /** The manifest with the next incremental file is being written. */
  Naming: 1,
  /** The log goes on in that file as soon as all that was executed is in the old one. */
  Switching: 2,
  /** The base is being written. */
  Writing: 3,
  /** The base has got its name, and the manifest with it is being written. */
  TakingOver: 4,
  /** What is history is being removed. */
  Tidying: 5,
} as const

export type BaseFormat = 'rdb' | 'aof'

/** Writes the data as they are at the call into a file, without holding up the loop. One snapshot at a time. */
export interface BaseWriter {
  /** Whether a snapshot is being written, for whatever purpose. */
  readonly isActive: boolean
  /** Begins to write a complete, durable file at `path`; `done` is called in a later turn. @throws the system's error */
  begin(path: string, format: BaseFormat, done: (error: Error | null) => void): void
  /** Gives up what `begin` has begun and removes the file; `isActive` is true until `done` is told so. */
  abort(): void
  /** Writes the file at once. @throws the system's error */
  writeNow(path: string, format: BaseFormat): void
}

/** What INFO tells of the log. */
export interface AofStatus {
  /** One of AofState. */
  readonly state: number
  readonly isRewriting: boolean
  readonly isRewriteScheduled: boolean
  /** What the last rewrite took, and for how long one has been under way; -1: there is none. In s. */
  readonly lastRewriteSeconds: number
  readonly currentRewriteSeconds: number
  readonly isLastRewriteOk: boolean
  readonly rewrites: number
  readonly consecutiveFailures: number
  /** Why the log cannot be written at present; null when it can. */
  readonly error: string | null
  /** Size of the log, and what it was after the last rewrite, in bytes. */
  readonly totalBytes: number
  readonly baseBytes: number
  /** Bytes accepted and not written. */
  readonly bufferBytes: number
  readonly isSyncing: boolean
  readonly delayedSyncs: number
  /** Effects of the journal that are durable; -1 while there is no log that could be loaded. */
  readonly syncedEffects: number
}

/** What commands may do with the log. */
export interface AofControl extends AofStatus {
  /** Returns one of RewriteOutcome. */
  requestRewrite(isInTransaction: boolean): number
  /** Delays each write by so many ms, for tests. */
  delayWrites(delayMs: number): void
}

export interface AppendOnlyOptions {
  readonly config: Config
  readonly log: Log
  readonly files: Files
  readonly journal: Journal
  readonly base: BaseWriter
  /** Whether there is no directory that files may be written to: the log cannot be switched on. */
  readonly isInMemory: boolean
  /** Wall time in ms. */
  readonly now: () => number
  /** Told when there is another file to write to, or none. */
  readonly onChange: (aof: Aof | null) => void
  /** Told when what waits for the log may go on. */
  readonly onProgress: () => void
}

/** So many failures in a row are tried again at once. */
const FAILURES_MAX = 3
const RETRY_MINUTES_MAX = 60
const MINUTE_MS = 60_000
/** The log is ticked ten times a second; syncs and retries happen in each tenth tick. */
const TICKS_PER_SECOND = 10

/** Fsync policy of an `appendfsync` value. */
export function fsyncPolicy(text: string): number {
  return text === 'always' ? FsyncPolicy.Always : text === 'no' ? FsyncPolicy.No : FsyncPolicy.EverySecond
}

export class AppendOnly implements AofControl {
  folder: AofFolder
  private readonly options: AppendOnlyOptions
  private aof: Aof | null = null
  state: number = AofState.Off
  isRewriteScheduled: boolean = false
  lastRewriteSeconds = -1
  isLastRewriteOk: boolean = true
  rewrites = 0
  consecutiveFailures = 0
  /** Size of the log when it was rewritten last. */
  baseBytes = 0
  /** Delays of files before the current one. */
  private earlierDelays = 0
  /** Size of the files before the current one. */
  private olderBytes = 0
  private rewriteStartedMs = -1
  private rewriteNumber = 0
  private phase: number = RewritePhase.None
  /** The file that the log is about to go on in, while the phase is Naming or Switching. */
  private nextFile: { readonly fd: number; readonly name: string } | null = null
  /** What is to become the manifest, while the phase is TakingOver. */
  private nextManifest: Manifest | null = null
  private unlock: (() => void) | null = null
  private retryMinutes = 0
  private retryAtMs = 0
  private ticks = 0
  private writeDelayMs = 0

  constructor(options: AppendOnlyOptions) {
    this.options = options
    this.folder = this.folderOf()
  }

  // ---- status --------------------------------------------------------------------------------------------------

  get isRewriting(): boolean {
    return this.phase !== RewritePhase.None
  }

  get currentRewriteSeconds(): number {
    return this.isRewriting ? this.secondsSinceStart() : -1
  }

  get error(): string | null {
    return this.aof === null ? null : this.aof.error
  }

  get totalBytes(): number {
    return this.olderBytes + (this.aof === null ? 0 : this.aof.fileBytes)
  }

  get bufferBytes(): number {
    return this.aof === null ? 0 : this.aof.acceptedBytes - this.aof.writtenBytes
  }

  get isSyncing(): boolean {
    return this.aof?.isSyncing ?? false
  }

  get delayedSyncs(): number {
    return this.earlierDelays + (this.aof === null ? 0 : this.aof.delayedSyncs)
  }

  get syncedEffects(): number {
    const { aof } = this
    if (aof === null || this.state !== AofState.On) return -1
    // Effects that were not recorded are nowhere to wait for.
    const { journal } = this.options
    return aof.syncedBytes === aof.acceptedBytes && journal.pendingBytes === 0 ? journal.effectCount : aof.syncedEffects
  }

  /** CONFIG RESETSTAT. */
  resetStatistics(): void {
    this.rewrites = 0
    this.consecutiveFailures = 0
    this.earlierDelays = 0
    if (this.aof !== null) this.aof.delayedSyncs = 0
  }

  // ---- on and off ----------------------------------------------------------------------------------------------

  /**
   * Makes the directory this process' own, creates it if need be, and reads the manifest. It stays locked until `close`.
   * @throws LogLockedError, ManifestError, the system's error
   */
  lock(): void {
    if (this.options.isInMemory) throw new Error('this broker has no data directory')
    const folder = this.folderOf()
    if (this.unlock !== null) {
      if (this.aof !== null || folder.path === this.folder.path) return
      // `dir` has been changed while there was no log: the next start looks for one there.
      this.unlock()
      this.unlock = null
    }
    this.options.config.createDefaultDirectory()
    this.folder = folder
    folder.create()
    const unlock = lockLog(join(realpathSync(folder.path), `${decodePath(folder.options.fileName)}.lock`))
    try {
      folder.read()
    } catch (error) {
      unlock()
      throw error
    }
    folder.removeTemporary()
    this.unlock = unlock
  }

  /**
   * Opens the log at start, after what `folder.manifest` names was loaded. A log that does not exist yet begins with a
   * base file of the data that there are. `unsummed`: what its last file ends with (AofLoader). @throws the system's error
   */
  open(unsummed: Unsummed | null): void {
    const { folder } = this
    const { log } = this.options
    let manifest = folder.manifest
    if (folder.isEmpty) {
      const format = this.baseFormat
      manifest = withNewBase(manifest, folder.options.fileName, format)
      const { name } = manifest.base!
      this.options.base.writeNow(folder.pathOf(name), format)
      log.notice(`Creating AOF base file ${name} on server start`)
    }
    const isNew = manifest.incremental.length === 0
    if (isNew) manifest = withNewIncremental(manifest, folder.options.fileName)
    const { name } = manifest.incremental.at(-1)!
    // The file is there before the manifest names it: a crash in between leaves a file that nobody names.
    const fd = isNew ? folder.openNew(name) : folder.openExisting(name)
    // A killed process may have left bytes that only the system's memory has. They are data now, and what comes behind
    // them, in this file or the next one, must not be durable before they are.
    for (const { name: older } of folder.manifest.incremental) folder.syncContent(older)
    if (manifest !== folder.manifest) folder.persist(manifest)
    log.notice(`${isNew ? 'Creating' : 'Opening'} AOF incr file ${name} on server start`)
    const fileBytes = folder.sizeOf(name)
    this.olderBytes = folder.sizeOfLog() - fileBytes
    this.baseBytes = manifest.base === null ? 0 : folder.sizeOf(manifest.base.name)
    this.follow(fd, fileBytes, isNew ? null : unsummed)
    this.state = AofState.On
    folder.removeHistoryLater(() => {})
  }

  /** CONFIG SET appendonly yes. Returns what is wrong, or null: the log is on, or will be when it has been rewritten. */
  enable(isInTransaction: boolean): string | null {
    if (this.state !== AofState.Off) return null
    const { log, base } = this.options
    const isOtherRewriting = this.isRewriting
    // The one under way knows nothing of what is written meanwhile. It ends in a later turn, and as what it was begun for.
    if (isOtherRewriting) this.abortRewrite()
    this.state = AofState.Waiting
    if (base.isActive && !isOtherRewriting) {
      this.isRewriteScheduled = true
      log.notice(
        'AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible.',
      )
      return null
    }
    if (isInTransaction) {
      this.isRewriteScheduled = true
      log.notice('AOF was enabled during a transaction. An AOF background was scheduled to start when possible.')
      return null
    }
    if (isOtherRewriting) {
      log.notice(
        'AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now.',
      )
      this.isRewriteScheduled = true
      return null
    }
    if (this.rewrite() === RewriteOutcome.Started) return null
    this.state = AofState.Off
    log.warning(
      "Millrace needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info about the error.",
    )
    return 'Unable to turn on AOF. Check server logs.'
  }

  /** Switches the log on again, which was off while data were loaded. What cannot begin now is tried again by `tick`. */
  enableAgain(): void {
    if (this.enable(false) === null) return
    this.state = AofState.Waiting
    this.isRewriteScheduled = true
  }

  /** CONFIG SET appendonly no. The files stay, as they are. */
  disable(): void {
    if (this.state === AofState.Off) return
    if (this.isRewriting) this.abortRewrite()
    const wasWaiting = this.state === AofState.Waiting
    this.state = AofState.Off
    this.isRewriteScheduled = false
    if (wasWaiting) this.dropWaitingFile()
    else {
      this.closeFile()
      this.unfollow()
    }
    // Nothing waits for a log that is off.
    this.options.onProgress()
  }

  /** Writes and syncs everything, at the end. Returns false when that failed; what waits for it then goes on waiting. */
  close(): boolean {
    if (this.isRewriting) this.abortRewrite()
    this.folder.cancelPersist()
    const isComplete = this.closeFile()
    if (this.state === AofState.Waiting) this.folder.removeLater(this.folder.temporaryName('incr'))
    this.state = AofState.Off
    this.unlock?.()
    this.unlock = null
    return isComplete
  }

  /** Brings all that was executed to the files, so that they can be loaded (DEBUG LOADAOF). Returns false when it fails. */
  flush(): boolean {
    this.options.journal.drain()
    return this.aof === null || this.state !== AofState.On || this.aof.flush()
  }

  // ---- rewriting -----------------------------------------------------------------------------------------------

  /** BGREWRITEAOF. Returns one of RewriteOutcome. */
  requestRewrite(isInTransaction: boolean): number {
    if (this.isRewriting) return RewriteOutcome.AlreadyRunning
    if (this.options.base.isActive || this.folder.isPersisting || isInTransaction) {
      this.isRewriteScheduled = true
      // Who asks for it by hand does not wait for the end of a delay.
      this.consecutiveFailures = 0
      return RewriteOutcome.Scheduled
    }
    return this.rewrite()
  }

  /** Gives up a rewrite that is under way: there is something that cannot wait for it. */
  abandonRewrite(): void {
    if (!this.isRewriting) return
    this.abortRewrite()
    if (this.state === AofState.Waiting) this.dropWaitingFile()
  }

  /** As `abandonRewrite`, and begins another one when that is possible. */
  postponeRewrite(): void {
    // One that only has its history left to remove is as good as ended.
    if (!this.isRewriting || this.phase === RewritePhase.Tidying) return
    this.abandonRewrite()
    this.isRewriteScheduled = true
  }

  /** Ten times a second, between commands. */
  tick(): void {
    this.aof?.checkDelay(performance.now())
    if (this.aof !== null) this.aof.isSyncPaused = this.pausesSyncs
    if (++this.ticks % TICKS_PER_SECOND === 0) this.tickSecond()
    if (this.phase === RewritePhase.Switching) this.switchToNext()
    // What is begun by itself does not wait for a slow disk; it can be begun at the next tick.
    if (this.options.base.isActive || this.folder.isPersisting || this.aof?.isBusy === true || this.isRewriting) return
    if (this.isRewriteScheduled) {
      if (!this.isLimited()) this.rewrite()
    } else if (this.state === AofState.On) this.rewriteIfGrown()
  }

  /** `aof-disable-auto-gc no`: what was kept is removed. */
  removeHistory(): void {
    // The end of a rewrite does so too.
    if (!this.isRewriting && !this.folder.isPersisting) this.folder.removeHistoryLater(() => {})
  }

  delayWrites(delayMs: number): void {
    this.writeDelayMs = delayMs
    this.applySettings()
  }

  /** Takes over settings of writing. */
  applySettings(): void {
    const { aof } = this
    const { config } = this.options
    if (aof === null) return
    aof.policy = fsyncPolicy(config.text('appendfsync'))
    aof.writesChecksums = config.bool('aof-checksums')
    aof.writesTimestamps = config.bool('aof-timestamp-enabled')
    aof.writeDelayMs = this.writeDelayMs
    aof.isSyncPaused = this.pausesSyncs
    // What waits now may wait for nothing more, or for a sync that nobody has asked for.
    if (aof.policy === FsyncPolicy.Always) aof.sync()
    this.options.onProgress()
  }

  private tickSecond(): void {
    const { aof, folder } = this
    if (folder.syncError !== null) this.retryFolderSync()
    aof?.tick()
  }

  private retryFolderSync(): void {
    const { folder, aof } = this
    folder.retrySync()
    if (aof !== null) aof.directoryError = folder.syncError
    if (folder.syncError !== null) return
    this.options.log.notice(`The directory ${folder.path} could be synced`)
    aof?.sync()
    if (!this.options.config.bool('aof-disable-auto-gc')) this.removeHistory()
  }

  private rewriteIfGrown(): void {
    const { config, log } = this.options
    const percentage = config.number('auto-aof-rewrite-percentage')
    if (percentage === 0 || this.totalBytes <= config.number('auto-aof-rewrite-min-size')) return
    const base = this.baseBytes === 0 ? 1 : this.baseBytes
    const growth = Math.trunc((this.totalBytes * 100) / base) - 100
    if (growth < percentage || this.isLimited()) return
    log.notice(`Starting automatic rewriting of AOF on ${growth}% growth`)
    this.rewrite()
  }

  /** Whether rewrites have failed so often that the next one has to wait (aofRewriteLimited). */
  private isLimited(): boolean {
    if (this.consecutiveFailures < FAILURES_MAX) {
      this.retryMinutes = 0
      this.retryAtMs = 0
      return false
    }
    const now = this.options.now()
    if (this.retryAtMs > 0) {
      if (now < this.retryAtMs) return true
      this.retryAtMs = 0
      return false
    }
    this.retryMinutes = Math.min(RETRY_MINUTES_MAX, this.retryMinutes === 0 ? 1 : this.retryMinutes * 2)
    this.retryAtMs = now + this.retryMinutes * MINUTE_MS
    this.options.log.warning(
      `Background AOF rewrite has repeatedly failed and triggered the limit, will retry in ${this.retryMinutes} minutes`,
    )
    return true
  }

  /**
   * Begins a rewrite. Returns one of RewriteOutcome: Failed, with a line in the log, when that cannot be done; Scheduled
   * when the disk is busy, for which the loop does not wait.
   */
  private rewrite(): number {
    this.rewriteStartedMs = this.options.now()
    try {
      this.lock()
      this.folder.create()
      // What the commands before this one have done belongs to the old file, and is part of the snapshot.
      this.options.journal.drain()
      if (this.state === AofState.On) {
        if (!this.isWritten()) {
          this.isRewriteScheduled = true
          return RewriteOutcome.Scheduled
        }
        this.nameNext()
      } else if (this.state === AofState.Waiting) this.followTemporary()
    } catch (error) {
      return this.cannotBegin(error)
    }
    this.isRewriteScheduled = false
    this.rewrites++
    if (this.phase !== RewritePhase.Naming) return this.writeBase()
    this.options.log.notice('Background append only file rewriting started')
    return RewriteOutcome.Started
  }

  /** Creates the next incremental file, and has the manifest name it. @throws the system's error */
  private nameNext(): void {
    const { folder, aof } = this
    const { files } = this.options
    const next = withNewIncremental(folder.manifest, folder.options.fileName)
    const { name } = next.incremental.at(-1)!
    const fd = folder.openNew(name)
    try {
      folder.persistLater(next, (error) => {
        if (error === null) {
          if (this.aof !== null) this.aof.directoryError = folder.syncError
          this.phase = RewritePhase.Switching
          this.switchToNext()
          return
        }
        this.dropNext()
        this.cannotBegin(error)
      })
    } catch (error) {
      files.close(fd)
      throw error
    }
    this.nextFile = { fd, name }
    this.phase = RewritePhase.Naming
    // The less is left to sync when the log goes on in the next file, the less waits for that.
    if (aof !== null && aof.policy === FsyncPolicy.EverySecond) aof.sync()
  }

  /** Goes on in the next file, or leaves that to the next tick: the disk is busy. The base is what was done before it. */
  private switchToNext(): void {
    const { aof, nextFile } = this
    if (aof === null || nextFile === null) return
    const { journal, log, base } = this.options
    journal.drain()
    aof.endChecksum()
    try {
      if (!this.isWritten()) return
    } catch (error) {
      this.dropNext()
      this.cannotBegin(error)
      return
    }
    // A snapshot may have begun meanwhile, for another purpose. The file is named already; another one will follow it.
    if (base.isActive) {
      this.dropNext()
      this.isRewriteScheduled = true
      return
    }
    journal.forgetSelected()
    this.olderBytes += aof.fileBytes
    aof.switchTo(nextFile.fd)
    log.notice(`Creating AOF incr file ${nextFile.name} on background rewrite`)
    this.nextFile = null
    this.writeBase()
  }

  /** Gives up the next file before anything was written to it. */
  private dropNext(): void {
    if (this.nextFile === null) return
    this.options.files.close(this.nextFile.fd)
    this.removeUnnamed(this.nextFile.name)
    this.nextFile = null
    this.phase = RewritePhase.None
  }

  private followTemporary(): void {
    const { folder } = this
    const name = folder.temporaryName('incr')
    this.follow(folder.openNew(name), 0, null)
    this.options.log.notice(`Creating AOF incr file ${name} on background rewrite`)
  }

  /** Has the data written as they are now. Returns one of RewriteOutcome. */
  private writeBase(): number {
    const { log, base } = this.options
    const { folder } = this
    const format = this.baseFormat
    const rewrite = ++this.rewriteNumber
    const isBegun = this.phase === RewritePhase.Switching
    this.phase = RewritePhase.None
    try {
      base.begin(folder.pathOf(folder.temporaryName('base')), format, (error) => {
        // One that was given up is told so, but nobody waits for it.
        if (rewrite === this.rewriteNumber && this.phase === RewritePhase.Writing) this.finishRewrite(format, error)
      })
    } catch (error) {
      if (this.state === AofState.Waiting) this.dropWaitingFile()
      return this.cannotBegin(error)
    }
    this.phase = RewritePhase.Writing
    if (this.aof !== null) this.aof.isSyncPaused = this.pausesSyncs
    if (!isBegun) log.notice('Background append only file rewriting started')
    return RewriteOutcome.Started
  }

  /** Whether the file holds all that was executed. @throws Error when it cannot be written */
  private isWritten(): boolean {
    const { aof } = this
    if (this.state !== AofState.On || aof === null || (aof.tryFlush() && aof.error === null)) return true
    if (aof.error !== null) throw new Error(`it cannot be written: ${aof.error}`)
    return false
  }

  /** Counts as a failure: what is tried again at each tick would try for ever otherwise. */
  private cannotBegin(error: unknown): number {
    this.options.log.warning(`Cannot begin to rewrite the append-only file: ${systemErrorText(error)}`)
    this.isLastRewriteOk = false
    this.consecutiveFailures++
    return RewriteOutcome.Failed
  }

  private finishRewrite(format: BaseFormat, error: Error | null): void {
    if (error !== null) {
      this.rewriteFailed(error)
      return
    }
    this.options.log.notice('Background AOF rewrite terminated with success')
    this.phase = RewritePhase.TakingOver
    this.takeOverBase(format)
  }

  /** Makes a log of the base that was written and of what follows it. Until the manifest is in place the old log counts. */
  private takeOverBase(format: BaseFormat): void {
    const { folder } = this
    const rewrite = this.rewriteNumber
    let next = withNewBase(folder.manifest, folder.options.fileName, format)
    const baseName = next.base!.name
    if (this.state === AofState.Waiting) next = withNewIncremental(next, folder.options.fileName)
    next = withIncrementalAsHistory(next, this.state === AofState.Off ? 0 : 1)
    this.nextManifest = next
    const failed = (error: unknown): void => {
      this.dropNextManifest()
      this.rewriteFailed(error)
    }
    try {
      folder.rename(folder.temporaryName('base'), baseName)
      this.options.log.notice(`Successfully renamed the temporary AOF base file into ${baseName}`)
      if (this.state === AofState.Waiting) folder.rename(folder.temporaryName('incr'), next.incremental.at(-1)!.name)
    } catch (error) {
      failed(error)
      return
    }
    folder.syncNamesLater((error) => {
      if (rewrite !== this.rewriteNumber || this.nextManifest !== next) return
      if (error !== null) {
        failed(error)
        return
      }
      try {
        folder.persistLater(next, (problem) => {
          if (problem === null) this.tookOver()
          else failed(problem)
        })
      } catch (problem) {
        failed(problem)
      }
    })
  }

  /** The manifest names the new base: it is the log, with what follows it. */
  private tookOver(): void {
    const { folder, aof } = this
    const { log, config } = this.options
    this.nextManifest = null
    if (this.state === AofState.Waiting) this.state = AofState.On
    this.olderBytes = folder.sizeOf(folder.manifest.base!.name)
    this.baseBytes = this.totalBytes
    if (aof !== null) aof.directoryError = folder.syncError
    this.isLastRewriteOk = true
    this.consecutiveFailures = 0
    log.notice('Background AOF rewrite finished successfully')
    this.phase = RewritePhase.Tidying
    const rewrite = this.rewriteNumber
    const end = (): void => {
      if (rewrite === this.rewriteNumber && this.phase === RewritePhase.Tidying) this.rewriteEnded()
    }
    if (config.bool('aof-disable-auto-gc')) end()
    else folder.removeHistoryLater(end)
  }

  private rewriteFailed(error: unknown): void {
    const { folder } = this
    this.isLastRewriteOk = false
    this.consecutiveFailures++
    this.options.log.warning(`Background AOF rewrite terminated with error: ${systemErrorText(error)}`)
    folder.removeLater(folder.temporaryName('base'))
    // Without a base that holds what was there before, what was written meanwhile is no log.
    if (this.state === AofState.Waiting) {
      this.dropWaitingFile()
      this.isRewriteScheduled = true
    }
    this.rewriteEnded()
  }

  private rewriteEnded(): void {
    this.phase = RewritePhase.None
    this.lastRewriteSeconds = this.secondsSinceStart()
    if (this.aof !== null) {
      this.aof.isSyncPaused = this.pausesSyncs
      if (this.aof.policy === FsyncPolicy.Always) this.aof.sync()
    }
    this.options.onProgress()
  }

  /** Removes the files that only a manifest names which will not be written. */
  private dropNextManifest(): void {
    const next = this.nextManifest
    if (next === null) return
    this.nextManifest = null
    if (next.base !== null) this.folder.removeLater(next.base.name)
    const incremental = next.incremental.at(-1)
    if (this.state === AofState.Waiting && incremental !== undefined) this.removeUnnamed(incremental.name)
  }

  /** Removes a file unless the manifest names it. */
  private removeUnnamed(name: string): void {
    if (!this.folder.manifest.incremental.some((file) => file.name === name)) this.folder.removeLater(name)
  }

  /** Ends a rewrite because nobody wants it any more; that is no failure. */
  private abortRewrite(): void {
    const { phase, folder } = this
    // The new log counts already; what it has replaced goes in any case.
    if (phase === RewritePhase.Tidying) return
    if (!folder.cancelPersist() && phase === RewritePhase.TakingOver) {
      this.tookOver()
      return
    }
    this.options.log.notice('Killing running AOF rewrite child')
    if (phase === RewritePhase.Writing) this.options.base.abort()
    this.dropNext()
    this.dropNextManifest()
    this.phase = RewritePhase.None
    this.lastRewriteSeconds = this.secondsSinceStart()
  }

  private dropWaitingFile(): void {
    const name = this.folder.temporaryName('incr')
    this.options.log.notice(`Removing the temp incr aof file ${name} in the background`)
    this.unfollow()?.abandon()
    this.folder.removeLater(name)
  }

  // ---- the file that is written --------------------------------------------------------------------------------

  /** From here on the journal goes to this file, which holds what was done so far or stands behind what does. */
  private follow(fd: number, fileBytes: number, unsummed: Unsummed | null): void {
    const { files, log, journal, config, onChange, onProgress } = this.options
    const aof = new Aof(fd, fileBytes, journal.effectCount, {
      files,
      log,
      policy: fsyncPolicy(config.text('appendfsync')),
      unsummed,
      onProgress,
    })
    aof.directoryError = this.folder.syncError
    this.aof = aof
    this.applySettings()
    onChange(aof)
    journal.subscribe(this.subscriber, JournalTarget.Aof)
  }

  private readonly subscriber = (buffer: Buffer, start: number, end: number): void => {
    const { aof } = this
    if (aof === null) return
    // The clock is read for time stamps only.
    const nowMs = aof.writesTimestamps ? this.options.now() : 0
    aof.append(buffer, start, end, this.options.journal.drainedEffects, nowMs)
  }

  /** Ends the subscription. Returns what was followed. */
  private unfollow(): Aof | null {
    const { aof } = this
    if (aof === null) return null
    const { journal, onChange } = this.options
    journal.unsubscribe(this.subscriber)
    this.earlierDelays += aof.delayedSyncs
    this.aof = null
    this.olderBytes = 0
    onChange(null)
    return aof
  }

  /** Returns false when not all could be written. */
  private closeFile(): boolean {
    if (this.aof === null) return true
    this.options.journal.drain()
    const isComplete = this.aof.close()
    if (!isComplete) this.options.log.warning(`The append-only file is not complete: ${this.aof.error ?? ''}`)
    this.options.onProgress()
    return isComplete
  }

  private folderOf(): AofFolder {
    const { config, files, log } = this.options
    return new AofFolder({
      directory: config.directory,
      folder: config.text('appenddirname'),
      fileName: config.text('appendfilename'),
      files,
      log,
    })
  }

  private get baseFormat(): BaseFormat {
    return this.options.config.bool('aof-use-rdb-preamble') ? 'rdb' : 'aof'
  }

  /** Whether nothing is forced to the disk because a snapshot keeps it busy. */
  private get pausesSyncs(): boolean {
    return this.options.base.isActive && this.options.config.bool('no-appendfsync-on-rewrite')
  }

  private secondsSinceStart(): number {
    return Math.max(0, Math.floor((this.options.now() - this.rewriteStartedMs) / 1000))
  }
}
