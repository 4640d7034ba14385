/**
 * Scripts that take all the memory they can get: each ends with an error, and the server goes on. It has a small heap
 * here, so that this does not take long.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RespClient } from '../support/resp-client.ts'
import { ServerProcess } from '../support/server-process.ts'

/** Of which a script may hold a quarter. */
const HEAP_MIB = 256
const NO_MEMORY = expect.stringMatching(/^ERR not enough memory script: [0-9a-f]{40}/)
/** Scripts that are ended take a second or two on a busy machine. */
const LIMIT_MS = 60_000

let server: ServerProcess
let client: RespClient

beforeAll(async () => {
  const { NODE_OPTIONS } = process.env
  process.env.NODE_OPTIONS = `${NODE_OPTIONS ?? ''} --max-old-space-size=${HEAP_MIB}`
  try {
    server = await ServerProcess.millrace()
  } finally {
    if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = NODE_OPTIONS
  }
  client = await server.connect()
}, LIMIT_MS)

afterAll(async () => {
  client.close()
  await server.dispose()
})

async function run(script: string): Promise<unknown> {
  const reply = await client.call('EVAL', script, '0')
  expect(await client.call('PING')).toEqual({ status: 'PONG' })
  return reply
}

/** Each with what is in it a bomb. */
const BOMBS: Readonly<Record<string, string>> = {
  'a list that grows': 'local t = {} while true do t[#t + 1] = #t end',
  'replies of many short strings':
    "redis.call('DEL', 'short') for i = 1, 4000 do redis.call('RPUSH', 'short', string.rep('x', 250)) end local t = {} for i = 1, 1000 do t[i] = redis.call('LRANGE', 'short', 0, -1) end",
  'a list of tables': 'local t = {} while true do t[#t + 1] = {} end',
  'tables in a large body of a loop': `local t = {} while true do ${'t[#t + 1] = {1, 2, 3} '.repeat(2000)} end`,
  'tables in a function that calls itself': 'local t = {} local function f() t[#t + 1] = {1, 2} return f() end f()',
  'names in a table': "local t = {} local i = 0 while true do i = i + 1 t['key' .. i] = {i} end",
  'strings that are compared with their like':
    "local s, t, u = string.rep('x', 60000), {}, {} for i = 1, 5000 do t[i] = s .. i u[i] = s .. i end for i = 1, 5000 do if t[i] ~= u[i] then return 1 end end return 2",
  'long strings': "local s, t = string.rep('x', 1e6), {} for i = 1, 1e5 do t[i] = s .. i end",
  'string.rep': "local t = {} for i = 1, 100 do t[i] = string.rep('x', 2e7) end",
  'one string.rep': "return #string.rep('x', 2e8)",
  'string.upper': "local t = {} local s = string.rep('x', 2e7) for i = 1, 100 do t[i] = s:upper() end",
  'string.reverse': "local t = {} local s = string.rep('x', 2e7) for i = 1, 100 do t[i] = s:reverse() end",
  'string.gsub with much for little': "local s = string.rep('x', 1e6) return #s:gsub('x', string.rep('y', 1000))",
  'string.format': "local s, t = string.rep('x', 1e7), {} for i = 1, 100 do t[i] = string.format('%s%d', s, i) end",
  'table.concat with a long separator':
    "local t = {} for i = 1, 1e5 do t[i] = i end return #table.concat(t, string.rep(' ', 1e4))",
  'cjson.encode of tables in tables': 'local t = {1} for i = 1, 100 do t = {t, t} end return #cjson.encode(t)',
  'cjson.decode': "return #cjson.decode('[' .. string.rep('[],', 1e7) .. '[]]')",
  'cmsgpack.pack': "local t = {} for i = 1, 100 do t[i] = string.rep('x', 1e6) end return #cmsgpack.pack(t, t, t)",
  'cmsgpack.unpack': "return #cmsgpack.unpack('\\221\\255\\255\\255\\255' .. string.rep('\\144', 2e7))",
  'struct.pack': "local t = {} for i = 1, 1000 do t[i] = struct.pack('>I4c0', i, string.rep('x', 1e6)) end",
  'a reply of tables in tables': 'local t = {1} for i = 1, 100 do t = {t, t} end return t',
  'a reply of one string many times': "local s, t = string.rep('x', 1e6), {} for i = 1, 1000 do t[i] = s end return t",
  'values of keys':
    "redis.call('SET', 'large', string.rep('x', 5e6)) local t = {} for i = 1, 1000 do t[i] = redis.call('GET', 'large') end",
  'a reply of a command':
    "for i = 1, 50 do redis.call('RPUSH', 'list', string.rep('x', 1e6)) end local t = {} for i = 1, 100 do t[i] = redis.call('LRANGE', 'list', 0, -1) end",
}

describe('a script ends when it holds too much:', () => {
  test.each(Object.entries(BOMBS))('%s', { timeout: LIMIT_MS }, async (_name, script) => {
    expect(await run(script)).toEqual({ error: NO_MEMORY })
  })
})

describe('a script does not end', () => {
  test('that makes much and keeps little', { timeout: LIMIT_MS }, async () => {
    const script = "local s for i = 1, 300 do s = string.rep('x', 1e6) .. i end return #s"
    expect(await run(script)).toBe(1_000_003)
  })

  test('that goes through a text byte by byte', { timeout: LIMIT_MS }, async () => {
    expect(await run("local s, n = string.rep('ab', 1e5):gsub('.', '%0%0') return {#s, n}")).toEqual([400_000, 200_000])
    expect(await run("return redis.sha1hex(string.rep('Ab', 1e5):upper():lower():reverse())")).toBe(
      'a35ccd86412caaa7554270ed6b74115ec3eea221',
    )
  })
})

test('pcall does not keep a script that holds too much from its end', { timeout: LIMIT_MS }, async () => {
  const script = 'local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end'
  expect(await run(script)).toEqual({ error: NO_MEMORY })
})

test('what scripts held before one another counts for none of them', { timeout: LIMIT_MS }, async () => {
  for (let i = 0; i < 10; i++) {
    expect(await run("local t = {} for i = 1, 45 do t[i] = string.rep('x', 1e6) end return #t")).toBe(45)
  }
})

test('a script that is too long to be compiled is refused', { timeout: LIMIT_MS }, async () => {
  expect(await run(`local x ${'x = x '.repeat(2_000_000)}`)).toEqual({
    error: 'ERR Error compiling script (new function): not enough memory',
  })
  expect(await run("return {loadstring('local x ' .. string.rep('x = x ', 2e6))}")).toEqual([])
  expect(await run("local f, e = loadstring('local x ' .. string.rep('x = x ', 2e6)) return e")).toBe(
    'not enough memory',
  )
  expect(await run("local f, e = load(function() return ' ' end) return e")).toEqual({ error: NO_MEMORY })
})

test('a library that takes too much while it is loaded is refused', { timeout: LIMIT_MS }, async () => {
  const library = '#!lua name=bomb\nlocal s = "xxxxxxxx" while true do s = s .. s end'
  // On a machine that is busy the time for loading is over before the memory is.
  expect(await client.call('FUNCTION', 'LOAD', library)).toEqual({
    error: expect.stringMatching(/^ERR Error registering functions: (ERR not enough memory|.*FUNCTION LOAD timeout)$/),
  })
  expect(await client.call('FUNCTION', 'LIST')).toEqual([])
})

test('a function that replies without end is ended', { timeout: LIMIT_MS }, async () => {
  const library =
    "#!lua name=lib\nredis.register_function('bomb', function() local t = {1} for i = 1, 100 do t = {t, t} end return t end)"
  expect(await client.call('FUNCTION', 'LOAD', library)).toBe('lib')
  expect(await client.call('FCALL', 'bomb', '0')).toEqual({ error: 'ERR not enough memory script: bomb' })
})
