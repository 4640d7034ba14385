/**
 * BullMQ on both servers: jobs are added in bulk and processed by one worker; server CPU per job. All of it is EVALSHA
 * of BullMQ's scripts. The first rounds warm both up: compilation of scripts here, of nothing there.
 *
 * Environment: BENCH_ROUNDS (default 4), BENCH_JOBS (default 10000).
 */
import { Queue, Worker } from 'bullmq'
import { type BenchServer, cpuMs, median, startMillrace, startRedis } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 4)
const JOBS = Number(process.env.BENCH_JOBS ?? 10_000)
const BULK = 100
const CONCURRENCY = 50
const WARMUP_ROUNDS = 2

/** Adds and processes JOBS jobs. Returns server CPU per job in µs and jobs per second. */
async function round(server: BenchServer, name: string): Promise<{ cpuUs: number; rate: number }> {
  const connection = { host: '127.0.0.1', port: server.port, maxRetriesPerRequest: null }
  const queue = new Queue(name, { connection })
  const started = performance.now()
  const cpu = cpuMs(server.pid)
  for (let first = 0; first < JOBS; first += BULK) {
    await queue.addBulk(
      Array.from({ length: BULK }, (_, i) => ({
        name: 'job',
        data: {
          number: first + i,
          text: 'some text that a job carries along with it, longer than a field of a listpack',
        },
        opts: { removeOnComplete: 100, attempts: 3, ...(i % 10 === 0 ? { priority: 2 } : {}) },
      })),
    )
  }
  let done = 0
  await new Promise<void>((resolve, reject) => {
    const worker = new Worker(name, async (job) => job.data.number, { connection, concurrency: CONCURRENCY })
    worker.on('completed', () => {
      if (++done === JOBS) worker.close().then(resolve, reject)
    })
    worker.on('error', reject)
  })
  await queue.close()
  const seconds = (performance.now() - started) / 1000
  return { cpuUs: ((cpuMs(server.pid) - cpu) * 1000) / JOBS, rate: JOBS / seconds }
}

const redis = await startRedis(['--appendonly', 'no'])
const millrace = await startMillrace(['--appendonly', 'no'])
try {
  const theirs: { cpuUs: number; rate: number }[] = []
  const ours: { cpuUs: number; rate: number }[] = []
  for (let n = 0; n < WARMUP_ROUNDS + ROUNDS; n++) {
    const pair = [await round(redis, `queue-${n}`), await round(millrace, `queue-${n}`)] as const
    if (n < WARMUP_ROUNDS) continue
    theirs.push(pair[0])
    ours.push(pair[1])
  }
  const [theirCpu, ourCpu] = [median(theirs.map((r) => r.cpuUs)), median(ours.map((r) => r.cpuUs))]
  const [theirRate, ourRate] = [median(theirs.map((r) => r.rate)), median(ours.map((r) => r.rate))]
  console.log(`BullMQ, ${JOBS} jobs added and processed, concurrency ${CONCURRENCY}, medians of ${ROUNDS} rounds`)
  console.log(`redis     ${theirCpu.toFixed(0)} µs server CPU per job, ${theirRate.toFixed(0)} jobs/s`)
  console.log(`millrace  ${ourCpu.toFixed(0)} µs server CPU per job, ${ourRate.toFixed(0)} jobs/s`)
  console.log(`CPU ratio (redis/ours) ${(theirCpu / ourCpu).toFixed(2)}`)
} finally {
  await millrace.stop()
  await redis.stop()
}
process.exit(0)
