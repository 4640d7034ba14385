/**
 * Rate limits: how often something may happen, for each subject (a user, an address, a key of an API …) of a limit.
 *
 * The policy comes with each request, so nothing has to be set up; the state of a subject is one key,
 * `ratelimit:<name>:<subject>`, which one script reads and writes (scripts.ts `RATE_LIMIT` tells how) and which expires by
 * itself. All times are the engine's.
 *
 * | Algorithm | Allowed | State |
 * |---|---|---|
 * | `fixed-window` | `limit` in a window, which begins with the first request after the one before | a few bytes |
 * | `sliding-window` | `limit` in any `windowMs`: exact, a log of what was consumed | an entry per ms, at most `limit` |
 * | `gcra` | `burst` at once, `limit` per `windowMs` in the long run, evenly | a few bytes |
 *
 * Needs GET and SET, for the sliding window ZRANGE and ZADD, of the key; to reset DEL.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { CommandWords, Engine } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { query } from './schemas.ts'
import { RATE_LIMIT } from './scripts.ts'

const KEY_PREFIX = 'ratelimit:'
/** Requests in a window. Times the longest window it is below 2^53, with which the script calculates. */
const LIMIT_MAX = 1_000_000
/** The log of a sliding window has an entry for each. */
const SLIDING_LIMIT_MAX = 10_000
/** 31 days, in ms. */
const WINDOW_MS_MAX = 31 * 86_400_000
const SUBJECT_LENGTH_MAX = 1024

type Algorithm = 'fixed-window' | 'sliding-window' | 'gcra'

interface Params {
  readonly name: string
  readonly subject: string
}

interface Policy {
  readonly algorithm: Algorithm
  readonly limit: number
  readonly windowMs: number
  readonly burst?: number
  readonly cost: number
}

interface Consumption extends Policy {
  readonly refusedStatus: 200 | 429
}

/** What the script found. Times in ms. */
interface Verdict {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** Until all of the quota is there again. */
  readonly resetMs: number
  /** Until the same cost is allowed, when nobody else consumes; 0 when it is. */
  readonly retryAfterMs: number
}

const Mode = { Consume: 'consume', Peek: 'peek' } as const
type Mode = (typeof Mode)[keyof typeof Mode]

export async function rateLimitRoutes(app: FastifyInstance, { engine }: GatewayContext): Promise<void> {
  app.post<{ Params: Params; Body: Consumption }>(
    '/rate-limits/:name/:subject',
    { schema: CONSUME_SCHEMA },
    async (request, reply) => {
      const policy = request.body
      const verdict = await ask(engine, request, policy, Mode.Consume)
      setHeaders(reply, request.params.name, policy, verdict)
      if (verdict.allowed) return verdict
      reply.header('retry-after', inSeconds(verdict.retryAfterMs))
      if (policy.refusedStatus === 200) return verdict
      throw exceeded(request.params.name, verdict)
    },
  )

  app.get<{ Params: Params; Querystring: Policy }>(
    '/rate-limits/:name/:subject',
    { schema: PEEK_SCHEMA },
    async (request, reply) => {
      const verdict = await ask(engine, request, request.query, Mode.Peek)
      setHeaders(reply, request.params.name, request.query, verdict)
      return verdict
    },
  )

  app.delete<{ Params: Params }>('/rate-limits/:name/:subject', { schema: RESET_SCHEMA }, async (request) => {
    const deleted = await engine.call(userOf(request), ['DEL', keyOf(request.params)])
    return { reset: deleted === 1 }
  })
}

async function ask(
  engine: Engine,
  request: FastifyRequest<{ Params: Params }>,
  policy: Policy,
  mode: Mode,
): Promise<Verdict> {
  const { algorithm, limit, windowMs, cost } = policy
  const burst = checkedBurst(policy)
  if (algorithm === 'sliding-window' && limit > SLIDING_LIMIT_MAX) {
    throw new Problem(400, `limit of a sliding window must be <= ${SLIDING_LIMIT_MAX}`)
  }
  if (cost > burst) throw new Problem(400, `cost ${cost} is never allowed: at most ${burst} are at once`)
  const key = keyOf(request.params)
  requireCommands(engine, userOf(request), rights(key, algorithm, mode))
  const reply = await engine.script(RATE_LIMIT, [key], [algorithm, limit, windowMs, burst, cost, mode])
  const [allowed, remaining, resetMs, retryAfterMs] = reply as [number, number, number, number]
  return { allowed: allowed === 1, limit: burst, remaining, resetMs, retryAfterMs }
}

/** What may be consumed at once. */
function checkedBurst({ algorithm, limit, burst }: Policy): number {
  if (burst === undefined) return limit
  if (algorithm !== 'gcra') throw new Problem(400, `burst is for gcra, not for ${algorithm}`)
  return burst
}

/** The commands that do the like. A state of another algorithm is looked at, and replaced. */
function rights(key: string, algorithm: Algorithm, mode: Mode): CommandWords[] {
  const isLog = algorithm === 'sliding-window'
  const read = isLog ? ['ZRANGE', key, '0', '-1'] : ['GET', key]
  if (mode === Mode.Peek) return [read]
  return [read, isLog ? ['ZADD', key, '1', 'entry'] : ['SET', key, 'state']]
}

function keyOf({ name, subject }: Params): string {
  return `${KEY_PREFIX}${name}:${subject}`
}

/**
 * `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10, and the three fields of earlier drafts
 * that most clients know. Names need no escapes: the pattern of the parameter sees to it.
 */
function setHeaders(reply: FastifyReply, name: string, { limit, windowMs }: Policy, verdict: Verdict): void {
  const resetSeconds = inSeconds(verdict.resetMs)
  reply.headers({
    'ratelimit-policy': `"${name}";q=${limit};w=${inSeconds(windowMs)}`,
    ratelimit: `"${name}";r=${verdict.remaining};t=${resetSeconds}`,
    'ratelimit-limit': String(verdict.limit),
    'ratelimit-remaining': String(verdict.remaining),
    'ratelimit-reset': resetSeconds,
    'cache-control': 'no-store',
  })
}

/** Whole seconds, never too early. */
function inSeconds(ms: number): string {
  return String(Math.ceil(ms / 1000))
}

/** The problem type is the one that the draft registers. */
function exceeded(name: string, verdict: Verdict): Problem {
  return new Problem(429, `The rate limit ${name} is exceeded: retry in ${verdict.retryAfterMs} ms`, {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    'violated-policies': [name],
    ...verdict,
  })
}

// ---- Schemas ----

const TAGS = ['Rate limits']
const PARAMS = {
  type: 'object',
  required: ['name', 'subject'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_.-]{1,128}$',
      description: 'Of the limit; it names the policy in the headers.',
    },
    subject: { type: 'string', minLength: 1, maxLength: SUBJECT_LENGTH_MAX, description: 'Who is limited.' },
  },
} as const

const POLICY = {
  algorithm: { type: 'string', enum: ['fixed-window', 'sliding-window', 'gcra'] },
  limit: {
    type: 'integer',
    minimum: 1,
    maximum: LIMIT_MAX,
    description: `How much is allowed in a window; of a sliding one at most ${SLIDING_LIMIT_MAX}.`,
  },
  windowMs: { type: 'integer', minimum: 1, maximum: WINDOW_MS_MAX, description: 'Length of the window.' },
  burst: {
    type: 'integer',
    minimum: 1,
    maximum: LIMIT_MAX,
    description: 'gcra: how much is allowed at once. Default: limit.',
  },
  cost: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: 1, description: 'What one request costs.' },
} as const
const REQUIRED = ['algorithm', 'limit', 'windowMs']

const VERDICT = {
  type: 'object',
  properties: {
    allowed: { type: 'boolean' },
    limit: { type: 'integer', description: 'How much is allowed at once.' },
    remaining: { type: 'integer' },
    resetMs: { type: 'integer', description: 'Time until all of it is there again.' },
    retryAfterMs: { type: 'integer', description: 'Time until the same cost is allowed; 0 when it is.' },
  },
} as const

const CONSUME_SCHEMA = {
  tags: TAGS,
  summary: 'Consume of a rate limit',
  operationId: 'consumeRateLimit',
  description: 'Refused with 429 and Retry-After. Needs GET and SET, for `sliding-window` ZRANGE and ZADD.',
  params: PARAMS,
  body: {
    type: 'object',
    additionalProperties: false,
    required: REQUIRED,
    properties: {
      ...POLICY,
      refusedStatus: {
        type: 'integer',
        enum: [200, 429],
        default: 429,
        description: 'Status of the answer when it is not allowed; 200 says so in the body only.',
      },
    },
  },
  querystring: query({}),
  response: { 200: { description: 'Consumed, or (with refusedStatus 200) `allowed: false`.', ...VERDICT } },
} as const

const PEEK_SCHEMA = {
  tags: TAGS,
  summary: 'Look at a rate limit',
  operationId: 'getRateLimit',
  description: 'Consumes nothing: tells whether the cost would be allowed. Needs GET, for `sliding-window` ZRANGE.',
  params: PARAMS,
  querystring: { ...query(POLICY), required: REQUIRED },
  response: { 200: { description: 'The state of the subject.', ...VERDICT } },
} as const

const RESET_SCHEMA = {
  tags: TAGS,
  summary: 'Reset a rate limit',
  operationId: 'resetRateLimit',
  description: 'Forgets what the subject has consumed. Needs DEL.',
  params: PARAMS,
  querystring: query({}),
  response: {
    200: {
      description: 'Whether there was anything to forget.',
      type: 'object',
      properties: { reset: { type: 'boolean' } },
    },
  },
} as const
