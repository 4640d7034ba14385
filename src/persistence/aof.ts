/**
 * The append-only file, writing side: takes journal bytes and brings them to the last incremental file. Hot path: append.
 *
 *     accepted ──write──▶ written ──fdatasync──▶ synced
 *
 * Bytes come once per loop turn and are written before replies go out, so a killed process loses nothing that was
 * answered. When they reach the disk, and what replies wait for, is the policy's business:
 *
 *   always    replies wait for the fdatasync that covers them; the loop goes on meanwhile and the next fdatasync covers
 *             all that has gathered (group commit)
 *   everysec  an fdatasync per second, on the thread pool; replies wait until the bytes are written
 *   no        the system decides; replies wait until the bytes are written
 *
 * The loop never waits for the disk: a write while an fdatasync is under way may hang in the kernel, so under `everysec`
 * it is done on the thread pool too, and its replies wait for it. After two seconds they go out all the same, as in Redis
 * (counted in `delayedSyncs`): from then on a killed process may lose what was answered. What waits to be written is
 * bounded; beyond the bound writes are refused.
 *
 * A checksum line follows so many bytes of records, or less where nothing more comes; it is summed up from what was
 * accepted, so it also tells of damage that came before it was written.
 *
 * A rewrite goes on in a new file (`switchTo`). Nothing is written to it before the old file is durable to its end, so
 * that after a power cut there is never something behind a hole.
 *
 * A failed write or sync keeps the bytes and is tried again; until it succeeds `error` is set and the pipeline refuses
 * writes. Each kind of failure ends only with a success of its own kind. Before a sync is tried again, what it did not
 * bring to the disk is written once more: the system would take it for done.
 */
import { systemErrorText } from '../config/system-error.ts'
import type { Files } from '../files/files.ts'
import { sleep } from '../files/sleep.ts'
import type { Log } from '../observe/log.ts'
import {
  ANNOTATION_BYTES_MAX,
  CHECKSUM_BYTES,
  checksumOf,
  timestampLine,
  type Unsummed,
  writeChecksum,
} from './aof-annotations.ts'

/** When written bytes are made durable. */
export const FsyncPolicy = { Always: 0, EverySecond: 1, No: 2 } as const

/** Replies wait so long at most for a write that the disk holds up, in ms (flushAppendOnlyFile). */
const DELAY_MS_MAX = 2000
/** Bytes that may wait to be written; beyond them writes are refused. */
const PENDING_BYTES_MAX = 256 * 1024 * 1024
/** A write that is under way on the thread pool is waited for so long at most, in ms. */
const FLUSH_WAIT_MS_MAX = 10_000
/** As long as the loop may stand still. */
const SHORT_WAIT_MS_MAX = 5

/** Room that there must be behind bytes that are appended. */
export const APPEND_SLACK_BYTES = ANNOTATION_BYTES_MAX

const EMPTY: Buffer = Buffer.alloc(0)

export interface AofOptions {
  readonly files: Files
  readonly log: Log
  /** One of FsyncPolicy. */
  readonly policy: number
  /** Bytes that may wait to be written. Default: 256 MiB. */
  readonly pendingBytesMax?: number
  /** What the file ends with that the first checksum line is to stand for as well. Default: nothing. */
  readonly unsummed?: Unsummed | null
  /** Told when replies that waited may go out. */
  readonly onProgress: () => void
}

/** A file of the log. */
interface LogFile {
  readonly fd: number
  /** Bytes written, and those of them that are durable. */
  bytes: number
  syncedBytes: number
}

export class Aof {
  private readonly files: Files
  private readonly log: Log
  private readonly onProgress: () => void
  private readonly pendingBytesMax: number
  private file: LogFile
  /** One of FsyncPolicy. */
  policy: number
  /** What each write on this thread is delayed by, in ms, for tests (DEBUG AOF-FLUSH-SLEEP). */
  writeDelayMs = 0
  /** Whether checksum lines are written, and time stamps where the second has changed. */
  writesChecksums: boolean = false
  writesTimestamps: boolean = false
  /** True while nothing is forced to the disk (`no-appendfsync-on-rewrite`). */
  isSyncPaused: boolean = false
  /** Why what was renamed or created in the directory may not be durable yet; set by the owner of the directory. */
  directoryError: string | null = null
  /** Bytes taken, written or not; written; durable. Counted from the opening on. */
  acceptedBytes = 0
  writtenBytes = 0
  syncedBytes = 0
  /** The journal's effects that these hold, `Journal.effectCount`. */
  private acceptedEffects: number
  private writtenEffects: number
  syncedEffects: number
  /** Whether the next sync under `always` is begun by who is told of the end of the last one. */
  gathersSyncs: boolean = false
  /** Told how many effects a sync has covered. */
  onSynced: ((effects: number) => void) | null = null
  /** Writes for which replies have not waited to their end (aof_delayed_fsync). */
  delayedSyncs = 0
  isSyncing: boolean = false
  private isWriting: boolean = false
  /** Bytes of the write that is under way on the thread pool. */
  private inFlight: Buffer = EMPTY
  private isClosed: boolean = false
  /** Accepted bytes that are not written, without those of the write that is under way. */
  private pending: Buffer[] = []
  private pendingBytes = 0
  /** The file before the current one while it is not durable. */
  private retired: LogFile | null = null
  private writeError: string | null = null
  private syncError: string | null = null
  private overflowError: string | null = null
  /** When the delay was looked at last without a write that makes no progress, and what was written by then. */
  private waitingSinceMs = 0
  private checkedBytes = 0
  /** Whether they no longer wait. */
  private isOverdue: boolean = false
  private lastSecond = 0
  /** Bytes of the file, accepted or found there, that no checksum line stands for yet, and their checksum. */
  private unsummedBytes: number
  private unsummedCrc: number
  /**
   * Whether a checksum line follows the next bytes at once, because what is before them has none: who goes on behind a crash
   * would not find out where those begin that one is to stand for.
   */
  private sumsAtOnce: boolean
  /** What was accepted at the last tick. */
  private tickedBytes = 0

  constructor(fd: number, fileBytes: number, effects: number, options: AofOptions) {
    this.file = { fd, bytes: fileBytes, syncedBytes: fileBytes }
    this.acceptedEffects = effects
    this.writtenEffects = effects
    this.syncedEffects = effects
    this.files = options.files
    this.log = options.log
    this.policy = options.policy
    this.pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX
    this.onProgress = options.onProgress
    this.unsummedBytes = options.unsummed?.bytes ?? 0
    this.unsummedCrc = options.unsummed?.crc ?? 0
    this.sumsAtOnce = fileBytes > 0 && this.unsummedBytes === 0
  }

  /** Size of the current file, in bytes. */
  get fileBytes(): number {
    return this.file.bytes
  }

  /** Why the log cannot be written at present; null when it can. */
  get error(): string | null {
    return this.writeError ?? this.syncError ?? this.overflowError ?? this.directoryError
  }

  /** Replies may go out that stand for so many accepted bytes. */
  get releasedBytes(): number {
    if (this.policy === FsyncPolicy.Always) return this.isSyncPaused ? this.writtenBytes : this.syncedBytes
    // What could not be written is kept, and further writes are refused: that is all there is to tell.
    return this.isOverdue || this.writeError !== null ? this.acceptedBytes : this.writtenBytes
  }

  /** Whether something is written that no sync has covered. */
  get hasUnsynced(): boolean {
    return this.syncedBytes < this.writtenBytes
  }

  /** Effects that were taken and are not durable. */
  get waitingEffects(): number {
    return this.acceptedEffects - this.syncedEffects
  }

  /** Whether something waits to be written, so that a flush may have to wait for the disk. */
  get isBusy(): boolean {
    return this.isWriting || this.pendingBytes > 0 || this.retired !== null
  }

  /** Whether the file before the current one is not durable yet. */
  get isSwitching(): boolean {
    return this.retired !== null
  }

  /**
   * Takes journal bytes, which hold all effects up to the `effects`th. There must be room for an annotation line behind
   * them. Never throws: a failure shows in `error`.
   */
  append(buffer: Buffer, start: number, end: number, effects: number, nowMs: number): void {
    if (!this.writesChecksums) {
      this.endChecksum()
      this.forgetSum()
      this.sumsAtOnce = true
    }
    const stamp = this.writesTimestamps ? this.timestamp(nowMs) : null
    // It holds no effects: those count from here on.
    if (stamp !== null) this.accept(stamp, 0, stamp.length)
    this.acceptedEffects = effects
    if (!this.writesChecksums) {
      this.accept(buffer, start, end)
      return
    }
    if (stamp !== null) this.sum(stamp, 0, stamp.length)
    this.sum(buffer, start, end)
    const isDue = this.unsummedBytes >= CHECKSUM_BYTES || this.sumsAtOnce
    this.accept(buffer, start, isDue ? this.writeSum(buffer, end) : end)
  }

  /** A file to which nothing was added stays as it is. */
  private get owesSum(): boolean {
    return this.unsummedBytes > 0 && this.acceptedBytes > 0
  }

  /** Writes the checksum line of what has none yet: nothing more comes for a while. */
  endChecksum(): void {
    if (!this.owesSum) return
    const line = Buffer.allocUnsafe(ANNOTATION_BYTES_MAX)
    this.accept(line, 0, this.writeSum(line, 0))
  }

  /** As `endChecksum`, at once: nobody would see the end of a write on the thread pool. Returns false when that failed. */
  private writeLastSum(): boolean {
    if (!this.owesSum) return true
    const line = Buffer.allocUnsafe(ANNOTATION_BYTES_MAX)
    const end = this.writeSum(line, 0)
    this.acceptedBytes += end
    return this.write(line, 0, end) === end
  }

  private sum(buffer: Buffer, start: number, end: number): void {
    this.unsummedCrc = checksumOf(buffer, start, end, this.unsummedCrc)
    this.unsummedBytes += end - start
  }

  /** Returns the offset behind the line. */
  private writeSum(buffer: Buffer, at: number): number {
    const end = writeChecksum(buffer, at, this.unsummedCrc, this.unsummedBytes)
    this.forgetSum()
    this.sumsAtOnce = false
    return end
  }

  private forgetSum(): void {
    this.unsummedBytes = 0
    this.unsummedCrc = 0
  }

  /** Starts an fdatasync unless one is running or nothing is due. */
  sync(): void {
    if (this.isSyncing || this.isClosed) return
    if (this.retired === null) {
      if (this.isSyncPaused || this.directoryError !== null || this.syncedBytes === this.writtenBytes) return
    }
    const file = this.retired ?? this.file
    if (this.syncError !== null && !this.rewriteUnsynced(file, file.fd)) return
    this.isSyncing = true
    const covered = this.writtenBytes
    const coveredOfFile = file.bytes
    const effects = this.writtenEffects
    this.files.syncContentLater(file.fd, (error) => {
      this.isSyncing = false
      // The file may have been closed meanwhile, after it was synced otherwise.
      if (this.isClosed || (file !== this.file && file !== this.retired)) return
      this.noteSync(error === null ? null : `fdatasync: ${systemErrorText(error)}`)
      if (error !== null) {
        // Who has written nothing need not wait until it is over.
        this.onProgress()
        return
      }
      file.syncedBytes = coveredOfFile
      const syncedEffects = effects - this.syncedEffects
      this.syncedBytes = covered
      this.syncedEffects = effects
      this.onSynced?.(syncedEffects)
      // It may have begun before the last bytes of that file were written.
      if (file === this.retired && coveredOfFile === file.bytes) this.dropRetired(file)
      // The disk is at work again while replies go out.
      if ((this.policy === FsyncPolicy.Always && !this.gathersSyncs) || this.retired !== null) this.sync()
      this.onProgress()
    })
  }

  /** Takes note of a sync that has ended by now, before the loop comes to it. */
  collectSyncs(): void {
    if (this.isSyncing) this.files.collectSyncs()
  }

  /**
   * Goes on in another, empty file. What the old one holds is synced first, in the background; it is closed then.
   * Must not be called while there is an error or another switch is under way; `endChecksum` comes before it.
   */
  switchTo(fd: number): void {
    const before = this.file
    this.retired = before
    this.file = { fd, bytes: 0, syncedBytes: 0 }
    this.lastSecond = 0
    // A line stands for bytes of its own file.
    this.forgetSum()
    this.sumsAtOnce = false
    if (this.syncedBytes === this.acceptedBytes && !this.isSyncing) this.dropRetired(before)
    else this.sync()
  }

  /** Ten times a second, with the time of a monotonic clock: replies do not wait for ever. */
  checkDelay(nowMs: number): void {
    const isWaiting = this.writtenBytes < this.acceptedBytes && this.writeError === null
    if (!isWaiting || this.policy === FsyncPolicy.Always || this.writtenBytes > this.checkedBytes) {
      this.checkedBytes = this.writtenBytes
      this.waitingSinceMs = nowMs
      return
    }
    if (nowMs - this.waitingSinceMs < DELAY_MS_MAX) return
    this.waitingSinceMs = nowMs
    this.isOverdue = true
    this.delayedSyncs++
    this.log.notice(
      'Asynchronous AOF fsync is taking too long (disk is busy?). Replies no longer wait until the AOF buffer is written; what a killed process would lose grows until the disk is quicker.',
    )
    this.onProgress()
  }

  /** Once per second: tries again what failed, syncs under `everysec`, and sums up where nothing more has come. */
  tick(): void {
    if (this.writeError !== null) this.retry()
    const isQuiet = this.acceptedBytes === this.tickedBytes && !this.isSyncing
    if (isQuiet && this.error === null) this.endChecksum()
    this.tickedBytes = this.acceptedBytes
    // After a failed fdatasync only a successful one ends the error, whatever the policy.
    if (this.policy !== FsyncPolicy.No || this.syncError !== null || this.retired !== null) this.sync()
  }

  /** Writes all that was accepted, whatever it takes. Returns false when that failed. */
  flush(): boolean {
    if (this.awaitWrite(FLUSH_WAIT_MS_MAX)) return this.writeRest()
    this.noteWrite('a write does not end')
    return false
  }

  /** As `flush`, without waiting for a slow disk. Returns false when it is one, and when that failed. */
  tryFlush(): boolean {
    return this.retired === null && this.awaitWrite(SHORT_WAIT_MS_MAX) && this.writeRest()
  }

  private writeRest(): boolean {
    if (!this.flushRetired()) return false
    while (this.pending.length > 0) {
      const next = this.pending.shift()!
      this.pendingBytes -= next.length
      const written = this.write(next, 0, next.length)
      if (written === next.length) continue
      this.putBack(next.subarray(written))
      return false
    }
    this.noteWritten()
    return true
  }

  /** Writes and syncs everything, at the end. Returns false when that failed. */
  close(): boolean {
    let isComplete = this.flush() && this.writeLastSum()
    isComplete = this.syncNow(this.file) && isComplete
    this.abandon()
    if (isComplete) {
      this.syncedBytes = this.acceptedBytes
      this.syncedEffects = this.acceptedEffects
    }
    return isComplete
  }

  /** Gives the file up: what it holds is of no use any more. */
  abandon(): void {
    this.isClosed = true
    // A write that the thread pool has not come to would go to whatever file has that number next.
    if (!this.isWriting) this.closeFile(this.file.fd)
    if (this.retired !== null) this.closeFile(this.retired.fd)
    this.retired = null
  }

  // ---- writing -------------------------------------------------------------------------------------------------

  private timestamp(nowMs: number): Buffer | null {
    const second = Math.floor(nowMs / 1000)
    if (second <= this.lastSecond) return null
    this.lastSecond = second
    return timestampLine(second)
  }

  private accept(buffer: Buffer, start: number, end: number): void {
    this.acceptedBytes += end - start
    if (this.mustQueue()) {
      this.queue(Buffer.from(buffer.subarray(start, end)))
      return
    }
    const written = this.write(buffer, start, end)
    if (written < end) this.queue(Buffer.from(buffer.subarray(written, end)))
    else this.writtenEffects = this.acceptedEffects
  }

  private mustQueue(): boolean {
    return (
      this.isWriting ||
      this.pendingBytes > 0 ||
      this.retired !== null ||
      (this.isSyncing && this.policy === FsyncPolicy.EverySecond)
    )
  }

  private queue(bytes: Buffer): void {
    this.pending.push(bytes)
    this.pendingBytes += bytes.length
    if (this.pendingBytes > this.pendingBytesMax && this.overflowError === null && this.writeError === null)
      this.noteOverflow(`the disk is too slow, ${this.pendingBytes} bytes wait to be written`)
    this.writeQueue()
  }

  private putBack(bytes: Buffer): void {
    this.pending.unshift(bytes)
    this.pendingBytes += bytes.length
  }

  /** Hands what has gathered to the thread pool, unless it is busy or must wait. */
  private writeQueue(): void {
    if (this.isWriting || this.retired !== null || this.writeError !== null || this.pendingBytes === 0) return
    const bytes = this.pending.length === 1 ? this.pending[0]! : Buffer.concat(this.pending)
    const effects = this.acceptedEffects
    this.pending = []
    this.pendingBytes = 0
    this.isWriting = true
    this.inFlight = bytes
    this.files.writeLater(this.file.fd, bytes, 0, bytes.length, this.file.bytes, (error, written) => {
      // Whoever could not wait for this has written to the end, or given up.
      if (this.inFlight !== bytes) return
      this.isWriting = false
      this.inFlight = EMPTY
      if (this.isClosed) {
        this.closeFile(this.file.fd)
        return
      }
      this.tookInFlight(bytes, error === null ? written : 0, error, effects)
      this.writeQueue()
    })
  }

  private tookInFlight(bytes: Buffer, written: number, error: Error | null, effects: number): void {
    this.count(written)
    if (written < bytes.length) this.putBack(bytes.subarray(written))
    else this.writtenEffects = effects
    if (error === null && written > 0) {
      this.noteWritten()
      return
    }
    this.noteWrite(error === null ? 'the system took no bytes' : systemErrorText(error))
    this.onProgress()
  }

  /** Tries a failed write again, on the thread pool. */
  private retry(): void {
    if (this.isWriting) return
    const before = this.writeError
    // Without this the queue would not be touched; the error is told until a write has succeeded.
    this.writeError = null
    this.writeQueue()
    if (this.isWriting || this.pendingBytes > 0) this.writeError = before
  }

  /** Waits until a write that is under way on the thread pool has ended. Returns false when it does not. */
  private awaitWrite(waitMsMax: number): boolean {
    if (!this.isWriting) return true
    const bytes = this.inFlight
    const { fd } = this.file
    const wanted = this.file.bytes + bytes.length
    for (let waitedMs = 0; this.files.sizeOf(fd) < wanted; waitedMs++) {
      if (waitedMs >= waitMsMax) return false
      sleep(1)
    }
    this.isWriting = false
    this.inFlight = EMPTY
    this.tookInFlight(bytes, bytes.length, null, this.writtenEffects)
    return true
  }

  private flushRetired(): boolean {
    const { retired } = this
    if (retired === null) return true
    if (!this.syncNow(retired)) return false
    this.closeFile(retired.fd)
    this.retired = null
    return true
  }

  /**
   * Returns false when it failed. A sync that is under way may have failed already, which the system tells only once: then
   * this one would succeed and have done nothing. It has a descriptor of its own, and syncs what it has written itself.
   */
  private syncNow(file: LogFile): boolean {
    const fd = this.isSyncing ? this.files.openAgain(file.fd) : file.fd
    try {
      if ((this.isSyncing || this.syncError !== null) && !this.rewriteUnsynced(file, fd)) return false
      this.files.syncContent(fd)
    } catch (error) {
      this.noteSync(`fdatasync: ${systemErrorText(error)}`)
      return false
    } finally {
      if (fd !== file.fd) this.closeFile(fd)
    }
    file.syncedBytes = file.bytes
    return true
  }

  /** After a failed sync: without this the next one would succeed and do nothing. Returns false when that failed too. */
  private rewriteUnsynced(file: LogFile, fd: number): boolean {
    try {
      this.files.rewrite(fd, file.syncedBytes, file.bytes)
      return true
    } catch (error) {
      this.noteSync(`cannot write again what could not be synced: ${systemErrorText(error)}`)
      return false
    }
  }

  private dropRetired(retired: LogFile): void {
    this.closeFile(retired.fd)
    this.retired = null
    this.writeQueue()
  }

  private closeFile(fd: number): void {
    try {
      this.files.close(fd)
    } catch (error) {
      this.log.warning(`Cannot close an append-only file: ${systemErrorText(error)}`)
    }
  }

  /** Writes at once. Returns the offset behind what was taken; less than `end` means `writeError`. */
  private write(buffer: Buffer, start: number, end: number): number {
    let at = start
    if (this.writeDelayMs > 0) sleep(this.writeDelayMs)
    try {
      while (at < end) {
        const written = this.files.write(this.file.fd, buffer, at, end - at, this.file.bytes)
        if (written === 0) throw new Error('the system took no bytes')
        at += written
        this.count(written)
      }
    } catch (error) {
      this.noteWrite(systemErrorText(error))
    }
    return at
  }

  private count(bytes: number): void {
    this.writtenBytes += bytes
    this.file.bytes += bytes
  }

  /** A write has succeeded: errors of that kind are over, and what waited for it goes on. */
  private noteWritten(): void {
    if (this.writeError !== null) this.noteWrite(null)
    if (this.overflowError !== null && this.pendingBytes === 0) this.noteOverflow(null)
    if (this.writtenBytes === this.acceptedBytes) {
      this.writtenEffects = this.acceptedEffects
      this.isOverdue = false
    }
    if (this.policy === FsyncPolicy.Always) this.sync()
    this.onProgress()
  }

  // ---- errors --------------------------------------------------------------------------------------------------

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

  private noteOverflow(error: string | null): void {
    const before = this.error
    this.overflowError = error
    this.logChange(before)
  }

  private logChange(before: string | null): void {
    if (before === null && this.error !== null)
      this.log.warning(`Cannot write the append-only file, writes are refused: ${this.error}`)
    if (before !== null && this.error === null)
      this.log.notice('AOF write error looks solved, the append-only file can be written again')
  }
}
