/**
 * Payloads that lie: cut off, with bits changed, with lengths that no memory holds. Each is an error or a value, within
 * bounded time and memory, and nothing is left in the arena.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { RdbError } from '../../../src/persistence/rdb/rdb-error.ts'
import { RdbItem } from '../../../src/persistence/rdb/rdb-reader.ts'
import { restoreValue } from '../../../src/persistence/rdb/restore-value.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'
import {
  type Bytes,
  bytes,
  file,
  int64,
  intset,
  length,
  listpack,
  packedString,
  payload,
  readerOf,
  string,
  u16,
  u32,
  ziplist,
  zipString,
} from './reader-files.ts'
import { fill, leaked } from './reference-data.ts'

const RANDOM_PAYLOADS = 15_000
/** What one payload of some KB may take: a second is far beyond, even on a busy machine. */
const PAYLOAD_MS_MAX = 1000
/** Of the tests with many payloads, on a busy machine. */
const FUZZ_MS_MAX = 30_000

const keyspace = new Keyspace(1, 4711)
keyspace.now = 1_700_000_000_000

/** Restores a payload. Returns what was wrong with it, or null; the value, if any, is used once and freed. */
function probe(content: Buffer): string | null {
  const started = performance.now()
  const restored = restoreValue(keyspace, content, 0, content.length)
  if (!(restored instanceof RdbError)) {
    const db = keyspace.databases[0]!
    db.addText('key', restored.kind, restored.value)
    const { bytes: lost, blocks } = leaked(keyspace)
    if (lost !== 0 || blocks !== 0) throw new Error('Blocks belong to nobody')
    db.clear()
  }
  if (performance.now() - started > PAYLOAD_MS_MAX) throw new Error('It took too long')
  if (keyspace.arena.liveBlocks !== 0 || keyspace.arena.liveBytes !== 0) throw new Error('The arena is not empty')
  return restored instanceof RdbError ? restored.message : null
}

/** A generator of numbers below `limit`; the same for the same seed. */
function random(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

const huge = (bits: number): Buffer => bytes(0x81, int64(1n << BigInt(bits)).reverse())

const lies: readonly (readonly [string, number, Buffer])[] = [
  ['a string of 2^40 bytes', 0, huge(40)],
  ['a string of 2^62 bytes', 0, huge(62)],
  ['a compressed string that becomes 2^40 bytes', 0, bytes(0xc3, 4, huge(40), 'abcd')],
  ['a compressed string that becomes 100 times its size', 0, bytes(0xc3, 10, length(1000), 'abcdefghij')],
  ['a compressed string of 2^40 bytes', 0, bytes(0xc3, huge(40), 10)],
  ['a compressed string that becomes nothing', 0, bytes(0xc3, 2, 0, 0, 'a')],
  ['a compressed string that is none', 0, bytes(0xc3, 4, 20, 0xff, 0xff, 0xff, 0xff)],
  ['an unknown encoding of a string', 0, bytes(0xc4, 1)],
  ['an unknown encoding of a length', 0, bytes(0x82, 1, 2, 3, 4)],
  ...[1, 2, 3, 4, 5, 14, 15, 18, 19, 21, 22].map((type) => [`2^40 elements of type ${type}`, type, huge(40)] as const),
  ['2^31 elements of which there is one', 2, bytes(0x80, u32(0x80), string('a'))],
  ['an integer for a count', 1, bytes(0xc0, 1, string('a'))],
  ['a member of a set twice', 2, bytes(2, string('a'), string('a'))],
  ['an integer member of a set twice', 2, bytes(2, string('7'), 0xc0, 7)],
  ['a field of a hash twice', 4, bytes(2, string('a'), 1, string('a'), 1)],
  ['a member of a sorted set twice', 5, bytes(2, string('a'), Buffer.alloc(8), string('a'), Buffer.alloc(8))],
  ['a score that is not a number', 5, bytes(1, string('a'), Buffer.alloc(8, 0xff))],
  ['a score as text that is none', 3, bytes(1, string('a'), 3, '1x2')],
  ['an intset of 3-byte integers', 11, string(bytes(u32(3), u32(1), 'abc'))],
  ['an intset of 2^31 integers', 11, string(bytes(u32(2), u32(0x80000000), 'ab'))],
  ['an intset that does not ascend', 11, string(intset(2, [5n, 5n]))],
  ['a wide intset that does not ascend', 11, string(intset(8, [5n, 4n]))],
  ['an intset without a header', 11, string('abc')],
  ['a ziplist with another size', 10, string(bytes(u32(12), ziplist(zipString('a')).subarray(4)))],
  ['a ziplist without an end', 10, string(bytes(ziplist(zipString('a')).subarray(0, -1), 0))],
  ['a ziplist with another count', 10, string(bytes(u32(14), u32(10), u16(2), 0, zipString('a'), 255))],
  ['a ziplist with another tail', 10, string(bytes(u32(14), u32(11), u16(1), 0, zipString('a'), 255))],
  [
    'a ziplist entry with another length before it',
    10,
    string(bytes(u32(17), u32(13), u16(2), 0, zipString('a'), 4, zipString('b'), 255)),
  ],
  ['a ziplist entry that is longer than the list', 10, string(ziplist(bytes(0x80, 0x7f, 255, 255, 255)))],
  ['a ziplist entry of an unknown encoding', 10, string(ziplist(bytes(0xc1, 'ab')))],
  ['a ziplist integer that is cut off', 10, string(bytes(u32(13), u32(10), u16(1), 0, 0xe0, 255))],
  ['a listpack with another size', 16, string(bytes(u32(99), listpack(1, 2).subarray(4)))],
  ['a listpack with another count', 16, string(bytes(u32(11), u16(3), 1, 1, 2, 1, 255))],
  ['a listpack entry that is longer than the list', 16, string(bytes(u32(12), u16(1), 0xf0, u32(0x7fffffff)))],
  ['a listpack entry with another length behind it', 16, string(bytes(u32(11), u16(2), 1, 2, 2, 1, 255))],
  ['a listpack with an end in its middle', 16, string(bytes(u32(11), u16(2), 255, 1, 2, 1, 255))],
  ['a packed hash with a field without a value', 16, string(listpack(1, 2, 3))],
  ['a packed hash with a field twice', 16, string(listpack(1, 2, 1, 3))],
  ['a packed set with a member twice', 20, string(listpack(packedString('a'), packedString('a')))],
  ['a packed sorted set with a score that is none', 17, string(listpack(1, packedString('nan')))],
  ['a packed hash with a time that is none', 25, bytes(int64(0n), string(listpack(1, 2, packedString('x'))))],
  ['a zipmap with another count', 9, string(bytes(3, 1, 'a', 1, 0, 'b', 255))],
  ['a zipmap with a value that is longer than the map', 9, string(bytes(1, 1, 'a', 99, 0, 'b', 255))],
  ['a zipmap with a length of four bytes that are not there', 9, string(bytes(1, 1, 'a', 254, 1, 255))],
  ['a zipmap without fields', 9, string(bytes(0, 255))],
  ['a list node without bytes', 18, bytes(1, 1, 0)],
  ['a list node of an unknown kind', 18, bytes(1, 3, string('x'))],
  ['a stream block whose ID is too short', 15, bytes(1, string('short'), string('x'))],
  ['stream blocks out of order', 15, bytes(2, block(5n), block(4n))],
  [
    'a stream block of 2^31 entries',
    15,
    bytes(1, string(id(1n)), string(listpack(bytes(0xf3, u32(0x7fffffff)), 0, 1))),
  ],
  ['a stream with more entries than it has', 15, stream(2, 9)],
  ['a stream whose last ID is before its last entry', 15, stream(1, 0)],
  ['a stream with a group twice', 15, stream(1, 9, 2, group('g', 0, 0), group('g', 0, 0))],
  ['a stream with a consumer twice', 15, stream(1, 9, 1, group('g', 0, 2, consumer('c'), consumer('c')))],
  ['a pending entry without a consumer', 15, stream(1, 9, 1, group('g', 1, pending(1n), 0))],
  ['a pending entry twice', 15, stream(1, 9, 1, group('g', 2, pending(1n), pending(1n), 1, consumer('c', 1n)))],
  [
    'a pending entry of two consumers',
    15,
    stream(1, 9, 1, group('g', 1, pending(1n), 2, consumer('c', 1n), consumer('d', 1n))),
  ],
  ['a pending entry that the group does not have', 15, stream(1, 9, 1, group('g', 0, 1, consumer('c', 1n)))],
  ['2^40 pending entries', 15, stream(1, 9, 1, group('g', huge(40)))],
  ['2^40 groups', 15, stream(1, 9, huge(40))],
  ['entries read beyond 2^53', 19, bytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, string('g'), 0, 0, huge(60), 0, 0)],
  ['a value of a module', 7, bytes(0x81, int64(0n))],
]

describe('a payload that holds', () => {
  test.each(lies)('%s is refused', (_name, type, content) => {
    const before = process.memoryUsage().arrayBuffers
    expect(probe(payload(type, content))).toMatch(/, at offset \d+$/)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
  })
})

test('a stream that is whole is taken: the lies above are what is refused', () => {
  expect(probe(payload(15, stream(1, 9, 1, group('g', 1, pending(1n), 1, consumer('c', 1n)))))).toBeNull()
})

test('a file is refused wherever it is cut off', () => {
  const content = file(
    9,
    bytes(250, string('redis-ver'), string('7.0.15'), 254, 0, 251, 3, 1),
    bytes(252, int64(1n), 0, string('key'), string('value')),
    bytes(4, string('hash'), 2, string('a'), string('1'), string('b'), string('2')),
    bytes(15, string('stream'), stream(1, 9, 1, group('g', 1, pending(1n), 1, consumer('c', 1n)))),
  )
  for (let end = 0; end < content.length; end++) {
    const reader = readerOf(keyspace, content.subarray(0, end))
    const read = (): void => {
      for (let item = reader.next(); item !== RdbItem.End; item = reader.next()) {
        if (item === RdbItem.Key) keyspace.freeDetached(reader.kind, reader.value)
      }
    }
    expect(read).toThrow(RdbError)
    expect(keyspace.arena.liveBlocks).toBe(0)
  }
})

describe.skipIf(!hasRedisServer)('payloads of redis-server', () => {
  const payloads: Buffer[] = []
  beforeAll(async () => {
    const redis = await ServerProcess.redis()
    try {
      const client = await redis.connect()
      await fill(client)
      const keys = await client.call('KEYS', '*')
      if (!Array.isArray(keys)) throw new Error('No keys')
      for (const key of keys) {
        const dumped = Buffer.from(String(await client.call('DUMP', String(key))), 'latin1')
        if (dumped.length < 100_000) payloads.push(dumped)
      }
      client.close()
    } finally {
      await redis.dispose()
    }
  })

  test('are refused wherever they are cut off', { timeout: FUZZ_MS_MAX }, () => {
    for (const whole of payloads) {
      expect(probe(whole)).toBeNull()
      const step = Math.max(1, Math.floor(whole.length / 300))
      for (let end = 0; end < whole.length - 10; end += step) {
        if (probe(bytes(whole.subarray(0, end), Buffer.alloc(10))) === null) throw new Error(`Taken after ${end} bytes`)
      }
    }
  })

  test('are an error or a value when bits were changed, and nothing is left behind', { timeout: FUZZ_MS_MAX }, () => {
    const next = random(20_240_607)
    const bad = [0xff, 0x00, 0x7f, 0x80, 0xfe, 0xf0, 0xf4, 0x81, 0xc3]
    let refused = 0
    for (let round = 0; round < RANDOM_PAYLOADS; round++) {
      const changed = Buffer.from(payloads[next(payloads.length)]!)
      for (let changes = 1 + next(3); changes > 0; changes--) {
        const at = next(next(3) === 0 ? Math.min(40, changed.length - 10) : changed.length - 10)
        if (next(2) === 0) changed[at]! ^= 1 << next(8)
        else changed[at] = bad[next(bad.length)]!
      }
      if (probe(changed) !== null) refused++
    }
    expect(refused).toBeGreaterThan(RANDOM_PAYLOADS / 4)
  })
})

function id(ms: bigint): Buffer {
  const buffer = Buffer.alloc(16)
  buffer.writeBigUInt64BE(ms, 0)
  return buffer
}

function block(ms: bigint): Buffer {
  return bytes(string(id(ms)), string(listpack(1, 0, 1, packedString('f'), 0, 2, 0, 0, packedString('v'), 4)))
}

/** A stream of one entry, 1-0, with a length and a last ID of milliseconds. */
function stream(entries: number, lastMs: number, ...groups: readonly Bytes[]): Buffer {
  return bytes(1, block(1n), entries, lastMs, 0, ...(groups.length === 0 ? [0] : groups))
}

function group(name: string, ...rest: readonly Bytes[]): Buffer {
  return bytes(string(name), 0, 0, ...rest)
}

function pending(ms: bigint): Buffer {
  return bytes(id(ms), int64(5n), 1)
}

function consumer(name: string, ...owned: readonly bigint[]): Buffer {
  return bytes(string(name), int64(5n), owned.length, ...owned.map(id))
}
