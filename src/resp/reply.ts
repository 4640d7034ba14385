/**
 * The reply sink: where a command writes its one reply. Hot path.
 *
 * A handler calls these methods in the order of the reply; an aggregate announces its size first (`array(2)`), or is
 * closed with its size when that is known only afterwards (`begin()` … `closeArray(mark, n)`). Implementations: RespSink
 * (RESP2 and RESP3, straight into an output buffer), the script sink (Lua values) and ValueSink (JavaScript values).
 *
 * Type by type the RESP2 form is Redis': a double, big number or verbatim string is a bulk string, a boolean is 0 or 1, a map is a
 * flat array of 2n elements, a set and a push are arrays.
 */
import { formatDouble, formatDouble17 } from '../bytes/double.ts'
import { integerLength, writeInteger } from '../bytes/integer.ts'
import type { Release } from '../config/version.ts'
import { type Arena, copyBytes, type Ref } from '../storage/arena.ts'
import type { PackedCursor } from '../storage/packed.ts'
import { OUTPUT_LIMIT_REACHED } from './errors.ts'

/** Where an aggregate of unknown size started; opaque to handlers. */
export type Mark = number

export abstract class ReplySink {
  /** 2 or 3. Set before each command from the client (or by the script's setresp). */
  version: number = 2

  abstract integer(value: number): void
  /** Whether a reply that becomes too long is given up while it is written (the client's output limit). */
  get isBounded(): boolean {
    return false
  }

  /** An integer beyond the safe range. */
  abstract bigInteger(value: bigint): void
  abstract bulk(source: Uint8Array, start: number, length: number): void
  /** The payload of an arena block as a bulk string. */
  abstract bulkRef(ref: Ref): void
  /** A safe integer as a bulk string. */
  abstract bulkInteger(value: number): void
  /** A byte string (one char is one byte) as a bulk string. */
  abstract bulkText(text: string): void
  /** A simple string: a constant such as `OK`, without line breaks. */
  abstract status(text: string): void
  /** Null: `$-1` in RESP2. */
  abstract nil(): void
  /** Null where an array is expected: `*-1` in RESP2. */
  abstract nilArray(): void
  abstract array(count: number): void
  /** A map of `count` pairs. */
  abstract map(count: number): void
  abstract set(count: number): void
  /** An out-of-band message. */
  abstract push(count: number): void
  /** A map of `count` pairs of facts about the reply that follows, where the protocol has such. Returns whether it has. */
  attribute(_count: number): boolean {
    return false
  }

  abstract double(value: number): void
  /** A double with digits of the caller's own choice. */
  doubleText(text: string): void {
    if (this.version >= 3) this.double(Number(text))
    else this.bulkText(text)
  }

  abstract bool(value: boolean): void
  abstract bigNumber(text: string): void
  /** Text with a three-letter format, 'txt' or 'mkd'. */
  abstract verbatim(text: string, format: string): void
  /** The whole error line without the leading `-`. */
  abstract error(text: string): void
  /** Starts an aggregate whose size is not known yet. */
  abstract begin(): Mark
  abstract closeArray(mark: Mark, count: number): void
  abstract closeMap(mark: Mark, count: number): void
  abstract closeSet(mark: Mark, count: number): void
  /** The current end of the reply; `takeBack` returns to it. */
  abstract position(): Mark
  /** Drops all that was written since `position()` gave `mark`. */
  abstract takeBack(mark: Mark): void

  ok(): void {
    this.status('OK')
  }

  /** The entry a cursor stands on, as a bulk string. */
  bulkEntry(cursor: PackedCursor): void {
    if (cursor.isInteger) this.bulkInteger(cursor.integer)
    else this.bulk(cursor.buffer, cursor.start, cursor.length)
  }
}

const CR = 13
const LF = 10
/** Up to this many integers and small array headers are written digit by digit; the buffer always has this much room. */
const SLACK_BYTES = 64
const FIRST_BYTES = 1024 * 1024
/** A buffer that a huge reply has grown is given back from this size on. */
const KEEP_BYTES_MAX = 8 * 1024 * 1024

/** Writes a double as text. */
export type DoubleFormat = (value: number) => string

/** How a release writes doubles: 7.0 with 17 digits, 7.2 with as few as identify the number. */
export function doubleFormat(release: Release): DoubleFormat {
  return release === '7.0' ? formatDouble17 : formatDouble
}

/** Writes RESP2 or RESP3 into a growing buffer that all clients of a turn share. */
export class RespSink extends ReplySink {
  private readonly arena: Arena
  buffer: Buffer
  /** End of what is written. */
  at = 0
  private limit: number
  /** Where the reply being written must end at the latest (the client's output limit). Looked at when the buffer grows. */
  atMax = Number.POSITIVE_INFINITY
  /** Set when a reply was given up because of `atMax`. */
  hasOverflowed: boolean = false

  /** How doubles are written (`doubleFormat`). */
  private readonly formatDouble: DoubleFormat

  constructor(arena: Arena, format: DoubleFormat = formatDouble) {
    super()
    this.arena = arena
    this.formatDouble = format
    this.buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
    this.limit = FIRST_BYTES - SLACK_BYTES
  }

  override get isBounded(): boolean {
    return this.atMax !== Number.POSITIVE_INFINITY
  }

  /** Forgets what is written. */
  reset(): void {
    this.at = 0
    if (this.buffer.length > KEEP_BYTES_MAX) this.replaceBuffer()
  }

  /** Leaves the buffer to somebody who still reads it, and goes on in a new one. */
  replaceBuffer(): void {
    this.buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
    this.limit = FIRST_BYTES - SLACK_BYTES
    this.at = 0
  }

  /** As `replaceBuffer`, with what is written. */
  moveToNewBuffer(): void {
    const moved = Buffer.allocUnsafeSlow(this.buffer.length)
    this.buffer.copy(moved, 0, 0, this.at)
    this.buffer = moved
  }

  integer(value: number): void {
    this.header(58, value)
  }

  bigInteger(value: bigint): void {
    this.line(`:${value}`)
  }

  bulk(source: Uint8Array, start: number, length: number): void {
    this.room(length)
    const buffer = this.buffer
    let at = this.at
    buffer[at++] = 36
    at = writeInteger(buffer, at, length)
    buffer[at++] = CR
    buffer[at++] = LF
    copyBytes(source, start, buffer, at, length)
    at += length
    buffer[at] = CR
    buffer[at + 1] = LF
    this.at = at + 2
  }

  bulkRef(ref: Ref): void {
    this.bulk(this.arena.segment(ref), this.arena.offset(ref), this.arena.length(ref))
  }

  bulkInteger(value: number): void {
    this.room(0)
    const buffer = this.buffer
    let at = this.at
    buffer[at++] = 36
    at = writeInteger(buffer, at, integerLength(value))
    buffer[at++] = CR
    buffer[at++] = LF
    at = writeInteger(buffer, at, value)
    buffer[at] = CR
    buffer[at + 1] = LF
    this.at = at + 2
  }

  bulkText(text: string): void {
    const length = text.length
    this.room(length)
    const buffer = this.buffer
    let at = this.at
    buffer[at++] = 36
    at = writeInteger(buffer, at, length)
    buffer[at++] = CR
    buffer[at++] = LF
    if (length <= 32) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, at, length)
    at += length
    buffer[at] = CR
    buffer[at + 1] = LF
    this.at = at + 2
  }

  status(text: string): void {
    this.roomInAnyCase(text.length + 1)
    this.line(`+${text}`)
  }

  override ok(): void {
    this.room(0)
    const buffer = this.buffer
    const at = this.at
    buffer[at] = 43
    buffer[at + 1] = 79
    buffer[at + 2] = 75
    buffer[at + 3] = CR
    buffer[at + 4] = LF
    this.at = at + 5
  }

  nil(): void {
    if (this.version >= 3) this.line('_')
    else this.header(36, -1)
  }

  nilArray(): void {
    if (this.version >= 3) this.line('_')
    else this.header(42, -1)
  }

  array(count: number): void {
    this.header(42, count)
  }

  map(count: number): void {
    if (this.version >= 3) this.header(37, count)
    else this.header(42, count * 2)
  }

  set(count: number): void {
    this.header(this.version >= 3 ? 126 : 42, count)
  }

  push(count: number): void {
    this.header(this.version >= 3 ? 62 : 42, count)
  }

  override attribute(count: number): boolean {
    if (this.version < 3) return false
    this.header(124, count)
    return true
  }

  double(value: number): void {
    if (this.version >= 3) this.line(`,${this.formatDouble(value)}`)
    else if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.bulkInteger(value)
    else this.bulkText(this.formatDouble(value))
  }

  override doubleText(text: string): void {
    if (this.version >= 3) this.line(`,${text}`)
    else this.bulkText(text)
  }

  bool(value: boolean): void {
    if (this.version >= 3) this.line(value ? '#t' : '#f')
    else this.header(58, value ? 1 : 0)
  }

  bigNumber(text: string): void {
    if (this.version >= 3) this.line(`(${text}`)
    else this.bulkText(text)
  }

  verbatim(text: string, format: string): void {
    if (this.version >= 3) this.prefixed(`=${text.length + 4}\r\n${format}:`, text)
    else this.bulkText(text)
  }

  error(text: string): void {
    this.roomInAnyCase(text.length + 1)
    this.line(`-${text}`)
  }

  begin(): Mark {
    return this.at
  }

  closeArray(mark: Mark, count: number): void {
    this.insertHeader(mark, `*${count}\r\n`)
  }

  closeMap(mark: Mark, count: number): void {
    this.insertHeader(mark, this.version >= 3 ? `%${count}\r\n` : `*${count * 2}\r\n`)
  }

  closeSet(mark: Mark, count: number): void {
    this.insertHeader(mark, this.version >= 3 ? `~${count}\r\n` : `*${count}\r\n`)
  }

  position(): Mark {
    return this.at
  }

  takeBack(mark: Mark): void {
    this.at = mark
  }

  /** Appends bytes that are RESP already. */
  raw(source: Uint8Array, start: number, length: number): void {
    this.roomInAnyCase(length)
    copyBytes(source, start, this.buffer, this.at, length)
    this.at += length
  }

  private header(type: number, value: number): void {
    this.room(0)
    const buffer = this.buffer
    let at = this.at
    buffer[at++] = type
    at = writeInteger(buffer, at, value)
    buffer[at] = CR
    buffer[at + 1] = LF
    this.at = at + 2
  }

  private line(text: string): void {
    const length = text.length
    this.room(length)
    const buffer = this.buffer
    let at = this.at
    if (length <= 32) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, at, length)
    at += length
    buffer[at] = CR
    buffer[at + 1] = LF
    this.at = at + 2
  }

  private prefixed(prefix: string, text: string): void {
    this.room(prefix.length + text.length)
    this.at += this.buffer.latin1Write(prefix, this.at, prefix.length)
    this.line(text)
  }

  private insertHeader(mark: Mark, header: string): void {
    this.room(header.length)
    this.buffer.copyWithin(mark + header.length, mark, this.at)
    for (let i = 0; i < header.length; i++) this.buffer[mark + i] = header.charCodeAt(i)
    this.at += header.length
  }

  /** Makes room for `bytes` and a header. @throws OUTPUT_LIMIT_REACHED, which is for what runs a command to catch */
  private room(bytes: number): void {
    if (this.at + bytes <= this.limit) return
    if (this.at + bytes > this.atMax) {
      this.hasOverflowed = true
      throw OUTPUT_LIMIT_REACHED
    }
    this.grow(bytes)
  }

  /** As `room`, for what nobody would catch: the reply in place of one that was given up, QUEUED, messages. It is little. */
  private roomInAnyCase(bytes: number): void {
    if (this.at + bytes > this.limit) this.grow(bytes)
  }

  private grow(bytes: number): void {
    const size = Math.max(this.buffer.length * 2, this.at + bytes + SLACK_BYTES)
    const grown = Buffer.allocUnsafeSlow(size)
    this.buffer.copy(grown, 0, 0, this.at)
    this.buffer = grown
    this.limit = size - SLACK_BYTES
  }
}
