/** The `string` library without `string.format`. Source: lstrlib.c. */
import { intArg, integerArg, optionalInteger, stringArg } from './args.ts'
import { type BuiltinInfo, describeBuiltin } from './builtins.ts'
import { first, nested } from './call.ts'
import { BYTE_STRINGS } from './lib-bytes.ts'
import { charge, joined } from './memory.ts'
import { numberToString } from './number-format.ts'
import { spend } from './pattern-cost.ts'
import type { LuaPattern, Match } from './pattern-items.ts'
import { compilePattern, compileUnanchored } from './patterns.ts'
import { indexFromHost } from './runtime.ts'
import { format } from './string-format.ts'
import { LuaTable } from './table.ts'
import { TextBuilder } from './text-builder.ts'
import {
  argumentError,
  LuaError,
  type LuaFunction,
  type LuaResult,
  type LuaValue,
  libError,
  NO_RESULTS,
  typeName,
} from './value.ts'

/** What a match of `gsub` takes besides the matching, in steps of that. */
const MATCH_STEPS = 50
/** Length of the longest string that V8 can hold. */
const STRING_BYTES_MAX = 536_870_888
/** Longer strings are changed byte by byte in a buffer: in pieces of text they would take many times their length. */
const TEXT_CHARS_MAX = 4096

/** Up to this length the case of a string is changed char by char. */
const CALL_CHARS_MIN = 8
const LOWER: readonly string[] = BYTE_STRINGS.map((char, code) => (code < 128 ? char.toLowerCase() : char))
const UPPER: readonly string[] = BYTE_STRINGS.map((char, code) => (code < 128 ? char.toUpperCase() : char))

/** A library function; errors name it by `name`, which has a colon in front for a method call. */
type Implementation = (args: readonly LuaValue[], name: string) => LuaResult

/** A relative string position, negative from the end, as posrelat. */
function absolute(position: number, length: number): number {
  const result = position < 0 ? length + position + 1 : position
  return result < 0 ? 0 : result
}

const sub: Implementation = (args, name) => {
  const [s, i, j] = args
  if (typeof s === 'string' && isPosition(i) && (j === undefined || isPosition(j))) {
    return substring(s, Math.trunc(i), j === undefined ? -1 : Math.trunc(j))
  }
  return substring(stringArg(args, 0, name), integerArg(args, 1, name), optionalInteger(args, 2, name, -1))
}

/** Whether a value is a number that every conversion to an integer takes for the same position. */
function isPosition(value: LuaValue): value is number {
  return typeof value === 'number' && value < 2 ** 53 && value > -(2 ** 53)
}

function substring(s: string, i: number, j: number): string {
  const from = Math.max(1, absolute(i, s.length))
  const to = Math.min(s.length, absolute(j, s.length))
  return from > to ? '' : s.substring(from - 1, to)
}

const len: Implementation = (args, name) => stringArg(args, 0, name).length

const byte: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  const i = optionalInteger(args, 1, name, 1)
  const from = absolute(i, s.length)
  const to = args[2] === undefined ? from : absolute(integerArg(args, 2, name), s.length)
  const start = Math.max(1, from)
  const end = Math.min(s.length, to)
  if (start > end) return NO_RESULTS
  if (start === end) return s.charCodeAt(start - 1)
  if (end - start >= 7999) throw libError('string slice too long')
  const codes: LuaValue[] = []
  for (let k = start; k <= end; k++) codes.push(s.charCodeAt(k - 1))
  return codes
}

const char: Implementation = (args, name) => {
  let text = ''
  for (let i = 0; i < args.length; i++) {
    const code = intArg(args, i, name)
    if (code < 0 || code > 255) throw argumentError(i + 1, name, 'invalid value')
    text += String.fromCharCode(code)
  }
  return text
}

// Only ASCII letters change: JavaScript's own functions would also change bytes above 127.
const lower: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  if (s.length <= CALL_CHARS_MIN) return mapBytes(s, LOWER)
  return isShortAscii(s) ? s.toLowerCase() : changeCase(s, 0x41)
}

const upper: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  if (s.length <= CALL_CHARS_MIN) return mapBytes(s, UPPER)
  return isShortAscii(s) ? s.toUpperCase() : changeCase(s, 0x61)
}

/** A short string of bytes of a table: sooner done than calling V8's C++. */
function mapBytes(s: string, table: readonly string[]): string {
  let text = ''
  for (let i = 0; i < s.length; i++) text += table[s.charCodeAt(i)]!
  return text
}

function isShortAscii(s: string): boolean {
  if (s.length > TEXT_CHARS_MAX) return false
  for (let i = 0; i < s.length; i++) if (s.charCodeAt(i) > 127) return false
  return true
}

/** Changes the case of the 26 letters from `first` on. */
function changeCase(s: string, first: number): string {
  const bytes = bytesOf(s)
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= first && bytes[i]! < first + 26) bytes[i]! ^= 0x20
  return bytes.latin1Slice(0, s.length)
}

function bytesOf(s: string): Buffer {
  charge(s.length)
  return Buffer.from(s, 'latin1')
}

const rep: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  const n = intArg(args, 1, name)
  if (n <= 0 || s === '') return ''
  if (s.length * n > STRING_BYTES_MAX) throw new LuaError('not enough memory')
  return joined(s.repeat(n))
}

const reverse: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  if (s.length > TEXT_CHARS_MAX) return bytesOf(s).reverse().latin1Slice(0, s.length)
  let text = ''
  for (let i = s.length - 1; i >= 0; i--) text += s[i]
  return text
}

const dump: Implementation = (args, name) => {
  if (typeof args[0] !== 'function') {
    throw argumentError(1, name, `function expected, got ${args.length === 0 ? 'no value' : typeName(args[0])}`)
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

const luaFind: Implementation = (args, name) => {
  const pattern = args[1]
  // Unlike everywhere else, a closing parenthesis alone does not make a pattern here.
  // What stands behind a zero byte is not looked at here, but is searched for.
  const isPlain = typeof pattern === 'string' && /[)\0]/.test(pattern) && !/^[^\0]*[\^$*+?.([%-]/.test(pattern)
  if (isPlain || (args[3] !== undefined && args[3] !== false)) return findPlain(args, name)
  const match = find(args, name)
  if (match === null) return undefined
  const captures = match.captures()
  if (captures.length === 0) return [match.start + 1, match.end]
  return [match.start + 1, match.end, ...captures]
}

function findPlain(args: readonly LuaValue[], name: string): LuaValue[] | undefined {
  const s = stringArg(args, 0, name)
  const text = stringArg(args, 1, name)
  const from = Math.min(s.length, Math.max(0, absolute(optionalInteger(args, 2, name, 1), s.length) - 1))
  const start = s.indexOf(text, from)
  return start < 0 ? undefined : [start + 1, start + text.length]
}

const match: Implementation = (args, name) => {
  const found = find(args, name)
  if (found === null) return undefined
  const captures = found.captures()
  if (captures.length === 0) return found.whole
  return captures.length === 1 ? captures[0] : captures
}

const gmatch: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  const pattern = compileUnanchored(stringArg(args, 1, name))
  let from = 0
  const step: LuaFunction = () => {
    if (from > s.length) return undefined
    const found = pattern.match(s, from)
    if (found === null) {
      from = s.length + 1
      return undefined
    }
    // After an empty match the search goes on one char further.
    from = found.end === found.start ? found.end + 1 : found.end
    const captures = found.captures()
    if (captures.length === 0) return found.whole
    return captures.length === 1 ? captures[0] : captures
  }
  return step
}

/** What a match is replaced by: a text, or false or nil for itself. */
type Replacer = (found: Match) => LuaValue

const gsub: Implementation = (args, name) => {
  const s = stringArg(args, 0, name)
  const pattern = compilePattern(stringArg(args, 1, name))
  const replace = replacer(args, name)
  const max = args[3] === undefined ? s.length + 1 : intArg(args, 3, name)
  if (typeof args[2] === 'string') return substitute(s, pattern, replace, max)
  return nested(() => substitute(s, pattern, replace, max))
}

function substitute(s: string, pattern: LuaPattern, replace: Replacer, max: number): [string, number] {
  const out = new TextBuilder()
  let copied = 0
  let from = 0
  let count = 0
  while (count < max) {
    const found = pattern.match(s, from)
    if (found === null) break
    const { start, end } = found
    count++
    spend(MATCH_STEPS)
    const text = replacementText(replace(found), found.whole)
    if (start > copied) out.add(s.substring(copied, start))
    out.add(text)
    copied = end
    if (end > start) from = end
    else {
      if (start >= s.length) break
      from = start + 1
    }
    if (from > s.length || pattern.isAnchored) break
  }
  if (count === 0) return [s, 0]
  out.add(s.substring(copied))
  return [out.finish(), count]
}

function replacer(args: readonly LuaValue[], name: string): Replacer {
  const replacement = args[2]
  switch (typeof replacement) {
    case 'string':
      return replacement.includes('%') ? templateReplacer(replacement) : () => replacement
    case 'number':
      return templateReplacer(numberToString(replacement))
    case 'function':
      return (found) => {
        const captures = found.captures()
        return luaCallback(replacement, captures.length === 0 ? [found.whole] : captures)
      }
    default:
      if (replacement instanceof LuaTable) {
        return (found) => indexFromHost(replacement, found.capture(0) ?? found.whole)
      }
      throw argumentError(3, name, 'string/function/table expected')
  }
}

/** What this calls has no Lua caller (see `position.ts`). */
function luaCallback(fn: LuaFunction, args: readonly LuaValue[]): LuaValue {
  return first(fn(...args))
}

function replacementText(value: LuaValue, whole: string): string {
  if (typeof value === 'string') return value
  if (value === undefined || value === false) return whole
  if (typeof value === 'number') return numberToString(value)
  throw libError(`invalid replacement value (a ${typeName(value)})`)
}

/** A replacement text with `%0` … `%9`. */
function templateReplacer(template: string): Replacer {
  return (found) => {
    let out = ''
    for (let i = 0; i < template.length; i++) {
      const c = template[i]!
      if (c !== '%') {
        out += c
        continue
      }
      const next = template[++i] ?? '\0'
      if (next < '0' || next > '9') out += next
      else if (next === '0') out += found.whole
      else out += captureText(found, Number(next))
    }
    return out
  }
}

function captureText(found: Match, number: number): string {
  const capture = found.capture(number - 1)
  if (capture === null) {
    if (number === 1) return found.whole
    throw libError('invalid capture index')
  }
  return typeof capture === 'number' ? numberToString(capture) : capture
}

/** Each function has a text of its own, called by its name and as a method, so that V8 compiles and inlines it by itself. */
const FUNCTIONS: readonly [name: string, fn: LuaFunction, asMethod: LuaFunction, info: Partial<BuiltinInfo>][] = [
  ['byte', (...args) => byte(args, 'byte'), (...args) => byte(args, ':byte'), {}],
  ['char', (...args) => char(args, 'char'), (...args) => char(args, ':char'), { isSingle: true, type: 's' }],
  ['dump', (...args) => dump(args, 'dump'), (...args) => dump(args, ':dump'), { isSingle: true, type: 's' }],
  ['find', (...args) => luaFind(args, 'find'), (...args) => luaFind(args, ':find'), {}],
  ['format', (...args) => format(args, 'format'), (...args) => format(args, ':format'), { isSingle: true, type: 's' }],
  ['gfind', (...args) => gmatch(args, 'gfind'), (...args) => gmatch(args, ':gfind'), { isSingle: true }],
  ['gmatch', (...args) => gmatch(args, 'gmatch'), (...args) => gmatch(args, ':gmatch'), { isSingle: true }],
  ['gsub', (...args) => gsub(args, 'gsub'), (...args) => gsub(args, ':gsub'), { callsLua: true }],
  ['len', (...args) => len(args, 'len'), (...args) => len(args, ':len'), { isSingle: true, type: 'n' }],
  ['lower', (...args) => lower(args, 'lower'), (...args) => lower(args, ':lower'), { isSingle: true, type: 's' }],
  ['match', (...args) => match(args, 'match'), (...args) => match(args, ':match'), {}],
  ['rep', (...args) => rep(args, 'rep'), (...args) => rep(args, ':rep'), { isSingle: true, type: 's' }],
  [
    'reverse',
    (...args) => reverse(args, 'reverse'),
    (...args) => reverse(args, ':reverse'),
    { isSingle: true, type: 's' },
  ],
  ['sub', (...args) => sub(args, 'sub'), (...args) => sub(args, ':sub'), { isSingle: true, type: 's' }],
  ['upper', (...args) => upper(args, 'upper'), (...args) => upper(args, ':upper'), { isSingle: true, type: 's' }],
]

/** The `string` library; it also is what methods of strings are looked up in. */
export function createStringLib(): LuaTable {
  const table = new LuaTable()
  for (const [name, fn, asMethod, info] of FUNCTIONS) {
    describeBuiltin(fn, { ...info, asMethod })
    describeBuiltin(asMethod, info)
    table.init(name, fn)
  }
  return table
}
