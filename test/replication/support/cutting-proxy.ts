/** A TCP proxy between a replica and its primary whose connections a test can cut. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export class CuttingProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Bytes from the target that may still pass before all connections are cut; Infinity: all. */
  #bytesLeft = Number.POSITIVE_INFINITY
  #port = 0

  private constructor(targetPort: number) {
    this.#server = createServer((socket) => this.#join(socket, connect(targetPort, '127.0.0.1')))
  }

  static async start(targetPort: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(targetPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    const address = proxy.#server.address()
    if (address === null || typeof address === 'string') throw new Error('No port')
    proxy.#port = address.port
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Cuts all connections. New ones are joined again. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Cuts all connections when so many bytes have come from the target. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes
  }

  async stop(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(inner: Socket, outer: Socket): void {
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    inner.pipe(outer)
    outer.on('data', (chunk: Buffer) => {
      this.#bytesLeft -= chunk.length
      if (this.#bytesLeft < 0) {
        this.#bytesLeft = Number.POSITIVE_INFINITY
        this.cut()
      } else if (!inner.write(chunk)) {
        outer.pause()
        inner.once('drain', () => outer.resume())
      }
    })
  }
}
