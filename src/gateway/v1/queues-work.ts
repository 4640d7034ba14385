/** Working over HTTP, without a Redis client: take a job, finish it, or give it back (queues/work.ts). */
import { UnrecoverableError } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { Problem } from '../problem.ts'
import { requireAncestorsWrite, requireQueueWork } from '../queues/access.ts'
import type { AnyJob } from '../queues/job-json.ts'
import type { JobQueue } from '../queues/registry.ts'
import { fetchJob } from '../queues/work.ts'
import { LongPolls } from './long-polls.ts'
import { requireShallow } from './queues-options.ts'
import {
  anything,
  done,
  duration,
  flag,
  job,
  jobParams,
  members,
  query,
  queueParams,
  text,
  WAIT_MS_MAX,
} from './queues-schemas.ts'
import {
  existingJob,
  type JobRequest,
  type JobRoute,
  type QueueRoute,
  queueIdOf,
  requireJobId,
  TAGS,
} from './queues-shared.ts'

const JOB = '/queues/:queue/jobs/:id'
/** Times that a lock may hold, in ms. */
const LOCK_MS = { type: 'integer', minimum: 1000, maximum: 3_600_000 } as const
const LOCK_MS_DEFAULT = 30_000
const STACK_LENGTH_MAX = 16_384
const lockToken = { type: 'string', minLength: 1, maxLength: 128 } as const

export function queueWorkRoutes(app: FastifyInstance, context: GatewayContext): void {
  fetchRoute(app, context)
  finishRoutes(app, context)
  lockRoutes(app, context)
}

function fetchRoute(app: FastifyInstance, context: GatewayContext): void {
  const polls = new LongPolls(context)
  const schema = {
    tags: TAGS,
    summary: 'Take the next job to process, and wait for one',
    description:
      '204 when there was none in time. Finish the job with its `lockToken` before the lock ends, or extend it.',
    operationId: 'fetchJob',
    params: queueParams,
    querystring: query(),
    body: members({
      blockMs: { type: 'integer', minimum: 0, maximum: WAIT_MS_MAX, default: 0 },
      lockMs: { ...LOCK_MS, default: LOCK_MS_DEFAULT },
      workerName: { type: 'string', maxLength: 128, default: '' },
    }),
    response: {
      200: {
        type: 'object',
        properties: { lockToken: { type: 'string' }, lockedUntil: { type: 'integer' }, job },
      },
      204: done,
    },
  }
  app.post<QueueRoute & { Body: { blockMs: number; lockMs: number; workerName: string } }>(
    '/queues/:queue/fetch',
    { schema },
    async (request, reply) => {
      const { engine, queues } = context
      const id = queueIdOf(context, request)
      const user = userOf(request)
      requireQueueWork(engine, user, id)
      const mayFail = (jobId: string): Promise<void> => requireAncestorsWrite(engine, user, id, jobId)
      const taken = await polls.run(reply, request.body.blockMs, (signal) =>
        fetchJob(engine, queues, id, { ...request.body, signal, mayFail }),
      )
      return taken === null ? reply.code(204).send() : taken
    },
  )
}

interface FailBody {
  readonly lockToken: string
  readonly reason: string
  readonly stack: string
  readonly isFinal: boolean
}

function finishRoutes(app: FastifyInstance, context: GatewayContext): void {
  const schema = { tags: TAGS, params: jobParams, querystring: query(), response: { 204: done } }
  const completeSchema = {
    ...schema,
    summary: 'Complete a job with its result',
    operationId: 'completeJob',
    body: members({ lockToken, result: anything }, ['lockToken']),
  }
  app.post<JobRoute & { Body: { lockToken: string; result?: unknown } }>(
    `${JOB}/complete`,
    { schema: completeSchema },
    async (request, reply) => {
      const { result = null, lockToken: token } = request.body
      requireShallow(result)
      const { found } = await takenJob(context, request)
      await context.queues.run(() => found.moveToCompleted(result, token, FETCH_NEXT))
      return reply.code(204).send()
    },
  )

  const failSchema = {
    ...schema,
    summary: 'Fail a job: it is tried again as its options say',
    operationId: 'failJob',
    body: members(
      {
        lockToken,
        reason: text,
        stack: { type: 'string', maxLength: STACK_LENGTH_MAX, default: '' },
        isFinal: { ...flag, default: false, description: 'It is not tried again.' },
      },
      ['lockToken', 'reason'],
    ),
  }
  app.post<JobRoute & { Body: FailBody }>(`${JOB}/fail`, { schema: failSchema }, async (request, reply) => {
    const { lockToken: token, reason, stack, isFinal } = request.body
    const { found } = await takenJob(context, request)
    const error = isFinal ? new UnrecoverableError(reason) : new Error(reason)
    // Where it was thrown is the worker's affair, not ours.
    error.stack = stack === '' ? `Error: ${reason}` : stack
    await context.queues.run(() => found.moveToFailed(error, token, FETCH_NEXT))
    return reply.code(204).send()
  })
}

/** The next job is asked for by a request of its own. */
const FETCH_NEXT = false

function lockRoutes(app: FastifyInstance, context: GatewayContext): void {
  const schema = { tags: TAGS, params: jobParams, querystring: query() }
  const extendSchema = {
    ...schema,
    summary: 'Extend the lock of a job',
    operationId: 'extendJobLock',
    body: members({ lockToken, lockMs: { ...LOCK_MS, default: LOCK_MS_DEFAULT } }, ['lockToken']),
    response: { 200: { type: 'object', properties: { lockedUntil: { type: 'integer' } } } },
  }
  app.post<JobRoute & { Body: { lockToken: string; lockMs: number } }>(
    `${JOB}/extend-lock`,
    { schema: extendSchema },
    async (request) => {
      const { lockToken: token, lockMs } = request.body
      const { found } = await takenJob(context, request)
      const lockedUntil = Date.now() + lockMs
      const extended = await context.queues.run(() => found.extendLock(token, lockMs))
      if (extended !== 1) throw new Problem(409, `Job ${request.params.id} is not locked by this token`)
      return { lockedUntil }
    },
  )

  const releaseSchema = {
    ...schema,
    summary: 'Give a job back: it waits again, or is delayed',
    description: 'This counts as no attempt.',
    operationId: 'releaseJob',
    body: members({ lockToken, delayMs: { ...duration, default: 0 } }, ['lockToken']),
    response: { 204: done },
  }
  app.post<JobRoute & { Body: { lockToken: string; delayMs: number } }>(
    `${JOB}/release`,
    { schema: releaseSchema },
    async (request, reply) => {
      const { lockToken: token, delayMs } = request.body
      const { found } = await takenJob(context, request)
      await context.queues.run<unknown>(() =>
        delayMs > 0 ? found.moveToDelayed(Date.now() + delayMs, token) : found.moveToWait(token),
      )
      return reply.code(204).send()
    },
  )
}

/** The job of a request that works on it; what becomes of it reaches its parents. @throws CommandError NOPERM; Problem 404 */
async function takenJob(
  context: GatewayContext,
  request: JobRequest,
): Promise<{ readonly queue: JobQueue; readonly found: AnyJob }> {
  const id = queueIdOf(context, request)
  const user = userOf(request)
  requireQueueWork(context.engine, user, id)
  requireJobId(request.params.id)
  await requireAncestorsWrite(context.engine, user, id, request.params.id)
  const queue = context.queues.queue(id)
  return { queue, found: await existingJob(context, queue, request.params.id) }
}
