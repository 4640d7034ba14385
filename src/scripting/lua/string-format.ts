/** `string.format`. Source: lstrlib.c str_format, and printf for the conversions. */
import { numberArg, stringArg } from './args.ts'
import { joined } from './memory.ts'
import { formatE, formatF, formatG, formatNonFinite } from './number-format.ts'
import { argumentError, type LuaValue, libError } from './value.ts'

interface Spec {
  readonly flags: string
  readonly width: number
  readonly precision: number | null
}

/** `string.format`; `name` is how errors name it. */
export function format(args: readonly LuaValue[], name: string): string {
  const template = stringArg(args, 0, name)
  let out = ''
  let from = 0
  let argument = 0
  for (;;) {
    const at = template.indexOf('%', from)
    if (at < 0) {
      out += template.slice(from)
      return joined(out)
    }
    out += template.slice(from, at)
    if (template[at + 1] === '%') {
      out += '%'
      from = at + 2
      continue
    }
    argument++
    if (argument >= args.length) throw argumentError(argument + 1, name, 'no value')
    const { spec, end } = parseSpec(template, at + 1)
    out += convert(template[end] ?? '', spec, args, argument, name)
    from = end + 1
  }
}

function parseSpec(template: string, start: number): { spec: Spec; end: number } {
  let i = start
  while (i < template.length && '-+ #0'.includes(template[i]!)) i++
  if (i - start > 5) throw libError('invalid format (repeated flags)')
  const flags = template.slice(start, i)
  const widthStart = i
  while (isDigit(template[i]) && i - widthStart < 2) i++
  const width = Number(template.slice(widthStart, i))
  let precision: number | null = null
  if (template[i] === '.') {
    const precisionStart = ++i
    while (isDigit(template[i]) && i - precisionStart < 2) i++
    precision = Number(template.slice(precisionStart, i))
  }
  if (isDigit(template[i])) throw libError('invalid format (width or precision too long)')
  return { spec: { flags, width, precision }, end: i }
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9'
}

function convert(conversion: string, spec: Spec, args: readonly LuaValue[], i: number, name: string): string {
  switch (conversion) {
    case 'c':
      return character(toInt(numberArg(args, i, name)) & 255, spec)
    case 'd':
    case 'i':
      return signed(toInt64(numberArg(args, i, name)), spec)
    case 'o':
      return unsigned(toUint64(numberArg(args, i, name)), spec, 8, '0')
    case 'u':
      return unsigned(toUint64(numberArg(args, i, name)), spec, 10, '')
    case 'x':
      return unsigned(toUint64(numberArg(args, i, name)), spec, 16, '0x')
    case 'X':
      return unsigned(toUint64(numberArg(args, i, name)), spec, 16, '0X').toUpperCase()
    case 'e':
    case 'E':
    case 'f':
    case 'g':
    case 'G':
      return float(conversion, numberArg(args, i, name), spec)
    case 'q':
      return quoted(stringArg(args, i, name))
    case 's':
      return text(stringArg(args, i, name), spec)
    default:
      throw libError(`invalid option '%${conversion}' to 'format'`)
  }
}

/** A zero byte ends what C prints, also the spaces behind it. */
function character(code: number, spec: Spec): string {
  return code === 0 ? pad('\0', spec).split('\0', 1)[0]! : pad(String.fromCharCode(code), spec)
}

/** C's cast to int, as x86 does it. */
function toInt(n: number): number {
  return n < 2 ** 31 && n > -(2 ** 31) - 1 ? Math.trunc(n) : -(2 ** 31)
}

/** C's cast to a 64-bit integer, as x86 does it. */
function toInt64(n: number): bigint {
  if (!(n < 2 ** 63 && n >= -(2 ** 63))) return -(2n ** 63n)
  return BigInt(Math.trunc(n))
}

/** C's cast to an unsigned 64-bit integer, as x86 does it: what is too large becomes 0. */
function toUint64(n: number): bigint {
  if (!(n >= 2 ** 63)) return BigInt.asUintN(64, toInt64(n))
  return n < 2 ** 64 ? BigInt(n) : 0n
}

function signed(value: bigint, spec: Spec): string {
  const digits = minimumDigits((value < 0n ? -value : value).toString(), spec)
  const sign = value < 0n ? '-' : spec.flags.includes('+') ? '+' : spec.flags.includes(' ') ? ' ' : ''
  return padNumber(sign, digits, spec, spec.precision === null)
}

function unsigned(value: bigint, spec: Spec, base: number, prefix: string): string {
  const digits = minimumDigits(value.toString(base), spec)
  const isMarked = spec.flags.includes('#') && value !== 0n
  return padNumber(isMarked ? prefix : '', digits, spec, spec.precision === null)
}

function minimumDigits(digits: string, spec: Spec): string {
  if (spec.precision === 0 && digits === '0') return ''
  return digits.padStart(spec.precision ?? 1, '0')
}

function float(conversion: string, value: number, spec: Spec): string {
  const precision = spec.precision ?? 6
  let body: string
  if (!Number.isFinite(value)) body = formatNonFinite(value)
  else if (conversion === 'f') body = formatF(value, precision)
  else if (conversion === 'e' || conversion === 'E') body = formatE(value, precision)
  else body = formatG(value, precision, spec.flags.includes('#'))
  if (spec.flags.includes('#') && Number.isFinite(value) && !body.includes('.')) body = body.replace(/^-?\d+/, '$&.')
  const isNegative = body.startsWith('-')
  const sign = isNegative ? '-' : spec.flags.includes('+') ? '+' : spec.flags.includes(' ') ? ' ' : ''
  if (isNegative) body = body.slice(1)
  if (conversion === 'E' || conversion === 'G') body = body.toUpperCase()
  return padNumber(sign, body, spec, Number.isFinite(value))
}

function padNumber(sign: string, digits: string, spec: Spec, mayZeroPad: boolean): string {
  if (mayZeroPad && spec.flags.includes('0') && !spec.flags.includes('-')) {
    return sign + digits.padStart(spec.width - sign.length, '0')
  }
  return pad(sign + digits, spec)
}

function pad(body: string, spec: Spec): string {
  return spec.flags.includes('-') ? body.padEnd(spec.width, ' ') : body.padStart(spec.width, ' ')
}

function text(value: string, spec: Spec): string {
  // A long string without precision is taken as it is, also with its zero bytes; else C's printf ends at the first.
  if (spec.precision === null && value.length >= 100) return value
  const zero = value.indexOf('\0')
  const visible = zero < 0 ? value : value.slice(0, zero)
  return pad(spec.precision === null ? visible : visible.slice(0, spec.precision), spec)
}

function quoted(value: string): string {
  let out = '"'
  for (const char of value) {
    switch (char) {
      case '"':
      case '\\':
      case '\n':
        out += `\\${char}`
        break
      case '\r':
        out += '\\r'
        break
      case '\0':
        out += '\\000'
        break
      default:
        out += char
    }
  }
  return `${out}"`
}
