/**
 * Replies as JSON, in the shape of the Upstash REST API. Hot path. Written by hand: one pass, nothing built in between.
 *
 * A text has a limit, because V8's strings have one, half a GiB, and escaping may make six chars of one.
 */
import { CommandError, Decode, type ReplyValue } from '../engine.ts'
import { Problem } from '../problem.ts'

/** Largest answer, in chars or bytes. What is larger can be had as RESP2, one command at a time. */
export const ANSWER_SIZE_MAX = 64 * 1024 * 1024

/** How deep arrays may nest. Scripts can reply more, but parsers of JSON refuse it, and our stack ends. */
const NESTING_MAX = 1000

/** The outcomes of a batch, as an array. @throws Problem 400 when they are too large */
export function batchJson(replies: readonly ReplyValue[], decode: Decode): string {
  let json = '['
  for (let i = 0; i < replies.length; i++) {
    json += i === 0 ? outcomeJson(replies[i]!, decode) : `,${outcomeJson(replies[i]!, decode)}`
    checkSize(json.length)
  }
  return `${json}]`
}

/** @throws Problem 400 for the size of an answer that is over the limit */
export function checkSize(size: number): void {
  if (size > ANSWER_SIZE_MAX) throw new Problem(400, `ERR the answer is larger than ${ANSWER_SIZE_MAX} bytes`)
}

/** `{"result": …}` or `{"error": …}`. @throws Problem 400 when it is too large */
export function outcomeJson(reply: ReplyValue, decode: Decode): string {
  if (reply instanceof CommandError) return errorJson(reply.message)
  return `{"result":${valueJson(reply, decode, 0)}}`
}

export function errorJson(text: string): string {
  return `{"error":${JSON.stringify(text)}}`
}

function valueJson(value: ReplyValue, decode: Decode, depth: number): string {
  if (typeof value === 'string') {
    checkSize(value.length)
    // Base64, and the OK that stands beside it, have nothing to escape.
    return decode === Decode.Base64 ? `"${value}"` : JSON.stringify(value)
  }
  if (value === null) return 'null'
  // Integers beyond 2^53 are bigints: all their digits are sent.
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (isList(value)) return listJson(value, decode, depth + 1)
  // An error inside of an array is never encoded.
  if (value instanceof CommandError) return JSON.stringify(value.message)
  throw new TypeError('A reply of RESP2 is no string, number, array, error or null')
}

function listJson(list: readonly ReplyValue[], decode: Decode, depth: number): string {
  if (depth > NESTING_MAX) throw new Problem(400, `ERR the answer is nested deeper than ${NESTING_MAX} levels`)
  if (list.length === 0) return '[]'
  let json = `[${valueJson(list[0]!, decode, depth)}`
  for (let i = 1; i < list.length; i++) {
    json += `,${valueJson(list[i]!, decode, depth)}`
    checkSize(json.length)
  }
  return `${json}]`
}

function isList(value: ReplyValue): value is readonly ReplyValue[] {
  return Array.isArray(value)
}
