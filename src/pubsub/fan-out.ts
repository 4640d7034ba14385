/**
 * Messages of one loop turn, encoded once for all their receivers of one RESP version. Hot path.
 *
 * The forms of RESP2 and RESP3 differ in the first byte only (array or push). Receivers note which range of the buffer
 * is theirs; whoever sends them resets the buffer when all ranges have been sent or copied.
 */
import { writeInteger } from '../bytes/integer.ts'
import { copyBytes } from '../storage/arena.ts'

const FIRST_BYTES = 64 * 1024
/** A buffer that a burst has grown is given back from this size on. */
const KEEP_BYTES_MAX = 4 * 1024 * 1024
/** Room for four headers and line ends. */
const HEADERS_BYTES = 64
const ARRAY = 42
const PUSH = 62
const DOLLAR = 36
const CR = 13
const LF = 10
const DIGIT_ZERO = 48

export class FanOut {
  private readonly firstByte: number
  buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  /** End of what is encoded. */
  at = 0
  /** Set by the sender when a transport has not taken all bytes yet. */
  isKept: boolean = false

  constructor(respVersion: number) {
    this.firstByte = respVersion >= 3 ? PUSH : ARRAY
  }

  /** Encodes a message behind the others; its bytes are [returned offset, at). `pattern` is null for a plain one. */
  add(kind: string, pattern: string | null, channel: string, message: Buffer, start: number, length: number): number {
    const from = this.at
    this.room(kind.length + (pattern === null ? 0 : pattern.length) + channel.length + length)
    const buffer = this.buffer
    buffer[from] = this.firstByte
    buffer[from + 1] = DIGIT_ZERO + (pattern === null ? 3 : 4)
    buffer[from + 2] = CR
    buffer[from + 3] = LF
    this.at = from + 4
    this.text(kind)
    if (pattern !== null) this.text(pattern)
    this.text(channel)
    this.header(length)
    copyBytes(message, start, buffer, this.at, length)
    this.end(this.at + length)
    return from
  }

  /** Appends bytes that are RESP already. */
  raw(bytes: Buffer): void {
    this.room(bytes.length)
    copyBytes(bytes, 0, this.buffer, this.at, bytes.length)
    this.at += bytes.length
  }

  /** Appends a bulk string. */
  bulk(source: Uint8Array, start: number, length: number): void {
    this.room(length)
    this.header(length)
    copyBytes(source, start, this.buffer, this.at, length)
    this.end(this.at + length)
  }

  /** Appends the start of an array. */
  array(count: number): void {
    this.room(0)
    this.buffer[this.at] = ARRAY
    this.end(writeInteger(this.buffer, this.at + 1, count))
  }

  /** Forgets all messages. A buffer that a transport still reads from is left to it. */
  reset(): void {
    this.at = 0
    if (this.isKept || this.buffer.length > KEEP_BYTES_MAX) this.buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
    this.isKept = false
  }

  private text(text: string): void {
    const length = text.length
    this.header(length)
    const buffer = this.buffer
    const at = this.at
    if (length <= 32) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, at, length)
    this.end(at + length)
  }

  private header(length: number): void {
    this.buffer[this.at] = DOLLAR
    this.end(writeInteger(this.buffer, this.at + 1, length))
  }

  private end(at: number): void {
    this.buffer[at] = CR
    this.buffer[at + 1] = LF
    this.at = at + 2
  }

  private room(bytes: number): void {
    const needed = this.at + bytes + HEADERS_BYTES
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, needed))
    this.buffer.copy(grown, 0, 0, this.at)
    this.buffer = grown
  }
}
