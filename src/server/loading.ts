/**
 * Loading of data: drives a loader in slices between loop turns, or at once for DEBUG RELOAD and LOADAOF.
 *
 *     slice ──▶ turn of the loop: input is read, commands that need no data are answered ──▶ slice …
 *
 * What a slice does is no statistics of this process and changes nothing that a snapshot would have to save.
 */
import { closeSync, existsSync, fstatSync, openSync, statSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ReloadOptions } from '../commands/context.ts'
import { existingScriptRunner, scriptRunner } from '../commands/scripting/script-runner.ts'
import { ClientFlag, discardTransaction } from '../commands/session.ts'
import { sleep } from '../files/sleep.ts'
import { messageOf } from '../files/thrown.ts'
import { StallCause } from '../observe/stalls.ts'
import type { Unsummed } from '../persistence/aof-annotations.ts'
import { AofLoadError, AofLoader, type AofLoadFile, type CommandReplay } from '../persistence/aof-load.ts'
import type { Loader } from '../persistence/load-progress.ts'
import { RdbFileLoader, RdbLoadError, type RdbLoadOptions } from '../persistence/rdb/load-file.ts'
import type { StreamPosition } from '../persistence/snapshot-format.ts'
import type { PayloadFile } from '../replication/payload-file.ts'
import type { Args } from '../resp/args.ts'
import { RespSink } from '../resp/reply.ts'
import { type FunctionLibraries, LoadMode } from '../scripting/function-libraries.ts'
import { NO_ROW } from '../storage/dict.ts'
import type { Client } from './client.ts'
import { INTERNAL_ERROR } from './execute.ts'
import type { Server } from './server.ts'

/** A snapshot that is open for reading. */
interface DumpFile {
  readonly fd: number
  readonly path: string
  readonly sizeBytes: number
}

/** Keys that get an access time in one slice: it takes some ns each. */
const ROWS_PER_SLICE = 500_000
/** Longest time that a delay is waited for in one go, in ms; setTimeout takes 31 bits. */
const DELAY_MS_MAX = 0x7fffffff

export class DataLoading {
  private readonly server: Server
  /** Ends the wait between two slices that is under way. */
  private wake: () => void = () => {}

  constructor(server: Server) {
    this.server = server
    const { config, loading } = server
    loading.intervalBytes = config.number('loading-process-events-interval-bytes')
    loading.delayUs = config.number('key-load-delay')
    config.onChange('loading-process-events-interval-bytes', (bytes) => {
      loading.intervalBytes = bytes
      return null
    })
    config.onChange('key-load-delay', (microseconds) => {
      loading.delayUs = microseconds
      // The wait for what the old delay has summed up may not have begun.
      loading.owedMs = 0
      this.wake()
      return null
    })
  }

  /** From now on data are being loaded. */
  begin(): void {
    const { loading, keyspace } = this.server
    loading.begin(0, this.server.clockNow())
    // Keys that a client meets expired are still needed by the commands of the log.
    keyspace.removesMetExpired = false
  }

  /** All data are there. */
  finish(): void {
    const { loading, keyspace } = this.server
    loading.end()
    keyspace.removesMetExpired = !this.server.pauses.isActive
    // Whose they are is not known: on a replica the primary decides when they are gone.
    for (const db of keyspace.databases) db.ownExpires.clear()
    // Whoever watches a key has not seen it come.
    for (const db of keyspace.databases)
      for (const watchers of db.watchers.values()) for (const watcher of watchers) watcher.watchDirty = true
    this.server.scheduleTurn()
  }

  /** Loads the files of a log. Returns what its end has no checksum for (AofLoader.unsummed). @throws AofLoadError */
  async loadLog(files: readonly AofLoadFile[], isStopped: () => boolean): Promise<Unsummed | null> {
    const started = performance.now()
    const loader = this.logLoader(files)
    if (!(await this.inSlices(loader, isStopped))) return null
    if (await this.inSlices(this.accessTimes(), isStopped)) this.logLoaded(loader, started)
    return loader.unsummed
  }

  /** Empties the data and loads a log (DEBUG LOADAOF). Returns whether that worked. */
  reloadLog(files: readonly AofLoadFile[]): boolean {
    const { journal } = this.server
    this.clearData()
    const wasEnabled = journal.enabled
    journal.enabled = false
    try {
      const started = performance.now()
      const loader = this.logLoader(files)
      this.atOnce(loader)
      this.atOnce(this.accessTimes())
      this.logLoaded(loader, started)
      return true
    } catch (error) {
      if (!(error instanceof AofLoadError)) throw error
      this.server.log.warning(error.message)
      return false
    } finally {
      journal.enabled = wasEnabled
      this.finish()
    }
  }

  /** Loads the snapshot in `dir`, if there is one. Returns its place in a history of replication. @throws RdbLoadError */
  async loadDump(isStopped: () => boolean): Promise<StreamPosition | null> {
    const file = this.openDump()
    if (file === null) return null
    try {
      const started = performance.now()
      const now = this.server.clockNow()
      this.server.loading.begin(file.sizeBytes, now)
      const loader = new RdbFileLoader(file, {
        ...this.snapshotOptions(now, false),
        keepsHistory: this.server.config.value('replicaof') !== null,
        onHistoryExpired: (position, db, source, start, length) =>
          this.server.replication.expiredBefore(position, db, source, start, length),
      })
      if (!(await this.inSlices(loader, isStopped))) return null
      this.dumpLoaded(started)
      return loader.position
    } catch (error) {
      throw dumpError(error, file.path)
    } finally {
      closeSync(file.fd)
    }
  }

  /** Loads the snapshot in `dir` while the server runs (DEBUG RELOAD). Returns whether there is one that can be loaded. */
  reloadDump(options: ReloadOptions): boolean {
    const { log } = this.server
    let file: DumpFile | null = null
    try {
      file = this.openDump()
      if (options.clears) this.clearData()
      if (file === null) return false
      const started = performance.now()
      this.atOnce(this.dumpLoader(file, options.merges))
      this.dumpLoaded(started)
      return true
    } catch (error) {
      if (!(error instanceof RdbLoadError)) throw error
      log.warning(error.message)
      return false
    } finally {
      if (file !== null) closeSync(file.fd)
      this.finish()
    }
  }

  /**
   * Puts a snapshot of the primary in the place of all data. Returns the database that its stream goes on in; null when it
   * was stopped. @throws RdbLoadError
   */
  async loadPayload(file: PayloadFile, isStopped: () => boolean): Promise<number | null> {
    const { server } = this
    const started = performance.now()
    this.begin()
    server.journal.drain()
    this.clearData()
    try {
      server.loading.begin(file.sizeBytes, server.clockNow())
      const loader = new RdbFileLoader(file, this.snapshotOptions(null, false))
      if (!(await this.inSlices(loader, isStopped))) return null
      this.dumpLoaded(started)
      return loader.position?.db ?? 0
    } finally {
      this.finish()
    }
  }

  /** Loads between turns of the loop. Returns false when `isStopped` was true before the end. @throws as Loader.step */
  async inSlices(loader: Loader, isStopped: () => boolean): Promise<boolean> {
    const { loading } = this.server
    try {
      while (!this.slice(loader)) {
        await nextTurn()
        if (loading.owedMs > 0 && !isStopped()) await this.delay(loading.owedMs)
        if (isStopped()) return false
      }
      return true
    } finally {
      loader.close()
    }
  }

  /** Loads everything before it returns. @throws as Loader.step */
  atOnce(loader: Loader): void {
    const { loading } = this.server
    try {
      while (!this.slice(loader)) {
        if (loading.owedMs > 0) sleep(loading.owedMs)
      }
    } finally {
      loader.close()
    }
  }

  /** No more is waited for: the broker is closed. */
  stop(): void {
    this.wake()
  }

  private logLoader(files: readonly AofLoadFile[]): AofLoader {
    const { config, log, loading } = this.server
    loading.begin(
      files.reduce((sum, { path }) => sum + statSync(path).size, 0),
      this.server.clockNow(),
    )
    this.server.replayErrors = 0
    return new AofLoader({
      files,
      truncates: config.bool('aof-load-truncated'),
      log,
      progress: loading,
      replay: this.replay(),
      loadSnapshot: (fd, sizeBytes) => new RdbFileLoader({ fd, sizeBytes }, this.snapshotOptions(null, false)),
    })
  }

  /** Gives access times to what was replayed, while no clock was running. */
  private accessTimes(): Loader {
    const { databases } = this.server.keyspace
    let index = 0
    let row = 0
    return {
      step: () => {
        for (let left = ROWS_PER_SLICE; index < databases.length; index++, row = 0) {
          const db = databases[index]!
          for (; row < db.size; row++) {
            if (left-- === 0) return false
            db.touchUntouched(row)
          }
        }
        return true
      },
      close: () => {},
    }
  }

  private logLoaded(loader: AofLoader, started: number): void {
    const { keyspace, log, replayErrors } = this.server
    if (replayErrors > 0) log.warning(`${replayErrors} commands of the append only file failed`)
    const keys = keyspace.databases.reduce((sum, db) => sum + db.size, 0)
    log.notice(
      `DB loaded from append only file: ${seconds(started)} seconds, ${loader.commands} commands, ${keys} keys`,
    )
  }

  /** Runs the commands of a log. */
  private replay(): CommandReplay {
    const { server } = this
    const client = server.createInternalClient(ClientFlag.Replay)
    const sink = new RespSink(server.keyspace.arena)
    return {
      begin: () => {
        // Nothing expires before the log is read to its end: a command finds what it found when it was written.
        server.keyspace.now = 0
      },
      run: (args) => this.runReplayed(client, args, sink),
      isInTransaction: () => (client.flags & ClientFlag.Multi) !== 0,
      discard: () => discardTransaction(client),
    }
  }

  /** What loading of an RDB needs of the server. */
  private snapshotOptions(dropsExpiredAt: number | null, replaces: boolean): RdbLoadOptions {
    const { keyspace, log, loading, config } = this.server
    return {
      keyspace,
      log,
      progress: loading,
      checksums: config.bool('rdbchecksum') && !keyspace.skipsChecksums,
      dropsExpiredAt,
      replacesKeys: replaces,
      loadFunctions: (source) => this.functions.load(source, replaces ? LoadMode.Replace : LoadMode.Refuse),
    }
  }

  private openDump(): DumpFile | null {
    const { config } = this.server
    const name = config.text('dbfilename')
    const path = config.resolvePath(name)
    if (name === '' || !existsSync(path)) return null
    try {
      // A directory can be opened, and fails without a name when it is read.
      if (statSync(path).isDirectory()) throw new Error('it is a directory')
      const fd = openSync(path, 'r')
      return { fd, path, sizeBytes: fstatSync(fd).size }
    } catch (error) {
      throw new RdbLoadError(
        `Fatal error loading the DB: can't open the RDB file ${path} for reading: ${messageOf(error)}`,
      )
    }
  }

  private dumpLoader(file: DumpFile, replacesKeys: boolean): RdbFileLoader {
    const now = this.server.clockNow()
    this.server.loading.begin(file.sizeBytes, now)
    return new RdbFileLoader(file, this.snapshotOptions(now, replacesKeys))
  }

  private dumpLoaded(started: number): void {
    this.server.log.notice(`DB loaded from disk: ${seconds(started)} seconds`)
  }

  private get functions(): FunctionLibraries {
    return scriptRunner(this.server.ctx).functions
  }

  private clearData(): void {
    const { keyspace } = this.server
    if (existingScriptRunner(this.server.ctx) !== null) this.functions.clear()
    keyspace.touchedEverything()
    for (const db of keyspace.databases) {
      keyspace.touchedAll(db, (key) => db.findText(key) !== NO_ROW)
      db.clear()
    }
  }

  private runReplayed(client: Client, args: Args, sink: RespSink): string | null {
    const { server } = this
    sink.reset()
    const command = server.pipeline.resolve(args)
    if (!('handler' in command)) return command.text
    const errors = server.replayErrors
    server.pipeline.replay(client, command, args, sink)
    if (server.replayErrors === errors) return null
    // What failed when it was written fails again. But no write may go to another database than it was meant for, and
    // a defect is not to cost data silently.
    return command.name === 'select' || server.replayError === INTERNAL_ERROR ? server.replayError : null
  }

  private slice(loader: Loader): boolean {
    const { server } = this
    const { keyspace, ctx } = server
    const { stats } = keyspace
    const { hits, misses, changes } = stats
    const { mayBlock } = ctx
    server.readClock()
    ctx.mayBlock = false
    const startMs = performance.now()
    server.loading.beginSlice()
    try {
      return loader.step()
    } finally {
      ctx.mayBlock = mayBlock
      stats.hits = hits
      stats.misses = misses
      stats.changes = changes
      server.memory.notePeak()
      server.readClock()
      server.stalls.took(StallCause.Loading, startMs)
    }
  }

  private async delay(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, DELAY_MS_MAX))
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.wake = () => {}
  }
}

function seconds(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(3)
}

function dumpError(error: unknown, path: string): unknown {
  return error instanceof RdbLoadError
    ? new RdbLoadError(`Fatal error loading the DB from ${path}: ${error.message}`)
    : error
}
