/** Values of strings as they appear in JSON: text, or base64 of the bytes. */
import { isUtf8 } from 'node:buffer'
import { Problem } from '../problem.ts'
import { NAME_LENGTH_MAX } from './schemas.ts'

/** Values in one JSON answer, in bytes: written with escapes they must fit into a string of JavaScript (2^29 chars). */
export const JSON_BYTES_MAX = 64 * 1024 * 1024

export type Encoding = 'text' | 'base64'

export interface EncodedValue {
  readonly value: string
  readonly encoding: Encoding
}

/**
 * Bytes as text where that was asked for and they are UTF-8, else as base64.
 *
 * @throws Problem 406 when they are too many for JSON
 */
export function encodeValue(bytes: Buffer, wanted: Encoding): EncodedValue {
  if (bytes.length > JSON_BYTES_MAX) {
    throw new Problem(406, `The value is longer than ${JSON_BYTES_MAX} bytes: accept application/octet-stream`)
  }
  if (wanted === 'text' && isUtf8(bytes)) return { value: bytes.toString('utf8'), encoding: 'text' }
  return { value: bytes.toString('base64'), encoding: 'base64' }
}

/** @throws Problem 400 when the text is not what the encoding says */
export function decodeValue({ value, encoding }: EncodedValue): Buffer {
  if (encoding === 'text') {
    if (!value.isWellFormed()) throw new Problem(400, 'value is not well-formed text: it has half of a surrogate pair')
    return Buffer.from(value)
  }
  const bytes = Buffer.from(value, 'base64')
  // Node skips what is not base64.
  if (bytes.toString('base64') !== value) throw new Problem(400, 'value is not base64')
  return bytes
}

// ---- Schemas ----

/** Chars of a value in JSON; in fact `http-body-limit` is reached before. */
const VALUE_LENGTH_MAX = 512 * 1024 * 1024

export const VALUE = { type: 'string', maxLength: VALUE_LENGTH_MAX } as const

export const KEY = { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX } as const

export const ENCODING_OF_ANSWER = {
  type: 'string',
  enum: ['text', 'base64'],
  description: 'What `value` is: itself, or bytes in base64.',
} as const
