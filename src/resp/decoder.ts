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
/** Most arguments of a request. Redis has INT_MAX since 7.0; the issue of a broker is memory, so the older limit stays. */
export const ARGUMENTS_MAX = 1024 * 1024
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

const CR = 13
const LF = 10

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

  /** Starts a request at `start`. */
  begin(start: number): void {
    this.at = start
    this.expected = 0
    this.bulkLength = -1
    this.args.count = 0
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
      if (buffer[at] !== 42) return this.decodeInline(buffer, end)
      const lineEnd = findLineEnd(buffer, at, end)
      if (lineEnd < 0) {
        if (end - at > INLINE_BYTES_MAX) return this.fail('too big mbulk count string')
        return Decoded.Incomplete
      }
      const count = parseSafeInteger(buffer, at + 1, lineEnd - at - 1)
      if (Number.isNaN(count) || count > ARGUMENTS_MAX) return this.fail('invalid multibulk length')
      if (authenticated === 0 && count > UNAUTHENTICATED_ARGUMENTS_MAX) return this.fail('unauthenticated multibulk length')
      at = lineEnd + 2
      if (count <= 0) {
        this.next = at
        return Decoded.Empty
      }
      this.expected = count
      this.at = at
    }
    const args = this.args
    args.buffer = buffer
    const expected = this.expected
    let length = this.bulkLength
    while (args.count < expected) {
      if (length < 0) {
        // A bulk header is short: read its digits in place instead of looking for the line's end first.
        if (at >= end) return this.wait(at, -1)
        if (buffer[at] !== 36) return this.fail(`expected '$', got '${String.fromCharCode(buffer[at]!)}'`)
        let digit = at + 1
        length = 0
        while (digit < end) {
          const value = buffer[digit]! - 48
          if (value < 0 || value > 9) break
          length = length * 10 + value
          digit++
        }
        if (digit + 1 >= end) {
          if (end - at > INLINE_BYTES_MAX) return this.fail('too big bulk count string')
          if (digit < end && buffer[digit] !== CR) return this.fail('invalid bulk length')
          return this.wait(at, -1)
        }
        if (buffer[digit] !== CR || digit === at + 1 || length > this.limits.bulkBytesMax) {
          return this.fail('invalid bulk length')
        }
        if (authenticated === 0 && length > UNAUTHENTICATED_BULK_BYTES_MAX) return this.fail('unauthenticated bulk length')
        at = digit + 2
      }
      if (end - at < length + 2) return this.wait(at, length)
      const i = args.count
      if (i >= args.offsets.length) args.reserve(i + 1)
      args.offsets[i] = at
      args.lengths[i] = length
      args.count = i + 1
      at += length + 2
      length = -1
    }
    this.next = at
    return Decoded.Request
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
    while (lineEnd < end && buffer[lineEnd] !== LF) lineEnd++
    if (lineEnd === end) {
      if (end - start > INLINE_BYTES_MAX) return this.fail('too big inline request')
      return Decoded.Incomplete
    }
    this.next = lineEnd + 1
    const textEnd = lineEnd > start && buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
    const words = splitQuoted(buffer.latin1Slice(start, textEnd))
    if (words === null) return this.fail('unbalanced quotes in request')
    if (words.length === 0) return Decoded.Empty
    const args = this.args
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
}

/** Offset of the CR of the first CRLF in `buffer[at, end)`, -1 when there is none. As Redis, only the CR is checked. */
function findLineEnd(buffer: Buffer, at: number, end: number): number {
  for (let i = at; i < end - 1; i++) if (buffer[i] === CR) return i
  return -1
}
