/**
 * A plain RESP client for tests: pipelines raw commands, decodes RESP2 and RESP3 so that types stay apart.
 *
 * Strings are byte strings (one char is one byte). A simple string is `{ status }`, an error `{ error }`, a RESP3 type
 * a tagged object. Push messages are collected in `pushes`; replies that nobody asked for (messages of RESP2
 * subscriptions, MONITOR) wait for `next()`.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type Reply =
  | string
  | number
  | bigint
  | null
  | boolean
  | Reply[]
  | { status: string }
  | { error: string }
  | { set: Reply[] }
  | { map: [Reply, Reply][] }
  | { double: string }
  | { bigNumber: string }
  | { verbatim: string }
  | { push: Reply[] }

export interface Address {
  readonly host?: string
  readonly port?: number
  readonly path?: string
}

/** Encodes one command of byte strings. */
export function encodeCommand(words: readonly string[]): string {
  let text = `*${words.length}\r\n`
  for (const word of words) text += `$${word.length}\r\n${word}\r\n`
  return text
}

export class RespClient {
  readonly pushes: Reply[][] = []
  /** Replies that came without being waited for, oldest first. */
  private readonly unasked: Reply[] = []
  private readonly socket: Socket
  private text = ''
  private readonly waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []
  private closedError: Error | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.setNoDelay(true)
    socket.on('data', (chunk: string) => this.receive(chunk))
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('The server closed the connection')))
  }

  static async connect(address: Address): Promise<RespClient> {
    const socket =
      address.path !== undefined
        ? connect(address.path)
        : connect({ host: address.host ?? '127.0.0.1', port: address.port ?? 6379 })
    await once(socket, 'connect')
    return new RespClient(socket)
  }

  /** Sends one command and awaits its reply. */
  call(...words: string[]): Promise<Reply> {
    return this.send(encodeCommand(words), 1).then((replies) => replies[0]!)
  }

  /** Sends commands in one write and awaits all replies. */
  pipeline(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    return this.send(commands.map(encodeCommand).join(''), commands.length)
  }

  /** Sends raw bytes and awaits `count` replies. */
  send(raw: string, count: number): Promise<Reply[]> {
    const replies: Promise<Reply>[] = []
    for (let i = 0; i < count; i++) {
      replies.push(
        new Promise((resolve, reject) => {
          if (this.closedError !== null) reject(this.closedError)
          else this.waiting.push({ resolve, reject })
        }),
      )
    }
    if (this.closedError === null) this.socket.write(Buffer.from(raw, 'latin1'))
    return Promise.all(replies)
  }

  /** Sends one command whose replies are taken by `next()`, if there are any. */
  write(...words: string[]): void {
    this.socket.write(Buffer.from(encodeCommand(words), 'latin1'))
  }

  /** The next reply that is not a push message. */
  next(): Promise<Reply> {
    const reply = this.unasked.shift()
    if (reply !== undefined) return Promise.resolve(reply)
    return new Promise((resolve, reject) => {
      if (this.closedError !== null) reject(this.closedError)
      else this.waiting.push({ resolve, reject })
    })
  }

  /** The next push message. */
  async nextPush(): Promise<Reply[]> {
    while (this.pushes.length === 0) await once(this.socket, 'data')
    return this.pushes.shift()!
  }

  get isClosed(): boolean {
    return this.closedError !== null
  }

  /** Stops and resumes reading, so that the server's output piles up. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (this.closedError === null) await once(this.socket, 'close')
  }

  close(): void {
    this.socket.destroy()
  }

  private receive(chunk: string): void {
    this.text += chunk
    const decoder = new Decoder(this.text)
    for (;;) {
      const start = decoder.at
      const reply = decoder.next()
      if (reply === undefined) {
        this.text = this.text.slice(start)
        return
      }
      if (isPush(reply)) this.pushes.push(reply.push)
      else if (this.waiting.length > 0) this.waiting.shift()!.resolve(reply)
      else this.unasked.push(reply)
    }
  }

  private fail(error: Error): void {
    this.closedError ??= error
    for (const waiting of this.waiting.splice(0)) waiting.reject(error)
  }
}

/** Decodes replies one by one; undefined (and the position unchanged for the caller) when one is not complete. */
export class Decoder {
  private readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  next(): Reply | undefined {
    const end = this.text.indexOf('\r\n', this.at)
    if (end < 0) return undefined
    const type = this.text.charAt(this.at)
    const line = this.text.slice(this.at + 1, end)
    this.at = end + 2
    switch (type) {
      case '+':
        return { status: line }
      case '-':
        return { error: line }
      case ':':
        return Number.isSafeInteger(Number(line)) ? Number(line) : BigInt(line)
      case '_':
        return null
      case '#':
        return line === 't'
      case ',':
        return { double: line }
      case '(':
        return { bigNumber: line }
      case '$':
        return line === '-1' ? null : this.bytes(Number(line))
      case '=': {
        const text = this.bytes(Number(line))
        return text === undefined ? undefined : { verbatim: text }
      }
      case '*':
        return line === '-1' ? null : this.items(Number(line))
      case '~': {
        const items = this.items(Number(line))
        return items === undefined ? undefined : { set: items }
      }
      case '>': {
        const items = this.items(Number(line))
        return items === undefined ? undefined : { push: items }
      }
      case '%': {
        const items = this.items(Number(line) * 2)
        if (items === undefined) return undefined
        const pairs: [Reply, Reply][] = []
        for (let i = 0; i < items.length; i += 2) pairs.push([items[i]!, items[i + 1]!])
        return { map: pairs }
      }
      default:
        throw new Error(`Cannot decode a reply of type ${JSON.stringify(type)}`)
    }
  }

  private bytes(length: number): string | undefined {
    if (this.at + length + 2 > this.text.length) return undefined
    const bytes = this.text.slice(this.at, this.at + length)
    this.at += length + 2
    return bytes
  }

  private items(count: number): Reply[] | undefined {
    const items: Reply[] = []
    for (let i = 0; i < count; i++) {
      const item = this.next()
      if (item === undefined) return undefined
      items.push(item)
    }
    return items
  }
}

function isPush(reply: Reply): reply is { push: Reply[] } {
  return typeof reply === 'object' && reply !== null && !Array.isArray(reply) && 'push' in reply
}
