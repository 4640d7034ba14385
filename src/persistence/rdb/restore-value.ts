/** Payloads of DUMP: a type, a value as in an RDB file, the version of the format, a checksum. */
import { CRC64_BYTES, Crc64 } from '../../bytes/crc64.ts'
import type { Keyspace } from '../../keyspace/keyspace.ts'
import { Kind } from '../../structures/kind.ts'
import { AUX_STREAM_EXTRAS, RDB_VERSION_MAX, RdbOpcode } from './format.ts'
import { RdbError } from './rdb-error.ts'
import { RdbInput } from './rdb-input.ts'
import { ValueReader } from './read-value.ts'

const VERSION_BYTES = 2
const FOOTER_BYTES = VERSION_BYTES + CRC64_BYTES

const crc = new Crc64()

/** A value that belongs to nobody yet, as it stands in the key index. */
export interface RestoredValue {
  readonly kind: number
  readonly value: number
}

/**
 * Whether the payload `buffer[start, end)` ends with a version that can be read and with its checksum.
 *
 * @param options.checksums false: any checksum will do.
 * Source: Valkey src/cluster.c `verifyDumpPayload`.
 */
export function isDumpPayload(
  buffer: Buffer,
  start: number,
  end: number,
  options: { readonly checksums: boolean },
): boolean {
  if (end - start < FOOTER_BYTES) return false
  if (buffer.readUInt16LE(end - FOOTER_BYTES) > RDB_VERSION_MAX) return false
  if (!options.checksums) return true
  crc.reset()
  crc.update(buffer, start, end - CRC64_BYTES)
  return crc.matches(buffer, end - CRC64_BYTES)
}

/**
 * Builds the value of a payload (see isDumpPayload). It is the caller's, also to free.
 *
 * @returns what is wrong with the payload, if it is: then nothing is left behind.
 */
export function restoreValue(keyspace: Keyspace, buffer: Buffer, start: number, end: number): RestoredValue | RdbError {
  const input = new RdbInput()
  input.uncompressedBytesMax = Math.max(input.uncompressedBytesMax, keyspace.limits.protoMaxBulkLen)
  input.openMemory(buffer, start, end - FOOTER_BYTES)
  const reader = new ValueReader(keyspace, input)
  try {
    for (let isWhole = reader.begin(input.byte()); !isWhole; isWhole = reader.step());
    if (reader.kind === Kind.Stream) readBehindStream(input, reader)
  } catch (error) {
    if (error instanceof RdbError) return error
    throw error
  }
  if (reader.kind === Kind.None) return new RdbError('Expected elements', input.offset)
  return { kind: reader.kind, value: reader.value }
}

/** Reads what a stream has beside its type, if that follows. @throws RdbError, and frees the stream */
function readBehindStream(input: RdbInput, reader: ValueReader): void {
  if (input.left === 0 || input.byte() !== RdbOpcode.Aux) return
  const text = input.newString()
  try {
    input.string(text)
    if (text.text() !== AUX_STREAM_EXTRAS) return
    input.string(text)
    const problem = reader.setStreamExtras(Buffer.from(text.text(), 'latin1'))
    if (problem !== null) throw input.error(problem)
  } catch (error) {
    reader.drop()
    throw error
  }
}
