/**
 * What bench/resp.ts measures: the tests of redis-benchmark, and what a broker does beside them. Each sample begins on an
 * empty server that `prepare` has filled, so that what takes elements away finds as many as there are requests.
 */
import { digits, encode, send } from './support/fill.ts'
import type { BenchServer } from './support/servers.ts'

/** Random keys, members and fields are among so many. */
export const KEYSPACE = 100_000
/** What LRANGE_600 asks for. */
const LIST_LENGTH = 600
export const GROUP = 'workers'

/** What a test depends on; settings that change nothing of it leave it out. */
export const Trait = {
  /** It writes: the log matters. */
  Writes: 1,
  /** It carries values: their size matters. */
  Values: 2,
} as const

export interface RespTest {
  readonly name: string
  readonly traits: number
  /** Arguments of redis-benchmark behind its options. */
  args(value: string): readonly string[]
  /** Fills a server for a sample of `requests` requests. */
  prepare(server: BenchServer, requests: number, value: string): Promise<void>
  /** Subscribers that must be there while it runs. */
  readonly subscribers: number
}

type Prepare = RespTest['prepare']

const { Writes, Values } = Trait
const empty: Prepare = async () => {}
const keys: Prepare = ({ port }, _requests, value) =>
  send(port, KEYSPACE, (i) => encode('SET', `key:${digits(i)}`, value))
const list =
  (length: (requests: number) => number): Prepare =>
  ({ port }, requests, value) =>
    send(port, length(requests), () => encode('RPUSH', 'mylist', value))
const set: Prepare = ({ port }, requests) =>
  send(port, requests, (i) => encode('SADD', 'myset', `element:${digits(i)}`))
const sortedSet: Prepare = ({ port }, requests) =>
  send(port, requests, (i) => encode('ZADD', 'myzset', digits(i), `element:${digits(i)}`))

const stream: Prepare = async ({ port }, requests, value) => {
  await send(port, requests, (i) => encode('XADD', 'mystream', `0-${i + 1}`, 'field', value), 2)
  await send(port, 1, () => encode('XGROUP', 'CREATE', 'mystream', GROUP, '0'))
}

/** Entries 0-1 … that one consumer has pending; XACK takes them away at random. */
const pendingEntries: Prepare = async (server) => {
  await stream(server, KEYSPACE, 'x')
  const idsPerCommand = 1000
  await send(server.port, KEYSPACE / idsPerCommand, (i) => {
    const ids = Array.from({ length: idsPerCommand }, (_, k) => `0-${i * idsPerCommand + k + 1}`)
    return encode('XCLAIM', 'mystream', GROUP, 'c', '0', ...ids, 'FORCE', 'JUSTID', 'LASTID', '0-0')
  })
}

/** One of redis-benchmark's own tests. */
function own(name: string, traits: number, prepare: Prepare = empty): RespTest {
  return { name, traits, args: () => ['-t', name.toLowerCase()], prepare, subscribers: 0 }
}

/** A command that redis-benchmark is given. */
function command(
  name: string,
  traits: number,
  args: RespTest['args'],
  prepare: Prepare = empty,
  subscribers = 0,
): RespTest {
  return { name, traits, args, prepare, subscribers }
}

function lrange(count: number): RespTest {
  const fixed = list(() => LIST_LENGTH)
  return command(`LRANGE_${count}`, Values, () => ['LRANGE', 'mylist', '0', String(count - 1)], fixed)
}

export const RESP_TESTS: readonly RespTest[] = [
  own('PING_INLINE', 0),
  own('PING_MBULK', 0),
  own('SET', Writes | Values),
  own('GET', Values, keys),
  own('INCR', Writes),
  own('LPUSH', Writes | Values),
  own('RPUSH', Writes | Values),
  own(
    'LPOP',
    Writes | Values,
    list((requests) => requests),
  ),
  own(
    'RPOP',
    Writes | Values,
    list((requests) => requests),
  ),
  own('SADD', Writes),
  own('HSET', Writes | Values),
  own('SPOP', Writes, set),
  own('ZADD', Writes),
  own('ZPOPMIN', Writes, sortedSet),
  lrange(100),
  lrange(300),
  lrange(500),
  lrange(600),
  own('MSET', Writes | Values),
  command('XADD', Writes | Values, (value) => ['XADD', 'mystream', '*', 'field', value]),
  command(
    'XREADGROUP',
    Writes | Values,
    () => ['XREADGROUP', 'GROUP', GROUP, 'c', 'COUNT', '1', 'STREAMS', 'mystream', '>'],
    stream,
  ),
  command('XACK', Writes, () => ['XACK', 'mystream', GROUP, '0-__rand_int__'], pendingEntries),
  command('ZINCRBY', Writes, () => ['ZINCRBY', 'myzset', '1', 'element:__rand_int__'], sortedSet),
  command('PUBLISH_100', Values, (value) => ['PUBLISH', 'channel', value], empty, 100),
]
