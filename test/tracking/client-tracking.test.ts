/** CLIENT TRACKING on the wire: who is told of which change, when, and in which form. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Decode } from '../../src/resp/value-sink.ts'
import { InProcess, refuseNothing } from '../../src/server/in-process.ts'
import { TestBroker, TestClock } from '../support/broker.ts'
import { RawConnection } from '../support/raw-connection.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

const OK = { status: 'OK' }
const CHANNEL = '__redis__:invalidate'

let clock: TestClock
let broker: TestBroker
let reader: RespClient
let writer: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  reader = await broker.connect()
  writer = await broker.connect()
})

afterEach(async () => {
  const { keyspace } = broker.server
  const { liveBytes, liveBlocks, outsideBytes } = keyspace.arena
  expect(keyspace.account()).toEqual({ bytes: liveBytes, blocks: liveBlocks })
  expect(keyspace.overheadBytes()).toBe(outsideBytes)
  await broker.stop()
})

async function tracking(...options: string[]): Promise<RespClient> {
  await reader.call('HELLO', '3')
  expect(await reader.call('CLIENT', 'TRACKING', 'ON', ...options)).toEqual(OK)
  return reader
}

/** What a client was pushed until now. */
async function pushesOf(client: RespClient): Promise<Reply[][]> {
  await client.call('PING')
  return client.pushes.splice(0)
}

function invalidated(...keys: string[]): Reply[] {
  return ['invalidate', keys]
}

async function infoOf(field: string): Promise<string> {
  const text = String(await writer.call('INFO', 'everything'))
  return new RegExp(`^${field}:(.*)\r$`, 'm').exec(text)?.[1] ?? ''
}

async function lineOf(client: RespClient): Promise<string> {
  const reply = await client.call('CLIENT', 'INFO')
  return typeof reply === 'object' && reply !== null && 'verbatim' in reply ? reply.verbatim : String(reply)
}

describe('by default', () => {
  test('a key that was read is told once when it changes', async () => {
    await tracking()
    await reader.call('GET', 'k')
    await writer.call('SET', 'k', '1')
    await writer.call('SET', 'k', '2')
    await writer.call('SET', 'other', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('k')])
    await reader.call('GET', 'k')
    await writer.call('DEL', 'k')
    expect(await pushesOf(reader)).toEqual([invalidated('k')])
  })

  test('all keys of a command count, also of one that fails, and of none that writes', async () => {
    await tracking()
    await writer.call('LPUSH', 'list', 'x')
    await reader.call('MGET', 'a', 'b')
    await reader.call('GET', 'list')
    await reader.call('SORT_RO', 'sorted', 'BY', 'nosort')
    await reader.call('ZUNION', '2', 'z1', 'z2')
    await reader.call('XREAD', 'STREAMS', 's1', 's2', '0', '0')
    await reader.call('INCR', 'written')
    for (const key of ['a', 'b', 'sorted', 'z1', 'z2', 's1', 's2', 'written']) await writer.call('SET', key, '1')
    await writer.call('DEL', 'list')
    const told = ['a', 'b', 'sorted', 'z1', 'z2', 's1', 's2', 'list']
    expect(await pushesOf(reader)).toEqual(told.map((key) => invalidated(key)))
  })

  test('keys are bytes', async () => {
    await tracking()
    const key = '\x00\xff\r\n\x80'
    await reader.call('GET', key)
    await writer.call('SET', key, '1')
    expect(await pushesOf(reader)).toEqual([invalidated(key)])
  })

  test('own changes are told after the reply of the command, transaction or script', async () => {
    await tracking()
    await reader.pipeline([
      ['GET', 'a'],
      ['GET', 'b'],
    ])
    // The client of the test reads pushes and replies in one stream: one within a reply would be a part of it.
    expect(await reader.pipeline([['MULTI'], ['SET', 'a', '1'], ['SET', 'b', '1'], ['EXEC']])).toEqual([
      ...[OK, { status: 'QUEUED' }, { status: 'QUEUED' }, [OK, OK]],
    ])
    expect(await pushesOf(reader)).toEqual([invalidated('a'), invalidated('b')])
    await reader.call('GET', 'a')
    expect(await reader.call('EVAL', "redis.call('SET', 'a', '2') return redis.call('GET', 'a')", '1', 'a')).toBe('2')
    expect(await pushesOf(reader)).toEqual([invalidated('a')])
  })

  test('NOLOOP spares the client what it has changed itself', async () => {
    await tracking('NOLOOP')
    await reader.call('MGET', 'mine', 'theirs', 'scripted')
    await reader.call('SET', 'mine', '1')
    await reader.call('EVAL', "redis.call('SET', 'scripted', '1')", '1', 'scripted')
    await writer.call('SET', 'theirs', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('theirs')])
  })

  test('of a script the keys are remembered that it names, if it reads any', async () => {
    await tracking()
    await reader.call('EVAL', "redis.call('GET', 'read')", '1', 'named')
    await reader.call('EVAL', "redis.call('SET', 'written', '1')", '1', 'unread')
    await reader.call('EVAL_RO', "return redis.call('GET', 'readonly')", '1', 'readonly')
    for (const key of ['named', 'unread', 'read', 'readonly']) await writer.call('SET', key, '1')
    expect(await pushesOf(reader)).toEqual([invalidated('named'), invalidated('readonly')])
  })

  test('keys whose time is over are told, whoever meets them', async () => {
    await tracking()
    await writer.call('SET', 'k', '1', 'PX', '100')
    await reader.call('GET', 'k')
    clock.pass(200)
    expect(await writer.call('GET', 'k')).toBeNull()
    expect(await pushesOf(reader)).toEqual([invalidated('k')])
  })

  test('a client that meets an expired key itself is told after the reply', async () => {
    await tracking()
    await writer.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    await writer.call('MSET', 'x', '1', 'y', '2')
    await writer.call('PEXPIRE', 'y', '100')
    await reader.call('GET', 'y')
    clock.pass(200)
    expect(await reader.call('MGET', 'x', 'y')).toEqual(['1', null])
    expect(await pushesOf(reader)).toEqual([invalidated('y')])
  })

  test('a blocked client is told after its reply, and also when it goes on waiting', async () => {
    await tracking()
    await writer.call('RPUSH', 'to', 'a')
    await reader.call('LRANGE', 'to', '0', '-1')
    const moved = reader.call('BLMOVE', 'from', 'to', 'LEFT', 'LEFT', '0')
    await blocked()
    await writer.call('RPUSH', 'from', 'foo')
    expect(await moved).toBe('foo')
    expect(await pushesOf(reader)).toEqual([invalidated('to')])
  })

  test('a key that a blocked XREAD has asked for is remembered', async () => {
    await tracking()
    const read = reader.call('XREAD', 'BLOCK', '0', 'STREAMS', 's', '$')
    await blocked()
    await writer.call('XADD', 's', '1-1', 'f', 'v')
    await read
    expect((await pushesOf(reader)).length).toBeLessThanOrEqual(1)
    await writer.call('XADD', 's', '2-1', 'f', 'v')
    expect(await pushesOf(reader)).toEqual([invalidated('s')])
  })

  async function blocked(): Promise<void> {
    while ((await infoOf('blocked_clients')) !== '1') await writer.call('PING')
  }

  test('all keys are told at FLUSHDB, FLUSHALL and SWAPDB, as null', async () => {
    await tracking()
    for (const words of [['FLUSHDB'], ['FLUSHALL', 'ASYNC'], ['SWAPDB', '0', '1']]) {
      await reader.call('GET', 'k')
      await writer.call(...words)
      expect(await pushesOf(reader)).toEqual([['invalidate', null]])
      expect(await infoOf('tracking_total_keys')).toBe('0')
    }
    expect(await reader.pipeline([['MULTI'], ['FLUSHDB'], ['EXEC']])).toEqual([OK, { status: 'QUEUED' }, [OK]])
    expect(await pushesOf(reader)).toEqual([['invalidate', null]])
  })
})

describe('OPTIN and OPTOUT', () => {
  test('with OPTIN only the command after CLIENT CACHING YES is remembered', async () => {
    await tracking('OPTIN')
    await reader.call('GET', 'a')
    expect(await reader.call('CLIENT', 'CACHING', 'YES')).toEqual(OK)
    expect(await reader.call('CLIENT', 'GETNAME')).toBeNull()
    await reader.call('GET', 'b')
    await reader.call('GET', 'c')
    await writer.call('MSET', 'a', '1', 'b', '1', 'c', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('b')])
  })

  test('CLIENT CACHING holds for a whole transaction', async () => {
    await tracking('OPTIN')
    await reader.pipeline([['CLIENT', 'CACHING', 'YES'], ['MULTI'], ['GET', 'a'], ['GET', 'b'], ['EXEC'], ['GET', 'c']])
    await writer.call('MSET', 'a', '1', 'b', '1', 'c', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('a'), invalidated('b')])
  })

  test('a command that fails, or is unknown, ends what CLIENT CACHING has said', async () => {
    await tracking('OPTIN')
    await reader.pipeline([['CLIENT', 'CACHING', 'YES'], ['NOSUCH'], ['GET', 'a']])
    await reader.pipeline([['CLIENT', 'CACHING', 'YES'], ['GET'], ['GET', 'b']])
    await writer.call('MSET', 'a', '1', 'b', '1')
    expect(await pushesOf(reader)).toEqual([])
  })

  test('a blocked command keeps it until it has its reply', async () => {
    await tracking('OPTIN')
    const read = reader.pipeline([
      ['CLIENT', 'CACHING', 'YES'],
      ['XREAD', 'BLOCK', '20', 'STREAMS', 's', '$'],
    ])
    while (broker.server.blockedCount === 0) await new Promise((resolve) => setImmediate(resolve))
    clock.pass(1000)
    expect(await read).toEqual([OK, null])
    await reader.call('GET', 'later')
    await writer.call('SET', 'later', '1')
    await writer.call('XADD', 's', '1-1', 'f', 'v')
    expect(await pushesOf(reader)).toEqual([invalidated('s')])
  })

  test('with OPTOUT all but the command after CLIENT CACHING NO is remembered', async () => {
    await tracking('OPTOUT')
    await reader.call('GET', 'a')
    expect(await reader.call('CLIENT', 'CACHING', 'no')).toEqual(OK)
    await reader.call('GET', 'b')
    await reader.call('GET', 'c')
    await writer.call('MSET', 'a', '1', 'b', '1', 'c', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('a'), invalidated('c')])
  })
})

describe('BCAST', () => {
  test('changes of keys with a prefix are told in one message a turn, read or not', async () => {
    await tracking('BCAST', 'PREFIX', 'user:', 'PREFIX', 'b')
    await writer.call('MSET', 'user:1', '1', 'user:2', '1', 'x', '1', 'use', '1', 'b', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('b'), invalidated('user:1', 'user:2')])
    await writer.pipeline([
      ['SET', 'user:1', '2'],
      ['SET', 'user:1', '3'],
    ])
    expect(await pushesOf(reader)).toEqual([invalidated('user:1')])
  })

  test('without a prefix all keys are told', async () => {
    await tracking('BCAST')
    await writer.call('MSET', 'a', '1', '', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('a', '')])
  })

  test('prefixes are added by a further call, and end with TRACKING OFF', async () => {
    await tracking('BCAST', 'PREFIX', 'a')
    await reader.call('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'b')
    expect(await infoOf('tracking_total_prefixes')).toBe('2')
    await writer.call('MSET', 'a1', '1', 'b1', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('a1'), invalidated('b1')])
    await reader.call('CLIENT', 'TRACKING', 'OFF')
    await writer.call('SET', 'a1', '1')
    expect(await pushesOf(reader)).toEqual([])
    expect(await infoOf('tracking_total_prefixes')).toBe('0')
  })

  test('NOLOOP spares the client what it was the last to change', async () => {
    await tracking('BCAST', 'NOLOOP')
    await reader.pipeline([
      ['SET', 'mine', '1'],
      ['EVAL', "redis.call('SET', 'scripted', '1')", '0'],
    ])
    await writer.call('SET', 'theirs', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('theirs')])
    await reader.call('SET', 'mine', '1')
    expect(await pushesOf(reader)).toEqual([])
  })

  test('NOLOOP does not hide that a key of the client itself has expired', async () => {
    await tracking('BCAST', 'NOLOOP')
    await reader.call('SET', 'k', '1', 'PX', '10')
    clock.pass(20)
    await reader.call('GET', 'k')
    expect(await pushesOf(reader)).toEqual([invalidated('k')])
  })

  test('clients with the same prefix and another protocol each get their form', async () => {
    await tracking('BCAST', 'PREFIX', 'p')
    const listener = await broker.connect()
    const id = String(await listener.call('CLIENT', 'ID'))
    await listener.call('SUBSCRIBE', CHANNEL)
    const old = await broker.connect()
    await old.call('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'p', 'REDIRECT', id)
    await writer.call('MSET', 'p1', '1', 'p2', '1')
    expect(await pushesOf(reader)).toEqual([invalidated('p1', 'p2')])
    expect(await listener.next()).toEqual(['message', CHANNEL, ['p1', 'p2']])
  })

  test('very many changes in one turn come in several messages', async () => {
    await tracking('BCAST', 'PREFIX', 'k')
    await writer.call('EVAL', "for i = 1, 40000 do redis.call('SET', 'k' .. i, i) end", '0')
    const pushes = await pushesOf(reader)
    expect(pushes.map((push) => (push[1] as Reply[]).length)).toEqual([16_384, 16_384, 7_232])
    expect(new Set(pushes.flatMap((push) => push[1] as string[])).size).toBe(40_000)
  })
})

describe('REDIRECT', () => {
  test('a subscribed client of RESP2 gets messages on behalf of another', async () => {
    const listener = await broker.connect()
    const id = String(await listener.call('CLIENT', 'ID'))
    await listener.call('SUBSCRIBE', CHANNEL)
    expect(await reader.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id)).toEqual(OK)
    expect(await reader.call('CLIENT', 'GETREDIR')).toBe(Number(id))
    await reader.call('GET', 'k')
    await writer.call('SET', 'k', '1')
    expect(await listener.next()).toEqual(['message', CHANNEL, ['k']])
    await writer.call('FLUSHALL')
    expect(await listener.next()).toEqual(['message', CHANNEL, null])
  })

  test('a client of RESP3 gets pushes on behalf of another', async () => {
    const listener = await broker.connect()
    await listener.call('HELLO', '3')
    await reader.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(await listener.call('CLIENT', 'ID')))
    await reader.call('GET', 'k')
    await reader.call('SET', 'k', '1')
    expect(await pushesOf(listener)).toEqual([invalidated('k')])
  })

  test('a client of RESP2 that is not subscribed is told nothing', async () => {
    const listener = await broker.connect()
    const id = String(await listener.call('CLIENT', 'ID'))
    await reader.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id)
    await reader.call('GET', 'k')
    await writer.call('SET', 'k', '1')
    expect(await listener.call('PING')).toEqual({ status: 'PONG' })
    await reader.call('CLIENT', 'TRACKING', 'ON')
    await reader.call('GET', 'k')
    await writer.call('SET', 'k', '1')
    expect(await reader.call('PING')).toEqual({ status: 'PONG' })
  })

  test('a client whose redirection is broken hears so, and shows it', async () => {
    const listener = await broker.connect()
    const id = Number(await listener.call('CLIENT', 'ID'))
    await tracking('REDIRECT', String(id))
    await reader.call('GET', 'k')
    // From its reply on the client is gone, although its connection may still be open.
    expect(await listener.call('QUIT')).toEqual(OK)
    await writer.call('SET', 'k', '1')
    expect(await pushesOf(reader)).toEqual([['tracking-redir-broken', id]])
    expect(await lineOf(reader)).toMatch(/ flags=tR .* redir=\d+ /)
    expect(await reader.call('CLIENT', 'TRACKINGINFO')).toEqual({
      map: [
        ['flags', { set: ['on', 'broken_redirect'] }],
        ['redirect', id],
        ['prefixes', []],
      ],
    })
    await reader.call('CLIENT', 'TRACKING', 'ON')
    expect(await lineOf(reader)).toMatch(/ flags=t .* redir=0 /)
  })
})

describe('maxmemory', () => {
  test('a key that is evicted is told before the reply of the command that made room', async () => {
    await writer.call('SETEX', 'volatile', '1000', 'x'.repeat(1000))
    await writer.call('CONFIG', 'SET', 'maxmemory-policy', 'volatile-random')
    const limit = broker.server.memoryLimit.countedBytes + 200_000
    await writer.call('CONFIG', 'SET', 'maxmemory', String(limit))
    const raw = await RawConnection.connect(broker.port)
    const inline = ['CLIENT TRACKING ON', 'GET volatile', 'SETRANGE big 400000 x', 'GETRANGE big 400000 -1', 'QUIT']
    raw.sendLast(`HELLO 3\r\n${inline.join('\r\n')}\r\n`)
    await raw.ended()
    const replies = raw.text.slice(raw.text.indexOf('+OK'))
    expect(replies).toBe(
      [
        ...['+OK', '$1000', 'x'.repeat(1000), ':400001'],
        ...['>2', '$10', 'invalidate', '*1', '$8', 'volatile', '$1', 'x', '+OK', ''],
      ].join('\r\n'),
    )
    raw.close()
    await writer.call('CONFIG', 'SET', 'maxmemory', '0')
  })
})

describe('limits', () => {
  test('over tracking-table-max-keys keys are given up and told', async () => {
    await tracking()
    const keys = Array.from({ length: 1200 }, (_, i) => `k${i}`)
    await reader.call('MGET', ...keys)
    expect(await infoOf('tracking_total_keys')).toBe('1200')
    await writer.call('CONFIG', 'SET', 'tracking-table-max-keys', '100')
    const told = new Set<Reply>()
    while (told.size < 1100) told.add(((await reader.nextPush())[1] as Reply[])[0]!)
    expect(await infoOf('tracking_total_keys')).toBe('100')
    expect(await infoOf('tracking_total_items')).toBe('100')
    expect(await pushesOf(reader)).toEqual([])
    const left = keys.filter((key) => !told.has(key))
    await writer.call('DEL', ...left)
    await writer.call('MSET', ...left.flatMap((key) => [key, '1']))
    expect((await pushesOf(reader)).length).toBe(100)
  })

  test('with 0 any number is remembered', async () => {
    await writer.call('CONFIG', 'SET', 'tracking-table-max-keys', '0')
    await tracking()
    await reader.call('MGET', ...Array.from({ length: 5000 }, (_, i) => `k${i}`))
    await reader.call('PING')
    expect(await infoOf('tracking_total_keys')).toBe('5000')
  })

  test('a client that does not read what it is told is closed', async () => {
    await writer.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 100000 0 0')
    await tracking('BCAST')
    reader.pause()
    const value = 'x'.repeat(50_000)
    // The system's buffers take some.
    for (let i = 0; i < 2000 && (await infoOf('tracking_clients')) === '1'; i++)
      await writer.call('MSET', `${i}a${value}`, '1', `${i}b${value}`, '1', `${i}c${value}`, '1')
    expect(await infoOf('tracking_clients')).toBe('0')
    await writer.call('FLUSHALL')
  })

  test('what is remembered goes with the last client that tracks', async () => {
    await tracking()
    const other = await broker.connect()
    await other.call('CLIENT', 'TRACKING', 'ON')
    await reader.call('MGET', ...Array.from({ length: 20_000 }, (_, i) => `k${i}`))
    expect(await infoOf('tracking_clients')).toBe('2')
    await other.call('RESET')
    expect(await infoOf('tracking_total_keys')).toBe('20000')
    reader.close()
    await reader.closed()
    while ((await infoOf('tracking_clients')) !== '0') await writer.call('PING')
    expect(await infoOf('tracking_total_keys')).toBe('0')
    expect(broker.server.keyspace.changeListener).toBeNull()
    while (broker.server.tracking.hasWork) await writer.call('PING')
    expect(broker.server.keyspace.arena.liveBlocks).toBe(0)
  })
})

describe('the commands', () => {
  test('refuse what does not fit together, in the order of Redis', async () => {
    const refused = async (text: string, ...words: string[]): Promise<void> =>
      expect([words, await writer.call('CLIENT', ...words)]).toEqual([words, { error: `ERR ${text}` }])
    const id = String(await reader.call('CLIENT', 'ID'))
    await refused("wrong number of arguments for 'client|tracking' command", 'TRACKING')
    await refused("wrong number of arguments for 'client|caching' command", 'CACHING')
    await refused("wrong number of arguments for 'client|getredir' command", 'GETREDIR', 'x')
    await refused("wrong number of arguments for 'client|trackinginfo' command", 'TRACKINGINFO', 'x')
    await refused('syntax error', 'TRACKING', 'maybe')
    await refused('syntax error', 'TRACKING', 'ON', 'REDIRECT')
    await refused('syntax error', 'TRACKING', 'ON', 'BCAST', 'PREFIX')
    await refused('value is not an integer or out of range', 'TRACKING', 'ON', 'REDIRECT', 'x')
    await refused('The client ID you want redirect to does not exist', 'TRACKING', 'ON', 'REDIRECT', '0')
    await refused('The client ID you want redirect to does not exist', 'TRACKING', 'OFF', 'REDIRECT', '12345')
    await refused(
      'A client can only redirect to a single other client',
      ...['TRACKING', 'ON', 'REDIRECT', id, 'REDIRECT', 'x'],
    )
    await refused('PREFIX option requires BCAST mode to be enabled', 'TRACKING', 'ON', 'PREFIX', 'a', 'OPTIN')
    await refused('OPTIN and OPTOUT are not compatible with BCAST', 'TRACKING', 'ON', 'BCAST', 'OPTIN')
    await refused("You can't specify both OPTIN mode and OPTOUT mode", 'TRACKING', 'ON', 'OPTIN', 'OPTOUT')
    await refused(
      'CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
      ...['CACHING', 'maybe'],
    )
    const switched = (what: string): string =>
      `You can't switch ${what} mode before disabling tracking for this client, and then re-enabling it with a different mode.`
    await writer.call('CLIENT', 'TRACKING', 'ON', 'OPTIN')
    await refused(switched('OPTIN/OPTOUT'), 'TRACKING', 'ON', 'OPTOUT')
    await refused(switched('BCAST').replace('mode before', 'mode on/off before'), 'TRACKING', 'ON', 'BCAST', 'OPTIN')
    await refused('syntax error', 'CACHING', 'maybe')
    await refused('CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.', ...['CACHING', 'NO'])
    await writer.call('CLIENT', 'TRACKING', 'OFF')
    await writer.call('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'FOO', 'PREFIX', 'BAR')
    const overlap = 'Prefixes for a single client must not overlap.'
    await refused(
      `Prefix 'FO' overlaps with an existing prefix 'FOO'. ${overlap}`,
      ...['TRACKING', 'ON', 'BCAST', 'PREFIX', 'FO'],
    )
    await refused(
      `Prefix 'XYZ' overlaps with another provided prefix 'X'. ${overlap}`,
      ...['TRACKING', 'ON', 'BCAST', 'PREFIX', 'A', 'PREFIX', 'XYZ', 'PREFIX', 'X'],
    )
  })

  test('TRACKINGINFO and CLIENT LIST show the modes', async () => {
    const off = ['flags', ['off'], 'redirect', -1, 'prefixes', []]
    expect(await writer.call('CLIENT', 'TRACKINGINFO')).toEqual(off)
    expect(await writer.call('CLIENT', 'GETREDIR')).toBe(-1)
    expect(await lineOf(writer)).toMatch(/ flags=N .* redir=-1 /)
    await writer.call('CLIENT', 'TRACKING', 'ON', 'OPTIN', 'NOLOOP')
    await writer.call('CLIENT', 'CACHING', 'YES')
    expect(await writer.call('CLIENT', 'TRACKINGINFO')).toEqual([
      ...['flags', ['on', 'optin', 'caching-yes', 'noloop'], 'redirect', 0, 'prefixes', []],
    ])
    await writer.call('CLIENT', 'TRACKING', 'OFF')
    await writer.call('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'foo', 'PREFIX', 'bar')
    expect(await writer.call('CLIENT', 'TRACKINGINFO')).toEqual([
      ...['flags', ['on', 'bcast'], 'redirect', 0, 'prefixes', ['bar', 'foo']],
    ])
    expect(await lineOf(writer)).toMatch(/ flags=tB .* redir=0 /)
    expect(await writer.call('RESET')).toEqual({ status: 'RESET' })
    expect(await writer.call('CLIENT', 'TRACKINGINFO')).toEqual(off)
  })

  test('CLIENT REPLY OFF does not keep messages back', async () => {
    await tracking()
    await reader.call('GET', 'k')
    reader.write('CLIENT', 'REPLY', 'OFF')
    reader.write('SET', 'k', '1')
    expect(await reader.nextPush()).toEqual(invalidated('k'))
    expect(await reader.call('CLIENT', 'REPLY', 'ON')).toEqual(OK)
  })

  test('are refused at the in-process door, which no message reaches', async () => {
    const door = new InProcess(broker.server)
    await expect(door.batch([['CLIENT', 'TRACKING', 'ON']], Decode.Text, refuseNothing)).rejects.toThrow(
      /its messages are no replies, use a connection/,
    )
    expect(await infoOf('tracking_clients')).toBe('0')
  })

  test('changes made in process are told', async () => {
    await tracking()
    await reader.call('GET', 'k')
    await new InProcess(broker.server).batch([['SET', 'k', '1']], Decode.Text, refuseNothing)
    expect(await pushesOf(reader)).toEqual([invalidated('k')])
  })
})
