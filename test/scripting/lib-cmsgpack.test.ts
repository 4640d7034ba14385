/** The `cmsgpack` library: bytes of packed values, errors of malformed input. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCmsgpackLib } from '../../src/scripting/lua/lib-cmsgpack.ts'
import type { LuaValue } from '../../src/scripting/lua/value.ts'
import { callLibrary, dumpValue, resultOf, tableOf, tableOfEntries } from './lib-oracle.ts'

const cmsgpack = createCmsgpackLib()
const nested = (depth: number): LuaValue =>
  Array.from({ length: depth }).reduce<LuaValue>((inner) => tableOf([inner]), 1)

describe('cmsgpack.pack', () => {
  const cases: [title: string, values: LuaValue[], bytes: string][] = [
    ['nil and booleans', [undefined, false, true], '\xc0\xc2\xc3'],
    ['small integers', [0, 127, -1, -32], '\0\x7f\xff\xe0'],
    ['8-bit integers', [128, -33], '\xcc\x80\xd0\xdf'],
    ['16-bit integers', [256, -129], '\xcd\x01\0\xd1\xff\x7f'],
    ['32-bit integers', [65536, -32769], '\xce\0\x01\0\0\xd2\xff\xff\x7f\xff'],
    ['64-bit integers', [2 ** 32, -(2 ** 31) - 1], '\xcf\0\0\0\x01\0\0\0\0\xd3\xff\xff\xff\xff\x7f\xff\xff\xff'],
    ['a timestamp', [1700000000000], '\xcf\0\0\x01\x8b\xcf\xe5\x68\0'],
    ['2^63 as a single', [2 ** 63], '\xca\x5f\0\0\0'],
    ['negative zero as the integer', [-0], '\0'],
    ['exact singles', [1.5], '\xca\x3f\xc0\0\0'],
    ['doubles', [0.1], '\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a'],
    ['strings', ['', 'ab'], '\xa0\xa2ab'],
    ['a string of 32 bytes', ['x'.repeat(32)], `\xd9\x20${'x'.repeat(32)}`],
    ['a string of 256 bytes', ['x'.repeat(256)], `\xda\x01\0${'x'.repeat(256)}`],
    ['an empty table as an array', [tableOf([])], '\x90'],
    ['an array', [tableOf([1, 'a'])], '\x92\x01\xa1a'],
    ['an array of 16', [tableOf(Array(16).fill(1))], `\xdc\0\x10${'\x01'.repeat(16)}`],
    ['a list with a hole as a map', [tableOf([1, undefined, 3])], '\x82\x01\x01\x03\x03'],
    ['a list with a name as a map', [tableOf([5], { a: 1 })], '\x82\x01\x05\xa1a\x01'],
    ['16 levels, then nil', [nested(17)], `${'\x91'.repeat(16)}\xc0`],
  ]
  it.each(cases)('packs %s', (_title, values, bytes) => {
    expect(resultOf(cmsgpack, 'pack', ...values)).toBe(bytes)
  })

  it('needs an argument', () => {
    expect(callLibrary(cmsgpack, 'pack')).toBe("error: bad argument #0 to 'pack' (MessagePack pack needs input.)")
  })
})

describe('cmsgpack.unpack', () => {
  const cases: [name: string, args: LuaValue[], dump: string][] = [
    ['unpack', [''], ''],
    ['unpack', ['\x01\x02\x03'], 'n1 n2 n3'],
    ['unpack', ['\xcf\xff\xff\xff\xff\xff\xff\xff\xff'], 'n-1'],
    ['unpack', ['\x93\xc0\x01\xc0'], '{n2=n1}'],
    ['unpack', ['\x82\xa1a\x01\xa1a\xc0'], '{}'],
    ['unpack', [5], 'n53'],
    ['unpack_one', ['\x01\x02\x03'], 'n1 n1'],
    ['unpack_one', ['\x01\x02\x03', 2], 'n-1 n3'],
    ['unpack_one', [''], 'n-1'],
    ['unpack_limit', ['\x01\x02\x03', 2], 'n2 n1 n2'],
    ['unpack_limit', ['\x01\x02\x03', 0], 'n1 n2 n3'],
    ['unpack_limit', ['\x01\x02\x03', 0, 2], 'n2'],
  ]
  it.each(cases)('%s(%j) gives %s', (name, args, dump) => {
    expect(callLibrary(cmsgpack, name, ...args)).toBe(dump)
  })

  const tooMany = 'stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)'
  const errors: [name: string, args: LuaValue[], message: string][] = [
    ['unpack', ['\xc1'], 'Bad data format in input.'],
    ['unpack', ['\x92\x01'], 'Missing bytes in input.'],
    ['unpack', ['\xdd\xff\xff\xff\xff\x01'], 'Missing bytes in input.'],
    ['unpack', ['\x81\xc0\x01'], 'table index is nil'],
    ['unpack', ['\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01'], 'table index is NaN'],
    ['unpack', ['\x01'.repeat(8000)], tooMany],
    ['unpack', ['\x91'.repeat(1501)], 'stack overflow (in function mp_decode_to_lua_array)'],
    ['unpack', ['\x81\x01'.repeat(1501)], tooMany],
    ['unpack', [], "bad argument #1 to 'unpack' (string expected, got no value)"],
    ['unpack_one', ['\x01', 5], 'Start offset 5 greater than input length 1.'],
    ['unpack_one', ['\x01', -1], 'Invalid request to unpack with offset of -1 and limit of 1.'],
    ['unpack_limit', ['\x01'], "bad argument #2 to 'unpack_limit' (number expected, got no value)"],
  ]
  it.each(errors)('%s(%j) fails with %s', (name, args, message) => {
    expect(callLibrary(cmsgpack, name, ...args)).toBe(`error: ${message}`)
  })

  it('works again after an error inside of nested tables', () => {
    callLibrary(cmsgpack, 'unpack', '\x91'.repeat(1501))
    expect(callLibrary(cmsgpack, 'unpack', `${'\x91'.repeat(1500)}\x90`)).toContain('stack overflow')
    expect(callLibrary(cmsgpack, 'unpack', '\x91\x91\x05')).toBe('{n1={n1=n5}}')
  })

  it('reads back what pack wrote, cut at no place', () => {
    const bytes = fc.string({ unit: 'binary' }).map((s) => Buffer.from(s).toString('latin1'))
    const { value } = fc.letrec<{ value: LuaValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        bytes,
        fc.double({ noNaN: true }).map((n) => n + 0),
        fc.integer(),
        fc.boolean(),
        fc.array(tie('value')).map((list) => tableOf(list)),
        fc.array(fc.tuple(bytes, tie('value'))).map((entries) => tableOfEntries(entries)),
      ),
    }))
    fc.assert(
      fc.property(value, (input) => {
        const packed = String(resultOf(cmsgpack, 'pack', input))
        expect(callLibrary(cmsgpack, 'unpack', packed)).toBe(dumpValue(input))
        for (let size = 1; size < Math.min(packed.length, 50); size++)
          expect(callLibrary(cmsgpack, 'unpack', packed.slice(0, size))).toBe('error: Missing bytes in input.')
      }),
    )
  })
})
