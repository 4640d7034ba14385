/** Argument checks of library functions, with lauxlib's conversions and error texts. */
import { numberToString, parseNumber } from './number-format.ts'
import { LuaTable } from './table.ts'
import { argumentError, type LuaError, type LuaFunction, type LuaValue, typeName } from './value.ts'

function wrongType(args: readonly LuaValue[], i: number, name: string, expected: string): LuaError {
  const got = i < args.length ? typeName(args[i]) : 'no value'
  return argumentError(i + 1, name, `${expected} expected, got ${got}`)
}

/** Argument `i` (from 0) as a string; numbers are converted. */
export function stringArg(args: readonly LuaValue[], i: number, name: string): string {
  const value = args[i]
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberToString(value)
  throw wrongType(args, i, name, 'string')
}

/** Argument `i` as a number; numeric strings are converted. */
export function numberArg(args: readonly LuaValue[], i: number, name: string): number {
  const value = args[i]
  if (typeof value === 'number') return value
  const n = typeof value === 'string' ? parseNumber(value) : undefined
  if (n === undefined) throw wrongType(args, i, name, 'number')
  return n
}

/** Argument `i` as an integer: fractions are cut, what is out of range becomes the smallest int64, as in C on x86. */
export function integerArg(args: readonly LuaValue[], i: number, name: string): number {
  const n = numberArg(args, i, name)
  if (n >= 2 ** 63 || n < -(2 ** 63) || Number.isNaN(n)) return -(2 ** 63)
  return Math.trunc(n)
}

/** Argument `i` as C's 32-bit int: the low bits of the integer (luaL_checkint). */
export function intArg(args: readonly LuaValue[], i: number, name: string): number {
  const n = integerArg(args, i, name)
  return n === (n | 0) ? n : Number(BigInt.asIntN(32, BigInt(n)))
}

/** As `intArg`, or `fallback` when the argument is nil or missing. */
export function optionalInt(args: readonly LuaValue[], i: number, name: string, fallback: number): number {
  return args[i] === undefined ? fallback : intArg(args, i, name)
}

/** As `integerArg`, or `fallback` when the argument is nil or missing. */
export function optionalInteger(args: readonly LuaValue[], i: number, name: string, fallback: number): number {
  return args[i] === undefined ? fallback : integerArg(args, i, name)
}

export function tableArg(args: readonly LuaValue[], i: number, name: string): LuaTable {
  const value = args[i]
  if (value instanceof LuaTable) return value
  throw wrongType(args, i, name, 'table')
}

export function functionArg(args: readonly LuaValue[], i: number, name: string): LuaFunction {
  const value = args[i]
  if (typeof value === 'function') return value
  throw wrongType(args, i, name, 'function')
}

/** Any value, nil included, but the argument must be there. */
export function anyArg(args: readonly LuaValue[], i: number, name: string): LuaValue {
  if (i >= args.length) throw argumentError(i + 1, name, 'value expected')
  return args[i]
}
