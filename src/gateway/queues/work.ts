/**
 * Working without a Redis client: jobs are taken, finished and given back by requests, with the same scripts that a BullMQ
 * worker runs. Who takes a job holds its lock by a token, for the time that was agreed; after that the job counts as
 * stalled and is given to somebody else.
 *
 * Waiting goes by the marker of the queue, as in a worker: a sorted set whose member says that there are jobs (score 0), or
 * when a delayed one is due. Whoever pops it looks for a job, so one that was popped in vain is put back.
 * Source: BullMQ classes/worker.ts, moveToActive-11.lua, moveStalledJobsToWait-9.lua.
 */
import { randomUUID } from 'node:crypto'
import { Job, UnrecoverableError } from 'bullmq'
import type { Engine, ReplyValue } from '../engine.ts'
import { type AnyJob, type JobJson, jobJson } from './job-json.ts'
import { keyPrefix, type QueueId } from './names.ts'
import type { JobQueue, QueueRegistry } from './registry.ts'

/** A queue is looked at again after this time although its marker says nothing, in ms (as a worker's `drainDelay`). */
const LOOK_MS = 5000

export interface FetchOptions {
  /** How long to wait for a job, in ms; 0 looks once. */
  readonly blockMs: number
  /** How long the lock holds, in ms. */
  readonly lockMs: number
  /** Named in the job as the one who processes it; '' is nobody. */
  readonly workerName: string
  /** Ends the wait. */
  readonly signal: AbortSignal
  /** Asked before a job is failed whose turn has come only to fail. @throws CommandError NOPERM when it must not be */
  readonly mayFail: (jobId: string) => Promise<void>
}

export interface TakenJob {
  readonly lockToken: string
  /** When the lock ends unless it is extended, in ms since 1970. */
  readonly lockedUntil: number
  readonly job: JobJson
}

/** What a look at the queue brought: a job, or in how many ms there may be one. */
type Look = { readonly job: AnyJob } | { readonly job: null; readonly againMs: number; readonly isDelayed: boolean }

interface Marker {
  readonly member: string
  readonly score: string
}

/** Takes the next job of a queue, and waits for one; null when there was none in time. */
export async function fetchJob(
  engine: Engine,
  registry: QueueRegistry,
  id: QueueId,
  options: FetchOptions,
): Promise<TakenJob | null> {
  const { blockMs, lockMs, signal } = options
  const queue = registry.queue(id)
  const lockToken = randomUUID()
  const deadline = Date.now() + blockMs
  let marker: Marker | null = null
  try {
    for (;;) {
      const look = await registry.run(() => lookForJob(queue, lockToken, options))
      if (look.job !== null) {
        marker = null
        return await registry.run(() => hold(queue, look.job, { lockToken, lockMs, signal }))
      }
      // Of no use any more, unless it says when a delayed job is due.
      if (!look.isDelayed) marker = null
      const leftMs = deadline - Date.now()
      if (leftMs <= 0 || signal.aborted) return null
      marker = (await popMarker(engine, id, Math.min(leftMs, look.againMs), signal)) ?? marker
    }
  } finally {
    if (marker !== null) await putBack(engine, id, marker)
  }
}

async function lookForJob(queue: JobQueue, lockToken: string, options: FetchOptions): Promise<Look> {
  const backend = queue.getBackend()
  // Workers do this now and then; where there are none, it is for those who fetch. It does nothing between its times.
  await backend.moveStalledJobsToWait()
  for (;;) {
    const [json, id, limitedMs = 0, delayedUntil = 0] = await backend.moveToActive(lockToken, options.workerName)
    if (json === null || json === undefined) {
      if (limitedMs > 0) return { job: null, againMs: Math.min(limitedMs, LOOK_MS), isDelayed: true }
      if (delayedUntil <= 0) return { job: null, againMs: LOOK_MS, isDelayed: false }
      return { job: null, againMs: Math.min(Math.max(delayedUntil - Date.now(), 1), LOOK_MS), isDelayed: true }
    }
    const job: AnyJob = Job.fromJSON<unknown, unknown, string>(queue, json, id)
    job.token = lockToken
    await scheduleNext(queue, job)
    if (job.deferredFailure === undefined || job.deferredFailure === '') return { job }
    // It stalled too often, or a child of it failed: its turn has come only to fail.
    try {
      await options.mayFail(job.id ?? '')
    } catch (error) {
      await job.moveToWait(lockToken)
      throw error
    }
    await job.moveToFailed(new UnrecoverableError(job.deferredFailure), lockToken)
  }
}

/** A job of a scheduler is taken: the next one is made. */
async function scheduleNext(queue: JobQueue, job: AnyJob): Promise<void> {
  if (job.repeatJobKey === undefined) return
  const scheduler = await queue.jobScheduler
  if (!(await scheduler.isJobScheduler(job.repeatJobKey))) return
  const { repeat = {} } = job.opts as { readonly repeat?: object }
  const producer = { override: false, ...(job.id === undefined ? {} : { producerId: job.id }) }
  await scheduler.upsertJobScheduler(job.repeatJobKey, repeat, job.name, job.data, job.opts, producer)
}

/** Sets the lock's time; a job that nobody waits for any more goes back. */
async function hold(
  queue: JobQueue,
  job: AnyJob,
  lock: { readonly lockToken: string; readonly lockMs: number; readonly signal: AbortSignal },
): Promise<TakenJob | null> {
  const { lockToken, lockMs, signal } = lock
  if (signal.aborted) {
    await job.moveToWait(lockToken)
    return null
  }
  await queue.getBackend().extendLock(job.id ?? '', lockToken, lockMs)
  return { lockToken, lockedUntil: Date.now() + lockMs, job: jobJson(job, 'active') }
}

/** Waits for the marker; null when it did not come. */
async function popMarker(engine: Engine, id: QueueId, blockMs: number, signal: AbortSignal): Promise<Marker | null> {
  let reply: ReplyValue
  try {
    reply = await engine.call(engine.system, ['BZPOPMIN', markerKey(id), blockMs / 1000], { signal })
  } catch (error) {
    if (signal.aborted) return null
    throw error
  }
  if (!(reply instanceof Array)) return null
  const [, member, score] = reply
  return { member: String(member), score: String(score) }
}

async function putBack(engine: Engine, id: QueueId, { member, score }: Marker): Promise<void> {
  await engine.call(engine.system, ['ZADD', markerKey(id), score, member])
}

function markerKey(id: QueueId): string {
  return `${keyPrefix(id)}marker`
}
