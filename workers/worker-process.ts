/**
 * A worker as a process of its own: takes jobs of one queue, runs them through a processor and logs what happens.
 *
 * - The broker may be absent, at the start or later: the worker waits and goes on when it is back; the log says so once
 *   for each loss. Jobs that were active meanwhile are finished when they can be.
 * - `stop` takes no further jobs and waits for active ones, up to a limit. Jobs that are cut off are taken up by another
 *   worker when their lock has run out.
 */
import { pathToFileURL } from 'node:url'
import { type Processor, Worker } from 'bullmq'
import type { Logger } from 'pino'
import { createRedisClient } from '../src/index.ts'
import type { WorkerSettings } from './settings.ts'

/** A processor's module that cannot be loaded, or has no processor. */
export class ProcessorError extends Error {
  override readonly name = 'ProcessorError'
}

/** Loads the function `processor`, or the default export, of a module. @throws ProcessorError */
export async function loadProcessor(path: string): Promise<Processor> {
  let module: Record<string, unknown>
  try {
    module = await import(pathToFileURL(path).href)
  } catch (cause) {
    throw new ProcessorError(
      `Cannot load the processor ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
  const processor = module.processor ?? module.default
  if (typeof processor !== 'function')
    throw new ProcessorError(`Cannot use ${path}: it exports no function 'processor'`)
  return processor as Processor
}

export class WorkerProcess {
  private readonly settings: WorkerSettings
  private readonly log: Logger
  private readonly connection: ReturnType<typeof createRedisClient>
  private readonly worker: Worker
  private readonly healthTimer: NodeJS.Timeout | null
  private readonly startedAt = performance.now()
  private active = 0
  private completed = 0
  private failed = 0
  private isConnected: boolean = false
  private isStopping: boolean = false

  constructor(settings: WorkerSettings, processor: Processor, log: Logger) {
    this.settings = settings
    this.log = log
    this.connection = createRedisClient(settings.url, { connectionName: `worker:${settings.queue}` })
    this.followConnection()
    this.worker = new Worker(settings.queue, processor, {
      connection: this.connection,
      prefix: settings.prefix,
      concurrency: settings.concurrency,
      ...(settings.limiter === null ? {} : { limiter: settings.limiter }),
    })
    this.followJobs()
    const { healthIntervalMs } = settings
    this.healthTimer = healthIntervalMs === 0 ? null : setInterval(() => this.logHealth(), healthIntervalMs)
  }

  /** Takes no further jobs and ends; false when active jobs had to be cut off, or the broker was not there. */
  async stop(): Promise<boolean> {
    if (this.isStopping) return false
    this.isStopping = true
    const { shutdownTimeoutMs } = this.settings
    this.log.info({ active: this.active, timeoutMs: shutdownTimeoutMs }, 'Stopping: active jobs are finished')
    let limit: NodeJS.Timeout | undefined
    const timeout = new Promise<'timeout'>((resolve) => {
      limit = setTimeout(() => resolve('timeout'), shutdownTimeoutMs)
    })
    const outcome = await Promise.race([this.worker.close(), timeout])
    clearTimeout(limit)
    if (this.healthTimer !== null) clearInterval(this.healthTimer)
    this.logHealth()
    if (outcome === 'timeout') {
      this.log.warn({ active: this.active }, 'Stopped before all active jobs were finished')
      return false
    }
    this.connection.disconnect()
    this.log.info('Stopped')
    return true
  }

  private followConnection(): void {
    const { connection, log } = this
    connection.on('ready', () => {
      this.isConnected = true
      log.info({ queue: this.settings.queue, concurrency: this.settings.concurrency }, 'Connected to the broker')
    })
    connection.on('close', () => {
      if (this.isConnected && !this.isStopping) log.warn('Lost the broker, waiting for it')
      this.isConnected = false
    })
    let isFirst = true
    connection.on('error', (error) => {
      // One line for each loss: the pause between attempts is short.
      if (isFirst) log.warn({ err: error }, 'Cannot reach the broker, waiting for it')
      isFirst = false
    })
    connection.on('ready', () => {
      isFirst = true
    })
  }

  private followJobs(): void {
    const { worker, log } = this
    worker.on('active', (job) => {
      this.active++
      log.debug({ job: job.id, name: job.name, attempt: job.attemptsMade + 1 }, 'Job active')
    })
    worker.on('completed', (job) => {
      this.active--
      this.completed++
      log.debug({ job: job.id, name: job.name }, 'Job completed')
    })
    worker.on('failed', (job, error) => {
      this.failed++
      // Without a job: one that was stalled too often and is gone.
      if (job !== undefined) this.active--
      log.warn({ job: job?.id, name: job?.name, attempt: job?.attemptsMade, err: error }, 'Job failed')
    })
    worker.on('stalled', (id) => log.warn({ job: id }, 'Job stalled, it is taken up again'))
    worker.on('error', (error) => {
      // Errors of the connection are told by the connection.
      if (this.isConnected) log.error({ err: error }, 'Worker error')
    })
  }

  private logHealth(): void {
    const health = {
      queue: this.settings.queue,
      isConnected: this.isConnected,
      active: this.active,
      completed: this.completed,
      failed: this.failed,
      uptimeSeconds: Math.round((performance.now() - this.startedAt) / 1000),
      rssMb: Math.round(process.memoryUsage.rss() / 1024 / 1024),
    }
    this.log.info(health, 'Health')
  }
}
