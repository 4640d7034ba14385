/**
 * Lua scripts in our engine and, where it is installed, in redis-server: milliseconds per run (best of several), and the
 * ratio; below 1 is faster than Redis. `node bench/lua.ts [name]`
 */

import { spawnSync } from 'node:child_process'
import { LocalEval, ReferenceEval } from '../test/scripting/resp-eval.ts'

const RUNS = 7

const scripts: Readonly<Record<string, string>> = {
  'fib(25)': 'local function fib(n) if n < 2 then return n end return fib(n-1) + fib(n-2) end return fib(25)',
  '5M loop with %': 'local s = 0 for i = 1, 5000000 do s = s + i % 7 end return s',
  'table append':
    'local t = {} for i = 1, 300000 do t[#t+1] = i end local s = 0 for i = 1, #t do s = s + t[i] end return s',
  'table.insert': 'local t = {} for i = 1, 300000 do table.insert(t, i) end return #t',
  'pcall/error':
    'local n = 0 for i = 1, 10000 do local ok, e = pcall(function() error("x") end) if not ok then n = n + 1 end end return n',
  closures:
    'local function add(n) return function(x, ...) return x + n, ... end end local s = 0 for i = 1, 200000 do s = s + add(i)(i, 1, 2) end return s',
  'string building': 'local s = "" for i = 1, 20000 do s = s .. "x" .. i end return #s',
  'find/sub/match/gsub':
    'local n = 0 for i = 1, 20000 do local s = "user:" .. i .. ":name" local a, b = s:find(":", 1, true) n = n + #s:sub(a + 1) + #(s:match("%d+")) + #(s:gsub("%d", "x")) end return n',
  'gsub with function':
    'local s = string.rep("abc ", 5000) local n = 0 s = s:gsub("%w+", function(w) n = n + 1 return w:upper() end) return n',
  'table.sort':
    'local t = {} local x = 42 for i = 1, 50000 do x = (x * 1103515245 + 12345) % 2147483648 t[i] = x end table.sort(t) table.sort(t, function(a, b) return a > b end) return t[1]',
  'record fields':
    'local c = {} local r = {a = 1, b = 2, c = 3} for i = 1, 500000 do r.a = r.a + r.b local k = i % 10 c[k] = (c[k] or 0) + 1 end return r.a',
  'small tables':
    'local s = 0 for i = 1, 300000 do local t = {x = i, y = i + 1} s = s + t.x + t.y local u = {i, i, i} s = s + #u end return s',
  metatables:
    'local P = {} P.__index = P function P.new(x) return setmetatable({x = x}, P) end function P:get() return self.x end local s = 0 for i = 1, 200000 do s = s + P.new(i):get() end return s',
  'pairs/ipairs':
    'local t = {} for i = 1, 1000 do t[i] = i t["k" .. i] = i end local s = 0 for r = 1, 200 do for k, v in pairs(t) do s = s + v end for i, v in ipairs(t) do s = s + v end end return s',
  cjson:
    'local o = {a = {1, 2, 3}, b = "text", c = {d = true, e = 1.5}} local n = 0 for i = 1, 20000 do n = n + #cjson.encode(cjson.decode(cjson.encode(o))) end return n',
  cmsgpack:
    'local o = {1, "two", {a = 3, b = "four"}, 5.5} local n = 0 for i = 1, 20000 do n = n + #cmsgpack.pack(cmsgpack.unpack(cmsgpack.pack(o))) end return n',
}

async function best(run: () => unknown): Promise<number> {
  let min = Number.POSITIVE_INFINITY
  for (let i = 0; i < RUNS; i++) {
    const started = performance.now()
    await run()
    min = Math.min(min, performance.now() - started)
  }
  return min
}

const local = new LocalEval()
const reference = spawnSync('redis-server', ['--version']).status === 0 ? await ReferenceEval.start() : null
const only = process.argv[2]
let logs = 0
let count = 0
process.stdout.write(
  `${'script'.padEnd(22)}${'Redis ms'.padStart(10)}${'ours ms'.padStart(10)}${'ratio'.padStart(8)}\n`,
)
for (const [name, source] of Object.entries(scripts)) {
  if (only !== undefined && !name.includes(only)) continue
  const ours = await best(() => local.run(source))
  const theirs = reference === null ? Number.NaN : await best(() => reference.command('EVAL', source, '0'))
  logs += Math.log(ours / theirs)
  count++
  process.stdout.write(
    `${name.padEnd(22)}${theirs.toFixed(2).padStart(10)}${ours.toFixed(2).padStart(10)}${(ours / theirs).toFixed(2).padStart(8)}\n`,
  )
}
process.stdout.write(`geometric mean of ratios: ${Math.exp(logs / count).toFixed(3)}\n`)

const compiled = 400
const started = performance.now()
for (let i = 0; i < compiled; i++) {
  local.engine.load(
    `local k = KEYS[1] local v = ARGV[1] if v == "${i}" then return redis.call("GET", k) else return {k, v, ${i}} end`,
  )
}
process.stdout.write(
  `compiling a small new script: ${(((performance.now() - started) / compiled) * 1000).toFixed(0)} us\n`,
)
await reference?.stop()
