/**
 * The `bit` library: operations on 32-bit integers (Lua BitOp 1.0.2). Hot path.
 *
 * Arguments are rounded to integers, half to even, and wrapped to 32 bits; results are signed. Shift counts are taken
 * modulo 32. Source: Redis deps/lua/src/lua_bit.c.
 */
import { checkNumber } from './lib-arguments.ts'
import { LuaTable } from './table.ts'
import type { LuaFunction, LuaValue } from './value.ts'

/** 2^52 + 2^51: added to a double, it leaves the rounded integer in the low bits of the mantissa. */
const ROUNDING_BIAS = 6755399441055744
const HEX_DIGITS_DEFAULT = 8

const double = new Float64Array(1)
const words = new Int32Array(double.buffer)
const LOW_WORD = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1

/** Makes the library table; the caller makes it read-only. */
export function createBitLib(): LuaTable {
  const lib = new LuaTable()
  for (const [name, operation] of Object.entries(OPERATIONS)) lib.setString(name, operation)
  return lib
}

const OPERATIONS: Readonly<Record<string, LuaFunction>> = {
  tobit: (...args) => bitsAt(args, 1, 'tobit'),
  bnot: (...args) => ~bitsAt(args, 1, 'bnot'),
  band: (...args) => {
    let bits = bitsAt(args, 1, 'band')
    // From the last argument down, which decides whose type error is reported.
    for (let index = args.length; index > 1; index--) bits &= bitsAt(args, index, 'band')
    return bits
  },
  bor: (...args) => {
    let bits = bitsAt(args, 1, 'bor')
    for (let index = args.length; index > 1; index--) bits |= bitsAt(args, index, 'bor')
    return bits
  },
  bxor: (...args) => {
    let bits = bitsAt(args, 1, 'bxor')
    for (let index = args.length; index > 1; index--) bits ^= bitsAt(args, index, 'bxor')
    return bits
  },
  lshift: (...args) => bitsAt(args, 1, 'lshift') << bitsAt(args, 2, 'lshift'),
  rshift: (...args) => (bitsAt(args, 1, 'rshift') >>> bitsAt(args, 2, 'rshift')) | 0,
  arshift: (...args) => bitsAt(args, 1, 'arshift') >> bitsAt(args, 2, 'arshift'),
  rol: (...args) => rotateLeft(bitsAt(args, 1, 'rol'), bitsAt(args, 2, 'rol')),
  ror: (...args) => rotateLeft(bitsAt(args, 1, 'ror'), -bitsAt(args, 2, 'ror')),
  bswap: (...args) => swapBytes(bitsAt(args, 1, 'bswap')),
  tohex: (...args) => toHex(bitsAt(args, 1, 'tohex'), args.length < 2 ? HEX_DIGITS_DEFAULT : bitsAt(args, 2, 'tohex')),
}

function bitsAt(args: readonly LuaValue[], index: number, functionName: string): number {
  const value = args[index - 1]
  if (typeof value === 'number') return toBits(value)
  return toBits(checkNumber(args, index, functionName))
}

function toBits(value: number): number {
  const integer = value | 0
  if (integer === value) return integer
  double[0] = value + ROUNDING_BIAS
  return words[LOW_WORD]!
}

function rotateLeft(bits: number, count: number): number {
  return (bits << count) | (bits >>> -count)
}

function swapBytes(bits: number): number {
  return (bits >>> 24) | ((bits >>> 8) & 0xff00) | ((bits & 0xff00) << 8) | (bits << 24)
}

/** The last `digitCount` hexadecimal digits, at most 8; upper case when the count is negative. */
function toHex(bits: number, digitCount: number): string {
  const count = Math.min(Math.abs(digitCount), HEX_DIGITS_DEFAULT)
  const digits = (bits >>> 0)
    .toString(16)
    .padStart(HEX_DIGITS_DEFAULT, '0')
    .slice(HEX_DIGITS_DEFAULT - count)
  return digitCount < 0 ? digits.toUpperCase() : digits
}
