/** The worker process against a broker process, as they are run in production. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Queue, QueueEvents } from 'bullmq'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort, ServerProcess } from '../support/server-process.ts'

const MAIN = fileURLToPath(new URL('../../workers/main.ts', import.meta.url))
const LIMIT_MS = 30_000

const PROCESSOR = `
export async function processor(job) {
  if (job.name === 'double') return job.data.n * 2
  if (job.name === 'fail') throw new Error('as told')
  if (job.name === 'slow') await new Promise((resolve) => setTimeout(resolve, 400))
  if (job.name === 'endless') await new Promise(() => setInterval(() => {}, 1000))
  return 'done'
}
`

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

class WorkerUnderTest {
  output = ''
  private readonly child: ChildProcess
  private readonly exited: Promise<unknown[]>

  constructor(port: number, args: readonly string[] = []) {
    const processor = join(temporaryDirectory(), 'processor.mjs')
    writeFileSync(processor, PROCESSOR)
    const url = `redis://127.0.0.1:${port}`
    this.child = spawn(process.execPath, [
      MAIN,
      '--processor',
      processor,
      '--queue',
      'work',
      '--url',
      url,
      '--log-level',
      'debug',
      ...args,
    ])
    this.exited = once(this.child, 'exit')
    this.child.stdout?.on('data', (chunk) => (this.output += String(chunk)))
    this.child.stderr?.on('data', (chunk) => (this.output += String(chunk)))
    cleanups.push(() => this.child.kill('SIGKILL'))
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** The exit code. */
  async ended(): Promise<unknown> {
    const [code] = await this.exited
    return code
  }

  /** Waits until a line with this message was logged `times` times. */
  async logged(message: string, times = 1): Promise<void> {
    while (this.lines(message).length < times) {
      if (this.child.exitCode !== null) throw new Error(`The worker ended: ${this.output}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  lines(message: string): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line): Record<string, unknown> => JSON.parse(line))
      .filter((line) => line.msg === message)
  }
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
    const worker = new WorkerUnderTest(server.port, ['--health-interval', '50'])
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
    const worker = new WorkerUnderTest(server.port, ['--concurrency', '2'])
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
    const worker = new WorkerUnderTest(server.port, ['--shutdown-timeout', '100'])
    await queue.add('endless', {})
    await worker.logged('Job active')
    worker.signal('SIGTERM')
    expect(await worker.ended()).toBe(1)
    expect(worker.lines('Stopped before all active jobs were finished')).toMatchObject([{ active: 1 }])
  })

  test('ends at once on a second signal', async () => {
    const server = await startBroker()
    const { queue } = openQueue(server.port)
    const worker = new WorkerUnderTest(server.port)
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
    const worker = new WorkerUnderTest(server.port, ['--limiter', '2/200'])
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
    const worker = new WorkerUnderTest(port)
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
    [['--processor', MAIN.replace('main.ts', 'settings.ts')], "it exports no function 'processor'"],
  ])('refuses %j in one line and ends with 1', async (args, message) => {
    const worker = new WorkerUnderTest(1, args)
    expect(await worker.ended()).toBe(1)
    expect(worker.output).toContain(message)
    expect(worker.output.trimEnd()).not.toContain('\n')
  })
})
