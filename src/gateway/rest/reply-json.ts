/** Replies as JSON, in the shape of the Upstash REST API. Hot path. Written by hand: one pass, nothing built in between. */
import { CommandError, Decode, type ReplyValue } from '../engine.ts'

/** `{"result": …}` or `{"error": …}`. */
export function outcomeJson(reply: ReplyValue, decode: Decode): string {
  if (reply instanceof CommandError) return errorJson(reply.message)
  return `{"result":${valueJson(reply, decode)}}`
}

export function errorJson(text: string): string {
  return `{"error":${JSON.stringify(text)}}`
}

function valueJson(value: ReplyValue, decode: Decode): string {
  // Base64, and the OK that stands beside it, have nothing to escape.
  if (typeof value === 'string') return decode === Decode.Base64 ? `"${value}"` : JSON.stringify(value)
  if (value === null) return 'null'
  // Integers beyond 2^53 are bigints: all their digits are sent.
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (isList(value)) return listJson(value, decode)
  // An error inside of an array is never encoded.
  if (value instanceof CommandError) return JSON.stringify(value.message)
  throw new TypeError('A reply of RESP2 is no string, number, array, error or null')
}

function listJson(list: readonly ReplyValue[], decode: Decode): string {
  if (list.length === 0) return '[]'
  let json = `[${valueJson(list[0]!, decode)}`
  for (let i = 1; i < list.length; i++) json += `,${valueJson(list[i]!, decode)}`
  return `${json}]`
}

function isList(value: ReplyValue): value is readonly ReplyValue[] {
  return Array.isArray(value)
}
