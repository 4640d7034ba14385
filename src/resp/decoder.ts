/**
 * Request decoder: bytes of a connection into argument views. Hot path.
 *
 * One call decodes one request from `buffer[at, end)`. A request that is not complete leaves its state behind, so that
 * a long one that comes in many pieces is read once only:
 *
 *     Start ──'*n'──▶ Header ──'$len'──▶ Bulk ──payload + CRLF──▶ Header … ──n-th──▶ complete
 *       └──other──▶ inline request: one line, split like a shell does
 *
 * Source of limits and texts: Valkey 7.2 src/networking.c processMultibulkBuffer, processInlineBuffer.
 */
import { parseSafeInteger } from '../bytes/integer.ts'
import { splitQuoted } from '../bytes/quoting.ts'
import { Args } from './args.ts'

/** Longest line of a header or an inline request, in bytes (PROTO_INLINE_MAX_SIZE). */
export const INLINE_BYTES_MAX = 64 * 1024
/** Most arguments of a request, as in Redis since 7.0. Memory is bounded by `client-query-buffer-limit`. */
export const ARGUMENTS_MAX = 0x7fffffff
/** Room for up to this many arguments is made as soon as they are announced. */
const RESERVE_MAX = 64
/** Limits for a client that is not authenticated yet. */
const UNAUTHENTICATED_ARGUMENTS_MAX = 10
const UNAUTHENTICATED_BULK_BYTES_MAX = 16384

/** Outcome of `decode`. */
export const Decoded = {
  /** `args` holds a request; the next one starts at `next`. */
  Request: 0,
  /** More bytes are needed. */
  Incomplete: 1,
  /** An empty request (`*0`, an empty line) was skipped up to `next`. */
  Empty: 2,
  /** The peer does not speak the protocol; `error` says why. */
  Malformed: 3,
} as const

export interface DecoderLimits {
  /** Longest argument, in bytes (`proto-max-bulk-len`). */
  bulkBytesMax: number
}

const TAB = 9
const LF = 10
const VERTICAL_TAB = 11
const FORM_FEED = 12
const CR = 13
const SPACE = 32
const QUOTE = 34
const APOSTROPHE = 39
const ASTERISK = 42
const DOLLAR = 36
const DIGIT_ZERO = 48
/** Slots for arguments that a decoder keeps when a request has needed more. */
const KEEP_SLOTS_MAX = 64 * 1024

export class Decoder {
  readonly args: Args = new Args()
  private readonly limits: DecoderLimits
  /** Offset behind the decoded request. */
  next = 0
  /** Text for `-ERR Protocol error: …`. */
  error = ''
  /** Arguments the current request announces; 0 before its header is read. */
  private expected = 0
  /** Announced length of the argument being read, or -1. */
  private bulkLength = -1
  /** Where reading goes on. */
  private at = 0
  /** What `decode` returns when a header could not be read. */
  private outcome: number = Decoded.Incomplete

  constructor(limits: DecoderLimits) {
    this.limits = limits
  }

  /** Whether a request has been begun and not completed. */
  get isPartial(): boolean {
    return this.expected > 0
  }

  /** Bytes from the request's start that are needed before another `decode` can get further. */
  get neededBytes(): number {
    return this.bulkLength >= 0 ? this.at + this.bulkLength + 2 : this.at + 1
  }

  /** Of a request that is not complete: where the part starts that is being read, from the request's start. */
  get readBytes(): number {
    return this.at
  }

  /** Starts a request at `start`. */
  begin(start: number): void {
    this.at = start
    this.expected = 0
    this.bulkLength = -1
    this.args.count = 0
    if (this.args.offsets.length > KEEP_SLOTS_MAX) this.args.shrink()
  }

  /** Takes over the state of another decoder whose request starts at `start`; here it starts at 0. */
  continueFrom(other: Decoder, start: number): void {
    this.expected = other.expected
    this.bulkLength = other.bulkLength
    this.at = other.at - start
    this.args.count = other.args.count
    this.args.reserve(other.args.count)
    for (let i = 0; i < other.args.count; i++) {
      this.args.offsets[i] = other.args.offsets[i]! - start
      this.args.lengths[i] = other.args.lengths[i]!
    }
  }

  /** Decodes from where `begin` or the last incomplete `decode` stopped. `authenticated`: 1, or 0 for stricter limits. */
  decode(buffer: Buffer, end: number, authenticated: number): number {
    let at = this.at
    if (this.expected === 0) {
      if (at >= end) return Decoded.Incomplete
      if (buffer[at] !== ASTERISK) return this.decodeInline(buffer, end)
      const digit = at + 3 < end && buffer[at + 2] === CR ? buffer[at + 1]! - DIGIT_ZERO : 0
      if (digit >= 1 && digit <= 9) {
        // Nearly every request has fewer than ten arguments.
        this.expected = digit
        at += 4
      } else {
        const outcome = this.decodeCount(buffer, end, authenticated)
        if (outcome !== Decoded.Request) return outcome
        at = this.at
      }
    }
    const args = this.args
    args.buffer = buffer
    const expected = this.expected
    if (expected - args.count < RESERVE_MAX) args.reserve(expected)
    let length = this.bulkLength
    let count = args.count
    while (count < expected) {
      if (length < 0) {
        // A bulk header is short: its digits are read in place instead of looking for the line's end first.
        const first = at + 4 < end && buffer[at] === DOLLAR ? buffer[at + 1]! - DIGIT_ZERO : 0
        const next = buffer[at + 2]! - DIGIT_ZERO
        if (first >= 1 && first <= 9 && next === CR - DIGIT_ZERO) {
          length = first
          at += 4
        } else if (first >= 1 && first <= 9 && next >= 0 && next <= 9 && buffer[at + 3] === CR) {
          length = first * 10 + next
          at += 5
        } else {
          args.count = count
          const headerEnd = this.decodeLength(buffer, at, end, authenticated)
          if (headerEnd < 0) return this.outcome
          length = this.bulkLength
          at = headerEnd
        }
      }
      if (end - at < length + 2) {
        args.count = count
        return this.wait(at, length)
      }
      if (count >= args.offsets.length) args.reserve(count + 1)
      args.offsets[count] = at
      args.lengths[count] = length
      count++
      at += length + 2
      length = -1
    }
    args.count = count
    this.next = at
    return Decoded.Request
  }

  /** Reads a request's number of arguments. Returns Decoded.Request when it is there and not 0. */
  private decodeCount(buffer: Buffer, end: number, authenticated: number): number {
    const at = this.at
    const lineEnd = findLineEnd(buffer, at, end)
    if (lineEnd < 0) {
      if (end - at > INLINE_BYTES_MAX) return this.fail('too big mbulk count string')
      return Decoded.Incomplete
    }
    const count = parseSafeInteger(buffer, at + 1, lineEnd - at - 1)
    if (Number.isNaN(count) || count > ARGUMENTS_MAX) return this.fail('invalid multibulk length')
    if (authenticated === 0 && count > UNAUTHENTICATED_ARGUMENTS_MAX)
      return this.fail('unauthenticated multibulk length')
    if (count <= 0) {
      this.next = lineEnd + 2
      return Decoded.Empty
    }
    this.expected = count
    this.at = lineEnd + 2
    return Decoded.Request
  }

  /** Reads a bulk header into `bulkLength`. Returns the offset behind it, or -1 with the `outcome` of `decode`. */
  private decodeLength(buffer: Buffer, at: number, end: number, authenticated: number): number {
    if (at >= end) {
      this.outcome = this.wait(at, -1)
      return -1
    }
    let digit = at + 1
    let length = 0
    while (digit < end) {
      const value = buffer[digit]! - DIGIT_ZERO
      if (value < 0 || value > 9) break
      length = length * 10 + value
      digit++
    }
    if (
      buffer[at] !== DOLLAR ||
      digit + 1 >= end ||
      buffer[digit] !== CR ||
      digit === at + 1 ||
      length > this.limits.bulkBytesMax ||
      (buffer[at + 1] === DIGIT_ZERO && digit > at + 2)
    ) {
      this.outcome = this.oddBulkHeader(buffer, at, end)
      return -1
    }
    if (authenticated === 0 && length > UNAUTHENTICATED_BULK_BYTES_MAX) {
      this.outcome = this.fail('unauthenticated bulk length')
      return -1
    }
    this.bulkLength = length
    return digit + 2
  }

  /** A bulk header that is not complete or not valid; nothing is wrong with it before its line has ended. */
  private oddBulkHeader(buffer: Buffer, at: number, end: number): number {
    if (findLineEnd(buffer, at, end) < 0) {
      if (end - at > INLINE_BYTES_MAX) return this.fail('too big bulk count string')
      return this.wait(at, -1)
    }
    if (buffer[at] === DOLLAR) return this.fail('invalid bulk length')
    const found = buffer[at]!
    return this.fail(`expected '$', got '${found === CR || found === LF ? ' ' : String.fromCharCode(found)}'`)
  }

  private wait(at: number, length: number): number {
    this.at = at
    this.bulkLength = length
    return Decoded.Incomplete
  }

  private fail(error: string): number {
    this.error = error
    return Decoded.Malformed
  }

  private decodeInline(buffer: Buffer, end: number): number {
    const start = this.at
    let lineEnd = start
    while (lineEnd < end && buffer[lineEnd] !== LF && buffer[lineEnd] !== 0) lineEnd++
    if (lineEnd === end || buffer[lineEnd] === 0) {
      if (end - start > INLINE_BYTES_MAX) return this.fail('too big inline request')
      return Decoded.Incomplete
    }
    this.next = lineEnd + 1
    const textEnd = lineEnd > start && buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
    const args = this.args
    if (this.takePlainWords(buffer, start, textEnd)) return args.count === 0 ? Decoded.Empty : Decoded.Request
    const words = splitQuoted(buffer.latin1Slice(start, textEnd))
    if (words === null) return this.fail('unbalanced quotes in request')
    if (words.length === 0) return Decoded.Empty
    args.buffer = Buffer.from(words.join(''), 'latin1')
    args.reserve(words.length)
    args.count = words.length
    let at = 0
    for (let i = 0; i < words.length; i++) {
      args.offsets[i] = at
      args.lengths[i] = words[i]!.length
      at += words[i]!.length
    }
    return Decoded.Request
  }

  /** Makes arguments of the words of a line where they stand; false when a quote or an odd blank takes more than that. */
  private takePlainWords(buffer: Buffer, start: number, end: number): boolean {
    const args = this.args
    let count = 0
    let wordStart = -1
    for (let at = start; at <= end; at++) {
      const byte = at < end ? buffer[at]! : SPACE
      if (byte === QUOTE || byte === APOSTROPHE || byte === VERTICAL_TAB || byte === FORM_FEED) return false
      if (byte !== SPACE && byte !== TAB && byte !== CR) {
        if (wordStart < 0) wordStart = at
        continue
      }
      if (wordStart < 0) continue
      args.reserve(count + 1)
      args.offsets[count] = wordStart
      args.lengths[count] = at - wordStart
      count++
      wordStart = -1
    }
    args.buffer = buffer
    args.count = count
    return true
  }
}

/**
 * Offset of the CR of the first CRLF in `buffer[at, end)`, -1 when there is none. As in Redis only the CR is checked,
 * and no line goes on behind a zero byte: a request with one never ends (strchr in processMultibulkBuffer).
 */
function findLineEnd(buffer: Buffer, at: number, end: number): number {
  for (let i = at; i < end - 1; i++) {
    if (buffer[i] === CR) return i
    if (buffer[i] === 0) return -1
  }
  return -1
}
