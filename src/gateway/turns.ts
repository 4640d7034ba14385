/**
 * Requests of one connection take turns: one that was sent before its predecessor is answered (pipelining) begins when that
 * answer has left. Hot path for what it does to other requests: one comparison.
 *
 * Answers leave in order anyway. But Node begins all requests that lie in what it has read, and would keep their answers, or
 * what they wait for, for a client that reads none: some kilobytes would be gigabytes, or thousands of sessions. So one
 * connection has one answer in memory and one long poll at a time. What has not begun when the client hangs up never does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** Requests that wait for their turn on one connection; with more it is closed. */
export const WAITING_REQUESTS_MAX = 256

/** To be called before other hooks are installed: nothing of a request is looked at before its turn. */
export function installTurns(app: FastifyInstance): void {
  const waiting = new WeakMap<object, number>()
  app.addHook('onRequest', (request, reply, done) => {
    // Node gives a response the socket when it is its turn.
    if (reply.raw.socket !== null) done()
    else wait(waiting, request.raw, reply.raw, done)
  })
}

function wait(
  waiting: WeakMap<object, number>,
  { socket }: IncomingMessage,
  response: ServerResponse,
  begin: () => void,
): void {
  const count = (waiting.get(socket) ?? 0) + 1
  if (count > WAITING_REQUESTS_MAX) {
    socket.destroy()
    return
  }
  waiting.set(socket, count)
  response.once('socket', () => {
    waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
    // Node is not done with handing it over.
    process.nextTick(begin)
  })
}
