/**
 * Doubles as text, both ways, as the wire and the files need them.
 *
 * - `parseDouble` accepts what Redis' `string2d` accepts: everything that C's strtod reads, without spaces around it.
 * - `formatDouble` is the shortest text that reads back as the same number, laid out as Redis 7.2 does (`d2string`).
 * - `formatDouble17` is printf's `%.17g`, as Redis 7.0 wrote its doubles.
 *
 * The digits of `formatDouble` are V8's, which are always shortest; Redis' Grisu2 finds one digit more for about one
 * double in a thousand. Both read back as the same number.
 */

/** Room that Redis gives to the text of a long double, in bytes; texts as long as this are refused. */
export const FLOAT_TEXT_LIMIT = 5 * 1024

/** A finite number taken apart: value = ±mantissa × 2^exponent. */
export interface BinaryFloat {
  readonly negative: boolean
  readonly mantissa: bigint
  readonly exponent: number
}

/** The shape of a binary floating point format: bits of the mantissa, smallest and first too large exponent. */
export interface FloatFormat {
  readonly mantissaBits: number
  /** Exponent of the last bit of the smallest denormal number. */
  readonly exponentMin: number
  /** Values of 2^this and above overflow. */
  readonly exponentEnd: number
}

const DOUBLE_FORMAT: FloatFormat = { mantissaBits: 53, exponentMin: -1074, exponentEnd: 1024 }

/** Integers up to here are printed with all their digits, as Redis does by casting to long long. */
const PLAIN_INTEGER_MAX = 2 ** 62

const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
/** A digit may follow a number up to here, and the result is a safe integer. */
const PLAIN_MANTISSA_MAX = 900719925474098
/** 10^0 … 10^22, all of them exact doubles. */
const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent)

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const HEXADECIMAL = /^([+-]?)0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?$/i
const INFINITE = /^([+-]?)inf(?:inity)?$/i

/** The kinds of numbers that C's strtod reads. */
export const FloatText = { Decimal: 0, Hexadecimal: 1, Infinite: 2 } as const
export type FloatText = (typeof FloatText)[keyof typeof FloatText]

/** Classifies a text by strtod's grammar; `null` for NaN, spaces, trailing bytes and everything else. */
export function classifyFloat(text: string): FloatText | null {
  if (DECIMAL.test(text)) return FloatText.Decimal
  if (INFINITE.test(text)) return FloatText.Infinite
  if (HEXADECIMAL.test(text) && /^[+-]?0x\.?[0-9a-f]/i.test(text)) return FloatText.Hexadecimal
  return null
}

/**
 * Reads a double. `null` if the text is not a number, is NaN, has spaces around it, overflows, or is not zero but
 * too small for a double. `inf`, `+infinity` … are numbers. Source: Valkey src/util.c `string2d`.
 */
export function parseDouble(text: string): number | null {
  const kind = classifyFloat(text)
  if (kind === null) return null
  if (kind === FloatText.Infinite) return text.charCodeAt(0) === 0x2d ? -Infinity : Infinity
  if (kind === FloatText.Hexadecimal) return parseHexadecimal(text)

  const value = Number(text)
  if (value === Infinity || value === -Infinity) return null
  if (value === 0 && hasNonZeroDigit(text)) return null
  return value
}

/**
 * Reads `source[start, start + length)` when it is a plain decimal of few digits (`-12`, `0.5`, `1700000000.25`), without
 * making a string. NaN for everything else, which `parseDouble` may still take. Hot path.
 */
export function parsePlainDecimal(source: Uint8Array, start: number, length: number): number {
  const end = start + length
  const first = length > 0 ? source[start]! : 0
  let at = first === MINUS || first === PLUS ? start + 1 : start
  let mantissa = 0
  let digits = 0
  let pointAt = end
  for (; at < end; at++) {
    const digit = source[at]! - ZERO
    if (digit >= 0 && digit <= 9) {
      if (mantissa > PLAIN_MANTISSA_MAX) return Number.NaN
      mantissa = mantissa * 10 + digit
      digits++
    } else if (source[at] === POINT && pointAt === end) pointAt = at
    else return Number.NaN
  }
  if (digits === 0) return Number.NaN
  const decimals = pointAt === end ? 0 : end - pointAt - 1
  if (decimals >= POWERS_OF_TEN.length) return Number.NaN
  // Both numbers are exact, so that the quotient is rounded once, as strtod rounds.
  const value = mantissa / POWERS_OF_TEN[decimals]!
  return first === MINUS ? -value : value
}

function parseHexadecimal(text: string): number | null {
  const exact = scanHexadecimal(text)
  if (exact.mantissa === 0n) return exact.negative ? -0 : 0
  const rounded = roundToFormat(exact, DOUBLE_FORMAT)
  if (rounded === null || rounded.mantissa === 0n) return null
  // Two steps: 2 ** exponent alone may be too small for a double.
  const half = rounded.exponent >> 1
  const value = Number(rounded.mantissa) * 2 ** half * 2 ** (rounded.exponent - half)
  return rounded.negative ? -value : value
}

/** True if a decimal text has a digit other than 0 in front of its exponent. */
export function hasNonZeroDigit(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0x31 && c <= 0x39) return true
    if (c === 0x65 || c === 0x45) return false
  }
  return false
}

/** The exact value of a text of kind `FloatText.Hexadecimal`. */
export function scanHexadecimal(text: string): BinaryFloat {
  const parts = HEXADECIMAL.exec(text)
  const fraction = parts?.[3] ?? ''
  const mantissa = BigInt(`0x${parts?.[2] ?? ''}${fraction}`)
  return { negative: parts?.[1] === '-', mantissa, exponent: Number(parts?.[4] ?? 0) - 4 * fraction.length }
}

/**
 * Rounds to the nearest number of a format, ties to even. Mantissa 0 if it is too small, `null` if it is too large.
 */
export function roundToFormat(value: BinaryFloat, format: FloatFormat): BinaryFloat | null {
  const bits = bitLength(value.mantissa)
  if (bits + value.exponent > format.exponentEnd) return null
  if (bits + value.exponent < format.exponentMin) return { negative: value.negative, mantissa: 0n, exponent: 0 }
  const drop = Math.max(bits - format.mantissaBits, format.exponentMin - value.exponent)
  if (drop <= 0) return value
  const mantissa = shiftRightToEven(value.mantissa, drop)
  const exponent = value.exponent + drop
  if (bitLength(mantissa) + exponent > format.exponentEnd) return null
  return { negative: value.negative, mantissa, exponent }
}

/** n / 2^bits, rounded to the nearest integer, ties to even. `n` is not negative. */
export function shiftRightToEven(n: bigint, bits: number): bigint {
  if (bits <= 0) return n << BigInt(-bits)
  const shift = BigInt(bits)
  const quotient = n >> shift
  const rest = n - (quotient << shift)
  const half = 1n << (shift - 1n)
  return rest > half || (rest === half && (quotient & 1n) === 1n) ? quotient + 1n : quotient
}

/** How many bits a number that is not negative needs; 0 for 0. O(bits). */
export function bitLength(n: bigint): number {
  if (n === 0n) return 0
  const hex = n.toString(16)
  return hex.length * 4 - (Math.clz32(Number.parseInt(hex[0] ?? '0', 16)) - 28)
}

/**
 * The shortest text for a double as Redis 7.2 writes it in replies: `3`, `0.1`, `1e+20`, `-0`, `inf`, `nan`.
 * Source: Valkey src/util.c `d2string`, deps/fpconv `emit_digits`.
 */
export function formatDouble(value: number): string {
  if (Number.isInteger(value)) {
    if (Number.isSafeInteger(value)) return value === 0 && 1 / value < 0 ? '-0' : String(value)
    if (value >= -PLAIN_INTEGER_MAX && value <= PLAIN_INTEGER_MAX) return BigInt(value).toString()
  } else if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf'
  }
  const magnitude = Math.abs(value)
  if (magnitude >= 0.001 && magnitude < 1e15) {
    // The common case: not an integer, and JavaScript's own layout is the one that `layOut` would choose.
    const plain = String(value)
    if (magnitude < 1e4 || plain.length - plain.indexOf('.') <= 7) return plain
  }
  const text = value.toExponential()
  const sign = value < 0 ? '-' : ''
  const e = text.indexOf('e')
  const digits = text.charAt(sign.length) + text.slice(sign.length + 2, e)
  return sign + layOut(digits, Number(text.slice(e + 1)))
}

/** Lays out d.ddd × 10^exponent as an integer, a decimal fraction or in scientific notation. */
function layOut(digits: string, exponent: number): string {
  const count = digits.length
  const last = exponent - count + 1 // power of ten of the last digit
  const magnitude = Math.abs(exponent)
  if (last >= 0 && magnitude < count + 7) return digits + '0'.repeat(last)
  if (last < 0 && (last > -7 || magnitude < 4)) {
    const integers = count + last
    if (integers <= 0) return `0.${'0'.repeat(-integers)}${digits}`
    return `${digits.slice(0, integers)}.${digits.slice(integers)}`
  }
  const fraction = count > 1 ? `.${digits.slice(1)}` : ''
  return `${digits.charAt(0)}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`
}

/** A double as printf's `%.17g` writes it: 17 significant digits without trailing zeros. */
export function formatDouble17(value: number): string {
  if (Number.isSafeInteger(value) && value !== 0) return String(value)
  const magnitude = Math.abs(value)
  if (magnitude >= 1e-4 && magnitude < 1e17) {
    const text = value.toPrecision(17)
    if (!isRoundedTie(text, value)) return withoutTrailingZeros(text)
  }
  return formatDigits17(value)
}

/** Whether `text`, the 17 digits of a number, may be a tie that JavaScript has rounded up and printf rounds down, to even. */
function isRoundedTie(text: string, value: number): boolean {
  if ((text.charCodeAt(text.length - 1) & 1) === 0) return false
  return value.toPrecision(18).endsWith('5')
}

function withoutTrailingZeros(text: string): string {
  let end = text.length
  if (text.charCodeAt(end - 1) !== ZERO || !text.includes('.')) return text
  while (text.charCodeAt(end - 1) === ZERO) end--
  return text.slice(0, text.charCodeAt(end - 1) === POINT ? end - 1 : end)
}

function formatDigits17(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf'
  const sign = value < 0 || (value === 0 && 1 / value < 0) ? '-' : ''
  if (value === 0) return `${sign}0`

  // toExponential rounds ties up, printf to even: 2^-25 has 18 digits, the last of them a 5.
  let text = Math.abs(value).toExponential(16)
  const longer = Math.abs(value).toExponential(60)
  if (/^\d\.\d{15}[02468]50*e/.test(longer)) text = longer.slice(0, 18) + longer.slice(longer.indexOf('e'))
  const e = text.indexOf('e')
  const exponent = Number(text.slice(e + 1))
  const digits = (text.charAt(0) + text.slice(2, e)).replace(/0+$/, '')
  if (exponent < -4 || exponent >= 17) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
    const magnitude = String(Math.abs(exponent)).padStart(2, '0')
    return `${sign}${digits.charAt(0)}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, '0')
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
}

const doubleBox = new Float64Array(1)
const bitsBox = new BigUint64Array(doubleBox.buffer)

/** A double as printf's `%.<digits>f` writes it: all digits of the integer part, ties to even. Exact. */
export function formatFixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf'
  const { negative, mantissa, exponent } = decompose(value)
  const scaled = shiftRightToEven(mantissa * 10n ** BigInt(digits), -exponent)
    .toString()
    .padStart(digits + 1, '0')
  const point = scaled.length - digits
  return `${negative ? '-' : ''}${scaled.slice(0, point)}.${scaled.slice(point)}`
}

/** Takes a finite double apart, exactly. */
export function decompose(value: number): BinaryFloat {
  doubleBox[0] = value
  const bits = bitsBox[0] ?? 0n
  const fraction = bits & 0xfffffffffffffn
  const biased = Number((bits >> 52n) & 0x7ffn)
  const negative = bits >> 63n === 1n
  if (biased === 0) return { negative, mantissa: fraction, exponent: DOUBLE_FORMAT.exponentMin }
  return { negative, mantissa: fraction | 0x10000000000000n, exponent: biased - 1075 }
}
