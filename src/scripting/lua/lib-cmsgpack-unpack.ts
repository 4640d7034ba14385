/**
 * Lua values from MessagePack. Hot path: BullMQ's scripts unpack their arguments in every call.
 *
 * One pass over the byte string; strings are slices of it. 64-bit integers become the nearest double, unsigned ones from
 * 2^63 negative as in Redis. `bin`, `ext` and the unused code 0xc1 are refused.
 */
import { NESTING_MAX } from './lib-arguments.ts'
import { bytesToFloat, sliceName } from './lib-bytes.ts'
import { CHARGED_BYTES, CHARGED_MASK, charge, TABLE_BYTES, whenAborted } from './memory.ts'
import { LuaTable } from './table.ts'
import { LuaError, type LuaResult, type LuaValue, libError } from './value.ts'

const WORD = 2 ** 32

/** What the stack says when there are too many results, or maps nested too deeply. */
export const TOO_MANY_RESULTS =
  'stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)'

/** A reader of one input at a time; it is reused, as it never calls Lua code. */
export class Unpacker {
  private text = ''
  private at = 0
  private depth = 0

  constructor() {
    whenAborted(() => {
      this.text = ''
    })
  }

  /** Begins with `text` at byte `offset`. */
  start(text: string, offset: number): void {
    this.text = text
    this.at = offset
    this.depth = 0
  }

  /** Lets the input go and hands `result` on. */
  finish(result: LuaResult): LuaResult {
    this.text = ''
    return result
  }

  /** Index of the next byte to read. */
  position(): number {
    return this.at
  }

  atEnd(): boolean {
    return this.at >= this.text.length
  }

  /** Reads one value. Throws a Lua error when the input ends inside of it or is malformed. */
  value(): LuaValue {
    const code = this.text.charCodeAt(this.at)
    if (code < 0x80) {
      this.at++
      return code
    }
    if (code < 0xc0) {
      this.at++
      if (code >= 0xa0) return this.string(code & 0x1f)
      return code >= 0x90 ? this.array(code & 0x0f) : this.map(code & 0x0f)
    }
    if (code >= 0xe0) {
      this.at++
      return code - 0x100
    }
    return this.coded(code)
  }

  private coded(code: number): LuaValue {
    switch (code) {
      case 0xc0:
        this.at++
        return undefined
      case 0xc2:
      case 0xc3:
        this.at++
        return code === 0xc3
      case 0xca:
        return this.float(4)
      case 0xcb:
        return this.float(8)
      case 0xcc:
        return this.integer(1)
      case 0xcd:
        return this.integer(2)
      case 0xce:
        return this.integer(4) >>> 0
      case 0xd0:
        return (this.integer(1) << 24) >> 24
      case 0xd1:
        return (this.integer(2) << 16) >> 16
      case 0xd2:
        return this.integer(4)
      case 0xcf:
      case 0xd3:
        return this.integer64()
      case 0xd9:
        return this.string(this.integer(1))
      case 0xda:
        return this.string(this.integer(2))
      case 0xdb:
        return this.string(this.integer(4) >>> 0)
      case 0xdc:
        return this.array(this.integer(2))
      case 0xdd:
        return this.array(this.integer(4) >>> 0)
      case 0xde:
        return this.map(this.integer(2))
      case 0xdf:
        return this.map(this.integer(4) >>> 0)
      default:
        throw this.fail(Number.isNaN(code) ? 'Missing bytes in input.' : 'Bad data format in input.')
    }
  }

  /** The big-endian integer of `size` bytes behind the code byte; of 4 bytes as an int32. */
  private integer(size: 1 | 2 | 4): number {
    const text = this.text
    let at = this.at + 1
    const end = at + size
    if (end > text.length) throw this.fail('Missing bytes in input.')
    let value = 0
    for (; at < end; at++) value = (value << 8) | text.charCodeAt(at)
    this.at = end
    return value
  }

  private integer64(): number {
    if (this.at + 9 > this.text.length) throw this.fail('Missing bytes in input.')
    const high = this.integer(4)
    // The low word is read as if the last byte of the high one were its code byte.
    this.at--
    return high * WORD + (this.integer(4) >>> 0)
  }

  private float(size: 4 | 8): number {
    const at = this.at + 1
    if (at + size > this.text.length) throw this.fail('Missing bytes in input.')
    this.at = at + size
    return bytesToFloat(this.text, at, size)
  }

  private string(size: number): string {
    const start = this.at
    const end = start + size
    if (end > this.text.length) throw this.fail('Missing bytes in input.')
    this.at = end
    return this.text.slice(start, end)
  }

  private array(count: number): LuaTable {
    if (++this.depth > NESTING_MAX) throw this.fail('stack overflow (in function mp_decode_to_lua_array)')
    charge(TABLE_BYTES)
    const values: LuaValue[] = []
    for (let i = 0; i < count; i++) {
      values.push(this.value())
      if ((i & CHARGED_MASK) === CHARGED_MASK) charge(CHARGED_BYTES)
    }
    this.depth--
    return LuaTable.fromList(values)
  }

  private map(count: number): LuaTable {
    if (++this.depth > NESTING_MAX) throw this.fail(TOO_MANY_RESULTS)
    charge(TABLE_BYTES)
    const table = new LuaTable()
    for (let i = 0; i < count; i++) {
      if ((i & CHARGED_MASK) === CHARGED_MASK) charge(CHARGED_BYTES)
      const key = this.key()
      const value = this.value()
      if (typeof key === 'string') table.setString(key, value)
      else this.setAny(table, key, value)
    }
    this.depth--
    return table
  }

  /** A value, by the short way for short strings. */
  private key(): LuaValue {
    const code = this.text.charCodeAt(this.at)
    const start = this.at + 1
    const end = start + (code & 0x1f)
    if (code < 0xa0 || code > 0xbf || end > this.text.length) return this.value()
    this.at = end
    return sliceName(this.text, start, end)
  }

  private setAny(table: LuaTable, key: LuaValue, value: LuaValue): void {
    // Raised by the interpreter, not by the library: without a position.
    if (key === undefined) throw new LuaError('table index is nil')
    if (Number.isNaN(key)) throw new LuaError('table index is NaN')
    table.set(key, value)
  }

  private fail(message: string): LuaError {
    this.text = ''
    return libError(message)
  }
}
