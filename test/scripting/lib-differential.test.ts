/** Data libraries of scripts beside a reference server. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBitLib } from '../../src/scripting/lua/lib-bit.ts'
import { CJSON_NULL, createCjsonLib } from '../../src/scripting/lua/lib-cjson.ts'
import { createCmsgpackLib } from '../../src/scripting/lua/lib-cmsgpack.ts'
import { createStructLib } from '../../src/scripting/lua/lib-struct.ts'
import type { LuaTable } from '../../src/scripting/lua/table.ts'
import type { LuaValue } from '../../src/scripting/lua/value.ts'
import {
  callLibrary,
  dumpValue,
  hasRedisServer,
  literal,
  Oracle,
  resultOf,
  tableOf,
  tableOfEntries,
} from './lib-oracle.ts'

const START_TIMEOUT_MS = 20_000
/** Shown in the suite's name; set it to repeat a run. */
/** CI repeats one run; everywhere else each run is another one. */
const CI_SEED = 20_261
const SEED = Number(process.env.FUZZ_SEED ?? (process.env.CI === undefined ? Date.now() % 2 ** 31 : CI_SEED))
const SAMPLES = { numRuns: 1500, seed: SEED }
const INF = Number.POSITIVE_INFINITY
const nothing = (): LuaValue => undefined

type Call = readonly [name: string, ...args: LuaValue[]]

const byteString = fc.string({ unit: 'binary', maxLength: 40 }).map((s) => Buffer.from(s).toString('latin1'))
const luaNumber = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -9, max: 9 }).map((n) => n + 0.5),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n }).map(Number),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((n) => Math.fround(n)),
)
const scalar: fc.Arbitrary<LuaValue> = fc.oneof(byteString, luaNumber, fc.boolean(), fc.constant(CJSON_NULL))
const { value: luaValue } = fc.letrec<{ value: LuaValue; list: LuaTable; record: LuaTable }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, scalar, tie('list'), tie('record')),
  list: fc.array(tie('value'), { maxLength: 20 }).map((values) => tableOf(values)),
  record: fc
    .array(fc.tuple(fc.oneof(byteString, fc.integer({ min: -3, max: 12 })), tie('value')), { maxLength: 18 })
    .map((entries) => tableOfEntries(entries)),
}))

describe.skipIf(!hasRedisServer)(
  `Lua libraries against redis-server (skipped when it is not installed), seed ${SEED}`,
  () => {
    let oracle: Oracle
    beforeAll(async () => {
      oracle = new Oracle()
      await oracle.evaluate('1')
    }, START_TIMEOUT_MS)
    afterAll(() => oracle.close())

    async function compare(libraryName: string, library: LuaTable, calls: readonly Call[]): Promise<void> {
      for (const [name, ...args] of calls) {
        const code = `${libraryName}.${name}(${args.map(literal).join(',')})`
        const theirs = await oracle.evaluate(code)
        const mine = callLibrary(library, name, ...args)
        if (mine !== theirs) expect(`${code.slice(0, 200)} -> ${mine}`).toBe(`${code.slice(0, 200)} -> ${theirs}`)
      }
    }

    it('bit gives the same results and errors', () => compare('bit', createBitLib(), bitCalls()))

    it('struct gives the same results and errors', () => compare('struct', createStructLib(), structCalls()))

    it('cmsgpack gives the same results and errors', () => compare('cmsgpack', createCmsgpackLib(), cmsgpackCalls()))

    it('cjson gives the same results and errors, with settings that stay', () =>
      compare('cjson', createCjsonLib(), cjsonCalls()))

    it('cjson reads what the other wrote, for any value', async () => {
      const ours = createCjsonLib()
      await fc.assert(
        fc.asyncProperty(luaValue, async (value) => {
          const mine = callLibrary(ours, 'encode', value)
          const theirs = await oracle.evaluate(`cjson.encode(${literal(value)})`)
          if (mine.startsWith('error') || theirs.startsWith('error')) {
            expect(mine).toBe(theirs)
            return
          }
          const text = theirs.slice(theirs.indexOf(':') + 1)
          const read = callLibrary(ours, 'decode', text)
          expect(callLibrary(ours, 'decode', String(resultOf(ours, 'encode', value)))).toBe(read)
          expect(await oracle.callEach('cjson.decode', [String(resultOf(ours, 'encode', value))])).toEqual([read])
        }),
        { numRuns: 300, seed: SEED },
      )
    })

    it('cmsgpack reads what the other wrote, for any value', async () => {
      const ours = createCmsgpackLib()
      await fc.assert(
        fc.asyncProperty(luaValue, async (value) => {
          const mine = String(resultOf(ours, 'pack', value))
          const theirs = await oracle.evaluate(`cmsgpack.pack(${literal(value)})`)
          const text = theirs.slice(theirs.indexOf(':') + 1)
          expect(mine.length).toBe(text.length)
          const read = callLibrary(ours, 'unpack', text)
          expect(callLibrary(ours, 'unpack', mine)).toBe(read)
          expect(await oracle.callEach('cmsgpack.unpack', [mine])).toEqual([read])
        }),
        { numRuns: 300, seed: SEED },
      )
    })

    it('cjson.decode agrees on damaged texts', async () => {
      const ours = createCjsonLib()
      callLibrary(ours, 'encode_sparse_array', true)
      const damage = fc.tuple(luaValue, fc.nat(), fc.constantFrom(...' "\\{}[],:+-.0129eExXuntfaINi\0\x7f'), fc.nat(3))
      const samples = fc.sample(damage, SAMPLES).map(([value, place, char, kind]) => {
        const text = String(resultOf(ours, 'encode', value))
        const at = place % (text.length + 1)
        return text.slice(0, at) + (kind === 0 ? '' : char) + text.slice(kind === 1 ? at : at + 1)
      })
      const theirs = await oracle.callEach('cjson.decode', samples)
      expect(samples.map((text) => unnamed(callLibrary(ours, 'decode', text)))).toEqual(theirs)
    })

    it('cmsgpack.unpack agrees on random and damaged bytes', async () => {
      const ours = createCmsgpackLib()
      const damage = fc.tuple(luaValue, fc.nat(), fc.nat(255), fc.nat(3))
      const samples = fc.sample(damage, SAMPLES).map(([value, place, code, kind]) => {
        const text = String(resultOf(ours, 'pack', value))
        const at = place % text.length
        return text.slice(0, at) + String.fromCharCode(code) + (kind === 0 ? '' : text.slice(kind === 1 ? at : at + 1))
      })
      const random = fc
        .sample(fc.uint8Array({ maxLength: 30 }), SAMPLES)
        .map((bytes) => Buffer.from(bytes).toString('latin1'))
      const inputs = samples.concat(random)
      const theirs = await oracle.callEach('cmsgpack.unpack', inputs)
      expect(inputs.map((text) => unnamed(callLibrary(ours, 'unpack', text)))).toEqual(theirs)
    })

    it('cjson.encode writes numbers with the same digits', async () => {
      const ours = createCjsonLib()
      const numbers = [0.1, 1e15, 123456789012345, 1234567890123.25, 2.5e-5, 5e-324, 1e100, -0, 99999999999999.5]
      for (const number of numbers.concat(fc.sample(luaNumber, { numRuns: 500, seed: SEED }))) {
        expect(callLibrary(ours, 'encode', number)).toBe(await oracle.evaluate(`cjson.encode(${literal(number)})`))
      }
    })

    it('struct packs and unpacks random formats alike', async () => {
      const ours = createStructLib()
      const format = fc.string({ unit: fc.constantFrom(...'><!bBhHlLiIT14fdx c'), maxLength: 8 })
      const values = fc.array(luaNumber, { minLength: 8, maxLength: 8 })
      for (const [text, args] of fc.sample(fc.tuple(format, values), { numRuns: 500, seed: SEED })) {
        const packed = callLibrary(ours, 'pack', text, ...args)
        const theirs = await oracle.evaluate(`struct.pack(${[text, ...args].map(literal).join(',')})`)
        expect(`${text} ${args}: ${literal(packed)}`).toBe(`${text} ${args}: ${literal(theirs)}`)
        const bytes = '\xfe\x81\0\x7f'.repeat(12)
        expect(callLibrary(ours, 'unpack', text, bytes)).toBe(
          await oracle.evaluate(`struct.unpack(${literal(text)},${literal(bytes)})`),
        )
        expect(callLibrary(ours, 'size', text)).toBe(await oracle.evaluate(`struct.size(${literal(text)})`))
      }
    })
  },
)

/** In a protected call Lua does not know the function's name. */
function unnamed(dump: string): string {
  return dump.replace(/ to '\w+' /, " to '?' ")
}

function bitCalls(): Call[] {
  const numbers = [
    0,
    1,
    -1,
    1.5,
    2.5,
    -2.5,
    0.5,
    255,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 40 + 5,
    2 ** 52 + 5,
    -(2 ** 51) - 1,
    1e300,
  ]
  const values: LuaValue[] = [...numbers, INF, Number.NaN, '7', ' 0x10 ', 'x', undefined, true, tableOf([])]
  const names = ['tobit', 'bnot', 'band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol', 'ror', 'bswap', 'tohex']
  const calls: Call[] = []
  for (const name of names) {
    calls.push([name], [name, 1, 'x', 'y'], [name, 6, 3, 5])
    for (const value of values) calls.push([name, value], [name, value, 3], [name, 0x12345678, value])
  }
  return calls
}

function structCalls(): Call[] {
  const calls: Call[] = [['pack'], ['unpack'], ['size'], ['unpack', 'i'], ['unpack', 'i', 'abcd', 'x']]
  const formats = [
    'i',
    'ii',
    'q',
    's',
    'c3',
    'c0',
    'c',
    'i33',
    'i99999999999',
    '!3',
    '!0',
    '!',
    '=',
    '\xc8',
    ' b\0q',
    '',
  ]
  const more = [
    '>i16',
    '<i9',
    '<l',
    '<L',
    '!bd',
    '!4bdxh',
    '!8bi3',
    'x',
    '!bxxi',
    '>f<d',
    'bq',
    'c2147483648',
    '!1073741824bi32',
  ]
  for (const format of [...formats, ...more, 12, tableOf([])]) {
    calls.push(['pack', format], ['size', format], ['pack', format, 1, 2, 3], ['pack', format, -1, -2, -3, -4])
    calls.push(
      ['pack', format, 'ab', 'cd'],
      ['pack', format, 'abcd', 'cd'],
      ['pack', format, undefined],
      ['pack', format, '7', 3.9],
    )
    for (const text of ['', 'a', 'abc\0', 'abcdefghijklmnopqrstuvwxyz', '\xff'.repeat(20)])
      for (const offset of [undefined, 1, 0, -1, -5, 3, 4, 5, '2', 2.9, 1e30])
        calls.push(['unpack', format, text, offset])
  }
  for (const value of [1e19, 1e30, -1e30, INF, -INF, 2 ** 63, 2 ** 64, -(2 ** 63), 1.5, -1.5])
    for (const format of ['<l', '<L', '>i9', 'b', 'f', 'd', '>d']) calls.push(['pack', format, value])
  for (const format of ['sc0', 'bc0', 'bc0b', 'dc0', 'c1c0', 'sc0c0'])
    for (const text of ['3\0abc', 'a\0abc', '\x02abc', '\xffabc', '3\0abc0\0', '\0'.repeat(9)])
      calls.push(['unpack', format, text])
  for (const size of [0, 1, 3, 4, 5, 7, 8, 9, 12, 16, 32])
    for (const sign of ['i', 'I'])
      for (const order of ['<', '>'])
        for (const text of ['\x01\x02\x80\xff', '\xff\xfe\xfd\xfc', '\0\0\0\x80'])
          calls.push(['unpack', `${order}${sign}${size}`, text.repeat(8)])
  calls.push(['unpack', 'b'.repeat(7998), 'a'.repeat(8000)], ['unpack', 'b'.repeat(7990), 'a'.repeat(8000)])
  return calls
}

function cmsgpackCalls(): Call[] {
  const calls: Call[] = [['pack'], ['unpack'], ['unpack_one'], ['unpack_limit'], ['unpack_limit', tableOf([])]]
  const circular = Array.from({ length: 18 }).reduce<LuaValue>((inner) => tableOf([inner]), 1)
  const integers = [
    0,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53,
    2 ** 62,
    2 ** 63,
    2 ** 64,
    -1,
    -32,
    -33,
  ]
  const others = [
    -128,
    -129,
    -32768,
    -32769,
    -(2 ** 31),
    -(2 ** 31) - 1,
    -(2 ** 63),
    -1e30,
    1.5,
    0.1,
    -0,
    INF,
    -INF,
    1e300,
    1e-300,
  ]
  for (const value of [...integers, ...others, true, false, undefined, nothing, CJSON_NULL, circular])
    calls.push(['pack', value])
  for (const size of [0, 31, 32, 255, 256, 65535, 65536]) calls.push(['pack', 'x'.repeat(size)])
  for (const size of [0, 1, 15, 16, 65535, 65536]) calls.push(['pack', tableOf(Array(size).fill(1))])
  for (const entries of [
    [
      [1, 1],
      [3, 2],
    ],
    [[2 ** 31, 1]],
    [[0, 1]],
    [[1.5, 1]],
    [[true, 1]],
    [
      [1, 1],
      [2, 2],
    ],
  ])
    calls.push(['pack', tableOfEntries(entries as [LuaValue, LuaValue][])])
  calls.push(['pack', 1, 'a', undefined, tableOf([])], ['pack', undefined, undefined])
  for (const text of [
    '',
    '\x01\x02\x03',
    '\xc1',
    '\x92\x01',
    '\x81\xc0\x01',
    '\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01',
    '\xcf'.repeat(9),
  ]) {
    calls.push(['unpack', text], ['unpack_one', text])
    for (const limit of [-1, 0, 1, 2, 9, '2', 1e30, undefined, 'x'])
      for (const offset of [undefined, -1, 0, 1, 2, 3, 4, 5e9, Number.NaN])
        calls.push(['unpack_limit', text, limit, offset])
    for (const offset of [-1, 0, 1, 3, 4, 1.9, '1', 'x']) calls.push(['unpack_one', text, offset])
  }
  for (const value of [5, tableOf([]), true])
    calls.push(['unpack', value], ['unpack_one', value], ['unpack_limit', value, 1])
  calls.push(['unpack', '\x93\xc0\x01\xc0'], ['unpack', '\x82\xa1a\x01\xa1a\xc0'], ['unpack', '\xc0\xc0'])
  calls.push(['unpack', '\x01'.repeat(7990)], ['unpack', '\x01'.repeat(8000)])
  calls.push(['unpack', '\x91'.repeat(5000)], ['unpack', '\x81'.repeat(9000)], ['unpack', '\x81\x01'.repeat(5000)])
  return calls
}

function cjsonCalls(): Call[] {
  const nested = (depth: number): LuaValue =>
    Array.from({ length: depth }).reduce<LuaValue>((inner) => tableOf([inner]), tableOf([]))
  const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
  const calls: Call[] = [
    ['encode'],
    ['encode', 1, 2],
    ['decode'],
    ['decode', '1', '2'],
    ['decode', tableOf([])],
    ['decode', 12],
  ]
  const values = [
    undefined,
    true,
    CJSON_NULL,
    nothing,
    bytes,
    '',
    'a/b',
    INF,
    Number.NaN,
    tableOf([]),
    tableOf([1, undefined, 3]),
  ]
  const keys: LuaValue[] = [20, 0, -1, 1.5, 2, 2 ** 31, 2 ** 32 + 1, INF, true, CJSON_NULL, 'a"b', 'k']
  const tables = keys.map((key) => tableOfEntries([[key, 1]]))
  for (const value of [...values, ...tables, nested(3), nested(999), nested(1000)]) calls.push(['encode', value])
  calls.push(['encode', tableOf(Array(30).fill(1))], ['encode', tableOf([nothing])], ['encode', tableOf([1, INF])])
  for (const text of DECODE_TEXTS) calls.push(['decode', text])
  calls.push(['decode', '['.repeat(1001)], ['decode', ' ['.repeat(1001)], ['decode', '{"a":'.repeat(1001)])
  calls.push(['decode_invalid_numbers', false])
  for (const text of DECODE_TEXTS) calls.push(['decode', text])
  calls.push(['decode_invalid_numbers', 'on'], ['decode_invalid_numbers'], ['decode_invalid_numbers', 'null'])
  calls.push(['decode_max_depth', 2], ['decode', '[[1]]'], ['decode', '[[[1]]]'], ['decode_max_depth', 1e5])
  calls.push(['encode_max_depth', 2], ['encode', nested(1)], ['encode', nested(2)], ['encode_max_depth', 1000])
  calls.push(['decode_max_depth', 1000], ['encode_max_depth'], ['encode_max_depth', 0], ['encode_max_depth', 1e10])
  calls.push(
    ['encode_max_depth', 3e9],
    ['encode_max_depth', 1000.9],
    ['encode_max_depth', tableOf([])],
    ['encode_max_depth', 1, 2],
  )
  for (const first of [undefined, true, false, 'on', 'off', 'null', 'x', 1, tableOf([])])
    for (const name of ['encode_sparse_array', 'encode_keep_buffer', 'encode_invalid_numbers'])
      calls.push([name, first])
  for (const setting of ['null', true, false]) {
    calls.push(['encode_invalid_numbers', setting], ['encode', tableOf([INF, -INF, Number.NaN])])
    calls.push(['encode', tableOfEntries([[INF, 1]])])
  }
  const sparse = tableOfEntries([
    [12, 1],
    [9, 2],
  ])
  for (const args of [
    [true],
    [false],
    [false, 0],
    [false, 1, 3],
    [true, 7, 3],
    [false, 5],
    [false, 2, 12],
    ['off', -1],
    [1, 2, 3, 4],
    [false, 2, 10],
  ])
    calls.push(
      ['encode_sparse_array', ...args],
      ['encode', tableOfEntries([[12, 1]])],
      ['decode', `${dumpValue(sparse).length}`],
    )
  for (const precision of [0, 1, 3, 13, 14, 15, undefined]) {
    calls.push(
      ['encode_number_precision', precision],
      ['encode', tableOf([1234.5, 0.25, 2.5, 3.5, 99.95, 1e-7, 123456])],
    )
  }
  calls.push(['encode_number_precision', 14])
  return calls
}

const DECODE_TEXTS = [
  ...[
    '',
    '  ',
    '[1,',
    '{a}',
    '{1:2}',
    '{"a" 1}',
    '{"a":1 2}',
    '[1 2]',
    '1 2',
    '\0a',
    '1\0',
    '12\0asd',
    '"a\0b"',
    '"abc',
    '\0',
  ],
  ...[
    '"ab\\q"',
    '"ab\\u12g4"',
    '"\\ud800"',
    '"\\udc00"',
    '"\\ud83d\\ude00\\u00e9\\u20ac"',
    '"\\u0000a"',
    '"\\',
    '"\\u12',
    '"\\ud83dx"',
  ],
  ...[
    '"\\ud83d\\u0041"',
    'tru',
    'nul',
    'true',
    'false',
    'null',
    'nan',
    '-nan',
    'inf',
    'Infinity',
    '-iNf',
    '0x10',
    '0x1p4',
    '0x',
    '-0x1F',
  ],
  ...[
    '+1',
    '+',
    '-',
    '1e',
    '1e5',
    '01',
    '1.',
    '-.5',
    '.5',
    'nan(12)',
    'nan(1',
    '- 1',
    'infinit',
    '-0',
    '-+1',
    '+-1',
    '1e400',
    '0x.8',
    '0x1.8p-2',
  ],
  ...[
    ']',
    '[}',
    '[1}',
    '{]',
    '{"a":}',
    '{"a":1,}',
    '[1,]',
    '[:',
    '{true:',
    '{null:',
    '@',
    '  "a',
    '[1 "x]',
    '[1 -]',
    '[1 +]',
    '[1 inf]',
    '[1 nul]',
  ],
  ...[
    '"\t\r\n"',
    '[1,2,[3,{"a":{"b":[]}}],{}]',
    '{"a":1,"a":2}',
    '{"":1}',
    '[null]',
    '123456789012345678901234567890',
    '0.1234567890123456789',
  ],
  ...[
    '1.5e-3',
    '-12.25',
    '1E+2',
    '1e+',
    '12345678901234567',
    '"long enough string to be searched by index \\" and more"',
    `"${'x'.repeat(30)}"`,
  ],
  ...[
    `"${'x'.repeat(30)}`,
    `["${'x'.repeat(30)}\\n","${'y'.repeat(30)}"]`,
    '{"__proto__":1,"constructor":2}',
    '\xef\xbb\xbf1',
    '"\xc3\xa9"',
    '[\f1]',
  ],
]
