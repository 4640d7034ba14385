/** JSON Schemas that the routes of queues share, and what they mean as types. */
import {
  JOB_ID_LENGTH_MAX,
  JOB_ID_PATTERN,
  NAME_LENGTH_MAX,
  NAME_PATTERN,
  PREFIX_LENGTH_MAX,
  PREFIX_PATTERN,
} from '../queues/names.ts'

/** A hundred years, in ms. */
export const DURATION_MS_MAX = 3_153_600_000_000
/** Latest time that a Date can be, in ms. */
export const TIME_MS_MAX = 8_640_000_000_000_000
/** Longest wait of one request, in ms. */
export const WAIT_MS_MAX = 60_000
/** Jobs of one page, of one request that adds, of one flow. */
export const JOBS_MAX = 1000
const TEXT_LENGTH_MAX = 65_536
const JOB_NAME_LENGTH_MAX = 1024
const PRIORITY_MAX = 2_097_151
const COUNT_MAX = 2_147_483_647

export const STATES = [
  'waiting',
  'active',
  'completed',
  'failed',
  'delayed',
  'prioritized',
  'waiting-children',
] as const
export type State = (typeof STATES)[number]

export interface QueueParams {
  readonly queue: string
}

export interface JobParams extends QueueParams {
  readonly id: string
}

export interface PrefixQuery {
  readonly prefix?: string
}

const queueName = { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX, pattern: NAME_PATTERN } as const
export const jobId = { type: 'string', minLength: 1, maxLength: JOB_ID_LENGTH_MAX, pattern: JOB_ID_PATTERN } as const
export const jobName = { type: 'string', minLength: 1, maxLength: JOB_NAME_LENGTH_MAX } as const
export const text = { type: 'string', maxLength: TEXT_LENGTH_MAX } as const
export const time = { type: 'integer', minimum: 0, maximum: TIME_MS_MAX } as const
export const duration = { type: 'integer', minimum: 0, maximum: DURATION_MS_MAX } as const
export const count = { type: 'integer', minimum: 0, maximum: COUNT_MAX } as const
export const priority = { type: 'integer', minimum: 0, maximum: PRIORITY_MAX } as const
export const flag = { type: 'boolean' } as const
/** Any JSON value. */
export const anything = {} as const

export const queueParams = { type: 'object', required: ['queue'], properties: { queue: queueName } } as const

export const jobParams = {
  type: 'object',
  required: ['queue', 'id'],
  properties: { queue: queueName, id: jobId },
} as const

/** Query parameters of a route: its own, and those that all have. */
export function query(properties: Readonly<Record<string, object>> = {}): object {
  const prefix = {
    type: 'string',
    minLength: 1,
    maxLength: PREFIX_LENGTH_MAX,
    pattern: PREFIX_PATTERN,
    description: 'Prefix of the keys. Default: bull; in a cluster {bull}.',
  }
  const token = { type: 'string', description: 'Token, for clients that cannot send headers.' }
  return { type: 'object', additionalProperties: false, properties: { ...properties, prefix, _token: token } }
}

/** A body, or a part of one, with these members and no others. */
export function members(properties: Readonly<Record<string, object>>, required: readonly string[] = []): object {
  return { type: 'object', additionalProperties: false, required, properties }
}

const keepJobs = {
  anyOf: [
    flag,
    count,
    members({ age: count, count, limit: { type: 'integer', minimum: 1, maximum: COUNT_MAX } }, ['age']),
    members({ count }, ['count']),
  ],
}

/** Options of jobs that a scheduler makes, and of all others. */
export const templateOptions = {
  timestamp: time,
  priority,
  attempts: { type: 'integer', minimum: 0, maximum: 1_000_000 },
  backoff: {
    anyOf: [
      duration,
      members(
        {
          type: { enum: ['fixed', 'exponential'] },
          delay: duration,
          jitter: { type: 'number', minimum: 0, maximum: 1 },
        },
        ['type'],
      ),
    ],
  },
  lifo: flag,
  removeOnComplete: keepJobs,
  removeOnFail: keepJobs,
  keepLogs: count,
  stackTraceLimit: count,
  sizeLimit: count,
  failParentOnFailure: flag,
  continueParentOnFailure: flag,
  ignoreDependencyOnFailure: flag,
  removeDependencyOnFailure: flag,
  telemetry: members({ metadata: text, omitContext: flag }),
} as const

const deduplicationMembers = { id: jobId, ttl: duration, extend: flag, reschedule: flag, keepLastIfActive: flag }

const commonOptions = { ...templateOptions, delay: duration, jobId }

/** Options of a job in a flow: its place in the tree says what its parent is. */
export const flowOptions = members({ ...commonOptions, deduplication: members(deduplicationMembers, ['id']) })

const parent = members({ id: jobId, queue: { ...queueName, description: 'Name of a queue with the same prefix.' } }, [
  'id',
  'queue',
])

/** Options of a job. */
export const jobOptions = members({
  ...commonOptions,
  parent,
  deduplication: members({ ...deduplicationMembers, replace: flag }, ['id']),
})

export const flowRootOptions = members({
  ...commonOptions,
  parent,
  deduplication: members(deduplicationMembers, ['id']),
})

/** A job to be added. */
export const newJob = members({ name: jobName, data: anything, opts: jobOptions }, ['name'])

const nullableText = { type: ['string', 'null'] } as const
const nullableTime = { type: ['integer', 'null'] } as const

/** A job as it is shown (queues/job-json.ts). */
export const job = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    name: { type: 'string' },
    state: { type: 'string' },
    data: anything,
    opts: anything,
    progress: anything,
    result: anything,
    failedReason: nullableText,
    stacktrace: { type: 'array', items: { type: 'string' } },
    attemptsMade: { type: 'integer' },
    attemptsStarted: { type: 'integer' },
    stalledCounter: { type: 'integer' },
    priority: { type: 'integer' },
    delay: { type: 'integer' },
    timestamp: { type: 'integer' },
    processedOn: nullableTime,
    finishedOn: nullableTime,
    processedBy: nullableText,
    parentKey: nullableText,
    schedulerId: nullableText,
    deduplicationId: nullableText,
  },
} as const

export const addedJob = {
  type: 'object',
  properties: { id: { type: 'string' }, name: { type: 'string' }, queue: { type: 'string' } },
} as const

export const done = { type: 'null', description: 'Done.' } as const
