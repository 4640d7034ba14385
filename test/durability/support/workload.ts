/** Data of all kinds, small and big, and commands that change them in all ways; all follow from a seed. */
import { nextCommands } from '../../differential/generator.ts'
import type { Random } from '../../differential/random.ts'

/** Of each kind so many big values; they are spread over the databases. */
const BIG_VALUES = 3
const BIG_ELEMENTS = 1500
const DATABASES = 4
const SMALL_COMMANDS = 600
/** Long enough to be written in pieces. */
const LONG_STRING_BYTES = 1_200_000

const LIBRARY = (name: string, reply: string): string =>
  `#!lua name=${name}\nredis.register_function('${name}', function() return '${reply}' end)`

/** Commands that make the data; to be executed with database 0 selected, which is selected again at their end. */
export function dataCommands(r: Random): string[][] {
  const commands: string[][] = [['FUNCTION', 'LOAD', 'REPLACE', LIBRARY('before', 'x')]]
  for (let i = 0; i < SMALL_COMMANDS; i++) commands.push(...nextCommands(r))
  for (let i = 0; i < BIG_VALUES; i++) {
    const db = String(r.below(DATABASES))
    commands.push(['SELECT', db])
    commands.push(...bigValues(r, i))
    for (let n = 0; n < 60; n++) commands.push(['SET', `plain:${n}`, 'v'.repeat(r.below(200)), ...lifetime(r)])
  }
  commands.push(['SELECT', '0'])
  return commands
}

function bigValues(r: Random, n: number): string[][] {
  const commands: string[][] = [['SET', `bstring:${n}`, text(r, n === 0 ? LONG_STRING_BYTES : 200_000)]]
  for (let i = 0; i < BIG_ELEMENTS; i += 50) {
    const numbers = Array.from({ length: 50 }, (_, k) => i + k)
    commands.push(['HSET', `bhash:${n}`, ...numbers.flatMap((k) => [`f${k}`, text(r, r.below(80))])])
    commands.push(['SADD', `bset:${n}`, ...numbers.map((k) => (k % 7 === 0 ? String(k) : `member ${k}`))])
    commands.push(['ZADD', `bzset:${n}`, ...numbers.flatMap((k) => [String(r.below(1000) / 8), `m${k}`])])
    commands.push(['RPUSH', `blist:${n}`, ...numbers.map(() => text(r, r.below(400)))])
  }
  for (let i = 1; i <= BIG_ELEMENTS; i++)
    commands.push(['XADD', `bstream:${n}`, `${i}-1`, 'field', text(r, r.below(60))])
  for (const group of ['g1', 'g2']) {
    commands.push(['XGROUP', 'CREATE', `bstream:${n}`, group, '0'])
    for (const consumer of ['c1', 'c2', 'c3'])
      commands.push([
        'XREADGROUP',
        'GROUP',
        group,
        consumer,
        'COUNT',
        String(100 + r.below(200)),
        'STREAMS',
        `bstream:${n}`,
        '>',
      ])
    commands.push(['XACK', `bstream:${n}`, group, ...Array.from({ length: 40 }, () => `${r.below(BIG_ELEMENTS)}-1`)])
  }
  return commands
}

/** Some keys expire while a snapshot is written. */
function lifetime(r: Random): string[] {
  if (!r.chance(50)) return []
  return ['PX', String(r.chance(50) ? 1 + r.below(300) : 1_000_000 + r.below(1_000_000))]
}

function text(r: Random, length: number): string {
  // Half of it repeats itself, so that compression has work.
  return r.chance(50) ? String.fromCharCode(97 + r.below(26)).repeat(length) : noise(r, length)
}

function noise(r: Random, length: number): string {
  let result = ''
  while (result.length < length) result += r.below(0x7fffffff).toString(36)
  return result.slice(0, length)
}

type Make = (r: Random) => string[][]

const KINDS = ['bhash', 'bset', 'bzset', 'blist', 'bstream', 'bstring']
const big = (r: Random, kind = r.pick(KINDS)): string => `${kind}:${r.below(BIG_VALUES)}`
const anyKey = (r: Random): string =>
  r.chance(60)
    ? big(r)
    : r.chance(50)
      ? `plain:${r.below(60)}`
      : `${r.pick(['s', 'l', 'h', 'e', 'z', 'x'])}:${r.below(8)}`
const element = (r: Random): number => r.below(BIG_ELEMENTS)
const database = (r: Random): string => String(r.below(DATABASES))
const ids = (r: Random): string[] => r.some(1, 20, () => `${1 + element(r)}-1`)

/** Changes within big values. */
const WITHIN: readonly Make[] = [
  (r) => [['HSET', big(r, 'bhash'), `f${element(r)}`, text(r, r.below(200)), `new${r.below(50)}`, 'x']],
  (r) => [['HDEL', big(r, 'bhash'), ...r.some(1, 30, () => `f${element(r)}`)]],
  (r) => [['HINCRBY', big(r, 'bhash'), `count${r.below(9)}`, '5']],
  (r) => [['SADD', big(r, 'bset'), `new ${r.below(100)}`, String(element(r))]],
  (r) => [['SREM', big(r, 'bset'), ...r.some(1, 30, () => `member ${element(r)}`)]],
  (r) => [['SPOP', big(r, 'bset'), String(r.below(20))]],
  (r) => [['SMOVE', big(r, 'bset'), big(r, 'bset'), `member ${element(r)}`]],
  (r) => [['ZADD', big(r, 'bzset'), String(r.below(1000)), `m${element(r)}`, '3', `new${r.below(50)}`]],
  (r) => [['ZREM', big(r, 'bzset'), ...r.some(1, 30, () => `m${element(r)}`)]],
  (r) => [['ZPOPMIN', big(r, 'bzset'), String(r.below(30))]],
  (r) => [['ZREMRANGEBYRANK', big(r, 'bzset'), '10', String(10 + r.below(100))]],
  (r) => [['LPUSH', big(r, 'blist'), text(r, r.below(300))]],
  (r) => [['RPUSH', big(r, 'blist'), text(r, r.below(300)), text(r, 9000)]],
  (r) => [['LPOP', big(r, 'blist'), String(r.below(60))]],
  (r) => [['RPOP', big(r, 'blist'), String(r.below(60))]],
  (r) => [['LSET', big(r, 'blist'), String(r.below(700)), text(r, r.below(500))]],
  (r) => [['LTRIM', big(r, 'blist'), String(r.below(50)), String(-1 - r.below(50))]],
  (r) => [['LMOVE', big(r, 'blist'), big(r, 'blist'), 'LEFT', 'RIGHT']],
  (r) => [['LINSERT', big(r, 'blist'), 'BEFORE', 'a', 'inserted']],
  (r) => [['XADD', big(r, 'bstream'), '*', 'field', text(r, r.below(300))]],
  (r) => [['XADD', big(r, 'bstream'), 'MAXLEN', String(500 + r.below(1000)), '*', 'other', 'x']],
  (r) => [['XDEL', big(r, 'bstream'), ...ids(r)]],
  (r) => [['XTRIM', big(r, 'bstream'), 'MINID', String(r.below(300))]],
  (r) => [['XACK', big(r, 'bstream'), r.pick(['g1', 'g2']), ...ids(r)]],
  (r) => [
    [
      'XREADGROUP',
      'GROUP',
      r.pick(['g1', 'g2']),
      r.pick(['c1', 'c4']),
      'COUNT',
      '20',
      'STREAMS',
      big(r, 'bstream'),
      '>',
    ],
  ],
  (r) => [['XCLAIM', big(r, 'bstream'), 'g1', 'c5', '0', ...ids(r)]],
  (r) => [['XAUTOCLAIM', big(r, 'bstream'), 'g2', 'c2', '0', String(element(r)), 'COUNT', '10']],
  (r) => [['XGROUP', 'CREATE', big(r, 'bstream'), `g${3 + r.below(3)}`, '$']],
  (r) => [['XGROUP', 'DESTROY', big(r, 'bstream'), `g${1 + r.below(5)}`]],
  (r) => [['XGROUP', 'DELCONSUMER', big(r, 'bstream'), 'g1', r.pick(['c1', 'c2'])]],
  (r) => [['XSETID', big(r, 'bstream'), '9999999999999-0']],
  (r) => [['APPEND', big(r, 'bstring'), text(r, 100)]],
  (r) => [['SETRANGE', big(r, 'bstring'), String(r.below(100_000)), 'changed']],
]

/** Changes of whole keys. */
const WHOLE: readonly Make[] = [
  (r) => [['DEL', anyKey(r), anyKey(r)]],
  (r) => [['UNLINK', anyKey(r)]],
  (r) => [['RENAME', anyKey(r), anyKey(r)]],
  (r) => [['COPY', anyKey(r), anyKey(r), 'REPLACE']],
  (r) => [['COPY', anyKey(r), anyKey(r), 'DB', database(r), 'REPLACE']],
  (r) => [['MOVE', anyKey(r), database(r)]],
  (r) => [['SET', anyKey(r), text(r, r.below(100))]],
  (r) => [['SET', anyKey(r), 'x', 'PX', String(1 + r.below(100))]],
  (r) => [['PEXPIRE', anyKey(r), String(r.chance(50) ? r.below(100) : 1_000_000)]],
  (r) => [['PERSIST', anyKey(r)]],
  (r) => [['SUNIONSTORE', big(r, 'bset'), big(r, 'bset'), big(r, 'bset')]],
  (r) => [['ZUNIONSTORE', big(r, 'bzset'), '2', big(r, 'bzset'), big(r, 'bset')]],
  (r) => [['SORT', big(r, 'bset'), 'ALPHA', 'LIMIT', '0', '400', 'STORE', big(r, 'blist')]],
  (r) => [['ZRANGESTORE', big(r, 'bzset'), big(r, 'bzset'), '0', '300']],
  (r) => [
    [
      'EVAL',
      "redis.call('DEL', KEYS[1]) redis.call('SELECT', ARGV[1]) return redis.call('DEL', KEYS[1])",
      '1',
      anyKey(r),
      database(r),
    ],
  ],
  (r) => [
    [
      'EVAL',
      "redis.call('RENAME', KEYS[1], KEYS[2]) return redis.call('SET', KEYS[1], 'script')",
      '2',
      anyKey(r),
      anyKey(r),
    ],
  ],
  (r) => [
    ['MULTI'],
    ['DEL', anyKey(r)],
    ['SET', anyKey(r), 'in a transaction'],
    ['RENAME', anyKey(r), anyKey(r)],
    ['EXEC'],
  ],
]

/** Changes of whole databases, and of functions. */
const ALL: readonly Make[] = [
  (r) => [['SWAPDB', database(r), database(r)]],
  (r) => [['SELECT', database(r)]],
  (r) => [['MULTI'], ['SELECT', database(r)], ['SWAPDB', database(r), database(r)], ['EXEC']],
  (r) => [['FUNCTION', 'LOAD', 'REPLACE', LIBRARY(r.pick(['before', 'after']), String(r.below(9)))]],
  (r) => [['FUNCTION', 'DELETE', r.pick(['before', 'after'])]],
]

/** What leaves nothing to compare, and so is seldom. */
const EMPTYING: readonly Make[] = [
  (r) => [['FLUSHDB', r.pick(['SYNC', 'ASYNC'])]],
  (r) => [['MULTI'], ['SELECT', database(r)], ['FLUSHDB'], ['SET', 'after', '1'], ['EXEC']],
]

/** A command, or a transaction, that changes something most of the time. FLUSHALL is not among them. */
export function nextChange(r: Random): string[][] {
  const dice = r.below(1000)
  if (dice < 250) return nextCommands(r)
  if (dice < 800) return r.pick(WITHIN)(r)
  if (dice < 940) return r.pick(WHOLE)(r)
  return dice < 996 ? r.pick(ALL)(r) : r.pick(EMPTYING)(r)
}

/** A command that may block, for a client of its own. */
export function nextBlocking(r: Random): string[] {
  return r.pick<Make>([
    () => [['BLPOP', 'waited:list', big(r, 'blist'), '0']],
    () => [['BLMOVE', 'waited:list', big(r, 'blist'), 'LEFT', 'RIGHT', '0']],
    () => [['BZPOPMIN', 'waited:zset', '0']],
    () => [['XREADGROUP', 'GROUP', 'g1', 'blocked', 'BLOCK', '0', 'STREAMS', big(r, 'bstream'), '>']],
  ])(r)[0]!
}

/** What blocked clients wait for. */
export function nextWaited(r: Random): string[] {
  return r.pick([
    ['RPUSH', 'waited:list', 'a', 'b'],
    ['ZADD', 'waited:zset', '1', 'a'],
    ['XADD', big(r, 'bstream'), '*', 'f', 'v'],
  ])
}
