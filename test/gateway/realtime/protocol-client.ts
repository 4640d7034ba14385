/** A WebSocket client that speaks the protocol by hand, for tests. */
import { once } from 'node:events'
import WebSocket from 'ws'

export interface Received {
  readonly type: string
  readonly [member: string]: unknown
}

export class ProtocolClient {
  readonly socket: WebSocket
  /** All that came, answers and pushes. */
  readonly received: Received[] = []
  /** Code and reason of the close, null while it is open. */
  closed: { readonly code: number; readonly reason: string } | null = null
  private lastId = 0
  private readonly waiting = new Set<() => void>()

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => {
      this.received.push(JSON.parse(String(data)) as Received)
      this.look()
    })
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) }
      this.look()
    })
    socket.on('error', () => this.look())
  }

  /** Connects and awaits the greeting. */
  static async connect(
    url: string,
    options: { readonly token?: string; readonly protocols?: readonly string[]; readonly autoPong?: boolean } = {},
  ): Promise<ProtocolClient> {
    const { token, protocols = ['millrace.v1'], autoPong = true } = options
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const socket = new WebSocket(`${url}/v1/realtime`, [...protocols], { headers, autoPong })
    const client = new ProtocolClient(socket)
    await client.push('welcome')
    return client
  }

  /** Sends a request and resolves to its result; rejects with `CODE: message`. */
  async request(op: string, members: object = {}): Promise<unknown> {
    this.lastId++
    const id = this.lastId
    this.socket.send(JSON.stringify({ id, op, ...members }))
    const answer = await this.find((message) => message.id === id)
    if (answer.type === 'error') throw new Error(`${String(answer.code)}: ${String(answer.message)}`)
    return answer.result
  }

  /** The first push of a type that was not taken yet. */
  push(type: string): Promise<Received> {
    return this.find((message) => message.type === type)
  }

  /** IDs of all entries of a stream (or delivery) so far, in the order in which they came. */
  ids(type = 'entries'): string[] {
    return this.received
      .filter((message) => message.type === type)
      .flatMap(({ entries }) => (entries as readonly [string][]).map(([id]) => id))
  }

  /** Awaits that something holds; checked whenever something comes. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.waiting.add(resolve))
  }

  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return
    this.socket.close()
    await once(this.socket, 'close')
  }

  private async find(matches: (message: Received) => boolean): Promise<Received> {
    for (;;) {
      const at = this.received.findIndex(matches)
      if (at >= 0) {
        const [message] = this.received.slice(at, at + 1)
        if (message!.type !== 'entries' && message!.type !== 'delivery') this.received.splice(at, 1)
        return message!
      }
      if (this.closed !== null) throw new Error(`closed: ${this.closed.code} ${this.closed.reason}`)
      await new Promise<void>((resolve) => this.waiting.add(resolve))
    }
  }

  private look(): void {
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const resolve of waiting) resolve()
  }
}
