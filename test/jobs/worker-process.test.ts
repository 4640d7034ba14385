/** The worker process against a broker process, as they are run in production. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Queue, QueueEvents } from 'bullmq'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort, ServerProcess } from '../support/server-process.ts'
import { WorkerUnderTest } from './worker-under-test.ts'

const SETTINGS = fileURLToPath(new URL('../../workers/settings.ts', import.meta.url))
const LIMIT_MS = 30_000

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function startWorker(port: number, args: readonly string[] = []): WorkerUnderTest {
  const worker = new WorkerUnderTest({ url: `redis://127.0.0.1:${port}`, args })
  cleanups.push(() => worker.dispose())
  return worker
}

async function startBroker(): Promise<ServerProcess> {
  const server = await ServerProcess.millrace()
  cleanups.push(() => server.dispose())
  return server
}

function openQueue(port: number): { queue: Queue; events: QueueEvents } {
  const connection = { host: '127.0.0.1', port, retryStrategy: () => 50 }
  const queue = new Queue('work', { connection })
  const events = new QueueEvents('work', { connection })
  queue.on('error', () => {})
  events.on('error', () => {})
  cleanups.push(
    () => queue.close(),
    () => events.close(),
  )
  return { queue, events }
}

describe('a worker process', { timeout: LIMIT_MS }, () => {
  test('works on jobs, logs failures and its health', async () => {
    const server = await startBroker()
    const { queue, events } = openQueue(server.port)
    await events.waitUntilReady()
    const worker = startWorker(server.port, ['--health-interval', '50'])
    const good = await queue.add('double', { n: 21 })
    const bad = await queue.add('fail', {})
    expect(await good.waitUntilFinished(events)).toBe(42)
    await expect(bad.waitUntilFinished(events)).rejects.toThrow('as told')
    await worker.logged('Job failed')
    const seen = worker.lines('Health').length
    await worker.logged('Health', seen + 2)
    expect(worker.lines('Health').at(-1)).toMatchObject({
      queue: 'work',
      isConnected: true,
      active: 0,
      completed: 1,
      failed: 1,
    })
    expect(worker.lines('Job failed')).toMatchObject([{ job: bad.id, name: 'fail', err: { message: 'as told' } }])
    worker.signal('SIGTERM')
    expect(await worker.ended()).toBe(0)
  })

  test('finishes active jobs on SIGTERM, takes no others and ends with 0', async () => {
    const server = await startBroker()
    const { queue } = openQueue(server.port)
    const worker = startWorker(server.port, ['--concurrency', '2'])
    const jobs = await queue.addBulk(['slow', 'slow', 'double'].map((name) => ({ name, data: { n: 1 } })))
    await worker.logged('Job active', 2)
    worker.signal('SIGTERM')
    expect(await worker.ended()).toBe(0)
    expect(await Promise.all(jobs.map((job) => job.getState()))).toEqual(['completed', 'completed', 'waiting'])
    expect(worker.lines('Stopped')).toHaveLength(1)
  })

  test('cuts off jobs that outlast the timeout, and ends with 1', async () => {
    const server = await startBroker()
    const { queue } = openQueue(server.port)
    const worker = startWorker(server.port, ['--shutdown-timeout', '100'])
    await queue.add('endless', {})
    await worker.logged('Job active')
    worker.signal('SIGTERM')
    expect(await worker.ended()).toBe(1)
    expect(worker.lines('Stopped before all active jobs were finished')).toMatchObject([{ active: 1 }])
  })

  test('ends at once on a second signal', async () => {
    const server = await startBroker()
    const { queue } = openQueue(server.port)
    const worker = startWorker(server.port)
    await queue.add('endless', {})
    await worker.logged('Job active')
    worker.signal('SIGTERM')
    await worker.logged('SIGTERM received')
    worker.signal('SIGINT')
    expect(await worker.ended()).toBe(1)
  })

  test('keeps to its rate limit', async () => {
    const server = await startBroker()
    const { queue, events } = openQueue(server.port)
    await events.waitUntilReady()
    const worker = startWorker(server.port, ['--limiter', '2/200'])
    await worker.logged('Connected to the broker')
    const jobs = await queue.addBulk(Array.from({ length: 6 }, (_, n) => ({ name: 'double', data: { n } })))
    await Promise.all(jobs.map((job) => job.waitUntilFinished(events)))
    // The limit is one of starts. Completions are logged later, by a time that depends on the load of the machine.
    const ended = await Promise.all(jobs.map((job) => queue.getJob(job.id!)))
    const starts = ended.map((job) => job?.processedOn ?? 0).sort((a, b) => a - b)
    expect(starts[0]).toBeGreaterThan(0)
    // Three windows of two jobs; some ms for the rounding of both clocks.
    expect(starts[2]! - starts[0]!).toBeGreaterThanOrEqual(195)
    expect(starts[4]! - starts[0]!).toBeGreaterThanOrEqual(395)
  })

  test('waits for a broker that is not there yet, and goes on when it was killed and started again', async () => {
    const port = await freePort()
    const directory = temporaryDirectory()
    const worker = startWorker(port)
    await worker.logged('Cannot reach the broker, waiting for it')
    let server = await ServerProcess.millrace([], directory, port)
    cleanups.push(() => server.dispose())
    const { queue } = openQueue(port)
    await worker.logged('Connected to the broker')
    const before = await queue.add('slow', {})
    await worker.logged('Job active')
    await server.kill()
    await worker.logged('Lost the broker, waiting for it')
    server = await ServerProcess.millrace([], directory, port)
    await worker.logged('Connected to the broker', 2)
    const after = await queue.add('double', { n: 2 })
    await worker.logged('Job completed', 2)
    expect(await Promise.all([before.getState(), after.getState()])).toEqual(['completed', 'completed'])
    worker.signal('SIGTERM')
    expect(await worker.ended()).toBe(0)
  })

  test.each([
    [['--concurrency', 'many'], "--concurrency must be an integer from 1 to 100000, not 'many'"],
    [['--processor', '/nonexistent/processor.mjs'], 'Cannot load the processor /nonexistent/processor.mjs'],
    [['--processor', SETTINGS], "it exports no function 'processor'"],
  ])('refuses %j in one line and ends with 1', async (args, message) => {
    const worker = startWorker(1, args)
    expect(await worker.ended()).toBe(1)
    expect(worker.output).toContain(message)
    expect(worker.output.trimEnd()).not.toContain('\n')
  })
})
