/** Scripts that nest, recurse or ask for memory without end: an error reply, no defect, and the server goes on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { encodeCommand, type RespClient } from '../support/resp-client.ts'

const DEEP = 100_000

/** Scripts with what their error holds. */
const FAILING: readonly (readonly [name: string, script: string, error: string])[] = [
  ['endless recursion', 'local function f() return 1 + f() end return f()', 'stack overflow'],
  [
    'endless recursion by metamethods',
    'return setmetatable({}, {__index = function(t, k) return t[k] end}).x',
    'stack overflow',
  ],
  ['nested parentheses', `return ${'('.repeat(DEEP)}1${')'.repeat(DEEP)}`, 'too many syntax levels'],
  ['nested tables', `return ${'{'.repeat(DEEP)}${'}'.repeat(DEEP)}`, 'too many syntax levels'],
  ['nested blocks', `${'do '.repeat(DEEP)}${'end '.repeat(DEEP)}`, 'too many syntax levels'],
  ['chained operators', `return ${'not '.repeat(DEEP)}1`, 'too many syntax levels'],
  ['nested JSON', `return cjson.decode(string.rep("[", ${DEEP}))`, 'too many nested data structures'],
  ['a cycle as JSON', 'local t = {} t[1] = t return cjson.encode(t)', 'excessive nesting'],
  ['nested MessagePack', `return cmsgpack.unpack(string.rep("\\145", ${DEEP}))`, 'stack overflow'],
  ['a string of two gigabytes', 'return #string.rep("x", 2^31 - 1)', 'not enough memory'],
  ['a string that doubles', 'local s = "x" for i = 1, 50 do s = s .. s end', 'not enough memory'],
  ['a substitution that explodes', 'string.gsub(string.rep("a", 1e6), "a", string.rep("b", 1e5))', 'not enough memory'],
  ['a billion results', 'return unpack({}, 1, 2^30)', 'too many results'],
  ['ten million bytes as results', 'return string.byte(string.rep("x", 1e7), 1, -1)', 'too long'],
  ['a format with a long width', 'return string.format("%99999d", 1)', 'too long'],
]

/** Scripts that may do what they do; what counts is that they end. */
const ENDING: readonly (readonly [name: string, script: string])[] = [
  ['a reply nested deeply', `local t = {} local r = t for i = 1, ${DEEP} do t[1] = {} t = t[1] end return r`],
  ['a reply that holds itself', 'local t = {} t[1] = t return t'],
  ['a long pattern', 'return string.find(string.rep("a", 1000), string.rep("[a]", 50000))'],
  ['a long chunk that is malformed', 'return loadstring("return " .. string.rep("a(", 50000))'],
  ['an error without text', 'error(setmetatable({}, {__tostring = function() error("x") end}))'],
]

describe('scripts without end', () => {
  let broker: TestBroker
  let client: RespClient

  beforeAll(async () => {
    broker = await TestBroker.start()
    client = await broker.connect()
    await client.call('SET', 'k', 'v')
  })

  afterAll(() => broker.stop())

  test.each(FAILING)('%s', async (_name, script, error) => {
    const reply = await client.call('EVAL', script, '0')
    expect(reply).toHaveProperty('error', expect.stringContaining(error))
    expect(await client.call('GET', 'k')).toBe('v')
    expect(broker.log.warnings).toEqual([])
  })

  test.each(ENDING)('%s', async (_name, script) => {
    // Not decoded: a reply that is nested this deeply is too much for decoders.
    const raw = await RawConnection.connect(broker.port)
    raw.send(encodeCommand(['EVAL', script, '0']) + encodeCommand(['PING']))
    await raw.until((text) => text.endsWith('+PONG\r\n'))
    expect(raw.isEnded).toBe(false)
    raw.close()
    expect(await client.call('GET', 'k')).toBe('v')
    expect(broker.log.warnings).toEqual([])
  })
})
