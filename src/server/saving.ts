/**
 * Snapshots on disk: SAVE, BGSAVE, save points, and what is told of them. Cold.
 *
 * A snapshot is written under a temporary name and takes the place of the old one when it is complete and durable. One
 * that fails leaves the old one; the next save point that is due tries again after RETRY_MS.
 * Source: Valkey 7.2 src/rdb.c bgsaveCommand, backgroundSaveDoneHandlerDisk; src/server.c serverCron.
 */
import { dirname, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { CancelOutcome, type SaveControl, SaveOutcome, ShutdownSave } from '../commands/context.ts'
import { decodePath } from '../config/path-text.ts'
import type { Files } from '../files/files.ts'
import { asError } from '../files/thrown.ts'
import { SnapshotAbortedError, type SnapshotRequest } from '../persistence/snapshot/snapshot.ts'
import type { Server } from './server.ts'
import { rdbSnapshot } from './snapshot-request.ts'

/** A save point waits for so long after a snapshot that failed. */
const RETRY_MS = 5000
const MIB = 1024 * 1024

/** Snapshots that were begun in this thread, by any broker: two of them may use one directory. */
let fileNumber = 0

/** A snapshot in the background. */
interface SaveUnderWay {
  /** Where it is written, and the name that it gets. */
  readonly path: string
  readonly target: string
  /** Changes that it holds. */
  readonly changes: number
  /** Whether it must not take the place of one that is written later. */
  isGivenUp: boolean
  /** Whether it is complete, and only its name is left to be made durable. */
  isComplete: boolean
}

/** The last snapshot, which a signal has asked for. */
interface FinalSave {
  readonly path: string
  readonly isForced: boolean
  readonly done: (mayEnd: boolean) => void
}

export class Saving implements SaveControl {
  private readonly server: Server
  private readonly files: Files
  isSaving: boolean = false
  isScheduled: boolean = false
  isLastOk: boolean = true
  lastSaveMs: number
  lastSeconds = -1
  saves = 0
  lastHeldBytes = 0
  private startedMs = 0
  private triedMs = 0
  private heldBytes = 0
  private underWay: SaveUnderWay | null = null
  private final: FinalSave | null = null
  private isFinalBegun: boolean = false

  constructor(server: Server, files: Files) {
    this.server = server
    this.files = files
    this.lastSaveMs = server.startedMs
  }

  get currentSeconds(): number {
    return this.isSaving ? this.secondsSinceStart() : -1
  }

  /** Why writes are refused: the last snapshot failed, and save points are to be relied on. */
  get refusesWrites(): boolean {
    const { config } = this.server
    return !this.isLastOk && config.bool('stop-writes-on-bgsave-error') && config.value('save').length > 0
  }

  /** Writes the snapshot before it returns. Returns whether that worked; the log says what did not. */
  saveNow(): boolean {
    // One under way would put an older state in the place of this one. A rewrite could only be brought to its end at
    // once, with all of its records in memory.
    this.abort()
    this.server.replication.abandonPayload()
    this.server.appendOnly.postponeRewrite()
    this.saves++
    const started = performance.now()
    const path = this.temporaryPath()
    try {
      this.server.snapshots.saveNow(this.request(path))
      this.files.supersede(path, this.path())
      this.files.syncDirectory(dirname(this.path()))
    } catch (error) {
      this.failed(path, error)
      return false
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(3)
    this.allSaved(`DB saved on disk: ${seconds} seconds`)
    return true
  }

  /** BGSAVE. Returns one of SaveOutcome. */
  requestSave(isInTransaction: boolean, maySchedule: boolean): number {
    if (this.isSaving || this.server.replication.isWritingPayload) return SaveOutcome.AlreadyRunning
    if (this.isOtherUnderWay || isInTransaction) {
      if (!maySchedule && !isInTransaction) return SaveOutcome.OtherRunning
      this.isScheduled = true
      return SaveOutcome.Scheduled
    }
    return this.begin() ? SaveOutcome.Started : SaveOutcome.Failed
  }

  /** BGSAVE CANCEL. */
  cancelSave(): CancelOutcome {
    const { underWay, isScheduled } = this
    if (underWay !== null && !underWay.isGivenUp && !underWay.isComplete) {
      this.server.log.notice('Background saving will be aborted due to user request')
      this.abort()
      this.isScheduled = isScheduled
      return CancelOutcome.UnderWay
    }
    if (!isScheduled) return CancelOutcome.Nothing
    this.server.log.notice('Scheduled background saving will be cancelled due to user request')
    this.isScheduled = false
    return CancelOutcome.Scheduled
  }

  dataRemoved(): void {
    this.abort()
    // The file would bring them back.
    if (this.server.config.value('save').length > 0 && this.hasFile) this.saveNow()
  }

  /** The last snapshot before the process ends. Returns false when it is wanted and cannot be written. */
  saveForShutdown(save: ShutdownSave, isForced: boolean): boolean {
    return !this.prepareFinal(save) || this.saveNow() || this.finalFailed(isForced)
  }

  /**
   * As `saveForShutdown`, while the loop goes on, so that the process can still be told to end at once. Nothing may be
   * executed from now on: it would not be in the snapshot.
   */
  saveForShutdownLater(save: ShutdownSave, isForced: boolean, done: (mayEnd: boolean) => void): void {
    const { snapshots, config } = this.server
    if (!this.prepareFinal(save)) {
      done(true)
      return
    }
    this.server.appendOnly.abandonRewrite()
    this.final = { path: join(config.directory, `temp-${process.pid}.rdb`), isForced, done }
    // One that was given up is under way for some time yet.
    if (!snapshots.isActive) this.beginFinal(this.final)
  }

  /** Removes what there is of the last snapshot: the process ends at once. */
  discardFinal(): void {
    if (this.final !== null) this.discard(this.final.path)
  }

  /** Gives up what is under way. Returns whether a last snapshot is to be written. */
  private prepareFinal(save: ShutdownSave): boolean {
    const { config, loading, log } = this.server
    // What is loaded is in its files.
    if (loading.isActive) return false
    if (this.isSaving) log.warning('There is a child saving an .rdb. Killing it!')
    this.abort()
    this.server.replication.abandonPayload()
    const isConfigured = config.value('save').length > 0 && this.hasFile
    if (save === ShutdownSave.Never || (save === ShutdownSave.IfConfigured && !isConfigured)) return false
    log.notice('Saving the final RDB snapshot before exiting.')
    return true
  }

  private beginFinal({ path, isForced, done }: FinalSave): void {
    const { server } = this
    const target = this.path()
    this.isFinalBegun = true
    const end = (error: Error | null): void => {
      this.publishLater(path, target, error, (problem) => {
        this.final = null
        this.isFinalBegun = false
        if (problem === null) this.allSaved('DB saved on disk')
        else this.failed(path, problem)
        done(problem === null || this.finalFailed(isForced))
      })
    }
    try {
      server.snapshots.begin({ ...this.request(path), done: end })
    } catch (error) {
      end(asError(error))
    }
  }

  /** Returns whether the process may end all the same. */
  private finalFailed(isForced: boolean): boolean {
    this.server.log.warning(`Error trying to save the DB, ${isForced ? 'exit anyway' : "can't exit"}.`)
    return isForced
  }

  /** Gives up the snapshot under way: it must not take the place of one that is written later. */
  abort(): void {
    this.isScheduled = false
    if (this.underWay === null) return
    // It may be written already, which will be told in this turn still.
    this.underWay.isGivenUp = true
    if (!this.underWay.isComplete) this.server.snapshots.abort()
  }

  /** Whether a snapshot is written for another purpose, or is about to be. */
  private get isOtherUnderWay(): boolean {
    return this.server.snapshots.isActive || this.server.appendOnly.isRewriting
  }

  private get hasFile(): boolean {
    return this.server.config.text('dbfilename') !== ''
  }

  /** Ten times a second: begins what is scheduled, or what a save point asks for. */
  tick(): void {
    const { server } = this
    if (this.isSaving) {
      this.heldBytes = Math.max(this.heldBytes, server.snapshots.heldBytes)
      return
    }
    if (this.isOtherUnderWay || server.loading.isActive) return
    if (this.final !== null) {
      if (!this.isFinalBegun) this.beginFinal(this.final)
      return
    }
    const { now } = server.keyspace
    const mayTry = this.isLastOk || now - this.triedMs > RETRY_MS
    if (this.isScheduled) {
      if (mayTry && this.begin()) this.isScheduled = false
      return
    }
    const changes = server.keyspace.stats.changes
    if (!this.hasFile) return
    for (const point of server.config.value('save')) {
      if (changes < point.changes || now - this.lastSaveMs <= point.seconds * 1000 || !mayTry) continue
      server.log.notice(`${point.changes} changes in ${point.seconds} seconds. Saving...`)
      this.begin()
      return
    }
  }

  private begin(): boolean {
    const { server } = this
    const path = this.temporaryPath()
    // As in Redis: it goes where it was meant to go when it began, whatever is set meanwhile.
    const target = this.path()
    const changes = server.keyspace.stats.changes
    this.triedMs = server.keyspace.now
    this.startedMs = server.keyspace.now
    this.saves++
    server.stats.snapshots++
    this.heldBytes = 0
    const save: SaveUnderWay = { path, target, changes, isGivenUp: false, isComplete: false }
    try {
      server.snapshots.begin({ ...this.request(path), done: (error) => this.ended(save, error) })
    } catch (error) {
      server.log.warning(`Can't save in background: ${asError(error).message}`)
      this.isLastOk = false
      return false
    }
    this.isSaving = true
    this.underWay = save
    server.log.notice(`Background saving started by pid ${process.pid}`)
    return true
  }

  private ended(save: SaveUnderWay, error: Error | null): void {
    const { server } = this
    this.lastHeldBytes = Math.max(this.heldBytes, server.snapshots.heldBytes)
    if (save.isGivenUp || error instanceof SnapshotAbortedError) {
      this.finished()
      if (!(error instanceof SnapshotAbortedError)) this.discard(save.path)
      // Somebody wanted it so: that is no failure to refuse writes for.
      server.log.warning('Background saving terminated by signal')
      return
    }
    save.isComplete = true
    this.publishLater(save.path, save.target, error, (problem) => {
      this.finished()
      // It had its name already, and another one has it now: that one's changes are counted.
      if (save.isGivenUp) return
      if (problem !== null) {
        this.discard(save.path)
        this.isLastOk = false
        server.log.warning(`Background saving error: ${problem.message}`)
        return
      }
      server.log.notice(
        `Background saving terminated with success, ${Math.ceil(this.lastHeldBytes / MIB)} MB held for it`,
      )
      server.keyspace.stats.changes = Math.max(0, server.keyspace.stats.changes - save.changes)
      this.succeeded()
    })
  }

  private finished(): void {
    this.isSaving = false
    this.underWay = null
    this.lastSeconds = this.secondsSinceStart()
  }

  /** All data are in the file, and nothing was executed meanwhile. */
  private allSaved(message: string): void {
    this.server.log.notice(message)
    this.server.keyspace.stats.changes = 0
    this.succeeded()
  }

  private failed(path: string, error: unknown): void {
    this.discard(path)
    this.server.log.warning(`Error saving the snapshot on disk: ${asError(error).message}`)
  }

  private succeeded(): void {
    this.isLastOk = true
    this.lastSaveMs = this.server.keyspace.now
  }

  /**
   * Gives a complete file its name, for good, unless `error` says that it is not complete. `done` is told what went wrong,
   * in a later turn or at once.
   */
  private publishLater(path: string, target: string, error: Error | null, done: (error: Error | null) => void): void {
    try {
      if (error !== null) throw error
      this.files.supersede(path, target)
    } catch (problem) {
      done(asError(problem))
      return
    }
    this.files.syncDirectoryLater(dirname(target), done)
  }

  private discard(path: string): void {
    try {
      this.files.remove(path)
    } catch {
      // It has a name that nobody reads; the error that led here is logged.
    }
  }

  private path(): string {
    const { config } = this.server
    return join(config.directory, decodePath(config.text('dbfilename')))
  }

  private temporaryPath(): string {
    return join(this.server.config.directory, `temp-${process.pid}-${threadId}-${++fileNumber}.rdb`)
  }

  private request(path: string): Omit<SnapshotRequest, 'done'> {
    if (!this.hasFile) throw new Error('dbfilename is empty')
    this.server.config.createDefaultDirectory()
    return rdbSnapshot(this.server, path)
  }

  private secondsSinceStart(): number {
    return Math.max(0, Math.floor((this.server.keyspace.now - this.startedMs) / 1000))
  }
}
