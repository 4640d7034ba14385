/**
 * The file of a snapshot under way: compresses, sums up, writes and syncs what the walk hands over. Runs in a thread of
 * its own (writer-thread.ts), or in the thread of the walk where somebody waits for the file (SAVE).
 */
import type { Files } from '../../files/files.ts'
import { RdbFinisher } from '../rdb/finish.ts'

/** Written bytes are handed to the disk in portions of this size, so that the last fsync has little to do. */
const SYNC_BYTES = 32 * 1024 * 1024
const OUT_BYTES = 1024 * 1024
const MODE = 0o644

/** What becomes of the records on their way to the file. */
export interface SnapshotFileOptions {
  readonly path: string
  /** Compresses marked strings. */
  readonly compresses: boolean
  /** Ends the file with a checksum; null for a format that has no place for one. */
  readonly checksums: boolean | null
  /** Syncs piece by piece while writing. */
  readonly syncsPieces: boolean
}

export class SnapshotFile {
  private readonly options: SnapshotFileOptions
  private readonly files: Files
  private readonly finisher: RdbFinisher
  private readonly fd: number
  private out: Buffer = Buffer.allocUnsafeSlow(OUT_BYTES)
  private unsynced = 0
  private isOpen: boolean = true
  writtenBytes = 0

  /** @throws the system's error when the file cannot be made */
  constructor(options: SnapshotFileOptions, files: Files) {
    this.options = options
    this.files = files
    this.finisher = new RdbFinisher({ compresses: options.compresses, checksums: options.checksums === true })
    this.fd = files.open(options.path, 'w', MODE)
  }

  /** Takes records [0, length) with marks of `markCount` strings. @throws the system's error */
  write(records: Buffer, length: number, marks: Int32Array, markCount: number): void {
    if (this.options.checksums !== true && (markCount === 0 || !this.options.compresses)) {
      this.writeAll(records, length)
      return
    }
    this.out = this.finisher.finish(records, 0, length, marks, markCount, this.out)
    this.writeAll(this.out, this.finisher.outLength)
  }

  /** Completes the file and makes it durable. @throws the system's error */
  complete(): void {
    if (this.options.checksums !== null) this.writeAll(this.out, this.finisher.trailer(this.out))
    this.files.sync(this.fd)
    this.close()
  }

  /** Gives the file up. */
  discard(): void {
    try {
      this.close()
    } catch {
      // What could not be written is not missed.
    }
    try {
      this.files.remove(this.options.path)
    } catch {
      // It is overwritten by the next snapshot of its name.
    }
  }

  private close(): void {
    if (!this.isOpen) return
    // Also when closing fails the number may soon be that of another file.
    this.isOpen = false
    this.files.close(this.fd)
  }

  private writeAll(buffer: Buffer, length: number): void {
    let at = 0
    while (at < length) {
      const written = this.files.write(this.fd, buffer, at, length - at, this.writtenBytes + at)
      if (written === 0) throw new Error('the system took no bytes')
      at += written
    }
    this.writtenBytes += length
    this.unsynced += length
    if (!this.options.syncsPieces || this.unsynced < SYNC_BYTES) return
    this.files.syncContent(this.fd)
    this.unsynced = 0
  }
}
