/** Ways out of the sandbox: into JavaScript, or into the libraries that all scripts share. */
import { describe, expect, test } from 'vitest'
import { LocalEval } from './resp-eval.ts'

const evaluator = new LocalEval()

const READ_ONLY = expect.stringMatching(/^-ERR (user_script:1: )?Attempt to modify a readonly table script: /)
const NO_GLOBAL = expect.stringContaining('Script attempted to access nonexistent global variable')

describe('what JavaScript has is not there:', () => {
  const NIL = '$3\r\nnil\r\n'
  test.each([
    'return tostring(({}).constructor)',
    "return tostring(('').constructor)",
    "return tostring(('').__proto__)",
    'return tostring(string.constructor)',
    "return tostring(rawget(_G, 'constructor'))",
    "return tostring(rawget(_G, '__proto__'))",
    'return tostring(KEYS.prototype)',
    'local t = {} t.__proto__ = {polluted = 1} return tostring(({}).polluted)',
    'cjson.decode(\'{"__proto__":{"polluted":1}}\') return tostring(({}).polluted)',
    "cmsgpack.unpack('\\129\\169__proto__\\129\\168polluted\\1') return tostring(({}).polluted)",
  ])('%s', (script) => {
    expect(evaluator.run(script)).toBe(NIL)
  })

  test.each([
    'globalThis',
    'process',
    'require',
    'this',
    'undefined',
    'arguments',
    'eval',
    'Function',
    'await',
    'yield',
  ])('the name %s', (name) => {
    expect(evaluator.run(`return ${name}`)).toEqual(NO_GLOBAL)
    expect(evaluator.run(`return loadstring('return ${name}')()`)).toEqual(NO_GLOBAL)
    expect(evaluator.run(`local ${name} = 5 return ${name}`)).toBe(':5\r\n')
  })

  test.each([
    'debug',
    'dofile',
    'getfenv',
    'io',
    'loadfile',
    'module',
    'newproxy',
    'os',
    'package',
    'print',
    'setfenv',
  ])('nor is %s of Lua', (name) => {
    expect(evaluator.run(`return ${name}`)).toEqual(NO_GLOBAL)
  })

  test('text stays text, whatever it holds', () => {
    const placeholder = '$' + '{process.exit()}'
    const text = `\\\\${placeholder}\`\\'\\"\\226\\128\\168\\0//*/<!--`
    const value = `\\${placeholder}\`'"\xe2\x80\xa8\0//*/<!--`
    expect(evaluator.run(`return '${text}'`)).toBe(`$${value.length}\r\n${value}\r\n`)
    expect(evaluator.run(`local t = {['${text}'] = 1} return #next(t)`)).toBe(`:${value.length}\r\n`)
  })
})

describe('what all scripts share stays as it is:', () => {
  test.each([
    '_G.x = 1',
    'x = 1',
    'function f() end',
    'string.x = 1',
    'redis.call = nil',
    'cjson.encode = nil',
    "rawset(string, 'rep', nil)",
    "rawset(_G, 'x', 1)",
    'setmetatable(_G, {})',
    'setmetatable(string, {})',
    "getmetatable('').__index = nil",
    "rawset(getmetatable(''), '__index', 1)",
    'getmetatable(_G).__index = nil',
    'table.insert(_G, 1)',
    'table.sort(_G)',
    'for k, v in pairs(math) do math[k] = nil end',
  ])('%s', (script) => {
    expect(evaluator.run(script)).toEqual(READ_ONLY)
  })

  test('bytecode is not loaded', () => {
    expect(evaluator.run('return {loadstring(string.dump(function() end))}')).toBe('*0\r\n')
  })
})
