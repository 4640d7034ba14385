/**
 * CORS: pages of the origins in `http-cors-origins` may use the gateway. Without any, nothing is installed and no page of
 * another origin can read an answer.
 *
 * Preflights are answered before a request is identified, because browsers send them without credentials. Credentials of
 * the browser (cookies, remembered passwords) are never allowed: pages send their token themselves.
 */
import fastifyCors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { GatewaySettings } from './settings.ts'

/** Browsers ask again after this time, in seconds. */
const MAX_AGE_SECONDS = 600
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
/** Headers of answers that pages may read, beyond those that all may. */
const EXPOSED_HEADERS = [
  'Allow',
  'Location',
  'RateLimit',
  'RateLimit-Limit',
  'RateLimit-Policy',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'Upstash-Sync-Token',
  'WWW-Authenticate',
  'X-Request-Id',
]

export async function installCors(app: FastifyInstance, { corsOrigins }: GatewaySettings): Promise<void> {
  if (corsOrigins.length === 0) return
  const origin = corsOrigins.includes('*') ? '*' : [...corsOrigins]
  const answer = {
    origin,
    methods: METHODS,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: MAX_AGE_SECONDS,
    credentials: false,
  }
  // An OPTIONS request that is no preflight is none of CORS' business: it goes on to the routes.
  const preflight = { ...answer, preflight: true }
  const plain = { ...answer, preflight: false }
  await app.register(fastifyCors, {
    delegator: (request: FastifyRequest, done) => done(null, isPreflight(request) ? preflight : plain),
  })
}

/** Fetch standard, "CORS-preflight request". */
function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
