/** Jobs as the gateway shows them: all fields are always there, absent ones are null. */
import type { Job } from 'bullmq'

export type AnyJob = Job<unknown, unknown, string>

export interface JobJson {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly data: unknown
  readonly opts: unknown
  readonly progress: unknown
  readonly result: unknown
  readonly failedReason: string | null
  readonly stacktrace: readonly string[]
  readonly attemptsMade: number
  readonly attemptsStarted: number
  readonly stalledCounter: number
  readonly priority: number
  /** In ms. */
  readonly delay: number
  /** Times are in ms since 1970. */
  readonly timestamp: number
  readonly processedOn: number | null
  readonly finishedOn: number | null
  readonly processedBy: string | null
  readonly parentKey: string | null
  readonly schedulerId: string | null
  readonly deduplicationId: string | null
}

export function jobJson(job: AnyJob, state: string): JobJson {
  return {
    id: job.id ?? '',
    name: job.name,
    state,
    data: job.data ?? null,
    opts: job.opts,
    progress: job.progress,
    result: job.returnvalue ?? null,
    failedReason: job.failedReason ?? null,
    stacktrace: job.stacktrace ?? [],
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    priority: numberOr(job.priority, 0),
    delay: numberOr(job.delay, 0),
    timestamp: numberOr(job.timestamp, 0),
    processedOn: job.processedOn ?? null,
    finishedOn: job.finishedOn ?? null,
    processedBy: job.processedBy ?? null,
    parentKey: job.parentKey ?? null,
    schedulerId: job.repeatJobKey ?? null,
    deduplicationId: job.deduplicationId ?? null,
  }
}

/** Fields that are missing in the data are NaN in BullMQ. */
function numberOr(value: number | undefined, absent: number): number {
  return value === undefined || Number.isNaN(value) ? absent : value
}
