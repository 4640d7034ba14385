/** Looks for whole batches in the rest of an append-only file, of any size. */
import { readSync } from 'node:fs'
import { findBatchEnd } from '../persistence/aof-annotations.ts'

/** What is looked at in one go. Two of these overlap by half, so batches up to half of it are always found. */
const WINDOW_BYTES = 8 * 1024 * 1024

/**
 * The offset of a checksum line that is right, behind the start of a batch that could not be read: the file does not end
 * there in a torn write. -1 when there is none.
 */
export function findLaterBatch(fd: number, size: number, batchStart: number): number {
  const window = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, Math.max(0, size - batchStart)))
  for (let offset = batchStart; offset < size; offset += WINDOW_BYTES / 2) {
    const bytes = readSync(fd, window, 0, Math.min(window.length, size - offset), offset)
    const found = findBatchEnd(window, 0, bytes, offset, batchStart)
    if (found >= 0) return found
  }
  return -1
}
