/**
 * Flows: trees of jobs, over several queues. A job runs when all its children have completed, and finds their results.
 *
 * All nodes of a tree have the prefix of the request. The schema of the route describes the root; children are nodes like
 * it, and are checked here: their number and depth first, so that no function that calls itself meets a tree that it
 * cannot bear.
 */
import { Ajv } from 'ajv'
import type { FlowJob, JobNode } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { Problem } from '../problem.ts'
import { requireOwnNext, requireQueueRead, requireQueueWrite } from '../queues/access.ts'
import { type JobJson, jobJson } from '../queues/job-json.ts'
import { isJobId, parseJobKey, type QueueId } from '../queues/names.ts'
import { lazily } from '../validation.ts'
import { bullOptions, type JobOptionsBody, parentQueue } from './queues-options.ts'
import {
  anything,
  flowOptions,
  flowRootOptions,
  JOBS_MAX,
  jobName,
  jobParams,
  members,
  type PrefixQuery,
  query,
  queueParams,
} from './queues-schemas.ts'
import { type JobRoute, type QueueRoute, queueIdOf, queueToRead, requireJobId, TAGS } from './queues-shared.ts'

/** Levels of a tree, the root included. */
const DEPTH_MAX = 20
/** Children of one job that an answer shows. */
const CHILDREN_MAX = 1000

interface RootBody {
  readonly name: string
  readonly data?: unknown
  readonly opts?: JobOptionsBody
  readonly children?: readonly NodeBody[]
}

interface NodeBody extends RootBody {
  readonly queue: string
}

const nodeSchema = {
  $id: 'node',
  type: 'object',
  additionalProperties: false,
  required: ['queue', 'name'],
  properties: {
    queue: queueParams.properties.queue,
    name: jobName,
    data: anything,
    opts: flowOptions,
    children: { type: 'array', maxItems: JOBS_MAX, items: { $ref: 'node' } },
  },
}
const isNode = lazily(new Ajv({ allErrors: false, strict: true, removeAdditional: false }), nodeSchema)

export function queueFlowRoutes(app: FastifyInstance, context: GatewayContext): void {
  addRoute(app, context)
  treeRoute(app, context)
  childrenRoute(app, context)
}

function addRoute(app: FastifyInstance, context: GatewayContext): void {
  const node = {
    type: 'object',
    properties: { id: { type: 'string' }, name: { type: 'string' }, queue: { type: 'string' } },
  }
  const schema = {
    tags: TAGS,
    summary: 'Add a flow: a job with its children',
    description: `All or nothing. A child is \`{queue, name, data, opts, children}\`; ${JOBS_MAX} jobs in all, ${DEPTH_MAX} levels.`,
    operationId: 'addFlow',
    params: queueParams,
    querystring: query(),
    body: members(
      {
        name: jobName,
        data: anything,
        opts: flowRootOptions,
        children: { type: 'array', maxItems: JOBS_MAX, items: { type: 'object' } },
      },
      ['name'],
    ),
    response: {
      201: { type: 'object', properties: { jobs: { type: 'array', items: node, description: 'The root first.' } } },
    },
  }
  app.post<QueueRoute & { Body: RootBody }>('/queues/:queue/flows', { schema }, async (request, reply) => {
    const { prefix } = queueIdOf(context, request)
    const root: NodeBody = { ...request.body, queue: request.params.queue }
    const nodes = checkTree(root)
    const touched = new Set(nodes.map((found) => found.queue))
    const parent = parentQueue(root.opts ?? {}, prefix)
    if (parent !== null) touched.add(parent.name)
    for (const name of touched) requireQueueWrite(context.engine, userOf(request), { prefix, name })
    if (root.opts?.parent !== undefined) requireJobId(root.opts.parent.id)
    for (const { queue: name, opts = {} } of nodes) {
      if (opts.deduplication === undefined) continue
      await requireOwnNext(context.engine, userOf(request), { prefix, name }, opts.deduplication.id)
    }
    const flow = flowJob(root, prefix)
    const added = await context.queues.run(() => context.queues.flows().add(flow))
    return reply.code(201).send({ jobs: addedJobs(added) })
  })
}

/** All nodes of a tree that is as it must be. @throws Problem 400 */
function checkTree(root: NodeBody): readonly NodeBody[] {
  const nodes: NodeBody[] = [root]
  let level: readonly NodeBody[] = root.children ?? []
  for (let depth = 2; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) throw new Problem(400, `A flow has at most ${DEPTH_MAX} levels`)
    nodes.push(...level.slice(0, JOBS_MAX))
    if (nodes.length > JOBS_MAX) throw new Problem(400, `A flow has at most ${JOBS_MAX} jobs`)
    level = level.flatMap((node) => (node?.children instanceof Array ? node.children : []))
  }
  for (const [i, child] of (root.children ?? []).entries()) {
    if (isNode(child)) continue
    const [error] = isNode.errors ?? []
    const pointer = `/children/${i}${error?.instancePath ?? ''}`
    throw new Problem(400, `body${pointer} ${error?.message ?? 'is no node'}`, {
      errors: [{ pointer, detail: error?.message ?? '' }],
    })
  }
  for (const { children = [], opts = {} } of nodes) {
    if (opts.deduplication === undefined) continue
    if (children.length > 0) throw new Problem(400, 'A job with children cannot have deduplication')
    if (opts.deduplication.keepLastIfActive === true && nodes.length > 1) {
      throw new Problem(400, 'A job with a parent cannot have keepLastIfActive')
    }
  }
  return nodes
}

/** The tree in the form of BullMQ; its depth is bounded by now. @throws Problem 400 or 413 */
function flowJob(node: NodeBody, prefix: string): FlowJob {
  const opts = bullOptions(node, prefix)
  const own = { name: node.name, queueName: node.queue, prefix, data: node.data ?? {}, opts }
  const { children = [] } = node
  return children.length === 0
    ? own
    : { ...own, children: children.map((child) => flowJob(child, prefix) as FlowChild) }
}

type FlowChild = NonNullable<FlowJob['children']>[number]

function addedJobs({ job: { id, name, queueName }, children = [] }: JobNode): object[] {
  return [{ id, name, queue: queueName }, ...children.flatMap(addedJobs)]
}

interface TreeNode extends JobJson {
  readonly queue: string
  readonly children: TreeNode[]
}

function treeRoute(app: FastifyInstance, context: GatewayContext): void {
  const schema = {
    tags: TAGS,
    summary: 'Get a job with its children, and theirs',
    description: 'Needs the permission to read every queue of the tree.',
    operationId: 'getFlow',
    params: jobParams,
    querystring: query({
      depth: { type: 'integer', minimum: 1, maximum: DEPTH_MAX, default: 10 },
      limit: { type: 'integer', minimum: 1, maximum: JOBS_MAX, default: 100, description: 'Jobs in all.' },
    }),
    response: {
      200: {
        type: 'object',
        properties: {
          root: { type: 'object', additionalProperties: true, description: 'A job, with `queue` and `children`.' },
          isTruncated: { type: 'boolean', description: 'Whether children are left out.' },
        },
      },
    },
  }
  app.get<JobRoute & { Querystring: PrefixQuery & { depth: number; limit: number } }>(
    '/queues/:queue/jobs/:id/flow',
    { schema },
    async (request) => {
      const { depth, limit } = request.query
      const top = queueIdOf(context, request)
      requireJobId(request.params.id)
      const tree = { root: null as TreeNode | null, count: 0, isTruncated: false }
      let level: { queue: QueueId; id: string; siblings: TreeNode[] | null }[] = [
        { queue: top, id: request.params.id, siblings: null },
      ]
      for (let i = 0; i < depth && level.length > 0; i++) {
        const next: typeof level = []
        for (const { queue, id, siblings } of level) {
          if (tree.count >= limit) {
            tree.isTruncated = true
            break
          }
          requireQueueRead(context.engine, userOf(request), queue)
          const read = await readNode(context, queue, id, limit - tree.count)
          // One that was removed when it completed.
          if (read === null) continue
          tree.count++
          if (siblings === null) tree.root = read.node
          else siblings.push(read.node)
          if (read.isTruncated) tree.isTruncated = true
          for (const child of read.children) next.push({ ...child, siblings: read.node.children })
        }
        level = next
      }
      if (level.length > 0) tree.isTruncated = true
      if (tree.root === null) throw new Problem(404, `There is no job ${request.params.id}`)
      return { root: tree.root, isTruncated: tree.isTruncated }
    },
  )
}

interface ReadNode {
  readonly node: TreeNode
  readonly children: readonly { readonly queue: QueueId; readonly id: string }[]
  readonly isTruncated: boolean
}

async function readNode(
  context: GatewayContext,
  queue: QueueId,
  id: string,
  childrenMax: number,
): Promise<ReadNode | null> {
  const { queues } = context
  return queues.run(async () => {
    const found = await queues.queue(queue).getJob(id)
    if (found === undefined) return null
    const [state, related] = await Promise.all([found.getState(), found.getDependencies(page(childrenMax))])
    const { processed = {}, unprocessed = [], failed = [], ignored = {} } = related
    const keys = [...new Set([...Object.keys(processed), ...unprocessed, ...failed, ...Object.keys(ignored)])]
    const children = keys
      .slice(0, childrenMax)
      .map(parseJobKey)
      .filter((child) => child !== null)
      .map((child) => ({ queue: child.queue, id: child.jobId }))
      .filter((child) => isJobId(child.id))
    return {
      node: { ...jobJson(found, state), queue: queue.name, children: [] },
      children,
      isTruncated: keys.length > childrenMax || hasMore(related),
    }
  })
}

function childrenRoute(app: FastifyInstance, context: GatewayContext): void {
  const keys = { type: 'array', items: { type: 'string' } }
  const values = { type: 'object', additionalProperties: true }
  const schema = {
    tags: TAGS,
    summary: 'Get what became of the children of a job',
    description: `By the keys of the children, \`<prefix>:<queue>:<id>\`; about ${CHILDREN_MAX} of each kind.`,
    operationId: 'getChildren',
    params: jobParams,
    querystring: query(),
    response: {
      200: {
        type: 'object',
        properties: {
          results: { ...values, description: 'Results of those that completed.' },
          ignored: { ...values, description: 'Reasons of those whose failure is ignored.' },
          failed: { ...keys, description: 'Those whose failure fails this job.' },
          open: { ...keys, description: 'Those that are not finished.' },
          isTruncated: { type: 'boolean' },
        },
      },
    },
  }
  app.get<JobRoute>('/queues/:queue/jobs/:id/children', { schema }, async (request) => {
    const queue = queueToRead(context, request)
    const { id } = request.params
    requireJobId(id)
    return context.queues.run(async () => {
      const found = await queue.getJob(id)
      if (found === undefined) throw new Problem(404, `There is no job ${id}`)
      const related = await found.getDependencies(page(CHILDREN_MAX))
      return {
        results: related.processed ?? {},
        ignored: related.ignored ?? {},
        failed: related.failed ?? [],
        open: related.unprocessed ?? [],
        isTruncated: hasMore(related),
      }
    })
  })
}

function page(countMax: number): object {
  const part = { count: countMax }
  return { processed: part, unprocessed: part, failed: part, ignored: part }
}

/** Cursors are 0 when all was read. The one of failures counts, whether there are more or not. */
function hasMore(related: {
  readonly nextProcessedCursor?: number
  readonly nextUnprocessedCursor?: number
  readonly nextIgnoredCursor?: number
  readonly nextFailedCursor?: number
  readonly failed?: readonly string[]
}): boolean {
  const { nextProcessedCursor = 0, nextUnprocessedCursor = 0, nextIgnoredCursor = 0 } = related
  const { nextFailedCursor = 0, failed = [] } = related
  const isFailedCut = failed.length > 0 && failed.length >= nextFailedCursor
  return nextProcessedCursor > 0 || nextUnprocessedCursor > 0 || nextIgnoredCursor > 0 || isFailedCut
}
