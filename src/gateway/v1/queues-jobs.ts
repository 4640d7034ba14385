/** Jobs of a queue: add, list, get, change, logs, progress, results. */
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import {
  requireAncestorsWrite,
  requireChildrenWrite,
  requireOwnNext,
  requireQueueEvents,
  requireQueueRead,
  requireQueueWrite,
} from '../queues/access.ts'
import { type AnyJob, type JobJson, jobJson } from '../queues/job-json.ts'
import type { QueueId } from '../queues/names.ts'
import type { JobQueue } from '../queues/registry.ts'
import { waitForResult } from '../queues/results.ts'
import { LongPolls } from './long-polls.ts'
import { bullOptions, type NewJobBody, parentQueue, requireShallow } from './queues-options.ts'
import {
  addedJob,
  anything,
  count,
  done,
  duration,
  flag,
  JOBS_MAX,
  job,
  jobParams,
  members,
  newJob,
  type PrefixQuery,
  priority,
  query,
  queueParams,
  STATES,
  type State,
  text,
  WAIT_MS_MAX,
} from './queues-schemas.ts'
import {
  existingJob,
  type JobRequest,
  type JobRoute,
  type QueueRoute,
  queueIdOf,
  queueToChange,
  queueToRead,
  requireJobId,
  TAGS,
} from './queues-shared.ts'

const JOBS = '/queues/:queue/jobs'
const JOB = '/queues/:queue/jobs/:id'
const LOGS_MAX = 1000
/** Default wait for a result, in ms. */
const WAIT_MS = 0

export function queueJobRoutes(app: FastifyInstance, context: GatewayContext): void {
  addRoutes(app, context)
  readRoutes(app, context)
  resultRoute(app, context)
  moveRoutes(app, context)
  changeRoutes(app, context)
  logRoutes(app, context)
}

function addRoutes(app: FastifyInstance, context: GatewayContext): void {
  const addSchema = {
    tags: TAGS,
    summary: 'Add a job',
    description:
      'A job whose ID is there already, or that is a duplicate, is not added again: the answer names the one there is.',
    operationId: 'addJob',
    params: queueParams,
    querystring: query(),
    body: newJob,
    response: { 201: addedJob },
  }
  app.post<QueueRoute & { Body: NewJobBody }>(JOBS, { schema: addSchema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    const { prefix } = queueIdOf(context, request)
    const { name, data, opts = {} } = request.body
    await requireRelated(context, request, [request.body], queueIdOf(context, request))
    const options = bullOptions({ name, data, opts }, prefix)
    const added = await context.queues.run(() => queue.add(name, data ?? {}, options))
    return reply.code(201).send({ id: added.id, name, queue: queue.name })
  })

  const bulkSchema = {
    tags: TAGS,
    summary: 'Add many jobs',
    description: 'In order, but not all or nothing: each has its own outcome.',
    operationId: 'addJobs',
    params: queueParams,
    querystring: query(),
    body: members({ jobs: { type: 'array', minItems: 1, maxItems: JOBS_MAX, items: newJob } }, ['jobs']),
    response: {
      201: {
        type: 'object',
        properties: {
          jobs: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                id: { type: ['string', 'null'], description: 'null: it was not added.' },
                name: { type: 'string' },
                error: { type: ['string', 'null'] },
              },
            },
          },
        },
      },
    },
  }
  app.post<QueueRoute & { Body: { jobs: readonly NewJobBody[] } }>(
    '/queues/:queue/bulk',
    { schema: bulkSchema },
    async (request, reply) => {
      const queue = queueToChange(context, request)
      const { prefix } = queueIdOf(context, request)
      const { jobs } = request.body
      await requireRelated(context, request, jobs, queueIdOf(context, request))
      const wanted = jobs.map((body) => ({
        name: body.name,
        data: body.data ?? {},
        opts: bullOptions(body, prefix),
      }))
      const added = await context.queues.run(() => queue.addBulk(wanted))
      return reply.code(201).send({ jobs: added.map(outcome) })
    },
  )
}

/** BullMQ puts the number of an error in the place of the ID. */
function outcome({ id, name }: AnyJob): { id: string | null; name: string; error: string | null } {
  const isError = Number(id) < 0
  return { id: isError ? null : String(id), name, error: isError ? 'There is no such parent' : null }
}

/** A job with a parent changes the parent's queue, and a duplicate may make another job. */
async function requireRelated(
  context: GatewayContext,
  request: Parameters<typeof userOf>[0],
  jobs: readonly NewJobBody[],
  queue: QueueId,
): Promise<void> {
  const { engine } = context
  const user = userOf(request)
  for (const { opts = {} } of jobs) {
    const parent = parentQueue(opts, queue.prefix)
    if (parent !== null) requireQueueWrite(engine, user, parent)
    if (opts.parent !== undefined) requireJobId(opts.parent.id)
    if (opts.deduplication !== undefined) await requireOwnNext(engine, user, queue, opts.deduplication.id)
  }
}

function readRoutes(app: FastifyInstance, context: GatewayContext): void {
  const listSchema = {
    tags: TAGS,
    summary: 'List jobs by state',
    description: 'With several states, `offset` and `limit` count in each of them; their jobs follow each other.',
    operationId: 'listJobs',
    params: queueParams,
    querystring: query({
      state: {
        type: 'array',
        items: { enum: STATES },
        minItems: 1,
        maxItems: STATES.length,
        uniqueItems: true,
        default: ['waiting'],
      },
      offset: { ...count, default: 0 },
      limit: { type: 'integer', minimum: 1, maximum: JOBS_MAX, default: 20 },
      order: { enum: ['asc', 'desc'], default: 'asc', description: 'asc: the oldest first.' },
    }),
    response: {
      200: {
        type: 'object',
        properties: {
          jobs: { type: 'array', items: job },
          counts: { type: 'object', additionalProperties: { type: 'integer' }, description: 'Of these states.' },
        },
      },
    },
  }
  interface ListQuery extends PrefixQuery {
    readonly state: readonly State[]
    readonly offset: number
    readonly limit: number
    readonly order: 'asc' | 'desc'
  }
  app.get<QueueRoute & { Querystring: ListQuery }>(JOBS, { schema: listSchema }, async (request) => {
    const queue = queueToRead(context, request)
    const { state: states, offset, limit, order } = request.query
    const end = offset + limit - 1
    return context.queues.run(async () => {
      const counts = await queue.getJobCounts(...states)
      const jobs: JobJson[] = []
      for (const state of states) {
        const found = await queue.getJobs([state], offset, end, order === 'asc')
        for (const item of found) jobs.push(jobJson(item, state))
      }
      return { jobs, counts }
    })
  })

  const getSchema = {
    tags: TAGS,
    summary: 'Get a job',
    operationId: 'getJob',
    params: jobParams,
    querystring: query(),
    response: { 200: job },
  }
  app.get<JobRoute>(JOB, { schema: getSchema }, async (request) => {
    const queue = queueToRead(context, request)
    const found = await existingJob(context, queue, request.params.id)
    const state = await context.queues.run(() => found.getState())
    return jobJson(found, state)
  })

  const progressSchema = {
    tags: TAGS,
    summary: 'Get the progress of a job',
    operationId: 'getJobProgress',
    params: jobParams,
    querystring: query(),
    response: { 200: { type: 'object', properties: { progress: anything } } },
  }
  app.get<JobRoute>(`${JOB}/progress`, { schema: progressSchema }, async (request) => {
    const queue = queueToRead(context, request)
    const { progress } = await existingJob(context, queue, request.params.id)
    return { progress }
  })
}

function resultRoute(app: FastifyInstance, context: GatewayContext): void {
  const polls = new LongPolls(context)
  const schema = {
    tags: TAGS,
    summary: 'Get the result of a job, and wait for it',
    description: 'Answers when the job has completed, or failed for the last time, or when the time is over.',
    operationId: 'getJobResult',
    params: jobParams,
    querystring: query({
      blockMs: { type: 'integer', minimum: 0, maximum: WAIT_MS_MAX, default: WAIT_MS },
    }),
    response: {
      200: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          isFinished: { type: 'boolean', description: 'false: the time was over before.' },
          state: { type: 'string' },
          result: anything,
          failedReason: { type: ['string', 'null'] },
        },
      },
    },
  }
  app.get<JobRoute & { Querystring: PrefixQuery & { blockMs: number } }>(
    `${JOB}/result`,
    { schema },
    async (request, reply) => {
      const queue = queueIdOf(context, request)
      const { blockMs } = request.query
      const { engine, queues } = context
      if (blockMs > 0) requireQueueEvents(engine, userOf(request), queue)
      else requireQueueRead(engine, userOf(request), queue)
      requireJobId(request.params.id)
      return polls.run(reply, blockMs, (signal) =>
        waitForResult(engine, queues, queue, request.params.id, { blockMs, signal }),
      )
    },
  )
}

function moveRoutes(app: FastifyInstance, context: GatewayContext): void {
  const schema = { tags: TAGS, params: jobParams, querystring: query(), response: { 204: done } }
  const retrySchema = {
    ...schema,
    summary: 'Run a failed (or completed) job again',
    operationId: 'retryJob',
    body: members({
      state: { enum: ['failed', 'completed'], default: 'failed' },
      resetAttempts: { ...flag, default: false, description: 'It has all its attempts again.' },
    }),
  }
  app.post<JobRoute & { Body: { state: 'failed' | 'completed'; resetAttempts: boolean } }>(
    `${JOB}/retry`,
    { schema: retrySchema },
    async (request, reply) => {
      const queue = queueToChange(context, request)
      const { state, resetAttempts } = request.body
      await requireAncestors(context, request)
      const found = await existingJob(context, queue, request.params.id)
      const reset = { resetAttemptsMade: resetAttempts, resetAttemptsStarted: resetAttempts }
      await context.queues.run(() => found.retry(state, reset))
      return reply.code(204).send()
    },
  )

  const promoteSchema = { ...schema, summary: 'Make a delayed job ready now', operationId: 'promoteJob' }
  app.post<JobRoute>(`${JOB}/promote`, { schema: promoteSchema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    const found = await existingJob(context, queue, request.params.id)
    await context.queues.run(() => found.promote())
    return reply.code(204).send()
  })

  const removeSchema = {
    ...schema,
    summary: 'Remove a job, with its children',
    description:
      'A job that is being processed cannot be removed. One with children needs the permission to write every key.',
    operationId: 'removeJob',
  }
  app.delete<JobRoute>(JOB, { schema: removeSchema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    requireJobId(request.params.id)
    await requireAncestors(context, request)
    const { engine } = context
    await requireChildrenWrite(engine, userOf(request), queueIdOf(context, request), request.params.id)
    const found = await existingJob(context, queue, request.params.id)
    await context.queues.run(() => found.remove())
    return reply.code(204).send()
  })
}

function requireAncestors(context: GatewayContext, request: JobRequest): Promise<void> {
  requireJobId(request.params.id)
  return requireAncestorsWrite(context.engine, userOf(request), queueIdOf(context, request), request.params.id)
}

interface ChangeRoute<Body> {
  readonly path: string
  readonly summary: string
  readonly operationId: string
  readonly body: object
  change(queue: JobQueue, found: AnyJob, body: Body): Promise<unknown>
}

function changeRoutes(app: FastifyInstance, context: GatewayContext): void {
  changeRoute<{ delay: number }>(app, context, {
    path: '/delay',
    summary: 'Change when a delayed job is due: so long from now',
    operationId: 'changeJobDelay',
    body: members({ delay: duration }, ['delay']),
    change: (_queue, found, { delay }) => found.changeDelay(delay),
  })
  changeRoute<{ priority: number; lifo?: boolean }>(app, context, {
    path: '/priority',
    summary: 'Change the priority of a job that waits',
    operationId: 'changeJobPriority',
    body: members({ priority, lifo: flag }, ['priority']),
    change: (_queue, found, body) => found.changePriority(body),
  })
  changeRoute<{ data: unknown }>(app, context, {
    path: '/data',
    summary: 'Replace the data of a job',
    operationId: 'updateJobData',
    body: members({ data: anything }, ['data']),
    change: (_queue, found, { data }) => {
      requireShallow(data)
      return found.updateData(data)
    },
  })
  changeRoute<{ progress: string | boolean | number | object }>(app, context, {
    path: '/progress',
    summary: 'Set the progress of a job',
    operationId: 'setJobProgress',
    body: members(
      {
        progress: {
          anyOf: [{ type: 'number' }, { type: 'string' }, { type: 'boolean' }, { type: 'object' }, { type: 'array' }],
        },
      },
      ['progress'],
    ),
    change: (_queue, found, { progress }) => {
      requireShallow(progress)
      return found.updateProgress(progress)
    },
  })
}

/** A change of a job by PUT. */
function changeRoute<Body>(app: FastifyInstance, context: GatewayContext, route: ChangeRoute<Body>): void {
  const { path, summary, operationId, body, change } = route
  const schema = {
    tags: TAGS,
    summary,
    operationId,
    params: jobParams,
    querystring: query(),
    body,
    response: { 204: done },
  }
  app.put<JobRoute & { Body: Body }>(`${JOB}${path}`, { schema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    const found = await existingJob(context, queue, request.params.id)
    await context.queues.run(() => change(queue, found, request.body as Body))
    return reply.code(204).send()
  })
}

function logRoutes(app: FastifyInstance, context: GatewayContext): void {
  const schema = { tags: TAGS, params: jobParams }
  const getSchema = {
    ...schema,
    summary: 'Get the log of a job',
    operationId: 'getJobLogs',
    querystring: query({
      offset: { ...count, default: 0 },
      limit: { type: 'integer', minimum: 1, maximum: LOGS_MAX, default: 100 },
      order: { enum: ['asc', 'desc'], default: 'asc', description: 'asc: the oldest first.' },
    }),
    response: {
      200: {
        type: 'object',
        properties: { logs: { type: 'array', items: { type: 'string' } }, count: { type: 'integer' } },
      },
    },
  }
  interface LogsQuery extends PrefixQuery {
    readonly offset: number
    readonly limit: number
    readonly order: 'asc' | 'desc'
  }
  app.get<JobRoute & { Querystring: LogsQuery }>(`${JOB}/logs`, { schema: getSchema }, async (request) => {
    const queue = queueToRead(context, request)
    const { offset, limit, order } = request.query
    const { id } = request.params
    await existingJob(context, queue, id)
    return context.queues.run(() => queue.getJobLogs(id, offset, offset + limit - 1, order === 'asc'))
  })

  const addSchema = {
    ...schema,
    summary: 'Add a line to the log of a job',
    operationId: 'addJobLog',
    querystring: query(),
    body: members({ line: text }, ['line']),
    response: { 201: { type: 'object', properties: { count: { type: 'integer' } } } },
  }
  app.post<JobRoute & { Body: { line: string } }>(`${JOB}/logs`, { schema: addSchema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    const found = await existingJob(context, queue, request.params.id)
    return reply.code(201).send({ count: await context.queues.run(() => found.log(request.body.line)) })
  })

  const clearSchema = {
    ...schema,
    summary: 'Clear the log of a job',
    operationId: 'clearJobLogs',
    querystring: query({ keep: { ...count, default: 0, description: 'The latest lines that stay.' } }),
    response: { 204: done },
  }
  app.delete<JobRoute & { Querystring: PrefixQuery & { keep: number } }>(
    `${JOB}/logs`,
    { schema: clearSchema },
    async (request, reply) => {
      const queue = queueToChange(context, request)
      const found = await existingJob(context, queue, request.params.id)
      await context.queues.run(() => found.clearLogs(request.query.keep))
      return reply.code(204).send()
    },
  )
}
