/** A data set with every type and encoding, written by commands, and how to read it back. */
import { closeSync, fstatSync, openSync } from 'node:fs'
import type { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { RdbItem, RdbReader } from '../../../src/persistence/rdb/rdb-reader.ts'
import { FileSource } from '../../../src/persistence/rdb/rdb-source.ts'
import { contentOf } from '../../differential/state.ts'
import type { RespClient } from '../../support/resp-client.ts'

/** All byte values, in an order that no compression likes. */
const BINARY = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => (i * 97) & 0xff))
const INTEGERS = [
  '0',
  '1',
  '-1',
  '127',
  '-128',
  '4095',
  '-4096',
  '32767',
  '-32769',
  '8388608',
  '2147483648',
  '-2147483649',
]
const WIDE_INTEGERS = [
  '9007199254740991',
  '-9007199254740991',
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
]
/** Texts that look like integers and are none. */
const NEARLY_INTEGERS = ['', '-', '00', '-0', '+1', ' 1', '1 ', '9223372036854775808', '1.5']
const TEXTS = [
  ...INTEGERS,
  ...WIDE_INTEGERS,
  ...NEARLY_INTEGERS,
  BINARY,
  'x'.repeat(63),
  'y'.repeat(64),
  'z'.repeat(5000),
]
const SCORES = ['-inf', '-1.5e300', '-1', '0', '0.1', '3', '1700000000.25', '9007199254740993', '1e22', 'inf']

/** Writes the data set into the selected database of an empty server. */
export async function fill(client: RespClient): Promise<void> {
  const calls: string[][] = []
  for (const [i, text] of TEXTS.entries()) calls.push(['SET', `string:${i}`, text])
  calls.push(['SET', 'string:long', BINARY.repeat(5000)], ['SET', 'string:compressed', 'abcde'.repeat(300_000)])
  calls.push(['SET', BINARY, 'binary key'], ['SET', 'expires', 'x', 'PXAT', '4102444800123'])
  calls.push(['RPUSH', 'list:small', ...TEXTS], ['RPUSH', 'list:integers', ...INTEGERS, ...WIDE_INTEGERS])
  calls.push(['SADD', 'set:integers', ...INTEGERS], ['SADD', 'set:wide', ...INTEGERS, ...WIDE_INTEGERS])
  calls.push(['SADD', 'set:small', 'a', 'b', '1', '-0'], ['SADD', 'set:texts', ...TEXTS])
  calls.push(['HSET', 'hash:small', 'a', '1', '2', 'b', '', '', '-5000', '9007199254740993'])
  calls.push(['HSET', 'hash:texts', ...TEXTS.flatMap((text, i) => [text, TEXTS[TEXTS.length - 1 - i]!])])
  calls.push(['ZADD', 'zset:small', ...SCORES.flatMap((score, i) => [score, `${i}`])])
  calls.push(['ZADD', 'zset:texts', ...TEXTS.flatMap((text, i) => [SCORES[i % SCORES.length]!, text])])
  for (let i = 0; i < 1500; i++) {
    calls.push(['RPUSH', 'list:big', `element ${i}`, `${i}`], ['SADD', 'set:big', `member ${i}`])
    calls.push(['SADD', 'set:many-integers', `${i * 7}`], ['HSET', 'hash:big', `field ${i}`, `${i}`])
    calls.push(
      ['ZADD', 'zset:big', `${(i * 37) % 1000}`, `member ${i}`],
      ['XADD', 'stream:big', `${i + 1}-${i}`, 'n', `${i}`],
    )
  }
  for (let i = 0; i < 400; i++) calls.push(['HSET', 'hash:packed', `f${i}`, `${i}`], ['RPUSH', 'list:packed', `${i}`])
  for (let i = 0; i < 120; i++) calls.push(['ZADD', 'zset:packed', `${i / 3}`, `m${i}`])
  calls.push(['PEXPIREAT', 'hash:big', '4102444800456'], ['PEXPIREAT', 'stream:big', '4102444800789'])
  calls.push(...streamCalls())
  for (const call of calls) {
    const reply = await client.call(...call)
    if (typeof reply === 'object' && reply !== null && 'error' in reply) throw new Error(`${call[0]}: ${reply.error}`)
  }
}

/** Everything that can be read of the selected database but idle times. */
export async function state(client: RespClient): Promise<Record<string, unknown>> {
  const content: Record<string, unknown> = {}
  for (const [key, text] of await contentOf(client)) {
    content[key] = text.startsWith('zset ') ? scoresAsNumbers(text) : text
    content[`${key} expires`] = await client.call('PEXPIRETIME', key)
    if (text.startsWith('stream'))
      content[`${key} state`] = withoutTimes(await client.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'))
    if (text.startsWith('stream')) content[`${key} tree`] = await client.call('OBJECT', 'ENCODING', key)
  }
  return content
}

/** Loads a file into a keyspace. Returns what is in it beside keys. */
export function loadFile(keyspace: Keyspace, path: string): { aux: Record<string, string>; functions: string[] } {
  const fd = openSync(path, 'r')
  const reader = new RdbReader(keyspace, new FileSource(fd, 0, fstatSync(fd).size), { checksums: true })
  try {
    return load(keyspace, reader)
  } finally {
    reader.close()
    closeSync(fd)
  }
}

/** Loads what a reader reads into a keyspace. */
export function load(keyspace: Keyspace, reader: RdbReader): { aux: Record<string, string>; functions: string[] } {
  const aux: Record<string, string> = {}
  const functions: string[] = []
  for (;;) {
    const item = reader.next()
    if (item === RdbItem.End) return { aux, functions }
    if (item === RdbItem.Aux) aux[reader.auxName] = reader.auxValue
    else if (item === RdbItem.Function) functions.push(reader.functionCode)
    else if (item === RdbItem.Key) {
      const db = keyspace.databases[reader.dbIndex]!
      const row = db.addBytes(reader.keyBuffer, reader.keyStart, reader.keyLength, reader.kind, reader.value)
      if (reader.expireMs !== -1) db.setExpire(row, reader.expireMs)
    }
  }
}

/** Arena bytes and blocks that no key accounts for: 0 and 0 unless something leaks. */
export function leaked(keyspace: Keyspace): { bytes: number; blocks: number } {
  const { bytes, blocks } = keyspace.account()
  return { bytes: keyspace.arena.liveBytes - bytes, blocks: keyspace.arena.liveBlocks - blocks }
}

function streamCalls(): string[][] {
  const calls: string[][] = [
    ['XADD', 'stream:small', '1-1', 'a', '1', 'b', BINARY],
    ['XADD', 'stream:small', '1-2', 'a', '9007199254740993', 'b', '-1'],
    ['XADD', 'stream:small', '18446744073709551614-5', 'other', 'x'.repeat(5000)],
    ['XADD', 'stream:emptied', '5-5', 'a', 'b'],
    ['XDEL', 'stream:emptied', '5-5'],
    ['XGROUP', 'CREATE', 'stream:never', 'group', '0', 'MKSTREAM'],
    ['XGROUP', 'CREATE', 'stream:big', 'behind', '7-6', 'ENTRIESREAD', '7'],
    ['XGROUP', 'CREATE', 'stream:big', BINARY, '0'],
    ['XREADGROUP', 'GROUP', BINARY, 'first', 'COUNT', '300', 'STREAMS', 'stream:big', '>'],
    ['XREADGROUP', 'GROUP', BINARY, 'second', 'COUNT', '300', 'STREAMS', 'stream:big', '>'],
    ['XGROUP', 'CREATECONSUMER', 'stream:big', BINARY, 'idle'],
    ['XACK', 'stream:big', BINARY, '3-2', '5-4'],
    ['XCLAIM', 'stream:big', BINARY, 'second', '0', '10-9', '11-10', 'RETRYCOUNT', '7'],
  ]
  for (let i = 100; i < 350; i += 3) calls.push(['XDEL', 'stream:big', `${i + 1}-${i}`])
  return calls
}

/** Redis 7.0 writes doubles with 17 digits, later ones and we in the shortest form. */
function scoresAsNumbers(text: string): unknown {
  const entries: string[] = JSON.parse(text.slice('zset '.length))
  return entries.map((entry, i) => (i % 2 === 1 && !entry.endsWith('inf') ? Number(entry) : entry))
}

/** Drops times of the last access, which depend on when commands came, and counts of tree nodes. */
function withoutTimes(reply: unknown): unknown {
  if (!Array.isArray(reply)) return reply
  const rest: unknown[] = []
  for (let i = 0; i < reply.length; i++) {
    const isTime = reply[i] === 'seen-time' || reply[i] === 'active-time'
    if (isTime) i++
    else rest.push(withoutTimes(reply[i]))
  }
  return rest
}
