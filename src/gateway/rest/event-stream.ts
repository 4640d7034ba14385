/**
 * One answer of server-sent events (WHATWG HTML, "Server-sent events").
 *
 * What a client does not read is kept up to a limit; one that is further behind when the next event comes loses its
 * connection, and can tell by that. Events that come before the answer has begun are kept and sent then.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** What may wait to be read by one client, in bytes. */
export const UNREAD_BYTES_MAX = 4 * 1024 * 1024
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies that gather answers would keep the events.
  'x-accel-buffering': 'no',
}
/** Ends of lines, in events as in texts. */
const LINE_END = /\r\n|\n|\r/

/** An event. A text of several lines is several lines of it, which browsers put together again. */
export function eventOf(text: string): Buffer {
  return Buffer.from(`data: ${LINE_END.test(text) ? text.split(LINE_END).join('\ndata: ') : text}\n\n`)
}

/** What clients overlook. @param text of one line */
export function commentOf(text: string): Buffer {
  return Buffer.from(`: ${text}\n\n`)
}

export class EventStream {
  private readonly response: ServerResponse
  private readonly onClose: () => void
  /** Events of the time before `begin`; null from then on. */
  private early: Buffer[] | null = []
  private earlyBytes = 0
  private isOver: boolean = false

  /** @param onClose called once, when nothing can be sent any more */
  constructor(response: ServerResponse, onClose: () => void) {
    this.response = response
    this.onClose = onClose
    response.once('close', () => this.closed())
    if (response.destroyed) this.isOver = true
  }

  get isClosed(): boolean {
    return this.isOver
  }

  /** Sends the head of the answer, some events, and what has come before. */
  begin(headers: OutgoingHttpHeaders, events: readonly Buffer[]): void {
    const early = this.early ?? []
    this.early = null
    if (this.isOver) return
    this.response.writeHead(200, { ...headers, ...HEADERS })
    for (const event of [...events, ...early]) this.response.write(event)
  }

  send(event: Buffer): void {
    if (this.isOver) return
    if (this.early !== null) {
      this.earlyBytes += event.length
      if (this.earlyBytes <= UNREAD_BYTES_MAX) this.early.push(event)
      else this.response.destroy()
    } else if (this.response.writableLength > UNREAD_BYTES_MAX) this.response.destroy()
    else this.response.write(event)
  }

  /** Ends the answer. @param reason for people who look at the bytes, one line */
  end(reason: string): void {
    if (this.isOver) return
    this.closed()
    if (this.early !== null) return
    // Who does not read would keep what is unread for ever.
    if (this.response.writableNeedDrain) this.response.destroy()
    else this.response.end(commentOf(reason))
  }

  private closed(): void {
    if (this.isOver) return
    this.isOver = true
    this.onClose()
  }
}
