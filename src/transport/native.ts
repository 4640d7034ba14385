/**
 * The `native` transport: TCP and unix sockets on epoll (native/epoll.cc), on Linux where it was built. Hot path.
 *
 * One call for all that has happened since the last turn: `onRecords` reads records of three integers, and input from
 * one buffer that all sockets share. Output that the system does not take at once is copied, so no buffer is kept.
 */
import { lookup } from 'node:dns/promises'
import { chmodSync, rmSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { getSystemErrorMap } from 'node:util'
import { loadAddon } from '../files/addon.ts'
import { messageOf } from '../files/thrown.ts'
import { formatAddress } from './address.ts'
import type { Accept, Connection, Endpoint, Outbox, Receiver, TcpOptions, Transport, Turns } from './contract.ts'

/** What native/epoll.cc exports. Numbers below zero are errors of the system. */
interface Epoll {
  start(input: Buffer, records: Int32Array, posts: Int32Array, onRecords: (count: number) => void): number
  listenTcp(address: string, port: number, backlog: number, keepAliveSeconds: number): number
  listenUnix(path: string, backlog: number): number
  acceptNow(listener: number): number
  address(id: number, isPeer: boolean): string
  send(id: number, buffer: Buffer, start: number, end: number): number
  sendPosts(buffer: Buffer, count: number): number
  queuedBytes(id: number): number
  readNow(id: number, buffer: Buffer): number
  setReading(id: number, isReading: boolean): void
  end(id: number): boolean
  destroy(id: number): void
  setKeepAlive(id: number, seconds: number): void
  setNoDelay(id: number, isOn: boolean): void
}

const INPUT_BYTES = 1024 * 1024
/** Output is handed over in pieces of so many bytes: what the system does not take of a piece is copied. */
const PIECE_BYTES = 1024 * 1024
/** So many parts that are handed over stay in the list of those that are not, or half as many as it has. */
const REST_KEPT_MAX = 64
const NOTHING = Buffer.alloc(0)
/** Offsets in posts have 31 bits. */
const POST_END_MAX = 2 ** 31 - 1
/** Connections that are accepted out of turn in one go. */
const ACCEPTED_NOW_MAX = 16
/** Records of one call at most. */
const RECORDS_MAX = 2048
const RECORD_INTS = 3
/** Parts that are sent in one go at most. */
const POSTS_MAX = 1024
const POST_INTS = 3
/** What stands in place of an offset in records that are no input. As in native/epoll.cc. */
const Record = { Ended: -1, Closed: -2, Drained: -3, Accepted: -4, AcceptFailed: -5 } as const

/** Loads the transport; a text says why it cannot be had. */
export function loadNativeTransport(): Transport | string {
  if (process.platform !== 'linux') return `it is for Linux, this is ${process.platform}`
  loaded ??= load()
  return loaded
}

let loaded: Transport | string | null = null

function load(): Transport | string {
  try {
    const sockets = new Sockets(loadAddon('epoll') as Epoll)
    return {
      name: 'native',
      listenTcp: (options, accept) => sockets.listenTcp(options, accept),
      listenTcpNow: (options, accept) => sockets.listenTcpNow(options, accept),
      listenUnix: async (path, mode, backlog, accept) => sockets.listenUnix(path, mode, backlog, accept),
    }
  } catch (error) {
    return messageOf(error)
  }
}

/** A listening socket. */
interface Listener {
  readonly accept: Accept
  readonly endpoint: Endpoint
  /** Path of the unix socket, null for TCP. */
  readonly path: string | null
  /** What the connections have of it from the beginning. */
  readonly keepAliveSeconds: number
}

/** All sockets of this thread. */
class Sockets implements Outbox {
  private readonly epoll: Epoll
  private readonly input = Buffer.allocUnsafeSlow(INPUT_BYTES)
  private readonly records = new Int32Array(RECORDS_MAX * RECORD_INTS)
  /** By the number of the socket; null where there is none. */
  private readonly connections: (NativeConnection | null)[] = []
  private readonly listeners = new Map<number, Listener>()
  /** Records that are being delivered, and the one that has its turn. */
  private count = 0
  private at = 0
  /** Output that was left to be sent: number of the socket, start and end in the buffer. */
  private readonly posts = new Int32Array(POSTS_MAX * POST_INTS)
  private postCount = 0
  private postBuffer: Buffer = NOTHING
  /** Whether the system has not taken all of what was sent since `sendLeft` was last asked. */
  private hasUnsent: boolean = false
  /** Connections whose receivers have yet to be told that they are gone. */
  private closed: NativeConnection[] = []

  constructor(epoll: Epoll) {
    this.epoll = epoll
    const error = epoll.start(this.input, this.records, this.posts, this.onRecords)
    if (error < 0) throw systemError('epoll_create', error)
  }

  /** Rejects with the system's error. */
  async listenTcp(options: TcpOptions, accept: Accept): Promise<Endpoint> {
    const host = isAddressOf6(options.host) ? options.host : (await lookup(options.host)).address
    return this.listenTcpNow({ ...options, host }, accept)
  }

  /** @throws the system's error */
  listenTcpNow({ host, port, backlog, keepAliveSeconds }: TcpOptions, accept: Accept): Endpoint {
    if (!isAddressOf6(host) && !isIPv4(host)) throw new Error(`${host} is not an address in digits`)
    const id = this.epoll.listenTcp(host, port, backlog, keepAliveSeconds)
    if (id < 0) throw systemError('listen', id, host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
    return this.listening(id, accept, null, keepAliveSeconds)
  }

  /** @throws the system's error */
  listenUnix(path: string, mode: number | null, backlog: number, accept: Accept): Endpoint {
    rmSync(path, { force: true })
    const id = this.epoll.listenUnix(path, backlog)
    if (id < 0) throw systemError('listen', id, path)
    if (mode !== null) chmodSync(path, mode)
    return this.listening(id, accept, path, 0)
  }

  private listening(id: number, accept: Accept, path: string | null, keepAliveSeconds: number): Endpoint {
    const endpoint: Endpoint = {
      port: path === null ? Number(this.epoll.address(id, false).split(' ')[1] ?? 0) : 0,
      onError: () => {},
      acceptNow: () => this.acceptNow(id),
      close: async () => {
        if (!this.listeners.delete(id)) return
        this.epoll.destroy(id)
        if (path !== null) rmSync(path, { force: true })
      },
    }
    this.listeners.set(id, { accept, endpoint, path, keepAliveSeconds })
    return endpoint
  }

  private readonly onRecords = (count: number): void => {
    const { records, connections, input } = this
    let turns: Turns | null = null
    this.count = count
    for (this.at = 0; this.at < count; this.at++) {
      const record = this.at * RECORD_INTS
      const id = records[record]!
      const what = records[record + 1]!
      const detail = records[record + 2]!
      try {
        if (what >= 0) {
          const connection = connections[id]
          // Nothing is left of what was read out of turn.
          if (connection === null || connection === undefined || detail === 0) continue
          const own = connection.turns
          if (own !== turns) {
            // Nearly always all belong to one server.
            if (turns !== null) endInput(turns)
            turns = own
            if (own !== null) own.inputBegins()
          }
          connection.deliver(input, what, what + detail)
        } else {
          if (turns !== null) endInput(turns)
          turns = null
          this.handle(id, what, detail)
        }
      } catch (error) {
        throwLater(error)
      }
    }
    this.count = 0
    if (turns !== null) endInput(turns)
  }

  private handle(id: number, what: number, detail: number): void {
    if (what === Record.Accepted) {
      this.accepted(id, detail >> 1, (detail & 1) !== 0)
      return
    }
    if (what === Record.AcceptFailed) {
      this.listeners.get(id)?.endpoint.onError(systemError('accept', -detail))
      return
    }
    const connection = this.connections[id]
    if (connection === null || connection === undefined) return
    if (what === Record.Drained) connection.drained()
    else if (what === Record.Ended) connection.ended()
    else {
      this.connections[id] = null
      connection.lost()
    }
  }

  private accepted(id: number, listenerId: number, isLocal: boolean): void {
    const listener = this.listeners.get(listenerId)
    // The listener was closed in the same turn.
    if (listener === undefined) {
      this.epoll.destroy(id)
      return
    }
    const connection = new NativeConnection(this, this.epoll, id, listener, isLocal)
    this.connections[id] = connection
    connection.receiver = listener.accept(connection)
    connection.turns = connection.receiver === null ? null : connection.receiver.turns
  }

  private acceptNow(listenerId: number): void {
    for (let i = 0; i < ACCEPTED_NOW_MAX; i++) {
      const accepted = this.epoll.acceptNow(listenerId)
      if (accepted < 0) return
      this.accepted(Math.floor(accepted / 2), listenerId, accepted % 2 === 1)
    }
  }

  /** Takes undelivered input of this turn for somebody who reads out of turn. Returns its length; -1: there is none. */
  takeUndelivered(id: number, target: Buffer): number {
    for (let at = this.at + 1; at < this.count; at++) {
      const record = at * RECORD_INTS
      const start = this.records[record + 1]!
      const length = this.records[record + 2]!
      if (this.records[record] !== id || start < 0 || length === 0) continue
      const bytes = this.input.copy(target, 0, start, start + length)
      this.records[record + 1] = start + bytes
      this.records[record + 2] = length - bytes
      return bytes
    }
    return -1
  }

  leave(connection: NativeConnection, buffer: Buffer, start: number, end: number): boolean {
    if (!connection.takesPosts || end - start > PIECE_BYTES || end > POST_END_MAX) {
      this.sendPosts()
      return false
    }
    if (this.postCount === POSTS_MAX || buffer !== this.postBuffer) this.sendPosts()
    this.postBuffer = buffer
    const at = this.postCount++ * POST_INTS
    this.posts[at] = connection.id
    this.posts[at + 1] = start
    this.posts[at + 2] = end
    return true
  }

  sendLeft(): boolean {
    this.sendPosts()
    const { hasUnsent } = this
    this.hasUnsent = false
    return hasUnsent
  }

  /** Sends what was left: before anything else is done with one of the connections. */
  sendPosts(): void {
    const count = this.postCount
    if (count === 0) return
    this.postCount = 0
    const unsent = this.epoll.sendPosts(this.postBuffer, count)
    this.postBuffer = NOTHING
    if (unsent === 0) return
    this.hasUnsent = true
    for (let i = 0; i < count; i++) {
      if (this.posts[i * POST_INTS + 2]! > 0) this.connections[this.posts[i * POST_INTS]!]?.noteQueue()
    }
  }

  /** Forgets a connection; its receiver is told in a later turn, as it would be of one that the peer has closed. */
  forget(connection: NativeConnection): void {
    this.connections[connection.id] = null
    if (this.closed.length === 0) setImmediate(this.tellClosed)
    this.closed.push(connection)
  }

  private readonly tellClosed = (): void => {
    const { closed } = this
    this.closed = []
    for (const connection of closed) {
      try {
        connection.lost()
      } catch (error) {
        throwLater(error)
      }
    }
  }
}

/** Output that is not handed over yet: `buffer[start, end)`. */
interface Rest {
  /** Nothing any more when all of it is handed over: a slow reader may never be rid of all that waits. */
  buffer: Buffer
  start: number
  readonly end: number
}

class NativeConnection implements Connection {
  readonly id: number
  readonly outbox: Outbox
  readonly isUnixSocket: boolean
  readonly isLocal: boolean
  receiver: Receiver | null = null
  /** Of the receiver. */
  turns: Turns | null = null
  private readonly sockets: Sockets
  private readonly epoll: Epoll
  private readonly listener: Listener
  private peer: string | null = null
  private own: string | null = null
  private isOpen: boolean = true
  private isPaused: boolean = false
  private isEnding: boolean = false
  private hasQueue: boolean = false
  /** What follows the piece that the system has not taken yet, from `restAt` on. */
  private rest: Rest[] = []
  private restAt = 0
  private restBytes = 0
  /** Input that came while delivery was stopped, and whether the peer's end did. */
  private kept: Buffer[] = []
  private hasEndKept: boolean = false

  constructor(sockets: Sockets, epoll: Epoll, id: number, listener: Listener, isLocal: boolean) {
    this.sockets = sockets
    this.outbox = sockets
    this.epoll = epoll
    this.id = id
    this.listener = listener
    this.isUnixSocket = listener.path !== null
    this.isLocal = isLocal
  }

  get address(): string {
    this.peer ??= this.addressOf(true)
    return this.peer
  }

  get localAddress(): string {
    this.own ??= this.addressOf(false)
    return this.own
  }

  /** Most are never asked for, and cost more than accepting the connection. */
  private addressOf(isPeer: boolean): string {
    const { path } = this.listener
    if (path !== null) return `${path}:0`
    return textOf(this.isOpen ? this.epoll.address(this.id, isPeer) : '')
  }

  get queuedBytes(): number {
    return this.hasQueue && this.isOpen ? this.epoll.queuedBytes(this.id) + this.restBytes : 0
  }

  /** Whether output may be sent straight from the caller's buffer. */
  get takesPosts(): boolean {
    return this.isOpen && !this.isEnding && this.rest.length === 0
  }

  /** The system has not taken all that was posted. */
  noteQueue(): void {
    this.hasQueue = true
  }

  send(buffer: Buffer, start: number, end: number): boolean {
    if (!this.isOpen || this.isEnding) return true
    this.sockets.sendPosts()
    if (this.rest.length === 0 && end - start <= PIECE_BYTES) {
      this.hasQueue = this.epoll.send(this.id, buffer, start, end) > 0
      return !this.hasQueue
    }
    // A little behind much is copied, so that it does not keep the whole buffer.
    const isLittle = this.rest.length > 0 && end - start <= PIECE_BYTES
    const bytes = isLittle ? Buffer.from(buffer.subarray(start, end)) : buffer.subarray(start, end)
    this.rest.push({ buffer: bytes, start: 0, end: bytes.length })
    this.restBytes += bytes.length
    return this.rest.length === 1 && this.sendRest()
  }

  /** Hands over pieces until the system takes no more. Returns whether it has taken all. */
  private sendRest(): boolean {
    while (this.restAt < this.rest.length) {
      const next = this.rest[this.restAt]!
      const end = Math.min(next.end, next.start + PIECE_BYTES)
      this.hasQueue = this.epoll.send(this.id, next.buffer, next.start, end) > 0
      this.restBytes -= end - next.start
      next.start = end
      if (end === next.end) this.dropFirst(next)
      if (this.hasQueue) break
    }
    if (this.restAt < this.rest.length) return false
    this.rest = []
    this.restAt = 0
    return !this.hasQueue
  }

  private dropFirst(done: Rest): void {
    done.buffer = NOTHING
    this.restAt++
    if (this.restAt < REST_KEPT_MAX || this.restAt * 2 < this.rest.length) return
    this.rest.splice(0, this.restAt)
    this.restAt = 0
  }

  readNow(buffer: Buffer): number {
    if (!this.isOpen || this.isPaused || this.kept.length > 0) return 0
    const bytes = this.sockets.takeUndelivered(this.id, buffer)
    return bytes >= 0 ? bytes : this.epoll.readNow(this.id, buffer)
  }

  // The number of a connection that is gone may be that of another one already.

  pause(): void {
    if (!this.isOpen) return
    this.isPaused = true
    this.epoll.setReading(this.id, false)
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    if (this.kept.length > 0 || this.hasEndKept) setImmediate(this.deliverKept)
    else if (this.isOpen) this.epoll.setReading(this.id, true)
  }

  setKeepAlive(seconds: number): void {
    // What the listener was opened with, the system has given it already.
    if (this.isOpen && seconds !== this.listener.keepAliveSeconds) this.epoll.setKeepAlive(this.id, seconds)
  }

  delaySmallPackets(): void {
    if (this.isOpen) this.epoll.setNoDelay(this.id, false)
  }

  end(): void {
    if (!this.isOpen || this.isEnding) return
    this.sockets.sendPosts()
    this.isEnding = true
    if (this.rest.length === 0) this.endNow()
  }

  private endNow(): void {
    if (!this.epoll.end(this.id)) return
    this.isOpen = false
    this.sockets.forget(this)
  }

  destroy(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.epoll.destroy(this.id)
    this.sockets.forget(this)
  }

  // ---- events --------------------------------------------------------------------------------------------------

  deliver(buffer: Buffer, start: number, end: number): void {
    if (this.isPaused || this.kept.length > 0) this.kept.push(Buffer.from(buffer.subarray(start, end)))
    else if (!this.isEnding) this.receiver?.received(buffer, start, end)
  }

  drained(): void {
    // A receiver that had its turn before has sent more: that will be told when it has gone out.
    if (this.epoll.queuedBytes(this.id) > 0) return
    if (this.rest.length > 0) {
      const isAll = this.sendRest()
      if (this.isEnding && this.rest.length === 0) {
        this.endNow()
        return
      }
      if (!isAll) return
    }
    this.hasQueue = false
    this.receiver?.drained()
  }

  ended(): void {
    if (this.isPaused || this.kept.length > 0) this.hasEndKept = true
    else if (!this.isEnding) this.receiver?.ended()
  }

  lost(): void {
    this.isOpen = false
    this.hasQueue = false
    this.rest = []
    this.restBytes = 0
    this.kept = []
    const { receiver } = this
    this.receiver = null
    receiver?.closed()
  }

  private readonly deliverKept = (): void => {
    while (this.isOpen && !this.isPaused) {
      const bytes = this.kept.shift()
      if (bytes === undefined) break
      if (!this.isEnding) this.receiver?.received(bytes, 0, bytes.length)
    }
    if (!this.isOpen || this.isPaused) return
    this.epoll.setReading(this.id, true)
    if (!this.hasEndKept) return
    this.hasEndKept = false
    this.ended()
  }
}

/** No name has a colon, and what is wrong with such an address the system says. Node's own check takes 3 ms of the start. */
function isAddressOf6(host: string): boolean {
  return host.includes(':')
}

function endInput(turns: Turns): void {
  try {
    turns.inputEnds()
  } catch (error) {
    throwLater(error)
  }
}

/** The others have their turn all the same; this ends in `uncaughtException`, as an event of Node's would. */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

/** `ip port` as an address of the contract. */
function textOf(end: string): string {
  const [ip, port] = end.split(' ')
  return formatAddress(ip === '' ? undefined : ip, Number(port ?? 0))
}

/** An error as node:net would give it. */
function systemError(syscall: string, code: number, where = ''): Error {
  const [name = 'UNKNOWN', text = 'unknown error'] = getSystemErrorMap().get(code) ?? []
  const message = where === '' ? `${syscall} ${name}: ${text}` : `${syscall} ${name}: ${text} ${where}`
  return Object.assign(new Error(message), { code: name, errno: code, syscall })
}
