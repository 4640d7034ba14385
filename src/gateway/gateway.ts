/**
 * The gateway: one Fastify server with all HTTP and WebSocket doors, over an engine. Composition root of this room.
 *
 * Every request is identified before anything else happens (`onRequest`), unless its route is public; routes find the
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
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { User } from '../access/user.ts'
import type { Log } from '../observe/log.ts'
import type { Engine } from './engine.ts'
import { FastLane } from './fast-lane.ts'
import { Identities } from './identity.ts'
import { Problem, problemHandler, sendProblem } from './problem.ts'
import { QueueRegistry } from './queues/registry.ts'
import { FastBatch } from './rest/fast-batch.ts'
import { restRoutes } from './rest/index.ts'
import type { GatewaySettings } from './settings.ts'
import { v1Routes } from './v1/index.ts'
import { installValidation } from './validation.ts'

/** Time in which the headers of a request must have come, in ms: a client that drips them holds a socket only so long. */
const HEADERS_TIMEOUT_MS = 10_000
/** An idle connection is kept open for the next request, in ms. */
const KEEP_ALIVE_MS = 72_000
const CONNECTIONS_CHECK_MS = 2_000
/** Requests under way when the gateway closes have this time, in ms. */
const DRAIN_MAX_MS = 5_000
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
  /** Whether the gateway is shutting down: no further stream or long poll is begun, and those there are end. */
  readonly draining: AbortSignal
  reportDefect(error: unknown, request: FastifyRequest): void
}

export interface GatewayOptions {
  readonly engine: Engine
  readonly log: Log
  readonly settings: GatewaySettings
}

/** An address that the gateway could not open. */
export class GatewayListenError extends Error {
  readonly code: string

  constructor(host: string, port: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`Failed listening on port ${port} (HTTP), address ${host}: ${reason}`, { cause })
    this.code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  }
}

export class Gateway {
  readonly app: FastifyInstance
  private readonly drainController: AbortController
  private readonly fastLane: FastLane | null
  /** Listeners beyond the first address; their connections are handed to the one HTTP server. */
  private readonly otherListeners: NetServer[] = []
  private boundPort = 0

  /** Made by `createGateway`. */
  constructor(app: FastifyInstance, drainController: AbortController, fastLane: FastLane | null) {
    this.app = app
    this.fastLane = fastLane
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
    for (const host of hosts) {
      const isOptional = host.startsWith('-')
      const name = isOptional ? host.slice(1) : host
      const address = name === '*' ? '0.0.0.0' : name === '::*' ? '::' : name
      try {
        await this.listenOn(address, this.boundPort === 0 ? port : this.boundPort)
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : ''
        if (isOptional && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) continue
        throw new GatewayListenError(address, port, error)
      }
    }
  }

  /**
   * Drains: no connection is accepted any more, streams and long polls end, requests under way are answered. What is not
   * done in time is cut off. The engine stays open.
   */
  async close(): Promise<void> {
    this.drainController.abort()
    const { server } = this.app
    for (const listener of this.otherListeners) listener.close()
    this.fastLane?.drain()
    server.closeIdleConnections()
    const cutOff = setTimeout(() => {
      server.closeAllConnections()
      this.fastLane?.destroy()
    }, DRAIN_MAX_MS)
    await this.app.close()
    clearTimeout(cutOff)
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
    identities: new Identities(engine, settings, null),
    queues: new QueueRegistry(engine, log),
    draining: drainController.signal,
    reportDefect,
  }
  const app = createApp(settings)
  app.setErrorHandler(problemHandler(reportDefect))
  app.setNotFoundHandler((request, reply) => sendProblem(reply, request, new Problem(404, 'There is no such resource')))
  app.decorateRequest('user', null)
  app.addHook('onRequest', identifyHook(context))
  app.addHook('onClose', () => context.queues.close())
  await registerRoutes(app, context)
  await app.ready()
  return new Gateway(app, drainController, installFastLane(app, context))
}

/**
 * Puts the fast lane before the server; null when requests are to be counted one by one, which Fastify's hooks do.
 */
function installFastLane(app: FastifyInstance, context: GatewayContext): FastLane | null {
  const { engine, identities, log, settings } = context
  if (settings.requestsPerMinuteMax > 0) return null
  return new FastLane(app.server, settings.tls === null ? 'connection' : 'secureConnection', {
    routes: [new FastBatch(engine)],
    identify: (request) => identities.identify(request),
    requestId,
    onAnswer: () => {},
    onDefect: (error) => log.warning(`A request of the fast lane failed: ${describe(error)}`),
    keepAliveMs: KEEP_ALIVE_MS,
    requestTimeoutMs: settings.requestTimeoutMs,
  })
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Families of routes, each a plugin in a scope of its own. */
async function registerRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  await v1Routes(app, context)
  await restRoutes(app, context)
}

function createApp(settings: GatewaySettings): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: settings.bodyBytesMax,
    connectionTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: settings.requestTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    genReqId: ({ headers }) => requestId(headers),
    // No route was found for such a URL, so it is not known whose form of errors is wanted: the answer has that of both.
    frameworkErrors: ({ statusCode = 400, message }, request, reply) => {
      sendProblem(reply, request, new Problem(statusCode, message, { error: `ERR ${message}` }))
    },
    ...(settings.tls === null
      ? {}
      : { https: { cert: readFileSync(settings.tls.certFile), key: readFileSync(settings.tls.keyFile) } }),
    http: {
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, settings.requestTimeoutMs),
      connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
    },
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
  })
  app.server.maxConnections = settings.connectionsMax
  installValidation(app)
  return app
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

type Done = (error?: Error) => void

/** Finds the user of each request. Hot path: no promise but for JWTs. */
function identifyHook({
  identities,
}: GatewayContext): (request: FastifyRequest, reply: FastifyReply, done: Done) => void {
  return (request, reply, done) => {
    reply.header('x-request-id', request.id)
    if (request.routeOptions.config.isPublic === true) {
      done()
      return
    }
    try {
      const user = identities.identify(request.raw)
      if (user instanceof Promise) {
        user.then((found) => {
          request.user = found
          done()
        }, done)
        return
      }
      request.user = user
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  }
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}
