/**
 * CRC64 of RDB files and DUMP payloads: the Jones polynomial, reflected, starting from 0, without a final inversion.
 * Hot path.
 *
 * The checksum is two 32-bit halves. Eight bytes are folded at a time ("slicing by 8"): table `n` holds what a byte
 * contributes that has `n` more bytes behind it in the group. The entries of a table are pairs (low half, high half).
 * Source: Valkey src/crc64.c (parameters), `crc64Test` (check value).
 */

/** Bytes of a checksum. */
export const CRC64_BYTES = 8

/** The polynomial 0xad93d23594c935a9 with its bits reversed. */
const POLYNOMIAL_HIGH = 0x95ac9329
const POLYNOMIAL_LOW = 0xac4bc9b5
const GROUP_BYTES = 8
/** Words of one table: 256 pairs. */
const TABLE_WORDS = 512

const TABLES = createTables()

export class Crc64 {
  private low = 0
  private high = 0

  /** Starts again. */
  reset(): void {
    this.low = 0
    this.high = 0
  }

  /** Adds the bytes `buffer[start, end)`. */
  update(buffer: Uint8Array, start: number, end: number): void {
    const tables = TABLES
    let low = this.low
    let high = this.high
    let at = start
    for (const groupsEnd = end - GROUP_BYTES; at <= groupsEnd; at += GROUP_BYTES) {
      const a = ((buffer[at]! ^ low) & 0xff) << 1
      const b = ((buffer[at + 1]! ^ (low >>> 8)) & 0xff) << 1
      const c = ((buffer[at + 2]! ^ (low >>> 16)) & 0xff) << 1
      const d = (buffer[at + 3]! ^ (low >>> 24)) << 1
      const e = ((buffer[at + 4]! ^ high) & 0xff) << 1
      const f = ((buffer[at + 5]! ^ (high >>> 8)) & 0xff) << 1
      const g = ((buffer[at + 6]! ^ (high >>> 16)) & 0xff) << 1
      const h = (buffer[at + 7]! ^ (high >>> 24)) << 1
      low =
        tables[a + 3584]! ^
        tables[b + 3072]! ^
        tables[c + 2560]! ^
        tables[d + 2048]! ^
        tables[e + 1536]! ^
        tables[f + 1024]! ^
        tables[g + 512]! ^
        tables[h]!
      high =
        tables[a + 3585]! ^
        tables[b + 3073]! ^
        tables[c + 2561]! ^
        tables[d + 2049]! ^
        tables[e + 1537]! ^
        tables[f + 1025]! ^
        tables[g + 513]! ^
        tables[h + 1]!
    }
    for (; at < end; at++) {
      const entry = ((buffer[at]! ^ low) & 0xff) << 1
      low = ((low >>> 8) | (high << 24)) ^ tables[entry]!
      high = (high >>> 8) ^ tables[entry + 1]!
    }
    this.low = low
    this.high = high
  }

  /** Writes the checksum of what was added, little endian, to the eight bytes at `at`. */
  writeTo(buffer: Uint8Array, at: number): void {
    for (let i = 0; i < 4; i++) {
      buffer[at + i] = this.low >>> (i * 8)
      buffer[at + 4 + i] = this.high >>> (i * 8)
    }
  }

  /** Whether the eight bytes at `at` are the checksum of what was added. */
  matches(buffer: Uint8Array, at: number): boolean {
    for (let i = 0; i < 4; i++) {
      if (buffer[at + i] !== ((this.low >>> (i * 8)) & 0xff)) return false
      if (buffer[at + 4 + i] !== ((this.high >>> (i * 8)) & 0xff)) return false
    }
    return true
  }
}

function createTables(): Int32Array {
  const tables = new Int32Array(GROUP_BYTES * TABLE_WORDS)
  for (let byte = 0; byte < 256; byte++) {
    let low = byte
    let high = 0
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) !== 0
      low = (low >>> 1) | (high << 31)
      high >>>= 1
      if (!isOdd) continue
      low ^= POLYNOMIAL_LOW
      high ^= POLYNOMIAL_HIGH
    }
    tables[byte * 2] = low
    tables[byte * 2 + 1] = high
  }
  for (let at = TABLE_WORDS; at < tables.length; at += 2) {
    const low = tables[at - TABLE_WORDS]!
    const high = tables[at - TABLE_WORDS + 1]!
    const entry = (low & 0xff) * 2
    tables[at] = ((low >>> 8) | (high << 24)) ^ tables[entry]!
    tables[at + 1] = (high >>> 8) ^ tables[entry + 1]!
  }
  return tables
}
