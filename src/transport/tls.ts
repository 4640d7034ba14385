/**
 * TLS over TCP, by node:tls, for the connections that the `node` transport makes of sockets.
 *
 * A connection reaches the receiver when its handshake is done and its certificate, if one is wanted, is a good one.
 * Certificates are always asked for and judged here, so that the rule can change while the server listens.
 */
import type { Socket } from 'node:net'
import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { Accept, Endpoint, TcpOptions } from './contract.ts'
import { NodeConnection } from './node.ts'

/** How long a handshake may take, in ms. */
const HANDSHAKE_MS_MAX = 30_000
/** Connections whose handshake is not done; further ones are closed. */
const HANDSHAKES_MAX = 1000
/** Output that waits in a socket from here on counts as not sent, so that the limits of output see it, in bytes. */
const WAITING_BYTES_MAX = 1024 * 1024
/** Sessions are resumed within one server only. */
const SESSION_CONTEXT = 'millrace'

/** Whether clients have to show a certificate; one that is shown must be good but for `No`. */
export const ClientCertificates = { No: 'no', Optional: 'optional', Yes: 'yes' } as const
export type ClientCertificates = (typeof ClientCertificates)[keyof typeof ClientCertificates]

export interface TlsSettings {
  readonly context: SecureContextOptions
  readonly clientCertificates: ClientCertificates
}

export interface TlsEndpoint extends Endpoint {
  /** Takes other settings for connections from now on. @throws the error of node:tls when they do not fit */
  reconfigure(settings: TlsSettings): void
}

/**
 * Listens for TLS on a TCP address. Rejects with the system's error, or that of node:tls about the settings.
 *
 * @param onRefused told why a handshake has failed
 */
export async function listenTls(
  options: TcpOptions,
  settings: TlsSettings,
  accept: Accept,
  onRefused: (reason: string) => void,
): Promise<TlsEndpoint> {
  let { clientCertificates } = settings
  const handshakes = new Set<Socket>()
  const server = createServer({
    ...settings.context,
    sessionIdContext: SESSION_CONTEXT,
    requestCert: true,
    rejectUnauthorized: false,
    allowHalfOpen: true,
    noDelay: true,
    handshakeTimeout: HANDSHAKE_MS_MAX,
  })
  server.on('connection', (socket: Socket) => {
    if (handshakes.size >= HANDSHAKES_MAX) {
      socket.destroy()
      return
    }
    handshakes.add(socket)
    socket.once('close', () => handshakes.delete(socket))
  })
  server.on('secureConnection', (socket) => {
    for (const each of handshakes) if (isSame(each, socket)) handshakes.delete(each)
    const problem = certificateProblem(socket, clientCertificates)
    if (problem === null) new TlsConnection(socket).open(accept)
    else {
      socket.on('error', () => socket.destroy())
      socket.destroy()
      onRefused(problem)
    }
  })
  server.on('tlsClientError', (error) => onRefused(error.message))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, backlog: options.backlog, ipv6Only: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const bound = server.address()
  const endpoint: TlsEndpoint = {
    port: bound !== null && typeof bound === 'object' ? bound.port : 0,
    onError: () => {},
    acceptNow: () => {},
    close: () =>
      new Promise((done) => {
        for (const socket of handshakes) socket.destroy()
        server.close(() => done())
      }),
    reconfigure: (changed) => {
      server.setSecureContext({ ...changed.context, sessionIdContext: SESSION_CONTEXT })
      clientCertificates = changed.clientCertificates
    },
  }
  server.on('error', (error) => endpoint.onError(error))
  return endpoint
}

/** Whether a TLS socket runs over this TCP socket: they have the same peer. */
function isSame(socket: Socket, secure: TLSSocket): boolean {
  return socket.remotePort === secure.remotePort && socket.remoteAddress === secure.remoteAddress
}

/** Why a client's certificate, or that there is none, is no good; null when it is. */
function certificateProblem(socket: TLSSocket, wanted: ClientCertificates): string | null {
  if (wanted === ClientCertificates.No || socket.authorized) return null
  const hasCertificate = socket.getPeerX509Certificate() !== undefined
  if (!hasCertificate) return wanted === ClientCertificates.Yes ? 'peer did not return a certificate' : null
  return `certificate verify failed: ${String(socket.authorizationError)}`
}

class TlsConnection extends NodeConnection {
  private readonly secure: TLSSocket

  constructor(socket: TLSSocket) {
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    super(socket, null, { remoteAddress, remotePort, localAddress, localPort })
    this.secure = socket
  }

  open(accept: Accept): void {
    this.start(accept)
    this.secure.on('data', (bytes: Buffer) => this.deliver(bytes, bytes.length))
  }

  /** What is sent is copied, as it is encrypted later; so the caller's buffer is free at once. */
  override send(buffer: Buffer, start: number, end: number): boolean {
    super.send(Buffer.from(buffer.subarray(start, end)), 0, end - start)
    return this.queuedBytes <= WAITING_BYTES_MAX
  }

  /** The descriptor has encrypted bytes. */
  override readNow(): number {
    return 0
  }
}
