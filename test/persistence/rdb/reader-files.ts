/** RDB files put together from the description of the format, in the encodings of old versions too. */
import { Crc64 } from '../../../src/bytes/crc64.ts'
import { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { RdbReader } from '../../../src/persistence/rdb/rdb-reader.ts'
import { MemorySource } from '../../../src/persistence/rdb/rdb-source.ts'
import { load } from './reference-data.ts'

export type Bytes = Buffer | number | string

/** Bytes one after the other; a number is a byte, a text a byte string. */
export function bytes(...parts: readonly Bytes[]): Buffer {
  const buffers = parts.map((part) => {
    if (typeof part === 'number') return Buffer.from([part])
    return typeof part === 'string' ? Buffer.from(part, 'latin1') : part
  })
  return Buffer.concat(buffers)
}

/** A file of a version with these records. */
export function file(version: number, ...records: readonly Bytes[]): Buffer {
  const content = bytes(`REDIS${String(version).padStart(4, '0')}`, ...records, 255)
  return version < 5 ? content : bytes(content, checksum(content))
}

/** A payload as DUMP gives it. */
export function payload(type: number, value: Buffer, version = 9): Buffer {
  const content = bytes(type, value, version, 0)
  return bytes(content, checksum(content))
}

export function checksum(content: Buffer): Buffer {
  const crc = new Crc64()
  const sum = Buffer.alloc(8)
  crc.update(content, 0, content.length)
  crc.writeTo(sum, 0)
  return sum
}

/** A length or count. */
export function length(value: number): Buffer {
  if (value < 64) return bytes(value)
  if (value < 16384) return bytes(0x40 | (value >> 8), value & 0xff)
  const wide = Buffer.alloc(5, 0x80)
  wide.writeUInt32BE(value, 1)
  return wide
}

/** A string with its length. */
export function string(value: Bytes): Buffer {
  const content = bytes(value)
  return bytes(length(content.length), content)
}

export function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16LE(value)
  return buffer
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

export function int64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64LE(value)
  return buffer
}

/** A ziplist of encoded entries (without the length of the one before). */
export function ziplist(...entries: readonly Bytes[]): Buffer {
  let previous = 0
  let tail = 10
  const parts: Buffer[] = []
  for (const entry of entries) {
    const header = previous < 254 ? bytes(previous) : bytes(254, u32(previous))
    tail += previous
    const part = bytes(header, entry)
    previous = part.length
    parts.push(part)
  }
  const content = bytes(...parts, 0xff)
  return bytes(u32(content.length + 10), u32(tail), u16(entries.length), content)
}

/** A short string as a ziplist entry. */
export function zipString(value: string): Buffer {
  return bytes(value.length, value)
}

/** A listpack of encoded entries of less than 128 bytes, without the length behind them. */
export function listpack(...entries: readonly Bytes[]): Buffer {
  const parts = entries.map((entry) => bytes(entry, bytes(entry).length))
  const content = bytes(...parts, 0xff)
  return bytes(u32(content.length + 6), u16(entries.length), content)
}

/** A short string as a listpack entry. */
export function packedString(value: string): Buffer {
  return bytes(0x80 | value.length, value)
}

export function intset(width: number, values: readonly bigint[]): Buffer {
  const content = values.map((value) => int64(value).subarray(0, width))
  return bytes(u32(width), u32(values.length), ...content)
}

/** A keyspace with what is in a file. */
export function keyspaceOf(content: Buffer, nowMs = 1_700_000_000_000): Keyspace {
  const keyspace = new Keyspace(16, 4711)
  keyspace.now = nowMs
  load(keyspace, readerOf(keyspace, content))
  return keyspace
}

export function readerOf(keyspace: Keyspace, content: Buffer): RdbReader {
  return new RdbReader(keyspace, new MemorySource(content), { checksums: true })
}
