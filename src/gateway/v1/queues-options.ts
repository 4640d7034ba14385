/** Options of jobs in requests: the rules that a schema cannot say, and their form in BullMQ. */
import type { JobsOptions, KeepJobs } from 'bullmq'
import { Problem } from '../problem.ts'
import { type QueueId, qualifiedName, requireNewJobId } from '../queues/names.ts'

/** Data may be nested this deep: it is written and read by functions that call themselves. */
const DATA_DEPTH_MAX = 500
/** At most one of them says what happens to the parent. */
const PARENT_RULES = [
  'failParentOnFailure',
  'continueParentOnFailure',
  'ignoreDependencyOnFailure',
  'removeDependencyOnFailure',
] as const

export interface TemplateOptionsBody {
  readonly timestamp?: number
  readonly priority?: number
  readonly attempts?: number
  readonly backoff?:
    | number
    | { readonly type: 'fixed' | 'exponential'; readonly delay?: number; readonly jitter?: number }
  readonly lifo?: boolean
  readonly removeOnComplete?: boolean | number | KeepJobs
  readonly removeOnFail?: boolean | number | KeepJobs
  readonly keepLogs?: number
  readonly stackTraceLimit?: number
  readonly sizeLimit?: number
  readonly failParentOnFailure?: boolean
  readonly continueParentOnFailure?: boolean
  readonly ignoreDependencyOnFailure?: boolean
  readonly removeDependencyOnFailure?: boolean
  readonly telemetry?: { readonly metadata?: string; readonly omitContext?: boolean }
}

export interface JobOptionsBody extends TemplateOptionsBody {
  readonly delay?: number
  readonly jobId?: string
  readonly parent?: { readonly id: string; readonly queue: string }
  readonly deduplication?: {
    readonly id: string
    readonly ttl?: number
    readonly extend?: boolean
    readonly replace?: boolean
    readonly reschedule?: boolean
    readonly keepLastIfActive?: boolean
  }
}

export interface NewJobBody {
  readonly name: string
  readonly data?: unknown
  readonly opts?: JobOptionsBody
}

/** The queue of a job's parent; null when it has none. */
export function parentQueue(opts: JobOptionsBody, prefix: string): QueueId | null {
  return opts.parent === undefined ? null : { prefix, name: opts.parent.queue }
}

/** Checks a new job and gives its options the form of BullMQ. @throws Problem 400 or 413 */
export function bullOptions({ data, opts = {} }: NewJobBody, prefix: string): JobsOptions {
  checkTemplate(data, opts)
  if (opts.jobId !== undefined) requireNewJobId(opts.jobId)
  if (opts.parent !== undefined && opts.deduplication !== undefined) {
    throw new Problem(400, 'A job with a parent cannot have deduplication')
  }
  const { parent, ...rest } = opts
  if (parent === undefined) return rest
  return { ...rest, parent: { id: parent.id, queue: qualifiedName({ prefix, name: parent.queue }) } }
}

/** Checks data and those options that jobs of schedulers have, too. @throws Problem 400 or 413 */
export function checkTemplate(data: unknown, opts: TemplateOptionsBody): void {
  requireShallow(data)
  const rules = PARENT_RULES.filter((rule) => opts[rule] === true)
  if (rules.length > 1) throw new Problem(400, `These options exclude each other: ${rules.join(', ')}`)
  const { sizeLimit = 0 } = opts
  if (sizeLimit > 0 && Buffer.byteLength(JSON.stringify(data ?? {})) > sizeLimit) {
    throw new Problem(413, `The data of the job are larger than its sizeLimit of ${sizeLimit} bytes`)
  }
}

/** @throws Problem 400 for a value that is nested too deep to be written as JSON */
export function requireShallow(value: unknown): void {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DATA_DEPTH_MAX) throw new Problem(400, `Values may be nested ${DATA_DEPTH_MAX} deep`)
    const next: unknown[] = []
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue
      for (const child of Object.values(item)) if (typeof child === 'object' && child !== null) next.push(child)
    }
    level = next
  }
}
