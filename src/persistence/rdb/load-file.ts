/**
 * Loading of an RDB file into the keyspace, in slices: the snapshot in `dir`, or the base of an append-only file.
 *
 * Keys whose time is over are dropped, unless commands follow which were written while those keys were there (the base
 * of a log). Anything wrong with the file ends loading with what was expected and the offset. Hot path: step.
 * Source: Valkey 7.2 src/rdb.c rdbLoadRioWithLoadingCtx.
 */
import type { Keyspace } from '../../keyspace/keyspace.ts'
import type { Log } from '../../observe/log.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { Loader, LoadProgress } from '../load-progress.ts'
import type { StreamPosition } from '../snapshot-format.ts'
import { RdbError } from './rdb-error.ts'
import { RdbItem, RdbReader } from './rdb-reader.ts'
import { FileSource } from './rdb-source.ts'

/** Keys without elements are named in the log up to this number. */
const EMPTY_KEYS_LOGGED = 10
const BYTES_PER_MB = 1024 * 1024
const HISTORY_ID = /^[0-9a-f]{40}$/i

/** A snapshot that cannot be loaded; the message says what was expected, and at which offset. */
export class RdbLoadError extends Error {}

export interface RdbLoadOptions {
  readonly keyspace: Keyspace
  readonly log: Log
  readonly progress: LoadProgress
  /** Whether the checksum at the end is compared (`rdbchecksum`). */
  readonly checksums: boolean
  /** Current time in ms: keys whose time is over are dropped. null: all are kept, as commands follow. */
  readonly dropsExpiredAt: number | null
  /** A key that is there already is replaced (DEBUG RELOAD MERGE); else it is an error. */
  readonly replacesKeys: boolean
  /** Whether keys are kept whose time is over when the file knows its place in a history, as replicas have them too. */
  readonly keepsHistory?: boolean
  /** Told of each key that is dropped although others have it at this place of the history. */
  readonly onHistoryExpired?: (
    position: StreamPosition,
    db: number,
    source: Buffer,
    start: number,
    length: number,
  ) => void
  /** Takes the source of a library of functions. Returns what is wrong with it. */
  readonly loadFunctions: (source: string) => string | null
}

/** A file that is open for reading; the descriptor stays the caller's to close. */
export interface RdbFile {
  readonly fd: number
  /** Where the file ends, in bytes. */
  readonly sizeBytes: number
}

export class RdbFileLoader implements Loader {
  private readonly options: RdbLoadOptions
  private readonly reader: RdbReader
  private keysLoaded = 0
  private keysExpired = 0
  private keysEmpty = 0
  private streamDb = -1
  private historyId = ''
  private historyOffset = -1

  constructor(file: RdbFile, options: RdbLoadOptions) {
    this.options = options
    const source = new FileSource(file.fd, 0, file.sizeBytes)
    this.reader = new RdbReader(options.keyspace, source, { checksums: options.checksums })
  }

  /** Where the RDB ends, once `step` has returned true. */
  get bytesRead(): number {
    return this.reader.bytesRead
  }

  /** Where the data stand in a history, once `step` has returned true; null: the file does not say. */
  get position(): StreamPosition | null {
    const { historyId: id, historyOffset: offset, streamDb } = this
    return HISTORY_ID.test(id) && offset >= 0 ? { id, offset, db: Math.max(0, streamDb) } : null
  }

  step(): boolean {
    try {
      return this.load()
    } catch (error) {
      if (!(error instanceof RdbError)) throw error
      // Programs that watch Redis look for this line; the error that follows names the file.
      this.options.log.warning(`Internal error in RDB reading: ${error.message}`)
      throw new RdbLoadError(error.message)
    }
  }

  close(): void {
    this.reader.close()
  }

  private load(): boolean {
    const { reader } = this
    const { progress } = this.options
    for (;;) {
      switch (reader.next()) {
        case RdbItem.Key:
          this.takeKey()
          if (progress.isSliceOver(reader.bytesRead)) return false
          break
        case RdbItem.BigInProgress:
          if (progress.isTimeOver()) return false
          break
        case RdbItem.EmptyKey:
          if (this.keysEmpty++ < EMPTY_KEYS_LOGGED)
            this.options.log.notice(`rdbLoadObject skipping empty key: ${this.keyText()}`)
          break
        case RdbItem.Database:
          this.checkDatabase()
          break
        case RdbItem.Resize:
          // Or the index would be rehashed again and again while it grows: a sixth of the time (5 million keys).
          this.options.keyspace.databases[reader.dbIndex]!.keys.reserve(reader.keysHint)
          break
        case RdbItem.Aux:
          this.takeAux(reader.auxName, reader.auxValue)
          break
        case RdbItem.Function:
          this.takeFunctions()
          break
        case RdbItem.End:
          this.logEnd()
          return true
      }
    }
  }

  private get keepsExpired(): boolean {
    return this.options.keepsHistory === true && this.position !== null
  }

  private takeKey(): void {
    const { reader } = this
    const { keyspace, dropsExpiredAt, progress } = this.options
    const db = keyspace.databases[reader.dbIndex]!
    const { keyBuffer, keyStart, keyLength, kind, value, expireMs } = reader
    if (dropsExpiredAt !== null && expireMs !== -1 && expireMs < dropsExpiredAt && !this.keepsExpired) {
      const { position } = this
      if (position !== null) this.options.onHistoryExpired?.(position, db.index, keyBuffer, keyStart, keyLength)
      keyspace.freeDetached(kind, value)
      this.keysExpired++
      progress.keysExpired++
      return
    }
    const old = db.keys.find(keyBuffer, keyStart, keyLength)
    if (old !== NO_ROW) {
      if (!this.options.replacesKeys) {
        keyspace.freeDetached(kind, value)
        throw new RdbLoadError(
          `RDB has duplicated key '${this.keyText()}' in DB ${db.index}, at offset ${reader.recordStart}`,
        )
      }
      db.remove(old)
    }
    const row = db.addLoaded(keyBuffer, keyStart, keyLength, kind, value)
    // Not as a client would: on a replica the primary decides when the key is gone.
    if (expireMs !== -1) db.expires.set(row, expireMs)
    db.restoreAccess(row, reader.idleSeconds, reader.frequency)
    this.keysLoaded++
    progress.keysLoaded++
  }

  private checkDatabase(): void {
    const { length } = this.options.keyspace.databases
    if (this.reader.dbIndex < length) return
    throw new RdbLoadError(
      `FATAL: Data file was created with a Redis server configured to handle more than ${length} databases: it has keys in database ${this.reader.dbIndex}, at offset ${this.reader.recordStart}`,
    )
  }

  private takeFunctions(): void {
    const problem = this.options.loadFunctions(this.reader.functionCode)
    if (problem === null) return
    throw new RdbLoadError(`Failed loading library, ${problem}, at offset ${this.reader.recordStart}`)
  }

  /** Fields about the file. Those that are not known are no business of ours. */
  private takeAux(name: string, value: string): void {
    const { log, progress } = this.options
    if (name.startsWith('%')) log.notice(`RDB '${name}': ${value}`)
    else if (name === 'redis-ver') log.notice(`Loading RDB produced by version ${value}`)
    else if (name === 'ctime') log.notice(`RDB age ${ageSeconds(value)} seconds`)
    else if (name === 'used-mem') {
      const bytes = Number(value)
      progress.rdbUsedMemory = Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0
      log.notice(`RDB memory usage when created ${(progress.rdbUsedMemory / BYTES_PER_MB).toFixed(2)} Mb`)
    } else if (name === 'aof-preamble' && Number(value) > 0) log.notice('RDB has an AOF tail')
    else if (name === 'repl-stream-db') this.streamDb = integerOf(value)
    else if (name === 'repl-id') this.historyId = value
    else if (name === 'repl-offset') this.historyOffset = integerOf(value)
    else if (name === 'aof-base' && Number(value) > 0) log.notice('RDB is base AOF')
    else log.debug(`Unrecognized RDB AUX field: '${name}'`)
  }

  private logEnd(): void {
    const { log } = this.options
    const empty = this.keysEmpty === 0 ? '' : `, empty keys skipped: ${this.keysEmpty}`
    log.notice(`Done loading RDB, keys loaded: ${this.keysLoaded}, keys expired: ${this.keysExpired}${empty}.`)
  }

  private keyText(): string {
    const { keyBuffer, keyStart, keyLength } = this.reader
    return keyBuffer.latin1Slice(keyStart, keyStart + keyLength)
  }
}

/** A number of bytes or a database; -1 when it is none. */
function integerOf(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1
}

function ageSeconds(ctime: string): number {
  const seconds = Number.parseInt(ctime, 10)
  return Number.isNaN(seconds) ? 0 : Math.max(0, Math.floor(Date.now() / 1000) - seconds)
}
