/**
 * The messages of the realtime doors, as JSON texts. docs/REALTIME.md describes them for users.
 *
 *     client ─▶ { id, op, … }                      a request; the ID is the client's own
 *     server ─▶ { type: 'reply' | 'error', id, … }  exactly one per request
 *     server ─▶ { type: 'message' | 'entries' | … } a push
 *
 * When you add an operation, also change: OPERATIONS here, requests.ts, docs/REALTIME.md, src/client/.
 */
import { Ajv } from 'ajv'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { lazily } from '../validation.ts'
import { CREDIT_MAX, NAME_LENGTH_MAX } from './limits.ts'

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = 'millrace.v1'

/** Why the server closes a WebSocket. */
export const CloseCode = {
  /** The server shuts down. */
  Draining: 1001,
  /** A message is larger than http-body-limit. */
  TooBig: 1009,
  /** What came is no request: not JSON, without an ID, or binary. */
  Protocol: 4400,
  /** The user is gone or switched off, or the token is not valid any more. */
  Unauthorized: 4401,
  /** The client does not take its messages fast enough. */
  SlowConsumer: 4408,
  /** Too many messages, or refused subscriptions. */
  TooMany: 4429,
} as const
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

/** An error reply that is the gateway's own; errors of commands have the first word of their text as code. */
export class RealtimeError extends Error {
  override readonly name = 'RealtimeError'
  readonly code: RealtimeErrorCode

  constructor(code: RealtimeErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export type RealtimeErrorCode =
  | 'BAD_REQUEST'
  | 'INTERNAL'
  | 'KEYSPACE_EVENTS_OFF'
  | 'LIMIT'
  | 'NOT_CONSUMING'
  | 'NOT_SUBSCRIBED'
  | 'UNAVAILABLE'

export type RequestId = string | number

/** What a subscription is about; exactly one of the members is there (`queue` may have a `prefix`). */
export interface Selector {
  readonly channel?: string
  readonly pattern?: string
  readonly stream?: string
  /** A key, or a glob pattern of keys. */
  readonly keys?: string
  readonly queue?: string
  /** Of BullMQ. Default: `bull`. */
  readonly prefix?: string
}

export interface SubscribeRequest extends Selector {
  readonly op: 'subscribe'
  /** Of streams and queues: entries behind this ID; `$`: those that come (the default). */
  readonly from?: string
  /** Of channels, patterns and keys. Default: `close`. */
  readonly overflow?: 'close' | 'drop'
}

export interface UnsubscribeRequest extends Selector {
  readonly op: 'unsubscribe'
}

export interface ConsumeRequest {
  readonly op: 'consume'
  readonly stream: string
  readonly group: string
  readonly consumer: string
  /** Entries that are out at most. Default: 16. */
  readonly credit?: number
  /** Creates a missing group, which starts behind this ID (`0`, `$`, an ID), and a missing stream. */
  readonly create?: string
}

export interface CancelRequest {
  readonly op: 'cancel'
  readonly consumption: number
}

export interface AckRequest {
  readonly op: 'ack'
  readonly consumption: number
  readonly ids: readonly string[]
}

export interface NackRequest {
  readonly op: 'nack'
  readonly consumption: number
  readonly ids: readonly string[]
  /** Time until the entries are delivered again, in ms. Default: 0. */
  readonly delayMs?: number
}

export interface PublishRequest {
  readonly op: 'publish'
  readonly channel: string
  readonly data: string
  readonly encoding?: 'base64'
}

export interface AppendRequest {
  readonly op: 'append'
  readonly stream: string
  /** An object, or names and values in turn. */
  readonly fields: Readonly<Record<string, string | number>> | readonly (string | number)[]
  /** Default: the server makes one. */
  readonly entryId?: string
  /** Trims the stream to about so many entries. */
  readonly maxLength?: number
  /** Of names and values. */
  readonly encoding?: 'base64'
}

export interface CallRequest {
  readonly op: 'call'
  readonly args: readonly (string | number)[]
  /** `base64`: strings of the reply are base64 of their bytes. */
  readonly encoding?: 'base64'
  /** `base64`: arguments are base64 of their bytes. */
  readonly argsEncoding?: 'base64'
}

export interface PingRequest {
  readonly op: 'ping'
}

export type Request =
  | SubscribeRequest
  | UnsubscribeRequest
  | ConsumeRequest
  | CancelRequest
  | AckRequest
  | NackRequest
  | PublishRequest
  | AppendRequest
  | CallRequest
  | PingRequest

const NAME = { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX }
const ENTRY_ID = { type: 'string', pattern: '^\\d{1,20}(-\\d{1,20})?$' }
const START = { type: 'string', pattern: '^(\\$|\\d{1,20}(-\\d{1,20})?)$' }
const BASE64 = { type: 'string', enum: ['base64'] }
const CONSUMPTION = { type: 'integer', minimum: 1 }
const WORD = { type: ['string', 'number'] }
const ENTRY_IDS = { type: 'array', items: ENTRY_ID, minItems: 1, maxItems: CREDIT_MAX }
const DELAY_MAX_MS = 3_600_000

/** What `{ id }` may be. */
const REQUEST_ID = { type: ['string', 'integer'], maxLength: 128 }

const SELECTOR = { channel: NAME, pattern: NAME, stream: NAME, keys: NAME, queue: NAME, prefix: NAME }

const ajv = new Ajv({ strict: true, allowUnionTypes: true })

function operation(properties: object, required: readonly string[]): FastifyValidationResult {
  return lazily(ajv, {
    type: 'object',
    properties: { id: REQUEST_ID, op: { type: 'string' }, ...properties },
    required: ['id', 'op', ...required],
    additionalProperties: false,
  })
}

const OPERATIONS: Readonly<Record<Request['op'], FastifyValidationResult>> = {
  subscribe: operation({ ...SELECTOR, from: START, overflow: { type: 'string', enum: ['close', 'drop'] } }, []),
  unsubscribe: operation(SELECTOR, []),
  consume: operation(
    {
      stream: NAME,
      group: NAME,
      consumer: NAME,
      credit: { type: 'integer', minimum: 1, maximum: CREDIT_MAX },
      create: START,
    },
    ['stream', 'group', 'consumer'],
  ),
  cancel: operation({ consumption: CONSUMPTION }, ['consumption']),
  ack: operation({ consumption: CONSUMPTION, ids: ENTRY_IDS }, ['consumption', 'ids']),
  nack: operation(
    { consumption: CONSUMPTION, ids: ENTRY_IDS, delayMs: { type: 'integer', minimum: 0, maximum: DELAY_MAX_MS } },
    ['consumption', 'ids'],
  ),
  publish: operation({ channel: NAME, data: { type: 'string' }, encoding: BASE64 }, ['channel', 'data']),
  append: operation(
    {
      stream: NAME,
      fields: {
        type: ['object', 'array'],
        items: WORD,
        minItems: 2,
        additionalProperties: WORD,
        minProperties: 1,
        maxProperties: 10_000,
        maxItems: 20_000,
      },
      entryId: { type: 'string', pattern: '^\\d{1,20}-(\\d{1,20}|\\*)$' },
      maxLength: { type: 'integer', minimum: 0 },
      encoding: BASE64,
    },
    ['stream', 'fields'],
  ),
  call: operation(
    { args: { type: 'array', items: WORD, minItems: 1, maxItems: 100_000 }, encoding: BASE64, argsEncoding: BASE64 },
    ['args'],
  ),
  ping: operation({}, []),
}

/** A message of a client; `id` is null when it has none, which is abuse of the protocol. */
export interface ParsedMessage {
  readonly id: RequestId | null
  readonly request: Request | null
  /** What is wrong when there is no request. */
  readonly detail: string
}

export function parseMessage(text: string): ParsedMessage {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { id: null, request: null, detail: 'The message is not JSON' }
  }
  const id = requestIdOf(value)
  if (id === null)
    return { id, request: null, detail: 'The message must be an object with an id: a text or an integer' }
  const { op } = value as { readonly op?: unknown }
  if (typeof op !== 'string' || !Object.hasOwn(OPERATIONS, op)) {
    return { id, request: null, detail: `op must be one of ${Object.keys(OPERATIONS).join(', ')}` }
  }
  const validate = OPERATIONS[op as Request['op']]
  if (validate(value)) return { id, request: value as Request, detail: '' }
  const [error] = validate.errors ?? []
  const where = error?.instancePath.replace(/^\//, '') ?? ''
  return { id, request: null, detail: `${where === '' ? op : where} ${error?.message ?? 'is wrong'}` }
}

function requestIdOf(value: unknown): RequestId | null {
  if (typeof value !== 'object' || value === null || !('id' in value)) return null
  const { id } = value
  if (typeof id === 'string') return id.length <= REQUEST_ID.maxLength ? id : null
  return Number.isSafeInteger(id) ? (id as number) : null
}

export function replyMessage(id: RequestId, result: unknown): string {
  return `{"type":"reply","id":${JSON.stringify(id)},"result":${JSON.stringify(result, withBigInts) ?? 'null'}}`
}

export function errorMessage(id: RequestId, code: string, message: string): string {
  return JSON.stringify({ type: 'error', id, code, message })
}

/** Integers beyond 2^53 are texts in JSON. Errors within a reply (EXEC) are objects. */
function withBigInts(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Error ? { error: value.message } : value
}
