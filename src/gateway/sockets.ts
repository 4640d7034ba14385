/**
 * The connections of the gateway, below HTTP: how many there may be, clients that do not read their replies, bytes that
 * are no HTTP, and the end of all of them when the gateway closes.
 *
 * Slow requests are Node's to end (`headersTimeout`, `requestTimeout`): they come here as errors of a client. A reply that
 * makes no headway is found by the timeout of its socket, which Node restarts whenever bytes leave it.
 */
import type { Socket } from 'node:net'
import type { ConnectionError, FastifyInstance } from 'fastify'
import type { Figures } from './operations/figures.ts'
import { problemBody } from './problem.ts'

/** After a last answer a connection has this time to take it, in ms. */
const LINGER_MS = 2000
/** While the gateway closes, connections that have become idle are looked for this often, in ms. */
const IDLE_CHECK_MS = 20

/** What is wrong with a request that Node's parser has refused, by the code of its error. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [status: number, reason: string, detail: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not come in time'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'URL and headers are too long'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large', 'The extensions of the chunks are too long'],
}
const NO_ANSWER = /^(?:ECONNRESET|EPROTO|ERR_SSL_|ERR_TLS_)/
const MALFORMED = [400, 'Bad Request', 'This is no valid HTTP request'] as const

export interface SocketOptions {
  readonly connectionsMax: number
  /** A reply of which nothing could be sent for this time ends its connection, in ms. */
  readonly stallMs: number
  readonly event: 'connection' | 'secureConnection'
  readonly figures: Figures
}

export class Sockets {
  private readonly app: FastifyInstance
  private readonly options: SocketOptions
  private readonly open = new Set<Socket>()
  private idleCheck: NodeJS.Timeout | null = null

  /** Watches the connections of a server that does not listen yet, before anybody else sees them. */
  constructor(app: FastifyInstance, options: SocketOptions) {
    this.app = app
    this.options = options
    const { server } = app
    server.timeout = options.stallMs
    // Somebody listens, so Node leaves sockets whose time is over to us.
    server.on('timeout', () => {})
    server.prependListener('connection', this.onConnection)
    server.prependListener(options.event, this.onStream)
  }

  /** Ends idle connections now, and others when they become idle; `finish` must follow. */
  drain(): void {
    const { server } = this.app
    server.closeIdleConnections()
    // Those that are busy now are idle when they have their reply, and would be kept alive.
    this.idleCheck = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS)
  }

  /** Cuts off whatever is open, upgraded connections too. */
  destroyAll(): void {
    for (const socket of this.open) socket.destroy()
  }

  finish(): void {
    if (this.idleCheck !== null) clearInterval(this.idleCheck)
    this.idleCheck = null
  }

  private readonly onConnection = (socket: Socket): void => {
    const { open, options } = this
    if (open.size >= options.connectionsMax) {
      options.figures.connectionsRefused++
      socket.destroy()
      return
    }
    open.add(socket)
    options.figures.connections++
    socket.on('close', () => {
      open.delete(socket)
      options.figures.connections--
    })
  }

  /** A connection from which HTTP is read: behind TLS, if there is TLS. */
  private readonly onStream = (socket: Socket): void => {
    const { stallMs, figures } = this.options
    socket.setTimeout(stallMs)
    socket.on('timeout', () => {
      const isStalled = socket.writableLength > 0
      if (isStalled) figures.connectionsStalled++
      // Between requests Node sets another time: that is over, too.
      const isIdle = socket.timeout !== stallMs
      if (isStalled || isIdle) socket.destroy()
      // A long poll, or a stream with nothing to say.
      else socket.setTimeout(stallMs)
    })
  }
}

/** Answers bytes that are no HTTP request, once, and closes their connection. */
export function clientErrorHandler(figures: Figures): (error: ConnectionError, socket: Socket) => void {
  return (error, socket) => {
    // Nobody reads an answer, or nobody could: there is no TLS.
    if (NO_ANSWER.test(error.code ?? '') || !socket.writable) {
      socket.destroy()
      return
    }
    figures.requestsMalformed++
    discardInput(socket)
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
    const reply = replyUnderWay(socket)
    if (reply?.req.complete === true) {
      // It answers an earlier request: ours in the midst of it would be taken for part of that.
      reply.once('finish', () => socket.end())
      return
    }
    if (reply?.headersSent === true) {
      socket.destroy()
      return
    }
    const [status, reason, detail] = CLIENT_ERRORS[error.code ?? ''] ?? MALFORMED
    const body = problemBody(status, detail, {})
    socket.end(
      `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
}

/**
 * Whatever else comes is read and not looked at: a connection that is closed with unread bytes is reset, and the answer
 * may be lost.
 */
function discardInput(socket: Socket): void {
  socket.removeAllListeners('data')
  socket.on('data', () => {})
  socket.resume()
}

interface ReplyUnderWay {
  readonly headersSent: boolean
  readonly req: { readonly complete: boolean }
  once(event: 'finish', listener: () => void): unknown
}

/** What Node is about to answer on a socket. It has no public name; Node's own handler looks at the same (`socketOnError`). */
function replyUnderWay(socket: Socket): ReplyUnderWay | null {
  if (!('_httpMessage' in socket)) return null
  const { _httpMessage: reply } = socket as { readonly _httpMessage: ReplyUnderWay | null }
  return reply
}
