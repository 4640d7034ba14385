/**
 * Lua scripts on both servers, as EVALSHA through sockets: server CPU per call, in alternating rounds, warm. The ratio is ours
 * divided by redis-server's: below 1 is faster than Redis; on a machine that does other work too, the ratio of the least figures
 * of both tells more than that of their medians. At the end what a script costs that the server has never seen.
 *
 * Environment: BENCH_ROUNDS (default 7), BENCH_SCRIPTS (only scripts with one of these comma-separated words in their name),
 * BENCH_NODE_OPTIONS (for our server, such as --cpu-prof).
 */
import { RespClient } from '../test/support/resp-client.ts'
import { type BullmqCalls, recordBullmqCalls, type Words } from './bullmq-calls.ts'
import { type BenchServer, median, startMillrace, startRedis } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7)
const ONLY = process.env.BENCH_SCRIPTS?.split(',') ?? null
/** What a case runs before it is measured, at least: until V8 has compiled what it will. */
const WARMUP_CPU_MS = 600
const BULLMQ_WARMUP_CPU_MS = 8000
const COMPILE_WARMUP_CPU_MS = 3000
const WARMUP_ROUNDS = 2
/** What a round takes at least: the clock of CPU time is no finer than the scheduler. */
const ROUND_CPU_MS = 80
/** Commands in one write. */
const DEPTH = 50
/** Jobs that a round of BullMQ's scripts adds; half of them are taken and finished. */
const JOBS = 6000
/** New scripts in a round. */
const NEW_SCRIPTS = 1000

/** What the reference note measured, and two more. One call takes redis-server 10 to 250 ms. */
const SCRIPTS: Readonly<Record<string, string>> = {
  "200k redis.call('incr')":
    "local rcall = redis.call for i = 1, 200000 do rcall('incr', KEYS[1]) end return redis.call('get', KEYS[1])",
  '100k set + get':
    "local n = 0 for i = 1, 100000 do redis.call('set', KEYS[1], i) n = n + #redis.call('get', KEYS[1]) end return n",
  '50k hset + hmget':
    "local n = 0 for i = 1, 50000 do redis.call('hset', KEYS[2], 'a', i, 'b', 'text') local v = redis.call('hmget', KEYS[2], 'a', 'b', 'c') n = n + #v[1] + #v[2] end return n",
  'string building': 'local s = "" for i = 1, 7000 do s = s .. "x" .. i end return redis.sha1hex(s)',
  'find, sub, match, gsub':
    'local n = 0 for i = 1, 20000 do local s = "user:" .. i .. ":name" local a, b = s:find(":", 1, true) n = n + #s:sub(a + 1) + #(s:match("%d+")) + #(s:gsub("%d", "x")) end return n',
  'gsub with function':
    'local s = string.rep("abc ", 5000) local n = 0 for r = 1, 4 do s:gsub("%w+", function(w) n = n + 1 return w:upper() end) end return n',
  'table append, insert':
    'local t = {} for i = 1, 100000 do t[#t + 1] = i end local u = {} for i = 1, 100000 do table.insert(u, i) end local s = 0 for i = 1, #t do s = s + t[i] + u[i] end return s',
  'table.sort':
    'local t = {} local x = 42 for i = 1, 20000 do x = (x * 1103515245 + 12345) % 2147483648 t[i] = x end table.sort(t) local u = {} for i = 1, #t do u[i] = t[i] % 1000 end table.sort(u, function(a, b) return a > b end) return {t[1], u[1]}',
  'record fields, counters by key':
    'local c = {} local r = {a = 1, b = 2, c = 3} for i = 1, 300000 do r.a = r.a + r.b local k = "k" .. i % 10 c[k] = (c[k] or 0) + 1 end return {r.a, c.k1}',
  'small tables':
    'local s = 0 for i = 1, 100000 do local t = {x = i, y = i + 1} s = s + t.x + t.y local u = {i, i, i} s = s + #u end return s',
  'fib(25)': 'local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(25)',
  '5M-step loop with %': 'local s = 0 for i = 1, 5000000 do s = s + i % 7 end return s',
  'closures, varargs':
    'local function add(n) return function(x, ...) return x + n, ... end end local s = 0 for i = 1, 100000 do s = s + add(i)(i, 1, 2) end return s',
  'pcall, error':
    'local n = 0 for i = 1, 10000 do local ok, e = pcall(function() error("x") end) if not ok then n = n + 1 end end return n',
  cjson:
    'local o = {a = {1, 2, 3}, b = "text", c = {d = true, e = 1.5}} local n = 0 for i = 1, 10000 do n = n + #cjson.encode(cjson.decode(cjson.encode(o))) end return n',
  cmsgpack:
    'local o = {1, "two", {a = 3, b = "four"}, 5.5} local n = 0 for i = 1, 10000 do n = n + #cmsgpack.pack(cmsgpack.unpack(cmsgpack.pack(o))) end return n',
  metatables:
    'local P = {} P.__index = P function P.new(x) return setmetatable({x = x}, P) end function P:get() return self.x end local s = 0 for i = 1, 100000 do s = s + P.new(i):get() end return s',
  'pairs, ipairs':
    'local t = {} for i = 1, 1000 do t[i] = i t["k" .. i] = i end local s = 0 for r = 1, 100 do for k, v in pairs(t) do s = s + v end for i, v in ipairs(t) do s = s + v end end return s',
}

/** A server with a connection to it. */
interface Target {
  readonly server: BenchServer
  readonly client: RespClient
}

/** What is measured together: some steps, each with its own figure, after something that is not measured. */
interface Case {
  readonly warmupCpuMs: number
  readonly prepare: readonly Words[]
  /** Each called with the number of the round, which is never the same twice. */
  readonly steps: readonly { readonly name: string; commands(round: number): readonly Words[] }[]
}

/** Sends commands and awaits their replies, of which none may be an error. */
async function send(target: Target, commands: readonly Words[]): Promise<void> {
  for (let first = 0; first < commands.length; first += DEPTH) {
    for (const reply of await target.client.pipeline(commands.slice(first, first + DEPTH))) {
      if (typeof reply === 'object' && reply !== null && 'error' in reply) throw new Error(reply.error)
    }
  }
}

/** CPU time of a server so far in µs: its own account of it is finer than that in /proc. */
async function cpuUs(target: Target): Promise<number> {
  const reply = await target.client.call('INFO', 'cpu')
  const seconds = (field: string): number => Number(new RegExp(`${field}:([0-9.]+)`).exec(String(reply))?.[1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

let rounds = 0

/** One round of a case: µs of CPU for each step. */
async function round(target: Target, { prepare, steps }: Case): Promise<number[]> {
  await send(target, prepare)
  const number = rounds++
  const figures: number[] = []
  for (const step of steps) {
    const commands = step.commands(number)
    const before = await cpuUs(target)
    await send(target, commands)
    figures.push(((await cpuUs(target)) - before) / commands.length)
  }
  return figures
}

/** Runs a case without measuring it, until it is warm. */
async function warmUp(target: Target, what: Case): Promise<void> {
  const started = await cpuUs(target)
  for (let n = 0; n < WARMUP_ROUNDS || (await cpuUs(target)) - started < what.warmupCpuMs * 1000; n++) {
    await round(target, what)
  }
}

/** Alternating rounds: µs of each step in each round, for each of the targets. `cases` has one for each target. */
async function measure(cases: readonly Case[]): Promise<number[][][]> {
  const figures: number[][][] = cases.map((what) => what.steps.map(() => []))
  for (const [i, target] of targets.entries()) await warmUp(target, cases[i]!)
  for (let n = 0; n < ROUNDS; n++) {
    for (const [i, target] of targets.entries()) {
      for (const [k, us] of (await round(target, cases[i]!)).entries()) figures[i]![k]!.push(us)
    }
  }
  return figures
}

/** A script that is called as often as makes a round long enough, for each server. */
async function scriptCase(target: Target, name: string, sha: string): Promise<Case> {
  const call: Words = ['EVALSHA', sha, '2', 'counter', 'hash']
  const one: Case = { warmupCpuMs: WARMUP_CPU_MS, prepare: [], steps: [{ name, commands: () => [call] }] }
  await warmUp(target, one)
  const [us = 0] = await round(target, one)
  const calls = new Array<Words>(Math.max(1, Math.ceil((ROUND_CPU_MS * 1000) / Math.max(us, 1)))).fill(call)
  return { ...one, steps: [{ name, commands: () => calls }] }
}

function bullmqCase(calls: BullmqCalls): Case {
  const half = JOBS / 2
  return {
    warmupCpuMs: BULLMQ_WARMUP_CPU_MS,
    prepare: [['FLUSHALL'], ...calls.prelude],
    steps: [
      { name: 'BullMQ addStandardJob', commands: () => new Array<Words>(JOBS).fill(calls.addStandardJob) },
      { name: 'BullMQ moveToActive', commands: () => new Array<Words>(half).fill(calls.moveToActive) },
      {
        name: 'BullMQ moveToFinished',
        commands: () => Array.from({ length: half }, (_, i) => calls.moveToFinished(i + 1)),
      },
    ],
  }
}

/** A small script with a value pasted in, as programs write that do not know ARGV; and with the name of a field. */
function smallScript(value: string, field = 'value'): string {
  return `local key = KEYS[1] local t = {${field} = ARGV[1]} if t.${field} == "${value}" then return redis.call("GET", key) else return {key, t.${field}, "${value}"} end`
}

function evalOf(script: string): Words {
  return ['EVAL', script, '1', 'key', 'value']
}

const compileCase: Case = {
  warmupCpuMs: COMPILE_WARMUP_CPU_MS,
  prepare: [['SCRIPT', 'FLUSH'], evalOf(smallScript('known'))],
  steps: [
    {
      name: 'with another value',
      commands: (n) => Array.from({ length: NEW_SCRIPTS }, (_, i) => evalOf(smallScript(`${n}:${i}`))),
    },
    {
      name: 'of another make',
      commands: (n) => Array.from({ length: NEW_SCRIPTS }, (_, i) => evalOf(smallScript('text', `field_${n}_${i}`))),
    },
    {
      name: 'known',
      commands: () => new Array<Words>(NEW_SCRIPTS).fill(evalOf(smallScript('known'))),
    },
  ],
}

async function open(server: BenchServer): Promise<Target> {
  return { server, client: await RespClient.connect({ port: server.port }) }
}

function isWanted(name: string): boolean {
  return ONLY === null || ONLY.some((word) => name.includes(word))
}

const logs: number[] = []
const logsOfLeast: number[] = []

function print({ steps }: Case, [theirs = [], ours = []]: readonly number[][][]): void {
  for (const [i, { name }] of steps.entries()) {
    const ratio = median(ours[i]!) / median(theirs[i]!)
    const ratioOfLeast = Math.min(...ours[i]!) / Math.min(...theirs[i]!)
    logs.push(Math.log(ratio))
    logsOfLeast.push(Math.log(ratioOfLeast))
    const figures = `${figure(median(theirs[i]!))}${figure(median(ours[i]!))}`
    console.log(`${name.padEnd(32)}${figures}${ratio.toFixed(3).padStart(8)}${ratioOfLeast.toFixed(3).padStart(10)}`)
  }
}

function geometricMean(logarithms: readonly number[]): string {
  return Math.exp(logarithms.reduce((sum, log) => sum + log, 0) / logarithms.length).toFixed(3)
}

function figure(us: number): string {
  return us.toFixed(us < 1000 ? 1 : 0).padStart(10)
}

/** Digests by the names of scripts, which both servers know afterwards. */
async function load(): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  for (const [name, source] of Object.entries(SCRIPTS)) {
    for (const { client } of targets) digests.set(name, String(await client.call('SCRIPT', 'LOAD', source)))
  }
  return digests
}

const redis = await open(await startRedis(['--appendonly', 'no']))
const nodeOptions = process.env.BENCH_NODE_OPTIONS?.split(' ') ?? []
const millrace = await open(await startMillrace(['--appendonly', 'no', '--save', ''], nodeOptions))
const targets = [redis, millrace]
try {
  console.log(`Server CPU in µs per call, medians of ${ROUNDS} rounds`)
  console.log(
    `${'script'.padEnd(32)}${'redis'.padStart(10)}${'millrace'.padStart(10)}${'ratio'.padStart(8)}${'of least'.padStart(10)}`,
  )
  const digests = await load()
  for (const [name, sha] of digests) {
    if (!isWanted(name)) continue
    const cases: Case[] = []
    for (const target of targets) cases.push(await scriptCase(target, name, sha))
    print(cases[0]!, await measure(cases))
  }
  if (isWanted('BullMQ')) {
    const calls = await recordBullmqCalls(redis.server.port)
    for (const { client } of targets) for (const source of calls.sources) await client.call('SCRIPT', 'LOAD', source)
    const what = bullmqCase(calls)
    print(what, await measure([what, what]))
  }
  if (logs.length > 0) {
    const means = `${geometricMean(logs).padStart(8)}${geometricMean(logsOfLeast).padStart(10)}`
    console.log(`${'geometric mean'.padEnd(52)}${means}`)
  }
  if (isWanted('compile')) {
    console.log('Compiling a small script that the server has not seen, µs (EVAL of it less EVAL of a known one)')
    for (const [i, steps] of (await measure([compileCase, compileCase])).entries()) {
      const of = (middle: (values: number[]) => number): string => {
        const [value = 0, make = 0, known = 0] = steps.map(middle)
        return `${(value - known).toFixed(1)} with another value in it, ${(make - known).toFixed(1)} of another make`
      }
      const name = targets[i]!.server.name.padEnd(10)
      console.log(`${name}${of(median)}; least: ${of((values) => Math.min(...values))}`)
    }
  }
} finally {
  await millrace.server.stop()
  await redis.server.stop()
}
process.exit(0)
