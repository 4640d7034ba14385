/**
 * The append-only file, writing side. Hot path: append.
 *
 * Journal bytes are written to the last incremental file once per loop turn, before replies go out, so a killed
 * process loses nothing that was answered. When they reach the disk is the policy's business:
 *
 *   always    replies are held until the fdatasync that covers them has returned; the loop goes on meanwhile and the
 *             next fdatasync covers all that has gathered (group commit)
 *   everysec  an fdatasync per second, on the thread pool
 *   no        the system decides
 *
 * A failed write keeps the bytes and is tried again; until it succeeds `error` is set and the pipeline refuses writes.
 */
import { closeSync, existsSync, fdatasync, fdatasyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../observe/log.ts'
import { type Manifest, readManifest, syncDirectory, writeManifest } from './manifest.ts'

/** When written bytes are made durable. */
export const FsyncPolicy = { Always: 0, EverySecond: 1, No: 2 } as const

export interface AofOptions {
  /** Directory of the data (`dir`), absolute. */
  readonly directory: string
  /** Name of the folder for the log's files (`appenddirname`). */
  readonly folder: string
  /** Base of the file names (`appendfilename`). */
  readonly fileName: string
  readonly log: Log
}

/** File operations; replaced in fault tests. */
export interface AofFiles {
  write(fd: number, buffer: Buffer, start: number, length: number): number
  sync(fd: number, done: (error: Error | null) => void): void
}

const SYSTEM_FILES: AofFiles = {
  write: (fd, buffer, start, length) => writeSync(fd, buffer, start, length),
  sync: (fd, done) => fdatasync(fd, done),
}

/** What INFO says about the log. */
export interface AofStatus {
  /** Size of all files. */
  readonly totalBytes: number
  /** What of it is in older files. */
  readonly baseBytes: number
  readonly acceptedBytes: number
  readonly writtenBytes: number
  readonly syncedBytes: number
  readonly isSyncing: boolean
  /** Why the log cannot be written at present; null when it can. */
  readonly error: string | null
}

/** Names on disk of what is in a manifest. */
export function aofPath(options: AofOptions, name: string): string {
  return join(options.directory, options.folder, name)
}

/**
 * Finds the manifest. A single-file log of an older version is moved into the folder as base file first.
 * Returns null when there is no log yet.
 */
export function openManifest(options: AofOptions): Manifest | null {
  const manifestPath = aofPath(options, `${options.fileName}.manifest`)
  const manifest = readManifest(manifestPath)
  if (manifest !== null) return manifest
  const single = join(options.directory, options.fileName)
  if (!existsSync(single)) return null
  mkdirSync(join(options.directory, options.folder), { recursive: true })
  const adopted: Manifest = { base: { name: options.fileName, sequence: 1, type: 'b' }, incremental: [] }
  renameSync(single, aofPath(options, options.fileName))
  syncDirectory(options.directory)
  writeManifest(manifestPath, adopted)
  options.log.notice(`Took over the append-only file ${single} of an older version as base file`)
  return adopted
}

export class Aof implements AofStatus {
  private readonly options: AofOptions
  private readonly files: AofFiles
  private readonly fd: number
  policy: number
  /** Bytes written and made durable since the file was opened. */
  writtenBytes = 0
  syncedBytes = 0
  /** Bytes accepted, written or not. */
  acceptedBytes = 0
  /** Size of the current file, in bytes. */
  fileBytes: number
  /** Why the last write and the last sync failed; null when they did not. Each ends only when its own kind succeeds. */
  private writeError: string | null = null
  private syncError: string | null = null
  /** Bytes that a failed write has left. */
  private backlog: Buffer | null = null
  isSyncing: boolean = false
  /** Size of the files before the current one. */
  baseBytes = 0
  private isClosed: boolean = false
  /** Told after each fdatasync that made progress. */
  onSynced: () => void = () => {}

  constructor(options: AofOptions, fd: number, fileBytes: number, policy: number, files: AofFiles = SYSTEM_FILES) {
    this.options = options
    this.fd = fd
    this.fileBytes = fileBytes
    this.policy = policy
    this.files = files
  }

  /** Why the log cannot be written at present; null when it can. */
  get error(): string | null {
    return this.writeError ?? this.syncError
  }

  get totalBytes(): number {
    return this.baseBytes + this.fileBytes
  }

  /** Takes journal bytes. Never throws: a failure shows in `error`. */
  append(buffer: Buffer, start: number, end: number): void {
    this.acceptedBytes += end - start
    if (this.backlog !== null) {
      this.backlog = Buffer.concat([this.backlog, buffer.subarray(start, end)])
      return
    }
    const written = this.write(buffer, start, end)
    if (written < end) this.backlog = Buffer.from(buffer.subarray(written, end))
  }

  /** Whether all that was accepted is durable. Only meaningful for `always`. */
  get isDurable(): boolean {
    return this.syncedBytes === this.acceptedBytes
  }

  /** Starts an fdatasync unless one is running or nothing is due. */
  sync(): void {
    if (this.isSyncing || this.syncedBytes === this.writtenBytes) return
    this.isSyncing = true
    const covered = this.writtenBytes
    this.files.sync(this.fd, (error) => {
      this.isSyncing = false
      if (this.isClosed) return
      this.noteSync(error === null ? null : `fdatasync: ${error.message}`)
      if (error !== null) return
      this.syncedBytes = covered
      this.onSynced()
      if (this.policy === FsyncPolicy.Always) this.sync()
    })
  }

  /** Once per second: tries again what failed, and syncs under `everysec`. */
  tick(): void {
    if (this.backlog !== null) this.retry()
    // After a failed fdatasync only a successful one ends the error, whatever the policy.
    if (this.policy !== FsyncPolicy.No || this.syncError !== null) this.sync()
  }

  /** Writes and syncs everything, at shutdown. Returns false when that failed. */
  close(): boolean {
    if (this.backlog !== null) this.retry()
    let isComplete = this.backlog === null
    try {
      fdatasyncSync(this.fd)
    } catch (error) {
      isComplete = false
      this.noteSync(`fdatasync: ${String(error)}`)
    }
    this.isClosed = true
    closeSync(this.fd)
    return isComplete
  }

  private retry(): void {
    const backlog = this.backlog!
    const written = this.write(backlog, 0, backlog.length)
    if (written < backlog.length) {
      this.backlog = backlog.subarray(written)
      return
    }
    this.backlog = null
    this.noteWrite(null)
    if (this.policy === FsyncPolicy.Always) this.sync()
  }

  private write(buffer: Buffer, start: number, end: number): number {
    let at = start
    try {
      while (at < end) {
        const written = this.files.write(this.fd, buffer, at, end - at)
        at += written
        this.writtenBytes += written
        this.fileBytes += written
      }
    } catch (error) {
      this.noteWrite(error instanceof Error ? error.message : String(error))
    }
    return at
  }

  private noteWrite(error: string | null): void {
    const before = this.error
    this.writeError = error
    this.logChange(before)
  }

  private noteSync(error: string | null): void {
    const before = this.error
    this.syncError = error
    this.logChange(before)
  }

  private logChange(before: string | null): void {
    const log = this.options.log
    if (before === null && this.error !== null)
      log.warning(`Cannot write the append-only file, writes are refused: ${this.error}`)
    if (before !== null && this.error === null)
      log.notice('The append-only file can be written again, writes are accepted')
  }
}

/** Creates or opens the last incremental file for appending, and the manifest that names it. */
export function openForAppend(options: AofOptions, manifest: Manifest | null): { fd: number; manifest: Manifest } {
  mkdirSync(join(options.directory, options.folder), { recursive: true })
  const last = manifest?.incremental.at(-1)
  if (manifest !== null && last !== undefined) {
    return { fd: openSync(aofPath(options, last.name), 'a'), manifest }
  }
  const sequence = 1
  const name = `${options.fileName}.${sequence}.incr.aof`
  // The file is there before the manifest names it: a crash in between leaves a file that nobody names.
  const fd = openSync(aofPath(options, name), 'a')
  const next: Manifest = { base: manifest?.base ?? null, incremental: [{ name, sequence, type: 'i' }] }
  writeManifest(aofPath(options, `${options.fileName}.manifest`), next)
  return { fd, manifest: next }
}
