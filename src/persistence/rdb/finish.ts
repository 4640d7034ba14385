/**
 * RdbFinisher: makes the final bytes of a file of what a RecordBuffer holds. Hot path, in a thread of its own.
 *
 * Marked strings are replaced by their compressed form where that is shorter; everything goes into the checksum.
 */
import { CRC64_BYTES, Crc64 } from '../../bytes/crc64.ts'
import { lzfCompress } from '../../bytes/lzf.ts'
import { RdbEncoding, RdbLength } from './format.ts'
import { MARK_WORDS, rdbLengthBytes, writeRdbLength } from './record-buffer.ts'

export interface FinishOptions {
  /** Whether marked strings are compressed (`rdbcompression`). */
  readonly compresses: boolean
  /** Whether the trailer is the checksum (`rdbchecksum`); else it is 0, which readers take for "not checked". */
  readonly checksums: boolean
}

export class RdbFinisher {
  private readonly compresses: boolean
  private readonly checksums: boolean
  private readonly crc = new Crc64()
  /** Bytes that the last `finish` has written. */
  outLength = 0

  constructor(options: FinishOptions) {
    this.compresses = options.compresses
    this.checksums = options.checksums
  }

  /** Starts another file. */
  reset(): void {
    this.crc.reset()
  }

  /**
   * Finishes `bytes[start, end)` to the start of `out` or, when that is too small, of a buffer in its place; `outLength`
   * tells how many bytes came of it. The marks (see RecordBuffer) must lie in the range.
   *
   * @returns the buffer that it has written to.
   */
  finish(bytes: Buffer, start: number, end: number, marks: Int32Array, markCount: number, out: Buffer): Buffer {
    // What is compressed is shorter with its header: there is never more than was given.
    if (out.length < end - start) out = Buffer.allocUnsafeSlow(end - start)
    let from = start
    let to = 0
    if (this.compresses) {
      for (let i = 0; i < markCount; i++) {
        const at = i * MARK_WORDS
        const header = marks[at]!
        const payload = marks[at + 1]!
        const length = marks[at + 2]! - payload
        const headerBytes = 1 + 2 * rdbLengthBytes(length)
        const max = marks[at + 2]! - header - headerBytes - 1
        if (max <= 0) continue
        to += bytes.copy(out, to, from, header)
        from = header
        const packed = lzfCompress(bytes, payload, length, out, to + headerBytes, max)
        if (packed === 0) continue
        out[to] = (RdbLength.Encoded << 6) | RdbEncoding.Lzf
        const packedAt = writeRdbLength(out, writeRdbLength(out, to + 1, packed), length)
        // The length of what is compressed may take fewer bytes than that of the whole.
        if (packedAt < to + headerBytes) out.copyWithin(packedAt, to + headerBytes, to + headerBytes + packed)
        to = packedAt + packed
        from = marks[at + 2]!
      }
    }
    to += bytes.copy(out, to, from, end)
    if (this.checksums) this.crc.update(out, 0, to)
    this.outLength = to
    return out
  }

  /** Writes what ends a file to the start of `out`. Returns how many bytes that are. */
  trailer(out: Buffer): number {
    if (this.checksums) this.crc.writeTo(out, 0)
    else out.fill(0, 0, CRC64_BYTES)
    return CRC64_BYTES
  }
}
