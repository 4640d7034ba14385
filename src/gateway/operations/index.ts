/** What those who run the gateway ask it: health, metrics and the dashboard of queues. */
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../gateway.ts'
import { Problem } from '../problem.ts'
import { healthRoutes } from './health.ts'
import { metricsRoutes } from './metrics.ts'
import { queueBoardRoutes } from './queue-board.ts'

const PATHS = ['/healthz', '/readyz', '/metrics']
const ALLOWED = 'GET, HEAD'
/** OPTIONS belongs to CORS. */
const OTHERS = ['POST', 'PUT', 'PATCH', 'DELETE']

export async function operationsRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  await queueBoardRoutes(app, context)
  await app.register(async (scope) => {
    healthRoutes(scope, context)
    metricsRoutes(scope, context)
    // The REST door would take these for commands.
    for (const url of PATHS) {
      scope.route({
        method: OTHERS,
        url,
        schema: { hide: true },
        config: { isPublic: true },
        // Before a body is read.
        onRequest: async (request) => {
          throw new Problem(405, `${request.method} is not allowed here, but ${ALLOWED}`, {}, { allow: ALLOWED })
        },
        handler: () => {},
      })
    }
  })
}
