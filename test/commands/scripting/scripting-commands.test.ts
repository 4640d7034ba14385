/**
 * EVAL, EVALSHA and SCRIPT in a whole server without sockets, beside a real redis-server where there is one: the raw
 * replies to the same commands are the same.
 */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sha1 } from '../../../src/scripting/redis-library.ts'
import { ReferenceEval } from '../../scripting/resp-eval.ts'
import { LocalServer } from './local-server.ts'

const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0
const ECHO = 'return {KEYS[1], KEYS[2], ARGV[1], ARGV[2]}'
const ONE_SHA = 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'

/** A script is compiled for many runs when it runs a second time; then its calls have what is constant in them encoded. */
function thrice(script: string, ...args: string[]): string[][] {
  return Array.from({ length: 3 }, () => ['EVAL', script, '1', 'k', ...args])
}

const sequences: Readonly<Record<string, readonly (readonly string[])[]>> = {
  arguments: [
    ['EVAL', ECHO, '2', 'a', 'b', 'c', 'd'],
    ['EVAL', ECHO, '0', 'a'],
    ['EVAL', ECHO, '3', 'a', 'b'],
    ['EVAL', ECHO, '-1', 'a', 'b'],
    ['EVAL', ECHO, 'x'],
    ['EVAL', ECHO],
    ['EVAL'],
    ['EVAL', 'return #KEYS .. #ARGV', '1', 'k', '', '\xff\0'],
    ['EVAL', 'return ARGV[1]', '0', '\xe4\0\r\n'],
    ['EVAL', 'KEYS[1] = "x" KEYS[3] = 1 return KEYS', '1', 'k'],
    ['EVALSHA', 'short', '0'],
    ['EVALSHA', ONE_SHA, '0'],
    ['EVALSHA', ONE_SHA, 'x'],
    ['EVALSHA', ONE_SHA, '5'],
    ['SCRIPT', 'LOAD', 'return 1'],
    ['EVALSHA', ONE_SHA, '0'],
    ['EVALSHA', ONE_SHA.toUpperCase(), '0'],
    ['EVALSHA_RO', ONE_SHA, '0'],
    ['SCRIPT', 'EXISTS', ONE_SHA, 'nope', ONE_SHA.toUpperCase()],
    ['SCRIPT', 'FLUSH', 'SYNC'],
    ['SCRIPT', 'EXISTS', ONE_SHA],
    ['SCRIPT', 'FLUSH', 'LATER'],
    ['SCRIPT', 'FLUSH', 'SYNC', 'x'],
    ['SCRIPT', 'LOAD', 'return +'],
    ['SCRIPT', 'LOAD'],
    ['SCRIPT', 'KILL'],
    ['SCRIPT', 'NOSUCH'],
    ['SCRIPT'],
    ['EVAL', 'return 1', '0'],
    ['SCRIPT', 'EXISTS', ONE_SHA],
  ],
  'calls with constant arguments': [
    ...thrice('redis.call("DEL", "k", KEYS[1]) return redis.call("SET", KEYS[1], "text")'),
    ...thrice(
      'return {redis.call("SET", "k", 1.5), redis.call("GET", "k"), redis.call("set", "k", 7), redis.call("GET", KEYS[1])}',
    ),
    ...thrice(
      'redis.call("DEL", "h") return redis.call("HSET", "h", "a", 0, ARGV[1], "c", "", ARGV[2], "a", ARGV[3])',
      '1',
      '2',
      '3',
    ),
    ...thrice(
      'redis.call("HSET", "h", ARGV[1], 1, ARGV[2], 2, ARGV[3], 3, "d", 4) return redis.call("HGETALL", "h")',
      '1',
      'x',
      '',
    ),
    ...thrice('return redis.call("HMGET", "h", unpack(ARGV))', '1', 'x', 'y'),
    ...thrice(`return redis.call("LPUSH", "list", "\\0\\255\\r\\n", -1, "${'long'.repeat(50)}", #KEYS)`),
    ...thrice('return redis.call("SET", "k", nil)'),
    ...thrice('return redis.call("SET", KEYS[2], "x")'),
    ...thrice('return redis.pcall("MSET", "k", KEYS, "l", 1, ARGV[1], ARGV[1], ARGV[1], ARGV[1])', 'm'),
    ...thrice('return redis.call("SET", "k")'),
    ...thrice('return redis.call("nosuch", "k", 1)'),
    ...thrice('return redis.call("ECHO", redis.call("ECHO", "inner") .. redis.call("ECHO", ARGV[1]))', 'outer'),
  ],
  'calls whose replies are ignored': [
    ...thrice(
      'redis.call("SET", KEYS[1], 1) redis.call("INCR", KEYS[1]) redis.call("GET", KEYS[1]) return redis.call("GET", KEYS[1])',
    ),
    ...thrice(
      'redis.call("RPUSH", "l", 1, 2) redis.call("LRANGE", "l", 0, -1) redis.call("LPOP", "l", 5) return redis.call("EXISTS", "l")',
    ),
    ...thrice(
      'redis.call("HSET", "h", "f", 1) redis.call("HGETALL", "h") redis.call("HSCAN", "h", 0) return redis.call("HGETALL", "h")',
    ),
    ...thrice(
      'redis.setresp(3) redis.call("ZADD", "z", 1.5, "m") redis.call("ZSCORE", "z", "m") redis.call("HGETALL", "h") redis.call("SMEMBERS", "s") return redis.call("HGETALL", "h")',
    ),
    ...thrice('redis.call("SET", KEYS[1], "x") redis.call("INCR", KEYS[1]) return 1'),
    ...thrice('redis.pcall("INCR", KEYS[1]) redis.pcall("nosuch") return redis.call("GET", KEYS[1])'),
    ...thrice('redis.call("SORT", "l", "BY") return 1'),
    ...thrice(
      'local ok = pcall(function() redis.call("LPUSH", KEYS[1], 1) end) return {ok, redis.call("TYPE", KEYS[1])}',
    ),
  ],
  shebangs: [
    ['EVAL', '#!lua\nreturn 1', '0'],
    ['EVAL', '#!lua name=x\nreturn 1', '0'],
    ['EVAL', '#!lua flags=no-writes\nreturn redis.call("set","a",1)', '0'],
    ['EVAL', '#!lua flags=no-writes,allow-oom,allow-stale,no-cluster\nreturn redis.call("get","a")', '0'],
    ['EVAL', '#!lua flags=what\nreturn 1', '0'],
    ['EVAL', '#!lua flags=\nreturn 1', '0'],
    ['EVAL', '#!foo\nreturn 1', '0'],
    ['EVAL', '#!lua', '0'],
    ['EVAL', '#!lua\nreturn x', '0'],
    ['EVAL', '#!lua\nreturn =', '0'],
    ['EVAL_RO', '#!lua\nreturn 1', '0'],
    ['EVAL_RO', '#!lua flags=no-writes\nreturn 1', '0'],
    ['EVAL_RO', 'return redis.call("get","a")', '0'],
    ['EVAL_RO', 'return redis.pcall("set","a",1).err', '0'],
  ],
  replies: [
    ['EVAL', 'return redis.call("set","s","v")', '0'],
    ['EVAL', 'return redis.call("set","s","v").ok', '0'],
    ['EVAL', 'return redis.call("get","s")', '0'],
    ['EVAL', 'return redis.call("get","none")', '0'],
    ['EVAL', 'return redis.call("get","none") == false', '0'],
    ['EVAL', 'redis.setresp(3) return redis.call("get","none") == nil', '0'],
    ['EVAL', 'return redis.call("incr","n") + 5', '0'],
    ['EVAL', 'return type(redis.call("get","n"))', '0'],
    ['EVAL', 'redis.call("rpush","l","a","b","c") return redis.call("lrange","l",0,-1)', '0'],
    ['EVAL', 'return #redis.call("lrange","l",0,-1)', '0'],
    ['EVAL', 'return redis.call("lrange","none",0,-1)', '0'],
    ['EVAL', 'redis.call("hset","h","f","v","g","w") return redis.call("hgetall","h")', '0'],
    ['EVAL', 'redis.setresp(3) return redis.call("hgetall","h").map.f', '0'],
    ['EVAL', 'return redis.call("hmget","h","f","none","g")', '0'],
    ['EVAL', 'local r = redis.call("hmget","h","f","none","g") return {#r, r[2] == false}', '0'],
    ['EVAL', 'redis.call("sadd","set","a") redis.setresp(3) return redis.call("smembers","set").set.a', '0'],
    ['EVAL', 'redis.call("zadd","z",1.5,"a") redis.setresp(3) return redis.call("zscore","z","a").double * 2', '0'],
    ['EVAL', 'return redis.call("zscore","z","a")', '0'],
    ['EVAL', 'return redis.call("zrange","z",0,-1,"withscores")', '0'],
    ['EVAL', 'return redis.call("mget","s","none","n")', '0'],
    ['EVAL', 'redis.call("select",1) redis.call("set","other",1) return redis.call("get","other")', '0'],
    ['GET', 'other'],
    ['EVAL', 'return redis.call("type","l")', '0'],
    ['EVAL', 'return redis.call("exists",KEYS[1],KEYS[2])', '2', 's', 'none'],
    ['EVAL', 'return {redis.call("set","a",1), redis.call("get","a"), redis.call("incr","a")}', '0'],
    ['EVAL', 'return redis.call("xadd","stream","1-1","f","v")', '0'],
    ['EVAL', 'return redis.call("xrange","stream","-","+")', '0'],
    ['EVAL', 'return redis.call("xread","BLOCK",0,"STREAMS","stream","$")', '0'],
    ['EVAL', 'return redis.call("del",unpack({"s","n","l","h"}))', '0'],
    ['EVAL', 'local c, k = "set", "dyn" return {redis.call(c,k,1), redis.call("GET",k), redis.call("Get",k)}', '0'],
  ],
  'numbers as arguments': [
    ['EVAL', 'redis.call("set","k",1) return redis.call("get","k")', '0'],
    ['EVAL', 'redis.call("set","k",-17) return redis.call("get","k")', '0'],
    ['EVAL', 'redis.call("set","k",9007199254740991) return redis.call("get","k")', '0'],
    ['EVAL', 'redis.call("set","k",1.5) return redis.call("get","k")', '0'],
    ['EVAL', 'redis.call("set","k",0) return redis.call("get","k")', '0'],
    ['EVAL', 'redis.call("set","k",100000000) return redis.call("get","k")', '0'],
    ['EVAL', 'redis.call("set","k",1/0) return redis.call("get","k")', '0'],
  ],
  errors: [
    ['SET', 'text', 'x'],
    ['EVAL', 'return redis.call("lpush","text",1)', '0'],
    ['EVAL', 'return redis.pcall("lpush","text",1)', '0'],
    ['EVAL', 'return {pcall(redis.call,"lpush","text",1)}', '0'],
    ['EVAL', 'return redis.pcall("lpush","text",1).err', '0'],
    ['EVAL', 'return {1, redis.pcall("lpush","text",1), 3}', '0'],
    ['EVAL', '\n\nlocal x = 1\nredis.call("incr","text")', '0'],
    ['EVAL', 'redis.call("get")', '0'],
    ['EVAL', 'redis.call("get","a","b")', '0'],
    ['EVAL', 'redis.call("nosuch")', '0'],
    ['EVAL', 'redis.call("")', '0'],
    ['EVAL', 'redis.call("eval","return 1",0)', '0'],
    ['EVAL', 'redis.call("script","flush")', '0'],
    ['EVAL', 'redis.call("multi")', '0'],
    ['EVAL', 'redis.call("get",nil)', '0'],
    ['EVAL', 'redis.call("get",true)', '0'],
    ['EVAL', 'redis.call("get",{})', '0'],
    ['EVAL', 'redis.call(nil)', '0'],
    ['EVAL', 'redis.call("set","partial",1) error("later")', '0'],
    ['GET', 'partial'],
    ['EVAL', 'return redis.acl_check_cmd("get","x")', '0'],
    ['EVAL', 'local function f() redis.call("incr","text") end\nlocal ok, e = pcall(f) return {ok, e}', '0'],
    [
      'EVAL',
      'local ok, e = xpcall(function() redis.call("incr","text") end, function(m) return m.err end) return e',
      '0',
    ],
    ['EVAL', 'error(redis.pcall("incr","text"))', '0'],
    ['EVAL', 'return redis.error_reply("MY own error")', '0'],
  ],
}

describe.skipIf(!hasRedisServer)('scripts reply as in redis-server', () => {
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
      await reference.command('SCRIPT', 'FLUSH')
      const expected: string[] = []
      const actual: string[] = []
      for (const words of commands) {
        expected.push(`${words.join(' ')} => ${await reference.command(...words)}`)
        actual.push(`${words.join(' ')} => ${local.command(...words)}`)
      }
      expect(actual).toEqual(expected)
    })
  }
})

describe('propagation', () => {
  let local: LocalServer

  beforeEach(() => {
    local = new LocalServer()
  })

  test('a script with several effects is one transaction of its effects', () => {
    local.command('EVAL', 'redis.call("set","a",1) redis.call("get","a") redis.call("incr","a")', '0')
    expect(local.takeEffects()).toEqual(['SELECT 0', 'MULTI', 'set a 1', 'incr a', 'EXEC'])
  })

  test('a script with one effect is that effect, and one without leaves no trace', () => {
    local.command('EVAL', 'redis.call("set","a",1)', '0')
    expect(local.takeEffects()).toEqual(['SELECT 0', 'set a 1'])
    local.command('EVAL', 'return redis.call("get","a")', '0')
    expect(local.takeEffects()).toEqual([])
  })

  test('effects before an error are kept', () => {
    local.command('EVAL', 'redis.call("set","a",1) error("x")', '0')
    expect(local.takeEffects()).toEqual(['SELECT 0', 'set a 1'])
  })

  test('redis.set_repl(REPL_NONE) keeps effects out of the log', () => {
    local.command(
      'EVAL',
      'redis.set_repl(redis.REPL_NONE) redis.call("set","a",1) redis.set_repl(redis.REPL_ALL) redis.call("set","b",1)',
      '0',
    )
    expect(local.takeEffects()).toEqual(['SELECT 0', 'set b 1'])
  })

  test('SCRIPT DEBUG takes NO, refuses YES and SYNC as there is no debugger, and tells the three of anything else', () => {
    expect(local.command('SCRIPT', 'DEBUG', 'no')).toBe('+OK\r\n')
    for (const mode of ['YES', 'sync']) {
      expect(local.command('SCRIPT', 'DEBUG', mode)).toBe('-ERR This server has no script debugger\r\n')
    }
    expect(local.command('SCRIPT', 'DEBUG', 'x')).toBe('-ERR Use SCRIPT DEBUG YES/SYNC/NO\r\n')
    expect(local.command('EVAL', 'return 1', '0')).toBe(':1\r\n')
  })

  test('SCRIPT SHOW replies the source of a cached script', () => {
    local.command('SCRIPT', 'LOAD', 'return 1')
    expect(local.command('SCRIPT', 'SHOW', ONE_SHA)).toBe('$8\r\nreturn 1\r\n')
    expect(local.command('SCRIPT', 'SHOW', ONE_SHA.toUpperCase())).toBe('$8\r\nreturn 1\r\n')
    expect(local.command('SCRIPT', 'SHOW', 'nope')).toBe('-NOSCRIPT No matching script. Please use EVAL.\r\n')
  })

  test('scripts that only EVAL knows are forgotten after 500 others, loaded ones are not', () => {
    local.command('SCRIPT', 'LOAD', 'return 1')
    local.command('EVAL', 'return 2', '0')
    for (let i = 0; i < 500; i++) local.command('EVAL', `return ${i + 10}`, '0')
    const second = '7f923f79fe76194c868d7e1d0820de36700eb649'
    expect(local.command('SCRIPT', 'EXISTS', ONE_SHA, second)).toBe('*2\r\n:1\r\n:0\r\n')
  })

  test('a script that is used again is the last one to be forgotten', () => {
    const shas = [1, 2, 3, 4].map((n) => sha1(`return ${n}`))
    for (const n of [1, 2, 3, 4]) local.command('EVAL', `return ${n}`, '0')
    // The first, one from the middle, and the last.
    for (const used of [0, 2, 2]) local.command('EVALSHA', shas[used]!, '0')
    const evalOthers = (from: number, count: number): void => {
      for (let i = 0; i < count; i++) local.command('EVAL', `return ${from + i}`, '0')
    }
    evalOthers(1000, 498)
    expect(local.command('SCRIPT', 'EXISTS', ...shas)).toBe('*4\r\n:1\r\n:0\r\n:1\r\n:0\r\n')
    local.command('EVALSHA', shas[0]!, '0')
    evalOthers(2000, 499)
    expect(local.command('SCRIPT', 'EXISTS', ...shas)).toBe('*4\r\n:1\r\n:0\r\n:0\r\n:0\r\n')
    evalOthers(3000, 1)
    expect(local.command('SCRIPT', 'EXISTS', ...shas)).toBe('*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n')
    expect(local.command('SCRIPT', 'FLUSH')).toBe('+OK\r\n')
    evalOthers(1, 3)
    expect(local.command('SCRIPT', 'EXISTS', ...shas)).toBe('*4\r\n:1\r\n:1\r\n:1\r\n:0\r\n')
  })
})

describe('statistics', () => {
  const WRITE = "redis.call('SET', KEYS[1], 1)"
  test.each([
    ['an error that a script returns', ['EVAL', "return redis.error_reply('MYCODE x')", '0'], { MYCODE: 1 }, true],
    ['an error without a code', ['EVAL', "return {err='oops'}", '0'], { ERR: 1 }, true],
    ['an error that a script raises', ['EVAL', "error('boom')", '0'], { ERR: 1 }, true],
    ['a command that fails', ['EVAL', "return redis.call('SELECT', 99)", '0'], { ERR: 1 }, true],
    ['its error returned', ['EVAL', "return redis.pcall('LPUSH', KEYS[1], 1)", '1', 'text'], { WRONGTYPE: 1 }, true],
    ['its error caught', ['EVAL', "redis.pcall('LPUSH', KEYS[1], 1) return 1", '1', 'text'], { WRONGTYPE: 1 }, false],
    ['a command that is refused', ['EVAL_RO', WRITE, '1', 'k'], { ERR: 1 }, true],
    ['a refusal caught', ['EVAL_RO', "redis.pcall('SET', KEYS[1], 1) return 1", '1', 'k'], { ERR: 1 }, false],
    ['an unknown command', ['EVAL', "redis.call('nosuch')", '0'], { ERR: 1 }, true],
    ['a script that does not compile', ['EVAL', 'return )', '0'], { ERR: 1 }, true],
  ])('%s counts once', (_name, words, counts, isFailed) => {
    const local = new LocalServer()
    local.command('SET', 'text', 'a')
    local.command(...words)
    expect(Object.fromEntries(local.server.errors.counts)).toEqual(counts)
    expect(local.server.errors.total).toBe(1)
    const command = local.server.registry.byFullName(words[0]!.toLowerCase())
    expect(command?.failedCalls).toBe(isFailed ? 1 : 0)
  })
})
