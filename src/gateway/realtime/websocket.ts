/**
 * A WebSocket client: requests come in, pushes and replies go out. Hot path: send, endTurn.
 *
 * `ws` makes the handshake, reads, and closes. What goes out does not pass it: a batch has its frames already, and they
 * are written to the socket as they are; those of a turn leave together (`cork`). Messages are not compressed, which
 * would cost every client a compressor of its own.
 *
 * A client that has too many requests under way, or does not take the replies, is not read from until that is over.
 */
import type { Socket } from 'node:net'
import type { User } from '../../access/user.ts'
import { Fifo } from '../../server/fifo.ts'
import type { Batch } from './batch.ts'
import type { Outlet } from './outlet.ts'
import { CloseCode, errorMessage, parseMessage, type Request, type RequestId } from './protocol.ts'
import { RateWindow } from './rate-window.ts'
import type { Realtime } from './realtime.ts'
import { Requests } from './requests.ts'
import { Session } from './session.ts'
import type { TurnEnd } from './turn.ts'

/** What is used of a `WebSocket` of `ws`. */
export interface ServerSocket {
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown
  on(event: 'pong', listener: () => void): unknown
  on(event: 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  removeAllListeners(event: 'error'): unknown
  pause(): void
  resume(): void
  close(code: number, reason: string): void
  terminate(): void
}

interface WaitingRequest {
  readonly id: RequestId
  readonly request: Request
}

const PING_FRAME = Buffer.from([0x89, 0])

export class WebSocketConnection implements Outlet, TurnEnd {
  private readonly ws: ServerSocket
  private readonly socket: Socket
  private readonly session: Session
  private requests: Requests | null = null
  /** Requests that came with others before the client was not read from any more. */
  private waiting: Fifo<WaitingRequest> | null = null
  private rate: RateWindow | null = null
  /** Written in this turn: a single piece goes to the socket as it is, which costs less than corking it. */
  private pending: Buffer | null = null
  private isCorked: boolean = false
  private isPaused: boolean = false
  private hasShownLife: boolean = true
  /** Bytes that had left at the last heartbeat. */
  private takenAtBeat = 0

  constructor(realtime: Realtime, ws: ServerSocket, socket: Socket, user: User, token: string | null) {
    this.ws = ws
    this.socket = socket
    this.session = new Session(realtime, user, token, this)
    ws.on('message', (data, isBinary) => this.received(data, isBinary))
    ws.on('pong', () => this.showLife())
    ws.on('error', () => {
      // A broken frame, or a socket that broke: `ws` closes by itself, with the code that fits.
    })
    socket.on('drain', () => this.drained())
    realtime.sessionOpened(this.session)
    realtime.context.figures.webSockets++
    ws.on('close', () => {
      realtime.context.figures.webSockets--
      this.closed()
    })
    this.welcome()
  }

  get queuedBytes(): number {
    return this.socket.writableLength + (this.pending === null ? 0 : this.pending.length)
  }

  get isFull(): boolean {
    return this.socket.writableNeedDrain
  }

  send(batch: Batch): void {
    this.write(batch.webSocket)
  }

  sendEntries(batch: Batch): void {
    this.write(batch.webSocket)
  }

  endTurn(): void {
    const { pending, socket } = this
    this.pending = null
    if (pending !== null) socket.write(pending)
    if (this.isCorked) socket.uncork()
    this.isCorked = false
  }

  beat(): boolean {
    const taken = this.socket.bytesWritten - this.socket.writableLength
    const isTaking = this.queuedBytes > 0 && taken > this.takenAtBeat
    // A client that we do not read from, because of its requests, cannot show anything.
    const isHeldUp = this.isPaused && this.queuedBytes === 0
    if (!this.hasShownLife && !isTaking && !isHeldUp) return false
    this.hasShownLife = false
    this.takenAtBeat = taken
    this.write(PING_FRAME)
    return true
  }

  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.ws.pause()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.ws.resume()
  }

  close(code: CloseCode, reason: string): void {
    if (this.session.isClosed) return
    this.closed()
    // What was sent before goes before.
    this.endTurn()
    // The answer of the client has to be read.
    this.resume()
    this.ws.close(code, reason)
  }

  terminate(): void {
    this.closed()
    this.ws.terminate()
  }

  private write(bytes: Buffer): void {
    const { socket, pending } = this
    // The client has closed, and we are not told yet.
    if (!socket.writable) return
    if (this.isCorked) socket.write(bytes)
    else if (pending === null) {
      this.pending = bytes
      this.session.realtime.turn.addSocket(this)
    } else {
      this.pending = null
      this.isCorked = true
      socket.cork()
      socket.write(pending)
      socket.write(bytes)
    }
  }

  private welcome(): void {
    const { realtime, user } = this.session
    const { bufferBytesMax, subscriptionsMax, consumptionsMax, heartbeatMs } = realtime.limits
    const limits = { messageBytes: realtime.context.settings.bodyBytesMax, bufferBytes: bufferBytesMax }
    this.session.push('welcome', {
      type: 'welcome',
      version: 1,
      user: Buffer.from(user.name, 'latin1').toString('utf8'),
      heartbeatMs,
      limits: { ...limits, subscriptions: subscriptionsMax, consumptions: consumptionsMax },
    })
  }

  private received(data: Buffer, isBinary: boolean): void {
    const { session } = this
    if (session.isClosed) return
    this.hasShownLife = true
    this.rate ??= new RateWindow(session.realtime.limits.messagesPerSecondMax)
    if (!this.rate.take(performance.now())) {
      this.close(CloseCode.TooMany, 'Too many messages')
      return
    }
    if (isBinary) {
      this.close(CloseCode.Protocol, 'Messages are JSON texts')
      return
    }
    const { id, request, detail } = parseMessage(data.toString())
    if (id === null) this.close(CloseCode.Protocol, detail)
    else if (request === null) session.sendText('error', errorMessage(id, 'BAD_REQUEST', detail))
    else {
      this.waiting ??= new Fifo()
      this.waiting.push({ id, request })
      this.work()
    }
  }

  /** Begins with requests that wait, as far as may be; reads on when none is left. */
  private readonly work = (): void => {
    const { session, waiting } = this
    if (waiting === null) return
    const { requestsMax, bufferBytesMax } = session.realtime.limits
    this.requests ??= new Requests(session)
    while (!session.isClosed && this.requests.count < requestsMax && this.queuedBytes <= bufferBytesMax) {
      const next = waiting.shift()
      if (next === null) {
        this.resume()
        return
      }
      void this.requests.answer(next.id, next.request).then(this.work)
    }
    if (!session.isClosed) this.pause()
  }

  private showLife(): void {
    this.hasShownLife = true
  }

  private drained(): void {
    if (this.session.isClosed) return
    this.session.drained()
    this.work()
  }

  private closed(): void {
    this.requests?.close()
    this.session.close()
  }
}
