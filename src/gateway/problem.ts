/**
 * Errors of the gateway as HTTP answers: problem details (RFC 9457), `application/problem+json`.
 *
 * `Problem` is thrown by routes. What the engine throws is translated here, in one place: the first word of an error
 * reply decides on the status. The REST door (rest/) has its own shape of errors and uses `statusOf` only.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { CommandError, EngineUnavailableError } from './engine.ts'

/** Members of the body beyond type, title, status and detail. */
export type ProblemFields = Readonly<Record<string, unknown>>

/** An answer with a 4xx or 5xx status. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly fields: ProblemFields
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>

  /** @param detail what is wrong with this request, for people; no secrets */
  constructor(
    status: number,
    detail: string,
    fields: ProblemFields = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail)
    this.status = status
    this.fields = fields
    this.headers = headers
  }
}

/** Short names of statuses, the `title` of a problem. */
const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
}

/** Statuses of error replies by their first word; others are 400. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  NOPERM: 403,
  NOAUTH: 401,
  WRONGPASS: 401,
  NOGROUP: 404,
  BUSYGROUP: 409,
  WRONGTYPE: 409,
  BUSY: 503,
  LOADING: 503,
  MISCONF: 503,
  READONLY: 503,
  MASTERDOWN: 503,
  CLUSTERDOWN: 503,
  TRYAGAIN: 503,
  NOREPLICAS: 503,
  OOM: 507,
}

/** The HTTP status for anything that a route may throw. */
export function statusOf(error: unknown): number {
  if (error instanceof Problem) return error.status
  if (error instanceof CommandError) return STATUS_OF_CODE[error.code] ?? 400
  if (error instanceof EngineUnavailableError) return 503
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') return error.statusCode
  return 500
}

/** Reports a defect of ours: it is logged, the client learns nothing about it. */
export type ReportDefect = (error: unknown, request: FastifyRequest) => void

/** An error handler that answers with problem details. */
export function problemHandler(
  report: ReportDefect,
): (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const status = statusOf(error)
    if (status >= 500 && !isExpected(error)) report(error, request)
    sendProblem(reply, request, toProblem(error, status))
  }
}

/** Whether an error of a route is part of normal operation, not a defect. */
export function isExpected(error: unknown): boolean {
  return error instanceof Problem || error instanceof CommandError || error instanceof EngineUnavailableError
}

export function sendProblem(reply: FastifyReply, request: FastifyRequest, problem: Problem): void {
  const { status, fields, headers } = problem
  reply.code(status).headers(headers).header('content-type', 'application/problem+json; charset=utf-8')
  // As text: the media type is not one that Fastify serialises by itself.
  reply.send(problemBody(status, problem.message, { requestId: request.id, ...fields }))
}

/** The body of a problem, in JSON. */
export function problemBody(status: number, detail: string, fields: ProblemFields): string {
  return JSON.stringify({ type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail, ...fields })
}

function toProblem(error: Error, status: number): Problem {
  if (error instanceof Problem) return error
  if (error instanceof CommandError) return new Problem(status, error.message, { code: error.code })
  if ('validation' in error && Array.isArray(error.validation)) {
    return new Problem(status, error.message, { errors: error.validation.map(validationError) })
  }
  if (status >= 500 && !isExpected(error)) return new Problem(status, 'An internal error occurred')
  return new Problem(status, error.message)
}

/** What JSON Schema validation found, reduced to where and what. */
function validationError(found: unknown): { readonly pointer: string; readonly detail: string } {
  if (typeof found !== 'object' || found === null) return { pointer: '', detail: String(found) }
  const pointer = 'instancePath' in found ? String(found.instancePath) : ''
  const detail = 'message' in found ? String(found.message) : ''
  return { pointer, detail }
}
