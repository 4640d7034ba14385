/**
 * Replies of a remote server as the gateway wants them.
 *
 * ioredis does not tell a status (`+OK`) from a string, nor an absent array (`*-1`) from an absent string (`$-1`). Where
 * that shows (RESP bytes, and `OK` in base64) it is decided by the command: the tables here name those whose replies are
 * statuses, and those that reply absent arrays. Statuses within arrays (COMMAND) and those of scripts, functions and
 * modules are strings therefore.
 */
import { CommandError, Decode, type ReplyValue } from '../../resp/value-sink.ts'
import { type CallDecode, type CommandWords, RAW_RESP } from '../engine.ts'
import { wordText } from '../words.ts'
import type { RawReply } from './remote-command.ts'

const STATUS_REPLIES: ReadonlySet<string> = new Set(
  `bgrewriteaof bgsave client|kill client|pause client|unpause config|resetstat config|rewrite config|set debug failover
  flushall flushdb function|delete function|flush function|kill function|restore hmset latency lset ltrim memory|purge
  migrate mset ping psetex pfmerge rename replicaof restore save script|debug script|flush script|kill set setex
  slaveof slowlog|reset swapdb type xgroup|create xgroup|setid xsetid`.split(/\s+/),
)
const ABSENT_ARRAYS: ReadonlySet<string> = new Set(
  'blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin lmpop xread xreadgroup zmpop'.split(' '),
)

/** What the reply of a command is where ioredis does not say. */
export interface ReplyKind {
  readonly isStatus: boolean
  readonly hasAbsentArrays: boolean
}

const PLAIN_REPLY: ReplyKind = { isStatus: false, hasAbsentArrays: false }

export function replyKindOf(words: CommandWords): ReplyKind {
  const name = wordText(words[0]!).toLowerCase()
  const isStatus = STATUS_REPLIES.has(name) || STATUS_REPLIES.has(`${name}|${wordText(words[1] ?? '').toLowerCase()}`)
  return { isStatus: isStatus && !repliesValue(name, words), hasAbsentArrays: repliesAbsentArray(name, words) }
}

/** SET … GET and PING with a text reply strings. */
function repliesValue(name: string, words: CommandWords): boolean {
  if (name === 'ping') return words.length > 1
  return name === 'set' && words.slice(3).some((word) => wordText(word).toLowerCase() === 'get')
}

function repliesAbsentArray(name: string, words: CommandWords): boolean {
  if (name === 'lpop' || name === 'rpop') return words.length > 2
  if (name === 'zrank' || name === 'zrevrank') return words.length > 3
  return ABSENT_ARRAYS.has(name)
}

/** @throws CommandError for an error reply */
export function decodeReply(raw: RawReply, decode: CallDecode, kind: ReplyKind): ReplyValue {
  if (decode === RAW_RESP) return Buffer.concat(encode(raw, kind))
  if (decode === Decode.Base64 && kind.isStatus && raw instanceof Buffer && raw.equals(OK)) return 'OK'
  const value = toValue(raw, decode)
  if (value instanceof CommandError) throw value
  return value
}

/** A reply; an error is a CommandError in its place. */
export function toValue(raw: RawReply, decode: Decode): ReplyValue {
  if (raw === null) return null
  if (typeof raw === 'string') return toInteger(raw)
  if (isList(raw)) return raw.map((item) => toValue(item, decode))
  if (raw instanceof Error) return new CommandError(raw.message)
  if (decode === Decode.Bytes) return raw
  return decode === Decode.Text ? raw.toString('utf8') : raw.toString('base64')
}

function isList(raw: RawReply): raw is readonly RawReply[] {
  return Array.isArray(raw)
}

function toInteger(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

const OK = Buffer.from('OK')
const CRLF = Buffer.from('\r\n')

/** A reply in RESP2. */
export function encode(raw: RawReply, kind: ReplyKind): Buffer[] {
  if (raw === null) return [Buffer.from(kind.hasAbsentArrays ? '*-1\r\n' : '$-1\r\n')]
  if (typeof raw === 'string') return [Buffer.from(`:${raw}\r\n`)]
  if (isList(raw)) return [Buffer.from(`*${raw.length}\r\n`), ...raw.flatMap((item) => encode(item, PLAIN_REPLY))]
  if (raw instanceof Error) return [Buffer.from(`-${raw.message}\r\n`)]
  return kind.isStatus ? [Buffer.from('+'), raw, CRLF] : [Buffer.from(`$${raw.length}\r\n`), raw, CRLF]
}
