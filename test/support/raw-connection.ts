/** A connection for tests that send bytes which are no requests, shut down one direction, or break off. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export class RawConnection {
  /** Everything that came, a byte string. */
  text = ''
  /** Whether the server has sent its last byte, in whatever way. */
  isEnded: boolean = false
  readonly #socket: Socket
  readonly #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.setNoDelay(true)
    socket.on('data', (chunk: string) => {
      this.text += chunk
      this.#wake()
    })
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
    // A reset shows as the end.
    socket.on('error', () => this.#end())
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
  ended(): Promise<void> {
    return this.until(() => false)
  }

  /** Resolves when what has arrived is as expected, or the server has ended. */
  async until(isExpected: (text: string) => boolean): Promise<void> {
    while (!isExpected(this.text) && !this.isEnded) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #end(): void {
    this.isEnded = true
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
