/**
 * The directory of the append-only file: its manifest, and the files that the manifest names. Cold.
 *
 * A change is on the disk before it counts here. The one exception: a manifest that took the place of the old one but
 * may not outlive a power cut (the directory could not be synced) counts, and `syncError` says so until a sync has
 * succeeded; nothing that the old manifest names is removed before.
 *
 * Beside the named files there are temporary ones, which the next start removes: at most one of each kind, and those that
 * are being removed in the background, whose names may be in use again meanwhile.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { decodePath, encodePath } from '../config/path-text.ts'
import { systemErrorText } from '../config/system-error.ts'
import type { Files } from '../files/files.ts'
import { NotDurableError, type Replacement } from '../files/replace-file.ts'
import { asError } from '../files/thrown.ts'
import type { Log } from '../observe/log.ts'
import {
  EMPTY_MANIFEST,
  filesToLoad,
  logPath,
  type Manifest,
  ManifestError,
  manifestName,
  readManifest,
  withoutHistory,
  writeManifest,
  writeManifestLater,
} from './manifest.ts'

export interface AofFolderOptions {
  /** Directory of the data (`dir`), absolute. */
  readonly directory: string
  /** Name of the folder for the log's files (`appenddirname`), a byte string. */
  readonly folder: string
  /** Base of the file names (`appendfilename`), a byte string. */
  readonly fileName: string
  readonly files: Files
  readonly log: Log
}

/** A manifest that is being written. */
interface PendingManifest {
  readonly next: Manifest
  replacement: Replacement | null
}

const FILE_MODE = 0o644
/** What follows the base of the file names: number and kind. */
const LOG_FILE = /^(\d+)\.(base|incr)\.(?:rdb|aof)$/

export class AofFolder {
  readonly options: AofFolderOptions
  /** Absolute path of the directory. */
  readonly path: string
  manifest: Manifest = EMPTY_MANIFEST
  /** Why the manifest may not outlive a power cut; null when it does. */
  syncError: string | null = null
  private removals = 0
  private isDurable: boolean = false
  private pending: PendingManifest | null = null

  constructor(options: AofFolderOptions) {
    this.options = options
    this.path = join(options.directory, decodePath(options.folder))
  }

  /** Name of the temporary file of a kind: `temp-appendonly.aof.incr`. */
  temporaryName(kind: 'base' | 'incr'): string {
    return `temp-${this.options.fileName}.${kind}`
  }

  pathOf(name: string): string {
    return logPath(this.path, name)
  }

  /** Whether `persistLater` is under way. */
  get isPersisting(): boolean {
    return this.pending !== null
  }

  /** Whether there is a log. */
  get isEmpty(): boolean {
    return filesToLoad(this.manifest).length === 0
  }

  /** Creates the directory if it is missing. @throws the system's error */
  create(): void {
    const { directory, files } = this.options
    if (this.isDurable && existsSync(this.path)) return
    files.createDirectory(this.path)
    // Without its name nothing in it would outlive a power cut. Also when it was there: a crash may have come before this.
    files.syncDirectory(directory)
    this.isDurable = true
  }

  /** Reads the manifest. @throws ManifestError, also when there is a log that has lost it; the system's error */
  read(): void {
    const manifest = readManifest(this.manifestPath)
    if (manifest === null) this.refuseUnnamed()
    this.manifest = manifest ?? EMPTY_MANIFEST
  }

  /** Takes over a single-file log of an older version, if there is no other. @throws the system's error */
  takeOver(): void {
    const { directory, fileName, log, files, folder } = this.options
    const single = join(directory, decodePath(fileName))
    if (!existsSync(single) || !this.mayTakeOver()) return
    // In this order a crash in between leaves the state in which it is done again (aofUpgradePrepare).
    this.create()
    const base = { name: fileName, sequence: 1, type: 'b' } as const
    this.persist({ ...EMPTY_MANIFEST, base, baseSequence: 1 })
    files.rename(single, this.pathOf(fileName))
    files.syncDirectory(this.path)
    files.syncDirectory(directory)
    log.notice(`Successfully migrated an old-style AOF file (${fileName}) into the AOF directory (${folder}).`)
  }

  /** Writes a manifest, which counts from here on. @throws the system's error when the old one counts still */
  persist(next: Manifest): void {
    let notDurable: NotDurableError | null = null
    try {
      writeManifest(this.manifestPath, next, this.options.files)
    } catch (error) {
      if (!(error instanceof NotDurableError)) throw error
      notDurable = error
    }
    this.persisted(next, notDurable)
  }

  /**
   * As `persist`, without holding up the loop. `done` is told in a later turn: null when the manifest counts. Nothing else
   * may be persisted meanwhile. @throws the system's error, as `done` would be told
   */
  persistLater(next: Manifest, done: (error: Error | null) => void): void {
    const pending: PendingManifest = { next, replacement: null }
    pending.replacement = writeManifestLater(this.manifestPath, next, this.options.files, (error) => {
      if (this.pending !== pending) return
      this.pending = null
      const isInPlace = error === null || error instanceof NotDurableError
      if (isInPlace) this.persisted(next, error)
      done(isInPlace ? null : error)
    })
    this.pending = pending
  }

  /**
   * Ends what `persistLater` has begun; its `done` is not called any more. Returns whether it is given up: false when the
   * new manifest counts already.
   */
  cancelPersist(): boolean {
    const { pending } = this
    if (pending === null) return true
    this.pending = null
    if (pending.replacement?.cancel() !== false) return true
    this.manifest = pending.next
    this.retrySync()
    return false
  }

  private persisted(next: Manifest, notDurable: NotDurableError | null): void {
    this.syncError = notDurable === null ? null : notDurable.message
    if (notDurable !== null) this.options.log.warning(notDurable.message)
    this.manifest = next
  }

  /** Tries again to make the manifest durable. */
  retrySync(): void {
    try {
      this.options.files.syncDirectory(this.path)
      this.syncError = null
    } catch (error) {
      this.syncError = `Cannot sync the directory ${this.path}: ${systemErrorText(error)}`
    }
  }

  /** Creates a file to append to; one that a crash has left there is emptied. @throws the system's error */
  openNew(name: string): number {
    return this.options.files.open(this.pathOf(name), 'w+', FILE_MODE)
  }

  /** Opens a file to append to. @throws the system's error */
  openExisting(name: string): number {
    return this.options.files.open(this.pathOf(name), 'r+', FILE_MODE)
  }

  /** Makes durable what a file holds. @throws the system's error */
  syncContent(name: string): void {
    const fd = this.openExisting(name)
    try {
      this.options.files.syncContent(fd)
    } finally {
      this.options.files.close(fd)
    }
  }

  /** Gives a file another name. The manifest must not name it before `syncNamesLater`. @throws the system's error */
  rename(from: string, to: string): void {
    this.options.files.rename(this.pathOf(from), this.pathOf(to))
  }

  /** Makes the names of the files durable. */
  syncNamesLater(done: (error: Error | null) => void): void {
    this.options.files.syncDirectoryLater(this.path, done)
  }

  /** Size of the files of the manifest that are loaded, in bytes. One that is missing counts nothing. */
  sizeOfLog(): number {
    return filesToLoad(this.manifest).reduce((sum, { name }) => sum + this.sizeOf(name), 0)
  }

  sizeOf(name: string): number {
    return statSync(this.pathOf(name), { throwIfNoEntry: false })?.size ?? 0
  }

  /**
   * Removes a file that is not needed, in the background. It loses its name at once: the next rewrite may use that before
   * the removal comes to it. A failure is logged: the file is in nobody's way.
   */
  removeLater(name: string): void {
    const { files, log } = this.options
    const path = this.pathOf(name)
    if (!existsSync(path)) return
    const aside = this.pathOf(`${this.removedPrefix}${++this.removals}`)
    const done = (error: Error | null): void => {
      if (error !== null) log.warning(`Cannot remove ${path}: ${systemErrorText(error)}`)
    }
    try {
      files.rename(path, aside)
      files.removeLater(aside, done)
    } catch (error) {
      done(asError(error))
    }
  }

  /**
   * Removes what rewrites have made superfluous, as `persistLater`. Not before a manifest that no longer needs it is
   * durable. What cannot be done is logged: the files are in nobody's way.
   */
  removeHistoryLater(done: () => void): void {
    const { log } = this.options
    const { history } = this.manifest
    if (history.length === 0 || this.syncError !== null) {
      done()
      return
    }
    for (const { name } of history) {
      log.notice(`Removing the history file ${name} in the background`)
      this.removeLater(name)
    }
    const end = (error: unknown): void => {
      if (error !== null) log.warning(`Cannot write the AOF manifest without its history: ${systemErrorText(error)}`)
      done()
    }
    try {
      this.persistLater(withoutHistory(this.manifest), end)
    } catch (error) {
      end(error)
    }
  }

  /** Removes what a crash has left of a rewrite. */
  removeTemporary(): void {
    const { files, log } = this.options
    const prefix = decodePath(this.removedPrefix)
    for (const name of readdirSync(this.path)) {
      if (!name.startsWith(prefix)) continue
      const path = join(this.path, name)
      files.removeLater(path, (error) => {
        if (error !== null) log.warning(`Cannot remove ${path}: ${systemErrorText(error)}`)
      })
    }
    for (const kind of ['base', 'incr'] as const) this.removeLater(this.temporaryName(kind))
  }

  private get removedPrefix(): string {
    return `temp-${this.options.fileName}.removed-`
  }

  /**
   * Without a manifest a new log would begin, in files of the same names. A crash in the midst of that leaves a first base
   * and an empty incremental file, which are begun anew; anything else is data. (Redis would overwrite them.)
   */
  private refuseUnnamed(): void {
    if (!existsSync(this.path)) return
    const prefix = `${decodePath(this.options.fileName)}.`
    for (const name of readdirSync(this.path)) {
      const kind = name.startsWith(prefix) ? LOG_FILE.exec(name.slice(prefix.length)) : null
      if (kind === null || (kind[1] === '1' && (kind[2] === 'base' || this.sizeOf(encodePath(name)) === 0))) continue
      throw new ManifestError(
        `Cannot load the append-only file: ${this.path} holds ${name}, but no manifest, which says what else belongs to it. Put ${manifestName(this.options.fileName)} back, or move the files away to begin a new log`,
      )
    }
  }

  private get manifestPath(): string {
    return this.pathOf(manifestName(this.options.fileName))
  }

  /** Whether the single file counts: there is no log yet, or it was being taken over (loadAppendOnlyFiles). */
  private mayTakeOver(): boolean {
    const { base, incremental } = this.manifest
    if (incremental.length > 0) return false
    const { fileName } = this.options
    return base === null || (base.name === fileName && !existsSync(this.pathOf(fileName)))
  }
}
