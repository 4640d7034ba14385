/**
 * How evenly a server answers with 5 million keys, beside redis-server: mixed requests at a fixed rate, without a snapshot, while
 * a BGSAVE and while a BGREWRITEAOF runs. One server at a time, for their memory; both have a log (everysec).
 */
import { fileURLToPath } from 'node:url'
import { RespClient } from '../test/support/resp-client.ts'
import type { PausesResult, PausesTask } from './pauses-load.ts'
import { fillKeys } from './support/fill.ts'
import { MemoryWatch } from './support/memory-watch.ts'
import { type Bench, type BenchOptions, column, type Goal, type Report, table } from './support/report.ts'
import { type BenchServer, eachAlone, pause } from './support/servers.ts'
import { TaskProcess } from './support/task-process.ts'

const LOAD = fileURLToPath(new URL('pauses-load.ts', import.meta.url))
const ARGS = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0']
const CONNECTIONS = 50
const WARMUP_SECONDS = 3
const POLL_MS = 50
const SNAPSHOT_MS_MAX = 300_000

interface Sizes {
  readonly keys: number
  readonly rate: number
  /** Without a snapshot. */
  readonly seconds: number
  /** With one: long enough for it to end. */
  readonly snapshotSeconds: number
  /** A snapshot begins so long after its load. */
  readonly beginMs: number
}

const FULL: Sizes = { keys: 5_000_000, rate: 50_000, seconds: 60, snapshotSeconds: 25, beginMs: 1000 }
const QUICK: Sizes = { keys: 2000, rate: 500, seconds: 0.3, snapshotSeconds: 0.3, beginMs: 50 }

type Phase = 'no snapshot' | 'BGSAVE' | 'BGREWRITEAOF'
const PHASES: readonly Phase[] = ['no snapshot', 'BGSAVE', 'BGREWRITEAOF']
const STATUS = {
  BGSAVE: ['rdb_bgsave_in_progress', 'rdb_last_bgsave_status'],
  BGREWRITEAOF: ['aof_rewrite_in_progress', 'aof_last_bgrewrite_status'],
} as const

interface Measured {
  readonly load: PausesResult
  readonly peakBytes: number
  readonly bytes: number
  /** How long the snapshot took; null: there was none. */
  readonly snapshotSeconds: number | null
}

export const pauses: Bench = {
  name: 'pauses',
  summary: '5 million keys, 50,000 mixed requests/s: latency, stalls and memory, with snapshots too; 5 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const sizes = options.isQuick ? QUICK : FULL
    const [redis, millrace] = await eachAlone(ARGS, (server) => measureServer(server, sizes, options))
    return report(sizes, redis, millrace)
  },
}

async function measureServer(server: BenchServer, sizes: Sizes, { isQuick }: BenchOptions): Promise<Measured[]> {
  process.stderr.write(`  ${server.name}: ${sizes.keys} keys\n`)
  await fillKeys(server.port, sizes.keys)
  const load = TaskProcess.start<PausesTask, PausesResult>(LOAD)
  const control = await RespClient.connect({ port: server.port })
  const task = { port: server.port, keys: sizes.keys, connections: CONNECTIONS, rate: sizes.rate }
  try {
    if (!isQuick) await load.run({ ...task, seconds: WARMUP_SECONDS })
    const phases: Measured[] = []
    for (const phase of PHASES) {
      process.stderr.write(`  ${server.name}: ${phase}\n`)
      const memory = await MemoryWatch.start(server.pid)
      const seconds = phase === 'no snapshot' ? sizes.seconds : sizes.snapshotSeconds
      const running = load.run({ ...task, seconds })
      const snapshotSeconds = phase === 'no snapshot' ? null : await snapshot(control, phase, sizes.beginMs)
      phases.push({ load: await running, bytes: memory.firstBytes, peakBytes: memory.stop(), snapshotSeconds })
    }
    return phases
  } finally {
    control.close()
    await load.stop()
  }
}

/** Takes a snapshot. Returns how long it took, in seconds. */
async function snapshot(control: RespClient, command: 'BGSAVE' | 'BGREWRITEAOF', beginMs: number): Promise<number> {
  await pause(beginMs)
  const [running, status] = STATUS[command]
  const begunMs = performance.now()
  await control.call(command)
  do {
    if (performance.now() - begunMs > SNAPSHOT_MS_MAX) throw new Error(`${command} does not end`)
    await pause(POLL_MS)
  } while ((await persistence(control, running)) !== '0')
  const seconds = (performance.now() - begunMs) / 1000
  if ((await persistence(control, status)) !== 'ok') throw new Error(`${command} failed`)
  return seconds
}

async function persistence(control: RespClient, field: string): Promise<string> {
  const text = String(await control.call('INFO', 'persistence'))
  const value = new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(text)?.[1]
  if (value === undefined) throw new Error(`INFO persistence has no ${field}`)
  return value
}

function report(sizes: Sizes, redis: readonly Measured[], millrace: readonly Measured[]): Report {
  const both = [
    { name: 'redis-server', phases: redis },
    { name: 'Millrace', phases: millrace },
  ]
  const rows = PHASES.flatMap((phase, i) =>
    both.map(({ name, phases }) => {
      const { load, bytes, peakBytes, snapshotSeconds } = phases[i]!
      const { p50, p99, p999, longest } = load.latency
      const extra = ((peakBytes - bytes) / bytes) * 100
      const took = snapshotSeconds
      return [phase, name, load.rate, p50, p99, p999, longest, load.ownLongestMs, took, bytes / 1e6, extra]
    }),
  )
  return {
    method: `${sizes.keys.toLocaleString('en-US')} keys of 16 B with 64 B values, ${CONNECTIONS} connections, ${sizes.rate.toLocaleString('en-US')} requests/s for ${sizes.seconds} s (${sizes.snapshotSeconds} s with a snapshot): 60 % GET, 30 % SET, HSET and XADD; log everysec; one server at a time. Latencies in ms count from when a request was due. *Client's longest* is how long the load's own process did not run: what is not longer may be its doing. *Extra* is the peak of memory, a forked child's own included, beside that before.`,
    tables: [
      table(
        'Pauses',
        [
          column('phase', 0),
          column('server', 0),
          column('requests/s', 0),
          column('p50', 2),
          column('p99', 2),
          column('p99.9', 2),
          column('longest', 1),
          column("client's longest", 1),
          column('snapshot s', 1),
          column('RSS MB', 0),
          column('extra %', 1),
        ],
        rows,
      ),
    ],
    goals: goals(redis, millrace),
    plots: [
      {
        name: 'latency-over-time',
        title: `Longest latency of each 100 ms, ${sizes.keys / 1e6} million keys, ${sizes.rate.toLocaleString('en-US')} requests/s`,
        panels: PHASES.map((phase, i) => ({
          title: phase,
          xLabel: 'seconds',
          yLabel: 'ms',
          x: 'linear' as const,
          y: 'log10' as const,
          series: [
            { name: 'Millrace', points: millrace[i]!.load.timeline },
            { name: 'redis-server', points: redis[i]!.load.timeline },
          ],
        })),
      },
    ],
  }
}

function goals(redis: readonly Measured[], millrace: readonly Measured[]): Goal[] {
  const [theirs, ours] = [redis[0]!.load.latency, millrace[0]!.load.latency]
  return [
    { what: 'p99.9 beside Redis, no snapshot', atMost: 1.2, figure: ours.p999 / theirs.p999 },
    ...PHASES.map((phase, i) => ({
      what: `longest stall, ${phase}, ms`,
      atMost: 10,
      figure: millrace[i]!.load.latency.longest,
    })),
  ]
}
