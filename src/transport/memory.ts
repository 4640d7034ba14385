/**
 * The `memory` transport: a client in the same process, without a socket. Both sides see asynchronous delivery, as
 * over a socket: what one writes, the other receives in a later microtask.
 */
import { Duplex } from 'node:stream'
import type { Accept, Connection, Receiver } from './contract.ts'

/** Opens an in-process connection; the returned stream is the client's end of it. */
export function connectMemory(accept: Accept): Duplex {
  const connection = new MemoryConnection()
  const receiver = accept(connection)
  if (receiver !== null) connection.attach(receiver)
  return connection.clientEnd
}

class MemoryConnection implements Connection {
  readonly address = '127.0.0.1:0'
  readonly localAddress = '127.0.0.1:0'
  readonly isUnixSocket = false
  readonly isLocal = true
  readonly clientEnd: Duplex
  private receiver: Receiver | null = null
  private isPaused: boolean = false
  private isClosed: boolean = false
  private pendingWrite: { chunk: Buffer; done: () => void } | null = null
  private needsDrain: boolean = false

  constructor() {
    this.clientEnd = new Duplex({
      read: () => this.clientReads(),
      write: (chunk: Buffer, _encoding, done) => {
        if (this.isPaused) this.pendingWrite = { chunk, done }
        else this.deliver(chunk, done)
      },
      final: (done) => {
        done()
        this.close()
      },
      destroy: (error, done) => {
        this.close()
        done(error)
      },
    })
  }

  attach(receiver: Receiver): void {
    this.receiver = receiver
  }

  get queuedBytes(): number {
    return this.clientEnd.readableLength
  }

  send(buffer: Buffer, start: number, end: number): boolean {
    // The client keeps what it reads, and the server's buffer is reused: a copy is due.
    if (!this.isClosed) this.needsDrain = !this.clientEnd.push(Buffer.from(buffer.subarray(start, end)))
    return true
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    const pending = this.pendingWrite
    this.pendingWrite = null
    if (pending !== null) this.deliver(pending.chunk, pending.done)
  }

  setKeepAlive(): void {
    // There is no network below.
  }

  end(): void {
    if (!this.isClosed) this.clientEnd.push(null)
    this.close()
  }

  destroy(): void {
    this.clientEnd.destroy()
  }

  private deliver(chunk: Buffer, done: () => void): void {
    if (!this.isClosed) this.receiver?.received(chunk, 0, chunk.length)
    done()
  }

  private clientReads(): void {
    if (!this.needsDrain) return
    this.needsDrain = false
    this.receiver?.drained()
  }

  private close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.receiver?.closed()
  }
}
