/**
 * A stream end to end, beside redis-server: producers add entries, two consumer groups read and acknowledge all of them. First
 * as fast as it goes (entries/s, server CPU per entry), then at a fixed rate (latency from XADD to receipt).
 */
import { fileURLToPath } from 'node:url'
import { RespClient } from '../test/support/resp-client.ts'
import type { StreamResult, StreamTask } from './stream-load.ts'
import { type Latency, median, medianLatency, nowUs, sum } from './support/numbers.ts'
import { type Bench, column, table } from './support/report.ts'
import { alternate, withCpu } from './support/rounds.ts'
import { type BenchServer, startBoth } from './support/servers.ts'
import { TaskProcess } from './support/task-process.ts'

const LOAD = fileURLToPath(new URL('stream-load.ts', import.meta.url))
const STREAM = 'orders'
const GROUPS = ['billing', 'shipping'] as const
const PRODUCERS = 8
const CONSUMERS_PER_GROUP = 4
const ROUNDS = 5

interface Load {
  readonly name: string
  readonly entries: number
  /** Entries in one write of a producer, and COUNT of a read. */
  readonly batch: number
  readonly count: number
  /** Entries/s; null: as fast as it goes. */
  readonly rate: number | null
}

const LOADS: readonly Load[] = [
  { name: 'one XADD at a time, COUNT 10', entries: 40_000, batch: 1, count: 10, rate: null },
  { name: '50 XADD in a write, COUNT 100', entries: 160_000, batch: 50, count: 100, rate: null },
  { name: '5,000 entries/s, COUNT 10', entries: 10_000, batch: 1, count: 10, rate: 5000 },
]
const QUICK_ENTRIES = 800

interface Sample {
  readonly rate: number
  readonly cpuUs: number
  readonly latency: Latency
}

interface Processes {
  readonly producer: TaskProcess<StreamTask, StreamResult>
  readonly groups: readonly TaskProcess<StreamTask, StreamResult>[]
}

export const streams: Bench = {
  name: 'streams',
  summary: 'producers and consumer groups end to end: entries/s, server CPU, latency; 1 minute',
  programs: ['redis-server'],
  run: async ({ isQuick, rounds }) => {
    const count = rounds ?? (isQuick ? 1 : ROUNDS)
    const servers = await startBoth(['--appendonly', 'no'])
    const start = (): TaskProcess<StreamTask, StreamResult> => TaskProcess.start(LOAD)
    const processes: Processes = { producer: start(), groups: GROUPS.map(start) }
    const rows: (string | number)[][] = []
    try {
      for (const load of LOADS) {
        const entries = isQuick ? QUICK_ENTRIES : load.entries
        process.stderr.write(`  ${load.name}\n`)
        if (!isQuick) for (const server of servers) await sample(server, processes, load, entries)
        const samples = await alternate(servers, count, (server) => sample(server, processes, load, entries))
        for (const [i, server] of servers.entries()) rows.push(row(server, load, samples[i]!))
      }
    } finally {
      for (const { stop } of servers) await stop()
      for (const one of [processes.producer, ...processes.groups]) await one.stop()
    }
    return {
      method: `${PRODUCERS} producers, ${GROUPS.length} groups of ${CONSUMERS_PER_GROUP} consumers that block, read and acknowledge all entries; clients in three processes; no log; medians of ${count} alternating rounds. Server CPU is that for adding an entry, delivering it to both groups and acknowledging it twice. Where producers do not wait, the latency is that of the queue.`,
      tables: [
        table(
          'Streams end to end',
          [
            column('load', 0),
            column('server', 0),
            column('entries/s', 0),
            column('CPU µs/entry', 2),
            column('p50 ms', 2),
            column('p99 ms', 2),
            column('p99.9 ms', 2),
          ],
          rows,
        ),
      ],
      goals: [],
      plots: [],
    }
  },
}

async function sample(server: BenchServer, processes: Processes, load: Load, entries: number): Promise<Sample> {
  const { port } = server
  const client = await RespClient.connect({ port })
  await client.call('FLUSHALL')
  for (const group of GROUPS) await client.call('XGROUP', 'CREATE', STREAM, group, '$', 'MKSTREAM')
  client.close()
  const begunUs = nowUs()
  const { result, ms } = await withCpu(server.pid, async () => {
    const consuming = processes.groups.map((one, i) =>
      one.run({ role: 'consume', port, group: GROUPS[i]!, consumers: CONSUMERS_PER_GROUP, entries, count: load.count }),
    )
    const { batch, rate } = load
    await processes.producer.run({ role: 'produce', port, connections: PRODUCERS, entries, batch, rate })
    return Promise.all(consuming)
  })
  const latencies = result.flatMap(({ latency }) => (latency === null ? [] : [latency]))
  return {
    rate: (entries * 1e6) / (Math.max(...result.map(({ lastUs }) => lastUs)) - begunUs),
    cpuUs: (ms * 1000) / entries,
    latency: medianLatency(latencies),
  }
}

function row(server: BenchServer, load: Load, samples: readonly Sample[]): (string | number)[] {
  const latency = medianLatency(samples.map((one) => one.latency))
  return [
    load.name,
    server.name,
    median(samples.map(({ rate }) => rate)),
    sum(samples.map(({ cpuUs }) => cpuUs)) / samples.length,
    latency.p50,
    latency.p99,
    latency.p999,
  ]
}
