/** A network between client and server that a test can cut, stall and mend. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class TcpProxy {
  port = 0
  private readonly target: number
  private server: Server | null = null
  private readonly sockets = new Set<Socket>()
  private isStalled: boolean = false

  private constructor(target: number) {
    this.target = target
  }

  /** Listens on a free port and forwards to `target`. */
  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    await proxy.mend()
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Ends all connections, and takes none until `mend`. */
  async cut(): Promise<void> {
    const { server } = this
    this.server = null
    if (server === null) return
    server.close()
    for (const socket of this.sockets) socket.destroy()
    await once(server, 'close')
  }

  async mend(): Promise<void> {
    this.isStalled = false
    this.server = createServer((socket) => this.forward(socket))
    this.server.listen(this.port, '127.0.0.1')
    await once(this.server, 'listening')
    this.port = (this.server.address() as AddressInfo).port
  }

  /** Connections stay, and nothing passes any more; new ones are not answered. */
  stall(): void {
    this.isStalled = true
    for (const socket of this.sockets) socket.pause()
  }

  private forward(near: Socket): void {
    const far = connect(this.target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(from)
      from.on('error', () => from.destroy())
      from.on('close', () => {
        this.sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
    if (this.isStalled) this.stall()
  }
}
