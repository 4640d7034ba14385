/** XADD with IDMP and IDMPAUTO, XCFGSET and XIDMPRECORD. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../src/commands/generic/index.ts'
import { streamCommands } from '../../src/commands/stream/index.ts'
import { stringCommands } from '../../src/commands/string/index.ts'
import { RdbError } from '../../src/persistence/rdb/rdb-error.ts'
import { restoreValue } from '../../src/persistence/rdb/restore-value.ts'
import { readStreamExtras } from '../../src/persistence/rdb/stream-extras.ts'
import { Stream } from '../../src/structures/stream.ts'
import { CommandBench } from '../commands/command-bench.ts'
import { bytes, int64, u32 } from '../persistence/rdb/reader-files.ts'
import { mapOf } from './stream-replies.ts'

const NOW = '1700000000000'
/** Version and checksum at the end of a payload. */
const FOOTER_BYTES = 10

describe('idempotent adding', () => {
  let bench: CommandBench

  beforeEach(() => {
    bench = new CommandBench([streamCommands, stringCommands, genericCommands])
  })

  afterEach(() => {
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  const call = (line: string): unknown => bench.call(...line.split(' '))
  const info = (): Record<string, unknown> => mapOf(call('XINFO STREAM s'))

  test('IDMP adds once and replies the ID of the first, whatever the fields are', () => {
    expect(call('XADD s IDMP p a * f 1')).toBe(`${NOW}-0`)
    expect(call('XADD s IDMP p a * g 2 h 3')).toBe(`${NOW}-0`)
    expect(call('XADD s IDMP q a * f 1')).toBe(`${NOW}-1`)
    expect(call('XADD s IDMP p b * f 1')).toBe(`${NOW}-2`)
    expect(call('XRANGE s - +')).toEqual([
      [`${NOW}-0`, ['f', '1']],
      [`${NOW}-1`, ['f', '1']],
      [`${NOW}-2`, ['f', '1']],
    ])
  })

  test('a duplicate is told the ID of the first also when that entry was deleted', () => {
    call('XADD s IDMP p a * f 1')
    call(`XDEL s ${NOW}-0`)
    expect(call('XADD s IDMP p a * f 1')).toBe(`${NOW}-0`)
    expect(call('XLEN s')).toBe(0)
  })

  test('names are byte strings of any length, and ranges of the request are not confused', () => {
    const long = 'x'.repeat(70_000)
    expect(bench.call('XADD', 's', 'IDMP', '\0\x01', '\xff*', '*', 'f', 'v')).toBe(`${NOW}-0`)
    expect(bench.call('XADD', 's', 'IDMP', '\0\x01', '\xff*', '*', 'f', 'v')).toBe(`${NOW}-0`)
    expect(bench.call('XADD', 's', 'IDMP', '\0', '\x01\xff*', '*', 'f', 'v')).toBe(`${NOW}-1`)
    expect(bench.call('XADD', 's', 'IDMP', long, long, '*', 'f', 'v')).toBe(`${NOW}-2`)
    expect(bench.call('XADD', 's', 'IDMP', long, long, '*', 'f', 'v')).toBe(`${NOW}-2`)
    expect(call('XADD s IDMP IDMP MAXLEN * f v')).toBe(`${NOW}-3`)
  })

  test('IDMPAUTO knows entries by fields and values, in any order of the fields', () => {
    expect(call('XADD s IDMPAUTO p * a 1 b 2')).toBe(`${NOW}-0`)
    expect(call('XADD s IDMPAUTO p * b 2 a 1')).toBe(`${NOW}-0`)
    expect(call('XADD s IDMPAUTO p * a 2 b 1')).toBe(`${NOW}-1`)
    expect(call('XADD s IDMPAUTO p * a 1')).toBe(`${NOW}-2`)
    expect(call('XADD s IDMPAUTO p * a1 2 b 2')).toBe(`${NOW}-3`)
    expect(call('XADD s IDMPAUTO p * a 12 b 2')).toBe(`${NOW}-4`)
    expect(call('XADD s IDMPAUTO p * a 1 a 1')).toBe(`${NOW}-5`)
    expect(call('XADD s IDMPAUTO q * a 1 b 2')).toBe(`${NOW}-6`)
    expect(bench.call('XADD', 's', 'IDMPAUTO', 'p', '*', 'f', '')).toBe(`${NOW}-7`)
    expect(bench.call('XADD', 's', 'IDMPAUTO', 'p', '*', 'f', '')).toBe(`${NOW}-7`)
  })

  test('options stand in any order, and a duplicate trims nothing', () => {
    call('XADD s 1-1 f v')
    expect(call('XADD s MAXLEN 9 IDMP p a KEEPREF * f v')).toBe(`${NOW}-0`)
    expect(call('XADD s IDMP p a MAXLEN 1 * f v')).toBe(`${NOW}-0`)
    expect(call('XLEN s')).toBe(2)
    expect(call('XADD none NOMKSTREAM IDMP p a * f v')).toBe(null)
    expect(call('XADD s NOMKSTREAM IDMP p a * f v')).toBe(`${NOW}-0`)
  })

  test.each([
    ['IDMP p * f v', 'ERR Invalid stream ID specified as stream command argument'],
    ['IDMP p a 1-1 f v', 'ERR IDMP/IDMPAUTO can be used only with auto-generated IDs'],
    ['IDMP p a 1-* f v', 'ERR IDMP/IDMPAUTO can be used only with auto-generated IDs'],
    ['IDMPAUTO p 1-1 f v', 'ERR IDMP/IDMPAUTO can be used only with auto-generated IDs'],
    ['IDMP p a IDMP p a * f v', 'ERR IDMP/IDMPAUTO specified multiple times'],
    ['IDMP p a IDMPAUTO p * f v', 'ERR IDMP/IDMPAUTO specified multiple times'],
    ['IDMPAUTO p IDMPAUTO q * f v', 'ERR IDMP/IDMPAUTO specified multiple times'],
    ['IDMP  a * f v', 'ERR IDMP requires a non-empty producer ID'],
    ['IDMP p  * f v', 'ERR IDMP requires a non-empty idempotent ID'],
    ['IDMPAUTO  * f v', 'ERR IDMPAUTO requires a non-empty producer ID'],
    ['IDMP p a * f', "ERR wrong number of arguments for 'xadd' command"],
  ])('XADD s %s is refused', (options, error) => {
    expect(bench.wire('XADD', 's', ...options.split(' '))).toBe(`-${error}\r\n`)
    expect(call('EXISTS s')).toBe(0)
  })

  test('what is remembered ends with its time, and with newer ones of the same producer', () => {
    call('XADD s IDMP p init * f v')
    expect(call('XCFGSET s IDMP-DURATION 60 IDMP-MAXSIZE 3')).toBe('OK')
    for (const name of ['1', '2', '3', '4']) call(`XADD s IDMP p ${name} * f v`)
    expect(call('XADD s IDMP p 4 * f v')).toBe(`${NOW}-4`)
    expect(call('XADD s IDMP p 1 * f v')).toBe(`${NOW}-5`)
    bench.pass(59_999)
    expect(call('XADD s IDMP p 1 * f v')).toBe(`${NOW}-5`)
    bench.pass(1)
    expect(call('XADD s IDMP p 1 * f v')).toBe('1700000060000-0')
    expect(info()).toMatchObject({ 'iids-tracked': 1, 'iids-added': 7, 'iids-duplicates': 2 })
  })

  test('XINFO STREAM tells what is remembered, of streams that remember something', () => {
    call('XADD s * f v')
    expect(Object.keys(info())).toHaveLength(10)
    call('XADD s IDMP p a * f v')
    call('XADD s IDMP p a * f v')
    call('XADD s IDMP q a * f v')
    const fields = {
      'idmp-duration': 100,
      'idmp-maxsize': 100,
      'pids-tracked': 2,
      'iids-tracked': 2,
      'iids-added': 2,
      'iids-duplicates': 1,
    }
    const brief = Object.keys(info())
    expect(brief.slice(7, 14)).toEqual([...Object.keys(fields), 'groups'])
    expect(brief).toHaveLength(16)
    expect(info()).toMatchObject(fields)
    const full = mapOf(call('XINFO STREAM s FULL'))
    expect(Object.keys(full)).toHaveLength(15)
    expect(full).toMatchObject(fields)
  })

  test('a changed setting makes a stream forget, the same one does not', () => {
    call('XADD s IDMP p a * f v')
    call('XADD s IDMP p b * f v')
    expect(call('XCFGSET s IDMP-DURATION 100 IDMP-MAXSIZE 100')).toBe('OK')
    expect(call('XADD s IDMP p a * f v')).toBe(`${NOW}-0`)
    call('XCFGSET s IDMP-MAXSIZE 5000')
    expect(info()).toMatchObject({ 'idmp-duration': 100, 'idmp-maxsize': 5000, 'iids-tracked': 0, 'iids-added': 2 })
    expect(call('XADD s IDMP p a * f v')).toBe(`${NOW}-2`)
    call('XCFGSET s IDMP-DURATION 5')
    expect(call('XADD s IDMP p a * f v')).toBe(`${NOW}-3`)
  })

  test.each([
    ['s', 'ERR At least one parameter must be specified'],
    ['none IDMP-DURATION 5', 'ERR no such key'],
    ['text IDMP-DURATION 5', 'WRONGTYPE Operation against a key holding the wrong kind of value'],
    ['s IDMP-DURATION', 'ERR syntax error'],
    ['s INVALID', 'ERR syntax error'],
    ['s IDMP-DURATION 000', 'ERR value is not an integer or out of range'],
    ['s IDMP-DURATION 0', 'ERR IDMP-DURATION must be between 1 and 86400 seconds'],
    ['s IDMP-DURATION 86401', 'ERR IDMP-DURATION must be between 1 and 86400 seconds'],
    ['s IDMP-MAXSIZE -5', 'ERR IDMP-MAXSIZE must be between 1 and 10000 entries'],
    ['s IDMP-MAXSIZE 10001', 'ERR IDMP-MAXSIZE must be between 1 and 10000 entries'],
    ['s IDMP-MAXSIZE 1 IDMP-MAXSIZE 1', 'ERR IDMP-MAXSIZE specified multiple times'],
    ['s IDMP-DURATION 1 IDMP-DURATION 1', 'ERR IDMP-DURATION specified multiple times'],
  ])('XCFGSET %s is refused', (args, error) => {
    call('XADD s 1-1 f v')
    call('SET text x')
    expect(bench.wire('XCFGSET', ...args.split(' '))).toBe(`-${error}\r\n`)
  })

  test('XIDMPRECORD makes a stream remember an entry that is there', () => {
    call('XADD s 1-1 f v')
    call('XADD s 2-1 f v')
    call('XCFGSET s IDMP-DURATION 86400')
    expect(bench.wire('XIDMPRECORD', 'none', 'p', 'a', '1-1')).toBe('-ERR no such key\r\n')
    expect(bench.wire('XIDMPRECORD', 's', 'p', 'a', '3-1')).toBe(
      "-ERR The specified stream ID was deleted or doesn't exist\r\n",
    )
    expect(bench.wire('XIDMPRECORD', 's', 'p', 'a', 'x')).toMatch('-ERR Invalid stream ID')
    call('XADD s 1700000000000-1 f v')
    call('XADD s 1700000000000-2 f v')
    expect(call('XIDMPRECORD s p a 1700000000000-1')).toBe('OK')
    expect(call('XIDMPRECORD s p a 1700000000000-1')).toBe('OK')
    expect(bench.wire('XIDMPRECORD', 's', 'p', 'a', '1700000000000-2')).toBe(
      '-ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID\r\n',
    )
    expect(call('XADD s IDMP p a * f v')).toBe('1700000000000-1')
  })

  test('a log has the ID and, for IDMPAUTO, what stands for the content', () => {
    bench.takeEffects()
    call('XADD s IDMP p a * f v')
    call('XADD s IDMP p a * g w')
    call('XADD s IDMPAUTO q * f v')
    call('XCFGSET s IDMP-DURATION 5')
    const effects = bench.takeEffects().filter((effect) => !effect.startsWith('SELECT'))
    expect(effects.slice(0, 2)).toEqual([`XADD s IDMP p a ${NOW}-0 f v`, `XADD s IDMP p a ${NOW}-0 g w`])
    expect(effects[2]).toMatch(new RegExp(`^XADD s IDMP q [^]{16} ${NOW}-1 f v$`))
    expect(effects[3]).toBe('XCFGSET s IDMP-DURATION 5')
  })

  test('COPY, DUMP and RESTORE take along what is remembered, and each copy goes on by itself', () => {
    call('XADD s IDMP p a * f v')
    call('XADD s IDMP p a * f v')
    call('XCFGSET s IDMP-MAXSIZE 100')
    const payload = call('DUMP s') as string
    const before = call('XINFO STREAM s FULL')
    call('COPY s copy')
    expect(bench.call('RESTORE', 'restored', '0', payload)).toBe('OK')
    for (const name of ['copy', 'restored']) {
      expect(call(`XINFO STREAM ${name} FULL`)).toEqual(before)
      expect(call(`XADD ${name} IDMP p a * f v`)).toBe(`${NOW}-0`)
      expect(call(`XADD ${name} IDMP p b * f v`)).toBe(`${NOW}-1`)
      call(`DEL ${name}`)
    }
    expect(call('XINFO STREAM s FULL')).toEqual(before)
    const { arena } = bench.keyspace
    call('DEL s')
    expect([arena.liveBytes, arena.liveBlocks]).toEqual([0, 0])
  })

  test.each([
    1, 2, 5, 9, 30, 60,
  ])('a payload that lacks its last %i bytes is refused, and nothing is left', (missing) => {
    call('XADD s IDMP p a * f v')
    const payload = Buffer.from(call('DUMP s') as string, 'latin1')
    const footer = payload.subarray(-FOOTER_BYTES)
    const cut = Buffer.concat([payload.subarray(0, payload.length - FOOTER_BYTES - missing), footer])
    expect(restoreValue(bench.keyspace, cut, 0, cut.length)).toBeInstanceOf(RdbError)
    call('DEL s')
    expect([bench.keyspace.arena.liveBytes, bench.keyspace.arena.liveBlocks]).toEqual([0, 0])
  })

  test.each([
    ['all that commands take', 86400, 10000, 'p', 'a', null],
    ['a duration that XCFGSET refuses', 86401, 10000, 'p', 'a', /Expected what a stream has/],
    ['a size that XCFGSET refuses', 86400, 10001, 'p', 'a', /Expected what a stream has/],
    ['a producer without a name', 1, 1, '', 'a', /Expected what a stream has/],
    ['an empty idempotent ID', 1, 1, 'p', '', /Expected what a stream has/],
  ])('of a file or payload with %s is told what is wrong', (_what, duration, size, producer, name, problem) => {
    const content = Buffer.concat([
      bytes(1, u32(duration), u32(size), int64(0n), int64(0n), u32(1)),
      bytes(u32(producer.length), producer, u32(name.length), name, int64(0n), int64(0n)),
    ])
    const stream = new Stream(bench.keyspace.arena)
    const found = readStreamExtras(stream, content, 1)
    if (problem === null) expect(found).toBe(null)
    else expect(found).toMatch(problem)
    stream.free()
  })

  test('a payload with any byte changed is an error or a value, and nothing is left behind', () => {
    call('XADD s IDMP p a * f v')
    call('XADD s IDMP producer b * f v')
    call('XGROUP CREATE s g 0')
    call('XREADGROUP GROUP g c STREAMS s >')
    call(`XNACK s g FAIL IDS 1 ${NOW}-0`)
    const payload = Buffer.from(call('DUMP s') as string, 'latin1')
    call('DEL s')
    const { keyspace } = bench
    for (let at = 0; at < payload.length - FOOTER_BYTES; at++) {
      for (const bits of [0x01, 0x80, 0xff]) {
        const changed = Buffer.from(payload)
        changed[at]! ^= bits
        const restored = restoreValue(keyspace, changed, 0, changed.length)
        if (!(restored instanceof RdbError)) keyspace.freeDetached(restored.kind, restored.value)
        const left = [keyspace.arena.liveBytes, keyspace.arena.liveBlocks]
        expect(left, `byte ${at}, bits ${bits}`).toEqual([0, 0])
      }
    }
  })
})
