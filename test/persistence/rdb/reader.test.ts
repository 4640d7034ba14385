/** Files of all versions, put together by hand: their encodings, attributes and records, and what is refused. */
import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openHash } from '../../../src/keyspace/hash-rows.ts'
import { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { RdbError } from '../../../src/persistence/rdb/rdb-error.ts'
import { RdbItem, RdbReader } from '../../../src/persistence/rdb/rdb-reader.ts'
import { FileSource } from '../../../src/persistence/rdb/rdb-source.ts'
import { NO_EXPIRE } from '../../../src/storage/expires.ts'
import { Element } from '../../../src/structures/element.ts'
import { HashView } from '../../../src/structures/hash-view.ts'
import { Kind } from '../../../src/structures/kind.ts'
import { Stream } from '../../../src/structures/stream.ts'
import { TestBroker } from '../../support/broker.ts'
import { temporaryDirectory } from '../../support/server-process.ts'
import {
  type Bytes,
  bytes,
  file,
  int64,
  intset,
  keyspaceOf,
  length,
  listpack,
  packedString,
  payload,
  readerOf,
  string,
  u32,
  ziplist,
  zipString,
} from './reader-files.ts'
import { leaked } from './reference-data.ts'

let brokers: TestBroker[] = []
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop()))
  brokers = []
})

/** Restores a value and replies what a command says of it. */
async function restored(type: number, value: Buffer, ...command: string[]): Promise<unknown> {
  const broker = await TestBroker.start()
  brokers.push(broker)
  const client = await broker.connect()
  const reply = await client.call('RESTORE', 'key', '0', payload(type, value).toString('latin1'))
  if (typeof reply === 'object' && reply !== null && 'error' in reply) return reply.error
  expect(leaked(broker.server.keyspace)).toEqual({ bytes: 0, blocks: 0 })
  return client.call(...command)
}

/** Reads a file to its end. Returns the error that ended it, or null. */
function problemOf(content: Buffer): string | null {
  const keyspace = new Keyspace(16, 4711)
  const reader = readerOf(keyspace, content)
  try {
    for (let item = reader.next(); item !== RdbItem.End; item = reader.next()) {
      if (item === RdbItem.Key) keyspace.freeDetached(reader.kind, reader.value)
    }
    return null
  } catch (error) {
    expect(keyspace.arena.liveBlocks).toBe(0)
    if (error instanceof RdbError) return error.message
    throw error
  }
}

describe('encodings of old versions', () => {
  const zipEntries = [zipString('a'), 0xf1, zipString('b'), bytes(0xfe, 0x80), zipString('c'), bytes(0xc0, 0, 0x80)]
  const moreEntries = [
    zipString('d'),
    bytes(0xf0, 0xff, 0xff, 0x7f),
    zipString('e'),
    bytes(0xd0, u32(0x80000000)),
    zipString('f'),
    bytes(0xe0, int64(9007199254740993n)),
  ]
  const longString = bytes(0x41, 0x2c, 'x'.repeat(300))
  const hugeString = bytes(0x80, 0, 1, 0, 0, 'y'.repeat(65536))
  const values = ['a', '0', 'b', '-128', 'c', '-32768', 'd', '8388607', 'e', '-2147483648', 'f', '9007199254740993']

  test('a ziplist has strings and integers of every width', async () => {
    const list = ziplist(...zipEntries, ...moreEntries, longString, hugeString, zipString('end'))
    const elements = [...values, 'x'.repeat(300), 'y'.repeat(65536), 'end']
    expect(await restored(10, string(list), 'LRANGE', 'key', '0', '-1')).toEqual(elements)
    expect(await restored(14, bytes(1, string(list)), 'LRANGE', 'key', '0', '-1')).toEqual(elements)
  })

  test('a hash may be a ziplist or a zipmap', async () => {
    expect(await restored(13, string(ziplist(...zipEntries, ...moreEntries)), 'HGETALL', 'key')).toEqual(values)
    const zipmap = bytes(2, 1, 'a', 2, 3, '12', '...', 254, u32(300), 'f'.repeat(300), 0, 0, 0xff)
    expect(await restored(9, string(zipmap), 'HGETALL', 'key')).toEqual(['a', '12', 'f'.repeat(300), ''])
  })

  test('a sorted set may be a ziplist, or have scores as text', async () => {
    const list = ziplist(zipString('a'), zipString('-inf'), zipString('b'), 0xf3, zipString('c'), zipString('2.25'))
    const members = ['a', '-inf', 'b', '2', 'c', '2.25']
    expect(await restored(12, string(list), 'ZRANGE', 'key', '0', '-1', 'WITHSCORES')).toEqual(members)
    const old = bytes(3, string('a'), 255, string('b'), 1, '2', string('c'), 4, '2.25')
    expect(await restored(3, old, 'ZRANGE', 'key', '0', '-1', 'WITHSCORES')).toEqual(members)
    expect(await restored(3, bytes(1, string('a'), 254), 'ZSCORE', 'key', 'a')).toBe('inf')
    expect(await restored(3, bytes(1, string('a'), 253), 'ZSCORE', 'key', 'a')).toBe('ERR Bad data format')
  })

  test('members of a packed sorted set that are out of order are sorted', async () => {
    const pack = listpack(packedString('b'), 5, packedString('c'), 1, packedString('a'), 5)
    expect(await restored(17, string(pack), 'ZRANGE', 'key', '0', '-1')).toEqual(['c', 'a', 'b'])
  })

  test('an intset has integers of every width, those beyond 2^53 too', async () => {
    expect(await restored(11, string(intset(2, [-5n, 7n])), 'SMEMBERS', 'key')).toEqual(['-5', '7'])
    expect(await restored(11, string(intset(4, [-70000n, 7n])), 'SMEMBERS', 'key')).toEqual(['-70000', '7'])
    expect(await restored(11, string(intset(8, [-5n, 2n ** 53n - 1n])), 'SMEMBERS', 'key')).toEqual([
      '-5',
      '9007199254740991',
    ])
    expect(await restored(11, string(intset(8, [-5n, 2n ** 53n + 1n])), 'SMEMBERS', 'key')).toEqual([
      '-5',
      '9007199254740993',
    ])
  })

  test('a listpack whose entries are not in the shortest form is read as what it says', async () => {
    // 5 as 16 bits, '7' as a string, 'a' with a length of 12 and of 32 bits.
    const entries = [
      bytes(0xf1, 5, 0),
      packedString('7'),
      bytes(0xe0, 1, 'a'),
      bytes(0xf0, u32(1), 'b'),
      bytes(0xc0, 9),
    ]
    const list = bytes(1, 2, string(listpack(...entries)))
    expect(await restored(18, list, 'LRANGE', 'key', '0', '-1')).toEqual(['5', '7', 'a', 'b', '9'])
    expect(await restored(20, string(listpack(...entries)), 'SMISMEMBER', 'key', '5', '7', 'a', 'b', '9')).toEqual([
      1, 1, 1, 1, 1,
    ])
    // Twice the same, in two forms.
    expect(await restored(20, string(listpack(bytes(0xf1, 5, 0), 5)), 'SCARD', 'key')).toBe('ERR Bad data format')
  })

  test('a plain node of a list is one element', async () => {
    const list = bytes(3, 2, string(listpack(1)), 1, string('x'.repeat(10000)), 1, string('12'))
    expect(await restored(18, list, 'LRANGE', 'key', '0', '-1')).toEqual(['1', 'x'.repeat(10000), '12'])
  })

  test('a stream of version 9 gets what later ones write: entries added, first ID, entries read', async () => {
    const block = listpack(1, 0, 1, packedString('f'), 0, 2, 0, 0, packedString('v'), 4)
    const id = bytes(int64(0x0100000000000000n), int64(0x0200000000000000n))
    const stream = bytes(1, string(id), string(block), 1, 1, 2, 1, string('group'), 1, 2, 0, 0)
    const info = await restored(15, stream, 'XINFO', 'STREAM', 'key')
    expect(info).toEqual(expect.arrayContaining(['entries-added', 1, 'recorded-first-entry-id', '1-2']))
    expect(await restored(15, stream, 'XINFO', 'GROUPS', 'key')).toEqual([
      expect.arrayContaining(['entries-read', 1, 'lag', 0]),
    ])
  })
})

describe('hashes whose fields have expire times', () => {
  const now = 1_700_000_000_000
  const fields = [
    [0, 'stays', '1'],
    [now + 5000, 'lives', '2'],
    [now - 5, 'over', '3'],
  ] as const

  function timesOf(content: Buffer): [string, string, number][] {
    const keyspace = new Keyspace(16, 4711)
    keyspace.now = now
    const reader = readerOf(keyspace, content)
    expect(reader.next()).toBe(RdbItem.Key)
    const { kind, value, timedFields } = reader
    expect({ kind, timedFields }).toEqual({ kind: Kind.HashTimed, timedFields: 2 })
    const db = keyspace.databases[0]!
    const row = db.addLoaded(Buffer.from('k'), 0, 1, kind, value)
    expect([db.fieldExpires.size, db.fieldExpires.firstTime()]).toEqual([1, now - 5])
    const hash = new HashView(keyspace.arena, 1)
    openHash(db, row, hash)
    expect([hash.size(), hash.visibleSize()]).toEqual([3, 2])
    hash.showAll()
    const pairs: [string, string, number][] = []
    const cursor = hash.walk()
    const field = new Element()
    const element = new Element()
    while (cursor.advance(field, element)) pairs.push([field.text(), element.text(), cursor.time()])
    db.remove(row)
    expect([keyspace.arena.liveBlocks, db.fieldExpires.size]).toEqual([0, 0])
    return pairs
  }

  test.each([
    [
      '24',
      file(
        12,
        24,
        string('k'),
        int64(BigInt(now - 5)),
        3,
        ...fields.map(([at, field, value]) =>
          bytes(wide(at === 0 ? 0 : at - (now - 5) + 1), string(field), string(value)),
        ),
      ),
    ],
    [
      '22',
      file(
        12,
        22,
        string('k'),
        3,
        ...fields.map(([at, field, value]) => bytes(wide(at), string(field), string(value))),
      ),
    ],
    ['25', file(12, 25, string('k'), int64(BigInt(now - 5)), string(packed()))],
    ['23', file(12, 23, string('k'), string(packed()))],
  ])('of type %s keep their times, those included that are over', (_type, content) => {
    expect(timesOf(content)).toEqual([
      ['stays', '1', NO_EXPIRE],
      ['lives', '2', now + 5000],
      ['over', '3', now - 5],
    ])
  })

  function packed(): Buffer {
    return listpack(
      ...fields.flatMap(([at, field, value]): Bytes[] => [
        packedString(field),
        Number(value),
        at === 0 ? 0 : bytes(0xf4, int64(BigInt(at))),
      ]),
    )
  }

  function wide(value: number): Buffer {
    const buffer = Buffer.alloc(9, 0x81)
    buffer.writeBigUInt64BE(BigInt(value), 1)
    return buffer
  }

  test('are refused with a time that is none', () => {
    for (const time of [2 ** 48 - 1, 2 ** 52]) {
      const content = file(12, 22, string('k'), 1, wide(time), string('f'), string('v'))
      const reader = readerOf(keyspaceOf(file(12)), content)
      expect(() => reader.next()).toThrow(`Expected an expire time, found ${time}`)
    }
  })
})

describe('records', () => {
  test('tell databases, hints, AUX fields and functions, and where they stand', () => {
    const content = file(
      11,
      bytes(250, string('redis-ver'), string('7.2.4')),
      bytes(250, string('ctime'), 0xc2, u32(1700000000)),
      bytes(245, string('#!lua name=f')),
      bytes(254, 3, 251, 2, length(70)),
      bytes(244, 1, 2, 3, 252, int64(1_800_000_000_123n), 249, 7, 0, string('key'), 0xc0, 5),
      bytes(253, u32(1_800_000_000), 248, length(100), 0, string('k2'), string('text')),
    )
    const keyspace = new Keyspace(16, 1)
    const reader = readerOf(keyspace, content)
    expect([reader.next(), reader.auxName, reader.auxValue]).toEqual([RdbItem.Aux, 'redis-ver', '7.2.4'])
    expect([reader.version, reader.recordStart]).toEqual([11, 9])
    expect([reader.next(), reader.auxName, reader.auxValue]).toEqual([RdbItem.Aux, 'ctime', '1700000000'])
    expect([reader.next(), reader.functionCode]).toEqual([RdbItem.Function, '#!lua name=f'])
    expect([reader.next(), reader.dbIndex]).toEqual([RdbItem.Database, 3])
    expect([reader.next(), reader.keysHint, reader.expiresHint]).toEqual([RdbItem.Resize, 2, 2])
    expect([reader.next(), reader.kind, reader.value]).toEqual([RdbItem.Key, Kind.StringInteger, 5])
    expect([reader.expireMs, reader.frequency, reader.idleSeconds]).toEqual([1_800_000_000_123, 7, -1])
    expect(reader.keyBuffer.latin1Slice(reader.keyStart, reader.keyStart + reader.keyLength)).toBe('key')
    expect([reader.next(), reader.kind, keyspace.arena.text(reader.value)]).toEqual([
      RdbItem.Key,
      Kind.StringBytes,
      'text',
    ])
    expect([reader.expireMs, reader.frequency, reader.idleSeconds]).toEqual([1_800_000_000_000, -1, 100])
    expect(reader.recordEnd).toBe(content.length - 9)
    expect([reader.next(), reader.bytesRead]).toEqual([RdbItem.End, content.length])
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])('of version %i are read, with a checksum from 5 on', (version) => {
    const content = file(version, 0, string('key'), string('value'))
    expect(keyspaceOf(content).databases[0]!.findText('key')).toBe(0)
    if (version >= 5) {
      content[content.length - 1]! ^= 1
      expect(problemOf(content)).toMatch(
        /^CRC error: expected checksum [0-9a-f]{16}, found [0-9a-f]{16}, at offset \d+$/,
      )
      content.fill(0, content.length - 8)
      expect(problemOf(content)).toBeNull()
    }
  })

  test('active times of consumers stand before the stream', () => {
    const block = listpack(1, 0, 1, packedString('f'), 0, 2, 0, 0, packedString('v'), 4)
    const id = bytes(int64(0n), int64(0n))
    const consumers = bytes(2, string('a'), int64(1n), 0, string('b'), int64(2n), 0)
    const stream = bytes(1, string(id), string(block), 1, 1, 2, 0, 0, 0, 0, 1, 1, string('g'), 0, 0, 0, 0, consumers)
    const aux = (times: Buffer): Buffer => bytes(250, string('millrace-active-times'), string(times))
    const content = file(10, aux(bytes(int64(77n), int64(-1n))), 19, string('key'), stream)
    const loaded = keyspaceOf(content).databases[0]!.object(0)
    if (!(loaded instanceof Stream)) throw new Error('No stream')
    const times = loaded.groups[0]!.consumers.map(({ name, seenTime, activeTime }) => [name, seenTime, activeTime])
    expect(times).toEqual([
      ['a', 1, 77],
      ['b', 2, -1],
    ])
    expect(problemOf(file(10, aux(int64(77n)), 19, string('key'), stream))).toMatch(/^Expected 2 active times/)
    expect(problemOf(file(10, aux(int64(77n)), 0, string('key'), string('x')))).toMatch(/^Expected a stream behind/)
  })

  test.each([
    ['no file of Redis', bytes('REDIX0009', 255), "Expected 'REDIS' and a version, at offset 0"],
    ['an empty file', bytes(''), "Expected 'REDIS' and a version, found 0 bytes, at offset 0"],
    ['a version to come', bytes('REDIS0013', 255), "Expected a version from 1 to 12, found '0013', at offset 0"],
    [
      'data of a module',
      file(9, 247, moduleId('ReJSON-RL')),
      "Expected no data of a module, found some of 'ReJSON-RL', at offset 19",
    ],
    [
      'a value of a module',
      file(9, 7, string('k'), moduleId('ReJSON-RL')),
      "Expected no value of a module, found one of 'ReJSON-RL', at offset 21",
    ],
    [
      'functions of a release candidate',
      file(10, 246),
      'Expected functions as Redis 7.0 writes them, found those of a release candidate, at offset 10',
    ],
    ['an unknown opcode', file(10, 243, string('k')), 'Expected the type of a value, found 243, at offset 12'],
    ['a type that is none', file(9, 8, string('k'), 1), 'Expected the type of a value, found 8, at offset 12'],
  ])('%s is refused', (_name, content, problem) => {
    expect(problemOf(content)).toBe(problem)
  })

  function moduleId(name: string): Buffer {
    const chars = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    let id = 0n
    for (const char of name) id = (id << 6n) | BigInt(chars.indexOf(char))
    const buffer = Buffer.alloc(9, 0x81)
    buffer.writeBigUInt64BE(id << 10n, 1)
    return buffer
  }
})

describe('long values', () => {
  test('come in parts, and the key stays readable while the window moves on', () => {
    const path = join(temporaryDirectory(), 'dump.rdb')
    const member = (i: number): Buffer => string(`member ${String(i).padStart(90, '.')}`)
    const members = Array.from({ length: 40_000 }, (_, i) => member(i))
    const big = 'z'.repeat(5_000_000)
    writeFileSync(
      path,
      file(9, 2, string('the key'), length(members.length), ...members, 0, string('long'), string(big)),
    )
    const fd = openSync(path, 'r')
    const keyspace = new Keyspace(16, 1)
    const reader = new RdbReader(keyspace, new FileSource(fd, 0, fstatSync(fd).size), { checksums: true })
    let parts = 0
    while (reader.next() === RdbItem.BigInProgress) parts++
    expect(parts).toBeGreaterThan(10)
    expect(reader.keyBuffer.latin1Slice(reader.keyStart, reader.keyStart + reader.keyLength)).toBe('the key')
    expect(keyspace.arena.liveBlocks).toBe(40_000)
    keyspace.freeDetached(reader.kind, reader.value)
    expect([reader.next(), reader.kind]).toEqual([RdbItem.Key, Kind.StringBytes])
    expect(keyspace.arena.text(reader.value)).toBe(big)
    expect(reader.next()).toBe(RdbItem.End)
    closeSync(fd)
  })

  test('that are left in the middle are freed', () => {
    const members = Array.from({ length: 40_000 }, (_, i) => string(`member number ${i}`))
    const keyspace = new Keyspace(16, 1)
    const reader = readerOf(keyspace, file(9, 2, string('key'), length(members.length), ...members))
    expect(reader.next()).toBe(RdbItem.BigInProgress)
    expect(keyspace.arena.liveBlocks).toBeGreaterThan(1000)
    reader.close()
    expect([keyspace.arena.liveBlocks, keyspace.arena.liveBytes]).toEqual([0, 0])
  })
})
