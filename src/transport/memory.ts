/**
 * The `memory` transport: a client in the same process, without a socket. Hot path.
 *
 * Both directions are asynchronous, as over a socket: what one side writes, the other receives before the loop goes on,
 * but never from within its own call. All writes of a tick arrive together, encoded once into one shared buffer; all
 * output of a tick is pushed together, copied once.
 *
 * The readable side plays the part of the system's socket buffer: output counts as taken until the reader has fallen
 * behind by its high-water mark.
 */
import { Duplex } from 'node:stream'
import type { Accept, Connection, Receiver } from './contract.ts'

/** Written bytes that are delivered together at most. */
const BATCH_BYTES = 64 * 1024
/** Written and not delivered (the server has paused the connection): from here on the writer has to wait, in bytes. */
const UNDELIVERED_BYTES_MAX = 256 * 1024

type Done = (error?: Error | null) => void

/** Opens an in-process connection; the returned stream is the client's end of it. */
export function connectMemory(accept: Accept): MemorySocket {
  const connection = new MemoryConnection()
  connection.receiver = accept(connection)
  return connection.clientEnd
}

/** The client's end: a stream with those methods of a socket that clients call. */
export class MemorySocket extends Duplex {
  private readonly peer: MemoryConnection

  constructor(peer: MemoryConnection) {
    super({ decodeStrings: false, allowHalfOpen: false })
    this.peer = peer
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: Done): void {
    this.peer.written(chunk, done)
  }

  override _read(): void {
    this.peer.wanted()
  }

  override _final(done: Done): void {
    this.peer.ended()
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.peer.close()
    done(error)
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

class MemoryConnection implements Connection {
  readonly outbox = null
  readonly address = '127.0.0.1:0'
  readonly localAddress = '127.0.0.1:0'
  readonly isUnixSocket = false
  readonly isLocal = true
  readonly clientEnd: MemorySocket
  receiver: Receiver | null = null
  private isPaused: boolean = false
  private isClosed: boolean = false
  /** Written by the client and not delivered yet. */
  private input: (Buffer | string)[] = []
  private inputBytes = 0
  private waitingWriter: Done | null = null
  private isDeliveryScheduled: boolean = false
  /** Sent by the server and not pushed yet. */
  private output: Buffer[] = []
  private isPushScheduled: boolean = false
  private isEnding: boolean = false
  private isReaderBehind: boolean = false

  constructor() {
    this.clientEnd = new MemorySocket(this)
  }

  // ---- the client's side ----

  written(chunk: Buffer | string, done: Done): void {
    this.input.push(chunk)
    this.inputBytes += chunk.length
    this.scheduleDelivery()
    if (this.inputBytes < UNDELIVERED_BYTES_MAX) done()
    else this.waitingWriter = done
  }

  /** The client reads again. */
  wanted(): void {
    if (!this.isReaderBehind) return
    this.isReaderBehind = false
    this.receiver?.drained()
  }

  /** The client has written everything: it gets what is due to it, like a half-closed socket. */
  ended(): void {
    this.isPaused = false
    this.deliver()
    if (!this.isClosed) this.receiver?.ended()
  }

  // ---- the server's side ----

  get queuedBytes(): number {
    return this.isReaderBehind ? this.clientEnd.readableLength : 0
  }

  send(buffer: Buffer, start: number, end: number): boolean {
    // The client keeps what it reads, and the server reuses its buffer: a copy is due.
    if (!this.isClosed && end > start) {
      this.output.push(Buffer.from(buffer.subarray(start, end)))
      this.schedulePush()
    }
    return true
  }

  readNow(): number {
    // The client lives in the same thread: while the loop stands still it can neither write nor read.
    return 0
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    if (this.input.length > 0) this.scheduleDelivery()
  }

  setKeepAlive(): void {
    // There is no network below.
  }

  delaySmallPackets(): void {
    // There is no network below.
  }

  end(): void {
    this.isEnding = true
    this.schedulePush()
  }

  destroy(): void {
    this.clientEnd.destroy()
  }

  /** Tells the server once that the connection is gone. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.input = []
    this.receiver?.closed()
  }

  // ---- delivery ----

  private scheduleDelivery(): void {
    if (this.isDeliveryScheduled || this.isPaused) return
    this.isDeliveryScheduled = true
    process.nextTick(this.deliver)
  }

  private readonly deliver = (): void => {
    this.isDeliveryScheduled = false
    const { input } = this
    if (input.length === 0) return
    this.input = []
    this.inputBytes = 0
    this.deliverBatches(input)
    const writer = this.waitingWriter
    if (writer === null || this.input.length > 0) return
    this.waitingWriter = null
    writer()
  }

  private deliverBatches(chunks: readonly (Buffer | string)[]): void {
    let at = 0
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!
      // UTF-8 takes up to three bytes for a char.
      const room = typeof chunk === 'string' ? chunk.length * 3 : chunk.length
      if (at + room > BATCH_BYTES) {
        this.received(batch, at)
        at = 0
        if (this.isPaused) {
          this.putBack(chunks, i)
          return
        }
        if (room > BATCH_BYTES) {
          const whole = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
          this.received(whole, whole.length)
          continue
        }
      }
      if (typeof chunk === 'string') at += batch.write(chunk, at)
      else at += chunk.copy(batch, at)
    }
    this.received(batch, at)
  }

  private received(buffer: Buffer, end: number): void {
    if (end > 0 && !this.isClosed) this.receiver?.received(buffer, 0, end)
  }

  /** The server has paused the connection meanwhile: the rest waits for `resume`. */
  private putBack(chunks: readonly (Buffer | string)[], from: number): void {
    this.input = [...chunks.slice(from), ...this.input]
    this.inputBytes = 0
    for (const chunk of this.input) this.inputBytes += chunk.length
  }

  private schedulePush(): void {
    if (this.isPushScheduled) return
    this.isPushScheduled = true
    process.nextTick(this.push)
  }

  private readonly push = (): void => {
    this.isPushScheduled = false
    const { clientEnd, output } = this
    this.output = []
    if (clientEnd.destroyed) return
    for (const bytes of output) if (!clientEnd.push(bytes)) this.isReaderBehind = true
    if (!this.isEnding) return
    clientEnd.push(null)
    this.close()
  }
}

/** Written strings and buffers of one delivery; the server reads it during the call only. */
const batch = Buffer.allocUnsafeSlow(BATCH_BYTES)
