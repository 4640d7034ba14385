/** When a request that waits has to end: its client is gone, or the gateway is shutting down. */
import type { FastifyReply } from 'fastify'

/** Aborts when the connection of a request is closed, or answered, or `draining` aborts. */
export function hangUpSignal(reply: FastifyReply, draining: AbortSignal): AbortSignal {
  const controller = new AbortController()
  // Of the response: the request itself is closed as soon as its body was read.
  reply.raw.once('close', () => controller.abort())
  return AbortSignal.any([controller.signal, draining])
}
