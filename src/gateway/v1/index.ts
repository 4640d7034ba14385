/**
 * The resource API: families of routes under `/v1`, their OpenAPI document, and the answers to requests that none of them
 * takes: 405 where the path exists, else 404.
 */
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { Problem } from '../problem.ts'
import { realtimeRoutes } from '../realtime/routes.ts'
import { keyRoutes } from './keys.ts'
import { leaderboardRoutes } from './leaderboards.ts'
import { installOpenApi, openApiRoutes } from './openapi.ts'
import { queueRoutes } from './queues.ts'
import { rateLimitRoutes } from './rate-limits.ts'
import { streamRoutes } from './streams.ts'
import { tokenRoutes } from './tokens.ts'
import { topicRoutes } from './topics.ts'

type Routes = (app: FastifyInstance, context: GatewayContext) => Promise<void>

/** Each family is a plugin of its own, in a file of its own. */
const FAMILIES: readonly Routes[] = [
  streamRoutes,
  topicRoutes,
  leaderboardRoutes,
  queueRoutes,
  rateLimitRoutes,
  realtimeRoutes,
  keyRoutes,
  tokenRoutes,
]

/** Methods that are answered with 405 where a path has others. OPTIONS belongs to CORS. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export async function v1Routes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  await app.register(
    async (v1) => {
      const paths = new Paths()
      v1.addHook('onRoute', (route) => paths.add(route))
      await installOpenApi(v1)
      for (const routes of FAMILIES) await v1.register(async (scope) => routes(scope, context))
      await v1.register(openApiRoutes)
      // Plugins of the families are loaded when this one is.
      v1.register(async (rest) => refuseTheRest(rest, paths))
    },
    { prefix: '/v1' },
  )
}

/** The paths of the API, and the methods of each. */
class Paths {
  readonly methods = new Map<string, Set<string>>()
  readonly public = new Set<string>()
  private isComplete: boolean = false

  /** No route that comes from now on counts. */
  complete(): void {
    this.isComplete = true
  }

  add(route: RouteOptions & { readonly path: string }): void {
    if (this.isComplete) return
    // The root of a plugin is there with and without a slash.
    const path = route.path.replace(/\/$/, '')
    const found = this.methods.get(path) ?? new Set()
    for (const method of typeof route.method === 'string' ? [route.method] : route.method) found.add(method)
    this.methods.set(path, found)
    if (route.config?.isPublic === true) this.public.add(path)
  }
}

function refuseTheRest(app: FastifyInstance, paths: Paths): void {
  paths.complete()
  const prefixLength = app.prefix.length
  for (const [path, methods] of paths.methods) {
    const allow = [...methods].sort().join(', ')
    const missing = METHODS.filter((method) => !methods.has(method))
    if (missing.length === 0 || path.endsWith('*')) continue
    app.route({
      method: missing,
      url: path.slice(prefixLength),
      schema: { hide: true },
      config: { isPublic: paths.public.has(path) },
      // Before the body is read: whatever it is, it is not wanted.
      onRequest: async (request) => {
        throw new Problem(405, `${request.method} is not allowed here, but ${allow}`, {}, { allow })
      },
      handler: () => {},
    })
  }
  app.all('/*', {
    schema: { hide: true },
    onRequest: async () => {
      throw new Problem(404, 'There is no such resource')
    },
    handler: () => {},
  })
}
