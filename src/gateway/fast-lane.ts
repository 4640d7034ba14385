/**
 * The fast lane: small requests of the hot routes are read and answered on the socket itself. Hot path.
 *
 * Node's HTTP server makes half a dozen objects and two streams for a request; with Fastify on top a POST costs three
 * times the CPU of what is left when a request is taken from the bytes (bench/http.ts). Most requests of serverless clients
 * are one route, POST /pipeline, so that one is worth it.
 *
 * The lane sees a connection first. As long as its requests are plain ones of a hot route, it answers them. At the first
 * byte that is anything else (another route, an unusual header, an error) it gives the connection, with all that was not
 * answered, to Node's server for good: the lane decides nothing and words no error, Fastify's routes do.
 *
 *     connection ─▶ lane ── plain request ─▶ FastRoute ─▶ answer ─┐
 *                    │ ◀─────────── next request ─────────────────┘
 *                    └── anything else ─▶ Node's HTTP server ─▶ Fastify
 *
 * What is strict here is so because a proxy in front may read the same bytes: whatever two readers could take for
 * different things (two lengths, a chunked body, folded headers, bare line ends) is Node's to judge.
 */
import { type IncomingHttpHeaders, type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { User } from '../access/user.ts'

/** A request that lies in one piece before us. */
export interface FastRequest {
  /** Path and query as they were sent. */
  readonly url: string
  /** By lower-case names; none occurs twice. */
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
  /** Valid during the call. */
  readonly body: Buffer
}

export interface FastAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  /** Further header lines, each with its end: `name: value\r\n`. */
  readonly headers: string
}

/** A route that the lane serves too. */
export interface FastRoute {
  /** As Fastify knows it, for statistics. */
  readonly url: string
  /** Whether `POST path` is this route's. */
  matches(path: string): boolean
  /**
   * Runs a request. Throws, before anything was executed, when there is something wrong with it: Fastify's route sees it
   * then, as when it resolves to null, after something that has executed nothing. Resolves whatever the engine says.
   */
  run(user: User, request: FastRequest): Promise<FastAnswer | null>
}

/** Thrown by a route for a request that is Fastify's. */
export class NotPlainError extends Error {}

export interface FastLaneOptions {
  readonly routes: readonly FastRoute[]
  /** @throws when the request has no user: Fastify words the error */
  identify(request: FastRequest): User | Promise<User>
  requestId(headers: IncomingHttpHeaders): string
  /** Told about each answer: the route, the status, and how long it took, in ms. */
  onAnswer(url: string, status: number, durationMs: number): void
  /** Told when a route has failed with a defect; the connection is closed. */
  onDefect(error: unknown): void
  /** A larger body is for Fastify to refuse, in bytes. */
  readonly bodyBytesMax: number
  /** An idle connection is closed after this time, in ms. */
  readonly keepAliveMs: number
  /** A request that has begun must be complete after this time, in ms. */
  readonly requestTimeoutMs: number
}

type Listener = (socket: Socket) => void

/** Requests up to this size are the lane's, in bytes; larger ones come in many pieces anyway. */
const REQUEST_BYTES_MAX = 64 * 1024
/** Idle connections and late requests are looked for this often, in ms, or four times in the time of a request. */
const SWEEP_MS = 2000
const HEAD_END = Buffer.from('\r\n\r\n')
const METHOD = 'POST '
const METHOD_BYTES = Buffer.from(METHOD)
const VERSION = ' HTTP/1.1'
const PATH = /^\/[!-"$-~]*$/
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/
const LENGTH = /^\d{1,6}$/
/** Headers with which a request is not a plain one. */
const FOREIGN_HEADERS: ReadonlySet<string> = new Set([
  'expect',
  'origin',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export class FastLane {
  readonly options: FastLaneOptions
  private readonly connections = new Set<LaneConnection>()
  private readonly sweepTimer: NodeJS.Timeout
  private isDraining: boolean = false
  /** Node's way of taking a connection. */
  private readonly takeOver: Listener

  /** Puts the lane before a server that does not listen yet; `event` is what tells it of a connection. */
  constructor(server: Server, event: 'connection' | 'secureConnection', options: FastLaneOptions) {
    this.options = options
    const listeners = server.listeners(event) as Listener[]
    this.takeOver = (socket) => {
      for (const listener of listeners) listener.call(server, socket)
    }
    server.removeAllListeners(event)
    server.on(event, (socket: Socket) => this.connections.add(new LaneConnection(this, socket)))
    this.sweepTimer = setInterval(() => this.sweep(), Math.min(SWEEP_MS, options.requestTimeoutMs / 4))
    this.sweepTimer.unref()
  }

  /** Idle connections are closed now, others when they have their answer. */
  drain(): void {
    this.isDraining = true
    clearInterval(this.sweepTimer)
    const now = performance.now()
    for (const connection of this.connections) connection.closeIfIdle(now, now)
  }

  get isClosing(): boolean {
    return this.isDraining
  }

  forget(connection: LaneConnection): void {
    this.connections.delete(connection)
  }

  /** Gives a connection to Node's server, with what was read of it and not answered. */
  handOver(socket: Socket, unread: Buffer): void {
    this.takeOver(socket)
    if (unread.length > 0) socket.unshift(unread)
    socket.resume()
  }

  private sweep(): void {
    const { keepAliveMs, requestTimeoutMs } = this.options
    const now = performance.now()
    for (const connection of this.connections) {
      connection.closeIfIdle(now - keepAliveMs, now - requestTimeoutMs)
      connection.giveUpPartial(now - requestTimeoutMs)
    }
  }
}

/** What is known of a request before it is run. */
interface Head {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly bodyStart: number
  readonly bodyBytes: number
}

const EMPTY = Buffer.alloc(0)

class LaneConnection {
  private readonly lane: FastLane
  private readonly socket: Socket
  /** Read and not answered, the request under way not included. */
  private unread: Buffer = EMPTY
  private isRunning: boolean = false
  private hasServed: boolean = false
  /** When the last answer was sent, or the connection was opened. */
  private sinceMs: number = performance.now()
  /** When the head of a request was read whose body is not complete; null when there is none. */
  private partialSinceMs: number | null = null

  constructor(lane: FastLane, socket: Socket) {
    this.lane = lane
    this.socket = socket
    socket.on('data', this.onData)
    socket.on('end', this.onEnd)
    socket.on('error', this.onError)
    socket.on('close', this.onClose)
  }

  /** Closes a connection that waits for its next request, or for its first one, since a time. */
  closeIfIdle(sinceMs: number, firstSinceMs: number): void {
    if (this.isRunning || this.unread.length > 0) return
    if (this.sinceMs <= (this.hasServed ? sinceMs : firstSinceMs)) this.socket.end()
  }

  /** Node's server waits for the rest of a slow request, by its own limits. */
  giveUpPartial(sinceMs: number): void {
    if (!this.isRunning && this.partialSinceMs !== null && this.partialSinceMs <= sinceMs) this.leave()
  }

  private readonly onData = (chunk: Buffer): void => {
    if (this.unread.length === 0) this.unread = chunk
    else this.unread = Buffer.concat([this.unread, chunk])
    // Whoever sends on without waiting for answers is read again when those have gone out.
    if (this.isRunning) this.socket.pause()
    else this.next()
  }

  private readonly onEnd = (): void => {
    // The request under way is answered first.
    if (this.isRunning) return
    if (this.unread.length > 0) this.leave()
    else this.socket.end()
  }

  private readonly onError = (): void => {
    this.socket.destroy()
  }

  private readonly onClose = (): void => {
    this.lane.forget(this)
  }

  /** Runs the request that is there, waits for the rest of it, or leaves the connection to Node. */
  private next(): void {
    const { unread } = this
    const head = readHead(unread)
    if (head === null) {
      this.leave()
      return
    }
    const route = this.routeOf(head.url)
    const end = head.bodyStart + head.bodyBytes
    const isSmall = end <= REQUEST_BYTES_MAX && head.bodyBytes <= this.lane.options.bodyBytesMax
    if (route === null || !isSmall) this.leave()
    else if (end <= unread.length) {
      this.partialSinceMs = null
      this.identify(route, head, end)
    } else {
      // Not with each piece: a body that drips would never be late.
      this.partialSinceMs ??= performance.now()
    }
  }

  private routeOf(url: string): FastRoute | null {
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    const { routes } = this.lane.options
    for (let i = 0; i < routes.length; i++) if (routes[i]!.matches(path)) return routes[i]!
    return null
  }

  private identify(route: FastRoute, head: Head, end: number): void {
    const request: FastRequest = {
      url: head.url,
      headers: head.headers,
      socket: this.socket,
      body: this.unread.subarray(head.bodyStart, end),
    }
    try {
      const user = this.lane.options.identify(request)
      if (user instanceof Promise) {
        this.isRunning = true
        user.then((found) => this.run(route, request, found, end), this.refused)
      } else this.run(route, request, user, end)
    } catch {
      this.leave()
    }
  }

  private readonly refused = (): void => {
    this.isRunning = false
    this.leave()
  }

  private run(route: FastRoute, request: FastRequest, user: User, end: number): void {
    const startedMs = performance.now()
    let running: Promise<FastAnswer | null>
    try {
      running = route.run(user, request)
    } catch {
      // Fastify's route meets the same error and words it.
      this.refused()
      return
    }
    this.isRunning = true
    running.then(
      (answer) => {
        this.isRunning = false
        if (answer === null) {
          this.leave()
          return
        }
        this.hasServed = true
        this.unread = this.unread.length === end ? EMPTY : this.unread.subarray(end)
        this.sinceMs = performance.now()
        const { options } = this.lane
        options.onAnswer(route.url, answer.status, this.sinceMs - startedMs)
        this.send(answer, options.requestId(request.headers))
      },
      (error: unknown) => {
        this.lane.options.onDefect(error)
        this.socket.destroy()
      },
    )
  }

  private send(answer: FastAnswer, requestId: string): void {
    const { socket, lane } = this
    if (socket.destroyed) return
    const isLast = lane.isClosing || socket.readableEnded
    const reason = STATUS_CODES[answer.status] ?? ''
    socket.write(
      `HTTP/1.1 ${answer.status} ${reason}\r\nx-request-id: ${requestId}\r\n${answer.headers}content-type: ${answer.contentType}\r\ncontent-length: ${Buffer.byteLength(answer.body)}\r\nDate: ${httpDate()}\r\nConnection: ${isLast ? 'close' : 'keep-alive'}\r\n\r\n${answer.body}`,
    )
    if (isLast) socket.end()
    else if (socket.writableNeedDrain) {
      // The client does not read its answers: nothing more is executed for it until it does.
      socket.pause()
      socket.once('drain', this.goOn)
    } else this.goOn()
  }

  private readonly goOn = (): void => {
    if (this.socket.isPaused()) this.socket.resume()
    if (this.unread.length > 0 && !this.isRunning) this.next()
  }

  private leave(): void {
    const { socket, unread } = this
    socket.off('data', this.onData)
    socket.off('end', this.onEnd)
    socket.off('error', this.onError)
    socket.off('close', this.onClose)
    this.unread = EMPTY
    this.lane.forget(this)
    if (!socket.destroyed) this.lane.handOver(socket, unread)
  }
}

/** Reads the head of a plain POST; null when it is not complete or something else. */
function readHead(bytes: Buffer): Head | null {
  if (bytes.length < METHOD.length || bytes.compare(METHOD_BYTES, 0, METHOD.length, 0, METHOD.length) !== 0) return null
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd < 0) return null
  const text = bytes.latin1Slice(0, headEnd)
  let lineEnd = text.indexOf('\r\n')
  if (lineEnd < 0 || !text.startsWith(VERSION, lineEnd - VERSION.length)) return null
  const url = text.slice(METHOD.length, lineEnd - VERSION.length)
  if (!PATH.test(url)) return null
  const headers: IncomingHttpHeaders = {}
  while (lineEnd < text.length) {
    const start = lineEnd + 2
    lineEnd = text.indexOf('\r\n', start)
    if (lineEnd < 0) lineEnd = text.length
    const found = HEADER.exec(text.slice(start, lineEnd))
    if (found === null) return null
    const name = found[1]!.toLowerCase()
    if (FOREIGN_HEADERS.has(name) || headers[name] !== undefined) return null
    headers[name] = found[2]!.trimEnd()
  }
  const { connection, host, 'content-length': length } = headers
  if (host === undefined || length === undefined || !LENGTH.test(length)) return null
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return null
  return { url, headers, bodyStart: headEnd + HEAD_END.length, bodyBytes: Number(length) }
}

let dateSecond = 0
let dateText = ''

function httpDate(): string {
  const now = Date.now()
  const second = Math.floor(now / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(now).toUTCString()
  }
  return dateText
}
