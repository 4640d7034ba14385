/**
 * Many keys in one request. What the user may do is asked for all of them first; then each is done by itself, so others
 * may come between, and one that fails (a key of another type, out of memory) does not undo the rest: it has an `error`
 * in its place.
 */
import type { FastifyInstance } from 'fastify'
import { CommandError, Decode, type Engine, type ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { decodeValue, ENCODING_OF_ANSWER, type Encoding, encodeValue, JSON_BYTES_MAX, KEY, VALUE } from './key-value.ts'
import { checkWrite, deleteKey, WRITE_OPTIONS, type Write, type WriteOptions, writeValue } from './key-write.ts'
import { answer, BATCH_MAX, body, ENCODING, query } from './schemas.ts'

interface KeysBody {
  readonly keys: readonly string[]
}

interface Item extends WriteOptions {
  readonly key: string
  readonly value: string
  readonly encoding: Encoding
}

interface ItemError {
  readonly code: string
  readonly detail: string
}

export async function keyBatchRoutes(app: FastifyInstance, { engine }: GatewayContext): Promise<void> {
  app.post<{ Body: KeysBody & { readonly encoding: Encoding } }>(
    '/key-batches/get',
    { schema: GET_SCHEMA },
    async (request) => {
      const { keys, encoding } = request.body
      const user = userOf(request)
      const commands = keys.map((key) => ['GET', key])
      requireCommands(engine, user, commands)
      await checkLengths(engine, keys)
      const replies = await engine.pipeline(user, commands, Decode.Bytes)
      return { results: keys.map((key, i) => gotten(key, replies[i]!, encoding)) }
    },
  )

  app.post<{ Body: { readonly items: readonly Item[] } }>(
    '/key-batches/set',
    { schema: SET_SCHEMA },
    async (request) => {
      const writes: Write[] = request.body.items.map(({ key, value, encoding, ...options }) => ({
        key,
        bytes: decodeValue({ value, encoding }),
        options,
      }))
      for (const write of writes) checkWrite(engine, userOf(request), write)
      return { results: await Promise.all(writes.map((write) => setOne(engine, write))) }
    },
  )

  app.post<{ Body: KeysBody }>('/key-batches/delete', { schema: DELETE_SCHEMA }, async (request) => {
    const { keys } = request.body
    requireCommands(
      engine,
      userOf(request),
      keys.map((key) => ['DEL', key]),
    )
    const deleted = await Promise.all(keys.map((key) => deleteKey(engine, key)))
    return { deleted: deleted.filter((isDeleted) => isDeleted).length }
  })
}

/** Asked before the values are read: so many bytes should not even be held at once. @throws Problem 406 */
async function checkLengths(engine: Engine, keys: readonly string[]): Promise<void> {
  const lengths = await engine.pipeline(
    engine.system,
    keys.map((key) => ['STRLEN', key]),
    Decode.Text,
  )
  const total = lengths.reduce<number>((sum, length) => sum + (typeof length === 'number' ? length : 0), 0)
  if (total > JSON_BYTES_MAX) {
    throw new Problem(406, `The values are longer than ${JSON_BYTES_MAX} bytes together: ask for fewer`)
  }
}

function gotten(key: string, reply: ReplyValue, encoding: Encoding): object {
  if (reply instanceof CommandError) return { key, error: itemError(reply) }
  return reply === null ? { key, value: null } : { key, ...encodeValue(reply as Buffer, encoding) }
}

async function setOne(engine: Engine, write: Write): Promise<object> {
  const { key } = write
  try {
    const { isSet } = await writeValue(engine, write)
    return { key, set: isSet }
  } catch (error) {
    if (error instanceof CommandError) return { key, set: false, error: itemError(error) }
    throw error
  }
}

function itemError(error: CommandError): ItemError {
  return { code: error.code, detail: error.message }
}

// ---- Schemas ----

const TAGS = ['Keys']
const KEYS = { type: 'array', minItems: 1, maxItems: BATCH_MAX, items: KEY } as const
const ERROR = {
  description: 'Why this one was not done.',
  type: 'object',
  properties: { code: { type: 'string' }, detail: { type: 'string' } },
} as const

const GET_SCHEMA = {
  tags: TAGS,
  summary: 'Get many values',
  operationId: 'getKeys',
  description: 'Needs GET for all of them.',
  querystring: query({}),
  body: body({ keys: KEYS, encoding: ENCODING }, ['keys']),
  response: {
    200: answer('In the order of the request.', {
      results: {
        type: 'array',
        items: {
          type: 'object',
          required: ['key'],
          properties: {
            key: { type: 'string' },
            value: { type: ['string', 'null'], description: 'Null when there is no such key.' },
            encoding: ENCODING_OF_ANSWER,
            error: ERROR,
          },
        },
      },
    }),
  },
} as const

const SET_SCHEMA = {
  tags: TAGS,
  summary: 'Set many values',
  operationId: 'setKeys',
  description:
    'Of a key that is given twice, either value may be the last. Needs SET for all of them; for tags also ZADD of `cache-tag:<tag>`.',
  querystring: query({}),
  body: body(
    {
      items: {
        type: 'array',
        minItems: 1,
        maxItems: BATCH_MAX,
        items: body({ key: KEY, value: VALUE, encoding: ENCODING, ...WRITE_OPTIONS }, ['key', 'value']),
      },
    },
    ['items'],
  ),
  response: {
    200: answer('In the order of the request.', {
      results: {
        type: 'array',
        items: {
          type: 'object',
          required: ['key', 'set'],
          properties: {
            key: { type: 'string' },
            set: { type: 'boolean', description: 'False when the condition did not hold.' },
            error: ERROR,
          },
        },
      },
    }),
  },
} as const

const DELETE_SCHEMA = {
  tags: TAGS,
  summary: 'Delete many keys',
  operationId: 'deleteKeys',
  description: 'Needs DEL for all of them.',
  querystring: query({}),
  body: body({ keys: KEYS }, ['keys']),
  response: { 200: answer('What was done.', { deleted: { type: 'integer', description: 'How many were there.' } }) },
} as const
