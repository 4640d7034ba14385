/** Job schedulers: jobs that come again and again, at an interval or by a cron pattern. */
import type { JobSchedulerJson } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { Problem } from '../problem.ts'
import { jobJson } from '../queues/job-json.ts'
import { checkTemplate, type TemplateOptionsBody } from './queues-options.ts'
import {
  anything,
  count,
  done,
  duration,
  flag,
  JOBS_MAX,
  job,
  jobName,
  members,
  type PrefixQuery,
  type QueueParams,
  query,
  queueParams,
  templateOptions,
  time,
} from './queues-schemas.ts'
import { type QueueRoute, queueToChange, queueToRead, TAGS } from './queues-shared.ts'

const SCHEDULERS = '/queues/:queue/schedulers'
const SCHEDULER = '/queues/:queue/schedulers/:id'

interface SchedulerRoute {
  Params: QueueParams & { readonly id: string }
  Querystring: PrefixQuery
}

interface SchedulerBody {
  readonly every?: number
  readonly pattern?: string
  readonly tz?: string
  readonly startDate?: number
  readonly endDate?: number
  readonly limit?: number
  readonly offset?: number
  readonly immediately?: boolean
  readonly name?: string
  readonly data?: unknown
  readonly opts?: TemplateOptionsBody
}

const params = {
  ...queueParams,
  required: ['queue', 'id'],
  // Its jobs are named after it, with colons before and behind.
  properties: { ...queueParams.properties, id: queueParams.properties.queue },
}

const scheduler = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    name: { type: ['string', 'null'] },
    every: { type: ['integer', 'null'] },
    pattern: { type: ['string', 'null'] },
    tz: { type: ['string', 'null'] },
    startDate: { type: ['integer', 'null'] },
    endDate: { type: ['integer', 'null'] },
    limit: { type: ['integer', 'null'] },
    offset: { type: ['integer', 'null'] },
    iterationCount: { type: 'integer' },
    next: { type: ['integer', 'null'], description: 'When the next job is due, in ms.' },
    data: anything,
    opts: anything,
  },
}

export function queueSchedulerRoutes(app: FastifyInstance, context: GatewayContext): void {
  upsertRoute(app, context)
  readRoutes(app, context)
  const schema = { tags: TAGS, params, querystring: query(), response: { 204: done } }
  const removeSchema = { ...schema, summary: 'Remove a scheduler and its next job', operationId: 'removeScheduler' }
  app.delete<SchedulerRoute>(SCHEDULER, { schema: removeSchema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    const { id } = request.params
    if (!(await context.queues.run(() => queue.removeJobScheduler(id)))) throw noSuchScheduler(id)
    return reply.code(204).send()
  })
}

function upsertRoute(app: FastifyInstance, context: GatewayContext): void {
  const schema = {
    tags: TAGS,
    summary: 'Create or replace a scheduler',
    description: 'Either `every` or `pattern` (five or six fields of cron) says when. The answer is the next job.',
    operationId: 'putScheduler',
    params,
    querystring: query(),
    body: members({
      every: { ...duration, minimum: 1, description: 'In ms.' },
      pattern: { type: 'string', minLength: 1, maxLength: 256 },
      tz: { type: 'string', minLength: 1, maxLength: 64, description: 'Time zone of the pattern, by its IANA name.' },
      startDate: time,
      endDate: time,
      limit: { ...count, minimum: 1, description: 'Jobs in all.' },
      offset: duration,
      immediately: { ...flag, description: 'With a pattern: the first job comes now.' },
      name: jobName,
      data: anything,
      opts: members(templateOptions),
    }),
    response: { 200: job },
  }
  app.put<SchedulerRoute & { Body: SchedulerBody }>(SCHEDULER, { schema }, async (request) => {
    const queue = queueToChange(context, request)
    const { name, data, opts = {}, ...repeat } = request.body
    checkRepeat(repeat)
    checkTemplate(data, opts)
    const template = { name: name ?? request.params.id, data: data ?? {}, opts }
    const next = await context.queues
      .run(() => queue.upsertJobScheduler(request.params.id, repeat, template))
      .catch((error: unknown) => {
        throw schedulerProblem(error)
      })
    // BullMQ answers nothing when there is no time left for a job.
    if (next === undefined || next === null) throw new Problem(422, 'The scheduler would never make a job')
    return jobJson(next, next.delay > 0 ? 'delayed' : 'waiting')
  })
}

/** @throws Problem 400 */
function checkRepeat({ every, pattern, immediately, startDate, endDate, offset, tz }: SchedulerBody): void {
  if ((every === undefined) === (pattern === undefined)) throw new Problem(400, 'Give either every or pattern')
  if (every !== undefined && immediately !== undefined) {
    throw new Problem(400, 'immediately is for patterns: the first job of an interval comes at once')
  }
  if (pattern !== undefined && offset !== undefined) throw new Problem(400, 'offset is for intervals')
  if (pattern === undefined && tz !== undefined) throw new Problem(400, 'tz is for patterns')
  if (immediately === true && startDate !== undefined) {
    throw new Problem(400, 'immediately and startDate exclude each other')
  }
  if (endDate !== undefined && endDate <= Date.now()) throw new Problem(400, 'endDate is over')
}

/** What reads the pattern and the time zone throws plain errors that say what is wrong with them. */
function schedulerProblem(error: unknown): unknown {
  if (!(error instanceof Error) || (error.name !== 'Error' && error.name !== 'RangeError')) return error
  return new Problem(400, `Cannot read the schedule: ${error.message}`)
}

function readRoutes(app: FastifyInstance, context: GatewayContext): void {
  const listSchema = {
    tags: TAGS,
    summary: 'List the schedulers, those first that are due first',
    operationId: 'listSchedulers',
    params: queueParams,
    querystring: query({
      offset: { ...count, default: 0 },
      limit: { type: 'integer', minimum: 1, maximum: JOBS_MAX, default: 20 },
    }),
    response: {
      200: {
        type: 'object',
        properties: { schedulers: { type: 'array', items: scheduler }, count: { type: 'integer' } },
      },
    },
  }
  app.get<QueueRoute & { Querystring: PrefixQuery & { offset: number; limit: number } }>(
    SCHEDULERS,
    { schema: listSchema },
    async (request) => {
      const queue = queueToRead(context, request)
      const { offset, limit } = request.query
      return context.queues.run(async () => {
        // Not getJobSchedulers, which removes schedulers it finds broken: this only reads.
        const backend = queue.getBackend()
        const range = await backend.getJobSchedulersRange(offset, offset + limit - 1, SOONEST_FIRST)
        const ids = range.filter((_, i) => i % 2 === 0)
        const found = await Promise.all(ids.map((id) => queue.getJobScheduler(id)))
        const schedulers = found.filter((item) => item !== undefined).map(schedulerJson)
        return { schedulers, count: await queue.getJobSchedulersCount() }
      })
    },
  )

  const getSchema = {
    tags: TAGS,
    summary: 'Get a scheduler',
    operationId: 'getScheduler',
    params,
    querystring: query(),
    response: { 200: scheduler },
  }
  app.get<SchedulerRoute>(SCHEDULER, { schema: getSchema }, async (request) => {
    const queue = queueToRead(context, request)
    const { id } = request.params
    const found = await context.queues.run(() => queue.getJobScheduler(id))
    if (found === undefined || found === null) throw noSuchScheduler(id)
    return schedulerJson(found)
  })
}

const SOONEST_FIRST = true

function schedulerJson(found: JobSchedulerJson<unknown>): object {
  return {
    id: found.key,
    name: found.name ?? null,
    every: found.every ?? null,
    pattern: found.pattern ?? null,
    tz: found.tz ?? null,
    startDate: found.startDate ?? null,
    endDate: found.endDate ?? null,
    limit: found.limit ?? null,
    offset: found.offset ?? null,
    iterationCount: found.iterationCount ?? 0,
    next: found.next ?? null,
    data: found.template?.data ?? null,
    opts: found.template?.opts ?? {},
  }
}

function noSuchScheduler(id: string): Problem {
  return new Problem(404, `There is no scheduler ${id}`)
}
