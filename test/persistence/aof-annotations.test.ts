/** Checksum lines of the append-only file: what is written is read back, and damage shows. */
import { describe, expect, test } from 'vitest'
import {
  ANNOTATION_BYTES_MAX,
  AofChecksum,
  ChecksumOutcome,
  checksumLineLength,
  checksumOf,
  findBatchEnd,
  readChecksumLine,
  timestampLine,
  writeChecksum,
} from '../../src/persistence/aof-annotations.ts'

const RECORD = Buffer.from('*2\r\n$4\r\nINCR\r\n$1\r\na\r\n')

/** A batch with its line. */
function batch(records: Buffer): Buffer {
  const out = Buffer.alloc(records.length + ANNOTATION_BYTES_MAX)
  records.copy(out)
  const end = writeChecksum(out, records.length, checksumOf(records, 0, records.length, 0), records.length)
  return out.subarray(0, end)
}

function lineOf(bytes: Buffer): string {
  return bytes.toString('latin1', RECORD.length, bytes.length - 1)
}

describe('a checksum line', () => {
  test('stands for the bytes before it', () => {
    const bytes = batch(RECORD)
    expect(bytes.toString('latin1', RECORD.length)).toMatch(/^#CRC32:[0-9a-f]{8}:21\r\n$/)
    expect(bytes.length - RECORD.length).toBe(checksumLineLength(RECORD.length))
    const line = readChecksumLine(lineOf(bytes))!
    const sum = new AofChecksum()
    sum.add(RECORD, 0, 10)
    sum.add(RECORD, 10, RECORD.length)
    expect(sum.check(line)).toBe(ChecksumOutcome.Right)
  })

  test.each([0, 0xffffffff, 1, 0x89abcdef])('keeps all digits of %i', (crc) => {
    const out = Buffer.alloc(ANNOTATION_BYTES_MAX)
    const end = writeChecksum(out, 0, crc, Number.MAX_SAFE_INTEGER)
    expect(readChecksumLine(out.toString('latin1', 0, end - 1))).toEqual({ crc, bytes: Number.MAX_SAFE_INTEGER })
  })

  test('tells any flipped bit', () => {
    const line = readChecksumLine(lineOf(batch(RECORD)))!
    for (let bit = 0; bit < RECORD.length * 8; bit++) {
      const damaged = Buffer.from(RECORD)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      const sum = new AofChecksum()
      sum.add(damaged, 0, damaged.length)
      expect(sum.check(line)).toBe(ChecksumOutcome.Wrong)
    }
  })

  test('tells missing bytes, and bytes before it that no line stands for', () => {
    const line = readChecksumLine(lineOf(batch(RECORD)))!
    const sum = new AofChecksum()
    sum.add(RECORD, 1, RECORD.length)
    expect(sum.check(line)).toBe(ChecksumOutcome.Missing)
    sum.add(RECORD, 0, RECORD.length)
    expect(sum.check(line)).toBe(ChecksumOutcome.Partial)
    sum.restart(100)
    sum.add(RECORD, 0, RECORD.length)
    expect(sum.check(line)).toBe(ChecksumOutcome.Right)
    expect(sum.start).toBe(100)
  })

  test.each([
    '#TS:1700000000\r',
    '#CRC32:89abcdef:12',
    '#CRC32:89ABCDEF:12\r',
    '#CRC32:89abcde:12\r',
    '#CRC32:89abcdef:0\r',
    '#CRC32:89abcdef:-1\r',
    '# a comment\r',
  ])('is not %j', (text) => {
    expect(readChecksumLine(text)).toBeNull()
  })
})

test('a time is annotated as Redis does', () => {
  expect(timestampLine(1700000000).toString()).toBe('#TS:1700000000\r\n')
})

describe('the end of a batch behind damage', () => {
  const torn = Buffer.from('*2\r\n$9999\r\nINCR\r\n$1\r\na\r\n')

  test('is found by a batch that is whole', () => {
    const bytes = Buffer.concat([torn, batch(RECORD)])
    expect(findBatchEnd(bytes, 0, bytes.length, 1000, 500)).toBe(1000 + torn.length + RECORD.length)
  })

  test('is found by the line of the damaged batch itself', () => {
    const damaged = Buffer.concat([torn, batch(RECORD).subarray(RECORD.length)])
    const at = 1000 + torn.length
    expect(findBatchEnd(damaged, 0, damaged.length, 1000, at - RECORD.length)).toBe(at)
    expect(findBatchEnd(damaged, 0, damaged.length, 1000, at - RECORD.length - 1)).toBe(-1)
  })

  test('is not found in a write that was torn at any byte, nor in a value that looks like a line', () => {
    const whole = batch(RECORD)
    for (let length = 0; length < whole.length; length++) expect(findBatchEnd(whole, 0, length, 0, 0)).toBe(-1)
    const value = Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$99\r\n\r\n#CRC32:89abcdef:7\r\nabc')
    expect(findBatchEnd(value, 0, value.length, 0, 0)).toBe(-1)
  })
})
