/** The script engine without a reference: limits, the sandbox, the sink that builds Lua values. */
import { describe, expect, test } from 'vitest'
import { formatDouble } from '../../src/bytes/double.ts'
import { TextCache } from '../../src/bytes/text-cache.ts'
import { LuaTable } from '../../src/scripting/lua/table.ts'
import { type LuaValue, ScriptAborted } from '../../src/scripting/lua/value.ts'
import { numberArgument } from '../../src/scripting/redis-library.ts'
import { ScriptSink } from '../../src/scripting/script-sink.ts'
import { Arena } from '../../src/storage/arena.ts'
import { LocalEval } from './resp-eval.ts'

class AbortingEval extends LocalEval {
  constructor(ticksAllowed: number) {
    super()
    let ticks = 0
    this.host.tick = () => {
      if (++ticks > ticksAllowed) throw new ScriptAborted('ERR Script killed by user with SCRIPT KILL...')
      return 1000
    }
  }
}

describe('the time limit', () => {
  const endless: Readonly<Record<string, string>> = {
    'an empty loop': 'while true do end',
    'a repeat loop': 'repeat until false',
    'a numeric loop': 'for i = 1, 1/0 do end',
    'a loop that catches everything': 'while true do pcall(function() while true do end end) end',
    'a tail call': 'local function f() return f() end f()',
    'an iterator': 'for x in function() return 1 end do end',
    'a coroutine': 'coroutine.wrap(function() while true do coroutine.yield() end end)() while true do end',
  }
  for (const [name, script] of Object.entries(endless)) {
    test(`ends ${name}`, () => {
      expect(new AbortingEval(20).run(script)).toMatch(/^-ERR Script killed by user with SCRIPT KILL\.\.\. script: /)
    })
  }
})

describe('scripts that differ in their values only', () => {
  const withValues = (text: string, number: number): string =>
    `local t = {"${text}", ${number}, x = "${text}"} for i = 1, ${number} do t[1] = t[1] .. "${text}" end return {t[1], t.x, #t.x * ${number}}`

  test('answer with their own values, in the first run and in later ones', () => {
    const local = new LocalEval()
    const expected = [
      [withValues('a', 2), '*3\r\n$3\r\naaa\r\n$1\r\na\r\n:2\r\n'],
      [withValues('bc', 1), '*3\r\n$4\r\nbcbc\r\n$2\r\nbc\r\n:2\r\n'],
      [withValues('', 3), '*3\r\n$0\r\n\r\n$0\r\n\r\n:0\r\n'],
    ] as const
    for (let run = 0; run < 3; run++) {
      for (const [script, reply] of expected) expect(local.run(script)).toBe(reply)
    }
  })

  test('name their own lines and scripts when they fail', () => {
    const local = new LocalEval()
    const first = local.run('return 1 + {}\n-- 1')
    const second = local.run('\nreturn 2 + {}')
    const third = local.run('\nreturn 3 + {}')
    expect(first).toContain('user_script:1: attempt to perform arithmetic on a table value')
    expect(second).toMatch(
      /^-ERR user_script:2: attempt to perform arithmetic on a table value script: [0-9a-f]{40}, on @user_script:2\.\r\n$/,
    )
    expect(third).toMatch(/^-ERR user_script:2: /)
    expect(third).not.toBe(second)
  })

  test('work in any number of makes', () => {
    const local = new LocalEval()
    for (let i = 1; i <= 450; i++) {
      expect(local.run(`local t = {name${i} = "${i}"} return t.name${i}`)).toBe(`$${`${i}`.length}\r\n${i}\r\n`)
    }
    expect(local.run('local t = {name1 = "again"} return t.name1')).toBe('$5\r\nagain\r\n')
  })
})

describe('the sandbox', () => {
  const local = new LocalEval()

  test('names of JavaScript are ordinary keys', () => {
    const script = `local t = {} local out = {}
      for i, k in ipairs({"constructor", "__proto__", "prototype", "toString", "hasOwnProperty", "arr", "hash", "meta"}) do
        out[#out + 1] = tostring(t[k]) t[k] = i out[#out + 1] = tostring(t[k])
      end
      return table.concat(out, ",")`
    expect(local.run(script)).toBe('$47\r\nnil,1,nil,2,nil,3,nil,4,nil,5,nil,6,nil,7,nil,8\r\n')
    expect(local.run('return tostring(("x").constructor) .. tostring(("x").length)')).toBe('$6\r\nnilnil\r\n')
    expect(local.run('return constructor')).toContain("nonexistent global variable 'constructor'")
    expect(local.run('return this')).toContain("nonexistent global variable 'this'")
  })

  test('reserved words of JavaScript are ordinary names', () => {
    expect(
      local.run('local var, new, class, this, await = 1, 2, 3, 4, 5 return var + new + class + this + await'),
    ).toBe(':15\r\n')
  })

  test('strings of a script never become code', () => {
    const text = '"]];}throw 1;//\\u2028\\x00`${1}</script>*/'
    expect(local.run(`return ${JSON.stringify(text)}`)).toBe(`$${text.length}\r\n${text}\r\n`)
  })

  test('libraries cannot be changed', () => {
    for (const target of ['string.x', 'redis.call', 'math.pi', '_G.x', 'getmetatable("").__index', 'cjson.null']) {
      expect(local.run(`${target} = 1`)).toContain('Attempt to modify a readonly table')
    }
  })
})

describe('ScriptSink', () => {
  function build(version: number, write: (sink: ScriptSink) => void): LuaValue {
    const sink = new ScriptSink(new Arena(), formatDouble, new TextCache())
    sink.reset()
    sink.version = version
    write(sink)
    return sink.take()
  }

  test('builds nested arrays with a false for null', () => {
    const value = build(2, (sink) => {
      sink.array(3)
      sink.integer(1)
      sink.array(2)
      sink.bulkText('a')
      sink.nil()
      const mark = sink.begin()
      sink.bulkText('x')
      sink.bulkText('y')
      sink.closeArray(mark, 2)
    })
    expect(value).toEqual(new LuaTable([1, new LuaTable(['a', false]), new LuaTable(['x', 'y'])]))
  })

  test('flattens a map in RESP2 and keeps it in RESP3', () => {
    const write = (sink: ScriptSink): void => {
      sink.map(1)
      sink.bulkText('k')
      sink.double(1.5)
    }
    expect(build(2, write)).toEqual(new LuaTable(['k', '1.5']))
    const inner = new LuaTable().init('k', new LuaTable().init('double', 1.5))
    expect(build(3, write)).toEqual(new LuaTable().init('map', inner))
  })

  test('takes back what a failed command wrote', () => {
    const sink = new ScriptSink(new Arena(), formatDouble, new TextCache())
    sink.reset()
    const mark = sink.position()
    sink.array(5)
    sink.integer(1)
    sink.takeBack(mark)
    sink.error('ERR later')
    expect(sink.isError).toBe(true)
    const value = sink.take()
    expect(value instanceof LuaTable ? value.getString('err') : null).toBe('ERR later')
  })
})

test('numbers become arguments in plain digits as integers up to 2^62, else in the shortest form', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [-0, '0'],
    [1e8, '100000000'],
    [2 ** 53, '9007199254740992'],
    [2 ** 62, '4611686018427387904'],
    [0.1, '0.1'],
    [1.5e-6, '1.5e-6'],
    [1e300, '1e+300'],
    [Number.POSITIVE_INFINITY, 'inf'],
  ]
  for (const [number, text] of cases) expect(numberArgument(number)).toBe(text)
})
