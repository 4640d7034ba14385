/**
 * The Redis protocol beside redis-server, by redis-benchmark: requests/s, server CPU per request, latency. The usual setting is
 * 50 connections, values of 3 bytes and no log, at pipeline depth 1 and 16; others differ from it in one thing and leave out
 * the tests that this cannot change. `--matrix` measures all combinations.
 *
 * Both servers get the same number of requests, as many as redis-server answers in SAMPLE_MS.
 */
import { RespClient } from '../test/support/resp-client.ts'
import { KEYSPACE, RESP_TESTS, type RespTest, Trait } from './resp-tests.ts'
import { geometricMean, type Latency, median, medianLatency, sum } from './support/numbers.ts'
import { redisBenchmark } from './support/redis-benchmark.ts'
import {
  type Bench,
  type BenchOptions,
  column,
  detailTable,
  type Goal,
  isWanted,
  type Report,
  type Table,
  table,
} from './support/report.ts'
import { alternate, withCpu } from './support/rounds.ts'
import { type BenchServer, startBoth } from './support/servers.ts'
import { startSubscribers } from './support/subscribers.ts'

const ROUNDS = 3
const SAMPLE_MS = 250
/**
 * V8 compiles what a test needs meanwhile. Pipeline depths of the passes over all tests: what one test has taught V8 has it
 * compile anew what others need, which is over after the second; without pipelining other functions are run most.
 */
const WARMUP_MS = 500
const WARMUP_DEPTHS = [16, 16, 1]
const REQUESTS_MIN = 3000
const REQUESTS_MAX = 400_000
/** How many requests tell how fast a test is. */
const TRIAL_REQUESTS = 5000
const QUICK_REQUESTS = 600
const CONNECTIONS = 50
const VALUE_BYTES = 3

type Fsync = 'none' | 'everysec' | 'always'

interface Setting {
  readonly depth: number
  readonly connections: number
  readonly valueBytes: number
  readonly fsync: Fsync
}

interface Sample {
  readonly rate: number
  readonly cpuMs: number
  readonly latency: Latency
}

/** One test under one setting. */
interface Comparison {
  readonly test: string
  readonly setting: Setting
  readonly requests: number
  readonly redis: Figures
  readonly millrace: Figures
  /** Requests/s, ours divided by Redis'. */
  readonly ratio: number
  /** Server CPU per request, Redis' divided by ours; null when the time was too short to say. */
  readonly cpuRatio: number | null
}

interface Group {
  readonly setting: Setting
  readonly rows: readonly Comparison[]
}

interface Figures {
  readonly rate: number
  readonly cpuUs: number
  readonly latency: Latency
}

const USUAL: Setting = { depth: 1, connections: CONNECTIONS, valueBytes: VALUE_BYTES, fsync: 'none' }

export const resp: Bench = {
  name: 'resp',
  summary: 'requests/s, server CPU and latency of single commands by redis-benchmark; 17 minutes',
  programs: ['redis-server', 'redis-benchmark'],
  run: async (options) => {
    const groups: Group[] = []
    for (const [fsync, wanted] of Map.groupBy(settings(options), (setting) => setting.fsync)) {
      groups.push(...(await measureLog(fsync, wanted, options)))
    }
    return report(groups, roundsOf(options))
  },
}

function roundsOf({ rounds, isQuick }: BenchOptions): number {
  return rounds ?? (isQuick ? 1 : ROUNDS)
}

function settings({ isMatrix, isQuick }: BenchOptions): Setting[] {
  const manyConnections = { connections: 500 }
  const bigValues = { valueBytes: 1024 }
  const logs = (['everysec', 'always'] as const).map((fsync) => ({ fsync }))
  const deep = { depth: 16 }
  if (isQuick) return [{ ...USUAL, ...deep }]
  const differences: readonly Partial<Setting>[] = isMatrix
    ? [{}, manyConnections].flatMap((one) =>
        [{}, bigValues].flatMap((two) => [{}, ...logs].map((three) => ({ ...one, ...two, ...three }))),
      )
    : [{}, manyConnections, bigValues, ...logs]
  return differences.flatMap((difference) => [
    { ...USUAL, ...difference },
    { ...USUAL, ...difference, ...deep },
  ])
}

/** Whether a test can tell anything new of a setting. */
function isConcerned(test: RespTest, setting: Setting, { isMatrix }: BenchOptions): boolean {
  if (isMatrix) return true
  if (setting.fsync !== 'none') return (test.traits & Trait.Writes) !== 0
  if (setting.valueBytes !== VALUE_BYTES) return (test.traits & Trait.Values) !== 0
  return true
}

/** Settings of one kind of log share a pair of servers, which is warm when the first of them is measured. */
async function measureLog(fsync: Fsync, wanted: readonly Setting[], options: BenchOptions): Promise<Group[]> {
  const groups = wanted.map((setting) => ({
    setting,
    tests: RESP_TESTS.filter((test) => isWanted(test.name, options) && isConcerned(test, setting, options)),
  }))
  const tests = new Set(groups.flatMap((group) => group.tests))
  if (tests.size === 0) return []
  // Rewrites of the log would begin in the midst of a sample.
  const log = ['--appendonly', 'yes', '--appendfsync', fsync, '--auto-aof-rewrite-percentage', '0']
  const servers = await startBoth([
    ...(fsync === 'none' ? ['--appendonly', 'no'] : log),
    // Subscribers that fall behind are not what is measured.
    ...['--client-output-buffer-limit', 'pubsub 0 0 0'],
  ])
  try {
    if (!options.isQuick)
      for (const depth of WARMUP_DEPTHS) for (const test of tests) await warmUp(servers, test, depth)
    const measured: Group[] = []
    for (const { setting, tests } of groups) {
      const rows: Comparison[] = []
      for (const test of tests) {
        const row = await compare(servers, test, setting, options)
        const [rates, cpu] = [row.ratio, row.cpuRatio ?? Number.NaN].map((ratio) => ratio.toFixed(2))
        process.stderr.write(`  ${settingText(setting)}: ${test.name}, requests/s ${rates}, CPU ${cpu}\n`)
        rows.push(row)
      }
      if (rows.length > 0) measured.push({ setting, rows })
    }
    return measured
  } finally {
    for (const server of servers) await server.stop()
  }
}

/** Both servers answer as many requests as redis-server in WARMUP_MS. */
async function warmUp(servers: readonly [BenchServer, BenchServer], test: RespTest, depth: number): Promise<void> {
  process.stderr.write(`  warming up: ${test.name}, depth ${depth}\n`)
  const setting = { ...USUAL, depth }
  const trial = await sample(servers[0], test, setting, TRIAL_REQUESTS)
  const requests = Math.min(REQUESTS_MAX, Math.ceil((trial.rate * WARMUP_MS) / 1000))
  for (const server of servers) await sample(server, test, setting, requests)
}

async function compare(
  servers: readonly [BenchServer, BenchServer],
  test: RespTest,
  setting: Setting,
  options: BenchOptions,
): Promise<Comparison> {
  let requests = QUICK_REQUESTS
  if (!options.isQuick) {
    const trial = await sample(servers[0], test, setting, TRIAL_REQUESTS)
    const wanted = Math.min(REQUESTS_MAX, Math.max(REQUESTS_MIN, (trial.rate * SAMPLE_MS) / 1000))
    // All connections send as many full pipelines.
    const batch = setting.depth * setting.connections
    requests = Math.ceil(wanted / batch) * batch
    // Redis had its trial; V8 compiles anew what requests meet when they come in another way.
    await sample(servers[1], test, setting, requests)
  }
  const samples = await alternate(servers, roundsOf(options), (server) => sample(server, test, setting, requests))
  const [redis, millrace] = [figures(samples[0]!, requests), figures(samples[1]!, requests)]
  const cpuRatio = redis.cpuUs > 0 && millrace.cpuUs > 0 ? redis.cpuUs / millrace.cpuUs : null
  return { test: test.name, setting, requests, redis, millrace, ratio: millrace.rate / redis.rate, cpuRatio }
}

async function sample(server: BenchServer, test: RespTest, setting: Setting, requests: number): Promise<Sample> {
  const value = 'x'.repeat(setting.valueBytes)
  const client = await RespClient.connect({ port: server.port })
  await client.call('FLUSHALL')
  client.close()
  await test.prepare(server, requests, value)
  const stopSubscribers = test.subscribers > 0 ? await startSubscribers(server.port, test.subscribers) : null
  try {
    const args = ['-n', requests, '-P', setting.depth, '-c', setting.connections, '-r', KEYSPACE].map(String)
    const { result, ms } = await withCpu(server.pid, () =>
      redisBenchmark(server.port, [...args, '-d', String(setting.valueBytes), ...test.args(value)]),
    )
    return { ...result, cpuMs: ms }
  } finally {
    await stopSubscribers?.()
  }
}

function figures(samples: readonly Sample[], requests: number): Figures {
  return {
    rate: median(samples.map(({ rate }) => rate)),
    // The clock of CPU time is coarse: the sum of all rounds is finer than their median.
    cpuUs: (sum(samples.map(({ cpuMs }) => cpuMs)) * 1000) / (requests * samples.length),
    latency: medianLatency(samples.map(({ latency }) => latency)),
  }
}

function report(groups: readonly Group[], rounds: number): Report {
  return {
    method: `redis-benchmark, ${KEYSPACE.toLocaleString('en-US')} keys, medians of ${rounds} alternating rounds of about ${SAMPLE_MS} ms each on servers that are warm. Ratios above 1: Millrace is better. Latencies are redis-server's · ours, in ms; with pipelining they are those of a whole pipeline.`,
    tables: [summaryTable(groups), ...groups.map(comparisonTable)],
    goals: goals(groups),
    plots: [],
  }
}

function summaryTable(groups: readonly Group[]): Table {
  const rows = groups.map(({ setting, rows }) => {
    const least = rows.reduce((a, b) => (b.ratio < a.ratio ? b : a))
    const cpu = rows.flatMap(({ cpuRatio }) => (cpuRatio === null ? [] : [cpuRatio]))
    return [
      settingText(setting),
      rows.length,
      geometricMean(rows.map(({ ratio }) => ratio)),
      geometricMean(cpu),
      `${least.test} ${least.ratio.toFixed(2)}`,
    ]
  })
  return table(
    'Geometric means of all tests',
    [
      column('setting', 0),
      column('tests', 0),
      column('requests/s', 2),
      column('requests for a second of CPU', 2),
      column('least', 0),
    ],
    rows,
  )
}

function comparisonTable({ setting, rows: comparisons }: Group): Table {
  const isUsual = setting.connections === CONNECTIONS && setting.valueBytes === VALUE_BYTES && setting.fsync === 'none'
  const pair = (one: Comparison, of: 'p50' | 'p99' | 'p999'): string =>
    `${one.redis.latency[of].toFixed(2)} · ${one.millrace.latency[of].toFixed(2)}`
  const rows = comparisons.map((one) => [
    one.test,
    one.redis.rate,
    one.millrace.rate,
    one.ratio,
    one.redis.cpuUs,
    one.millrace.cpuUs,
    one.cpuRatio,
    pair(one, 'p50'),
    pair(one, 'p99'),
    pair(one, 'p999'),
  ])
  return (isUsual ? table : detailTable)(
    settingText(setting),
    [
      column('test', 0),
      column('Redis/s', 0),
      column('Millrace/s', 0),
      column('ratio', 2),
      column('Redis CPU µs', 2),
      column('Millrace CPU µs', 2),
      column('CPU ratio', 2),
      column('p50', 0),
      column('p99', 0),
      column('p99.9', 0),
    ],
    rows,
  )
}

function settingText({ depth, connections, valueBytes, fsync }: Setting): string {
  const value = valueBytes === 1024 ? '1 KB' : `${valueBytes} B`
  return `depth ${depth}, ${connections} connections, ${value}, ${fsync === 'none' ? 'no log' : `log ${fsync}`}`
}

function goals(groups: readonly Group[]): Goal[] {
  const at = (setting: Partial<Setting>): readonly Comparison[] => {
    const wanted = { ...USUAL, ...setting }
    return groups.find((group) => settingText(group.setting) === settingText(wanted))?.rows ?? []
  }
  const mean = (what: string, atLeast: number, rows: readonly Comparison[]): Goal[] =>
    rows.length === 0 ? [] : [{ what, atLeast, figure: geometricMean(rows.map(({ ratio }) => ratio)) }]
  const deep = at({ depth: 16 })
  const usual = [...at({}), ...deep]
  if (usual.length === 0) return []
  const least = usual.reduce((a, b) => (b.ratio < a.ratio ? b : a))
  return [
    ...mean('requests/s beside Redis, depth 1 and 16, geometric mean', 1.2, usual),
    ...mean('depth 16, geometric mean', 1.4, deep),
    { what: `least of all: ${least.test}, depth ${least.setting.depth}`, atLeast: 0.95, figure: least.ratio },
    ...mean('500 connections, depth 1, geometric mean', 1, at({ connections: 500 })),
    ...mean('values of 1 KB, depth 1, geometric mean', 1, at({ valueBytes: 1024 })),
    ...mean('values of 1 KB, depth 16, geometric mean', 1, at({ valueBytes: 1024, depth: 16 })),
  ]
}
