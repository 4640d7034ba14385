/**
 * The gateway: one Fastify server with all HTTP and WebSocket doors, over an engine. Composition root of this room.
 *
 * Every request is identified before anything else happens (admission.ts), unless its route is public; routes find the
 * ACL user in `request.user`. Bodies are checked strictly: unknown members and wrong types are errors. Each family of
 * routes is a plugin with its own error handler; what none of them handles is answered with problem details.
 *
 *     rest/        Upstash-compatible REST        /  /pipeline  /multi-exec  /<command>/…
 *     v1/          resources, OpenAPI             /v1/…
 *     realtime/    WebSocket and SSE              /v1/realtime …
 *     operations/  health, metrics, dashboard     /healthz  /readyz  /metrics  /queues
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net'
import { createSecureContext } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { User } from '../access/user.ts'
import { messageOf } from '../files/thrown.ts'
import type { Log } from '../observe/log.ts'
import { isMissingAddress, parseBindAddress } from '../transport/bind-address.ts'
import { installAdmission } from './admission.ts'
import { installCors } from './cors.ts'
import type { Engine } from './engine.ts'
import { FastLane } from './fast-lane.ts'
import { Identities } from './identity.ts'
import { Figures } from './operations/figures.ts'
import { operationsRoutes } from './operations/index.ts'
import { Problem, problemHandler, sendProblem } from './problem.ts'
import { QueueRegistry } from './queues/registry.ts'
import { installRealtime } from './realtime/routes.ts'
import { FastBatch } from './rest/fast-batch.ts'
import { restRoutes } from './rest/index.ts'
import { type GatewaySettings, GatewaySettingsError, hasJwtKey } from './settings.ts'
import { clientErrorHandler, Sockets } from './sockets.ts'
import { installTurns } from './turns.ts'
import { FastPublish } from './v1/fast-publish.ts'
import { v1Routes } from './v1/index.ts'
import { installValidation } from './validation.ts'
import { Waits } from './waits.ts'

/** Time in which the headers of a request must have come, in ms: a client that drips them holds a socket only so long. */
const HEADERS_TIMEOUT_MS = 10_000
/** An idle connection is kept open for the next request, in ms. */
const KEEP_ALIVE_MS = 72_000
const CONNECTIONS_CHECK_MS = 2_000
/** Requests under way when the gateway closes have this time, in ms. */
const DRAIN_MAX_MS = 5_000
const TLS_HANDSHAKE_TIMEOUT_MS = 10_000
/** Path parameters: keys and job IDs may be long. */
const PARAM_LENGTH_MAX = 4096
/** Request IDs that clients choose. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/

declare module 'fastify' {
  interface FastifyRequest {
    /** Who makes the request; null on public routes. */
    user: User | null
  }

  interface FastifyContextConfig {
    /** Served to everybody, without identification. */
    isPublic?: boolean
  }
}

/** What the families of routes share. */
export interface GatewayContext {
  readonly engine: Engine
  readonly log: Log
  readonly settings: GatewaySettings
  readonly identities: Identities
  /** BullMQ on the engine; its connections are made when they are first needed. */
  readonly queues: QueueRegistry
  /** What the gateway counts about itself. */
  readonly figures: Figures
  /** Requests that wait for something to happen. */
  readonly waits: Waits
  /** Whether the gateway is shutting down: no further stream or long poll is begun, and those there are end. */
  readonly draining: AbortSignal
  reportDefect(error: unknown, request: FastifyRequest): void
}

export interface GatewayOptions {
  readonly engine: Engine
  readonly log: Log
  readonly settings: GatewaySettings
}

interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
}

/** An address that the gateway could not open. */
export class GatewayListenError extends Error {
  readonly code: string

  constructor(host: string, port: number, cause: unknown) {
    const reason = messageOf(cause)
    super(`Cannot listen on port ${port} (HTTP), address ${host}: ${reason}`, { cause })
    this.code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  }
}

export class Gateway {
  readonly app: FastifyInstance
  private readonly drainController: AbortController
  private readonly fastLane: FastLane | null
  private readonly sockets: Sockets
  /** Listeners beyond the first address; their connections are handed to the one HTTP server. */
  private readonly otherListeners: NetServer[] = []
  private boundPort = 0

  /** Made by `createGateway`. */
  constructor(app: FastifyInstance, drainController: AbortController, fastLane: FastLane | null, sockets: Sockets) {
    this.app = app
    this.fastLane = fastLane
    this.sockets = sockets
    this.drainController = drainController
  }

  /** The port that is open; 0 before `listen`. */
  get port(): number {
    return this.boundPort
  }

  /**
   * Opens a port on each address; 0 takes a free one. An address behind `-` may be missing.
   *
   * @throws GatewayListenError
   */
  async listen(hosts: readonly string[], port: number): Promise<void> {
    for (const text of hosts) {
      const { host, isOptional } = parseBindAddress(text)
      try {
        await this.listenOn(host, this.boundPort === 0 ? port : this.boundPort)
      } catch (error) {
        if (isOptional && isMissingAddress(error)) continue
        throw new GatewayListenError(host, port, error)
      }
    }
  }

  /**
   * Drains: no connection is accepted any more, streams and long polls end, requests under way are answered. What is not
   * done in time is cut off. The engine stays open.
   */
  async close(): Promise<void> {
    this.drainController.abort()
    for (const listener of this.otherListeners) listener.close()
    this.fastLane?.drain()
    this.sockets.drain()
    const cutOff = setTimeout(() => this.sockets.destroyAll(), DRAIN_MAX_MS)
    await this.app.close()
    clearTimeout(cutOff)
    this.sockets.finish()
  }

  private async listenOn(host: string, port: number): Promise<void> {
    if (this.boundPort === 0) {
      await this.app.listen({ host, port })
      this.boundPort = portOf(this.app.server.address())
      return
    }
    const listener = createServer((socket) => this.app.server.emit('connection', socket))
    listener.listen({ host, port })
    await once(listener, 'listening')
    this.otherListeners.push(listener)
  }
}

/**
 * Builds the gateway; `listen` opens it.
 *
 * @throws Error when files of its settings (certificate, keys) cannot be read
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { engine, log, settings } = options
  const figures = new Figures()
  // The library for JWTs is only loaded where there are to be some.
  const jwt = hasJwtKey(settings.jwt) ? (await import('./jwt.ts')).createJwtVerifier(settings.jwt, log) : null
  const drainController = new AbortController()
  const reportDefect = (error: unknown, request: FastifyRequest): void => {
    log.warning(
      `Request ${request.id} (${request.method} ${request.routeOptions.url ?? '?'}) failed: ${describe(error)}`,
    )
  }
  const context: GatewayContext = {
    engine,
    log,
    settings,
    identities: new Identities(engine, settings, jwt, (userName) => {
      figures.loginsDenied++
      engine.loginDenied(userName)
    }),
    figures,
    waits: new Waits(settings.waitsMax),
    queues: new QueueRegistry(engine, log),
    draining: drainController.signal,
    reportDefect,
  }
  const app = createApp(settings, figures)
  app.setErrorHandler(problemHandler(reportDefect))
  app.setNotFoundHandler((request, reply) => sendProblem(reply, request, notFound(request.method)))
  installTurns(app)
  // Before requests are identified: browsers ask without credentials whether they may ask.
  await installCors(app, settings)
  installAdmission(app, context)
  app.addHook('onClose', () => context.queues.close())
  await registerRoutes(app, context)
  await app.ready()
  // The lane identifies by itself, and leaves what it refuses to Fastify, which counts it.
  const fastLane = installFastLane(app, context, new Identities(engine, settings, jwt))
  const event = streamEvent(settings)
  const sockets = new Sockets(app, {
    connectionsMax: settings.connectionsMax,
    stallMs: settings.requestTimeoutMs,
    event,
    figures,
  })
  return new Gateway(app, drainController, fastLane, sockets)
}

/**
 * Puts the fast lane before the server; null when requests are to be counted one by one, which Fastify's hooks do.
 */
function installFastLane(app: FastifyInstance, context: GatewayContext, identities: Identities): FastLane | null {
  const { engine, figures, log, settings } = context
  if (settings.requestsPerMinuteMax > 0) return null
  return new FastLane(app.server, streamEvent(settings), {
    routes: [new FastBatch(engine), new FastPublish(engine)],
    identify: (request) => identities.identify(request),
    requestId,
    onAnswer: (url, status, durationMs) => figures.route('POST', url).add(status, durationMs),
    onDefect: (error) => log.warning(`A request of the fast lane failed: ${describe(error)}`),
    bodyBytesMax: settings.bodyBytesMax,
    keepAliveMs: KEEP_ALIVE_MS,
    requestTimeoutMs: settings.requestTimeoutMs,
  })
}

function notFound(method: string): Problem {
  const detail = 'OPTIONS is only for CORS preflights, of pages whose origin http-cors-origins lists'
  return new Problem(404, method === 'OPTIONS' ? detail : 'There is no such resource')
}

/** What tells of a connection from which HTTP can be read. */
function streamEvent(settings: GatewaySettings): 'connection' | 'secureConnection' {
  return settings.tls === null ? 'connection' : 'secureConnection'
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Families of routes, each a plugin in a scope of its own. */
async function registerRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  await installRealtime(app, context)
  await operationsRoutes(app, context)
  await v1Routes(app, context)
  await restRoutes(app, context)
}

function createApp(settings: GatewaySettings, figures: Figures): FastifyInstance {
  const checkMs = Math.min(CONNECTIONS_CHECK_MS, settings.requestTimeoutMs / 4)
  const app = Fastify({
    logger: false,
    bodyLimit: settings.bodyBytesMax,
    connectionTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: settings.requestTimeoutMs,
    forceCloseConnections: 'idle',
    // What comes on an open connection while the gateway closes is still answered.
    return503OnClosing: false,
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    genReqId: ({ headers }) => requestId(headers),
    clientErrorHandler: clientErrorHandler(figures),
    // No route was found for such a URL, so it is not known whose form of errors is wanted: the answer has that of both.
    frameworkErrors: ({ statusCode = 400, message }, request, reply) => {
      sendProblem(reply, request, new Problem(statusCode, message, { error: `ERR ${message}` }))
    },
    ...(settings.tls === null
      ? { http: { connectionsCheckingInterval: checkMs } }
      : {
          https: {
            ...readCertificate(settings.tls),
            handshakeTimeout: Math.min(TLS_HANDSHAKE_TIMEOUT_MS, settings.requestTimeoutMs),
            connectionsCheckingInterval: checkMs,
          },
        }),
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
  })
  app.server.headersTimeout = Math.min(HEADERS_TIMEOUT_MS, settings.requestTimeoutMs)
  installValidation(app)
  return app
}

/** @throws GatewaySettingsError when the files hold no certificate and its key; errors of the system */
function readCertificate({ certFile, keyFile }: NonNullable<GatewaySettings['tls']>): TlsFiles {
  const files = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
  try {
    createSecureContext(files)
  } catch (cause) {
    const reason = messageOf(cause)
    throw new GatewaySettingsError(`Cannot use http-tls-cert-file ${certFile} with its key: ${reason}`, { cause })
  }
  return files
}

let requestCount = 0
const REQUEST_ID_PREFIX = randomBytes(4).toString('hex')

/** The ID that a client gave, if it is harmless, else one of ours. */
function requestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id']
  if (typeof given === 'string' && REQUEST_ID.test(given)) return given
  requestCount++
  return `${REQUEST_ID_PREFIX}-${requestCount.toString(36)}`
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}
