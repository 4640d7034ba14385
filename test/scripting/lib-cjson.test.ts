/** The `cjson` library: texts, errors, settings. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CJSON_NULL, createCjsonLib } from '../../src/scripting/lua/lib-cjson.ts'
import type { LuaValue } from '../../src/scripting/lua/value.ts'
import { callLibrary, dumpValue, resultOf, tableOf, tableOfEntries } from './lib-oracle.ts'

const INF = Number.POSITIVE_INFINITY
const cjson = createCjsonLib()
const nested = (depth: number): LuaValue =>
  Array.from({ length: depth }).reduce<LuaValue>((inner) => tableOf([inner]), 1)

describe('cjson.encode', () => {
  const cases: [value: LuaValue, text: string][] = [
    [undefined, 'null'],
    [CJSON_NULL, 'null'],
    [true, 'true'],
    [0, '0'],
    [-0, '-0'],
    [-5, '-5'],
    [1234567890, '1234567890'],
    [1700000000000, '1700000000000'],
    [10000000001, '10000000001'],
    [99999999999999, '99999999999999'],
    [1e14, '1e+14'],
    [123456789012345, '1.2345678901234e+14'],
    [0.1, '0.1'],
    [1e-5, '1e-05'],
    [1e100, '1e+100'],
    ['', '""'],
    ['a/b\x7f"\\\0\b\t\n\v\f\r\xff', '"a\\/b\\u007f\\"\\\\\\u0000\\b\\t\\n\\u000b\\f\\r\xff"'],
    [`${'x'.repeat(60)}/\x7f"\n`, `"${'x'.repeat(60)}\\/\\u007f\\"\\n"`],
    ['x'.repeat(60), `"${'x'.repeat(60)}"`],
    [tableOf([]), '{}'],
    [tableOf([1, undefined, 3]), '[1,null,3]'],
    [tableOf([1], { a: 2 }), '{"1":1,"a":2}'],
    [tableOfEntries([[0, 1]]), '{"0":1}'],
    [tableOfEntries([[1.5, 1]]), '{"1.5":1}'],
    [tableOfEntries([[3, 1]]), '[null,null,1]'],
    [tableOf([], { a: tableOf([true, tableOf([], { b: 'c' })]) }), '{"a":[true,{"b":"c"}]}'],
  ]
  it.each(cases)('writes %j as %s', (value, text) => {
    expect(resultOf(cjson, 'encode', value)).toBe(text)
  })

  const errors: [title: string, args: LuaValue[], message: string][] = [
    ['no argument', [], "bad argument #1 to 'encode' (expected 1 argument)"],
    ['two arguments', [1, 2], "bad argument #1 to 'encode' (expected 1 argument)"],
    ['a function', [() => undefined], 'Cannot serialise function: type not supported'],
    ['infinity', [INF], 'Cannot serialise number: must not be NaN or Inf'],
    ['a sparse array', [tableOfEntries([[20, 1]])], 'Cannot serialise table: excessively sparse array'],
    ['a boolean key', [tableOfEntries([[true, 1]])], 'Cannot serialise boolean: table key must be a number or string'],
    ['deep nesting', [nested(1001)], 'Cannot serialise, excessive nesting (1001)'],
  ]
  it.each(errors)('refuses %s', (_title, args, message) => {
    expect(callLibrary(cjson, 'encode', ...args)).toBe(`error: ${message}`)
  })

  it('writes texts larger than its first buffer, and works on after them and after errors', () => {
    const large = 'é"x'.repeat(600_000).replaceAll('é', '\xe9')
    expect(resultOf(cjson, 'encode', tableOf([large]))).toBe(`["${large.replaceAll('"', '\\"')}"]`)
    callLibrary(cjson, 'encode', tableOf([1, INF]))
    expect(resultOf(cjson, 'encode', tableOf([1, 2]))).toBe('[1,2]')
  })
})

describe('cjson.decode', () => {
  const cases: [text: string, dump: string][] = [
    ['null', 'userdata'],
    [' [ 1 , "a" , { } ] ', '{n1=n1,n2=s1:a,n3={}}'],
    ['{"a":{"b":[true,false,null]}}', '{s1:a={s1:b={n1=t,n2=f,n3=userdata}}}'],
    ['{"a":1,"a":2}', '{s1:a=n2}'],
    ['{"__proto__":1}', '{s9:__proto__=n1}'],
    ['-12.5e1', 'n-125'],
    ['-0', 'n-0'],
    ['01', 'n1'],
    ['0x1p4', 'n16'],
    ['+1', 'n1'],
    ['-Infinity', 'n-inf'],
    ['nan', 'nan'],
    ['"\\ud83d\\ude00\\u00e9\\u20ac\\u0041"', 's10:\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xacA'],
    ['"\\"\\\\\\/\\b\\f\\n\\r\\t"', 's8:"\\/\b\f\n\r\t'],
    ['"\t\n"', 's2:\t\n'],
    [`"${'x'.repeat(200)}\\n\t"`, `s202:${'x'.repeat(200)}\n\t`],
    [`"${'x'.repeat(200)}\\n\\\\"`, `s202:${'x'.repeat(200)}\n\\`],
    ['12\0[', 'n12'],
  ]
  it.each(cases)('reads %j', (text, dump) => {
    expect(callLibrary(cjson, 'decode', text)).toBe(dump)
  })

  const errors: [text: string, message: string][] = [
    ['', 'Expected value but found T_END at character 1'],
    ['[1,', 'Expected value but found T_END at character 4'],
    ['{a}', 'Expected object key string but found invalid token at character 2'],
    ['{"a" 1}', 'Expected colon but found T_NUMBER at character 6'],
    ['{"a":1 2}', 'Expected comma or object end but found T_NUMBER at character 8'],
    ['[1 "a"]', 'Expected comma or array end but found T_STRING at character 4'],
    ['1 ]', 'Expected the end but found T_ARR_END at character 3'],
    ['"abc', 'Expected value but found unexpected end of string at character 5'],
    ['"ab\\q"', 'Expected value but found invalid escape code at character 4'],
    [`"${'x'.repeat(200)}\\q"`, 'Expected value but found invalid escape code at character 202'],
    ['"\\ud800"', 'Expected value but found invalid unicode escape code at character 2'],
    ['-', 'Expected value but found invalid number at character 1'],
    ['\0a', 'JSON parser does not support UTF-16 or UTF-32'],
    ['['.repeat(1001), 'Found too many nested data structures (1001) at character 1001'],
  ]
  it.each(errors)('refuses %j', (text, message) => {
    expect(callLibrary(cjson, 'decode', text)).toBe(`error: ${message}`)
  })

  it('reads back what encode wrote', () => {
    const bytes = fc.string({ unit: 'binary', maxLength: 150 }).map((s) => Buffer.from(s).toString('latin1'))
    const { value } = fc.letrec<{ value: LuaValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        bytes,
        fc.integer(),
        fc.boolean(),
        fc.constant(CJSON_NULL),
        fc.array(tie('value')).map((list) => tableOf(list)),
        fc.array(fc.tuple(bytes, tie('value'))).map((entries) => tableOfEntries(entries)),
      ),
    }))
    fc.assert(
      fc.property(value, (input) => {
        expect(callLibrary(cjson, 'decode', resultOf(cjson, 'encode', input))).toBe(dumpValue(input))
      }),
    )
  })
})

describe('cjson settings', () => {
  it('stay until they are changed, and belong to one library table', () => {
    const first = createCjsonLib()
    const second = createCjsonLib()
    expect(callLibrary(first, 'encode_sparse_array', true)).toBe('t n2 n10')
    expect(resultOf(first, 'encode', tableOfEntries([[20, 1]]))).toBe('{"20":1}')
    expect(callLibrary(second, 'encode_sparse_array')).toBe('f n2 n10')
  })

  it('allow invalid numbers, as themselves or as null', () => {
    const lib = createCjsonLib()
    expect(callLibrary(lib, 'encode_invalid_numbers', 'null')).toBe('s4:null')
    expect(resultOf(lib, 'encode', tableOf([INF, Number.NaN]))).toBe('[null,null]')
    expect(callLibrary(lib, 'encode_invalid_numbers', true)).toBe('t')
    expect(resultOf(lib, 'encode', tableOf([INF, -INF, Number.NaN]))).toBe('[inf,-inf,nan]')
    expect(callLibrary(lib, 'decode_invalid_numbers', false)).toBe('f')
    expect(callLibrary(lib, 'decode', '01')).toBe('error: Expected value but found invalid number at character 1')
    expect(callLibrary(lib, 'decode', 'inf')).toBe('error: Expected value but found invalid token at character 1')
  })

  it('set the precision, rounding ties to even', () => {
    const lib = createCjsonLib()
    expect(callLibrary(lib, 'encode_number_precision', 2)).toBe('n2')
    expect(resultOf(lib, 'encode', tableOf([0.125, 0.375, 100, 2]))).toBe('[0.12,0.38,1e+02,2]')
  })

  it('limit the nesting, but never beyond what the stack holds', () => {
    const lib = createCjsonLib()
    callLibrary(lib, 'decode_max_depth', 1)
    expect(callLibrary(lib, 'decode', '[[1]]')).toBe('error: Found too many nested data structures (2) at character 2')
    callLibrary(lib, 'decode_max_depth', 100000)
    callLibrary(lib, 'encode_max_depth', 100000)
    expect(callLibrary(lib, 'decode', `${'['.repeat(1500)}${']'.repeat(1500)}`)).toContain('{n1={n1=')
    expect(callLibrary(lib, 'decode', '['.repeat(9000))).toContain('(1501) at character 1501')
    expect(callLibrary(lib, 'encode', nested(1501))).toBe('error: Cannot serialise, excessive nesting (1501)')
  })

  it('are checked like the originals', () => {
    const lib = createCjsonLib()
    expect(callLibrary(lib, 'encode_max_depth', 0)).toBe(
      "error: bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)",
    )
    expect(callLibrary(lib, 'encode_max_depth', 1, 2)).toBe(
      "error: bad argument #2 to 'encode_max_depth' (found too many arguments)",
    )
    expect(callLibrary(lib, 'encode_keep_buffer', 'yes')).toBe(
      "error: bad argument #1 to 'encode_keep_buffer' (invalid option 'yes')",
    )
  })
})
