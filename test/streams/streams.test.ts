/** Streams on the wire: adding, reading ranges, deleting, trimming, and what XINFO and XSETID say. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

const MAX = '18446744073709551615'
const INVALID_ID = { error: 'ERR Invalid stream ID specified as stream command argument' }
const WRONGTYPE = { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' }

let broker: TestBroker
let client: RespClient
let clock: TestClock

beforeAll(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  client = await broker.connect()
})
afterAll(() => broker.stop())
beforeEach(async () => {
  await client.call('FLUSHALL')
  await client.call('SET', 'string', 'x')
})

function call(line: string): Promise<Reply> {
  return client.call(...line.split(' '))
}

async function add(key: string, ...ids: string[]): Promise<void> {
  for (const id of ids) expect(await client.call('XADD', key, id, 'f', id)).toBe(id)
}

/** What a RESP2 flat array holds under `name`. */
function field(reply: Reply, name: string): Reply {
  if (!Array.isArray(reply)) throw new Error(`No array: ${JSON.stringify(reply)}`)
  return reply[reply.indexOf(name) + 1]!
}

describe('XADD', () => {
  it('gives IDs from the clock and counts on within a millisecond, also when the clock goes back', async () => {
    const start = clock.nowMs
    expect(await call('XADD s * a 1')).toBe(`${start}-0`)
    expect(await call('XADD s * a 2')).toBe(`${start}-1`)
    clock.nowMs = start - 5000
    expect(await call('XADD s * a 3')).toBe(`${start}-2`)
    clock.nowMs = start + 1
    expect(await call('XADD s * a 4')).toBe(`${start + 1}-0`)
    expect(await call('XLEN s')).toBe(4)
  })

  it('accepts ms-* and refuses it when the sequence of that millisecond is used up', async () => {
    expect(await call('XADD s 0-* a 1')).toBe('0-1')
    expect(await call('XADD s 5-* a 1')).toBe('5-0')
    expect(await call('XADD s 5-* a 1')).toBe('5-1')
    expect(await call('XADD s 4-* a 1')).toEqual({
      error: 'ERR The ID specified in XADD is equal or smaller than the target stream top item',
    })
    await call(`XADD s 6-${MAX} a 1`)
    expect(await call('XADD s 6-* a 1')).toEqual({
      error: 'ERR The ID specified in XADD is equal or smaller than the target stream top item',
    })
  })

  it('keeps IDs and integer values exact up to 2^64 and 2^63', async () => {
    expect(await call('XADD s 9007199254740993-9007199254740995 a 9223372036854775807')).toBe(
      '9007199254740993-9007199254740995',
    )
    expect(await call('XADD s 9007199254740994-1 a -9223372036854775808')).toBe('9007199254740994-1')
    expect(await call(`XADD s ${MAX}-${MAX} a 9007199254740993`)).toBe(`${MAX}-${MAX}`)
    expect(await call('XRANGE s - +')).toEqual([
      ['9007199254740993-9007199254740995', ['a', '9223372036854775807']],
      ['9007199254740994-1', ['a', '-9223372036854775808']],
      [`${MAX}-${MAX}`, ['a', '9007199254740993']],
    ])
    expect(await call('XADD s * a 1')).toEqual({
      error: 'ERR The stream has exhausted the last possible ID, unable to add more items',
    })
  })

  it('checks options, arity, ID 0-0 and type in this order, and creates no key on an error', async () => {
    expect(await call('XADD string MAXLEN 1 MINID 2 * a')).toEqual({
      error: 'ERR syntax error, MAXLEN and MINID options at the same time are not compatible',
    })
    expect(await call('XADD string LIMIT 5 * a')).toEqual({
      error: 'ERR syntax error, LIMIT cannot be used without specifying a trimming strategy',
    })
    expect(await call('XADD string MAXLEN 5 LIMIT 5 * a')).toEqual({
      error: 'ERR syntax error, LIMIT cannot be used without the special ~ option',
    })
    expect(await call('XADD string MAXLEN -5 * a b')).toEqual({ error: 'ERR The MAXLEN argument must be >= 0.' })
    expect(await call('XADD string MAXLEN ~ 5 LIMIT -1 * a b')).toEqual({
      error: 'ERR The LIMIT argument must be >= 0.',
    })
    expect(await call('XADD string x a b')).toEqual(INVALID_ID)
    expect(await call('XADD string 0-0 a b c')).toEqual({ error: "ERR wrong number of arguments for 'xadd' command" })
    expect(await call('XADD string 0-0 a b')).toEqual({
      error: 'ERR The ID specified in XADD must be greater than 0-0',
    })
    expect(await call('XADD string * a b')).toEqual(WRONGTYPE)
    expect(await call('XADD new 0-0 a b')).toEqual({ error: 'ERR The ID specified in XADD must be greater than 0-0' })
    expect(await call('EXISTS new')).toBe(0)
  })

  it('replies null with NOMKSTREAM for a missing key', async () => {
    expect(await call('XADD s NOMKSTREAM * a b')).toBe(null)
    expect(await call('EXISTS s')).toBe(0)
    await call('XADD s 1-1 a b')
    expect(await call('XADD s NOMKSTREAM 2-1 a b')).toBe('2-1')
  })

  it('trims exactly, and approximately only by whole blocks of stream-node-max-entries', async () => {
    const limits = broker.server.keyspace.limits
    limits.streamNodeMaxEntries = 10
    for (let i = 1; i <= 35; i++) await call(`XADD s ${i} f v`)
    await call('XADD s MAXLEN ~ 25 36 f v')
    expect(await call('XLEN s')).toBe(26)
    await call('XADD s MINID ~ 15 37 f v')
    expect(await call('XLEN s')).toBe(27)
    await call('XADD s MAXLEN ~ 0 LIMIT 9 38 f v')
    expect(await call('XLEN s')).toBe(28)
    await call('XADD s MAXLEN = 3 39 f v')
    expect(await call('XRANGE s - +')).toEqual(['37-0', '38-0', '39-0'].map((id) => [id, ['f', 'v']]))
    await call('XADD s MINID 39 40 f v')
    expect(await call('XLEN s')).toBe(2)
    limits.streamNodeMaxEntries = 100
  })
})

describe('XRANGE and XREVRANGE', () => {
  it('read intervals with incomplete, open and special ends', async () => {
    await add('s', '1-0', '1-5', '2-0', '3-0')
    const ids = async (line: string) => ((await call(line)) as [string, string[]][]).map(([id]) => id)
    expect(await ids('XRANGE s 1 1')).toEqual(['1-0', '1-5'])
    expect(await ids('XRANGE s (1-0 (3-0')).toEqual(['1-5', '2-0'])
    expect(await ids('XRANGE s (1 +')).toEqual(['1-5', '2-0', '3-0'])
    expect(await ids('XREVRANGE s + (1-5')).toEqual(['3-0', '2-0'])
    expect(await ids('XREVRANGE s (3-0 (1-0')).toEqual(['2-0', '1-5'])
    // The end 3 stands for the last ID of that millisecond, which alone is excluded.
    expect(await ids('XREVRANGE s (3 3')).toEqual(['3-0'])
    expect(await ids('XRANGE s + -')).toEqual([])
    expect(await ids('XREVRANGE s + - COUNT 2')).toEqual(['3-0', '2-0'])
    expect(await call('XRANGE s - + COUNT 0')).toBe(null)
    expect(await call('XRANGE s - + COUNT -1')).toBe(null)
    expect(await call('XRANGE none - + COUNT 0')).toEqual([])
  })

  it('check IDs and options before the key', async () => {
    expect(await call('XRANGE string x +')).toEqual(INVALID_ID)
    expect(await call('XRANGE string - (+')).toEqual(INVALID_ID)
    expect(await call(`XRANGE string (${MAX}-${MAX} +`)).toEqual({ error: 'ERR invalid start ID for the interval' })
    expect(await call('XRANGE string - (0-0')).toEqual({ error: 'ERR invalid end ID for the interval' })
    expect(await call('XRANGE string - + LIMIT 1')).toEqual({ error: 'ERR syntax error' })
    expect(await call('XRANGE string - + COUNT')).toEqual({ error: 'ERR syntax error' })
    expect(await call('XRANGE string - + COUNT x')).toEqual({
      error: 'ERR value is not an integer or out of range',
    })
    expect(await call('XRANGE string - +')).toEqual(WRONGTYPE)
  })
})

describe('XDEL and XTRIM', () => {
  it('delete entries and keep the last ID', async () => {
    await add('s', '1-0', '2-0', '3-0')
    expect(await call('XDEL s 2-0 2-0 9-9')).toBe(1)
    expect(await call('XDEL s 1-0 3-0')).toBe(2)
    expect(await call('XLEN s')).toBe(0)
    expect(await call('EXISTS s')).toBe(1)
    expect(await call('XADD s 3-0 a b')).toEqual({
      error: 'ERR The ID specified in XADD is equal or smaller than the target stream top item',
    })
    const info = await call('XINFO STREAM s')
    expect(field(info, 'last-generated-id')).toBe('3-0')
    expect(field(info, 'max-deleted-entry-id')).toBe('3-0')
    expect(field(info, 'entries-added')).toBe(3)
    expect(field(info, 'recorded-first-entry-id')).toBe('0-0')
    expect(field(info, 'first-entry')).toBe(null)
  })

  it('XDEL deletes nothing when one ID is malformed, and replies 0 for a missing key before it reads IDs', async () => {
    await add('s', '1-0')
    expect(await call('XDEL s 1-0 x')).toEqual(INVALID_ID)
    expect(await call('XLEN s')).toBe(1)
    expect(await call('XDEL none x')).toBe(0)
    expect(await call('XDEL string x')).toEqual(WRONGTYPE)
  })

  it('XTRIM replies how many it removed and insists on a strategy', async () => {
    await add('s', '1-0', '2-0', '3-0')
    expect(await call('XTRIM s MAXLEN 5')).toBe(0)
    expect(await call('XTRIM s MINID = 2')).toBe(1)
    expect(await call('XTRIM s MAXLEN 0')).toBe(2)
    expect(await call('XTRIM none MAXLEN 0')).toBe(0)
    expect(await call('XTRIM s LIMIT 0')).toEqual({
      error: 'ERR syntax error, XTRIM must be called with a trimming strategy',
    })
    expect(await call('XTRIM s FOO 0')).toEqual({ error: 'ERR syntax error' })
  })
})

describe('XSETID', () => {
  it('sets what the stream knows besides its entries, unless the entries say otherwise', async () => {
    await add('s', '1-0', '2-0')
    expect(await call('XSETID s 1-0')).toEqual({
      error: 'ERR The ID specified in XSETID is smaller than the target stream top item',
    })
    expect(await call('XSETID s 5-0 ENTRIESADDED 1')).toEqual({
      error: 'ERR The entries_added specified in XSETID is smaller than the target stream length',
    })
    expect(await call('XSETID s 5-0 ENTRIESADDED -1')).toEqual({ error: 'ERR entries_added must be positive' })
    expect(await call('XSETID s 5-0 MAXDELETEDID 6-0')).toEqual({
      error: 'ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id',
    })
    expect(await call('XSETID s 5-0 MORE')).toEqual({ error: 'ERR syntax error' })
    expect(await call('XSETID s 5-0 ENTRIESADDED 100 MAXDELETEDID 4-0')).toEqual({ status: 'OK' })
    const info = await call('XINFO STREAM s')
    expect(field(info, 'last-generated-id')).toBe('5-0')
    expect(field(info, 'max-deleted-entry-id')).toBe('4-0')
    expect(field(info, 'entries-added')).toBe(100)
    expect(await call('XSETID s 3-0')).toEqual({
      error: 'ERR The ID specified in XSETID is smaller than current max_deleted_entry_id',
    })
    expect(await call('XSETID none 3-0')).toEqual({ error: 'ERR no such key' })
    expect(await call('XSETID string 3-0')).toEqual(WRONGTYPE)
  })
})

describe('XINFO', () => {
  it('STREAM replies a flat array in RESP2 and maps in RESP3', async () => {
    await add('s', '1-0', '2-0')
    await call('XGROUP CREATE s g 0')
    expect(await call('XINFO STREAM s')).toEqual([
      ...['length', 2, 'radix-tree-keys', 1, 'radix-tree-nodes', 2, 'last-generated-id', '2-0'],
      ...['max-deleted-entry-id', '0-0', 'entries-added', 2, 'recorded-first-entry-id', '1-0', 'groups', 1],
      ...['first-entry', ['1-0', ['f', '1-0']], 'last-entry', ['2-0', ['f', '2-0']]],
    ])
    await call('XREADGROUP GROUP g c COUNT 1 STREAMS s >')
    const modern = await broker.connect()
    await modern.call('HELLO', '3')
    const full = await modern.call('XINFO', 'STREAM', 's', 'FULL', 'COUNT', '1')
    const now = clock.nowMs
    expect(full).toEqual({
      map: [
        ['length', 2],
        ['radix-tree-keys', 1],
        ['radix-tree-nodes', 2],
        ['last-generated-id', '2-0'],
        ['max-deleted-entry-id', '0-0'],
        ['entries-added', 2],
        ['recorded-first-entry-id', '1-0'],
        ['entries', [['1-0', ['f', '1-0']]]],
        [
          'groups',
          [
            {
              map: [
                ['name', 'g'],
                ['last-delivered-id', '1-0'],
                ['entries-read', 1],
                ['lag', 1],
                ['pel-count', 1],
                ['pending', [['1-0', 'c', now, 1]]],
                [
                  'consumers',
                  [
                    {
                      map: [
                        ['name', 'c'],
                        ['seen-time', now],
                        ['active-time', now],
                        ['pel-count', 1],
                        ['pending', [['1-0', now, 1]]],
                      ],
                    },
                  ],
                ],
              ],
            },
          ],
        ],
      ],
    })
  })

  it('GROUPS and CONSUMERS list in the order of names, with null for an unknown counter', async () => {
    await add('s', '1-0', '2-0')
    await call('XGROUP CREATE s b 1-0')
    await call('XGROUP CREATE s a 0 ENTRIESREAD 0')
    expect(await call('XINFO GROUPS s')).toEqual([
      ['name', 'a', 'consumers', 0, 'pending', 0, 'last-delivered-id', '0-0', 'entries-read', 0, 'lag', 2],
      ['name', 'b', 'consumers', 0, 'pending', 0, 'last-delivered-id', '1-0', 'entries-read', null, 'lag', 1],
    ])
    await call('XGROUP CREATECONSUMER s a c')
    clock.pass(7)
    expect(await call('XINFO CONSUMERS s a')).toEqual([['name', 'c', 'pending', 0, 'idle', 7, 'inactive', -1]])
    expect(await call('XINFO CONSUMERS s x')).toEqual({
      error: "NOGROUP No such consumer group 'x' for key name 's'",
    })
    expect(await call('XINFO GROUPS none')).toEqual({ error: 'ERR no such key' })
    expect(await call('XINFO STREAM s FULL LIMIT 1')).toEqual({
      error: "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
    })
    expect(await call('XINFO STREAM')).toEqual({ error: "ERR wrong number of arguments for 'xinfo|stream' command" })
  })
})

describe('XREAD with +', () => {
  it('replies the last entry, and what comes behind it when it waits', async () => {
    await add('s', '1-0', '2-0', '3-0')
    expect(await call('XREAD STREAMS s +')).toEqual([['s', [['3-0', ['f', '3-0']]]]])
    await call('XDEL s 3-0')
    expect(await call('XREAD COUNT 5 STREAMS s none + +')).toEqual([['s', [['2-0', ['f', '2-0']]]]])
    expect(await call('XREAD STREAMS none +')).toBe(null)
    const reader = await broker.connect()
    const waiting = reader.call('XREAD', 'BLOCK', '0', 'STREAMS', 'new', '+')
    await expect.poll(() => broker.server.blocking.count).toBe(1)
    await add('new', '1-0')
    expect(await waiting).toEqual([['new', [['1-0', ['f', '1-0']]]]])
    await add('new', '2-0')
  })

  it('has no meaning for XREADGROUP', async () => {
    await call('XGROUP CREATE s g 0 MKSTREAM')
    expect(await call('XREADGROUP GROUP g c STREAMS s +')).toEqual({
      error:
        'ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.',
    })
  })
})
