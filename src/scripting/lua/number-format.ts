/**
 * Numbers as text, the way C does it: `%.14g` and the other printf conversions, and strtod. Pure.
 *
 * JavaScript rounds exact ties up where C rounds them to even, writes exponents without padding and switches to exponent
 * form elsewhere; this file evens that out.
 */

const DECIMAL = /^[ \t-\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[ \t-\r]*$/
const HEX = /^[ \t-\r]*([+-]?)0[xX]([\da-fA-F]*)(?:\.([\da-fA-F]*))?(?:[pP]([+-]?\d+))?[ \t-\r]*$/
const SPECIAL = /^[ \t-\r]*([+-]?)(inf|infinity|nan)(?:\(\w*\))?[ \t-\r]*$/i

/** The number that a whole string spells (strtod, spaces around allowed), or undefined. */
export function parseNumber(text: string): number | undefined {
  const length = text.length
  if (length > 0 && length < 16) {
    let value = 0
    let i = 0
    for (; i < length; i++) {
      const digit = text.charCodeAt(i) - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (i === length) return value
  }
  const decimal = DECIMAL.exec(text)
  if (decimal !== null) return Number(decimal[1])
  // C reads a string up to its first zero byte.
  const zero = text.indexOf('\0')
  return zero < 0 ? parseUnusual(text) : parseNumber(text.slice(0, zero))
}

function parseUnusual(text: string): number | undefined {
  const hex = HEX.exec(text)
  if (hex !== null) {
    const whole = hex[2]!
    const fraction = hex[3] ?? ''
    if (whole === '' && fraction === '') return undefined
    let value = 0
    for (const digit of whole + fraction) value = value * 16 + Number.parseInt(digit, 16)
    value *= 2 ** (Number(hex[4] ?? 0) - 4 * fraction.length)
    return hex[1] === '-' ? -value : value
  }
  const special = SPECIAL.exec(text)
  if (special === null) return undefined
  if (special[2]!.toLowerCase() === 'nan') return Number.NaN
  return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

/** A number as Lua's `tostring` writes it (`%.14g`). */
export function numberToString(n: number): string {
  if (Math.floor(n) === n && n < 1e14 && n > -1e14) return n === 0 && 1 / n < 0 ? '-0' : `${n}`
  const magnitude = n < 0 ? -n : n
  if (magnitude >= 1e-4 && magnitude < 1e14) {
    const text = `${n}`
    if (text.length <= 15) return text
  }
  return formatG(n, 14)
}

/** NaN and infinity as printf writes them; the sign of a NaN cannot be told in JavaScript: x86 makes `-nan` of 0/0. */
export function formatNonFinite(n: number): string {
  if (Number.isNaN(n)) return isNegativeNaN(n) ? '-nan' : 'nan'
  return n < 0 ? '-inf' : 'inf'
}

const nanView = new DataView(new ArrayBuffer(8))

function isNegativeNaN(n: number): boolean {
  nanView.setFloat64(0, n)
  return nanView.getUint8(0) >= 128
}

/** Digits and decimal exponent of |n| rounded to `count` significant digits, ties to even. */
function roundToDigits(n: number, count: number): { digits: string; exponent: number } {
  const text = Math.abs(n).toExponential(count - 1)
  const e = text.indexOf('e')
  const digits = text[0]! + text.slice(2, e)
  const exponent = Number(text.slice(e + 1))
  if (count > 20 || (digits.charCodeAt(count - 1) & 1) === 0) return { digits, exponent }
  // The last digit is odd: had it been rounded up from an exact tie, C would have kept the even one below.
  const exact = Math.abs(n).toExponential(Math.min(100, count + 40))
  const exactDigits = exact[0]! + exact.slice(2, exact.indexOf('e'))
  if (!/^50*$/.test(exactDigits.slice(count))) return { digits, exponent }
  return { digits: exactDigits.slice(0, count), exponent: Number(exact.slice(exact.indexOf('e') + 1)) }
}

function exponentText(exponent: number): string {
  const magnitude = Math.abs(exponent)
  return `e${exponent < 0 ? '-' : '+'}${magnitude < 10 ? '0' : ''}${magnitude}`
}

/** `%.<precision>g`; `keepZeros` is the `#` flag. */
export function formatG(n: number, precision: number, keepZeros = false): string {
  if (!Number.isFinite(n)) return formatNonFinite(n)
  const count = precision === 0 ? 1 : precision
  const sign = n < 0 || (n === 0 && 1 / n < 0) ? '-' : ''
  const { digits, exponent } = n === 0 ? { digits: '0'.repeat(count), exponent: 0 } : roundToDigits(n, count)
  if (exponent < -4 || exponent >= count) {
    const kept = keepZeros ? digits : digits.replace(/0+$/, '') || '0'
    const fraction = kept.slice(1)
    return sign + kept[0]! + (fraction === '' ? '' : `.${fraction}`) + exponentText(exponent)
  }
  let whole: string
  let fraction: string
  if (exponent < 0) {
    whole = '0'
    fraction = '0'.repeat(-exponent - 1) + digits
  } else {
    whole = digits.slice(0, exponent + 1)
    fraction = digits.slice(exponent + 1)
  }
  if (!keepZeros) fraction = fraction.replace(/0+$/, '')
  return sign + whole + (fraction === '' ? '' : `.${fraction}`)
}

/** `%.<precision>e` */
export function formatE(n: number, precision: number): string {
  if (!Number.isFinite(n)) return formatNonFinite(n)
  const sign = n < 0 || (n === 0 && 1 / n < 0) ? '-' : ''
  const { digits, exponent } =
    n === 0 ? { digits: '0'.repeat(precision + 1), exponent: 0 } : roundToDigits(n, precision + 1)
  return sign + digits[0]! + (precision > 0 ? `.${digits.slice(1)}` : '') + exponentText(exponent)
}

/** `%.<precision>f` */
export function formatF(n: number, precision: number): string {
  if (!Number.isFinite(n)) return formatNonFinite(n)
  const sign = n < 0 || (n === 0 && 1 / n < 0) ? '-' : ''
  const magnitude = Math.abs(n)
  if (magnitude >= 1e21) return sign + BigInt(magnitude).toString() + (precision > 0 ? `.${'0'.repeat(precision)}` : '')
  const text = magnitude.toFixed(Math.min(100, precision))
  const lastDigit = text.charCodeAt(text.length - 1)
  if ((lastDigit & 1) === 0 || precision > 60) return sign + text
  // As in `roundToDigits`: an odd last digit may come from a tie that C rounds to even.
  const exact = magnitude.toFixed(Math.min(100, precision + 40))
  const cut = exact.length - (Math.min(100, precision + 40) - precision)
  if (!/^50*$/.test(exact.slice(cut).replace('.', ''))) return sign + text
  const kept = exact.slice(0, cut)
  return sign + (kept.endsWith('.') ? kept.slice(0, -1) : kept)
}
