/**
 * The transport contract: bytes in, bytes out, nothing else.
 *
 * A transport accepts connections and hands their bytes to a receiver, synchronously. The receiver does not answer
 * from within `received`: replies of all connections of a loop turn are sent at its end, with one `send` each. A transport
 * that has the input of many connections at once says where that begins and ends, and there the turn ends (`Turns`).
 */

export interface Connection {
  /** Peer and own address: `ip:port`, `[ip]:port`, or `path:0` of a unix socket; `?:0` when it is too late to find out. */
  readonly address: string
  readonly localAddress: string
  readonly isUnixSocket: boolean
  /** Whether the peer is on this machine (protected mode, `local` settings). */
  readonly isLocal: boolean
  /** Bytes handed to `send` that the system has not taken yet. */
  readonly queuedBytes: number
  /**
   * Sends `buffer[start, end)`. Returns true when the system has taken all of it, so that the buffer may be reused;
   * false when the transport keeps reading from it until `drained`.
   */
  send(buffer: Buffer, start: number, end: number): boolean
  /** Where output may be left that is to be sent together with that of others; null where there is no such place. */
  readonly outbox: Outbox | null
  /**
   * Takes input that has arrived and was not delivered, into `buffer` from its start: for a receiver that keeps the loop
   * from going on. It is not delivered any more. Returns its length in bytes; 0 when there is none, delivery is stopped,
   * or the transport cannot read out of turn; `INPUT_ENDED` when the peer has sent its last byte, which is told again by
   * `ended`.
   */
  readNow(buffer: Buffer): number
  /** Stops and resumes delivery of input. */
  pause(): void
  resume(): void
  /** TCP keep-alive probes after `seconds` of silence; 0 turns them off. Nothing to do where there is no TCP. */
  setKeepAlive(seconds: number): void
  /** Lets the system put small pieces together before it sends them (Nagle). Nothing to do where there is no TCP. */
  delaySmallPackets(): void
  /** Closes after everything that was sent has gone out. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

/** Output of many connections that is sent in one go. The buffer must stay as it is until then. */
export interface Outbox {
  /**
   * Leaves `buffer[start, end)` for a connection of this outbox: all of the same buffer. Returns false when it must be
   * handed to `send` instead; what was left before is sent then.
   */
  leave(connection: Connection, buffer: Buffer, start: number, end: number): boolean
  /**
   * Sends all that was left. What the system does not take is copied. Returns whether there is such: those connections
   * have it among their `queuedBytes`.
   */
  sendLeft(): boolean
}

/** What `readNow` returns at the end of the input. */
export const INPUT_ENDED = -1

/** Told when input of several connections is handed over one after the other. */
export interface Turns {
  inputBegins(): void
  /** That was all there is for now: replies are sent here. */
  inputEnds(): void
}

export interface Receiver {
  /** The same one for all receivers that belong together; null: nobody wants to know. */
  readonly turns: Turns | null
  /** Input; the buffer is valid during the call. */
  received(buffer: Buffer, start: number, end: number): void
  /** Everything handed to `send` has been taken by the system. */
  drained(): void
  /** The peer has sent its last byte and may still read. The receiver ends the connection when nothing more is due. */
  ended(): void
  /** The connection is gone; no call follows. */
  closed(): void
}

/** Decides about a new connection; null refuses it (it has been closed by the listener). */
export type Accept = (connection: Connection) => Receiver | null

/** A listening endpoint. */
export interface Endpoint {
  /** Port bound to, 0 for a unix socket. */
  readonly port: number
  /** Told when a connection could not be accepted, as when the process may open no more files. */
  onError: (error: Error) => void
  /**
   * Accepts connections that wait, some at a time: for somebody who keeps the loop from going on. Does nothing where the
   * transport cannot do it out of turn.
   */
  acceptNow(): void
  /** Stops accepting. Open connections stay. */
  close(): Promise<void>
}

export interface TcpOptions {
  readonly host: string
  readonly port: number
  readonly backlog: number
  /** What `setKeepAlive` is likely to be called with. */
  readonly keepAliveSeconds: number
}

/** A way to listen on sockets. */
export interface Transport {
  readonly name: 'node' | 'native'
  /** Listens on a TCP address. Rejects with the system's error. */
  listenTcp(options: TcpOptions, accept: Accept): Promise<Endpoint>
  /**
   * The same at once, on an address in digits; null where the system cannot tell at once whether it worked.
   * @throws the system's error
   */
  readonly listenTcpNow: ((options: TcpOptions, accept: Accept) => Endpoint) | null
  /** Listens on a unix socket; a stale socket file is replaced. `mode` null leaves permissions as they come. */
  listenUnix(path: string, mode: number | null, backlog: number, accept: Accept): Promise<Endpoint>
}
