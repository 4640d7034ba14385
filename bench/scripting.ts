/**
 * Lua scripts on both servers, as EVALSHA through sockets: server CPU per call, in alternating rounds, warm. The ratio is ours
 * divided by redis-server's: below 1 is faster than Redis; on a machine that does other work too, the ratio of the least figures
 * of both tells more than that of their medians. At the end what a script costs that the server has never seen.
 */
import { RespClient } from '../test/support/resp-client.ts'
import { type BullmqCalls, recordBullmqCalls, type Words } from './bullmq-calls.ts'
import { geometricMean, median } from './support/numbers.ts'
import { type Bench, type BenchOptions, column, isWanted, table } from './support/report.ts'
import { alternate } from './support/rounds.ts'
import { type BenchServer, startBoth } from './support/servers.ts'

const ROUNDS = 7
const WARMUP_ROUNDS = 2
/** Commands in one write. */
const DEPTH = 50

interface Sizes {
  /** What a case runs before it is measured, at least: until V8 has compiled what it will. */
  readonly warmupCpuMs: number
  readonly bullmqWarmupCpuMs: number
  readonly compileWarmupCpuMs: number
  /** What a round takes at least: the clock of CPU time is no finer than the scheduler. */
  readonly roundCpuMs: number
  /** Jobs that a round of BullMQ's scripts adds; half of them are taken and finished. */
  readonly jobs: number
  /** New scripts in a round. */
  readonly newScripts: number
}

const FULL: Sizes = {
  warmupCpuMs: 600,
  bullmqWarmupCpuMs: 8000,
  compileWarmupCpuMs: 3000,
  roundCpuMs: 80,
  jobs: 6000,
  newScripts: 1000,
}
const QUICK: Sizes = {
  warmupCpuMs: 0,
  bullmqWarmupCpuMs: 0,
  compileWarmupCpuMs: 0,
  roundCpuMs: 0,
  jobs: 40,
  newScripts: 10,
}
/** A quick run has these only: the others take their time on any server. */
const QUICK_SCRIPTS = ['string building', 'pcall, error']

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

let roundsDone = 0

/** One round of a case: µs of CPU for each step. */
async function round(target: Target, { prepare, steps }: Case): Promise<number[]> {
  await send(target, prepare)
  const number = roundsDone++
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

/** µs of each step in each round, for each of the targets, which take turns. `cases` has one for each target. */
async function measure(targets: readonly Target[], cases: readonly Case[], rounds: number): Promise<number[][][]> {
  for (const [i, target] of targets.entries()) await warmUp(target, cases[i]!)
  const samples = await alternate([...targets.keys()], rounds, (i) => round(targets[i]!, cases[i]!))
  return cases.map((what, i) => what.steps.map((_, step) => samples[i]!.map((figures) => figures[step]!)))
}

/** A script that is called as often as makes a round long enough, for each server. */
async function scriptCase(target: Target, name: string, sha: string, sizes: Sizes): Promise<Case> {
  const call: Words = ['EVALSHA', sha, '2', 'counter', 'hash']
  const one: Case = { warmupCpuMs: sizes.warmupCpuMs, prepare: [], steps: [{ name, commands: () => [call] }] }
  await warmUp(target, one)
  const [us = 0] = await round(target, one)
  const calls = new Array<Words>(Math.max(1, Math.ceil((sizes.roundCpuMs * 1000) / Math.max(us, 1)))).fill(call)
  return { ...one, steps: [{ name, commands: () => calls }] }
}

function bullmqCase(calls: BullmqCalls, { bullmqWarmupCpuMs, jobs }: Sizes): Case {
  const half = jobs / 2
  return {
    warmupCpuMs: bullmqWarmupCpuMs,
    prepare: [['FLUSHALL'], ...calls.prelude],
    steps: [
      { name: 'BullMQ addStandardJob', commands: () => new Array<Words>(jobs).fill(calls.addStandardJob) },
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

function compileCase({ compileWarmupCpuMs, newScripts }: Sizes): Case {
  return {
    warmupCpuMs: compileWarmupCpuMs,
    prepare: [['SCRIPT', 'FLUSH'], evalOf(smallScript('known'))],
    steps: [
      {
        name: 'with another value',
        commands: (n) => Array.from({ length: newScripts }, (_, i) => evalOf(smallScript(`${n}:${i}`))),
      },
      {
        name: 'of another make',
        commands: (n) => Array.from({ length: newScripts }, (_, i) => evalOf(smallScript('text', `field_${n}_${i}`))),
      },
      { name: 'known', commands: () => new Array<Words>(newScripts).fill(evalOf(smallScript('known'))) },
    ],
  }
}

async function open(server: BenchServer): Promise<Target> {
  return { server, client: await RespClient.connect({ port: server.port }) }
}

/** The figures of one step: medians, and the ratios of them and of the least of both. */
interface Row {
  readonly name: string
  readonly redis: number
  readonly millrace: number
  readonly ratio: number
  readonly ratioOfLeast: number
}

function rowsOf({ steps }: Case, [theirs = [], ours = []]: readonly number[][][]): Row[] {
  return steps.map(({ name }, i) => {
    const [redis, millrace] = [median(theirs[i]!), median(ours[i]!)]
    const ratioOfLeast = Math.min(...ours[i]!) / Math.min(...theirs[i]!)
    return { name, redis, millrace, ratio: millrace / redis, ratioOfLeast }
  })
}

/** Makes a script known to all servers. Returns its digest. */
async function load(targets: readonly Target[], source: string): Promise<string> {
  let sha = ''
  for (const { client } of targets) sha = String(await client.call('SCRIPT', 'LOAD', source))
  return sha
}

async function measureScripts(targets: readonly Target[], options: BenchOptions): Promise<Row[]> {
  const sizes = options.isQuick ? QUICK : FULL
  const rounds = roundsOf(options)
  const rows: Row[] = []
  for (const [name, source] of Object.entries(SCRIPTS)) {
    if (!isWanted(name, options) || (options.isQuick && !QUICK_SCRIPTS.includes(name))) continue
    const sha = await load(targets, source)
    const cases: Case[] = []
    for (const target of targets) cases.push(await scriptCase(target, name, sha, sizes))
    rows.push(...rowsOf(cases[0]!, await measure(targets, cases, rounds)))
  }
  if (isWanted('BullMQ', options)) {
    const calls = await recordBullmqCalls(targets[0]!.server.port)
    for (const source of calls.sources) await load(targets, source)
    const what = bullmqCase(calls, sizes)
    rows.push(...rowsOf(what, await measure(targets, [what, what], rounds)))
  }
  return rows
}

/** What a new script costs, EVAL of it less EVAL of a known one; a row for each server. */
async function measureCompiling(targets: readonly Target[], options: BenchOptions): Promise<(string | number)[][]> {
  if (!isWanted('compile', options)) return []
  const what = compileCase(options.isQuick ? QUICK : FULL)
  const figures = await measure(targets, [what, what], roundsOf(options))
  return targets.map(({ server }, i) => {
    const [value = [], make = [], known = []] = figures[i]!
    const of = (middle: (values: readonly number[]) => number): number[] => [
      middle(value) - middle(known),
      middle(make) - middle(known),
    ]
    return [server.name, ...of(median), ...of((values) => Math.min(...values))]
  })
}

function roundsOf({ rounds, isQuick }: BenchOptions): number {
  return rounds ?? (isQuick ? 1 : ROUNDS)
}

export const scripting: Bench = {
  name: 'scripting',
  summary: 'Lua scripts, three of BullMQ among them: server CPU; and what a new script costs; 3 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const servers = await startBoth(['--appendonly', 'no'])
    try {
      const targets: Target[] = []
      for (const server of servers) targets.push(await open(server))
      const rows = await measureScripts(targets, options)
      const mean = (of: 'ratio' | 'ratioOfLeast'): number => geometricMean(rows.map((row) => row[of]))
      const compiling = await measureCompiling(targets, options)
      return {
        method: `Server CPU of all threads for one EVALSHA, warm, medians of ${roundsOf(options)} alternating rounds. Below 1 Millrace is faster; on a machine with other work the ratio of the least figures of both says more.`,
        tables: [
          table(
            'Scripts',
            [
              column('script', 0),
              column('redis-server µs', 1),
              column('Millrace µs', 1),
              column('ratio', 2),
              column('of the least', 2),
            ],
            [
              ...rows.map((row) => [row.name, row.redis, row.millrace, row.ratio, row.ratioOfLeast]),
              ['geometric mean', null, null, mean('ratio'), mean('ratioOfLeast')],
            ],
          ),
          table(
            'µs for a small script that was never seen',
            [
              column('server', 0),
              column('with another value in it', 0),
              column('of another make', 0),
              column('least: value', 0),
              column('least: make', 0),
            ],
            compiling,
          ),
        ],
        goals: [],
        plots: [],
      }
    } finally {
      for (const server of servers) await server.stop()
    }
  },
}
