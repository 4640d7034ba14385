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

/** Bytes that a builder keeps for known arguments, at most. */
const KEPT_BYTES_MAX = 16 * 1024

/** Arguments of a call of which some are known ahead: where those lie in the builder's buffer. */
export interface CallForm {
  readonly offsets: Int32Array
  readonly lengths: Int32Array
}

/**
 * Builds an argument view in a scratch buffer, for calls that do not come as bytes (scripts, in-process, replay).
 *
 * The buffer begins with known arguments, which stay there (`keepForm`); a request follows behind `base`.
 */
export class ArgsBuilder {
  readonly args: Args = new Args()
  private at = 0
  private base = 0
  /** Where the known arguments lie. */
  private readonly kept = new Map<string, number>()

  constructor() {
    this.args.buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  }

  /** Starts a new request. */
  clear(): void {
    const { args } = this
    args.count = 0
    this.at = this.base
    if (args.buffer.length > SCRATCH_BYTES_KEPT) this.shrink()
  }

  /**
   * Prepares calls of which some arguments are known, as byte strings, and others are not (null). Must not be called
   * while a request is built. Returns null when there is no room.
   */
  keepForm(texts: readonly (string | null)[]): CallForm | null {
    const offsets = new Int32Array(texts.length)
    const lengths = new Int32Array(texts.length)
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i]!
      if (text === null) continue
      const offset = this.keep(text)
      if (offset < 0) return null
      offsets[i] = offset
      lengths[i] = text.length
    }
    return { offsets, lengths }
  }

  /** Starts a request of a form; the arguments that are not known must follow, each at its place. */
  begin({ offsets, lengths }: CallForm): void {
    this.clear()
    const { args } = this
    const count = offsets.length
    if (count > args.offsets.length) args.reserve(count)
    for (let i = 0; i < count; i++) {
      args.offsets[i] = offsets[i]!
      args.lengths[i] = lengths[i]!
    }
    args.count = count
  }

  /** Adds a byte string; chars must be 0–255. */
  text(text: string): void {
    this.textAt(this.args.count, text)
  }

  /** As `text`, for an argument of a form, or the next one. */
  textAt(place: number, text: string): void {
    const length = text.length
    this.room(length)
    const buffer = this.args.buffer
    const at = this.at
    if (length <= LOOPED_CHARS_MAX) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, at, length)
    this.done(place, length)
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
        this.done(this.args.count, length)
        return
      }
    }
    this.done(this.args.count, buffer.utf8Write(text, at, length * 3))
  }

  bytes(source: Uint8Array, start: number, length: number): void {
    this.room(length)
    copyBytes(source, start, this.args.buffer, this.at, length)
    this.done(this.args.count, length)
  }

  /** Adds a safe integer as decimal text. */
  integer(value: number): void {
    this.integerAt(this.args.count, value)
  }

  /** As `integer`, for an argument of a form, or the next one. */
  integerAt(place: number, value: number): void {
    this.room(20)
    this.done(place, writeInteger(this.args.buffer, this.at, value) - this.at)
  }

  /** Where a known argument lies; -1 when there is no room for it. */
  private keep(text: string): number {
    const known = this.kept.get(text)
    if (known !== undefined) return known
    const offset = this.base
    if (offset + text.length > KEPT_BYTES_MAX) return -1
    this.clear()
    this.room(text.length)
    this.args.buffer.latin1Write(text, offset, text.length)
    this.kept.set(text, offset)
    this.base = offset + text.length
    return offset
  }

  /** Gives a buffer back that a huge request has grown. */
  private shrink(): void {
    const { args, base } = this
    const small = Buffer.allocUnsafeSlow(base + SCRATCH_BYTES)
    args.buffer.copy(small, 0, 0, base)
    args.buffer = small
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

  private done(place: number, length: number): void {
    const args = this.args
    args.offsets[place] = this.at
    args.lengths[place] = length
    if (place === args.count) args.count = place + 1
    this.at += length
  }
}

/** Clamps a 64-bit integer sum; null when it overflows (INCRBY, HINCRBY). */
export function addInt64(a: bigint, b: bigint): bigint | null {
  const sum = a + b
  return sum > INT64_MAX || sum < INT64_MIN ? null : sum
}

const EMPTY = Buffer.alloc(0)
