/**
 * RdbReader: reads the records of an RDB file, of any version up to 12, one after the other. Hot path.
 *
 *     const reader = new RdbReader(keyspace, new FileSource(fd, 0, fstatSync(fd).size), { checksums: true })
 *     for (let item = reader.next(); item !== RdbItem.End; item = reader.next()) …
 *
 * No length in the file is trusted: what it announces must fit into the bytes that are left before memory is taken for
 * it, and packed values are checked entry by entry. Anything wrong is an RdbError; the value that was being read is
 * freed then. Values are built in their final form and belong to the caller from the moment `next` has returned them.
 */
import type { Keyspace } from '../../keyspace/keyspace.ts'
import { Kind } from '../../structures/kind.ts'
import { AUX_ACTIVE_TIMES, AUX_STREAM_EXTRAS, RDB_MAGIC, RDB_VERSION_MAX, RdbOpcode } from './format.ts'
import { RdbError } from './rdb-error.ts'
import { RdbInput, type RdbString } from './rdb-input.ts'
import type { ByteSource } from './rdb-source.ts'
import { readModuleName, ValueReader } from './read-value.ts'

/** Of an expire time; of an idle time or frequency that the file does not tell. */
const NO_EXPIRE = -1
const UNKNOWN = -1
const HEADER_BYTES = 9
/** What a key with its value takes at least, but for the shortest ones. */
const KEY_BYTES_MIN = 6
/** From this version on a file ends with a checksum. */
const CHECKSUM_VERSION_MIN = 5
/** Longest string that V8 holds is a bit longer. */
const TEXT_BYTES_MAX = 0x1fffffe8 - 1

/** What `next` has read. */
export const RdbItem = {
  /** The checksum was right, the file is over. `bytesRead` is where it ends; bytes behind it are not looked at. */
  End: 0,
  /** A key with its value: `dbIndex`, `key…`, `kind`, `value`, `expireMs`, `idleSeconds`, `frequency`. */
  Key: 1,
  /** A key whose collection has no elements, which Redis skips: `dbIndex`, `key…`. There is no value. */
  EmptyKey: 2,
  /** The keys that follow are in database `dbIndex`. */
  Database: 3,
  /** How many keys the database has: `keysHint`, `expiresHint`. It may be wrong, but the file has room for so many. */
  Resize: 4,
  /** `auxName` and `auxValue`. */
  Aux: 5,
  /** The source of a library of functions: `functionCode`. */
  Function: 6,
  /** A part of a big value was read: call `next` again, now or in a later turn. Nothing else has changed. */
  BigInProgress: 7,
} as const
export type RdbItem = (typeof RdbItem)[keyof typeof RdbItem]

export interface RdbReaderOptions {
  /** Whether the checksum at the end of the file is compared (`rdbchecksum`). A checksum of 0 says there is none. */
  readonly checksums: boolean
}

export class RdbReader {
  /** Version of the file, known after the first `next`. */
  version = 0
  dbIndex = 0
  /** The key is `keyBuffer[keyStart, keyStart + keyLength)`, until the following `next`. */
  keyBuffer: Buffer = Buffer.alloc(0)
  keyStart = 0
  keyLength = 0
  /** The value as it stands in the key index, see structures/kind.ts. */
  kind = 0
  value = 0
  /** RdbType of the value in the file. */
  type = 0
  /** Absolute time in ms, -1 when there is none. */
  expireMs = -1
  /** Seconds since the last access (files written under an LRU policy), -1 when the file does not say. */
  idleSeconds = -1
  /** Access frequency (files written under an LFU policy), -1 when the file does not say. */
  frequency = -1
  /** Where the record of the last item starts and ends, in bytes from the start of the source. */
  recordStart = 0
  recordEnd = 0
  auxName = ''
  auxValue = ''
  /** Byte string. */
  functionCode = ''
  keysHint = 0
  expiresHint = 0

  private readonly input = new RdbInput()
  private readonly values: ValueReader
  private readonly text: RdbString
  private readonly keyText: RdbString
  private isInValue = false
  /** Times for the consumers of the stream that comes next. */
  private activeTimes: Buffer | null = null
  /** What it has beside its record. */
  private streamExtras: Buffer | null = null

  constructor(keyspace: Keyspace, source: ByteSource, options: RdbReaderOptions) {
    const { input } = this
    this.keyText = input.newString()
    this.text = input.newString()
    this.values = new ValueReader(keyspace, input)
    input.uncompressedBytesMax = Math.max(input.uncompressedBytesMax, keyspace.limits.protoMaxBulkLen)
    input.open(source, options.checksums)
  }

  /** Bytes of the source that were read, for progress. */
  get bytesRead(): number {
    return this.input.offset
  }

  /** Fields of hashes read so far that have an expire time. */
  get timedFields(): number {
    return this.values.timedFields
  }

  /** Reads the next record. @throws RdbError, system errors */
  next(): RdbItem {
    if (this.isInValue) return this.readOn()
    if (this.version === 0) this.readHeader()
    const { input } = this
    this.recordStart = input.offset
    this.expireMs = NO_EXPIRE
    this.idleSeconds = UNKNOWN
    this.frequency = UNKNOWN
    for (;;) {
      const type = input.byte()
      if (type < RdbOpcode.SlotInfo) return this.beginKey(type)
      if (this.readAttribute(type)) continue
      const item = this.readRecord(type)
      this.recordEnd = input.offset
      if (item !== RdbItem.Aux) return item
      if (this.auxName === AUX_ACTIVE_TIMES) this.activeTimes = Buffer.from(this.auxValue, 'latin1')
      else if (this.auxName === AUX_STREAM_EXTRAS) this.streamExtras = Buffer.from(this.auxValue, 'latin1')
      else return item
      this.recordStart = input.offset
    }
  }

  /** Frees what a value that is being read owns, and lets go of the source; for who stops before the end. */
  close(): void {
    if (this.isInValue) this.values.abort()
    this.isInValue = false
    this.input.close()
  }

  private readHeader(): void {
    const { input } = this
    if (input.left < HEADER_BYTES) throw input.error(`Expected '${RDB_MAGIC}' and a version, found ${input.left} bytes`)
    input.need(HEADER_BYTES)
    const header = input.buffer.latin1Slice(input.at, input.at + HEADER_BYTES)
    if (!header.startsWith(RDB_MAGIC)) throw input.error(`Expected '${RDB_MAGIC}' and a version`)
    const digits = header.slice(RDB_MAGIC.length)
    const version = /^\d{4}$/.test(digits) ? Number(digits) : 0
    if (version < 1 || version > RDB_VERSION_MAX) {
      throw input.error(`Expected a version from 1 to ${RDB_VERSION_MAX}, found '${digits.replace(/[^ -~]/g, '?')}'`)
    }
    input.at += HEADER_BYTES
    this.version = version
  }

  /** Reads what stands before a key. Returns false for a record of its own. */
  private readAttribute(opcode: number): boolean {
    const { input } = this
    switch (opcode) {
      case RdbOpcode.ExpireTimeMs:
        this.expireMs = input.int64()
        return true
      case RdbOpcode.ExpireTimeSeconds:
        this.expireMs = input.int32() * 1000
        return true
      case RdbOpcode.Idle:
        this.idleSeconds = input.length()
        return true
      case RdbOpcode.Frequency:
        this.frequency = input.byte()
        return true
      case RdbOpcode.SlotInfo:
        input.length()
        input.length()
        input.length()
        return true
      default:
        return false
    }
  }

  private beginKey(type: number): RdbItem {
    this.type = type
    this.input.string(this.keyText)
    if (this.values.begin(type)) return this.endKey()
    this.isInValue = true
    return RdbItem.BigInProgress
  }

  private readOn(): RdbItem {
    // A value that cannot be read is freed already: there is nothing to go on with.
    this.isInValue = false
    if (this.values.step()) return this.endKey()
    this.isInValue = true
    return RdbItem.BigInProgress
  }

  private endKey(): RdbItem {
    const { keyText, values } = this
    this.keyBuffer = keyText.buffer
    this.keyStart = keyText.start
    this.keyLength = keyText.length
    this.kind = values.kind
    this.value = values.value
    this.recordEnd = this.input.offset
    if (this.activeTimes !== null || this.streamExtras !== null) this.completeStream()
    return values.kind === Kind.None ? RdbItem.EmptyKey : RdbItem.Key
  }

  /** Gives the stream that was read what stood before it. */
  private completeStream(): void {
    const { values, activeTimes, streamExtras } = this
    this.activeTimes = null
    this.streamExtras = null
    // In this order: a consumer that stands for none has an active time, too.
    let problem = activeTimes === null ? null : values.setActiveTimes(activeTimes)
    if (problem === null && streamExtras !== null) problem = values.setStreamExtras(streamExtras)
    if (problem === null) return
    this.values.drop()
    throw new RdbError(problem, this.recordStart)
  }

  private readRecord(opcode: number): RdbItem {
    const { input } = this
    switch (opcode) {
      case RdbOpcode.SelectDb:
        this.dbIndex = input.length()
        return RdbItem.Database
      case RdbOpcode.ResizeDb:
        this.keysHint = Math.min(input.length(), Math.floor(input.left / KEY_BYTES_MIN))
        this.expiresHint = Math.min(input.length(), this.keysHint)
        return RdbItem.Resize
      case RdbOpcode.Aux:
        this.auxName = this.readText()
        this.auxValue = this.readText()
        return RdbItem.Aux
      case RdbOpcode.Function2:
        this.functionCode = this.readText()
        return RdbItem.Function
      case RdbOpcode.Eof:
        if (this.version >= CHECKSUM_VERSION_MIN) input.checkChecksum()
        return RdbItem.End
      case RdbOpcode.ModuleAux:
        throw input.error(`Expected no data of a module, found some of '${readModuleName(input)}'`)
      case RdbOpcode.FunctionPreRelease:
        throw input.error('Expected functions as Redis 7.0 writes them, found those of a release candidate')
      default:
        throw input.error(`Expected a record, found the type ${opcode}`)
    }
  }

  private readText(): string {
    const { input, text } = this
    input.string(text)
    if (text.length > TEXT_BYTES_MAX)
      throw new RdbError(`Expected a text of less than ${text.length} bytes`, text.offset)
    const value = text.text()
    text.release()
    return value
  }
}
