/** The realtime doors: `/v1/realtime` (WebSocket), `/v1/realtime/sse`, and the client for browsers, `/client.js`. */
import type { IncomingMessage } from 'node:http'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { bearerToken, userOf } from '../identity.ts'
import { Problem } from '../problem.ts'
import { clientModule } from './client-module.ts'
import { NAME_LENGTH_MAX, SSE_STREAMS_MAX } from './limits.ts'
import { RealtimeError, type RealtimeErrorCode, SUBPROTOCOL } from './protocol.ts'
import { Realtime } from './realtime.ts'
import { positionsOf, SseConnection, type SseQuery, selectorsOf } from './sse.ts'
import { StreamSubscription } from './subscription.ts'
import { WebSocketConnection } from './websocket.ts'

/** Channels, patterns and keys of one SSE request. */
const SSE_NAMES_MAX = 100
/** An event ID with a position for each stream. */
const EVENT_ID_MAX = SSE_STREAMS_MAX * 42

/** Errors of subscriptions as HTTP answers them. */
const STATUSES: Readonly<Partial<Record<RealtimeErrorCode, number>>> = {
  BAD_REQUEST: 400,
  KEYSPACE_EVENTS_OFF: 409,
  LIMIT: 429,
}

const name = { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX }
const names = { type: 'array', items: name, maxItems: SSE_NAMES_MAX }
const eventId = { type: 'string', maxLength: EVENT_ID_MAX }

const SSE_SCHEMA = {
  tags: ['Realtime'],
  summary: 'Listens to channels, streams, queues and keys by Server-Sent Events',
  operationId: 'listen',
  querystring: {
    type: 'object',
    properties: {
      channel: { ...names, description: 'Channels' },
      pattern: { ...names, description: 'Glob patterns of channels' },
      keys: { ...names, description: 'Keys, or glob patterns of keys, whose keyspace events are wanted' },
      stream: { ...names, description: 'Streams' },
      queue: { ...names, description: 'BullMQ queues whose events are wanted' },
      prefix: { ...name, description: 'Prefix of the queues; default: bull' },
      from: {
        type: 'string',
        pattern: '^(\\$|\\d{1,20}(-\\d{1,20})?)$',
        default: '$',
        description: 'Where streams start: behind an entry ID, or $ for entries to come',
      },
      lastEventId: { ...eventId, description: 'As the header Last-Event-ID' },
      overflow: {
        type: 'string',
        enum: ['close', 'drop'],
        default: 'close',
        description: 'What happens when messages of channels come faster than they are read',
      },
      _token: { type: 'string', description: 'A bearer token' },
    },
    additionalProperties: false,
  },
  headers: { type: 'object', properties: { 'last-event-id': eventId } },
  response: { 200: { description: 'Events', content: { 'text/event-stream': { schema: { type: 'string' } } } } },
}

/**
 * Makes the server take upgrades, and serves the client. Comes before all routes, so that requests for an upgrade that
 * went astray end too.
 */
export async function installRealtime(app: FastifyInstance, { settings }: GatewayContext): Promise<void> {
  // Whoever offers another protocol (HTTP/2, as Java's client does) gets its answer in HTTP/1.1.
  Object.assign(app.server, { shouldUpgradeCallback: isWebSocket })
  const options = {
    maxPayload: settings.bodyBytesMax,
    perMessageDeflate: false,
    clientTracking: false,
    closeTimeout: settings.realtime.closeMs,
    handleProtocols: (offered: Set<string>) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  }
  // Sessions end when the gateway drains, before Fastify closes.
  await app.register(websocket, { options, preClose: (done) => done() })
  app.addHook('onResponse', endRefused)
  app.get('/client.js', { config: { isPublic: true }, schema: { hide: true } }, sendClient)
}

/** The routes below `/v1`. */
export async function realtimeRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  const realtime = new Realtime(context)
  app.route({
    method: 'GET',
    url: '/realtime',
    exposeHeadRoute: false,
    schema: { hide: true },
    preHandler: (request, reply, done) => prepareUpgrade(context, request, reply, done),
    handler: upgradeRequired,
    wsHandler: (ws, request) => {
      // The plugin's listener would keep the request as long as the connection.
      ws.removeAllListeners('error')
      new WebSocketConnection(realtime, ws, request.raw.socket, userOf(request), bearerToken(request.raw))
    },
  })
  app.get('/realtime/sse', { schema: SSE_SCHEMA, exposeHeadRoute: false }, (request, reply) =>
    listen(realtime, request, reply),
  )
}

/** A handshake that was answered with an error: Node has given the socket away and would leave it open. */
function endRefused(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (isWebSocket(request.raw)) request.raw.socket.destroySoon()
  done()
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** @throws Problem 503 */
function prepareUpgrade(
  { draining }: GatewayContext,
  request: FastifyRequest,
  reply: FastifyReply,
  done: () => void,
): void {
  if (draining.aborted) throw new Problem(503, 'The server shuts down')
  // The response of an upgrade is never used, and would be kept by its socket.
  if (request.ws) reply.raw.detachSocket(request.raw.socket)
  done()
}

function upgradeRequired(_request: FastifyRequest, _reply: FastifyReply): never {
  throw new Problem(426, 'This resource is a WebSocket', {}, { upgrade: 'websocket', connection: 'upgrade' })
}

async function listen(realtime: Realtime, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (realtime.context.draining.aborted) throw new Problem(503, 'The server shuts down')
  const query = request.query as SseQuery
  const selectors = selectorsOf(query)
  const eventIdGiven = request.headers['last-event-id'] ?? query.lastEventId ?? ''
  const streamCount = selectors.filter(({ stream, queue }) => stream !== undefined || queue !== undefined).length
  const positions = eventIdGiven === '' ? null : positionsOf(String(eventIdGiven), streamCount)
  const connection = new SseConnection(realtime, reply.raw, userOf(request), bearerToken(request.raw))
  try {
    const subscriptions = connection.prepare(selectors, query.overflow ?? 'close')
    let streamAt = 0
    for (const subscription of subscriptions) {
      connection.session.addSubscription(subscription)
      const isStream = subscription instanceof StreamSubscription
      await subscription.open((isStream ? positions?.[streamAt++] : undefined) ?? query.from ?? '$')
    }
    reply.hijack()
    if (connection.session.isClosed) return reply
    reply.raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    connection.begin(subscriptions)
    return reply
  } catch (error) {
    connection.session.close()
    throw error instanceof RealtimeError ? new Problem(STATUSES[error.code] ?? 500, error.message) : error
  }
}

function sendClient(request: FastifyRequest, reply: FastifyReply): void {
  const { text, etag } = clientModule()
  reply.header('etag', etag).header('cache-control', 'public, max-age=0, must-revalidate')
  if (request.headers['if-none-match'] === etag) {
    reply.code(304).send()
    return
  }
  reply.header('content-type', 'text/javascript; charset=utf-8').send(text)
}
