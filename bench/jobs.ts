/**
 * BullMQ beside redis-server: jobs are added one by one, in bulk, and processed, through sockets and on a broker in the process
 * of the queue; jobs/s and server CPU per job. All of it is EVALSHA of BullMQ's scripts; the client is most of the work, so
 * that jobs/s tell more of BullMQ than of the server.
 */
import { fileURLToPath } from 'node:url'
import type { JobsResult, JobsTask, Step } from './jobs-load.ts'
import { median, sum } from './support/numbers.ts'
import { type Bench, type BenchOptions, column, isWanted, type Report, table } from './support/report.ts'
import { alternate, withCpu } from './support/rounds.ts'
import { startBoth } from './support/servers.ts'
import { TaskProcess } from './support/task-process.ts'

const LOAD = fileURLToPath(new URL('jobs-load.ts', import.meta.url))
const STEPS: readonly Step[] = ['add', 'addBulk', 'process']
const ROUNDS = 5
/** V8 compiles the scripts and the client meanwhile. */
const WARMUP_ROUNDS = 3
const JOBS = 5000
const QUICK_JOBS = 100

interface Subject {
  readonly name: string
  readonly port: number | null
  /** Whose CPU time counts: in-process that of the client too. */
  readonly pid: number
  readonly load: TaskProcess<JobsTask, JobsResult>
}

interface Sample {
  readonly rate: number
  readonly cpuUs: number
}

export const jobs: Bench = {
  name: 'jobs',
  summary: 'BullMQ add, addBulk and process, through sockets and in-process: jobs/s, server CPU; 90 seconds',
  programs: ['redis-server'],
  run: async (options) => {
    const servers = await startBoth(['--appendonly', 'no'])
    const loads = [1, 2, 3].map(() => TaskProcess.start<JobsTask, JobsResult>(LOAD))
    const [redisLoad, ourLoad, inProcessLoad] = loads
    const subjects: Subject[] = [
      { name: 'redis-server', port: servers[0].port, pid: servers[0].pid, load: redisLoad! },
      { name: 'Millrace', port: servers[1].port, pid: servers[1].pid, load: ourLoad! },
      { name: 'Millrace in-process', port: null, pid: inProcessLoad!.pid, load: inProcessLoad! },
    ]
    try {
      return await measure(subjects, options)
    } finally {
      for (const load of loads) await load.stop()
      for (const server of servers) await server.stop()
    }
  },
}

async function measure(subjects: readonly Subject[], options: BenchOptions): Promise<Report> {
  const count = options.isQuick ? QUICK_JOBS : JOBS
  const rounds = options.rounds ?? (options.isQuick ? 1 : ROUNDS)
  const sample = (subject: Subject): Promise<Map<Step, Sample>> => round(subject, count)
  if (!options.isQuick) await alternate(subjects, WARMUP_ROUNDS, sample)
  const samples = await alternate(subjects, rounds, sample)
  const steps = STEPS.filter((step) => isWanted(step, options))
  const rate = (i: number, step: Step): number => median(samples[i]!.map((one) => one.get(step)!.rate))
  const cpu = (i: number, step: Step): number => sum(samples[i]!.map((one) => one.get(step)!.cpuUs)) / rounds
  return {
    method: `${count} jobs by each step, processed with a concurrency of 50, added one by one by 50 callers, in bulk by 100; no log; medians of ${rounds} alternating rounds after ${WARMUP_ROUNDS} that do not count.`,
    tables: [
      table(
        'BullMQ',
        [
          column('step', 0),
          column('Redis jobs/s', 0),
          column('Millrace jobs/s', 0),
          column('ratio', 2),
          column('in-process jobs/s', 0),
          column('ratio', 2),
          column('Redis CPU µs/job', 1),
          column('Millrace CPU µs/job', 1),
          column('ratio', 2),
          column('in-process CPU µs/job, client included', 1),
        ],
        steps.map((step) => [
          step,
          rate(0, step),
          rate(1, step),
          rate(1, step) / rate(0, step),
          rate(2, step),
          rate(2, step) / rate(0, step),
          cpu(0, step),
          cpu(1, step),
          cpu(1, step) / cpu(0, step),
          cpu(2, step),
        ]),
      ),
    ],
    goals: steps.flatMap((step) => [
      { what: `BullMQ ${step}, jobs/s beside Redis`, atLeast: 1.1, figure: rate(1, step) / rate(0, step) },
      { what: `BullMQ ${step}, server CPU beside Redis`, atMost: 0.6, figure: cpu(1, step) / cpu(0, step) },
      { what: `BullMQ ${step} in-process, jobs/s beside Redis`, atLeast: 2, figure: rate(2, step) / rate(0, step) },
    ]),
    plots: [],
  }
}

let queues = 0

/** All steps on a new queue; half of the jobs are added one by one, and all of them are processed. */
async function round({ port, pid, load }: Subject, count: number): Promise<Map<Step, Sample>> {
  const queue = `queue-${queues++}`
  const samples = new Map<Step, Sample>()
  for (const step of STEPS) {
    const jobs = step === 'process' ? 2 * count : count
    const { result, ms } = await withCpu(pid, () => load.run({ port, queue, step, jobs }))
    samples.set(step, { rate: jobs / result.seconds, cpuUs: (ms * 1000) / jobs })
  }
  return samples
}
