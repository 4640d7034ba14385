/**
 * Requests per second under each fsync policy: Millrace beside itself without a log, and beside redis-server.
 *
 * Environment: BENCH_ROUNDS (default 5), BENCH_COMMANDS and BENCH_DEPTHS (comma-separated). Logs are in the directory for
 * temporary files, which should be on a disk (TMPDIR): on a file system in memory a sync costs nothing.
 */
import { type BenchServer, median, redisBenchmark, startMillrace, startRedis } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5)
const CLIENTS = '50'
const KEYS = '100000'
const TIMEOUT_MS = 120_000
/** Requests per round, by pipeline depth. */
const REQUESTS: Readonly<Record<number, number>> = { 1: 100_000, 16: 500_000 }
const REQUESTS_OTHER = 500_000

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  SET: ['SET', 'key:__rand_int__', 'value-of-twenty-bytes'],
  XADD: ['XADD', 'stream', '*', 'field', 'value-of-twenty-bytes'],
}

// Rewrites would begin in the midst of a round.
const LOG = ['--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0', '--appendfsync']
const SERVERS = {
  none: await startMillrace(['--appendonly', 'no', '--save', '']),
  everysec: await startMillrace([...LOG, 'everysec', '--save', '']),
  always: await startMillrace([...LOG, 'always', '--save', '']),
  redisEverysec: await startRedis([...LOG, 'everysec']),
  redisAlways: await startRedis([...LOG, 'always']),
}
type Variant = keyof typeof SERVERS
const VARIANTS = Object.keys(SERVERS) as Variant[]

function sample(server: BenchServer, depth: number, command: readonly string[]): number {
  const requests = REQUESTS[depth] ?? REQUESTS_OTHER
  return redisBenchmark(
    server.port,
    ['-n', String(requests), '-P', String(depth), '-c', CLIENTS, '-r', KEYS, ...command],
    TIMEOUT_MS,
  )
}

function ratio(samples: Readonly<Record<Variant, readonly number[]>>, ours: Variant, other: Variant): string {
  return (median(samples[ours]) / median(samples[other])).toFixed(2)
}

try {
  console.log(`fsync policies: ${CLIENTS} connections, ${KEYS} keys, requests/s, medians of ${ROUNDS} rounds`)
  console.log(
    'command depth    no log  everysec    always  redis everysec  redis always   everysec/no log  everysec/redis  always/redis',
  )
  for (const depth of (process.env.BENCH_DEPTHS ?? '1,16').split(',').map(Number)) {
    for (const name of process.env.BENCH_COMMANDS?.split(',') ?? Object.keys(COMMANDS)) {
      const command = COMMANDS[name]
      if (command === undefined) throw new Error(`Unknown command ${name}`)
      const samples: Record<Variant, number[]> = {
        none: [],
        everysec: [],
        always: [],
        redisEverysec: [],
        redisAlways: [],
      }
      for (let round = 0; round <= ROUNDS; round++) {
        for (const variant of VARIANTS) {
          const rate = sample(SERVERS[variant], depth, command)
          // The first round warms up: compilation, growth of tables.
          if (round > 0) samples[variant].push(rate)
        }
      }
      const rates = VARIANTS.map((variant) => Math.round(median(samples[variant])))
      console.log(
        [
          name.padEnd(7),
          String(depth).padStart(5),
          ...[9, 9, 9, 15, 13].map((width, i) => String(rates[i]).padStart(width)),
          ratio(samples, 'everysec', 'none').padStart(17),
          ratio(samples, 'everysec', 'redisEverysec').padStart(15),
          ratio(samples, 'always', 'redisAlways').padStart(13),
        ].join(' '),
      )
    }
  }
} finally {
  for (const variant of VARIANTS) await SERVERS[variant].stop()
}
