/**
 * The connection of a client: one WebSocket after the other, requests and their answers.
 *
 * A lost connection is made again, after a pause that doubles and of which half is chance, so that clients of a server
 * that was away do not all come at once. Requests that were not sent wait for the next connection, up to a number.
 * Those that were sent fail, since nobody knows whether they were executed.
 *
 * Pages cannot see the pings of the server, so the client asks by itself whether anybody is there.
 */
import { RealtimeError } from './errors.ts'
import type { ConnectionState } from './events.ts'

export interface ConnectOptions {
  /** Of the gateway: `https://broker.example` or `wss://…`; a path is put in front of `/v1/realtime`. */
  readonly url: string
  /** A token or password, or what gets one: it is called for each connection. */
  readonly token?: string | (() => string | Promise<string>)
  /** First pause before a lost connection is made again, in ms; it doubles up to the maximum. Default: 250 and 10,000. */
  readonly reconnectMinMs?: number
  readonly reconnectMaxMs?: number
  /** Requests that may wait for a connection; further ones fail. Default: 1000. */
  readonly queueMax?: number
  /** So often the server is asked whether it is there, in ms; it has as long to answer. Default: 15,000. */
  readonly heartbeatMs?: number
}

/** A push of the server, or an answer. */
export interface ServerMessage {
  readonly type: string
  readonly [member: string]: unknown
}

export interface ConnectionOwner {
  /** A connection is there. What waits is sent when this has resolved; only then it counts as open. */
  connected(): Promise<void>
  pushed(message: ServerMessage): void
  stateChanged(state: ConnectionState, error: RealtimeError | null): void
}

interface PendingRequest {
  readonly text: string
  resolve(result: unknown): void
  reject(error: RealtimeError): void
}

const PATH = '/v1/realtime'
const SUBPROTOCOL = 'millrace.v1'
/** A connection that has not been made by then is given up, in ms. */
const OPEN_MAX_MS = 10_000
/** Texts that may be part of a subprotocol (RFC 9110 token). */
const PROTOCOL_TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
/** What a page has and Node has not. */
interface Page {
  readonly addEventListener?: (event: 'online', listener: () => void) => void
  readonly removeEventListener?: (event: 'online', listener: () => void) => void
}

const page = globalThis as Page
/** Close codes after which a further try would end the same way. */
const FATAL_CODES: Readonly<Record<number, string>> = { 4400: 'PROTOCOL', 4401: 'UNAUTHORIZED', 4403: 'UNAUTHORIZED' }

export class Connection {
  state: ConnectionState = 'connecting'
  private readonly options: ConnectOptions
  private readonly owner: ConnectionOwner
  private socket: WebSocket | null = null
  private lastId = 0
  /** Sent, by ID. */
  private readonly sent = new Map<number, PendingRequest>()
  /** Not sent yet, by ID, in order. */
  private readonly queue = new Map<number, PendingRequest>()
  private attempts = 0
  private retryTimer: ReturnType<typeof setTimeout> | null = null
  private heartbeat: ReturnType<typeof setInterval> | null = null
  private isAwaitingLife: boolean = false
  /** Whether the server has greeted on the socket of now. */
  isConnected: boolean = false

  constructor(options: ConnectOptions, owner: ConnectionOwner) {
    this.options = options
    this.owner = owner
    page.addEventListener?.('online', this.hurry)
  }

  start(): void {
    void this.open()
  }

  /** Sends a request, or has it wait for a connection. */
  request(op: string, members: object): Promise<unknown> {
    if (this.state === 'open') return this.send(op, members)
    if (this.state === 'closed') return Promise.reject(closedError())
    if (this.queue.size >= (this.options.queueMax ?? 1000)) {
      return Promise.reject(new RealtimeError('QUEUE_FULL', 'Too many requests wait for a connection'))
    }
    return this.enter(this.queue, op, members)
  }

  /** Sends a request that means this connection only; fails when there is none. */
  send(op: string, members: object): Promise<unknown> {
    if (!this.isConnected) return Promise.reject(new RealtimeError('CONNECTION_LOST', 'There is no connection'))
    const answer = this.enter(this.sent, op, members)
    this.socket?.send(this.sent.get(this.lastId)!.text)
    return answer
  }

  /** Ends it for good. */
  close(error: RealtimeError | null = null): void {
    if (this.state === 'closed') return
    page.removeEventListener?.('online', this.hurry)
    if (this.retryTimer !== null) clearTimeout(this.retryTimer)
    this.dropSocket()
    this.rejectAll(this.sent, error ?? closedError())
    this.rejectAll(this.queue, error ?? closedError())
    this.setState('closed', error)
  }

  private enter(requests: Map<number, PendingRequest>, op: string, members: object): Promise<unknown> {
    this.lastId++
    const id = this.lastId
    const text = JSON.stringify({ id, op, ...members })
    return new Promise((resolve, reject) => requests.set(id, { text, resolve, reject }))
  }

  private async open(): Promise<void> {
    let socket: WebSocket
    try {
      const { token } = this.options
      const text = typeof token === 'function' ? await token() : (token ?? null)
      if (this.state === 'closed') return
      socket = openSocket(this.options.url, text)
    } catch (error) {
      this.lost(new RealtimeError('CONNECTION_LOST', error instanceof Error ? error.message : String(error)))
      return
    }
    this.socket = socket
    const limit = setTimeout(() => this.socketLost(socket, 0, 'The server does not answer'), OPEN_MAX_MS)
    socket.onmessage = ({ data }) => {
      clearTimeout(limit)
      if (socket === this.socket) this.received(String(data))
    }
    socket.onclose = ({ code, reason }) => {
      clearTimeout(limit)
      this.socketLost(socket, code, reason)
    }
    // What is wrong comes with the close.
    socket.onerror = () => clearTimeout(limit)
  }

  private received(text: string): void {
    this.isAwaitingLife = false
    const message = JSON.parse(text) as ServerMessage
    switch (message.type) {
      case 'welcome':
        void this.welcomed()
        break
      case 'reply':
        this.settle(message.id)?.resolve(message.result)
        break
      case 'error':
        this.settle(message.id)?.reject(new RealtimeError(String(message.code), String(message.message)))
        break
      default:
        this.owner.pushed(message)
    }
  }

  private async welcomed(): Promise<void> {
    const { socket } = this
    this.attempts = 0
    this.isConnected = true
    this.heartbeat = setInterval(() => this.beat(), this.options.heartbeatMs ?? 15_000)
    await this.owner.connected()
    if (socket !== this.socket) return
    this.setState('open', null)
    for (const [id, request] of this.queue) {
      this.sent.set(id, request)
      this.socket?.send(request.text)
    }
    this.queue.clear()
  }

  private settle(id: unknown): PendingRequest | null {
    const request = this.sent.get(id as number) ?? null
    this.sent.delete(id as number)
    return request
  }

  private beat(): void {
    const { socket } = this
    if (socket === null) return
    if (this.isAwaitingLife) {
      this.socketLost(socket, 0, 'The server does not answer')
      return
    }
    this.isAwaitingLife = true
    // An answer is a sign of life, whatever it says.
    this.send('ping', {}).catch(() => null)
  }

  private socketLost(socket: WebSocket, code: number, reason: string): void {
    if (socket !== this.socket) return
    const wasConnected = this.isConnected
    this.dropSocket()
    const fatal = FATAL_CODES[code]
    const error = new RealtimeError(
      fatal ?? 'CONNECTION_LOST',
      `${reason === '' ? 'The connection was lost' : reason} (${code})`,
    )
    // Whoever gets tokens by a function may have a better one by now.
    if (fatal !== undefined && typeof this.options.token !== 'function') this.close(error)
    else {
      this.lost(error)
      if (!wasConnected) void this.askWhy()
    }
  }

  private lost(error: RealtimeError): void {
    if (this.state === 'closed') return
    this.rejectAll(this.sent, error)
    this.setState(this.state === 'connecting' ? 'connecting' : 'reconnecting', error)
    const { reconnectMinMs = 250, reconnectMaxMs = 10_000 } = this.options
    const pauseMs = Math.min(reconnectMaxMs, reconnectMinMs * 2 ** Math.min(this.attempts, 30))
    this.attempts++
    this.retryTimer = setTimeout(() => this.retry(), pauseMs * (0.5 + Math.random() / 2))
  }

  private retry(): void {
    this.retryTimer = null
    void this.open()
  }

  /** The network is back: no need to wait. */
  private readonly hurry = (): void => {
    if (this.retryTimer === null) return
    clearTimeout(this.retryTimer)
    this.attempts = 0
    this.retry()
  }

  /** WebSockets do not tell why a handshake was refused, but the same path by HTTP does. */
  private async askWhy(): Promise<void> {
    const { token, url } = this.options
    if (typeof token === 'function') return
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    try {
      const { status } = await fetch(addressOf(url, 'http').href, { headers })
      if (status === 401 || status === 403)
        this.close(new RealtimeError('UNAUTHORIZED', `The server answers ${status}`))
    } catch {
      // It is not there, or does not talk to pages of this origin: the next try tells.
    }
  }

  private dropSocket(): void {
    const { socket } = this
    this.socket = null
    this.isConnected = false
    this.isAwaitingLife = false
    if (this.heartbeat !== null) clearInterval(this.heartbeat)
    this.heartbeat = null
    if (socket === null) return
    socket.onmessage = null
    socket.close()
  }

  private rejectAll(requests: Map<number, PendingRequest>, error: RealtimeError): void {
    const all = [...requests.values()]
    requests.clear()
    for (const { reject } of all) reject(error)
  }

  private setState(state: ConnectionState, error: RealtimeError | null): void {
    if (this.state === state && error === null) return
    this.state = state
    this.owner.stateChanged(state, error)
  }
}

function openSocket(url: string, token: string | null): WebSocket {
  const address = addressOf(url, 'ws')
  if (token === null) return new WebSocket(address, [SUBPROTOCOL])
  if (PROTOCOL_TOKEN.test(token)) return new WebSocket(address, [SUBPROTOCOL, `bearer.${token}`])
  address.searchParams.set('_token', token)
  return new WebSocket(address, [SUBPROTOCOL])
}

function addressOf(url: string, scheme: 'http' | 'ws'): URL {
  const address = new URL(url)
  const isSecure = address.protocol === 'https:' || address.protocol === 'wss:'
  address.protocol = isSecure ? `${scheme}s:` : `${scheme}:`
  address.pathname = address.pathname.replace(/\/$/, '') + PATH
  return address
}

function closedError(): RealtimeError {
  return new RealtimeError('CLOSED', 'The client is closed')
}
