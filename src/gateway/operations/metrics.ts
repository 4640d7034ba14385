/**
 * GET /metrics, in Prometheus' text format, for users who may run INFO. Three parts: the engine (INFO, streams, queues), the
 * gateway, the process. The last two are there when the engine is not (`redis_up 0`).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { User } from '../../access/user.ts'
import { EngineUnavailableError } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { DataMetrics } from './data-metrics.ts'
import { Exposition } from './exposition.ts'
import { DURATION_BUCKETS, type Figures } from './figures.ts'
import { addInfo } from './info-metrics.ts'
import { RuntimeMetrics } from './runtime-metrics.ts'

/** Streams that a request may name. */
const STREAMS_MAX = 100
const STREAM_LENGTH_MAX = 1024

const QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    stream: {
      type: 'array',
      maxItems: STREAMS_MAX,
      items: { type: 'string', minLength: 1, maxLength: STREAM_LENGTH_MAX },
      description: 'Streams to show, beside those that were found.',
    },
    _token: { type: 'string', description: 'A token, as in `Authorization: Bearer`.' },
  },
} as const

interface Query {
  readonly stream?: readonly string[]
}

/** Sections of INFO with statistics of each command; `everything` is not known to older servers. */
const INFO = ['INFO', 'all']

export function metricsRoutes(app: FastifyInstance, context: GatewayContext): void {
  const metrics = new Metrics(context)
  app.addHook('onClose', async () => metrics.close())
  const schema = { hide: true, querystring: QUERY }
  app.get<{ Querystring: Query }>('/metrics', { schema }, (request, reply) => metrics.answer(request, reply))
}

class Metrics {
  private readonly context: GatewayContext
  private readonly data: DataMetrics
  private readonly runtime = new RuntimeMetrics()

  constructor(context: GatewayContext) {
    this.context = context
    this.data = new DataMetrics(context.engine)
  }

  async answer(request: FastifyRequest<{ Querystring: Query }>, reply: FastifyReply): Promise<string> {
    const user = userOf(request)
    requireCommands(this.context.engine, user, [INFO])
    const page = new Exposition()
    const isUp = await this.addEngine(page, user, request.query.stream ?? [])
    page.gauge('redis_up', 'Whether the engine can be reached.', isUp ? 1 : 0)
    const { health } = this.context.engine
    page.gauge('millrace_engine_ready', 'Whether the engine serves requests.', health.isReady ? 1 : 0)
    addFigures(page, this.context.figures)
    this.runtime.add(page)
    reply.header('content-type', Exposition.contentType)
    return page.text()
  }

  close(): void {
    this.runtime.close()
  }

  /** Returns whether the engine has answered. @throws CommandError NOPERM */
  private async addEngine(page: Exposition, user: User, streams: readonly string[]): Promise<boolean> {
    try {
      const info = await this.context.engine.call(user, INFO)
      addInfo(page, String(info))
      await this.data.add(page, user, streams)
      return true
    } catch (error) {
      if (error instanceof EngineUnavailableError) return false
      throw error
    }
  }
}

function addFigures(page: Exposition, figures: Figures): void {
  const gauges: readonly (readonly [name: string, help: string, value: number])[] = [
    ['connections', 'Connections that are open.', figures.connections],
    ['websockets', 'WebSockets that are open.', figures.webSockets],
    ['event_streams', 'Streams of server-sent events that are open.', figures.eventStreams],
  ]
  const counters: readonly (readonly [name: string, help: string, value: number])[] = [
    ['connections_refused', 'Connections beyond http-max-connections.', figures.connectionsRefused],
    ['connections_stalled', 'Connections that did not take their reply.', figures.connectionsStalled],
    ['requests_malformed', 'Requests that were no HTTP, or not there in time.', figures.requestsMalformed],
    ['requests_limited', 'Requests beyond http-rate-limit.', figures.requestsLimited],
    ['logins_denied', 'Wrong credentials.', figures.loginsDenied],
    ['messages_pushed', 'Messages sent to WebSockets and event streams.', figures.messagesPushed],
    ['messages_dropped', 'Messages dropped because a client was too slow.', figures.messagesDropped],
  ]
  for (const [name, help, value] of gauges) page.gauge(`millrace_gateway_${name}`, help, value)
  for (const [name, help, value] of counters) page.counter(`millrace_gateway_${name}_total`, help, value)
  const routes = [...figures.routes()]
  for (const { method, route, statuses } of routes) {
    for (const [status, count] of statuses) {
      const labels = { method, route, status }
      page.counter('millrace_gateway_requests_total', 'Answers by route and status.', count, labels)
    }
  }
  const durations = routes.map(({ method, route, durations: counts, durationSum: sum }) => {
    return { labels: { method, route }, counts, sum }
  })
  const help = 'Time from the head of a request to its answer, in seconds.'
  page.histogram('millrace_gateway_request_duration_seconds', help, DURATION_BUCKETS, durations)
}
