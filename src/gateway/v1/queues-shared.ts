/** What the routes of queues have in common: which queue and which job a request means. */
import type { FastifyRequest } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireQueueRead, requireQueueWrite } from '../queues/access.ts'
import type { AnyJob } from '../queues/job-json.ts'
import { isJobId, type QueueId } from '../queues/names.ts'
import type { JobQueue } from '../queues/registry.ts'
import { noSuchJob } from '../queues/results.ts'
import type { JobParams, PrefixQuery, QueueParams } from './queues-schemas.ts'

export const TAGS = ['Queues'] as const

export interface QueueRoute {
  Params: QueueParams
  Querystring: PrefixQuery
}

export interface JobRoute {
  Params: JobParams
  Querystring: PrefixQuery
}

export type QueueRequest = FastifyRequest<QueueRoute>

export type JobRequest = FastifyRequest<JobRoute>

/** A request, of which parameters and query are looked at. */
interface Addressed {
  readonly params: QueueParams
  readonly query: PrefixQuery
}

export function queueIdOf(context: GatewayContext, { params, query }: Addressed): QueueId {
  return { prefix: context.queues.prefix(query.prefix ?? null), name: params.queue }
}

/** The queue of a request that reads. @throws CommandError NOPERM */
export function queueToRead(context: GatewayContext, request: Addressed & FastifyRequest): JobQueue {
  const id = queueIdOf(context, request)
  requireQueueRead(context.engine, userOf(request), id)
  return context.queues.queue(id)
}

/** The queue of a request that changes. @throws CommandError NOPERM */
export function queueToChange(context: GatewayContext, request: Addressed & FastifyRequest): JobQueue {
  const id = queueIdOf(context, request)
  requireQueueWrite(context.engine, userOf(request), id)
  return context.queues.queue(id)
}

/** @throws Problem 404 */
export async function existingJob(context: GatewayContext, queue: JobQueue, id: string): Promise<AnyJob> {
  requireJobId(id)
  const job = await context.queues.run(() => queue.getJob(id))
  if (job === undefined) throw noSuchJob(id)
  return job
}

/** @throws Problem 404 for an ID that no job can have: its key is another one of the queue */
export function requireJobId(id: string): void {
  if (!isJobId(id)) throw noSuchJob(id)
}
