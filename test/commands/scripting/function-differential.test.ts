/**
 * FUNCTION and FCALL in a whole server without sockets, beside a real redis-server: the raw replies to the same commands
 * are the same. Skipped without redis-server.
 */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { snippets } from '../../scripting/lua-snippets.ts'
import { ReferenceEval } from '../../scripting/resp-eval.ts'
import { HELLO, LIST, LOAD, library, REPLACE, single } from './function-sources.ts'
import { LocalServer } from './local-server.ts'

const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0

/** Loads that fail, by what is wrong with them; each leaves the library that is there as it was. */
function refusedLoads(bodies: readonly string[]): (readonly string[])[] {
  return [[...LOAD, HELLO], ...bodies.map((body) => [...REPLACE, library('hello', body)]), [...LIST, 'WITHCODE']]
}

/** Calls of functions that have these bodies. */
function calls(bodies: readonly string[], ...words: readonly string[]): (readonly string[])[] {
  return bodies.flatMap((body) => [
    [...REPLACE, single('f', body)],
    ['FCALL', 'f', ...(words.length === 0 ? ['0'] : words)],
  ])
}

/** A function with flags. */
function flagged(name: string, flags: readonly string[], body: string): string {
  const list = flags.map((flag) => `'${flag}'`).join(',')
  return library(
    name,
    `redis.register_function{function_name='${name}', callback=function(keys, args) ${body} end, flags={${list}}}`,
  )
}

const sequences: Readonly<Record<string, readonly (readonly string[])[]>> = {
  arguments: [
    ['FUNCTION'],
    ['FUNCTION', 'NOSUCH'],
    ['FUNCTION', 'HELP', 'x'],
    ['FUNCTION', 'LOAD'],
    ['FUNCTION', 'LOAD', 'REPLACE'],
    ['FUNCTION', 'LOAD', 'foo', 'bar', HELLO],
    ['FUNCTION', 'LOAD', 'replace', 'REPLACE', HELLO],
    ['FUNCTION', 'LOAD', HELLO, 'REPLACE'],
    ['FUNCTION', 'DELETE'],
    ['FUNCTION', 'DELETE', 'a', 'b'],
    ['FUNCTION', 'DELETE', 'nosuch'],
    ['FUNCTION', 'DELETE', 'HELLO'],
    ['FUNCTION', 'FLUSH', 'later'],
    ['FUNCTION', 'flush', 'sync', 'x'],
    ['FUNCTION', 'FLUSH', 'async'],
    ['FUNCTION', 'FLUSH', 'Sync'],
    ['FUNCTION', 'DUMP', 'x'],
    ['FUNCTION', 'KILL', 'x'],
    ['FUNCTION', 'KILL'],
    ['FUNCTION', 'STATS', 'x'],
    ['FUNCTION', 'RESTORE'],
    ['FUNCTION', 'restore', 'a', 'b', 'c'],
    ['FUNCTION', 'RESTORE', 'a', 'later'],
    ['FUNCTION', 'RESTORE', 'bad payload'],
    ['FUNCTION', 'RESTORE', ''],
    ['FUNCTION', 'RESTORE', '123456789'],
    ['FUNCTION', 'RESTORE', '1234567890'],
    ['FUNCTION', 'LIST', 'x'],
    ['FUNCTION', 'LIST', 'WITHCODE', 'withcode'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'a', 'LIBRARYNAME', 'b'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'LIBRARYNAME'],
    ['FCALL'],
    ['FCALL', 'f'],
    ['FCALL_RO', 'f'],
    ['FCALL', 'f', '0'],
    ['FCALL', 'f', 'x'],
    [...LOAD, HELLO],
    ['FCALL', 'hello', 'x'],
    ['FCALL', 'hello', '1'],
    ['FCALL', 'hello', '10', 'key'],
    ['FCALL', 'hello', '-1'],
    ['FCALL', 'hello', '-1', 'key'],
    ['FCALL', 'hello', '0'],
    ['FCALL', 'HeLLo', '0'],
    ['FCALL_RO', 'hello', '0'],
    ['FCALL_RO', 'hello', 'x'],
    ['COMMAND', 'GETKEYS', 'FCALL', 'hello', '2', 'a', 'b', 'c'],
    ['COMMAND', 'GETKEYS', 'FCALL_RO', 'hello', '1', 'a'],
    ['COMMAND', 'GETKEYS', 'FCALL', 'hello', '0'],
    ['COMMAND', 'INFO', 'FCALL', 'FCALL_RO'],
    ['COMMAND', 'INFO', 'FUNCTION|LOAD', 'FUNCTION|DELETE', 'FUNCTION|FLUSH', 'FUNCTION|RESTORE', 'FUNCTION|DUMP'],
    ['COMMAND', 'INFO', 'FUNCTION|LIST', 'FUNCTION|KILL', 'FUNCTION|STATS', 'FUNCTION|HELP'],
  ],
  'the first line of a library': [
    ...[
      '',
      'x',
      '#!lua name=lib',
      '#!\n',
      '#! name=lib\n',
      '#!lua\n',
      '#!lua name=\n',
      '#!lua name=lib foo=bar\n',
      '#!lua name=a name=b\n',
      '#!lua foo\n',
      '#!lua NAME\n',
      '#!js name=lib\n',
      '#!js name=l-ib\n',
      '#!lua name="a\n',
      '#!lua name=bad\0name\n',
      '#!lua name="bad\\x00name"\n',
      '#!lua name="two words"\n',
      ' #!lua name=lib\n',
      '#!lua name=lib\n',
      '#!lua name=lib\nreturn 1',
    ].map((source) => [...LOAD, source]),
    [...LOAD, "#!LUA NAME='quoted'\nredis.register_function('a', function() return 1 end)"],
    [...LIST, 'WITHCODE'],
    [...LOAD, '#!lua name=quoted\nnonsense'],
    [...LOAD, "#!lua\tname=lib\r\nredis.register_function('b', function() return 2 end)"],
    ['FCALL', 'b', '0'],
  ],
  'what register_function refuses': refusedLoads([
    'redis.register_function()',
    "redis.register_function('f')",
    'redis.register_function(nil)',
    "redis.register_function('f', function() end, 1)",
    'redis.register_function(nil, function() end)',
    'redis.register_function({}, function() end)',
    "redis.register_function('f', 'g')",
    "redis.register_function('f', nil)",
    "redis.register_function('', function() end)",
    "redis.register_function('a-b', function() end)",
    "redis.register_function('a\\0b', function() end)",
    "redis.register_function('f', function() end) redis.register_function('f', function() end)",
    "redis.register_function{function_name='f'}",
    'redis.register_function{callback=function() end}',
    'redis.register_function{}',
    'redis.register_function{function_name={}, callback=function() end}',
    "redis.register_function{function_name='f', callback='g'}",
    'redis.register_function{description=function() end}',
    'redis.register_function{flags=1}',
    "redis.register_function{flags='no-writes'}",
    'redis.register_function{flags={1}}',
    'redis.register_function{flags={{}}}',
    "redis.register_function{flags={'nosuch'}}",
    "redis.register_function{flags={'no-writes', 'allow-key-locking'}}",
    'redis.register_function{other=1}',
    "redis.register_function{'f', function() end}",
    'redis.register_function{[true]=1}',
    "redis.register_function('f', function() end) redis.register_function('g')",
  ]),
  'code that does not load': refusedLoads([
    'nonsense',
    'return )',
    '\n\nlocal x = = 1',
    'x = 1',
    '\nreturn math.random()',
    "return redis.call('ping')",
    'return redis.setresp(3)',
    'return redis.set_repl(redis.REPL_NONE)',
    'return redis.REPL_ALL',
    'return redis.sha1hex',
    'return redis.nosuch',
    'return _G',
    'return KEYS',
    "error('x')",
    'pcall(function() end)',
    'local function f()\nreturn tostring(1)\nend\nf()',
    'redis.x = 1',
    'local r = redis r.math = 1',
    'redis.register_function = nil',
    'local t = nil + 1',
    'local t = {} return t.a.b',
    'local t = {} t()',
    "redis.log('x')",
    'redis.log(77, "x")',
    'redis.log(redis.LOG_DEBUG)',
    'redis.math.random()',
    "redis.redis.call('ping')",
    'local function f() return f() + 1 end f()',
    'for i = 1, "x" do end',
    'return ("x"):nosuch()',
    'setmetatable({}, {})',
    'mt = getmetatable(_G)',
  ]),
  'what a library may do while it is loaded': [
    [
      ...LOAD,
      library(
        'lib',
        `local name = ('f'):upper():lower()
         local t = {}
         for i = 1, 3 do t[#t + 1] = name .. i end
         redis.log(redis.LOG_DEBUG, 'loading', redis.REDIS_VERSION_NUM > 1 and 1 or 0)
         local function register(i) redis.register_function(t[i], function(keys, args) return {i, #keys, #args, t[i]} end) end
         register(2)
         return 'ignored', 2`,
      ),
    ],
    ['FCALL', 'f2', '1', 'a', 'b', 'c'],
    [...REPLACE, library('lib', 'redis.register_function(1, function() return 1 end)')],
    ['FCALL', '1', '0'],
    [
      ...REPLACE,
      library('lib', "redis.register_function{FUNCTION_NAME='f', Callback=function() return 1 end, description=7}"),
    ],
    [...LIST],
    ['HELLO', '3'],
    [...LIST],
    ['FUNCTION', 'STATS'],
    ['HELLO', '2'],
    ['FUNCTION', 'STATS'],
  ],
  'state of a library': [
    [
      ...LOAD,
      library(
        'lib',
        `local count = 0
         local function add(n) count = count + n return count end
         redis.register_function('add', function(keys, args) return add(args[1] or 1) end)`,
      ),
    ],
    ['FCALL', 'add', '0'],
    ['FCALL', 'add', '0', '5'],
    ['FCALL', 'add', '0', 'x'],
    ['FCALL', 'ADD', '0'],
    ['FUNCTION', 'DELETE', 'lib'],
    ['FCALL', 'add', '0'],
    [...LIST],
  ],
  'values and errors': [
    ...calls(
      [
        'return {keys[1], keys[2], args[1], args[2]}',
        'return #keys .. #args',
        'keys[5] = 1 return keys',
        'return KEYS[1]',
        'return ARGV',
        "return redis.call('get', keys[1])",
        "return {redis.call('set', keys[1], args[1]), redis.call('get', keys[1])}",
        "redis.call('lpush', keys[1], 1)",
        "return redis.pcall('lpush', keys[1], 1)",
        "return {pcall(redis.call, 'lpush', keys[1], 1)}",
        "return redis.call('nosuch')",
        "return redis.call('fcall', 'f', 0)",
        "return redis.call('function', 'list')",
        "return redis.call('eval', 'return 1', 0)",
        "return redis.pcall('function', 'flush')",
        'return {1, 2.5, false, true, {ok="fine"}, {err="bad"}}',
        'return 1, 2',
        'return',
        'local x = 1',
        'error("boom")',
        'error("boom", 0)',
        'error({err="MYCODE x"})',
        'error()',
        'error(redis.error_reply("own"))',
        'return redis.error_reply("MY own error")',
        'return redis.status_reply("S")',
        'local x = nil\n\nreturn x.y',
        'return nosuch',
        'nosuch = 1',
        'return redis.nosuch',
        'redis.register_function("g", function() end)',
        'return redis.replicate_commands()',
        'return redis.breakpoint()',
        'return {redis.sha1hex("x"), redis.REDIS_VERSION_NUM > 1, redis.REPL_ALL, redis.LOG_WARNING}',
        'redis.log(redis.LOG_DEBUG, "x")',
        'redis.log("x")',
        'redis.call = 1',
        'string.x = 1',
        'setmetatable(_G, {})',
        'rawset(_G, "x", 1)',
        'mt = getmetatable(_G) original_globals = mt.__index original_globals["redis"] = 1',
        'return _G.redis == redis',
        'return {_VERSION, type(_G), math.max(1, 2), cjson.encode({1}), string.upper("a"), #table.concat({"a", "b"})}',
        'return loadstring("return 1 + 1")()',
        'return {pcall(loadstring("return KEYS"))}',
        'return loadstring("return redis.call(\'get\', ...)")(keys[1])',
        'return {pcall(loadstring("error(1)"))}',
        'local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(1000)',
        'local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return {co(1), co(10)}',
        'coroutine.yield(1)',
        'for k, v in pairs({a=1}) do return {k, v} end',
        'for i, v in ipairs({5}) do return {i, v} end',
        'return select("#", 1, 2, 3)',
        'return {math.floor(3.7), tostring(nil), tonumber("0x10"), unpack({1, 2, 3})}',
        'redis.setresp(3) return redis.call("hgetall", "nosuch")',
        'return redis.setresp(4)',
        'return redis.acl_check_cmd("get", "x")',
        'return redis.acl_check_cmd("nosuch")',
        'return cmsgpack.unpack(cmsgpack.pack({1, 2}))',
        'return bit.band(7, 3)',
        'return struct.unpack("I", struct.pack("I", 77))',
        'return {["double"]=3.5}',
        'return function() end',
      ],
      '2',
      'a',
      'b',
      'c',
      'd',
    ),
  ],
  flags: [
    [...LOAD, flagged('none', [], "return redis.call('set', 'x', 1)")],
    [...LOAD, flagged('ro', ['no-writes'], "return redis.call('set', 'x', 1)")],
    [
      ...LOAD,
      flagged('reads', ['No-Writes', 'allow-oom', 'allow-stale', 'no-cluster'], "return redis.call('get', 'x')"),
    ],
    [...LOAD, flagged('crosses', ['allow-cross-slot-keys', 'no-writes'], "return redis.call('mget', 'x', 'y')")],
    ['FCALL', 'none', '0'],
    ['FCALL_RO', 'none', '0'],
    ['FCALL', 'ro', '0'],
    ['FCALL_RO', 'ro', '0'],
    ['FCALL', 'reads', '0'],
    ['FCALL_RO', 'reads', '0'],
    ['FCALL_RO', 'crosses', '0'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'reads'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'crosses'],
    ['HELLO', '3'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'READ?'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'n[o]n*', 'WITHCODE'],
    ['FUNCTION', 'LIST', 'LIBRARYNAME', 'nosuch'],
    ['HELLO', '2'],
    ['FUNCTION', 'STATS'],
  ],
  'names that are taken': [
    [...LOAD, library('one', "redis.register_function('f', function() return 1 end)")],
    [...LOAD, library('one', "redis.register_function('g', function() return 1 end)")],
    [...LOAD, library('two', "redis.register_function('f', function() return 2 end)")],
    [...LOAD, library('two', "redis.register_function('F', function() return 2 end)")],
    [...REPLACE, library('one', "redis.register_function('f', function() return 3 end)")],
    ['FCALL', 'f', '0'],
    [...LOAD, library('two', "redis.register_function('g', function() return 2 end)")],
    [...REPLACE, library('one', "redis.register_function('g', function() return 4 end)")],
    ['FCALL', 'f', '0'],
    ['FCALL', 'g', '0'],
    [...LOAD, library('ONE', "redis.register_function('h', function() return 5 end)")],
    ['FUNCTION', 'STATS'],
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['FUNCTION', 'STATS'],
    ['FUNCTION', 'DELETE', 'one'],
    ['FCALL', 'f', '0'],
    ['FUNCTION', 'FLUSH'],
    ['FUNCTION', 'STATS'],
    ['FUNCTION', 'DUMP'],
  ],
}

describe.skipIf(!hasRedisServer)('functions reply as in redis-server', () => {
  let reference: ReferenceEval

  beforeAll(async () => {
    reference = await ReferenceEval.start()
  })

  afterAll(async () => {
    await reference.stop()
  })

  for (const [name, commands] of Object.entries(sequences)) {
    test(name, async () => {
      const local = new LocalServer()
      await reference.command('FLUSHALL')
      await reference.command('FUNCTION', 'FLUSH')
      const expected: string[] = []
      const actual: string[] = []
      for (const words of commands) {
        expected.push(`${words.join(' ')} => ${comparable(words, await reference.command(...words))}`)
        actual.push(`${words.join(' ')} => ${comparable(words, local.command(...words))}`)
      }
      expect(actual).toEqual(expected)
    })
  }
})

/** Where Lua code stands in a library. */
const places: Readonly<Record<string, (code: string) => string>> = {
  'a function': (code) => single('f', code),
  'a library that is loaded': (code) => library('f', `${code}\nredis.register_function('f', function() end)`),
  'a function that is called while its library is loaded': (code) =>
    library('f', `local function f()\n${code}\nend\nf()\nredis.register_function('f', f)`),
}

describe.skipIf(!hasRedisServer)('Lua code does what it does in redis-server', () => {
  let reference: ReferenceEval

  beforeAll(async () => {
    reference = await ReferenceEval.start()
  })

  afterAll(async () => {
    await reference.stop()
  })

  for (const [place, wrap] of Object.entries(places)) {
    test(`in ${place}`, async () => {
      const local = new LocalServer()
      const expected: string[] = []
      const actual: string[] = []
      for (const code of Object.values(snippets).flat()) {
        // An error within text that was compiled is said to be "on" that text by Redis, here it is on the function.
        // Code that is not finished goes on with the line behind it, and then lines of errors may differ.
        if (code.includes('loadstring("return KEYS') || code.startsWith('x = ')) continue
        const source = wrap(code)
        for (const words of [
          [...REPLACE, source],
          ['FCALL', 'f', '0'],
          ['FUNCTION', 'FLUSH'],
        ]) {
          expected.push(`${code} => ${await reference.command(...words)}`)
          actual.push(`${code} => ${local.command(...words)}`)
        }
      }
      expect(actual).toEqual(expected)
    })
  }
})

/** HELLO tells the servers apart. */
function comparable(words: readonly string[], reply: string): string {
  return words[0] === 'HELLO' ? '' : reply
}
