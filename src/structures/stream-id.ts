/**
 * Stream entry IDs: `ms-seq`, two unsigned 64-bit numbers. Hot path.
 *
 * An ID is four 32-bit words, most significant first, kept as signed integers: small integers for V8, exact to the last
 * bit, and no allocation when they are copied between typed arrays and the reusable `StreamId` objects. They compare as
 * unsigned. Where a number is wanted (text, the clock), a word pair is a number while it is a safe integer and a BigInt
 * beyond that.
 */
import { writeInteger } from '../bytes/integer.ts'

const TWO_32 = 4294967296
/** High words below this belong to safe integers. */
const SAFE_HIGH_END = 0x200000
/** Longer texts are no IDs, whatever they hold (Valkey src/t_stream.c streamGenericParseIDOrReply). */
const ID_TEXT_MAX_BYTES = 127
/** Digits that can be read into a number without losing any. */
const SAFE_DIGITS = 15

const UINT64_DIGITS_MAX = 20

/** Longest text of an ID: two numbers of 20 digits and the dash. */
export const STREAM_ID_TEXT_BYTES = 41

/** What `parseStreamId` found. */
export const ParsedId = {
  Invalid: 0,
  /** A complete ID, or the time part alone. */
  Given: 1,
  /** `ms-*`: the sequence is to be generated; it was set to 0. */
  AutoSequence: 2,
} as const

/** How `parseStreamId` reads the texts that are no plain `ms-seq`. */
export const IdSyntax = {
  /** `ms` or `ms-seq` only. */
  Strict: 0,
  /** Also `-` and `+`, the smallest and the greatest ID. */
  Range: 1,
  /** Also `ms-*`. */
  Add: 2,
} as const

/**
 * The time part that was written last, as digits: entries that are added or read together mostly share it, and to
 * divide a number beyond 32 bits into digits is slow.
 */
const lastMsDigits = new Uint8Array(UINT64_DIGITS_MAX)
let lastMsHigh = 0
let lastMsLow = 0
let lastMsLength = writeInteger(lastMsDigits, 0, 0)

/** A reusable entry ID. Words are the 32-bit patterns of two unsigned 64-bit numbers. */
export class StreamId {
  msHigh = 0
  msLow = 0
  seqHigh = 0
  seqLow = 0

  copy(other: StreamId): void {
    this.msHigh = other.msHigh
    this.msLow = other.msLow
    this.seqHigh = other.seqHigh
    this.seqLow = other.seqLow
  }

  /** 0-0. */
  setMin(): void {
    this.msHigh = 0
    this.msLow = 0
    this.seqHigh = 0
    this.seqLow = 0
  }

  /** 18446744073709551615-18446744073709551615. */
  setMax(): void {
    this.msHigh = -1
    this.msLow = -1
    this.seqHigh = -1
    this.seqLow = -1
  }

  /** Sets both parts from safe integers. */
  set(ms: number, seq: number): void {
    this.msHigh = highWord(ms)
    this.msLow = ms | 0
    this.seqHigh = highWord(seq)
    this.seqLow = seq | 0
  }

  isMin(): boolean {
    return (this.msHigh | this.msLow | this.seqHigh | this.seqLow) === 0
  }

  isMax(): boolean {
    return (this.msHigh & this.msLow & this.seqHigh & this.seqLow) === -1
  }

  equals(other: StreamId): boolean {
    return (
      this.seqLow === other.seqLow &&
      this.msLow === other.msLow &&
      this.seqHigh === other.seqHigh &&
      this.msHigh === other.msHigh
    )
  }

  /** Negative, 0 or positive as this ID is before, equal to or after the other one. */
  compare(other: StreamId): number {
    if (this.msHigh !== other.msHigh) return this.msHigh >>> 0 < other.msHigh >>> 0 ? -1 : 1
    if (this.msLow !== other.msLow) return this.msLow >>> 0 < other.msLow >>> 0 ? -1 : 1
    if (this.seqHigh !== other.seqHigh) return this.seqHigh >>> 0 < other.seqHigh >>> 0 ? -1 : 1
    if (this.seqLow !== other.seqLow) return this.seqLow >>> 0 < other.seqLow >>> 0 ? -1 : 1
    return 0
  }

  /** Moves to the following ID. Returns false, and becomes 0-0, behind the last one. */
  increment(): boolean {
    this.seqLow = (this.seqLow + 1) | 0
    if (this.seqLow !== 0) return true
    this.seqHigh = (this.seqHigh + 1) | 0
    if (this.seqHigh !== 0) return true
    this.msLow = (this.msLow + 1) | 0
    if (this.msLow !== 0) return true
    this.msHigh = (this.msHigh + 1) | 0
    return this.msHigh !== 0
  }

  /** Moves to the ID before. Returns false, and becomes the greatest one, before 0-0. */
  decrement(): boolean {
    this.seqLow = (this.seqLow - 1) | 0
    if (this.seqLow !== -1) return true
    this.seqHigh = (this.seqHigh - 1) | 0
    if (this.seqHigh !== -1) return true
    this.msLow = (this.msLow - 1) | 0
    if (this.msLow !== -1) return true
    this.msHigh = (this.msHigh - 1) | 0
    return this.msHigh !== -1
  }

  /** Negative, 0 or positive as the time part is before, equal to or after `ms` (a safe integer, not negative). */
  compareMs(ms: number): number {
    const high = Math.floor(ms / TWO_32)
    if (this.msHigh >>> 0 !== high) return this.msHigh >>> 0 < high ? -1 : 1
    const low = ms - high * TWO_32
    if (this.msLow >>> 0 !== low) return this.msLow >>> 0 < low ? -1 : 1
    return 0
  }

  /** Writes `ms-seq` at `at`, STREAM_ID_TEXT_BYTES at most. Returns the offset behind it. */
  write(target: Uint8Array, at: number): number {
    if (this.msHigh !== lastMsHigh || this.msLow !== lastMsLow) {
      lastMsHigh = this.msHigh
      lastMsLow = this.msLow
      lastMsLength = writeUint64(lastMsDigits, 0, lastMsHigh, lastMsLow)
    }
    for (let i = 0; i < lastMsLength; i++) target[at + i] = lastMsDigits[i]!
    at += lastMsLength
    target[at] = 45
    return writeUint64(target, at + 1, this.seqHigh, this.seqLow)
  }

  /** `ms-seq` as text. For the cold path: it makes strings. */
  text(): string {
    return `${uint64Text(this.msHigh, this.msLow)}-${uint64Text(this.seqHigh, this.seqLow)}`
  }
}

/** The high word of a safe integer, as a signed 32-bit integer. */
export function highWord(value: number): number {
  return Math.floor(value / TWO_32) | 0
}

/** The unsigned number of a word pair as text. */
export function uint64Text(high: number, low: number): string {
  if (high >>> 0 < SAFE_HIGH_END) return String(high * TWO_32 + (low >>> 0))
  return String((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0))
}

function writeUint64(target: Uint8Array, at: number, high: number, low: number): number {
  if (high >>> 0 < SAFE_HIGH_END) return writeInteger(target, at, high * TWO_32 + (low >>> 0))
  const text = uint64Text(high, low)
  for (let i = 0; i < text.length; i++) target[at++] = text.charCodeAt(i)
  return at
}

/** The word pair that `parseUint64` has read. */
let parsedHigh = 0
let parsedLow = 0

/**
 * Reads an ID from `source[start, start + length)` into `id`. A missing sequence becomes `missingSeqWord` in both words:
 * 0 for the start of an interval, -1 (all bits set) for its end.
 *
 * @returns one of `ParsedId`. `id` is undefined after Invalid.
 * Source: Valkey src/t_stream.c streamGenericParseIDOrReply.
 */
export function parseStreamId(
  source: Uint8Array,
  start: number,
  length: number,
  id: StreamId,
  syntax: number,
  missingSeqWord: number,
): number {
  if (length > ID_TEXT_MAX_BYTES) return ParsedId.Invalid
  let end = start
  let dash = -1
  const limit = start + length
  // The text ends at the first zero byte, as in C.
  for (; end < limit; end++) {
    const byte = source[end]!
    if (byte === 0) break
    if (byte === 45 && dash < 0) dash = end
  }
  if (end === start + 1 && syntax === IdSyntax.Range) {
    if (source[start] === 45) {
      id.setMin()
      return ParsedId.Given
    }
    if (source[start] === 43) {
      id.setMax()
      return ParsedId.Given
    }
  }
  if (!parseUint64(source, start, dash < 0 ? end : dash)) return ParsedId.Invalid
  id.msHigh = parsedHigh
  id.msLow = parsedLow
  if (dash < 0) {
    id.seqHigh = missingSeqWord
    id.seqLow = missingSeqWord
    return ParsedId.Given
  }
  if (syntax === IdSyntax.Add && end - dash === 2 && source[dash + 1] === 42) {
    id.seqHigh = 0
    id.seqLow = 0
    return ParsedId.AutoSequence
  }
  if (!parseUint64(source, dash + 1, end)) return ParsedId.Invalid
  id.seqHigh = parsedHigh
  id.seqLow = parsedLow
  return ParsedId.Given
}

/** As `parseStreamId` with IdSyntax.Strict, for a byte string. Returns false when it is no ID. */
export function parseStreamIdText(text: string, id: StreamId): boolean {
  const bytes = Buffer.from(text, 'latin1')
  return parseStreamId(bytes, 0, bytes.length, id, IdSyntax.Strict, 0) === ParsedId.Given
}

/** Reads an unsigned 64-bit number into parsedHigh and parsedLow. */
function parseUint64(source: Uint8Array, start: number, end: number): boolean {
  let value = 0
  const count = end - start
  if (count === 0) return false
  if (count > SAFE_DIGITS) return parseUint64Loosely(source, start, end)
  for (let at = start; at < end; at++) {
    const digit = source[at]! - 48
    if (digit < 0 || digit > 9) return parseUint64Loosely(source, start, end)
    value = value * 10 + digit
  }
  parsedHigh = highWord(value)
  parsedLow = value | 0
  return true
}

/**
 * As strtoull(): leading spaces, one sign and leading zeros are accepted, and a negative number wraps. What Redis reads
 * with its strict parser first, "-" and a canonical number, is refused there and so here.
 */
function parseUint64Loosely(source: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end && (source[at] === 32 || (source[at]! >= 9 && source[at]! <= 13))) at++
  const sign = at < end ? source[at]! : 0
  if (sign === 45 || sign === 43) at++
  if (at === end) return false
  const digitsStart = at
  let high = 0
  let low = 0
  for (; at < end; at++) {
    const digit = source[at]! - 48
    if (digit < 0 || digit > 9) return false
    const scaled = low * 10 + digit
    const carry = Math.floor(scaled / TWO_32)
    low = scaled - carry * TWO_32
    high = high * 10 + carry
    if (high >= TWO_32) return false
  }
  if (sign === 45) {
    // From 0x80000000 00000001 on, "-" and the number is no int64: the strict parser has not seen it.
    const fitsInt64 = high < 0x80000000 || (high === 0x80000000 && low === 0)
    const canonical = digitsStart === start + 1 && source[digitsStart] !== 48
    if (canonical && fitsInt64) return false
    low = TWO_32 - low
    high = TWO_32 - high - (low === TWO_32 ? 0 : 1)
  }
  parsedHigh = high | 0
  parsedLow = low | 0
  return true
}
