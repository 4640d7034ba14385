/**
 * Random commands for differential runs: every command of the engine, mostly well formed, with a share of wrong
 * arity, wrong types, bad numbers, empty and binary keys.
 *
 * When a command family is added, add its templates here.
 */
import type { Random } from './random.ts'

type Make = (r: Random) => string[]

const BINARY = '\x00\xff\r\n\x80'
const NUMBERS = ['0', '1', '-1', '2', '3', '10', '100', '-5', '7', '12345', '-99999', '4294967296']
const ODD_NUMBERS = [
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '1.5',
  '-0',
  '+1',
  '01',
  '1e3',
  ' 1',
  '',
  'abc',
  'nan',
  'inf',
  '0x10',
  '99999999999999999999999',
]
/** Times are exact to 2^53 ms only. */
const ODD_TIMES = ODD_NUMBERS.filter((n) => !/^-?922/.test(n))
const FLOATS = [
  '0',
  '1',
  '1.5',
  '-2.25',
  '3.14159',
  '1e10',
  '-1e-5',
  'inf',
  '-inf',
  '+inf',
  '100',
  '0.1',
  '0.2',
  '17179869184',
]
const WORDS = [
  'a',
  'b',
  'c',
  'foo',
  'bar',
  'hello world',
  'x'.repeat(70),
  'caf\xe9',
  BINARY,
  '',
  'one',
  'two',
  'three',
  'four',
  'five',
  '10',
  '20',
  '-3',
]
const FIELDS = ['f1', 'f2', 'f3', 'f4', 'f5', 'f6', '1', '2', 'long-field-name-'.repeat(5), '']
const PATTERNS = ['*', 'f*', '*1', '?', '[a-c]*', 'h?llo', '\\*', 'nothing']
/** Far enough in the future that nothing expires during a run; as relative and absolute times. */
const LIFETIMES = ['100000', '200000', '300000']

const key =
  (prefix: string, count: number): Make =>
  (r) => {
    if (r.chance(3)) return [r.pick(['', BINARY, 'missing'])]
    // A key of another type now and then.
    if (r.chance(6)) return [`${r.pick(['s', 'l', 'h', 'e', 'z', 'x'])}:${r.below(count)}`]
    return [`${prefix}:${r.below(count)}`]
  }

const KEYS = 8
const S = key('s', KEYS)
const L = key('l', KEYS)
const H = key('h', KEYS)
const E = key('e', KEYS)
const Z = key('z', KEYS)
/** Sorted sets whose members all have the score 0: ranges by member are defined only there. */
const LEX: Make = (r) => [`lex:${r.below(3)}`]
const X = key('x', 5)
const ANY: Make = (r) => r.pick([S, L, H, E, Z, X])(r)

const int: Make = (r) => [r.chance(6) ? r.pick(ODD_NUMBERS) : r.pick(NUMBERS)]
const small: Make = (r) => [r.chance(4) ? r.pick(ODD_NUMBERS) : String(r.below(8) - 2)]
const count: Make = (r) => [r.chance(4) ? r.pick(ODD_NUMBERS) : String(r.below(6))]
const float: Make = (r) => [r.chance(5) ? r.pick(ODD_NUMBERS) : r.pick(FLOATS)]
const word: Make = (r) => [r.pick(WORDS)]
const value: Make = (r) => [r.chance(30) ? r.pick(NUMBERS) : r.pick(WORDS)]
const field: Make = (r) => [r.pick(FIELDS)]
const pattern: Make = (r) => [r.pick(PATTERNS)]
const lifetime: Make = (r) => [r.chance(8) ? r.pick(ODD_TIMES) : r.pick(LIFETIMES)]
const absolute =
  (unit: number): Make =>
  (r) => [r.chance(8) ? r.pick(ODD_TIMES) : String((4_000_000_000 + r.below(1000)) * unit)]
const scoreBound: Make = (r) => [
  r.chance(8) ? r.pick(['-inf', '+inf', '(1', '(abc', '(', '1e400']) : `${r.chance(20) ? '(' : ''}${r.pick(FLOATS)}`,
]
const lexBound: Make = (r) => [
  r.chance(10) ? r.pick(['a', '', '(', '[']) : r.pick(['-', '+', '[a', '(a', '[c', '(foo', '[two', '(three']),
]
const streamId: Make = (r) => [
  r.chance(8)
    ? r.pick([
        'abc',
        '1-',
        '-1',
        '1-1-1',
        '',
        '0-0',
        '18446744073709551615-18446744073709551615',
        '18446744073709551616-0',
      ])
    : `${r.below(60)}-${r.below(4)}`,
]
const streamBound: Make = (r) => [r.chance(30) ? r.pick(['-', '+', '5', '(3-1', '(5', '30']) : streamId(r)[0]!]
const group: Make = (r) => [r.pick(['g1', 'g2', 'g3'])]
const CONSUMERS = ['c1', 'c2', 'c3']
const consumer: Make = (r) => [r.pick(CONSUMERS)]

const lit =
  (...words: string[]): Make =>
  () =>
    words
const many =
  (least: number, most: number, ...parts: Make[]): Make =>
  (r) =>
    r.some(least, most, () => parts.flatMap((part) => part(r))).flat()
const maybe =
  (percent: number, ...parts: Make[]): Make =>
  (r) =>
    r.chance(percent) ? parts.flatMap((part) => part(r)) : []
const oneOf =
  (...parts: Make[]): Make =>
  (r) =>
    r.pick(parts)(r)
/** A count followed by that many items; the count is wrong now and then. */
const counted =
  (least: number, most: number, part: Make): Make =>
  (r) => {
    const items = r.some(least, most, () => part(r)).flat()
    return [String(r.chance(4) ? items.length + r.below(3) - 1 : items.length), ...items]
  }
const c =
  (...parts: (string | Make)[]): Make =>
  (r) =>
    parts.flatMap((part) => (typeof part === 'string' ? [part] : part(r)))

const STRINGS: Make[] = [
  c('SET', S, value),
  c(
    'SET',
    S,
    value,
    maybe(40, oneOf(lit('NX'), lit('XX'))),
    maybe(30, lit('GET')),
    maybe(
      40,
      oneOf(c('EX', lifetime), c('PX', lifetime), c('EXAT', absolute(1)), c('PXAT', absolute(1000)), lit('KEEPTTL')),
    ),
  ),
  c('GET', S),
  c('GETSET', S, value),
  c('GETDEL', S),
  c(
    'GETEX',
    S,
    maybe(
      70,
      oneOf(c('EX', lifetime), c('PX', lifetime), c('EXAT', absolute(1)), c('PXAT', absolute(1000)), lit('PERSIST')),
    ),
  ),
  c('MGET', many(1, 4, S)),
  c('MSET', many(1, 3, S, value)),
  c('MSETNX', many(1, 2, S, value)),
  c('SETNX', S, value),
  c('SETEX', S, lifetime, value),
  c('PSETEX', S, lifetime, value),
  c('APPEND', S, value),
  c('STRLEN', S),
  c('SETRANGE', S, count, value),
  c('GETRANGE', S, small, small),
  c('SUBSTR', S, small, small),
  c('INCR', S),
  c('DECR', S),
  c('INCRBY', S, int),
  c('DECRBY', S, int),
  c('INCRBYFLOAT', S, float),
  c('LCS', S, S, maybe(50, oneOf(lit('LEN'), lit('IDX'), lit('IDX', 'MINMATCHLEN', '2'), lit('IDX', 'WITHMATCHLEN')))),
]

const bitAt: Make = (r) => [r.chance(5) ? r.pick(ODD_NUMBERS) : `${r.chance(10) ? '#' : ''}${r.below(300)}`]
const rangeEnd: Make = (r) => [r.chance(4) ? r.pick(ODD_NUMBERS) : String(r.below(60) - 20)]
const rangeUnit: Make = (r) => [r.chance(5) ? 'BITS' : r.pick(['BIT', 'byte'])]
const fieldType: Make = (r) => [
  r.chance(5) ? r.pick(['u64', 'i65', 'u0', 'x8', 'u', 'U8', 'i-1']) : r.pick(['u', 'i']) + String(1 + r.below(63)),
]
const fieldValue: Make = (r) => [
  r.chance(10) ? r.pick(ODD_NUMBERS) : r.chance(50) ? r.pick(NUMBERS) : String(2n ** BigInt(r.below(63)) - 1n),
]
const fieldRead = c('GET', fieldType, bitAt)
const fieldOperation = oneOf(
  fieldRead,
  c('SET', fieldType, bitAt, fieldValue),
  c('INCRBY', fieldType, bitAt, fieldValue),
  c('OVERFLOW', oneOf(lit('WRAP'), lit('sat'), lit('FAIL'), lit('FAIL'), lit('SAT'), lit('NONE'))),
)

const BITMAPS: Make[] = [
  c('SETBIT', S, bitAt, oneOf(lit('0'), lit('1'), lit('1'), small)),
  c('GETBIT', S, bitAt),
  c('BITCOUNT', S, maybe(70, rangeEnd, maybe(95, rangeEnd, maybe(60, rangeUnit)))),
  c('BITPOS', S, oneOf(lit('0'), lit('1'), small), maybe(70, rangeEnd, maybe(80, rangeEnd, maybe(60, rangeUnit)))),
  c('BITOP', oneOf(lit('AND'), lit('or'), lit('XOR')), S, many(1, 4, S)),
  c('BITOP', oneOf(lit('NOT'), lit('NOTHING')), S, many(1, 1, S)),
  c('BITFIELD', S, many(0, 5, fieldOperation)),
  c('BITFIELD_RO', S, many(0, 3, fieldRead)),
  c('BITFIELD_RO', S, fieldRead, fieldOperation),
]

/** Not of strings: what bit commands may make of a HyperLogLog ends within a run, and Redis reads on behind it. */
const P: Make = (r) => [r.chance(6) ? `${r.pick(['l', 'h', 'p'])}:${r.below(6)}` : `p:${r.below(6)}`]
/** Runs that do not come to all registers. */
const CORRUPTED = `HYLL\x01${'\0'.repeat(10)}\x80\x40\x05\x81\x07\x7f\x00`
const element: Make = (r) => [String(r.below(20_000))]
const HYPERLOGLOGS: Make[] = [
  c('PFADD', P, many(0, 4, oneOf(element, word))),
  c('PFADD', P, many(50, 300, element)),
  c('PFCOUNT', many(1, 3, P)),
  c('PFCOUNT', P),
  c('PFMERGE', P, many(0, 3, P)),
  c('PFDEBUG', oneOf(lit('ENCODING'), lit('decode'), lit('TODENSE'), lit('NOSUCH')), P),
  c('DEL', P),
  // What somebody has spoiled.
  c('SETRANGE', P, (r) => [String(r.below(16))], oneOf(lit('\x00'), lit('\xff'))),
  c('SET', P, lit(CORRUPTED)),
  c('CONFIG', 'SET', 'hll-sparse-max-bytes', oneOf(lit('3000'), lit('3000'), lit('300'), lit('0'), lit('1mb'))),
]

const LISTS: Make[] = [
  c('LPUSH', L, many(1, 3, value)),
  c('RPUSH', L, many(1, 3, value)),
  c('RPUSH', L, many(1, 30, value)),
  c('LPUSHX', L, many(1, 2, value)),
  c('RPUSHX', L, many(1, 2, value)),
  c('LPOP', L, maybe(40, small)),
  c('RPOP', L, maybe(40, small)),
  c('LLEN', L),
  c('LINDEX', L, small),
  c('LSET', L, small, value),
  c('LINSERT', L, oneOf(lit('BEFORE'), lit('after'), lit('MIDDLE')), value, value),
  c('LRANGE', L, small, small),
  c('LRANGE', L, lit('0', '-1')),
  c('LTRIM', L, small, lit('-1')),
  c('LTRIM', L, lit('0'), int),
  c('LREM', L, small, value),
  c('LPOS', L, value, maybe(30, c('RANK', small)), maybe(30, c('COUNT', count)), maybe(30, c('MAXLEN', count))),
  c('LMOVE', L, L, oneOf(lit('LEFT'), lit('RIGHT')), oneOf(lit('LEFT'), lit('right'), lit('UP'))),
  c('RPOPLPUSH', L, L),
  c('LMPOP', counted(1, 3, L), oneOf(lit('LEFT'), lit('RIGHT')), maybe(50, c('COUNT', count))),
]

const HASHES: Make[] = [
  c('HSET', H, many(1, 3, field, value)),
  c(
    'HSET',
    H,
    many(5, 40, (r) => [`n${r.below(300)}`], value),
  ),
  c('HMSET', H, many(1, 3, field, value)),
  c('HSETNX', H, field, value),
  c('HGET', H, field),
  c('HMGET', H, many(1, 4, field)),
  c('HGETALL', H),
  c('HKEYS', H),
  c('HVALS', H),
  c('HLEN', H),
  c('HSTRLEN', H, field),
  c('HEXISTS', H, field),
  c('HDEL', H, many(1, 3, field)),
  c('HINCRBY', H, field, int),
  c('HINCRBYFLOAT', H, field, float),
  c('HRANDFIELD', H, lit('0')),
  c('HSCAN', H, lit('0'), lit('COUNT', '10000'), maybe(40, c('MATCH', pattern))),
]

const SETS: Make[] = [
  c('SADD', E, many(1, 4, value)),
  c(
    'SADD',
    E,
    many(1, 10, (r) => [String(r.below(1000) - 500)]),
  ),
  c('SREM', E, many(1, 3, value)),
  c('SISMEMBER', E, value),
  c('SMISMEMBER', E, many(1, 3, value)),
  c('SMEMBERS', E),
  c('SCARD', E),
  c('SPOP', E, lit('1000')),
  c('SRANDMEMBER', E, lit('1000')),
  c('SMOVE', E, E, value),
  c('SINTER', many(1, 3, E)),
  c('SUNION', many(1, 3, E)),
  c('SDIFF', many(1, 3, E)),
  c('SINTERSTORE', E, many(1, 3, E)),
  c('SUNIONSTORE', E, many(1, 3, E)),
  c('SDIFFSTORE', E, many(1, 3, E)),
  c('SINTERCARD', counted(1, 3, E), maybe(50, c('LIMIT', count))),
  c('SSCAN', E, lit('0'), lit('COUNT', '10000'), maybe(40, c('MATCH', pattern))),
]

const range: Make = (r) =>
  r.pick([c(small, small), c(scoreBound, scoreBound, 'BYSCORE'), c(scoreBound, scoreBound, 'BYSCORE')])(r)
const ZSETS: Make[] = [
  c('ZADD', Z, many(1, 3, float, value)),
  c(
    'ZADD',
    Z,
    many(5, 40, float, (r) => [`m${r.below(300)}`]),
  ),
  c(
    'ZADD',
    Z,
    maybe(30, oneOf(lit('NX'), lit('XX'))),
    maybe(30, oneOf(lit('GT'), lit('LT'))),
    maybe(30, lit('CH')),
    maybe(20, lit('INCR')),
    many(1, 2, float, value),
  ),
  c('ZINCRBY', Z, float, value),
  c('ZREM', Z, many(1, 3, value)),
  c('ZCARD', Z),
  c('ZSCORE', Z, value),
  c('ZMSCORE', Z, many(1, 3, value)),
  c('ZRANK', Z, value),
  c('ZREVRANK', Z, value),
  c('ZRANGE', Z, range, maybe(30, lit('REV')), maybe(30, c('LIMIT', small, small)), maybe(40, lit('WITHSCORES'))),
  c('ZRANGESTORE', Z, Z, range, maybe(30, lit('REV')), maybe(30, c('LIMIT', small, small))),
  c('ZREVRANGE', Z, small, small, maybe(40, lit('WITHSCORES'))),
  c('ZRANGEBYSCORE', Z, scoreBound, scoreBound, maybe(40, lit('WITHSCORES')), maybe(30, c('LIMIT', small, small))),
  c('ZREVRANGEBYSCORE', Z, scoreBound, scoreBound, maybe(40, lit('WITHSCORES')), maybe(30, c('LIMIT', small, small))),
  c('ZRANGEBYLEX', LEX, lexBound, lexBound, maybe(30, c('LIMIT', small, small))),
  c('ZREVRANGEBYLEX', LEX, lexBound, lexBound, maybe(30, c('LIMIT', small, small))),
  c('ZCOUNT', Z, scoreBound, scoreBound),
  c('ZLEXCOUNT', LEX, lexBound, lexBound),
  c('ZREMRANGEBYRANK', Z, small, small),
  c('ZREMRANGEBYSCORE', Z, scoreBound, scoreBound),
  c('ZADD', LEX, many(1, 5, lit('0'), value)),
  c('ZRANGE', LEX, lexBound, lexBound, 'BYLEX', maybe(30, c('LIMIT', small, small))),
  c('ZREMRANGEBYLEX', LEX, lexBound, lexBound),
  c('ZPOPMIN', Z, maybe(40, small)),
  c('ZPOPMAX', Z, maybe(40, small)),
  c('ZMPOP', counted(1, 3, Z), oneOf(lit('MIN'), lit('MAX')), maybe(50, c('COUNT', count))),
  c(
    oneOf(lit('ZUNION'), lit('ZINTER')),
    counted(1, 3, oneOf(Z, Z, E)),
    maybe(30, c('WEIGHTS', float, maybe(80, float))),
    maybe(40, c('AGGREGATE', oneOf(lit('SUM'), lit('MIN'), lit('MAX')))),
    maybe(40, lit('WITHSCORES')),
  ),
  c('ZDIFF', counted(1, 3, oneOf(Z, E)), maybe(40, lit('WITHSCORES'))),
  c(
    oneOf(lit('ZUNIONSTORE'), lit('ZINTERSTORE')),
    Z,
    counted(1, 3, oneOf(Z, Z, E)),
    maybe(40, c('AGGREGATE', oneOf(lit('SUM'), lit('MIN'), lit('MAX')))),
  ),
  c('ZDIFFSTORE', Z, counted(1, 3, oneOf(Z, E))),
  c('ZINTERCARD', counted(1, 3, Z), maybe(50, c('LIMIT', count))),
  c('ZRANDMEMBER', Z, lit('0')),
  c('ZSCAN', Z, lit('0'), lit('COUNT', '10000'), maybe(40, c('MATCH', pattern))),
]

/**
 * No two members are equally far: of those, Redis and we put others first when there is a COUNT. So positions have many
 * digits, and no sorted set of another kind is searched.
 */
const G: Make = (r) => [r.chance(4) ? r.pick(['s:0', 'missing', '']) : `g:${r.below(3)}`]
const NO_COORDINATES = ['abc', '', 'nan', 'inf', '181', '-1e300']
const place: Make = (r) => [`m${r.below(60)}`]
const coordinates: Make = (r) => [
  r.chance(3) ? r.pick(NO_COORDINATES) : String((r.below(360_000_000) - 180_000_000) / 1e6),
  r.chance(3) ? r.pick(NO_COORDINATES) : String((r.below(170_000_000) - 85_000_000) / 1e6),
]
const length: Make = (r) => [r.chance(5) ? r.pick(ODD_NUMBERS) : String(r.below(2_100_000) / 100)]
const lengthUnit: Make = (r) => [r.chance(3) ? 'parsec' : r.pick(['km', 'km', 'mi', 'M', 'ft'])]
const middle: Make = oneOf(c('FROMMEMBER', place), c('FROMLONLAT', coordinates))
const shape: Make = oneOf(c('BYRADIUS', length, lengthUnit), c('BYBOX', length, length, lengthUnit))
const hitOptions: Make = c(
  maybe(40, oneOf(lit('ASC'), lit('DESC'))),
  maybe(30, c('COUNT', count, maybe(30, lit('ANY')))),
)
const hitFacts: Make = c(maybe(40, lit('WITHDIST')), maybe(30, lit('WITHCOORD')), maybe(30, lit('WITHHASH')))

const GEOS: Make[] = [
  c('GEOADD', G, many(1, 12, coordinates, place)),
  c('GEOADD', G, maybe(60, oneOf(lit('NX'), lit('XX'))), maybe(50, lit('CH')), many(1, 3, coordinates, place)),
  c('GEOPOS', G, many(0, 3, place)),
  c('GEOHASH', oneOf(G, Z), many(0, 3, oneOf(place, word))),
  c('GEODIST', G, place, place, maybe(50, lengthUnit)),
  c('GEOSEARCH', G, middle, shape, hitOptions, hitFacts),
  c('GEOSEARCHSTORE', G, G, middle, shape, hitOptions),
  c('GEORADIUS', G, coordinates, length, lengthUnit, hitOptions, hitFacts),
  c('GEORADIUSBYMEMBER', G, place, length, lengthUnit, hitOptions, maybe(30, c('STORE', G))),
]

const STREAMS: Make[] = [
  c(
    'XADD',
    X,
    maybe(15, lit('NOMKSTREAM')),
    maybe(
      20,
      c(oneOf(lit('MAXLEN'), lit('MINID')), maybe(50, oneOf(lit('~'), lit('='))), count, maybe(20, c('LIMIT', count))),
    ),
    (r) => [r.chance(20) ? `${r.below(60)}-*` : `${r.below(100)}-${r.below(5)}`],
    many(1, 3, field, value),
  ),
  c('XADD', X, (r) => [`${60 + r.below(100000)}-${r.below(5)}`], many(1, 3, lit('same'), value)),
  c('XLEN', X),
  c('XRANGE', X, streamBound, streamBound, maybe(40, c('COUNT', small))),
  c('XREVRANGE', X, streamBound, streamBound, maybe(40, c('COUNT', small))),
  c('XDEL', X, many(1, 3, streamId)),
  c(
    'XTRIM',
    X,
    oneOf(
      c('MAXLEN', maybe(50, lit('=')), count),
      c('MINID', streamId),
      c('MAXLEN', '~', count, maybe(30, c('LIMIT', count))),
    ),
  ),
  c('XREAD', maybe(50, c('COUNT', count)), 'STREAMS', X, streamId),
  c('XREAD', 'STREAMS', X, X, streamId, streamId),
  c(
    'XGROUP',
    'CREATE',
    X,
    group,
    oneOf(lit('$'), lit('0'), streamId),
    maybe(30, lit('MKSTREAM')),
    maybe(20, c('ENTRIESREAD', count)),
  ),
  c('XGROUP', 'SETID', X, group, oneOf(lit('$'), lit('0'), streamId), maybe(20, c('ENTRIESREAD', count))),
  c('XGROUP', 'DESTROY', X, group),
  c('XGROUP', 'CREATECONSUMER', X, group, consumer),
  c('XGROUP', 'DELCONSUMER', X, group, consumer),
  c(
    'XREADGROUP',
    'GROUP',
    group,
    consumer,
    maybe(60, c('COUNT', count)),
    maybe(15, lit('NOACK')),
    'STREAMS',
    X,
    oneOf(lit('>'), lit('>'), lit('0'), streamId),
  ),
  c('XACK', X, group, many(1, 3, streamId)),
  c(
    'XCLAIM',
    X,
    group,
    consumer,
    lit('0'),
    many(1, 3, streamId),
    maybe(20, lit('FORCE')),
    maybe(20, lit('JUSTID')),
    maybe(20, c('RETRYCOUNT', count)),
    maybe(10, c('LASTID', streamId)),
  ),
  c(
    'XAUTOCLAIM',
    X,
    group,
    consumer,
    lit('0'),
    oneOf(lit('0'), streamId),
    maybe(40, c('COUNT', count)),
    maybe(30, lit('JUSTID')),
  ),
  c('XPENDING', X, group),
  c('XPENDING', X, group, maybe(20, lit('IDLE', '0')), streamBound, streamBound, count, maybe(40, consumer)),
  c('XINFO', 'STREAM', X),
  c('XINFO', 'STREAM', X, 'FULL', maybe(50, c('COUNT', count))),
  c('XINFO', 'GROUPS', X),
  c('XINFO', 'CONSUMERS', X, group),
  // What XSETID accepts has changed with 7.2: here only what both refuse.
  c('XSETID', X, lit('abc'), maybe(20, c('ENTRIESADDED', count))),
]

const GENERIC: Make[] = [
  c('DEL', many(1, 2, ANY)),
  c('UNLINK', ANY),
  c('EXISTS', many(1, 3, ANY)),
  c('TYPE', ANY),
  c('TOUCH', many(1, 3, ANY)),
  c('RENAME', ANY, ANY),
  c('RENAMENX', ANY, ANY),
  c('COPY', ANY, ANY, maybe(50, lit('REPLACE'))),
  c(
    'EXPIRE',
    ANY,
    lifetime,
    maybe(40, oneOf(lit('NX'), lit('XX'), lit('GT'), lit('LT'), lit('GT', 'LT'), lit('NX', 'XX'))),
  ),
  c('PEXPIRE', ANY, lifetime),
  c('EXPIREAT', ANY, absolute(1), maybe(30, oneOf(lit('NX'), lit('GT')))),
  c('PEXPIREAT', ANY, absolute(1000)),
  c('TTL', ANY),
  c('PTTL', ANY),
  c('EXPIRETIME', ANY),
  c('PEXPIRETIME', ANY),
  c('PERSIST', ANY),
  c('KEYS', pattern),
  c(
    'SCAN',
    lit('0'),
    lit('COUNT', '10000'),
    maybe(30, c('MATCH', pattern)),
    maybe(30, c('TYPE', oneOf(lit('string'), lit('zset'), lit('nosuch')))),
  ),
  c('DBSIZE'),
  // Elements whose weights are equal or missing come in no promised order with ALPHA: BY and ALPHA are kept apart.
  c(
    'SORT',
    oneOf(L, Z),
    maybe(40, c('BY', oneOf(lit('nosort'), lit('s:*'), lit('h:*->f1')))),
    maybe(30, c('GET', oneOf(lit('#'), lit('s:*'), lit('h:*->f1')))),
    maybe(30, oneOf(lit('ASC'), lit('DESC'))),
  ),
  c(
    'SORT',
    oneOf(L, E, Z),
    maybe(30, c('LIMIT', small, small)),
    maybe(30, c('GET', oneOf(lit('#'), lit('s:*'), lit('h:*->f1')))),
    maybe(30, oneOf(lit('ASC'), lit('DESC'))),
    lit('ALPHA'),
    maybe(10, c('STORE', L)),
  ),
  c('OBJECT', 'REFCOUNT', lit('absent')),
  c('OBJECT', 'ENCODING', oneOf(S, H, Z)),
]

const TRANSACTION_BODIES: Make[] = [...STRINGS, ...BITMAPS, ...LISTS, ...HASHES, ...SETS, ...ZSETS]

/** A script that calls what it is given, and returns the reply. */
const SCRIPT = 'return redis.pcall(unpack(ARGV))'
const SCRIPTS: Make[] = [
  (r) => ['EVAL', SCRIPT, '0', ...r.pick([...STRINGS, ...BITMAPS, ...LISTS, ...HASHES, ...SETS, ...ZSETS])(r)],
  c('EVAL', 'local t = {} for i, v in ipairs(ARGV) do t[i] = tonumber(v) or v end return t', '0', many(0, 4, value)),
  c('EVAL', "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])", '1', S, value),
  c(
    'EVAL',
    "return {redis.call('HGETALL', KEYS[1]), #KEYS, cjson.encode({a = ARGV[1]})}",
    '1',
    (r) => [`missing:${r.below(3)}`],
    lit('x'),
  ),
  c('EVAL', 'return redis.error_reply(ARGV[1])', '0', oneOf(lit('MY error'), lit('oops'), lit('-X y'))),
  c('EVAL', "return redis.call('INCR', KEYS[1])", '1', S),
]

const CONNECTION: Make[] = [
  c('PING', maybe(50, word)),
  c('ECHO', word),
  c('SELECT', oneOf(lit('0'), lit('0'), lit('99'), lit('abc'))),
  c('TIME', lit('extra')),
  c('NOSUCHCOMMAND', many(0, 3, word)),
  c('CLIENT', oneOf(lit('GETNAME'), lit('NOSUCH'), lit('SETNAME', 'x y'))),
  c('PUBLISH', word, word),
  c('UNWATCH'),
  c('DISCARD'),
  c('EXEC'),
]

const FAMILIES: readonly (readonly [number, readonly Make[]])[] = [
  [18, STRINGS],
  [8, BITMAPS],
  [3, HYPERLOGLOGS],
  [14, LISTS],
  [13, HASHES],
  [13, SETS],
  [16, ZSETS],
  [5, GEOS],
  [14, STREAMS],
  [7, GENERIC],
  [3, SCRIPTS],
  [2, CONNECTION],
]

const TOTAL_WEIGHT = FAMILIES.reduce((sum, [weight]) => sum + weight, 0)

/** The next commands: one, or a whole transaction. */
export function nextCommands(r: Random): string[][] {
  if (r.chance(2)) {
    const bodies = r.some(0, 5, () => spoil(r, r.pick(TRANSACTION_BODIES)(r)))
    return [['MULTI'], ...bodies, [r.chance(90) ? 'EXEC' : 'DISCARD']]
  }
  let weight = r.below(TOTAL_WEIGHT)
  for (const [share, family] of FAMILIES) {
    if (weight < share) return withConsumers(spoil(r, r.pick(family)(r)))
    weight -= share
  }
  return [['PING']]
}

/**
 * Since 7.2 a consumer that reads nothing is created all the same: here all consumers exist from the start, so that
 * the older reference server has the same ones.
 */
function withConsumers(words: string[]): string[][] {
  const sub = words[0]!.toLowerCase() === 'xgroup' ? words[1]!.toLowerCase() : ''
  if ((sub !== 'create' && sub !== 'delconsumer') || words.length < 4) return [words]
  return [words, ...CONSUMERS.map((name) => ['XGROUP', 'CREATECONSUMER', words[2]!, words[3]!, name])]
}

/** Makes a few commands malformed: an argument missing, one too many, or one that makes no sense. */
function spoil(r: Random, words: string[]): string[] {
  // With another count they reply, or take away, some random members.
  if (words.some((word) => /^(spop|srandmember)$/i.test(word))) return words
  // Another name of a consumer would create it, in 7.2 only.
  if (words.some((word) => /^x(readgroup|claim|autoclaim)$/i.test(word)))
    return r.chance(3) ? words.slice(0, -1) : words
  if (r.chance(2) && words.length > 1) return words.slice(0, -1)
  // ZRANK takes one more argument since 7.2.
  if (r.chance(1) && !/^z(rev)?rank$/i.test(words[0]!)) return [...words, r.pick(WORDS)]
  if (r.chance(2) && words.length > 2 && words[0] !== 'EVAL' && !words[1]!.startsWith('lex:')) {
    const spoiled = [...words]
    spoiled[1 + r.below(words.length - 1)] = r.pick(ODD_NUMBERS)
    return spoiled
  }
  if (r.chance(5)) return [words[0]!.toLowerCase(), ...words.slice(1)]
  return words
}
