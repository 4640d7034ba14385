/** Records of RDB files, written out byte by byte for tests that need to know each of them. */
import { RdbOpcode, RdbType } from '../../src/persistence/rdb/format.ts'
import { bytes, file, int64, string } from '../persistence/rdb/reader-files.ts'

const VERSION = 10

export function aux(name: string, value: string): Buffer {
  return bytes(RdbOpcode.Aux, string(name), string(value))
}

export function selectDb(index: number): Buffer {
  return bytes(RdbOpcode.SelectDb, index)
}

export function stringKey(key: string, value: string): Buffer {
  return bytes(RdbType.String, string(key), string(value))
}

/** An expire time for the key that follows. */
export function expireTime(ms: number): Buffer {
  return bytes(RdbOpcode.ExpireTimeMs, int64(BigInt(ms)))
}

/** The file of version 10 with these records. */
export function rdbFile(...records: readonly Buffer[]): Buffer {
  return file(VERSION, ...records)
}
