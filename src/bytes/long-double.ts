/**
 * Arithmetic of x86 `long double` (80 bits: 64 of mantissa, 15 of exponent) on text, for INCRBYFLOAT and
 * HINCRBYFLOAT. Redis reads both numbers with strtold, adds them in that format and prints `%.17Lf` without trailing
 * zeros; doubles would show other digits (0.1 + 0.2 is 0.3 here). Exact: every step is done on BigInt and rounded
 * once, to nearest, ties to even, as the processor and glibc do.
 *
 * Cold: about a microsecond per number.
 */
import {
  type BinaryFloat,
  bitLength,
  classifyFloat,
  decompose,
  FLOAT_TEXT_LIMIT,
  type FloatFormat,
  FloatText,
  hasNonZeroDigit,
  roundToFormat,
  scanHexadecimal,
  shiftRightToEven,
} from './double.ts'

/** A finite long double, or ±Infinity or NaN as plain numbers. */
export type LongDouble = BinaryFloat | number

const EXTENDED: FloatFormat = { mantissaBits: 64, exponentMin: -16445, exponentEnd: 16384 }

/** Decimal exponents beyond these over- and underflow whatever the digits are; they bound the powers of ten below. */
const DECIMAL_EXPONENT_MAX = 4940
const DECIMAL_EXPONENT_MIN = -4970

const FRACTION_DIGITS = 17
const FRACTION_SCALE = 10n ** BigInt(FRACTION_DIGITS)

const ZERO: BinaryFloat = { negative: false, mantissa: 0n, exponent: 0 }

/**
 * Reads a long double. `null` if the text is not a number, is NaN, has spaces around it, is 5120 bytes or longer,
 * overflows, or is not zero but too small. `inf` is a number. Source: Valkey src/util.c `string2ld`.
 */
export function parseLongDouble(text: string): LongDouble | null {
  if (text.length >= FLOAT_TEXT_LIMIT) return null
  const kind = classifyFloat(text)
  if (kind === null) return null
  if (kind === FloatText.Infinite) return text.charCodeAt(0) === 0x2d ? -Infinity : Infinity
  return kind === FloatText.Hexadecimal ? roundHexadecimal(text) : roundDecimal(text)
}

function roundHexadecimal(text: string): BinaryFloat | null {
  const exact = scanHexadecimal(text)
  if (exact.mantissa === 0n) return { ...ZERO, negative: exact.negative }
  return nonZero(roundToFormat(exact, EXTENDED))
}

function roundDecimal(text: string): BinaryFloat | null {
  const negative = text.charCodeAt(0) === 0x2d
  if (!hasNonZeroDigit(text)) return { ...ZERO, negative }

  const e = text.search(/e/i)
  const mantissaText = (e < 0 ? text : text.slice(0, e)).replace(/^[+-]/, '')
  const point = mantissaText.indexOf('.')
  const fractionDigits = point < 0 ? 0 : mantissaText.length - point - 1
  const digits = mantissaText.replace('.', '').replace(/^0+/, '')
  const exponent = (e < 0 ? 0 : Number(text.slice(e + 1))) - fractionDigits
  const magnitude = digits.length + exponent
  if (magnitude > DECIMAL_EXPONENT_MAX || magnitude < DECIMAL_EXPONENT_MIN) return null

  let numerator = BigInt(digits)
  let denominator = 1n
  if (exponent >= 0) numerator *= 10n ** BigInt(exponent)
  else denominator = 10n ** BigInt(-exponent)
  // 66 to 67 bits of quotient and a sticky bit for the rest are enough to round to 64 once.
  const scale = 66 - (bitLength(numerator) - bitLength(denominator))
  if (scale > 0) numerator <<= BigInt(scale)
  else denominator <<= BigInt(-scale)
  const quotient = numerator / denominator
  const sticky = quotient * denominator === numerator ? 0n : 1n
  return nonZero(roundToFormat({ negative, mantissa: (quotient << 1n) | sticky, exponent: -scale - 1 }, EXTENDED))
}

function nonZero(value: BinaryFloat | null): BinaryFloat | null {
  return value === null || value.mantissa === 0n ? null : value
}

/** The long double with the value of a double. Exact. */
export function longDoubleOf(value: number): LongDouble {
  return Number.isFinite(value) ? decompose(value) : value
}

/** True unless the number is infinite or NaN. */
export function isFiniteLongDouble(value: LongDouble): value is BinaryFloat {
  return typeof value !== 'number'
}

/** Adds two long doubles, rounded once; ±Infinity on overflow, NaN for Infinity − Infinity. */
export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble {
  if (!isFiniteLongDouble(a)) return isFiniteLongDouble(b) ? a : a + b
  if (!isFiniteLongDouble(b)) return b
  // Exponents lie between -16445 and 16384, so the exact sum has at most 33000 bits.
  const exponent = Math.min(a.exponent, b.exponent)
  const left = signedMantissa(a) << BigInt(a.exponent - exponent)
  const right = signedMantissa(b) << BigInt(b.exponent - exponent)
  const sum = left + right
  if (sum === 0n) return { ...ZERO, negative: a.negative && b.negative }
  const negative = sum < 0n
  const rounded = roundToFormat({ negative, mantissa: negative ? -sum : sum, exponent }, EXTENDED)
  return rounded ?? (negative ? -Infinity : Infinity)
}

function signedMantissa(value: BinaryFloat): bigint {
  return value.negative ? -value.mantissa : value.mantissa
}

/** The difference, rounded as `addLongDoubles` does. */
export function subtractLongDoubles(a: LongDouble, b: LongDouble): LongDouble {
  return addLongDoubles(a, isFiniteLongDouble(b) ? { ...b, negative: !b.negative } : -b)
}

/** Whether `a` is the smaller one; not for NaN. */
export function isLongDoubleBelow(a: LongDouble, b: LongDouble): boolean {
  if (!isFiniteLongDouble(a) && !isFiniteLongDouble(b)) return a < b
  const difference = subtractLongDoubles(a, b)
  if (!isFiniteLongDouble(difference)) return difference < 0
  return difference.negative && difference.mantissa !== 0n
}

/**
 * The text of a long double for people: up to 17 digits behind the point, no exponent, no trailing zeros, never `-0`.
 * Source: Valkey src/util.c `ld2string`, mode `LD_STR_HUMAN`.
 */
export function formatLongDouble(value: LongDouble): string {
  if (!isFiniteLongDouble(value)) return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf'
  const sign = value.negative ? '-' : ''
  if (value.exponent >= 0) {
    const integer = (value.mantissa << BigInt(value.exponent)).toString()
    return integer === '0' ? '0' : sign + integer
  }
  const scaled = shiftRightToEven(value.mantissa * FRACTION_SCALE, -value.exponent)
  const digits = scaled.toString().padStart(FRACTION_DIGITS + 1, '0')
  const integer = digits.slice(0, -FRACTION_DIGITS)
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, '')
  if (fraction !== '') return `${sign}${integer}.${fraction}`
  return integer === '0' ? '0' : sign + integer
}

/**
 * The sum of two numbers given as text, as INCRBYFLOAT stores it. `null` if one is not a number or the sum is not
 * finite; commands that must tell these apart call the steps themselves.
 */
export function addLongDouble(a: string, b: string): string | null {
  const left = parseLongDouble(a)
  const right = parseLongDouble(b)
  if (left === null || right === null) return null
  const sum = addLongDoubles(left, right)
  return isFiniteLongDouble(sum) ? formatLongDouble(sum) : null
}
