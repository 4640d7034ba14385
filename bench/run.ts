/**
 * `npm run bench [-- name …] [--quick] [--rounds N] [--only word,word] [--matrix] [--publish] [--results DIRECTORY]`
 *
 * Benchmarks beside redis-server, in one run on one machine: alternating rounds, medians; ratios are what counts, absolute
 * numbers are the machine's. Without a name: `resp`. `all` is every bench that a goal of the project hangs on.
 *
 *     --quick    tiny sizes: whether it works
 *     --rounds   rounds that count
 *     --only     cases with one of these words in their name
 *     --matrix   resp: every combination of settings, more than an hour
 *     --publish  also rewrites the tables of docs/PERFORMANCE.md, its plots and bench/results/published
 *     --results  where the JSON files go; by default bench/results
 *
 * `NODE_OPTIONS='--cpu-prof --cpu-prof-dir=DIRECTORY'` writes a CPU profile of each Node process, the server's too.
 *
 * A new bench: a file that exports a `Bench`, listed here, and its markers in docs/PERFORMANCE.md.
 */
import { parseArgs } from 'node:util'
import { machineText, publish, RESULTS, type Run, writeResult } from './support/publish.ts'
import { type Bench, type BenchOptions, reportText } from './support/report.ts'
import { versionOf } from './support/servers.ts'

/** Loaded when they are run: their modules are many. */
const BENCHES: Readonly<Record<string, (name: string) => Promise<Bench>>> = {
  resp: async () => (await import('./resp.ts')).resp,
  depth: async () => (await import('./depth.ts')).depth,
  streams: async () => (await import('./streams.ts')).streams,
  jobs: async () => (await import('./jobs.ts')).jobs,
  'in-process': async () => (await import('./in-process.ts')).inProcess,
  memory: async () => (await import('./memory.ts')).memory,
  pauses: async () => (await import('./pauses.ts')).pauses,
  stalls: async () => (await import('./stalls.ts')).stalls,
  'bad-input': async () => (await import('./bad-input.ts')).badInput,
  soak: async () => (await import('./soak.ts')).soak,
  start: async () => (await import('./start.ts')).start,
  load: async () => (await import('./load.ts')).load,
  scripting: async () => (await import('./scripting.ts')).scripting,
  http: async () => (await import('./http.ts')).http,
  'fan-out': async () => (await import('./fan-out.ts')).fanOut,
  'idle-sockets': async () => (await import('./idle-sockets.ts')).idleSockets,
  eviction: async () => (await import('./eviction.ts')).eviction,
}
const ALL = ['start', 'in-process', 'resp', 'depth', 'streams', 'jobs', 'memory', 'pauses']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    matrix: { type: 'boolean', default: false },
    publish: { type: 'boolean', default: false },
    results: { type: 'string', default: RESULTS },
  },
})
const options: BenchOptions = {
  isQuick: values.quick,
  rounds: values.rounds === undefined ? null : Number(values.rounds),
  only: values.only?.split(',') ?? [],
  isMatrix: values.matrix,
}
if (options.rounds !== null && !(Number.isInteger(options.rounds) && options.rounds > 0)) fail('--rounds is a number')
if (values.publish && (options.isQuick || options.only.length > 0)) fail('Only whole runs are published')

const names = positionals.length === 0 ? ['resp'] : positionals.flatMap((name) => (name === 'all' ? ALL : [name]))
const benches: Bench[] = []
for (const name of names) benches.push(await (BENCHES[name] ?? unknown)(name))
const missing = [...new Set(benches.flatMap(({ programs }) => programs))].filter((name) => versionOf(name) === null)
if (missing.length > 0) {
  fail(`${missing.join(' and ')} must be in PATH (Debian, Ubuntu: apt install redis-server redis-tools)`)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
for (const bench of benches) await runBench(bench)
// Clients of a bench may have timers left.
process.exit(0)

async function runBench(bench: Bench): Promise<void> {
  process.stderr.write(`\n${bench.name}: ${bench.summary}\n`)
  const startedAt = new Date().toISOString()
  const begunMs = performance.now()
  const measured = await bench.run(options)
  // Tiny sizes say nothing of goals.
  const report = options.isQuick ? { ...measured, goals: [] } : measured
  const seconds = Math.round((performance.now() - begunMs) / 1000)
  const run: Run = { bench: bench.name, machine: machineText(), startedAt, seconds, options, report }
  process.stdout.write(`\n${reportText(report)}\n\n`)
  process.stderr.write(`${seconds} s; ${writeResult(values.results, run)}\n`)
  if (values.publish) publish(run)
}

/** Lists what there is. */
async function unknown(name: string): Promise<never> {
  const lines: string[] = []
  for (const [known, load] of Object.entries(BENCHES)) {
    const bench = await load(known)
    lines.push(`  ${bench.name.padEnd(14)}${bench.summary}`)
  }
  return fail(`Unknown benchmark ${name}; there are:\n${lines.join('\n')}\n  ${'all'.padEnd(14)}${ALL.join(', ')}`)
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`)
  process.exit(1)
}
