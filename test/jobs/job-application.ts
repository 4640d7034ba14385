/**
 * A BullMQ application with jobs of all kinds, for soak tests: two queues with workers, queue events, flows, a job
 * scheduler and a rate limited queue. It adds its jobs, waits until each has come to its end and checks that each came
 * to the right one, once.
 */
import {
  FlowProducer,
  type Job,
  type JobsOptions,
  Queue,
  QueueEvents,
  type RedisOptions,
  UnrecoverableError,
  Worker,
} from 'bullmq'
import { expect } from 'vitest'

/** Jobs added by one `addBulk`. */
const BULK_JOBS = 200
const SCHEDULED_RUNS = 5
const LIMITED_JOBS = 60
const LIMIT = { max: 20, duration: 200 }
/** Waiting for the last jobs gives up after this time without any progress, in ms. */
const STANDSTILL_MS = 20_000

/** What becomes of a job, by its name. */
const KINDS: Readonly<Record<string, JobsOptions>> = {
  plain: {},
  delayed: { delay: 150 },
  prioritised: { priority: 3 },
  retried: { attempts: 3, backoff: { type: 'exponential', delay: 10 } },
  lifo: { lifo: true },
  failing: { attempts: 2 },
  unrecoverable: { attempts: 5 },
}
const KIND_NAMES = Object.keys(KINDS)

interface JobData {
  readonly n: number
}

/** Queues, workers and the like. */
interface Part {
  waitUntilReady(): Promise<unknown>
  close(): Promise<unknown>
}

export class JobApplication {
  readonly queue: Queue<JobData>
  private readonly flows: FlowProducer
  private readonly limitedQueue: Queue
  /** In the order of closing: workers before what they use. */
  private readonly parts: readonly Part[]
  private readonly childQueueName: string
  private readonly completed = new Map<string, number>()
  private readonly failed = new Map<string, number>()
  private readonly childrenCompleted = new Set<string>()
  private readonly limitedStarts: number[] = []
  private scheduledRuns = 0
  private progressEvents = 0
  private readonly errors: Error[] = []

  constructor(connection: RedisOptions, name: string) {
    const base = { connection }
    this.childQueueName = `${name}-children`
    this.queue = new Queue(name, base)
    this.limitedQueue = new Queue(`${name}-limited`, base)
    this.flows = new FlowProducer(base)
    const events = new QueueEvents(name, base)
    events.on('completed', ({ jobId, returnvalue }) => this.noteCompleted(jobId, returnvalue))
    events.on('failed', ({ jobId }) => count(this.failed, jobId))
    events.on('progress', () => this.progressEvents++)
    const childEvents = new QueueEvents(this.childQueueName, base)
    childEvents.on('completed', ({ jobId }) => this.childrenCompleted.add(jobId))
    const worker = new Worker<JobData>(name, (job) => this.run(job), { ...base, concurrency: 50 })
    const childWorker = new Worker<JobData>(this.childQueueName, async (job) => job.data.n * 2, {
      ...base,
      concurrency: 20,
    })
    const limitedWorker = new Worker(
      `${name}-limited`,
      async () => {
        this.limitedStarts.push(performance.now())
      },
      { ...base, concurrency: 10, limiter: LIMIT },
    )
    const noteError = (error: Error): void => {
      this.errors.push(error)
    }
    for (const each of [worker, childWorker, limitedWorker]) each.on('error', noteError)
    for (const each of [this.queue, this.limitedQueue]) each.on('error', noteError)
    for (const each of [events, childEvents]) each.on('error', noteError)
    this.flows.on('error', noteError)
    this.parts = [worker, childWorker, limitedWorker, events, childEvents, this.flows, this.queue, this.limitedQueue]
  }

  /** Adds about `size` jobs, waits for their ends and checks them. */
  async complete(size: number): Promise<void> {
    await Promise.all(this.parts.map((part) => part.waitUntilReady()))
    await this.queue.upsertJobScheduler(
      'tick',
      { every: 50, limit: SCHEDULED_RUNS },
      { name: 'scheduled', data: { n: 0 } },
    )
    const flowCount = Math.ceil(size / 30)
    const ids = await this.addJobs(size - flowCount * 3)
    const parents = await this.addFlows(flowCount)
    await this.limitedQueue.addBulk(Array.from({ length: LIMITED_JOBS }, () => ({ name: 'limited', data: {} })))

    const expectedToFail = ids.filter((id) => id.startsWith('failing') || id.startsWith('unrecoverable'))
    const expectedToComplete = [...ids.filter((id) => !expectedToFail.includes(id)), ...parents]
    const total = ids.length + parents.length
    await this.until(
      () =>
        this.completed.size + this.failed.size >= total &&
        this.scheduledRuns >= SCHEDULED_RUNS &&
        this.limitedStarts.length >= LIMITED_JOBS,
    )

    expect(sorted(this.completed.keys())).toEqual(sorted(expectedToComplete))
    expect(sorted(this.failed.keys())).toEqual(sorted(expectedToFail))
    expect([...this.completed.values(), ...this.failed.values()].every((times) => times === 1)).toBe(true)
    expect(this.childrenCompleted.size).toBe(flowCount * 2)
    expect(this.scheduledRuns).toBe(SCHEDULED_RUNS)
    expect(this.progressEvents).toBe(ids.filter((id) => id.startsWith('plain')).length)
    this.checkLimit()
    expect(
      await this.queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized', 'waiting-children', 'failed'),
    ).toEqual({
      waiting: 0,
      active: 0,
      delayed: 0,
      prioritized: 0,
      'waiting-children': 0,
      failed: expectedToFail.length,
    })
    const retried = await this.queue.getJob(ids.find((id) => id.startsWith('retried'))!)
    expect(retried?.attemptsMade).toBe(2)
    const delayed = await this.queue.getJob(ids.find((id) => id.startsWith('delayed'))!)
    expect(delayed!.processedOn! - delayed!.timestamp).toBeGreaterThanOrEqual(150)
    expect(this.errors).toEqual([])
  }

  async close(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.close()))
  }

  private async run(job: Job<JobData>): Promise<number> {
    switch (job.name) {
      case 'scheduled':
        this.scheduledRuns++
        return 0
      case 'plain':
        await job.updateProgress(50)
        return job.data.n
      case 'retried':
        if (job.attemptsMade === 0) throw new Error('first attempt')
        return job.data.n
      case 'failing':
        throw new Error('always')
      case 'unrecoverable':
        throw new UnrecoverableError('at once')
      case 'parent': {
        const values = Object.values(await job.getChildrenValues<number>())
        return values.reduce((sum, value) => sum + value, 0)
      }
      default:
        return job.data.n
    }
  }

  private noteCompleted(jobId: string, returnvalue: unknown): void {
    if (jobId.startsWith('repeat:')) return
    count(this.completed, jobId)
    const n = Number(jobId.slice(jobId.indexOf('-') + 1))
    // A parent returns the sum of its two children, each of which doubles the number.
    const expected = jobId.startsWith('parent') ? n * 4 : n
    if (Number(returnvalue) !== expected) this.errors.push(new Error(`Job ${jobId} returned ${String(returnvalue)}`))
  }

  private async addJobs(total: number): Promise<string[]> {
    const ids: string[] = []
    for (let from = 0; from < total; from += BULK_JOBS) {
      const jobs = Array.from({ length: Math.min(BULK_JOBS, total - from) }, (_, i) => {
        const n = from + i
        const name = KIND_NAMES[n % KIND_NAMES.length]!
        return { name, data: { n }, opts: { ...KINDS[name], jobId: `${name}-${n}` } }
      })
      await this.queue.addBulk(jobs)
      ids.push(...jobs.map(({ opts }) => opts.jobId))
    }
    return ids
  }

  private async addFlows(total: number): Promise<string[]> {
    const parents = Array.from({ length: total }, (_, n) => ({
      name: 'parent',
      queueName: this.queue.name,
      data: { n },
      opts: { jobId: `parent-${n}` },
      children: [0, 1].map((child) => ({
        name: 'child',
        queueName: this.childQueueName,
        data: { n },
        opts: { jobId: `child-${n}-${child}` },
      })),
    }))
    for (let from = 0; from < total; from += BULK_JOBS) await this.flows.addBulk(parents.slice(from, from + BULK_JOBS))
    return parents.map(({ opts }) => opts.jobId)
  }

  /** No window of the limit's duration holds many more starts than the limit; its edges are blurred by the workers' timing. */
  private checkLimit(): void {
    const starts = this.limitedStarts
    const elapsed = starts.at(-1)! - starts[0]!
    expect(starts.length).toBe(LIMITED_JOBS)
    expect(elapsed).toBeGreaterThanOrEqual((LIMITED_JOBS / LIMIT.max - 1) * LIMIT.duration * 0.9)
  }

  private async until(isDone: () => boolean): Promise<void> {
    let progress = -1
    let since = performance.now()
    while (!isDone()) {
      const now = this.completed.size + this.failed.size + this.scheduledRuns + this.limitedStarts.length
      if (now !== progress) {
        progress = now
        since = performance.now()
      } else if (performance.now() - since > STANDSTILL_MS) {
        throw new Error(
          `No progress: ${this.completed.size} completed, ${this.failed.size} failed, ${this.scheduledRuns} scheduled, ${this.limitedStarts.length} limited; errors: ${this.errors.join(', ')}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function count(counts: Map<string, number>, id: string): void {
  counts.set(id, (counts.get(id) ?? 0) + 1)
}

function sorted(ids: Iterable<string>): string[] {
  return [...ids].sort()
}
