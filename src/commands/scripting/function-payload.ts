/**
 * Payloads of FUNCTION DUMP and RESTORE: libraries as an RDB file holds them, then the version and the checksum.
 *
 *     (245, source as a string) … | version: u16 | CRC64 of all before: u64         numbers are little endian
 *
 * Source: Redis src/functions.c `functionDumpCommand`, `functionRestoreCommand`, src/cluster.c `verifyDumpPayload`.
 */
import { CRC64_BYTES, Crc64 } from '../../bytes/crc64.ts'
import { RdbFinisher } from '../../persistence/rdb/finish.ts'
import { RDB_VERSION_DEFAULT, RDB_VERSION_MAX, RdbOpcode } from '../../persistence/rdb/format.ts'
import { RdbError } from '../../persistence/rdb/rdb-error.ts'
import { RdbInput } from '../../persistence/rdb/rdb-input.ts'
import { RecordBuffer } from '../../persistence/rdb/record-buffer.ts'
import type { Args } from '../../resp/args.ts'
import { DUMP_PAYLOAD_WRONG } from '../../resp/errors.ts'
import { FunctionError } from '../../scripting/function-library.ts'

const VERSION_BYTES = 2
const FOOTER_BYTES = VERSION_BYTES + CRC64_BYTES

/** The payload of libraries, given by their sources. */
export function dumpFunctions(sources: readonly string[], { compresses }: { compresses: boolean }): Buffer {
  const records = new RecordBuffer()
  for (const source of sources) {
    records.byte(RdbOpcode.Function2)
    records.stringText(source)
  }
  records.byte(RDB_VERSION_DEFAULT & 0xff)
  records.byte(RDB_VERSION_DEFAULT >> 8)
  const finisher = new RdbFinisher({ compresses, checksums: true })
  const out = Buffer.allocUnsafe(records.length + CRC64_BYTES)
  finisher.finish(records.bytes, 0, records.length, records.marks, records.markCount, out)
  const end = finisher.outLength
  return out.subarray(0, end + finisher.trailer(out.subarray(end)))
}

/** @throws the error reply when argument `i` is no payload, or one of a later version. */
export function checkPayload(args: Args, i: number): void {
  const { buffer } = args
  const start = args.start(i)
  const versionAt = start + args.length(i) - FOOTER_BYTES
  if (versionAt < start || buffer.readUInt16LE(versionAt) > RDB_VERSION_MAX) throw DUMP_PAYLOAD_WRONG
  const checksumAt = versionAt + VERSION_BYTES
  const crc = new Crc64()
  crc.update(buffer, start, checksumAt)
  if (!crc.matches(buffer, checksumAt)) throw DUMP_PAYLOAD_WRONG
}

/** The sources in argument `i`, which has been checked. @throws FunctionError where there is something else */
export function* readPayload(args: Args, i: number): Generator<string> {
  const input = new RdbInput()
  const source = input.newString()
  input.openMemory(args.buffer, args.start(i), args.start(i) + args.length(i) - FOOTER_BYTES)
  while (input.left > 0) {
    const type = input.byte()
    if (type === RdbOpcode.FunctionPreRelease) throw new FunctionError('Pre-GA function format not supported')
    if (type !== RdbOpcode.Function2) throw new FunctionError('given type is not a function')
    try {
      input.string(source)
    } catch (error) {
      if (error instanceof RdbError) throw new FunctionError('Failed loading library payload')
      throw error
    }
    yield source.text()
  }
}
