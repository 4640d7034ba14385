/**
 * The commands of HyperLogLogs: events, effects, errors, and values that a redis-server takes and gives. Replies and bytes
 * are compared with one in test/differential too.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../../src/commands/generic/index.ts'
import { hyperloglogCommands } from '../../../src/commands/hyperloglog/index.ts'
import { listCommands } from '../../../src/commands/list/index.ts'
import { stringCommands } from '../../../src/commands/string/index.ts'
import { hasReference } from '../../bytes/reference-server.ts'
import { CommandBench } from '../command-bench.ts'
import { ReferenceClient } from '../reference-client.ts'

const NOT_HYPERLOGLOG = '-WRONGTYPE Key is not a valid HyperLogLog string value.'
const CORRUPTED = '-INVALIDOBJ Corrupted HLL object detected'

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([hyperloglogCommands, stringCommands, genericCommands, listCommands])
  // The database is selected in what is recorded first.
  bench.call('SET', 'first', '')
  bench.takeEffects()
  bench.takeEvents()
})

function elements(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `element:${from + i}`)
}

test('PFADD makes a key without elements too, and is recorded when something changed', () => {
  expect(bench.call('PFADD', 'h')).toBe(1)
  expect(bench.call('PFADD', 'h')).toBe(0)
  expect(bench.call('PFADD', 'h', 'a', 'b')).toBe(1)
  expect(bench.call('PFADD', 'h', 'b', 'a')).toBe(0)
  expect(bench.takeEffects()).toEqual(['PFADD h', 'PFADD h a b'])
  expect(bench.takeEvents().filter((event) => !event.startsWith('new'))).toEqual(['pfadd h', 'pfadd h'])
  expect(bench.call('OBJECT', 'ENCODING', 'h')).toBe('raw')
})

test('PFCOUNT keeps its estimate in the value, which is recorded but is no event', () => {
  bench.call('PFADD', 'h', ...elements(0, 5))
  bench.takeEffects()
  bench.takeEvents()
  expect(bench.call('PFCOUNT', 'h')).toBe(5)
  expect(bench.call('PFCOUNT', 'h')).toBe(5)
  expect(bench.call('PFCOUNT', 'h', 'none')).toBe(5)
  expect(bench.call('PFCOUNT', 'none')).toBe(0)
  expect(bench.takeEffects()).toEqual(['PFCOUNT h'])
  expect(bench.takeEvents()).toEqual([])
  expect(bench.call('GETRANGE', 'h', '8', '15')).toBe('\x05\0\0\0\0\0\0\0')
})

test('PFMERGE joins with what the destination has, and leaks nothing when that becomes dense', () => {
  bench.call('PFADD', 'a', ...elements(0, 100))
  bench.call('PFADD', 'b', ...elements(50, 3000))
  bench.takeEffects()
  bench.takeEvents()
  expect(bench.call('PFDEBUG', 'ENCODING', 'b')).toBe('dense')
  expect(bench.call('PFMERGE', 'a', 'b', 'none')).toBe('OK')
  expect(bench.call('PFDEBUG', 'ENCODING', 'a')).toBe('dense')
  expect(bench.call('PFCOUNT', 'a')).toBe(bench.call('PFCOUNT', 'a', 'b'))
  expect(bench.call('PFMERGE', 'new')).toBe('OK')
  expect(bench.call('PFDEBUG', 'DECODE', 'new')).toBe('Z:16384')
  expect(bench.takeEvents().filter((event) => !event.startsWith('new '))).toEqual(['pfadd a', 'pfadd new'])
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

test('PFDEBUG that makes a value dense is recorded', () => {
  bench.call('PFADD', 'h', 'a')
  bench.takeEffects()
  const registers = bench.call('PFDEBUG', 'GETREG', 'h') as number[]
  expect(registers.length).toBe(16_384)
  expect(registers.filter((value) => value > 0).length).toBe(1)
  expect(bench.call('PFDEBUG', 'TODENSE', 'h')).toBe(0)
  expect(bench.takeEffects()).toEqual(['PFDEBUG GETREG h'])
  expect(bench.call('PFDEBUG', 'DECODE', 'h')).toBe('-ERR HLL encoding is not sparse')
  expect(bench.call('PFDEBUG', 'NOSUCH', 'h')).toBe("-ERR Unknown PFDEBUG subcommand 'NOSUCH'")
  expect(bench.call('PFDEBUG', 'NOSUCH', 'none')).toBe('-ERR The specified key does not exist')
})

test('strings that are none, other types and corrupted values get their errors', () => {
  bench.call('SET', 'text', 'abc')
  bench.call('SET', 'number', '12')
  bench.call('LPUSH', 'list', 'a')
  for (const key of ['text', 'number']) {
    expect(bench.call('PFADD', key, 'a')).toBe(NOT_HYPERLOGLOG)
    expect(bench.call('PFCOUNT', key)).toBe(NOT_HYPERLOGLOG)
    expect(bench.call('PFCOUNT', 'none', key)).toBe(NOT_HYPERLOGLOG)
    expect(bench.call('PFMERGE', 'd', key)).toBe(NOT_HYPERLOGLOG)
  }
  expect(bench.call('PFADD', 'list', 'a')).toMatch(/^-WRONGTYPE Operation/)
  bench.call('SET', 'corrupted', `HYLL\x01${'\0'.repeat(10)}\x80\x01`)
  bench.takeEffects()
  expect(bench.call('PFADD', 'corrupted', 'a')).toBe(CORRUPTED)
  expect(bench.call('PFCOUNT', 'corrupted')).toBe(CORRUPTED)
  expect(bench.call('PFCOUNT', 'corrupted', 'none')).toBe(CORRUPTED)
  expect(bench.call('PFMERGE', 'd', 'corrupted')).toBe(CORRUPTED)
  expect(bench.call('PFDEBUG', 'GETREG', 'corrupted')).toBe(CORRUPTED)
  expect(bench.takeEffects()).toEqual([])
})

test('hll-sparse-max-bytes decides when a value becomes dense', () => {
  bench.keyspace.limits.hllSparseMaxBytes = 30
  bench.call('PFADD', 'h', 'a', 'b', 'c')
  expect(bench.call('PFDEBUG', 'ENCODING', 'h')).toBe('sparse')
  bench.call('PFADD', 'h', ...elements(0, 10))
  expect(bench.call('PFDEBUG', 'ENCODING', 'h')).toBe('dense')
})

test('PFSELFTEST tells a register that does not keep its value, and gives back what it has used', () => {
  // Values of 6 bits are asked for; this makes one of 7.
  bench.ctx.random = () => 65 / 64
  expect(bench.call('PFSELFTEST')).toBe('-ERR TESTFAILED Register 0 should be 65 but is 1')
  const [held, accounted] = bench.accounts()
  expect(held).toEqual(accounted)
})

describe.skipIf(!hasReference)('beside redis-server', () => {
  let reference: ReferenceClient
  beforeAll(async () => {
    reference = await ReferenceClient.start()
  })
  afterAll(async () => {
    await reference?.stop()
  })

  test.each([0, 1, 10, 500, 5000])('values with %i elements go both ways by DUMP and RESTORE', async (count) => {
    const words = ['PFADD', `h${count}`, ...elements(count, count)]
    bench.call(...words)
    expect(bench.call('PFCOUNT', `h${count}`)).toBe(await theirs(words))
    const ours = bench.call('DUMP', `h${count}`)
    if (typeof ours !== 'string') throw new Error('DUMP replied no string')
    expect(await reference.call('RESTORE', 'from-us', '0', ours, 'REPLACE')).toEqual('OK')
    expect(await reference.call('GET', 'from-us')).toBe(bench.call('GET', `h${count}`))
    expect(await reference.call('PFADD', 'from-us', 'one more')).toBe(1)
    const payload = await reference.call('DUMP', 'from-us')
    if (typeof payload !== 'string') throw new Error('DUMP replied no string')
    expect(bench.call('RESTORE', 'from-them', '0', payload)).toBe('OK')
    expect(bench.call('PFCOUNT', 'from-them')).toBe(await reference.call('PFCOUNT', 'from-us'))
    expect(bench.call('GET', 'from-them')).toBe(await reference.call('GET', 'from-us'))
  })

  async function theirs(words: string[]): Promise<unknown> {
    await reference.call(...words)
    return reference.call('PFCOUNT', words[1]!)
  }
})
