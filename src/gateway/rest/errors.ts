/** Errors of the REST door: whatever goes wrong, the body is `{"error": "CODE text"}`. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CallCancelledError } from '../../server/in-process.ts'
import { CommandError } from '../engine.ts'
import { Problem, type ReportDefect, statusOf } from '../problem.ts'
import { errorJson } from './reply-json.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'

/** The status and the body of the answer to a request that has failed. Error replies of commands are 400, whatever they say. */
export function errorAnswer(error: Error): { readonly status: number; readonly body: string } {
  const status = restStatusOf(error)
  if (status === 500) return { status, body: errorJson('ERR an internal error occurred') }
  // The texts of these stand for themselves, with a code where they have one.
  const isText = error instanceof CommandError || error instanceof Problem
  return { status, body: errorJson(isText ? error.message : `ERR ${error.message}`) }
}

/** An error handler that answers as Upstash does. */
export function restErrorHandler(
  report: ReportDefect,
): (error: Error, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const { status, body } = errorAnswer(error)
    if (status === 500) report(error, request)
    if (error instanceof Problem) reply.headers(error.headers)
    reply.code(status).header('content-type', JSON_TYPE).send(body)
  }
}

function restStatusOf(error: Error): number {
  if (error instanceof CommandError) return 400
  // Only shutting down takes back a call whose client is there.
  if (error instanceof CallCancelledError) return 503
  return statusOf(error)
}
