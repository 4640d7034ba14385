/**
 * Names of queues, prefixes and IDs of jobs, as the keys of BullMQ allow them: `<prefix>:<queue>:<what>`, where `<what>` is
 * the ID of a job or one of the fixed names of BullMQ. An ID that is a fixed name would be taken for that key.
 * Source: BullMQ classes/queue-keys.ts, Job.validateOptions.
 */
import { Problem } from '../problem.ts'

/** Chars. */
export const NAME_LENGTH_MAX = 256
export const PREFIX_LENGTH_MAX = 128
export const JOB_ID_LENGTH_MAX = 512

/** JSON Schema patterns: no control characters; no colon in names. */
export const NAME_PATTERN = '^[^:\\u0000-\\u001f\\u007f]+$'
export const PREFIX_PATTERN = '^[^\\u0000-\\u001f\\u007f]*[^:\\u0000-\\u001f\\u007f]$'
export const JOB_ID_PATTERN = '^[^\\u0000-\\u001f\\u007f]+$'

/** A queue: where its keys are. */
export interface QueueId {
  readonly prefix: string
  readonly name: string
}

/** Names under `<prefix>:<queue>:` that are no jobs. */
const RESERVED_IDS: ReadonlySet<string> = new Set([
  'active',
  'completed',
  'de',
  'delayed',
  'events',
  'failed',
  'id',
  'limiter',
  'marker',
  'meta',
  'metrics',
  'paused',
  'pc',
  'prioritized',
  'priority',
  'repeat',
  'stalled',
  'stalled-check',
  'wait',
  'waiting-children',
])
/** Jobs of schedulers are named by BullMQ: `repeat:<scheduler>:<ms>`. */
const SCHEDULED_ID = /^repeat:[^:]+:\d+$/
const INTEGER = /^(?:0|-?[1-9]\d*)$/

/** What all keys of a queue begin with. */
export function keyPrefix({ prefix, name }: QueueId): string {
  return `${prefix}:${name}:`
}

/** How BullMQ names a queue in a job's parent. */
export function qualifiedName({ prefix, name }: QueueId): string {
  return `${prefix}:${name}`
}

/** Splits the key of a job, whose prefix may have colons; null when it is none. */
export function parseJobKey(key: string): { readonly queue: QueueId; readonly jobId: string } | null {
  const scheduled = key.search(/:repeat:[^:]+:\d+$/)
  const last = scheduled >= 0 ? scheduled : key.lastIndexOf(':')
  const middle = key.lastIndexOf(':', last - 1)
  if (last <= 0 || middle <= 0) return null
  return { queue: { prefix: key.slice(0, middle), name: key.slice(middle + 1, last) }, jobId: key.slice(last + 1) }
}

/** Whether a text can be the ID of a job that exists. */
export function isJobId(id: string): boolean {
  if (SCHEDULED_ID.test(id)) return true
  return !id.includes(':') && !RESERVED_IDS.has(id)
}

/** @throws Problem 400 when an ID cannot be given to a new job */
export function requireNewJobId(id: string): void {
  if (INTEGER.test(id)) throw new Problem(400, 'jobId cannot be an integer: those are given by the queue')
  if (id.includes(':')) throw new Problem(400, 'jobId cannot contain a colon')
  if (RESERVED_IDS.has(id)) throw new Problem(400, `jobId cannot be ${id}: that is a key of the queue`)
}

/** A text as it is to stand in a glob pattern. */
export function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\^]/g, '\\$&')
}
