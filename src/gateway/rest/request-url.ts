/**
 * Commands in URLs: `/set/key/value?EX=100`. Each segment of the path is an argument (an empty one an empty argument),
 * the body, when there is one, the next, and then each parameter of the query its key and, unless empty, its value.
 *
 * Segments are percent-decoded one by one, so `%2F` is part of an argument. What they decode to need not be UTF-8.
 */
import { isUtf8 } from 'node:buffer'
import type { Argument } from '../engine.ts'
import { Problem } from '../problem.ts'

/** The parameter with which a token may come. It is no argument. */
const TOKEN_PARAMETER = '_token'
const ESCAPES = /%(?![0-9A-Fa-f]{2})/

/** The command of a URL (its path and query) and a body. @throws Problem 400 */
export function commandOfUrl(url: string, body: unknown): Argument[] {
  const end = url.search(/[?#]/)
  const path = end < 0 ? url : url.slice(0, end)
  const words = path.slice(1).split('/').map(decode)
  if (words[0] === '') throw new Problem(400, 'ERR the command is missing')
  if (Buffer.isBuffer(body) && body.length > 0) words.push(body)
  if (end >= 0 && url[end] === '?') addParameters(url.slice(end + 1), words)
  return words
}

function addParameters(query: string, words: Argument[]): void {
  for (const parameter of query.split('#', 1)[0]!.split('&')) {
    const equals = parameter.indexOf('=')
    const key = decode((equals < 0 ? parameter : parameter.slice(0, equals)).replaceAll('+', ' '))
    const value = equals < 0 ? '' : decode(parameter.slice(equals + 1).replaceAll('+', ' '))
    if (parameter === '' || key === TOKEN_PARAMETER) continue
    words.push(key)
    if (value !== '') words.push(value)
  }
}

/** What a part of a URL stands for: text, or bytes when they are not UTF-8. */
function decode(part: string): Argument {
  if (!part.includes('%')) return part
  if (ESCAPES.test(part)) throw new Problem(400, 'ERR the URL has a broken percent escape')
  // Node refuses requests with other chars than ASCII in their URL.
  const bytes = Buffer.from(
    part.replaceAll(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  )
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes
}
