/**
 * What happens to every request before its route: it gets an ID, is counted, identified, and refused when its token or
 * address has made too many requests. Hot path: no promise but for JWTs, and no budget without `http-rate-limit`.
 *
 * Wrong credentials count for the address they come from. Once the budget of an address is spent, passwords and JWTs from
 * there are not even looked at, so that nobody can try many. Tokens of ours are: they cannot be guessed.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayContext } from './gateway.ts'
import { type Identity, isIssuedToken } from './identity.ts'
import type { RouteFigures } from './operations/figures.ts'
import { Problem } from './problem.ts'
import { addressKey, type Budget, RateLimiter, WINDOW_SECONDS } from './rate-limit.ts'

type Done = (error?: Error) => void
type SendDone = (error: null, payload: unknown) => void
type Hook = (request: FastifyRequest, reply: FastifyReply, done: Done) => void

declare module 'fastify' {
  interface FastifyRequest {
    /** When the request had been read up to its body, of a monotonic clock, in ms. */
    startedMs: number
    figures: RouteFigures | null
  }

  interface FastifyContextConfig {
    /** Set for routes of WebSockets. */
    takesWebSockets?: boolean
  }
}

export function installAdmission(app: FastifyInstance, context: GatewayContext): void {
  const { settings } = context
  app.decorateRequest('user', null)
  app.decorateRequest('startedMs', 0)
  app.decorateRequest('figures', null)
  app.addHook('onRoute', (route) => {
    const takesWebSockets = route.websocket === true || route.wsHandler !== undefined
    if (takesWebSockets) route.config = { ...route.config, takesWebSockets }
  })
  app.addHook('onSend', countAnswer)
  const max = settings.requestsPerMinuteMax
  app.addHook('onRequest', max === 0 ? identifyHook(context) : limitHook(context, new RateLimiter(max)))
}

/**
 * What browsers must know of pages: they are what they say, nobody else frames them, and their address, which may have a
 * token in it, is told to nobody.
 */
const PAGE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'SAMEORIGIN',
  'referrer-policy': 'no-referrer',
}

/** Counts an answer and its time for its route. What streams or pushes afterwards is not part of the time. */
function countAnswer(request: FastifyRequest, reply: FastifyReply, payload: unknown, done: SendDone): void {
  request.figures?.add(reply.statusCode, performance.now() - request.startedMs)
  const type = reply.getHeader('content-type')
  if (typeof type === 'string' && type.startsWith('text/')) reply.headers(PAGE_HEADERS)
  done(null, payload)
}

/** What all requests have in common. Returns whether the route is for everybody. @throws Problem 404 */
function begin(request: FastifyRequest, reply: FastifyReply, { draining, figures }: GatewayContext): boolean {
  request.startedMs = performance.now()
  reply.header('x-request-id', request.id)
  if (draining.aborted) reply.header('connection', 'close')
  const { config, url } = request.routeOptions
  request.figures = figures.route(request.method, url)
  // Without this the upgrade would be granted, and the WebSocket closed at once.
  if (request.headers.upgrade?.toLowerCase() === 'websocket' && config.takesWebSockets !== true) {
    throw new Problem(404, 'There is no WebSocket here')
  }
  return config.isPublic === true
}

function identifyHook(context: GatewayContext): Hook {
  const { identities } = context
  return (request, reply, done) => {
    try {
      if (begin(request, reply, context)) {
        done()
        return
      }
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

function limitHook(context: GatewayContext, limiter: RateLimiter): Hook {
  const { figures } = context
  return (request, reply, done) => {
    admit(request, reply, context, limiter).then(
      () => done(),
      (error: Error) => {
        if (error instanceof Problem && error.status === 429) figures.requestsLimited++
        done(error)
      },
    )
  }
}

/** @throws Problem 401, 403, 404, 429 */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  context: GatewayContext,
  limiter: RateLimiter,
): Promise<void> {
  if (begin(request, reply, context)) return
  const { identities } = context
  const address = addressKey(request.ip)
  if (limiter.isSpent(address) && !isIssuedToken(request.raw)) spend(limiter, address, reply)
  let found: Identity
  try {
    found = await identities.authenticate(request.raw)
  } catch (error) {
    spend(limiter, address, reply)
    throw error
  }
  spend(limiter, found.budget ?? address, reply)
  request.user = found.user
}

/** @throws Problem 429 */
function spend(limiter: RateLimiter, key: string, reply: FastifyReply): void {
  const budget = limiter.take(key)
  reply.headers(rateLimitHeaders(budget))
  if (!budget.isExceeded) return
  throw new Problem(429, 'Too many requests', {}, { 'retry-after': String(budget.resetSeconds) })
}

/** As draft-ietf-httpapi-ratelimit-headers-10 has them, and the three of earlier drafts, which more clients know. */
function rateLimitHeaders({ max, remaining, resetSeconds }: Budget): Record<string, string> {
  return {
    'ratelimit-policy': `"requests";q=${max};w=${WINDOW_SECONDS}`,
    ratelimit: `"requests";r=${remaining};t=${resetSeconds}`,
    'ratelimit-limit': String(max),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(resetSeconds),
  }
}
