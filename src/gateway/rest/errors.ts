/** Errors of the REST door: whatever goes wrong, the body is `{"error": "CODE text"}`. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CallCancelledError } from '../../server/in-process.ts'
import { CommandError } from '../engine.ts'
import { Problem, type ReportDefect, statusOf } from '../problem.ts'
import { errorJson } from './reply-json.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'

/** An error handler that answers as Upstash does. Error replies of commands are 400, whatever they say. */
export function restErrorHandler(
  report: ReportDefect,
): (error: Error, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const status = restStatusOf(error)
    if (error instanceof Problem) reply.headers(error.headers)
    reply.code(status).header('content-type', JSON_TYPE)
    if (status === 500) {
      report(error, request)
      reply.send(errorJson('ERR an internal error occurred'))
    } else reply.send(errorJson(isText(error) ? error.message : `ERR ${error.message}`))
  }
}

function restStatusOf(error: Error): number {
  if (error instanceof CommandError) return 400
  // Only shutting down takes back a call whose client is there.
  if (error instanceof CallCancelledError) return 503
  return statusOf(error)
}

/** Whether the message stands for itself, with a code where it has one. */
function isText(error: Error): boolean {
  return error instanceof CommandError || error instanceof Problem
}
