/** The commands of sorted sets: replies, errors in their order, events, effects, encodings and accounting. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { setCommands } from '../../../src/commands/set/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { zsetCommands } from '../../../src/commands/zset/index.ts'
import { CommandBench } from '../command-bench.ts'
import type { Reply } from '../resp-decode.ts'

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const NOT_A_FLOAT = '-ERR value is not a valid float'
const SYNTAX_ERROR = '-ERR syntax error'
const RANGE_NOT_A_FLOAT = '-ERR min or max is not a float'
const RANGE_NOT_A_STRING = '-ERR min or max not valid string range item'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([zsetCommands, setCommands, stringCommands])
  bench.ctx.mayBlock = false
})

afterEach(() => {
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

function call(line: string): Reply {
  return bench.call(...line.split(' '))
}

function wire(line: string): string {
  return bench.wire(...line.split(' '))
}

function all(key: string): Reply {
  return call(`ZRANGE ${key} 0 -1 WITHSCORES`)
}

/** The changes that INFO reports, since the last call. */
function takeChanges(): number {
  const { stats } = bench.keyspace
  const changes = stats.changes
  stats.changes = 0
  return changes
}

/** Adds members m0 … with scores 0 … */
function fill(key: string, count: number): void {
  bench.call('ZADD', key, ...Array.from({ length: count }, (_, n) => [String(n), `m${n}`]).flat())
}

/** Both encodings, by the number of members. */
const SIZES: readonly (readonly [encoding: string, count: number])[] = [
  ['listpack', 20],
  ['skiplist', 300],
]

test('ZADD replies how many members are new, and counts changed ones with CH', () => {
  expect(wire('ZADD z 1 a 2 b 1 a')).toBe(':2\r\n')
  expect(call('ZADD z 3 a 4 c')).toBe(1)
  expect(call('ZADD z CH 5 a 4 c 6 d')).toBe(2)
  expect(all('z')).toEqual(['b', '2', 'c', '4', 'a', '5', 'd', '6'])
  expect(bench.takeEvents()).toEqual(['zadd z', 'zadd z', 'zadd z'])
  expect(bench.takeEffects()).toEqual(['SELECT 0', 'ZADD z 1 a 2 b 1 a', 'ZADD z 3 a 4 c', 'ZADD z CH 5 a 4 c 6 d'])
  expect(takeChanges()).toBe(6)
  expect(call('ZADD z CH 5 a')).toBe(0)
  expect([bench.takeEvents(), bench.takeEffects(), takeChanges()]).toEqual([[], [], 0])
})

test('ZADD with NX, XX, GT and LT changes only what they allow', () => {
  expect(call('ZADD none XX 1 a')).toBe(0)
  expect(wire('ZADD none XX INCR 1 a')).toBe('$-1\r\n')
  expect(bench.encoding('none')).toBe('none')
  call('ZADD z 10 a')
  expect(call('ZADD z NX 20 a 1 b')).toBe(1)
  expect(call('ZADD z XX CH 20 a 1 c')).toBe(1)
  expect(call('ZADD z GT CH 15 a 5 b 7 d')).toBe(2)
  expect(call('ZADD z LT CH 15 a 6 b 8 e')).toBe(2)
  expect(call('ZADD z XX LT CH 1 f 14 a')).toBe(1)
  expect(all('z')).toEqual(['b', '5', 'd', '7', 'e', '8', 'a', '14'])
})

test('ZADD INCR and ZINCRBY reply the score, or null when the options forbid the change', () => {
  expect(wire('ZADD z INCR 1.5 a')).toBe('$3\r\n1.5\r\n')
  expect(wire('ZINCRBY z 2 a')).toBe('$3\r\n3.5\r\n')
  expect(wire('ZADD z NX INCR 1 a')).toBe('$-1\r\n')
  expect(wire('ZADD z GT INCR -1 a')).toBe('$-1\r\n')
  expect(wire('ZADD z LT INCR 1 a')).toBe('$-1\r\n')
  expect(bench.takeEvents()).toEqual(['zincr z', 'zincr z'])
  expect(wire('ZINCRBY z 0 a')).toBe('$3\r\n3.5\r\n')
  expect(bench.takeEvents()).toEqual([])
  bench.speak(3)
  expect(wire('ZINCRBY z inf a')).toBe(',inf\r\n')
  expect(wire('ZADD z NX INCR 1 a')).toBe('_\r\n')
  expect(call('ZINCRBY z -inf a')).toBe('-ERR resulting score is not a number (NaN)')
  expect(all('z')).toEqual([['a', { double: 'inf' }]])
})

test('ZADD checks syntax, then options, then scores, then the key, and changes nothing on an error', () => {
  call('SET s x')
  expect(call('ZADD s NX')).toBe("-ERR wrong number of arguments for 'zadd' command")
  expect(call('ZADD s NX XX')).toBe(SYNTAX_ERROR)
  expect(call('ZADD s NX XX 1')).toBe(SYNTAX_ERROR)
  expect(call('ZADD s NX XX GT x a')).toBe('-ERR XX and NX options at the same time are not compatible')
  for (const options of ['NX GT', 'NX LT', 'GT LT', 'XX GT LT']) {
    expect(call(`ZADD s ${options} x a`)).toBe('-ERR GT, LT, and/or NX options at the same time are not compatible')
  }
  expect(call('ZADD s INCR x a y b')).toBe('-ERR INCR option supports a single increment-element pair')
  expect(call('ZADD s 1 a x b')).toBe(NOT_A_FLOAT)
  expect(call('ZADD s nan a')).toBe(NOT_A_FLOAT)
  expect(call('ZADD s 1 a')).toBe(WRONGTYPE)
  expect(call('ZINCRBY s x a')).toBe(NOT_A_FLOAT)
  expect(call('ZINCRBY z NX a')).toBe(SYNTAX_ERROR)
  expect(call('ZADD z 1 a x b')).toBe(NOT_A_FLOAT)
  expect(call('ZCARD z')).toBe(0)
})

test('a sorted set is packed up to the limits, counted before the members are added', () => {
  fill('z', 128)
  expect(bench.encoding('z')).toBe('listpack')
  call('ZADD z 1000 m1')
  expect(bench.encoding('z')).toBe('listpack')
  call('ZADD z 1 one-more')
  expect(bench.encoding('z')).toBe('skiplist')
  fill('big', 129)
  expect(bench.encoding('big')).toBe('skiplist')
  bench.call('ZADD', 'long', '1', 'a'.repeat(64))
  expect(bench.encoding('long')).toBe('listpack')
  bench.call('ZADD', 'long', '1', 'a'.repeat(65))
  expect(bench.encoding('long')).toBe('skiplist')
  bench.call('ZADD', 'longer', '1', 'a'.repeat(65))
  expect(bench.encoding('longer')).toBe('skiplist')
})

test('every command refuses a key of another type', () => {
  call('SET s x')
  call('ZADD z 1 a')
  for (const line of [
    'ZADD s 1 a',
    'ZINCRBY s 1 a',
    'ZREM s a',
    'ZCARD s',
    'ZSCORE s a',
    'ZMSCORE s a',
    'ZRANK s a',
    'ZREVRANK s a WITHSCORE',
    'ZRANGE s 0 -1',
    'ZRANGESTORE d s 0 -1',
    'ZREVRANGE s 0 -1',
    'ZRANGEBYSCORE s 0 1',
    'ZREVRANGEBYSCORE s 1 0',
    'ZRANGEBYLEX s - +',
    'ZREVRANGEBYLEX s + -',
    'ZCOUNT s 0 1',
    'ZLEXCOUNT s - +',
    'ZREMRANGEBYRANK s 0 1',
    'ZREMRANGEBYSCORE s 0 1',
    'ZREMRANGEBYLEX s - +',
    'ZPOPMIN s',
    'ZPOPMAX s 0',
    'BZPOPMIN none s 0',
    'BZPOPMAX s z 0',
    'ZMPOP 2 none s MIN',
    'BZMPOP 0 1 s MAX',
    'ZUNION 2 none s',
    'ZINTER 2 none s',
    'ZDIFF 2 none s',
    'ZUNIONSTORE d 2 z s',
    'ZINTERSTORE d 2 z s',
    'ZDIFFSTORE d 2 z s',
    'ZINTERCARD 2 none s',
    'ZRANDMEMBER s',
    'ZRANDMEMBER s 0',
    'ZSCAN s 0 what ever',
  ]) {
    expect([line, call(line)]).toEqual([line, WRONGTYPE])
  }
})

test('reading commands see a missing key as an empty sorted set', () => {
  for (const [line, reply] of [
    ['ZCARD z', ':0\r\n'],
    ['ZSCORE z a', '$-1\r\n'],
    ['ZMSCORE z a b', '*2\r\n$-1\r\n$-1\r\n'],
    ['ZRANK z a', '$-1\r\n'],
    ['ZRANK z a WITHSCORE', '*-1\r\n'],
    ['ZRANGE z 0 -1', '*0\r\n'],
    ['ZRANGEBYSCORE z -inf +inf WITHSCORES', '*0\r\n'],
    ['ZCOUNT z 0 1', ':0\r\n'],
    ['ZLEXCOUNT z - +', ':0\r\n'],
    ['ZREM z a', ':0\r\n'],
    ['ZREMRANGEBYRANK z 0 -1', ':0\r\n'],
    ['ZPOPMIN z', '*0\r\n'],
    ['ZPOPMAX z 3', '*0\r\n'],
    ['ZMPOP 1 z MIN', '*-1\r\n'],
    ['BZPOPMIN z 0', '*-1\r\n'],
    ['BZMPOP 0 1 z MAX', '*-1\r\n'],
    ['ZRANDMEMBER z', '$-1\r\n'],
    ['ZRANDMEMBER z 3', '*0\r\n'],
    ['ZRANDMEMBER z -3 WITHSCORES', '*0\r\n'],
    ['ZSCAN z 0 what ever', '*2\r\n$1\r\n0\r\n*0\r\n'],
    ['ZINTERCARD 1 z', ':0\r\n'],
    ['ZRANGESTORE d z 0 -1', ':0\r\n'],
  ]) {
    expect([line, wire(line!)]).toEqual([line, reply])
  }
  expect(bench.takeEffects()).toEqual([])
})

test('ZREM removes members, and the key with the last one', () => {
  call('ZADD z 1 a 2 b 3 c')
  bench.takeEvents()
  takeChanges()
  expect(call('ZREM z a x c a')).toBe(2)
  expect(call('ZREM z x')).toBe(0)
  expect(takeChanges()).toBe(2)
  expect(call('ZREM z b b')).toBe(1)
  expect(bench.takeEvents()).toEqual(['zrem z', 'zrem z', 'del z'])
  expect(bench.encoding('z')).toBe('none')
})

test('ZSCORE and ZMSCORE reply scores as doubles', () => {
  call('ZADD z 1 a 2.5 b inf c 1e300 d')
  expect(wire('ZSCORE z b')).toBe('$3\r\n2.5\r\n')
  expect(call('ZMSCORE z a x c d')).toEqual(['1', null, 'inf', '1e+300'])
  bench.speak(3)
  expect(wire('ZMSCORE z a x c')).toBe('*3\r\n,1\r\n_\r\n,inf\r\n')
})

describe.each(SIZES)('in a sorted set with encoding %s', (encoding, count) => {
  beforeEach(() => {
    fill('z', count)
    expect(bench.encoding('z')).toBe(encoding)
    bench.takeEvents()
    bench.takeEffects()
    takeChanges()
  })

  test('ZRANK and ZREVRANK count from both ends', () => {
    expect(call('ZRANK z m7')).toBe(7)
    expect(call('ZREVRANK z m7')).toBe(count - 8)
    expect(call('ZRANK z m7 WITHSCORE')).toEqual([7, '7'])
    expect(call('ZREVRANK z m7 withscore')).toEqual([count - 8, '7'])
    bench.speak(3)
    expect(wire('ZRANK z m7 WITHSCORE')).toBe('*2\r\n:7\r\n,7\r\n')
    expect(wire('ZRANK z none WITHSCORE')).toBe('_\r\n')
    expect(call('ZRANK z m7 WITHSCORES')).toBe(SYNTAX_ERROR)
    expect(call('ZRANK z m7 WITHSCORE x')).toBe("-ERR wrong number of arguments for 'zrank' command")
    expect(call('ZREVRANK z m7 WITHSCORE x')).toBe("-ERR wrong number of arguments for 'zrevrank' command")
  })

  test('ZRANGE takes ranks, scores and members, both ways', () => {
    expect(call('ZRANGE z 0 1')).toEqual(['m0', 'm1'])
    expect(call('ZRANGE z -2 -1')).toEqual([`m${count - 2}`, `m${count - 1}`])
    expect(call('ZRANGE z 1 2 REV WITHSCORES')).toEqual([
      `m${count - 2}`,
      String(count - 2),
      `m${count - 3}`,
      String(count - 3),
    ])
    expect(call('ZRANGE z 5 4')).toEqual([])
    expect(call(`ZRANGE z ${count} ${count}`)).toEqual([])
    expect(call('ZRANGE z -1000 0')).toEqual(['m0'])
    expect(call('ZRANGE z (3 5 BYSCORE')).toEqual(['m4', 'm5'])
    expect(call('ZRANGE z (5 3 BYSCORE REV')).toEqual(['m4', 'm3'])
    expect(call('ZRANGE z -inf (2 BYSCORE WITHSCORES')).toEqual(['m0', '0', 'm1', '1'])
    expect(call('ZRANGE z 3 +inf BYSCORE LIMIT 2 2')).toEqual(['m5', 'm6'])
    expect(call('ZRANGE z 9 0 BYSCORE REV LIMIT 2 2')).toEqual(['m7', 'm6'])
    expect(call('ZRANGE z 9 0 BYSCORE REV LIMIT 8 -1')).toEqual(['m1', 'm0'])
    expect(call('ZRANGE z 0 3 BYSCORE LIMIT -1 5')).toEqual([])
    expect(call('ZRANGE z 0 3 BYSCORE LIMIT 4 5')).toEqual([])
    expect(call('ZRANGE z 0 3 BYSCORE LIMIT 1 0')).toEqual([])
    expect(call('ZREVRANGE z 0 1')).toEqual([`m${count - 1}`, `m${count - 2}`])
    expect(call('ZRANGEBYSCORE z 3 4')).toEqual(['m3', 'm4'])
    expect(call('ZREVRANGEBYSCORE z 4 3')).toEqual(['m4', 'm3'])
    bench.speak(3)
    expect(wire('ZRANGE z 0 1 WITHSCORES')).toBe('*2\r\n*2\r\n$2\r\nm0\r\n,0\r\n*2\r\n$2\r\nm1\r\n,1\r\n')
  })

  test('ZCOUNT counts scores between open and closed ends', () => {
    expect(call('ZCOUNT z 3 5')).toBe(3)
    expect(call('ZCOUNT z (3 (5')).toBe(1)
    expect(call('ZCOUNT z (3 (3')).toBe(0)
    expect(call('ZCOUNT z 5 3')).toBe(0)
    expect(call('ZCOUNT z -inf +inf')).toBe(count)
  })

  test('ZRANGESTORE stores a range with its scores, whatever the destination held', () => {
    call('SET d text')
    expect(call('ZRANGESTORE d z 2 4')).toBe(3)
    expect(all('d')).toEqual(['m2', '2', 'm3', '3', 'm4', '4'])
    expect(call('ZRANGESTORE d z 9 0 BYSCORE REV LIMIT 1 2')).toBe(2)
    expect(all('d')).toEqual(['m7', '7', 'm8', '8'])
    expect(bench.takeEvents()).toEqual(['set d', 'zrangestore d', 'zrangestore d'])
    expect(call('ZRANGESTORE d z (100000 200000 BYSCORE')).toBe(0)
    expect(call('ZRANGESTORE d z (100000 200000 BYSCORE')).toBe(0)
    expect(bench.takeEvents()).toEqual(['del d'])
    expect(call('ZRANGESTORE z z 0 0')).toBe(1)
    expect(all('z')).toEqual(['m0', '0'])
  })

  test('ZREMRANGEBYRANK, -SCORE and -LEX remove a range, and the key with the last member', () => {
    expect(call('ZREMRANGEBYRANK z 0 1')).toBe(2)
    expect(takeChanges()).toBe(2)
    expect(call('ZREMRANGEBYRANK z -1 -1')).toBe(1)
    expect(call('ZREMRANGEBYSCORE z (3 5')).toBe(2)
    expect(call('ZREMRANGEBYSCORE z 4 5')).toBe(0)
    expect(call('ZRANGE z 0 3')).toEqual(['m2', 'm3', 'm6', 'm7'])
    expect(bench.takeEvents()).toEqual(['zremrangebyrank z', 'zremrangebyrank z', 'zremrangebyscore z'])
    expect(call('ZREMRANGEBYLEX z - +')).toBe(count - 5)
    expect(bench.takeEvents()).toEqual(['zremrangebylex z', 'del z'])
    expect(bench.encoding('z')).toBe('none')
  })

  test('ZPOPMIN and ZPOPMAX take members from both ends', () => {
    expect(call('ZPOPMIN z')).toEqual(['m0', '0'])
    expect(call('ZPOPMAX z 2')).toEqual([`m${count - 1}`, String(count - 1), `m${count - 2}`, String(count - 2)])
    expect(call('ZPOPMIN z 0')).toEqual([])
    expect(takeChanges()).toBe(3)
    bench.speak(3)
    expect(wire('ZPOPMIN z')).toBe('*2\r\n$2\r\nm1\r\n,1\r\n')
    expect(wire('ZPOPMIN z 1')).toBe('*1\r\n*2\r\n$2\r\nm2\r\n,2\r\n')
    expect(bench.takeEvents()).toEqual(['zpopmin z', 'zpopmax z', 'zpopmin z', 'zpopmin z'])
    expect(call('ZPOPMAX z 10000')).toHaveLength(count - 5)
    expect(bench.takeEvents()).toEqual(['zpopmax z', 'del z'])
    expect(bench.takeEffects()).toEqual(['ZPOPMIN z', 'ZPOPMAX z 2', 'ZPOPMIN z', 'ZPOPMIN z 1', 'ZPOPMAX z 10000'])
  })

  test('ZMPOP and its blocking relatives are recorded as the pops that they were', () => {
    expect(call('ZMPOP 2 none z MIN')).toEqual(['z', [['m0', '0']]])
    expect(call('ZMPOP 1 z MAX COUNT 2')).toEqual([
      'z',
      [
        [`m${count - 1}`, String(count - 1)],
        [`m${count - 2}`, String(count - 2)],
      ],
    ])
    expect(call('BZPOPMIN none z 0')).toEqual(['z', 'm1', '1'])
    expect(call('BZPOPMAX z 0')).toEqual(['z', `m${count - 3}`, String(count - 3)])
    expect(call('BZMPOP 0 2 none z MIN COUNT 2')).toEqual([
      'z',
      [
        ['m2', '2'],
        ['m3', '3'],
      ],
    ])
    bench.speak(3)
    expect(wire('BZPOPMIN z 0')).toBe('*3\r\n$1\r\nz\r\n$2\r\nm4\r\n,4\r\n')
    expect(wire('ZMPOP 1 z MIN')).toBe('*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$2\r\nm5\r\n,5\r\n')
    expect(call('ZMPOP 1 z MIN COUNT 100000')).toBeInstanceOf(Array)
    expect(bench.takeEffects()).toEqual([
      'ZPOPMIN z 1',
      'ZPOPMAX z 2',
      'ZPOPMIN z',
      'ZPOPMAX z',
      'ZPOPMIN z 2',
      'ZPOPMIN z',
      'ZPOPMIN z 1',
      `ZPOPMIN z ${count - 9}`,
    ])
  })

  test('ZRANDMEMBER replies members with their own scores', () => {
    const one = call('ZRANDMEMBER z') as string
    expect(call(`ZRANK z ${one}`)).toBeTypeOf('number')
    const few = call('ZRANDMEMBER z 5 WITHSCORES') as string[]
    expect(few).toHaveLength(10)
    for (let i = 0; i < 10; i += 2) expect(few[i]).toBe(`m${few[i + 1]}`)
    expect(new Set(few).size).toBe(10)
    expect(new Set(call('ZRANDMEMBER z 10000') as string[]).size).toBe(count)
    expect(call(`ZRANDMEMBER z -${count * 3}`)).toHaveLength(count * 3)
    bench.speak(3)
    expect((call('ZRANDMEMBER z 1 WITHSCORES') as Reply[])[0]).toHaveLength(2)
  })

  test('ZSCAN returns every member once with its score', () => {
    const found = new Map<string, string>()
    let cursor = '0'
    let calls = 0
    do {
      const [next, flat] = call(`ZSCAN z ${cursor} COUNT 50`) as [string, string[]]
      for (let i = 0; i < flat.length; i += 2) found.set(flat[i]!, flat[i + 1]!)
      cursor = next
      calls++
    } while (cursor !== '0')
    expect(found.size).toBe(count)
    for (const [member, score] of found) expect(member).toBe(`m${score}`)
    expect(calls).toBe(encoding === 'listpack' ? 1 : 6)
    expect(call('ZSCAN z 0 MATCH m1? COUNT 1000')).toEqual(['0', expect.arrayContaining(['m11', '11'])])
  })
})

test('ZSCAN prints scores with 17 digits', () => {
  bench.speak(3)
  call('ZADD z 0.1 a 1e20 b')
  expect(call('ZSCAN z 0')).toEqual(['0', ['a', '0.10000000000000001', 'b', '1e+20']])
  bench.keyspace.limits.zsetMaxListpackEntries = 0
  call('ZADD y 0.1 a')
  expect(call('ZSCAN y 0')).toEqual(['0', ['a', '0.10000000000000001']])
  expect(call('ZSCAN y x')).toBe('-ERR invalid cursor')
  expect(call('ZSCAN y 0 COUNT 0')).toBe(SYNTAX_ERROR)
})

test('ranges of members compare bytes', () => {
  bench.call('ZADD', 'z', ...['a', 'b', 'c', 'ca', '\xff', '', '10', '9'].flatMap((member) => ['0', member]))
  expect(call('ZRANGEBYLEX z - +')).toEqual(['', '10', '9', 'a', 'b', 'c', 'ca', '\xff'])
  expect(call('ZRANGEBYLEX z [b (ca')).toEqual(['b', 'c'])
  expect(call('ZREVRANGEBYLEX z (ca [b')).toEqual(['c', 'b'])
  expect(call('ZRANGE z [9 [b BYLEX LIMIT 1 1')).toEqual(['a'])
  expect(call('ZRANGE z + (c BYLEX REV')).toEqual(['\xff', 'ca'])
  expect(call('ZLEXCOUNT z [ (')).toBe(0)
  expect(call('ZLEXCOUNT z [ [')).toBe(1)
  expect(call('ZLEXCOUNT z + -')).toBe(0)
  expect(call('ZLEXCOUNT z + +')).toBe(0)
  expect(call('ZRANGEBYLEX z a +')).toBe(RANGE_NOT_A_STRING)
  expect(call('ZLEXCOUNT z -x +')).toBe(RANGE_NOT_A_STRING)
  expect(bench.call('ZLEXCOUNT', 'z', '', '+')).toBe(RANGE_NOT_A_STRING)
})

test('bounds of scores are read as strtod reads them', () => {
  call('ZADD z 0 a 1 b 16 c inf d')
  expect(call('ZRANGEBYSCORE z 0x10 0x10')).toEqual(['c'])
  expect(bench.call('ZRANGEBYSCORE', 'z', '', '(')).toEqual([])
  expect(bench.call('ZRANGEBYSCORE', 'z', '', '')).toEqual(['a'])
  expect(bench.call('ZRANGEBYSCORE', 'z', ' 1', '\t\n1')).toEqual(['b'])
  expect(bench.call('ZRANGEBYSCORE', 'z', '( 1', '1e999')).toEqual(['c', 'd'])
  expect(call('ZRANGEBYSCORE z 0x1p5000 +inf')).toEqual(['d'])
  expect(call('ZRANGEBYSCORE z 0x1p-5000 1e-5000')).toEqual(['a'])
  for (const bound of ['x', 'nan', '1 ', '(', '((1', '1x', ' ']) {
    const reply = bench.call('ZCOUNT', 'z', bound, bound)
    expect([bound, reply]).toEqual([bound, bound === '(' ? 0 : RANGE_NOT_A_FLOAT])
  }
})

test('ZRANGE checks options one by one, then which exclude each other, then the range, then the key', () => {
  call('SET s x')
  expect(call('ZRANGE s x y LIMIT 1')).toBe(SYNTAX_ERROR)
  expect(call('ZRANGE s x y LIMIT a 1 BYSCORE')).toBe(NOT_AN_INTEGER)
  expect(call('ZRANGE s x y LIMIT 0 1')).toBe(
    '-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX',
  )
  expect(call('ZRANGE s x y BYLEX WITHSCORES')).toBe(
    '-ERR syntax error, WITHSCORES not supported in combination with BYLEX',
  )
  expect(call('ZRANGE s x y')).toBe(NOT_AN_INTEGER)
  expect(call('ZRANGE s x y BYSCORE')).toBe(RANGE_NOT_A_FLOAT)
  expect(call('ZRANGE s x y BYLEX')).toBe(RANGE_NOT_A_STRING)
  expect(call('ZRANGE s 0 -1 REV REV')).toBe(SYNTAX_ERROR)
  expect(call('ZRANGE s 0 -1 BYLEX BYSCORE')).toBe(SYNTAX_ERROR)
  expect(call('ZRANGE s 0 -1 LIMIT 5 -1')).toBe(WRONGTYPE)
  expect(call('ZREVRANGE s 0 -1 REV')).toBe(SYNTAX_ERROR)
  expect(call('ZRANGEBYSCORE s 0 1 BYSCORE')).toBe(SYNTAX_ERROR)
  expect(call('ZRANGEBYLEX s - + WITHSCORES')).toBe(
    '-ERR syntax error, WITHSCORES not supported in combination with BYLEX',
  )
  expect(call('ZRANGESTORE d s 0 -1 WITHSCORES')).toBe(SYNTAX_ERROR)
})

test('popping commands check their arguments in the order of Redis', () => {
  call('SET s x')
  expect(call('ZPOPMIN s 1 2')).toBe(SYNTAX_ERROR)
  expect(call('ZPOPMIN s -1')).toBe('-ERR value is out of range, must be positive')
  expect(call('ZPOPMAX s x')).toBe('-ERR value is out of range, must be positive')
  expect(call('ZMPOP 0 s MIN')).toBe('-ERR numkeys should be greater than 0')
  expect(call('ZMPOP x s MIN')).toBe('-ERR numkeys should be greater than 0')
  expect(call('ZMPOP 2 s MIN')).toBe(SYNTAX_ERROR)
  expect(call('ZMPOP 1 s LOW')).toBe(SYNTAX_ERROR)
  expect(call('ZMPOP 1 s MIN COUNT')).toBe(SYNTAX_ERROR)
  expect(call('ZMPOP 1 s MIN COUNT 0')).toBe('-ERR count should be greater than 0')
  expect(call('ZMPOP 1 s MIN COUNT 1 COUNT 1')).toBe(SYNTAX_ERROR)
  expect(call('BZPOPMIN s x')).toBe('-ERR timeout is not a float or out of range')
  expect(call('BZPOPMIN s -1')).toBe('-ERR timeout is negative')
  expect(call('BZMPOP x 0 s MIN')).toBe('-ERR numkeys should be greater than 0')
  expect(call('BZMPOP x 1 s MIN')).toBe('-ERR timeout is not a float or out of range')
})

test('ZUNION, ZINTER and ZDIFF put scores of sorted sets and sets together', () => {
  call('ZADD a 1 x 2 y 3 z')
  call('ZADD b 10 y 20 z 30 w')
  call('SADD s y w 5')
  expect(call('ZUNION 3 a b s WITHSCORES')).toEqual(['5', '1', 'x', '1', 'y', '13', 'z', '23', 'w', '31'])
  expect(call('ZUNION 2 a b WEIGHTS 2 -1 AGGREGATE MAX WITHSCORES')).toEqual([
    ...['w', '-30', 'x', '2', 'y', '4', 'z', '6'],
  ])
  expect(call('ZINTER 2 a b WITHSCORES')).toEqual(['y', '12', 'z', '23'])
  expect(call('ZINTER 3 a b s AGGREGATE MIN WEIGHTS 1 1 0.5 WITHSCORES')).toEqual(['y', '0.5'])
  expect(call('ZINTER 2 a a WITHSCORES')).toEqual(['x', '2', 'y', '4', 'z', '6'])
  expect(call('ZDIFF 2 a b WITHSCORES')).toEqual(['x', '1'])
  expect(call('ZDIFF 2 s a')).toEqual(['5', 'w'])
  expect(call('ZDIFF 2 a a')).toEqual([])
  expect(call('ZINTERCARD 2 a b')).toBe(2)
  expect(call('ZINTERCARD 2 a b LIMIT 1')).toBe(1)
  expect(call('ZINTERCARD 2 a b LIMIT 0')).toBe(2)
  bench.speak(3)
  expect(wire('ZINTER 2 a s WITHSCORES')).toBe('*1\r\n*2\r\n$1\r\ny\r\n,3\r\n')
})

test('infinities of both signs add up to 0, and so does infinity times a weight of 0', () => {
  call('ZADD a inf x inf y')
  call('ZADD b -inf x 1 y')
  expect(call('ZUNION 2 a b WITHSCORES')).toEqual(['x', '0', 'y', 'inf'])
  expect(call('ZINTER 2 a b WEIGHTS 0 1 WITHSCORES')).toEqual(['x', '-inf', 'y', '1'])
  expect(call('ZUNION 1 a WEIGHTS 0 WITHSCORES')).toEqual(['x', '0', 'y', '0'])
})

test('a weight of -1 makes -0 of a score of 0', () => {
  call('ZADD a 0 x')
  expect(call('ZUNION 1 a WEIGHTS -1 WITHSCORES')).toEqual(['x', '-0'])
  expect(call('ZUNIONSTORE d 1 a WEIGHTS -1')).toBe(1)
  expect(all('d')).toEqual(['x', '0'])
})

test('ZUNIONSTORE, ZINTERSTORE and ZDIFFSTORE store in the smallest encoding, or delete the destination', () => {
  fill('a', 300)
  fill('b', 5)
  call('SET d text')
  bench.takeEvents()
  expect(call('ZINTERSTORE d 2 a b')).toBe(5)
  expect(bench.encoding('d')).toBe('listpack')
  expect(call('ZUNIONSTORE d 2 a b')).toBe(300)
  expect(bench.encoding('d')).toBe('skiplist')
  expect(call('ZDIFFSTORE d 2 a b')).toBe(295)
  expect(call('ZDIFFSTORE a 3 a d b')).toBe(0)
  expect(bench.encoding('a')).toBe('none')
  expect(call('ZUNIONSTORE a 1 none')).toBe(0)
  expect(bench.takeEvents()).toEqual(['zinterstore d', 'zunionstore d', 'zdiffstore d', 'del a'])
  bench.expireAt('d', bench.keyspace.now + 1000)
  expect(call('ZUNIONSTORE d 1 d')).toBe(295)
  expect(bench.expireTime('d')).toBe(-1)
})

test('ZDIFF takes members away from a big first set when the others are small', () => {
  fill('a', 300)
  for (let n = 0; n < 6; n++) call(`ZADD b${n} 1 m${n} 1 other`)
  expect(call('ZDIFFSTORE d 7 a b0 b1 b2 b3 b4 b5')).toBe(294)
  expect(call('ZRANGE d 0 0 WITHSCORES')).toEqual(['m6', '6'])
  call('ZADD one 1 m299')
  expect(call('ZDIFF 4 one a b0 b1')).toEqual([])
})

test('operations check the number of keys, then the keys, then the options', () => {
  call('SET s x')
  call('ZADD a 1 x')
  expect(call('ZUNION 0 s')).toBe("-ERR at least 1 input key is needed for 'zunion' command")
  expect(call('ZINTERSTORE d 0 s')).toBe("-ERR at least 1 input key is needed for 'zinterstore' command")
  expect(call('ZDIFF -1 s')).toBe("-ERR at least 1 input key is needed for 'zdiff' command")
  expect(call('ZINTERCARD 0 s')).toBe("-ERR at least 1 input key is needed for 'zintercard' command")
  expect(call('ZUNION x s')).toBe(NOT_AN_INTEGER)
  expect(call('ZUNION 2 s')).toBe(SYNTAX_ERROR)
  expect(call('ZUNION 1 s WEIGHTS x')).toBe(WRONGTYPE)
  expect(call('ZUNION 1 a WEIGHTS x')).toBe('-ERR weight value is not a float')
  expect(call('ZUNION 2 a a WEIGHTS 1')).toBe(SYNTAX_ERROR)
  expect(call('ZUNION 1 a AGGREGATE AVG')).toBe(SYNTAX_ERROR)
  expect(call('ZUNIONSTORE d 1 a WITHSCORES')).toBe(SYNTAX_ERROR)
  expect(call('ZDIFF 1 a WEIGHTS 1')).toBe(SYNTAX_ERROR)
  expect(call('ZINTERCARD 1 a LIMIT -1')).toBe("-ERR LIMIT can't be negative")
  expect(call('ZINTERCARD 1 a LIMIT x')).toBe("-ERR LIMIT can't be negative")
  expect(call('ZINTERCARD 1 a WITHSCORES')).toBe(SYNTAX_ERROR)
})

test('ZRANDMEMBER checks the count, then the options, then the range of the count', () => {
  call('SET s x')
  expect(call('ZRANDMEMBER s x WITHSCORES y')).toBe(NOT_AN_INTEGER)
  expect(call('ZRANDMEMBER s 1 WITHSCORES y')).toBe(SYNTAX_ERROR)
  expect(call('ZRANDMEMBER s 1 WITHSCORE')).toBe(SYNTAX_ERROR)
  expect(call('ZRANDMEMBER s -9223372036854775807 WITHSCORES')).toBe('-ERR value is out of range')
})

test('AGGREGATE COUNT counts the sets that have a member, each by its weight', () => {
  bench.call('ZADD', 'one', '5', 'a', '7', 'b')
  bench.call('ZADD', 'two', 'inf', 'b', '-3', 'c')
  bench.call('SADD', 'three', 'b')
  expect(bench.call('ZUNION', '3', 'one', 'two', 'three', 'AGGREGATE', 'COUNT', 'WITHSCORES')).toEqual([
    'a',
    '1',
    'c',
    '1',
    'b',
    '3',
  ])
  expect(bench.call('ZINTERSTORE', 'to', '2', 'one', 'two', 'WEIGHTS', '2', '0.5', 'AGGREGATE', 'count')).toBe(1)
  expect(bench.call('ZSCORE', 'to', 'b')).toBe('2.5')
  expect(bench.call('ZINTER', '2', 'one', 'one', 'AGGREGATE', 'COUNT', 'WITHSCORES')).toEqual(['a', '2', 'b', '2'])
})
