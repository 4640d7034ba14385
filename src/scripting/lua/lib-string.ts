/** The `string` library without `string.format`. Source: lstrlib.c. */

import { integerArg, optionalInteger, stringArg } from './args.ts'
import { describeBuiltin } from './builtins.ts'
import { first } from './call.ts'
import { numberToString } from './number-format.ts'
import { type Capture, compilePattern, compileUnanchored, type LuaPattern, type Match } from './patterns.ts'
import { index } from './runtime.ts'
import { format } from './string-format.ts'
import { LuaTable } from './table.ts'
import { argumentError, LuaError, type LuaFunction, type LuaValue, libError, NO_RESULTS, typeName } from './value.ts'

/** Length of the longest string that V8 can hold. */
const STRING_BYTES_MAX = 536_870_888

/** A relative string position, negative from the end, as posrelat. */
function absolute(position: number, length: number): number {
  const result = position < 0 ? length + position + 1 : position
  return result < 0 ? 0 : result
}

const sub: LuaFunction = (s, i, j) => {
  if (typeof s === 'string' && typeof i === 'number' && (j === undefined || typeof j === 'number')) {
    return substring(s, Math.trunc(i), j === undefined ? -1 : Math.trunc(j))
  }
  return subSlow(s, i, j)
}

function subSlow(...args: LuaValue[]): string {
  const s = stringArg(args, 0, 'sub')
  return substring(s, integerArg(args, 1, 'sub'), optionalInteger(args, 2, 'sub', -1))
}

function substring(s: string, i: number, j: number): string {
  const from = Math.max(1, absolute(i, s.length))
  const to = Math.min(s.length, absolute(j, s.length))
  return from > to ? '' : s.substring(from - 1, to)
}

const len: LuaFunction = (...args) => stringArg(args, 0, 'len').length

const byte: LuaFunction = (...args) => {
  const s = stringArg(args, 0, 'byte')
  const i = optionalInteger(args, 1, 'byte', 1)
  const from = absolute(i, s.length)
  const to = args[2] === undefined ? from : absolute(integerArg(args, 2, 'byte'), s.length)
  const start = Math.max(1, from)
  const end = Math.min(s.length, to)
  if (start > end) return NO_RESULTS
  if (start === end) return s.charCodeAt(start - 1)
  if (end - start >= 7999) throw libError('string slice too long')
  const codes: LuaValue[] = []
  for (let k = start; k <= end; k++) codes.push(s.charCodeAt(k - 1))
  return codes
}

const char: LuaFunction = (...args) => {
  let text = ''
  for (let i = 0; i < args.length; i++) {
    const code = integerArg(args, i, 'char')
    if (code < 0 || code > 255) throw argumentError(i + 1, 'char', 'invalid value')
    text += String.fromCharCode(code)
  }
  return text
}

// Only ASCII letters change: JavaScript's own functions would also change bytes above 127.
const lower: LuaFunction = (...args) =>
  stringArg(args, 0, 'lower').replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

const upper: LuaFunction = (...args) =>
  stringArg(args, 0, 'upper').replace(/[a-z]+/g, (letters) => letters.toUpperCase())

const rep: LuaFunction = (...args) => {
  const s = stringArg(args, 0, 'rep')
  const n = integerArg(args, 1, 'rep')
  if (n <= 0 || s === '') return ''
  if (s.length * n > STRING_BYTES_MAX) throw new LuaError('not enough memory')
  return s.repeat(n)
}

const reverse: LuaFunction = (...args) => {
  const s = stringArg(args, 0, 'reverse')
  let text = ''
  for (let i = s.length - 1; i >= 0; i--) text += s[i]
  return text
}

const dump: LuaFunction = (...args) => {
  if (typeof args[0] !== 'function') {
    throw argumentError(1, 'dump', `function expected, got ${args.length === 0 ? 'no value' : typeName(args[0])}`)
  }
  // Redis refuses to load bytecode, so the header is all that can be observed.
  return '\x1bLuaQ\0\x01\x04\x08\x04\x08\0'
}

// Searching

function find(args: readonly LuaValue[], name: string): Match | null {
  const s = stringArg(args, 0, name)
  const pattern = stringArg(args, 1, name)
  let from = absolute(optionalInteger(args, 2, name, 1), s.length) - 1
  if (from < 0) from = 0
  else if (from > s.length) from = s.length
  return compilePattern(pattern).match(s, from)
}

const luaFind: LuaFunction = (...args) => {
  if (args[3] !== undefined && args[3] !== false) return findPlain(args)
  const match = find(args, 'find')
  if (match === null) return undefined
  const { captures } = match
  if (captures.length === 0) return [match.start + 1, match.end]
  return [match.start + 1, match.end, ...captures]
}

function findPlain(args: readonly LuaValue[]): LuaValue[] | undefined {
  const s = stringArg(args, 0, 'find')
  const text = stringArg(args, 1, 'find')
  const from = Math.min(s.length, Math.max(0, absolute(optionalInteger(args, 2, 'find', 1), s.length) - 1))
  const start = s.indexOf(text, from)
  return start < 0 ? undefined : [start + 1, start + text.length]
}

const match: LuaFunction = (...args) => {
  const found = find(args, 'match')
  if (found === null) return undefined
  const { captures } = found
  if (captures.length === 0) return stringArg(args, 0, 'match').substring(found.start, found.end)
  return captures.length === 1 ? captures[0] : captures
}

const gmatch: LuaFunction = (...args) => {
  const s = stringArg(args, 0, 'gmatch')
  const pattern = compileUnanchored(stringArg(args, 1, 'gmatch'))
  let from = 0
  return () => {
    if (from > s.length) return undefined
    const found = pattern.match(s, from)
    if (found === null) {
      from = s.length + 1
      return undefined
    }
    // After an empty match the search goes on one char further.
    from = found.end === found.start ? found.end + 1 : found.end
    const { captures } = found
    if (captures.length === 0) return s.substring(found.start, found.end)
    return captures.length === 1 ? captures[0] : captures
  }
}

type Replacer = (whole: string, captures: readonly Capture[]) => string

const gsub: LuaFunction = (...args) => {
  const s = stringArg(args, 0, 'gsub')
  const pattern = compilePattern(stringArg(args, 1, 'gsub'))
  const replace = replacer(args)
  const max = args[3] === undefined ? s.length + 1 : integerArg(args, 3, 'gsub')
  return substitute(s, pattern, replace, max)
}

function substitute(s: string, pattern: LuaPattern, replace: Replacer, max: number): [string, number] {
  let out = ''
  let copied = 0
  let from = 0
  let count = 0
  while (count < max) {
    const found = pattern.match(s, from)
    if (found === null) break
    const { start, end, captures } = found
    count++
    const text = replace(s.substring(start, end), captures)
    if (start > copied) out += s.substring(copied, start)
    out += text
    copied = end
    if (end > start) from = end
    else {
      if (start >= s.length) break
      from = start + 1
    }
    if (from > s.length || pattern.isAnchored) break
  }
  return [copied === 0 && out === '' ? s : out + s.substring(copied), count]
}

function replacer(args: readonly LuaValue[]): Replacer {
  const replacement = args[2]
  switch (typeof replacement) {
    case 'string':
      return replacement.includes('%') ? templateReplacer(replacement) : () => replacement
    case 'number':
      return templateReplacer(numberToString(replacement))
    case 'function':
      return (whole, captures) => {
        const result = captures.length === 0 ? replacement(whole) : replacement(...captures)
        return replacementText(first(result), whole)
      }
    default:
      if (replacement instanceof LuaTable) {
        return (whole, captures) => replacementText(index(replacement, captures[0] ?? whole), whole)
      }
      throw argumentError(3, 'gsub', 'string/function/table expected')
  }
}

function replacementText(value: LuaValue, whole: string): string {
  if (typeof value === 'string') return value
  if (value === undefined || value === false) return whole
  if (typeof value === 'number') return numberToString(value)
  throw libError(`invalid replacement value (a ${typeName(value)})`)
}

/** A replacement text with `%0` … `%9`. */
function templateReplacer(template: string): Replacer {
  return (whole, captures) => {
    let out = ''
    for (let i = 0; i < template.length; i++) {
      const c = template[i]!
      if (c !== '%') {
        out += c
        continue
      }
      const next = template[++i] ?? '\0'
      if (next < '0' || next > '9') out += next
      else if (next === '0') out += whole
      else out += captureText(captures, Number(next), whole)
    }
    return out
  }
}

function captureText(captures: readonly Capture[], number: number, whole: string): string {
  if (number > captures.length) {
    if (number === 1) return whole
    throw libError('invalid capture index')
  }
  const capture = captures[number - 1]!
  return typeof capture === 'number' ? numberToString(capture) : capture
}

/** The `string` library; it also is what methods of strings are looked up in. */
export function createStringLib(): LuaTable {
  const single: [LuaFunction, 'n' | 's' | ''][] = [
    [char, 's'],
    [dump, 's'],
    [format, 's'],
    [gmatch, ''],
    [len, 'n'],
    [lower, 's'],
    [rep, 's'],
    [reverse, 's'],
    [sub, 's'],
    [upper, 's'],
  ]
  for (const [fn, type] of single) describeBuiltin(fn, { isSingle: true, type })
  describeBuiltin(gsub, { callsLua: true })
  return new LuaTable()
    .init('byte', byte)
    .init('char', char)
    .init('dump', dump)
    .init('find', luaFind)
    .init('format', format)
    .init('gfind', gmatch)
    .init('gmatch', gmatch)
    .init('gsub', gsub)
    .init('len', len)
    .init('lower', lower)
    .init('match', match)
    .init('rep', rep)
    .init('reverse', reverse)
    .init('sub', sub)
    .init('upper', upper)
}
