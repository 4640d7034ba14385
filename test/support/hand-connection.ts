/** A connection without a socket, whose input comes when a test says so. */
import type { Accept, Connection, Receiver } from '../../src/transport/contract.ts'

export class HandConnection implements Connection {
  readonly outbox = null
  readonly address = '127.0.0.1:1'
  readonly localAddress = '127.0.0.1:2'
  readonly isUnixSocket = false
  readonly isLocal = true
  /** What the system has not taken, as the server is to see it. */
  queuedBytes = 0
  /** What was sent, in the buffers that it was sent from. */
  readonly sent: Buffer[] = []
  isReading: boolean = true
  isGone: boolean = false
  private readonly receiver: Receiver

  constructor(accept: Accept) {
    this.receiver = accept(this)!
  }

  receive(text: string): void {
    const bytes = Buffer.from(text, 'latin1')
    this.receiver.received(bytes, 0, bytes.length)
  }

  receiveEnd(): void {
    this.receiver.ended()
  }

  send(buffer: Buffer): boolean {
    this.sent.push(buffer)
    return this.queuedBytes === 0
  }

  pause(): void {
    this.isReading = false
  }

  resume(): void {
    this.isReading = true
  }

  end(): void {
    this.isGone = true
  }

  destroy(): void {
    this.isGone = true
  }

  readNow = (): number => 0
  setKeepAlive = (): void => {}
  delaySmallPackets = (): void => {}
}
