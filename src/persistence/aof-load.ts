/**
 * Loading of the append-only file, in slices: its files in order, each command of them through the pipeline.
 *
 *     base file   RDB, or commands; of older versions also RDB with commands behind it
 *     incremental files   commands and annotation lines (`#…`)
 *
 * A torn tail (the process died in the middle of a write) is cut off when `aof-load-truncated` says so; a transaction
 * without its EXEC counts as torn from its MULTI on. Only the last file may be torn. Anything else that is not a
 * command, or that a checksum line (aof-annotations.ts) says has changed, is fatal, with file and offset; nothing is
 * overwritten. Hot path: replaySlice.
 * Source: Valkey 7.2 src/aof.c loadAppendOnlyFiles, loadSingleAppendOnlyFile.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs'
import type { Log } from '../observe/log.ts'
import type { Args } from '../resp/args.ts'
import { Decoded, Decoder } from '../resp/decoder.ts'
import {
  AofChecksum,
  CHECKSUM_BYTES,
  CHECKSUM_PREFIX,
  ChecksumOutcome,
  checksumOf,
  readChecksumLine,
  type Unsummed,
} from './aof-annotations.ts'
import { findLaterBatch } from './later-batch.ts'
import type { Loader, LoadProgress } from './load-progress.ts'
import { RdbLoadError } from './rdb/load-file.ts'

const CHUNK_BYTES = 1024 * 1024
/** Offsets of arguments have 31 bits: the longest command that can be read, in bytes. */
const COMMAND_BYTES_MAX = 0x7fffffff - CHUNK_BYTES
const RDB_MAGIC = 'REDIS'
/** Longest annotation line that Redis reads (AOF_ANNOTATION_LINE_MAX_LEN), in bytes. */
const ANNOTATION_BYTES_MAX = 1024
const ASTERISK = 42
const COMMENT = 35 // '#', an annotation line
const CR = 13
const LF = 10

/** A log that cannot be loaded; the process must not start. */
export class AofLoadError extends Error {}

/** One file of a log. */
export interface AofLoadFile {
  readonly name: string
  readonly path: string
  readonly kind: 'base' | 'incr'
  /** A single file of an older version, which may begin with an RDB. */
  readonly isOldStyle: boolean
}

/** Runs the commands of a log. */
export interface CommandReplay {
  /** Called before commands are run, at the beginning of each slice. */
  begin(): void
  /** Runs one command. Returns the error text when there is no such command, or when nothing may go on after it. */
  run(args: Args): string | null
  /** Whether a MULTI has been run without its EXEC. */
  isInTransaction(): boolean
  /** Forgets the commands queued since a MULTI that was never executed. */
  discard(): void
}

export interface AofLoadOptions {
  readonly files: readonly AofLoadFile[]
  /** Cut off a torn tail of the last file instead of failing. */
  readonly truncates: boolean
  readonly log: Log
  readonly progress: LoadProgress
  readonly replay: CommandReplay
  /** Loads the RDB at the beginning of a file that is open. */
  readonly loadSnapshot: (fd: number, sizeBytes: number, path: string) => Loader & { readonly bytesRead: number }
}

/** Loads all files of a log. */
export class AofLoader implements Loader {
  private readonly options: AofLoadOptions
  private index = -1
  private current: AofFileLoader | null = null
  private fileStartedMs = 0

  constructor(options: AofLoadOptions) {
    this.options = options
  }

  /** Commands that were run. */
  commands = 0
  /** What no checksum line stands for at the end of the file that was read last; null also when that is much. */
  unsummed: Unsummed | null = null

  step(): boolean {
    const { files, log, progress } = this.options
    if (this.current === null) {
      if (++this.index >= files.length) return true
      this.fileStartedMs = performance.now()
      // A power cut right after a rewrite has begun leaves a torn file and an empty one behind it: that file is the last.
      const isLast = files.slice(this.index + 1).every(({ path }) => statSync(path).size === 0)
      this.current = new AofFileLoader(this.options, files[this.index]!, isLast)
    }
    if (!this.current.step()) return false
    const { name, kind } = files[this.index]!
    const { sizeBytes, commands } = this.current
    this.unsummed = this.current.unsummed()
    this.close()
    progress.endFile(sizeBytes)
    this.commands += commands
    const seconds = ((performance.now() - this.fileStartedMs) / 1000).toFixed(3)
    log.notice(`DB loaded from ${kind} file ${name}: ${seconds} seconds`)
    return this.index === files.length - 1
  }

  close(): void {
    this.current?.close()
    this.current = null
  }
}

/** Whether a file of a log has to begin with an RDB. */
function mustBeSnapshot({ kind, name }: { readonly kind: string; readonly name: string }): boolean {
  return kind === 'base' && name.endsWith('.base.rdb')
}

class AofFileLoader {
  readonly sizeBytes: number
  commands = 0
  private readonly options: AofLoadOptions
  private readonly file: AofLoadFile
  private readonly isLast: boolean
  private readonly fd: number
  private readonly decoder = new Decoder({ bulkBytesMax: 0x7fffffff })
  private readonly checksum = new AofChecksum()
  private snapshot: (Loader & { readonly bytesRead: number }) | null = null
  private buffer: Buffer = EMPTY
  private at = 0
  private end = 0
  /** What lies before has been handed to `checksum`. */
  private summedTo = 0
  /** File offset of buffer[0]. */
  private base = 0
  /** File offset behind the last command after which the data was whole. */
  private validTo = 0
  /** Whether the decoder goes on with a command of which it has read a part. */
  private isContinuing: boolean = false

  constructor(options: AofLoadOptions, file: AofLoadFile, isLast: boolean) {
    this.options = options
    this.file = file
    this.isLast = isLast
    this.fd = openSync(file.path, options.truncates && isLast ? 'r+' : 'r')
    try {
      const status = fstatSync(this.fd)
      if (status.isDirectory()) throw new AofLoadError(`Cannot load ${file.path}: it is a directory`)
      this.sizeBytes = status.size
      // Even of no keys at all such a file has more: it has lost what it held, and what follows is no log without it.
      if (mustBeSnapshot(file) && this.sizeBytes < RDB_MAGIC.length)
        throw new AofLoadError(
          `Error reading the RDB base file ${file.name}, AOF loading aborted: Expected an RDB file, found ${this.sizeBytes} bytes, at offset 0`,
        )
      if (this.startsWithSnapshot()) {
        options.log.notice(
          file.isOldStyle ? 'Reading RDB preamble from AOF file...' : 'Reading RDB base file on AOF loading...',
        )
        this.snapshot = options.loadSnapshot(this.fd, this.sizeBytes, file.path)
      }
    } catch (error) {
      closeSync(this.fd)
      throw error
    }
  }

  step(): boolean {
    if (this.snapshot !== null && !this.stepSnapshot(this.snapshot)) return false
    return this.replaySlice()
  }

  /** To be asked at the end of the file. A writer of checksums leaves little; of much that has none a part may be damaged. */
  unsummed(): Unsummed | null {
    const { start } = this.checksum
    const bytes = this.validTo - start
    if (bytes <= 0 || bytes >= CHECKSUM_BYTES) return null
    return { bytes, crc: this.sumOfFile(start, this.validTo) }
  }

  close(): void {
    this.snapshot?.close()
    closeSync(this.fd)
  }

  private startsWithSnapshot(): boolean {
    const head = Buffer.alloc(RDB_MAGIC.length)
    const bytes = readSync(this.fd, head, 0, head.length, 0)
    return bytes === head.length && head.toString('latin1') === RDB_MAGIC
  }

  /** Returns true when the commands behind the snapshot are next. */
  private stepSnapshot(snapshot: Loader & { readonly bytesRead: number }): boolean {
    const { isOldStyle, name } = this.file
    try {
      if (!snapshot.step()) return false
    } catch (error) {
      if (!(error instanceof RdbLoadError)) throw error
      const what = isOldStyle ? 'RDB preamble of the AOF file' : 'RDB base file'
      throw new AofLoadError(`Error reading the ${what} ${name}, AOF loading aborted: ${error.message}`)
    }
    this.base = snapshot.bytesRead
    this.validTo = this.base
    this.checksum.restart(this.base)
    this.snapshot = null
    if (isOldStyle) this.options.log.notice('Reading the remaining AOF tail...')
    return true
  }

  /** Runs commands until the slice is over. Returns true at the end of the file. */
  private replaySlice(): boolean {
    const { progress, replay } = this.options
    replay.begin()
    for (;;) {
      if (!this.isContinuing) {
        if (this.at < this.end) {
          const first = this.buffer[this.at]
          if (first === COMMENT) {
            if (!this.skipAnnotation() && !this.fill(this.at)) break
            continue
          }
          if (first !== ASTERISK) this.badFormat(`expected a command, found ${describeByte(first!)}`)
        }
        this.decoder.begin(this.at)
      }
      const outcome = this.at < this.end ? this.decoder.decode(this.buffer, this.end, 1) : Decoded.Incomplete
      if (outcome === Decoded.Incomplete) {
        const moved = this.at
        // What is announced to go beyond the end of the file need not be read to know that it is torn.
        if (!this.fill(this.decoder.isPartial ? this.decoder.neededBytes : this.at)) break
        // Where the bytes moved to the front, the decoder reads the command again from its start.
        this.isContinuing = moved === 0 && this.decoder.isPartial
        if (progress.isTimeOver()) return false
        continue
      }
      this.isContinuing = false
      if (outcome === Decoded.Malformed) this.badFormat(this.decoder.error)
      if (outcome === Decoded.Empty) this.badFormat('a command without arguments')
      this.checkEnds(this.decoder.args)
      this.runOne(this.decoder.args)
      if (progress.isSliceOver(this.base + this.at)) return false
    }
    if (this.at < this.end || replay.isInTransaction()) this.cutTail()
    return true
  }

  private runOne(args: Args): void {
    const { replay } = this.options
    const error = replay.run(args)
    if (error !== null) this.refuseCommand(args.text(0), error)
    this.commands++
    this.at = this.decoder.next
    if (!replay.isInTransaction()) this.validTo = this.base + this.at
  }

  /** Each argument must end where its length says: a length that is wrong would make data of what are commands. */
  private checkEnds(args: Args): void {
    const { buffer, offsets, lengths, count } = args
    for (let i = 0; i < count; i++) {
      const end = offsets[i]! + lengths[i]!
      if (buffer[end] !== CR || buffer[end + 1] !== LF)
        this.badFormat(`argument ${i} does not end at offset ${this.base + end}`)
    }
  }

  /** Reads past an annotation line. Returns false when its end has not been read yet. */
  private skipAnnotation(): boolean {
    const limit = Math.min(this.end, this.at + ANNOTATION_BYTES_MAX)
    let lineEnd = this.at
    while (lineEnd < limit && this.buffer[lineEnd] !== LF) lineEnd++
    if (lineEnd === this.end) return false
    if (lineEnd === limit) this.badFormat('an annotation line that is too long')
    if (this.startsWith(CHECKSUM_PREFIX)) this.checkSum(lineEnd)
    this.at = lineEnd + 1
    if (!this.options.replay.isInTransaction()) this.validTo = this.base + this.at
    return true
  }

  private startsWith(prefix: Buffer): boolean {
    for (let i = 0; i < prefix.length; i++) if (this.buffer[this.at + i] !== prefix[i]) return false
    return true
  }

  /** Compares what stands before the checksum line at `at` with it. */
  private checkSum(lineEnd: number): void {
    const line = readChecksumLine(this.buffer.latin1Slice(this.at, lineEnd))
    if (line === null) this.badFormat('expected a checksum line')
    this.sumUp()
    const { checksum } = this
    const lineStart = this.base + this.at
    let outcome = checksum.check(line)
    if (outcome === ChecksumOutcome.Missing)
      this.badFormat(
        `expected ${line.bytes} bytes since the last checksum at offset ${checksum.start}, found ${checksum.bytes}`,
      )
    if (outcome === ChecksumOutcome.Partial) {
      const crc = this.sumOfFile(lineStart - line.bytes, lineStart)
      outcome = crc === line.crc ? ChecksumOutcome.Right : ChecksumOutcome.Wrong
    }
    if (outcome === ChecksumOutcome.Wrong)
      this.badFormat(`the bytes from offset ${lineStart - line.bytes} on are not those that were written`)
    checksum.restart(this.base + lineEnd + 1)
    this.summedTo = lineEnd + 1
  }

  private sumUp(): void {
    if (this.at > this.summedTo) this.checksum.add(this.buffer, this.summedTo, this.at)
    this.summedTo = this.at
  }

  /** Sum of bytes that may have left the buffer: those before a torn write that another writer went on behind. */
  private sumOfFile(start: number, end: number): number {
    const piece = Buffer.allocUnsafe(CHUNK_BYTES)
    let crc = 0
    for (let at = start; at < end; ) {
      const bytes = readSync(this.fd, piece, 0, Math.min(piece.length, end - at), at)
      if (bytes === 0) break
      crc = checksumOf(piece, 0, bytes, crc)
      at += bytes
    }
    return crc
  }

  /**
   * Reads more; moves what is left to the front, and grows the buffer for a long command. Returns false when the file
   * does not go as far as `neededTo`, a place in the buffer, or is read to its end.
   */
  private fill(neededTo: number): boolean {
    if (this.base + neededTo > this.sizeBytes) return false
    this.sumUp()
    if (this.at > 0) {
      this.summedTo = 0
      this.buffer.copyWithin(0, this.at, this.end)
      this.base += this.at
      this.end -= this.at
      this.at = 0
    }
    if (this.buffer.length - this.end < CHUNK_BYTES) this.grow()
    const bytes = readSync(this.fd, this.buffer, this.end, this.buffer.length - this.end, this.base + this.end)
    this.end += bytes
    return bytes > 0
  }

  private grow(): void {
    if (this.end > COMMAND_BYTES_MAX) this.badFormat('a command of more than 2 GiB')
    const grown = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, this.buffer.length) * 2)
    this.buffer.copy(grown, 0, 0, this.end)
    this.buffer = grown
  }

  private cutTail(): void {
    const { replay, log, truncates } = this.options
    const { name } = this.file
    if (replay.isInTransaction()) log.warning(`Revert incomplete MULTI/EXEC transaction in AOF file ${name}`)
    replay.discard()
    this.refuseDamagedTail()
    const tail = `${this.sizeBytes - this.validTo} bytes behind offset ${this.validTo} are no whole command or transaction`
    if (!this.isLast)
      throw new AofLoadError(
        `Unexpected end of file reading the append only file ${name}: ${tail}, and it is not the last file`,
      )
    if (!truncates)
      throw new AofLoadError(
        `Unexpected end of file reading the append only file ${name}: ${tail}. Make a backup of it, then set aof-load-truncated to yes to have them cut off`,
      )
    log.warning(`!!! Warning: short read while loading the AOF file ${name}!!!`)
    log.warning(`!!! Truncating the AOF ${name} at offset ${this.validTo} !!! (${tail})`)
    ftruncateSync(this.fd, this.validTo)
    fsyncSync(this.fd)
    log.warning(`AOF ${name} loaded anyway because aof-load-truncated is enabled`)
  }

  /** A torn write ends the file. When a whole batch follows, something in the midst was damaged: it must not be cut off. */
  private refuseDamagedTail(): void {
    const found = findLaterBatch({
      fd: this.fd,
      size: this.sizeBytes,
      validTo: this.validTo,
      batchStart: this.checksum.start,
    })
    if (found >= 0)
      this.badFormat(`what is announced goes beyond the end of the file, but a whole batch ends at offset ${found}`)
  }

  private refuseCommand(name: string, error: string): never {
    const offset = this.base + this.at
    if (error.startsWith('ERR unknown command'))
      throw new AofLoadError(
        `Unknown command '${name}' reading the append only file ${this.file.name} at offset ${offset}`,
      )
    throw new AofLoadError(
      `Cannot load append only file ${this.file.name}: command '${name}' at offset ${offset}: ${error}`,
    )
  }

  private badFormat(problem: string): never {
    throw new AofLoadError(
      `Bad file format reading the append only file ${this.file.name} at offset ${this.base + this.at}: ${problem}. Make a backup of it before anything is changed`,
    )
  }
}

const EMPTY = Buffer.alloc(0)

function describeByte(byte: number): string {
  return byte > 32 && byte < 127 ? `'${String.fromCharCode(byte)}'` : `byte ${byte}`
}
