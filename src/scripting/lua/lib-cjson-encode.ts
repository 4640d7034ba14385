/**
 * JSON text from Lua values. Hot path.
 *
 * A table is an array when all its keys are positive integers (holes become null), else an object; an empty one is `{}`.
 * Bytes from 128 on are written as they are. Text is built by concatenation, which V8 makes cheap.
 * Source: Redis deps/lua/src/lua_cjson.c.
 */

import { NESTING_MAX } from './lib-arguments.ts'
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

/** Chars that `JSON.stringify` or we must escape; all others stand for themselves. */
const ESCAPED = /[\x00-\x1f"\\/\x7f]/

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

  /** The JSON text of a value; throws a Lua error for values that have none. */
  encode(value: LuaValue): string {
    return this.value(value, 0)
  }

  /** `depth` tables are around the value. */
  private value(value: LuaValue, depth: number): string {
    switch (typeof value) {
      case 'string':
        return quote(value)
      case 'number':
        return this.number(value)
      case 'boolean':
        return value ? 'true' : 'false'
      case 'undefined':
        return 'null'
      default:
        if (value instanceof LuaTable) return this.table(value, depth + 1)
        if (value === CJSON_NULL) return 'null'
        throw cannotSerialise(value, 'type not supported')
    }
  }

  private number(value: number): string {
    // Zero goes the long way because of its sign.
    if ((value | 0) === value && value !== 0 && this.precision === PRECISION_DEFAULT) return `${value}`
    if (!Number.isFinite(value)) return this.invalidNumber(value)
    if (this.precision === PRECISION_DEFAULT) return numberToString(value)
    return formatG(value, this.precision)
  }

  private invalidNumber(value: number): string {
    if (this.invalidNumbers === InvalidNumbers.Refuse) throw cannotSerialise(value, 'must not be NaN or Inf')
    if (this.invalidNumbers === InvalidNumbers.WriteNull) return 'null'
    return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  }

  private table(table: LuaTable, depth: number): string {
    if (depth > this.maxDepth || depth > NESTING_MAX) throw libError(`Cannot serialise, excessive nesting (${depth})`)
    const hash = table.hash
    if (hash === null || hash.size === 0) {
      const arr = table.arr
      if (arr.length === 0) return '{}'
      // Only a table with holes can be too sparse, and none of this length.
      if (arr.length <= this.sparseSafe || !arr.includes(undefined)) return this.denseArray(arr, depth)
    }
    const length = this.arrayLength(table)
    if (length > 0) return this.sparseArray(table, length, depth)
    return this.object(table, depth)
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

  private denseArray(values: readonly LuaValue[], depth: number): string {
    let out = `[${this.value(values[0], depth)}`
    for (let i = 1; i < values.length; i++) out += `,${this.value(values[i], depth)}`
    return `${out}]`
  }

  private sparseArray(table: LuaTable, length: number, depth: number): string {
    let out = `[${this.value(table.getNumber(1), depth)}`
    for (let i = 2; i <= length; i++) out += `,${this.value(table.getNumber(i), depth)}`
    return `${out}]`
  }

  private object(table: LuaTable, depth: number): string {
    let out = '{'
    const arr = table.arr
    for (let i = 0; i < arr.length; i++) {
      if (arr[i] !== undefined) out += `${separator(out)}"${this.number(i + 1)}":${this.value(arr[i], depth)}`
    }
    if (table.hash !== null) {
      for (const [key, value] of table.hash) {
        if (typeof key === 'string') out += `${separator(out) + quote(key)}:${this.value(value, depth)}`
        else if (typeof key === 'number') out += `${separator(out)}"${this.number(key)}":${this.value(value, depth)}`
        else throw cannotSerialise(key, 'table key must be a number or string')
      }
    }
    return `${out}}`
  }
}

function separator(out: string): string {
  return out.length === 1 ? '' : ','
}

function quote(text: string): string {
  if (!ESCAPED.test(text)) return `"${text}"`
  // JSON.stringify escapes as cjson does, but leaves these two alone.
  let quoted = JSON.stringify(text)
  if (quoted.includes('/')) quoted = quoted.replaceAll('/', '\\/')
  return quoted.includes('\x7f') ? quoted.replaceAll('\x7f', '\\u007f') : quoted
}

function cannotSerialise(value: LuaValue, reason: string): LuaError {
  return libError(`Cannot serialise ${typeName(value)}: ${reason}`)
}
