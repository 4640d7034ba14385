/**
 * Health of the process, for whoever starts and restarts it; public, so it says nothing that matters.
 *
 *     /healthz   200 as long as the event loop turns
 *     /readyz    200 when requests can be served, else 503: while the gateway drains, while the engine is not there
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { GatewayContext } from '../gateway.ts'

const OPTIONS = { schema: { hide: true }, config: { isPublic: true } }
/** Nobody keeps such an answer. */
const NOT_KEPT = 'no-store'

export function healthRoutes(app: FastifyInstance, { draining, engine }: GatewayContext): void {
  app.get('/healthz', OPTIONS, (_request, reply) => {
    answer(reply, 200, { status: 'ok' })
  })
  app.get('/readyz', OPTIONS, (_request, reply) => {
    const { isReady, detail } = engine.health
    if (draining.aborted) answer(reply, 503, { status: 'draining', engine: engine.kind, detail: 'shutting down' })
    else answer(reply, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', engine: engine.kind, detail })
  })
}

function answer(reply: FastifyReply, status: number, body: Readonly<Record<string, string>>): void {
  reply.code(status).header('cache-control', NOT_KEPT).send(body)
}
