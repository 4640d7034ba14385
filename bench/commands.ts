/**
 * Requests per second and server CPU per request of single commands, beside redis-server.
 *
 * Environment: BENCH_ROUNDS (default 5), BENCH_COMMANDS and BENCH_DEPTHS (comma-separated), BENCH_AOF=1 (both with
 * `appendonly yes`, everysec).
 */
import { type BenchServer, cpuMs, median, redisBenchmark, startMillrace, startRedis } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5)
const CLIENTS = '50'
const KEYS = '100000'
const TIMEOUT_MS = 120_000
/** Requests per round, by pipeline depth: long enough to be past the first compilations. */
const REQUESTS: Readonly<Record<number, number>> = { 1: 100_000, 16: 800_000, 64: 1_500_000 }

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  SET: ['SET', 'key:__rand_int__', 'value-of-twenty-bytes'],
  GET: ['GET', 'key:__rand_int__'],
  INCR: ['INCR', 'counter:__rand_int__'],
  LPUSH: ['LPUSH', 'list', 'value-of-twenty-bytes'],
  RPOP: ['RPOP', 'list'],
  HSET: ['HSET', 'hash', 'field:__rand_int__', 'value-of-twenty-bytes'],
  ZADD: ['ZADD', 'zset', '__rand_int__', 'member:__rand_int__'],
  XADD: ['XADD', 'stream', '*', 'field', 'value-of-twenty-bytes'],
}

interface Sample {
  readonly rate: number
  readonly cpuUs: number
}

function sample(server: BenchServer, depth: number, command: readonly string[]): Sample {
  const requests = REQUESTS[depth] ?? 500_000
  const before = cpuMs(server.pid)
  const rate = redisBenchmark(
    server.port,
    ['-n', String(requests), '-P', String(depth), '-c', CLIENTS, '-r', KEYS, ...command],
    TIMEOUT_MS,
  )
  return { rate, cpuUs: ((cpuMs(server.pid) - before) * 1000) / requests }
}

const wanted = process.env.BENCH_COMMANDS?.split(',') ?? Object.keys(COMMANDS)
const persistence = process.env.BENCH_AOF === '1' ? 'yes' : 'no'
const redis = await startRedis(['--appendonly', persistence])
const millrace = await startMillrace(['--appendonly', persistence])
try {
  console.log(`appendonly ${persistence}, ${CLIENTS} connections, ${KEYS} keys, medians of ${ROUNDS} rounds`)
  console.log('command  depth   redis req/s   ours req/s   ratio   redis CPU µs   ours CPU µs   ratio (redis/ours)')
  for (const depth of (process.env.BENCH_DEPTHS ?? '1,16,64').split(',').map(Number)) {
    for (const name of wanted) {
      const command = COMMANDS[name]
      if (command === undefined) throw new Error(`Unknown command ${name}`)
      const theirs: Sample[] = []
      const ours: Sample[] = []
      for (let round = 0; round <= ROUNDS; round++) {
        const pair = [sample(redis, depth, command), sample(millrace, depth, command)] as const
        // The first round warms up: compilation, growth of tables.
        if (round === 0) continue
        theirs.push(pair[0])
        ours.push(pair[1])
      }
      const [theirRate, ourRate] = [median(theirs.map((s) => s.rate)), median(ours.map((s) => s.rate))]
      const [theirCpu, ourCpu] = [median(theirs.map((s) => s.cpuUs)), median(ours.map((s) => s.cpuUs))]
      console.log(
        [
          name.padEnd(8),
          String(depth).padStart(5),
          Math.round(theirRate).toString().padStart(13),
          Math.round(ourRate).toString().padStart(12),
          (ourRate / theirRate).toFixed(2).padStart(7),
          theirCpu.toFixed(2).padStart(14),
          ourCpu.toFixed(2).padStart(13),
          (theirCpu / ourCpu).toFixed(2).padStart(8),
        ].join(' '),
      )
    }
  }
} finally {
  await millrace.stop()
  await redis.stop()
}
