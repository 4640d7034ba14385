/**
 * Argument checks of library functions, as `luaL_check…` does them: numbers and numeric strings stand in for each
 * other, and a missing argument is told apart from nil. They take the rest parameters of the function and count from 1.
 */
import { numberToString, parseNumber } from './number-format.ts'
import { argumentError, type LuaError, type LuaValue, typeName } from './value.ts'

/** Integers outside of int64 become this one, as x86 converts them. */
const INTEGER_MIN = -(2 ** 63)
const INTEGER_END = 2 ** 63

/** How many stack slots a C function may use (`LUAI_MAXCSTACK`): limits the number of results. */
export const STACK_SLOTS_MAX = 8000

/**
 * Deepest nesting that the recursive readers and writers accept, whatever the settings say. In C the stack slots end it
 * at about 4000 or 8000; the usual JavaScript stack has room for fewer levels.
 */
export const NESTING_MAX = 1500

/** `string expected, got nil` for the argument at `index`. */
export function typeError(args: readonly LuaValue[], index: number, functionName: string, expected: string): LuaError {
  const found = index > args.length ? 'no value' : typeName(args[index - 1])
  return argumentError(index, functionName, `${expected} expected, got ${found}`)
}

/** The string at `index`; a number is turned into one. */
export function checkString(args: readonly LuaValue[], index: number, functionName: string): string {
  const value = args[index - 1]
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberToString(value)
  throw typeError(args, index, functionName, 'string')
}

/** The number at `index`; a numeric string is turned into one. */
export function checkNumber(args: readonly LuaValue[], index: number, functionName: string): number {
  const value = args[index - 1]
  if (typeof value === 'number') return value
  const converted = typeof value === 'string' ? parseNumber(value) : undefined
  if (converted === undefined) throw typeError(args, index, functionName, 'number')
  return converted
}

/** The number at `index` truncated to an int64. */
export function checkInteger(args: readonly LuaValue[], index: number, functionName: string): number {
  return truncateToInteger(checkNumber(args, index, functionName))
}

/** As `checkInteger`, with a default for nil and for a missing argument. */
export function optionalInteger(
  args: readonly LuaValue[],
  index: number,
  functionName: string,
  fallback: number,
): number {
  return args[index - 1] === undefined ? fallback : checkInteger(args, index, functionName)
}

/** C's conversion of a double to int64, as x86 does it. */
export function truncateToInteger(value: number): number {
  // Adding zero turns -0 into 0.
  return value >= INTEGER_MIN && value < INTEGER_END ? Math.trunc(value) + 0 : INTEGER_MIN
}
