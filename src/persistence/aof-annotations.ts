/**
 * Annotation lines of the append-only file: lines that start with `#` stand between commands, and Redis reads past them.
 *
 *     #TS:1700000000\r\n                what follows was executed in this second (Unix time)
 *     #CRC32:89abcdef:1234\r\n          the 1234 bytes before this line have this CRC-32 (zlib's), in hexadecimal digits
 *
 * A checksum line stands for a batch: the records of some loop turns. It never stands within MULTI/EXEC. Bytes that no line
 * covers come from a writer that knows of no checksums (Redis, or `aof-checksums no`), or from one that was killed before
 * the end of a batch; a line says itself how many bytes it stands for. Who goes on in such a file has its first line stand
 * for what was left as well, so that damage behind it is told from a torn end (`findBatchEnd`). Programs that do not know such lines read many
 * records before they meet one. Hot path: writeChecksum.
 *
 * A reader feeds all bytes that are no checksum line to an `AofChecksum`, and each checksum line to its `check`.
 */
import { crc32 } from 'node:zlib'
import { Crc32Ranges } from '../bytes/crc32-ranges.ts'
import { integerLength, writeInteger } from '../bytes/integer.ts'

/** Longest line that is written here, in bytes. */
export const ANNOTATION_BYTES_MAX = 64
/** Bytes of records that one checksum line stands for, whole batches: more only where one batch is larger. */
export const CHECKSUM_BYTES: number = 16 * 1024
/** How a checksum line starts. */
export const CHECKSUM_PREFIX: Buffer = Buffer.from('#CRC32:')

const PREFIX_BYTES = 7
const CRC_DIGITS = 8
const COLON = 58
const HEX = Buffer.from('0123456789abcdef')
const CHECKSUM_LINE = /^#CRC32:([0-9a-f]{8}):([1-9][0-9]{0,15})\r$/

/** The annotation line for a time, in s. */
export function timestampLine(seconds: number): Buffer {
  return Buffer.from(`#TS:${seconds}\r\n`)
}

/** CRC-32 of bytes, going on from that of the bytes before them (0 at first). */
export function checksumOf(buffer: Buffer, start: number, end: number, before: number): number {
  return crc32(buffer.subarray(start, end), before)
}

/** Writes the checksum line for `bytes` bytes at `at`, where there must be room. Returns the offset behind it. */
export function writeChecksum(buffer: Buffer, at: number, crc: number, bytes: number): number {
  CHECKSUM_PREFIX.copy(buffer, at)
  let digits = at + PREFIX_BYTES + CRC_DIGITS
  buffer[digits] = COLON
  for (let rest = crc; digits > at + PREFIX_BYTES; rest >>>= 4) buffer[--digits] = HEX[rest & 15]!
  const end = writeInteger(buffer, at + PREFIX_BYTES + CRC_DIGITS + 1, bytes)
  buffer[end] = 13
  buffer[end + 1] = 10
  return end + 2
}

/** Length of the checksum line for so many bytes. */
export function checksumLineLength(bytes: number): number {
  return PREFIX_BYTES + CRC_DIGITS + 1 + integerLength(bytes) + 2
}

/** A checksum line, read. */
export interface ChecksumLine {
  readonly crc: number
  /** How many bytes before the line it stands for. */
  readonly bytes: number
}

/** Reads an annotation line without its LF; null when it is no checksum line. */
export function readChecksumLine(line: string): ChecksumLine | null {
  const match = CHECKSUM_LINE.exec(line)
  return match === null ? null : { crc: Number.parseInt(match[1]!, 16), bytes: Number(match[2]) }
}

/** What stands at the end of a file and no checksum line stands for: how many bytes, and their checksum. */
export interface Unsummed {
  readonly bytes: number
  readonly crc: number
}

/** What a checksum line says of the bytes before it. */
export const ChecksumOutcome = {
  Right: 0,
  /** The bytes are not those that were written. */
  Wrong: 1,
  /** It stands for more bytes than there are since the line before: some are missing. */
  Missing: 2,
  /** It stands for fewer: the sum of these must be taken by itself (`checksumOf`), those before them have none. */
  Partial: 3,
} as const

/** Sums up what lies between checksum lines while a file is read. */
export class AofChecksum {
  /** Offset in the file behind the last checksum line; 0 at the start. */
  start = 0
  /** Bytes since then and their sum. */
  bytes = 0
  private crc = 0

  /** Takes bytes that are no checksum line, in the order of the file. */
  add(buffer: Buffer, start: number, end: number): void {
    this.crc = checksumOf(buffer, start, end, this.crc)
    this.bytes += end - start
  }

  /** Compares with a checksum line. Returns a ChecksumOutcome. */
  check(line: ChecksumLine): number {
    if (line.bytes > this.bytes) return ChecksumOutcome.Missing
    if (line.bytes < this.bytes) return ChecksumOutcome.Partial
    return line.crc === this.crc ? ChecksumOutcome.Right : ChecksumOutcome.Wrong
  }

  /** Starts afresh behind a checksum line that ends at this offset of the file. */
  restart(offset: number): void {
    this.start = offset
    this.bytes = 0
    this.crc = 0
  }
}

/**
 * Looks for the end of a whole batch in bytes that were taken for a torn end of the file: a torn write ends before the
 * line of its batch, so when there is one, something before it was damaged, and to cut it off would lose what is whole.
 * Lines within values are told apart by what they sum up. Returns the offset of the line in the file, or -1.
 *
 * @param offset where buffer[start] lies in the file
 * @param batchStart where the batch began in which the reader stopped (`AofChecksum.start`)
 */
export function findBatchEnd(buffer: Buffer, start: number, end: number, offset: number, batchStart: number): number {
  const bytes = buffer.subarray(start, end)
  // Values may hold any number of such lines, each for any range.
  const sums = new Crc32Ranges(bytes)
  for (let at = bytes.indexOf(CHECKSUM_PREFIX); at >= 0; at = bytes.indexOf(CHECKSUM_PREFIX, at + 1)) {
    const lineLength = bytes.subarray(at, at + ANNOTATION_BYTES_MAX).indexOf('\r\n')
    const line = lineLength < 0 ? null : readChecksumLine(bytes.latin1Slice(at, at + lineLength + 1))
    if (line === null) continue
    if (offset + at - line.bytes === batchStart) return offset + at
    if (line.bytes <= at && sums.of(at - line.bytes, at) === line.crc) return offset + at
  }
  return -1
}
