/**
 * What BullMQ sends: a queue and a worker process jobs on a real server, and their calls of addStandardJob, moveToActive and
 * moveToFinished are recorded. Replayed with other job IDs they do to any server what a queue in use does.
 */
import { createHash } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { addStandardJob } from '../node_modules/bullmq/dist/esm/scripts/addStandardJob-9.js'
import { moveToActive } from '../node_modules/bullmq/dist/esm/scripts/moveToActive-11.js'
import { moveToFinished } from '../node_modules/bullmq/dist/esm/scripts/moveToFinished-14.js'

const QUEUE = 'bench'
/** Enough that a job is followed by another one, which moveToFinished fetches. */
const RECORDED_JOBS = 4
const JOB_DATA = {
  number: 1,
  text: 'some text that a job carries along with it, longer than a field of a listpack',
}
const JOB_OPTIONS = { removeOnComplete: 100, attempts: 3 }

/** Where moveToFinished has the key of the job and its ID, behind the name, the digest and the number of keys. */
const JOB_KEY = 3 + 11
const JOB_ID = 3 + 14

/** Words of a command, as byte strings. */
export type Words = readonly string[]

export interface BullmqCalls {
  /** What a queue writes when it is made. */
  readonly prelude: readonly Words[]
  /** Sources of the scripts, to be loaded, as byte strings. */
  readonly sources: readonly string[]
  /** Adds a job; it gets the next ID, from 1 on. */
  readonly addStandardJob: Words
  /** Takes the next job. */
  readonly moveToActive: Words
  /** Finishes a job that was taken and takes the next one. */
  moveToFinished(jobId: number): Words
}

/** A client that keeps what it sends. */
class Recorder extends Redis {
  readonly sent: Words[] = []

  override sendCommand(...call: Parameters<Redis['sendCommand']>): unknown {
    const { name, args } = call[0]
    this.sent.push([name, ...args.map(byteString)])
    return super.sendCommand(...call)
  }
}

/** Records the calls on the server at `port`, whose data are removed afterwards. */
export async function recordBullmqCalls(port: number): Promise<BullmqCalls> {
  const recorder = new Recorder({ host: '127.0.0.1', port, maxRetriesPerRequest: null })
  const queue = new Queue(QUEUE, { connection: recorder })
  await queue.waitUntilReady()
  for (let i = 0; i < RECORDED_JOBS; i++) await queue.add('job', JOB_DATA, JOB_OPTIONS)
  await new Promise<void>((resolve, reject) => {
    let done = 0
    const worker = new Worker(QUEUE, async (job) => job.data.number, { connection: recorder })
    worker.on('completed', () => {
      if (++done === RECORDED_JOBS) worker.close().then(resolve, reject)
    })
    worker.on('error', reject)
  })
  await queue.close()
  await recorder.flushall()
  const { sent } = recorder
  recorder.disconnect()

  const sources = [addStandardJob, moveToActive, moveToFinished].map((script) => script.content)
  const [add, take, finish] = sources.map((source) => firstCall(sent, sha1(source)))
  return {
    prelude: sent.filter(([name]) => name === 'hset'),
    sources: sources.map(byteString),
    addStandardJob: add!,
    moveToActive: take!,
    moveToFinished: (jobId) => finish!.with(JOB_KEY, `bull:${QUEUE}:${jobId}`).with(JOB_ID, `${jobId}`),
  }
}

function byteString(word: unknown): string {
  return Buffer.isBuffer(word) ? word.toString('latin1') : Buffer.from(String(word)).toString('latin1')
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

/** The first EVALSHA of a script. */
function firstCall(sent: readonly Words[], sha: string): Words {
  const call = sent.find(([name, digest]) => name === 'evalsha' && digest === sha)
  if (call === undefined) throw new Error('BullMQ did not call a script')
  return call
}
