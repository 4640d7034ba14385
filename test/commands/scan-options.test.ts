/** The common part of SCAN, HSCAN, SSCAN and ZSCAN: cursors, options, and the walk over dense rows. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseScanCursor, ScanOptions, ScanScope, scanBottom, scanTop } from '../../src/commands/scan-options.ts'
import { type Args, ArgsBuilder } from '../../src/resp/args.ts'
import { INVALID_CURSOR, NOT_AN_INTEGER, SYNTAX_ERROR } from '../../src/resp/errors.ts'
import { Arena } from '../../src/storage/arena.ts'
import { Dict, DictStride } from '../../src/storage/dict.ts'

function argsOf(...texts: string[]): Args {
  const builder = new ArgsBuilder()
  for (const text of texts) builder.text(text)
  return builder.args
}

function outcome<T>(run: () => T): T | unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

test('a cursor is read as strtoul reads it', () => {
  const max = Number.MAX_SAFE_INTEGER
  const cases: [string, number | typeof INVALID_CURSOR][] = [
    ['0', 0],
    ['17', 17],
    ['007', 7],
    ['+5', 5],
    ['-0', 0],
    ['', 0],
    ['\0', 0],
    ['12\0x', 12],
    ['-1', max],
    ['-18446744073709551615', 1],
    ['9007199254740993', max],
    ['18446744073709551615', max],
    ['18446744073709551616', INVALID_CURSOR],
    ['-18446744073709551616', INVALID_CURSOR],
    [' 1', INVALID_CURSOR],
    ['1 ', INVALID_CURSOR],
    ['x', INVALID_CURSOR],
    ['-', INVALID_CURSOR],
    ['0x10', INVALID_CURSOR],
    ['1.5', INVALID_CURSOR],
  ]
  for (const [text, expected] of cases) {
    expect([text, outcome(() => parseScanCursor(argsOf('sscan', 'k', text), 2))]).toEqual([text, expected])
  }
})

function parsed(scope: ScanScope, ...words: string[]): unknown {
  const options = new ScanOptions()
  return outcome(() => {
    options.parse(argsOf('x', ...words), 1, scope)
    const { count, pattern, type } = options
    return { count, pattern, type }
  })
}

test('options are COUNT, MATCH and, for the keyspace only, TYPE, in any case and order; the last of a kind counts', () => {
  const none = { count: 10, pattern: null, type: null }
  expect(parsed(ScanScope.Collection)).toEqual(none)
  expect(parsed(ScanScope.Collection, 'match', 'a*', 'COUNT', '5')).toEqual({ ...none, count: 5, pattern: 'a*' })
  expect(parsed(ScanScope.Collection, 'COUNT', '5', 'count', '6', 'Match', '*')).toEqual({ ...none, count: 6 })
  expect(parsed(ScanScope.Keyspace, 'TYPE', 'ZSet')).toEqual({ ...none, type: 'zset' })
  expect(parsed(ScanScope.Collection, 'TYPE', 'set')).toBe(SYNTAX_ERROR)
  expect(parsed(ScanScope.Collection, 'NOVALUES')).toBe(SYNTAX_ERROR)
  expect(parsed(ScanScope.Collection, 'MATCH')).toBe(SYNTAX_ERROR)
  expect(parsed(ScanScope.Collection, 'COUNT', '0')).toBe(SYNTAX_ERROR)
  expect(parsed(ScanScope.Collection, 'COUNT', '-3')).toBe(SYNTAX_ERROR)
  expect(parsed(ScanScope.Collection, 'COUNT', 'ten')).toBe(NOT_AN_INTEGER)
})

test('matches takes a missing pattern for any text, and otherwise globs with case', () => {
  const options = new ScanOptions()
  options.parse(argsOf('x', 'MATCH', '*'), 1, ScanScope.Collection)
  expect(options.matches('')).toBe(true)
  options.parse(argsOf('x', 'MATCH', 'a?c'), 1, ScanScope.Collection)
  expect([options.matches('abc'), options.matches('ABC'), options.matches('ac')]).toEqual([true, false, false])
})

test('a scan meets everything that stays in the table, whatever is added and removed between its calls', () => {
  const change = fc.record({ add: fc.boolean(), name: fc.nat({ max: 60 }) })
  const call = fc.record({ count: fc.integer({ min: 1, max: 9 }), changes: fc.array(change, { maxLength: 12 }) })
  fc.assert(
    fc.property(fc.nat({ max: 40 }), fc.infiniteStream(call), (first, calls) => {
      const arena = new Arena()
      const dict = new Dict(arena, DictStride.Set, 5)
      const add = (name: string) => {
        const source = Buffer.from(name)
        if (dict.find(source, 0, source.length) < 0) dict.insert(source, 0, source.length)
      }
      for (let n = 0; n < first; n++) add(String(n))
      const staying = new Set(Array.from({ length: first }, (_, n) => String(n)))
      const met = new Set<string>()
      const options = new ScanOptions()
      let cursor = 0
      for (let turn = 0; ; turn++) {
        const { count, changes } = turn < 100 ? calls.next().value : { count: 1000, changes: [] }
        options.count = count
        const top = scanTop(cursor, dict.size)
        cursor = scanBottom(top, options)
        for (let row = top - 1; row >= cursor; row--) met.add(arena.text(dict.keyRef(row)))
        if (cursor === 0) break
        for (const { add: isAdd, name } of changes) {
          const source = Buffer.from(String(name))
          if (isAdd) add(String(name))
          else {
            const row = dict.find(source, 0, source.length)
            if (row >= 0) dict.remove(row)
            staying.delete(String(name))
          }
        }
      }
      for (const name of staying) expect(met).toContain(name)
    }),
  )
})
