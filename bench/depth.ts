/** Requests/s over the depth of the pipeline, beside redis-server: redis-benchmark with 50 connections and no log. */
import { geometricMean, median } from './support/numbers.ts'
import { redisBenchmark } from './support/redis-benchmark.ts'
import { type Bench, column, isWanted, table } from './support/report.ts'
import { alternate } from './support/rounds.ts'
import { startBoth } from './support/servers.ts'

const ROUNDS = 3
const SAMPLE_MS = 250
const CONNECTIONS = 50
const KEYSPACE = '100000'
const DEPTHS = [1, 2, 4, 8, 16, 32, 64]
const TRIAL_REQUESTS = 20_000
/** V8 compiles what a command needs meanwhile. */
const WARMUP_REQUESTS = 400_000
const WARMUP_DEPTH = 16
const QUICK_REQUESTS = 2000

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  // SET comes first: it makes the keys that GET finds.
  SET: ['SET', 'key:__rand_int__', 'value-of-twenty-bytes'],
  GET: ['GET', 'key:__rand_int__'],
  XADD: ['XADD', 'stream', 'MAXLEN', '~', '100000', '*', 'field', 'value-of-twenty-bytes'],
}

interface Point {
  readonly command: string
  readonly depth: number
  readonly redis: number
  readonly millrace: number
}

export const depth: Bench = {
  name: 'depth',
  summary: 'requests/s of SET, GET and XADD over the depth of the pipeline, with a plot; 1 minute',
  programs: ['redis-server', 'redis-benchmark'],
  run: async (options) => {
    const rounds = options.rounds ?? (options.isQuick ? 1 : ROUNDS)
    const depths = options.isQuick ? [1, 16] : DEPTHS
    const names = Object.keys(COMMANDS).filter((name) => isWanted(name, options))
    const points: Point[] = []
    const servers = await startBoth(['--appendonly', 'no'])
    try {
      for (const command of names) {
        const run = async (port: number, pipeline: number, requests: number): Promise<number> => {
          const args = ['-n', requests, '-P', pipeline, '-c', CONNECTIONS, '-r', KEYSPACE, ...COMMANDS[command]!]
          return (await redisBenchmark(port, args.map(String))).rate
        }
        if (!options.isQuick) for (const { port } of servers) await run(port, WARMUP_DEPTH, WARMUP_REQUESTS)
        for (const pipeline of depths) {
          let requests = QUICK_REQUESTS
          if (!options.isQuick) {
            requests = Math.ceil(((await run(servers[0].port, pipeline, TRIAL_REQUESTS)) * SAMPLE_MS) / 1000)
          }
          const rates = await alternate(servers, rounds, ({ port }) => run(port, pipeline, requests))
          points.push({ command, depth: pipeline, redis: median(rates[0]!), millrace: median(rates[1]!) })
        }
      }
    } finally {
      for (const server of servers) await server.stop()
    }
    const ratiosOf = (command: string): number[] =>
      points.filter((point) => point.command === command).map((point) => point.millrace / point.redis)
    const line = (command: string, server: 'redis' | 'millrace'): (readonly [number, number])[] =>
      points.filter((point) => point.command === command).map((point) => [point.depth, point[server]])
    return {
      method: `redis-benchmark, ${CONNECTIONS} connections, no log, medians of ${rounds} alternating rounds of about ${SAMPLE_MS} ms.`,
      tables: [
        table(
          'Requests/s beside redis-server by depth of the pipeline',
          [column('command', 0), ...depths.map((pipeline) => column(String(pipeline), 2)), column('mean', 2)],
          names.map((name) => [name, ...ratiosOf(name), geometricMean(ratiosOf(name))]),
        ),
      ],
      goals: [],
      plots: [
        {
          name: 'throughput-by-depth',
          title: 'Throughput by pipeline depth',
          panels: names.map((name) => ({
            title: name,
            xLabel: 'requests in a pipeline',
            yLabel: 'requests/s',
            x: 'log2' as const,
            y: 'linear' as const,
            series: [
              { name: 'Millrace', points: line(name, 'millrace') },
              { name: 'redis-server', points: line(name, 'redis') },
            ],
          })),
        },
      ],
    }
  },
}
