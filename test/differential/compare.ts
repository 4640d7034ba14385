/**
 * Comparison of two servers' replies: equal in value, type by type, except where the protocol promises no order or
 * where a time shows.
 */
import type { Reply } from '../support/resp-client.ts'

/** Replies of these commands come in no promised order. */
const UNORDERED = new Set([
  'hrandfield',
  'zrandmember',
  'smembers',
  'sinter',
  'sunion',
  'sdiff',
  'spop',
  'srandmember',
  'keys',
  'hkeys',
  'hvals',
  'sscan',
  'scan',
  'sort',
])
/** As above, in pairs. */
const UNORDERED_PAIRS = new Set(['hgetall', 'hscan', 'zscan'])
/** Replies are one random member, or none. */
const RANDOM = new Set(['hrandfield', 'zrandmember', 'srandmember', 'spop', 'randomkey'])
/** Replies hold times; numbers may differ by this much, in ms. */
const TIMED = new Set(['ttl', 'pttl', 'expiretime', 'pexpiretime', 'xpending'])
const TIME_TOLERANCE_MS = 5000
/** Fields of XINFO whose values are times, or counts of Redis' own insides. */
const MASKED_FIELDS = new Set(['idle', 'inactive', 'seen-time', 'active-time', 'radix-tree-keys', 'radix-tree-nodes'])

/** A text that is the same for two replies that are equal for `command`. */
export function normalize(command: readonly string[], reply: Reply): string {
  const name = commandName(command)
  if (UNORDERED.has(name)) return JSON.stringify(sortDeep(plain(reply)))
  if (UNORDERED_PAIRS.has(name)) return JSON.stringify(sortPairs(plain(reply)))
  if (name === 'xinfo') return JSON.stringify(maskFields(plain(reply)))
  return JSON.stringify(plain(reply))
}

/** Whether two replies to the same command mean the same. */
export function sameReply(command: readonly string[], a: Reply, b: Reply): boolean {
  // One random member: only that there is one can be compared.
  if (RANDOM.has(commandName(command)) && typeof a === 'string' && typeof b === 'string') return true
  const left = normalize(command, a)
  const right = normalize(command, b)
  if (left === right) return true
  return TIMED.has(commandName(command)) && closeNumbers(a, b)
}

/** Whether they do when a score of minus zero is one of zero. */
export function sameScores(command: readonly string[], ours: Reply, theirs: Reply): boolean {
  const unsigned = JSON.parse(JSON.stringify(theirs).replaceAll('"-0"', '"0"')) as Reply
  return sameReply(command, ours, unsigned)
}

/** The command that decides how replies compare: for a script, the one it calls. */
function commandName(command: readonly string[]): string {
  const name = command[0]!.toLowerCase()
  return name === 'eval' && command[2] === '0' && command.length > 3 ? command[3]!.toLowerCase() : name
}

type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain }

function plain(reply: Reply): Plain {
  if (typeof reply === 'bigint') return `bigint:${reply}`
  if (reply === null || typeof reply !== 'object') return reply
  if (Array.isArray(reply)) return reply.map(plain)
  if ('map' in reply) return { map: reply.map.map((pair) => pair.map(plain)) }
  if ('set' in reply) return { set: reply.set.map(plain) }
  if ('push' in reply) return { push: reply.push.map(plain) }
  return { ...reply }
}

function sortDeep(value: Plain): Plain {
  if (Array.isArray(value)) return value.map(sortDeep).sort((a, b) => compareText(a, b))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, sortDeep(v)]))
  }
  return value
}

function sortPairs(value: Plain): Plain {
  if (Array.isArray(value)) {
    if (value.length === 2 && Array.isArray(value[1])) return [value[0]!, sortPairs(value[1])]
    const pairs: Plain[] = []
    for (let i = 0; i < value.length; i += 2) pairs.push([value[i]!, value[i + 1] ?? null])
    return pairs.sort((a, b) => compareText(a, b))
  }
  if (value !== null && typeof value === 'object' && Array.isArray(value.map)) {
    return { map: [...value.map].sort((a, b) => compareText(a, b)) }
  }
  return value
}

function compareText(a: Plain, b: Plain): number {
  const left = JSON.stringify(a)
  const right = JSON.stringify(b)
  return left < right ? -1 : left > right ? 1 : 0
}

/** XINFO: times are masked; fields that only 7.2 has are dropped. */
function maskFields(value: Plain): Plain {
  if (Array.isArray(value)) {
    const items: Plain[] = []
    for (let i = 0; i < value.length; i++) {
      const item = value[i]!
      if (typeof item === 'string' && MASKED_FIELDS.has(item) && i % 2 === 0) {
        i++
        continue
      }
      items.push(maskFields(item))
    }
    // A pending entry of XINFO STREAM FULL: [id, consumer, delivery time, count] or [id, delivery time, count].
    if (
      items.length >= 3 &&
      typeof items[0] === 'string' &&
      /^\d+-\d+$/.test(items[0]) &&
      typeof items.at(-1) === 'number'
    ) {
      items[items.length - 2] = 'time'
    }
    return items
  }
  if (value !== null && typeof value === 'object') {
    if (Array.isArray(value.map)) {
      return {
        map: value.map
          .filter((pair) => !(Array.isArray(pair) && typeof pair[0] === 'string' && MASKED_FIELDS.has(pair[0])))
          .map(maskFields),
      }
    }
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, maskFields(v)]))
  }
  return value
}

function closeNumbers(a: Reply, b: Reply): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => closeNumbers(item, b[i]!))
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) <= TIME_TOLERANCE_MS
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b))
}
