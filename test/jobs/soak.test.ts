/**
 * BullMQ over both doors, and across crashes of the broker.
 *
 * MILLRACE_SOAK sets the number of jobs of each test; continuous integration runs a tenth of the full size.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue, Worker } from 'bullmq'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bullmqConnection, createBroker, ioredisOptions } from '../../src/index.ts'
import { freePort, ServerProcess } from '../support/server-process.ts'
import { JobApplication } from './job-application.ts'

const JOBS = Number(process.env.MILLRACE_SOAK ?? 2000)
const LIMIT_MS = 60_000 + JOBS * 20
const KILLS = 3

async function runApplication(connection: ConstructorParameters<typeof JobApplication>[0]): Promise<void> {
  const application = new JobApplication(connection, 'soak')
  onTestFinished(() => application.close())
  await application.complete(JOBS)
}

describe('a BullMQ application completes jobs of all kinds', () => {
  test('over TCP, the broker being a process with an append-only file', { timeout: LIMIT_MS }, async () => {
    const server = await ServerProcess.millrace()
    onTestFinished(() => server.dispose())
    await runApplication({ host: '127.0.0.1', port: server.port })
  })

  test('without a socket, the broker being in the same process', { timeout: LIMIT_MS }, async () => {
    const broker = await createBroker()
    onTestFinished(() => broker.close())
    await runApplication(ioredisOptions(broker))
  })

  test('without a socket and without ioredis', { timeout: LIMIT_MS }, async () => {
    const broker = await createBroker()
    onTestFinished(() => broker.close())
    await runApplication(bullmqConnection(broker))
  })
})

describe('a broker that is killed and started again in the middle', () => {
  test.each(['always', 'everysec'])(
    'has lost no acknowledged job, and the worker goes on by itself (appendfsync %s)',
    { timeout: LIMIT_MS },
    async (appendfsync) => {
      const directory = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
      const port = await freePort()
      const start = () => ServerProcess.millrace(['--appendfsync', appendfsync], directory, port)
      let server = await start()
      const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null, retryStrategy: () => 50 }
      const queue = new Queue<{ n: number }>('crash', { connection })
      const completed = new Set<string>()
      const worker = new Worker<{ n: number }>('crash', async (job) => job.data.n, {
        connection,
        concurrency: 20,
        // Jobs whose worker lost the broker are taken up again after seconds instead of half a minute.
        lockDuration: 2000,
        stalledInterval: 1000,
        maxStalledCount: 10,
      })
      const errors: Error[] = []
      queue.on('error', (error) => errors.push(error))
      worker.on('error', (error) => errors.push(error))
      worker.on('completed', (job) => completed.add(job.id!))
      onTestFinished(async () => {
        await worker.close(true)
        await queue.close()
        await server.dispose()
        rmSync(directory, { recursive: true, force: true })
      })

      const acknowledged: string[] = []
      for (let n = 0; n < JOBS; n += 20) {
        const batch = Array.from({ length: Math.min(20, JOBS - n) }, (_, i) =>
          queue
            .add('job', { n: n + i }, { jobId: `job-${n + i}`, delay: i === 0 ? 300 : 0 })
            .then((job) => acknowledged.push(job.id!)),
        )
        // The crash comes while jobs are being added and worked on.
        if (isKillDue(n)) {
          await Promise.race(batch)
          await server.kill()
          server = await start()
        }
        await Promise.all(batch)
      }

      expect(acknowledged).toHaveLength(JOBS)
      const isDone = async () =>
        Object.values(await queue.getJobCounts('waiting', 'active', 'delayed')).every((left) => left === 0)
      while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, 50))
      const states = await Promise.all(acknowledged.map((id) => queue.getJobState(id)))
      expect(states.filter((state) => state !== 'completed')).toEqual([])
      expect(await queue.getJobCountByTypes('completed')).toBe(JOBS)
      // The connection was refused while there was no broker: proof that it was gone.
      expect(errors.some((error) => 'code' in error && error.code === 'ECONNREFUSED')).toBe(true)
    },
  )
})

function isKillDue(n: number): boolean {
  const step = Math.floor(JOBS / 20 / (KILLS + 1)) * 20
  return n > 0 && n % step === 0 && n / step <= KILLS
}
