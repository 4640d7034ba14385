/**
 * The `struct` library: C structures in byte strings.
 *
 * Formats: `>` `<` byte order, `![n]` alignment, `x` padding, `b`/`B` `h`/`H` `l`/`L` `i[n]`/`I[n]` `T` integers, `f` `d`
 * floats, `c[n]` chars, `s` zero-terminated string, space ignored. `c0` packs a whole string and unpacks as many chars as
 * the value before it says. A zero byte ends the format. Source: Redis deps/lua/src/lua_struct.c.
 *
 * Positions stay plain numbers: they can be negative where C has a huge unsigned one, and both are then out of range.
 */
import { checkNumber, checkString, optionalInteger, STACK_SLOTS_MAX } from './lib-arguments.ts'
import { BYTE_STRINGS, bytesToFloat, floatToBytes, reverseBytes } from './lib-bytes.ts'
import { parseNumber } from './number-format.ts'
import { LuaTable } from './table.ts'
import { TextBuilder } from './text-builder.ts'
import { argumentError, type LuaResult, type LuaValue, libError } from './value.ts'

/** Largest `n` of `i[n]`, in bytes. */
const INTEGER_BYTES_MAX = 32
const ALIGNMENT_DEFAULT = 1
/** What `!` without a number means: the alignment of a double. */
const ALIGNMENT_NATIVE = 8
const INT_MAX = 2 ** 31 - 1
const WORD = 2 ** 32

/** Sizes in bytes of the options that have a fixed one. */
const FIXED_SIZES: Readonly<Record<string, number>> = { b: 1, B: 1, h: 2, H: 2, l: 8, L: 8, T: 8, f: 4, d: 8, x: 1 }

/** Makes the library table; the caller makes it read-only. */
export function createStructLib(): LuaTable {
  const lib = new LuaTable()
  lib.setString('pack', (...args) => pack(args))
  lib.setString('unpack', (...args) => unpack(args))
  lib.setString('size', (...args) => size(args))
  return lib
}

function pack(args: readonly LuaValue[]): string {
  const format = new Format(checkString(args, 1, 'pack'), 'pack')
  // The C code pushes a nil after the arguments: a missing argument is reported as nil, not as "no value".
  const values = [...args, undefined]
  let index = 2
  const out = new TextBuilder()
  while (format.next()) {
    const padding = format.padding(out.length)
    if (padding > 0) out.add('\0'.repeat(padding))
    switch (format.option) {
      case 'x':
        out.add('\0')
        break
      case 'f':
      case 'd':
        out.add(packFloat(checkNumber(values, index++, 'pack'), format))
        break
      case 'c':
      case 's':
        out.add(packString(checkString(values, index++, 'pack'), index, format))
        break
      default:
        if (format.isInteger()) out.add(packInteger(checkNumber(values, index++, 'pack'), format))
        else format.control()
    }
  }
  return out.finish()
}

function packFloat(value: number, format: Format): string {
  const bytes = floatToBytes(value, format.size === 4 ? 4 : 8)
  return format.isBigEndian ? bytes : reverseBytes(bytes)
}

/** `errorIndex` is the argument after the string: that is the one Redis blames. */
function packString(text: string, errorIndex: number, format: Format): string {
  const size = format.size === 0 ? text.length : format.size
  if (text.length < size) throw argumentError(errorIndex, 'pack', 'string too short')
  return format.option === 's' ? `${text}\0` : text.slice(0, size)
}

/** The low bytes of the int64 (or, from 2^63, uint64) of `value`; bytes above the eighth are zero. */
function packInteger(value: number, format: Format): string {
  const integer = toUint64Range(value)
  const low = integer >>> 0
  const high = Math.floor(integer / WORD) >>> 0
  let bytes = ''
  for (let i = 0; i < format.size; i++) {
    const byte = i < 4 ? (low >>> (8 * i)) & 0xff : i < 8 ? (high >>> (8 * i - 32)) & 0xff : 0
    bytes = format.isBigEndian ? BYTE_STRINGS[byte]! + bytes : bytes + BYTE_STRINGS[byte]!
  }
  return bytes
}

/** C's conversion to int64 for negative numbers and to uint64 for others, as x86 does it out of range. */
function toUint64Range(value: number): number {
  if (Number.isNaN(value) || value < -(2 ** 63)) return -(2 ** 63)
  return value < 2 ** 64 ? Math.trunc(value) : 0
}

function unpack(args: readonly LuaValue[]): LuaResult {
  const format = new Format(checkString(args, 1, 'unpack'), 'unpack')
  const text = checkString(args, 2, 'unpack')
  const offset = optionalInteger(args, 3, 'unpack', 1)
  if (offset === 0) throw argumentError(3, 'unpack', 'offset must be 1 or greater')
  let position = offset - 1
  const results: LuaValue[] = []
  while (format.next()) {
    position += format.padding(position)
    checkInside(text, position, format.size)
    if (args.length + results.length + 2 > STACK_SLOTS_MAX) throw libError('stack overflow (too many results)')
    switch (format.option) {
      case 'x':
        break
      case 'f':
      case 'd':
        results.push(unpackFloat(text, position, format))
        break
      case 'c': {
        if (format.size === 0) format.size = takeSize(results)
        checkInside(text, position, format.size)
        results.push(text.slice(position, position + format.size))
        break
      }
      case 's': {
        const end = text.indexOf('\0', position)
        if (end === -1) throw libError('unfinished string in data')
        results.push(text.slice(position, end))
        format.size = end + 1 - position
        break
      }
      default:
        if (format.isInteger()) results.push(unpackInteger(text, position, format))
        else format.control()
    }
    position += format.size
  }
  if (results.length === 0) return position + 1
  results.push(position + 1)
  return results
}

function checkInside(text: string, position: number, size: number): void {
  const isInside = size >= 0 && position >= 0 && position + size <= text.length
  if (!isInside) throw argumentError(2, 'unpack', 'data string too short')
}

/** Removes the last result, which is the size of the chars that follow. */
function takeSize(results: LuaValue[]): number {
  const last = results.length === 0 ? undefined : results[results.length - 1]
  const size = typeof last === 'number' ? last : typeof last === 'string' ? parseNumber(last) : undefined
  if (size === undefined) throw libError("format 'c0' needs a previous size")
  results.pop()
  // NaN becomes a huge size in C, which is refused as a negative one is.
  return Number.isNaN(size) ? -1 : Math.trunc(size)
}

function unpackFloat(text: string, position: number, format: Format): number {
  const size = format.size === 4 ? 4 : 8
  if (format.isBigEndian) return bytesToFloat(text, position, size)
  return bytesToFloat(reverseBytes(text.slice(position, position + size)), 0, size)
}

function unpackInteger(text: string, position: number, format: Format): number {
  const size = format.size
  const isSigned = format.option >= 'a'
  const step = format.isBigEndian ? 1 : -1
  let at = format.isBigEndian ? position : position + size - 1
  let high = 0
  let low = 0
  for (let i = 0; i < size; i++) {
    high = (high << 8) | (low >>> 24)
    low = (low << 8) | text.charCodeAt(at)
    at += step
  }
  if (!isSigned) return (high >>> 0) * WORD + (low >>> 0)
  // The sign bit's place is taken modulo 64, as x86 shifts: sizes above 8 bytes give odd but reproducible results.
  const signBit = (size * 8 + 63) % 64
  const highMask = signBit >= 32 ? -1 << (signBit - 32) : -1
  const lowMask = signBit >= 32 ? 0 : -1 << signBit
  if ((high & highMask) !== 0 || (low & lowMask) !== 0) {
    high |= highMask
    low |= lowMask
  }
  return high * WORD + (low >>> 0)
}

function size(args: readonly LuaValue[]): number {
  const format = new Format(checkString(args, 1, 'size'), 'size')
  let position = 0
  while (format.next()) {
    position += format.padding(position)
    if (format.option === 's') throw argumentError(1, 'size', "option 's' has no fixed size")
    if (format.option === 'c' && format.size === 0) throw argumentError(1, 'size', "option 'c0' has no fixed size")
    // Unknown letters and digits pass here, unlike in pack and unpack.
    if (!/[0-9A-Za-z]/.test(format.option)) format.control()
    position += format.size
  }
  return position
}

/** A walk over a format string, with the byte order and alignment that are in force. */
class Format {
  option = ''
  /** Size of the current option in bytes; 0 when the option has none of its own. */
  size = 0
  isBigEndian = false
  private alignment = ALIGNMENT_DEFAULT
  private at = 0
  private readonly text: string
  private readonly functionName: string

  constructor(text: string, functionName: string) {
    this.text = text
    this.functionName = functionName
  }

  /** Reads the next option and its size; false at the end. */
  next(): boolean {
    if (this.at >= this.text.length || this.text.charCodeAt(this.at) === 0) return false
    const option = this.text[this.at++]!
    this.option = option
    if (option === 'c') this.size = this.count(1)
    else if (option === 'i' || option === 'I') {
      this.size = this.count(4)
      if (this.size > INTEGER_BYTES_MAX)
        throw libError(`integral size ${this.size} is larger than limit of ${INTEGER_BYTES_MAX}`)
    } else this.size = FIXED_SIZES[option] ?? 0
    return true
  }

  isInteger(): boolean {
    return 'bBhHlLTiI'.includes(this.option)
  }

  /** How many bytes are to be skipped at `position` so that the current option is aligned. */
  padding(position: number): number {
    if (this.size === 0 || this.option === 'c') return 0
    const size = Math.min(this.size, this.alignment)
    return (size - (position & (size - 1))) & (size - 1)
  }

  /** Obeys an option that is not a value, or refuses it. */
  control(): void {
    if (this.option === ' ') return
    if (this.option === '>') this.isBigEndian = true
    else if (this.option === '<') this.isBigEndian = false
    else if (this.option === '!') {
      const alignment = this.count(ALIGNMENT_NATIVE)
      if (alignment === 0 || (alignment & (alignment - 1)) !== 0)
        throw libError(`alignment ${alignment} is not a power of 2`)
      this.alignment = alignment
    } else throw argumentError(1, this.functionName, `invalid format option '${this.option}'`)
  }

  /** The decimal number at this place, or `fallback`. */
  private count(fallback: number): number {
    const start = this.at
    let count = 0
    for (let code = this.text.charCodeAt(this.at); code >= 0x30 && code <= 0x39; code = this.text.charCodeAt(this.at)) {
      count = count * 10 + (code - 0x30)
      if (count > INT_MAX) throw libError('integral size overflow')
      this.at++
    }
    return this.at === start ? fallback : count
  }
}
