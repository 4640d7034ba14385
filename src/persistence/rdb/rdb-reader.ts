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
import { RdbError } from './rdb-error.ts'
import type { ByteSource } from './rdb-source.ts'

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
  /** How many keys the database has: `keysHint`, `expiresHint`. A hint: it may be wrong. */
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
  /** Fields of hashes that lost their expire time because there are none here. Those whose time is over are dropped. */
  fieldsWithoutTtl = 0

  constructor(keyspace: Keyspace, source: ByteSource, options: RdbReaderOptions) {
    void keyspace
    void source
    void options
  }

  /** Bytes of the source that were read, for progress. */
  get bytesRead(): number {
    return this.recordEnd
  }

  /** Reads the next record. @throws RdbError, system errors */
  next(): RdbItem {
    throw new RdbError('Expected a reader', 0)
  }

  /** Frees what a value that is being read owns; for who stops before the end. */
  close(): void {}
}
