/** RDB files written out byte by byte, for tests that need to know each of them. */
import { CRC64_BYTES, Crc64 } from '../../src/bytes/crc64.ts'

const MAGIC = Buffer.from('REDIS0010')

/** A string of up to 63 bytes. */
export function rdbString(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')])
}

export function aux(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([250]), rdbString(name), rdbString(value)])
}

export function selectDb(index: number): Buffer {
  return Buffer.from([254, index])
}

export function stringKey(key: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), rdbString(key), rdbString(value)])
}

/** An expire time for the key that follows. */
export function expireTime(ms: number): Buffer {
  const bytes = Buffer.alloc(9)
  bytes[0] = 252
  bytes.writeBigInt64LE(BigInt(ms), 1)
  return bytes
}

/** The file with these records: magic, version 10, records, end, checksum. */
export function rdbFile(...records: readonly Buffer[]): Buffer {
  const content = Buffer.concat([MAGIC, ...records, Buffer.from([255])])
  const crc = new Crc64()
  crc.update(content, 0, content.length)
  const checksum = Buffer.alloc(CRC64_BYTES)
  crc.writeTo(checksum, 0)
  return Buffer.concat([content, checksum])
}
