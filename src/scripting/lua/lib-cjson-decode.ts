/**
 * Lua values from JSON text. Hot path.
 *
 * One pass over the byte string, without tokens: each place knows what may come next. When something else does, and only
 * then, `unexpected` looks at the text again and names the token as the original tokenizer would. Strings without escapes
 * are slices of the text. `null` is `CJSON_NULL`; `[]` and `{}` are both an empty table.
 * A zero byte ends the text. Source: Redis deps/lua/src/lua_cjson.c.
 */
import { NESTING_MAX } from './lib-arguments.ts'
import { sliceName } from './lib-bytes.ts'
import { CJSON_NULL } from './lib-cjson-encode.ts'
import { type ScanEnd, scanNumber } from './lib-cjson-number.ts'
import { CHARGED_BYTES, CHARGED_MASK, charge, TABLE_BYTES, whenAborted } from './memory.ts'
import { LuaTable } from './table.ts'
import { type LuaError, type LuaValue, libError } from './value.ts'

const DEPTH_DEFAULT = 1000
/** Strings up to about this length are searched char by char, longer ones by `indexOf`. */
const SHORT_STRING = 24
/** Strings with escapes from this length on are left to native code if possible. */
const NATIVE_LENGTH = 100
/** Digits of an integer that is exact in a double whatever they are. */
const EXACT_DIGITS_MAX = 15

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d

/** What the single-char escapes stand for. */
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** Names of single-char tokens in error messages. */
const TOKEN_NAMES: Readonly<Record<string, string>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ',': 'T_COMMA',
  ':': 'T_COLON',
}

/** The decoder that has read last. */
let current: JsonDecoder | null = null
whenAborted(() => current?.forget())

/** A decoder with its settings, which stay from script to script. It is reused, as it never calls Lua code. */
export class JsonDecoder {
  /** Deepest nesting of arrays and objects. */
  maxDepth: number = DEPTH_DEFAULT
  /** Whether hexadecimal numbers, NaN, infinity, leading zeros and a plus sign are accepted. */
  acceptsInvalidNumbers = true
  private text = ''
  private at = 0
  private depth = 0
  /** Index of the first backslash at or after the last place that was asked; -1: not looked up yet. */
  private backslash = -1
  /** Why the last string could not be read, and the index where. */
  private problem = ''
  private problemAt = 0
  private readonly scan: ScanEnd = { end: 0 }

  /** The value of a JSON text; throws a Lua error when it is malformed. */
  decode(text: string): LuaValue {
    if (text.length >= 2 && (text.charCodeAt(0) === 0 || text.charCodeAt(1) === 0))
      throw libError('JSON parser does not support UTF-16 or UTF-32')
    const end = text.indexOf('\0')
    this.text = end === -1 ? text : text.slice(0, end)
    current = this
    this.at = 0
    this.depth = 0
    this.backslash = -1
    const value = this.value()
    if (!Number.isNaN(this.peek())) throw this.unexpected('the end')
    this.text = ''
    return value
  }

  /** Lets the input go. */
  forget(): void {
    this.text = ''
  }

  /** Skips white space; the code of the next char, NaN at the end. */
  private peek(): number {
    const text = this.text
    let at = this.at
    let code = text.charCodeAt(at)
    while (code <= 0x20 && (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09))
      code = text.charCodeAt(++at)
    this.at = at
    return code
  }

  private value(): LuaValue {
    const code = this.peek()
    switch (code) {
      case QUOTE: {
        const text = this.string()
        if (text === null) throw this.unexpected('value')
        return text
      }
      case 0x7b:
        return this.object()
      case 0x5b:
        return this.array()
      case 0x74:
        if (this.word('true')) return true
        break
      case 0x66:
        if (this.word('false')) return false
        break
      case 0x6e:
        if (this.word('null')) return CJSON_NULL
        break
    }
    const value = this.number(code)
    if (value === null) throw this.unexpected('value')
    return value
  }

  /** Steps over a word when it is next. */
  private word(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false
    this.at += word.length
    return true
  }

  private object(): LuaTable {
    this.descend()
    const table = new LuaTable()
    let code = this.peek()
    if (code !== 0x7d) {
      const hash = new Map<LuaValue, LuaValue>()
      table.hash = hash
      for (;;) {
        const key = code === QUOTE ? this.name() : null
        if (key === null) throw this.unexpected('object key string')
        if (this.peek() !== 0x3a) throw this.unexpected('colon')
        this.at++
        hash.set(key, this.value())
        if ((hash.size & CHARGED_MASK) === 0) charge(CHARGED_BYTES)
        code = this.peek()
        if (code === 0x7d) break
        if (code !== 0x2c) throw this.unexpected('comma or object end')
        this.at++
        code = this.peek()
      }
    }
    this.at++
    this.depth--
    return table
  }

  private array(): LuaTable {
    this.descend()
    const values: LuaValue[] = []
    if (this.peek() !== 0x5d) {
      for (;;) {
        values.push(this.value())
        if ((values.length & CHARGED_MASK) === 0) charge(CHARGED_BYTES)
        const code = this.peek()
        if (code === 0x5d) break
        if (code !== 0x2c) throw this.unexpected('comma or array end')
        this.at++
      }
    }
    this.at++
    this.depth--
    return new LuaTable(values)
  }

  /** Steps over an opening bracket and into the table. */
  private descend(): void {
    this.at++
    this.depth++
    charge(TABLE_BYTES)
    if (this.depth > this.maxDepth || this.depth > NESTING_MAX)
      throw this.fail(`Found too many nested data structures (${this.depth}) at character ${this.at}`)
  }

  /** As `string`, for a key. */
  private name(): string | null {
    const text = this.text
    const start = this.at + 1
    const shortEnd = start + SHORT_STRING
    for (let at = start; at < shortEnd; at++) {
      const code = text.charCodeAt(at)
      if (code === BACKSLASH) break
      if (code === QUOTE) {
        this.at = at + 1
        return sliceName(text, start, at)
      }
    }
    return this.string()
  }

  /** Reads the string whose opening quote is next; `null` leaves the reason in `problem`. */
  private string(): string | null {
    const text = this.text
    const start = this.at + 1
    const shortEnd = start + SHORT_STRING
    let at = start
    for (; at < shortEnd; at++) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) {
        this.at = at + 1
        return text.slice(start, at)
      }
      if (code === BACKSLASH) return this.escapedString(start, at)
    }
    const end = text.indexOf('"', at)
    if (this.backslash < at) {
      const next = text.indexOf('\\', at)
      this.backslash = next === -1 ? Number.POSITIVE_INFINITY : next
    }
    if (end === -1 || this.backslash < end) return this.escapedString(start, at)
    this.at = end + 1
    return text.slice(start, end)
  }

  /** Goes on at `at` with a string that starts at `start` and has escapes, or no end. */
  private escapedString(start: number, at: number): string | null {
    const text = this.text
    const end = endOfString(text, at)
    if (end - start >= NATIVE_LENGTH) {
      const native = nativeString(text.slice(start - 1, end + 1))
      if (native !== null) {
        this.at = end + 1
        return native
      }
    }
    let out = ''
    let runStart = start
    for (;;) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) {
        this.at = at + 1
        return out + text.slice(runStart, at)
      }
      if (Number.isNaN(code)) return this.stringProblem('unexpected end of string', text.length)
      if (code !== BACKSLASH) {
        at++
        continue
      }
      out += text.slice(runStart, at)
      const letter = text[at + 1] ?? ''
      if (letter === 'u') {
        const point = this.codePoint(at)
        if (point < 0) return this.stringProblem('invalid unicode escape code', at)
        out += utf8(point)
        at += point > 0xffff ? 12 : 6
      } else {
        const char = ESCAPES[letter]
        if (char === undefined) return this.stringProblem('invalid escape code', at)
        out += char
        at += 2
      }
      runStart = at
    }
  }

  /** The code point of the `\uXXXX` at `at`, or of the surrogate pair; -1 when malformed. */
  private codePoint(at: number): number {
    const first = hex4(this.text, at + 2)
    if ((first & 0xf800) !== 0xd800 || first < 0) return first
    if ((first & 0x400) !== 0 || !this.text.startsWith('\\u', at + 6)) return -1
    const second = hex4(this.text, at + 8)
    if (second < 0 || (second & 0xfc00) !== 0xdc00) return -1
    return (((first & 0x3ff) << 10) | (second & 0x3ff)) + 0x10000
  }

  private stringProblem(problem: string, at: number): null {
    this.problem = problem
    this.problemAt = at
    return null
  }

  /** Reads the number whose first char is `code`; `null` when there is none. */
  private number(code: number): number | null {
    const text = this.text
    const start = this.at
    const isNegative = code === MINUS
    let at = isNegative ? start + 1 : start
    const digitsStart = at
    let value = 0
    let digit = isNegative ? text.charCodeAt(at) : code
    while (digit >= 0x30 && digit <= 0x39) {
      value = value * 10 + (digit - 0x30)
      digit = text.charCodeAt(++at)
    }
    const count = at - digitsStart
    const isPlain = count > 0 && count <= EXACT_DIGITS_MAX && digit !== 0x2e && (digit | 0x20) !== 0x65
    // One digit may be followed by the x of a hexadecimal number, and several may have a leading zero.
    if (!isPlain || value === 0 || text.charCodeAt(digitsStart) === 0x30) return this.unusualNumber(start)
    this.at = at
    return isNegative ? -value : value
  }

  /** Any number but a plain integer. */
  private unusualNumber(start: number): number | null {
    if (!this.canStartNumber(start)) return null
    const value = scanNumber(this.text, start, this.scan)
    if (this.scan.end === start) return null
    this.at = this.scan.end
    return value
  }

  /** Whether the settings let a number start here; whether it is one, the scan decides. */
  private canStartNumber(start: number): boolean {
    const text = this.text
    const code = text.charCodeAt(start)
    if (code === MINUS || (code >= 0x30 && code <= 0x39)) {
      if (this.acceptsInvalidNumbers) return true
      return !startsInvalidNumber(text, start)
    }
    return this.acceptsInvalidNumbers && startsInvalidNumber(text, start)
  }

  /** `Expected <expected> but found <token at this place> at character N`. */
  private unexpected(expected: string): LuaError {
    const code = this.peek()
    let at = this.at
    let found = this.problem
    if (code === QUOTE) {
      if (this.string() === null) {
        found = this.problem
        at = this.problemAt
      } else found = 'T_STRING'
    } else found = this.tokenName(code)
    return this.fail(`Expected ${expected} but found ${found} at character ${at + 1}`)
  }

  private tokenName(code: number): string {
    if (Number.isNaN(code)) return 'T_END'
    const name = TOKEN_NAMES[String.fromCharCode(code)]
    if (name !== undefined) return name
    if (code === MINUS || (code >= 0x30 && code <= 0x39))
      return this.unusualNumber(this.at) === null ? 'invalid number' : 'T_NUMBER'
    if (this.word('true') || this.word('false')) return 'T_BOOLEAN'
    if (this.word('null')) return 'T_NULL'
    if (!this.canStartNumber(this.at)) return 'invalid token'
    return this.unusualNumber(this.at) === null ? 'invalid number' : 'T_NUMBER'
  }

  private fail(message: string): LuaError {
    this.text = ''
    return libError(message)
  }
}

/** Whether the text is a number for strtod but not for JSON, judged by its start. */
function startsInvalidNumber(text: string, start: number): boolean {
  if (text[start] === '+') return true
  const at = text[start] === '-' ? start + 1 : start
  if (text[at] === '0') return /[xX0-9]/.test(text[at + 1] ?? '')
  return /^(?:inf|nan)/i.test(text.slice(at, at + 3))
}

/** The index of the quote that ends a string, from a place at or before its first escape on; -1 when there is none. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if ((backslashes & 1) === 0) return end
  }
  return -1
}

/**
 * A quoted string with escapes as `JSON.parse` reads it; `null` when it might read it differently (`\u` means UTF-8 bytes
 * here) or refuses it, as it does raw control bytes, which cjson accepts.
 */
function nativeString(quoted: string): string | null {
  if (quoted.includes('\\u')) return null
  try {
    return String(JSON.parse(quoted))
  } catch {
    // Malformed or just unusual: the loop decides, and it knows the error's place.
    return null
  }
}

/** The value of four hexadecimal digits, -1 when they are not. */
function hex4(text: string, at: number): number {
  let value = 0
  for (let i = at; i < at + 4; i++) {
    const code = text.charCodeAt(i)
    const letter = code | 0x20
    if (code >= 0x30 && code <= 0x39) value = value * 16 + (code - 0x30)
    else if (letter >= 0x61 && letter <= 0x66) value = value * 16 + (letter - 0x57)
    else return -1
  }
  return value
}

/** A code point as UTF-8 bytes. */
function utf8(point: number): string {
  if (point < 0x80) return String.fromCharCode(point)
  if (point < 0x800) return String.fromCharCode(0xc0 | (point >> 6), 0x80 | (point & 0x3f))
  const last = String.fromCharCode(0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f))
  if (point < 0x10000) return String.fromCharCode(0xe0 | (point >> 12)) + last
  return String.fromCharCode(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f)) + last
}
