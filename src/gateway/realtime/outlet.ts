import type { Batch } from './batch.ts'
import type { CloseCode } from './protocol.ts'

/** The way to one client: a WebSocket (websocket.ts) or an SSE response (sse.ts). */
export interface Outlet {
  /** Bytes that the client has not taken yet. */
  readonly queuedBytes: number
  /** Whether the socket has taken all it can for now; the session's `drained` is called when it takes more. */
  readonly isFull: boolean
  send(batch: Batch): void
  /** Sends entries of a stream whose position has been moved behind them. */
  sendEntries(batch: Batch): void
  /** Whether there was a sign of life since the last heartbeat; asks for the next one. */
  beat(): boolean
  /** Stops reading from the client, and goes on. */
  pause(): void
  resume(): void
  close(code: CloseCode, reason: string): void
  /** Cuts the client off. */
  terminate(): void
}
