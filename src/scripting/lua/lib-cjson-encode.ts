/**
 * JSON text from Lua values. Hot path.
 *
 * A table is an array when all its keys are positive integers (holes become null), else an object; an empty one is `{}`.
 * Bytes from 128 on are written as they are.
 * Source: Redis deps/lua/src/lua_cjson.c.
 */
import { NESTING_MAX } from './lib-arguments.ts'
import { ByteWriter } from './lib-bytes.ts'
import { formatG, numberToString } from './number-format.ts'
import { LuaTable } from './table.ts'
import { type LuaError, LuaUserdata, type LuaValue, libError, typeName } from './value.ts'

/** JSON's null: a Lua table cannot hold nil. */
export const CJSON_NULL: LuaUserdata = Object.freeze(new LuaUserdata('(nil)'))

/** What becomes of NaN and infinity. */
export const InvalidNumbers = { Refuse: 0, Write: 1, WriteNull: 2 } as const
export type InvalidNumbers = (typeof InvalidNumbers)[keyof typeof InvalidNumbers]

const PRECISION_DEFAULT = 14
const DEPTH_DEFAULT = 1000
const INT_MAX = 2 ** 31 - 1
/** A C int that was converted from a double outside of its range (x86). */
const INT_MIN = -(2 ** 31)
const NOT_AN_ARRAY = -1

/** Bytes that are escaped; all others stand for themselves. */
const ESCAPED = /[\x00-\x1f"\\/\x7f]/
/** What the bytes that are escaped become, by byte; empty for the others. */
const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, code) => escapeOf(code))
const LONGEST_ESCAPE = 6
/** Strings from this length on are searched and escaped by native code, shorter ones in one loop. */
const NATIVE_LENGTH = 16
/** Largest integer that is written digit by digit. */
const PLAIN_INTEGER_END = 1e14
const BILLION = 1e9
const BILLION_DIGITS = 9
const PLAIN_DIGITS_MAX = 15

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a

const sharedWriter = new ByteWriter()

/** An encoder with its settings, which stay from script to script. */
export class JsonEncoder {
  /** Whether a too sparse array becomes an object instead of an error. */
  sparseConvert = false
  /** A table is too sparse when its largest key is more than this times its number of keys; 0: never. */
  sparseRatio = 2
  /** Tables with a largest key up to this are never too sparse. */
  sparseSafe = 10
  /** Deepest nesting of tables. */
  maxDepth: number = DEPTH_DEFAULT
  invalidNumbers: InvalidNumbers = InvalidNumbers.Refuse
  /** Significant digits, 1 to 14. */
  precision: number = PRECISION_DEFAULT

  private readonly writer = sharedWriter

  /** The JSON text of a value; throws a Lua error for values that have none. */
  encode(value: LuaValue): string {
    this.writer.length = 0
    this.value(value, 0)
    return this.writer.finish()
  }

  /** Writes a value inside of `depth` tables. */
  private value(value: LuaValue, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.string(value)
        return
      case 'number':
        this.number(value)
        return
      case 'boolean':
        this.writer.text(value ? 'true' : 'false')
        return
      case 'undefined':
        this.writer.text('null')
        return
      default:
        if (value instanceof LuaTable) this.table(value, depth + 1)
        else if (value === CJSON_NULL) this.writer.text('null')
        else throw cannotSerialise(value, 'type not supported')
    }
  }

  private string(text: string): void {
    const writer = this.writer
    if (text.length >= NATIVE_LENGTH) {
      this.longString(text)
      return
    }
    writer.reserve(text.length * LONGEST_ESCAPE + 2)
    const bytes = writer.bytes
    let at = writer.length
    bytes[at++] = QUOTE
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x20 && code !== QUOTE && code !== 0x5c && code !== 0x2f && code !== 0x7f) bytes[at++] = code
      else {
        const escaped = ESCAPES[code]!
        for (let k = 0; k < escaped.length; k++) bytes[at++] = escaped.charCodeAt(k)
      }
    }
    bytes[at++] = QUOTE
    writer.length = at
  }

  /** A string that native code searches and copies faster than a loop would. */
  private longString(text: string): void {
    const writer = this.writer
    if (!ESCAPED.test(text)) {
      writer.byte(QUOTE)
      writer.text(text)
      writer.byte(QUOTE)
      return
    }
    // JSON.stringify escapes as cjson does, but leaves these two alone.
    let quoted = JSON.stringify(text)
    if (quoted.includes('/')) quoted = quoted.replaceAll('/', '\\/')
    if (quoted.includes('\x7f')) quoted = quoted.replaceAll('\x7f', '\\u007f')
    writer.text(quoted)
  }

  private number(value: number): void {
    if (this.precision !== PRECISION_DEFAULT) this.writer.text(this.unusualNumber(value))
    else if (value > 0 && value < PLAIN_INTEGER_END && Math.floor(value) === value) this.integer(value)
    else if (Number.isFinite(value)) this.writer.text(numberToString(value))
    else this.writer.text(this.unusualNumber(value))
  }

  /** Writes the digits of a positive integer. */
  private integer(value: number): void {
    this.writer.reserve(PLAIN_DIGITS_MAX)
    if (value < BILLION) {
      this.digits(value, digitCount(value))
      return
    }
    const billions = Math.floor(value / BILLION)
    this.digits(billions, digitCount(billions))
    this.digits(value - billions * BILLION, BILLION_DIGITS)
  }

  /** Writes an int32 with `count` digits. */
  private digits(value: number, count: number): void {
    const bytes = this.writer.bytes
    let rest = value | 0
    for (let at = this.writer.length + count - 1; at >= this.writer.length; at--) {
      const tens = (rest / 10) | 0
      bytes[at] = 0x30 + rest - tens * 10
      rest = tens
    }
    this.writer.length += count
  }

  private unusualNumber(value: number): string {
    if (Number.isFinite(value)) return formatG(value, this.precision)
    if (this.invalidNumbers === InvalidNumbers.Refuse) throw cannotSerialise(value, 'must not be NaN or Inf')
    if (this.invalidNumbers === InvalidNumbers.WriteNull) return 'null'
    return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  }

  private table(table: LuaTable, depth: number): void {
    if (depth > this.maxDepth || depth > NESTING_MAX) throw libError(`Cannot serialise, excessive nesting (${depth})`)
    const hash = table.hash
    if (hash === null || hash.size === 0) {
      const arr = table.arr
      // Only a table with holes can be too sparse, and none of this length.
      if (arr.length > 0 && (arr.length <= this.sparseSafe || !arr.includes(undefined))) {
        this.denseArray(arr, depth)
        return
      }
    }
    const length = this.arrayLength(table)
    if (length > 0) this.sparseArray(table, length, depth)
    else this.object(table, depth)
  }

  /** The largest key when all keys are positive integers, else `NOT_AN_ARRAY`. */
  private arrayLength(table: LuaTable): number {
    let count = 0
    for (const value of table.arr) if (value !== undefined) count++
    let keyMax = table.arr.length
    if (table.hash !== null) {
      for (const key of table.hash.keys()) {
        if (typeof key !== 'number' || key < 1 || Math.floor(key) !== key) return NOT_AN_ARRAY
        if (key > keyMax) keyMax = key > INT_MAX ? INT_MIN : key
        count++
      }
    }
    const isSparse = keyMax > this.sparseSafe && keyMax > Math.imul(count, this.sparseRatio)
    if (this.sparseRatio === 0 || !isSparse) return keyMax
    if (!this.sparseConvert) throw cannotSerialise(table, 'excessively sparse array')
    return NOT_AN_ARRAY
  }

  private denseArray(values: readonly LuaValue[], depth: number): void {
    const writer = this.writer
    writer.byte(0x5b)
    for (let i = 0; i < values.length; i++) {
      if (i > 0) writer.byte(COMMA)
      this.value(values[i], depth)
    }
    writer.byte(0x5d)
  }

  private sparseArray(table: LuaTable, length: number, depth: number): void {
    this.writer.byte(0x5b)
    for (let i = 1; i <= length; i++) {
      if (i > 1) this.writer.byte(COMMA)
      this.value(table.getNumber(i), depth)
    }
    this.writer.byte(0x5d)
  }

  private object(table: LuaTable, depth: number): void {
    const writer = this.writer
    writer.byte(0x7b)
    const start = writer.length
    const arr = table.arr
    for (let i = 0; i < arr.length; i++) {
      if (arr[i] === undefined) continue
      if (writer.length > start) writer.byte(COMMA)
      this.key(i + 1)
      this.value(arr[i], depth)
    }
    if (table.hash !== null) {
      for (const [key, value] of table.hash) {
        if (writer.length > start) writer.byte(COMMA)
        this.key(key)
        this.value(value, depth)
      }
    }
    writer.byte(0x7d)
  }

  private key(key: LuaValue): void {
    const writer = this.writer
    if (typeof key === 'string') this.string(key)
    else if (typeof key === 'number') {
      writer.byte(QUOTE)
      this.number(key)
      writer.byte(QUOTE)
    } else throw cannotSerialise(key, 'table key must be a number or string')
    writer.byte(COLON)
  }
}

function escapeOf(code: number): string {
  const char = String.fromCharCode(code)
  if (!ESCAPED.test(char)) return ''
  return code === 0x2f ? '\\/' : code === 0x7f ? '\\u007f' : JSON.stringify(char).slice(1, -1)
}

/** How many decimal digits a positive int32 has. */
function digitCount(value: number): number {
  let count = 1
  for (let limit = 10; value >= limit; limit *= 10) count++
  return count
}

function cannotSerialise(value: LuaValue, reason: string): LuaError {
  return libError(`Cannot serialise ${typeName(value)}: ${reason}`)
}
