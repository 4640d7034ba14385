/**
 * Streams: append, range, read behind an ID with long polling, trim, delete, and what is known about a stream.
 *
 * Each route is one command of the user, but for appending (stream-append.ts) and deleting a stream, which is a script:
 * DEL would delete anything. Consumer groups are in stream-groups.ts.
 */
import type { FastifyInstance } from 'fastify'
import type { User } from '../../access/user.ts'
import { type CommandWords, Decode, type Engine, type ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { callBlocking, LongPolls } from './long-polls.ts'
import {
  answer,
  BATCH_MAX,
  BLOCK_MS,
  body,
  COUNT,
  CURSOR,
  ENCODING,
  ENTRY,
  ENTRY_ID,
  FIELDS,
  FIELDS_AS,
  IDS,
  NEXT_CURSOR,
  params,
  query,
  RANGE_END,
  RANGE_START,
  STREAM,
} from './schemas.ts'
import { defineScript } from './scripts.ts'
import { append, type NewEntry, type TrimJson, trimWords } from './stream-append.ts'
import { callOrNotFound } from './stream-call.ts'
import { streamGroupRoutes } from './stream-groups.ts'
import {
  type EntryJson,
  entriesJson,
  type FieldsAs,
  type FieldsJson,
  mapOf,
  numberOf,
  numberOrNull,
  readEntriesJson,
} from './stream-json.ts'

const DAY_MS = 86_400_000
const WINDOW_MS_MAX = 7 * DAY_MS
const TAGS = ['Streams']
const STREAM_PARAMS = params({ stream: STREAM })

const NEW_ID = {
  type: 'string',
  pattern: '^(?:\\*|\\d{1,20}(?:-(?:\\d{1,20}|\\*))?)$',
  description:
    'Entry ID, above all IDs of the stream; `<ms>-*` generates the sequence (for a single entry). Generated without it.',
} as const

const TRIM = {
  type: 'object',
  additionalProperties: false,
  properties: {
    maxLen: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Entries that stay.' },
    minId: { ...ENTRY_ID, description: 'Entries below this ID go.' },
    approximate: {
      type: 'boolean',
      default: false,
      description: 'May leave some more entries, so that only whole blocks are removed, which is faster.',
    },
    limit: {
      type: 'integer',
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Entries that are removed at most; 0: no limit. Only with `approximate`.',
    },
  },
} as const

interface StreamParams {
  readonly stream: string
}

interface AppendBody {
  readonly id?: string
  readonly fields?: FieldsJson
  readonly entries?: readonly NewEntry[]
  readonly encoding: 'text' | 'base64'
  readonly trim?: TrimJson
  readonly createStream: boolean
}

interface RangeQuery {
  readonly start: string
  readonly end: string
  readonly count: number
  readonly order: 'asc' | 'desc'
  readonly cursor?: string
  readonly fieldsAs: FieldsAs
}

interface ReadQuery {
  readonly after: string
  readonly count: number
  readonly blockMs: number
  readonly fieldsAs: FieldsAs
}

/** Deletes a stream. KEYS: stream. Reply: 1 when it was there. Anything but a stream is an error. */
export const DELETE_STREAM = defineScript(`
local length = redis.pcall('XLEN', KEYS[1])
if type(length) == 'table' then return length end
return redis.call('DEL', KEYS[1])
`)

export async function streamRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  // Answers are few small objects or many entries of the user's: a compiled serialiser gains nothing and costs start time.
  app.setSerializerCompiler(() => JSON.stringify)
  const polls = new LongPolls(context)
  appendRoute(app, context)
  rangeRoutes(app, context)
  readRoute(app, context, polls)
  deleteEntriesRoutes(app, context)
  streamRoute(app, context)
  trimRoute(app, context)
  streamGroupRoutes(app, context, polls)
}

function appendRoute(app: FastifyInstance, { engine }: GatewayContext): void {
  app.post<{
    Params: StreamParams
    Body: AppendBody
    Headers: { 'idempotency-key'?: string }
    Querystring: { idempotencyWindowMs: number }
  }>(
    '/streams/:stream/entries',
    {
      schema: {
        tags: TAGS,
        operationId: 'appendEntries',
        summary: 'Appends one entry or many, all or none',
        description:
          'With an `Idempotency-Key` the request can be repeated: while the key is remembered, the answer is the same and nothing is appended. Such an answer has the header `Idempotent-Replayed: true`.',
        params: STREAM_PARAMS,
        querystring: query({
          idempotencyWindowMs: {
            type: 'integer',
            minimum: 1000,
            maximum: WINDOW_MS_MAX,
            default: DAY_MS,
            description: 'How long the idempotency key is remembered, from the first request on.',
          },
        }),
        headers: {
          type: 'object',
          properties: { 'idempotency-key': { type: 'string', minLength: 1, maxLength: 255 } },
        },
        body: body({
          id: NEW_ID,
          fields: FIELDS,
          entries: {
            type: 'array',
            minItems: 1,
            maxItems: BATCH_MAX,
            description: 'Instead of `id` and `fields`, for several. Either all of them have an ID or none has.',
            items: body({ id: NEW_ID, fields: FIELDS }, ['fields']),
          },
          encoding: ENCODING,
          trim: TRIM,
          createStream: {
            type: 'boolean',
            default: true,
            description: 'Whether a stream that does not exist is created; else that is 404.',
          },
        }),
        response: {
          201: answer('The IDs of the new entries, in their order.', { ids: { type: 'array', items: ENTRY_ID } }),
        },
      },
    },
    async (request, reply) => {
      const { id, fields, entries, encoding, trim, createStream } = request.body
      if ((fields === undefined) === (entries === undefined)) {
        throw new Problem(400, 'The body must have one of fields and entries')
      }
      if (id !== undefined && entries !== undefined) throw new Problem(400, 'An ID stands in the entry it belongs to')
      const { ids, isReplay } = await append(engine, userOf(request), request.params.stream, {
        entries: entries ?? [{ ...(id === undefined ? {} : { id }), fields: fields ?? {} }],
        encoding,
        trim: trim ?? null,
        createsStream: createStream,
        idempotencyKey: request.headers['idempotency-key'] ?? null,
        windowMs: request.query.idempotencyWindowMs,
      })
      if (isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return { ids }
    },
  )
}

function rangeRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  app.get<{ Params: StreamParams; Querystring: RangeQuery }>(
    '/streams/:stream/entries',
    {
      schema: {
        tags: TAGS,
        operationId: 'listEntries',
        summary: 'Lists entries between two IDs, in either order, page by page',
        params: STREAM_PARAMS,
        querystring: query({
          start: RANGE_START,
          end: RANGE_END,
          count: COUNT,
          order: {
            type: 'string',
            enum: ['asc', 'desc'],
            default: 'asc',
            description: '`desc`: from the highest ID down. `start` is the lower end in both orders.',
          },
          cursor: CURSOR,
          fieldsAs: FIELDS_AS,
        }),
        response: {
          200: answer('A page of entries.', { entries: { type: 'array', items: ENTRY }, cursor: NEXT_CURSOR }),
        },
      },
    },
    async (request) => {
      const { count, fieldsAs } = request.query
      // One more than asked for: so it is known whether there is a further page.
      const words = rangeWords(request.params.stream, request.query, count + 1)
      const entries = entriesJson(await engine.call(userOf(request), words, { decode: Decode.Bytes }), fieldsAs)
      const page = entries.slice(0, count)
      return { entries: page, cursor: entries.length > count ? (page.at(-1)?.id ?? null) : null }
    },
  )

  app.get<{ Params: StreamParams & { readonly id: string }; Querystring: { readonly fieldsAs: FieldsAs } }>(
    '/streams/:stream/entries/:id',
    {
      schema: {
        tags: TAGS,
        operationId: 'getEntry',
        summary: 'Gets one entry',
        params: params({ stream: STREAM, id: ENTRY_ID }),
        querystring: query({ fieldsAs: FIELDS_AS }),
        response: { 200: { ...ENTRY, description: 'The entry.' } },
      },
    },
    async (request) => {
      const { stream, id } = request.params
      const exact = id.includes('-') ? id : `${id}-0`
      const reply = await engine.call(userOf(request), ['XRANGE', stream, exact, exact], { decode: Decode.Bytes })
      const [entry] = entriesJson(reply, request.query.fieldsAs)
      if (entry === undefined) throw new Problem(404, 'There is no such entry')
      return entry
    },
  )
}

function rangeWords(stream: string, { start, end, order, cursor }: RangeQuery, count: number): CommandWords {
  return order === 'asc'
    ? ['XRANGE', stream, cursor === undefined ? start : `(${cursor}`, end, 'COUNT', count]
    : ['XREVRANGE', stream, cursor === undefined ? end : `(${cursor}`, start, 'COUNT', count]
}

function readRoute(app: FastifyInstance, { engine }: GatewayContext, polls: LongPolls): void {
  app.get<{ Params: StreamParams; Querystring: ReadQuery }>(
    '/streams/:stream/read',
    {
      schema: {
        tags: TAGS,
        operationId: 'readEntries',
        summary: 'Reads the entries behind an ID, and waits for them',
        description:
          'Pass the `next` of an answer as `after` of the next request: no entry is missed or comes twice, however long that takes.',
        params: STREAM_PARAMS,
        querystring: query({
          after: {
            type: 'string',
            pattern: '^(?:\\$|\\d{1,20}(?:-\\d{1,20})?)$',
            default: '$',
            description: 'Entries behind this ID; `0` from the beginning, `$` only those that are yet to come.',
          },
          count: COUNT,
          blockMs: BLOCK_MS,
          fieldsAs: FIELDS_AS,
        }),
        response: {
          200: answer('Entries, none when none came in time.', {
            entries: { type: 'array', items: ENTRY },
            next: { type: 'string', description: 'The `after` of the next request.' },
          }),
        },
      },
    },
    async (request, reply) => {
      const { stream } = request.params
      const { count, blockMs, fieldsAs } = request.query
      const user = userOf(request)
      const after = request.query.after === '$' ? await lastId(engine, user, stream) : request.query.after
      const source = ['STREAMS', stream, after]
      const found =
        blockMs === 0
          ? await engine.call(user, ['XREAD', 'COUNT', count, ...source], { decode: Decode.Bytes })
          : await polls.run(reply, blockMs, (signal) =>
              callBlocking(engine, user, ['XREAD', 'COUNT', count, 'BLOCK', blockMs, ...source], signal),
            )
      const entries: readonly EntryJson[] = readEntriesJson(found, fieldsAs)
      return { entries, next: entries.at(-1)?.id ?? after }
    },
  )
}

/** What `$` stands for, so that the next request can go on from there: the highest ID that is in the stream. */
async function lastId(engine: Engine, user: User, stream: string): Promise<string> {
  const entries = await engine.call(user, ['XREVRANGE', stream, '+', '-', 'COUNT', 1], { decode: Decode.Bytes })
  return entriesJson(entries, 'pairs')[0]?.id ?? '0-0'
}

function deleteEntriesRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  const response = {
    200: answer('How many of them were there.', { deleted: { type: 'integer' } }),
  }
  app.post<{ Params: StreamParams; Body: { readonly ids: readonly string[] } }>(
    '/streams/:stream/entries/delete',
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteEntries',
        summary: 'Deletes entries',
        params: STREAM_PARAMS,
        body: body({ ids: IDS }, ['ids']),
        response,
      },
    },
    async (request) => {
      const words = ['XDEL', request.params.stream, ...request.body.ids]
      return { deleted: numberOf(await engine.call(userOf(request), words)) }
    },
  )
  app.delete<{ Params: StreamParams & { readonly id: string } }>(
    '/streams/:stream/entries/:id',
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteEntry',
        summary: 'Deletes one entry',
        params: params({ stream: STREAM, id: ENTRY_ID }),
        querystring: query({}),
        response,
      },
    },
    async (request) => {
      const { stream, id } = request.params
      return { deleted: numberOf(await engine.call(userOf(request), ['XDEL', stream, id])) }
    },
  )
}

function streamRoute(app: FastifyInstance, { engine }: GatewayContext): void {
  app.get<{ Params: StreamParams; Querystring: { readonly fieldsAs: FieldsAs } }>(
    '/streams/:stream',
    {
      schema: {
        tags: TAGS,
        operationId: 'getStream',
        summary: 'Tells what is known about a stream',
        params: STREAM_PARAMS,
        querystring: query({ fieldsAs: FIELDS_AS }),
        response: { 200: STREAM_ANSWER },
      },
    },
    async (request) => {
      const words = ['XINFO', 'STREAM', request.params.stream]
      const reply = await callOrNotFound(engine, userOf(request), words, { decode: Decode.Bytes })
      return streamJson(request.params.stream, mapOf(reply), request.query.fieldsAs)
    },
  )
  app.get<{ Params: StreamParams }>(
    '/streams/:stream/length',
    {
      schema: {
        tags: TAGS,
        operationId: 'getStreamLength',
        summary: 'Counts the entries of a stream',
        params: STREAM_PARAMS,
        querystring: query({}),
        response: { 200: answer('0 when there is no such stream.', { length: { type: 'integer' } }) },
      },
    },
    async (request) => ({
      length: numberOf(await engine.call(userOf(request), ['XLEN', request.params.stream])),
    }),
  )
  app.delete<{ Params: StreamParams }>(
    '/streams/:stream',
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteStream',
        summary: 'Deletes a stream with its groups',
        params: STREAM_PARAMS,
        querystring: query({}),
        response: { 200: answer('Whether it was there.', { deleted: { type: 'boolean' } }) },
      },
    },
    async (request) => {
      const { stream } = request.params
      requireCommands(engine, userOf(request), [['DEL', stream]])
      return { deleted: numberOf(await engine.script(DELETE_STREAM, [stream], [])) === 1 }
    },
  )
}

const STREAM_ANSWER = answer('The stream.', {
  stream: { type: 'string' },
  length: { type: 'integer', description: 'Entries that are there.' },
  lastId: { type: 'string', description: 'Highest ID that was ever given.' },
  maxDeletedId: { type: 'string', description: 'Highest ID that was deleted.' },
  entriesAdded: { type: 'integer', description: 'Entries that were ever appended.' },
  groups: { type: 'integer', description: 'Consumer groups.' },
  firstEntry: { anyOf: [ENTRY, { type: 'null' }] },
  lastEntry: { anyOf: [ENTRY, { type: 'null' }] },
})

function streamJson(stream: string, about: ReadonlyMap<string, ReplyValue>, fieldsAs: FieldsAs): object {
  const entry = (name: string): EntryJson | null => entriesJson([about.get(name) ?? null], fieldsAs)[0] ?? null
  return {
    stream,
    length: numberOf(about.get('length')),
    lastId: String(about.get('last-generated-id')),
    maxDeletedId: String(about.get('max-deleted-entry-id')),
    entriesAdded: numberOrNull(about.get('entries-added')),
    groups: numberOf(about.get('groups')),
    firstEntry: entry('first-entry'),
    lastEntry: entry('last-entry'),
  }
}

function trimRoute(app: FastifyInstance, { engine }: GatewayContext): void {
  app.post<{ Params: StreamParams; Body: TrimJson }>(
    '/streams/:stream/trim',
    {
      schema: {
        tags: TAGS,
        operationId: 'trimStream',
        summary: 'Removes old entries',
        params: STREAM_PARAMS,
        body: TRIM,
        response: { 200: answer('How many were removed.', { removed: { type: 'integer' } }) },
      },
    },
    async (request) => {
      const words = ['XTRIM', request.params.stream, ...trimWords(request.body)]
      return { removed: numberOf(await engine.call(userOf(request), words)) }
    },
  )
}
