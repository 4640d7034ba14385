/** A connection for tests that send bytes which are no requests, shut down one direction, or break off. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export class RawConnection {
  /** Everything that came, a byte string. */
  text = ''
  /** Whether the server has sent its last byte, in whatever way. */
  isEnded: boolean = false
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.setNoDelay(true)
    socket.on('data', (chunk: string) => {
      this.text += chunk
    })
    socket.on('end', () => {
      this.isEnded = true
    })
    socket.on('close', () => {
      this.isEnded = true
    })
    // A reset shows as the end.
    socket.on('error', () => {})
  }

  static async connect(port: number): Promise<RawConnection> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  send(bytes: string): void {
    this.#socket.write(Buffer.from(bytes, 'latin1'))
  }

  /** Sends bytes, then shuts down the direction to the server. */
  sendLast(bytes: string): void {
    this.#socket.end(Buffer.from(bytes, 'latin1'))
  }

  /** Stops and resumes reading. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Breaks off: the server gets RST instead of FIN. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Resolves when the server has sent its last byte. */
  async ended(): Promise<void> {
    while (!this.isEnded) await Promise.race([once(this.#socket, 'end'), once(this.#socket, 'close')])
  }

  /** Resolves when `expected` has arrived or the server has ended. */
  async until(isExpected: (text: string) => boolean): Promise<void> {
    while (!isExpected(this.text) && !this.isEnded)
      await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'end'), once(this.#socket, 'close')])
  }
}
