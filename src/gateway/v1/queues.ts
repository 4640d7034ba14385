/**
 * Queues of jobs on BullMQ: `/v1/queues`. What a BullMQ program does with a Redis client, for those who have none; both see
 * the same jobs.
 *
 *     queues.ts             the queues themselves: list, counts, pause, clean, limits
 *     queues-jobs.ts        jobs: add, list, get, change, results
 *     queues-work.ts        working: fetch, complete, fail
 *     queues-schedulers.ts  jobs that come again and again
 *     queues-flows.ts       trees of jobs
 *
 * Every route checks by itself what the user may do, before BullMQ does it as the system (queues/access.ts).
 */
import type { FastifyInstance } from 'fastify'
import { KeyAccess } from '../../access/user.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { requireEveryKeyWrite } from '../queues/access.ts'
import { hangUpSignal } from '../queues/hang-up.ts'
import { keyPrefix } from '../queues/names.ts'
import type { JobQueue } from '../queues/registry.ts'
import { queueFlowRoutes } from './queues-flows.ts'
import { queueJobRoutes } from './queues-jobs.ts'
import { queueSchedulerRoutes } from './queues-schedulers.ts'
import {
  count,
  done,
  duration,
  flag,
  members,
  type PrefixQuery,
  query,
  queueParams,
  STATES,
  type State,
  time,
} from './queues-schemas.ts'
import { type QueueRoute, queueToChange, queueToRead, TAGS } from './queues-shared.ts'
import { queueWorkRoutes } from './queues-work.ts'

/** Queues in one list. */
const QUEUES_MAX = 1000
/** Jobs that one request removes. */
const CLEAN_MAX = 10_000
/** A measured minute is a point; a worker keeps two weeks of them by default. */
const POINTS_MAX = 20_160
const QUEUE = '/queues/:queue'

export async function queueRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  // All members of some bodies are optional: then there need not be a body.
  app.addHook('preValidation', async (request) => {
    request.body ??= {}
  })
  listRoute(app, context)
  stateRoutes(app, context)
  removalRoutes(app, context)
  limitRoutes(app, context)
  observationRoutes(app, context)
  queueJobRoutes(app, context)
  queueWorkRoutes(app, context)
  queueSchedulerRoutes(app, context)
  queueFlowRoutes(app, context)
}

function listRoute(app: FastifyInstance, context: GatewayContext): void {
  const schema = {
    tags: TAGS,
    summary: 'List the queues that the user may read',
    operationId: 'listQueues',
    querystring: query(),
    response: {
      200: {
        type: 'object',
        properties: {
          queues: { type: 'array', items: { type: 'string' } },
          isTruncated: { type: 'boolean', description: 'Whether there may be more.' },
        },
      },
    },
  }
  app.get<{ Querystring: PrefixQuery }>('/queues', { schema }, async (request, reply) => {
    const { queues, draining } = context
    const user = userOf(request)
    const prefix = queues.prefix(request.query.prefix ?? null)
    const { names, isTruncated } = await queues.find(prefix, {
      countMax: QUEUES_MAX,
      isWanted: (name) => {
        const base = Buffer.from(keyPrefix({ prefix, name })).toString('latin1')
        return user.coversPrefix(base, KeyAccess.Read)
      },
      signal: hangUpSignal(reply, draining),
    })
    // Who may read no hash of them learns nothing about them.
    if (names.length > 0) requireCommands(context.engine, user, [['HGETALL', `${prefix}:${names[0]}:meta`]])
    return { queues: names, isTruncated }
  })
}

function stateRoutes(app: FastifyInstance, context: GatewayContext): void {
  const countProperties = Object.fromEntries(STATES.map((state) => [state, { type: 'integer' }]))
  const getSchema = {
    tags: TAGS,
    summary: 'Get the numbers of jobs by state',
    operationId: 'getQueue',
    params: queueParams,
    querystring: query(),
    response: {
      200: {
        type: 'object',
        properties: {
          queue: { type: 'string' },
          isPaused: { type: 'boolean' },
          counts: { type: 'object', properties: countProperties },
        },
      },
    },
  }
  app.get<QueueRoute>(QUEUE, { schema: getSchema }, async (request) => {
    const queue = queueToRead(context, request)
    const [counts, isPaused] = await context.queues.run(() =>
      Promise.all([queue.getJobCounts(...STATES), queue.isPaused()]),
    )
    return { queue: queue.name, isPaused, counts }
  })

  simpleRoute(app, context, {
    path: '/pause',
    summary: 'Pause: no further job is taken, by any worker',
    operationId: 'pauseQueue',
    change: (queue) => queue.pause(),
  })
  simpleRoute(app, context, {
    path: '/resume',
    summary: 'Resume a paused queue',
    operationId: 'resumeQueue',
    change: (queue) => queue.resume(),
  })
  simpleRoute(app, context, {
    path: '/promote',
    summary: 'Make all delayed jobs ready now',
    operationId: 'promoteJobs',
    change: (queue) => queue.promoteJobs(),
  })

  const retrySchema = {
    tags: TAGS,
    summary: 'Run all failed (or completed) jobs again',
    operationId: 'retryJobs',
    params: queueParams,
    querystring: query(),
    body: members({
      state: { enum: ['failed', 'completed'], default: 'failed' },
      before: { ...time, description: 'Only jobs that finished up to this time, in ms. Default: all.' },
    }),
    response: { 204: done },
  }
  app.post<QueueRoute & { Body: { state: 'failed' | 'completed'; before?: number } }>(
    `${QUEUE}/retry`,
    { schema: retrySchema },
    async (request, reply) => {
      const queue = queueToChange(context, request)
      const { state, before } = request.body
      // Children go back to what their parents wait for, in other queues.
      requireEveryKeyWrite(context.engine, userOf(request))
      await context.queues.run(() => queue.retryJobs({ state, ...(before === undefined ? {} : { timestamp: before }) }))
      return reply.code(204).send()
    },
  )
}

interface SimpleRoute {
  readonly path: string
  readonly summary: string
  readonly operationId: string
  change(queue: JobQueue): Promise<unknown>
}

/** A change of a queue that takes no body. */
function simpleRoute(app: FastifyInstance, context: GatewayContext, route: SimpleRoute): void {
  const { path, summary, operationId, change } = route
  const schema = {
    tags: TAGS,
    summary,
    operationId,
    params: queueParams,
    querystring: query(),
    response: { 204: done },
  }
  app.post<QueueRoute>(`${QUEUE}${path}`, { schema }, async (request, reply) => {
    const queue = queueToChange(context, request)
    await context.queues.run(() => change(queue))
    return reply.code(204).send()
  })
}

/** Removing jobs follows their flows, wherever those lead, so these need every key. */
function removalRoutes(app: FastifyInstance, context: GatewayContext): void {
  const drainSchema = {
    tags: TAGS,
    summary: 'Remove all jobs that wait',
    operationId: 'drainQueue',
    params: queueParams,
    querystring: query(),
    body: members({ delayed: { ...flag, default: false, description: 'Also those that are delayed.' } }),
    response: { 204: done },
  }
  app.post<QueueRoute & { Body: { delayed: boolean } }>(
    `${QUEUE}/drain`,
    { schema: drainSchema },
    async (request, reply) => {
      const queue = queueToEmpty(context, request)
      await context.queues.run(() => queue.drain(request.body.delayed))
      return reply.code(204).send()
    },
  )

  const cleanSchema = {
    tags: TAGS,
    summary: 'Remove old jobs of a state',
    operationId: 'cleanQueue',
    params: queueParams,
    querystring: query(),
    body: members(
      {
        state: { enum: STATES.filter((state) => state !== 'waiting-children') },
        graceMs: { ...duration, default: 0, description: 'Younger ones stay.' },
        limit: { type: 'integer', minimum: 1, maximum: CLEAN_MAX, default: 1000 },
      },
      ['state'],
    ),
    response: { 200: { type: 'object', properties: { removed: { type: 'array', items: { type: 'string' } } } } },
  }
  app.post<QueueRoute & { Body: { state: Exclude<State, 'waiting-children'>; graceMs: number; limit: number } }>(
    `${QUEUE}/clean`,
    { schema: cleanSchema },
    async (request) => {
      const queue = queueToEmpty(context, request)
      const { state, graceMs, limit } = request.body
      return { removed: await context.queues.run(() => queue.clean(graceMs, limit, state)) }
    },
  )

  const obliterateSchema = {
    tags: TAGS,
    summary: 'Remove the queue and all its jobs',
    operationId: 'obliterateQueue',
    params: queueParams,
    querystring: query({ force: { ...flag, default: false, description: 'Although jobs are active.' } }),
    response: { 204: done },
  }
  app.delete<QueueRoute & { Querystring: PrefixQuery & { force: boolean } }>(
    QUEUE,
    { schema: obliterateSchema },
    async (request, reply) => {
      const queue = queueToEmpty(context, request)
      await context.queues.run(() => obliterate(queue, { force: request.query.force }))
      return reply.code(204).send()
    },
  )
}

/** It is paused first; when it is not removed, it goes on as it was. */
async function obliterate(queue: JobQueue, options: { readonly force: boolean }): Promise<void> {
  const wasPaused = await queue.isPaused()
  try {
    await queue.obliterate(options)
  } catch (error) {
    if (!wasPaused) await queue.resume()
    throw error
  }
}

function queueToEmpty(context: GatewayContext, request: Parameters<typeof queueToChange>[1]): JobQueue {
  requireEveryKeyWrite(context.engine, userOf(request))
  return queueToChange(context, request)
}

interface LimitsBody {
  readonly concurrency?: number | null
  readonly rateLimit?: { readonly max: number; readonly durationMs: number } | null
}

function limitRoutes(app: FastifyInstance, context: GatewayContext): void {
  const positive = { type: 'integer', minimum: 1, maximum: count.maximum }
  const rateLimit = members({ max: positive, durationMs: { ...duration, minimum: 1 } }, ['max', 'durationMs'])
  const limits = {
    type: 'object',
    properties: {
      concurrency: { type: ['integer', 'null'], description: 'Jobs that all workers together process at a time.' },
      rateLimit: {
        type: ['object', 'null'],
        properties: { max: { type: 'integer' }, durationMs: { type: 'integer' } },
        description: 'Jobs that all workers together begin in a time.',
      },
      isMaxed: { type: 'boolean', description: 'Whether the concurrency is used up.' },
      limitedMs: { type: 'integer', description: 'Time for which the rate limit lets no job begin; 0: it does.' },
    },
  }
  const schema = { tags: TAGS, params: queueParams, querystring: query(), response: { 200: limits } }
  app.get<QueueRoute>(
    `${QUEUE}/limits`,
    { schema: { ...schema, summary: 'Get the limits of all workers together', operationId: 'getQueueLimits' } },
    async (request) => readLimits(context, queueToRead(context, request)),
  )

  const body = members({
    concurrency: { anyOf: [positive, { type: 'null' }] },
    rateLimit: { anyOf: [rateLimit, { type: 'null' }] },
  })
  const patch = { ...schema, summary: 'Set or (by null) end limits', operationId: 'setQueueLimits', body }
  app.patch<QueueRoute & { Body: LimitsBody }>(`${QUEUE}/limits`, { schema: patch }, async (request) => {
    const queue = queueToChange(context, request)
    queueToRead(context, request)
    const { concurrency, rateLimit: rate } = request.body
    await context.queues.run(async () => {
      if (concurrency === null) await queue.removeGlobalConcurrency()
      else if (concurrency !== undefined) await queue.setGlobalConcurrency(concurrency)
      if (rate === null) await queue.removeGlobalRateLimit()
      else if (rate !== undefined) await queue.setGlobalRateLimit(rate.max, rate.durationMs)
    })
    return readLimits(context, queue)
  })
}

async function readLimits(context: GatewayContext, queue: JobQueue): Promise<object> {
  return context.queues.run(async () => {
    const rate = await queue.getGlobalRateLimit()
    const [concurrency, isMaxed, limitedMs] = await Promise.all([
      queue.getGlobalConcurrency(),
      queue.isMaxed(),
      // The count that BullMQ keeps when jobs are held up without a limit (Queue.rateLimit).
      queue.getRateLimitTtl(rate?.max ?? Number.MAX_SAFE_INTEGER),
    ])
    const rateLimit = rate === null ? null : { max: rate.max, durationMs: rate.duration }
    return { concurrency, rateLimit, isMaxed, limitedMs }
  })
}

function observationRoutes(app: FastifyInstance, context: GatewayContext): void {
  const workersSchema = {
    tags: TAGS,
    summary: 'List the workers that are connected',
    description:
      'Needs the permission for CLIENT LIST. Those who work over HTTP have no connection and are not listed.',
    operationId: 'listWorkers',
    params: queueParams,
    querystring: query(),
    response: {
      200: {
        type: 'object',
        properties: {
          workers: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                id: { type: 'string' },
                name: { type: 'string' },
                address: { type: 'string' },
                ageSeconds: { type: 'integer' },
                idleSeconds: { type: 'integer' },
              },
            },
          },
        },
      },
    },
  }
  app.get<QueueRoute>(`${QUEUE}/workers`, { schema: workersSchema }, async (request) => {
    const queue = queueToRead(context, request)
    requireCommands(context.engine, userOf(request), [['CLIENT', 'LIST']])
    const found = await context.queues.run(() => queue.getWorkers())
    const workers = found.map(({ id = '', rawname = '', addr = '', age = '0', idle = '0' }) => ({
      id,
      name: rawname.includes(':w:') ? rawname.slice(rawname.indexOf(':w:') + 3) : '',
      address: addr,
      ageSeconds: Number(age),
      idleSeconds: Number(idle),
    }))
    return { workers }
  })

  const metricsSchema = {
    tags: TAGS,
    summary: 'Get how many jobs finished in each minute',
    description: 'Counted by workers that have the option `metrics`.',
    operationId: 'getQueueMetrics',
    params: queueParams,
    querystring: query({
      state: { enum: ['completed', 'failed'], default: 'completed' },
      limit: { type: 'integer', minimum: 1, maximum: POINTS_MAX, default: 60 },
    }),
    response: {
      200: {
        type: 'object',
        properties: {
          total: { type: 'integer', description: 'Jobs since the count began.' },
          perMinute: { type: 'array', items: { type: 'integer' }, description: 'The latest minute first.' },
        },
      },
    },
  }
  app.get<QueueRoute & { Querystring: PrefixQuery & { state: 'completed' | 'failed'; limit: number } }>(
    `${QUEUE}/metrics`,
    { schema: metricsSchema },
    async (request) => {
      const queue = queueToRead(context, request)
      const { state, limit } = request.query
      const { meta, data } = await context.queues.run(() => queue.getMetrics(state, 0, limit - 1))
      return { total: meta.count, perMinute: data }
    },
  )
}
