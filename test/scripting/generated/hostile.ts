/**
 * Hostile Lua programs for the fuzz run: noise, damaged programs, attempts to reach JavaScript, sources and runs without
 * measure. Unlike those of `program.ts` they need not end by themselves.
 */
import type { Random } from '../../differential/random.ts'
import { numberLiteral, pattern, stringLiteral, stringValue } from './literals.ts'
import { generatePlainProgram, generateProgram } from './program.ts'

const TOKENS = [
  ...[
    'and',
    'break',
    'do',
    'else',
    'elseif',
    'end',
    'false',
    'for',
    'function',
    'if',
    'in',
    'local',
    'nil',
    'not',
    'or',
  ],
  ...['repeat', 'return', 'then', 'true', 'until', 'while', '+', '-', '*', '/', '%', '^', '#', '==', '~=', '<=', '>='],
  ...['<', '>', '=', '(', ')', '{', '}', '[', ']', ';', ':', ',', '.', '..', '...', 'a', 'b', 'x', 'KEYS', 'redis'],
  ...[
    '"s"',
    "'",
    '"',
    '[[',
    ']]',
    '[=[',
    '--',
    '--[[',
    '0x',
    '1e',
    '3..2',
    '\\',
    '\0',
    '\n',
    '@',
    '$',
    '`',
    '!',
    '\xff',
  ],
]

/** What JavaScript objects have, and what this engine's own classes have. */
const HOST_NAMES = [
  ...['constructor', '__proto__', 'prototype', 'call', 'apply', 'bind', 'arguments', 'caller', 'toString', 'valueOf'],
  ...['hasOwnProperty', '__defineGetter__', '__lookupGetter__', 'length', 'name', 'arr', 'hash', 'meta', 'readonly'],
  ...['value', 'line', 'get', 'set', 'init', 'getString', 'then', 'next', 'done', 'stack', 'message', 'exports', 'env'],
]
const HOST_GLOBALS = [
  ...['globalThis', 'process', 'require', 'module', 'Function', 'Object', 'eval', 'this', 'self', 'window', 'console'],
  ...[
    'import',
    'undefined',
    'NaN',
    'Infinity',
    'Array',
    'Buffer',
    'fetch',
    'setTimeout',
    'getfenv',
    'setfenv',
    'newproxy',
  ],
  ...[
    'debug',
    'io',
    'os',
    'package',
    'dofile',
    'loadfile',
    'print',
    'require',
    'module',
    'load',
    '_G',
    '$gs',
    '$c0',
    '$V',
  ],
]
/** Text that must stay text wherever it is put into generated code. */
const BREAKOUTS = [
  ...[
    '"];process.exit(1)//',
    '*/process.exit(1)/*',
    '`${process.exit(1)}`',
    '\\";throw 1//',
    '\u2028'.slice(0, 0),
    '</script>',
  ],
  ...['\n//# sourceURL=x', "'+process+'", '\x00', '\\u0022', '$1', '$&', '%', '\r', '\\', '__proto__', 'constructor'],
]
const CALLEES = [
  'pcall',
  'xpcall',
  'tostring',
  'type',
  'setmetatable',
  'getmetatable',
  'rawget',
  'rawset',
  'rawequal',
  'next',
]
const MORE_CALLEES = [
  ...[
    'pairs',
    'ipairs',
    'select',
    'unpack',
    'loadstring',
    'load',
    'error',
    'assert',
    'tonumber',
    'collectgarbage',
    'gcinfo',
  ],
  ...[
    'string.dump',
    'string.rep',
    'string.format',
    'string.gsub',
    'string.find',
    'string.gmatch',
    'table.sort',
    'table.concat',
  ],
  ...['table.insert', 'table.remove', 'table.foreach', 'table.maxn', 'cjson.encode', 'cjson.decode', 'cmsgpack.pack'],
  ...[
    'cmsgpack.unpack',
    'struct.pack',
    'struct.unpack',
    'bit.tohex',
    'coroutine.wrap',
    'coroutine.create',
    'coroutine.resume',
  ],
  ...[
    'coroutine.yield',
    'coroutine.status',
    'coroutine.running',
    'redis.call',
    'redis.pcall',
    'redis.sha1hex',
    'redis.log',
  ],
  ...[
    'redis.error_reply',
    'redis.setresp',
    'redis.acl_check_cmd',
    'math.random',
    'math.floor',
    'string.char',
    'string.byte',
  ],
]

/** A hostile program; about half are damaged programs of the usual generators. Some are walked the first time, see `walk.ts`. */
export function hostileProgram(random: Random): string {
  if (random.chance(3)) return measureless(random)
  switch (random.below(16)) {
    case 0:
      return random.some(1, 60, () => random.pick(TOKENS)).join(random.pick([' ', '', '\n']))
    case 1:
    case 2:
      return damagedTokens(random, generateProgram(random).text)
    case 3:
    case 4:
      return damagedBytes(random, generateProgram(random).text)
    case 5:
      return generateProgram(random).text
    case 6:
      return generatePlainProgram(random).text
    case 7:
      return damagedTokens(random, generatePlainProgram(random).text)
    case 8:
      return damagedBytes(random, generatePlainProgram(random).text)
    case 9:
    case 10:
      return plainAttempt(random)
    default:
      return sandboxAttempt(random)
  }
}

/** A program that most likely does not compile: for comparing messages of the compiler. */
export function damagedProgram(random: Random): string {
  const text = generateProgram(random).text
  // Without the prelude, which would hide what comes behind a mistake in it.
  const body = text.slice(text.indexOf('local function P'))
  const damaged = random.chance(15)
    ? random.some(1, 30, () => random.pick(TOKENS)).join(' ')
    : random.chance(60)
      ? damagedTokens(random, body)
      : damagedBytes(random, body)
  // Lua's own reader goes on behind some zero bytes, and stops at others.
  return damaged.replaceAll('\0', '')
}

function damagedTokens(random: Random, text: string): string {
  const tokens = text.match(/"(?:\\[\s\S]|[^"\\])*"|[A-Za-z_]\w*|[\d.]+|\s+|[\s\S]/g) ?? []
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(tokens.length)
    const kind = random.below(4)
    if (kind === 0) tokens.splice(at, 1)
    else if (kind === 1) tokens.splice(at, 0, random.pick(TOKENS))
    else if (kind === 2) tokens[at] = random.pick(TOKENS)
    else tokens.splice(at, 0, tokens[random.below(tokens.length)]!)
  }
  return tokens.join('')
}

function damagedBytes(random: Random, text: string): string {
  let out = text
  for (let count = 1 + random.below(6); count > 0; count--) {
    const at = random.below(out.length + 1)
    const byte = String.fromCharCode(random.below(256))
    const kind = random.below(4)
    if (kind === 0) out = out.slice(0, at) + out.slice(at + 1 + random.below(8))
    else if (kind === 1) out = out.slice(0, at) + byte + out.slice(at)
    else if (kind === 2) out = out.slice(0, at) + byte + out.slice(at + 1)
    else out = out.slice(0, at)
  }
  return out
}

function sandboxAttempt(random: Random): string {
  const lines = random.some(1, 6, () => attempt(random))
  return `local t, f, s = {}, function(...) return ... end, "text"\n${lines.join('\n')}\nreturn t`
}

/** As `sandboxAttempt`, without functions and loops. */
function plainAttempt(random: Random): string {
  const lines = random.some(1, 6, () => {
    const value = reach(random, 3)
    return random.pick([
      `t[#t + 1] = tostring(${value})`,
      `t[#t + 1] = ${value}`,
      `t[${value}] = ${value}`,
      `t[#t + 1] = select(2, pcall(f, ${value}))`,
      `t.${random.pick(HOST_NAMES)}, t[${value}] = ${value}, ${reach(random, 1)}`,
      `pcall(rawset, ${reach(random, 2)}, ${value}, t)`,
      `local ${random.pick(HOST_NAMES)} = ${value}`,
      `if ${value} then t.x = ${value} elseif not (${value} == t) then t[1] = - ${value} end`,
      `do local a, b = ${value} t[#t + 1] = ${random.pick(['a .. b', 'a + b', '#a', 'a < b', 'a and b', 'a ^ b', 'b or a'])} end`,
      `setmetatable(t, {__${random.pick(['index', 'newindex', 'call', 'tostring', 'eq', 'lt', 'concat'])} = ${value}})`,
      `t[#t + 1] = cjson.encode({${reach(random, 1)}})`,
      `return ${value}`,
    ])
  })
  return `local t, f, s = {}, ${random.pick(['tostring', 'rawget', 'pcall', 'redis.call'])}, "text"\n${lines.join('\n')}\nreturn t`
}

function attempt(random: Random): string {
  const value = reach(random, 3)
  return random.pick([
    `t[#t + 1] = tostring(${value})`,
    `t[#t + 1] = ${value}`,
    `pcall(function() t[#t + 1] = ${value} end)`,
    `t[#t + 1] = select(2, pcall(function() return ${value} end))`,
    `t[${value}] = ${value}`,
    `pcall(function() ${reach(random, 2)}.${random.pick(HOST_NAMES)} = ${value} end)`,
    `for k, v in ${random.pick(['pairs', 'next,', 'ipairs'])} (${value}) do t[#t + 1] = tostring(k) if #t > 9 then break end end`,
    `local ${random.pick(HOST_NAMES)} = ${value}`,
    `setmetatable(t, {__index = ${value}, __${random.pick(['newindex', 'call', 'tostring', 'eq', 'lt', 'concat'])} = ${value}})`,
    `f(coroutine.wrap(function(...) coroutine.yield(${value}) end)(${value}))`,
    `t[#t + 1] = cjson.encode({${reach(random, 1)}})`,
    `return ${value}`,
  ])
}

/** An expression that tries to get hold of something. */
function reach(random: Random, depth: number): string {
  const inner = (): string => (depth > 0 ? reach(random, depth - 1) : random.pick(['t', 'f', 's', '1', 'nil', 'KEYS']))
  switch (random.below(12)) {
    case 0:
      return `(${inner()}).${random.pick(HOST_NAMES)}`
    case 1:
      return `(${inner()})["${random.pick(HOST_NAMES)}"]`
    case 2:
      return random.pick(HOST_GLOBALS.filter((name) => /^\w+$/.test(name)))
    case 3:
      return `_G["${random.pick(HOST_GLOBALS)}"]`
    case 4:
      return `(${inner()}):${random.pick(HOST_NAMES)}(${inner()})`
    case 5:
      return `(${inner()})(${inner()}, ${inner()})`
    case 6:
    case 7:
      return `${random.pick(random.chance(30) ? CALLEES : MORE_CALLEES)}(${random.some(0, 3, inner).join(', ')})`
    case 8:
      return `loadstring(${stringLiteral(random, random.pick(BREAKOUTS))}, ${stringLiteral(random, random.pick(BREAKOUTS))})`
    case 9:
      return `(loadstring(${stringLiteral(random, `return ${random.pick(HOST_GLOBALS)}, ...`)}) or f)(${inner()})`
    case 10:
      return `getmetatable(${inner()})`
    default:
      return random.pick([
        ...[
          't',
          'f',
          's',
          '_G',
          'redis',
          'string',
          'KEYS',
          'ARGV',
          'cjson.null',
          'getmetatable("")',
          numberLiteral(random),
        ],
        ...[
          stringLiteral(random, random.pick(BREAKOUTS)),
          stringLiteral(random, stringValue(random)),
          '{f, s, t}',
          '1/0',
        ],
      ])
  }
}

/** Sources and runs that go beyond some limit. */
function measureless(random: Random): string {
  const n = random.pick([150, 199, 200, 201, 260, 1000, 5000])
  const many = random.pick([255, 256, 1000, 20_000])
  const rep = (text: string, count: number): string => text.repeat(count)
  return random.pick([
    () => `return ${rep('(', n)}1${rep(')', n)}`,
    () => `return ${rep('{', n)}${rep('}', n)}`,
    () => `return ${rep('not ', n)}1`,
    () => `return ${rep('-', 1)}${rep('- ', n)}1`,
    () => `return ${rep('"a" .. ', n)}"b"`,
    () => `return ${rep('1 + ', n)}1`,
    () => `return ${rep('2 ^ ', n)}1`,
    () => `return ${rep('true and ', many)}1`,
    () => `${rep('do ', n)}${rep(' end', n)}`,
    () => `${rep('if true then ', n)}${rep(' end', n)}`,
    () => `${rep('while false do ', n)}${rep(' end', n)}`,
    () => `return ${rep('function() return ', n)}1${rep(' end', n)}`,
    () => `local t = {} return t${rep('.a', n)}`,
    () => `local t = {} return t${rep('[1]', n)}`,
    () => `local f f = function() return f end return f${rep('()', n)}`,
    () => `return {${rep('1,', many)}}`,
    () => `return #{${rep('{},', many)}}`,
    () => `local ${rep('a,', random.pick([198, 199, 200, 300]))}a return a`,
    () => `${rep('local a = 1 ', random.pick([199, 200, 201, 250]))}return a`,
    () => `return function(${rep('a,', random.pick([150, 199, 200, 300]))}a) end`,
    () =>
      `local function f(...) return select("#", ...) end return f(${rep('1,', random.pick([100, 250, 256, 1000]))}1)`,
    () => `local a ${rep('a = a or 1 ', many)} return a`,
    () => `return "${rep('\\0', many)}"`,
    () => `return [${rep('=', n)}[x]${rep('=', n)}]`,
    () => `local function f() return 1 + f() end return f()`,
    () => `local function f() return f() end return f()`,
    () => `local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k + 1] end return t[1]`,
    () => `local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x`,
    () => `local t = setmetatable({}, {__tostring = function(x) return tostring(x) end}) return tostring(t)`,
    () => `local s = "x" for i = 1, ${random.pick([16, 20, 24])} do s = s .. s end return #s`,
    () => `local t = {} for i = 1, 1e9 do t[i] = {i} end return #t`,
    () => `return #string.rep("x", ${random.pick(['1e3', '1e9', '2^31', '2^53', '-1', '1/0'])})`,
    () =>
      `return (string.rep("a", 20):find(${stringLiteral(random, `${pattern(random)}${rep('a-', random.below(4))}b`)}))`,
    () =>
      `local t = {} t[1] = t return ${random.pick(['cjson.encode(t)', 'cmsgpack.pack(t)', 't', 'tostring(t) ~= nil'])}`,
    () => `return cjson.decode(${rep('"[" .. ', random.below(20))}string.rep("[", ${n}))`,
    () => `while true do ${random.pick(['', 'pcall(error)', 'local x = {}', 'coroutine.wrap(function() end)()'])} end`,
    () => `for i = 1, ${random.pick(['1/0', '1e9', '0/0'])} do end`,
    () => `return unpack({}, 1, ${random.pick(['7999', '8000', '1e8', '2^31', '-1'])})`,
    () => `return table.concat({}, "x", 1, ${random.pick(['1e9', '2^31', '-1'])})`,
    () =>
      `local t = {} table.insert(t, ${random.pick(['-2147483648', '2^31', '2^53', '1e9', '-1', '0/0'])}, 1) return #t`,
    () => `local co co = coroutine.wrap(function() return co() end) return co()`,
    () => `local function f(n) return coroutine.wrap(function() return f(n + 1) end)() end return f(1)`,
    () =>
      `return string.format("%99.99f", ${numberLiteral(random)}) .. string.format(${stringLiteral(random, rep('%s', n))})`,
    () =>
      `local t = {} for i = 1, ${n} do t = {t} end return ${random.pick(['t', 'cjson.encode(t)', 'cmsgpack.pack(t)'])}`,
    () =>
      `table.sort({${rep('3,1,2,', 40)}}, function() return ${random.pick(['true', 'false', 'nil', 'error("x")'])} end)`,
    () => `return string.gsub(string.rep("x", ${n}), ".", string.rep("y", ${many}))`,
  ])()
}
