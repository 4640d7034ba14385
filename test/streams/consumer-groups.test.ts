/** Consumer groups on the wire: delivery, acknowledging, claiming, blocking. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

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
  for (let i = 1; i <= 5; i++) await call(`XADD s ${i} f ${i}`)
  await call('XGROUP CREATE s g 0')
})

function call(line: string): Promise<Reply> {
  return client.call(...line.split(' '))
}

function entry(n: number): Reply {
  return [`${n}-0`, ['f', String(n)]]
}

/** Resolves when a client waits for a key. */
async function someoneWaits(): Promise<void> {
  while (broker.server.keyspace.databases[0]?.blocked.size === 0) await call('PING')
}

async function pendingIds(): Promise<Reply[]> {
  return ((await call('XPENDING s g - + 100')) as [string, string, number, number][]).map(([id, owner, , count]) => [
    id,
    owner,
    count,
  ])
}

describe('XREADGROUP', () => {
  it('delivers each entry to one consumer and repeats what is pending for an ID', async () => {
    expect(await call('XREADGROUP GROUP g a COUNT 2 STREAMS s >')).toEqual([['s', [entry(1), entry(2)]]])
    expect(await call('XREADGROUP GROUP g b COUNT 1 STREAMS s >')).toEqual([['s', [entry(3)]]])
    expect(await call('XREADGROUP GROUP g b STREAMS s >')).toEqual([['s', [entry(4), entry(5)]]])
    expect(await call('XREADGROUP GROUP g b STREAMS s >')).toBe(null)
    expect(await call('XREADGROUP GROUP g a STREAMS s 1')).toEqual([['s', [entry(2)]]])
    expect(await call('XREADGROUP GROUP g c STREAMS s 0')).toEqual([['s', []]])
    await call('XDEL s 2')
    expect(await call('XREADGROUP GROUP g a STREAMS s 0')).toEqual([['s', [entry(1), ['2-0', null]]]])
    expect(await pendingIds()).toEqual([
      ['1-0', 'a', 2],
      ['2-0', 'a', 2],
      ['3-0', 'b', 1],
      ['4-0', 'b', 1],
      ['5-0', 'b', 1],
    ])
  })

  it('takes entries over from their owner after XGROUP SETID', async () => {
    await call('XREADGROUP GROUP g a COUNT 2 STREAMS s >')
    await call('XGROUP SETID s g 0')
    await call('XREADGROUP GROUP g b COUNT 1 STREAMS s >')
    expect(await pendingIds()).toEqual([
      ['1-0', 'b', 1],
      ['2-0', 'a', 1],
    ])
  })

  it('makes nothing pending with NOACK', async () => {
    expect(await call('XREADGROUP GROUP g a NOACK COUNT 2 STREAMS s >')).toEqual([['s', [entry(1), entry(2)]]])
    expect(await call('XPENDING s g')).toEqual([0, null, null, null])
    expect(await call('XREADGROUP GROUP g a STREAMS s >')).toEqual([['s', [entry(3), entry(4), entry(5)]]])
  })

  it('replies a map of the streams that have something in RESP3', async () => {
    const modern = await broker.connect()
    await modern.call('HELLO', '3')
    await call('XADD t 1 a b')
    await call('XGROUP CREATE t g $')
    const read = ['XREADGROUP', 'GROUP', 'g', 'a', 'COUNT', '1', 'STREAMS', 't', 's', '>', '>']
    expect(await modern.call(...read)).toEqual({ map: [['s', [entry(1)]]] })
    expect(await modern.call('XREAD', 'COUNT', '1', 'STREAMS', 't', 's', '0', '4')).toEqual({
      map: [
        ['t', [['1-0', ['a', 'b']]]],
        ['s', [entry(5)]],
      ],
    })
  })

  it('checks options, then for each stream type, group and ID', async () => {
    expect(await call('XREADGROUP GROUP g a STREAMS s')).toEqual({
      error: "ERR wrong number of arguments for 'xreadgroup' command",
    })
    expect(await call('XREADGROUP GROUP g a STREAMS s t >')).toEqual({
      error: "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    })
    expect(await call('XREAD STREAMS s t $')).toEqual({
      error: "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    })
    expect(await call('XREADGROUP COUNT 1 NOACK STREAMS s >')).toEqual({
      error: 'ERR Missing GROUP option for XREADGROUP',
    })
    expect(await call('XREAD GROUP g a STREAMS s 0')).toEqual({
      error: 'ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.',
    })
    expect(await call('XREADGROUP GROUP g a BLOCK -1 STREAMS s >')).toEqual({ error: 'ERR timeout is negative' })
    expect(await call('XREADGROUP GROUP g a STREAMS string x')).toEqual(WRONGTYPE)
    expect(await call('XREADGROUP GROUP x a STREAMS s y')).toEqual({
      error: "NOGROUP No such key 's' or consumer group 'x' in XREADGROUP with GROUP option",
    })
    expect(await call('XREADGROUP GROUP g a STREAMS s y')).toEqual(INVALID_ID)
    expect(await call('XREAD STREAMS s -')).toEqual(INVALID_ID)
    expect(((await call('XREADGROUP GROUP g a STREAMS s $')) as { error: string }).error).toMatch(
      /^ERR The \$ ID is meaningless in the context of XREADGROUP/,
    )
    expect(await call('XREAD STREAMS s >')).toEqual({
      error: 'ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.',
    })
  })
})

describe('a blocked reader', () => {
  it('gets what is added after it blocked with $, each of several', async () => {
    const readers = [await broker.connect(), await broker.connect()]
    const replies = readers.map((reader) => reader.call('XREAD', 'BLOCK', '0', 'STREAMS', 'new', 's', '$', '$'))
    await someoneWaits()
    await client.call('MULTI')
    await call('XADD s 6 f 6')
    await call('XADD s 7 f 7')
    await client.call('EXEC')
    for (const reply of replies) expect(await reply).toEqual([['s', [entry(6), entry(7)]]])
  })

  it('of a group gets an entry alone, the next one the next entry', async () => {
    await call('XGROUP SETID s g $')
    const first = await broker.connect()
    const second = await broker.connect()
    const replies = [first.call('XREADGROUP', 'GROUP', 'g', 'a', 'BLOCK', '0', 'STREAMS', 's', '>')]
    await someoneWaits()
    replies.push(second.call('XREADGROUP', 'GROUP', 'g', 'b', 'BLOCK', '0', 'STREAMS', 's', '>'))
    while (!broker.server.keyspace.databases[0]!.blocked.waiting('s')[1]) await call('PING')
    await call('XADD s 6 f 6')
    expect(await replies[0]).toEqual([['s', [entry(6)]]])
    await call('XADD s 7 f 7')
    expect(await replies[1]).toEqual([['s', [entry(7)]]])
    expect(await pendingIds()).toEqual([
      ['6-0', 'a', 1],
      ['7-0', 'b', 1],
    ])
  })

  it('of a group is told when the group or the key goes, or the key changes its type', async () => {
    const noStream = { error: 'UNBLOCKED the stream key no longer exists' }
    const cases: [string, Reply][] = [
      ['XGROUP DESTROY s g', { error: 'NOGROUP the consumer group this client was blocked on no longer exists' }],
      ['DEL s', noStream],
      ['FLUSHALL', noStream],
      ['SET s x', noStream],
    ]
    for (const [change, expected] of cases) {
      await call('DEL s')
      await call('XGROUP CREATE s g $ MKSTREAM')
      const reader = await broker.connect()
      const reply = reader.call('XREADGROUP', 'GROUP', 'g', 'a', 'BLOCK', '0', 'STREAMS', 's', '>')
      await someoneWaits()
      await call(change)
      expect(await reply).toEqual(expected)
    }
  })

  it('is not held up where blocking is not allowed', async () => {
    await client.call('MULTI')
    await call('XREAD BLOCK 0 STREAMS s $')
    expect(await client.call('EXEC')).toEqual([null])
  })
})

describe('XACK', () => {
  it('acknowledges what is pending, all or nothing', async () => {
    await call('XREADGROUP GROUP g a STREAMS s >')
    expect(await call('XACK s g 1 x')).toEqual(INVALID_ID)
    expect(await call('XACK s g 1 1 9 2')).toBe(2)
    expect(await call('XPENDING s g')).toEqual([3, '3-0', '5-0', [['a', '3']]])
    expect(await call('XACK none g x')).toBe(0)
    expect(await call('XACK s none x')).toBe(0)
    expect(await call('XACK string g 1')).toEqual(WRONGTYPE)
  })
})

describe('XCLAIM', () => {
  beforeEach(() => call('XREADGROUP GROUP g a STREAMS s >'))

  it('takes entries that were idle for long enough and counts a delivery, unless told otherwise', async () => {
    clock.pass(1000)
    expect(await call('XCLAIM s g b 1001 1')).toEqual([])
    expect(await call('XCLAIM s g b 1000 1 2 9')).toEqual([entry(1), entry(2)])
    expect(await call('XCLAIM s g c 0 3 JUSTID')).toEqual(['3-0'])
    expect(await call('XCLAIM s g c 0 4 RETRYCOUNT 7 IDLE 300')).toEqual([entry(4)])
    expect(await call('XPENDING s g IDLE 300 - + 10')).toEqual([
      ['4-0', 'c', 300, 7],
      ['5-0', 'a', 1000, 1],
    ])
    expect(await pendingIds()).toEqual([
      ['1-0', 'b', 2],
      ['2-0', 'b', 2],
      ['3-0', 'c', 1],
      ['4-0', 'c', 7],
      ['5-0', 'a', 1],
    ])
  })

  it('forgets entries that are gone, and makes entries pending with FORCE', async () => {
    await call('XDEL s 1')
    expect(await call('XCLAIM s g b 0 1')).toEqual([])
    await call('XACK s g 2')
    expect(await call('XCLAIM s g b 0 2')).toEqual([])
    expect(await call('XCLAIM s g b 100000 2 FORCE JUSTID TIME 5')).toEqual(['2-0'])
    expect(await call('XPENDING s g - + 1')).toEqual([['2-0', 'b', clock.nowMs - 5, 1]])
  })

  it('checks type, group, min-idle-time and options in this order', async () => {
    expect(await call('XCLAIM string g b x 1')).toEqual(WRONGTYPE)
    expect(await call('XCLAIM s x b x 1')).toEqual({ error: "NOGROUP No such key 's' or consumer group 'x'" })
    expect(await call('XCLAIM s g b x 1 FOO')).toEqual({ error: 'ERR Invalid min-idle-time argument for XCLAIM' })
    expect(await call('XCLAIM s g b 0 1 FOO')).toEqual({ error: "ERR Unrecognized XCLAIM option 'FOO'" })
    expect(await call('XCLAIM s g b 0 1 IDLE x')).toEqual({ error: 'ERR Invalid IDLE option argument for XCLAIM' })
    expect(await call('XCLAIM s g b 0 1 LASTID x')).toEqual(INVALID_ID)
  })

  it('moves the last delivered ID forward with LASTID', async () => {
    await call('XCLAIM s g b 0 1 LASTID 9-9')
    await call('XCLAIM s g b 0 1 LASTID 8-8')
    const groups = (await call('XINFO GROUPS s')) as Reply[][]
    expect(groups[0]![7]).toBe('9-9')
  })
})

describe('XAUTOCLAIM', () => {
  beforeEach(() => call('XREADGROUP GROUP g a STREAMS s >'))

  it('walks through what is pending and reports entries that are gone', async () => {
    await call('XDEL s 2 4')
    expect(await call('XAUTOCLAIM s g b 0 - COUNT 2')).toEqual(['3-0', [entry(1)], ['2-0']])
    expect(await call('XAUTOCLAIM s g b 0 3 COUNT 2 JUSTID')).toEqual(['5-0', ['3-0'], ['4-0']])
    expect(await call('XAUTOCLAIM s g b 0 (3')).toEqual(['0-0', [entry(5)], []])
    expect(await pendingIds()).toEqual([
      ['1-0', 'b', 2],
      ['3-0', 'b', 1],
      ['5-0', 'b', 2],
    ])
  })

  it('looks at ten times the count at most', async () => {
    for (let i = 6; i <= 40; i++) await call(`XADD s ${i} f ${i}`)
    await call('XREADGROUP GROUP g a STREAMS s >')
    expect(await call('XAUTOCLAIM s g b 5000 - COUNT 2')).toEqual(['21-0', [], []])
  })

  it('checks its arguments before type and group', async () => {
    expect(await call('XAUTOCLAIM string g b x -')).toEqual({
      error: 'ERR Invalid min-idle-time argument for XAUTOCLAIM',
    })
    expect(await call('XAUTOCLAIM string g b 0 x')).toEqual(INVALID_ID)
    expect(await call('XAUTOCLAIM string g b 0 - COUNT 0')).toEqual({ error: 'ERR COUNT must be > 0' })
    expect(await call('XAUTOCLAIM string g b 0 - FOO')).toEqual({ error: 'ERR syntax error' })
    expect(await call('XAUTOCLAIM string g b 0 -')).toEqual(WRONGTYPE)
    expect(await call('XAUTOCLAIM s x b 0 -')).toEqual({ error: "NOGROUP No such key 's' or consumer group 'x'" })
  })
})

describe('XPENDING', () => {
  it('sums up by consumer, or lists an interval of one consumer', async () => {
    expect(await call('XPENDING s g')).toEqual([0, null, null, null])
    await call('XREADGROUP GROUP g b COUNT 1 STREAMS s >')
    await call('XREADGROUP GROUP g a COUNT 2 STREAMS s >')
    clock.pass(5)
    expect(await call('XPENDING s g')).toEqual([
      3,
      '1-0',
      '3-0',
      [
        ['a', '2'],
        ['b', '1'],
      ],
    ])
    expect(await call('XPENDING s g (1 + 10 a')).toEqual([
      ['2-0', 'a', 5, 1],
      ['3-0', 'a', 5, 1],
    ])
    expect(await call('XPENDING s g IDLE 6 - + 10 a')).toEqual([])
    expect(await call('XPENDING s g - + 10 none')).toEqual([])
    expect(await call('XPENDING s g - + -1')).toEqual([])
  })

  it('checks syntax before type and group', async () => {
    expect(await call('XPENDING string g -')).toEqual({ error: 'ERR syntax error' })
    expect(await call('XPENDING string g IDLE 5 - +')).toEqual({ error: 'ERR syntax error' })
    expect(await call('XPENDING string g x + 5')).toEqual(INVALID_ID)
    expect(await call('XPENDING string g - + 5')).toEqual(WRONGTYPE)
    expect(await call('XPENDING none g')).toEqual({ error: "NOGROUP No such key 'none' or consumer group 'g'" })
  })
})

describe('XGROUP', () => {
  it('creates, sets and destroys groups', async () => {
    expect(await call('XGROUP CREATE s g 0')).toEqual({ error: 'BUSYGROUP Consumer Group name already exists' })
    expect(((await call('XGROUP CREATE none g 0')) as { error: string }).error).toMatch(
      /^ERR The XGROUP subcommand requires the key to exist/,
    )
    expect(await call('XGROUP CREATE none g $ MKSTREAM')).toEqual({ status: 'OK' })
    expect(await call('XLEN none')).toBe(0)
    expect(await call('XGROUP SETID s g 3 ENTRIESREAD -2')).toEqual({
      error: 'ERR value for ENTRIESREAD must be positive or -1',
    })
    expect(await call('XGROUP SETID s x 3')).toEqual({ error: "NOGROUP No such consumer group 'x' for key name 's'" })
    expect(await call('XGROUP SETID s g 3 ENTRIESREAD 3')).toEqual({ status: 'OK' })
    expect(await call('XINFO GROUPS s')).toEqual([
      ['name', 'g', 'consumers', 0, 'pending', 0, 'last-delivered-id', '3-0', 'entries-read', 3, 'lag', 2],
    ])
    expect(await call('XGROUP DESTROY s g')).toBe(1)
    expect(await call('XGROUP DESTROY s g')).toBe(0)
    expect(await call('XGROUP CREATE s g 0 FOO')).toEqual({
      error: "ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
    })
    expect(await call('XGROUP FOO')).toEqual({ error: "ERR unknown subcommand 'FOO'. Try XGROUP HELP." })
  })

  it('creates and deletes consumers, with what is pending for them', async () => {
    expect(await call('XGROUP CREATECONSUMER s g a')).toBe(1)
    expect(await call('XGROUP CREATECONSUMER s g a')).toBe(0)
    await call('XREADGROUP GROUP g a COUNT 2 STREAMS s >')
    await call('XREADGROUP GROUP g b COUNT 1 STREAMS s >')
    expect(await call('XGROUP DELCONSUMER s g a')).toBe(2)
    expect(await call('XGROUP DELCONSUMER s g a')).toBe(0)
    expect(await pendingIds()).toEqual([['3-0', 'b', 1]])
  })

  it('helps', async () => {
    const help = (await call('XGROUP HELP')) as { status: string }[]
    expect(help[0]).toEqual({ status: 'XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' })
  })
})
