/**
 * Entries and numbers of streams as JSON.
 *
 * Names and values are bytes. An entry in which all are UTF-8 has them as text; in any other all are base64, and the entry
 * says so. So nothing is lost, and a program that only uses text never sees an encoding.
 */
import { isUtf8 } from 'node:buffer'
import type { ReplyValue } from '../engine.ts'
import { Problem } from '../problem.ts'

export type FieldsAs = 'object' | 'pairs'
export type Encoding = 'text' | 'base64'

/** Names and values of a new entry, as a body has them. */
export type FieldsJson = Readonly<Record<string, string>> | readonly (readonly [string, string])[]

export interface EntryJson {
  readonly id: string
  readonly fields: Readonly<Record<string, string>> | readonly (readonly [string, string])[] | null
  readonly encoding?: 'base64'
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

/** A text of a body as an argument of a command. @throws Problem 400 when it is not base64 */
export function decodeText(text: string, encoding: Encoding): string | Buffer {
  if (encoding === 'text') return text
  if (!BASE64.test(text)) throw new Problem(400, 'A value is not base64')
  return Buffer.from(text, 'base64')
}

/** Names and values in turn. */
export function fieldWords(fields: FieldsJson, encoding: Encoding): (string | Buffer)[] {
  const pairs = Array.isArray(fields) ? (fields as readonly (readonly [string, string])[]) : Object.entries(fields)
  const words: (string | Buffer)[] = []
  for (const [name, value] of pairs) words.push(decodeText(name, encoding), decodeText(value, encoding))
  return words
}

/** Entries of a reply to XRANGE and its kin, read with `Decode.Bytes`. */
export function entriesJson(reply: ReplyValue, fieldsAs: FieldsAs): EntryJson[] {
  const entries = (reply ?? []) as readonly (readonly [Buffer, readonly Buffer[] | null] | null)[]
  const found: EntryJson[] = []
  for (const entry of entries) {
    // XCLAIM of Redis before 7.0 has nil for what was deleted.
    if (entry !== null) found.push(entryJson(entry[0].toString('latin1'), entry[1], fieldsAs))
  }
  return found
}

/** Entries that a reply to XREAD or XREADGROUP of one stream has; none when it is nil. */
export function readEntriesJson(reply: ReplyValue, fieldsAs: FieldsAs): EntryJson[] {
  const streams = (reply ?? []) as readonly (readonly [Buffer, ReplyValue])[]
  return streams[0] === undefined ? [] : entriesJson(streams[0][1], fieldsAs)
}

function entryJson(id: string, fields: readonly Buffer[] | null, fieldsAs: FieldsAs): EntryJson {
  if (fields === null) return { id, fields: null }
  const isText = fields.every((bytes) => isUtf8(bytes))
  const texts = fields.map((bytes) => (isText ? bytes.toString() : bytes.toString('base64')))
  const shape = fieldsAs === 'pairs' ? pairsOf(texts) : objectOf(texts)
  return isText ? { id, fields: shape } : { id, fields: shape, encoding: 'base64' }
}

function pairsOf(texts: readonly string[]): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = []
  for (let i = 0; i < texts.length; i += 2) pairs.push([texts[i]!, texts[i + 1]!])
  return pairs
}

function objectOf(texts: readonly string[]): Record<string, string> {
  // Without prototype: a field may be named `__proto__`.
  const object = Object.create(null) as Record<string, string>
  for (let i = 0; i < texts.length; i += 2) object[texts[i]!] = texts[i + 1]!
  return object
}

/** A reply that is a flat list of names and values (a map in RESP3). */
export function mapOf(reply: ReplyValue): ReadonlyMap<string, ReplyValue> {
  const list = reply as readonly ReplyValue[]
  const map = new Map<string, ReplyValue>()
  for (let i = 0; i + 1 < list.length; i += 2) map.set(String(list[i]), list[i + 1]!)
  return map
}

/** An integer of a reply; one beyond 2^53 is rounded, as JSON has no other numbers. */
export function numberOf(value: ReplyValue | undefined): number {
  return Number(value ?? 0)
}

/** As `numberOf`; null where the reply has nil, or does not have it. */
export function numberOrNull(value: ReplyValue | undefined): number | null {
  return value === null || value === undefined ? null : Number(value)
}
