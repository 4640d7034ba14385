/**
 * Loading of the append-only file: each command of each file, through the pipeline.
 *
 * A torn tail (the process died in the middle of a write) is cut off when `aof-load-truncated` says so; a transaction
 * without its EXEC counts as torn from its MULTI on. Only the last file may be torn. Anything else that is not a
 * command is fatal, with file and offset; nothing is overwritten.
 * Source: Valkey 7.2 src/aof.c loadSingleAppendOnlyFile.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync } from 'node:fs'
import type { Log } from '../observe/log.ts'
import type { Args } from '../resp/args.ts'
import { Decoded, Decoder } from '../resp/decoder.ts'

const CHUNK_BYTES = 1024 * 1024
const RDB_MAGIC = 'REDIS'
const COMMENT = 35 // '#', an annotation line
const LF = 10
const HEAD_BYTES = 5

/** A log that cannot be loaded; the process must not start. */
export class AofLoadError extends Error {}

export interface AofLoadOptions {
  readonly path: string
  /** Cut off a torn tail instead of failing. */
  readonly truncates: boolean
  readonly log: Log
  /** Runs one command. Returns the error text when there is no such command or it fails. */
  readonly run: (args: Args) => string | null
  /** Whether a MULTI has been run without its EXEC. */
  readonly isInTransaction: () => boolean
  /** Forgets the commands queued since a MULTI that was never executed. */
  readonly discard: () => void
}

/** Loads one file. Returns the number of commands. @throws AofLoadError */
export function loadAofFile(options: AofLoadOptions): number {
  const fd = openSync(options.path, options.truncates ? 'r+' : 'r')
  try {
    return new Loader(fd, options).load()
  } finally {
    closeSync(fd)
  }
}

class Loader {
  private readonly fd: number
  private readonly options: AofLoadOptions
  private readonly decoder = new Decoder({ bulkBytesMax: 0x7fffffff })
  private buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES * 2)
  private at = 0
  private end = 0
  /** File offset of buffer[0]. */
  private base = 0
  /** File offset behind the last command after which the data was whole. */
  private validTo = 0
  private commands = 0

  constructor(fd: number, options: AofLoadOptions) {
    this.fd = fd
    this.options = options
  }

  load(): number {
    this.checkFormat()
    let continuing = false
    for (;;) {
      if (!continuing && this.skipComment()) continue
      if (!continuing) this.decoder.begin(this.at)
      const outcome = this.at < this.end ? this.decoder.decode(this.buffer, this.end, 1) : Decoded.Incomplete
      if (outcome === Decoded.Incomplete) {
        const moved = this.at
        if (!this.fill()) break
        // The bytes moved to the front; the decoder reads the request again from its start.
        continuing = moved === 0 && this.decoder.isPartial
        continue
      }
      continuing = false
      if (outcome !== Decoded.Request || this.buffer[this.at] !== 42) this.badFormat(this.base + this.at)
      this.runOne()
    }
    if (this.at < this.end || this.options.isInTransaction()) this.cutTail()
    return this.commands
  }

  private runOne(): void {
    const error = this.options.run(this.decoder.args)
    if (error !== null) {
      throw new AofLoadError(
        `Cannot load append-only file ${this.options.path}: command '${this.decoder.args.text(0)}' at offset ${this.base + this.at}: ${error}`,
      )
    }
    this.commands++
    this.at = this.decoder.next
    if (!this.options.isInTransaction()) this.validTo = this.base + this.at
  }

  private checkFormat(): void {
    this.fill()
    if (this.buffer.latin1Slice(0, Math.min(HEAD_BYTES, this.end)) === RDB_MAGIC) {
      throw new AofLoadError(
        `Cannot load append-only file ${this.options.path}: it starts with an RDB snapshot, which this version cannot read`,
      )
    }
  }

  private skipComment(): boolean {
    if (this.at >= this.end || this.buffer[this.at] !== COMMENT) return false
    const lineEnd = this.buffer.subarray(0, this.end).indexOf(LF, this.at)
    if (lineEnd < 0) return this.fill()
    this.at = lineEnd + 1
    if (!this.options.isInTransaction()) this.validTo = this.base + this.at
    return true
  }

  /** Reads more; moves what is left to the front, and grows the buffer for a long command. Returns false at the end. */
  private fill(): boolean {
    if (this.at > 0) {
      this.buffer.copyWithin(0, this.at, this.end)
      this.base += this.at
      this.end -= this.at
      this.at = 0
    }
    if (this.buffer.length - this.end < CHUNK_BYTES) {
      const grown = Buffer.allocUnsafeSlow(this.buffer.length * 2)
      this.buffer.copy(grown, 0, 0, this.end)
      this.buffer = grown
    }
    const bytes = readSync(this.fd, this.buffer, this.end, this.buffer.length - this.end, null)
    this.end += bytes
    return bytes > 0
  }

  private cutTail(): void {
    const size = fstatSync(this.fd).size
    this.options.discard()
    const where = `${this.options.path}: ${size - this.validTo} bytes behind offset ${this.validTo} are no whole command or transaction`
    if (!this.options.truncates) {
      throw new AofLoadError(`Cannot load append-only file ${where}; set aof-load-truncated to yes to cut them off`)
    }
    this.options.log.warning(`Cut off the torn end of append-only file ${where}`)
    ftruncateSync(this.fd, this.validTo)
    fsyncSync(this.fd)
  }

  private badFormat(offset: number): never {
    throw new AofLoadError(
      `Bad file format reading the append-only file ${this.options.path} at offset ${offset}: expected a command`,
    )
  }
}
