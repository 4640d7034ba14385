/**
 * Files on a disk that fails at a call that a test chooses, and loses its power when a test says so.
 *
 *     for (let at = 1; ; at++) {
 *       const files = new FaultyFiles(directory, { at, code: 'EIO' })
 *       … run, note what was answered …
 *       files.cutPower()
 *       … start again with the system's files: all that was answered is there …
 *       if (!files.hasFailed) break     // there are no more calls
 *     }
 *
 * Operations on the thread pool count when they are begun, and are done in that order.
 */
import { resolve } from 'node:path'
import { type FileDone, Files } from '../../../src/files/files.ts'
import { SimulatedDisk } from './simulated-disk.ts'

/** What can fail. Each is a call of Files, in either of its forms. */
export type Operation =
  | 'open'
  | 'write'
  | 'sync'
  | 'syncContent'
  | 'rename'
  | 'remove'
  | 'createDirectory'
  | 'syncDirectory'

export interface FaultPlan {
  /** Number of the call that fails, from 1. */
  readonly at: number
  /** What it fails with. */
  readonly code: 'EIO' | 'ENOSPC' | 'EROFS'
  /** Which calls count. Default: all. */
  readonly operations?: readonly Operation[]
  /** How many calls in a row fail. Default: 1. Infinity: until `repair`. */
  readonly times?: number
  /** A write that is to fail takes this much of its bytes first, from 0 to 1; what is left fails. Default: 0. */
  readonly takes?: number
}

/** The process is gone, or the machine: nothing is done any more. */
export class PowerLostError extends Error {}

export class FaultyFiles extends Files {
  /** Every call so far, in order. */
  readonly calls: Operation[] = []
  /** Resolves when a call has failed. */
  readonly failed: Promise<void>
  hasFailed: boolean = false
  private readonly plan: FaultPlan | null
  private readonly disk: SimulatedDisk
  private readonly directory: string
  private readonly paths = new Map<number, string>()
  private counted = 0
  private failuresLeft: number
  private hasPower: boolean = true
  private tellFailed: () => void = () => {}

  /** @param directory where everything happens. @param plan what fails; null: nothing. */
  constructor(directory: string, plan: FaultPlan | null = null) {
    super()
    this.directory = resolve(directory)
    this.disk = new SimulatedDisk(this.directory)
    this.plan = plan
    this.failuresLeft = plan?.times ?? 1
    this.failed = new Promise((tell) => {
      this.tellFailed = tell
    })
  }

  /** From now on nothing fails. */
  repair(): void {
    this.failuresLeft = 0
  }

  /** The process dies: nothing more is done, all that was written stays. */
  kill(): void {
    this.hasPower = false
  }

  /** The power is cut: only what was synced stays, and of what was appended behind that `tornBytes` of each file. */
  cutPower(tornBytes = 0): void {
    if (!this.hasPower) return
    this.hasPower = false
    this.disk.cutPower(tornBytes)
  }

  override open(path: string, flags: string, mode: number): number {
    this.begin('open')
    const fd = super.open(path, flags, mode)
    this.paths.set(fd, resolve(path))
    this.disk.opened(resolve(path), flags.startsWith('w'))
    return fd
  }

  override openAgain(fd: number): number {
    const other = super.openAgain(fd)
    const path = this.paths.get(fd)
    if (path !== undefined) this.paths.set(other, path)
    return other
  }

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    const taken = this.beginWrite(length)
    const written = super.write(fd, buffer, start, taken, offset)
    const path = this.paths.get(fd)
    if (path !== undefined) this.disk.written(path, offset, written)
    return written
  }

  override writeLater(
    fd: number,
    buffer: Buffer,
    start: number,
    length: number,
    offset: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const outcome = attempt(() => this.write(fd, buffer, start, length, offset))
    setImmediate(() => done(outcome.error, outcome.value ?? 0))
  }

  override sync(fd: number): void {
    this.syncNow('sync', fd, () => super.sync(fd))
  }

  override syncLater(fd: number, done: FileDone): void {
    this.later('sync', this.beginSync(fd), (end) => super.syncLater(fd, end), done)
  }

  override syncContent(fd: number): void {
    this.syncNow('syncContent', fd, () => super.syncContent(fd))
  }

  override syncContentLater(fd: number, done: FileDone): void {
    this.later('syncContent', this.beginSync(fd), (end) => super.syncContentLater(fd, end), done)
  }

  override close(fd: number): void {
    this.paths.delete(fd)
    super.close(fd)
  }

  override rename(from: string, to: string): void {
    this.begin('rename')
    super.rename(from, to)
    this.disk.renamed(resolve(from), resolve(to))
    for (const [fd, path] of this.paths) if (path === resolve(from)) this.paths.set(fd, resolve(to))
  }

  override remove(path: string): void {
    this.begin('remove')
    super.remove(path)
    this.disk.removed(resolve(path))
  }

  override removeLater(path: string, done: FileDone): void {
    const { error } = attempt(() => this.remove(path))
    setImmediate(() => done(error))
  }

  override createDirectory(path: string): void {
    this.begin('createDirectory')
    super.createDirectory(path)
    this.disk.created(resolve(path))
  }

  override syncDirectory(path: string): void {
    this.begin('syncDirectory')
    super.syncDirectory(path)
    this.disk.synced(resolve(path))
  }

  override syncDirectoryLater(path: string, done: FileDone): void {
    const ended = (hasSucceeded: boolean): void => {
      if (hasSucceeded) this.disk.synced(resolve(path))
    }
    this.later('syncDirectory', ended, (end) => super.syncDirectoryLater(path, end), done)
  }

  /** A sync on the thread pool. `ended` is told how it ended on the disk, `done` how for whoever asked for it. */
  private later(
    operation: Operation,
    ended: (hasSucceeded: boolean) => void,
    sync: (end: FileDone) => void,
    done: FileDone,
  ): void {
    const { error } = attempt(() => this.begin(operation))
    if (error !== null) {
      ended(false)
      setImmediate(() => done(error))
      return
    }
    sync((failure) => {
      if (this.hasPower) ended(failure === null)
      done(this.hasPower ? failure : new PowerLostError('the power is gone'))
    })
  }

  private syncNow(operation: 'sync' | 'syncContent', fd: number, sync: () => void): void {
    const ended = this.beginSync(fd)
    let hasSucceeded = false
    try {
      this.begin(operation)
      sync()
      hasSucceeded = true
    } finally {
      ended(hasSucceeded)
    }
  }

  /** Returns what is to be told when the sync has ended. */
  private beginSync(fd: number): (hasSucceeded: boolean) => void {
    const path = this.paths.get(fd)
    return path === undefined || !this.hasPower ? () => {} : this.disk.sync(path)
  }

  /** Counts a call. @throws what it fails with */
  private begin(operation: Operation): void {
    if (!this.hasPower) throw new PowerLostError('the power is gone')
    this.calls.push(operation)
    if (this.isFailing(operation)) throw this.failure(operation)
  }

  /** Counts a write. Returns how many bytes it takes. */
  private beginWrite(length: number): number {
    if (!this.hasPower) throw new PowerLostError('the power is gone')
    this.calls.push('write')
    if (!this.isFailing('write')) return length
    const taken = Math.floor(length * (this.plan?.takes ?? 0))
    // The rest comes with the next call, which fails in place of this one.
    if (taken === 0 || this.isShort) throw this.failure('write')
    this.isShort = true
    this.failuresLeft++
    return taken
  }

  /** Whether part of a write that fails was taken. */
  private isShort: boolean = false

  private isFailing(operation: Operation): boolean {
    const { plan } = this
    if (plan === null || plan.operations?.includes(operation) === false) return false
    if (++this.counted < plan.at || this.failuresLeft <= 0) return false
    this.failuresLeft--
    return true
  }

  private failure(operation: Operation): Error {
    this.hasFailed = true
    this.tellFailed()
    const code = this.plan?.code ?? 'EIO'
    return Object.assign(new Error(`${code}: failed by the test, ${operation}`), { code, syscall: operation })
  }
}

function attempt<T>(action: () => T): { error: Error | null; value: T | null } {
  try {
    return { error: null, value: action() }
  } catch (error) {
    if (error instanceof Error) return { error, value: null }
    throw error
  }
}
