/** BullMQ's Queue and Worker, run as a process by bench/jobs.ts: on a server, or on a broker in this process. */
import { type ConnectionOptions, Queue, Worker } from 'bullmq'
import { bullmqConnection, createBroker } from '../src/index.ts'
import { serveTasks } from './support/task-process.ts'

const BULK = 100
const ADDING = 50
const CONCURRENCY = 50
const DATA = { text: 'some text that a job carries along with it, longer than a field of a listpack' }
const OPTIONS = { removeOnComplete: 100, attempts: 3 }

export type Step = 'add' | 'addBulk' | 'process'

export interface JobsTask {
  /** Of a server; null: a broker in this process. */
  readonly port: number | null
  readonly queue: string
  readonly step: Step
  /** How many jobs are added, or processed: for that they must have been added. */
  readonly jobs: number
}

export interface JobsResult {
  readonly seconds: number
}

let inProcess: ConnectionOptions | null = null

async function connectionOptions(port: number | null): Promise<ConnectionOptions> {
  if (port !== null) return { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  inProcess ??= bullmqConnection(await createBroker())
  return inProcess
}

async function run({ port, queue: name, step, jobs }: JobsTask): Promise<JobsResult> {
  const connection = await connectionOptions(port)
  const queue = new Queue(name, { connection })
  await queue.waitUntilReady()
  const begunMs = performance.now()
  if (step === 'add') await add(queue, jobs)
  else if (step === 'addBulk') await addBulk(queue, jobs)
  else await processAll(name, connection, jobs)
  const seconds = (performance.now() - begunMs) / 1000
  if (step === 'process') await queue.obliterate({ force: true })
  await queue.close()
  return { seconds }
}

async function add(queue: Queue, jobs: number): Promise<void> {
  let added = 0
  const adder = async (): Promise<void> => {
    while (added < jobs) {
      added++
      await queue.add('job', DATA, OPTIONS)
    }
  }
  await Promise.all(Array.from({ length: ADDING }, adder))
}

async function addBulk(queue: Queue, jobs: number): Promise<void> {
  const bulk = Array.from({ length: BULK }, () => ({ name: 'job', data: DATA, opts: OPTIONS }))
  for (let added = 0; added < jobs; added += BULK) await queue.addBulk(bulk.slice(0, jobs - added))
}

async function processAll(name: string, connection: ConnectionOptions, jobs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let done = 0
  const worker = new Worker(name, async () => done, { connection, concurrency: CONCURRENCY })
  worker.on('completed', () => {
    if (++done === jobs) resolve()
  })
  worker.on('error', reject)
  await promise
  await worker.close()
}

serveTasks(run)
