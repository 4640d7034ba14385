/** Looks for whole batches in the end of an append-only file that cannot be read, of any size. Cold. */
import { readSync } from 'node:fs'
import { findBatchEnd } from './aof-annotations.ts'

/** What is looked at in one go. Two of these overlap by half, so batches up to half of it are always found. */
const WINDOW_BYTES = 32 * 1024 * 1024

/** An end of a file that cannot be read. */
export interface UnreadEnd {
  /** The file, open for reading. */
  readonly fd: number
  /** Size of the file. */
  readonly size: number
  /** Offset behind what was read. */
  readonly validTo: number
  /** Where the batch began in which reading stopped (AofChecksum.start). */
  readonly batchStart: number
}

/** The offset of a checksum line that is right: the file does not end in a torn write. -1 when there is none. */
export function findLaterBatch({ fd, size, validTo, batchStart }: UnreadEnd): number {
  // What was read of the batch may hold the line of another one, when one before that line was damaged. A file without
  // checksums is one long batch, of which only the end can be torn.
  const from = validTo - batchStart <= WINDOW_BYTES ? batchStart : validTo
  const window = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, Math.max(0, size - from)))
  for (let offset = from; offset < size; offset += WINDOW_BYTES / 2) {
    const bytes = readSync(fd, window, 0, Math.min(window.length, size - offset), offset)
    const found = findBatchEnd(window, 0, bytes, offset, batchStart)
    if (found >= 0) return found
    if (offset + bytes >= size) return -1
  }
  return -1
}
