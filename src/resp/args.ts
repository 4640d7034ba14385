/**
 * The argument view: a request as byte ranges in the input buffer. Hot path.
 *
 * Argument i is `buffer[start(i), start(i) + length(i))`; argument 0 is the command's name. The view is reused: it is
 * valid until the handler returns, and who keeps arguments (MULTI, blocking) takes a `copy()`. Nothing is decoded
 * until somebody asks for text or a number.
 */
import { parseDouble, parsePlainDecimal } from '../bytes/double.ts'
import { INT64_MAX, INT64_MIN, parseInt64, parseSafeInteger, writeInteger } from '../bytes/integer.ts'
import { byteString } from '../bytes/short-text.ts'
import { copyBytes } from '../storage/arena.ts'
import { NOT_A_FLOAT, NOT_AN_INTEGER, type ReplyError } from './errors.ts'

const FIRST_SLOTS = 32

export class Args {
  buffer: Buffer = EMPTY
  offsets: Int32Array
  lengths: Int32Array
  /** Number of arguments, the command's name included. */
  count = 0

  /** @param slots room for so many arguments, at least 1 */
  constructor(slots: number = FIRST_SLOTS) {
    this.offsets = new Int32Array(slots)
    this.lengths = new Int32Array(slots)
  }

  /** Offset of argument `i` in `buffer`. */
  start(i: number): number {
    return this.offsets[i]!
  }

  /** Length of argument `i`, in bytes. */
  length(i: number): number {
    return this.lengths[i]!
  }

  /** Argument `i` as a byte string. */
  text(i: number): string {
    return byteString(this.buffer, this.offsets[i]!, this.lengths[i]!)
  }

  /** Whether argument `i` is the option `word` (given in upper case, letters and a few signs), in any case. */
  is(i: number, word: string): boolean {
    const length = this.lengths[i]!
    if (length !== word.length) return false
    const start = this.offsets[i]!
    const buffer = this.buffer
    for (let k = 0; k < length; k++) {
      const byte = buffer[start + k]!
      const upper = byte >= 97 && byte <= 122 ? byte - 32 : byte
      if (upper !== word.charCodeAt(k)) return false
    }
    return true
  }

  /** Whether argument `i` is the one byte `code`. */
  isByte(i: number, code: number): boolean {
    return this.lengths[i] === 1 && this.buffer[this.offsets[i]!] === code
  }

  /** Whether arguments `i` and `k` have the same bytes. */
  same(i: number, k: number): boolean {
    const length = this.lengths[i]!
    if (length !== this.lengths[k]) return false
    const a = this.offsets[i]!
    const b = this.offsets[k]!
    for (let n = 0; n < length; n++) if (this.buffer[a + n] !== this.buffer[b + n]) return false
    return true
  }

  /**
   * Argument `i` as a signed 64-bit integer, rounded to a double when it is beyond ±2^53: enough for ranges, counts
   * and times. Where the last bit counts, use `int64`.
   *
   * @throws NOT_AN_INTEGER, or the given error.
   */
  integer(i: number, error: ReplyError = NOT_AN_INTEGER): number {
    const value = parseSafeInteger(this.buffer, this.offsets[i]!, this.lengths[i]!)
    if (!Number.isNaN(value)) return value
    const big = parseInt64(this.buffer, this.offsets[i]!, this.lengths[i]!)
    if (big === null) throw error
    return Number(big)
  }

  /** Argument `i` as an integer in [min, max]. @throws the error when it is none or out of range. */
  integerIn(i: number, min: number, max: number, error: ReplyError = NOT_AN_INTEGER): number {
    const value = this.integer(i, error)
    if (value < min || value > max) throw error
    return value
  }

  /** Argument `i` as an exact signed 64-bit integer. @throws NOT_AN_INTEGER, or the given error. */
  int64(i: number, error: ReplyError = NOT_AN_INTEGER): bigint {
    const value = parseInt64(this.buffer, this.offsets[i]!, this.lengths[i]!)
    if (value === null) throw error
    return value
  }

  /** Argument `i` as a safe integer, NaN when it is none (see parseSafeInteger). Never throws. */
  safeInteger(i: number): number {
    return parseSafeInteger(this.buffer, this.offsets[i]!, this.lengths[i]!)
  }

  /** Argument `i` as a double, infinities allowed. @throws NOT_A_FLOAT, or the given error. */
  double(i: number, error: ReplyError = NOT_A_FLOAT): number {
    const plain = parsePlainDecimal(this.buffer, this.offsets[i]!, this.lengths[i]!)
    if (!Number.isNaN(plain)) return plain
    const value = parseDouble(this.text(i))
    if (value === null) throw error
    return value
  }

  /** Makes room for `count` arguments, keeping those that are there. */
  reserve(count: number): void {
    if (count <= this.offsets.length) return
    let slots = this.offsets.length
    while (slots < count) slots *= 2
    const offsets = new Int32Array(slots)
    const lengths = new Int32Array(slots)
    offsets.set(this.offsets)
    lengths.set(this.lengths)
    this.offsets = offsets
    this.lengths = lengths
  }

  /** Gives the room of a request with very many arguments back. Only for a view without arguments. */
  shrink(): void {
    this.offsets = new Int32Array(FIRST_SLOTS)
    this.lengths = new Int32Array(FIRST_SLOTS)
  }

  /** The arguments from `i` on as a view of its own, over the same bytes: valid as long as this one. */
  from(i: number): Args {
    const rest = new Args()
    rest.buffer = this.buffer
    rest.count = this.count - i
    rest.offsets = this.offsets.slice(i, this.count)
    rest.lengths = this.lengths.slice(i, this.count)
    return rest
  }

  /** A view of its own, over its own bytes. */
  copy(): Args {
    let bytes = 0
    for (let i = 0; i < this.count; i++) bytes += this.lengths[i]!
    const copied = new Args(this.count)
    copied.buffer = Buffer.allocUnsafeSlow(bytes)
    let at = 0
    for (let i = 0; i < this.count; i++) {
      copyBytes(this.buffer, this.offsets[i]!, copied.buffer, at, this.lengths[i]!)
      copied.offsets[i] = at
      copied.lengths[i] = this.lengths[i]!
      at += this.lengths[i]!
    }
    copied.count = this.count
    return copied
  }
}

/** Text up to this length is written by a loop, which beats the call into the runtime. */
const LOOPED_CHARS_MAX = 24
const SCRATCH_BYTES = 4096
/** A scratch buffer that a huge request has grown is given back from this size on. */
const SCRATCH_BYTES_KEPT = 1024 * 1024
/** Offsets of arguments have 31 bits. */
const REQUEST_BYTES_MAX = 2 ** 31 - 1

/** Builds an argument view in a scratch buffer, for calls that do not come as bytes (scripts, in-process, replay). */
export class ArgsBuilder {
  readonly args: Args = new Args()
  private at = 0

  constructor() {
    this.args.buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  }

  /** Starts a new request. */
  clear(): void {
    const { args } = this
    args.count = 0
    this.at = 0
    if (args.buffer.length > SCRATCH_BYTES_KEPT) args.buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  }

  /** Adds a byte string; chars must be 0–255. */
  text(text: string): void {
    const length = text.length
    this.room(length)
    const buffer = this.args.buffer
    const at = this.at
    if (length <= LOOPED_CHARS_MAX) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, at, length)
    this.done(length)
  }

  /** Adds text as UTF-8. */
  utf8(text: string): void {
    const { length } = text
    this.room(length * 3)
    const { at } = this
    const { buffer } = this.args
    if (length <= LOOPED_CHARS_MAX) {
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) break
        buffer[at + i] = code
      }
      if (i === length) {
        this.done(length)
        return
      }
    }
    this.done(buffer.utf8Write(text, at, length * 3))
  }

  bytes(source: Uint8Array, start: number, length: number): void {
    this.room(length)
    copyBytes(source, start, this.args.buffer, this.at, length)
    this.done(length)
  }

  /** Adds a safe integer as decimal text. */
  integer(value: number): void {
    this.room(20)
    this.done(writeInteger(this.args.buffer, this.at, value) - this.at)
  }

  private room(bytes: number): void {
    const { args } = this
    if (args.count === args.offsets.length) args.reserve(args.count + 1)
    if (this.at + bytes > args.buffer.length) this.grow(bytes)
  }

  private grow(bytes: number): void {
    const { args } = this
    const needed = this.at + bytes
    // As for an array that would be too long.
    if (needed > REQUEST_BYTES_MAX) throw new RangeError('Invalid request length')
    const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(args.buffer.length * 2, needed), REQUEST_BYTES_MAX))
    args.buffer.copy(grown, 0, 0, this.at)
    args.buffer = grown
  }

  private done(length: number): void {
    const args = this.args
    args.offsets[args.count] = this.at
    args.lengths[args.count] = length
    args.count++
    this.at += length
  }
}

/** Clamps a 64-bit integer sum; null when it overflows (INCRBY, HINCRBY). */
export function addInt64(a: bigint, b: bigint): bigint | null {
  const sum = a + b
  return sum > INT64_MAX || sum < INT64_MIN ? null : sum
}

const EMPTY = Buffer.alloc(0)
