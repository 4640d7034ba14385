/**
 * Reads a socket line by line and chunk by chunk, for the beginning of a connection to a primary. Cold.
 *
 * What has come and is not read yet stays bounded: the socket is paused above KEPT_BYTES_MAX.
 */
import type { Socket } from 'node:net'

const KEPT_BYTES_MAX = 1024 * 1024
/** A primary's answers are one short line. */
const LINE_BYTES_MAX = 64 * 1024
const LF = 10
const CR = 13

export class SocketReader {
  private readonly socket: Socket
  private readonly onInput: () => void
  private kept: Buffer = Buffer.alloc(0)
  private wake: () => void = () => {}
  private failure: Error | null = null

  /** @param onInput told whenever something has come. */
  constructor(socket: Socket, onInput: () => void) {
    this.socket = socket
    this.onInput = onInput
    socket.on('data', this.received)
    socket.on('error', this.failed)
    socket.on('close', this.closed)
    socket.on('end', this.closed)
  }

  /** Resolves when the connection stands. Rejects with the system's error. */
  async connected(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.once('connect', resolve)
      this.socket.once('error', reject)
      this.socket.once('close', () => reject(new Error('the connection was closed')))
    })
  }

  /** The next line that is not empty, without its end. @throws when the connection fails or the line is too long */
  async line(): Promise<string> {
    for (;;) {
      this.skipEmptyLines()
      const end = this.kept.indexOf(LF)
      if (end >= 0) {
        const line = this.kept.latin1Slice(0, end).replace(/\r$/, '')
        this.keep(this.kept.subarray(end + 1))
        return line
      } else {
        if (this.kept.length > LINE_BYTES_MAX) throw new Error('the primary sent a line without an end')
        await this.more()
      }
    }
  }

  /** What has come, at most `max` bytes; at least one. @throws when the connection fails */
  async chunk(max: number): Promise<Buffer> {
    while (this.kept.length === 0) await this.more()
    const chunk = this.kept.subarray(0, max)
    this.keep(this.kept.subarray(chunk.length))
    return chunk
  }

  /** Ends reading: returns what is left. The socket is paused. */
  release(): Buffer {
    const { kept, socket } = this
    this.kept = Buffer.alloc(0)
    socket.pause()
    socket.off('data', this.received)
    socket.off('error', this.failed)
    socket.off('close', this.closed)
    socket.off('end', this.closed)
    return kept
  }

  /** There may be many of them: they keep a connection alive. */
  private skipEmptyLines(): void {
    const { kept } = this
    let at = 0
    while (kept[at] === LF || (kept[at] === CR && kept[at + 1] === LF)) at += kept[at] === LF ? 1 : 2
    if (at > 0) this.keep(kept.subarray(at))
  }

  private keep(rest: Buffer): void {
    this.kept = rest
    if (rest.length < KEPT_BYTES_MAX && this.socket.isPaused()) this.socket.resume()
  }

  private async more(): Promise<void> {
    if (this.failure !== null) throw this.failure
    await new Promise<void>((resolve) => {
      this.wake = resolve
    })
    if (this.failure !== null && this.kept.length === 0) throw this.failure
  }

  private readonly received = (chunk: Buffer): void => {
    this.kept = this.kept.length === 0 ? chunk : Buffer.concat([this.kept, chunk])
    if (this.kept.length >= KEPT_BYTES_MAX) this.socket.pause()
    this.onInput()
    this.wake()
  }

  private readonly failed = (error: Error): void => {
    this.failure ??= error
    this.wake()
  }

  private readonly closed = (): void => {
    this.failed(new Error('the connection was closed'))
  }
}
