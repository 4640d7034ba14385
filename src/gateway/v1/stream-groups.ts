/**
 * Consumer groups over HTTP: groups and consumers, read, acknowledge, give back, claim, pending entries, lag.
 *
 * Each route is one command of the user, but for giving back (nack), which is a script: it asks who owns an entry and
 * changes it in one step. Reading waits in group-read.ts.
 */
import type { FastifyInstance } from 'fastify'
import { type Argument, Decode, type ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { type GroupRead, GroupWaits, readGroup } from './group-read.ts'
import type { LongPolls } from './long-polls.ts'
import {
  answer,
  BLOCK_MS,
  body,
  CONSUMER,
  COUNT,
  CURSOR,
  ENTRIES_READ,
  ENTRY,
  ENTRY_ID,
  FIELDS_AS,
  GROUP,
  GROUP_POSITION,
  IDLE_MS,
  IDS,
  NEXT_CURSOR,
  params,
  query,
  RANGE_END,
  RANGE_START,
  STREAM,
} from './schemas.ts'
import { defineScript } from './scripts.ts'
import { callOrNotFound } from './stream-call.ts'
import { entriesJson, type FieldsAs, mapOf, numberOf, numberOrNull, readEntriesJson } from './stream-json.ts'

const TAGS = ['Consumer groups']
const BASE = '/streams/:stream/groups'
const STREAM_PARAMS = params({ stream: STREAM })
const GROUP_PARAMS = params({ stream: STREAM, group: GROUP })
/** An entry idle for longer was given back: its delivery time is 0. In ms, some thirty years. */
const GIVEN_BACK_IDLE_MS = 1e12

/**
 * Gives entries back.
 *
 * KEYS: stream. ARGV: group, consumer, 1 to take the delivery out of the count or 0, IDs. Reply: the IDs that were pending
 * for the consumer and are in the stream.
 *
 * The entry stays with its consumer, as no engine before Redis 8.8 knows pending entries without one, but its delivery
 * time is 0: it has been idle for longer than any reader or XAUTOCLAIM may ask for.
 */
export const NACK = defineScript(`
local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local done = {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local found = redis.pcall('XPENDING', key, group, id, id, 1, consumer)
  if found.err then return found end
  if found[1] then
    local words = {'XCLAIM', key, group, consumer, 0, id, 'TIME', 0, 'JUSTID'}
    if ARGV[3] == '1' then
      words[#words + 1] = 'RETRYCOUNT'
      words[#words + 1] = string.format('%.0f', math.min(math.max(found[1][4] - 1, 0), 9007199254740991))
    end
    local claimed = redis.call(unpack(words))
    if claimed[1] then done[#done + 1] = claimed[1] end
  end
end
return done
`)

interface StreamParams {
  readonly stream: string
}

interface GroupParams extends StreamParams {
  readonly group: string
}

interface ConsumerParams extends GroupParams {
  readonly consumer: string
}

interface ReadBody {
  readonly consumer: string
  readonly count: number
  readonly blockMs: number
  readonly noAck: boolean
  readonly claimIdleMs?: number
  readonly pendingAfter?: string
  readonly fieldsAs: FieldsAs
}

interface PendingQuery {
  readonly start: string
  readonly end: string
  readonly count: number
  readonly cursor?: string
  readonly consumer?: string
  readonly minIdleMs?: number
}

/** Adds the routes to the scope of the streams' (streams.ts). */
export function streamGroupRoutes(app: FastifyInstance, context: GatewayContext, polls: LongPolls): void {
  const waits = new GroupWaits()
  groupRoutes(app, context)
  consumerRoutes(app, context)
  readRoute(app, context, waits, polls)
  ackRoute(app, context)
  nackRoute(app, context, waits)
  claimRoutes(app, context)
  pendingRoutes(app, context)
}

interface GroupJson {
  readonly name: string
  readonly consumers: number
  readonly pending: number
  readonly lastDeliveredId: string
  readonly entriesRead: number | null
  readonly lag: number | null
}

const GROUP_ANSWER = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    consumers: { type: 'integer' },
    pending: { type: 'integer', description: 'Entries delivered and not acknowledged.' },
    lastDeliveredId: { type: 'string', description: 'Entries behind this ID are yet to be delivered.' },
    entriesRead: { type: ['integer', 'null'], description: 'Entries up to that ID; null when that is not known.' },
    lag: { type: ['integer', 'null'], description: 'Entries yet to be delivered; null when that cannot be told.' },
  },
} as const

function groupJson(reply: ReplyValue): GroupJson {
  const about = mapOf(reply)
  return {
    name: String(about.get('name')),
    consumers: numberOf(about.get('consumers')),
    pending: numberOf(about.get('pending')),
    lastDeliveredId: String(about.get('last-delivered-id')),
    entriesRead: numberOrNull(about.get('entries-read')),
    lag: numberOrNull(about.get('lag')),
  }
}

function groupRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  app.get<{ Params: StreamParams }>(
    BASE,
    {
      schema: {
        tags: TAGS,
        operationId: 'listGroups',
        summary: 'Lists the consumer groups of a stream',
        params: STREAM_PARAMS,
        querystring: query({}),
        response: { 200: answer('All groups.', { groups: { type: 'array', items: GROUP_ANSWER } }) },
      },
    },
    async (request) => {
      const words = ['XINFO', 'GROUPS', request.params.stream]
      const reply = await callOrNotFound(engine, userOf(request), words)
      return { groups: (reply as readonly ReplyValue[]).map(groupJson) }
    },
  )

  app.get<{ Params: GroupParams }>(
    `${BASE}/:group`,
    {
      schema: {
        tags: TAGS,
        operationId: 'getGroup',
        summary: 'Tells where a consumer group stands, and its lag',
        params: GROUP_PARAMS,
        querystring: query({}),
        response: { 200: { ...GROUP_ANSWER, description: 'The group.' } },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const reply = await callOrNotFound(engine, userOf(request), ['XINFO', 'GROUPS', stream])
      const found = (reply as readonly ReplyValue[]).map(groupJson).find(({ name }) => name === group)
      if (found === undefined) throw new Problem(404, 'There is no such consumer group')
      return found
    },
  )

  app.post<{
    Params: StreamParams
    Body: {
      readonly name: string
      readonly start: string
      readonly createStream: boolean
      readonly entriesRead?: number
    }
  }>(
    BASE,
    {
      schema: {
        tags: TAGS,
        operationId: 'createGroup',
        summary: 'Creates a consumer group',
        params: STREAM_PARAMS,
        body: body(
          {
            name: GROUP,
            start: { ...GROUP_POSITION, default: '$' },
            createStream: {
              type: 'boolean',
              default: false,
              description: 'Whether a stream that does not exist is created, empty; else that is 404.',
            },
            entriesRead: ENTRIES_READ,
          },
          ['name'],
        ),
        response: { 201: answer('It is there now. 409 when it was there before.', { name: { type: 'string' } }) },
      },
    },
    async (request, reply) => {
      const { name, start, createStream, entriesRead } = request.body
      const words: Argument[] = ['XGROUP', 'CREATE', request.params.stream, name, start]
      if (createStream) words.push('MKSTREAM')
      if (entriesRead !== undefined) words.push('ENTRIESREAD', entriesRead)
      await callOrNotFound(engine, userOf(request), words)
      reply.code(201)
      return { name }
    },
  )

  app.put<{ Params: GroupParams; Body: { readonly id: string; readonly entriesRead?: number } }>(
    `${BASE}/:group/position`,
    {
      schema: {
        tags: TAGS,
        operationId: 'setGroupPosition',
        summary: 'Moves a consumer group to an ID, to deliver again or to skip',
        description: 'Pending entries stay pending, and are delivered again when they lie behind the ID.',
        params: GROUP_PARAMS,
        body: body({ id: GROUP_POSITION, entriesRead: ENTRIES_READ }, ['id']),
        response: { 200: answer('The position.', { id: { type: 'string' } }) },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const { id, entriesRead } = request.body
      const words: Argument[] = ['XGROUP', 'SETID', stream, group, id]
      if (entriesRead !== undefined) words.push('ENTRIESREAD', entriesRead)
      await callOrNotFound(engine, userOf(request), words)
      return { id }
    },
  )

  app.delete<{ Params: GroupParams }>(
    `${BASE}/:group`,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteGroup',
        summary: 'Deletes a consumer group with its pending entries',
        params: GROUP_PARAMS,
        querystring: query({}),
        response: { 200: answer('Whether it was there.', { deleted: { type: 'boolean' } }) },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const words = ['XGROUP', 'DESTROY', stream, group]
      return { deleted: numberOf(await callOrNotFound(engine, userOf(request), words)) === 1 }
    },
  )
}

function consumerRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  app.get<{ Params: GroupParams }>(
    `${BASE}/:group/consumers`,
    {
      schema: {
        tags: TAGS,
        operationId: 'listConsumers',
        summary: 'Lists the consumers of a group',
        params: GROUP_PARAMS,
        querystring: query({}),
        response: {
          200: answer('All consumers.', {
            consumers: {
              type: 'array',
              items: {
                type: 'object',
                properties: {
                  name: { type: 'string' },
                  pending: { type: 'integer' },
                  idleMs: { type: 'integer', description: 'Time since it last asked for entries.' },
                  inactiveMs: {
                    type: ['integer', 'null'],
                    description: 'Time since it last got entries; null when it never did, or the engine cannot tell.',
                  },
                },
              },
            },
          }),
        },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const reply = await callOrNotFound(engine, userOf(request), ['XINFO', 'CONSUMERS', stream, group])
      return { consumers: (reply as readonly ReplyValue[]).map(consumerJson) }
    },
  )

  app.post<{ Params: GroupParams; Body: { readonly name: string } }>(
    `${BASE}/:group/consumers`,
    {
      schema: {
        tags: TAGS,
        operationId: 'createConsumer',
        summary: 'Creates a consumer',
        description: 'There is no need to: reading and claiming create it.',
        params: GROUP_PARAMS,
        body: body({ name: CONSUMER }, ['name']),
        response: { 200: answer('Whether it is new.', { created: { type: 'boolean' } }) },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const words = ['XGROUP', 'CREATECONSUMER', stream, group, request.body.name]
      return { created: numberOf(await callOrNotFound(engine, userOf(request), words)) === 1 }
    },
  )

  app.delete<{ Params: ConsumerParams }>(
    `${BASE}/:group/consumers/:consumer`,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteConsumer',
        summary: 'Deletes a consumer and its pending entries',
        description: 'Nobody gets those any more: claim them for another consumer first.',
        params: params({ stream: STREAM, group: GROUP, consumer: CONSUMER }),
        querystring: query({}),
        response: {
          200: answer('How many entries were pending for it.', { pending: { type: 'integer' } }),
        },
      },
    },
    async (request) => {
      const { stream, group, consumer } = request.params
      const words = ['XGROUP', 'DELCONSUMER', stream, group, consumer]
      return { pending: numberOf(await callOrNotFound(engine, userOf(request), words)) }
    },
  )
}

function consumerJson(reply: ReplyValue): object {
  const about = mapOf(reply)
  const inactiveMs = numberOrNull(about.get('inactive'))
  return {
    name: String(about.get('name')),
    pending: numberOf(about.get('pending')),
    idleMs: numberOf(about.get('idle')),
    inactiveMs: inactiveMs === null || inactiveMs < 0 ? null : inactiveMs,
  }
}

function readRoute(app: FastifyInstance, { engine }: GatewayContext, waits: GroupWaits, polls: LongPolls): void {
  app.post<{ Params: GroupParams; Body: ReadBody }>(
    `${BASE}/:group/read`,
    {
      schema: {
        tags: TAGS,
        operationId: 'readGroup',
        summary: 'Reads entries as a consumer, and waits for them',
        description:
          'Entries are pending for the consumer from then on, until they are acknowledged: also when the answer gets lost.',
        params: GROUP_PARAMS,
        body: body(
          {
            consumer: CONSUMER,
            count: COUNT,
            blockMs: BLOCK_MS,
            noAck: {
              type: 'boolean',
              default: false,
              description: 'Entries do not become pending: each is delivered once at most.',
            },
            claimIdleMs: {
              ...IDLE_MS,
              description:
                'Takes over pending entries first that have been idle for this long, whoever has them; any value includes those that were given back (nack).',
            },
            pendingAfter: {
              ...ENTRY_ID,
              description:
                'Reads the entries that are pending for this consumer already, behind this ID, instead of new ones; `0` all. Does not wait.',
            },
            fieldsAs: FIELDS_AS,
          },
          ['consumer'],
        ),
        response: {
          200: answer('Entries, none when none came in time.', { entries: { type: 'array', items: ENTRY } }),
        },
      },
    },
    async (request, reply) => {
      const user = userOf(request)
      const { stream, group } = request.params
      const { consumer, count, fieldsAs, pendingAfter } = request.body
      if (pendingAfter !== undefined) {
        refusePendingWith(request.body)
        const source = ['XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, pendingAfter]
        return { entries: readEntriesJson(await engine.call(user, source, { decode: Decode.Bytes }), fieldsAs) }
      }
      const read = groupRead(request.params, request.body)
      // Both are checked before one is run: nothing may be claimed for somebody who gets no answer.
      if (read.claimIdleMs !== null) {
        requireCommands(engine, user, [['XREADGROUP', 'GROUP', group, consumer, 'STREAMS', stream, '>']])
      }
      const run = (signal: AbortSignal): ReturnType<typeof readGroup> => readGroup(engine, user, read, waits, signal)
      return {
        entries: await (read.blockMs === 0 ? run(new AbortController().signal) : polls.run(reply, read.blockMs, run)),
      }
    },
  )
}

function refusePendingWith({ blockMs, noAck, claimIdleMs }: ReadBody): void {
  if (blockMs > 0 || noAck || claimIdleMs !== undefined) {
    throw new Problem(400, 'pendingAfter does not go with blockMs, noAck or claimIdleMs')
  }
}

function groupRead({ stream, group }: GroupParams, body: ReadBody): GroupRead {
  const { consumer, count, blockMs, noAck, claimIdleMs, fieldsAs } = body
  if (noAck && claimIdleMs !== undefined) throw new Problem(400, 'noAck does not go with claimIdleMs')
  return {
    stream,
    group,
    consumer,
    count,
    blockMs,
    fieldsAs,
    isAcknowledged: noAck,
    claimIdleMs: claimIdleMs ?? null,
  }
}

function ackRoute(app: FastifyInstance, { engine }: GatewayContext): void {
  app.post<{ Params: GroupParams; Body: { readonly ids: readonly string[] } }>(
    `${BASE}/:group/ack`,
    {
      schema: {
        tags: TAGS,
        operationId: 'acknowledgeEntries',
        summary: 'Acknowledges entries: they are pending no more',
        params: GROUP_PARAMS,
        body: body({ ids: IDS }, ['ids']),
        response: {
          200: answer('How many of them were pending.', { acknowledged: { type: 'integer' } }),
        },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const words = ['XACK', stream, group, ...request.body.ids]
      return { acknowledged: numberOf(await engine.call(userOf(request), words)) }
    },
  )
}

function nackRoute(app: FastifyInstance, { engine }: GatewayContext, waits: GroupWaits): void {
  app.post<{
    Params: GroupParams
    Body: { readonly consumer: string; readonly ids: readonly string[]; readonly mode: 'fail' | 'silent' }
  }>(
    `${BASE}/:group/nack`,
    {
      schema: {
        tags: TAGS,
        operationId: 'giveBackEntries',
        summary: 'Gives entries back, to be delivered again at once',
        description:
          'For entries that are pending for the consumer; others are passed over. They stay pending, but whoever reads with `claimIdleMs` gets them next, a read that waits included; so does whoever claims, or calls XAUTOCLAIM, whatever the idle time it asks for.',
        params: GROUP_PARAMS,
        body: body(
          {
            consumer: { ...CONSUMER, description: 'Who has them.' },
            ids: IDS,
            mode: {
              type: 'string',
              enum: ['fail', 'silent'],
              default: 'fail',
              description: '`fail`: the delivery counts. `silent`: it does not, as if there had been none.',
            },
          },
          ['consumer', 'ids'],
        ),
        response: {
          200: answer('The entries that were given back.', { ids: { type: 'array', items: { type: 'string' } } }),
        },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const { consumer, ids, mode } = request.body
      requireCommands(engine, userOf(request), [
        ['XPENDING', stream, group, '-', '+', '1', consumer],
        ['XCLAIM', stream, group, consumer, '0', '0-1'],
      ])
      const args = [group, consumer, mode === 'silent' ? 1 : 0, ...ids]
      const done = (await engine.script(NACK, [stream], args)) as readonly ReplyValue[]
      if (done.length > 0) waits.wake(stream, group)
      return { ids: done.map(String) }
    },
  )
}

function claimRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  app.post<{
    Params: GroupParams
    Body: {
      readonly consumer: string
      readonly ids: readonly string[]
      readonly minIdleMs: number
      readonly deliveries?: number
      readonly fieldsAs: FieldsAs
    }
  }>(
    `${BASE}/:group/claim`,
    {
      schema: {
        tags: TAGS,
        operationId: 'claimEntries',
        summary: 'Takes over certain pending entries',
        params: GROUP_PARAMS,
        body: body(
          {
            consumer: CONSUMER,
            ids: IDS,
            minIdleMs: { ...IDLE_MS, default: 0, description: 'Only those that have been idle for this long.' },
            deliveries: {
              type: 'integer',
              minimum: 0,
              maximum: Number.MAX_SAFE_INTEGER,
              description: 'Sets how often they count as delivered; one more than before without.',
            },
            fieldsAs: FIELDS_AS,
          },
          ['consumer', 'ids'],
        ),
        response: {
          200: answer('The entries that were claimed.', { entries: { type: 'array', items: ENTRY } }),
        },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const { consumer, ids, minIdleMs, deliveries, fieldsAs } = request.body
      const words: Argument[] = ['XCLAIM', stream, group, consumer, minIdleMs, ...ids]
      if (deliveries !== undefined) words.push('RETRYCOUNT', deliveries)
      return { entries: entriesJson(await engine.call(userOf(request), words, { decode: Decode.Bytes }), fieldsAs) }
    },
  )

  app.post<{
    Params: GroupParams
    Body: {
      readonly consumer: string
      readonly minIdleMs: number
      readonly count: number
      readonly cursor: string
      readonly fieldsAs: FieldsAs
    }
  }>(
    `${BASE}/:group/autoclaim`,
    {
      schema: {
        tags: TAGS,
        operationId: 'autoclaimEntries',
        summary: 'Takes over pending entries that have been idle for long enough, page by page',
        params: GROUP_PARAMS,
        body: body(
          {
            consumer: CONSUMER,
            minIdleMs: { ...IDLE_MS, description: 'Only those that have been idle for this long.' },
            count: COUNT,
            cursor: { ...CURSOR, default: '0-0' },
            fieldsAs: FIELDS_AS,
          },
          ['consumer', 'minIdleMs'],
        ),
        response: {
          200: answer('The entries that were claimed. A page may have none and still not be the last one.', {
            entries: { type: 'array', items: ENTRY },
            deletedIds: {
              type: 'array',
              items: { type: 'string' },
              description: 'Pending entries that were not in the stream any more: they are pending no more.',
            },
            cursor: NEXT_CURSOR,
          }),
        },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const { consumer, minIdleMs, count, cursor, fieldsAs } = request.body
      const words = ['XAUTOCLAIM', stream, group, consumer, minIdleMs, cursor, 'COUNT', count]
      const reply = await engine.call(userOf(request), words, { decode: Decode.Bytes })
      const [next, entries, deleted] = reply as readonly ReplyValue[]
      return {
        entries: entriesJson(entries ?? null, fieldsAs),
        deletedIds: ((deleted ?? []) as readonly ReplyValue[]).map(String),
        cursor: String(next) === '0-0' ? null : String(next),
      }
    },
  )
}

function pendingRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  app.get<{ Params: GroupParams }>(
    `${BASE}/:group/pending`,
    {
      schema: {
        tags: TAGS,
        operationId: 'summarizePending',
        summary: 'Sums up the pending entries of a group',
        params: GROUP_PARAMS,
        querystring: query({}),
        response: {
          200: answer('The summary.', {
            count: { type: 'integer' },
            lowestId: { type: ['string', 'null'] },
            highestId: { type: ['string', 'null'] },
            consumers: {
              type: 'array',
              description: 'Consumers with pending entries.',
              items: { type: 'object', properties: { name: { type: 'string' }, count: { type: 'integer' } } },
            },
          }),
        },
      },
    },
    async (request) => {
      const { stream, group } = request.params
      const reply = await engine.call(userOf(request), ['XPENDING', stream, group])
      const [count, lowest, highest, consumers] = reply as readonly ReplyValue[]
      return {
        count: numberOf(count),
        lowestId: lowest === null ? null : String(lowest),
        highestId: highest === null ? null : String(highest),
        consumers: ((consumers ?? []) as readonly (readonly ReplyValue[])[]).map(([name, owned]) => ({
          name: String(name),
          count: numberOf(owned),
        })),
      }
    },
  )

  app.get<{ Params: GroupParams; Querystring: PendingQuery }>(
    `${BASE}/:group/pending/entries`,
    {
      schema: {
        tags: TAGS,
        operationId: 'listPending',
        summary: 'Lists pending entries, page by page',
        params: GROUP_PARAMS,
        querystring: query({
          start: RANGE_START,
          end: RANGE_END,
          count: COUNT,
          cursor: CURSOR,
          consumer: { ...CONSUMER, description: 'Only those of this consumer.' },
          minIdleMs: { ...IDLE_MS, description: 'Only those that have been idle for this long.' },
        }),
        response: {
          200: answer('A page of pending entries, by ID.', {
            entries: {
              type: 'array',
              items: {
                type: 'object',
                properties: {
                  id: { type: 'string' },
                  consumer: { type: 'string', description: 'Who has it.' },
                  idleMs: {
                    type: ['integer', 'null'],
                    description: 'Time since it was delivered; null when it was given back (nack).',
                  },
                  deliveries: { type: 'integer', description: 'How often it was delivered.' },
                },
              },
            },
            cursor: NEXT_CURSOR,
          }),
        },
      },
    },
    async (request) => {
      const { count } = request.query
      const reply = await engine.call(userOf(request), pendingWords(request.params, request.query))
      const entries = (reply as readonly (readonly ReplyValue[])[]).map(pendingJson)
      const page = entries.slice(0, count)
      return { entries: page, cursor: entries.length > count ? (page.at(-1)?.id ?? null) : null }
    },
  )
}

function pendingWords({ stream, group }: GroupParams, found: PendingQuery): Argument[] {
  const words: Argument[] = ['XPENDING', stream, group]
  if (found.minIdleMs !== undefined) words.push('IDLE', found.minIdleMs)
  // One more than asked for: so it is known whether there is a further page.
  words.push(found.cursor === undefined ? found.start : `(${found.cursor}`, found.end, found.count + 1)
  if (found.consumer !== undefined) words.push(found.consumer)
  return words
}

interface PendingJson {
  readonly id: string
  readonly consumer: string
  readonly idleMs: number | null
  readonly deliveries: number
}

function pendingJson([id, consumer, idle, deliveries]: readonly ReplyValue[]): PendingJson {
  const idleMs = numberOf(idle)
  return {
    id: String(id),
    consumer: String(consumer),
    idleMs: idleMs >= GIVEN_BACK_IDLE_MS ? null : idleMs,
    deliveries: numberOf(deliveries),
  }
}
