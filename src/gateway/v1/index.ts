/** The resource API: families of routes under `/v1`. */
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../gateway.ts'

type Routes = (app: FastifyInstance, context: GatewayContext) => Promise<void>

/** Each family is a plugin of its own, in a file of its own. */
const FAMILIES: readonly Routes[] = []

export async function v1Routes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  for (const routes of FAMILIES) await app.register(async (scope) => routes(scope, context), { prefix: '/v1' })
}
