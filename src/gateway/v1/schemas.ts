/**
 * Schemas that several families of routes share. Texts of paths and queries are converted by validation, bodies are not
 * (validation.ts). Problem details need no schema here: the document adds them to every operation (openapi.ts).
 */

export const NAME_LENGTH_MAX = 1024
/** Entries, IDs or messages in one request or answer. */
export const BATCH_MAX = 1000
/** Longest wait of a long poll, in ms. */
export const BLOCK_MS_MAX = 60_000

export const STREAM = {
  type: 'string',
  minLength: 1,
  maxLength: NAME_LENGTH_MAX,
  description: 'Key of the stream; a slash in it is written `%2F`.',
} as const

export const GROUP = {
  type: 'string',
  minLength: 1,
  maxLength: NAME_LENGTH_MAX,
  description: 'Name of the consumer group.',
} as const

export const CONSUMER = {
  type: 'string',
  minLength: 1,
  maxLength: NAME_LENGTH_MAX,
  description: 'Name of the consumer; it is created when it is new.',
} as const

const ID = '\\d{1,20}(?:-\\d{1,20})?'

export const ENTRY_ID = {
  type: 'string',
  pattern: `^${ID}$`,
  description: 'Entry ID, `<milliseconds>-<sequence>`; without a sequence, 0.',
} as const

export const RANGE_START = {
  type: 'string',
  pattern: `^(?:-|\\+|\\(?${ID})$`,
  default: '-',
  description: 'Lowest ID; `(` before it excludes it; `-` is the first there is.',
} as const

export const RANGE_END = {
  type: 'string',
  pattern: `^(?:-|\\+|\\(?${ID})$`,
  default: '+',
  description:
    'Highest ID, without a sequence all of that millisecond; `(` before it excludes it; `+` is the last there is.',
} as const

/** Where a group stands, or is put. */
export const GROUP_POSITION = {
  type: 'string',
  pattern: `^(?:\\$|${ID})$`,
  description: 'Entries behind this ID are delivered: `0` all, `$` only those that are yet to come.',
} as const

export const ENTRIES_READ = {
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'How many entries lie before that position, for the lag; it is estimated without.',
} as const

export const IDS = { type: 'array', minItems: 1, maxItems: BATCH_MAX, items: ENTRY_ID } as const

export const COUNT = {
  type: 'integer',
  minimum: 1,
  maximum: BATCH_MAX,
  default: 100,
  description: 'Entries in the answer at most.',
} as const

export const CURSOR = {
  type: 'string',
  pattern: `^${ID}$`,
  description: 'The `cursor` of the page before.',
} as const

export const BLOCK_MS = {
  type: 'integer',
  minimum: 0,
  maximum: BLOCK_MS_MAX,
  default: 0,
  description: 'How long to wait for entries when there are none; 0 answers at once.',
} as const

export const IDLE_MS = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const

export const ENCODING = {
  type: 'string',
  enum: ['text', 'base64'],
  default: 'text',
  description: 'What the texts are: themselves, or bytes in base64.',
} as const

const FIELD_OBJECT = {
  type: 'object',
  minProperties: 1,
  maxProperties: BATCH_MAX,
  additionalProperties: { type: 'string' },
} as const

const FIELD_PAIRS = {
  type: 'array',
  minItems: 1,
  maxItems: BATCH_MAX,
  items: { type: 'array', minItems: 2, maxItems: 2, items: { type: 'string' } },
} as const

/** Names and values of a new entry. */
export const FIELDS = {
  description: 'Names and values; as pairs when their order matters or a name occurs twice.',
  anyOf: [FIELD_OBJECT, FIELD_PAIRS],
} as const

/** An entry in an answer. */
export const ENTRY = {
  type: 'object',
  required: ['id', 'fields'],
  properties: {
    id: { type: 'string' },
    fields: {
      description:
        'Names and values. As pairs where the request asks for them; null when a pending entry was deleted from the stream.',
      anyOf: [
        { type: 'object', additionalProperties: { type: 'string' } },
        { type: 'array', items: { type: 'array', items: { type: 'string' } } },
        { type: 'null' },
      ],
    },
    encoding: {
      type: 'string',
      enum: ['base64'],
      description: 'Present when a name or value is not UTF-8: all names and values of this entry are base64 then.',
    },
  },
} as const

/** The query parameter or member that chooses the form of entries in the answer. */
export const FIELDS_AS = {
  type: 'string',
  enum: ['object', 'pairs'],
  default: 'object',
  description: 'Form of names and values; of a name that occurs twice, an object has the last value.',
} as const

export const NEXT_CURSOR = {
  type: ['string', 'null'],
  description: 'For the next page; null when this is the last one.',
} as const

/** An answer with these members, all of which are there. */
export function answer(description: string, properties: Readonly<Record<string, object>>): object {
  return { description, type: 'object', required: Object.keys(properties), properties }
}

/** A body with these members and no others. */
export function body(properties: Readonly<Record<string, object>>, required: readonly string[] = []): object {
  return { type: 'object', additionalProperties: false, required, properties }
}

/** Query parameters: these and no others, but for the token that may stand in any URL. */
export function query(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', additionalProperties: false, properties: { ...properties, _token: TOKEN } }
}

const TOKEN = { type: 'string', description: 'A bearer token, for clients that cannot send headers.' } as const

export function params(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', required: Object.keys(properties), properties }
}
