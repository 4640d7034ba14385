/**
 * The file operations of everything that must not lose data: one class, so that tests can make any call fail, take part
 * of a write or take its time, and see what is left. Cold, except `write`.
 *
 * Operations of one call block; those named `…Later` run on the thread pool. Errors are those of node:fs.
 */
import {
  close,
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  mkdirSync,
  open,
  openSync,
  readSync,
  renameSync,
  rm,
  rmSync,
  statSync,
  write,
  writeSync,
} from 'node:fs'
import { SyncThread } from './sync-thread.ts'

/** Bytes that `rewrite` reads at once. */
const REWRITE_BYTES = 1024 * 1024
/** Bytes that one write is asked to take at most: node:fs refuses 2 GiB, which the effects of one transaction can have. */
const WRITE_BYTES_MAX = 1024 * 1024 * 1024

/** Started when it is needed first. */
let syncThread: SyncThread | null | undefined

/** Told when an operation on the thread pool has ended. */
export type FileDone = (error: Error | null) => void

/** The system's files. Tests override what is to fail. */
export class Files {
  /** Opens a file. `flags` as of node:fs: `w`, `wx`, `w+`, `r+`. */
  open(path: string, flags: string, mode: number): number {
    return openSync(path, flags, mode)
  }

  /**
   * Another descriptor of an open file, where Linux tells by itself what has failed to reach the disk; the same one where
   * there is none to be had.
   */
  openAgain(fd: number): number {
    try {
      return openSync(`/proc/self/fd/${fd}`, 'r+')
    } catch {
      return fd
    }
  }

  /** Writes at an offset of a file. Returns how many bytes it took, which may be fewer. */
  write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    return writeSync(fd, buffer, start, Math.min(length, WRITE_BYTES_MAX), offset)
  }

  /** As `write`, on the thread pool. */
  writeLater(
    fd: number,
    buffer: Buffer,
    start: number,
    length: number,
    offset: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    write(fd, buffer, start, Math.min(length, WRITE_BYTES_MAX), offset, done)
  }

  /**
   * Writes what a file holds in [start, end) once more. After a failed sync the system takes the content for written: only
   * what is written anew is part of the next sync.
   */
  rewrite(fd: number, start: number, end: number): void {
    const buffer = Buffer.allocUnsafe(Math.min(REWRITE_BYTES, end - start))
    for (let at = start; at < end; ) {
      const bytes = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at)
      if (bytes === 0) throw new Error(`the file ends at offset ${at}, before ${end}`)
      for (let done = 0; done < bytes; ) done += this.write(fd, buffer, done, bytes - done, at + done)
      at += bytes
    }
  }

  /** Makes the content durable, with all that is known of the file. */
  sync(fd: number): void {
    fsyncSync(fd)
  }

  syncLater(fd: number, done: FileDone): void {
    fsync(fd, done)
  }

  /** Makes the content durable, without times and the like. */
  syncContent(fd: number): void {
    fdatasyncSync(fd)
  }

  /** Ends in the order of the calls for the same file. */
  syncContentLater(fd: number, done: FileDone): void {
    if (syncThread === undefined) syncThread = SyncThread.start()
    if (syncThread === null || !syncThread.sync(fd, done)) fdatasync(fd, done)
  }

  /** Calls back at once for what `syncContentLater` has ended by now, without waiting for the loop. */
  collectSyncs(): void {
    syncThread?.collect()
  }

  close(fd: number): void {
    syncThread?.closed(fd)
    closeSync(fd)
  }

  closeLater(fd: number, done: FileDone): void {
    syncThread?.closed(fd)
    close(fd, (error) => done(error ?? null))
  }

  rename(from: string, to: string): void {
    renameSync(from, to)
  }

  /**
   * Renames a file to the name of another, which is gone then. The system would give the space of a big one free before it
   * returns (hundreds of milliseconds for a gigabyte): that is left to the thread pool.
   */
  supersede(from: string, to: string): void {
    const old = openIfPossible(to)
    try {
      this.rename(from, to)
    } finally {
      // Nothing was written to it: how closing it ends does not matter.
      if (old !== null) this.closeLater(old, () => {})
    }
  }

  /** Removes a file; one that is not there is no error. */
  remove(path: string): void {
    rmSync(path, { force: true })
  }

  removeLater(path: string, done: FileDone): void {
    rm(path, { force: true }, done)
  }

  /** Size in bytes. */
  size(path: string): number {
    return statSync(path).size
  }

  /** Size of an open file, in bytes. */
  sizeOf(fd: number): number {
    return fstatSync(fd).size
  }

  /** Creates a directory; one that is there is no error. The one around it must exist. */
  createDirectory(path: string): void {
    // Not recursive: that never ends where the system denies that a directory exists in which it creates nothing (/proc).
    if (!existsSync(path)) mkdirSync(path)
  }

  /** Makes creations, renames and removals in a directory durable. Windows has no such call and needs none. */
  syncDirectory(path: string): void {
    if (process.platform === 'win32') return
    const fd = openSync(path, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  }

  syncDirectoryLater(path: string, done: FileDone): void {
    if (process.platform === 'win32') {
      setImmediate(done, null)
      return
    }
    open(path, 'r', (error, fd) => {
      if (error !== null) {
        done(error)
        return
      }
      fsync(fd, (failure) => close(fd, () => done(failure)))
    })
  }
}

export const SYSTEM_FILES: Files = new Files()

/** Null when it is not there or cannot be read, and on Windows, where an open file cannot be replaced. */
function openIfPossible(path: string): number | null {
  if (process.platform === 'win32') return null
  try {
    // A pipe of that name must not be waited for.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return null
  }
}
