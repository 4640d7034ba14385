/** Commands of hash-field expiration: replies, errors in their order, events, effects and encodings. */
import { beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hashCommands } from '../../../src/commands/hash/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { expireDue } from '../../../src/keyspace/field-expiry.ts'
import { CommandBench } from '../command-bench.ts'

const START_MS = 1_700_000_000_000
const TIME_MAX = 2 ** 46 - 1
const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range'
const FIELDS_MISSING = '-ERR Mandatory argument FIELDS is missing or not at the right position'
const MISMATCH = '-ERR The `numfields` parameter must match the number of arguments'
const NOT_ABOVE_0 = '-ERR Parameter `numFields` should be greater than 0'
const NOT_POSITIVE = '-ERR Number of fields must be a positive integer'

/** Pairs up to which a hash is packed, by what OBJECT ENCODING says of one with expire times. */
const ENCODINGS = [
  ['listpackex', 512],
  ['hashtable', 0],
] as const

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([hashCommands, stringCommands, genericCommands])
  const { keyspace, effects, events } = bench
  keyspace.onFieldExpired = (db, row, field, start, length) =>
    effects.push(`expired: HDEL ${db.keyText(row)} ${field.latin1Slice(start, start + length)}`)
  keyspace.onHashExpired = (db, row, isEmpty) => events.push(`hexpired ${db.keyText(row)}${isEmpty ? ' del' : ''}`)
})

/** Splits a call at spaces. */
function call(text: string): unknown {
  return bench.call(...text.split(' '))
}

/** Makes the hash `h` of fields a, b, c with values 1, 2, 3, and forgets its traces. */
function makeHash(): void {
  call('HSET h a 1 b 2 c 3')
  bench.takeEffects()
  bench.takeEvents()
}

describe.each(ENCODINGS)('in the encoding %s', (encoding, entriesMax) => {
  beforeEach(() => {
    Object.assign(bench.keyspace.limits, { hashMaxListpackEntries: entriesMax })
    makeHash()
  })

  test('HEXPIRE and its kin set times, and are recorded as HPEXPIREAT with the fields that were changed', () => {
    expect(call('HEXPIRE h 10 FIELDS 2 a x')).toEqual([1, -2])
    expect(call('HPEXPIRE h 20000 FIELDS 1 b')).toEqual([1])
    expect(call(`HEXPIREAT h ${START_MS / 1000 + 30} NX FIELDS 3 a b c`)).toEqual([0, 0, 1])
    expect(call('HPEXPIRETIME h FIELDS 4 a b c x')).toEqual([START_MS + 10000, START_MS + 20000, START_MS + 30000, -2])
    expect(bench.takeEffects()).toEqual([
      `HPEXPIREAT h ${START_MS + 10000} FIELDS 1 a`,
      `HPEXPIREAT h ${START_MS + 20000} FIELDS 1 b`,
      `HPEXPIREAT h ${START_MS + 30000} NX FIELDS 1 c`,
    ])
    expect(bench.takeEvents()).toEqual(['hexpire h', 'hexpire h', 'hexpire h'])
    expect(bench.encoding('h')).toBe(encoding)
    expect(bench.keyspace.databases[0]!.fieldExpires.size).toBe(1)
  })

  test.each([
    ['NX', [0, 0, 1]],
    ['XX', [1, 1, 0]],
    ['GT', [1, 0, 0]],
    ['LT', [0, 1, 1]],
  ])('the condition %s compares with the time before; none counts as for ever', (condition, replies) => {
    call('HPEXPIRE h 1000 FIELDS 1 a')
    call('HPEXPIRE h 3000 FIELDS 1 b')
    expect(call(`HPEXPIRE h 2000 ${condition} FIELDS 3 a b c`)).toEqual(replies)
    const before = [1000, 3000, -1]
    const after = before.map((time, i) => (replies[i] === 1 ? 2000 : time))
    expect(call('HPTTL h FIELDS 3 a b c')).toEqual(after)
  })

  test('the same time meets neither GT nor LT', () => {
    call('HPEXPIRE h 1000 FIELDS 1 a')
    expect(call('HPEXPIRE h 1000 GT FIELDS 1 a')).toEqual([0])
    expect(call('HPEXPIRE h 1000 LT FIELDS 1 a')).toEqual([0])
  })

  test('a time that is over removes the fields that meet the condition, and the key with the last one', () => {
    call('HPEXPIRE h 1000 FIELDS 1 b')
    bench.takeEffects()
    bench.takeEvents()
    expect(call(`HPEXPIREAT h ${START_MS} NX FIELDS 3 a b x`)).toEqual([2, 0, -2])
    expect(bench.takeEffects()).toEqual(['HDEL h a'])
    expect(call('HEXPIREAT h 0 FIELDS 3 b b c')).toEqual([2, -2, 2])
    expect(bench.takeEffects()).toEqual(['MULTI', 'HDEL h b', 'HDEL h c', 'EXEC'])
    expect(bench.takeEvents()).toEqual(['hdel h', 'hdel h', 'del h'])
    expect(call('EXISTS h')).toBe(0)
    expect(bench.keyspace.stats.expiredFields).toBe(3)
    expect(bench.keyspace.databases[0]!.fieldExpires.size).toBe(0)
  })

  test('HTTL and HEXPIRETIME round up to seconds', () => {
    call('HPEXPIRE h 1001 FIELDS 1 a')
    expect(call('HTTL h FIELDS 3 a b x')).toEqual([2, -1, -2])
    expect(call('HPTTL h FIELDS 1 a')).toEqual([1001])
    expect(call('HEXPIRETIME h FIELDS 1 a')).toEqual([START_MS / 1000 + 2])
    bench.pass(500)
    expect(call('HPTTL h FIELDS 1 a')).toEqual([501])
    expect(bench.takeEffects()).toEqual([`HPEXPIREAT h ${START_MS + 1001} FIELDS 1 a`])
  })

  test('HPERSIST takes times away, and is no change where there are none', () => {
    call('HPEXPIRE h 1000 FIELDS 2 a b')
    bench.takeEffects()
    bench.takeEvents()
    expect(call('HPERSIST h FIELDS 3 a c x')).toEqual([1, -1, -2])
    expect(call('HPERSIST h FIELDS 2 a c')).toEqual([-1, -1])
    expect(bench.takeEffects()).toEqual(['HPERSIST h FIELDS 3 a c x'])
    expect(bench.takeEvents()).toEqual(['hpersist h'])
    expect(call('HPTTL h FIELDS 2 a b')).toEqual([-1, 1000])
    call('HPERSIST h FIELDS 1 b')
    expect(bench.keyspace.databases[0]!.fieldExpires.size).toBe(0)
    expect(bench.encoding('h')).toBe(encoding)
  })

  test('reading commands pass over fields whose time is over; HLEN still counts them', () => {
    call('HPEXPIRE h 10 FIELDS 2 a b')
    bench.pass(10)
    expect(call('HGETALL h')).toEqual(['c', '3'])
    expect(call('HKEYS h')).toEqual(['c'])
    expect(call('HVALS h')).toEqual(['3'])
    expect(call('HSCAN h 0')).toEqual(['0', ['c', '3']])
    expect(call('HTTL h FIELDS 2 a c')).toEqual([-2, -1])
    expect(call('HLEN h')).toBe(3)
    bench.speak(3)
    expect(bench.wire('HGETALL', 'h')).toBe('%1\r\n$1\r\nc\r\n$1\r\n3\r\n')
  })

  test.each([
    ['HGET h a', null, ['a']],
    ['HMGET h a b c', [null, null, '3'], ['a', 'b']],
    ['HSTRLEN h a', 0, ['a']],
    ['HEXISTS h b', 0, ['b']],
    ['HPERSIST h FIELDS 2 b c', [-2, -1], ['b']],
    ['HRANDFIELD h 5', ['c'], ['a', 'b']],
    ['HRANDFIELD h', 'c', ['a', 'b']],
  ])('%s removes what it meets expired, and tells it once', (command, reply, removed) => {
    call('HPEXPIRE h 10 FIELDS 2 a b')
    bench.pass(10)
    bench.takeEffects()
    bench.takeEvents()
    expect(call(command)).toEqual(reply)
    expect(bench.takeEffects()).toEqual(removed.map((name) => `expired: HDEL h ${name}`))
    expect(bench.takeEvents()).toEqual(['hexpired h'])
    expect(call('HLEN h')).toBe(3 - removed.length)
    expect(bench.keyspace.stats.expiredFields).toBe(removed.length)
  })

  test.each([
    ['HGET h a', null],
    ['HMGET h a b c', [null, null, null]],
    ['HRANDFIELD h', null],
    ['HRANDFIELD h -3', []],
    ['HGETDEL h FIELDS 3 a b c', [null, null, null]],
    ['HGETEX h PERSIST FIELDS 3 a b c', [null, null, null]],
  ])('%s removes the key with the last expired field', (command, reply) => {
    call('HDEL h b c')
    call('HPEXPIRE h 10 FIELDS 1 a')
    bench.pass(10)
    bench.takeEvents()
    expect(call(command)).toEqual(reply)
    expect(bench.takeEvents()).toEqual(['hexpired h del'])
    expect(call('EXISTS h')).toBe(0)
    expect(bench.keyspace.databases[0]!.fieldExpires.size).toBe(0)
  })

  test('where the primary decides, expired fields are hidden and stay', () => {
    call('HPEXPIRE h 10 FIELDS 2 a b')
    bench.pass(10)
    bench.keyspace.isFollowing = true
    bench.takeEffects()
    expect(call('HMGET h a b c')).toEqual([null, null, '3'])
    expect(call('HRANDFIELD h -4')).toEqual(['c', 'c', 'c', 'c'])
    expect(call('HRANDFIELD h 4 WITHVALUES')).toEqual(['c', '3'])
    expect(call('HLEN h')).toBe(3)
    bench.keyspace.findsExpired = true
    expect(call('HMGET h a b c')).toEqual(['1', '2', '3'])
    expect(bench.takeEffects()).toEqual([])
  })

  test('HSET takes the time away, HINCRBY keeps it, and both see what is expired as Redis does', () => {
    call('HPEXPIRE h 10 FIELDS 3 a b c')
    expect(call('HSET h a 5')).toBe(0)
    expect(call('HINCRBY h b 5')).toBe(7)
    expect(call('HPTTL h FIELDS 3 a b c')).toEqual([-1, 10, 10])
    bench.pass(10)
    bench.takeEffects()
    expect(call('HINCRBY h b 5')).toBe(5)
    expect(call('HSETNX h c new')).toBe(1)
    expect(call('HPTTL h FIELDS 2 b c')).toEqual([-1, -1])
    expect(bench.takeEffects()).toEqual(['expired: HDEL h b', 'HINCRBY h b 5', 'expired: HDEL h c', 'HSETNX h c new'])
  })

  test('HINCRBYFLOAT is recorded so that the time stays', () => {
    call('HPEXPIRE h 1000 FIELDS 1 a')
    bench.takeEffects()
    expect(call('HINCRBYFLOAT h a 0.5')).toBe('1.5')
    expect(call('HINCRBYFLOAT h b 0.5')).toBe('2.5')
    expect(call('HPTTL h FIELDS 1 a')).toEqual([1000])
    const time = START_MS + 1000
    expect(bench.takeEffects()).toEqual([
      'MULTI',
      'HSET h a 1.5',
      `HPEXPIREAT h ${time} FIELDS 1 a`,
      'EXEC',
      'HSET h b 2.5',
    ])
  })

  test('HGETEX returns values and sets, keeps or takes away their times', () => {
    expect(call('HGETEX h EX 10 FIELDS 2 a x')).toEqual(['1', null])
    expect(call('HGETEX h FIELDS 2 a b')).toEqual(['1', '2'])
    expect(call('HPTTL h FIELDS 2 a b')).toEqual([10_000, -1])
    expect(call('HGETEX h PERSIST FIELDS 2 a b')).toEqual(['1', '2'])
    expect(call('HGETEX h PERSIST FIELDS 2 a b')).toEqual(['1', '2'])
    expect(call(`HGETEX h PXAT ${START_MS} FIELDS 2 b x`)).toEqual(['2', null])
    expect(call('HGETALL h')).toEqual(['a', '1', 'c', '3'])
    expect(bench.takeEffects()).toEqual([
      `HPEXPIREAT h ${START_MS + 10_000} FIELDS 2 a x`,
      'HPERSIST h FIELDS 2 a b',
      'HDEL h b',
    ])
    expect(bench.takeEvents()).toEqual(['hexpire h', 'hpersist h', 'hdel h'])
  })

  test('HGETDEL returns values and removes the fields, and the key with the last one', () => {
    call('HPEXPIRE h 1000 FIELDS 1 a')
    bench.takeEffects()
    bench.takeEvents()
    expect(call('HGETDEL h FIELDS 3 a x a')).toEqual(['1', null, null])
    expect(call('HGETDEL h FIELDS 1 x')).toEqual([null])
    expect(call('HGETDEL h FIELDS 2 b c')).toEqual(['2', '3'])
    expect(bench.takeEffects()).toEqual(['HDEL h a x a', 'HDEL h b c'])
    expect(bench.takeEvents()).toEqual(['hdel h', 'hdel h', 'del h'])
    expect(call('EXISTS h')).toBe(0)
  })

  test('HSETEX sets values with a time, keeps times or takes them away', () => {
    expect(call('HSETEX h EX 10 FIELDS 2 a 5 d 6')).toBe(1)
    expect(call('HSETEX h KEEPTTL FIELDS 2 a 7 b 8')).toBe(1)
    expect(call('HMGET h a b d')).toEqual(['7', '8', '6'])
    expect(call('HPTTL h FIELDS 3 a b d')).toEqual([10_000, -1, 10_000])
    expect(call('HSETEX h FIELDS 1 a 9')).toBe(1)
    expect(call('HPTTL h FIELDS 2 a d')).toEqual([-1, 10_000])
    expect(bench.takeEffects()).toEqual([
      `HSETEX h PXAT ${START_MS + 10_000} FIELDS 2 a 5 d 6`,
      'HSETEX h KEEPTTL FIELDS 2 a 7 b 8',
      'HSETEX h FIELDS 1 a 9',
    ])
    expect(bench.takeEvents()).toEqual(['hset h', 'hexpire h', 'hset h', 'hset h'])
  })

  test('HSETEX with FNX or FXX sets all or nothing; what is expired does not exist', () => {
    expect(call('HSETEX h FNX EX 10 FIELDS 2 a 5 d 6')).toBe(0)
    expect(call('HSETEX h FXX PX 10 FIELDS 2 a 5 d 6')).toBe(0)
    expect(call('HSETEX h FXX PX 10 FIELDS 2 a 5 b 6')).toBe(1)
    bench.pass(10)
    bench.takeEffects()
    expect(call('HSETEX h FXX FIELDS 1 a 7')).toBe(0)
    expect(call('HSETEX h FNX FIELDS 1 b 7')).toBe(1)
    expect(call('HGETALL h')).toEqual(['c', '3', 'b', '7'])
    expect(bench.takeEffects()).toEqual(['expired: HDEL h a', 'expired: HDEL h b', 'HSETEX h FNX FIELDS 1 b 7'])
    expect(call('HSETEX none FXX FIELDS 1 a 1')).toBe(0)
    expect(call('EXISTS none')).toBe(0)
  })

  test('HSETEX creates a key, unless the time is over: then what was to be set goes', () => {
    expect(call(`HSETEX n PXAT ${START_MS + 5} FIELDS 1 a 1`)).toBe(1)
    expect(call('HPTTL n FIELDS 1 a')).toEqual([5])
    bench.takeEvents()
    bench.takeEffects()
    expect(call(`HSETEX h PXAT ${START_MS} FIELDS 4 a 1 b 2 c 3 d 4`)).toBe(1)
    expect(call('EXISTS h')).toBe(0)
    expect(bench.takeEvents()).toEqual(['hset h', 'hdel h', 'del h'])
    expect(bench.takeEffects()).toEqual(['MULTI', 'HDEL h a', 'HDEL h b', 'HDEL h c', 'EXEC'])
    expect(call('HSETEX none EXAT 1 FIELDS 1 a 1')).toBe(1)
    expect(call('EXISTS none')).toBe(0)
    expect(bench.takeEffects()).toEqual([])
  })

  test('times go with the value: RENAME, COPY and MOVE keep them, and the database knows of each', () => {
    call('HPEXPIRE h 1000 FIELDS 1 a')
    call('RENAME h r')
    call('COPY r c')
    call('COPY r c DB 1')
    call('HPEXPIRE c 5 FIELDS 1 b')
    expect(call('HPTTL r FIELDS 2 a b')).toEqual([1000, -1])
    expect(call('HPTTL c FIELDS 2 a b')).toEqual([1000, 5])
    expect(call('MOVE r 1')).toBe(1)
    const [here, there] = bench.keyspace.databases
    expect([here!.fieldExpires.size, here!.fieldExpires.firstTime()]).toEqual([1, START_MS + 5])
    expect([there!.fieldExpires.size, there!.fieldExpires.firstTime()]).toEqual([2, START_MS + 1000])
    call('SET c string')
    expect(here!.fieldExpires.size).toBe(0)
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  test('a hash whose place in the index has moved expires like any other', () => {
    call('HSET moves x 1')
    call('HPEXPIRE moves 5 FIELDS 1 x')
    // The last row takes the place of the one that goes.
    call('DEL h')
    const db = bench.keyspace.databases[0]!
    expect(db.fieldExpires.firstRow()).toBe(0)
    bench.pass(5)
    expect(expireDue(db, bench.ctx.hash, 10)).toBe(1)
    expect([db.size, db.fieldExpires.size]).toEqual([0, 0])
  })

  test('the active cycle removes what is due in slices, the earliest first', () => {
    call('HPEXPIRE h 10 FIELDS 2 a b')
    call('HSET g x 1')
    call('HPEXPIRE g 5 FIELDS 1 x')
    bench.takeEffects()
    bench.takeEvents()
    const db = bench.keyspace.databases[0]!
    const { hash } = bench.ctx
    expect(expireDue(db, hash, 10)).toBe(0)
    bench.pass(10)
    expect(expireDue(db, hash, 2)).toBe(2)
    expect(expireDue(db, hash, 2)).toBe(1)
    expect(expireDue(db, hash, 2)).toBe(0)
    expect(bench.takeEffects().toSorted()).toEqual(['expired: HDEL g x', 'expired: HDEL h a', 'expired: HDEL h b'])
    expect(bench.takeEvents()).toEqual(['hexpired g del', 'hexpired h', 'hexpired h'])
    expect(call('HGETALL h')).toEqual(['c', '3'])
    expect([db.size, db.fieldExpires.size]).toEqual([1, 0])
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })
})

test('a missing key has no fields', () => {
  for (const command of ['HEXPIRE k 5', 'HPEXPIREAT k 5', 'HTTL k', 'HPEXPIRETIME k', 'HPERSIST k']) {
    expect(call(`${command} FIELDS 2 a b`)).toEqual([-2, -2])
  }
  expect(call('HGETEX k EX 5 FIELDS 2 a b')).toEqual([null, null])
  expect(call('HGETDEL k FIELDS 2 a b')).toEqual([null, null])
  expect(bench.takeEffects()).toEqual([])
})

test('errors come in the order of Redis: type, time, FIELDS, their number', () => {
  call('SET s x')
  makeHash()
  for (const command of [
    'HEXPIRE s x y z 1',
    'HTTL s x y z',
    'HPERSIST s x y z',
    'HGETDEL s x y z',
    'HGETEX s EX x y',
  ]) {
    expect(call(command)).toBe(WRONGTYPE)
  }
  expect(call('HSETEX s EX 5 FIELDS 1 a 1')).toBe(WRONGTYPE)
  expect(call('HEXPIRE h x FIELDS 0 a')).toBe(NOT_AN_INTEGER)
  expect(call('HEXPIRE h -1 x 0 a')).toBe('-ERR invalid expire time, must be >= 0')
  expect(call('HPEXPIRE h -9223372036854775808 x 0 a')).toBe('-ERR invalid expire time, must be >= 0')
  expect(call('HEXPIRE h 9223372036854775807 FIELDS 1 a')).toBe("-ERR invalid expire time in 'hexpire' command")
  expect(call('HEXPIRE h 9223372036854775808 FIELDS 1 a')).toBe(NOT_AN_INTEGER)
  expect(call('HEXPIRE h 1 XX NX FIELDS 1 a')).toBe(FIELDS_MISSING)
  expect(call('HEXPIRE h 1 NX FIELDS x a')).toBe(NOT_ABOVE_0)
  expect(call('HEXPIRE h 1 NX FIELDS 0 a')).toBe(NOT_ABOVE_0)
  expect(call('HEXPIRE h 1 FIELDS 2 a')).toBe(MISMATCH)
  expect(call('HEXPIRE h 1 NX FIELDS 1')).toBe(MISMATCH)
  for (const command of ['HTTL h', 'HPERSIST h', 'HGETDEL h', 'HGETEX h']) {
    expect(call(`${command} FIELD 1 a`)).toBe(FIELDS_MISSING)
    expect(call(`${command} FIELDS 0 a`)).toBe(NOT_POSITIVE)
    expect(call(`${command} FIELDS 2 a`)).toBe(MISMATCH)
    expect(call(`${command} FIELDS 1`)).toMatch(/^-ERR wrong number of arguments for/)
  }
  expect(call('HGETEX h EX 5 FIELDS')).toBe(NOT_POSITIVE)
  expect(call('HGETEX h EX 5 a')).toBe(FIELDS_MISSING)
  expect(call('HGETEX h PERSIST a b')).toBe(FIELDS_MISSING)
  expect(call('HGETEX h EX -5 FIELDS 1 a')).toBe('-ERR invalid expire time, must be >= 0')
  expect(bench.takeEffects()).toEqual([])
})

test('HSETEX reads its arguments one after the other', () => {
  const wrongArity = "-ERR wrong number of arguments for 'hsetex' command"
  const times = '-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified'
  const conditions = '-ERR Only one of FXX or FNX arguments can be specified'
  expect(call('HSETEX h EX 5 PX 5 FIELDS 1 a 1')).toBe(times)
  expect(call('HSETEX h EX 5 KEEPTTL FIELDS 1 a 1')).toBe(times)
  expect(call('HSETEX h KEEPTTL EXAT 5 FIELDS 1 a 1')).toBe(times)
  expect(call('HSETEX h FNX FXX FIELDS 1 a 1')).toBe(conditions)
  expect(call('HSETEX h FNX FNX FIELDS 1 a 1')).toBe(conditions)
  expect(call('HSETEX h EX x FIELDS 1 a 1')).toBe(NOT_AN_INTEGER)
  expect(call('HSETEX h PX -1 FIELDS 1 a 1')).toBe('-ERR invalid expire time, must be >= 0')
  expect(call(`HSETEX h PXAT ${TIME_MAX + 1} FIELDS 1 a 1`)).toBe("-ERR invalid expire time in 'hsetex' command")
  expect(call('HSETEX h FXX FNXX FIELDS 1 a 1')).toBe('-ERR unknown argument: FNXX')
  expect(call('HSETEX h FXX FIELDS 0 a 1')).toBe('-ERR invalid number of fields')
  expect(call('HSETEX h FXX FIELDS x a 1')).toBe('-ERR invalid number of fields')
  expect(call('HSETEX h FIELDS 2 a 1 b')).toBe(wrongArity)
  expect(call('HSETEX h FIELDS 1 a 1 b 2')).toBe(wrongArity)
  expect(call('HSETEX h KEEPTTL FXX FIELDS 1')).toBe(wrongArity)
  expect(call('HSETEX h FXX KEEPTTL FNX EX')).toBe(conditions)
  expect(call('HSETEX h FXX h KEEPTTL EX')).toBe('-ERR unknown argument: h')
  expect(call('HSETEX h FXX EX 5 FXX')).toBe(conditions)
  expect(call('HSETEX h FXX EX 5 EX')).toBe(times)
  expect(call('HSETEX h FXX EX 5 FIELDS')).toBe(wrongArity)
  expect(bench.takeEffects()).toEqual([])
})

test('the latest time is 2^46 - 1 ms', () => {
  makeHash()
  expect(call(`HPEXPIREAT h ${TIME_MAX} FIELDS 1 a`)).toEqual([1])
  expect(call(`HPEXPIREAT h ${TIME_MAX + 1} FIELDS 1 a`)).toBe("-ERR invalid expire time in 'hpexpireat' command")
  expect(call(`HPEXPIRE h ${TIME_MAX - START_MS + 1} FIELDS 1 a`)).toBe(
    "-ERR invalid expire time in 'hpexpire' command",
  )
  expect(call('HPEXPIRETIME h FIELDS 1 a')).toEqual([TIME_MAX])
})

test('a hash that was packed wide becomes a table with its first expire time', () => {
  call(`HSET w a ${'x'.repeat(100)} b 2`)
  expect(call('HPEXPIRE w 10 FIELDS 1 b')).toEqual([1])
  expect(bench.encoding('w')).toBe('hashtable')
  expect(call('HPTTL w FIELDS 2 a b')).toEqual([-1, 10])
})

test('a packed hash with times becomes a table above the thresholds, and keeps them', () => {
  Object.assign(bench.keyspace.limits, { hashMaxListpackEntries: 4 })
  makeHash()
  call('HPEXPIRE h 10 FIELDS 1 b')
  call('HSET h d 4')
  expect(bench.encoding('h')).toBe('listpackex')
  call('HSET h e 5')
  expect(bench.encoding('h')).toBe('hashtable')
  expect(call('HPTTL h FIELDS 2 b e')).toEqual([10, -1])
  expect(bench.keyspace.databases[0]!.fieldExpires.firstTime()).toBe(START_MS + 10)
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test.each([
  ['a few', 20],
  ['nearly all', 995],
  ['all', 1000],
])('HRANDFIELD chooses among the others where %s fields of a table are hidden', (_part, hidden) => {
  const names = Array.from({ length: 1000 }, (_, n) => `f${n}`)
  bench.call('HSET', 'h', ...names.flatMap((name) => [name, `v${name}`]))
  bench.call('HPEXPIRE', 'h', '10', 'FIELDS', String(hidden), ...names.slice(0, hidden))
  bench.pass(10)
  // On a replica they stay.
  bench.keyspace.isFollowing = true
  const shown = new Set(names.slice(hidden))
  expect(call('HLEN h')).toBe(1000)
  for (const count of [1, 3, 300, 900, 2000]) {
    const different = bench.call('HRANDFIELD', 'h', String(count)) as string[]
    expect(different.length).toBe(Math.min(count, shown.size))
    expect(new Set(different).size).toBe(different.length)
    const repeated = bench.call('HRANDFIELD', 'h', String(-count)) as string[]
    expect(repeated.length).toBe(shown.size === 0 ? 0 : count)
    for (const name of [...different, ...repeated]) expect(shown.has(name)).toBe(true)
    const pairs = bench.call('HRANDFIELD', 'h', String(count), 'WITHVALUES') as string[]
    for (let i = 0; i < pairs.length; i += 2) expect(pairs[i + 1]).toBe(`v${pairs[i]}`)
  }
  for (let i = 0; i < 50; i++) {
    const name = call('HRANDFIELD h')
    expect(name === null ? shown.size === 0 : shown.has(String(name))).toBe(true)
  }
})
