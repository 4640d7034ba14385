/**
 * Results of jobs, and waiting for them.
 *
 * A job may be removed as soon as it has finished (`removeOnComplete`), before anybody asks. Its result is then found in
 * the latest events of the queue.
 */
import type { EventEmitter } from 'node:events'
import type { Engine } from '../engine.ts'
import { Problem } from '../problem.ts'
import { keyPrefix, type QueueId } from './names.ts'
import type { QueueRegistry } from './registry.ts'

/** A result is also looked for at this interval: events can be trimmed, or deleted by others. */
const POLL_MS = 5000
/** Events that are looked through for a job that is gone. */
const EVENTS_MAX = 1000

export interface JobResult {
  readonly id: string
  readonly isFinished: boolean
  /** `unknown` is a job between two states. */
  readonly state: string
  /** What the processor returned; null when the job is not completed. */
  readonly result: unknown
  /** Why it failed for the last time; null when it has not. */
  readonly failedReason: string | null
}

export interface WaitOptions {
  /** In ms. */
  readonly blockMs: number
  /** Ends the wait. */
  readonly signal: AbortSignal
}

/** @throws Problem 404 */
export async function readResult(
  engine: Engine,
  registry: QueueRegistry,
  queue: QueueId,
  id: string,
): Promise<JobResult> {
  const backend = registry.queue(queue).getBackend()
  const found = await registry.run(async () => {
    // With the second argument it answers a pair.
    const [status, value] = (await backend.isFinished(id, true)) as [number, string | null]
    if (status < 0) return null
    if (status === 1) return completed(id, value === null ? null : JSON.parse(value))
    if (status === 2) return failed(id, value)
    return { id, isFinished: false, state: await backend.getState(id), result: null, failedReason: null }
  })
  return found ?? registry.run(() => resultInEvents(engine, queue, id))
}

/** @throws Problem 404 */
async function resultInEvents(engine: Engine, queue: QueueId, id: string): Promise<JobResult> {
  const events = `${keyPrefix(queue)}events`
  const reply = await engine.call(engine.system, ['XREVRANGE', events, '+', '-', 'COUNT', EVENTS_MAX])
  for (const entry of reply instanceof Array ? reply : []) {
    const fields = entry instanceof Array && entry[1] instanceof Array ? entry[1].map(String) : []
    const field = (name: string): string | null => {
      const at = fields.findIndex((text, i) => i % 2 === 0 && text === name)
      return at < 0 ? null : (fields[at + 1] ?? null)
    }
    if (field('jobId') !== id) continue
    const event = field('event')
    if (event === 'removed') break
    if (event === 'completed') return completed(id, JSON.parse(field('returnvalue') ?? 'null'))
    if (event === 'failed') return failed(id, field('failedReason'))
  }
  throw noSuchJob(id)
}

/**
 * Waits until a job has completed or failed for good; when the time is over, says how it stands.
 *
 * @throws Problem 404 when there is no such job, also when it was removed meanwhile
 */
export async function waitForResult(
  engine: Engine,
  registry: QueueRegistry,
  queue: QueueId,
  id: string,
  { blockMs, signal }: WaitOptions,
): Promise<JobResult> {
  const read = (): Promise<JobResult> => readResult(engine, registry, queue, id)
  const found = await read()
  if (found.isFinished || blockMs === 0 || signal.aborted) return found
  return registry.withEvents(queue, async (events) => {
    return (await finished(events, id, read, { blockMs, signal })) ?? read()
  })
}

/** The result as the events tell it; null when the wait ends before. */
function finished(
  events: EventEmitter,
  id: string,
  read: () => Promise<JobResult>,
  { blockMs, signal }: WaitOptions,
): Promise<JobResult | null> {
  const { promise, resolve, reject } = Promise.withResolvers<JobResult | null>()
  const onCompleted = ({ returnvalue }: { returnvalue: unknown }): void => resolve(completed(id, returnvalue))
  const onFailed = ({ failedReason }: { failedReason: string }): void => resolve(failed(id, failedReason))
  const onRemoved = (): void => reject(noSuchJob(id))
  const onEnd = (): void => resolve(null)
  const look = (): void => {
    read().then((result) => {
      if (result.isFinished) resolve(result)
    }, reject)
  }
  events.on(`completed:${id}`, onCompleted)
  events.on(`failed:${id}`, onFailed)
  events.on(`removed:${id}`, onRemoved)
  signal.addEventListener('abort', onEnd)
  const timeout = setTimeout(onEnd, blockMs)
  const poll = setInterval(look, POLL_MS)
  // What happened before the listeners were there is seen now.
  look()
  return promise.finally(() => {
    clearTimeout(timeout)
    clearInterval(poll)
    signal.removeEventListener('abort', onEnd)
    events.off(`completed:${id}`, onCompleted)
    events.off(`failed:${id}`, onFailed)
    events.off(`removed:${id}`, onRemoved)
  })
}

function completed(id: string, result: unknown): JobResult {
  return { id, isFinished: true, state: 'completed', result: result ?? null, failedReason: null }
}

function failed(id: string, failedReason: string | null): JobResult {
  return { id, isFinished: true, state: 'failed', result: null, failedReason }
}

export function noSuchJob(id: string): Problem {
  return new Problem(404, `There is no job ${id}`)
}
