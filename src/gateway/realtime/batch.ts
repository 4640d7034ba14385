/**
 * Pushes that go to any number of clients, encoded once for each protocol: all sockets are given the same bytes. Hot path.
 *
 * A server's WebSocket frames are not masked (RFC 6455 5.1), so the frame of a message is the same for everybody.
 */

/** A message that is larger has its length in 2 more bytes, or 8. RFC 6455 5.2. */
const SHORT_LENGTH_MAX = 125
const MEDIUM_LENGTH_MAX = 65_535
const FINAL_TEXT = 0x81

/** One push, or several of one type, of JSON texts. */
export class Batch {
  /** The `type` of each message. */
  readonly type: string
  readonly messages: readonly string[]
  private webSocketBytes: Buffer | null = null
  private sseBytes: Buffer | null = null

  constructor(type: string, messages: readonly string[]) {
    this.type = type
    this.messages = messages
  }

  get count(): number {
    return this.messages.length
  }

  /** WebSocket frames, one behind the other. */
  get webSocket(): Buffer {
    this.webSocketBytes ??= textFrames(this.messages)
    return this.webSocketBytes
  }

  /** Server-sent events, one behind the other. */
  get sse(): Buffer {
    if (this.sseBytes !== null) return this.sseBytes
    // JSON has no line feeds, so each message is one line.
    const head = this.type === 'message' ? 'data: ' : `event: ${this.type}\ndata: `
    this.sseBytes = Buffer.from(this.messages.map((message) => `${head}${message}\n\n`).join(''))
    return this.sseBytes
  }
}

function textFrames(messages: readonly string[]): Buffer {
  let size = 0
  for (const message of messages) {
    const length = Buffer.byteLength(message)
    size += length + headBytes(length)
  }
  const buffer = Buffer.allocUnsafe(size)
  let at = 0
  for (const message of messages) {
    const length = Buffer.byteLength(message)
    at = writeHead(buffer, at, length)
    at += buffer.write(message, at)
  }
  return buffer
}

function headBytes(length: number): number {
  if (length <= SHORT_LENGTH_MAX) return 2
  return length <= MEDIUM_LENGTH_MAX ? 4 : 10
}

function writeHead(buffer: Buffer, at: number, length: number): number {
  buffer[at] = FINAL_TEXT
  if (length <= SHORT_LENGTH_MAX) {
    buffer[at + 1] = length
    return at + 2
  }
  if (length <= MEDIUM_LENGTH_MAX) {
    buffer[at + 1] = 126
    return buffer.writeUInt16BE(length, at + 2)
  }
  buffer[at + 1] = 127
  return buffer.writeBigUInt64BE(BigInt(length), at + 2)
}
