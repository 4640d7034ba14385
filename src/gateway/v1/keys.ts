/**
 * Keys and cache: values of strings with a time to live, conditions and tags.
 *
 * A value is JSON text, base64, or the bytes themselves (`application/octet-stream`, both ways). Other types than strings
 * have routes of their own; here they can be looked at, deleted and given a time to live.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Decode, type Engine } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { cacheTagRoutes } from './cache-tags.ts'
import { decodeValue, ENCODING_OF_ANSWER, type Encoding, encodeValue, KEY, VALUE } from './key-value.ts'
import {
  changeExpiry,
  checkWrite,
  countLifetimes,
  deleteKey,
  LIFETIME,
  type Lifetime,
  WRITE_OPTIONS,
  type WriteOptions,
  writeValue,
} from './key-write.ts'
import { keyBatchRoutes } from './keys-batch.ts'
import { keyListRoutes } from './keys-list.ts'
import { readTogether } from './read-together.ts'
import { answer, body, ENCODING, params, query } from './schemas.ts'

const BYTES_TYPE = 'application/octet-stream'

interface KeyParams {
  readonly key: string
}

interface JsonWrite extends WriteOptions {
  readonly value: string
  readonly encoding: Encoding
}

type PutQuery = WriteOptions & { readonly encoding: Encoding; readonly _token?: string }

interface ExpiryBody extends Lifetime {
  readonly condition?: 'nx' | 'xx' | 'gt' | 'lt'
}

interface IncrementBody {
  readonly by?: number
  readonly byFloat?: number
}

export async function keyRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  const { engine } = context
  app.addContentTypeParser(BYTES_TYPE, { parseAs: 'buffer' }, (_request, bytes, done) => done(null, bytes))
  valueRoutes(app, engine)
  expiryRoutes(app, engine)
  incrementRoute(app, engine)
  await keyListRoutes(app, context)
  await keyBatchRoutes(app, context)
  await cacheTagRoutes(app, context)
}

function valueRoutes(app: FastifyInstance, engine: Engine): void {
  app.get<{ Params: KeyParams; Querystring: { encoding: Encoding } }>(
    '/keys/:key',
    { schema: GET_SCHEMA },
    async (request, reply) => {
      const { key } = request.params
      const bytes = await engine.call(userOf(request), ['GET', key], { decode: Decode.Bytes })
      if (!(bytes instanceof Buffer)) throw new Problem(404, 'There is no such key')
      return sendValue(request, reply, key, bytes)
    },
  )

  app.put<{ Params: KeyParams; Querystring: PutQuery; Body: JsonWrite | Buffer }>(
    '/keys/:key',
    { schema: PUT_SCHEMA },
    async (request) => {
      const { key } = request.params
      const { encoding, _token, ...given } = request.query
      const options = optionsOf(request.body, given)
      const bytes = Buffer.isBuffer(request.body) ? request.body : decodeValue(request.body)
      const write = { key, bytes, options }
      checkWrite(engine, userOf(request), write)
      const { isSet, old } = await writeValue(engine, write)
      if (options.returnOld !== true) return { key, set: isSet }
      return { key, set: isSet, old: old === null ? null : encodeValue(old, encoding) }
    },
  )

  app.delete<{ Params: KeyParams }>('/keys/:key', { schema: DELETE_SCHEMA }, async (request) => {
    const { key } = request.params
    requireCommands(engine, userOf(request), [['DEL', key]])
    return { deleted: await deleteKey(engine, key) }
  })
}

function expiryRoutes(app: FastifyInstance, engine: Engine): void {
  app.get<{ Params: KeyParams }>('/keys/:key/status', { schema: STATUS_SCHEMA }, async (request) => {
    const { key } = request.params
    const [type, ttl] = await readTogether(engine, userOf(request), [
      ['TYPE', key],
      ['PTTL', key],
    ])
    const exists = type !== 'none'
    return { key, exists, type: exists ? type : null, ttlMs: Number(ttl) < 0 ? null : ttl }
  })

  app.put<{ Params: KeyParams; Body: ExpiryBody }>('/keys/:key/expiry', { schema: EXPIRE_SCHEMA }, async (request) => {
    const { key } = request.params
    const { ttlMs, ttlSeconds, expiresAtMs, condition } = request.body
    if (countLifetimes(request.body) !== 1) {
      throw new Problem(400, 'One of ttlMs, ttlSeconds and expiresAtMs must be given')
    }
    const words = condition === undefined ? [] : [condition.toUpperCase()]
    if (expiresAtMs !== undefined) {
      return { changed: await changeExpiry(engine, userOf(request), 'PEXPIREAT', key, [expiresAtMs, ...words]) }
    }
    const ms = ttlMs ?? (ttlSeconds ?? 0) * 1000
    return { changed: await changeExpiry(engine, userOf(request), 'PEXPIRE', key, [ms, ...words]) }
  })

  app.delete<{ Params: KeyParams }>('/keys/:key/expiry', { schema: PERSIST_SCHEMA }, async (request) => ({
    changed: await changeExpiry(engine, userOf(request), 'PERSIST', request.params.key, []),
  }))
}

function incrementRoute(app: FastifyInstance, engine: Engine): void {
  app.post<{ Params: KeyParams; Body: IncrementBody }>(
    '/keys/:key/increment',
    { schema: INCREMENT_SCHEMA },
    async (request) => {
      const { key } = request.params
      const { by, byFloat } = request.body
      if (by !== undefined && byFloat !== undefined) throw new Problem(400, 'Only one of by and byFloat can be given')
      const words = byFloat === undefined ? ['INCRBY', key, by ?? 1] : ['INCRBYFLOAT', key, byFloat]
      const text = String(await engine.call(userOf(request), words))
      return { key, value: Number(text), text }
    },
  )
}

/** Sends a value in the form that the client accepts; 304 when it has it. */
function sendValue(
  request: FastifyRequest<{ Querystring: { encoding: Encoding } }>,
  reply: FastifyReply,
  key: string,
  bytes: Buffer,
): unknown {
  const wantsBytes = acceptsBytes(request.headers.accept)
  const form = wantsBytes ? 'bytes' : request.query.encoding
  const digest = createHash('sha1').update(bytes).digest('base64url')
  // The forms of a value are different representations, and a strong tag stands for one.
  const tag = `"${form}-${digest}"`
  reply.headers({ etag: tag, vary: 'Accept', 'cache-control': 'no-cache' })
  if (matches(request.headers['if-none-match'], tag)) return reply.code(304).send()
  if (!wantsBytes) return { key, ...encodeValue(bytes, request.query.encoding) }
  return reply.header('content-type', BYTES_TYPE).header('x-content-type-options', 'nosniff').send(bytes)
}

function acceptsBytes(accept: string | undefined): boolean {
  if (accept === undefined) return false
  return accept.split(',').some((range) => range.split(';')[0]!.trim().toLowerCase() === BYTES_TYPE)
}

/** If-None-Match, RFC 9110 section 13.1.2: weak comparison. */
function matches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((text) => {
    const other = text.trim()
    return other === '*' || other === tag || other === `W/${tag}`
  })
}

/** Options stand in a JSON body or in the query, each once. @throws Problem 400 */
function optionsOf(given: JsonWrite | Buffer, fromQuery: WriteOptions): WriteOptions {
  if (Buffer.isBuffer(given)) return fromQuery
  const { value, encoding, ...fromBody } = given
  const twice = Object.keys(fromBody).find((name) => name in fromQuery)
  if (twice !== undefined) throw new Problem(400, `${twice} is given in the query and in the body`)
  return { ...fromQuery, ...fromBody }
}

// ---- Schemas ----

const TAGS = ['Keys']
const PARAMS = params({ key: { ...KEY, description: 'The key; a slash in it is written `%2F`.' } })
const VALUE_ANSWER = { key: { type: 'string' }, value: { type: 'string' }, encoding: ENCODING_OF_ANSWER }
const CHANGED = answer('Whether it was changed.', {
  changed: { type: 'boolean', description: 'False also when there is no such key.' },
})
const RETURN_OLD = { returnOld: { type: 'boolean', description: 'Answer the value before. Needs to read the key.' } }

const GET_SCHEMA = {
  tags: TAGS,
  summary: 'Get a value',
  operationId: 'getKey',
  description:
    'With `Accept: application/octet-stream` the bytes themselves. A value that is not UTF-8 comes as base64, whatever was asked for. Has an ETag for If-None-Match.',
  params: PARAMS,
  querystring: query({ encoding: ENCODING }),
  response: {
    200: {
      description: 'The value.',
      content: {
        'application/json': { schema: { type: 'object', properties: VALUE_ANSWER } },
        [BYTES_TYPE]: { schema: { type: 'string', format: 'binary' } },
      },
    },
    304: { description: 'The value is the one that If-None-Match names.', type: 'null' },
  },
} as const

const PUT_SCHEMA = {
  tags: TAGS,
  summary: 'Set a value',
  operationId: 'setKey',
  description:
    'Options stand in the query or in a JSON body. Replaces a value of any type, and its tags. Needs SET; for tags also ZADD of `cache-tag:<tag>`.',
  params: PARAMS,
  querystring: query({
    encoding: { ...ENCODING, description: 'Of the value before in the answer.' },
    ...WRITE_OPTIONS,
    ...RETURN_OLD,
  }),
  body: {
    content: {
      'application/json': {
        schema: body({ value: VALUE, encoding: ENCODING, ...WRITE_OPTIONS, ...RETURN_OLD }, ['value']),
      },
      // Any bytes are a value.
      [BYTES_TYPE]: { schema: {} },
    },
  },
  response: {
    200: {
      description: 'Whether it was set.',
      type: 'object',
      required: ['key', 'set'],
      properties: {
        key: { type: 'string' },
        set: { type: 'boolean', description: 'False when the condition did not hold.' },
        old: {
          description: 'The value before, where it was asked for; null when there was none.',
          type: ['object', 'null'],
          properties: { value: { type: 'string' }, encoding: ENCODING_OF_ANSWER },
        },
      },
    },
  },
} as const

const DELETE_SCHEMA = {
  tags: TAGS,
  summary: 'Delete a key',
  operationId: 'deleteKey',
  description: 'Of any type. Needs DEL.',
  params: PARAMS,
  querystring: query({}),
  response: { 200: answer('Whether it was there.', { deleted: { type: 'boolean' } }) },
} as const

const STATUS_SCHEMA = {
  tags: TAGS,
  summary: 'Type and time to live of a key',
  operationId: 'getKeyStatus',
  description: 'Needs TYPE and PTTL.',
  params: PARAMS,
  querystring: query({}),
  response: {
    200: answer('What is known about the key.', {
      key: { type: 'string' },
      exists: { type: 'boolean' },
      type: { type: ['string', 'null'] },
      ttlMs: { type: ['integer', 'null'], description: 'Time until it expires; null: never.' },
    }),
  },
} as const

const EXPIRE_SCHEMA = {
  tags: TAGS,
  summary: 'Set when a key expires',
  operationId: 'expireKey',
  description: 'Needs PEXPIRE; with expiresAtMs PEXPIREAT.',
  params: PARAMS,
  querystring: query({}),
  body: body({
    ...LIFETIME,
    condition: {
      type: 'string',
      enum: ['nx', 'xx', 'gt', 'lt'],
      description: '`nx`: only without an expire time, `xx`: only with one, `gt`: only later, `lt`: only earlier.',
    },
  }),
  response: { 200: CHANGED },
} as const

const PERSIST_SCHEMA = {
  tags: TAGS,
  summary: 'Let a key never expire',
  operationId: 'persistKey',
  description: 'Needs PERSIST.',
  params: PARAMS,
  querystring: query({}),
  response: { 200: CHANGED },
} as const

const INCREMENT_SCHEMA = {
  tags: TAGS,
  summary: 'Add to a number',
  operationId: 'incrementKey',
  description: 'A key that is not there counts as 0. Needs INCRBY; with byFloat INCRBYFLOAT.',
  params: PARAMS,
  querystring: query({}),
  body: body({
    by: {
      type: 'integer',
      minimum: Number.MIN_SAFE_INTEGER,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Default: 1.',
    },
    byFloat: { type: 'number' },
  }),
  response: {
    200: answer('The sum.', {
      key: { type: 'string' },
      value: { type: 'number' },
      text: { type: 'string', description: 'To the last digit, beyond what a double holds.' },
    }),
  },
} as const
