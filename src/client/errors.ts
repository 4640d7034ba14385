/**
 * Why a request was not answered, or a connection ended.
 *
 * Codes of the client itself: `CLOSED` (it is closed), `CONNECTION_LOST` (the request was sent, and nobody knows whether it
 * was executed), `QUEUE_FULL` (too many requests wait for a connection), `UNAUTHORIZED`, `PROTOCOL`. Others are the server's
 * (docs/REALTIME.md), or the first word of an error reply: `NOPERM`, `WRONGTYPE`, `ERR` …
 */
export class RealtimeError extends Error {
  override readonly name = 'RealtimeError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
