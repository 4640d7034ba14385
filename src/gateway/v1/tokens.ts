/**
 * Tokens of the HTTP doors, for administrators: whoever may run ACL TOKEN may make a token for any user, as with the
 * command. The secret is told once, in the answer that issues it; only its hash is kept.
 *
 *     POST /v1/tokens        GET /v1/tokens        DELETE /v1/tokens/{id}
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Token, TokenFileError, TooManyTokensError } from '../../access/tokens.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'

const USER_LENGTH_MAX = 1024
const LABEL_LENGTH_MAX = 64
/** A hundred years, in seconds. */
const EXPIRE_SECONDS_MAX = 3_155_760_000

const USER = { type: 'string', minLength: 1, maxLength: USER_LENGTH_MAX, description: 'Name of the ACL user.' } as const

const TOKEN_PROPERTIES = {
  id: { type: 'string', description: 'Names the token; no secret.' },
  user: USER,
  name: { type: 'string', description: 'What it is for.' },
  readOnly: { type: 'boolean', description: 'Whether it only reads.' },
  createdAt: { type: 'string', format: 'date-time' },
  expiresAt: { type: ['string', 'null'], format: 'date-time', description: 'null: never.' },
} as const

const TOKEN = { type: 'object', properties: TOKEN_PROPERTIES } as const

const CREATE = {
  tags: ['Tokens'],
  summary: 'Issue a token',
  description: 'For users who may run ACL TOKEN. The token itself is in this answer and nowhere else.',
  operationId: 'createToken',
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['user'],
    properties: {
      user: USER,
      name: { type: 'string', maxLength: LABEL_LENGTH_MAX, default: '', description: 'What it is for.' },
      readOnly: { type: 'boolean', default: false, description: 'Whether it only reads.' },
      expiresInSeconds: { type: 'integer', minimum: 1, maximum: EXPIRE_SECONDS_MAX, description: 'Default: never.' },
    },
  },
  response: {
    201: {
      type: 'object',
      properties: {
        token: { type: 'string', description: 'The secret: `Authorization: Bearer <token>`.' },
        ...TOKEN_PROPERTIES,
      },
    },
  },
} as const

const LIST = {
  tags: ['Tokens'],
  summary: 'List tokens',
  description: 'For users who may run ACL TOKEN. Without what makes a token valid.',
  operationId: 'listTokens',
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { user: USER, _token: { type: 'string' } },
  },
  response: { 200: { type: 'object', properties: { tokens: { type: 'array', items: TOKEN } } } },
} as const

const REVOKE = {
  tags: ['Tokens'],
  summary: 'Revoke a token',
  description: 'For users who may run ACL TOKEN. Takes effect with the next request.',
  operationId: 'revokeToken',
  params: {
    type: 'object',
    properties: { id: { type: 'string', pattern: '^[0-9a-f]{16}$', description: 'ID of the token.' } },
  },
  response: { 204: { type: 'null', description: 'The token is void.' } },
} as const

interface CreateBody {
  readonly user: string
  readonly name: string
  readonly readOnly: boolean
  readonly expiresInSeconds?: number
}

export async function tokenRoutes(app: FastifyInstance, { engine }: GatewayContext): Promise<void> {
  const { tokens, users } = engine

  app.post<{ Body: CreateBody }>('/tokens', { schema: CREATE }, (request, reply) => {
    const { user, name, readOnly, expiresInSeconds } = request.body
    requireCommands(engine, userOf(request), [['ACL', 'TOKEN', 'CREATE', user]])
    const userName = toBytes(user)
    if (users.find(userName) === null) throw new Problem(404, 'There is no such user')
    const now = Date.now()
    const expiresMs = expiresInSeconds === undefined ? null : now + expiresInSeconds * 1000
    // The same as ACL TOKEN CREATE keeps: names are byte strings there.
    const options = { name: toBytes(name), isReadOnly: readOnly, expiresMs }
    const { id, token } = orProblem(() => tokens.issue(userName, options, now))
    answerIssued(reply, token, { id, userName, createdMs: now, ...options })
  })

  app.get<{ Querystring: { readonly user?: string } }>('/tokens', { schema: LIST }, (request) => {
    const { user } = request.query
    requireCommands(engine, userOf(request), [['ACL', 'TOKEN', 'LIST']])
    return { tokens: tokens.list(user === undefined ? null : toBytes(user)).map(tokenJson) }
  })

  app.delete<{ Params: { readonly id: string } }>('/tokens/:id', { schema: REVOKE }, (request, reply) => {
    const { id } = request.params
    requireCommands(engine, userOf(request), [['ACL', 'TOKEN', 'REVOKE', id]])
    if (!orProblem(() => tokens.revoke(id))) throw new Problem(404, 'There is no such token')
    reply.code(204).send()
  })
}

function answerIssued(reply: FastifyReply, token: string, issued: Token): void {
  reply.code(201).headers({ location: `/v1/tokens/${issued.id}`, 'cache-control': 'no-store' })
  reply.send({ token, ...tokenJson(issued) })
}

function tokenJson({ id, userName, name, isReadOnly, createdMs, expiresMs }: Token): Record<string, unknown> {
  return {
    id,
    user: toText(userName),
    name: toText(name),
    readOnly: isReadOnly,
    createdAt: new Date(createdMs).toISOString(),
    expiresAt: expiresMs === null ? null : new Date(expiresMs).toISOString(),
  }
}

/** What cannot be done for want of room or a disk is the administrator's to know. @throws Problem */
function orProblem<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof TooManyTokensError) throw new Problem(409, error.message)
    if (error instanceof TokenFileError) throw new Problem(503, error.message)
    throw error
  }
}

/** Text as a byte string, and back. */
function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

function toText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
