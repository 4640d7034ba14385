/**
 * The `node` transport: TCP and unix sockets by node:net. Runs everywhere. Hot path.
 *
 * Accepted handles are wrapped in sockets that read into one shared buffer (`onread`), so no buffer is made per read.
 * A write that the kernel takes at once leaves the output buffer free; else Node keeps reading from it.
 */
import { chmodSync, readSync, rmSync } from 'node:fs'
import net from 'node:net'
import { formatAddress, isLoopback } from './address.ts'
import {
  type Accept,
  type Connection,
  type Endpoint,
  INPUT_ENDED,
  type Receiver,
  type TcpOptions,
  type Transport,
} from './contract.ts'

const INPUT_BYTES = 64 * 1024
const NO_FD = -1
const NOTHING = Buffer.alloc(0)

/** Listens on a TCP address. Rejects with the system's error. */
function listenTcp(options: TcpOptions, accept: Accept): Promise<Endpoint> {
  return listen({ host: options.host, port: options.port, backlog: options.backlog, ipv6Only: true }, accept, null)
}

/** Listens on a unix socket; a stale socket file is replaced. `mode` null leaves permissions as they come. */
async function listenUnix(path: string, mode: number | null, backlog: number, accept: Accept): Promise<Endpoint> {
  rmSync(path, { force: true })
  const endpoint = await listen({ path, backlog }, accept, path)
  if (mode !== null) chmodSync(path, mode)
  return endpoint
}

export const nodeTransport: Transport = { name: 'node', listenTcp, listenTcpNow: null, listenUnix }

/** Options of a socket that takes over an accepted handle; Node's own types know only handles of another kind. */
interface HandleOptions extends Omit<net.SocketConstructorOpts, 'handle'> {
  readonly handle: unknown
}

function listen(options: net.ListenOptions, accept: Accept, path: string | null): Promise<Endpoint> {
  const input = Buffer.allocUnsafeSlow(INPUT_BYTES)
  const server = net.createServer({ pauseOnConnect: true, noDelay: true }, (accepted) => {
    const handle: unknown = Reflect.get(accepted, '_handle')
    if (handle === null || handle === undefined) {
      accepted.destroy()
      return
    }
    const address = {
      remoteAddress: accepted.remoteAddress,
      remotePort: accepted.remotePort,
      localAddress: accepted.localAddress,
      localPort: accepted.localPort,
    }
    let connection: NodeConnection | null = null
    const socketOptions: HandleOptions = {
      handle,
      allowHalfOpen: true,
      onread: {
        buffer: input,
        callback: (bytes) => {
          connection?.deliver(input, bytes)
          return connection !== null && !connection.isPaused
        },
      },
    }
    // The accepted socket gives its handle to one that reads into the shared buffer.
    Reflect.set(accepted, '_handle', null)
    // Without a handle this only ends its count among the listener's connections, for which close() would wait for ever.
    accepted.destroy()
    const socket = new net.Socket(socketOptions as net.SocketConstructorOpts)
    socket.setNoDelay(true)
    connection = new NodeConnection(socket, path, address)
    connection.start(accept)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      const bound = server.address()
      const endpoint: Endpoint = {
        port: bound !== null && typeof bound === 'object' ? bound.port : 0,
        onError: () => {},
        acceptNow: () => {},
        close: () => new Promise((done) => server.close(() => done())),
      }
      server.on('error', (error) => endpoint.onError(error))
      resolve(endpoint)
    })
  })
}

/** Where a socket's ends are. */
export interface Addresses {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
}

/** A connection over a socket of Node's. */
export class NodeConnection implements Connection {
  readonly outbox = null
  private readonly socket: net.Socket
  private receiver: Receiver | null = null
  readonly isUnixSocket: boolean
  readonly isLocal: boolean
  readonly address: string
  readonly localAddress: string
  isPaused: boolean = false
  private isDrainAwaited: boolean = false

  /** `path` is that of the unix socket, null for TCP. */
  constructor(socket: net.Socket, path: string | null, addresses: Addresses) {
    this.socket = socket
    this.address = path === null ? formatAddress(addresses.remoteAddress, addresses.remotePort) : `${path}:0`
    this.localAddress = path === null ? formatAddress(addresses.localAddress, addresses.localPort) : `${path}:0`
    this.isUnixSocket = path !== null
    this.isLocal = path !== null || isLoopback(addresses.remoteAddress ?? '')
  }

  start(accept: Accept): void {
    const socket = this.socket
    // Also one that is refused may fail while the refusal is sent.
    socket.on('error', () => socket.destroy())
    const receiver = accept(this)
    if (receiver === null) return
    this.receiver = receiver
    socket.on('end', () => receiver.ended())
    socket.on('close', () => receiver.closed())
    socket.resume()
  }

  deliver(buffer: Buffer, bytes: number): void {
    if (bytes > 0) this.receiver?.received(buffer, 0, bytes)
  }

  get queuedBytes(): number {
    return this.socket.writableLength
  }

  send(buffer: Buffer, start: number, end: number): boolean {
    const socket = this.socket
    if (socket.destroyed || socket.writableEnded) return true
    socket.write(buffer.subarray(start, end))
    if (socket.writableLength === 0) return true
    this.awaitDrain()
    return false
  }

  /**
   * Has the receiver told when all is written. The event `drain` does not tell it: it comes only after more than the
   * stream's high-water mark was waiting. A callback of each write would cost something where the kernel takes it at once.
   */
  private awaitDrain(): void {
    if (this.isDrainAwaited) return
    this.isDrainAwaited = true
    this.socket.write(NOTHING, this.written)
  }

  private readonly written = (error?: Error | null): void => {
    this.isDrainAwaited = false
    // The end of a socket that has failed is told by `closed`.
    if (error !== null && error !== undefined) return
    if (this.socket.writableLength === 0) this.receiver?.drained()
    else this.awaitDrain()
  }

  readNow(buffer: Buffer): number {
    const fd = this.isPaused ? NO_FD : descriptorOf(this.socket)
    if (fd === NO_FD) return 0
    try {
      const bytes = readSync(fd, buffer, 0, buffer.length, null)
      return bytes === 0 ? INPUT_ENDED : bytes
    } catch {
      // Nothing is there (EAGAIN), or the socket has failed, which the loop will tell when it goes on.
      return 0
    }
  }

  pause(): void {
    this.isPaused = true
    this.socket.pause()
  }

  resume(): void {
    this.isPaused = false
    this.socket.resume()
  }

  end(): void {
    this.socket.destroySoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Turns on TCP keep-alive probes after `seconds` of silence; 0 turns them off. */
  setKeepAlive(seconds: number): void {
    if (!this.isUnixSocket) this.socket.setKeepAlive(seconds > 0, seconds * 1000)
  }

  delaySmallPackets(): void {
    if (!this.isUnixSocket) this.socket.setNoDelay(false)
  }
}

/** The descriptor of a socket, NO_FD when it is closed or the system has none (Windows). */
function descriptorOf(socket: net.Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : NO_FD
  return typeof fd === 'number' ? fd : NO_FD
}
