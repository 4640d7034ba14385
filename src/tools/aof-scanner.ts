/**
 * Reads an append-only file item by item (commands, annotation lines), strictly and in bounded memory.
 *
 * Bytes pass through one window; of long arguments only the first bytes are kept. Checksum lines are compared with what
 * stands before them. What is wrong is described with its offset and what stands there instead. The file is read up to
 * the size it had in the beginning, so a file that is being written has an end.
 * Source of the format: Valkey 7.2 src/aof.c loadSingleAppendOnlyFile, src/valkey-check-aof.c processRESP.
 */
import { readSync } from 'node:fs'
import {
  AofChecksum,
  type ChecksumLine,
  ChecksumOutcome,
  checksumOf,
  readChecksumLine,
} from '../persistence/aof-annotations.ts'
import { Args } from '../resp/args.ts'

const WINDOW_BYTES = 1024 * 1024
/** Longest header of a command or argument: sign, digits and line end. */
const HEADER_BYTES_MAX = 32
/** Longest annotation line, as in Redis (AOF_ANNOTATION_LINE_MAX_LEN). */
const ANNOTATION_BYTES_MAX = 1024
const ARGUMENTS_MAX = 0x7fffffff
/** What a bulk string may have at most, whatever `proto-max-bulk-len` says. */
const BULK_BYTES_MAX = Number.MAX_SAFE_INTEGER
/** Bytes kept of an argument: enough for names of commands, counts and the prefix of a key. */
export const KEPT_BYTES = 256
const LF = 10
const CR = 13
const HASH = 35
const DOLLAR = 36
const ASTERISK = 42
const DIGIT_ZERO = 48

/** What `next` found. */
export const AofItem = { End: 0, Command: 1, Annotation: 2, Broken: 3 } as const

export interface AofScannerOptions {
  /** The file, open for reading. */
  readonly fd: number
  /** Where its commands begin: 0, or behind the RDB snapshot. */
  readonly offset: number
  /** Size of the file. */
  readonly size: number
  /** How many arguments of a command are kept, cut to KEPT_BYTES each. */
  readonly keptArguments: number
}

export class AofScanner {
  /** Offset of the item that `next` found. */
  start = 0
  /** Arguments of the command. */
  count = 0
  /** The first arguments of the command, or as much of them as is kept. Reused. */
  readonly args: Args = new Args()
  /** The annotation line without its LF, a byte string. */
  annotation = ''
  /** The line that is read next, or on which something is wrong, from 1. Lines within arguments are not counted. */
  line = 1
  /** Where the batch began whose checksum is not compared yet, and its line. What a wrong checksum covers is not valid. */
  batchStart: number
  batchLine = 1
  /** What is wrong. */
  problem = ''
  /** Whether that is a checksum. */
  isWrongChecksum: boolean = false
  /** Offset of what is wrong. */
  problemOffset = 0
  private readonly options: AofScannerOptions
  private readonly window: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  private readonly kept: Buffer
  private readonly checksum: AofChecksum = new AofChecksum()
  private at = 0
  private filled = 0
  /** Up to where in the window the checksum has taken the bytes. */
  private summed = 0
  /** File offset of window[0]. */
  private base: number

  constructor(options: AofScannerOptions) {
    this.options = options
    this.base = options.offset
    this.batchStart = options.offset
    this.checksum.restart(options.offset)
    this.kept = Buffer.alloc(options.keptArguments * KEPT_BYTES)
    this.args.buffer = this.kept
    this.args.reserve(options.keptArguments)
  }

  /** Offset behind all that was read. */
  get offset(): number {
    return this.base + this.at
  }

  /** Reads the next item and says what it is, as an AofItem. After Broken there is nothing more to read. */
  next(): number {
    this.start = this.offset
    if (!this.need(1)) return AofItem.End
    const first = this.window[this.at]!
    if (first === ASTERISK) return this.readCommand() ? AofItem.Command : AofItem.Broken
    if (first === HASH) return this.readAnnotation() ? AofItem.Annotation : AofItem.Broken
    this.fail(this.start, `expected a command ('*') or an annotation ('#'), found ${byteText(first)}`)
    return AofItem.Broken
  }

  private readCommand(): boolean {
    const count = this.readHeader(ASTERISK, ARGUMENTS_MAX)
    if (count < 0) return false
    if (count === 0) return this.fail(this.start, 'expected a command, found one without arguments')
    this.count = count
    this.args.count = 0
    for (let i = 0; i < count; i++) {
      const length = this.readHeader(DOLLAR, BULK_BYTES_MAX)
      if (length < 0 || !this.readArgument(i, length)) return false
    }
    return true
  }

  /** Reads `*N` or `$N` with its line end. Returns -1 when it is no such line. */
  private readHeader(prefix: number, max: number): number {
    this.need(HEADER_BYTES_MAX)
    const { window, at } = this
    const end = Math.min(this.filled, at + HEADER_BYTES_MAX)
    const start = this.offset
    if (at === end) return this.failNumber(start, `expected '${String.fromCharCode(prefix)}', but the file ends`)
    if (window[at] !== prefix)
      return this.failNumber(start, `expected '${String.fromCharCode(prefix)}', found ${byteText(window[at]!)}`)
    let value = 0
    let digit = at + 1
    for (; digit < end; digit++) {
      const next = window[digit]! - DIGIT_ZERO
      if (next < 0 || next > 9) break
      value = value * 10 + next
    }
    if (digit < end && (digit === at + 1 || window[digit] !== CR))
      return this.failNumber(start + digit - at, `expected a number, found ${byteText(window[digit]!)}`)
    if (value > max || digit + 1 >= at + HEADER_BYTES_MAX)
      return this.failNumber(start, `expected a number up to ${max}`)
    if (digit + 1 >= end) return this.failNumber(start, 'the file ends in the middle of a number')
    if (window[digit + 1] !== LF)
      return this.failNumber(
        start + digit + 1 - at,
        `expected the end of the line, found ${byteText(window[digit + 1]!)}`,
      )
    this.at += digit + 2 - at
    this.line++
    return value
  }

  private readArgument(i: number, length: number): boolean {
    const start = this.offset
    const rest = this.options.size - start
    if (length + 2 > rest)
      return this.fail(start, `expected ${length + 2} bytes of an argument, but the file has ${rest}`)
    if (i < this.options.keptArguments) this.keep(i, Math.min(length, KEPT_BYTES))
    this.skip(length)
    this.need(2)
    const { window, at } = this
    if (this.filled - at < 2) return this.fail(this.offset, 'the file has become shorter while it is read')
    if (window[at] !== CR || window[at + 1] !== LF)
      return this.fail(
        this.offset,
        `expected the line end of an argument of ${length} bytes, found ${byteText(window[at]!)}, ${byteText(window[at + 1]!)}`,
      )
    this.at += 2
    this.line++
    return true
  }

  private keep(i: number, length: number): void {
    this.need(length)
    const target = i * KEPT_BYTES
    const { window, at, args, kept } = this
    for (let k = 0; k < length; k++) kept[target + k] = window[at + k]!
    args.offsets[i] = target
    args.lengths[i] = length
    args.count = i + 1
  }

  private readAnnotation(): boolean {
    this.need(ANNOTATION_BYTES_MAX)
    const end = Math.min(this.filled, this.at + ANNOTATION_BYTES_MAX)
    const lineEnd = this.window.subarray(0, end).indexOf(LF, this.at)
    if (lineEnd < 0) {
      const isWhole = end - this.at === ANNOTATION_BYTES_MAX
      return this.fail(
        this.start,
        isWhole
          ? `expected the end of an annotation within ${ANNOTATION_BYTES_MAX} bytes`
          : 'the file ends in the middle of an annotation',
      )
    }
    this.annotation = this.window.latin1Slice(this.at, lineEnd)
    const checksum = readChecksumLine(this.annotation)
    if (checksum !== null && !this.compare(checksum)) return false
    this.at = lineEnd + 1
    this.line++
    if (checksum !== null) this.endBatch()
    return true
  }

  /** Compares what stands before a checksum line with it. */
  private compare(line: ChecksumLine): boolean {
    this.sum()
    const outcome = this.checksum.check(line)
    if (outcome === ChecksumOutcome.Right) return true
    const from = this.start - line.bytes
    if (outcome === ChecksumOutcome.Partial && this.sumOf(from, this.start) === line.crc) return true
    this.isWrongChecksum = true
    if (outcome === ChecksumOutcome.Missing)
      return this.fail(
        this.batchStart,
        `expected ${line.bytes} bytes before the checksum line at offset ${this.start}, found ${this.checksum.bytes}`,
      )
    return this.fail(
      from,
      `the ${line.bytes} bytes up to offset ${this.start} are not those that were written: their checksum is wrong`,
    )
  }

  private endBatch(): void {
    this.summed = this.at
    this.batchStart = this.offset
    this.batchLine = this.line
    this.checksum.restart(this.offset)
  }

  /** Adds to the checksum what was read since. */
  private sum(): void {
    if (this.at > this.summed) this.checksum.add(this.window, this.summed, this.at)
    this.summed = this.at
  }

  /** The checksum of a part of the file, of any length. All such parts together are no more than the file. */
  private sumOf(from: number, to: number): number {
    const chunk = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, to - from))
    let crc = 0
    for (let at = from; at < to; ) {
      const bytes = readSync(this.options.fd, chunk, 0, Math.min(chunk.length, to - at), at)
      if (bytes === 0) break
      crc = checksumOf(chunk, 0, bytes, crc)
      at += bytes
    }
    return crc
  }

  /** Reads until `bytes` are there, or the file ends. Returns whether they are. */
  private need(bytes: number): boolean {
    while (this.filled - this.at < bytes) if (!this.fill()) return false
    return true
  }

  private fill(): boolean {
    if (this.at > 0) {
      this.sum()
      this.summed = 0
      this.window.copyWithin(0, this.at, this.filled)
      this.base += this.at
      this.filled -= this.at
      this.at = 0
    }
    const position = this.base + this.filled
    const room = Math.min(WINDOW_BYTES - this.filled, this.options.size - position)
    if (room <= 0) return false
    const bytes = readSync(this.options.fd, this.window, this.filled, room, position)
    this.filled += bytes
    return bytes > 0
  }

  private skip(bytes: number): void {
    for (let rest = bytes; rest > 0; ) {
      if (this.at === this.filled && !this.fill()) return
      const step = Math.min(rest, this.filled - this.at)
      this.at += step
      rest -= step
    }
  }

  private fail(offset: number, problem: string): boolean {
    this.problem = problem
    this.problemOffset = offset
    return false
  }

  private failNumber(offset: number, problem: string): number {
    this.fail(offset, problem)
    return -1
  }
}

/** A byte for messages: as a character if it is one, else in hexadecimal digits. */
function byteText(byte: number): string {
  if (byte > 32 && byte < 127) return `'${String.fromCharCode(byte)}'`
  return `0x${byte.toString(16).padStart(2, '0')}`
}
